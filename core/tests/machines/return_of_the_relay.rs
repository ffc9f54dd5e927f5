//! A relay that was gone is there again: how soon everybody is back in step, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use coweave_core::client::{Input, RoomState};
use coweave_core::ids::Channel;
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::v1::{Message, read_frame};

use crate::client::Session;

const CLIENTS: u64 = 500;
/// A way to the relay and back.
const ROUND_TRIP: Duration = Duration::from_millis(60);

fn is_live(session: &Session) -> bool {
    session.state(0) == &RoomState::Live
}

/// What a client hears next from the world.
#[derive(Clone, Copy)]
enum Next {
    Opened,
    Refused,
    Answer,
    Timer,
}

/// When each client is in step again after the relay was gone for so long, counted from its return,
/// in rising order.
fn back_after(gone_for: Duration) -> Vec<Duration> {
    let mut clients: Vec<_> = (0..CLIENTS).map(|seed| Session::with_seed(1, false, seed)).collect();
    let mut queue = BTreeMap::new();
    for (at, client) in clients.iter_mut().enumerate() {
        client.welcome(&Limits::default());
        client.joined(1);
        client.frames.clear();
        client.now = Time::from_ms(60_000);
        queue.insert((client.now, at), Next::Refused);
    }
    let back_at = Time::from_ms(60_000) + gone_for;
    let mut took = Vec::new();
    while let Some(((now, at), next)) = queue.pop_first() {
        let client = &mut clients[at];
        client.now = now;
        let connects = client.connects;
        match next {
            Next::Timer => client.input(Input::Tick),
            Next::Refused => client.input(Input::SocketClosed { error: None }),
            Next::Opened => client.input(Input::SocketOpened { token: String::new() }),
            Next::Answer => answer(client),
        }
        if is_live(client) {
            took.push(now.since(back_at));
            continue;
        }
        let (after, next) = if client.connects > connects {
            let is_there = now >= back_at;
            if is_there { (ROUND_TRIP, Next::Opened) } else { (ROUND_TRIP, Next::Refused) }
        } else if client.frames.is_empty() {
            (client.wake.expect("it tries again").since(now), Next::Timer)
        } else {
            (ROUND_TRIP, Next::Answer)
        };
        queue.insert((now + after, at), next);
    }
    took.sort_unstable();
    took
}

/// The relay answers what the client has said.
fn answer(client: &mut Session) {
    for frame in std::mem::take(&mut client.frames) {
        for (channel, message) in read_frame(&frame).unwrap() {
            match message {
                Message::Hello(_) => client.greet(&Limits::default()),
                Message::Join(_) => client.joined(channel.0),
                Message::Ping(number) => client.hear(Channel::CONNECTION, &Message::Pong(number)),
                other => panic!("a client that is not in the room says {other:?}"),
            }
        }
    }
}

#[test]
fn half_of_five_hundred_clients_are_in_step_within_two_seconds_of_the_return() {
    for gone_for_ms in [10, 100, 500, 1_000, 2_000, 5_000, 7_000, 10_000, 30_000, 90_000, 240_000] {
        let took = back_after(Duration::from_millis(gone_for_ms));
        assert_eq!(took.len() as u64, CLIENTS);
        let (median, last) = (took[took.len() / 2], took[took.len() - 1]);
        println!("gone for {gone_for_ms} ms: half are back after {median:?}, all after {last:?}");
        assert!(median < Duration::from_secs(2), "gone for {gone_for_ms} ms: {median:?}");
    }
}

#[test]
fn however_long_the_relay_was_gone_everybody_is_in_step_within_sixteen_seconds_of_the_return() {
    for (gone_for, busiest_percent) in [(10, 40), (30, 40), (240, 40), (3_600, 20)] {
        let took = back_after(Duration::from_secs(gone_for));
        assert_eq!(took.len() as u64, CLIENTS);
        let (median, last) = (took[took.len() / 2], took[took.len() - 1]);
        println!("gone for {gone_for} s: half are back after {median:?}, all after {last:?}");
        assert!(last < Duration::from_secs(16), "gone for {gone_for} s: {last:?}");
        // The arrivals are spread, as far as half of them may come within two seconds.
        let busiest = (0..16).map(|second| {
            let from = Duration::from_secs(second);
            took.iter()
                .filter(|took| **took >= from && **took - from < Duration::from_secs(1))
                .count()
        });
        let busiest = busiest.max().unwrap_or_default();
        println!("{busiest} in the busiest second");
        assert!(busiest < took.len() * busiest_percent / 100, "{busiest} in one second");
    }
}
