//! What tests share: a first instant.

use std::time::Instant;

/// The moment every test begins.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had only from the clock; tests count from it"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}
