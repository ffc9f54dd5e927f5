//! Every rule of coming back: when a session tries again, what the relay asks for, and what hints do.

use std::time::Duration;

use coweave_core::client::{Input, RoomState};
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, ClientId, RoomName};
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::v1::{Message, Welcome, read_frame};

use crate::client::Session;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Session {
    /// Lets time pass; every timer is in time.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            assert!(wake > self.now, "a timer that is due again at once");
            self.now = wake;
            self.input(Input::Tick);
        }
        self.now = end;
    }

    /// Lets time pass until another socket is asked for; how long it took.
    pub(crate) fn until_it_connects(&mut self) -> Duration {
        let start = self.now;
        while self.is_offline() {
            self.now = self.wake.expect("it never tries again");
            self.input(Input::Tick);
        }
        self.now.since(start)
    }

    pub(crate) fn close_socket(&mut self) {
        self.input(Input::SocketClosed { error: None });
    }

    /// The relay ends the connection for a reason.
    pub(crate) fn be_sent_away(&mut self, error: Error) {
        self.hear(Channel::CONNECTION, &Message::Error(error));
    }

    /// A session in step with the relay.
    pub(crate) fn live(rooms: usize) -> Self {
        let mut this = Self::new(rooms, false);
        this.become_live();
        this
    }

    pub(crate) fn become_live(&mut self) {
        self.frames.clear();
        self.welcome(&Limits::default());
        self.advance(ms(1));
        let joined: Vec<_> = self
            .said()
            .into_iter()
            .filter(|(_, message)| matches!(message, Message::Join(_)))
            .map(|(channel, _)| channel)
            .collect();
        joined.into_iter().for_each(|channel| self.joined(channel.0));
        self.frames.clear();
        assert_eq!(self.state(0), &RoomState::Live);
    }

    /// What it has said since the last call.
    pub(crate) fn said(&mut self) -> Vec<(Channel, Message)> {
        let frames = std::mem::take(&mut self.frames);
        frames.iter().flat_map(|frame| read_frame(frame).unwrap()).collect()
    }

    pub(crate) fn pings(&mut self) -> usize {
        let said = self.said();
        said.iter().filter(|(_, message)| matches!(message, Message::Ping(_))).count()
    }

    pub(crate) fn type_something(&mut self) {
        self.write(0, "word ");
        self.input(Input::Tick);
    }

    pub(crate) fn is_offline(&self) -> bool {
        matches!(self.state(0), RoomState::Offline { .. })
    }
}

// ---- when to try again --------------------------------------------------------------------------

#[test]
fn the_first_retry_comes_at_once_and_the_others_after_random_times_up_to_a_growing_ceiling() {
    // A relay that cannot be reached, and one that ends what it takes.
    let attempts: [fn(&mut Session); 2] =
        [|_| {}, |session| session.input(Input::SocketOpened { token: String::new() })];
    let ceilings = [
        [250, 375, 562, 843, 1_265, 1_898, 2_847, 4_271, 5_000, 5_000, 5_000, 5_000],
        [250, 375, 562, 843, 1_265, 1_898, 2_847, 4_271, 6_407, 9_610, 14_416, 15_000],
    ];
    for (attempt, ceilings) in attempts.into_iter().zip(ceilings) {
        waits_below(attempt, &ceilings);
    }
}

fn waits_below(attempt: fn(&mut Session), ceilings: &[u64]) {
    let mut waits = vec![Vec::new(); ceilings.len()];
    for seed in 0..400 {
        let mut session = Session::with_seed(1, false, seed);
        for waits in &mut waits {
            attempt(&mut session);
            session.close_socket();
            waits.push(session.until_it_connects());
        }
    }
    for (waits, ceiling) in waits.iter().zip(ceilings.iter().copied()) {
        let mean = waits.iter().sum::<Duration>() / 400;
        let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
        // All of the range, evenly: clients that lost the relay together do not come back together.
        assert!(least < ms(ceiling / 20) && most <= ms(ceiling), "{least:?} to {most:?}");
        assert!(most > ms(ceiling * 19 / 20), "no more than {most:?} of {ceiling}");
        assert!(mean > ms(ceiling * 2 / 5) && mean < ms(ceiling * 3 / 5), "{mean:?} of {ceiling}");
    }
}

#[test]
fn the_app_is_told_when_the_next_attempt_is_made() {
    let mut session = Session::live(1);
    session.close_socket();
    let RoomState::Offline { retry_at } = *session.state(0) else { panic!("not offline") };
    session.until_it_connects();
    assert_eq!(retry_at, Some(session.now));
    assert_eq!(session.state(0), &RoomState::Connecting);
}

/// The longest of the next waits, each after an attempt that goes as far as `attempt` lets it.
fn longest_wait(seed: u64, attempt: impl Fn(&mut Session)) -> Duration {
    let mut session = Session::with_seed(1, false, seed);
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        attempt(&mut session);
        session.close_socket();
        longest = longest.max(session.until_it_connects());
    }
    longest
}

#[test]
fn only_a_sync_that_lasts_a_second_counts_as_a_success() {
    for seed in 0..10 {
        let no_success: [fn(&mut Session); 3] = [
            |session| session.input(Input::SocketOpened { token: String::new() }),
            |session| session.welcome(&Limits::default()),
            Session::become_live,
        ];
        for attempt in no_success {
            assert!(longest_wait(seed, attempt) > ms(5_000));
        }
        let success = longest_wait(seed, |session| {
            session.become_live();
            session.advance(ms(1_000));
        });
        assert!(success <= ms(250), "{success:?} after a success");
    }
}

#[test]
fn a_relay_that_ends_every_connection_is_asked_a_few_times_a_minute() {
    let ends: [fn(&mut Session); 4] = [
        |session| session.input(Input::SocketOpened { token: String::new() }),
        |session| session.welcome(&Limits::default()),
        Session::become_live,
        |session| {
            session.input(Input::SocketOpened { token: String::new() });
            session.be_sent_away(Error::new(Code::RelayFull, "full"));
        },
    ];
    for end in ends {
        let mut session = Session::new(3, false);
        while session.now < Time::ZERO + Duration::from_mins(10) {
            end(&mut session);
            session.close_socket();
            session.until_it_connects();
        }
        assert!(session.connects < 120, "{} attempts in ten minutes", session.connects);
        assert!(session.connects > 40, "only {} attempts in ten minutes", session.connects);
    }
}

#[test]
fn rooms_that_come_and_go_do_not_lead_to_more_attempts_than_the_relay_allows() {
    let mut session = Session::live(1);
    session.be_sent_away(Error::new(Code::RelayDraining, "bye").with_retry_after_ms(30_000));
    let (key, connects) = (session.keys[0], session.connects);
    session.input(Input::Close { key });
    assert_eq!(session.wake, None);
    session.advance(ms(10_000));
    let key = session.client.next_key();
    let name = RoomName::parse("again").unwrap();
    session.keys[0] = key;
    session.input(Input::Open { key, name, client: ClientId::from_u32(9) });
    assert_eq!(session.connects, connects);
    assert!(session.is_offline());
    assert_eq!(session.until_it_connects(), ms(20_000));
}

// ---- what the relay asks for ----------------------------------------------------------------------

#[test]
fn a_relay_that_names_a_time_is_left_alone_until_then_by_hints_too() {
    for seed in 0..50 {
        let mut session = Session::with_seed(1, false, seed);
        session.become_live();
        session.be_sent_away(Error::new(Code::RelayFull, "full").with_retry_after_ms(30_000));
        let connects = session.connects;
        for _ in 0..29 {
            session.advance(ms(1_000));
            session.input(Input::Probe);
        }
        session.advance(ms(999));
        session.input(Input::Probe);
        assert_eq!(session.connects, connects);
        session.advance(ms(1));
        session.input(Input::Probe);
        assert_eq!(session.connects, connects + 1, "a hint after that time counts again");
    }
}

#[test]
fn clients_that_are_sent_away_together_do_not_come_back_at_the_same_moment() {
    let mut waits: Vec<_> = (0..100)
        .map(|seed| {
            let mut session = Session::with_seed(1, false, seed);
            session.input(Input::SocketOpened { token: String::new() });
            session.be_sent_away(Error::new(Code::RelayFull, "full").with_retry_after_ms(2_000));
            session.until_it_connects()
        })
        .collect();
    waits.sort_unstable();
    assert!(waits[0] >= ms(2_000) && waits[99] - waits[0] > ms(400), "{waits:?}");
}

#[test]
fn a_waiting_time_beyond_all_reason_is_cut() {
    let mut session = Session::live(1);
    session.be_sent_away(Error::new(Code::RelayFull, "full").with_retry_after_ms(1 << 50));
    let wait = session.until_it_connects();
    assert!(wait >= Duration::from_mins(10) && wait < Duration::from_mins(13), "{wait:?}");
}

#[test]
fn every_terminal_code_stops_the_session_with_its_reason_and_no_other_code_does() {
    for code in Code::ALL {
        let mut session = Session::live(2);
        let error = Error::new(*code, "so it is");
        session.be_sent_away(error.clone());
        if code.is_retryable() {
            assert!(session.is_offline(), "{code:?}");
            session.until_it_connects();
            continue;
        }
        let (connects, stopped) = (session.connects, RoomState::Stopped { error });
        for _ in 0..100 {
            session.advance(ms(10_000));
            session.input(Input::Probe);
            session.type_something();
        }
        assert_eq!((session.connects, session.wake), (connects, None), "{code:?}");
        assert_eq!((session.state(0), session.state(1)), (&stopped, &stopped));
    }
}

#[test]
fn an_error_of_a_newer_relay_is_final_unless_it_names_a_time() {
    let mut session = Session::live(1);
    let error = Error::new(Code::Unknown, "under maintenance").with_retry_after_ms(5_000);
    session.be_sent_away(error.clone());
    assert!(session.until_it_connects() >= ms(5_000));
    session.become_live();
    session.hear(Channel(2), &Message::Error(error));
    assert!(session.is_offline(), "the same for one room");
    session.be_sent_away(Error::new(Code::Unknown, "you are a teapot"));
    assert!(matches!(session.state(0), RoomState::Stopped { .. }));
}

#[test]
fn a_relay_that_insists_on_a_version_which_this_client_does_not_speak_is_told_as_the_reason() {
    for version in [0, 2, 1 << 50] {
        let mut session = Session::new(1, false);
        session.input(Input::SocketOpened { token: String::new() });
        let welcome = Welcome {
            version,
            capabilities: 1 << 50,
            frame_bytes_max: 1 << 20,
            update_bytes_max: 1 << 20,
            idle_timeout_ms: 60_000,
            agent: "of another time".to_owned(),
            token_life_ms: 0,
        };
        let disconnects = session.disconnects;
        session.hear(Channel::CONNECTION, &Message::Welcome(welcome));
        let RoomState::Stopped { error } = session.state(0) else { panic!("not stopped") };
        assert_eq!(error.code, Code::ProtocolUnsupported);
        assert_eq!(session.disconnects, disconnects + 1);
    }
}

// ---- hints ------------------------------------------------------------------------------------------

#[test]
fn a_hint_lets_a_waiting_session_connect_now() {
    let mut session = Session::new(1, false);
    for _ in 0..8 {
        session.close_socket();
        session.until_it_connects();
    }
    session.close_socket();
    let connects = session.connects;
    session.input(Input::Probe);
    assert_eq!(session.connects, connects + 1);
}

#[test]
fn a_hint_starts_an_attempt_anew_that_is_two_seconds_old_and_no_younger_one() {
    let mut session = Session::new(1, false);
    session.advance(ms(1_999));
    session.input(Input::Probe);
    assert_eq!((session.connects, session.disconnects), (1, 0));
    session.advance(ms(1));
    session.input(Input::Probe);
    assert_eq!((session.connects, session.disconnects), (2, 1));
    session.input(Input::Probe);
    assert_eq!(session.connects, 2, "the new one is young");
}

#[test]
fn a_hint_asks_an_idle_socket_for_a_sign_of_life_and_a_dead_one_is_replaced_within_five_seconds() {
    let mut session = Session::live(1);
    session.advance(ms(7_000));
    session.input(Input::Probe);
    session.input(Input::Probe);
    assert_eq!(session.pings(), 1, "one question at a time");
    session.advance(ms(4_999));
    assert_eq!(session.state(0), &RoomState::Live);
    session.advance(ms(1));
    assert!(session.is_offline());
    session.until_it_connects();
    session.become_live();
}

#[test]
fn a_hint_costs_a_living_socket_one_ping_and_nothing_else() {
    let mut session = Session::live(1);
    for _ in 0..100 {
        session.advance(ms(1_000));
        session.input(Input::Probe);
        assert_eq!(session.pings(), 1);
        session.hear(Channel::CONNECTION, &Message::Pong(1));
    }
    assert_eq!((session.connects, session.state(0)), (1, &RoomState::Live));
}
