//! A simulated person with our client, and a device that can crash.

mod errand;
mod page;
mod promises;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use coweave_core::client::tabs::Tabs;
use coweave_core::client::{self, Client, Kept, Room, RoomKey, RoomState, Settings, Tier};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{ClientId, EditNumber, Epoch, Lineage, RoomName, TabId};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::time::{Time, earliest};

use self::errand::Errand;
use super::browser::Browser;
use super::network::{Network, Socket};

pub const TEXT: &str = "body";
/// What people want in a room that is empty.
pub const TEMPLATE: &str = "[template]";

/// A person with our client, in one tab of a browser.
#[derive(Debug)]
pub struct Actor {
    pub name: usize,
    limits: Limits,
    rooms: Vec<RoomName>,
    /// Shared with others where this is one of several tabs.
    browser: Rc<RefCell<Browser>>,
    /// What the device was asked for and has not done, in this order.
    errands: VecDeque<Errand>,
    pub process: Option<Process>,
    /// When the page is opened again.
    pub back_at: Time,
    /// What the person was told is safe in a room's history: the clocks of own edits by tier, and of
    /// all edits by flushing.
    pub told_durable: BTreeMap<(RoomName, Lineage), Known>,
    letters: u64,
    /// Its software is newer than the relay's, and says what that does not know.
    is_newer: bool,
    /// How often a template became the first content, how often everything was flushed, and how often a
    /// room was gone.
    pub seeded: u64,
    pub flushed: u64,
    pub deleted: u64,
    /// How often another instance went on.
    pub trapped: u64,
    /// How often a room was opened that no app has open, for the edits of those who are gone.
    pub carried: u64,
}

/// The running page.
#[derive(Debug)]
pub struct Process {
    client: Client,
    tab: TabId,
    tabs: Tabs,
    /// Of the rooms that the person has open.
    pub keys: BTreeMap<RoomName, RoomKey>,
    socket: Option<Socket>,
    wake: Option<Time>,
    /// For every edit number of a room, the own clock it reaches to.
    clocks: BTreeMap<RoomKey, Vec<u64>>,
    /// Which history the room had when that was noted last.
    histories: BTreeMap<RoomKey, Lineage>,
    /// What was in the document when flushing was asked for.
    flushes: BTreeMap<(RoomKey, u64), Known>,
    last_flush: u64,
    /// What another instance of the module would go on from.
    logs: BTreeMap<RoomKey, Log>,
}

/// What the package keeps of a room outside of the module.
#[derive(Debug, Default)]
struct Log {
    /// With their numbers as long as they are pending.
    updates: Vec<(Option<EditNumber>, Bytes)>,
    history: Option<(Lineage, Epoch)>,
    /// Own edits that nobody was told yet are on the device.
    untold: Vec<Bytes>,
    /// What was read of the device and is still to be in what it gets.
    read: Vec<Bytes>,
    /// The last snapshot for the device.
    snapshot: Option<Bytes>,
    /// The app was told that the device keeps the room no more.
    is_lost: bool,
    /// What was read of the device was damaged.
    is_damaged: bool,
}

impl Log {
    fn keep(&mut self, kept: Kept) {
        match kept {
            Kept::Own { number, update } | Kept::Adopted { number, update } => {
                self.untold.push(update.clone());
                self.updates.push((Some(number), update));
            }
            Kept::Other { update } => self.updates.push((None, update)),
            Kept::Durable { through } => {
                for (number, _) in &mut self.updates {
                    number.take_if(|number| *number <= through);
                }
            }
            Kept::History { lineage, epoch } => self.history = Some((lineage, epoch)),
            Kept::Began => {
                self.updates.clear();
                self.untold.clear();
                self.read.clear();
            }
            other => panic!("unknown {other:?}"),
        }
    }
}

impl Actor {
    pub fn new(
        name: usize,
        rooms: Vec<RoomName>,
        browser: Rc<RefCell<Browser>>,
        limits: Limits,
    ) -> Self {
        Self {
            name,
            limits,
            rooms,
            browser,
            errands: VecDeque::new(),
            process: None,
            back_at: Time::ZERO,
            told_durable: BTreeMap::new(),
            letters: 0,
            is_newer: name % 2 == 1,
            seeded: 0,
            flushed: 0,
            deleted: 0,
            trapped: 0,
            carried: 0,
        }
    }

    /// Opens the page.
    pub fn start(&mut self, random: &mut Random, now: Time) {
        self.process = Some(self.begin(random, now));
        for (at, name) in self.rooms.clone().into_iter().enumerate() {
            if at == 0 || random.chance(70) {
                self.open(name, random, now);
            }
        }
    }

    /// Leaves a room, or enters it; one is always open.
    pub fn wander(&mut self, random: &mut Random, now: Time) {
        let name = self.any_room(random);
        let Some(process) = &mut self.process else { return };
        process.wake = Some(Time::ZERO);
        match process.keys.get(&name).copied() {
            None => self.open(name, random, now),
            Some(key) if process.keys.len() > 1 => {
                process.keys.remove(&name);
                process.client.handle(client::Input::Close { key }, now);
            }
            Some(_) => {}
        }
    }

    pub fn any_room(&self, random: &mut Random) -> RoomName {
        self.rooms[usize::try_from(random.below(self.rooms.len() as u64)).unwrap()].clone()
    }

    /// An instance of the module, without rooms.
    fn begin(&self, random: &mut Random, now: Time) -> Process {
        let tab = self.browser.borrow_mut().open_tab(now);
        let settings = Settings {
            session: self.browser.borrow().session,
            agent: "simulation".to_owned(),
            limits: self.limits.clone(),
            has_device_store: true,
        };
        Process {
            client: Client::new(settings, random.next_u64(), now),
            tab,
            tabs: Tabs::new(tab),
            keys: BTreeMap::new(),
            socket: None,
            wake: Some(now),
            clocks: BTreeMap::new(),
            histories: BTreeMap::new(),
            flushes: BTreeMap::new(),
            last_flush: 0,
            logs: BTreeMap::new(),
        }
    }

    /// The module traps: another instance goes on where it was. What was handed to the device gets
    /// there, but nobody hears of it.
    pub fn trap(&mut self, network: &mut Network, random: &mut Random, now: Time) {
        // What was typed in this very turn is kept in another way, which is not modeled.
        if self.process.as_ref().is_none_or(|process| process.wake == Some(Time::ZERO)) {
            return;
        }
        let Some(before) = self.process.take() else { return };
        self.trapped += 1;
        if let Some(socket) = before.socket {
            network.cut(socket, now);
        }
        for errand in std::mem::take(&mut self.errands) {
            errand.happen(&mut self.browser.borrow_mut().device, before.tab);
        }
        self.browser.borrow_mut().close_tab(before.tab, random, now);
        let mut process = self.begin(random, now);
        process.last_flush = before.last_flush;
        for (name, old) in before.keys {
            let key = process.client.next_key();
            process.keys.insert(name.clone(), key);
            let client = client_id(random);
            process.client.handle(client::Input::Open { key, name, client }, now);
            let Some(room) = before.client.room(old).filter(|room| room.is_loaded()) else {
                continue;
            };
            let nothing = Log::default();
            let log = before.logs.get(&old).unwrap_or(&nothing);
            for (number, update) in &log.updates {
                let (is_pending, is_news) = (number.is_some(), random.chance(10));
                let update = update.clone();
                process
                    .client
                    .handle(client::Input::Restore { key, update, is_pending, is_news }, now);
            }
            process.client.handle(client::Input::Restored { key, history: log.history }, now);
            let (had, has) = (room.replica().known(), process.client.room(key));
            let has = has.expect("just opened").replica().known();
            assert_eq!(has, had, "person {}: the instance goes on elsewhere", self.name);
        }
        self.process = Some(process);
    }

    fn open(&mut self, name: RoomName, random: &mut Random, now: Time) {
        let Some(process) = &mut self.process else { return };
        let key = process.client.next_key();
        process.keys.insert(name.clone(), key);
        process.clocks.insert(key, Vec::new());
        process.client.handle(client::Input::Open { key, name, client: client_id(random) }, now);
        if random.chance(30) {
            let mut template = Replica::new(client_id(random));
            template.text_insert(TEXT, 0, TEMPLATE).expect("an empty text");
            let update = template.take_edits().expect("an edit");
            process.client.handle(client::Input::Seed { key, update }, now);
        }
    }

    /// The room was deleted: the copy is set aside, and the room opened again.
    fn begin_anew(&mut self, name: &RoomName, random: &mut Random, now: Time) {
        let Some(process) = &mut self.process else { return };
        self.deleted += 1;
        let key = process.keys[name];
        process.client.handle(client::Input::Close { key }, now);
        self.open(name.clone(), random, now);
    }

    /// Asks to be told when everything in a room is safe.
    pub fn flush(&mut self, random: &mut Random, now: Time) {
        let name = self.any_room(random);
        let Some(process) = &mut self.process else { return };
        let Some(key) = process.keys.get(&name).copied() else { return };
        process.last_flush += 1;
        let number = process.last_flush;
        process.client.handle(client::Input::Flush { key, number }, now);
        if let Some(room) = process.client.room(key) {
            process.flushes.insert((key, number), room.replica().known().clone());
        }
        process.wake = Some(Time::ZERO);
    }

    /// The page is gone, and with it what the device had not finished writing; of the write under
    /// way all or nothing.
    pub fn crash(&mut self, network: &mut Network, random: &mut Random, now: Time) {
        let errands = std::mem::take(&mut self.errands);
        let Some(process) = self.process.take() else { return };
        if let Some(socket) = process.socket {
            network.cut(socket, now);
        }
        let mut browser = self.browser.borrow_mut();
        if random.chance(50)
            && let Some(first) = errands.into_iter().next()
        {
            first.happen(&mut browser.device, process.tab);
        }
        browser.close_tab(process.tab, random, now);
    }

    /// Types or deletes something somewhere.
    pub fn edit(&mut self, random: &mut Random) {
        let name = self.any_room(random);
        let Some(process) = &mut self.process else { return };
        let Some(key) = process.keys.get(&name) else { return };
        let Some(room) = process.client.room_mut(*key) else { return };
        if !room.is_loaded() {
            return;
        }
        let replica = room.replica_mut();
        let length = u64::from(replica.text_length(TEXT));
        if length > 0 && random.chance(25) {
            let at = random.below(length);
            let count = (1 + random.below(3)).min(length - at);
            let (at, count) = (u32::try_from(at).unwrap(), u32::try_from(count).unwrap());
            may_cut_a_character(replica.text_delete(TEXT, at, count));
        } else {
            self.letters += 1;
            let words = format!("{}{} ", ["a", "b", "c", "d", "e"][self.name], self.letters);
            let at = u32::try_from(random.below(length + 1)).unwrap();
            may_cut_a_character(replica.text_insert(TEXT, at, &words));
        }
        process.wake = Some(Time::ZERO);
    }

    pub fn show(&mut self, random: &mut Random, now: Time) {
        let name = self.any_room(random);
        let Some(process) = &mut self.process else { return };
        let state = random.chance(80).then(|| format!("{{\"at\":{}}}", random.below(100)));
        let Some(key) = process.keys.get(&name).copied() else { return };
        process.client.handle(client::Input::SetPresence { key, state }, now);
        process.wake = Some(Time::ZERO);
    }

    pub fn probe(&mut self, now: Time) {
        if let Some(process) = &mut self.process {
            process.client.handle(client::Input::Probe, now);
            process.wake = Some(Time::ZERO);
        }
    }

    /// The device's store fails for one room.
    pub fn lose_storage(&mut self, random: &mut Random, now: Time) {
        let name = self.any_room(random);
        let Some(process) = &mut self.process else { return };
        let Some(key) = process.keys.get(&name).copied() else { return };
        let error = Error::new(Code::DeviceUnavailable, "the quota is used up");
        process.client.handle(client::Input::WriteFailed { key, error }, now);
        process.wake = Some(Time::ZERO);
        self.errands.retain(|errand| !errand.writes_in(&name));
    }

    /// The socket of this tab, which may be that of all tabs.
    pub fn socket(&self) -> Option<Socket> {
        self.process.as_ref()?.socket
    }

    /// A client id that the others know.
    pub fn client_id(&self) -> Option<ClientId> {
        Some(self.room(self.rooms.first()?)?.replica().client())
    }

    /// Who it is in each open room.
    pub fn client_ids(&self) -> impl Iterator<Item = (&RoomName, ClientId)> {
        let process = self.process.iter();
        let rooms = process.flat_map(|it| it.keys.values().filter_map(|key| it.client.room(*key)));
        rooms.map(|room| (room.name(), room.replica().client()))
    }

    pub fn room(&self, name: &RoomName) -> Option<&Room> {
        let process = self.process.as_ref()?;
        process.client.room(*process.keys.get(name)?)
    }

    /// True when all is in step and on the relay's disk.
    pub fn is_settled(&self) -> bool {
        let Some(process) = &self.process else { return false };
        !self.errands.iter().any(Errand::is_of_a_room)
            && self.browser.borrow().device.is_at_rest()
            && process.keys.values().all(|key| {
                process.client.room(*key).is_some_and(|room| {
                    room.state() == &RoomState::Live
                        && room.saved().is_on_device
                        && room.saved().tier == Tier::Durable
                        && room.saved().pending == 0
                })
            })
    }

    pub fn next_at(&self) -> Option<Time> {
        let errand = self.errands.front().map(|errand| errand.at);
        let Some(process) = &self.process else { return earliest(errand, Some(self.back_at)) };
        let mail = self.browser.borrow().next_at(process.tab);
        earliest(errand, earliest(process.wake, mail))
    }
}

pub fn client_id(random: &mut Random) -> ClientId {
    ClientId::from_u32(u32::try_from(random.below(1 << 32)).expect("below 2^32"))
}

/// A frame of a later version: a message of a type that nobody here knows stands in front.
pub fn with_unknown_message(frame: &Bytes) -> Bytes {
    [&[99, 1, 3, 1, 2, 3], frame.as_ref()].concat().into()
}

/// The places of edits are drawn without looking.
pub fn may_cut_a_character(edited: Result<(), Error>) {
    if let Err(error) = edited {
        assert_eq!(error.code, Code::ApiSplitSurrogate, "{error}");
    }
}
