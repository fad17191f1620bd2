//! The settings by name, each with its paragraph: what `sabha serve --help` prints and what a file may say.

use std::net::{IpAddr, SocketAddr};

use clap::{ArgAction, Args};
use serde::Deserialize;

use super::{
    turn::TurnSettings,
    values::{self, KeyPairs, LogFormat, Port, Span},
};

/// What was said about each setting; `None` is nothing.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Development mode: the key pair devkey/secret is accepted, the web page hands out tokens to whoever asks, and HTTP
    /// listens on this machine only unless --bind says otherwise. It is the default as long as no keys are given.
    #[arg(long, env = "SABHA_DEV", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub dev: Option<bool>,

    /// API keys with their secrets, as "key: secret", several separated by commas or lines. Tokens are signed with them;
    /// whoever knows a secret can do everything. Use at least 32 random characters. In a file: a table [keys] with
    /// key = "secret". LIVEKIT_KEYS is read too.
    #[arg(long, env = "SABHA_KEYS", value_name = "KEY: SECRET", hide_env_values = true)]
    pub keys: Option<KeyPairs>,

    /// The addresses HTTP listens on. Default: all of this machine; in development mode only 127.0.0.1 and ::1. Put a
    /// reverse proxy with TLS in front before others use it: browsers allow camera and microphone on https only.
    #[arg(long, env = "SABHA_BIND", value_name = "IP", value_delimiter = ',')]
    #[serde(default, deserialize_with = "values::address_list")]
    pub bind: Option<Vec<IpAddr>>,

    /// The port of HTTP: web page, signalling WebSocket and server API. Default: 7880.
    #[arg(long, env = "SABHA_PORT", value_name = "PORT")]
    pub port: Option<u16>,

    /// Serves /metrics at this address and port alone, away from the public. Default: beside everything else.
    #[arg(long, env = "SABHA_METRICS_BIND", value_name = "IP:PORT")]
    pub metrics_bind: Option<SocketAddr>,

    /// The addresses that clients are told to send media to. Needed behind address translation (cloud machines, home
    /// routers, containers), where it is the public address; several are separated by commas. Default: the addresses of
    /// this machine, the one with the default route first. NODE_IP is read too.
    #[arg(long, env = "SABHA_NODE_IP", value_name = "IP", value_delimiter = ',')]
    #[serde(default, deserialize_with = "values::address_list")]
    pub node_ip: Option<Vec<IpAddr>>,

    /// Tells clients the loopback addresses too, for tests without a network. Many SDKs ignore them.
    #[arg(long, env = "SABHA_ADVERTISE_LOOPBACK", num_args = 0..=1, default_missing_value = "true")]
    #[arg(action = ArgAction::Set)]
    pub advertise_loopback: Option<bool>,

    /// The address media sockets are bound to. Default: all addresses, IPv6 and IPv4.
    #[arg(long, env = "SABHA_RTC_BIND", value_name = "IP")]
    pub rtc_bind: Option<IpAddr>,

    /// The UDP port of the first media worker; the others use the ports that follow. A firewall has to let in
    /// --workers ports from here. 0: any free ports. Default: 7882.
    #[arg(long, env = "SABHA_UDP_PORT", value_name = "PORT")]
    pub udp_port: Option<u16>,

    /// The port for media over TCP, for clients whose network blocks UDP; "off" for none, 0 for any free one.
    /// Default: 7881.
    #[arg(long, env = "SABHA_TCP_PORT", value_name = "PORT")]
    pub tcp_port: Option<Port>,

    /// Media threads, each with a UDP port and the rooms placed on it. Default: one per processor core, at most 32.
    #[arg(long, env = "SABHA_WORKERS", value_name = "COUNT")]
    pub workers: Option<u16>,

    /// Bytes each UDP socket may buffer in each direction, as far as net.core.rmem_max and wmem_max allow.
    /// Default: 4194304.
    #[arg(long, env = "SABHA_UDP_BUFFER", value_name = "BYTES")]
    pub udp_buffer: Option<usize>,

    /// Whether a viewer whose path is measured to carry less than is wanted gets smaller, slower or paused pictures. Not by
    /// default yet: a device that is short of processor time looks like a narrow path. Default: false.
    #[arg(long, env = "SABHA_ADAPT", value_name = "BOOL", action = ArgAction::Set)]
    pub adapt: Option<bool>,

    /// Whether joining a room that does not exist makes it. When not, it takes CreateRoom or a token with roomCreate.
    /// Default: true.
    #[arg(long, env = "SABHA_AUTO_CREATE", value_name = "BOOL", action = ArgAction::Set)]
    pub auto_create: Option<bool>,

    /// How long a room lives that nobody joined, as 300, "90s", "5m". Default: 5m.
    #[arg(long, env = "SABHA_EMPTY_TIMEOUT", value_name = "TIME")]
    pub empty_timeout: Option<Span>,

    /// How long a room lives after the last participant left. Default: 20s.
    #[arg(long, env = "SABHA_DEPARTURE_TIMEOUT", value_name = "TIME")]
    pub departure_timeout: Option<Span>,

    /// The most participants of a room, unless the room says otherwise; 0 is no limit. Default: 0.
    #[arg(long, env = "SABHA_MAX_PARTICIPANTS", value_name = "COUNT")]
    pub max_participants: Option<u32>,

    /// The codecs that may be published, as MIME types, best video first. Default: video/VP8, video/H264, video/VP9,
    /// video/AV1, audio/opus, audio/red.
    #[arg(long, env = "SABHA_ENABLED_CODECS", value_name = "MIME", value_delimiter = ',')]
    pub enabled_codecs: Option<Vec<String>>,

    /// Whether MutePublishedTrack may unmute somebody: a microphone opened from afar. Default: false.
    #[arg(long, env = "SABHA_REMOTE_UNMUTE", value_name = "BOOL", action = ArgAction::Set)]
    pub remote_unmute: Option<bool>,

    /// STUN servers that clients are told of, as stun:host:port. They are hardly ever needed: clients reach this server
    /// at its own addresses. Default: none.
    #[arg(long, env = "SABHA_STUN_SERVERS", value_name = "URL", value_delimiter = ',')]
    pub stun_servers: Option<Vec<String>>,

    /// The name of this node in server information and metrics. Default: a random one.
    #[arg(long, env = "SABHA_NODE_ID", value_name = "NAME")]
    pub node_id: Option<String>,

    /// The region of this node, as clients are told. Default: none.
    #[arg(long, env = "SABHA_REGION", value_name = "NAME")]
    pub region: Option<String>,

    /// What is logged: error, warn, info, debug, trace, or one per module as "info,signaling=debug". Addresses and names
    /// of people appear at debug and below only. Default: info.
    #[arg(long, env = "SABHA_LOG", value_name = "LEVEL")]
    pub log: Option<String>,

    /// The form of the log: text for people, json for machines. Default: text.
    #[arg(long, env = "SABHA_LOG_FORMAT", value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,

    /// How long a stop may take before connections are cut. Default: 10s.
    #[arg(long, env = "SABHA_STOP_TIMEOUT", value_name = "TIME")]
    pub stop_timeout: Option<Span>,

    /// The TURN relay.
    #[command(flatten)]
    #[serde(default)]
    pub turn: TurnSettings,
}

impl Settings {
    /// What is said here, and where nothing is, what `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            dev: self.dev.or(other.dev),
            keys: self.keys.or(other.keys),
            bind: self.bind.or(other.bind),
            port: self.port.or(other.port),
            metrics_bind: self.metrics_bind.or(other.metrics_bind),
            node_ip: self.node_ip.or(other.node_ip),
            advertise_loopback: self.advertise_loopback.or(other.advertise_loopback),
            rtc_bind: self.rtc_bind.or(other.rtc_bind),
            udp_port: self.udp_port.or(other.udp_port),
            tcp_port: self.tcp_port.or(other.tcp_port),
            workers: self.workers.or(other.workers),
            udp_buffer: self.udp_buffer.or(other.udp_buffer),
            adapt: self.adapt.or(other.adapt),
            auto_create: self.auto_create.or(other.auto_create),
            empty_timeout: self.empty_timeout.or(other.empty_timeout),
            departure_timeout: self.departure_timeout.or(other.departure_timeout),
            max_participants: self.max_participants.or(other.max_participants),
            enabled_codecs: self.enabled_codecs.or(other.enabled_codecs),
            remote_unmute: self.remote_unmute.or(other.remote_unmute),
            stun_servers: self.stun_servers.or(other.stun_servers),
            node_id: self.node_id.or(other.node_id),
            region: self.region.or(other.region),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            stop_timeout: self.stop_timeout.or(other.stop_timeout),
            turn: self.turn.or(other.turn),
        }
    }
}
