//! The fuzz targets: each reads bytes a stranger could send, and panics when a promise is broken.
//!
//! A target is one file here with `pub fn run(data: &[u8])`, one line below and in `fuzz_replay.rs`, one line in
//! `bin/`, one `[[bin]]` in `Cargo.toml`, and a folder of seeds in `corpus/`.

pub mod canary;
pub mod codec;
pub mod dependency;
pub mod room;
pub mod rtcp;
pub mod rtp;
pub mod session;
pub mod stun;
pub mod twcc;
