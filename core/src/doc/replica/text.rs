//! Texts of a replica: indexes and lengths count UTF-16 units, embedded content counts one.

use yrs::branch::BranchPtr;
use yrs::types::text::YChange;
use yrs::{Any, Assoc, IndexedSequence, Out, ReadTxn, Text, TextRef, Transact};

use super::content::{self, NewStep, Value, write_formats, write_list, write_string};
use super::delta::{Holds, apply, remove};
use super::depth::inserted;
use super::{Node, Replica, Step, busy, our_id, out_of_range};
use crate::doc::change::utf16_len;
use crate::doc::guard::{ClientRange, Summary};
use crate::doc::observe::formats;
use crate::doc::text::{Content, OBJECT};
use crate::doc::walk::Id;
use crate::error::{Code, Error};

/// A text is inserted in pieces of at most this many bytes.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// So many indexes are looked up one by one.
const LOOKUPS_MAX: usize = 16;

impl Replica {
    /// Inserts into a text; the content takes on the formats of what is before it.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate` or `api.deleted`.
    pub fn text_insert(
        &mut self,
        text: impl Into<Node>,
        index: u32,
        content: &str,
    ) -> Result<(), Error> {
        let text = &text.into();
        let mut length = self.check_range(text, &[(index, 0)])?;
        if content.len() <= PIECE_BYTES_MAX {
            return self.insert_piece((text, length), index, content);
        }
        // A large text goes in piece by piece, so that no update outgrows what a relay takes. The
        // last one first: pieces in their order would grow into one run, whose length yrs counts
        // anew with every piece and, later on, with every key at its end.
        let pieces: Vec<_> = pieces(content).collect();
        pieces.into_iter().rev().try_for_each(|piece| {
            self.insert_piece((text, length), index, piece)?;
            length += utf16_len(piece);
            Ok(())
        })
    }

    fn insert_piece(
        &mut self,
        (text, length): (&Node, u32),
        index: u32,
        piece: &str,
    ) -> Result<(), Error> {
        if piece.is_empty() {
            return Ok(());
        }
        self.textless.forget(&text.place);
        // With formats around only yrs knows which ones the new text has.
        let own = (!self.has_formats && !self.observed.is_empty())
            .then(|| [Step::Retain(index, Vec::new()), Step::Text(piece.to_owned(), Vec::new())]);
        let own = own.as_ref().map(<[Step; 2]>::as_slice);
        let known = (&text.place, length);
        let id = Id { client: self.client, clock: self.known.next(self.client) };
        match self.typing.insertion(known, index, (id, piece), &self.pairs) {
            Some(update) => {
                let end = id.clock.saturating_add(u64::from(utf16_len(piece)));
                let summary = Summary {
                    ranges: vec![ClientRange { client: id.client, start: id.clock, end }],
                    is_news: true,
                    // Four bytes of UTF-8 are two units.
                    has_astral: piece.bytes().any(|byte| byte >= 0xf0),
                    ..Summary::default()
                };
                self.edit_by_id(text, own, (update, summary))?;
            }
            None => {
                self.check_pairs(text, &[(index, 0)])?;
                self.edit_text(text, own, |txn, branch| {
                    TextRef::from(branch).insert(txn, index, piece);
                    Ok(())
                })?;
            }
        }
        if let Some(update) = self.edits.last() {
            self.typing.inserted(known, index, update);
        }
        Ok(())
    }

    /// Deletes from a text.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate` or `api.deleted`.
    pub fn text_delete(
        &mut self,
        text: impl Into<Node>,
        index: u32,
        length: u32,
    ) -> Result<(), Error> {
        let text = &text.into();
        let is = self.check_range(text, &[(index, length)])?;
        if length == 0 {
            return Ok(());
        }
        let steps = [Step::Retain(index, Vec::new()), Step::Delete(length)];
        let known = (&text.place, is);
        // Formats that mean nothing any more go with the text.
        let by_id = match self.has_formats {
            true => None,
            false => self.typing.deletion(known, index, length, &self.pairs),
        };
        if let Some(update) = by_id {
            let summary = Summary { has_deletes: true, ..Summary::default() };
            self.edit_by_id(text, Some(&steps), (update, summary))?;
        } else {
            self.check_pairs(text, &[(index, length)])?;
            let holds = self.holds();
            self.edit_text(text, Some(&steps), |txn, branch| {
                match holds {
                    Holds { formats: true, types: true } => remove(branch, txn, index, length),
                    _ => TextRef::from(branch).remove_range(txn, index, length),
                }
                Ok(())
            })?;
        }
        match self.has_formats {
            true => self.typing.forget_text(&text.place),
            false => self.typing.deleted(known, index, length),
        }
        Ok(())
    }

    /// Changes a text by steps, written as JSON in the form of a Quill delta. What is inserted has
    /// exactly the formats that are given.
    ///
    /// # Errors
    /// `api.wrong_type`, `api.out_of_range`, `api.split_surrogate`, `api.deleted` or
    /// `update.too_large`.
    pub fn text_apply(&mut self, text: &Node, delta: &str) -> Result<(), Error> {
        check_size(delta)?;
        let steps = content::read_delta(delta)?;
        self.check_depth(text, inserted(&steps))?;
        let ranges = ranges(&steps);
        self.check_range(text, &ranges)?;
        self.check_pairs(text, &ranges)?;
        self.textless.forget(&text.place);
        let holds = self.holds();
        self.edit(text, None, |txn, branch| {
            apply(branch, txn, steps, holds);
            Ok(())
        })
    }

    const fn holds(&self) -> Holds {
        Holds { formats: self.has_formats, types: self.has_types }
    }

    /// Checks that ranges lie in a text, and that the text is as long as it says: yrs panics when it
    /// runs out of text. The answer is its length.
    fn check_range(&mut self, node: &Node, ranges: &[(u32, u32)]) -> Result<u32, Error> {
        let txn = self.doc.try_transact().map_err(busy)?;
        let text = node.find(&txn)?.map(TextRef::from);
        let is = text.as_ref().map_or(0, |text| text.len(&txn));
        for (index, length) in ranges {
            if index.checked_add(*length).is_none_or(|end| end > is) {
                return Err(out_of_range(*index, *length, is));
            }
        }
        if self.has_values
            && let Some(text) = text
            && !self.plain_texts.has(&node.place)
        {
            if Content::of(&text, &txn).len() != is {
                let text = "the text holds content that is no text, or half a character";
                return Err(Error::new(Code::ClientInternal, text));
            }
            self.plain_texts.note(&node.place);
        }
        Ok(is)
    }

    /// Checks that ranges cut no surrogate pair.
    pub(super) fn check_pairs(&self, node: &Node, ranges: &[(u32, u32)]) -> Result<(), Error> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let txn = self.doc.try_transact().map_err(busy)?;
        let Some(text) = node.find(&txn)?.map(TextRef::from) else { return Ok(()) };
        let is = text.len(&txn);
        // yrs walks to each index: many are looked up in the whole text.
        let units: Vec<u16> = match ranges.len() > LOOKUPS_MAX {
            true => Content::of(&text, &txn).text.encode_utf16().collect(),
            false => Vec::new(),
        };
        let ends =
            ranges.iter().flat_map(|(index, length)| [*index, index.saturating_add(*length)]);
        for at in ends.filter(|at| *at > 0 && *at < is) {
            let is_inside = match usize::try_from(at).ok().and_then(|at| units.get(at)) {
                Some(unit) => (0xdc00..0xe000).contains(unit),
                None => {
                    let unit = text.sticky_index(&txn, at, Assoc::After);
                    let id = unit.and_then(|unit| unit.id().copied());
                    id.is_some_and(|id| self.pairs.contains(our_id(id)))
                }
            };
            if is_inside {
                let text = format!("index {at} lies between the two halves of a character");
                return Err(Error::new(Code::ApiSplitSurrogate, text));
            }
        }
        Ok(())
    }

    /// The length of a text; 0 when there is no such text.
    #[must_use]
    pub fn text_length(&self, text: impl Into<Node>) -> u32 {
        self.read(&text.into(), |branch, txn| TextRef::from(branch).len(txn)).unwrap_or(0)
    }

    /// A text; whatever is no text inside stands as U+FFFC. Empty when there is no such text.
    #[must_use]
    pub fn text_string(&self, text: impl Into<Node>) -> String {
        let text = &text.into();
        let content = self.read(text, |branch, txn| Content::of(&TextRef::from(branch), txn).text);
        content.unwrap_or_default()
    }

    /// A text with its formats and what is embedded, as a Quill delta in JSON.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn text_delta(&self, text: &Node) -> Result<String, Error> {
        let mut json = String::new();
        self.read(text, |branch, txn| write_delta(branch, txn, &mut json))?;
        Ok(if json.is_empty() { "[]".to_owned() } else { json })
    }

    /// All texts that have a name and content.
    #[must_use]
    pub fn texts(&self) -> Vec<(String, String)> {
        let Ok(txn) = self.doc.try_transact() else { return Vec::new() };
        let names: Vec<String> = txn.root_refs().map(|(name, _)| name.to_owned()).collect();
        drop(txn);
        let mut texts: Vec<(String, String)> = Vec::new();
        for name in names {
            let text = self.text_string(&name);
            // What is no text at all shows as a row of objects.
            if text.contains(|char| char != OBJECT) {
                // They come in no order; there are few, and a sort is much code to load.
                let at = texts.partition_point(|(other, _)| *other < name);
                texts.insert(at, (name, text));
            }
        }
        texts
    }
}

/// Writes a text as a Quill delta.
pub(super) fn write_delta<T: ReadTxn>(branch: BranchPtr, txn: &T, json: &mut String) {
    let parts = TextRef::from(branch).diff(txn, YChange::identity);
    write_list(json, parts.into_iter(), |part, json| {
        json.push_str(r#"{"insert":"#);
        match part.insert {
            Out::Any(Any::String(text)) => write_string(&text, json),
            out => Value::new(out).write(json),
        }
        write_formats(&formats(part.attributes.as_deref()), json);
        json.push('}');
    });
}

/// What steps touch of a text: indexes and lengths.
fn ranges(steps: &[NewStep]) -> Vec<(u32, u32)> {
    let mut index = 0u32;
    let mut ranges = vec![(0, 0)];
    for step in steps {
        if let NewStep::Delete(len) | NewStep::Retain(len, _) = step {
            ranges.push((index, *len));
            index = index.saturating_add(*len);
        }
    }
    ranges
}

/// Checks that content is no larger than one update can be: a number of three digits and a comma
/// takes nine bytes there.
pub(super) fn check_size(json: &str) -> Result<(), Error> {
    const CONTENT_BYTES_MAX: usize = 3 << 20;
    if json.len() <= CONTENT_BYTES_MAX {
        return Ok(());
    }
    let text = format!(
        "content of {} bytes of JSON is more than the {CONTENT_BYTES_MAX} that go into one edit",
        json.len()
    );
    Err(Error::new(Code::UpdateTooLarge, text))
}

/// Cuts a text between its characters.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at_checked(text.floor_char_boundary(PIECE_BYTES_MAX))?;
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}
