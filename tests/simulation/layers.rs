//! Simulcast: which encoding reaches whom.

use std::time::Duration;

use harness::{
    client::SourceState,
    media::Camera,
    network::Conditions,
    world::{Person, World},
};
use sfu::{
    command::Command,
    ids::{SubscriptionId, TrackId},
    params::Wish,
};

use crate::calls::assert_continuous;

#[test]
fn the_best_encoding_is_reached_soon_and_the_stream_stays_one() {
    let mut scene = Scene::new(1, 2);

    scene.world.run_for(Duration::from_secs(3));

    scene.assert_whole();
    let pictures = scene.world.sink(scene.bob, scene.picture).shown();
    assert_eq!(pictures.last().unwrap().layer, 2);
    let best = pictures.iter().position(|picture| picture.layer == 2).unwrap();
    assert!(pictures[best..].iter().all(|picture| picture.layer == 2));
}

#[test]
fn a_wish_is_followed_up_and_down_at_keyframes() {
    let mut scene = Scene::new(2, 0);

    for layer in [0, 2, 1, 0, 2] {
        scene.wish(layer);
        let (bob, picture) = (scene.bob, scene.picture);
        scene.world.run_until(Duration::from_secs(2), |world| {
            world.sink(bob, picture).pictures().last().is_some_and(|picture| picture.layer == layer)
        });
        scene.world.run_for(Duration::from_secs(1));
    }

    scene.assert_whole();
}

#[test]
fn an_encoding_that_stops_is_replaced_and_taken_up_again() {
    let mut scene = Scene::new(3, 2);
    scene.world.run_for(Duration::from_secs(3));

    scene.turn(2, SourceState::Off);
    scene.world.run_for(Duration::from_secs(5));
    let without = scene.layer_shown();
    scene.turn(2, SourceState::On);
    scene.world.run_for(Duration::from_secs(3));

    assert_eq!(without, 1);
    assert_eq!(scene.layer_shown(), 2);
    scene.assert_whole();
}

#[test]
fn what_is_wanted_but_never_sent_is_not_waited_for() {
    let mut scene = Scene::new(4, 2);
    scene.turn(1, SourceState::Off);
    scene.turn(2, SourceState::Off);
    let (bob, picture) = (scene.bob, scene.picture);

    let took =
        scene.world.run_until(Duration::from_secs(1), |world| !world.sink(bob, picture).shown().is_empty());

    assert!(took < Duration::from_millis(600), "{took:?}");
    assert_eq!(scene.layer_shown(), 0);
}

/// The aim is 200 ms down and 500 ms up; what it takes is printed, and bounded far above.
#[test]
fn a_switch_takes_a_round_trip_to_the_publisher_and_a_picture() {
    for latency in [5, 25, 75].map(Duration::from_millis) {
        let far = Conditions { latency, ..Conditions::default() };
        // Small pictures: what the path carries is another matter.
        let cameras = (0..3).map(|layer| Camera::new(layer, 30, 1, 200)).collect();
        let mut scene = Scene::filmed(5, 2, [far, far], cameras);
        scene.world.run_for(Duration::from_secs(3));
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for turn in 0..10_u64 {
            for (layer, times) in [(0, &mut down), (2, &mut up)] {
                scene.wish(layer);
                let (bob, picture) = (scene.bob, scene.picture);
                times.push(scene.world.run_until(Duration::from_secs(2), |world| {
                    world.sink(bob, picture).shown().last().is_some_and(|picture| picture.layer == layer)
                }));
                // Never twice at the same moment of the publisher's pictures.
                scene.world.run_for(Duration::from_millis(1_003 + turn * 7));
            }
        }
        scene.assert_whole();
        down.sort_unstable();
        up.sort_unstable();
        println!(
            "switch over {} ms of path: down p50 {} ms, worst {} ms; up p50 {} ms, worst {} ms",
            4 * latency.as_millis(),
            down[down.len() / 2].as_millis(),
            down[down.len() - 1].as_millis(),
            up[up.len() / 2].as_millis(),
            up[up.len() - 1].as_millis(),
        );
    }
}

#[test]
fn switching_over_a_bad_path_leaves_the_stream_one() {
    crate::for_each_seed(&[1, 2], |seed| {
        let bad = Conditions { reorder: 20_000, duplicate: 10_000, ..lossy(30_000) };
        let mut scene = Scene::over(seed, 2, bad, bad);

        for layer in [2, 0, 1, 2, 0, 2] {
            scene.wish(layer);
            scene.world.run_for(Duration::from_secs(2));
        }
        scene.world.run_for(Duration::from_secs(2));

        let sink = scene.world.sink(scene.bob, scene.picture);
        assert_eq!((sink.duplicates(), sink.broken()), (0, 0));
        let pictures = sink.pictures();
        for pair in pictures.windows(2) {
            assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp).cast_signed() > 0);
        }
        assert_eq!(scene.layer_shown(), 2);
        assert_eq!(scene.world.worker.counters().unsealed, 0);
    });
}

fn lossy(per_million: u32) -> Conditions {
    Conditions { loss: harness::network::Loss::Even(per_million), ..Conditions::default() }
}

/// Ann films in three encodings, Bob watches.
struct Scene {
    world: World,
    ann: Person,
    bob: Person,
    camera: TrackId,
    picture: SubscriptionId,
}

impl Scene {
    fn new(seed: u64, layer_max: u8) -> Self {
        Self::over(seed, layer_max, Conditions::default(), Conditions::default())
    }

    fn over(seed: u64, layer_max: u8, ann: Conditions, bob: Conditions) -> Self {
        let cameras =
            vec![Camera::new(0, 15, 1, 700), Camera::new(1, 30, 2, 900), Camera::new(2, 30, 6, 1_100)];
        Self::filmed(seed, layer_max, [ann, bob], cameras)
    }

    fn filmed(seed: u64, layer_max: u8, [ann, bob]: [Conditions; 2], cameras: Vec<Camera>) -> Self {
        let mut world = World::new(seed);
        let room = world.open_room();
        let ann = world.arrive(room, ann);
        let bob = world.arrive(room, bob);
        let camera = world.film(ann, cameras);
        let picture = world.watch(bob, ann, camera, layer_max);
        Self { world, ann, bob, camera, picture }
    }

    fn wish(&mut self, layer_max: u8) {
        self.world.command(Command::SetWish(self.picture, Wish::up_to(layer_max)));
    }

    fn turn(&mut self, layer: usize, state: SourceState) {
        let camera = self.camera;
        let sources = &mut self.world.clients[self.ann].sources;
        sources.iter_mut().filter(|source| source.track == camera).nth(layer).unwrap().state = state;
    }

    fn layer_shown(&self) -> u8 {
        self.world.sink(self.bob, self.picture).shown().last().unwrap().layer
    }

    fn assert_whole(&self) {
        let sink = self.world.sink(self.bob, self.picture);
        assert_eq!((sink.missing().len(), sink.duplicates(), sink.broken()), (0, 0, 0));
        assert!(sink.is_in_order());
        assert_continuous(sink);
        assert_eq!(sink.pictures().len(), sink.shown().len(), "each switch is at a key frame");
        assert_eq!(self.world.worker.counters().unsealed, 0);
    }
}
