//! The task that owns a room: it brings it what happens and does what it wants.
//!
//! Invariants: one input, then all its outputs; a slow client never delays the room: its queue is bounded, and when it
//! is full the client is cut off; a panic ends this room alone.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use sfu::{command::Command, event::EventKind, ids::RoomId};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    media::{Commands, MediaRoom},
    registry::Registry,
};
use crate::{
    error::ServiceError,
    ids::SessionId,
    room::{Input, Join, Output, Room, Service, ServiceReply, Snapshot},
    wire::{Ask, Say},
};

/// What waits for a room. Higher: survives longer bursts. Lower: less memory per stranger.
pub(super) const INBOX_MAX: usize = 1024;
/// What waits for a client. Higher: survives slower networks. Lower: less memory per stranger.
pub(super) const SINK_MAX: usize = 1024;
/// Commands that wait for the media plane; beyond it the room cannot be kept true to what clients were told.
const BACKLOG_MAX: usize = 65_536;
/// How soon a full media plane is asked again.
const BACKLOG_RETRY: Duration = Duration::from_millis(5);

/// Something for a room.
pub(super) enum Message {
    /// Somebody connects; `accepted` is dropped when the room is over.
    Join { join: Box<Join>, sink: Sink, accepted: oneshot::Sender<()> },
    /// A client says something.
    Ask(SessionId, Box<Ask>),
    /// A WebSocket is gone.
    Lost(SessionId),
    /// An administrator asks something.
    Serve(Box<Service>, oneshot::Sender<Result<ServiceReply, ServiceError>>),
    /// The node stops.
    Shutdown,
}

/// Something for a WebSocket. When the queue ends without [`Self::Close`], the client is to come back.
pub(super) enum Outgoing {
    /// A message.
    Say(Arc<Say>),
    /// Nothing follows: close as agreed.
    Close,
}

/// Where messages for a WebSocket go.
pub(super) type Sink = mpsc::Sender<Outgoing>;

/// What a room's task holds.
pub(super) struct Task {
    pub(super) room: Room,
    pub(super) media: MediaRoom,
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) place: RegistryPlace,
}

/// Takes a room out of the registry and the media plane when its task ends, however it ends.
pub(super) struct RegistryPlace {
    pub(super) registry: Registry,
    pub(super) name: String,
    pub(super) id: RoomId,
}

impl Drop for RegistryPlace {
    fn drop(&mut self) {
        self.registry.remove(&self.name, self.id);
    }
}

struct MediaDoor {
    room: RoomId,
    commands: Commands,
    backlog: VecDeque<Command>,
}

impl Drop for MediaDoor {
    fn drop(&mut self) {
        // A second close of a room is nothing; after a panic it is the only one. When the plane is full the worker
        // learns it from the end of the room's event channel.
        let _ = (self.commands)(Command::CloseRoom(self.room));
    }
}

impl MediaDoor {
    fn send(&mut self, command: Command) {
        self.backlog.push_back(command);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(command) = self.backlog.front() {
            if (self.commands)(command.clone()).is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }
}

impl Task {
    /// Runs until the room is over.
    pub(super) async fn run(self) {
        let Self { mut room, media, mut inbox, snapshot, place } = self;
        let mut events = media.events;
        let door = MediaDoor { room: place.id, commands: media.commands, backlog: VecDeque::new() };
        let mut hands = Hands { sinks: BTreeMap::new(), door, over: false };
        hands.perform(&mut room);
        while !hands.over {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => take(&mut room, &mut hands, message),
                    None => room.handle(Input::Shutdown, Instant::now()),
                },
                event = events.recv() => {
                    let kind = event.map_or(EventKind::RoomLost, |event| event.kind);
                    room.handle(Input::Media(kind), Instant::now());
                },
                () = wake_at(room.deadline()) => room.tick(Instant::now()),
                () = tokio::time::sleep(BACKLOG_RETRY), if !hands.door.backlog.is_empty() => hands.door.flush(),
            }
            room.set_wall(SystemTime::now(), Instant::now());
            hands.perform(&mut room);
            publish(&snapshot, &room);
        }
        // From here on nobody finds the room; who found it before is told by the drop of their message.
        drop(place);
        inbox.close();
        while inbox.recv().await.is_some() {}
    }
}

fn take(room: &mut Room, hands: &mut Hands, message: Message) {
    let now = Instant::now();
    match message {
        Message::Join { join, sink, accepted } => {
            hands.sinks.insert(join.session, sink);
            let _ = accepted.send(());
            room.handle(Input::Join(join), now);
        }
        Message::Ask(session, ask) => room.handle(Input::Ask(session, ask), now),
        Message::Lost(session) => {
            hands.sinks.remove(&session);
            room.handle(Input::Lost(session), now);
        }
        Message::Serve(service, reply) => {
            let _ = reply.send(room.serve(*service, now));
        }
        Message::Shutdown => room.handle(Input::Shutdown, now),
    }
}

fn publish(snapshot: &watch::Sender<Snapshot>, room: &Room) {
    let news = room.snapshot();
    snapshot.send_if_modified(|known| {
        let changed = *known != news;
        if changed {
            *known = news;
        }
        changed
    });
}

/// What performs a room's outputs.
struct Hands {
    sinks: BTreeMap<SessionId, Sink>,
    door: MediaDoor,
    over: bool,
}

impl Hands {
    fn perform(&mut self, room: &mut Room) {
        while let Some(output) = room.poll() {
            match output {
                Output::Send(session, say) => self.send(session, say, room),
                Output::Close(session) => self.close(session),
                Output::Abandon(session) => drop(self.sinks.remove(&session)),
                Output::Media(command) => self.door.send(command),
                Output::Closed => self.over = true,
            }
        }
        if self.door.backlog.len() > BACKLOG_MAX {
            tracing::error!(
                backlog = self.door.backlog.len(),
                "media plane does not take commands, room is given up"
            );
            self.over = true;
        }
    }

    fn send(&mut self, session: SessionId, say: Arc<Say>, room: &mut Room) {
        let Some(sink) = self.sinks.get(&session) else { return };
        if sink.try_send(Outgoing::Say(say)).is_ok() {
            return;
        }
        // Too slow: it is cut off, and what it missed it learns when it comes back.
        tracing::debug!(%session, "client reads too slowly");
        self.sinks.remove(&session);
        room.handle(Input::Lost(session), Instant::now());
    }

    fn close(&mut self, session: SessionId) {
        if let Some(sink) = self.sinks.remove(&session) {
            let _ = sink.try_send(Outgoing::Close);
        }
    }
}

async fn wake_at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
