//! Rooms full of clients without a network, for tests and benchmarks: what one sends is heard at once.
//!
//! The clients speak SRTP of our own, so that they can say what no proper client would.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use super::{Certificate, Egress, Worker, WorkerConfig};
use crate::{
    command::Command,
    event::EventKind,
    ids::{ParticipantId, RoomId, SubscriptionId, TrackId, TransportId},
    params::{
        ChannelSetup, Codec, Consent, Encoding, Extension, ExtensionMap, Feedback, IceCredentials, MediaKind,
        PayloadFormat, ReceiveParameters, Remote, Secret, SendFormat, SendParameters, Speech,
        TrackParameters, Wish,
    },
    rtp::{Fields, Form, Header, HeaderWriter},
    srtp::ReplayWindow,
    transport::testing::{Client, ClientConfig},
    units::{Mid, PayloadType, RtpTime, SeqNo, Ssrc},
};

/// VP8, its retransmissions, Opus and redundant audio, as every client numbers them.
pub const VP8: u8 = 96;
/// See [`VP8`].
pub const VP8_RTX: u8 = 97;
/// See [`VP8`].
pub const OPUS: u8 = 111;
/// See [`VP8`].
pub const RED: u8 = 63;
/// See [`VP8`].
pub const AV1: u8 = 45;
/// See [`VP8`].
pub const AV1_RTX: u8 = 46;
/// See [`VP8`].
pub const VP9: u8 = 98;
/// See [`VP8`].
pub const VP9_RTX: u8 = 99;
/// The id of the dependency descriptor, as every client numbers it.
pub const DESCRIPTOR: u8 = 7;

/// Datagrams a worker wrote.
#[derive(Debug, Default)]
pub struct Outbox {
    /// In the order they were written.
    pub written: Vec<(Remote, Vec<u8>)>,
    begun: Option<(Remote, Vec<u8>)>,
}

impl Egress for Outbox {
    fn begin(&mut self, to: Remote, len_max: usize) -> &mut [u8] {
        &mut self.begun.insert((to, vec![0; len_max])).1
    }

    fn commit(&mut self, len: usize) {
        if let Some((to, mut bytes)) = self.begun.take() {
            bytes.truncate(len);
            self.written.push((to, bytes));
        }
    }
}

/// An RTP packet as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The fixed header.
    pub fields: Fields,
    /// Rollover counter and sequence number.
    pub index: u64,
    /// Without padding.
    pub payload: Vec<u8>,
    /// On the wire.
    pub len: usize,
    /// The header extensions by id.
    pub extensions: BTreeMap<u8, Vec<u8>>,
}

/// One client.
#[derive(Debug)]
pub struct Member {
    /// Its side of the transport.
    pub client: Client,
    /// Its name.
    pub transport: TransportId,
    /// RTP packets it got.
    pub media: Vec<Heard>,
    /// RTCP compound packets it got.
    pub control: Vec<Vec<u8>>,
    windows: BTreeMap<Ssrc, ReplayWindow>,
}

/// A worker and its clients.
#[derive(Debug)]
pub struct Scene {
    /// The worker.
    pub worker: Worker,
    /// The time.
    pub now: Instant,
    /// The clients, as they joined.
    pub members: Vec<Member>,
    /// What the worker told.
    pub events: Vec<EventKind>,
    certificate: Certificate,
    ids: u64,
}

#[expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test support: what fails here is the test's fault"
)]
impl Scene {
    /// A worker without rooms.
    #[must_use]
    pub fn new(config: WorkerConfig, now: Instant) -> Self {
        let certificate = Certificate::for_simulation().expect("a certificate");
        let worker = Worker::new(config, certificate.clone(), 7, now, SystemTime::UNIX_EPOCH);
        Self { worker, now, members: Vec::new(), events: Vec::new(), certificate, ids: 100 }
    }

    /// A number nobody has.
    pub fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// A room opens.
    pub fn open_room(&mut self) -> RoomId {
        let room = RoomId(self.id());
        self.worker.command(Command::OpenRoom(room), self.now);
        room
    }

    /// A client joins and is connected.
    pub fn join(&mut self, room: RoomId) -> usize {
        let number = self.arrive(room);
        self.connect(number);
        number
    }

    /// A client joins; its transport is not connected yet.
    pub fn arrive(&mut self, room: RoomId) -> usize {
        let number = self.members.len();
        let (participant, transport) = (ParticipantId(self.id()), TransportId(self.id()));
        let local = IceCredentials {
            ufrag: format!("00member{number}"),
            pwd: Secret(format!("the-password-of-member-{number:08}")),
        };
        let consent =
            Consent { disconnected: Duration::from_secs(3_600), failed: Duration::from_secs(7_200) };
        let channels = ChannelSetup::ByClient;
        let opening =
            Command::OpenTransport { room, participant, transport, local: local.clone(), channels, consent };
        self.worker.command(opening, self.now);
        let port = u16::try_from(10_000 + number % 50_000).expect("below");
        let config =
            ClientConfig { address: SocketAddr::from(([192, 0, 2, 1], port)), ..ClientConfig::new(&local) };
        let client = Client::new(config, self.id(), self.now);
        self.worker.command(Command::SetRemote(transport, client.parameters()), self.now);
        let formats = vec![vp8(), opus(), red(), av1(), vp9()];
        let parameters = ReceiveParameters { formats, extensions: extensions() };
        self.worker.command(Command::SetReceive(transport, parameters), self.now);
        self.members.push(Member {
            client,
            transport,
            media: Vec::new(),
            control: Vec::new(),
            windows: BTreeMap::new(),
        });
        number
    }

    /// A client connects.
    pub fn connect(&mut self, number: usize) {
        for _ in 0..200 {
            self.now += Duration::from_millis(1);
            self.members[number].client.tick(self.now);
            self.settle();
            if self.members[number].client.is_secured() {
                break;
            }
        }
        self.members[number].client.pause_checks(None);
        self.settle();
        assert!(self.members[number].client.is_secured(), "a client connects");
    }

    /// A track that says which SSRC it has.
    pub fn publish(&mut self, member: usize, kind: MediaKind, encodings: Vec<Encoding>) -> TrackId {
        let track = TrackId(self.id());
        let mid = Mid::new(format!("p{}", track.0).as_bytes()).expect("short");
        let parameters = TrackParameters { kind, mid, encodings, speech: Speech::Counts };
        self.worker.command(Command::Publish(self.members[member].transport, track, parameters), self.now);
        track
    }

    /// A subscription that takes these formats.
    pub fn subscribe(
        &mut self,
        member: usize,
        track: TrackId,
        formats: Vec<SendFormat>,
    ) -> (SubscriptionId, Ssrc) {
        let subscription = SubscriptionId(self.id());
        let ssrc = Ssrc(0x7000_0000 + u32::try_from(subscription.0).expect("small"));
        let rtx = formats.iter().any(|format| format.to.rtx.is_some());
        let send = SendParameters {
            mid: Mid::new(b"s").expect("short"),
            ssrc,
            rtx_ssrc: rtx.then_some(Ssrc(ssrc.0 + 0x100_0000)),
            formats,
            extensions: extensions(),
        };
        let transport = self.members[member].transport;
        let wish = Wish::up_to(2);
        self.worker.command(Command::Subscribe { subscription, transport, track, send, wish }, self.now);
        (subscription, ssrc)
    }

    /// The subscriber changes its mind.
    pub fn wish(&mut self, subscription: SubscriptionId, wish: Wish) {
        self.worker.command(Command::SetWish(subscription, wish), self.now);
        self.settle();
    }

    /// Seals a packet as this client would send it.
    pub fn seal(&mut self, member: usize, fields: &Fields, index: u64, payload: &[u8]) -> Vec<u8> {
        self.seal_with(member, fields, index, payload, &[])
    }

    /// Seals a packet with these header extensions.
    pub fn seal_with(
        &mut self,
        member: usize,
        fields: &Fields,
        index: u64,
        payload: &[u8],
        extensions: &[(u8, &[u8])],
    ) -> Vec<u8> {
        self.try_seal(member, fields, index, payload, extensions).expect("sealed")
    }

    /// Seals a packet; `None` when this number was sealed before, or is too old.
    pub fn try_seal(
        &mut self,
        member: usize,
        fields: &Fields,
        index: u64,
        payload: &[u8],
        extensions: &[(u8, &[u8])],
    ) -> Option<Vec<u8>> {
        let mut header = [0; 256];
        let is_long = extensions.iter().any(|(_, value)| value.len() > Form::ONE_BYTE_MAX);
        let form = if is_long { Form::TwoByte } else { Form::OneByte };
        let mut writer = HeaderWriter::new(&mut header, fields, form).expect("room");
        for (id, value) in extensions {
            writer.extension(*id, value).expect("room");
        }
        let len = writer.finish();
        let srtp = self.members[member].client.srtp().expect("connected");
        let mut out = vec![0; 2_048];
        let len = srtp.outbound.seal_rtp(&header[..len], payload, 0, index, &mut out).ok()?;
        out.truncate(len);
        Some(out)
    }

    /// Seals an RTCP packet as this client would send it.
    pub fn seal_control(&mut self, member: usize, compound: &[u8]) -> Vec<u8> {
        let srtp = self.members[member].client.srtp().expect("connected");
        let mut out = vec![0; compound.len() + 64];
        let len = srtp.outbound.seal_rtcp(compound, &mut out).expect("sealed");
        out.truncate(len);
        out
    }

    /// This client's datagram reaches the worker.
    pub fn send(&mut self, member: usize, datagram: &[u8]) {
        let from = self.members[member].client.address();
        self.worker.receive(from, datagram, self.now);
    }

    /// Time passes; what is due is done.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.worker.deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    /// The worker flushes, and everything is carried to and fro until all is still.
    pub fn settle(&mut self) {
        for _ in 0..100 {
            let mut outbox = Outbox::default();
            self.worker.flush(&mut outbox, self.now);
            while let Some(event) = self.worker.poll_event() {
                self.events.push(event.kind);
            }
            let mut is_still = outbox.written.is_empty();
            for (to, bytes) in outbox.written {
                let Some(member) = self.members.iter_mut().find(|member| member.client.address() == to)
                else {
                    continue;
                };
                member.hear(&bytes, self.now);
            }
            for member in &mut self.members {
                let from = member.client.address();
                while let Some(bytes) = member.client.poll() {
                    is_still = false;
                    self.worker.receive(from, &bytes, self.now);
                }
            }
            if is_still {
                return;
            }
        }
    }

    /// What our certificate's fingerprint is.
    #[must_use]
    pub fn fingerprint(&self) -> crate::params::Fingerprint {
        self.certificate.fingerprint()
    }
}

#[expect(clippy::expect_used, reason = "test support: what fails here is the test's fault")]
impl Member {
    fn hear(&mut self, bytes: &[u8], now: Instant) {
        match super::Class::of(bytes) {
            super::Class::Stun | super::Class::Dtls => self.client.handle(bytes, now),
            super::Class::Rtcp => {
                let srtp = self.client.srtp().expect("connected");
                let mut out = vec![0; bytes.len()];
                let len = srtp.inbound.open_rtcp(bytes, &mut out).expect("authentic");
                out.truncate(len);
                self.control.push(out);
            }
            super::Class::Rtp => self.hear_media(bytes),
            super::Class::Unknown => {}
        }
    }

    fn hear_media(&mut self, bytes: &[u8]) {
        let header = Header::parse(bytes).expect("a header");
        let srtp = self.client.srtp().expect("connected");
        let mut out = vec![0; bytes.len()];
        let window = self.windows.entry(header.ssrc).or_default();
        let opened = srtp.inbound.open_rtp(window, &header, bytes, &mut out).expect("authentic and new");
        out.truncate(opened.payload_len);
        let payload = header.unpadded(&out).expect("padding that fits").to_vec();
        let fields = Fields {
            marker: header.marker,
            payload_type: header.payload_type,
            seq: header.seq,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
        };
        let extensions = header.extensions().map(|(id, value)| (id, value.to_vec())).collect();
        self.media.push(Heard { fields, index: opened.index, payload, len: bytes.len(), extensions });
    }
}

/// The header of a packet.
#[must_use]
pub fn fields(payload_type: u8, ssrc: u32, index: u64, timestamp: u32) -> Fields {
    Fields {
        marker: false,
        payload_type: number(payload_type),
        seq: SeqNo((index & 0xffff) as u16),
        timestamp: RtpTime(timestamp),
        ssrc: Ssrc(ssrc),
    }
}

/// A VP8 payload of so many bytes: the first packet of a key frame or of another frame.
#[must_use]
pub fn picture(part: crate::codec::vp8::Part, picture_id: u16, len: usize) -> Vec<u8> {
    use crate::codec::vp8::Part;
    let start = if part == Part::Rest { 0 } else { 0x10 };
    let [high, low] = (picture_id | 0x8000).to_be_bytes();
    let mut payload = vec![0x80 | start, 0x80, high, low, u8::from(part != Part::KeyframeStart)];
    payload.resize(len.max(payload.len()), 0x5a);
    payload
}

/// What clients know of VP8.
#[must_use]
pub fn vp8() -> PayloadFormat {
    PayloadFormat {
        payload_type: number(VP8),
        codec: Codec::Vp8,
        clock_rate: 90_000,
        rtx: Some(number(VP8_RTX)),
        feedback: Feedback::NACK.with(Feedback::PLI).with(Feedback::TRANSPORT_CC),
    }
}

/// What clients know of AV1.
#[must_use]
pub fn av1() -> PayloadFormat {
    PayloadFormat { payload_type: number(AV1), codec: Codec::Av1, rtx: Some(number(AV1_RTX)), ..vp8() }
}

/// What clients know of VP9.
#[must_use]
pub fn vp9() -> PayloadFormat {
    PayloadFormat { payload_type: number(VP9), codec: Codec::Vp9, rtx: Some(number(VP9_RTX)), ..vp8() }
}

/// What clients know of Opus.
#[must_use]
pub fn opus() -> PayloadFormat {
    let payload_type = number(OPUS);
    PayloadFormat {
        payload_type,
        codec: Codec::Opus,
        clock_rate: 48_000,
        rtx: None,
        feedback: Feedback::NACK,
    }
}

/// What clients know of redundant audio.
#[must_use]
pub fn red() -> PayloadFormat {
    PayloadFormat { payload_type: number(RED), codec: Codec::Red, ..opus() }
}

/// A format that is the same at both ends.
#[must_use]
pub fn same(format: PayloadFormat) -> SendFormat {
    SendFormat { from: format.payload_type, to: format }
}

/// The ids of every client.
#[must_use]
pub fn extensions() -> ExtensionMap {
    ExtensionMap::default()
        .with(Extension::AudioLevel, 1)
        .with(Extension::TransportCc, 3)
        .with(Extension::Mid, 4)
        .with(Extension::Rid, 5)
        .with(Extension::RepairedRid, 6)
        .with(Extension::DependencyDescriptor, DESCRIPTOR)
}

#[expect(clippy::expect_used, reason = "test support: what fails here is the test's fault")]
fn number(payload_type: u8) -> PayloadType {
    PayloadType::new(payload_type).expect("below 128")
}
