//! Rows and what they stand for: lines and parts with their checksums, and the errors of SQLite.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use coweave_core::ids::{Lineage, RoomName, Sequence};
use coweave_core::room::{Snapshot, Tombstone};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};

use super::super::{LogLine, OpenError, StoreError};
use super::writer::LINES_PER_STATEMENT_MAX;

/// Adds lines to the log.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    lines: &[LogLine],
    at: i64,
) -> Result<(), StoreError> {
    for lines in lines.chunks(LINES_PER_STATEMENT_MAX) {
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
                .bind(sum(room.0, sequence.0, update));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// One row of the table of rooms.
pub(super) struct RoomRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) lineage: Lineage,
    /// The sequence that the snapshot reaches to; 0 without one.
    pub(super) folded: i64,
    /// The parts of the snapshot.
    pub(super) parts: i64,
}

impl RoomRow {
    /// Reads a row that has all columns.
    pub(super) fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let room = Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            lineage: lineage(row)?,
            folded: row.try_get("folded")?,
            parts: row.try_get("parts")?,
        };
        let expected: Option<i64> = row.try_get("sum")?;
        if expected.is_some_and(|expected| expected != room.sum()) {
            return Err(StoreError::Damaged("its row is not what was written".into()));
        }
        Ok(room)
    }

    /// The checksum of the row.
    pub(super) fn sum(&self) -> i64 {
        let mut bytes = self.name.clone().into_bytes();
        bytes.extend(self.lineage.0);
        bytes.extend(self.folded.to_le_bytes());
        sum(self.id, self.parts.cast_unsigned(), &bytes)
    }
}

pub(super) async fn snapshot(
    reader: &mut SqliteConnection,
    room: &RoomRow,
) -> Result<Option<Snapshot>, StoreError> {
    if room.folded == 0 {
        return Ok(None);
    }
    let rows = sqlx::query(
        "SELECT part AS place, sequence, sum, bytes FROM snapshots WHERE room = ? ORDER BY part",
    )
    .bind(room.id)
    .fetch_all(reader)
    .await?;
    if i64::try_from(rows.len()) != Ok(room.parts) {
        let detail = format!("its snapshot has {} parts of {}", rows.len(), room.parts);
        return Err(StoreError::Damaged(detail));
    }
    let mut pieces = Vec::with_capacity(rows.len());
    for (part, row) in (0_u64..).zip(&rows) {
        let (place, bytes) = checked(room.id, row)?;
        if place != part || row.try_get::<i64, _>("sequence")? != room.folded {
            let detail = format!("part {place} of its snapshot stands in place {part}");
            return Err(StoreError::Damaged(detail));
        }
        pieces.push(bytes);
    }
    Ok(Some(Snapshot { through: Sequence(number(room.folded)?), pieces }))
}

pub(super) async fn tail(
    reader: &mut SqliteConnection,
    room: &RoomRow,
) -> Result<Vec<(Sequence, Bytes)>, StoreError> {
    let rows = sqlx::query(
        "SELECT sequence AS place, sum, bytes FROM log WHERE room = ? AND sequence > ? \
         ORDER BY sequence",
    )
    .bind(room.id)
    .bind(room.folded)
    .fetch_all(reader)
    .await?;
    let mut tail = Vec::with_capacity(rows.len());
    let mut last = Sequence(number(room.folded)?);
    for row in &rows {
        let (place, bytes) = checked(room.id, row)?;
        if place != last.next().0 {
            let detail = format!("its log has {place} after {}", last.0);
            return Err(StoreError::Damaged(detail));
        }
        last = Sequence(place);
        tail.push((last, bytes));
    }
    Ok(tail)
}

pub(super) async fn tombstones(
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
fn checked(room: i64, row: &SqliteRow) -> Result<(u64, Bytes), StoreError> {
    let place = number(row.try_get("place")?)?;
    let bytes: Vec<u8> = row.try_get("bytes")?;
    let expected: Option<i64> = row.try_get("sum")?;
    if expected.is_some_and(|expected| expected != sum(room, place, &bytes)) {
        return Err(StoreError::Damaged(format!("the bytes at {place} are not what was written")));
    }
    Ok((place, bytes.into()))
}

/// The checksum of bytes at a place in a room: CRC-32.
pub(super) fn sum(room: i64, place: u64, bytes: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&room.to_le_bytes());
    hasher.update(&place.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().into()
}

fn number(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_negative| StoreError::Damaged(format!("it counts {stored}")))
}

pub(super) fn row_number(number: u64) -> Result<i64, StoreError> {
    let too_large = |_| StoreError::OutOfOrder(format!("the number {number}"));
    i64::try_from(number).map_err(too_large)
}

/// The primary result code of SQLite, when it was SQLite that failed.
fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|extended| extended & 0xff)
}

pub(super) fn open_error(path: &Path, error: &sqlx::Error) -> OpenError {
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
