//! A street: private network namespaces for the server and for its people, joined by a bridge.
//!
//! The harness lives in the server's namespace, so that ports never clash with anything else on the machine, and a
//! journey may drop, block or re-address packets as it likes. Without root the street is the machine itself.

use std::env;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::failure::{Failure, Step};

/// Set for the harness inside the street: the prefix of its namespaces.
const INSIDE: &str = "SABHA_E2E_STREET";
const PREFIX: &str = "sabha-e2e-";
/// RFC 2544: addresses for tests of this kind, which no network routes.
pub(crate) const HOUSE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// A place where people are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Place {
    /// Where everybody is who has no special network.
    Park,
    /// A host whose address changes.
    Train,
    /// A host whose UDP goes nowhere.
    Office,
}

impl Place {
    const ALL: [Self; 3] = [Self::Park, Self::Train, Self::Office];

    fn name(self) -> &'static str {
        match self {
            Self::Park => "park",
            Self::Train => "train",
            Self::Office => "office",
        }
    }

    /// The address that the place begins with.
    pub(crate) fn address(self) -> Ipv4Addr {
        match self {
            Self::Park => Ipv4Addr::new(198, 18, 0, 2),
            Self::Train => Ipv4Addr::new(198, 18, 0, 3),
            Self::Office => Ipv4Addr::new(198, 18, 0, 4),
        }
    }
}

/// Where the harness, the server and the people are.
pub(crate) enum Network {
    /// Namespaces whose names begin so.
    Street(String),
    /// The machine itself; the reason why there is no street.
    Machine(String),
}

impl Network {
    pub(crate) fn here() -> Self {
        match env::var(INSIDE) {
            Ok(prefix) => Self::Street(prefix),
            Err(_) => Self::Machine(unable().unwrap_or_else(|| "the server is not ours".into())),
        }
    }

    /// The address at which people find the server. The Rust-based SDKs ignore loopback.
    pub(crate) fn server(&self) -> IpAddr {
        match self {
            Self::Street(_) => HOUSE.into(),
            Self::Machine(_) => own_address().unwrap_or(Ipv4Addr::LOCALHOST.into()),
        }
    }

    /// A command that runs at a place.
    pub(crate) fn command(&self, place: Place, program: &str) -> Command {
        let Self::Street(prefix) = self else { return Command::new(program) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{prefix}{}", place.name()), program]);
        command
    }

    /// Fails as skipped where there is no street.
    pub(crate) fn street(&self) -> Step {
        match self {
            Self::Street(_) => Ok(()),
            Self::Machine(why) => Err(Failure::Skipped(format!("needs its own network: {why}"))),
        }
    }

    /// Runs `ip` with these words at a place.
    pub(crate) fn ip(&self, place: Place, words: &str) -> Step {
        run(self.command(place, "ip").args(words.split(' ')))
    }

    /// Loads rules into the packet filter of a place.
    pub(crate) fn nft(&self, place: Place, rules: &str) -> Step {
        run(self.command(place, "nft").arg(rules))
    }

    /// Forgets every rule of a place.
    pub(crate) fn clear(&self, place: Place) -> Step {
        self.nft(place, "flush ruleset")
    }
}

/// Builds a street and runs this program again inside it. `None`: there is no street to be had, go on here.
pub(crate) fn move_in() -> Option<ExitCode> {
    if env::var_os(INSIDE).is_some() || env::var_os("E2E_URL").is_some() || unable().is_some() {
        return None;
    }
    sweep();
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let ended = build(&prefix).and_then(|()| inside(&prefix));
    tear_down(&prefix);
    match ended {
        Ok(code) => Some(code),
        Err(error) => {
            eprintln!("no private network: {error}; going on without");
            None
        }
    }
}

/// Why no street can be built here.
fn unable() -> Option<String> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !root {
        return Some("not root".into());
    }
    for tool in ["ip", "nft"] {
        let found = Command::new(tool).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            return Some(format!("`{tool}` is not installed"));
        }
    }
    None
}

fn inside(prefix: &str) -> Step<ExitCode> {
    let program = env::current_exe().map_err(Failure::io("finding this program"))?;
    let status = Command::new("ip")
        .args(["netns", "exec", &format!("{prefix}house")])
        .arg(program)
        .args(env::args_os().skip(1))
        .env(INSIDE, prefix)
        .status()
        .map_err(Failure::io("entering the street"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(prefix: &str) -> Step {
    let house = format!("{prefix}house");
    ip(&format!("netns add {house}"))?;
    ip(&format!("-n {house} link set lo up"))?;
    ip(&format!("-n {house} link add street type bridge"))?;
    ip(&format!("-n {house} link set street addrgenmode none"))?;
    ip(&format!("-n {house} addr add {HOUSE}/24 dev street"))?;
    ip(&format!("-n {house} link set street up"))?;
    for place in Place::ALL {
        let (name, door) = (format!("{prefix}{}", place.name()), place.name());
        ip(&format!("netns add {name}"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {house} link add {door} type veth peer name road netns {name}"))?;
        // No address that is only valid a second later: a browser drops its requests when an address comes.
        ip(&format!("-n {house} link set {door} addrgenmode none"))?;
        ip(&format!("-n {name} link set road addrgenmode none"))?;
        ip(&format!("-n {house} link set {door} master street up"))?;
        ip(&format!("-n {name} addr add {}/24 dev road", place.address()))?;
        ip(&format!("-n {name} link set road up"))?;
    }
    Ok(())
}

fn tear_down(prefix: &str) {
    for name in ["house"].into_iter().chain(Place::ALL.map(Place::name)) {
        let name = format!("{prefix}{name}");
        if Path::new("/run/netns").join(&name).exists() {
            ip(&format!("netns del {name}")).unwrap_or_else(|error| eprintln!("{error}"));
        }
    }
}

/// Takes away the streets of harnesses that were killed.
fn sweep() {
    let Ok(names) = std::fs::read_dir("/run/netns") else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(owner) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        if !Path::new("/proc").join(owner).exists() {
            ip(&format!("netns del {name}")).unwrap_or_else(|error| eprintln!("{error}"));
        }
    }
}

fn ip(words: &str) -> Step {
    run(Command::new("ip").args(words.split(' ')))
}

fn run(command: &mut Command) -> Step {
    let output = command.stdin(Stdio::null()).output().map_err(Failure::io(&format!("{command:?}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::Broken(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// This machine's address towards others. Connecting a datagram socket sends nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
