//! The log: what is said, how loud, in which form.
//!
//! Levels: TRACE per packet; DEBUG a turn not usually taken, and everything with an address or a person's name in it;
//! INFO what a person would notice; WARN what should wake somebody; ERROR a promise broken.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError, util::SubscriberInitExt};

use crate::config::LogFormat;

/// The log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Neither a level nor a list of them.
    #[error("log = {0:?} is no level")]
    Filter(String, #[source] ParseError),
    /// There is one already.
    #[error("the log cannot be started twice")]
    Twice,
}

/// Sends the log to standard error, and panics with it.
pub fn start(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| TelemetryError::Filter(filter.into(), error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_target(false).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
    .map_err(|_| TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(%place, text, "panic");
    }));
    Ok(())
}
