//! Peers that say nothing, or are gone without a word.

use std::time::Duration;

use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::y_websocket::Message;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::client::{BINARY, CLOSE, FINAL, PONG, Protocol, RawClient, frame};
use crate::setup::TestRelay;
use crate::v1_client::V1Client;
use crate::y_websocket_client::YClient;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_send_nothing_are_given_up_and_nobody_waits_for_them() {
    let hello_timeout = Duration::from_secs(3);
    let relay = TestRelay::start_with(Limits { hello_timeout, ..Limits::default() }).await;
    let started = Instant::now();
    let mut silent = Vec::new();
    for n in 0..1_000 {
        silent.push(if n % 2 == 0 {
            RawClient::connect(relay.address(), Protocol::V1).await
        } else {
            RawClient::open_without_hello(relay.address(), Protocol::V1).await
        });
    }
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    let mut ben = V1Client::join(relay.address(), 2, "notes").await;
    ann.write("hello").await;
    ben.wait_for_text("hello").await;
    for (n, mut client) in silent.into_iter().enumerate() {
        if n % 2 == 1 {
            let (opcode, payload) = client.wait_for_control("a silent one").await;
            assert_eq!((opcode, &payload[2..]), (CLOSE, &b"connection.hello_timeout"[..]));
            client.send(&frame(FINAL | CLOSE, &[])).await;
        }
        assert_eq!(client.response().await, "");
    }
    assert!(started.elapsed() >= hello_timeout);
    ben.write(" again").await;
    ann.wait_for_text("hello again").await;
}

/// 5.5.2: pings serve to see that the other side is still there.
#[tokio::test]
async fn who_answers_no_ping_is_given_up_and_who_answers_stays() {
    let idle_timeout = Duration::from_secs(1);
    let relay = TestRelay::start_with(Limits { idle_timeout, ..Limits::default() }).await;
    for protocol in [Protocol::V1, Protocol::YWebsocket] {
        let started = Instant::now();
        let mut gone = RawClient::open(relay.address(), protocol).await;
        let mut alive = RawClient::open(relay.address(), protocol).await;
        let stay = async {
            while started.elapsed() < idle_timeout * 3 {
                let (opcode, payload) = alive.wait_for_control("alive").await;
                assert_eq!(opcode, 9, "closed with {payload:?}");
                alive.send(&frame(FINAL | PONG, &payload)).await;
            }
        };
        let go = async {
            loop {
                let (opcode, payload) = gone.wait_for_control("gone").await;
                if opcode == CLOSE {
                    assert_eq!(&payload[2..], b"connection.idle");
                    assert!(started.elapsed() >= idle_timeout);
                    break;
                }
            }
        };
        tokio::join!(stay, go);
    }
}

/// 7.1.5: without a close frame the connection is over all the same, and with it its presence.
#[tokio::test]
async fn a_connection_that_is_reset_or_half_closed_leaves_its_room() {
    let relay = TestRelay::start().await;
    let mut watcher = YClient::join(relay.address(), 1, "conformance").await;
    for (id, is_reset) in [(5, true), (6, false)] {
        let mut gone = RawClient::open(relay.address(), Protocol::YWebsocket).await;
        let (client, state) = (ClientId::from_u32(id), Some("1".to_owned()));
        let update = awareness::write(&[AwarenessEntry { client, clock: 1, state }]);
        let show = Message::Awareness(update.into()).to_frame();
        gone.send(&frame(FINAL | BINARY, &show)).await;
        assert_eq!(watcher.wait_for_presence(id).await.as_deref(), Some("1"));
        if is_reset {
            gone.stream.set_zero_linger().unwrap();
            drop(gone);
        } else {
            gone.stream.shutdown().await.unwrap();
            while gone.next().await.is_some() {}
        }
        assert_eq!(watcher.wait_for_presence(id).await, None);
    }
}
