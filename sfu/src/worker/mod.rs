//! A worker: the rooms it owns, and the way of a datagram to one of them and back out.
//!
//! Invariants:
//! - a room is touched only through this worker; nothing it owns is shared;
//! - a panic costs the room it happened in, never the worker;
//! - nothing is sent except by [`Worker::flush`].

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant, SystemTime},
};

use slab::Slab;
pub(crate) use turn::stun::Message as StunMessage;

use crate::{
    command::Command,
    event::{Event, EventKind},
    forward::wall::Wall,
    ids::{RoomId, SubscriptionId, TrackId, TransportId},
    params::Remote,
    room::{Asked, Context, Gone, Opening, Room},
    transport::StunVerdict,
};

mod counters;
mod deadlines;
mod demux;
mod egress;
#[cfg(test)]
mod layered;
mod random;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

use self::demux::{Class, Demux, Place};
pub(crate) use self::{deadlines::Deadlines, random::Random};
pub use counters::{Counters, DropReason, Drops};
pub use egress::Egress;

pub use crate::dtls::Certificate;

/// A room that wants to be woken in the past is woken this much later: nothing may keep a worker spinning.
const PATIENCE: Duration = Duration::from_millis(1);

/// How a worker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Which one it is: the first characters of the ufrags of its transports (see [`crate::params::ufrag_prefix`]).
    pub worker: u16,
    /// RTP padding that may be added to make packets of one frame equally long, so that they leave as one
    /// segmented send; 0: none.
    pub padding_max: u8,
    /// Whether what a path was measured to carry bounds what is sent on it.
    pub adaptation: Adaptation,
}

/// Whether viewers get less where their path is measured to carry less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adaptation {
    /// Pictures get smaller, slower or pause until they fit.
    Measured,
    /// Everything that is wanted is sent, unless a limit is commanded.
    Off,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { worker: 0, padding_max: 8, adaptation: Adaptation::Measured }
    }
}

#[derive(Debug)]
struct Held {
    id: RoomId,
    room: Room,
    is_touched: bool,
}

/// Rooms and their transports on one thread.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    certificate: Certificate,
    counters: Counters,
    random: Random,
    wall: Wall,
    rooms: Slab<Held>,
    rooms_by_id: BTreeMap<RoomId, usize>,
    tracks: BTreeMap<TrackId, usize>,
    subscriptions: BTreeMap<SubscriptionId, usize>,
    demux: Demux,
    deadlines: Deadlines,
    touched: Vec<usize>,
    events: VecDeque<Event>,
    gone: Vec<Gone>,
}

impl Worker {
    /// A worker without rooms. `seed` makes all its choices repeatable, `wall` is the time of day at `now`.
    #[must_use]
    pub fn new(
        config: WorkerConfig,
        certificate: Certificate,
        seed: u64,
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        Self {
            config,
            certificate,
            counters: Counters::default(),
            random: Random::new(seed),
            wall: Wall::new(now, wall),
            rooms: Slab::new(),
            rooms_by_id: BTreeMap::new(),
            tracks: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            demux: Demux::default(),
            deadlines: Deadlines::default(),
            touched: Vec::new(),
            events: VecDeque::new(),
            gone: Vec::new(),
        }
    }

    /// A datagram arrived. What it causes happens at the next [`Self::flush`].
    pub fn receive(&mut self, from: Remote, datagram: &[u8], received: Instant) {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        let taken = match Class::of(datagram) {
            Class::Stun => self.receive_stun(from, datagram, received),
            class @ (Class::Dtls | Class::Rtp | Class::Rtcp) => {
                self.receive_from_peer(class, from, datagram, received)
            }
            Class::Unknown => Err(DropReason::Unclassified),
        };
        if let Err(reason) = taken {
            self.counters.dropped.count(reason);
        }
    }

    /// The control plane asks for something.
    pub fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::OpenRoom(id) => self.open_room(id),
            Command::CloseRoom(id) => self.close_room(id, now),
            Command::OpenTransport { room, participant, transport, local, channels, consent } => {
                self.open_transport(room, Opening { participant, transport, local, channels, consent }, now);
            }
            Command::SetRemote(id, remote) => {
                self.at_transport(id, now, |room, cx| room.set_remote(id, remote, cx))
            }
            Command::RestartIce(id, local) => {
                self.demux.add_ufrag(id, &local.ufrag);
                self.at_transport(id, now, |room, cx| room.restart_ice(id, local, cx));
            }
            Command::SetReceive(id, parameters) => {
                self.at_transport(id, now, |room, _| room.set_receive(id, &parameters));
            }
            Command::CloseTransport(id) => {
                self.at_transport(id, now, |room, cx| room.close_transport(id, cx));
                self.demux.remove(id);
            }
            Command::Publish(id, track, parameters) => {
                self.publish(id, track, |room, cx| room.publish(id, track, parameters, cx), now)
            }
            Command::Unpublish(id) => self.at_track(id, now, |room, cx| room.unpublish(id, cx)),
            Command::SetDelivery(id, delivery) => {
                self.at_track(id, now, |room, cx| room.set_delivery(id, delivery, cx))
            }
            Command::Subscribe { subscription, transport, track, send, wish } => {
                self.subscribe(Asked { subscription, transport, track, send, wish }, now);
            }
            Command::SetWish(id, wish) => {
                self.at_subscription(id, now, |room, cx| room.set_wish(id, wish, cx))
            }
            Command::LimitBandwidth(id, limit) => {
                self.at_transport(id, now, |room, cx| room.limit_bandwidth(id, limit, cx));
            }
            Command::Unsubscribe(id) => self.at_subscription(id, now, |room, cx| room.unsubscribe(id, cx)),
            Command::Send(id, channel, message) => {
                self.at_transport(id, now, |room, cx| room.send(id, channel, message, cx));
            }
            Command::RequestKeyframe(id) => self.at_track(id, now, |room, _| room.ask_keyframe(id)),
        }
        self.forget_gone();
    }

    /// Forwards what arrived, answers, and runs the timers that are due.
    pub fn flush(&mut self, egress: &mut impl Egress, now: Instant) {
        while let Some(key) = self.deadlines.pop_due(now) {
            self.touch(key);
        }
        let mut touched = std::mem::take(&mut self.touched);
        for key in touched.drain(..) {
            let deadline = self.with_room(key, now, |room, cx| {
                room.flush(egress, cx);
                room.deadline()
            });
            if let Some(held) = self.rooms.get_mut(key) {
                held.is_touched = false;
                self.deadlines.set(key, deadline.flatten().map(|at| at.max(now + PATIENCE)));
            }
        }
        self.touched = touched;
    }

    /// What the control plane is to be told next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::flush`] is to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// A check finds its transport by the first half of its user name (RFC 8445 §7.2.2).
    fn receive_stun(&mut self, from: Remote, datagram: &[u8], now: Instant) -> Result<(), DropReason> {
        let message = StunMessage::parse(datagram).map_err(|_| DropReason::StunMalformed)?;
        let name = message.username().ok_or(DropReason::StunMalformed)?;
        let ufrag = name.split(|byte| *byte == b':').next().and_then(|ufrag| std::str::from_utf8(ufrag).ok());
        let (id, place) =
            ufrag.and_then(|ufrag| self.demux.by_ufrag(ufrag)).ok_or(DropReason::StunUnknownUfrag)?;
        let verdict =
            self.with_room(place.room, now, |room, cx| room.receive_stun(place.peer, &message, from, cx));
        match verdict.ok_or(DropReason::Panicked)? {
            StunVerdict::Accepted => {
                self.demux.vouch(id, from);
                Ok(())
            }
            StunVerdict::Refused | StunVerdict::Ignored => Err(DropReason::StunRefused),
        }
    }

    /// Everything else is heard only from addresses that an authentic check came from.
    fn receive_from_peer(
        &mut self,
        class: Class,
        from: Remote,
        datagram: &[u8],
        now: Instant,
    ) -> Result<(), DropReason> {
        let Place { room, peer } = self.demux.by_remote(from).ok_or(DropReason::UnknownRemote)?;
        let taken = self.with_room(room, now, |room, cx| {
            room.admit(peer, cx)?;
            match class {
                Class::Dtls => room.receive_dtls(peer, datagram, from, cx),
                Class::Rtp => room.receive_rtp(peer, datagram, cx),
                Class::Rtcp => room.receive_rtcp(peer, datagram, cx),
                Class::Stun | Class::Unknown => Err(DropReason::Unclassified),
            }
        });
        taken.unwrap_or(Err(DropReason::Panicked))
    }

    fn open_room(&mut self, id: RoomId) {
        if self.rooms_by_id.contains_key(&id) {
            return;
        }
        let key = self.rooms.insert(Held { id, room: Room::default(), is_touched: false });
        self.rooms_by_id.insert(id, key);
        self.counters.rooms += 1;
    }

    fn close_room(&mut self, id: RoomId, now: Instant) {
        let Some(key) = self.rooms_by_id.get(&id).copied() else { return };
        let Some(transports) = self.with_room(key, now, |room, cx| room.close(cx)) else { return };
        for transport in transports {
            self.demux.remove(transport);
        }
        self.drop_room(key);
    }

    fn open_transport(&mut self, room: RoomId, opening: Opening, now: Instant) {
        let Some(room) = self.rooms_by_id.get(&room).copied() else { return };
        // The same name in another room would be found in neither.
        if self.demux.place(opening.transport).is_some() {
            return;
        }
        let (id, ufrag) = (opening.transport, opening.local.ufrag.clone());
        let opened = self.with_room(room, now, |room, cx| room.open_transport(opening, cx));
        if let Some(peer) = opened.flatten() {
            self.demux.insert(id, Place { room, peer }, &ufrag);
        }
    }

    fn publish(
        &mut self,
        transport: TransportId,
        track: TrackId,
        publish: impl FnOnce(&mut Room, &mut Context<'_>) -> bool,
        now: Instant,
    ) {
        let Some(Place { room, .. }) = self.demux.place(transport) else { return };
        if self.with_room(room, now, publish) == Some(true) {
            self.tracks.insert(track, room);
        }
    }

    fn subscribe(&mut self, asked: Asked, now: Instant) {
        let Some(Place { room, .. }) = self.demux.place(asked.transport) else { return };
        let id = asked.subscription;
        if self.with_room(room, now, |room, cx| room.subscribe(asked, cx)) == Some(true) {
            self.subscriptions.insert(id, room);
        }
    }

    fn at_transport(&mut self, id: TransportId, now: Instant, act: impl FnOnce(&mut Room, &mut Context<'_>)) {
        if let Some(Place { room, .. }) = self.demux.place(id) {
            self.with_room(room, now, act);
        }
    }

    fn at_track(&mut self, id: TrackId, now: Instant, act: impl FnOnce(&mut Room, &mut Context<'_>)) {
        if let Some(room) = self.tracks.get(&id).copied() {
            self.with_room(room, now, act);
        }
    }

    fn at_subscription(
        &mut self,
        id: SubscriptionId,
        now: Instant,
        act: impl FnOnce(&mut Room, &mut Context<'_>),
    ) {
        if let Some(room) = self.subscriptions.get(&id).copied() {
            self.with_room(room, now, act);
        }
    }

    /// The only way into a room. A panic on the way ends it; `None` then, or when there is none.
    fn with_room<T>(
        &mut self,
        key: usize,
        now: Instant,
        act: impl FnOnce(&mut Room, &mut Context<'_>) -> T,
    ) -> Option<T> {
        self.touch(key);
        let held = self.rooms.get_mut(key)?;
        let room = &mut held.room;
        let mut cx = Context {
            room: held.id,
            config: &self.config,
            certificate: &self.certificate,
            counters: &mut self.counters,
            events: &mut self.events,
            gone: &mut self.gone,
            random: &mut self.random,
            wall: self.wall,
            now,
        };
        // Whatever state a panic leaves behind is dropped with its room.
        let result = catch_unwind(AssertUnwindSafe(|| act(room, &mut cx)));
        match result {
            Ok(value) => Some(value),
            Err(_) => {
                self.lose_room(key);
                None
            }
        }
    }

    fn touch(&mut self, key: usize) {
        let Some(held) = self.rooms.get_mut(key) else { return };
        if !held.is_touched {
            held.is_touched = true;
            self.touched.push(key);
        }
    }

    /// A room broke: it is gone with all its names, and the control plane is told.
    fn lose_room(&mut self, key: usize) {
        let Some(id) = self.rooms.get(key).map(|held| held.id) else { return };
        let transports = self.demux.remove_room(key);
        self.counters.transports = self.counters.transports.saturating_sub(transports);
        let before = self.tracks.len();
        self.tracks.retain(|_, room| *room != key);
        let gone = before.saturating_sub(self.tracks.len()) as u64;
        self.counters.tracks = self.counters.tracks.saturating_sub(gone);
        let before = self.subscriptions.len();
        self.subscriptions.retain(|_, room| *room != key);
        let gone = before.saturating_sub(self.subscriptions.len()) as u64;
        self.counters.subscriptions = self.counters.subscriptions.saturating_sub(gone);
        self.counters.rooms_lost += 1;
        self.drop_room(key);
        self.events.push_back(Event { room: id, kind: EventKind::RoomLost });
    }

    fn drop_room(&mut self, key: usize) {
        let Some(held) = self.rooms.try_remove(key) else { return };
        self.rooms_by_id.remove(&held.id);
        self.deadlines.set(key, None);
        self.touched.retain(|touched| *touched != key);
        self.counters.rooms = self.counters.rooms.saturating_sub(1);
        // A broken room may break once more while it is taken apart.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(held)));
    }

    fn forget_gone(&mut self) {
        for gone in self.gone.drain(..) {
            match gone {
                Gone::Track(id) => self.tracks.remove(&id).map(|_| ()),
                Gone::Subscription(id) => self.subscriptions.remove(&id).map(|_| ()),
            };
        }
    }
}
