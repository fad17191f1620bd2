//! RFC 8489 §9.2.4, rule by rule.

use std::collections::BTreeMap;

use super::*;
use crate::{
    credentials::Secret,
    fixture,
    stun::{Builder, Class, IntegrityKey, Method, Sha256Key, TransactionId},
};

const NONCE_LIFETIME: Duration = Duration::from_secs(3_600);

#[test]
fn a_nonce_is_good_for_its_client_and_its_hour() {
    let auth = authenticator(OfferSha256::Streams);
    let mut nonce = [0; NONCE_MAX];
    let len = auth.write_nonce(&tuple(1), fixture::wall(), &mut nonce);
    let at = |seconds| fixture::wall() + Duration::from_secs(seconds);
    let good = |nonce: &[u8], tuple, wall| auth.nonces.check(nonce, &tuple, wall).is_some();

    assert_eq!(len, 24);
    assert!(good(&nonce[..len], tuple(1), at(0)) && good(&nonce[..len], tuple(1), at(3_600)));
    assert!(!good(&nonce[..len], tuple(1), at(3_601)), "an hour is over");
    assert!(!good(&nonce[..len], tuple(2), at(0)), "another client's");
    let other = Authenticator::new(REALM, credentials(), OfferSha256::Streams, [8; 32], NONCE_LIFETIME);
    assert!(other.nonces.check(&nonce[..len], &tuple(1), at(0)).is_none(), "another server's");
    for bit in 0..len * 8 {
        let mut forged = nonce;
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(!good(&forged[..len], tuple(1), at(0)), "bit {bit}");
    }
    for cut in 0..len {
        assert!(!good(&nonce[..cut], tuple(1), at(0)), "{cut} bytes");
    }
}

#[test]
fn sha256_is_offered_by_the_cookie_and_cannot_be_taken_back() {
    let auth = authenticator(OfferSha256::Everywhere);
    let mut nonce = [0; NONCE_MAX];
    let len = auth.write_nonce(&tuple(1), fixture::wall(), &mut nonce);
    let nonce = &nonce[..len];
    assert!(nonce.starts_with(b"obMatJos2wAAA"), "algorithms and hashes of names");
    let list = PASSWORD_ALGORITHMS;
    let swapped = [0, 1, 0, 0, 0, 2, 0, 0];
    let both =
        [(AttributeType::PASSWORD_ALGORITHMS, &list[..]), (AttributeType::PASSWORD_ALGORITHM, &[0, 2, 0, 0])];

    let verdict = |extra: &[(AttributeType, &[u8])], algorithm| {
        ask(&auth, &Asked { nonce, extra, algorithm, ..Asked::default() })
    };

    assert_eq!(verdict(&both, Algorithm::Sha256), Ok(()));
    assert_eq!(verdict(&[], Algorithm::Md5), Ok(()), "who does not know the cookie");
    assert_eq!(verdict(&both[..1], Algorithm::Md5), Err(Refused::Bad), "the list alone");
    assert_eq!(verdict(&both[1..], Algorithm::Sha256), Err(Refused::Bad), "the choice alone");
    let changed = [(AttributeType::PASSWORD_ALGORITHMS, &swapped[..]), both[1]];
    assert_eq!(verdict(&changed, Algorithm::Sha256), Err(Refused::Bad), "another list");
    let unknown = [both[0], (AttributeType::PASSWORD_ALGORITHM, &[0, 3, 0, 0])];
    assert_eq!(verdict(&unknown, Algorithm::Md5), Err(Refused::Bad), "a choice that was not offered");
    let stripped = &nonce[13..];
    let without = Asked { nonce: stripped, ..Asked::default() };
    assert_eq!(ask(&auth, &without).unwrap_err(), stale(), "a nonce whose cookie was cut off");
}

#[test]
fn what_is_missing_is_a_bad_request_and_what_is_wrong_a_challenge() {
    let auth = authenticator(OfferSha256::Streams);
    let mut nonce = [0; NONCE_MAX];
    let len = auth.write_nonce(&tuple(1), fixture::wall(), &mut nonce);
    let good = Asked { nonce: &nonce[..len], ..Asked::default() };
    let wrong = |failure| Err(Refused::Challenge(ErrorCode::UNAUTHENTICATED, failure));

    assert_eq!(ask(&auth, &good), Ok(()));
    assert_eq!(ask(&auth, &Asked { username: None, ..good }), Err(Refused::Bad));
    assert_eq!(ask(&auth, &Asked { realm: None, ..good }), Err(Refused::Bad));
    assert_eq!(ask(&auth, &Asked { nonce: b"", ..good }), Err(stale()));
    assert_eq!(ask(&auth, &Asked { nonce: b"obMatJos2", ..good }), Err(stale()));
    assert_eq!(ask(&auth, &Asked { nonce: b"obMatJos2AAAA", ..good }), Err(stale()));
    assert_eq!(ask(&auth, &Asked { realm: Some("elsewhere"), ..good }), wrong(Failure::Realm));
    assert_eq!(ask(&auth, &Asked { password: "other", ..good }), wrong(Failure::Password));
    assert_eq!(ask(&auth, &Asked { username: Some("bob"), ..good }), wrong(Failure::Password));
    assert_eq!(ask(&auth, &Asked { signature: None, ..good }), wrong(Failure::First));
}

#[test]
fn a_name_may_be_told_by_its_hash() {
    let auth = authenticator(OfferSha256::Streams);
    let mut nonce = [0; NONCE_MAX];
    let len = auth.write_nonce(&tuple(1), fixture::wall(), &mut nonce);
    let hash = userhash(b"ann", REALM);
    let extra = [(AttributeType::USERHASH, &hash[..])];
    let hashed = Asked { nonce: &nonce[..len], username: None, extra: &extra, ..Asked::default() };

    assert_eq!(ask(&auth, &hashed), Ok(()));
    let other = [(AttributeType::USERHASH, &[0; 32][..])];
    let refused = Err(Refused::Challenge(ErrorCode::UNAUTHENTICATED, Failure::Password));
    assert_eq!(ask(&auth, &Asked { extra: &other, ..hashed }), refused);
}

#[test]
fn either_signature_is_taken_with_either_hash() {
    let auth = authenticator(OfferSha256::Everywhere);
    let mut nonce = [0; NONCE_MAX];
    let len = auth.write_nonce(&tuple(1), fixture::wall(), &mut nonce);
    let list = (AttributeType::PASSWORD_ALGORITHMS, &PASSWORD_ALGORITHMS[..]);
    for (algorithm, chosen) in [(Algorithm::Md5, [0, 1, 0, 0]), (Algorithm::Sha256, [0, 2, 0, 0])] {
        for signature in [Signature::Sha1, Signature::Sha256, Signature::Both] {
            let extra = [list, (AttributeType::PASSWORD_ALGORITHM, &chosen[..])];
            let asked = Asked {
                nonce: &nonce[..len],
                extra: &extra,
                algorithm,
                signature: Some(signature),
                ..Asked::default()
            };
            assert_eq!(ask(&auth, &asked), Ok(()), "{algorithm:?} {signature:?}");
        }
    }
}

const REALM: &str = "example.org";

fn stale() -> Refused {
    Refused::Challenge(ErrorCode::STALE_NONCE, Failure::Nonce)
}

#[derive(Clone, Copy, Debug)]
enum Signature {
    Sha1,
    Sha256,
    Both,
}

#[derive(Clone, Copy)]
struct Asked<'a> {
    username: Option<&'a str>,
    realm: Option<&'a str>,
    nonce: &'a [u8],
    password: &'a str,
    extra: &'a [(AttributeType, &'a [u8])],
    algorithm: Algorithm,
    signature: Option<Signature>,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self {
            username: Some("ann"),
            realm: Some(REALM),
            nonce: b"",
            password: "secret",
            extra: &[],
            algorithm: Algorithm::Md5,
            signature: Some(Signature::Sha1),
        }
    }
}

fn ask(auth: &Authenticator, asked: &Asked<'_>) -> Result<(), Refused> {
    let mut buffer = [0; 512];
    let mut builder = Builder::new(Class::Request, Method::ALLOCATE, TransactionId([3; 12]), &mut buffer);
    if let Some(name) = asked.username {
        builder = builder.username(name.as_bytes());
    }
    if let Some(realm) = asked.realm {
        builder = builder.attribute(AttributeType::REALM, realm.as_bytes());
    }
    builder = builder.attribute(AttributeType::NONCE, asked.nonce);
    for (kind, value) in asked.extra {
        builder = builder.attribute(*kind, value);
    }
    let (name, password) = (asked.username.unwrap_or("ann").as_bytes(), asked.password.as_bytes());
    let key = match LongTermKey::derive(asked.algorithm, name, asked.realm.unwrap_or(REALM), password) {
        LongTermKey::Md5(key) => key.to_vec(),
        LongTermKey::Sha256(key) => key.to_vec(),
    };
    let (old, new) = (IntegrityKey::raw(&key), Sha256Key::raw(&key));
    builder = match asked.signature {
        Some(Signature::Sha1) => builder.integrity(&old),
        Some(Signature::Sha256) => builder.integrity_sha256(&new),
        Some(Signature::Both) => builder.integrity(&old).integrity_sha256(&new),
        None => builder,
    };
    let len = builder.finish().unwrap();
    let message = Message::parse(&buffer[..len]).unwrap();
    auth.check(&message, &tuple(1), None, fixture::wall()).map(|found| {
        let Found::Caller(caller) = found else { panic!("nobody is known") };
        assert_eq!((caller.user, caller.username), (&b"ann"[..], &b"ann"[..]));
    })
}

fn tuple(client: u8) -> FiveTuple {
    let addr = |last, port| std::net::SocketAddr::from(([192, 0, 2, last], port));
    FiveTuple { transport: Transport::Udp, client: addr(client, 5_000), server: addr(200, 3_478) }
}

fn credentials() -> Credentials {
    Credentials::new(REALM, &[], BTreeMap::from([(b"ann".to_vec(), Secret::new("secret"))]))
}

fn authenticator(offer: OfferSha256) -> Authenticator {
    Authenticator::new(REALM, credentials(), offer, [7; 32], NONCE_LIFETIME)
}
