//! Forwarding allocates nothing once it runs steadily.
#![expect(clippy::indexing_slicing, reason = "a test stops at its first surprise")]

use std::time::{Duration, Instant};

use sfu::{
    codec::{
        testing::{Mode, Prediction},
        vp8::Part,
    },
    params::{Encoding, MediaKind, Remote, Wish},
    units::Ssrc,
    worker::{
        Egress, WorkerConfig,
        testing::{AV1, DESCRIPTOR, OPUS, Scene, VP8, av1, fields, opus, picture, same, vp8},
    },
};

const SSRC: u32 = 0x1111_1111;

#[test]
fn a_picture_reaches_twenty_viewers_without_an_allocation() {
    assert_eq!(allocations(&Load { kind: MediaKind::Video, batch: 6, viewers: 20, rounds: 1_000 }), 0);
}

#[test]
fn a_word_reaches_twenty_listeners_without_an_allocation() {
    assert_eq!(allocations(&Load { kind: MediaKind::Audio, batch: 1, viewers: 20, rounds: 1_000 }), 0);
}

#[test]
fn a_layer_of_a_scalable_picture_reaches_twenty_viewers_without_an_allocation() {
    let mut scene = Scene::new(WorkerConfig::default(), Instant::now());
    let room = scene.open_room();
    let publisher = scene.join(room);
    let encoding = Encoding { rid: None, ssrc: Some(Ssrc(SSRC)), rtx_ssrc: None };
    let track = scene.publish(publisher, MediaKind::Video, vec![encoding]);
    for _ in 0..20 {
        let member = scene.join(room);
        let (subscription, _) = scene.subscribe(member, track, vec![same(av1())]);
        scene.wish(subscription, Wish { temporal_max: 1, ..Wish::up_to(1) });
    }
    let mode = Mode { spatial: 3, prediction: Prediction::Full };
    let from = scene.members[publisher].client.address();
    let mut egress = Arena { bytes: vec![0; 1 << 20], used: 0 };
    let mut allocations = 0;

    for picture in 0..1_000_u16 {
        let datagrams: Vec<Vec<u8>> = (0..3_u16)
            .map(|layer| {
                let index = u64::from(picture) * 3 + u64::from(layer);
                let value = mode.descriptor(usize::from(picture), usize::from(layer), picture * 3);
                let fields = fields(AV1, SSRC, index, u32::from(picture) * 3_000);
                scene.seal_with(publisher, &fields, index, &[0x10; 1_000], &[(DESCRIPTOR, &value)])
            })
            .collect();
        scene.now += Duration::from_millis(20);
        scene.worker.flush(&mut egress, scene.now);
        while scene.worker.poll_event().is_some() {}
        egress.used = 0;
        let counted = allocation_counter::measure(|| {
            for datagram in &datagrams {
                scene.worker.receive(from, datagram, scene.now);
            }
            scene.worker.flush(&mut egress, scene.now);
        });
        if picture >= 500 {
            allocations += counted.count_total;
        }
    }

    let forwarded = scene.worker.counters().packets_forwarded;
    assert_eq!(forwarded, 20 * 2 * 500, "half of the pictures, two of three layers");
    assert_eq!(allocations, 0);
}

#[test]
fn a_picture_reaches_a_big_room_without_an_allocation() {
    assert_eq!(allocations(&Load { kind: MediaKind::Video, batch: 6, viewers: 200, rounds: 200 }), 0);
}

#[test]
fn a_word_reaches_a_big_room_without_an_allocation() {
    assert_eq!(allocations(&Load { kind: MediaKind::Audio, batch: 1, viewers: 200, rounds: 400 }), 0);
}

/// What is forwarded: so many packets at once, to so many viewers, so often.
struct Load {
    kind: MediaKind,
    batch: u64,
    viewers: usize,
    rounds: u64,
}

/// Allocations in the second half of the rounds, timers left out: reports may allocate, once a second.
fn allocations(load: &Load) -> u64 {
    let Load { kind, batch, viewers, rounds } = *load;
    let mut scene = Scene::new(WorkerConfig::default(), Instant::now());
    let room = scene.open_room();
    let publisher = scene.join(room);
    let encoding = Encoding { rid: None, ssrc: Some(Ssrc(SSRC)), rtx_ssrc: None };
    let track = scene.publish(publisher, kind, vec![encoding]);
    let format = if kind == MediaKind::Video { vp8() } else { opus() };
    for _ in 0..viewers {
        let member = scene.join(room);
        scene.subscribe(member, track, vec![same(format)]);
    }
    let from = scene.members[publisher].client.address();
    let mut egress = Arena { bytes: vec![0; 1 << 22], used: 0 };
    let mut allocations = 0;
    let mut index = 0;

    for round in 0..rounds {
        let datagrams: Vec<Vec<u8>> = (0..batch)
            .map(|_| {
                let part = if index == 0 { Part::KeyframeStart } else { Part::Rest };
                let (number, payload) = match kind {
                    MediaKind::Video => (VP8, picture(part, 1, 1_000)),
                    MediaKind::Audio => (OPUS, vec![7; 100]),
                };
                let datagram = scene.seal(publisher, &fields(number, SSRC, index, 0), index, &payload);
                index += 1;
                datagram
            })
            .collect();
        scene.now += Duration::from_millis(20);
        scene.worker.flush(&mut egress, scene.now);
        while scene.worker.poll_event().is_some() {}
        egress.used = 0;

        let counted = allocation_counter::measure(|| {
            for datagram in &datagrams {
                scene.worker.receive(from, datagram, scene.now);
            }
            scene.worker.flush(&mut egress, scene.now);
        });
        // The first half fills the ring and the tables.
        if round >= rounds / 2 {
            allocations += counted.count_total;
        }
    }

    assert!(scene.worker.counters().packets_forwarded >= viewers as u64 * (index - 1));
    allocations
}

/// A send arena that is thrown away at each flush.
struct Arena {
    bytes: Vec<u8>,
    used: usize,
}

impl Egress for Arena {
    fn begin(&mut self, _to: Remote, len_max: usize) -> &mut [u8] {
        self.bytes.get_mut(self.used..self.used + len_max).unwrap_or_default()
    }

    fn commit(&mut self, len: usize) {
        self.used += len;
    }
}
