//! Names and passwords: minted for a while from a shared secret, or written down.
//!
//! A minted name is `expiry:user`, its password the Base64 of HMAC-SHA1 over the name (the form coturn and every WebRTC
//! service use, draft-uberti-behave-turn-rest-00). The server keeps no record of them.
//!
//! Invariants:
//! - a secret cannot be printed;
//! - names are bytes: nothing in them is interpreted but the expiry.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Any bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// How long it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What a client is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// `expiry:user`.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Until when an allocation can be made with it. One that was made lives on.
    pub expires: SystemTime,
}

impl Minted {
    /// The password in the clear, for whoever it is minted for.
    #[must_use]
    pub fn password(&self) -> String {
        String::from_utf8_lossy(&self.password.0).into_owned()
    }
}

/// Mints credentials for a user.
#[must_use]
pub fn mint(secret: &Secret, user: &str, lifetime: Duration, now: SystemTime) -> Minted {
    let expires = now + lifetime;
    let username = format!("{}:{user}", seconds(expires));
    let password = Secret::new(minted_password(&keyed(secret), username.as_bytes()));
    Minted { username, password, expires }
}

/// The Base64 of 20 bytes.
const MINTED_LEN: usize = 28;

/// Everybody who may relay.
#[derive(Clone)]
pub struct Credentials {
    secrets: Vec<Hmac<Sha1>>,
    users: BTreeMap<Vec<u8>, Secret>,
    by_hash: BTreeMap<[u8; 32], Vec<u8>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} secrets, {} users)", self.secrets.len(), self.users.len())
    }
}

/// A name that may be right: whose it is, and the passwords one of which would prove it.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    /// Whom quotas and bills name: a minted name without its expiry.
    pub(crate) user: &'a [u8],
    pub(crate) username: &'a [u8],
    kind: Kind<'a>,
}

#[derive(Debug)]
enum Kind<'a> {
    Minted,
    Written(&'a Secret),
    /// Nobody, or not any more: takes as long to refuse as a wrong password.
    Nobody,
}

/// Whether an account exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    Real,
    Nobody,
}

impl Credentials {
    /// Secrets: the one that mints, and the one before it during a rotation. Users: names and passwords.
    #[must_use]
    pub fn new(realm: &str, secrets: &[Secret], users: BTreeMap<Vec<u8>, Secret>) -> Self {
        let by_hash = users.keys().map(|name| (userhash(name, realm), name.clone())).collect();
        Self { secrets: secrets.iter().map(keyed).collect(), users, by_hash }
    }

    /// Whether names can be told by their hash (RFC 8489 §14.4): minted ones are not known beforehand.
    pub(crate) fn knows_hashes(&self) -> bool {
        !self.by_hash.is_empty()
    }

    /// The name behind a USERHASH.
    pub(crate) fn name_of(&self, hash: &[u8]) -> Option<&[u8]> {
        let hash: [u8; 32] = hash.try_into().ok()?;
        self.by_hash.get(&hash).map(Vec::as_slice)
    }

    /// Whose name it is.
    pub(crate) fn account<'a>(&'a self, username: &'a [u8], wall: SystemTime) -> Account<'a> {
        if let Some(password) = self.users.get(username) {
            return Account { user: username, username, kind: Kind::Written(password) };
        }
        let kind = match split_expiry(username) {
            Some((expiry, user)) if expiry > seconds(wall) && !self.secrets.is_empty() => {
                return Account { user, username, kind: Kind::Minted };
            }
            Some(_) | None => Kind::Nobody,
        };
        Account { user: username, username, kind }
    }

    /// Asks for each password whether it is the one.
    pub(crate) fn try_passwords<T>(
        &self,
        account: &Account<'_>,
        mut matches: impl FnMut(&[u8], Existence) -> Option<T>,
    ) -> Option<T> {
        match account.kind {
            Kind::Minted => self
                .secrets
                .iter()
                .find_map(|secret| matches(&minted_password(secret, account.username), Existence::Real)),
            Kind::Written(password) => matches(&password.0, Existence::Real),
            Kind::Nobody => matches(&[b'x'; MINTED_LEN], Existence::Nobody),
        }
    }
}

/// USERHASH of a name (RFC 8489 §14.4).
pub(crate) fn userhash(username: &[u8], realm: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(username);
    hash.update(b":");
    hash.update(realm.as_bytes());
    hash.finalize().into()
}

/// `expiry:user`, or the other way round as some services write it.
fn split_expiry(username: &[u8]) -> Option<(u64, &[u8])> {
    let text = std::str::from_utf8(username).ok()?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    if let Some((expiry, user)) = text.split_once(':')
        && let Some(expiry) = number(expiry)
    {
        return Some((expiry, user.as_bytes()));
    }
    let (user, expiry) = text.rsplit_once(':')?;
    Some((number(expiry)?, user.as_bytes()))
}

fn minted_password(secret: &Hmac<Sha1>, username: &[u8]) -> [u8; MINTED_LEN] {
    let mut mac = secret.clone();
    mac.update(username);
    let mut password = [0; MINTED_LEN];
    // The buffer is as long as the encoding of an HMAC-SHA1.
    let _ = STANDARD.encode_slice(mac.finalize().into_bytes(), &mut password);
    password
}

fn keyed(secret: &Secret) -> Hmac<Sha1> {
    #[expect(clippy::expect_used, reason = "RFC 2104 takes keys of any length")]
    Hmac::new_from_slice(&secret.0).expect("hmac takes keys of any length")
}

/// Since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn what_is_minted_is_what_every_turn_service_mints() {
        // printf '1433895918:ninefingers' | openssl dgst -sha1 -hmac north -binary | base64
        let at = UNIX_EPOCH + Duration::from_secs(1_433_895_918) - HOUR;

        let minted = mint(&Secret::new("north"), "ninefingers", HOUR, at);

        assert_eq!(minted.username, "1433895918:ninefingers");
        assert_eq!(minted.password(), EXPECTED);
        assert!(!format!("{minted:?}").contains(EXPECTED));
    }

    const EXPECTED: &str = "jy8hTxmOO7UtEKXqSkSlvakPVYA=";

    #[test]
    fn a_name_is_good_until_its_expiry_and_not_at_it() {
        let credentials = Credentials::new("r", &[Secret::new("s")], BTreeMap::new());
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (name, real, user) in [
            ("1001:ann", true, "ann"),
            ("1000:ann", false, "1000:ann"),
            ("ann:1001", true, "ann"),
            ("1001:a:b", true, "a:b"),
            ("1001", false, "1001"),
            (":ann", false, ":ann"),
            ("-1:ann", false, "-1:ann"),
            ("99999999999999999999999:ann", false, "99999999999999999999999:ann"),
        ] {
            let account = credentials.account(name.as_bytes(), now);
            let found = credentials.try_passwords(&account, |_, existence| Some(existence)).unwrap();
            assert_eq!((found == Existence::Real, account.user), (real, user.as_bytes()), "{name}");
        }
    }

    #[test]
    fn both_secrets_of_a_rotation_are_tried() {
        let (new, old) = (Secret::new("new"), Secret::new("old"));
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let credentials = Credentials::new("r", &[new.clone(), old.clone()], BTreeMap::new());
        for secret in [&new, &old] {
            let minted = mint(secret, "ann", HOUR, now);
            let account = credentials.account(minted.username.as_bytes(), now);
            let found = credentials.try_passwords(&account, |password, _| {
                (password == minted.password().as_bytes()).then_some(())
            });
            assert_eq!(found, Some(()));
        }
    }

    #[test]
    fn written_users_are_known_by_name_and_by_hash() {
        let users = BTreeMap::from([(b"ann".to_vec(), Secret::new("pw"))]);
        let credentials = Credentials::new("example.org", &[], users);

        assert_eq!(credentials.name_of(&userhash(b"ann", "example.org")), Some(&b"ann"[..]));
        assert_eq!(credentials.name_of(&userhash(b"bob", "example.org")), None);
        assert_eq!(credentials.name_of(b"short"), None);
    }
}
