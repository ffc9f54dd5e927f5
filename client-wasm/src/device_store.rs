//! The device's store: the rows of all rooms in one IndexedDB database.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use coweave_core::client::{Input, RoomKey, SetAsideCopy, StoredCopy, Write};
use coweave_core::error::{Code, Error};
use coweave_core::ids::RoomName;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::copies::about;
use crate::device_database::{Database, Transaction, answer};
use crate::device_log::{DeviceLog, Fence, Operation, Rows};
use crate::device_rows::{
    ROOM_STORES, all_of, list, object, put_mark, read_bytes, read_mark, read_string, request,
    request_all, request_mark,
};
use crate::device_schema::COPIES;
use crate::error::device_unavailable;
use crate::random;
use crate::shell::Shell;

/// The device's store as one session uses it.
pub(crate) struct DeviceStore {
    /// What the keys of all rows of this session begin with.
    owner: String,
    shell: Weak<Shell>,
    logs: RefCell<Vec<(RoomKey, DeviceLog)>>,
    database: Database,
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
    /// The store for the rooms of a relay; `None` where there is no IndexedDB at all. What is kept
    /// for one user is not found by another one.
    pub(crate) fn find(relay: &str, user: Option<String>) -> Option<Self> {
        // A URL holds no space, and neither a user nor a room's name a line feed.
        let owner = match user {
            None => format!("{relay} "),
            Some(user) => format!("{relay}\n{user}\n"),
        };
        let (shell, logs) = (Weak::new(), RefCell::default());
        Database::find().map(|database| Self { owner, shell, logs, database })
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
            let copy = match this.database.twice(|| this.read(&room)).await {
                Ok(rows) => this.take(key, rows),
                Err(cause) => Err(device_unavailable("this device's copy cannot be read", &cause)),
            };
            this.answer(Input::Loaded { key, copy });
        });
    }

    fn take(&self, key: RoomKey, rows: Rows) -> Result<StoredCopy, Error> {
        let mut was_set_aside = false;
        self.with_log(key, |log| was_set_aside = log.was_set_aside(&rows.mark));
        if was_set_aside {
            let text = "another tab has set this copy of the room aside";
            return Err(Error::new(Code::DeviceUnavailable, text));
        }
        let (log, copy) = DeviceLog::open(random::writer(), rows)?;
        self.forget(key);
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
        let (operations, fence) = match self.logs.borrow_mut().iter_mut().find(|(of, _)| *of == key)
        {
            Some((_, log)) => (log.operations(writes), log.fence()),
            None => return,
        };
        let (this, room) = (Rc::clone(self), self.room(name));
        spawn_local(async move {
            let result = this.database.twice(|| this.run(&room, &operations, &fence)).await;
            this.answer(match result {
                Ok(mark) => {
                    this.with_log(key, |log| log.set_mark(mark));
                    Input::Written { key, ticket }
                }
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

    fn with_log(&self, key: RoomKey, change: impl FnOnce(&mut DeviceLog)) {
        if let Some((_, log)) = self.logs.borrow_mut().iter_mut().find(|(of, _)| *of == key) {
            change(log);
        }
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

    async fn read(&self, room: &str) -> Result<Rows, JsValue> {
        let transaction = self.database.begin(&ROOM_STORES, "readonly").await?;
        let requested = request_all(&transaction.inner, room);
        transaction.settle(requested).await?.rows()
    }

    /// The answer is the mark that the rows have now.
    async fn run(
        &self,
        room: &str,
        operations: &[Operation],
        fence: &Fence,
    ) -> Result<String, JsValue> {
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
    let next = fence.pass(mark.name.as_deref()).map_err(JsValue::from_str)?;
    if mark.name.is_none() {
        put_mark(transaction, room, next, None)?;
    }
    Ok(next.to_owned())
}

impl DeviceStore {
    /// Puts a copy in the place of all rows of a room, in one step, and reads what there is then.
    /// Rows that are not those of the room as it was loaded stay.
    pub(crate) fn set_aside(self: &Rc<Self>, key: RoomKey, name: RoomName, copy: SetAsideCopy) {
        let (this, room) = (Rc::clone(self), self.room(&name));
        let mut fence = Fence::default();
        self.with_log(key, |log| fence = log.fence());
        spawn_local(async move {
            let copy = Copy { about: about(&copy), id: copy.id, update: copy.update };
            match this.database.twice(|| this.replace(&room, &copy, &fence)).await {
                Ok(()) => {
                    this.forget(key);
                    this.load(key, &name);
                }
                Err(cause) => {
                    let error = device_unavailable("a copy cannot be set aside", &cause);
                    this.answer(Input::Loaded { key, copy: Err(error) });
                }
            }
        });
    }

    async fn replace(&self, room: &str, copy: &Copy, fence: &Fence) -> Result<(), JsValue> {
        let stores = [&ROOM_STORES[..], &[COPIES]].concat();
        let transaction = self.database.begin(&stores, "readwrite").await?;
        let requested = replace_behind(&transaction, room, copy, fence).await;
        transaction.settle(requested).await
    }

    /// What was set aside of a room, by id.
    pub(crate) async fn copies(&self, name: &RoomName) -> Result<Vec<Copy>, Error> {
        let room = self.room(name);
        let result = self.database.twice(|| self.read_copies(&room)).await;
        result.map_err(|cause| device_unavailable("the copies set aside cannot be read", &cause))
    }

    async fn read_copies(&self, room: &str) -> Result<Vec<Copy>, JsValue> {
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
        copies.iter().map(read).collect()
    }

    /// Deletes a copy for good.
    pub(crate) async fn drop_copy(&self, name: &RoomName, id: &str) -> Result<(), Error> {
        let key = Array::of2(&self.room(name).into(), &id.into());
        let result = self.database.twice(|| self.delete_copy(&key)).await;
        result.map_err(|cause| device_unavailable("a copy set aside cannot be deleted", &cause))
    }

    async fn delete_copy(&self, key: &Array) -> Result<(), JsValue> {
        let transaction = self.database.begin(&[COPIES], "readwrite").await?;
        let requested = (|| {
            transaction.inner.object_store(COPIES)?.delete(key)?;
            Ok(())
        })();
        transaction.settle(requested).await
    }
}

async fn replace_behind(
    transaction: &Transaction,
    room: &str,
    copy: &Copy,
    fence: &Fence,
) -> Result<(), JsValue> {
    let transaction = &transaction.inner;
    transaction.object_store(COPIES)?.put(&object(&[
        ("room", room.into()),
        ("id", copy.id.as_str().into()),
        ("about", copy.about.as_str().into()),
        ("update", Uint8Array::from(&copy.update[..]).into()),
    ]))?;
    let mark = read_mark(&answer(request_mark(transaction, room)?).await?);
    let before = mark.name.as_deref();
    if !fence.knows(before) {
        // Another tab was quicker; the rows are those of the room as it went on.
        return Ok(());
    }
    for store in &ROOM_STORES[..3] {
        transaction.object_store(store)?.delete(&all_of(room)?.into())?;
    }
    put_mark(transaction, room, &random::writer(), before)
}
