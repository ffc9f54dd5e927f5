//! The rooms of a session, of which those are looked at with every step that may have something to do.

use std::ops::Deref;
use std::slice;

use crate::client::RoomKey;
use crate::client::room::Room;
use crate::ordered::OrderedMap;

/// See the [module](self). Whoever changes a room makes it active.
#[derive(Debug)]
pub(super) struct Rooms {
    all: OrderedMap<RoomKey, Room>,
    active: Vec<RoomKey>,
}

impl Rooms {
    pub(super) const fn new() -> Self {
        Self { all: OrderedMap::new(), active: Vec::new() }
    }

    pub(super) fn get_mut(&mut self, key: &RoomKey) -> Option<&mut Room> {
        let room = self.all.get_mut(key)?;
        if !std::mem::replace(&mut room.is_active, true) {
            self.active.push(*key);
        }
        Some(room)
    }

    pub(super) fn insert(&mut self, key: RoomKey, room: Room) {
        self.all.insert(key, room);
        self.active.push(key);
    }

    pub(super) fn remove(&mut self, key: &RoomKey) -> Option<Room> {
        self.active.retain(|active| active != key);
        self.all.remove(key)
    }

    /// All of them, for a change that no step has to look at: none becomes active.
    pub(super) fn values_mut(&mut self) -> slice::IterMut<'_, Room> {
        self.all.values_mut()
    }

    pub(super) fn activate(&mut self) {
        self.active = self.all.keys().copied().collect();
        self.all.values_mut().for_each(|room| room.is_active = true);
    }

    /// One after the other: looking at one may make others active.
    pub(super) fn nth_active(&self, at: usize) -> Option<RoomKey> {
        self.active.get(at).copied()
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &Room> {
        self.active.iter().filter_map(|key| self.all.get(key))
    }

    /// All is done for now: only those stay active that wait for a time, or for the relay.
    pub(super) fn rest(&mut self) {
        let all = &mut self.all;
        self.active.retain(|key| {
            all.get_mut(key).is_some_and(|room| {
                room.is_active = room.is_waiting();
                room.is_active
            })
        });
    }
}

impl Deref for Rooms {
    type Target = OrderedMap<RoomKey, Room>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}
