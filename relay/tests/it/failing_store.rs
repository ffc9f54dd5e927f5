//! The disk fails: members are told, nothing is lost, and all is well when it works again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use coweave_core::doc::known::Known;
use coweave_core::error::Code;
use coweave_core::ids::{Channel, EditNumber, Lineage, RoomName};
use coweave_core::limits::Limits;
use coweave_core::room::Snapshot;
use coweave_core::wire::v1::{EditKind, Message};
use coweave_relay::store::memory::MemoryStore;
use coweave_relay::store::{LogLine, OpenedRoom, RoomId, Store, StoreError};
use futures_util::future::BoxFuture;

use crate::setup::{eventually, get, start_on};
use crate::v1_client::V1Client;

#[tokio::test]
async fn edits_wait_in_memory_and_are_durable_in_the_end() {
    let store = Arc::new(MemoryStore::new());
    let relay = start_on(Arc::<MemoryStore>::clone(&store), Limits::default()).await;
    let address = relay.local_addr();
    let mut ann = V1Client::join(address, 1, "notes").await;
    let mut ben = V1Client::join(address, 2, "notes").await;
    assert_eq!(get(address, "/readyz").await, (200, "ok".to_owned()));

    store.set_failure(Some("no space left on device"));
    ann.write("still").await;
    ben.wait_for_text("still").await;
    let degraded = |message| match message {
        Message::Durability { degraded } => Some(degraded),
        _ => None,
    };
    let error = ben.wait(|_, message| degraded(message)).await.unwrap();
    assert_eq!(error.code, Code::RelayDegraded);
    assert!(!error.message.contains("no space"), "{error}");
    assert_eq!(get(address, "/readyz").await.0, 503);
    assert_eq!(get(address, "/healthz").await.0, 200);
    ann.write(" here").await;
    ben.wait_for_text("still here").await;

    store.set_failure(None);
    ann.wait_for_durable(EditNumber(2)).await;
    assert_eq!(ben.wait(|_, message| degraded(message)).await, None);
    eventually(async || get(address, "/readyz").await.0 == 200).await;
}

#[tokio::test]
async fn a_shutdown_with_a_failing_store_ends_after_its_limit_and_says_so() {
    let store = Arc::new(MemoryStore::new());
    let mut config = crate::setup::config(Limits::default());
    config.drain_limit = std::time::Duration::from_millis(300);
    let relay = coweave_relay::Relay::start_with(config, Arc::<MemoryStore>::clone(&store));
    let relay = relay.await.unwrap();
    let mut ann = V1Client::join(relay.local_addr(), 1, "notes").await;
    store.set_failure(Some("gone"));
    ann.write("x").await;
    ann.wait(|_, message| matches!(message, Message::Durability { .. }).then_some(())).await;
    assert_eq!(relay.shutdown().await, coweave_relay::Drained::TimedOut);
}

/// Says of a line with "bad" in it that it is out of order, as it would after a bug in a room:
/// once for the batch and once for its room alone.
#[derive(Debug, Default)]
struct DistrustfulStore {
    rooms: MemoryStore,
    refusals: AtomicUsize,
}

impl Store for DistrustfulStore {
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
        let is_bad = |line: &LogLine| line.update.windows(3).any(|window| window == b"bad");
        if lines.iter().any(is_bad) && self.refusals.fetch_add(1, Ordering::Relaxed) < 2 {
            return Box::pin(async { Err(StoreError::OutOfOrder("as told".to_owned())) });
        }
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
async fn a_room_with_a_broken_log_is_loaded_anew_and_no_other_one_notices() {
    let relay = start_on(Arc::new(DistrustfulStore::default()), Limits::default()).await;
    let mut ann = V1Client::connect(relay.local_addr(), 1).await;
    let before = ann.enter(Channel(1), "notes").await;
    let mut ben = V1Client::join(relay.local_addr(), 2, "other").await;
    let number = ann.write("good").await;
    ann.wait_for_durable(number).await;
    ann.write(" bad").await;
    assert_eq!(ann.wait_for_error().await.code, Code::RelayInternal);
    let number = ben.write("undisturbed").await;
    ben.wait_for_durable(number).await;

    // What was not durable is still with its author.
    let joined = ann.enter(Channel(1), "notes").await;
    assert_eq!(joined.lineage, before.lineage);
    assert_ne!(joined.epoch, before.epoch, "sequence 2 will be another update now");
    let known = Known::decode(&joined.state_vector, 10).unwrap();
    let update = Bytes::from(ann.replica.difference(&known));
    let number = EditNumber(3);
    ann.send(Channel(1), &Message::Edit { number, kind: EditKind::Difference, update }).await;
    ann.wait_for_durable(number).await;
    let fresh = V1Client::join(relay.local_addr(), 3, "notes").await;
    assert_eq!(fresh.text(), "good bad");
}
