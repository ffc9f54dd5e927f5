//! Observers: what the document says of its changes, gathered until somebody takes it.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use yrs::branch::{Branch, BranchPtr};
use yrs::types::{self, Attrs, EntryChange, Event, Events, PathSegment};
use yrs::{Any, DeepObservable, Map, MapRef, Out, TextRef, TransactionMut};

use super::change::{Change, KeyChange, Merged, Segment, Step, len_after, push, trim};
use super::content::{Value, tag};
use super::node::{Node, Place};
use super::replica::REMOTE;
use super::text::Content;

/// The key under which types are observed.
const OBSERVER: &str = "replica";

/// Changes that wait to be taken; a replica and the observers of its document share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<Change>,
    /// Those of the open group.
    group: Option<Group>,
    /// There are formats in the present update.
    has_formats: bool,
    /// What the present edit does, when that is known before.
    own: Option<(Place, Vec<Step>)>,
    origin: u32,
    /// The number of the last transaction.
    transaction: u32,
}

/// What an open group did so far: one change for each type.
#[derive(Debug, Default)]
struct Group {
    changes: Vec<Merged>,
    /// Where each type is among the changes, in the order of the types.
    types: Vec<usize>,
    /// The most segments that a path has.
    deepest: usize,
}

impl Group {
    /// Takes in the changes of one transaction.
    fn add(&mut self, changes: Vec<Change>) {
        // Paths are those at the end of a transaction. Only what changes a sequence moves what is
        // inside it.
        for change in &changes {
            if !change.delta.is_empty() && change.path.len() < self.deepest {
                self.changes.iter_mut().for_each(|known| known.follow(change));
            }
        }
        for change in changes {
            self.deepest = self.deepest.max(change.path.len());
            let known = &mut self.changes;
            let order = |at: &usize| known.get(*at).map_or(Ordering::Less, |it| it.cmp(&change));
            match self.types.binary_search_by(order) {
                Ok(at) => {
                    if let Some(known) = self.types.get(at).and_then(|at| known.get_mut(*at)) {
                        known.push(change);
                    }
                }
                Err(at) => {
                    self.types.insert(at, known.len());
                    known.push(Merged::new(change));
                }
            }
        }
    }
}

impl Changes {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a transaction that is told now: one for a whole group.
    pub(super) fn next_transaction(&self) -> u32 {
        let mut waiting = self.lock();
        if waiting.group.is_none() {
            waiting.transaction = waiting.transaction.wrapping_add(1);
        }
        waiting.transaction
    }

    /// Adds what one type is told of a transaction; when a group is open, to what it is told already.
    pub(super) fn push(&self, mut changes: Vec<Change>) {
        let mut waiting = self.lock();
        for change in changes.iter_mut().filter(|change| change.is_local) {
            change.origin = waiting.origin;
        }
        match &mut waiting.group {
            Some(group) => group.add(changes),
            None => waiting.changes.append(&mut changes),
        }
    }

    /// From here on changes become one for each type.
    pub(super) fn begin(&self, origin: u32) {
        let mut waiting = self.lock();
        waiting.group = Some(Group::default());
        waiting.transaction = waiting.transaction.wrapping_add(1);
        waiting.origin = origin;
    }

    /// The opposite. Changes of types that are not `wanted` were only of use inside the group.
    pub(super) fn commit(&self, is_wanted: impl Fn(&Node) -> bool) {
        let mut waiting = self.lock();
        waiting.origin = 0;
        let Some(group) = waiting.group.take() else { return };
        let wanted = |change: &Change| !change.is_empty() && is_wanted(&change.target);
        waiting.changes.extend(group.changes.into_iter().map(Merged::finish).filter(wanted));
    }

    /// Says what the next edit does to a type, which saves asking the document for it.
    pub(super) fn expect(&self, own: Option<(Place, Vec<Step>)>) {
        self.lock().own = own;
    }

    /// Says whether there are formats in the next update.
    pub(super) fn expect_formats(&self, has_formats: bool) {
        self.lock().has_formats = has_formats;
    }

    pub(super) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut self.lock().changes)
    }
}

/// Starts to observe a type; `is_deep` for those inside it, too.
pub(super) fn watch(branch: BranchPtr, node: &Node, is_deep: bool, changes: &Changes) {
    let mut observer = Observer {
        node: node.clone(),
        is_deep,
        len: branch.content_len(),
        changes: changes.clone(),
    };
    // Any type will do: only the branch is used.
    TextRef::from(branch).observe_deep(OBSERVER, move |txn, events| observer.observe(txn, events));
}

/// Ends it.
pub(super) fn unwatch(branch: BranchPtr) {
    TextRef::from(branch).unobserve_deep(OBSERVER);
}

/// Turns the events of one type, and of those inside it, into changes.
struct Observer {
    node: Node,
    is_deep: bool,
    /// How long the type is.
    len: u32,
    changes: Changes,
}

impl Observer {
    fn observe(&mut self, txn: &TransactionMut<'_>, events: &Events<'_>) {
        let transaction = self.changes.next_transaction();
        let mut told = Vec::new();
        for event in events.iter() {
            let target = event.target();
            let Some(branch) = target.try_branch() else { continue };
            let is_self = self.node.place.is_of(branch);
            if !is_self && !self.is_deep {
                continue;
            }
            let Some(target) = (if is_self { Some(self.node.clone()) } else { Node::of(branch) })
            else {
                continue;
            };
            let mut delta = self.own(&target).unwrap_or_else(|| delta(event, txn));
            trim(&mut delta);
            if is_self {
                self.check(branch, &mut delta, txn);
            }
            let change = Change {
                observed: self.node.clone(),
                target,
                name: tag(branch),
                path: if is_self { Vec::new() } else { path(event) },
                delta,
                keys: if self.can_tell_keys(branch, txn) { keys(event, txn) } else { Vec::new() },
                is_local: txn.origin().is_none_or(|it| it.as_ref() != REMOTE.as_bytes()),
                origin: 0,
                transaction,
            };
            if !change.is_empty() {
                told.push(change);
            }
        }
        self.changes.push(told);
    }

    /// Whether yrs can be asked what entries changed: it panics when one of them is new and a format,
    /// which is no value. No editor writes that.
    fn can_tell_keys(&self, branch: &Branch, txn: &TransactionMut<'_>) -> bool {
        let entries = MapRef::from(BranchPtr::from(branch));
        let count = || u32::try_from(entries.iter(txn).count()).ok();
        !self.changes.lock().has_formats || count() == Some(entries.len(txn))
    }

    fn own(&self, target: &Node) -> Option<Vec<Step>> {
        let waiting = self.changes.lock();
        let (place, steps) = waiting.own.as_ref()?;
        (*place == target.place).then(|| steps.clone())
    }

    /// A text that holds what is no text (a list of values by another name, an embedded string) is
    /// told as a whole: what yrs says of it does not add up.
    fn check(&mut self, branch: &Branch, delta: &mut Vec<Step>, txn: &TransactionMut<'_>) {
        let (before, after) = (self.len, branch.content_len());
        self.len = after;
        if !self.node.kind.is_text() || len_after(before, delta) == Some(after) {
            return;
        }
        delta.clear();
        push(delta, Step::Delete(before));
        let text = Content::of(&TextRef::from(BranchPtr::from(branch)), txn).text;
        push(delta, Step::Text(text, Vec::new()));
    }
}

fn delta(event: &Event, txn: &TransactionMut<'_>) -> Vec<Step> {
    match event {
        Event::Text(event) => text_delta(event.delta(txn)),
        Event::XmlText(event) => text_delta(event.delta(txn)),
        Event::Array(event) => sequence_delta(event.delta(txn)),
        Event::XmlFragment(event) => sequence_delta(event.delta(txn)),
        Event::Map(_) => Vec::new(),
    }
}

fn text_delta(parts: &[types::Delta]) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in parts {
        push(
            &mut steps,
            match part {
                types::Delta::Inserted(Out::Any(Any::String(text)), attributes) => {
                    Step::Text(text.to_string(), formats(attributes.as_deref()))
                }
                types::Delta::Inserted(out, attributes) => {
                    Step::Values(vec![Value::new(out.clone())], formats(attributes.as_deref()))
                }
                types::Delta::Deleted(len) => Step::Delete(*len),
                types::Delta::Retain(len, attributes) => {
                    Step::Retain(*len, formats(attributes.as_deref()))
                }
            },
        );
    }
    steps
}

fn sequence_delta(parts: &[types::Change]) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in parts {
        push(
            &mut steps,
            match part {
                types::Change::Added(values) => {
                    Step::Values(values.iter().cloned().map(Value::new).collect(), Vec::new())
                }
                types::Change::Removed(len) => Step::Delete(*len),
                types::Change::Retain(len) => Step::Retain(*len, Vec::new()),
            },
        );
    }
    steps
}

/// Formats, always in the same order.
pub(super) fn formats(attributes: Option<&Attrs>) -> Vec<(Arc<str>, Any)> {
    let mut formats: Vec<(Arc<str>, Any)> = Vec::new();
    for (name, value) in attributes.into_iter().flatten() {
        let at = formats.partition_point(|(other, _)| other < name);
        formats.insert(at, (Arc::clone(name), value.clone()));
    }
    formats
}

fn keys(event: &Event, txn: &TransactionMut<'_>) -> Vec<KeyChange> {
    let keys = match event {
        Event::Map(event) => event.keys(txn),
        Event::XmlFragment(event) => event.keys(txn),
        Event::XmlText(event) => event.keys(txn),
        Event::Text(_) | Event::Array(_) => return Vec::new(),
    };
    let mut changes: Vec<KeyChange> = Vec::new();
    for (key, change) in keys {
        let (before, after) = match change {
            EntryChange::Inserted(after) => (None, Some(after)),
            EntryChange::Updated(before, after) => (Some(before), Some(after)),
            EntryChange::Removed(before) => (Some(before), None),
        };
        let value = |out: Option<&Out>| out.cloned().map(Value::new);
        let at = changes.partition_point(|other| other.key < *key);
        let key = Arc::clone(key);
        changes.insert(at, KeyChange { key, before: value(before), after: value(after) });
    }
    changes
}

fn path(event: &Event) -> Vec<Segment> {
    let segment = |segment| match segment {
        PathSegment::Key(key) => Segment::Key(key),
        PathSegment::Index(index) => Segment::Index(index),
    };
    event.path().into_iter().map(segment).collect()
}
