//! A connection whose peer asks for too much.

use bytes::Bytes;
use coweave_core::ids::{Channel, Epoch, Lineage, RoomName, Sequence, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::link::{Input, Link, Output, RoomRequest, Shared};
use coweave_core::room::RoomMessage;
use coweave_core::time::Time;
use coweave_core::wire::v1::{Joined, Role};
use coweave_core::wire::y_websocket::Message;

/// What the link wants of its room.
fn requests(link: &mut Link) -> Vec<RoomRequest> {
    let mut requests = Vec::new();
    loop {
        match link.poll(Time::ZERO) {
            Output::Idle { .. } => return requests,
            Output::Room { request, .. } => requests.push(request),
            _ => {}
        }
    }
}

fn ask(link: &mut Link, client: u8) -> Bytes {
    let state_vector = Bytes::from(vec![1, client, 1]);
    let frame = Message::SyncStep1(state_vector.clone()).to_frame();
    link.handle(Input::Frame(frame.into()), Time::ZERO);
    state_vector
}

fn hear(link: &mut Link, message: RoomMessage) {
    let message = Shared::new(message);
    link.handle(Input::Room { channel: Channel(1), message }, Time::ZERO);
}

#[test]
fn an_outside_client_that_asks_and_does_not_read_gets_one_document_at_a_time() {
    let name = RoomName::parse("notes").unwrap();
    let mut link = Link::y_websocket(name, SessionKey([1; 16]), Limits::default(), Time::ZERO);
    ask(&mut link, 1);
    assert!(matches!(requests(&mut link)[..], [RoomRequest::Join { .. }]));
    for _ in 0..10_000 {
        ask(&mut link, 2);
    }
    let last = ask(&mut link, 3);
    assert_eq!(requests(&mut link), []);
    let joined = Joined {
        lineage: Lineage([1; 16]),
        epoch: Epoch(1),
        sequence: Sequence(0),
        sync_bytes: 0,
        state_vector: Bytes::from_static(&[0]),
        role: Role::Editor,
    };
    let updates = vec![Bytes::from_static(&[0, 0]); 2];
    hear(&mut link, RoomMessage::Joined { joined, updates: updates.clone() });
    // The next question is asked when the first document is written, and the last one counts.
    let mut answers = 0;
    loop {
        assert_eq!(requests(&mut link), []);
        assert!(link.next_piece().is_some());
        assert_eq!(requests(&mut link), []);
        assert!(link.next_piece().is_some() && link.next_piece().is_none());
        answers += 1;
        assert!(answers < 2_000, "each question is answered, however many there are");
        let asked = requests(&mut link);
        let [RoomRequest::Query { state_vector }] = &asked[..] else { panic!("{asked:?}") };
        hear(&mut link, RoomMessage::Difference { updates: updates.clone() });
        if *state_vector == last {
            break;
        }
    }
    assert!(link.next_piece().is_some() && link.next_piece().is_some());
    assert_eq!(requests(&mut link), []);
    let again = ask(&mut link, 1);
    assert_eq!(requests(&mut link), [RoomRequest::Query { state_vector: again }]);
}
