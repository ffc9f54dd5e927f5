//! One WebSocket on tokio: feeds the link machine of the core, and carries out what it wants done.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, MemberId, RoomName};
use coweave_core::link::{Input, Link, Output, RoomRequest, Shared};
use coweave_core::room::{self, JoinRequest, RoomMessage};
use coweave_core::time::Time;
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use crate::allowance::Allowance;
use crate::clock::Alarm;
use crate::door::Guest;
use crate::hub::Hub;
use crate::outbox::{Deliveries, Delivery, Outbox, outbox};
use crate::room_task::Command;
use crate::websocket::{Event, Socket};

/// How long a connection that ends may take to read its last messages.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Messages from rooms that are handed to the machine in one go.
const TURN_MESSAGES_MAX: usize = 256;
/// Bytes of documents that are written in one go: what else is said goes in between.
const TURN_PIECES_BYTES: usize = 64 << 10;
/// When clients of a relay that shuts down are to come back: spread, so that they do not come all
/// at the same moment.
const COME_BACK_MS: std::ops::Range<u64> = 250..2_000;

/// Serves a connection until it ends. The parts are boxed, because a future has room for whatever is
/// moved into it twice, and most connections do nothing but be there.
pub(crate) fn serve(
    socket: Socket,
    link: Box<Link>,
    guest: Arc<Guest>,
    hub: Arc<Hub>,
    drain: CancellationToken,
) -> impl Future<Output = ()> {
    let (outbox, deliveries) = outbox(hub.limits.send_queue_bytes_max);
    let connection = Box::new(Connection {
        allowance: Allowance::new(&hub.limits, hub.clock.now()),
        hub,
        link,
        outbox,
        memberships: BTreeMap::new(),
        to_rooms: VecDeque::new(),
        is_behind: false,
        is_closing: false,
    });
    connection.run(Box::new(socket), deliveries, guest, drain)
}

/// A connection's place in a room.
struct Membership {
    member: MemberId,
    commands: mpsc::Sender<Command>,
}

struct Connection {
    hub: Arc<Hub>,
    link: Box<Link>,
    allowance: Allowance,
    outbox: Outbox,
    memberships: BTreeMap<Channel, Membership>,
    /// Commands for rooms that are behind; nothing more is read until they are taken.
    to_rooms: VecDeque<(mpsc::Sender<Command>, Command)>,
    /// A broadcast did not fit into the queue: the rooms are told when it is empty.
    is_behind: bool,
    is_closing: bool,
}

impl Connection {
    async fn run(
        mut self: Box<Self>,
        mut socket: Box<Socket>,
        mut deliveries: Deliveries,
        guest: Arc<Guest>,
        drain: CancellationToken,
    ) {
        // Waiting for these starts once, not with every message.
        let mut full = Box::pin(self.outbox.full());
        let mut overflow = pin!(self.outbox.overflow().fuse());
        let mut drained = pin!(drain.cancelled().fuse());
        let mut alarm = Alarm::new(self.hub.clock);
        let mut is_greeted = false;
        loop {
            let now = self.hub.clock.now();
            alarm.set(self.carry_out(&mut socket, now));
            if self.is_closing {
                break;
            }
            // Most often all of it goes out, and the wait that follows is one for news.
            socket.write_now();
            if !is_greeted && self.link.is_greeted() {
                is_greeted = true;
                guest.is_greeted();
                socket.set_message_bytes_max(self.link.frame_bytes_max());
            }
            self.allowance.take_bytes(socket.bytes_read(), now);
            let paused_until = self.allowance.wait(now);
            alarm.set(paused_until);
            let may_read =
                paused_until.is_none() && self.to_rooms.is_empty() && !socket.is_behind();
            let may_take = socket.is_flushed() && self.link.takes_messages();
            if socket.is_flushed() {
                self.drained(&deliveries);
                self.send_pieces(&mut socket);
            }
            let input = tokio::select! {
                () = &mut full => {
                    full.set(self.outbox.full());
                    self.is_behind = true;
                    continue;
                }
                () = &mut overflow => Input::TooSlow,
                () = &mut drained => Input::Drain { retry_after_ms: random_in(COME_BACK_MS) },
                event = socket.next(may_read) => match event {
                    Event::Binary(frame) => {
                        self.allowance.take_frame(now);
                        Input::Frame(frame)
                    }
                    Event::Text => Input::TextFrame,
                    Event::Alive => {
                        self.allowance.take_frame(now);
                        Input::Alive
                    }
                    Event::Oversized => Input::OversizedFrame,
                    Event::Partial => Input::Partial,
                    Event::Flushed => continue,
                    Event::Closing => break,
                    Event::Ended => return,
                },
                Some(delivery) = deliveries.next(), if may_take => {
                    self.deliver(delivery);
                    for _ in 1..TURN_MESSAGES_MAX {
                        if !self.link.takes_messages() {
                            break;
                        }
                        let Some(delivery) = deliveries.try_next() else { break };
                        self.deliver(delivery);
                    }
                    continue;
                }
                () = hand_over(&mut self.to_rooms) => continue,
                () = alarm.ring() => {
                    // Who is not read from cannot show that it is there.
                    if paused_until.is_none() && !socket.has_progressed() {
                        continue;
                    }
                    Input::Alive
                }
            };
            self.link.handle(input, self.hub.clock.now());
        }
        // The rooms need not wait for the peer to read its last messages.
        drop(self);
        let _peer_does_not_read = tokio::time::timeout(CLOSE_LIMIT, linger(&mut socket)).await;
    }

    /// Does everything that the machine wants done now, and says when it wants to be asked again.
    fn carry_out(&mut self, socket: &mut Socket, now: Time) -> Option<Time> {
        loop {
            match self.link.poll(now) {
                Output::Frame(frame) => socket.send(frame),
                Output::Ping => socket.ping(),
                Output::Room { channel, request } => {
                    self.allowance.take_request(now);
                    self.request(channel, request);
                }
                Output::Close { code, reason } => {
                    tracing::debug!(code, reason, "a connection is closed");
                    socket.close(code, reason);
                    self.is_closing = true;
                    return None;
                }
                Output::Idle { wake } => return wake,
                other => tracing::error!(?other, "a bug: the link wants what this relay cannot do"),
            }
        }
    }

    /// Sends the next bytes of documents that are on their way.
    fn send_pieces(&mut self, socket: &mut Socket) {
        let mut bytes = 0;
        while bytes < TURN_PIECES_BYTES {
            let Some(frame) = self.link.next_piece() else { break };
            bytes += frame.len();
            socket.send(frame);
        }
    }

    /// Tells the rooms when everything that was queued is written and some of it did not fit.
    fn drained(&mut self, deliveries: &Deliveries) {
        if !self.is_behind || !deliveries.is_empty() || !self.link.takes_messages() {
            return;
        }
        self.is_behind = false;
        let members: Vec<_> = self
            .memberships
            .values()
            .map(|membership| (membership.member, membership.commands.clone()))
            .collect();
        for (member, commands) in members {
            self.send(commands, Command::Input(room::Input::Drained { member }));
        }
    }

    /// Hands a message to the link.
    fn deliver(&mut self, delivery: Delivery) {
        let Delivery { channel, member, message } = delivery;
        // What was on its way to an earlier membership is not meant for this one.
        if self.memberships.get(&channel).is_none_or(|membership| membership.member != member) {
            return;
        }
        if matches!(message.message(), RoomMessage::End { .. }) {
            self.memberships.remove(&channel);
        }
        self.link.handle(Input::Room { channel, message }, self.hub.clock.now());
    }

    fn request(&mut self, channel: Channel, request: RoomRequest) {
        if let RoomRequest::Join { room, request } = request {
            return self.join(channel, &room, request);
        }
        // Without a membership the room ended while this was on its way, and the peer knows.
        let Some(Membership { member, commands }) = self.memberships.get(&channel) else { return };
        let member = *member;
        let input = match request {
            RoomRequest::Edit { number, kind, update } => {
                room::Input::Edit { member, number, kind, update }
            }
            RoomRequest::SetPresence(state) => room::Input::SetPresence { member, state },
            RoomRequest::Awareness(entries) => room::Input::Awareness { member, entries },
            RoomRequest::Seed { update } => room::Input::Seed { member, update },
            RoomRequest::Flush { number } => room::Input::Flush { member, number },
            RoomRequest::Query { state_vector } => room::Input::Query { member, state_vector },
            RoomRequest::Leave => room::Input::Leave { member },
            other => {
                return tracing::error!(?other, "a bug: the link wants what this relay cannot do");
            }
        };
        let commands = commands.clone();
        if matches!(input, room::Input::Leave { .. }) {
            self.memberships.remove(&channel);
        }
        self.send(commands, Command::Input(input));
    }

    fn join(&mut self, channel: Channel, room: &RoomName, request: Box<JoinRequest>) {
        let (member, commands) = (self.hub.next_member(), self.hub.room(room));
        let outbox = self.outbox.clone();
        let command = Command::Join { member, request, outbox, channel };
        self.memberships.insert(channel, Membership { member, commands: commands.clone() });
        self.send(commands, command);
    }

    /// Sends a command to a room, or queues it: their order is that of the connection.
    fn send(&mut self, commands: mpsc::Sender<Command>, command: Command) {
        self.to_rooms.push_back((commands, command));
        while let Some((commands, command)) = self.to_rooms.pop_front() {
            match commands.try_send(command) {
                Ok(()) => {}
                Err(TrySendError::Full(command)) => {
                    return self.to_rooms.push_front((commands, command));
                }
                Err(TrySendError::Closed(command)) => refuse(command),
            }
        }
    }
}

/// However a connection ends, its rooms get what it has sent, and then hear that it is gone.
impl Drop for Connection {
    fn drop(&mut self) {
        for (_, Membership { member, commands }) in std::mem::take(&mut self.memberships) {
            self.send(commands, Command::Input(room::Input::Leave { member }));
        }
        let mut rest = std::mem::take(&mut self.to_rooms);
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !rest.is_empty()
        {
            runtime.spawn(async move {
                while !rest.is_empty() {
                    hand_over(&mut rest).await;
                }
            });
        }
    }
}

/// Waits until the next room takes its command; for ever when there is none. Cancelling this
/// loses nothing.
async fn hand_over(to_rooms: &mut VecDeque<(mpsc::Sender<Command>, Command)>) {
    let Some((commands, _)) = to_rooms.front() else { return std::future::pending().await };
    let permit = commands.clone().reserve_owned().await;
    if let Some((_, command)) = to_rooms.pop_front() {
        match permit {
            Ok(permit) => {
                permit.send(command);
            }
            Err(_room_is_gone) => refuse(command),
        }
    }
}

/// Answers a command to a room that has just ended. Only a join needs one: members have heard it.
fn refuse(command: Command) {
    if let Command::Join { member, outbox, channel, .. } = command {
        let text = "the room was just closed; try again";
        let message = RoomMessage::End { error: Error::new(Code::RoomUnavailable, text) };
        outbox.push(Delivery { channel, member, message: Shared::new(message) });
    }
}

/// Writes what is left, and waits for the peer to take it: closing a socket with unread bytes in
/// it would make the peer's system throw the last messages away.
async fn linger(socket: &mut Socket) {
    while !socket.is_flushed() {
        if matches!(socket.next(false).await, Event::Ended) {
            return;
        }
    }
    while !matches!(socket.next(true).await, Event::Ended) {}
}

/// A random number; the least one when the system gives none.
fn random_in(range: std::ops::Range<u64>) -> u64 {
    let random = getrandom::u64().unwrap_or(0);
    range.start + random % (range.end - range.start)
}
