//! Typing by id writes the same bytes as yrs does by index, whatever others do in between.

use coweave_core::doc::replica::Replica;
use coweave_core::doc::splice;
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use yrs::types::Attrs;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, GetString, ReadTxn, StateVector, Text, TextRef, Transact, Update};

use crate::documents::document;
use crate::setting;

const TEXTS: [&str; 2] = ["body", "notes"];

/// A replica, yrs under the same client id, and somebody else.
struct World {
    random: Random,
    replica: Replica,
    same: Doc,
    other: Doc,
    /// Where the caret is in each text.
    carets: [u32; 2],
    /// What the other one may write beside plain text.
    has_formats: bool,
    has_emoji: bool,
}

#[derive(Debug)]
enum Edit {
    Insert(u32, String),
    Delete(u32, u32),
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        Self {
            has_formats: random.chance(20),
            has_emoji: random.chance(30),
            random,
            replica: Replica::new(ClientId::from_u32(7)),
            same: document(7),
            other: document(if seed.is_multiple_of(2) { 3 } else { 9 }),
            carets: [0, 0],
        }
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.random.below(u64::from(bound))).unwrap()
    }

    /// Keys at the caret, to both sides of it, and now and then somewhere else.
    fn next_edit(&mut self, text: usize, length: u32) -> Edit {
        let caret = self.carets[text].min(length);
        let count = 1 + if self.random.chance(15) { self.below(9) } else { 0 };
        match self.below(100) {
            0..50 => Edit::Insert(caret, self.content()),
            50..72 => Edit::Delete(caret.saturating_sub(count), count.min(caret)),
            72..82 => Edit::Delete(caret, count.min(length - caret)),
            82..94 => Edit::Insert(self.below(length + 1), self.content()),
            _ => {
                let index = self.below(length + 1);
                Edit::Delete(index, count.min(length - index))
            }
        }
    }

    fn content(&mut self) -> String {
        let all = if self.has_emoji { "abcdeé中😀" } else { "abcdeé中" };
        let count = if self.random.chance(10) { 1 + self.below(12) } else { 1 };
        let characters: Vec<char> = all.chars().collect();
        (0..count)
            .map(|_| characters[self.random.below(characters.len() as u64) as usize])
            .collect()
    }

    fn edit(&mut self) {
        let text = usize::from(self.random.chance(20));
        let name = TEXTS[text];
        let edit = self.next_edit(text, self.replica.text_length(name));
        let before = self.replica.untaken_edits().len();
        let edited = match &edit {
            Edit::Insert(index, content) => self.replica.text_insert(name, *index, content),
            Edit::Delete(index, length) => self.replica.text_delete(name, *index, *length),
        };
        if edited.as_ref().is_err_and(|error| error.code == Code::ApiSplitSurrogate) {
            return;
        }
        edited.unwrap();
        if matches!(edit, Edit::Delete(_, 0)) {
            return;
        }
        let mut txn = self.same.transact_mut();
        let target = text_of(&self.same, &mut txn, name);
        self.carets[text] = match &edit {
            Edit::Insert(index, content) => {
                target.insert(&mut txn, *index, content);
                index + u32::try_from(content.encode_utf16().count()).unwrap()
            }
            Edit::Delete(index, length) => {
                target.remove_range(&mut txn, *index, *length);
                *index
            }
        };
        // With the clients in the order of Yjs.
        let expected = splice::merge(&[txn.encode_update_v1()]).unwrap();
        assert_eq!(self.replica.untaken_edits()[before..], [expected], "{edit:?}");
    }

    /// The other one learns everything, and writes something.
    fn other_edits(&mut self) {
        self.other_learns();
        let known = self.other.transact().state_vector();
        for _ in 0..=self.below(3) {
            let name = TEXTS[self.below(2) as usize];
            let mut content = self.content();
            let (choice, at) = (self.below(10), self.below(1_000));
            let mut txn = self.other.transact_mut();
            let text = text_of(&self.other, &mut txn, name);
            // Only between characters.
            let ends: Vec<u32> = ends(&text.get_string(&txn));
            let index = ends[at as usize % ends.len()];
            let end = ends[(at as usize % ends.len() + 3).min(ends.len() - 1)];
            match choice {
                0..5 => text.insert(&mut txn, index, &content),
                5..8 => text.remove_range(&mut txn, index, end - index),
                _ if self.has_formats => {
                    let bold = Attrs::from([("bold".into(), Any::from(at % 2 == 0))]);
                    text.format(&mut txn, index, end - index, bold);
                }
                _ => {
                    content.push('!');
                    text.insert(&mut txn, index, &content);
                }
            }
        }
        let update = self.other.transact().encode_state_as_update_v1(&known);
        self.replica.apply(&update, &Limits::default()).unwrap();
        self.same.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
    }

    fn other_learns(&self) {
        let known = self.other.transact().state_vector();
        let update = self.same.transact().encode_state_as_update_v1(&known);
        self.other.transact_mut().apply_update(Update::decode_v1(&update).unwrap()).unwrap();
    }

    fn check(&self) {
        for name in TEXTS {
            let mut txn = self.same.transact_mut();
            let text = text_of(&self.same, &mut txn, name);
            assert_eq!(self.replica.text_string(name), text.get_string(&txn));
        }
        let state = self.same.transact().encode_state_as_update_v1(&StateVector::default());
        assert_eq!(self.replica.state(), state);
    }
}

fn text_of(_: &Doc, txn: &mut yrs::TransactionMut<'_>, name: &str) -> TextRef {
    use yrs::WriteTxn;
    txn.get_or_insert_text(name)
}

/// The indexes between the characters of a text.
fn ends(text: &str) -> Vec<u32> {
    let lengths = text.chars().map(|character| character.len_utf16() as u32);
    std::iter::once(0)
        .chain(lengths.scan(0, |end, length| {
            *end += length;
            Some(*end)
        }))
        .collect()
}

#[test]
fn what_is_written_by_id_is_what_yrs_writes_by_index() {
    let first = setting("COWEAVE_FUZZ_SEED", 0);
    for seed in first..first + setting("COWEAVE_FUZZ_HISTORIES", 500) {
        let mut world = World::new(seed);
        for _ in 0..120 {
            if world.random.chance(4) { world.other_edits() } else { world.edit() }
        }
        world.check();
    }
}
