//! A simulated browser: what its tabs share, which is a device's store, a lock, and a way to talk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs;
use coweave_core::client::{Meta, Record, RoomKey, SetAsideCopy, StoredCopy, Write};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{ClientId, Lineage, RoomName, SessionKey, TabId};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::time::Time;

/// An edit may be written down by each tab that heard of it, and by who takes it over from one that is
/// gone; what multiplies with each visit would soon be more.
const TWINS_MAX: usize = 12;

/// One browser, and what it keeps.
#[derive(Debug)]
pub struct Browser {
    pub session: SessionKey,
    device: BTreeMap<RoomName, Kept>,
    /// What each opened room knows of the rows.
    logs: BTreeMap<Reader, Log>,
    last_mark: u64,
    /// What a person was told is on the device, and is not set aside.
    pub told: BTreeMap<RoomName, Known>,
    /// Rooms where the device's store failed: what was told is not held against the device.
    pub lost: Vec<RoomName>,
    last_tab: u64,
    tabs: BTreeMap<TabId, Mailbox>,
    /// Who waits for the lock; the first one has it.
    lock: VecDeque<TabId>,
    /// How often the device's log became a snapshot.
    pub folds: u64,
    /// How often another tab came to lead.
    pub elections: u64,
}

#[derive(Debug, Default)]
struct Mailbox {
    inputs: VecDeque<(Time, tabs::Input)>,
    watches: BTreeSet<TabId>,
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
#[derive(Clone, Copy, Debug)]
struct Log {
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
    update: Bytes,
}

impl Row {
    fn new(reader: Reader, index: u64, is_pending: bool, update: Bytes) -> Self {
        let (indexes, finders) = ([(reader, index)].into(), BTreeSet::new());
        Self { indexes, finders, is_pending, update }
    }
}

impl Browser {
    pub fn new(random: &mut Random) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random.next_u64().to_le_bytes());
        Self {
            session: SessionKey(key),
            device: BTreeMap::new(),
            logs: BTreeMap::new(),
            last_mark: 0,
            told: BTreeMap::new(),
            lost: Vec::new(),
            last_tab: 0,
            tabs: BTreeMap::new(),
            lock: VecDeque::new(),
            folds: 0,
            elections: 0,
        }
    }

    // ---- tabs ---------------------------------------------------------------------------------

    /// A tab is opened.
    pub fn open_tab(&mut self, now: Time) -> TabId {
        self.last_tab += 1;
        let tab = TabId(self.last_tab);
        self.tabs.insert(tab, Mailbox::default());
        self.put(tab, now, tabs::Input::Ready);
        self.lock.push_back(tab);
        self.grant(tab, now);
        tab
    }

    fn grant(&mut self, to: TabId, at: Time) {
        if self.lock.front() == Some(&to) {
            self.elections += 1;
            self.put(to, at, tabs::Input::Leads);
        }
    }

    /// A tab is gone; its locks are free.
    pub fn close_tab(&mut self, tab: TabId, random: &mut Random, now: Time) {
        self.tabs.remove(&tab);
        let at = now + Duration::from_millis(random.below(50));
        let watchers: Vec<_> =
            self.tabs.iter().filter(|(_, it)| it.watches.contains(&tab)).collect();
        let watchers: Vec<_> = watchers.into_iter().map(|(id, _)| *id).collect();
        for id in watchers {
            self.put(id, at, tabs::Input::Gone(tab));
        }
        let was_leader = self.lock.front() == Some(&tab);
        self.lock.retain(|id| *id != tab);
        if let Some(next) = self.lock.front().copied().filter(|_| was_leader) {
            self.grant(next, at);
        }
    }

    /// A tab wants to know when another one is gone.
    pub fn watch(&mut self, own: TabId, other: TabId, now: Time) {
        if !self.tabs.contains_key(&other) {
            return self.put(own, now, tabs::Input::Gone(other));
        }
        if let Some(mailbox) = self.tabs.get_mut(&own) {
            mailbox.watches.insert(other);
        }
    }

    pub fn post(&mut self, from: TabId, to: Option<TabId>, message: &Bytes, at: Time) {
        let others = self.tabs.keys().copied().filter(|id| *id != from);
        let to: Vec<_> = others.filter(|id| to.is_none_or(|to| to == *id)).collect();
        for id in to {
            self.put(id, at, tabs::Input::Heard(message.clone()));
        }
    }

    /// Messages of one tab to another stay in order.
    fn put(&mut self, to: TabId, at: Time, input: tabs::Input) {
        let Some(mailbox) = self.tabs.get_mut(&to) else { return };
        let at = mailbox.inputs.back().map_or(at, |(last, _)| at.max(*last));
        mailbox.inputs.push_back((at, input));
    }

    pub fn take(&mut self, tab: TabId, now: Time) -> Option<tabs::Input> {
        let mailbox = self.tabs.get_mut(&tab)?;
        mailbox.inputs.pop_front_if(|(at, _)| *at <= now).map(|(_, input)| input)
    }

    pub fn next_at(&self, tab: TabId) -> Option<Time> {
        self.tabs.get(&tab)?.inputs.front().map(|(at, _)| *at)
    }

    // ---- the device ---------------------------------------------------------------------------

    /// Writes behind a fence: only to the rows that the reader knows.
    pub fn write(
        &mut self,
        reader: Reader,
        name: &RoomName,
        writes: Vec<Write>,
    ) -> Result<(), Error> {
        if !self.knows(reader, name) {
            let text = "what was kept here was taken away";
            return Err(Error::new(Code::DeviceUnavailable, text));
        }
        let kept = self.device.entry(name.clone()).or_default();
        let log = self.logs.get_mut(&reader).expect("it is loaded");
        self.last_mark += 1;
        log.mark = Some(*kept.mark.get_or_insert(self.last_mark));
        for write in writes {
            match write {
                Write::Append(Record { index, is_pending, update }) => {
                    let mut rows = kept.records.iter_mut();
                    let found = rows.find(|row| {
                        is_pending && row.finders.contains(&reader) && row.update == update
                    });
                    if let Some(row) = found {
                        row.finders.remove(&reader);
                        row.indexes.insert(reader, index);
                    } else {
                        kept.records.push(Row::new(reader, index, is_pending, update));
                    }
                }
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
                Write::Fold { through, snapshot, .. } => {
                    self.folds += 1;
                    kept.snapshots.retain(|row| !row.indexes.contains_key(&reader));
                    kept.records.retain(|row| {
                        let index = row.indexes.get(&reader);
                        row.is_pending || index.is_none_or(|index| *index > through)
                    });
                    kept.snapshots.push(Row::new(reader, 0, false, snapshot));
                }
                other => panic!("unknown write {other:?}"),
            }
        }
        Ok(())
    }

    /// Whether the rows of a room are still those that a reader has loaded.
    pub fn knows(&self, reader: Reader, name: &RoomName) -> bool {
        let Some(log) = self.logs.get(&reader) else { return false };
        let Some(kept) = self.device.get(name) else { return true };
        match log.mark {
            Some(_) => log.mark == kept.mark,
            None => kept.before.is_none(),
        }
    }

    pub fn load(
        &mut self,
        reader: Reader,
        name: &RoomName,
        lineage: Option<Lineage>,
    ) -> Result<StoredCopy, Error> {
        let kept = self.device.entry(name.clone()).or_default();
        let unavailable = |text| Err(Error::new(Code::DeviceUnavailable, text));
        if let Some(log) = self.logs.get(&reader) {
            let was_set_aside = log.mark != kept.mark && kept.before.is_some();
            if was_set_aside && lineage.is_none_or(|lineage| !kept.metas.contains_key(&lineage)) {
                return unavailable("another tab has set this copy of the room aside");
            }
        }
        let mut twins = BTreeMap::<_, usize>::new();
        for row in kept.records.iter().filter(|row| row.is_pending) {
            *twins.entry(&row.update).or_default() += 1;
        }
        let most = twins.into_values().max().unwrap_or_default();
        assert!(most <= TWINS_MAX, "an edit is on the device {most} times");
        let meta = kept.metas.values().next().copied();
        self.logs.insert(reader, Log { mark: kept.mark, lineage: meta.map(|meta| meta.lineage) });
        let rows = kept.snapshots.iter_mut().chain(&mut kept.records);
        rows.for_each(|row| row.indexes.retain(|of, _| *of != reader));
        let mut records = Vec::new();
        for (index, row) in (0..).zip(kept.snapshots.iter_mut().chain(&mut kept.records)) {
            row.indexes.insert(reader, index);
            records.push(Record { index, is_pending: row.is_pending, update: row.update.clone() });
        }
        // The first snapshot has no index; further ones are records to whoever loads them.
        let snapshot = (!kept.snapshots.is_empty()).then(|| records.remove(0).update);
        if snapshot.is_none() {
            for (record, row) in records.iter_mut().zip(&mut kept.records) {
                record.index += 1;
                row.indexes.insert(reader, record.index);
            }
        }
        if kept.metas.len() > 1 {
            let text = "this device holds two histories of the room";
            return Err(Error::new(Code::RoomLineageMismatch, text));
        }
        Ok(StoredCopy { meta, snapshot, records, damage: None })
    }

    /// Puts a copy in the place of the rows that a reader knows. The rest is set aside as well when
    /// the history is over that it belongs to, and otherwise stays.
    pub fn set_aside(&mut self, reader: Reader, name: &RoomName, copy: &SetAsideCopy) {
        let knows = self.knows(reader, name);
        self.logs.remove(&reader);
        if !knows {
            return;
        }
        let kept = self.device.entry(name.clone()).or_default();
        let is_over = matches!(copy.error.code, Code::RoomDeleted | Code::RoomLineageMismatch);
        let mut aside = Replica::new(ClientId::from_u32(1));
        aside.apply(&copy.update, &Limits::default()).expect("a copy is whole");
        let mut rows = std::mem::take(&mut kept.snapshots);
        rows.append(&mut kept.records);
        // In this order, or another one: a row may need what stands behind it.
        while let Some(at) = rows.iter().position(|row| {
            let is_known = row.indexes.contains_key(&reader);
            (is_known || is_over) && aside.apply(&row.update, &Limits::default()).is_ok()
        }) {
            rows.remove(at);
        }
        // What is left stands by itself, beside the copy or as rows of the room as it goes on.
        if !is_over {
            kept.records = rows;
        }
        let told = self.told.remove(name).unwrap_or_default();
        let has = aside.known();
        assert!(is_over || has.covers(&told), "{told:?} was on the device, {has:?} is set aside");
        kept.metas.clear();
        self.last_mark += 1;
        kept.before = Some(kept.mark.replace(self.last_mark));
    }

    /// What is pending of a room that this reader does not know.
    pub fn load_stranded(&mut self, reader: Reader, name: &RoomName) -> Vec<Bytes> {
        if !self.knows(reader, name) {
            return Vec::new();
        }
        let rows = self.device.get_mut(name).into_iter().flat_map(|kept| &mut kept.records);
        let stranded = rows.filter(|row| row.is_pending && !row.indexes.contains_key(&reader));
        stranded
            .map(|row| {
                row.finders.insert(reader);
                row.update.clone()
            })
            .collect()
    }

    /// The first room behind this one with rows that are pending.
    pub fn stranded(&self, after: Option<&RoomName>) -> Option<RoomName> {
        let is_stranded = |kept: &Kept| kept.records.iter().any(|row| row.is_pending);
        let rooms = self.device.iter().filter(|(_, kept)| is_stranded(kept)).map(|(name, _)| name);
        rooms.into_iter().find(|name| after.is_none_or(|after| *name > after)).cloned()
    }

    /// Which history the device's copy of a room has.
    pub fn lineage(&self, name: &RoomName) -> Option<Lineage> {
        self.device.get(name)?.metas.keys().next().copied()
    }
}
