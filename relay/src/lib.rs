//! The Coweave relay: a thin tokio shell around the link and room machines of `coweave-core`.
//!
//! The binary is `coweave-relay`; [`Relay`] runs the same inside another program, for tests.
//!
//! Dependencies point one way: `http` knows connections, connections know the hub, the hub knows
//! the rooms and the store. `store` and `config` know nothing of them.

mod accept;
pub mod admin;
mod allowance;
mod clock;
pub mod compactor;
pub mod config;
mod connection;
mod door;
mod files;
mod http;
mod hub;
mod log_writer;
mod origin;
mod outbox;
mod quarantine;
mod relay;
mod room_task;
pub mod store;
pub mod telemetry;
mod websocket;

pub use config::Config;
pub use relay::{Drained, Relay, StartError};
