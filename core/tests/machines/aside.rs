//! A session whose edits or whole copy the relay will not have.

use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs::{About, Talk};
use coweave_core::client::{
    Event, Input, Meta, Output, Record, RoomState, SetAsideCopy, Storage, StoredCopy, Tier, Write,
};
use coweave_core::doc::replica::{Change, Replica, Step};
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, TabId};
use coweave_core::limits::Limits;
use coweave_core::wire::primitive::write_bytes;
use coweave_core::wire::v1::{EditKind, Join, Joined, Message, Role, read_frame};

use crate::client::{Session, TEXT};

/// What the relay has of the room.
const THEIRS: &str = "theirs 🙂 and more";
const LINEAGE: Lineage = Lineage([1; 16]);

/// What can be refused for good.
const FINAL: [Code; 5] = [
    Code::RoomReadOnly,
    Code::UpdateTooLarge,
    Code::UpdateMalformed,
    Code::UpdateContradiction,
    Code::RoomTooLarge,
];

fn theirs() -> Replica {
    let mut replica = Replica::new(ClientId::from_u32(9));
    replica.text_insert(TEXT, 0, THEIRS).unwrap();
    replica
}

fn refusal(code: Code) -> Message {
    Message::Refused { number: EditNumber(1), error: Error::new(code, "not this one") }
}

/// What the app sees.
fn text(session: &Session) -> String {
    session.client.room(session.keys[0]).unwrap().replica().text_string(TEXT)
}

/// The relay lets the session in, as if it had nothing.
fn admit(session: &mut Session, channel: u32, lineage: Lineage, role: Role) {
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
fn live(has_device_store: bool) -> Session {
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

fn edit(session: &mut Session, content: &str) {
    session.write(0, content);
    session.input(Input::Tick);
}

fn messages(session: &mut Session) -> Vec<(Channel, Message)> {
    let frames = std::mem::take(&mut session.frames);
    frames.iter().flat_map(|frame| read_frame(frame).unwrap()).collect()
}

fn joins(session: &mut Session) -> Vec<Join> {
    let join = |(_, message)| if let Message::Join(join) = message { Some(join) } else { None };
    messages(session).into_iter().filter_map(join).collect()
}

fn set_aside(session: &Session) -> Vec<SetAsideCopy> {
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
fn text_in(update: &[u8]) -> String {
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
fn a_copy_that_is_dropped_before_the_device_has_it_does_not_get_there() {
    let mut session = live(true);
    let key = session.keys[0];
    edit(&mut session, "mine, ");
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    // The write under way is answered late.
    let writes = std::mem::take(&mut session.outputs);
    let tickets = writes.into_iter().filter_map(|output| match output {
        Output::Write { ticket, .. } => Some(ticket),
        _ => None,
    });
    admit(&mut session, 2, LINEAGE, Role::Editor);
    let copy = set_aside(&session).remove(0);
    session.client.drop_copy(&RoomName::parse("room 0").unwrap(), &copy.id);
    tickets.for_each(|ticket| session.input(Input::Written { key, ticket }));
    let asked = device(&mut session);
    assert!(matches!(asked[..], [Output::SetAside { is_dropped: true, .. }]), "{asked:?}");
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    assert_eq!(session.client.room(key).unwrap().storage(), &Storage::Device);
}

/// What the device is asked to do; writes are answered.
fn device(session: &mut Session) -> Vec<Output> {
    let key = session.keys[0];
    let mut asked = Vec::new();
    while let Some(output) = (!session.outputs.is_empty()).then(|| session.outputs.remove(0)) {
        if let Output::Write { ticket, .. } = output {
            session.input(Input::Written { key, ticket });
        }
        if !matches!(output, Output::Talk { .. } | Output::Keep { .. }) {
            asked.push(output);
        }
    }
    asked
}

/// What is on the device after these writes.
fn stored(outputs: &[Output]) -> StoredCopy {
    let mut copy = StoredCopy::default();
    for output in outputs {
        let Output::Write { writes, .. } = output else { continue };
        for write in writes {
            match write {
                Write::Append(record) => copy.records.push(record.clone()),
                Write::SetMeta(meta) => copy.meta = Some(*meta),
                Write::Fold { through, snapshot, .. } => {
                    copy.snapshot = Some(snapshot.clone());
                    copy.records.retain(|record| record.is_pending || record.index > *through);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    copy
}

#[test]
fn on_the_device_the_copy_takes_the_place_of_the_rows_and_the_room_goes_on_behind_it() {
    let mut session = live(true);
    let key = session.keys[0];
    edit(&mut session, "mine, ");
    device(&mut session);
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    edit(&mut session, "more of ");
    let before = stored(&device(&mut session));
    assert_eq!((before.meta, before.records.len()), (None, 1), "still beside the old rows");
    assert!(before.records[0].is_pending);
    admit(&mut session, 2, LINEAGE, Role::Editor);
    edit(&mut session, "new, ");
    let asked = device(&mut session);
    let [Output::SetAside { copy, .. }] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(text_in(&copy.update), format!("more of mine, {THEIRS}"));
    assert_eq!(session.client.room(key).unwrap().saved().tier, Tier::Memory);
    // Another tab has begun anew before.
    let record = Record { index: 1, is_pending: false, update: theirs().state().into() };
    let meta = Meta { lineage: LINEAGE, epoch: Epoch(1), sequence: Sequence(0) };
    let there = StoredCopy { meta: Some(meta), records: vec![record], ..StoredCopy::default() };
    session.input(Input::Loaded { key, copy: Ok(there) });
    let after = stored(&device(&mut session));
    assert_eq!(after.meta.unwrap().lineage, LINEAGE);
    assert!(after.records.iter().all(|record| record.index > 1));
    assert_eq!(after.records.iter().filter(|record| record.is_pending).count(), 1);
    assert_eq!(session.client.room(key).unwrap().saved().tier, Tier::Device);
    let mut next = Session::new(1, true);
    next.input(Input::Loaded { key: next.keys[0], copy: Ok(after) });
    assert_eq!(text(&next), format!("new, {THEIRS}"));
    assert_eq!(next.client.room(next.keys[0]).unwrap().saved().pending, 1);
}

#[test]
fn a_room_without_a_device_stays_one_whatever_is_set_aside() {
    let mut session = live(false);
    edit(&mut session, "mine, ");
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    admit(&mut session, 2, LINEAGE, Role::Editor);
    edit(&mut session, "again, ");
    let room = session.client.room(session.keys[0]).unwrap();
    assert_eq!((room.storage(), room.saved().tier), (&Storage::Memory, Tier::Memory));
    assert_eq!(device(&mut session), []);
}

#[test]
fn a_device_that_cannot_keep_the_copy_is_told_and_the_room_goes_on_in_memory() {
    let mut session = live(true);
    let key = session.keys[0];
    edit(&mut session, "mine, ");
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    admit(&mut session, 2, LINEAGE, Role::Editor);
    device(&mut session);
    let error = Error::new(Code::DeviceUnavailable, "the quota is used up");
    session.input(Input::Loaded { key, copy: Err(error.clone()) });
    assert!(session.events.contains(&Event::StorageChanged));
    assert_eq!(session.client.room(key).unwrap().storage(), &Storage::Lost { error });
    assert_eq!((text(&session), session.state(0)), (THEIRS.to_owned(), &RoomState::Live));
    // When the store is tried again, the copy goes first.
    session.input(Input::Probe);
    let asked = device(&mut session);
    assert!(matches!(asked[..], [Output::SetAside { .. }]), "{asked:?}");
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    let after = stored(&device(&mut session));
    assert_eq!(session.client.room(key).unwrap().storage(), &Storage::Device);
    assert_eq!(text_in(&after.snapshot.unwrap()), THEIRS);
}

#[test]
fn what_the_device_answers_while_a_copy_is_on_its_way_aside_is_read_again_later() {
    let mut session = live(true);
    let key = session.keys[0];
    edit(&mut session, "mine, ");
    device(&mut session);
    let error = Error::new(Code::DeviceUnavailable, "the quota is used up");
    session.input(Input::WriteFailed { key, error });
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    session.now = session.now + Duration::from_secs(60);
    session.hear(Channel::CONNECTION, &Message::Pong(0));
    assert_eq!(device(&mut session), []);
    admit(&mut session, 2, LINEAGE, Role::Editor);
    session.input(Input::Tick);
    let asked = device(&mut session);
    assert!(matches!(asked[..], [Output::SetAside { .. }]), "{asked:?}");
}

#[test]
fn a_room_that_is_closed_at_once_still_leaves_its_copy_on_the_device() {
    let mut session = live(true);
    edit(&mut session, "mine, ");
    session.hear(Channel(1), &Message::Error(Error::new(Code::RoomDeleted, "gone")));
    session.input(Input::Close { key: session.keys[0] });
    assert!(device(&mut session).iter().any(|it| matches!(it, Output::SetAside { .. })));
}

#[test]
fn what_an_earlier_session_left_behind_is_set_aside_like_own_edits() {
    let mut session = Session::new(1, true);
    let mut earlier = Replica::new(ClientId::from_u32(4));
    earlier.text_insert(TEXT, 0, "left behind").unwrap();
    let record = Record { index: 1, is_pending: true, update: earlier.state().into() };
    let copy = StoredCopy { records: vec![record], ..StoredCopy::default() };
    session.input(Input::Loaded { key: session.keys[0], copy: Ok(copy) });
    session.welcome(&Limits::default());
    session.joined(1);
    let sent = messages(&mut session);
    let edit = sent.iter().find_map(|(_, message)| match message {
        Message::Edit { kind, .. } => Some(*kind),
        _ => None,
    });
    assert_eq!(edit, Some(EditKind::Difference));
    session.hear(Channel(1), &refusal(Code::UpdateContradiction));
    admit(&mut session, 2, LINEAGE, Role::Editor);
    assert_eq!(text_in(&set_aside(&session)[0].update), "left behind");
    assert_eq!(text(&session), THEIRS);
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

#[test]
fn an_old_answer_of_the_device_does_not_undo_setting_aside() {
    let mut session = live(true);
    let key = session.keys[0];
    edit(&mut session, "mine, ");
    let rows = stored(&device(&mut session));
    let error = Error::new(Code::DeviceUnavailable, "lost for a moment");
    session.input(Input::WriteFailed { key, error });
    session.input(Input::Probe);
    assert!(matches!(device(&mut session)[..], [Output::Load { .. }]));
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    admit(&mut session, 2, LINEAGE, Role::Editor);
    assert_eq!(text(&session), THEIRS);
    session.input(Input::Loaded { key, copy: Ok(rows) });
    let asked = device(&mut session);
    assert_eq!(text(&session), THEIRS, "what was set aside is back: {asked:?}");
    assert!(asked.iter().any(|it| matches!(it, Output::SetAside { .. })), "{asked:?}");
}

#[test]
fn two_copies_while_the_store_fails_both_get_there() {
    let mut session = live(true);
    let key = session.keys[0];
    let mut asked = Vec::new();
    let lost = || Error::new(Code::DeviceUnavailable, "the quota is used up");
    session.input(Input::WriteFailed { key, error: lost() });
    for round in 0..2 {
        edit(&mut session, &format!("mine {round}, "));
        let number = session.client.room(key).unwrap().last_number();
        let error = Error::new(Code::UpdateMalformed, "not this one");
        session.hear(Channel(1 + round), &Message::Refused { number, error });
        admit(&mut session, 2 + round, LINEAGE, Role::Editor);
    }
    assert_eq!(set_aside(&session).len(), 2);
    for _ in 0..4 {
        session.input(Input::Probe);
        for output in device(&mut session) {
            if let Output::SetAside { copy, .. } = output {
                asked.push(text_in(&copy.update));
                session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
            }
        }
    }
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn what_the_device_has_and_cannot_use_is_not_deleted_with_the_rows() {
    let mut session = Session::new(1, true);
    let key = session.keys[0];
    let mut earlier = Replica::new(ClientId::from_u32(4));
    earlier.text_insert(TEXT, 0, "lost row ").unwrap();
    drop(earlier.take_edits());
    earlier.text_insert(TEXT, 9, "pending words").unwrap();
    let record = Record { index: 1, is_pending: true, update: earlier.take_edits().unwrap() };
    let whole = Record { index: 2, is_pending: true, update: theirs().state().into() };
    let copy = StoredCopy { records: vec![record, whole], ..StoredCopy::default() };
    session.input(Input::Loaded { key, copy: Ok(copy) });
    assert!(matches!(session.client.room(key).unwrap().storage(), Storage::Damaged { .. }));
    session.welcome(&Limits::default());
    session.hear(Channel(1), &Message::Error(Error::new(Code::RoomDeleted, "gone")));
    let asked = device(&mut session);
    let [.., Output::SetAside { .. }] = &asked[..] else { panic!("{asked:?}") };
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    let asked = device(&mut session);
    let [.., Output::SetAside { copy, .. }] = &asked[..] else { panic!("{asked:?}") };
    let has = copy.update.windows(13).any(|it| it == b"pending words");
    assert!(has, "the rows are deleted, and no copy has it");
}
