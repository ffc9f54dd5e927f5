//! What a shared type holds, to tell what is different when its document was replaced.

use std::sync::Arc;

use yrs::branch::BranchPtr;
use yrs::types::text::YChange;
use yrs::{Any, ArrayRef, Map, MapRef, Out, ReadTxn, Text, TextRef};

use super::change::{KeyChange, Segment, Step, push, trim};
use super::content::Value;
use super::node::{Kind, Node};
use super::observe::formats;
use super::replica::items;
use super::text;

/// The content of one type.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Only steps that insert.
    sequence: Vec<Step>,
    entries: Vec<(Arc<str>, Value)>,
}

impl Shape {
    pub(super) fn of<T: ReadTxn>(branch: BranchPtr, kind: Kind, txn: &T) -> Self {
        let mut shape = Self::default();
        if kind.is_text() {
            for part in TextRef::from(branch).diff(txn, YChange::identity) {
                let formats = formats(part.attributes.as_deref());
                push(
                    &mut shape.sequence,
                    match part.insert {
                        Out::Any(Any::String(text)) => Step::Text(text.to_string(), formats),
                        out => Step::Values(vec![Value::new(out)], formats),
                    },
                );
            }
        } else if kind != Kind::Map {
            let values = items(&ArrayRef::from(branch), txn).map(Value::new).collect();
            push(&mut shape.sequence, Step::Values(values, Vec::new()));
        }
        if matches!(kind, Kind::Map | Kind::XmlElement) {
            for (key, out) in MapRef::from(branch).iter(txn) {
                let at = shape.entries.partition_point(|(other, _)| **other < *key);
                shape.entries.insert(at, (key.into(), Value::new(out)));
            }
        }
        shape
    }

    /// The shared types inside: where they are, which ones, and the names of elements.
    pub(super) fn each_inside(&self, mut each: impl FnMut(Segment, &Node, Option<&Arc<str>>)) {
        let mut index = 0;
        for step in &self.sequence {
            let values = match step {
                Step::Values(values, _) => values.as_slice(),
                _ => &[],
            };
            for (value, at) in values.iter().zip(index..) {
                if let Value::Shared(node, name) = value {
                    each(Segment::Index(at), node, name.as_ref());
                }
            }
            index += step.len();
        }
        for (key, value) in &self.entries {
            if let Value::Shared(node, name) = value {
                each(Segment::Key(Arc::clone(key)), node, name.as_ref());
            }
        }
    }

    /// The text, when there is nothing else and no format.
    fn plain_text(&self) -> Option<&str> {
        match self.sequence.as_slice() {
            [] => Some(""),
            [Step::Text(text, formats)] if formats.is_empty() => Some(text),
            _ => None,
        }
    }

    /// How another shape differs in its sequence. `is_same_length` when only characters were
    /// replaced by as many others.
    pub(super) fn delta_to(&self, after: &Self, is_same_length: bool) -> Vec<Step> {
        if self.sequence == after.sequence {
            return Vec::new();
        }
        if is_same_length && let Some(delta) = self.characters_to(after) {
            return delta;
        }
        if let (Some(before), Some(after)) = (self.plain_text(), after.plain_text()) {
            return text::difference(before, after);
        }
        let mut delta = Vec::new();
        self.sequence.iter().for_each(|step| push(&mut delta, Step::Delete(step.len())));
        after.sequence.iter().for_each(|step| push(&mut delta, step.clone()));
        trim(&mut delta);
        delta
    }

    /// The same when only characters were replaced, and each of the others is where it was.
    fn characters_to(&self, after: &Self) -> Option<Vec<Step>> {
        if self.sequence.len() != after.sequence.len() {
            return None;
        }
        let mut delta = Vec::new();
        for steps in self.sequence.iter().zip(&after.sequence) {
            let (before, after) = steps;
            let mut left = before.len();
            match steps {
                (Step::Text(text, formats), Step::Text(other, others))
                    if formats == others && left == after.len() =>
                {
                    for step in text::replaced(text, other) {
                        left -= if let Step::Text(..) = step { 0 } else { step.len() };
                        push(&mut delta, with_formats(step, formats));
                    }
                }
                _ if before == after => {}
                _ => return None,
            }
            push(&mut delta, Step::Retain(left, Vec::new()));
        }
        trim(&mut delta);
        Some(delta)
    }

    /// How another shape differs in its entries.
    pub(super) fn keys_to(&self, after: &Self) -> Vec<KeyChange> {
        let find = |entries: &[(Arc<str>, Value)], key: &str| {
            entries.iter().find(|(other, _)| **other == *key).map(|(_, value)| value.clone())
        };
        let old = self.entries.iter().map(|(key, _)| key);
        let new = after.entries.iter().map(|(key, _)| key);
        let new = new.filter(|key| find(&self.entries, key).is_none());
        let change = |key: &Arc<str>| KeyChange {
            key: Arc::clone(key),
            before: find(&self.entries, key),
            after: find(&after.entries, key),
        };
        old.chain(new).map(change).filter(|change| change.before != change.after).collect()
    }
}

fn with_formats(step: Step, formats: &[(Arc<str>, Any)]) -> Step {
    match step {
        Step::Text(text, _) => Step::Text(text, formats.to_vec()),
        step => step,
    }
}
