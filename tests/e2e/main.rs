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

/// Browsers and SDKs are others' programs on a busy machine: a journey that fails is made once more, to tell what always
/// fails from what fails at times. So many of a run may be unsteady; `E2E_STRICT` allows none.
const UNSTEADY_MAX: usize = 1;

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
    let unsteady_max = if env::var_os("E2E_STRICT").is_some() { 0 } else { UNSTEADY_MAX };
    if world.report.close(unsteady_max, began.elapsed()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn wanted(name: &str, asked: &[String]) -> bool {
    asked.is_empty() || asked.iter().any(|part| name.contains(part.as_str()))
}

fn travel(world: &mut World, name: &str, journey: fn(&mut World) -> Step) {
    let began = Instant::now();
    let outcome = match attempt(world, name, journey) {
        Ok(()) => Outcome::Passed,
        Err(Failure::Skipped(why)) => Outcome::Skipped(why),
        Err(first) => match attempt(world, name, journey) {
            Ok(()) => Outcome::Unsteady(first),
            Err(_) => Outcome::Failed(first),
        },
    };
    world.report.ended(name, outcome, began.elapsed());
}

/// Makes a journey once, with people of its own.
fn attempt(world: &mut World, name: &str, journey: fn(&mut World) -> Step) -> Step {
    let ended = catch_unwind(AssertUnwindSafe(|| journey(world)))
        .unwrap_or_else(|_| Err(Failure::Broken("the journey itself panicked".into())))
        .and_then(|()| world.server_is_sound());
    if !matches!(ended, Ok(()) | Err(Failure::Skipped(_))) {
        world.tell(name);
    }
    world.disband();
    ended
}
