//! One client's transport with what is received and sent over it.
//!
//! Invariant: keys in its lists name tracks and subscriptions of the same room that exist.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{formats::Formats, grant::Sharing, streams::Streams};
use crate::{
    congestion::Congestion,
    forward::{arrivals::Arrivals, nack::RTT_ASSUMED, retransmit::Budget},
    ids::{ParticipantId, TransportId},
    params::ExtensionMap,
    transport::Transport,
    units::{SeqNo, Ssrc},
};

/// Datagrams of one client in one window: 5,000 per second, twice what 20 Mbit/s of media need.
const DATAGRAMS_MAX: u32 = 500;
const WINDOW: Duration = Duration::from_millis(100);

/// How many datagrams a client may send.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    window: Option<Instant>,
    datagrams: u32,
}

impl Allowance {
    /// Whether one more is within bounds.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        if self.window.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            self.window = Some(now);
            self.datagrams = 0;
        }
        self.datagrams = self.datagrams.saturating_add(1);
        self.datagrams <= DATAGRAMS_MAX
    }
}

/// What is to be told to this client as a sender.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    pub(crate) formats: Formats,
    pub(crate) extensions: ExtensionMap,
    pub(crate) streams: Streams,
    pub(crate) arrivals: Arrivals,
    /// The SSRC heard last: transport-wide feedback names a stream of the client's, or libwebrtc takes no notice of it.
    pub(crate) heard: Option<Ssrc>,
    /// Numbers our feedback messages.
    pub(crate) message: u8,
    /// Numbers our full intra requests (RFC 5104 §4.3.1.1).
    pub(crate) intra: u8,
    /// Whether it ever sent a sender report.
    pub(crate) reports: bool,
    /// When its first media came.
    pub(crate) began: Option<Instant>,
}

/// What is sent to this client.
#[derive(Debug)]
pub(crate) struct Downstream {
    /// What the path to it carries.
    pub(crate) congestion: Congestion,
    /// How that is shared out.
    pub(crate) sharing: Sharing,
    pub(crate) budget: Budget,
    /// Subscriptions with something to forward in this flush.
    pub(crate) pending: Vec<usize>,
    /// What it asked for again.
    pub(crate) resend: Vec<(usize, SeqNo)>,
    /// Subscriptions by the SSRC we send.
    pub(crate) by_ssrc: BTreeMap<Ssrc, usize>,
}

impl Downstream {
    fn new(now: Instant) -> Self {
        Self {
            congestion: Congestion::new(now),
            sharing: Sharing::default(),
            budget: Budget::default(),
            pending: Vec::new(),
            resend: Vec::new(),
            by_ssrc: BTreeMap::new(),
        }
    }
}

/// One client's transport.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: TransportId,
    pub(crate) participant: ParticipantId,
    pub(crate) transport: Transport,
    pub(crate) allowance: Allowance,
    /// The keys of the tracks it publishes.
    pub(crate) tracks: Vec<usize>,
    /// The keys of the subscriptions sent on it.
    pub(crate) subscriptions: Vec<usize>,
    pub(crate) up: Upstream,
    pub(crate) down: Downstream,
    /// The SSRC our feedback comes from.
    pub(crate) ssrc: Ssrc,
    pub(crate) rtt: Option<Duration>,
    /// When reports are due.
    pub(crate) report_at: Option<Instant>,
    /// SSRCs whose end the client is to be told of.
    pub(crate) farewells: Vec<Ssrc>,
    pub(crate) is_touched: bool,
}

impl Peer {
    /// Whether what is sent now arrives: there is a validated path, and keys.
    pub(crate) fn takes_media(&mut self) -> bool {
        self.transport.remote().is_some() && self.transport.srtp().is_some()
    }

    pub(crate) fn new(
        id: TransportId,
        participant: ParticipantId,
        transport: Transport,
        ssrc: Ssrc,
        now: Instant,
    ) -> Self {
        Self {
            id,
            participant,
            transport,
            allowance: Allowance::default(),
            tracks: Vec::new(),
            subscriptions: Vec::new(),
            up: Upstream::default(),
            down: Downstream::new(now),
            ssrc,
            rtt: None,
            report_at: None,
            farewells: Vec::new(),
            is_touched: false,
        }
    }

    /// The round trip, or what is assumed of it.
    pub(crate) fn rtt(&self) -> Duration {
        self.rtt.unwrap_or(RTT_ASSUMED)
    }

    /// A round trip was measured: an eighth of the difference counts (RFC 6298 §2.3).
    pub(crate) fn measured(&mut self, rtt: Duration) {
        self.rtt = Some(match self.rtt {
            Some(before) => (before * 7 + rtt) / 8,
            None => rtt,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_flood_is_cut_to_the_allowance_and_forgiven_in_the_next_window() {
        let start = fixture::start();
        let mut allowance = Allowance::default();

        let admitted = (0..50_000)
            .filter(|datagram| allowance.admit(start + Duration::from_micros(datagram * 20)))
            .count();

        assert_eq!(admitted, 10 * DATAGRAMS_MAX as usize);
        assert!(allowance.admit(start + Duration::from_secs(2)));
    }
}
