//! What a person was told is on the device, and whether it is.

use bytes::Bytes;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{ClientId, RoomName};
use coweave_core::limits::Limits;

use super::{Device, Reader};

impl Device {
    /// Somebody is shown that this is on the device. Whoever has not noticed yet that the rows are gone
    /// promises nothing by it.
    pub fn tell(&mut self, reader: Reader, name: &RoomName, updates: &mut Vec<Bytes>) {
        if self.knows(reader, name) && !updates.is_empty() {
            self.told.entry(name.clone()).or_default().append(updates);
        }
    }

    /// Somebody is shown that a room is kept again, with all that is in this snapshot.
    pub fn tell_restored(&mut self, reader: Reader, name: &RoomName, snapshot: Bytes) {
        if self.knows(reader, name) {
            self.counts.restored += 1;
            self.restored.insert(name.clone(), snapshot);
            self.check(name);
        }
    }

    /// Which rooms something was told of.
    pub fn rooms_told(&self) -> impl Iterator<Item = &RoomName> {
        self.told.keys()
    }

    /// What was told and can be read: of damaged rows, and of what builds on them, nothing is promised.
    pub fn told(&self, name: &RoomName) -> Vec<Bytes> {
        self.promised(name, self.all_told(name).cloned().collect())
    }

    /// The edits among it, which get to the relay whoever has the room open.
    pub fn edits_told(&self, name: &RoomName) -> Vec<Bytes> {
        self.promised(name, self.told.get(name).cloned().unwrap_or_default())
    }

    fn promised(&self, name: &RoomName, mut told: Vec<Bytes>) -> Vec<Bytes> {
        if self.is_damaged(name) && !told.is_empty() {
            retain_if(&mut told, &self.readable(name), true);
        }
        told
    }

    fn all_told(&self, name: &RoomName) -> impl Iterator<Item = &Bytes> {
        self.told.get(name).into_iter().flatten().chain(self.restored.get(name))
    }

    /// All that was told is in what was written, damaged or not.
    pub fn check(&self, name: &RoomName) {
        let mut replica = replay(self.written(name));
        let is_there = self.all_told(name).all(|update| is_in(&mut replica, update));
        assert!(is_there, "what was told to be on the device in {name} is not in its rows");
    }

    /// A copy took the place of the rows: what was promised of them is in it, or still in the rows.
    pub(super) fn forget_what_is_aside(
        &mut self,
        name: &RoomName,
        mut promised: Vec<Bytes>,
        gone: &[Bytes],
    ) {
        retain_if(&mut promised, gone, false);
        self.restored.retain(|room, snapshot| room != name || promised.contains(snapshot));
        if let Some(told) = self.told.get_mut(name) {
            told.retain(|update| promised.contains(update));
        }
        self.check(name);
    }
}

/// Retains what is in these, or what is not.
fn retain_if(told: &mut Vec<Bytes>, these: &[Bytes], is_wanted: bool) {
    let mut replica = replay(these.to_vec());
    told.retain(|update| {
        let is_there = is_in(&mut replica, update);
        if !is_there {
            replica = replay(these.to_vec());
        }
        is_there == is_wanted
    });
}

/// Whether a document has all of an update, its deletions included. One that has not is of no use any
/// more.
pub fn is_in(replica: &mut Replica, update: &Bytes) -> bool {
    replica.apply(update, &Limits::default()).is_ok_and(|summary| !summary.is_news)
}

/// What somebody has who reads all that can be used of these, in whatever order they lie.
fn replay(mut updates: Vec<Bytes>) -> Replica {
    let mut replica = Replica::new(ClientId::from_u32(1));
    loop {
        let before = updates.len();
        updates.retain(|update| replica.apply(update, &Limits::default()).is_err());
        if updates.is_empty() || updates.len() == before {
            return replica;
        }
    }
}
