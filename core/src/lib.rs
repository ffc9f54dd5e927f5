//! The sans-IO core of Coweave: bytes, time and randomness come in, effects come out.
//!
//! There is no socket, no clock, no thread, no async and no JavaScript value in this crate. The
//! browser (`client-wasm`) and the relay (`relay`) are thin shells that drive the machines here:
//! hand every input to `handle(input, now)`, then call `poll(now)` until it answers
//! `Output::Idle`, which says when to come back.
//!
//! * [`wire`]: bytes to messages and back (`coweave.v1` and y-websocket).
//! * [`doc`]: the guard that stands before all bytes from a peer, and the replica (the only place
//!   that names yrs).
//! * [`client`]: one browser session: a socket, its rooms, their outboxes.
//! * [`link`]: one connection on the relay: frames of either protocol to room inputs and back.
//! * [`room`]: one room on the relay: members, order, log position, acknowledgements.

pub mod client;
pub mod doc;
pub mod error;
pub mod ids;
pub mod limits;
pub mod link;
pub mod ordered;
pub mod presence;
pub mod random;
pub mod rate;
pub mod room;
pub mod time;
pub mod wire;
