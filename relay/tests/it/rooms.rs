//! Rooms come and go with those who use them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::error::Code;
use coweave_core::ids::{Channel, Lineage, RoomName};
use coweave_core::limits::Limits;
use coweave_core::room::Snapshot;
use coweave_relay::store::memory::MemoryStore;
use coweave_relay::store::sqlite::SqliteStore;
use coweave_relay::store::{LogLine, OpenedRoom, RoomId, Store, StoreError};
use futures_util::future::BoxFuture;

use crate::setup::{TestRelay, eventually, start_on};
use crate::v1_client::V1Client;

/// Counts loads, takes its time for them, and cannot load the room "broken".
#[derive(Debug, Default)]
struct SlowStore {
    rooms: MemoryStore,
    loads: AtomicUsize,
}

impl Store for SlowStore {
    fn open_or_create<'a>(
        &'a self,
        name: &'a RoomName,
        lineage: Lineage,
    ) -> BoxFuture<'a, Result<OpenedRoom, StoreError>> {
        Box::pin(async move {
            self.loads.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
            if name.as_str() == "broken" {
                return Err(StoreError::Damaged("as told".to_owned()));
            }
            self.rooms.open_or_create(name, lineage).await
        })
    }

    fn contains<'a>(&'a self, name: &'a RoomName) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.rooms.contains(name)
    }

    fn append<'a>(&'a self, lines: &'a [LogLine]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.rooms.append(lines)
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

#[tokio::test]
async fn a_room_that_many_ask_for_is_loaded_once() {
    let store = Arc::new(SlowStore::default());
    let relay = start_on(Arc::<SlowStore>::clone(&store), Limits::default()).await;
    let address = relay.local_addr();
    let joins = (1..=100).map(|n| tokio::spawn(V1Client::join(address, n, "notes")));
    let mut clients = Vec::new();
    for join in joins.collect::<Vec<_>>() {
        clients.push(join.await.unwrap());
    }
    assert_eq!(store.loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_room_that_cannot_be_loaded_stops_no_other_one() {
    let store = Arc::new(SlowStore::default());
    let relay = start_on(Arc::<SlowStore>::clone(&store), Limits::default()).await;
    let mut clients = Vec::new();
    for n in 1..=10 {
        let mut client = V1Client::connect(relay.local_addr(), n).await;
        client.ask_to_enter(Channel(1), "broken", None).await;
        clients.push(client);
    }
    for client in &mut clients {
        let error = client.wait_for_error().await;
        assert_eq!(error.code, Code::RoomDamaged);
        assert!((50_000..=60_000).contains(&error.retry_after_ms.unwrap()), "{error:?}");
        client.enter(Channel(2), "fine").await;
    }
    assert_eq!(store.loads.load(Ordering::Relaxed), 2, "it is not looked at again at once");
}

#[tokio::test]
async fn a_room_goes_when_it_is_empty_and_comes_back_when_it_is_needed() {
    let store = Arc::new(SlowStore::default());
    let limits = Limits { room_linger: Duration::from_millis(20), ..Limits::default() };
    let relay = start_on(Arc::<SlowStore>::clone(&store), limits).await;
    let mut ann = V1Client::join(relay.local_addr(), 1, "notes").await;
    ann.write("kept").await;
    drop(ann);
    eventually(async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let ben = V1Client::join(relay.local_addr(), 2, "notes").await;
        assert_eq!(ben.text(), "kept");
        store.loads.load(Ordering::Relaxed) > 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_a_room_that_is_about_to_go_never_fails() {
    let limits = Limits { room_linger: Duration::ZERO, ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let address = relay.address();
    let visitors = (1..=8u32).map(|visitor| {
        tokio::spawn(async move {
            for visit in 0..25 {
                let mut client = V1Client::join(address, visitor * 1_000 + visit, "notes").await;
                let number = client.write("x").await;
                client.wait_for_durable(number).await;
            }
        })
    });
    for visitor in visitors.collect::<Vec<_>>() {
        visitor.await.unwrap();
    }
    let reader = V1Client::join(address, 1, "notes").await;
    assert_eq!(reader.text(), "x".repeat(200));
}

#[tokio::test]
async fn a_long_log_is_folded_into_a_snapshot() {
    let limits = Limits { tail_bytes_max: 2_000, ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    for _ in 0..300 {
        let number = ann.write("0123456789").await;
        ann.wait_for_durable(number).await;
    }
    let relay = relay.restart().await;
    let reader = V1Client::join(relay.address(), 2, "notes").await;
    assert_eq!(reader.text(), "0123456789".repeat(300));
    drop(reader);
    let folder = relay.folder;
    relay.relay.shutdown().await;
    let store = SqliteStore::open(folder.path(), Duration::ZERO).await.unwrap();
    let name = RoomName::parse("notes").unwrap();
    let stored = store.open_or_create(&name, Lineage([0; 16])).await.unwrap().stored;
    assert!(stored.snapshot.is_some());
    assert!(stored.tail.len() < 300, "{}", stored.tail.len());
}
