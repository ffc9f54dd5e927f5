//! Real relays, real sockets, real disks: what happens when something fails.
//!
//! Every test has a size for each run (seconds) and a large one by a variable of the environment,
//! named at the head of its file.

mod chaos;
mod coming_back;
mod crowd;
mod damage;
mod deletion;
mod disks;
mod first_sync;
mod kills;
mod seeding;
mod slow_reader;
mod soak;
mod termination;

use std::path::Path;
use std::time::{Duration, Instant};

use coweave_core::doc::replica::Replica;
use coweave_core::ids::{ClientId, Lineage, RoomName};
use coweave_core::limits::Limits;
use coweave_relay::store::Store as _;
use coweave_relay::store::sqlite::SqliteStore;
use coweave_tests::member::{Member, PATIENCE};
use tokio::sync::oneshot;

/// Runs a test on this thread, beside whatever it starts with `spawn_local`.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Work that blocks a thread, while everything else goes on.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    std::thread::spawn(move || done.send(work()));
    result.await.expect("the work does not panic")
}

/// What the disk alone has of a room. No relay may be running on it; the next one finds it as the
/// last one left it.
async fn on_disk(data: &Path, room: &str) -> Replica {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(data).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let store = SqliteStore::open(copy.path(), Duration::ZERO).await.expect("the store opens");
    let name = RoomName::parse(room).unwrap();
    let opened = store.open_or_create(&name, Lineage([0; 16])).await.expect("the room loads");
    let mut replica = Replica::new(ClientId::from_u32(0));
    let snapshot = opened.stored.snapshot.into_iter().flat_map(|snapshot| snapshot.pieces);
    let tail = opened.stored.tail.into_iter().map(|(_, update)| update);
    for update in snapshot.chain(tail) {
        replica.apply(&update, &Limits::default().for_taken()).expect("the log is whole");
    }
    replica
}

/// Lets two members live until they have the same text.
async fn meet(a: &mut impl Member, b: &mut impl Member) {
    let end = Instant::now() + PATIENCE;
    while a.text() != b.text() {
        assert!(Instant::now() < end, "they never had the same text");
        tokio::join!(a.live(Duration::from_millis(20)), b.live(Duration::from_millis(20)));
    }
}
