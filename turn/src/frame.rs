//! Messages of a stream (RFC 8489 §6.2.2, RFC 8656 §12.5): STUN tells its own length, ChannelData is padded to four.

use crate::{channel::CHANNEL_HEADER_LEN, stun};

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A message, and how many bytes of the stream it takes.
    Message(&'a [u8], usize),
    /// There is more to come: so many bytes altogether, as far as is known.
    Incomplete(usize),
    /// Nothing that TURN says: the stream cannot be read any further.
    Garbage,
}

/// The longest message: a length field of 16 bits behind a STUN header.
pub const FRAME_MAX: usize = u16::MAX as usize + stun::HEADER_LEN;

impl<'a> Frame<'a> {
    /// Cuts the first message off.
    #[must_use]
    pub fn next(stream: &'a [u8]) -> Self {
        let Some((&[first, second, l0, l1], _)) = stream.split_first_chunk::<CHANNEL_HEADER_LEN>() else {
            return match stream.first() {
                Some(first) if first & 0x80 != 0 => Self::Garbage,
                Some(_) | None => Self::Incomplete(CHANNEL_HEADER_LEN),
            };
        };
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let (message, taken) = match first >> 6 {
            0 if len % 4 == 0 => {
                let cookie = stun::MAGIC_COOKIE.to_be_bytes();
                let seen = stream.get(4..stream.len().min(8)).unwrap_or_default();
                if !cookie.starts_with(seen) {
                    return Self::Garbage;
                }
                (stun::HEADER_LEN + len, stun::HEADER_LEN + len)
            }
            1 => (CHANNEL_HEADER_LEN + len, CHANNEL_HEADER_LEN + stun::padded(len)),
            _ => return Self::Garbage,
        };
        let _ = second;
        match (stream.get(..message), stream.len() >= taken) {
            (Some(bytes), true) => Self::Message(bytes, taken),
            (_, _) => Self::Incomplete(taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_wherever_the_stream_is_cut() {
        let stun = [&[0, 1, 0, 0][..], &stun::MAGIC_COOKIE.to_be_bytes(), &[9; 12]].concat();
        let channel = [0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        let stream = [&stun[..], &channel].concat();

        for len in 0..stun.len() {
            assert!(matches!(Frame::next(&stream[..len]), Frame::Incomplete(_)), "{len} bytes");
        }
        assert_eq!(Frame::next(&stream), Frame::Message(&stun, 20));
        let rest = &stream[20..];
        for len in 0..channel.len() {
            assert!(matches!(Frame::next(&rest[..len]), Frame::Incomplete(_)), "{len} bytes");
        }
        assert_eq!(Frame::next(rest), Frame::Message(&channel[..9], 12));
    }

    #[test]
    fn what_is_neither_is_noticed_at_once() {
        for garbage in [&b"\x80"[..], b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01"]
        {
            let stun_like = garbage.first().is_some_and(|first| first >> 6 == 0);
            let channel_like = garbage.first().is_some_and(|first| first >> 6 == 1);
            if channel_like {
                assert!(matches!(Frame::next(garbage), Frame::Incomplete(_)));
            } else {
                assert_eq!(Frame::next(garbage), Frame::Garbage, "{garbage:?} {stun_like}");
            }
        }
        assert_eq!(Frame::next(&[0, 1, 0, 2]), Frame::Garbage, "a length that is no multiple of four");
    }
}
