//! LiveKit's messages as they travel: frames of a WebSocket and the query of a join.
//!
//! Invariant: bytes from outside become messages here, within limits, or are refused; nothing here panics.

pub mod frame;
pub mod join;
pub mod packet;

pub use livekit_protocol as proto;
pub use proto::{signal_request::Message as Ask, signal_response::Message as Say};
