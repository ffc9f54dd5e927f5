//! The browser shell around [`coweave_core::client`]: it gives the session machine a socket,
//! timers and IndexedDB, and shows it to JavaScript as six classes.
//!
//! Nothing is decided here. Every input goes through `Shell::handle`, which hands it to the machine
//! and carries out what the machine wants. The app's own functions are never called
//! from Rust: events wait in a batch until the npm package takes them with `Client.drain`.
//!
//! The classes are an interface of the npm package alone, which checks all arguments before.

mod batch;
mod browser_tabs;
mod client;
mod clock;
mod connection;
mod copies;
mod debug;
mod device_aside;
mod device_database;
mod device_log;
mod device_rows;
mod device_schema;
mod device_store;
mod error;
mod keeper;
mod node;
mod past;
mod random;
mod room;
mod shell;
mod socket;
mod state;
mod timer;
mod undo;
mod view;

pub use client::Client;
pub use keeper::Keeper;
pub use node::Node;
pub use past::Past;
pub use room::Room;
pub use undo::Undo;
