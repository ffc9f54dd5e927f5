//! When to try again: full jitter, exponential, the first retry at once.

use std::time::Duration;

use crate::error::Error;
use crate::random::Random;

const BASE_MS: u64 = 250;
/// Nobody waits longer than this for a relay that cannot be reached at all, in the first minutes: half
/// of all are back within two seconds of its return.
const SOON_MS_MAX: u64 = 5_000;
/// That many attempts take about five minutes.
const SOON_ATTEMPTS: u32 = 120;
const MS_MAX: u64 = 15_000;
/// After this many the wait has grown beyond all ceilings.
const GROWING_ATTEMPTS: u32 = 12;
/// A relay may ask for more than this; but whoever asked for a year may have been wrong.
const ASKED_MS_MAX: u64 = 10 * 60 * 1_000;

/// How long the other side asked to be left alone, in milliseconds.
pub(super) fn asked_ms(error: &Error) -> u64 {
    error.retry_after_ms.unwrap_or(0).min(ASKED_MS_MAX)
}

/// Counts failed attempts since the last success.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { attempts: 0 }
    }

    /// The wait before the next attempt: a random part of a ceiling that grows by a half with every
    /// attempt (full jitter), on top of what the other side asked for. With a half, it is never much
    /// longer than the outage so far.
    pub(super) fn next(&mut self, error: &Error, random: &mut Random) -> Duration {
        self.next_within(MS_MAX, error, random)
    }

    /// The same where nobody was there who could be disturbed.
    pub(super) fn next_soon(&mut self, error: &Error, random: &mut Random) -> Duration {
        let most = if self.attempts < SOON_ATTEMPTS { SOON_MS_MAX } else { MS_MAX };
        self.next_within(most, error, random)
    }

    fn next_within(&mut self, most_ms: u64, error: &Error, random: &mut Random) -> Duration {
        let growing = self.attempts.min(GROWING_ATTEMPTS);
        let ceiling = ((BASE_MS * 3_u64.pow(growing)) >> growing).min(most_ms);
        self.attempts = self.attempts.saturating_add(1);
        // Those who were asked the same are not to come back at the same moment either.
        let asked_ms = asked_ms(error);
        Duration::from_millis(asked_ms + random.below(ceiling.max(asked_ms / 4) + 1))
    }

    /// Failed attempts since the last success.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// To be called after a success: a sync that was completed. A mere connection proves nothing.
    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn waits_grow_to_their_ceiling_and_start_anew_after_a_success() {
        let mut random = Random::from_seed(1);
        let lost = Error::new(Code::ConnectionLost, "");
        let most_of = |ms| Duration::from_millis(ms);
        for _ in 0..200 {
            let mut backoff = Backoff::default();
            assert!(backoff.next(&lost, &mut random) <= most_of(250));
            assert!(backoff.next(&lost, &mut random) <= most_of(375));
            for _ in 0..40 {
                assert!(backoff.next(&lost, &mut random) <= most_of(MS_MAX));
            }
            let asked = lost.clone().with_retry_after_ms(60_000);
            assert!(backoff.next(&asked, &mut random) >= Duration::from_secs(60));
            let absurd = lost.clone().with_retry_after_ms(u64::MAX);
            assert!(backoff.next(&absurd, &mut random) <= most_of(ASKED_MS_MAX / 4 * 5));
            backoff.reset();
            assert!(backoff.next(&lost, &mut random) <= most_of(250));
        }
    }

    #[test]
    fn a_relay_that_is_not_there_is_looked_for_more_often_in_the_first_minutes() {
        let mut random = Random::from_seed(1);
        let lost = Error::new(Code::ConnectionLost, "");
        let mut backoff = Backoff::default();
        let mut longest = |count| {
            let waits = (0..count).map(|_| backoff.next_soon(&lost, &mut random));
            waits.max().unwrap_or_default()
        };
        assert!(longest(SOON_ATTEMPTS) <= Duration::from_millis(SOON_MS_MAX));
        let late = longest(40);
        assert!(late > Duration::from_millis(SOON_MS_MAX) && late <= Duration::from_millis(MS_MAX));
    }
}
