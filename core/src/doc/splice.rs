//! Merging and cutting updates as bytes, without a document.
//!
//! A struct of a v1 update means the same wherever it stands, so merging is: for every client the
//! structs one after the other, without those that are there already. It takes linear time and
//! works on updates that passed the guard, in the order of a log: in each of them, a client's structs
//! begin at or before the end of those in the earlier ones.

use std::collections::BTreeMap;

use super::known::Known;
use super::walk::{
    Block, HAS_ORIGIN, HAS_PARENT_KEY, Id, Kind, Visit, read_block, skip_value, walk,
};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::wire::primitive::{Reader, write_string, write_var};

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

struct Reach {
    known: Known,
    /// The section began with the client's first struct.
    is_counting: bool,
}

impl<'a> Visit<'a> for Reach {
    fn section(&mut self, _client: ClientId, clock: u64, _blocks: u64) -> Result<(), Error> {
        self.is_counting = clock == 0;
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
    replace: Option<Replace<'k>>,
    structs: BTreeMap<ClientId, Structs>,
    /// The client whose section is being walked, taken out of `structs`.
    current: Option<(ClientId, Structs)>,
    deleted: BTreeMap<ClientId, Vec<(u64, u64)>>,
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
    content: OpenContent,
}

enum OpenContent {
    Gc(u64),
    Deleted(u64),
    Text(String),
}

impl<'k> Splice<'k> {
    const fn new(floor: Option<&'k Known>) -> Self {
        Self {
            floor,
            replace: None,
            structs: BTreeMap::new(),
            current: None,
            deleted: BTreeMap::new(),
        }
    }

    fn put_back(&mut self) {
        if let Some((client, structs)) = self.current.take() {
            self.structs.insert(client, structs);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.put_back();
        for structs in self.structs.values_mut() {
            structs.close();
        }
        self.structs.retain(|_, structs| structs.blocks > 0);
        let bytes: usize = self.structs.values().map(|structs| structs.bytes.len() + 16).sum();
        let mut out = Vec::with_capacity(bytes + 16);
        write_count(&mut out, self.structs.len());
        for (client, structs) in self.structs.iter().rev() {
            write_var(&mut out, structs.blocks);
            write_var(&mut out, client.get());
            write_var(&mut out, structs.start);
            out.extend_from_slice(&structs.bytes);
        }
        write_count(&mut out, self.deleted.len());
        for (client, ranges) in self.deleted.iter_mut().rev() {
            unite(ranges);
            write_var(&mut out, client.get());
            write_count(&mut out, ranges.len());
            for (start, end) in ranges {
                write_var(&mut out, *start);
                write_var(&mut out, *end - *start);
            }
        }
        out
    }
}

impl<'a> Visit<'a> for Splice<'_> {
    fn section(&mut self, client: ClientId, clock: u64, _blocks: u64) -> Result<(), Error> {
        self.put_back();
        let structs = self.structs.remove(&client).unwrap_or_else(|| {
            let floor = self.floor.map_or(0, |known| known.next(client));
            Structs::new(floor.max(clock))
        });
        self.current = Some((client, structs));
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let Some((_, structs)) = &mut self.current else { return Ok(()) };
        match self.replace.and_then(|replace| replace(block)) {
            Some(bytes) => structs.add(&read_block(&bytes, block.id)?),
            None => structs.add(block),
        }
    }

    fn structs_end(&mut self) -> Result<(), Error> {
        self.put_back();
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        self.deleted.entry(client).or_default().push((start, end));
        Ok(())
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
            let mut bytes = Vec::new();
            cut(block, offset, &mut bytes)?;
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
        if block.origin != last
            || block.right_origin != open.right_origin
            || block.info & HAS_PARENT_KEY != 0
        {
            return Ok(false);
        }
        match (&mut open.content, block.kind) {
            (OpenContent::Text(text), Kind::Text) => text.push_str(block.text()?),
            (OpenContent::Deleted(len), Kind::Deleted) => *len += block.len,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn append(&mut self, block: &Block<'_>) -> Result<(), Error> {
        let content = match block.kind {
            Kind::Gc => OpenContent::Gc(block.len),
            // The entries of a map are one after the other too, but only the last one counts.
            _ if block.info & HAS_PARENT_KEY != 0 => {
                self.bytes.extend_from_slice(block.bytes);
                return Ok(());
            }
            Kind::Deleted => OpenContent::Deleted(block.len),
            Kind::Text => OpenContent::Text(block.text()?.to_owned()),
            _ => {
                self.bytes.extend_from_slice(block.bytes);
                return Ok(());
            }
        };
        let head = block.bytes.strip_suffix(block.content).unwrap_or(block.bytes);
        self.bytes.extend_from_slice(head);
        self.open = Some(Open { right_origin: block.right_origin, content });
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
        }
    }
}

/// Writes a struct without its first elements, as Yjs does: the element before is its origin.
fn cut(block: &Block<'_>, offset: u64, out: &mut Vec<u8>) -> Result<(), Error> {
    let len = block.len.saturating_sub(offset);
    if block.kind == Kind::Gc {
        out.push(block.info);
        write_var(out, len);
        return Ok(());
    }
    out.push(block.info | HAS_ORIGIN);
    write_var(out, block.id.client.get());
    write_var(out, block.id.clock.saturating_add(offset).saturating_sub(1));
    if let Some(right) = block.right_origin {
        write_var(out, right.client.get());
        write_var(out, right.clock);
    }
    match block.kind {
        Kind::Text => cut_text(block.text()?, offset, out),
        Kind::Values => {
            let mut reader = Reader::new(block.content);
            let skipped = reader.var().and_then(|_| {
                (0..offset).try_for_each(|_| skip_value(&mut reader))?;
                reader.take(u64::try_from(reader.left()).unwrap_or(u64::MAX))
            });
            write_var(out, len);
            out.extend_from_slice(skipped.map_err(|_already_walked| block.unreadable())?);
        }
        // Everything else has length one and can't be cut.
        _ => write_var(out, len),
    }
    Ok(())
}

/// Writes text without its first UTF-16 units. Half a surrogate pair becomes U+FFFD, as in Yjs.
fn cut_text(text: &str, offset: u64, out: &mut Vec<u8>) {
    let mut left = offset;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return write_string(out, text.get(at..).unwrap_or_default());
        }
        if left == 1 && character.len_utf16() == 2 {
            let behind = at.saturating_add(character.len_utf8());
            let rest = text.get(behind..).unwrap_or_default();
            return write_string(out, &format!("\u{fffd}{rest}"));
        }
        left = left.saturating_sub(if character.len_utf16() == 2 { 2 } else { 1 });
    }
    write_string(out, "");
}

/// Sorts ranges, and makes one of those that touch or overlap.
fn unite(ranges: &mut Vec<(u64, u64)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let touches = next.0 <= last.1;
        if touches {
            last.1 = last.1.max(next.1);
        }
        touches
    });
}

fn write_count(out: &mut Vec<u8>, count: usize) {
    write_var(out, u64::try_from(count).unwrap_or(u64::MAX));
}

#[cold]
fn hole(client: ClientId, next: u64) -> Error {
    let text = format!(
        "the updates leave a hole: what client {} wrote at clock {next} is in none of them",
        client.get()
    );
    Error::new(Code::UpdateMissingDependencies, text)
}
