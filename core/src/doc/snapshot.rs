//! Which edits a document had at some time, and what it was then.
//!
//! A snapshot says how far it had what each client wrote, and what of that was deleted. It holds no
//! content: a past document is made of the bytes of a later one, without what came since and with less of
//! it deleted. That asks for content that was deleted since; whoever does not have it any more is told so.

use super::deletions::{Collected, Deletions};
use super::guard::{Mode, check, missing};
use super::known::Known;
use super::replica::Replica;
use super::splice;
use super::walk::{Block, CLOCK_MAX, Id, Kind, Visit, walk};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::limits::Limits;
use crate::wire::primitive::{ReadError, Reader};

/// Which edits a document had; the same for documents with the same edits.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub(super) deletions: Deletions,
    pub(super) known: Known,
}

impl Snapshot {
    /// That of a whole document.
    ///
    /// # Errors
    /// `update.malformed` for bytes that are no update.
    fn of(state: &[u8]) -> Result<Self, Error> {
        let mut marks = Marks::default();
        walk(state, usize::MAX, &mut marks)?;
        Ok(Self { deletions: marks.deleted.united(), known: marks.known })
    }

    /// Reads what Yjs writes with `encodeSnapshot`.
    ///
    /// # Errors
    /// `update.malformed`.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        Self::read(bytes, limits.state_vector_clients_max).map_err(|_unreadable| {
            let text = "these bytes are no snapshot of a Yjs document";
            Error::new(Code::UpdateMalformed, text)
        })
    }

    fn read(bytes: &[u8], clients_max: u64) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        let mut deleted = Collected::default();
        for _ in 0..reader.var()? {
            let client = ClientId::new(reader.var()?).ok_or(ReadError::Range)?;
            for _ in 0..reader.var()? {
                let start = reader.var()?;
                let end = start.saturating_add(reader.var()?);
                if end > CLOCK_MAX {
                    return Err(ReadError::Range);
                }
                if start < end {
                    deleted.add(client, start, end);
                }
            }
        }
        let vector = bytes.get(reader.position()..).unwrap_or_default();
        Ok(Self { deletions: deleted.united(), known: Known::decode(vector, clients_max)? })
    }

    /// Writes it as Yjs does, byte by byte.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.deletions.write(&mut out);
        out.extend(self.known.encode());
        out
    }
}

/// What a document has, and what of it is deleted: by its deletions, and by structs without content.
#[derive(Default)]
struct Marks {
    known: Known,
    deleted: Collected,
}

impl<'a> Visit<'a> for Marks {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        self.known.reach(block.id.client, block.end());
        if matches!(block.kind, Kind::Gc | Kind::Deleted) {
            self.deleted.add(block.id.client, block.id.clock, block.end());
        }
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        self.deleted.add(client, start, end);
        Ok(())
    }
}

impl Replica {
    /// Which edits it has now.
    ///
    /// # Errors
    /// None.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        Snapshot::of(&self.state())
    }

    /// The document that `state`, a later one, was at a snapshot. `client` writes nothing into it.
    ///
    /// # Errors
    /// What the guard says of `state`; `update.missing_dependencies` when the snapshot is not of an
    /// earlier one; `snapshot.collected` when the content of what was deleted since is not there.
    pub fn at(
        snapshot: &Snapshot,
        state: &[u8],
        client: ClientId,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let limits = limits.for_taken();
        let summary = check(state, &Known::new(), Mode::State, &|_| false, &limits)?;
        let mut known = Known::new();
        known.advance(&summary);
        let unknown = snapshot.known.iter().find(|(client, next)| *next > known.next(*client));
        if let Some((client, _)) = unknown {
            return Err(missing(Id { client, clock: known.next(client) }));
        }
        let mut past = Self::new(client);
        past.apply(&splice::past(state, snapshot)?, &limits)?;
        // Whatever was deleted then without being in the snapshot has lost its content since.
        if past.snapshot()? == *snapshot { Ok(past) } else { Err(collected()) }
    }
}

#[cold]
fn collected() -> Error {
    let text = "something that was in the document at this snapshot was deleted since, and its content is \
                not kept: read it from the state of a document that keeps it, or was encoded before";
    Error::new(Code::SnapshotCollected, text)
}
