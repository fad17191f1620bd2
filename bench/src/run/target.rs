//! The server under load: one that runs already, or one that is started for the run.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::Deserialize;
use sfu::params::Secret;
use tokio::process::{Child, Command};

use super::Plan;
use crate::measure::{Cost, Metrics, Process, get};

/// How long a server may take to start.
const STARTING: Duration = Duration::from_secs(20);
const KNOCK: Duration = Duration::from_millis(50);
/// How long it may take to stop before it is killed.
const STOPPING: Duration = Duration::from_secs(5);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{0} is not there: build it, or name a server with --url")]
    NoBinary(PathBuf),
    #[error("starting {0}: {1}")]
    Start(String, io::Error),
    #[error("{0} ended before it was ready")]
    Ended(String),
    #[error("{0}: {1}")]
    Unreadable(String, io::Error),
    #[error("{0}: {1}")]
    Malformed(String, toml::de::Error),
    #[error("{0} did not answer")]
    Silent(String),
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// LiveKit's signalling.
    #[default]
    #[value(name = "livekit")]
    LiveKit,
    /// Janus' VideoRoom plugin over WebSocket.
    Janus,
}

/// Which server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetConfig {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// Without one, the `sabha` beside this program is started.
    pub(crate) url: Option<String>,
    #[serde(default = "development_key")]
    pub(crate) key: String,
    #[serde(default = "development_secret")]
    pub(crate) secret: String,
    pub(crate) pid: Option<u32>,
    /// The words that start it; it is stopped after each run.
    #[serde(default)]
    pub(crate) start: Vec<String>,
    pub(crate) metrics: Option<String>,
    /// Words more for the `sabha` that is started.
    #[serde(default)]
    pub(crate) sabha_args: Vec<String>,
}

fn development_key() -> String {
    "devkey".into()
}

fn development_secret() -> String {
    "secret".into()
}

impl TargetConfig {
    /// From a file.
    pub(crate) fn read(path: &str) -> Result<Self, TargetError> {
        let text = fs::read_to_string(path).map_err(|error| TargetError::Unreadable(path.into(), error))?;
        toml::from_str(&text).map_err(|error| TargetError::Malformed(path.into(), error))
    }
}

/// How clients get in.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    pub(crate) protocol: Protocol,
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) secret: Secret<String>,
}

/// The server under load.
pub(crate) struct Target {
    pub(crate) name: String,
    entrance: Entrance,
    metrics: String,
    process: Option<Process>,
    child: Option<Child>,
}

impl Target {
    pub(crate) async fn start(config: &TargetConfig, plan: &Plan) -> Result<Self, TargetError> {
        let (url, words) = match &config.url {
            Some(url) => (url.clone(), config.start.clone()),
            None => ours(&config.sabha_args)?,
        };
        let mut target = Self {
            name: config.name.clone(),
            metrics: config.metrics.clone().unwrap_or_else(|| url.clone()),
            entrance: Entrance {
                protocol: config.protocol,
                url,
                key: config.key.clone(),
                secret: Secret(config.secret.clone()),
            },
            process: config.pid.map(Process),
            child: None,
        };
        if let Some((program, rest)) = words.split_first() {
            let mut command = Command::new(program);
            command.args(rest).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
            let child = command.spawn().map_err(|error| TargetError::Start(program.clone(), error))?;
            target.process = child.id().map(Process);
            target.child = Some(child);
        }
        target.wait().await?;
        if let (Some((server, _)), Some(Process(pid))) = (&plan.pin, target.process) {
            pin(pid, server).await;
        }
        Ok(target)
    }

    async fn wait(&mut self) -> Result<(), TargetError> {
        let deadline = Instant::now() + STARTING;
        loop {
            if self.is_there().await {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && !matches!(child.try_wait(), Ok(None))
            {
                return Err(TargetError::Ended(self.name.clone()));
            }
            if Instant::now() > deadline {
                return Err(TargetError::Silent(self.entrance.url.clone()));
            }
            tokio::time::sleep(KNOCK).await;
        }
    }

    async fn is_there(&self) -> bool {
        let answer = get(&self.entrance.url, "/").await;
        match self.entrance.protocol {
            Protocol::LiveKit => answer.is_ok_and(|(status, _)| status == 200),
            // Whatever it answers to what is no WebSocket: it listens.
            Protocol::Janus => answer.is_ok(),
        }
    }

    pub(crate) const fn access(&self) -> &Entrance {
        &self.entrance
    }

    /// Whether what it spends can be measured.
    pub(crate) const fn is_watched(&self) -> bool {
        self.process.is_some()
    }

    pub(crate) fn cost(&self) -> Cost {
        self.process.map(Process::cost).unwrap_or_default()
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        Metrics::of(&self.metrics).await
    }

    /// Stops it, if it was started here.
    pub(crate) async fn stop(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Some(pid) = child.id() {
            let _ = Command::new("kill").arg(pid.to_string()).status().await;
        }
        if tokio::time::timeout(STOPPING, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

/// The `sabha` beside this program, on ports of its own, reachable on this machine only.
fn ours(more: &[String]) -> Result<(String, Vec<String>), TargetError> {
    let mut binary = env::current_exe().unwrap_or_default();
    binary.set_file_name("sabha");
    if !binary.exists() {
        return Err(TargetError::NoBinary(binary));
    }
    let port = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .and_then(|listener| listener.local_addr())
        .map_or(7_880, |address| address.port());
    let words = format!(
        "{} serve --dev --bind 127.0.0.1 --port {port} --node-ip 127.0.0.1 --advertise-loopback --udp-port 0 \
         --tcp-port off --log error",
        binary.display()
    );
    let words = words.split_whitespace().map(str::to_owned).chain(more.iter().cloned()).collect();
    Ok((format!("ws://127.0.0.1:{port}"), words))
}

/// This process may use every processor again.
pub(crate) async fn unpin() {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    if !online.trim().is_empty() {
        pin(std::process::id(), online.trim()).await;
    }
}

/// Ties all threads of a process to processors.
pub(crate) async fn pin(pid: u32, processors: &str) {
    let pid = pid.to_string();
    let mut command = Command::new("taskset");
    command.args(["-a", "-cp", processors, pid.as_str()]).stdout(Stdio::null());
    let _ = command.status().await;
}
