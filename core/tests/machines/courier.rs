//! Edits that tabs which are gone left on the device, in rooms that nobody has open.

use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs::{About, Talk};
use coweave_core::client::{Event, Input, Output, Record, RoomKey, StoredCopy, Write};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, ClientId, EditNumber, RoomName, Sequence, TabId};
use coweave_core::limits::Limits;
use coweave_core::wire::v1::Message;

use crate::client::{Session, TEXT};

/// The channel after the one of the app's room.
const CHANNEL: u32 = 2;

fn name(room: &str) -> RoomName {
    RoomName::parse(room).unwrap()
}

/// What the session wants, but for what every room wants.
fn wants(session: &mut Session) -> Vec<Output> {
    let outputs = std::mem::take(&mut session.outputs).into_iter();
    outputs
        .filter(|output| {
            let is_usual = matches!(output, Output::Talk { .. } | Output::Keep { .. });
            !is_usual && !matches!(output, Output::Write { .. })
        })
        .collect()
}

fn look(after: Option<&str>) -> Output {
    Output::FindStranded { after: after.map(name) }
}

fn carry(room: Option<&str>) -> Output {
    Output::Carry { room: room.map(name) }
}

/// A tab that leads, and has one room of its own in step with the relay.
fn leader() -> Session {
    let mut session = Session::new(1, true);
    let key = session.keys[0];
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    session.input(Input::Leads);
    session.outputs.clear();
    session.welcome(&Limits::default());
    session.joined(1);
    assert_eq!(wants(&mut session), [look(None)]);
    session.events.clear();
    session
}

fn find(session: &mut Session, room: Option<&str>) -> Vec<Output> {
    session.input(Input::FoundStranded { room: room.map(name) });
    wants(session)
}

/// The session opens a room that it was told of, and finds the edit of a tab that is gone.
fn pick_up(session: &mut Session, room: &str) -> (RoomKey, Bytes) {
    let wanted = find(session, Some(room));
    let [first, Output::Load { key, name: loaded, .. }] = &wanted[..] else { panic!("{wanted:?}") };
    assert_eq!((first, loaded), (&carry(Some(room)), &name(room)));
    let mut gone = Replica::new(ClientId::from_u32(77));
    gone.text_insert(TEXT, 0, "last words").unwrap();
    let update = gone.take_edits().unwrap();
    let records = vec![Record { index: 1, is_pending: true, update: update.clone() }];
    let copy = Ok(StoredCopy { records, ..StoredCopy::default() });
    session.input(Input::Loaded { key: *key, copy });
    (*key, update)
}

fn ack(session: &mut Session, channel: u32) {
    let (accepted, durable) = (EditNumber(1), EditNumber(1));
    let ack = Message::Ack { accepted, durable, sequence: Sequence(1) };
    session.hear(Channel(channel), &ack);
}

#[test]
fn are_brought_one_room_after_the_other_and_nobody_is_told() {
    let mut session = leader();
    for (room, channel) in [("one", CHANNEL), ("two", CHANNEL + 1)] {
        let (key, update) = pick_up(&mut session, room);
        session.joined(channel);
        assert_eq!(session.sent(), [(EditNumber(1), update)]);
        assert_eq!(wants(&mut session), []);
        session.outputs.clear();
        ack(&mut session, channel);
        let settles = Write::Settle { indexes: vec![1] };
        let settled = session.outputs.iter().any(
            |output| matches!(output, Output::Write { writes, .. } if writes.contains(&settles)),
        );
        assert!(settled, "the next tab would bring it again");
        let closed = Output::Closed { key };
        assert_eq!(wants(&mut session), [closed, carry(None), look(Some(room))]);
    }
    assert_eq!(find(&mut session, None), []);
    assert_eq!(session.events, [], "the app knows nothing of these rooms");
    // What had to wait is looked for again, now and then.
    session.now = session.now + Duration::from_secs(60);
    session.input(Input::Tick);
    assert_eq!(wants(&mut session), [look(None)]);
}

#[test]
fn wait_for_a_tab_that_leads() {
    let mut session = Session::new(1, true);
    let key = session.keys[0];
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    session.outputs.clear();
    session.welcome(&Limits::default());
    session.joined(1);
    session.input(Input::TabGone(TabId(9)));
    assert_eq!(wants(&mut session), []);
    session.input(Input::Leads);
    assert_eq!(wants(&mut session), [look(None)]);
}

#[test]
fn are_looked_for_when_a_tab_is_gone_or_leaves_a_room_or_the_own_app_does() {
    let mut session = leader();
    assert_eq!(find(&mut session, None), []);
    session.input(Input::TabGone(TabId(9)));
    assert_eq!(wants(&mut session), [look(None)]);
    assert_eq!(find(&mut session, None), []);
    let talk = Talk { room: name("far"), lineage: None, about: About::Left };
    session.input(Input::Talk { tab: TabId(9), talk });
    assert_eq!(wants(&mut session), [look(None)]);
    assert_eq!(find(&mut session, None), []);
    let key = session.keys[0];
    session.input(Input::Close { key });
    assert_eq!(wants(&mut session), [Output::Closed { key }, look(None)]);
}

#[test]
fn bring_a_session_without_rooms_to_the_relay_and_away_again() {
    let mut session = Session::new(0, true);
    session.input(Input::Leads);
    assert_eq!((wants(&mut session), session.connects), (vec![look(None)], 0));
    pick_up(&mut session, "one");
    assert_eq!(session.connects, 1);
    session.welcome(&Limits::default());
    session.joined(1);
    ack(&mut session, 1);
    assert_eq!(session.disconnects, 1);
    // One round ends, and the other one that was due since there is a connection.
    assert_eq!(wants(&mut session)[2], look(Some("one")));
    assert_eq!(find(&mut session, None), [look(None)]);
    assert_eq!((find(&mut session, None), session.connects), (vec![], 1));
}

#[test]
fn are_left_to_those_who_have_the_room_open() {
    let mut session = leader();
    assert_eq!(find(&mut session, Some("room 0")), [look(Some("room 0"))]);
    let about = About::Ask { state_vector: Bytes::from_static(&[0]) };
    let talk = Talk { room: name("far"), lineage: None, about };
    session.input(Input::Talk { tab: TabId(9), talk });
    assert_eq!(find(&mut session, Some("far")), [look(Some("far"))]);
    assert_eq!(find(&mut session, None), []);
    // Until they are gone.
    session.input(Input::TabGone(TabId(9)));
    assert_eq!(wants(&mut session), [look(None)]);
    pick_up(&mut session, "far");
}

#[test]
fn are_handed_over_to_an_app_that_opens_the_room() {
    let mut session = leader();
    let (key, update) = pick_up(&mut session, "one");
    let own = session.client.next_key();
    session.outputs.clear();
    session.input(Input::Open { key: own, name: name("one"), client: ClientId::from_u32(5) });
    let load = Output::Load { key: own, name: name("one"), lineage: None };
    assert_eq!(wants(&mut session)[..3], [Output::Closed { key }, carry(None), load]);
    let records = vec![Record { index: 1, is_pending: true, update: update.clone() }];
    session.frames.clear();
    session.input(Input::Loaded {
        key: own,
        copy: Ok(StoredCopy { records, ..StoredCopy::default() }),
    });
    session.joined(CHANNEL + 1);
    assert_eq!(session.sent(), [(EditNumber(1), update)]);
    assert!(session.events.contains(&Event::Loaded));
}

#[test]
fn that_the_relay_refuses_stay_where_they_are_and_are_not_tried_again() {
    let mut session = leader();
    let (key, _) = pick_up(&mut session, "one");
    session.joined(CHANNEL);
    session.outputs.clear();
    let error = Error::new(Code::UpdateContradiction, "no");
    session.hear(Channel(CHANNEL), &Message::Refused { number: EditNumber(1), error });
    let is_rest = |output: &Output| match output {
        Output::Write { writes, .. } => writes.iter().all(|it| matches!(it, Write::SetMeta(_))),
        Output::Talk { talk, .. } => talk.about == About::Left,
        _ => true,
    };
    assert!(session.outputs.iter().all(is_rest), "{:?}", session.outputs);
    assert_eq!(wants(&mut session), [Output::Closed { key }, carry(None), look(Some("one"))]);
    assert_eq!(find(&mut session, None), []);
    session.input(Input::TabGone(TabId(9)));
    assert_eq!(wants(&mut session), [look(None)]);
    assert_eq!(find(&mut session, Some("one")), [look(Some("one"))]);
    assert_eq!(session.events, []);
}

#[test]
fn that_the_relay_may_take_later_do_not_keep_others_waiting() {
    let mut session = leader();
    let (key, _) = pick_up(&mut session, "one");
    session.joined(CHANNEL);
    session.outputs.clear();
    let error = Error::new(Code::UpdateForeignClient, "later").with_retry_after_ms(5_000);
    session.hear(Channel(CHANNEL), &Message::Refused { number: EditNumber(1), error });
    assert_eq!(wants(&mut session), [Output::Closed { key }, carry(None), look(Some("one"))]);
    assert_eq!(find(&mut session, None), []);
    session.now = session.now + Duration::from_secs(60);
    session.input(Input::Tick);
    assert_eq!(wants(&mut session), [look(None)]);
    pick_up(&mut session, "one");
}

#[test]
fn are_not_brought_again_and_again_to_a_relay_that_does_not_want_them_now() {
    let mut session = Session::new(0, true);
    session.input(Input::Leads);
    session.outputs.clear();
    pick_up(&mut session, "one");
    session.welcome(&Limits::default());
    session.joined(1);
    session.outputs.clear();
    let error = Error::new(Code::RelayDegraded, "later");
    session.hear(Channel(1), &Message::Refused { number: EditNumber(1), error });
    assert_eq!(session.disconnects, 1);
    assert_eq!(wants(&mut session).last(), Some(&look(Some("one"))));
    assert_eq!(find(&mut session, None), []);
    session.now = session.now + Duration::from_secs(59);
    session.input(Input::Tick);
    assert_eq!((wants(&mut session), session.connects), (vec![], 1));
    session.now = session.now + Duration::from_secs(1);
    session.input(Input::Tick);
    assert_eq!(wants(&mut session), [look(None)]);
}

#[test]
fn do_not_keep_a_session_alive_that_the_relay_does_not_want() {
    let mut session = leader();
    let (key, _) = pick_up(&mut session, "one");
    session.outputs.clear();
    let error = Error::new(Code::TokenDenied, "no");
    session.hear(Channel::CONNECTION, &Message::Error(error));
    assert_eq!(wants(&mut session), [Output::Closed { key }, carry(None)]);
    let own = session.keys[0];
    session.input(Input::Close { key: own });
    let (key, name) = (session.client.next_key(), name("room 0"));
    session.input(Input::Open { key, name, client: ClientId::from_u32(5) });
    assert_eq!(session.connects, 2, "with a room it tries again");
}

#[test]
fn that_made_an_instance_trap_are_left_alone_by_the_next_one() {
    let mut session = leader();
    session.client.leave_alone(name("one"));
    assert_eq!(find(&mut session, Some("one")), [look(Some("one"))]);
    pick_up(&mut session, "two");
}

#[test]
fn that_the_relay_refuses_are_tried_again_when_somebody_had_the_room_open() {
    let mut session = leader();
    let about = |about| Talk { room: name("one"), lineage: None, about };
    for (round, channel) in (0..3).zip(CHANNEL..) {
        pick_up(&mut session, "one");
        let error = Error::new(Code::RoomDeleted, "gone");
        session.hear(Channel(channel), &Message::Error(error));
        assert_eq!(wants(&mut session).last(), Some(&look(Some("one"))));
        assert_eq!(find(&mut session, None), []);
        let ask = About::Ask { state_vector: Bytes::from_static(&[0]) };
        session.input(Input::Talk { tab: TabId(9), talk: about(ask) });
        if round == 0 {
            session.input(Input::TabGone(TabId(9)));
        } else {
            session.input(Input::Talk { tab: TabId(9), talk: about(About::Left) });
        }
        assert_eq!(wants(&mut session), [look(None)]);
    }
}

/// The leader looks thoroughly, and finds something in a room that some tab has open.
fn find_in_doubt(session: &mut Session, room: &str) -> Vec<Output> {
    assert_eq!(find(session, None), []);
    session.input(Input::TabGone(TabId(9)));
    assert_eq!(wants(session), [look(None)]);
    assert_eq!(find(session, Some(room)), [look(Some(room))], "its tab may be about to bring it");
    assert_eq!(find(session, None), []);
    session.now = session.now + Duration::from_secs(1);
    session.outputs.clear();
    session.input(Input::Tick);
    assert_eq!(wants(session), [look(None)]);
    session.input(Input::FoundStranded { room: Some(name(room)) });
    std::mem::take(&mut session.outputs)
}

#[test]
fn in_a_room_that_is_open_are_brought_by_all_who_have_it_open() {
    let mut session = leader();
    let key = session.keys[0];
    session.input(Input::Written { key, ticket: 1 });
    let outputs = find_in_doubt(&mut session, "room 0");
    assert!(outputs.contains(&Output::LoadStranded { key, name: name("room 0") }), "{outputs:?}");
    let talk = Talk { room: name("room 0"), lineage: None, about: About::Stranded };
    assert!(outputs.contains(&Output::Talk { to: None, talk }), "{outputs:?}");
    let mut gone = Replica::new(ClientId::from_u32(77));
    let mut words = |at, words| {
        gone.text_insert(TEXT, at, words).unwrap();
        gone.take_edits().unwrap()
    };
    let updates = vec![words(0, "last "), words(5, "words")];
    session.frames.clear();
    session.input(Input::LoadedStranded { key, updates: updates.iter().rev().cloned().collect() });
    let text = session.client.room(key).unwrap().replica().text_string(TEXT);
    assert_eq!(text, "last words", "in the order in which they build on each other");
    let sent = session.sent();
    assert_eq!(sent.iter().map(|(_, update)| update.clone()).collect::<Vec<_>>(), updates);
    let is_row = |output: &Output| match output {
        Output::Write { writes, .. } => updates.iter().all(|update| {
            let is_it = |record: &Record| record.is_pending && record.update == *update;
            writes.iter().any(|write| matches!(write, Write::Append(record) if is_it(record)))
        }),
        _ => false,
    };
    assert!(session.outputs.iter().any(is_row), "without, it is stranded for ever");
}

#[test]
fn in_a_room_that_another_tab_has_open_are_for_that_tab_to_bring() {
    let mut session = leader();
    let talk = |about| Talk { room: name("far"), lineage: None, about };
    let about = About::Ask { state_vector: Bytes::from_static(&[0]) };
    session.input(Input::Talk { tab: TabId(8), talk: talk(about) });
    let talk = talk(About::Stranded);
    let told = Output::Talk { to: None, talk: talk.clone() };
    assert_eq!(find_in_doubt(&mut session, "far"), [look(Some("far")), told]);
    // Who tells it has not the room open itself.
    let mut other = leader();
    other.input(Input::Talk { tab: TabId(1), talk });
    pick_up(&mut other, "far");
}

#[test]
fn in_a_room_that_is_open_are_not_those_of_tabs_that_live_or_of_another_document() {
    let mut session = leader();
    let key = session.keys[0];
    let mut alive = Replica::new(ClientId::from_u32(77));
    alive.text_insert(TEXT, 0, "theirs").unwrap();
    let update = alive.take_edits().unwrap();
    let about = About::Edit { number: EditNumber(1), update: update.clone() };
    let talk = Talk { room: name("room 0"), lineage: None, about };
    session.input(Input::Talk { tab: TabId(8), talk });
    session.frames.clear();
    session.input(Input::LoadedStranded { key, updates: vec![update.clone()] });
    assert_eq!(session.sent(), []);
    // The room is about to begin anew.
    let mut session = leader();
    let key = session.keys[0];
    session.write(0, "own");
    session.input(Input::Tick);
    let error = Error::new(Code::RoomLineageMismatch, "another");
    session.hear(Channel(1), &Message::Error(error));
    session.input(Input::LoadedStranded { key, updates: vec![update] });
    session.joined(CHANNEL);
    let text = session.client.room(key).unwrap().replica().text_string(TEXT);
    assert_eq!((text.as_str(), session.sent().len()), ("", 1));
}
