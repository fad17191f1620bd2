//! Whole calls in virtual time, by seed.
//!
//! `SEED=… cargo worlds` runs every test with that seed alone, `SEEDS=…` with so many seeds from `SEED` on; otherwise
//! each runs with a few fixed ones. A seed
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
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match (number("SEED"), number("SEEDS")) {
        (Some(seed), None) => vec![seed],
        (from, Some(count)) => (0..count).map(|step| from.unwrap_or(1_000) + step).collect(),
        (None, None) => fixed.to_vec(),
    };
    for seed in seeds {
        println!("SEED={seed}");
        world(seed);
    }
}
