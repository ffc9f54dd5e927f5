//! The relay dies fifty times while people type: what they were told is durable is on the disk.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{ClientId, Lineage, RoomName};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_relay::store::Store;
use coweave_relay::store::sqlite::SqliteStore;
use coweave_tests::native::{NativeClient, RelayProcess, TEXT};

const KILLS: usize = 50;
const CLIENTS: u32 = 3;
const ROOM: &str = "typing";

/// A person who types on a thread of their own.
struct Typist {
    thread: std::thread::JoinHandle<String>,
    /// The own clock up to which everything was told to be durable.
    told: Arc<Mutex<u64>>,
    edits: Arc<Mutex<u64>>,
}

/// What all typists look at.
#[derive(Default)]
struct Stage {
    is_over: AtomicBool,
    /// How many have brought everything to the relay's disk.
    settled: AtomicU32,
}

fn type_on(address: std::net::SocketAddr, id: u32, stage: &Arc<Stage>) -> Typist {
    let told = Arc::new(Mutex::new(0));
    let edits = Arc::new(Mutex::new(0));
    let (stage, told_there, edits_there) =
        (Arc::clone(stage), Arc::clone(&told), Arc::clone(&edits));
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut random = Random::from_seed(u64::from(id));
            let mut client = NativeClient::new(address, ROOM, id);
            // The own clock after each numbered edit.
            let mut clocks: Vec<u64> = Vec::new();
            let note = |client: &mut NativeClient, clocks: &mut Vec<u64>| {
                let clock = client.replica().known().next(ClientId::from_u32(id));
                let last = usize::try_from(client.room().last_number().0).unwrap();
                clocks.resize(last, clock);
                let durable = usize::try_from(client.room().durable().0).unwrap();
                if let Some(clock) = durable.checked_sub(1).and_then(|at| clocks.get(at)) {
                    *told_there.lock().unwrap() = *clock;
                }
            };
            while !stage.is_over.load(Ordering::Relaxed) {
                let length = client.replica().text_length(TEXT);
                let at = u32::try_from(random.below(u64::from(length) + 1)).unwrap();
                if length > 50 && random.chance(20) {
                    client.replica().text_delete(TEXT, at.min(length - 2), 2).unwrap();
                } else {
                    client.replica().text_insert(TEXT, at, "key ").unwrap();
                }
                *edits_there.lock().unwrap() += 1;
                client.tick();
                note(&mut client, &mut clocks);
                client.live(Duration::from_millis(2 + random.below(15))).await;
                note(&mut client, &mut clocks);
            }
            client.live_until("everything is durable", |client| client.is_settled()).await;
            note(&mut client, &mut clocks);
            stage.settled.fetch_add(1, Ordering::Relaxed);
            client
                .live_until("the others are durable", |_| {
                    stage.settled.load(Ordering::Relaxed) == CLIENTS
                })
                .await;
            // What the others sent last may still be under way to us.
            client.live(Duration::from_secs(2)).await;
            client.text()
        })
    });
    Typist { thread, told, edits }
}

/// What the disk alone has.
fn on_disk(data: &Path) -> Replica {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store =
            SqliteStore::open(data, Duration::ZERO).await.expect("the store opens after a kill");
        let name = RoomName::parse(ROOM).unwrap();
        let room = store.open_or_create(&name, Lineage([0; 16])).await.expect("the room loads");
        let mut replica = Replica::new(ClientId::from_u32(0));
        for update in room.stored.updates() {
            replica.apply(update, &Limits::default()).expect("the log is whole");
        }
        // Not closed: the next relay has to find it as the dead one left it.
        replica
    })
}

fn check_promises(typists: &[Typist], data: &Path) {
    let mut told = Known::new();
    for (id, typist) in (1..).zip(typists) {
        told.reach(ClientId::from_u32(id), *typist.told.lock().unwrap());
    }
    let replica = on_disk(data);
    assert!(replica.known().covers(&told), "told {told:?}, on disk {:?}", replica.known());
}

#[test]
fn what_was_told_durable_survives_fifty_kills_and_a_termination() {
    let data = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start(data.path(), 0);
    let address = relay.address;
    let stage = Arc::new(Stage::default());
    let typists: Vec<_> = (1..=CLIENTS).map(|id| type_on(address, id, &stage)).collect();
    let mut random = Random::from_seed(1);
    let mut advances = 0;
    for _ in 0..KILLS {
        let before: u64 = typists.iter().map(|typist| *typist.told.lock().unwrap()).sum();
        std::thread::sleep(Duration::from_millis(50 + random.below(500)));
        relay.kill();
        // Acknowledgements that were under way count: they were sent after the flush.
        std::thread::sleep(Duration::from_millis(20));
        check_promises(&typists, data.path());
        let after: u64 = typists.iter().map(|typist| *typist.told.lock().unwrap()).sum();
        advances += usize::from(after > before);
        relay = RelayProcess::start(data.path(), address.port());
    }
    let status = relay.terminate();
    assert_eq!(status.code(), Some(0), "SIGTERM is an orderly end");
    check_promises(&typists, data.path());
    let relay = RelayProcess::start(data.path(), address.port());
    std::thread::sleep(Duration::from_secs(1));
    stage.is_over.store(true, Ordering::Relaxed);
    let edits: u64 = typists.iter().map(|typist| *typist.edits.lock().unwrap()).sum();
    let texts: Vec<_> = typists.into_iter().map(|typist| typist.thread.join().unwrap()).collect();
    relay.kill();
    let stored = on_disk(data.path()).text_string(TEXT);
    for text in texts {
        // Not printed: they are long.
        assert!(text == stored, "somebody sees another text than the disk has");
    }
    println!("{edits} edits, {KILLS} kills, {} letters at the end", stored.len());
    assert!(advances > KILLS / 3, "in only {advances} of {KILLS} lives was anything durable");
}
