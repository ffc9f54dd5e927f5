//! When to try again: full jitter, exponential, the first retry at once.

use std::time::Duration;

use crate::random::Random;

const FIRST_MS_MAX: u64 = 250;
const BASE_MS: u64 = 250;
const MS_MAX: u64 = 15_000;

/// Counts failed attempts since the last success.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { attempts: 0 }
    }

    /// The wait before the next attempt: a random part of a ceiling that doubles with every
    /// attempt (full jitter), and never less than what the other side asked for.
    pub(super) fn next(&mut self, retry_after_ms: Option<u64>, random: &mut Random) -> Duration {
        let ceiling = match self.attempts {
            0 => FIRST_MS_MAX,
            n => BASE_MS.saturating_mul(1 << n.min(16)).min(MS_MAX),
        };
        self.attempts = self.attempts.saturating_add(1);
        let jitter = random.below(ceiling + 1);
        let ms =
            retry_after_ms.map_or(jitter, |asked| asked.saturating_add(jitter / 4).max(jitter));
        Duration::from_millis(ms)
    }

    /// Failed attempts since the last success.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// To be called when a sync was completed; a mere connection proves nothing.
    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_ceiling_and_start_anew_after_a_success() {
        let mut random = Random::from_seed(1);
        for _ in 0..200 {
            let mut backoff = Backoff::default();
            assert!(backoff.next(None, &mut random) <= Duration::from_millis(250));
            assert!(backoff.next(None, &mut random) <= Duration::from_millis(500));
            for _ in 0..40 {
                assert!(backoff.next(None, &mut random) <= Duration::from_millis(MS_MAX));
            }
            assert!(backoff.next(Some(60_000), &mut random) >= Duration::from_secs(60));
            backoff.reset();
            assert!(backoff.next(None, &mut random) <= Duration::from_millis(250));
        }
    }
}
