//! What changes a document in no transaction: observers are told how it differs then.

use std::sync::Arc;

use yrs::types::Attrs;
use yrs::{Assoc, StickyIndex, Text, TextRef, Transact};

use super::{Change, Node, Observed, Replica, Segment, Step, busy, yrs_id};
use crate::doc::shape::Shape;
use crate::doc::walk::Id;
use crate::error::Error;

/// What an observed type held, or one inside it.
pub(super) struct Seen {
    shape: Shape,
    /// The types inside, with their places in the list of all that was seen.
    inside: Vec<(Segment, Node, Option<Arc<str>>, usize)>,
}

impl Replica {
    /// Cuts characters before each of these units, as the update does that comes next: each half
    /// becomes U+FFFD, of which yrs says nothing.
    pub(super) fn cut(&self, units: impl Iterator<Item = Id>) -> Result<(), Error> {
        if self.observed.is_empty() {
            return Ok(());
        }
        let before = self.seen();
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        for unit in units {
            let unit = StickyIndex::from_id(yrs_id(unit), Assoc::After);
            if let Some(at) = unit.get_offset(&txn) {
                // Who is about to write there cuts, even when nothing is written.
                TextRef::from(at.branch).format(&mut txn, at.index, 0, Attrs::new());
            }
        }
        drop(txn);
        self.watch_again(&before, true);
        Ok(())
    }

    /// Takes the place of another replica: who observes its types is told what is different here.
    pub fn take_over(&mut self, before: Self) {
        let seen = before.seen();
        self.depth = before.depth;
        self.observed = before.observed;
        self.changes = before.changes;
        self.watch_again(&seen, false);
        self.undos = before.undos;
        self.undos.watch(&self.doc);
        self.undos.begin_again();
    }

    /// What the observed types hold.
    fn seen(&self) -> Vec<Vec<Seen>> {
        self.observed.iter().map(|observed| self.seen_by(observed)).collect()
    }

    fn seen_by(&self, observed: &Observed) -> Vec<Seen> {
        let mut open = vec![observed.node.clone()];
        let mut all = Vec::new();
        while let Some(node) = open.get(all.len()) {
            let shape = self.shape(node);
            let mut inside = Vec::new();
            if observed.is_deep() {
                shape.each_inside(|segment, node, name| {
                    inside.push((segment, node.clone(), name.cloned(), open.len()));
                    open.push(node.clone());
                });
            }
            all.push(Seen { shape, inside });
        }
        all
    }

    fn shape(&self, node: &Node) -> Shape {
        self.read(node, |branch, txn| Shape::of(branch, node.kind, txn)).unwrap_or_default()
    }

    /// Observes the types in another document, and tells how they differ there.
    fn watch_again(&self, before: &[Vec<Seen>], is_same_length: bool) {
        let transaction = self.changes.next_transaction();
        for (observed, before) in self.observed.iter().zip(before) {
            // A type that is gone has no observers, and nobody can see in it any more.
            if self.watch(observed).is_err() {
                continue;
            }
            let mut open = vec![(0, observed.node.clone(), None, Vec::new())];
            while let Some((at, target, name, path)) = open.pop() {
                let Some(seen) = before.get(at) else { continue };
                let after = self.shape(&target);
                let change = Change {
                    observed: observed.node.clone(),
                    target,
                    name,
                    path,
                    delta: seen.shape.delta_to(&after, is_same_length),
                    keys: seen.shape.keys_to(&after),
                    is_local: false,
                    origin: 0,
                    transaction,
                };
                // What is told as a part of this one is not told by itself.
                for (segment, node, name, at) in &seen.inside {
                    let is_there = match segment {
                        Segment::Index(_) => {
                            !change.delta.iter().any(|step| matches!(step, Step::Values(..)))
                        }
                        Segment::Key(key) => !change.keys.iter().any(|other| other.key == *key),
                    };
                    if is_there {
                        let path = [&change.path[..], std::slice::from_ref(segment)].concat();
                        open.push((*at, node.clone(), name.clone(), path));
                    }
                }
                if !change.is_empty() {
                    self.changes.push(vec![change]);
                }
            }
        }
    }
}
