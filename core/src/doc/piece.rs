//! A piece of an update that is being made: a part for each client, with its structs and deletions.

use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;
use crate::wire::primitive::write_var;

/// What the head of a client's structs and of its deletions may take.
pub(super) const CLIENT_BYTES: usize = 24;
/// What a deleted range may take.
pub(super) const RANGE_BYTES: usize = 8;

/// A piece that is being made.
#[derive(Default)]
pub(super) struct Piece {
    parts: Vec<Part>,
    /// About how many bytes it takes.
    pub(super) bytes: usize,
}

/// What of one client is in a piece.
pub(super) struct Part {
    client: ClientId,
    start: u64,
    blocks: u64,
    structs: Vec<u8>,
    ranges: u64,
    /// All ranges but the last one, which may still grow.
    deleted: Vec<u8>,
    last: Option<(u64, u64)>,
}

impl Piece {
    /// The part at an index; behind the last one, a new one of this client.
    pub(super) fn part(&mut self, index: usize, client: ClientId) -> Option<&mut Part> {
        if index == self.parts.len() {
            self.bytes = self.bytes.saturating_add(CLIENT_BYTES);
            self.parts.push(Part::new(client));
        }
        self.parts.get_mut(index)
    }

    pub(super) const fn next_part(&self) -> usize {
        self.parts.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        sort_by_key(&mut self.parts, |part| (u64::MAX - part.client.get(), 0));
        let mut out = Vec::with_capacity(self.bytes);
        let with_structs = self.parts.iter().filter(|part| part.blocks > 0);
        write_count(&mut out, with_structs.clone().count());
        for part in with_structs {
            write_var(&mut out, part.blocks);
            write_var(&mut out, part.client.get());
            write_var(&mut out, part.start);
            out.extend_from_slice(&part.structs);
        }
        let with_deletions = self.parts.iter().filter(|part| part.last.is_some());
        write_count(&mut out, with_deletions.clone().count());
        for part in with_deletions {
            write_var(&mut out, part.client.get());
            write_var(&mut out, part.ranges);
            out.extend_from_slice(&part.deleted);
            if let Some(last) = part.last {
                write_range(&mut out, last);
            }
        }
        out
    }
}

impl Part {
    const fn new(client: ClientId) -> Self {
        Self {
            client,
            start: 0,
            blocks: 0,
            structs: Vec::new(),
            ranges: 0,
            deleted: Vec::new(),
            last: None,
        }
    }

    /// Adds a deleted range behind the ones before it.
    pub(super) fn delete(&mut self, start: u64, end: u64) {
        if let Some(last) = &mut self.last {
            if last.1 == start {
                last.1 = end;
                return;
            }
            write_range(&mut self.deleted, *last);
        }
        self.last = Some((start, end));
        self.ranges = self.ranges.saturating_add(1);
    }

    /// Adds a struct that begins at a clock; tells how many bytes it takes.
    pub(super) fn add(
        &mut self,
        clock: u64,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        if self.blocks == 0 {
            self.start = clock;
        }
        let before = self.structs.len();
        write(&mut self.structs)?;
        self.blocks = self.blocks.saturating_add(1);
        Ok(self.structs.len().saturating_sub(before))
    }
}

fn write_range(out: &mut Vec<u8>, (start, end): (u64, u64)) {
    write_var(out, start);
    write_var(out, end.saturating_sub(start));
}

fn write_count(out: &mut Vec<u8>, count: usize) {
    write_var(out, u64::try_from(count).unwrap_or(u64::MAX));
}
