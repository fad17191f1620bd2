//! Every setting: a flag, an environment variable, and a key of the configuration file, all of one name.
//!
//! `--udp-port`, `SABHA_UDP_PORT` and `udp_port = …` are the same setting; the flag wins over the variable, the variable
//! over the file, the file over the default.
//!
//! Invariant: a setting that exists nowhere is refused, never ignored.

mod settings;
mod turn;
mod values;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::Duration,
};

use sfu::{
    io::{Advertise, Loopback, SfuConfig},
    params::Secret,
    worker::Adaptation,
};
use signaling::{
    config::{AutoCreate, RemoteUnmute},
    token::Keys,
};

pub use self::{
    settings::Settings,
    turn::{Peers, PortRange, Turn, TurnSettings},
    values::{KeyPair, KeyPairs, LogFormat, Port, Span, ValueError},
};

/// The key pair of development mode: every LiveKit SDK's examples and tests use it.
pub const DEV_KEY: (&str, &str) = ("devkey", "secret");
/// Shorter secrets can be guessed by trying (RFC 7518 §3.2: a key as long as the hash).
pub const SECRET_LEN_MIN: usize = 32;
/// More threads than this hardly ever help, and each takes a port.
const WORKERS_DEFAULT_MAX: u16 = 32;
/// A worker's number has two characters of 36.
const WORKERS_MAX: u16 = 36 * 36;

/// Why the settings are not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0} cannot be read")]
    Read(PathBuf, #[source] io::Error),
    /// The file is not TOML, has an unknown key, or a value of the wrong kind.
    #[error("{path}: {text}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        text: String,
    },
    /// `LIVEKIT_KEYS` or `SABHA_KEYS` has another form.
    #[error("LIVEKIT_KEYS: {0}")]
    Keys(#[from] ValueError),
    /// An address range of the relay.
    #[error("turn: {0}")]
    Prefix(#[source] ::turn::policy::PrefixError),
    /// Settings that contradict each other, or a number out of range.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Whether the server is for trying out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The well-known key pair, reachable from this machine only unless told otherwise, tokens for whoever asks.
    Development,
    /// Keys of the operator's own.
    Production,
}

/// The settings of a server, checked and complete.
#[derive(Clone, Debug)]
pub struct Config {
    /// For trying out, or for others.
    pub mode: Mode,
    /// Where HTTP listens.
    pub http: Vec<SocketAddr>,
    /// Where metrics are served, when not beside everything else.
    pub metrics: Option<SocketAddr>,
    /// API keys and their secrets.
    pub keys: Keys,
    /// The media plane.
    pub sfu: SfuConfig,
    /// Rooms.
    pub rooms: Rooms,
    /// The TURN relay.
    pub turn: Turn,
    /// STUN servers that clients are told of.
    pub stun_servers: Vec<String>,
    /// Which node this is; empty: one is made up.
    pub node_id: String,
    /// Where it stands.
    pub region: String,
    /// What is logged.
    pub log: String,
    /// In which form.
    pub log_format: LogFormat,
    /// How long a stop may take.
    pub stop_timeout: Duration,
}

/// How rooms are made and how long they last.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Rooms come to be by joining.
    pub auto_create: AutoCreate,
    /// How long a room lives that nobody joined.
    pub empty_timeout: Duration,
    /// How long a room lives after the last one left.
    pub departure_timeout: Duration,
    /// Zero is no limit.
    pub max_participants: u32,
    /// MIME types; empty: all that are known.
    pub enabled_codecs: Vec<String>,
    /// Whether an administrator may unmute others.
    pub remote_unmute: RemoteUnmute,
}

/// Reads the variables of the process; a test has its own.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What flags and variables say, completed from the file and the defaults.
pub fn load(given: Settings, file: Option<&Path>, variable: Variable<'_>) -> Result<Config, ConfigError> {
    let mut settings = given;
    if settings.keys.is_none()
        && let Some(text) = variable("LIVEKIT_KEYS")
    {
        settings.keys = Some(text.parse()?);
    }
    if settings.node_ip.is_none()
        && let Some(text) = variable("NODE_IP")
    {
        settings.node_ip = Some(values::addresses(&text)?);
    }
    if let Some(path) = file {
        settings = settings.or(read(path)?);
    }
    complete(settings)
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read(path.into(), source))?;
    toml::from_str(&text).map_err(|error| ConfigError::File { path: path.into(), text: error.to_string() })
}

fn complete(settings: Settings) -> Result<Config, ConfigError> {
    let keys: Keys = settings.keys.iter().flat_map(|keys| &keys.0).map(KeyPair::to_entry).collect();
    let mode = if settings.dev.unwrap_or(keys.is_empty()) { Mode::Development } else { Mode::Production };
    let keys = match mode {
        Mode::Production if keys.is_empty() => {
            return Err(ConfigError::Contradiction("dev = false needs keys: give --keys \"name: secret\""));
        }
        Mode::Development => {
            let mut keys = keys;
            keys.insert(DEV_KEY.0.into(), Secret(DEV_KEY.1.into()));
            keys
        }
        Mode::Production => keys,
    };
    let port = settings.port.unwrap_or(7_880);
    let bind = settings.bind.clone().unwrap_or_else(|| match mode {
        Mode::Development => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        Mode::Production => vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
    });
    if bind.is_empty() {
        return Err(ConfigError::Contradiction("bind is empty: there would be no way in"));
    }
    Ok(Config {
        mode,
        http: bind.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
        metrics: settings.metrics_bind,
        keys,
        turn: turn::complete(&settings.turn, cores().min(WORKERS_DEFAULT_MAX))?,
        sfu: media(&settings)?,
        rooms: rooms(&settings),
        stun_servers: settings.stun_servers.unwrap_or_default(),
        node_id: settings.node_id.unwrap_or_default(),
        region: settings.region.unwrap_or_default(),
        log: settings.log.unwrap_or_else(|| "info".into()),
        log_format: settings.log_format.unwrap_or_default(),
        stop_timeout: settings.stop_timeout.map_or(Duration::from_secs(10), |span| span.0),
    })
}

fn media(settings: &Settings) -> Result<SfuConfig, ConfigError> {
    let workers = settings.workers.unwrap_or(cores().min(WORKERS_DEFAULT_MAX));
    if workers == 0 || workers > WORKERS_MAX {
        return Err(ConfigError::Contradiction("workers has to be between 1 and 1296"));
    }
    let advertise = match settings.node_ip.clone() {
        Some(addresses) if addresses.is_empty() => {
            return Err(ConfigError::Contradiction("node_ip is empty: leave it out to have it found"));
        }
        Some(addresses) => Advertise::Addresses(addresses),
        None if settings.advertise_loopback == Some(true) => Advertise::Local(Loopback::Told),
        None => Advertise::Local(Loopback::Hidden),
    };
    let default = SfuConfig::default();
    Ok(SfuConfig {
        bind: settings.rtc_bind.unwrap_or(default.bind),
        udp_port: settings.udp_port.unwrap_or(default.udp_port),
        tcp_port: settings.tcp_port.map_or(default.tcp_port, |port| port.number()),
        workers,
        advertise,
        socket_buffer: settings.udp_buffer.unwrap_or(default.socket_buffer),
        padding_max: default.padding_max,
        adaptation: match settings.adapt {
            Some(true) => Adaptation::Measured,
            Some(false) | None => Adaptation::Off,
        },
    })
}

fn cores() -> u16 {
    available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX))
}

fn rooms(settings: &Settings) -> Rooms {
    Rooms {
        auto_create: if settings.auto_create == Some(false) { AutoCreate::Off } else { AutoCreate::On },
        empty_timeout: settings.empty_timeout.map_or(Duration::from_secs(300), |span| span.0),
        departure_timeout: settings.departure_timeout.map_or(Duration::from_secs(20), |span| span.0),
        max_participants: settings.max_participants.unwrap_or(0),
        enabled_codecs: settings.enabled_codecs.clone().unwrap_or_default(),
        remote_unmute: match settings.remote_unmute {
            Some(true) => RemoteUnmute::Allowed,
            Some(false) | None => RemoteUnmute::Refused,
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn with_nothing_said_it_is_a_development_server_for_this_machine() {
        let config = load(Settings::default(), None, &|_| None).unwrap();

        assert_eq!(config.mode, Mode::Development);
        assert_eq!(config.http, ["127.0.0.1:7880".parse().unwrap(), "[::1]:7880".parse().unwrap()]);
        assert_eq!((config.sfu.udp_port, config.sfu.tcp_port), (7_882, Some(7_881)));
        assert_eq!(config.keys.get("devkey"), Some(&Secret("secret".into())));
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = File::new("flag-wins", "port = 1000\nudp_port = 2000\n");

        let config = load(line(&["--port", "3000"]), Some(file.path()), &|_| None).unwrap();

        assert_eq!(config.http[0].port(), 3_000);
        assert_eq!(config.sfu.udp_port, 2_000);
        assert_eq!(config.sfu.tcp_port, Some(7_881));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_known_ones() {
        let file = File::new("unknown", "port = 1000\nudp_prot = 2000\n");

        let error = load(Settings::default(), Some(file.path()), &|_| None).unwrap_err().to_string();

        assert!(error.contains("line 2"), "{error}");
        assert!(error.contains("unknown field `udp_prot`"), "{error}");
        assert!(error.contains("`udp_port`"), "{error}");
    }

    #[test]
    fn keys_of_ones_own_end_the_development_mode() {
        let file = File::new("keys", "[keys]\nAPIabc = \"0123456789abcdef0123456789abcdef\"\n");

        let config = load(Settings::default(), Some(file.path()), &|_| None).unwrap();

        assert_eq!(config.mode, Mode::Production);
        assert_eq!(config.http, ["[::]:7880".parse().unwrap()]);
        assert_eq!(config.keys.len(), 1);
    }

    #[test]
    fn the_variables_of_livekit_are_honoured_and_ones_own_flags_win() {
        let variable = |name: &str| match name {
            "LIVEKIT_KEYS" => Some("one: first-secret\ntwo: second-secret".into()),
            "NODE_IP" => Some("203.0.113.7,2001:db8::7".into()),
            _ => None,
        };

        let config = load(Settings::default(), None, &variable).unwrap();
        let flagged =
            load(line(&["--keys", "three: third", "--node-ip", "10.0.0.1"]), None, &variable).unwrap();

        assert_eq!(config.keys.keys().collect::<Vec<_>>(), ["one", "two"]);
        let told = ["203.0.113.7", "2001:db8::7"].map(|ip| ip.parse().unwrap()).to_vec();
        assert_eq!(config.sfu.advertise, Advertise::Addresses(told));
        assert_eq!(flagged.keys.keys().collect::<Vec<_>>(), ["three"]);
        assert_eq!(flagged.sfu.advertise, Advertise::Addresses(vec!["10.0.0.1".parse().unwrap()]));
    }

    #[test]
    fn development_mode_keeps_the_keys_it_is_given_beside_its_own() {
        let config = load(line(&["--dev", "--keys", "one: secret"]), None, &|_| None).unwrap();

        assert_eq!(config.keys.keys().collect::<Vec<_>>(), ["devkey", "one"]);
        assert_eq!(config.mode, Mode::Development);
    }

    #[test]
    fn tcp_can_be_turned_off() {
        let file = File::new("tcp", "tcp_port = \"off\"\n");

        let config = load(Settings::default(), Some(file.path()), &|_| None).unwrap();

        assert_eq!(config.sfu.tcp_port, None);
        assert_eq!(load(line(&["--tcp-port", "7000"]), None, &|_| None).unwrap().sfu.tcp_port, Some(7_000));
    }

    #[test]
    fn every_setting_can_be_said_in_the_file() {
        let file = File::new("all", include_str!("example.toml"));

        load(Settings::default(), Some(file.path()), &|_| None).unwrap();

        let text = include_str!("example.toml");
        let flags = <Line as clap::CommandFactory>::command();
        for argument in flags.get_arguments().filter(|argument| argument.get_id() != "help") {
            let id = argument.get_id().as_str();
            let (text, key) = match id.strip_prefix("turn_") {
                Some(key) => (text.split("[turn]").nth(1).unwrap(), key),
                None => (text, id),
            };
            let said = text.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(key));
            let table =
                [format!("[{key}]"), format!("[turn.{key}]")].iter().any(|table| text.contains(table));
            assert!(said || table, "{id} is not in example.toml");
            assert!(argument.get_long_help().or(argument.get_help()).is_some(), "{key} is not documented");
        }
    }

    fn line(arguments: &[&str]) -> Settings {
        Line::try_parse_from(["sabha"].iter().chain(arguments)).unwrap().settings
    }

    /// A configuration file that is gone after the test.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sabha-config-{}-{name}.toml", std::process::id()));
            fs::write(&path, text).unwrap();
            Self(path)
        }

        fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }
}
