//! A store that forgets: for tests, and for simulating a store that fails.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use coweave_core::ids::{Epoch, Lineage, RoomName, Sequence};
use coweave_core::room::StoredRoom;
use futures_util::future::{BoxFuture, ready};

use super::{LogLine, OpenedRoom, RoomId, Store, StoreError};

/// Rooms in memory. As long as it is told to fail, it refuses all work.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    failure: Option<String>,
    names: HashMap<RoomName, RoomId>,
    rooms: BTreeMap<RoomId, StoredRoom>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes all calls fail with this text from now on, or work again.
    pub fn set_failure(&self, failure: Option<&str>) {
        self.lock().failure = failure.map(str::to_owned);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves whole values behind: changes are made on a copy.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return Err(StoreError::Failed(failure.clone()));
        }
        let mut copy = state.clone();
        let changed = change(&mut copy)?;
        *state = copy;
        Ok(changed)
    }
}

impl State {
    fn room(&mut self, id: RoomId) -> Result<&mut StoredRoom, StoreError> {
        let absent = || StoreError::OutOfOrder(format!("room {} does not exist", id.0));
        self.rooms.get_mut(&id).ok_or_else(absent)
    }
}

fn last(room: &StoredRoom) -> Sequence {
    let snapshot = room.snapshot.as_ref().map_or(Sequence(0), |(through, _)| *through);
    room.tail.last().map_or(snapshot, |(sequence, _)| *sequence)
}

impl Store for MemoryStore {
    fn open_or_create<'a>(
        &'a self,
        name: &'a RoomName,
        lineage: Lineage,
    ) -> BoxFuture<'a, Result<OpenedRoom, StoreError>> {
        Box::pin(ready(self.change(|state| {
            let next = RoomId(i64::try_from(state.names.len()).unwrap_or(i64::MAX));
            let id = *state.names.entry(name.clone()).or_insert(next);
            let stored = state.rooms.entry(id).or_insert_with(|| StoredRoom {
                lineage,
                epoch: Epoch(0),
                snapshot: None,
                tail: Vec::new(),
            });
            Ok(OpenedRoom { id, stored: stored.clone() })
        })))
    }

    fn append<'a>(&'a self, lines: &'a [LogLine]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(ready(self.change(|state| {
            for line in lines {
                let room = state.room(line.room)?;
                let entry = (line.sequence, line.update.clone());
                if room.tail.contains(&entry) {
                    continue;
                }
                let next = last(room).next();
                if line.sequence != next {
                    let detail = format!("{} instead of {}", line.sequence.0, next.0);
                    return Err(StoreError::OutOfOrder(detail));
                }
                room.tail.push(entry);
            }
            Ok(())
        })))
    }

    fn replace_snapshot(
        &self,
        room: RoomId,
        through: Sequence,
        snapshot: Bytes,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(self.change(|state| {
            let room = state.room(room)?;
            let least = room.snapshot.as_ref().map_or(Sequence(0), |(through, _)| *through);
            if through < least || through > last(room) {
                return Err(StoreError::OutOfOrder(format!("a snapshot through {}", through.0)));
            }
            room.snapshot = Some((through, snapshot));
            room.tail.retain(|(sequence, _)| *sequence > through);
            Ok(())
        })))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}
