//! One track forwarded to one client: which encoding it is given, and how its packets are numbered.
//!
//! Invariants:
//! - an encoding is entered only where a decoder can begin;
//! - while delivery is paused nothing is sent and no number is used up.

use std::time::{Duration, Instant};

use super::{
    copies::Copies,
    track::{Layer, Track},
};
use crate::{
    forward::{
        frame::{Entry, Table},
        layers::Target,
        packet::Packet,
        retransmit::Resends,
        rewrite::{Continuation, NO_TOP, Rewriter},
        select::{Selection, Verdict},
        wall::ticks,
    },
    ids::SubscriptionId,
    params::{Delivery, Extension, Feedback, MediaKind, SendFormat, SendParameters, Wish},
    rtcp::{NtpTime, ReportBlock},
    units::{PayloadType, RtpTime},
};

/// After a switch, packets of the encoding before it may still come and fill its gaps.
const AFTERMATH: Duration = Duration::from_secs(1);
/// Sender reports disagree with arrival times by less than this, or they are not believed.
const CLOCKS_APART_MAX: Duration = Duration::from_millis(500);

/// What a subscriber is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing: paused, or no place to begin was seen yet.
    Nothing,
    /// This encoding, since then.
    Layer(u8, Instant),
}

/// The sender report that a client's next report block quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported {
    pub(crate) ntp: NtpTime,
    pub(crate) at: Instant,
    packets: u32,
}

/// What the client told of what it gets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quality {
    pub(crate) lost: i32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
}

/// One track forwarded to one client.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    /// The key of the transport it is sent on.
    pub(crate) peer: usize,
    /// The key of the track.
    pub(crate) track: usize,
    pub(crate) send: SendParameters,
    pub(crate) wish: Wish,
    /// What the path carries; nothing: paused. The lower of this and the wish is forwarded.
    pub(crate) allowed: Option<Target>,
    pub(crate) given: Given,
    pub(crate) selection: Selection,
    pub(crate) rewriter: Rewriter,
    pub(crate) resends: Resends,
    /// What can only be sent again as it was sent: there is no RTX.
    pub(crate) copies: Option<Copies>,
    /// The next index on the SSRC of retransmissions.
    pub(crate) repair_next: u64,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    pub(crate) bytes: u64,
    pub(crate) last_sent: Option<Instant>,
    pub(crate) reported: Option<Reported>,
    pub(crate) quality: Option<Quality>,
    pub(crate) told: Told,
}

/// What the control plane was told last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    pub(crate) bytes: u64,
    pub(crate) lost: i32,
    pub(crate) highest: u32,
}

impl Subscription {
    pub(crate) fn new(id: SubscriptionId, places: (usize, usize), send: SendParameters, wish: Wish) -> Self {
        let (peer, track) = places;
        let first = (send.ssrc.0 ^ (send.ssrc.0 >> 16)) & 0x7fff;
        let mut subscription = Self {
            id,
            peer,
            track,
            send,
            wish,
            allowed: Some(Target::ALL),
            given: Given::Nothing,
            selection: Selection::default(),
            rewriter: Rewriter::new(u16::try_from(first).unwrap_or(0)),
            resends: Resends::default(),
            copies: None,
            repair_next: u64::from(first ^ 0x5555),
            packets: 0,
            octets: 0,
            bytes: 0,
            last_sent: None,
            reported: None,
            quality: None,
            told: Told::default(),
        };
        subscription.choose_copies();
        subscription
    }

    /// How it is written changed; its numbers go on.
    pub(crate) fn set(&mut self, send: SendParameters) {
        // Another SSRC under the same name would be another subscription: its numbers would begin anew.
        self.send = SendParameters { ssrc: self.send.ssrc, ..send };
        self.choose_copies();
    }

    fn choose_copies(&mut self) {
        let asks = |format: &SendFormat| format.to.feedback.has(Feedback::NACK);
        let without_rtx = |format: &SendFormat| self.send.rtx_ssrc.is_none() || format.to.rtx.is_none();
        if !self.send.formats.iter().any(|format| asks(format) && without_rtx(format)) {
            self.copies = None;
        } else if self.copies.is_none() {
            self.copies = Some(Copies::default());
        }
    }

    /// How the client knows a payload type of the publisher.
    pub(crate) fn format(&self, from: PayloadType) -> Option<SendFormat> {
        self.send.formats.iter().find(|format| format.from == from).copied()
    }

    /// Nothing is forwarded from here on until a decoder can begin anew.
    pub(crate) fn stop(&mut self) {
        self.given = Given::Nothing;
    }

    /// The numbering of an encoding ended: what was sent of it cannot be traced back any more.
    pub(crate) fn forget_layer(&mut self, layer: u8) {
        self.rewriter.forget(layer);
        if matches!(self.given, Given::Layer(given, _) if given == layer) {
            self.stop();
        }
    }

    pub(crate) fn layer(&self) -> Option<u8> {
        match self.given {
            Given::Layer(layer, _) => Some(layer),
            Given::Nothing => None,
        }
    }

    /// The layer that is given: an encoding, or a spatial layer within the only one.
    pub(crate) fn layer_told(&self, track: &Track) -> Option<u8> {
        let layer = self.layer()?;
        let only = track.layers.first().filter(|_| track.layers.len() == 1);
        let table = only.and_then(|layer| layer.table.as_ref());
        Some(table.map_or(layer, |table| self.selection.given().spatial.min(table.highest().spatial)))
    }

    /// Whether gaps of the encoding before the last switch may still be filled.
    pub(crate) fn in_aftermath(&self, now: Instant) -> bool {
        match self.given {
            Given::Layer(_, since) => now.saturating_duration_since(since) < AFTERMATH,
            Given::Nothing => false,
        }
    }

    /// Whether anything is to be sent at all.
    pub(crate) fn is_paused(&self, track: &Track) -> bool {
        self.wish.delivery == Delivery::Paused || track.delivery == Delivery::Paused || self.allowed.is_none()
    }

    /// The highest layers to forward: what is wanted, as far as it is allowed.
    pub(crate) fn target(&self) -> Target {
        let wanted = Target { spatial: self.wish.layer_max, temporal: self.wish.temporal_max };
        self.allowed.map_or(wanted, |allowed| wanted.min(allowed))
    }

    /// The encoding to aim for.
    pub(crate) fn aim(&self, track: &Track) -> Option<u8> {
        track.flowing().aim(self.target().spatial)
    }

    /// The highest layers to forward of the encoding that is given.
    pub(crate) fn goal(&self, track: &Track) -> Target {
        let target = self.target();
        if track.layers.len() <= 1 {
            return target;
        }
        // Which encoding is given is chosen among them all. One that the path does not carry is thinned until the lower one
        // can be entered.
        let too_much = self.allowed.zip(self.layer()).is_some_and(|(allowed, given)| allowed.spatial < given);
        Target { spatial: u8::MAX, temporal: if too_much { 0 } else { target.temporal } }
    }

    /// Whether a packet of the encoding that is given is forwarded.
    pub(crate) fn judge(&mut self, packet: &Packet, goal: Target, table: Option<&Table>) -> Verdict {
        // A receiver that cannot read descriptors goes by the payload, and so its layers are chosen by that.
        let reads = self.send.extensions.id(Extension::DependencyDescriptor).is_some();
        let table = table.filter(|_| reads || packet.frame.entry == Entry::Untold);
        let verdict = self.selection.judge(&packet.frame, goal, table);
        if verdict == Verdict::Forward {
            let layered = packet.frame.entry != Entry::Untold || packet.frame.described.is_some();
            let top = if layered { self.selection.given().spatial } else { NO_TOP };
            self.rewriter.set_top(packet, top);
        }
        verdict
    }

    /// Where in the news of this flush the client can begin, or go up or down.
    pub(crate) fn entry(&self, track: &Track, aim: u8) -> Option<(u8, usize)> {
        let lowest = match self.given {
            Given::Layer(..) => aim,
            // Rather a smaller picture at once than the right one later.
            Given::Nothing => 0,
        };
        (lowest..=aim).rev().find_map(|layer| {
            let held = track.layers.get(usize::from(layer))?;
            let at = held.entry?;
            let seq = held.news.get(at)?.seq;
            (!self.rewriter.has_passed(layer, seq)).then_some((layer, at))
        })
    }

    /// From this packet on, the client is given this encoding.
    pub(crate) fn enter(&mut self, layer: u8, packet: &Packet, layers: &[Layer], now: Instant) {
        let continuation = self.continuation(layer, packet, layers);
        self.rewriter.begin(layer, packet, continuation);
        self.selection.begin();
        self.given = Given::Layer(layer, now);
    }

    fn continuation(&self, layer: u8, packet: &Packet, layers: &[Layer]) -> Continuation {
        let (Some(last), Some(sent)) = (self.rewriter.last(), self.last_sent) else {
            return Continuation::SameClock;
        };
        let before = self.rewriter.layer();
        if before == Some(layer) {
            return Continuation::SameClock;
        }
        let Some(clock_rate) =
            layers.get(usize::from(layer)).and_then(|layer| layer.format).map(|format| format.clock_rate)
        else {
            return Continuation::SameClock;
        };
        // Arrival times are rough but never far off.
        let elapsed = packet.arrival.saturating_duration_since(sent);
        let rough = last.timestamp.plus(ticks(elapsed, clock_rate));
        let exact = before.and_then(|before| {
            let from = layers.get(usize::from(before))?.clock?;
            let to = layers.get(usize::from(layer))?.clock?;
            let same = from.translate(&to, packet.timestamp, clock_rate);
            Some(same.plus(self.rewriter.timestamp_offset()))
        });
        let bound = ticks(CLOCKS_APART_MAX, clock_rate);
        let believed = exact.filter(|exact| exact.since(rough).unsigned_abs() < bound);
        Continuation::From(believed.unwrap_or(rough))
    }

    /// The publisher's clock as this client is to read it.
    pub(crate) fn outgoing(&self, timestamp: RtpTime) -> RtpTime {
        timestamp.plus(self.rewriter.timestamp_offset())
    }

    /// Whether packets went out that no sender report covers.
    pub(crate) fn is_unreported(&self) -> bool {
        self.reported.map_or(0, |reported| reported.packets) != self.packets
    }

    pub(crate) fn reported_at(&self) -> Option<Instant> {
        self.reported.map(|reported| reported.at)
    }

    pub(crate) fn report(&mut self, ntp: NtpTime, now: Instant) {
        self.reported = Some(Reported { ntp, at: now, packets: self.packets });
    }

    /// A report block of the client about this SSRC: the round trip, when it can be told.
    pub(crate) fn hear(&mut self, block: &ReportBlock, now: Instant) -> Option<Duration> {
        self.quality = Some(Quality { lost: block.lost, highest: block.highest_seq, jitter: block.jitter });
        let reported = self.reported.filter(|reported| reported.ntp.middle() == block.last_sender_report)?;
        let held = Duration::from_nanos(u64::from(block.delay_since).saturating_mul(1_000_000_000) >> 16);
        now.saturating_duration_since(reported.at).checked_sub(held)
    }

    /// What to ask of the publisher when the client's decoder is stuck.
    pub(crate) fn stuck_layer(&self, track: &Track) -> Option<u8> {
        if track.parameters.kind == MediaKind::Audio || self.is_paused(track) {
            return None;
        }
        self.layer().or_else(|| self.aim(track))
    }
}
