//! What the tests across the parts share: the simulated world, a native client, recorded histories.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "test support may panic and print; a failure has to stop the test"
)]

pub mod history;
pub mod native;
pub mod simulation;
