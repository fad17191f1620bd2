//! `sabha`: the one binary.

use std::process::ExitCode;

use api::command::Sabha;
use clap::Parser;

fn main() -> ExitCode {
    Sabha::parse().run()
}
