//! What a device does to what it keeps, and to those who ask for it.

use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::{RoomKey, Write};
use coweave_core::error::Error;
use coweave_core::ids::{RoomName, TabId};
use coweave_core::random::Random;
use coweave_core::time::Time;

use super::{Device, Kept, Reader, unavailable};

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// The browser gives it, but without the rest of its bytes.
    Cut,
    /// The browser does not give it, or without what a row needs.
    Unreadable,
}

/// What becomes of something that a device is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done, and that is told.
    Done,
    /// It is not done, and that is told.
    Fails,
    /// It is done, and told as failed.
    DoneUntold,
    /// It is told as failed, and done later.
    Late,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Until then, much of what the device is asked for fails.
    fails_until: Time,
    late: Vec<LateWrite>,
    /// How many writes were told as failed and are done later, over all.
    ghosts: u64,
}

/// A write that was told as failed.
#[derive(Debug)]
struct LateWrite {
    at: Time,
    /// Knows what its reader knew when it was asked for.
    ghost: Reader,
    name: RoomName,
    writes: Vec<Write>,
}

impl Device {
    /// From here on until then the device fails more often than not.
    pub fn fail(&mut self, until: Time) {
        self.faults.fails_until = until;
    }

    /// What becomes of what is asked for now.
    pub fn fate(&self, random: &mut Random, now: Time) -> Fate {
        if now >= self.faults.fails_until {
            return Fate::Done;
        }
        match random.below(8) {
            0 | 1 => Fate::Done,
            2..5 => Fate::Fails,
            5 | 6 => Fate::DoneUntold,
            _ => Fate::Late,
        }
    }

    /// A write with its fate.
    pub fn try_to_write(
        &mut self,
        (reader, name): (Reader, &RoomName),
        writes: Vec<Write>,
        fate: Fate,
        random: &mut Random,
        now: Time,
    ) -> Result<(), Error> {
        let counts = &mut self.counts;
        match fate {
            Fate::Done => return self.write(reader, name, writes),
            Fate::Fails => counts.failed_writes += 1,
            Fate::DoneUntold => {
                if self.write(reader, name, writes).is_ok() {
                    self.counts.ambiguous_writes += 1;
                }
            }
            Fate::Late => {
                let at = now + Duration::from_millis(random.below(1_500));
                let ghost = self.leave_ghost(reader, name);
                self.faults.late.push(LateWrite { at, ghost, name: name.clone(), writes });
            }
        }
        Err(unavailable("the quota is used up"))
    }

    /// Somebody who knows what a reader knows now: what it asked for is done as it was asked for.
    fn leave_ghost(&mut self, reader: Reader, name: &RoomName) -> Reader {
        self.faults.ghosts += 1;
        let ghost = (TabId(u64::MAX), RoomKey(self.faults.ghosts));
        if let Some(log) = self.logs.get(&reader).cloned() {
            self.logs.insert(ghost, log);
        }
        for row in self.rooms.get_mut(name).into_iter().flat_map(Kept::rows_mut) {
            if let Some(index) = row.indexes.get(&reader).copied() {
                row.indexes.insert(ghost, index);
            }
            if row.finders.contains(&reader) {
                row.finders.insert(ghost);
            }
        }
        ghost
    }

    /// Does what was told as failed.
    pub fn write_late(&mut self, now: Time) {
        while let Some(at) = self.faults.late.iter().position(|late| late.at <= now) {
            let LateWrite { ghost, name, writes, .. } = self.faults.late.remove(at);
            if self.write(ghost, &name, writes).is_ok() {
                self.counts.late_writes += 1;
            }
            self.logs.remove(&ghost);
            for row in self.rooms.get_mut(&name).into_iter().flat_map(Kept::rows_mut) {
                row.indexes.remove(&ghost);
                row.finders.remove(&ghost);
            }
        }
    }

    /// Whether nothing is still to happen to the rows by itself.
    pub fn is_at_rest(&self) -> bool {
        self.faults.late.is_empty()
    }

    /// All rows of a room, or of all rooms, are gone, and with them what was told of them.
    pub fn empty(&mut self, name: Option<&RoomName>) {
        let is_meant = |room: &RoomName| name.is_none_or(|name| name == room);
        self.counts.emptied += self.rooms.keys().filter(|room| is_meant(room)).count() as u64;
        self.rooms.retain(|room, _| !is_meant(room));
        self.told.retain(|room, _| !is_meant(room));
        self.restored.retain(|room, _| !is_meant(room));
    }

    /// One row can be read no more, or not all of it.
    pub fn damage(&mut self, random: &mut Random) {
        let damage = if random.chance(50) { Damage::Cut } else { Damage::Unreadable };
        let rows = self.rooms.values_mut().flat_map(Kept::rows_mut);
        let mut whole: Vec<_> = rows.filter(|row| row.damage.is_none()).collect();
        let pick = usize::try_from(random.below(whole.len().max(1) as u64)).unwrap_or_default();
        if let Some(row) = whole.get_mut(pick) {
            row.damage = Some(damage);
            self.counts.damaged += 1;
        }
    }

    /// Whether something of a room is damaged.
    pub fn is_damaged(&self, name: &RoomName) -> bool {
        let mut rows = self.rooms.get(name).into_iter().flat_map(Kept::rows);
        rows.any(|row| row.damage.is_some())
    }

    /// What the rooms of a tab have loaded.
    pub fn loaded_by(&self, tab: TabId) -> Vec<(RoomKey, RoomName)> {
        let logs = self.logs.iter().filter(|((of, _), _)| *of == tab);
        logs.map(|((_, key), log)| (*key, log.name.clone())).collect()
    }

    /// What there is of a room that can be read.
    pub(super) fn readable(&self, name: &RoomName) -> Vec<Bytes> {
        let rows = self.rooms.get(name).into_iter().flat_map(Kept::rows);
        rows.filter(|row| row.damage.is_none()).map(|row| row.update.clone()).collect()
    }

    /// What there is of a room, and what there was in what is damaged.
    pub(super) fn written(&self, name: &RoomName) -> Vec<Bytes> {
        let rows = self.rooms.get(name).into_iter().flat_map(Kept::rows);
        rows.map(|row| row.update.clone()).collect()
    }
}
