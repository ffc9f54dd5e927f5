//! A struct whose elements are taken off from front to back, to write it in parts.

use super::value;
use super::walk::{Block, CONTENT, DELETED, HAS_ORIGIN, Kind};
use crate::error::Error;
use crate::wire::primitive::{Reader, len_u64, write_bytes, write_var};

/// What stands for half a character, as in Yjs.
pub(super) const HALF: &str = "\u{fffd}";

/// The elements of a struct that are still to be taken.
#[derive(Debug)]
pub(super) struct Run<'a> {
    block: Block<'a>,
    clock: u64,
    body: Body<'a>,
}

#[derive(Debug)]
enum Body<'a> {
    /// What is left of a text; its first character was cut, and its second half is still to come.
    Text(&'a str, bool),
    /// What is left of values.
    Values(&'a [u8]),
    /// Elements without content.
    Empty,
    /// One element.
    Whole,
}

impl<'a> Run<'a> {
    /// All elements of a struct.
    ///
    /// # Errors
    /// `update.malformed` when its content is none.
    pub(super) fn new(block: &Block<'a>) -> Result<Self, Error> {
        let body = match block.kind {
            Kind::Text => Body::Text(block.text()?, false),
            Kind::Values => Body::Values(block.values()?),
            Kind::Gc | Kind::Deleted => Body::Empty,
            _ => Body::Whole,
        };
        Ok(Self { block: block.clone(), clock: block.id.clock, body })
    }

    /// The clock of the next element.
    pub(super) const fn clock(&self) -> u64 {
        self.clock
    }

    pub(super) const fn end(&self) -> u64 {
        self.block.end()
    }

    /// How many elements are left.
    pub(super) const fn left(&self) -> u64 {
        self.end().saturating_sub(self.clock)
    }

    /// About how many bytes it takes to write all that is left.
    pub(super) const fn bytes(&self) -> usize {
        if self.clock == self.block.id.clock {
            return self.block.bytes.len();
        }
        let body = match self.body {
            Body::Text(text, _) => text.len(),
            Body::Values(values) => values.len(),
            Body::Empty | Body::Whole => 0,
        };
        body.saturating_add(HEAD_BYTES)
    }

    /// Of the next `len` elements those that take at most so many bytes, without half characters
    /// at the end; at least one.
    pub(super) fn fitting(&self, len: u64, bytes_max: usize) -> u64 {
        let len = len.clamp(1, self.left().max(1));
        match &self.body {
            Body::Text(text, is_half) => {
                let text = text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default();
                let (mut units, _) = walk_units(text, *is_half, len);
                if units == 0 {
                    units = self.whole_characters(1);
                }
                units
            }
            Body::Values(values) => {
                let mut reader = Reader::new(values);
                let mut fitting = 0;
                while fitting < len && value::skip(&mut reader, usize::MAX).is_ok() {
                    if reader.position() > bytes_max {
                        break;
                    }
                    fitting += 1;
                }
                fitting.max(1)
            }
            Body::Empty => len,
            Body::Whole => 1,
        }
    }

    /// So many elements, and one more when the last one is half a character.
    pub(super) fn whole_characters(&self, len: u64) -> u64 {
        match self.body {
            Body::Text(text, is_half) if self.block.has_astral => {
                let (units, at) = walk_units(text, is_half, len);
                let is_cut = units < len && at < text.len();
                if is_cut { len.saturating_add(1) } else { len }
            }
            _ => len,
        }
    }

    /// So many elements, and one less when the last one is half a character.
    pub(super) fn complete_characters(&self, len: u64) -> u64 {
        match self.whole_characters(len) {
            more if more > len => len.saturating_sub(1),
            _ => len,
        }
    }

    /// Passes over elements.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), Error> {
        self.take(len).map(drop)
    }

    /// Writes the next elements as a struct: behind the first part, the element before is the
    /// origin, as in Yjs.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn write(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.clock == self.block.id.clock && len >= self.left() {
            out.extend_from_slice(self.block.bytes);
            return self.skip(len);
        }
        self.write_head(self.block.info, out);
        self.write_content(len, out)
    }

    /// Writes the content of the next elements alone.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn write_content(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.take(len)? {
            Part::Text(false, text, false) => write_bytes(out, text.as_bytes()),
            Part::Text(is_half, text, is_cut) => {
                let first = if is_half { HALF } else { "" };
                let last = if is_cut { HALF } else { "" };
                write_bytes(out, [first, text, last].concat().as_bytes());
            }
            Part::Values(values) => {
                write_var(out, len);
                out.extend_from_slice(values);
            }
            Part::Empty => write_var(out, len),
            Part::Whole => out.extend_from_slice(self.block.content),
        }
        Ok(())
    }

    /// Writes the next elements without their content.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn write_deleted(&mut self, len: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        self.write_head(self.block.info & !CONTENT | DELETED, out);
        write_var(out, len);
        self.skip(len)
    }

    fn write_head(&self, info: u8, out: &mut Vec<u8>) {
        let block = &self.block;
        if self.clock == block.id.clock || block.kind == Kind::Gc {
            out.push(info);
            out.extend_from_slice(block.places());
            return;
        }
        out.push(info | HAS_ORIGIN);
        write_var(out, block.id.client.get());
        write_var(out, self.clock.saturating_sub(1));
        if let Some(right) = block.right_origin {
            write_var(out, right.client.get());
            write_var(out, right.clock);
        }
    }

    /// Takes the next elements off.
    fn take(&mut self, len: u64) -> Result<Part<'a>, Error> {
        self.clock = self.clock.saturating_add(len);
        Ok(match &mut self.body {
            Body::Text(text, is_half) => {
                let was_half = *is_half;
                let (units, at) = walk_units(text, was_half, len);
                let (taken, mut rest) = text.split_at_checked(at).unwrap_or_default();
                *is_half = units < len && !rest.is_empty();
                if *is_half {
                    let mut characters = rest.chars();
                    characters.next();
                    rest = characters.as_str();
                }
                *text = rest;
                Part::Text(was_half, taken, *is_half)
            }
            Body::Values(values) => {
                let mut reader = Reader::new(values);
                (0..len)
                    .try_for_each(|_| value::skip(&mut reader, usize::MAX))
                    .map_err(|_already_walked| self.block.unreadable())?;
                let (taken, rest) = values.split_at_checked(reader.position()).unwrap_or_default();
                *values = rest;
                Part::Values(taken)
            }
            Body::Empty => Part::Empty,
            Body::Whole => Part::Whole,
        })
    }
}

/// What [`Run::bytes`] expects a head to take.
const HEAD_BYTES: usize = 24;

/// Content that was taken off.
enum Part<'a> {
    /// Text, and whether half a character stands before and behind it.
    Text(bool, &'a str, bool),
    Values(&'a [u8]),
    Empty,
    Whole,
}

/// How many of `len` units whole characters take at the beginning of a text, and their bytes.
/// `is_half`: a unit that is not in the text comes first.
pub(super) fn walk_units(text: &str, is_half: bool, len: u64) -> (u64, usize) {
    let mut units = u64::from(is_half && len > 0);
    if len.saturating_sub(units) >= len_u64(text.as_bytes()) && text.is_ascii() {
        return (units.saturating_add(len_u64(text.as_bytes())), text.len());
    }
    for (at, character) in text.char_indices() {
        let next = units.saturating_add(if character.len_utf16() == 2 { 2 } else { 1 });
        if next > len {
            return (units, at);
        }
        units = next;
    }
    (units, text.len())
}
