//! Characters of two UTF-16 units, and updates that cut them in two.
//!
//! A client of JavaScript can delete half an emoji, or type between its halves. Yjs and yrs then make
//! each half a U+FFFD, and tell nobody: who listens is told of it here. Our own edits cut none.

use super::guard::Summary;
use super::known::Known;
use super::walk::{Block, Id, Visit, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;

/// How many are sorted in at once, rather than put in their places one by one.
const MANY: usize = 16;

/// Characters of two units; each is named by its second unit. They are sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs(Vec<Id>);

impl Pairs {
    /// Those in the texts of an update that are not known yet.
    pub(super) fn of(update: &[u8], known: &Known) -> Result<Self, Error> {
        let mut texts = Texts { known, pairs: Vec::new() };
        walk(update, usize::MAX, &mut texts)?;
        Ok(Self::sorted(texts.pairs))
    }

    fn sorted(mut ids: Vec<Id>) -> Self {
        sort_by_key(&mut ids, Id::numbers);
        Self(ids)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the second unit of such a character has this id.
    pub(super) fn contains(&self, id: Id) -> bool {
        self.0.binary_search(&id).is_ok()
    }

    /// Those that are among others, too.
    pub(super) fn among(&self, others: &Self) -> impl Iterator<Item = Id> {
        self.0.iter().copied().filter(|id| others.contains(*id))
    }

    /// Adds those of an update that it did not cut, and removes those that it did.
    pub(super) fn add(&mut self, new: Self, cut: &Self) {
        if new.0.len() > MANY {
            self.0.extend(new.0);
            sort_by_key(&mut self.0, Id::numbers);
        } else {
            for id in new.0 {
                let at = self.0.partition_point(|other| *other < id);
                self.0.insert(at, id);
            }
        }
        if !cut.is_empty() {
            self.0.retain(|id| !cut.contains(*id));
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
        let mut cuts = Cuts { pairs: [self, new], cut: Vec::new() };
        // What is known already is cut off.
        for range in &summary.ranges {
            cuts.at(Id { client: range.client, clock: known.next(range.client) });
        }
        walk(update, usize::MAX, &mut cuts)?;
        Ok(Self::sorted(cuts.cut))
    }
}

/// Looks for characters.
struct Texts<'k> {
    known: &'k Known,
    pairs: Vec<Id>,
}

impl<'a> Visit<'a> for Texts<'_> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let next = self.known.next(block.id.client);
        if !block.has_astral || block.end() <= next {
            return Ok(());
        }
        let mut clock = block.id.clock;
        for character in block.text()?.chars() {
            if character.len_utf16() == 2 {
                clock = clock.saturating_add(1);
                if clock >= next {
                    self.pairs.push(Id { clock, ..block.id });
                }
            }
            clock = clock.saturating_add(1);
        }
        Ok(())
    }
}

/// Looks for the places where an update cuts.
struct Cuts<'p> {
    pairs: [&'p Pairs; 2],
    cut: Vec<Id>,
}

impl Cuts<'_> {
    /// Something is cut before this unit.
    fn at(&mut self, id: Id) {
        if self.pairs.iter().any(|pairs| pairs.contains(id)) {
            self.cut.push(id);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_come_to_stand_in_order_and_what_was_cut_is_gone() {
        let id = |client: u32, clock| Id { client: ClientId::from_u32(client), clock };
        let mut pairs = Pairs::sorted((1..=9).map(|clock| id(2, clock)).collect());
        pairs.add(Pairs::sorted(vec![id(3, 1), id(1, 7), id(2, 10)]), &Pairs::default());
        pairs.add(
            Pairs::sorted((1..=20).map(|clock| id(1, 10 * clock)).collect()),
            &Pairs::sorted(vec![id(1, 7), id(2, 4)]),
        );
        assert!(pairs.0.is_sorted() && pairs.0.len() == 30);
        assert!([id(1, 200), id(2, 10), id(3, 1)].into_iter().all(|id| pairs.contains(id)));
        assert!(!pairs.contains(id(1, 7)) && !pairs.contains(id(2, 4)));
    }
}
