//! The machines against peers that break the rules: no panic, no endless work, nobody else harmed.

#![expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, and its numbers are small"
)]

mod aside;
mod client;
mod fuzz;
mod link;
mod report;
mod room;
mod token;
