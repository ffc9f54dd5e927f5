//! Which types of a replica are observed, and what they are told.

use yrs::Transact;

use super::{Change, Node, Replica, busy};
use crate::doc::observe::{unwatch, watch};
use crate::error::Error;

/// A type that is observed.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) node: Node,
    /// How often for itself, and how often with what is inside.
    count: [u32; 2],
}

impl Observed {
    pub(super) const fn is_deep(&self) -> bool {
        let [_, deep] = self.count;
        deep > 0
    }
}

impl Replica {
    /// Starts to collect the changes of a type; `is_deep` for those of types inside it, too.
    /// Counted: it takes as many calls of [`Self::unobserve`] to stop.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn observe(&mut self, node: impl Into<Node>, is_deep: bool) -> Result<(), Error> {
        let node = node.into();
        let known = self.observed.iter().position(|it| it.node == node);
        let at = known.unwrap_or_else(|| {
            self.observed.push(Observed { node, count: [0, 0] });
            self.observed.len() - 1
        });
        let Some(observed) = self.observed.get_mut(at) else { return Ok(()) };
        let was_deep = observed.is_deep();
        let [own, deep] = &mut observed.count;
        let count = if is_deep { deep } else { own };
        *count = count.saturating_add(1);
        if known.is_some() && was_deep == observed.is_deep() {
            return Ok(());
        }
        let watched = self.observed.get(at).map_or(Ok(()), |observed| self.watch(observed));
        if watched.is_err() {
            self.observed.swap_remove(at);
        }
        watched
    }

    pub(super) fn watch(&self, observed: &Observed) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        let branch = observed.node.open(&mut txn)?;
        drop(txn);
        watch(branch, &observed.node, observed.is_deep(), &self.changes);
        Ok(())
    }

    /// Takes back one [`Self::observe`].
    pub fn unobserve(&mut self, node: impl Into<Node>, is_deep: bool) {
        let node = node.into();
        let Some(at) = self.observed.iter().position(|it| it.node == node) else { return };
        let Some(observed) = self.observed.get_mut(at) else { return };
        let was_deep = observed.is_deep();
        let [own, deep] = &mut observed.count;
        let count = if is_deep { deep } else { own };
        *count = count.saturating_sub(1);
        if observed.count == [0, 0] {
            self.observed.swap_remove(at);
            let branch = self.doc.try_transact().ok().and_then(|txn| node.find(&txn).ok()?);
            if let Some(branch) = branch {
                unwatch(branch);
            }
        } else if was_deep != observed.is_deep()
            && let Some(observed) = self.observed.get(at)
        {
            // A type that is gone has no observers.
            self.watch(observed).ok();
        }
    }

    /// The changes of observed types since the last call, in order; none while a group is open.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "it empties the queue")]
    pub fn take_changes(&mut self) -> Vec<Change> {
        if self.depth > 0 { Vec::new() } else { self.changes.take() }
    }
}
