//! A store that forgets: for tests, and for simulating a store that fails.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::ids::{Epoch, Lineage, RoomName, Sequence};
use coweave_core::room::{Snapshot, StoredRoom, Tombstone};
use futures_util::future::{BoxFuture, ready};

use super::{LogLine, OpenedRoom, RoomId, Store, StoreError, unix_ms};

/// Rooms in memory. As long as it is told to fail, it refuses all work.
#[derive(Debug, Default)]
pub struct MemoryStore {
    keep_log: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failure: Option<String>,
    /// Also counts the rooms that were deleted: no number is given twice.
    last_id: i64,
    names: HashMap<RoomName, RoomId>,
    rooms: BTreeMap<RoomId, Room>,
    tombstones: BTreeMap<RoomId, (RoomName, Tombstone)>,
}

#[derive(Debug)]
struct Room {
    name: RoomName,
    lineage: Lineage,
    snapshot: Option<Snapshot>,
    /// The lines with their times: the tail, and what is kept of the log before it.
    log: BTreeMap<Sequence, (i64, Bytes)>,
}

impl Room {
    fn folded(&self) -> Sequence {
        self.snapshot.as_ref().map_or(Sequence(0), |snapshot| snapshot.through)
    }

    fn last(&self) -> Sequence {
        self.log.last_key_value().map_or(Sequence(0), |(last, _)| *last).max(self.folded())
    }

    /// Drops what is in the snapshot and was written before this time.
    fn sweep(&mut self, before: i64) -> u64 {
        let folded = self.folded();
        let all = self.log.len();
        self.log.retain(|sequence, (at, _)| *sequence > folded || *at > before);
        (all - self.log.len()) as u64
    }
}

impl MemoryStore {
    /// An empty store that drops lines as soon as they are in a snapshot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store that keeps lines for a time when they are in a snapshot.
    #[must_use]
    pub fn keeping(keep_log: Duration) -> Self {
        Self { keep_log, ..Self::default() }
    }

    /// Makes all calls fail with this text from now on, or work again.
    pub fn set_failure(&self, failure: Option<&str>) {
        self.lock().failure = failure.map(str::to_owned);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves whole values behind: all is checked, then changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut state = self.lock();
        match &state.failure {
            Some(failure) => Err(StoreError::Failed(failure.clone())),
            None => work(&mut state),
        }
    }
}

impl State {
    fn room(&mut self, id: RoomId) -> Result<&mut Room, StoreError> {
        self.rooms.get_mut(&id).ok_or_else(|| absent(id))
    }

    fn open_or_create(
        &mut self,
        name: &RoomName,
        lineage: Lineage,
    ) -> Result<OpenedRoom, StoreError> {
        let id = match self.names.get(name) {
            Some(id) => *id,
            None => {
                self.last_id += 1;
                let id = RoomId(self.last_id);
                let log = BTreeMap::new();
                let room = Room { name: name.clone(), lineage, snapshot: None, log };
                self.rooms.insert(id, room);
                self.names.insert(name.clone(), id);
                id
            }
        };
        let tombstones = self.tombstones.values().filter(|(of, _)| of == name);
        let tombstones = tombstones.map(|(_, tombstone)| tombstone.clone()).collect();
        let room = self.room(id)?;
        let tail = room.log.range(room.folded().next()..);
        let stored = StoredRoom {
            lineage: room.lineage,
            epoch: Epoch(0),
            snapshot: room.snapshot.clone(),
            tail: tail.map(|(sequence, (_, bytes))| (*sequence, bytes.clone())).collect(),
            tombstones,
        };
        Ok(OpenedRoom { id, stored })
    }

    fn append(&mut self, lines: &[LogLine]) -> Result<(), StoreError> {
        let mut new: BTreeMap<(RoomId, Sequence), &Bytes> = BTreeMap::new();
        for line in lines {
            let room = self.rooms.get(&line.room).ok_or_else(|| absent(line.room))?;
            let place = (line.room, line.sequence);
            let present = room.log.get(&line.sequence).map(|(_, bytes)| bytes);
            if present.or_else(|| new.get(&place).copied()) == Some(&line.update) {
                continue;
            }
            let mut added = new.range((line.room, Sequence(0))..=(line.room, Sequence(u64::MAX)));
            let last = added.next_back().map_or_else(|| room.last(), |((_, last), _)| *last);
            if line.sequence != last.next() {
                let detail = format!("{} instead of {}", line.sequence.0, last.next().0);
                return Err(StoreError::OutOfOrder(detail));
            }
            new.insert(place, &line.update);
        }
        let at = unix_ms();
        for ((room, sequence), update) in new {
            self.room(room)?.log.insert(sequence, (at, update.clone()));
        }
        Ok(())
    }

    fn replace_snapshot(
        &mut self,
        id: RoomId,
        snapshot: Snapshot,
        keep_log: Duration,
    ) -> Result<(), StoreError> {
        let room = self.room(id)?;
        let through = snapshot.through;
        if through == Sequence(0) || through < room.folded() || through > room.last() {
            return Err(StoreError::OutOfOrder(format!("a snapshot through {}", through.0)));
        }
        room.snapshot = Some(snapshot);
        if keep_log.is_zero() {
            room.sweep(i64::MAX);
        }
        Ok(())
    }

    fn delete(&mut self, id: RoomId, state_vector: Bytes) -> Result<(), StoreError> {
        let Some(Room { name, lineage, .. }) = self.rooms.remove(&id) else {
            return if self.tombstones.contains_key(&id) { Ok(()) } else { Err(absent(id)) };
        };
        self.names.remove(&name);
        self.tombstones.insert(id, (name, Tombstone { lineage, state_vector }));
        Ok(())
    }
}

fn absent(id: RoomId) -> StoreError {
    StoreError::OutOfOrder(format!("room {} does not exist", id.0))
}

impl Store for MemoryStore {
    fn open_or_create<'a>(
        &'a self,
        name: &'a RoomName,
        lineage: Lineage,
    ) -> BoxFuture<'a, Result<OpenedRoom, StoreError>> {
        Box::pin(ready(self.run(|state| state.open_or_create(name, lineage))))
    }

    fn contains<'a>(&'a self, name: &'a RoomName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(self.run(|state| Ok(state.names.contains_key(name)))))
    }

    fn append<'a>(&'a self, lines: &'a [LogLine]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(ready(self.run(|state| state.append(lines))))
    }

    fn replace_snapshot(
        &self,
        room: RoomId,
        snapshot: Snapshot,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let keep_log = self.keep_log;
        Box::pin(ready(self.run(|state| state.replace_snapshot(room, snapshot, keep_log))))
    }

    fn delete(&self, room: RoomId, state_vector: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(self.run(|state| state.delete(room, state_vector))))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        let keep_ms = i64::try_from(self.keep_log.as_millis()).unwrap_or(i64::MAX);
        let before = unix_ms().saturating_sub(keep_ms);
        Box::pin(ready(
            self.run(|state| Ok(state.rooms.values_mut().map(|room| room.sweep(before)).sum())),
        ))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}
