//! Where rooms are kept: a trait about opaque bytes, sequences and watermarks, and its
//! implementations. `contract` holds what each of them has to fulfil.

#[cfg(test)]
mod contract;
pub mod memory;
pub mod sqlite;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use coweave_core::ids::{Lineage, RoomName, Sequence};
use coweave_core::room::{Snapshot, StoredRoom};
use futures_util::future::BoxFuture;
use thiserror::Error;

/// A room as its store numbers it; has no meaning for another store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub i64);

/// A room that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedRoom {
    /// Its number, for writing.
    pub id: RoomId,
    /// All that is known of it.
    pub stored: StoredRoom,
}

/// One line for the log of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The room.
    pub room: RoomId,
    /// The place in its log.
    pub sequence: Sequence,
    /// The update.
    pub update: Bytes,
}

/// A store of rooms. One relay owns it; calls for different rooms may overlap.
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Loads a room. A room that does not exist is created with this lineage and is on disk
    /// before the answer, because the lineage is told to clients and must never change.
    fn open_or_create<'a>(
        &'a self,
        name: &'a RoomName,
        lineage: Lineage,
    ) -> BoxFuture<'a, Result<OpenedRoom, StoreError>>;

    /// Whether a room of this name exists now.
    fn contains<'a>(&'a self, name: &'a RoomName) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Appends lines, all of them or none, and returns after they are flushed to disk. The lines
    /// of a room come in order and without a gap. A line that is there already with the same
    /// bytes is skipped, so that a batch whose outcome is not known can be handed in again.
    fn append<'a>(&'a self, lines: &'a [LogLine]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Replaces the snapshot of a room, all pieces or none, and returns after the flush. What is
    /// in it is not loaded from the log any more; the store may keep those lines for a while. May
    /// be repeated.
    fn replace_snapshot(
        &self,
        room: RoomId,
        snapshot: Snapshot,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Replaces a room by a tombstone, and returns after the flush. A room of the same name that
    /// is created later has another number and another lineage, and knows the tombstone. May be
    /// repeated.
    fn delete(&self, room: RoomId, state_vector: Bytes) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Drops the lines that are in a snapshot and were kept long enough, in steps that other calls
    /// need not wait for, and says how many. To be called at the start and then now and then; what
    /// is found to be damaged on the way goes to the log.
    fn sweep(&self) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Ends all work in an orderly way; later calls fail.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Why a store could not be opened: each a sentence for the person who starts the relay.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder cannot be made, or nothing can be written in it.
    #[error("the data folder {} cannot be used: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process has the store.
    #[error("the store {} is in use by another process; stop that one first, or choose another --data-dir", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("the file {} is no Coweave store ({detail}); it was left as it is", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        detail: &'static str,
    },
    /// A newer relay wrote the file.
    #[error("the store {} has schema version {found}, but this relay knows only versions up to {known}; use a newer relay", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version this code reads.
        known: usize,
    },
    /// Anything else.
    #[error("the store {} cannot be opened: {detail}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
}

/// Why a call to a store failed. After [`StoreError::Failed`] it is not known whether it was done;
/// the others changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The lines are not the next ones of their room, or the snapshot does not fit its log.
    #[error("refused, because the order of a room would break: {0}")]
    OutOfOrder(String),
    /// What is stored of a room cannot be read, or contradicts itself.
    #[error("the stored room is damaged: {0}")]
    Damaged(String),
    /// The database or the disk below it fails; trying again may help.
    #[error("the store fails: {0}")]
    Failed(String),
}

/// The time of day, for what is kept for a time.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
