//! The machines against peers that break the rules: no panic, no endless work, nobody else harmed.

#![expect(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and its numbers are small"
)]

mod aside;
mod aside_on_device;
mod client;
mod courier;
mod device;
mod device_in_doubt;
mod fuzz;
mod link;
mod page;
mod reconnection;
mod report;
mod return_of_the_relay;
mod room;
mod seeding;
mod silence;
mod tabs;
mod token;
