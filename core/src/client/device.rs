//! What the device has of a room: which records, what is still to be written, and the way back
//! after its store failed.

use bytes::Bytes;

use super::aside::SetAsideCopy;
use super::backoff::Backoff;
use super::outbox::Found;
use super::report::DeviceReport;
use super::room::Room;
use super::{Kept, Meta, Output, Record, StoredCopy, Write};
use crate::error::{Code, Error};
use crate::ids::{EditNumber, Sequence};
use crate::limits::Limits;
use crate::time::Time;

/// The device's log of a room is folded into a snapshot when that makes more than these go.
const FOLD_RECORDS_MIN: usize = 500;
const FOLD_BYTES_MIN: usize = 256 << 10;
/// No structs, no deletions.
const EMPTY_UPDATE: &[u8] = &[0, 0];
/// The record that is the snapshot.
const SNAPSHOT: u64 = 0;

/// Where updates are pending on the device, by index, and how large they are.
pub(super) type Records = Vec<(u64, usize)>;

/// Where this device keeps the room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// In the device's store.
    Device,
    /// In the device's store, which also holds something of the room that cannot be used, or has
    /// lost all of it. What is there is left as it is; what is written from here on is kept.
    Damaged {
        /// What it is.
        error: Error,
    },
    /// In memory only: the device has no store.
    Memory,
    /// In memory only, until the device's store can be used again.
    Lost {
        /// Why.
        error: Error,
    },
}

/// What waits to be written to the device, and what was.
#[derive(Debug)]
pub(super) struct Device {
    phase: Phase,
    pub(super) backoff: Backoff,
    next_index: u64,
    ticket: u64,
    /// The write under way.
    writing: Vec<Write>,
    /// The highest own edit in it.
    writing_number: EditNumber,
    waiting: Vec<Write>,
    waiting_number: EditNumber,
    pub(super) is_meta_due: bool,
    /// There is more in the document than in the store and in what waits.
    is_fold_due: bool,
    /// What a fold would make go: records that are not pending.
    settled_records: usize,
    settled_bytes: usize,
    snapshot_bytes: usize,
    /// Records that cannot be used, at least not yet.
    unusable: Vec<Record>,
    /// Why.
    damage: Option<Error>,
    /// What was read may be more than the relay has, and not all of that is pending.
    pub(super) is_in_doubt: bool,
    /// Why something that is stored cannot even be read.
    unreadable: Option<Error>,
    /// What is to be kept in the place of all that is stored then, one after the other.
    aside: Vec<Aside>,
    /// The store was asked to, and what it answers is what there is then.
    is_replacing: bool,
    /// What is stored is of another history than the document, or of two of them.
    dispute: Option<Error>,
}

/// A copy on its way into the store.
#[derive(Clone, Debug)]
struct Aside {
    copy: SetAsideCopy,
    /// The app does not want it any more.
    is_dropped: bool,
}

/// How the device's store stands to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Absent,
    /// What it has is being read.
    Reading,
    /// What it lacks after it failed is being written.
    Restoring,
    /// It gets whatever comes.
    Open,
    /// It failed; the next attempt is made at this time.
    Lost { retry_at: Time },
}

impl Device {
    pub(super) fn new(storage: &Storage) -> Self {
        let phase = if *storage == Storage::Device { Phase::Reading } else { Phase::Absent };
        Self {
            phase,
            backoff: Backoff::new(),
            next_index: 1,
            ticket: 0,
            writing: Vec::new(),
            writing_number: EditNumber(0),
            waiting: Vec::new(),
            waiting_number: EditNumber(0),
            is_meta_due: false,
            is_fold_due: false,
            settled_records: 0,
            settled_bytes: 0,
            snapshot_bytes: 0,
            unusable: Vec::new(),
            damage: None,
            is_in_doubt: false,
            unreadable: None,
            aside: Vec::new(),
            is_replacing: false,
            dispute: None,
        }
    }

    const fn is_writing(&self) -> bool {
        !self.writing.is_empty()
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(super) const fn is_reading(&self) -> bool {
        matches!(self.phase, Phase::Reading)
    }

    /// Whether what was read is what a copy is still to take the place of.
    pub(super) const fn is_outdated(&self) -> bool {
        !self.aside.is_empty() && !self.is_replacing
    }

    /// What was read comes at a bad time: it is to be read again.
    pub(super) const fn read_later(&mut self, now: Time) {
        self.phase = Phase::Lost { retry_at: now };
    }

    /// Keeps a copy in the place of all that is stored, as soon as that is possible. What cannot be
    /// used goes with it, as it is.
    pub(super) fn replace(&mut self, copy: SetAsideCopy, is_dropped: bool) {
        self.waiting.clear();
        self.end_dispute();
        let error = copy.error.clone();
        self.aside.push(Aside { copy, is_dropped });
        for Record { update, .. } in std::mem::take(&mut self.unusable) {
            let copy = SetAsideCopy::new(error.clone(), update);
            self.aside.push(Aside { copy, is_dropped: false });
        }
        self.is_replacing = false;
    }

    /// The relay has said which history goes on: all that is stored is set aside, before anything else.
    fn end_dispute(&mut self) {
        if let Some(error) = self.dispute.take() {
            let copy = SetAsideCopy::new(error, Bytes::from_static(EMPTY_UPDATE));
            self.aside.insert(0, Aside { copy, is_dropped: true });
        }
    }

    /// A copy that may not be kept yet is not to be kept, or is after all.
    pub(super) fn drop_copy(&mut self, id: &str, is_dropped: bool) {
        let copies = self.aside.iter_mut().filter(|aside| aside.copy.id == id);
        copies.for_each(|aside| aside.is_dropped = is_dropped);
    }

    pub(super) fn is_copy_dropped(&self, id: &str) -> Option<bool> {
        self.aside.iter().find(|aside| aside.copy.id == id).map(|aside| aside.is_dropped)
    }

    /// Whether what happens now reaches the store.
    pub(super) const fn takes_records(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Restoring)
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damage().is_some()
    }

    fn damage(&self) -> Option<&Error> {
        self.unreadable.as_ref().or(self.damage.as_ref())
    }

    fn count_settled(&mut self, bytes: usize) {
        self.settled_records += 1;
        self.settled_bytes += bytes;
    }

    /// By what it makes go, so that edits that stay pending do not bring one snapshot after another.
    const fn wants_fold(&self) -> bool {
        let is_long =
            self.settled_records >= FOLD_RECORDS_MIN || self.settled_bytes >= FOLD_BYTES_MIN;
        is_long && self.settled_bytes * 2 >= self.snapshot_bytes
    }
}

impl Room {
    /// When the store is to be tried again. While a copy is on its way aside, nothing stored can be
    /// brought into the document that takes its place. Of two histories only the relay knows which one
    /// goes on: it has let this session into the one of the document.
    pub(super) fn store_retry_at(&self) -> Option<Time> {
        let is_decided = self.may_send || self.device.dispute.is_none();
        match self.device.phase {
            Phase::Lost { retry_at } if is_decided && self.leaving.is_none() => Some(retry_at),
            _ => None,
        }
    }

    /// Asks for what is stored, after it was replaced when that is due.
    pub(super) fn read_store(&mut self) -> Output {
        self.device.end_dispute();
        self.device.phase = Phase::Reading;
        self.device.is_replacing = !self.device.aside.is_empty();
        let (key, name) = (self.key, self.name.clone());
        match self.device.aside.first().cloned() {
            Some(Aside { copy, is_dropped }) => Output::SetAside { key, name, copy, is_dropped },
            None => Output::Load { key, name, lineage: self.lineage() },
        }
    }

    /// Brings what the device has into the document, and plans to write what it lacks, if it was
    /// lost before. The answer is the edits in it that are new here and have to reach the relay.
    pub(super) fn take_copy(
        &mut self,
        copy: StoredCopy,
        limits: &Limits,
    ) -> Result<Vec<(EditNumber, Bytes)>, Error> {
        if self.device.phase == Phase::Absent {
            return Ok(Vec::new());
        }
        let is_other = |theirs: Meta| self.meta.is_some_and(|ours| ours.lineage != theirs.lineage);
        if copy.meta.is_some_and(is_other) {
            let text = "this device's copy of the room has another history than this document";
            return Err(Error::new(Code::RoomLineageMismatch, text));
        }
        if let (None, Some(meta)) = (self.role, copy.meta) {
            self.set_role(meta.role);
        }
        let is_back = self.is_loaded;
        if std::mem::take(&mut self.device.is_replacing) {
            self.device.aside.remove(0);
        }
        self.device.is_fold_due = is_back && !self.replica.known().is_empty();
        self.device.is_meta_due = self.meta.is_some() && self.meta != copy.meta;
        self.device.waiting.clear();
        self.device.unusable.clear();
        (self.device.settled_records, self.device.settled_bytes) = (0, 0);
        self.device.snapshot_bytes = copy.snapshot.as_ref().map_or(0, Bytes::len);
        let last_index = copy.records.iter().map(|record| record.index).max();
        self.device.next_index = last_index.unwrap_or(SNAPSHOT) + 1;
        self.outbox.forget_records();
        self.sharing.entrusted.forget_records();
        let snapshot =
            copy.snapshot.map(|update| Record { index: SNAPSHOT, is_pending: false, update });
        let records = snapshot.into_iter().chain(copy.records).collect();
        let (found, twins) = self.use_records(records, limits);
        self.device.unreadable = copy.damage;
        self.device.is_in_doubt |= self.device.is_damaged();
        if self.meta.is_none() {
            // Of what cannot be used nobody knows where in the log it stands: all of it is synced.
            let is_whole = self.device.damage().is_none();
            let sequence = |meta: Meta| if is_whole { meta.sequence } else { Sequence(0) };
            self.meta = copy.meta.map(|meta| Meta { sequence: sequence(meta), ..meta });
            self.keep_history();
        }
        self.device.phase = Phase::Open;
        let first = self.device.next_index;
        let updates = self.outbox.give_records(first);
        for (index, update) in (first..).zip(updates) {
            self.device.next_index = index + 1;
            self.device.waiting.push(Write::Append(Record { index, is_pending: true, update }));
        }
        self.device.waiting_number = self.outbox.last();
        if self.device.waiting.is_empty() && !self.device.is_fold_due && !self.device.is_meta_due {
            self.outbox.set_device(self.outbox.last());
            self.show_storage();
        } else {
            self.device.phase = Phase::Restoring;
        }
        self.settle_records(&twins);
        Ok(found)
    }

    /// Tries again what could not be used before the sync, which may have brought what it needs.
    pub(super) fn use_what_was_left(&mut self, limits: &Limits) -> Vec<(EditNumber, Bytes)> {
        if self.device.unusable.is_empty() || !self.device.takes_records() {
            return Vec::new();
        }
        let records = std::mem::take(&mut self.device.unusable);
        let (found, twins) = self.use_records(records, limits);
        // What was found is on the device.
        self.device.waiting_number = self.outbox.last();
        self.settle_records(&twins);
        self.note_device();
        if self.device.is_open() {
            self.show_storage();
        }
        found
    }

    /// Brings records into the document. Those of two tabs lie as they were written: one may need
    /// what stands behind it. The answer is the edits that are new here, and the records of others that
    /// are not needed.
    fn use_records(
        &mut self,
        records: Vec<Record>,
        limits: &Limits,
    ) -> (Vec<(EditNumber, Bytes)>, Records) {
        let limits = limits.for_taken();
        let (mut rest, mut found) = (records, Vec::new());
        self.device.damage = None;
        loop {
            let (before, mut last_error) = (rest.len(), None);
            rest.retain(|record| match self.replica.apply(&record.update, &limits) {
                Ok(summary) => {
                    // In this order; that some of them are pending is kept behind.
                    if summary.is_news {
                        self.device.is_in_doubt |= !record.is_pending;
                        self.kept.push(Kept::Other { update: record.update.clone() });
                    }
                    found.push(record.clone());
                    false
                }
                Err(error) => {
                    last_error = Some(error);
                    true
                }
            });
            if let Some(error) = last_error.filter(|_| rest.len() == before) {
                let text = format!(
                    "{before} records of this device's copy cannot be used, and are left as they are: {}",
                    error.message
                );
                self.device.damage = Some(Error::new(Code::DeviceUnavailable, text));
                break;
            }
            if rest.is_empty() {
                break;
            }
        }
        self.device.unusable = rest;
        let (mut edits, mut twins) = (Vec::new(), Vec::new());
        // In the order in which they build on each other.
        for Record { index, is_pending, update } in found {
            if !is_pending {
                if index != SNAPSHOT {
                    self.device.count_settled(update.len());
                }
            } else {
                match self.outbox.find_record(index, &update) {
                    Found::Here => {}
                    // Several tabs wrote it down. Whoever reads them keeps the first one of them.
                    Found::Twice => twins.push((index, update.len())),
                    Found::Nowhere => {
                        let number = self.push_pending(index, update.clone());
                        edits.push((number, update));
                    }
                }
            }
        }
        (edits, twins)
    }

    fn show_storage(&mut self) {
        let damage = self.device.damage().cloned();
        self.storage = damage.map_or(Storage::Device, |error| Storage::Damaged { error });
    }

    /// Notes an update for the device; the answer is the index of its record.
    pub(super) fn record(&mut self, update: Bytes, is_pending: bool) -> u64 {
        let index = self.device.next_index;
        if self.device.takes_records() {
            self.device.next_index += 1;
            if !is_pending {
                self.device.count_settled(update.len());
            }
            self.device.waiting.push(Write::Append(Record { index, is_pending, update }));
        }
        index
    }

    pub(super) const fn note_waiting(&mut self, number: EditNumber) {
        self.device.waiting_number = number;
    }

    /// Notes that own edits are durable on the relay: where they are recorded, and how large they are.
    pub(super) fn settle_records(&mut self, settled: &[(u64, usize)]) {
        if settled.is_empty() || !self.device.takes_records() {
            return;
        }
        for (_, bytes) in settled {
            self.device.count_settled(*bytes);
        }
        let indexes = settled.iter().map(|(index, _)| *index).collect();
        self.device.waiting.push(Write::Settle { indexes });
    }

    /// The next write for the device, when none is under way.
    pub(super) fn next_write(&mut self) -> Option<Output> {
        if self.device.is_writing() { None } else { self.last_write() }
    }

    /// What waits to be written, even behind a write under way: for a room that is being closed. That one
    /// may fail, and this one says where in the relay's log all of it stands: so it is in here once more.
    pub(super) fn last_write(&mut self) -> Option<Output> {
        if !self.device.takes_records() {
            return None;
        }
        if !self.device.aside.is_empty() {
            return Some(self.read_store());
        }
        let device = &mut self.device;
        let mut is_more = !device.waiting.is_empty();
        let mut writes = std::mem::take(&mut device.writing);
        writes.append(&mut device.waiting);
        // What is not in sight yet has no place on the device.
        if self.leaving.is_none()
            && std::mem::take(&mut device.is_meta_due)
            && let Some(meta) = self.meta
        {
            is_more = true;
            writes.push(Write::SetMeta(meta));
        }
        let is_fold_due = std::mem::take(&mut device.is_fold_due);
        if !is_more && !is_fold_due {
            return None;
        }
        // Only when nothing else waits: the snapshot holds all that the document holds.
        if is_fold_due || device.wants_fold() {
            let shown = self.leaving.as_ref().map_or(&self.replica, |leaving| &leaving.replica);
            let snapshot = Bytes::from(shown.state());
            (device.settled_records, device.settled_bytes) = (0, 0);
            device.snapshot_bytes = snapshot.len();
            let except = device.unusable.iter().map(|record| record.index).collect();
            writes.push(Write::Fold { through: device.next_index - 1, except, snapshot });
        }
        device.writing = writes.clone();
        device.ticket += 1;
        device.writing_number = device.waiting_number;
        let (key, name, ticket) = (self.key, self.name.clone(), device.ticket);
        Some(Output::Write { key, name, ticket, writes })
    }

    pub(super) fn written(&mut self, ticket: u64) {
        if !self.device.is_writing() || ticket != self.device.ticket {
            return;
        }
        self.device.writing.clear();
        self.outbox.set_device(self.device.writing_number);
        self.note_device();
        if self.device.phase == Phase::Restoring {
            self.device.phase = Phase::Open;
            self.show_storage();
        } else {
            self.device.backoff.reset();
        }
    }

    /// Where nothing is to be written any more, the device has all that it was to have.
    fn note_device(&mut self) {
        if !self.device.is_writing() && self.device.waiting.is_empty() {
            self.outbox.set_device(self.device.waiting_number);
        }
    }

    /// From here on the room is in memory only, until the store can be used again.
    pub(super) fn lose_storage(&mut self, error: Error, retry_at: Time) {
        if error.code == Code::RoomLineageMismatch {
            // The store has done what it was asked to. Another copy would make room among rows that are
            // not of its history, and leave the rest without one.
            if std::mem::take(&mut self.device.is_replacing) {
                self.device.aside.remove(0);
            }
            self.device.dispute = Some(error.clone());
        }
        self.storage = Storage::Lost { error };
        self.device.phase = Phase::Lost { retry_at };
        self.device.writing.clear();
        self.device.waiting.clear();
    }

    pub(super) fn device_report(&self) -> DeviceReport {
        let device = &self.device;
        let (records, bytes) =
            self.outbox.pending().fold((0, 0), |(n, sum), (_, it)| (n + 1, sum + it.len()));
        DeviceReport {
            records: (device.settled_records + records) as u64,
            record_bytes: (device.settled_bytes + bytes) as u64,
            snapshot_bytes: device.snapshot_bytes as u64,
            waiting: device.waiting.len() as u64,
            is_writing: device.is_writing(),
        }
    }
}
