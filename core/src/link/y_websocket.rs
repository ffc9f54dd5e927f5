//! The relay's side of one y-websocket connection: one room, one message per frame.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Heartbeat, Input, Output, RoomRequest, Shared, close_code, oversized_frame, text_frame,
};
use crate::error::{Code, Error};
use crate::ids::{Channel, EditNumber, Epoch, RoomName, Sequence, SessionKey};
use crate::limits::Limits;
use crate::room::{JoinRequest, Protocol, RoomMessage};
use crate::time::{Time, earliest};
use crate::wire::awareness;
use crate::wire::v1::EditKind;
use crate::wire::y_websocket::{Message, read_frame};

/// The only channel.
const CHANNEL: Channel = Channel(1);
/// State vectors that wait for their answers; when they are more, the last one counts.
const QUERIES_BYTES_MAX: usize = 4 << 10;
/// The update without content, and the state vector of an empty document.
const EMPTY_UPDATE: &[u8] = &[0, 0];
const EMPTY_STATE_VECTOR: &[u8] = &[0];

#[derive(Debug)]
pub(super) struct YWebsocketLink {
    room: RoomName,
    session: SessionKey,
    limits: Limits,
    /// The room is entered with the client's first message, which brings its state vector.
    has_joined: bool,
    first_frame_by: Time,
    edits: u64,
    /// The answer to a state vector is under way. Each may be as large as the room, so there is one.
    is_answering: bool,
    /// The state vectors that came meanwhile.
    queries: VecDeque<Bytes>,
    /// The document on its way to the peer.
    pieces: VecDeque<Message>,
    heartbeat: Heartbeat,
    outputs: VecDeque<Output>,
    is_closed: bool,
}

impl YWebsocketLink {
    pub(super) fn new(room: RoomName, session: SessionKey, limits: Limits, now: Time) -> Self {
        Self {
            room,
            session,
            has_joined: false,
            first_frame_by: now + limits.hello_timeout,
            edits: 0,
            is_answering: false,
            queries: VecDeque::new(),
            pieces: VecDeque::new(),
            heartbeat: Heartbeat::new(limits.idle_timeout, now),
            limits,
            outputs: VecDeque::new(),
            is_closed: false,
        }
    }

    pub(super) const fn frame_bytes_max(&self) -> usize {
        // The first frame has a state vector, which may be long.
        self.limits.frame_bytes_max
    }

    pub(super) const fn is_greeted(&self) -> bool {
        self.has_joined
    }

    pub(super) fn handle(&mut self, input: Input, now: Time) {
        if self.is_closed {
            return;
        }
        match input {
            Input::Frame(frame) => {
                self.heartbeat.heard(now);
                if let Err(error) = self.frame(&frame) {
                    self.fail(&error);
                }
            }
            Input::Alive | Input::Partial => self.heartbeat.heard(now),
            Input::TextFrame => self.fail(&text_frame()),
            Input::OversizedFrame => self.fail(&oversized_frame(&self.limits)),
            Input::Room { message, .. } => self.room(&message),
            // The client comes back by itself and both sides exchange state vectors.
            Input::TooSlow => self.close(Code::ConnectionTooSlow),
            Input::Drain { .. } => self.close(Code::RelayDraining),
        }
    }

    pub(super) fn poll(&mut self, now: Time) -> Output {
        if !self.is_closed {
            if !self.has_joined && now >= self.first_frame_by {
                self.close(Code::ConnectionHelloTimeout);
            } else if self.heartbeat.is_over(now) {
                self.close(Code::ConnectionIdle);
            } else if self.heartbeat.wants_ping(now) {
                self.outputs.push_back(Output::Ping);
            }
        }
        self.outputs.pop_front().unwrap_or_else(|| {
            let first_frame_by = (!self.has_joined).then_some(self.first_frame_by);
            let wake = earliest(first_frame_by, Some(self.heartbeat.wake()));
            Output::Idle { wake: wake.filter(|_| !self.is_closed) }
        })
    }

    fn send(&mut self, message: &Message) {
        self.outputs.push_back(Output::Frame(message.to_frame().into()));
    }

    /// The protocol has one message for bad news: clients print its text.
    fn deny(&mut self, error: &Error) {
        self.send(&Message::Denied(error.to_string()));
    }

    fn fail(&mut self, error: &Error) {
        self.deny(error);
        self.close(error.code);
    }

    fn close(&mut self, code: Code) {
        self.outputs.push_back(Output::Close { code: close_code(code), reason: code.as_str() });
        self.is_closed = true;
    }

    fn frame(&mut self, frame: &Bytes) -> Result<(), Error> {
        let message = read_frame(frame).map_err(|error| {
            Error::new(Code::FrameMalformed, format!("the frame cannot be read: {error}"))
        })?;
        let Some(message) = message else { return Ok(()) };
        if !self.has_joined {
            self.has_joined = true;
            if let Message::SyncStep1(state_vector) = message {
                self.join(state_vector);
                return Ok(());
            }
            self.join(Bytes::from_static(EMPTY_STATE_VECTOR));
        }
        match message {
            Message::SyncStep1(state_vector) => {
                let waiting: usize = self.queries.iter().map(Bytes::len).sum();
                if waiting > QUERIES_BYTES_MAX {
                    // The answer to the next one holds more.
                    self.queries.pop_back();
                }
                self.queries.push_back(state_vector);
                self.ask();
            }
            Message::SyncStep2(update) => self.edit(EditKind::Difference, update),
            Message::Update(update) => self.edit(EditKind::Live, update),
            Message::Awareness(bytes) => match awareness::read(&bytes, &self.limits) {
                Ok(entries) => self.request(RoomRequest::Awareness(entries)),
                Err(error) => self.deny(&error),
            },
            // Every state was sent on joining and every change since; the rest is the relay's word.
            Message::QueryAwareness | Message::Denied(_) => {}
        }
        Ok(())
    }

    fn ask(&mut self) {
        if !self.is_answering
            && let Some(state_vector) = self.queries.pop_front()
        {
            self.is_answering = true;
            self.request(RoomRequest::Query { state_vector });
        }
    }

    fn request(&mut self, request: RoomRequest) {
        self.outputs.push_back(Output::Room { channel: CHANNEL, request });
    }

    fn join(&mut self, state_vector: Bytes) {
        self.is_answering = true;
        let request = Box::new(JoinRequest {
            session: self.session,
            client: None,
            lineage: None,
            epoch: Epoch(0),
            sequence: Sequence(0),
            state_vector,
            protocol: Protocol::YWebsocket,
        });
        self.request(RoomRequest::Join { room: self.room.clone(), request });
    }

    fn edit(&mut self, kind: EditKind, update: Bytes) {
        if update.as_ref() != EMPTY_UPDATE {
            self.edits += 1;
            self.request(RoomRequest::Edit { number: EditNumber(self.edits), kind, update });
        }
    }

    fn room(&mut self, shared: &Shared) {
        match shared.message() {
            RoomMessage::Joined { joined, updates } => {
                self.send(&Message::SyncStep1(joined.state_vector.clone()));
                self.difference(updates);
            }
            RoomMessage::Difference { updates } => self.difference(updates),
            RoomMessage::CaughtUp { updates, .. } => {
                self.pieces.extend(updates.iter().cloned().map(Message::Update));
            }
            RoomMessage::Update { update, .. } => {
                let frame = shared.y_websocket(|| Message::Update(update.clone()).to_frame());
                self.outputs.push_back(Output::Frame(frame));
            }
            // Without a state it keeps the connection alive.
            RoomMessage::Presence { update } => {
                let frame = shared.y_websocket(|| Message::Awareness(update.clone()).to_frame());
                self.outputs.push_back(Output::Frame(frame));
            }
            RoomMessage::AskDifference { state_vector } => {
                self.send(&Message::SyncStep1(state_vector.clone()));
            }
            RoomMessage::Refused { error, .. } => self.deny(error),
            RoomMessage::End { error } => self.fail(error),
            // The protocol cannot say these.
            RoomMessage::Ack { .. }
            | RoomMessage::Durability { .. }
            | RoomMessage::Seeded { .. }
            | RoomMessage::Flushed { .. } => {}
        }
    }

    /// The first step 2 makes the client believe that it has everything, so it comes last.
    fn difference(&mut self, updates: &[Bytes]) {
        let (last, first) = match updates.split_last() {
            Some((last, first)) => (last.clone(), first),
            None => (Bytes::from_static(EMPTY_UPDATE), &[][..]),
        };
        self.pieces.extend(first.iter().cloned().map(Message::Update));
        self.pieces.push_back(Message::SyncStep2(last));
    }

    pub(super) fn has_pieces(&self) -> bool {
        !self.pieces.is_empty()
    }

    pub(super) fn next_piece(&mut self) -> Option<Bytes> {
        let message = self.pieces.pop_front().filter(|_| !self.is_closed)?;
        if matches!(message, Message::SyncStep2(_)) {
            self.is_answering = false;
            self.ask();
        }
        Some(message.to_frame().into())
    }
}
