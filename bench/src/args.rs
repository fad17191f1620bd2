//! The command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command speaks")]

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    report::{self, Report},
    run::{self, Plan, RunError, TargetConfig},
    scenario::Scenario,
};

/// Loads a LiveKit-compatible server with WebRTC clients and measures what it costs.
#[derive(Parser)]
#[command(name = "sabha-bench", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a scenario: one that comes with the house (`list`) or a file.
    Run(Box<RunArgs>),
    /// Shows the scenarios that come with the house.
    List,
}

#[derive(Args)]
struct RunArgs {
    /// A scenario by name, or a .toml file.
    scenario: String,
    /// How many, where the scenario leaves it open.
    #[arg(long)]
    size: Option<u32>,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before that, once everybody is in.
    #[arg(long, default_value_t = 3.0)]
    warmup: f64,
    /// People who come in every second; the scenario says when this does not.
    #[arg(long)]
    arrive: Option<f64>,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    clients: ClientArgs,
    /// Writes the figures to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Which server: without any of these, the `sabha` that lies beside this program is started.
#[derive(Args, Clone)]
struct TargetArgs {
    /// Where it listens, as ws://host:port.
    #[arg(long)]
    url: Option<String>,
    /// An API key.
    #[arg(long, default_value = "devkey")]
    key: String,
    /// The key's secret.
    #[arg(long, default_value = "secret")]
    secret: String,
    /// Its process on this machine, to measure what it spends.
    #[arg(long)]
    pid: Option<u32>,
    /// A command that starts it; it is stopped at the end. Needs --url.
    #[arg(long, requires = "url")]
    start: Option<String>,
    /// Where it shows Prometheus' /metrics, when not beside everything else.
    #[arg(long)]
    metrics: Option<String>,
    /// Words more for the `sabha` that is started.
    #[arg(long, allow_hyphen_values = true, default_value = "--workers 1")]
    sabha_args: String,
}

#[derive(Args, Clone)]
struct ClientArgs {
    /// Threads that hold clients.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// One of so many packets is opened and looked at; all are counted.
    #[arg(long, default_value_t = 7)]
    sample: u32,
    /// Pins the server to one processor and the clients to another (taskset): as 0,1.
    #[arg(long, value_name = "SERVER,CLIENTS")]
    pin: Option<String>,
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    match perform(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sabha-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(command: Command) -> Result<(), RunError> {
    match command {
        Command::List => {
            for scenario in Scenario::built_in() {
                println!("{:18} size {:4}  {}", scenario.name, scenario.size, scenario.about);
            }
            Ok(())
        }
        Command::Run(args) => {
            let plan = args.plan()?;
            let report = run::once(&plan, &args.target.config())?;
            show(&report, &args)
        }
    }
}

fn show(report: &Report, args: &RunArgs) -> Result<(), RunError> {
    println!("{}", report::table(report));
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(report).unwrap_or_default();
        fs::write(path, json).map_err(|error| RunError::Io(path.display().to_string(), error))?;
    }
    Ok(())
}

impl RunArgs {
    fn plan(&self) -> Result<Plan, RunError> {
        let mut scenario = Scenario::find(&self.scenario)?;
        if let Some(arrive) = self.arrive {
            scenario.arrive = arrive;
        }
        Ok(Plan {
            size: self.size.unwrap_or(scenario.size),
            scenario,
            measured: Duration::try_from_secs_f64(self.seconds).unwrap_or_default(),
            warmup: Duration::try_from_secs_f64(self.warmup).unwrap_or_default(),
            threads: self.clients.threads.max(1),
            sample: self.clients.sample.max(1),
            pin: self.clients.pin.as_deref().and_then(|pin| {
                let (server, clients) = pin.split_once(',')?;
                Some((server.to_owned(), clients.to_owned()))
            }),
        })
    }
}

impl TargetArgs {
    fn config(&self) -> TargetConfig {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        TargetConfig {
            name: if self.url.is_some() { "server".into() } else { "sabha".into() },
            url: self.url.clone(),
            key: self.key.clone(),
            secret: self.secret.clone(),
            pid: self.pid,
            start: self.start.as_deref().map_or_else(Vec::new, words),
            metrics: self.metrics.clone(),
            sabha_args: words(&self.sabha_args),
        }
    }
}
