//! One room in the device's store: how this session's records and the rows of all tabs relate.
//!
//! Every tab only adds rows under a name of its own, and deletes a row only together with adding
//! a snapshot that contains it. So the rows of a room together always hold everything that any
//! tab ever wrote there, no matter how tabs interleave, and a load reads them all.

use bytes::Bytes;
use coweave_core::client::{Meta, Record, StoredCopy, Write};
use coweave_core::error::{Code, Error};
use coweave_core::ids::Lineage;

/// Snapshots lie before all records.
const SNAPSHOT_ORDER: u64 = 0;

/// The name of a row within its room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    /// 0 for a snapshot; a record is above all records that its writer had loaded or written.
    pub(crate) order: u64,
    /// Which opened room of which tab wrote it.
    pub(crate) writer: String,
}

/// A record or snapshot as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: RowKey,
    pub(crate) update: Bytes,
}

/// One step of a transaction on the device's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Add a row.
    Put(Row),
    /// Delete a row, when it is still there.
    Delete(RowKey),
    /// Mark a row as not known to be durable on the relay.
    MarkPending(RowKey),
    /// Take the mark away.
    ClearPending(RowKey),
    /// Say where the rows stand in the relay's log; there is one such place per lineage.
    PutMeta(Meta),
    /// Say it of this history no more.
    DeleteMeta(Lineage),
}

/// All that the device has of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// By key.
    pub(crate) rows: Vec<Row>,
    pub(crate) pending: Vec<RowKey>,
    pub(crate) metas: Vec<Meta>,
    pub(crate) mark: Mark,
    /// What cannot be read.
    pub(crate) damage: Vec<String>,
}

/// Which rows the rows of a room are. It is drawn with the first of them, and another one when they
/// make room for those of another document: so whoever knows rows that are gone learns of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// `None` while there are no rows, or none since the time before marks.
    pub(crate) name: Option<String>,
    /// The mark of the rows that were set aside to make room for these; empty when they had none.
    pub(crate) before: Option<String>,
}

/// Stands before a write: rows are added to those that the session knows, and to no others.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    known: Option<String>,
    /// For rows without a mark.
    new: String,
}

impl Fence {
    /// The mark of the rows after a write to rows with this mark.
    ///
    /// # Errors
    /// Says what happened to the rows that the session knows.
    pub(crate) fn pass<'a>(&'a self, mark: &'a Mark) -> Result<&'a str, &'static str> {
        let is_known = match &self.known {
            Some(_) => self.known == mark.name,
            // Whatever was begun since then was not begun in the place of something else.
            None => mark.before.is_none(),
        };
        match &mark.name {
            _ if !is_known => Err("what was kept here was taken away"),
            Some(name) => Ok(name),
            None => Ok(&self.new),
        }
    }
}

/// Which row is which record of this session.
#[derive(Debug)]
pub(crate) struct DeviceLog {
    writer: String,
    mark: Option<String>,
    /// The history of the rows, when it is known.
    lineage: Option<Lineage>,
    order_base: u64,
    /// Rows that this session knows to exist, by rising index.
    records: Vec<KnownRow>,
    /// With the indexes that the session read them under, like records; it wrote the others.
    snapshots: Vec<(Option<u64>, RowKey)>,
    folds: u64,
    /// Pending rows of others that this session was told of.
    found: Vec<Row>,
}

#[derive(Debug)]
struct KnownRow {
    /// The index of the record.
    index: u64,
    key: RowKey,
    is_pending: bool,
}

impl DeviceLog {
    /// Takes what the device has; `writer` is a name that nobody else uses. The copy is
    /// `room.lineage_mismatch` when the rows belong to two histories, which must not be mixed.
    pub(crate) fn open(writer: String, stored: Rows) -> (Self, Result<StoredCopy, Error>) {
        let is_mixed = stored.metas.len() > 1;
        let order_base = stored.rows.iter().map(|row| row.key.order).max().unwrap_or(0);
        let (mark, records, snapshots) = (stored.mark.name, Vec::new(), Vec::new());
        let meta = stored.metas.first().copied();
        let lineage = meta.map(|meta| meta.lineage);
        let (folds, found) = (0, Vec::new());
        let mut log = Self { writer, mark, lineage, order_base, records, snapshots, folds, found };
        let damage = stored.damage.first().map(|first| {
            let count = stored.damage.len();
            let text = format!(
                "{count} rows of this device's copy cannot be read, and are left as they are: {first}"
            );
            Error::new(Code::DeviceUnavailable, text)
        });
        let mut copy = StoredCopy { meta, snapshot: None, records: Vec::new(), damage };
        for (index, row) in (1..).zip(stored.rows) {
            if row.key.order == SNAPSHOT_ORDER {
                if copy.snapshot.is_none() {
                    log.snapshots.push((Some(0), row.key));
                    copy.snapshot = Some(row.update);
                    continue;
                }
                log.snapshots.push((Some(index), row.key.clone()));
            }
            let is_pending = stored.pending.contains(&row.key);
            copy.records.push(Record { index, is_pending, update: row.update });
            log.records.push(KnownRow { index, key: row.key, is_pending });
        }
        if is_mixed {
            let text = "this device holds two histories of the room, which cannot be merged";
            return (log, Err(Error::new(Code::RoomLineageMismatch, text)));
        }
        (log, Ok(copy))
    }

    /// What has to be true of the stored rows when something is written.
    pub(crate) fn fence(&self) -> Fence {
        Fence { known: self.mark.clone(), new: self.writer.clone() }
    }

    /// The rows whose content this session has read, or written.
    pub(crate) fn keys(&self) -> Vec<RowKey> {
        let snapshots = self.snapshots.iter().map(|(_, key)| key);
        snapshots.chain(self.records.iter().map(|row| &row.key)).cloned().collect()
    }

    /// Notes the mark of the rows after a write.
    pub(crate) fn set_mark(&mut self, mark: String) {
        self.mark = Some(mark);
    }

    /// Whether the rows that this session knew were set aside, and the present ones may be of another
    /// history than a document of this one.
    pub(crate) fn was_set_aside(&self, stored: &Rows, lineage: Option<Lineage>) -> bool {
        let was_set_aside = stored.mark.name != self.mark && stored.mark.before.is_some();
        was_set_aside && !stored.metas.iter().any(|meta| Some(meta.lineage) == lineage)
    }

    /// What is pending in rows that this session does not know, unless they are those of another
    /// document. Who writes the same as pending means them.
    pub(crate) fn find(&mut self, stored: Rows) -> Vec<Bytes> {
        let known = self.keys();
        let is_same = self.fence().pass(&stored.mark).is_ok();
        let is_found =
            |row: &Row| is_same && stored.pending.contains(&row.key) && !known.contains(&row.key);
        self.found = stored.rows.into_iter().filter(is_found).collect();
        self.found.iter().map(|row| row.update.clone()).collect()
    }

    /// The steps of one write.
    pub(crate) fn operations(&mut self, writes: &[Write]) -> Vec<Operation> {
        let mut operations = Vec::new();
        for write in writes {
            match write {
                Write::Append(record) => self.append(record, &mut operations),
                Write::Settle { indexes } => self.settle(indexes, &mut operations),
                Write::SetMeta(meta) => {
                    let before = self.lineage.replace(meta.lineage);
                    // A document without anything in it may go over to another history.
                    let before = before.filter(|before| *before != meta.lineage);
                    operations.extend(before.map(Operation::DeleteMeta));
                    operations.push(Operation::PutMeta(*meta));
                }
                Write::Fold { through, except, snapshot } => {
                    self.fold(*through, except, snapshot, &mut operations);
                }
                // A newer core may want more; this shell is always built with its own.
                _ => {}
            }
        }
        operations
    }

    fn append(&mut self, record: &Record, operations: &mut Vec<Operation>) {
        let Record { index, is_pending, ref update } = *record;
        let found = self.found.iter().position(|row| is_pending && row.update == *update);
        if let Some(at) = found {
            let Row { key, .. } = self.found.swap_remove(at);
            return self.records.push(KnownRow { index, key, is_pending });
        }
        let order = self.order_base + index;
        // The last write of a room repeats the one under way: the same rows, under the same keys.
        let key = RowKey { order, writer: self.writer.clone() };
        operations.push(Operation::Put(Row { key: key.clone(), update: update.clone() }));
        if is_pending {
            operations.push(Operation::MarkPending(key.clone()));
        }
        self.records.push(KnownRow { index, key, is_pending });
    }

    fn settle(&mut self, indexes: &[u64], operations: &mut Vec<Operation>) {
        for index in indexes {
            let at = self.records.binary_search_by_key(index, |row| row.index);
            if let Some(row) = at.ok().and_then(|at| self.records.get_mut(at)) {
                row.is_pending = false;
                operations.push(Operation::ClearPending(row.key.clone()));
            }
        }
    }

    fn fold(
        &mut self,
        through: u64,
        except: &[u64],
        snapshot: &Bytes,
        operations: &mut Vec<Operation>,
    ) {
        self.folds += 1;
        let writer = format!("{}.{}", self.writer, self.folds);
        let key = RowKey { order: SNAPSHOT_ORDER, writer };
        operations.push(Operation::Put(Row { key: key.clone(), update: snapshot.clone() }));
        // What stays because it cannot be used is not touched by later folds, either.
        let older = std::mem::replace(&mut self.snapshots, vec![(None, key)]).into_iter();
        let older = older.filter(|(index, _)| index.is_none_or(|index| !except.contains(&index)));
        operations.extend(older.map(|(_, key)| Operation::Delete(key)));
        self.records.retain(|row| {
            let stays = row.index > through || row.is_pending || except.contains(&row.index);
            if !stays && row.key.order != SNAPSHOT_ORDER {
                operations.push(Operation::Delete(row.key.clone()));
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use coweave_core::ids::{Epoch, Sequence};
    use coweave_core::random::Random;
    use coweave_core::wire::v1::Role;

    use super::*;

    /// The device's store in memory.
    #[derive(Default)]
    struct Store {
        rows: BTreeMap<RowKey, Bytes>,
        pending: BTreeSet<RowKey>,
        metas: BTreeMap<[u8; 16], Meta>,
    }

    impl Store {
        fn open(&self, writer: &str) -> (DeviceLog, StoredCopy) {
            let rows = self.rows.iter();
            let rows = Rows {
                rows: rows.map(|(key, u)| Row { key: key.clone(), update: u.clone() }).collect(),
                pending: self.pending.iter().cloned().collect(),
                metas: self.metas.values().copied().collect(),
                ..Rows::default()
            };
            let (log, copy) = DeviceLog::open(writer.to_owned(), rows);
            (log, copy.unwrap())
        }

        fn write(&mut self, log: &mut DeviceLog, writes: &[Write]) {
            for operation in log.operations(writes) {
                match operation {
                    Operation::Put(row) => drop(self.rows.insert(row.key, row.update)),
                    Operation::Delete(key) => drop(self.rows.remove(&key)),
                    Operation::MarkPending(key) => drop(self.pending.insert(key)),
                    Operation::ClearPending(key) => drop(self.pending.remove(&key)),
                    Operation::PutMeta(meta) => drop(self.metas.insert(meta.lineage.0, meta)),
                    Operation::DeleteMeta(lineage) => drop(self.metas.remove(&lineage.0)),
                }
            }
        }

        /// What a load brings, as words in order; a pending one has a `*`.
        fn content(&self) -> String {
            let (_, copy) = self.open("reader");
            let word = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
            let snapshot = copy.snapshot.iter().map(|s| format!("[{}]", word(s)));
            let records = copy.records.iter().map(|record| {
                format!("{}{}", word(&record.update), if record.is_pending { "*" } else { "" })
            });
            snapshot.chain(records).collect::<Vec<_>>().join(" ")
        }
    }

    fn append(index: u64, update: &'static str, is_pending: bool) -> Write {
        Write::Append(Record { index, is_pending, update: Bytes::from_static(update.as_bytes()) })
    }

    fn fold(through: u64, snapshot: &'static str) -> Write {
        fold_except(through, &[], snapshot)
    }

    fn fold_except(through: u64, except: &[u64], snapshot: &'static str) -> Write {
        let snapshot = Bytes::from_static(snapshot.as_bytes());
        Write::Fold { through, except: except.to_vec(), snapshot }
    }

    fn meta(lineage: u8) -> Meta {
        Meta {
            lineage: Lineage([lineage; 16]),
            epoch: Epoch(1),
            sequence: Sequence(7),
            role: Role::Editor,
        }
    }

    #[test]
    fn a_later_session_finds_what_was_written_in_order() {
        let mut store = Store::default();
        let (mut log, copy) = store.open("a");
        assert_eq!(copy, StoredCopy::default());
        store.write(&mut log, &[append(1, "one", false), append(2, "two", true)]);
        let (mut log, copy) = store.open("b");
        assert_eq!(copy.records.len(), 2);
        store.write(&mut log, &[append(3, "three", true), Write::SetMeta(meta(1))]);
        assert_eq!(store.content(), "one two* three*");
        assert_eq!(store.open("c").1.meta, Some(meta(1)));
    }

    #[test]
    fn edits_of_a_dead_session_are_pending_until_another_one_settles_them() {
        let mut store = Store::default();
        let (mut dead, _) = store.open("a");
        store.write(&mut dead, &[append(1, "one", true), append(2, "two", true)]);
        let (mut log, _) = store.open("b");
        store.write(&mut log, &[Write::Settle { indexes: vec![1] }]);
        assert_eq!(store.content(), "one two*");
    }

    #[test]
    fn a_fold_keeps_pending_records_and_replaces_older_snapshots() {
        let mut store = Store::default();
        let (mut log, _) = store.open("a");
        store.write(
            &mut log,
            &[append(1, "one", false), append(2, "two", true), fold(2, "one two")],
        );
        assert_eq!(store.content(), "[one two] two*");
        let (mut log, _) = store.open("b");
        store.write(&mut log, &[Write::Settle { indexes: vec![2] }, append(3, "three", false)]);
        store.write(&mut log, &[fold(3, "one two three")]);
        assert_eq!(store.content(), "[one two three]");
    }

    #[test]
    fn what_cannot_be_used_outlives_every_fold() {
        let mut store = Store::default();
        let (mut log, _) = store.open("a");
        store.write(&mut log, &[append(1, "one", false), fold(1, "broken")]);
        store.write(&mut log, &[append(2, "unusable", false), append(3, "three", false)]);
        // The snapshot is the first one, and known as 0.
        let (mut log, copy) = store.open("b");
        assert_eq!(copy.records[0].index, 2);
        store.write(&mut log, &[append(4, "four", false), fold_except(4, &[0, 2], "three four")]);
        assert_eq!(store.content(), "[broken] three four unusable");
        store.write(&mut log, &[append(5, "five", false), fold_except(5, &[0, 2], "all")]);
        assert_eq!(store.content(), "[broken] all unusable");
    }

    #[test]
    fn a_write_that_is_repeated_with_the_next_one_adds_nothing_twice() {
        let mut store = Store::default();
        let (mut log, _) = store.open("a");
        let first = [append(1, "one", true), append(2, "two", true)];
        let settled = Write::Settle { indexes: vec![1, 2] };
        let next = [&first[..], &[append(3, "three", true), settled]].concat();
        // Whether the first one was done or not.
        log.operations(&first);
        store.write(&mut log, &next);
        assert_eq!(store.content(), "one two three*");
        store.write(&mut log, &next);
        assert_eq!(store.content(), "one two three*");
    }

    #[test]
    fn two_tabs_never_delete_what_only_the_other_one_has() {
        let mut store = Store::default();
        let (mut first, _) = store.open("a");
        store.write(&mut first, &[append(1, "one", false)]);
        let (mut second, _) = store.open("b");
        store.write(&mut second, &[append(2, "b-two", true)]);
        store.write(&mut first, &[append(2, "a-two", false), fold(2, "one a-two")]);
        assert_eq!(store.content(), "[one a-two] b-two*");
        store.write(&mut second, &[append(3, "b-three", false), fold(3, "one b-two b-three")]);
        assert_eq!(store.content(), "[one a-two] one b-two b-three b-two*");
        store.write(&mut first, &[append(3, "a-three", true)]);
        // The next session knows both snapshots, and can put one in their place.
        let (mut third, copy) = store.open("c");
        let indexes: Vec<u64> = copy.records.iter().map(|record| record.index).collect();
        store.write(&mut third, &[Write::Settle { indexes }, fold(9, "all")]);
        assert_eq!(store.content(), "[all]");
    }

    #[test]
    fn a_log_knows_what_it_read_and_wrote_and_nothing_else() {
        let mut store = Store::default();
        let (mut first, _) = store.open("a");
        store.write(&mut first, &[append(1, "one", false), append(2, "two", true)]);
        let (mut log, _) = store.open("b");
        store.write(&mut log, &[append(3, "three", true), fold(3, "one three")]);
        store.write(&mut first, &[append(3, "unseen", true)]);
        let known = log.keys();
        let unknown = store.rows.iter().filter(|(key, _)| !known.contains(key));
        let unknown: Vec<_> = unknown.map(|(_, update)| update.as_ref()).collect();
        assert_eq!(unknown, [b"unseen"]);
    }

    #[test]
    fn nothing_is_added_to_rows_that_took_the_place_of_those_known() {
        let mark = |name: Option<&str>, before: Option<&str>| Mark {
            name: name.map(str::to_owned),
            before: before.map(str::to_owned),
        };
        let log = |name: Option<&str>| {
            let rows = Rows { mark: mark(name, None), ..Rows::default() };
            DeviceLog::open("writer".to_owned(), rows).0
        };
        let pass = |known, mark| log(known).fence().pass(&mark).map(str::to_owned);
        assert_eq!(pass(None, mark(None, None)), Ok("writer".to_owned()));
        assert_eq!(pass(None, mark(Some("other tab"), None)), Ok("other tab".to_owned()));
        assert_eq!(pass(Some("a"), mark(Some("a"), None)), Ok("a".to_owned()));
        assert_eq!(pass(Some("b"), mark(Some("b"), Some("a"))), Ok("b".to_owned()));
        assert!(pass(Some("a"), mark(Some("b"), None)).is_err());
        assert!(pass(Some("a"), mark(None, None)).is_err());
        for before in ["", "a"] {
            assert!(pass(None, mark(Some("b"), Some(before))).is_err(), "begun anew since");
        }
        let rows = |before| Rows { mark: mark(Some("b"), before), ..Rows::default() };
        let was_set_aside = |log: DeviceLog, rows: Rows| log.was_set_aside(&rows, None);
        assert!(was_set_aside(log(Some("a")), rows(Some("a"))));
        assert!(was_set_aside(log(Some("a")), rows(Some("another one since"))));
        assert!(!was_set_aside(log(Some("b")), rows(Some("a"))));
        assert!(was_set_aside(log(None), rows(Some(""))));
        assert!(!was_set_aside(log(None), rows(None)));
        assert!(!was_set_aside(log(None), Rows::default()));
    }

    #[test]
    fn rows_that_were_set_aside_for_others_of_the_same_history_can_be_read() {
        let (mut log, _) = Store::default().open("a");
        log.set_mark("a".to_owned());
        let mark = Mark { name: Some("b".to_owned()), before: Some("a".to_owned()) };
        let rows = Rows { mark, metas: vec![meta(1)], ..Rows::default() };
        assert!(!log.was_set_aside(&rows, Some(meta(1).lineage)));
        assert!(log.was_set_aside(&rows, Some(meta(2).lineage)));
        assert!(log.was_set_aside(&rows, None));
    }

    #[test]
    fn what_is_found_in_rows_of_others_is_settled_there() {
        let mut store = Store::default();
        let (mut log, _) = store.open("a");
        store.write(&mut log, &[append(1, "own", true)]);
        let (mut dead, _) = store.open("b");
        store.write(&mut dead, &[append(3, "theirs", false), append(4, "last words", true)]);
        let rows = || Rows {
            rows: store
                .rows
                .iter()
                .map(|(key, u)| Row { key: key.clone(), update: u.clone() })
                .collect(),
            pending: store.pending.iter().cloned().collect(),
            ..Rows::default()
        };
        let mark = Mark { name: Some("c".to_owned()), before: Some("a".to_owned()) };
        assert!(log.find(Rows { mark, ..rows() }).is_empty(), "they are of another document");
        assert_eq!(log.find(rows()), ["last words"]);
        store.write(&mut log, &[append(2, "last words", false), append(3, "last words", true)]);
        store.write(&mut log, &[Write::Settle { indexes: vec![3] }]);
        assert_eq!(store.content(), "own* last words theirs last words");
    }

    #[test]
    fn a_document_that_goes_over_to_another_history_has_one() {
        let mut store = Store::default();
        let (mut log, _) = store.open("a");
        store.write(&mut log, &[Write::SetMeta(meta(1))]);
        store.write(&mut log, &[Write::SetMeta(meta(2)), append(1, "one", false)]);
        let (mut log, copy) = store.open("b");
        assert_eq!(copy.meta, Some(meta(2)));
        store.write(&mut log, &[Write::SetMeta(meta(3))]);
        assert_eq!(store.open("c").1.meta, Some(meta(3)));
    }

    #[test]
    fn two_histories_are_refused() {
        let mut store = Store::default();
        let [(mut first, _), (mut second, _)] = [store.open("a"), store.open("b")];
        store.write(&mut first, &[Write::SetMeta(meta(1))]);
        store.write(&mut second, &[Write::SetMeta(meta(2))]);
        let metas = store.metas.values().copied().collect();
        let (_, copy) = DeviceLog::open("b".to_owned(), Rows { metas, ..Rows::default() });
        assert_eq!(copy.unwrap_err().code, Code::RoomLineageMismatch);
    }

    /// A tab with its log and all that it knows to be in the room.
    struct Tab {
        log: DeviceLog,
        known: BTreeSet<String>,
        next_index: u64,
        pending: BTreeMap<u64, String>,
    }

    impl Tab {
        fn open(store: &Store, writer: &str) -> Self {
            let (log, copy) = store.open(writer);
            let mut known = words_of(copy.snapshot.iter());
            known.extend(words_of(copy.records.iter().map(|record| &record.update)));
            let next_index = copy.records.iter().map(|record| record.index).max().unwrap_or(0) + 1;
            let pending = copy.records.into_iter().filter(|record| record.is_pending);
            let word = |update: Bytes| String::from_utf8(update.to_vec()).unwrap();
            let pending = pending.map(|record| (record.index, word(record.update))).collect();
            Self { log, known, next_index, pending }
        }
    }

    fn words_of<'a>(updates: impl Iterator<Item = &'a Bytes>) -> BTreeSet<String> {
        let text = |update: &Bytes| String::from_utf8(update.to_vec()).unwrap();
        let texts: Vec<_> = updates.map(text).collect();
        texts.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect()
    }

    /// Three tabs write, settle and fold at the same time, on a store that may fail at any write: with
    /// or without having done it.
    fn run_with_faults(seed: u64) {
        let mut random = Random::from_seed(seed);
        let mut store = Store::default();
        let mut opened = 0..;
        let mut open = |store: &Store| Tab::open(store, &opened.next().unwrap().to_string());
        let mut tabs: Vec<Tab> = (0..3).map(|_| open(&store)).collect();
        let (mut written, mut settled) = (BTreeSet::new(), BTreeSet::new());
        for step in 0..60 {
            let tab = &mut tabs[usize::try_from(random.below(3)).unwrap()];
            let (mut writes, mut added, mut done) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..random.below(3) {
                let (word, is_pending) = (format!("{step}.{}", added.len()), random.chance(60));
                let index = tab.next_index;
                tab.next_index += 1;
                tab.known.insert(word.clone());
                if is_pending {
                    tab.pending.insert(index, word.clone());
                }
                writes.push(Write::Append(Record {
                    index,
                    is_pending,
                    update: word.clone().into(),
                }));
                added.push((word, is_pending));
            }
            if random.chance(30) {
                let indexes: Vec<u64> = tab.pending.keys().copied().collect();
                done.extend(std::mem::take(&mut tab.pending).into_values());
                writes.push(Write::Settle { indexes });
            }
            if random.chance(20) {
                let known: Vec<_> = tab.known.iter().cloned().collect();
                let (through, snapshot) = (tab.next_index - 1, known.join(" ").into());
                writes.push(Write::Fold { through, except: Vec::new(), snapshot });
            }
            let (is_done, is_told) = (random.chance(80), random.chance(80));
            if is_done {
                store.write(&mut tab.log, &writes);
                // Who is not told may bring it to the relay again, which does no harm.
                settled.extend(done);
            }
            if is_done && is_told {
                written.extend(added);
            } else {
                *tab = open(&store);
            }
            let (_, copy) = store.open("reader");
            let mut found = words_of(copy.snapshot.iter());
            found.extend(words_of(copy.records.iter().map(|record| &record.update)));
            let is_waiting = |record: &&Record| record.is_pending;
            let waiting = words_of(copy.records.iter().filter(is_waiting).map(|it| &it.update));
            for (word, is_pending) in &written {
                assert!(found.contains(word), "seed {seed}, step {step}: {word} was written");
                let is_due = *is_pending && !settled.contains(word);
                assert!(!is_due || waiting.contains(word), "seed {seed}, step {step}: {word}");
            }
        }
    }

    #[test]
    fn whatever_write_fails_what_was_written_is_in_the_next_load() {
        for seed in 0..100 {
            run_with_faults(seed);
        }
    }
}
