//! Key frames are asked for once per encoding, not once per viewer (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
//!
//! Invariant: two requests for one encoding are at least [`SPACING`] apart, however many ask.

use std::time::{Duration, Instant};

/// LiveKit waits 500 ms to 1 s. Higher: kinder to the publisher's bitrate. Lower: a second viewer waits less.
const SPACING: Duration = Duration::from_millis(500);
/// Requests without an answer after which a publisher is asked more rarely.
const PATIENCE: u32 = 10;
/// How rarely.
const SPACING_UNANSWERED: Duration = Duration::from_secs(2);

/// The requests for one encoding.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests {
    wanted: Wanted,
    sent: Option<Instant>,
    unanswered: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    No,
    Yes,
}

impl KeyframeRequests {
    /// Somebody needs a key frame.
    pub(crate) fn want(&mut self) {
        self.wanted = Wanted::Yes;
    }

    /// One arrived: nobody needs another yet.
    pub(crate) fn arrived(&mut self) {
        self.wanted = Wanted::No;
        self.unanswered = 0;
    }

    /// Whether a request is to be sent at this moment; it counts as sent.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        if self.deadline(now).is_none_or(|at| at > now) {
            return false;
        }
        self.wanted = Wanted::No;
        self.sent = Some(now);
        self.unanswered = self.unanswered.saturating_add(1);
        true
    }

    /// When a request is to be sent.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let spacing = if self.unanswered > PATIENCE { SPACING_UNANSWERED } else { SPACING };
        match self.wanted {
            Wanted::No => None,
            Wanted::Yes => Some(self.sent.map_or(now, |sent| sent + spacing)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_first_request_goes_at_once() {
        let now = fixture::start();
        let mut requests = KeyframeRequests::default();
        requests.want();

        assert!(requests.take_due(now));
        assert!(!requests.take_due(now));
    }

    #[test]
    fn many_requests_make_one_per_half_second() {
        let start = fixture::start();
        let mut requests = KeyframeRequests::default();

        let sent = (0..2_000)
            .filter(|millisecond| {
                requests.want();
                requests.arrived();
                requests.want();
                requests.take_due(start + Duration::from_millis(*millisecond))
            })
            .count();

        assert_eq!(sent, 4);
    }

    #[test]
    fn a_publisher_that_never_answers_is_asked_more_rarely() {
        let start = fixture::start();
        let mut requests = KeyframeRequests::default();

        let sent = (0..60_000)
            .filter(|millisecond| {
                requests.want();
                requests.take_due(start + Duration::from_millis(*millisecond))
            })
            .count();

        assert!(sent < 45, "{sent}");
    }
}
