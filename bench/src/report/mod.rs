//! What a run came to: the same figures for people, for programs and for a page.

mod book;
mod chart;
mod page;
mod table;

use std::collections::BTreeMap;

use serde::Serialize;

pub(crate) use self::{
    book::{Book, Comparison, Knee, breaks},
    page::page,
    table::table,
};
use crate::{
    measure::{Spread, to_millis},
    run::{Plan, Target, Window},
};

/// Clients whose thread works more than this may hold the server back.
const BUSY_MAX: f64 = 0.85;
/// Packets that waited longer in the kernel for a client, or left later than due: the clients are behind.
const BEHIND_MAX_MS: f64 = 20.0;

/// With fewer packets, what a server spends on each means nothing.
const PACKETS_MIN: f64 = 1_000.0;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) target: String,
    pub(crate) scenario: String,
    pub(crate) about: String,
    pub(crate) size: u32,
    pub(crate) seconds: f64,
    pub(crate) people: People,
    pub(crate) media: Media,
    pub(crate) delay_ms: Spread,
    pub(crate) join_ms: Spread,
    pub(crate) first_picture_ms: Spread,
    pub(crate) first_sound_ms: Spread,
    pub(crate) layer_switch_ms: Spread,
    pub(crate) server: Option<Server>,
    /// What the server counted of itself in the span.
    pub(crate) server_says: BTreeMap<String, f64>,
    pub(crate) generator: Generator,
}

/// Who was there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct People {
    pub(crate) begun: u64,
    pub(crate) joined: u64,
    pub(crate) present: u64,
    pub(crate) served: u64,
    pub(crate) failed: u64,
    pub(crate) joins_per_second: f64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) srtp: BTreeMap<String, u64>,
}

/// What flowed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Media {
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) packets_in_per_second: f64,
    pub(crate) packets_out_per_second: f64,
    pub(crate) mbit_out_per_second: f64,
    pub(crate) lost_percent: f64,
    /// Retransmissions and probes, what clients asked for again, and what of that came.
    pub(crate) repaired: u64,
    pub(crate) missed: u64,
    pub(crate) recovered: u64,
    pub(crate) opened: u64,
    pub(crate) strange: u64,
    pub(crate) broken: u64,
    pub(crate) keyframes_asked: u64,
    pub(crate) keyframes_wanted: u64,
    pub(crate) nacked: u64,
}

/// What the server's process spent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Server {
    pub(crate) cpu_percent: f64,
    pub(crate) system_share: f64,
    /// Not told when next to nothing was forwarded.
    pub(crate) ns_per_packet: Option<f64>,
    pub(crate) us_per_participant_second: f64,
    pub(crate) mib_idle: f64,
    pub(crate) mib: f64,
    pub(crate) kib_per_participant: f64,
    pub(crate) switches_per_packet: Option<f64>,
    /// Calls to receive, send and wait for each packet that went out, where the server counts them.
    pub(crate) syscalls_per_packet: Option<f64>,
    pub(crate) packets_per_message: Option<f64>,
    pub(crate) join_us: f64,
}

/// Whether the clients kept up.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Generator {
    pub(crate) busiest_percent: f64,
    pub(crate) cpu_percent: f64,
    pub(crate) waiting_p99_ms: f64,
    pub(crate) lateness_p99_ms: f64,
    pub(crate) dropped: u64,
    pub(crate) dropped_elsewhere: u64,
    pub(crate) unsent: u64,
    pub(crate) packets_per_receive: f64,
    /// Empty, or why the clients were the limit and the figures are not the server's.
    pub(crate) limits: Vec<String>,
}

impl Report {
    pub(crate) fn new(plan: &Plan, target: &Target, window: &Window) -> Self {
        let seconds = window.figures.span.as_secs_f64().max(1e-9);
        let (figures, tally) = (&window.figures, &window.tally);
        let server = target.is_watched().then(|| Server::new(window));
        Self {
            version: env!("CARGO_PKG_VERSION"),
            target: target.name.clone(),
            scenario: plan.scenario.name.clone(),
            about: plan.scenario.about.clone(),
            size: plan.size,
            seconds,
            people: People {
                begun: tally.begun,
                joined: tally.joined,
                present: window.after.secured,
                served: tally.served,
                failed: tally.failed,
                joins_per_second: float(tally.joined) / tally.arrival.as_secs_f64().max(1e-9),
                errors: tally.errors.clone(),
                srtp: tally.profiles.clone(),
            },
            media: Media::new(window, seconds),
            delay_ms: figures.delay.spread(),
            join_ms: tally.joining.spread(),
            first_picture_ms: tally.first_picture.spread(),
            first_sound_ms: tally.first_sound.spread(),
            layer_switch_ms: figures.switching.spread(),
            server,
            server_says: window.after.metrics.grown(&window.before.metrics, "sabha_"),
            generator: Generator::new(window, seconds),
        }
    }
}

impl Media {
    fn new(window: &Window, seconds: f64) -> Self {
        let counters = &window.figures.counters;
        let came = counters.received - counters.repaired + counters.recovered;
        let lost = counters.expected.saturating_sub(came);
        Self {
            packets_in: counters.sent,
            packets_out: counters.received,
            packets_in_per_second: float(counters.sent) / seconds,
            packets_out_per_second: float(counters.received) / seconds,
            mbit_out_per_second: float(counters.received_bytes) * 8.0 / 1e6 / seconds,
            lost_percent: float(lost) * 100.0 / float(counters.expected.max(1)),
            repaired: counters.repaired,
            missed: counters.missed,
            recovered: counters.recovered,
            opened: counters.opened,
            strange: counters.strange,
            broken: counters.broken,
            keyframes_asked: counters.keyframes_asked,
            keyframes_wanted: counters.keyframes_wanted,
            nacked: counters.nacked,
        }
    }
}

impl Server {
    fn new(window: &Window) -> Self {
        let (before, after) = (&window.before, &window.after);
        let span = after.at.saturating_duration_since(before.at).as_secs_f64().max(1e-9);
        let cpu = after.server.cpu.saturating_sub(before.server.cpu).as_secs_f64();
        let user = after.server.user.saturating_sub(before.server.user).as_secs_f64();
        let system = after.server.system.saturating_sub(before.server.system).as_secs_f64();
        let packets = float(window.figures.counters.received.max(1));
        // The span of the clients' counters is a few milliseconds longer than that of the process.
        let packets = packets * span / window.figures.span.as_secs_f64().max(1e-9);
        let enough = packets > PACKETS_MIN;
        let people = float(after.secured.max(1));
        let switches = (after.server.voluntary_switches + after.server.involuntary_switches)
            .saturating_sub(before.server.voluntary_switches + before.server.involuntary_switches);
        let grown = after.server.resident.saturating_sub(window.idle.resident);
        let joining = before.server.cpu.saturating_sub(window.idle.cpu).as_secs_f64();
        let counted = |name: &str| after.metrics.since(&before.metrics, name);
        let out = counted("sabha_worker_datagrams_out_total").filter(|out| *out > 0.0);
        let messages = counted("sabha_worker_send_messages_total").filter(|messages| *messages > 0.0);
        let calls = counted("sabha_worker_socket_calls_total");
        Self {
            cpu_percent: cpu * 100.0 / span,
            system_share: system / (user + system).max(1e-9),
            ns_per_packet: enough.then_some(cpu * 1e9 / packets),
            us_per_participant_second: cpu * 1e6 / people / span,
            mib_idle: float(window.idle.resident) / 1_048_576.0,
            mib: float(after.server.resident) / 1_048_576.0,
            kib_per_participant: float(grown) / 1_024.0 / people,
            switches_per_packet: enough.then_some(float(switches) / packets),
            syscalls_per_packet: calls.zip(out).map(|(calls, out)| calls / out),
            packets_per_message: out.zip(messages).map(|(out, messages)| out / messages),
            join_us: joining * 1e6 / float(window.tally.joined.max(1)),
        }
    }
}

impl Generator {
    fn new(window: &Window, seconds: f64) -> Self {
        let figures = &window.figures;
        let (before, after) = (&window.before, &window.after);
        let dropped = after.drops.0.saturating_sub(before.drops.0);
        let mut generator = Self {
            busiest_percent: figures.busiest * 100.0,
            cpu_percent: after.clients.cpu.saturating_sub(before.clients.cpu).as_secs_f64() * 100.0 / seconds,
            waiting_p99_ms: to_millis(figures.waiting.quantile(990)),
            lateness_p99_ms: to_millis(figures.lateness.quantile(990)),
            dropped,
            dropped_elsewhere: after.drops.1.saturating_sub(before.drops.1).saturating_sub(dropped),
            unsent: figures.counters.unsent,
            packets_per_receive: float(figures.counters.datagrams)
                / float(figures.counters.receive_calls.max(1)),
            limits: Vec::new(),
        };
        let mut limits = Vec::new();
        if figures.busiest > BUSY_MAX {
            limits.push(format!("a thread of clients was {:.0} % busy", generator.busiest_percent));
        }
        if generator.waiting_p99_ms > BEHIND_MAX_MS {
            limits.push(format!("packets waited {:.0} ms for clients", generator.waiting_p99_ms));
        }
        if generator.lateness_p99_ms > BEHIND_MAX_MS {
            limits.push(format!("pictures left {:.0} ms late", generator.lateness_p99_ms));
        }
        if dropped > 0 {
            limits.push(format!("clients' sockets were full for {dropped} packets"));
        }
        if generator.unsent > 0 {
            limits.push(format!("the kernel did not take {} packets of clients", generator.unsent));
        }
        generator.limits = limits;
        generator
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
