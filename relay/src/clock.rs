//! The relay's clock, as the machines of the core see it.

use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coweave_core::time::Time;
use tokio::time::{Instant, Sleep, sleep_until};

/// The start of the year 2026 in Unix time.
const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);

/// Time since the start of 2026, so that the clocks of presence rise over restarts; it never goes
/// back while the relay runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    /// What the time was at `origin`.
    start: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Whole milliseconds, so that a wake-up is never a fraction too early.
        let ms = u64::try_from(unix.saturating_sub(YEAR_2026).as_millis()).unwrap_or(0);
        Self { origin: Instant::now(), start: Duration::from_millis(ms) }
    }

    pub(crate) fn now(self) -> Time {
        let elapsed = self.start + self.origin.elapsed();
        Time::from_ms(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }

    fn instant(self, at: Time) -> Instant {
        let since = Duration::from_millis(at.as_ms()).saturating_sub(self.start);
        self.origin.checked_add(since).unwrap_or(self.origin)
    }
}

/// Wakes a machine. Setting it for every message would cost more than the message: it is only
/// moved forward, and rings too early at times, which is harmless.
#[derive(Debug)]
pub(crate) struct Alarm {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    armed: Option<Time>,
}

impl Alarm {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, sleep: Box::pin(sleep_until(clock.origin)), armed: None }
    }

    /// Makes it ring at this moment or before.
    pub(crate) fn set(&mut self, wake: Option<Time>) {
        if let Some(wake) = wake.filter(|wake| self.armed.is_none_or(|armed| *wake < armed)) {
            self.sleep.as_mut().reset(self.clock.instant(wake));
            self.armed = Some(wake);
        }
    }

    /// Waits until it rings; for ever when it is not set. Cancelling this changes nothing.
    pub(crate) async fn ring(&mut self) {
        if self.armed.is_none() {
            return std::future::pending().await;
        }
        self.sleep.as_mut().await;
        self.armed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_the_earliest_moment_that_was_set() {
        let clock = Clock::start();
        let start = clock.now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut alarm = Alarm::new(clock);
        alarm.set(Some(after(500)));
        alarm.set(Some(after(200)));
        alarm.set(Some(after(900)));
        alarm.set(None);
        alarm.ring().await;
        assert_eq!(clock.now(), after(200));
        alarm.set(Some(after(900)));
        alarm.ring().await;
        assert_eq!(clock.now(), after(900));
        let never = tokio::time::timeout(Duration::from_secs(1_000), alarm.ring());
        assert!(never.await.is_err());
    }
}
