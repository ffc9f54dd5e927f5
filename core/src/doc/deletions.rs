//! What was deleted, to see whether an update deletes anything new.

use std::collections::BTreeMap;

use super::splice::write_count;
use super::walk::{Block, Visit, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::ordered::sort_by_key;
use crate::wire::primitive::write_var;

/// Deleted ranges of clocks by client: sorted, apart from each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deletions(BTreeMap<ClientId, Vec<(u64, u64)>>);

impl Deletions {
    /// The deletions of one update.
    ///
    /// # Errors
    /// `update.malformed` for bytes that are no update.
    pub fn of(update: &[u8]) -> Result<Self, Error> {
        let mut deletions = Self::default();
        walk(update, usize::MAX, &mut deletions)?;
        Ok(deletions)
    }

    /// What all of these updates delete.
    pub(super) fn of_all<B: AsRef<[u8]>>(updates: &[B]) -> Result<Self, Error> {
        let mut collected = Collected::default();
        for update in updates {
            walk(update.as_ref(), usize::MAX, &mut collected)?;
        }
        Ok(collected.united())
    }

    /// The ranges of a client that end behind a clock.
    pub(super) fn behind(&self, client: ClientId, clock: u64) -> Behind<'_> {
        let ranges = self.0.get(&client).map_or(&[][..], Vec::as_slice);
        let first = ranges.partition_point(|range| range.1 <= clock);
        Behind(ranges.get(first..).unwrap_or_default())
    }

    /// All clients with their ranges, by client id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ClientId, &[(u64, u64)])> {
        self.0.iter().map(|(client, ranges)| (*client, ranges.as_slice()))
    }

    /// Writes them as in an update, with the largest client id first.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_count(out, self.0.len());
        for (client, ranges) in self.0.iter().rev() {
            write_var(out, client.get());
            write_count(out, ranges.len());
            for (start, end) in ranges {
                write_var(out, *start);
                write_var(out, end.saturating_sub(*start));
            }
        }
    }

    /// Takes in what `other` deletes.
    pub fn add(&mut self, other: &Self) {
        for (client, ranges) in &other.0 {
            let here = self.0.entry(*client).or_default();
            ranges.iter().for_each(|range| insert(here, *range));
        }
    }

    /// Whether everything that `other` deletes is deleted here.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(client, ranges)| {
            let here = self.0.get(client).map_or(&[][..], Vec::as_slice);
            ranges.iter().all(|(start, end)| {
                let after = here.partition_point(|range| range.0 <= *start);
                after.checked_sub(1).and_then(|at| here.get(at)).is_some_and(|r| *end <= r.1)
            })
        })
    }
}

impl<'a> Visit<'a> for Deletions {
    fn block(&mut self, _block: &Block<'a>) -> Result<(), Error> {
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        insert(self.0.entry(client).or_default(), (start, end));
        Ok(())
    }
}

/// Deleted ranges of one client, looked up in the order of its structs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behind<'d>(&'d [(u64, u64)]);

impl<'d> Behind<'d> {
    /// Those that reach into a range, which begins behind the one that was asked for before.
    pub(super) fn within(&mut self, start: u64, end: u64) -> &'d [(u64, u64)] {
        let passed = self.0.iter().take_while(|range| range.1 <= start).count();
        self.0 = self.0.get(passed..).unwrap_or_default();
        let within = self.0.iter().take_while(|range| range.0 < end).count();
        self.0.get(..within).unwrap_or_default()
    }
}

/// Deleted ranges as they come, to be sorted once: adding them one by one to sorted ones takes
/// quadratic time when they are many.
#[derive(Debug, Default)]
pub(super) struct Collected(BTreeMap<ClientId, Vec<(u64, u64)>>);

impl Collected {
    pub(super) fn add(&mut self, client: ClientId, start: u64, end: u64) {
        self.0.entry(client).or_default().push((start, end));
    }

    pub(super) fn united(mut self) -> Deletions {
        self.0.values_mut().for_each(unite);
        Deletions(self.0)
    }
}

impl<'a> Visit<'a> for Collected {
    fn block(&mut self, _block: &Block<'a>) -> Result<(), Error> {
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, start: u64, end: u64) -> Result<(), Error> {
        self.add(client, start, end);
        Ok(())
    }
}

/// Sorts ranges, and makes one of those that touch or overlap.
fn unite(ranges: &mut Vec<(u64, u64)>) {
    sort_by_key(ranges, |range| *range);
    ranges.dedup_by(|next, last| {
        let touches = next.0 <= last.1;
        if touches {
            last.1 = last.1.max(next.1);
        }
        touches
    });
}

/// Adds a range, and joins it to those that it touches.
fn insert(ranges: &mut Vec<(u64, u64)>, (start, end): (u64, u64)) {
    let first = ranges.partition_point(|range| range.1 < start);
    let behind = ranges.partition_point(|range| range.0 <= end);
    let touched = ranges.get(first..behind).unwrap_or_default();
    let start = touched.first().map_or(start, |range| range.0.min(start));
    let end = touched.last().map_or(end, |range| range.1.max(end));
    ranges.splice(first..behind.max(first), [(start, end)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No structs; for client 1 the ranges given as (clock, length).
    fn deleting(ranges: &[(u8, u8)]) -> Deletions {
        let mut update = vec![0, 1, 1, u8::try_from(ranges.len()).unwrap()];
        ranges.iter().for_each(|(clock, length)| update.extend([*clock, *length]));
        Deletions::of(&update).unwrap()
    }

    #[test]
    fn ranges_are_joined_in_whatever_order_they_come() {
        let mut all = Deletions::default();
        for range in [(20, 2), (2, 3), (10, 1), (5, 5), (30, 1), (21, 9)] {
            all.add(&deleting(&[range]));
        }
        assert_eq!(all, deleting(&[(2, 9), (20, 11)]));
        all.add(&deleting(&[(0, 100)]));
        assert_eq!(all, deleting(&[(0, 100)]));
    }

    #[test]
    fn ranges_cover_what_lies_inside_them_even_across_a_seam() {
        let here = deleting(&[(2, 3), (5, 2), (10, 1)]);
        for inside in [&[(2, 5)][..], &[(3, 1)], &[(2, 1), (6, 1)], &[(10, 1)]] {
            assert!(here.covers(&deleting(inside)), "{inside:?}");
        }
        for outside in [&[(1, 2)][..], &[(6, 2)], &[(9, 1)], &[(2, 9)]] {
            assert!(!here.covers(&deleting(outside)), "{outside:?}");
        }
        assert!(here.covers(&Deletions::default()));
        assert!(!Deletions::default().covers(&here));
    }
}
