//! The fuzz targets: each reads bytes a stranger could send, and panics when a promise is broken.
//!
//! A target is one file here with `pub fn run(data: &[u8])`, one line below and in `fuzz_replay.rs`, one line in
//! `bin/`, one `[[bin]]` in `Cargo.toml`, and a folder of seeds in `corpus/`.

pub mod canary;
pub mod codec;
pub mod dcep;
pub mod dependency;
pub mod frame;
pub mod hello;
pub mod layered;
pub mod negotiate;
pub mod relay;
pub mod room;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod session;
pub mod stun;
pub mod transport;
pub mod twcc;
pub mod wire;

/// The datagrams of an input: each stands behind two bytes of length; the last may be shorter than it says.
fn datagrams(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = data;
    std::iter::from_fn(move || {
        let (len, rest) = left.split_first_chunk()?;
        let (datagram, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
        left = rest;
        Some(datagram)
    })
}
