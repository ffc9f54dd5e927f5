//! Setting aside on a device: a copy takes the place of the rows, whatever the store does.

use std::time::Duration;

use coweave_core::client::{
    Event, Input, Meta, Output, Record, RoomState, Storage, StoredCopy, Tier, Write,
};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, ClientId, Epoch, Lineage, RoomName, Sequence};
use coweave_core::limits::Limits;
use coweave_core::wire::v1::{EditKind, Message, Role};

use crate::aside::{
    LINEAGE, THEIRS, admit, edit, live, messages, refusal, set_aside, text, text_in, theirs,
};
use crate::client::{Session, TEXT};

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
fn who_could_only_read_begins_so_the_next_time_until_the_relay_says_otherwise() {
    let mut session = live(true);
    session.hear(Channel(1), &Message::Role(Role::Viewer));
    let copy = stored(&device(&mut session));
    assert_eq!(copy.meta.unwrap().role, Role::Viewer);

    let mut session = Session::new(1, true);
    let key = session.keys[0];
    session.input(Input::Loaded { key, copy: Ok(copy) });
    let room = |session: &Session| session.client.room(key).unwrap().check_edit();
    assert_eq!(room(&session).unwrap_err().code, Code::RoomReadOnly);
    session.welcome(&Limits::default());
    admit(&mut session, 1, LINEAGE, Role::Editor);
    assert_eq!(room(&session), Ok(()));
    let roles = session.events.iter().filter(|event| **event == Event::RoleChanged).count();
    assert_eq!(roles, 2);
    let metas = device(&mut session);
    assert_eq!(stored(&metas).meta.unwrap().role, Role::Editor);
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
    let meta =
        Meta { lineage: LINEAGE, epoch: Epoch(1), sequence: Sequence(0), role: Role::Editor };
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
fn an_old_answer_of_the_device_does_not_undo_setting_aside() {
    let mut session = live(true);
    let key = session.keys[0];
    edit(&mut session, "mine, ");
    let rows = stored(&device(&mut session));
    let error = Error::new(Code::DeviceUnavailable, "lost for a moment");
    session.input(Input::WriteFailed { key, error });
    session.input(Input::Probe);
    let [Output::Load { lineage, .. }] = device(&mut session)[..] else { panic!() };
    assert_eq!(lineage, Some(LINEAGE), "rows that took the place of those known may be of another");
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
    session.client.drop_copy(&RoomName::parse("room 0").unwrap(), &copy.id, true);
    tickets.for_each(|ticket| session.input(Input::Written { key, ticket }));
    let asked = device(&mut session);
    assert!(matches!(asked[..], [Output::SetAside { is_dropped: true, .. }]), "{asked:?}");
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    assert_eq!(session.client.room(key).unwrap().storage(), &Storage::Device);
}

#[test]
fn a_copy_whose_drop_failed_gets_to_the_device() {
    let mut session = live(true);
    let key = session.keys[0];
    edit(&mut session, "mine, ");
    session.hear(Channel(1), &refusal(Code::UpdateMalformed));
    admit(&mut session, 2, LINEAGE, Role::Editor);
    let copy = set_aside(&session).remove(0);
    let room = RoomName::parse("room 0").unwrap();
    session.client.drop_copy(&room, &copy.id, true);
    assert_eq!(session.client.is_copy_dropped(key, &copy.id), Some(true));
    device(&mut session);
    let error = Error::new(Code::DeviceUnavailable, "not now");
    session.input(Input::Loaded { key, copy: Err(error) });
    // So it is with the store that was to delete it.
    session.client.drop_copy(&room, &copy.id, false);
    assert_eq!(session.client.is_copy_dropped(key, &copy.id), Some(false));
    session.input(Input::Probe);
    let asked = device(&mut session);
    assert!(matches!(asked[..], [Output::SetAside { is_dropped: false, .. }]), "{asked:?}");
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    assert_eq!(session.client.is_copy_dropped(key, &copy.id), None);
}

#[test]
fn where_nothing_was_the_device_forgets_the_history_that_is_over() {
    let mut session = Session::new(1, true);
    let key = session.keys[0];
    let meta = Meta {
        lineage: Lineage([7; 16]),
        epoch: Epoch(1),
        sequence: Sequence(3),
        role: Role::Editor,
    };
    let copy = StoredCopy { meta: Some(meta), ..StoredCopy::default() };
    session.input(Input::Loaded { key, copy: Ok(copy) });
    session.welcome(&Limits::default());
    session.hear(Channel(1), &Message::Error(Error::new(Code::RoomLineageMismatch, "another")));
    admit(&mut session, 2, LINEAGE, Role::Editor);
    assert_eq!((text(&session).as_str(), set_aside(&session).len()), (THEIRS, 0));
    let asked = device(&mut session);
    assert!(matches!(asked[..], [.., Output::SetAside { is_dropped: true, .. }]), "{asked:?}");
    session.input(Input::Loaded { key, copy: Ok(StoredCopy::default()) });
    // Where the room stands is not said before the device has all up to there.
    let after = stored(&device(&mut session));
    assert_eq!(after.meta.map(|meta| meta.lineage), Some(LINEAGE));
    assert_eq!(text_in(&after.snapshot.unwrap()), THEIRS);
}
