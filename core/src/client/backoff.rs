//! When to try again: full jitter, exponential, the first retry at once.

use std::time::Duration;

use crate::error::Error;
use crate::random::Random;

const BASE_MS: u64 = 250;
const MS_MAX: u64 = 15_000;
/// Beyond this many attempts the wait does not grow any more.
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
    /// attempt (full jitter), on top of what the other side asked for. With a half, most
    /// clients notice within two seconds that a relay is back which was restarted.
    pub(super) fn next(&mut self, error: &Error, random: &mut Random) -> Duration {
        let ceiling = ((BASE_MS * 3_u64.pow(self.attempts)) >> self.attempts).min(MS_MAX);
        self.attempts = GROWING_ATTEMPTS.min(self.attempts + 1);
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
}
