//! One pass over the bytes of a Yjs v1 update: checks the grammar, builds nothing, and tells a
//! visitor what it meets.
//!
//! The walk never recurses over input and never allocates by a declared count. Both hold for
//! hostile bytes; whoever visits may rely on every value being inside its range.

use super::json::is_json;
use super::value;
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::wire::primitive::{ReadError, Reader, len_u64};

/// No struct may end beyond this clock: yrs counts in 32 bits and takes differences with a sign.
pub(super) const CLOCK_MAX: u64 = 1 << 31;

/// The bits of a struct's first byte.
pub(super) const HAS_ORIGIN: u8 = 0x80;
pub(super) const HAS_RIGHT_ORIGIN: u8 = 0x40;
pub(super) const HAS_PARENT_KEY: u8 = 0x20;
pub(super) const CONTENT: u8 = 0x1f;
/// The content of a struct that lost it.
pub(super) const DELETED: u8 = 1;

/// A client's section is at least its three numbers and one struct of two bytes.
const SECTION_BYTES_MIN: u64 = 5;
const BLOCK_BYTES_MIN: u64 = 2;
/// Client, count, and one range of two numbers.
const DELETIONS_BYTES_MIN: u64 = 4;
const RANGE_BYTES_MIN: u64 = 2;

/// The name of one element of a client's sequence of structs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) client: ClientId,
    pub(super) clock: u64,
}

impl Id {
    /// What ids are sorted by.
    pub(super) const fn numbers(&self) -> (u64, u64) {
        (self.client.get(), self.clock)
    }
}

/// What a struct holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing any more, not even a place.
    Gc,
    /// Nothing any more.
    Deleted,
    Binary,
    Text,
    Embed,
    Format,
    Type,
    Values,
    Document,
}

/// One struct.
#[derive(Clone, Debug)]
pub(super) struct Block<'a> {
    pub(super) id: Id,
    /// How many elements: one for most kinds, UTF-16 units for text.
    pub(super) len: u64,
    pub(super) kind: Kind,
    pub(super) info: u8,
    pub(super) origin: Option<Id>,
    pub(super) right_origin: Option<Id>,
    /// The parent when it is written down and no root.
    pub(super) parent: Option<Id>,
    /// Text that holds a character outside the basic plane.
    pub(super) has_astral: bool,
    /// All bytes of the struct.
    pub(super) bytes: &'a [u8],
    /// The bytes behind the places it refers to.
    pub(super) content: &'a [u8],
}

impl<'a> Block<'a> {
    const fn at(id: Id) -> Self {
        Self {
            id,
            len: 1,
            kind: Kind::Gc,
            info: 0,
            origin: None,
            right_origin: None,
            parent: None,
            has_astral: false,
            bytes: &[],
            content: &[],
        }
    }

    pub(super) const fn end(&self) -> u64 {
        self.id.clock.saturating_add(self.len)
    }

    /// The bytes that say where it stands, between its first byte and its content.
    pub(super) fn places(&self) -> &'a [u8] {
        let end = self.bytes.len().saturating_sub(self.content.len());
        self.bytes.get(1..end).unwrap_or_default()
    }

    /// The text of a struct that holds text.
    pub(super) fn text(&self) -> Result<&'a str, Error> {
        Reader::new(self.content).string().map_err(|_already_walked| self.unreadable())
    }

    /// The values of a struct that holds values, one after the other.
    pub(super) fn values(&self) -> Result<&'a [u8], Error> {
        let mut reader = Reader::new(self.content);
        reader.var().map_err(|_already_walked| self.unreadable())?;
        Ok(self.content.get(reader.position()..).unwrap_or_default())
    }

    /// Whether it holds what nobody needs when it is deleted. A shared type may still be the parent
    /// of what others write.
    pub(super) const fn has_droppable_content(&self) -> bool {
        !matches!(self.kind, Kind::Gc | Kind::Deleted | Kind::Type)
    }

    #[cold]
    pub(super) fn unreadable(&self) -> Error {
        let (client, clock) = (self.id.client.get(), self.id.clock);
        let text =
            format!("the content of the struct of client {client} at clock {clock} is cut off");
        Error::new(Code::UpdateMalformed, text)
    }
}

/// The structs of one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    pub(super) client: ClientId,
    /// The clock of the first one.
    pub(super) clock: u64,
    /// How many there are.
    pub(super) blocks: u64,
    /// The bytes from the first one on, to the end of the update.
    pub(super) bytes: &'a [u8],
}

/// Meets the parts of an update in the order of its bytes.
pub(super) trait Visit<'a> {
    /// So many clients follow, with structs or with deletions.
    fn clients(&mut self, _count: u64) {}

    /// The structs of a client begin.
    fn section(&mut self, _section: &Section<'a>) -> Result<(), Error> {
        Ok(())
    }

    /// A struct; its clock is the end of the one before it.
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error>;

    /// All structs were met.
    fn structs_end(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The deletions of a client begin: so many ranges, at the beginning of these bytes.
    fn deletions(
        &mut self,
        _client: ClientId,
        _ranges: u64,
        _bytes: &'a [u8],
    ) -> Result<(), Error> {
        Ok(())
    }

    /// A deleted range; not empty, and behind the one before it.
    fn deleted(&mut self, _client: ClientId, _start: u64, _end: u64) -> Result<(), Error> {
        Ok(())
    }
}

/// Walks over an update. The code is there once for all visitors: it would be a large part of what a
/// browser has to load.
///
/// # Errors
/// `update.malformed` for bytes that are no update, or what the visitor answers.
pub(super) fn walk<'a>(
    update: &'a [u8],
    depth_max: usize,
    visitor: &mut dyn Visit<'a>,
) -> Result<(), Error> {
    walk_fast(update, depth_max, visitor)
}

/// As [`walk`], compiled for one visitor: for the guard, which every keystroke has to pass.
///
/// # Errors
/// As [`walk`].
pub(super) fn walk_fast<'a, V>(
    update: &'a [u8],
    depth_max: usize,
    visitor: &mut V,
) -> Result<(), Error>
where
    V: Visit<'a> + ?Sized,
{
    let mut walker = Walker { reader: Reader::new(update), update, depth_max };
    walker.update(visitor).map_err(|stop| walker.error(stop))
}

/// Why a walk ends early.
enum Stop {
    /// The bytes are wrong.
    Flaw(&'static str),
    /// The visitor says so.
    Visitor(Box<Error>),
}

impl From<ReadError> for Stop {
    #[cold]
    fn from(error: ReadError) -> Self {
        Self::Flaw(match error {
            ReadError::End => "they end too early",
            ReadError::Varint => "a number is not in its shortest form, or above 2^53 - 1",
            ReadError::Utf8 => "a text is not UTF-8",
            ReadError::Trailing => "something follows the update",
            _ => "a value of an unknown kind, or nested too deeply",
        })
    }
}

impl From<Error> for Stop {
    #[cold]
    fn from(error: Error) -> Self {
        Self::Visitor(Box::new(error))
    }
}

/// Reads the bytes of one struct.
///
/// # Errors
/// `update.malformed` when they are none.
pub(super) fn read_block(bytes: &[u8], id: Id) -> Result<Block<'_>, Error> {
    let mut walker = Walker { reader: Reader::new(bytes), update: bytes, depth_max: usize::MAX };
    let mut block = Block::at(id);
    match walker.block(&mut block) {
        Ok(()) => Ok(block),
        Err(stop) => Err(walker.error(stop)),
    }
}

/// Reads again a struct that a walk has met, whose bytes and length are known: only its places.
///
/// # Errors
/// `update.malformed` when it is none.
pub(super) fn read_again(bytes: &[u8], id: Id, len: u64) -> Result<Block<'_>, Error> {
    let mut walker = Walker { reader: Reader::new(bytes), update: bytes, depth_max: usize::MAX };
    let mut block = Block { len, ..Block::at(id) };
    match walker.head(&mut block) {
        Ok(start) => {
            block.kind = kind(block.info);
            // It may, and who looks for one finds out.
            block.has_astral = block.kind == Kind::Text;
            block.bytes = bytes;
            block.content = bytes.get(start..).unwrap_or_default();
            Ok(block)
        }
        Err(stop) => Err(walker.error(stop)),
    }
}

/// What a struct with this first byte holds, of those that a walk lets pass.
const fn kind(info: u8) -> Kind {
    match info & CONTENT {
        0 => Kind::Gc,
        DELETED => Kind::Deleted,
        3 => Kind::Binary,
        4 => Kind::Text,
        5 => Kind::Embed,
        6 => Kind::Format,
        7 => Kind::Type,
        8 => Kind::Values,
        _ => Kind::Document,
    }
}

struct Walker<'a> {
    reader: Reader<'a>,
    update: &'a [u8],
    depth_max: usize,
}

impl<'a> Walker<'a> {
    fn update<V: Visit<'a> + ?Sized>(&mut self, visitor: &mut V) -> Result<(), Stop> {
        self.structs(visitor)?;
        visitor.structs_end()?;
        self.delete_set(visitor)?;
        Ok(self.reader.clone().finish()?)
    }

    fn structs<V: Visit<'a> + ?Sized>(&mut self, visitor: &mut V) -> Result<(), Stop> {
        let sections = self.count(SECTION_BYTES_MIN)?;
        visitor.clients(sections);
        for _ in 0..sections {
            let blocks = self.count(BLOCK_BYTES_MIN)?;
            let client = self.client()?;
            let mut clock = self.reader.var()?;
            if blocks == 0 {
                return Err(Stop::Flaw("a client has no structs"));
            }
            visitor.section(&Section { client, clock, blocks, bytes: self.rest() })?;
            for _ in 0..blocks {
                let mut block = Block::at(Id { client, clock });
                self.block(&mut block)?;
                clock = block.end();
                if clock > CLOCK_MAX {
                    return Err(Stop::Flaw("a clock is above 2^31"));
                }
                visitor.block(&block)?;
            }
        }
        Ok(())
    }

    fn delete_set<V: Visit<'a> + ?Sized>(&mut self, visitor: &mut V) -> Result<(), Stop> {
        let clients = self.count(DELETIONS_BYTES_MIN)?;
        visitor.clients(clients);
        for _ in 0..clients {
            let client = self.client()?;
            let ranges = self.count(RANGE_BYTES_MIN)?;
            if ranges == 0 {
                return Err(Stop::Flaw("a client has no deleted ranges"));
            }
            visitor.deletions(client, ranges, self.rest())?;
            let mut last = 0;
            for _ in 0..ranges {
                let start = self.reader.var()?;
                let len = self.reader.var()?;
                let end = start.saturating_add(len);
                if len == 0 {
                    return Err(Stop::Flaw("a deleted range is empty"));
                }
                if start < last {
                    return Err(Stop::Flaw("deleted ranges are out of order"));
                }
                if end > CLOCK_MAX {
                    return Err(Stop::Flaw("a clock is above 2^31"));
                }
                last = end;
                visitor.deleted(client, start, end)?;
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'a [u8] {
        self.update.get(self.reader.position()..).unwrap_or_default()
    }

    #[inline]
    fn block(&mut self, block: &mut Block<'a>) -> Result<(), Stop> {
        let start = self.reader.position();
        let content = self.head(block)?;
        self.content(block)?;
        if block.len == 0 {
            return Err(Stop::Flaw("a struct has length zero"));
        }
        let end = self.reader.position();
        block.bytes = self.update.get(start..end).unwrap_or_default();
        block.content = self.update.get(content..end).unwrap_or_default();
        Ok(())
    }

    /// Reads what stands before the content, and tells where that begins.
    #[inline]
    fn head(&mut self, block: &mut Block<'a>) -> Result<usize, Stop> {
        let info = self.reader.u8()?;
        block.info = info;
        match info & CONTENT {
            0 if info == 0 => {}
            0 => return Err(Stop::Flaw("a struct is of an unknown kind")),
            // They have no places to read.
            10 => return Err(Stop::Flaw("structs are left out (Skip)")),
            _ => self.places(block)?,
        }
        Ok(self.reader.position())
    }

    #[inline]
    fn places(&mut self, block: &mut Block<'a>) -> Result<(), Stop> {
        if block.info & HAS_ORIGIN != 0 {
            block.origin = Some(self.id()?);
        }
        if block.info & HAS_RIGHT_ORIGIN != 0 {
            block.right_origin = Some(self.id()?);
            if block.right_origin == block.origin {
                return Err(Stop::Flaw("a struct has the same neighbor on both sides"));
            }
        }
        if block.info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0 {
            match self.reader.var()? {
                1 => drop(self.reader.string()?),
                0 => block.parent = Some(self.id()?),
                _ => return Err(Stop::Flaw("a parent is of an unknown kind")),
            }
            if block.info & HAS_PARENT_KEY != 0 {
                self.reader.string()?;
            }
        }
        Ok(())
    }

    fn content(&mut self, block: &mut Block<'a>) -> Result<(), Stop> {
        block.kind = match block.info & CONTENT {
            0 => {
                block.len = self.reader.var()?;
                Kind::Gc
            }
            1 => {
                block.len = self.reader.var()?;
                Kind::Deleted
            }
            2 => return Err(Stop::Flaw("content is in the JSON form of old versions of Yjs")),
            3 => {
                self.reader.bytes()?;
                Kind::Binary
            }
            4 => {
                let text = self.reader.string()?;
                (block.len, block.has_astral) = utf16_len(text);
                Kind::Text
            }
            5 => {
                self.json()?;
                Kind::Embed
            }
            6 => {
                self.reader.string()?;
                self.json()?;
                Kind::Format
            }
            7 => {
                match self.reader.u8()? {
                    0 | 1 | 2 | 4 | 6 => {}
                    3 => drop(self.reader.string()?),
                    // 5 is Y.XmlHook, which yrs reads differently from Yjs.
                    _ => return Err(Stop::Flaw("a shared type is of an unknown kind")),
                }
                Kind::Type
            }
            8 => {
                block.len = self.count(1)?;
                for _ in 0..block.len {
                    self.value()?;
                }
                Kind::Values
            }
            9 => {
                self.reader.string()?;
                self.value()?;
                Kind::Document
            }
            _ => return Err(Stop::Flaw("content is of an unknown kind")),
        };
        Ok(())
    }

    fn value(&mut self) -> Result<(), Stop> {
        Ok(value::skip(&mut self.reader, self.depth_max)?)
    }

    fn json(&mut self) -> Result<(), Stop> {
        let text = self.reader.string()?;
        if is_json(text, self.depth_max) { Ok(()) } else { Err(Stop::Flaw("JSON cannot be read")) }
    }

    /// A count of entries that each take at least so many bytes.
    #[inline]
    fn count(&mut self, entry_bytes_min: u64) -> Result<u64, Stop> {
        let count = self.reader.var()?;
        let left = u64::try_from(self.reader.left()).unwrap_or(u64::MAX);
        if count > left / entry_bytes_min {
            return Err(Stop::Flaw("a count is larger than the rest of the bytes"));
        }
        Ok(count)
    }

    #[inline]
    fn id(&mut self) -> Result<Id, Stop> {
        Ok(Id { client: self.client()?, clock: self.reader.var()? })
    }

    #[inline]
    fn client(&mut self) -> Result<ClientId, Stop> {
        ClientId::new(self.reader.var()?).ok_or(Stop::Flaw("a client id is above 2^53 - 1"))
    }

    #[cold]
    fn error(&self, stop: Stop) -> Error {
        match stop {
            Stop::Visitor(error) => *error,
            Stop::Flaw(what) => {
                let at = self.reader.position();
                let text =
                    format!("the bytes of the update cannot be read: {what} (up to byte {at})");
                Error::new(Code::UpdateMalformed, text)
            }
        }
    }
}

/// The length of text in UTF-16 units, and whether a character takes two of them.
fn utf16_len(text: &str) -> (u64, bool) {
    // Most text; looked at many bytes at a time.
    if text.is_ascii() {
        return (len_u64(text.as_bytes()), false);
    }
    let mut units = 0u64;
    let mut has_astral = false;
    for byte in text.bytes() {
        units += u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0);
        has_astral |= byte >= 0xf0;
    }
    (units, has_astral)
}
