//! The client's side of SCTP and DCEP, for tests: the initiator of the association.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppid, ReliabilityType, StreamEvent, TransportConfig,
};

use super::{DcepMessage, Open, Ordering, Reliability};
use crate::params::Channel;

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5000);

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientEvent {
    Opened(Channel),
    Message(Channel, Bytes),
    Lost,
}

/// How its channels get their streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// It opens them in band, at even ids (RFC 8832 §6).
    InBand,
    /// Both sides know them: 100 and on.
    Negotiated,
}

/// What a message on a stream says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// DCEP.
    Control,
    /// A string.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    /// RFC 8831 §6.6: empty messages are one byte with an identifier of their own.
    fn ppid(self, message: &Bytes) -> Ppid {
        match (self, message.is_empty()) {
            (Self::Control, _) => Ppid::Dcep,
            (Self::Text, false) => Ppid::String,
            (Self::Text, true) => Ppid::StringEmpty,
            (Self::Binary, false) => Ppid::Binary,
            (Self::Binary, true) => Ppid::BinaryEmpty,
        }
    }
}

/// The initiating side of an association.
pub(crate) struct Client {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    labels: BTreeMap<u16, Channel>,
    wanted: Vec<(u16, Channel)>,
    ids: Ids,
    pub(crate) events: VecDeque<ClientEvent>,
    up: bool,
}

impl Client {
    /// Sends INIT. The channels are opened in band at even ids, or taken for granted where they were negotiated.
    pub(crate) fn new(channels: &[Channel], ids: Ids) -> Option<Self> {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), None);
        let transport = TransportConfig::default()
            .with_max_init_retransmits(None)
            .with_rto_initial_ms(500)
            .with_rto_max_ms(2_000)
            .with_max_send_message_size(1024 * 1024);
        let mut config = ClientConfig::default();
        config.transport = Arc::new(transport);
        let (handle, association) = endpoint.connect(config, NOWHERE).ok()?;
        let (first, step) = match ids {
            Ids::InBand => (0, 2),
            Ids::Negotiated => (100, 1),
        };
        let wanted =
            (0_u16..).zip(channels).map(|(index, channel)| (first + step * index, channel.clone())).collect();
        Some(Self {
            endpoint,
            handle,
            association,
            labels: BTreeMap::new(),
            wanted,
            ids,
            events: VecDeque::new(),
            up: false,
        })
    }

    pub(crate) fn handle(&mut self, packet: &[u8], now: Instant) {
        let event = self.endpoint.handle(now, NOWHERE, None, None, Bytes::copy_from_slice(packet));
        if let Some((handle, DatagramEvent::AssociationEvent(event))) = event
            && handle == self.handle
        {
            self.association.handle_event(event);
        }
        self.drive();
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.drive();
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    pub(crate) fn transmit(&mut self, now: Instant) -> Vec<Bytes> {
        let mut all = Vec::new();
        while let Some(transmit) = self.association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = transmit.payload {
                all.extend(packets);
            }
        }
        all
    }

    /// Whether it was written.
    pub(crate) fn send(&mut self, channel: &Channel, message: &Bytes, kind: Kind) -> bool {
        let Some((id, _)) = self.labels.iter().find(|(_, known)| *known == channel) else { return false };
        let id = *id;
        self.send_raw(id, message, kind)
    }

    /// Writes on any stream, whether it is a channel or not.
    pub(crate) fn send_raw(&mut self, id: u16, message: &Bytes, kind: Kind) -> bool {
        if self.association.stream(id).is_err() && self.association.open_stream(id, Ppid::Binary).is_err() {
            return false;
        }
        let Ok(mut stream) = self.association.stream(id) else { return false };
        let bytes: &[u8] = if message.is_empty() { &[0] } else { message };
        stream.write_with_ppi(bytes, kind.ppid(message)).is_ok()
    }

    /// Closes a channel.
    pub(crate) fn close(&mut self, channel: &Channel) {
        let Some((&id, _)) = self.labels.iter().find(|(_, known)| *known == channel) else { return };
        self.labels.remove(&id);
        if let Ok(mut stream) = self.association.stream(id) {
            let _ = stream.close();
        }
    }

    fn drive(&mut self) {
        while let Some(event) = self.association.poll() {
            match event {
                Event::Connected => {
                    self.up = true;
                    self.open_wanted();
                }
                Event::AssociationLost { .. } | Event::HandshakeFailed { .. } => {
                    self.events.push_back(ClientEvent::Lost);
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(_) | Event::DataChannelStatsFinal(_) | Event::DatagramReceived | _ => {}
            }
        }
    }

    fn open_wanted(&mut self) {
        for (id, channel) in std::mem::take(&mut self.wanted) {
            let open = Open::for_channel(&channel);
            let Ok(mut stream) = self.association.open_stream(id, Ppid::Binary) else { continue };
            if self.ids == Ids::Negotiated {
                self.labels.insert(id, channel.clone());
                self.events.push_back(ClientEvent::Opened(channel));
            } else {
                let _ = stream.write_with_ppi(&DcepMessage::Open(open.clone()).to_bytes(), Ppid::Dcep);
            }
            let (kind, value) = match open.reliability {
                Reliability::Reliable => (ReliabilityType::Reliable, 0),
                Reliability::Retransmits(count) => (ReliabilityType::Rexmit, count),
                Reliability::Lifetime(millis) => (ReliabilityType::Timed, millis),
            };
            let _ = stream.set_reliability_params(open.ordering == Ordering::Unordered, kind, value);
            if self.ids == Ids::InBand {
                self.wanted.push((id, open.channel()));
            }
        }
    }

    fn read(&mut self, id: u16) {
        while let Ok(Some(message)) = self.association.stream(id).and_then(|mut stream| stream.read_sctp()) {
            let mut bytes = vec![0; message.len()];
            if message.read(&mut bytes).is_err() {
                continue;
            }
            match message.ppi {
                Ppid::Dcep => self.read_dcep(id, &bytes),
                Ppid::StringEmpty | Ppid::BinaryEmpty => self.deliver(id, Bytes::new()),
                Ppid::String | Ppid::Binary | Ppid::Unknown => self.deliver(id, Bytes::from(bytes)),
            }
        }
    }

    fn deliver(&mut self, id: u16, message: Bytes) {
        if let Some(channel) = self.labels.get(&id) {
            self.events.push_back(ClientEvent::Message(channel.clone(), message));
        }
    }

    fn read_dcep(&mut self, id: u16, bytes: &[u8]) {
        let channel = match DcepMessage::parse(bytes) {
            Ok(DcepMessage::Ack) => {
                let Some((_, channel)) = self.wanted.iter().find(|(wanted, _)| *wanted == id) else { return };
                channel.clone()
            }
            Ok(DcepMessage::Open(open)) => {
                let Ok(mut stream) = self.association.stream(id) else { return };
                let _ = stream.write_with_ppi(&DcepMessage::Ack.to_bytes(), Ppid::Dcep);
                open.channel()
            }
            Err(_) => return,
        };
        self.labels.insert(id, channel.clone());
        self.events.push_back(ClientEvent::Opened(channel));
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client(up: {})", self.up)
    }
}
