//! A look at the ClientHello, which is not encrypted, before anybody answers it.
//!
//! Chromium's does not fit one datagram, so fragments (RFC 6347 §4.2.3) are put together here as well as, later, in the
//! library: the datagrams are kept and handed on.
//!
//! Invariant: at most [`DATAGRAMS_MAX`] datagrams and [`HELLO_MAX`] bytes are kept.

use crate::params::SrtpProfile;

/// A record of the handshake (RFC 6347 §4.1).
const CONTENT_HANDSHAKE: u8 = 22;
/// RFC 8446 §4.
const CLIENT_HELLO: u8 = 1;
/// RFC 5764 §9.
const EXTENSION_USE_SRTP: u16 = 14;
/// RFC 8446 §4.2.1.
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;
/// RFC 9147 §5.3.
const DTLS_1_3: u16 = 0xfefc;
/// RFC 8446 §4.1.2: bytes of randomness.
const RANDOM_LEN: usize = 32;
/// Higher: room for larger keys of tomorrow (ML-KEM makes it 1.4 kB). Lower: less memory per stranger.
const HELLO_MAX: usize = 8 * 1024;
/// How many datagrams are kept until the message is whole. Higher: survives a smaller path and more repetitions.
const DATAGRAMS_MAX: usize = 16;

/// What a ClientHello tells that matters before it is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// `supported_versions` has DTLS 1.3.
    pub offers_1_3: bool,
    /// The profiles of `use_srtp` that we know, in the client's order.
    pub srtp_profiles: Vec<SrtpProfile>,
}

/// Why there is no ClientHello to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// More than anyone sends.
    #[error("the client hello is too long")]
    TooLong,
    /// It is whole and makes no sense.
    #[error("the client hello is malformed")]
    Malformed,
}

/// Collects the first flight of a client.
#[derive(Debug, Default)]
pub struct Peek {
    datagrams: Vec<Vec<u8>>,
    body: Vec<u8>,
    /// Which bytes of `body` have come, as ranges that do not touch.
    have: Vec<(usize, usize)>,
}

impl Peek {
    /// Takes a datagram; tells once the message is whole. Whatever is not part of a ClientHello is dropped.
    pub fn add(&mut self, datagram: &[u8]) -> Result<Option<Hello>, HelloError> {
        let mut taken = false;
        let mut rest = datagram;
        while let Some((record, after)) = split_record(rest) {
            rest = after;
            if record.content == CONTENT_HANDSHAKE && record.epoch == 0 {
                taken |= self.add_fragments(record.body)?;
            }
        }
        if taken {
            if self.datagrams.len() >= DATAGRAMS_MAX {
                return Err(HelloError::TooLong);
            }
            self.datagrams.push(datagram.to_vec());
        }
        if self.body.is_empty() || self.have != [(0, self.body.len())] {
            return Ok(None);
        }
        parse_hello(&self.body).ok_or(HelloError::Malformed).map(Some)
    }

    /// The datagrams in the order they came, for the library to read.
    #[must_use]
    pub fn into_datagrams(self) -> Vec<Vec<u8>> {
        self.datagrams
    }

    fn add_fragments(&mut self, mut body: &[u8]) -> Result<bool, HelloError> {
        let mut taken = false;
        while let Some((fragment, after)) = split_fragment(body) {
            body = after;
            taken |= self.add_fragment(&fragment)?;
        }
        Ok(taken)
    }

    /// Whether it was a piece of the message that is being collected.
    fn add_fragment(&mut self, fragment: &Fragment<'_>) -> Result<bool, HelloError> {
        if fragment.kind != CLIENT_HELLO || fragment.sequence != 0 || fragment.length == 0 {
            return Ok(false);
        }
        if fragment.length > HELLO_MAX {
            return Err(HelloError::TooLong);
        }
        if self.body.is_empty() {
            self.body = vec![0; fragment.length];
        }
        let end = fragment.offset.saturating_add(fragment.bytes.len());
        if self.body.len() != fragment.length {
            return Ok(false);
        }
        let Some(slot) = self.body.get_mut(fragment.offset..end) else { return Ok(false) };
        slot.copy_from_slice(fragment.bytes);
        self.note(fragment.offset, end);
        Ok(true)
    }

    /// Adds a range to what has come and joins what touches.
    fn note(&mut self, start: usize, end: usize) {
        let (mut start, mut end) = (start, end);
        self.have.retain(|(other_start, other_end)| {
            let apart = *other_end < start || end < *other_start;
            if !apart {
                start = start.min(*other_start);
                end = end.max(*other_end);
            }
            apart
        });
        self.have.push((start, end));
    }
}

struct Record<'a> {
    content: u8,
    epoch: u16,
    body: &'a [u8],
}

/// RFC 6347 §4.1: type, version, epoch, sequence number, length, fragment.
fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<13>()?;
    let &[content, _, _, e0, e1, .., l0, l1] = header;
    let (body, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((Record { content, epoch: u16::from_be_bytes([e0, e1]), body }, after))
}

struct Fragment<'a> {
    kind: u8,
    length: usize,
    sequence: u16,
    offset: usize,
    bytes: &'a [u8],
}

/// RFC 6347 §4.2.2: type, length, message_seq, fragment_offset, fragment_length, body.
fn split_fragment(bytes: &[u8]) -> Option<(Fragment<'_>, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<12>()?;
    let &[kind, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2] = header;
    let (bytes, after) = rest.split_at_checked(uint24(f0, f1, f2))?;
    let fragment = Fragment {
        kind,
        length: uint24(l0, l1, l2),
        sequence: u16::from_be_bytes([s0, s1]),
        offset: uint24(o0, o1, o2),
        bytes,
    };
    Some((fragment, after))
}

/// RFC 8446 §4.1.2 with the cookie of RFC 6347 §4.2.1.
fn parse_hello(body: &[u8]) -> Option<Hello> {
    let mut rest = body.get(2 + RANDOM_LEN..)?;
    let _session_id = take_prefixed_u8(&mut rest)?;
    let _cookie = take_prefixed_u8(&mut rest)?;
    let _cipher_suites = take_prefixed_u16(&mut rest)?;
    let _compression = take_prefixed_u8(&mut rest)?;

    let mut hello = Hello::default();
    if rest.is_empty() {
        return Some(hello);
    }
    let mut extensions = take_prefixed_u16(&mut rest)?;
    while !extensions.is_empty() {
        let kind = take_u16(&mut extensions)?;
        let mut value = take_prefixed_u16(&mut extensions)?;
        match kind {
            EXTENSION_USE_SRTP => hello.srtp_profiles = parse_profiles(take_prefixed_u16(&mut value)?),
            EXTENSION_SUPPORTED_VERSIONS => {
                let mut versions = take_prefixed_u8(&mut value)?;
                while let Some(version) = take_u16(&mut versions) {
                    hello.offers_1_3 |= version == DTLS_1_3;
                }
            }
            _ => {}
        }
    }
    Some(hello)
}

/// RFC 5764 §4.1.2, RFC 7714 §14.2; those we do not know are left out.
fn parse_profiles(mut list: &[u8]) -> Vec<SrtpProfile> {
    let mut profiles = Vec::new();
    while let Some(number) = take_u16(&mut list) {
        let profile = match number {
            0x0001 => SrtpProfile::Aes128CmSha1_80,
            0x0007 => SrtpProfile::AeadAes128Gcm,
            0x0008 => SrtpProfile::AeadAes256Gcm,
            _ => continue,
        };
        if !profiles.contains(&profile) {
            profiles.push(profile);
        }
    }
    profiles
}

const fn uint24(high: u8, middle: u8, low: u8) -> usize {
    (high as usize) << 16 | (middle as usize) << 8 | low as usize
}

fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (head, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*head))
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(head)
}

fn take_prefixed_u8<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&len, after) = rest.split_first()?;
    *rest = after;
    take(rest, usize::from(len))
}

fn take_prefixed_u16<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_u16(rest)?;
    take(rest, usize::from(len))
}
