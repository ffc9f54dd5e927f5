//! A session whose token expires, is denied, or is taken back.

use std::time::Duration;

use coweave_core::client::{Input, Output, RoomState};
use coweave_core::error::{Code, Error};
use coweave_core::ids::Channel;
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::v1::{Message, read_frame};

use crate::client::Session;

/// A session whose token counts for so long.
fn live(life_ms: u64) -> Session {
    let mut session = Session::new(1, false);
    session.welcome_for(&Limits::default(), life_ms);
    session.joined(1);
    session.frames.clear();
    session
}

/// Lets time pass, with a relay that answers; until when the session asks for a token.
fn asks_at(session: &mut Session, by_ms: u64) -> Option<u64> {
    while session.now < Time::from_ms(by_ms) {
        session.now = session.now + Duration::from_millis(100);
        session.hear(Channel::CONNECTION, &Message::Pong(0));
        let count = session.outputs.len();
        session.outputs.retain(|output| *output != Output::RefreshToken);
        if session.outputs.len() < count {
            return Some(session.now.as_ms());
        }
    }
    None
}

fn tokens(session: &mut Session) -> Vec<String> {
    let frames = std::mem::take(&mut session.frames);
    let messages = frames.iter().flat_map(|frame| read_frame(frame).unwrap());
    messages
        .filter_map(|(_, message)| match message {
            Message::Token(token) => Some(token),
            _ => None,
        })
        .collect()
}

fn end(session: &mut Session, code: Code) {
    session.hear(Channel::CONNECTION, &Message::Error(Error::new(code, "your token")));
}

#[test]
fn a_new_token_is_asked_for_before_the_old_one_expires() {
    for (life_ms, at_ms) in [(3_600_000, 2_880_000), (60_000, 48_000), (20_000, 10_000)] {
        let mut session = live(life_ms);
        assert_eq!(asks_at(&mut session, life_ms), Some(at_ms));
        session.input(Input::TokenRefreshed { token: Ok("newer".to_owned()) });
        assert_eq!(tokens(&mut session), ["newer"]);
        // The relay says how long this one counts.
        session.hear(Channel::CONNECTION, &Message::TokenAccepted { life_ms });
        assert_eq!(asks_at(&mut session, 2 * life_ms), Some(2 * at_ms));
        assert_eq!((session.state(0), session.connects), (&RoomState::Live, 1));
    }
}

#[test]
fn a_session_wakes_up_for_its_token() {
    let mut session = live(60_000);
    session.now = Time::from_ms(47_000);
    session.hear(Channel::CONNECTION, &Message::Pong(0));
    assert_eq!(session.wake, Some(Time::from_ms(48_000)));
}

#[test]
fn a_token_that_never_expires_is_never_asked_for_again() {
    assert_eq!(asks_at(&mut live(0), 3_600_000), None);
}

#[test]
fn tokens_of_the_shortest_lives_are_not_asked_for_in_a_tight_loop() {
    let mut session = live(1);
    let mut count = 0;
    while asks_at(&mut session, 60_000).is_some() {
        count += 1;
        session.input(Input::TokenRefreshed { token: Ok("newer".to_owned()) });
        session.hear(Channel::CONNECTION, &Message::TokenAccepted { life_ms: 1 });
    }
    assert!((50..=60).contains(&count), "{count} times in a minute");
}

#[test]
fn an_app_without_a_new_token_is_asked_again_and_less_and_less_often() {
    let mut session = live(100_000);
    let mut count = 0;
    while asks_at(&mut session, 300_000).is_some() {
        count += 1;
        let error = Error::new(Code::TokenFailed, "the callback failed");
        session.input(Input::TokenRefreshed { token: Err(error) });
    }
    assert!((15..60).contains(&count), "{count} times");
    assert_eq!((session.state(0), session.connects), (&RoomState::Live, 1));
}

#[test]
fn a_token_that_comes_too_late_is_not_sent_over_another_connection() {
    let mut session = live(20_000);
    assert!(asks_at(&mut session, 20_000).is_some());
    session.reconnect();
    session.input(Input::TokenRefreshed { token: Ok("late".to_owned()) });
    assert_eq!(tokens(&mut session), Vec::<String>::new());
}

#[test]
fn a_session_comes_back_at_once_with_a_new_token_when_its_own_expires() {
    let mut session = live(0);
    session.now = Time::from_ms(100_000);
    end(&mut session, Code::TokenExpired);
    let at = session.wake.unwrap();
    assert!(at.since(session.now) < Duration::from_millis(500));
    session.now = at;
    session.input(Input::Tick);
    assert_eq!(session.connects, 2);
}

#[test]
fn tokens_that_expire_as_soon_as_they_are_there_make_no_tight_loop() {
    let mut session = live(0);
    let mut channel = 1;
    while session.now < Time::from_ms(120_000) {
        end(&mut session, Code::TokenExpired);
        session.now = session.wake.unwrap();
        session.input(Input::Tick);
        session.welcome(&Limits::default());
        channel += 1;
        session.joined(channel);
        assert_eq!(session.state(0), &RoomState::Live);
    }
    assert!(session.connects < 60, "{} connections in two minutes", session.connects);
}

#[test]
fn a_token_that_is_denied_or_taken_back_ends_the_session() {
    for code in [Code::TokenDenied, Code::TokenRevoked] {
        let mut session = live(0);
        session.write(0, "typed before");
        session.input(Input::Tick);
        end(&mut session, code);
        let RoomState::Stopped { error } = session.state(0) else { panic!() };
        assert_eq!(error.code, code);
        assert_eq!(session.wake, None);
        // What was typed stays where it is.
        let room = session.client.room(session.keys[0]).unwrap();
        assert_eq!(
            (room.replica().text_string("text").as_str(), room.saved().pending),
            ("typed before", 1)
        );
    }
}
