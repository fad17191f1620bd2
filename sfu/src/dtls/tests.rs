//! What the look at a ClientHello promises. Whole handshakes are in `transport`.

use super::{
    version::{Version, choose},
    *,
};
use crate::params::SrtpProfile;

const GCM_128: u16 = 0x0007;
const GCM_256: u16 = 0x0008;
const CM_80: u16 = 0x0001;
const CM_32: u16 = 0x0002;

#[test]
fn chromium_is_met_with_dtls_1_2_so_that_it_gets_gcm() {
    let hello = hello(&[CM_80, GCM_256, GCM_128], &[0xfefc, 0xfefd], 1_200);

    let seen = see(&fragments(&hello, 1_100)).unwrap().unwrap();

    assert!(seen.offers_1_3);
    assert_eq!(
        seen.srtp_profiles,
        [SrtpProfile::Aes128CmSha1_80, SrtpProfile::AeadAes256Gcm, SrtpProfile::AeadAes128Gcm]
    );
    assert_eq!(choose(&seen), Version::V1_2);
}

#[test]
fn a_client_that_puts_gcm_first_is_met_with_dtls_1_3() {
    for profiles in [[GCM_128, GCM_256, CM_80], [CM_32, GCM_128, CM_80]] {
        let hello = hello(&profiles, &[0xfefc, 0xfefd], 0);

        let seen = see(&fragments(&hello, 1_100)).unwrap().unwrap();

        assert_eq!(choose(&seen), Version::V1_3, "{profiles:?}");
    }
}

#[test]
fn a_client_without_dtls_1_3_is_met_with_1_2() {
    for versions in [&[][..], &[0xfefd], &[0xfefd, 0xfeff]] {
        let hello = hello(&[GCM_128], versions, 0);

        let seen = see(&fragments(&hello, 1_100)).unwrap().unwrap();

        assert_eq!(choose(&seen), Version::V1_2, "{versions:?}");
    }
}

#[test]
fn a_client_hello_is_put_together_from_any_pieces_in_any_order() {
    let hello = hello(&[GCM_128], &[0xfefc], 600);
    for size in [1, 7, 100, 333, 700] {
        let mut pieces = fragments(&hello, size);
        if pieces.len() > 16 {
            // As many small ones in one datagram as it takes.
            pieces = pieces.chunks(pieces.len() / 8 + 1).map(<[Vec<u8>]>::concat).collect();
        }
        pieces.reverse();
        let repeated = [pieces[0].clone(), pieces[0].clone()].concat();
        pieces[0] = repeated;

        let seen = see(&pieces).unwrap();

        assert!(seen.unwrap().offers_1_3, "pieces of {size} bytes");
    }
}

#[test]
fn with_a_piece_missing_there_is_no_client_hello() {
    let hello = hello(&[GCM_128], &[0xfefc], 600);
    let pieces = fragments(&hello, 100);
    for missing in 0..pieces.len() {
        let mut some = pieces.clone();
        some.remove(missing);

        assert_eq!(see(&some), Ok(None), "without piece {missing}");
    }
}

#[test]
fn a_client_hello_without_extensions_is_one() {
    let mut body = vec![0xfe, 0xfd];
    body.extend_from_slice(&[0; 32]);
    body.extend_from_slice(&[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);

    assert_eq!(see(&fragments(&body, 1_100)), Ok(Some(Hello::default())));
}

#[test]
fn a_client_hello_cut_anywhere_is_malformed() {
    let hello = hello(&[GCM_128], &[0xfefc], 0);
    for len in 1..hello.len() {
        let seen = see(&fragments(&hello[..len], 1_100));

        // Up to the extensions it is a whole message of an older kind.
        assert!(
            matches!(seen, Err(HelloError::Malformed) | Ok(Some(Hello { offers_1_3: false, .. }))),
            "{len}"
        );
    }
}

#[test]
fn what_is_not_a_client_hello_is_dropped() {
    let mut peek = Peek::default();
    for datagram in [&[][..], &[22], &[0; 13], &[23; 200], &record(22, 1, &[1; 40]), &record(21, 0, &[2, 40])]
    {
        assert_eq!(peek.add(datagram), Ok(None));
    }
    let other_message = record(22, 0, &[2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9]);
    assert_eq!(peek.add(&other_message), Ok(None));

    assert!(peek.into_datagrams().is_empty());
}

#[test]
fn the_wait_for_a_client_hello_keeps_little() {
    let piece = |length: u32, offset: u32| {
        let mut body = vec![1];
        body.extend_from_slice(&length.to_be_bytes()[1..]);
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&offset.to_be_bytes()[1..]);
        body.extend_from_slice(&[0, 0, 1, 0xaa]);
        record(22, 0, &body)
    };

    assert_eq!(Peek::default().add(&piece(9_000, 0)), Err(HelloError::TooLong));
    let mut peek = Peek::default();
    let last = (0..100).map(|offset| peek.add(&piece(2_000, offset * 2))).find(Result::is_err);
    assert_eq!(last, Some(Err(HelloError::TooLong)));
}

fn see(datagrams: &[Vec<u8>]) -> Result<Option<Hello>, HelloError> {
    let mut peek = Peek::default();
    let mut seen = None;
    for datagram in datagrams {
        seen = seen.or(peek.add(datagram)?);
    }
    if seen.is_some() {
        assert_eq!(peek.into_datagrams().len(), datagrams.len(), "all of them are handed on");
    }
    Ok(seen)
}

/// The body of a ClientHello with two extensions that matter and one that only makes it longer.
fn hello(profiles: &[u16], versions: &[u16], filling: usize) -> Vec<u8> {
    let list = |values: &[u16]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>();
    let profiles = list(profiles);
    let versions = list(versions);
    let use_srtp = [&len16(&profiles)[..], &profiles, &[0]].concat();
    let supported = [&[u8::try_from(versions.len()).unwrap()][..], &versions].concat();
    let mut extensions = extension(51, &vec![0xbb; filling]);
    extensions.extend(extension(14, &use_srtp));
    if !versions.is_empty() {
        extensions.extend(extension(43, &supported));
    }

    let mut body = vec![0xfe, 0xfd];
    body.extend_from_slice(&[0xcc; 32]);
    body.extend_from_slice(&[0, 0, 0, 4, 0x13, 0x01, 0xc0, 0x2b, 1, 0]);
    body.extend_from_slice(&len16(&extensions));
    body.extend(extensions);
    body
}

fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &len16(value), value].concat()
}

fn len16(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap().to_be_bytes()
}

/// One datagram for every `size` bytes of a ClientHello.
fn fragments(body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let uint24 = |value: usize| u32::try_from(value).unwrap().to_be_bytes();
    let length = uint24(body.len());
    let piece = |(index, bytes): (usize, &[u8])| {
        let (offset, len) = (uint24(index * size), uint24(bytes.len()));
        let header = [&[1][..], &length[1..], &[0, 0], &offset[1..], &len[1..]].concat();
        record(22, 0, &[&header[..], bytes].concat())
    };
    body.chunks(size).enumerate().map(piece).collect()
}

fn record(content: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
    let epoch = epoch.to_be_bytes();
    let header = [content, 0xfe, 0xfd, epoch[0], epoch[1], 0, 0, 0, 0, 0, 0];
    [&header[..], &len16(body), body].concat()
}
