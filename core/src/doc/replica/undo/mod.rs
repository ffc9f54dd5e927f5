//! Undo and redo of a replica's own edits.

use std::time::Duration;

use yrs::updates::decoder::Decode;
use yrs::{Transact, Update};

use super::{EDIT_BYTES_MAX, Node, Replica, busy, refused, state, yrs_id};
use crate::doc::guard::{Mode, inspect};
use crate::doc::node::Place;
use crate::doc::pieces::pieces;
use crate::doc::takeback::{TakeBack, Taker, delete};
use crate::doc::undo::{Item, News};
use crate::error::Error;
use crate::limits::Limits;
use crate::time::Time;

impl Replica {
    /// Begins to gather own edits that can be undone. Those that come within `timeout` after each
    /// other are undone together, and so are those of a group. The answer is the number of the new
    /// stack.
    pub fn open_undo(&mut self, timeout: Duration) -> u32 {
        self.undos.open(timeout)
    }

    /// Edits of a type, and of those inside it, are gathered from here on.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn widen_undo(&self, number: u32, node: Node) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        node.open(&mut txn)?;
        drop(txn);
        self.undos.widen(number, node);
        Ok(())
    }

    /// Ends what [`Self::open_undo`] began.
    pub fn close_undo(&mut self, number: u32) {
        self.undos.close(&self.doc, number);
    }

    /// Whether the time of an edit matters.
    #[must_use]
    pub fn needs_time(&self) -> bool {
        self.undos.is_open()
    }

    /// The time of the edits that follow.
    pub fn set_time(&self, now: Time) {
        self.undos.set_time(now);
    }

    /// Whether the edits that follow can be undone by this stack; those of anything else cannot.
    pub fn track(&self, number: u32, is_tracking: bool) {
        self.undos.track(number, is_tracking);
    }

    /// Undoes, or redoes, what was edited last; tells whether that changed anything. Types that others
    /// have written in, and those around them, stay.
    ///
    /// # Errors
    /// `update.too_large` when more would come back than one update holds: everything is as it was
    /// then, and so it is with any other error.
    pub fn undo(&mut self, number: u32, is_redo: bool) -> Result<bool, Error> {
        let mut is_changed = false;
        let mut is_over = true;
        while !is_changed && let Some((item, scope)) = self.undos.pop(number, is_redo) {
            is_over = false;
            match self.take_back(number, &item, &scope) {
                Ok(None) => {}
                Ok(Some(done)) => {
                    self.undos.push(number, !is_redo, done);
                    is_changed = true;
                }
                Err(error) => {
                    self.undos.push(number, is_redo, item);
                    return Err(error);
                }
            }
        }
        if !is_over {
            self.undos.tell(number, if is_redo { News::Redone } else { News::Undone });
        }
        Ok(is_changed)
    }

    /// Takes one item back; gives what that did, if it did anything.
    fn take_back(
        &mut self,
        number: u32,
        item: &Item,
        scope: &[Place],
    ) -> Result<Option<Item>, Error> {
        let TakeBack { update, copies } = self.plan(number, item, scope)?;
        let limits = Limits::default().for_taken();
        let (_, oddities) = inspect(&update, &self.known, Mode::State, &|_| false, &limits)?;
        let update = Update::decode_v1(&update).map_err(|error| refused(error.to_string()))?;
        self.undos.set_taking_back(true);
        let taken = self.take_in_again(update);
        self.undos.set_taking_back(false);
        let (done, update) = taken?;
        if done.insertions.is_empty() && done.deletions.is_empty() {
            return Ok(None);
        }
        self.undos.copies.add(copies, self.client);
        self.typing.forget();
        self.expect_values(&oddities);
        // In pieces that every relay takes.
        if update.len() > EDIT_BYTES_MAX {
            let pieces = pieces(&update, &self.known, EDIT_BYTES_MAX)?;
            pieces.into_iter().try_for_each(|piece| self.note(piece))?;
        } else {
            self.note(update)?;
        }
        Ok(Some(Item { is_mixed: oddities.has_types, ..done }))
    }

    /// The update that takes an item back.
    fn plan(&mut self, number: u32, item: &Item, scope: &[Place]) -> Result<TakeBack, Error> {
        if let Some(simple) = delete(item, &self.undos.copies) {
            return Ok(simple);
        }
        let mut kept = self.undos.take_kept(|| state(&self.doc))?;
        let taker = Taker {
            client: self.client,
            next: self.known.next(self.client),
            scope,
            copies: &self.undos.copies,
            is_deleted_by_others: &|id| self.undos.has_deleted(number, yrs_id(id)),
        };
        let plan = taker.take_back(item, &mut kept.layout)?;
        self.undos.keep(kept);
        Ok(plan)
    }

    /// Integrates an update; gives what it did, and the update of that.
    fn take_in_again(&self, update: Update) -> Result<(Item, Vec<u8>), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        txn.apply_update(update).map_err(|error| refused(error.to_string()))?;
        let (insertions, deletions) = (txn.insert_set().clone(), txn.delete_set().clone());
        let done = Item { insertions, deletions, is_mixed: false };
        Ok((done, txn.encode_update_v1()))
    }

    /// From here on edits are undone apart from those before.
    pub fn stop_undo(&self, number: u32) {
        self.undos.stop(number);
    }

    /// Forgets what could be undone and redone.
    pub fn clear_undo(&mut self, number: u32) {
        self.undos.clear(&self.doc, number);
    }

    /// What happened since the last call, as JSON: what, and how much can be undone and redone then.
    #[must_use]
    pub fn take_undo_news(&self, number: u32) -> String {
        self.undos.take_news(number)
    }
}

#[cfg(test)]
mod tests;
