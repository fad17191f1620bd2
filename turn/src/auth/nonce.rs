//! Nonces that prove by themselves that they are ours (RFC 8489 §9.2): when, and an HMAC over when and for whom.
//!
//! Invariant: nothing is stored; a nonce of another client, of another key or of another hour is none.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::{
    credentials::seconds,
    tuple::{FiveTuple, Transport},
};

/// RFC 8489 §9.2: a nonce that begins so is followed by 24 bits of features in Base64.
const COOKIE: &[u8; 9] = b"obMatJos2";
/// The cookie with its features.
const COOKIE_LEN: usize = COOKIE.len() + 4;
/// Four bytes of time, fourteen of the HMAC.
const RAW_LEN: usize = 18;
/// Their Base64.
const TEXT_LEN: usize = 24;
/// The longest nonce.
pub(crate) const NONCE_MAX: usize = COOKIE_LEN + TEXT_LEN;
/// How far the clock may be set back before nonces are refused for it.
const BACKWARDS_MAX: u32 = 60;

/// RFC 8489 §18.1: what the cookie says we can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// PASSWORD-ALGORITHMS, bit 0.
    pub(super) algorithms: bool,
    /// USERHASH, bit 1.
    pub(super) anonymity: bool,
}

impl Features {
    fn to_text(self) -> [u8; 4] {
        // Bit 0 is the first of 24: 100000… is "gAAA".
        match (self.algorithms, self.anonymity) {
            (false, false) => *b"AAAA",
            (true, false) => *b"gAAA",
            (false, true) => *b"QAAA",
            (true, true) => *b"wAAA",
        }
    }

    fn from_text(text: [u8; 4]) -> Option<Self> {
        let all = [(false, false), (true, false), (false, true), (true, true)];
        let all = all.map(|(algorithms, anonymity)| Self { algorithms, anonymity });
        all.into_iter().find(|features| features.to_text() == text)
    }
}

#[derive(Clone)]
pub(super) struct Nonces {
    key: Hmac<Sha1>,
    lifetime: u32,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nonces({} s)", self.lifetime)
    }
}

impl Nonces {
    pub(super) fn new(key: &[u8; 32], lifetime: Duration) -> Self {
        #[expect(clippy::expect_used, reason = "RFC 2104 takes keys of any length")]
        let key = Hmac::new_from_slice(key).expect("hmac takes keys of any length");
        Self { key, lifetime: u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX) }
    }

    /// Writes one and tells its length.
    pub(super) fn write(
        &self,
        tuple: &FiveTuple,
        features: Option<Features>,
        wall: SystemTime,
        out: &mut [u8; NONCE_MAX],
    ) -> usize {
        let cookie = features.map(Features::to_text);
        let time = clock(wall);
        let mac = self.mac(time, cookie, tuple).finalize().into_bytes();
        let mut raw = [0; RAW_LEN];
        for (slot, byte) in raw.iter_mut().zip(time.to_be_bytes().iter().chain(&mac)) {
            *slot = *byte;
        }
        let mut text = [0; TEXT_LEN];
        // The buffer is as long as the encoding of 18 bytes.
        let _ = STANDARD_NO_PAD.encode_slice(raw, &mut text);
        let cookie = cookie.iter().flat_map(|features| COOKIE.iter().chain(features));
        let mut len = 0;
        for (slot, byte) in out.iter_mut().zip(cookie.chain(&text)) {
            *slot = *byte;
            len += 1;
        }
        len
    }

    /// What was offered with it; `None` when it is not ours, not this client's, or too old.
    pub(super) fn check(&self, nonce: &[u8], tuple: &FiveTuple, wall: SystemTime) -> Option<Features> {
        let (cookie, text) = match nonce.strip_prefix(COOKIE) {
            Some(rest) => {
                let (features, text) = rest.split_first_chunk::<4>()?;
                (Some(*features), text)
            }
            None => (None, nonce),
        };
        let text: &[u8; TEXT_LEN] = text.try_into().ok()?;
        let mut raw = [0; RAW_LEN];
        let (RAW_LEN, (time, mac)) =
            (STANDARD_NO_PAD.decode_slice(text, &mut raw).ok()?, raw.split_first_chunk::<4>()?)
        else {
            return None;
        };
        let time = u32::from_be_bytes(*time);
        let age = clock(wall).wrapping_sub(time);
        if age > self.lifetime && age.wrapping_neg() > BACKWARDS_MAX {
            return None;
        }
        self.mac(time, cookie, tuple).verify_truncated_left(mac).ok()?;
        match cookie {
            Some(features) => Features::from_text(features),
            None => Some(Features::default()),
        }
    }

    fn mac(&self, time: u32, cookie: Option<[u8; 4]>, tuple: &FiveTuple) -> Hmac<Sha1> {
        let mut mac = self.key.clone();
        mac.update(&time.to_be_bytes());
        mac.update(&cookie.unwrap_or_default());
        let transport = match tuple.transport {
            Transport::Udp => 0,
            Transport::Tcp => 1,
            Transport::Tls => 2,
        };
        mac.update(&[transport]);
        for addr in [tuple.client, tuple.server] {
            update(&mut mac, addr);
        }
        mac
    }
}

fn update(mac: &mut Hmac<Sha1>, addr: SocketAddr) {
    match addr.ip() {
        IpAddr::V4(ip) => mac.update(&ip.octets()),
        IpAddr::V6(ip) => mac.update(&ip.octets()),
    }
    mac.update(&addr.port().to_be_bytes());
}

/// Seconds since 1970, as far as 32 bits go: ages are all that matters.
#[expect(clippy::cast_possible_truncation, reason = "it wraps, and differences are taken wrapping")]
fn clock(wall: SystemTime) -> u32 {
    seconds(wall) as u32
}
