//! Times of day as RTCP writes them (RFC 3550 §4), and what senders say about their clocks.
//!
//! Invariant: the only reading of the time of day is the one the worker was given at its start.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{rtcp::NtpTime, units::RtpTime};

/// Seconds from 1900 to 1970 (RFC 5905 §6).
const NTP_EPOCH: u64 = 2_208_988_800;

/// The time of so much later; it wraps in 2036.
fn later(ntp: NtpTime, by: Duration) -> NtpTime {
    NtpTime(ntp.0.wrapping_add(to_ntp(by)))
}

fn to_ntp(duration: Duration) -> u64 {
    let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
    (duration.as_secs() << 32) | fraction
}

/// Tells the time of day by an instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wall {
    at: Instant,
    ntp: NtpTime,
}

impl Wall {
    pub(crate) fn new(at: Instant, wall: SystemTime) -> Self {
        let since_1970 = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at, ntp: NtpTime(to_ntp(since_1970).wrapping_add(NTP_EPOCH << 32)) }
    }

    pub(crate) fn ntp(&self, now: Instant) -> NtpTime {
        later(self.ntp, now.saturating_duration_since(self.at))
    }

    /// Since the worker's start: what arrival times are told by.
    pub(crate) fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }
}

/// What a sender report says: which RTP time was which time of day, and when we heard so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderClock {
    pub(crate) ntp: NtpTime,
    pub(crate) timestamp: RtpTime,
    pub(crate) heard: Instant,
}

impl SenderClock {
    /// The same clock, read now.
    pub(crate) fn read(&self, clock_rate: u32, now: Instant) -> Self {
        let since = now.saturating_duration_since(self.heard);
        Self {
            ntp: later(self.ntp, since),
            timestamp: self.timestamp.plus(ticks(since, clock_rate)),
            heard: now,
        }
    }

    /// The time of this clock that is the same time of day as `timestamp` of another.
    pub(crate) fn translate(&self, other: &Self, timestamp: RtpTime, clock_rate: u32) -> RtpTime {
        let apart = self.ntp.0.wrapping_sub(other.ntp.0).cast_signed();
        let apart_ticks = (i128::from(apart) * i128::from(clock_rate)) >> 32;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "RTP time wraps at 32 bits"
        )]
        let apart_ticks = apart_ticks as u32;
        // timestamp - other.timestamp + self.timestamp - (self.ntp - other.ntp)
        let since = timestamp.0.wrapping_sub(other.timestamp.0);
        RtpTime(self.timestamp.0.wrapping_add(since).wrapping_sub(apart_ticks))
    }
}

/// A duration in ticks of a media clock; it wraps.
pub(crate) fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    let ticks = duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
    (ticks & 0xffff_ffff) as u32
}

/// Ticks of a media clock as a duration.
pub(crate) fn from_ticks(ticks: u32, clock_rate: u32) -> Duration {
    let nanos = u64::from(ticks).saturating_mul(1_000_000_000).checked_div(u64::from(clock_rate));
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_wall_clock_goes_on_from_its_one_reading() {
        let start = fixture::start();
        let wall = Wall::new(start, UNIX_EPOCH + Duration::from_secs(1));

        assert_eq!(wall.ntp(start), NtpTime((NTP_EPOCH + 1) << 32));
        assert_eq!(
            wall.ntp(start + Duration::from_millis(1_500)),
            NtpTime(((NTP_EPOCH + 2) << 32) + (1 << 31))
        );
    }

    #[test]
    fn two_clocks_of_one_sender_are_translated_by_the_time_of_day() {
        let start = fixture::start();
        let low = SenderClock { ntp: NtpTime(100 << 32), timestamp: RtpTime(5_000), heard: start };
        let high =
            SenderClock { ntp: NtpTime((101 << 32) + (1 << 31)), timestamp: RtpTime(u32::MAX), heard: start };

        // 9,000 ticks after the report of `high` is 1.6 s after the report of `low`.
        let at = RtpTime(u32::MAX).plus(9_000);
        assert_eq!(low.translate(&high, at, 90_000), RtpTime(5_000 + 144_000));
        assert_eq!(high.translate(&low, RtpTime(5_000 + 144_000), 90_000), at);
    }

    #[test]
    fn a_clock_read_later_has_gone_on() {
        let start = fixture::start();
        let clock = SenderClock { ntp: NtpTime(0), timestamp: RtpTime(0), heard: start };

        let later = clock.read(48_000, start + Duration::from_millis(500));

        assert_eq!(later.timestamp, RtpTime(24_000));
        assert_eq!(later.ntp, NtpTime(1 << 31));
    }
}
