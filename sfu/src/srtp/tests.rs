//! What SRTP promises as a whole: the vectors of the RFCs, and two ends that talk.

use super::{
    cipher::{Cipher, PacketId, Plain},
    cm::Cm,
    gcm::Gcm,
    keys::Master,
    *,
};

use crate::rtp;

/// RFC 7714 §16: session keys, given directly.
const GCM_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const GCM_SALT: &str = "517569642070726f2071756f";
const GCM_RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976697361\
                       20696e207061727465732074726573";
const GCM_RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                        deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
const GCM_RTCP_INDEX: u64 = 0x5d4;

#[test]
fn rtp_is_sealed_and_opened_as_rfc_7714_section_16_has_it() {
    let plain = hex(GCM_RTP);
    let sealed_128 = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f\
                      42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce";
    let sealed_256 = "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3\
                      b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13";
    for (key_len, expected) in [(16, hex(sealed_128)), (32, hex(sealed_256))] {
        let (mut sealer, mut opener) = (gcm_sealer(key_len), gcm_opener(key_len));
        let mut sealed = [0; 128];

        let len = sealer.seal_rtp(&plain[..12], &plain[12..], 0, 0xf17b, &mut sealed).unwrap();

        assert_eq!(sealed[..len], expected);
        let header = rtp::Header::parse(&expected).unwrap();
        let mut out = [0; 128];
        let opened = opener.open_rtp(&mut ReplayWindow::default(), &header, &expected, &mut out).unwrap();
        assert_eq!(opened, Opened { payload_len: plain.len() - 12, index: 0xf17b });
        assert_eq!(out[..opened.payload_len], plain[12..]);
    }
}

#[test]
fn rtcp_is_sealed_and_opened_as_rfc_7714_section_17_has_it() {
    let plain = hex(GCM_RTCP);
    let sealed_128 = "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1\
                      730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4";
    let sealed_256 = "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1\
                      110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4";
    for (key_len, expected) in [(16, hex(sealed_128)), (32, hex(sealed_256))] {
        let (mut sealer, mut opener) = (gcm_sealer(key_len), gcm_opener(key_len));
        sealer.set_rtcp_index(GCM_RTCP_INDEX);
        let mut sealed = [0; 128];

        let len = sealer.seal_rtcp(&plain, &mut sealed).unwrap();

        assert_eq!(sealed[..len], expected);
        let mut out = [0; 128];
        let len = opener.open_rtcp(&expected, &mut out).unwrap();
        assert_eq!(out[..len], plain);
    }
}

#[test]
fn rtcp_in_the_clear_is_refused_though_it_is_authentic() {
    // RFC 7714 §17.3: tagged only.
    let tagged = format!("{GCM_RTCP}841dd9683dd78ec92ae58790125f62b3000005d4");

    assert_eq!(gcm_opener(16).open_rtcp(&hex(&tagged), &mut [0; 128]), Err(SrtpError::NotEncrypted));
}

#[test]
fn session_keys_are_derived_as_rfc_3711_appendix_b_3_has_it() {
    let key = hex("e1f97a0d3e018be0d64fa32c06de4139");
    let salt = hex("0ec675ad498afeebb6960b3aabe6");
    let master = Master { profile: SrtpProfile::Aes128CmSha1_80, key: &key, salt: &salt };
    let derive = |label, len| {
        let mut out = vec![0; len];
        master.derive(label, &mut out).unwrap();
        out
    };

    assert_eq!(derive(0, 16), hex("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(derive(2, 14), hex("30cbbc08863d8c85d49db34a9ae1"));
    let authentication = "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c\
                          43d9327ad175578ef72270986371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef\
                          17c2041e474035766b68642c59bbfc2f34db60dbdfb2";
    let authentication = hex(authentication);
    assert_eq!(derive(1, authentication.len()), authentication);
}

#[test]
fn the_keystream_is_that_of_rfc_3711_appendix_b_2() {
    let salt = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd").try_into().unwrap();
    let cm = Cm::new(&hex("2b7e151628aed2a6abf7158809cf4f3c"), &[0; 20], salt).unwrap();
    let mut body = [0; 48 + cm::TAG_LEN];

    let plain = Plain { payload: &[0; 48], padding: &[] };
    cm.seal_rtp(PacketId { ssrc: Ssrc(0), index: 0 }, &[], plain, &mut body).unwrap();

    let keystream = "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab\
                     41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(body[..48], hex(keystream));
}

fn gcm_cipher(key_len: usize) -> Cipher {
    Cipher::Gcm(Gcm::new(&hex(GCM_KEY)[..key_len], hex(GCM_SALT).try_into().unwrap()).unwrap())
}

fn gcm_sealer(key_len: usize) -> Sealer {
    Sealer::new(gcm_cipher(key_len), gcm_cipher(key_len))
}

fn gcm_opener(key_len: usize) -> Opener {
    Opener::new(gcm_cipher(key_len), gcm_cipher(key_len))
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from((digit as char).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
