//! The real program when it is told to stop: nobody new comes in, everybody hears when to come back,
//! everything it has taken is on disk, and it ends within a limit or, asked twice, at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use coweave_core::error::Code;
use coweave_core::ids::Channel;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::process::Running;
use crate::setup::{Heard, eventually};
use crate::v1_client::V1Client;
use crate::y_websocket_client::YClient;

/// Longer than a relay waits for a client that does not answer, on a busy machine.
const STUBBORN: Duration = Duration::from_secs(8);

/// The text of the room after a new start.
async fn text_after_restart(folder: &TempDir) -> String {
    let relay = Running::start(folder.path());
    let text = V1Client::join(relay.address, 999, "notes").await.text();
    relay.signal("TERM");
    assert_eq!(relay.end().0, Some(0));
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_brings_everything_to_disk_and_ends_with_success() {
    for signal in ["TERM", "INT"] {
        let folder = TempDir::new().unwrap();
        let relay = Running::start(folder.path());
        let mut ann = V1Client::join(relay.address, 1, "notes").await;
        for _ in 0..500 {
            ann.write("x").await;
        }
        // The answer to this comes after the edits were taken; nobody waits for the disk.
        ann.enter(Channel(2), "other").await;
        relay.signal(signal);
        assert_eq!(ann.wait_for_error().await.code, Code::RelayDraining);
        drop(ann);
        let (code, log) = relay.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("everything is on disk"), "{log}");
        assert_eq!(text_after_restart(&folder).await, "x".repeat(500));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_told_to_come_back_at_different_times() {
    let folder = TempDir::new().unwrap();
    let relay = Running::start(folder.path());
    let mut clients = Vec::new();
    for client in 1..=40 {
        clients.push(V1Client::join(relay.address, client, "notes").await);
    }
    let mut outside = YClient::join(relay.address, 50, "notes").await;
    relay.signal("TERM");
    let mut waits = BTreeSet::new();
    for client in &mut clients {
        let error = client.wait_for_error().await;
        assert_eq!(error.code, Code::RelayDraining);
        waits.insert(error.retry_after_ms.unwrap());
        let reason = error.code.as_str().to_owned();
        assert_eq!(client.socket.next().await, Heard::Close { code: 1012, reason });
    }
    let (first, last) = (*waits.first().unwrap(), *waits.last().unwrap());
    assert!(waits.len() > 30 && first >= 250 && last < 2_000, "{waits:?}");
    assert!(last - first > 800, "{waits:?}");
    // A y-websocket client knows by the code that it may come back.
    loop {
        match outside.socket.next().await {
            Heard::Binary(_) => {}
            end => {
                let reason = Code::RelayDraining.as_str().to_owned();
                assert_eq!(end, Heard::Close { code: 1012, reason });
                break;
            }
        }
    }
    drop((clients, outside));
    assert_eq!(relay.end().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_new_comes_in_and_nobody_holds_it_up() {
    let folder = TempDir::new().unwrap();
    let relay = Running::start(folder.path());
    // One that will not answer the close frame, one in the middle of a request, and one that has
    // sent nothing.
    let mut stubborn = V1Client::join(relay.address, 1, "notes").await;
    let mut halfway = TcpStream::connect(relay.address).await.unwrap();
    halfway.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let _silent = TcpStream::connect(relay.address).await.unwrap();
    let number = stubborn.write("kept").await;
    stubborn.wait_for_durable(number).await;
    let started = Instant::now();
    relay.signal("TERM");
    stubborn.wait_for_error().await;
    eventually(async || TcpStream::connect(relay.address).await.is_err()).await;
    let (code, log) = relay.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(started.elapsed() < STUBBORN, "{:?}", started.elapsed());
    assert_eq!(text_after_restart(&folder).await, "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_that_takes_too_long_is_broken_off_and_told() {
    let folder = TempDir::new().unwrap();
    let relay = Running::start_with(folder.path(), &["--drain-limit-ms", "300"]);
    let mut stubborn = V1Client::join(relay.address, 1, "notes").await;
    let number = stubborn.write("kept").await;
    stubborn.wait_for_durable(number).await;
    let started = Instant::now();
    relay.signal("TERM");
    stubborn.wait_for_error().await;
    let (code, log) = relay.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("after the time limit"), "{log}");
    assert!(started.elapsed() < STUBBORN, "{:?}", started.elapsed());
    assert_eq!(text_after_restart(&folder).await, "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once_and_nothing_durable_is_lost() {
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "TERM")] {
        let folder = TempDir::new().unwrap();
        let mut relay = Running::start(folder.path());
        let mut ann = V1Client::join(relay.address, 1, "notes").await;
        // The signals come in the middle of many edits.
        let mut numbers = Vec::new();
        for _ in 0..300 {
            numbers.push(ann.write("x").await);
        }
        ann.wait_for_durable(numbers[100]).await;
        relay.signal(first);
        // Two signals of a kind can become one before anybody has seen the first.
        relay.wait_for_line("stopping");
        relay.signal(second);
        while ann.try_next().await.is_ok() {}
        let durable = ann.durable().0;
        let (code, log) = relay.end();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains("stopped at once"), "{log}");
        let text = text_after_restart(&folder).await;
        assert!(text.len() as u64 >= durable, "{} of {durable}", text.len());
        assert!(text.len() <= 300);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_does_not_wait_for_who_does_not_answer() {
    let folder = TempDir::new().unwrap();
    let relay = Running::start(folder.path());
    let mut stubborn = V1Client::join(relay.address, 1, "notes").await;
    relay.signal("TERM");
    stubborn.wait_for_error().await;
    let started = Instant::now();
    relay.signal("TERM");
    let (code, log) = relay.end();
    assert_eq!(code, Some(1), "{log}");
    // A patient relay would wait for two seconds.
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
}
