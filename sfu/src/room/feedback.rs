//! RTCP out: reports to publishers and subscribers, and what publishers are asked for.
//!
//! Invariant: all that is due for one client leaves together.

use std::time::{Duration, Instant};

use super::{
    Room,
    context::Context,
    peer::{Peer, Upstream},
    post::{COMPOUND_MAX, Post},
    subscription::Subscription,
    track::{Flow, Layer, Track},
};
use crate::{
    event::EventKind,
    forward::wall::{SenderClock, ticks},
    params::Feedback,
    rtcp::{FirEntry, ReportBlock, SenderInfo, twcc},
    units::{SeqNo, Ssrc},
    worker::Egress,
};

/// How often streams are looked after and publishers are told how they arrive.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How often subscribers are told the clock: every third time.
const SENDER_REPORT_INTERVAL: Duration = Duration::from_millis(2_900);
/// A publisher that sent no sender report for so long sends none.
const SENDER_REPORT_PATIENCE: Duration = Duration::from_secs(5);
/// A subscription that sent nothing for so long is not looked after.
const SENT_LATELY: Duration = Duration::from_secs(5);
/// RFC 3550 §6.4.1: the count of blocks has five bits.
const BLOCKS_MAX: usize = 31;

/// A sender report that is due.
struct Due {
    source: Ssrc,
    info: SenderInfo,
    cname: String,
}

/// The reports that are due for one client.
#[derive(Default)]
struct Reports {
    sent: Vec<Due>,
    received: Vec<ReportBlock>,
}

impl Room {
    /// Sends what is due to this client.
    pub(super) fn send_feedback(&mut self, key: usize, egress: &mut impl Egress, cx: &mut Context<'_>) {
        let now = cx.now;
        let Some(peer) = self.peers.get(key) else { return };
        if peer.transport.remote().is_none() {
            return;
        }
        let reports = if peer.report_at.is_some_and(|at| at <= now) {
            self.look_after(key, cx);
            Reports { sent: self.sender_reports(key, cx), received: self.blocks(key, now) }
        } else {
            Reports::default()
        };

        let Some(peer) = self.peers.get_mut(key) else { return };
        let rtt = peer.rtt();
        let Peer { transport, up, farewells, ssrc: from, tracks: own, .. } = peer;
        let (Some(to), Some(srtp)) = (transport.remote(), transport.srtp()) else { return };
        let sealer = &mut srtp.outbound;
        let counters = &mut *cx.counters;
        let mut post = Post { egress, sealer, counters, to, from: *from, bytes: [0; COMPOUND_MAX], len: 0 };
        write_reports(&mut post, &reports);
        for source in farewells.drain(..) {
            post.add(|writer| writer.goodbye(source));
        }
        for key in own.iter() {
            for layer in self.tracks.get_mut(*key).into_iter().flat_map(|track| &mut track.layers) {
                write_nack(&mut post, layer, &mut self.missing, rtt, now);
                write_keyframe_request(&mut post, layer, up, now);
            }
        }
        write_arrivals(&mut post, up, &mut self.arrived, now);
        post.dispatch();
    }

    /// Who fell silent is told, and when to look again is settled.
    fn look_after(&mut self, key: usize, cx: &mut Context<'_>) {
        let Self { peers, tracks, subscriptions, .. } = self;
        let Some(peer) = peers.get_mut(key) else { return };
        let mut active = false;
        for key in &peer.tracks {
            let Some(track) = tracks.get_mut(*key) else { continue };
            for layer in track.take_silent(cx.now) {
                cx.tell(EventKind::LayerStopped(track.id, layer));
            }
            active |= track.layers.iter().any(|layer| layer.flow != Flow::Silent);
        }
        let mut sending = peer.subscriptions.iter().filter_map(|key| subscriptions.get(*key)?.last_sent);
        active |= sending.any(|at| cx.now.saturating_duration_since(at) < SENT_LATELY);
        peer.report_at = active.then_some(cx.now + REPORT_INTERVAL);
    }

    /// What this publisher is told of its streams.
    fn blocks(&mut self, key: usize, now: Instant) -> Vec<ReportBlock> {
        let Some(peer) = self.peers.get(key) else { return Vec::new() };
        let mut blocks = Vec::new();
        for key in &peer.tracks {
            for layer in self.tracks.get_mut(*key).into_iter().flat_map(|track| &mut track.layers) {
                let Some(ssrc) = layer.primary.filter(|_| layer.reception.has_news()) else { continue };
                let block = layer.reception.block();
                let heard =
                    layer.clock.map(|clock| (clock.ntp.middle(), now.saturating_duration_since(clock.heard)));
                blocks.push(ReportBlock {
                    ssrc,
                    fraction_lost: block.fraction,
                    lost: block.lost,
                    highest_seq: block.highest,
                    jitter: block.jitter,
                    last_sender_report: heard.map_or(0, |(report, _)| report),
                    delay_since: heard.map_or(0, |(_, since)| ticks(since, 65_536)),
                });
            }
        }
        blocks
    }

    /// What this subscriber is told of the clocks of what it gets.
    fn sender_reports(&mut self, key: usize, cx: &Context<'_>) -> Vec<Due> {
        let Self { peers, tracks, subscriptions, .. } = self;
        let Some(peer) = peers.get(key) else { return Vec::new() };
        let mut due = Vec::new();
        for key in &peer.subscriptions {
            let Some(subscription) = subscriptions.get_mut(*key) else { continue };
            let lately = |at| cx.now.saturating_duration_since(at) < SENDER_REPORT_INTERVAL;
            if !subscription.is_unreported() || subscription.reported_at().is_some_and(lately) {
                continue;
            }
            let Some(track) = tracks.get(subscription.track) else { continue };
            let Some(publisher) = peers.get(track.peer) else { continue };
            let Some(clock) = clock(subscription, track, &publisher.up, cx) else { continue };
            subscription.report(clock.ntp, cx.now);
            let info = SenderInfo {
                ntp: clock.ntp,
                rtp: clock.timestamp,
                packets: subscription.packets,
                octets: subscription.octets,
            };
            due.push(Due { source: subscription.send.ssrc, info, cname: publisher.participant.to_string() });
        }
        due
    }
}

/// The clock of what a subscription is given, in the numbers of the subscription: as the publisher reports it, or
/// by arrival times when it never does. All of one publisher's tracks have it the same way, or they would not be
/// played in step.
fn clock(
    subscription: &Subscription,
    track: &Track,
    publisher: &Upstream,
    cx: &Context<'_>,
) -> Option<SenderClock> {
    let layer = track.layers.get(usize::from(subscription.layer()?))?;
    let clock_rate = layer.format?.clock_rate;
    if let Some(clock) = layer.clock {
        let clock = clock.read(clock_rate, cx.now);
        return Some(SenderClock { timestamp: subscription.outgoing(clock.timestamp), ..clock });
    }
    let waited = cx.now.saturating_duration_since(publisher.began?);
    if publisher.reports || waited < SENDER_REPORT_PATIENCE {
        return None;
    }
    let (last, sent) = (subscription.rewriter.last()?, subscription.last_sent?);
    let since = ticks(cx.now.saturating_duration_since(sent), clock_rate);
    Some(SenderClock { ntp: cx.wall.ntp(cx.now), timestamp: last.timestamp.plus(since), heard: cx.now })
}

fn write_reports<E: Egress>(post: &mut Post<'_, E>, reports: &Reports) {
    for due in &reports.sent {
        post.report(|writer| writer.sender_report(due.source, &due.info, &[]));
    }
    let from = post.from;
    for blocks in reports.received.chunks(BLOCKS_MAX) {
        post.report(|writer| writer.receiver_report(from, blocks));
    }
    for due in &reports.sent {
        post.add(|writer| writer.source_description(due.source, due.cname.as_bytes()));
    }
    if !reports.received.is_empty() {
        post.add(|writer| writer.source_description(from, b"sabha"));
    }
}

/// RFC 4585 §6.2.1.
fn write_nack<E: Egress>(
    post: &mut Post<'_, E>,
    layer: &mut Layer,
    missing: &mut Vec<SeqNo>,
    rtt: Duration,
    now: Instant,
) {
    let Some(media) = layer.primary else { return };
    missing.clear();
    layer.nacks.take_due(rtt, now, |seq| missing.push(SeqNo(seq)));
    if missing.is_empty() {
        return;
    }
    post.counters.nacks_out += missing.len() as u64;
    let from = post.from;
    post.add(|writer| writer.nack(from, media, missing.iter().copied()));
}

/// RFC 4585 §6.3.1, or RFC 5104 §4.3.1 for those who know nothing else.
fn write_keyframe_request<E: Egress>(
    post: &mut Post<'_, E>,
    layer: &mut Layer,
    up: &mut Upstream,
    now: Instant,
) {
    let Some(media) = layer.primary else { return };
    if !layer.keyframes.take_due(now) {
        return;
    }
    post.counters.keyframe_requests_out += 1;
    let from = post.from;
    let feedback = layer.format.map_or(Feedback::PLI, |format| format.feedback);
    if feedback.has(Feedback::FIR) && !feedback.has(Feedback::PLI) {
        up.intra = up.intra.wrapping_add(1);
        let entry = FirEntry { ssrc: media, seq: up.intra };
        post.add(|writer| writer.fir(from, entry));
    } else {
        post.add(|writer| writer.pli(from, media));
    }
}

/// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
fn write_arrivals<E: Egress>(
    post: &mut Post<'_, E>,
    up: &mut Upstream,
    arrived: &mut Vec<twcc::Arrival>,
    now: Instant,
) {
    let media = up.heard.unwrap_or(Ssrc(0));
    while let Some(span) = up.arrivals.take_due(now) {
        arrived.clear();
        let times = (span.first..span.end).filter_map(|seq| Some((seq, up.arrivals.time(seq)?)));
        arrived.extend(times.map(|(seq, at)| twcc::Arrival { seq, at }));
        let mut base = span.first;
        let mut rest = arrived.as_slice();
        while !rest.is_empty() {
            let message = twcc::Message { sender: post.from, media, message: up.message, base };
            let Some(told) = post.add(|writer| writer.transport_cc(&message, rest)) else { return };
            up.message = up.message.wrapping_add(1);
            let Some(after) = told.checked_sub(1).and_then(|last| rest.get(last)).map(|last| last.seq + 1)
            else {
                return;
            };
            base = after;
            rest = rest.get(told..).unwrap_or_default();
        }
    }
}
