//! What updates mean, in sixteen bytes: to see that a log and its compacted form are the same.

use std::collections::BTreeMap;
use std::fmt;
use std::str::Chars;

use super::deletions::{Collected, Deletions};
use super::splice::hole;
use super::walk::{
    Block, CONTENT, HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, Kind, Section, Visit, skip_value, walk,
};
use crate::error::Error;
use crate::ids::ClientId;
use crate::wire::primitive::{Reader, len_u64};

/// What Yjs puts in place of half a character: U+FFFD.
const HALF: u16 = 0xfffd;

/// A fingerprint of what updates mean together.
///
/// It is a sum over all elements (client, clock), so it does not depend on how they are cut into
/// structs and updates. An element counts with its origin, right origin, parent (where the format
/// says it), kind and content. Of one that is deleted only the places count: it is the same whether
/// its content is still there or was squeezed out. Deleted ranges and the end of each client count
/// too. A collected struct (GC) has no places, only ids: it is not the same as a deleted one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 16]);

impl Digest {
    /// The bytes of the fingerprint.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The fingerprint of what these updates mean, in the order of a log: of elements that several of
/// them bring, the first one counts.
///
/// # Errors
/// `update.malformed` for bytes that are no update, `update.missing_dependencies` when the structs
/// of a client leave a hole.
pub fn digest<B: AsRef<[u8]>>(updates: &[B]) -> Result<Digest, Error> {
    let deletions = Deletions::of_all(updates)?;
    let mut sum = Sum {
        deletions: &deletions,
        deleted: Collected::default(),
        ends: BTreeMap::new(),
        end: 0,
        sum: 0,
    };
    for update in updates {
        walk(update.as_ref(), usize::MAX, &mut sum)?;
    }
    let Sum { mut deleted, ends, mut sum, .. } = sum;
    for (client, end) in ends {
        sum = sum.wrapping_add(Mix::new(Tag::End, client).with(end).finish());
    }
    for (client, ranges) in deletions.iter() {
        ranges.iter().for_each(|(start, end)| deleted.add(client, *start, *end));
    }
    for (client, ranges) in deleted.united().iter() {
        for (start, end) in ranges {
            let range = Mix::new(Tag::DeletedRange, client).with(*start).with(*end);
            sum = sum.wrapping_add(range.finish());
        }
    }
    Ok(Digest(sum.to_be_bytes()))
}

/// What a number stands for, so that equal numbers of different meaning differ.
#[derive(Clone, Copy)]
enum Tag {
    End,
    DeletedRange,
    /// A GC element.
    Collected,
    /// A deleted element behind the one before it.
    Deleted,
    /// A deleted element elsewhere.
    DeletedAt,
    Live,
}

/// A running mix of numbers in 128 bits.
#[derive(Clone, Copy)]
struct Mix(u128);

impl Mix {
    fn new(tag: Tag, client: ClientId) -> Self {
        let tag = match tag {
            Tag::End => 1,
            Tag::DeletedRange => 2,
            Tag::Collected => 3,
            Tag::Deleted => 4,
            Tag::DeletedAt => 5,
            Tag::Live => 6,
        };
        Self(0x243f_6a88_85a3_08d3_1319_8a2e_0370_7344).with(tag).with(client.get())
    }

    /// Takes in a number: an odd factor and a shift, both of which can be undone, so that nothing is
    /// lost on the way.
    #[inline]
    const fn with(self, number: u64) -> Self {
        const FACTOR: u128 = 0xa409_3822_299f_31d0_082e_fa98_ec4e_6c89;
        let wide = (self.0 ^ widened(number)).wrapping_mul(FACTOR);
        Self(wide ^ (wide >> 71))
    }

    fn with_id(self, id: Option<Id>) -> Self {
        match id {
            None => self.with(0),
            Some(id) => self.with(1).with(id.client.get()).with(id.clock),
        }
    }

    fn with_bytes(self, bytes: &[u8]) -> Self {
        let mut mix = self.with(len_u64(bytes));
        for chunk in bytes.chunks(8) {
            let number = chunk.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            mix = mix.with(number);
        }
        mix
    }

    #[inline]
    const fn finish(self) -> u128 {
        self.with(0x4528_21e6_38d0_1377).0
    }
}

#[expect(clippy::as_conversions, reason = "From is not const, and nothing is lost")]
const fn widened(number: u64) -> u128 {
    number as u128
}

struct Sum<'d> {
    deletions: &'d Deletions,
    /// What is deleted by the structs themselves.
    deleted: Collected,
    /// Where the structs of the clients end so far.
    ends: BTreeMap<ClientId, u64>,
    /// That of the client whose section is being walked.
    end: u64,
    sum: u128,
}

impl<'a> Visit<'a> for Sum<'_> {
    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        self.end = *self.ends.entry(section.client).or_insert(section.clock);
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        if block.end() <= self.end {
            return Ok(());
        }
        if block.id.clock > self.end {
            return Err(hole(block.id.client, self.end));
        }
        let start = std::mem::replace(&mut self.end, block.end());
        self.ends.insert(block.id.client, block.end());
        match block.kind {
            Kind::Gc => {
                self.deleted.add(block.id.client, start, block.end());
                self.add_chain(Mix::new(Tag::Collected, block.id.client), start, block.end());
                Ok(())
            }
            Kind::Deleted => {
                self.deleted.add(block.id.client, start, block.end());
                self.add_deleted(block, start, block.end());
                Ok(())
            }
            _ => self.add_content(block, start),
        }
    }
}

impl Sum<'_> {
    fn add(&mut self, mix: Mix) {
        self.sum = self.sum.wrapping_add(mix.finish());
    }

    /// Elements that differ in nothing but their clocks. Each counts as the difference of two mixes,
    /// so a run of them counts as the difference at its ends, however long it is.
    fn add_chain(&mut self, mix: Mix, start: u64, end: u64) {
        let (first, last) = (mix.with(start).finish(), mix.with(end).finish());
        self.sum = self.sum.wrapping_add(last.wrapping_sub(first));
    }

    /// Elements of a struct without their content.
    fn add_deleted(&mut self, block: &Block<'_>, start: u64, end: u64) {
        let mut start = start;
        if start == block.id.clock && !is_behind_last(block) {
            let mix = Mix::new(Tag::DeletedAt, block.id.client).with(start);
            self.add(with_places(mix, block));
            start = start.saturating_add(1);
        }
        if start < end {
            let mix = Mix::new(Tag::Deleted, block.id.client).with_id(block.right_origin);
            self.add_chain(mix, start, end);
        }
    }

    /// The elements of a struct from a clock on, with their content where they have it.
    fn add_content(&mut self, block: &Block<'_>, start: u64) -> Result<(), Error> {
        let client = block.id.client;
        let mut ranges = self.deletions.within(client, start, block.end()).iter().peekable();
        let inside = Mix::new(Tag::Live, client).with(u64::from(block.info & CONTENT));
        let first = with_places(inside, block);
        let inside = with_last(inside, block.right_origin);
        let mut at = start;
        let mut elements = Elements::of(block)?;
        elements.skip(start.saturating_sub(block.id.clock))?;
        elements.forget_half();
        while at < block.end() {
            while ranges.next_if(|range| range.1 <= at).is_some() {}
            let gap_end = match ranges.peek() {
                Some((from, to)) if *from <= at => {
                    let end = (*to).min(block.end());
                    self.add_deleted(block, at, end);
                    elements.skip(end.saturating_sub(at))?;
                    at = end;
                    continue;
                }
                Some((from, _)) => *from,
                None => block.end(),
            };
            while at < gap_end {
                let places = if at == block.id.clock { first } else { inside };
                self.add(elements.next(places.with(at))?);
                at = at.saturating_add(1);
            }
        }
        Ok(())
    }
}

/// Whether the origin of a struct is the element before it, as that of all further elements.
fn is_behind_last(block: &Block<'_>) -> bool {
    let last = block.id.clock.checked_sub(1).map(|clock| Id { clock, ..block.id });
    last.is_some() && block.origin == last
}

fn with_last(mix: Mix, right_origin: Option<Id>) -> Mix {
    mix.with(2).with_id(right_origin)
}

/// The places of a struct's first element.
fn with_places(mix: Mix, block: &Block<'_>) -> Mix {
    if is_behind_last(block) {
        return with_last(mix, block.right_origin);
    }
    let mix = mix.with_id(block.origin).with_id(block.right_origin);
    let has_parent = block.info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0;
    if has_parent { mix.with_bytes(block.places()) } else { mix }
}

/// The content of a struct, element by element.
struct Elements<'a> {
    block: &'a Block<'a>,
    /// What is left of a text.
    text: Chars<'a>,
    /// The second half of a character, which is still to come.
    half: Option<u16>,
    /// What is left of values.
    values: Reader<'a>,
}

impl<'a> Elements<'a> {
    fn of(block: &'a Block<'a>) -> Result<Self, Error> {
        let text = if block.kind == Kind::Text { block.text()? } else { "" };
        let values = if block.kind == Kind::Values { block.values()? } else { &[] };
        Ok(Self { block, text: text.chars(), half: None, values: Reader::new(values) })
    }

    /// The second half of a character whose first half was cut off is what Yjs makes of it.
    fn forget_half(&mut self) {
        self.half = self.half.map(|_| HALF);
    }

    fn skip(&mut self, len: u64) -> Result<(), Error> {
        match self.block.kind {
            Kind::Text => (0..len).for_each(|_| {
                self.unit();
            }),
            Kind::Values => (0..len).try_for_each(|_| self.value().map(drop))?,
            _ => {}
        }
        Ok(())
    }

    /// The next UTF-16 unit.
    fn unit(&mut self) -> u16 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let mut units = [0; 2];
        let units = self.text.next().map_or(&[][..], |next| next.encode_utf16(&mut units));
        self.half = units.get(1).copied();
        units.first().copied().unwrap_or(0)
    }

    fn value(&mut self) -> Result<&'a [u8], Error> {
        let before = self.values.clone();
        skip_value(&mut self.values).map_err(|_already_walked| self.block.unreadable())?;
        let len = self.values.position().saturating_sub(before.position());
        let value = before.clone().take(u64::try_from(len).unwrap_or(u64::MAX));
        value.map_err(|_already_walked| self.block.unreadable())
    }

    /// Mixes in the content of the next element.
    fn next(&mut self, mix: Mix) -> Result<Mix, Error> {
        Ok(match self.block.kind {
            Kind::Text => mix.with(u64::from(self.unit())),
            Kind::Values => mix.with_bytes(self.value()?),
            _ => mix.with_bytes(self.block.content),
        })
    }
}
