//! The connection to the device's database: opened when it is used, and opened anew when it broke.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use coweave_core::time::Time;
use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};
use web_sys::{IdbDatabase, IdbFactory, IdbRequest, IdbTransaction};

use crate::device_rows::object;
use crate::device_schema::{DATABASE, VERSION, migrate};
use crate::timer::{Timer, after};

/// Some browsers never answer; an app that waits for its document must not wait with them.
const OPEN_MS_MAX: u32 = 5_000;

/// Another tab that stands still in the middle of a transaction, as behind a dialog, holds up those of
/// all tabs: Chromium waits a minute for it.
const TRANSACTION_MS_MAX: u64 = 10_000;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = IdbDatabase)]
    type Connection;
    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn begin(
        this: &Connection,
        stores: &Array,
        mode: &str,
        options: &Object,
    ) -> Result<IdbTransaction, JsValue>;
}

/// Takes a connection, and whether the database is a new one.
type OnOpen = dyn Fn(&IdbDatabase, bool);

/// What the browser said.
pub(crate) enum Failure {
    /// The database does not open, or does not answer.
    Unopened(JsValue),
    /// It is open, but cannot be used.
    Used(JsValue),
}

impl Failure {
    pub(crate) fn cause(self) -> JsValue {
        match self {
            Self::Unopened(cause) | Self::Used(cause) => cause,
        }
    }
}

impl From<JsValue> for Failure {
    fn from(cause: JsValue) -> Self {
        Self::Used(cause)
    }
}

/// The device's database.
pub(crate) struct Database {
    /// The connection or the promise of it; forgotten when it fails, so that the next use opens anew.
    opening: RefCell<Option<Promise>>,
    on_open: Rc<OnOpen>,
    /// The browser closed the database, or another tab wants to delete or upgrade it: ours must not
    /// stand in its way.
    on_lost: Closure<dyn Fn(JsValue)>,
}

impl Database {
    /// Whether there is IndexedDB at all. A browser that forbids its use throws: there is one, and
    /// it will fail.
    pub(crate) fn is_there() -> bool {
        !factory().is_ok_and(|factory| factory.is_undefined())
    }

    /// `on_open` is called with each connection and whether the database is a new one, and `on_lost` when one ended that nobody here gave up.
    pub(crate) fn new(
        on_open: impl Fn(&IdbDatabase, bool) + 'static,
        on_lost: impl Fn() + 'static,
    ) -> Self {
        Self {
            opening: RefCell::default(),
            on_open: Rc::new(on_open),
            on_lost: Closure::new(move |event| {
                if let Ok(database) = Reflect::get(&event, &"target".into()) {
                    database.unchecked_into::<IdbDatabase>().close();
                }
                on_lost();
            }),
        }
    }

    /// Tries once more with a new connection: browsers close idle ones without a word.
    pub(crate) async fn twice<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let used = self.connection();
        let result = attempt().await;
        let is_used = || self.opening.borrow().as_ref().is_some_and(|now| **now == *used);
        if result.is_err() && is_used() {
            self.close();
        }
        // What did not open just now does not open now.
        if matches!(result, Err(Failure::Used(_))) { attempt().await } else { result }
    }

    pub(crate) async fn begin(&self, stores: &[&str], mode: &str) -> Result<Transaction, Failure> {
        let connection = JsFuture::from(self.connection()).await.map_err(Failure::Unopened)?;
        let connection: Connection = connection.unchecked_into();
        let stores = stores.iter().map(|store| JsValue::from_str(store));
        // Without it, "written" may mean no more than "in a buffer of the system".
        let options = object(&[("durability", "strict".into())]);
        Ok(Transaction::new(connection.begin(&stores.collect(), mode, &options)?))
    }

    /// Gives the connection up; transactions under way still end as they would.
    pub(crate) fn close(&self) {
        let Some(opening) = self.opening.take() else { return };
        spawn_local(async move {
            if let Ok(database) = JsFuture::from(opening).await {
                let database: IdbDatabase = database.unchecked_into();
                database.set_onversionchange(None);
                database.set_onclose(None);
                database.close();
            }
        });
    }

    fn connection(&self) -> Promise {
        let opening = self.opening.borrow().clone();
        opening.unwrap_or_else(|| {
            let on_open = Rc::clone(&self.on_open);
            let promise = future_to_promise(open(on_open, self.on_lost.as_ref().clone()));
            self.opening.replace(Some(promise.clone()));
            promise
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.close();
    }
}

/// One transaction, from its first request to its end.
pub(crate) struct Transaction {
    pub(crate) inner: IdbTransaction,
    end: Promise,
    is_late: Rc<Cell<bool>>,
    /// Aborts it: what fails must not be written after all.
    _limit: Timer,
}

impl Transaction {
    fn new(inner: IdbTransaction) -> Self {
        let is_late = Rc::new(Cell::new(false));
        let limit = Timer::new({
            let (inner, is_late) = (inner.clone(), Rc::clone(&is_late));
            move || is_late.set(inner.abort().is_ok())
        });
        limit.set(Some(Time::from_ms(TRANSACTION_MS_MAX)), Time::ZERO);
        Self { end: end(&inner), inner, is_late, _limit: limit }
    }

    /// Waits for the end. What failed on the way, in `requested`, undoes all of it.
    pub(crate) async fn settle<T>(self, requested: Result<T, JsValue>) -> Result<T, Failure> {
        if requested.is_err() {
            // It may have been aborted by what failed.
            drop(self.inner.abort());
        }
        let end = JsFuture::from(self.end).await;
        if self.is_late.get() {
            return Err(Failure::Unopened("the browser's database does not answer".into()));
        }
        let value = requested?;
        match end {
            Ok(_complete) => Ok(value),
            Err(_aborted) => {
                Err(self.inner.error().map_or_else(|| "aborted".into(), JsValue::from).into())
            }
        }
    }
}

/// Waits for the answer to a request; its transaction takes more requests right after that.
pub(crate) async fn answer(request: IdbRequest) -> Result<JsValue, JsValue> {
    JsFuture::from(outcome(&request)).await.map_err(|_event| failure(&request))?;
    request.result()
}

fn factory() -> Result<JsValue, JsValue> {
    Reflect::get(&js_sys::global(), &"indexedDB".into())
}

async fn open(on_open: Rc<OnOpen>, on_lost: JsValue) -> Result<JsValue, JsValue> {
    let factory: IdbFactory = factory()?.unchecked_into();
    let request = factory.open_with_u32(DATABASE, VERSION)?;
    let is_new = Rc::new(Cell::new(false));
    let on_upgrade = Closure::<dyn Fn(JsValue)>::new({
        let (request, is_new) = (request.clone(), Rc::clone(&is_new));
        move |event| is_new.set(migrate(&request, &event))
    });
    request.set_onupgradeneeded(Some(on_upgrade.as_ref().unchecked_ref()));
    let opened = outcome(&request);
    match JsFuture::from(Promise::race(&Array::of2(&opened, &after(OPEN_MS_MAX)))).await {
        Ok(event) if event.is_undefined() => {
            spawn_local(async move {
                if let Ok(database) = answer(request.unchecked_into()).await {
                    database.unchecked_into::<IdbDatabase>().close();
                }
                // It may have to be brought to this version before that.
                drop(on_upgrade);
            });
            return Err("the browser does not open its database".into());
        }
        Ok(_event) => {}
        Err(_event) => return Err(explain(failure(&request))),
    }
    let database: IdbDatabase = request.result()?.unchecked_into();
    database.set_onversionchange(Some(on_lost.unchecked_ref()));
    database.set_onclose(Some(on_lost.unchecked_ref()));
    on_open(&database, is_new.get());
    Ok(database.into())
}

/// A newer database stays as it is, and this software cannot use it.
fn explain(cause: JsValue) -> JsValue {
    let name = Reflect::get(&cause, &"name".into()).ok().and_then(|name| name.as_string());
    if name.as_deref() == Some("VersionError") {
        return "a newer version of this software has been here; reload to get it".into();
    }
    cause
}

/// A promise of the outcome of a request.
fn outcome(request: &IdbRequest) -> Promise {
    Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    })
}

fn failure(request: &IdbRequest) -> JsValue {
    match request.error() {
        Ok(Some(error)) => error.into(),
        Ok(None) => "no reason given".into(),
        Err(thrown) => thrown,
    }
}

/// A promise of the end of a transaction.
fn end(transaction: &IdbTransaction) -> Promise {
    Promise::new(&mut |resolve, reject| {
        transaction.set_oncomplete(Some(&resolve));
        transaction.set_onabort(Some(&reject));
    })
}
