//! Another document in the place of the one that is observed: observers are told how it differs.

use std::sync::Arc;

use super::{Change, Node, Observed, REMOTE, Replica, Segment, Step, new_document};
use crate::doc::shape::Shape;
use crate::error::Error;

/// What an observed type held, or one inside it.
pub(super) struct Seen {
    shape: Shape,
    /// The types inside, with their places in the list of all that was seen.
    inside: Vec<(Segment, Node, Option<Arc<str>>, usize)>,
}

impl Replica {
    /// Builds the document anew from another form of its state; `is_same_length` when only characters
    /// were replaced by as many others.
    pub(super) fn rebuild(&mut self, state: &[u8], is_same_length: bool) -> Result<(), Error> {
        let before = self.seen();
        self.doc = new_document(self.client, &self.undos);
        self.integrate(Some(REMOTE), state)?;
        self.watch_again(&before, is_same_length);
        self.undos.begin_again();
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
