//! The files below the database: the folder and its lock, and whether the database is still there.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::super::{OpenError, StoreError};

const DATABASE_FILE: &str = "coweave.sqlite3";
const WAL_FILE: &str = "coweave.sqlite3-wal";
const LOCK_FILE: &str = "coweave.lock";

/// A folder that this process has for itself.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) database: PathBuf,
    pub(super) wal: PathBuf,
    /// Freed by the system when the process dies.
    pub(super) lock: File,
}

impl Folder {
    /// Makes the folder, and takes its lock.
    pub(super) fn lock(folder: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Folder { path: folder.to_owned(), source };
        if folder.exists() && !folder.is_dir() {
            return Err(unusable(ErrorKind::NotADirectory.into()));
        }
        // What people write is nobody else's business on a shared machine.
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        let (database, wal) = (folder.join(DATABASE_FILE), folder.join(WAL_FILE));
        let lock = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join(LOCK_FILE))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: database }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // SQLite would throw away what waits in a write-ahead log without its database.
        if length(&database) == 0 && length(&wal) > 0 {
            let detail = format!("it is missing or empty, but {} holds edits", wal.display());
            return Err(OpenError::Failed { path: database, detail });
        }
        Ok(Self { database, wal, lock })
    }
}

/// A file that is in use. SQLite goes on with a file that was deleted or replaced below it, and
/// what it writes there is nowhere when the relay starts the next time.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Watched {
    /// Takes the file that is there now for the right one.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), identity: identity(path) }
    }

    /// Watches the file that is there now.
    pub(super) fn renew(&mut self) {
        self.identity = identity(&self.path);
    }

    /// Fails when another file is there, or none.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if identity(&self.path) == self.identity {
            return Ok(());
        }
        Err(StoreError::Failed(format!(
            "{} was deleted or replaced while the relay used it; put it back, or start the relay \
             anew to go on with what is there now",
            self.path.display()
        )))
    }
}

/// Device and inode.
fn identity(file: &Path) -> Option<(u64, u64)> {
    file.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}
