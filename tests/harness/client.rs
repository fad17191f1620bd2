//! A person with a WebRTC client: `str0m`, an implementation that shares nothing with ours but the standards.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use sfu::{
    ids::{ParticipantId, SubscriptionId, TrackId, TransportId},
    params::{
        Codec, Extension, ExtensionMap, Feedback, Fingerprint, IceCredentials, PayloadFormat,
        ReceiveParameters, RemoteParameters, Secret,
    },
    units::PayloadType,
};
use str0m::{
    Candidate, Event, IceConnectionState, Input, Output, Rtc,
    channel::{ChannelConfig, ChannelId},
    config::Fingerprint as ClientFingerprint,
    format::Codec as ClientCodec,
    ice::IceCreds,
    media::{MediaKind, Mid, Pt, Rid},
    net::{Protocol, Receive},
    rtp::{ExtensionValues, RtpWrite, Ssrc},
};

use crate::{
    media::{Camera, sound},
    network::Link,
    sink::Sink,
};

/// How often a client looks whether its decoders are stuck.
const WATCHING: Duration = Duration::from_millis(50);

/// What a client sends.
#[derive(Debug)]
pub struct Source {
    /// The track it is part of.
    pub track: TrackId,
    /// What is sent.
    pub device: Device,
    /// Whether anything is sent.
    pub state: SourceState,
    mid: Mid,
    rid: Option<Rid>,
    ssrc: Ssrc,
    seq: u64,
    timestamp: u32,
    next: Instant,
}

/// Whether a source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// It does.
    On,
    /// It does not; its clock goes on.
    Off,
}

/// What is sent.
#[derive(Debug)]
pub enum Device {
    /// Pictures.
    Camera(Camera),
    /// Sound, numbered, so many decibels below overload.
    Microphone(u32, i8),
}

impl Device {
    fn interval(&self) -> Duration {
        match self {
            Self::Camera(camera) => camera.interval(),
            Self::Microphone(..) => Duration::from_millis(20),
        }
    }

    fn ticks(&self) -> u32 {
        match self {
            Self::Camera(camera) => 90_000 / camera.rate,
            Self::Microphone(..) => 960,
        }
    }
}

/// A person with a WebRTC client.
#[derive(Debug)]
pub struct Client {
    /// Who.
    pub participant: ParticipantId,
    /// Its transport.
    pub transport: TransportId,
    /// The way to the server.
    pub up: Link,
    /// The way from the server.
    pub down: Link,
    /// Where the server sees it.
    pub public: SocketAddr,
    /// What it sends.
    pub sources: Vec<Source>,
    /// What it got, by subscription.
    pub sinks: BTreeMap<SubscriptionId, Sink>,
    /// Key frames it was asked for, and when.
    pub keyframe_requests: Vec<(Instant, Option<Rid>)>,
    /// Messages it got.
    pub messages: Vec<Vec<u8>>,
    /// Channels that are open, by label.
    pub channels: BTreeMap<String, ChannelId>,
    /// When DTLS was done.
    pub connected: Option<Instant>,
    /// What ICE thinks.
    pub ice: IceConnectionState,
    rtc: Rtc,
    local: SocketAddr,
    server: SocketAddr,
    timeout: Instant,
    watched: Option<Instant>,
    by_ssrc: BTreeMap<u32, SubscriptionId>,
    clocks: BTreeMap<SubscriptionId, (Instant, u32, (f64, u32))>,
    names: u32,
}

impl Client {
    /// A client that knows the server's description and begins to check.
    #[must_use]
    pub fn new(
        ids: (ParticipantId, TransportId),
        addrs: (SocketAddr, SocketAddr),
        server: (IceCredentials, Fingerprint),
        links: (Link, Link),
        now: Instant,
    ) -> Self {
        let (local, server_addr) = addrs;
        let (ice, fingerprint) = server;
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .set_reordering_timeout_audio(None)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp").unwrap());
        rtc.add_remote_candidate(Candidate::host(server_addr, "udp").unwrap());
        let mut direct = rtc.direct_api();
        direct.set_remote_ice_credentials(IceCreds { ufrag: ice.ufrag, pass: ice.pwd.0 });
        direct.set_remote_fingerprint(ClientFingerprint {
            hash_func: "sha-256".into(),
            bytes: fingerprint.0.to_vec(),
        });
        direct.set_ice_controlling(true);
        direct.enable_twcc_feedback();
        direct.start_dtls(true).unwrap();
        direct.start_sctp(true);
        for label in ["_lossy", "_reliable"] {
            direct.create_data_channel(ChannelConfig { label: label.into(), ..ChannelConfig::default() });
        }
        let (up, down) = links;
        Self {
            participant: ids.0,
            transport: ids.1,
            up,
            down,
            public: local,
            sources: Vec::new(),
            sinks: BTreeMap::new(),
            keyframe_requests: Vec::new(),
            messages: Vec::new(),
            channels: BTreeMap::new(),
            connected: None,
            ice: IceConnectionState::New,
            rtc,
            local,
            server: server_addr,
            timeout: now,
            watched: None,
            by_ssrc: BTreeMap::new(),
            clocks: BTreeMap::new(),
            names: 0,
        }
    }

    /// What its description would say.
    pub fn describe(&mut self) -> RemoteParameters {
        let direct = self.rtc.direct_api();
        let ice = direct.local_ice_credentials();
        let bytes: [u8; 32] = direct.local_dtls_fingerprint().bytes.clone().try_into().unwrap();
        RemoteParameters {
            ice: IceCredentials { ufrag: ice.ufrag, pwd: Secret(ice.pass) },
            fingerprint: Fingerprint(bytes),
        }
    }

    /// How its packets are to be read.
    #[must_use]
    pub fn receive_parameters(&self) -> ReceiveParameters {
        ReceiveParameters {
            formats: vec![self.video_format(), self.audio_format()],
            extensions: extensions(),
        }
    }

    /// VP8 as it numbers it.
    #[must_use]
    pub fn video_format(&self) -> PayloadFormat {
        let params = self.rtc.codec_config().find(|params| params.spec().codec == ClientCodec::Vp8).unwrap();
        let number = |pt: Pt| PayloadType::new(*pt).unwrap();
        PayloadFormat {
            payload_type: number(params.pt()),
            codec: Codec::Vp8,
            clock_rate: 90_000,
            rtx: params.resend().map(number),
            feedback: Feedback::NACK.with(Feedback::PLI).with(Feedback::TRANSPORT_CC),
        }
    }

    /// Opus as it numbers it.
    #[must_use]
    pub fn audio_format(&self) -> PayloadFormat {
        let params = self.rtc.codec_config().find(|params| params.spec().codec == ClientCodec::Opus).unwrap();
        PayloadFormat {
            payload_type: PayloadType::new(*params.pt()).unwrap(),
            codec: Codec::Opus,
            clock_rate: 48_000,
            rtx: None,
            feedback: Feedback::NACK.with(Feedback::TRANSPORT_CC),
        }
    }

    /// Begins to send; returns the name of the m-section. One device is one encoding, the first the smallest; more
    /// than one are named `a`, `b`, …
    pub fn send(&mut self, track: TrackId, devices: Vec<Device>, now: Instant) -> String {
        let name = self.name();
        let mid: Mid = name.as_str().into();
        let kind = match devices.first() {
            Some(Device::Camera(_)) => MediaKind::Video,
            Some(Device::Microphone(..)) | None => MediaKind::Audio,
        };
        let simulcast = devices.len() > 1;
        let mut direct = self.rtc.direct_api();
        direct.declare_media(mid, kind);
        for (index, device) in (0_u8..).zip(devices) {
            let rid = simulcast.then(|| Rid::from(char::from(b'a' + index).to_string().as_str()));
            let (ssrc, rtx) = (direct.new_ssrc(), direct.new_ssrc());
            let rtx = (kind == MediaKind::Video).then_some(rtx);
            let stream = direct.declare_stream_tx(ssrc, rtx, mid, rid);
            // Half of what is sent may be sent again: the tests lose more than calls do.
            stream.set_rtx_cache(1_024, Duration::from_secs(3), Some(0.5));
            self.sources.push(Source {
                track,
                device,
                state: SourceState::On,
                mid,
                rid,
                ssrc,
                seq: 65_500,
                timestamp: 4_294_960_000,
                next: now,
            });
        }
        name
    }

    /// Gets ready for a subscription; returns the name of the m-section.
    pub fn expect(
        &mut self,
        subscription: SubscriptionId,
        kind: MediaKind,
        ssrcs: (sfu::units::Ssrc, Option<sfu::units::Ssrc>),
    ) -> String {
        let name = self.name();
        let mid: Mid = name.as_str().into();
        let (ssrc, rtx) = ssrcs;
        let mut direct = self.rtc.direct_api();
        direct.declare_media(mid, kind);
        direct.expect_stream_rx(ssrc.0.into(), rtx.map(|rtx| rtx.0.into()), mid, None);
        self.by_ssrc.insert(ssrc.0, subscription);
        self.sinks.insert(subscription, Sink::default());
        name
    }

    /// The last packet of a subscription a sender report stands beside: when it came, its timestamp, and the report's
    /// time of day in seconds with its timestamp.
    #[must_use]
    pub fn last_clock(&self, subscription: SubscriptionId) -> Option<(Instant, u32, (f64, u32))> {
        self.clocks.get(&subscription).copied()
    }

    /// Its decoder is stuck.
    pub fn request_keyframe(&mut self, subscription: SubscriptionId) {
        let ssrc = self.by_ssrc.iter().find(|(_, known)| **known == subscription).map(|(ssrc, _)| *ssrc);
        let mut direct = self.rtc.direct_api();
        let stream = ssrc.and_then(|ssrc| direct.stream_rx(&ssrc.into()));
        stream.unwrap().request_keyframe(str0m::media::KeyframeRequestKind::Pli);
    }

    /// Writes to a data channel.
    pub fn write(&mut self, label: &str, message: &[u8]) {
        let id = self.channels[label];
        assert!(self.rtc.channel(id).unwrap().write(true, message).unwrap(), "the channel takes it");
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let media = self.sources.iter().map(|source| source.next).min();
        media.filter(|_| self.connected.is_some()).map_or(self.timeout, |media| media.min(self.timeout))
    }

    /// A datagram from the server.
    pub fn receive(&mut self, datagram: &[u8], now: Instant) {
        let Ok(received) = Receive::new(Protocol::Udp, self.server, self.local, datagram) else { return };
        let input = Input::Receive(now, received);
        if self.rtc.accepts(&input) {
            let _ = self.rtc.handle_input(input);
        }
    }

    /// Sends what is due and returns what leaves the machine.
    pub fn run(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let _ = self.rtc.handle_input(Input::Timeout(now));
        let mut datagrams = self.drain(now);
        if self.connected.is_some() {
            self.play(now);
            self.watch(now);
            let _ = self.rtc.handle_input(Input::Timeout(now));
            datagrams.extend(self.drain(now));
        }
        datagrams
    }

    fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        while self.rtc.is_alive() {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = at.max(now + Duration::from_micros(100));
                    break;
                }
                Ok(Output::Transmit(transmit)) => datagrams.push(transmit.contents.to_vec()),
                Ok(Output::Event(event)) => self.hear(event, now),
                Err(_) => self.rtc.disconnect(),
            }
        }
        if !self.rtc.is_alive() {
            self.timeout = now + Duration::from_secs(3_600);
        }
        datagrams
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the client library tells more than a test asks")]
    fn hear(&mut self, event: Event, now: Instant) {
        match event {
            Event::Connected => self.connected = self.connected.or(Some(now)),
            Event::IceConnectionStateChange(state) => self.ice = state,
            Event::ChannelOpen(id, label) => {
                self.channels.insert(label, id);
            }
            Event::ChannelData(data) => self.messages.push(data.data),
            Event::KeyframeRequest(request) => {
                self.keyframe_requests.push((now, request.rid));
                for source in &mut self.sources {
                    if let Device::Camera(camera) = &mut source.device
                        && source.mid == request.mid
                        && source.rid == request.rid
                    {
                        camera.ask_keyframe();
                    }
                }
            }
            Event::RtpPacket(packet) => {
                let Some(subscription) = self.by_ssrc.get(&*packet.header.ssrc) else { return };
                let Some(sink) = self.sinks.get_mut(subscription) else { return };
                if let Some(info) = &packet.last_sender_info {
                    let clock = (seconds(info.ntp_time), (info.rtp_time.numer() & 0xffff_ffff) as u32);
                    self.clocks.insert(*subscription, (now, packet.header.timestamp, clock));
                }
                let header = (packet.header.timestamp, packet.header.marker);
                sink.take(now, *packet.seq_no, header, &packet.payload);
            }
            _ => {}
        }
    }

    /// Decoders that are stuck ask for key frames.
    fn watch(&mut self, now: Instant) {
        if self.watched.is_some_and(|watched| watched + WATCHING > now) {
            return;
        }
        self.watched = Some(now);
        let mut stuck = Vec::new();
        for (subscription, sink) in &mut self.sinks {
            if sink.wants_keyframe(now) {
                stuck.push(*subscription);
            }
        }
        stuck.into_iter().for_each(|subscription| self.request_keyframe(subscription));
    }

    fn play(&mut self, now: Instant) {
        let (video, audio) = (self.video_format().payload_type, self.audio_format().payload_type);
        for source in &mut self.sources {
            while source.next <= now {
                source.next += source.device.interval();
                source.timestamp = source.timestamp.wrapping_add(source.device.ticks());
                if source.state == SourceState::Off {
                    continue;
                }
                let (number, payloads, level) = match &mut source.device {
                    Device::Camera(camera) => (video, camera.shoot(), None),
                    Device::Microphone(number, level) => {
                        *number += 1;
                        (audio, vec![sound(*number)], Some(*level))
                    }
                };
                let last = payloads.len() - 1;
                let mut direct = self.rtc.direct_api();
                let Some(stream) = direct.stream_tx(&source.ssrc) else { continue };
                for (index, payload) in payloads.into_iter().enumerate() {
                    let ext_vals = ExtensionValues {
                        audio_level: level.map(|level| -level),
                        voice_activity: level.map(|_| true),
                        ..ExtensionValues::default()
                    };
                    let pt = Pt::from(number.value());
                    stream.write_rtp(
                        RtpWrite::new(pt, source.seq.into(), source.timestamp, now, payload)
                            .marker(index == last)
                            .nackable(true)
                            .ext_vals(ext_vals),
                    );
                    source.seq += 1;
                }
            }
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("m{}", self.names)
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The header extensions of every client, under the ids it gives them.
#[must_use]
pub fn extensions() -> ExtensionMap {
    ExtensionMap::default()
        .with(Extension::AudioLevel, 1)
        .with(Extension::AbsSendTime, 2)
        .with(Extension::TransportCc, 3)
        .with(Extension::Mid, 4)
        .with(Extension::Rid, 10)
        .with(Extension::RepairedRid, 11)
        .with(Extension::VideoOrientation, 13)
}
