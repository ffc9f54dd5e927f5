//! Shared types that hold what others wrote: undo takes back that they were made only when nobody is
//! left inside.
//!
//! yrs deletes a type with everything in it and does not tell who wrote what, so this is read from the
//! bytes of the document.

use std::collections::BTreeSet;

use super::deletions::Deletions;
use super::walk::{Block, Id, Kind, Visit, walk};
use crate::error::Error;
use crate::ordered::sort_by_key;

/// The types around every element that is there and of which `is_foreign` is true. Formats alone are
/// no content.
///
/// # Errors
/// `update.malformed` for bytes that are no state of a document.
pub(super) fn sheltering(
    state: &[u8],
    is_foreign: &dyn Fn(Id) -> bool,
) -> Result<BTreeSet<Id>, Error> {
    let deletions = Deletions::of_all(&[state])?;
    let mut structs = Structs { all: Vec::new(), foreign: Vec::new(), is_foreign };
    walk(state, usize::MAX, &mut structs)?;
    let Structs { mut all, foreign, .. } = structs;
    sort_by_key(&mut all, |it| (it.id.client.get(), it.id.clock));
    let mut places = Places(all);
    let mut sheltering = BTreeSet::new();
    for (id, end) in foreign {
        // What was deleted is a struct of its own.
        if !deletions.behind(id.client, id.clock).within(id.clock, end).is_empty() {
            continue;
        }
        let mut inner = id;
        while let Some(parent) = places.parent(inner) {
            if !sheltering.insert(parent) {
                break;
            }
            inner = parent;
        }
    }
    Ok(sheltering)
}

/// One struct, and where it is.
struct Placed {
    id: Id,
    place: At,
}

#[derive(Clone, Copy)]
enum At {
    /// In a type with a name, or nowhere any more.
    Top,
    In(Id),
    /// In the same type as another one.
    Beside(Id),
}

struct Structs<'f> {
    all: Vec<Placed>,
    /// Those with foreign elements, and where they end.
    foreign: Vec<(Id, u64)>,
    is_foreign: &'f dyn Fn(Id) -> bool,
}

impl<'a> Visit<'a> for Structs<'_> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let beside = block.origin.or(block.right_origin).map(At::Beside);
        let place = beside.or_else(|| block.parent.map(At::In)).unwrap_or(At::Top);
        self.all.push(Placed { id: block.id, place });
        let is_content = !matches!(block.kind, Kind::Gc | Kind::Deleted | Kind::Format);
        let mut ids = (block.id.clock..block.end()).map(|clock| Id { clock, ..block.id });
        if is_content && ids.any(self.is_foreign) {
            self.foreign.push((block.id, block.end()));
        }
        Ok(())
    }
}

/// All structs in the order of their ids.
struct Places(Vec<Placed>);

impl Places {
    fn at(&self, id: Id) -> Option<usize> {
        self.0.partition_point(|it| it.id <= id).checked_sub(1)
    }

    /// The type in which an element is; `None` when it has a name. What was met on the way is
    /// known from then on: a text may be a long chain of structs.
    fn parent(&mut self, id: Id) -> Option<Id> {
        let mut met = Vec::new();
        let mut next = self.at(id);
        let parent = loop {
            let Some(place) = next.and_then(|at| self.0.get(at)).map(|it| it.place) else {
                break None;
            };
            match place {
                At::Top => break None,
                At::In(parent) => break Some(parent),
                At::Beside(neighbor) => {
                    met.extend(next);
                    // An update cannot name a later struct as the neighbor of an earlier one.
                    next = self.at(neighbor);
                }
            }
        };
        for at in met {
            if let Some(placed) = self.0.get_mut(at) {
                placed.place = parent.map_or(At::Top, At::In);
            }
        }
        parent
    }
}
