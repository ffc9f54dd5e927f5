//! Where everything stands in a document, deleted elements included, read from the bytes of its state.

use super::deletions::{Collected, Deletions};
use super::line::{Element, Line, Link};
use super::mix::Mix;
use super::node::Place;
use super::run::Run;
use super::walk::{Block, HAS_PARENT_KEY, Id, Kind, Visit, read_again, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;
use crate::wire::primitive::Reader;

/// All structs of a document.
pub(super) struct Layout<'a> {
    /// By id.
    structs: Vec<Struct<'a>>,
    /// Each once.
    homes: Vec<Home<'a>>,
    deletions: Deletions,
}

/// One struct.
pub(super) struct Struct<'a> {
    pub(super) id: Id,
    pub(super) len: u64,
    pub(super) kind: Kind,
    bytes: &'a [u8],
    at: At,
}

#[derive(Clone, Copy)]
enum At {
    /// In a list, or under a key, which is one of the homes.
    In(usize),
    /// Where another one is.
    Beside(Id),
    Nowhere,
}

impl Struct<'_> {
    pub(super) const fn end(&self) -> u64 {
        self.id.clock.saturating_add(self.len)
    }

    fn has(&self, id: Id) -> bool {
        self.id.client == id.client && self.id.clock <= id.clock && id.clock < self.end()
    }

    /// Its list, or what is under its key.
    pub(super) const fn home(&self) -> Option<usize> {
        match self.at {
            At::In(home) => Some(home),
            _ => None,
        }
    }

    fn block(&self) -> Result<Block<'_>, Error> {
        read_again(self.bytes, self.id, self.len)
    }

    /// The elements from one on.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn run(&self, clock: u64) -> Result<Run<'_>, Error> {
        let mut run = Run::new(&self.block()?)?;
        run.skip(clock.saturating_sub(self.id.clock))?;
        Ok(run)
    }

    /// The first byte.
    pub(super) fn info(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }
}

/// What structs are in: a list, or the values that a key had.
#[derive(Clone, Copy)]
pub(super) struct Home<'a> {
    /// `None` for a type with a name.
    pub(super) parent: Option<Id>,
    name: &'a str,
    pub(super) key: Option<&'a str>,
}

impl<'a> Home<'a> {
    fn of(block: &Block<'a>) -> Result<Self, Error> {
        let unreadable = |_already_walked| block.unreadable();
        let mut reader = Reader::new(block.places());
        let mut home = Home { parent: block.parent, name: "", key: None };
        reader.var().map_err(unreadable)?;
        match home.parent {
            None => home.name = reader.string().map_err(unreadable)?,
            Some(_) => {
                reader.var().map_err(unreadable)?;
                reader.var().map_err(unreadable)?;
            }
        }
        if block.info & HAS_PARENT_KEY != 0 {
            home.key = Some(reader.string().map_err(unreadable)?);
        }
        Ok(home)
    }

    /// As good as itself to tell it from others.
    fn number(&self) -> (u64, u64) {
        let mix = Mix::new(0).with_id(self.parent).with_bytes(self.name.as_bytes());
        let mix = mix.with(u64::from(self.key.is_some()));
        let number = mix.with_bytes(self.key.unwrap_or_default().as_bytes()).finish();
        let [high, low] = [number >> 64, number & u128::from(u64::MAX)];
        (u64::try_from(high).unwrap_or_default(), u64::try_from(low).unwrap_or_default())
    }

    fn is_in(&self, place: &Place) -> bool {
        match (place, self.parent) {
            (Place::Root(name), None) => **name == *self.name,
            (Place::Nested(client, clock), Some(parent)) => {
                parent == Id { client: *client, clock: *clock }
            }
            _ => false,
        }
    }
}

/// Structs as they are met.
#[derive(Default)]
struct Found<'a> {
    structs: Vec<Struct<'a>>,
    homes: Vec<Home<'a>>,
    deleted: Collected,
}

impl<'a> Visit<'a> for Found<'a> {
    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let at = match block.origin.or(block.right_origin) {
            _ if block.kind == Kind::Gc => At::Nowhere,
            Some(neighbor) => At::Beside(neighbor),
            None => {
                self.homes.push(Home::of(block)?);
                At::In(self.homes.len().saturating_sub(1))
            }
        };
        let Block { id, len, kind, bytes, .. } = *block;
        self.structs.push(Struct { id, len, kind, bytes, at });
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        self.deleted.add(client, start, end);
        Ok(())
    }
}

impl<'a> Layout<'a> {
    /// Reads the state of a document.
    ///
    /// # Errors
    /// `update.malformed` for bytes that are none.
    pub(super) fn read(state: &'a [u8]) -> Result<Self, Error> {
        let mut found = Found::default();
        walk(state, usize::MAX, &mut found)?;
        let Found { mut structs, homes, deleted } = found;
        sort_by_key(&mut structs, |it| it.id.numbers());
        let mut numbered: Vec<_> = homes.into_iter().enumerate().collect();
        sort_by_key(&mut numbered, |(_, home)| home.number());
        let mut homes: Vec<Home<'a>> = Vec::new();
        let mut number = None;
        let mut moved = vec![0; numbered.len()];
        for (at, home) in numbered {
            if number.replace(home.number()) != number {
                homes.push(home);
            }
            if let Some(moved) = moved.get_mut(at) {
                *moved = homes.len().saturating_sub(1);
            }
        }
        for it in &mut structs {
            if let At::In(home) = &mut it.at {
                *home = moved.get(*home).copied().unwrap_or_default();
            }
        }
        let mut layout = Self { structs, homes, deletions: deleted.united() };
        let mut met = Vec::new();
        (0..layout.structs.len()).for_each(|at| layout.settle(at, &mut met));
        Ok(layout)
    }

    /// Finds out where a struct is. What was `met` on the way is known from then on: a text may be a
    /// long chain of structs.
    fn settle(&mut self, at: usize, met: &mut Vec<usize>) {
        let mut next = Some(at);
        let found = loop {
            match next.and_then(|at| Some((at, self.structs.get(at)?.at))) {
                Some((at, At::Beside(neighbor))) => {
                    met.push(at);
                    // An update cannot name a later struct as the neighbor of an earlier one.
                    next = self.near(neighbor, at);
                }
                Some((_, known)) => break known,
                None => break At::Nowhere,
            }
        };
        for at in met.drain(..) {
            if let Some(it) = self.structs.get_mut(at) {
                it.at = found;
            }
        }
    }

    /// The index of the struct with an element.
    pub(super) fn at(&self, id: Id) -> Option<usize> {
        self.structs.partition_point(|it| it.id <= id).checked_sub(1)
    }

    /// The same, when it is often the one before another one.
    fn near(&self, id: Id, at: usize) -> Option<usize> {
        let before = at.checked_sub(1);
        let is_there = |at: &usize| self.structs.get(*at).is_some_and(|it| it.has(id));
        before.filter(is_there).or_else(|| self.at(id))
    }

    pub(super) fn get(&self, at: usize) -> Option<&Struct<'a>> {
        self.structs.get(at)
    }

    pub(super) fn find(&self, id: Id) -> Option<&Struct<'a>> {
        self.get(self.at(id)?).filter(|it| it.has(id))
    }

    /// Parts of structs that lie in a range.
    pub(super) fn within(&self, id: Id, len: u64) -> impl Iterator<Item = Element> {
        let end = Id { clock: id.clock.saturating_add(len), ..id };
        let first = self.at(id).unwrap_or_default();
        let all = self.structs.get(first..).unwrap_or_default().iter().zip(first..);
        all.take_while(move |(it, _)| it.id < end).filter_map(move |(it, of)| {
            let start = it.id.clock.max(id.clock);
            let len = it.end().min(end.clock).saturating_sub(start);
            let is_here = it.id.client == id.client && len > 0;
            is_here.then_some(Element { of, id: Id { clock: start, ..id }, len })
        })
    }

    /// All structs that are there and hold content.
    pub(super) fn content(&self) -> impl Iterator<Item = &Struct<'a>> {
        let is_content = |kind| !matches!(kind, Kind::Gc | Kind::Deleted | Kind::Format);
        // What was deleted is a struct of its own.
        self.structs.iter().filter(move |it| is_content(it.kind) && !self.is_deleted(it.id))
    }

    pub(super) fn is_deleted(&self, id: Id) -> bool {
        let mut ranges = self.deletions.behind(id.client, id.clock);
        !ranges.within(id.clock, id.clock.saturating_add(1)).is_empty()
    }

    pub(super) fn home(&self, home: usize) -> Option<&Home<'a>> {
        self.homes.get(home)
    }

    /// The values of a key in a type.
    pub(super) fn home_of(&self, parent: Id, key: &str) -> Option<usize> {
        let number = Home { parent: Some(parent), name: "", key: Some(key) }.number();
        let at = self.homes.partition_point(|home| home.number() < number);
        self.homes.get(at).filter(|home| home.number() == number).map(|_| at)
    }

    /// The type around an element; `None` when it has a name.
    pub(super) fn parent(&self, id: Id) -> Option<Id> {
        self.home(self.find(id)?.home()?)?.parent
    }

    /// Whether a home is in one of these types, or in one inside them.
    pub(super) fn is_in(&self, home: usize, places: &[Place]) -> bool {
        let mut next = self.home(home);
        while let Some(home) = next {
            if places.iter().any(|place| home.is_in(place)) {
                return true;
            }
            let around = home.parent.and_then(|parent| self.find(parent)?.home());
            next = around.and_then(|around| self.home(around));
        }
        false
    }

    /// The elements of some homes in their order. `cuts` are elements that are to be the first of
    /// theirs.
    ///
    /// # Errors
    /// `update.malformed` when a struct is none.
    pub(super) fn lines(&self, homes: &[usize], mut cuts: Vec<Id>) -> Result<Lines, Error> {
        let mut by_home = vec![None; self.homes.len()];
        let mut count = 0;
        for home in homes {
            if let Some(line @ None) = by_home.get_mut(*home) {
                *line = Some(count);
                count += 1;
            }
        }
        let mut lines = vec![Vec::new(); count];
        for (of, it) in self.structs.iter().enumerate() {
            let line = it.home().and_then(|home| *by_home.get(home)?);
            if let Some(line) = line.and_then(|line| lines.get_mut(line)) {
                line.push(of);
            }
        }
        sort_by_key(&mut cuts, Id::numbers);
        let in_order = |line: &Vec<usize>| Ok(self.line(line, &cuts)?.into_order());
        Ok(Lines { by_home, all: lines.iter().map(in_order).collect::<Result<_, Error>>()? })
    }

    /// The elements of these structs.
    fn line(&self, structs: &[usize], cuts: &[Id]) -> Result<Line, Error> {
        let mut neighbors = Vec::with_capacity(structs.len());
        let mut inside = Vec::new();
        for (at, of) in structs.iter().enumerate() {
            let Some(it) = self.get(*of) else { continue };
            let block = it.block()?;
            inside.extend(within(cuts, it));
            let mut neighbor = |id: Option<Id>, is_left: bool| {
                let id = id?;
                let (at, neighbor) = self.in_line(structs, id, at)?;
                let first = Id { clock: id.clock.saturating_add(u64::from(is_left)), ..id };
                if neighbor.id != first && neighbor.end() != first.clock {
                    inside.push(first);
                }
                Some((at, id))
            };
            let origin = neighbor(block.origin, true);
            neighbors.push((origin, neighbor(block.right_origin, false)));
        }
        sort_by_key(&mut inside, Id::numbers);
        let mut line = Line::default();
        let mut starts = Vec::with_capacity(structs.len());
        for of in structs {
            let Some(it) = self.get(*of) else { continue };
            starts.push(line.elements.len());
            let mut id = it.id;
            let end = Id { clock: it.end(), ..it.id };
            for cut in within(&inside, it).chain([end]) {
                let len = cut.clock.saturating_sub(id.clock);
                if len > 0 {
                    line.elements.push(Element { of: *of, id, len });
                    id = cut;
                }
            }
        }
        let find = |(at, id): (usize, Id)| {
            let start = starts.get(at).copied()?;
            let parts = line.elements.get(start..).unwrap_or_default();
            Some(start.saturating_add(parts.iter().take_while(|it| it.end() <= id.clock).count()))
        };
        for ((origin, right_origin), start) in neighbors.into_iter().zip(&starts) {
            let right_origin = right_origin.and_then(find);
            let mut origin = origin.and_then(find);
            let of = line.elements.get(*start).map(|it| it.of);
            let parts = line.elements.get(*start..).unwrap_or_default();
            let count = parts.iter().take_while(|it| Some(it.of) == of).count();
            for at in (*start..).take(count) {
                line.links.push(Link::new(origin, right_origin));
                origin = Some(at);
            }
        }
        Ok(line)
    }

    /// The place of a struct among some, and itself: that of an element, which is often in the one
    /// before another place.
    fn in_line(&self, structs: &[usize], id: Id, at: usize) -> Option<(usize, &Struct<'a>)> {
        let get = |at: usize| self.get(*structs.get(at)?).filter(|it| it.has(id));
        let before = at.checked_sub(1).and_then(|at| Some((at, get(at)?)));
        before.or_else(|| {
            let is_before = |of: &usize| self.get(*of).is_some_and(|it| it.id <= id);
            let at = structs.partition_point(is_before).checked_sub(1)?;
            Some((at, get(at)?))
        })
    }
}

/// Elements in their order.
pub(super) struct Lines {
    by_home: Vec<Option<usize>>,
    all: Vec<Vec<Element>>,
}

impl Lines {
    /// Those of a home.
    pub(super) fn of(&self, home: usize) -> &[Element] {
        let line = self.by_home.get(home).copied().flatten();
        line.and_then(|line| self.all.get(line)).map_or(&[], Vec::as_slice)
    }
}

/// Those of some sorted ids that are inside a struct.
fn within(ids: &[Id], it: &Struct<'_>) -> impl Iterator<Item = Id> {
    let end = Id { clock: it.end(), ..it.id };
    let first = ids.partition_point(|id| *id <= it.id);
    ids.get(first..).unwrap_or_default().iter().copied().take_while(move |id| *id < end)
}
