//! The layout that was read to bring something back, kept for the next undo: Ctrl+Z is held down.
//!
//! What the document takes in is only noted, and read when somebody undoes again. Who goes on to edit,
//! or gets much of others, keeps nothing.

use yrs::IdSet;

use super::layout::Layout;
use crate::error::Error;

/// How many updates are noted until the layout is let go of.
const UPDATES_MAX: usize = 256;
/// What takes more bytes of memory is not kept.
const BYTES_MAX: usize = 32 << 20;
/// It may double, and grow by this on top.
const GROWTH_BYTES: usize = 64 << 10;

/// A layout, and what the document took in since.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) layout: Layout,
    updates: Vec<Vec<u8>>,
    noted_bytes: usize,
    bytes_max: usize,
}

impl Kept {
    /// Reads the state of a document.
    ///
    /// # Errors
    /// `update.malformed` for bytes that are none.
    pub(super) fn read(state: Vec<u8>) -> Result<Box<Self>, Error> {
        let layout = Layout::read(state)?;
        let bytes_max = layout.memory().saturating_mul(2).saturating_add(GROWTH_BYTES);
        let bytes_max = bytes_max.min(BYTES_MAX);
        Ok(Box::new(Self { layout, updates: Vec::new(), noted_bytes: 0, bytes_max }))
    }

    /// Notes an update that the document took in; false when that gets too much.
    pub(super) fn note(&mut self, update: &[u8]) -> bool {
        self.noted_bytes = self.noted_bytes.saturating_add(update.len());
        let bytes = self.layout.memory().saturating_add(self.noted_bytes);
        if bytes > self.bytes_max || self.updates.len() >= UPDATES_MAX {
            return false;
        }
        self.updates.push(update.to_vec());
        true
    }

    /// Reads what was noted, and what was deleted since.
    ///
    /// # Errors
    /// As [`Self::read`]; it is of no use any more then.
    pub(super) fn catch_up(&mut self, deleted: &IdSet) -> Result<(), Error> {
        self.noted_bytes = 0;
        std::mem::take(&mut self.updates).iter().try_for_each(|update| self.layout.add(update))?;
        self.layout.delete(deleted);
        Ok(())
    }
}
