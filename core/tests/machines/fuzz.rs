//! Links and sessions that hear rubbish, damaged messages, and good ones at the wrong time: they
//! never panic and always come to rest.
//!
//! `COWEAVE_FUZZ_CASES` sets how many connections are tried, `COWEAVE_FUZZ_SEED` where they begin.

use bytes::Bytes;
use coweave_core::client::Input;
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{
    Channel, ClientId, EditNumber, Epoch, Lineage, MemberId, RoomName, Sequence, SessionKey,
};
use coweave_core::limits::Limits;
use coweave_core::link::{self, Link, RoomRequest, Shared};
use coweave_core::random::Random;
use coweave_core::room::{self, Room, StoredRoom};
use coweave_core::time::Time;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::v1::{EditKind, Hello, Join, Joined, Message, Role, Welcome};
use coweave_core::wire::y_websocket;

use crate::client::Session;

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var_os(name);
    value.map_or(default, |value| value.to_str().unwrap().parse().unwrap())
}

fn seeds() -> impl Iterator<Item = u64> {
    let first = setting("COWEAVE_FUZZ_SEED", 1);
    first..first + setting("COWEAVE_FUZZ_CASES", 3_000)
}

fn number(random: &mut Random) -> u64 {
    match random.below(6) {
        0 => 0,
        1 => (1 << 53) - 1,
        2 => 1 << random.below(53),
        _ => random.below(20),
    }
}

fn role(random: &mut Random) -> Role {
    if random.chance(50) { Role::Viewer } else { Role::Editor }
}

fn error(random: &mut Random) -> Error {
    let code = Code::ALL[random.below(Code::ALL.len() as u64) as usize];
    let retry_after_ms = random.chance(50).then(|| number(random));
    Error { code, message: "x".to_owned(), retry_after_ms }
}

fn update(random: &mut Random) -> Bytes {
    let mut replica = Replica::new(ClientId::from_u32(random.below(4) as u32));
    for _ in 0..=random.below(2) {
        replica.text_insert("text", 0, "ab").unwrap();
    }
    replica.state().into()
}

fn vector(random: &mut Random) -> Bytes {
    match random.below(4) {
        0 => Bytes::from_static(&[0xff]),
        1 => Bytes::from_static(&[1, 1, 2]),
        _ => Bytes::from_static(&[0]),
    }
}

/// Any message, from whichever side.
fn message(random: &mut Random) -> Message {
    let session = SessionKey([random.below(2) as u8; 16]);
    let lineage = Lineage([random.below(2) as u8; 16]);
    let (epoch, sequence) = (Epoch(number(random)), Sequence(number(random)));
    match random.below(20) {
        0 => Message::Hello(Hello {
            version: number(random),
            capabilities: number(random),
            session,
            token: String::new(),
            agent: String::new(),
        }),
        1 => Message::Welcome(Welcome {
            version: number(random),
            capabilities: number(random),
            frame_bytes_max: number(random),
            update_bytes_max: number(random),
            idle_timeout_ms: number(random),
            agent: String::new(),
            token_life_ms: number(random),
        }),
        2 | 3 => Message::Join(Join {
            room: if random.chance(80) { "room".to_owned() } else { String::new() },
            client: ClientId::from_u32(random.below(4) as u32),
            lineage: random.chance(30).then_some(lineage),
            epoch,
            sequence,
            state_vector: vector(random),
        }),
        4 | 5 => Message::Joined(Joined {
            lineage,
            epoch,
            sequence,
            sync_bytes: number(random),
            state_vector: vector(random),
            role: role(random),
        }),
        6 => Message::Leave,
        7 => {
            let update = update(random);
            let mut piece = vec![update.len() as u8];
            piece.extend_from_slice(&update);
            Message::Sync(piece.into())
        }
        8 => Message::Edit {
            number: EditNumber(number(random)),
            kind: if random.chance(50) { EditKind::Live } else { EditKind::Difference },
            update: update(random),
        },
        9 => Message::Update { sequence, update: update(random) },
        10 => Message::Ack {
            accepted: EditNumber(number(random)),
            durable: EditNumber(number(random)),
            sequence,
        },
        11 => Message::Refused { number: EditNumber(number(random)), error: error(random) },
        12 => Message::SetPresence(random.chance(50).then(|| "1".to_owned())),
        13 => {
            let client = ClientId::from_u32(random.below(4) as u32);
            let entry = AwarenessEntry { client, clock: random.below(9), state: None };
            Message::Presence(awareness::write(&[entry]).into())
        }
        14 => Message::Error(error(random)),
        15 => Message::Ping(number(random)),
        16 => Message::Role(role(random)),
        17 => Message::TokenAccepted { life_ms: number(random) },
        18 => Message::Token(String::new()),
        _ => Message::Durability { degraded: random.chance(50).then(|| error(random)) },
    }
}

fn frame(random: &mut Random, is_outside: bool) -> Bytes {
    let mut frame = Vec::new();
    if is_outside {
        frame = match random.below(4) {
            0 => y_websocket::Message::SyncStep1(vector(random)),
            1 => y_websocket::Message::SyncStep2(update(random)),
            2 => y_websocket::Message::Update(update(random)),
            _ => y_websocket::Message::Awareness(Bytes::from_static(&[1, 1, 1, 1, b'1'])),
        }
        .to_frame();
    } else {
        for _ in 0..=random.below(3) {
            message(random).write(Channel(random.below(4) as u32), &mut frame);
        }
    }
    if random.chance(15) {
        let at = random.below(frame.len() as u64) as usize;
        match random.below(3) {
            0 => frame.truncate(at),
            1 => frame[at] ^= 1 << random.below(8),
            _ => frame.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop),
        }
    }
    frame.into()
}

/// A link and the one room that there is, whatever its name.
struct Relay {
    link: Link,
    room: Room,
    members: Vec<(Channel, MemberId)>,
    last: u64,
}

impl Relay {
    /// Runs until nothing is left to do; false when the connection is over.
    fn run(&mut self, now: Time) -> bool {
        for _ in 0..10_000 {
            match self.link.poll(now) {
                link::Output::Room { channel, request } => self.request(channel, request, now),
                link::Output::Close { .. } => return false,
                link::Output::Idle { .. } if self.link.next_piece().is_some() => {}
                link::Output::Idle { .. } => match self.room.poll(now) {
                    room::Output::Idle { .. } | room::Output::Unload => return true,
                    room::Output::Send { to, message } => self.deliver(to, message, now),
                    _ => {}
                },
                _ => {}
            }
        }
        panic!("the relay never rests");
    }

    fn deliver(&mut self, to: MemberId, message: room::RoomMessage, now: Time) {
        if let Some((channel, _)) = self.members.iter().find(|(_, member)| *member == to) {
            let channel = *channel;
            let message = Shared::new(message);
            self.link.handle(link::Input::Room { channel, message }, now);
        }
    }

    fn request(&mut self, channel: Channel, request: RoomRequest, now: Time) {
        if let RoomRequest::Join { request, .. } = request {
            self.last += 1;
            let member = MemberId(self.last);
            self.members.push((channel, member));
            return self.room.handle(room::Input::Join { member, request }, now);
        }
        let Some(at) = self.members.iter().position(|(of, _)| *of == channel) else { return };
        let member = self.members[at].1;
        let input = match request {
            RoomRequest::Leave => {
                self.members.remove(at);
                room::Input::Leave { member }
            }
            RoomRequest::Edit { number, kind, update } => {
                room::Input::Edit { member, number, kind, update }
            }
            RoomRequest::SetPresence(state) => room::Input::SetPresence { member, state },
            RoomRequest::Awareness(entries) => room::Input::Awareness { member, entries },
            RoomRequest::Query { state_vector } => room::Input::Query { member, state_vector },
            RoomRequest::Seed { update } => room::Input::Seed { member, update },
            RoomRequest::Flush { number } => room::Input::Flush { member, number },
            other => panic!("unknown request {other:?}"),
        };
        self.room.handle(input, now);
    }
}

#[test]
fn a_link_and_its_room_withstand_every_frame() {
    for seed in seeds() {
        let random = &mut Random::from_seed(seed);
        let (limits, mut now) = (Limits::default(), Time::ZERO);
        let stored = StoredRoom::new(Lineage([0; 16]), Epoch(1));
        let room = Room::open(stored, limits.clone(), now).unwrap();
        let is_outside = random.chance(30);
        let link = if is_outside {
            let name = RoomName::parse("room").unwrap();
            Link::y_websocket(name, SessionKey([9; 16]), limits.clone(), now)
        } else {
            Link::v1(limits.clone(), now)
        };
        let mut relay = Relay { link, room, members: Vec::new(), last: 0 };
        if random.chance(80) {
            let hello = Hello {
                version: 1,
                capabilities: 0,
                session: SessionKey([1; 16]),
                token: String::new(),
                agent: String::new(),
            };
            let hello = Message::Hello(hello).to_frame(Channel::CONNECTION);
            relay.link.handle(link::Input::Frame(hello.into()), now);
        }
        for _ in 0..40 {
            relay.link.handle(link::Input::Frame(frame(random, is_outside)), now);
            if !relay.run(now) {
                break;
            }
            // Now and then the clock stands still, leaps, or says what it said before.
            now = Time::from_ms((now.as_ms() + random.below(30_000)).saturating_sub(5_000));
        }
        for (_, member) in relay.members {
            relay.room.handle(room::Input::Leave { member }, now);
        }
        assert_eq!(relay.room.member_count(), 0, "seed {seed}: a member stays");
        let mut reader = Replica::new(ClientId::from_u32(99));
        for update in relay.room.updates() {
            reader.apply(update, &limits).unwrap();
        }
    }
}

#[test]
fn a_session_withstands_every_frame() {
    for seed in seeds() {
        let random = &mut Random::from_seed(seed);
        let mut session = Session::new(2, false);
        let mut wakes = 0;
        for step in 0..40 {
            match random.below(12) {
                0 => session.input(Input::SocketOpened { token: String::new() }),
                1 if random.chance(30) => session.input(Input::SocketClosed { error: None }),
                2 => session.input(Input::Probe),
                3 => {
                    session.write(random.below(2) as usize, "hello");
                    session.input(Input::Tick);
                }
                4 => {
                    let (key, state) = (session.keys[0], random.chance(50).then(|| "1".to_owned()));
                    session.input(Input::SetPresence { key, state });
                }
                5 if step < 10 => session.welcome(&Limits::default()),
                6 => session.joined(random.below(4) as u32),
                7 => {
                    let later = session.now.as_ms() + random.below(30_000);
                    session.now = Time::from_ms(later.saturating_sub(5_000));
                    session.input(Input::Tick);
                }
                _ => session.input(Input::SocketFrame(frame(random, false))),
            }
            // A wake-up in the past would be one without end.
            if session.wake.is_some_and(|at| at <= session.now) {
                session.input(Input::Tick);
                wakes += usize::from(session.wake.is_some_and(|at| at <= session.now));
            }
        }
        assert_eq!(wakes, 0, "seed {seed}: the session wants to be woken in the past");
        for key in session.keys.clone() {
            session.input(Input::Close { key });
        }
        assert_eq!(session.wake, None, "seed {seed}");
    }
}
