//! The edges: configuration, HTTP, the web client and the binary `sabha`.
//!
//! Read in this order: [`command`] is what the binary can be told, [`config`] every setting, [`app`] what a running
//! server is made of, [`http`] its routes, [`livekit`] the server API of LiveKit, [`doctor`] what may be wrong.
//!
//! Invariants:
//! - nothing of ours depends on this crate; it makes the parts and gives each what it needs;
//! - standard output belongs to what was asked for (a token, a report, the first screen), standard error to the log.

pub mod app;
pub mod command;
pub mod config;
pub mod doctor;
pub mod http;
pub mod livekit;
pub mod telemetry;
pub mod token;
pub mod turn;
