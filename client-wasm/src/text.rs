//! A text as a class.

use std::rc::Rc;

use coweave_core::client::RoomKey;
use coweave_core::doc::replica::{Assoc, Replica};
use coweave_core::error::Error;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::to_thrown;
use crate::shell::Shell;

/// A text of a room's document; indexes and lengths count UTF-16 code units.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Text {
    shell: Rc<Shell>,
    key: RoomKey,
    name: String,
}

impl Text {
    pub(crate) const fn new(shell: Rc<Shell>, key: RoomKey, name: String) -> Self {
        Self { shell, key, name }
    }

    fn access<T>(
        &self,
        access: impl FnOnce(&mut Replica) -> Result<T, Error>,
    ) -> Result<T, JsValue> {
        self.shell.access(self.key, access).map_err(|error| to_thrown(&error))
    }

    fn write(&self, write: impl FnOnce(&mut Replica) -> Result<(), Error>) -> Result<(), JsValue> {
        self.shell.write(self.key, write).map_err(|error| to_thrown(&error))
    }
}

#[wasm_bindgen]
impl Text {
    /// Inserts content.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate`, `api.disposed`, `room.read_only`, `room.deleted`.
    pub fn insert(&self, index: u32, content: &str) -> Result<(), JsValue> {
        self.write(|replica| replica.text_insert(&self.name, index, content))
    }

    /// Deletes content.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate`, `api.disposed`, `room.read_only`, `room.deleted`.
    pub fn delete(&self, index: u32, length: u32) -> Result<(), JsValue> {
        self.write(|replica| replica.text_delete(&self.name, index, length))
    }

    /// The whole text.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn content(&self) -> Result<String, JsValue> {
        self.access(|replica| Ok(replica.text_string(&self.name)))
    }

    /// How long it is.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn length(&self) -> Result<u32, JsValue> {
        self.access(|replica| Ok(replica.text_length(&self.name)))
    }

    /// From here on changes of the text are in the news.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn observe(&self) -> Result<(), JsValue> {
        self.access(|replica| {
            replica.observe_text(&self.name);
            Ok(())
        })
    }

    /// From here on they are not.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn unobserve(&self) -> Result<(), JsValue> {
        self.access(|replica| {
            replica.unobserve_text(&self.name);
            Ok(())
        })
    }

    /// A position that stays with the character after it (or, when `before`, with the one before
    /// it), as JSON.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate`, `api.disposed`.
    pub fn position(&self, index: u32, before: bool) -> Result<String, JsValue> {
        let assoc = if before { Assoc::Before } else { Assoc::After };
        self.access(|replica| replica.position(&self.name, index, assoc))
    }

    /// Where a position is now, when it is one of this text.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn resolve(&self, position: &str) -> Result<Option<u32>, JsValue> {
        self.access(|replica| {
            let position = replica.resolve(position);
            Ok(position.filter(|it| it.text.as_ref() == Some(&self.name)).map(|it| it.index))
        })
    }
}
