//! One packet to many subscribers, without a socket: what forwarding costs in user space.
//!
//! `cargo bench -p bench --bench forward`. Thread CPU time, so other work on the machine hides most of its noise; the
//! figure that counts is the median slice.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod meter;

use std::time::{Duration, Instant};

use meter::{cpu_time, median, nanos};
use sfu::{
    codec::vp8::Part,
    params::{Encoding, MediaKind, Remote},
    rtp::{Form, HeaderWriter},
    units::Ssrc,
    worker::{
        Egress, WorkerConfig,
        testing::{OPUS, Scene, VP8, fields, opus, picture, same, vp8},
    },
};

const SSRC: u32 = 0x1111_1111;
/// Slices of a run; each seals its packets beforehand and is timed as a whole.
const SLICES: usize = 15;

/// What is sent in a run.
struct Load {
    name: &'static str,
    kind: MediaKind,
    /// Packets that arrive together.
    batch: u64,
    len: usize,
    subscribers: usize,
    gate: u64,
}

fn main() {
    let video =
        |name, batch, gate| Load { name, kind: MediaKind::Video, batch, len: 1_176, subscribers: 50, gate };
    let loads = [
        video("video 1200 B, 1 at a time", 1, 300),
        video("video 1200 B, 5 at a time", 5, 300),
        video("video 1200 B, 10 at a time", 10, 300),
        Load {
            name: "audio 120 B, 1 at a time",
            kind: MediaKind::Audio,
            batch: 1,
            len: 96,
            subscribers: 50,
            gate: 170,
        },
        Load { subscribers: 1_000, ..video("video 1200 B, 5 at a time, 1,000 subscribers", 5, 350) },
    ];
    println!(
        "{:50} {:5} ns: sealing alone, the floor of this machine at this moment",
        "video 1200 B",
        floor(1_176)
    );
    println!(
        "{:50} {:5} ns: sealing alone, the floor of this machine at this moment",
        "audio 120 B",
        floor(96)
    );
    for load in loads {
        let cost = run(&load);
        println!("{:50} {cost:5} ns per forwarded packet (gate {})", load.name, load.gate);
    }
}

fn run(load: &Load) -> u64 {
    let mut scene = Scene::new(WorkerConfig::default(), Instant::now());
    let room = scene.open_room();
    let publisher = scene.join(room);
    let encoding = Encoding { rid: None, ssrc: Some(Ssrc(SSRC)), rtx_ssrc: None };
    let track = scene.publish(publisher, load.kind, vec![encoding]);
    let format = match load.kind {
        MediaKind::Audio => opus(),
        MediaKind::Video => vp8(),
    };
    for _ in 0..load.subscribers {
        let member = scene.join(room);
        scene.subscribe(member, track, vec![same(format)]);
    }
    scene.pass(Duration::from_millis(100));

    let mut index = 0;
    let mut slices: Vec<u64> = (0..=SLICES).map(|_| slice(&mut scene, load, publisher, &mut index)).collect();
    // The first one warms up.
    slices.remove(0);
    median(&mut slices)
}

/// What sealing costs, with nothing around it.
fn floor(len: usize) -> u64 {
    const PACKETS: u64 = 50_000;
    let mut scene = Scene::new(WorkerConfig::default(), Instant::now());
    let room = scene.open_room();
    let member = scene.join(room);
    let Some(srtp) = scene.members.get_mut(member).and_then(|member| member.client.srtp()) else { return 0 };
    let payload = vec![7; len];
    let mut out = vec![0; 1 << 18];
    let mut slices: Vec<u64> = (0..SLICES as u64)
        .map(|slice| {
            let start = cpu_time();
            for index in slice * PACKETS..(slice + 1) * PACKETS {
                let mut header = [0; 24];
                let fields = fields(VP8, SSRC, index, 0);
                let _ = HeaderWriter::new(&mut header, &fields, Form::OneByte).map(HeaderWriter::finish);
                // As in an arena, each packet goes to cold memory.
                let at = usize::try_from(index % 200).unwrap_or(0) * 1_300;
                let room = out.get_mut(at..).unwrap_or_default();
                assert!(srtp.outbound.seal_rtp(&header, &payload, 0, index, room).is_ok(), "sealed");
            }
            nanos(cpu_time().saturating_sub(start)) / PACKETS
        })
        .collect();
    median(&mut slices)
}

/// One slice: nanoseconds per forwarded packet.
fn slice(scene: &mut Scene, load: &Load, publisher: usize, index: &mut u64) -> u64 {
    let packets = (150_000 / load.subscribers as u64).next_multiple_of(load.batch);
    let from = scene.members.get(publisher).map(|member| member.client.address());
    let Some(from) = from else { return 0 };
    let datagrams: Vec<Vec<u8>> = (0..packets)
        .map(|_| {
            let first = *index == 0;
            let part = if first { Part::KeyframeStart } else { Part::Rest };
            let (number, payload) = match load.kind {
                MediaKind::Audio => (OPUS, vec![7; load.len]),
                MediaKind::Video => (VP8, picture(part, 1, load.len - usize::from(*index % 2 == 1))),
            };
            let timestamp = u32::try_from(*index & 0xffff_ffff).unwrap_or(0);
            let sealed = scene.seal(publisher, &fields(number, SSRC, *index, timestamp), *index, &payload);
            *index += 1;
            sealed
        })
        .collect();
    let before = scene.worker.counters().packets_forwarded;
    let mut egress = Arena::new();

    let start = cpu_time();
    for batch in datagrams.chunks(usize::try_from(load.batch).unwrap_or(1)) {
        scene.now += Duration::from_millis(5);
        for datagram in batch {
            scene.worker.receive(from, datagram, scene.now);
        }
        egress.used = 0;
        scene.worker.flush(&mut egress, scene.now);
        while scene.worker.poll_event().is_some() {}
    }
    let spent = cpu_time() - start;

    let forwarded = scene.worker.counters().packets_forwarded - before;
    assert!(
        forwarded + load.subscribers as u64 >= packets * load.subscribers as u64,
        "everything is forwarded"
    );
    nanos(spent) / forwarded.max(1)
}

/// A send arena that is thrown away at each flush.
struct Arena {
    bytes: Vec<u8>,
    used: usize,
}

impl Arena {
    fn new() -> Self {
        Self { bytes: vec![0; 1 << 18], used: 0 }
    }
}

impl Egress for Arena {
    fn begin(&mut self, _to: Remote, len_max: usize) -> &mut [u8] {
        if self.used + len_max > self.bytes.len() {
            self.used = 0;
        }
        self.bytes.get_mut(self.used..self.used + len_max).unwrap_or_default()
    }

    fn commit(&mut self, len: usize) {
        self.used += len;
    }
}
