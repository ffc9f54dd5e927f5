//! Sequences of a replica: arrays, and the children of elements and fragments.

use std::iter;

use yrs::branch::BranchPtr;
use yrs::types::text::{DeltaPrelim, YChange};
use yrs::types::xml::XmlDeltaPrelim;
use yrs::{
    Any, Array, ArrayPrelim, ArrayRef, GetString, In, Map, MapPrelim, MapRef, Out, ReadTxn, Text,
    TextRef, TransactionMut, XmlElementPrelim, XmlFragmentPrelim,
};

use super::content::{self, New, Value, write_list};
use super::delta::{Holds, apply};
use super::text::check_size;
use super::{Node, Replica, out_of_range};
use crate::doc::node::Kind;
use crate::error::Error;

impl Replica {
    /// Inserts a list of contents, written as JSON.
    ///
    /// # Errors
    /// `api.wrong_type`, `api.too_deep`, `api.out_of_range`, `api.deleted` or `update.too_large`.
    pub fn sequence_insert(&mut self, node: &Node, index: u32, items: &str) -> Result<(), Error> {
        check_size(items)?;
        let items = content::read_list(items)?;
        if node.kind != Kind::Array {
            content::check_children(&items)?;
        }
        self.check_depth(node, items.iter())?;
        self.check_text(node, index, 0)?;
        self.edit(node, None, |txn, branch| {
            let sequence = ArrayRef::from(branch);
            let is = sequence.len(txn);
            if index > is {
                return Err(out_of_range(index, 0, is));
            }
            insert(&sequence, txn, index, items);
            Ok(())
        })
    }

    /// Deletes entries.
    ///
    /// # Errors
    /// `api.out_of_range` or `api.deleted`.
    pub fn sequence_delete(&mut self, node: &Node, index: u32, length: u32) -> Result<(), Error> {
        self.check_text(node, index, length)?;
        self.edit(node, None, |txn, branch| {
            let sequence = ArrayRef::from(branch);
            let is = sequence.len(txn);
            if index.checked_add(length).is_none_or(|end| end > is) {
                return Err(out_of_range(index, length, is));
            }
            if length > 0 {
                sequence.remove_range(txn, index, length);
            }
            Ok(())
        })
    }

    /// Checks that a range cuts no surrogate pair where text stands among the entries.
    fn check_text(&self, node: &Node, index: u32, length: u32) -> Result<(), Error> {
        let has_text = !self.pairs.is_empty()
            && self.read(node, |branch, txn| text_in(&ArrayRef::from(branch), txn).is_some())?;
        if has_text { self.check_pairs(node, &[(index, length)]) } else { Ok(()) }
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn sequence_length(&self, node: &Node) -> Result<u32, Error> {
        self.read(node, |branch, txn| ArrayRef::from(branch).len(txn))
    }

    /// One entry as JSON; `None` when there is none.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn sequence_get(&mut self, node: &Node, index: u32) -> Result<Option<String>, Error> {
        let is_textless = self.textless.has(&node.place);
        let got = self.read(node, |branch, txn| {
            let sequence = ArrayRef::from(branch);
            if !is_textless && text_in(&sequence, txn).is_some() {
                return None;
            }
            let is_inside = index < sequence.len(txn);
            let out = is_inside.then(|| sequence.get(txn, index)).flatten();
            Some(out.map(|out| json(&Value::new(out))))
        })?;
        if got.is_some() && !is_textless {
            self.textless.note(&node.place);
        }
        Ok(got.flatten())
    }

    /// All entries as JSON.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn sequence_items(&self, node: &Node) -> Result<String, Error> {
        let mut json = String::new();
        self.read(node, |branch, txn| {
            let sequence = ArrayRef::from(branch);
            write_list(&mut json, items(&sequence, txn), |out, json| Value::new(out).write(json));
        })?;
        Ok(if json.is_empty() { "[]".to_owned() } else { json })
    }
}

pub(super) fn json(value: &Value) -> String {
    let mut json = String::new();
    value.write(&mut json);
    json
}

/// The entries of a sequence; text in it stands together.
pub(in crate::doc) fn items<T: ReadTxn>(sequence: &ArrayRef, txn: &T) -> impl Iterator<Item = Out> {
    let mut entries = sequence.iter(txn);
    let text = text_in(sequence, txn);
    let mut parts = text.map(|text| text.diff(txn, YChange::identity).into_iter());
    iter::from_fn(move || match &mut parts {
        None => entries.next(),
        Some(parts) => parts.next().map(|part| part.insert),
    })
}

/// A sequence as text, when there is text in it, which no editor writes there. yrs must not go
/// through its entries: it counts characters where it was told units, and never comes to an end.
fn text_in<T: ReadTxn>(sequence: &ArrayRef, txn: &T) -> Option<TextRef> {
    let text = TextRef::from(BranchPtr::from(sequence.as_ref()));
    (!text.get_string(txn).is_empty()).then_some(text)
}

/// Inserts contents where nothing can be wrong any more.
fn insert(sequence: &ArrayRef, txn: &mut TransactionMut<'_>, mut index: u32, items: Vec<New>) {
    // Plain values in a row are one struct, as in Yjs.
    let mut row: Vec<Any> = Vec::new();
    let flush = |txn: &mut TransactionMut<'_>, row: &mut Vec<Any>, index: &mut u32| {
        let len = u32::try_from(row.len()).unwrap_or(u32::MAX);
        // In a list that no editor made, what comes in can be deleted at once: yrs panics behind it.
        if *index <= sequence.len(txn) {
            sequence.insert_range(txn, *index, std::mem::take(row));
        }
        *index += len;
    };
    for item in items {
        match item {
            New::Plain(any) => row.push(any),
            new => {
                flush(txn, &mut row, &mut index);
                if index <= sequence.len(txn) {
                    let out = sequence.insert(txn, index, empty(&new));
                    fill(&out, txn, new);
                }
                index += 1;
            }
        }
    }
    flush(txn, &mut row, &mut index);
}

/// A new type without its content.
pub(super) fn empty(new: &New) -> In {
    match new {
        New::Plain(any) => In::Any(any.clone()),
        New::Array(_) => In::Array(ArrayPrelim::default()),
        New::Map(_) => In::Map(MapPrelim::default()),
        New::Text(_) => In::Text(DeltaPrelim::default()),
        New::XmlText(_) => In::XmlText(XmlDeltaPrelim::default()),
        New::XmlFragment(_) => In::XmlFragment(XmlFragmentPrelim::default()),
        New::XmlElement { name, .. } => In::XmlElement(XmlElementPrelim::empty(name.clone())),
    }
}

/// Brings the content into a new type.
pub(super) fn fill(out: &Out, txn: &mut TransactionMut<'_>, new: New) {
    let Some(branch) = out.try_branch().map(BranchPtr::from) else { return };
    match new {
        New::Plain(_) => {}
        New::Array(items) | New::XmlFragment(items) => {
            insert(&ArrayRef::from(branch), txn, 0, items);
        }
        New::Map(entries) => set_all(branch, txn, entries),
        New::Text(steps) | New::XmlText(steps) => apply(branch, txn, steps, Holds::default()),
        New::XmlElement { attributes, children, .. } => {
            insert(&ArrayRef::from(branch), txn, 0, children);
            set_all(branch, txn, attributes);
        }
    }
}

fn set_all(branch: BranchPtr, txn: &mut TransactionMut<'_>, entries: Vec<(String, New)>) {
    entries.into_iter().for_each(|(key, new)| set(branch, txn, key, new));
}

/// Sets one entry.
pub(super) fn set(branch: BranchPtr, txn: &mut TransactionMut<'_>, key: String, new: New) {
    let out = MapRef::from(branch).insert(txn, key, empty(&new));
    fill(&out, txn, new);
}
