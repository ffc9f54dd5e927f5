//! A simulated browser's store: the rows of each room, as our store lays them down in IndexedDB.

mod faults;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coweave_core::client::{Meta, Record, RoomKey, SetAsideCopy, StoredCopy, Write};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{ClientId, Lineage, RoomName, TabId};
use coweave_core::limits::Limits;

pub use self::faults::Fate;
use self::faults::{Damage, Faults};
pub use self::told::is_in;

/// An edit may be written down by each tab that heard of it, and by who takes it over from one that is
/// gone; what multiplies with each visit would soon be more.
const TWINS_MAX: usize = 12;
/// The index of a snapshot that its reader wrote: no record has it.
const OWN_SNAPSHOT: u64 = u64::MAX;

/// What a browser keeps of all rooms.
#[derive(Debug, Default)]
pub struct Device {
    rooms: BTreeMap<RoomName, Kept>,
    /// What each opened room knows of the rows.
    logs: BTreeMap<Reader, Log>,
    last_mark: u64,
    /// What a person was told is on the device, and is not set aside.
    told: BTreeMap<RoomName, Vec<Bytes>>,
    /// What was in the document of a room when a person was told that it is kept again.
    restored: BTreeMap<RoomName, Bytes>,
    faults: Faults,
    pub counts: Counts,
}

/// How often something happened to a device.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// A log became a snapshot.
    pub folds: u64,
    pub failed_loads: u64,
    pub failed_writes: u64,
    /// Writes that were done and told as failed.
    pub ambiguous_writes: u64,
    /// Writes that were told as failed and done later.
    pub late_writes: u64,
    /// Copies that could not be set aside, or were, and that was told as failed.
    pub failed_asides: u64,
    /// Rooms whose rows were gone at once.
    pub emptied: u64,
    /// Rows that were damaged.
    pub damaged: u64,
    /// Rooms of which it was said that the device keeps them again.
    pub restored: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.folds += other.folds;
        self.failed_loads += other.failed_loads;
        self.failed_writes += other.failed_writes;
        self.ambiguous_writes += other.ambiguous_writes;
        self.late_writes += other.late_writes;
        self.failed_asides += other.failed_asides;
        self.emptied += other.emptied;
        self.damaged += other.damaged;
        self.restored += other.restored;
    }
}

/// What the device keeps of a room.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Which rows these are; `None` before the first write.
    mark: Option<u64>,
    /// The mark of those that made room for them.
    before: Option<Option<u64>>,
    metas: BTreeMap<Lineage, Meta>,
    snapshots: Vec<Row>,
    records: Vec<Row>,
}

/// What an opened room knows of the rows it has loaded.
#[derive(Clone, Debug)]
struct Log {
    name: RoomName,
    mark: Option<u64>,
    lineage: Option<Lineage>,
}

/// An opened room of a tab.
pub type Reader = (TabId, RoomKey);

/// A row, and under which index each reader that knows it knows it.
#[derive(Clone, Debug)]
struct Row {
    indexes: BTreeMap<Reader, u64>,
    /// Readers that know it without an index, as something stranded.
    finders: BTreeSet<Reader>,
    is_pending: bool,
    /// As it was written.
    update: Bytes,
    damage: Option<Damage>,
}

impl Row {
    fn new(reader: Reader, index: u64, is_pending: bool, update: Bytes) -> Self {
        let (indexes, finders) = ([(reader, index)].into(), BTreeSet::new());
        Self { indexes, finders, is_pending, update, damage: None }
    }

    /// What is read of it.
    fn read(&self) -> Option<Bytes> {
        match self.damage {
            None => Some(self.update.clone()),
            Some(Damage::Cut) => Some(self.update.slice(..self.update.len() / 2)),
            Some(Damage::Unreadable) => None,
        }
    }
}

impl Device {
    /// Writes behind a fence: only to the rows that the reader knows.
    pub fn write(
        &mut self,
        reader: Reader,
        name: &RoomName,
        writes: Vec<Write>,
    ) -> Result<(), Error> {
        if !self.knows(reader, name) {
            return Err(unavailable("what was kept here was taken away"));
        }
        let kept = self.rooms.entry(name.clone()).or_default();
        let log = self.logs.get_mut(&reader).expect("its reader knows it");
        self.last_mark += 1;
        log.mark = Some(*kept.mark.get_or_insert(self.last_mark));
        for write in writes {
            match write {
                Write::Append(record) => kept.append(reader, record),
                Write::Settle { indexes } => {
                    let is_settled = |row: &Row| {
                        row.indexes.get(&reader).is_some_and(|index| indexes.contains(index))
                    };
                    let rows = kept.records.iter_mut().filter(|row| is_settled(row));
                    rows.for_each(|row| row.is_pending = false);
                }
                Write::SetMeta(meta) => {
                    let before = log.lineage.replace(meta.lineage);
                    if let Some(before) = before.filter(|before| *before != meta.lineage) {
                        kept.metas.remove(&before);
                    }
                    kept.metas.insert(meta.lineage, meta);
                }
                Write::Fold { through, except, snapshot } => {
                    self.counts.folds += 1;
                    kept.fold(reader, through, &except, snapshot);
                }
                other => panic!("unknown write {other:?}"),
            }
        }
        Ok(())
    }

    /// Whether the rows of a room are still those that a reader has loaded.
    pub fn knows(&self, reader: Reader, name: &RoomName) -> bool {
        let Some(log) = self.logs.get(&reader) else { return false };
        let (mark, before) = self.rooms.get(name).map_or((None, None), |it| (it.mark, it.before));
        match log.mark {
            Some(_) => log.mark == mark,
            None => before.is_none(),
        }
    }

    pub fn load(
        &mut self,
        reader: Reader,
        name: &RoomName,
        lineage: Option<Lineage>,
    ) -> Result<StoredCopy, Error> {
        let kept = self.rooms.entry(name.clone()).or_default();
        if let Some(log) = self.logs.get(&reader) {
            let was_set_aside = log.mark != kept.mark && kept.before.is_some();
            if was_set_aside && lineage.is_none_or(|lineage| !kept.metas.contains_key(&lineage)) {
                return Err(unavailable("another tab has set this copy of the room aside"));
            }
        }
        let mut twins = BTreeMap::<_, usize>::new();
        for row in kept.records.iter().filter(|row| row.is_pending) {
            *twins.entry(&row.update).or_default() += 1;
        }
        let most = twins.into_values().max().unwrap_or_default();
        assert!(most <= TWINS_MAX, "an edit is on the device {most} times");
        let meta = kept.metas.values().next().copied();
        let lineage = meta.map(|meta| meta.lineage);
        self.logs.insert(reader, Log { name: name.clone(), mark: kept.mark, lineage });
        let copy = kept.read(reader, meta);
        if kept.metas.len() > 1 {
            let text = "this device holds two histories of the room";
            return Err(Error::new(Code::RoomLineageMismatch, text));
        }
        Ok(copy)
    }

    /// Puts a copy in the place of the rows that a reader knows. The rest is set aside as well when
    /// the history is over that it belongs to, and otherwise stays, like what cannot be read.
    pub fn set_aside(&mut self, reader: Reader, name: &RoomName, copy: &SetAsideCopy) {
        let knows = self.knows(reader, name);
        self.logs.remove(&reader);
        if !knows {
            return;
        }
        let promised = self.told(name);
        let kept = self.rooms.entry(name.clone()).or_default();
        let is_over = matches!(copy.error.code, Code::RoomDeleted | Code::RoomLineageMismatch);
        let limits = Limits::default();
        let mut aside = Replica::new(ClientId::from_u32(1));
        // A copy that is no whole document has nothing in it that a row builds on.
        drop(aside.apply(&copy.update, &limits));
        let mut gone = vec![copy.update.clone()];
        let mut rows = std::mem::take(&mut kept.snapshots);
        rows.append(&mut kept.records);
        loop {
            let before = rows.len();
            rows.retain(|row| {
                let Some(update) = row.read() else { return true };
                let is_new = match aside.apply(&update, &limits) {
                    Ok(summary) => summary.is_news,
                    Err(_) if update != copy.update => return true,
                    Err(_) => false,
                };
                match is_new && !is_over {
                    true => kept.records.push(row.clone()),
                    false => gone.push(row.update.clone()),
                }
                false
            });
            if rows.len() == before {
                break;
            }
        }
        // What cannot be used is set aside one by one, and what cannot be read stays.
        let goes = |row: &Row| is_over && row.read().is_some();
        gone.extend(rows.iter().filter(|row| goes(row)).map(|row| row.update.clone()));
        kept.records.extend(rows.into_iter().filter(|row| !goes(row)));
        kept.metas.clear();
        self.last_mark += 1;
        kept.before = Some(kept.mark.replace(self.last_mark));
        self.forget_what_is_aside(name, promised, &gone);
    }

    /// What is pending of a room that this reader does not know.
    pub fn load_stranded(&mut self, reader: Reader, name: &RoomName) -> Vec<Bytes> {
        if !self.knows(reader, name) {
            return Vec::new();
        }
        let rows = self.rooms.get_mut(name).into_iter().flat_map(|kept| &mut kept.records);
        let stranded = rows.filter(|row| row.is_pending && !row.indexes.contains_key(&reader));
        stranded
            .filter_map(|row| {
                if row.damage.is_none() {
                    row.finders.insert(reader);
                }
                row.read()
            })
            .collect()
    }

    /// The first room behind this one with rows that are pending.
    pub fn stranded(&self, after: Option<&RoomName>) -> Option<RoomName> {
        let is_stranded = |kept: &Kept| kept.records.iter().any(|row| row.is_pending);
        let rooms = self.rooms.iter().filter(|(_, kept)| is_stranded(kept)).map(|(name, _)| name);
        rooms.into_iter().find(|name| after.is_none_or(|after| *name > after)).cloned()
    }

    /// Which history the device's copy of a room has.
    pub fn lineage(&self, name: &RoomName) -> Option<Lineage> {
        self.rooms.get(name)?.metas.keys().next().copied()
    }
}

impl Kept {
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.snapshots.iter().chain(&self.records)
    }

    fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.snapshots.iter_mut().chain(&mut self.records)
    }

    fn append(&mut self, reader: Reader, Record { index, is_pending, update }: Record) {
        let found = self
            .records
            .iter_mut()
            .find(|row| is_pending && row.finders.contains(&reader) && row.update == update);
        if let Some(row) = found {
            row.finders.remove(&reader);
            row.indexes.insert(reader, index);
        } else {
            // The last write of a room repeats the one before it.
            self.records.retain(|row| row.indexes.get(&reader) != Some(&index));
            self.records.push(Row::new(reader, index, is_pending, update));
        }
    }

    fn fold(&mut self, reader: Reader, through: u64, except: &[u64], snapshot: Bytes) {
        self.snapshots.retain_mut(|row| match row.indexes.get(&reader) {
            // It is not touched by later folds, either.
            Some(index) if except.contains(index) => row.indexes.remove(&reader).is_some(),
            index => index.is_none(),
        });
        self.records.retain(|row| {
            let index = row.indexes.get(&reader);
            let is_newer = index.is_none_or(|index| *index > through || except.contains(index));
            row.is_pending || is_newer
        });
        self.snapshots.push(Row::new(reader, OWN_SNAPSHOT, false, snapshot));
    }

    /// What a reader gets, which knows these rows from here on, under these indexes.
    fn read(&mut self, reader: Reader, meta: Option<Meta>) -> StoredCopy {
        let mut copy = StoredCopy { meta, snapshot: None, records: Vec::new(), damage: None };
        let snapshots = self.snapshots.len();
        for (at, row) in self.rows_mut().enumerate() {
            row.indexes.remove(&reader);
            row.finders.remove(&reader);
            let Some(update) = row.read() else {
                copy.damage = Some(unavailable("a row cannot be read"));
                continue;
            };
            // The first snapshot has no index; further ones are records to whoever loads them.
            if at < snapshots && copy.snapshot.is_none() {
                row.indexes.insert(reader, 0);
                copy.snapshot = Some(update);
                continue;
            }
            let index = at as u64 + 1;
            row.indexes.insert(reader, index);
            copy.records.push(Record { index, is_pending: row.is_pending, update });
        }
        copy
    }
}

fn unavailable(text: &str) -> Error {
    Error::new(Code::DeviceUnavailable, text)
}
