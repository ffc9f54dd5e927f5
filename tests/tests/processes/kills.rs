//! The relay dies while people type: what they were told is durable is on the disk, everybody
//! comes back by themselves, and all end equal. `COWEAVE_KILLS=200` for more deaths,
//! `COWEAVE_POWER_LOSSES=100` for more after which only flushed bytes are left.

use std::path::Path;
use std::time::Duration;

use coweave_core::random::Random;
use coweave_tests::disk::FaultyDisk;
use coweave_tests::relay_process::RelayProcess;
use coweave_tests::size;

use super::aside;
use super::crowd::{Crowd, check_texts};

const KILLS_IN_EACH_RUN: u64 = 10;
const POWER_LOSSES_IN_EACH_RUN: u64 = 5;
/// Small, so that logs are folded all the time.
const FLAGS: [&str; 4] = ["--tail-bytes-max", "2000", "--room-linger-ms", "200"];

fn start(data: &Path, port: u16) -> RelayProcess {
    RelayProcess::start_with(data, port, |command| {
        command.args(FLAGS);
    })
}

#[test]
fn what_was_told_durable_survives_every_kill_and_all_end_equal() {
    let kills = size("COWEAVE_KILLS", KILLS_IN_EACH_RUN);
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let mut relay = start(data.path(), 0);
        let address = relay.address;
        let crowd = Crowd::start(address, &["kitchen", "hall", "attic"]);
        let mut random = Random::from_seed(kills);
        let (mut lives, mut foldings) = (0, 0);
        let mut kill = 0;
        // On a busy machine little may happen in a life: then there are more of them.
        while kill < kills || (lives <= kills / 3 || foldings == 0) && kill < kills * 10 {
            let before = crowd.promises();
            tokio::time::sleep(Duration::from_millis(50 + random.below(500))).await;
            // Every second one while a log is being folded.
            let is_folding = aside(move || {
                let is_folding = kill % 2 == 0 && relay.wait_for_folding(Duration::from_secs(2));
                relay.kill();
                is_folding
            });
            foldings += u64::from(is_folding.await);
            // Acknowledgements that were under way count: they were sent after the flush.
            tokio::time::sleep(Duration::from_millis(20)).await;
            crowd.check_promises(data.path()).await;
            lives += u64::from(crowd.promises() > before);
            let folder = data.path().to_owned();
            relay = aside(move || start(&folder, address.port())).await;
            kill += 1;
        }
        let (edits, promises) = (crowd.edits(), crowd.promises());
        let texts = crowd.end_equal().await;
        aside(move || relay.kill()).await;
        check_texts(data.path(), &texts).await;
        println!(
            "{edits} edits, {kill} kills, {foldings} of them while a log was folded, \
             {promises} clocks told durable, {lives} lives in which some were, {} letters left",
            texts.values().map(String::len).sum::<usize>()
        );
        assert!(lives > kills / 3, "in only {lives} of {kill} lives was anything durable");
        assert!(foldings > 0, "no log was ever folded at the moment of a kill");
    });
}

#[test]
fn what_was_told_durable_survives_every_loss_of_power() {
    let folder = tempfile::tempdir().unwrap();
    let disk = match FaultyDisk::build(folder.path()) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let losses = size("COWEAVE_POWER_LOSSES", POWER_LOSSES_IN_EACH_RUN);
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let start = |port| {
            RelayProcess::start_with(data.path(), port, |command| {
                disk.amend(command.args(FLAGS));
            })
        };
        let mut relay = start(0);
        let address = relay.address;
        let crowd = Crowd::start(address, &["kitchen", "hall"]);
        let mut random = Random::from_seed(losses);
        for _ in 0..losses {
            tokio::time::sleep(Duration::from_millis(300 + random.below(700))).await;
            aside(move || relay.kill()).await;
            disk.lose_power(data.path());
            // Acknowledgements that were under way count: they were sent after the flush.
            tokio::time::sleep(Duration::from_millis(20)).await;
            crowd.check_promises(data.path()).await;
            relay = start(address.port());
        }
        let (edits, promises) = (crowd.edits(), crowd.promises());
        let texts = crowd.end_equal().await;
        aside(move || relay.kill()).await;
        disk.lose_power(data.path());
        check_texts(data.path(), &texts).await;
        println!("{edits} edits, {losses} losses of power, {promises} clocks told durable");
        assert!(promises > 0);
    });
}
