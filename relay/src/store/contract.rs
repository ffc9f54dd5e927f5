//! The promises of [`Store`], each run against every implementation.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coweave_core::ids::{Lineage, RoomName, Sequence};
use coweave_core::room::{Snapshot, Tombstone};
use tempfile::TempDir;

use super::memory::MemoryStore;
use super::sqlite::SqliteStore;
use super::{LogLine, OpenedRoom, RoomId, Store, StoreError};

/// Where a store survives being dropped.
enum Place {
    Memory(Arc<MemoryStore>),
    Folder { folder: TempDir, keep_log: Duration },
}

impl Place {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::<MemoryStore>::clone(store),
            Self::Folder { folder, keep_log } => {
                Arc::new(SqliteStore::open(folder.path(), *keep_log).await.unwrap())
            }
        }
    }

    fn all(keep_log: Duration) -> [Self; 2] {
        let memory = Self::Memory(Arc::new(MemoryStore::keeping(keep_log)));
        [memory, Self::Folder { folder: TempDir::new().unwrap(), keep_log }]
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// What is loaded does not depend on how long lines are kept.
async fn for_each_store<F: Future<Output = ()>>(check: impl Fn(Place) -> F) {
    for place in Place::all(Duration::ZERO).into_iter().chain(Place::all(HOUR)) {
        check(place).await;
    }
}

const LINEAGE: Lineage = Lineage([1; 16]);

fn name(text: &str) -> RoomName {
    RoomName::parse(text).unwrap()
}

fn line(room: RoomId, sequence: u64, update: &'static str) -> LogLine {
    LogLine { room, sequence: Sequence(sequence), update: Bytes::from_static(update.as_bytes()) }
}

async fn room(store: &dyn Store, text: &str) -> OpenedRoom {
    store.open_or_create(&name(text), LINEAGE).await.unwrap()
}

fn snapshot(through: u64, pieces: &[&'static str]) -> Snapshot {
    let pieces = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
    Snapshot { through: Sequence(through), pieces }
}

fn assert_refused<T: std::fmt::Debug>(answer: &Result<T, StoreError>) {
    assert!(matches!(answer, Err(StoreError::OutOfOrder(_))), "{answer:?}");
}

fn tail(room: &OpenedRoom) -> Vec<(u64, &str)> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    room.stored.tail.iter().map(|(sequence, bytes)| (sequence.0, text(bytes))).collect()
}

#[tokio::test]
async fn a_new_room_is_empty_and_keeps_its_first_lineage_for_ever() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let first = room(&*store, "a").await;
        assert_eq!(first.stored.lineage, LINEAGE);
        assert_eq!((first.stored.snapshot.clone(), tail(&first)), (None, vec![]));
        let again = store.open_or_create(&name("a"), Lineage([2; 16])).await.unwrap();
        assert_eq!(again, first);
        store.close().await;
        drop(store);
        let store = place.open().await;
        let reopened = store.open_or_create(&name("a"), Lineage([3; 16])).await.unwrap();
        assert_eq!(reopened, first);
    })
    .await;
}

#[tokio::test]
async fn sequences_get_a_new_epoch_only_after_a_crash() {
    let [_, place] = Place::all(HOUR);
    let store = place.open().await;
    let first = room(&*store, "a").await.stored.epoch;
    assert_eq!(room(&*store, "b").await.stored.epoch, first);
    store.close().await;
    drop(store);
    let store = place.open().await;
    assert_eq!(room(&*store, "a").await.stored.epoch, first);
    drop(store);
    let store = place.open().await;
    let second = room(&*store, "a").await.stored.epoch;
    assert_ne!(second, first);
    assert_eq!(room(&*store, "new").await.stored.epoch, second);
}

#[tokio::test]
async fn asking_whether_a_room_exists_makes_none() {
    for_each_store(|place| async move {
        let store = place.open().await;
        for _ in 0..2 {
            assert_eq!(store.contains(&name("a")).await, Ok(false));
        }
        let id = room(&*store, "a").await.id;
        assert_eq!(store.contains(&name("a")).await, Ok(true));
        store.delete(id, Bytes::new()).await.unwrap();
        assert_eq!(store.contains(&name("a")).await, Ok(false));
    })
    .await;
}

#[tokio::test]
async fn names_are_compared_byte_by_byte() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let names = ["a", "A", "a ", "\u{e4}", "a\u{308}", "1", "01", "a/b", "a%"];
        let mut ids = Vec::new();
        for text in names {
            ids.push(room(&*store, text).await.id);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), names.len());
    })
    .await;
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_drop_without_close() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let (a, b) = (room(&*store, "a").await.id, room(&*store, "b").await.id);
        store.append(&[line(a, 1, "x"), line(b, 1, "y"), line(a, 2, "")]).await.unwrap();
        store.append(&[line(a, 3, "z")]).await.unwrap();
        store.append(&[]).await.unwrap();
        drop(store);
        let store = place.open().await;
        assert_eq!(tail(&room(&*store, "a").await), [(1, "x"), (2, ""), (3, "z")]);
        assert_eq!(tail(&room(&*store, "b").await), [(1, "y")]);
    })
    .await;
}

#[tokio::test]
async fn a_large_batch_keeps_its_order() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let a = room(&*store, "a").await.id;
        let lines: Vec<_> = (1..=1000).map(|sequence| line(a, sequence, "u")).collect();
        store.append(&lines).await.unwrap();
        let opened = room(&*store, "a").await;
        assert!(opened.stored.tail.iter().map(|(sequence, _)| sequence.0).eq(1..=1000));
    })
    .await;
}

#[tokio::test]
async fn gaps_and_other_content_are_refused_and_nothing_of_the_batch_is_stored() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let (a, b) = (room(&*store, "a").await.id, room(&*store, "b").await.id);
        store.append(&[line(a, 1, "x")]).await.unwrap();
        let batches = [
            vec![line(b, 1, "y"), line(a, 3, "gap")],
            vec![line(b, 1, "y"), line(a, 1, "other")],
            vec![line(b, 1, "y"), line(a, 0, "zero")],
            vec![line(b, 1, "y"), line(RoomId(99), 1, "no room")],
        ];
        for batch in batches {
            assert_refused(&store.append(&batch).await);
            assert_eq!(tail(&room(&*store, "b").await), []);
        }
        store.append(&[line(a, 2, "next")]).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_batch_may_be_handed_in_again() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let a = room(&*store, "a").await.id;
        store.append(&[line(a, 1, "x"), line(a, 2, "y")]).await.unwrap();
        store.append(&[line(a, 1, "x"), line(a, 2, "y"), line(a, 3, "z")]).await.unwrap();
        assert_eq!(tail(&room(&*store, "a").await), [(1, "x"), (2, "y"), (3, "z")]);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_takes_the_place_of_the_log_up_to_it() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let (a, b) = (room(&*store, "a").await.id, room(&*store, "b").await.id);
        store.append(&[line(a, 1, "x"), line(a, 2, "y"), line(a, 3, "z")]).await.unwrap();
        store.append(&[line(b, 1, "other room")]).await.unwrap();
        store.replace_snapshot(a, snapshot(2, &["x", "", "y"])).await.unwrap();
        let check = async |store: &dyn Store| {
            let opened = room(store, "a").await;
            assert_eq!(opened.stored.snapshot, Some(snapshot(2, &["x", "", "y"])));
            assert_eq!(tail(&opened), [(3, "z")]);
            assert_eq!(tail(&room(store, "b").await), [(1, "other room")]);
        };
        check(&*store).await;
        drop(store);
        let store = place.open().await;
        check(&*store).await;
        store.replace_snapshot(a, snapshot(3, &["xyz"])).await.unwrap();
        let opened = room(&*store, "a").await;
        assert_eq!(opened.stored.snapshot, Some(snapshot(3, &["xyz"])));
        assert_eq!(tail(&opened), []);
        assert_refused(&store.append(&[line(a, 5, "gap")]).await);
        store.append(&[line(a, 4, "on")]).await.unwrap();
        assert_eq!(tail(&room(&*store, "a").await), [(4, "on")]);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_of_what_is_not_there_is_refused() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let a = room(&*store, "a").await.id;
        store.append(&[line(a, 1, "x"), line(a, 2, "y"), line(a, 3, "z")]).await.unwrap();
        store.replace_snapshot(a, snapshot(2, &["xy"])).await.unwrap();
        for (id, through) in [(a, 4), (a, 1), (a, 0), (RoomId(99), 0), (RoomId(99), 1)] {
            assert_refused(&store.replace_snapshot(id, snapshot(through, &["?"])).await);
        }
        let empty = room(&*store, "empty").await.id;
        assert_refused(&store.replace_snapshot(empty, snapshot(0, &[])).await);
        let opened = room(&*store, "a").await;
        assert_eq!(opened.stored.snapshot, Some(snapshot(2, &["xy"])));
        assert_eq!(tail(&opened), [(3, "z")]);
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_may_be_handed_in_again_and_be_of_no_pieces() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let a = room(&*store, "a").await.id;
        store.append(&[line(a, 1, "x"), line(a, 2, "y")]).await.unwrap();
        for pieces in [&["x", "y"][..], &["x", "y"], &["xy"], &[]] {
            store.replace_snapshot(a, snapshot(2, pieces)).await.unwrap();
            let opened = room(&*store, "a").await;
            assert_eq!(opened.stored.snapshot, Some(snapshot(2, pieces)));
            assert_eq!(tail(&opened), []);
        }
        store.append(&[line(a, 3, "z")]).await.unwrap();
        store.append(&[line(a, 3, "z")]).await.unwrap();
        assert_eq!(tail(&room(&*store, "a").await), [(3, "z")]);
    })
    .await;
}

#[tokio::test]
async fn a_line_that_is_folded_already_changes_nothing_when_it_comes_again() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let a = room(&*store, "a").await.id;
        store.append(&[line(a, 1, "x"), line(a, 2, "y")]).await.unwrap();
        store.replace_snapshot(a, snapshot(2, &["xy"])).await.unwrap();
        let _skipped_or_refused = store.append(&[line(a, 2, "y")]).await;
        assert_refused(&store.append(&[line(a, 2, "other")]).await);
        let opened = room(&*store, "a").await;
        assert_eq!(opened.stored.snapshot, Some(snapshot(2, &["xy"])));
        assert_eq!(tail(&opened), []);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_room_leaves_a_tombstone_and_the_next_one_knows_all_of_them() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let other = room(&*store, "other").await.id;
        store.append(&[line(other, 1, "stays")]).await.unwrap();
        drop(store);
        let mut tombstones: Vec<Tombstone> = Vec::new();
        let mut ids = vec![other];
        for n in 1..=3 {
            let (lineage, state_vector) = (Lineage([n; 16]), Bytes::from(vec![n; 5]));
            let store = place.open().await;
            let opened = store.open_or_create(&name("a"), lineage).await.unwrap();
            assert_eq!(opened.stored.lineage, lineage);
            assert_eq!(opened.stored.tombstones, tombstones);
            assert_eq!((&opened.stored.snapshot, tail(&opened)), (&None, vec![]));
            assert!(!ids.contains(&opened.id), "a number is never given again");
            ids.push(opened.id);
            let lines = [line(opened.id, 1, "x"), line(opened.id, 2, "y"), line(opened.id, 3, "z")];
            store.append(&lines).await.unwrap();
            store.replace_snapshot(opened.id, snapshot(2, &["xy"])).await.unwrap();
            store.delete(opened.id, state_vector.clone()).await.unwrap();
            // The answer may have been lost.
            store.delete(opened.id, state_vector.clone()).await.unwrap();
            assert_refused(&store.append(&lines).await);
            assert_refused(&store.append(&[line(opened.id, 4, "late")]).await);
            assert_refused(&store.replace_snapshot(opened.id, snapshot(3, &["late"])).await);
            tombstones.push(Tombstone { lineage, state_vector });
        }
        let store = place.open().await;
        assert_refused(&store.delete(RoomId(99), Bytes::new()).await);
        // A late repetition does nothing to the room that has the name now.
        let last = store.open_or_create(&name("a"), Lineage([4; 16])).await.unwrap();
        for id in ids.iter().skip(1) {
            store.delete(*id, Bytes::new()).await.unwrap();
        }
        assert_eq!(store.open_or_create(&name("a"), Lineage([5; 16])).await.unwrap(), last);
        assert_eq!(last.stored.tombstones, tombstones);
        assert_eq!(room(&*store, "other").await.stored.tombstones, []);
        assert_eq!(tail(&room(&*store, "other").await), [(1, "stays")]);
    })
    .await;
}

#[tokio::test]
async fn a_sweep_drops_what_is_folded_and_old_and_nothing_else() {
    // Longer than what is young is looked at, on a busy machine.
    const KEPT: Duration = Duration::from_secs(2);
    for place in Place::all(KEPT) {
        let store = place.open().await;
        let (a, b) = (room(&*store, "a").await.id, room(&*store, "b").await.id);
        // More than one step may take.
        let old: Vec<_> = (1..=2_500).map(|sequence| line(a, sequence, "u")).collect();
        store.append(&old).await.unwrap();
        store.append(&[line(b, 1, "never folded")]).await.unwrap();
        store.replace_snapshot(a, snapshot(2_400, &["u"])).await.unwrap();
        tokio::time::sleep(KEPT + Duration::from_millis(50)).await;
        store.append(&[line(a, 2_501, "young")]).await.unwrap();
        assert_eq!(store.sweep().await, Ok(2_400));
        store.replace_snapshot(a, snapshot(2_501, &["u"])).await.unwrap();
        assert_eq!(store.sweep().await, Ok(100));
        assert_eq!(store.sweep().await, Ok(0));
        let opened = room(&*store, "a").await;
        assert_eq!(opened.stored.snapshot, Some(snapshot(2_501, &["u"])));
        assert_eq!(tail(&opened), []);
        assert_eq!(tail(&room(&*store, "b").await), [(1, "never folded")]);
        store.append(&[line(a, 2_502, "on")]).await.unwrap();
        tokio::time::sleep(KEPT + Duration::from_millis(50)).await;
        assert_eq!(store.sweep().await, Ok(1));
        assert_eq!(tail(&room(&*store, "a").await), [(2_502, "on")]);
        store.append(&[line(a, 2_503, "and on")]).await.unwrap();
        // A room may be deleted while lines are kept.
        store.replace_snapshot(a, snapshot(2_502, &["u"])).await.unwrap();
        store.delete(a, Bytes::new()).await.unwrap();
        assert_eq!(store.sweep().await, Ok(0));
    }
}

#[tokio::test]
async fn many_openings_at_once_agree() {
    for_each_store(|place| async move {
        let store = place.open().await;
        let openings = (0..100u8).map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store.open_or_create(&name("a"), Lineage([n; 16])).await.unwrap()
            })
        });
        let mut opened = Vec::new();
        for opening in openings.collect::<Vec<_>>() {
            opened.push(opening.await.unwrap());
        }
        opened.dedup();
        assert_eq!(opened.len(), 1);
    })
    .await;
}
