//! Everything at once: disks that fail, lines that are cut, deaths and losses of power, in an order
//! from a seed. `COWEAVE_BLOWS=300` for more of them, `COWEAVE_SEED=7` for another order.

use std::time::Duration;

use coweave_core::random::Random;
use coweave_tests::disk::{Fault, FaultyDisk};
use coweave_tests::proxy::Proxy;
use coweave_tests::relay_process::RelayProcess;
use coweave_tests::size;

use super::aside;
use super::crowd::{Crowd, check_texts};

const BLOWS_IN_EACH_RUN: u64 = 15;

#[test]
fn whatever_comes_together_no_promise_is_broken_and_all_end_equal() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match FaultyDisk::build(folder.path()) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let (blows, seed) = (size("COWEAVE_BLOWS", BLOWS_IN_EACH_RUN), size("COWEAVE_SEED", 1));
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let start = |port| {
            disk.set(Fault::None);
            RelayProcess::start_with(data.path(), port, |command| {
                let flags = ["--tail-bytes-max", "4000", "--room-linger-ms", "100"];
                disk.amend(command.args(flags).args(["--undurable-bytes-max", "65536"]));
            })
        };
        let mut relay = start(0);
        let port = relay.address.port();
        let proxy = Proxy::start(relay.address).await;
        let crowd = Crowd::start(proxy.address, &["port", "starboard"]);
        let mut random = Random::from_seed(seed);
        let (mut deaths, mut cuts, mut faults) = (0, 0, 0);
        for _ in 0..blows {
            tokio::time::sleep(Duration::from_millis(random.below(400))).await;
            match random.below(9) {
                0..3 => {
                    deaths += 1;
                    aside(move || relay.kill()).await;
                    if random.chance(50) {
                        disk.lose_power(data.path());
                    }
                    // Acknowledgements that were under way count: they were sent after the flush.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    crowd.check_promises(data.path()).await;
                    relay = start(port);
                }
                3..5 => {
                    cuts += 1;
                    proxy.cut_at(proxy.received() + random.below(5_000));
                }
                5 => disk.set(Fault::None),
                kind => {
                    faults += 1;
                    let ms = u32::try_from(random.below(600)).unwrap();
                    let slow = Fault::SlowFlush(ms);
                    disk.set(
                        [Fault::Full, Fault::Broken, slow][usize::try_from(kind - 6).unwrap()],
                    );
                }
            }
        }
        disk.set(Fault::None);
        let (edits, promises) = (crowd.edits(), crowd.promises());
        let texts = crowd.end_equal().await;
        aside(move || relay.kill()).await;
        check_texts(data.path(), &texts).await;
        println!(
            "seed {seed}: {edits} edits, {deaths} deaths, {cuts} cuts, {faults} faults, \
             {promises} clocks told durable"
        );
    });
}
