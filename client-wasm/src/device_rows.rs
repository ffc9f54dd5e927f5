//! Rows on their way into the device's database, and out of it.

use coweave_core::client::Meta;
use coweave_core::ids::{Epoch, Lineage, Sequence};
use coweave_core::wire::v1::Role;
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbKeyRange, IdbRequest, IdbTransaction};

use crate::clock::whole;
use crate::device_log::{Mark, Operation, Row, RowKey, Rows};
use crate::device_schema::{MARKS, PENDING, PLACES, ROWS};
use crate::error::describe;

/// The stores that a room has rows in.
pub(crate) const ROOM_STORES: [&str; 4] = [ROWS, PENDING, PLACES, MARKS];

/// All keys of a room in a store whose keys begin with the room.
pub(crate) fn all_of(room: &str) -> Result<IdbKeyRange, JsValue> {
    let lower = Array::of1(&room.into());
    // An array is above all strings, numbers and bytes.
    let upper = Array::of2(&room.into(), &Array::new());
    IdbKeyRange::bound(&lower, &upper)
}

/// Asks for all that is kept of a room; [`Requested::rows`] when the transaction is over.
pub(crate) fn request_all(
    transaction: &IdbTransaction,
    room: &str,
    how: Reading,
) -> Result<Requested, JsValue> {
    let range = all_of(room)?;
    let store = |store| transaction.object_store(store);
    Ok(Requested {
        rows: match how {
            Reading::AtOnce => store(ROWS)?.get_all_with_key(&range)?,
            Reading::OneByOne => store(ROWS)?.get_all_keys_with_key(&range)?,
        },
        pending: store(PENDING)?.get_all_with_key(&range)?,
        places: store(PLACES)?.get_all_with_key(&range)?,
        mark: request_mark(transaction, room)?,
    })
}

/// How the rows of a room are read.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    AtOnce,
    /// Their keys first: one row that is broken spoils the answer for all.
    OneByOne,
}

pub(crate) struct Requested {
    rows: IdbRequest,
    pending: IdbRequest,
    places: IdbRequest,
    mark: IdbRequest,
}

impl Requested {
    /// What is kept of the room, but for its rows.
    pub(crate) fn others(&self) -> Result<Rows, JsValue> {
        let mut rows = Rows { mark: read_mark(&self.mark.result()?), ..Rows::default() };
        for pending in list(&self.pending)?.iter() {
            match read_key(&pending) {
                Ok(key) => rows.pending.push(key),
                Err(cause) => rows.damage.push(describe(&cause)),
            }
        }
        for place in list(&self.places)?.iter() {
            rows.metas.push(read_meta(&place)?);
        }
        Ok(rows)
    }

    /// The rows that were asked for, or their keys.
    pub(crate) fn list(&self) -> Result<Array, JsValue> {
        list(&self.rows)
    }
}

/// Adds a row, or what is wrong with it.
pub(crate) fn add_row(rows: &mut Rows, row: Result<JsValue, JsValue>) {
    match row.and_then(|row| read_row(&row)) {
        Ok(row) => rows.rows.push(row),
        Err(cause) => rows.damage.push(describe(&cause)),
    }
}

pub(crate) fn list(request: &IdbRequest) -> Result<Array, JsValue> {
    Ok(Array::from(&request.result()?))
}

pub(crate) fn request_mark(
    transaction: &IdbTransaction,
    room: &str,
) -> Result<IdbRequest, JsValue> {
    transaction.object_store(MARKS)?.get(&Array::of1(&room.into()))
}

pub(crate) fn read_mark(row: &JsValue) -> Mark {
    let field = |field: &str| Reflect::get(row, &field.into()).ok()?.as_string();
    Mark { name: field("mark"), before: field("before") }
}

pub(crate) fn put_mark(
    transaction: &IdbTransaction,
    room: &str,
    name: &str,
    before: Option<&str>,
) -> Result<(), JsValue> {
    let before = before.map_or(JsValue::UNDEFINED, JsValue::from_str);
    let row = object(&[("room", room.into()), ("mark", name.into()), ("before", before)]);
    transaction.object_store(MARKS)?.put(&row)?;
    Ok(())
}

pub(crate) fn request(
    transaction: &IdbTransaction,
    room: &str,
    operation: &Operation,
) -> Result<(), JsValue> {
    let store = |name| transaction.object_store(name);
    match operation {
        Operation::Put(row) => {
            let value = key_object(room, &row.key);
            Reflect::set(&value, &"update".into(), &Uint8Array::from(&row.update[..]))?;
            store(ROWS)?.put(&value)?
        }
        Operation::Delete(key) => store(ROWS)?.delete(&key_path(room, key))?,
        Operation::MarkPending(key) => store(PENDING)?.put(&key_object(room, key))?,
        Operation::ClearPending(key) => store(PENDING)?.delete(&key_path(room, key))?,
        Operation::DeleteMeta(lineage) => {
            store(PLACES)?.delete(&Array::of2(&room.into(), &Uint8Array::from(&lineage.0[..])))?
        }
        Operation::PutMeta(meta) => store(PLACES)?.put(&object(&[
            ("room", room.into()),
            ("lineage", Uint8Array::from(&meta.lineage.0[..]).into()),
            ("epoch", (meta.epoch.0 as f64).into()),
            ("sequence", (meta.sequence.0 as f64).into()),
            ("viewer", (meta.role == Role::Viewer).into()),
        ]))?,
    };
    Ok(())
}

fn key_path(room: &str, key: &RowKey) -> Array {
    Array::of3(&room.into(), &(key.order as f64).into(), &key.writer.as_str().into())
}

fn key_object(room: &str, key: &RowKey) -> Object {
    object(&[
        ("room", room.into()),
        ("order", (key.order as f64).into()),
        ("writer", key.writer.as_str().into()),
    ])
}

pub(crate) fn object(fields: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in fields {
        // Setting a field of a plain object cannot fail.
        drop(Reflect::set(&object, &JsValue::from_str(name), value));
    }
    object
}

fn read_row(row: &JsValue) -> Result<Row, JsValue> {
    Ok(Row { key: read_key(row)?, update: read_bytes(row, "update")?.into() })
}

pub(crate) fn read_bytes(row: &JsValue, field: &str) -> Result<Vec<u8>, JsValue> {
    let bytes = Reflect::get(row, &field.into())?.dyn_into::<Uint8Array>();
    bytes.map(|bytes| bytes.to_vec()).map_err(|_other| missing(field))
}

pub(crate) fn read_string(row: &JsValue, field: &str) -> Result<String, JsValue> {
    Reflect::get(row, &field.into())?.as_string().ok_or_else(|| missing(field))
}

fn read_key(row: &JsValue) -> Result<RowKey, JsValue> {
    Ok(RowKey { order: read_number(row, "order")?, writer: read_string(row, "writer")? })
}

fn read_meta(row: &JsValue) -> Result<Meta, JsValue> {
    let lineage = Uint8Array::new(&Reflect::get(row, &"lineage".into())?).to_vec();
    let lineage = <[u8; 16]>::try_from(lineage).map_err(|_other_length| missing("lineage"))?;
    // Without a place in the log all of it is synced; without a history nothing may be merged.
    let number = |field| read_number(row, field).unwrap_or(0);
    let (epoch, sequence) = (Epoch(number("epoch")), Sequence(number("sequence")));
    let is_viewer = Reflect::get(row, &"viewer".into())?.is_truthy();
    let role = if is_viewer { Role::Viewer } else { Role::Editor };
    Ok(Meta { lineage: Lineage(lineage), epoch, sequence, role })
}

fn read_number(row: &JsValue, field: &str) -> Result<u64, JsValue> {
    let number = Reflect::get(row, &field.into())?.as_f64();
    number.map(whole).ok_or_else(|| missing(field))
}

fn missing(field: &str) -> JsValue {
    format!("one is without {field}").into()
}
