//! The relay's clock, as the machines of the core see it.

use std::time::Duration;

use coweave_core::time::Time;
use tokio::time::Instant;

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

    /// Waits for a moment; for ever when there is none.
    pub(crate) async fn sleep_until(self, wake: Option<Time>) {
        match wake {
            Some(wake) => {
                let at = self.origin.checked_add(Duration::from_millis(wake.as_ms()));
                tokio::time::sleep_until(at.unwrap_or(self.origin)).await;
            }
            None => std::future::pending().await,
        }
    }
}
