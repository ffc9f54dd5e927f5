//! The disk is full, read-only, broken or slow: nothing is said to be durable that is not, people
//! see each other's edits all the while, and when the disk works again everything follows.

use std::time::{Duration, Instant};

use coweave_core::client::RoomState;
use coweave_core::error::Code;
use coweave_core::random::Random;
use coweave_tests::disk::{Fault, FaultyDisk, SmallDisk};
use coweave_tests::member::{Member as _, PATIENCE, type_something};
use coweave_tests::native::{NativeClient, TEXT};
use coweave_tests::relay_process::{RelayProcess, ask, relay_command};
use coweave_tests::y_member::YMember;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::Mutex;

const ROOM: &str = "ledger";

/// Three people in a room, one of them over y-websocket.
struct People {
    ann: NativeClient,
    ben: NativeClient,
    cat: YMember,
    random: Random,
}

impl People {
    fn new(relay: &RelayProcess) -> Self {
        Self {
            ann: NativeClient::new(relay.address, ROOM, 1),
            ben: NativeClient::new(relay.address, ROOM, 2),
            cat: YMember::new(relay.address, ROOM, 3),
            random: Random::from_seed(1),
        }
    }

    async fn live(&mut self, ms: u64) {
        let time = Duration::from_millis(ms);
        tokio::join!(self.ann.live(time), self.ben.live(time), self.cat.live(time));
    }

    /// Everybody types a little.
    async fn type_for(&mut self, turns: usize) {
        for _ in 0..turns {
            type_something(self.ann.replica(), &mut self.random);
            type_something(self.ben.replica(), &mut self.random);
            type_something(self.cat.replica(), &mut self.random);
            self.live(10).await;
        }
    }

    async fn until(&mut self, what: &str, is_true: impl Fn(&mut Self) -> bool) -> Duration {
        let started = Instant::now();
        while !is_true(self) {
            assert!(started.elapsed() < PATIENCE, "still not: {what}");
            self.live(10).await;
        }
        started.elapsed()
    }

    fn are_equal(&mut self) -> bool {
        let text = self.ann.text();
        self.ben.text() == text && self.cat.text() == text
    }

    fn are_settled(&self) -> bool {
        self.ann.is_settled() && self.ben.is_settled()
    }

    fn degraded(&self) -> [Option<Code>; 2] {
        [&self.ann, &self.ben].map(|client| client.room().degraded().map(|error| error.code))
    }
}

/// Lets a disk fail under people who type, and work again.
async fn fail_and_recover(
    relay: RelayProcess,
    data: &std::path::Path,
    name: &str,
    fail: impl AsyncFnOnce(),
    repair: impl AsyncFnOnce(),
) {
    let mut people = People::new(&relay);
    people.type_for(20).await;
    people.until("all is durable", |people| people.are_settled()).await;
    assert_eq!(people.degraded(), [None, None]);

    fail().await;
    people.type_for(1).await;
    let told_degraded = [Some(Code::RelayDegraded), Some(Code::RelayDegraded)];
    people.until("they are told", |people| people.degraded() == told_degraded).await;
    let durable = [people.ann.room().durable(), people.ben.room().durable()];
    people.type_for(100).await;
    people.until("they see each other's edits", People::are_equal).await;
    assert_eq!(people.degraded(), told_degraded, "the disk still fails");
    let now_durable = [people.ann.room().durable(), people.ben.room().durable()];
    assert_eq!(now_durable, durable, "nothing can be durable");
    assert_eq!(ask(relay.address, "GET", "/readyz", "").await.unwrap().0, 503);
    assert_eq!(ask(relay.address, "GET", "/healthz", "").await.unwrap().0, 200);
    // Somebody asks for a room that would have to be made.
    let mut dan = NativeClient::new(relay.address, "a new room", 4);
    dan.live(Duration::from_millis(300)).await;
    assert_ne!(dan.room().state(), &RoomState::Live);

    repair().await;
    let took = people.until("the acknowledgements follow", |people| people.are_settled()).await;
    people
        .until("they are told that all is well", |people| people.degraded() == [None, None])
        .await;
    dan.live_until("the new room is there", |dan| dan.is_settled()).await;
    people.until("they are equal", People::are_equal).await;
    assert_eq!([people.ann.heard.connections, people.ben.heard.connections], [1, 1]);
    assert_eq!(ask(relay.address, "GET", "/readyz", "").await.unwrap().0, 200);
    let text = people.ann.text();
    relay.kill();
    assert!(super::on_disk(data, ROOM).await.text_string(TEXT) == text, "the disk has less");
    println!("{name}: all was durable {took:?} after the disk worked again");
}

/// A disk that can be told to fail, or nothing with a printed reason.
fn faulty_disk(folder: &TempDir) -> Option<FaultyDisk> {
    FaultyDisk::build(folder.path()).map_err(|why| println!("skipped: {why}")).ok()
}

fn start_on(disk: &FaultyDisk, data: &TempDir, flags: &[&str]) -> RelayProcess {
    RelayProcess::start_with(data.path(), 0, |command| {
        disk.amend(command.args(flags));
    })
}

#[test]
fn a_disk_that_fails_costs_no_edit_and_no_false_promise() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = faulty_disk(&folder) else { return };
    for fault in [Fault::Full, Fault::ReadOnly, Fault::Broken] {
        super::run(async {
            let data = tempfile::tempdir().unwrap();
            let relay = start_on(&disk, &data, &[]);
            let (fail, repair) = (async || disk.set(fault), async || disk.set(Fault::None));
            fail_and_recover(relay, data.path(), &format!("{fault:?}"), fail, repair).await;
        });
    }
}

#[test]
fn a_full_file_system_costs_no_edit_and_no_false_promise() {
    let disk = match SmallDisk::mount(4 << 20) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    super::run(async {
        let data = disk.path().join("data");
        let relay = RelayProcess::start(&data, 0);
        fail_and_recover(relay, &data, "a full tmpfs", async || disk.fill(), async || disk.clear())
            .await;
    });
}

#[test]
fn a_store_that_a_tool_holds_locked_costs_no_edit_and_no_false_promise() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path(), 0);
        let options = SqliteConnectOptions::new().filename(data.path().join("coweave.sqlite3"));
        let tool = Mutex::new(SqliteConnection::connect_with(&options).await.unwrap());
        let say = async |sql: &'static str| {
            sqlx::raw_sql(sql).execute(&mut *tool.lock().await).await.unwrap();
        };
        let (fail, repair) =
            (async || say("BEGIN IMMEDIATE").await, async || say("ROLLBACK").await);
        fail_and_recover(relay, data.path(), "a locked database", fail, repair).await;
    });
}

#[test]
fn a_database_that_is_taken_away_and_put_back_costs_no_edit_and_no_false_promise() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path(), 0);
        let (here, there) = (data.path().join("coweave.sqlite3"), data.path().join("elsewhere"));
        let fail = async || std::fs::rename(&here, &there).unwrap();
        let repair = async || std::fs::rename(&there, &here).unwrap();
        fail_and_recover(relay, data.path(), "a database that was away", fail, repair).await;
    });
}

/// A relay ends at once, and says why in one sentence that holds these words.
fn does_not_start(data: &std::path::Path, words: [&str; 2]) {
    let output = relay_command(data, 0).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_read_only_folder_is_told_at_the_start() {
    let disk = match SmallDisk::mount(4 << 20) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let data = disk.path().join("data");
    drop(RelayProcess::start(&data, 0));
    disk.make_read_only();
    does_not_start(&data, ["the data folder", "Read-only file system"]);
}

#[test]
fn a_file_system_that_is_full_at_the_start_is_told() {
    let disk = match SmallDisk::mount(4 << 20) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let data = disk.path().join("data");
    drop(RelayProcess::start(&data, 0));
    disk.fill();
    does_not_start(&data, ["cannot be opened", "full"]);
    disk.clear();
    drop(RelayProcess::start(&data, 0));
}

#[test]
fn a_flush_of_a_second_holds_up_acknowledgements_and_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = faulty_disk(&folder) else { return };
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start_on(&disk, &data, &[]);
        let mut people = People::new(&relay);
        people.type_for(20).await;
        people.until("all is durable", |people| people.are_settled()).await;
        disk.set(Fault::SlowFlush(1_000));
        let mut latencies = Vec::new();
        for turn in 0..30 {
            let word = format!("<{turn}>");
            people.ann.replica().text_insert(TEXT, 0, &word).unwrap();
            let seen = |people: &mut People| {
                people.ben.text().contains(&word) && people.cat.text().contains(&word)
            };
            latencies.push(people.until("the others see it", seen).await);
        }
        let written = Instant::now();
        people.ann.replica().text_insert(TEXT, 0, "last").unwrap();
        people.live(1).await;
        assert!(!people.ann.is_settled());
        people.until("it is durable", |people| people.are_settled()).await;
        let durable_after = written.elapsed();
        latencies.sort_unstable();
        let median = latencies[latencies.len() / 2];
        println!("others see an edit after {median:?}; it is durable after {durable_after:?}");
        // Who waits for the disk waits for about a second.
        assert!(median < Duration::from_millis(500));
        assert!(durable_after >= Duration::from_secs(1), "it was told before it was flushed");
        disk.set(Fault::None);
        relay.kill();
        let stored = super::on_disk(data.path(), ROOM).await.text_string(TEXT);
        assert!(stored == people.ann.text(), "the disk has less");
    });
}

#[test]
fn a_flush_of_many_seconds_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = faulty_disk(&folder) else { return };
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start_on(&disk, &data, &[]);
        let mut people = People::new(&relay);
        people.type_for(20).await;
        people.until("all is durable", |people| people.are_settled()).await;
        disk.set(Fault::SlowFlush(6_000));
        people.type_for(1).await;
        let told_degraded = [Some(Code::RelayDegraded), Some(Code::RelayDegraded)];
        people.until("they are told", |people| people.degraded() == told_degraded).await;
        assert!(!people.are_settled());
        people.type_for(20).await;
        people.until("they see each other's edits", People::are_equal).await;
        disk.set(Fault::None);
        people.until("it is durable", |people| people.are_settled()).await;
        let well = |people: &mut People| people.degraded() == [None, None];
        people.until("they are told that all is well", well).await;
    });
}

#[test]
fn what_does_not_fit_into_memory_while_the_disk_fails_waits_at_its_author() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = faulty_disk(&folder) else { return };
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start_on(&disk, &data, &["--undurable-bytes-max", "65536"]);
        let mut people = People::new(&relay);
        people.type_for(5).await;
        people.until("all is durable", |people| people.are_settled()).await;
        disk.set(Fault::Full);
        let page = "0123456789".repeat(1_000);
        for _ in 0..30 {
            people.ann.replica().text_insert(TEXT, 0, &page).unwrap();
            people.live(10).await;
        }
        people.until("what fits is there", |people| people.ben.text().len() >= 50_000).await;
        people.live(500).await;
        let there = people.ben.text().len();
        assert!((50_000..100_000).contains(&there), "{there} bytes fitted into 65,536");
        disk.set(Fault::None);
        people.until("all is durable", |people| people.are_settled()).await;
        people.until("they are equal", People::are_equal).await;
        assert!(people.ben.text().len() > 300_000);
        relay.kill();
        let stored = super::on_disk(data.path(), ROOM).await.text_string(TEXT);
        assert!(stored == people.ann.text(), "the disk has less");
    });
}
