//! The promises of [`Store`], each run against every implementation.

use std::sync::Arc;

use bytes::Bytes;
use coweave_core::ids::{Lineage, RoomName, Sequence};
use tempfile::TempDir;

use super::memory::MemoryStore;
use super::sqlite::SqliteStore;
use super::{LogLine, OpenedRoom, RoomId, Store, StoreError};

/// Where a store survives being dropped.
enum Place {
    Memory(Arc<MemoryStore>),
    Folder(TempDir),
}

impl Place {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::<MemoryStore>::clone(store),
            Self::Folder(folder) => Arc::new(SqliteStore::open(folder.path()).await.unwrap()),
        }
    }
}

async fn for_each_store<F: Future<Output = ()>>(check: impl Fn(Place) -> F) {
    check(Place::Memory(Arc::default())).await;
    check(Place::Folder(TempDir::new().unwrap())).await;
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
    let place = Place::Folder(TempDir::new().unwrap());
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
            let refused = store.append(&batch).await;
            assert!(matches!(refused, Err(StoreError::OutOfOrder(_))), "{refused:?}");
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
        store.replace_snapshot(a, Sequence(2), Bytes::from_static(b"xy")).await.unwrap();
        let check = async |store: &dyn Store| {
            let opened = room(store, "a").await;
            assert_eq!(opened.stored.snapshot, Some((Sequence(2), Bytes::from_static(b"xy"))));
            assert_eq!(tail(&opened), [(3, "z")]);
            assert_eq!(tail(&room(store, "b").await), [(1, "other room")]);
        };
        check(&*store).await;
        drop(store);
        let store = place.open().await;
        check(&*store).await;
        store.replace_snapshot(a, Sequence(3), Bytes::from_static(b"xyz")).await.unwrap();
        assert_eq!(tail(&room(&*store, "a").await), []);
        let gap = store.append(&[line(a, 5, "gap")]).await;
        assert!(matches!(gap, Err(StoreError::OutOfOrder(_))), "{gap:?}");
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
        store.replace_snapshot(a, Sequence(2), Bytes::from_static(b"xy")).await.unwrap();
        for (id, through) in [(a, 4), (a, 1), (RoomId(99), 0)] {
            let refused = store.replace_snapshot(id, Sequence(through), Bytes::new()).await;
            assert!(matches!(refused, Err(StoreError::OutOfOrder(_))), "{refused:?}");
        }
        let opened = room(&*store, "a").await;
        assert_eq!(opened.stored.snapshot, Some((Sequence(2), Bytes::from_static(b"xy"))));
    })
    .await;
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
