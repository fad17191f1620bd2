//! One peer connection of a client: what comes is counted, what is due is sent.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustc_hash::FxHashMap;
use sfu::{
    dtls::{
        Dtls, DtlsOutput,
        testing::{Client as DtlsClient, ClientVersion, Identity},
    },
    io::testing::{Datagram, Message, Port},
    params::SrtpProfile,
    rtp::{Header, transport_sequence},
    srtp::{ReplayWindow, Srtp},
    transport::testing::Rng,
    units::{SeqNo, Ssrc},
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    counters::Figures,
    feedback::Arrivals,
    ice::{Credentials, Ice, Outcome, Role},
    incoming::{Gaze, Incoming, REORDERING},
    outgoing::{Outgoing, Place, Sending},
};
use crate::{media::Stamp, scenario::Kind, signal::numbers};

/// How often a receiver tells what came; Chromium's tells every 50 to 250 ms.
pub(super) const FEEDBACK: Duration = Duration::from_millis(100);
/// RFC 3550 §6.2 with the reduced minimum, as libwebrtc has it for video.
pub(super) const REPORTS: Duration = Duration::from_secs(1);
/// A layer that did not come by then does not come.
const SWITCHING_MAX: Duration = Duration::from_secs(10);
/// Below the usual path's 1,280 bytes.
const DTLS_MTU: usize = 1_200;
/// Bytes of packets that go into one call.
const ARENA: usize = 1 << 16;
const PACKET_MAX: usize = 1_500;

/// What happened to a peer connection, and how long after the client began.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice {
    Secured(Duration, SrtpProfile),
    FirstPicture(Duration),
    FirstSound(Duration),
    /// The server does not answer checks any more, or hung up.
    Lost,
}

/// Whether anybody wants an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    Wanted,
    Unwanted,
}

/// What a peer connection begins with.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) port: Port,
    pub(crate) role: Role,
    pub(crate) local: Credentials,
    pub(crate) identity: Identity,
    pub(crate) sending: Vec<Sending>,
    /// When the client began to join.
    pub(crate) begun: Instant,
    pub(crate) notices: UnboundedSender<Notice>,
}

/// What all peer connections of an engine share.
pub(super) struct Context {
    pub(super) figures: Figures,
    /// One of so many packets is opened.
    pub(super) sample: u32,
    pub(super) rng: Rng,
    pub(super) plain: Vec<u8>,
    pub(super) arena: Vec<u8>,
}

impl Context {
    pub(super) fn new(sample: u32, seed: u64) -> Self {
        Self {
            figures: Figures::default(),
            sample: sample.max(1),
            rng: Rng::new(seed),
            plain: vec![0; 2_048],
            arena: vec![0; ARENA],
        }
    }
}

struct Awaited {
    publisher: u32,
    layer: u8,
    since: Instant,
}

/// One peer connection.
pub(super) struct Peer {
    opening: Opening,
    ice: Option<Ice>,
    dtls: DtlsClient,
    dtls_begun: bool,
    pub(super) srtp: Option<Srtp>,
    pub(super) outgoing: Vec<Outgoing>,
    pub(super) streams: FxHashMap<Ssrc, Incoming>,
    /// Retransmissions of any of them.
    repairs: FxHashMap<Ssrc, ReplayWindow>,
    pub(super) arrivals: Arrivals,
    awaited: Vec<Awaited>,
    transport_seq: u16,
    pub(super) next_feedback: Instant,
    pub(super) next_reports: Instant,
    seen: (bool, bool),
    lost: bool,
    /// When the engine will call again.
    pub(super) scheduled: Option<Instant>,
}

impl Peer {
    pub(super) fn new(opening: Opening, seed: u64, now: Instant) -> Self {
        let dtls = DtlsClient::with_identity(&opening.identity, ClientVersion::V1_2, DTLS_MTU, seed, now);
        Self {
            opening,
            ice: None,
            dtls,
            dtls_begun: false,
            srtp: None,
            outgoing: Vec::new(),
            streams: FxHashMap::default(),
            repairs: FxHashMap::default(),
            arrivals: Arrivals::default(),
            awaited: Vec::new(),
            transport_seq: 0,
            next_feedback: now,
            next_reports: now,
            seen: (false, false),
            lost: false,
            scheduled: None,
        }
    }

    pub(super) const fn port(&self) -> &Port {
        &self.opening.port
    }

    /// The server's description is there.
    pub(super) fn connect(
        &mut self,
        remote: &Credentials,
        candidates: Vec<SocketAddr>,
        cx: &mut Context,
        now: Instant,
    ) {
        if self.ice.is_none() {
            self.ice =
                Some(Ice::new(self.opening.role, &self.opening.local, remote, candidates, &mut cx.rng, now));
        }
    }

    /// One more place where the server may be.
    pub(super) fn add_candidate(&mut self, candidate: SocketAddr, now: Instant) {
        if let Some(ice) = &mut self.ice {
            ice.add(candidate, now);
        }
    }

    /// Somebody wants an encoding, or nobody does.
    pub(super) fn want(&mut self, (device, layer): (u8, u8), demand: Demand) {
        let wanted = demand == Demand::Wanted;
        for outgoing in &mut self.outgoing {
            if (outgoing.sending.device, outgoing.sending.layer) == (device, layer) {
                if wanted && !outgoing.wanted {
                    outgoing.sending.feed.ask_keyframe();
                }
                outgoing.wanted = wanted;
            }
        }
        for sending in &mut self.opening.sending {
            if (sending.device, sending.layer) == (device, layer) && wanted {
                sending.feed.ask_keyframe();
            }
        }
    }

    /// A layer was asked for.
    pub(super) fn await_layer(&mut self, publisher: u32, layer: u8, now: Instant) {
        self.awaited.retain(|awaited| awaited.publisher != publisher);
        self.awaited.push(Awaited { publisher, layer, since: now });
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.lost {
            return None;
        }
        let ice = self.ice.as_ref().map(Ice::deadline);
        let dtls = self.dtls.deadline().filter(|_| self.dtls_begun && self.srtp.is_none());
        let media = self.outgoing.iter().map(|outgoing| outgoing.next).min();
        let feedback = self.srtp.as_ref().map(|_| self.next_feedback);
        [ice, dtls, media, feedback].into_iter().flatten().min()
    }

    pub(super) fn tick(&mut self, cx: &mut Context, now: Instant) {
        self.check(cx, now);
        if self.dtls_begun && self.srtp.is_none() && self.dtls.deadline().is_some_and(|at| at <= now) {
            if self.dtls.tick(now).is_err() {
                return self.lose(cx);
            }
            self.drain_dtls(cx, now);
        }
        if self.srtp.is_some() && self.next_feedback <= now {
            self.next_feedback = now + FEEDBACK;
            self.tell(cx, now);
        }
        self.play(cx, now);
    }

    fn check(&mut self, cx: &mut Context, now: Instant) {
        let Some(ice) = &mut self.ice else { return };
        if ice.is_lost(now) {
            return self.lose(cx);
        }
        for to in ice.due(now) {
            let mut out = [0; 256];
            let len = ice.check(&mut cx.rng, &mut out);
            send(&self.opening.port, to, out.get(..len).unwrap_or_default(), cx);
        }
    }

    pub(super) fn lose(&mut self, cx: &mut Context) {
        if !self.lost {
            self.lost = true;
            self.outgoing.clear();
            cx.figures.counters.lost_peers += 1;
            let _ = self.opening.notices.send(Notice::Lost);
        }
    }

    /// A datagram came (RFC 7983).
    pub(super) fn handle(&mut self, datagram: &Datagram<'_>, cx: &mut Context, now: Instant) {
        match datagram.bytes.first() {
            Some(0..=3) => self.handle_stun(datagram, cx, now),
            Some(20..=63) => {
                if self.dtls.handle(datagram.bytes, now).is_err() {
                    return self.lose(cx);
                }
                self.drain_dtls(cx, now);
            }
            Some(128..=191) => match datagram.bytes.get(1) {
                // RFC 5761 §4.
                Some(192..=223) => self.handle_rtcp(datagram.bytes, cx, now),
                _ => self.handle_rtp(datagram, cx, now),
            },
            _ => cx.figures.counters.broken += 1,
        }
    }

    fn handle_stun(&mut self, datagram: &Datagram<'_>, cx: &mut Context, now: Instant) {
        let Some(ice) = &mut self.ice else { return };
        let mut out = [0; 256];
        match ice.handle(datagram.bytes, datagram.from, &mut out, now) {
            Outcome::Answered(_) if !self.dtls_begun => {
                self.dtls_begun = true;
                if self.dtls.tick(now).is_err() {
                    return self.lose(cx);
                }
                self.drain_dtls(cx, now);
            }
            Outcome::Reply(len) => {
                send(&self.opening.port, datagram.from, out.get(..len).unwrap_or_default(), cx);
            }
            Outcome::Answered(_) | Outcome::Nothing => {}
        }
    }

    fn drain_dtls(&mut self, cx: &mut Context, now: Instant) {
        let Some(path) = self.path() else { return };
        loop {
            match self.dtls.poll() {
                Ok(Some(DtlsOutput::Datagram(bytes))) => send(&self.opening.port, path, &bytes, cx),
                Ok(Some(DtlsOutput::Connected(established))) => {
                    let profile = established.keying.profile;
                    self.srtp = Srtp::client(&established.keying).ok();
                    self.begin(cx, now);
                    let took = now.saturating_duration_since(self.opening.begun);
                    let _ = self.opening.notices.send(Notice::Secured(took, profile));
                }
                Ok(Some(DtlsOutput::Data(_))) => {}
                Ok(Some(DtlsOutput::Closed)) | Err(_) => return self.lose(cx),
                Ok(None) => return,
            }
        }
    }

    pub(super) fn path(&self) -> Option<SocketAddr> {
        self.ice.as_ref().and_then(|ice| ice.path)
    }

    /// Media begins, everybody's at another moment of the picture.
    fn begin(&mut self, cx: &mut Context, now: Instant) {
        let phase = |interval: Duration, rng: &mut Rng| {
            interval.mul_f64(f64::from(u32::try_from(rng.below(1_000)).unwrap_or(0)) / 1e3)
        };
        self.next_feedback = now + phase(FEEDBACK, &mut cx.rng);
        self.next_reports = now + phase(REPORTS, &mut cx.rng);
        for sending in std::mem::take(&mut self.opening.sending) {
            let next = now + phase(sending.feed.interval(), &mut cx.rng);
            self.outgoing.push(Outgoing::new(sending, next));
        }
    }

    fn handle_rtp(&mut self, datagram: &Datagram<'_>, cx: &mut Context, now: Instant) {
        let Ok(header) = Header::parse(datagram.bytes) else {
            cx.figures.counters.broken += 1;
            return;
        };
        let counters = &mut cx.figures.counters;
        counters.received += 1;
        counters.received_bytes += datagram.bytes.len() as u64;
        let at = datagram.stamp.unwrap_or_else(since_epoch);
        if let Some(seq) = header.extension(numbers::TRANSPORT_CC).and_then(transport_sequence) {
            self.arrivals.add(seq, at);
        }
        if numbers::is_retransmission(header.payload_type) {
            counters.repaired += 1;
            return self.repair(datagram.bytes, &header, cx);
        }
        let stream = self.streams.entry(header.ssrc).or_insert_with(|| Incoming::new(now));
        counters.expected += stream.step(header.seq).promised;
        if !stream.is_whole() {
            self.next_feedback = self.next_feedback.min(now + REORDERING);
        }
        let looks = stream.looks(cx.sample);
        let awaited = || self.awaited.iter().position(|awaited| Some(awaited.publisher) == stream.publisher);
        let awaited = if self.awaited.is_empty() { None } else { awaited() };
        if !looks && awaited.is_none() {
            return;
        }
        let kind = if header.payload_type == numbers::OPUS { Kind::Audio } else { Kind::Video };
        stream.jitter(at, header.timestamp, if kind == Kind::Audio { 48_000 } else { 90_000 });
        let Some(srtp) = &mut self.srtp else { return };
        let opened = srtp.inbound.open_rtp(&mut stream.window, &header, datagram.bytes, &mut cx.plain);
        let Ok(opened) = opened else {
            counters.broken += 1;
            return;
        };
        counters.opened += 1;
        let payload = cx.plain.get(..opened.payload_len).unwrap_or_default();
        let Some(stamp) = header.unpadded(payload).ok().and_then(Stamp::read) else {
            counters.strange += 1;
            return;
        };
        let arrived = u64::try_from(at.as_nanos()).unwrap_or(0);
        cx.figures.delay.add(arrived.saturating_sub(stamp.sent));
        let whole = stream.seek(&stamp, kind);
        if let Some(index) = awaited.filter(|_| kind == Kind::Video) {
            self.settle(index, &stamp, cx, now);
        }
        if whole {
            self.see(kind, now);
        }
    }

    /// RFC 4588 §4: the number of what is sent again stands first; a probe has nothing in it.
    fn repair(&mut self, packet: &[u8], header: &Header<'_>, cx: &mut Context) {
        if self.streams.values().all(Incoming::is_whole) {
            return;
        }
        let Some(srtp) = &mut self.srtp else { return };
        let window = self.repairs.entry(header.ssrc).or_default();
        let Ok(opened) = srtp.inbound.open_rtp(window, header, packet, &mut cx.plain) else { return };
        let payload = cx.plain.get(..opened.payload_len).unwrap_or_default();
        let Some([high, low]) = header.unpadded(payload).ok().and_then(<[u8]>::first_chunk) else { return };
        let seq = SeqNo(u16::from_be_bytes([*high, *low]));
        let repaired = self.streams.values_mut().any(|stream| stream.repair(seq));
        cx.figures.counters.recovered += u64::from(repaired);
    }

    /// A packet of a publisher whose other layer is awaited.
    fn settle(&mut self, index: usize, stamp: &Stamp, cx: &mut Context, now: Instant) {
        let Some(awaited) = self.awaited.get(index) else { return };
        let took = now.saturating_duration_since(awaited.since);
        if awaited.layer == stamp.layer {
            cx.figures.switching.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
        if awaited.layer == stamp.layer || took > SWITCHING_MAX {
            self.awaited.swap_remove(index);
        }
    }

    fn see(&mut self, kind: Kind, now: Instant) {
        let took = now.saturating_duration_since(self.opening.begun);
        let (picture_seen, sound_seen) = &mut self.seen;
        let (seen, notice) = if kind == Kind::Audio {
            (sound_seen, Notice::FirstSound(took))
        } else {
            (picture_seen, Notice::FirstPicture(took))
        };
        if !std::mem::replace(seen, true) {
            let _ = self.opening.notices.send(notice);
        }
    }

    /// Whether any stream still seeks its first picture.
    pub(super) fn seekers(&mut self) -> impl Iterator<Item = (Ssrc, &mut Gaze)> {
        self.streams.iter_mut().map(|(ssrc, stream)| (*ssrc, &mut stream.gaze))
    }

    /// Sends the pictures that are due, each as a burst.
    fn play(&mut self, cx: &mut Context, now: Instant) {
        let (Some(path), Some(srtp)) = (self.path(), &mut self.srtp) else { return };
        for outgoing in &mut self.outgoing {
            while let Some((frame, late)) = outgoing.due(now) {
                cx.figures.lateness.add(u64::try_from(late.as_nanos()).unwrap_or(0));
                let mut burst = Burst { path, port: &self.opening.port, used: 0, ends: Vec::new() };
                for packet in 0..frame.packets {
                    let place = Place {
                        sealer: &mut srtp.outbound,
                        transport_seq: self.transport_seq,
                        sent: u64::try_from(since_epoch().as_nanos()).unwrap_or(0),
                    };
                    let Some(room) = cx.arena.get_mut(burst.used..burst.used + PACKET_MAX) else { break };
                    let Some(len) = outgoing.seal(&frame, packet, place, room) else { break };
                    self.transport_seq = self.transport_seq.wrapping_add(1);
                    burst.used += len;
                    burst.ends.push(burst.used);
                    if burst.is_full() {
                        burst.flush(&cx.arena, &mut cx.figures);
                    }
                }
                burst.flush(&cx.arena, &mut cx.figures);
            }
        }
    }

    pub(super) fn send(&self, bytes: &[u8], cx: &mut Context) {
        if let Some(path) = self.path() {
            send(&self.opening.port, path, bytes, cx);
        }
    }
}

/// Packets that leave together.
struct Burst<'a> {
    path: SocketAddr,
    port: &'a Port,
    used: usize,
    ends: Vec<usize>,
}

impl Burst<'_> {
    const fn is_full(&self) -> bool {
        self.used + PACKET_MAX > ARENA || self.ends.len() >= Port::SEND_MAX
    }

    fn flush(&mut self, arena: &[u8], figures: &mut Figures) {
        let mut start = 0;
        let messages: Vec<Message<'_>> = self
            .ends
            .iter()
            .map(|end| {
                let bytes = arena.get(std::mem::replace(&mut start, *end)..*end).unwrap_or_default();
                Message { to: self.path, bytes, segment: None }
            })
            .collect();
        let (sent, _) = self.port.send(&messages);
        let counters = &mut figures.counters;
        counters.sent += sent as u64;
        counters.sent_bytes +=
            messages.iter().take(sent).map(|message| message.bytes.len() as u64).sum::<u64>();
        counters.unsent += (messages.len() - sent) as u64;
        self.used = 0;
        self.ends.clear();
    }
}

fn send(port: &Port, to: SocketAddr, bytes: &[u8], cx: &mut Context) {
    if bytes.is_empty() {
        return;
    }
    let (sent, _) = port.send(&[Message { to, bytes, segment: None }]);
    if sent == 0 {
        cx.figures.counters.unsent += 1;
    }
}

pub(super) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
