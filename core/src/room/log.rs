//! The log of a room as it stands in memory: a snapshot, the updates since, and how far the disk is.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::doc::deletions::Deletions;
use crate::doc::guard::{self, Mode};
use crate::doc::known::Known;
use crate::doc::splice;
use crate::error::{Code, Error};
use crate::ids::{Epoch, Sequence};
use crate::limits::Limits;

/// More updates than this are worth folding, however small they are.
const TAIL_UPDATES_MAX: usize = 5_000;

/// Snapshot, tail and watermarks.
#[derive(Debug)]
pub(super) struct Log {
    epoch: Epoch,
    snapshot: Option<Bytes>,
    /// The sequence that the snapshot reaches to; the tail starts behind it.
    base: Sequence,
    tail: VecDeque<Bytes>,
    tail_bytes: usize,
    durable: Sequence,
    undurable_bytes: usize,
    /// Snapshot and tail in one, while the head is where it was made.
    merged: Option<(Sequence, Bytes)>,
    /// The bytes refused to be merged; the log stays as long as it is.
    is_unmergeable: bool,
}

impl Log {
    /// Walks all stored bytes once; what cannot be walked is damaged.
    pub(super) fn open(
        epoch: Epoch,
        snapshot: Option<(Sequence, Bytes)>,
        tail: Vec<(Sequence, Bytes)>,
        limits: &Limits,
    ) -> Result<(Self, Known, Deletions), Error> {
        let limits = limits.for_taken();
        let (mut known, mut deletions) = (Known::default(), Deletions::default());
        let mut admit = |sequence: Sequence, update: &Bytes| -> Result<(), Error> {
            let summary = guard::check(update, &known, Mode::State, &|_| false, &limits)
                .map_err(|error| damaged(sequence, &error.message))?;
            known.advance(&summary);
            if summary.has_deletes {
                deletions.add(&Deletions::of(update)?);
            }
            Ok(())
        };
        let base = snapshot.as_ref().map_or(Sequence(0), |(through, _)| *through);
        if let Some((through, update)) = &snapshot {
            admit(*through, update)?;
        }
        let mut head = base;
        for (sequence, update) in &tail {
            if *sequence != head.next() {
                return Err(damaged(*sequence, "an update before it is missing"));
            }
            head = *sequence;
            admit(head, update)?;
        }
        let tail: VecDeque<_> = tail.into_iter().map(|(_, update)| update).collect();
        let log = Self {
            epoch,
            snapshot: snapshot.map(|(_, update)| update),
            base,
            tail_bytes: tail.iter().map(Bytes::len).sum(),
            tail,
            durable: head,
            undurable_bytes: 0,
            merged: None,
            is_unmergeable: false,
        };
        Ok((log, known, deletions))
    }

    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn head(&self) -> Sequence {
        Sequence(self.base.0 + self.tail.len() as u64)
    }

    pub(super) const fn durable(&self) -> Sequence {
        self.durable
    }

    pub(super) const fn undurable_bytes(&self) -> usize {
        self.undurable_bytes
    }

    pub(super) const fn is_clean(&self) -> bool {
        self.undurable_bytes == 0
    }

    pub(super) fn append(&mut self, update: Bytes) -> Sequence {
        self.tail_bytes += update.len();
        self.undurable_bytes += update.len();
        self.tail.push_back(update);
        self.head()
    }

    pub(super) fn set_durable(&mut self, through: Sequence) {
        let through = through.min(self.head());
        for sequence in self.durable.0 + 1..=through.0 {
            self.undurable_bytes -= self.at(Sequence(sequence)).map_or(0, Bytes::len);
        }
        self.durable = self.durable.max(through);
    }

    fn at(&self, sequence: Sequence) -> Option<&Bytes> {
        let index = sequence.0.checked_sub(self.base.0 + 1)?;
        self.tail.get(usize::try_from(index).ok()?)
    }

    /// The updates behind a place in the log, when it is in the tail.
    pub(super) fn since(&self, epoch: Epoch, sequence: Sequence) -> Option<Vec<Bytes>> {
        let is_here = epoch == self.epoch && sequence >= self.base && sequence <= self.head();
        if !is_here || sequence == Sequence(0) {
            return None;
        }
        let missing: Vec<_> = (sequence.0 + 1..=self.head().0)
            .filter_map(|s| self.at(Sequence(s)).cloned())
            .collect();
        Some(in_one(missing))
    }

    /// Everything, as one update where possible.
    pub(super) fn whole(&mut self) -> Vec<Bytes> {
        let head = self.head();
        if let Some((at, merged)) = &self.merged
            && *at == head
        {
            return vec![merged.clone()];
        }
        let all = in_one(self.snapshot.iter().chain(&self.tail).cloned().collect());
        match all.as_slice() {
            [merged] => self.merged = Some((head, merged.clone())),
            several => self.is_unmergeable = !several.is_empty(),
        }
        all
    }

    /// What a state vector lacks; deletions are always included.
    pub(super) fn difference(&mut self, theirs: &Known) -> Vec<Bytes> {
        let whole = self.whole();
        if theirs.is_empty() {
            return whole;
        }
        whole
            .into_iter()
            .map(|update| splice::difference(&update, theirs).map_or(update, Bytes::from))
            .filter(|update| update.as_ref() != [0, 0])
            .collect()
    }

    pub(super) fn wants_compaction(&self, limits: &Limits) -> bool {
        let snapshot_bytes = self.snapshot.as_ref().map_or(0, Bytes::len);
        let is_long = self.tail_bytes > limits.tail_bytes_max.max(snapshot_bytes / 2)
            || self.tail.len() > TAIL_UPDATES_MAX;
        is_long && self.durable == self.head() && !self.is_unmergeable
    }

    /// The durable log in one. `None` when the bytes refuse to be merged: then the log stays long.
    pub(super) fn compaction(&mut self) -> Option<(Sequence, Bytes)> {
        let through = self.durable;
        match self.whole().as_slice() {
            [snapshot] if through == self.head() => Some((through, snapshot.clone())),
            _ => None,
        }
    }

    pub(super) fn compacted(&mut self, through: Sequence, snapshot: Bytes) {
        while self.base < through {
            let Some(update) = self.tail.pop_front() else { break };
            self.tail_bytes -= update.len();
            self.base = self.base.next();
        }
        self.snapshot = Some(snapshot);
    }
}

/// Merges updates in log order; leaves them as they are when that fails, which costs only frames.
fn in_one(updates: Vec<Bytes>) -> Vec<Bytes> {
    if updates.len() < 2 {
        return updates;
    }
    match splice::merge(&updates) {
        Ok(merged) => vec![merged.into()],
        Err(_) => updates,
    }
}

fn damaged(sequence: Sequence, why: &str) -> Error {
    let text = format!("the stored room is damaged at update {}: {why}", sequence.0);
    Error::new(Code::RoomUnavailable, text)
}
