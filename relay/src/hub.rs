//! The rooms that are in memory: each is one task, found by its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coweave_core::error::{Code, Error};
use coweave_core::ids::{Epoch, MemberId, RoomName};
use coweave_core::limits::Limits;
use coweave_core::room::Input;
use dashmap::DashMap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::compactor::{Compaction, Compactor};
use crate::log_writer::LogWriter;
use crate::quarantine::Quarantine;
use crate::room_task::{self, Command, RoomStatus};
use crate::store::Store;

/// Commands that wait for a room; a connection whose room is behind stops reading.
const COMMANDS_MAX: usize = 128;

/// Numbers on the wire have 53 bits.
const EPOCH_SPARE_BITS: u32 = 11;

/// All rooms, and what they share.
#[derive(Debug)]
pub(crate) struct Hub {
    rooms: DashMap<RoomName, Entry>,
    /// Rooms that broke off while sequences were told that may never reach the log.
    broken: DashMap<RoomName, Epoch>,
    next_incarnation: AtomicU64,
    next_member: AtomicU64,
    tasks: TaskTracker,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) writer: LogWriter,
    pub(crate) compactor: Compactor,
    pub(crate) quarantine: Quarantine,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
}

/// A room in memory.
#[derive(Debug)]
struct Entry {
    /// Tells a room from an earlier one of the same name.
    incarnation: u64,
    /// The room's task ends when its last sender is gone; this one is cloned under the lock of
    /// the map only.
    commands: mpsc::Sender<Command>,
}

impl Hub {
    pub(crate) fn new(store: Arc<dyn Store>, limits: Limits, compaction: Compaction) -> Self {
        Self {
            rooms: DashMap::new(),
            broken: DashMap::new(),
            next_incarnation: AtomicU64::new(0),
            next_member: AtomicU64::new(1),
            tasks: TaskTracker::new(),
            writer: LogWriter::start(Arc::clone(&store), limits.commit_interval),
            store,
            compactor: Compactor::new(compaction, &limits),
            quarantine: Quarantine::default(),
            limits,
            clock: Clock::start(),
        }
    }

    pub(crate) fn next_member(&self) -> MemberId {
        MemberId(self.next_member.fetch_add(1, Ordering::Relaxed))
    }

    /// The way to a room; its task is started when it is not in memory. Loading is its first work,
    /// so however many ask at the same time, it is loaded once.
    pub(crate) fn room(self: &Arc<Self>, name: &RoomName) -> mpsc::Sender<Command> {
        // Most often it is there: look before taking the lock for writing.
        if let Some(entry) = self.rooms.get(name).filter(|entry| !entry.commands.is_closed()) {
            return entry.commands.clone();
        }
        let mut entry = self.rooms.entry(name.clone()).or_insert_with(|| self.start(name));
        if entry.commands.is_closed() {
            *entry = self.start(name);
        }
        entry.commands.clone()
    }

    fn start(self: &Arc<Self>, name: &RoomName) -> Entry {
        let incarnation = self.next_incarnation.fetch_add(1, Ordering::Relaxed);
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let task = room_task::run(Arc::clone(self), name.clone(), incarnation, receiver);
        self.tasks.spawn(task);
        Entry { incarnation, commands }
    }

    /// Takes a room out of the map if nobody else holds a way to it. Ways are given out under the
    /// same lock, so nobody can get one in between: after `true`, no command comes any more.
    pub(crate) fn retire(
        &self,
        name: &RoomName,
        incarnation: u64,
        commands: &mpsc::Receiver<Command>,
    ) -> bool {
        let removed = self.rooms.remove_if(name, |_, entry| {
            entry.incarnation == incarnation
                && entry.commands.strong_count() == 1
                && commands.is_empty()
        });
        removed.is_some()
    }

    /// Takes a room out of the map whose task is over.
    pub(crate) fn forget(&self, name: &RoomName, incarnation: u64) {
        self.rooms.remove_if(name, |_, entry| entry.incarnation == incarnation);
    }

    /// Notes that a room ended without being clean: its sequences will mean something else when it
    /// is loaded anew, and the epoch is what tells its members so.
    pub(crate) fn mark_broken(&self, name: &RoomName) {
        // Without randomness there is still the rest of the same lineage and state vector to go by.
        let epoch = getrandom::u64().unwrap_or_default() >> EPOCH_SPARE_BITS;
        self.broken.insert(name.clone(), Epoch(epoch));
    }

    /// The epoch of a room that broke in this process, instead of the stored one.
    pub(crate) fn epoch_after_break(&self, name: &RoomName) -> Option<Epoch> {
        self.broken.get(name).map(|epoch| *epoch)
    }

    /// How a room is; it is loaded when it is not in memory.
    pub(crate) async fn status(self: &Arc<Self>, name: &RoomName) -> Option<RoomStatus> {
        let (answer, status) = oneshot::channel();
        self.room(name).send(Command::Status(answer)).await.ok()?;
        status.await.ok()
    }

    /// Deletes a room, and returns when it is gone from the disk. Its members are told.
    pub(crate) async fn delete(self: &Arc<Self>, name: &RoomName) -> Result<(), Error> {
        let (answer, deleted) = oneshot::channel();
        let unavailable = |()| Error::new(Code::RoomUnavailable, "the room cannot be loaded");
        let room = self.room(name);
        room.send(Command::Delete(answer)).await.map_err(|_gone| unavailable(()))?;
        // Its task may only end when nobody holds a way to it.
        drop(room);
        deleted.await.map_err(|_gone| unavailable(()))?
    }

    /// Lets nobody enter any room that is in memory.
    pub(crate) async fn drain(&self) {
        let rooms: Vec<_> = self.rooms.iter().map(|entry| entry.commands.clone()).collect();
        for room in rooms {
            let _room_is_gone = room.send(Command::Input(Input::Drain)).await;
        }
    }

    /// Ends all rooms after the commands that wait for them, and returns when everything is on
    /// disk and the store is closed. To be called after the connections are gone.
    pub(crate) async fn close(&self) {
        self.rooms.clear();
        self.tasks.close();
        self.tasks.wait().await;
        self.writer.flush().await;
        // A store that is not closed gets a new epoch at the next start, as after a crash.
        if self.broken.is_empty() {
            self.store.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use coweave_core::ids::{Channel, ClientId, Sequence, SessionKey};
    use coweave_core::room::{JoinRequest, Protocol, RoomMessage};

    use super::*;
    use crate::outbox::outbox;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn a_room_is_deleted_whoever_enters_in_the_same_moment() {
        let store = Arc::new(MemoryStore::new());
        let shared = Arc::<MemoryStore>::clone(&store);
        let hub = Arc::new(Hub::new(shared, Limits::default(), Compaction::default()));
        let name = RoomName::parse("notes").unwrap();
        let room = hub.room(&name);
        let (answer, deleted) = oneshot::channel();
        room.try_send(Command::Delete(answer)).unwrap();
        let (outbox, mut deliveries) = outbox(1_000);
        let request = Box::new(JoinRequest {
            session: SessionKey([1; 16]),
            client: Some(ClientId::from_u32(1)),
            lineage: None,
            epoch: Epoch(0),
            sequence: Sequence(0),
            state_vector: Bytes::from_static(&[0]),
            protocol: Protocol::V1,
        });
        let (member, channel) = (MemberId(1), Channel(1));
        room.try_send(Command::Join { member, request, outbox, channel }).unwrap();
        drop(room);
        let deleted = tokio::time::timeout(Duration::from_secs(10), deleted).await;
        assert_eq!(deleted.expect("the deletion is forgotten").unwrap(), Ok(()));
        let told = deliveries.next().await.unwrap();
        let RoomMessage::End { error } = told.message.message() else { panic!("{told:?}") };
        assert_eq!(error.code, Code::RoomUnavailable);
        assert!(!store.contains(&name).await.unwrap());
    }
}
