//! Every limit of [`Limits`]: what lies at it passes, what lies one above it gets its code.
//!
//! That a larger frame is noticed, and a queue that is too long, is the relay's part; its tests
//! show that. Here is what the machines answer then.

#![expect(
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, and its numbers are small"
)]

use std::time::Duration;

use bytes::Bytes;
use coweave_core::doc::guard::{self, Mode};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::error::Code;
use coweave_core::ids::{
    Channel, ClientId, EditNumber, Epoch, Lineage, MemberId, RoomName, Sequence, SessionKey,
};
use coweave_core::limits::Limits;
use coweave_core::link::{self, Link, Shared};
use coweave_core::room::{self, JoinRequest, Output, Protocol, Room, RoomMessage, StoredRoom};
use coweave_core::time::Time;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::v1::{EditKind, Hello, Join, Joined, Message, Role, read_frame};

/// What is tried with small limits: 0 above a limit, or 1.
type Try = fn(above: usize) -> Option<Code>;

const TABLE: &[(&str, Code, Try)] = &[
    ("frame_bytes_max", Code::FrameTooLarge, frame),
    ("update_bytes_max", Code::UpdateTooLarge, update),
    ("update_bytes_max in a room", Code::UpdateTooLarge, update_in_room),
    ("update_blocks_max", Code::UpdateTooLarge, blocks),
    ("update_clients_max", Code::UpdateTooLarge, clients),
    ("value_depth_max", Code::UpdateMalformed, depth),
    ("type_depth_max", Code::UpdateTooDeep, type_depth),
    ("type_depth_max of what a room has", Code::UpdateTooDeep, type_depth_in_log),
    ("state_vector_clients_max", Code::FrameMalformed, state_vector),
    ("rooms_per_connection_max", Code::RoomTooMany, rooms),
    ("joins_per_minute_max", Code::RoomTooOften, joins),
    ("members_per_room_max", Code::RoomFull, members),
    ("presence_bytes_max", Code::PresenceTooLarge, presence),
    ("presence_bytes_max of outside clients", Code::PresenceTooLarge, awareness),
    ("presence_clients_per_member_max", Code::PresenceTooMany, presences),
    ("send_queue_bytes_max", Code::ConnectionTooSlow, queue),
    ("undurable_bytes_max", Code::RelayDegraded, undurable),
    ("room_bytes_max", Code::RoomTooLarge, room_bytes),
    ("hello_bytes_max", Code::ConnectionHelloTooLarge, hello_bytes),
    ("hello_bytes_max that cannot be read", Code::ConnectionHelloTooLarge, hello_frame),
    ("hello_timeout", Code::ConnectionHelloTimeout, hello),
    ("hello_timeout of outside clients", Code::ConnectionHelloTimeout, first_frame),
    ("idle_timeout", Code::ConnectionIdle, idle),
];

/// Limits that refuse nothing and have tests of their own, here or among those of the relay.
const ELSEWHERE: &[&str] = &[
    "sync_chunk_bytes",
    "messages_per_second_max",
    "messages_burst_max",
    "bytes_per_second_max",
    "bytes_burst_max",
    "connections_max",
    "silent_connections_max",
    "presence_tick",
    "commit_interval",
    "room_linger",
    "tail_bytes_max",
];

#[test]
fn every_limit_is_tried() {
    let shown = format!("{:?}", Limits::default());
    let mut fields = shown.split([',', '{']).filter_map(|part| part.trim().split_once(": "));
    let tried = |field: &str| {
        TABLE.iter().any(|(limit, ..)| limit.split(' ').next() == Some(field))
            || ELSEWHERE.contains(&field)
    };
    assert_eq!(fields.find(|(field, _)| !tried(field)), None);
}

#[test]
fn what_lies_at_a_limit_passes_and_one_above_it_gets_its_code() {
    for (limit, code, attempt) in TABLE {
        assert_eq!(attempt(0), None, "at {limit}");
        assert_eq!(attempt(1), Some(*code), "one above {limit}");
    }
}

#[test]
fn a_first_sync_comes_in_pieces_of_the_size_of_the_limit() {
    let limits = Limits { sync_chunk_bytes: 10, ..Limits::default() };
    let mut link = welcomed(limits);
    ask_to_enter(&mut link, 1, "room");
    let joined = Joined {
        lineage: Lineage([0; 16]),
        epoch: Epoch(0),
        sequence: Sequence(1),
        sync_bytes: 0,
        state_vector: Bytes::from_static(&[0]),
        role: Role::Editor,
    };
    let updates = vec![Bytes::from(vec![0; 24])];
    let message = Shared::new(RoomMessage::Joined { joined, updates });
    link.handle(link::Input::Room { channel: Channel(1), message }, Time::ZERO);
    let pieces: Vec<_> = said(&mut link, Time::ZERO)
        .into_iter()
        .filter_map(
            |message| if let Message::Sync(piece) = message { Some(piece.len()) } else { None },
        )
        .collect();
    assert_eq!(pieces, [10, 10, 5]);
}

#[test]
fn an_empty_room_stays_for_as_long_as_the_limit_says() {
    let limits = Limits { room_linger: Duration::from_millis(50), ..Limits::default() };
    let mut room = open(limits);
    assert!(matches!(room.poll(Time::from_ms(49)), Output::Idle { wake: Some(_) }));
    assert_eq!(room.poll(Time::from_ms(50)), Output::Unload);
}

#[test]
fn a_log_is_folded_when_it_is_longer_than_the_limit() {
    let edit = edit(1);
    for (tail_bytes_max, is_folded) in [(edit.len(), false), (edit.len() - 1, true)] {
        let mut room = open(Limits { tail_bytes_max, ..Limits::default() });
        join(&mut room, 1, Bytes::from_static(&[0]));
        send(&mut room, 1, &edit);
        room.handle(room::Input::Durable { through: Sequence(1) }, Time::ZERO);
        let outputs = drain(&mut room);
        let is_fold = |output: &Output| matches!(output, Output::Compact { .. });
        assert_eq!(outputs.iter().any(is_fold), is_folded, "{outputs:?}");
    }
}

// ---- links ------------------------------------------------------------------------------------

fn said(link: &mut Link, now: Time) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..1_000 {
        match link.poll(now) {
            link::Output::Frame(frame) => {
                messages.extend(said_in(&frame));
            }
            link::Output::Close { .. } => return messages,
            link::Output::Idle { .. } => match link.next_piece() {
                Some(frame) => messages.extend(said_in(&frame)),
                None => return messages,
            },
            _ => {}
        }
    }
    panic!("the link never rests");
}

fn said_in(frame: &Bytes) -> impl Iterator<Item = Message> {
    read_frame(frame).unwrap().into_iter().map(|(_, message)| message)
}

fn refusal(messages: Vec<Message>) -> Option<Code> {
    messages.into_iter().find_map(|message| match message {
        Message::Error(error) | Message::Refused { error, .. } => Some(error.code),
        _ => None,
    })
}

fn hear(link: &mut Link, channel: u32, message: &Message) {
    let frame = message.to_frame(Channel(channel)).into();
    link.handle(link::Input::Frame(frame), Time::ZERO);
}

fn greeting() -> Message {
    Message::Hello(Hello {
        version: 1,
        capabilities: 0,
        session: SessionKey([1; 16]),
        token: String::new(),
        agent: String::new(),
    })
}

fn welcomed(limits: Limits) -> Link {
    let mut link = Link::v1(limits, Time::ZERO);
    hear(&mut link, 0, &greeting());
    link
}

fn ask_to_enter(link: &mut Link, channel: u32, room: &str) {
    let join = Join {
        room: room.to_owned(),
        client: ClientId::from_u32(1),
        lineage: None,
        epoch: Epoch(0),
        sequence: Sequence(0),
        state_vector: Bytes::from_static(&[0]),
    };
    hear(link, channel, &Message::Join(join));
}

fn frame(above: usize) -> Option<Code> {
    let mut link = welcomed(Limits::default());
    if above > 0 {
        link.handle(link::Input::OversizedFrame, Time::ZERO);
    }
    refusal(said(&mut link, Time::ZERO))
}

fn queue(above: usize) -> Option<Code> {
    let mut link = welcomed(Limits::default());
    if above > 0 {
        link.handle(link::Input::TooSlow, Time::ZERO);
    }
    refusal(said(&mut link, Time::ZERO))
}

fn rooms(above: usize) -> Option<Code> {
    let mut link = welcomed(Limits { rooms_per_connection_max: 2, ..Limits::default() });
    (1..=2 + above as u32).for_each(|channel| ask_to_enter(&mut link, channel, "room"));
    refusal(said(&mut link, Time::ZERO))
}

fn joins(above: usize) -> Option<Code> {
    let mut link = welcomed(Limits { joins_per_minute_max: 2, ..Limits::default() });
    for channel in 1..=2 + above as u32 {
        ask_to_enter(&mut link, channel, "room");
        hear(&mut link, channel, &Message::Leave);
    }
    refusal(said(&mut link, Time::ZERO))
}

fn hello_bytes(above: usize) -> Option<Code> {
    // A message that means nothing is sent first.
    let (skipped, hello) = ([99, 0, 0], greeting().to_frame(Channel::CONNECTION));
    let hello_bytes_max = skipped.len() + hello.len() - above;
    let mut link = Link::v1(Limits { hello_bytes_max, ..Limits::default() }, Time::ZERO);
    for frame in [skipped.to_vec(), hello] {
        link.handle(link::Input::Frame(frame.into()), Time::ZERO);
    }
    refusal(said(&mut link, Time::ZERO))
}

/// Before the hello the transport reads no larger frame; after it there is more room.
fn hello_frame(above: usize) -> Option<Code> {
    let limits = Limits { hello_bytes_max: 100, ..Limits::default() };
    let (frame_bytes_max, mut link) = (limits.frame_bytes_max, Link::v1(limits, Time::ZERO));
    assert_eq!(link.frame_bytes_max(), 100);
    if above > 0 {
        link.handle(link::Input::OversizedFrame, Time::ZERO);
    } else {
        hear(&mut link, 0, &greeting());
        assert_eq!(link.frame_bytes_max(), frame_bytes_max);
    }
    refusal(said(&mut link, Time::ZERO))
}

fn presence(above: usize) -> Option<Code> {
    let mut link = welcomed(Limits { presence_bytes_max: 10, ..Limits::default() });
    ask_to_enter(&mut link, 1, "room");
    let json = format!("\"{}\"", "x".repeat(8 + above));
    hear(&mut link, 1, &Message::SetPresence(Some(json)));
    refusal(said(&mut link, Time::ZERO))
}

fn hello(above: usize) -> Option<Code> {
    let limits = Limits { hello_timeout: Duration::from_millis(50), ..Limits::default() };
    let mut link = Link::v1(limits, Time::ZERO);
    refusal(said(&mut link, Time::from_ms(49 + above as u64)))
}

fn first_frame(above: usize) -> Option<Code> {
    let limits = Limits { hello_timeout: Duration::from_millis(50), ..Limits::default() };
    let room = RoomName::parse("room").unwrap();
    let mut link = Link::y_websocket(room, SessionKey([1; 16]), limits, Time::ZERO);
    match link.poll(Time::from_ms(49 + above as u64)) {
        link::Output::Close { reason, .. } => Some(Code::parse(reason)),
        _ => None,
    }
}

fn idle(above: usize) -> Option<Code> {
    let limits = Limits { idle_timeout: Duration::from_millis(90), ..Limits::default() };
    refusal(said(&mut welcomed(limits), Time::from_ms(89 + above as u64)))
}

// ---- rooms ------------------------------------------------------------------------------------

fn open(limits: Limits) -> Room {
    let stored = StoredRoom::new(Lineage([0; 16]), Epoch(1));
    Room::open(stored, limits, Time::ZERO).unwrap()
}

fn drain(room: &mut Room) -> Vec<Output> {
    let mut outputs = Vec::new();
    while outputs.len() < 1_000 {
        match room.poll(Time::ZERO) {
            Output::Idle { .. } | Output::Unload => return outputs,
            output => outputs.push(output),
        }
    }
    panic!("the room never rests");
}

fn refused(outputs: Vec<Output>) -> Option<Code> {
    outputs.into_iter().find_map(|output| match output {
        Output::Send {
            message: RoomMessage::Refused { error, .. } | RoomMessage::End { error },
            ..
        } => Some(error.code),
        _ => None,
    })
}

fn join(room: &mut Room, member: u32, state_vector: Bytes) -> Option<Code> {
    let request = Box::new(JoinRequest {
        session: SessionKey([member as u8; 16]),
        client: Some(ClientId::from_u32(member)),
        lineage: None,
        epoch: Epoch(0),
        sequence: Sequence(0),
        state_vector,
        protocol: Protocol::V1,
    });
    let member = MemberId(u64::from(member));
    room.handle(room::Input::Join { member, request }, Time::ZERO);
    refused(drain(room))
}

fn send(room: &mut Room, member: u32, update: &Bytes) -> Option<Code> {
    let (number, kind, update) = (EditNumber(1), EditKind::Live, update.clone());
    let member = MemberId(u64::from(member));
    room.handle(room::Input::Edit { member, number, kind, update }, Time::ZERO);
    refused(drain(room))
}

fn edit(client: u32) -> Bytes {
    let mut replica = Replica::new(ClientId::from_u32(client));
    replica.text_insert("text", 0, "hello").unwrap();
    replica.take_edits().unwrap()
}

fn members(above: usize) -> Option<Code> {
    let mut room = open(Limits { members_per_room_max: 2, ..Limits::default() });
    (1..=2 + above as u32).find_map(|member| join(&mut room, member, Bytes::from_static(&[0])))
}

fn state_vector(above: usize) -> Option<Code> {
    let mut room = open(Limits { state_vector_clients_max: 2, ..Limits::default() });
    let mut known = Known::new();
    (0..2 + above as u32).for_each(|client| known.reach(ClientId::from_u32(client), 1));
    join(&mut room, 1, known.encode().into())
}

fn update_in_room(above: usize) -> Option<Code> {
    let edit = edit(1);
    let mut room = open(Limits { update_bytes_max: edit.len() - above, ..Limits::default() });
    join(&mut room, 1, Bytes::from_static(&[0]));
    send(&mut room, 1, &edit)
}

fn room_bytes(above: usize) -> Option<Code> {
    let (first, second) = (edit(1), edit(2));
    let room_bytes_max = first.len() + second.len() - above;
    let mut room = open(Limits { room_bytes_max, ..Limits::default() });
    join(&mut room, 1, Bytes::from_static(&[0]));
    join(&mut room, 2, Bytes::from_static(&[0]));
    send(&mut room, 1, &first).or_else(|| send(&mut room, 2, &second))
}

fn undurable(above: usize) -> Option<Code> {
    let (first, second) = (edit(1), edit(2));
    let undurable_bytes_max = first.len() + second.len() - above;
    let mut room = open(Limits { undurable_bytes_max, ..Limits::default() });
    join(&mut room, 1, Bytes::from_static(&[0]));
    join(&mut room, 2, Bytes::from_static(&[0]));
    send(&mut room, 1, &first).or_else(|| send(&mut room, 2, &second))
}

/// Each level in an update of its own, or all in one.
fn nested(levels: &[usize], type_depth_max: u32) -> Option<Code> {
    let mut room = open(Limits { type_depth_max, ..Limits::default() });
    join(&mut room, 1, Bytes::from_static(&[0]));
    let mut clock = 0;
    levels.iter().find_map(|count| {
        let mut update = vec![1, *count as u8, 1, clock];
        for _ in 0..*count {
            match clock {
                0 => update.extend([7, 1, 1, b't', 0]),
                _ => update.extend([7, 0, 1, clock - 1, 0]),
            }
            clock += 1;
        }
        update.push(0);
        send(&mut room, 1, &update.into())
    })
}

fn type_depth(above: usize) -> Option<Code> {
    // The type with a name is a level, too.
    nested(&[4 + above], 5)
}

fn type_depth_in_log(above: usize) -> Option<Code> {
    nested(&[1, 2, 1].repeat(1 + above), 5)
}

fn presences(above: usize) -> Option<Code> {
    let mut room = open(Limits { presence_clients_per_member_max: 2, ..Limits::default() });
    join(&mut room, 1, Bytes::from_static(&[0]));
    // Its own client id is one of them.
    let shows = |client| AwarenessEntry {
        client: ClientId::from_u32(client),
        clock: 1,
        state: Some("1".to_owned()),
    };
    let entries = (2..3 + above as u32).map(shows).collect();
    room.handle(room::Input::Awareness { member: MemberId(1), entries }, Time::ZERO);
    refused(drain(&mut room))
}

// ---- bytes ------------------------------------------------------------------------------------

fn check(update: &[u8], limits: &Limits) -> Option<Code> {
    let refused = guard::check(update, &Known::new(), Mode::State, &|_| false, limits).err();
    refused.map(|error| error.code)
}

fn update(above: usize) -> Option<Code> {
    let edit = edit(1);
    check(&edit, &Limits { update_bytes_max: edit.len() - above, ..Limits::default() })
}

/// Two clients with two structs each, and a deletion.
fn two_clients() -> Vec<u8> {
    let text = [&[4, 1, 1][..], b"t", &[1], b"a"].concat();
    let client = |id: u8| [&[2, id, 0], &text[..], &text[..]].concat();
    [&[2][..], &client(9), &client(5), &[1, 5, 1, 0, 1]].concat()
}

fn blocks(above: usize) -> Option<Code> {
    let limits = Limits { update_blocks_max: 5 - above as u64, ..Limits::default() };
    check(&two_clients(), &limits)
}

fn clients(above: usize) -> Option<Code> {
    let limits = Limits { update_clients_max: 2 - above as u64, ..Limits::default() };
    check(&two_clients(), &limits)
}

fn depth(above: usize) -> Option<Code> {
    let nested = |depth: usize| [[117, 1].repeat(depth), vec![126]].concat();
    let update = [&[1, 1, 5, 0, 8, 1, 1][..], b"t", &[1], &nested(3 + above), &[0]].concat();
    check(&update, &Limits { value_depth_max: 3, ..Limits::default() })
}

fn awareness(above: usize) -> Option<Code> {
    let state = Some(format!("\"{}\"", "x".repeat(8 + above)));
    let entry = AwarenessEntry { client: ClientId::from_u32(1), clock: 1, state };
    let limits = Limits { presence_bytes_max: 10, ..Limits::default() };
    awareness::read(&awareness::write(&[entry]), &limits).err().map(|error| error.code)
}
