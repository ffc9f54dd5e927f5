//! Updates on a pipe: how many, then each with its length before it. An end that comes too early
//! is seen, because the other side may have died.

use bytes::Bytes;
use coweave_core::wire::primitive::{ReadError, Reader, write_var};

/// The head of everything.
pub(super) fn head(updates: &[Bytes]) -> Vec<u8> {
    number(updates.len())
}

/// What stands before an update.
pub(super) fn prefix(update: &Bytes) -> Vec<u8> {
    number(update.len())
}

fn number(number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_var(&mut out, u64::try_from(number).unwrap_or(u64::MAX));
    out
}

/// Reads all of them; nothing may follow. No byte is copied.
pub(super) fn read(all: &Bytes) -> Result<Vec<Bytes>, ReadError> {
    let mut reader = Reader::new(all);
    let count = reader.var()?;
    let mut updates = Vec::new();
    for _ in 0..count {
        updates.push(all.slice_ref(reader.bytes()?));
    }
    reader.finish()?;
    Ok(updates)
}
