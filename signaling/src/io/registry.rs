//! Which rooms are open, by name, and how to reach their tasks.
//!
//! Invariant: a room is in here from before its task runs until after its task took its last message.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sfu::ids::RoomId;
use tokio::sync::{mpsc, watch};

use super::task::Message;
use crate::{room::Snapshot, wire::proto};

/// How to reach a room.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) id: RoomId,
    pub(super) inbox: mpsc::Sender<Message>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
}

/// The open rooms.
#[derive(Clone, Default)]
pub(super) struct Registry(Arc<Mutex<BTreeMap<String, Entry>>>);

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        // Nothing under this lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, name: &str) -> Option<Entry> {
        self.lock().get(name).cloned()
    }

    /// The room of that name, made by `open` when there is none.
    pub(super) fn find_or_open<E>(
        &self,
        name: &str,
        open: impl FnOnce() -> Result<Entry, E>,
    ) -> Result<(Entry, Found), E> {
        let mut rooms = self.lock();
        if let Some(entry) = rooms.get(name) {
            return Ok((entry.clone(), Found::Open));
        }
        let entry = open()?;
        rooms.insert(name.to_string(), entry.clone());
        Ok((entry, Found::Made))
    }

    /// Takes a room out, unless another one has its name already.
    pub(super) fn remove(&self, name: &str, id: RoomId) {
        let mut rooms = self.lock();
        if rooms.get(name).is_some_and(|entry| entry.id == id) {
            rooms.remove(name);
        }
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    /// What clients and the room service see of every room.
    pub(super) fn infos(&self) -> Vec<proto::Room> {
        self.lock().values().map(|entry| entry.snapshot.borrow().room.clone()).collect()
    }
}

/// Whether a room was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It was.
    Open,
    /// It is now.
    Made,
}
