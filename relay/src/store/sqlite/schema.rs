//! The tables of the store, how an older file gets them, and what tells a file of ours.

use std::path::{Path, PathBuf};

use coweave_core::ids::Epoch;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::super::OpenError;

/// "Cowv": tells `file` and this code whose database it is.
const APPLICATION_ID: i64 = 0x436f_7776;
const SCHEMA_VERSION: usize = STEPS.len();

/// What makes each version of the schema from the one before; a new file goes through all of them,
/// so that it cannot differ from an old one. A step that was released never changes.
const STEPS: [&str; 2] = [
    "
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
",
    // Snapshots in parts, a log that may reach back behind them, tombstones, and checksums.
    "
-- The snapshot of a room: the sequence that it reaches to, and of how many parts it is.
ALTER TABLE rooms ADD COLUMN folded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
-- What an older relay wrote has no checksums.
ALTER TABLE rooms ADD COLUMN sum INTEGER;
UPDATE rooms SET (folded, parts) = (SELECT sequence, 1 FROM snapshots WHERE room = rooms.id)
    WHERE id IN (SELECT room FROM snapshots);
ALTER TABLE snapshots RENAME TO whole_snapshots;
CREATE TABLE snapshots (
    room     INTEGER NOT NULL REFERENCES rooms (id),
    part     INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    sum      INTEGER,
    bytes    BLOB NOT NULL,
    PRIMARY KEY (room, part)
) STRICT;
INSERT INTO snapshots (room, part, sequence, bytes)
    SELECT room, 0, sequence, bytes FROM whole_snapshots;
DROP TABLE whole_snapshots;
ALTER TABLE log ADD COLUMN sum INTEGER;
-- The number of a deleted room stays here, and is never given again.
CREATE TABLE tombstones (
    room         INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    lineage      BLOB NOT NULL CHECK (length(lineage) = 16),
    at           INTEGER NOT NULL,
    state_vector BLOB NOT NULL
) STRICT;
CREATE INDEX tombstones_by_name ON tombstones (name);
DROP TRIGGER log_is_in_order;
CREATE TRIGGER log_is_in_order BEFORE INSERT ON log BEGIN
    SELECT RAISE(IGNORE) WHERE EXISTS (
        SELECT 1 FROM log
        WHERE room = NEW.room AND sequence = NEW.sequence AND bytes = NEW.bytes);
    SELECT RAISE(ABORT, 'the line is not the next one of its room')
        WHERE NEW.sequence IS NOT 1 + max(
            coalesce((SELECT max(sequence) FROM log WHERE room = NEW.room), 0),
            (SELECT folded FROM rooms WHERE id = NEW.room));
END;
",
];

/// The version of a file: 0 when it is empty. One that is not empty has to be ours, and not too new.
pub(super) async fn version(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<usize, OpenError> {
    let failed = |e: sqlx::Error| super::rows::open_error(path, &e);
    let row = sqlx::query(
        "SELECT (SELECT application_id FROM pragma_application_id) AS application, \
                (SELECT user_version FROM pragma_user_version) AS version, \
                (SELECT count(*) FROM sqlite_schema) AS objects",
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    let application: i64 = row.try_get("application").map_err(failed)?;
    let found: i64 = row.try_get("version").map_err(failed)?;
    let objects: i64 = row.try_get("objects").map_err(failed)?;
    let path = PathBuf::from(path);
    match (application, objects, usize::try_from(found)) {
        (0, 0, _) => Ok(0),
        (APPLICATION_ID, _, Ok(version @ 1..=SCHEMA_VERSION)) => Ok(version),
        (APPLICATION_ID, _, Ok(1..)) => {
            Err(OpenError::NewerSchema { path, found, known: SCHEMA_VERSION })
        }
        _ => Err(OpenError::NotAStore { path, detail: "a database of another application" }),
    }
}

/// Takes the write lock once, so that a file that cannot be written is found at the start, and
/// brings the tables to the present version. The answer is the epoch: a new one unless the last
/// relay closed the store, because a crashed one may have told sequences that are not in the log.
pub(super) async fn prepare(
    writer: &mut SqliteConnection,
    version: usize,
) -> Result<Epoch, sqlx::Error> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    for step in STEPS.iter().skip(version) {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    if version < SCHEMA_VERSION {
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
