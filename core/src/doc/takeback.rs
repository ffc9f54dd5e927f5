//! Taking an item of undo back, as one update: what it inserted is deleted, and what it deleted is
//! written again where it was.
//!
//! As in Yjs, what comes back stands before what was deleted, under a new id, and nothing of an item
//! comes back that the item made itself. Types in which others have written stay, and so do the
//! entries that others have set since.

use std::slice::from_ref;

use yrs::IdSet;

use super::copies::{Copies, Copy, id_set, ranges};
use super::layout::Layout;
use super::line::Element;
use super::node::Place;
use super::piece::Piece;
use super::replica::yrs_id;
use super::undo::Item;
use super::walk::{CONTENT, HAS_ORIGIN, HAS_PARENT_KEY, HAS_RIGHT_ORIGIN, Id, Kind};
use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;
use crate::wire::primitive::{Reader, len_u64, write_string, write_var};

/// An update that takes an item back, and what it brings back.
#[derive(Default)]
pub(super) struct TakeBack {
    pub(super) update: Vec<u8>,
    pub(super) copies: Vec<Copy>,
}

/// Who takes back, in which types, and what was brought back before.
pub(super) struct Taker<'t> {
    pub(super) client: ClientId,
    /// The clock of the next struct.
    pub(super) next: u64,
    pub(super) scope: &'t [Place],
    pub(super) copies: &'t Copies,
    /// Whether another item deleted something.
    pub(super) is_deleted_by_others: &'t dyn Fn(Id) -> bool,
}

/// The update for an item that does nothing but insert what nobody else can have written in; `None` for
/// any other.
pub(super) fn delete(item: &Item, copies: &Copies) -> Option<TakeBack> {
    let is_simple = !item.is_mixed && item.deletions.diff(&item.insertions).is_empty();
    is_simple.then(|| {
        let update = finish(Piece::default(), &copies.follow(&item.insertions));
        TakeBack { update, copies: Vec::new() }
    })
}

impl Taker<'_> {
    /// The update for an item.
    ///
    /// # Errors
    /// `update.malformed` when the layout is not that of a document.
    pub(super) fn take_back(&self, item: &Item, layout: &mut Layout) -> Result<TakeBack, Error> {
        // Nothing is brought back twice.
        let wanted = self.copies.rest(&item.deletions.diff(&item.insertions));
        layout.cut_out(&wanted);
        let parts = self.parts(&wanted, layout);
        let mut open = Vec::new();
        let mut homes = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            homes.push(part.home);
            if let Some(to) = self.place(part.home, layout) {
                open.push((at, to));
                homes.extend(other_home(part.home, to, layout));
            }
        }
        layout.order(&homes)?;
        // That may have split some more.
        let parts = self.parts(&wanted, layout);
        let doomed = self.doomed(&self.copies.follow(&item.insertions), layout);
        let mut revival = Revival {
            taker: self,
            layout,
            doomed: &doomed,
            made: &item.insertions,
            piece: Piece::default(),
            next: self.next,
            copies: Vec::new(),
        };
        revival.run(&parts, open)?;
        let Revival { piece, copies, .. } = revival;
        Ok(TakeBack { update: finish(piece, &doomed), copies })
    }

    /// All that may come back, by the parents of the homes it was in.
    fn parts(&self, wanted: &IdSet, layout: &Layout) -> Vec<Part> {
        let mut found = Vec::new();
        for element in layout.elements(wanted) {
            if let Some(it) = layout.get(element.of)
                && !matches!(it.kind, Kind::Gc | Kind::Deleted)
                && let Some(home) = it.home
                && layout.is_in(home, self.scope)
            {
                found.push((home, element));
            }
        }
        let mut parts: Vec<Part> = Vec::new();
        // Those of one home stay in the order of their ids.
        sort_by_key(&mut found, |(home, _)| layout.home(*home).map_or((0, 0), |home| home.number));
        for (home, element) in found {
            match parts.last_mut().filter(|part| part.home == home) {
                Some(part) => part.elements.push(element),
                None => parts.push(Part { home, elements: vec![element] }),
            }
        }
        sort_by_key(&mut parts, |part| {
            let parent = layout.home(part.home).and_then(|home| home.parent);
            parent.map_or((0, 0), |it| (it.client.get().saturating_add(1), it.clock))
        });
        parts
    }

    /// Where something of a home comes back, if the type around it is there now.
    fn place(&self, home: usize, layout: &Layout) -> Option<To> {
        let Some(parent) = layout.home(home)?.parent else { return Some(To::Same) };
        let now = self.copies.last(parent);
        if layout.is_deleted(now.unwrap_or(parent)) {
            return None;
        }
        Some(now.map_or(To::Same, To::Other))
    }

    /// What is to be deleted: all of the scope but types in which somebody else has written.
    fn doomed(&self, insertions: &IdSet, layout: &Layout) -> IdSet {
        let mut elements = layout.elements(insertions);
        let type_id = |it: &Element| Some(layout.get(it.of).filter(|it| it.kind == Kind::Type)?.id);
        let types: Vec<_> = elements.iter().filter_map(type_id).collect();
        let sheltering = self.sheltering(insertions, types, layout);
        elements.retain(|it| {
            let home = layout.get(it.of).and_then(|it| it.home);
            let is_sheltering = sheltering.get(it.of).is_some_and(|it| *it);
            !is_sheltering && home.is_some_and(|home| layout.is_in(home, self.scope))
        });
        id_set(elements.iter().map(|it| (it.id, it.len)).collect())
    }

    /// For each struct whether it is one of some types, or inside of one, and around something of
    /// somebody else which is there and not among these ids. Formats alone are no content.
    fn sheltering(&self, ids: &IdSet, types: Vec<Id>, layout: &Layout) -> Vec<bool> {
        let mut sheltering = Vec::new();
        for it in layout.content(types) {
            if it.id.client == self.client && !self.copies.has_lent() {
                continue;
            }
            let is_foreign =
                |id: Id| self.copies.is_foreign(id, self.client) && !ids.contains(&yrs_id(id));
            let mut elements = (it.id.clock..it.end()).map(|clock| Id { clock, ..it.id });
            let mut inner = elements.any(is_foreign).then_some(it.id);
            while let Some(parent) = inner.take().and_then(|inner| layout.parent(inner))
                && let Some(at) = layout.at(parent)
            {
                if at >= sheltering.len() {
                    sheltering.resize(at.saturating_add(1), false);
                }
                if let Some(is_new @ false) = sheltering.get_mut(at) {
                    *is_new = true;
                    inner = Some(parent);
                }
            }
        }
        sheltering
    }
}

/// The update with these structs that deletes these ids.
fn finish(mut piece: Piece, deleted: &IdSet) -> Vec<u8> {
    let mut at = piece.next_part();
    let mut last = None;
    for (id, len) in ranges(deleted) {
        at = at
            .saturating_add(usize::from(last.replace(id.client).is_some_and(|it| it != id.client)));
        if let Some(part) = piece.part(at, id.client) {
            part.delete(id.clock, id.clock.saturating_add(len));
        }
    }
    piece.finish()
}

/// What of one home comes back.
struct Part {
    home: usize,
    elements: Vec<Element>,
}

/// Where something comes back.
#[derive(Clone, Copy)]
enum To {
    /// Where it was.
    Same,
    /// In another type that stands for the one it was in.
    Other(Id),
    /// The same, and that one has just been made.
    New(Id),
}

/// Structs that are written again.
struct Revival<'r> {
    taker: &'r Taker<'r>,
    layout: &'r Layout,
    doomed: &'r IdSet,
    /// What the item had inserted.
    made: &'r IdSet,
    piece: Piece,
    next: u64,
    copies: Vec<Copy>,
}

/// The home of the same key in another type.
fn other_home(home: usize, to: To, layout: &Layout) -> Option<usize> {
    let To::Other(parent) = to else { return None };
    layout.entry(parent, layout.home(home)?.key.as_deref()?)
}

impl Revival<'_> {
    fn run(&mut self, parts: &[Part], mut open: Vec<(usize, To)>) -> Result<(), Error> {
        // By the parents of their homes: `parts` is sorted so.
        let parent = |part: &Part| self.layout.home(part.home).and_then(|home| home.parent);
        let parents: Vec<_> = parts.iter().map(parent).collect();
        while let Some((at, to)) = open.pop() {
            let Some(part) = parts.get(at) else { continue };
            let before = self.copies.len();
            match self.layout.home(part.home).and_then(|home| home.key.as_deref()) {
                Some(key) => self.entry(key, part, to)?,
                None => self.list(part, to)?,
            }
            // What was inside the types that came back.
            for copy in self.copies.get(before..).unwrap_or_default() {
                let first = parents.partition_point(|parent| *parent < Some(copy.from));
                let inside = parents.get(first..).unwrap_or_default().iter();
                let inside = inside.take_while(|parent| **parent == Some(copy.from)).count();
                open.extend((first..).take(inside).map(|at| (at, To::New(copy.to))));
            }
        }
        Ok(())
    }

    /// Brings back what was in a list.
    fn list(&mut self, part: &Part, to: To) -> Result<(), Error> {
        let layout = self.layout;
        let line = match to {
            To::Same => part.elements.clone(),
            To::Other(_) | To::New(_) => layout.line(part.home),
        };
        let is_wanted = wanted(part, &line);
        // What stands on the right of each element in the list where it comes back.
        let mut rights = vec![None; line.len()];
        if let To::Other(parent) = to {
            let mut right = None;
            for (slot, it) in rights.iter_mut().zip(&line).rev() {
                right = self.now(it, parent).next().map(|(first, _)| first).or(right);
                *slot = right;
            }
        }
        let mut left = None;
        let mut at = 0;
        while let Some(first) = line.get(at) {
            let is_back = is_wanted.get(at).is_some_and(|it| *it);
            let mut right = rights.get(at).copied().flatten();
            if matches!(to, To::Same) {
                (left, right) = (layout.before(first.of), Some(first.id));
            }
            let mut end = at.saturating_add(1);
            while is_back
                && is_wanted.get(end).is_some_and(|it| *it)
                && let Some([last, next]) = line.get(end.saturating_sub(1)..=end)
                && is_joint(layout, last, next)
            {
                end = end.saturating_add(1);
            }
            let elements = line.get(at..end).unwrap_or_default();
            at = end;
            let copy = match is_back {
                true => self.write(elements, [left, right], to, None)?,
                false => None,
            };
            left = match to {
                To::Same | To::New(_) => copy.or(left),
                To::Other(parent) => {
                    let now = || self.now(first, parent).last().map(|(_, last)| last);
                    copy.or_else(now).or(left)
                }
            };
        }
        Ok(())
    }

    /// What stands for the parts of an element in another type: the first and the last one of each. A
    /// copy in the same type has its own place there.
    fn now(&self, element: &Element, parent: Id) -> impl Iterator<Item = (Id, Id)> {
        let copies = self.taker.copies;
        copies.within(element.id, element.len).filter_map(move |copy| {
            let end = copy.from.clock.saturating_add(copy.len).saturating_sub(1);
            let first = copies.last(copy.from)?;
            let last = copies.last(Id { clock: end, ..copy.from })?;
            let is_in = |id, parent| self.layout.parent(id) == parent;
            let is_there = is_in(first, Some(parent)) && is_in(last, Some(parent));
            let is_moved = !is_in(copy.to, self.layout.parent(element.id));
            (is_there && is_moved).then_some((first, last))
        })
    }

    /// Brings back the last one of the values of a key that the item deleted, unless somebody else has
    /// set another one since.
    fn entry(&mut self, key: &str, part: &Part, to: To) -> Result<(), Error> {
        let line = self.layout.line(part.home);
        let is_wanted = wanted(part, &line);
        let Some(at) = is_wanted.iter().rposition(|it| *it) else { return Ok(()) };
        let (Some(value), Some(last)) = (line.get(at), line.last()) else { return Ok(()) };
        if !self.is_last(at, &line) || self.is_of_others(last) {
            return Ok(());
        }
        let left = match to {
            To::Same => Some(*last),
            To::New(_) => None,
            To::Other(_) => {
                let home = other_home(part.home, to, self.layout);
                home.and_then(|home| self.layout.line(home).pop())
            }
        };
        let is_taken = |it: &Element| !self.layout.is_deleted(it.id) && !self.gives_way(it);
        if matches!(to, To::Other(_)) && left.as_ref().is_some_and(is_taken) {
            return Ok(());
        }
        let left = left.as_ref().map(Element::last);
        self.write(from_ref(value), [left, None], to, Some(key)).map(drop)
    }

    /// Whether a value of a key is the last one but for those that give way. What was undone since stands
    /// behind one of these, before its copy.
    fn is_last(&self, mut at: usize, line: &[Element]) -> bool {
        while let Some(next) = line.get(at.saturating_add(1)) {
            if !self.gives_way(next) {
                return false;
            }
            at = at.saturating_add(1);
            if let Some(now) = self.taker.copies.last(next.id) {
                let behind = line.get(at..).unwrap_or_default();
                let Some(passed) = behind.iter().position(|it| it.id == now) else { break };
                at = at.saturating_add(passed);
            }
        }
        true
    }

    /// Whether a value is there and stays, and others have written it, or in it.
    fn is_of_others(&self, value: &Element) -> bool {
        let stays = !self.layout.is_deleted(value.id) && !self.doomed.contains(&yrs_id(value.id));
        let is_foreign = || self.taker.copies.is_foreign(value.id, self.taker.client);
        let is_sheltering = || {
            let types = vec![value.id];
            let sheltering = self.taker.sheltering(self.made, types, self.layout);
            sheltering.get(value.of) == Some(&true)
        };
        stays && (is_foreign() || is_sheltering())
    }

    /// Whether a value is one of the item's own, has a copy, or was deleted by another item.
    fn gives_way(&self, element: &Element) -> bool {
        let id = yrs_id(element.id);
        self.doomed.contains(&id)
            || self.layout.is_deleted(element.id) && self.made.contains(&id)
            || self.taker.copies.last(element.id).is_some()
            || (self.taker.is_deleted_by_others)(element.id)
    }

    /// Writes a copy of elements that become one struct between two others, or without them as the
    /// first one in a type; gives its last element.
    fn write(
        &mut self,
        elements: &[Element],
        [left, right]: [Option<Id>; 2],
        to: To,
        key: Option<&str>,
    ) -> Result<Option<Id>, Error> {
        let Some(first) = elements.first() else { return Ok(None) };
        let Some(of) = self.layout.get(first.of) else { return Ok(None) };
        let id = Id { client: self.taker.client, clock: self.next };
        let Some(structs) = self.piece.part(0, id.client) else { return Ok(None) };
        let layout = self.layout;
        structs.add(id.clock, |out| {
            let sides = [(left, HAS_ORIGIN), (right, HAS_RIGHT_ORIGIN)];
            let given = sides.into_iter().filter(|(id, _)| id.is_some());
            let info = given.fold(layout.info(of) & CONTENT, |info, (_, flag)| info | flag);
            out.push(if key.is_some() { info | HAS_PARENT_KEY } else { info });
            for side in [left, right].into_iter().flatten() {
                write_id(side, out);
            }
            if left.or(right).is_none()
                && let To::Other(parent) | To::New(parent) = to
            {
                write_var(out, 0);
                write_id(parent, out);
                key.iter().for_each(|key| write_string(out, key));
            }
            write_contents(layout, elements, out)
        })?;
        let len = length(elements);
        self.copies.push(Copy { from: first.id, to: id, len });
        self.next = self.next.saturating_add(len);
        Ok(Some(Id { clock: self.next.saturating_sub(1), ..id }))
    }
}

/// Whether an element stands behind another one, and comes back in the same struct.
fn is_joint(layout: &Layout, left: &Element, right: &Element) -> bool {
    let kind = |it: &Element| layout.get(it.of).map(|it| it.kind);
    layout.before(right.of) == Some(left.last())
        && right.id == Id { clock: left.end(), ..left.id }
        && kind(left) == kind(right)
        && matches!(kind(left), Some(Kind::Text | Kind::Values))
}

fn length(elements: &[Element]) -> u64 {
    elements.iter().fold(0, |len, it| len.saturating_add(it.len))
}

/// Writes the contents of elements as one: of several ones when all are texts, or all are values.
fn write_contents(layout: &Layout, elements: &[Element], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut all = Vec::new();
    let mut is_text = false;
    for element in elements {
        let Some(it) = layout.get(element.of) else { continue };
        let mut run = layout.run(it, element.id.clock)?;
        if elements.len() == 1 {
            return run.write_content(element.len, out);
        }
        let mut content = Vec::new();
        run.write_content(element.len, &mut content)?;
        // How long it is comes first: in bytes, or in values.
        let mut reader = Reader::new(&content);
        reader.var().ok();
        is_text = it.kind == Kind::Text;
        all.extend_from_slice(content.get(reader.position()..).unwrap_or_default());
    }
    write_var(out, if is_text { len_u64(&all) } else { length(elements) });
    out.extend_from_slice(&all);
    Ok(())
}

/// Which elements of a line are to come back.
fn wanted(part: &Part, line: &[Element]) -> Vec<bool> {
    let is_wanted = |it: &Element| {
        let at = part.elements.partition_point(|wanted| {
            (wanted.id.client, wanted.id.clock) <= (it.id.client, it.id.clock)
        });
        let before = at.checked_sub(1).and_then(|at| part.elements.get(at));
        before.is_some_and(|wanted| wanted.id.client == it.id.client && it.id.clock < wanted.end())
    };
    line.iter().map(is_wanted).collect()
}

fn write_id(id: Id, out: &mut Vec<u8>) {
    write_var(out, id.client.get());
    write_var(out, id.clock);
}
