//! What the log writer promises, on a store that does as it is told.

use bytes::Bytes;
use coweave_core::ids::{Lineage, RoomName};
use coweave_core::room::Snapshot;
use futures_util::future::BoxFuture;

use super::*;
use crate::store::OpenedRoom;
use crate::store::memory::MemoryStore;

struct Setup {
    store: Arc<MemoryStore>,
    writer: LogWriter,
}

fn setup() -> Setup {
    let store = Arc::new(MemoryStore::new());
    let writer = LogWriter::start(Arc::<MemoryStore>::clone(&store), Duration::ZERO);
    Setup { store, writer }
}

impl Setup {
    async fn room(&self, name: &str) -> RoomId {
        let name = RoomName::parse(name).unwrap();
        self.store.open_or_create(&name, Lineage([0; 16])).await.unwrap().id
    }

    async fn tail(&self, name: &str) -> Vec<u64> {
        let name = RoomName::parse(name).unwrap();
        let opened = self.store.open_or_create(&name, Lineage([0; 16])).await.unwrap();
        opened.stored.tail.iter().map(|(sequence, _)| sequence.0).collect()
    }
}

fn line(room: RoomId, sequence: u64) -> LogLine {
    LogLine { room, sequence: Sequence(sequence), update: Bytes::from_static(b"u") }
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_loses_and_reorders_nothing() {
    let setup = setup();
    let (room, other) = (setup.room("a").await, setup.room("b").await);
    let (sender, mut receipts) = mpsc::unbounded_channel();
    let (other_sender, mut other_receipts) = mpsc::unbounded_channel();
    setup.store.set_failure(Some("no space left"));
    setup.writer.append(line(room, 1), &sender);
    assert!(matches!(receipts.recv().await, Some(Receipt::Failed(_))));
    assert!(setup.writer.is_failing());
    setup.writer.append(line(room, 2), &sender);
    setup.writer.append(line(other, 1), &other_sender);
    assert!(matches!(other_receipts.recv().await, Some(Receipt::Failed(_))));
    tokio::time::sleep(Duration::from_secs(60)).await;
    setup.store.set_failure(None);
    assert_eq!(receipts.recv().await, Some(Receipt::Durable(Sequence(2))));
    assert_eq!(other_receipts.recv().await, Some(Receipt::Durable(Sequence(1))));
    assert!(!setup.writer.is_failing());
    assert_eq!(setup.tail("a").await, [1, 2]);
}

#[tokio::test]
async fn a_room_that_breaks_its_order_stops_no_other_one() {
    let setup = setup();
    let (bad, good) = (setup.room("bad").await, setup.room("good").await);
    let (bad_sender, mut bad_receipts) = mpsc::unbounded_channel();
    let (good_sender, mut good_receipts) = mpsc::unbounded_channel();
    setup.writer.append(line(good, 1), &good_sender);
    setup.writer.append(line(bad, 7), &bad_sender);
    setup.writer.append(line(good, 2), &good_sender);
    setup.writer.flush().await;
    assert_eq!(bad_receipts.recv().await, Some(Receipt::Refused));
    assert!(matches!(good_receipts.recv().await, Some(Receipt::Durable(_))));
    assert_eq!(setup.tail("good").await, [1, 2]);
    assert!(setup.tail("bad").await.is_empty());
}

#[tokio::test]
async fn flush_comes_after_everything_before_it() {
    let setup = setup();
    let room = setup.room("a").await;
    let (sender, _receipts) = mpsc::unbounded_channel();
    for sequence in 1..=2_000 {
        setup.writer.append(line(room, sequence), &sender);
    }
    setup.writer.flush().await;
    assert_eq!(setup.tail("a").await.len(), 2_000);
}

/// A store whose commits take a while, and how many lines each of them had.
#[derive(Debug, Default)]
struct SlowStore {
    rooms: MemoryStore,
    commits: std::sync::Mutex<Vec<usize>>,
    takes: Duration,
}

impl Store for SlowStore {
    fn open_or_create<'a>(
        &'a self,
        name: &'a RoomName,
        lineage: Lineage,
    ) -> BoxFuture<'a, Result<OpenedRoom, StoreError>> {
        self.rooms.open_or_create(name, lineage)
    }

    fn contains<'a>(&'a self, name: &'a RoomName) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.rooms.contains(name)
    }

    fn append<'a>(&'a self, lines: &'a [LogLine]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            self.commits.lock().unwrap().push(lines.len());
            self.rooms.append(lines).await
        })
    }

    fn replace_snapshot(
        &self,
        room: RoomId,
        snapshot: Snapshot,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.rooms.replace_snapshot(room, snapshot)
    }

    fn delete(&self, room: RoomId, state_vector: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        self.rooms.delete(room, state_vector)
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.rooms.sweep()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.rooms.close()
    }
}

const INTERVAL: Duration = Duration::from_millis(8);

async fn slow(takes: Duration) -> (Arc<SlowStore>, LogWriter, RoomId) {
    let store = Arc::new(SlowStore { takes, ..SlowStore::default() });
    let writer = LogWriter::start(Arc::<SlowStore>::clone(&store), INTERVAL);
    let name = RoomName::parse("a").unwrap();
    let room = store.open_or_create(&name, Lineage([0; 16])).await.unwrap().id;
    (store, writer, room)
}

#[tokio::test(start_paused = true)]
async fn a_lone_edit_does_not_wait_and_many_share_a_commit() {
    let takes = Duration::from_millis(1);
    let (store, writer, room) = slow(takes).await;
    let (sender, mut receipts) = mpsc::unbounded_channel();
    for sequence in 1..=3 {
        let start = Instant::now();
        writer.append(line(room, sequence), &sender);
        assert_eq!(receipts.recv().await, Some(Receipt::Durable(Sequence(sequence))));
        assert!(start.elapsed() < takes + Duration::from_millis(2), "{:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(*store.commits.lock().unwrap(), [1, 1, 1]);
    // One edit in each millisecond.
    for sequence in 4..=103 {
        writer.append(line(room, sequence), &sender);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    writer.flush().await;
    let commits = store.commits.lock().unwrap().len() - 3;
    assert!((10..=20).contains(&commits), "{commits} commits for 100 edits");
}

#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_more() {
    let (_, writer, room) = slow(Duration::from_millis(1)).await;
    let (sender, _receipts) = mpsc::unbounded_channel();
    writer.append(line(room, 1), &sender);
    tokio::task::yield_now().await;
    writer.append(line(room, 2), &sender);
    let start = Instant::now();
    writer.flush().await;
    assert!(start.elapsed() < INTERVAL / 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_by_seconds_is_told_and_acknowledges_in_the_end() {
    let (store, writer, room) = slow(Duration::from_secs(5)).await;
    let (sender, mut receipts) = mpsc::unbounded_channel();
    let start = Instant::now();
    writer.append(line(room, 1), &sender);
    assert!(matches!(receipts.recv().await, Some(Receipt::Failed(_))));
    assert!(start.elapsed() < Duration::from_secs(3) && writer.is_failing());
    assert_eq!(receipts.recv().await, Some(Receipt::Durable(Sequence(1))));
    assert!(start.elapsed() >= Duration::from_secs(5) && !writer.is_failing());
    assert_eq!(*store.commits.lock().unwrap(), [1], "it is not handed in twice");
}
