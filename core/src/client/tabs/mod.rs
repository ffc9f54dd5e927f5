//! One tab among those of its browser: who leads, whose socket is used, and what the others say.
//!
//! The tab that holds a lock of the browser leads: its socket serves all. A tab that cannot reach
//! the leader in time uses a socket of its own, as does one that is alone. A pure machine between
//! the session ([`super::Client`]) and the socket.

mod entrusted;
mod line;
mod sharing;
mod wire;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::Input as ClientInput;
use crate::error::{Code, Error};
use crate::ids::TabId;
use crate::time::Time;
use entrusted::Entrusted;
use line::{Line, Port, PortEvent};
pub(super) use sharing::Sharing;
use wire::TabMessage;
pub use wire::{About, Talk};

/// A leader that does not answer a call within this time is not waited for.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_000);

/// What happens to a tab.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// The lock that this tab holds for as long as it lives is taken: the others may learn of it.
    Ready,
    /// The lock of the leader is ours.
    Leads,
    /// The lock that another tab held for as long as it lives is free.
    Gone(TabId),
    /// A message of another tab.
    Heard(Bytes),
    /// The session wants to be connected, and has a token for that.
    Dial {
        /// See [`ClientInput::SocketOpened`].
        token: String,
    },
    /// The session has a frame for the relay.
    Say(Bytes),
    /// The session gives its connection up.
    HangUp,
    /// The session has something to tell the other tabs.
    Talk {
        /// `None` for all of them.
        to: Option<TabId>,
        /// What.
        talk: Talk,
    },
    /// The socket asked for by [`Output::OpenSocket`] is open.
    SocketOpened,
    /// It has brought a frame.
    SocketFrame(Bytes),
    /// It is closed, or never opened.
    SocketClosed {
        /// Why, when it is known.
        error: Option<Error>,
    },
    /// The session ends.
    Stop,
    /// Time has passed.
    Tick,
}

/// What a tab wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Tell with [`Input::Gone`] when this tab is no more.
    Watch(TabId),
    /// Send a message to one tab, or to all.
    Post {
        /// `None` for all.
        to: Option<TabId>,
        /// The message.
        message: Bytes,
    },
    /// Open a socket.
    OpenSocket,
    /// Send a frame on it.
    Send(Bytes),
    /// Close it; [`Input::SocketClosed`] is not needed any more.
    CloseSocket,
    /// Hand this to the session.
    Client(ClientInput),
    /// Nothing more to do before this time, or before the next input.
    Idle {
        /// When to hand in [`Input::Tick`].
        wake: Option<Time>,
    },
}

/// One tab. See the [module](self).
#[derive(Debug)]
pub struct Tabs {
    own: TabId,
    /// Who there is to share with.
    company: Company,
    is_leader: bool,
    leader: Option<TabId>,
    /// It has no space for the rooms of this tab.
    is_leader_busy: bool,
    others: Vec<TabId>,
    call: Call,
    last_call: u32,
    token: String,
    line: Line,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Company {
    /// There is nobody.
    Alone,
    /// Others may be there, but this tab is not ready for them.
    Expected,
    /// Others may be there, and know of this tab.
    Met,
}

/// The way of the own session to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    None,
    /// No leader is known yet.
    Seeking {
        since: Time,
    },
    /// The leader was called.
    Calling {
        leader: TabId,
        since: Time,
    },
    /// The leader is at it, or has put us through.
    Through {
        leader: TabId,
    },
    /// Over the own line.
    Own,
}

impl Tabs {
    /// A tab that will reach others with [`Input::Ready`].
    #[must_use]
    pub fn new(own: TabId) -> Self {
        let (company, outputs) = (Company::Expected, VecDeque::new());
        Self { company, outputs, ..Self::alone(own) }
    }

    /// A session without others, as in a process.
    #[must_use]
    pub fn alone(own: TabId) -> Self {
        Self {
            own,
            company: Company::Alone,
            is_leader: false,
            leader: None,
            is_leader_busy: false,
            others: Vec::new(),
            call: Call::None,
            last_call: 0,
            token: String::new(),
            line: Line::default(),
            outputs: [Output::Client(ClientInput::Leads)].into(),
        }
    }

    /// Whether the socket of this tab serves the others.
    #[must_use]
    pub const fn is_leader(&self) -> bool {
        self.is_leader
    }

    /// The other tabs that are known.
    #[must_use]
    pub fn others(&self) -> &[TabId] {
        &self.others
    }

    /// Takes an input; call [`Self::poll`] until idle afterwards.
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Ready => {
                self.company = Company::Met;
                self.post(None, &TabMessage::Hello);
            }
            Input::Leads => self.lead(now),
            Input::Gone(tab) => self.gone(tab),
            Input::Heard(message) => self.heard(&message, now),
            Input::Dial { token } => self.dial(token, now),
            Input::Say(frame) => self.say(frame),
            Input::HangUp => self.hang_up(now),
            Input::Talk { to, talk } => self.talk(to, talk),
            Input::SocketOpened => self.line.socket_opened(),
            Input::SocketFrame(frame) => self.line.socket_frame(&frame),
            Input::SocketClosed { error } => self.line.socket_closed(error.as_ref()),
            Input::Stop => {
                self.call = Call::None;
                self.line.close(None);
                self.carry_out();
                self.post(None, &TabMessage::Bye);
            }
            Input::Tick => {}
        }
        self.carry_out();
    }

    /// What to do next; call until it answers [`Output::Idle`].
    pub fn poll(&mut self, now: Time) -> Output {
        let late = self.answer_by().is_some_and(|by| now >= by);
        if late && self.outputs.is_empty() {
            self.use_own_line(now);
            self.carry_out();
        }
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle { wake: self.answer_by() })
    }

    fn answer_by(&self) -> Option<Time> {
        match self.call {
            Call::Seeking { since } | Call::Calling { since, .. } => Some(since + ANSWER_WITHIN),
            Call::None | Call::Through { .. } | Call::Own => None,
        }
    }

    fn post(&mut self, to: Option<TabId>, message: &TabMessage) {
        if self.company == Company::Met {
            let message = message.write(self.own);
            self.outputs.push_back(Output::Post { to, message });
        }
    }

    // ---- the other tabs -----------------------------------------------------------------------

    fn lead(&mut self, now: Time) {
        self.is_leader = true;
        self.leader = Some(self.own);
        self.outputs.push_back(Output::Client(ClientInput::Leads));
        self.post(None, &TabMessage::Here { leads: true });
        match self.call {
            Call::Seeking { .. } => self.use_own_line(now),
            Call::Calling { .. } | Call::Through { .. } => self.lose_call(None),
            Call::None | Call::Own => {}
        }
    }

    fn gone(&mut self, tab: TabId) {
        let Some(at) = self.others.iter().position(|other| *other == tab) else { return };
        self.others.swap_remove(at);
        self.line.leave(tab);
        if self.leader == Some(tab) {
            self.leader = None;
            self.is_leader_busy = false;
        }
        if self.calls(tab) {
            self.lose_call(None);
        }
        self.outputs.push_back(Output::Client(ClientInput::TabGone(tab)));
    }

    /// Whether the own session is connected, or wants to be, through this tab.
    fn calls(&self, tab: TabId) -> bool {
        matches!(self.call, Call::Calling { leader, .. } | Call::Through { leader } if leader == tab)
    }

    fn meet(&mut self, tab: TabId) {
        if !self.others.contains(&tab) {
            self.others.push(tab);
            self.outputs.push_back(Output::Watch(tab));
            self.outputs.push_back(Output::Client(ClientInput::TabCame(tab)));
        }
    }

    fn heard(&mut self, bytes: &Bytes, now: Time) {
        let Ok((from, Some(message))) = TabMessage::read(bytes) else { return };
        if from == self.own {
            return;
        }
        if message == TabMessage::Bye {
            return self.gone(from);
        }
        self.meet(from);
        let is_current = |call| call == self.last_call && self.calls(from);
        match message {
            TabMessage::Hello => self.post(Some(from), &TabMessage::Here { leads: self.is_leader }),
            TabMessage::Here { leads: true } => self.follow(from, now),
            TabMessage::Here { leads: false } | TabMessage::Bye => {}
            TabMessage::Dial { call } if self.is_leader => {
                self.post(Some(from), &TabMessage::Ringing { call });
                self.line.dial(Port { tab: from, call }, now);
            }
            TabMessage::Dial { call } => {
                self.post(Some(from), &TabMessage::Closed { call, error: None });
            }
            TabMessage::Say { call, frame } => self.line.say_for(Port { tab: from, call }, &frame),
            TabMessage::HangUp { call } => self.line.hang_up(Port { tab: from, call }, now),
            TabMessage::Ringing { call } if is_current(call) => {
                self.call = Call::Through { leader: from };
            }
            TabMessage::Opened { call } if is_current(call) => {
                self.call = Call::Through { leader: from };
                self.opened();
            }
            TabMessage::Frame { call, frame } if is_current(call) => {
                self.outputs.push_back(Output::Client(ClientInput::SocketFrame(frame)));
            }
            TabMessage::Closed { call, error } if is_current(call) => {
                let is_full = |error: &Error| error.code == Code::RoomTooMany;
                self.is_leader_busy |= error.as_ref().is_some_and(is_full);
                self.lose_call(error.filter(|error| !is_full(error)));
            }
            TabMessage::Ringing { .. }
            | TabMessage::Opened { .. }
            | TabMessage::Frame { .. }
            | TabMessage::Closed { .. } => {}
            TabMessage::Talk(talk) => {
                self.outputs.push_back(Output::Client(ClientInput::Talk { tab: from, talk }));
            }
        }
    }

    /// Another tab has said that it leads.
    fn follow(&mut self, leader: TabId, now: Time) {
        // There is one lock: a tab that holds it believes nobody else.
        if self.is_leader {
            return;
        }
        self.leader = Some(leader);
        match self.call {
            Call::Seeking { .. } => self.ring(leader, now),
            Call::Calling { leader: other, .. } | Call::Through { leader: other }
                if other != leader =>
            {
                self.lose_call(None);
            }
            _ => {}
        }
    }

    fn talk(&mut self, to: Option<TabId>, talk: Talk) {
        // Each gets its own, behind the frames that went to it before: what builds on this edit
        // then reaches the relay after it.
        let listeners: Vec<_> = match to {
            Some(tab) => vec![tab],
            None => self.others.clone(),
        };
        let message = TabMessage::Talk(talk);
        for tab in listeners {
            self.post(Some(tab), &message);
        }
    }

    // ---- the own session ----------------------------------------------------------------------

    fn dial(&mut self, token: String, now: Time) {
        self.token = token;
        self.call = Call::None;
        match self.leader {
            _ if self.company == Company::Alone || self.is_leader || self.is_leader_busy => {
                self.use_own_line(now);
            }
            Some(leader) => self.ring(leader, now),
            None => self.call = Call::Seeking { since: now },
        }
    }

    fn ring(&mut self, leader: TabId, now: Time) {
        self.last_call += 1;
        self.call = Call::Calling { leader, since: now };
        self.post(Some(leader), &TabMessage::Dial { call: self.last_call });
    }

    fn use_own_line(&mut self, now: Time) {
        if let Call::Calling { leader, .. } = self.call {
            self.post(Some(leader), &TabMessage::HangUp { call: self.last_call });
        }
        self.last_call += 1;
        self.call = Call::Own;
        self.line.dial(self.port(), now);
    }

    const fn port(&self) -> Port {
        Port { tab: self.own, call: self.last_call }
    }

    fn say(&mut self, frame: Bytes) {
        match self.call {
            Call::Own => self.line.say(self.port(), &frame),
            Call::Through { leader } => {
                self.post(Some(leader), &TabMessage::Say { call: self.last_call, frame });
            }
            Call::None | Call::Seeking { .. } | Call::Calling { .. } => {}
        }
    }

    fn hang_up(&mut self, now: Time) {
        match std::mem::replace(&mut self.call, Call::None) {
            Call::Own => self.line.hang_up(self.port(), now),
            Call::Calling { leader, .. } | Call::Through { leader } => {
                self.post(Some(leader), &TabMessage::HangUp { call: self.last_call });
            }
            Call::None | Call::Seeking { .. } => {}
        }
    }

    fn opened(&mut self) {
        let token = std::mem::take(&mut self.token);
        self.outputs.push_back(Output::Client(ClientInput::SocketOpened { token }));
    }

    fn lose_call(&mut self, error: Option<Error>) {
        self.call = Call::None;
        self.outputs.push_back(Output::Client(ClientInput::SocketClosed { error }));
    }

    // ---- the line -----------------------------------------------------------------------------

    fn carry_out(&mut self) {
        while let Some(output) = self.line.poll() {
            match output {
                line::Output::OpenSocket => self.outputs.push_back(Output::OpenSocket),
                line::Output::Send(frame) => self.outputs.push_back(Output::Send(frame)),
                line::Output::CloseSocket => self.outputs.push_back(Output::CloseSocket),
                line::Output::ToPort(port, event) if port.tab != self.own => {
                    self.post(Some(port.tab), &event.into_message(port.call));
                }
                // Of an earlier call of the own session, which is over for it.
                line::Output::ToPort(port, _) if port != self.port() => {}
                line::Output::ToPort(_, PortEvent::Opened) => self.opened(),
                line::Output::ToPort(_, PortEvent::Frame(frame)) => {
                    self.outputs.push_back(Output::Client(ClientInput::SocketFrame(frame)));
                }
                line::Output::ToPort(_, PortEvent::Closed(error)) => self.lose_call(error),
            }
        }
    }
}

impl PortEvent {
    fn into_message(self, call: u32) -> TabMessage {
        match self {
            Self::Opened => TabMessage::Opened { call },
            Self::Frame(frame) => TabMessage::Frame { call, frame },
            Self::Closed(error) => TabMessage::Closed { call, error },
        }
    }
}
