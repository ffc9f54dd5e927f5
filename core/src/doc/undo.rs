//! What can be undone: own edits in items, as one observer of a document after the other gathers them.
//!
//! yrs gathers and takes back; when an item ends is decided here, because there each edit is a
//! transaction of its own, and so is what it may not take back: see [`super::shelter`].

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use yrs::block::BlockRange;
use yrs::branch::BranchPtr;
use yrs::undo::{Options, StackItem, UndoManager};
use yrs::{Doc, ID, IdSet, ReadTxn, Transact, TransactionMut};

use super::content::{write_list, write_number};
use super::node::{Node, Place};
use super::replica::yrs_id;
use super::walk::Id;
use crate::time::Time;

/// Edits that are undone together.
pub(super) type Item = StackItem<()>;
type Manager = UndoManager<()>;

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

/// When edits become one item. The observer of the document asks for it, and says so with it that an
/// edit was gathered.
#[derive(Debug)]
struct Capture {
    timeout: Duration,
    now: Time,
    /// When something was gathered that the next edit can join.
    last: Option<Time>,
    /// The time as yrs is told: it stands still within an item.
    tick: u64,
    /// A group of edits is open, and something of it was gathered.
    group: Option<bool>,
    /// Edits are gathered.
    is_tracking: bool,
    /// Something was gathered since somebody looked.
    is_gathered: bool,
}

impl Capture {
    fn gather(&mut self) -> u64 {
        let is_recent = self.last.is_some_and(|last| self.now.since(last) < self.timeout);
        if !is_recent && self.group != Some(true) {
            self.tick += 1;
        }
        self.last = Some(self.now);
        self.group = self.group.map(|_| true);
        self.is_gathered = true;
        self.tick
    }

    fn stop(&mut self) {
        self.last = None;
        self.group = self.group.map(|_| false);
    }
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Capture>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Capture> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Own edits of some types that can be undone, and redone.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) number: u32,
    pub(super) scope: Vec<Node>,
    capture: Shared,
    manager: Manager,
    /// Not with yrs: when that drops them, it lets go of what they deleted, but not of what was deleted
    /// inside before, and a document cannot be written down with such remains.
    redo: Vec<Item>,
    news: Vec<(News, [usize; 2])>,
}

impl Undo {
    fn new(number: u32, timeout: Duration, group: Option<bool>) -> Self {
        let capture = Shared(Arc::new(Mutex::new(Capture {
            timeout,
            now: Time::ZERO,
            last: None,
            tick: 1,
            group,
            is_tracking: true,
            is_gathered: false,
        })));
        let manager = gathering(&capture, Vec::new());
        Self { number, scope: Vec::new(), capture, manager, redo: Vec::new(), news: Vec::new() }
    }

    /// Gathers edits of the scope in a document from here on, beside these ones.
    pub(super) fn watch(&mut self, doc: &Doc, [undo, redo]: [Vec<Item>; 2]) {
        self.manager = gathering(&self.capture, undo);
        self.redo = redo;
        let Ok(mut txn) = doc.try_transact_mut() else { return };
        self.scope.retain(|node| node.open(&mut txn).is_ok());
        let branches = branches(&self.scope, &txn);
        drop(txn);
        branches.iter().for_each(|branch| self.manager.expand_scope(doc, branch));
        self.capture.lock().stop();
    }

    /// The items that can be undone, and those that can be redone.
    pub(super) fn stacks(&self) -> [Vec<Item>; 2] {
        [self.manager.undo_stack().to_vec(), self.redo.clone()]
    }

    fn counts(&self) -> [usize; 2] {
        [self.manager.undo_stack().len(), self.redo.len()]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts() == [0, 0]
    }

    pub(super) fn tell(&mut self, news: News) {
        let counts = self.counts();
        // While somebody types, there is nothing to be told twice.
        if self.news.last() != Some(&(news, counts)) {
            self.news.push((news, counts));
        }
    }

    /// The next edit begins a new item.
    pub(super) fn stop(&self) {
        self.capture.lock().stop();
    }
}

/// All of them in a document.
#[derive(Debug, Default)]
pub(super) struct Undos {
    pub(super) all: Vec<Undo>,
    /// Types that were made here while something could be undone.
    pub(super) made: Vec<Id>,
    /// Formats that were made so.
    pub(super) marks: BTreeSet<Id>,
    /// What undo brought back, under the own client id, that somebody else had written.
    pub(super) lent: IdSet,
    last_number: u32,
}

impl Undos {
    pub(super) fn open(&mut self, timeout: Duration, has_group: bool) -> u32 {
        self.last_number = self.last_number.wrapping_add(1);
        let group = has_group.then_some(false);
        self.all.push(Undo::new(self.last_number, timeout, group));
        self.last_number
    }

    pub(super) fn find(&mut self, number: u32) -> Option<&mut Undo> {
        self.all.iter_mut().find(|undo| undo.number == number)
    }

    pub(super) fn set_time(&self, now: Time) {
        self.all.iter().for_each(|undo| undo.capture.lock().now = now);
    }

    pub(super) fn track(&mut self, number: u32, is_tracking: bool) {
        if let Some(undo) = self.find(number) {
            undo.capture.lock().is_tracking = is_tracking;
        }
    }

    /// A group of edits is open from here on, or not any more: it is never in two items.
    pub(super) fn set_group(&self, is_open: bool) {
        self.all.iter().for_each(|undo| undo.capture.lock().group = is_open.then_some(false));
    }

    pub(super) fn stop(&self) {
        self.all.iter().for_each(Undo::stop);
    }

    /// Something was edited.
    pub(super) fn edited(&mut self) {
        for undo in &mut self.all {
            let mut capture = undo.capture.lock();
            let is_gathered = std::mem::take(&mut capture.is_gathered);
            if !is_gathered && !capture.is_tracking {
                // yrs cannot undo an item with a gap in the middle of a struct.
                capture.stop();
            }
            drop(capture);
            if is_gathered {
                undo.redo.clear();
                undo.tell(News::Edited);
            }
        }
    }

    /// Looks after scopes: types that are gone from the document leave them.
    pub(super) fn settle(&mut self, doc: &Doc) {
        let is_nested = |node: &Node| matches!(node.place, Place::Nested(..));
        for undo in &mut self.all {
            if !undo.scope.iter().any(is_nested) {
                continue;
            }
            let Ok(txn) = doc.try_transact() else { return };
            let is_gone = undo.scope.iter().any(|node| node.find(&txn).is_err());
            drop(txn);
            if is_gone {
                let stacks = undo.stacks();
                undo.watch(doc, stacks);
            }
        }
    }

    /// The document is another one: nothing in it can be undone.
    pub(super) fn begin_again(&mut self, doc: &Doc) {
        self.forget();
        for undo in &mut self.all {
            let was_empty = undo.is_empty();
            undo.watch(doc, [Vec::new(), Vec::new()]);
            if !was_empty {
                undo.tell(News::Cleared);
            }
        }
    }

    pub(super) fn clear(&mut self, doc: &Doc, number: u32) {
        let Some(undo) = self.find(number) else { return };
        undo.watch(doc, [Vec::new(), Vec::new()]);
        undo.tell(News::Cleared);
        if self.all.iter().all(Undo::is_empty) {
            self.forget();
            release(doc);
        }
    }

    fn forget(&mut self) {
        self.made.clear();
        self.marks.clear();
        self.lent = IdSet::new();
    }

    /// What came back has other ids: from here on, these are undone. yrs would follow them, but may
    /// have joined a copy with the one behind it, and take both away.
    pub(super) fn follow(&mut self, doc: &Doc, copies: &[Copy]) {
        for undo in &mut self.all {
            let mut stacks = undo.stacks();
            let mut is_other = false;
            for item in stacks.iter_mut().flatten() {
                let insertions = moved(item.insertions(), copies);
                is_other |= insertions.is_some();
                if let Some(insertions) = insertions {
                    *item = StackItem::new(doc.guid(), item.deletions().clone(), insertions);
                }
            }
            if is_other {
                undo.watch(doc, stacks);
            }
        }
    }

    pub(super) fn take_news(&mut self, number: u32) -> String {
        let news = self.find(number).map(|undo| std::mem::take(&mut undo.news)).unwrap_or_default();
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

/// Content that was brought back, under new ids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    pub(super) from: Id,
    pub(super) to: Id,
    pub(super) len: u32,
}

/// The ids of a set as they are now, when some are other ones.
fn moved(set: &IdSet, copies: &[Copy]) -> Option<IdSet> {
    let mut moved = None;
    for copy in copies {
        let from = yrs_id(copy.from);
        let end = from.clock.saturating_add(copy.len);
        for (client, ranges) in set.iter().filter(|(client, _)| **client == from.client) {
            for range in ranges {
                let (start, end) = (range.start.max(from.clock), range.end.min(end));
                if start >= end {
                    continue;
                }
                let moved = moved.get_or_insert_with(|| set.clone());
                let len = end.saturating_sub(start);
                moved.remove_range(&BlockRange::new(ID::new(*client, start), len));
                let to = yrs_id(copy.to);
                let clock = to.clock.saturating_add(start.saturating_sub(from.clock));
                moved.insert(ID::new(to.client, clock), len);
            }
        }
    }
    moved
}

/// A manager that gathers.
fn gathering(capture: &Shared, undo: Vec<Item>) -> Manager {
    let (clock, tracking) = (capture.clone(), capture.clone());
    UndoManager::with_options(Options {
        // As long as the time stands still, it is one item.
        capture_timeout_millis: 1,
        tracked_origins: Default::default(),
        capture_transaction: Some(Arc::new(move |txn: &TransactionMut<'_>| {
            txn.origin().is_none() && tracking.lock().is_tracking
        })),
        timestamp: Arc::new(move || clock.lock().gather()),
        init_undo_stack: undo,
        init_redo_stack: Vec::new(),
    })
}

/// A manager that gathers only what it does itself.
fn taking_back(undo: Vec<Item>, redo: Vec<Item>) -> Manager {
    UndoManager::with_options(Options {
        capture_timeout_millis: 0,
        tracked_origins: Default::default(),
        capture_transaction: None,
        timestamp: Arc::new(|| 1),
        init_undo_stack: undo,
        init_redo_stack: redo,
    })
}

/// Takes one item back, and nothing else if there is nothing to take back in it; gives what that did.
/// `others` are the rest of both stacks: what they deleted may be deleted again.
pub(super) fn take_back(
    doc: &Doc,
    scope: &[Node],
    item: Item,
    others: Vec<Item>,
    is_redo: bool,
) -> Option<Item> {
    let count = others.len();
    let (undo, redo) = if is_redo { (others, vec![item]) } else { (vec![item], others) };
    let mut manager = taking_back(undo, redo);
    let txn = doc.try_transact().ok()?;
    let branches = branches(scope, &txn);
    drop(txn);
    branches.iter().for_each(|branch| manager.expand_scope(doc, branch));
    let stack = if is_redo {
        manager.redo_blocking();
        manager.undo_stack()
    } else {
        manager.undo_blocking();
        manager.redo_stack()
    };
    stack.get(count).cloned()
}

fn branches<T: ReadTxn>(scope: &[Node], txn: &T) -> Vec<BranchPtr> {
    scope.iter().filter_map(|node| node.find(txn).ok().flatten()).collect()
}

/// Lets go of what was deleted and kept.
fn release(doc: &Doc) {
    let Ok(txn) = doc.try_transact() else { return };
    let mut all = IdSet::new();
    for (client, clock) in txn.state_vector().iter() {
        all.insert(ID::new(*client, 0), *clock);
    }
    // Some may have belonged to scopes that are not known any more.
    let branches: Vec<_> =
        txn.root_refs().filter_map(|(_, root)| root.try_branch().map(BranchPtr::from)).collect();
    drop(txn);
    let mut manager = taking_back(vec![StackItem::new(doc.guid(), all, IdSet::new())], Vec::new());
    branches.iter().for_each(|branch| manager.expand_scope(doc, branch));
    manager.clear_all();
    drop(manager);
    if let Ok(mut txn) = doc.try_transact_mut() {
        txn.gc(None);
    }
}
