//! One room on tokio: feeds the machine of the core, and carries out what it wants done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, Lineage, MemberId, RoomName, Sequence};
use coweave_core::link::Shared;
use coweave_core::room::{
    Audience, Input, JoinRequest, Output, Protocol, Room, RoomMessage, Snapshot,
};
use coweave_core::time::Time;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Alarm;
use crate::hub::Hub;
use crate::log_writer::Receipt;
use crate::outbox::{Delivery, Outbox};
use crate::store::{LogLine, RoomId, StoreError};

/// Commands that are handled in one go, so that their acknowledgements become one.
const COMMANDS_PER_TURN: usize = 64;
/// Work on a room that is larger than this may take milliseconds.
const ASIDE_BYTES: usize = 512 << 10;
/// When a room may go but somebody is just asking for it, look again after this time.
const RETIRE_AGAIN: Duration = Duration::from_secs(1);

/// What connections want of a room.
#[derive(Debug)]
pub(crate) enum Command {
    /// A connection enters.
    Join {
        member: MemberId,
        request: Box<JoinRequest>,
        /// Where to send what the room has to say, and under which channel.
        outbox: Outbox,
        channel: Channel,
    },
    /// Somebody who may do so wants to know how the room is.
    Status(oneshot::Sender<RoomStatus>),
    /// Somebody who may do so deletes the room; the answer comes when it is gone from the disk.
    Delete(oneshot::Sender<Result<(), Error>>),
    /// Anything else.
    Input(Input),
}

/// How a room is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomStatus {
    pub(crate) lineage: Lineage,
    /// The last place in its log.
    pub(crate) sequence: Sequence,
    /// What its updates take.
    pub(crate) bytes: usize,
    pub(crate) members: usize,
}

/// Whether a room goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Wait(Option<Time>),
    Retire,
}

/// Loads a room and serves it until nobody needs it any more.
pub(crate) async fn run(
    hub: Arc<Hub>,
    name: RoomName,
    incarnation: u64,
    commands: mpsc::Receiver<Command>,
) {
    let mut residence = Residence::new(hub, name, incarnation, commands);
    match open(&residence.hub, &residence.name).await {
        Err(error) => residence.farewell = error,
        Ok((id, room)) => {
            let (receipt_sender, receipts) = mpsc::unbounded_channel();
            let compaction = None;
            residence.is_serving = true;
            let (tombstone, deletions) = (None, Vec::new());
            let mut task = RoomTask {
                residence,
                id,
                room,
                receipt_sender,
                receipts,
                compaction,
                tombstone,
                deletions,
            };
            task.serve().await;
        }
    }
}

/// Loads a room. Errors are for the members; the log has the reason.
async fn open(hub: &Hub, name: &RoomName) -> Result<(RoomId, Room), Error> {
    if let Some(error) = hub.quarantine.check(name) {
        return Err(error);
    }
    let unavailable = || {
        let text = "the relay cannot load this room at the moment";
        Error::new(Code::RoomUnavailable, text)
    };
    let mut lineage = [0; 16];
    if let Err(error) = getrandom::fill(&mut lineage) {
        tracing::error!(%error, "the system gives no random numbers");
        return Err(unavailable());
    }
    let epoch = hub.epoch_after_break(name);
    if epoch.is_some() {
        // Lines of the room that broke may still be on their way.
        hub.writer.flush().await;
    }
    let mut opened = match hub.store.open_or_create(name, Lineage(lineage)).await {
        Ok(opened) => opened,
        Err(StoreError::Damaged(why)) => return Err(damaged(hub, name, &why)),
        Err(error) => {
            tracing::error!(room = %name, %error, "a room cannot be loaded");
            return Err(unavailable());
        }
    };
    opened.stored.epoch = epoch.unwrap_or(opened.stored.epoch);
    let room = Room::open(opened.stored, hub.limits.clone(), hub.clock.now())
        .map_err(|error| damaged(hub, name, &error.message))?;
    hub.quarantine.release(name);
    tracing::debug!(room = %name, "room loaded");
    Ok((opened.id, room))
}

/// Closes a room whose stored bytes cannot be read. They are left as they are.
fn damaged(hub: &Hub, name: &RoomName, why: &str) -> Error {
    let text = "what is stored of this room cannot be read; it is left as it is until whoever runs \
                the relay has looked at it";
    let error = Error::new(Code::RoomDamaged, text);
    if hub.quarantine.put(name, error.clone()) {
        tracing::error!(room = %name, why, "a stored room is damaged; it is closed and left as it is");
    }
    hub.quarantine.check(name).unwrap_or(error)
}

struct RoomTask {
    residence: Residence,
    id: RoomId,
    room: Room,
    receipt_sender: mpsc::UnboundedSender<Receipt>,
    receipts: mpsc::UnboundedReceiver<Receipt>,
    /// The machine wants one at a time.
    compaction: Option<AbortOnDropHandle<Input>>,
    /// The room was deleted: the state vector for its tombstone.
    tombstone: Option<Bytes>,
    /// Who waits for the room's end.
    deletions: Vec<oneshot::Sender<Result<(), Error>>>,
}

impl RoomTask {
    async fn serve(&mut self) {
        // It grows to what is needed: most rooms are quiet.
        let mut turn_commands = Vec::new();
        let mut alarm = Alarm::new(self.residence.hub.clock);
        loop {
            let turn = self.carry_out();
            if let Some(state_vector) = self.tombstone.take() {
                self.delete(state_vector).await;
                break;
            }
            let wake = match turn {
                Turn::Wait(wake) => wake,
                Turn::Retire if self.residence.retire() => break,
                Turn::Retire => Some(self.now() + RETIRE_AGAIN),
            };
            alarm.set(wake);
            tokio::select! {
                receipt = self.receipts.recv() => match receipt {
                    Some(Receipt::Durable(through)) => self.handle(Input::Durable { through }),
                    Some(Receipt::Failed(error)) => self.handle(Input::StoreFailed { error }),
                    Some(Receipt::Refused) | None => return,
                },
                count = self.residence.commands.recv_many(&mut turn_commands, COMMANDS_PER_TURN) => {
                    if count == 0 {
                        break;
                    }
                    for command in turn_commands.drain(..) {
                        self.command(command);
                    }
                }
                input = compacted(&mut self.compaction) => {
                    self.compaction = None;
                    self.handle(input);
                }
                () = alarm.ring() => {}
            }
        }
        self.residence.is_serving = false;
    }

    fn now(&self) -> Time {
        self.residence.hub.clock.now()
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.room.handle(input, now);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Join { member, request, outbox, channel } => {
                // What the room has said so far is for the members that it had then.
                self.carry_out();
                let seat = Seat::new(outbox, channel, request.protocol);
                self.residence.members.insert(member, seat);
                aside(self.room.bytes(), || self.handle(Input::Join { member, request }));
                self.carry_out();
            }
            Command::Input(Input::Leave { member }) => {
                self.carry_out();
                self.residence.members.remove(&member);
                self.handle(Input::Leave { member });
            }
            Command::Status(answer) => {
                let _nobody_waits = answer.send(RoomStatus {
                    lineage: self.room.lineage(),
                    sequence: self.room.head(),
                    bytes: self.room.bytes(),
                    members: self.room.member_count(),
                });
            }
            Command::Delete(answer) => {
                self.deletions.push(answer);
                self.handle(Input::Delete);
            }
            Command::Input(input) => self.handle(input),
        }
    }

    /// Does everything that the machine wants done now.
    fn carry_out(&mut self) -> Turn {
        loop {
            let now = self.now();
            match self.room.poll(now) {
                Output::Send { to, message } => self.residence.send(to, message),
                Output::Broadcast { to, except, message } => {
                    for (member, since) in self.residence.broadcast(to, &except, message) {
                        self.room.handle(Input::Behind { member, since }, now);
                    }
                }
                Output::Delete { state_vector } => self.tombstone = Some(state_vector),
                Output::Append { sequence, update } => {
                    let line = LogLine { room: self.id, sequence, update };
                    self.residence.hub.writer.append(line, &self.receipt_sender);
                }
                Output::Compact { through, updates } => self.compact(through, updates),
                Output::Unload => return Turn::Retire,
                Output::Idle { wake } => return Turn::Wait(wake),
                other => tracing::error!(?other, "a bug: the room wants what this relay cannot do"),
            }
        }
    }

    /// Puts the tombstone in the place of the room, behind everything that is on its way to disk.
    async fn delete(&mut self, state_vector: Bytes) {
        if let Some(compaction) = self.compaction.take() {
            let _its_answer_is_for_nobody = compaction.await;
        }
        let hub = &self.residence.hub;
        hub.writer.flush().await;
        let deleted = hub.store.delete(self.id, state_vector).await.map_err(|error| {
            tracing::error!(room = %self.residence.name, %error, "a room could not be deleted");
            let text = "the room could not be deleted; it is as it was";
            Error::new(Code::RelayDegraded, text)
        });
        for answer in self.deletions.drain(..) {
            let _nobody_waits = answer.send(deleted.clone());
        }
    }

    fn compact(&mut self, through: Sequence, updates: Vec<Bytes>) {
        let hub = Arc::clone(&self.residence.hub);
        let (id, name) = (self.id, self.residence.name.clone());
        // When the room ends, so does this: the log stays, and nobody waits for it.
        self.compaction = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let pieces = match hub.compactor.fold(updates).await {
                Ok(pieces) => pieces,
                Err(error) => {
                    tracing::error!(room = %name, %error, "a log was not folded; it stays as it is");
                    return Input::CompactFailed;
                }
            };
            let snapshot = Snapshot { through, pieces };
            match hub.store.replace_snapshot(id, snapshot.clone()).await {
                Ok(()) => Input::Compacted { snapshot },
                Err(error) => {
                    tracing::warn!(room = %name, %error, "a snapshot was not stored; the log stays");
                    Input::CompactFailed
                }
            }
        })));
    }
}

/// Does work on a room of this size. What takes long must not hold up the other tasks of this
/// thread: they move on to another one.
fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let has_other_threads = || Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if bytes > ASIDE_BYTES && has_other_threads() {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

async fn compacted(compaction: &mut Option<AbortOnDropHandle<Input>>) -> Input {
    match compaction {
        Some(task) => task.await.unwrap_or(Input::CompactFailed),
        None => std::future::pending().await,
    }
}

/// The room's place in the hub, its members and who wants to become one. When it is dropped,
/// however that comes (a panic included), the room can be loaded anew and all of them know.
struct Residence {
    hub: Arc<Hub>,
    name: RoomName,
    incarnation: u64,
    commands: mpsc::Receiver<Command>,
    members: HashMap<MemberId, Seat>,
    /// What those hear that are still here at the end.
    farewell: Error,
    /// From loading to an orderly end.
    is_serving: bool,
}

struct Seat {
    outbox: Outbox,
    channel: Channel,
    protocol: Protocol,
    /// The last update that it was given.
    since: Sequence,
    /// Its queue is full: it gets no broadcasts until it is caught up.
    is_behind: bool,
}

impl Seat {
    const fn new(outbox: Outbox, channel: Channel, protocol: Protocol) -> Self {
        Self { outbox, channel, protocol, since: Sequence(0), is_behind: false }
    }

    fn delivery(&self, member: MemberId, message: Shared) -> Delivery {
        Delivery { channel: self.channel, member, message }
    }

    /// Sends what is meant for this member only.
    fn send(&mut self, member: MemberId, message: RoomMessage) {
        match &message {
            RoomMessage::Joined { joined, .. } => self.since = joined.sequence,
            RoomMessage::CaughtUp { sequence, .. } => {
                self.since = *sequence;
                self.is_behind = false;
            }
            // It is shown everything when it is caught up.
            RoomMessage::Presence { .. } if self.is_behind => return,
            _ => {}
        }
        self.outbox.push(self.delivery(member, Shared::new(message)));
    }

    /// Sends what all members get; false when it does not fit.
    fn offer(&mut self, member: MemberId, message: &Shared) -> bool {
        self.is_behind = !self.outbox.offer(self.delivery(member, message.clone()));
        if let RoomMessage::Update { sequence, .. } = message.message()
            && !self.is_behind
        {
            self.since = *sequence;
        }
        !self.is_behind
    }
}

impl Residence {
    fn new(
        hub: Arc<Hub>,
        name: RoomName,
        incarnation: u64,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let text = "the room had to be closed; it is loaded anew when you come back";
        let farewell = Error::new(Code::RelayInternal, text);
        let members = HashMap::new();
        Self { hub, name, incarnation, commands, members, farewell, is_serving: false }
    }

    fn send(&mut self, to: MemberId, message: RoomMessage) {
        let is_over = matches!(message, RoomMessage::End { .. });
        if let Some(seat) = self.members.get_mut(&to) {
            seat.send(to, message);
        }
        if is_over {
            self.members.remove(&to);
        }
    }

    /// Sends to all who can take it. The answer is who cannot any more, and what they had last.
    fn broadcast(
        &mut self,
        to: Audience,
        except: &[MemberId],
        message: RoomMessage,
    ) -> Vec<(MemberId, Sequence)> {
        let (message, mut behind) = (Shared::new(message), Vec::new());
        for (member, seat) in &mut self.members {
            if seat.is_behind || !to.has(seat.protocol) || except.binary_search(member).is_ok() {
                continue;
            }
            if !seat.offer(*member, &message) {
                behind.push((*member, seat.since));
            }
        }
        behind
    }

    fn retire(&self) -> bool {
        let is_gone = self.hub.retire(&self.name, self.incarnation, &self.commands);
        if is_gone {
            tracing::debug!(room = %self.name, "room unloaded");
        }
        is_gone
    }
}

impl Drop for Residence {
    fn drop(&mut self) {
        if self.is_serving {
            self.hub.mark_broken(&self.name);
        }
        // Whoever asks for the room after this starts it anew.
        self.hub.forget(&self.name, self.incarnation);
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Join { member, outbox, channel, request } = command {
                self.members.insert(member, Seat::new(outbox, channel, request.protocol));
            }
        }
        if !self.members.is_empty() {
            tracing::warn!(room = %self.name, error = %self.farewell, "a room ended with members in it");
            for (member, seat) in &mut self.members {
                seat.send(*member, RoomMessage::End { error: self.farewell.clone() });
            }
        }
    }
}
