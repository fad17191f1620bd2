//! RFC 5769 vectors and the promises of the codec.

use std::net::SocketAddr;

use hmac::Mac as _;

use super::*;

/// RFC 5769 §2: the short-term password of the first three.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
/// RFC 5769 §2.4: MD5 of `マトリックス:example.org:TheMatrIX`.
const LONG_TERM_KEY: &str = "e8ca7ad59d5eb0518e312911d2dab2a9";

/// RFC 5769 §2.1, padded with spaces as printed there.
const REQUEST: &str = "
    00010058 2112a442 b7e7a701 bc34d686 fa87dfae
    80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff
    80290008 932ff9b1 51263b36
    00060009 6576746a 3a683676 59202020
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
    80280004 e57a3bcf";
/// RFC 5769 §2.2.
const RESPONSE_V4: &str = "
    0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200008 0001a147 e112a643
    00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
    80280004 c07d4c96";
/// RFC 5769 §2.3.
const RESPONSE_V6: &str = "
    01010048 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
    80280004 c8fb0b4c";
/// RFC 5769 §2.4.
const LONG_TERM_REQUEST: &str = "
    00010060 2112a442 78ad3433 c6ad72c0 29da412e
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
    0014000b 6578616d 706c652e 6f726700
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

#[test]
fn rfc_5769_sample_request() {
    let bytes = hex(REQUEST);

    let message = Message::parse(&bytes).unwrap();

    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction_id().0, hex("b7e7a701bc34d686fa87dfae")[..]);
    assert_eq!(message.attribute(AttributeType::SOFTWARE), Some(&b"STUN test client"[..]));
    assert_eq!(message.username(), Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.priority(), Some(0x6e00_01ff));
    assert_eq!(message.ice_controlled(), Some(0x932f_f9b1_5126_3b36));
    assert_eq!(message.check_integrity(&IntegrityKey::short_term(PASSWORD)), Ok(()));
    assert_eq!(message.check_fingerprint(), Ok(()));
    assert_eq!(message.check_integrity(&IntegrityKey::short_term("other")), Err(StunError::Integrity));
}

#[test]
fn rfc_5769_sample_responses() {
    for (vector, addr) in
        [(RESPONSE_V4, "192.0.2.1:32853"), (RESPONSE_V6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let bytes = hex(vector);

        let message = Message::parse(&bytes).unwrap();

        assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
        assert_eq!(message.xor_mapped_address(), Some(addr.parse().unwrap()));
        assert_eq!(message.check_integrity(&IntegrityKey::short_term(PASSWORD)), Ok(()));
        assert_eq!(message.check_fingerprint(), Ok(()));
    }
}

#[test]
fn rfc_5769_long_term_request() {
    let bytes = hex(LONG_TERM_REQUEST);

    let message = Message::parse(&bytes).unwrap();

    assert_eq!(message.username(), Some("マトリックス".as_bytes()));
    assert_eq!(message.attribute(AttributeType::REALM), Some(&b"example.org"[..]));
    assert_eq!(message.check_integrity(&IntegrityKey::raw(&hex(LONG_TERM_KEY))), Ok(()));
    assert_eq!(
        message.check_fingerprint(),
        Err(StunError::Missing(AttributeType::FINGERPRINT.0)),
        "there is none in it"
    );
}

#[test]
fn what_is_built_is_what_is_read() {
    let key = IntegrityKey::short_term("secret");
    for addr in ["203.0.113.9:9", "[2001:db8::1]:65535", "[::ffff:203.0.113.9]:9"] {
        let addr: SocketAddr = addr.parse().unwrap();
        let mut buffer = [0; 256];

        let len = Builder::new(Class::Success, Method::BINDING, TransactionId([7; 12]), &mut buffer)
            .username(b"a:b")
            .priority(1)
            .use_candidate()
            .ice_controlling(2)
            .ice_controlled(3)
            .xor_mapped_address(addr)
            .integrity(&key)
            .fingerprint()
            .finish()
            .unwrap();

        let message = Message::parse(&buffer[..len]).unwrap();
        assert_eq!(message.transaction_id(), TransactionId([7; 12]));
        assert_eq!(message.username(), Some(&b"a:b"[..]));
        assert_eq!(message.priority(), Some(1));
        assert!(message.use_candidate());
        assert_eq!(message.ice_controlling(), Some(2));
        assert_eq!(message.ice_controlled(), Some(3));
        let canonical = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        assert_eq!(message.xor_mapped_address(), Some(canonical));
        assert_eq!(message.check_integrity(&key), Ok(()));
        assert_eq!(message.check_fingerprint(), Ok(()));
    }
}

#[test]
fn an_error_response_names_the_error_and_what_was_not_understood() {
    let mut buffer = [0; 128];
    let unknown = [AttributeType(0x0001), AttributeType(0x7fff)];

    let len = Builder::new(Class::Error, Method::BINDING, TransactionId([0; 12]), &mut buffer)
        .error_code(ErrorCode::UNKNOWN_ATTRIBUTE)
        .unknown_attributes(unknown.into_iter())
        .finish()
        .unwrap();

    let message = Message::parse(&buffer[..len]).unwrap();
    assert_eq!(message.error_code(), Some(ErrorCode::UNKNOWN_ATTRIBUTE));
    assert_eq!(message.attribute(AttributeType::UNKNOWN_ATTRIBUTES), Some(&[0, 1, 0x7f, 0xff][..]));
    assert_eq!(ErrorCode::from_bytes(&[0, 0, 4, 87]), Some(ErrorCode::ROLE_CONFLICT));
    assert_eq!(ErrorCode::from_bytes(&[0, 0, 4, 100]), None);
    assert_eq!(ErrorCode::from_bytes(&[0, 0, 2, 0]), None);
}

#[test]
fn every_class_and_method_survives_the_wire() {
    for value in 0..=0x0fff {
        let method = Method::new(value).unwrap();
        for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
            let wire = message_type(class, method);
            assert_eq!(class_and_method(wire), (class, method));
            assert_eq!(wire & 0xc000, 0, "the two leading bits tell STUN from the rest");
        }
    }
    assert_eq!(Method::new(0x1000), None);
    assert_eq!(message_type(Class::Error, Method::BINDING), 0x0111);
}

#[test]
fn what_stands_behind_message_integrity_is_not_seen() {
    let key = IntegrityKey::short_term("secret");
    let mut buffer = [0; 128];

    let len = Builder::new(Class::Request, Method::BINDING, TransactionId([0; 12]), &mut buffer)
        .integrity(&key)
        .use_candidate()
        .username(b"mallory")
        .fingerprint()
        .finish()
        .unwrap();

    let message = Message::parse(&buffer[..len]).unwrap();
    assert_eq!(message.attributes().count(), 0);
    assert!(!message.use_candidate());
    assert_eq!(message.username(), None);
    assert_eq!(message.check_integrity(&key), Ok(()));
    assert_eq!(message.check_fingerprint(), Ok(()));
}

#[test]
fn only_the_first_message_integrity_counts() {
    let (key, other) = (IntegrityKey::short_term("secret"), IntegrityKey::short_term("other"));
    let mut buffer = [0; 128];

    let len = Builder::new(Class::Request, Method::BINDING, TransactionId([0; 12]), &mut buffer)
        .integrity(&other)
        .integrity(&key)
        .finish()
        .unwrap();

    let message = Message::parse(&buffer[..len]).unwrap();
    assert_eq!(message.check_integrity(&key), Err(StunError::Integrity));
    assert_eq!(message.check_integrity(&other), Ok(()));
}

#[test]
fn fingerprint_ends_a_message() {
    let mut buffer = [0; 128];

    let len = Builder::new(Class::Request, Method::BINDING, TransactionId([0; 12]), &mut buffer)
        .fingerprint()
        .priority(1)
        .finish()
        .unwrap();

    assert_eq!(Message::parse(&buffer[..len]).unwrap_err(), StunError::AfterFingerprint);
}

#[test]
fn every_bit_of_a_signed_message_counts() {
    let good = hex(REQUEST);
    let key = IntegrityKey::short_term(PASSWORD);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);

        let accepted = Message::parse(&bad).is_ok_and(|message| {
            message.check_integrity(&key).is_ok() && message.check_fingerprint().is_ok()
        });

        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn a_message_cut_anywhere_is_an_error() {
    let good = hex(REQUEST);
    for len in 0..good.len() {
        assert!(Message::parse(&good[..len]).is_err(), "{len} bytes");
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(Message::parse(&longer).unwrap_err(), StunError::Length);
}

#[test]
fn a_username_longer_than_the_standard_allows_is_none() {
    let mut buffer = [0; 1024];
    for (len, seen) in [(USERNAME_MAX, true), (USERNAME_MAX + 1, false)] {
        let written = Builder::new(Class::Request, Method::BINDING, TransactionId([0; 12]), &mut buffer)
            .username(&[b'a'; 600][..len])
            .finish()
            .unwrap();

        let message = Message::parse(&buffer[..written]).unwrap();

        assert_eq!(message.username().is_some(), seen, "{len} bytes");
    }
}

#[test]
fn a_buffer_of_any_size_is_filled_or_refused() {
    let key = IntegrityKey::short_term("secret");
    for len in 0..=128 {
        let mut buffer = vec![0; len];

        let written = Builder::new(Class::Success, Method::BINDING, TransactionId([0; 12]), &mut buffer)
            .xor_mapped_address("192.0.2.1:1".parse().unwrap())
            .integrity(&key)
            .fingerprint()
            .finish();

        if len < 64 {
            assert_eq!(written, Err(StunError::NoRoom), "{len} bytes");
        } else {
            assert_eq!(written, Ok(64), "{len} bytes");
            assert!(Message::parse(&buffer[..64]).is_ok());
        }
    }
}

#[test]
fn attributes_of_any_length_and_padding_are_walked() {
    let mut buffer = [0; 512];
    for len in 0..64 {
        let value = [0xaa; 64];
        let written = Builder::new(Class::Request, Method::BINDING, TransactionId([0; 12]), &mut buffer)
            .attribute(AttributeType(0x8001), &value[..len])
            .priority(5)
            .finish()
            .unwrap();

        let message = Message::parse(&buffer[..written]).unwrap();

        assert_eq!(message.attribute(AttributeType(0x8001)), Some(&value[..len]));
        assert_eq!(message.priority(), Some(5));
    }
}

#[test]
fn only_what_must_be_understood_and_is_not_is_unknown() {
    let mut buffer = [0; 128];
    let len = Builder::new(Class::Request, Method::BINDING, TransactionId([0; 12]), &mut buffer)
        .attribute(AttributeType(0xC057), &[0; 4])
        .priority(1)
        .attribute(AttributeType(0x7001), &[])
        .finish()
        .unwrap();
    let message = Message::parse(&buffer[..len]).unwrap();

    let unknown: Vec<_> = message.unknown_attributes(&[AttributeType::PRIORITY]).collect();

    assert_eq!(unknown, [AttributeType(0x7001)]);
}

#[test]
fn sha256_stands_alone_or_behind_sha1_and_may_be_cut_to_sixteen_bytes() {
    let (old, new) = (IntegrityKey::raw(b"key"), Sha256Key::raw(b"key"));
    let mut buffer = [0; 256];
    fn begin(buffer: &mut [u8]) -> Builder<'_> {
        Builder::new(Class::Request, Method::ALLOCATE, TransactionId([1; 12]), buffer)
    }

    let len = begin(&mut buffer).integrity(&old).integrity_sha256(&new).fingerprint().finish().unwrap();
    let message = Message::parse(&buffer[..len]).unwrap();
    assert_eq!(message.check_integrity(&old), Ok(()));
    assert_eq!(message.check_integrity_sha256(&new), Ok(()));
    assert_eq!(message.check_fingerprint(), Ok(()));

    for len in (0..=36).step_by(4) {
        let written = begin(&mut buffer).username(b"u").finish().unwrap();
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"key").unwrap();
        let mut head = buffer[..written].to_vec();
        head[2..4].copy_from_slice(&u16::try_from(written - HEADER_LEN + 4 + len).unwrap().to_be_bytes());
        mac.update(&head);
        let full = [&mac.finalize().into_bytes()[..], &[0; 4]].concat();
        let written = begin(&mut buffer)
            .username(b"u")
            .attribute(AttributeType::MESSAGE_INTEGRITY_SHA256, &full[..len])
            .finish()
            .unwrap();
        let message = Message::parse(&buffer[..written]).unwrap();
        assert_eq!(message.check_integrity_sha256(&new).is_ok(), (16..=32).contains(&len), "{len} bytes");
    }
}

#[test]
fn keys_are_not_printed() {
    assert_eq!(format!("{:?}", IntegrityKey::short_term(PASSWORD)), "…");
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|c| c.to_digit(16)).map(|digit| u8::try_from(digit).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
