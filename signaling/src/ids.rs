//! Names: what LiveKit clients call things, and the numbers the media plane knows them by.
//!
//! Invariant: numbers and sids are never reused; both come from one generator per room, so one seed is one run.

use std::fmt;

use aws_lc_rs::digest;
use sfu::ids::{ParticipantId, RoomId, SubscriptionId, TrackId, TransportId};

/// One WebSocket of a client; a resumed participant gets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session-{}", self.0)
    }
}

/// What the generator starts from: whoever knows it knows every ICE password of the room.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A generator that cannot be guessed forward or backward without its seed: SHA-256 over seed and counter.
#[derive(Debug)]
pub struct Random {
    seed: Seed,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn byte(&mut self) -> u8 {
        if self.used >= self.block.len() {
            let mut context = digest::Context::new(&digest::SHA256);
            context.update(&self.seed.0);
            context.update(&self.counter.to_be_bytes());
            self.block.copy_from_slice(context.finish().as_ref());
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used = self.used.saturating_add(1);
        byte
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        u64::from_be_bytes(bytes)
    }

    /// Bytes for a nonce or a trailer.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.byte()).take(len).collect()
    }

    /// Characters of an alphabet, each as likely as the others.
    pub fn text(&mut self, alphabet: &[u8], len: usize) -> String {
        let size = u8::try_from(alphabet.len()).unwrap_or(u8::MAX).max(1);
        let fair = u8::MAX - u8::MAX % size;
        let mut text = String::with_capacity(len);
        while text.len() < len {
            let byte = self.byte();
            if byte >= fair {
                continue;
            }
            if let Some(letter) = alphabet.get(usize::from(byte % size)) {
                text.push(char::from(*letter));
            }
        }
        text
    }
}

/// Letters that no reader mistakes for another (base57).
const SID_ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// ice-char without `+` and `/` (RFC 8839 §5.4).
const ICE_ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SID_LEN: usize = 12;
const UFRAG_LEN: usize = 8;
const PWD_LEN: usize = 28;

/// A sid: its prefix, then twelve letters.
#[must_use]
pub fn sid(prefix: &str, random: &mut Random) -> String {
    format!("{prefix}{}", random.text(SID_ALPHABET, SID_LEN))
}

/// ICE credentials for a transport of a worker.
#[must_use]
pub fn ice_credentials(worker: u16, random: &mut Random) -> sfu::params::IceCredentials {
    let mut ufrag: String =
        sfu::params::ufrag_prefix(worker).iter().map(|letter| char::from(*letter)).collect();
    ufrag.push_str(&random.text(ICE_ALPHABET, UFRAG_LEN));
    sfu::params::IceCredentials { ufrag, pwd: sfu::params::Secret(random.text(ICE_ALPHABET, PWD_LEN)) }
}

/// Gives out the media plane's numbers for one room.
///
/// The media plane's names are one space for all rooms of a process: the room's number is their upper half.
#[derive(Debug)]
pub struct Numbers {
    room: RoomId,
    next: u64,
}

/// A room that gave out four thousand million names has lived long enough.
const ROOM_SHIFT: u32 = 32;

impl Numbers {
    /// For a room; two rooms never share a number as long as [`RoomId`]s stay below 2³².
    #[must_use]
    pub fn new(room: RoomId) -> Self {
        Self { room, next: 1 }
    }

    fn next(&mut self) -> u64 {
        let number = (self.room.0 << ROOM_SHIFT) | self.next;
        self.next = self.next.wrapping_add(1);
        number
    }

    /// The next participant.
    pub fn participant(&mut self) -> ParticipantId {
        ParticipantId(self.next())
    }

    /// The next transport.
    pub fn transport(&mut self) -> TransportId {
        TransportId(self.next())
    }

    /// The next track.
    pub fn track(&mut self) -> TrackId {
        TrackId(self.next())
    }

    /// The next subscription.
    pub fn subscription(&mut self) -> SubscriptionId {
        SubscriptionId(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_run() {
        let (mut one, mut two) = (Random::new(Seed([7; 32])), Random::new(Seed([7; 32])));

        assert_eq!(sid("PA_", &mut one), sid("PA_", &mut two));
        assert_ne!(one.number(), one.number());
    }

    #[test]
    fn a_sid_is_its_prefix_and_letters_nobody_confuses() {
        let sid = sid("PA_", &mut Random::new(Seed([1; 32])));

        assert_eq!(sid.len(), 15);
        assert!(sid.starts_with("PA_"));
        assert!(!sid.bytes().skip(3).any(|letter| b"01IOl".contains(&letter)));
    }

    #[test]
    fn credentials_name_their_worker_and_are_long_enough() {
        let credentials = ice_credentials(1, &mut Random::new(Seed([1; 32])));

        assert!(credentials.ufrag.starts_with("01"));
        assert!(credentials.ufrag.len() >= 8, "RFC 8445 §5.3 asks for 4");
        assert!(credentials.pwd.0.len() >= 22, "RFC 8445 §5.3");
    }

    #[test]
    fn numbers_of_two_rooms_never_meet() {
        let (mut one, mut two) = (Numbers::new(RoomId(1)), Numbers::new(RoomId(2)));

        assert_ne!(one.transport(), two.transport());
        assert_ne!(one.track().0, one.transport().0);
    }
}
