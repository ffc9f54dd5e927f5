//! What it costs in memory to pass an update on: nothing for each reader.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::System;

use bytes::Bytes;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{
    Channel, ClientId, EditNumber, Epoch, Lineage, MemberId, RoomName, Sequence, SessionKey,
};
use coweave_core::limits::Limits;
use coweave_core::link::{self, Link, Shared};
use coweave_core::room::{self, JoinRequest, Protocol, Room, StoredRoom};
use coweave_core::time::Time;
use coweave_core::wire::v1::{EditKind, Hello, Join, Message};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Time = Time::ZERO;
const UPDATES: usize = 100;

/// A room with one writer and so many readers, and how often memory was asked for while so many
/// updates went out to all of them.
fn allocations(readers: u64, make_link: impl Fn() -> Link) -> usize {
    let stored = StoredRoom::new(Lineage([1; 16]), Epoch(1));
    let mut room = Room::open(stored, Limits::default(), NOW).unwrap();
    (0..=readers).for_each(|member| join(&mut room, member));
    let mut links: Vec<Link> = (0..readers).map(|_| make_link()).collect();
    let mut writer = Replica::new(ClientId::from_u32(0));
    let updates: Vec<Bytes> = (0..UPDATES)
        .map(|_| {
            writer.text_insert("text", 0, "x").unwrap();
            // Part of a larger buffer, as what comes off a wire: to share it costs nothing.
            let mut frame = Vec::with_capacity(1 << 10);
            frame.extend_from_slice(&writer.take_edits().unwrap());
            Bytes::from(frame)
        })
        .collect();
    let mut delivered = 0;
    let region = Region::new(ALLOCATOR);
    for (number, update) in updates.into_iter().enumerate() {
        let number = EditNumber(number as u64 + 1);
        let kind = EditKind::Live;
        room.handle(room::Input::Edit { member: MemberId(0), number, kind, update }, NOW);
        loop {
            match room.poll(NOW) {
                room::Output::Idle { .. } => break,
                room::Output::Broadcast { message, .. } => {
                    let message = Shared::new(message);
                    for link in &mut links {
                        let message = message.clone();
                        link.handle(link::Input::Room { channel: Channel(1), message }, NOW);
                        delivered += usize::from(matches!(link.poll(NOW), link::Output::Frame(_)));
                    }
                }
                _ => {}
            }
        }
    }
    let allocations = region.change().allocations;
    assert_eq!(delivered, UPDATES * links.len());
    allocations
}

fn join(room: &mut Room, member: u64) {
    let request = Box::new(JoinRequest {
        session: SessionKey([u8::try_from(member % 256).unwrap(); 16]),
        client: (member == 0).then_some(ClientId::from_u32(0)),
        lineage: None,
        epoch: Epoch(0),
        sequence: Sequence(0),
        state_vector: Bytes::from_static(&[0]),
        protocol: Protocol::V1,
    });
    room.handle(room::Input::Join { member: MemberId(member), request }, NOW);
    while !matches!(room.poll(NOW), room::Output::Idle { .. }) {}
}

fn rest(mut link: Link) -> Link {
    while !matches!(link.poll(NOW), link::Output::Idle { .. }) {}
    link
}

fn v1() -> Link {
    let mut link = Link::v1(Limits::default(), NOW);
    let hello = Hello {
        version: 1,
        capabilities: 0,
        session: SessionKey([1; 16]),
        token: String::new(),
        agent: String::new(),
    };
    let join = Join {
        room: "room".to_owned(),
        client: ClientId::from_u32(1),
        lineage: None,
        epoch: Epoch(0),
        sequence: Sequence(0),
        state_vector: Bytes::from_static(&[0]),
    };
    for (channel, message) in [(0, Message::Hello(hello)), (1, Message::Join(join))] {
        let frame = message.to_frame(Channel(channel)).into();
        link.handle(link::Input::Frame(frame), NOW);
    }
    rest(link)
}

fn y_websocket() -> Link {
    let room = RoomName::parse("room").unwrap();
    let mut link = Link::y_websocket(room, SessionKey([1; 16]), Limits::default(), NOW);
    link.handle(link::Input::Frame(Bytes::from_static(&[0, 0, 1, 0])), NOW);
    rest(link)
}

#[test]
fn passing_an_update_on_allocates_nothing_for_a_reader() {
    let protocols: [(_, fn() -> Link, _); 2] =
        [("coweave.v1", v1, 7), ("y-websocket", y_websocket, 6)];
    for (protocol, make_link, most) in protocols {
        let (few, many) = (allocations(100, make_link), allocations(300, make_link));
        let for_an_update = many.div_ceil(UPDATES);
        assert_eq!(few, many, "{protocol}: a reader costs memory");
        assert!(for_an_update <= most, "{protocol}: {for_an_update} allocations for an update");
    }
}
