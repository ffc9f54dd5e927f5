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

#[cfg(test)]
mod tests {
    use crate::client::{Client, Input, Output, Settings, StoredCopy};
    use crate::ids::{ClientId, RoomName, SessionKey};
    use crate::limits::Limits;
    use crate::time::Time;

    const ROOMS: u32 = 200;
    const NOW: Time = Time::ZERO;

    /// How many rooms are looked at most until all is done that the session wants; the device does what is for it.
    fn most_active(client: &mut Client) -> usize {
        let mut most = 0;
        loop {
            let output = client.poll(NOW);
            most = most.max(client.rooms.active.len());
            match output {
                Output::Idle { .. } => return most,
                Output::Write { key, ticket, .. } => {
                    client.handle(Input::Written { key, ticket }, NOW);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn only_the_room_that_is_typed_in_is_looked_at() {
        let settings = Settings {
            session: SessionKey([1; 16]),
            agent: "test".to_owned(),
            limits: Limits::default(),
            has_device_store: true,
        };
        let mut client = Client::new(settings, 1, NOW);
        let open = |at| {
            let (key, name) = (client.next_key(), RoomName::parse(&format!("room {at}")).unwrap());
            client.handle(Input::Open { key, name, client: ClientId::from_u32(at) }, NOW);
            client.handle(Input::Loaded { key, copy: Ok(StoredCopy::default()) }, NOW);
            key
        };
        let keys: Vec<_> = (0..ROOMS).map(open).collect();
        most_active(&mut client);
        assert_eq!(client.rooms.active, [], "none waits for anything");
        for _ in 0..3 {
            let room = client.room_mut(keys[7]).unwrap();
            room.replica_mut().text_insert("text", 0, "x").unwrap();
            client.handle(Input::Tick, NOW);
            assert_eq!(most_active(&mut client), 1);
            assert_eq!(client.rooms.active, []);
        }
        // Whatever becomes of the connection is to be seen in all of them.
        client.handle(Input::SocketOpened { token: String::new() }, NOW);
        assert_eq!(client.rooms.active.len(), ROOMS as usize);
    }
}
