//! A shared type of a document as a class.

use std::cell::RefCell;
use std::rc::Rc;

use coweave_core::client::RoomKey;
use coweave_core::doc::replica::{self as doc, Assoc, Kind, Place, Replica};
use coweave_core::error::Error;
use coweave_core::ids::ClientId;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::clock::whole;
use crate::error::to_thrown;
use crate::past::read_only;
use crate::shell::Shell;

/// Where the document is.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    Room(Rc<Shell>, RoomKey),
    Past(Rc<RefCell<Replica>>),
}

/// A shared type of a document. Of a text, indexes and lengths count UTF-16 code units;
/// contents are JSON in the form of [`coweave_core::doc::content`].
///
/// Every method throws `api.disposed` and `api.deleted`; those that change something
/// `room.read_only` and `room.deleted`, too.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Node {
    home: Home,
    node: doc::Node,
}

impl Node {
    /// One with a name; kinds are those of Yjs.
    pub(crate) fn root(home: Home, kind: u8, name: &str) -> Option<Self> {
        Some(Self { home, node: doc::Node::root(Kind::from_number(kind)?, name) })
    }

    pub(crate) fn node(&self) -> doc::Node {
        self.node.clone()
    }

    fn access<T>(
        &self,
        access: impl FnOnce(&mut Replica) -> Result<T, Error>,
    ) -> Result<T, JsValue> {
        let result = match &self.home {
            Home::Room(shell, key) => shell.access(*key, access),
            Home::Past(past) => access(&mut past.borrow_mut()),
        };
        result.map_err(|error| to_thrown(&error))
    }

    fn write(&self, write: impl FnOnce(&mut Replica) -> Result<(), Error>) -> Result<(), JsValue> {
        let result = match &self.home {
            Home::Room(shell, key) => shell.write(*key, write),
            Home::Past(_) => Err(read_only()),
        };
        result.map_err(|error| to_thrown(&error))
    }
}

#[wasm_bindgen]
impl Node {
    /// Means another type from here on, one that is nested: kinds are those of Yjs.
    pub fn point(&mut self, kind: u8, client: f64, clock: f64) {
        if let (Some(kind), Some(client)) = (Kind::from_number(kind), ClientId::new(whole(client)))
        {
            self.node = doc::Node { kind, place: Place::Nested(client, whole(clock)) };
        }
    }

    /// Inserts into a text.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate`.
    #[wasm_bindgen(js_name = insertText)]
    pub fn insert_text(&self, index: u32, content: &str) -> Result<(), JsValue> {
        self.write(|replica| replica.text_insert(&self.node, index, content))
    }

    /// Changes a text by the steps of a delta.
    ///
    /// # Errors
    /// `api.wrong_type`, `api.out_of_range`, `api.split_surrogate`, `update.too_large`.
    pub fn apply(&self, delta: &str) -> Result<(), JsValue> {
        self.write(|replica| replica.text_apply(&self.node, delta))
    }

    /// A text without its formats.
    ///
    /// # Errors
    /// None of its own.
    pub fn text(&self) -> Result<String, JsValue> {
        self.access(|replica| {
            replica.require(&self.node)?;
            Ok(replica.text_string(&self.node))
        })
    }

    /// A text as a delta.
    ///
    /// # Errors
    /// None of its own.
    pub fn delta(&self) -> Result<String, JsValue> {
        self.access(|replica| replica.text_delta(&self.node))
    }

    /// Inserts a list of contents into a sequence.
    ///
    /// # Errors
    /// `api.wrong_type`, `api.out_of_range`, `update.too_large`.
    pub fn insert(&self, index: u32, contents: &str) -> Result<(), JsValue> {
        self.write(|replica| replica.sequence_insert(&self.node, index, contents))
    }

    /// Deletes from a text or a sequence.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate`.
    pub fn delete(&self, index: u32, length: u32) -> Result<(), JsValue> {
        self.write(|replica| match self.node.kind.is_text() {
            true => replica.text_delete(&self.node, index, length),
            false => replica.sequence_delete(&self.node, index, length),
        })
    }

    /// How long a text or a sequence is.
    ///
    /// # Errors
    /// None of its own.
    pub fn length(&self) -> Result<u32, JsValue> {
        self.access(|replica| {
            replica.require(&self.node)?;
            match self.node.kind.is_text() {
                true => Ok(replica.text_length(&self.node)),
                false => replica.sequence_length(&self.node),
            }
        })
    }

    /// One entry of a sequence.
    ///
    /// # Errors
    /// None of its own.
    pub fn get(&self, index: u32) -> Result<Option<String>, JsValue> {
        self.access(|replica| replica.sequence_get(&self.node, index))
    }

    /// All entries of a sequence.
    ///
    /// # Errors
    /// None of its own.
    pub fn items(&self) -> Result<String, JsValue> {
        self.access(|replica| replica.sequence_items(&self.node))
    }

    /// Sets an entry of a map, or an attribute.
    ///
    /// # Errors
    /// `api.wrong_type`, `update.too_large`.
    #[wasm_bindgen(js_name = setEntry)]
    pub fn set_entry(&self, key: &str, content: &str) -> Result<(), JsValue> {
        self.write(|replica| replica.entry_set(&self.node, key, content))
    }

    /// Deletes an entry of a map, or an attribute.
    ///
    /// # Errors
    /// None of its own.
    #[wasm_bindgen(js_name = deleteEntry)]
    pub fn delete_entry(&self, key: &str) -> Result<(), JsValue> {
        self.write(|replica| replica.entry_delete(&self.node, key))
    }

    /// One entry of a map, or an attribute.
    ///
    /// # Errors
    /// None of its own.
    #[wasm_bindgen(js_name = getEntry)]
    pub fn get_entry(&self, key: &str) -> Result<Option<String>, JsValue> {
        self.access(|replica| replica.entry_get(&self.node, key))
    }

    /// Whether there is an entry of a map.
    ///
    /// # Errors
    /// None of its own.
    #[wasm_bindgen(js_name = hasEntry)]
    pub fn has_entry(&self, key: &str) -> Result<bool, JsValue> {
        self.access(|replica| replica.entry_has(&self.node, key))
    }

    /// All entries of a map, or all attributes.
    ///
    /// # Errors
    /// None of its own.
    pub fn entries(&self) -> Result<String, JsValue> {
        self.access(|replica| replica.entries(&self.node))
    }

    /// The keys of all entries, as a JSON list.
    ///
    /// # Errors
    /// None of its own.
    #[wasm_bindgen(js_name = entryNames)]
    pub fn entry_names(&self) -> Result<String, JsValue> {
        self.access(|replica| replica.entry_names(&self.node))
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// None of its own.
    #[wasm_bindgen(js_name = entryCount)]
    pub fn entry_count(&self) -> Result<u32, JsValue> {
        self.access(|replica| replica.entry_count(&self.node))
    }

    /// Everything inside.
    ///
    /// # Errors
    /// None of its own.
    pub fn tree(&self) -> Result<String, JsValue> {
        self.access(|replica| replica.tree(&self.node))
    }

    /// From here on changes are in the news; `is_deep` for those of types inside, too.
    ///
    /// # Errors
    /// None of its own.
    pub fn observe(&self, is_deep: bool) -> Result<(), JsValue> {
        self.access(|replica| replica.observe(&self.node, is_deep))
    }

    /// From here on they are not.
    ///
    /// # Errors
    /// None of its own.
    pub fn unobserve(&self, is_deep: bool) -> Result<(), JsValue> {
        self.access(|replica| {
            replica.unobserve(&self.node, is_deep);
            Ok(())
        })
    }

    /// A position that stays with what is after it (or, when `before`, with what is before it), as
    /// JSON.
    ///
    /// # Errors
    /// `api.out_of_range`, `api.split_surrogate`.
    pub fn position(&self, index: u32, before: bool) -> Result<String, JsValue> {
        let assoc = if before { Assoc::Before } else { Assoc::After };
        self.access(|replica| replica.position(&self.node, index, assoc))
    }

    /// Where a position is now, when it is one of this type.
    ///
    /// # Errors
    /// None of its own.
    pub fn resolve(&self, position: &str) -> Result<Option<u32>, JsValue> {
        self.access(|replica| {
            let position = replica.resolve(position);
            Ok(position.filter(|it| it.place == self.node.place).map(|it| it.index))
        })
    }
}
