//! Messages as they stand in a frame, for those who pass them on.

use bytes::Bytes;

use super::{ERROR, HELLO, LEAVE, PING, PONG, WELCOME};
use crate::ids::Channel;
use crate::wire::primitive::{ReadError, Reader, write_bytes, write_var};

/// A message whose body nobody has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    kind: u64,
    /// The room, or the connection.
    pub channel: Channel,
    body: Bytes,
}

impl Raw {
    /// Appends the message to a frame, under this channel.
    pub fn write(&self, channel: Channel, out: &mut Vec<u8>) {
        write(self.kind, channel, &self.body, out);
    }

    /// Whether it is the first message of a client.
    #[must_use]
    pub const fn is_hello(&self) -> bool {
        self.kind == HELLO
    }

    /// Whether it is the relay's answer to that.
    #[must_use]
    pub const fn is_welcome(&self) -> bool {
        self.kind == WELCOME
    }

    /// Whether a client leaves the room with it.
    #[must_use]
    pub const fn is_leave(&self) -> bool {
        self.kind == LEAVE
    }

    /// Whether the relay ends the room or the connection with it.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        self.kind == ERROR
    }

    /// The number of a ping.
    #[must_use]
    pub fn ping(&self) -> Option<u64> {
        self.number_of(PING)
    }

    /// The number of a pong.
    #[must_use]
    pub fn pong(&self) -> Option<u64> {
        self.number_of(PONG)
    }

    fn number_of(&self, kind: u64) -> Option<u64> {
        (self.kind == kind).then(|| Reader::new(&self.body).var().unwrap_or_default())
    }
}

/// Cuts a frame into its messages.
///
/// # Errors
/// When the frame is empty or cannot be cut.
pub fn cut(frame: &Bytes) -> Result<Vec<Raw>, ReadError> {
    let mut r = Reader::new(frame);
    let mut messages = Vec::with_capacity(1);
    loop {
        let (kind, channel) = (r.var()?, Channel(r.var_u32()?));
        messages.push(Raw { kind, channel, body: frame.slice_ref(r.bytes()?) });
        if r.is_empty() {
            return Ok(messages);
        }
    }
}

/// Appends the word that a client leaves a room.
pub fn write_leave(channel: Channel, out: &mut Vec<u8>) {
    write(LEAVE, channel, &[], out);
}

/// Appends a ping.
pub fn write_ping(number: u64, out: &mut Vec<u8>) {
    write_number(PING, number, out);
}

/// Appends a pong.
pub fn write_pong(number: u64, out: &mut Vec<u8>) {
    write_number(PONG, number, out);
}

fn write_number(kind: u64, number: u64, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    write_var(&mut body, number);
    write(kind, Channel::CONNECTION, &body, out);
}

fn write(kind: u64, channel: Channel, body: &[u8], out: &mut Vec<u8>) {
    write_var(out, kind);
    write_var(out, u64::from(channel.0));
    write_bytes(out, body);
}
