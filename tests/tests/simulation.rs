//! Thousands of simulated worlds: whatever happens, all end equal and no promise is broken.
//!
//! `COWEAVE_SEED=17 cargo test -p coweave-tests --test simulation` replays one world;
//! `COWEAVE_SEEDS=20000` runs more of them, `COWEAVE_FIRST_SEED=20000` others.

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use coweave_tests::simulation::{Plan, Report, World};

const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn all_end_equal_and_every_acknowledgement_is_honoured() {
    if let Some(seed) = number("COWEAVE_SEED") {
        let plan = Plan::from_seed(seed);
        println!("{plan:?}");
        println!("{:?}", World::new(plan).run());
        return;
    }
    let seeds = number("COWEAVE_SEEDS").unwrap_or(SEEDS);
    let first = number("COWEAVE_FIRST_SEED").unwrap_or(0);
    let next = AtomicU64::new(first);
    let total = Mutex::new(Report::default());
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    match catch_unwind(|| World::new(Plan::from_seed(seed)).run()) {
                        Ok(report) => add(&mut total.lock().unwrap(), &report),
                        Err(_) => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let total = total.into_inner().unwrap();
    println!("{seeds} worlds: {total:?}");
    for seed in &failed {
        println!("to replay: COWEAVE_SEED={seed} cargo test -p coweave-tests --test simulation");
    }
    assert!(failed.is_empty(), "{} of {seeds} seeds failed: {failed:?}", failed.len());
    // A simulation in which nothing happens proves nothing.
    for (what, count) in [
        ("edits", total.edits),
        ("relay crashes", total.relay_crashes),
        ("client crashes", total.client_crashes),
        ("cuts", total.cuts),
        ("dead lines", total.swallowed),
        ("disk failures", total.disk_failures),
        ("storage losses", total.storage_losses),
        ("drains", total.drains),
        ("folds", total.device.folds),
        ("failed loads", total.device.failed_loads),
        ("failed writes", total.device.failed_writes),
        ("writes told as failed", total.device.ambiguous_writes),
        ("writes done after they failed", total.device.late_writes),
        ("emptied rooms", total.device.emptied),
        ("damaged rows", total.device.damaged),
        ("restored rooms", total.device.restored),
        ("elections", total.elections),
        ("traps", total.traps),
        ("hostile frames", total.hostile_frames),
        ("stalled readers", total.stalls),
        ("members that fell behind", total.fallen_behind),
        ("folded logs", total.relay_folds),
        ("deleted rooms", total.deletions),
        ("copies of deleted rooms", total.deleted_copies),
        ("first templates", total.seeded),
        ("flushes", total.flushed),
        ("rooms carried", total.carried),
    ] {
        assert!(count > seeds / 50, "only {count} {what} in {seeds} worlds");
    }
    let asides = total.device.failed_asides;
    assert!(asides > seeds / 500, "only {asides} copies could not be set aside in {seeds} worlds");
}

fn add(total: &mut Report, report: &Report) {
    total.edits += report.edits;
    total.relay_crashes += report.relay_crashes;
    total.client_crashes += report.client_crashes;
    total.cuts += report.cuts;
    total.swallowed += report.swallowed;
    total.disk_failures += report.disk_failures;
    total.storage_losses += report.storage_losses;
    total.drains += report.drains;
    total.device.add(&report.device);
    total.elections += report.elections;
    total.traps += report.traps;
    total.hostile_frames += report.hostile_frames;
    total.stalls += report.stalls;
    total.fallen_behind += report.fallen_behind;
    total.relay_folds += report.relay_folds;
    total.deletions += report.deletions;
    total.deleted_copies += report.deleted_copies;
    total.seeded += report.seeded;
    total.flushed += report.flushed;
    total.carried += report.carried;
    total.letters += report.letters;
}
