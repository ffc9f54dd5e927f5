//! The relay is told to stop while people type: it sends them away, loses nothing, and the next
//! one goes on where it was.

use std::time::{Duration, Instant};

use coweave_tests::member::{Member as _, PATIENCE};
use coweave_tests::native::NativeClient;
use coweave_tests::relay_process::RelayProcess;
use tokio::net::TcpStream;

use super::aside;
use super::crowd::{Crowd, check_texts};

const ROOMS: [&str; 8] =
    ["north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"];
/// Put into every room before: whoever syncs anew has to take this.
const PAGE_BYTES: usize = 200_000;

#[test]
fn a_relay_told_to_stop_loses_nothing_and_the_next_one_goes_on_where_it_was() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path(), 0);
        let address = relay.address;
        for (id, room) in (1_000..).zip(ROOMS) {
            let mut author = NativeClient::new(address, room, id);
            coweave_tests::member::overwrite(author.replica(), &"x".repeat(PAGE_BYTES));
            author.tick();
            author.live_until("it is durable", |author| author.is_settled()).await;
        }
        let crowd = Crowd::start(address, &ROOMS);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = crowd.seen_by_all().await;
        assert!(before.values().all(|seen| seen.heard.connections == 1));

        relay.signal("TERM");
        let told_at = Instant::now();
        while TcpStream::connect(address).await.is_ok() {
            assert!(told_at.elapsed() < Duration::from_secs(3), "it still accepts connections");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (status, log) = aside(move || relay.end()).await;
        let took = told_at.elapsed();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(took < Duration::from_secs(10), "it took {took:?}");
        // The last words are on their way to clients that share a busy machine.
        let mut waits: Vec<_> = Vec::new();
        while waits.len() < before.len() && told_at.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
            waits = crowd.seen().into_values().filter_map(|seen| seen.sent_away_for).collect();
        }
        waits.sort_unstable();
        assert_eq!(waits.len(), before.len(), "not all were sent away");
        let spread = *waits.last().unwrap() - waits[0];
        assert!(spread > Duration::from_millis(500), "all come back within {spread:?}");
        crowd.check_promises(data.path()).await;

        let folder = data.path().to_owned();
        let relay = aside(move || RelayProcess::start(&folder, address.port())).await;
        let after = crowd.seen_by_all().await;
        for (place, before) in &before {
            let after = &after[place];
            assert_eq!(after.epoch, before.epoch, "{place:?} is in another epoch");
            let synced = after.heard.sync_bytes - before.heard.sync_bytes;
            assert!(synced < PAGE_BYTES as u64 / 4, "{place:?} took {synced} bytes anew");
        }
        let (edits, promises) = (crowd.edits(), crowd.promises());
        let texts = crowd.end_equal().await;
        aside(move || relay.kill()).await;
        check_texts(data.path(), &texts).await;
        println!(
            "{edits} edits, {promises} clocks told durable; it ended after {took:?} and sent \
             {} clients away for {:?} to {:?}",
            waits.len(),
            waits[0],
            waits.last().unwrap()
        );
    });
}

#[test]
fn a_second_signal_ends_it_at_once_and_loses_nothing_durable() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path(), 0);
        let address = relay.address;
        // It reads nothing any more, so an orderly end has to wait for it.
        let mut stuck = NativeClient::new(address, "north", 99);
        stuck.live_until("it is in", |client| client.is_settled()).await;
        let crowd = Crowd::start(address, &["north", "south"]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        relay.signal("TERM");
        // Two signals of a kind can become one before anybody has seen the first.
        while !relay.log().contains("stopping") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let told_at = Instant::now();
        relay.signal("TERM");
        let (status, log) = aside(move || relay.end()).await;
        let took = told_at.elapsed();
        assert_eq!(status.code(), Some(1), "{log}");
        // A patient relay would wait for two seconds.
        assert!(took < Duration::from_millis(1_500), "it took {took:?}");
        crowd.check_promises(data.path()).await;
        let folder = data.path().to_owned();
        let relay = aside(move || RelayProcess::start(&folder, address.port())).await;
        drop(stuck);
        let texts = crowd.end_equal().await;
        aside(move || relay.kill()).await;
        check_texts(data.path(), &texts).await;
        println!("it ended {took:?} after the second signal");
    });
}
