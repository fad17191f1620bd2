//! Whole calls in virtual time, by seed.
//!
//! `SEED=… cargo worlds` runs every test with that seed alone; otherwise each runs with a few fixed ones. A seed
//! decides the network and the server; the keys are fresh in every run.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at its first surprise, names its seed and picks what it asks for"
)]

mod bandwidth;
mod calls;
mod chaos;
mod layers;
mod losses;
mod paths;
mod strangers;

/// Runs a world for each seed; a failure names its seed.
fn for_each_seed(fixed: &[u64], world: impl Fn(u64)) {
    let asked = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in asked.map_or_else(|| fixed.to_vec(), |seed: u64| vec![seed]) {
        println!("SEED={seed}");
        world(seed);
    }
}
