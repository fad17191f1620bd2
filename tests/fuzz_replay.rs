//! Runs every fuzz target over its committed seeds and over a bounded number of mutations of them, so that each
//! `cargo test` does a little of what the fuzzers do.
//!
//! `FUZZ_MUTATIONS=1000000 cargo test -p tests --test fuzz_replay` looks further. A failure prints its input: save
//! it as a seed.

#![expect(clippy::expect_used, reason = "a test stops at its first surprise")]
#![expect(unreachable_pub, reason = "the targets are also the face of the fuzzers' own crate")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/targets/mod.rs"]
mod targets;

use mutate::Mutator;

/// For each target. Higher: more is found before a commit. Lower: tests end sooner.
const MUTATIONS: u64 = 20_000;
/// For those that take a hundred times as long: they set keys up, or write a message.
const MUTATIONS_SLOW: u64 = 2_000;
/// Within which the planted bugs are found, whatever `FUZZ_MUTATIONS` says.
const CANARY_MUTATIONS: u64 = 20_000;
const SEED: u64 = 1;

macro_rules! replay {
    ($($target:ident: $mutations:expr),* $(,)?) => {
        /// Every target by name.
        const TARGETS: &[&str] = &[$(stringify!($target)),*];
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), $mutations, targets::$target::run);
            }
        )*
    };
}

replay! {
    codec: MUTATIONS,
    dcep: MUTATIONS,
    dependency: MUTATIONS,
    frame: MUTATIONS,
    hello: MUTATIONS,
    negotiate: MUTATIONS_SLOW,
    layered: MUTATIONS_SLOW,
    relay: MUTATIONS_SLOW,
    room: MUTATIONS_SLOW,
    rtcp: MUTATIONS,
    rtp: MUTATIONS,
    sdp: MUTATIONS_SLOW,
    session: MUTATIONS_SLOW,
    stun: MUTATIONS,
    transport: MUTATIONS_SLOW,
    twcc: MUTATIONS_SLOW,
    wire: MUTATIONS_SLOW,
}

#[test]
fn every_target_is_replayed_and_built() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("the fuzzers' manifest");
    let files = fs::read_dir(folder().join("targets")).expect("the targets").map(|entry| {
        entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()
    });
    for name in files.filter(|name| name != "mod" && name != "canary") {
        assert!(TARGETS.contains(&name.as_str()), "{name} is not replayed here");
        assert!(manifest.contains(&format!("path = \"bin/{name}.rs\"")), "{name} is not built as a fuzzer");
        assert!(folder().join("bin").join(&name).with_extension("rs").exists(), "{name} has no fuzzer");
    }
}

#[test]
fn packets_meet_the_names_of_their_files() {
    let rtcp = |data: &[u8]| sfu::rtcp::parse(data).all(|packet| packet.is_ok());
    let rtp = |data: &[u8]| {
        let Ok(header) = sfu::rtp::Header::parse(data) else { return false };
        header.unpadded(data.get(header.payload_offset..).unwrap_or_default()).is_ok()
    };
    for (corpus, accepts) in [("rtcp", &rtcp as &dyn Fn(&[u8]) -> bool), ("rtp", &rtp)] {
        for (name, seed) in files(corpus) {
            assert_eq!(accepts(&seed), !name.starts_with("refused-"), "{corpus}/{name}");
        }
    }
}

#[test]
fn a_planted_count_is_found() {
    canary("rtcp", targets::canary::remb);
}

#[test]
fn a_planted_extension_is_found() {
    canary("rtp", targets::canary::extension);
}

#[test]
fn a_planted_template_is_found() {
    canary("dependency", targets::canary::template);
}

#[test]
fn a_planted_channel_is_found() {
    canary("frame", targets::canary::channel);
}

fn replay(name: &str, mutations: u64, run: fn(&[u8])) {
    let seeds = seeds(name);
    for seed in &seeds {
        check(name, run, seed);
    }
    let wished = std::env::var("FUZZ_MUTATIONS").ok().and_then(|count| count.parse().ok());
    let mut mutator = Mutator::new(SEED, &seeds);
    for _ in 0..wished.unwrap_or(mutations) {
        check(name, run, mutator.next_input());
    }
}

fn check(name: &str, run: fn(&[u8]), input: &[u8]) {
    let held = catch_unwind(AssertUnwindSafe(|| run(input))).is_ok();
    let hex = || input.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(held, "{name} fails on {}", hex());
}

/// Of the seeds only those that the planted bug bears are mutated: one of the mutations finds it.
fn canary(corpus: &str, run: fn(&[u8])) {
    let falls = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| run(input))).is_err();
    let seeds: Vec<_> = seeds(corpus).into_iter().filter(|seed| !falls(seed)).collect();
    let mut mutator = Mutator::new(SEED, &seeds);
    let found = (0..CANARY_MUTATIONS).find(|_| falls(mutator.next_input()));
    assert!(found.is_some(), "the planted bug is not found by {CANARY_MUTATIONS} mutations of {corpus}");
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    files(name).into_iter().map(|(_, seed)| seed).collect()
}

/// The committed inputs, in order of their names.
fn files(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder().join("corpus").join(name))
        .expect("a folder of seeds")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("a seed"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no seeds");
    files
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}
