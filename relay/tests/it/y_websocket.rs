//! y-websocket between raw clients and the relay.

use coweave_core::wire::y_websocket::Message;
use tokio_tungstenite::tungstenite::Error as SocketError;

use crate::setup::{Socket, TestRelay};
use crate::y_websocket_client::YClient;

#[tokio::test]
async fn edits_and_presence_go_both_ways() {
    let relay = TestRelay::start().await;
    let mut ann = YClient::join(relay.address(), 1, "notes").await;
    let mut ben = YClient::join(relay.address(), 2, "notes").await;
    ann.write("hello").await;
    ben.wait_for_text("hello").await;
    ben.write(" you").await;
    ann.wait_for_text("hello you").await;
    ann.show(1, Some(r#"{"name":"Ann"}"#)).await;
    assert_eq!(ben.wait_for_presence(1).await.as_deref(), Some(r#"{"name":"Ann"}"#));
    let mut late = YClient::join(relay.address(), 3, "notes").await;
    late.wait_for_text("hello you").await;
    assert_eq!(late.wait_for_presence(1).await.as_deref(), Some(r#"{"name":"Ann"}"#));
    drop(ann);
    assert_eq!(ben.wait_for_presence(1).await, None);
}

#[tokio::test]
async fn what_was_sent_right_before_hanging_up_is_kept() {
    let relay = TestRelay::start().await;
    let mut ann = YClient::join(relay.address(), 1, "notes").await;
    for _ in 0..200 {
        ann.write("x").await;
    }
    drop(ann);
    let mut ben = YClient::join(relay.address(), 2, "notes").await;
    ben.wait_for_text(&"x".repeat(200)).await;
}

#[tokio::test]
async fn edits_made_offline_come_in_with_the_answer_to_the_relays_question() {
    let relay = TestRelay::start().await;
    let mut ben = YClient::join(relay.address(), 2, "notes").await;
    let socket = Socket::open(relay.address(), "notes", None).await.unwrap();
    let mut ann = YClient::join(relay.address(), 1, "elsewhere").await;
    ann.write("offline").await;
    ann.socket = socket;
    let state_vector = ann.replica.known().encode();
    ann.send(&Message::SyncStep1(state_vector.into())).await;
    ann.show(1, None).await;
    let waiting = async { ann.wait_for_text("offline and on").await };
    let answering = async {
        ben.wait_for_text("offline").await;
        ben.write(" and on").await;
    };
    tokio::join!(waiting, answering);
}

#[tokio::test]
async fn the_path_is_the_name_of_the_room() {
    let relay = TestRelay::start().await;
    let mut ann = YClient::join(relay.address(), 1, "a%20b/%C3%A4?token=x").await;
    let mut ben = crate::v1_client::V1Client::join(relay.address(), 2, "a b/\u{e4}").await;
    ann.write("x").await;
    ben.wait_for_text("x").await;
}

#[tokio::test]
async fn a_path_that_is_no_name_is_answered_in_words() {
    let relay = TestRelay::start().await;
    for path in ["", "%ff", "%00", &"x".repeat(257)] {
        match Socket::open(relay.address(), path, None).await {
            Err(SocketError::Http(response)) => {
                assert_eq!(response.status(), 400);
                let body = String::from_utf8(response.into_body().unwrap()).unwrap();
                assert!(body.contains("a room name"), "{body}");
            }
            other => panic!("{path:?} was answered with {:?}", other.err()),
        }
    }
}
