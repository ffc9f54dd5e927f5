//! The simulated relay: links and rooms as they are, over a disk that flushes late and forgets
//! what it had not flushed when the process dies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, Epoch, Lineage, MemberId, RoomName, Sequence, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::link::{self, Link, RoomRequest};
use coweave_core::random::Random;
use coweave_core::room::{self, Room, RoomMessage, StoredRoom};
use coweave_core::time::Time;
use coweave_core::wire::v1;

use super::network::{Arrival, Network, Socket, Way};

/// What survives the process.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    epoch: u64,
    pub rooms: BTreeMap<RoomName, StoredRoom>,
}

/// The relay's process.
#[derive(Debug)]
pub struct Relay {
    limits: Limits,
    connections: BTreeMap<Socket, Connection>,
    rooms: BTreeMap<RoomName, Room>,
    members: BTreeMap<MemberId, (Socket, Channel)>,
    /// Members that were sent `Joined`: they get broadcasts.
    joined: BTreeSet<MemberId>,
    last_member: u64,
    /// The write that is under way, and when it is flushed.
    writing: Option<(Time, Vec<Write>)>,
    waiting: Vec<Write>,
    /// The disk fails until then.
    fails_until: Option<Time>,
}

#[derive(Debug)]
struct Connection {
    link: Link,
    rooms: BTreeMap<Channel, (RoomName, MemberId)>,
}

#[derive(Clone, Debug)]
enum Write {
    Append(RoomName, Sequence, Bytes),
    Compact(RoomName, Sequence, Bytes),
}

impl Relay {
    pub fn start(limits: Limits) -> Self {
        Self {
            limits,
            connections: BTreeMap::new(),
            rooms: BTreeMap::new(),
            members: BTreeMap::new(),
            joined: BTreeSet::new(),
            last_member: 0,
            writing: None,
            waiting: Vec::new(),
            fails_until: None,
        }
    }

    /// A connection appears. Even sockets of outside clients carry the room in their path.
    pub fn accept(&mut self, socket: Socket, outside_room: Option<RoomName>, now: Time) {
        let limits = self.limits.clone();
        let link = match outside_room {
            Some(room) => {
                let mut key = [0; 16];
                key[..8].copy_from_slice(&socket.0.to_le_bytes());
                Link::y_websocket(room, SessionKey(key), limits, now)
            }
            None => Link::v1(limits, now),
        };
        self.connections.insert(socket, Connection { link, rooms: BTreeMap::new() });
    }

    pub fn receive(&mut self, socket: Socket, input: link::Input, now: Time) {
        if let Some(connection) = self.connections.get_mut(&socket) {
            connection.link.handle(input, now);
        }
    }

    pub fn drop_connection(&mut self, socket: Socket, now: Time) {
        let Some(connection) = self.connections.remove(&socket) else { return };
        for (name, member) in connection.rooms.into_values() {
            self.leave(&name, member, now);
        }
    }

    fn leave(&mut self, name: &RoomName, member: MemberId, now: Time) {
        self.members.remove(&member);
        self.joined.remove(&member);
        if let Some(room) = self.rooms.get_mut(name) {
            room.handle(room::Input::Leave { member }, now);
        }
    }

    /// Runs everything until nothing is left to do at this moment.
    pub fn run(&mut self, disk: &mut Disk, network: &mut Network, random: &mut Random, now: Time) {
        self.run_disk(disk, random, now);
        loop {
            let sockets: Vec<_> = self.connections.keys().copied().collect();
            let mut is_idle = true;
            for socket in sockets {
                is_idle &= self.run_connection(socket, disk, network, random, now);
            }
            let names: Vec<_> = self.rooms.keys().cloned().collect();
            for name in names {
                is_idle &= self.run_room(&name, now);
            }
            if is_idle {
                break;
            }
        }
        if self.writing.is_none() && !self.waiting.is_empty() {
            let at = now + Duration::from_millis(1 + random.below(30));
            self.writing = Some((at, std::mem::take(&mut self.waiting)));
        }
    }

    fn run_disk(&mut self, disk: &mut Disk, random: &mut Random, now: Time) {
        let Some((at, writes)) = self.writing.take_if(|(at, _)| *at <= now) else { return };
        if self.fails_until.is_some_and(|until| now < until) {
            let error = Error::new(Code::RelayDegraded, "the disk is full");
            for room in self.rooms.values_mut() {
                room.handle(room::Input::StoreFailed { error: error.clone() }, now);
            }
            self.writing = Some((at + Duration::from_millis(20 + random.below(200)), writes));
            return;
        }
        apply(disk, &writes);
        for write in writes {
            let (name, input) = match write {
                Write::Append(name, through, _) => (name, room::Input::Durable { through }),
                Write::Compact(name, through, snapshot) => {
                    (name, room::Input::Compacted { through, snapshot })
                }
            };
            if let Some(room) = self.rooms.get_mut(&name) {
                room.handle(input, now);
            }
        }
    }

    /// The process dies: what was being written may or may not have reached the disk.
    pub fn crash(mut self, disk: &mut Disk, random: &mut Random) {
        if let Some((_, writes)) = self.writing.take()
            && random.chance(50)
        {
            apply(disk, &writes);
        }
        // As the store does when it is opened after a crash.
        disk.epoch = random.below(1 << 53);
        for room in disk.rooms.values_mut() {
            room.epoch = Epoch(disk.epoch);
        }
    }

    /// The process ends in good order: everybody is told when to come back, everything goes to
    /// disk, and the epoch stays. When the disk fails it is a crash after all.
    pub fn drain(
        mut self,
        retry_after_ms: u64,
        disk: &mut Disk,
        network: &mut Network,
        random: &mut Random,
        now: Time,
    ) {
        for room in self.rooms.values_mut() {
            room.handle(room::Input::Drain, now);
        }
        for connection in self.connections.values_mut() {
            connection.link.handle(link::Input::Drain { retry_after_ms }, now);
        }
        self.run(disk, network, random, now);
        if self.fails_until.is_some_and(|until| now < until) {
            return self.crash(disk, random);
        }
        if let Some((_, writes)) = self.writing.take() {
            apply(disk, &writes);
        }
        apply(disk, &self.waiting);
    }

    pub fn fail_disk(&mut self, until: Time) {
        self.fails_until = Some(until);
    }

    fn run_connection(
        &mut self,
        socket: Socket,
        disk: &mut Disk,
        network: &mut Network,
        random: &mut Random,
        now: Time,
    ) -> bool {
        let mut is_idle = true;
        loop {
            let Some(connection) = self.connections.get_mut(&socket) else { return is_idle };
            match connection.link.poll(now) {
                link::Output::Frame(frame) => {
                    network.send(socket, Way::ToClient, Arrival::Frame(frame), random, now);
                }
                link::Output::Room { channel, request } => {
                    self.request((socket, channel), request, disk, random, now);
                }
                link::Output::Ping => {}
                link::Output::Close { .. } => {
                    network.send(socket, Way::ToClient, Arrival::Closed, random, now);
                    self.drop_connection(socket, now);
                }
                link::Output::Idle { .. } => return is_idle,
                other => panic!("unknown output {other:?}"),
            }
            is_idle = false;
        }
    }

    fn request(
        &mut self,
        (socket, channel): (Socket, Channel),
        request: RoomRequest,
        disk: &mut Disk,
        random: &mut Random,
        now: Time,
    ) {
        if let RoomRequest::Join { room, request } = request {
            self.last_member += 1;
            let member = MemberId(self.last_member);
            if let Err(error) = self.load(&room, disk, random, now) {
                let message = RoomMessage::End { error };
                return self.receive(socket, link::Input::Room { channel, message }, now);
            }
            if let Some(connection) = self.connections.get_mut(&socket) {
                connection.rooms.insert(channel, (room.clone(), member));
            }
            self.members.insert(member, (socket, channel));
            let input = room::Input::Join { member, request };
            return self.rooms.get_mut(&room).expect("just loaded").handle(input, now);
        }
        let Some(connection) = self.connections.get_mut(&socket) else { return };
        let Some((name, member)) = connection.rooms.get(&channel).cloned() else { return };
        let input = match request {
            RoomRequest::Leave => {
                connection.rooms.remove(&channel);
                return self.leave(&name, member, now);
            }
            RoomRequest::Edit { number, kind, update } => {
                room::Input::Edit { member, number, kind, update }
            }
            RoomRequest::SetPresence(state) => room::Input::SetPresence { member, state },
            RoomRequest::Awareness(entries) => room::Input::Awareness { member, entries },
            RoomRequest::Query { state_vector } => room::Input::Query { member, state_vector },
            other => panic!("unknown request {other:?}"),
        };
        if let Some(room) = self.rooms.get_mut(&name) {
            room.handle(input, now);
        }
    }

    fn load(
        &mut self,
        name: &RoomName,
        disk: &mut Disk,
        random: &mut Random,
        now: Time,
    ) -> Result<(), Error> {
        if self.rooms.contains_key(name) {
            return Ok(());
        }
        let epoch = disk.epoch;
        let stored = disk.rooms.entry(name.clone()).or_insert_with(|| {
            let mut lineage = [0; 16];
            lineage[..8].copy_from_slice(&random.next_u64().to_le_bytes());
            StoredRoom {
                lineage: Lineage(lineage),
                epoch: Epoch(epoch),
                snapshot: None,
                tail: Vec::new(),
            }
        });
        let room = Room::open(stored.clone(), self.limits.clone(), now)?;
        self.rooms.insert(name.clone(), room);
        Ok(())
    }

    fn run_room(&mut self, name: &RoomName, now: Time) -> bool {
        let mut is_idle = true;
        loop {
            let Some(room) = self.rooms.get_mut(name) else { return is_idle };
            match room.poll(now) {
                room::Output::Send { to, message } => self.deliver(to, message, now),
                room::Output::Broadcast { except, message } => {
                    let members: Vec<_> = self.members_of(name);
                    for member in members.into_iter().filter(|member| Some(*member) != except) {
                        self.deliver(member, message.clone(), now);
                    }
                }
                room::Output::Append { sequence, update } => {
                    self.waiting.push(Write::Append(name.clone(), sequence, update));
                }
                room::Output::Compact { through, snapshot } => {
                    self.waiting.push(Write::Compact(name.clone(), through, snapshot));
                }
                room::Output::Unload => {
                    assert!(room.is_clean(), "a dirty room was unloaded");
                    self.rooms.remove(name);
                }
                room::Output::Idle { .. } => return is_idle,
                other => panic!("unknown output {other:?}"),
            }
            is_idle = false;
        }
    }

    fn members_of(&self, name: &RoomName) -> Vec<MemberId> {
        let rooms = self.connections.values().flat_map(|connection| connection.rooms.values());
        rooms
            .filter(|(room, member)| room == name && self.joined.contains(member))
            .map(|(_, member)| *member)
            .collect()
    }

    fn deliver(&mut self, to: MemberId, message: RoomMessage, now: Time) {
        if let Some((socket, channel)) = self.members.get(&to).copied() {
            if matches!(message, RoomMessage::Joined { .. }) {
                self.joined.insert(to);
            }
            self.receive(socket, link::Input::Room { channel, message }, now);
        }
    }

    /// True when everything is flushed.
    pub fn is_clean(&self) -> bool {
        self.writing.is_none() && self.waiting.is_empty() && self.rooms.values().all(Room::is_clean)
    }

    pub fn next_at(&self) -> Option<Time> {
        self.writing.as_ref().map(|(at, _)| *at)
    }
}

fn apply(disk: &mut Disk, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Append(name, sequence, update) => {
                let room = disk.rooms.get_mut(name).expect("a room is stored before its log");
                let head = room.tail.last().or(room.snapshot.as_ref()).map_or(0, |(s, _)| s.0);
                assert_eq!(sequence.0, head + 1, "the log has a gap");
                room.tail.push((*sequence, update.clone()));
            }
            Write::Compact(name, through, snapshot) => {
                let room = disk.rooms.get_mut(name).expect("a room is stored before its log");
                room.tail.retain(|(sequence, _)| sequence > through);
                room.snapshot = Some((*through, snapshot.clone()));
            }
        }
    }
}

/// True when a frame can be repeated by a network that repeats: it carries edits and nothing that
/// opens or closes something.
pub fn is_repeatable(frame: &Bytes) -> bool {
    v1::read_frame(frame).is_ok_and(|messages| {
        messages.iter().all(|(_, message)| {
            matches!(message, v1::Message::Edit { .. } | v1::Message::Update { .. })
        })
    })
}
