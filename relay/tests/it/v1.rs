//! `coweave.v1` between clients and the relay.

use coweave_core::error::Code;
use coweave_core::ids::{Channel, Lineage};
use coweave_core::wire::v1::{Message, Role};

use crate::setup::{Heard, TestRelay};
use crate::v1_client::V1Client;

#[tokio::test]
async fn an_edit_reaches_the_others_and_is_said_to_be_durable() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    let mut ben = V1Client::join(relay.address(), 2, "notes").await;
    let number = ann.write("hello").await;
    ben.wait_for_text("hello").await;
    ann.wait_for_durable(number).await;
    let number = ben.write(" you").await;
    ann.wait_for_text("hello you").await;
    ben.wait_for_durable(number).await;
    let late = V1Client::join(relay.address(), 3, "notes").await;
    assert_eq!(late.text(), "hello you");
}

#[tokio::test]
async fn many_edits_in_a_row_arrive_in_order() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    let mut ben = V1Client::join(relay.address(), 2, "notes").await;
    let mut expected = String::new();
    let mut last = None;
    for n in 0..1_000 {
        let word = format!("{n} ");
        last = Some(ann.write(&word).await);
        expected.push_str(&word);
    }
    ann.wait_for_durable(last.unwrap()).await;
    ben.wait_for_text(&expected).await;
}

#[tokio::test]
async fn one_connection_joins_several_rooms() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::join(relay.address(), 1, "a").await;
    let mut reader = V1Client::connect(relay.address(), 2).await;
    let a = reader.enter(Channel(7), "a").await;
    let b = reader.enter(Channel(9), "b").await;
    assert_ne!(a.lineage, b.lineage);
    ann.write("x").await;
    let channel = reader.wait(|channel, message| match message {
        Message::Update { .. } => Some(channel),
        _ => None,
    });
    assert_eq!(channel.await, Channel(7));
}

#[tokio::test]
async fn after_leaving_nothing_more_comes_and_the_channel_is_free_again() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::join(relay.address(), 1, "a").await;
    let mut ben = V1Client::join(relay.address(), 2, "a").await;
    ben.send(Channel(1), &Message::Leave).await;
    ann.write("x").await;
    ben.enter(Channel(1), "b").await;
    ann.write("y").await;
    assert_eq!(ben.text(), "");
    ben.send(Channel(1), &Message::Leave).await;
    ben.enter(Channel(1), "a").await;
    ben.wait_for_text("xy").await;
}

#[tokio::test]
async fn a_copy_of_another_history_is_not_merged() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::connect(relay.address(), 1).await;
    ann.ask_to_enter(Channel(1), "a", Some(Lineage([9; 16]))).await;
    assert_eq!(ann.wait_for_error().await.code, Code::RoomLineageMismatch);
}

#[tokio::test]
async fn presence_is_shown_and_goes_when_its_owner_goes() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::join(relay.address(), 1, "a").await;
    let mut ben = V1Client::join(relay.address(), 2, "a").await;
    ann.send(Channel(1), &Message::SetPresence(Some(r#"{"name":"Ann"}"#.to_owned()))).await;
    let shown = async |client: &mut V1Client| {
        let bytes = client.wait(|_, message| match message {
            Message::Presence(bytes) => Some(bytes),
            _ => None,
        });
        let bytes = bytes.await;
        let limits = coweave_core::limits::Limits::default();
        coweave_core::wire::awareness::read(&bytes, &limits).unwrap().remove(0).state
    };
    assert_eq!(shown(&mut ben).await.as_deref(), Some(r#"{"name":"Ann"}"#));
    drop(ann);
    assert_eq!(shown(&mut ben).await, None);
}

#[tokio::test]
async fn a_bad_room_name_is_refused_and_the_connection_goes_on() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::connect(relay.address(), 1).await;
    ann.ask_to_enter(Channel(1), "", None).await;
    assert_eq!(ann.wait_for_error().await.code, Code::RoomInvalidName);
    ann.enter(Channel(1), "fine").await;
}

#[tokio::test]
async fn a_shutdown_says_when_to_come_back() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::join(relay.address(), 1, "a").await;
    ann.write("x").await;
    let shutdown = tokio::spawn(relay.relay.shutdown());
    let error = ann.wait_for_error().await;
    assert_eq!(error.code, Code::RelayDraining);
    assert!((250..2_000).contains(&error.retry_after_ms.unwrap()));
    let reason = "relay.draining".to_owned();
    assert_eq!(ann.socket.next().await, Heard::Close { code: 1012, reason });
    assert_eq!(shutdown.await.unwrap(), coweave_relay::Drained::Clean);
}

#[tokio::test]
async fn everybody_is_an_editor_and_a_new_token_costs_nothing() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::connect(relay.address(), 1).await;
    ann.send(Channel::CONNECTION, &Message::Token("newer".to_owned())).await;
    // What a message of this type is to a relay of an earlier version.
    let mut unknown = Message::Token("newer".to_owned()).to_frame(Channel::CONNECTION);
    unknown[0] = 99;
    ann.socket.send(unknown).await;
    let joined = ann.enter(Channel(1), "notes").await;
    assert_eq!(joined.role, Role::Editor);
    let number = ann.write("hello").await;
    ann.wait_for_durable(number).await;
}
