//! A session with thousands of rooms.

#![expect(clippy::disallowed_types, reason = "a test may look at a clock")]

use std::time::{Duration, Instant};

use coweave_core::client::{Client, Input, Output, RoomKey, Settings, StoredCopy};
use coweave_core::ids::{ClientId, RoomName, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::time::Time;

const ROOMS: u32 = 2_000;
const NOW: Time = Time::ZERO;

/// A session with so many rooms, and the last of them.
fn session(rooms: u32) -> (Client, RoomKey) {
    let settings = Settings {
        session: SessionKey([1; 16]),
        agent: "test".to_owned(),
        limits: Limits::default(),
        has_device_store: true,
    };
    let mut client = Client::new(settings, 1, NOW);
    let mut open = |at: u32| {
        let (key, client_id) = (client.next_key(), ClientId::from_u32(at));
        let name = RoomName::parse(&format!("room {at}")).unwrap();
        client.handle(Input::Open { key, name, client: client_id }, NOW);
        client.handle(Input::Loaded { key, copy: Ok(StoredCopy::default()) }, NOW);
        key
    };
    let last = (1..=rooms).map(&mut open).last().unwrap();
    run(&mut client);
    (client, last)
}

/// All that the session wants, of which the device does what is for it.
fn run(client: &mut Client) {
    loop {
        match client.poll(NOW) {
            Output::Idle { .. } => return,
            Output::Write { key, ticket, .. } => client.handle(Input::Written { key, ticket }, NOW),
            _ => {}
        }
    }
}

fn type_in(client: &mut Client, key: RoomKey) -> Duration {
    let begun = Instant::now();
    for _ in 0..20 {
        client.room_mut(key).unwrap().replica_mut().text_insert("text", 0, "x").unwrap();
        client.handle(Input::Tick, NOW);
        run(client);
    }
    begun.elapsed()
}

#[test]
fn a_key_costs_no_more_for_the_rooms_that_nobody_types_in() {
    // A busy machine makes some attempts slow, and not all.
    let fastest = |rooms| {
        let (mut client, key) = session(rooms);
        (0..10).map(|_| type_in(&mut client, key)).min().unwrap()
    };
    let (one, many) = (fastest(1), fastest(ROOMS));
    println!("20 keys: {one:?} with one room, {many:?} with {ROOMS}");
    assert!(many < one * 20, "{many:?} with {ROOMS} rooms, {one:?} with one");
}
