//! One socket for several tabs: each of them speaks on it as if it were alone.
//!
//! The first hello goes to the relay, and its welcome is repeated to whoever comes later. Channels
//! get other numbers where two tabs chose the same; nothing else of a message is looked at.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Code, Error};
use crate::ids::{Channel, TabId};
use crate::time::Time;
use crate::wire::v1::raw::{self, Raw};

/// Other tabs get no more rooms than this over the line: a relay takes 128 over one connection, if
/// nobody has told it otherwise.
const ROOMS_MAX: usize = 100;
/// A socket that is not open after this is given up together with a tab's call. Tabs do not begin
/// their calls at the same time, so one of them is always there that has not waited for long.
const OPEN_WITHIN: Duration = Duration::from_secs(2);

/// What the line wants done.
#[derive(Debug)]
pub(super) enum Output {
    OpenSocket,
    Send(Bytes),
    CloseSocket,
    ToPort(Port, PortEvent),
}

/// What a tab learns of its use of the line.
#[derive(Debug)]
pub(super) enum PortEvent {
    Opened,
    Frame(Bytes),
    Closed(Option<Error>),
}

/// One tab's use of the line; a tab that dials anew gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) tab: TabId,
    pub(super) call: u32,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    socket: Socket,
    callers: Vec<Caller>,
    /// The relay's welcome as a frame.
    welcome: Option<Bytes>,
    /// By rising numbers on the socket.
    rooms: Vec<Room>,
    last_channel: u32,
    /// Pings under way: their numbers on the socket, whose they are, and their own numbers.
    pings: Vec<(u64, TabId, u64)>,
    last_ping: u64,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Socket {
    #[default]
    Closed,
    Connecting {
        since: Time,
    },
    Open,
    /// A hello was sent.
    Greeting,
}

#[derive(Debug)]
struct Caller {
    port: Port,
    /// It has said hello and waits for the welcome.
    is_waiting: bool,
}

/// What one tab gets of a frame.
#[derive(Debug)]
struct Part {
    port: Port,
    bytes: Vec<u8>,
}

/// A room of a tab.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Its number on the socket.
    channel: Channel,
    tab: TabId,
    /// The tab's own number for it.
    own: Channel,
}

impl Line {
    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A tab wants to speak to the relay.
    pub(super) fn dial(&mut self, port: Port, now: Time) {
        self.leave(port.tab);
        self.callers.push(Caller { port, is_waiting: false });
        match self.socket {
            Socket::Closed => {
                self.socket = Socket::Connecting { since: now };
                self.outputs.push_back(Output::OpenSocket);
            }
            Socket::Connecting { .. } => {}
            Socket::Open | Socket::Greeting => self.tell(port, PortEvent::Opened),
        }
    }

    /// A tab is done with the line. One that is still in a room, or has waited for the socket or the
    /// welcome, has given the line up as dead, and so it is for all.
    pub(super) fn hang_up(&mut self, port: Port, now: Time) {
        let Some(at) = self.callers.iter().position(|caller| caller.port == port) else { return };
        let caller = self.callers.remove(at);
        let is_late =
            matches!(self.socket, Socket::Connecting { since } if now.since(since) >= OPEN_WITHIN);
        if is_late || caller.is_waiting || self.rooms.iter().any(|room| room.tab == port.tab) {
            self.close(None);
        } else {
            self.close_if_unused();
        }
    }

    /// A tab is gone; the others stay.
    pub(super) fn leave(&mut self, tab: TabId) {
        let before = self.callers.len();
        self.callers.retain(|caller| caller.port.tab != tab);
        if self.callers.len() == before {
            return;
        }
        let mut leaves = Vec::new();
        self.rooms.retain(|room| {
            if room.tab == tab {
                raw::write_leave(room.channel, &mut leaves);
            }
            room.tab != tab
        });
        if !leaves.is_empty() {
            self.outputs.push_back(Output::Send(leaves.into()));
        }
        self.close_if_unused();
    }

    /// Another tab has a frame for the relay. One that wants more rooms than there is space for has
    /// to use a line of its own.
    pub(super) fn say_for(&mut self, port: Port, frame: &Bytes) {
        let is_new = |message: &Raw| {
            let is_known = |room: &Room| room.tab == port.tab && room.own == message.channel;
            message.channel != Channel::CONNECTION && !self.rooms.iter().any(is_known)
        };
        // After a welcome, all its rooms come in one frame.
        let mut new = Vec::new();
        for message in raw::cut(frame).unwrap_or_default().iter().filter(|it| is_new(it)) {
            if !new.contains(&message.channel) {
                new.push(message.channel);
            }
        }
        let is_full = self.rooms.len().saturating_add(new.len()) > ROOMS_MAX;
        let is_too_much = is_full && !new.is_empty() && self.has(port);
        if is_too_much {
            self.leave(port.tab);
            let error = Error::new(Code::RoomTooMany, "the line has no space for another room");
            self.tell(port, PortEvent::Closed(Some(error)));
        } else {
            self.say(port, frame);
        }
    }

    /// A tab has a frame for the relay.
    pub(super) fn say(&mut self, port: Port, frame: &Bytes) {
        if !self.has(port) {
            return;
        }
        // What our own software cannot read, it has not written.
        let Ok(messages) = raw::cut(frame) else { return self.close(None) };
        let mut out = Vec::with_capacity(frame.len() + 8);
        for message in messages {
            self.outward(port, &message, &mut out);
        }
        if !out.is_empty() {
            self.outputs.push_back(Output::Send(out.into()));
        }
    }

    fn outward(&mut self, port: Port, message: &Raw, out: &mut Vec<u8>) {
        if message.channel != Channel::CONNECTION {
            let channel = self.channel_of(port.tab, message.channel);
            message.write(channel, out);
            if message.is_leave() {
                self.end_room(channel);
            }
        } else if message.is_hello() {
            self.hello(port, message, out);
        } else if let Some(number) = message.ping() {
            self.last_ping += 1;
            self.pings.push((self.last_ping, port.tab, number));
            raw::write_ping(self.last_ping, out);
        } else if message.pong().is_none() {
            message.write(Channel::CONNECTION, out);
        }
    }

    fn hello(&mut self, port: Port, message: &Raw, out: &mut Vec<u8>) {
        if let Some(welcome) = &self.welcome {
            let welcome = welcome.clone();
            return self.tell(port, PortEvent::Frame(welcome));
        }
        if let Some(caller) = self.callers.iter_mut().find(|caller| caller.port == port) {
            caller.is_waiting = true;
        }
        if self.socket == Socket::Open {
            self.socket = Socket::Greeting;
            message.write(Channel::CONNECTION, out);
        }
    }

    /// The number on the socket, where none is ever used twice.
    fn channel_of(&mut self, tab: TabId, own: Channel) -> Channel {
        let known = self.rooms.iter().find(|room| room.tab == tab && room.own == own);
        if let Some(room) = known {
            return room.channel;
        }
        // The tab's own number mostly is free, and then frames pass as they are.
        self.last_channel = own.0.max(self.last_channel + 1);
        let channel = Channel(self.last_channel);
        self.rooms.push(Room { channel, tab, own });
        channel
    }

    fn room(&self, channel: Channel) -> Option<Room> {
        let at = self.rooms.binary_search_by_key(&channel, |room| room.channel).ok()?;
        self.rooms.get(at).copied()
    }

    fn end_room(&mut self, channel: Channel) {
        self.rooms.retain(|room| room.channel != channel);
    }

    pub(super) fn socket_opened(&mut self) {
        if !matches!(self.socket, Socket::Connecting { .. }) {
            return;
        }
        self.socket = Socket::Open;
        self.ports().into_iter().for_each(|port| self.tell(port, PortEvent::Opened));
    }

    pub(super) fn socket_closed(&mut self, error: Option<&Error>) {
        if self.socket != Socket::Closed {
            self.forget(error);
        }
    }

    /// A frame of the relay, for whom it may concern.
    pub(super) fn socket_frame(&mut self, frame: &Bytes) {
        let Ok(messages) = raw::cut(frame) else {
            // Each tab judges for itself what the relay sends.
            let all = self.ports().into_iter();
            return all.for_each(|port| self.tell(port, PortEvent::Frame(frame.clone())));
        };
        if let Some(port) = self.whole_for(&messages) {
            return self.tell(port, PortEvent::Frame(frame.clone()));
        }
        let mut parts = Vec::new();
        for message in &messages {
            self.inward(message, &mut parts);
        }
        for Part { port, bytes } in parts {
            self.tell(port, PortEvent::Frame(bytes.into()));
        }
    }

    /// Who gets a frame as it is: mostly all of it is about one room, under the number of its tab.
    fn whole_for(&self, messages: &[Raw]) -> Option<Port> {
        let room = self.room(messages.first()?.channel)?;
        let is_same = |it: &Raw| it.channel == room.channel && !it.is_error();
        let is_whole = room.own == room.channel && messages.iter().all(is_same);
        self.callers.iter().find(|it| is_whole && it.port.tab == room.tab).map(|it| it.port)
    }

    /// Gives one message to those it is for.
    fn inward(&mut self, message: &Raw, parts: &mut Vec<Part>) {
        if message.channel != Channel::CONNECTION {
            let Some(room) = self.room(message.channel) else { return };
            if message.is_error() {
                self.end_room(room.channel);
            }
            if let Some(part) = self.part_for(room.tab, parts) {
                message.write(room.own, part);
            }
            return;
        }
        if let Some(number) = message.ping() {
            let mut pong = Vec::new();
            raw::write_pong(number, &mut pong);
            self.outputs.push_back(Output::Send(pong.into()));
            return;
        }
        // A pong that nobody asked for says to all that the line is alive.
        if let Some(number) = message.pong().filter(|number| *number > 0) {
            if let Some(at) = self.pings.iter().position(|ping| ping.0 == number) {
                let (_, tab, own) = self.pings.remove(at);
                if let Some(part) = self.part_for(tab, parts) {
                    raw::write_pong(own, part);
                }
            }
            return;
        }
        let is_welcome = message.is_welcome();
        if is_welcome {
            let mut welcome = Vec::new();
            message.write(Channel::CONNECTION, &mut welcome);
            self.welcome = Some(welcome.into());
        }
        for at in 0..self.callers.len() {
            let Some(caller) = self.callers.get_mut(at) else { break };
            if !is_welcome || std::mem::take(&mut caller.is_waiting) {
                let tab = caller.port.tab;
                if let Some(part) = self.part_for(tab, parts) {
                    message.write(Channel::CONNECTION, part);
                }
            }
        }
    }

    /// What a tab gets of a frame, so far.
    fn part_for<'p>(&self, tab: TabId, parts: &'p mut Vec<Part>) -> Option<&'p mut Vec<u8>> {
        let port = self.callers.iter().find(|caller| caller.port.tab == tab)?.port;
        let at = parts.iter().position(|part| part.port == port).unwrap_or_else(|| {
            parts.push(Part { port, bytes: Vec::new() });
            parts.len() - 1
        });
        parts.get_mut(at).map(|part| &mut part.bytes)
    }

    fn has(&self, port: Port) -> bool {
        self.callers.iter().any(|caller| caller.port == port)
    }

    fn ports(&self) -> Vec<Port> {
        self.callers.iter().map(|caller| caller.port).collect()
    }

    fn tell(&mut self, port: Port, event: PortEvent) {
        self.outputs.push_back(Output::ToPort(port, event));
    }

    fn close_if_unused(&mut self) {
        if self.callers.is_empty() {
            self.close(None);
        }
    }

    /// Closes the socket; whoever is still there learns why.
    pub(super) fn close(&mut self, error: Option<&Error>) {
        if self.socket != Socket::Closed {
            self.outputs.push_back(Output::CloseSocket);
            self.forget(error);
        }
    }

    fn forget(&mut self, error: Option<&Error>) {
        let all = self.ports().into_iter();
        all.for_each(|port| self.tell(port, PortEvent::Closed(error.cloned())));
        let outputs = std::mem::take(&mut self.outputs);
        *self = Self { outputs, ..Self::default() };
    }
}
