//! The content of a struct, element by element.

use std::str::Chars;

use super::mix::Mix;
use super::value;
use super::walk::{Block, Kind};
use crate::error::Error;
use crate::wire::primitive::{ReadError, Reader};

/// What Yjs puts in place of half a character: U+FFFD.
pub(super) const HALF: u16 = 0xfffd;

/// The elements that were not read yet.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a> {
    block: Block<'a>,
    /// What is left of a text.
    text: Chars<'a>,
    /// The second half of a character, which is still to come.
    half: Option<u16>,
    /// What is left of values.
    values: &'a [u8],
}

/// The content of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A UTF-16 unit.
    Unit(u16),
    Value(&'a [u8]),
    /// All that the struct holds.
    Whole(&'a [u8]),
}

impl<'a> Elements<'a> {
    /// All of a struct.
    ///
    /// # Errors
    /// `update.malformed` when its content is none.
    pub(super) fn of(block: &Block<'a>) -> Result<Self, Error> {
        let text = if block.kind == Kind::Text { block.text()? } else { "" };
        let values = if block.kind == Kind::Values { block.values()? } else { &[] };
        Ok(Self { block: block.clone(), text: text.chars(), half: None, values })
    }

    pub(super) const fn block(&self) -> &Block<'a> {
        &self.block
    }

    /// The second half of a character whose first half was cut off is what Yjs makes of it.
    pub(super) fn forget_half(&mut self) {
        self.half = self.half.map(|_| HALF);
    }

    /// Passes over elements.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), Error> {
        if matches!(self.block.kind, Kind::Text | Kind::Values) {
            (0..len).try_for_each(|_| self.take().map(drop))?;
        }
        Ok(())
    }

    /// The content of the next element.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn take(&mut self) -> Result<Content<'a>, Error> {
        Ok(match self.block.kind {
            Kind::Text => Content::Unit(self.unit()),
            Kind::Values => {
                Content::Value(self.value().map_err(|_already_walked| self.block.unreadable())?)
            }
            _ => Content::Whole(self.block.content),
        })
    }

    /// Mixes in the content of the next element.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn mix_next(&mut self, mix: Mix) -> Result<Mix, Error> {
        Ok(match self.take()? {
            Content::Unit(unit) => mix.with(u64::from(unit)),
            Content::Value(bytes) | Content::Whole(bytes) => mix.with_bytes(bytes),
        })
    }

    fn unit(&mut self) -> u16 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let mut units = [0; 2];
        let units = self.text.next().map_or(&[][..], |next| next.encode_utf16(&mut units));
        self.half = units.get(1).copied();
        units.first().copied().unwrap_or(0)
    }

    fn value(&mut self) -> Result<&'a [u8], ReadError> {
        let mut reader = Reader::new(self.values);
        value::skip(&mut reader, usize::MAX)?;
        let (value, rest) =
            self.values.split_at_checked(reader.position()).ok_or(ReadError::End)?;
        self.values = rest;
        Ok(value)
    }
}
