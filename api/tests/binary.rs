//! The binary as people use it: its exit codes, what it prints, and where its settings come from.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, UdpSocket},
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::SystemTime,
};

use sfu::params::Secret;
use signaling::token::{Claims, Keys};

#[test]
fn an_unknown_key_in_the_file_is_refused() {
    let file = File::new("unknown", "port = 1\nudp_prot = 2\n");

    let output = sabha(&["serve", "--config", file.path()], &[]);

    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("udp_prot") && said.contains("line 2"), "{said}");
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let [flag, variable, file] = [free_tcp(), free_tcp(), free_tcp()];
    let settings = File::new("precedence", &format!("port = {file}\n"));
    let port_of = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["doctor", "--config", settings.path()], arguments].concat();
        let said = String::from_utf8(sabha(&arguments, variables).stdout).unwrap();
        let line = said.lines().find(|line| line.contains("(HTTP)")).unwrap().to_owned();
        line.split("127.0.0.1:").nth(1).unwrap().split(' ').next().unwrap().parse::<u16>().unwrap()
    };
    let named = ("SABHA_PORT", &*variable.to_string());

    assert_eq!(port_of(&["--port", &flag.to_string()], &[named]), flag);
    assert_eq!(port_of(&[], &[named]), variable);
    assert_eq!(port_of(&[], &[]), file);
}

#[test]
fn doctor_is_content_with_a_machine_where_everything_works() {
    let output = sabha(&[&["doctor", "--advertise-loopback"], &LOCAL[..]].concat(), &[]);

    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("BROKEN"), "{said}");
}

#[test]
fn doctor_finds_a_port_in_use() {
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let media = UdpSocket::bind("127.0.0.1:0").unwrap();
    let [http_port, media_port] =
        [http.local_addr().unwrap().port(), media.local_addr().unwrap().port()].map(|port| port.to_string());

    let output =
        sabha(&[&["doctor"], &LOCAL[..], &["--port", &http_port, "--udp-port", &media_port]].concat(), &[]);

    let said = String::from_utf8(output.stdout).unwrap();
    let me = format!("(pid {})", std::process::id());
    assert_eq!(output.status.code(), Some(1));
    for place in [format!("TCP 127.0.0.1:{http_port}"), format!("UDP 127.0.0.1:{media_port}")] {
        let line = said.lines().find(|line| line.contains(&place)).unwrap();
        assert!(line.contains("BROKEN") && line.contains("is used by") && line.contains(&me), "{said}");
    }
}

#[test]
fn doctor_finds_an_advertised_address_that_nobody_answers_at() {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let nowhere = ["--node-ip", "203.0.113.7", "--udp-port", &port];

    let output = sabha(&[&["doctor"], &LOCAL[..], &nowhere].concat(), &[]);

    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("BROKEN  media address 203.0.113.7"), "{said}");
    assert!(said.contains(&format!("forward UDP {port} to this machine")), "{said}");
}

#[test]
fn a_token_is_all_that_is_printed() {
    let arguments = ["token", "create", "--room", "r", "--identity", "ann", "--can-publish=false"];

    let output = sabha(&arguments, &[("LIVEKIT_KEYS", "own: its-secret")]);

    let token = String::from_utf8(output.stdout).unwrap();
    let keys = Keys::from([("own".into(), Secret("its-secret".into()))]);
    let claims = Claims::verify(token.trim_end(), &keys, SystemTime::now()).unwrap();
    let grant = claims.video.unwrap();
    assert_eq!((claims.identity.as_str(), grant.room.as_str()), ("ann", "r"));
    assert_eq!((grant.room_join, grant.can_publish), (true, Some(false)));
}

#[test]
fn a_port_in_use_stops_the_start_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();

    let output = sabha(&[&["serve"], &LOCAL[..], &["--port", &port]].concat(), &[]);

    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("TCP 127.0.0.1:{port} cannot be bound")), "{said}");
}

#[test]
fn the_first_screen_says_where_to_click_and_a_signal_ends_the_server_in_order() {
    let mut server = command(&[&["serve"], &LOCAL[..]].concat(), &[]).stdout(Stdio::piped()).spawn().unwrap();
    let screen = BufReader::new(server.stdout.take().unwrap()).lines();
    let lines: Vec<String> =
        screen.map(Result::unwrap).take_while(|line| !line.contains("Development mode")).collect();
    let all = lines.join("\n");
    assert!(all.contains("Open     http://localhost:"), "{all}");
    assert!(all.contains("key devkey   secret secret"), "{all}");

    let killed = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();

    assert!(killed.success());
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_relay_alone_needs_somebody_and_something_to_reach_and_then_runs() {
    let ports = ["--turn-udp-port", "0", "--turn-tcp-port", "0"];
    fn alone<'a>(ports: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        [&["turn", "--node-ip", "127.0.0.1"], ports, more].concat()
    }
    let secret = ["--turn-secret", "0123456789abcdef0123456789abcdef"];
    for (more, wanted) in [(&[][..], "turn.secret"), (&secret, "turn.allow_peers")] {
        let output = sabha(&alone(&ports, more), &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains(wanted), "{said}");
    }
    let reach = [&secret[..], &["--turn-allow-peers", "192.0.2.0/24"]].concat();
    let mut relay = command(&alone(&ports, &reach), &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(relay.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("Sabha TURN relay: UDP [")));

    let killed = Command::new("kill").args(["-TERM", &relay.id().to_string()]).status().unwrap();

    assert!(killed.success());
    assert!(relay.wait().unwrap().success());
}

#[test]
fn doctor_relays_there_and_back() {
    let ports = ["--turn-udp-port", "0", "--turn-tcp-port", "0", "--turn-tls-port", "0"];
    let tls = ["--turn-tls-self-signed", "true", "--advertise-loopback"];

    let output = sabha(&[&["doctor"], &LOCAL[..], &ports, &tls].concat(), &[]);

    let said = String::from_utf8(output.stdout).unwrap();
    for transport in ["UDP", "TCP", "TLS"] {
        let line = format!("fine    TURN over {transport} at 127.0.0.1:");
        assert!(said.lines().any(|said| said.contains(&line) && said.contains("there and back")), "{said}");
    }
}

/// Away from everybody else's ports.
const LOCAL: [&str; 12] = [
    "--bind",
    "127.0.0.1",
    "--port",
    "0",
    "--rtc-bind",
    "127.0.0.1",
    "--udp-port",
    "0",
    "--tcp-port",
    "off",
    "--workers",
    "1",
];

fn sabha(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(arguments, variables).output().unwrap()
}

/// Later flags win over earlier ones; the variables of whoever runs the tests do not count.
fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sabha"));
    let mut whole: Vec<&str> = Vec::new();
    for argument in arguments {
        if let Some(at) = whole.iter().position(|known| argument.starts_with("--") && known == argument) {
            whole.drain(at..at + 2);
        }
        whole.push(argument);
    }
    command.args(whole).stdin(Stdio::null()).stderr(Stdio::piped());
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("SABHA_") || name.starts_with("LIVEKIT_"))
    {
        command.env_remove(name);
    }
    command.env_remove("NODE_IP").envs(variables.iter().copied());
    command
}

fn free_tcp() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A configuration file that is gone after the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sabha-binary-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
