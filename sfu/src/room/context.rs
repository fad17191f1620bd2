//! What a room borrows from its worker for one call.

use std::{collections::VecDeque, time::Instant};

use crate::{
    dtls::Certificate,
    event::{Event, EventKind},
    forward::wall::Wall,
    ids::{RoomId, SubscriptionId, TrackId},
    worker::{Counters, Random, WorkerConfig},
};

/// Something that ended together with what it depended on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Track(TrackId),
    Subscription(SubscriptionId),
}

/// What a room borrows from its worker for one call.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) room: RoomId,
    pub(crate) config: &'a WorkerConfig,
    pub(crate) certificate: &'a Certificate,
    pub(crate) counters: &'a mut Counters,
    pub(crate) events: &'a mut VecDeque<Event>,
    pub(crate) gone: &'a mut Vec<Gone>,
    pub(crate) random: &'a mut Random,
    pub(crate) wall: Wall,
    pub(crate) now: Instant,
}

impl Context<'_> {
    pub(crate) fn tell(&mut self, kind: EventKind) {
        self.events.push_back(Event { room: self.room, kind });
    }
}
