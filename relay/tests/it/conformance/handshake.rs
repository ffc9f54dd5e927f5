//! The opening handshake (RFC 6455, section 4.2), and what else may come to the port.

use std::time::Duration;

use coweave_core::limits::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::client::{Protocol, RawClient, upgrade};
use crate::setup::{PATIENCE, TestRelay};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What a relay answers to some bytes: the head of a response, or nothing when it hangs up.
async fn answer(relay: &TestRelay, request: &str) -> String {
    let mut client = RawClient::connect(relay.address(), Protocol::YWebsocket).await;
    client.send(request.as_bytes()).await;
    client.response().await
}

#[tokio::test]
async fn a_request_has_to_ask_for_a_websocket_as_the_rfc_says() {
    let relay = TestRelay::start().await;
    let right = upgrade("notes", "");
    let with = |from: &str, to: &str| {
        assert!(right.contains(from), "{from}");
        right.replacen(from, to, 1)
    };
    for (rule, request, status) in [
        ("4.2.1 all is right", right.clone(), 101),
        (
            "4.2.1 names of headers have any case",
            right.to_lowercase().replacen("get", "GET", 1).replacen("http", "HTTP", 1).replacen(
                &KEY.to_lowercase(),
                KEY,
                1,
            ),
            101,
        ),
        ("4.2.1 values have any case", with("Upgrade: websocket", "Upgrade: WebSocket"), 101),
        (
            "4.2.1 connection is a list",
            with("Connection: Upgrade", "Connection: keep-alive, upgrade"),
            101,
        ),
        ("4.2.1 method", with("GET", "POST"), 405),
        ("4.2.1 at least HTTP/1.1", with("HTTP/1.1", "HTTP/1.0"), 400),
        ("4.2.1 host", with("Host: x\r\n", ""), 400),
        ("4.2.1 connection", with("Connection: Upgrade\r\n", ""), 400),
        ("4.2.1 connection", with("Connection: Upgrade", "Connection: close"), 400),
        ("4.2.1 upgrade", with("Upgrade: websocket", "Upgrade: h2c"), 400),
        ("4.2.1 key", with(KEY, ""), 400),
        ("4.2.1 the key has 16 bytes", with(KEY, "Sec-WebSocket-Key: dGhl\r\n"), 400),
        (
            "4.2.1 the key is base64",
            with(KEY, "Sec-WebSocket-Key: ????????????????????????\r\n"),
            400,
        ),
        ("11.3.1 the key MUST NOT appear more than once", with(KEY, &KEY.repeat(2)), 400),
        ("4.4 version", with("Version: 13", "Version: 8"), 426),
        ("4.4 version", with("Version: 13", "Version: 14"), 426),
        ("4.4 version", with("Sec-WebSocket-Version: 13\r\n", ""), 426),
    ] {
        let answer = answer(&relay, &request).await;
        let line = format!("HTTP/1.{} {status} ", if request.contains("HTTP/1.0") { 0 } else { 1 });
        assert!(answer.starts_with(&line), "{rule}: {request}{answer}");
        let names_version = answer.contains("sec-websocket-version: 13");
        assert_eq!(names_version, status == 426, "{rule}: {answer}");
    }
}

#[tokio::test]
async fn the_answer_proves_the_key_and_agrees_to_what_is_known_only() {
    let relay = TestRelay::start().await;
    let offers = |lines: &str| upgrade("notes", lines);
    let extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    for (lines, subprotocol) in [
        ("", None),
        (extension, None),
        ("Sec-WebSocket-Protocol: chat\r\n", None),
        ("Sec-WebSocket-Protocol: coweave.v1\r\n", Some("coweave.v1")),
        ("Sec-WebSocket-Protocol: chat, coweave.v1\r\n", Some("coweave.v1")),
        (
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: coweave.v1\r\n",
            Some("coweave.v1"),
        ),
    ] {
        let answer = answer(&relay, &offers(lines)).await;
        assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!answer.contains("sec-websocket-extensions"), "{answer}");
        let line = subprotocol.map(|name| format!("sec-websocket-protocol: {name}\r\n"));
        match line {
            Some(line) => assert!(answer.contains(&line), "{answer}"),
            None => assert!(!answer.contains("sec-websocket-protocol"), "{answer}"),
        }
    }
}

#[tokio::test]
async fn frames_right_behind_the_request_are_read() {
    let relay = TestRelay::start().await;
    let mut client = RawClient::connect(relay.address(), Protocol::YWebsocket).await;
    let request = [upgrade("early", "").as_bytes(), &Protocol::YWebsocket.question()].concat();
    client.send(&request).await;
    assert!(client.response().await.starts_with("HTTP/1.1 101 "));
    client.wait_for_answer("an early frame").await;
}

#[tokio::test]
async fn pages_are_let_in_by_their_origin() {
    let relay = TestRelay::start().await;
    for (origin, status) in [
        ("", 101),
        ("Origin: http://127.0.0.1:5173\r\n", 101),
        ("Origin: https://stranger.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: http://127.0.0.1.stranger.example\r\n", 403),
    ] {
        let answer = answer(&relay, &upgrade("notes", origin)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}{answer}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_an_error_or_hung_up_on() {
    let relay = TestRelay::start().await;
    let tls_hello = "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}";
    let huge = upgrade("notes", &format!("Cookie: {}\r\n", "x".repeat(100_000)));
    let many = upgrade("notes", &"a: b\r\n".repeat(1_000));
    for request in [tls_hello, "\0\0\0\0\r\n\r\n", "hello\r\n\r\n", "GET\r\n\r\n", &huge, &many] {
        let answer = answer(&relay, request).await;
        let is_refused = ["", "HTTP/1.1 400 ", "HTTP/1.1 431 "]
            .iter()
            .any(|line| if line.is_empty() { answer.is_empty() } else { answer.starts_with(line) });
        assert!(is_refused, "{answer}");
    }
    let mut client = RawClient::open(relay.address(), Protocol::V1).await;
    client.send(&Protocol::V1.question()).await;
    client.wait_for_answer("after all that").await;
}

#[tokio::test]
async fn a_head_that_drips_is_given_up_however_alive_it_looks() {
    let hello_timeout = Duration::from_millis(400);
    let relay = TestRelay::start_with(Limits { hello_timeout, ..Limits::default() }).await;
    let mut client = RawClient::connect(relay.address(), Protocol::V1).await;
    let started = Instant::now();
    let request = upgrade("notes", "");
    let (mut reader, mut writer) = client.stream.split();
    let drip = async {
        for byte in request.as_bytes().chunks(1) {
            if writer.write_all(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = timeout(PATIENCE, reader.read_to_end(&mut answer)) => {}
    }
    assert!(started.elapsed() >= hello_timeout, "{:?}", started.elapsed());
    assert!(!answer.starts_with(b"HTTP/1.1 101"));
}
