//! A simulated browser: what its tabs share, which is a device's store, a lock, and a way to talk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs;
use coweave_core::client::{Meta, Record, RoomKey, StoredCopy, Write};
use coweave_core::doc::known::Known;
use coweave_core::ids::{Lineage, RoomName, SessionKey, TabId};
use coweave_core::random::Random;
use coweave_core::time::Time;

/// One browser, and what it keeps.
#[derive(Debug)]
pub struct Browser {
    pub session: SessionKey,
    device: BTreeMap<RoomName, Kept>,
    /// What a person was told is on the device.
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
    meta: Option<Meta>,
    snapshots: Vec<Row>,
    records: Vec<Row>,
}

/// An opened room of a tab.
pub type Reader = (TabId, RoomKey);

/// A row, and under which index each reader that knows it knows it.
#[derive(Clone, Debug)]
struct Row {
    indexes: BTreeMap<Reader, u64>,
    is_pending: bool,
    update: Bytes,
}

impl Browser {
    pub fn new(random: &mut Random) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random.next_u64().to_le_bytes());
        Self {
            session: SessionKey(key),
            device: BTreeMap::new(),
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

    pub fn write(&mut self, reader: Reader, name: &RoomName, writes: Vec<Write>) {
        let kept = self.device.entry(name.clone()).or_default();
        for write in writes {
            match write {
                Write::Append(Record { index, is_pending, update }) => {
                    let indexes = [(reader, index)].into();
                    kept.records.push(Row { indexes, is_pending, update });
                }
                Write::Settle { indexes } => {
                    let is_settled = |row: &Row| {
                        row.indexes.get(&reader).is_some_and(|index| indexes.contains(index))
                    };
                    let rows = kept.records.iter_mut().filter(|row| is_settled(row));
                    rows.for_each(|row| row.is_pending = false);
                }
                Write::SetMeta(meta) => kept.meta = Some(meta),
                Write::Fold { through, snapshot, .. } => {
                    self.folds += 1;
                    kept.snapshots.retain(|row| !row.indexes.contains_key(&reader));
                    kept.records.retain(|row| {
                        let index = row.indexes.get(&reader);
                        row.is_pending || index.is_none_or(|index| *index > through)
                    });
                    let indexes = [(reader, 0)].into();
                    kept.snapshots.push(Row { indexes, is_pending: false, update: snapshot });
                }
                other => panic!("unknown write {other:?}"),
            }
        }
    }

    pub fn load(&mut self, reader: Reader, name: &RoomName) -> StoredCopy {
        let kept = self.device.entry(name.clone()).or_default();
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
        StoredCopy { meta: kept.meta, snapshot, records, damage: None }
    }

    /// The first room behind this one with rows that are pending.
    pub fn stranded(&self, after: Option<&RoomName>) -> Option<RoomName> {
        let is_stranded = |kept: &Kept| kept.records.iter().any(|row| row.is_pending);
        let rooms = self.device.iter().filter(|(_, kept)| is_stranded(kept)).map(|(name, _)| name);
        rooms.into_iter().find(|name| after.is_none_or(|after| *name > after)).cloned()
    }

    /// Which history the device's copy of a room has.
    pub fn lineage(&self, name: &RoomName) -> Option<Lineage> {
        Some(self.device.get(name)?.meta?.lineage)
    }

    /// Forgets a room that was deleted.
    pub fn forget(&mut self, name: &RoomName) {
        self.device.remove(name);
        self.told.remove(name);
    }
}
