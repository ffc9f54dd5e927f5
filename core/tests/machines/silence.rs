//! Sockets that say nothing, and time that is lost: how a session notices, and how it goes on.

use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs::{self, Tabs};
use coweave_core::client::{Input, RoomState};
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, EditNumber, Sequence, TabId};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::time::Time;
use coweave_core::wire::v1::Message;

use crate::client::Session;
use crate::reconnection::ms;

const HOUR: Duration = Duration::from_hours(1);

// ---- dead sockets -----------------------------------------------------------------------------------

/// How long a session takes to give up a socket that swallows everything, after this was done.
fn notices_after(mut session: Session, act: impl FnOnce(&mut Session)) -> Duration {
    session.advance(ms(3_000));
    let start = session.now;
    act(&mut session);
    while !session.is_offline() {
        session.now = session.wake.expect("it never notices");
        session.input(Input::Tick);
    }
    session.now.since(start)
}

#[test]
fn a_dead_socket_is_noticed_within_five_seconds_of_an_edit_however_large() {
    assert_eq!(notices_after(Session::live(1), Session::type_something), ms(5_000));
    let took = notices_after(Session::live(1), |session| {
        session.write(0, &"x".repeat(8_000_000));
        session.input(Input::Tick);
    });
    assert_eq!(took, ms(5_000));
    let took = notices_after(Session::live(1), |session| {
        for _ in 0..40 {
            session.type_something();
            session.advance(ms(100));
        }
    });
    assert_eq!(took, ms(5_000));
}

#[test]
fn a_dead_socket_is_noticed_within_five_seconds_of_whatever_is_not_answered_by_itself() {
    let took = notices_after(Session::live(1), |session| {
        let (key, state) = (session.keys[0], Some("1".to_owned()));
        session.input(Input::SetPresence { key, state });
    });
    assert!(took <= ms(5_000), "{took:?} after a presence state");
    let took = notices_after(Session::live(1), |session| {
        let key = session.keys[0];
        session.input(Input::Flush { key, number: 1 });
    });
    assert!(took <= ms(5_000), "{took:?} after a flush");
    // It dies right behind a sign of life.
    let mut session = Session::live(1);
    session.hear(Channel::CONNECTION, &Message::Pong(1));
    let took = notices_after(session, |session| {
        session.hear(Channel::CONNECTION, &Message::Pong(1));
        let (key, state) = (session.keys[0], Some("1".to_owned()));
        session.input(Input::SetPresence { key, state });
    });
    assert!(took <= ms(5_000), "{took:?} after a presence state");
}

#[test]
fn a_socket_that_dies_between_two_acknowledgements_is_noticed_within_five_seconds() {
    let mut session = Session::live(1);
    for _ in 0..10 {
        session.write(0, &"x".repeat(1_000_000));
        session.input(Input::Tick);
    }
    let (accepted, durable, sequence) = (EditNumber(3), EditNumber(0), Sequence(3));
    let took = notices_after(session, |session| {
        session.hear(Channel(1), &Message::Ack { accepted, durable, sequence });
    });
    assert!(took <= ms(5_000), "{took:?}");
}

#[test]
fn an_upload_over_a_slow_line_is_not_taken_for_a_dead_one() {
    let mut session = Session::live(1);
    session.write(0, &"x".repeat(8_000_000));
    session.input(Input::Tick);
    // The relay shows that it arrives, for ten minutes.
    for _ in 0..300 {
        session.advance(ms(2_000));
        session.hear(Channel::CONNECTION, &Message::Pong(0));
    }
    assert_eq!((session.connects, session.state(0)), (1, &RoomState::Live));
}

#[test]
fn somebody_who_types_all_day_is_not_asked_more_often_than_needed() {
    let mut session = Session::live(1);
    session.said();
    for number in 1..=1_000 {
        session.type_something();
        session.advance(ms(100));
        let (accepted, sequence) = (EditNumber(number), Sequence(number));
        session.hear(Channel(1), &Message::Ack { accepted, durable: EditNumber(0), sequence });
        session.advance(ms(100));
    }
    assert_eq!(session.pings(), 0);
}

#[test]
fn an_idle_socket_is_asked_every_twenty_seconds_and_given_up_after_five_more() {
    let mut session = Session::live(1);
    for _ in 0..10 {
        session.advance(ms(19_999));
        assert_eq!(session.pings(), 0);
        session.advance(ms(1));
        assert_eq!(session.pings(), 1);
        session.advance(ms(4_999));
        session.hear(Channel::CONNECTION, &Message::Pong(1));
    }
    assert_eq!(session.state(0), &RoomState::Live);
    session.advance(ms(25_000));
    assert!(session.is_offline());
}

#[test]
fn a_socket_that_does_not_open_is_given_up_after_ten_seconds_and_a_mute_one_after_five() {
    let mut session = Session::new(1, false);
    session.advance(ms(9_999));
    assert_eq!(session.state(0), &RoomState::Connecting);
    session.advance(ms(1));
    assert!(session.is_offline());
    session.until_it_connects();
    session.input(Input::SocketOpened { token: String::new() });
    // What nobody understands is no greeting.
    for _ in 0..4 {
        session.advance(ms(1_000));
        session.input(Input::SocketFrame(Bytes::from_static(&[99, 0, 1, 7])));
    }
    session.advance(ms(999));
    assert_eq!(session.state(0), &RoomState::Connecting);
    session.advance(ms(1));
    assert!(session.is_offline());
}

// ---- time that is lost ------------------------------------------------------------------------------

#[test]
fn after_a_night_of_sleep_every_session_is_back_within_seconds() {
    let states: [fn(&mut Session); 5] = [
        |_| {},
        |session| session.input(Input::SocketOpened { token: String::new() }),
        Session::become_live,
        |session| {
            session.become_live();
            session.type_something();
        },
        |session| {
            session.become_live();
            session.be_sent_away(Error::new(Code::RelayDraining, "bye").with_retry_after_ms(9_000));
        },
    ];
    // The clock stands still while the machine sleeps, or it does not.
    for slept in [Duration::ZERO, HOUR * 8] {
        for enter in states {
            let mut session = Session::new(1, false);
            enter(&mut session);
            session.advance(ms(10));
            session.now = session.now + slept;
            let (woke, connects) = (session.now, session.connects);
            session.input(Input::Probe);
            while session.connects == connects {
                session.now = session.wake.expect("it never tries again");
                session.input(Input::Tick);
            }
            let took = session.now.since(woke);
            assert!(took <= ms(11_000), "asleep for {slept:?}: {took:?}");
            session.become_live();
        }
    }
}

#[test]
fn a_frozen_page_may_read_first_what_arrived_meanwhile_and_only_once() {
    let mut session = Session::live(1);
    session.type_something();
    session.now = session.now + HOUR;
    session.input(Input::Probe);
    assert_eq!(session.state(0), &RoomState::Live);
    session.hear(Channel::CONNECTION, &Message::Pong(1));
    session.advance(ms(1_000));
    // From here on nothing arrives, and the page is frozen again and again.
    session.type_something();
    let mut freezes = 0;
    while !session.is_offline() {
        session.now = session.now + HOUR;
        session.input(Input::Probe);
        freezes += 1;
        assert!(freezes <= 2, "it never gives up");
    }
    assert_eq!(freezes, 2);
}

#[test]
fn time_that_jumps_back_and_forth_brings_no_session_down_or_to_a_standstill() {
    for seed in 0..200 {
        let mut session = Session::with_seed(2, false, seed);
        let mut random = Random::from_seed(seed);
        let mut latest = session.now;
        for _ in 0..200 {
            latest = latest.max(session.now);
            session.now = Time::from_ms(random.below(2 * HOUR.as_millis() as u64));
            match random.below(8) {
                0 => session.close_socket(),
                1 => session.input(Input::SocketOpened { token: String::new() }),
                2 => session.welcome(&Limits::default()),
                3 => session.type_something(),
                4 => session.input(Input::Probe),
                5 => session.joined(random.below(10) as u32),
                6 => session.be_sent_away(Error::new(Code::RelayFull, "full")),
                _ => session.input(Input::Tick),
            }
        }
        // The shell's clock never goes back; the machine goes on where it was furthest.
        session.now = latest.max(session.now);
        session.input(Input::Probe);
        session.close_socket();
        let took = session.until_it_connects();
        assert!(took <= ms(15_000), "{took:?}");
        session.become_live();
    }
}

#[test]
fn a_sign_of_life_reaches_a_tab_through_the_line_that_it_shares() {
    let mut tabs = Tabs::alone(TabId(1));
    let mut heard = Vec::new();
    let sign: Bytes = Message::Pong(0).to_frame(Channel::CONNECTION).into();
    let steps = [
        tabs::Input::Dial { token: String::new() },
        tabs::Input::SocketOpened,
        tabs::Input::SocketFrame(sign.clone()),
    ];
    for step in steps {
        tabs.handle(step, Time::ZERO);
        loop {
            match tabs.poll(Time::ZERO) {
                tabs::Output::Idle { .. } => break,
                tabs::Output::Client(input) => heard.push(input),
                _ => {}
            }
        }
    }
    assert_eq!(heard.last(), Some(&Input::SocketFrame(sign)));
}
