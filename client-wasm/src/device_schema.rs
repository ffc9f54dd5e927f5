//! The layout of the device's database, and the way to it from every earlier one.

use js_sys::{Array, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbDatabase, IdbObjectStoreParameters, IdbOpenDbRequest, IdbTransaction};

pub(crate) const DATABASE: &str = "coweave";
/// `room, order, writer -> update`.
pub(crate) const ROWS: &str = "rows";
/// `room, order, writer`: rows that are not known to be durable on the relay.
pub(crate) const PENDING: &str = "pending";
/// `room, lineage -> epoch, sequence, viewer`.
pub(crate) const PLACES: &str = "places";
/// `room -> mark, before`: which rows these are; another mark or none means that somebody took them away.
pub(crate) const MARKS: &str = "marks";
/// `room, id -> about, update`: documents that were set aside.
pub(crate) const COPIES: &str = "copies";

type Step = fn(&IdbTransaction) -> Result<(), JsValue>;

/// The way from each version to the next. A step that was released never changes: databases that
/// took it are out there.
const STEPS: [Step; VERSION as usize] = [lay_out, add_marks_and_copies];

pub(crate) const VERSION: u32 = 2;

/// Brings the database of a request for a newer version to this one; `event` says from which.
/// When that fails, all is undone, and the request with it. The answer is whether there was none.
pub(crate) fn migrate(request: &IdbOpenDbRequest, event: &JsValue) -> bool {
    let version = Reflect::get(event, &"oldVersion".into()).ok().and_then(|old| old.as_f64());
    let Some(transaction) = request.transaction() else { return false };
    let missing = STEPS.iter().zip(0_u32..).filter(|(_, from)| {
        // A version that cannot be read is none.
        version.is_none_or(|version| f64::from(*from) >= version)
    });
    if missing.map(|(step, _)| step(&transaction)).any(|result| result.is_err()) {
        // It may have been aborted by what failed.
        drop(transaction.abort());
    }
    version == Some(0.0)
}

fn lay_out(transaction: &IdbTransaction) -> Result<(), JsValue> {
    add(transaction, ROWS, &["room", "order", "writer"])?;
    add(transaction, PENDING, &["room", "order", "writer"])?;
    add(transaction, PLACES, &["room", "lineage"])
}

fn add_marks_and_copies(transaction: &IdbTransaction) -> Result<(), JsValue> {
    add(transaction, MARKS, &["room"])?;
    add(transaction, COPIES, &["room", "id"])
}

fn add(transaction: &IdbTransaction, store: &str, key: &[&str]) -> Result<(), JsValue> {
    let database: IdbDatabase = Reflect::get(transaction, &"db".into())?.unchecked_into();
    let parameters = IdbObjectStoreParameters::new();
    let path: Array = key.iter().map(|field| JsValue::from_str(field)).collect();
    parameters.set_key_path(&path);
    database.create_object_store_with_optional_parameters(store, &parameters)?;
    Ok(())
}
