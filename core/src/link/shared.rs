//! A message of a room on its way to its members, with the bytes that it has in each protocol: made
//! when the first member needs them, and shared by all.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::ids::Channel;
use crate::room::RoomMessage;

/// What a small message counts for, beside the bytes that it carries.
const MESSAGE_BYTES: usize = 64;

/// A message that several connections send.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    message: RoomMessage,
    /// For the channel of the first member that was sent it. Clients count their channels from 1,
    /// so most members of a room call it by the same number.
    v1: OnceLock<(Channel, Bytes)>,
    y_websocket: OnceLock<Bytes>,
}

impl Shared {
    /// A message without bytes yet.
    #[must_use]
    pub fn new(message: RoomMessage) -> Self {
        Self(Arc::new(Inner { message, v1: OnceLock::new(), y_websocket: OnceLock::new() }))
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &RoomMessage {
        &self.0.message
    }

    /// What the message takes in the queue of a connection. An answer to a join does not count: its
    /// bytes are shared with the room, and it may well be larger than a queue is allowed to be.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        let carried = match self.message() {
            RoomMessage::Update { update, .. } | RoomMessage::Presence { update } => update.len(),
            _ => 0,
        };
        carried.saturating_add(MESSAGE_BYTES)
    }

    /// The bytes in `coweave.v1` under a channel.
    pub(super) fn v1(&self, channel: Channel, write: impl Fn() -> Vec<u8>) -> Bytes {
        let (made_for, bytes) = self.0.v1.get_or_init(|| (channel, write().into()));
        if *made_for == channel { bytes.clone() } else { write().into() }
    }

    /// The bytes for y-websocket clients.
    pub(super) fn y_websocket(&self, write: impl Fn() -> Vec<u8>) -> Bytes {
        self.0.y_websocket.get_or_init(|| write().into()).clone()
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.message() == other.message()
    }
}

impl Eq for Shared {}
