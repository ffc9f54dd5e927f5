//! The disk fails: members are told, nothing is lost, and all is well when it works again.

use std::sync::Arc;

use coweave_core::error::Code;
use coweave_core::ids::EditNumber;
use coweave_core::limits::Limits;
use coweave_core::wire::v1::Message;
use coweave_relay::store::memory::MemoryStore;

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
