//! The page's clock: milliseconds that never go back, and whether time was lost.

use std::cell::Cell;

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
#[derive(Debug)]
pub(crate) struct Clock {
    /// How far the wall clock was ahead of the steady one when last looked at.
    wall_ahead_ms: Cell<u64>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { wall_ahead_ms: Cell::new(wall_ahead_ms()) }
    }

    /// The present moment on the steady clock.
    pub(crate) fn now(&self) -> Time {
        Time::from_ms(whole(performance_now()))
    }

    /// Whether time was lost since the last call: the steady clock stands still while some
    /// machines sleep, and a timer that was due at `due` comes late when a page was frozen.
    pub(crate) fn has_lost_time(&self, due: Time) -> bool {
        let before = self.wall_ahead_ms.replace(wall_ahead_ms());
        let drift = self.wall_ahead_ms.get().abs_diff(before);
        drift > LOST_TIME_MS || self.now() > Time::from_ms(due.as_ms() + LOST_TIME_MS)
    }
}

fn wall_ahead_ms() -> u64 {
    whole(js_sys::Date::now() - performance_now())
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
