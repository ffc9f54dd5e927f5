//! What can be undone: own edits in items, as the document tells of its transactions.
//!
//! An item is two sets of ids: of what its edits inserted, and of what they deleted. What was deleted
//! stays in the document as long as something can be undone, so that it can be written again; what
//! nobody gathers is let go of at once. How an item is taken back: see [`super::takeback`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use yrs::{BranchID, Doc, ID, IdSet, Transact, TransactionMut};

use super::content::{write_list, write_number};
use super::copies::{Copies, insert_all};
use super::kept::Kept;
use super::node::{Node, Place};
use crate::error::Error;
use crate::time::Time;

/// The key under which transactions are observed.
const OBSERVER: &str = "undo";

/// Edits that are undone together.
#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) insertions: IdSet,
    pub(super) deletions: IdSet,
    /// Shared types may be among what was inserted, or something outside of the scope.
    pub(super) is_mixed: bool,
}

impl Item {
    /// Takes in a transaction.
    fn add(&mut self, other: &Self) {
        insert_all(&mut self.insertions, &other.insertions);
        insert_all(&mut self.deletions, &other.deletions);
        self.is_mixed |= other.is_mixed;
    }
}

/// What happened to the items of one [`Undo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum News {
    /// An edit was added: to the last item when there are as many as before.
    Edited = 0,
    /// The last item was undone, and what that did can be redone.
    Undone = 1,
    /// The opposite.
    Redone = 2,
    /// There is no item any more.
    Cleared = 3,
}

/// Own edits of some types that can be undone, and redone.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) number: u32,
    pub(super) scope: Vec<Node>,
    timeout: Duration,
    is_tracking: bool,
    /// When something was gathered that the next edit can join.
    last: Option<Time>,
    /// Something of the open group was gathered.
    has_group: bool,
    undo: Vec<Item>,
    redo: Vec<Item>,
    news: Vec<(News, [usize; 2])>,
}

impl Undo {
    const fn new(number: u32, timeout: Duration) -> Self {
        Self {
            number,
            scope: Vec::new(),
            timeout,
            is_tracking: true,
            last: None,
            has_group: false,
            undo: Vec::new(),
            redo: Vec::new(),
            news: Vec::new(),
        }
    }

    const fn counts(&self) -> [usize; 2] {
        [self.undo.len(), self.redo.len()]
    }

    fn tell(&mut self, news: News) {
        let counts = self.counts();
        // While somebody types, there is nothing to be told twice.
        if self.news.last() != Some(&(news, counts)) {
            self.news.push((news, counts));
        }
    }

    /// The next edit begins a new item.
    const fn stop(&mut self) {
        self.last = None;
        self.has_group = false;
    }

    fn clear(&mut self) {
        self.stop();
        if self.counts() != [0, 0] {
            self.undo.clear();
            self.redo.clear();
            self.tell(News::Cleared);
        }
    }

    fn stack(&mut self, is_redo: bool) -> &mut Vec<Item> {
        if is_redo { &mut self.redo } else { &mut self.undo }
    }

    /// Gathers a transaction, when it is one of the scope.
    fn gather(&mut self, txn: &TransactionMut<'_>, now: Time, is_group: bool) -> bool {
        let changed = txn.changed_parent_types();
        let mut places = self.scope.iter().map(|node| &node.place);
        if !self.is_tracking
            || !places.any(|place| changed.iter().any(|branch| place.is_of(branch)))
        {
            return false;
        }
        // Every change is below a type with a name.
        let is_mixed = changed.iter().any(|branch| {
            let is_here = |node: &Node| node.place.is_of(branch);
            matches!(branch.id(), BranchID::Root(_)) && !self.scope.iter().any(is_here)
        });
        let edit = Item {
            insertions: txn.insert_set().clone(),
            deletions: txn.delete_set().clone(),
            is_mixed,
        };
        let is_recent = self.last.is_some_and(|last| now.since(last) < self.timeout);
        let joins = is_recent || is_group && self.has_group;
        match self.undo.last_mut().filter(|_| joins) {
            Some(item) => item.add(&edit),
            None => self.undo.push(edit),
        }
        self.last = Some(now);
        self.has_group = is_group;
        self.redo.clear();
        self.tell(News::Edited);
        true
    }
}

/// What the observer of a document looks at.
#[derive(Debug, Default)]
struct Gathering {
    all: Vec<Undo>,
    now: Time,
    is_group: bool,
    /// The present transaction takes something back.
    is_taking_back: bool,
    /// What was deleted since the layout that is kept was brought up to date.
    deleted: Option<IdSet>,
}

impl Gathering {
    /// Gathers an own transaction; whether what it deleted may come back.
    fn gather(&mut self, txn: &TransactionMut<'_>) -> bool {
        if txn.origin().is_some() || self.is_taking_back {
            return self.is_taking_back;
        }
        let (now, is_group) = (self.now, self.is_group);
        let gathered =
            self.all.iter_mut().filter_map(|undo| undo.gather(txn, now, is_group).then_some(()));
        gathered.count() > 0
    }
}

/// All of them in a document.
#[derive(Debug, Default)]
pub(super) struct Undos {
    gathering: Arc<Mutex<Gathering>>,
    /// What was brought back.
    pub(super) copies: Copies,
    /// What was read to bring something back.
    kept: Option<Box<Kept>>,
    last_number: u32,
}

fn lock(gathering: &Mutex<Gathering>) -> MutexGuard<'_, Gathering> {
    gathering.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Undos {
    fn lock(&self) -> MutexGuard<'_, Gathering> {
        lock(&self.gathering)
    }

    fn with<T>(&self, number: u32, change: impl FnOnce(&mut Undo) -> T) -> Option<T> {
        self.lock().all.iter_mut().find(|undo| undo.number == number).map(change)
    }

    /// Looks after the deleted content of a document from here on: it collects none itself.
    pub(super) fn watch(&self, doc: &Doc) {
        let gathering = Arc::clone(&self.gathering);
        let settle = move |txn: &mut TransactionMut<'_>| {
            let mut gathering = lock(&gathering);
            if let Some(deleted) = &mut gathering.deleted {
                insert_all(deleted, txn.delete_set());
            }
            let is_gathered = gathering.gather(txn);
            drop(gathering);
            if !is_gathered && !txn.delete_set().is_empty() {
                let deleted = txn.delete_set().clone();
                txn.gc(Some(&deleted));
            }
        };
        // Nobody else has the document yet.
        doc.observe_after_transaction(OBSERVER, settle).ok();
    }

    pub(super) fn open(&mut self, timeout: Duration) -> u32 {
        self.last_number = self.last_number.wrapping_add(1);
        self.lock().all.push(Undo::new(self.last_number, timeout));
        self.last_number
    }

    pub(super) fn widen(&self, number: u32, node: Node) {
        self.with(number, |undo| undo.scope.push(node));
    }

    pub(super) fn close(&mut self, doc: &Doc, number: u32) {
        self.clear(doc, number);
        self.lock().all.retain(|undo| undo.number != number);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.lock().all.is_empty()
    }

    pub(super) fn set_time(&self, now: Time) {
        self.lock().now = now;
    }

    pub(super) fn track(&self, number: u32, is_tracking: bool) {
        self.with(number, |undo| undo.is_tracking = is_tracking);
    }

    /// A group of edits is open from here on, or not any more: it is never in two items.
    pub(super) fn set_group(&self, is_open: bool) {
        let mut gathering = self.lock();
        gathering.is_group = is_open;
        gathering.all.iter_mut().for_each(|undo| undo.has_group = false);
    }

    pub(super) fn stop(&self, number: u32) {
        self.with(number, Undo::stop);
    }

    /// The transaction before this one may have made shared types.
    pub(super) fn made_types(&self) {
        let mut gathering = self.lock();
        let last = gathering.all.iter_mut().filter_map(|undo| undo.undo.last_mut());
        last.for_each(|item| item.is_mixed = true);
    }

    /// Takes the last item off, and says in which types it may be taken back; with nothing left, there
    /// is none.
    pub(super) fn pop(&self, number: u32, is_redo: bool) -> Option<(Item, Vec<Place>)> {
        let pop = |undo: &mut Undo| {
            undo.stop();
            let item = undo.stack(is_redo).pop()?;
            Some((item, undo.scope.iter().map(|node| node.place.clone()).collect()))
        };
        self.with(number, pop)?
    }

    /// Whether an item deleted an element.
    pub(super) fn has_deleted(&self, number: u32, id: ID) -> bool {
        let deletes = |item: &Item| item.deletions.contains(&id);
        let has = |undo: &mut Undo| undo.undo.iter().chain(&undo.redo).any(deletes);
        self.with(number, has).unwrap_or_default()
    }

    /// Puts an item on a stack.
    pub(super) fn push(&self, number: u32, is_redo: bool, item: Item) {
        self.with(number, |undo| undo.stack(is_redo).push(item));
    }

    pub(super) fn tell(&self, number: u32, news: News) {
        self.with(number, |undo| undo.tell(news));
    }

    /// What follows takes something back, and nobody gathers it; or not any more.
    pub(super) fn set_taking_back(&self, is_taking_back: bool) {
        self.lock().is_taking_back = is_taking_back;
    }

    /// Where everything in the document stands, as it was kept, or else read from its state.
    pub(super) fn take_kept(
        &mut self,
        state: impl FnOnce() -> Vec<u8>,
    ) -> Result<Box<Kept>, Error> {
        let deleted = self.lock().deleted.take();
        if let (Some(mut kept), Some(deleted)) = (self.kept.take(), deleted)
            && kept.catch_up(&deleted).is_ok()
        {
            return Ok(kept);
        }
        Kept::read(state())
    }

    /// Keeps it for the next undo.
    pub(super) fn keep(&mut self, kept: Box<Kept>) {
        self.kept = Some(kept);
        self.lock().deleted = Some(IdSet::new());
    }

    #[cfg(test)]
    pub(super) const fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Notes an update that the document took in.
    pub(super) fn took_in(&mut self, update: &[u8]) {
        if self.kept.as_mut().is_some_and(|kept| !kept.note(update)) {
            self.let_go();
        }
    }

    /// Keeps no layout any more.
    pub(super) fn let_go(&mut self) {
        self.kept = None;
        self.lock().deleted = None;
    }

    /// The document is another one: nothing in it can be undone.
    pub(super) fn begin_again(&mut self) {
        self.copies = Copies::default();
        self.let_go();
        self.lock().all.iter_mut().for_each(Undo::clear);
    }

    pub(super) fn clear(&mut self, doc: &Doc, number: u32) {
        self.with(number, Undo::clear);
        let is_empty = self.lock().all.iter().all(|undo| undo.counts() == [0, 0]);
        if is_empty {
            self.copies = Copies::default();
            self.let_go();
            if let Ok(mut txn) = doc.try_transact_mut() {
                txn.gc(None);
            }
        }
    }

    pub(super) fn take_news(&self, number: u32) -> String {
        let news = self.with(number, |undo| std::mem::take(&mut undo.news)).unwrap_or_default();
        let mut json = String::new();
        write_list(&mut json, news.into_iter(), |(news, counts), json| {
            json.push('[');
            write_number(u64::from(news as u8), json);
            for count in counts {
                json.push(',');
                write_number(u64::try_from(count).unwrap_or(u64::MAX), json);
            }
            json.push(']');
        });
        json
    }
}
