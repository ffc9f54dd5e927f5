//! The document of a room as updates.

use coweave_core::doc::replica::Replica;
use coweave_core::error::Error;
use coweave_core::limits::Limits;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::to_thrown;
use crate::room::Room;

impl Room {
    fn read(
        &self,
        read: impl FnOnce(&Replica) -> Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, JsValue> {
        let bytes = self.shell.access(self.key, |replica| read(replica));
        bytes.map_err(|error| to_thrown(&error))
    }
}

#[wasm_bindgen]
impl Room {
    /// The whole document as one update.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn state(&self) -> Result<Vec<u8>, JsValue> {
        self.read(|replica| Ok(replica.state()))
    }

    /// How far the structs of each client are in the document.
    ///
    /// # Errors
    /// `api.disposed`.
    #[wasm_bindgen(js_name = stateVector)]
    pub fn state_vector(&self) -> Result<Vec<u8>, JsValue> {
        self.read(|replica| Ok(replica.known().encode()))
    }

    /// What somebody lacks who has this state vector, as one update.
    ///
    /// # Errors
    /// `update.malformed`, `api.disposed`.
    pub fn difference(&self, state_vector: &[u8]) -> Result<Vec<u8>, JsValue> {
        self.read(|replica| replica.difference_to(state_vector, &Limits::default()))
    }

    /// Takes an update in as an edit, and as one change; `origin` is told with it.
    ///
    /// # Errors
    /// What the guard says, `room.read_only`, `room.deleted`, `api.disposed`.
    pub fn import(&self, update: &[u8], origin: u32) -> Result<(), JsValue> {
        let result = self.shell.write(self.key, |replica| {
            replica.begin(origin);
            let imported = replica.import(update, &Limits::default());
            replica.commit();
            imported
        });
        result.map_err(|error| to_thrown(&error))
    }
}
