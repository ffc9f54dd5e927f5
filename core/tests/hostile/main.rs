//! The guard and the splice against hostile and honest updates.
//!
//! `COWEAVE_FUZZ_CASES` and `COWEAVE_FUZZ_HISTORIES` set how many cases the random tests run, and
//! `COWEAVE_FUZZ_SEED` where they begin; a failure names its seed and input.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, and its numbers are small"
)]

mod bombs;
mod bytes;
mod corpus;
mod documents;
mod forms;
mod fuzz;
mod histories;
mod inputs;
mod meaning;
mod nesting;
mod reading;
mod replicas;
mod resends;
mod typing;
mod version2;
mod yjs;

/// A number from the environment of the test run.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .map_or(default, |value| value.parse().expect("a number"))
}
