//! Writers of both protocols in several rooms, what they were promised, and how they end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use coweave_core::client::RoomState;
use coweave_core::doc::known::Known;
use coweave_core::ids::{ClientId, Epoch};
use coweave_core::random::Random;
use coweave_tests::member::{Member as _, PATIENCE, type_something};
use coweave_tests::native::{Heard, NativeClient, TEXT};
use coweave_tests::y_member::YMember;
use tokio::task::{JoinHandle, spawn_local};

/// In each room, beside one of y-websocket.
const V1_WRITERS: u32 = 2;

/// Where a writer is: its room and its client id.
type Place = (&'static str, u32);

/// What all writers look at, and what they say of themselves.
#[derive(Default)]
struct Stage {
    is_typing_over: Cell<bool>,
    is_over: Cell<bool>,
    edits: Cell<u64>,
    /// By room: up to where each writer was told that its own edits are durable.
    told: RefCell<BTreeMap<&'static str, Known>>,
    /// What each has, once nobody types any more and all of its own is durable.
    settled: RefCell<BTreeMap<Place, Option<String>>>,
    /// Of those that speak V1.
    seen: RefCell<BTreeMap<Place, Seen>>,
}

/// What a V1 writer has seen of the relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) heard: Heard,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) is_live: bool,
    /// How long it was to wait, at the last time that it lost its connection.
    pub(crate) sent_away_for: Option<Duration>,
}

/// The writers.
pub(crate) struct Crowd {
    rooms: Vec<&'static str>,
    stage: Rc<Stage>,
    writers: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Lets all of them type.
    pub(crate) fn start(address: SocketAddr, rooms: &[&'static str]) -> Self {
        let stage = Rc::new(Stage::default());
        let mut writers = Vec::new();
        for (room, first) in rooms.iter().zip((1..).step_by(10)) {
            for id in first..first + V1_WRITERS {
                writers.push(spawn_local(write_with_v1(address, (room, id), Rc::clone(&stage))));
            }
            let place = (*room, first + V1_WRITERS);
            writers.push(spawn_local(write_with_y_websocket(address, place, Rc::clone(&stage))));
        }
        Self { rooms: rooms.to_vec(), stage, writers }
    }

    pub(crate) fn edits(&self) -> u64 {
        self.stage.edits.get()
    }

    /// How much was said to be durable so far.
    pub(crate) fn promises(&self) -> u64 {
        let told = self.stage.told.borrow();
        told.values().flat_map(Known::iter).map(|(_, clock)| clock).sum()
    }

    pub(crate) fn seen(&self) -> BTreeMap<Place, Seen> {
        self.stage.seen.borrow().clone()
    }

    /// What all that speak V1 have seen, once each of them is in its room.
    pub(crate) async fn seen_by_all(&self) -> BTreeMap<Place, Seen> {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen();
            let is_in = |seen: &Seen| seen.is_live && seen.epoch.is_some();
            let count = seen.values().filter(|seen| is_in(seen)).count();
            if count == self.rooms.len() * V1_WRITERS as usize {
                return seen;
            }
            assert!(Instant::now() < end, "only {count} are in");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails when a promise was broken: no relay may be running on this folder.
    pub(crate) async fn check_promises(&self, data: &Path) {
        for room in &self.rooms {
            let told = self.stage.told.borrow().get(room).cloned().unwrap_or_default();
            let replica = super::on_disk(data, room).await;
            let known = replica.known();
            assert!(known.covers(&told), "{room}: told {told:?}, on disk {known:?}");
        }
    }

    /// Lets nobody type any more, waits until all that share a room have the same text, and gives
    /// the text of each room.
    pub(crate) async fn end_equal(self) -> BTreeMap<&'static str, String> {
        self.stage.is_typing_over.set(true);
        let end = Instant::now() + PATIENCE;
        let texts = loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let settled = self.stage.settled.borrow();
            let mut texts = BTreeMap::new();
            let is_equal = settled.iter().all(|((room, _), text)| {
                text.as_ref().is_some_and(|text| texts.entry(*room).or_insert(text) == &text)
            });
            if is_equal && settled.len() == self.writers.len() {
                break texts.into_iter().map(|(room, text)| (room, text.clone())).collect();
            }
            let lengths = || settled.iter().map(|(at, text)| (at, text.as_ref().map(String::len)));
            assert!(Instant::now() < end, "never equal: {:?}", lengths().collect::<Vec<_>>());
        };
        self.stage.is_over.set(true);
        for writer in self.writers {
            writer.await.expect("no writer panics");
        }
        texts
    }
}

/// Fails when the disk has other texts.
pub(crate) async fn check_texts(data: &Path, texts: &BTreeMap<&'static str, String>) {
    for (room, text) in texts {
        let stored = super::on_disk(data, room).await.text_string(TEXT);
        // Not printed: they are long.
        assert!(stored == *text, "{room}: somebody sees another text than the disk has");
    }
}

/// The clocks of a writer: what each of its numbered edits reached.
struct Clocks {
    place: Place,
    after: Vec<u64>,
}

impl Clocks {
    /// Notes what the relay has promised so far, and how the writer stands to it.
    fn note(&mut self, client: &mut NativeClient, stage: &Stage) {
        let (room, id) = (self.place.0, ClientId::from_u32(self.place.1));
        let clock = client.replica().known().next(id);
        let last = usize::try_from(client.room().last_number().0).unwrap();
        self.after.resize(last, clock);
        let durable = usize::try_from(client.room().durable().0).unwrap();
        if let Some(clock) = durable.checked_sub(1).and_then(|at| self.after.get(at)) {
            stage.told.borrow_mut().entry(room).or_default().reach(id, *clock);
        }
        let mut all_seen = stage.seen.borrow_mut();
        let seen = all_seen.entry(self.place).or_default();
        let is_live = client.room().state() == &RoomState::Live;
        if seen.is_live && !is_live {
            seen.sent_away_for = client.retry_in();
        }
        seen.is_live = is_live;
        seen.heard = client.heard;
        seen.epoch = client.room().is_synced().then(|| client.room().position().0);
    }
}

async fn write_with_v1(address: SocketAddr, place: Place, stage: Rc<Stage>) {
    let (room, id) = place;
    let mut random = Random::from_seed(u64::from(id));
    let mut client = NativeClient::new(address, room, id);
    let mut clocks = Clocks { place, after: Vec::new() };
    while !stage.is_typing_over.get() {
        type_something(client.replica(), &mut random);
        stage.edits.set(stage.edits.get() + 1);
        client.tick();
        clocks.note(&mut client, &stage);
        client.live(Duration::from_millis(2 + random.below(15))).await;
        clocks.note(&mut client, &stage);
    }
    while !stage.is_over.get() {
        client.live(Duration::from_millis(50)).await;
        clocks.note(&mut client, &stage);
        let text = client.is_settled().then(|| client.text());
        stage.settled.borrow_mut().insert(place, text);
    }
}

async fn write_with_y_websocket(address: SocketAddr, place: Place, stage: Rc<Stage>) {
    let (room, id) = place;
    let mut random = Random::from_seed(u64::from(id));
    let mut client = YMember::new(address, room, id);
    while !stage.is_typing_over.get() {
        type_something(client.replica(), &mut random);
        stage.edits.set(stage.edits.get() + 1);
        client.live(Duration::from_millis(2 + random.below(15))).await;
    }
    while !stage.is_over.get() {
        client.live(Duration::from_millis(50)).await;
        let text = client.is_synced().then(|| client.text());
        stage.settled.borrow_mut().insert(place, text);
    }
}
