//! The relay's side of one `coweave.v1` connection.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::{
    Heartbeat, Input, Output, RoomRequest, Shared, close_code, oversized_frame, text_frame,
};
use crate::error::{Code, Error};
use crate::ids::{Channel, EditNumber, RoomName, Sequence, SessionKey};
use crate::limits::Limits;
use crate::rate::Bucket;
use crate::room::{JoinRequest, Protocol, RoomMessage};
use crate::time::{Time, earliest};
use crate::wire::awareness;
use crate::wire::primitive::{len_u64, var_len, write_var};
use crate::wire::v1::{Hello, Join, Joined, Message, VERSION, Welcome, read_frame};

/// Small messages are gathered into frames of about this size.
const GATHER_BYTES: usize = 32 << 10;
/// How often a peer hears that a large frame of it is arriving.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(2);
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
    /// When the peer last saw, or is about to see, that its bytes arrive.
    shown_at: Time,
    /// The rooms of this connection, by channel.
    rooms: BTreeMap<Channel, RoomName>,
    /// Messages that wait to become one frame: the first one as it is, as long as it is alone,
    /// because its bytes are shared with other connections.
    alone: Bytes,
    gathered: Vec<u8>,
    /// Documents on their way to the peer.
    streams: VecDeque<Stream>,
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
            shown_at: now,
            limits,
            rooms: BTreeMap::new(),
            alone: Bytes::new(),
            gathered: Vec::new(),
            streams: VecDeque::new(),
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
                self.shown_at = now;
                self.frame(&frame, now);
            }
            Input::Alive => self.heartbeat.heard(now),
            Input::Partial => self.partial(now),
            Input::TextFrame => self.fail(text_frame()),
            Input::OversizedFrame if !self.is_greeted() => self.fail_hello(),
            Input::OversizedFrame => self.fail(oversized_frame(&self.limits)),
            Input::Room { channel, message } => self.room(channel, &message),
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
        if let Some(frame) = self.take_gathered() {
            return Output::Frame(frame);
        }
        let hello_by = self.session.is_none().then_some(self.hello_by);
        let wake = earliest(hello_by, Some(self.heartbeat.wake()));
        Output::Idle { wake: wake.filter(|_| !self.is_closed) }
    }

    fn send(&mut self, channel: Channel, message: &Message) {
        self.gather(message.to_frame(channel).into());
    }

    /// Adds a message to the next frame.
    fn gather(&mut self, message: Bytes) {
        if self.alone.is_empty() && self.gathered.is_empty() {
            self.alone = message;
        } else {
            self.gathered.extend_from_slice(&std::mem::take(&mut self.alone));
            self.gathered.extend_from_slice(&message);
        }
        if self.alone.len().max(self.gathered.len()) >= GATHER_BYTES {
            self.flush();
        }
    }

    fn take_gathered(&mut self) -> Option<Bytes> {
        if !self.alone.is_empty() {
            return Some(std::mem::take(&mut self.alone));
        }
        (!self.gathered.is_empty()).then(|| std::mem::take(&mut self.gathered).into())
    }

    fn flush(&mut self) {
        let frame = self.take_gathered();
        self.outputs.extend(frame.map(Output::Frame));
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

    /// A peer that uploads for long behind a slow line cannot know otherwise that the line is alive:
    /// it may have handed over everything to its system at once.
    fn partial(&mut self, now: Time) {
        self.heartbeat.heard(now);
        if self.is_greeted() && now.since(self.shown_at) >= SIGN_OF_LIFE_EVERY {
            self.shown_at = now;
            self.send(Channel::CONNECTION, &Message::Pong(0));
        }
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
            // Tokens do not expire here yet.
            Message::Pong(_) | Message::Token(_) => Ok(()),
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
            token_life_ms: 0,
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
                self.forget(channel);
                RoomRequest::Leave
            }
            Message::Edit { number, kind, update } => RoomRequest::Edit { number, kind, update },
            Message::Seed(update) => RoomRequest::Seed { update },
            Message::Flush(number) => RoomRequest::Flush { number },
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

    fn room(&mut self, channel: Channel, shared: &Shared) {
        if !self.rooms.contains_key(&channel) {
            return;
        }
        let message = match shared.message() {
            RoomMessage::Joined { joined, updates } => {
                return self.joined(channel, joined, updates);
            }
            RoomMessage::CaughtUp { since, sequence, updates } => {
                let updates = updates.iter().cloned().collect();
                self.catch_up(channel, *since, *sequence, updates);
                return;
            }
            RoomMessage::Update { sequence, update } => {
                let message = Message::Update { sequence: *sequence, update: update.clone() };
                return self.gather(shared.v1(channel, || message.to_frame(channel)));
            }
            RoomMessage::Presence { update } => {
                let message = Message::Presence(update.clone());
                return self.gather(shared.v1(channel, || message.to_frame(channel)));
            }
            RoomMessage::Ack { accepted, durable, sequence } => {
                Message::Ack { accepted: *accepted, durable: *durable, sequence: *sequence }
            }
            RoomMessage::Refused { number, error } => {
                Message::Refused { number: *number, error: error.clone() }
            }
            RoomMessage::Seeded { result } => Message::Seeded(result.clone()),
            RoomMessage::Flushed { number } => Message::Flushed(*number),
            RoomMessage::Durability { degraded } => {
                Message::Durability { degraded: degraded.clone() }
            }
            RoomMessage::End { error } => {
                self.forget(channel);
                let request = RoomRequest::Leave;
                self.outputs.push_back(Output::Room { channel, request });
                Message::Error(error.clone())
            }
            // Answers to requests that this protocol does not have.
            RoomMessage::Difference { .. } | RoomMessage::AskDifference { .. } => return,
        };
        self.send(channel, &message);
    }

    fn forget(&mut self, channel: Channel) {
        self.rooms.remove(&channel);
        self.streams.retain(|stream| stream.channel != channel);
    }

    fn joined(&mut self, channel: Channel, joined: &Joined, updates: &[Bytes]) {
        let framed = |update: &Bytes| var_len(len_u64(update)) + update.len();
        let sync_bytes = updates.iter().map(framed).sum::<usize>() as u64;
        self.send(channel, &Message::Joined(Joined { sync_bytes, ..joined.clone() }));
        if sync_bytes > 0 {
            let updates = updates.iter().cloned().collect();
            let what = What::Sync { begun: Bytes::new() };
            self.streams.push_back(Stream { channel, updates, what });
        }
    }

    fn catch_up(
        &mut self,
        channel: Channel,
        since: Sequence,
        sequence: Sequence,
        updates: VecDeque<Bytes>,
    ) {
        if !updates.is_empty() {
            let what = What::Missed { since, sequence };
            self.streams.push_back(Stream { channel, updates, what });
        }
    }

    /// Whether a member that was behind still has to be sent what it missed: nothing newer may
    /// overtake that.
    pub(super) fn is_catching_up(&self) -> bool {
        self.streams.iter().any(|stream| matches!(stream.what, What::Missed { .. }))
    }

    /// The next piece of the documents that are on their way, taking turns between them.
    pub(super) fn next_piece(&mut self) -> Option<Bytes> {
        if self.is_closed {
            return None;
        }
        let mut stream = self.streams.pop_front()?;
        let message = stream.next(self.limits.sync_chunk_bytes.max(1))?;
        let frame = message.to_frame(stream.channel).into();
        if !stream.is_over() {
            self.streams.push_back(stream);
        }
        Some(frame)
    }
}

/// Updates on their way to the peer, piece by piece.
#[derive(Debug)]
struct Stream {
    channel: Channel,
    updates: VecDeque<Bytes>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A first sync: one stream of bytes, cut anywhere.
    Sync {
        /// The rest of the update that the last piece ended in.
        begun: Bytes,
    },
    /// What a member missed between two places in the log.
    Missed { since: Sequence, sequence: Sequence },
}

impl Stream {
    fn is_over(&self) -> bool {
        let is_between = match &self.what {
            What::Sync { begun } => begun.is_empty(),
            What::Missed { .. } => true,
        };
        is_between && self.updates.is_empty()
    }

    fn next(&mut self, bytes_max: usize) -> Option<Message> {
        match &mut self.what {
            What::Sync { begun } => {
                let mut piece = Vec::with_capacity(bytes_max);
                while piece.len() < bytes_max {
                    if begun.is_empty() {
                        let Some(update) = self.updates.pop_front() else { break };
                        write_var(&mut piece, len_u64(&update));
                        *begun = update;
                    }
                    let fits = begun.len().min(bytes_max.saturating_sub(piece.len()));
                    piece.extend_from_slice(&begun.split_to(fits));
                }
                Some(Message::Sync(piece.into()))
            }
            What::Missed { since, sequence } => {
                let update = self.updates.pop_front()?;
                let reached = if self.updates.is_empty() { *sequence } else { *since };
                Some(Message::Update { sequence: reached, update })
            }
        }
    }
}

fn unexpected(text: &str) -> Error {
    Error::new(Code::FrameUnexpected, text)
}
