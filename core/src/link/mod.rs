//! One connection on the relay: frames of its protocol to room inputs, room messages to frames.
//! A pure machine: the relay's connection task drives it on tokio, the simulation in a loop.

mod shared;
mod v1;
mod y_websocket;

use std::time::Duration;

use bytes::Bytes;

pub use shared::Shared;

use crate::error::{Code, Error};
use crate::ids::{Channel, EditNumber, RoomName, SessionKey};
use crate::limits::Limits;
use crate::room::JoinRequest;
use crate::time::Time;
use crate::wire::awareness::AwarenessEntry;
use crate::wire::v1::EditKind;

/// What happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A binary frame arrived.
    Frame(Bytes),
    /// A text frame arrived; no protocol here uses them.
    TextFrame,
    /// A frame above the limit began to arrive; the transport cannot read on.
    OversizedFrame,
    /// The transport saw a sign of life (a WebSocket ping or pong).
    Alive,
    /// Some more of a frame arrived.
    Partial,
    /// A room speaks to this connection.
    Room {
        /// The channel that the room was entered under.
        channel: Channel,
        /// What it says.
        message: Shared,
    },
    /// The queue towards the peer is over its limit.
    TooSlow,
    /// The relay is shutting down.
    Drain {
        /// How long the peer should wait before it comes back, in milliseconds.
        retry_after_ms: u64,
    },
}

/// What a connection wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send a binary frame.
    Frame(Bytes),
    /// Hand this to a room. The shell keeps, for each channel, the room and the member id it
    /// drew at `Join`, and forgets them at `Leave`.
    Room {
        /// Which of the connection's rooms.
        channel: Channel,
        /// What for.
        request: RoomRequest,
    },
    /// Send a transport-level ping.
    Ping,
    /// Close the connection after what was sent so far. The last output.
    Close {
        /// WebSocket close code.
        code: u16,
        /// The text form of the error code; ASCII, short.
        reason: &'static str,
    },
    /// Nothing more to do before this time, or before the next input.
    Idle {
        /// When to call `poll` again.
        wake: Option<Time>,
    },
}

/// What a connection wants of a room: [`crate::room::Input`] without the member, which the shell adds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomRequest {
    /// Enter.
    Join {
        /// The room.
        room: RoomName,
        /// What it asks for.
        request: Box<JoinRequest>,
    },
    /// Leave.
    Leave,
    /// Edit.
    Edit {
        /// The sender's number.
        number: EditNumber,
        /// Live edit or difference.
        kind: EditKind,
        /// The update, not checked yet.
        update: Bytes,
    },
    /// Show presence under the joined client id.
    SetPresence(Option<String>),
    /// Show presence under own clocks.
    Awareness(Vec<AwarenessEntry>),
    /// Bring the first content.
    Seed {
        /// The update, not checked yet.
        update: Bytes,
    },
    /// Ask to be told when everything is on disk.
    Flush {
        /// The sender's number.
        number: u64,
    },
    /// Ask for what a state vector lacks.
    Query {
        /// The state vector, encoded.
        state_vector: Bytes,
    },
}

/// The machine of one connection, whatever its protocol.
#[derive(Debug)]
pub struct Link(Kind);

#[derive(Debug)]
enum Kind {
    V1(v1::V1Link),
    YWebsocket(y_websocket::YWebsocketLink),
}

impl Link {
    /// A connection that speaks `coweave.v1`.
    #[must_use]
    pub fn v1(limits: Limits, now: Time) -> Self {
        Self(Kind::V1(v1::V1Link::new(limits, now)))
    }

    /// A connection of a y-websocket client for the room in its path. The key stands in for the
    /// session that the protocol does not have; it has to be random.
    #[must_use]
    pub fn y_websocket(room: RoomName, session: SessionKey, limits: Limits, now: Time) -> Self {
        Self(Kind::YWebsocket(y_websocket::YWebsocketLink::new(room, session, limits, now)))
    }

    /// How large a frame of the peer may be at the moment: before its hello it gets little room.
    #[must_use]
    pub fn frame_bytes_max(&self) -> usize {
        match &self.0 {
            Kind::V1(link) => link.frame_bytes_max(),
            Kind::YWebsocket(link) => link.frame_bytes_max(),
        }
    }

    /// Whether the peer has said what it is here for.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        match &self.0 {
            Kind::V1(link) => link.is_greeted(),
            Kind::YWebsocket(link) => link.is_greeted(),
        }
    }

    /// Takes an input. After `Close` was given, inputs are ignored.
    pub fn handle(&mut self, input: Input, now: Time) {
        match &mut self.0 {
            Kind::V1(link) => link.handle(input, now),
            Kind::YWebsocket(link) => link.handle(input, now),
        }
    }

    /// The next frame of a document on its way to the peer. To be asked for when all that was sent
    /// before is written: so one such frame is in memory, however large the document is, and what
    /// is said meanwhile goes in between.
    pub fn next_piece(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Kind::V1(link) => link.next_piece(),
            Kind::YWebsocket(link) => link.next_piece(),
        }
    }

    /// Whether messages of rooms may be handed in: what a member missed must not be overtaken, and
    /// neither must the document in a protocol without places in the log.
    #[must_use]
    pub fn takes_messages(&self) -> bool {
        match &self.0 {
            Kind::V1(link) => !link.is_catching_up(),
            Kind::YWebsocket(link) => !link.has_pieces(),
        }
    }

    /// What to do next; call again until it answers [`Output::Idle`] or [`Output::Close`].
    pub fn poll(&mut self, now: Time) -> Output {
        match &mut self.0 {
            Kind::V1(link) => link.poll(now),
            Kind::YWebsocket(link) => link.poll(now),
        }
    }
}

/// When to ask for a sign of life, and when to give up.
#[derive(Debug)]
struct Heartbeat {
    idle_timeout: Duration,
    heard_at: Time,
    pinged_at: Time,
}

impl Heartbeat {
    const fn new(idle_timeout: Duration, now: Time) -> Self {
        Self { idle_timeout, heard_at: now, pinged_at: now }
    }

    const fn heard(&mut self, now: Time) {
        self.heard_at = now;
    }

    fn is_over(&self, now: Time) -> bool {
        now.since(self.heard_at) >= self.idle_timeout
    }

    fn wants_ping(&mut self, now: Time) -> bool {
        let is_due = now >= self.ping_at();
        if is_due {
            self.pinged_at = now;
        }
        is_due
    }

    fn ping_at(&self) -> Time {
        self.heard_at.max(self.pinged_at) + self.idle_timeout / 3
    }

    fn wake(&self) -> Time {
        self.ping_at().min(self.heard_at + self.idle_timeout)
    }
}

/// The WebSocket close code for an error. y-websocket clients take 4400 to 4499 as final and
/// come back after all others; a `coweave.v1` client reads the error message instead.
const fn close_code(code: Code) -> u16 {
    match code {
        Code::FrameTooLarge | Code::ConnectionHelloTooLarge => 1009,
        Code::RelayDraining => 1012,
        Code::ConnectionTooSlow | Code::RoomFull | Code::RelayDegraded => 1013,
        Code::RelayInternal | Code::RoomUnavailable | Code::RoomDamaged => 1011,
        Code::RoomDeleted => 4404,
        Code::ConnectionIdle | Code::ConnectionHelloTimeout => 4000,
        _ => 4400,
    }
}

fn text_frame() -> Error {
    Error::new(Code::FrameUnexpected, "text frames are not used here")
}

fn oversized_frame(limits: &Limits) -> Error {
    let text = format!("a frame has at most {} bytes", limits.frame_bytes_max);
    Error::new(Code::FrameTooLarge, text)
}
