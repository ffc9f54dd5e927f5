//! The session: inputs into the machine one after the other, and what it wants carried out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};

use coweave_core::client::{Client, Event, Input, Output, RoomKey, Settings};
use coweave_core::doc::replica::Replica;
use coweave_core::error::Error;
use coweave_core::ids::RoomName;
use coweave_core::limits::Limits;
use js_sys::Function;
use wasm_bindgen::JsValue;

use crate::batch::Batches;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::device_store::DeviceStore;
use crate::error::{disposed, to_json};
use crate::hints::Hints;
use crate::random;
use crate::timer::Timer;
use crate::view::RoomView;

/// What is shared by the classes of one session.
///
/// No borrow of a cell is held while anything outside this module is called, so that whatever
/// calls back finds the session usable.
pub(crate) struct Shell {
    machine: RefCell<Client>,
    clock: Clock,
    timer: Timer,
    hints: RefCell<Option<Hints>>,
    connection: Connection,
    store: Option<Rc<DeviceStore>>,
    /// Inputs that came while the machine was busy with another one.
    waiting: RefCell<VecDeque<Input>>,
    is_busy: Cell<bool>,
    /// Rooms whose documents were edited since the machine last ran.
    edited: RefCell<Vec<RoomKey>>,
    batches: RefCell<Batches>,
    /// The number of the last request to flush.
    flushes: Cell<u64>,
    /// Tells the npm package that there is news; it asks for them once Rust has returned.
    notify: Function,
    this: Weak<Self>,
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

impl Shell {
    /// A session that is not connected yet; `owner` is whose rows of the device's store it uses.
    pub(crate) fn new(connection: Connection, owner: Option<String>, notify: Function) -> Rc<Self> {
        let clock = Clock::new();
        let settings = Settings {
            session: random::session_key(),
            agent: concat!("coweave/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
            has_device_store: owner.is_some(),
        };
        let machine = Client::new(settings, random::seed(), clock.now());
        Rc::new_cyclic(|this: &Weak<Self>| Self {
            machine: RefCell::new(machine),
            clock,
            timer: Timer::new(with(this, Self::on_timer)),
            hints: RefCell::new(Some(Hints::watch(with(this, |shell| shell.handle(Input::Probe))))),
            connection,
            store: owner.map(|owner| DeviceStore::new(owner, this.clone())),
            waiting: RefCell::default(),
            is_busy: Cell::new(false),
            edited: RefCell::default(),
            batches: RefCell::default(),
            flushes: Cell::new(0),
            notify,
            this: this.clone(),
        })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Hands an input to the machine and carries out what it wants.
    pub(crate) fn handle(&self, input: Input) {
        self.waiting.borrow_mut().push_back(input);
        if self.is_busy.replace(true) {
            return;
        }
        while let Some(input) = self.next_input() {
            self.machine.borrow_mut().handle(input, self.clock.now());
            self.carry_out();
        }
        self.is_busy.set(false);
        if !self.batches.borrow().is_empty() {
            // Only a microtask is set up there; a failure would be a bug of the npm package.
            drop(self.notify.call0(&JsValue::NULL));
        }
    }

    fn next_input(&self) -> Option<Input> {
        self.waiting.borrow_mut().pop_front()
    }

    fn carry_out(&self) {
        loop {
            let now = self.clock.now();
            let output = self.machine.borrow_mut().poll(now);
            match output {
                Output::Connect => self.connection.connect(&self.this),
                Output::Frame(frame) => self.connection.send(&frame),
                Output::Disconnect => self.connection.disconnect(),
                Output::Load { key, name } => {
                    if let Some(store) = &self.store {
                        store.load(key, &name);
                    }
                }
                Output::Write { key, name, ticket, writes } => {
                    if let Some(store) = &self.store {
                        store.write(key, &name, ticket, &writes);
                    }
                }
                Output::Event { key, event } => self.note(key, event),
                Output::Idle { wake } => return self.timer.set(wake, now),
                // A newer core may want more; this shell is always built with its own.
                _ => {}
            }
        }
    }

    fn note(&self, key: RoomKey, event: Event) {
        if event == Event::DocumentChanged {
            self.collect_changes(key);
        } else {
            self.batches.borrow_mut().add(key, event);
        }
    }

    fn collect_changes(&self, key: RoomKey) {
        let changes = match self.machine.borrow_mut().room_mut(key) {
            Some(room) => room.replica_mut().take_changes(),
            None => Vec::new(),
        };
        self.batches.borrow_mut().add_changes(key, changes);
    }

    fn on_timer(&self) {
        let Some(due) = self.timer.take_due() else { return };
        let is_late = self.clock.has_lost_time(due);
        self.handle(if is_late { Input::Probe } else { Input::Tick });
    }

    /// Opens a room.
    pub(crate) fn open(&self, name: RoomName) -> RoomKey {
        let key = self.machine.borrow_mut().next_key();
        self.handle(Input::Open { key, name, client: random::client_id() });
        key
    }

    /// Closes a room; what was edited before goes out first.
    pub(crate) fn close(&self, key: RoomKey) {
        self.settle();
        self.handle(Input::Close { key });
        if let Some(store) = &self.store {
            store.forget(key);
        }
        self.batches.borrow_mut().remove(key);
    }

    /// Uses a document without changing it.
    pub(crate) fn access<T>(
        &self,
        key: RoomKey,
        access: impl FnOnce(&mut Replica) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut machine = self.machine.borrow_mut();
        access(machine.room_mut(key).ok_or_else(disposed)?.replica_mut())
    }

    /// Changes a document. The machine learns of it with the next [`Shell::settle`].
    pub(crate) fn edit<T>(
        &self,
        key: RoomKey,
        edit: impl FnOnce(&mut Replica) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value = self.access(key, edit)?;
        let mut edited = self.edited.borrow_mut();
        if !edited.contains(&key) {
            edited.push(key);
        }
        Ok(value)
    }

    /// Lets the machine see the edits since the last time: they leave as one update per room.
    pub(crate) fn settle(&self) {
        let edited = self.edited.take();
        if edited.is_empty() {
            return;
        }
        for key in edited {
            self.collect_changes(key);
        }
        self.handle(Input::Tick);
    }

    /// Asks to be told when everything in a document is on the relay's disk.
    pub(crate) fn flush(&self, key: RoomKey) -> Result<u64, Error> {
        self.access(key, |_| Ok(()))?;
        self.settle();
        let number = self.flushes.get() + 1;
        self.flushes.set(number);
        self.handle(Input::Flush { key, number });
        Ok(number)
    }

    /// The state of a room, as JSON.
    pub(crate) fn view(&self, key: RoomKey) -> Option<RoomView> {
        let machine = self.machine.borrow();
        machine.room(key).map(RoomView::new)
    }

    /// Settles, then takes all news, as JSON.
    pub(crate) fn drain(&self) -> String {
        self.settle();
        let batches = self.batches.borrow_mut().take(|key| self.view(key));
        to_json(&batches)
    }

    /// Ends the session: no timer, socket or listener is left.
    pub(crate) fn dispose(&self) {
        self.settle();
        self.timer.cancel();
        self.connection.disconnect();
        drop(self.hints.take());
    }
}

/// A function that calls the session when it still exists.
fn with(
    this: &Weak<Shell>,
    call: impl Fn(&Shell) + Clone + 'static,
) -> impl Fn() + Clone + 'static {
    let this = this.clone();
    move || {
        if let Some(shell) = this.upgrade() {
            call(&shell);
        }
    }
}
