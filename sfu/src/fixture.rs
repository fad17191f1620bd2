//! Tests only: a first instant, for cores that may not read the clock.

use std::time::Instant;

/// When a test begins.
#[expect(clippy::disallowed_methods, reason = "tests need one first instant; from there on they add to it")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
