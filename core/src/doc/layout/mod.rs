//! Where everything stands in a document, deleted elements included: read from the bytes of its state,
//! and kept in step by the updates that follow.

mod order;

use yrs::IdSet;

use super::copies::{insert, insert_all, ranges};
use super::line::Element;
use super::mix::Mix;
use super::node::Place;
use super::replica::yrs_id;
use super::run::Run;
use super::walk::{Block, HAS_PARENT_KEY, Id, Kind, Section, Visit, read_again, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;
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
    /// Each once.
    homes: Vec<Home>,
    deleted: IdSet,
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
    name: Box<str>,
    pub(super) key: Option<Box<str>>,
    /// As good as itself to tell it from others.
    pub(super) number: (u64, u64),
    order: Order,
    /// Its structs by id, while they are brought into order.
    met: Vec<usize>,
    /// The first one of them, once they are in order.
    first: Option<usize>,
}

/// Whether the structs of a home know who stands beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Unknown,
    Wanted,
    Known,
}

impl Home {
    fn of(block: &Block<'_>) -> Result<Self, Error> {
        let unreadable = |_already_walked| block.unreadable();
        let mut reader = Reader::new(block.places());
        let (mut name, mut key) = ("", None);
        reader.var().map_err(unreadable)?;
        match block.parent {
            None => name = reader.string().map_err(unreadable)?,
            Some(_) => {
                reader.var().map_err(unreadable)?;
                reader.var().map_err(unreadable)?;
            }
        }
        if block.info & HAS_PARENT_KEY != 0 {
            key = Some(reader.string().map_err(unreadable)?);
        }
        Ok(Self {
            parent: block.parent,
            name: Box::from(name),
            key: key.map(Box::from),
            number: number(block.parent, name, key),
            order: Order::Unknown,
            met: Vec::new(),
            first: None,
        })
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

fn number(parent: Option<Id>, name: &str, key: Option<&str>) -> (u64, u64) {
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
    deleted: IdSet,
}

impl<'a> Visit<'a> for Found<'_> {
    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        self.start = self.len.saturating_sub(section.bytes.len());
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let Block { id, len, kind, .. } = *block;
        let start = self.start;
        self.start = start.saturating_add(block.bytes.len());
        if self.layout.find(id).is_some() {
            return Ok(());
        }
        let place = match block.origin.or(block.right_origin) {
            _ if kind == Kind::Gc => At::Nowhere,
            Some(neighbor) => At::Beside(neighbor),
            None => {
                self.homes.push(Home::of(block)?);
                At::In(self.homes.len().saturating_sub(1))
            }
        };
        self.places.push(place);
        let (end, passed, home, left, right) = (self.start, 0, None, None, None);
        self.structs.push(Struct { id, len, kind, start, end, passed, home, left, right });
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        insert(&mut self.deleted, Id { client, clock: start }, end.saturating_sub(start));
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
        layout.deleted = layout.take_in(0)?;
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
        insert_all(&mut self.deleted, ids);
    }

    /// About how many bytes of memory it takes.
    pub(super) const fn memory(&self) -> usize {
        let of_struct = size_of::<Struct>().saturating_add(size_of::<usize>());
        let structs = self.structs.capacity().saturating_mul(of_struct);
        let homes = self.homes.capacity().saturating_mul(size_of::<Home>());
        self.bytes.capacity().saturating_add(structs).saturating_add(homes)
    }

    /// Takes in the structs of an update that begins at this byte; gives what it deletes.
    fn take_in(&mut self, base: usize) -> Result<IdSet, Error> {
        let mut found = Found {
            layout: self,
            len: self.bytes.len(),
            start: base,
            structs: Vec::new(),
            places: Vec::new(),
            homes: Vec::new(),
            deleted: IdSet::new(),
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
        let before = self.homes.len();
        let mut moved = vec![0; found.len()];
        let mut numbered: Vec<_> = found.into_iter().enumerate().collect();
        sort_by_key(&mut numbered, |(_, home)| home.number);
        let mut last = None;
        for (at, home) in numbered {
            let number = home.number;
            let known = match last {
                Some((last, at)) if last == number => Some(at),
                _ => self.home_of(number, before),
            };
            let home = known.unwrap_or_else(|| {
                self.homes.push(home);
                self.homes.len().saturating_sub(1)
            });
            last = Some((number, home));
            moved.get_mut(at).into_iter().for_each(|moved| *moved = home);
        }
        moved
    }

    /// Makes the structs from one on known by their ids.
    fn index(&mut self, first: usize) {
        let structs = &self.structs;
        let id = |at: usize| structs.get(at).map_or((0, 0), |it| it.id.numbers());
        let mut new: Vec<_> = (first..structs.len()).collect();
        sort_by_key(&mut new, |at| id(*at));
        let mut left = self.by_id.len();
        self.by_id.resize(left.saturating_add(new.len()), 0);
        // From the last one on, so that what is before all of them stays where it is.
        while let Some(at) = new.pop() {
            while let Some(before) = left.checked_sub(1).and_then(|it| self.by_id.get(it))
                && id(*before) > id(at)
            {
                left = left.saturating_sub(1);
                self.by_id.swap(left, left.saturating_add(new.len()).saturating_add(1));
            }
            let place = self.by_id.get_mut(left.saturating_add(new.len()));
            place.into_iter().for_each(|place| *place = at);
        }
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
        let mut cuts = Vec::new();
        for (id, len) in ranges(ids) {
            cuts.extend([id, Id { clock: id.clock.saturating_add(len), ..id }]);
        }
        self.split(cuts);
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

    /// All structs inside of some types that are there and hold content.
    pub(super) fn content(&self, types: Vec<Id>) -> impl Iterator<Item = &Struct> {
        let inside = self.inside(types);
        let is_inside = move |home: usize| inside.get(home).is_some_and(|it| *it);
        let is_content = |kind| !matches!(kind, Kind::Gc | Kind::Deleted | Kind::Format);
        let inside = self.structs.iter().filter(move |it| it.home.is_some_and(&is_inside));
        // What was deleted is a struct of its own.
        inside.filter(move |it| is_content(it.kind) && !self.is_deleted(it.id))
    }

    /// Of each home whether it is inside of one of these types.
    fn inside(&self, mut types: Vec<Id>) -> Vec<bool> {
        let mut inside = vec![false; self.homes.len()];
        while !types.is_empty() {
            sort_by_key(&mut types, Id::numbers);
            let mut new = vec![false; inside.len()];
            for ((home, new), inside) in self.homes.iter().zip(&mut new).zip(&mut inside) {
                let is_here = |parent| types.binary_search(&parent).is_ok();
                *new = !*inside && home.parent.is_some_and(is_here);
                *inside |= *new;
            }
            // And the types in there.
            let is_new = |home: usize| new.get(home).is_some_and(|it| *it);
            let all = self.structs.iter().filter(|it| it.kind == Kind::Type);
            types = all.filter(|it| it.home.is_some_and(is_new)).map(|it| it.id).collect();
        }
        inside
    }

    pub(super) fn is_deleted(&self, id: Id) -> bool {
        self.deleted.contains(&yrs_id(id))
    }

    pub(super) fn home(&self, home: usize) -> Option<&Home> {
        self.homes.get(home)
    }

    /// The values of a key in a type.
    pub(super) fn entry(&self, parent: Id, key: &str) -> Option<usize> {
        self.home_of(number(Some(parent), "", Some(key)), self.homes.len())
    }

    /// The one with a number among the first ones.
    fn home_of(&self, number: (u64, u64), end: usize) -> Option<usize> {
        self.homes.iter().take(end).position(|home| home.number == number)
    }

    /// The type around an element; `None` when it has a name.
    pub(super) fn parent(&self, id: Id) -> Option<Id> {
        self.home(self.find(id)?.home?)?.parent
    }

    /// Whether a home is in one of these types, or in one inside them.
    pub(super) fn is_in(&self, home: usize, places: &[Place]) -> bool {
        let mut next = self.home(home);
        while let Some(home) = next {
            if places.iter().any(|place| home.is_in(place)) {
                return true;
            }
            let around = home.parent.and_then(|parent| self.find(parent)?.home);
            next = around.and_then(|around| self.home(around));
        }
        false
    }
}
