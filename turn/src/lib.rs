//! Relays media for clients behind NATs (TURN, RFC 8656), and holds the STUN codec that ICE shares with it.
//!
//! The core is a state machine that is told the time. One turn of a worker's loop:
//!
//! ```text
//! for datagram in listener.receive() { server.receive(from, datagram, &mut host, now); }
//! for (relay, datagram) in relays.receive() { server.receive_from_peer(relay, from, datagram, &mut host, now); }
//! server.expire(&mut host, now);
//! host.flush();                                    // what was written leaves in as few messages as possible
//! wait_until(server.deadline());
//! ```
//!
//! Invariants:
//! - an allocation belongs to one worker; nothing on the path of a packet is behind a lock, nothing is allocated there;
//! - who is not authenticated costs no state, and is answered with less than twice and a half of what it sent;
//! - `io` is the only folder that reads a clock, owns a socket or a thread, or is `unsafe`;
//! - what a client or a peer sends is an error that is counted, never a panic.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod auth;
pub mod channel;
pub mod client;
pub mod credentials;
#[cfg(test)]
mod fixture;
pub mod frame;
#[cfg(feature = "io")]
pub mod io;
pub mod meter;
pub mod policy;
pub mod registry;
pub mod server;
pub mod stun;
pub mod tuple;
