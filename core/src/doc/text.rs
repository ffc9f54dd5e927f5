//! Texts of a replica as an editor sees them: content and changes in UTF-16 units, with U+FFFC for
//! whatever is no text.

use yrs::types::text::YChange;
use yrs::{Any, GetString, Out, ReadTxn, Text, TextRef};

use super::change::{Step, push, trim, utf16_len};

/// Stands for an embedded object.
pub(super) const OBJECT: char = '\u{fffc}';

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
}

/// The change from a text to any other one: what both begin and end with stays.
pub(super) fn difference(before: &str, after: &str) -> Vec<Step> {
    let same = |pair: &(char, char)| pair.0 == pair.1;
    let chars = before.chars().zip(after.chars()).take_while(same);
    let start = chars.map(|(char, _)| char.len_utf8()).sum();
    let (kept, before) = before.split_at(start);
    let after = after.get(start..).unwrap_or_default();
    let chars = before.chars().rev().zip(after.chars().rev()).take_while(same);
    let end: usize = chars.map(|(char, _)| char.len_utf8()).sum();
    let new = after.get(..after.len().saturating_sub(end)).unwrap_or_default();
    let old = before.get(..before.len().saturating_sub(end)).unwrap_or_default();
    let mut delta = Vec::new();
    push(&mut delta, Step::Retain(utf16_len(kept), Vec::new()));
    push(&mut delta, Step::Delete(utf16_len(old)));
    push(&mut delta, Step::Text(new.to_owned(), Vec::new()));
    trim(&mut delta);
    delta
}

/// The change from a text to another one of the same length.
pub(super) fn replaced(before: &str, after: &str) -> Vec<Step> {
    let mut delta = Vec::new();
    let (before, after): (Vec<u16>, Vec<u16>) =
        (before.encode_utf16().collect(), after.encode_utf16().collect());
    let is_same = |pair: &(u16, u16)| pair.0 == pair.1;
    let pairs: Vec<(u16, u16)> = before.into_iter().zip(after).collect();
    for run in pairs.chunk_by(|a, b| is_same(a) == is_same(b)) {
        let len = u32::try_from(run.len()).unwrap_or(u32::MAX);
        if run.first().is_some_and(is_same) {
            push(&mut delta, Step::Retain(len, Vec::new()));
        } else {
            let new: Vec<u16> = run.iter().map(|pair| pair.1).collect();
            push(&mut delta, Step::Delete(len));
            push(&mut delta, Step::Text(String::from_utf16_lossy(&new), Vec::new()));
        }
    }
    trim(&mut delta);
    delta
}
