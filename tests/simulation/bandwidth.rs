//! Paths that do not carry everything: what a viewer and a listener experience.

use std::time::{Duration, Instant};

use harness::{
    experience::{Hearing, Viewing},
    media::Camera,
    network::{Conditions, Loss},
    world::{Person, World},
};
use sfu::{
    event::{EventKind, StreamState},
    ids::{SubscriptionId, TrackId},
};

const SECOND: Duration = Duration::from_secs(1);
const TOP: u8 = 2;
/// How long a receiver that asks for lost packets again keeps pictures before it shows them.
const BUFFER: Duration = Duration::from_millis(250);

/// Half of a round trip of 50 ms.
const NEAR: Conditions = Conditions {
    latency: Duration::from_millis(25),
    jitter: Duration::from_millis(2),
    loss: Loss::None,
    reorder: 0,
    duplicate: 0,
    rate: None,
};

#[test]
fn a_cliff_costs_the_large_picture_and_neither_motion_nor_sound() {
    crate::for_each_seed(&[1, 2, 3], |seed| {
        let mut scene = Scene::new(seed, over(3_000_000, NEAR));
        scene.run(12);
        let cut = scene.world.now;
        scene.path(over(500_000, NEAR));
        scene.run(20);
        let back = scene.world.now;
        scene.path(over(3_000_000, NEAR));
        scene.run(15);
        let end = scene.world.now;

        let (seen, heard) = scene.experience(cut, end);
        assert_eq!(seen.layer_at(cut), Some(TOP));
        let lower = seen.until(cut, |layer| layer < TOP).unwrap();
        let higher = seen.until(back, |layer| layer == TOP);
        println!("cliff: lower after {lower:?}, top again after {higher:?}, {heard:?}");
        println!("cliff: longest freeze {:?}", seen.longest_freeze(cut, end));
        assert!(lower < 2 * SECOND, "{lower:?}");
        assert!(seen.longest_freeze(cut, end) < SECOND, "{:?}", seen.longest_freeze(cut, end));
        assert!(heard.longest_gap <= Duration::from_millis(200), "{heard:?}");
        assert!(higher.is_some_and(|higher| higher < 10 * SECOND), "{higher:?}");
        scene.assert_sound();
    });
}

#[test]
fn a_ramp_is_followed_down_and_up_without_a_standstill() {
    crate::for_each_seed(&[1, 2], |seed| {
        let mut scene = Scene::new(seed, over(3_500_000, NEAR));
        scene.run(8);
        let from = scene.world.now;
        for step in (4..35).rev().chain(4..35) {
            scene.path(over(step * 100_000, NEAR));
            scene.run(1);
        }
        scene.run(10);
        let to = scene.world.now;

        let (seen, heard) = scene.experience(from, to);
        println!(
            "ramp: {} changes, freeze {:?}, {heard:?}",
            seen.changes(from, to),
            seen.longest_freeze(from, to)
        );
        assert_eq!(seen.layer_at(to), Some(TOP));
        assert!(seen.longest_freeze(from, to) < SECOND, "{:?}", seen.longest_freeze(from, to));
        assert!(seen.changes(from, to) <= 12, "{}", seen.changes(from, to));
        assert!(heard.longest_gap <= Duration::from_millis(200), "{heard:?}");
        scene.assert_sound();
    });
}

#[test]
fn a_tenth_lost_at_random_is_repaired_and_keeps_the_picture_moving() {
    crate::for_each_seed(&[1, 2], |seed| {
        let lossy = Conditions { loss: Loss::Even(100_000), ..NEAR };
        let mut scene = Scene::new(seed, over(6_000_000, lossy));
        scene.run(5);
        let from = scene.world.now;
        scene.run(60);
        let to = scene.world.now;

        let (seen, heard) = scene.experience(from, to);
        println!(
            "10 %: frozen {:.4}, top {:.2}, {heard:?}",
            seen.frozen(from, to),
            seen.share_at_least(TOP, from, to)
        );
        // Below 0.01 nearly always; a minute is short, and one standstill is 0.004 of it.
        assert!(seen.frozen(from, to) < 0.02, "{}", seen.frozen(from, to));
        assert!(heard.concealed < 0.01, "{heard:?}");
        scene.assert_sound();
    });
}

#[test]
fn sound_survives_a_fifth_and_the_picture_gives_way() {
    crate::for_each_seed(&[1, 2], |seed| {
        for loss in [Loss::Even(200_000), Loss::Bursts { to_bad: 30_000, to_good: 250_000, lost: 900_000 }] {
            let mut scene = Scene::new(seed, over(4_000_000, Conditions { loss, ..NEAR }));
            scene.run(5);
            let from = scene.world.now;
            scene.run(40);
            let to = scene.world.now;

            let (seen, heard) = scene.experience(from, to);
            println!("20 %: frozen {:.3}, layer {:?}, {heard:?}", seen.frozen(from, to), seen.layer_at(to));
            assert!(heard.concealed < 0.02, "{heard:?}");
            assert!(heard.longest_gap <= Duration::from_millis(300), "{heard:?}");
            scene.assert_sound();
        }
    });
}

#[test]
fn three_hundred_milliseconds_of_round_trip_and_jitter_are_borne() {
    crate::for_each_seed(&[1, 2], |seed| {
        let far = Conditions {
            latency: Duration::from_millis(150),
            jitter: Duration::from_millis(30),
            loss: Loss::Even(10_000),
            ..NEAR
        };
        let mut scene = Scene::new(seed, over(4_000_000, far));
        scene.run(10);
        let from = scene.world.now;
        scene.run(40);
        let to = scene.world.now;

        let (seen, heard) = scene.experience(from, to);
        println!(
            "far: frozen {:.3}, top {:.2}, {heard:?}",
            seen.frozen(from, to),
            seen.share_at_least(TOP, from, to)
        );
        assert!(seen.share_at_least(TOP, from, to) > 0.8, "{}", seen.share_at_least(TOP, from, to));
        assert!(heard.concealed < 0.01, "{heard:?}");
        scene.assert_sound();
    });
}

#[test]
fn a_deep_queue_is_not_filled() {
    crate::for_each_seed(&[1, 2], |seed| {
        let bloated = Conditions { rate: Some((1_000_000, 2 * SECOND)), ..NEAR };
        let mut scene = Scene::new(seed, bloated);
        scene.run(10);
        let from = scene.world.now;
        scene.run(30);
        let to = scene.world.now;

        let (seen, heard) = scene.experience(from, to);
        println!("bloat: layer {:?}, {heard:?}", seen.layer_at(to));
        assert!(heard.longest_gap <= Duration::from_millis(300), "{heard:?}");
        assert!(seen.share_at_least(1, from, to) > 0.7, "{}", seen.share_at_least(1, from, to));
        scene.assert_sound();
    });
}

#[test]
fn who_cannot_be_shown_everything_is_shown_the_important() {
    crate::for_each_seed(&[1, 2], |seed| {
        let mut world = World::new(seed);
        let room = world.open_room();
        let viewer = world.arrive(room, NEAR);
        let people: Vec<Person> = (0..6).map(|_| world.arrive(room, NEAR)).collect();
        let watched: Vec<SubscriptionId> = people
            .into_iter()
            .map(|person| {
                let camera = world.film(person, cameras());
                world.watch(viewer, person, camera, TOP)
            })
            .collect();
        world.clients[viewer].down.conditions = over(500_000, NEAR);
        world.run_for(20 * SECOND);
        let paused = |world: &World| {
            let mut states = std::collections::BTreeMap::new();
            for (_, (subscription, state)) in world.told(|kind| match kind {
                EventKind::StreamState(subscription, state) => Some((*subscription, *state)),
                _ => None,
            }) {
                states.insert(subscription, state);
            }
            states.values().filter(|state| **state == StreamState::Paused).count()
        };

        let few = paused(&world);
        let from = world.now;
        world.run_for(5 * SECOND);
        let moving = watched
            .iter()
            .filter(|subscription| !world.sink(viewer, **subscription).since(from).packets.is_empty())
            .count();
        world.clients[viewer].down.conditions = over(20_000_000, NEAR);
        world.run_for(15 * SECOND);

        println!("six: {few} paused, {moving} moving");
        assert!((2..=5).contains(&few), "{few}");
        assert!(moving >= 1, "{moving}");
        assert_eq!(paused(&world), 0, "all come again");
    });
}

fn over(rate: u64, conditions: Conditions) -> Conditions {
    Conditions { rate: Some((rate, Duration::from_millis(300))), ..conditions }
}

/// 0.13, 0.5 and 1.7 Mbit/s.
fn cameras() -> Vec<Camera> {
    vec![Camera::new(0, 15, 1, 1_000), Camera::new(1, 30, 2, 1_000), Camera::new(2, 30, 7, 980)]
}

/// Ann films and speaks, Bob watches and listens over a path of his own.
struct Scene {
    world: World,
    bob: Person,
    picture: SubscriptionId,
    sound: SubscriptionId,
}

impl Scene {
    fn new(seed: u64, down: Conditions) -> Self {
        let mut world = World::new(seed);
        let room = world.open_room();
        let ann = world.arrive(room, NEAR);
        let bob = world.arrive(room, NEAR);
        let camera: TrackId = world.film(ann, cameras());
        let voice = world.speak(ann, 30);
        let sound = world.watch(bob, ann, voice, 0);
        let picture = world.watch(bob, ann, camera, TOP);
        let mut scene = Self { world, bob, picture, sound };
        scene.path(down);
        scene
    }

    fn path(&mut self, down: Conditions) {
        self.world.clients[self.bob].down.conditions = down;
    }

    fn run(&mut self, seconds: u32) {
        self.world.run_for(SECOND * seconds);
    }

    fn experience(&self, from: Instant, to: Instant) -> (Viewing, Hearing) {
        let hearing = Hearing::of(self.world.sink(self.bob, self.sound), from, to);
        (Viewing::of(self.world.sink(self.bob, self.picture), BUFFER), hearing)
    }

    fn assert_sound(&self) {
        let sink = self.world.sink(self.bob, self.picture);
        assert_eq!((sink.duplicates(), sink.broken()), (0, 0));
        assert_eq!(self.world.worker.counters().unsealed, 0);
    }
}
