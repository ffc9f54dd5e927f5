//! The relay's clock, as the machines of the core see it.

use std::pin::Pin;
use std::time::Duration;

use coweave_core::time::Time;
use tokio::time::{Instant, Sleep, sleep_until};

/// Time since the relay started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    pub(crate) fn now(self) -> Time {
        let ms = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        Time::from_ms(ms)
    }

    fn instant(self, at: Time) -> Instant {
        self.origin.checked_add(Duration::from_millis(at.as_ms())).unwrap_or(self.origin)
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
        let mut alarm = Alarm::new(clock);
        alarm.set(Some(Time::from_ms(500)));
        alarm.set(Some(Time::from_ms(200)));
        alarm.set(Some(Time::from_ms(900)));
        alarm.set(None);
        alarm.ring().await;
        assert_eq!(clock.now().as_ms(), 200);
        alarm.set(Some(Time::from_ms(900)));
        alarm.ring().await;
        assert_eq!(clock.now().as_ms(), 900);
        let never = tokio::time::timeout(Duration::from_secs(1_000), alarm.ring());
        assert!(never.await.is_err());
    }
}
