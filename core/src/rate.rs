//! Token buckets: so much at once, then so much a second.

use crate::time::Time;

/// Tokens are counted in parts of this size: with one token a minute, one part comes in every
/// millisecond.
const PARTS: u64 = 60_000;
const SECONDS: u64 = 60;

/// A bucket that starts full. Taking more than there is leaves a debt, because what is counted has
/// happened already: nothing is lost, but it takes the longer until the bucket has tokens again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// What comes in, in parts a millisecond.
    rate: u64,
    /// The most it holds, in parts.
    full: u64,
    level: u64,
    debt: u64,
    /// When level and debt were right.
    at: Time,
}

impl Bucket {
    /// A bucket that gets `per_second` tokens a second and holds up to `burst` of them, but one at
    /// least. With a rate of 0 there is no limit.
    #[must_use]
    pub fn new(per_second: u64, burst: u64, now: Time) -> Self {
        let full = burst.max(1).saturating_mul(PARTS);
        Self { rate: per_second.saturating_mul(SECONDS), full, level: full, debt: 0, at: now }
    }

    /// A bucket that gets so many tokens a minute, and holds as many.
    #[must_use]
    pub fn per_minute(tokens: u64, now: Time) -> Self {
        Self { rate: tokens, ..Self::new(0, tokens, now) }
    }

    /// Takes tokens, also those that are not there.
    pub fn take(&mut self, tokens: u64, now: Time) {
        self.refill(now);
        let parts = tokens.saturating_mul(PARTS);
        let of_level = parts.min(self.level);
        self.level -= of_level;
        self.debt = self.debt.saturating_add(parts - of_level);
    }

    /// When the bucket will have a token; `None` when it has one.
    #[must_use]
    pub fn wait(&mut self, now: Time) -> Option<Time> {
        self.refill(now);
        let missing = self.debt.saturating_add(PARTS).saturating_sub(self.level);
        if self.rate == 0 || missing == 0 {
            return None;
        }
        Some(Time::from_ms(now.as_ms().saturating_add(missing.div_ceil(self.rate))))
    }

    fn refill(&mut self, now: Time) {
        let ms = now.as_ms().saturating_sub(self.at.as_ms());
        self.at = self.at.max(now);
        let parts = ms.saturating_mul(self.rate);
        let of_debt = parts.min(self.debt);
        self.debt -= of_debt;
        self.level = self.level.saturating_add(parts - of_debt).min(self.full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn a_full_bucket_gives_its_burst_at_once_and_nothing_more() {
        let mut bucket = Bucket::new(10, 3, at(0));
        for _ in 0..3 {
            assert_eq!(bucket.wait(at(0)), None);
            bucket.take(1, at(0));
        }
        assert_eq!(bucket.wait(at(0)), Some(at(100)));
        assert_eq!(bucket.wait(at(99)), Some(at(100)));
        assert_eq!(bucket.wait(at(100)), None);
    }

    #[test]
    fn over_a_long_time_it_gives_its_rate() {
        let mut bucket = Bucket::new(7, 1, at(0));
        let taken = (0..10_000).filter(|ms| {
            let is_there = bucket.wait(at(*ms)).is_none();
            if is_there {
                bucket.take(1, at(*ms));
            }
            is_there
        });
        assert_eq!(taken.count(), 70);
    }

    #[test]
    fn a_debt_is_paid_first() {
        let mut bucket = Bucket::new(1_000, 10, at(0));
        bucket.take(5_010, at(0));
        assert_eq!(bucket.wait(at(0)), Some(at(5_001)));
        bucket.take(1_000, at(2_000));
        assert_eq!(bucket.wait(at(6_000)), Some(at(6_001)));
        assert_eq!(bucket.wait(at(6_001)), None);
    }

    #[test]
    fn it_never_holds_more_than_its_burst_and_no_clock_breaks_it() {
        let mut bucket = Bucket::new(1_000, 5, at(0));
        assert_eq!(bucket.wait(at(u64::MAX)), None);
        bucket.take(5, at(1_000));
        assert_eq!(bucket.wait(at(u64::MAX)), Some(at(u64::MAX)));
        bucket.take(u64::MAX, at(u64::MAX));
        assert!(bucket.wait(at(u64::MAX)).is_some());
    }

    #[test]
    fn a_minute_can_be_counted_too() {
        let mut bucket = Bucket::per_minute(2, at(0));
        bucket.take(2, at(0));
        assert_eq!(bucket.wait(at(0)), Some(at(30_000)));
        bucket.take(1, at(30_000));
        assert_eq!(bucket.wait(at(40_000)), Some(at(60_000)));
        assert_eq!(Bucket::per_minute(0, at(0)).wait(at(0)), None);
    }

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        let mut bucket = Bucket::new(0, 0, at(0));
        bucket.take(u64::MAX, at(0));
        assert_eq!(bucket.wait(at(0)), None);
    }
}
