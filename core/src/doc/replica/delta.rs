//! The steps of a change of a text, as few walks of yrs through that text.

use std::mem;

use yrs::branch::BranchPtr;
use yrs::types::text::YChange;
use yrs::types::{Attrs, Delta};
use yrs::{
    Any, Array, ArrayRef, Assoc, BranchID, In, IndexedSequence, Out, ReadTxn, Text, TextRef,
    TransactionMut,
};

use super::content::{New, NewStep};
use super::sequence::{empty, fill};
use crate::doc::change::utf16_len;

/// So many deletions of a delta are each followed by another walk to what is behind them.
const DELETIONS_MAX: usize = 8;

/// What a text may hold before it is changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holds {
    pub(super) formats: bool,
    pub(super) types: bool,
}

/// Where another content or other formats begin in a text, and whether with a shared type.
type Border = (u32, bool);

/// Makes steps that were checked.
pub(super) fn apply(
    branch: BranchPtr,
    txn: &mut TransactionMut<'_>,
    steps: Vec<NewStep>,
    holds: Holds,
) {
    let borders = borders(branch, txn, &steps);
    walk(branch, txn, (steps, holds), borders.as_deref());
}

/// Makes steps, by the borders of the text when they are known; gives how often that went through it.
///
/// Behind a deletion yrs takes the formats at the next text for those of its place, though marks may lie
/// between: whatever is inserted there, or given formats, has to look them up again, by another walk.
/// Who knows the borders of a text needs none: inside of a run no mark lies behind what is deleted, and
/// what is deleted up to a border can wait until all else is done. But before a shared type.
fn walk(
    branch: BranchPtr,
    txn: &mut TransactionMut<'_>,
    (steps, mut holds): (Vec<NewStep>, Holds),
    borders: Option<&[Border]>,
) -> usize {
    // Where it is in the text as it will be, and as it was; how much there waits to be deleted.
    let (mut index, mut before, mut left) = (0, 0, 0);
    let (mut walks, mut embedded) = (1, Vec::new());
    let some = |formats: Attrs| (!formats.is_empty()).then(|| Box::new(formats));
    let mut delta: Vec<Delta<In>> = Vec::with_capacity(steps.len());
    let (mut waiting, mut waiting_end): (Vec<Delta<In>>, u32) = (Vec::new(), 0);
    for step in steps.into_iter().filter(|step| !is_nothing(step)) {
        // There is nothing to look up where all is plain.
        if holds.formats
            && matches!(delta.last(), Some(Delta::Deleted(_)))
            && !matches!(step, NewStep::Delete(_))
        {
            let is_new = matches!(&step, NewStep::Insert(new, _) if !matches!(new, New::Plain(_)));
            let border = match borders {
                None => Some(true),
                Some(all) => {
                    let next = all.get(all.partition_point(|it| it.0 < before));
                    next.filter(|it| it.0 == before).map(|it| it.1 || is_new)
                }
            };
            if border == Some(true) {
                flush(branch, txn, (&mut delta, index + left), holds);
                delta.push(Delta::Retain(index + left, None));
                walks += 1;
            } else if border == Some(false)
                && let Some(Delta::Deleted(len)) = delta.pop()
            {
                delta.push(Delta::Retain(len, None));
                waiting.push(Delta::Retain(index - waiting_end, None));
                waiting.push(Delta::Deleted(len));
                waiting_end = index;
                left += len;
            }
        }
        if let NewStep::Retain(_, formats) | NewStep::Insert(_, formats) = &step {
            holds.formats |= !formats.is_empty();
        }
        match step {
            NewStep::Retain(len, formats) => {
                index += len;
                before += len;
                delta.push(Delta::Retain(len, some(formats)));
            }
            NewStep::Delete(len) => {
                before += len;
                match delta.last_mut() {
                    Some(Delta::Deleted(last)) => *last += len,
                    _ => delta.push(Delta::Deleted(len)),
                }
            }
            NewStep::Insert(New::Plain(any), formats) => {
                index += units(&any);
                // Plain text in a row is one struct, as in Yjs.
                if let Any::String(text) = &any
                    && formats.is_empty()
                    && let Some(Delta::Inserted(In::Any(Any::String(last)), None)) =
                        delta.last_mut()
                {
                    *last = [&**last, text].concat().into();
                } else {
                    delta.push(Delta::Inserted(In::Any(any), some(formats)));
                }
            }
            NewStep::Insert(new, formats) => {
                delta.push(Delta::Inserted(empty(&new), some(formats)));
                embedded.push((index, new));
                index += 1;
            }
        }
    }
    flush(branch, txn, (&mut delta, index + left), holds);
    if left > 0 {
        TextRef::from(branch).apply_delta(txn, waiting);
        walks += 1;
    }
    for (index, new) in embedded {
        if let Some(out) = ArrayRef::from(branch).get(txn, index) {
            fill(&out, txn, new);
        }
    }
    walks
}

/// Makes steps, of which the last one may delete what is at the index.
fn flush(
    branch: BranchPtr,
    txn: &mut TransactionMut<'_>,
    (delta, index): (&mut Vec<Delta<In>>, u32),
    holds: Holds,
) {
    let has_both = holds.formats && holds.types;
    let gone = delta.pop_if(|step| has_both && matches!(step, Delta::Deleted(_)));
    TextRef::from(branch).apply_delta(txn, mem::take(delta));
    if let Some(Delta::Deleted(gone)) = gone {
        remove(branch, txn, index, gone);
    }
}

/// The borders of a text, with that at its end, for steps with many deletions; `None` as well when it
/// holds what looks like text and counts as something else.
fn borders<T: ReadTxn>(branch: BranchPtr, txn: &T, steps: &[NewStep]) -> Option<Vec<Border>> {
    let deletions = steps.iter().filter(|step| matches!(step, NewStep::Delete(_)));
    if deletions.count() <= DELETIONS_MAX {
        return None;
    }
    let text = TextRef::from(branch);
    let mut borders = Vec::new();
    let mut index = 0;
    for part in text.diff(txn, YChange::identity) {
        borders.push((index, part.insert.try_branch().is_some()));
        index += match &part.insert {
            Out::Any(any) => units(any),
            _ => 1,
        };
    }
    borders.push((index, false));
    (index == text.len(txn)).then_some(borders)
}

/// Deletes from a text that holds formats and types. Up to the next text yrs takes away marks that begin
/// at a shared type, as if nothing were there: before one it must not tidy up.
pub(super) fn remove(branch: BranchPtr, txn: &mut TransactionMut<'_>, index: u32, length: u32) {
    let text = TextRef::from(branch);
    let next = text.sticky_index(txn, index.saturating_add(length), Assoc::After);
    let next = next.and_then(|next| next.id().copied());
    match next.and_then(|id| BranchID::get_nested(txn, &id)) {
        Some(_) => ArrayRef::from(branch).remove_range(txn, index, length),
        None => text.remove_range(txn, index, length),
    }
}

/// Whether a step changes nothing: of formats for no text at all yrs would write the marks.
fn is_nothing(step: &NewStep) -> bool {
    match step {
        NewStep::Delete(len) | NewStep::Retain(len, _) => *len == 0,
        NewStep::Insert(New::Plain(Any::String(text)), _) => text.is_empty(),
        NewStep::Insert(..) => false,
    }
}

fn units(any: &Any) -> u32 {
    match any {
        Any::String(text) => utf16_len(text),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use yrs::branch::Branch;
    use yrs::{Doc, Transact};

    use super::*;
    use crate::random::Random;

    const PAIRS: u32 = 3_000;

    fn insert(text: &str, formats: &Attrs) -> NewStep {
        NewStep::Insert(New::Plain(text.into()), formats.clone())
    }

    fn branch(text: &TextRef) -> BranchPtr {
        BranchPtr::from(AsRef::<Branch>::as_ref(text))
    }

    fn retain(len: u32) -> NewStep {
        NewStep::Retain(len, Attrs::new())
    }

    /// A document of words of five letters, every other one bold.
    fn document() -> (Doc, TextRef) {
        let doc = Doc::new();
        let text = doc.get_or_insert_text("text");
        let bold = Attrs::from([("bold".into(), true.into())]);
        let words = (0..PAIRS).map(|at| match at % 2 {
            0 => insert("plain", &Attrs::new()),
            _ => insert("thick", &bold),
        });
        let (mut txn, words) = (doc.transact_mut(), words.collect());
        apply(branch(&text), &mut txn, words, Holds::default());
        drop(txn);
        (doc, text)
    }

    /// Puts a plain letter in the place of the last three letters of each word.
    fn pairs() -> Vec<NewStep> {
        let pair = [retain(2), NewStep::Delete(3), insert("x", &Attrs::new())];
        (0..PAIRS).flat_map(|_| pair.clone()).collect()
    }

    const HOLDS: Holds = Holds { formats: true, types: false };

    #[test]
    fn a_delta_goes_through_the_text_twice_however_many_steps_it_has() {
        // Without the borders it is one more for each deletion.
        for (by_borders, walks) in [(true, 2), (false, 3_001)] {
            let (doc, text) = document();
            let (branch, mut txn) = (branch(&text), doc.transact_mut());
            let borders = borders(branch, &txn, &pairs()).filter(|_| by_borders);
            assert_eq!(walk(branch, &mut txn, (pairs(), HOLDS), borders.as_deref()), walks);
        }
    }

    fn some_formats(random: &mut Random) -> Attrs {
        let one = |name: &str, value: Any| Attrs::from([(name.into(), value)]);
        match random.below(6) {
            0 => one("bold", true.into()),
            1 => one("color", "red".into()),
            2 => Attrs::from([("bold".into(), true.into()), ("color".into(), "blue".into())]),
            _ => Attrs::new(),
        }
    }

    fn some_content(random: &mut Random) -> NewStep {
        let formats = some_formats(random);
        match random.below(8) {
            0 => NewStep::Insert(New::Map(Vec::new()), formats),
            1 => NewStep::Insert(New::Plain(Any::Array([].into())), formats),
            2 | 3 => insert("a", &formats),
            _ => insert("two words", &formats),
        }
    }

    fn some_steps(random: &mut Random, mut length: u32) -> Vec<NewStep> {
        let mut steps = Vec::new();
        while length > 0 {
            let count = length.min(1 + u32::try_from(random.below(6)).unwrap());
            length -= count;
            steps.push(match random.below(5) {
                0 => NewStep::Retain(count, some_formats(random)),
                1 => NewStep::Retain(count, Attrs::from([("bold".into(), Any::Null)])),
                _ => NewStep::Delete(count),
            });
            if random.chance(40) {
                steps.push(some_content(random));
            }
        }
        steps
    }

    #[test]
    fn what_waits_ends_as_what_is_looked_up() {
        for seed in 0..500 {
            let shown = [false, true].map(|by_borders| {
                let mut random = Random::from_seed(seed);
                let doc = Doc::new();
                let text = doc.get_or_insert_text("text");
                let branch = branch(&text);
                let mut txn = doc.transact_mut();
                let content = (0..30).map(|_| some_content(&mut random)).collect();
                apply(branch, &mut txn, content, Holds::default());
                let steps = some_steps(&mut random, text.len(&txn));
                let borders = borders(branch, &txn, &steps).filter(|_| by_borders);
                let holds = Holds { formats: true, types: true };
                walk(branch, &mut txn, (steps, holds), borders.as_deref());
                text.diff(&txn, YChange::identity)
                    .into_iter()
                    .flat_map(|part| {
                        let mut formats: Vec<_> =
                            part.attributes.into_iter().flat_map(|it| *it).collect();
                        formats.sort_by(|a, b| a.0.cmp(&b.0));
                        let units: Vec<String> = match part.insert {
                            Out::Any(Any::String(text)) => text.chars().map(String::from).collect(),
                            Out::Any(any) => vec![any.to_string()],
                            _ => vec!["type".to_owned()],
                        };
                        units.into_iter().map(move |unit| format!("{unit} {formats:?}"))
                    })
                    .collect::<Vec<_>>()
            });
            assert_eq!(shown[0], shown[1], "seed {seed}");
        }
    }
}
