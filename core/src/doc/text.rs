//! Texts of a replica as an editor sees them: content and changes in UTF-16 units, with U+FFFC for
//! whatever is no text.

use std::sync::{Arc, Mutex, PoisonError};

use yrs::types::text::{TextEvent, YChange};
use yrs::{Any, GetString, Out, ReadTxn, Text, TextRef, TransactionMut};

/// Stands for an embedded object.
pub(super) const OBJECT: char = '\u{fffc}';

/// How a text changed in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextChange {
    /// The name of the text.
    pub text: String,
    /// From the beginning of the text on; what follows the last part stays as it is.
    pub delta: Vec<Delta>,
    /// The change was made here.
    pub is_local: bool,
}

/// A part of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// This is new.
    Insert(String),
    /// So many UTF-16 units are gone.
    Delete(u32),
    /// So many UTF-16 units stay.
    Retain(u32),
}

/// Changes that wait to be taken; a replica and the observers of its document share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Arc<Mutex<Vec<TextChange>>>);

impl Changes {
    pub(super) fn push(&self, change: TextChange) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }

    pub(super) fn take(&self) -> Vec<TextChange> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a text holds.
pub(super) struct Content {
    pub(super) text: String,
}

impl Content {
    pub(super) fn of<T: ReadTxn>(text: &TextRef, txn: &T) -> Self {
        let plain = text.get_string(txn);
        if utf16_len(&plain) == text.len(txn) {
            return Self { text: plain };
        }
        // Something is embedded. An embedded string looks like text in the parts, but is missing
        // in the plain text.
        let mut left = plain.as_str();
        let mut all = String::new();
        for part in text.diff(txn, YChange::identity) {
            match part.insert {
                Out::Any(Any::String(string)) if left.starts_with(&*string) => {
                    left = left.get(string.len()..).unwrap_or_default();
                    all.push_str(&string);
                }
                _ => all.push(OBJECT),
            }
        }
        Self { text: all }
    }

    pub(super) fn len(&self) -> u32 {
        utf16_len(&self.text)
    }

    /// Whether an index in UTF-16 units lies inside a character.
    pub(super) fn cuts_pair(&self, index: u32) -> bool {
        let mut left = index;
        for character in self.text.chars() {
            let units = if character.len_utf16() == 2 { 2 } else { 1 };
            if left < units {
                return left != 0;
            }
            left -= units;
        }
        false
    }
}

/// Turns the events of one text into changes.
pub(super) struct Observer {
    text: String,
    len: u32,
    changes: Changes,
}

impl Observer {
    pub(super) fn new(text: &str, len: u32, changes: Changes) -> Self {
        Self { text: text.to_owned(), len, changes }
    }

    pub(super) fn observe(&mut self, event: &TextEvent, txn: &TransactionMut<'_>, is_local: bool) {
        let mut delta: Vec<Delta> = Vec::new();
        for part in event.delta(txn) {
            match part {
                yrs::types::Delta::Inserted(Out::Any(Any::String(string)), _) => {
                    push(&mut delta, Delta::Insert(string.to_string()));
                }
                yrs::types::Delta::Inserted(..) => {
                    push(&mut delta, Delta::Insert(OBJECT.to_string()));
                }
                yrs::types::Delta::Deleted(len) => push(&mut delta, Delta::Delete(*len)),
                yrs::types::Delta::Retain(len, _) => push(&mut delta, Delta::Retain(*len)),
            }
        }
        trim(&mut delta);
        let (before, after) = (self.len, event.target().len(txn));
        self.len = after;
        if len_after(before, &delta) != Some(after) {
            // What yrs says does not add up (an embedded string, content that is no text).
            delta.clear();
            if before > 0 {
                delta.push(Delta::Delete(before));
            }
            delta.push(Delta::Insert(Content::of(event.target(), txn).text));
        }
        if !delta.is_empty() {
            let change = TextChange { text: self.text.clone(), delta, is_local };
            // The receiver is only gone when the replica is.
            self.changes.push(change);
        }
    }
}

/// The change from a text to any other one: what both begin and end with stays.
pub(super) fn difference(before: &str, after: &str) -> Vec<Delta> {
    let same = |pair: &(char, char)| pair.0 == pair.1;
    let chars = before.chars().zip(after.chars()).take_while(same);
    let start = chars.map(|(char, _)| char.len_utf8()).sum();
    let (kept, before) = before.split_at(start);
    let after = after.get(start..).unwrap_or_default();
    let chars = before.chars().rev().zip(after.chars().rev()).take_while(same);
    let end: usize = chars.map(|(char, _)| char.len_utf8()).sum();
    let new = after.get(..after.len().saturating_sub(end)).unwrap_or_default();
    let old = before.get(..before.len().saturating_sub(end)).unwrap_or_default();
    let parts = [
        Delta::Retain(utf16_len(kept)),
        Delta::Delete(utf16_len(old)),
        Delta::Insert(new.to_owned()),
    ];
    let is_part = |part: &Delta| match part {
        Delta::Insert(text) => !text.is_empty(),
        Delta::Delete(len) | Delta::Retain(len) => *len > 0,
    };
    let mut delta: Vec<_> = parts.into_iter().filter(is_part).collect();
    trim(&mut delta);
    delta
}

/// The change from a text to another one of the same length.
pub(super) fn replaced(before: &str, after: &str) -> Vec<Delta> {
    let mut delta = Vec::new();
    let (before, after): (Vec<u16>, Vec<u16>) =
        (before.encode_utf16().collect(), after.encode_utf16().collect());
    let is_same = |pair: &(u16, u16)| pair.0 == pair.1;
    let pairs: Vec<(u16, u16)> = before.into_iter().zip(after).collect();
    for run in pairs.chunk_by(|a, b| is_same(a) == is_same(b)) {
        let len = u32::try_from(run.len()).unwrap_or(u32::MAX);
        if run.first().is_some_and(is_same) {
            push(&mut delta, Delta::Retain(len));
        } else {
            let new: Vec<u16> = run.iter().map(|pair| pair.1).collect();
            push(&mut delta, Delta::Delete(len));
            push(&mut delta, Delta::Insert(String::from_utf16_lossy(&new)));
        }
    }
    trim(&mut delta);
    delta
}

/// Leaves out that the rest stays as it is.
fn trim(delta: &mut Vec<Delta>) {
    if matches!(delta.last(), Some(Delta::Retain(_))) {
        delta.pop();
    }
}

/// Adds a part, to the one before when it is of the same kind.
fn push(delta: &mut Vec<Delta>, part: Delta) {
    match (delta.last_mut(), part) {
        (Some(Delta::Insert(last)), Delta::Insert(text)) => last.push_str(&text),
        (Some(Delta::Delete(last)), Delta::Delete(len))
        | (Some(Delta::Retain(last)), Delta::Retain(len)) => *last = last.saturating_add(len),
        (_, part) => delta.push(part),
    }
}

fn len_after(before: u32, delta: &[Delta]) -> Option<u32> {
    delta.iter().try_fold(before, |len, part| match part {
        Delta::Insert(text) => len.checked_add(utf16_len(text)),
        Delta::Delete(gone) => len.checked_sub(*gone),
        Delta::Retain(_) => Some(len),
    })
}

fn utf16_len(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}
