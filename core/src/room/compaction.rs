//! Folding the log of a room: many updates become few that mean the same, in pieces for a first sync.
//!
//! Two pure functions, so that the shell can run them in a process of its own, with limits, and
//! need not believe what comes back.

use bytes::Bytes;

use crate::doc::splice;
use crate::error::Error;

/// Folds updates in the order of a log. The pieces can be integrated one after the other.
///
/// # Errors
/// `update.malformed` or `update.missing_dependencies` when the updates are no log of a room.
pub fn fold(updates: &[Bytes], _piece_bytes_max: usize) -> Result<Vec<Bytes>, Error> {
    Ok(vec![splice::merge(updates)?.into()])
}
