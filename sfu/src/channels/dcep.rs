//! The Data Channel Establishment Protocol (RFC 8832): the two messages that give a stream its label.

use crate::params::Channel;

/// RFC 8832 §8.2.1.
const ACK: u8 = 0x02;
/// RFC 8832 §8.2.1.
const OPEN: u8 = 0x03;
/// RFC 8832 §5.1: the part of an OPEN before the label.
const OPEN_LEN: usize = 12;
/// RFC 8832 §5.1: the bit of the channel type that says unordered.
const UNORDERED: u8 = 0x80;
/// Higher: longer labels of clients' own. Lower: less to remember per channel.
const LABEL_MAX: usize = 255;

/// Whether messages arrive in the order they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// They do.
    Ordered,
    /// They may overtake each other.
    Unordered,
}

/// How much is done for a message that is lost (RFC 3758).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reliability {
    /// It is repeated until it arrives.
    Reliable,
    /// It is repeated this often.
    Retransmits(u32),
    /// It is repeated for this many milliseconds.
    Lifetime(u32),
}

/// One message on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The stream is to be a channel.
    Open(Open),
    /// It is one.
    Ack,
}

/// What a channel is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// In both directions.
    pub ordering: Ordering,
    /// In both directions.
    pub reliability: Reliability,
    /// Its name. The sub-protocol is not looked at.
    pub label: String,
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DcepError {
    /// It ends too early.
    #[error("the message is cut short")]
    Short,
    /// Neither OPEN nor ACK.
    #[error("unknown message type {0:#04x}")]
    Type(u8),
    /// RFC 8832 §5.1 knows no such channel.
    #[error("unknown channel type {0:#04x}")]
    ChannelType(u8),
    /// The label is too long, or not text.
    #[error("a label of {0} bytes")]
    Label(usize),
}

impl Message {
    /// Reads one message.
    pub fn parse(bytes: &[u8]) -> Result<Self, DcepError> {
        match bytes.first() {
            None => Err(DcepError::Short),
            Some(&ACK) => Ok(Self::Ack),
            Some(&OPEN) => parse_open(bytes).map(Self::Open),
            Some(other) => Err(DcepError::Type(*other)),
        }
    }

    /// The bytes of the message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ack => vec![ACK],
            Self::Open(open) => write_open(open),
        }
    }
}

impl Open {
    /// How a channel of ours is opened (livekit-wire: the three that every client knows).
    #[must_use]
    pub fn for_channel(channel: &Channel) -> Self {
        let label = label(channel).to_owned();
        match channel {
            Channel::Reliable | Channel::Named(_) => {
                Self { ordering: Ordering::Ordered, reliability: Reliability::Reliable, label }
            }
            Channel::Lossy | Channel::DataTrack => {
                Self { ordering: Ordering::Unordered, reliability: Reliability::Retransmits(0), label }
            }
        }
    }

    /// The channel with this label.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match self.label.as_str() {
            LABEL_RELIABLE => Channel::Reliable,
            LABEL_LOSSY => Channel::Lossy,
            LABEL_DATA_TRACK => Channel::DataTrack,
            _ => Channel::Named(self.label.clone()),
        }
    }
}

const LABEL_RELIABLE: &str = "_reliable";
const LABEL_LOSSY: &str = "_lossy";
const LABEL_DATA_TRACK: &str = "_data_track";

fn label(channel: &Channel) -> &str {
    match channel {
        Channel::Reliable => LABEL_RELIABLE,
        Channel::Lossy => LABEL_LOSSY,
        Channel::DataTrack => LABEL_DATA_TRACK,
        Channel::Named(label) => label,
    }
}

/// RFC 8832 §5.1: type, channel type, priority, reliability parameter, label length, protocol length, label, protocol.
fn parse_open(bytes: &[u8]) -> Result<Open, DcepError> {
    let (header, rest) = bytes.split_first_chunk::<OPEN_LEN>().ok_or(DcepError::Short)?;
    let &[_, channel_type, _, _, r0, r1, r2, r3, l0, l1, _, _] = header;
    let parameter = u32::from_be_bytes([r0, r1, r2, r3]);
    let reliability = match channel_type & !UNORDERED {
        0 => Reliability::Reliable,
        1 => Reliability::Retransmits(parameter),
        2 => Reliability::Lifetime(parameter),
        _ => return Err(DcepError::ChannelType(channel_type)),
    };
    let ordering = if channel_type & UNORDERED == 0 { Ordering::Ordered } else { Ordering::Unordered };

    let label_len = usize::from(u16::from_be_bytes([l0, l1]));
    let label = rest.get(..label_len).ok_or(DcepError::Short)?;
    if label_len > LABEL_MAX {
        return Err(DcepError::Label(label_len));
    }
    let label = std::str::from_utf8(label).map_err(|_| DcepError::Label(label_len))?.to_owned();
    Ok(Open { ordering, reliability, label })
}

fn write_open(open: &Open) -> Vec<u8> {
    let (kind, parameter) = match open.reliability {
        Reliability::Reliable => (0, 0),
        Reliability::Retransmits(count) => (1, count),
        Reliability::Lifetime(millis) => (2, millis),
    };
    let order = match open.ordering {
        Ordering::Ordered => 0,
        Ordering::Unordered => UNORDERED,
    };
    let label = open.label.as_bytes();
    let label = label.get(..label.len().min(LABEL_MAX)).unwrap_or_default();
    let label_len = u16::try_from(label.len()).unwrap_or_default();

    let mut bytes = Vec::with_capacity(OPEN_LEN + label.len());
    bytes.extend_from_slice(&[OPEN, kind | order, 0, 0]);
    bytes.extend_from_slice(&parameter.to_be_bytes());
    bytes.extend_from_slice(&label_len.to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(label);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_message_survives_the_wire() {
        for channel in
            [Channel::Reliable, Channel::Lossy, Channel::DataTrack, Channel::Named("chat".to_owned())]
        {
            let open = Open::for_channel(&channel);

            let read = Message::parse(&Message::Open(open.clone()).to_bytes());

            assert_eq!(read, Ok(Message::Open(open.clone())));
            assert_eq!(open.channel(), channel);
        }
    }

    #[test]
    fn what_chromium_sends_for_the_lossy_channel_is_read() {
        let bytes = b"\x03\x81\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00_lossy";

        let Ok(Message::Open(open)) = Message::parse(bytes) else { panic!("not an open message") };

        assert_eq!(open.ordering, Ordering::Unordered);
        assert_eq!(open.reliability, Reliability::Retransmits(0));
        assert_eq!(open.channel(), Channel::Lossy);
    }

    #[test]
    fn a_message_that_is_cut_short_or_unknown_is_an_error() {
        assert_eq!(Message::parse(&[]), Err(DcepError::Short));
        assert_eq!(Message::parse(&[0x55]), Err(DcepError::Type(0x55)));
        assert_eq!(Message::parse(&[0x03; 11]), Err(DcepError::Short));
        let whole = Message::Open(Open::for_channel(&Channel::Reliable)).to_bytes();
        for len in 0..whole.len() {
            assert!(Message::parse(&whole[..len]).is_err(), "{len} bytes");
        }
        let mut unknown = whole;
        unknown[1] = 0x03;
        assert_eq!(Message::parse(&unknown), Err(DcepError::ChannelType(0x03)));
    }

    #[test]
    fn a_label_is_text_of_limited_length() {
        let open = |label: &[u8]| {
            let len = u16::try_from(label.len()).unwrap().to_be_bytes();
            [&[0x03, 0, 0, 0, 0, 0, 0, 0, len[0], len[1], 0, 0][..], label].concat()
        };

        assert_eq!(Message::parse(&open(&[0xff])), Err(DcepError::Label(1)));
        assert_eq!(Message::parse(&open(&[b'a'; 256])), Err(DcepError::Label(256)));
        assert!(Message::parse(&open(&[b'a'; 255])).is_ok());
    }
}
