//! What a room still has to bring to the relay, and how far each edit has come.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::doc::guard::{self, Mode};
use crate::doc::known::Known;
use crate::doc::splice;
use crate::ids::EditNumber;
use crate::limits::Limits;

/// At most this many edits are merged into one.
const MERGE_MAX: usize = 500;

/// Own edits that are not known to be durable on the relay, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    last: EditNumber,
    device: EditNumber,
    accepted: EditNumber,
    durable: EditNumber,
}

#[derive(Debug)]
struct Entry {
    number: EditNumber,
    /// The record on the device.
    index: u64,
    update: Bytes,
}

impl Outbox {
    /// Adds an edit and numbers it.
    pub(super) fn push(&mut self, index: u64, update: Bytes) -> EditNumber {
        self.last = EditNumber(self.last.0 + 1);
        self.entries.push_back(Entry { number: self.last, index, update });
        self.last
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

    pub(super) fn set_device(&mut self, through: EditNumber) {
        self.device = self.device.max(through);
    }

    /// What was accepted but not durable may be gone with the relay's memory.
    pub(super) fn lose_acceptance(&mut self) {
        self.accepted = self.durable;
    }

    /// Moves the relay's watermarks, which never pass what was sent. The answer is the records of
    /// the edits that became durable.
    pub(super) fn acknowledge(&mut self, accepted: EditNumber, durable: EditNumber) -> Vec<u64> {
        self.accepted = self.accepted.max(accepted.min(self.last));
        self.durable = self.durable.max(durable.min(self.last));
        let mut indexes = Vec::new();
        while self.entries.front().is_some_and(|entry| entry.number <= self.durable) {
            indexes.extend(self.entries.pop_front().map(|entry| entry.index));
        }
        indexes
    }

    /// The pending edits as few updates, when they are all that a relay with this state vector
    /// lacks of a copy; `None` when it lacks more and needs the whole difference.
    pub(super) fn batches(
        &self,
        theirs: &Known,
        ours: &Known,
        limits: &Limits,
    ) -> Option<Vec<(EditNumber, Bytes)>> {
        let mut reached = theirs.clone();
        for entry in &self.entries {
            let summary =
                guard::check(&entry.update, &reached, Mode::Live, &|_| false, limits).ok()?;
            reached.advance(&summary);
        }
        reached.covers(ours).then(|| self.merged(limits))
    }

    fn merged(&self, limits: &Limits) -> Vec<(EditNumber, Bytes)> {
        let mut batches = Vec::new();
        let mut batch: Vec<Bytes> = Vec::new();
        let (mut bytes, mut number) = (0, EditNumber(0));
        for entry in &self.entries {
            let is_full = batch.len() >= MERGE_MAX
                || bytes + entry.update.len() > limits.update_bytes_max / 2;
            if is_full && !batch.is_empty() {
                push_batch(&mut batches, number, std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes += entry.update.len();
            number = entry.number;
            batch.push(entry.update.clone());
        }
        push_batch(&mut batches, number, batch);
        batches
    }
}

fn push_batch(batches: &mut Vec<(EditNumber, Bytes)>, number: EditNumber, mut batch: Vec<Bytes>) {
    match splice::merge(&batch) {
        _ if batch.is_empty() => {}
        Ok(merged) if batch.len() > 1 => batches.push((number, merged.into())),
        // Unmerged they say the same; only the last one may carry the number.
        _ => {
            let last = batch.pop();
            batches.extend(batch.into_iter().map(|update| (EditNumber(0), update)));
            batches.extend(last.map(|update| (number, update)));
        }
    }
}
