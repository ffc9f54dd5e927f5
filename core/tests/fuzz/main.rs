//! Hostile bytes by the million, for everything that reads bytes of a peer: no panic, no call above
//! 50 ms, no memory above 64 times the input and 1 MiB.
//!
//! `COWEAVE_FUZZ=10000000` runs so many inputs, and `COWEAVE_FUZZ_SEED` says where they begin. A
//! failure is made small and names its seed; it belongs into the corpus of `hostile`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic and measure, and its numbers are small"
)]

#[path = "../hostile/bytes.rs"]
#[expect(dead_code, reason = "the tests of `hostile` use more of it")]
mod bytes;
#[path = "../hostile/documents.rs"]
#[expect(dead_code, reason = "the tests of `hostile` use more of it")]
mod documents;
#[path = "../hostile/inputs.rs"]
mod inputs;
mod large;
mod measure;
#[path = "../hostile/reading.rs"]
mod reading;
#[path = "../hostile/replicas.rs"]
mod replicas;
mod session;
mod targets;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use coweave_core::random::Random;

use inputs::{CLASSES, Class};
use targets::{Bench, Target};

/// How many inputs an ordinary run takes.
const INPUTS: u64 = 40_000;
/// One in so many inputs is large.
const LARGE_EVERY: u64 = 3_989;
/// Larger inputs are not made small: a seed names them well enough.
const SMALL_BYTES_MAX: usize = 1 << 14;
/// A run ends when it found so many.
const FINDINGS_MAX: usize = 10;

/// A number from the environment of the test run.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .map_or(default, |value| value.parse().expect("a number"))
}

/// What went wrong with an input.
fn failure(bench: &Bench, target: Target, input: &[u8], seed: u64) -> Option<String> {
    let run = || bench.run(target, input, &mut Random::from_seed(!seed));
    let panicked = catch_unwind(AssertUnwindSafe(run)).err()?;
    let text = panicked.downcast_ref::<String>().cloned();
    text.or_else(|| panicked.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .or_else(|| Some("a panic without a text".to_owned()))
}

/// The input without what its failure does not need.
fn made_small(mut input: Vec<u8>, fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut len = input.len() / 2;
    while len > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut less = input.clone();
            less.drain(at..(at + len).min(input.len()));
            if fails(&less) {
                input = less;
            } else {
                at += len;
            }
        }
        len /= 2;
    }
    input
}

#[test]
fn no_hostile_input_panics_hangs_or_fills_the_memory() {
    let inputs = setting("COWEAVE_FUZZ", INPUTS);
    let first = setting("COWEAVE_FUZZ_SEED", 1);
    let benches = Bench::all();
    let mut tally: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut findings = Vec::new();
    // Whatever panics is caught and told at the end.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let watchdog = measure::Watchdog::start();
    for seed in first..first + inputs {
        watchdog.begin(seed);
        let (bench, target, class) = plan(&benches, seed);
        let input = bench.input(target, class, &mut Random::from_seed(seed));
        let count = tally.entry(format!("{target:?} {class:?}")).or_default();
        count.0 += 1;
        count.1 += u64::from(bench.is_taken(target, &input));
        if let Some(what) = failure(bench, target, &input, seed) {
            let fails = |input: &[u8]| failure(bench, target, input, seed).is_some();
            let is_large = input.len() > SMALL_BYTES_MAX;
            let small = if is_large { Vec::new() } else { made_small(input, fails) };
            findings.push(format!("seed {seed}, {target:?} {class:?}: {what}: {small:02x?}"));
        }
        if findings.len() == FINDINGS_MAX {
            break;
        }
    }
    watchdog.stop();
    std::panic::set_hook(hook);
    if inputs > INPUTS {
        let mut out = std::io::stdout();
        for (name, (count, taken)) in &tally {
            writeln!(out, "{name}: {count} inputs, {taken} taken").expect("standard output");
        }
        writeln!(out, "{}", measure::report()).expect("standard output");
        let (compared, other) = (benches[0].compared.get(), benches[0].contradictory.get());
        writeln!(out, "{compared} documents squeezed, {other} contradictory")
            .expect("standard output");
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    let [basic, _] = &benches;
    assert!(
        basic.contradictory.get() * 1_000 <= basic.compared.get() + 1_000,
        "contradictory documents"
    );
    // The inputs must reach what lies behind the first check.
    for (name, (count, taken)) in &tally {
        let is_rich = !name.ends_with("Random") && !name.ends_with("Truncated");
        assert!(
            !is_rich || *count < 1_000 || taken * 1_000 > *count,
            "{name}: {taken} of {count} were taken"
        );
    }
}

/// Six of ten inputs are updates, and a few of them large; each class and alphabet has its turn.
fn plan(benches: &[Bench; 2], seed: u64) -> (&Bench, Target, Class) {
    let target = match seed % 10 {
        _ if seed.is_multiple_of(LARGE_EVERY) => Target::LargeUpdate,
        0..=5 => Target::Update,
        6 => Target::YWebsocket,
        7 => Target::V1,
        8 => Target::StateVector,
        _ => match seed / 120 % 8 {
            0 | 1 => Target::Awareness,
            2 => Target::Version2,
            3 => Target::Snapshot,
            4 => Target::Past,
            5 => Target::Stored,
            _ => Target::Tab,
        },
    };
    let class = CLASSES[(seed / 10) as usize % CLASSES.len()];
    (&benches[(seed / 60) as usize % 2], target, class)
}
