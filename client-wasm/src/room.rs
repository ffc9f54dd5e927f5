//! A room as a class.

use std::rc::Rc;

use coweave_core::client::{Input, RoomKey};
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{Epoch, Lineage};
use js_sys::Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::clock::whole;
use crate::error::to_thrown;
use crate::node::{Home, Node};
use crate::random;
use crate::shell::Shell;

/// An opened room.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Room {
    pub(crate) shell: Rc<Shell>,
    pub(crate) key: RoomKey,
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

    /// Everything until `commit` is one change; `origin` is told with it.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn begin(&self, origin: u32) -> Result<(), JsValue> {
        self.shell
            .edit(self.key, |replica| {
                replica.begin(origin);
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

    /// A shared type with a name; kinds are those of Yjs.
    #[must_use]
    pub fn node(&self, kind: u8, name: &str) -> Option<Node> {
        Node::root(Home::Room(Rc::clone(&self.shell), self.key), kind, name)
    }

    /// Asks to be told when everything in the document is on the relay's disk. The answer is the
    /// number of the request in the news.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn flush(&self) -> Result<f64, JsValue> {
        let number = self.shell.flush(self.key).map_err(|error| to_thrown(&error))?;
        Ok(number as f64)
    }

    /// Brings an update of [`Room::seed_update`] to a room that has no content at all.
    pub fn seed(&self, update: Vec<u8>) {
        self.shell.handle(Input::Seed { key: self.key, update: update.into() });
    }

    /// Texts, by name, as one update, written by nobody who writes anything else: so it does not
    /// matter whether it was taken.
    ///
    /// # Errors
    /// Those of the texts.
    #[wasm_bindgen(js_name = seedUpdate)]
    #[expect(clippy::needless_pass_by_value, reason = "the only way of lists over the border")]
    pub fn seed_update(names: Vec<String>, contents: Vec<String>) -> Result<Vec<u8>, JsValue> {
        let mut replica = Replica::new(random::client_id());
        for (name, content) in names.iter().zip(&contents) {
            replica.text_insert(name, 0, content).map_err(|error| to_thrown(&error))?;
        }
        Ok(replica.state())
    }

    /// Takes in what the [`Keeper`](crate::Keeper) was given for this room in an instance that is
    /// gone: `is_pending` for own edits that are not durable, `is_news` when the app was not told.
    pub fn restore(&self, update: Vec<u8>, is_pending: bool, is_news: bool) {
        let update = update.into();
        self.shell.handle(Input::Restore { key: self.key, update, is_pending, is_news });
    }

    /// All that the app was told is restored. `lineage` is empty without a history.
    pub fn restored(&self, lineage: &[u8], epoch: f64) {
        let lineage = <[u8; 16]>::try_from(lineage).ok();
        let history = lineage.map(|lineage| (Lineage(lineage), Epoch(whole(epoch))));
        self.shell.handle(Input::Restored { key: self.key, history });
    }

    /// What becomes of edits that the relay refuses for good: they stay in this document and the
    /// room stops, or the document is set aside.
    #[wasm_bindgen(js_name = keepRefused)]
    pub fn keep_refused(&self, keeps: bool) {
        self.shell.keep_refused(self.key, keeps);
    }

    /// What a developer gets to see of the room.
    #[must_use]
    pub fn debug(&self) -> Option<Array> {
        self.shell.debug_room(self.key)
    }

    /// Leaves the room, after what was edited so far.
    pub fn close(&self) {
        self.shell.close(self.key);
    }
}
