//! Structs under a parent that is no shared type. No editor writes them and the guard cannot see
//! them, because it knows ids and not content. Yjs drops what they hold; yrs gives up half-way.

use super::splice::replace;
use super::walk::{Block, Id, Kind, Visit, walk};
use crate::error::Error;
use crate::ordered::sort_by_key;
use crate::wire::primitive::write_var;

/// The update with such structs emptied, as Yjs takes them. `is_type` says whether a struct of the
/// document is a shared type, and `None` for what is not in the document yet.
///
/// # Errors
/// `update.malformed` for bytes that are no update.
pub(super) fn collect_orphans(
    update: &[u8],
    is_type: &dyn Fn(Id) -> Option<bool>,
) -> Result<Vec<u8>, Error> {
    let mut types = Types(Vec::new());
    walk(update, usize::MAX, &mut types)?;
    sort_by_key(&mut types.0, Id::numbers);
    replace(update, &|block| {
        let parent = block.parent?;
        if is_type(parent).unwrap_or_else(|| types.0.binary_search(&parent).is_ok()) {
            return None;
        }
        let mut empty = vec![0];
        write_var(&mut empty, block.len);
        Some(empty)
    })
}

/// The shared types in an update.
struct Types(Vec<Id>);

impl<'a> Visit<'a> for Types {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        if block.kind == Kind::Type {
            self.0.push(block.id);
        }
        Ok(())
    }
}
