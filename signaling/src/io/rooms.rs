//! Opening rooms and finding them.

use std::{
    sync::atomic::Ordering,
    time::{Instant, SystemTime},
};

use sfu::ids::RoomId;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Signaling,
    media::Busy,
    registry::{Entry, Found},
    task::{INBOX_MAX, Message, RegistryPlace, Sink, Task},
};
use crate::{
    ids::Seed,
    room::{Join, Room, Setup},
    wire::proto,
};

/// How often a join is tried on rooms that end at that moment.
const JOIN_ATTEMPTS: usize = 3;

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    /// No worker takes another room.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Rooms ended as fast as they were found.
    #[error("room is closing")]
    Closing,
}

impl Signaling {
    /// The room of that name, made as wished when there is none.
    pub(super) fn room(&self, wish: &proto::CreateRoomRequest) -> Result<(Entry, Found), Busy> {
        self.shared.rooms.find_or_open(&wish.name, || self.open(wish))
    }

    fn open(&self, wish: &proto::CreateRoomRequest) -> Result<Entry, Busy> {
        let id = RoomId(self.shared.next_room.fetch_add(1, Ordering::Relaxed));
        let media = self.shared.media.open_room(id)?;
        let setup = Setup {
            id,
            endpoint: media.endpoint.clone(),
            wish: wish.clone(),
            config: self.shared.config.clone(),
            seed: fresh_seed()?,
        };
        let room = Room::new(setup, Instant::now(), SystemTime::now());
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        let (snapshot, snapshots) = watch::channel(room.snapshot());
        let place = RegistryPlace { registry: self.shared.rooms.clone(), name: wish.name.clone(), id };
        tokio::spawn(Task { room, media, inbox, snapshot, place }.run());
        Ok(Entry { id, inbox: sender, snapshot: snapshots })
    }

    /// Brings a join to its room, which is made when needed.
    pub(super) async fn join(
        &self,
        wish: &proto::CreateRoomRequest,
        join: &Join,
        sink: &Sink,
    ) -> Result<Entry, Unavailable> {
        for _ in 0..JOIN_ATTEMPTS {
            let (entry, _) = self.room(wish)?;
            if deliver(&entry, join, sink).await {
                return Ok(entry);
            }
        }
        Err(Unavailable::Closing)
    }

    /// Brings a resume to its room; `None` when the room is over.
    pub(super) async fn resume(&self, name: &str, join: &Join, sink: &Sink) -> Option<Entry> {
        let entry = self.shared.rooms.find(name)?;
        deliver(&entry, join, sink).await.then_some(entry)
    }
}

async fn deliver(entry: &Entry, join: &Join, sink: &Sink) -> bool {
    let (accepted, answer) = oneshot::channel();
    let message = Message::Join { join: Box::new(join.clone()), sink: sink.clone(), accepted };
    entry.inbox.send(message).await.is_ok() && answer.await.is_ok()
}

fn fresh_seed() -> Result<Seed, Busy> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| Busy)?;
    Ok(Seed(seed))
}
