//! The other side of a transport, for tests: a client that does full ICE checks, DTLS and SCTP, in virtual time.
//!
//! It shares with the product the STUN codec, DCEP's words and SRTP; DTLS and SCTP are the libraries' client roles.

mod client;
mod network;

pub use crate::{
    channels::testing::{Ids, Kind},
    dtls::testing::ClientVersion,
};
pub use client::{Client, ClientConfig, ClientEvent};
pub use network::{Impairment, Network, Rng};
