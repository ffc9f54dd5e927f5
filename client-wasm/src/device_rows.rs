//! Rows on their way into the device's database, and out of it.

use coweave_core::client::Meta;
use coweave_core::ids::{Epoch, Lineage, Sequence};
use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbKeyRange, IdbRequest, IdbTransaction};

use crate::clock::whole;
use crate::device_log::{Mark, Operation, Row, RowKey, Rows};
use crate::device_schema::{MARKS, PENDING, PLACES, ROWS};

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
pub(crate) fn request_all(transaction: &IdbTransaction, room: &str) -> Result<Requested, JsValue> {
    let range = all_of(room)?;
    let all = |store| transaction.object_store(store)?.get_all_with_key(&range);
    Ok(Requested {
        rows: all(ROWS)?,
        pending: all(PENDING)?,
        places: all(PLACES)?,
        mark: request_mark(transaction, room)?,
    })
}

pub(crate) struct Requested {
    rows: IdbRequest,
    pending: IdbRequest,
    places: IdbRequest,
    mark: IdbRequest,
}

impl Requested {
    pub(crate) fn rows(self) -> Result<Rows, JsValue> {
        Ok(Rows {
            rows: list(&self.rows)?.iter().map(|row| read_row(&row)).collect::<Result<_, _>>()?,
            pending: list(&self.pending)?
                .iter()
                .map(|it| read_key(&it))
                .collect::<Result<_, _>>()?,
            metas: list(&self.places)?.iter().map(|it| read_meta(&it)).collect::<Result<_, _>>()?,
            mark: read_mark(&self.mark.result()?),
        })
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
        Operation::PutMeta(meta) => store(PLACES)?.put(&object(&[
            ("room", room.into()),
            ("lineage", Uint8Array::from(&meta.lineage.0[..]).into()),
            ("epoch", (meta.epoch.0 as f64).into()),
            ("sequence", (meta.sequence.0 as f64).into()),
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
    Ok(Meta {
        lineage: Lineage(lineage),
        epoch: Epoch(read_number(row, "epoch")?),
        sequence: Sequence(read_number(row, "sequence")?),
    })
}

fn read_number(row: &JsValue, field: &str) -> Result<u64, JsValue> {
    let number = Reflect::get(row, &field.into())?.as_f64();
    number.map(whole).ok_or_else(|| missing(field))
}

fn missing(field: &str) -> JsValue {
    format!("a row without {field}").into()
}
