//! Copies that were set aside, on their way to JavaScript.

use std::rc::Rc;

use coweave_core::client::SetAsideCopy;
use coweave_core::doc::replica::Replica;
use coweave_core::error::Error;
use coweave_core::ids::RoomName;
use coweave_core::limits::Limits;
use js_sys::{Array, Promise, Uint8Array};
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;

use crate::clock::whole;
use crate::device_store::DeviceStore;
use crate::error::{ErrorView, to_json, to_thrown};
use crate::random;
use crate::room::Room;
use crate::shell::Shell;

/// A copy in the news; its content is asked for by its id.
#[derive(Debug, Serialize)]
pub(crate) struct CopyView {
    id: String,
    about: AboutView,
}

impl CopyView {
    pub(crate) fn new(copy: &SetAsideCopy) -> Self {
        Self { id: copy.id.clone(), about: AboutView::new(copy) }
    }
}

/// What is known of a copy.
#[derive(Debug, Serialize)]
struct AboutView {
    error: ErrorView,
    /// As of `Date.now()`.
    time: u64,
}

impl AboutView {
    fn new(copy: &SetAsideCopy) -> Self {
        Self { error: (&copy.error).into(), time: whole(js_sys::Date::now()) }
    }
}

/// What is known of a copy, as JSON.
pub(crate) fn about(copy: &SetAsideCopy) -> String {
    to_json(&AboutView::new(copy))
}

/// What the device keeps that was set aside of a room.
pub(crate) fn list(store: Option<Rc<DeviceStore>>, room: RoomName) -> Promise {
    future_to_promise(async move {
        let list = Array::new();
        let Some(store) = store else { return Ok(list.into()) };
        for copy in store.copies(&room).await.map_err(thrown)? {
            list.push(&copy.id.into());
            list.push(&copy.about.into());
            list.push(&Uint8Array::from(&copy.update[..]));
        }
        Ok(list.into())
    })
}

/// Deletes a copy from the device. One that is still on its way there gets there when that fails.
pub(crate) fn drop_one(shell: Rc<Shell>, room: RoomName, id: String) -> Promise {
    shell.drop_copy(&room, &id, true);
    future_to_promise(async move {
        if let Some(store) = shell.store() {
            let dropped = store.drop_copy(&room, &id).await;
            dropped.map_err(|error| {
                shell.drop_copy(&room, &id, false);
                thrown(error)
            })?;
        }
        Ok(JsValue::UNDEFINED)
    })
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn thrown(error: Error) -> JsValue {
    to_thrown(&error)
}

#[wasm_bindgen]
impl Room {
    /// The texts in an update, as JSON: pairs of names and contents.
    ///
    /// # Errors
    /// What is wrong with the update.
    #[wasm_bindgen(js_name = textsOf)]
    pub fn texts_of(update: &[u8]) -> Result<String, JsValue> {
        let mut replica = Replica::new(random::client_id());
        let limits = Limits::default().for_taken();
        replica.apply(update, &limits).map_err(|error| to_thrown(&error))?;
        Ok(to_json(&replica.texts()))
    }
}
