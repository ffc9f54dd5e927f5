//! Clients of both protocols in one room.

use coweave_core::ids::{Channel, ClientId};
use coweave_core::limits::Limits;
use coweave_core::wire::awareness;
use coweave_core::wire::v1::Message;

use crate::setup::TestRelay;
use crate::v1_client::V1Client;
use crate::y_websocket_client::YClient;

#[tokio::test]
async fn both_see_each_others_edits_and_presence() {
    let relay = TestRelay::start().await;
    let mut own = V1Client::join(relay.address(), 1, "notes").await;
    let mut outside = YClient::join(relay.address(), 2, "notes").await;
    own.write("own").await;
    outside.wait_for_text("own").await;
    outside.write(" outside").await;
    own.wait_for_text("own outside").await;

    own.send(Channel(1), &Message::SetPresence(Some("1".to_owned()))).await;
    assert_eq!(outside.wait_for_presence(1).await.as_deref(), Some("1"));
    outside.show(1, Some("2")).await;
    let theirs = own.wait(|_, message| {
        let Message::Presence(bytes) = message else { return None };
        let entries = awareness::read(&bytes, &Limits::default()).unwrap();
        entries.into_iter().find(|entry| entry.client == ClientId::from_u32(2))
    });
    assert_eq!(theirs.await.state.as_deref(), Some("2"));
}
