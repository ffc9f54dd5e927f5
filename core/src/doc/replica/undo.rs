//! Undo and redo of a replica's own edits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use yrs::block::BlockRange;
use yrs::branch::BranchPtr;
use yrs::undo::StackItem;
use yrs::{
    Assoc, IdSet, IndexScope, IndexedSequence, Offset, StickyIndex, TextRef, Transact,
    TransactionMut,
};

use super::{EDIT_BYTES_MAX, Node, Replica, busy, our_id, yrs_id};
use crate::doc::pieces::pieces;
use crate::doc::shelter::sheltering;
use crate::doc::splice::replace;
use crate::doc::undo::{Copy, Item, News, take_back};
use crate::doc::walk::{Block, HAS_RIGHT_ORIGIN, Id, Kind, Visit, walk};
use crate::error::Error;
use crate::time::Time;

/// The key under which the updates of an undo are gathered.
const OBSERVER: &str = "undo";

impl Replica {
    /// Begins to gather own edits that can be undone. Those that come within `timeout` after each
    /// other are undone together, and so are those of a group. The answer is the number of the new
    /// stack.
    pub fn open_undo(&mut self, timeout: Duration) -> u32 {
        self.undos.open(timeout, self.depth > 0)
    }

    /// Edits of a type, and of those inside it, are gathered from here on.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn widen_undo(&mut self, number: u32, node: Node) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        node.open(&mut txn)?;
        drop(txn);
        if let Some(undo) = self.undos.find(number) {
            let stacks = undo.stacks();
            undo.scope.push(node);
            undo.watch(&self.doc, stacks);
        }
        Ok(())
    }

    /// Ends what [`Self::open_undo`] began.
    pub fn close_undo(&mut self, number: u32) {
        self.undos.clear(&self.doc, number);
        self.undos.all.retain(|undo| undo.number != number);
    }

    /// Whether the time of an edit matters.
    #[must_use]
    pub const fn needs_time(&self) -> bool {
        !self.undos.all.is_empty()
    }

    /// The time of the edits that follow.
    pub fn set_time(&self, now: Time) {
        self.undos.set_time(now);
    }

    /// Whether the edits that follow can be undone by this stack; those of anything else cannot.
    pub fn track(&mut self, number: u32, is_tracking: bool) {
        self.undos.track(number, is_tracking);
    }

    /// Undoes, or redoes, what was edited last; tells whether that changed anything. Types that others
    /// have written in, and those around them, stay.
    ///
    /// # Errors
    /// `update.malformed` when yrs makes something of it that nobody could take in: the document is as
    /// it was then, and nothing more can be undone.
    pub fn undo(&mut self, number: u32, is_redo: bool) -> Result<bool, Error> {
        let Some(undo) = self.undos.find(number) else { return Ok(false) };
        undo.stop();
        if undo.is_empty() {
            return Ok(false);
        }
        let (before, known, pairs) = (self.state(), self.known.clone(), self.pairs.clone());
        let count = self.edits.len();
        let undone = self.undo_now(number, is_redo);
        if undone.is_err() {
            self.edits.truncate(count);
            (self.known, self.pairs) = (known, pairs);
            self.typing.forget();
            self.rebuild(&before, false)?;
        }
        undone
    }

    fn undo_now(&mut self, number: u32, is_redo: bool) -> Result<bool, Error> {
        let Some(undo) = self.undos.find(number) else { return Ok(false) };
        let scope = undo.scope.clone();
        let [undo, redo] = undo.stacks();
        let (mut from, mut to) = if is_redo { (redo, undo) } else { (undo, redo) };
        if from.is_empty() {
            return Ok(false);
        }
        let updates = self.gather_updates()?;
        let mut undone = None;
        while undone.is_none()
            && let Some(item) = from.pop()
        {
            let sheltered = self.sheltered(&item);
            let others = from.iter().chain(&to).cloned().collect();
            let done = take_back(&self.doc, &scope, sheltered, others, is_redo);
            undone = done.map(|done| (item, done));
        }
        self.doc.unobserve_after_transaction(OBSERVER).map_err(busy)?;
        let is_changed = undone.is_some();
        let item = undone.map(|(item, done)| {
            to.push(done);
            item
        });
        if let Some(undo) = self.undos.find(number) {
            undo.watch(&self.doc, if is_redo { [to, from] } else { [from, to] });
            undo.tell(if is_redo { News::Redone } else { News::Undone });
        }
        self.typing.forget();
        // What came back may hold values.
        self.values_seen = self.values_seen.wrapping_add(1);
        let updates = std::mem::take(&mut *updates.lock().unwrap_or_else(PoisonError::into_inner));
        let mut is_torn = false;
        for mut update in updates {
            if let Some(item) = &item {
                self.restored(item, &update)?;
                is_torn |= self.is_torn(&update)?;
            }
            if !find(&update, &has_one_neighbor)?.is_empty() {
                update = replace(&update, &mended)?;
                is_torn = true;
            }
            // In pieces that every relay takes.
            if update.len() > EDIT_BYTES_MAX {
                let pieces = pieces(&update, &self.known, EDIT_BYTES_MAX)?;
                pieces.into_iter().try_for_each(|piece| self.note(piece))?;
            } else {
                self.note(update)?;
            }
        }
        if is_torn {
            self.rebuild(&replace(&self.state(), &mended)?, false)?;
        }
        Ok(is_changed)
    }

    /// Gathers the update of each transaction until somebody ends it: before yrs joins structs.
    fn gather_updates(&self) -> Result<Arc<Mutex<Vec<Vec<u8>>>>, Error> {
        let updates = Arc::new(Mutex::new(Vec::new()));
        let gathered = Arc::clone(&updates);
        let gather = move |txn: &mut TransactionMut<'_>| {
            let update = txn.encode_update_v1();
            gathered.lock().unwrap_or_else(PoisonError::into_inner).push(update);
        };
        self.doc.observe_after_transaction(OBSERVER, gather).map_err(busy)?;
        Ok(updates)
    }

    /// From here on edits are undone apart from those before.
    pub fn stop_undo(&mut self, number: u32) {
        if let Some(undo) = self.undos.find(number) {
            undo.stop();
        }
    }

    /// Forgets what could be undone and redone.
    pub fn clear_undo(&mut self, number: u32) {
        self.undos.clear(&self.doc, number);
    }

    /// What happened since the last call, as JSON: what, and how much can be undone and redone then.
    #[must_use]
    pub fn take_undo_news(&mut self, number: u32) -> String {
        self.undos.take_news(number)
    }

    /// The item without types that hold what others wrote.
    fn sheltered(&self, item: &Item) -> Item {
        let mut insertions = item.insertions().clone();
        let made = self.undos.made.iter().copied();
        let made = made.filter(|id| item.insertions().contains(&yrs_id(*id)));
        let made: Vec<_> = made.filter_map(|id| Some((id, self.current(id)?))).collect();
        let is_foreign = |id: Id| {
            let is_own = id.client == self.client && !self.undos.lent.contains(&yrs_id(id));
            !is_own && !item.insertions().contains(&yrs_id(id))
        };
        let is_alone = self.known.len() == 1 && self.undos.lent.is_empty();
        if !made.is_empty()
            && !is_alone
            && let Ok(sheltering) = sheltering(&self.state(), &is_foreign)
        {
            for (id, _) in made.iter().filter(|(_, current)| sheltering.contains(current)) {
                insertions.remove_range(&BlockRange::new(yrs_id(*id), 1));
            }
        }
        StackItem::new(self.doc.guid(), item.deletions().clone(), insertions)
    }

    /// A type that was made as this one, and may have been deleted and brought back since.
    fn current(&self, id: Id) -> Option<Id> {
        let txn = self.doc.try_transact().ok()?;
        let scope = IndexScope::Nested(yrs_id(id));
        let branch: BranchPtr = StickyIndex::new(scope, Assoc::After).get_offset(&txn)?.branch;
        match branch.id() {
            yrs::BranchID::Nested(id) if !branch.is_deleted() => Some(our_id(id)),
            _ => None,
        }
    }

    /// Takes note of what came back with an item: it has new ids, and may be that of others.
    fn restored(&mut self, item: &Item, update: &[u8]) -> Result<(), Error> {
        let copies = self.copies(item, update)?;
        let is_foreign =
            |lent: &IdSet, id: Id| id.client != self.client || lent.contains(&yrs_id(id));
        for copy in &copies {
            if is_foreign(&self.undos.lent, copy.from) {
                self.undos.lent.insert(yrs_id(copy.to), copy.len);
            }
        }
        for id in ids(item.deletions()) {
            if is_foreign(&self.undos.lent, id)
                && let Some(current) = self.current(id)
            {
                self.undos.lent.insert(yrs_id(current), 1);
            }
        }
        self.undos.follow(&self.doc, &copies);
        Ok(())
    }

    /// What came back, and of what it is a copy: all but types, which yrs finds again, and formats.
    fn copies(&self, item: &Item, update: &[u8]) -> Result<Vec<Copy>, Error> {
        let is_content = |block: &Block<'_>| {
            !matches!(block.kind, Kind::Type | Kind::Format | Kind::Gc | Kind::Deleted)
        };
        let mut copies = Vec::new();
        let mut moved = Vec::new();
        for (to, len, _, right) in find(update, &is_content)? {
            match right.filter(|right| item.deletions().contains(&yrs_id(*right))) {
                // A copy stands before its original, where the type around it is still the same.
                Some(from) => copies.push(Copy { from, to, len }),
                None => moved.push((to, len)),
            }
        }
        let txn = self.doc.try_transact().map_err(busy)?;
        // In another one, it is where yrs leads from the original.
        let offset = |id: Id| {
            let at = StickyIndex::new(IndexScope::Relative(yrs_id(id)), Assoc::After);
            at.get_offset(&txn).filter(|at| !at.branch.is_deleted())
        };
        let places = moved.into_iter().filter_map(|(to, len)| {
            let at = offset(to)?;
            let here = TextRef::from(at.branch).sticky_index(&txn, at.index, Assoc::After)?;
            // An entry of a map is at no index.
            (here.id() == Some(&yrs_id(to))).then_some((at, to, len))
        });
        let places: Vec<_> = places.collect();
        if places.is_empty() {
            return Ok(copies);
        }
        let mut next = None;
        for from in ids(item.deletions()) {
            let is_passed = next.is_some_and(|next: Id| from.client == next.client && from < next);
            let is_content =
                !item.insertions().contains(&yrs_id(from)) && !self.undos.marks.contains(&from);
            if is_passed || !is_content {
                continue;
            }
            let Some(at) = offset(from) else { continue };
            let is_same =
                |it: &&(Offset, Id, u32)| it.0.index == at.index && it.0.branch == at.branch;
            if let Some((_, to, len)) = places.iter().find(is_same) {
                copies.push(Copy { from, to: *to, len: *len });
                next = Some(Id { clock: from.clock.saturating_add(u64::from(*len)), ..from });
            }
        }
        Ok(copies)
    }

    /// Whether an entry came back behind one of a type that is gone, as yrs and Yjs do it when the
    /// last item both replaced it and deleted the type around it. Nobody else can take that in.
    fn is_torn(&self, update: &[u8]) -> Result<bool, Error> {
        let txn = self.doc.try_transact().map_err(busy)?;
        let is_gone = |id: Id| {
            let at = StickyIndex::new(IndexScope::Relative(yrs_id(id)), Assoc::After);
            at.get_offset(&txn).is_none_or(|at| at.branch.is_deleted())
        };
        let last = find(update, &|block| block.right_origin.is_none())?;
        let mut last = last.into_iter().filter_map(|(id, _, left, _)| Some((id, left?)));
        Ok(last.any(|(id, left)| is_gone(left) && !is_gone(id)))
    }

    /// An own edit is in the document.
    pub(super) fn edited(&mut self, update: &[u8], has_marks: bool) -> Result<(), Error> {
        if !self.needs_time() {
            return Ok(());
        }
        if has_marks {
            let of = |kind| move |block: &Block<'_>| block.kind == kind;
            let found = |found: Vec<Struct>| found.into_iter().map(|(id, ..)| id);
            self.undos.made.extend(found(find(update, &of(Kind::Type))?));
            self.undos.marks.extend(found(find(update, &of(Kind::Format))?));
        }
        self.undos.edited();
        self.undos.settle(&self.doc);
        Ok(())
    }
}

/// All ids of a set.
fn ids(set: &IdSet) -> impl Iterator<Item = Id> {
    set.iter().flat_map(|(client, ranges)| {
        ranges
            .into_iter()
            .flat_map(|range| range.clone().map(|clock| our_id(yrs::ID::new(*client, clock))))
    })
}

/// Whether a struct has the same one on both sides, as yrs and Yjs bring it back when the copy of one
/// stands for both. Nobody else takes that.
fn has_one_neighbor(block: &Block<'_>) -> bool {
    block.origin.is_some() && block.origin == block.right_origin
}

/// Such a struct with a neighbor on its left alone.
fn mended(block: &Block<'_>) -> Option<Vec<u8>> {
    if !has_one_neighbor(block) {
        return None;
    }
    let (left, _) = block.places().split_at_checked(block.places().len() / 2)?;
    let mut bytes = vec![block.info & !HAS_RIGHT_ORIGIN];
    bytes.extend_from_slice(left);
    bytes.extend_from_slice(block.content);
    Some(bytes)
}

/// A struct: its id and length, and what was on its left and on its right.
type Struct = (Id, u32, Option<Id>, Option<Id>);

/// Some structs of an update.
fn find(update: &[u8], is_wanted: &dyn Fn(&Block<'_>) -> bool) -> Result<Vec<Struct>, Error> {
    let mut found = Found { is_wanted, structs: Vec::new() };
    walk(update, usize::MAX, &mut found)?;
    Ok(found.structs)
}

struct Found<'w> {
    is_wanted: &'w dyn Fn(&Block<'_>) -> bool,
    structs: Vec<Struct>,
}

impl<'a> Visit<'a> for Found<'_> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        if (self.is_wanted)(block) {
            let len = u32::try_from(block.len).unwrap_or(u32::MAX);
            self.structs.push((block.id, len, block.origin, block.right_origin));
        }
        Ok(())
    }
}
