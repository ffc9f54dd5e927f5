//! How shared types changed, and how several changes become one.

use std::cmp::Ordering;
use std::sync::Arc;

use yrs::Any;

use super::content::{Value, write_formats, write_list, write_node, write_number, write_string};
use super::node::Node;

/// How one shared type changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The type whose observer is told.
    pub observed: Node,
    /// The type that changed: the same, or one inside it.
    pub target: Node,
    /// The name of the changed type when it is an element.
    pub name: Option<Arc<str>>,
    /// The way from the observed type to the changed one.
    pub path: Vec<Segment>,
    /// How the sequence changed, from its beginning on; what follows the last step stays as it is.
    pub delta: Vec<Step>,
    /// How the entries changed (of an element: its attributes).
    pub keys: Vec<KeyChange>,
    /// The change was made here.
    pub is_local: bool,
    /// What [`Replica::begin`](super::replica::Replica::begin) was given.
    pub origin: u32,
    /// Changes of one transaction have the same number, as far as one observed type is concerned.
    pub transaction: u32,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// To the entry with this key.
    Key(Arc<str>),
    /// To the entry at this index.
    Index(u32),
}

/// Formats of a text by name; `null` for one that is taken away.
pub type Formats = Vec<(Arc<str>, Any)>;

/// A step of a change of a sequence. Text is counted in UTF-16 units, anything else by entries.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// This text is new.
    Text(String, Formats),
    /// These entries are new.
    Values(Vec<Value>, Formats),
    /// So much is gone.
    Delete(u32),
    /// So much stays, and has these formats now beside others.
    Retain(u32, Formats),
}

/// How one entry changed.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyChange {
    /// Its key.
    pub key: Arc<str>,
    /// What was there.
    pub before: Option<Value>,
    /// What is there now.
    pub after: Option<Value>,
}

impl Step {
    /// How long it is.
    #[must_use]
    pub fn len(&self) -> u32 {
        match self {
            Self::Text(text, _) => utf16_len(text),
            Self::Values(values, _) => u32::try_from(values.len()).unwrap_or(u32::MAX),
            Self::Delete(len) | Self::Retain(len, _) => *len,
        }
    }

    /// Whether it does nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Adds a step, to the one before when both are of one kind.
pub(super) fn push(delta: &mut Vec<Step>, step: Step) {
    if step.is_empty() {
        return;
    }
    match (delta.last_mut(), step) {
        (Some(Step::Text(last, formats)), Step::Text(text, others)) if *formats == others => {
            last.push_str(&text);
        }
        (Some(Step::Values(last, formats)), Step::Values(mut values, others))
            if *formats == others =>
        {
            last.append(&mut values);
        }
        (Some(Step::Delete(last)), Step::Delete(len)) => *last = last.saturating_add(len),
        (Some(Step::Retain(last, formats)), Step::Retain(len, others)) if *formats == others => {
            *last = last.saturating_add(len);
        }
        (_, step) => delta.push(step),
    }
}

/// Leaves out that the rest stays as it is.
pub(super) fn trim(delta: &mut Vec<Step>) {
    while matches!(delta.last(), Some(Step::Retain(_, formats)) if formats.is_empty()) {
        delta.pop();
    }
}

/// How long a sequence is after a change; `None` when the change does not fit it.
pub(super) fn len_after(before: u32, delta: &[Step]) -> Option<u32> {
    delta.iter().try_fold(before, |len, step| match step {
        Step::Delete(gone) => len.checked_sub(*gone),
        Step::Retain(..) => Some(len),
        inserted => len.checked_add(inserted.len()),
    })
}

/// Steps, taken off piece by piece.
struct Steps {
    left: std::vec::IntoIter<Step>,
    next: Option<Step>,
    /// Where in the bytes or the values of the next step that begins what was not taken yet: a long
    /// one is not moved for each piece.
    at: usize,
    /// How long that is.
    len: u32,
}

impl Steps {
    fn new(steps: Vec<Step>) -> Self {
        let mut steps = Self { left: steps.into_iter(), next: None, at: 0, len: 0 };
        steps.go_on();
        steps
    }

    fn go_on(&mut self) {
        self.next = self.left.next();
        self.at = 0;
        self.len = self.next.as_ref().map_or(u32::MAX, Step::len);
    }

    /// The next step, or its first part.
    fn take(&mut self, len: u32) -> Option<Step> {
        if len >= self.len {
            return self.take_all();
        }
        let step = match self.next.as_ref()? {
            Step::Text(text, formats) => {
                let text = text.get(self.at..).unwrap_or_default();
                let text = text.get(..byte_index(text, len)).unwrap_or_default();
                self.at += text.len();
                Step::Text(text.to_owned(), formats.clone())
            }
            Step::Values(values, formats) => {
                let end = self.at + usize::try_from(len).unwrap_or(usize::MAX);
                let values = values.get(self.at..end).unwrap_or_default().to_vec();
                self.at = end;
                Step::Values(values, formats.clone())
            }
            Step::Delete(_) => Step::Delete(len),
            Step::Retain(_, formats) => Step::Retain(len, formats.clone()),
        };
        // A character that would be cut stays whole.
        self.len -= step.len();
        Some(step)
    }

    /// The next step, or what is left of it.
    fn take_all(&mut self) -> Option<Step> {
        let mut step = self.next.take()?;
        match &mut step {
            Step::Text(text, _) => drop(text.drain(..self.at)),
            Step::Values(values, _) => drop(values.drain(..self.at)),
            Step::Delete(len) | Step::Retain(len, _) => *len = self.len,
        }
        self.go_on();
        Some(step)
    }
}

/// One change that does what two do, one after the other.
fn compose(first: Vec<Step>, second: Vec<Step>) -> Vec<Step> {
    let (mut first, mut second) = (Steps::new(first), Steps::new(second));
    let mut both = Vec::new();
    loop {
        // What is gone before the second change does not matter to it, and what is new after the
        // first one did not matter to that.
        if matches!(first.next, Some(Step::Delete(_))) {
            both.extend(first.take(u32::MAX));
            continue;
        }
        if matches!(second.next, Some(Step::Text(..) | Step::Values(..))) {
            if let Some(step) = second.take(u32::MAX) {
                push(&mut both, step);
            }
            continue;
        }
        let len = first.len.min(second.len);
        match (first.take(len), second.take(len)) {
            (None, None) => break,
            (Some(step), None) | (None, Some(step)) => push(&mut both, step),
            (Some(Step::Retain(..)), Some(Step::Delete(len))) => push(&mut both, Step::Delete(len)),
            (Some(_), Some(Step::Delete(_))) => {}
            (Some(Step::Retain(len, before)), Some(Step::Retain(_, after))) => {
                push(&mut both, Step::Retain(len, merge(before, after, true)));
            }
            (Some(Step::Text(text, before)), Some(Step::Retain(_, after))) => {
                push(&mut both, Step::Text(text, merge(before, after, false)));
            }
            (Some(Step::Values(values, before)), Some(Step::Retain(_, after))) => {
                push(&mut both, Step::Values(values, merge(before, after, false)));
            }
            // Deleted and new ones were taken above.
            (Some(first), Some(second)) => both.extend([first, second]),
        }
    }
    trim(&mut both);
    both
}

/// Formats on top of others; what is new has no need to be told what it does not have.
fn merge(mut before: Formats, after: Formats, keeps_null: bool) -> Formats {
    for (name, value) in after {
        before.retain(|(other, _)| *other != name);
        if keeps_null || value != Any::Null {
            before.push((name, value));
        }
    }
    before
}

/// Changes of one type in one group, on the way to become one.
#[derive(Debug)]
pub(super) struct Merged {
    /// What they have in common, the entries that changed, and the path so far.
    change: Change,
    /// What they do to the sequence, one after the other, and how many changes each of these is made
    /// of: always less than the one before, so that each step is composed few times.
    deltas: Vec<(usize, Vec<Step>)>,
    /// Where in the change each key is, in the order of the keys.
    keys: Vec<usize>,
}

impl Merged {
    /// Begins with one change.
    pub(super) fn new(mut change: Change) -> Self {
        let (delta, keys) = (std::mem::take(&mut change.delta), std::mem::take(&mut change.keys));
        let mut merged = Self { change, deltas: Vec::new(), keys: Vec::new() };
        merged.add(delta, keys);
        merged
    }

    /// Orders by the type whose observer is told, and the type that changed.
    pub(super) fn cmp(&self, change: &Change) -> Ordering {
        let (known, kind) = (&self.change, |node: &Node| node.kind as u8);
        (&known.target.place, kind(&known.target), &known.observed.place, kind(&known.observed))
            .cmp(&(
                &change.target.place,
                kind(&change.target),
                &change.observed.place,
                kind(&change.observed),
            ))
    }

    /// Takes in a later change of the same type.
    pub(super) fn push(&mut self, next: Change) {
        self.change.path = next.path;
        self.add(next.delta, next.keys);
    }

    fn add(&mut self, mut delta: Vec<Step>, keys: Vec<KeyChange>) {
        if !delta.is_empty() {
            let mut count = 1;
            while let Some((before, first)) = self.deltas.pop_if(|(before, _)| *before <= count) {
                delta = compose(first, delta);
                count += before;
            }
            self.deltas.push((count, delta));
        }
        let known = &mut self.change.keys;
        for change in keys {
            let key = |at: &usize| known.get(*at).map(|it| &it.key).cmp(&Some(&change.key));
            match self.keys.binary_search_by(key) {
                Ok(at) => {
                    if let Some(known) = self.keys.get(at).and_then(|at| known.get_mut(*at)) {
                        known.after = change.after;
                    }
                }
                Err(at) => {
                    self.keys.insert(at, known.len());
                    known.push(change);
                }
            }
        }
    }

    /// Keeps the path right, as [`Change::follow`] does.
    pub(super) fn follow(&mut self, next: &Change) {
        self.change.follow(next);
    }

    /// The one change.
    pub(super) fn finish(mut self) -> Change {
        while let Some((_, first)) = self.deltas.pop() {
            self.change.delta = compose(first, self.change.delta);
        }
        self.change.keys.retain(|change| change.before.is_some() || change.after.is_some());
        self.change
    }
}

impl Change {
    /// Keeps the path right when a later transaction changed something on it.
    fn follow(&mut self, next: &Self) {
        if self.path.len() <= next.path.len()
            || self.observed != next.observed
            || !self.path.starts_with(&next.path)
        {
            return;
        }
        let Some(Segment::Index(index)) = self.path.get_mut(next.path.len()) else { return };
        let mut at = 0u32;
        for step in &next.delta {
            match step {
                Step::Retain(len, _) if at.saturating_add(*len) > *index => return,
                Step::Retain(len, _) => at = at.saturating_add(*len),
                Step::Delete(len) => *index = index.saturating_sub(*len),
                inserted => {
                    let len = inserted.len();
                    *index = index.saturating_add(len);
                    at = at.saturating_add(len);
                }
            }
            if at > *index {
                return;
            }
        }
    }

    /// Whether nothing is different.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.delta.is_empty() && self.keys.is_empty()
    }

    /// Writes it as JSON.
    pub fn write(&self, json: &mut String) {
        json.push_str(r#"{"observed":"#);
        write_node(&self.observed, None, json);
        json.push_str(r#","target":"#);
        write_node(&self.target, self.name.as_deref(), json);
        json.push_str(r#","path":"#);
        write_list(json, self.path.iter(), |segment, json| match segment {
            Segment::Key(key) => write_string(key, json),
            Segment::Index(index) => write_number(u64::from(*index), json),
        });
        json.push_str(r#","delta":"#);
        write_list(json, self.delta.iter(), write_step);
        json.push_str(r#","keys":"#);
        write_list(json, self.keys.iter(), |change, json| {
            json.push('[');
            write_string(&change.key, json);
            json.push(',');
            write_list(json, change.before.iter(), Value::write);
            json.push(',');
            write_list(json, change.after.iter(), Value::write);
            json.push(']');
        });
        json.push_str(r#","local":"#);
        json.push_str(if self.is_local { "true" } else { "false" });
        json.push_str(r#","origin":"#);
        write_number(u64::from(self.origin), json);
        json.push_str(r#","transaction":"#);
        write_number(u64::from(self.transaction), json);
        json.push('}');
    }
}

/// Writes a step as in a delta of Quill, but the entries of an array together.
fn write_step(step: &Step, json: &mut String) {
    let formats = match step {
        Step::Text(text, formats) => {
            json.push_str(r#"{"insert":"#);
            write_string(text, json);
            formats
        }
        Step::Values(values, formats) => {
            json.push_str(r#"{"insert":"#);
            write_list(json, values.iter(), Value::write);
            formats
        }
        Step::Delete(len) => {
            json.push_str(r#"{"delete":"#);
            write_number(u64::from(*len), json);
            return json.push('}');
        }
        Step::Retain(len, formats) => {
            json.push_str(r#"{"retain":"#);
            write_number(u64::from(*len), json);
            formats
        }
    };
    write_formats(formats, json);
    json.push('}');
}

pub(super) fn utf16_len(text: &str) -> u32 {
    // Most text; looked at many bytes at a time.
    let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// Where so many UTF-16 units end; before a character that would be cut.
fn byte_index(text: &str, units: u32) -> usize {
    let mut left = units;
    for (at, char) in text.char_indices() {
        let len = if char.len_utf16() == 2 { 2 } else { 1 };
        if left < len {
            return at;
        }
        left -= len;
    }
    text.len()
}
