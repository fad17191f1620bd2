//! Few journeys, real sockets: browsers, the official SDKs and the server's own page against one running server.
//!
//! `tests/run` prepares what this needs and runs it. By hand: `cargo build --release`, then
//! `cargo test -p tests --features e2e --test e2e -- [part of a name]…`. Logs and pictures go to `tests/e2e/out`.
//!
//! Invariant: a journey waits for events; whatever happens, each ends by a deadline.

#![expect(clippy::indexing_slicing, reason = "a journey that panics is a failed journey")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what this program prints is its product")]

mod cases;
mod stage;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use stage::failure::{Failure, Step};
use stage::report::Outcome;
use stage::world::World;

/// One journey: what it promises, and how it is made.
type Journey = (&'static str, fn(&mut World) -> Step);

/// Journeys that are known not to be safe to make yet, and why. They are made all the same and shown as open; `E2E_STRICT`
/// counts them like the others.
const OPEN: [(&str, &str); 6] = [
    (
        "calls::ten_pages_see_and_hear_one_another",
        "ten browsers on two cores need more than the time allowed",
    ),
    ("roaming::a_changed_address_recovers_by_an_ice_restart", "the browser was not seen to recover in time"),
    ("roaming::a_rebound_nat_does_not_end_the_call", UNSEEN),
    ("roaming::a_dead_udp_path_recovers_when_it_comes_back", UNSEEN),
    ("roaming::where_udp_is_blocked_media_goes_over_tcp", UNSEEN),
    ("page::two_people_meet_talk_chat_and_leave", UNSEEN),
];
/// The journey itself was mended after it was last made.
const UNSEEN: &str = "not seen to end well yet";

fn main() -> ExitCode {
    let asked: Vec<_> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let journeys: Vec<Journey> = cases::all().filter(|(name, _)| wanted(name, &asked)).collect();
    if env::args().any(|word| word == "--list") {
        journeys.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if let Some(code) = stage::network::move_in() {
        return code;
    }
    let began = Instant::now();
    let mut world = match World::new() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("the journeys could not begin: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("running {} tests", journeys.len());
    for (name, journey) in journeys {
        travel(&mut world, name, journey);
    }
    if world.report.close(began.elapsed()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wanted(name: &str, asked: &[String]) -> bool {
    asked.is_empty() || asked.iter().any(|part| name.contains(part.as_str()))
}

fn travel(world: &mut World, name: &str, journey: fn(&mut World) -> Step) {
    let began = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| journey(world)))
        .unwrap_or_else(|_| Err(Failure::Broken("the journey itself panicked".into())))
        .and_then(|()| world.server_is_sound());
    let outcome = match ended {
        Ok(()) => Outcome::Passed,
        Err(Failure::Skipped(why)) => Outcome::Skipped(why),
        Err(why) => match open(name) {
            Some(missing) => Outcome::Open(missing, why),
            None => Outcome::Failed(why),
        },
    };
    let took = began.elapsed();
    if matches!(outcome, Outcome::Failed(_) | Outcome::Open(..)) {
        world.tell(name);
    }
    world.disband();
    world.report.ended(name, outcome, took);
}

fn open(name: &str) -> Option<&'static str> {
    let strict = env::var_os("E2E_STRICT").is_some();
    OPEN.iter().find(|(journey, _)| *journey == name && !strict).map(|(_, missing)| *missing)
}
