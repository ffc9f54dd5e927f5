//! A simulated person with a y-websocket client: no device, no acknowledgements, state vectors on
//! connecting.

use std::collections::BTreeMap;
use std::time::Duration;

use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{ClientId, RoomName};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::time::Time;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::y_websocket::Message;

use super::actor::{TEXT, client_id, may_cut_a_character};
use super::network::{Arrival, Network, Socket, Way};

/// When a y-websocket client renews its own state, and when it forgets that of another one.
const RENEWAL: Duration = Duration::from_secs(15);
const OUTDATED: Duration = Duration::from_secs(30);

/// A person with a y-websocket client: no device, no acknowledgements, state vectors on connecting.
#[derive(Debug)]
pub struct Outsider {
    pub room: RoomName,
    limits: Limits,
    pub replica: Replica,
    pub socket: Option<Socket>,
    is_open: bool,
    retry_at: Time,
    letters: u64,
    pub is_synced: bool,
    /// It was told that the room is gone: its page begins anew once the connection is closed.
    is_deleted: bool,
    /// Own state, its clock, and when it is to be renewed.
    pub shown: Option<String>,
    clock: u64,
    renew_at: Time,
    /// What others show, as y-protocols keeps it: clocks outlive connections.
    seen: BTreeMap<ClientId, Seen>,
}

/// What an outside client knows of another one.
#[derive(Clone, Debug)]
struct Seen {
    clock: u64,
    state: Option<String>,
    at: Time,
}

impl Outsider {
    pub fn new(room: RoomName, limits: Limits, random: &mut Random) -> Self {
        Self {
            room,
            limits,
            replica: Replica::new(client_id(random)),
            socket: None,
            is_open: false,
            retry_at: Time::ZERO,
            letters: 0,
            is_synced: false,
            is_deleted: false,
            shown: None,
            clock: 0,
            renew_at: Time::ZERO,
            seen: BTreeMap::new(),
        }
    }

    /// Shows something to the others.
    pub fn show(&mut self, network: &mut Network, random: &mut Random, now: Time) {
        self.shown = random.chance(80).then(|| format!("{{\"y\":{}}}", random.below(100)));
        self.clock += 1;
        self.renew_at = now + RENEWAL;
        self.send_presence(network, random, now);
    }

    fn send_presence(&self, network: &mut Network, random: &mut Random, now: Time) {
        let (client, state) = (self.replica.client(), self.shown.clone());
        let entry = AwarenessEntry { client, clock: self.clock, state };
        let message = Message::Awareness(awareness::write(&[entry]).into());
        self.send(&message, network, random, now);
    }

    /// What others show.
    pub fn peers(&self) -> BTreeMap<ClientId, String> {
        let states = self.seen.iter();
        states.filter_map(|(client, seen)| Some((*client, seen.state.clone()?))).collect()
    }

    /// As y-protocols takes states, and y-websocket sends on what was new.
    fn see(&mut self, bytes: &[u8], network: &mut Network, random: &mut Random, now: Time) {
        let entries = awareness::read(bytes, &self.limits).expect("the relay's states can be read");
        let mut news = Vec::new();
        for entry in entries {
            if entry.client == self.replica.client() {
                if entry.state.is_none() && self.shown.is_some() && entry.clock >= self.clock {
                    // Somebody takes it for gone.
                    self.clock = entry.clock + 1;
                } else if entry.clock > self.clock {
                    // It believes what it is told, even of itself.
                    (self.clock, self.shown) = (entry.clock, entry.state);
                }
                continue;
            }
            let is_news = self.seen.get(&entry.client).is_none_or(|seen| {
                let is_removal = entry.state.is_none() && seen.state.is_some();
                entry.clock > seen.clock || (entry.clock == seen.clock && is_removal)
            });
            if is_news {
                let (clock, state) = (entry.clock, entry.state.clone());
                self.seen.insert(entry.client, Seen { clock, state, at: now });
                news.push(entry);
            }
        }
        if !news.is_empty() {
            let message = Message::Awareness(awareness::write(&news).into());
            self.send(&message, network, random, now);
        }
    }

    pub fn edit(&mut self, random: &mut Random) {
        let length = u64::from(self.replica.text_length(TEXT));
        let at = u32::try_from(random.below(length + 1)).unwrap();
        self.letters += 1;
        may_cut_a_character(self.replica.text_insert(TEXT, at, &format!("y{} ", self.letters)));
    }

    pub fn receive(
        &mut self,
        arrival: Arrival,
        network: &mut Network,
        random: &mut Random,
        now: Time,
    ) {
        match arrival {
            Arrival::Opened => {
                self.is_open = true;
                let vector = self.replica.known().encode().into();
                self.send(&Message::SyncStep1(vector), network, random, now);
                if self.shown.is_some() {
                    self.send_presence(network, random, now);
                }
            }
            Arrival::Closed => self.lose(now),
            Arrival::Frame(frame) => {
                let message = coweave_core::wire::y_websocket::read_frame(&frame);
                match message.expect("the relay's frames can be read") {
                    Some(Message::SyncStep1(vector)) => {
                        let known = Known::decode(&vector, 1_000).expect("a state vector");
                        let update = self.replica.difference(&known).into();
                        self.send(&Message::SyncStep2(update), network, random, now);
                    }
                    Some(Message::SyncStep2(update)) => {
                        self.replica.apply(&update, &self.limits).expect("an honest update");
                        self.is_synced = true;
                    }
                    Some(Message::Update(update)) => {
                        self.replica.apply(&update, &self.limits).expect("an honest update");
                    }
                    Some(Message::Awareness(bytes)) => self.see(&bytes, network, random, now),
                    Some(Message::Denied(text)) => {
                        self.is_deleted = text.starts_with("room.deleted");
                        let in_between = ["room.unavailable", "relay.degraded"];
                        let is_in_between = in_between.iter().any(|code| text.starts_with(code));
                        assert!(self.is_deleted || is_in_between, "an outside client: {text}");
                    }
                    _ => {}
                }
            }
        }
    }

    fn send(&self, message: &Message, network: &mut Network, random: &mut Random, now: Time) {
        if let Some(socket) = self.socket {
            let arrival = Arrival::Frame(message.to_frame().into());
            network.send(socket, Way::ToRelay, arrival, random, now);
        }
    }

    /// Reconnects when it has to, and sends what was typed.
    pub fn run(&mut self, network: &mut Network, random: &mut Random, now: Time) {
        if self.socket.is_none() && std::mem::take(&mut self.is_deleted) {
            self.replica = Replica::new(client_id(random));
            (self.shown, self.clock) = (None, 0);
            self.seen.clear();
        }
        if self.socket.is_none() && now >= self.retry_at {
            self.socket = Some(network.open(random, now));
        }
        if self.shown.is_some() && now >= self.renew_at {
            self.clock += 1;
            self.renew_at = now + RENEWAL;
            self.send_presence(network, random, now);
        }
        for seen in self.seen.values_mut().filter(|seen| now.since(seen.at) >= OUTDATED) {
            seen.state = None;
        }
        if let Some(update) = self.replica.take_edits()
            && self.is_open
        {
            self.send(&Message::Update(update), network, random, now);
        }
    }

    /// The client's own watchdog, or the network's word.
    pub fn lose(&mut self, now: Time) {
        self.socket = None;
        self.is_open = false;
        self.is_synced = false;
        self.seen.values_mut().for_each(|seen| seen.state = None);
        self.retry_at = now + Duration::from_millis(500);
    }

    pub fn text(&self) -> String {
        self.replica.text_string(TEXT)
    }
}
