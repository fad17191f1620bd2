//! What a worker promises of the layers within one encoding, from a publisher's packets to a subscriber's.

use std::time::Duration;

use super::WorkerConfig;
use super::testing::{AV1, DESCRIPTOR, Heard, Scene, VP8, av1, fields, same, vp8};
use crate::{
    codec::{
        dependency::{Descriptor, Structure},
        testing::{Mode, Prediction},
    },
    fixture,
    ids::{SubscriptionId, TrackId},
    params::{Encoding, MediaKind, Wish},
    units::Ssrc,
};

const SSRC: u32 = 0x3333_3333;
const L3T3: Mode = Mode { spatial: 3, prediction: Prediction::Full };
const FRAME: Duration = Duration::from_millis(33);

/// One publishes a scalable stream, the other watches.
struct Stage {
    scene: Scene,
    mode: Mode,
    subscription: SubscriptionId,
    index: u64,
    picture: usize,
    pictures: u32,
}

impl Stage {
    fn new(mode: Mode) -> Self {
        let mut scene = Scene::new(WorkerConfig::default(), fixture::start());
        let room = scene.open_room();
        let (ann, bob) = (scene.join(room), scene.join(room));
        let encoding = Encoding { rid: None, ssrc: Some(Ssrc(SSRC)), rtx_ssrc: None };
        let track: TrackId = scene.publish(ann, MediaKind::Video, vec![encoding]);
        let (subscription, _) = scene.subscribe(bob, track, vec![same(av1()), same(vp8())]);
        scene.settle();
        Self { scene, mode, subscription, index: 0, picture: 0, pictures: 0 }
    }

    /// One picture of all its spatial layers, two packets each.
    fn film(&mut self) {
        let spatial = self.mode.spatial;
        let frame = u16::try_from(self.pictures * u32::try_from(spatial).unwrap() % 65_536).unwrap();
        for layer in 0..spatial {
            for (part, ends) in [((true, false), false), ((false, true), layer + 1 == spatial)] {
                let value = self.mode.packet(self.picture, layer, frame, part);
                let mut fields = fields(AV1, SSRC, self.index, self.pictures * 3_000);
                fields.marker = ends;
                let payload = [0x10, u8::try_from(layer).unwrap(), 7, 7];
                let sealed = self.scene.seal_with(0, &fields, self.index, &payload, &[(DESCRIPTOR, &value)]);
                self.scene.send(0, &sealed);
                self.index += 1;
            }
        }
        self.picture += 1;
        self.pictures += 1;
        self.scene.pass(FRAME);
    }

    fn film_many(&mut self, count: usize) {
        (0..count).for_each(|_| self.film());
    }

    fn keyframe(&mut self) {
        self.picture = 0;
    }

    fn want(&mut self, layer_max: u8) {
        self.scene.wish(self.subscription, Wish::up_to(layer_max));
    }

    fn take(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.scene.members[1].media)
    }
}

fn layers(heard: &[Heard]) -> Vec<u8> {
    heard.iter().map(|packet| packet.payload[1]).collect()
}

#[test]
fn pictures_end_with_the_highest_layer_that_is_forwarded() {
    let mut stage = Stage::new(L3T3);
    stage.want(1);

    stage.film_many(2);

    let heard = stage.take();
    assert_eq!(layers(&heard), [0, 0, 1, 1, 0, 0, 1, 1]);
    let markers: Vec<_> = heard.iter().map(|packet| packet.fields.marker).collect();
    assert_eq!(markers, [false, false, false, true, false, false, false, true]);
    assert!(heard.windows(2).all(|pair| pair[1].index == pair[0].index + 1), "no number is missing");
}

#[test]
fn descriptors_travel_with_their_structure_and_keep_their_distances() {
    let mut stage = Stage::new(L3T3);
    stage.want(0);
    stage.film_many(6);

    let mut known: Option<Box<Structure>> = None;
    let mut numbers = Vec::new();
    for packet in stage.take() {
        let found = Descriptor::parse(&packet.extensions[&DESCRIPTOR], known.as_deref()).unwrap();
        numbers.push(found.frame);
        known = found.structure.or(known);
    }

    assert_eq!(known.unwrap().targets(), 9);
    assert_eq!(numbers, [0, 0, 3, 3, 6, 6, 9, 9, 12, 12, 15, 15], "what is left out is told as a distance");
}

#[test]
fn a_stream_that_was_paused_goes_on_with_the_next_numbers() {
    let mut stage = Stage::new(L3T3);
    stage.film_many(4);
    let before = stage.take();
    stage.scene.wish(stage.subscription, Wish::PAUSED);
    stage.film_many(4);
    assert!(stage.take().is_empty());

    stage.want(2);
    stage.film();
    assert!(stage.take().is_empty(), "nothing can be decoded before a key frame");
    stage.keyframe();
    stage.film();

    let after = stage.take();
    let number = |packet: &Heard| Descriptor::frame_number(&packet.extensions[&DESCRIPTOR]).unwrap();
    assert_eq!(number(&after[0]), number(before.last().unwrap()) + 1);
    assert_eq!(after[0].index, before.last().unwrap().index + 1);
    let times: Vec<u32> = [before.last().unwrap(), &after[0]].map(|packet| packet.fields.timestamp.0).into();
    assert_eq!(times[1] - times[0], 6 * 3_000, "time went on while nothing was sent");
}

#[test]
fn a_late_packet_of_what_is_left_out_fills_its_number_with_nothing() {
    let mut stage = Stage::new(L3T3);
    stage.want(0);
    stage.film();
    stage.take();
    // The whole upper layers of the next picture come after it.
    let value = |layer| L3T3.packet(1, layer, 3, (true, true));
    let send = |stage: &mut Stage, index: u64, layer: usize| {
        let fields = fields(AV1, SSRC, index, 3_000);
        let payload = [0x10, u8::try_from(layer).unwrap(), 7, 7];
        let sealed = stage.scene.seal_with(0, &fields, index, &payload, &[(DESCRIPTOR, &value(layer))]);
        stage.scene.send(0, &sealed);
        stage.scene.settle();
    };

    send(&mut stage, 6, 0);
    send(&mut stage, 8, 0);
    send(&mut stage, 7, 2);

    let heard = stage.take();
    let found: Vec<_> =
        heard.iter().map(|packet| (packet.index - heard[0].index, packet.payload.len())).collect();
    assert_eq!(found, [(0, 4), (2, 4), (1, 0)]);
}

#[test]
fn pictures_of_vp8_that_are_left_out_leave_no_number_free() {
    let mut stage = Stage::new(L3T3);
    // Picture ids of 15 bits; temporal layers 0 2 1 2, each in step.
    for number in 0..9_u16 {
        let temporal = Mode::temporal(usize::from(number));
        let key = u8::from(number != 0);
        let layer = temporal << 6 | 0x20;
        let [high, low] = ((number + 0x7ffc) & 0x7fff | 0x8000).to_be_bytes();
        let payload = [0x90, 0xe0, high, low, u8::try_from(number / 4).unwrap(), layer, key, 7];
        let fields = fields(VP8, SSRC, u64::from(number), u32::from(number) * 3_000);
        let sealed = stage.scene.seal(0, &fields, u64::from(number), &payload);
        stage.scene.send(0, &sealed);
        stage.scene.settle();
        if number == 3 {
            stage.take();
            let wish = Wish { temporal_max: 0, ..Wish::up_to(2) };
            stage.scene.wish(stage.subscription, wish);
        }
    }

    let heard = stage.take();
    let ids: Vec<_> = heard
        .iter()
        .map(|packet| u16::from_be_bytes([packet.payload[2], packet.payload[3]]) & 0x7fff)
        .collect();
    assert_eq!(ids, [0, 1], "pictures 4 and 8");
    assert_eq!(heard.iter().map(|packet| packet.payload[4]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(heard[1].index, heard[0].index + 1);
}
