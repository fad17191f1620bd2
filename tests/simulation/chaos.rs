//! Anything in any order: people come, go, film, hide, move between networks. A plain model says what must be true.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use harness::{
    media::Camera,
    network::{Conditions, Loss},
    random::Random,
    world::{Person, World},
};
use sfu::{
    command::Command,
    ids::{RoomId, SubscriptionId, TrackId},
    params::{Delivery, Wish},
};

const GUESTS_MAX: usize = 7;

#[test]
fn whatever_people_do_those_who_stay_see_each_other_in_the_end() {
    crate::for_each_seed(&[1, 2], |seed| {
        let mut party = Party::new(seed);
        for _ in 0..120 {
            party.something_happens();
            party.world.run_for(Duration::from_millis(150));
        }

        party.calm_down();
        let calm = party.world.now + Duration::from_secs(4);
        party.world.run_for(Duration::from_secs(6));

        party.assert_well(calm);
    });
}

/// What was asked for.
struct Watched {
    viewer: Person,
    track: TrackId,
    delivery: Delivery,
}

struct Published {
    owner: Person,
    delivery: Delivery,
    is_video: bool,
}

/// The model: what should be true, in the plainest form.
struct Party {
    world: World,
    room: RoomId,
    random: Random,
    guests: Vec<Person>,
    tracks: BTreeMap<TrackId, Published>,
    watched: BTreeMap<SubscriptionId, Watched>,
}

impl Party {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let room = world.open_room();
        let random = Random::new(seed ^ 0xc0ffee);
        let (guests, tracks, watched) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut party = Self { world, room, random, guests, tracks, watched };
        party.somebody_joins();
        party.somebody_joins();
        party
    }

    fn something_happens(&mut self) {
        match self.random.below(16) {
            0 | 1 => self.somebody_joins(),
            2..=4 => self.somebody_publishes(),
            5..=8 => self.somebody_watches(),
            9 => self.somebody_changes_a_wish(),
            10 => self.somebody_mutes(),
            11 => self.somebody_moves(),
            12 => self.a_path_gets_worse(),
            13 => self.a_track_ends(),
            14 => self.somebody_looks_away(),
            _ if self.random.below(3) == 0 => self.somebody_leaves(),
            _ => {}
        }
    }

    fn somebody_joins(&mut self) {
        if self.guests.len() < GUESTS_MAX {
            let guest = self.world.arrive(self.room, Conditions::default());
            self.guests.push(guest);
        }
    }

    fn somebody_publishes(&mut self) {
        let Some(owner) = self.pick_guest() else { return };
        let cameras = match self.random.below(4) {
            0 => Vec::new(),
            1 => vec![Camera::new(0, 15, 1, 500), Camera::new(1, 15, 2, 700), Camera::new(2, 15, 4, 900)],
            _ => vec![Camera::new(0, 15, 3, 900)],
        };
        let is_video = !cameras.is_empty();
        let track = if is_video { self.world.film(owner, cameras) } else { self.world.speak(owner, 20) };
        self.tracks.insert(track, Published { owner, delivery: Delivery::On, is_video });
    }

    fn somebody_watches(&mut self) {
        let Some(viewer) = self.pick_guest() else { return };
        let others: Vec<TrackId> =
            self.tracks.iter().filter(|(_, track)| track.owner != viewer).map(|(id, _)| *id).collect();
        let Some(track) = self.pick(&others) else { return };
        let layer_max = u8::try_from(self.random.below(3)).unwrap();
        let subscription = self.world.watch(viewer, self.tracks[&track].owner, track, layer_max);
        self.watched.insert(subscription, Watched { viewer, track, delivery: Delivery::On });
    }

    fn somebody_changes_a_wish(&mut self) {
        let Some(subscription) = self.pick_watched() else { return };
        let delivery = if self.random.below(2) == 0 { Delivery::Paused } else { Delivery::On };
        let layer_max = u8::try_from(self.random.below(3)).unwrap();
        self.watched.get_mut(&subscription).unwrap().delivery = delivery;
        self.world.command(Command::SetWish(subscription, Wish { delivery, ..Wish::up_to(layer_max) }));
    }

    fn somebody_mutes(&mut self) {
        let tracks: Vec<TrackId> = self.tracks.keys().copied().collect();
        let Some(track) = self.pick(&tracks) else { return };
        let delivery = if self.random.below(2) == 0 { Delivery::Paused } else { Delivery::On };
        self.tracks.get_mut(&track).unwrap().delivery = delivery;
        self.world.command(Command::SetDelivery(track, delivery));
    }

    fn somebody_moves(&mut self) {
        if let Some(guest) = self.pick_guest() {
            self.world.rebind(guest);
        }
    }

    fn a_path_gets_worse(&mut self) {
        let Some(guest) = self.pick_guest() else { return };
        let loss = u32::try_from(self.random.below(80_000)).unwrap();
        let worse = Conditions {
            latency: Duration::from_millis(5 + self.random.below(60)),
            jitter: Duration::from_millis(self.random.below(10)),
            loss: Loss::Even(loss),
            reorder: u32::try_from(self.random.below(20_000)).unwrap(),
            duplicate: u32::try_from(self.random.below(20_000)).unwrap(),
            rate: None,
        };
        self.world.clients[guest].up.conditions = worse;
        self.world.clients[guest].down.conditions = worse;
    }

    fn a_track_ends(&mut self) {
        let tracks: Vec<TrackId> = self.tracks.keys().copied().collect();
        let Some(track) = self.pick(&tracks) else { return };
        self.world.command(Command::Unpublish(track));
        self.tracks.remove(&track);
        self.watched.retain(|_, watched| watched.track != track);
    }

    fn somebody_looks_away(&mut self) {
        let Some(subscription) = self.pick_watched() else { return };
        self.world.command(Command::Unsubscribe(subscription));
        self.watched.remove(&subscription);
    }

    fn somebody_leaves(&mut self) {
        let Some(guest) = self.pick_guest() else { return };
        let transport = self.world.clients[guest].transport;
        self.world.command(Command::CloseTransport(transport));
        self.guests.retain(|other| *other != guest);
        self.tracks.retain(|_, track| track.owner != guest);
        let tracks = &self.tracks;
        self.watched.retain(|_, watched| watched.viewer != guest && tracks.contains_key(&watched.track));
    }

    /// Paths are good again, and everything that can be seen is to be seen.
    fn calm_down(&mut self) {
        for guest in &self.guests {
            self.world.clients[*guest].up.conditions = Conditions::default();
            self.world.clients[*guest].down.conditions = Conditions::default();
        }
    }

    fn assert_well(&self, calm: Instant) {
        let counters = self.world.worker.counters();
        assert_eq!((counters.rooms, counters.rooms_lost), (1, 0));
        assert_eq!(counters.transports, self.guests.len() as u64);
        assert_eq!(counters.tracks, self.tracks.len() as u64);
        assert_eq!(counters.subscriptions, self.watched.len() as u64);
        assert_eq!(counters.unsealed, 0);
        for client in &self.world.clients {
            for sink in client.sinks.values() {
                assert_eq!((sink.duplicates(), sink.broken()), (0, 0));
            }
        }
        for (subscription, watched) in &self.watched {
            let track = &self.tracks[&watched.track];
            let sink = self.world.sink(watched.viewer, *subscription).since(calm);
            let is_on = watched.delivery == Delivery::On && track.delivery == Delivery::On;
            let seen = if track.is_video { sink.shown_from_any().len() } else { sink.sounds().len() };
            assert_eq!(seen > 20, is_on, "{subscription} of {} saw {seen}", watched.track);
            assert!(is_on || sink.packets.is_empty(), "{subscription} is paused");
        }
    }

    fn pick_guest(&mut self) -> Option<Person> {
        let guests = self.guests.clone();
        self.pick(&guests)
    }

    fn pick_watched(&mut self) -> Option<SubscriptionId> {
        let watched: Vec<SubscriptionId> = self.watched.keys().copied().collect();
        self.pick(&watched)
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> Option<T> {
        let index = usize::try_from(self.random.below(among.len() as u64)).unwrap();
        among.get(index).copied()
    }
}
