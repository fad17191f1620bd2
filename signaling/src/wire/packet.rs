//! Data packets as they are forwarded: the sender is written anew, the rest is copied as it came.
//!
//! Invariants: fields and values nobody here knows survive; what is written names the sender it is given.
#![expect(deprecated, reason = "old clients read the old fields")]

use prost::Message as _;

use super::proto::{self, data_packet::Kind};

/// How many destinations a packet may name.
const DESTINATIONS_MAX: usize = 4096;

/// Who a packet is from.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// Their sid.
    pub sid: &'a str,
    /// Their identity.
    pub identity: &'a str,
}

/// Who a packet is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// By identity.
    pub identities: Vec<String>,
    /// By sid.
    pub sids: Vec<String>,
}

impl Destinations {
    /// Whether nobody is named.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.identities.is_empty() && self.sids.is_empty()
    }

    /// Who a packet of ours is for.
    #[must_use]
    pub fn of(packet: &proto::DataPacket) -> Self {
        let sids = match &packet.value {
            Some(proto::data_packet::Value::User(user)) => user.destination_sids.clone(),
            _ => Vec::new(),
        };
        Self { identities: packet.destination_identities.clone(), sids }
    }
}

/// What a packet carries, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A message of the application.
    User,
    /// What somebody said, in writing.
    Transcription,
    /// What may be said in the name of others: chat and streams.
    Spoken,
    /// Figures for the server.
    Metrics,
    /// Everything else.
    Other,
}

// Field numbers of DataPacket.
const KIND: u32 = 1;
const USER: u32 = 2;
const PARTICIPANT_IDENTITY: u32 = 4;
const DESTINATION_IDENTITIES: u32 = 5;
const TRANSCRIPTION: u32 = 7;
const METRICS: u32 = 8;
const CHAT_MESSAGE: u32 = 9;
const STREAM_HEADER: u32 = 13;
const STREAM_TRAILER: u32 = 15;
const SEQUENCE: u32 = 16;
const PARTICIPANT_SID: u32 = 17;

/// A packet from a client.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Every field that is copied, in its order.
    copied: Vec<&'a [u8]>,
    value: Value,
    user: Option<proto::UserPacket>,
    identity: String,
    identities: Vec<String>,
    sequence: u32,
}

impl<'a> Packet<'a> {
    /// Reads a packet; nothing when it is malformed.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut packet = Self {
            copied: Vec::new(),
            value: Value::Other,
            user: None,
            identity: String::new(),
            identities: Vec::new(),
            sequence: 0,
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (field, after) = Field::read(rest)?;
            rest = after;
            packet.take(&field)?;
        }
        Some(packet)
    }

    fn take(&mut self, field: &Field<'a>) -> Option<()> {
        match field.number {
            KIND | PARTICIPANT_SID => return Some(()),
            PARTICIPANT_IDENTITY => {
                self.identity = field.text()?;
                return Some(());
            }
            USER => {
                self.value = Value::User;
                self.user = Some(proto::UserPacket::decode(field.payload).ok()?);
                return Some(());
            }
            DESTINATION_IDENTITIES => {
                if self.identities.len() >= DESTINATIONS_MAX {
                    return None;
                }
                self.identities.push(field.text()?);
            }
            SEQUENCE => self.sequence = u32::try_from(field.number_value).ok()?,
            TRANSCRIPTION => self.value = Value::Transcription,
            METRICS => self.value = Value::Metrics,
            CHAT_MESSAGE | STREAM_HEADER..=STREAM_TRAILER => self.value = Value::Spoken,
            _ => {}
        }
        self.copied.push(field.bytes);
        Some(())
    }

    /// What it carries.
    #[must_use]
    pub fn value(&self) -> Value {
        self.value
    }

    /// Its number among the sender's reliable packets; zero when the sender does not count.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Whose words it claims to carry.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Who it is for.
    #[must_use]
    pub fn destinations(&self) -> Destinations {
        let user = self.user.as_ref();
        if !self.identities.is_empty() {
            return Destinations { identities: self.identities.clone(), sids: Vec::new() };
        }
        Destinations {
            identities: user.map(|user| user.destination_identities.clone()).unwrap_or_default(),
            sids: user.map(|user| user.destination_sids.clone()).unwrap_or_default(),
        }
    }

    /// The packet as receivers get it.
    #[must_use]
    pub fn write(&self, sender: &Sender<'_>, kind: Kind) -> Vec<u8> {
        let mut head = proto::DataPacket {
            kind: kind as i32,
            participant_identity: sender.identity.to_string(),
            participant_sid: sender.sid.to_string(),
            ..Default::default()
        };
        if let Some(user) = &self.user {
            let mut user = user.clone();
            user.participant_sid = sender.sid.to_string();
            user.participant_identity = sender.identity.to_string();
            if user.destination_identities.is_empty() {
                user.destination_identities.clone_from(&self.identities);
            }
            if self.identities.is_empty() {
                head.destination_identities.clone_from(&user.destination_identities);
            }
            head.value = Some(proto::data_packet::Value::User(user));
        }
        let copied = self.copied.iter().map(|field| field.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(head.encoded_len().saturating_add(copied));
        // A vector has always room.
        let _ = head.encode(&mut bytes);
        self.copied.iter().for_each(|field| bytes.extend_from_slice(field));
        bytes
    }
}

/// One field of a message (protobuf encoding, "Message Structure").
struct Field<'a> {
    number: u32,
    /// The whole of it, with its tag.
    bytes: &'a [u8],
    /// Of a length-delimited field.
    payload: &'a [u8],
    /// Of a varint.
    number_value: u64,
}

impl<'a> Field<'a> {
    /// The next field and what follows it. Groups are refused.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, mut rest) = varint(bytes)?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
        let (mut payload, mut number_value) = (&[][..], 0);
        match tag & 7 {
            0 => (number_value, rest) = varint(rest)?,
            1 => rest = rest.get(8..)?,
            2 => {
                let (len, after) = varint(rest)?;
                let len = usize::try_from(len).ok()?;
                payload = after.get(..len)?;
                rest = after.get(len..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
        let taken = bytes.len().checked_sub(rest.len())?;
        Some((Self { number, bytes: bytes.get(..taken)?, payload, number_value }, rest))
    }

    fn text(&self) -> Option<String> {
        std::str::from_utf8(self.payload).ok().map(str::to_string)
    }
}

/// A number of at most ten bytes.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let shift = u32::try_from(index).ok()?.checked_mul(7)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index.checked_add(1)?..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Sender<'static> = Sender { sid: "PA_me", identity: "me" };

    #[test]
    fn the_sender_is_written_and_the_kind_follows_the_channel() {
        let packet = proto::DataPacket {
            kind: Kind::Lossy as i32,
            participant_identity: "somebody else".into(),
            participant_sid: "PA_else".into(),
            sequence: 7,
            value: Some(proto::data_packet::Value::User(proto::UserPacket {
                payload: b"hi".to_vec(),
                participant_identity: "somebody else".into(),
                ..Default::default()
            })),
            ..Default::default()
        };

        let written = forward(&packet.encode_to_vec(), Kind::Reliable);

        assert_eq!(
            (written.participant_identity.as_str(), written.participant_sid.as_str()),
            ("me", "PA_me")
        );
        assert_eq!((written.kind, written.sequence), (Kind::Reliable as i32, 7));
        let Some(proto::data_packet::Value::User(user)) = written.value else { panic!("no user packet") };
        assert_eq!((user.participant_identity.as_str(), user.payload.as_slice()), ("me", b"hi".as_slice()));
    }

    #[test]
    fn what_nobody_knows_survives() {
        let mut bytes = proto::DataPacket { sequence: 3, ..Default::default() }.encode_to_vec();
        let tomorrow = [0xa2, 0x06, 0x02, b'h', b'i']; // Field 100, two bytes.
        bytes.extend_from_slice(&tomorrow);

        let packet = Packet::read(&bytes).unwrap();
        let written = packet.write(&SENDER, Kind::Reliable);

        assert!(written.windows(tomorrow.len()).any(|window| window == tomorrow));
    }

    #[test]
    fn destinations_are_read_from_either_place_and_mirrored() {
        let user = proto::UserPacket { destination_identities: vec!["ann".into()], ..Default::default() };
        let packet =
            proto::DataPacket { value: Some(proto::data_packet::Value::User(user)), ..Default::default() };
        let bytes = packet.encode_to_vec();

        assert_eq!(Packet::read(&bytes).unwrap().destinations().identities, vec!["ann".to_string()]);
        assert_eq!(forward(&bytes, Kind::Lossy).destination_identities, vec!["ann".to_string()]);
    }

    #[test]
    fn every_cut_is_refused_or_read() {
        let packet = proto::DataPacket {
            destination_identities: vec!["ann".into(), "bob".into()],
            value: Some(proto::data_packet::Value::User(proto::UserPacket {
                payload: vec![1; 20],
                ..Default::default()
            })),
            ..Default::default()
        };
        let bytes = packet.encode_to_vec();
        for cut in 0..bytes.len() {
            let _ = Packet::read(&bytes[..cut]);
        }
        assert!(Packet::read(&bytes[..bytes.len() - 1]).is_none());
        assert!(Packet::read(&[0x0b]).is_none(), "groups are refused");
        assert!(Packet::read(&[0xff; 11]).is_none());
    }

    fn forward(bytes: &[u8], kind: Kind) -> proto::DataPacket {
        let written = Packet::read(bytes).unwrap().write(&SENDER, kind);
        proto::DataPacket::decode(written.as_slice()).unwrap()
    }
}
