//! A session whose device's store fails, comes back, or holds what it should not.

use bytes::Bytes;
use coweave_core::client::tabs::{About, Talk};
use coweave_core::client::{Event, Input, Meta, Record, Saved, Storage, Tier, Write};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, TabId};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::time::Time;
use coweave_core::wire::v1::{Message, Role, read_frame};

use crate::page::{LINEAGE, Page, Store, TEXT, is_lost, written_by};

#[test]
fn a_store_that_failed_gets_all_it_lacks_when_it_is_back() {
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    page.type_in("one ");
    page.write_to(&mut store);
    assert_eq!(page.saved(), Saved { tier: Tier::Device, pending: 1, is_on_device: true });
    page.type_in("two ");
    page.writes.clear();
    page.fail("the quota is used up");
    assert_eq!(page.saved(), Saved { tier: Tier::Memory, pending: 2, is_on_device: false });
    assert!(is_lost(page.storage()));
    page.type_in("three ");
    page.wait_for_load();
    page.answer_load(Err(Error::new(Code::DeviceUnavailable, "not yet")));
    page.type_in("four ");
    page.wait_for_load();
    page.answer_load(Ok(store.load()));
    assert!(is_lost(page.storage()), "nothing is there again before it is written");
    page.type_in("five ");
    let (ticket, writes) = page.writes.pop_front().unwrap();
    assert!(page.writes.is_empty(), "one write at a time, all or nothing");
    store.write(&writes);
    page.input(Input::Written { key: page.key, ticket });
    assert_eq!((page.storage(), page.saved().tier), (&Storage::Device, Tier::Memory));
    page.write_to(&mut store);
    assert_eq!(page.saved(), Saved { tier: Tier::Device, pending: 5, is_on_device: true });
    assert_eq!(store.content(), "one two three four five ");
    let mut next = Page::with(2, &mut store);
    assert_eq!(next.saved(), Saved { tier: Tier::Device, pending: 5, is_on_device: true });
    next.sync(0, None);
    assert_eq!(next.sent(), "one two three four five ");
}

#[test]
fn what_was_taken_away_is_not_said_to_be_on_the_device() {
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    page.sync(1, Some(&written_by(9, "theirs, ")));
    page.type_in("mine");
    page.write_to(&mut store);
    page.input(Input::SocketClosed { error: None });
    assert_eq!(page.saved().tier, Tier::Device);
    store = Store::default();
    page.fail("what was kept here was taken away");
    assert_eq!(page.saved().tier, Tier::Memory);
    page.wait_for_load();
    page.answer_load(Ok(store.load()));
    assert_eq!(page.saved().tier, Tier::Memory);
    page.write_to(&mut store);
    assert_eq!(page.saved().tier, Tier::Device);
    assert_eq!(store.content(), "theirs, mine");
    assert_eq!(store.meta.map(|meta| meta.lineage), Some(LINEAGE));
    assert_eq!(store.records.len(), 1, "what is pending is there as it was");
}

#[test]
fn a_store_that_keeps_failing_is_tried_less_and_less_often_and_at_every_hint() {
    let mut page = Page::new(1);
    let error = || Err(Error::new(Code::DeviceUnavailable, "not in this mode"));
    page.answer_load(error());
    let mut attempts = 0;
    while page.now < Time::from_ms(120_000) {
        page.wait_for_load();
        page.answer_load(error());
        attempts += 1;
    }
    assert!((5..60).contains(&attempts), "{attempts} attempts in two minutes");
    let told = page.events.iter().filter(|event| **event == Event::StorageChanged);
    assert_eq!(told.count(), 1, "the same reason is told once");
    page.input(Input::Probe);
    assert_eq!(page.loads, 1);
    page.input(Input::Probe);
    assert_eq!(page.loads, 1, "one read at a time");
}

#[test]
fn what_a_store_has_that_could_not_be_read_at_first_reaches_document_and_relay() {
    let mut store = Store::default();
    let mut dead = Page::with(1, &mut store);
    dead.type_in("of a dead tab, ");
    dead.write_to(&mut store);
    let mut page = Page::new(2);
    page.answer_load(Err(Error::new(Code::DeviceUnavailable, "blocked")));
    page.sync(0, None);
    page.type_in("new");
    page.wait_for_load();
    page.answer_load(Ok(store.load()));
    page.write_to(&mut store);
    assert_eq!(page.text().len(), "of a dead tab, new".len());
    assert_eq!(page.sent(), page.text());
    assert_eq!(page.saved(), Saved { tier: Tier::Device, pending: 2, is_on_device: true });
    page.acknowledge(2);
    page.write_to(&mut store);
    assert!(store.records.iter().all(|record| !record.is_pending));
    assert_eq!(store.content(), page.text());
}

#[test]
fn a_store_that_was_emptied_by_nobody_gets_nothing_twice() {
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    page.type_in("one ");
    page.type_in("two ");
    page.write_to(&mut store);
    page.fail("the connection was closed");
    page.wait_for_load();
    page.answer_load(Ok(store.load()));
    page.write_to(&mut store);
    assert_eq!(store.records.len(), 2, "edits that are recorded are not recorded again");
    page.sync(0, None);
    assert_eq!(page.sent(), "one two ");
}

/// A device with another history than the one that the relay has.
fn store_of_another_history() -> Store {
    let mut store = Store::default();
    let meta = Meta {
        lineage: Lineage([2; 16]),
        epoch: Epoch(1),
        sequence: Sequence(3),
        role: Role::Editor,
    };
    let update = written_by(9, "another history");
    store.write(&[
        Write::SetMeta(meta),
        Write::Append(Record { index: 1, is_pending: false, update }),
    ]);
    store
}

#[test]
fn a_store_with_another_history_is_set_aside_and_the_room_is_kept_again() {
    let mut store = store_of_another_history();
    let mut page = Page::new(1);
    page.answer_load(Err(Error::new(Code::DeviceUnavailable, "blocked")));
    page.sync(0, None);
    page.type_in("mine");
    page.wait_for_load();
    page.answer_load(Ok(store.load()));
    let Storage::Lost { error } = page.storage() else { panic!("{:?}", page.storage()) };
    assert_eq!(error.code, Code::RoomLineageMismatch);
    assert!(page.writes.is_empty() && page.asides.is_empty());
    page.wait_for_load();
    assert_eq!(page.asides, [(Code::RoomLineageMismatch, true)], "all of it, and nothing of ours");
    store = Store::default();
    page.answer_load(Ok(store.load()));
    page.write_to(&mut store);
    assert_eq!((page.storage(), store.content().as_str()), (&Storage::Device, "mine"));
    assert_eq!(store.meta.map(|meta| meta.lineage), Some(LINEAGE));
    assert_eq!(page.text(), "mine", "neither is mixed with the other");
}

#[test]
fn a_store_with_another_history_is_left_alone_until_the_relay_says_which_one_goes_on() {
    let mut store = store_of_another_history();
    let mut page = Page::new(1);
    page.answer_load(Err(Error::new(Code::DeviceUnavailable, "blocked")));
    page.sync(0, None);
    page.type_in("mine");
    page.input(Input::SocketClosed { error: None });
    page.wait_for_load();
    page.answer_load(Ok(store.load()));
    for _ in 0..20 {
        page.now = page.wake.unwrap();
        page.input(Input::Probe);
        assert!(is_lost(page.storage()) && page.loads == 0 && page.writes.is_empty());
    }
    assert_eq!(store.content(), "another history");
}

#[test]
fn a_copy_that_waits_for_a_store_with_another_history_takes_nothing_of_it_into_the_room() {
    let mut store = store_of_another_history();
    let mut page = Page::new(1);
    page.answer_load(Err(Error::new(Code::DeviceUnavailable, "blocked")));
    page.sync(0, None);
    page.type_in("mine");
    let error = Error::new(Code::UpdateMalformed, "not this one");
    page.hear(Channel(1), &Message::Refused { number: EditNumber(1), error });
    page.enter(Channel(2), 0, None);
    page.wait_for_load();
    assert_eq!(page.asides, [(Code::UpdateMalformed, false)]);
    // The rows are not those that this session knows: they are left as they are.
    page.answer_load(Ok(store.load()));
    page.wait_for_load();
    assert_eq!(page.asides[1..], [(Code::RoomLineageMismatch, true)]);
    page.answer_load(Ok(Store::default().load()));
    assert_eq!((page.loads, page.text().as_str()), (0, ""));
}

#[test]
fn a_store_with_two_histories_is_set_aside_when_the_relay_has_said_which_goes_on() {
    // Two tabs were there before the relay; one of them joined and left, then the relay lost the room.
    let mut page = Page::new(1);
    page.answer_load(Err(Error::new(Code::RoomLineageMismatch, "two histories")));
    page.type_in("mine");
    assert!(is_lost(page.storage()) && page.asides.is_empty());
    page.sync(0, None);
    page.wait_for_load();
    assert_eq!(page.asides, [(Code::RoomLineageMismatch, true)]);
    let mut store = Store::default();
    page.answer_load(Ok(store.load()));
    page.write_to(&mut store);
    assert_eq!((page.storage(), store.content().as_str()), (&Storage::Device, "mine"));
}

#[test]
fn one_damaged_record_costs_no_other_one_and_is_never_deleted() {
    let broken = Bytes::from_static(&[9, 9]);
    let mut store = Store::default();
    let mut first = Page::with(1, &mut store);
    first.type_in("one ");
    first.write_to(&mut store);
    store.records.insert(0, Record { index: 0, is_pending: false, update: broken.clone() });
    let mut page = Page::with(2, &mut store);
    assert_eq!(page.text(), "one ");
    let Storage::Damaged { error } = page.storage() else { panic!("{:?}", page.storage()) };
    assert!(error.message.starts_with("1 records of this device's copy cannot be used"));
    // It is kept, although the room is folded.
    page.sync(0, None);
    for _ in 0..600 {
        page.type_in("x");
        page.write_to(&mut store);
    }
    page.acknowledge(601);
    page.write_to(&mut store);
    assert!(store.records.iter().any(|record| record.update == broken));
    assert!(store.snapshot.is_some() && store.records.len() < 100);
    assert_eq!(store.content(), format!("one {}", "x".repeat(600)));
    page.input(Input::SocketClosed { error: None });
    page.type_in("y");
    page.write_to(&mut store);
    assert_eq!(page.saved().tier, Tier::Device);
}

#[test]
fn a_damaged_snapshot_costs_nothing_that_the_relay_has_and_no_edit_behind_it() {
    let content = written_by(9, "theirs");
    let mut typist = Replica::new(ClientId::from_u32(1));
    typist.apply(&content, &Limits::default()).unwrap();
    typist.text_insert(TEXT, 6, ", mine").unwrap();
    let mine = typist.take_edits().unwrap();
    let meta =
        Meta { lineage: LINEAGE, epoch: Epoch(1), sequence: Sequence(1), role: Role::Editor };
    let records = vec![Record { index: 1, is_pending: true, update: mine }];
    let broken = Bytes::from_static(&[1, 2, 3]);
    let mut store = Store { meta: Some(meta), snapshot: Some(broken), records };
    let mut page = Page::with(2, &mut store);
    assert!(matches!(page.storage(), Storage::Damaged { .. }));
    assert_eq!(page.client.room(page.key).unwrap().position().1, Sequence(0));
    page.sync(1, Some(&content));
    assert_eq!(page.text(), "theirs, mine");
    assert_eq!(page.saved().pending, 1);
    let frames = std::mem::take(&mut page.frames);
    let messages = frames.iter().flat_map(|frame| read_frame(frame).unwrap());
    assert!(messages.into_iter().any(|(_, message)| matches!(message, Message::Edit { .. })));
}

#[test]
fn nothing_is_written_when_a_room_is_opened_or_synced_without_news() {
    let mut store = Store::default();
    let content = written_by(9, "theirs");
    let mut first = Page::with(1, &mut store);
    first.sync(1, Some(&content));
    first.write_to(&mut store);
    let mut again = Page::with(2, &mut store);
    assert_eq!(again.text(), "theirs");
    again.sync(1, None);
    assert!(again.writes.is_empty(), "{:?}", again.writes);
}

#[test]
fn edits_that_stay_pending_do_not_bring_one_snapshot_after_another() {
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    for _ in 0..1_200 {
        page.type_in("x");
        page.write_to(&mut store);
    }
    assert!(store.snapshot.is_none(), "there was nothing to make go");
    page.sync(0, None);
    page.acknowledge(1_200);
    page.write_to(&mut store);
    assert_eq!((store.records.len(), store.snapshot.is_some()), (0, true));
    assert_eq!(store.content(), "x".repeat(1_200));
}

#[test]
fn a_few_large_edits_make_a_snapshot_as_many_small_ones_do() {
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    page.sync(0, None);
    let large = "x".repeat(100_000);
    for number in 1..=2 {
        page.type_in(&large);
        page.acknowledge(number);
        page.write_to(&mut store);
    }
    assert_eq!((store.records.len(), store.snapshot.is_some()), (2, false));
    page.type_in(&large);
    page.acknowledge(3);
    page.write_to(&mut store);
    assert_eq!((store.records.len(), store.snapshot.is_some()), (0, true));
    assert_eq!(store.content().len(), 300_000);
    // What is folded next has to be worth it.
    page.type_in("y");
    page.acknowledge(4);
    page.write_to(&mut store);
    assert_eq!(store.records.len(), 1);
}

#[test]
fn whatever_fails_what_was_said_to_be_on_the_device_is_there_and_all_is_at_the_end() {
    for seed in 0..300 {
        run_with_faults(seed);
    }
}

/// A store that fails whenever it likes, with or without doing what it was asked for.
fn run_with_faults(seed: u64) {
    let mut random = Random::from_seed(seed);
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    let (mut client, mut told) = (1, String::new());
    for step in 0..120 {
        match random.below(10) {
            0..5 => page.type_in(&format!("{} ", step % 10)),
            5 if random.chance(30) => page.input(Input::Probe),
            // Nobody hears of it until something is written.
            6 if random.chance(20) => {
                store = Store::default();
                told.clear();
                page.writes.clear();
                page.fail("what was kept here was taken away");
            }
            7 if random.chance(20) => {
                // The page dies, perhaps with its write done.
                if let Some((_, writes)) = page.writes.pop_front().filter(|_| random.chance(50)) {
                    store.write(&writes);
                }
                client += 1;
                page = Page::with(client, &mut store);
                let text = page.text();
                assert!(text.starts_with(&told), "seed {seed}: {told:?} was told, {text:?} is");
            }
            _ => page.now = page.wake.unwrap_or(page.now).max(page.now),
        }
        page.input(Input::Tick);
        if page.loads > 0 {
            let fails = random.chance(40);
            let error = Error::new(Code::DeviceUnavailable, "it fails");
            page.answer_load(if fails { Err(error) } else { Ok(store.load()) });
        }
        if let Some((ticket, writes)) = page.writes.pop_front() {
            let (is_done, is_told) = (random.chance(70), random.chance(70));
            if is_done {
                store.write(&writes);
            }
            if is_done && is_told {
                page.input(Input::Written { key: page.key, ticket });
            } else {
                page.fail("it fails");
            }
        }
        if page.saved().tier == Tier::Device {
            told = page.text();
        }
    }
    for _ in 0..10 {
        if is_lost(page.storage()) && page.writes.is_empty() {
            page.wait_for_load();
            page.answer_load(Ok(store.load()));
        }
        page.write_to(&mut store);
    }
    assert_eq!(page.storage(), &Storage::Device, "seed {seed}");
    assert_eq!(store.content(), page.text(), "seed {seed}");
    assert_eq!(page.saved().tier == Tier::Durable, page.text().is_empty(), "seed {seed}");
}

#[test]
fn a_deletion_of_another_tab_is_pending_here_too_until_that_tab_says_that_it_is_durable() {
    // No state vector shows that somebody lacks a deletion: when both tabs die, and the device of the
    // other one failed, the next visit has to know that it is to be brought.
    let mut store = Store::default();
    let mut page = Page::with(1, &mut store);
    let mut other = Replica::new(ClientId::from_u32(77));
    let mut tell = |page: &mut Page, about: About| {
        let talk = Talk { room: RoomName::parse("room").unwrap(), lineage: None, about };
        page.input(Input::Talk { tab: TabId(9), talk });
        page.write_to(&mut store);
        store.records.iter().map(|record| record.is_pending).collect::<Vec<_>>()
    };
    other.text_insert(TEXT, 0, "secret").unwrap();
    let update = other.take_edits().unwrap();
    let number = EditNumber(1);
    assert_eq!(tell(&mut page, About::Edit { number, update }), [false]);
    other.text_delete(TEXT, 0, 6).unwrap();
    let update = other.take_edits().unwrap();
    let number = EditNumber(2);
    assert_eq!(tell(&mut page, About::Edit { number, update: update.clone() }), [false, true]);
    // Told again it is no news: otherwise each visit would make more of what it found.
    assert_eq!(tell(&mut page, About::Edit { number, update: update.clone() }).len(), 2);
    assert_eq!(tell(&mut page, About::Known { number, update }).len(), 2);
    let through = number;
    assert_eq!(tell(&mut page, About::Durable { through }), [false; 2]);
}

#[test]
fn what_several_tabs_wrote_down_is_one_edit_to_whoever_finds_it() {
    let mut other = Replica::new(ClientId::from_u32(77));
    other.text_insert(TEXT, 0, "secret").unwrap();
    let written = other.take_edits().unwrap();
    other.text_delete(TEXT, 0, 3).unwrap();
    let deleted = other.take_edits().unwrap();
    let updates = [&written, &deleted, &written, &deleted, &deleted];
    let record = |update: &&Bytes| Record { index: 0, is_pending: true, update: (*update).clone() };
    let mut store = Store { records: updates.iter().map(record).collect(), ..Store::default() };
    for client in 1..3 {
        let mut page = Page::with(client, &mut store);
        assert_eq!(page.saved(), Saved { tier: Tier::Device, pending: 2, is_on_device: true });
        page.write_to(&mut store);
        let pending = store.records.iter().map(|record| record.is_pending);
        assert_eq!(pending.collect::<Vec<_>>(), [true, true, false, false, false]);
        page.sync(0, None);
        assert_eq!(page.sent(), "ret");
    }
}
