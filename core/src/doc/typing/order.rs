//! What is known of the order of one text: stretches of it, from its beginning to its end.

use crate::doc::walk::Id;

/// Elements of one client, one after the other.
pub(super) type Range = (Id, u32);

/// What is on both sides of an insertion.
pub(super) type Sides = (Option<Id>, Option<Id>);

pub(super) fn end((id, len): Range) -> u64 {
    id.clock.saturating_add(u64::from(len))
}

/// A part of a text. Between two that are known, there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// Text.
    Text(Range),
    /// Was deleted.
    Gone(Range),
    /// So many units of anything, with any number of formats and deleted elements around them. What it
    /// begins with, if that is known and not deleted.
    Unknown(Option<Id>, u32),
}

impl Stretch {
    const fn units(self) -> u32 {
        match self {
            Self::Text((_, len)) | Self::Unknown(_, len) => len,
            Self::Gone(_) => 0,
        }
    }

    /// What it begins with, when that is not deleted.
    const fn first(self) -> Option<Id> {
        match self {
            Self::Text((id, _)) => Some(id),
            Self::Unknown(first, _) => first,
            Self::Gone(_) => None,
        }
    }

    fn last(self) -> Option<Id> {
        match self {
            Self::Text(range) | Self::Gone(range) => {
                Some(Id { clock: end(range).saturating_sub(1), ..range.0 })
            }
            Self::Unknown(..) => None,
        }
    }

    /// The same with the next one, when both are one.
    fn joined(self, next: Self) -> Option<Self> {
        let follow = |one: Range, other: Range| {
            let follows = one.0.client == other.0.client && end(one) == other.0.clock;
            follows.then(|| (one.0, one.1.saturating_add(other.1)))
        };
        match (self, next) {
            (Self::Text(one), Self::Text(other)) => follow(one, other).map(Self::Text),
            (Self::Gone(one), Self::Gone(other)) => follow(one, other).map(Self::Gone),
            (Self::Unknown(first, one), Self::Unknown(_, other)) => {
                Some(Self::Unknown(first, one.saturating_add(other)))
            }
            _ => None,
        }
    }

    /// Both parts of one with text in it, cut behind so many units.
    const fn split(self, units: u32) -> (Self, Self) {
        match self {
            Self::Text((id, len)) | Self::Gone((id, len)) => {
                let rest = Id { clock: id.clock.saturating_add(units as u64), ..id };
                (Self::Text((id, units)), Self::Text((rest, len.saturating_sub(units))))
            }
            Self::Unknown(first, len) => {
                (Self::Unknown(first, units), Self::Unknown(None, len.saturating_sub(units)))
            }
        }
    }
}

/// Adds a stretch to others, or makes it a part of the last one.
#[inline(never)]
fn join(stretches: &mut Vec<Stretch>, next: Stretch) {
    match stretches.last_mut().and_then(|last| Some((last.joined(next)?, last))) {
        Some((both, last)) => *last = both,
        None => stretches.push(next),
    }
}

/// What is known of the order of one text.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) stretches: Vec<Stretch>,
    pub(super) length: u32,
    /// One of the stretches and the index where it begins: most edits are near the last one.
    near: (usize, u32),
}

impl Order {
    pub(super) fn unknown(length: u32) -> Self {
        Self { stretches: vec![Stretch::Unknown(None, length)], length, near: (0, 0) }
    }

    fn at(&self, at: usize) -> Option<Stretch> {
        self.stretches.get(at).copied()
    }

    fn before(&self, at: usize) -> Option<Stretch> {
        self.at(at.checked_sub(1)?)
    }

    /// Goes to the first stretch that reaches an index: one that ends there, if one does.
    fn find(&mut self, index: u32) -> (usize, u32) {
        let (mut at, mut start) = self.near;
        while start >= index
            && let Some(before) = self.before(at)
        {
            at -= 1;
            start = start.saturating_sub(before.units());
        }
        while let Some(stretch) = self.at(at)
            && start.saturating_add(stretch.units()) < index
        {
            start += stretch.units();
            at += 1;
        }
        self.near = (at, start);
        self.near
    }

    /// Where an insertion comes: inside a stretch, behind some of its units, or at a place between two.
    fn place(&mut self, index: u32) -> (usize, Option<(Stretch, u32)>) {
        let (at, start) = self.find(index);
        let units = index.saturating_sub(start);
        match self.at(at) {
            Some(stretch) if 0 < units && units < stretch.units() => (at, Some((stretch, units))),
            // One that ends there lies before.
            _ => (at + usize::from(units > 0), None),
        }
    }

    /// What would be on both sides of an insertion. It comes behind what was deleted at its place:
    /// these are the last element before it, and the first one behind it that is not deleted.
    pub(super) fn neighbors(&mut self, index: u32) -> Option<Sides> {
        let (mut at, inside) = self.place(index);
        if let Some((stretch, units)) = inside {
            let (left, right) = stretch.split(units);
            return Some((Some(left.last()?), Some(right.first()?)));
        }
        while matches!(self.at(at), Some(Stretch::Gone(_))) {
            at += 1;
        }
        let left = self.before(at).map_or(Some(None), |left| left.last().map(Some))?;
        let right = self.at(at).map_or(Some(None), |right| right.first().map(Some))?;
        Some((left, right))
    }

    /// The elements of a part of the text, in the order of their clocks, when they are all known: then
    /// they are own ones.
    pub(super) fn ids(&mut self, index: u32, count: u32) -> Option<Vec<Range>> {
        let (mut at, start) = self.find(index);
        let (mut skip, mut left) = (index.saturating_sub(start), count);
        let mut ranges = Vec::with_capacity(1);
        while left > 0 {
            let stretch = self.at(at)?;
            let units = stretch.units().saturating_sub(skip).min(left);
            if units > 0 {
                let Stretch::Text((id, _)) = stretch else { return None };
                let first = Id { clock: id.clock.saturating_add(u64::from(skip)), ..id };
                let before = ranges.partition_point(|(id, _): &Range| id.clock < first.clock);
                ranges.insert(before, (first, units));
            }
            left -= units;
            skip = skip.saturating_sub(stretch.units());
            at += 1;
        }
        ranges.dedup_by(|next, before| {
            let joins = end(*before) == next.0.clock;
            before.1 += if joins { next.1 } else { 0 };
            joins
        });
        Some(ranges)
    }

    /// Takes in text that was inserted between two elements; `None` when it cannot be there.
    pub(super) fn inserted(&mut self, index: u32, new: Range, (left, right): Sides) -> Option<()> {
        let new = Stretch::Text(new);
        self.length = self.length.checked_add(new.units())?;
        if self.extend(index, new, (left, right)).is_some() {
            return Some(());
        }
        let (at, inside) = self.place(index);
        if let Some((stretch, units)) = inside {
            let (before, behind) = stretch.split(units);
            let behind = match behind {
                Stretch::Unknown(_, len) => Stretch::Unknown(right, len),
                known => known,
            };
            self.replace(at, 1, &[before, new, behind]);
            return Some(());
        }
        // Whatever has no text may be at its place. Where what is on its right is not found, it is in
        // what is unknown, if there is only one such stretch.
        let (mut to, mut unknown) = (at, None);
        let is_found = loop {
            let Some(stretch) = self.at(to) else { break right.is_none() };
            if right.is_some() && stretch.first() == right {
                break true;
            }
            if matches!(stretch, Stretch::Unknown(None, _)) && unknown.replace(to).is_some() {
                return None;
            }
            if stretch.first().is_some() || stretch.units() > 0 {
                break false;
            }
            to += 1;
        };
        if is_found {
            to = self.replace(to, 0, &[new]);
        } else {
            to = unknown?;
            let units = self.at(to)?.units();
            let behind = Stretch::Unknown(right, units);
            let is_end = right.is_none() && units == 0;
            let parts = [Stretch::Unknown(None, 0), new, behind];
            to = 1 + self.replace(to, 1, parts.get(..if is_end { 2 } else { 3 })?);
        }
        // Nothing is unknown on its left when that is what it was inserted behind.
        if let Some(Stretch::Unknown(_, 0)) = self.before(to) {
            let before = self.before(to - 1).map_or(Some(None), |before| before.last().map(Some));
            if before == Some(left) {
                self.replace(to - 1, 1, &[]);
            }
        }
        Some(())
    }

    /// The same for what most keys are: the next one of a stretch, with what is on its right known.
    fn extend(&mut self, index: u32, new: Stretch, (left, right): Sides) -> Option<()> {
        let (at, start) = self.find(index);
        let known = self.at(at).filter(|it| matches!(it, Stretch::Text(_)))?;
        let next = match self.at(at + 1) {
            Some(next) => Some(next.first()?),
            None => None,
        };
        let is_next = start.saturating_add(known.units()) == index;
        if !is_next || left != known.last() || right != next {
            return None;
        }
        *self.stretches.get_mut(at)? = known.joined(new)?;
        Some(())
    }

    /// Takes in that a part of the text was deleted.
    pub(super) fn deleted(&mut self, index: u32, count: u32) -> Option<()> {
        self.length = self.length.checked_sub(count)?;
        let (first, start) = self.find(index);
        let (mut skip, mut left) = (index.saturating_sub(start), count);
        let mut at = first;
        let mut parts = Vec::with_capacity(3);
        while left > 0 {
            let stretch = self.at(at)?;
            let units = stretch.units().saturating_sub(skip).min(left);
            if units == 0 {
                parts.push(stretch);
            } else {
                let (before, rest) = stretch.split(skip);
                let (gone, behind) = rest.split(units);
                let gone = match gone {
                    Stretch::Text(range) => Stretch::Gone(range),
                    _ => Stretch::Unknown(None, 0),
                };
                parts.extend((skip > 0).then_some(before));
                parts.push(gone);
                parts.extend((behind.units() > 0).then_some(behind));
            }
            left -= units;
            skip = skip.saturating_sub(stretch.units());
            at += 1;
        }
        self.replace(first, at - first, &parts);
        Some(())
    }

    /// Puts others in the place of some stretches, joined with those around them where that is
    /// possible. The answer is where the first of them is, or the one that it is a part of now.
    fn replace(&mut self, at: usize, count: usize, parts: &[Stretch]) -> usize {
        let from = at.saturating_sub(1);
        let to = self.stretches.len().min(at + count + 1);
        self.near = (from, self.start_of(from));
        let mut joined: Vec<Stretch> = Vec::with_capacity(parts.len() + 2);
        joined.extend(self.before(at));
        let mut first = None;
        for part in parts.iter().copied().chain(self.at(at + count)) {
            join(&mut joined, part);
            first.get_or_insert(from + joined.len() - 1);
        }
        // Mostly there are as many as before.
        if to - from > joined.len() {
            self.stretches.drain(from..to - joined.len());
        }
        for _ in to - from..joined.len() {
            self.stretches.insert(from, Stretch::Unknown(None, 0));
        }
        if let Some(stretches) = self.stretches.get_mut(from..from + joined.len()) {
            stretches.copy_from_slice(&joined);
        }
        first.unwrap_or(from)
    }

    /// The index at which a stretch near the last one begins.
    fn start_of(&self, at: usize) -> u32 {
        let (near, start) = self.near;
        let units = |from: usize, to: usize| -> u32 {
            self.stretches.get(from..to).unwrap_or_default().iter().map(|it| it.units()).sum()
        };
        if at < near { start - units(at, near) } else { start + units(near, at) }
    }
}
