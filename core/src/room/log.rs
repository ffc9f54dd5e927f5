//! The log of a room as it stands in memory: a snapshot, the updates since, and how far the disk is.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Snapshot;
use crate::doc::deletions::Deletions;
use crate::doc::guard::{self, Mode};
use crate::doc::known::Known;
use crate::doc::nesting::Nesting;
use crate::error::{Code, Error};
use crate::ids::{Epoch, Sequence};
use crate::limits::Limits;

/// More updates than this are worth folding, however small they are.
const TAIL_UPDATES_MAX: usize = 5_000;

/// A room that nobody is in keeps no longer tail than this, so that it opens fast.
const TAIL_UPDATES_LEFT_MAX: usize = 200;

/// Snapshot, tail and watermarks.
#[derive(Debug)]
pub(super) struct Log {
    epoch: Epoch,
    /// The pieces of the snapshot.
    snapshot: Vec<Bytes>,
    snapshot_bytes: usize,
    /// The sequence that the snapshot reaches to; the tail starts behind it.
    base: Sequence,
    tail: VecDeque<Bytes>,
    tail_bytes: usize,
    durable: Sequence,
    undurable_bytes: usize,
    /// How deep types are nested, as of this sequence: looked at when somebody nests another one.
    nesting: (Nesting, Sequence),
}

impl Log {
    /// Walks all stored bytes once; what cannot be walked is damaged.
    pub(super) fn open(
        epoch: Epoch,
        snapshot: Option<Snapshot>,
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
        let Snapshot { through: base, pieces } =
            snapshot.unwrap_or(Snapshot { through: Sequence(0), pieces: Vec::new() });
        pieces.iter().try_for_each(|piece| admit(base, piece))?;
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
            snapshot_bytes: pieces.iter().map(Bytes::len).sum(),
            snapshot: pieces,
            base,
            tail_bytes: tail.iter().map(Bytes::len).sum(),
            tail,
            durable: head,
            undurable_bytes: 0,
            nesting: (Nesting::default(), Sequence(0)),
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

    /// What the log takes, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.snapshot_bytes + self.tail_bytes
    }

    /// Checks that an update which passed the guard nests no type too deeply. Most rooms have no
    /// nested types, so what is in the log is looked through when it is needed.
    pub(super) fn check_nesting(&mut self, update: &Bytes, limits: &Limits) -> Result<(), Error> {
        let head = self.head();
        let (mut nesting, through) = std::mem::take(&mut self.nesting);
        match self.since(through) {
            Some(mut since) => since.try_for_each(|update| nesting.add(update))?,
            // What was looked through before was folded since.
            None => self.updates().try_for_each(|update| nesting.add(update))?,
        }
        let checked = nesting.check(update, limits);
        self.nesting = (nesting, head);
        checked
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

    pub(super) const fn base(&self) -> Sequence {
        self.base
    }

    pub(super) fn snapshot(&self) -> &[Bytes] {
        &self.snapshot
    }

    /// All updates in order: pieces of the snapshot, then the tail.
    pub(super) fn updates(&self) -> impl Iterator<Item = &Bytes> {
        self.snapshot.iter().chain(&self.tail)
    }

    /// The updates behind a place in the log as they are, when it is in the tail.
    pub(super) fn since(&self, sequence: Sequence) -> Option<impl Iterator<Item = &Bytes>> {
        let skipped = usize::try_from(sequence.0.checked_sub(self.base.0)?).ok()?;
        (skipped <= self.tail.len()).then(|| self.tail.range(skipped..))
    }

    /// Whether there is something to fold.
    pub(super) fn may_be_compacted(&self) -> bool {
        self.durable > self.base
    }

    /// Whether folding is worth its cost: now, or before the room leaves the memory.
    pub(super) fn wants_compaction(&self, is_leaving: bool, limits: &Limits) -> bool {
        self.may_be_compacted()
            && (self.tail_bytes > limits.tail_bytes_max.max(self.snapshot_bytes / 2)
                || self.tail.len() > TAIL_UPDATES_MAX
                || (is_leaving && self.tail.len() > TAIL_UPDATES_LEFT_MAX))
    }

    /// The durable log: pieces of the snapshot, then the tail as far as it is on disk.
    pub(super) fn compaction(&self) -> (Sequence, Vec<Bytes>) {
        let durable = usize::try_from(self.durable.0 - self.base.0).unwrap_or(usize::MAX);
        let updates = self.snapshot.iter().chain(self.tail.iter().take(durable));
        (self.durable, updates.cloned().collect())
    }

    pub(super) fn compacted(&mut self, snapshot: Snapshot) {
        while self.base < snapshot.through {
            let Some(update) = self.tail.pop_front() else { break };
            self.tail_bytes -= update.len();
            self.base = self.base.next();
        }
        self.snapshot_bytes = snapshot.pieces.iter().map(Bytes::len).sum();
        self.snapshot = snapshot.pieces;
    }
}

fn damaged(sequence: Sequence, why: &str) -> Error {
    let text = format!("the stored room is damaged at update {}: {why}", sequence.0);
    Error::new(Code::RoomDamaged, text)
}
