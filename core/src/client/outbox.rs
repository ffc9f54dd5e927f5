//! What a room still has to bring to the relay, and how far each edit has come.

use std::collections::VecDeque;

use bytes::Bytes;

use super::device::Records;
use crate::doc::guard::{self, Mode};
use crate::doc::known::Known;
use crate::doc::splice;
use crate::ids::EditNumber;
use crate::limits::Limits;
use crate::wire::v1::EditKind;

/// At most this many edits are merged into one.
const MERGE_MAX: usize = 500;

/// An edit as it is sent: the number of the last own one inside, how the relay has to look at it,
/// and the update.
pub(super) type Sending = (EditNumber, EditKind, Bytes);

/// Own edits that are not known to be durable on the relay, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    last: EditNumber,
    device: EditNumber,
    accepted: EditNumber,
    durable: EditNumber,
}

/// What a record on the device is to the outbox.
#[derive(Debug)]
pub(super) enum Found {
    /// The record of an edit in it.
    Here,
    /// An edit in it, which has a record already.
    Twice,
    /// An edit that is not in it.
    Nowhere,
}

#[derive(Debug)]
struct Entry {
    number: EditNumber,
    /// The record on the device; 0 when it has none.
    index: u64,
    kind: EditKind,
    update: Bytes,
}

impl Outbox {
    /// Adds an edit and numbers it. What an earlier session left behind was written under another
    /// client id, which is a difference to the relay and no live edit.
    pub(super) fn push(&mut self, index: u64, kind: EditKind, update: Bytes) -> EditNumber {
        self.last = EditNumber(self.last.0 + 1);
        self.entries.push_back(Entry { number: self.last, index, kind, update });
        self.last
    }

    /// What is not known to be durable.
    pub(super) fn pending(&self) -> impl Iterator<Item = (EditNumber, &Bytes)> {
        self.entries.iter().map(|entry| (entry.number, &entry.update))
    }

    pub(super) const fn last(&self) -> EditNumber {
        self.last
    }

    pub(super) const fn device(&self) -> EditNumber {
        self.device
    }

    pub(super) const fn accepted(&self) -> EditNumber {
        self.accepted
    }

    pub(super) const fn durable(&self) -> EditNumber {
        self.durable
    }

    /// Gives up what is not durable: nobody brings it to the relay any more.
    pub(super) fn abandon(&mut self) {
        self.entries.clear();
        self.device = self.last;
        self.accepted = self.last;
        self.durable = self.last;
    }

    pub(super) fn set_device(&mut self, through: EditNumber) {
        self.device = self.device.max(through);
    }

    /// What was accepted but not durable may be gone with the relay's memory.
    pub(super) fn lose_acceptance(&mut self) {
        self.accepted = self.durable;
    }

    /// Notes that no edit is known to be recorded: the device's log is read again.
    pub(super) fn forget_records(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.index = 0);
    }

    /// Notes where an edit is recorded.
    pub(super) fn find_record(&mut self, index: u64, update: &Bytes) -> Found {
        match self.entries.iter_mut().find(|entry| entry.update == update) {
            Some(entry) if entry.index == 0 => {
                entry.index = index;
                Found::Here
            }
            Some(_) => Found::Twice,
            None => Found::Nowhere,
        }
    }

    /// Numbers the records of all edits that have none, and gives their contents.
    pub(super) fn give_records(&mut self, first: u64) -> Vec<Bytes> {
        let unrecorded = self.entries.iter_mut().filter(|entry| entry.index == 0);
        let numbered = unrecorded.zip(first..).map(|(entry, index)| {
            entry.index = index;
            entry.update.clone()
        });
        numbered.collect()
    }

    /// Moves the relay's watermarks, which never pass what was sent. The answer is the records of
    /// the edits that became durable.
    pub(super) fn acknowledge(&mut self, accepted: EditNumber, durable: EditNumber) -> Records {
        self.accepted = self.accepted.max(accepted.min(self.last));
        self.durable = self.durable.max(durable.min(self.last));
        let mut settled = Vec::new();
        while self.entries.front().is_some_and(|entry| entry.number <= self.durable) {
            settled.extend(self.entries.pop_front().map(|it| (it.index, it.update.len())));
        }
        settled
    }

    /// How many updates wait, and how many bytes they have.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.entries.iter().map(|entry| entry.update.len()).sum())
    }

    /// The pending edits as few updates, and what a relay with this state vector has after them;
    /// `None` when it lacks what they need.
    pub(super) fn batches(&self, theirs: &Known, limits: &Limits) -> Option<(Vec<Sending>, Known)> {
        let mut reached = theirs.clone();
        for entry in &self.entries {
            let summary =
                guard::check(&entry.update, &reached, Mode::State, &|_| false, limits).ok()?;
            reached.advance(&summary);
        }
        Some((self.merged(limits), reached))
    }

    fn merged(&self, limits: &Limits) -> Vec<Sending> {
        let mut batches: Vec<Batch> = Vec::new();
        for entry in &self.entries {
            let bytes = entry.update.len();
            match batches.last_mut() {
                Some(batch) if batch.takes(entry.kind, bytes, limits) => batch.push(entry),
                _ => {
                    let mut batch = Batch::new(entry.kind);
                    batch.push(entry);
                    batches.push(batch);
                }
            }
        }
        batches.into_iter().flat_map(Batch::finish).collect()
    }
}

/// Edits that become one.
#[derive(Debug)]
struct Batch {
    kind: EditKind,
    bytes: usize,
    /// With their numbers.
    updates: Vec<(EditNumber, Bytes)>,
}

impl Batch {
    const fn new(kind: EditKind) -> Self {
        Self { kind, bytes: 0, updates: Vec::new() }
    }

    fn takes(&self, kind: EditKind, bytes: usize, limits: &Limits) -> bool {
        kind == self.kind
            && self.updates.len() < MERGE_MAX
            && self.bytes + bytes <= limits.update_bytes_max / 2
    }

    fn push(&mut self, entry: &Entry) {
        self.bytes += entry.update.len();
        self.updates.push((entry.number, entry.update.clone()));
    }

    fn finish(self) -> Vec<Sending> {
        let kind = self.kind;
        let updates: Vec<_> = self.updates.iter().map(|(_, update)| update.clone()).collect();
        match (splice::merge(&updates), self.updates.last()) {
            (Ok(merged), Some((last, _))) if updates.len() > 1 => {
                vec![(*last, kind, merged.into())]
            }
            // One by one they say the same.
            _ => self.updates.into_iter().map(|(number, update)| (number, kind, update)).collect(),
        }
    }
}
