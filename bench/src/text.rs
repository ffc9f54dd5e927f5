//! Documents as yrs reads them: the check of what was delivered, and the large ones of some scenarios.

use std::collections::HashSet;

use coweave_core::random::Random;
use yrs::updates::decoder::Decode as _;
use yrs::{Doc, GetString as _, ReadTxn as _, StateVector, Transact as _, Update};

use crate::Outcome;
use crate::update::{self, CharId, TEXT};

/// A document that updates are applied to.
#[derive(Debug)]
pub(crate) struct Document(Doc);

impl Document {
    pub(crate) fn new() -> Self {
        Self(Doc::new())
    }

    pub(crate) fn apply(&mut self, update: &[u8]) -> Outcome {
        let update = Update::decode_v1(update)?;
        self.0.transact_mut().apply_update(update)?;
        Ok(())
    }

    pub(crate) fn text(&self) -> String {
        let text = self.0.get_or_insert_text(TEXT);
        text.get_string(&self.0.transact())
    }

    pub(crate) fn state_vector(&self) -> Vec<u8> {
        use yrs::updates::encoder::Encode as _;
        self.0.transact().state_vector().encode_v1()
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        self.0.transact().encode_state_as_update_v1(&StateVector::default())
    }
}

/// A document with a history: ten authors, paragraphs, insertions in the middle, deletions.
#[derive(Debug)]
pub(crate) struct Book {
    /// Its updates in order.
    pub(crate) updates: Vec<Vec<u8>>,
    pub(crate) text: String,
    /// How large it is as one update.
    pub(crate) encoded_bytes: usize,
    /// Its state vector, encoded.
    pub(crate) state_vector: Vec<u8>,
    /// Neighbors between which somebody may type.
    pub(crate) places: Vec<(CharId, CharId)>,
}

const AUTHORS: u64 = 10;
/// Far from the ids of the typists.
const FIRST_AUTHOR: u64 = 2_000_000_000;
const WORDS: [&str; 12] = [
    "the ", "relay ", "keeps ", "what ", "it ", "took ", "and ", "nobody ", "has ", "to ",
    "think ", "about\n",
];

impl Book {
    /// Writes a document of about so many bytes.
    pub(crate) fn write(bytes: usize) -> Outcome<Self> {
        let mut random = Random::from_seed(bytes as u64);
        let mut clocks = [0; AUTHORS as usize];
        let (mut updates, mut spans) = (Vec::new(), Vec::<(CharId, u64)>::new());
        let mut split = HashSet::new();
        let (mut size, mut end) = (0, None);
        while size < bytes {
            let author = random.below(AUTHORS);
            let clock = &mut clocks[author as usize];
            let id = CharId { client: FIRST_AUTHOR + author, clock: *clock };
            let choice = random.below(100);
            let place = (choice >= 60)
                .then(|| inside(&spans, &mut random))
                .flatten()
                .filter(|(left, _)| split.insert(*left));
            if let (Some((left, _)), 95..) = (place, choice) {
                updates.push(update::delete(left, 1));
                continue;
            }
            let text = sentence(&mut random);
            let update = match place {
                Some((left, right)) => update::insert(id, Some(left), Some(right), &text),
                None => update::insert(id, end, None, &text),
            };
            let len = text.len() as u64;
            let last = CharId { clock: id.clock + len - 1, ..id };
            if place.is_none() {
                end = Some(last);
            }
            *clock += len;
            size += update.len();
            spans.push((id, len));
            updates.push(update);
        }
        let mut document = Document::new();
        for update in &updates {
            document.apply(update)?;
        }
        let places = std::iter::repeat_with(|| inside(&spans, &mut random))
            .flatten()
            .filter(|(left, _)| split.insert(*left))
            .take(20)
            .collect();
        Ok(Self {
            text: document.text(),
            encoded_bytes: document.encoded().len(),
            state_vector: document.state_vector(),
            updates,
            places,
        })
    }
}

/// Two neighbors inside of what was once written in one piece.
fn inside(spans: &[(CharId, u64)], random: &mut Random) -> Option<(CharId, CharId)> {
    let (first, len) = spans.get(random.below(spans.len() as u64) as usize)?;
    let at = random.below(len.checked_sub(1)?);
    let left = CharId { clock: first.clock + at, ..*first };
    Some((left, CharId { clock: left.clock + 1, ..left }))
}

fn sentence(random: &mut Random) -> String {
    let words = 20 + random.below(40) as usize;
    (0..words).map(|_| WORDS[random.below(WORDS.len() as u64) as usize]).collect()
}
