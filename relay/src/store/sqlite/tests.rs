//! What holds for the files of the SQLite store only: older versions, and damage below it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use coweave_core::ids::Sequence;
use coweave_core::random::Random;
use tempfile::TempDir;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// What version 1 wrote, as it was released.
const VERSION_1: &str = "
CREATE TABLE rooms (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    lineage BLOB NOT NULL CHECK (length(lineage) = 16)
) STRICT;
CREATE TABLE numbering (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    epoch   INTEGER NOT NULL,
    is_open INTEGER NOT NULL
) STRICT;
CREATE TABLE log (
    room     INTEGER NOT NULL REFERENCES rooms (id),
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    bytes    BLOB NOT NULL,
    PRIMARY KEY (room, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
    room     INTEGER PRIMARY KEY REFERENCES rooms (id),
    sequence INTEGER NOT NULL,
    bytes    BLOB NOT NULL
) STRICT;
CREATE TRIGGER log_is_in_order BEFORE INSERT ON log BEGIN
    SELECT RAISE(IGNORE) WHERE EXISTS (
        SELECT 1 FROM log
        WHERE room = NEW.room AND sequence = NEW.sequence AND bytes = NEW.bytes);
    SELECT RAISE(ABORT, 'the line is not the next one of its room')
        WHERE NEW.sequence IS NOT 1 + coalesce(
            (SELECT max(sequence) FROM log WHERE room = NEW.room),
            (SELECT sequence FROM snapshots WHERE room = NEW.room),
            0);
END;
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1131378550;
PRAGMA user_version = 1;
INSERT INTO numbering VALUES (1, 77, 0);
INSERT INTO rooms VALUES
    (1, 'folded', x'01010101010101010101010101010101'),
    (2, 'tail only', x'02020202020202020202020202020202'),
    (3, 'empty', x'03030303030303030303030303030303');
INSERT INTO snapshots VALUES (1, 3, x'736e6170');
INSERT INTO log VALUES (1, 4, 0, x'6c34'), (1, 5, 0, x'6c35'), (2, 1, 0, x'6c31');
";

fn name(text: &str) -> RoomName {
    RoomName::parse(text).unwrap()
}

fn line(room: RoomId, sequence: u64, update: &'static str) -> LogLine {
    LogLine { room, sequence: Sequence(sequence), update: Bytes::from_static(update.as_bytes()) }
}

async fn raw(folder: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(database(folder))
        .create_if_missing(true)
        .foreign_keys(false);
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("coweave.sqlite3")
}

async fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(folder.path(), HOUR).await.unwrap()
}

async fn room(store: &SqliteStore, text: &str) -> Result<OpenedRoom, StoreError> {
    store.open_or_create(&name(text), Lineage([9; 16])).await
}

#[tokio::test]
async fn a_store_of_version_1_goes_on_with_all_it_has() {
    let folder = TempDir::new().unwrap();
    let mut old = raw(&folder).await;
    sqlx::raw_sql(VERSION_1).execute(&mut old).await.unwrap();
    old.close().await.unwrap();

    for _ in 0..2 {
        let store = open(&folder).await;
        let folded = room(&store, "folded").await.unwrap();
        assert_eq!((folded.id, folded.stored.lineage), (RoomId(1), Lineage([1; 16])));
        assert_eq!(folded.stored.epoch, Epoch(77));
        let pieces = vec![Bytes::from_static(b"snap")];
        assert_eq!(folded.stored.snapshot, Some(Snapshot { through: Sequence(3), pieces }));
        let expected = [(Sequence(4), Bytes::from("l4")), (Sequence(5), Bytes::from("l5"))];
        assert_eq!(folded.stored.tail, expected);
        assert_eq!(room(&store, "tail only").await.unwrap().stored.tail.len(), 1);
        assert_eq!(room(&store, "empty").await.unwrap().stored.snapshot, None);
        store.close().await;
    }
    let store = open(&folder).await;
    store.append(&[line(RoomId(1), 6, "l6"), line(RoomId(2), 2, "l2")]).await.unwrap();
    let gap = store.append(&[line(RoomId(3), 2, "gap")]).await;
    assert!(matches!(gap, Err(StoreError::OutOfOrder(_))), "{gap:?}");
    let pieces = vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")];
    let snapshot = Snapshot { through: Sequence(6), pieces };
    store.replace_snapshot(RoomId(1), snapshot.clone()).await.unwrap();
    assert_eq!(room(&store, "folded").await.unwrap().stored.snapshot, Some(snapshot));
    store.delete(RoomId(3), Bytes::new()).await.unwrap();
    assert_eq!(room(&store, "empty").await.unwrap().id, RoomId(4));
    store.close().await;
}

#[tokio::test]
async fn a_new_store_and_one_of_version_1_have_the_same_tables() {
    let (old, new) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut connection = raw(&old).await;
    sqlx::raw_sql(VERSION_1).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut schemas = Vec::new();
    for folder in [&old, &new] {
        open(folder).await.close().await;
        let sql = "SELECT coalesce(sql, '') FROM sqlite_schema ORDER BY type, name";
        let schema: Vec<String> =
            sqlx::query_scalar(sql).fetch_all(&mut raw(folder).await).await.unwrap();
        schemas.push(schema);
    }
    assert_eq!(schemas[0], schemas[1]);
}

#[tokio::test]
async fn lines_are_kept_after_they_were_folded() {
    for (keep_log, kept) in [(HOUR, 3), (Duration::ZERO, 1)] {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(folder.path(), keep_log).await.unwrap();
        let a = room(&store, "a").await.unwrap().id;
        store.append(&[line(a, 1, "x"), line(a, 2, "y"), line(a, 3, "z")]).await.unwrap();
        let snapshot = Snapshot { through: Sequence(2), pieces: vec![Bytes::from_static(b"xy")] };
        store.replace_snapshot(a, snapshot).await.unwrap();
        assert_eq!(store.sweep().await, Ok(0));
        let sql = "SELECT count(*) FROM log";
        let lines: i64 = sqlx::query_scalar(sql).fetch_one(&mut raw(&folder).await).await.unwrap();
        assert_eq!(lines, kept);
        store.close().await;
    }
}

#[tokio::test]
async fn a_flipped_bit_in_a_line_or_a_part_is_found_and_harms_no_other_room() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    for (text, update) in [("line", "a line that is damaged"), ("other", "sound")] {
        let id = room(&store, text).await.unwrap().id;
        store.append(&[line(id, 1, update)]).await.unwrap();
    }
    let part = room(&store, "part").await.unwrap().id;
    store.append(&[line(part, 1, "p")]).await.unwrap();
    let pieces = vec![Bytes::from_static(b"a part that is damaged")];
    store.replace_snapshot(part, Snapshot { through: Sequence(1), pieces }).await.unwrap();
    store.close().await;
    drop(store);

    let file = File::options().read(true).write(true).open(database(&folder)).unwrap();
    let bytes = std::fs::read(database(&folder)).unwrap();
    for text in [&b"a line that is"[..], b"a part that is"] {
        let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
        file.write_all_at(b"A", at as u64).unwrap();
    }
    let store = open(&folder).await;
    for text in ["line", "part"] {
        let damaged = room(&store, text).await;
        assert!(matches!(damaged, Err(StoreError::Damaged(_))), "{damaged:?}");
    }
    let other = room(&store, "other").await.unwrap();
    store.append(&[line(other.id, 2, "goes on")]).await.unwrap();
    assert_eq!(room(&store, "other").await.unwrap().stored.tail.len(), 2);
}

#[tokio::test]
async fn a_database_that_is_moved_away_is_told_and_works_again_when_it_is_back() {
    for file in ["coweave.sqlite3", "coweave.sqlite3-wal"] {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).await;
        let a = room(&store, "a").await.unwrap().id;
        store.append(&[line(a, 1, "x")]).await.unwrap();
        let (path, aside) = (folder.path().join(file), folder.path().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        for _ in 0..2 {
            let lost = store.append(&[line(a, 2, "y")]).await.unwrap_err().to_string();
            assert!(lost.contains("was deleted or replaced"), "{lost}");
        }
        assert!(!path.exists(), "nothing is made in its place");
        std::fs::rename(&aside, &path).unwrap();
        store.append(&[line(a, 2, "y")]).await.unwrap();
        assert_eq!(room(&store, "a").await.unwrap().stored.tail.len(), 2);
    }
}

#[tokio::test]
async fn edits_that_wait_without_their_database_are_not_thrown_away() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).await;
    let a = room(&store, "a").await.unwrap().id;
    store.append(&[line(a, 1, "x")]).await.unwrap();
    let aside = TempDir::new().unwrap();
    let wal = "coweave.sqlite3-wal";
    std::fs::copy(folder.path().join(wal), aside.path().join(wal)).unwrap();
    let refused = SqliteStore::open(aside.path(), HOUR).await.unwrap_err().to_string();
    assert!(refused.contains("holds edits"), "{refused}");
    assert!(aside.path().join(wal).metadata().unwrap().len() > 0);
}

#[tokio::test]
async fn whatever_bytes_are_damaged_no_room_is_loaded_with_other_content() {
    let original = TempDir::new().unwrap();
    let store = open(&original).await;
    let mut expected = Vec::new();
    for n in 0..8 {
        let text = format!("room {n}");
        let id = room(&store, &text).await.unwrap().id;
        for sequence in 1..=20 {
            store.append(&[line(id, sequence, "what somebody wrote")]).await.unwrap();
        }
        if n % 2 == 0 {
            let pieces = vec![Bytes::from(vec![b'p'; 3000]), Bytes::from_static(b"q")];
            let snapshot = Snapshot { through: Sequence(15), pieces };
            store.replace_snapshot(id, snapshot).await.unwrap();
        }
        expected.push((text.clone(), room(&store, &text).await.unwrap()));
    }
    store.close().await;
    drop(store);
    let sound = std::fs::read(database(&original)).unwrap();

    let mut random = Random::from_seed(11);
    let (mut closed, mut found, mut unnoticed, mut shortened) = (0, 0, 0, 0);
    for _ in 0..150 {
        let folder = TempDir::new().unwrap();
        let mut bytes = sound.clone();
        for _ in 0..=random.below(8) {
            let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= 1 << random.below(8);
        }
        std::fs::write(database(&folder), &bytes).unwrap();
        let Ok(store) = SqliteStore::open(folder.path(), HOUR).await else {
            closed += 1;
            continue;
        };
        for (text, sound) in &expected {
            // A room that cannot be found would be made anew.
            if store.contains(&name(text)).await != Ok(true) {
                found += 1;
                continue;
            }
            match room(&store, text).await {
                Ok(loaded) => {
                    let (is, was) = (loaded.stored, &sound.stored);
                    assert_eq!((is.lineage, &is.snapshot), (was.lineage, &was.snapshot));
                    // Nothing tells that the end of a log was longer; it is as after a crash, and
                    // its authors bring it back.
                    assert_eq!(is.tail, was.tail[..is.tail.len()]);
                    shortened += usize::from(is.tail != was.tail);
                    unnoticed += 1;
                }
                Err(_told) => found += 1,
            }
        }
    }
    let counts =
        format!("{closed} closed, {found} found, {unnoticed} sound, {shortened} shortened");
    assert!(closed > 0 && found > 50 && unnoticed > 500 && shortened < 10, "{counts}");
}

#[tokio::test]
async fn a_write_ahead_log_that_was_cut_off_gives_an_earlier_state_in_a_new_epoch() {
    let original = TempDir::new().unwrap();
    let store = open(&original).await;
    let opened = room(&store, "a").await.unwrap();
    for sequence in 1..=50 {
        store.append(&[line(opened.id, sequence, "u")]).await.unwrap();
    }
    let read = |file: &str| std::fs::read(original.path().join(file)).unwrap();
    let (sound, wal) = (read("coweave.sqlite3"), read("coweave.sqlite3-wal"));
    for kept in [1, wal.len() / 3, wal.len() / 2, wal.len() - 1] {
        let folder = TempDir::new().unwrap();
        std::fs::write(database(&folder), &sound).unwrap();
        let wal = &wal[..kept];
        std::fs::write(folder.path().join("coweave.sqlite3-wal"), wal).unwrap();
        let Ok(store) = SqliteStore::open(folder.path(), HOUR).await else { continue };
        let again = room(&store, "a").await.unwrap();
        let places = again.stored.tail.iter().map(|(sequence, _)| sequence.0);
        assert!(places.eq(1..=again.stored.tail.len() as u64));
        assert_ne!(again.stored.epoch, opened.stored.epoch);
    }
}
