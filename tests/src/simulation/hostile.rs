//! A member that means harm: it knows the protocols, says everything at the wrong time, and damages
//! its frames. Whatever it does, the others must not notice more than its text.
//!
//! One that forges damages its edits, too, and so says different things under the same id at
//! different times.

use bytes::Bytes;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{
    Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, SessionKey,
};
use coweave_core::random::Random;
use coweave_core::time::Time;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::v1::{EditKind, Hello, Join, Joined, Message, Role, Welcome};
use coweave_core::wire::y_websocket;

use super::actor::{TEXT, client_id};
use super::network::{Arrival, Network, Socket, Way};

/// The member and its connection.
#[derive(Debug)]
pub struct Hostile {
    rooms: Vec<RoomName>,
    replica: Replica,
    pub socket: Option<Socket>,
    /// The room in the path, when the connection is one of y-websocket.
    pub outside_room: Option<RoomName>,
    is_open: bool,
    forges: bool,
    may_edit: bool,
    /// Somebody else's session and client id, to pass as.
    victim: ClientId,
}

impl Hostile {
    pub fn new(rooms: Vec<RoomName>, forges: bool, random: &mut Random) -> Self {
        let replica = Replica::new(client_id(random));
        let victim = replica.client();
        let (socket, outside_room, is_open) = (None, None, false);
        Self { rooms, replica, socket, outside_room, is_open, forges, may_edit: true, victim }
    }

    /// Learns of a client id to pass as.
    pub fn look_at(&mut self, victim: ClientId) {
        self.victim = victim;
    }

    pub fn receive(&mut self, arrival: &Arrival) {
        match arrival {
            Arrival::Opened => self.is_open = true,
            Arrival::Closed => self.lose(),
            Arrival::Frame(_) => {}
        }
    }

    pub fn lose(&mut self) {
        self.socket = None;
        self.is_open = false;
    }

    /// Connects, or says something.
    pub fn act(&mut self, network: &mut Network, random: &mut Random, now: Time) {
        let Some(socket) = self.socket else {
            let room = random.below(self.rooms.len() as u64);
            let room = self.rooms[usize::try_from(room).unwrap()].clone();
            self.outside_room = random.chance(40).then_some(room);
            self.socket = Some(network.open(random, now));
            return;
        };
        if !self.is_open {
            return;
        }
        let mut frame = Vec::new();
        let is_damaged = random.chance(40);
        self.may_edit = self.forges || !is_damaged;
        for _ in 0..=random.below(4) {
            frame.extend(self.message(random));
            if self.outside_room.is_some() {
                break;
            }
        }
        if is_damaged {
            damage(&mut frame, random);
        }
        network.send(socket, Way::ToRelay, Arrival::Frame(frame.into()), random, now);
        if random.chance(3) {
            network.send(socket, Way::ToRelay, Arrival::Closed, random, now);
            self.lose();
        }
    }

    fn update(&mut self, random: &mut Random) -> Bytes {
        if !self.may_edit {
            return Bytes::from_static(&[0xff; 9]);
        }
        let length = u64::from(self.replica.text_length(TEXT));
        let at = u32::try_from(random.below(length + 1)).unwrap();
        self.replica.text_insert(TEXT, at, if self.forges { "xyz" } else { "x🙂" }).ok();
        match random.below(3) {
            0 => self.replica.state().into(),
            _ => self.replica.take_edits().unwrap_or_default(),
        }
    }

    fn entries(&self, random: &mut Random) -> Bytes {
        let entries: Vec<_> = (0..random.below(4))
            .map(|_| AwarenessEntry {
                client: if random.chance(50) { self.victim } else { client_id(random) },
                clock: random.below(1 << 32),
                state: random.chance(70).then(|| "{\"evil\":1}".to_owned()),
            })
            .collect();
        awareness::write(&entries).into()
    }

    fn message(&mut self, random: &mut Random) -> Vec<u8> {
        if self.outside_room.is_some() {
            let message = match random.below(6) {
                0 | 1 => y_websocket::Message::Update(self.update(random)),
                2 => y_websocket::Message::SyncStep2(self.update(random)),
                3 => y_websocket::Message::SyncStep1(self.replica.known().encode().into()),
                _ => y_websocket::Message::Awareness(self.entries(random)),
            };
            return message.to_frame();
        }
        let channel = Channel(u32::try_from(random.below(4)).unwrap());
        let number = |random: &mut Random| match random.below(4) {
            0 => 0,
            1 => (1 << 53) - 1 - random.below(2),
            _ => random.below(10),
        };
        let message = match random.below(18) {
            16 => Message::Seed(self.update(random)),
            17 => Message::Flush(number(random)),
            0..3 => {
                let hello = Hello {
                    version: random.below(3),
                    capabilities: number(random),
                    session: SessionKey([7; 16]),
                    token: String::new(),
                    agent: "evil".to_owned(),
                };
                return Message::Hello(hello).to_frame(Channel::CONNECTION);
            }
            3..6 => {
                let room = random.below(self.rooms.len() as u64);
                let is_own = random.chance(70);
                Message::Join(Join {
                    room: self.rooms[usize::try_from(room).unwrap()].as_str().to_owned(),
                    client: if is_own { self.replica.client() } else { self.victim },
                    lineage: random.chance(10).then_some(Lineage([3; 16])),
                    epoch: Epoch(number(random)),
                    sequence: Sequence(number(random)),
                    state_vector: self.replica.known().encode().into(),
                })
            }
            6..9 => Message::Edit {
                number: EditNumber(number(random)),
                kind: if random.chance(50) { EditKind::Live } else { EditKind::Difference },
                update: self.update(random),
            },
            9 => Message::SetPresence(random.chance(80).then(|| "{\"evil\":2}".to_owned())),
            10 => Message::Leave,
            11 => Message::Ack {
                accepted: EditNumber(number(random)),
                durable: EditNumber(number(random)),
                sequence: Sequence(number(random)),
            },
            12 => Message::Joined(Joined {
                lineage: Lineage([3; 16]),
                epoch: Epoch(1),
                sequence: Sequence(number(random)),
                sync_bytes: number(random),
                state_vector: Bytes::from_static(&[0]),
                role: Role::Viewer,
            }),
            13 => {
                Message::Update { sequence: Sequence(number(random)), update: self.update(random) }
            }
            14 => Message::Welcome(Welcome {
                version: 1,
                capabilities: 0,
                frame_bytes_max: 0,
                update_bytes_max: 0,
                idle_timeout_ms: 0,
                agent: String::new(),
                token_life_ms: 0,
            }),
            15 => Message::Token("evil".to_owned()),
            _ => Message::Ping(number(random)),
        };
        message.to_frame(channel)
    }
}

/// Flips, cuts, doubles and stretches bytes.
fn damage(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(2) {
        let at = usize::try_from(random.below(frame.len() as u64 + 1)).unwrap();
        match random.below(6) {
            0 => frame.truncate(at),
            1 => frame.insert(at, u8::try_from(random.below(256)).unwrap()),
            2 => frame.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop),
            _ if at < frame.len() => frame[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
}
