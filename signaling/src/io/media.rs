//! The door to the media plane: what signaling asks of it, and the real one behind it.

use sfu::{command::Command, event::Event, ids::RoomId, params::Endpoint};
use tokio::sync::mpsc;

/// The media plane has no place for another room, or for another command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the media plane is busy")]
pub struct Busy;

/// Where a room puts its commands.
pub type Commands = Box<dyn Fn(Command) -> Result<(), Busy> + Send + Sync>;

/// A room of the media plane.
pub struct MediaRoom {
    /// Where it is served.
    pub endpoint: Endpoint,
    /// What it is to do. Full is an answer: the same command may be tried again.
    pub commands: Commands,
    /// What happens in it.
    pub events: mpsc::Receiver<Event>,
}

/// Whoever carries media.
pub trait Media: Send + Sync + 'static {
    /// Begins a room.
    ///
    /// # Errors
    /// When nobody can serve it.
    fn open_room(&self, room: RoomId) -> Result<MediaRoom, Busy>;
}

impl Media for sfu::io::Sfu {
    fn open_room(&self, room: RoomId) -> Result<MediaRoom, Busy> {
        let room = Self::open_room(self, room).map_err(|_| Busy)?;
        let commands = room.commands;
        Ok(MediaRoom {
            endpoint: room.endpoint,
            commands: Box::new(move |command| commands.send(command).map_err(|_| Busy)),
            events: room.events,
        })
    }
}
