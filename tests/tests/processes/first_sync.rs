//! Ten megabytes on their way to somebody who joins: cut and resumed, and slow.
//! `COWEAVE_SYNC_MB=30` for more.

use std::time::{Duration, Instant};

use coweave_core::random::Random;
use coweave_tests::member::{Member as _, PATIENCE};
use coweave_tests::native::{NativeClient, TEXT};
use coweave_tests::proxy::Proxy;
use coweave_tests::relay_process::RelayProcess;
use coweave_tests::size;
use coweave_tests::y_member::YMember;

const ROOM: &str = "archive";
const PAGE_BYTES: usize = 100_000;
const FLAGS: [&str; 4] = ["--bytes-per-second-max", "0", "--room-bytes-max", "1000000000"];

fn start(data: &std::path::Path) -> RelayProcess {
    RelayProcess::start_with(data, 0, |command| {
        command.args(FLAGS);
    })
}

/// Text that nothing makes shorter.
fn page(random: &mut Random) -> String {
    (0..PAGE_BYTES / 16).map(|_| format!("{:016x}", random.next_u64())).collect()
}

/// A client whose document has about so many bytes, all of them durable.
async fn author(relay: &RelayProcess, bytes: usize) -> NativeClient {
    let mut random = Random::from_seed(1);
    let mut author = NativeClient::new(relay.address, ROOM, 1);
    author.live_until("it is in", |client| client.is_settled()).await;
    for _ in 0..bytes / PAGE_BYTES {
        let end = author.replica().text_length(TEXT);
        author.replica().text_insert(TEXT, end, &page(&mut random)).unwrap();
        author.live(Duration::from_millis(1)).await;
    }
    author.live_until("all is durable", |client| client.is_settled()).await;
    author
}

fn wanted_bytes() -> usize {
    usize::try_from(size("COWEAVE_SYNC_MB", 10)).unwrap() * 1_000_000
}

#[test]
fn a_first_sync_that_is_cut_three_times_goes_on_where_it_was() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start(data.path());
        let mut author = author(&relay, wanted_bytes()).await;
        let size = author.replica().state().len() as u64;
        let proxy = Proxy::start(relay.address).await;
        let mut reader = NativeClient::new(proxy.address, ROOM, 2);
        for quarter in 1..=3 {
            proxy.cut_at(size * quarter / 4);
            reader.live_until("it is cut", |_| proxy.cuts() == quarter).await;
            assert!(!reader.room().is_synced(), "cut {quarter} came too late");
        }
        reader.live_until("it is there", |reader| reader.room().is_synced()).await;
        assert!(reader.text() == author.text(), "the reader has another text");
        let received = proxy.received();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let times = received as f64 / size as f64;
        println!(
            "{size} bytes, cut three times, {} connections: {received} received, {times:.3} times",
            reader.heard.connections
        );
        assert_eq!(reader.heard.connections, 4);
        assert!(times < 1.35, "{times:.3} times the document were received");
    });
}

#[test]
fn a_first_sync_goes_on_where_it_was_although_the_relay_died() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start(data.path());
        let mut author = author(&relay, wanted_bytes()).await;
        let size = author.replica().state().len() as u64;
        let port = relay.address.port();
        let proxy = Proxy::start(relay.address).await;
        // Otherwise all of it is in the buffers of the system already.
        proxy.set_rate(size / 2);
        let mut reader = NativeClient::new(proxy.address, ROOM, 2);
        let mut outside = YMember::new(proxy.address, ROOM, 3);
        while proxy.received() < size {
            let time = Duration::from_millis(5);
            tokio::join!(reader.live(time), outside.live(time));
        }
        assert!(!reader.room().is_synced() && !outside.is_synced(), "the death came too late");
        relay.kill();
        let _relay = RelayProcess::start_with(data.path(), port, |command| {
            command.args(FLAGS);
        });
        proxy.set_rate(0);
        super::meet(&mut reader, &mut author).await;
        super::meet(&mut outside, &mut author).await;
        let received = proxy.received();
        println!("{received} bytes received for two times {size}");
        assert!(received < size * 2 * 135 / 100, "{received} bytes for two times {size}");
    });
}

#[test]
fn edits_of_others_flow_in_while_a_document_is_on_its_way_over_a_slow_line() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start(data.path());
        let bytes = wanted_bytes();
        let mut author = author(&relay, bytes).await;
        let proxy = Proxy::start(relay.address).await;
        // About four seconds.
        proxy.set_rate(bytes as u64 / 4);
        let mut reader = NativeClient::new(proxy.address, ROOM, 2);
        let mut outside = YMember::new(proxy.address, ROOM, 3);
        let started = Instant::now();
        let mut edits = 0;
        while !reader.room().is_synced() || !outside.is_synced() {
            assert!(started.elapsed() < PATIENCE, "the document never came");
            author.replica().text_insert(TEXT, 0, "news ").unwrap();
            // The other protocol may take longer.
            edits += u64::from(!reader.room().is_synced());
            let time = Duration::from_millis(50);
            tokio::join!(author.live(time), reader.live(time), outside.live(time));
        }
        super::meet(&mut author, &mut reader).await;
        super::meet(&mut author, &mut outside).await;
        let between = reader.heard.updates_in_sync;
        println!("{:?}: {edits} edits, {between} came in between", started.elapsed());
        // The last ones stand behind the document in the buffers of the system.
        assert!(between > edits / 5, "only {between} of {edits} edits came in between");
        assert_eq!((reader.heard.connections, outside.connections), (1, 1));
    });
}
