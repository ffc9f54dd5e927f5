//! What the tests across the parts share: the simulated world, real processes, real clients, and
//! recorded histories.

pub mod disk;
pub mod history;
pub mod member;
pub mod native;
pub mod proxy;
pub mod relay_process;
pub mod simulation;
pub mod y_member;

/// The size of a test: small in each run, larger when this variable of the environment says so.
///
/// # Panics
/// When the variable is there and no number.
#[must_use]
pub fn size(variable: &str, in_each_run: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} has to be a number")),
        Err(_) => in_each_run,
    }
}
