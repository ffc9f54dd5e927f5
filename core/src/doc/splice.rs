//! Merging and cutting updates as bytes, without a document.
//!
//! A struct of a v1 update means the same wherever it stands, so merging is: for every client the
//! structs one after the other, without those that are there already. It takes linear time and
//! works on updates that passed the guard, in the order of a log: in each of them, a client's structs
//! begin at or before the end of those in the earlier ones.

use std::collections::BTreeMap;

use super::deletions::{Behind, Collected, Deletions};
use super::known::Known;
use super::run::Run;
use super::snapshot::Snapshot;
use super::walk::{Block, HAS_PARENT_KEY, Id, Kind, Section, Visit, read_block, walk};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::wire::primitive::{write_string, write_var};

/// One update that brings what all of them bring, in this order.
///
/// # Errors
/// `update.malformed` for bytes that are no update, `update.missing_dependencies` when the structs
/// of a client leave a hole.
pub fn merge<B: AsRef<[u8]>>(updates: &[B]) -> Result<Vec<u8>, Error> {
    let mut splice = Splice::new(None);
    for update in updates {
        walk(update.as_ref(), usize::MAX, &mut splice)?;
    }
    Ok(splice.finish())
}

/// As [`merge`], without the content that these updates delete, as Yjs drops it: a log of typing and
/// deleting becomes as small as the document. What is left of a deleted struct keeps its place, so
/// the result can stand for the updates everywhere, before and behind any others. Shared types are
/// kept: somebody may still write into them.
///
/// # Errors
/// As [`merge`].
pub fn squeeze<B: AsRef<[u8]>>(updates: &[B]) -> Result<Vec<u8>, Error> {
    let deletions = Deletions::of_all(updates)?;
    let mut splice = Splice::new(None);
    splice.squeezed = Some(&deletions);
    for update in updates {
        walk(update.as_ref(), usize::MAX, &mut splice)?;
    }
    Ok(splice.finish())
}

/// What of an update somebody lacks who has `known`; deletions are kept whole.
///
/// # Errors
/// `update.malformed` for bytes that are no update.
pub fn difference(update: &[u8], known: &Known) -> Result<Vec<u8>, Error> {
    let mut splice = Splice::new(Some(known));
    walk(update, usize::MAX, &mut splice)?;
    Ok(splice.finish())
}

/// What somebody has who had nothing before an update. Structs behind a hole do not count.
///
/// # Errors
/// `update.malformed` for bytes that are no update.
pub fn state_vector(update: &[u8]) -> Result<Known, Error> {
    let mut reach = Reach { known: Known::new(), is_counting: false };
    walk(update, usize::MAX, &mut reach)?;
    Ok(reach.known)
}

/// Another form of a struct: the same ids, with other content.
pub(super) type Replace<'r> = &'r dyn Fn(&Block<'_>) -> Option<Vec<u8>>;

/// An update with other forms of some of its structs.
///
/// # Errors
/// `update.malformed` for bytes that are no update.
pub(super) fn replace(update: &[u8], replace: Replace<'_>) -> Result<Vec<u8>, Error> {
    let mut splice = Splice::new(None);
    splice.replace = Some(replace);
    walk(update, usize::MAX, &mut splice)?;
    Ok(splice.finish())
}

/// What a document was at a snapshot.
///
/// # Errors
/// `update.malformed` for bytes that are no update.
pub(super) fn past(state: &[u8], snapshot: &Snapshot) -> Result<Vec<u8>, Error> {
    let mut splice = Splice::new(None);
    splice.ceiling = Some(&snapshot.known);
    splice.squeezed = Some(&snapshot.deletions);
    walk(state, usize::MAX, &mut splice)?;
    Ok(splice.finish())
}

struct Reach {
    known: Known,
    /// The section began with the client's first struct.
    is_counting: bool,
}

impl<'a> Visit<'a> for Reach {
    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        self.is_counting = section.clock == 0;
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        if self.is_counting {
            self.known.reach(block.id.client, block.end());
        }
        Ok(())
    }
}

struct Splice<'k> {
    /// Structs below are dropped.
    floor: Option<&'k Known>,
    /// So are those from here on.
    ceiling: Option<&'k Known>,
    replace: Option<Replace<'k>>,
    /// What is deleted, when content is to be dropped for it.
    squeezed: Option<&'k Deletions>,
    /// Those of the section that is being walked.
    ranges: Behind<'k>,
    scratch: Vec<u8>,
    /// Where in `structs` those of a client are.
    places: BTreeMap<ClientId, u64>,
    structs: Vec<Structs>,
    /// Where in `structs` the client is whose section is being walked.
    current: usize,
    deleted: Collected,
}

/// The structs of one client, as bytes.
struct Structs {
    start: u64,
    next: u64,
    blocks: u64,
    bytes: Vec<u8>,
    /// The last struct when more may be joined to it; its content is not in `bytes` yet.
    open: Option<Open>,
}

/// A struct that more of its kind can be joined to: a keystroke after a keystroke.
struct Open {
    right_origin: Option<Id>,
    has_key: bool,
    content: OpenContent,
}

enum OpenContent {
    Gc(u64),
    Deleted(u64),
    Text(String),
    Values(u64, Vec<u8>),
}

impl<'k> Splice<'k> {
    fn new(floor: Option<&'k Known>) -> Self {
        Self {
            floor,
            ceiling: None,
            replace: None,
            squeezed: None,
            ranges: Behind::default(),
            scratch: Vec::new(),
            places: BTreeMap::new(),
            structs: Vec::new(),
            current: 0,
            deleted: Collected::default(),
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.structs.iter_mut().for_each(Structs::close);
        let bytes: usize = self.structs.iter().map(|structs| structs.bytes.len() + 16).sum();
        let mut out = Vec::with_capacity(bytes + 16);
        write_count(&mut out, self.structs.iter().filter(|structs| structs.blocks > 0).count());
        for (client, place) in self.places.iter().rev() {
            let structs = usize::try_from(*place).ok().and_then(|at| self.structs.get(at));
            let Some(structs) = structs.filter(|structs| structs.blocks > 0) else { continue };
            write_var(&mut out, structs.blocks);
            write_var(&mut out, client.get());
            write_var(&mut out, structs.start);
            out.extend_from_slice(&structs.bytes);
        }
        let united = self.deleted.united();
        self.squeezed.unwrap_or(&united).write(&mut out);
        out
    }
}

impl<'a> Visit<'a> for Splice<'_> {
    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        let Section { client, clock, .. } = *section;
        let next = self.structs.len();
        let place = *self.places.entry(client).or_insert(next as u64);
        self.current = usize::try_from(place).unwrap_or(usize::MAX);
        if self.current == next {
            let floor = self.floor.map_or(0, |known| known.next(client));
            self.structs.push(Structs::new(floor.max(clock)));
        }
        self.ranges = self.squeezed.map_or_else(Behind::default, |all| all.behind(client, clock));
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let end = self.ceiling.map_or(u64::MAX, |known| known.next(block.id.client));
        if block.id.clock >= end {
            return Ok(());
        }
        if block.end() > end {
            let mut bytes = Vec::new();
            Run::new(block)?.write(end.saturating_sub(block.id.clock), &mut bytes)?;
            return self.block_within(&read_block(&bytes, block.id)?);
        }
        self.block_within(block)
    }

    fn structs_end(&mut self) -> Result<(), Error> {
        self.current = usize::MAX;
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        // To squeeze, they were collected before.
        if self.squeezed.is_none() {
            self.deleted.add(client, start, end);
        }
        Ok(())
    }
}

impl Splice<'_> {
    /// A struct that is wanted whole.
    fn block_within(&mut self, block: &Block<'_>) -> Result<(), Error> {
        let Some(structs) = self.structs.get_mut(self.current) else { return Ok(()) };
        if let Some(bytes) = self.replace.and_then(|replace| replace(block)) {
            return structs.add(&read_block(&bytes, block.id)?);
        }
        if block.end() > structs.next && block.has_droppable_content() {
            let ranges = self.ranges.within(block.id.clock, block.end());
            return structs.add_squeezed(block, ranges, &mut self.scratch);
        }
        structs.add(block)
    }
}

impl Structs {
    const fn new(start: u64) -> Self {
        Self { start, next: start, blocks: 0, bytes: Vec::new(), open: None }
    }

    fn add(&mut self, block: &Block<'_>) -> Result<(), Error> {
        if block.end() <= self.next {
            return Ok(());
        }
        let Some(offset) = self.next.checked_sub(block.id.clock) else {
            return Err(hole(block.id.client, self.next));
        };
        if offset > 0 {
            let mut run = Run::new(block)?;
            let mut bytes = Vec::new();
            run.skip(offset)?;
            run.write(run.left(), &mut bytes)?;
            return self.add(&read_block(&bytes, Id { clock: self.next, ..block.id })?);
        }
        self.next = block.end();
        if self.join(block)? {
            return Ok(());
        }
        self.close();
        self.blocks += 1;
        self.append(block)
    }

    /// Adds a struct without the content of its deleted elements. A character of two units of which
    /// one is deleted is kept: it takes both halves to say what it was.
    fn add_squeezed(
        &mut self,
        block: &Block<'_>,
        ranges: &[(u64, u64)],
        scratch: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if ranges.is_empty() {
            return self.add(block);
        }
        let mut run = Run::new(block)?;
        for (start, end) in ranges {
            let kept = run.whole_characters(start.saturating_sub(run.clock()));
            if kept > 0 {
                self.add_part(block, &mut run, kept, scratch, Run::write)?;
            }
            let gone = run.complete_characters((*end).min(run.end()).saturating_sub(run.clock()));
            if gone > 0 {
                self.add_part(block, &mut run, gone, scratch, Run::write_deleted)?;
            }
        }
        match run.left() {
            0 => Ok(()),
            left => self.add_part(block, &mut run, left, scratch, Run::write),
        }
    }

    /// Adds the next elements of a struct, in the way in which `write` writes them.
    fn add_part<'a>(
        &mut self,
        block: &Block<'a>,
        run: &mut Run<'a>,
        len: u64,
        scratch: &mut Vec<u8>,
        write: impl Fn(&mut Run<'a>, u64, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let id = Id { clock: run.clock(), ..block.id };
        scratch.clear();
        write(run, len, scratch)?;
        self.add(&read_block(scratch, id)?)
    }

    /// Adds a struct to the open one when that is the same as having both: an item of length two
    /// is by definition the pair of items that it splits into, the second one with the first one
    /// as its origin.
    fn join(&mut self, block: &Block<'_>) -> Result<bool, Error> {
        let Some(open) = &mut self.open else { return Ok(false) };
        if let OpenContent::Gc(len) = &mut open.content {
            let is_gc = block.kind == Kind::Gc;
            *len += if is_gc { block.len } else { 0 };
            return Ok(is_gc);
        }
        let last = block.id.clock.checked_sub(1).map(|clock| Id { clock, ..block.id });
        let has_key = block.info & HAS_PARENT_KEY != 0;
        if block.origin != last
            || block.right_origin != open.right_origin
            || has_key != open.has_key
        {
            return Ok(false);
        }
        match (&mut open.content, block.kind) {
            (OpenContent::Text(text), Kind::Text) => text.push_str(block.text()?),
            (OpenContent::Deleted(len), Kind::Deleted) => *len += block.len,
            (OpenContent::Values(len, values), Kind::Values) => {
                *len += block.len;
                values.extend_from_slice(block.values()?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn append(&mut self, block: &Block<'_>) -> Result<(), Error> {
        let has_key = block.info & HAS_PARENT_KEY != 0;
        let content = match block.kind {
            Kind::Gc => OpenContent::Gc(block.len),
            Kind::Deleted => OpenContent::Deleted(block.len),
            // The entries of a map are one after the other too, but only the last one counts.
            _ if has_key => {
                self.bytes.extend_from_slice(block.bytes);
                return Ok(());
            }
            Kind::Text => OpenContent::Text(block.text()?.to_owned()),
            Kind::Values => OpenContent::Values(block.len, block.values()?.to_vec()),
            _ => {
                self.bytes.extend_from_slice(block.bytes);
                return Ok(());
            }
        };
        let head = block.bytes.strip_suffix(block.content).unwrap_or(block.bytes);
        self.bytes.extend_from_slice(head);
        self.open = Some(Open { right_origin: block.right_origin, has_key, content });
        Ok(())
    }

    /// Writes the content of the open struct.
    fn close(&mut self) {
        match self.open.take().map(|open| open.content) {
            None => {}
            Some(OpenContent::Gc(len) | OpenContent::Deleted(len)) => {
                write_var(&mut self.bytes, len);
            }
            Some(OpenContent::Text(text)) => write_string(&mut self.bytes, &text),
            Some(OpenContent::Values(len, values)) => {
                write_var(&mut self.bytes, len);
                self.bytes.extend_from_slice(&values);
            }
        }
    }
}

pub(super) fn write_count(out: &mut Vec<u8>, count: usize) {
    write_var(out, u64::try_from(count).unwrap_or(u64::MAX));
}

#[cold]
pub(super) fn hole(client: ClientId, next: u64) -> Error {
    let text = format!(
        "the updates leave a hole: what client {} wrote at clock {next} is in none of them",
        client.get()
    );
    Error::new(Code::UpdateMissingDependencies, text)
}
