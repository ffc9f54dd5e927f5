//! The first content of a room, which nobody hears of before it is on disk.

use coweave_core::error::{Code, Error};
use coweave_core::ids::{EditNumber, MemberId, Sequence};
use coweave_core::limits::Limits;
use coweave_core::room::{Input, Output, Room, RoomMessage};
use coweave_core::wire::v1::EditKind;

use crate::room::{ANA, EVE, edit, hand_in, join, open};

const BEN: MemberId = MemberId(3);

/// A room with two members, of whom one has brought the first content.
fn seeded(limits: Limits) -> Room {
    let mut room = open(limits);
    join(&mut room, ANA, Some(1));
    join(&mut room, EVE, Some(2));
    let outputs = hand_in(&mut room, Input::Seed { member: ANA, update: edit(9) });
    assert!(matches!(&outputs[..], [Output::Append { .. }]), "{outputs:?}");
    room
}

fn type_as_eve(room: &mut Room) -> Vec<Output> {
    let (number, kind) = (EditNumber(1), EditKind::Live);
    hand_in(room, Input::Edit { member: EVE, number, kind, update: edit(2) })
}

fn fail(room: &mut Room) -> Vec<Output> {
    hand_in(room, Input::StoreFailed { error: Error::new(Code::RelayDegraded, "it is full") })
}

/// Who was sent away, and why.
fn sent_away(outputs: &[Output]) -> Vec<(MemberId, Code)> {
    let ended = outputs.iter().filter_map(|output| match output {
        Output::Send { to, message: RoomMessage::End { error } } => Some((*to, error.code)),
        _ => None,
    });
    ended.collect()
}

#[test]
fn a_seed_is_told_when_it_is_on_disk_and_all_that_came_meanwhile_behind_it() {
    let mut room = seeded(Limits::default());
    assert_eq!(type_as_eve(&mut room), []);
    assert_eq!(join(&mut room, BEN, Some(3)), []);
    let outputs = hand_in(&mut room, Input::Durable { through: Sequence(1) });
    let mut outputs = outputs.iter();
    let mut next = || outputs.next().unwrap();
    let first = Sequence(1);
    assert!(
        matches!(next(), Output::Broadcast { message: RoomMessage::Update { sequence, .. }, .. }
        if *sequence == first)
    );
    assert!(matches!(
        next(),
        Output::Send { to: ANA, message: RoomMessage::Seeded { result: Ok(true) } }
    ));
    assert!(matches!(next(), Output::Append { .. }));
    assert!(matches!(next(), Output::Broadcast { .. }));
    let joined = next();
    let Output::Send { to: BEN, message: RoomMessage::Joined { updates, .. } } = joined else {
        panic!("{joined:?}");
    };
    assert_eq!(updates.len(), 2);
}

#[test]
fn a_member_is_not_told_of_a_place_in_the_log_that_it_knows_nothing_of() {
    let mut room = open(Limits::default());
    join(&mut room, ANA, Some(1));
    join(&mut room, EVE, Some(2));
    // Nothing new: acknowledged at once, but after the seed that comes in the same turn.
    let (number, kind, update) = (EditNumber(1), EditKind::Difference, vec![0, 0].into());
    let now = coweave_core::time::Time::from_ms(1_000);
    room.handle(Input::Edit { member: EVE, number, kind, update }, now);
    let outputs = hand_in(&mut room, Input::Seed { member: ANA, update: edit(9) });
    let told = outputs.iter().find_map(|output| match output {
        Output::Send { to: EVE, message: RoomMessage::Ack { sequence, .. } } => Some(*sequence),
        _ => None,
    });
    assert_eq!(told, Some(Sequence(0)), "{outputs:?}");
}

#[test]
fn while_a_seed_waits_for_a_failing_disk_nobody_is_in_the_room() {
    let mut room = seeded(Limits::default());
    join(&mut room, BEN, Some(3));
    let away = |member| (member, Code::RelayDegraded);
    assert_eq!(sent_away(&fail(&mut room)), [away(BEN), away(ANA), away(EVE)]);
    assert_eq!(sent_away(&join(&mut room, ANA, Some(1))), [away(ANA)]);
    hand_in(&mut room, Input::Durable { through: Sequence(1) });
    assert_eq!(room.member_count(), 0, "who was sent away comes back by itself");
    let outputs = join(&mut room, ANA, Some(1));
    assert!(
        matches!(&outputs[..], [Output::Send { message: RoomMessage::Joined { .. }, .. }, ..]),
        "{outputs:?}"
    );
}

#[test]
fn what_waits_for_a_seed_is_bounded() {
    let mut room = seeded(Limits { undurable_bytes_max: 1_000, ..Limits::default() });
    let mut away = Vec::new();
    for _ in 0..100 {
        away.extend(sent_away(&type_as_eve(&mut room)));
    }
    assert_eq!(away.first(), Some(&(EVE, Code::RelayDegraded)));
    hand_in(&mut room, Input::Durable { through: Sequence(1) });
    assert_eq!((room.head(), room.member_count()), (Sequence(1), 1));
}

#[test]
fn who_waits_for_a_seed_in_a_room_that_is_deleted_is_told() {
    let mut room = seeded(Limits::default());
    join(&mut room, BEN, Some(3));
    let away = sent_away(&hand_in(&mut room, Input::Delete));
    assert!(away.contains(&(BEN, Code::RoomUnavailable)), "{away:?}");
    assert!(away.contains(&(ANA, Code::RoomDeleted)), "{away:?}");
}
