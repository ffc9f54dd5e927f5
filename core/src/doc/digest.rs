//! What updates mean, in sixteen bytes: to see that a log and its compacted form are the same.

use std::collections::BTreeMap;
use std::fmt;

use super::deletions::{Behind, Collected, Deletions};
use super::elements::Elements;
use super::mix::Mix;
use super::splice::hole;
use super::walk::{Block, CONTENT, HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, Kind, Section, Visit, walk};
use crate::error::Error;
use crate::ids::ClientId;

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
        ranges: Behind::default(),
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
        sum = sum.wrapping_add(mix(Tag::End, client).with(end).finish());
    }
    for (client, ranges) in deletions.iter() {
        ranges.iter().for_each(|(start, end)| deleted.add(client, *start, *end));
    }
    for (client, ranges) in deleted.united().iter() {
        for (start, end) in ranges {
            let range = mix(Tag::DeletedRange, client).with(*start).with(*end);
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

fn mix(tag: Tag, client: ClientId) -> Mix {
    let tag = match tag {
        Tag::End => 1,
        Tag::DeletedRange => 2,
        Tag::Collected => 3,
        Tag::Deleted => 4,
        Tag::DeletedAt => 5,
        Tag::Live => 6,
    };
    Mix::new(tag).with(client.get())
}

struct Sum<'d> {
    deletions: &'d Deletions,
    /// Those of the section that is being walked.
    ranges: Behind<'d>,
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
        self.ranges = self.deletions.behind(section.client, section.clock);
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
                self.add_chain(mix(Tag::Collected, block.id.client), start, block.end());
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
            let at = mix(Tag::DeletedAt, block.id.client).with(start);
            self.add(with_places(at, block));
            start = start.saturating_add(1);
        }
        if start < end {
            let behind = mix(Tag::Deleted, block.id.client).with_id(block.right_origin);
            self.add_chain(behind, start, end);
        }
    }

    /// The elements of a struct from a clock on, with their content where they have it.
    fn add_content(&mut self, block: &Block<'_>, start: u64) -> Result<(), Error> {
        let client = block.id.client;
        let mut ranges = self.ranges.within(start, block.end()).iter().peekable();
        let inside = mix(Tag::Live, client).with(u64::from(block.info & CONTENT));
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
                self.add(elements.mix_next(places.with(at))?);
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
