//! How deep shared types are nested: yrs deletes what is inside a type by recursion, and so does Yjs,
//! so whoever nests deep enough ends every copy of a document with one deletion.
//!
//! What is around a struct never changes: it follows from its parent, or from that of its neighbors.
//! So a document is as deep as its deepest update, and each update can be judged when it comes.

use std::collections::BTreeMap;

use super::walk::{Block, Id, Kind, Visit, walk};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::limits::Limits;
use crate::ordered::sort_by_key;

/// How many types are around each struct of a log, or of a document. Only what comes after another
/// depth is kept.
#[derive(Debug, Default)]
pub struct Nesting {
    /// Where among the authors each client is: a map of numbers, as there are others in the client.
    places: BTreeMap<ClientId, u64>,
    authors: Vec<Author>,
}

/// The structs of one client.
#[derive(Debug, Default)]
struct Author {
    next: u64,
    /// From a clock on, so many types are around.
    steps: Vec<(u64, u32)>,
}

impl Author {
    fn step(&mut self, clock: u64, around: u32) {
        if self.steps.last().is_none_or(|(_, last)| *last != around) {
            self.steps.push((clock, around));
        }
    }
}

impl Nesting {
    /// Takes in the next update of the log.
    ///
    /// # Errors
    /// `update.malformed` for bytes that are no update.
    pub fn add(&mut self, update: &[u8]) -> Result<(), Error> {
        for it in place(update, &|client| self.next(client), &|id| self.around(id))? {
            let author = self.author_mut(it.id.client);
            if author.next < it.id.clock {
                // What was left out is nothing any more.
                author.step(author.next, 0);
            }
            author.step(it.id.clock.max(author.next), it.around());
            author.next = it.end;
        }
        Ok(())
    }

    /// Checks that an update that passed the guard makes no type deeper than is allowed.
    ///
    /// # Errors
    /// `update.too_deep`.
    pub fn check(&self, update: &[u8], limits: &Limits) -> Result<(), Error> {
        let max = limits.type_depth_max;
        let placed = place(update, &|client| self.next(client), &|id| self.around(id))?;
        match placed.iter().find(|it| it.is_type && it.around() >= max) {
            None => Ok(()),
            Some(deep) => Err(too_deep(Code::UpdateTooDeep, deep.id, max)),
        }
    }

    /// How many types are around a struct that was taken in; 0 when it is nothing any more.
    pub(super) fn around(&self, id: Id) -> u32 {
        let steps = self.author(id.client).map_or(&[][..], |author| author.steps.as_slice());
        let behind = steps.partition_point(|(start, _)| *start <= id.clock);
        behind.checked_sub(1).and_then(|at| steps.get(at)).map_or(0, |(_, around)| *around)
    }

    fn next(&self, client: ClientId) -> u64 {
        self.author(client).map_or(0, |author| author.next)
    }

    fn author(&self, client: ClientId) -> Option<&Author> {
        self.authors.get(usize::try_from(*self.places.get(&client)?).ok()?)
    }

    fn author_mut(&mut self, client: ClientId) -> &mut Author {
        let count = self.authors.len();
        let place = self.places.entry(client).or_insert(count as u64);
        let at = usize::try_from(*place).unwrap_or(count).min(count);
        if at == count {
            self.authors.push(Author::default());
        }
        #[expect(clippy::indexing_slicing, reason = "found or pushed right here")]
        &mut self.authors[at]
    }
}

#[cold]
fn too_deep(code: Code, id: Id, max: u32) -> Error {
    let text = format!(
        "the shared type of client {} at clock {} is nested deeper than {max} levels",
        id.client.get(),
        id.clock
    );
    Error::new(code, text)
}

/// A struct of an update, and where it is.
struct Placed {
    id: Id,
    end: u64,
    is_type: bool,
    place: At,
    /// What it needs is being looked at.
    is_open: bool,
}

#[derive(Clone, Copy)]
enum At {
    /// So many types are around it.
    Inside(u32),
    /// In this type.
    In(Id),
    /// Where these are.
    Beside(Option<Id>, Option<Id>),
}

impl Placed {
    const fn around(&self) -> u32 {
        match self.place {
            At::Inside(around) => around,
            _ => 0,
        }
    }
}

/// The new structs of an update by id, with how many types are around them; without those that are
/// nothing any more.
fn place(
    update: &[u8],
    next: &dyn Fn(ClientId) -> u64,
    around: &dyn Fn(Id) -> u32,
) -> Result<Vec<Placed>, Error> {
    let mut new = New { next, around, placed: Vec::new() };
    walk(update, usize::MAX, &mut new)?;
    sort_by_key(&mut new.placed, |it| it.id.numbers());
    (0..new.placed.len()).for_each(|at| new.resolve(at));
    Ok(new.placed)
}

struct New<'f> {
    next: &'f dyn Fn(ClientId) -> u64,
    around: &'f dyn Fn(Id) -> u32,
    placed: Vec<Placed>,
}

impl<'a> Visit<'a> for New<'_> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let next = (self.next)(block.id.client);
        let (id, end) = (block.id, block.end());
        if end <= next || block.kind == Kind::Gc {
            return Ok(());
        }
        let place = if id.clock < next {
            At::Inside((self.around)(id))
        } else if let Some(parent) = block.parent {
            At::In(parent)
        } else if block.origin.is_some() || block.right_origin.is_some() {
            At::Beside(block.origin, block.right_origin)
        } else {
            // In a type with a name.
            At::Inside(1)
        };
        let is_type = block.kind == Kind::Type;
        self.placed.push(Placed { id, end, is_type, place, is_open: false });
        Ok(())
    }
}

impl New<'_> {
    /// Finds out how many types are around a struct; without recursion, because a hostile update may
    /// have a million of them in a row.
    fn resolve(&mut self, at: usize) {
        let mut path = vec![at];
        while let Some(placed) = path.last().and_then(|at| self.placed.get(*at)) {
            let (needs, more) = match placed.place {
                At::Inside(_) => ([None, None], 0),
                At::In(parent) => ([Some(parent), None], 1),
                At::Beside(left, right) => ([left, right], 0),
            };
            // Honest neighbors are in one type. Of two that are not, the deeper one counts.
            let mut around = placed.around();
            let mut waits_for = None;
            for need in needs.into_iter().flatten() {
                match self.look(need) {
                    Ok(depth) => around = around.max(depth.saturating_add(more)),
                    Err(index) => waits_for = Some(index),
                }
            }
            let Some(placed) = path.last().and_then(|at| self.placed.get_mut(*at)) else { break };
            placed.is_open = true;
            if let Some(index) = waits_for {
                path.push(index);
            } else {
                placed.place = At::Inside(around);
                path.pop();
            }
        }
    }

    /// How many types are around a struct, or which one of the update has to be resolved before.
    fn look(&self, id: Id) -> Result<u32, usize> {
        if id.clock < (self.next)(id.client) {
            return Ok((self.around)(id));
        }
        let behind = self.placed.partition_point(|it| it.id <= id);
        let found = behind.checked_sub(1).and_then(|at| Some((at, self.placed.get(at)?)));
        match found.filter(|(_, it)| it.id.client == id.client && id.clock < it.end) {
            Some((_, Placed { place: At::Inside(around), .. })) => Ok(*around),
            Some((at, it)) if !it.is_open => Err(at),
            // The guard lets no update pass whose structs need each other in a circle.
            _ => Ok(0),
        }
    }
}
