//! Parts of an update that wait for other parts while they are brought into an order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Who sleeps until whom has come how far; all of them are known by their indexes. For each who is
/// waited for there is a heap of clocks and sleepers, because a peer can make many of both.
#[derive(Debug, Default)]
pub(super) struct Sleepers(Vec<BinaryHeap<Reverse<(u64, usize)>>>);

impl Sleepers {
    /// `sleeper` sleeps until `needed` is behind a clock.
    pub(super) fn add(&mut self, sleeper: usize, needed: usize, clock: u64) {
        if needed >= self.0.len() {
            self.0.resize_with(needed.saturating_add(1), BinaryHeap::new);
        }
        if let Some(heap) = self.0.get_mut(needed) {
            heap.push(Reverse((clock, sleeper)));
        }
    }

    /// Moves those to `awake` who waited for what `needed` wrote before a clock.
    pub(super) fn wake(&mut self, needed: usize, reached: u64, awake: &mut Vec<usize>) {
        let Some(heap) = self.0.get_mut(needed) else { return };
        while let Some(Reverse((clock, sleeper))) = heap.peek()
            && *clock < reached
        {
            awake.push(*sleeper);
            heap.pop();
        }
    }

    /// Somebody who sleeps, who is waited for, and the clock.
    pub(super) fn first(&self) -> Option<(usize, usize, u64)> {
        let first = |(needed, heap): (usize, &BinaryHeap<_>)| {
            heap.peek().map(|Reverse((clock, sleeper))| (*sleeper, needed, *clock))
        };
        self.0.iter().enumerate().find_map(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_less_wakes_first_and_nobody_too_early() {
        let mut sleepers = Sleepers::default();
        for (sleeper, needed, clock) in [(7, 1, 5), (8, 1, 3), (9, 1, 9), (5, 0, 1)] {
            sleepers.add(sleeper, needed, clock);
        }
        let mut awake = Vec::new();
        sleepers.wake(1, 3, &mut awake);
        assert!(awake.is_empty());
        sleepers.wake(1, 9, &mut awake);
        assert_eq!(awake, [8, 7]);
        sleepers.wake(2, 100, &mut awake);
        assert_eq!(sleepers.first(), Some((5, 0, 1)));
        sleepers.wake(0, 2, &mut awake);
        assert_eq!(sleepers.first(), Some((9, 1, 9)));
        sleepers.wake(1, 10, &mut awake);
        assert_eq!((sleepers.first(), awake), (None, vec![8, 7, 5, 9]));
    }
}
