//! A session whose edits or whole copy the relay will not have.

use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs::{About, Talk};
use coweave_core::client::{Event, Input, RoomState, SetAsideCopy, StoredCopy, Tier};
use coweave_core::doc::replica::{Change, Replica, Step};
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, TabId};
use coweave_core::limits::Limits;
use coweave_core::wire::primitive::write_bytes;
use coweave_core::wire::v1::{Join, Joined, Message, Role, read_frame};

use crate::client::{Session, TEXT};

/// What the relay has of the room.
pub(crate) const THEIRS: &str = "theirs 🙂 and more";
pub(crate) const LINEAGE: Lineage = Lineage([1; 16]);

/// What can be refused for good.
const FINAL: [Code; 5] = [
    Code::RoomReadOnly,
    Code::UpdateTooLarge,
    Code::UpdateMalformed,
    Code::UpdateContradiction,
    Code::RoomTooLarge,
];

pub(crate) fn theirs() -> Replica {
    let mut replica = Replica::new(ClientId::from_u32(9));
    replica.text_insert(TEXT, 0, THEIRS).unwrap();
    replica
}

pub(crate) fn refusal(code: Code) -> Message {
    Message::Refused { number: EditNumber(1), error: Error::new(code, "not this one") }
}

/// What the app sees.
pub(crate) fn text(session: &Session) -> String {
    session.client.room(session.keys[0]).unwrap().replica().text_string(TEXT)
}

/// The relay lets the session in, as if it had nothing.
pub(crate) fn admit(session: &mut Session, channel: u32, lineage: Lineage, role: Role) {
    let mut sync = Vec::new();
    write_bytes(&mut sync, &theirs().state());
    let joined = Joined {
        lineage,
        epoch: Epoch(1),
        sequence: Sequence(1),
        sync_bytes: sync.len() as u64,
        state_vector: theirs().known().encode().into(),
        role,
    };
    session.hear(Channel(channel), &Message::Joined(joined));
    session.hear(Channel(channel), &Message::Sync(sync.into()));
}

/// A session that is live in a room, and whose app observes the text.
pub(crate) fn live(has_device_store: bool) -> Session {
    let mut session = Session::new(1, has_device_store);
    let key = session.keys[0];
    if has_device_store {
        session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    }
    session.client.room_mut(key).unwrap().replica_mut().observe(TEXT, false).unwrap();
    session.welcome(&Limits::default());
    admit(&mut session, 1, LINEAGE, Role::Editor);
    assert_eq!(session.state(0), &RoomState::Live);
    session.events.clear();
    session.frames.clear();
    session
}

pub(crate) fn edit(session: &mut Session, content: &str) {
    session.write(0, content);
    session.input(Input::Tick);
}

pub(crate) fn messages(session: &mut Session) -> Vec<(Channel, Message)> {
    let frames = std::mem::take(&mut session.frames);
    frames.iter().flat_map(|frame| read_frame(frame).unwrap()).collect()
}

pub(crate) fn joins(session: &mut Session) -> Vec<Join> {
    let join = |(_, message)| if let Message::Join(join) = message { Some(join) } else { None };
    messages(session).into_iter().filter_map(join).collect()
}

pub(crate) fn set_aside(session: &Session) -> Vec<SetAsideCopy> {
    let copy = |event: &Event| match event {
        Event::SetAside(copy) => Some(copy.clone()),
        _ => None,
    };
    session.events.iter().filter_map(copy).collect()
}

fn refused(session: &Session) -> Vec<Code> {
    let code = |event: &Event| match event {
        Event::Refused { error, .. } => Some(error.code),
        _ => None,
    };
    session.events.iter().filter_map(code).collect()
}

/// What somebody finds who opens a copy.
pub(crate) fn text_in(update: &[u8]) -> String {
    let mut replica = Replica::new(ClientId::from_u32(77));
    replica.apply(update, &Limits::default()).unwrap();
    replica.text_string(TEXT)
}

/// What an editor shows that has followed the changes.
fn followed(session: &mut Session) -> String {
    let room = session.client.room_mut(session.keys[0]).unwrap();
    let mut shown: Vec<u16> = Vec::new();
    for Change { delta, .. } in room.replica_mut().take_changes() {
        let mut at = 0;
        for part in delta {
            match part {
                Step::Retain(len, _) => at += len as usize,
                Step::Delete(len) => drop(shown.drain(at..at + len as usize)),
                Step::Text(text, _) => {
                    let units: Vec<u16> = text.encode_utf16().collect();
                    shown.splice(at..at, units.iter().copied());
                    at += units.len();
                }
                Step::Values(..) => panic!("nothing is embedded here"),
            }
        }
    }
    String::from_utf16(&shown).unwrap()
}

#[test]
fn an_edit_that_is_refused_for_good_is_set_aside_and_the_room_goes_on() {
    for code in FINAL {
        let mut session = live(false);
        edit(&mut session, "mine, ");
        let first = session.client.room(session.keys[0]).unwrap().replica().client();
        session.hear(Channel(1), &refusal(code));
        // It stays in sight until there is something to show in its place.
        assert_eq!(text(&session), format!("mine, {THEIRS}"));
        let joins = joins(&mut session);
        assert_eq!(joins.len(), 1);
        assert_ne!(joins[0].client, first);
        assert_eq!((joins[0].lineage, joins[0].state_vector.as_ref()), (None, &[0][..]));
        admit(&mut session, 2, LINEAGE, Role::Editor);
        assert_eq!((text(&session), session.state(0)), (THEIRS.to_owned(), &RoomState::Live));
        assert_eq!(followed(&mut session), THEIRS);
        assert_eq!(refused(&session), [code]);
        let copies = set_aside(&session);
        assert_eq!(copies.len(), 1);
        assert_eq!((copies[0].error.code, copies[0].id.len()), (code, 32));
        assert_eq!(text_in(&copies[0].update), format!("mine, {THEIRS}"));
        let saved = session.client.room(session.keys[0]).unwrap().saved();
        assert_eq!((saved.tier, saved.pending), (Tier::Durable, 0));
        // What is written then is taken like before, under a number of its own.
        edit(&mut session, "again, ");
        let sent = session.sent();
        assert_eq!((sent.len(), sent[0].0), (1, EditNumber(2)));
        let mut relay = theirs();
        relay.apply(&sent[0].1, &Limits::default()).unwrap();
        assert_eq!(relay.text_string(TEXT), format!("again, {THEIRS}"));
    }
}

#[test]
fn an_app_that_wants_to_keep_a_refused_edit_has_it_as_a_private_draft() {
    let lost = Message::Error(Error::new(Code::RoomLineageMismatch, "another one"));
    let gone = Message::Error(Error::new(Code::RoomDeleted, "gone"));
    let messages = FINAL.map(refusal).into_iter().chain([lost, gone, Message::Role(Role::Viewer)]);
    for message in messages {
        let mut session = live(false);
        session.client.room_mut(session.keys[0]).unwrap().keep_refused(true);
        edit(&mut session, "mine, ");
        session.hear(Channel(1), &message);
        assert!(matches!(session.state(0), RoomState::Stopped { .. }), "{message:?}");
        assert_eq!(text(&session), format!("mine, {THEIRS}"));
        assert_eq!((joins(&mut session).len(), set_aside(&session).len()), (0, 0));
        assert_eq!(session.client.room(session.keys[0]).unwrap().saved().pending, 1);
    }
}

#[test]
fn what_may_be_taken_later_is_sent_again_and_nobody_is_told_of_a_refusal() {
    for code in [Code::UpdateMissingDependencies, Code::RelayDegraded, Code::UpdateForeignClient] {
        let mut session = live(false);
        edit(&mut session, "mine, ");
        session.hear(Channel(1), &refusal(code));
        session.now = session.wake.unwrap();
        session.input(Input::Tick);
        session.frames.clear();
        // The relay has lost what the edit needs, too.
        session.joined(2);
        let mut relay = Replica::new(ClientId::from_u32(5));
        for (_, update) in session.sent() {
            relay.apply(&update, &Limits::default()).unwrap();
        }
        assert_eq!(relay.text_string(TEXT), format!("mine, {THEIRS}"));
        assert_eq!((refused(&session), set_aside(&session).len()), (vec![], 0));
    }
}

#[test]
fn an_edit_that_is_too_large_for_this_relay_is_set_aside_without_being_sent() {
    let limits = Limits { update_bytes_max: 10 << 10, ..Limits::default() };
    let mut session = Session::new(1, false);
    session.welcome(&limits);
    admit(&mut session, 1, LINEAGE, Role::Editor);
    session.frames.clear();
    edit(&mut session, &"x".repeat(20 << 10));
    assert_eq!(refused(&session), [Code::UpdateTooLarge]);
    assert!(messages(&mut session).iter().all(|(_, it)| !matches!(it, Message::Edit { .. })));
    admit(&mut session, 2, LINEAGE, Role::Editor);
    assert_eq!((text(&session), set_aside(&session).len()), (THEIRS.to_owned(), 1));
}

#[test]
fn a_copy_of_another_history_is_set_aside_and_never_merged() {
    for is_told_by_relay in [true, false] {
        let mut session = live(false);
        edit(&mut session, "mine, ");
        session.reconnect();
        if is_told_by_relay {
            let error = Error::new(Code::RoomLineageMismatch, "another one");
            session.hear(Channel(2), &Message::Error(error));
        } else {
            admit(&mut session, 2, Lineage([2; 16]), Role::Editor);
        }
        assert_eq!(text(&session), format!("mine, {THEIRS}"));
        assert_eq!(joins(&mut session).last().map(|join| join.lineage), Some(None));
        admit(&mut session, 3, Lineage([2; 16]), Role::Editor);
        assert_eq!((text(&session), session.state(0)), (THEIRS.to_owned(), &RoomState::Live));
        assert_eq!(session.sent().len(), 0);
        let copies = set_aside(&session);
        assert_eq!(copies[0].error.code, Code::RoomLineageMismatch);
        assert_eq!(text_in(&copies[0].update), format!("mine, {THEIRS}"));
        assert_eq!(session.client.room(session.keys[0]).unwrap().lineage().unwrap().0, [2; 16]);
    }
}

#[test]
fn a_deleted_room_is_set_aside_and_cannot_be_edited() {
    let mut session = live(false);
    edit(&mut session, "mine, ");
    session.hear(Channel(1), &Message::Error(Error::new(Code::RoomDeleted, "gone")));
    let RoomState::Stopped { error } = session.state(0) else { panic!() };
    assert_eq!(error.code, Code::RoomDeleted);
    assert_eq!((text(&session), followed(&mut session)), (String::new(), String::new()));
    let copies = set_aside(&session);
    assert_eq!((copies.len(), copies[0].error.code), (1, Code::RoomDeleted));
    assert_eq!(text_in(&copies[0].update), format!("mine, {THEIRS}"));
    let room = session.client.room(session.keys[0]).unwrap();
    assert_eq!(room.check_edit().unwrap_err().code, Code::RoomDeleted);
    assert_eq!((room.saved().pending, joins(&mut session).len()), (0, 0));
}

#[test]
fn a_document_without_anything_leaves_no_copy() {
    let mut session = Session::new(1, false);
    session.welcome(&Limits::default());
    session.hear(Channel(1), &Message::Error(Error::new(Code::RoomDeleted, "gone")));
    assert!(matches!(session.state(0), RoomState::Stopped { .. }));
    assert_eq!(set_aside(&session), []);
}

#[test]
fn a_copy_on_its_way_aside_survives_lost_connections_and_takes_along_what_is_typed_meanwhile() {
    let mut session = live(false);
    edit(&mut session, "mine, ");
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    session.input(Input::SocketClosed { error: None });
    edit(&mut session, "even more of ");
    assert_eq!(session.client.room(session.keys[0]).unwrap().saved().pending, 2);
    session.reconnect();
    assert_eq!(text(&session), format!("even more of mine, {THEIRS}"));
    // The first sync is cut off, too, and the room has another history then.
    session.joined(3);
    session.hear(Channel(3), &Message::Error(Error::new(Code::RoomUnavailable, "later")));
    session.reconnect();
    admit(&mut session, 4, LINEAGE, Role::Editor);
    let copies = set_aside(&session);
    assert_eq!(copies.len(), 1);
    assert_eq!(text_in(&copies[0].update), format!("even more of mine, {THEIRS}"));
    assert_eq!(text(&session), THEIRS);
}

#[test]
fn the_same_content_has_the_same_name_whoever_sets_it_aside() {
    let ids: Vec<_> = (0..2)
        .map(|_| {
            let mut session = live(false);
            session.reconnect();
            session
                .hear(Channel(2), &Message::Error(Error::new(Code::RoomLineageMismatch, "other")));
            admit(&mut session, 3, Lineage([2; 16]), Role::Editor);
            set_aside(&session)[0].id.clone()
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn requests_to_flush_are_not_answered_for_what_was_set_aside() {
    let mut session = live(false);
    edit(&mut session, "mine, ");
    session.input(Input::Flush { key: session.keys[0], number: 1 });
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    session.frames.clear();
    admit(&mut session, 2, LINEAGE, Role::Editor);
    assert!(messages(&mut session).iter().all(|(_, it)| !matches!(it, Message::Flush(1))));
}

#[test]
fn a_viewer_is_told_from_the_start_and_can_be_present() {
    let mut session = Session::new(1, false);
    session.input(Input::SetPresence { key: session.keys[0], state: Some("{}".to_owned()) });
    session.input(Input::Seed { key: session.keys[0], update: theirs().state().into() });
    session.welcome(&Limits::default());
    let joined = Joined {
        lineage: LINEAGE,
        epoch: Epoch(1),
        sequence: Sequence(0),
        sync_bytes: 0,
        state_vector: Bytes::from_static(&[0]),
        role: Role::Viewer,
    };
    session.hear(Channel(1), &Message::Joined(joined));
    assert_eq!(session.state(0), &RoomState::Live);
    assert!(session.events.contains(&Event::RoleChanged));
    assert_eq!(session.seeded(), [Err(Code::RoomReadOnly)]);
    let room = session.client.room(session.keys[0]).unwrap();
    assert_eq!(room.role(), Role::Viewer);
    assert_eq!(room.check_edit().unwrap_err().code, Code::RoomReadOnly);
    let sent = messages(&mut session);
    assert!(sent.iter().any(|(_, it)| matches!(it, Message::SetPresence(Some(_)))));
    assert!(!sent.iter().any(|(_, it)| matches!(it, Message::Edit { .. } | Message::Seed(_))));
}

#[test]
fn what_a_viewer_wrote_before_it_was_known_is_set_aside() {
    let mut session = Session::new(1, false);
    edit(&mut session, "mine, ");
    session.welcome(&Limits::default());
    admit(&mut session, 1, LINEAGE, Role::Viewer);
    assert_eq!(text(&session), "mine, ");
    admit(&mut session, 2, LINEAGE, Role::Viewer);
    assert_eq!((text(&session), session.sent().len()), (THEIRS.to_owned(), 0));
    let copies = set_aside(&session);
    assert_eq!((copies.len(), copies[0].error.code), (1, Code::RoomReadOnly));
    assert_eq!(text_in(&copies[0].update), "mine, ");
}

#[test]
fn a_role_may_change_in_both_directions() {
    let mut session = live(false);
    edit(&mut session, "taken, ");
    let ack =
        Message::Ack { accepted: EditNumber(1), durable: EditNumber(1), sequence: Sequence(2) };
    session.hear(Channel(1), &ack);
    // With nothing pending the session stays where it is.
    session.hear(Channel(1), &Message::Role(Role::Viewer));
    let room = |session: &Session| session.client.room(session.keys[0]).unwrap().check_edit();
    assert_eq!(room(&session).unwrap_err().code, Code::RoomReadOnly);
    assert_eq!((session.state(0), set_aside(&session).len()), (&RoomState::Live, 0));
    session.hear(Channel(1), &Message::Role(Role::Editor));
    assert_eq!(room(&session), Ok(()));
    session.frames.clear();
    edit(&mut session, "mine, ");
    assert_eq!(session.sent().len(), 1);
    session.hear(Channel(1), &Message::Role(Role::Viewer));
    admit(&mut session, 2, LINEAGE, Role::Viewer);
    assert_eq!(set_aside(&session).len(), 1);
    let roles = session.events.iter().filter(|event| **event == Event::RoleChanged).count();
    assert_eq!(roles, 3);
}

#[test]
fn a_tab_that_has_heard_of_a_refused_edit_steps_back_too_and_no_other_one() {
    let mut edit = Replica::new(ClientId::from_u32(8));
    edit.text_insert(TEXT, 0, "of another tab, ").unwrap();
    let edit = About::Edit { number: EditNumber(1), update: edit.state().into() };
    let talk = |about| {
        let room = RoomName::parse("room 0").unwrap();
        Input::Talk { tab: TabId(5), talk: Talk { room, lineage: Some(LINEAGE), about } }
    };
    let refused = || About::SetAside { error: Error::new(Code::UpdateMalformed, "not this one") };
    let mut session = live(false);
    session.input(talk(refused()));
    session.input(talk(edit.clone()));
    session.input(talk(About::Durable { through: EditNumber(1) }));
    session.input(talk(refused()));
    assert_eq!(joins(&mut session).len(), 0);
    assert_eq!(session.state(0), &RoomState::Live);

    let mut session = live(false);
    session.input(talk(edit));
    session.input(talk(refused()));
    assert_eq!(joins(&mut session).len(), 1);
    admit(&mut session, 2, LINEAGE, Role::Editor);
    assert_eq!((text(&session), session.sent().len()), (THEIRS.to_owned(), 0));
    assert!(text_in(&set_aside(&session)[0].update).contains("of another tab, "));
    // And there is nothing left that it would bring to the relay.
    session.input(Input::TabGone(TabId(5)));
    assert_eq!(session.sent().len(), 0);
}

#[test]
fn a_late_word_of_another_tabs_refusal_does_not_set_a_fresh_copy_aside() {
    for code in [Code::UpdateMalformed, Code::RoomLineageMismatch] {
        let mut session = live(false);
        edit(&mut session, "mine, ");
        session.hear(Channel(1), &refusal(code));
        // The history is another one after a mismatch.
        let lineage = if code == Code::UpdateMalformed { LINEAGE } else { Lineage([2; 16]) };
        admit(&mut session, 2, lineage, Role::Editor);
        edit(&mut session, "new, ");
        let about = About::SetAside { error: Error::new(code, "not this one") };
        let room = RoomName::parse("room 0").unwrap();
        let talk = Talk { room, lineage: Some(LINEAGE), about };
        session.input(Input::Talk { tab: TabId(5), talk });
        assert_eq!(set_aside(&session).len(), 1);
        assert_eq!(text(&session), format!("new, {THEIRS}"));
    }
}

#[test]
fn a_flush_of_a_room_that_was_empty_is_answered() {
    let mut session = Session::new(1, false);
    let key = session.keys[0];
    session.welcome(&Limits::default());
    session.joined(1);
    session.input(Input::SocketClosed { error: None });
    session.input(Input::Flush { key, number: 7 });
    session.now = session.wake.unwrap();
    session.input(Input::Tick);
    session.welcome(&Limits::default());
    session.hear(Channel(2), &Message::Error(Error::new(Code::RoomLineageMismatch, "")));
    session.events.clear();
    session.frames.clear();
    admit(&mut session, 3, Lineage([2; 16]), Role::Editor);
    assert_eq!(session.state(0), &RoomState::Live);
    let is_asked = messages(&mut session).iter().any(|(_, it)| *it == Message::Flush(7));
    let is_told = !set_aside(&session).is_empty();
    assert!(is_asked || is_told, "nobody will ever answer flush 7");
}

#[test]
fn a_room_that_stops_while_it_waits_to_rejoin_lets_the_session_rest() {
    let mut session = live(false);
    edit(&mut session, "mine, ");
    let busy = Error::new(Code::RoomUnavailable, "the room is being deleted");
    session.hear(Channel(1), &Message::Error(busy));
    let talk = Talk {
        room: RoomName::parse("room 0").unwrap(),
        lineage: Some(LINEAGE),
        about: About::SetAside { error: Error::new(Code::RoomDeleted, "gone") },
    };
    session.input(Input::Talk { tab: TabId(5), talk });
    assert!(matches!(session.state(0), RoomState::Stopped { .. }));
    session.now = session.now + Duration::from_millis(900);
    session.input(Input::Tick);
    assert!(session.wake.unwrap() > session.now, "{:?} at {:?}", session.wake, session.now);
}
