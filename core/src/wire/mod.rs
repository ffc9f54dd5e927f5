//! Bytes to messages and back. Decoders read hostile bytes: they never panic, never recurse over
//! input and never allocate by a declared count.

pub mod awareness;
pub mod primitive;
pub mod v1;
pub mod y_websocket;
