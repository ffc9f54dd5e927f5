//! The device's store: the rows of all rooms in one IndexedDB database.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use coweave_core::client::{Input, RoomKey, SetAsideCopy, StoredCopy, Write};
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Lineage, RoomName};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{IdbDatabase, IdbKeyRange, IdbTransaction};

use crate::copies::about;
use crate::device_aside::make_room;
use crate::device_database::{Database, Failure, Transaction, answer};
use crate::device_log::{DeviceLog, Fence, Mark, Operation, Row, Rows};
use crate::device_rows::{
    ROOM_STORES, Reading, add_row, all_of, list, object, put_mark, read_bytes, read_mark,
    read_string, request, request_all, request_mark,
};
use crate::device_schema::{COPIES, PENDING, PLACES, ROWS};
use crate::error::device_unavailable;
use crate::random;
use crate::shell::Shell;

/// The device's store as one session uses it.
pub(crate) struct DeviceStore {
    /// What the keys of all rows begin with.
    owner: String,
    shell: Weak<Shell>,
    logs: RefCell<Vec<Kept>>,
    database: Database,
    /// Whether the browser had thrown away what was kept before, all of it.
    is_emptied: Cell<bool>,
}

/// An opened room.
struct Kept {
    key: RoomKey,
    room: String,
    /// `None` before it is loaded.
    log: Option<DeviceLog>,
}

/// A document that was set aside: it belongs to none of the rows.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// Its name within the room.
    pub(crate) id: String,
    /// JSON: whatever whoever set it aside wants to know of it.
    pub(crate) about: String,
    pub(crate) update: Bytes,
}

impl DeviceStore {
    /// What the keys of all rows of a session begin with; `None` where there is no IndexedDB at
    /// all. What is kept for one user is not found by another one.
    pub(crate) fn owner(relay: &str, user: Option<String>) -> Option<String> {
        // A URL holds no space, and neither a user nor a room's name a line feed.
        Database::is_there().then(|| match user {
            None => format!("{relay} "),
            Some(user) => format!("{relay}\n{user}\n"),
        })
    }

    /// A store that gives its answers to a session.
    pub(crate) fn new(owner: String, shell: Weak<Shell>) -> Rc<Self> {
        Rc::new_cyclic(|this: &Weak<Self>| {
            let (this, opener) = (this.clone(), this.clone());
            let on_lost = move || {
                if let Some(this) = this.upgrade() {
                    this.check_all();
                }
            };
            let on_open = move |database: &IdbDatabase, is_new: bool| {
                if let Some(this) = opener.upgrade()
                    && let Some(shell) = this.shell.upgrade()
                    && shell.keeper().opened(database, is_new)
                {
                    this.is_emptied.set(true);
                }
            };
            let (logs, database) = (RefCell::default(), Database::new(on_open, on_lost));
            Self { owner, shell, logs, database, is_emptied: Cell::new(false) }
        })
    }

    /// Reads what the device has of a room.
    pub(crate) fn load(self: &Rc<Self>, key: RoomKey, name: &RoomName, lineage: Option<Lineage>) {
        let (this, room) = (Rc::clone(self), self.room(name));
        if this.with(key, |_| ()).is_none() {
            this.logs.borrow_mut().push(Kept { key, room: room.clone(), log: None });
        }
        spawn_local(async move {
            let copy = match this.read(&room).await {
                Ok(rows) => this.take(key, rows, lineage),
                Err(failure) => {
                    Err(device_unavailable("this device's copy cannot be read", &failure.cause()))
                }
            };
            this.answer(Input::Loaded { key, copy });
        });
    }

    fn take(
        &self,
        key: RoomKey,
        rows: Rows,
        lineage: Option<Lineage>,
    ) -> Result<StoredCopy, Error> {
        let is_aside = |log: &mut DeviceLog| log.was_set_aside(&rows, lineage);
        if self.with(key, is_aside) == Some(true) {
            let text = "another tab has set this copy of the room aside";
            return Err(Error::new(Code::DeviceUnavailable, text));
        }
        let is_emptied = self.is_emptied.get() && rows == Rows::default();
        let (log, mut copy) = DeviceLog::open(random::writer(), rows);
        if let Ok(copy) = &mut copy
            && is_emptied
        {
            let text = "the browser has thrown away all that this device kept";
            copy.damage = Some(Error::new(Code::DeviceUnavailable, text));
        }
        // A room that was closed meanwhile needs none.
        if let Some(kept) = self.logs.borrow_mut().iter_mut().find(|kept| kept.key == key) {
            kept.log = Some(log);
        }
        copy
    }

    /// Writes, all or nothing. The machine gives one write at a time for a room.
    pub(crate) fn write(
        self: &Rc<Self>,
        key: RoomKey,
        name: &RoomName,
        ticket: u64,
        writes: &[Write],
    ) {
        let planned = self.with(key, |log| (log.operations(writes), log.fence()));
        let (this, room) = (Rc::clone(self), self.room(name));
        spawn_local(async move {
            let Some((operations, fence)) = planned else {
                return this.fail(key, &"it has to be read first".into());
            };
            match this.database.twice(|| this.run(&room, &operations, &fence)).await {
                Ok(mark) => {
                    this.with(key, |log| log.set_mark(mark));
                    this.answer(Input::Written { key, ticket });
                }
                Err(failure) => this.fail(key, &failure.cause()),
            }
        });
    }

    fn fail(&self, key: RoomKey, cause: &JsValue) {
        let error = device_unavailable("this device's store takes no more", cause);
        self.answer(Input::WriteFailed { key, error });
    }

    /// After a connection was lost: whether all rooms still have their rows.
    fn check_all(self: &Rc<Self>) {
        for Kept { key, room, log } in &*self.logs.borrow() {
            if let Some(fence) = log.as_ref().map(DeviceLog::fence) {
                spawn_local(Rc::clone(self).check(*key, room.clone(), fence));
            }
        }
    }

    async fn check(self: Rc<Self>, key: RoomKey, room: String, fence: Fence) {
        let mark = self.database.twice(|| self.read_mark(&room)).await;
        let checked = mark
            .map_err(Failure::cause)
            .and_then(|mark| fence.pass(&mark).map(|_| ()).map_err(JsValue::from_str));
        if let Err(cause) = checked {
            self.fail(key, &cause);
        }
    }

    async fn read_mark(&self, room: &str) -> Result<Mark, Failure> {
        let transaction = self.database.begin(&ROOM_STORES, "readonly").await?;
        let requested = request_mark(&transaction.inner, room);
        Ok(read_mark(&transaction.settle(requested).await?.result()?))
    }

    /// Looks for the first room behind this one with rows that are not known to be durable.
    pub(crate) fn find_stranded(self: &Rc<Self>, after: Option<&RoomName>) {
        let this = Rc::clone(self);
        let behind = match after {
            None => Array::of1(&self.owner.as_str().into()),
            // An array is above all that the keys of the room go on with.
            Some(name) => Array::of2(&self.room(name).into(), &Array::new()),
        };
        spawn_local(async move {
            let key = this.database.twice(|| this.first_pending(&behind)).await;
            let key = key.ok().and_then(|key| key.dyn_into::<Array>().ok());
            let room = key.and_then(|key| key.get(0).as_string());
            let name = room.as_deref().and_then(|room| room.strip_prefix(&*this.owner));
            let room = name.and_then(|name| RoomName::parse(name).ok());
            this.answer(Input::FoundStranded { room });
        });
    }

    /// Reads what is pending of an open room and not known here.
    pub(crate) fn load_stranded(self: &Rc<Self>, key: RoomKey, name: &RoomName) {
        let (this, room) = (Rc::clone(self), self.room(name));
        spawn_local(async move {
            let rows = this.read(&room).await;
            let updates = rows.ok().and_then(|rows| this.with(key, |log| log.find(rows)));
            this.answer(Input::LoadedStranded { key, updates: updates.unwrap_or_default() });
        });
    }

    async fn first_pending(&self, behind: &Array) -> Result<JsValue, Failure> {
        let transaction = self.database.begin(&[PENDING], "readonly").await?;
        let requested = (|| {
            let range = IdbKeyRange::lower_bound(behind)?;
            transaction.inner.object_store(PENDING)?.get_key(&range)
        })();
        Ok(transaction.settle(requested).await?.result()?)
    }

    /// Forgets which row is which of a closed room.
    pub(crate) fn forget(&self, key: RoomKey) {
        self.logs.borrow_mut().retain(|kept| kept.key != key);
    }

    fn with<T>(&self, key: RoomKey, use_log: impl FnOnce(&mut DeviceLog) -> T) -> Option<T> {
        let mut logs = self.logs.borrow_mut();
        let kept = logs.iter_mut().find(|kept| kept.key == key)?;
        kept.log.as_mut().map(use_log)
    }

    fn answer(&self, input: Input) {
        if let Some(shell) = self.shell.upgrade() {
            shell.handle(input);
        }
    }

    /// One origin may talk to several relays, and several people may use it.
    fn room(&self, name: &RoomName) -> String {
        format!("{}{name}", self.owner)
    }

    async fn read(&self, room: &str) -> Result<Rows, Failure> {
        let result = self.database.twice(|| self.read_at_once(room)).await;
        match result {
            Err(Failure::Used(_)) => self.read_one_by_one(room).await,
            result => result,
        }
    }

    async fn read_at_once(&self, room: &str) -> Result<Rows, Failure> {
        let transaction = self.database.begin(&ROOM_STORES, "readonly").await?;
        let requested = request_all(&transaction.inner, room, Reading::AtOnce);
        let requested = transaction.settle(requested).await?;
        let mut rows = requested.others()?;
        requested.list()?.iter().for_each(|row| add_row(&mut rows, Ok(row)));
        Ok(rows)
    }

    /// For a room with a row that the browser itself cannot read any more.
    async fn read_one_by_one(&self, room: &str) -> Result<Rows, Failure> {
        let transaction = self.database.begin(&ROOM_STORES, "readonly").await?;
        let requested = request_all(&transaction.inner, room, Reading::OneByOne);
        let requested = transaction.settle(requested).await?;
        let mut rows = requested.others()?;
        for key in requested.list()?.iter() {
            let transaction = self.database.begin(&[ROWS], "readonly").await?;
            let requested = (|| transaction.inner.object_store(ROWS)?.get(&key))();
            let row = transaction.settle(requested).await;
            add_row(&mut rows, row.map_err(Failure::cause).and_then(|row| row.result()));
        }
        Ok(rows)
    }

    /// The answer is the mark that the rows have now.
    async fn run(
        &self,
        room: &str,
        operations: &[Operation],
        fence: &Fence,
    ) -> Result<String, Failure> {
        let transaction = self.database.begin(&ROOM_STORES, "readwrite").await?;
        let requested = run_behind(&transaction, room, operations, fence).await;
        transaction.settle(requested).await
    }
}

/// A room's rows are only added to while they are the ones that the session knows.
async fn run_behind(
    transaction: &Transaction,
    room: &str,
    operations: &[Operation],
    fence: &Fence,
) -> Result<String, JsValue> {
    let transaction = &transaction.inner;
    let mark = request_mark(transaction, room)?;
    operations.iter().try_for_each(|it| request(transaction, room, it))?;
    let mark = read_mark(&answer(mark).await?);
    let next = fence.pass(&mark).map_err(JsValue::from_str)?;
    if mark.name.is_none() {
        put_mark(transaction, room, next, None)?;
    }
    Ok(next.to_owned())
}

impl DeviceStore {
    /// Puts a copy in the place of the rows of a room, in one step, and reads what there is then.
    /// Rows that are not those of the room as it was loaded stay.
    pub(crate) fn set_aside(
        self: &Rc<Self>,
        key: RoomKey,
        name: RoomName,
        copy: SetAsideCopy,
        is_dropped: bool,
    ) {
        let (this, room) = (Rc::clone(self), self.room(&name));
        let fence = self.with(key, |log| log.fence());
        spawn_local(async move {
            let is_again = Cell::new(false);
            // It may be dropped behind an attempt that failed, or not be droppable.
            let is_dropped = || this.is_dropped(key, &copy.id).unwrap_or(is_dropped);
            let replace = || this.replace(&room, &copy, is_dropped, fence.as_ref(), &is_again);
            match this.database.twice(replace).await {
                Ok(()) => {
                    this.forget(key);
                    this.load(key, &name, None);
                }
                Err(it) => {
                    let error = device_unavailable("a copy cannot be set aside", &it.cause());
                    this.answer(Input::Loaded { key, copy: Err(error) });
                }
            }
        });
    }

    fn is_dropped(&self, key: RoomKey, id: &str) -> Option<bool> {
        self.shell.upgrade()?.is_dropped(key, id)
    }

    async fn replace(
        &self,
        room: &str,
        copy: &SetAsideCopy,
        is_dropped: impl Fn() -> bool,
        fence: Option<&Fence>,
        is_again: &Cell<bool>,
    ) -> Result<(), Failure> {
        // Rows that nobody can read do not stand in the way: they stay where they are.
        let rows = match is_again.replace(true) {
            true => Some(self.read_one_by_one(room).await?.rows),
            false => None,
        };
        let stores = [&ROOM_STORES[..], &[COPIES]].concat();
        let transaction = self.database.begin(&stores, "readwrite").await?;
        let requested = async {
            if !is_dropped() {
                put_copy(&transaction.inner, room, copy)?;
            }
            replace_behind(&transaction.inner, room, copy, fence, rows).await
        };
        let requested = requested.await;
        transaction.settle(requested).await
    }

    /// What was set aside of a room, by id.
    pub(crate) async fn copies(&self, name: &RoomName) -> Result<Vec<Copy>, Error> {
        let room = self.room(name);
        let result = self.database.twice(|| self.read_copies(&room)).await;
        result.map_err(|it| device_unavailable("copies set aside cannot be read", &it.cause()))
    }

    async fn read_copies(&self, room: &str) -> Result<Vec<Copy>, Failure> {
        let transaction = self.database.begin(&[COPIES], "readonly").await?;
        let requested =
            (|| transaction.inner.object_store(COPIES)?.get_all_with_key(&all_of(room)?.into()))();
        let copies = list(&transaction.settle(requested).await?)?;
        let read = |row: JsValue| {
            Ok(Copy {
                id: read_string(&row, "id")?,
                about: read_string(&row, "about")?,
                update: read_bytes(&row, "update")?.into(),
            })
        };
        copies.iter().map(read).collect::<Result<_, JsValue>>().map_err(Failure::from)
    }

    /// Deletes a copy for good.
    pub(crate) async fn drop_copy(&self, name: &RoomName, id: &str) -> Result<(), Error> {
        let key = Array::of2(&self.room(name).into(), &id.into());
        let result = self.database.twice(|| self.delete_copy(&key)).await;
        result.map_err(|it| device_unavailable("a copy set aside cannot be deleted", &it.cause()))
    }

    async fn delete_copy(&self, key: &Array) -> Result<(), Failure> {
        let transaction = self.database.begin(&[COPIES], "readwrite").await?;
        let requested = (|| {
            transaction.inner.object_store(COPIES)?.delete(key)?;
            Ok(())
        })();
        transaction.settle(requested).await
    }
}

fn put_copy(transaction: &IdbTransaction, room: &str, copy: &SetAsideCopy) -> Result<(), JsValue> {
    transaction.object_store(COPIES)?.put(&object(&[
        ("room", room.into()),
        ("id", copy.id.as_str().into()),
        ("about", about(copy).as_str().into()),
        ("update", Uint8Array::from(&copy.update[..]).into()),
    ]))?;
    Ok(())
}

/// Takes away the rows that a copy is there for, of those that were read already, or of all.
async fn replace_behind(
    transaction: &IdbTransaction,
    room: &str,
    copy: &SetAsideCopy,
    fence: Option<&Fence>,
    rows: Option<Vec<Row>>,
) -> Result<(), JsValue> {
    let requested = match &rows {
        Some(_) => None,
        None => Some(transaction.object_store(ROWS)?.get_all_with_key(&all_of(room)?.into())?),
    };
    // Asked for last: when it is there, the rows are.
    let mark = read_mark(&answer(request_mark(transaction, room)?).await?);
    if fence.is_none_or(|fence| fence.pass(&mark).is_err()) {
        // Another tab was quicker; the rows are those of the room as it went on.
        return Ok(());
    }
    let mut all = Rows { rows: rows.unwrap_or_default(), ..Rows::default() };
    if let Some(requested) = requested {
        list(&requested)?.iter().for_each(|row| add_row(&mut all, Ok(row)));
    }
    let (gone, copies) = make_room(copy, all.rows, random::client_id());
    copies.iter().try_for_each(|copy| put_copy(transaction, room, copy))?;
    for key in gone {
        request(transaction, room, &Operation::Delete(key.clone()))?;
        request(transaction, room, &Operation::ClearPending(key))?;
    }
    transaction.object_store(PLACES)?.delete(&all_of(room)?.into())?;
    put_mark(transaction, room, &random::writer(), Some(mark.name.as_deref().unwrap_or_default()))
}
