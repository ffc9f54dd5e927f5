//! The page's clock: milliseconds that never go back, and whether time was lost.

use std::cell::Cell;
use std::time::Duration;

use coweave_core::time::Time;
use wasm_bindgen::prelude::wasm_bindgen;

/// Two clocks that drift apart by more than this, or a timer that comes later than this, mean that
/// the machine slept or the page was frozen.
const LOST_TIME_MS: u64 = 5_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// The time that all inputs of the session carry.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// What the steady clock said when last looked at.
    steady_ms: Cell<f64>,
    /// By how much it went back so far. It must not, and where it does, no timer may wait for it.
    went_back_ms: Cell<f64>,
    /// How far the wall clock was ahead of the steady one when last looked at.
    wall_ahead_ms: Cell<u64>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { wall_ahead_ms: Cell::new(wall_ahead_ms(performance_now())), ..Self::default() }
    }

    /// The present moment on the steady clock.
    pub(crate) fn now(&self) -> Time {
        self.time(performance_now())
    }

    fn time(&self, steady_ms: f64) -> Time {
        let back_ms = (self.steady_ms.replace(steady_ms) - steady_ms).max(0.0);
        self.went_back_ms.set(self.went_back_ms.get() + back_ms);
        Time::from_ms(whole(steady_ms + self.went_back_ms.get()))
    }

    /// The present moment, and whether the wall clock jumped since the last call: the steady one
    /// stands still while some machines sleep.
    pub(crate) fn look(&self) -> (Time, bool) {
        let steady_ms = performance_now();
        let ahead_ms = wall_ahead_ms(steady_ms);
        let before_ms = self.wall_ahead_ms.replace(ahead_ms);
        (self.time(steady_ms), ahead_ms.abs_diff(before_ms) > LOST_TIME_MS)
    }

    /// Whether a timer that was due at this time comes late, because the page was frozen.
    pub(crate) fn is_late(&self, due: Time) -> bool {
        self.now().since(due) > Duration::from_millis(LOST_TIME_MS)
    }
}

fn wall_ahead_ms(steady_ms: f64) -> u64 {
    whole(js_sys::Date::now() - steady_ms)
}

/// A number of JavaScript as a whole one; what is negative or not a number becomes 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, which is what is wanted"
)]
pub(crate) const fn whole(number: f64) -> u64 {
    number as u64
}
