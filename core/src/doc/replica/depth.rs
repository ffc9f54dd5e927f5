//! How deep types are nested in a replica, looked at before something deeper comes in.

use yrs::{Assoc, BranchID, IndexScope, ReadTxn, StickyIndex, Transact};

use super::content::{New, NewStep};
use super::{Node, Replica, busy, yrs_id};
use crate::doc::guard::Summary;
use crate::doc::nesting;
use crate::doc::node::Place;
use crate::doc::walk::Id;
use crate::error::{Code, Error};
use crate::limits::{Limits, TYPE_DEPTH_MAX};

impl Replica {
    /// Checks an update that passed the guard.
    ///
    /// # Errors
    /// `update.too_deep`.
    pub(in crate::doc) fn check_nesting(
        &self,
        update: &[u8],
        summary: &Summary,
        limits: &Limits,
    ) -> Result<(), Error> {
        if !summary.has_nested {
            return Ok(());
        }
        let txn = self.doc.try_transact().map_err(busy)?;
        let next = |client| self.known.next(client);
        nesting::check(update, &next, &|id| around(id, &txn), limits)
    }

    /// Checks that contents may be nested in a type.
    ///
    /// # Errors
    /// `api.too_deep`.
    pub(super) fn check_depth<'n>(
        &self,
        node: &Node,
        contents: impl Iterator<Item = &'n New>,
    ) -> Result<(), Error> {
        let inside = deepest(contents);
        if inside == 0 {
            return Ok(());
        }
        let txn = self.doc.try_transact().map_err(busy)?;
        let depth = match node.place {
            Place::Root(_) => 1,
            Place::Nested(client, clock) => 1 + around(Id { client, clock }, &txn),
        };
        if depth + inside <= TYPE_DEPTH_MAX {
            return Ok(());
        }
        let text = format!("shared types would be nested deeper than {TYPE_DEPTH_MAX} levels");
        Err(Error::new(Code::ApiTooDeep, text))
    }
}

/// How many types are around an element; 0 when it is there no more.
fn around<T: ReadTxn>(id: Id, txn: &T) -> u32 {
    let (mut id, mut depth) = (yrs_id(id), 0);
    loop {
        // The only way that yrs has to ask for the parent of any element.
        let place = StickyIndex::new(IndexScope::Relative(id), Assoc::Before).get_offset(txn);
        let Some(place) = place else { return depth };
        depth += 1;
        match place.branch.id() {
            BranchID::Nested(outer) => id = outer,
            BranchID::Root(_) => return depth,
        }
    }
}

/// How deep the types in contents are nested.
fn deepest<'n>(contents: impl Iterator<Item = &'n New>) -> u32 {
    contents.map(levels).max().unwrap_or(0)
}

fn levels(new: &New) -> u32 {
    1 + match new {
        New::Plain(_) => return 0,
        New::Array(items) | New::XmlFragment(items) => deepest(items.iter()),
        New::Map(entries) => deepest(entries.iter().map(|(_, new)| new)),
        New::Text(steps) | New::XmlText(steps) => deepest(inserted(steps)),
        New::XmlElement { attributes, children, .. } => {
            deepest(children.iter()).max(deepest(attributes.iter().map(|(_, new)| new)))
        }
    }
}

/// What steps insert.
pub(super) fn inserted(steps: &[NewStep]) -> impl Iterator<Item = &New> {
    steps.iter().filter_map(|step| match step {
        NewStep::Insert(new, _) => Some(new),
        NewStep::Delete(_) | NewStep::Retain(..) => None,
    })
}
