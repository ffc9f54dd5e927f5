//! Folding the log of a room: many updates become few that mean the same, in pieces for a first sync.
//!
//! Two pure functions, so that the shell can run them in a process of its own, with limits, and
//! need not believe what comes back.

use bytes::Bytes;

use crate::doc::splice;
use crate::error::{Code, Error};
use crate::doc::known::Known;

/// Folds updates in the order of a log. The pieces can be integrated one after the other.
///
/// # Errors
/// `update.malformed` or `update.missing_dependencies` when the updates are no log of a room.
pub fn fold(updates: &[Bytes], _piece_bytes_max: usize) -> Result<Vec<Bytes>, Error> {
    Ok(vec![splice::merge(updates)?.into()])
}

/// Checks that pieces mean what the updates mean that they were folded from.
///
/// # Errors
/// `relay.internal` when they do not.
pub fn check(updates: &[Bytes], pieces: &[Bytes]) -> Result<(), Error> {
    let reach = |all: &[Bytes]| -> Result<Known, Error> { splice::state_vector(&splice::merge(all)?) };
    if reach(updates)? == reach(pieces)? {
        Ok(())
    } else {
        Err(Error::new(Code::RelayInternal, "the folded log has lost something"))
    }
}
