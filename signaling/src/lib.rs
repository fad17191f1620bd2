//! Conversations: who is in a room, what they may do, and the LiveKit protocol they say it in.
//!
//! A [`room::Room`] is a state machine: it is told what happened and what time it is, and says what to send.
//!
//! ```text
//! room.handle(input, now);
//! while let Some(output) = room.poll() { io.perform(output) }
//! io.wake_at(room.deadline());
//! ```

pub mod admission;
pub mod config;
pub mod error;
#[cfg(test)]
mod fixture;
pub mod ids;
#[cfg(feature = "io")]
pub mod io;
pub mod negotiate;
pub mod room;
pub mod sdp;
pub mod token;
pub mod wire;

pub use config::Config;
pub use error::{Refusal, ServiceError};
#[cfg(feature = "io")]
pub use io::Signaling;
