//! How often a subscriber's NACK is answered (RFC 4588 over RTX where it is spoken).
//!
//! Invariants:
//! - a packet goes at most once per round trip and [`RESENDS_MAX`] times in all, from the second time on in two copies;
//! - what is resent to one client stays below [`SHARE_PERCENT`] of what it is sent, and one burst.

use std::time::{Duration, Instant};

use crate::units::Bitrate;

/// Resends remembered per subscription; a power of two.
const REMEMBERED: usize = 256;
/// Times one packet is sent again.
const RESENDS_MAX: u8 = 5;
/// Copies of it at once.
const COPIES_MAX: u8 = 2;
/// Two NACKs for one packet closer than this are one.
const SPACING_MIN: Duration = Duration::from_millis(20);
/// Of what is sent to a client, so much may be sent again: enough for 11 % of loss. Higher: survives more loss.
/// Lower: a client cannot make us flood its own path.
const SHARE_PERCENT: u64 = 14;
/// Where more is seen to be lost, up to so much.
const SHARE_PERCENT_MAX: u64 = 50;
/// On a path that carries little, what may be resent at once takes no longer than this, in milliseconds.
const BURST_MILLIS: u64 = 150;
const BURST_MIN: u64 = 4 * 1_024;
/// Bytes that may be resent at once: one frame or a lost burst.
const BURST: u64 = 64 * 1_024;
/// Bytes a client may have resent before it was sent much: its first key frame and what follows, which a client that got its
/// keys a moment later than we did has lost as a whole.
const START: u64 = 32 * 1_024;

#[derive(Clone, Copy, Debug)]
struct Resent {
    seq: u64,
    at: Instant,
    times: u8,
}

/// What was resent of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Resends {
    // Empty until the first NACK: most subscriptions never see one.
    recent: Vec<Option<Resent>>,
}

impl Resends {
    /// How many copies of this packet may go now; they count as sent. What is asked for again was lost again: the time for
    /// another request is over soon, so two copies go.
    pub(crate) fn allow(&mut self, seq: u64, rtt: Duration, now: Instant) -> u8 {
        if self.recent.is_empty() {
            self.recent.resize(REMEMBERED, None);
        }
        #[expect(clippy::cast_possible_truncation, reason = "masked to the table's size")]
        let place = seq as usize & (REMEMBERED - 1);
        let Some(slot) = self.recent.get_mut(place) else { return 0 };
        let known = slot.filter(|resent| resent.seq == seq);
        let times = match known {
            Some(resent) if resent.times >= RESENDS_MAX => return 0,
            Some(resent) if now.saturating_duration_since(resent.at) < rtt.max(SPACING_MIN) => return 0,
            Some(resent) => resent.times + 1,
            None => 1,
        };
        *slot = Some(Resent { seq, at: now, times });
        times.min(COPIES_MAX)
    }
}

/// What may be resent to one client.
#[derive(Debug)]
pub(crate) struct Budget {
    hundredths: u64,
    share: u64,
    burst: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { hundredths: START * 100, share: SHARE_PERCENT, burst: BURST }
    }
}

impl Budget {
    /// What is known of the path: what it carries, and how much of it is lost, in per cent.
    pub(crate) fn fit(&mut self, carries: Bitrate, lost: u64) {
        self.share = (lost * 2).clamp(SHARE_PERCENT, SHARE_PERCENT_MAX);
        self.burst = (carries.as_bps() / 8 * BURST_MILLIS / 1_000).clamp(BURST_MIN, BURST);
    }

    /// Media was sent. What is there at the start stays until it is spent.
    pub(crate) fn earn(&mut self, bytes: usize) {
        let earned = (bytes as u64).saturating_mul(self.share);
        let most = self.hundredths.max(self.burst * 100);
        self.hundredths = self.hundredths.saturating_add(earned).min(most);
    }

    /// Whether so much could be resent.
    pub(crate) fn holds(&self, bytes: usize) -> bool {
        self.hundredths >= (bytes as u64).saturating_mul(100)
    }

    /// Whether so much may be resent; if so it is spent.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        let Some(left) = self.hundredths.checked_sub((bytes as u64).saturating_mul(100)) else {
            return false;
        };
        self.hundredths = left;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const RTT: Duration = Duration::from_millis(50);

    #[test]
    fn a_packet_goes_once_per_round_trip_and_not_for_ever() {
        let start = fixture::start();
        let mut resends = Resends::default();

        let times = (0..1_000)
            .filter(|millisecond| resends.allow(7, RTT, start + Duration::from_millis(*millisecond)) > 0)
            .count();

        assert_eq!(times, usize::from(RESENDS_MAX));
    }

    #[test]
    fn two_packets_are_counted_apart() {
        let start = fixture::start();
        let mut resends = Resends::default();

        assert_eq!(resends.allow(7, RTT, start), 1);
        assert_eq!(resends.allow(8, RTT, start), 1);
        assert_eq!(resends.allow(7, RTT, start + RTT / 2), 0);
        assert_eq!(resends.allow(7, RTT, start + RTT), 2);
    }

    #[test]
    fn a_narrow_path_is_not_filled_with_what_is_resent() {
        let mut budget = Budget::default();
        while budget.spend(1_200) {}
        budget.fit(Bitrate::kbps(500), 60);
        budget.earn(1_000_000);

        let resent = (0..1_000).filter(|_| budget.spend(1_200)).count() * 1_200;

        assert!(resent <= 500_000 / 8 * 150 / 1_000, "{resent}");
    }

    #[test]
    fn what_is_resent_stays_below_its_share() {
        let mut budget = Budget::default();
        let mut resent = 0_u64;

        for _ in 0..1_000 {
            budget.earn(1_200);
            while budget.spend(1_200) {
                resent += 1_200;
            }
        }

        assert!(resent <= START + 1_200_000 * SHARE_PERCENT / 100);
    }
}
