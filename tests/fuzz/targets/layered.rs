//! Layers within an encoding: Ann sends scalable pictures, true ones and ones whose descriptors and payloads are the input's,
//! late and out of order; Bob changes his mind and asks for what he misses. Each number reaches him with one content only.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use sfu::{
    codec::testing::{Mode, Prediction},
    ids::SubscriptionId,
    params::{Delivery, Encoding, MediaKind, Wish},
    rtcp::CompoundWriter,
    units::{SeqNo, Ssrc},
    worker::{
        WorkerConfig,
        testing::{AV1, DESCRIPTOR, Scene, VP8, VP9, av1, fields, same, vp8, vp9},
    },
};

const VIDEO: Ssrc = Ssrc(0x0000_3333);
const NUMBERS: [u8; 3] = [AV1, VP9, VP8];
/// Inputs for one room: its handshakes take longer than they do.
const INPUTS_MAX: u32 = 256;

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

pub fn run(data: &[u8]) {
    // Taken out, so that whoever falls leaves nothing behind.
    let mut stage = STAGE.take().filter(|stage| stage.inputs < INPUTS_MAX).unwrap_or_else(Stage::new);
    stage.perform(data);
    STAGE.set(Some(stage));
}

struct Stage {
    scene: Scene,
    ann: usize,
    bob: usize,
    subscription: SubscriptionId,
    next: u64,
    pictures: u16,
    inputs: u32,
}

impl Stage {
    fn new() -> Self {
        let mut scene = Scene::new(WorkerConfig::default(), Instant::now());
        let room = scene.open_room();
        let (ann, bob) = (scene.join(room), scene.join(room));
        let encoding = Encoding { ssrc: Some(VIDEO), ..Encoding::default() };
        let track = scene.publish(ann, MediaKind::Video, vec![encoding]);
        let (subscription, _) = scene.subscribe(bob, track, vec![same(av1()), same(vp9()), same(vp8())]);
        scene.pass(Duration::from_millis(200));
        Self { scene, ann, bob, subscription, next: 1 << 10, pictures: 0, inputs: 0 }
    }

    /// Each step has a byte of what to do and one of length.
    fn perform(&mut self, data: &[u8]) {
        self.inputs += 1;
        let mut steps = data;
        while let Some(([what, len], rest)) = steps.split_first_chunk() {
            let (bytes, rest) = rest.split_at(usize::from(*len).min(rest.len()));
            steps = rest;
            match what % 6 {
                0 => self.picture(bytes),
                1 => self.describe(bytes),
                2 => self.pay(bytes),
                3 => self.wish(bytes),
                4 => self.miss(bytes),
                _ => self.scene.pass(Duration::from_millis(bytes.first().copied().unwrap_or(0).into())),
            }
        }
        self.scene.pass(Duration::from_millis(20));

        let counters = self.scene.worker.counters();
        assert_eq!((counters.rooms_lost, counters.unsealed), (0, 0));
        for member in &mut self.scene.members {
            member.media.clear();
            member.control.clear();
        }
        self.scene.events.clear();
    }

    /// A true picture of three spatial layers, some of its packets left out for good.
    fn picture(&mut self, bytes: &[u8]) {
        let [first, lost, ..] = bytes else { return };
        let prediction = if first & 0x80 == 0 { Prediction::Full } else { Prediction::KeyFrames };
        let mode = Mode { spatial: 3, prediction };
        let frame = self.pictures.wrapping_mul(3) & 0x7fff;
        self.pictures = self.pictures.wrapping_add(1);
        for layer in 0..3 {
            let value = mode.descriptor(usize::from(first & 0x0f), layer, frame);
            if lost >> layer & 1 == 0 {
                self.send(AV1, self.next, &[0x10, 7], Some(&value));
            }
            self.next += 1;
        }
    }

    /// Any descriptor, on a packet somewhere around the newest.
    fn describe(&mut self, bytes: &[u8]) {
        let [number, back, value @ ..] = bytes else { return };
        let Some(number) = NUMBERS.get(usize::from(number % 3)) else { return };
        if value.is_empty() || value.len() > 100 {
            return;
        }
        let index = self.around(*back);
        self.send(*number, index, &[0x90, 0x80, 7, 7, 7], Some(value));
    }

    /// Any payload.
    fn pay(&mut self, bytes: &[u8]) {
        let [number, back, payload @ ..] = bytes else { return };
        let Some(number) = NUMBERS.get(usize::from(number % 3)) else { return };
        let index = self.around(*back);
        self.send(*number, index, payload, None);
    }

    fn around(&mut self, back: u8) -> u64 {
        let at = (self.next + 4).saturating_sub(u64::from(back % 32));
        self.next = self.next.max(at + 1);
        at
    }

    fn send(&mut self, number: u8, index: u64, payload: &[u8], descriptor: Option<&[u8]>) {
        let fields = fields(number, VIDEO.0, index, u32::from(self.pictures) * 3_000);
        let extension = descriptor.map(|value| (DESCRIPTOR, value));
        let extensions: Vec<(u8, &[u8])> = extension.into_iter().collect();
        let Some(datagram) = self.scene.try_seal(self.ann, &fields, index, payload, &extensions) else {
            return;
        };
        self.scene.send(self.ann, &datagram);
    }

    fn wish(&mut self, bytes: &[u8]) {
        let [spatial, temporal, ..] = bytes else { return };
        let delivery = if spatial & 0x80 == 0 { Delivery::On } else { Delivery::Paused };
        let wish = Wish { delivery, temporal_max: *temporal, ..Wish::up_to(spatial & 0x07) };
        self.scene.wish(self.subscription, wish);
    }

    /// Bob asks for packets he got, each byte back from the last.
    fn miss(&mut self, back: &[u8]) {
        let Some(last) = self.scene.members.get(self.bob).and_then(|bob| bob.media.last()) else { return };
        let (ssrc, seq) = (last.fields.ssrc, last.fields.seq);
        let missing = back.iter().map(|back| SeqNo(seq.0.wrapping_sub(u16::from(*back))));
        let mut out = [0; 2_048];
        let mut writer = CompoundWriter::new(&mut out);
        if writer.nack(Ssrc(1), ssrc, missing).or_else(|_| writer.pli(Ssrc(1), ssrc)).is_err() {
            return;
        }
        let len = writer.len();
        let datagram = self.scene.seal_control(self.bob, out.get(..len).unwrap_or_default());
        self.scene.send(self.bob, &datagram);
    }
}
