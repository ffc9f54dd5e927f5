//! Folding the log of a room: many updates become few that mean the same, in pieces for a first sync.
//!
//! Two pure functions, so that the shell can run them in a process of its own, with limits, and
//! need not believe what comes back.

use bytes::Bytes;

use crate::doc::deletions::Deletions;
use crate::doc::digest::digest;
use crate::doc::guard::{self, Mode};
use crate::doc::known::Known;
use crate::doc::pieces::pieces;
use crate::doc::splice;
use crate::error::{Code, Error};
use crate::limits::Limits;

/// What cutting may add to the bytes of a log: an eighth and this, for heads that are repeated.
const CUTTING_BYTES: usize = 4096;

/// Folds updates in the order of a log. The pieces can be integrated one after the other.
///
/// # Errors
/// `update.malformed` or `update.missing_dependencies` when the updates are no log of a room.
pub fn fold(updates: &[Bytes], piece_bytes_max: usize) -> Result<Vec<Bytes>, Error> {
    // To cut single letters out of a run of text costs more bytes than it saves.
    let (squeezed, merged) = (splice::squeeze(updates)?, splice::merge(updates)?);
    let folded = if squeezed.len() < merged.len() { squeezed } else { merged };
    let pieces = pieces(&folded, &Known::new(), piece_bytes_max)?;
    Ok(pieces.into_iter().map(Bytes::from).collect())
}

/// How large the pieces of these updates may be together.
#[must_use]
pub fn folded_bytes_max(updates: &[Bytes]) -> usize {
    let bytes: usize = updates.iter().map(Bytes::len).sum();
    bytes.saturating_add(bytes / 8).saturating_add(CUTTING_BYTES)
}

/// Checks what somebody says [`fold`] gave: that each piece can be integrated after those before
/// it, and that together they mean what the updates mean.
///
/// # Errors
/// `room.damaged` with what is wrong; those of [`fold`] when the updates are no log of a room.
pub fn check(updates: &[Bytes], pieces: &[Bytes]) -> Result<(), Error> {
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    if bytes > folded_bytes_max(updates) {
        return Err(wrong("it is larger than the log"));
    }
    let limits = Limits::default().for_taken();
    let wrong_piece = |error: Error| wrong(&error.message);
    let (known, deletions) = meaning(pieces, &limits).map_err(wrong_piece)?;
    let (known_before, deletions_before) = meaning(updates, &limits)?;
    if known != known_before {
        return Err(wrong("other structs are in it"));
    }
    if deletions != deletions_before {
        return Err(wrong("other structs are deleted in it"));
    }
    if digest(updates)? != digest(pieces).map_err(wrong_piece)? {
        return Err(wrong("its structs have other places or other content"));
    }
    Ok(())
}

fn meaning(updates: &[Bytes], limits: &Limits) -> Result<(Known, Deletions), Error> {
    let (mut known, mut deletions) = (Known::new(), Deletions::default());
    for update in updates {
        let summary = guard::check(update, &known, Mode::State, &|_| false, limits)?;
        known.advance(&summary);
        if summary.has_deletes {
            deletions.add(&Deletions::of(update)?);
        }
    }
    Ok((known, deletions))
}

fn wrong(why: &str) -> Error {
    Error::new(Code::RoomDamaged, format!("what the log was folded into is wrong: {why}"))
}
