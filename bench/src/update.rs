//! Yjs v1 updates, written and read by hand: a generator must be cheaper than what it measures.

use coweave_core::random::Random;
use coweave_core::wire::primitive::{ReadError, Reader, write_bytes, write_string, write_var};

/// The name of the text that everybody types into.
pub(crate) const TEXT: &str = "body";

const GC: u8 = 0;
const DELETED: u8 = 1;
const STRING: u8 = 4;
const SKIP: u8 = 10;
const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_PARENT_SUB: u8 = 0x20;

const BACKSPACE_PERCENT: u64 = 5;

/// A character of a document: who wrote it, and as which of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CharId {
    pub(crate) client: u64,
    pub(crate) clock: u64,
}

/// A part of an update: so many characters of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) is_deletion: bool,
    pub(crate) first: CharId,
    pub(crate) len: u64,
}

/// The update that inserts some text between two characters.
pub(crate) fn insert(
    id: CharId,
    left: Option<CharId>,
    right: Option<CharId>,
    text: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(48 + text.len());
    out.extend_from_slice(&[1, 1]);
    write_id(&mut out, id);
    let origins = left.map_or(0, |_| HAS_ORIGIN) | right.map_or(0, |_| HAS_RIGHT_ORIGIN);
    out.push(STRING | origins);
    for origin in [left, right].into_iter().flatten() {
        write_id(&mut out, origin);
    }
    if origins == 0 {
        write_var(&mut out, 1);
        write_string(&mut out, TEXT);
    }
    write_bytes(&mut out, text.as_bytes());
    out.push(0);
    out
}

/// The update that deletes some characters of one client.
pub(crate) fn delete(first: CharId, len: u64) -> Vec<u8> {
    let mut out = vec![0, 1];
    write_var(&mut out, first.client);
    out.push(1);
    write_var(&mut out, first.clock);
    write_var(&mut out, len);
    out
}

fn write_id(out: &mut Vec<u8>, id: CharId) {
    write_var(out, id.client);
    write_var(out, id.clock);
}

/// Calls back for every part of an update that holds nothing but text.
pub(crate) fn read(update: &[u8], mut found: impl FnMut(Piece)) -> Result<(), ReadError> {
    let mut reader = Reader::new(update);
    for _ in 0..reader.var()? {
        let count = reader.var()?;
        let client = reader.var()?;
        let mut clock = reader.var()?;
        for _ in 0..count {
            let info = reader.u8()?;
            let len = read_struct(&mut reader, info)?;
            if info & 0x1f != SKIP {
                let first = CharId { client, clock };
                found(Piece { is_deletion: false, first, len });
            }
            clock += len;
        }
    }
    for _ in 0..reader.var()? {
        let client = reader.var()?;
        for _ in 0..reader.var()? {
            let clock = reader.var()?;
            let len = reader.var()?;
            found(Piece { is_deletion: true, first: CharId { client, clock }, len });
        }
    }
    reader.finish()
}

/// Reads the rest of a struct, and says how many characters it stands for.
fn read_struct(reader: &mut Reader<'_>, info: u8) -> Result<u64, ReadError> {
    let content = info & 0x1f;
    if content == GC || content == SKIP {
        return reader.var();
    }
    let origins = info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN);
    for _ in 0..origins.count_ones() {
        reader.var()?;
        reader.var()?;
    }
    if origins == 0 {
        if reader.var()? == 1 {
            reader.bytes()?;
        } else {
            reader.var()?;
            reader.var()?;
        }
        if info & HAS_PARENT_SUB != 0 {
            reader.bytes()?;
        }
    }
    match content {
        DELETED => reader.var(),
        // The texts here are ASCII: bytes, characters and UTF-16 units are the same.
        STRING => Ok(reader.bytes()?.len() as u64),
        _ => Err(ReadError::Range),
    }
}

/// Somebody who types, one character an update, and sometimes takes one back.
#[derive(Clone, Debug)]
pub(crate) struct Typist {
    client: u64,
    /// Where in a document that was there before.
    place: Option<(CharId, CharId)>,
    next_clock: u64,
    live: Vec<u64>,
    random: Random,
}

impl Typist {
    pub(crate) const fn new(client: u64, place: Option<(CharId, CharId)>) -> Self {
        Self { client, place, next_clock: 0, live: Vec::new(), random: Random::from_seed(client) }
    }

    /// The next key: its update, and the character that comes or goes.
    pub(crate) fn key(&mut self) -> (Vec<u8>, Piece) {
        let id = |clock| CharId { client: self.client, clock };
        if self.random.chance(BACKSPACE_PERCENT)
            && let Some(clock) = self.live.pop()
        {
            return (delete(id(clock), 1), Piece { is_deletion: true, first: id(clock), len: 1 });
        }
        let clock = self.next_clock;
        let before = self.place.map(|(left, _)| left);
        let left = clock.checked_sub(1).map_or(before, |last| Some(id(last)));
        let right = self.place.map(|(_, right)| right);
        let letter = char::from(b'a' + self.random.below(26) as u8);
        let update = insert(id(clock), left, right, letter.encode_utf8(&mut [0; 4]));
        self.live.push(clock);
        self.next_clock += 1;
        (update, Piece { is_deletion: false, first: id(clock), len: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Document;

    #[test]
    fn what_a_typist_writes_is_read_back_and_makes_a_text() {
        let mut typist = Typist::new(1_000_000_007, None);
        let mut document = Document::new();
        let (mut inserted, mut deleted) = (0, 0);
        for _ in 0..1_000 {
            let (update, piece) = typist.key();
            let mut found = Vec::new();
            read(&update, |piece| found.push(piece)).expect("it can be read");
            assert_eq!(found, [piece]);
            if piece.is_deletion {
                deleted += 1;
            } else {
                inserted += 1;
            }
            document.apply(&update).expect("it can be applied");
        }
        assert!(deleted > 20);
        assert_eq!(document.text().len(), inserted - deleted);
    }
}
