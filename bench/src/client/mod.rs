//! WebRTC clients by the thousand: a thread holds many, and reads their sockets as they fill.
//!
//! A client does what costs a server something: checks and consent, DTLS, SRTP, transport-wide feedback, receiver and
//! sender reports, requests for key frames. It opens one of so many packets and counts all, so that it stays cheaper
//! than the server it loads.
//!
//! Invariants:
//! - a peer connection belongs to one engine; between an engine and the rest there are only commands and notices;
//! - a packet's delay ends when it reached the kernel, not when it was read.

mod counters;
mod engine;
mod feedback;
mod ice;
mod incoming;
mod outgoing;
mod peer;
mod reports;

pub(crate) use self::{
    counters::{Counters, Figures},
    engine::{Command, Engine, Settings},
    ice::{Credentials, Role},
    outgoing::Sending,
    peer::{Demand, Notice, Opening},
};

/// Names a peer connection within its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerId(pub(crate) usize);
