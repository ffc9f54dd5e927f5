//! One task writes the logs of all rooms: whatever has gathered while the last commit ran goes to
//! disk in the next one. Rooms never wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coweave_core::error::{Code, Error};
use coweave_core::ids::Sequence;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::store::{LogLine, RoomId, Store, StoreError};

/// Lines in one commit.
const LINES_MAX: usize = 4096;
/// A commit that takes longer is told to the rooms like one that fails.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What becomes of the lines of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// Everything up to here is flushed.
    Durable(Sequence),
    /// The store fails. Nothing is lost; it is tried again.
    Failed(Error),
    /// The lines do not fit the stored log and were dropped: the room has to be loaded anew.
    Refused,
}

enum Command {
    Append { line: LogLine, receipts: mpsc::UnboundedSender<Receipt> },
    Flush(oneshot::Sender<()>),
}

/// The way to the writing task; it ends when all of these are dropped.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    /// Not bounded here: every room bounds what it has in memory (`undurable_bytes_max`), and the
    /// queue holds nothing else.
    commands: mpsc::UnboundedSender<Command>,
    is_failing: Arc<AtomicBool>,
}

impl LogWriter {
    /// Starts the task; there is at least `interval` between two commits.
    pub(crate) fn start(store: Arc<dyn Store>, interval: Duration) -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        let is_failing = Arc::new(AtomicBool::new(false));
        let writing = Writing {
            store,
            commands,
            is_failing: Arc::clone(&is_failing),
            batch: Batch::default(),
            interval,
        };
        tokio::spawn(writing.run());
        Self { commands: sender, is_failing }
    }

    /// Queues a line. A receipt follows.
    pub(crate) fn append(&self, line: LogLine, receipts: &mpsc::UnboundedSender<Receipt>) {
        let receipts = receipts.clone();
        if self.commands.send(Command::Append { line, receipts }).is_err() {
            tracing::error!("the log writer is gone; edits are not stored any more");
        }
    }

    /// Returns when everything that was queued before is on disk.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.commands.send(Command::Flush(done)).is_ok() {
            let _writer_is_gone = flushed.await;
        }
    }

    /// Whether the last commit failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }
}

/// Lines that go to disk together, and who waits for them.
#[derive(Default)]
struct Batch {
    lines: Vec<LogLine>,
    rooms: BTreeMap<RoomId, Waiting>,
    flushes: Vec<oneshot::Sender<()>>,
}

struct Waiting {
    receipts: mpsc::UnboundedSender<Receipt>,
    through: Sequence,
    knows_of_failure: bool,
}

impl Waiting {
    /// A room that is gone needs no receipt.
    fn tell(&self, receipt: Receipt) {
        let _room_is_gone = self.receipts.send(receipt);
    }
}

impl Batch {
    fn add(&mut self, command: Command) {
        match command {
            Command::Append { line, receipts } => {
                let through = line.sequence;
                let new = || Waiting { receipts, through, knows_of_failure: false };
                self.rooms.entry(line.room).or_insert_with(new).through = through;
                self.lines.push(line);
            }
            Command::Flush(done) => self.flushes.push(done),
        }
    }

    fn succeed(&mut self) {
        self.lines.clear();
        for (_, waiting) in std::mem::take(&mut self.rooms) {
            waiting.tell(Receipt::Durable(waiting.through));
        }
        for done in self.flushes.drain(..) {
            let _nobody_waits = done.send(());
        }
    }
}

/// Logs the first of several failures in a row.
fn note_failure(is_failing: &AtomicBool, error: &str) {
    if !is_failing.swap(true, Ordering::Relaxed) {
        tracing::error!(error, "the store fails; edits wait in memory");
    }
}

fn tell_of_failure(rooms: &mut BTreeMap<RoomId, Waiting>) {
    for waiting in rooms.values_mut().filter(|waiting| !waiting.knows_of_failure) {
        waiting.knows_of_failure = true;
        // The log has the reason; it is nothing that a client could act on.
        let text = "the relay cannot write to its disk at the moment; edits stay in memory and on \
                    the devices until it can";
        waiting.tell(Receipt::Failed(Error::new(Code::RelayDegraded, text)));
    }
}

struct Writing {
    store: Arc<dyn Store>,
    commands: mpsc::UnboundedReceiver<Command>,
    is_failing: Arc<AtomicBool>,
    batch: Batch,
    interval: Duration,
}

impl Writing {
    async fn run(mut self) {
        let mut received = Vec::new();
        // The first edit after a quiet moment goes to disk at once. A commit costs as much as sixty
        // deliveries, so while people type, what comes within the interval shares one.
        let mut next_commit = Instant::now();
        while self.commands.recv_many(&mut received, LINES_MAX).await > 0 {
            received.drain(..).for_each(|command| self.batch.add(command));
            self.gather_until(next_commit, &mut received).await;
            next_commit = Instant::now() + self.interval;
            self.commit().await;
        }
    }

    /// Takes in what comes, unless somebody waits for the flush.
    async fn gather_until(&mut self, until: Instant, received: &mut Vec<Command>) {
        while self.batch.flushes.is_empty()
            && let Some(room) = LINES_MAX.checked_sub(self.batch.lines.len())
            && let Ok(1..) = timeout_at(until, self.commands.recv_many(received, room)).await
        {
            received.drain(..).for_each(|command| self.batch.add(command));
        }
    }

    /// Brings the batch to disk, however long it takes.
    async fn commit(&mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.append().await {
                Ok(()) => break,
                Err(StoreError::Failed(error)) => {
                    note_failure(&self.is_failing, &error);
                    self.gather(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(misfit) => {
                    tracing::error!(error = %misfit, "the store does not take the lines of a room");
                    self.refuse_misfits().await;
                }
            }
        }
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the store works again; everything is on disk");
        }
        self.batch.succeed();
    }

    /// Hands the batch to the store once. Its rooms hear when that takes long.
    async fn append(&mut self) -> Result<(), StoreError> {
        let Batch { lines, rooms, .. } = &mut self.batch;
        let mut appended = self.store.append(lines);
        if let Ok(answer) = timeout(PATIENCE, &mut appended).await {
            return answer;
        }
        note_failure(&self.is_failing, &format!("it takes longer than {PATIENCE:?}"));
        tell_of_failure(rooms);
        appended.await
    }

    /// Waits, and takes in what comes meanwhile, so that its rooms hear of the failure too.
    async fn gather(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        tell_of_failure(&mut self.batch.rooms);
        while let Ok(Some(command)) = timeout_at(until, self.commands.recv()).await {
            self.batch.add(command);
            tell_of_failure(&mut self.batch.rooms);
        }
        tokio::time::sleep_until(until).await;
    }

    /// Takes the rooms out of the batch whose lines the store does not accept: one room with a
    /// broken invariant or a damaged log must not stop the others.
    async fn refuse_misfits(&mut self) {
        let rooms: Vec<RoomId> = self.batch.rooms.keys().copied().collect();
        for room in rooms {
            let of_room = |line: &&LogLine| line.room == room;
            let lines: Vec<LogLine> = self.batch.lines.iter().filter(of_room).cloned().collect();
            if matches!(self.store.append(&lines).await, Ok(()) | Err(StoreError::Failed(_))) {
                continue;
            }
            self.batch.lines.retain(|line| line.room != room);
            if let Some(waiting) = self.batch.rooms.remove(&room) {
                waiting.tell(Receipt::Refused);
            }
        }
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
