//! The session: inputs into the machine one after the other, and what it wants carried out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs::{self, Tabs};
use coweave_core::client::{Client, Event, Input, Output, RoomKey, SetAsideCopy, Settings};
use coweave_core::doc::replica::Replica;
use coweave_core::error::Error;
use coweave_core::ids::{RoomName, SessionKey, TabId};
use coweave_core::limits::Limits;
use coweave_core::time::{Time, earliest};
use js_sys::{Array, Function};
use wasm_bindgen::JsValue;

use crate::batch::Batches;
use crate::browser_tabs::BrowserTabs;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::debug;
use crate::device_store::DeviceStore;
use crate::error::disposed;
use crate::keeper::Keeper;
use crate::random;
use crate::timer::Timer;

/// A longer wait ends early, and the clocks are compared: after a sleep that stopped the steady one and
/// the timers with it, nothing else may happen for long.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What is shared by the classes of one session.
///
/// No borrow of a cell is held while anything outside this module is called, so that whatever
/// calls back finds the session usable.
pub(crate) struct Shell {
    machine: RefCell<Client>,
    tabs: RefCell<Tabs>,
    browser_tabs: Option<BrowserTabs>,
    clock: Clock,
    timer: Timer,
    connection: Connection,
    store: Option<Rc<DeviceStore>>,
    /// Inputs that came while the machine was busy with another one.
    waiting: RefCell<VecDeque<Either>>,
    is_busy: Cell<bool>,
    /// What still holds on to it, or answers it, finds nobody.
    is_disposed: Cell<bool>,
    /// Rooms whose documents were edited since the machine last ran.
    edited: RefCell<Vec<RoomKey>>,
    batches: RefCell<Batches>,
    /// Copies that were set aside and are in news not taken yet.
    copies: RefCell<Vec<(RoomKey, SetAsideCopy)>>,
    /// The number of the last request to flush.
    flushes: Cell<u64>,
    /// Tells the npm package that there is news; it asks for them once Rust has returned.
    notify: Function,
    keeper: Keeper,
    this: Weak<Self>,
}

/// An input of either machine.
enum Either {
    Client(Input),
    Tabs(tabs::Input),
}

impl fmt::Debug for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").finish_non_exhaustive()
    }
}

impl Shell {
    /// A session that is not connected yet; `owner` is whose rows of the device's store it uses, and
    /// `tab` its name among others, and the way to them.
    pub(crate) fn new(
        connection: Connection,
        owner: Option<String>,
        session: SessionKey,
        notify: Function,
        keeper: Keeper,
        tab: Option<(TabId, BrowserTabs)>,
    ) -> Rc<Self> {
        let clock = Clock::new();
        let settings = Settings {
            session,
            agent: concat!("coweave/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: Limits::default(),
            has_device_store: owner.is_some(),
        };
        let machine = Client::new(settings, random::seed(), clock.now());
        let tabs = tab.as_ref().map_or_else(|| Tabs::alone(TabId(0)), |(id, _)| Tabs::new(*id));
        Rc::new_cyclic(|this: &Weak<Self>| Self {
            machine: RefCell::new(machine),
            tabs: RefCell::new(tabs),
            browser_tabs: tab.map(|(_, way)| way),
            clock,
            timer: Timer::new(with(this, Self::on_timer)),
            connection,
            store: owner.map(|owner| DeviceStore::new(owner, this.clone())),
            waiting: RefCell::default(),
            is_busy: Cell::new(false),
            is_disposed: Cell::new(false),
            edited: RefCell::default(),
            batches: RefCell::default(),
            copies: RefCell::default(),
            flushes: Cell::new(0),
            notify,
            keeper,
            this: this.clone(),
        })
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Hands an input to the machine and carries out what it wants.
    pub(crate) fn handle(&self, input: Input) {
        self.take_in(Either::Client(input));
        self.tell();
    }

    /// The same for the machine between the session and the socket.
    pub(crate) fn handle_tabs(&self, input: tabs::Input) {
        self.take_in(Either::Tabs(input));
        self.tell();
    }

    fn take_in(&self, input: Either) {
        if self.is_disposed.get() {
            return;
        }
        let (mut now, has_jumped) = self.clock.look();
        if has_jumped {
            self.waiting.borrow_mut().push_back(Either::Client(Input::Probe));
        }
        self.waiting.borrow_mut().push_back(input);
        if self.is_busy.replace(true) {
            return;
        }
        while let Some(input) = self.next_input() {
            match input {
                Either::Client(input) => self.machine.borrow_mut().handle(input, now),
                Either::Tabs(input) => self.tabs.borrow_mut().handle(input, now),
            }
            self.carry_out(now);
            if !self.waiting.borrow().is_empty() {
                now = self.clock.now();
            }
        }
        self.is_busy.set(false);
    }

    fn tell(&self) {
        if !self.is_busy.get() && !self.batches.borrow().is_empty() {
            // Only a microtask is set up there; a failure would be a bug of the npm package.
            drop(self.notify.call0(&JsValue::NULL));
        }
    }

    fn next_input(&self) -> Option<Either> {
        self.waiting.borrow_mut().pop_front()
    }

    /// What has arrived comes first: a session that was held up would take its line for dead.
    fn carry_out(&self, now: Time) {
        loop {
            let output = self.tabs.borrow_mut().poll(now);
            let tabs_wake = match output {
                tabs::Output::Idle { wake } => wake,
                output => {
                    self.carry_out_for_tabs(output, now);
                    continue;
                }
            };
            let output = self.machine.borrow_mut().poll(now);
            match output {
                Output::Idle { wake } => {
                    let wake = earliest(wake, tabs_wake).map(|wake| wake.min(now + WAIT_MAX));
                    return self.timer.set(wake, now);
                }
                output => self.carry_out_for_session(output, now),
            }
        }
    }

    fn carry_out_for_session(&self, output: Output, now: Time) {
        let tabs = |input| self.tabs.borrow_mut().handle(input, now);
        match output {
            Output::Connect => self.connection.authorize(&self.this),
            Output::Frame(frame) => tabs(tabs::Input::Say(frame)),
            Output::Disconnect => {
                self.connection.give_up();
                tabs(tabs::Input::HangUp);
            }
            Output::Talk { to, talk } => tabs(tabs::Input::Talk { to, talk }),
            Output::Load { key, name, lineage } => {
                if let Some(store) = &self.store {
                    store.load(key, &name, lineage);
                }
            }
            Output::Write { key, name, ticket, writes } => {
                if let Some(store) = &self.store {
                    store.write(key, &name, ticket, &writes);
                }
            }
            Output::SetAside { key, name, copy, is_dropped } => {
                if let Some(store) = &self.store {
                    store.set_aside(key, name, copy, is_dropped);
                }
            }
            Output::Keep { key, kept } => {
                self.keeper.keep(key, &kept);
            }
            Output::Closed { key } => self.forget(key),
            Output::FindStranded { after } => {
                if let Some(store) = &self.store {
                    store.find_stranded(after.as_ref());
                }
            }
            Output::LoadStranded { key, name } => {
                if let Some(store) = &self.store {
                    store.load_stranded(key, &name);
                }
            }
            Output::Carry { room } => self.keeper.carry(room.as_ref().map(RoomName::as_str)),
            Output::RefreshToken => self.connection.refresh_token(&self.this),
            Output::Event { key, event } => self.note(key, event),
            // A newer core may want more; this shell is always built with its own.
            _ => {}
        }
    }

    fn carry_out_for_tabs(&self, output: tabs::Output, now: Time) {
        match output {
            tabs::Output::OpenSocket => self.connection.open(&self.this),
            tabs::Output::Send(frame) => self.connection.send(&frame),
            tabs::Output::CloseSocket => self.connection.close(),
            tabs::Output::Client(input) => {
                if let Input::TabGone(tab) = &input
                    && let Some(browser_tabs) = &self.browser_tabs
                {
                    browser_tabs.forget(*tab);
                }
                self.machine.borrow_mut().handle(input, now);
            }
            tabs::Output::Watch(tab) => {
                if let Some(browser_tabs) = &self.browser_tabs {
                    browser_tabs.watch(tab);
                }
            }
            tabs::Output::Post { to, message } => {
                if let Some(browser_tabs) = &self.browser_tabs {
                    browser_tabs.post(to, &message);
                }
            }
            _ => {}
        }
    }

    fn note(&self, key: RoomKey, event: Event) {
        match &event {
            Event::DocumentChanged => return self.collect_changes(key),
            Event::SetAside(copy) => self.copies.borrow_mut().push((key, copy.clone())),
            _ => {}
        }
        self.batches.borrow_mut().add(key, event);
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
        let is_late = self.clock.is_late(due);
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
    }

    fn forget(&self, key: RoomKey) {
        if let Some(store) = &self.store {
            store.forget(key);
        }
        self.copies.borrow_mut().retain(|(of, _)| *of != key);
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

    /// Changes the content of a document, when that is allowed.
    pub(crate) fn write(
        &self,
        key: RoomKey,
        write: impl FnOnce(&mut Replica) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some(room) = self.machine.borrow().room(key) {
            room.check_edit()?;
        }
        self.edit(key, write)
    }

    /// Leaves a room to whoever opens it.
    pub(crate) fn leave_alone(&self, name: RoomName) {
        self.machine.borrow_mut().leave_alone(name);
    }

    /// What becomes of edits in a room that the relay refuses for good.
    pub(crate) fn keep_refused(&self, key: RoomKey, keeps: bool) {
        if let Some(room) = self.machine.borrow_mut().room_mut(key) {
            room.keep_refused(keeps);
        }
    }

    /// The content of a copy in the news; it is given once.
    pub(crate) fn take_copy(&self, id: &str) -> Option<Bytes> {
        let mut copies = self.copies.borrow_mut();
        let at = copies.iter().position(|(_, copy)| copy.id == id)?;
        Some(copies.swap_remove(at).1.update)
    }

    /// A copy that is still on its way to the device does not get there, or does after all.
    pub(crate) fn drop_copy(&self, room: &RoomName, id: &str, is_dropped: bool) {
        self.machine.borrow_mut().drop_copy(room, id, is_dropped);
    }

    pub(crate) fn is_dropped(&self, key: RoomKey, id: &str) -> Option<bool> {
        self.machine.borrow().is_copy_dropped(key, id)
    }

    pub(crate) fn store(&self) -> Option<Rc<DeviceStore>> {
        self.store.clone()
    }

    /// Changes a document. The machine learns of it with the next [`Shell::settle`].
    pub(crate) fn edit<T>(
        &self,
        key: RoomKey,
        edit: impl FnOnce(&mut Replica) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value = self.access(key, |replica| {
            if replica.needs_time() {
                replica.set_time(self.clock.now());
            }
            let count = replica.untaken_edits().len();
            let result = edit(replica);
            self.keeper.keep_edits(key, replica.untaken_edits().get(count..).unwrap_or_default());
            result
        })?;
        let mut edited = self.edited.borrow_mut();
        if !edited.contains(&key) {
            edited.push(key);
        }
        Ok(value)
    }

    /// Lets the machine see the edits since the last time: they leave as one update per room.
    pub(crate) fn settle(&self) {
        self.take_edits();
        self.tell();
    }

    fn take_edits(&self) {
        let edited = self.edited.take();
        if edited.is_empty() {
            return;
        }
        for key in edited {
            self.collect_changes(key);
        }
        self.take_in(Either::Client(Input::Tick));
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

    /// What a developer gets to see of the connection.
    pub(crate) fn debug(&self) -> Array {
        debug::connection(&self.machine.borrow(), &self.tabs.borrow())
    }

    /// What a developer gets to see of a room.
    pub(crate) fn debug_room(&self, key: RoomKey) -> Option<Array> {
        self.machine.borrow().room(key).map(debug::room)
    }

    /// Settles, then takes all news, as JSON.
    pub(crate) fn drain(&self) -> Option<String> {
        self.take_edits();
        let machine = self.machine.borrow();
        let mut batches = self.batches.borrow_mut();
        batches.take(|key| machine.room(key), |key, saved| self.keeper.tell_saved(key, saved))
    }

    /// Ends the session: no timer or socket is left.
    pub(crate) fn dispose(&self) {
        self.settle();
        self.handle_tabs(tabs::Input::Stop);
        self.is_disposed.set(true);
        self.timer.cancel();
        self.connection.give_up();
        self.connection.close();
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
