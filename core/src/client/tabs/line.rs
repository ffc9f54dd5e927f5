//! One socket for several tabs: each of them speaks on it as if it were alone.
//!
//! The first hello goes to the relay, and its welcome is repeated to whoever comes later. Channels
//! get other numbers where two tabs chose the same; nothing else of a message is looked at.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::error::Error;
use crate::ids::{Channel, TabId};
use crate::wire::v1::raw::{self, Raw};

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
    ports: BTreeMap<TabId, Caller>,
    /// The relay's welcome as a frame.
    welcome: Option<Bytes>,
    /// By their numbers on the socket: whose room it is, and the tab's own number for it.
    channels: BTreeMap<Channel, (TabId, Channel)>,
    last_channel: u32,
    /// Pings under way, by their numbers on the socket.
    pings: BTreeMap<u64, (TabId, u64)>,
    last_ping: u64,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Socket {
    #[default]
    Closed,
    Connecting,
    Open,
    /// A hello was sent.
    Greeting,
}

#[derive(Debug)]
struct Caller {
    call: u32,
    /// It has said hello and waits for the welcome.
    is_waiting: bool,
}

impl Line {
    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A tab wants to speak to the relay.
    pub(super) fn dial(&mut self, port: Port) {
        self.leave(port.tab);
        self.ports.insert(port.tab, Caller { call: port.call, is_waiting: false });
        match self.socket {
            Socket::Closed => {
                self.socket = Socket::Connecting;
                self.outputs.push_back(Output::OpenSocket);
            }
            Socket::Connecting => {}
            Socket::Open | Socket::Greeting => self.tell(port, PortEvent::Opened),
        }
    }

    /// A tab is done with the line. One that is still in a room, or was never welcomed, has given
    /// the line up as dead, and so it is for all.
    pub(super) fn hang_up(&mut self, port: Port) {
        if !self.has(port) {
            return;
        }
        let is_dead =
            self.welcome.is_none() || self.channels.values().any(|(tab, _)| *tab == port.tab);
        self.ports.remove(&port.tab);
        if is_dead {
            self.close(None);
        } else {
            self.close_if_unused();
        }
    }

    /// A tab is gone; the others stay.
    pub(super) fn leave(&mut self, tab: TabId) {
        if self.ports.remove(&tab).is_none() {
            return;
        }
        let mut leaves = Vec::new();
        self.channels.retain(|channel, (of, _)| {
            if *of == tab {
                raw::write_leave(*channel, &mut leaves);
            }
            *of != tab
        });
        if !leaves.is_empty() {
            self.outputs.push_back(Output::Send(leaves.into()));
        }
        self.close_if_unused();
    }

    /// A tab has a frame for the relay.
    pub(super) fn say(&mut self, port: Port, frame: &Bytes) {
        if !self.has(port) {
            return;
        }
        // What our own software cannot read, it has not written.
        let Ok(messages) = raw::cut(frame) else { return self.hang_up(port) };
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
                self.channels.remove(&channel);
            }
        } else if message.is_hello() {
            self.hello(port, message, out);
        } else if let Some(number) = message.ping() {
            self.last_ping += 1;
            self.pings.insert(self.last_ping, (port.tab, number));
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
        if let Some(caller) = self.ports.get_mut(&port.tab) {
            caller.is_waiting = true;
        }
        if self.socket == Socket::Open {
            self.socket = Socket::Greeting;
            message.write(Channel::CONNECTION, out);
        }
    }

    /// The number on the socket, where none is ever used twice.
    fn channel_of(&mut self, tab: TabId, own: Channel) -> Channel {
        let known = self.channels.iter().find(|(_, of)| **of == (tab, own));
        if let Some((channel, _)) = known {
            return *channel;
        }
        // The tab's own number mostly is free, and then frames pass as they are.
        self.last_channel = own.0.max(self.last_channel + 1);
        let channel = Channel(self.last_channel);
        self.channels.insert(channel, (tab, own));
        channel
    }

    pub(super) fn socket_opened(&mut self) {
        if self.socket != Socket::Connecting {
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
        let mut parts: BTreeMap<TabId, Vec<u8>> = BTreeMap::new();
        let mut is_as_sent = true;
        for message in &messages {
            is_as_sent &= self.inward(message, &mut parts);
        }
        let is_alone = parts.len() == 1;
        for (tab, part) in parts {
            let Some(caller) = self.ports.get(&tab) else { continue };
            let port = Port { tab, call: caller.call };
            let part = if is_alone && is_as_sent { frame.clone() } else { part.into() };
            self.tell(port, PortEvent::Frame(part));
        }
    }

    /// Gives one message to those it is for; false when it is not the same for them.
    fn inward(&mut self, message: &Raw, parts: &mut BTreeMap<TabId, Vec<u8>>) -> bool {
        if message.channel != Channel::CONNECTION {
            let Some((tab, own)) = self.channels.get(&message.channel).copied() else {
                return false;
            };
            if message.is_error() {
                self.channels.remove(&message.channel);
            }
            message.write(own, parts.entry(tab).or_default());
            return own == message.channel;
        }
        if let Some(number) = message.ping() {
            let mut pong = Vec::new();
            raw::write_pong(number, &mut pong);
            self.outputs.push_back(Output::Send(pong.into()));
            return false;
        }
        if let Some(number) = message.pong() {
            if let Some((tab, own)) = self.pings.remove(&number) {
                raw::write_pong(own, parts.entry(tab).or_default());
            }
            return false;
        }
        let is_welcome = message.is_welcome();
        if is_welcome {
            let mut welcome = Vec::new();
            message.write(Channel::CONNECTION, &mut welcome);
            self.welcome = Some(welcome.into());
        }
        for (tab, caller) in &mut self.ports {
            if !is_welcome || std::mem::take(&mut caller.is_waiting) {
                message.write(Channel::CONNECTION, parts.entry(*tab).or_default());
            }
        }
        true
    }

    fn has(&self, port: Port) -> bool {
        self.ports.get(&port.tab).is_some_and(|caller| caller.call == port.call)
    }

    fn ports(&self) -> Vec<Port> {
        self.ports.iter().map(|(tab, caller)| Port { tab: *tab, call: caller.call }).collect()
    }

    fn tell(&mut self, port: Port, event: PortEvent) {
        self.outputs.push_back(Output::ToPort(port, event));
    }

    fn close_if_unused(&mut self) {
        if self.ports.is_empty() {
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
