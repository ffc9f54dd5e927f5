//! The device's store: its answers, its failures, and the way back.

use bytes::Bytes;

use super::Client;
use crate::client::room::Room;
use crate::client::{Event, RoomKey, Storage, StoredCopy};
use crate::error::Error;
use crate::ids::{EditNumber, RoomName};
use crate::time::Time;
use crate::wire::v1::{EditKind, Message};

impl Client {
    /// The store has read a room: for the first time, or again after it failed.
    pub(super) fn loaded(&mut self, key: RoomKey, copy: Result<StoredCopy, Error>, now: Time) {
        let limits = self.settings.limits.clone();
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let is_first = !room.is_loaded;
        if !is_first && !room.device.is_reading() {
            return;
        }
        if room.leaving.is_some() || room.device.is_outdated() {
            return room.device.read_later(now);
        }
        let (before, role) = (room.storage.clone(), room.role());
        let found = match before {
            // There is nothing to take from, and nothing to write to.
            Storage::Memory => Ok(Vec::new()),
            _ => copy.and_then(|copy| room.take_copy(copy, &limits)),
        };
        room.is_loaded = true;
        let is_role_news = room.role() != role;
        if is_first {
            self.tell(key, Event::Loaded);
        }
        if is_role_news {
            self.tell(key, Event::RoleChanged);
        }
        self.tell(key, Event::DocumentChanged);
        match found {
            Ok(edits) => {
                self.tell_storage(key, &before);
                self.send_found(key, edits, now);
                self.compare(key, now);
            }
            Err(error) => self.lose_storage(key, error, now),
        }
        if is_first {
            self.ask_tabs(key, now);
        }
        self.join(key, now);
    }

    /// What came of the store may be more than the relay has, which only a sync shows.
    fn compare(&mut self, key: RoomKey, now: Time) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let is_in_doubt = std::mem::take(&mut room.device.is_in_doubt);
        if let Some(channel) = room.channel.filter(|_| is_in_doubt) {
            self.send(channel, &Message::Leave);
            self.end_membership(key);
            self.join(key, now);
        }
    }

    pub(super) fn written(&mut self, key: RoomKey, ticket: u64) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let before = room.storage.clone();
        room.written(ticket);
        self.tell_storage(key, &before);
    }

    pub(super) fn lose_storage(&mut self, key: RoomKey, error: Error, now: Time) {
        let Some(room) = self.rooms.get_mut(&key).filter(|room| room.storage != Storage::Memory)
        else {
            return;
        };
        let wait = room.device.backoff.next(&error, &mut self.random);
        let before = room.storage.clone();
        room.lose_storage(error, now + wait);
        self.tell_storage(key, &before);
    }

    /// The app drops a copy that was set aside, or its store could not drop it: it may be about to get it.
    pub fn drop_copy(&mut self, name: &RoomName, id: &str, is_dropped: bool) {
        let rooms = self.rooms.values_mut().filter(|room| room.name == *name);
        rooms.for_each(|room| room.device.drop_copy(id, is_dropped));
    }

    /// Whether it has dropped one that the store was asked to keep; `None` when the room is closed, or
    /// the copy has arrived.
    #[must_use]
    pub fn is_copy_dropped(&self, key: RoomKey, id: &str) -> Option<bool> {
        self.rooms.get(&key)?.device.is_copy_dropped(id)
    }

    /// Reads the stores again that failed: those whose time has come, or all of them at a hint.
    pub(super) fn read_lost_stores(&mut self, now: Option<Time>) {
        let is_due = |room: &&mut Room| {
            let at = room.store_retry_at();
            at.is_some_and(|at| now.is_none_or(|now| now >= at))
        };
        for room in self.rooms.values_mut().filter(is_due) {
            self.outputs.push_back(room.read_store());
        }
    }

    /// Uses records that needed what a sync has brought.
    pub(super) fn use_what_was_left(&mut self, key: RoomKey, now: Time) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let before = room.storage.clone();
        let edits = room.use_what_was_left(&self.settings.limits);
        self.tell_storage(key, &before);
        self.send_found(key, edits, now);
        self.compare(key, now);
    }

    /// Edits of sessions that are gone have to reach the relay as well.
    fn send_found(&mut self, key: RoomKey, edits: Vec<(EditNumber, Bytes)>, now: Time) {
        for (number, update) in edits {
            self.send_edit(key, number, EditKind::Difference, update, now);
        }
    }

    fn tell_storage(&mut self, key: RoomKey, before: &Storage) {
        if self.rooms.get(&key).is_some_and(|room| room.storage != *before) {
            self.tell(key, Event::StorageChanged);
        }
    }
}
