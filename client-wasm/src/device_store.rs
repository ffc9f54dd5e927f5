//! The device's store: the rows of all rooms in one IndexedDB database.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use coweave_core::client::{Input, Meta, RoomKey, StoredCopy, Write};
use coweave_core::error::Error;
use coweave_core::ids::{Epoch, Lineage, RoomName, Sequence};
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore, IdbObjectStoreParameters,
    IdbOpenDbRequest, IdbRequest, IdbTransaction,
};

use crate::clock::whole;
use crate::device_log::{DeviceLog, Operation, Row, RowKey, Rows};
use crate::error::device_unavailable;
use crate::random;
use crate::shell::Shell;
use crate::timer::after;

const DATABASE: &str = "coweave";
const VERSION: u32 = 1;
/// `room, order, writer -> update`.
const ROWS: &str = "rows";
/// `room, order, writer`: rows that are not known to be durable on the relay.
const PENDING: &str = "pending";
/// `room, lineage -> epoch, sequence`.
const PLACES: &str = "places";
/// Some browsers never answer; an app that waits for its document must not wait with them.
const OPEN_MS_MAX: u32 = 5_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = IdbDatabase)]
    type Database;
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(
        this: &Database,
        stores: &Array,
        mode: &str,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;
}

/// The device's store as one session uses it.
pub(crate) struct DeviceStore {
    relay: String,
    shell: Weak<Shell>,
    logs: RefCell<Vec<(RoomKey, DeviceLog)>>,
    /// The database or the promise of it; forgotten when it fails, so that the next use opens anew.
    opening: RefCell<Option<Promise>>,
    /// Another tab wants a newer version of the database: ours must not stand in its way.
    on_version_change: Closure<dyn Fn(JsValue)>,
}

impl DeviceStore {
    /// The store for the rooms of a relay; `None` where there is no IndexedDB at all.
    pub(crate) fn find(relay: &str) -> Option<Self> {
        // A browser that forbids its use throws here: there is one, and it will fail.
        let is_absent = factory().is_ok_and(|factory| factory.is_undefined());
        (!is_absent).then(|| Self {
            relay: relay.to_owned(),
            shell: Weak::new(),
            logs: RefCell::default(),
            opening: RefCell::default(),
            on_version_change: Closure::new(|event| {
                if let Ok(database) = Reflect::get(&event, &"target".into()) {
                    database.unchecked_into::<IdbDatabase>().close();
                }
            }),
        })
    }

    /// The same store, giving its answers to this session.
    pub(crate) fn answering_to(mut self, shell: Weak<Shell>) -> Self {
        self.shell = shell;
        self
    }

    /// Reads what the device has of a room.
    pub(crate) fn load(self: &Rc<Self>, key: RoomKey, name: &RoomName) {
        let (this, room) = (Rc::clone(self), self.room(name));
        spawn_local(async move {
            let copy = match this.twice(|| this.read(&room)).await {
                Ok(rows) => this.take(key, rows),
                Err(cause) => Err(device_unavailable("this device's copy cannot be read", &cause)),
            };
            this.answer(Input::Loaded { key, copy });
        });
    }

    fn take(&self, key: RoomKey, rows: Rows) -> Result<StoredCopy, Error> {
        let (log, copy) = DeviceLog::open(random::writer(), rows)?;
        self.logs.borrow_mut().push((key, log));
        Ok(copy)
    }

    /// Writes, all or nothing. The machine gives one write at a time for a room.
    pub(crate) fn write(
        self: &Rc<Self>,
        key: RoomKey,
        name: &RoomName,
        ticket: u64,
        writes: &[Write],
    ) {
        let operations = match self.logs.borrow_mut().iter_mut().find(|(of, _)| *of == key) {
            Some((_, log)) => log.operations(writes),
            None => return,
        };
        let (this, room) = (Rc::clone(self), self.room(name));
        spawn_local(async move {
            let result = this.twice(|| this.run(&room, &operations)).await;
            this.answer(match result {
                Ok(()) => Input::Written { key, ticket },
                Err(cause) => {
                    let error = device_unavailable("this device's store takes no more", &cause);
                    Input::WriteFailed { key, error }
                }
            });
        });
    }

    /// Forgets which row is which of a closed room.
    pub(crate) fn forget(&self, key: RoomKey) {
        self.logs.borrow_mut().retain(|(of, _)| *of != key);
    }

    fn answer(&self, input: Input) {
        if let Some(shell) = self.shell.upgrade() {
            shell.handle(input);
        }
    }

    /// One origin may talk to several relays; a URL holds no space.
    fn room(&self, name: &RoomName) -> String {
        format!("{} {name}", self.relay)
    }

    /// Tries once more with a new connection: browsers close idle ones without a word.
    async fn twice<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, JsValue>
    where
        F: Future<Output = Result<T, JsValue>>,
    {
        if let Ok(value) = attempt().await {
            return Ok(value);
        }
        self.close();
        attempt().await
    }

    async fn read(&self, room: &str) -> Result<Rows, JsValue> {
        let transaction = self.begin("readonly").await?;
        let done = completion(&transaction);
        let all = |store: &str| -> Result<IdbRequest, JsValue> {
            let lower = Array::of1(&room.into());
            // An array is above all strings and numbers.
            let upper = Array::of2(&room.into(), &Array::new());
            let range = IdbKeyRange::bound(&lower, &upper)?;
            transaction.object_store(store)?.get_all_with_key(&range)
        };
        let requests = (|| Ok([all(ROWS)?, all(PENDING)?, all(PLACES)?]))();
        settle(&transaction, done, &requests).await?;
        let [rows, pending, places] = requests?;
        let list = |request: IdbRequest| request.result().map(|list| Array::from(&list));
        Ok(Rows {
            rows: list(rows)?.iter().map(|row| read_row(&row)).collect::<Result<_, _>>()?,
            pending: list(pending)?.iter().map(|row| read_key(&row)).collect::<Result<_, _>>()?,
            metas: list(places)?.iter().map(|row| read_meta(&row)).collect::<Result<_, _>>()?,
        })
    }

    async fn run(&self, room: &str, operations: &[Operation]) -> Result<(), JsValue> {
        let transaction = self.begin("readwrite").await?;
        let done = completion(&transaction);
        let requested = operations.iter().try_for_each(|it| request(&transaction, room, it));
        settle(&transaction, done, &requested).await?;
        requested
    }

    async fn begin(&self, mode: &str) -> Result<IdbTransaction, JsValue> {
        let database: Database = JsFuture::from(self.database()).await?.unchecked_into();
        let stores = [ROWS, PENDING, PLACES].into_iter().map(JsValue::from_str);
        // Without it, "written" may mean no more than "in a buffer of the system".
        let options = object(&[("durability", "strict".into())]);
        database.begin(&stores.collect(), mode, &options)
    }

    /// Gives the connection up; transactions under way still end as they would.
    fn close(&self) {
        let Some(opening) = self.opening.take() else { return };
        spawn_local(async move {
            if let Ok(database) = JsFuture::from(opening).await {
                let database: IdbDatabase = database.unchecked_into();
                database.set_onversionchange(None);
                database.close();
            }
        });
    }

    fn database(&self) -> Promise {
        let opening = self.opening.borrow().clone();
        opening.unwrap_or_else(|| {
            let handler = self.on_version_change.as_ref().clone();
            let promise = wasm_bindgen_futures::future_to_promise(open(handler));
            self.opening.replace(Some(promise.clone()));
            promise
        })
    }
}

impl Drop for DeviceStore {
    fn drop(&mut self) {
        self.close();
    }
}

fn factory() -> Result<JsValue, JsValue> {
    Reflect::get(&js_sys::global(), &"indexedDB".into())
}

async fn open(on_version_change: JsValue) -> Result<JsValue, JsValue> {
    let factory: IdbFactory = factory()?.unchecked_into();
    let request = factory.open_with_u32(DATABASE, VERSION)?;
    let on_upgrade = Closure::<dyn Fn()>::new({
        let request = request.clone();
        // A database that could not be laid out is refused when it is used.
        move || drop(lay_out(&request))
    });
    request.set_onupgradeneeded(Some(on_upgrade.as_ref().unchecked_ref()));
    let opened = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    let first = Promise::race(&Array::of2(&opened, &after(OPEN_MS_MAX)));
    match JsFuture::from(first).await {
        Ok(event) if event.is_undefined() => {
            return Err("the browser does not open its database".into());
        }
        Ok(_event) => {}
        Err(_event) => return Err(request.error()?.into()),
    }
    let database: IdbDatabase = request.result()?.unchecked_into();
    database.set_onversionchange(Some(on_version_change.unchecked_ref()));
    Ok(database.into())
}

fn lay_out(request: &IdbOpenDbRequest) -> Result<(), JsValue> {
    let database: IdbDatabase = request.result()?.unchecked_into();
    for (store, key) in [
        (ROWS, &["room", "order", "writer"][..]),
        (PENDING, &["room", "order", "writer"][..]),
        (PLACES, &["room", "lineage"][..]),
    ] {
        let parameters = IdbObjectStoreParameters::new();
        let path: Array = key.iter().map(|field| JsValue::from_str(field)).collect();
        parameters.set_key_path(&path);
        database.create_object_store_with_optional_parameters(store, &parameters)?;
    }
    Ok(())
}

/// A promise of the end of a transaction.
fn completion(transaction: &IdbTransaction) -> Promise {
    Promise::new(&mut |resolve, reject| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onabort(Some(&reject));
    })
}

/// Waits for the end of a transaction, which is undone when not all of it could be requested.
async fn settle<T>(
    transaction: &IdbTransaction,
    done: Promise,
    requested: &Result<T, JsValue>,
) -> Result<(), JsValue> {
    if let Err(cause) = requested {
        drop(transaction.abort());
        drop(JsFuture::from(done).await);
        return Err(cause.clone());
    }
    match JsFuture::from(done).await {
        Ok(_complete) => Ok(()),
        Err(_aborted) => Err(transaction.error().map_or_else(|| "aborted".into(), JsValue::from)),
    }
}

fn request(transaction: &IdbTransaction, room: &str, operation: &Operation) -> Result<(), JsValue> {
    let store = |name: &str| -> Result<IdbObjectStore, JsValue> { transaction.object_store(name) };
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
    let update = Reflect::get(row, &"update".into())?.dyn_into::<Uint8Array>();
    let update = update.map_err(|_other| JsValue::from_str("a row without an update"))?;
    Ok(Row { key: read_key(row)?, update: update.to_vec().into() })
}

fn read_key(row: &JsValue) -> Result<RowKey, JsValue> {
    let writer = Reflect::get(row, &"writer".into())?.as_string();
    let writer = writer.ok_or_else(|| JsValue::from_str("a row without a writer"))?;
    Ok(RowKey { order: read_number(row, "order")?, writer })
}

fn read_meta(row: &JsValue) -> Result<Meta, JsValue> {
    let lineage = Uint8Array::new(&Reflect::get(row, &"lineage".into())?).to_vec();
    let lineage = <[u8; 16]>::try_from(lineage)
        .map_err(|_other_length| JsValue::from_str("a place without a lineage"))?;
    Ok(Meta {
        lineage: Lineage(lineage),
        epoch: Epoch(read_number(row, "epoch")?),
        sequence: Sequence(read_number(row, "sequence")?),
    })
}

fn read_number(row: &JsValue, field: &str) -> Result<u64, JsValue> {
    let number = Reflect::get(row, &field.into())?.as_f64();
    number.map(whole).ok_or_else(|| JsValue::from_str("a row without a number"))
}
