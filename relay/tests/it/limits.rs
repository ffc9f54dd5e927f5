//! The limits of a connection that the relay keeps itself: what lies at them passes, what lies above
//! is slowed down or told, and nobody else notices.

use std::time::{Duration, Instant};

use coweave_core::error::Code;
use coweave_core::ids::{Channel, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::wire::v1::{Hello, Message, VERSION};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::setup::{Heard, PATIENCE, Socket, TestRelay, eventually};
use crate::v1_client::V1Client;

#[tokio::test]
async fn messages_above_the_rate_are_read_later_and_none_is_lost() {
    let limits = Limits {
        messages_per_second_max: 5,
        // The hello, the join, and two edits.
        messages_burst_max: 4,
        ..Limits::default()
    };
    let relay = TestRelay::start_with(limits).await;
    let mut ben = V1Client::join(relay.address(), 2, "notes").await;
    let started = Instant::now();
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    let writing = Instant::now();
    let mut numbers = Vec::new();
    for letter in "abcdefghijklmn".chars() {
        numbers.push(ann.write(&letter.to_string()).await);
    }
    ann.wait_for_durable(numbers[1]).await;
    let at_limit = writing.elapsed();
    ann.wait_for_durable(numbers[2]).await;
    assert!(started.elapsed() >= Duration::from_millis(190), "the first one above the limit");
    // Others are served while the rest waits, a fifth of a second for each.
    let number = ben.write("-").await;
    ben.wait_for_durable(number).await;
    assert!(!ben.text().contains('n'), "{}", ben.text());
    ann.wait_for_durable(numbers[13]).await;
    assert!(started.elapsed() >= Duration::from_millis(2_390), "{:?}", started.elapsed());
    assert!(at_limit < writing.elapsed() / 2, "{at_limit:?} of {:?}", writing.elapsed());
    let reader = V1Client::join(relay.address(), 3, "notes").await;
    assert_eq!(reader.text().replace('-', ""), "abcdefghijklmn");
}

#[tokio::test]
async fn bytes_above_the_rate_are_read_later_and_who_waits_is_not_dead() {
    let limits = Limits {
        bytes_per_second_max: 20_000,
        bytes_burst_max: 20_000,
        idle_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let relay = TestRelay::start_with(limits).await;
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    let started = Instant::now();
    ann.write(&"x".repeat(60_000)).await;
    let small = ann.write("y").await;
    ann.wait_for_durable(small).await;
    // What was above the burst takes two seconds, twice what a silent connection has.
    assert!(started.elapsed() >= Duration::from_millis(1_700), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_hello_at_the_limit_is_welcome_and_one_byte_more_is_told() {
    let limits = Limits { hello_bytes_max: 300, ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let hello = |token: usize| {
        let (session, token) = (SessionKey([1; 16]), "x".repeat(token));
        let agent = "test".to_owned();
        Message::Hello(Hello { version: VERSION, capabilities: 0, session, token, agent })
    };
    let size = |token| hello(token).to_frame(Channel::CONNECTION).len();
    let at_limit = (0..300).find(|token| size(*token) == 300).unwrap();
    for (token, is_welcome) in [(at_limit, true), (at_limit + 1, false), (at_limit + 5_000, false)]
    {
        let mut client = V1Client::open(relay.address(), 1).await;
        client.send(Channel::CONNECTION, &hello(token)).await;
        match client.next().await.1 {
            Message::Welcome(_) => assert!(is_welcome, "{token}"),
            Message::Error(error) => {
                assert!(!is_welcome, "{token}");
                assert_eq!(error.code, Code::ConnectionHelloTooLarge);
                let reason = error.code.as_str().to_owned();
                assert_eq!(client.socket.next().await, Heard::Close { code: 1009, reason });
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_turned_away_until_one_is_gone() {
    let relay = TestRelay::start_with(Limits { connections_max: 3, ..Limits::default() }).await;
    let mut inside = Vec::new();
    for client in 0..3 {
        inside.push(V1Client::join(relay.address(), client, "notes").await);
    }
    let mut outside = TcpStream::connect(relay.address()).await.unwrap();
    let mut answer = String::new();
    let read = outside.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{answer}");
    assert!(body.starts_with(Code::RelayFull.as_str()), "{answer}");
    // Those inside notice nothing.
    let mut last = inside.pop().unwrap();
    last.write("x").await;
    inside[0].wait_for_text("x").await;
    drop(last);
    eventually(async || Socket::open(relay.address(), "notes", None).await.is_ok()).await;
}

#[tokio::test]
async fn of_connections_that_say_nothing_the_oldest_makes_room() {
    let limits = Limits { silent_connections_max: 2, ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    let mut oldest = TcpStream::connect(relay.address()).await.unwrap();
    // One of them is a WebSocket already.
    let mut second = V1Client::open(relay.address(), 2).await;
    let read = tokio::time::timeout(Duration::from_millis(300), oldest.read_u8());
    assert!(read.await.is_err(), "at the limit it stays");
    let _third = TcpStream::connect(relay.address()).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, oldest.read_u8());
    assert!(read.await.unwrap().is_err(), "one above it the oldest goes");
    let _fourth = TcpStream::connect(relay.address()).await.unwrap();
    assert_eq!(second.socket.next().await, Heard::Lost);
    // Who has said hello stays, and who says it at once comes in.
    let mut ben = V1Client::join(relay.address(), 3, "notes").await;
    ben.write("x").await;
    ann.wait_for_text("x").await;
}
