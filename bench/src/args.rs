//! The command line.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    floor::Floor,
    report::{self, Book, Comparison, Report},
    run::{self, Plan, Protocol, RunError, TargetConfig},
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
    /// Measures what this machine cannot go below: sealing a packet and handing it to the kernel.
    Floor,
}

#[derive(Args)]
struct RunArgs {
    /// A scenario by name, or a .toml file.
    scenario: String,
    /// How many, where the scenario leaves it open.
    #[arg(long)]
    size: Option<u32>,
    /// Grows from one size to another, by half each time, until delay or loss breaks: as 50..4000.
    #[arg(long, value_name = "FROM..TO", conflicts_with_all = ["size", "compare"])]
    ramp: Option<String>,
    /// Runs two servers by turns: each a .toml file that describes it, or `sabha` for the one beside this program.
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    compare: Vec<String>,
    /// How often each of the two is run.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0, overrides_with = "seconds")]
    seconds: f64,
    /// Seconds before that, once everybody is in.
    #[arg(long, default_value_t = 3.0)]
    warmup: f64,
    /// People who come in every second; the scenario says when this does not.
    #[arg(long)]
    arrive: Option<f64>,
    /// Measures the machine's floor for packets of this size and grouping right after.
    #[arg(long)]
    floor: bool,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    clients: ClientArgs,
    /// Writes the figures to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a page with plots to a file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Which server: without any of these, the `sabha` that lies beside this program is started.
#[derive(Args, Clone)]
struct TargetArgs {
    /// A .toml file that describes it.
    #[arg(long, conflicts_with_all = ["url", "pid", "start"])]
    target: Option<String>,
    /// What it speaks.
    #[arg(long, value_enum, default_value = "livekit", requires_if("janus", "url"))]
    protocol: Protocol,
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
            let _ = writeln!(io::stderr(), "sabha-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(command: Command) -> Result<(), RunError> {
    match command {
        Command::List => {
            for scenario in Scenario::built_in() {
                say(&format!("{:18} size {:4}  {}", scenario.name, scenario.size, scenario.about));
            }
            Ok(())
        }
        Command::Floor => {
            for floor in Floor::usual().map_err(|error| RunError::Io("sending".into(), error))? {
                say(&describe(&floor));
            }
            Ok(())
        }
        Command::Run(args) => args.run(),
    }
}

/// A reader that went away is no error.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
}

fn describe(floor: &Floor) -> String {
    let Floor { bytes, batch, seal_ns, send_ns } = floor;
    format!(
        "{bytes:5} bytes, {batch:2} in a message: seal {seal_ns:5.0} ns + send {send_ns:5.0} ns = {:5.0} ns",
        floor.total()
    )
}

impl RunArgs {
    fn run(&self) -> Result<(), RunError> {
        let plan = self.plan()?;
        let mut book = Book { command: env::args().collect::<Vec<_>>().join(" "), ..Book::default() };
        if let [first, second] = self.compare.as_slice() {
            let targets = (self.target.named(first)?, self.target.named(second)?);
            let rounds = self.rounds.max(1);
            let pairs = run::by_turns(&plan, &targets, rounds, |run| say(&report::table(run)))?;
            book.comparison = Comparison::new(&pairs);
            book.runs = pairs.into_iter().flat_map(|(first, second)| [first, second]).collect();
        } else if let Some((from, to)) = self.ramp.as_deref().and_then(span) {
            let target = self.target.config()?;
            let (runs, knee) = run::ramp(&plan, &target, from..=to, |run| say(&report::table(run)))?;
            (book.runs, book.knee) = (runs, Some(knee));
        } else {
            let report = run::once(&plan, &self.target.config()?)?;
            say(&report::table(&report));
            book.runs.push(report);
        }
        if self.floor {
            for run in &book.runs {
                book.floors.push(floor_of(run)?);
            }
        }
        book.machine = Book::describe_machine();
        self.conclude(&book)
    }

    fn conclude(&self, book: &Book) -> Result<(), RunError> {
        if let Some(comparison) = &book.comparison {
            say(&comparison.table());
        }
        if let Some(knee) = &book.knee {
            say(&format!("knee: {knee:?}"));
        }
        for (floor, run) in book.floors.iter().zip(&book.runs) {
            let cost = run.server.as_ref().and_then(|server| server.ns_per_packet).unwrap_or_default();
            let ratio = cost / floor.total().max(1.0);
            say(&format!("floor: {}; {cost:.0} ns is {ratio:.2} times that", describe(floor)));
        }
        let write = |path: &PathBuf, text: String| {
            fs::write(path, text).map_err(|error| RunError::Io(path.display().to_string(), error))
        };
        if let Some(path) = &self.json {
            write(path, serde_json::to_string_pretty(book).unwrap_or_default())?;
        }
        if let Some(path) = &self.html {
            write(path, report::page(book))?;
        }
        Ok(())
    }

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

/// `50..4000`.
fn span(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once("..")?;
    Some((from.parse().ok()?, to.trim_start_matches('=').parse().ok()?))
}

/// The floor for packets as long and as grouped as those of a run.
fn floor_of(run: &Report) -> Result<Floor, RunError> {
    let packets = run.media.packets_out_per_second.max(1.0);
    let bytes = run.media.mbit_out_per_second * 1e6 / 8.0 / packets;
    let batch = run.server.as_ref().and_then(|server| server.packets_per_message).unwrap_or(1.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a packet's length, a few packets"
    )]
    let (bytes, batch) = (bytes as usize, batch.round() as usize);
    Floor::measure(bytes, batch).map_err(|error| RunError::Io("sending".into(), error))
}

impl TargetArgs {
    fn config(&self) -> Result<TargetConfig, RunError> {
        if let Some(file) = &self.target {
            return self.named(file);
        }
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Ok(TargetConfig {
            name: if self.url.is_some() { "server".into() } else { "sabha".into() },
            protocol: self.protocol,
            url: self.url.clone(),
            key: self.key.clone(),
            secret: self.secret.clone(),
            pid: self.pid,
            start: self.start.as_deref().map_or_else(Vec::new, words),
            metrics: self.metrics.clone(),
            sabha_args: words(&self.sabha_args),
        })
    }

    /// `sabha`, or a file.
    fn named(&self, name: &str) -> Result<TargetConfig, RunError> {
        if name == "sabha" {
            return Self {
                protocol: Protocol::LiveKit,
                url: None,
                pid: None,
                start: None,
                target: None,
                ..self.clone()
            }
            .config();
        }
        Ok(TargetConfig::read(name)?)
    }
}
