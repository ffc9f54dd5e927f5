//! WebSockets by RFC 6455, the server's side: the opening handshake, the bytes of a client to
//! messages, and a socket that holds no buffers while nothing moves.
//!
//! "Frame" means here what the RFC means; elsewhere in this project it is a whole message.

#[cfg(test)]
mod autobahn;
mod decoder;
pub(crate) mod handshake;
mod outgoing;
mod socket;

pub(crate) use socket::{Event, Socket};
