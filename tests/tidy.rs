//! House rules the compiler cannot see: arrows between crates, who names which outsider, where `unsafe` may stand,
//! what lies at the top, and how a file begins.
//!
//! Each rule names the file that breaks it, so the mend is one step away.

#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What may lie at the top of the repository, beside dotfiles.
const TOP_LEVEL: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "api",
    "bench",
    "billing",
    "docs",
    "sfu",
    "signaling",
    "tests",
    "turn",
];

/// Which of our crates a crate may import. `bench` and `tests` may see everyone, nobody sees them.
const ARROWS: [(&str, &[&str]); 5] = [
    ("turn", &[]),
    ("billing", &[]),
    // ICE and TURN share one STUN codec, and it is `turn`'s.
    ("sfu", &["turn"]),
    ("signaling", &["sfu"]),
    ("api", &["sfu", "signaling", "turn", "billing"]),
];

/// Outsiders that are to be replaceable, and the only places that may name them.
const SPEAKERS: [(&str, &[&str]); 11] = [
    ("turn", &["sfu/src/ice", "sfu/src/transport", "sfu/src/worker", "sfu/src/io", "api/src"]),
    ("dimpl", &["sfu/src/dtls"]),
    ("sctp_proto", &["sfu/src/channels"]),
    ("aws_lc_rs", &["sfu/src/srtp", "sfu/src/dtls", "signaling/src/ids.rs", "signaling/src/io"]),
    ("libc", &["sfu/src/io", "turn/src/io", "api/src"]),
    ("mio", &["turn/src/io"]),
    ("rustls", &["turn/src/io"]),
    ("tokio", &["sfu/src/io", "signaling/src/io", "api/src"]),
    ("axum", &["signaling/src/io", "api/src"]),
    ("jsonwebtoken", &["signaling/src/token"]),
    ("clap", &["api/src"]),
];

/// The only files that may be `unsafe`: batched datagrams have no safe form.
const UNSAFE: [&str; 2] = ["sfu/src/io/udp.rs", "turn/src/io/udp.rs"];

/// Lines a file may have without its tests, and the files that may have more, each with its reason.
const LINES_MAX: usize = 600;
const LONGER: [(&str, usize, &str); 0] = [];

const CRATES: [&str; 5] = ["sfu", "turn", "signaling", "billing", "api"];

#[test]
fn only_what_is_drawn_lies_at_the_top() {
    let known: BTreeSet<&str> = TOP_LEVEL.into_iter().collect();
    let strangers: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target" && !known.contains(name.as_str()))
        .collect();

    assert!(strangers.is_empty(), "not in the drawing: {strangers:?}");
}

#[test]
fn arrows_between_crates_point_one_way() {
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let dependencies = section(&manifest, "[dependencies]");
        for other in CRATES.into_iter().chain(["bench", "tests"]).filter(|other| *other != name) {
            let imports = dependencies
                .iter()
                .any(|line| line.split(['=', '.', ' ']).next().is_some_and(|dependency| dependency == other));
            assert!(!imports || allowed.contains(&other), "{name} may not import {other}");
        }
    }
}

#[test]
fn outsiders_are_named_only_where_they_are_spoken_to() {
    for (outsider, places) in SPEAKERS {
        for (path, text) in sources() {
            let inside = places.iter().any(|place| path.starts_with(place))
                || path.split('/').next() == Some(outsider);
            let names = code(&text).any(|line| mentions(line, outsider));
            assert!(inside || !names, "{path} may not name {outsider}");
        }
    }
}

#[test]
fn unsafe_stands_in_one_file() {
    for (path, text) in sources() {
        let found = code(&text).any(|line| line.contains("unsafe {") || line.contains("unsafe fn"));
        assert!(!found || UNSAFE.contains(&path.as_str()), "{path} may not be unsafe");
    }
}

#[test]
fn a_file_opens_with_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path} begins without a `//!` header");
    }
}

#[test]
fn a_file_that_outgrows_its_noun_is_split() {
    for (path, text) in sources() {
        let most = LONGER.iter().find(|(long, ..)| *long == path).map_or(LINES_MAX, |(_, most, _)| *most);
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        assert!(lines <= most, "{path}: {lines} lines without tests, at most {most}");
    }
}

#[test]
fn the_house_numbers_of_clippy_are_the_same_everywhere() {
    let house = fs::read_to_string(root().join(".clippy.toml")).unwrap();
    for name in ["sfu", "turn", "signaling", "billing"] {
        let own = fs::read_to_string(root().join(name).join(".clippy.toml")).unwrap();
        assert!(own.starts_with(&house), "{name}/.clippy.toml does not begin with the house's");
        assert!(own.contains("std::time::Instant::now"), "{name}/.clippy.toml lets the core ask the clock");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every Rust file of the five crates: path from the top, and text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in CRATES {
        walk(&root().join(name).join("src"), &mut found);
    }
    assert!(!found.is_empty());
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Lines that are not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"))
}

/// Whether a line uses a crate by its path: `name::` not preceded by a letter, an underscore or a colon.
fn mentions(line: &str, name: &str) -> bool {
    let path = format!("{name}::");
    line.match_indices(&path).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// The lines of one section of a manifest.
fn section<'a>(manifest: &'a str, header: &str) -> Vec<&'a str> {
    manifest
        .lines()
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
