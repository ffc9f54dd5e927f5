//! Whether somebody says something else about structs that are known already.
//!
//! Two contents under one id make two documents that never become equal again: whoever has one of
//! them drops the other as known. So what is sent again has to be what was sent before. Honest
//! clients send again in other forms, which are all the same here: runs cut elsewhere, content that
//! was deleted and dropped, values whose keys changed their order, halves of characters.

use super::elements::{Content, Elements, HALF};
use super::known::Known;
use super::value;
use super::walk::{
    Block, HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, Kind, Section, Visit, read_block, walk,
};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::wire::primitive::Reader;

/// Compares what an update brings below `known` with what the log holds for the same ids: the first
/// id that differs in origin, right origin, parent, kind or content. Where one side has no content
/// any more there is nothing to compare. An update that passed the guard and brings nothing known is
/// answered without the log.
///
/// # Errors
/// `update.malformed` for bytes that are no update, in the log as well.
pub fn contradiction(
    update: &[u8],
    known: &Known,
    log: &mut dyn Iterator<Item = &[u8]>,
) -> Result<Option<(ClientId, u64)>, Error> {
    let mut again = Again { known, blocks: Vec::new(), claims: Vec::new() };
    walk(update, usize::MAX, &mut again)?;
    let Again { blocks, mut claims, .. } = again;
    claims.sort_by_key(|claim| claim.client);
    let mut comparison =
        Comparison { blocks: &blocks, open: claims.len(), claims, at: None, outcome: None };
    while comparison.open > 0
        && let Some(entry) = log.next()
    {
        if comparison.concerns(entry) {
            let walked = walk(entry, usize::MAX, &mut comparison);
            match comparison.outcome.take() {
                Some(Outcome::Contradiction(id)) => return Ok(Some((id.client, id.clock))),
                Some(Outcome::Done) => break,
                None => walked?,
            }
        }
    }
    Ok(None)
}

/// Finds the structs that are known already.
struct Again<'a, 'k> {
    known: &'k Known,
    /// Their clocks and bytes. They are read again when it is their turn.
    blocks: Vec<(u64, &'a [u8])>,
    claims: Vec<Claim<'a>>,
}

/// What an update says of a client's structs that are known.
struct Claim<'a> {
    client: ClientId,
    /// Its structs, by index; the first one is the next to be compared.
    first: usize,
    behind: usize,
    /// Up to where the log was looked at, and where there is nothing to be compared any more.
    clock: u64,
    end: u64,
    /// The struct that is being compared, and the clock of its next element.
    reading: Option<(Box<Elements<'a>>, u64)>,
}

impl<'a> Visit<'a> for Again<'a, '_> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let Id { client, clock } = block.id;
        let known = self.known.next(client);
        if clock >= known {
            return Ok(());
        }
        let end = block.end().min(known);
        let first = self.blocks.len();
        let behind = first.saturating_add(1);
        match self.claims.last_mut() {
            Some(claim) if claim.client == client && claim.end == clock => {
                (claim.behind, claim.end) = (behind, end);
            }
            _ => self.claims.push(Claim { client, first, behind, clock, end, reading: None }),
        }
        self.blocks.push((clock, block.bytes));
        Ok(())
    }
}

enum Outcome {
    Contradiction(Id),
    /// Everything was compared.
    Done,
}

struct Comparison<'a, 'c> {
    blocks: &'c [(u64, &'a [u8])],
    claims: Vec<Claim<'a>>,
    /// How many claims were not compared to their end.
    open: usize,
    /// The claim on the client whose section is being walked.
    at: Option<usize>,
    outcome: Option<Outcome>,
}

impl<'a> Comparison<'a, '_> {
    fn claim_on(&self, client: ClientId) -> Option<usize> {
        let at = self.claims.binary_search_by_key(&client, |claim| claim.client).ok()?;
        self.claims.get(at).filter(|claim| claim.clock < claim.end).map(|_| at)
    }

    /// Whether an update of the log may hold what is still to be compared. Most of them are edits of
    /// one client, and their first bytes say whose.
    fn concerns(&self, entry: &[u8]) -> bool {
        let mut reader = Reader::new(entry);
        let Ok(sections) = reader.var() else { return true };
        if sections != 1 {
            return sections > 0;
        }
        let head = reader.var().and_then(|_| Ok((reader.var()?, reader.var()?)));
        let Ok((client, clock)) = head else { return true };
        let at = ClientId::new(client).and_then(|client| self.claim_on(client));
        at.and_then(|at| self.claims.get(at)).is_some_and(|claim| clock < claim.end)
    }

    /// Compares a struct of the log with what the update says of the same elements.
    fn compare(&mut self, at: usize, block: &Block<'_>) -> Result<(), Error> {
        let Some(claim) = self.claims.get_mut(at) else { return Ok(()) };
        let mut clock = claim.clock.max(block.id.clock);
        let end = claim.end.min(block.end());
        if clock >= end {
            return Ok(());
        }
        claim.clock = end;
        let mut held = Elements::of(block)?;
        let mut held_clock = block.id.clock;
        while clock < end {
            let Some(said) = claim.read(self.blocks, clock)? else { break };
            let (elements, said_clock) = said;
            let part_end = elements.block().end().min(end);
            if has_content(block) && has_content(elements.block()) {
                held.skip(clock.saturating_sub(held_clock))?;
                let said = elements.block();
                if block.kind != said.kind || !is_same_place(block, said, clock) {
                    return Err(self.contradiction(Id { clock, ..block.id }));
                }
                while clock < part_end {
                    if !is_same_content(block.kind, held.take()?, elements.take()?) {
                        return Err(self.contradiction(Id { clock, ..block.id }));
                    }
                    clock = clock.saturating_add(1);
                }
                (held_clock, *said_clock) = (part_end, part_end);
            }
            clock = part_end;
        }
        if claim.clock == claim.end {
            claim.reading = None;
            self.open = self.open.saturating_sub(1);
        }
        Ok(())
    }

    /// Ends the walk; the error is only the way out of it.
    fn contradiction(&mut self, id: Id) -> Error {
        self.outcome = Some(Outcome::Contradiction(id));
        Error::new(Code::UpdateMalformed, "")
    }
}

impl<'e> Visit<'e> for Comparison<'_, '_> {
    fn section(&mut self, section: &Section<'e>) -> Result<(), Error> {
        self.at = self.claim_on(section.client);
        Ok(())
    }

    fn block(&mut self, block: &Block<'e>) -> Result<(), Error> {
        let Some(at) = self.at else { return Ok(()) };
        self.compare(at, block)?;
        if self.open > 0 {
            return Ok(());
        }
        self.outcome = Some(Outcome::Done);
        Err(Error::new(Code::UpdateMalformed, ""))
    }
}

impl<'a> Claim<'a> {
    /// The struct that holds the element at a clock, read up to it. Clocks are asked for in order.
    fn read(
        &mut self,
        blocks: &[(u64, &'a [u8])],
        clock: u64,
    ) -> Result<Option<&mut (Box<Elements<'a>>, u64)>, Error> {
        while self.reading.as_ref().is_none_or(|(read, _)| read.block().end() <= clock) {
            let next = blocks.get(self.first).filter(|_| self.first < self.behind);
            let Some((start, bytes)) = next else { return Ok(None) };
            let block = read_block(bytes, Id { client: self.client, clock: *start })?;
            self.first = self.first.saturating_add(1);
            self.reading = Some((Box::new(Elements::of(&block)?), *start));
        }
        if let Some((elements, read)) = &mut self.reading {
            elements.skip(clock.saturating_sub(*read))?;
            *read = clock;
        }
        Ok(self.reading.as_mut())
    }
}

const fn has_content(block: &Block<'_>) -> bool {
    !matches!(block.kind, Kind::Gc | Kind::Deleted)
}

/// Whether an element has the same origins and parent in both structs.
fn is_same_place(a: &Block<'_>, b: &Block<'_>, clock: u64) -> bool {
    let origin = |block: &Block<'_>| match clock.checked_sub(1) {
        Some(last) if clock > block.id.clock => Some(Id { clock: last, ..block.id }),
        _ => block.origin,
    };
    let has_parent = |block: &Block<'_>| {
        clock == block.id.clock && block.info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0
    };
    let is_same_parent = match (has_parent(a), has_parent(b)) {
        (true, true) => a.places() == b.places(),
        (false, false) => true,
        _ => false,
    };
    is_same_parent && origin(a) == origin(b) && a.right_origin == b.right_origin
}

/// Compares the content of one element, of structs of this kind.
fn is_same_content(kind: Kind, a: Content<'_>, b: Content<'_>) -> bool {
    match (a, b) {
        (Content::Unit(a), Content::Unit(b)) => {
            // Halves of a character that was cut are written as U+FFFD from then on.
            let is_half = |unit: u16| unit == HALF || (0xd800..0xe000).contains(&unit);
            a == b || (is_half(a) && is_half(b) && (a == HALF || b == HALF))
        }
        (Content::Value(a), Content::Value(b)) => value::is_same(a, b),
        (Content::Whole(a), Content::Whole(b)) => a == b || is_same_whole(kind, a, b),
        _ => false,
    }
}

/// Whether contents mean the same though their bytes differ.
fn is_same_whole(kind: Kind, a: &[u8], b: &[u8]) -> bool {
    let (mut a, mut b) = (Reader::new(a), Reader::new(b));
    match kind {
        Kind::Embed => is_same_json(&mut a, &mut b),
        Kind::Format => a.string() == b.string() && is_same_json(&mut a, &mut b),
        // The options of a subdocument are those of whoever wrote it last.
        Kind::Document => a.string() == b.string(),
        _ => false,
    }
}

fn is_same_json(a: &mut Reader<'_>, b: &mut Reader<'_>) -> bool {
    let json = |reader: &mut Reader<'_>| {
        reader.string().ok().and_then(|text| serde_json::from_str(text).ok())
    };
    match (json(a), json(b)) {
        (Some(a), Some(b)) => same_json(&a, &b),
        _ => false,
    }
}

/// As JavaScript compares them: all numbers are floats.
fn same_json(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let bits = |number: &serde_json::Number| number.as_f64().map(|n| (n + 0.0).to_bits());
            bits(a) == bits(b)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(key, a): (&String, _)| b.get(key).is_some_and(|b| same_json(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        _ => a == b,
    }
}
