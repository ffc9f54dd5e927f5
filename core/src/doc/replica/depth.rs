//! How deep types are nested in a replica, looked at before something deeper comes in.

use yrs::{ReadTxn, StateVector, Transact};

use super::content::{New, NewStep};
use super::{Node, Replica, busy};
use crate::doc::guard::Summary;
use crate::doc::nesting::Nesting;
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
        &mut self,
        update: &[u8],
        summary: &Summary,
        limits: &Limits,
    ) -> Result<(), Error> {
        if !summary.has_nested {
            return Ok(());
        }
        if self.known.is_empty() {
            // Most documents come whole, and nothing is asked of them later.
            return Nesting::default().check(update, limits);
        }
        self.nesting()?.check(update, limits)
    }

    /// What is around what, looked through when it is asked for first. yrs is not asked: it goes
    /// through a whole list to name the parent of one element.
    fn nesting(&mut self) -> Result<&Nesting, Error> {
        let nesting = match self.nesting.take() {
            Some(nesting) => nesting,
            None => {
                let mut nesting = Nesting::default();
                let txn = self.doc.try_transact().map_err(busy)?;
                nesting.add(&txn.encode_diff_v1(&StateVector::default()))?;
                nesting
            }
        };
        Ok(self.nesting.insert(nesting))
    }

    /// Takes in what an update brought to the document.
    pub(super) fn advance(&mut self, update: &[u8], summary: &Summary) {
        self.known.advance(summary);
        self.undos.took_in(update);
        if summary.is_news
            && let Some(nesting) = &mut self.nesting
            && nesting.add(update).is_err()
        {
            self.nesting = None;
        }
    }

    /// Checks that contents may be nested in a type.
    ///
    /// # Errors
    /// `api.too_deep`.
    pub(super) fn check_depth<'n>(
        &mut self,
        node: &Node,
        contents: impl Iterator<Item = &'n New>,
    ) -> Result<(), Error> {
        let inside = deepest(contents);
        if inside == 0 {
            return Ok(());
        }
        let depth = match node.place {
            Place::Root(_) => 1,
            Place::Nested(client, clock) => 1 + self.nesting()?.around(Id { client, clock }),
        };
        if depth + inside <= TYPE_DEPTH_MAX {
            return Ok(());
        }
        let text = format!("shared types would be nested deeper than {TYPE_DEPTH_MAX} levels");
        Err(Error::new(Code::ApiTooDeep, text))
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
