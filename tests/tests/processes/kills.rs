//! The relay dies while people type: what they were told is durable is on the disk, everybody
//! comes back by themselves, and all end equal. `COWEAVE_KILLS=200` for more deaths.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use coweave_core::doc::known::Known;
use coweave_core::ids::ClientId;
use coweave_core::random::Random;
use coweave_tests::member::{Member, PATIENCE, type_something};
use coweave_tests::native::NativeClient;
use coweave_tests::relay_process::RelayProcess;
use coweave_tests::size;
use coweave_tests::y_member::YMember;
use tokio::sync::oneshot;

const KILLS_IN_EACH_RUN: u64 = 10;
const ROOMS: [&str; 3] = ["kitchen", "hall", "attic"];
/// In each room.
const V1_WRITERS: u32 = 2;
/// Small, so that logs are folded all the time.
const FLAGS: [&str; 4] = ["--tail-bytes-max", "2000", "--room-linger-ms", "200"];

/// What all writers look at, and what they say of themselves.
#[derive(Default)]
struct Stage {
    is_typing_over: Cell<bool>,
    is_over: Cell<bool>,
    edits: Cell<u64>,
    /// By room: up to where each writer was told that its own edits are durable.
    told: RefCell<BTreeMap<&'static str, Known>>,
    /// What each has at the moment, once everything of its own is durable.
    settled: RefCell<BTreeMap<(&'static str, u32), String>>,
}

/// The clocks of a writer: what each of its numbered edits reached.
struct Clocks {
    room: &'static str,
    id: ClientId,
    after: Vec<u64>,
}

impl Clocks {
    /// Notes what the relay has promised so far.
    fn note(&mut self, client: &mut NativeClient, stage: &Stage) {
        let clock = client.replica().known().next(self.id);
        let last = usize::try_from(client.room().last_number().0).unwrap();
        self.after.resize(last, clock);
        let durable = usize::try_from(client.room().durable().0).unwrap();
        if let Some(clock) = durable.checked_sub(1).and_then(|at| self.after.get(at)) {
            stage.told.borrow_mut().entry(self.room).or_default().reach(self.id, *clock);
        }
    }
}

async fn write_with_v1(address: SocketAddr, room: &'static str, id: u32, stage: Rc<Stage>) {
    let mut random = Random::from_seed(u64::from(id));
    let mut client = NativeClient::new(address, room, id);
    let mut clocks = Clocks { room, id: ClientId::from_u32(id), after: Vec::new() };
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
        let text = if client.is_settled() { client.text() } else { String::from("unsettled") };
        stage.settled.borrow_mut().insert((room, id), text);
    }
}

async fn write_with_y_websocket(
    address: SocketAddr,
    room: &'static str,
    id: u32,
    stage: Rc<Stage>,
) {
    let mut random = Random::from_seed(u64::from(id));
    let mut client = YMember::new(address, room, id);
    while !stage.is_typing_over.get() {
        type_something(client.replica(), &mut random);
        stage.edits.set(stage.edits.get() + 1);
        client.live(Duration::from_millis(2 + random.below(15))).await;
    }
    while !stage.is_over.get() {
        client.live(Duration::from_millis(50)).await;
        stage.settled.borrow_mut().insert((room, id), client.text());
    }
}

fn promises(stage: &Stage) -> u64 {
    let told = stage.told.borrow();
    told.values().flat_map(Known::iter).map(|(_, clock)| clock).sum()
}

async fn check_promises(stage: &Stage, data: &Path) {
    for room in ROOMS {
        let told = stage.told.borrow().get(room).cloned().unwrap_or_default();
        let replica = super::on_disk(data, room).await;
        let known = replica.known();
        assert!(known.covers(&told), "{room}: told {told:?}, on disk {known:?}");
    }
}

/// Work that blocks a thread, while the writers go on.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    result.await.expect("the work does not panic")
}

fn start(data: &Path, port: u16) -> RelayProcess {
    RelayProcess::start_with(data, port, |command| {
        command.args(FLAGS);
    })
}

#[test]
fn what_was_told_durable_survives_every_kill_and_all_end_equal() {
    let kills = size("COWEAVE_KILLS", KILLS_IN_EACH_RUN);
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_owned();
        let mut relay = start(&folder, 0);
        let address = relay.address;
        let stage = Rc::new(Stage::default());
        let mut writers = Vec::new();
        for (room, first) in ROOMS.into_iter().zip((1..).step_by(10)) {
            for id in first..first + V1_WRITERS {
                let writer = write_with_v1(address, room, id, Rc::clone(&stage));
                writers.push(tokio::task::spawn_local(writer));
            }
            let writer = write_with_y_websocket(address, room, first + 5, Rc::clone(&stage));
            writers.push(tokio::task::spawn_local(writer));
        }
        let mut random = Random::from_seed(kills);
        let (mut lives, mut foldings) = (0, 0);
        for kill in 0..kills {
            let before = promises(&stage);
            tokio::time::sleep(Duration::from_millis(50 + random.below(500))).await;
            // Every second one while a log is being folded.
            let is_folding = aside(move || {
                let is_folding = kill % 2 == 0 && relay.wait_for_folding(Duration::from_secs(2));
                relay.kill();
                is_folding
            })
            .await;
            foldings += u64::from(is_folding);
            // Acknowledgements that were under way count: they were sent after the flush.
            tokio::time::sleep(Duration::from_millis(20)).await;
            check_promises(&stage, &folder).await;
            lives += u64::from(promises(&stage) > before);
            let folder = folder.clone();
            relay = aside(move || start(&folder, address.port())).await;
        }
        stage.is_typing_over.set(true);
        let end = Instant::now() + PATIENCE;
        let count = writers.len();
        let texts = loop {
            assert!(Instant::now() < end, "they never ended equal\n{}", relay.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
            let settled = stage.settled.borrow();
            let of = |room| settled.iter().filter(move |((of, _), _)| *of == room);
            let mut texts = ROOMS.iter().map(|room| of(*room).map(|(_, text)| text));
            let is_equal = texts.all(|mut texts| {
                let first = texts.next();
                texts.all(|text| Some(text) == first && text != "unsettled")
            });
            if is_equal && settled.len() == count {
                break settled.clone();
            }
        };
        stage.is_over.set(true);
        for writer in writers {
            writer.await.expect("no writer panics");
        }
        aside(move || relay.kill()).await;
        check_promises(&stage, &folder).await;
        let mut letters = 0;
        for ((room, _), text) in &texts {
            letters += text.len();
            let stored =
                super::on_disk(&folder, room).await.text_string(coweave_tests::native::TEXT);
            // Not printed: they are long.
            assert!(stored == *text, "{room}: somebody sees another text than the disk has");
        }
        let edits = stage.edits.get();
        println!(
            "{edits} edits, {kills} kills, {foldings} of them while a log was folded, \
             {} promises kept, {letters} letters at the end",
            promises(&stage)
        );
        assert!(lives > kills / 3, "in only {lives} of {kills} lives was anything durable");
        assert!(foldings > 0, "no log was ever folded at the moment of a kill");
    });
}
