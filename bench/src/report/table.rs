//! A report for a terminal.

use std::fmt::Write;

use super::{Media, People, Report, Server};
use crate::measure::Spread;

/// Lines of a name and a value.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.0, "{name:26} {}", value.as_ref());
    }
}

/// The whole report as lines of text.
pub(crate) fn table(report: &Report) -> String {
    let mut lines = Lines::default();
    let Report { scenario, size, target, about, .. } = report;
    lines.add("scenario", format!("{scenario} {size} on {target}: {about}"));
    people(&mut lines, &report.people);
    lines.add("measured", format!("{:.1} s", report.seconds));
    media(&mut lines, &report.media);
    lines.add("added delay", spread(&report.delay_ms));
    let per_second = report.people.joins_per_second;
    lines.add("join", format!("{}, {per_second:.0} /s", spread(&report.join_ms)));
    lines.add("first picture", spread(&report.first_picture_ms));
    lines.add("first sound", spread(&report.first_sound_ms));
    lines.add("layer switch", spread(&report.layer_switch_ms));
    if let Some(of) = &report.server {
        server(&mut lines, of);
    }
    let of = &report.generator;
    lines.add(
        "clients",
        format!(
            "busiest thread {:.0} %, packets waited {:.2} ms at p99, {:.1} in a receive call",
            of.busiest_percent, of.waiting_p99_ms, of.packets_per_receive
        ),
    );
    if of.dropped_elsewhere > 0 {
        let dropped = format!("{} at sockets that are not the clients'", of.dropped_elsewhere);
        lines.add("dropped by the kernel", dropped);
    }
    of.limits.iter().for_each(|limit| lines.add("NOT THE SERVER'S LIMIT", limit));
    lines.0
}

fn people(lines: &mut Lines, of: &People) {
    let People { present, joined, failed, served, .. } = of;
    lines.add("people", format!("{present} present, {joined} joined, {failed} failed, {served} got media"));
    of.errors.iter().for_each(|(error, count)| lines.add("", format!("{count} × {error}")));
    let srtp: Vec<String> = of.srtp.iter().map(|(name, count)| format!("{name} × {count}")).collect();
    lines.add("srtp", srtp.join(", "));
}

fn media(lines: &mut Lines, of: &Media) {
    lines.add("packets to the server", format!("{:.0} /s", of.packets_in_per_second));
    let out = format!("{:.0} /s, {:.1} Mbit/s", of.packets_out_per_second, of.mbit_out_per_second);
    lines.add("packets from the server", out);
    let (again, back) = (of.missed, of.recovered);
    let lost = format!("{:.3} % after {again} were asked for again and {back} came", of.lost_percent);
    lines.add("lost", lost);
    lines.add("opened", format!("{} ({} strange, {} broken)", of.opened, of.strange, of.broken));
    let (server, clients) = (of.keyframes_asked, of.keyframes_wanted);
    lines.add("key frames", format!("{server} asked by the server, {clients} by clients"));
}

fn server(lines: &mut Lines, of: &Server) {
    let kernel = of.system_share * 100.0;
    lines.add(
        "server CPU",
        format!("{:.1} % of one processor, {kernel:.0} % of it in the kernel", of.cpu_percent),
    );
    lines.add("  per forwarded packet", format!("{} ns", optional(of.ns_per_packet, 0)));
    lines.add("  per participant", format!("{:.0} µs every second", of.us_per_participant_second));
    lines.add("  per join", format!("{:.0} µs, with what was forwarded meanwhile", of.join_us));
    lines.add(
        "server memory",
        format!(
            "{:.1} MiB, {:.1} MiB before anybody came, {:.0} KiB each",
            of.mib, of.mib_idle, of.kib_per_participant
        ),
    );
    lines.add(
        "server calls",
        format!(
            "{} for a packet, {} packets in a message, {} context switches for a packet",
            optional(of.syscalls_per_packet, 4),
            optional(of.packets_per_message, 2),
            optional(of.switches_per_packet, 4)
        ),
    );
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
}

fn spread(of: &Spread) -> String {
    if of.count == 0 {
        return "–".into();
    }
    let Spread { p50, p95, p99, p999, max, .. } = of;
    format!("p50 {p50:.3}  p95 {p95:.3}  p99 {p99:.3}  p99.9 {p999:.3}  max {max:.3} ms")
}
