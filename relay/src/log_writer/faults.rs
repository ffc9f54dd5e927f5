//! Stores that fail at any call and in any way, from seeds: what was acknowledged is on disk all the
//! same, in order, and everything else follows when the store works again.
//!
//! `COWEAVE_SEED=17 cargo test -p coweave-relay --lib faults` replays one run on a store in memory;
//! `COWEAVE_SEEDS=5000` makes more of them.

use std::sync::Mutex;

use bytes::Bytes;
use coweave_core::ids::{Lineage, RoomName};
use coweave_core::random::Random;
use coweave_core::room::Snapshot;
use futures_util::future::{BoxFuture, join_all};
use tempfile::TempDir;

use super::*;
use crate::store::OpenedRoom;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::SqliteStore;

const SEEDS: u64 = 200;
const SQLITE_SEEDS: u64 = 12;
const STEPS: usize = 80;

/// What goes wrong in one call.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Nothing is done.
    Before,
    /// All is done, and the answer is lost.
    After,
    /// Some of it is done, although a store must not do that.
    Torn,
    /// It takes its time.
    Slow,
}

/// A store between a process and its disk. When the process dies, nothing comes through any more.
#[derive(Debug)]
struct FaultyStore {
    disk: Mutex<Option<Arc<dyn Store>>>,
    faults: Mutex<Faults>,
}

#[derive(Debug)]
struct Faults {
    random: Random,
    percent: u64,
    slowness_ms: u64,
    failed_appends: u64,
}

impl FaultyStore {
    fn disk(&self) -> Result<Arc<dyn Store>, StoreError> {
        let disk = self.disk.lock().unwrap();
        disk.as_ref().map(Arc::clone).ok_or_else(|| fail("the process is gone"))
    }

    fn draw(&self) -> (Fault, Duration) {
        let mut faults = self.faults.lock().unwrap();
        let percent = faults.percent;
        if !faults.random.chance(percent) {
            return (Fault::None, Duration::ZERO);
        }
        let kinds = [Fault::Before, Fault::After, Fault::Torn, Fault::Slow];
        let fault = kinds[usize::try_from(faults.random.below(4)).unwrap()];
        let slowness_ms = faults.slowness_ms;
        (fault, Duration::from_millis(faults.random.below(slowness_ms)))
    }

    /// The way in: what goes wrong, unless it does so at once.
    async fn enter(&self) -> Result<(Arc<dyn Store>, Fault), StoreError> {
        let (fault, slowness) = self.draw();
        if matches!(fault, Fault::Slow) {
            tokio::time::sleep(slowness).await;
        }
        if matches!(fault, Fault::Before) {
            return Err(fail("before it was done"));
        }
        Ok((self.disk()?, fault))
    }

    /// The way out: an answer may be lost, and a process that is gone hears nothing.
    fn leave<T>(&self, fault: Fault, done: Result<T, StoreError>) -> Result<T, StoreError> {
        self.disk()?;
        match fault {
            Fault::None | Fault::Slow => done,
            Fault::Before | Fault::After | Fault::Torn => Err(fail("after it was done")),
        }
    }
}

fn fail(when: &str) -> StoreError {
    StoreError::Failed(format!("as told, {when}"))
}

impl Store for FaultyStore {
    fn open_or_create<'a>(
        &'a self,
        name: &'a RoomName,
        lineage: Lineage,
    ) -> BoxFuture<'a, Result<OpenedRoom, StoreError>> {
        Box::pin(async move {
            let (disk, fault) = self.enter().await?;
            self.leave(fault, disk.open_or_create(name, lineage).await)
        })
    }

    fn contains<'a>(&'a self, name: &'a RoomName) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let (disk, fault) = self.enter().await?;
            self.leave(fault, disk.contains(name).await)
        })
    }

    fn append<'a>(&'a self, lines: &'a [LogLine]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let done = async {
                let (disk, fault) = self.enter().await?;
                let torn = &lines[..lines.len() / 2];
                let lines = if matches!(fault, Fault::Torn) { torn } else { lines };
                self.leave(fault, disk.append(lines).await)
            };
            let done = done.await;
            self.faults.lock().unwrap().failed_appends += u64::from(done.is_err());
            done
        })
    }

    fn replace_snapshot(
        &self,
        room: RoomId,
        snapshot: Snapshot,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (disk, fault) = self.enter().await?;
            self.leave(fault, disk.replace_snapshot(room, snapshot).await)
        })
    }

    fn delete(&self, room: RoomId, state_vector: Bytes) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (disk, fault) = self.enter().await?;
            self.leave(fault, disk.delete(room, state_vector).await)
        })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let (disk, fault) = self.enter().await?;
            self.leave(fault, disk.sweep().await)
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What survives the process.
enum Disk {
    Memory(Arc<MemoryStore>),
    Folder { folder: TempDir, keep_log: Duration },
}

impl Disk {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => Arc::<MemoryStore>::clone(store),
            Self::Folder { folder, keep_log } => loop {
                // A call of the process that died may still be on its way out.
                match SqliteStore::open(folder.path(), *keep_log).await {
                    Ok(store) => return Arc::new(store),
                    Err(_locked) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            },
        }
    }
}

/// What a room has to be.
struct Room {
    name: RoomName,
    id: RoomId,
    /// All that was handed to the writer and not lost with a process.
    log: Vec<Bytes>,
    /// How much of it is said to be on disk.
    durable: usize,
    tombstones: usize,
    sender: mpsc::UnboundedSender<Receipt>,
    receipts: mpsc::UnboundedReceiver<Receipt>,
}

/// One process after the other on one disk.
struct Life {
    random: Random,
    disk: Disk,
    store: Arc<FaultyStore>,
    writer: LogWriter,
    rooms: Vec<Room>,
    percent: u64,
    slowness_ms: u64,
    interval: Duration,
    failed_receipts: u64,
    failed_appends: u64,
    edits: u64,
}

impl Life {
    async fn new(seed: u64, disk: Disk, slowness_ms: u64) -> Self {
        let mut random = Random::from_seed(seed);
        let percent = random.below(70);
        let faults = Faults {
            random: Random::from_seed(random.next_u64()),
            percent,
            slowness_ms,
            failed_appends: 0,
        };
        let store = Arc::new(FaultyStore {
            disk: Mutex::new(Some(disk.open().await)),
            faults: Mutex::new(faults),
        });
        let interval = Duration::from_millis(random.below(2) * random.below(slowness_ms));
        let writer = LogWriter::start(Arc::<FaultyStore>::clone(&store), interval);
        let mut this = Self {
            disk,
            store,
            writer,
            rooms: Vec::new(),
            percent,
            slowness_ms,
            interval,
            failed_receipts: 0,
            failed_appends: 0,
            edits: 0,
            random,
        };
        for name in ["a", "b", "c", "d"] {
            let name = RoomName::parse(name).unwrap();
            let id = this.open(&name).await.id;
            let (sender, receipts) = mpsc::unbounded_channel();
            let log = Vec::new();
            this.rooms.push(Room { name, id, log, durable: 0, tombstones: 0, sender, receipts });
        }
        this
    }

    /// Opens a room through the faults, as often as it takes.
    async fn open(&mut self, name: &RoomName) -> OpenedRoom {
        loop {
            let lineage = Lineage([u8::try_from(self.random.below(256)).unwrap(); 16]);
            if let Ok(opened) = self.store.open_or_create(name, lineage).await {
                return opened;
            }
        }
    }

    async fn step(&mut self) {
        let at = usize::try_from(self.random.below(self.rooms.len() as u64)).unwrap();
        match self.random.below(100) {
            0..70 => self.edit(at),
            70..85 => {
                let pause = self.random.below(self.slowness_ms);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            85..93 => self.fold(at).await,
            93..96 => self.delete(at).await,
            96..98 => {
                let _may_fail = self.store.sweep().await;
            }
            _ => self.die().await,
        }
        self.hear().await;
    }

    fn edit(&mut self, at: usize) {
        let room = &mut self.rooms[at];
        self.edits += 1;
        let update = Bytes::from(format!("edit {} in {}", self.edits, room.name));
        room.log.push(update.clone());
        let line = LogLine { room: room.id, sequence: Sequence(room.log.len() as u64), update };
        self.writer.append(line, &room.sender);
    }

    /// Each line becomes a piece, so that what is loaded can be compared.
    async fn fold(&self, at: usize) {
        let room = &self.rooms[at];
        if room.durable > 0 {
            let pieces = room.log[..room.durable].to_vec();
            let through = Sequence(room.durable as u64);
            let folded = self.store.replace_snapshot(room.id, Snapshot { through, pieces }).await;
            assert!(matches!(folded, Ok(()) | Err(StoreError::Failed(_))), "{folded:?}");
        }
    }

    async fn delete(&mut self, at: usize) {
        self.writer.flush().await;
        let (id, name) = (self.rooms[at].id, self.rooms[at].name.clone());
        while self.store.delete(id, Bytes::from_static(b"vector")).await.is_err() {}
        let opened = self.open(&name).await;
        let (sender, receipts) = mpsc::unbounded_channel();
        let room = &mut self.rooms[at];
        assert_ne!(opened.id, id);
        room.tombstones += 1;
        assert_eq!(opened.stored.tombstones.len(), room.tombstones);
        (room.id, room.durable) = (opened.id, 0);
        room.log.clear();
        (room.sender, room.receipts) = (sender, receipts);
    }

    /// The process ends in the middle of whatever it does, and another one starts.
    async fn die(&mut self) {
        *self.store.disk.lock().unwrap() = None;
        self.hear_only();
        let faults = Faults {
            random: Random::from_seed(self.random.next_u64()),
            percent: self.percent,
            slowness_ms: self.slowness_ms,
            failed_appends: 0,
        };
        self.failed_appends += self.store.faults.lock().unwrap().failed_appends;
        self.store = Arc::new(FaultyStore {
            disk: Mutex::new(Some(self.disk.open().await)),
            faults: Mutex::new(faults),
        });
        self.writer = LogWriter::start(Arc::<FaultyStore>::clone(&self.store), self.interval);
        for at in 0..self.rooms.len() {
            let stored = self.stored(at).await;
            let room = &mut self.rooms[at];
            assert!(stored.len() >= room.durable, "an acknowledged edit is gone");
            assert_eq!(stored, room.log[..stored.len()]);
            room.durable = stored.len();
            room.log = stored;
            (room.sender, room.receipts) = mpsc::unbounded_channel();
        }
    }

    /// What is on disk of a room, in order.
    async fn stored(&self, at: usize) -> Vec<Bytes> {
        let room = &self.rooms[at];
        let disk = self.store.disk().unwrap();
        let opened = disk.open_or_create(&room.name, Lineage([0; 16])).await.unwrap();
        assert_eq!(opened.id, room.id);
        let pieces = opened.stored.snapshot.map(|snapshot| snapshot.pieces).unwrap_or_default();
        let tail = opened.stored.tail.into_iter().map(|(_, update)| update);
        pieces.into_iter().chain(tail).collect()
    }

    /// Takes in the receipts, and holds them against the disk.
    async fn hear(&mut self) {
        for at in self.hear_only() {
            let stored = self.stored(at).await;
            let room = &self.rooms[at];
            assert!(stored.len() >= room.durable, "acknowledged before it was on disk");
            assert_eq!(stored, room.log[..stored.len()]);
        }
    }

    /// Says which rooms were told that something is durable.
    fn hear_only(&mut self) -> Vec<usize> {
        let mut told = Vec::new();
        for (at, room) in self.rooms.iter_mut().enumerate() {
            while let Ok(receipt) = room.receipts.try_recv() {
                match receipt {
                    Receipt::Durable(Sequence(through)) => {
                        let through = usize::try_from(through).unwrap();
                        assert!(through > room.durable && through <= room.log.len());
                        room.durable = through;
                        told.push(at);
                    }
                    Receipt::Failed(_) => self.failed_receipts += 1,
                    Receipt::Refused => panic!("a sound line was refused"),
                }
            }
        }
        told
    }

    /// The store works again: everything follows.
    async fn recover(&mut self) {
        self.store.faults.lock().unwrap().percent = 0;
        self.writer.flush().await;
        assert!(!self.writer.is_failing());
        self.hear().await;
        for at in 0..self.rooms.len() {
            assert_eq!(self.rooms[at].durable, self.rooms[at].log.len(), "all is acknowledged");
            assert_eq!(self.stored(at).await, self.rooms[at].log);
        }
        self.failed_appends += self.store.faults.lock().unwrap().failed_appends;
    }
}

/// Lives through a seed, and counts edits, failed commits, and receipts that told of them.
async fn live(seed: u64, disk: Disk, slowness_ms: u64) -> (u64, u64, u64) {
    let mut life = Life::new(seed, disk, slowness_ms).await;
    for _ in 0..STEPS {
        life.step().await;
    }
    life.recover().await;
    (life.edits, life.failed_appends, life.failed_receipts)
}

fn keep_log(seed: u64) -> Duration {
    if seed.is_multiple_of(2) { Duration::ZERO } else { Duration::from_secs(3600) }
}

#[test]
#[expect(clippy::print_stdout, reason = "how much has failed is worth a look")]
fn a_store_that_fails_in_any_way_costs_no_acknowledged_edit() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seeds = match number("COWEAVE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("COWEAVE_SEEDS").unwrap_or(SEEDS),
    };
    let mut total = (0, 0, 0);
    for seed in seeds.clone() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let disk = Disk::Memory(Arc::new(MemoryStore::keeping(keep_log(seed))));
        let life = std::panic::AssertUnwindSafe(|| runtime.block_on(live(seed, disk, 3_000)));
        let Ok(counts) = std::panic::catch_unwind(life) else {
            panic!("to replay: COWEAVE_SEED={seed} cargo test -p coweave-relay --lib faults");
        };
        total = (total.0 + counts.0, total.1 + counts.1, total.2 + counts.2);
    }
    println!("{} seeds: (edits, failed commits, receipts of failure) {total:?}", seeds.end);
    // A store that never fails proves nothing.
    assert!(seeds.end - seeds.start == 1 || (total.1 > 100 && total.2 > 100), "{total:?}");
}

#[tokio::test]
async fn a_failing_sqlite_store_costs_no_acknowledged_edit() {
    let lives = (0..SQLITE_SEEDS).map(|seed| {
        let disk = Disk::Folder { folder: TempDir::new().unwrap(), keep_log: keep_log(seed) };
        tokio::spawn(live(seed, disk, 20))
    });
    for life in join_all(lives).await {
        let (edits, ..) = life.unwrap();
        assert!(edits > 0);
    }
}
