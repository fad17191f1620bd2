//! The client's side of SCTP and DCEP.

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

use crate::{
    channels::{DcepMessage, Open, Ordering, Reliability},
    params::Channel,
};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5000);

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SctpEvent {
    Opened(Channel),
    Message(Channel, Bytes),
    Lost,
}

/// The initiating side of an association.
pub(super) struct Sctp {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    labels: BTreeMap<u16, Channel>,
    wanted: Vec<(u16, Channel)>,
    negotiated: bool,
    pub(super) events: VecDeque<SctpEvent>,
    up: bool,
}

impl Sctp {
    /// Sends INIT. The channels are opened in band at even ids, or taken for granted where they were negotiated.
    pub(super) fn new(channels: &[Channel], negotiated: bool) -> Option<Self> {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), None);
        let transport = TransportConfig::default()
            .with_max_init_retransmits(None)
            .with_rto_initial_ms(500)
            .with_rto_max_ms(2_000)
            .with_max_send_message_size(1024 * 1024);
        let mut config = ClientConfig::default();
        config.transport = Arc::new(transport);
        let (handle, association) = endpoint.connect(config, NOWHERE).ok()?;
        let first = if negotiated { 100 } else { 0 };
        let step = if negotiated { 1 } else { 2 };
        let wanted =
            (0_u16..).zip(channels).map(|(index, channel)| (first + step * index, channel.clone())).collect();
        Some(Self {
            endpoint,
            handle,
            association,
            labels: BTreeMap::new(),
            wanted,
            negotiated,
            events: VecDeque::new(),
            up: false,
        })
    }

    pub(super) fn handle(&mut self, packet: &[u8], now: Instant) {
        let event = self.endpoint.handle(now, NOWHERE, None, None, Bytes::copy_from_slice(packet));
        if let Some((handle, DatagramEvent::AssociationEvent(event))) = event
            && handle == self.handle
        {
            self.association.handle_event(event);
        }
        self.drive();
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.association.handle_timeout(now);
        self.drive();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    pub(super) fn transmit(&mut self, now: Instant) -> Vec<Bytes> {
        let mut all = Vec::new();
        while let Some(transmit) = self.association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = transmit.payload {
                all.extend(packets);
            }
        }
        all
    }

    /// Whether it was written.
    pub(super) fn send(&mut self, channel: &Channel, message: &Bytes, ppid: Ppid) -> bool {
        let Some((id, _)) = self.labels.iter().find(|(_, known)| *known == channel) else { return false };
        let Ok(mut stream) = self.association.stream(*id) else { return false };
        stream.write_sctp(message, ppid).is_ok()
    }

    /// Writes on any stream, as nobody should.
    pub(super) fn send_raw(&mut self, id: u16, message: &Bytes, ppid: Ppid) -> bool {
        if self.association.stream(id).is_err() && self.association.open_stream(id, ppid).is_err() {
            return false;
        }
        self.association.stream(id).is_ok_and(|mut stream| stream.write_sctp(message, ppid).is_ok())
    }

    /// Closes a channel.
    pub(super) fn close(&mut self, channel: &Channel) {
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
                    self.events.push_back(SctpEvent::Lost);
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                _ => {}
            }
        }
    }

    fn open_wanted(&mut self) {
        for (id, channel) in std::mem::take(&mut self.wanted) {
            let open = Open::for_channel(&channel);
            let Ok(mut stream) = self.association.open_stream(id, Ppid::Binary) else { continue };
            if self.negotiated {
                self.labels.insert(id, channel.clone());
                self.events.push_back(SctpEvent::Opened(channel));
            } else {
                let _ = stream.write_with_ppi(&DcepMessage::Open(open.clone()).to_bytes(), Ppid::Dcep);
            }
            let (kind, value) = match open.reliability {
                Reliability::Reliable => (ReliabilityType::Reliable, 0),
                Reliability::Retransmits(count) => (ReliabilityType::Rexmit, count),
                Reliability::Lifetime(millis) => (ReliabilityType::Timed, millis),
            };
            let _ = stream.set_reliability_params(open.ordering == Ordering::Unordered, kind, value);
            if !self.negotiated {
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
            self.events.push_back(SctpEvent::Message(channel.clone(), message));
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
        self.events.push_back(SctpEvent::Opened(channel));
    }
}

impl std::fmt::Debug for Sctp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sctp(up: {})", self.up)
    }
}
