//! One task writes the logs of all rooms: whatever has gathered while the last commit ran goes to
//! disk in the next one. Rooms never wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coweave_core::error::{Code, Error};
use coweave_core::ids::Sequence;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::store::{LogLine, RoomId, Store, StoreError};

/// Lines in one commit.
const LINES_MAX: usize = 4096;
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

    fn tell_of_failure(&mut self) {
        for waiting in self.rooms.values_mut().filter(|waiting| !waiting.knows_of_failure) {
            waiting.knows_of_failure = true;
            // The log has the reason; it is nothing that a client could act on.
            let text = "the relay cannot write to its disk at the moment; edits stay in memory \
                        and on the devices until it can";
            waiting.tell(Receipt::Failed(Error::new(Code::RelayDegraded, text)));
        }
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
            while !received.iter().any(|command| matches!(command, Command::Flush(_)))
                && let Ok(Some(command)) =
                    tokio::time::timeout_at(next_commit, self.commands.recv()).await
            {
                received.push(command);
            }
            next_commit = Instant::now() + self.interval;
            for command in received.drain(..) {
                self.batch.add(command);
            }
            self.commit().await;
        }
    }

    /// Brings the batch to disk, however long it takes.
    async fn commit(&mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.store.append(&self.batch.lines).await {
                Ok(()) => break,
                Err(error @ (StoreError::OutOfOrder(_) | StoreError::Damaged(_))) => {
                    tracing::error!(%error, "a bug: a room wrote what does not fit its log");
                    self.refuse_misfits().await;
                }
                Err(StoreError::Failed(error)) => {
                    if !self.is_failing.swap(true, Ordering::Relaxed) {
                        tracing::error!(%error, "the store fails; edits wait in memory");
                    }
                    self.gather(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the store works again; everything is on disk");
        }
        self.batch.succeed();
    }

    /// Waits, and takes in what comes meanwhile, so that its rooms hear of the failure too.
    async fn gather(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        self.batch.tell_of_failure();
        while let Ok(Some(command)) = tokio::time::timeout_at(until, self.commands.recv()).await {
            self.batch.add(command);
            self.batch.tell_of_failure();
        }
        tokio::time::sleep_until(until).await;
    }

    /// Takes the rooms out of the batch whose lines the store does not accept: one room with a
    /// broken invariant must not stop the others.
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
mod tests {
    use bytes::Bytes;
    use coweave_core::ids::{Lineage, RoomName};

    use super::*;
    use crate::store::memory::MemoryStore;

    struct Setup {
        store: Arc<MemoryStore>,
        writer: LogWriter,
    }

    fn setup() -> Setup {
        let store = Arc::new(MemoryStore::new());
        let writer = LogWriter::start(Arc::<MemoryStore>::clone(&store), Duration::ZERO);
        Setup { store, writer }
    }

    impl Setup {
        async fn room(&self, name: &str) -> RoomId {
            let name = RoomName::parse(name).unwrap();
            self.store.open_or_create(&name, Lineage([0; 16])).await.unwrap().id
        }

        async fn tail(&self, name: &str) -> Vec<u64> {
            let name = RoomName::parse(name).unwrap();
            let opened = self.store.open_or_create(&name, Lineage([0; 16])).await.unwrap();
            opened.stored.tail.iter().map(|(sequence, _)| sequence.0).collect()
        }
    }

    fn line(room: RoomId, sequence: u64) -> LogLine {
        LogLine { room, sequence: Sequence(sequence), update: Bytes::from_static(b"u") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_store_loses_and_reorders_nothing() {
        let setup = setup();
        let (room, other) = (setup.room("a").await, setup.room("b").await);
        let (sender, mut receipts) = mpsc::unbounded_channel();
        let (other_sender, mut other_receipts) = mpsc::unbounded_channel();
        setup.store.set_failure(Some("no space left"));
        setup.writer.append(line(room, 1), &sender);
        assert!(matches!(receipts.recv().await, Some(Receipt::Failed(_))));
        assert!(setup.writer.is_failing());
        setup.writer.append(line(room, 2), &sender);
        setup.writer.append(line(other, 1), &other_sender);
        assert!(matches!(other_receipts.recv().await, Some(Receipt::Failed(_))));
        tokio::time::sleep(Duration::from_secs(60)).await;
        setup.store.set_failure(None);
        assert_eq!(receipts.recv().await, Some(Receipt::Durable(Sequence(2))));
        assert_eq!(other_receipts.recv().await, Some(Receipt::Durable(Sequence(1))));
        assert!(!setup.writer.is_failing());
        assert_eq!(setup.tail("a").await, [1, 2]);
    }

    #[tokio::test]
    async fn a_room_that_breaks_its_order_stops_no_other_one() {
        let setup = setup();
        let (bad, good) = (setup.room("bad").await, setup.room("good").await);
        let (bad_sender, mut bad_receipts) = mpsc::unbounded_channel();
        let (good_sender, mut good_receipts) = mpsc::unbounded_channel();
        setup.writer.append(line(good, 1), &good_sender);
        setup.writer.append(line(bad, 7), &bad_sender);
        setup.writer.append(line(good, 2), &good_sender);
        setup.writer.flush().await;
        assert_eq!(bad_receipts.recv().await, Some(Receipt::Refused));
        assert!(matches!(good_receipts.recv().await, Some(Receipt::Durable(_))));
        assert_eq!(setup.tail("good").await, [1, 2]);
        assert!(setup.tail("bad").await.is_empty());
    }

    #[tokio::test]
    async fn flush_comes_after_everything_before_it() {
        let setup = setup();
        let room = setup.room("a").await;
        let (sender, _receipts) = mpsc::unbounded_channel();
        for sequence in 1..=2_000 {
            setup.writer.append(line(room, sequence), &sender);
        }
        setup.writer.flush().await;
        assert_eq!(setup.tail("a").await.len(), 2_000);
    }
}
