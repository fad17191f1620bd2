//! What the binary can be told: a function for each.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::SystemTime,
};

use ::turn::io::{Addresses, Relay};
use clap::{Args, Parser, Subcommand};

use crate::{
    app::{self, App},
    config::{self, Config, ConfigError, KeyPairs, Settings},
    doctor, telemetry,
    token::TokenArguments,
    turn,
};

/// Video calls on a machine of your own: media server, LiveKit-compatible signalling and web client in one.
///
/// `sabha` alone starts a server for trying out and says where to click.
#[derive(Debug, Parser)]
#[command(name = "sabha", version, args_conflicts_with_subcommands = true)]
pub struct Sabha {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the server.
    Serve(Serve),
    /// Runs the TURN relay alone, for media servers elsewhere: near users whose network blocks UDP. Of the settings those
    /// that begin with turn count, --node-ip, --stop-timeout and the log's.
    Turn(Serve),
    /// Access tokens.
    #[command(subcommand)]
    Token(Token),
    /// Looks for what would keep the server from working, and says what to do about it. Exits with 1 when something
    /// is broken.
    Doctor(Serve),
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Makes a token and prints it.
    Create(Box<TokenCreate>),
}

#[derive(Args, Debug)]
struct TokenCreate {
    #[command(flatten)]
    token: TokenArguments,
    #[command(flatten)]
    source: KeySource,
}

/// Where the key that signs comes from: the server's own settings.
#[derive(Args, Debug)]
struct KeySource {
    /// The server's configuration file, for its keys.
    #[arg(long, env = "SABHA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's keys, as for `sabha serve`; the first signs unless --api-key names another.
    #[arg(long, env = "SABHA_KEYS", value_name = "KEY: SECRET", hide_env_values = true)]
    keys: Option<KeyPairs>,
}

/// The server's settings. Each is a flag, a variable and a key of the file: --udp-port, SABHA_UDP_PORT and udp_port.
/// The flag wins over the variable, the variable over the file, the file over the default.
#[derive(Args, Debug)]
struct Serve {
    /// The configuration file (TOML). Its keys are the long flags with underscores, and [keys] for the API keys; an
    /// unknown key is an error.
    #[arg(long, env = "SABHA_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Box<Settings>,
}

impl Serve {
    fn load(self) -> Result<Config, ConfigError> {
        config::load(*self.settings, self.config.as_deref(), &variable)
    }
}

impl Sabha {
    /// Does what the command line says.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.task {
            None => serve(self.serve),
            Some(Task::Serve(serving)) => serve(serving),
            Some(Task::Turn(serving)) => relay(serving),
            Some(Task::Token(Token::Create(create))) => create_token(*create),
            Some(Task::Doctor(serving)) => examine(serving),
        }
    }
}

fn serve(serving: Serve) -> ExitCode {
    let config = match serving.load() {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if let Err(error) = telemetry::start(&config.log, config.log_format) {
        return fail(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = runtime.block_on(async {
        let app = App::start(config).await?;
        print(&app.first_screen());
        app.run(app::stop_signals()).await
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn relay(serving: Serve) -> ExitCode {
    let config = match serving.load() {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    if let Err(error) = telemetry::start(&config.log, config.log_format) {
        return fail(&error);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let ready = |relay: &Relay| {
        let Addresses { udp, tcp, tls } = relay.addresses();
        print(&format!("\n  Sabha TURN relay: UDP {udp:?}, TCP {tcp:?}, TLS {tls:?}\n\n"));
    };
    let outcome = runtime.block_on(async { turn::run_alone(&config, app::stop_signals(), ready).await });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn create_token(create: TokenCreate) -> ExitCode {
    let settings = Settings { keys: create.source.keys, ..Settings::default() };
    let signed = match config::load(settings, create.source.config.as_deref(), &variable) {
        Ok(config) => create.token.sign(&config.keys, SystemTime::now()),
        Err(error) => return fail(&error),
    };
    match signed {
        Ok(token) => {
            print(&format!("{token}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn examine(serving: Serve) -> ExitCode {
    let config = match serving.load() {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let report = doctor::examine(&config, SystemTime::now());
    print(&report.to_string());
    if report.is_broken() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// A closed pipe is the reader's choice, not a failure.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says what went wrong and why, cause by cause.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut text = format!("sabha: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Sabha::command().debug_assert();
    }

    #[test]
    fn sabha_alone_is_sabha_serve() {
        let alone = Sabha::parse_from(["sabha", "--port", "1000"]);
        let serving = Sabha::parse_from(["sabha", "serve", "--port", "1000"]);

        let Some(Task::Serve(serving)) = serving.task else { panic!("not serve") };
        assert_eq!(alone.serve.settings.port, serving.settings.port);
        assert!(alone.task.is_none());
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        let error = Sabha::try_parse_from(["sabha", "serve", "--udp-prot", "1"]).unwrap_err().to_string();

        assert!(error.contains("--udp-prot") && error.contains("--udp-port"), "{error}");
    }
}
