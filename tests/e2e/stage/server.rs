//! The server under test: started as a person would start it, and stopped as an operator would.
//!
//! `SABHA_BIN` names another program to run, `SABHA_ARGS` its words; `E2E_URL` a server that runs already.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::{Failure, Step};
use super::http;

/// How long the server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for a line of its log before asking again whether it is ready.
const KNOCK: Duration = Duration::from_millis(50);

/// The server under test.
pub(crate) struct Server {
    address: SocketAddr,
    /// None: it runs already and is not ours.
    ours: Option<Running>,
}

struct Running {
    binary: PathBuf,
    words: Vec<String>,
    log: PathBuf,
    child: Child,
}

impl Server {
    /// Starts the server, or finds the one that runs already, and waits until it is ready.
    pub(crate) fn start(address: SocketAddr, out: &Path) -> Step<Self> {
        let ours = if env::var_os("E2E_URL").is_some() { None } else { Some(Running::start(address, out)?) };
        Ok(Self { address, ours })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The binary, where what runs is `sabha` itself.
    pub(crate) fn sabha(&self) -> Step<&Path> {
        match &self.ours {
            Some(running) if running.binary.file_stem().is_some_and(|name| name == "sabha") => {
                Ok(&running.binary)
            }
            _ => Err(Failure::Skipped("needs the binary `sabha`".into())),
        }
    }

    fn ours(&mut self) -> Step<&mut Running> {
        self.ours.as_mut().ok_or_else(|| Failure::Skipped("the server is not ours to stop".into()))
    }

    /// Kills the server and starts it again on the same ports.
    pub(crate) fn replace(&mut self) -> Step {
        let address = self.address;
        let running = self.ours()?;
        running.child.kill().map_err(Failure::io("killing the server"))?;
        running.child.wait().map_err(Failure::io("killing the server"))?;
        running.again(address)
    }

    /// Asks the server to stop and waits until it has.
    pub(crate) fn terminate(&mut self) -> Step<ExitStatus> {
        let running = self.ours()?;
        let mut kill = Command::new("kill");
        kill.arg(running.child.id().to_string())
            .status()
            .map_err(Failure::io("asking the server to stop"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = running.child.try_wait().map_err(Failure::io("waiting for the server"))? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(Failure::TooLate("the server did not stop".into(), PATIENCE.as_secs()));
            }
            thread::park_timeout(KNOCK);
        }
    }

    /// Starts the server after [`Server::terminate`].
    pub(crate) fn resume(&mut self) -> Step {
        let address = self.address;
        self.ours()?.again(address)
    }

    /// What the server has said so far.
    pub(crate) fn log(&self) -> String {
        let log = self.ours.as_ref().map(|running| std::fs::read(&running.log).unwrap_or_default());
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

impl Running {
    fn start(address: SocketAddr, out: &Path) -> Step<Self> {
        let binary = binary()?;
        let ip = address.ip();
        let words = env::var("SABHA_ARGS")
            .unwrap_or_else(|_| format!("--bind 0.0.0.0 --node-ip {ip} --turn-tls-self-signed true"));
        let words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        let log = out.join("server.log");
        File::create(&log).map_err(Failure::io("creating the server's log"))?;
        let child = launch(&binary, &words, &log, address)?;
        Ok(Self { binary, words, log, child })
    }

    fn again(&mut self, address: SocketAddr) -> Step {
        self.child = launch(&self.binary, &self.words, &self.log, address)?;
        Ok(())
    }
}

fn launch(binary: &Path, words: &[String], log: &Path, address: SocketAddr) -> Step<Child> {
    let mut child = Command::new(binary)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::io(&format!("starting {}", binary.display())))?;
    let (said, lines) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        keep(stdout, log, said.clone())?;
    }
    if let Some(stderr) = child.stderr.take() {
        keep(stderr, log, said)?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        lines.recv_timeout(KNOCK).unwrap_or_default();
        if http::get(address, "/").is_ok_and(|answer| answer.status == 200) {
            return Ok(child);
        }
        if let Some(status) = child.try_wait().map_err(Failure::io("waiting for the server"))? {
            return Err(Failure::Ended(format!("the server ({status}, {})", log.display())));
        }
        if Instant::now() > deadline {
            child.kill().unwrap_or_default();
            return Err(Failure::TooLate("the server was not ready".into(), PATIENCE.as_secs()));
        }
    }
}

/// Copies what the server says to its log, line by line.
fn keep(from: impl Read + Send + 'static, log: &Path, said: Sender<()>) -> Step {
    let mut log = File::options().append(true).open(log).map_err(Failure::io("opening the server's log"))?;
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            log.write_all(&[line.as_slice(), b"\n"].concat()).unwrap_or_default();
            said.send(()).unwrap_or_default();
        }
    });
    Ok(())
}

fn binary() -> Step<PathBuf> {
    if let Some(binary) = env::var_os("SABHA_BIN") {
        return Ok(binary.into());
    }
    // This program is target/<profile>/deps/e2e-…
    let target = env::current_exe().ok().and_then(|path| Some(path.ancestors().nth(3)?.to_owned()));
    let binary = target.unwrap_or_default().join("release/sabha");
    if binary.exists() {
        return Ok(binary);
    }
    Err(Failure::Broken(format!("{} is not there: `cargo build --release` first", binary.display())))
}
