//! What a session tells a developer: the figures follow what really happens.

use coweave_core::client::report::{Phase, Traffic};
use coweave_core::client::{Input, Storage, StoredCopy, Tier};
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, EditNumber, Sequence};
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::v1::Message;

use crate::client::Session;

#[test]
fn a_connection_tells_its_phase_and_since_when() {
    let mut session = Session::new(1, false);
    let phase = |session: &Session| {
        let report = session.client.report();
        (report.phase, report.since.map(Time::as_ms))
    };
    assert_eq!(phase(&session), (Phase::Connecting, Some(0)));
    session.now = Time::from_ms(10);
    session.input(Input::SocketOpened { token: String::new() });
    assert_eq!(phase(&session), (Phase::Greeting, Some(10)));
    session.now = Time::from_ms(20);
    session.input(Input::SocketClosed { error: None });
    assert_eq!(phase(&session), (Phase::Waiting, Some(20)));
    let report = session.client.report();
    assert_eq!((report.attempts, report.retry_at), (1, session.wake));
    assert_eq!(report.failure.map(|(error, _)| error.code), Some(Code::ConnectionLost));
    session.now = session.wake.unwrap();
    session.input(Input::Tick);
    session.welcome(&Limits::default());
    assert_eq!(phase(&session), (Phase::Open, Some(session.now.as_ms())));
    assert_eq!(session.client.report().relay, Some((1, "test")));
    session.now = Time::from_ms(9_000);
    let refusal = Error::new(Code::FrameMalformed, "no");
    session.hear(Channel::CONNECTION, &Message::Error(refusal));
    assert_eq!(phase(&session), (Phase::Stopped, Some(9_000)));
    session.input(Input::Close { key: session.keys[0] });
    assert_eq!(phase(&session), (Phase::Unneeded, None));
}

#[test]
fn every_frame_is_counted_and_a_ping_is_timed() {
    let mut session = Session::new(1, false);
    session.welcome(&Limits::default());
    session.joined(1);
    session.now = session.now + std::time::Duration::from_secs(60);
    session.input(Input::Tick);
    session.now = session.now + std::time::Duration::from_millis(25);
    session.hear(Channel::CONNECTION, &Message::Pong(1));
    let sent = Traffic {
        frames: session.frames.len() as u64,
        bytes: session.frames.iter().map(|frame| frame.len() as u64).sum(),
    };
    let report = session.client.report();
    assert_eq!(report.sent, sent);
    assert_eq!(report.received.frames, 3);
    assert_eq!((report.round_trip_ms, report.heard_at), (Some(25), session.now));
}

#[test]
fn a_room_tells_what_waits_and_where() {
    let mut session = Session::new(1, true);
    let key = session.keys[0];
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    session.welcome(&Limits::default());
    session.joined(1);
    session.write(0, "four");
    session.input(Input::Tick);
    let report = session.client.room(key).unwrap().report();
    assert_eq!((report.outbox_updates, report.clients, report.elements), (1, 1, 4));
    assert!(report.outbox_bytes > 4 && report.device.record_bytes == report.outbox_bytes);
    assert_eq!((report.device.records, report.device.is_writing), (1, true));
}

#[test]
fn that_an_edit_is_on_the_device_is_told_also_when_the_relay_was_quicker() {
    let mut session = Session::new(1, true);
    let key = session.keys[0];
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    session.welcome(&Limits::default());
    session.joined(1);
    session.input(Input::Written { key, ticket: 1 });
    session.write(0, "x");
    session.input(Input::Tick);
    let (accepted, durable) = (EditNumber(1), EditNumber(0));
    let ack = Message::Ack { accepted, durable, sequence: Sequence(1) };
    session.hear(Channel(1), &ack);
    let saved = |session: &Session| session.client.room(key).unwrap().saved();
    assert_eq!((saved(&session).tier, saved(&session).is_on_device), (Tier::Accepted, false));
    let before = session.saved_changes();
    session.input(Input::Written { key, ticket: 2 });
    assert_eq!((saved(&session).tier, saved(&session).is_on_device), (Tier::Accepted, true));
    assert_eq!(session.saved_changes(), before + 1);
}

#[test]
fn a_room_without_a_store_says_so_and_has_nothing_to_write() {
    let mut session = Session::new(1, false);
    let key = session.keys[0];
    session.write(0, "x");
    session.input(Input::Tick);
    let room = session.client.room(key).unwrap();
    assert_eq!(*room.storage(), Storage::Memory);
    assert_eq!((room.saved().tier, room.saved().is_on_device), (Tier::Memory, false));
    let device = room.report().device;
    assert!(device.waiting == 0 && !device.is_writing, "{device:?}");
}
