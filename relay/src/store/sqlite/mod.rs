//! The embedded store: one SQLite file, one writer, flushed before a write is answered.
//!
//! A lock file beside the database keeps a second relay out, while tools of SQLite may still read
//! it or back it up. The order of every log is guarded by a trigger, below all code of the relay;
//! its bytes by checksums, because SQLite has none.

mod files;
mod rows;
mod schema;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::ids::{Epoch, Lineage, RoomName};
use coweave_core::room::{Snapshot, StoredRoom};
use futures_util::future::BoxFuture;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokio::sync::Mutex;

use self::files::{Folder, Watched};
use self::rows::{RoomRow, open_error, row_number, snapshot, sum, tail, tombstones};
use self::writer::Writer;
use super::{LogLine, OpenError, OpenedRoom, RoomId, Store, StoreError, unix_ms};

/// How long to wait for a lock that a tool of SQLite may hold.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Loads run beside the writer, at most this many at once.
const READERS_MAX: u32 = 4;
/// What one step of a sweep drops at most: the writers of edits wait for it.
const SWEPT_LINES_MAX: i64 = 1_000;
const SWEPT_BYTES_MAX: i64 = 4 << 20;

/// Rooms in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    /// How long lines stay that are in a snapshot.
    keep_log: Duration,
    /// The epoch of every room's sequences.
    epoch: Epoch,
    database: Watched,
    /// `None` when the store is closed.
    writer: Mutex<Option<Writer>>,
    readers: SqlitePool,
    reading: SqliteConnectOptions,
    /// Whether the file was looked through since it was opened.
    is_checked: AtomicBool,
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
            .foreign_keys(true)
            // A slow disk is the log writer's to tell.
            .disable_statement_logging();
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
        let reading = options.clone().read_only(true);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .test_before_acquire(false)
            .connect_lazy_with(reading.clone());
        let (database, wal) = (Watched::new(&path), Watched::new(&wal));
        let writer = Writer::new(options, writer, database.clone(), wal, lock);
        let writer = Mutex::new(Some(writer));
        let is_checked = AtomicBool::new(false);
        Ok(Self { keep_log, epoch, database, writer, readers, reading, is_checked })
    }

    /// Runs one write transaction to its end, including the flush.
    async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().await;
        writer.as_mut().ok_or_else(closed)?.transaction(work).await
    }

    async fn load(&self, name: &RoomName) -> Result<Option<OpenedRoom>, StoreError> {
        self.database.check()?;
        let mut reader = self.readers.begin().await?;
        let Some(row) = sqlx::query("SELECT * FROM rooms WHERE name = ?")
            .bind(name.as_str())
            .fetch_optional(&mut *reader)
            .await?
        else {
            return Ok(None);
        };
        let room = RoomRow::read(&row)?;
        let stored = StoredRoom {
            lineage: room.lineage,
            epoch: self.epoch,
            snapshot: snapshot(&mut reader, &room).await?,
            tail: tail(&mut reader, &room).await?,
            tombstones: tombstones(&mut reader, name).await?,
        };
        Ok(Some(OpenedRoom { id: RoomId(room.id), stored }))
    }

    /// Looks once through the whole file, and tells whoever runs the relay when it is damaged.
    async fn report_damage(&self) -> Result<(), StoreError> {
        // A connection of its own: closing the store waits for those of the pool.
        let mut connection = SqliteConnection::connect_with(&self.reading).await?;
        let found: String = match sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut connection)
            .await
            .map_err(StoreError::from)
        {
            Ok(found) => found,
            Err(StoreError::Damaged(found)) => found,
            Err(error) => return Err(error),
        };
        if found != "ok" {
            tracing::error!(
                found,
                "the store is damaged; rooms that cannot be read are closed and left as they are, \
                 and of others the end may be missing: restore a backup, or let SQLite recover it"
            );
        }
        Ok(())
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
                let id: i64 = sqlx::query_scalar(
                    "SELECT 1 + max(coalesce((SELECT max(id) FROM rooms), 0), \
                                    coalesce((SELECT max(room) FROM tombstones), 0))",
                )
                .fetch_one(&mut *connection)
                .await?;
                let name = name.as_str().to_owned();
                let room = RoomRow { id, name, lineage, folded: 0, parts: 0 };
                sqlx::query(
                    "INSERT INTO rooms (id, name, lineage, sum) VALUES (?, ?, ?, ?) \
                     ON CONFLICT (name) DO NOTHING",
                )
                .bind(room.id)
                .bind(&room.name)
                .bind(room.lineage.0.as_slice())
                .bind(room.sum())
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
        Box::pin(async move {
            if lines.is_empty() {
                return Ok(());
            }
            let mut writer = self.writer.lock().await;
            writer.as_mut().ok_or_else(closed)?.append(lines, unix_ms()).await
        })
    }

    fn replace_snapshot(
        &self,
        room: RoomId,
        snapshot: Snapshot,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(async move |connection| {
            let Snapshot { through, pieces } = snapshot;
            let row = sqlx::query(
                "SELECT *, (SELECT max(sequence) FROM log WHERE room = id) AS last \
                 FROM rooms WHERE id = ?",
            )
            .bind(room.0)
            .fetch_optional(&mut *connection)
            .await?;
            let misfit = || StoreError::OutOfOrder(format!("a snapshot through {}", through.0));
            let row = row.ok_or_else(misfit)?;
            let last: Option<i64> = row.try_get("last")?;
            let mut row = RoomRow::read(&row)?;
            let folded = row_number(through.0)?;
            if folded == 0 || folded < row.folded || folded > row.folded.max(last.unwrap_or(0)) {
                return Err(misfit());
            }
            row.folded = folded;
            row.parts = i64::try_from(pieces.len()).unwrap_or(i64::MAX);
            sqlx::query("UPDATE rooms SET folded = ?, parts = ?, sum = ? WHERE id = ?")
                .bind(row.folded)
                .bind(row.parts)
                .bind(row.sum())
                .bind(room.0)
                .execute(&mut *connection)
                .await?;
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
                .bind(sum(room.0, part, piece))
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
            if !self.is_checked.swap(true, Ordering::Relaxed) {
                self.report_damage().await?;
            }
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
            if let Some(writer) = self.writer.lock().await.take()
                && let Err(error) = writer.close().await
            {
                tracing::warn!(%error, "the store did not close cleanly; nothing durable is lost");
            }
        })
    }
}

fn closed() -> StoreError {
    StoreError::Failed("the store is closed".to_owned())
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

#[cfg(test)]
mod tests;
