//! A room and members that break the rules.

use std::time::Duration;

use bytes::Bytes;
use coweave_core::doc::replica::Replica;
use coweave_core::error::Code;
use coweave_core::ids::{ClientId, EditNumber, Epoch, Lineage, MemberId, Sequence, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::room::{
    Input, JoinRequest, Output, Protocol, Room, RoomMessage, Snapshot, StoredRoom, compaction,
};
use coweave_core::time::Time;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::v1::EditKind;

const NOW: Time = Time::from_ms(1_000);
pub(crate) const ANA: MemberId = MemberId(1);
pub(crate) const EVE: MemberId = MemberId(2);

pub(crate) fn open(mut limits: Limits) -> Room {
    limits.presence_tick = Duration::ZERO;
    Room::open(StoredRoom::new(Lineage([1; 16]), Epoch(1)), limits, NOW).unwrap()
}

pub(crate) fn join(room: &mut Room, member: MemberId, client: Option<u32>) -> Vec<Output> {
    let request = Box::new(JoinRequest {
        session: SessionKey([member.0 as u8; 16]),
        client: client.map(ClientId::from_u32),
        lineage: None,
        epoch: Epoch(0),
        sequence: Sequence(0),
        state_vector: Bytes::from_static(&[0]),
        protocol: if client.is_some() { Protocol::V1 } else { Protocol::YWebsocket },
    });
    hand_in(room, Input::Join { member, request })
}

pub(crate) fn hand_in(room: &mut Room, input: Input) -> Vec<Output> {
    room.handle(input, NOW);
    let mut outputs = Vec::new();
    loop {
        match room.poll(NOW) {
            Output::Idle { .. } | Output::Unload => return outputs,
            output => outputs.push(output),
        }
        assert!(outputs.len() < 1_000, "the room never rests");
    }
}

fn says_that_somebody_is_gone(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| match output {
        Output::Broadcast { message: RoomMessage::Presence { update }, .. } => {
            awareness::read(update, &Limits::default())
                .unwrap()
                .iter()
                .any(|entry| entry.state.is_none())
        }
        _ => false,
    })
}

fn shows(client: u32, clock: u64) -> Vec<AwarenessEntry> {
    let client = ClientId::from_u32(client);
    vec![AwarenessEntry { client, clock, state: Some("{}".to_owned()) }]
}

pub(crate) fn edit(client: u32) -> Bytes {
    let mut replica = Replica::new(ClientId::from_u32(client));
    replica.text_insert("text", 0, "hello").unwrap();
    replica.take_edits().unwrap()
}

#[test]
fn a_member_whose_query_cannot_be_read_leaves_nothing_behind() {
    let mut room = open(Limits::default());
    join(&mut room, ANA, Some(1));
    join(&mut room, EVE, None);
    hand_in(&mut room, Input::Awareness { member: EVE, entries: shows(7, 1) });
    let state_vector = Bytes::from_static(&[0xff]);
    let outputs = hand_in(&mut room, Input::Query { member: EVE, state_vector });
    let is_end = |output: &Output| {
        matches!(output, Output::Send { to: EVE, message: RoomMessage::End { error } }
            if error.code == Code::FrameMalformed)
    };
    assert!(outputs.iter().any(is_end), "{outputs:?}");
    assert!(says_that_somebody_is_gone(&outputs), "{outputs:?}");
    assert_eq!(room.member_count(), 1);
}

#[test]
fn a_refused_edit_without_a_number_ends_the_membership() {
    // The number 0 of a refusal stands for a presence state: the member would go on, and nothing
    // more would ever be taken from it.
    let mut room = open(Limits::default());
    join(&mut room, ANA, Some(1));
    let (number, kind, update) = (EditNumber(0), EditKind::Difference, Bytes::from_static(&[9]));
    let outputs = hand_in(&mut room, Input::Edit { member: ANA, number, kind, update });
    assert!(
        matches!(&outputs[..], [Output::Send { to: ANA, message: RoomMessage::End { error } }]
            if error.code == Code::UpdateMalformed),
        "{outputs:?}"
    );
    assert_eq!(room.member_count(), 0);
}

#[test]
fn nobody_gets_hold_of_the_client_id_of_a_member_by_showing_something_under_it() {
    let mut room = open(Limits::default());
    join(&mut room, ANA, Some(1));
    join(&mut room, EVE, None);
    let outputs = hand_in(&mut room, Input::Awareness { member: EVE, entries: shows(1, 5) });
    assert!(outputs.is_empty(), "{outputs:?}");
    // Nor can Eve write under it, or keep Ana from coming back.
    let (number, kind) = (EditNumber(1), EditKind::Live);
    hand_in(&mut room, Input::Edit { member: EVE, number, kind, update: edit(1) });
    assert!(room.known().is_empty());
    hand_in(&mut room, Input::Leave { member: ANA });
    let outputs = join(&mut room, MemberId(3), Some(1));
    let is_in = |output: &Output| {
        matches!(output, Output::Send { message: RoomMessage::Joined { .. }, .. })
    };
    assert!(outputs.iter().any(is_in), "{outputs:?}");
}

#[test]
fn a_member_holds_no_more_client_ids_than_it_may_show_states() {
    let limits = Limits::default();
    let most = limits.presence_clients_per_member_max as u32;
    let mut room = open(limits);
    join(&mut room, EVE, None);
    for client in 10..10 + most {
        hand_in(&mut room, Input::Awareness { member: EVE, entries: shows(client, 1) });
        let client = ClientId::from_u32(client);
        let entries = vec![AwarenessEntry { client, clock: 2, state: None }];
        hand_in(&mut room, Input::Awareness { member: EVE, entries });
    }
    let outputs = hand_in(&mut room, Input::Awareness { member: EVE, entries: shows(9, 1) });
    assert!(
        matches!(&outputs[..], [Output::Send { to: EVE, message: RoomMessage::Refused { error, .. } }]
            if error.code == Code::PresenceTooMany),
        "{outputs:?}"
    );
    // Those that it holds may come back.
    let outputs = hand_in(&mut room, Input::Awareness { member: EVE, entries: shows(10, 3) });
    assert!(!outputs.iter().any(|output| matches!(output, Output::Send { .. })), "{outputs:?}");
}

#[test]
fn an_update_is_taken_by_an_idle_disk_however_little_may_wait_for_it() {
    let mut room = open(Limits { undurable_bytes_max: 4, ..Limits::default() });
    join(&mut room, ANA, Some(1));
    let mut replica = Replica::new(ClientId::from_u32(1));
    let mut send = |room: &mut Room, number: u64| {
        replica.text_insert("text", 0, "hello").unwrap();
        let (update, kind) = (replica.take_edits().unwrap(), EditKind::Live);
        let number = EditNumber(number);
        hand_in(room, Input::Edit { member: ANA, number, kind, update })
    };
    let outputs = send(&mut room, 1);
    assert!(outputs.iter().any(|output| matches!(output, Output::Append { .. })), "{outputs:?}");
    let outputs = send(&mut room, 2);
    assert!(
        matches!(&outputs[..], [Output::Send { message: RoomMessage::Refused { error, .. }, .. }]
            if error.code == Code::RelayDegraded),
        "{outputs:?}"
    );
}

#[test]
fn what_a_member_says_again_cannot_make_the_room_unreadable() {
    let mut room = open(Limits::default());
    join(&mut room, EVE, Some(5));
    let mut send = |number: u64, update: &[u8]| {
        let (number, kind) = (EditNumber(number), EditKind::Live);
        let update = Bytes::copy_from_slice(update);
        hand_in(&mut room, Input::Edit { member: EVE, number, kind, update })
    };
    send(1, &[&[1, 1, 5, 0, 4, 1, 4][..], b"text", &[6], b"abcdef", &[0]].concat());
    // From clock 3 on, and left of clock 5. What is new of it begins right of that.
    let outputs = send(2, &[&[1, 1, 5, 3, 0x44, 5, 5, 6][..], b"abcdef", &[0]].concat());
    assert!(matches!(&outputs[..], [Output::Send { to: EVE, .. }]), "{outputs:?}");
    let mut reader = Replica::new(ClientId::from_u32(9));
    for update in room.updates() {
        reader.apply(update, &Limits::default()).unwrap();
    }
    assert_eq!(reader.text_string("text"), "abcdef");
}

#[test]
fn an_outside_client_has_to_come_back_when_its_edits_could_not_be_taken_for_minutes() {
    // It knows no refusal: with the connection it would believe for ever that all is well.
    let mut room = open(Limits { undurable_bytes_max: 4, ..Limits::default() });
    join(&mut room, ANA, Some(1));
    join(&mut room, EVE, None);
    let edit_of = |member: MemberId, client: u32| Input::Edit {
        member,
        number: EditNumber(1),
        kind: EditKind::Difference,
        update: edit(client),
    };
    hand_in(&mut room, edit_of(ANA, 1));
    let (mut now, mut asked) = (NOW, 0);
    loop {
        room.handle(edit_of(EVE, 2), now);
        now = now + Duration::from_secs(5);
        let mut outputs = std::iter::from_fn(|| match room.poll(now) {
            Output::Idle { .. } => None,
            output => Some(output),
        });
        let end = outputs.find_map(|output| match output {
            Output::Send { to: EVE, message: RoomMessage::End { error } } => Some(error.code),
            _ => None,
        });
        if let Some(code) = end {
            assert_eq!(code, Code::RelayDegraded);
            return;
        }
        asked += 1;
        assert!(asked < 100, "it is never sent away");
    }
}

#[test]
fn what_is_sent_again_is_acknowledged_and_not_stored_again() {
    // A client that comes back sends what it has no acknowledgement for; a deletion among it once
    // filled the log with every attempt, and left no room for what stood behind it.
    let mut room = open(Limits::default());
    join(&mut room, ANA, Some(1));
    let mut replica = Replica::new(ClientId::from_u32(1));
    replica.text_insert("text", 0, "hello").unwrap();
    let written = replica.take_edits().unwrap();
    replica.text_delete("text", 1, 2).unwrap();
    let deleted = replica.take_edits().unwrap();
    let mut send = |number, kind, update: &Bytes| {
        let (number, update) = (EditNumber(number), update.clone());
        let outputs = hand_in(&mut room, Input::Edit { member: ANA, number, kind, update });
        let through = room.head();
        hand_in(&mut room, Input::Durable { through });
        outputs
    };
    let is_stored =
        |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Append { .. }));
    assert!(is_stored(&send(1, EditKind::Live, &written)));
    assert!(is_stored(&send(2, EditKind::Live, &deleted)));
    let state = Bytes::from(replica.state());
    for (kind, update) in [
        (EditKind::Live, &written),
        (EditKind::Live, &deleted),
        (EditKind::Difference, &deleted),
        (EditKind::Difference, &state),
    ] {
        let outputs = send(3, kind, update);
        assert!(!is_stored(&outputs), "{outputs:?}");
        assert!(
            matches!(&outputs[..], [Output::Send { message: RoomMessage::Ack { accepted, .. }, .. }]
                if *accepted == EditNumber(3)),
            "{outputs:?}"
        );
    }
    replica.text_delete("text", 0, 1).unwrap();
    assert!(is_stored(&send(4, EditKind::Live, &replica.take_edits().unwrap())));
}

fn write(room: &mut Room, member: MemberId, number: u64, client: u32) -> Vec<Output> {
    let (number, kind) = (EditNumber(number), EditKind::Live);
    hand_in(room, Input::Edit { member, number, kind, update: edit(client) })
}

fn is_in(outputs: &[Output]) -> bool {
    outputs
        .iter()
        .any(|output| matches!(output, Output::Send { message: RoomMessage::Joined { .. }, .. }))
}

/// What Ana is told of her edits, in order.
fn told_to_ana(outputs: &[Output]) -> Vec<String> {
    let told = |output: &Output| match output {
        Output::Send { to: ANA, message: RoomMessage::Ack { durable, .. } } => {
            Some(format!("durable through {}", durable.0))
        }
        Output::Send { to: ANA, message: RoomMessage::Flushed { number } } => {
            Some(format!("flushed {number}"))
        }
        _ => None,
    };
    outputs.iter().filter_map(told).collect()
}

#[test]
fn a_member_hears_that_its_edits_are_durable_before_it_hears_that_all_is_flushed() {
    let mut room = open(Limits::default());
    join(&mut room, ANA, Some(1));
    write(&mut room, ANA, 1, 1);
    let outputs = hand_in(&mut room, Input::Flush { member: ANA, number: 7 });
    assert!(told_to_ana(&outputs).is_empty(), "{outputs:?}");
    // The disk and a second request in one turn: neither answer may pass the watermark.
    room.handle(Input::Durable { through: Sequence(1) }, NOW);
    let outputs = hand_in(&mut room, Input::Flush { member: ANA, number: 8 });
    assert_eq!(told_to_ana(&outputs), ["durable through 1", "flushed 7", "flushed 8"]);
}

#[test]
fn nobody_gets_hold_of_a_client_id_by_being_there_under_it() {
    // Ana's connection is cut, and Eve passes as her for a moment.
    let mut room = open(Limits::default());
    join(&mut room, EVE, Some(1));
    let kind = EditKind::Difference;
    let (number, update) = (EditNumber(1), edit(2));
    hand_in(&mut room, Input::Edit { member: EVE, number, kind, update });
    assert_eq!(room.known().next(ClientId::from_u32(2)), 5);
    hand_in(&mut room, Input::Leave { member: EVE });
    assert!(is_in(&join(&mut room, ANA, Some(1))));
}

#[test]
fn nobody_gets_hold_of_the_client_id_of_a_member_that_is_away_by_showing_something_under_it() {
    let mut room = open(Limits::default());
    join(&mut room, ANA, Some(1));
    write(&mut room, ANA, 1, 1);
    hand_in(&mut room, Input::Leave { member: ANA });
    join(&mut room, EVE, None);
    let outputs = hand_in(&mut room, Input::Awareness { member: EVE, entries: shows(1, 5) });
    assert!(outputs.is_empty(), "{outputs:?}");
    assert!(is_in(&join(&mut room, ANA, Some(1))));
}

#[test]
fn a_room_that_is_full_has_space_again_when_something_was_deleted() {
    let text = |client: u32, length: usize| {
        let mut replica = Replica::new(ClientId::from_u32(client));
        replica.text_insert("text", 0, &"a".repeat(length)).unwrap();
        (replica.take_edits().unwrap(), replica)
    };
    let send = |room: &mut Room, member: MemberId, update: &Bytes| {
        join(room, member, Some(member.0 as u32));
        let (number, kind) = (EditNumber(1), EditKind::Difference);
        let outputs = hand_in(room, Input::Edit { member, number, kind, update: update.clone() });
        hand_in(room, Input::Leave { member });
        outputs
    };
    let is_stored =
        |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Append { .. }));
    let (first, mut replica) = text(1, 500);
    let mut room = open(Limits { room_bytes_max: first.len(), ..Limits::default() });
    assert!(is_stored(&send(&mut room, ANA, &first)));
    let (second, _) = text(2, 100);
    assert!(!is_stored(&send(&mut room, EVE, &second)));

    replica.text_delete("text", 0, 500).unwrap();
    assert!(is_stored(&send(&mut room, ANA, &replica.take_edits().unwrap())));
    let through = room.head();
    let outputs = hand_in(&mut room, Input::Durable { through });
    let folded = outputs.into_iter().find_map(|output| match output {
        Output::Compact { through, updates } => {
            let pieces = compaction::fold(&updates, 1_000).unwrap();
            Some(Snapshot { through, pieces })
        }
        _ => None,
    });
    hand_in(&mut room, Input::Compacted { snapshot: folded.expect("it is folded") });
    assert!(is_stored(&send(&mut room, EVE, &second)));
}
