//! The embedded store: one SQLite file, one writer, flushed before a write is answered.
//!
//! A lock file beside the database keeps a second relay out, while tools of SQLite may still read
//! it or back it up. The order of every log is guarded by a trigger, below all code of the relay.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use coweave_core::ids::{Epoch, Lineage, RoomName, Sequence};
use coweave_core::room::StoredRoom;
use futures_util::future::BoxFuture;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::sync::Mutex;

use super::{LogLine, OpenError, OpenedRoom, RoomId, Store, StoreError};

const DATABASE_FILE: &str = "coweave.sqlite3";
const LOCK_FILE: &str = "coweave.lock";
/// "Cowv": tells `file` and this code whose database it is.
const APPLICATION_ID: i64 = 0x436f_7776;
const SCHEMA_VERSION: i64 = 1;
/// How long to wait for a lock that a tool of SQLite may hold.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Loads run beside the writer, at most this many at once.
const READERS_MAX: u32 = 4;
/// Rows of one `INSERT`; with its powers of two there are only few statements to prepare.
const ROWS_PER_INSERT_MAX: usize = 128;

const SCHEMA: &str = "
CREATE TABLE rooms (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    lineage BLOB NOT NULL CHECK (length(lineage) = 16)
) STRICT;
-- One row: the epoch of all sequences, and whether the last relay that used it has not closed it.
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
";

/// Rooms in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    options: SqliteConnectOptions,
    /// The epoch of every room's sequences.
    epoch: Epoch,
    /// `None` when the store is closed.
    writer: Mutex<Option<Writer>>,
    readers: SqlitePool,
}

#[derive(Debug)]
struct Writer {
    /// `None` after a failure: the next call starts with a connection whose state is known.
    connection: Option<SqliteConnection>,
    /// Goes with the writer, and is freed by the system when the process dies.
    _lock: File,
}

impl SqliteStore {
    /// Opens the store in a folder, and creates both when they do not exist.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(folder: &Path) -> Result<Self, OpenError> {
        let lock = lock_folder(folder)?;
        let path = folder.join(DATABASE_FILE);
        let failed = |e: sqlx::Error| open_error(&path, &e);
        let existing = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let mut connection =
            SqliteConnection::connect_with(&existing.clone().create_if_missing(true))
                .await
                .map_err(failed)?;
        // Nothing is written, not even the journal mode, before the file is known to be ours.
        let is_new = is_new_database(&mut connection, &path).await?;
        connection.close().await.map_err(failed)?;

        let options =
            existing.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let mut writer = SqliteConnection::connect_with(&options).await.map_err(failed)?;
        let epoch = prepare(&mut writer, is_new).await.map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().read_only(true));
        let writer = Writer { connection: Some(writer), _lock: lock };
        Ok(Self { options, epoch, writer: Mutex::new(Some(writer)), readers })
    }

    /// Runs one write transaction to its end, including the flush.
    async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().await;
        let closed = || StoreError::Failed("the store is closed".to_owned());
        let slot = &mut writer.as_mut().ok_or_else(closed)?.connection;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let done = match work(&mut transaction).await {
            Ok(done) => transaction.commit().await.map(|()| done).map_err(StoreError::from),
            Err(error) => match transaction.rollback().await {
                Ok(()) => Err(error),
                Err(rollback) => Err(rollback.into()),
            },
        };
        if !matches!(done, Err(StoreError::Failed(_))) {
            *slot = Some(connection);
        }
        done
    }

    async fn load(&self, name: &RoomName) -> Result<Option<OpenedRoom>, StoreError> {
        let mut reader = self.readers.begin().await?;
        let Some(row) = sqlx::query("SELECT id, lineage FROM rooms WHERE name = ?")
            .bind(name.as_str())
            .fetch_optional(&mut *reader)
            .await?
        else {
            return Ok(None);
        };
        let id: i64 = row.try_get("id")?;
        let lineage: Vec<u8> = row.try_get("lineage")?;
        let lineage = lineage.try_into().map_err(|_wrong_length| {
            StoreError::Damaged("its lineage has a wrong length".into())
        })?;
        let snapshot = sqlx::query("SELECT sequence, bytes FROM snapshots WHERE room = ?")
            .bind(id)
            .fetch_optional(&mut *reader)
            .await?
            .map(|row| entry(&row))
            .transpose()?;
        let rows = sqlx::query("SELECT sequence, bytes FROM log WHERE room = ? ORDER BY sequence")
            .bind(id)
            .fetch_all(&mut *reader)
            .await?;
        let tail = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let mut last = snapshot.as_ref().map_or(Sequence(0), |(through, _)| *through);
        for (sequence, _) in &tail {
            if *sequence != last.next() {
                let detail = format!("its log has {} after {}", sequence.0, last.0);
                return Err(StoreError::Damaged(detail));
            }
            last = *sequence;
        }
        let stored = StoredRoom { lineage: Lineage(lineage), epoch: self.epoch, snapshot, tail };
        Ok(Some(OpenedRoom { id: RoomId(id), stored }))
    }
}

impl Store for SqliteStore {
    fn open_or_create<'a>(
        &'a self,
        name: &'a RoomName,
        lineage: Lineage,
    ) -> BoxFuture<'a, Result<OpenedRoom, StoreError>> {
        Box::pin(async move {
            if let Some(opened) = self.load(name).await? {
                return Ok(opened);
            }
            self.write(async |connection| {
                sqlx::query(
                    "INSERT INTO rooms (name, lineage) VALUES (?, ?) \
                     ON CONFLICT (name) DO NOTHING",
                )
                .bind(name.as_str())
                .bind(lineage.0.as_slice())
                .execute(connection)
                .await?;
                Ok(())
            })
            .await?;
            let absent = || StoreError::Failed("a new room is not there".into());
            self.load(name).await?.ok_or_else(absent)
        })
    }

    fn append<'a>(&'a self, lines: &'a [LogLine]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write(async move |connection| {
            let at = unix_ms();
            let mut rest = lines;
            while !rest.is_empty() {
                let rows = 1 << rest.len().min(ROWS_PER_INSERT_MAX).ilog2();
                let (now, later) = rest.split_at(rows);
                insert(connection, now, at).await?;
                rest = later;
            }
            Ok(())
        }))
    }

    fn replace_snapshot(
        &self,
        room: RoomId,
        through: Sequence,
        snapshot: Bytes,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(async move |connection| {
            let row = sqlx::query(
                "SELECT coalesce((SELECT sequence FROM snapshots WHERE room = ?1), 0) AS least, \
                        (SELECT max(sequence) FROM log WHERE room = ?1) AS last \
                 FROM rooms WHERE id = ?1",
            )
            .bind(room.0)
            .fetch_optional(&mut *connection)
            .await?;
            let through_row = row_number(through)?;
            let fits = match row {
                None => false,
                Some(row) => {
                    let least: i64 = row.try_get("least")?;
                    let last: Option<i64> = row.try_get("last")?;
                    (least..=last.unwrap_or(least)).contains(&through_row)
                }
            };
            if !fits {
                return Err(StoreError::OutOfOrder(format!("a snapshot through {}", through.0)));
            }
            sqlx::query(
                "INSERT INTO snapshots (room, sequence, bytes) VALUES (?, ?, ?) \
                 ON CONFLICT (room) DO UPDATE SET sequence = excluded.sequence, bytes = excluded.bytes",
            )
            .bind(room.0)
            .bind(through_row)
            .bind(snapshot.as_ref())
            .execute(&mut *connection)
            .await?;
            sqlx::query("DELETE FROM log WHERE room = ? AND sequence <= ?")
                .bind(room.0)
                .bind(through_row)
                .execute(connection)
                .await?;
            Ok(())
        }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.readers.close().await;
            // Everything is flushed: the sequences that were told are those in the log.
            let closed = self.write(async |connection| {
                sqlx::query("UPDATE numbering SET is_open = 0").execute(connection).await?;
                Ok(())
            });
            if let Err(error) = closed.await {
                tracing::warn!(%error, "the store was not marked as closed");
            }
            let Some(Writer { connection, _lock }) = self.writer.lock().await.take() else {
                return;
            };
            if let Some(connection) = connection
                && let Err(error) = connection.close().await
            {
                tracing::warn!(%error, "the store did not close cleanly; nothing durable is lost");
            }
        })
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    lines: &[LogLine],
    at: i64,
) -> Result<(), StoreError> {
    let mut sql = String::from("INSERT INTO log (room, sequence, at, bytes) VALUES (?, ?, ?, ?)");
    for _ in 1..lines.len() {
        sql.push_str(", (?, ?, ?, ?)");
    }
    // Only question marks were added: no value becomes part of the statement.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for line in lines {
        let sequence = row_number(line.sequence)?;
        query = query.bind(line.room.0).bind(sequence).bind(at).bind(line.update.as_ref());
    }
    query.execute(connection).await?;
    Ok(())
}

/// Makes the folder, and takes its lock.
fn lock_folder(folder: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Folder { path: folder.to_owned(), source };
    if folder.exists() && !folder.is_dir() {
        return Err(unusable(std::io::Error::from(std::io::ErrorKind::NotADirectory)));
    }
    // What people write is nobody else's business on a shared machine.
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    let path = folder.join(LOCK_FILE);
    let lock =
        File::options().create(true).write(true).truncate(false).open(&path).map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(OpenError::Locked { path: folder.join(DATABASE_FILE) })
        }
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Whether the database is empty; when it is not, it has to be one of ours and not too new.
async fn is_new_database(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<bool, OpenError> {
    let failed = |e: sqlx::Error| open_error(path, &e);
    let row = sqlx::query(
        "SELECT (SELECT application_id FROM pragma_application_id) AS application, \
                (SELECT user_version FROM pragma_user_version) AS version, \
                (SELECT count(*) FROM sqlite_schema) AS objects",
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    let application: i64 = row.try_get("application").map_err(failed)?;
    let version: i64 = row.try_get("version").map_err(failed)?;
    let objects: i64 = row.try_get("objects").map_err(failed)?;
    let path = path.to_owned();
    match (application, objects) {
        (0, 0) => Ok(true),
        (APPLICATION_ID, _) if version > SCHEMA_VERSION => {
            Err(OpenError::NewerSchema { path, found: version, known: SCHEMA_VERSION })
        }
        (APPLICATION_ID, _) => Ok(false),
        _ => Err(OpenError::NotAStore { path, detail: "a database of another application" }),
    }
}

/// Takes the write lock once, so that a file that cannot be written is found at the start, and
/// makes the tables of a new database. The answer is the epoch: a new one unless the last relay
/// closed the store, because a crashed one may have told sequences that are not in the log.
async fn prepare(writer: &mut SqliteConnection, is_new: bool) -> Result<Epoch, sqlx::Error> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    if is_new {
        sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
        for pragma in [
            format!("PRAGMA application_id = {APPLICATION_ID}"),
            format!("PRAGMA user_version = {SCHEMA_VERSION}"),
        ] {
            sqlx::raw_sql(AssertSqlSafe(pragma)).execute(&mut *transaction).await?;
        }
    }
    let fresh = i64::try_from(random_epoch()?.0).unwrap_or(0);
    let row = sqlx::query(
        "INSERT INTO numbering (id, epoch, is_open) VALUES (1, ?1, 1) \
         ON CONFLICT (id) DO UPDATE SET epoch = iif(is_open, ?1, epoch), is_open = 1 \
         RETURNING epoch",
    )
    .bind(fresh)
    .fetch_one(&mut *transaction)
    .await?;
    let epoch: i64 = row.try_get("epoch")?;
    transaction.commit().await?;
    let damaged = |_negative| sqlx::Error::Decode("the epoch is negative".into());
    Ok(Epoch(u64::try_from(epoch).map_err(damaged)?))
}

/// An epoch that no other store and no other crash has: 53 random bits.
fn random_epoch() -> Result<Epoch, sqlx::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| sqlx::Error::Io(std::io::Error::other(error.to_string())))?;
    Ok(Epoch(u64::from_le_bytes(bytes) >> 11))
}

/// The primary result code of SQLite, when it was SQLite that failed.
fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|extended| extended & 0xff)
}

fn open_error(path: &Path, error: &sqlx::Error) -> OpenError {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NOT_A_DATABASE: i32 = 26;

    let path = PathBuf::from(path);
    match sqlite_code(error) {
        Some(BUSY | LOCKED) => OpenError::Locked { path },
        Some(NOT_A_DATABASE) => OpenError::NotAStore { path, detail: "not an SQLite database" },
        _ => OpenError::Failed { path, detail: error.to_string() },
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        const CONSTRAINT: i32 = 19;

        match sqlite_code(&error) {
            Some(CONSTRAINT) => Self::OutOfOrder(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

fn entry(row: &SqliteRow) -> Result<(Sequence, Bytes), StoreError> {
    let bytes: Vec<u8> = row.try_get("bytes")?;
    Ok((Sequence(number(row.try_get("sequence")?)?), bytes.into()))
}

fn number(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_negative| StoreError::Damaged(format!("it counts {stored}")))
}

fn row_number(sequence: Sequence) -> Result<i64, StoreError> {
    let too_large = |_| StoreError::OutOfOrder(format!("a sequence of {}", sequence.0));
    i64::try_from(sequence.0).map_err(too_large)
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
