//! `coweave.v1`: many rooms over one WebSocket.
//!
//! A frame is one or more messages; a message is `varUint type, varUint channel, varBytes body`.
//! Channel 0 is the connection, every other one a room that the client joined under that number.
//! A message of a type that the reader does not know is skipped; a body may grow at its end, and a
//! reader ignores what it does not know there. A frame that cannot be cut into messages is refused
//! as a whole.

#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod raw;

use bytes::Bytes;

use crate::error::{Code, Error};
use crate::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, Sequence, SessionKey};
use crate::wire::primitive::{ReadError, Reader, write_bytes, write_string, write_var};

/// The WebSocket subprotocol.
pub const SUBPROTOCOL: &str = "coweave.v1";
/// The protocol version that this code speaks.
pub const VERSION: u64 = 1;

const HELLO: u64 = 1;
const WELCOME: u64 = 2;
const JOIN: u64 = 3;
const JOINED: u64 = 4;
const LEAVE: u64 = 5;
const SYNC: u64 = 6;
const EDIT: u64 = 7;
const UPDATE: u64 = 8;
const ACK: u64 = 9;
const REFUSED: u64 = 10;
const SET_PRESENCE: u64 = 11;
const PRESENCE: u64 = 12;
const ERROR: u64 = 13;
const PING: u64 = 14;
const PONG: u64 = 15;
const DURABILITY: u64 = 16;
const SEED: u64 = 17;
const SEEDED: u64 = 18;
const FLUSH: u64 = 19;
const FLUSHED: u64 = 20;
const TOKEN: u64 = 21;
const TOKEN_ACCEPTED: u64 = 22;
const ROLE: u64 = 23;

/// One message, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Client to relay, first of all.
    Hello(Hello),
    /// Relay to client, the answer to `Hello`.
    Welcome(Welcome),
    /// Client to relay: enter a room under this channel.
    Join(Join),
    /// Relay to client: the answer to `Join`; `Sync` messages follow until `sync_bytes` are sent.
    Joined(Joined),
    /// Client to relay: leave the room. The relay sends nothing more on the channel.
    Leave,
    /// Relay to client: the next piece of the first sync, a stream of `varBytes update`.
    Sync(Bytes),
    /// Client to relay: own edits.
    Edit {
        /// The client's number of the last edit inside.
        number: EditNumber,
        /// How the relay has to look at the update.
        kind: EditKind,
        /// A Yjs v1 update.
        update: Bytes,
    },
    /// Relay to client: an update of somebody else.
    Update {
        /// Its place in the room's log.
        sequence: Sequence,
        /// A Yjs v1 update.
        update: Bytes,
    },
    /// Relay to client: how far the client's own edits have come.
    Ack {
        /// All edits up to this number are in the room's order and on their way to the others.
        accepted: EditNumber,
        /// All edits up to this number are flushed to the relay's disk.
        durable: EditNumber,
        /// The place in the room's log that this client has now seen, when nothing is missing.
        sequence: Sequence,
    },
    /// Relay to client: this edit and its content were not taken.
    Refused {
        /// The number of the refused edit; 0 for a presence state.
        number: EditNumber,
        /// Why.
        error: Error,
    },
    /// Client to relay: the client's own presence as JSON; `None` says goodbye.
    SetPresence(Option<String>),
    /// Relay to client: presence states that changed, as an awareness update of y-protocols.
    Presence(Bytes),
    /// Relay to client: the room (or, on channel 0, the connection) ends for this reason.
    Error(Error),
    /// Either side: answer with `Pong` and the same number.
    Ping(u64),
    /// The answer to `Ping`.
    Pong(u64),
    /// Relay to client: whether edits reach the disk at the moment.
    Durability {
        /// `None` when all is well, else why acknowledgements wait.
        degraded: Option<Error>,
    },
    /// Client to relay: the first content of the room, unless there is some already. Comes back as
    /// an update like everybody else's.
    Seed(Bytes),
    /// Relay to client: whether the content of `Seed` became the first, or why it was not taken.
    Seeded(Result<bool, Error>),
    /// Client to relay: answer when everything in the room's order is on disk.
    Flush(u64),
    /// The answer to `Flush`, with the same number.
    Flushed(u64),
    /// Client to relay, on channel 0: a new token in place of the one that is about to expire.
    Token(String),
    /// Relay to client: the new token counts.
    TokenAccepted {
        /// How long, in milliseconds; 0 for ever.
        life_ms: u64,
    },
    /// Relay to client: what the client may do in the room from here on.
    Role(Role),
}

/// What a member may do in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    #[default]
    Editor,
    /// Read, and show presence.
    Viewer,
}

impl Role {
    const fn byte(self) -> u8 {
        match self {
            Self::Editor => 0,
            Self::Viewer => 1,
        }
    }

    /// A role of a newer version may do what is sure: read.
    const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Editor,
            _ => Self::Viewer,
        }
    }
}

/// How the relay has to look at an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// Live edits of this client.
    Live,
    /// What the relay does not have, whoever wrote it.
    Difference,
}

/// The first message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The highest version the client speaks.
    pub version: u64,
    /// Capability bits; none are defined yet.
    pub capabilities: u64,
    /// Says that a new connection replaces an older one of the same session.
    pub session: SessionKey,
    /// A token, or nothing.
    pub token: String,
    /// Name and version of the software, for logs.
    pub agent: String,
}

/// The relay's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version both sides speak from here on.
    pub version: u64,
    /// Capability bits; none are defined yet.
    pub capabilities: u64,
    /// The largest frame the relay takes, in bytes.
    pub frame_bytes_max: u64,
    /// The largest update the relay takes, in bytes.
    pub update_bytes_max: u64,
    /// Silence after which the relay gives the connection up, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Name and version of the software, for logs.
    pub agent: String,
    /// How long the token of the hello counts, in milliseconds; 0 for ever.
    pub token_life_ms: u64,
}

/// A request to enter a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The room; checked by the receiver.
    pub room: String,
    /// The client id that this session writes under.
    pub client: ClientId,
    /// The history that the client's copy has, when it has one.
    pub lineage: Option<Lineage>,
    /// Where in the log the client's copy stands: everything up to `sequence` is in it.
    pub epoch: Epoch,
    /// See `epoch`; 0 when unknown.
    pub sequence: Sequence,
    /// State vector of the client's copy, encoded as in Yjs.
    pub state_vector: Bytes,
}

/// The relay's answer to [`Join`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The history of the stored room.
    pub lineage: Lineage,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The place in the log that the client reaches with the first sync.
    pub sequence: Sequence,
    /// How many bytes of `Sync` follow.
    pub sync_bytes: u64,
    /// State vector of the room, encoded as in Yjs: what it lacks, the client has to send.
    pub state_vector: Bytes,
    /// What the client may do.
    pub role: Role,
}

impl Message {
    /// Appends the message for a channel to a frame.
    pub fn write(&self, channel: Channel, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let kind = self.write_body(&mut body);
        write_var(out, kind);
        write_var(out, u64::from(channel.0));
        write_bytes(out, &body);
    }

    /// A frame with only this message.
    #[must_use]
    pub fn to_frame(&self, channel: Channel) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(channel, &mut out);
        out
    }

    fn write_body(&self, out: &mut Vec<u8>) -> u64 {
        match self {
            Self::Hello(hello) => {
                write_hello(hello, out);
                HELLO
            }
            Self::Welcome(welcome) => {
                write_welcome(welcome, out);
                WELCOME
            }
            Self::Join(join) => {
                write_join(join, out);
                JOIN
            }
            Self::Joined(joined) => {
                write_joined(joined, out);
                JOINED
            }
            Self::Leave => LEAVE,
            Self::Sync(piece) => {
                out.extend_from_slice(piece);
                SYNC
            }
            Self::Edit { number, kind, update } => {
                write_var(out, number.0);
                out.push(match kind {
                    EditKind::Live => 0,
                    EditKind::Difference => 1,
                });
                write_bytes(out, update);
                EDIT
            }
            Self::Update { sequence, update } => {
                write_var(out, sequence.0);
                write_bytes(out, update);
                UPDATE
            }
            Self::Ack { accepted, durable, sequence } => {
                write_var(out, accepted.0);
                write_var(out, durable.0);
                write_var(out, sequence.0);
                ACK
            }
            Self::Refused { number, error } => {
                write_var(out, number.0);
                write_error(error, out);
                REFUSED
            }
            Self::SetPresence(state) => {
                write_string(out, state.as_deref().unwrap_or("null"));
                SET_PRESENCE
            }
            Self::Presence(update) => {
                out.extend_from_slice(update);
                PRESENCE
            }
            Self::Error(error) => {
                write_error(error, out);
                ERROR
            }
            Self::Ping(number) => write_number(PING, *number, out),
            Self::Pong(number) => write_number(PONG, *number, out),
            Self::Durability { degraded } => {
                out.push(u8::from(degraded.is_some()));
                degraded.iter().for_each(|error| write_error(error, out));
                DURABILITY
            }
            Self::Seed(update) => {
                write_bytes(out, update);
                SEED
            }
            Self::Seeded(result) => {
                out.push(result.as_ref().map_or(2, |is_first| u8::from(*is_first)));
                result.as_ref().err().into_iter().for_each(|error| write_error(error, out));
                SEEDED
            }
            Self::Flush(number) => write_number(FLUSH, *number, out),
            Self::Flushed(number) => write_number(FLUSHED, *number, out),
            Self::Token(token) => {
                write_string(out, token);
                TOKEN
            }
            Self::TokenAccepted { life_ms } => write_number(TOKEN_ACCEPTED, *life_ms, out),
            Self::Role(role) => {
                out.push(role.byte());
                ROLE
            }
        }
    }

    fn read(kind: u64, body: &Bytes) -> Result<Option<Self>, ReadError> {
        let mut r = Reader::new(body);
        let slice = |part: &[u8]| body.slice_ref(part);
        Ok(Some(match kind {
            HELLO => Self::Hello(Hello {
                version: r.var()?,
                capabilities: r.var()?,
                session: SessionKey(read_16(&mut r)?),
                token: r.string()?.to_owned(),
                agent: r.string()?.to_owned(),
            }),
            WELCOME => Self::Welcome(Welcome {
                version: r.var()?,
                capabilities: r.var()?,
                frame_bytes_max: r.var()?,
                update_bytes_max: r.var()?,
                idle_timeout_ms: r.var()?,
                agent: r.string()?.to_owned(),
                // Older relays say no more.
                token_life_ms: if r.is_empty() { 0 } else { r.var()? },
            }),
            JOIN => Self::Join(read_join(&mut r, body)?),
            JOINED => Self::Joined(Joined {
                lineage: Lineage(read_16(&mut r)?),
                epoch: Epoch(r.var()?),
                sequence: Sequence(r.var()?),
                sync_bytes: r.var()?,
                state_vector: slice(r.bytes()?),
                role: if r.is_empty() { Role::Editor } else { Role::of(r.u8()?) },
            }),
            LEAVE => Self::Leave,
            SYNC => Self::Sync(body.clone()),
            EDIT => Self::Edit {
                number: EditNumber(r.var()?),
                kind: match r.u8()? {
                    0 => EditKind::Live,
                    1 => EditKind::Difference,
                    _ => return Err(ReadError::Range),
                },
                update: slice(r.bytes()?),
            },
            UPDATE => Self::Update { sequence: Sequence(r.var()?), update: slice(r.bytes()?) },
            ACK => Self::Ack {
                accepted: EditNumber(r.var()?),
                durable: EditNumber(r.var()?),
                sequence: Sequence(r.var()?),
            },
            REFUSED => Self::Refused { number: EditNumber(r.var()?), error: read_error(&mut r)? },
            SET_PRESENCE => {
                let text = r.string()?;
                Self::SetPresence((text != "null").then(|| text.to_owned()))
            }
            PRESENCE => Self::Presence(body.clone()),
            ERROR => Self::Error(read_error(&mut r)?),
            PING => Self::Ping(r.var()?),
            PONG => Self::Pong(r.var()?),
            DURABILITY => Self::Durability {
                degraded: match r.u8()? {
                    0 => None,
                    1 => Some(read_error(&mut r)?),
                    _ => return Err(ReadError::Range),
                },
            },
            SEED => Self::Seed(slice(r.bytes()?)),
            SEEDED => Self::Seeded(match r.u8()? {
                0 => Ok(false),
                1 => Ok(true),
                2 => Err(read_error(&mut r)?),
                _ => return Err(ReadError::Range),
            }),
            FLUSH => Self::Flush(r.var()?),
            FLUSHED => Self::Flushed(r.var()?),
            TOKEN => Self::Token(r.string()?.to_owned()),
            TOKEN_ACCEPTED => Self::TokenAccepted { life_ms: r.var()? },
            ROLE => Self::Role(Role::of(r.u8()?)),
            _ => return Ok(None),
        }))
    }
}

/// Messages in one frame, many times what this code gathers into one. A message takes three bytes
/// on the wire and a hundred in memory.
const MESSAGES_MAX: usize = 1 << 16;

/// Cuts a frame into its messages. Messages of unknown types are left out.
///
/// # Errors
/// When the frame is empty, cannot be cut, has more than 65,536 messages, or a known message cannot
/// be read; then nothing of the frame may be used.
pub fn read_frame(frame: &Bytes) -> Result<Vec<(Channel, Message)>, ReadError> {
    let mut r = Reader::new(frame);
    // Most frames are one message, and space for more of them is large.
    let mut messages = Vec::with_capacity(1);
    loop {
        let kind = r.var()?;
        let channel = Channel(r.var_u32()?);
        let body = frame.slice_ref(r.bytes()?);
        if let Some(message) = Message::read(kind, &body)? {
            messages.push((channel, message));
        }
        if messages.len() > MESSAGES_MAX {
            return Err(ReadError::Range);
        }
        if r.is_empty() {
            return Ok(messages);
        }
    }
}

/// The body of a message that is one number.
fn write_number(kind: u64, number: u64, out: &mut Vec<u8>) -> u64 {
    write_var(out, number);
    kind
}

fn write_hello(hello: &Hello, out: &mut Vec<u8>) {
    write_var(out, hello.version);
    write_var(out, hello.capabilities);
    out.extend_from_slice(&hello.session.0);
    write_string(out, &hello.token);
    write_string(out, &hello.agent);
}

fn write_welcome(welcome: &Welcome, out: &mut Vec<u8>) {
    write_var(out, welcome.version);
    write_var(out, welcome.capabilities);
    write_var(out, welcome.frame_bytes_max);
    write_var(out, welcome.update_bytes_max);
    write_var(out, welcome.idle_timeout_ms);
    write_string(out, &welcome.agent);
    write_var(out, welcome.token_life_ms);
}

fn write_join(join: &Join, out: &mut Vec<u8>) {
    write_string(out, &join.room);
    write_var(out, join.client.get());
    match join.lineage {
        None => out.push(0),
        Some(lineage) => {
            out.push(1);
            out.extend_from_slice(&lineage.0);
        }
    }
    write_var(out, join.epoch.0);
    write_var(out, join.sequence.0);
    write_bytes(out, &join.state_vector);
}

fn write_joined(joined: &Joined, out: &mut Vec<u8>) {
    out.extend_from_slice(&joined.lineage.0);
    write_var(out, joined.epoch.0);
    write_var(out, joined.sequence.0);
    write_var(out, joined.sync_bytes);
    write_bytes(out, &joined.state_vector);
    out.push(joined.role.byte());
}

fn read_join(r: &mut Reader<'_>, body: &Bytes) -> Result<Join, ReadError> {
    Ok(Join {
        room: r.string()?.to_owned(),
        client: ClientId::new(r.var()?).ok_or(ReadError::Range)?,
        lineage: match r.u8()? {
            0 => None,
            1 => Some(Lineage(read_16(r)?)),
            _ => return Err(ReadError::Range),
        },
        epoch: Epoch(r.var()?),
        sequence: Sequence(r.var()?),
        state_vector: body.slice_ref(r.bytes()?),
    })
}

pub(crate) fn write_error(error: &Error, out: &mut Vec<u8>) {
    write_string(out, error.code.as_str());
    write_string(out, &error.message);
    match error.retry_after_ms {
        None => out.push(0),
        Some(ms) => {
            out.push(1);
            write_var(out, ms);
        }
    }
}

pub(crate) fn read_error(r: &mut Reader<'_>) -> Result<Error, ReadError> {
    let code = Code::parse(r.string()?);
    let message = r.string()?.to_owned();
    let retry_after_ms = match r.u8()? {
        0 => None,
        1 => Some(r.var()?),
        _ => return Err(ReadError::Range),
    };
    Ok(Error { code, message, retry_after_ms })
}

fn read_16(r: &mut Reader<'_>) -> Result<[u8; 16], ReadError> {
    r.take(16)?.try_into().map_err(|_wrong_length| ReadError::End)
}
