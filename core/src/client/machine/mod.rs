//! The machine of a session: one socket, its rooms, and the rules of coming back.

mod aside;
mod connection;
mod courier;
mod receive;
mod restore;
mod sharing;
mod storage;
mod token;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use self::courier::Courier;
use self::token::Token;
use super::aside::read_only;
use super::backoff::Backoff;
use super::device::Storage;
use super::report::Diary;
use super::room::{Room, RoomState};
use super::tabs::About;
use super::{Event, Input, Output, RoomKey, StoredCopy};
use crate::error::{Code, Error};
use crate::ids::{Channel, EditNumber, SessionKey};
use crate::limits::Limits;
use crate::ordered::OrderedMap;
use crate::random::Random;
use crate::time::{Time, earliest};
use crate::wire::v1::{EditKind, Join, Message, Role, Welcome};

/// A socket that does not open within this time is given up.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// An answer that does not come within this time means that the socket is dead.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Presence is sent at most this often.
const PRESENCE_INTERVAL: Duration = Duration::from_millis(50);

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Random; never shown to other clients.
    pub session: SessionKey,
    /// Name and version of the software, for the relay's log.
    pub agent: String,
    /// The limits that updates of others are checked against.
    pub limits: Limits,
    /// Whether rooms are kept on the device.
    pub has_device_store: bool,
}

/// One browser session. See [`crate::client`].
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    random: Random,
    rooms: OrderedMap<RoomKey, Room>,
    last_key: u64,
    channels: OrderedMap<Channel, RoomKey>,
    last_channel: u32,
    socket: Socket,
    pub(super) backoff: Backoff,
    token: Token,
    courier: Courier,
    /// The relay asked not to be disturbed before this.
    not_before: Time,
    /// When the present connection first completed a sync.
    synced_at: Option<Time>,
    pub(super) welcome: Option<Welcome>,
    pub(super) heard_at: Time,
    sent_at: Time,
    /// Something was sent that has to be answered before this.
    pub(super) answer_by: Option<Time>,
    /// When an answer was overdue and the socket got another chance.
    excused_at: Time,
    last_ping: u64,
    pub(super) diary: Diary,
    frame: Vec<u8>,
    outputs: VecDeque<Output>,
    /// How many other tabs there are.
    company: u32,
    /// What they are told once the frames are on their way.
    talks: Vec<Output>,
}

#[derive(Debug)]
enum Socket {
    /// There is no room.
    Unneeded,
    /// The next attempt is made at this time.
    Waiting { at: Time },
    /// A socket was asked for.
    Connecting { since: Time },
    /// Hello was sent.
    Greeting { since: Time },
    /// The relay has welcomed us.
    Open,
    /// Trying again would not help.
    Stopped { error: Error },
}

impl Client {
    /// A session without rooms. It connects when the first room is opened.
    #[must_use]
    pub const fn new(settings: Settings, seed: u64, now: Time) -> Self {
        Self {
            settings,
            random: Random::from_seed(seed),
            rooms: OrderedMap::new(),
            last_key: 0,
            channels: OrderedMap::new(),
            last_channel: 0,
            socket: Socket::Unneeded,
            backoff: Backoff::new(),
            token: Token::new(now),
            courier: Courier::new(),
            not_before: now,
            synced_at: None,
            welcome: None,
            heard_at: now,
            sent_at: now,
            answer_by: None,
            excused_at: now,
            last_ping: 0,
            diary: Diary::new(),
            frame: Vec::new(),
            outputs: VecDeque::new(),
            company: 0,
            talks: Vec::new(),
        }
    }

    /// A key for [`Input::Open`], never given twice.
    pub const fn next_key(&mut self) -> RoomKey {
        self.last_key += 1;
        RoomKey(self.last_key)
    }

    /// A room of this session.
    #[must_use]
    pub fn room(&self, key: RoomKey) -> Option<&Room> {
        self.rooms.get(&key)
    }

    /// A room of this session, for edits; hand in [`Input::Tick`] afterwards.
    pub fn room_mut(&mut self, key: RoomKey) -> Option<&mut Room> {
        self.rooms.get_mut(&key)
    }

    /// Takes an input; call [`Self::poll`] until idle afterwards.
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Open { key, name, client } => self.open(
                Room::new(
                    key,
                    name,
                    client,
                    if self.settings.has_device_store { Storage::Device } else { Storage::Memory },
                ),
                now,
            ),
            Input::Restore { key, update, is_pending, is_news } => {
                self.restore(key, update, is_pending, is_news);
            }
            Input::Restored { key, history } => self.restored(key, history, now),
            Input::Close { key } => {
                self.close(key, now);
                self.search(now);
            }
            Input::Loaded { key, copy } => self.loaded(key, copy, now),
            Input::Written { key, ticket } => self.written(key, ticket),
            Input::WriteFailed { key, error } => self.lose_storage(key, error, now),
            Input::Seed { key, update } => {
                if let Some(room) = self.rooms.get_mut(&key) {
                    room.seed = Some(update);
                    self.send_seed(key, now);
                }
            }
            Input::Flush { key, number } => {
                if let Some(room) = self.rooms.get_mut(&key) {
                    room.flushes.push(number);
                    self.settle(now);
                    self.take_over(key, None, now);
                    self.send_flush(key, number);
                }
            }
            Input::TokenRefreshed { token } => self.token_refreshed(token, now),
            Input::SetPresence { key, state } => {
                if let Some(room) = self.rooms.get_mut(&key) {
                    room.is_presence_due |= room.presence != state;
                    room.presence = state;
                }
            }
            Input::SocketOpened { token } => self.socket_opened(token, now),
            Input::SocketFrame(frame) => self.socket_frame(&frame, now),
            Input::SocketClosed { error } => {
                let is_connected = self.is_connected();
                if is_connected || matches!(self.socket, Socket::Connecting { .. }) {
                    let text = match is_connected {
                        true => "the connection was lost",
                        false => "nobody answers at the relay's address, or takes this connection",
                    };
                    let lost = || Error::new(Code::ConnectionLost, text);
                    self.lose_connection(&error.unwrap_or_else(lost), now);
                }
            }
            Input::Talk { tab, talk } => self.hear(tab, &talk, now),
            Input::Leads => self.lead(now),
            Input::FoundStranded { room } => self.found_stranded(room, now),
            Input::LoadedStranded { key, updates } => self.take_stranded(key, updates, now),
            Input::TabCame(tab) => self.tab_came(tab),
            Input::TabGone(tab) => self.tab_gone(tab, now),
            Input::Probe => {
                self.probe(now);
                self.read_lost_stores(None);
            }
            Input::Tick => {}
        }
        self.keep();
        self.refresh_states();
    }

    /// What to do next; call until it answers [`Output::Idle`].
    pub fn poll(&mut self, now: Time) -> Output {
        if self.outputs.is_empty() {
            self.run_timers(now);
            self.carry(now);
            self.settle(now);
            if !self.frame.is_empty() {
                self.sent_at = now;
            }
            self.flush();
            self.outputs.extend(self.talks.drain(..));
            self.refresh_states();
        }
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle { wake: self.wake(now) })
    }

    const fn is_connected(&self) -> bool {
        matches!(self.socket, Socket::Greeting { .. } | Socket::Open)
    }

    // ---- rooms --------------------------------------------------------------------------------

    fn open(&mut self, room: Room, now: Time) {
        let (key, name) = (room.key, room.name.clone());
        let has_store = room.storage == Storage::Device;
        self.rooms.insert(key, room);
        self.hand_over(&name, key, now);
        if has_store {
            self.outputs.push_back(Output::Load { key, name, lineage: None });
        } else {
            self.loaded(key, Ok(StoredCopy::default()), now);
        }
        if matches!(self.socket, Socket::Unneeded) {
            self.connect_when_allowed(now);
        }
    }

    fn close(&mut self, key: RoomKey, now: Time) {
        self.settle(now);
        self.talk(key, None, About::Left);
        let Some(mut room) = self.rooms.remove(&key) else { return };
        self.outputs.extend(room.last_write());
        if let Some(channel) = room.channel {
            self.channels.remove(&channel);
            self.send(channel, &Message::Leave);
        }
        self.flush();
        self.outputs.push_back(Output::Closed { key });
        if self.rooms.is_empty() {
            if !matches!(self.socket, Socket::Unneeded | Socket::Waiting { .. }) {
                self.outputs.push_back(Output::Disconnect);
            }
            self.note_success(now);
            self.forget_connection();
            self.socket = Socket::Unneeded;
        }
    }

    fn tell(&mut self, key: RoomKey, event: Event) {
        if !self.courier.carries(key) {
            self.outputs.push_back(Output::Event { key, event });
        }
    }

    /// Asks the relay for a room, when both sides are ready.
    fn join(&mut self, key: RoomKey, now: Time) {
        if !matches!(self.socket, Socket::Open) {
            return;
        }
        let Some(room) = self.rooms.get_mut(&key) else { return };
        if !room.is_loaded || room.channel.is_some() || room.stopped.is_some() {
            return;
        }
        self.last_channel += 1;
        let channel = Channel(self.last_channel);
        let (epoch, sequence) = room.position();
        let join = Join {
            room: room.name.as_str().to_owned(),
            client: room.replica.client(),
            lineage: room.meta.map(|meta| meta.lineage),
            epoch,
            sequence,
            state_vector: room.replica.known().encode().into(),
        };
        room.channel = Some(channel);
        room.rejoin_at = None;
        self.channels.insert(channel, key);
        self.send(channel, &Message::Join(join));
        self.expect_answer(now);
    }

    /// Leaves the membership behind; what is pending stays pending.
    fn end_membership(&mut self, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        room.rejoin_at = None;
        let event = room.end_membership();
        if let Some(channel) = room.channel.take() {
            self.channels.remove(&channel);
        }
        if let Some(event) = event {
            self.tell(key, event);
        }
    }

    /// Joins anew after a while.
    fn rejoin_later(&mut self, key: RoomKey, error: &Error, now: Time) {
        self.end_membership(key);
        if let Some(room) = self.rooms.get_mut(&key) {
            let wait = room.backoff.next(error, &mut self.random);
            room.rejoin_at = Some(now + wait);
            room.trouble = Some(error.clone());
        }
    }

    fn stop_room(&mut self, key: RoomKey, error: Error) {
        self.end_membership(key);
        if let Some(room) = self.rooms.get_mut(&key) {
            room.stopped = Some(error);
        }
    }

    /// Has remembered what came into the rooms, and became of them. Behind a frame of the relay that is mostly
    /// all there is to do, and then one look at everything else is enough.
    fn keep(&mut self) {
        let told = self.rooms.values().filter(|room| !room.kept.is_empty());
        let keys: Vec<_> = told.map(|room| room.key).collect();
        keys.into_iter().for_each(|key| self.keep_of(key));
    }

    fn keep_of(&mut self, key: RoomKey) {
        let is_told = !self.courier.carries(key);
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let kept = room.kept.drain(..).filter(|_| is_told);
        self.outputs.extend(kept.map(|kept| Output::Keep { key, kept }));
    }

    /// Takes what edits were made, sends them, and gives the device what it has to keep.
    fn settle(&mut self, now: Time) {
        for at in 0.. {
            let Some(key) = self.rooms.keys().nth(at).copied() else { break };
            while let Some(room) = self.rooms.get_mut(&key) {
                let edit = if room.is_loaded { room.take_edits() } else { None };
                self.keep_of(key);
                let Some((number, kind, update)) = edit else { break };
                self.tell(key, Event::DocumentChanged);
                self.send_edit(key, number, kind, update, now);
            }
            self.send_presence(key, now);
            self.share(key, now);
            let Some(room) = self.rooms.get_mut(&key) else { continue };
            self.outputs.extend(room.next_write());
            if room.update_saved() {
                self.tell(key, Event::SavedChanged);
            }
        }
    }

    fn send_edit(
        &mut self,
        key: RoomKey,
        number: EditNumber,
        kind: EditKind,
        update: Bytes,
        now: Time,
    ) {
        let Some(room) = self.rooms.get(&key).filter(|room| room.may_send) else { return };
        let Some(channel) = room.channel else { return };
        let most = self.welcome.as_ref().map_or(u64::MAX, |welcome| welcome.update_bytes_max);
        if update.len() as u64 > most {
            let text = format!("an edit is larger than the {most} bytes that the relay takes");
            let error = Error::new(Code::UpdateTooLarge, text);
            self.tell(key, Event::Refused { number, error: error.clone() });
            self.send(channel, &Message::Leave);
            return self.give_way(key, error, now);
        }
        self.send(channel, &Message::Edit { number, kind, update });
        self.expect_answer(now);
    }

    /// Offers content for a room without any: only the relay knows whether it still has none.
    fn send_seed(&mut self, key: RoomKey, now: Time) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        if room.sync.is_some() || !room.may_send {
            return;
        }
        let Some(update) = room.seed.clone() else { return };
        if room.role() == Role::Viewer {
            room.seed = None;
            return self.tell(key, Event::Seeded(Err(read_only())));
        }
        let most = self.welcome.as_ref().map_or(u64::MAX, |welcome| welcome.update_bytes_max);
        if !room.replica.known().is_empty() {
            // The answer to it may have been lost with an earlier connection.
            let is_first = room.has_all_of(&update, &self.settings.limits);
            room.seed = None;
            return self.tell(key, Event::Seeded(Ok(is_first)));
        }
        if update.len() as u64 > most {
            let text = format!("the content is larger than the {most} bytes that the relay takes");
            room.seed = None;
            let error = Error::new(Code::UpdateTooLarge, text);
            return self.tell(key, Event::Seeded(Err(error)));
        }
        if let Some(channel) = room.channel {
            self.send(channel, &Message::Seed(update));
            self.expect_answer(now);
        }
    }

    /// Asks behind the edits, so that the answer covers them.
    fn send_flush(&mut self, key: RoomKey, number: u64) {
        let is_asked = |room: &&Room| room.may_send && room.leaving.is_none();
        let room = self.rooms.get(&key).filter(is_asked);
        if let Some(channel) = room.and_then(|room| room.channel) {
            self.send(channel, &Message::Flush(number));
        }
    }

    fn send_presence(&mut self, key: RoomKey, now: Time) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let Some(channel) = room.channel.filter(|_| room.may_send && room.is_presence_due) else {
            return;
        };
        if room.presence_sent_at.is_some_and(|at| now < at + PRESENCE_INTERVAL) {
            return;
        }
        room.presence_sent_at = Some(now);
        room.is_presence_due = false;
        let message = Message::SetPresence(room.presence.clone());
        self.send(channel, &message);
    }

    // ---- time ---------------------------------------------------------------------------------

    fn run_timers(&mut self, now: Time) {
        match self.socket {
            Socket::Waiting { at } if now >= at => self.connect(now),
            Socket::Connecting { since } if now.since(since) >= CONNECT_LIMIT => {
                self.lose_connection(&no_answer("the relay does not answer"), now);
            }
            Socket::Greeting { since } if now.since(since) >= ANSWER_LIMIT => {
                self.lose_connection(&no_answer("the relay does not greet"), now);
            }
            Socket::Open if self.answer_by.is_some_and(|by| now >= by) => {
                self.lose_connection(&no_answer("the relay fell silent"), now);
            }
            Socket::Open if self.answer_by.is_none() && now >= self.ping_at() => self.ping(now),
            _ => {}
        }
        self.refresh_token(now);
        self.read_lost_stores(Some(now));
        if matches!(self.socket, Socket::Open) {
            let is_due = |room: &Room| room.rejoin_at.is_some_and(|at| now >= at);
            let due: Vec<_> =
                self.rooms.values().filter(|room| is_due(room)).map(|room| room.key).collect();
            due.into_iter().for_each(|key| self.join(key, now));
        }
    }

    fn wake(&self, now: Time) -> Option<Time> {
        let socket = match &self.socket {
            Socket::Unneeded | Socket::Stopped { .. } => None,
            Socket::Waiting { at } => Some(*at),
            Socket::Connecting { since } => Some(*since + CONNECT_LIMIT),
            Socket::Greeting { since } => Some(*since + ANSWER_LIMIT),
            Socket::Open => {
                let alive = self.answer_by.unwrap_or_else(|| self.ping_at());
                earliest(Some(alive), self.token.refresh_at())
            }
        };
        let wake = earliest(socket, self.courier_wakes_at());
        self.rooms.values().fold(wake, |wake, room| {
            let presence = (room.may_send && room.is_presence_due)
                .then(|| room.presence_sent_at.map_or(now, |at| at + PRESENCE_INTERVAL));
            let store = earliest(room.store_retry_at(), room.asks_at());
            earliest(earliest(wake, presence), earliest(room.rejoin_at, store))
        })
    }

    /// Derives what the app sees of each room from what is, in one place.
    fn refresh_states(&mut self) {
        for room in self.rooms.values_mut() {
            let state = match (&room.stopped, &self.socket) {
                (Some(error), _) => RoomState::Stopped { error: error.clone() },
                (None, _) if !room.is_loaded => RoomState::Opening,
                (None, Socket::Stopped { error }) => RoomState::Stopped { error: error.clone() },
                (None, Socket::Waiting { at }) => RoomState::Offline { retry_at: Some(*at) },
                (None, Socket::Open) if room.rejoin_at.is_some() => {
                    RoomState::Offline { retry_at: room.rejoin_at }
                }
                (None, Socket::Open) if room.may_send => match room.progress() {
                    Some((received, total)) => RoomState::Syncing { received, total },
                    None => RoomState::Live,
                },
                (None, _) => RoomState::Connecting,
            };
            if room.state != state {
                room.state = state;
                if !self.courier.carries(room.key) {
                    let (key, event) = (room.key, Event::StateChanged);
                    self.outputs.push_back(Output::Event { key, event });
                }
            }
        }
    }
}

fn no_answer(text: &str) -> Error {
    Error::new(Code::ConnectionLost, text)
}
