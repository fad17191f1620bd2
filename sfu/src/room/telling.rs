//! What the control plane is told: how transports stand, who speaks, how streams fare.
//!
//! Invariant: nothing here changes what is forwarded.

use std::time::{Duration, Instant};

use super::{
    Room,
    context::Context,
    subscription::{Quality, Subscription, Told},
};
use crate::{
    event::{EventKind, Report, StreamReport},
    forward::{reception::rate, wall::from_ticks},
    transport::{Output, TransportEvent},
    worker::Egress,
};

/// How often the control plane is told how streams fare.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// A transport whose deadline has passed although it was run is run again this much later, not at once.
const PATIENCE: Duration = Duration::from_millis(1);

impl Room {
    /// Does what a client's transport wants.
    pub(super) fn drain_transport(&mut self, key: usize, egress: &mut impl Egress, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let id = peer.id;
        let mut ready = Vec::new();
        while let Some(output) = peer.transport.poll() {
            let event = match output {
                Output::Datagram { to, bytes } => {
                    if let Some(room) = egress.begin(to, bytes.len()).get_mut(..bytes.len()) {
                        room.copy_from_slice(&bytes);
                        egress.commit(bytes.len());
                        cx.counters.datagrams_out += 1;
                        cx.counters.bytes_out += bytes.len() as u64;
                    }
                    continue;
                }
                Output::Event(event) => event,
            };
            let kind = match event {
                TransportEvent::Connected { profile, protocol } => {
                    cx.counters.connected += 1;
                    ready = self
                        .subscriptions
                        .iter()
                        .filter(|(_, own)| own.peer == key)
                        .map(|(key, _)| key)
                        .collect();
                    EventKind::Connected { transport: id, srtp: profile, protocol }
                }
                TransportEvent::Disconnected => EventKind::Disconnected(id),
                TransportEvent::Failed(failure) => {
                    cx.counters.failed += 1;
                    EventKind::Failed(id, failure)
                }
                TransportEvent::ChannelOpen(channel) => EventKind::ChannelOpen(id, channel),
                TransportEvent::Message(channel, message) => EventKind::Message(id, channel, message),
            };
            cx.tell(kind);
        }
        ready.into_iter().for_each(|subscription| self.seek(subscription));
    }

    /// When this client is to be looked after next.
    pub(super) fn deadline_of(&self, key: usize, now: Instant) -> Option<Instant> {
        let peer = self.peers.get(key)?;
        let transport = peer.transport.deadline().map(|at| at.max(now + PATIENCE));
        if peer.transport.remote().is_none() {
            return transport;
        }
        let tracks = peer.tracks.iter().filter_map(|key| self.tracks.get(*key)?.feedback_deadline(now));
        let down = &peer.down;
        let own = [peer.report_at, peer.up.arrivals.deadline(), down.sharing.at, down.congestion.deadline()];
        [transport].into_iter().chain(own).flatten().chain(tracks).min()
    }

    /// Who speaks, when it is time.
    pub(super) fn tell_speakers(&mut self, cx: &mut Context<'_>) {
        let Self { tracks, peers, speakers, .. } = self;
        let voices = tracks.iter_mut().filter_map(|(_, track)| {
            let participant = peers.get(track.peer)?.participant;
            Some((participant, track.voice.as_mut()?))
        });
        let changed = speakers.decide(voices, cx.now);
        if !changed.is_empty() {
            cx.tell(EventKind::Speakers(changed));
        }
    }

    /// The next report is due in a while.
    pub(super) fn expect_report(&mut self, now: Instant) {
        self.report_at.get_or_insert(now + REPORT_INTERVAL);
    }

    /// How streams fare, when it is time: one report for each transport that carries any.
    pub(super) fn tell_report(&mut self, cx: &mut Context<'_>) {
        if self.report_at.is_none_or(|at| at > cx.now) {
            return;
        }
        self.report_at = (!self.peers.is_empty()).then_some(cx.now + REPORT_INTERVAL);
        let Self { peers, tracks, subscriptions, .. } = self;
        for (_, peer) in peers.iter() {
            let mut report =
                Report { rtt: peer.rtt, estimate: peer.down.congestion.estimate(), ..Report::default() };
            for key in &peer.tracks {
                let Some(track) = tracks.get_mut(*key) else { continue };
                report.received.push((track.id, received(track)));
            }
            for key in &peer.subscriptions {
                let Some(subscription) = subscriptions.get_mut(*key) else { continue };
                let clock_rate = subscription.send.formats.first().map_or(0, |format| format.to.clock_rate);
                let layer = tracks.get(subscription.track).and_then(|track| subscription.layer_told(track));
                let stream = StreamReport { layer, ..sent(subscription, clock_rate) };
                report.sent.push((subscription.id, stream));
            }
            if !report.received.is_empty() || !report.sent.is_empty() {
                cx.tell(EventKind::Report(report));
            }
        }
    }
}

/// All encodings of a track together; the jitter is that of the worst.
fn received(track: &mut super::Track) -> StreamReport {
    let mut all = StreamReport::default();
    for layer in &mut track.layers {
        let (expected, lost, bitrate) = layer.reception.tell(REPORT_INTERVAL);
        all.expected += expected;
        all.lost += lost;
        all.bitrate = crate::units::Bitrate::bps(all.bitrate.as_bps() + bitrate.as_bps());
        let clock_rate = layer.format.map_or(0, |format| format.clock_rate);
        all.jitter = all.jitter.max(layer.reception.jitter(clock_rate));
    }
    all
}

/// What the client's receiver reports tell.
fn sent(subscription: &mut Subscription, clock_rate: u32) -> StreamReport {
    let quality = subscription.quality.unwrap_or_default();
    let Told { bytes, lost, highest } = subscription.told;
    subscription.told = Told { bytes: subscription.bytes, lost: quality.lost, highest: quality.highest };
    let began = if highest == 0 { quality.highest } else { highest };
    let expected = quality.highest.wrapping_sub(began);
    let lost = u64::try_from(quality.lost.saturating_sub(lost)).unwrap_or(0);
    let Quality { jitter, .. } = quality;
    StreamReport {
        expected: u64::from(expected),
        lost: lost.min(u64::from(expected)),
        bitrate: rate(subscription.bytes.saturating_sub(bytes), REPORT_INTERVAL),
        jitter: from_ticks(jitter, clock_rate),
        layer: None,
    }
}
