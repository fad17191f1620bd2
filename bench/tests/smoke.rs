//! The load generator against a server in this process: media flows, and the report says all it has to say. What it
//! says of times is not looked at.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use api::{
    app::App,
    config::{self, Port, Settings},
};
use serde_json::Value;
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread")]
async fn a_livestream_flows_and_its_report_is_complete() {
    let report = run("livestream", &["--size", "3", "--floor"]).await;

    let run = &report.json["runs"][0];
    assert_eq!(run["people"]["joined"], 4, "{run:#}");
    assert_eq!(run["people"]["served"], 4);
    assert_eq!(run["people"]["failed"], 0);
    assert!(number(run, "/media/packets_out") >= 2.0 * number(run, "/media/packets_in"));
    assert_eq!(run["media"]["broken"], 0);
    assert_eq!(run["media"]["strange"], 0);
    assert!(number(run, "/delay_ms/count") > 0.0);
    assert_eq!(run["join_ms"]["count"], 4);
    assert_eq!(run["first_picture_ms"]["count"], 3);
    assert_eq!(run["first_sound_ms"]["count"], 3);
    assert!(number(run, "/server/ns_per_packet") > 0.0 || number(run, "/media/packets_out") < 1_000.0);
    assert!(number(run, "/server_says/sabha_worker_datagrams_out_total") > 0.0);
    assert!(number(&report.json, "/floors/0/seal_ns") > 0.0);
    for word in ["<svg", "livestream 3 on server", "The machine's floor", "</html>"] {
        assert!(report.page.contains(word), "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_sees_everybody_at_the_size_it_asks_for() {
    let report = run("meeting", &["--size", "3", "--seconds", "6"]).await;

    let run = &report.json["runs"][0];
    assert_eq!(run["people"]["served"], 3, "{run:#}");
    assert!(number(run, "/layer_switch_ms/count") > 0.0, "somebody was large who was small: {run:#}");
    assert_eq!(run["media"]["broken"], 0);
}

#[test]
fn a_scenario_that_nobody_knows_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_sabha-bench")).args(["run", "opera"]).output().unwrap();

    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("livestream"));
}

struct Report {
    json: Value,
    page: String,
}

/// Runs a scenario against a server of its own.
async fn run(scenario: &str, more: &[&str]) -> Report {
    let here = [127, 0, 0, 1].into();
    let settings = Settings {
        bind: Some(vec![here]),
        port: Some(0),
        rtc_bind: Some(here),
        udp_port: Some(0),
        tcp_port: Some(Port::Off),
        workers: Some(1),
        advertise_loopback: Some(true),
        node_ip: Some(vec![here]),
        ..Settings::default()
    };
    let app = App::start(config::load(settings, None, &|_| None).unwrap()).await.unwrap();
    let url = format!("ws://{}", app.http().first().unwrap());
    let (stop, stopped) = mpsc::channel(2);
    let running = tokio::spawn(async move { app.run(stopped).await.unwrap() });

    let [json, page] = ["json", "html"].map(|kind| File::new(scenario, kind));
    let pid = std::process::id().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sabha-bench"));
    command.args(["run", scenario, "--url", &url, "--pid", &pid, "--warmup", "0.5", "--seconds", "1"]);
    command.args(more).arg("--json").arg(&json.0).arg("--html").arg(&page.0);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    stop.send(()).await.unwrap();
    running.await.unwrap();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    Report { json: serde_json::from_str(&read(&json.0)).unwrap(), page: read(&page.0) }
}

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0)
}

/// A file that goes away.
struct File(PathBuf);

impl File {
    fn new(name: &str, kind: &str) -> Self {
        Self(std::env::temp_dir().join(format!("sabha-bench-{}-{name}.{kind}", std::process::id())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
