//! The simulated relay: links and rooms as they are, over a disk that flushes late and forgets
//! what it had not flushed when the process dies.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, Epoch, Lineage, MemberId, RoomName, Sequence, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::link::{self, Link, RoomRequest, Shared};
use coweave_core::random::Random;
use coweave_core::room::{
    self, Audience, Protocol, Room, RoomMessage, Snapshot, StoredRoom, Tombstone, compaction,
};
use coweave_core::time::Time;
use coweave_core::wire::v1;

use super::network::{Arrival, Network, Socket, Way};

/// What survives the process.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    epoch: u64,
    pub rooms: BTreeMap<RoomName, StoredRoom>,
    graves: BTreeMap<RoomName, Vec<Tombstone>>,
}

impl Disk {
    /// Whether a history of a room is over.
    pub fn is_deleted(&self, name: &RoomName, lineage: Lineage) -> bool {
        self.graves.get(name).is_some_and(|graves| graves.iter().any(|it| it.lineage == lineage))
    }
}

/// The relay's process.
#[derive(Debug)]
pub struct Relay {
    limits: Limits,
    connections: BTreeMap<Socket, Connection>,
    rooms: BTreeMap<RoomName, Room>,
    members: BTreeMap<MemberId, Seat>,
    last_member: u64,
    /// The write that is under way, and when it is flushed.
    writing: Option<(Time, Vec<Write>)>,
    waiting: Vec<Write>,
    /// Folding under way: when it is done, and what of.
    folding: Vec<(Time, RoomName, Sequence, Vec<Bytes>)>,
    /// The disk fails until then.
    fails_until: Option<Time>,
    /// How often a member fell behind.
    pub fallen_behind: u64,
    /// How often a log was folded.
    pub folds: u64,
}

/// A member's place in a room, as the relay's room task keeps it.
#[derive(Debug)]
struct Seat {
    room: RoomName,
    socket: Socket,
    channel: Channel,
    protocol: Protocol,
    /// It was sent `Joined`: it gets broadcasts.
    has_joined: bool,
    since: Sequence,
    is_behind: bool,
}

#[derive(Debug)]
struct Connection {
    link: Link,
    rooms: BTreeMap<Channel, (RoomName, MemberId)>,
    /// What rooms have said and the peer has not taken yet.
    queue: VecDeque<(Channel, MemberId, Shared)>,
    queued_bytes: usize,
    /// A broadcast did not fit.
    is_behind: bool,
    /// The peer does not read until then.
    stalled_until: Time,
}

#[derive(Clone, Debug)]
enum Write {
    Append(RoomName, Sequence, Bytes),
    Delete(RoomName, Bytes),
}

impl Relay {
    pub fn start(limits: Limits) -> Self {
        Self {
            limits,
            connections: BTreeMap::new(),
            rooms: BTreeMap::new(),
            members: BTreeMap::new(),
            last_member: 0,
            writing: None,
            waiting: Vec::new(),
            folding: Vec::new(),
            fails_until: None,
            fallen_behind: 0,
            folds: 0,
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
        let connection = Connection {
            link,
            rooms: BTreeMap::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            is_behind: false,
            stalled_until: now,
        };
        self.connections.insert(socket, connection);
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
        if let Some(room) = self.rooms.get_mut(name) {
            room.handle(room::Input::Leave { member }, now);
        }
    }

    /// A peer stops reading.
    pub fn stall(&mut self, socket: Socket, until: Time) {
        if let Some(connection) = self.connections.get_mut(&socket) {
            connection.stalled_until = until;
        }
    }

    /// Somebody deletes a room that is in memory.
    pub fn delete(&mut self, name: &RoomName, now: Time) -> bool {
        let room = self.rooms.get_mut(name);
        room.map(|room| room.handle(room::Input::Delete, now)).is_some()
    }

    /// Runs everything until nothing is left to do at this moment.
    pub fn run(&mut self, disk: &mut Disk, network: &mut Network, random: &mut Random, now: Time) {
        self.run_disk(disk, random, now);
        self.run_folding(disk, random, now);
        loop {
            let sockets: Vec<_> = self.connections.keys().copied().collect();
            let mut is_idle = true;
            for socket in sockets {
                is_idle &= self.run_connection(socket, disk, network, random, now);
            }
            let names: Vec<_> = self.rooms.keys().cloned().collect();
            for name in names {
                is_idle &= self.run_room(&name, random, now);
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
                // The room's task ends with it.
                Write::Delete(name, _) => {
                    self.rooms.remove(&name);
                    self.folding.retain(|(_, room, ..)| *room != name);
                    continue;
                }
            };
            if let Some(room) = self.rooms.get_mut(&name) {
                room.handle(input, now);
            }
        }
    }

    /// Folding ends, well or not, while other things happen.
    fn run_folding(&mut self, disk: &mut Disk, random: &mut Random, now: Time) {
        let (done, folding) =
            std::mem::take(&mut self.folding).into_iter().partition(|f| f.0 <= now);
        self.folding = folding;
        for (_, name, through, updates) in done {
            let Some(room) = self.rooms.get_mut(&name) else { continue };
            let is_disk_failing = self.fails_until.is_some_and(|until| now < until);
            if is_disk_failing || random.chance(10) {
                room.handle(room::Input::CompactFailed, now);
                continue;
            }
            let pieces = compaction::fold(&updates, 200).expect("a log can be folded");
            compaction::check(&updates, &pieces).expect("a fold means the same");
            let snapshot = Snapshot { through, pieces };
            let stored = disk.rooms.get_mut(&name).expect("a room is stored before its log");
            stored.tail.retain(|(sequence, _)| *sequence > through);
            stored.snapshot = Some(snapshot.clone());
            self.folds += 1;
            room.handle(room::Input::Compacted { snapshot }, now);
        }
    }

    /// The process dies: what was being written may or may not have reached the disk.
    pub fn crash(mut self, disk: &mut Disk, random: &mut Random) {
        let mut writes = std::mem::take(&mut self.waiting);
        if let Some((_, first)) = self.writing.take() {
            if random.chance(50) {
                apply(disk, &first);
            } else {
                writes.splice(0..0, first);
            }
        }
        // Who deletes a room asks again until it is done.
        writes.retain(|write| matches!(write, Write::Delete(..)));
        apply(disk, &writes);
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
                link::Output::Idle { .. } if self.take(socket, network, random, now) => {}
                link::Output::Idle { .. } => return is_idle,
                other => panic!("unknown output {other:?}"),
            }
            is_idle = false;
        }
    }

    /// The peer takes the next message of its queue, or the next piece of a document. False when
    /// it takes nothing now.
    fn take(
        &mut self,
        socket: Socket,
        network: &mut Network,
        random: &mut Random,
        now: Time,
    ) -> bool {
        let Some(connection) = self.connections.get_mut(&socket) else { return false };
        if now < connection.stalled_until {
            return false;
        }
        let may_take = connection.link.takes_messages();
        if may_take && let Some((channel, member, message)) = connection.queue.pop_front() {
            connection.queued_bytes -= message.queued_bytes();
            if connection.rooms.get(&channel).is_some_and(|(_, current)| *current == member) {
                connection.link.handle(link::Input::Room { channel, message }, now);
            }
            return true;
        }
        if let Some(frame) = connection.link.next_piece() {
            network.send(socket, Way::ToClient, Arrival::Frame(frame), random, now);
            // What is said meanwhile goes in between.
            if random.chance(20) {
                connection.stalled_until = now + Duration::from_millis(random.below(40));
            }
            return true;
        }
        if may_take && std::mem::take(&mut connection.is_behind) {
            for (name, member) in connection.rooms.values() {
                if let Some(room) = self.rooms.get_mut(name) {
                    room.handle(room::Input::Drained { member: *member }, now);
                }
            }
            return true;
        }
        false
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
                let message = Shared::new(RoomMessage::End { error });
                return self.receive(socket, link::Input::Room { channel, message }, now);
            }
            if let Some(connection) = self.connections.get_mut(&socket) {
                connection.rooms.insert(channel, (room.clone(), member));
            }
            let seat = Seat {
                room: room.clone(),
                socket,
                channel,
                protocol: request.protocol,
                has_joined: false,
                since: Sequence(0),
                is_behind: false,
            };
            self.members.insert(member, seat);
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
            RoomRequest::Seed { update } => room::Input::Seed { member, update },
            RoomRequest::Flush { number } => room::Input::Flush { member, number },
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
            StoredRoom::new(Lineage(lineage), Epoch(epoch))
        });
        let mut stored = stored.clone();
        stored.tombstones = disk.graves.get(name).cloned().unwrap_or_default();
        let room = Room::open(stored, self.limits.clone(), now)?;
        self.rooms.insert(name.clone(), room);
        Ok(())
    }

    fn run_room(&mut self, name: &RoomName, random: &mut Random, now: Time) -> bool {
        let mut is_idle = true;
        loop {
            let Some(room) = self.rooms.get_mut(name) else { return is_idle };
            match room.poll(now) {
                room::Output::Send { to, message } => self.send(to, message),
                room::Output::Broadcast { to, except, message } => {
                    self.broadcast(name, to, &except, message, now);
                }
                room::Output::Append { sequence, update } => {
                    self.waiting.push(Write::Append(name.clone(), sequence, update));
                }
                room::Output::Compact { through, updates } => {
                    let at = now + Duration::from_millis(random.below(300));
                    self.folding.push((at, name.clone(), through, updates));
                }
                room::Output::Delete { state_vector } => {
                    self.waiting.push(Write::Delete(name.clone(), state_vector));
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

    fn broadcast(
        &mut self,
        name: &RoomName,
        to: Audience,
        except: &[MemberId],
        message: RoomMessage,
        now: Time,
    ) {
        let message = Shared::new(message);
        for (member, seat) in &mut self.members {
            let is_meant = seat.room == *name && seat.has_joined && to.has(seat.protocol);
            if !is_meant || seat.is_behind || except.contains(member) {
                continue;
            }
            let Some(connection) = self.connections.get_mut(&seat.socket) else { continue };
            let bytes = message.queued_bytes();
            if connection.queued_bytes > 0
                && connection.queued_bytes + bytes > self.limits.send_queue_bytes_max
            {
                self.fallen_behind += 1;
                (seat.is_behind, connection.is_behind) = (true, true);
                if let Some(room) = self.rooms.get_mut(name) {
                    let (member, since) = (*member, seat.since);
                    room.handle(room::Input::Behind { member, since }, now);
                }
                continue;
            }
            if let RoomMessage::Update { sequence, .. } = message.message() {
                seat.since = *sequence;
            }
            connection.queued_bytes += bytes;
            connection.queue.push_back((seat.channel, *member, message.clone()));
        }
    }

    fn send(&mut self, to: MemberId, message: RoomMessage) {
        let Some(seat) = self.members.get_mut(&to) else { return };
        match &message {
            RoomMessage::Joined { joined, .. } => {
                (seat.has_joined, seat.since) = (true, joined.sequence);
            }
            RoomMessage::CaughtUp { sequence, .. } => {
                (seat.is_behind, seat.since) = (false, *sequence);
            }
            RoomMessage::Presence { .. } if seat.is_behind => return,
            _ => {}
        }
        let is_over = matches!(message, RoomMessage::End { .. });
        let message = Shared::new(message);
        if let Some(connection) = self.connections.get_mut(&seat.socket) {
            connection.queued_bytes += message.queued_bytes();
            connection.queue.push_back((seat.channel, to, message));
        }
        if is_over {
            self.members.remove(&to);
        }
    }

    /// True when everything is flushed.
    pub fn is_clean(&self) -> bool {
        self.writing.is_none()
            && self.waiting.is_empty()
            && self.rooms.values().all(Room::is_clean)
            && self.connections.values().all(|connection| connection.queue.is_empty())
    }

    pub fn next_at(&self) -> Option<Time> {
        let folding = self.folding.iter().map(|(at, ..)| *at);
        folding.chain(self.writing.as_ref().map(|(at, _)| *at)).min()
    }
}

fn apply(disk: &mut Disk, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Append(name, sequence, update) => {
                let room = disk.rooms.get_mut(name).expect("a room is stored before its log");
                let folded =
                    room.snapshot.as_ref().map_or(Sequence(0), |snapshot| snapshot.through);
                let head = room.tail.last().map_or(folded, |(sequence, _)| *sequence).0;
                assert_eq!(sequence.0, head + 1, "the log has a gap");
                room.tail.push((*sequence, update.clone()));
            }
            Write::Delete(name, state_vector) => {
                let Some(room) = disk.rooms.remove(name) else { continue };
                let (lineage, state_vector) = (room.lineage, state_vector.clone());
                let graves = disk.graves.entry(name.clone()).or_default();
                graves.push(Tombstone { lineage, state_vector });
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
