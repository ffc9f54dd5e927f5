//! Timers: the one of a session, and those of transactions.

use std::cell::{Cell, RefCell};

use coweave_core::time::Time;
use js_sys::{Function, Promise};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &Function, ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
}

/// A promise that is kept after a while.
pub(crate) fn after(ms: u32) -> Promise {
    Promise::new(&mut |resolve, _reject| drop(set_timeout(&resolve, f64::from(ms))))
}

/// Calls a function once at a time; dropping it cancels.
pub(crate) struct Timer {
    handler: Closure<dyn Fn()>,
    /// The browser's name for the running timer.
    id: RefCell<Option<JsValue>>,
    due: Cell<Option<Time>>,
}

impl Timer {
    pub(crate) fn new(on_due: impl Fn() + 'static) -> Self {
        Self { handler: Closure::new(on_due), id: RefCell::new(None), due: Cell::new(None) }
    }

    /// Calls at `wake`, or before. Mostly the time moves on with each message: a timer that is early
    /// costs less than to set it anew each time.
    pub(crate) fn set(&self, wake: Option<Time>, now: Time) {
        let Some(wake) = wake else { return self.cancel() };
        if self.due.get().is_some_and(|due| due <= wake) {
            return;
        }
        self.cancel();
        let ms = wake.as_ms().saturating_sub(now.as_ms());
        let id = set_timeout(self.handler.as_ref().unchecked_ref(), ms as f64);
        self.id.replace(Some(id));
        self.due.set(Some(wake));
    }

    /// Notes that the timer fired, and says when it was due.
    pub(crate) fn take_due(&self) -> Option<Time> {
        self.id.take();
        self.due.take()
    }

    /// Calls no more.
    pub(crate) fn cancel(&self) {
        self.due.take();
        if let Some(id) = self.id.take() {
            clear_timeout(&id);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
    }
}
