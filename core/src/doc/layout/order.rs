//! The order of the elements in a layout: found out for a home when it is asked for, and kept while
//! what comes is put where nothing else was put at the same time.

use super::{Layout, Order, Struct};
use crate::doc::line::{Element, Line, Link};
use crate::doc::walk::Id;
use crate::error::Error;

impl Layout {
    /// Brings homes into order.
    ///
    /// # Errors
    /// `update.malformed` when a struct is none.
    pub(in crate::doc) fn order(&mut self, homes: &[usize]) -> Result<(), Error> {
        let mut is_open = false;
        for home in homes {
            if let Some(home) = self.homes.get_mut(*home).filter(|it| it.order == Order::Unknown) {
                home.order = Order::Wanted;
                is_open = true;
            }
        }
        while is_open {
            for at in &self.by_id {
                let home = self.structs.get(*at).and_then(|it| it.home);
                if let Some(home) = home.and_then(|home| self.homes.get_mut(home))
                    && home.order == Order::Wanted
                {
                    home.met.push(*at);
                }
            }
            let mut cuts = Vec::new();
            for home in homes {
                let Some(it) = self.homes.get_mut(*home) else { continue };
                let structs = std::mem::take(&mut it.met);
                let line = self.linked(&structs, &mut cuts)?;
                if cuts.is_empty() && !structs.is_empty() {
                    self.put(*home, &line.into_order());
                }
            }
            is_open = !cuts.is_empty();
            self.split(cuts);
        }
        Ok(())
    }

    /// All elements of a home that is in order.
    pub(in crate::doc) fn line(&self, home: usize) -> Vec<Element> {
        let mut line = Vec::new();
        let mut next = self.home(home).and_then(|home| home.first);
        while let Some((of, it)) = next.and_then(|of| Some((of, self.get(of)?))) {
            line.push(Element { of, id: it.id, len: it.len });
            next = it.right;
        }
        line
    }

    /// The last element before a struct, in a home that is in order.
    pub(in crate::doc) fn before(&self, of: usize) -> Option<Id> {
        let left = self.get(self.get(of)?.left?)?;
        Some(left.last())
    }

    /// Between which elements a struct was inserted.
    fn neighbors(&self, it: &Struct) -> Result<[Option<Id>; 2], Error> {
        let block = self.block(it)?;
        let before = || Id { clock: it.id.clock.saturating_sub(1), ..it.id };
        let origin = if it.passed > 0 { Some(before()) } else { block.origin };
        Ok([origin, block.right_origin])
    }

    /// The structs of one home, given by id, and between which others they were inserted. Each of those
    /// is a neighbor as a whole, or is to be split at one of the `cuts`.
    fn linked(&self, structs: &[usize], cuts: &mut Vec<Id>) -> Result<Line, Error> {
        let mut line = Line::default();
        // Side by side, because each of them is looked for in many.
        let ids: Vec<_> = structs.iter().filter_map(|of| Some(self.get(*of)?.id)).collect();
        let find = |id: Id, at: usize| {
            let get = |at: usize| Some((at, self.get(*structs.get(at)?).filter(|it| it.has(id))?));
            // It is often the one before.
            let before = at.checked_sub(1).and_then(get);
            before.or_else(|| get(ids.partition_point(|it| *it <= id).checked_sub(1)?))
        };
        for (at, of) in structs.iter().enumerate() {
            let Some(it) = self.get(*of) else { continue };
            let [origin, right_origin] = self.neighbors(it)?;
            let left = origin.and_then(|id| find(id, at));
            let right = right_origin.and_then(|id| find(id, at));
            if let Some((_, left)) = left
                && origin != Some(left.last())
            {
                cuts.extend(origin.map(next));
            }
            if let Some((_, right)) = right
                && right_origin != Some(right.id)
            {
                cuts.extend(right_origin);
            }
            line.elements.push(Element { of: *of, id: it.id, len: it.len });
            line.links.push(Link::new(left.map(|it| it.0), right.map(|it| it.0)));
        }
        Ok(line)
    }

    /// Puts all structs of a home into their order.
    fn put(&mut self, home: usize, order: &[Element]) {
        let mut left = None;
        for (at, element) in order.iter().enumerate() {
            if let Some(it) = self.structs.get_mut(element.of) {
                it.left = left.replace(element.of);
                it.right = order.get(at.saturating_add(1)).map(|next| next.of);
            }
        }
        if let Some(home) = self.homes.get_mut(home) {
            home.first = order.first().map(|it| it.of);
            home.order = Order::Known;
        }
    }

    /// Puts the structs from one on into the homes that are in order. Where others were put into the
    /// same place, the home is out of order from then on.
    pub(super) fn join(&mut self, first: usize) -> Result<(), Error> {
        let mut cuts = Vec::new();
        for it in self.structs.get(first..).unwrap_or_default() {
            if it.home.is_some_and(|home| self.is_in_order(home)) {
                let [origin, right_origin] = self.neighbors(it)?;
                cuts.extend(origin.map(next));
                cuts.extend(right_origin);
            }
        }
        self.split(cuts);
        (first..self.structs.len()).try_for_each(|at| self.join_one(at))
    }

    fn join_one(&mut self, at: usize) -> Result<(), Error> {
        let Some(it) = self.get(at) else { return Ok(()) };
        let Some(home) = it.home.filter(|home| self.is_in_order(*home)) else { return Ok(()) };
        if self.is_in_line(at, home) {
            return Ok(());
        }
        let [origin, right_origin] = self.neighbors(it)?;
        let left = origin.and_then(|id| self.at(id));
        let right = right_origin.and_then(|id| self.at(id));
        let ends_with = |left: usize, id: Id| self.get(left).is_some_and(|it| it.last() == id);
        let begins_with = |right: usize, id: Id| self.get(right).is_some_and(|it| it.id == id);
        let is_here = |at: usize| {
            self.get(at).is_some_and(|it| it.home == Some(home)) && self.is_in_line(at, home)
        };
        let behind = match left {
            Some(left) => self.get(left).and_then(|left| left.right),
            None => self.home(home).and_then(|home| home.first),
        };
        let is_free = behind == right
            && origin.is_none_or(|id| left.is_some_and(|it| is_here(it) && ends_with(it, id)))
            && right_origin
                .is_none_or(|id| right.is_some_and(|it| is_here(it) && begins_with(it, id)));
        if is_free {
            self.link(home, left, Some(at));
            self.link(home, Some(at), right);
        } else if let Some(home) = self.homes.get_mut(home) {
            home.order = Order::Unknown;
        }
        Ok(())
    }

    fn is_in_order(&self, home: usize) -> bool {
        self.home(home).is_some_and(|home| home.order == Order::Known)
    }

    /// Whether a struct is where it belongs in a home.
    pub(super) fn is_in_line(&self, at: usize, home: usize) -> bool {
        let has_left = || self.get(at).is_some_and(|it| it.left.is_some());
        let is_first = || self.home(home).is_some_and(|home| home.first == Some(at));
        self.is_in_order(home) && (is_first() || has_left())
    }

    /// Makes two structs of a home neighbors; without one of them, the other one is at its end.
    pub(super) fn link(&mut self, home: usize, left: Option<usize>, right: Option<usize>) {
        match left {
            Some(left) => {
                if let Some(it) = self.structs.get_mut(left) {
                    it.right = right;
                }
            }
            None => {
                if let Some(home) = self.homes.get_mut(home) {
                    home.first = right;
                }
            }
        }
        if let Some(it) = right.and_then(|right| self.structs.get_mut(right)) {
            it.left = left;
        }
    }
}

const fn next(id: Id) -> Id {
    Id { clock: id.clock.saturating_add(1), ..id }
}

#[cfg(test)]
impl Layout {
    /// What stands in each home that is in order, type by type, and what of it is deleted. What is
    /// inside of deleted types is left out: nobody looks there, and documents drop it.
    pub(in crate::doc) fn shown(&self) -> Vec<((u64, u64), String)> {
        let mut shown = Vec::new();
        for home in (0..self.homes.len()).filter(|home| self.is_in_order(*home)) {
            let mut runs: Vec<(Id, Id, bool)> = Vec::new();
            for it in self.line(home) {
                let (end, is_deleted) = (Id { clock: it.end(), ..it.id }, self.is_deleted(it.id));
                match runs.last_mut().filter(|last| (last.1, last.2) == (it.id, is_deleted)) {
                    Some(last) => last.1 = end,
                    None => runs.push((it.id, end, is_deleted)),
                }
            }
            if self.is_there(home) && !runs.is_empty() {
                shown.push((self.home(home).unwrap().number, format!("{runs:?}")));
            }
        }
        shown.sort();
        shown
    }

    fn is_there(&self, mut home: usize) -> bool {
        while let Some(parent) = self.home(home).and_then(|home| home.parent) {
            let Some(around) = self.find(parent).and_then(|it| it.home) else { return false };
            if self.is_deleted(parent) {
                return false;
            }
            home = around;
        }
        true
    }

    /// Brings the homes into order that another one has in order, or all.
    pub(in crate::doc) fn order_as(&mut self, other: Option<&Self>) {
        let is_wanted = |home: &usize| {
            let number = self.home(*home).unwrap().number;
            other.is_none_or(|it| {
                it.home_of(number, it.homes.len()).is_some_and(|home| it.is_in_order(home))
            })
        };
        let homes: Vec<_> = (0..self.homes.len()).filter(is_wanted).collect();
        self.order(&homes).unwrap();
    }
}
