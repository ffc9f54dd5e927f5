//! Signs that the network may be back or gone: the events of it, and the page becoming visible.

use js_sys::Reflect;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::EventTarget;

/// Calls a function at every hint; dropping it ends that. Without a page (Node) it never calls.
pub(crate) struct Hints {
    watched: Vec<Watched>,
}

struct Watched {
    target: EventTarget,
    event: &'static str,
    closure: Closure<dyn Fn()>,
}

impl Hints {
    pub(crate) fn watch(on_hint: impl Fn() + Clone + 'static) -> Self {
        let global = js_sys::global();
        let document = property(&global, "document").dyn_into::<EventTarget>();
        let mut watched = Vec::new();
        if let Ok(window) = global.dyn_into::<EventTarget>() {
            for event in ["online", "offline"] {
                let closure = Closure::new(on_hint.clone());
                watched.push(Watched { target: window.clone(), event, closure });
            }
        }
        if let Ok(document) = document {
            let page = document.clone();
            let on_change = move || {
                if property(&page, "visibilityState") == "visible" {
                    on_hint();
                }
            };
            let closure = Closure::new(on_change);
            watched.push(Watched { target: document, event: "visibilitychange", closure });
        }
        // A target that takes no listener gives no hints; timers still do their work.
        watched.retain(|it| {
            let listener = it.closure.as_ref().unchecked_ref();
            it.target.add_event_listener_with_callback(it.event, listener).is_ok()
        });
        Self { watched }
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        for it in &self.watched {
            let listener = it.closure.as_ref().unchecked_ref();
            drop(it.target.remove_event_listener_with_callback(it.event, listener));
        }
    }
}

fn property(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}
