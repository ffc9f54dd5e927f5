//! A stack of undo as a class.

use std::rc::Rc;
use std::time::Duration;

use coweave_core::client::RoomKey;
use coweave_core::doc::replica::Replica;
use coweave_core::error::Error;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::clock::whole;
use crate::error::to_thrown;
use crate::node::Node;
use crate::room::Room;
use crate::shell::Shell;

/// Own edits of a room's document that can be undone.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Undo {
    shell: Rc<Shell>,
    key: RoomKey,
    number: u32,
}

impl Undo {
    fn access<T>(
        &self,
        access: impl FnOnce(&mut Replica) -> Result<T, Error>,
    ) -> Result<T, JsValue> {
        self.shell.access(self.key, access).map_err(|error| to_thrown(&error))
    }
}

#[wasm_bindgen]
impl Room {
    /// Begins to gather edits that can be undone, which are one item when they come within `timeout`
    /// milliseconds.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn undo(&self, timeout: f64) -> Result<Undo, JsValue> {
        let timeout = Duration::from_millis(whole(timeout));
        let number = self.shell.access(self.key, |replica| Ok(replica.open_undo(timeout)));
        let number = number.map_err(|error| to_thrown(&error))?;
        Ok(Undo { shell: Rc::clone(&self.shell), key: self.key, number })
    }
}

#[wasm_bindgen]
impl Undo {
    /// Edits of this type, and of those inside, are gathered from here on.
    ///
    /// # Errors
    /// `api.deleted`, `api.disposed`.
    pub fn add(&self, node: &Node) -> Result<(), JsValue> {
        self.access(|replica| replica.widen_undo(self.number, node.node()))
    }

    /// Whether the edits that follow are gathered.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn track(&self, is_tracking: bool) -> Result<(), JsValue> {
        self.access(|replica| {
            replica.track(self.number, is_tracking);
            Ok(())
        })
    }

    /// Undoes or redoes the last item; whether that changed anything.
    ///
    /// # Errors
    /// `room.read_only`, `room.deleted`, `api.disposed`.
    #[wasm_bindgen(js_name = takeBack)]
    pub fn take_back(&self, is_redo: bool) -> Result<bool, JsValue> {
        let mut is_changed = false;
        let done = self.shell.write(self.key, |replica| {
            is_changed = replica.undo(self.number, is_redo)?;
            Ok(())
        });
        done.map(|()| is_changed).map_err(|error| to_thrown(&error))
    }

    /// The next edit begins a new item.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn stop(&self) -> Result<(), JsValue> {
        self.access(|replica| {
            replica.stop_undo(self.number);
            Ok(())
        })
    }

    /// Forgets all items.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn clear(&self) -> Result<(), JsValue> {
        self.access(|replica| {
            replica.clear_undo(self.number);
            Ok(())
        })
    }

    /// What happened since the last call, as JSON: what, and the lengths of both stacks then.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn take(&self) -> Result<String, JsValue> {
        self.access(|replica| Ok(replica.take_undo_news(self.number)))
    }

    /// Gathers nothing any more, and lets go of what was kept.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn close(&self) -> Result<(), JsValue> {
        self.access(|replica| {
            replica.close_undo(self.number);
            Ok(())
        })
    }
}
