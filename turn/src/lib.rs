//! Relays media for clients behind NATs, and holds the STUN codec that ICE shares with it.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod stun;
