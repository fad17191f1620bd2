//! A room: who is in it, what they publish, who receives what.
//!
//! Invariants: nothing is sent to a session before its join; a participant is announced before anything of theirs
//! is carried; what is gone is never named again.

pub mod farewell;
mod life;
mod service;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Instant, SystemTime},
};

pub use life::{Life, Place};
pub use service::{Service, ServiceReply};
use sfu::{command::Command, event::EventKind, ids::RoomId, params::Endpoint};

use crate::{
    config::Config,
    ids::{Numbers, Random, Seed, SessionId, sid},
    token::Claims,
    wire::{Ask, Say, join::JoinParameters, proto},
};

/// What happens to a room.
#[derive(Debug)]
pub enum Input {
    /// Somebody connects.
    Join(Box<Join>),
    /// A client says something.
    Ask(SessionId, Box<Ask>),
    /// A WebSocket is gone.
    Lost(SessionId),
    /// The media plane says something.
    Media(EventKind),
    /// The node stops.
    Shutdown,
}

/// Somebody who connects, admitted.
#[derive(Clone, Debug)]
pub struct Join {
    /// Their WebSocket.
    pub session: SessionId,
    /// Who they are.
    pub claims: Claims,
    /// What they said.
    pub parameters: JoinParameters,
}

/// What a room wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// A message for a client.
    Send(SessionId, Arc<Say>),
    /// A WebSocket is to be closed after what was sent.
    Close(SessionId),
    /// A wish to the media plane.
    Media(Command),
    /// The room is over: nothing follows.
    Closed,
}

/// What is known of a room from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// As clients see it.
    pub room: proto::Room,
    /// All participants, hidden ones too.
    pub participants: u64,
    /// Published tracks.
    pub tracks: u64,
    /// Tracks forwarded to somebody.
    pub subscriptions: u64,
}

/// What a room is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its number.
    pub id: RoomId,
    /// Where its media is served.
    pub endpoint: Endpoint,
    /// How it was asked for.
    pub wish: proto::CreateRoomRequest,
    /// What the operator decided.
    pub config: Arc<Config>,
    /// Where its random numbers begin.
    pub seed: Seed,
}

/// The room.
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    endpoint: Endpoint,
    config: Arc<Config>,
    random: Random,
    numbers: Numbers,
    life: Life,
    outputs: VecDeque<Output>,
}

impl Room {
    /// Begins a room.
    #[must_use]
    pub fn new(setup: Setup, now: Instant, wall: SystemTime) -> Self {
        let Setup { id, endpoint, wish, config, seed } = setup;
        let mut random = Random::new(seed);
        let life = Life::new(sid("RM_", &mut random), &wish, &config, now, wall);
        let outputs = VecDeque::new();
        Self { id, endpoint, config, random, numbers: Numbers::new(id), life, outputs }
    }

    /// Takes what happened.
    pub fn handle(&mut self, input: Input, _now: Instant) {
        match input {
            Input::Join(_) => {}
            Input::Ask(..) => {}
            Input::Lost(_) => {}
            Input::Media(_) => {}
            Input::Shutdown => {}
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Self::tick`] if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.life.deadline()
    }

    /// Time passed.
    pub fn tick(&mut self, now: Instant) {
        if self.life.deadline().is_some_and(|end| end <= now) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.outputs.push_back(Output::Media(Command::CloseRoom(self.id)));
        self.outputs.push_back(Output::Closed);
    }

    /// What time it is outside: participants and pongs carry it.
    pub fn set_wall(&mut self, _wall: SystemTime, _now: Instant) {}

    /// What others may know of the room at any time.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { room: self.info(), ..Default::default() }
    }

    /// The room as the room service sees it.
    #[must_use]
    pub fn info(&self) -> proto::Room {
        self.life.info()
    }
}
