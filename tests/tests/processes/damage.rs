//! What is stored of one room is damaged: its members are told, nothing is written to it, every
//! other room goes on, and with the bytes back it is open again without a restart.
//! `COWEAVE_QUARANTINE_MS=60000` waits as long as the room stays closed, for that last part.

use std::path::Path;
use std::time::Duration;

use coweave_core::error::Code;
use coweave_tests::member::Member as _;
use coweave_tests::native::{NativeClient, TEXT};
use coweave_tests::relay_process::RelayProcess;
use coweave_tests::size;
use coweave_tests::y_member::YMember;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::aside;

const DAMAGED: &str = "cellar";
const SOUND: &str = "garden";

async fn database(data: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data.join("coweave.sqlite3"));
    SqliteConnection::connect_with(&options.busy_timeout(Duration::from_secs(5))).await.unwrap()
}

/// The log of the room, as it is on disk.
async fn lines(data: &Path) -> Vec<(i64, Vec<u8>)> {
    let sql = "SELECT sequence, bytes FROM log \
               WHERE room = (SELECT id FROM rooms WHERE name = ?) ORDER BY sequence";
    sqlx::query_as(sql).bind(DAMAGED).fetch_all(&mut database(data).await).await.unwrap()
}

async fn replace_line(data: &Path, (sequence, bytes): &(i64, Vec<u8>)) {
    let sql = "UPDATE log SET bytes = ?1 \
               WHERE sequence = ?2 AND room = (SELECT id FROM rooms WHERE name = ?3)";
    let query = sqlx::query(sql).bind(bytes).bind(sequence).bind(DAMAGED);
    let changed = query.execute(&mut database(data).await).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

#[test]
fn a_damaged_room_is_closed_alone_and_opens_again_when_its_bytes_are_back() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path(), 0);
        let address = relay.address;
        let mut ann = NativeClient::new(address, DAMAGED, 1);
        let mut ben = YMember::new(address, DAMAGED, 2);
        let mut cat = NativeClient::new(address, SOUND, 3);
        for word in ["wine", " and", " apples"] {
            let end = ann.replica().text_length(TEXT);
            ann.replica().text_insert(TEXT, end, word).unwrap();
            cat.replica().text_insert(TEXT, 0, word).unwrap();
            ann.live_until("it is durable", |ann| ann.is_settled()).await;
            cat.live_until("it is durable", |cat| cat.is_settled()).await;
        }
        ben.live_until("it is there", |ben| ben.text() == "wine and apples").await;
        assert_eq!(relay.terminate().code(), Some(0));

        let before = lines(data.path()).await;
        let sound = before[1].clone();
        let flipped = sound.1.iter().map(|byte| byte ^ 0x10).collect();
        replace_line(data.path(), &(sound.0, flipped)).await;
        let damaged = lines(data.path()).await;
        assert_ne!(damaged, before);
        let folder = data.path().to_owned();
        let relay = aside(move || RelayProcess::start(&folder, address.port())).await;

        let is_told =
            |ann: &mut NativeClient| ann.errors.iter().any(|error| error.code == Code::RoomDamaged);
        ann.live_until("she is told", is_told).await;
        let is_told =
            |ben: &mut YMember| ben.denials.iter().any(|why| why.contains("room.damaged"));
        ben.live_until("he is told", is_told).await;
        // They go on by themselves; what they write is theirs until the room is open again.
        ann.replica().text_insert(TEXT, 0, "more ").unwrap();
        let mut dan = NativeClient::new(address, DAMAGED, 4);
        for _ in 0..20 {
            let time = Duration::from_millis(50);
            tokio::join!(ann.live(time), ben.live(time), dan.live(time));
        }
        assert!(!ann.is_settled() && !dan.room().is_synced());
        cat.replica().text_insert(TEXT, 0, "undisturbed ").unwrap();
        cat.live_until("another room works", |cat| cat.is_settled()).await;
        assert_eq!(lines(data.path()).await, damaged, "nothing was written to it");
        let told = relay.log().matches("is damaged").count();
        assert_eq!(told, 1, "whoever runs the relay is told once:\n{}", relay.log());

        replace_line(data.path(), &sound).await;
        assert_eq!(lines(data.path()).await, before);
        let closed_for = Duration::from_millis(size("COWEAVE_QUARANTINE_MS", 0));
        if closed_for.is_zero() {
            println!("skipped: that it opens again takes the minute for which it stays closed");
            return;
        }
        let waiting = tokio::time::Instant::now();
        while !ann.is_settled() || ben.text() != ann.text() || dan.text() != ann.text() {
            assert!(waiting.elapsed() < closed_for * 2, "it never opened again\n{}", relay.log());
            let time = Duration::from_millis(50);
            tokio::join!(ann.live(time), ben.live(time), dan.live(time));
        }
        assert_eq!(ann.text(), "more wine and apples");
        println!("open again {:?} after its bytes were back", waiting.elapsed());
    });
}
