//! Characters of two UTF-16 units, and updates that cut them in two.
//!
//! A client of JavaScript can delete half an emoji, or type between its halves. Yjs then makes each
//! half a U+FFFD. yrs counts wrongly from there on, so that must not happen inside it: wherever an
//! update would cut a character, the character is replaced by two U+FFFD before.

use std::collections::BTreeSet;

use super::guard::Summary;
use super::known::Known;
use super::splice::replace;
use super::walk::{Block, Id, Kind, Visit, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::wire::primitive::write_string;

/// Characters of two units; each is named by its second unit.
#[derive(Debug, Default)]
pub(super) struct Pairs(BTreeSet<Id>);

impl Pairs {
    /// Those in the texts of an update that are not known yet.
    pub(super) fn of(update: &[u8], known: &Known) -> Result<Self, Error> {
        let mut texts = Texts { known, pairs: Self::default() };
        walk(update, usize::MAX, &mut texts)?;
        Ok(texts.pairs)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the second unit of such a character has this id.
    pub(super) fn contains(&self, id: Id) -> bool {
        self.0.contains(&id)
    }

    pub(super) fn contains_any(&self, others: &Self) -> bool {
        others.0.iter().any(|id| self.0.contains(id))
    }

    /// Adds those in a text that begins at an id; tells how many units it has.
    pub(super) fn add_text(&mut self, first: Id, text: &str) -> u64 {
        let mut clock = first.clock;
        for character in text.chars() {
            if character.len_utf16() == 2 {
                clock = clock.saturating_add(1);
                self.0.insert(Id { clock, ..first });
            }
            clock = clock.saturating_add(1);
        }
        clock.saturating_sub(first.clock)
    }

    /// Adds those of an update that it did not cut, and removes those that it did.
    pub(super) fn add(&mut self, mut new: Self, cut: &Self) {
        self.0.append(&mut new.0);
        for id in &cut.0 {
            self.0.remove(id);
        }
    }

    /// Those among these and the new ones that an update cuts.
    pub(super) fn cut_by(
        &self,
        new: &Self,
        update: &[u8],
        known: &Known,
        summary: &Summary,
    ) -> Result<Self, Error> {
        let mut cuts = Cuts { pairs: [self, new], cut: Self::default() };
        // What is known already is cut off.
        for range in &summary.ranges {
            cuts.at(Id { client: range.client, clock: known.next(range.client) });
        }
        walk(update, usize::MAX, &mut cuts)?;
        Ok(cuts.cut)
    }
}

/// Looks for characters.
struct Texts<'k> {
    known: &'k Known,
    pairs: Pairs,
}

impl<'a> Visit<'a> for Texts<'_> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let next = self.known.next(block.id.client);
        if block.has_astral && block.end() > next {
            self.pairs.add_text(block.id, block.text()?);
            if block.id.clock < next {
                self.pairs.0.retain(|id| id.client != block.id.client || id.clock >= next);
            }
        }
        Ok(())
    }
}

/// Looks for the places where an update cuts.
struct Cuts<'p> {
    pairs: [&'p Pairs; 2],
    cut: Pairs,
}

impl Cuts<'_> {
    /// Something is cut before this unit.
    fn at(&mut self, id: Id) {
        if self.pairs.iter().any(|pairs| pairs.0.contains(&id)) {
            self.cut.0.insert(id);
        }
    }
}

impl<'a> Visit<'a> for Cuts<'_> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        if let Some(left) = block.origin {
            self.at(Id { clock: left.clock.saturating_add(1), ..left });
        }
        if let Some(right) = block.right_origin {
            self.at(right);
        }
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        self.at(Id { client, clock: start });
        self.at(Id { client, clock: end });
        Ok(())
    }
}

/// The update with two U+FFFD for each of these characters.
///
/// # Errors
/// `update.malformed` for bytes that are no update.
pub(super) fn break_pairs(update: &[u8], cut: &Pairs) -> Result<Vec<u8>, Error> {
    replace(update, &|block| {
        if block.kind != Kind::Text || !block.has_astral {
            return None;
        }
        let mut clock = block.id.clock;
        let mut text = String::new();
        for character in block.text().ok()?.chars() {
            let is_pair = character.len_utf16() == 2;
            let second = Id { clock: clock.saturating_add(1), ..block.id };
            if is_pair && cut.0.contains(&second) {
                text.push_str("\u{fffd}\u{fffd}");
            } else {
                text.push(character);
            }
            clock = clock.saturating_add(if is_pair { 2 } else { 1 });
        }
        let mut bytes = block.bytes.strip_suffix(block.content)?.to_vec();
        write_string(&mut bytes, &text);
        Some(bytes)
    })
}
