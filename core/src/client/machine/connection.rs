//! The connection: when it is made, what goes over it, and how it is given up.

use std::time::Duration;

use super::{ANSWER_LIMIT, Client, Socket};
use crate::client::report::Phase;
use crate::client::room::Room;
use crate::client::{Output, backoff};
use crate::error::{Code, Error};
use crate::ids::Channel;
use crate::time::Time;
use crate::wire::v1::{Hello, Message, VERSION};

/// A hint makes a connection attempt older than this start anew.
const CONNECT_STALE: Duration = Duration::from_secs(2);
/// A sync is a success when the connection lives on for this time.
const STEADY_AFTER: Duration = Duration::from_secs(1);
/// Small messages are gathered into frames of about this size.
const GATHER_BYTES: usize = 64 << 10;
/// After this silence the socket is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(20);
/// The same while something is on its way whose arrival is not known.
const PING_AFTER_IN_USE: Duration = Duration::from_secs(1);
/// So long it has for the answer then: with the silence before, as long as for any other.
const PONG_LIMIT_IN_USE: Duration = ANSWER_LIMIT.saturating_sub(PING_AFTER_IN_USE);

impl Client {
    /// Connects, unless the relay asked to be left alone for a while.
    pub(super) fn connect_when_allowed(&mut self, now: Time) {
        if now < self.not_before {
            self.socket = Socket::Waiting { at: self.not_before };
        } else {
            self.connect(now);
        }
    }

    pub(super) fn connect(&mut self, now: Time) {
        self.socket = Socket::Connecting { since: now };
        self.outputs.push_back(Output::Connect);
    }

    pub(super) fn send(&mut self, channel: Channel, message: &Message) {
        let before = self.frame.len();
        message.write(channel, &mut self.frame);
        let most = self.welcome.as_ref().map_or(u64::MAX, |welcome| welcome.frame_bytes_max);
        if self.frame.len() >= GATHER_BYTES || self.frame.len() as u64 > most {
            // A large message may be all that fits into a frame.
            let message = self.frame.split_off(before);
            self.flush();
            self.frame = message;
            self.flush();
        }
    }

    pub(super) fn flush(&mut self) {
        if !self.frame.is_empty() {
            self.diary.sent.add(&self.frame);
            let frame = std::mem::take(&mut self.frame).into();
            self.outputs.push_back(Output::Frame(frame));
        }
    }

    /// Notes that the relay has to be heard from. However large what was sent is: while it arrives,
    /// the relay shows signs of life.
    pub(super) fn expect_answer(&mut self, now: Time) {
        self.answer_by.get_or_insert(now + ANSWER_LIMIT);
    }

    pub(super) fn ping(&mut self, now: Time) {
        let limit = if self.is_in_use() { PONG_LIMIT_IN_USE } else { ANSWER_LIMIT };
        self.last_ping += 1;
        self.diary.pinged_at = now;
        self.send(Channel::CONNECTION, &Message::Ping(self.last_ping));
        self.answer_by.get_or_insert(now + limit);
    }

    pub(super) fn probe(&mut self, now: Time) {
        match self.socket {
            Socket::Waiting { .. } => self.connect_when_allowed(now),
            Socket::Connecting { since } if now.since(since) >= CONNECT_STALE => {
                self.outputs.push_back(Output::Disconnect);
                self.connect(now);
            }
            Socket::Open => {
                // A page that was frozen may not have read yet what arrived meanwhile.
                let is_overdue = self.answer_by.is_some_and(|by| now >= by);
                if is_overdue && self.excused_at <= self.heard_at {
                    self.excused_at = now;
                    self.answer_by = None;
                }
                if self.answer_by.is_none() {
                    self.ping(now);
                }
            }
            _ => {}
        }
    }

    pub(super) fn forget_connection(&mut self) {
        self.frame.clear();
        self.answer_by = None;
        self.welcome = None;
        self.token.forget();
        self.channels.clear();
        let keys: Vec<_> = self.rooms.keys().copied().collect();
        for key in keys {
            self.end_membership(key);
            if let Some(room) = self.rooms.get_mut(&key) {
                room.rejoin_at = None;
            }
        }
    }

    /// Starts counting attempts anew after a connection that was of use. A relay that ends every
    /// connection right after the sync is not to be asked without a pause.
    pub(super) fn note_success(&mut self, now: Time) {
        if self.synced_at.take().is_some_and(|at| now.since(at) >= STEADY_AFTER) {
            self.backoff.reset();
        }
    }

    /// Gives the socket up and plans the next attempt.
    pub(super) fn lose_connection(&mut self, error: &Error, now: Time) {
        self.diary.failure = Some((error.clone(), now));
        let is_there = self.is_connected() || error.code != Code::ConnectionLost;
        self.outputs.push_back(Output::Disconnect);
        self.note_success(now);
        self.forget_connection();
        for room in self.rooms.values_mut() {
            room.trouble = Some(error.clone());
        }
        self.not_before = now + Duration::from_millis(backoff::asked_ms(error));
        let wait = match is_there {
            true => self.backoff.next(error, &mut self.random),
            false => self.backoff.next_soon(error, &mut self.random),
        };
        self.socket = Socket::Waiting { at: now + wait };
    }

    pub(super) fn stop(&mut self, error: Error, now: Time) {
        self.diary.failure = Some((error.clone(), now));
        self.outputs.push_back(Output::Disconnect);
        self.forget_connection();
        self.socket = Socket::Stopped { error };
    }

    pub(super) fn socket_opened(&mut self, token: String, now: Time) {
        if !matches!(self.socket, Socket::Connecting { .. }) {
            return;
        }
        self.socket = Socket::Greeting { since: now };
        self.heard_at = now;
        let hello = Hello {
            version: VERSION,
            capabilities: 0,
            session: self.settings.session,
            token,
            agent: self.settings.agent.clone(),
        };
        self.send(Channel::CONNECTION, &Message::Hello(hello));
    }

    /// How the connection stands, since when, and when the next attempt is made.
    pub(in crate::client) fn phase(&self) -> (Phase, Option<Time>, Option<Time>) {
        let failed_at = self.diary.failure.as_ref().map(|(_, at)| *at);
        match &self.socket {
            Socket::Unneeded => (Phase::Unneeded, None, None),
            Socket::Waiting { at } => (Phase::Waiting, failed_at, Some(*at)),
            Socket::Connecting { since } => (Phase::Connecting, Some(*since), None),
            Socket::Greeting { since } => (Phase::Greeting, Some(*since), None),
            Socket::Open => (Phase::Open, Some(self.diary.greeted_at), None),
            Socket::Stopped { .. } => (Phase::Stopped, failed_at, None),
        }
    }

    pub(super) fn ping_at(&self) -> Time {
        if self.is_in_use() {
            return self.heard_at + PING_AFTER_IN_USE;
        }
        let idle = self.welcome.as_ref().map_or(u64::MAX, |welcome| welcome.idle_timeout_ms / 3);
        self.heard_at + PING_AFTER.min(Duration::from_millis(idle.max(1_000)))
    }

    /// Whether something was sent of which nobody has said yet that it arrived.
    fn is_in_use(&self) -> bool {
        let is_unanswered = |room: &Room| room.may_send && room.accepted() < room.last_number();
        self.sent_at >= self.heard_at || self.rooms.values().any(is_unanswered)
    }
}
