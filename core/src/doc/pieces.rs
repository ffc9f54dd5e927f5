//! Cutting a large update into updates that can be taken one after the other.
//!
//! A receiver who has `known` can integrate each piece at once: nothing in it waits for a later one.
//! So the pieces follow an order in which everything comes behind what it names. It is found as the
//! guard checks for it: each client's structs are placed until one names what was not placed yet; it
//! sleeps until that is there. Of each struct only its two lengths are kept, and its places are read
//! again.

use super::guard::{malformed, missing};
use super::known::Known;
use super::piece::{CLIENT_BYTES, Part, Piece, RANGE_BYTES};
use super::run::Run;
use super::sleepers::Sleepers;
use super::splice::difference;
use super::walk::{Block, Id, Section, Visit, read_again, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;
use crate::wire::primitive::Reader;

/// Pieces are not made smaller than this.
const BYTES_MIN: usize = 128;

/// Cuts an update that passed the guard into several that each take about `bytes_max` at most, for a
/// receiver who has `known`. Applied in this order they bring what [`difference`] brings; none when
/// that is nothing, and one when it fits. Deletions are always all kept: those of structs that the
/// receiver has come first, the others together with their structs. Text, values and deleted structs
/// are cut when they are too large, and other content is not.
///
/// # Errors
/// `update.malformed` for bytes that are no update, `update.missing_dependencies` when it needs what
/// is neither known nor inside.
pub fn pieces(update: &[u8], known: &Known, bytes_max: usize) -> Result<Vec<Vec<u8>>, Error> {
    if update.len() <= bytes_max {
        let whole = difference(update, known)?;
        return Ok(if whole == [0, 0] { Vec::new() } else { vec![whole] });
    }
    let mut outline = Outline { known, authors: Vec::new(), lengths: Vec::new() };
    walk(update, usize::MAX, &mut outline)?;
    let (authors, lengths) = outline.into_authors()?;
    let mut cutter = Cutter {
        known,
        authors,
        lengths,
        bytes_max: bytes_max.max(BYTES_MIN),
        piece: Piece::default(),
        pieces: Vec::new(),
        sleeping: Sleepers::default(),
    };
    cutter.delete(|author| author.reached);
    cutter.place_all()?;
    // Nothing is left in an update that passed the guard.
    cutter.delete(|_| u64::MAX);
    cutter.close();
    Ok(cutter.pieces)
}

/// Finds where the parts of an update begin.
struct Outline<'a, 'k> {
    known: &'k Known,
    /// Those with structs, and behind them those with deletions.
    authors: Vec<Author<'a>>,
    lengths: Vec<Lengths>,
}

/// The bytes and elements of a struct.
type Lengths = (u32, u32);

/// One client whose structs or deletions are in the update.
struct Author<'a> {
    client: ClientId,
    /// The structs that were not placed yet, and whatever follows them.
    bytes: &'a [u8],
    clock: u64,
    blocks: u64,
    /// Where the lengths of the next one are.
    lengths: usize,
    /// The end of the last one.
    end: u64,
    /// The receiver has everything below.
    reached: u64,
    deleted: Ranges<'a>,
    /// Its part in the piece with the number.
    part: usize,
    piece: usize,
}

impl<'a> Visit<'a> for Outline<'a, '_> {
    fn clients(&mut self, count: u64) {
        // The walk has seen that the bytes are long enough for so many.
        self.authors.reserve_exact(usize::try_from(count).unwrap_or(0));
    }

    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        let Section { client, clock, blocks, bytes } = *section;
        let reached = self.known.next(client);
        if clock > reached {
            return Err(missing(Id { client, clock: reached }));
        }
        let lengths = self.lengths.len();
        let author = Author { bytes, clock, blocks, lengths, ..Author::new(client, reached) };
        self.authors.push(author);
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        if let Some(author) = self.authors.last_mut() {
            author.end = block.end();
        }
        let bytes = u32::try_from(block.bytes.len());
        let (Ok(bytes), Ok(len)) = (bytes, u32::try_from(block.len)) else {
            return Err(block.unreadable());
        };
        self.lengths.push((bytes, len));
        Ok(())
    }

    fn deletions(&mut self, client: ClientId, ranges: u64, bytes: &'a [u8]) -> Result<(), Error> {
        let author = Author::new(client, self.known.next(client));
        self.authors.push(Author { deleted: Ranges::new(bytes, ranges), ..author });
        Ok(())
    }
}

impl<'a> Outline<'a, '_> {
    /// All clients, by client id, and the lengths of their structs.
    fn into_authors(self) -> Result<(Vec<Author<'a>>, Vec<Lengths>), Error> {
        let Self { mut authors, lengths, .. } = self;
        sort_by_key(&mut authors, |author| {
            (author.client.get(), author.deleted.next.is_some().into())
        });
        let mut twice = None;
        authors.dedup_by(|next, author| {
            if next.client != author.client {
                return false;
            }
            if author.deleted.next.is_some() || next.blocks > 0 {
                twice = Some(author.client);
            }
            author.deleted = next.deleted.clone();
            true
        });
        match twice {
            Some(client) => Err(malformed(client, "has two sections or lists of deletions")),
            None => Ok((authors, lengths)),
        }
    }
}

impl Author<'_> {
    const fn new(client: ClientId, reached: u64) -> Self {
        Self {
            client,
            bytes: &[],
            clock: reached,
            blocks: 0,
            lengths: 0,
            end: reached,
            reached,
            deleted: Ranges { reader: Reader::new(&[]), left: 0, next: None },
            part: 0,
            piece: usize::MAX,
        }
    }

    fn pass(&mut self, block: &Block<'_>) {
        self.bytes = self.bytes.get(block.bytes.len()..).unwrap_or_default();
        self.blocks = self.blocks.saturating_sub(1);
        self.lengths = self.lengths.saturating_add(1);
        self.clock = block.end();
    }
}

/// The deleted ranges of a client that were not placed yet, read from the bytes one by one.
#[derive(Clone)]
struct Ranges<'a> {
    reader: Reader<'a>,
    left: u64,
    next: Option<(u64, u64)>,
}

impl<'a> Ranges<'a> {
    fn new(bytes: &'a [u8], count: u64) -> Self {
        let mut ranges = Self { reader: Reader::new(bytes), left: count, next: None };
        ranges.read();
        ranges
    }

    fn read(&mut self) {
        self.next = None;
        if let Some(left) = self.left.checked_sub(1)
            && let (Ok(start), Ok(len)) = (self.reader.var(), self.reader.var())
        {
            self.left = left;
            self.next = Some((start, start.saturating_add(len)));
        }
    }

    /// Takes the next range, or the part of it that is below a clock.
    fn take_below(&mut self, clock: u64) -> Option<(u64, u64)> {
        let (start, end) = self.next.filter(|(start, _)| *start < clock)?;
        if end > clock {
            self.next = Some((clock, end));
            return Some((start, clock));
        }
        self.read();
        Some((start, end))
    }

    /// How many ranges begin below a clock, counted up to `max`, and where the last one of them
    /// begins.
    fn count_below(&self, clock: u64, max: usize) -> (usize, u64) {
        let mut count = 0;
        let mut last = clock;
        if self.next.is_some_and(|(start, _)| start < clock) {
            let mut ranges = self.clone();
            while count < max
                && let Some((start, _)) = ranges.take_below(clock)
            {
                last = start;
                count += 1;
            }
        }
        (count, last)
    }
}

struct Cutter<'a, 'k> {
    known: &'k Known,
    authors: Vec<Author<'a>>,
    lengths: Vec<Lengths>,
    bytes_max: usize,
    piece: Piece,
    pieces: Vec<Vec<u8>>,
    /// Authors whose next struct needs what another author wrote at a clock.
    sleeping: Sleepers,
}

impl<'a> Cutter<'a, '_> {
    /// Places the deletions below a clock of each author.
    fn delete(&mut self, clock: impl Fn(&Author<'a>) -> u64) {
        for at in 0..self.authors.len() {
            while let Some(author) = self.authors.get_mut(at)
                && let Some((start, end)) = author.deleted.take_below(clock(author))
            {
                if self.piece.bytes.saturating_add(RANGE_BYTES) > self.bytes_max {
                    self.close();
                }
                self.piece.bytes = self.piece.bytes.saturating_add(RANGE_BYTES);
                if let Some((_, part)) = self.part(at) {
                    part.delete(start, end);
                }
            }
        }
    }

    /// An author, and its part in the piece.
    fn part(&mut self, at: usize) -> Option<(&mut Author<'a>, &mut Part)> {
        let author = self.authors.get_mut(at)?;
        if author.piece != self.pieces.len() {
            author.piece = self.pieces.len();
            author.part = self.piece.next_part();
        }
        let part = self.piece.part(author.part, author.client)?;
        Some((author, part))
    }

    fn place_all(&mut self) -> Result<(), Error> {
        let mut awake: Vec<usize> = (0..self.authors.len()).rev().collect();
        while let Some(at) = awake.pop() {
            let reached = self.place_some(at)?;
            self.sleeping.wake(at, reached, &mut awake);
        }
        match self.sleeping.first() {
            Some((_, needed, clock)) => Err(self.missing(needed, clock)),
            None => Ok(()),
        }
    }

    /// Places the structs of an author until one has to sleep; tells up to where it came.
    fn place_some(&mut self, at: usize) -> Result<u64, Error> {
        loop {
            let Some(author) = self.authors.get(at) else { return Ok(0) };
            let lengths = self.lengths.get(author.lengths).filter(|_| author.blocks > 0);
            let Some((bytes, len)) = lengths else { return Ok(author.reached) };
            let id = Id { client: author.client, clock: author.clock };
            let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
            let bytes = author.bytes.get(..bytes).unwrap_or_default();
            let block = read_again(bytes, id, u64::from(*len))?;
            if block.end() > author.reached {
                if let Some((needed, clock)) = self.unmet(&block)? {
                    self.sleeping.add(at, needed, clock);
                    return Ok(self.authors.get(at).map_or(0, |author| author.reached));
                }
                self.place(at, &block)?;
            }
            if let Some(author) = self.authors.get_mut(at) {
                author.pass(&block);
            }
        }
    }

    /// What a struct needs and the receiver does not have yet.
    fn unmet(&self, block: &Block<'_>) -> Result<Option<(usize, u64)>, Error> {
        for needs in [block.origin, block.right_origin, block.parent].into_iter().flatten() {
            if needs.client == block.id.client {
                if needs.clock >= block.id.clock {
                    return Err(missing(needs));
                }
                continue;
            }
            let at = self.authors.binary_search_by_key(&needs.client, |author| author.client);
            let author = at.ok().and_then(|at| Some((at, self.authors.get(at)?)));
            match author {
                Some((_, author)) if needs.clock < author.reached => {}
                Some((at, author)) if needs.clock < author.end => {
                    return Ok(Some((at, needs.clock)));
                }
                None if needs.clock < self.known.next(needs.client) => {}
                _ => return Err(missing(needs)),
            }
        }
        Ok(None)
    }

    /// Places one struct with its deletions, in as many pieces as it takes.
    fn place(&mut self, at: usize, block: &Block<'a>) -> Result<(), Error> {
        let Some(author) = self.authors.get(at) else { return Ok(()) };
        let known = author.reached.saturating_sub(block.id.clock);
        // Most structs are small, and nothing of them is deleted.
        let is_deleted = author.deleted.next.is_some_and(|(start, _)| start < block.end());
        if known == 0 && !is_deleted && self.room(at) >= block.bytes.len() {
            let end = block.end();
            return self.write(at, end, |out| {
                out.extend_from_slice(block.bytes);
                Ok(())
            });
        }
        let mut run = Run::new(block)?;
        run.skip(known)?;
        while run.left() > 0 {
            let fits = self.fits(at, &run);
            if !fits && !self.piece.is_empty() {
                self.close();
                continue;
            }
            let len = if fits { run.left() } else { self.fitting(at, &run) };
            let end = run.clock().saturating_add(len);
            self.write(at, end, |out| run.write(len, out))?;
        }
        Ok(())
    }

    /// How many bytes an author may add to the piece.
    fn room(&self, at: usize) -> usize {
        let is_new = self.authors.get(at).is_some_and(|author| author.piece != self.pieces.len());
        let head = if is_new { CLIENT_BYTES } else { 0 };
        self.bytes_max.saturating_sub(self.piece.bytes).saturating_sub(head)
    }

    /// Whether all of a struct fits into the piece, together with its deletions.
    fn fits(&self, at: usize, run: &Run<'_>) -> bool {
        let room = self.room(at);
        let Some(author) = self.authors.get(at) else { return true };
        let ranges_max = room.div_euclid(RANGE_BYTES).saturating_add(1);
        let (ranges, _) = author.deleted.count_below(run.end(), ranges_max);
        run.bytes().saturating_add(ranges.saturating_mul(RANGE_BYTES)) <= room
    }

    /// How many elements fit into an empty piece, together with their deletions, which get up to
    /// half of the room; at least one.
    fn fitting(&self, at: usize, run: &Run<'_>) -> u64 {
        let room = self.room(at);
        let Some(author) = self.authors.get(at) else { return run.left() };
        let ranges_max = room.div_euclid(RANGE_BYTES).div_ceil(2);
        let (ranges, last) = author.deleted.count_below(run.end(), ranges_max.saturating_add(1));
        let end = if ranges > ranges_max { last } else { run.end() };
        let taken = ranges.saturating_mul(RANGE_BYTES).saturating_add(CLIENT_BYTES);
        run.fitting(end.saturating_sub(run.clock()), room.saturating_sub(taken))
    }

    /// Writes structs of an author up to a clock, and the deletions of what they hold.
    fn write(
        &mut self,
        at: usize,
        end: u64,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some((author, part)) = self.part(at) else { return Ok(()) };
        let mut bytes = part.add(author.reached, write)?;
        while let Some((start, end)) = author.deleted.take_below(end) {
            part.delete(start, end);
            bytes = bytes.saturating_add(RANGE_BYTES);
        }
        author.reached = end;
        self.piece.bytes = self.piece.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Ends the piece, if there is anything in it.
    fn close(&mut self) {
        if !self.piece.is_empty() {
            self.pieces.push(std::mem::take(&mut self.piece).finish());
        }
    }

    #[cold]
    fn missing(&self, at: usize, clock: u64) -> Error {
        let client = self.authors.get(at).map_or(ClientId::from_u32(0), |author| author.client);
        missing(Id { client, clock })
    }
}
