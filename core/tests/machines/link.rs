//! A connection whose peer asks for too much.

use std::time::Duration;

use bytes::Bytes;
use coweave_core::ids::{Channel, Epoch, Lineage, RoomName, Sequence, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::link::{Input, Link, Output, RoomRequest, Shared};
use coweave_core::room::RoomMessage;
use coweave_core::time::Time;
use coweave_core::wire::v1::{self, Hello, Joined, Role, VERSION, read_frame};
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

#[test]
fn a_peer_behind_a_slow_line_is_shown_that_its_upload_arrives() {
    let mut link = Link::v1(Limits::default(), Time::ZERO);
    let hello = Hello {
        version: VERSION,
        capabilities: 0,
        session: SessionKey([1; 16]),
        token: String::new(),
        agent: "test".to_owned(),
    };
    let frame = v1::Message::Hello(hello).to_frame(Channel::CONNECTION);
    link.handle(Input::Frame(frame.into()), Time::ZERO);
    let mut now = Time::ZERO;
    let (mut signs, mut last, mut longest) = (0, Time::ZERO, Duration::ZERO);
    while now < Time::from_ms(60_000) {
        now = now + Duration::from_millis(300);
        link.handle(Input::Partial, now);
        while let Output::Frame(frame) = link.poll(now) {
            let messages = read_frame(&frame).unwrap();
            signs += messages.iter().filter(|(_, said)| *said == v1::Message::Pong(0)).count();
            longest = longest.max(now.since(last));
            last = now;
        }
    }
    let longest = longest.max(now.since(last));
    assert!(longest < Duration::from_millis(2_500), "silent for {longest:?}");
    assert!(signs <= 30, "{signs} signs of life in a minute");
}
