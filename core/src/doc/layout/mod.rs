//! Where everything stands in a document, deleted elements included: read from the bytes of its state,
//! and kept in step by the updates that follow.

mod order;

use yrs::IdSet;

use super::copies::ranges;
use super::deletions::Deletions;
use super::line::Element;
use super::mix::Mix;
use super::node::Place;
use super::run::Run;
use super::walk::{Block, HAS_PARENT_KEY, Id, Kind, Section, Visit, read_again, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::{merge_by_key, sort_by_key};
use crate::wire::primitive::Reader;

/// All structs of a document.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// What the structs were read from: the state, and the updates since.
    bytes: Vec<u8>,
    /// As they were met; behind them the parts of those that were split since.
    structs: Vec<Struct>,
    /// Their indexes, by id.
    by_id: Vec<usize>,
    /// Each once, as they were met.
    homes: Vec<Home>,
    /// Their indexes, by number.
    by_number: Vec<usize>,
    deletions: Deletions,
}

/// One struct, or what is left of it.
#[derive(Debug)]
pub(super) struct Struct {
    pub(super) id: Id,
    pub(super) len: u64,
    pub(super) kind: Kind,
    /// Where its bytes are.
    start: usize,
    end: usize,
    /// How many elements in these bytes are before its own.
    passed: u64,
    /// Its list, or what is under its key.
    pub(super) home: Option<usize>,
    /// Who stands beside it, once its home is in order.
    left: Option<usize>,
    right: Option<usize>,
}

impl Struct {
    pub(super) const fn end(&self) -> u64 {
        self.id.clock.saturating_add(self.len)
    }

    const fn last(&self) -> Id {
        Id { clock: self.end().saturating_sub(1), ..self.id }
    }

    fn has(&self, id: Id) -> bool {
        self.id.client == id.client && self.id.clock <= id.clock && id.clock < self.end()
    }
}

/// What structs are in: a list, or the values that a key had.
#[derive(Debug)]
pub(super) struct Home {
    /// `None` for a type with a name.
    pub(super) parent: Option<Id>,
    /// As good as itself to tell it from others.
    pub(super) number: (u64, u64),
    /// A struct that says where this is.
    of: usize,
    /// Whether its structs know who stands beside them.
    is_in_order: bool,
    first: Option<usize>,
}

/// The name of the type around a struct, if it has one, and the key.
type Names<'a> = (&'a str, Option<&'a str>);

fn names<'a>(block: &Block<'a>) -> Result<Names<'a>, Error> {
    let unreadable = |_already_walked| block.unreadable();
    let mut reader = Reader::new(block.places());
    let mut name = "";
    reader.var().map_err(unreadable)?;
    match block.parent {
        None => name = reader.string().map_err(unreadable)?,
        Some(_) => {
            reader.var().map_err(unreadable)?;
            reader.var().map_err(unreadable)?;
        }
    }
    let has_key = block.info & HAS_PARENT_KEY != 0;
    Ok((name, if has_key { Some(reader.string().map_err(unreadable)?) } else { None }))
}

fn number(parent: Option<Id>, (name, key): Names<'_>) -> (u64, u64) {
    let mix = Mix::new(0).with_id(parent).with_bytes(name.as_bytes());
    let mix = mix.with(u64::from(key.is_some()));
    let number = mix.with_bytes(key.unwrap_or_default().as_bytes()).finish();
    let [high, low] = [number >> 64, number & u128::from(u64::MAX)];
    (u64::try_from(high).unwrap_or_default(), u64::try_from(low).unwrap_or_default())
}

/// Where a struct is, as its bytes say it.
#[derive(Clone, Copy)]
enum At {
    /// In one of the homes that were found, and later in one of all.
    In(usize),
    /// Where another one is.
    Beside(Id),
    Nowhere,
}

/// Structs as they are met.
struct Found<'l> {
    layout: &'l Layout,
    /// How many bytes there are with those of the update.
    len: usize,
    /// Where the next struct begins.
    start: usize,
    structs: Vec<Struct>,
    places: Vec<At>,
    homes: Vec<Home>,
    deleted: Vec<(Id, u64)>,
}

impl<'a> Visit<'a> for Found<'_> {
    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        self.start = self.len.saturating_sub(section.bytes.len());
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let Block { id, len, kind, parent, .. } = *block;
        let start = self.start;
        self.start = start.saturating_add(block.bytes.len());
        if self.layout.find(id).is_some() {
            return Ok(());
        }
        let place = match block.origin.or(block.right_origin) {
            _ if kind == Kind::Gc => At::Nowhere,
            Some(neighbor) => At::Beside(neighbor),
            None => {
                let of = self.layout.structs.len().saturating_add(self.structs.len());
                let number = number(parent, names(block)?);
                self.homes.push(Home { parent, number, of, is_in_order: false, first: None });
                At::In(self.homes.len().saturating_sub(1))
            }
        };
        self.places.push(place);
        let (end, passed, home, left, right) = (self.start, 0, None, None, None);
        self.structs.push(Struct { id, len, kind, start, end, passed, home, left, right });
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        self.deleted.push((Id { client, clock: start }, end));
        Ok(())
    }
}

impl Layout {
    /// Reads the state of a document.
    ///
    /// # Errors
    /// `update.malformed` for bytes that are none.
    pub(super) fn read(state: Vec<u8>) -> Result<Self, Error> {
        let mut layout = Self { bytes: state, ..Self::default() };
        let deleted = layout.take_in(0)?;
        // In the order of their clocks, and apart from each other.
        deleted.into_iter().for_each(|(id, end)| layout.deletions.insert(id.client, id.clock, end));
        Ok(layout)
    }

    /// Takes in an update that the document took in. What it deletes is another matter: that may be
    /// more than it says.
    ///
    /// # Errors
    /// As [`Self::read`]; it is of no use any more then.
    pub(super) fn add(&mut self, update: &[u8]) -> Result<(), Error> {
        let (base, first) = (self.bytes.len(), self.structs.len());
        self.bytes.extend_from_slice(update);
        self.take_in(base)?;
        self.join(first)
    }

    /// Takes in that elements were deleted.
    pub(super) fn delete(&mut self, ids: &IdSet) {
        self.cut_out(ids);
        for (id, len) in ranges(ids) {
            self.deletions.insert(id.client, id.clock, id.clock.saturating_add(len));
        }
    }

    /// About how many bytes of memory it takes.
    pub(super) const fn memory(&self) -> usize {
        let structs = self.structs.capacity().saturating_mul(size_of::<Struct>());
        let homes = self.homes.capacity().saturating_mul(size_of::<Home>());
        let indexes = self.by_id.capacity().saturating_add(self.by_number.capacity());
        let indexes = indexes.saturating_mul(size_of::<usize>());
        let all = self.bytes.capacity().saturating_add(structs).saturating_add(homes);
        all.saturating_add(indexes)
    }

    /// Takes in the structs of an update that begins at this byte; gives what it deletes.
    fn take_in(&mut self, base: usize) -> Result<Vec<(Id, u64)>, Error> {
        let mut found = Found {
            layout: self,
            len: self.bytes.len(),
            start: base,
            structs: Vec::new(),
            places: Vec::new(),
            homes: Vec::new(),
            deleted: Vec::new(),
        };
        walk(self.bytes.get(base..).unwrap_or_default(), usize::MAX, &mut found)?;
        let Found { structs, mut places, homes, deleted, .. } = found;
        let moved = self.take_in_homes(homes);
        for place in &mut places {
            if let At::In(home) = place {
                *home = moved.get(*home).copied().unwrap_or_default();
            }
        }
        let first = self.structs.len();
        self.structs.extend(structs);
        self.index(first);
        self.settle(first, &mut places);
        Ok(deleted)
    }

    /// Takes in homes, each as often as it was met; gives their indexes.
    fn take_in_homes(&mut self, found: Vec<Home>) -> Vec<usize> {
        let mut moved = Vec::with_capacity(found.len());
        let mut numbered: Vec<_> = found.into_iter().enumerate().collect();
        moved.resize(numbered.len(), 0);
        sort_by_key(&mut numbered, |(_, home)| home.number);
        let mut new = Vec::new();
        let mut last: Option<((u64, u64), usize)> = None;
        for (at, home) in numbered {
            let known = last.filter(|(number, _)| *number == home.number).map(|(_, home)| home);
            let home = match known.or_else(|| self.numbered(home.number)) {
                Some(home) => home,
                None => {
                    self.homes.push(home);
                    new.push(self.homes.len().saturating_sub(1));
                    self.homes.len().saturating_sub(1)
                }
            };
            last = self.homes.get(home).map(|it| (it.number, home));
            if let Some(moved) = moved.get_mut(at) {
                *moved = home;
            }
        }
        let homes = &self.homes;
        let number = |home: &usize| homes.get(*home).map_or((0, 0), |home| home.number);
        merge_by_key(&mut self.by_number, new, number);
        moved
    }

    /// Makes the structs from one on known by their ids.
    fn index(&mut self, first: usize) {
        let structs = &self.structs;
        let id = |at: &usize| structs.get(*at).map_or((0, 0), |it| it.id.numbers());
        merge_by_key(&mut self.by_id, (first..structs.len()).collect(), id);
    }

    /// Finds out where the structs from one on are. What is met on the way is known from then on: a
    /// text may be a long chain of structs.
    fn settle(&mut self, first: usize, places: &mut [At]) {
        let mut met = Vec::new();
        for at in first..self.structs.len() {
            let mut next = Some(at);
            let found = loop {
                let Some(at) = next else { break None };
                match at.checked_sub(first).and_then(|at| places.get(at)) {
                    // One of those before.
                    None => break self.get(at).and_then(|it| it.home),
                    Some(At::In(home)) => break Some(*home),
                    Some(At::Nowhere) => break None,
                    Some(At::Beside(neighbor)) => {
                        met.push(at);
                        // An update cannot name a later struct as the neighbor of an earlier one.
                        next = self.near(*neighbor, at);
                    }
                }
            };
            for at in met.drain(..) {
                if let Some(place) = places.get_mut(at.saturating_sub(first)) {
                    *place = found.map_or(At::Nowhere, At::In);
                }
            }
            if let Some(it) = self.structs.get_mut(at) {
                it.home = found;
            }
        }
    }

    /// Makes these elements structs of their own.
    pub(super) fn cut_out(&mut self, ids: &IdSet) {
        let ends = |(id, len): (Id, u64)| [id, Id { clock: id.clock.saturating_add(len), ..id }];
        self.split(ranges(ids).flat_map(ends).collect());
    }

    /// Makes each of these elements the first one of a struct.
    fn split(&mut self, mut cuts: Vec<Id>) {
        let first = self.structs.len();
        sort_by_key(&mut cuts, Id::numbers);
        // From the last one on: what is not split yet is still found by its id.
        for cut in cuts.into_iter().rev() {
            let next = self.structs.len();
            let Some(at) = self.at(cut) else { continue };
            let Some(it) = self.structs.get_mut(at) else { continue };
            if !it.has(cut) || it.id == cut {
                continue;
            }
            let before = cut.clock.saturating_sub(it.id.clock);
            let len = it.len.saturating_sub(before);
            let passed = it.passed.saturating_add(before);
            let part = Struct { id: cut, len, passed, left: None, right: None, ..*it };
            it.len = before;
            let right = it.right;
            let line = part.home.filter(|home| self.is_in_line(at, *home));
            self.structs.push(part);
            if let Some(home) = line {
                self.link(home, Some(at), Some(next));
                self.link(home, Some(next), right);
            }
        }
        self.index(first);
    }

    /// The index of the last struct that begins with an element, or before it.
    pub(super) fn at(&self, id: Id) -> Option<usize> {
        self.by_id.get(self.rank(id)?).copied()
    }

    /// How many structs stand before that one, by id.
    fn rank(&self, id: Id) -> Option<usize> {
        let is_before = |at: &usize| self.get(*at).is_some_and(|it| it.id <= id);
        self.by_id.partition_point(is_before).checked_sub(1)
    }

    /// The index of the struct with an element, when it is often the one before another one.
    fn near(&self, id: Id, at: usize) -> Option<usize> {
        let is_there = |at: &usize| self.get(*at).is_some_and(|it| it.has(id));
        at.checked_sub(1).filter(is_there).or_else(|| self.at(id).filter(is_there))
    }

    pub(super) fn get(&self, at: usize) -> Option<&Struct> {
        self.structs.get(at)
    }

    pub(super) fn find(&self, id: Id) -> Option<&Struct> {
        self.get(self.at(id)?).filter(|it| it.has(id))
    }

    /// The bytes of a struct, with what was split off it before its own elements.
    fn block(&self, it: &Struct) -> Result<Block<'_>, Error> {
        let bytes = self.bytes.get(it.start..it.end).unwrap_or_default();
        let id = Id { clock: it.id.clock.saturating_sub(it.passed), ..it.id };
        read_again(bytes, id, it.len.saturating_add(it.passed))
    }

    /// The elements of a struct from one on.
    ///
    /// # Errors
    /// `update.malformed` when the content is none.
    pub(super) fn run(&self, it: &Struct, clock: u64) -> Result<Run<'_>, Error> {
        let mut run = Run::new(&self.block(it)?)?;
        run.skip(clock.saturating_sub(run.clock()))?;
        Ok(run)
    }

    /// The first byte of a struct.
    pub(super) fn info(&self, it: &Struct) -> u8 {
        self.bytes.get(it.start).copied().unwrap_or_default()
    }

    /// The parts of structs with these ids.
    pub(super) fn elements(&self, ids: &IdSet) -> Vec<Element> {
        let mut elements = Vec::new();
        for (id, len) in ranges(ids) {
            let end = id.clock.saturating_add(len);
            let first = self.rank(id).unwrap_or_default();
            for of in self.by_id.get(first..).unwrap_or_default() {
                let Some(it) = self.get(*of) else { break };
                if it.id >= (Id { clock: end, ..id }) {
                    break;
                }
                let start = it.id.clock.max(id.clock);
                let len = it.end().min(end).saturating_sub(start);
                if it.id.client == id.client && len > 0 {
                    elements.push(Element { of: *of, id: Id { clock: start, ..id }, len });
                }
            }
        }
        elements
    }

    /// All structs that are there and hold content, with their indexes.
    pub(super) fn content(&self) -> impl Iterator<Item = &Struct> {
        let is_content = |kind| !matches!(kind, Kind::Gc | Kind::Deleted | Kind::Format);
        // What was deleted is a struct of its own.
        self.structs.iter().filter(move |it| is_content(it.kind) && !self.is_deleted(it.id))
    }

    pub(super) fn is_deleted(&self, id: Id) -> bool {
        let mut ranges = self.deletions.behind(id.client, id.clock);
        !ranges.within(id.clock, id.clock.saturating_add(1)).is_empty()
    }

    pub(super) fn home(&self, home: usize) -> Option<&Home> {
        self.homes.get(home)
    }

    /// The key of a home, when it is not a list.
    ///
    /// # Errors
    /// `update.malformed` when the struct that says it is none.
    pub(super) fn key(&self, home: usize) -> Result<Option<&str>, Error> {
        self.names(home).map(|(_, key)| key)
    }

    fn names(&self, home: usize) -> Result<Names<'_>, Error> {
        let of = self.home(home).and_then(|home| self.get(home.of));
        of.map_or(Ok(("", None)), |of| names(&self.block(of)?))
    }

    /// The values of a key in a type.
    pub(super) fn home_of(&self, parent: Id, key: &str) -> Option<usize> {
        self.numbered(number(Some(parent), ("", Some(key))))
    }

    fn numbered(&self, number: (u64, u64)) -> Option<usize> {
        let is_before = |at: &usize| self.home(*at).is_some_and(|home| home.number < number);
        let at = self.by_number.partition_point(is_before);
        let home = self.by_number.get(at).copied();
        home.filter(|home| self.home(*home).is_some_and(|home| home.number == number))
    }

    /// The type around an element; `None` when it has a name.
    pub(super) fn parent(&self, id: Id) -> Option<Id> {
        self.home(self.find(id)?.home?)?.parent
    }

    /// Whether a home is in one of these types, or in one inside them.
    pub(super) fn is_in(&self, mut home: usize, places: &[Place]) -> bool {
        loop {
            let parent = self.home(home).and_then(|home| home.parent);
            let is_here = |place: &Place| match (place, parent) {
                (Place::Root(name), None) => self.names(home).is_ok_and(|(it, _)| **name == *it),
                (Place::Nested(client, clock), Some(parent)) => {
                    parent == Id { client: *client, clock: *clock }
                }
                _ => false,
            };
            if places.iter().any(is_here) {
                return true;
            }
            let around = parent.and_then(|parent| self.find(parent)?.home);
            let Some(around) = around else { return false };
            home = around;
        }
    }
}
