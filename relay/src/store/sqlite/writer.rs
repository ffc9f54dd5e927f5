//! The one connection that writes.

use std::fs::File;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::super::{LogLine, StoreError};
use super::files::Watched;
use super::rows::insert;

/// So many lines go into one statement, which is a transaction of its own: beginning and committing
/// one costs two more ways to the thread of the connection and back. There is one prepared
/// statement for each number of lines.
pub(super) const LINES_PER_STATEMENT_MAX: usize = 32;

/// The connection, and the files that it writes.
#[derive(Debug)]
pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failure: the next call starts with a connection whose state is known.
    connection: Option<SqliteConnection>,
    database: Watched,
    wal: Watched,
    /// Goes with the writer.
    _lock: File,
}

impl Writer {
    pub(super) fn new(
        options: SqliteConnectOptions,
        connection: SqliteConnection,
        database: Watched,
        wal: Watched,
        lock: File,
    ) -> Self {
        Self { options, connection: Some(connection), database, wal, _lock: lock }
    }

    /// Runs one transaction to its end, including the flush.
    pub(super) async fn transaction<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let worked = work(&mut transaction).await;
        // As late as can be: what is flushed now is told to people.
        let (done, is_sound) = match (worked, self.check()) {
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
            self.connection = Some(connection);
        }
        done
    }

    /// Appends lines to the log: all or none, and flushed.
    pub(super) async fn append(&mut self, lines: &[LogLine], at: i64) -> Result<(), StoreError> {
        if lines.len() > LINES_PER_STATEMENT_MAX {
            return self.transaction(async |connection| insert(connection, lines, at).await).await;
        }
        let mut connection = self.take().await?;
        if let Err(gone) = self.check() {
            self.connection = Some(connection);
            return Err(gone);
        }
        let done = insert(&mut connection, lines, at).await;
        if matches!(done, Ok(()) | Err(StoreError::OutOfOrder(_))) {
            self.connection = Some(connection);
        }
        done
    }

    /// Closes the connection. Everything is flushed already.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self.connection {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }

    /// Fails when the files are not those any more that were opened.
    fn check(&self) -> Result<(), StoreError> {
        self.database.check()?;
        self.wal.check()
    }

    async fn take(&mut self) -> Result<SqliteConnection, StoreError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        self.database.check()?;
        let mut connection = SqliteConnection::connect_with(&self.options).await?;
        // Without another connection the write-ahead log was not there; reading makes it.
        sqlx::query("SELECT epoch FROM numbering").fetch_optional(&mut connection).await?;
        self.wal.renew();
        Ok(connection)
    }
}
