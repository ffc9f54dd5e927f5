//! The document of a room as updates.

use coweave_core::doc::replica::Replica;
use coweave_core::doc::snapshot::Snapshot;
use coweave_core::doc::{splice, version2};
use coweave_core::error::Error;
use coweave_core::limits::Limits;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::to_thrown;
use crate::past::Past;
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

    /// The same update in version 1 of the format, for one in version 2.
    ///
    /// # Errors
    /// `update.malformed`, `update.too_large`.
    #[expect(clippy::unused_self, reason = "whoever has a room need not know the class")]
    #[wasm_bindgen(js_name = toVersion1)]
    pub fn to_version_1(&self, update: &[u8]) -> Result<Vec<u8>, JsValue> {
        version2::to_version_1(update, &Limits::default()).map_err(|error| to_thrown(&error))
    }

    /// One update that brings what several of them bring, which follow each other.
    ///
    /// # Errors
    /// `update.malformed`.
    #[expect(clippy::unused_self, reason = "whoever has a room need not know the class")]
    #[expect(clippy::needless_pass_by_value, reason = "the only way of lists over the border")]
    pub fn merge(&self, updates: Vec<Uint8Array>) -> Result<Vec<u8>, JsValue> {
        let updates: Vec<_> = updates.iter().map(Uint8Array::to_vec).collect();
        splice::merge(&updates).map_err(|error| to_thrown(&error))
    }

    /// Which edits the document has now.
    ///
    /// # Errors
    /// `api.disposed`.
    pub fn snapshot(&self) -> Result<Vec<u8>, JsValue> {
        self.read(|replica| Ok(replica.snapshot()?.encode()))
    }

    /// Whether the document has exactly the edits of a snapshot.
    ///
    /// # Errors
    /// `update.malformed`, `api.disposed`.
    #[wasm_bindgen(js_name = isAt)]
    pub fn is_at(&self, snapshot: &[u8]) -> Result<bool, JsValue> {
        let is_same = |replica: &mut Replica| {
            Ok(replica.snapshot()? == Snapshot::decode(snapshot, &Limits::default())?)
        };
        self.shell.access(self.key, is_same).map_err(|error| to_thrown(&error))
    }

    /// What the document was at a snapshot, or that of a later state.
    ///
    /// # Errors
    /// `update.malformed`, `update.missing_dependencies`, `snapshot.collected`, `api.disposed`.
    pub fn past(&self, snapshot: &[u8], state: Option<Vec<u8>>) -> Result<Past, JsValue> {
        let state = state.map_or_else(|| self.state(), Ok)?;
        Past::read(snapshot, &state).map_err(|error| to_thrown(&error))
    }
}
