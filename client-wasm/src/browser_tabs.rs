//! The way to the other tabs of the browser, as the npm package gives it.

use coweave_core::ids::TabId;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// It copies what it is given, and calls nothing back.
    pub type BrowserTabs;

    #[wasm_bindgen(method, js_name = post)]
    fn post_to(this: &BrowserTabs, to: Option<f64>, message: js_sys::Uint8Array);
    #[wasm_bindgen(method, js_name = watch)]
    fn watch_id(this: &BrowserTabs, id: f64);
    #[wasm_bindgen(method, js_name = forget)]
    fn forget_id(this: &BrowserTabs, id: f64);
}

impl BrowserTabs {
    /// Sends a message to one tab, or to all.
    pub(crate) fn post(&self, to: Option<TabId>, message: &[u8]) {
        self.post_to(to.map(|tab| tab.0 as f64), message.into());
    }

    /// Has the session told when a tab is no more.
    pub(crate) fn watch(&self, tab: TabId) {
        self.watch_id(tab.0 as f64);
    }

    /// Forgets a tab that is no more.
    pub(crate) fn forget(&self, tab: TabId) {
        self.forget_id(tab.0 as f64);
    }
}
