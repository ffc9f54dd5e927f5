//! The embedded store: one SQLite file, one writer, flushed before a write is answered.
//!
//! A lock file beside the database keeps a second relay out, while tools of SQLite may still read
//! it or back it up. The order of every log is guarded by a trigger, below all code of the relay;
//! its bytes by checksums, because SQLite has none.

mod files;
mod schema;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::ids::{Epoch, Lineage, RoomName, Sequence};
use coweave_core::room::{Snapshot, StoredRoom, Tombstone};
use futures_util::future::BoxFuture;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::sync::Mutex;

use self::files::{Folder, Watched};
use super::{LogLine, OpenError, OpenedRoom, RoomId, Store, StoreError, unix_ms};

/// How long to wait for a lock that a tool of SQLite may hold.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Loads run beside the writer, at most this many at once.
const READERS_MAX: u32 = 4;
/// Rows of one `INSERT`; with its powers of two there are only few statements to prepare.
const ROWS_PER_INSERT_MAX: usize = 128;
/// What one step of a sweep drops at most: the writers of edits wait for it.
const SWEPT_LINES_MAX: i64 = 1_000;
const SWEPT_BYTES_MAX: i64 = 4 << 20;

/// Rooms in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    options: SqliteConnectOptions,
    /// How long lines stay that are in a snapshot.
    keep_log: Duration,
    /// The epoch of every room's sequences.
    epoch: Epoch,
    database: Watched,
    /// `None` when the store is closed.
    writer: Mutex<Option<Writer>>,
    readers: SqlitePool,
}

#[derive(Debug)]
struct Writer {
    /// `None` after a failure: the next call starts with a connection whose state is known.
    connection: Option<SqliteConnection>,
    wal: Watched,
    /// Goes with the writer.
    _lock: File,
}

impl SqliteStore {
    /// Opens the store in a folder, and creates both when they do not exist. Lines of logs that
    /// are in snapshots stay for `keep_log`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(folder: &Path, keep_log: Duration) -> Result<Self, OpenError> {
        let Folder { database: path, wal, lock } = Folder::lock(folder)?;
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
        let version = schema::version(&mut connection, &path).await?;
        connection.close().await.map_err(failed)?;

        let options =
            existing.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let mut writer = SqliteConnection::connect_with(&options).await.map_err(failed)?;
        let epoch = schema::prepare(&mut writer, version).await.map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().read_only(true));
        let database = Watched::new(&path);
        let writer = Writer { connection: Some(writer), wal: Watched::new(&wal), _lock: lock };
        let writer = Mutex::new(Some(writer));
        Ok(Self { options, keep_log, epoch, database, writer, readers })
    }

    /// Runs one write transaction to its end, including the flush.
    async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().await;
        let closed = || StoreError::Failed("the store is closed".to_owned());
        let Writer { connection: slot, wal, .. } = writer.as_mut().ok_or_else(closed)?;
        self.database.check()?;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.reconnect(wal).await?,
        };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let worked = work(&mut transaction).await;
        // As late as can be: what is flushed now is told to people.
        let in_place = self.database.check().and_then(|()| wal.check());
        let (done, is_sound) = match (worked, in_place) {
            (Ok(done), Ok(())) => {
                let committed = transaction.commit().await;
                let is_sound = committed.is_ok();
                (committed.map(|()| done).map_err(StoreError::from), is_sound)
            }
            // What was committed to a file that is gone is not lost as long as this stays open.
            (Ok(_), Err(gone)) => (Err(gone), transaction.rollback().await.is_ok()),
            (Err(error), _) => {
                let is_refusal = matches!(error, StoreError::OutOfOrder(_));
                (Err(error), transaction.rollback().await.is_ok() && is_refusal)
            }
        };
        if is_sound {
            *slot = Some(connection);
        }
        done
    }

    async fn reconnect(&self, wal: &mut Watched) -> Result<SqliteConnection, StoreError> {
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        // Without another connection the write-ahead log was not there; reading makes it.
        sqlx::query("SELECT epoch FROM numbering").fetch_optional(&mut connection).await?;
        wal.renew();
        Ok(connection)
    }

    async fn load(&self, name: &RoomName) -> Result<Option<OpenedRoom>, StoreError> {
        self.database.check()?;
        let mut reader = self.readers.begin().await?;
        let Some(row) = sqlx::query("SELECT id, lineage, folded, parts FROM rooms WHERE name = ?")
            .bind(name.as_str())
            .fetch_optional(&mut *reader)
            .await?
        else {
            return Ok(None);
        };
        let id: i64 = row.try_get("id")?;
        let (folded, parts): (i64, i64) = (row.try_get("folded")?, row.try_get("parts")?);
        let snapshot = if folded == 0 {
            None
        } else {
            let through = Sequence(number(folded)?);
            let pieces = snapshot(&mut reader, id, folded, parts).await?;
            Some(Snapshot { through, pieces })
        };
        let stored = StoredRoom {
            lineage: lineage(&row)?,
            epoch: self.epoch,
            snapshot,
            tail: tail(&mut reader, id, folded).await?,
            tombstones: tombstones(&mut reader, name).await?,
        };
        Ok(Some(OpenedRoom { id: RoomId(id), stored }))
    }

    /// Drops lines of one room that are in its snapshot and were written before this time: as many
    /// as one short transaction may. Says how many.
    async fn sweep_step(&self, room: i64, before: i64) -> Result<u64, StoreError> {
        let rows = sqlx::query(
            "SELECT sequence, at, length(bytes) AS length FROM log \
             WHERE room = ?1 AND sequence <= (SELECT folded FROM rooms WHERE id = ?1) \
             ORDER BY sequence LIMIT ?2",
        )
        .bind(room)
        .bind(SWEPT_LINES_MAX)
        .fetch_all(&self.readers)
        .await?;
        let (mut last, mut bytes) = (None, 0);
        for row in rows {
            let at: i64 = row.try_get("at")?;
            if at > before || bytes > SWEPT_BYTES_MAX {
                break;
            }
            bytes += row.try_get::<i64, _>("length")?;
            last = Some(row.try_get::<i64, _>("sequence")?);
        }
        let Some(last) = last else { return Ok(0) };
        self.write(async |connection| {
            let swept = sqlx::query("DELETE FROM log WHERE room = ? AND sequence <= ?")
                .bind(room)
                .bind(last)
                .execute(connection)
                .await?;
            Ok(swept.rows_affected())
        })
        .await
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
                // The number of a deleted room is not given again: somebody may still write to it.
                sqlx::query(
                    "INSERT INTO rooms (id, name, lineage) \
                     SELECT 1 + max(coalesce((SELECT max(id) FROM rooms), 0), \
                                    coalesce((SELECT max(room) FROM tombstones), 0)), ?, ? \
                     WHERE true ON CONFLICT (name) DO NOTHING",
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

    fn contains<'a>(&'a self, name: &'a RoomName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.database.check()?;
            let found = sqlx::query("SELECT 1 FROM rooms WHERE name = ?")
                .bind(name.as_str())
                .fetch_optional(&self.readers)
                .await?;
            Ok(found.is_some())
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
        snapshot: Snapshot,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(async move |connection| {
            let Snapshot { through, pieces } = snapshot;
            let folded = row_number(through.0)?;
            let parts = i64::try_from(pieces.len()).unwrap_or(i64::MAX);
            let fitting = sqlx::query(
                "UPDATE rooms SET folded = ?2, parts = ?3 WHERE id = ?1 AND ?2 > 0 AND ?2 BETWEEN \
                 folded AND max(folded, coalesce((SELECT max(sequence) FROM log WHERE room = ?1), 0))",
            )
            .bind(room.0)
            .bind(folded)
            .bind(parts)
            .execute(&mut *connection)
            .await?;
            if fitting.rows_affected() == 0 {
                return Err(StoreError::OutOfOrder(format!("a snapshot through {}", through.0)));
            }
            sqlx::query("DELETE FROM snapshots WHERE room = ?")
                .bind(room.0)
                .execute(&mut *connection)
                .await?;
            for (part, piece) in (0_u64..).zip(&pieces) {
                sqlx::query(
                    "INSERT INTO snapshots (room, part, sequence, sum, bytes) VALUES (?, ?, ?, ?, ?)",
                )
                .bind(room.0)
                .bind(row_number(part)?)
                .bind(folded)
                .bind(sum(part, piece))
                .bind(piece.as_ref())
                .execute(&mut *connection)
                .await?;
            }
            if self.keep_log.is_zero() {
                sqlx::query("DELETE FROM log WHERE room = ? AND sequence <= ?")
                    .bind(room.0)
                    .bind(folded)
                    .execute(connection)
                    .await?;
            }
            Ok(())
        }))
    }

    fn delete(&self, room: RoomId, state_vector: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            // What is kept for history goes first, in steps: it may be much more than the room.
            while self.sweep_step(room.0, i64::MAX).await? > 0 {}
            self.write(async |connection| {
                let buried = sqlx::query(
                    "INSERT INTO tombstones (room, name, lineage, at, state_vector) \
                     SELECT id, name, lineage, ?2, ?3 FROM rooms WHERE id = ?1",
                )
                .bind(room.0)
                .bind(unix_ms())
                .bind(state_vector.as_ref())
                .execute(&mut *connection)
                .await?;
                if buried.rows_affected() == 0 {
                    return is_deleted(connection, room).await;
                }
                for table in ["log", "snapshots"] {
                    let sql = format!("DELETE FROM {table} WHERE room = ?");
                    sqlx::query(AssertSqlSafe(sql)).bind(room.0).execute(&mut *connection).await?;
                }
                sqlx::query("DELETE FROM rooms WHERE id = ?")
                    .bind(room.0)
                    .execute(connection)
                    .await?;
                Ok(())
            })
            .await
        })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let keep_ms = i64::try_from(self.keep_log.as_millis()).unwrap_or(i64::MAX);
            let before = unix_ms().saturating_sub(keep_ms);
            let (mut swept, mut room) = (0, 0);
            loop {
                let next: Option<i64> = sqlx::query_scalar(
                    "SELECT id FROM rooms WHERE id > ?1 AND folded > 0 AND ?2 >= \
                         (SELECT at FROM log WHERE room = id AND sequence <= folded \
                          ORDER BY sequence LIMIT 1) \
                     ORDER BY id LIMIT 1",
                )
                .bind(room)
                .bind(before)
                .fetch_optional(&self.readers)
                .await?;
                let Some(next) = next else { return Ok(swept) };
                room = next;
                loop {
                    let step = self.sweep_step(room, before).await?;
                    swept += step;
                    if step == 0 {
                        break;
                    }
                }
            }
        })
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
            let Some(Writer { connection, .. }) = self.writer.lock().await.take() else {
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
    let mut sql =
        String::from("INSERT INTO log (room, sequence, at, bytes, sum) VALUES (?, ?, ?, ?, ?)");
    for _ in 1..lines.len() {
        sql.push_str(", (?, ?, ?, ?, ?)");
    }
    // Only question marks were added: no value becomes part of the statement.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for LogLine { room, sequence, update } in lines {
        query = query
            .bind(room.0)
            .bind(row_number(sequence.0)?)
            .bind(at)
            .bind(update.as_ref())
            .bind(sum(sequence.0, update));
    }
    query.execute(connection).await?;
    Ok(())
}

/// The answer to a second request to delete a room, whose first one may have been lost.
async fn is_deleted(connection: &mut SqliteConnection, room: RoomId) -> Result<(), StoreError> {
    let tombstone = sqlx::query("SELECT 1 FROM tombstones WHERE room = ?")
        .bind(room.0)
        .fetch_optional(connection)
        .await?;
    let absent = || StoreError::OutOfOrder(format!("room {} does not exist", room.0));
    tombstone.map(|_| ()).ok_or_else(absent)
}

async fn snapshot(
    reader: &mut SqliteConnection,
    room: i64,
    folded: i64,
    parts: i64,
) -> Result<Vec<Bytes>, StoreError> {
    let rows = sqlx::query(
        "SELECT part AS place, sequence, sum, bytes FROM snapshots WHERE room = ? ORDER BY part",
    )
    .bind(room)
    .fetch_all(reader)
    .await?;
    if i64::try_from(rows.len()) != Ok(parts) {
        let detail = format!("its snapshot has {} parts of {parts}", rows.len());
        return Err(StoreError::Damaged(detail));
    }
    let mut pieces = Vec::with_capacity(rows.len());
    for (part, row) in (0_u64..).zip(&rows) {
        let (place, bytes) = checked(row)?;
        if place != part || row.try_get::<i64, _>("sequence")? != folded {
            let detail = format!("part {place} of its snapshot stands in place {part}");
            return Err(StoreError::Damaged(detail));
        }
        pieces.push(bytes);
    }
    Ok(pieces)
}

async fn tail(
    reader: &mut SqliteConnection,
    room: i64,
    folded: i64,
) -> Result<Vec<(Sequence, Bytes)>, StoreError> {
    let rows = sqlx::query(
        "SELECT sequence AS place, sum, bytes FROM log WHERE room = ? AND sequence > ? \
         ORDER BY sequence",
    )
    .bind(room)
    .bind(folded)
    .fetch_all(reader)
    .await?;
    let mut tail = Vec::with_capacity(rows.len());
    let mut last = Sequence(number(folded)?);
    for row in &rows {
        let (place, bytes) = checked(row)?;
        if place != last.next().0 {
            let detail = format!("its log has {place} after {}", last.0);
            return Err(StoreError::Damaged(detail));
        }
        last = Sequence(place);
        tail.push((last, bytes));
    }
    Ok(tail)
}

async fn tombstones(
    reader: &mut SqliteConnection,
    name: &RoomName,
) -> Result<Vec<Tombstone>, StoreError> {
    let rows =
        sqlx::query("SELECT lineage, state_vector FROM tombstones WHERE name = ? ORDER BY room")
            .bind(name.as_str())
            .fetch_all(reader)
            .await?;
    let tombstone = |row: &SqliteRow| {
        let state_vector: Vec<u8> = row.try_get("state_vector")?;
        Ok(Tombstone { lineage: lineage(row)?, state_vector: state_vector.into() })
    };
    rows.iter().map(tombstone).collect()
}

fn lineage(row: &SqliteRow) -> Result<Lineage, StoreError> {
    let bytes: Vec<u8> = row.try_get("lineage")?;
    let wrong_length = |_| StoreError::Damaged("its lineage has a wrong length".into());
    bytes.try_into().map(Lineage).map_err(wrong_length)
}

/// A line or part: its place, and its bytes when they are what was written.
fn checked(row: &SqliteRow) -> Result<(u64, Bytes), StoreError> {
    let place = number(row.try_get("place")?)?;
    let bytes: Vec<u8> = row.try_get("bytes")?;
    let expected: Option<i64> = row.try_get("sum")?;
    if expected.is_some_and(|expected| expected != sum(place, &bytes)) {
        return Err(StoreError::Damaged(format!("the bytes at {place} are not what was written")));
    }
    Ok((place, bytes.into()))
}

/// The checksum of bytes at a place: CRC-32.
fn sum(place: u64, bytes: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().into()
}

fn number(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_negative| StoreError::Damaged(format!("it counts {stored}")))
}

fn row_number(number: u64) -> Result<i64, StoreError> {
    let too_large = |_| StoreError::OutOfOrder(format!("the number {number}"));
    i64::try_from(number).map_err(too_large)
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
        const CORRUPT: i32 = 11;
        const CONSTRAINT: i32 = 19;
        const NOT_A_DATABASE: i32 = 26;

        let text = error.to_string();
        match sqlite_code(&error) {
            Some(CONSTRAINT) => Self::OutOfOrder(text),
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged(text),
            _ if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
                Self::Damaged(text)
            }
            _ => Self::Failed(text),
        }
    }
}

#[cfg(test)]
mod tests;
