//! A reader stops reading while a page is written over and over: the relay's memory stays flat,
//! the others notice nothing, and the reader ends equal. `COWEAVE_OVERWRITTEN_MB=200` for more.

use std::path::Path;
use std::time::{Duration, Instant};

use coweave_tests::member::{Member, PATIENCE, overwrite};
use coweave_tests::native::NativeClient;
use coweave_tests::relay_process::RelayProcess;
use coweave_tests::size;
use coweave_tests::y_member::YMember;

const ROOM: &str = "blackboard";
const PAGE_BYTES: usize = 100_000;
const MB_IN_EACH_RUN: u64 = 20;
/// Overwrites before the reader stops: what a relay in use takes.
const WARM_UP: usize = 60;
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// Two who are not to notice anything: one writes, the other one reads.
struct Others {
    writer: NativeClient,
    reader: NativeClient,
    pages: usize,
}

impl Others {
    fn new(relay: &RelayProcess) -> Self {
        let client = |id| NativeClient::new(relay.address, ROOM, id);
        Self { writer: client(1), reader: client(2), pages: 0 }
    }

    /// Overwrites the page, and says how long it took until the other one had it.
    async fn turn(&mut self) -> Duration {
        self.pages += 1;
        let head = format!("page {} ", self.pages);
        let page = head.repeat(PAGE_BYTES / head.len());
        overwrite(self.writer.replica(), &page);
        let started = Instant::now();
        while self.reader.text() != page {
            assert!(started.elapsed() < PATIENCE, "the page never came");
            let time = Duration::from_millis(1);
            tokio::join!(self.writer.live(time), self.reader.live(time));
        }
        started.elapsed()
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn start(data: &Path) -> RelayProcess {
    RelayProcess::start_with(data, 0, |command| {
        command.args(["--bytes-per-second-max", "0", "--keep-log-ms", "0"]);
    })
}

async fn stop_reading<M: Member>(new: impl FnOnce(std::net::SocketAddr) -> M, name: &str) -> M {
    let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (relay, other_relay) = (start(data.path()), start(elsewhere.path()));
    let (mut others, mut undisturbed) = (Others::new(&relay), Others::new(&other_relay));
    let mut stuck = new(relay.address);
    for _ in 0..WARM_UP {
        others.turn().await;
        undisturbed.turn().await;
        stuck.live(Duration::from_millis(5)).await;
    }
    let page = others.writer.text();
    stuck.live_until("it is there", |stuck| stuck.text() == page).await;
    let memory_before = relay.usage().memory_kib;
    let (mut during, mut usual, mut memory_most) = (Vec::new(), Vec::new(), 0);
    let pages = usize::try_from(size("COWEAVE_OVERWRITTEN_MB", MB_IN_EACH_RUN)).unwrap()
        * 1_000_000
        / PAGE_BYTES;
    for _ in 0..pages {
        during.push(others.turn().await);
        // Whatever else the machine does at this time, it does to both.
        usual.push(undisturbed.turn().await);
        memory_most = relay.usage().memory_kib.max(memory_most);
    }
    let page = others.writer.text();
    stuck.live_until("it has caught up", |stuck| stuck.text() == page).await;
    others.turn().await;
    let page = others.writer.text();
    stuck.live_until("it gets what is new", |stuck| stuck.text() == page).await;
    let (usual, during) = (median(usual), median(during));
    println!(
        "{name}: {pages} overwrites; memory {memory_before} KiB, at most {memory_most} KiB; \
         median latency {during:?} while it did not read, {usual:?} where all read"
    );
    assert!(memory_most < memory_before + GROWTH_KIB_MAX, "the relay grew");
    assert!(during < usual * 2 + Duration::from_millis(10), "the others noticed");
    stuck
}

#[test]
fn a_v1_reader_that_stops_hurts_nobody_and_catches_up() {
    super::run(async {
        let stuck = stop_reading(|address| NativeClient::new(address, ROOM, 3), "v1").await;
        println!("{} connections, {} bytes", stuck.heard.connections, stuck.heard.bytes);
    });
}

#[test]
fn a_y_websocket_reader_that_stops_hurts_nobody_and_catches_up() {
    super::run(async {
        let stuck = stop_reading(|address| YMember::new(address, ROOM, 3), "y-websocket").await;
        println!("{} connections", stuck.connections);
    });
}
