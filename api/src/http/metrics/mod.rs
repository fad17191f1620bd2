//! `/metrics` for Prometheus: LiveKit's names where the meaning is the same, `sabha_` for what it has no name for.
//!
//! Invariant: counters only grow while the process lives; what can fall is a gauge.

mod turn;

use std::{fmt::Write, sync::Arc};

use axum::{
    extract,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use sfu::io::WorkerStats;

use super::State;
use crate::livekit::CallKey;

const KIND: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

pub(super) async fn show(extract::State(state): extract::State<Arc<State>>) -> Response {
    ([(header::CONTENT_TYPE, KIND)], text(&state)).into_response()
}

/// How a value moves.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// Writes the exposition format, each family with its type once.
struct Page {
    text: String,
    node: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let _ = write!(self.text, "{name}{{node_id=\"{}\",node_type=\"SERVER\"", self.node);
        for (label, text) in labels {
            let _ = write!(self.text, ",{label}=\"{}\"", escaped(text));
        }
        let _ = writeln!(self.text, "}} {value}");
    }

    fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn text(state: &State) -> String {
    let mut page = Page { text: String::new(), node: escaped(&state.node_id) };
    let workers = state.sfu.counters();
    let stats = state.signaling.stats();
    page.single("livekit_room_total", Kind::Gauge, "Open rooms.", stats.rooms);
    page.single("livekit_participant_total", Kind::Gauge, "Participants in rooms.", stats.participants);
    page.single("livekit_track_published_total", Kind::Gauge, "Published tracks.", stats.tracks);
    page.single(
        "livekit_track_subscribed_total",
        Kind::Gauge,
        "Tracks forwarded to somebody.",
        stats.subscriptions,
    );
    packets(&mut page, &workers);
    repair(&mut page, &workers);
    drops(&mut page, &workers);
    per_worker(&mut page, &workers);
    if let Some(relay) = &state.turn.relay {
        turn::relay(&mut page, relay);
    }
    page.family("livekit_node_twirp_request_status", Kind::Counter, "Server API calls by outcome.");
    for (CallKey { service, method, code }, count) in state.calls() {
        let labels = [("service", service), ("method", method), ("code", code)];
        page.sample("livekit_node_twirp_request_status", &labels, count);
    }
    let up = state.started.elapsed().as_secs();
    page.single("sabha_uptime_seconds", Kind::Gauge, "Seconds since the start.", up);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.family("sabha_build_info", Kind::Gauge, "Always 1.");
    page.sample("sabha_build_info", &version, 1);
    page.text
}

fn total(workers: &[WorkerStats], of: impl Fn(&WorkerStats) -> u64) -> u64 {
    workers.iter().map(of).sum()
}

fn packets(page: &mut Page, workers: &[WorkerStats]) {
    let incoming = [("direction", "incoming"), ("type", "rtp")];
    let outgoing =
        |transmission| [("direction", "outgoing"), ("type", "rtp"), ("transmission", transmission)];
    page.family("livekit_packet_total", Kind::Counter, "RTP packets received, and sent to subscribers.");
    page.sample("livekit_packet_total", &incoming, total(workers, |w| w.media.packets_in));
    page.sample("livekit_packet_total", &outgoing("initial"), total(workers, |w| w.media.packets_forwarded));
    page.sample(
        "livekit_packet_total",
        &outgoing("retransmit"),
        total(workers, |w| w.media.packets_retransmitted),
    );
    page.family("livekit_packet_bytes", Kind::Counter, "Bytes of datagrams of all kinds.");
    page.sample("livekit_packet_bytes", &[("direction", "incoming")], total(workers, |w| w.media.bytes_in));
    page.sample("livekit_packet_bytes", &[("direction", "outgoing")], total(workers, |w| w.media.bytes_out));
}

fn repair(page: &mut Page, workers: &[WorkerStats]) {
    const DIRECTIONS: [[(&str, &str); 1]; 2] = [[("direction", "incoming")], [("direction", "outgoing")]];
    let [incoming, outgoing] = DIRECTIONS;
    page.family(
        "livekit_nack_total",
        Kind::Counter,
        "Packets asked for again, by subscribers and of publishers.",
    );
    page.sample("livekit_nack_total", &incoming, total(workers, |w| w.media.nacks_in));
    page.sample("livekit_nack_total", &outgoing, total(workers, |w| w.media.nacks_out));
    page.family(
        "livekit_pli_total",
        Kind::Counter,
        "Key frames asked for, by subscribers and of publishers.",
    );
    page.sample("livekit_pli_total", &incoming, total(workers, |w| w.media.keyframe_requests_in));
    page.sample("livekit_pli_total", &outgoing, total(workers, |w| w.media.keyframe_requests_out));
    let recovered = total(workers, |w| w.media.packets_recovered);
    page.single(
        "sabha_packets_recovered_total",
        Kind::Counter,
        "Packets a retransmission brought back.",
        recovered,
    );
    page.family("livekit_connection_total", Kind::Counter, "Transports by how they fared.");
    page.sample("livekit_connection_total", &[("state", "connected")], total(workers, |w| w.media.connected));
    page.sample("livekit_connection_total", &[("state", "failed")], total(workers, |w| w.media.failed));
}

fn drops(page: &mut Page, workers: &[WorkerStats]) {
    page.family("sabha_dropped_total", Kind::Counter, "What went no further, and why.");
    for reason in sfu::worker::DropReason::ALL {
        let count = total(workers, |w| w.media.dropped.of(reason));
        page.sample("sabha_dropped_total", &[("reason", reason.name())], count);
    }
    let io: [(&str, Of); 5] = [
        ("send_error", |w| w.io.send_errors),
        ("send_buffer_full", |w| w.io.send_dropped),
        ("tcp_queue_full", |w| w.io.frames_dropped),
        ("event_queue_full", |w| w.io.events_dropped),
        ("room_overrun", |w| w.io.rooms_overrun),
    ];
    for (reason, of) in io {
        page.sample("sabha_dropped_total", &[("reason", reason)], total(workers, of));
    }
}

/// One of a worker's totals: its name, how it moves, what it is, where it stands.
type Column = (&'static str, Kind, &'static str, Of);
/// One of a worker's totals.
type Of = fn(&WorkerStats) -> u64;

fn per_worker(page: &mut Page, workers: &[WorkerStats]) {
    const COLUMNS: [Column; 15] = [
        ("sabha_worker_rooms", Kind::Gauge, "Rooms on the worker.", |w| w.media.rooms),
        ("sabha_worker_transports", Kind::Gauge, "Peer connections.", |w| w.media.transports),
        ("sabha_worker_tracks", Kind::Gauge, "Published tracks.", |w| w.media.tracks),
        ("sabha_worker_subscriptions", Kind::Gauge, "Forwarded tracks.", |w| w.media.subscriptions),
        ("sabha_worker_datagrams_in_total", Kind::Counter, "UDP datagrams received.", |w| w.io.datagrams_in),
        ("sabha_worker_datagrams_out_total", Kind::Counter, "UDP datagrams sent.", |w| w.io.datagrams_out),
        ("sabha_worker_socket_calls_total", Kind::Counter, "Calls about the UDP socket.", |w| {
            w.io.socket_calls
        }),
        ("sabha_worker_receive_calls_total", Kind::Counter, "Receive calls.", |w| w.io.receive_calls),
        ("sabha_worker_send_messages_total", Kind::Counter, "Messages handed to the kernel.", |w| {
            w.io.send_messages
        }),
        ("sabha_worker_frames_in_total", Kind::Counter, "ICE-TCP frames received.", |w| w.io.frames_in),
        ("sabha_worker_frames_out_total", Kind::Counter, "ICE-TCP frames sent.", |w| w.io.frames_out),
        ("sabha_worker_turns_total", Kind::Counter, "Turns of the loop.", |w| w.io.turns),
        ("sabha_worker_busy_microseconds_total", Kind::Counter, "Time spent working.", |w| w.io.busy_us),
        ("sabha_worker_rooms_lost_total", Kind::Counter, "Rooms lost to a panic.", |w| w.media.rooms_lost),
        ("sabha_worker_panics_total", Kind::Counter, "Panics that cost a worker.", |w| w.io.panics),
    ];
    for (name, kind, help, of) in COLUMNS {
        page.family(name, kind, help);
        for worker in workers {
            page.sample(name, &[("worker", &worker.worker.to_string())], of(worker));
        }
    }
}
