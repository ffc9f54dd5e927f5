//! Folds the logs of rooms away from everything that people wait for: in a child process with
//! limits on memory and time, one at a time. What comes back is checked before anything believes it.

mod child;
mod frames;
mod parent;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use coweave_core::error::Error;
use coweave_core::limits::Limits;
use coweave_core::room::compaction;
use thiserror::Error;
use tokio::sync::Semaphore;

pub use child::run as run_child;

/// What a child says that gets no memory: words of Rust's own, and ours where it goes on.
const OUT_OF_MEMORY: &str = "memory allocation";

/// How logs are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Where.
    pub place: Place,
    /// What a child process may take of memory.
    pub memory_bytes_max: u64,
    /// What a child process may take of processor time; it is ended when four times as much has
    /// passed on the clock.
    pub time_max: Duration,
}

/// Where logs are folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a thread of this process, without limits: for relays inside other programs.
    InProcess,
    /// In a process of its own: this program with these arguments, before those of [`run_child`].
    Child {
        /// The program.
        program: PathBuf,
        /// What makes it call [`run_child`].
        arguments: Vec<OsString>,
    },
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            place: Place::InProcess,
            memory_bytes_max: 1 << 30,
            time_max: Duration::from_secs(60),
        }
    }
}

/// Why a log was not folded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompactError {
    /// There is no process to do it.
    #[error("the process for it could not be started: {0}")]
    Start(std::io::Error),
    /// The child needed more memory than it may have.
    #[error(
        "it needs more than {0} bytes of memory; more can be given with --compaction-memory-bytes"
    )]
    OverMemory(u64),
    /// The child needed more time than it may have.
    #[error("it takes longer than {0:?}; more can be given with --compaction-time-ms")]
    OverTime(Duration),
    /// The child was ended by a signal that neither of the limits sends.
    #[error("its process was ended by signal {0}")]
    Signal(i32),
    /// The child gave up.
    #[error("its process gave up: {0}")]
    GaveUp(String),
    /// The answer is not a folded log, or not of this one.
    #[error("the answer of its process is wrong: {0}")]
    WrongAnswer(String),
    /// It was done in this process, and is no log.
    #[error(transparent)]
    NoLog(#[from] Error),
    /// The thread that did it broke off.
    #[error("it broke off")]
    BrokeOff,
}

/// Folds logs, one at a time.
#[derive(Debug)]
pub struct Compactor {
    settings: Compaction,
    /// How large the pieces are about: those of a first sync.
    piece_bytes_max: usize,
    turn: Semaphore,
}

impl Compactor {
    /// A compactor for a relay with these limits.
    #[must_use]
    pub fn new(settings: Compaction, limits: &Limits) -> Self {
        let piece_bytes_max = limits.sync_chunk_bytes;
        Self { settings, piece_bytes_max, turn: Semaphore::new(1) }
    }

    /// Folds updates in the order of a log, and checks the pieces.
    ///
    /// # Errors
    /// [`CompactError`]; nothing is changed anywhere then.
    pub async fn fold(&self, updates: Vec<Bytes>) -> Result<Vec<Bytes>, CompactError> {
        let _turn = self.turn.acquire().await.map_err(|_closed| CompactError::BrokeOff)?;
        let piece_bytes_max = self.piece_bytes_max;
        let (updates, pieces) = match &self.settings.place {
            Place::InProcess => {
                let folding = tokio::task::spawn_blocking(move || {
                    let pieces = compaction::fold(&updates, piece_bytes_max);
                    (updates, pieces)
                });
                let (updates, pieces) = folding.await.map_err(|_broken| CompactError::BrokeOff)?;
                (updates, pieces?)
            }
            Place::Child { program, arguments } => {
                let command = parent::command(program, arguments, &self.settings, piece_bytes_max);
                let pieces = parent::fold(command, &self.settings, &updates).await?;
                (updates, pieces)
            }
        };
        let checking = tokio::task::spawn_blocking(move || {
            compaction::check(&updates, &pieces).map(|()| pieces)
        });
        let checked = checking.await.map_err(|_broken| CompactError::BrokeOff)?;
        checked.map_err(|error| CompactError::WrongAnswer(error.to_string()))
    }
}
