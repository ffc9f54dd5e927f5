//! Typing by id: what is known here of the order of a text, so that an edit can be written down
//! without looking for its index.
//!
//! yrs finds an index by walking from the beginning of a text, which takes longer than all the rest
//! of an edit. But each own insertion says between which elements it came, and so the next key beside
//! it, or the key that takes it back, is known by the ids of its neighbors: it is written as an update,
//! byte by byte as Yjs would, and taken in like one. Whatever is not known goes by its index, and what
//! others write makes everything unknown again.

mod order;

use self::order::{Order, Range, Sides, end};
use super::node::Place;
use super::pair::Pairs;
use super::walk::{HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, Kind, read_block};
use crate::ids::ClientId;
use crate::wire::primitive::{Reader, write_string, write_var};

/// Of so many texts something is known: of those that were edited last.
const TEXTS_MAX: usize = 8;
/// A text in more stretches is unknown again; they would take up as much memory as the text.
const STRETCHES_MAX: usize = 1 << 14;
/// What an update of one key takes: three ids with numbers of five bytes, and what is between them.
const KEY_BYTES: usize = 40;
/// The content of a struct that holds text.
const TEXT: u8 = 4;

/// What is known of the texts that were edited here, the last one first.
#[derive(Debug, Default)]
pub(super) struct Typing(Vec<(Place, Order)>);

impl Typing {
    /// All is unknown: somebody else may have written anywhere.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// A text was edited in another way.
    pub(super) fn forget_text(&mut self, place: &Place) {
        self.0.retain(|(known, _)| known != place);
    }

    /// What is known of a text that has this length.
    fn order(&mut self, place: &Place, length: u32) -> Option<&mut Order> {
        match self.0.iter().position(|(known, _)| known == place) {
            Some(0) => {}
            Some(at) => self.0.swap(0, at),
            None => {
                self.0.truncate(TEXTS_MAX - 1);
                self.0.insert(0, (place.clone(), Order::unknown(length)));
            }
        }
        let (_, order) = self.0.first_mut()?;
        if order.length != length || order.stretches.len() > STRETCHES_MAX {
            *order = Order::unknown(length);
        }
        Some(order)
    }

    /// The update that inserts text, when it is known what is on both sides of it.
    pub(super) fn insertion(
        &mut self,
        (place, length): (&Place, u32),
        index: u32,
        (id, content): (Id, &str),
        pairs: &Pairs,
    ) -> Option<Vec<u8>> {
        let (origin, right) = self.order(place, length)?.neighbors(index)?;
        if right.is_some_and(|right| pairs.contains(right)) {
            return None;
        }
        let flags = [(origin, HAS_ORIGIN), (right, HAS_RIGHT_ORIGIN)];
        let info = flags.iter().filter(|(id, _)| id.is_some()).fold(TEXT, |info, it| info | it.1);
        // Without neighbors it would have to say in which type it is.
        if info == TEXT {
            return None;
        }
        let mut update = Vec::with_capacity(KEY_BYTES + content.len());
        update.extend([1, 1]);
        write_id(&mut update, id);
        update.push(info);
        origin.into_iter().chain(right).for_each(|id| write_id(&mut update, id));
        write_string(&mut update, content);
        update.push(0);
        Some(update)
    }

    /// The update that deletes, when it is known what.
    pub(super) fn deletion(
        &mut self,
        (place, length): (&Place, u32),
        index: u32,
        count: u32,
        pairs: &Pairs,
    ) -> Option<Vec<u8>> {
        let ranges = self.order(place, length)?.ids(index, count)?;
        let client = ranges.first()?.0.client;
        let mut update = vec![0, 1];
        write_var(&mut update, client.get());
        write_var(&mut update, u64::try_from(ranges.len()).ok()?);
        for (id, len) in ranges {
            if pairs.contains(id) || pairs.contains(Id { clock: end((id, len)), ..id }) {
                return None;
            }
            write_var(&mut update, id.clock);
            write_var(&mut update, u64::from(len));
        }
        Some(update)
    }

    /// Learns from an own update that inserted text at an index of a text, which had this length.
    pub(super) fn inserted(&mut self, (place, length): (&Place, u32), index: u32, update: &[u8]) {
        let Some(order) = self.order(place, length) else { return };
        let learned = insertion(update).and_then(|(new, sides)| order.inserted(index, new, sides));
        if learned.is_none() {
            self.forget_text(place);
        }
    }

    /// Learns that an own update deleted from a text, which had this length.
    pub(super) fn deleted(&mut self, (place, length): (&Place, u32), index: u32, count: u32) {
        let Some(order) = self.order(place, length) else { return };
        if order.deleted(index, count).is_none() {
            self.forget_text(place);
        }
    }
}

/// What an update inserts when it is a single text, and what is on its sides.
fn insertion(update: &[u8]) -> Option<(Range, Sides)> {
    let mut reader = Reader::new(update);
    let counts = (reader.var().ok()?, reader.var().ok()?);
    let client = ClientId::new(reader.var().ok()?)?;
    let id = Id { client, clock: reader.var().ok()? };
    let block = read_block(update.get(reader.position()..)?, id).ok()?;
    let is_text = counts == (1, 1) && block.kind == Kind::Text;
    let len = u32::try_from(block.len).ok().filter(|_| is_text)?;
    Some(((id, len), (block.origin, block.right_origin)))
}

fn write_id(out: &mut Vec<u8>, id: Id) {
    write_var(out, id.client.get());
    write_var(out, id.clock);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place::Nested(ClientId::from_u32(1), 0);

    fn id(client: u32, clock: u64) -> Id {
        Id { client: ClientId::from_u32(client), clock }
    }

    /// In the middle of a text of ten others' letters, after `x` was inserted by its index.
    fn after_one_key() -> Typing {
        let mut typing = Typing::default();
        let key = [1, 1, 7, 0, 0xc4, 2, 4, 2, 5, 1, b'x', 0];
        typing.inserted((&PLACE, 10), 5, &key);
        typing
    }

    fn insertion(typing: &mut Typing, length: u32, index: u32) -> Option<Vec<u8>> {
        typing.insertion((&PLACE, length), index, (id(7, 1), "y"), &Pairs::default())
    }

    fn deletion(typing: &mut Typing, length: u32, index: u32, count: u32) -> Option<Vec<u8>> {
        typing.deletion((&PLACE, length), index, count, &Pairs::default())
    }

    #[test]
    fn the_next_key_beside_one_is_known_and_what_is_further_off_is_not() {
        let mut typing = after_one_key();
        let next = [1, 1, 7, 1, 0xc4, 7, 0, 2, 5, 1, b'y', 0];
        assert_eq!(insertion(&mut typing, 11, 6).as_deref(), Some(&next[..]));
        assert_eq!(insertion(&mut typing, 11, 4), None);
        assert_eq!(insertion(&mut typing, 11, 7), None);
        typing.inserted((&PLACE, 11), 6, &next);
        assert_eq!(deletion(&mut typing, 12, 5, 2), Some(vec![0, 1, 7, 1, 0, 2]));
        assert_eq!(deletion(&mut typing, 12, 4, 2), None);
        assert_eq!(deletion(&mut typing, 12, 6, 2), None);
    }

    #[test]
    fn a_key_comes_behind_what_was_taken_back() {
        let mut typing = after_one_key();
        typing.deleted((&PLACE, 11), 5, 1);
        let next = [1, 1, 7, 1, 0xc4, 7, 0, 2, 5, 1, b'y', 0];
        assert_eq!(insertion(&mut typing, 10, 5).as_deref(), Some(&next[..]));
    }

    #[test]
    fn a_text_of_another_length_is_not_known() {
        assert_eq!(insertion(&mut after_one_key(), 12, 6), None);
        let mut typing = after_one_key();
        typing.forget();
        assert_eq!(insertion(&mut typing, 11, 6), None);
    }
}
