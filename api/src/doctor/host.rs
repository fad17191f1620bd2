//! What the machine gives: clock, descriptors, buffers, offload; and what the operator gave: secrets.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use sfu::io::segmentation_works;

use super::Finding;
use crate::{
    config::{Config, DEV_KEY, Mode, SECRET_LEN_MIN},
    http::web,
};

/// Every call over TCP and every WebSocket takes one.
const DESCRIPTORS_MIN: u64 = 4_096;
/// 1 January 2026: no machine that runs this has an earlier date.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// 1 January 2100.
const LATEST: Duration = Duration::from_secs(4_102_444_800);

pub(super) fn examine(config: &Config, now: SystemTime) -> Vec<Finding> {
    let mut findings = vec![clock(now), descriptors(&read("/proc/self/limits"))];
    for (name, direction) in [("rmem_max", "receive"), ("wmem_max", "send")] {
        let granted = read(&format!("/proc/sys/net/core/{name}")).trim().parse().ok();
        findings.push(buffer(name, direction, granted, config.sfu.socket_buffer));
    }
    findings.push(segmentation());
    findings.extend(secrets(config));
    findings.push(if web::is_built() {
        Finding::fine("the web page is built in")
    } else {
        Finding::mind(
            "the web page was not built in",
            "install Node.js 20 or later and build again; SDKs work without it",
        )
    });
    findings
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn clock(now: SystemTime) -> Finding {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if (EARLIEST..LATEST).contains(&since) {
        return Finding::fine("the clock shows a likely date");
    }
    Finding::broken(
        format!("the clock shows {} seconds since 1970", since.as_secs()),
        "set the clock (`timedatectl set-ntp true`): tokens from other machines are refused while it is wrong",
    )
}

fn descriptors(limits: &str) -> Finding {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let Some(soft) = line.and_then(|line| line.split_whitespace().next()) else {
        return Finding::fine("the limit of open files is not known here");
    };
    match soft.parse::<u64>() {
        Ok(soft) if soft < DESCRIPTORS_MIN => Finding::mind(
            format!("{soft} files may be open: enough for about {} clients", soft / 2),
            "raise it: `ulimit -n 65536`, or LimitNOFILE=65536 in the systemd unit",
        ),
        Ok(soft) => Finding::fine(format!("{soft} files may be open")),
        Err(_) => Finding::fine("any number of files may be open"),
    }
}

fn buffer(name: &str, direction: &str, granted: Option<usize>, wanted: usize) -> Finding {
    match granted {
        None => Finding::fine(format!("the UDP {direction} buffer's limit is not known here")),
        Some(granted) if granted < wanted => Finding::mind(
            format!(
                "the UDP {direction} buffer is limited to {granted} bytes: bursts of many clients get lost"
            ),
            format!("sudo sysctl -w net.core.{name}={wanted}"),
        ),
        Some(_) => Finding::fine(format!("the UDP {direction} buffer may have {wanted} bytes")),
    }
}

fn segmentation() -> Finding {
    if segmentation_works() {
        return Finding::fine("UDP segmentation offload works");
    }
    Finding::mind(
        "UDP segmentation offload does not work: sending costs about twice as much processor time",
        "use Linux 4.18 or later outside of a sandbox that filters socket options",
    )
}

fn secrets(config: &Config) -> Vec<Finding> {
    let weak = |secret: &str| secret.len() < SECRET_LEN_MIN;
    let mut findings: Vec<Finding> = Vec::new();
    for (key, secret) in &config.keys {
        if config.mode == Mode::Development && key == DEV_KEY.0 {
            let exposed = config.http.iter().any(|addr| !addr.ip().is_loopback());
            let reach = if exposed { "from other machines too" } else { "from this machine only" };
            findings.push(Finding::mind(
                format!("development mode: everybody knows the secret, and the server is reached {reach}"),
                format!("for others, give your own: --keys \"{}: $(openssl rand -base64 32)\"", "APImykey"),
            ));
        } else if weak(&secret.0) {
            findings.push(Finding::mind(
                format!("the secret of {key} has {} characters: it can be guessed", secret.0.len()),
                format!("use at least {SECRET_LEN_MIN} random ones: `openssl rand -base64 32`"),
            ));
        } else {
            findings.push(Finding::fine(format!("the secret of {key} is long enough")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_clock_that_was_never_set_is_broken() {
        assert_eq!(clock(SystemTime::UNIX_EPOCH + Duration::from_secs(60)).level, Level::Broken);
        assert_eq!(clock(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)).level, Level::Fine);
    }

    #[test]
    fn few_descriptors_are_minded() {
        let limits = |soft: &str| {
            format!("Limit  Soft  Hard  Units\nMax open files            {soft}   524288   files\n")
        };

        assert_eq!(descriptors(&limits("1024")).level, Level::Mind);
        assert_eq!(descriptors(&limits("65536")).level, Level::Fine);
        assert_eq!(descriptors(&limits("unlimited")).level, Level::Fine);
    }

    #[test]
    fn small_buffers_come_with_the_command_that_enlarges_them() {
        let finding = buffer("rmem_max", "receive", Some(212_992), 4_194_304);

        assert_eq!(finding.remedy, "sudo sysctl -w net.core.rmem_max=4194304");
        assert_eq!(buffer("rmem_max", "receive", Some(4_194_304), 4_194_304).level, Level::Fine);
    }
}
