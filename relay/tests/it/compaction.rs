//! Logs are folded in a process of their own: within limits, and nothing it says is believed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_relay::compactor::{CompactError, Compaction, Compactor, Place};
use coweave_relay::{Config, Drained, Relay};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::process::{PROGRAM, Running};
use crate::setup::{TestRelay, config, eventually};
use crate::v1_client::V1Client;

/// Whoever is in a room for long enough has its log folded again and again.
const SMALL_TAILS: [&str; 2] = ["--tail-bytes-max", "1024"];

fn compactor(place: Place) -> Compactor {
    let settings = Compaction { place, time_max: Duration::from_secs(2), ..Compaction::default() };
    Compactor::new(settings, &Limits::default())
}

/// The real child.
fn child() -> Place {
    Place::Child { program: PROGRAM.into(), arguments: vec!["compact".into()] }
}

/// A child that does something else; it finds its three numbers in $0, $1 and $2.
fn shell(script: &str) -> Place {
    let program = PathBuf::from("/bin/sh");
    Place::Child { program, arguments: vec![OsString::from("-c"), script.into()] }
}

/// A text that is typed and corrected keystroke by keystroke, now here and now there.
fn typed(edits: u32) -> (Vec<Bytes>, Replica) {
    let mut random = Random::from_seed(7);
    let mut replica = Replica::new(ClientId::from_u32(1));
    let mut log = Vec::new();
    let mut cursor = 0;
    for n in 0..edits {
        if n % 50 == 0 {
            let length = replica.text_length("text");
            cursor = u32::try_from(random.below(u64::from(length) + 1)).unwrap();
        }
        if n % 10 == 9 && cursor > 0 {
            cursor -= 1;
            replica.text_delete("text", cursor, 1).unwrap();
        } else {
            replica.text_insert("text", cursor, "k").unwrap();
            cursor += 1;
        }
        log.extend(replica.take_edits());
    }
    (log, replica)
}

fn text_of(updates: &[Bytes]) -> String {
    let mut replica = Replica::new(ClientId::from_u32(2));
    for update in updates {
        replica.apply(update, &Limits::default().for_taken()).unwrap();
    }
    replica.text_string("text")
}

fn size(updates: &[Bytes]) -> usize {
    updates.iter().map(Bytes::len).sum()
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the sizes are worth a look")]
async fn a_typed_history_becomes_small_and_keeps_its_text() {
    let (log, replica) = typed(20_000);
    for place in [child(), Place::InProcess] {
        let start = Instant::now();
        let pieces = compactor(place.clone()).fold(log.clone()).await.unwrap();
        println!(
            "{place:?}: {} updates of {} bytes became {} pieces of {} bytes in {:?}",
            log.len(),
            size(&log),
            pieces.len(),
            size(&pieces),
            start.elapsed()
        );
        assert!(size(&pieces) * 4 < size(&log));
        assert_eq!(text_of(&pieces), replica.text_string("text"));
        // What was folded can be folded again together with what came since.
        let again = compactor(place).fold(pieces.clone()).await.unwrap();
        assert_eq!(text_of(&again), replica.text_string("text"));
    }
}

#[tokio::test]
async fn a_child_over_its_memory_is_ended_and_told() {
    let large = Bytes::from(vec![0; 100 << 20]);
    let settings =
        Compaction { place: child(), memory_bytes_max: 64 << 20, ..Compaction::default() };
    let answer = Compactor::new(settings, &Limits::default()).fold(vec![large]).await;
    assert!(matches!(answer, Err(CompactError::OverMemory(_))), "{answer:?}");
}

#[tokio::test]
async fn a_child_over_its_time_is_ended_and_told() {
    // The first runs and the second sleeps.
    for (script, seconds) in [("ulimit -S -t $1; while :; do :; done", 2), ("sleep 60", 8)] {
        let start = Instant::now();
        let answer = compactor(shell(script)).fold(vec![Bytes::from_static(&[0, 0])]).await;
        assert!(matches!(answer, Err(CompactError::OverTime(_))), "{answer:?}");
        assert!(start.elapsed() >= Duration::from_secs(seconds), "{:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(seconds + 10), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_child_that_dies_or_gives_up_is_told() {
    let (log, _) = typed(100);
    let answer = compactor(shell("kill -KILL $$")).fold(log.clone()).await;
    assert!(matches!(answer, Err(CompactError::Signal(9))), "{answer:?}");
    let answer = compactor(shell("kill -SEGV $$")).fold(log.clone()).await;
    assert!(matches!(answer, Err(CompactError::Signal(11))), "{answer:?}");
    let answer = compactor(shell("echo no mood >&2; exit 3")).fold(log.clone()).await;
    assert!(matches!(&answer, Err(CompactError::GaveUp(why)) if why == "no mood"), "{answer:?}");
    let program = PathBuf::from("/does/not/exist");
    let absent = Place::Child { program, arguments: Vec::new() };
    let answer = compactor(absent).fold(log).await;
    assert!(matches!(answer, Err(CompactError::Start(_))), "{answer:?}");
}

#[tokio::test]
async fn a_child_that_lies_is_not_believed() {
    let (log, _) = typed(100);
    for lie in [
        // Nothing, half a head, no piece, an empty piece, a piece that is none, more than was said.
        "cat > /dev/null",
        "cat > /dev/null; printf '\\001\\005\\001'",
        "cat > /dev/null; printf '\\000'",
        "cat > /dev/null; printf '\\001\\002\\000\\000'",
        "cat > /dev/null; printf '\\001\\003abc'",
        "cat > /dev/null; printf '\\001\\002\\000\\000\\000'",
    ] {
        let answer = compactor(shell(lie)).fold(log.clone()).await;
        assert!(matches!(answer, Err(CompactError::WrongAnswer(_))), "{lie}: {answer:?}");
    }
    // Without an end: it cannot even say it all.
    let answer = compactor(shell("while :; do echo yes; done")).fold(log).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn a_folded_log_that_lacks_an_edit_is_not_believed() {
    let (log, _) = typed(100);
    let (_, others) = log.split_last().unwrap();
    for (claimed, real) in [(others, &log[..]), (&log[..], others)] {
        let mut answer = vec![1];
        let pieces = coweave_core::room::compaction::fold(claimed, 1 << 20).unwrap();
        assert_eq!(pieces.len(), 1);
        coweave_core::wire::primitive::write_bytes(&mut answer, &pieces[0]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), answer).unwrap();
        let lie = format!("cat > /dev/null; cat {}", file.path().display());
        let answer = compactor(shell(&lie)).fold(real.to_vec()).await;
        assert!(matches!(answer, Err(CompactError::WrongAnswer(_))), "{answer:?}");
        let truth = compactor(shell(&lie)).fold(claimed.to_vec()).await;
        assert!(truth.is_ok(), "{truth:?}");
    }
}

#[tokio::test]
async fn one_child_works_at_a_time() {
    let folder = TempDir::new().unwrap();
    // Whoever finds the other one's mark gives up.
    let mark = folder.path().join("mark");
    let script = format!(
        "set -e; mkdir {mark}; sleep 0.2; rmdir {mark}; cat > /dev/null; printf '\\001\\002\\000\\000'",
        mark = mark.display()
    );
    let compactor = std::sync::Arc::new(compactor(shell(&script)));
    let folding = (0..4).map(|_| {
        let compactor = std::sync::Arc::clone(&compactor);
        tokio::spawn(async move { compactor.fold(vec![Bytes::from_static(&[0, 0])]).await })
    });
    for answer in folding.collect::<Vec<_>>() {
        answer.await.unwrap().unwrap();
    }
}

/// How many parts the snapshot of the only room has.
async fn parts(folder: &TempDir) -> i64 {
    let options = SqliteConnectOptions::new().filename(folder.path().join("coweave.sqlite3"));
    let mut store = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query_scalar("SELECT parts FROM rooms").fetch_one(&mut store).await.unwrap()
}

#[tokio::test]
async fn a_child_that_is_killed_in_the_middle_leaves_the_log_as_it_was() {
    let folder = TempDir::new().unwrap();
    let marks = folder.path().join("marks");
    let killed = format!("head -c 500 >> {}; kill -KILL $$", marks.display());
    let mut expected = String::new();
    for (round, place) in (1..).zip([shell(&killed), child()]) {
        let config = Config {
            data_dir: folder.path().to_owned(),
            compaction: Compaction { place, ..Compaction::default() },
            ..config(Limits { tail_bytes_max: 1024, ..Limits::default() })
        };
        let relay = Relay::start(config).await.unwrap();
        let mut client = V1Client::join(relay.local_addr(), round, "notes").await;
        assert_eq!(client.text(), expected);
        for letter in 'a'..='z' {
            let word = letter.to_string().repeat(50);
            let number = client.write(&word).await;
            client.wait_for_durable(number).await;
            expected.push_str(&word);
        }
        if round == 1 {
            eventually(async || marks.exists()).await;
        } else {
            eventually(async || parts(&folder).await > 0).await;
        }
        assert_eq!(relay.shutdown().await, Drained::Clean);
        assert_eq!(parts(&folder).await > 0, round == 2);
    }
    let relay = TestRelay::start_in(folder, Limits::default()).await;
    assert_eq!(V1Client::join(relay.address(), 3, "notes").await.text(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_killed_while_it_folds_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let mut random = Random::from_seed(3);
    let mut expected = String::new();
    for round in 1..=10 {
        let relay = Running::start_with(folder.path(), &SMALL_TAILS);
        let mut client = V1Client::join(relay.address, round, "notes").await;
        assert_eq!(client.text(), expected);
        // A little more than what is folded at once.
        for _ in 0..20 + random.below(20) {
            let number = client.write("0123456789012345678901234567890123456789").await;
            client.wait_for_durable(number).await;
            expected.push_str("0123456789012345678901234567890123456789");
        }
        relay.signal("KILL");
        relay.end();
    }
}

#[test]
fn the_hidden_command_says_when_it_is_called_by_hand() {
    let output = Command::new(PROGRAM).args(["compact", "x"]).output().unwrap();
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("this is for the relay itself"), "{stderr}");
}
