//! Bytes from a peer that nobody should send: a typed answer, nobody else is harmed, nothing of it
//! is stored.

use std::time::{Duration, Instant};

use coweave_core::error::Code;
use coweave_core::ids::{Channel, EditNumber, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::wire::v1::{EditKind, Hello, Message, VERSION};
use coweave_core::wire::y_websocket;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::setup::{Heard, PATIENCE, Socket, TestRelay};
use crate::v1_client::V1Client;
use crate::y_websocket_client::YClient;

/// Updates that kill or mislead a document that integrates them unseen.
const UPDATES: &[&str] = &[
    "",
    "00",
    "0100010900",
    "010103f3064403050af09f9982c3a9e697a57801fde7bd85b6a1dad8c80103d80680808080088e02061902",
    "010201ffffffffffffff0f0201056172726179000561727261790a0900",
    "2894",
    "80808008",
    "ffffffffffffffffff01",
    "0101630000fffffffff00f00",
    "000101010080808080 10",
];

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

/// A room with a member and a text, which both have to be the same afterwards.
struct Witness {
    relay: TestRelay,
    member: V1Client,
}

impl Witness {
    async fn start(limits: Limits) -> Self {
        let relay = TestRelay::start_with(limits).await;
        let mut member = V1Client::join(relay.address(), 1, "notes").await;
        let number = member.write("unharmed").await;
        member.wait_for_durable(number).await;
        Self { relay, member }
    }

    async fn assert_unharmed(mut self) {
        let number = self.member.write("!").await;
        self.member.wait_for_durable(number).await;
        drop(self.member);
        let relay = self.relay.restart().await;
        let fresh = V1Client::join(relay.address(), 3, "notes").await;
        assert_eq!(fresh.text(), "unharmed!");
        assert_eq!(fresh.replica.known().len(), 1);
    }
}

/// What ends a `coweave.v1` connection: the code of the error message, then the close code.
async fn end_of(client: &mut V1Client) -> (Code, u16) {
    let code = client.wait_for_error().await.code;
    match client.socket.next().await {
        Heard::Close { code: close, reason } => {
            assert_eq!(reason, code.as_str());
            (code, close)
        }
        other => panic!("instead of a close frame there was {other:?}"),
    }
}

#[tokio::test]
async fn malformed_frames_end_the_connection_with_a_reason() {
    let witness = Witness::start(Limits::default()).await;
    for frame in [&[][..], &[0xff; 40], &[7, 1, 200], &[1, 0, 1, 1], &[0x80, 0]] {
        let mut client = V1Client::connect(witness.relay.address(), 2).await;
        client.socket.send(frame.to_vec()).await;
        assert_eq!(end_of(&mut client).await, (Code::FrameMalformed, 4400), "{frame:?}");
    }
    witness.assert_unharmed().await;
}

#[tokio::test]
async fn a_message_of_an_unknown_type_is_skipped() {
    let witness = Witness::start(Limits::default()).await;
    let mut client = V1Client::connect(witness.relay.address(), 2).await;
    client.socket.send(vec![99, 1, 3, 1, 2, 3]).await;
    client.send(Channel::CONNECTION, &Message::Ping(5)).await;
    assert_eq!(client.next().await, (Channel::CONNECTION, Message::Pong(5)));
    witness.assert_unharmed().await;
}

#[tokio::test]
async fn text_frames_and_messages_before_hello_are_refused() {
    let witness = Witness::start(Limits::default()).await;
    let mut client = V1Client::connect(witness.relay.address(), 2).await;
    client.socket.try_send(Frame::text("hello")).await;
    assert_eq!(end_of(&mut client).await.0, Code::FrameUnexpected);
    let mut client = V1Client::open(witness.relay.address(), 2).await;
    client.ask_to_enter(Channel(1), "notes", None).await;
    assert_eq!(end_of(&mut client).await.0, Code::FrameUnexpected);
    witness.assert_unharmed().await;
}

#[tokio::test]
async fn an_oversized_frame_is_told_before_the_connection_ends() {
    let limits = Limits { frame_bytes_max: 100_000, update_bytes_max: 99_000, ..Limits::default() };
    let witness = Witness::start(limits).await;
    let mut client = V1Client::connect(witness.relay.address(), 2).await;
    client.socket.try_send(Frame::binary(vec![0; 100_001])).await;
    assert_eq!(end_of(&mut client).await, (Code::FrameTooLarge, 1009));
    let mut outside = Socket::open(witness.relay.address(), "notes", None).await.unwrap();
    outside.try_send(Frame::binary(vec![0; 100_001])).await;
    let denied = outside.next().await;
    assert!(matches!(&denied, Heard::Binary(frame) if frame.starts_with(&[2, 0])), "{denied:?}");
    assert!(matches!(outside.next().await, Heard::Close { code: 1009, .. }));
    witness.assert_unharmed().await;
}

#[tokio::test]
async fn hostile_updates_are_refused_by_number() {
    let witness = Witness::start(Limits::default()).await;
    for hex in UPDATES {
        for kind in [EditKind::Live, EditKind::Difference] {
            let mut client = V1Client::join(witness.relay.address(), 2, "notes").await;
            let edit = Message::Edit { number: EditNumber(1), kind, update: bytes_of(hex).into() };
            client.send(Channel(1), &edit).await;
            let error = client.wait_for_error().await;
            assert!(error.code.as_str().starts_with("update."), "{hex} as {kind:?}: {error}");
        }
    }
    witness.assert_unharmed().await;
}

#[tokio::test]
async fn hostile_updates_of_outside_clients_harm_nobody() {
    let witness = Witness::start(Limits::default()).await;
    let mut outside = YClient::join(witness.relay.address(), 2, "notes").await;
    for hex in UPDATES {
        for frame in [
            y_websocket::Message::Update(bytes_of(hex).into()),
            y_websocket::Message::SyncStep2(bytes_of(hex).into()),
        ] {
            let mut socket = Socket::open(witness.relay.address(), "notes", None).await.unwrap();
            socket.send(vec![0, 0, 1, 0]).await;
            socket.send(frame.to_frame()).await;
            socket.try_send(Frame::binary(vec![1, 4, 0xff, 0xff, 0xff, 0x0f])).await;
            socket.try_send(Frame::binary(vec![0xff; 20])).await;
            while matches!(socket.next().await, Heard::Binary(_)) {}
        }
    }
    outside.wait_for_text("unharmed").await;
    drop(outside);
    witness.assert_unharmed().await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_catches_up_and_nobody_waits_for_it() {
    let limits = Limits { send_queue_bytes_max: 64 << 10, ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let mut slow = V1Client::join(relay.address(), 1, "notes").await;
    let mut outside = YClient::join(relay.address(), 4, "notes").await;
    let mut ann = V1Client::join(relay.address(), 2, "notes").await;
    let mut ben = V1Client::join(relay.address(), 3, "notes").await;
    // More than the buffers of both systems hold.
    let page = "x".repeat(45_000);
    for _ in 0..200 {
        let number = ann.write(&page).await;
        ann.wait_for_durable(number).await;
        ben.wait(|_, message| matches!(message, Message::Update { .. }).then_some(())).await;
    }
    slow.wait_for_text(&ann.text()).await;
    outside.wait_for_text(&ann.text()).await;
    ann.write("the end").await;
    slow.wait_for_text(&ann.text()).await;
    outside.wait_for_text(&ann.text()).await;
}

#[tokio::test]
async fn requests_that_never_end_or_are_too_long_are_given_up() {
    let limits = Limits { hello_timeout: Duration::from_secs(1), ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let mut dripping = TcpStream::connect(relay.address()).await.unwrap();
    dripping.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, dripping.read_to_end(&mut answer)).await.unwrap().unwrap();
    let mut long = TcpStream::connect(relay.address()).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", "x".repeat(100_000));
    let _may_be_cut_off = long.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    if long.read_exact(&mut answer).await.is_ok() {
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
    let mut silent = V1Client::open(relay.address(), 1).await;
    assert_eq!(end_of(&mut silent).await.0, Code::ConnectionHelloTimeout);
}

#[tokio::test]
async fn a_slow_download_is_not_taken_for_a_dead_connection() {
    let limits = Limits { idle_timeout: Duration::from_secs(3), ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let mut ann = V1Client::join(relay.address(), 1, "notes").await;
    for _ in 0..4 {
        let number = ann.write(&"x".repeat(6_000_000)).await;
        ann.wait_for_durable(number).await;
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut slow = socket.connect(relay.address()).await.unwrap();
    let upgrade = "GET /notes HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";
    slow.write_all(upgrade.as_bytes()).await.unwrap();
    // A masked frame with the question of an empty document; after that it sends nothing.
    slow.write_all(&[0x82, 0x84, 0, 0, 0, 0, 0, 0, 1, 0]).await.unwrap();
    let mut piece = vec![0; 64 << 10];
    let mut taken = 0;
    let started = Instant::now();
    while taken < 24_000_000 {
        let count = slow.read(&mut piece).await.unwrap();
        assert_ne!(count, 0, "hung up after {taken} bytes");
        taken += count;
        // Three megabytes a second: all that time the client has no reason to send anything.
        let due = Duration::from_micros(u64::try_from(taken / 3).unwrap());
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
    }
}

#[tokio::test]
async fn a_slow_upload_is_not_taken_for_a_dead_connection() {
    let limits = Limits { idle_timeout: Duration::from_secs(1), ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    let mut slow = TcpStream::connect(relay.address()).await.unwrap();
    let upgrade = "GET /notes HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n";
    slow.write_all(upgrade.as_bytes()).await.unwrap();
    slow.write_all(&[0x82, 0x84, 0, 0, 0, 0, 0, 0, 1, 0]).await.unwrap();
    // A masked frame of a type that is skipped, for which the line needs three idle times; nothing
    // else can be sent meanwhile, not even a pong.
    slow.write_all(&[0x82, 0xfe, 0x10, 0, 0, 0, 0, 0, 99]).await.unwrap();
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        slow.write_all(&[0; 273]).await.unwrap();
    }
    // The same question again, and the answer to it.
    slow.write_all(&[0x82, 0x84, 0, 0, 0, 0, 0, 0, 1, 0]).await.unwrap();
    let mut heard = Vec::new();
    let mut piece = [0; 1024];
    let answer = [0x82, 5, 0, 1, 2, 0, 0];
    while heard.windows(answer.len()).filter(|part| *part == answer).count() < 2 {
        let read = tokio::time::timeout(PATIENCE, slow.read(&mut piece)).await.unwrap();
        let count = read.unwrap();
        assert_ne!(count, 0, "hung up after {heard:?}");
        heard.extend_from_slice(&piece[..count]);
    }
}

#[tokio::test]
async fn whoever_uploads_slowly_is_shown_that_it_arrives() {
    let relay = TestRelay::start().await;
    let mut slow = TcpStream::connect(relay.address()).await.unwrap();
    let upgrade = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\
                   sec-websocket-protocol: coweave.v1\r\n\r\n";
    slow.write_all(upgrade.as_bytes()).await.unwrap();
    let hello = Hello {
        version: VERSION,
        capabilities: 0,
        session: SessionKey([1; 16]),
        token: String::new(),
        agent: String::new(),
    };
    let hello = Message::Hello(hello).to_frame(Channel::CONNECTION);
    let length = u8::try_from(hello.len()).unwrap();
    slow.write_all(&[&[0x82, 0x80 | length, 0, 0, 0, 0], &hello[..]].concat()).await.unwrap();
    // A message of 64 kB of which a little comes now and then.
    slow.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let sign = [0x82, 4, 15, 0, 1, 0];
    let mut heard = Vec::new();
    let end = tokio::time::Instant::now() + PATIENCE;
    while !heard.windows(sign.len()).any(|part| part == sign) {
        assert!(tokio::time::Instant::now() < end, "no sign of life, only {heard:?}");
        slow.write_all(&[0; 16]).await.unwrap();
        let mut piece = [0; 1024];
        let read = tokio::time::timeout(Duration::from_millis(100), slow.read(&mut piece)).await;
        if let Ok(count) = read {
            heard.extend_from_slice(&piece[..count.unwrap()]);
        }
    }
}

#[tokio::test]
async fn pages_of_strangers_are_kept_out_before_the_upgrade() {
    let relay = TestRelay::start().await;
    for (origin, expected) in
        [("http://127.0.0.1:5173", "101"), ("https://stranger.example", "403"), ("null", "403")]
    {
        let head = format!(
            "GET /notes HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            relay.address()
        );
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status[9..], expected.as_bytes(), "{origin}");
    }
}
