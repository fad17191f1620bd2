//! The media plane: forwards media between the participants of a room without reading it.
//!
//! The core is a state machine that is told the time. One loop turn of a worker:
//!
//! ```text
//! for command in commands.drain()  { worker.command(command, now); }
//! for datagram in socket.receive() { worker.receive(datagram, now); }
//! worker.flush(&mut egress, now);                  // forward what came in, run timers that are due
//! while let Some(event) = worker.poll_event() { control.tell(event); }
//! socket.wait_until(worker.deadline());
//! ```
//!
//! Invariants:
//! - a room, its transports and its tracks belong to one worker; nothing is behind a lock;
//! - it knows opaque ids and negotiated parameters: no names, no tokens, no SDP, no protobuf;
//! - `io` is the only folder that reads a clock, owns a socket or a thread, or is `unsafe`;
//! - what a peer sends is an error that is counted, never a panic.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod channels;
pub mod codec;
pub mod command;
mod congestion;
pub mod dtls;
pub mod event;
#[cfg(test)]
mod fixture;
mod forward;
pub mod ice;
pub mod ids;
#[cfg(feature = "io")]
pub mod io;
pub mod params;
mod room;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
pub mod transport;
pub mod units;
mod wire;
pub mod worker;
