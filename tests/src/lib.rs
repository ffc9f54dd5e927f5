//! What the tests across the parts share: the simulated world, a native client, recorded histories.

pub mod history;
pub mod native;
pub mod simulation;
