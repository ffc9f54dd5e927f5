//! What is stored of a room is damaged: that room is closed and left as it is, and no other one
//! notices.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coweave_core::error::Code;
use coweave_core::ids::{Channel, Epoch};
use coweave_core::limits::Limits;
use coweave_core::wire::v1::Message;
use coweave_relay::Drained;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use crate::setup::{PATIENCE, TestRelay};
use crate::v1_client::V1Client;

fn database(folder: &Path) -> PathBuf {
    folder.join("coweave.sqlite3")
}

async fn raw(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database(folder));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Everything that is stored of a room.
async fn rows(folder: &Path, room: &str) -> Vec<(i64, Vec<u8>)> {
    sqlx::query_as(
        "SELECT sequence, bytes FROM log WHERE room = (SELECT id FROM rooms WHERE name = ?1) \
         UNION ALL SELECT part, bytes FROM snapshots \
         WHERE room = (SELECT id FROM rooms WHERE name = ?1)",
    )
    .bind(room)
    .fetch_all(&mut raw(folder).await)
    .await
    .unwrap()
}

/// Flips bits wherever this text stands in the file.
fn damage(folder: &Path, text: &[u8]) {
    let bytes = std::fs::read(database(folder)).unwrap();
    let file = std::fs::File::options().write(true).open(database(folder)).unwrap();
    let places = bytes.windows(text.len()).enumerate().filter(|(_, window)| window == &text);
    let mut count = 0;
    for (at, _) in places {
        file.write_all_at(&[!bytes[at]], at as u64).unwrap();
        count += 1;
    }
    assert!(count > 0, "the text is not there");
}

#[tokio::test]
async fn a_damaged_room_is_closed_and_left_as_it_is() {
    let limits = Limits { tail_bytes_max: 2_000, ..Limits::default() };
    let relay = TestRelay::start_with(limits).await;
    for (n, room) in (1..).zip(["in its log", "in its snapshot", "in its bytes", "sound"]) {
        let mut client = V1Client::join(relay.address(), n, room).await;
        let edits = if room == "in its snapshot" { 200 } else { 1 };
        let text = format!("<{room}>");
        for _ in 0..edits {
            let number = client.write(&text).await;
            client.wait_for_durable(number).await;
        }
    }
    let TestRelay { relay, folder } = relay;
    assert_eq!(relay.shutdown().await, Drained::Clean);
    let folder_path = folder.path();
    damage(folder_path, b"<in its log>");
    damage(folder_path, b"<in its snapshot>");
    // What an older relay wrote has no checksum.
    let sql = "UPDATE log SET sum = NULL, bytes = x'ff' \
               WHERE room = (SELECT id FROM rooms WHERE name = 'in its bytes')";
    sqlx::raw_sql(sql).execute(&mut raw(folder_path).await).await.unwrap();
    let rooms = ["in its log", "in its snapshot", "in its bytes"];
    let mut before = Vec::new();
    for room in rooms {
        before.push(rows(folder_path, room).await);
    }

    let relay = TestRelay::start_in(folder, Limits::default()).await;
    let mut sound = V1Client::join(relay.address(), 9, "sound").await;
    for _ in 0..2 {
        for (n, room) in (10..).zip(rooms) {
            let mut client = V1Client::connect(relay.address(), n).await;
            client.ask_to_enter(Channel(1), room, None).await;
            let error = client.wait_for_error().await;
            assert_eq!(error.code, Code::RoomDamaged, "{room}");
            assert!((1..=60_000).contains(&error.retry_after_ms.unwrap()), "{error:?}");
            // The same connection goes on in other rooms.
            let joined = client.enter(Channel(2), "sound").await;
            assert_ne!(joined.epoch, Epoch(0));
        }
    }
    let number = sound.write(" goes on").await;
    sound.wait_for_durable(number).await;
    let TestRelay { relay, folder } = relay;
    assert_eq!(relay.shutdown().await, Drained::Clean);
    for (room, before) in rooms.iter().zip(before) {
        assert_eq!(rows(folder.path(), room).await, before, "{room} is left as it was");
    }
}

/// Waits until the client is told how the disk is.
async fn wait_for_durability(client: &mut V1Client, is_well: bool) {
    let told = client.wait(|_, message| match message {
        Message::Durability { degraded } if degraded.is_none() == is_well => Some(()),
        _ => None,
    });
    tokio::time::timeout(PATIENCE, told).await.expect("nobody tells");
}

#[tokio::test]
async fn a_store_that_is_moved_away_is_told_and_goes_on_when_it_is_back() {
    let TestRelay { relay, folder } = TestRelay::start().await;
    let mut ann = V1Client::join(relay.local_addr(), 1, "notes").await;
    let number = ann.write("before ").await;
    ann.wait_for_durable(number).await;
    let (path, aside) = (folder.path().join("coweave.sqlite3"), folder.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    let number = ann.write("meanwhile ").await;
    wait_for_durability(&mut ann, false).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(ann.durable() < number && !path.exists());
    std::fs::rename(&aside, &path).unwrap();
    ann.wait_for_durable(number).await;
    assert_eq!(relay.shutdown().await, Drained::Clean);
}
