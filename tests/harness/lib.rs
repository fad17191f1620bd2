//! What a world is: a seed, a clock, a network, some people.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops at its first surprise"
)]

pub mod client;
pub mod experience;
pub mod media;
pub mod network;
pub mod random;
pub mod sink;
pub mod world;
