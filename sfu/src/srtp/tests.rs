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

#[test]
fn libsrtp_and_we_agree() {
    for (profile, first, wrapped, rtcp) in LIBSRTP {
        let (mut us, mut them) = ends_of(&libsrtp_keying(profile));
        us.outbound.set_rtcp_index(1);
        let mut stream = ReplayWindow::default();

        for (index, expected) in [(0xffff, first), (0x1_0000, wrapped)] {
            let expected = hex(expected);
            let mut sealed = [0; 128];
            let header = &expected[..20];
            let len = us.outbound.seal_rtp(header, b"libsrtp and we agree", 0, index, &mut sealed).unwrap();
            assert_eq!(sealed[..len], expected, "{profile:?}");
            assert_eq!(open(&mut them, &mut stream, &expected), Ok(b"libsrtp and we agree".to_vec()));
        }
        let compound = hex("80c90001cafebabe81ca0002cafebabe01016100");
        let mut out = [0; 128];
        let len = us.outbound.seal_rtcp(&compound, &mut out).unwrap();
        assert_eq!(out[..len], hex(rtcp), "{profile:?}");
        let len = them.inbound.open_rtcp(&hex(rtcp), &mut out).unwrap();
        assert_eq!(out[..len], compound);
    }
}

#[test]
fn both_directions_have_their_own_keys() {
    for profile in PROFILES {
        let (mut client, mut server) = ends(profile);
        let packet = seal(&mut client, 7, b"up", 0);

        assert_eq!(open(&mut client, &mut ReplayWindow::default(), &packet), Err(SrtpError::NotAuthentic));
        assert_eq!(open(&mut server, &mut ReplayWindow::default(), &packet), Ok(b"up".to_vec()));
    }
}

#[test]
fn keying_material_of_another_length_is_refused() {
    for profile in PROFILES {
        for len in (0..=128).filter(|len| *len != KeyingMaterial::len(profile)) {
            let keying = KeyingMaterial { profile, bytes: Secret(vec![7; len]) };
            assert_eq!(Srtp::server(&keying).unwrap_err(), SrtpError::Keying(len));
        }
    }
}

#[test]
fn padding_is_added_marked_and_counted() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        for padding in 0..=255 {
            let packet = seal(&mut us, u64::from(padding), b"payload", padding);

            let opened = open(&mut them, &mut ReplayWindow::default(), &packet).unwrap();
            let header = rtp::Header::parse(&packet).unwrap();
            assert_eq!(header.padding, padding > 0);
            assert_eq!(opened.len(), 7 + usize::from(padding));
            assert_eq!(header.unpadded(&opened), Ok(&b"payload"[..]));
        }
    }
}

#[test]
fn every_bit_of_a_packet_is_authentic() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        let packet = seal(&mut us, 100, b"payload", 0);
        let mut stream = ReplayWindow::default();
        stream.mark(99);

        for bit in 0..packet.len() * 8 {
            let mut forged = packet.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let Ok(header) = rtp::Header::parse(&forged) else { continue };
            if header.payload_offset != 12 {
                continue;
            }
            let refused = open(&mut them, &mut stream, &forged).unwrap_err();
            assert!(matches!(refused, SrtpError::NotAuthentic | SrtpError::Old(_)), "bit {bit}: {refused}");
        }

        assert_eq!(stream.highest(), Some(99), "nothing is learnt from what is not authentic");
        assert_eq!(open(&mut them, &mut stream, &packet), Ok(b"payload".to_vec()));
    }
}

#[test]
fn every_bit_of_an_rtcp_packet_is_authentic() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        let mut packet = vec![0; 64];
        let len = us.outbound.seal_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 7], &mut packet).unwrap();
        packet.truncate(len);

        for bit in 0..packet.len() * 8 {
            let mut forged = packet.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(them.inbound.open_rtcp(&forged, &mut [0; 64]).is_err(), "bit {bit}");
        }

        assert_eq!(them.inbound.open_rtcp(&packet, &mut [0; 64]), Ok(8));
    }
}

#[test]
fn every_short_length_is_answered() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        for len in 0..=64 {
            for fill in [0x00, 0x01, 0x80, 0x8f, 0x90, 0xbf, 0xc8, 0xff] {
                let packet = vec![fill; len];
                for room in [0, 1, 7, 8, 16, 20, 64] {
                    let mut out = vec![0; room];
                    assert!(them.inbound.open_rtcp(&packet, &mut out).is_err());
                    if let Ok(header) = rtp::Header::parse(&packet) {
                        let mut stream = ReplayWindow::default();
                        assert!(them.inbound.open_rtp(&mut stream, &header, &packet, &mut out).is_err());
                    }
                    let _ = us.outbound.seal_rtcp(&packet, &mut out);
                    let _ = us.outbound.seal_rtp(&packet, &packet, fill, u64::from(fill), &mut out);
                    let _ = us.outbound.seal_rtp(&packet, &[], 0, 0x8080, &mut out);
                }
            }
        }
    }
}

#[test]
fn a_buffer_that_is_too_short_is_told_and_costs_no_index() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        let sealed = seal(&mut us, 1, b"payload", 3);
        for room in 0..sealed.len() {
            let mut out = vec![0; room];
            let refused = us.outbound.seal_rtp(&header(2), b"payload", 3, 2, &mut out);
            assert_eq!(refused, Err(SrtpError::Full(Full)));
        }
        assert_eq!(seal(&mut us, 2, b"payload", 3).len(), sealed.len());

        let parsed = rtp::Header::parse(&sealed).unwrap();
        let mut stream = ReplayWindow::default();
        for room in 0..10 {
            let refused = them.inbound.open_rtp(&mut stream, &parsed, &sealed, &mut vec![0; room]);
            assert_eq!(refused, Err(SrtpError::Full(Full)));
        }
        assert!(them.inbound.open_rtp(&mut stream, &parsed, &sealed, &mut [0; 10]).is_ok());
    }
}

#[test]
fn a_packet_sent_five_times_in_any_order_arrives_once() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        let mut random = Random(1);
        let mut stream = ReplayWindow::default();
        let mut opened = 0;
        let mut replayed = 0;
        for block in 0..10 {
            let mut sent: Vec<_> =
                (0..64).flat_map(|at| vec![seal(&mut us, block * 64 + at, b"once", 0); 5]).collect();
            random.shuffle(&mut sent);
            for packet in sent {
                match open(&mut them, &mut stream, &packet) {
                    Ok(_) => opened += 1,
                    Err(SrtpError::Replayed(..)) => replayed += 1,
                    Err(other) => panic!("{other}"),
                }
            }
        }
        assert_eq!((opened, replayed), (640, 4 * 640));
    }
}

#[test]
fn the_rollover_counter_survives_loss_reordering_and_silence() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        let mut random = Random(2);
        let mut stream = ReplayWindow::default();
        let mut index = 65_530;
        for _ in 0..2_000 {
            let mut block: Vec<_> = (0..32).map(|at| index + at).collect();
            random.shuffle(&mut block);
            for index in block.into_iter().filter(|_| random.below(10) > 0) {
                let packet = seal(&mut us, index, b"on", 0);
                assert_eq!(open(&mut them, &mut stream, &packet), Ok(b"on".to_vec()), "index {index}");
            }
            // Now and then the sender goes on unheard, for most of a rollover at worst.
            index += 32 + if random.below(40) == 0 { 1_000 * random.below(64) } else { 0 };
        }
        assert!(stream.highest().unwrap() > 3 << 16);
    }
}

#[test]
fn a_stream_whose_beginning_was_lost_is_found_behind_its_first_rollover() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        let mut stream = ReplayWindow::default();
        let (late, early) = (seal(&mut us, 65_530, b"late", 0), seal(&mut us, 65_540, b"early", 0));

        assert_eq!(open(&mut them, &mut stream, &early), Ok(b"early".to_vec()));
        assert_eq!(open(&mut them, &mut stream, &late), Ok(b"late".to_vec()));
        assert_eq!(stream.highest(), Some(65_540));
    }
}

#[test]
fn no_index_is_sealed_twice() {
    for profile in PROFILES {
        let (mut us, _) = ends(profile);
        let mut out = [0; 64];
        let mut seal = |index| us.outbound.seal_rtp(&header(index), b"twice", 0, index, &mut out);

        assert!(seal(10).is_ok());
        assert_eq!(seal(10), Err(SrtpError::SealedBefore(SSRC, 10)));
        assert!(seal(5_000).is_ok());
        assert!(seal(4_900).is_ok(), "late, but for the first time");
        assert_eq!(seal(11), Err(SrtpError::SealedBefore(SSRC, 11)), "nobody remembers: refused");
        assert!(seal(65_546).is_ok(), "the same sequence number after a rollover");
        let foreign = [0x80, 96, 0, 10, 0, 0, 0, 0, 9, 9, 9, 9];
        assert!(us.outbound.seal_rtp(&foreign, b"", 0, 10, &mut out).is_ok(), "another source");
    }
}

#[test]
fn a_header_must_carry_its_index() {
    let (mut us, _) = ends(SrtpProfile::AeadAes128Gcm);
    let mut seal = |index| us.outbound.seal_rtp(&header(7), b"", 0, index, &mut [0; 64]);

    assert_eq!(seal(8), Err(SrtpError::Malformed));
    assert_eq!(seal(1 << 48 | 7), Err(SrtpError::KeyUsedUp));
    assert!(seal(1 << 32 | 7).is_ok());
}

#[test]
fn rtcp_is_opened_once_and_in_any_near_order() {
    for profile in PROFILES {
        let (mut us, mut them) = ends(profile);
        let compound = [0x80, 201, 0, 1, 0, 0, 0, 7];
        let mut packets: Vec<Vec<u8>> = Vec::new();
        for _ in 0..64 {
            let mut out = [0; 64];
            let len = us.outbound.seal_rtcp(&compound, &mut out).unwrap();
            packets.push(out[..len].to_vec());
        }
        Random(3).shuffle(&mut packets);
        for packet in &packets {
            assert_eq!(them.inbound.open_rtcp(packet, &mut [0; 64]), Ok(8));
        }
        for packet in &packets {
            let refused = them.inbound.open_rtcp(packet, &mut [0; 64]);
            assert!(matches!(refused, Err(SrtpError::Replayed(Ssrc(7), _))), "{refused:?}");
        }
    }
}

#[test]
fn a_key_seals_as_many_rtcp_packets_as_it_may() {
    for profile in PROFILES {
        let (mut us, _) = ends(profile);
        us.outbound.set_rtcp_index((1 << 31) - 1);
        let mut seal = || us.outbound.seal_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 7], &mut [0; 64]);

        assert!(seal().is_ok());
        assert_eq!(seal(), Err(SrtpError::KeyUsedUp));
        assert_eq!(seal(), Err(SrtpError::KeyUsedUp));
    }
}

#[test]
fn made_up_rtcp_senders_are_limited() {
    let (mut us, mut them) = ends(SrtpProfile::AeadAes128Gcm);
    let mut opened = 0;
    for sender in 0..2_000_u16 {
        let [high, low] = sender.to_be_bytes();
        let mut out = [0; 64];
        let len = us.outbound.seal_rtcp(&[0x80, 201, 0, 1, 0, 0, high, low], &mut out).unwrap();
        match them.inbound.open_rtcp(&out[..len], &mut [0; 64]) {
            Ok(_) => opened += 1,
            Err(refused) => assert_eq!(refused, SrtpError::TooManySources),
        }
    }
    assert_eq!(opened, 1_024);
}

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80];

/// What libsrtp 2 made, from [`libsrtp_keying`]: two packets across a rollover, and an RTCP packet of index 1.
const LIBSRTP: [(SrtpProfile, &str, &str, &str); 3] = [
    (
        SrtpProfile::AeadAes128Gcm,
        "90e0ffff01020304cafebabebede000110aa0000f969c484f9d9b34503c076a3fb62c17c6bc99e65fa9ecaf240988b8f5255ea7c\
         da5eaead",
        "90e0000001020304cafebabebede000110aa0000a089e109d0a5c8406fceec8b2989b1161942fde601536c9385367667721eac96\
         5c3f0744",
        "80c90001cafebabe891d79d09108d8a343f8017d061765c7cd415fa5441747c4d2a09b8980000001",
    ),
    (
        SrtpProfile::AeadAes256Gcm,
        "90e0ffff01020304cafebabebede000110aa000076daa232e2df13adc9aef69427dcd006109b57d06108ac03dc2e9c537ee62e14\
         6e58e686",
        "90e0000001020304cafebabebede000110aa00000c57b554fd221462afdcf1a347ae338909e63d2831ff2e3db23605e2cc1f9bba\
         d1b2b77b",
        "80c90001cafebabe014aa959f2fc528e4e0575d0ac95f1886592fbdb87115b7dd638045580000001",
    ),
    (
        SrtpProfile::Aes128CmSha1_80,
        "90e0ffff01020304cafebabebede000110aa00007fe4b97a5d3969af5d5ee623b74429e796df3fb3fe8ae351810ad9e848c8",
        "90e0000001020304cafebabebede000110aa0000714dd0361165c687d908222a0649754e5cddb5245575d0da01f7a992ceff",
        "80c90001cafebabe6be695416e539bf7c7f3105f80000001a5df88af74c35cad2d5f",
    ),
];

/// The client's key counts up from 1, its salt from a0; the server's are never used.
fn libsrtp_keying(profile: SrtpProfile) -> KeyingMaterial {
    let (key_len, salt_len) = (keys::key_len(profile), keys::salt_len(profile));
    let mut bytes: Vec<u8> = (1..).take(key_len).collect();
    bytes.extend(vec![0; key_len]);
    bytes.extend((0xa0..).take(salt_len));
    bytes.extend(vec![0; salt_len]);
    KeyingMaterial { profile, bytes: Secret(bytes) }
}

/// A client and its server.
fn ends(profile: SrtpProfile) -> (Srtp, Srtp) {
    let bytes = (0..=255).take(KeyingMaterial::len(profile)).collect();
    ends_of(&KeyingMaterial { profile, bytes: Secret(bytes) })
}

fn ends_of(keying: &KeyingMaterial) -> (Srtp, Srtp) {
    (Srtp::client(keying).unwrap(), Srtp::server(keying).unwrap())
}

const SSRC: Ssrc = Ssrc(0x0102_0304);

fn header(index: u64) -> [u8; 12] {
    let [.., high, low] = index.to_be_bytes();
    [0x80, 96, high, low, 0, 0, 0, 0, 1, 2, 3, 4]
}

fn seal(from: &mut Srtp, index: u64, payload: &[u8], padding: u8) -> Vec<u8> {
    let mut out = vec![0; 1_500];
    let len = from.outbound.seal_rtp(&header(index), payload, padding, index, &mut out).unwrap();
    out.truncate(len);
    out
}

fn open(to: &mut Srtp, stream: &mut ReplayWindow, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut out = vec![0; packet.len()];
    let header = rtp::Header::parse(packet).unwrap();
    let opened = to.inbound.open_rtp(stream, &header, packet, &mut out)?;
    out.truncate(opened.payload_len);
    Ok(out)
}

struct Random(u64);

impl Random {
    fn below(&mut self, range: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % range
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at as u64 + 1);
            items.swap(at, usize::try_from(other).unwrap());
        }
    }
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
