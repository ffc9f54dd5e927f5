//! What a device's store brings may be more than the relay has, or not all that it was given.

use bytes::Bytes;
use coweave_core::client::tabs::{About, Talk};
use coweave_core::client::{Input, Meta, Record, Saved, Storage, StoredCopy, Tier};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, TabId};
use coweave_core::limits::Limits;
use coweave_core::wire::v1::{Message, Role, read_frame};

use crate::page::{LINEAGE, Page, Store, TEXT, is_lost, written_by};

fn messages(page: &mut Page) -> Vec<Message> {
    let frames = std::mem::take(&mut page.frames);
    let frames = frames.iter().map(|frame| read_frame(frame).unwrap());
    frames.flatten().map(|(_, message)| message).collect()
}

/// Deletes a part of a text.
fn without(content: &Bytes, length: u32) -> Bytes {
    let mut replica = Replica::new(ClientId::from_u32(8));
    replica.apply(content, &Limits::default()).unwrap();
    replica.text_delete(TEXT, 0, length).unwrap();
    replica.state().into()
}

#[test]
fn an_edit_that_is_usable_only_after_a_sync_is_said_to_be_where_it_is() {
    let content = written_by(9, "theirs");
    let mut typist = Replica::new(ClientId::from_u32(1));
    typist.apply(&content, &Limits::default()).unwrap();
    typist.text_insert(TEXT, 6, ", mine").unwrap();
    let update = typist.take_edits().unwrap();
    let records = vec![Record { index: 1, is_pending: true, update }];
    let mut store = Store { records, ..Store::default() };
    let mut page = Page::with(2, &mut store);
    assert!(matches!(page.storage(), Storage::Damaged { .. }));
    page.sync(1, Some(&content));
    page.write_to(&mut store);
    assert_eq!((page.text().as_str(), page.storage()), ("theirs, mine", &Storage::Device));
    assert_eq!(page.saved(), Saved { tier: Tier::Device, pending: 1, is_on_device: true });
    assert_eq!(store.records.iter().filter(|record| record.is_pending).count(), 1);
}

#[test]
fn the_last_write_of_a_room_holds_what_the_one_before_it_may_have_failed_to_write() {
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    page.sync(0, None);
    page.write_to(&mut store);
    page.type_in("one ");
    page.type_in("two");
    page.acknowledge(2);
    page.input(Input::Close { key: page.key });
    assert_eq!(page.writes.len(), 2);
    let (_, last) = page.writes.pop_back().unwrap();
    store.write(&last);
    assert_eq!(store.content(), "one two");
    assert_eq!(store.meta.map(|meta| meta.sequence), Some(Sequence(2)));
}

#[test]
fn what_comes_of_a_store_after_the_sync_is_compared_with_what_the_relay_has() {
    // Another tab wrote it down as somebody else's edit, and all that heard of it are gone.
    let meta =
        Meta { lineage: LINEAGE, epoch: Epoch(1), sequence: Sequence(0), role: Role::Editor };
    let update = written_by(9, "of a dead tab");
    let records = vec![Record { index: 1, is_pending: false, update }];
    let mut store = Store { meta: Some(meta), records, ..Store::default() };
    let mut page = Page::new(2);
    page.answer_load(Err(Error::new(Code::DeviceUnavailable, "blocked")));
    page.sync(0, None);
    messages(&mut page);
    page.wait_for_load();
    page.answer_load(Ok(store.load()));
    let messages = messages(&mut page);
    assert!(matches!(&messages[..], [Message::Leave, Message::Join(_)]), "{messages:?}");
    page.write_to(&mut store);
    page.fail("once more");
    page.wait_for_load();
    page.frames.clear();
    page.answer_load(Ok(store.load()));
    assert!(page.frames.is_empty(), "there is nothing new in it");
}

#[test]
fn what_was_deleted_in_a_row_that_cannot_be_read_gets_to_the_relay() {
    let content = written_by(9, "theirs");
    let meta =
        Meta { lineage: LINEAGE, epoch: Epoch(1), sequence: Sequence(1), role: Role::Editor };
    let damage = Error::new(Code::DeviceUnavailable, "one is without bytes");
    let copy = |damage| StoredCopy {
        meta: Some(meta),
        snapshot: Some(without(&content, 3)),
        records: Vec::new(),
        damage,
    };
    let at_relay = |page: &mut Page| {
        let mut relay = Replica::new(ClientId::from_u32(99));
        relay.apply(&content, &Limits::default()).unwrap();
        for message in messages(page) {
            if let Message::Edit { update, .. } = message {
                relay.apply(&update, &Limits::default()).unwrap();
            }
        }
        relay.text_string(TEXT)
    };
    for (damage, text) in [(None, "theirs"), (Some(damage.clone()), "irs")] {
        let mut page = Page::new(2);
        page.answer_load(Ok(copy(damage)));
        page.sync(1, Some(&content));
        assert_eq!((page.text().as_str(), at_relay(&mut page).as_str()), ("irs", text));
    }
    // Where the store comes back later, the room is joined once more.
    let mut page = Page::new(2);
    page.answer_load(Err(Error::new(Code::DeviceUnavailable, "blocked")));
    page.sync(1, Some(&content));
    messages(&mut page);
    page.wait_for_load();
    page.answer_load(Ok(copy(Some(damage))));
    assert!(is_lost(page.storage()));
    assert!(messages(&mut page).iter().any(|message| matches!(message, Message::Join(_))));
}

#[test]
fn what_a_tab_told_before_it_knew_of_another_history_is_brought_when_that_is_set_aside() {
    let mut page = Page::with(1, &mut Store::default());
    let hear = |page: &mut Page, lineage, about| {
        let talk = Talk { room: RoomName::parse("room").unwrap(), lineage, about };
        page.input(Input::Talk { tab: TabId(9), talk });
    };
    let edit = About::Edit { number: EditNumber(1), update: written_by(9, "theirs") };
    hear(&mut page, None, edit);
    page.sync(0, None);
    page.frames.clear();
    // Its own store came back, with a room that is deleted.
    let error = Error::new(Code::RoomDeleted, "the room was deleted");
    hear(&mut page, Some(Lineage([2; 16])), About::SetAside { error });
    assert_eq!(page.sent(), "theirs");
    assert_eq!(page.saved().pending, 1);
}
