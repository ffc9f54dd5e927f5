//! What undo brought back: the same content under new ids.

use yrs::IdSet;

use super::replica::{our_id, yrs_id};
use super::walk::Id;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;

/// Content that was brought back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    pub(super) from: Id,
    pub(super) to: Id,
    pub(super) len: u64,
}

impl Copy {
    const fn end(&self) -> u64 {
        self.from.clock.saturating_add(self.len)
    }
}

/// Everything that was brought back. Nothing is brought back twice, but a copy may be.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// By the ids of what they were made from.
    all: Vec<Copy>,
    /// Those of what somebody else has written.
    lent: IdSet,
}

impl Copies {
    pub(super) fn add(&mut self, copies: Vec<Copy>, client: ClientId) {
        for copy in &copies {
            if self.is_foreign(copy.from, client) {
                insert(&mut self.lent, copy.to, copy.len);
            }
        }
        self.all.extend(copies);
        sort_by_key(&mut self.all, |copy| copy.from.numbers());
    }

    /// Whether somebody else has written it, as a client sees it.
    pub(super) fn is_foreign(&self, id: Id, client: ClientId) -> bool {
        id.client != client || self.lent.contains(&yrs_id(id))
    }

    pub(super) fn has_lent(&self) -> bool {
        !self.lent.is_empty()
    }

    /// The copies of what lies in a range.
    pub(super) fn within(&self, id: Id, len: u64) -> impl Iterator<Item = Copy> {
        let end = Id { clock: id.clock.saturating_add(len), ..id };
        let before = self.all.partition_point(|copy| copy.from <= id);
        // The one before may reach into it.
        let first = before.saturating_sub(1);
        let all = self.all.get(first..).unwrap_or_default().iter();
        all.take_while(move |copy| copy.from < end).filter_map(move |copy| {
            let start = copy.from.clock.max(id.clock);
            let len = copy.end().min(end.clock).saturating_sub(start);
            let to = copy.to.clock.saturating_add(start.saturating_sub(copy.from.clock));
            let is_here = copy.from.client == id.client && start < end.clock && start < copy.end();
            is_here.then_some(Copy {
                from: Id { clock: start, ..id },
                to: Id { clock: to, ..copy.to },
                len,
            })
        })
    }

    /// What stands for an element now, when it was brought back.
    pub(super) fn last(&self, id: Id) -> Option<Id> {
        let mut last = None;
        while let Some(copy) = self.within(last.unwrap_or(id), 1).next() {
            last = Some(copy.to);
        }
        last
    }

    /// What stands for these elements now.
    pub(super) fn follow(&self, ids: &IdSet) -> IdSet {
        self.walk(ids, true)
    }

    /// Those of these elements that have no copies.
    pub(super) fn rest(&self, ids: &IdSet) -> IdSet {
        self.walk(ids, false)
    }

    /// What of these elements has no copies, and of their copies when they are to be followed.
    fn walk(&self, ids: &IdSet, follows: bool) -> IdSet {
        let mut open: Vec<_> = ranges(ids).collect();
        let mut found = Vec::with_capacity(open.len());
        while let Some((id, len)) = open.pop() {
            let end = id.clock.saturating_add(len);
            let mut start = id.clock;
            for copy in self.within(id, len) {
                let len = copy.from.clock.saturating_sub(start);
                found.push((Id { clock: start, ..id }, len));
                start = copy.end();
                open.extend(follows.then_some((copy.to, copy.len)));
            }
            found.push((Id { clock: start, ..id }, end.saturating_sub(start)));
        }
        id_set(found)
    }
}

/// The set of ranges in any order.
pub(super) fn id_set(mut ranges: Vec<(Id, u64)>) -> IdSet {
    sort_by_key(&mut ranges, |(id, _)| id.numbers());
    let mut ids = IdSet::new();
    for (id, len) in ranges.into_iter().filter(|(_, len)| *len > 0) {
        insert(&mut ids, id, len);
    }
    ids
}

/// Adds a range to a set.
pub(super) fn insert(ids: &mut IdSet, id: Id, len: u64) {
    ids.insert(yrs_id(id), u32::try_from(len).unwrap_or(u32::MAX));
}

/// Adds one set to another.
pub(super) fn insert_all(ids: &mut IdSet, others: &IdSet) {
    ranges(others).for_each(|(id, len)| insert(ids, id, len));
}

/// The ranges of a set: where they begin, and how long they are.
pub(super) fn ranges(ids: &IdSet) -> impl Iterator<Item = (Id, u64)> {
    ids.iter().flat_map(|(client, ranges)| {
        ranges.into_iter().map(|range| {
            let id = our_id(yrs::ID::new(*client, range.start));
            (id, u64::from(range.end.saturating_sub(range.start)))
        })
    })
}
