//! What the relay counted.

use turn::{
    io::{Relay, WorkerStats},
    server::{Counters, DropReason},
    tuple::{Family, Transport},
};

use super::{Kind, Page};

pub(super) fn relay(page: &mut Page, relay: &Relay) {
    let workers = relay.stats();
    let mut total = Counters::default();
    for worker in &workers {
        total.add(&worker.relay);
    }
    page.family("sabha_turn_allocations", Kind::Gauge, "Allocations by the client's transport.");
    for (transport, count) in Transport::ALL.into_iter().zip(total.allocations) {
        page.sample("sabha_turn_allocations", &[("transport", transport.name())], count);
    }
    page.family("sabha_turn_relays", Kind::Gauge, "Relay sockets by version of IP.");
    for (family, count) in [Family::V4, Family::V6].into_iter().zip(total.relays) {
        page.sample("sabha_turn_relays", &[("family", family.name())], count);
    }
    page.single("sabha_turn_ports_free", Kind::Gauge, "Relay ports that are free.", relay.free_ports());
    let made = total.allocations_made;
    page.single("sabha_turn_allocations_total", Kind::Counter, "Allocations ever made.", made);
    let ended = total.exhausted;
    page.single(
        "sabha_turn_exhausted_total",
        Kind::Counter,
        "Allocations ended by their user's quota.",
        ended,
    );
    page.family("sabha_turn_answers_total", Kind::Counter, "Requests by method and how they were answered.");
    for (method, code, count) in total.answers() {
        let code = code.map_or_else(|| "success".into(), |code: u16| code.to_string());
        page.sample("sabha_turn_answers_total", &[("method", method), ("code", &code)], count);
    }
    let directions =
        [("to_peer", total.to_peers), ("to_client", total.to_clients), ("hairpin", total.hairpinned)];
    page.family(
        "sabha_turn_packets_total",
        Kind::Counter,
        "Datagrams relayed; hairpins are in both others too.",
    );
    for (direction, traffic) in directions {
        page.sample("sabha_turn_packets_total", &[("direction", direction)], traffic.packets);
    }
    page.family("sabha_turn_bytes_total", Kind::Counter, "Their payload.");
    for (direction, traffic) in directions {
        page.sample("sabha_turn_bytes_total", &[("direction", direction)], traffic.bytes);
    }
    page.family("sabha_turn_dropped_total", Kind::Counter, "What went no further, and why.");
    for reason in DropReason::ALL {
        page.sample("sabha_turn_dropped_total", &[("reason", reason.name())], total.dropped(reason));
    }
    io(page, &workers);
}

/// What a worker counts, and its name.
type Column = (&'static str, Kind, &'static str, fn(&WorkerStats) -> u64);

fn io(page: &mut Page, workers: &[WorkerStats]) {
    const COLUMNS: [Column; 13] = [
        ("sabha_turn_streams", Kind::Gauge, "Open TCP and TLS connections.", |w| w.streams.open),
        ("sabha_turn_streams_total", Kind::Counter, "Connections accepted.", |w| w.streams.accepted),
        ("sabha_turn_streams_refused_total", Kind::Counter, "Connections too many.", |w| w.streams.refused),
        (
            "sabha_turn_streams_misbehaved_total",
            Kind::Counter,
            "Connections ended for what they said.",
            |w| w.streams.misbehaved,
        ),
        ("sabha_turn_stream_dropped_total", Kind::Counter, "Messages slow clients lost.", |w| {
            w.streams.dropped
        }),
        ("sabha_turn_datagrams_in_total", Kind::Counter, "Datagrams received.", |w| w.datagrams_in),
        ("sabha_turn_receive_calls_total", Kind::Counter, "Receive calls.", |w| w.receive_calls),
        ("sabha_turn_datagrams_out_total", Kind::Counter, "Datagrams sent.", |w| w.sent.datagrams),
        ("sabha_turn_send_messages_total", Kind::Counter, "Messages handed to the kernel.", |w| {
            w.sent.messages
        }),
        ("sabha_turn_send_errors_total", Kind::Counter, "Datagrams the kernel refused.", |w| w.sent.errors),
        ("sabha_turn_send_full_total", Kind::Counter, "Datagrams full sockets lost.", |w| w.sent.full),
        ("sabha_turn_busy_microseconds_total", Kind::Counter, "Time spent working.", |w| w.busy_us),
        ("sabha_turn_panics_total", Kind::Counter, "Panics that cost a worker.", |w| w.panics),
    ];
    for (name, kind, help, of) in COLUMNS {
        page.family(name, kind, help);
        for (number, worker) in workers.iter().enumerate() {
            page.sample(name, &[("worker", &number.to_string())], of(worker));
        }
    }
}
