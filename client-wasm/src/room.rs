//! A room as a class.

use std::rc::Rc;

use coweave_core::client::{Input, RoomKey};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::to_thrown;
use crate::shell::Shell;
use crate::text::Text;

/// An opened room.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Room {
    shell: Rc<Shell>,
    key: RoomKey,
}

impl Room {
    pub(crate) const fn new(shell: Rc<Shell>, key: RoomKey) -> Self {
        Self { shell, key }
    }
}

#[wasm_bindgen]
impl Room {
    /// The name of the room in the news.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn key(&self) -> f64 {
        self.key.0 as f64
    }

    /// Shows something to the others, as JSON text, or nothing any more.
    #[wasm_bindgen(js_name = setPresence)]
    pub fn set_presence(&self, state: Option<String>) {
        self.shell.handle(Input::SetPresence { key: self.key, state });
    }

    /// Everything until `commit` is one change.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn begin(&self) -> Result<(), JsValue> {
        self.shell
            .edit(self.key, |replica| {
                replica.begin();
                Ok(())
            })
            .map_err(|error| to_thrown(&error))
    }

    /// Ends what `begin` began.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn commit(&self) -> Result<(), JsValue> {
        self.shell
            .edit(self.key, |replica| {
                replica.commit();
                Ok(())
            })
            .map_err(|error| to_thrown(&error))
    }

    /// A text of the room's document.
    #[must_use]
    pub fn text(&self, name: String) -> Text {
        Text::new(Rc::clone(&self.shell), self.key, name)
    }

    /// Leaves the room, after what was edited so far.
    pub fn close(&self) {
        self.shell.close(self.key);
    }
}
