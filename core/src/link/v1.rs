//! The relay's side of one `coweave.v1` connection.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{Heartbeat, Input, Output, RoomRequest, close_code, oversized_frame, text_frame};
use crate::error::{Code, Error};
use crate::ids::{Channel, EditNumber, RoomName, SessionKey};
use crate::limits::Limits;
use crate::rate::Bucket;
use crate::room::{JoinRequest, Protocol, RoomMessage};
use crate::time::{Time, earliest};
use crate::wire::awareness;
use crate::wire::primitive::{len_u64, write_var};
use crate::wire::v1::{Hello, Join, Joined, Message, VERSION, Welcome, read_frame};

/// Small messages are gathered into frames of about this size.
const GATHER_BYTES: usize = 32 << 10;
/// What the relay calls itself.
const AGENT: &str = concat!("coweave-relay/", env!("CARGO_PKG_VERSION"));

#[derive(Debug)]
pub(super) struct V1Link {
    limits: Limits,
    session: Option<SessionKey>,
    hello_by: Time,
    /// What was sent before the session was known.
    hello_bytes: usize,
    joins: Bucket,
    heartbeat: Heartbeat,
    /// The rooms of this connection, by channel.
    rooms: BTreeMap<Channel, RoomName>,
    /// Messages that wait to become one frame.
    gathered: Vec<u8>,
    outputs: VecDeque<Output>,
    is_closed: bool,
}

impl V1Link {
    pub(super) fn new(limits: Limits, now: Time) -> Self {
        Self {
            session: None,
            hello_by: now + limits.hello_timeout,
            hello_bytes: 0,
            joins: Bucket::per_minute(limits.joins_per_minute_max, now),
            heartbeat: Heartbeat::new(limits.idle_timeout, now),
            limits,
            rooms: BTreeMap::new(),
            gathered: Vec::new(),
            outputs: VecDeque::new(),
            is_closed: false,
        }
    }

    pub(super) fn frame_bytes_max(&self) -> usize {
        let most = self.limits.frame_bytes_max;
        if self.is_greeted() { most } else { most.min(self.limits.hello_bytes_max) }
    }

    pub(super) const fn is_greeted(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn handle(&mut self, input: Input, now: Time) {
        if self.is_closed {
            return;
        }
        match input {
            Input::Frame(frame) => {
                self.heartbeat.heard(now);
                self.frame(&frame, now);
            }
            Input::Alive => self.heartbeat.heard(now),
            Input::TextFrame => self.fail(text_frame()),
            Input::OversizedFrame if !self.is_greeted() => self.fail_hello(),
            Input::OversizedFrame => self.fail(oversized_frame(&self.limits)),
            Input::Room { channel, message } => self.room(channel, message),
            Input::TooSlow => {
                let text = "this connection reads too slowly; it catches up when it comes back";
                self.fail(Error::new(Code::ConnectionTooSlow, text));
            }
            Input::Drain { retry_after_ms } => {
                let error = Error::new(Code::RelayDraining, "the relay is shutting down");
                self.fail(error.with_retry_after_ms(retry_after_ms));
            }
        }
    }

    pub(super) fn poll(&mut self, now: Time) -> Output {
        if !self.is_closed {
            if self.session.is_none() && now >= self.hello_by {
                self.fail(Error::new(
                    Code::ConnectionHelloTimeout,
                    "no hello message came in time",
                ));
            } else if self.heartbeat.is_over(now) {
                self.fail(Error::new(Code::ConnectionIdle, "nothing was heard for too long"));
            } else if self.heartbeat.wants_ping(now) {
                self.outputs.push_back(Output::Ping);
            }
        }
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if !self.gathered.is_empty() {
            return Output::Frame(std::mem::take(&mut self.gathered).into());
        }
        let hello_by = self.session.is_none().then_some(self.hello_by);
        let wake = earliest(hello_by, Some(self.heartbeat.wake()));
        Output::Idle { wake: wake.filter(|_| !self.is_closed) }
    }

    fn send(&mut self, channel: Channel, message: &Message) {
        message.write(channel, &mut self.gathered);
        if self.gathered.len() >= GATHER_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            let frame = std::mem::take(&mut self.gathered).into();
            self.outputs.push_back(Output::Frame(frame));
        }
    }

    /// Ends the connection: the typed error first, because a browser does not show more than the
    /// close code otherwise.
    fn fail(&mut self, error: Error) {
        let code = error.code;
        self.send(Channel::CONNECTION, &Message::Error(error));
        self.flush();
        self.outputs.push_back(Output::Close { code: close_code(code), reason: code.as_str() });
        self.is_closed = true;
    }

    fn fail_hello(&mut self) {
        let most = self.limits.hello_bytes_max;
        let text = format!("before its hello a client sends at most {most} bytes");
        self.fail(Error::new(Code::ConnectionHelloTooLarge, text));
    }

    fn frame(&mut self, frame: &Bytes, now: Time) {
        if !self.is_greeted() {
            self.hello_bytes = self.hello_bytes.saturating_add(frame.len());
            if self.hello_bytes > self.limits.hello_bytes_max {
                return self.fail_hello();
            }
        }
        let messages = match read_frame(frame) {
            Ok(messages) => messages,
            Err(error) => {
                let text = format!("the frame cannot be read: {error}");
                return self.fail(Error::new(Code::FrameMalformed, text));
            }
        };
        for (channel, message) in messages {
            if self.is_closed {
                return;
            }
            let result = if channel == Channel::CONNECTION {
                self.connection_message(message)
            } else if let Some(session) = self.session {
                self.room_message(session, channel, message, now)
            } else {
                Err(unexpected("the first message has to be hello"))
            };
            if let Err(error) = result {
                self.fail(error);
            }
        }
    }

    fn connection_message(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Hello(hello) if self.session.is_none() => self.hello(&hello),
            _ if self.session.is_none() => Err(unexpected("the first message has to be hello")),
            Message::Ping(number) => {
                self.send(Channel::CONNECTION, &Message::Pong(number));
                Ok(())
            }
            Message::Pong(_) => Ok(()),
            _ => Err(unexpected("this message does not belong to the connection")),
        }
    }

    fn hello(&mut self, hello: &Hello) -> Result<(), Error> {
        if hello.version == 0 {
            let text = format!("this relay speaks versions 1 to {VERSION} of the protocol");
            return Err(Error::new(Code::ProtocolUnsupported, text));
        }
        self.session = Some(hello.session);
        let ms = u64::try_from(self.limits.idle_timeout.as_millis()).unwrap_or(u64::MAX);
        let welcome = Welcome {
            version: hello.version.min(VERSION),
            capabilities: 0,
            frame_bytes_max: self.limits.frame_bytes_max as u64,
            update_bytes_max: self.limits.update_bytes_max as u64,
            idle_timeout_ms: ms,
            agent: AGENT.to_owned(),
        };
        self.send(Channel::CONNECTION, &Message::Welcome(welcome));
        Ok(())
    }

    fn room_message(
        &mut self,
        session: SessionKey,
        channel: Channel,
        message: Message,
        now: Time,
    ) -> Result<(), Error> {
        if let Message::Join(join) = message {
            return self.join(session, channel, join, now);
        }
        if !self.rooms.contains_key(&channel) {
            // The membership may have ended while this was on its way.
            let error = Error::new(Code::RoomNotJoined, "no room was joined under this channel");
            self.send(channel, &Message::Error(error));
            return Ok(());
        }
        let request = match message {
            Message::Leave => {
                self.rooms.remove(&channel);
                RoomRequest::Leave
            }
            Message::Edit { number, kind, update } => RoomRequest::Edit { number, kind, update },
            Message::SetPresence(state) => match self.check_presence(state) {
                Ok(state) => RoomRequest::SetPresence(state),
                Err(error) => {
                    self.send(channel, &Message::Refused { number: EditNumber(0), error });
                    return Ok(());
                }
            },
            _ => return Err(unexpected("this message does not come from a client")),
        };
        self.outputs.push_back(Output::Room { channel, request });
        Ok(())
    }

    fn check_presence(&self, state: Option<String>) -> Result<Option<String>, Error> {
        state.map_or(Ok(None), |json| awareness::check_state(&json, &self.limits))
    }

    fn join(
        &mut self,
        session: SessionKey,
        channel: Channel,
        join: Join,
        now: Time,
    ) -> Result<(), Error> {
        if self.rooms.contains_key(&channel) {
            return Err(unexpected("the channel is in use"));
        }
        let room = if let Some(at) = self.joins.wait(now) {
            let text = "rooms are joined too often over this connection";
            let ms = u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX);
            Err(Error::new(Code::RoomTooOften, text).with_retry_after_ms(ms))
        } else if self.rooms.len() >= self.limits.rooms_per_connection_max {
            let most = self.limits.rooms_per_connection_max;
            let text = format!("one connection joins at most {most} rooms");
            Err(Error::new(Code::RoomTooMany, text))
        } else {
            RoomName::parse(&join.room)
        };
        match room {
            Ok(room) => {
                self.joins.take(1, now);
                self.rooms.insert(channel, room.clone());
                let request = Box::new(JoinRequest {
                    session,
                    client: Some(join.client),
                    lineage: join.lineage,
                    epoch: join.epoch,
                    sequence: join.sequence,
                    state_vector: join.state_vector,
                    protocol: Protocol::V1,
                });
                let request = RoomRequest::Join { room, request };
                self.outputs.push_back(Output::Room { channel, request });
            }
            Err(error) => self.send(channel, &Message::Error(error)),
        }
        Ok(())
    }

    fn room(&mut self, channel: Channel, message: RoomMessage) {
        if !self.rooms.contains_key(&channel) {
            return;
        }
        let message = match message {
            RoomMessage::Joined { joined, updates } => {
                return self.joined(channel, joined, &updates);
            }
            RoomMessage::Update { sequence, update } => Message::Update { sequence, update },
            RoomMessage::Ack { accepted, durable, sequence } => {
                Message::Ack { accepted, durable, sequence }
            }
            RoomMessage::Refused { number, error } => Message::Refused { number, error },
            RoomMessage::Presence { entries } => {
                Message::Presence(awareness::write(&entries).into())
            }
            RoomMessage::Durability { degraded } => Message::Durability { degraded },
            RoomMessage::End { error } => {
                self.rooms.remove(&channel);
                let request = RoomRequest::Leave;
                self.outputs.push_back(Output::Room { channel, request });
                Message::Error(error)
            }
            // Answers to requests that this protocol does not have.
            RoomMessage::Difference { .. } | RoomMessage::AskDifference { .. } => return,
        };
        self.send(channel, &message);
    }

    fn joined(&mut self, channel: Channel, joined: Joined, updates: &[Bytes]) {
        let mut stream = Vec::new();
        for update in updates {
            write_var(&mut stream, len_u64(update));
            stream.extend_from_slice(update);
        }
        let sync_bytes = len_u64(&stream);
        self.send(channel, &Message::Joined(Joined { sync_bytes, ..joined }));
        let stream = Bytes::from(stream);
        let mut at = 0;
        while at < stream.len() {
            let end = stream.len().min(at + self.limits.sync_chunk_bytes.max(1));
            self.send(channel, &Message::Sync(stream.slice(at..end)));
            at = end;
        }
    }
}

fn unexpected(text: &str) -> Error {
    Error::new(Code::FrameUnexpected, text)
}
