//! Tabs of one browser, with a relay that only greets, or none at all.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs::{Input, Output, Tabs};
use coweave_core::client::{self, Client, RoomKey, Saved, Settings, Tier};
use coweave_core::ids::{
    Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, SessionKey, TabId,
};
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::v1::{Joined, Message, Role, Welcome, read_frame};

const TEXT: &str = "text";

/// One tab: a session, its way to the others, and what it wants of the world.
struct Tab {
    client: Client,
    tabs: Tabs,
    key: RoomKey,
    /// What was sent to the relay over its own socket.
    sent: Vec<(Channel, Message)>,
    has_socket: bool,
    sockets: usize,
}

/// A browser without a disk.
struct Browser {
    now: Time,
    tabs: Vec<Tab>,
    mail: VecDeque<(usize, Option<TabId>, Bytes)>,
    /// Tabs that hear nothing any more and say nothing.
    frozen: Vec<usize>,
}

impl Browser {
    /// The first tab leads.
    fn with_tabs(count: usize) -> Self {
        let mut this =
            Self { now: Time::ZERO, tabs: Vec::new(), mail: VecDeque::new(), frozen: Vec::new() };
        for _ in 0..count {
            this.open();
        }
        this
    }

    /// A tab that nobody knows yet.
    fn add(&mut self) -> usize {
        let at = self.tabs.len();
        let settings = Settings {
            session: SessionKey([1; 16]),
            agent: "test".to_owned(),
            limits: Limits::default(),
            has_device_store: false,
        };
        let mut client = Client::new(settings, 1 + at as u64, self.now);
        let key = client.next_key();
        let tabs = Tabs::new(TabId(at as u64));
        let (sent, has_socket, sockets) = (Vec::new(), false, 0);
        self.tabs.push(Tab { client, tabs, key, sent, has_socket, sockets });
        at
    }

    fn open(&mut self) {
        let at = self.add();
        self.input(at, Input::Ready);
        if at == 0 {
            self.input(at, Input::Leads);
        }
        let (key, name) = (self.tabs[at].key, RoomName::parse("room").unwrap());
        let client = ClientId::from_u32(1 + at as u32);
        self.session_input(at, client::Input::Open { key, name, client });
    }

    fn input(&mut self, at: usize, input: Input) {
        self.tabs[at].tabs.handle(input, self.now);
        self.run();
    }

    fn session_input(&mut self, at: usize, input: client::Input) {
        self.tabs[at].client.handle(input, self.now);
        self.run();
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        for at in 0..self.tabs.len() {
            self.tabs[at].client.handle(client::Input::Tick, self.now);
            self.tabs[at].tabs.handle(Input::Tick, self.now);
        }
        self.run();
    }

    fn run(&mut self) {
        loop {
            for at in 0..self.tabs.len() {
                if !self.frozen.contains(&at) {
                    self.drain(at);
                }
            }
            let Some((from, to, message)) = self.mail.pop_front() else { return };
            for at in (0..self.tabs.len()).filter(|at| *at != from && !self.frozen.contains(at)) {
                if to.is_none_or(|to| to.0 == at as u64) {
                    self.tabs[at].tabs.handle(Input::Heard(message.clone()), self.now);
                }
            }
        }
    }

    fn drain(&mut self, at: usize) {
        let (now, tab) = (self.now, &mut self.tabs[at]);
        loop {
            match tab.client.poll(now) {
                client::Output::Idle { .. } => {}
                output => {
                    let input = match output {
                        client::Output::Connect => Input::Dial { token: String::new() },
                        client::Output::Frame(frame) => Input::Say(frame),
                        client::Output::Disconnect => Input::HangUp,
                        client::Output::Talk { to, talk } => Input::Talk { to, talk },
                        _ => continue,
                    };
                    tab.tabs.handle(input, now);
                    continue;
                }
            }
            match tab.tabs.poll(now) {
                Output::Idle { .. } => return,
                Output::Client(input) => tab.client.handle(input, now),
                Output::Post { to, message } => self.mail.push_back((at, to, message)),
                Output::OpenSocket => {
                    tab.has_socket = true;
                    tab.sockets += 1;
                }
                Output::CloseSocket => tab.has_socket = false,
                Output::Send(frame) => tab.sent.extend(read_frame(&frame).unwrap()),
                _ => {}
            }
        }
    }

    /// A tab is closed, and whoever watches learns of it.
    fn close(&mut self, at: usize) {
        self.frozen.push(at);
        for other in (0..self.tabs.len()).filter(|other| *other != at) {
            self.tabs[other].tabs.handle(Input::Gone(TabId(at as u64)), self.now);
        }
        self.run();
    }

    /// The relay lets everybody in who asks over this tab's socket.
    fn greet(&mut self, at: usize) {
        self.input(at, Input::SocketOpened);
        let limits = Limits::default();
        let welcome = Message::Welcome(Welcome {
            version: 1,
            capabilities: 0,
            frame_bytes_max: limits.frame_bytes_max as u64,
            update_bytes_max: limits.update_bytes_max as u64,
            idle_timeout_ms: 60_000,
            agent: "test".to_owned(),
            token_life_ms: 0,
        });
        self.relay_says(at, Channel::CONNECTION, &welcome);
        self.admit(at);
    }

    fn admit(&mut self, at: usize) {
        for (channel, message) in std::mem::take(&mut self.tabs[at].sent) {
            let joined = Joined {
                lineage: Lineage([1; 16]),
                epoch: Epoch(1),
                sequence: Sequence(0),
                sync_bytes: 0,
                state_vector: Bytes::from_static(&[0]),
                role: Role::Editor,
            };
            if matches!(message, Message::Join(_)) {
                self.relay_says(at, channel, &Message::Joined(joined));
            }
        }
    }

    fn relay_says(&mut self, at: usize, channel: Channel, message: &Message) {
        self.input(at, Input::SocketFrame(message.to_frame(channel).into()));
    }

    fn write(&mut self, at: usize, words: &str) {
        let key = self.tabs[at].key;
        let replica = self.tabs[at].client.room_mut(key).unwrap().replica_mut();
        let end = replica.text_length(TEXT);
        replica.text_insert(TEXT, end, words).unwrap();
        self.session_input(at, client::Input::Tick);
    }

    fn text(&mut self, at: usize) -> String {
        let key = self.tabs[at].key;
        self.tabs[at].client.room_mut(key).unwrap().replica_mut().text_string(TEXT)
    }

    fn saved(&self, at: usize) -> Saved {
        self.tabs[at].client.room(self.tabs[at].key).unwrap().saved()
    }

    fn open_sockets(&self) -> Vec<usize> {
        (0..self.tabs.len()).filter(|at| self.tabs[*at].has_socket).collect()
    }

    /// The channels under which edits went out over a tab's socket.
    fn edited(&self, at: usize) -> Vec<u32> {
        let edits = self.tabs[at].sent.iter();
        edits
            .filter_map(|(channel, message)| {
                matches!(message, Message::Edit { .. }).then_some(channel.0)
            })
            .collect()
    }
}

#[test]
fn tabs_show_the_same_without_a_relay_and_deliver_nothing_to_each_other() {
    let mut browser = Browser::with_tabs(2);
    browser.write(0, "one ");
    browser.write(1, "two ");
    assert_eq!((browser.text(0), browser.text(1)), ("one two ".into(), "one two ".into()));
    for at in 0..2 {
        assert_eq!(
            browser.saved(at),
            Saved { tier: Tier::Memory, pending: 1, ..browser.saved(at) }
        );
    }
    // A tab that comes later asks for what it lacks.
    browser.open();
    assert_eq!(browser.text(2), "one two ");
    assert_eq!(browser.saved(2).pending, 0);
}

#[test]
fn one_socket_serves_all_tabs_and_each_is_a_member_of_its_own() {
    let mut browser = Browser::with_tabs(3);
    assert_eq!(browser.open_sockets(), [0]);
    browser.greet(0);
    for at in 0..3 {
        browser.write(at, "word ");
    }
    let channels = browser.edited(0);
    assert_eq!(channels.len(), 3);
    assert!(channels[0] != channels[1] && channels[1] != channels[2] && channels[0] != channels[2]);
    // What the relay says about one of them reaches that one alone.
    let durable = EditNumber(1);
    let message = Message::Ack { accepted: durable, durable, sequence: Sequence(3) };
    browser.relay_says(0, Channel(channels[1]), &message);
    let pending: Vec<_> = (0..3).map(|at| browser.saved(at).pending).collect();
    assert_eq!(pending, [1, 0, 1]);
}

#[test]
fn when_the_leader_is_closed_the_next_one_connects_and_brings_what_it_left_behind() {
    let mut browser = Browser::with_tabs(2);
    browser.greet(0);
    browser.write(0, "left behind");
    browser.close(0);
    browser.input(1, Input::Leads);
    browser.wait(300);
    assert_eq!(browser.open_sockets().last(), Some(&1));
    assert_eq!(browser.saved(1).pending, 1, "it answers for the edit now");
    browser.greet(1);
    assert_eq!(browser.edited(1).len(), 1);
    let key = browser.tabs[1].key;
    assert_eq!(browser.tabs[1].client.room(key).unwrap().last_number(), EditNumber(1));
}

#[test]
fn a_leader_that_does_not_answer_is_not_waited_for() {
    let mut browser = Browser::with_tabs(1);
    browser.frozen.push(0);
    browser.open();
    browser.wait(900);
    assert!(!browser.tabs[1].has_socket);
    browser.wait(200);
    assert!(browser.tabs[1].has_socket, "it opens a socket of its own");
    browser.greet(1);
    browser.write(1, "alone");
    assert_eq!(browser.edited(1).len(), 1);
}

#[test]
fn a_line_that_one_tab_takes_for_dead_is_dead_for_all() {
    let mut browser = Browser::with_tabs(2);
    browser.greet(0);
    browser.write(1, "is anybody there?");
    // Nobody answers.
    browser.wait(6_000);
    browser.wait(6_000);
    browser.wait(400);
    assert_eq!(browser.tabs[0].sockets, 2, "the second tab's silence made the leader dial anew");
    assert_eq!(browser.open_sockets(), [0]);
    browser.greet(0);
    browser.write(0, "yes");
    assert!(!browser.edited(0).is_empty());
}

#[test]
fn who_closes_a_room_hands_over_what_is_not_safe_yet() {
    let mut browser = Browser::with_tabs(2);
    browser.write(1, "not safe");
    let key = browser.tabs[1].key;
    browser.session_input(1, client::Input::Close { key });
    assert_eq!(browser.saved(0).pending, 1);
    // What was told to be durable is nobody's business any more.
    let mut browser = Browser::with_tabs(2);
    browser.greet(0);
    browser.write(1, "safe");
    let channels = browser.edited(0);
    let durable = EditNumber(1);
    let message = Message::Ack { accepted: durable, durable, sequence: Sequence(1) };
    browser.relay_says(0, Channel(channels[0]), &message);
    let key = browser.tabs[1].key;
    browser.session_input(1, client::Input::Close { key });
    assert_eq!(browser.saved(0).pending, 0);
}

#[test]
fn who_flushes_answers_for_everything_in_the_document() {
    let mut browser = Browser::with_tabs(2);
    browser.greet(0);
    browser.write(1, "of the other tab");
    let before = browser.edited(0).len();
    let key = browser.tabs[0].key;
    browser.session_input(0, client::Input::Flush { key, number: 1 });
    assert_eq!(browser.edited(0).len(), before + 1);
    assert_eq!(browser.saved(0).pending, 1);
    let sent = &browser.tabs[0].sent;
    assert!(matches!(sent.last(), Some((_, Message::Flush(1)))), "behind the edit");
    // Asked again and again, the two do not pass it to and fro.
    for number in 2..6 {
        let key = browser.tabs[1].key;
        browser.session_input(1, client::Input::Flush { key, number });
        let key = browser.tabs[0].key;
        browser.session_input(0, client::Input::Flush { key, number });
    }
    assert_eq!((browser.saved(0).pending, browser.saved(1).pending), (1, 1));
}

#[test]
fn a_tab_that_leaves_a_room_or_the_browser_does_not_disturb_the_line() {
    let mut browser = Browser::with_tabs(3);
    browser.greet(0);
    let key = browser.tabs[1].key;
    browser.session_input(1, client::Input::Close { key });
    browser.input(2, Input::Stop);
    assert_eq!(browser.tabs[0].sockets, 1);
    assert_eq!(browser.open_sockets(), [0]);
    let leaves = browser.tabs[0].sent.iter().filter(|(_, message)| *message == Message::Leave);
    assert_eq!(leaves.count(), 2, "the relay learns that both are gone");
}

impl Browser {
    fn open_rooms(&mut self, at: usize, names: std::ops::Range<u32>) {
        for number in names {
            let key = self.tabs[at].client.next_key();
            let name = RoomName::parse(&format!("room {number}")).unwrap();
            let client = ClientId::from_u32(1_000 + number);
            self.session_input(at, client::Input::Open { key, name, client });
        }
    }
}

#[test]
fn a_tab_with_more_rooms_than_the_line_has_space_for_uses_a_socket_of_its_own() {
    let mut browser = Browser::with_tabs(3);
    browser.greet(0);
    browser.open_rooms(0, 0..97);
    browser.admit(0);
    assert_eq!(browser.open_sockets(), [0]);
    browser.open_rooms(1, 97..98);
    browser.wait(300);
    assert_eq!(browser.open_sockets(), [0, 1]);
    let leaves = |browser: &Browser| {
        let sent = browser.tabs[0].sent.iter();
        sent.filter(|(_, message)| *message == Message::Leave).count()
    };
    assert_eq!(leaves(&browser), 1, "its first room goes with it");
    browser.greet(1);
    browser.write(1, "alone");
    assert_eq!((browser.edited(1).len(), browser.text(2)), (1, "alone".into()));
    // The leader itself and a tab with what it has stay where they are.
    browser.open_rooms(0, 98..120);
    browser.write(2, "together");
    assert_eq!((browser.open_sockets(), browser.edited(0).len()), (vec![0, 1], 1));
}

#[test]
fn rooms_that_come_all_at_once_with_the_welcome_are_counted_too() {
    let mut browser = Browser::with_tabs(4);
    for (at, first) in [0, 32, 64, 96].into_iter().enumerate() {
        browser.open_rooms(at, first..first + 32);
    }
    browser.greet(0);
    browser.wait(300);
    assert_eq!(browser.open_sockets(), [0, 3]);
    for at in 0..3 {
        browser.write(at, "x");
    }
    assert_eq!(browser.edited(0).len(), 3);
}

impl Browser {
    fn open_early(&mut self, lineage_first: bool) -> usize {
        let at = self.add();
        let (key, name) = (self.tabs[at].key, RoomName::parse("room").unwrap());
        let client = ClientId::from_u32(1 + at as u32);
        if lineage_first {
            self.input(at, Input::Ready);
        }
        self.session_input(at, client::Input::Open { key, name, client });
        self.input(at, Input::Ready);
        at
    }
}

#[test]
fn a_room_opened_before_the_tab_met_the_others_asks_them_too() {
    let mut browser = Browser::with_tabs(1);
    browser.write(0, "offline work");
    let at = browser.open_early(false);
    browser.wait(2_000);
    browser.wait(2_000);
    assert_eq!(browser.text(at), "offline work");
}

#[test]
fn and_brings_what_they_leave_behind() {
    let mut browser = Browser::with_tabs(1);
    browser.write(0, "offline work");
    let at = browser.open_early(false);
    browser.wait(2_000);
    browser.close(0);
    assert_eq!(browser.saved(at).pending, 1);
}

#[test]
fn what_a_tab_gives_belongs_to_a_history() {
    let mut browser = Browser::with_tabs(1);
    browser.greet(0);
    browser.write(0, "of history 1");
    browser.input(0, Input::SocketClosed { error: None });
    browser.open();
    assert_eq!(browser.text(1), "of history 1");
    let room = browser.tabs[1].client.room(browser.tabs[1].key).unwrap();
    assert_eq!(room.lineage(), Some(Lineage([1; 16])), "else it joins any history with this");
}

#[test]
fn a_kept_draft_stays_private() {
    let mut browser = Browser::with_tabs(2);
    browser.greet(0);
    for at in 0..2 {
        let key = browser.tabs[at].key;
        browser.tabs[at].client.room_mut(key).unwrap().keep_refused(true);
    }
    browser.write(0, "fine ");
    let channel = browser.edited(0)[0];
    let ack =
        Message::Ack { accepted: EditNumber(1), durable: EditNumber(1), sequence: Sequence(1) };
    browser.relay_says(0, Channel(channel), &ack);
    browser.write(0, "refused ");
    let error = coweave_core::error::Error::new(coweave_core::error::Code::RoomTooLarge, "no");
    browser.relay_says(0, Channel(channel), &Message::Refused { number: EditNumber(2), error });
    assert!(matches!(
        browser.tabs[0].client.room(browser.tabs[0].key).unwrap().state(),
        client::RoomState::Stopped { .. }
    ));
    browser.write(0, "private ");
    let before = browser.edited(0).len();
    let key = browser.tabs[0].key;
    browser.session_input(0, client::Input::Close { key });
    assert_eq!(browser.edited(0).len(), before, "nobody sends the draft");
    assert!(!browser.text(1).contains("private"));
}

#[test]
fn a_socket_that_does_not_open_is_given_up_although_one_tab_or_another_always_waits_for_it() {
    let mut browser = Browser::with_tabs(1);
    browser.wait(5_000);
    browser.open();
    assert_eq!(browser.tabs[0].sockets, 1);
    for _ in 0..40 {
        browser.wait(500);
    }
    assert!(browser.tabs[0].sockets > 2, "whoever gave it up was not the last one");
    // Who leaves a room while the socket opens does not disturb the others.
    let mut browser = Browser::with_tabs(2);
    browser.wait(1_000);
    let key = browser.tabs[1].key;
    browser.session_input(1, client::Input::Close { key });
    browser.greet(0);
    assert_eq!(browser.tabs[0].sockets, 1);
}
