//! A session and a relay with other limits, or without manners.

use bytes::Bytes;
use coweave_core::client::{
    Client, Event, Input, Output, Record, RoomKey, RoomState, Settings, StoredCopy,
};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{
    Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, SessionKey,
};
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::primitive::write_bytes;
use coweave_core::wire::v1::{EditKind, Joined, Message, Role, Welcome, read_frame};

pub(crate) const TEXT: &str = "text";

/// A session in memory or on a device, and what it has sent.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) keys: Vec<RoomKey>,
    pub(crate) now: Time,
    pub(crate) frames: Vec<Bytes>,
    pub(crate) connects: usize,
    pub(crate) disconnects: usize,
    pub(crate) wake: Option<Time>,
    pub(crate) events: Vec<Event>,
    /// What else the session wanted.
    pub(crate) outputs: Vec<Output>,
}

impl Session {
    pub(crate) fn new(rooms: usize, has_device_store: bool) -> Self {
        Self::with_seed(rooms, has_device_store, 1)
    }

    pub(crate) fn with_seed(rooms: usize, has_device_store: bool, seed: u64) -> Self {
        let settings = Settings {
            session: SessionKey([1; 16]),
            agent: "test".to_owned(),
            limits: Limits::default(),
            has_device_store,
        };
        let client = Client::new(settings, seed, Time::ZERO);
        let (keys, frames) = (Vec::new(), Vec::new());
        let (now, events) = (Time::ZERO, Vec::new());
        let (connects, disconnects, wake, outputs) = (0, 0, None, Vec::new());
        let mut this =
            Self { client, keys, now, frames, connects, disconnects, wake, events, outputs };
        for room in 0..rooms {
            let key = this.client.next_key();
            let name = RoomName::parse(&format!("room {room}")).unwrap();
            this.keys.push(key);
            this.input(Input::Open { key, name, client: ClientId::from_u32(1 + room as u32) });
        }
        this
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.client.handle(input, self.now);
        for _ in 0..10_000 {
            match self.client.poll(self.now) {
                Output::Idle { wake } => return self.wake = wake,
                Output::Frame(frame) => self.frames.push(frame),
                Output::Connect => self.connects += 1,
                Output::Disconnect => self.disconnects += 1,
                Output::Event { event, .. } => self.events.push(event),
                output => self.outputs.push(output),
            }
        }
        panic!("the session never rests");
    }

    /// The relay greets, with its limits.
    pub(crate) fn welcome(&mut self, limits: &Limits) {
        self.welcome_for(limits, 0);
    }

    /// And says how long it takes the token.
    pub(crate) fn welcome_for(&mut self, limits: &Limits, token_life_ms: u64) {
        self.input(Input::SocketOpened { token: String::new() });
        self.greet_for(limits, token_life_ms);
    }

    pub(crate) fn greet(&mut self, limits: &Limits) {
        self.greet_for(limits, 0);
    }

    fn greet_for(&mut self, limits: &Limits, token_life_ms: u64) {
        let welcome = Welcome {
            version: 1,
            capabilities: 0,
            frame_bytes_max: limits.frame_bytes_max as u64,
            update_bytes_max: limits.update_bytes_max as u64,
            idle_timeout_ms: 60_000,
            agent: "test".to_owned(),
            token_life_ms,
        };
        self.hear(Channel::CONNECTION, &Message::Welcome(welcome));
    }

    pub(crate) fn hear(&mut self, channel: Channel, message: &Message) {
        self.input(Input::SocketFrame(message.to_frame(channel).into()));
    }

    /// The relay lets the session into an empty room.
    pub(crate) fn joined(&mut self, channel: u32) {
        self.joined_in(channel, Epoch(1));
    }

    fn joined_in(&mut self, channel: u32, epoch: Epoch) {
        let joined = Joined {
            lineage: Lineage([1; 16]),
            epoch,
            sequence: Sequence(0),
            sync_bytes: 0,
            state_vector: Bytes::from_static(&[0]),
            role: Role::Editor,
        };
        self.hear(Channel(channel), &Message::Joined(joined));
    }

    /// The line is cut, and the relay greets again.
    pub(crate) fn reconnect(&mut self) {
        self.input(Input::SocketClosed { error: None });
        self.now = self.wake.unwrap();
        self.input(Input::Tick);
        self.welcome(&Limits::default());
        self.frames.clear();
    }

    pub(crate) fn write(&mut self, room: usize, content: &str) {
        let key = self.keys[room];
        let replica = self.client.room_mut(key).unwrap().replica_mut();
        replica.text_insert(TEXT, 0, content).unwrap();
    }

    /// How often the session said that what is saved where has changed.
    pub(crate) fn saved_changes(&self) -> usize {
        self.events.iter().filter(|event| **event == Event::SavedChanged).count()
    }

    /// What the session said of content for a room without any, since the last call.
    pub(crate) fn seeded(&mut self) -> Vec<Result<bool, Code>> {
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| match event {
                Event::Seeded(result) => Some(result.map_err(|error| error.code)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn state(&self, room: usize) -> &RoomState {
        self.client.room(self.keys[room]).unwrap().state()
    }

    /// The edits in the frames since the last call.
    pub(crate) fn sent(&mut self) -> Vec<(EditNumber, Bytes)> {
        let frames = std::mem::take(&mut self.frames);
        let messages = frames.iter().flat_map(|frame| read_frame(frame).unwrap());
        messages
            .filter_map(|(_, message)| match message {
                Message::Edit { number, update, .. } => Some((number, update)),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn what_is_gathered_never_makes_a_frame_that_the_relay_does_not_take() {
    let limits =
        Limits { frame_bytes_max: 60 << 10, update_bytes_max: 59 << 10, ..Limits::default() };
    let mut session = Session::new(2, false);
    session.welcome(&limits);
    session.joined(1);
    session.joined(2);
    session.write(0, &"a".repeat(20_000));
    session.write(1, &"b".repeat(45_000));
    session.input(Input::Tick);
    assert!(session.frames.iter().all(|frame| frame.len() <= limits.frame_bytes_max));
    assert_eq!(session.sent().len(), 2);
}

#[test]
fn what_was_typed_offline_is_cut_to_the_size_that_this_relay_takes() {
    let limits = Limits { update_bytes_max: 64 << 10, ..Limits::default() };
    let mut session = Session::new(1, false);
    for _ in 0..20 {
        session.write(0, &"a".repeat(10 << 10));
        session.input(Input::Tick);
    }
    session.welcome(&limits);
    session.joined(1);
    assert_eq!(session.state(0), &RoomState::Live);
    let mut relay = Replica::new(ClientId::from_u32(9));
    for (_, update) in session.sent() {
        assert!(update.len() <= limits.update_bytes_max);
        relay.apply(&update, &limits).unwrap();
    }
    assert_eq!(relay.text_length(TEXT), 20 * (10 << 10));
}

#[test]
fn what_was_typed_offline_is_cut_to_size_for_a_relay_that_crashed_meanwhile_too() {
    let limits = Limits { update_bytes_max: 64 << 10, ..Limits::default() };
    let mut session = Session::new(1, false);
    session.welcome(&limits);
    session.joined(1);
    session.input(Input::SocketClosed { error: None });
    for _ in 0..20 {
        session.write(0, &"a".repeat(10 << 10));
        session.input(Input::Tick);
    }
    session.now = Time::from_ms(1_000);
    session.input(Input::Tick);
    session.welcome(&limits);
    session.joined_in(2, Epoch(2));
    assert_eq!(session.state(0), &RoomState::Live);
    let mut relay = Replica::new(ClientId::from_u32(9));
    for (_, update) in session.sent() {
        relay.apply(&update, &limits).unwrap();
    }
    assert_eq!(relay.text_length(TEXT), 20 * (10 << 10));
}

#[test]
fn a_presence_state_that_the_relay_allows_costs_nobody_the_connection() {
    let mut session = Session::new(1, false);
    session.welcome(&Limits::default());
    session.joined(1);
    let state = Some(format!("\"{}\"", "x".repeat(Limits::default().presence_bytes_max)));
    let entries = [AwarenessEntry { client: ClientId::from_u32(5), clock: 1, state }];
    session.hear(Channel(1), &Message::Presence(awareness::write(&entries).into()));
    assert_eq!(session.state(0), &RoomState::Live);
    assert_eq!(session.client.room(session.keys[0]).unwrap().peers().len(), 1);
}

#[test]
fn a_relay_that_refuses_again_and_again_is_asked_less_and_less_often() {
    let mut session = Session::new(1, false);
    session.welcome(&Limits::default());
    session.write(0, "hello");
    session.input(Input::Tick);
    let mut attempts = 0;
    while session.now < Time::from_ms(60_000) {
        let joins: Vec<_> = std::mem::take(&mut session.frames)
            .iter()
            .flat_map(|frame| read_frame(frame).unwrap())
            .filter(|(_, message)| matches!(message, Message::Join(_)))
            .map(|(channel, _)| channel)
            .collect();
        for channel in joins {
            attempts += 1;
            session.joined(channel.0);
            let error = Error::new(Code::UpdateForeignClient, "held");
            session.hear(channel, &Message::Refused { number: EditNumber(1), error });
        }
        session.now = session.now + std::time::Duration::from_millis(50);
        session.hear(Channel::CONNECTION, &Message::Pong(1));
    }
    assert!(attempts < 40, "{attempts} attempts in a minute");
    assert_eq!(session.connects, 1);
}

#[test]
fn a_damaged_copy_still_knows_which_history_it_has() {
    let mut session = Session::new(1, true);
    let key = session.keys[0];
    let meta = coweave_core::client::Meta {
        lineage: Lineage([7; 16]),
        epoch: Epoch(1),
        sequence: Sequence(5),
        role: Role::Editor,
    };
    let record = Record { index: 1, is_pending: false, update: Bytes::from_static(&[9, 9]) };
    let copy = StoredCopy { meta: Some(meta), records: vec![record], ..StoredCopy::default() };
    session.input(Input::Loaded { key, copy: Ok(copy) });
    session.welcome(&Limits::default());
    let joins: Vec<_> = session
        .frames
        .iter()
        .flat_map(|frame| read_frame(frame).unwrap())
        .filter_map(
            |(_, message)| if let Message::Join(join) = message { Some(join) } else { None },
        )
        .collect();
    assert_eq!(joins[0].lineage, Some(Lineage([7; 16])));
    assert_eq!(joins[0].sequence, Sequence(0));
}

#[test]
fn a_document_larger_than_any_update_comes_in_pieces() {
    let mut writer = Replica::new(ClientId::from_u32(9));
    for _ in 0..3 {
        writer.text_insert(TEXT, 0, &"x".repeat(4 << 20)).unwrap();
    }
    let update = writer.state();
    assert!(update.len() > Limits::default().update_bytes_max);
    let mut stream = Vec::new();
    write_bytes(&mut stream, &update);
    let mut session = Session::new(1, false);
    session.welcome(&Limits::default());
    let joined = Joined {
        lineage: Lineage([1; 16]),
        epoch: Epoch(1),
        sequence: Sequence(3),
        sync_bytes: stream.len() as u64,
        state_vector: writer.known().encode().into(),
        role: Role::Editor,
    };
    session.hear(Channel(1), &Message::Joined(joined));
    let (mut received, total) = (0, stream.len() as u64);
    for piece in stream.chunks(64 << 10) {
        assert_eq!(session.state(0), &RoomState::Syncing { received, total });
        received += piece.len() as u64;
        session.hear(Channel(1), &Message::Sync(Bytes::copy_from_slice(piece)));
    }
    assert_eq!(session.state(0), &RoomState::Live);
    let room = session.client.room(session.keys[0]).unwrap();
    assert_eq!(room.replica().text_length(TEXT), 12 << 20);
}

fn content(client: u32, bytes: usize) -> Bytes {
    let mut replica = Replica::new(ClientId::from_u32(client));
    replica.text_insert(TEXT, 0, &"a".repeat(bytes)).unwrap();
    replica.state().into()
}

#[test]
fn content_that_the_relay_does_not_take_costs_nobody_the_connection() {
    let limits = Limits { update_bytes_max: 10 << 10, ..Limits::default() };
    let mut session = Session::new(1, false);
    session.welcome(&limits);
    session.joined(1);
    session.frames.clear();
    session.input(Input::Seed { key: session.keys[0], update: content(9, 20 << 10) });
    assert_eq!(session.seeded(), [Err(Code::UpdateTooLarge)]);
    assert_eq!((session.frames.len(), session.state(0)), (0, &RoomState::Live));
}

#[test]
fn content_that_was_the_first_is_known_to_be_when_the_answer_was_lost() {
    for (there, is_first) in [(9, true), (8, false)] {
        let mut session = Session::new(1, false);
        session.welcome(&Limits::default());
        session.joined(1);
        session.input(Input::Seed { key: session.keys[0], update: content(9, 10) });
        // The connection is lost on the way back, and the next one brings what was taken.
        session.reconnect();
        assert_eq!(session.seeded(), []);
        let mut sync = Vec::new();
        write_bytes(&mut sync, &content(there, 10));
        let joined = Joined {
            lineage: Lineage([1; 16]),
            epoch: Epoch(1),
            sequence: Sequence(1),
            sync_bytes: sync.len() as u64,
            state_vector: Bytes::from_static(&[0]),
            role: Role::Editor,
        };
        session.hear(Channel(2), &Message::Joined(joined));
        session.hear(Channel(2), &Message::Sync(sync.into()));
        assert_eq!(session.seeded(), [Ok(is_first)]);
    }
}

#[test]
fn a_copy_counts_as_one_of_the_new_epoch_when_the_relay_has_what_it_may_have_lost() {
    let mut session = Session::new(1, false);
    session.welcome(&Limits::default());
    session.joined_in(1, Epoch(1));
    session.hear(Channel(1), &Message::Update { sequence: Sequence(1), update: content(9, 10) });
    // The relay crashed, and the line is cut before the difference arrives: it is sent again.
    for channel in [2, 3] {
        session.reconnect();
        session.joined_in(channel, Epoch(2));
        assert_eq!(session.sent().len(), 1);
    }
    let joined = Joined {
        lineage: Lineage([1; 16]),
        epoch: Epoch(2),
        sequence: Sequence(0),
        sync_bytes: 0,
        state_vector: session
            .client
            .room(session.keys[0])
            .unwrap()
            .replica()
            .known()
            .encode()
            .into(),
        role: Role::Editor,
    };
    session.hear(Channel(3), &Message::Flushed(0));
    assert_eq!(session.client.room(session.keys[0]).unwrap().position().0, Epoch(2));
    session.reconnect();
    session.hear(Channel(4), &Message::Joined(joined));
    assert_eq!(session.sent().len(), 0);
}

#[test]
fn what_the_app_brings_from_elsewhere_is_sent_as_the_work_of_others() {
    let mut session = Session::new(1, false);
    session.welcome(&Limits::default());
    session.joined(1);
    let mut kinds = Vec::new();
    for is_import in [false, true, false] {
        session.frames.clear();
        if is_import {
            let mut author = Replica::new(ClientId::from_u32(77));
            author.text_insert(TEXT, 0, "elsewhere").unwrap();
            let replica = session.client.room_mut(session.keys[0]).unwrap().replica_mut();
            replica.import(&author.state(), &Limits::default()).unwrap();
        }
        session.write(0, "here");
        session.input(Input::Tick);
        for frame in &session.frames {
            kinds.extend(read_frame(frame).unwrap().into_iter().filter_map(|(_, message)| {
                match message {
                    Message::Edit { kind, .. } => Some(kind),
                    _ => None,
                }
            }));
        }
    }
    assert_eq!(kinds, [EditKind::Live, EditKind::Difference, EditKind::Live]);
}
