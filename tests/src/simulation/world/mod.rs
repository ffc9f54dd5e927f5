//! The world: draws what happens from the seed, then lets everything heal and looks at the result.

mod checks;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use coweave_core::ids::RoomName;
use coweave_core::limits::Limits;
use coweave_core::link;
use coweave_core::random::Random;
use coweave_core::time::Time;

use super::Plan;
use super::actor::Actor;
use super::browser::Browser;
use super::device::Counts;
use super::hostile::Hostile;
use super::network::{Arrival, Network, Socket, Way};
use super::outsider::Outsider;
use super::relay::{Disk, Relay};

/// What a run did, to see that the seeds reach everything.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub edits: u64,
    pub relay_crashes: u64,
    pub client_crashes: u64,
    pub cuts: u64,
    pub swallowed: u64,
    pub disk_failures: u64,
    pub storage_losses: u64,
    pub drains: u64,
    pub device: Counts,
    pub elections: u64,
    pub traps: u64,
    pub hostile_frames: u64,
    pub stalls: u64,
    pub fallen_behind: u64,
    pub relay_folds: u64,
    pub deletions: u64,
    pub deleted_copies: u64,
    pub seeded: u64,
    pub flushed: u64,
    pub carried: u64,
    pub letters: usize,
}

/// One simulated world.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    random: Random,
    now: Time,
    network: Network,
    disk: Disk,
    relay: Option<Relay>,
    relay_back_at: Time,
    browsers: Vec<Rc<RefCell<Browser>>>,
    actors: Vec<Actor>,
    outsiders: Vec<Outsider>,
    hostiles: Vec<Hostile>,
    limits: Limits,
    report: Report,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::from_seed(plan.seed ^ 0x5eed);
        let limits = Limits {
            tail_bytes_max: plan.tail_bytes_max,
            undurable_bytes_max: plan.undurable_bytes_max,
            room_linger: Duration::from_millis(plan.room_linger_ms),
            sync_chunk_bytes: 200,
            send_queue_bytes_max: plan.send_queue_bytes_max,
            ..Limits::default()
        };
        let rooms: Vec<_> = (0..plan.rooms)
            .map(|room| RoomName::parse(&format!("room {room}")).expect("a valid name"))
            .collect();
        let mut browsers: Vec<Rc<RefCell<Browser>>> = Vec::new();
        let mut actors = Vec::new();
        for name in 0..plan.clients {
            if name % plan.tabs == 0 {
                browsers.push(Rc::new(RefCell::new(Browser::new(&mut random))));
            }
            let browser = Rc::clone(&browsers[name / plan.tabs]);
            actors.push(Actor::new(name, rooms.clone(), browser, limits.clone()));
        }
        for actor in &mut actors {
            actor.start(&mut random, Time::ZERO);
        }
        let outsiders = (0..plan.outside_clients)
            .map(|at| Outsider::new(rooms[at % rooms.len()].clone(), limits.clone(), &mut random))
            .collect();
        let hostiles = (0..plan.hostile_clients)
            .map(|_| Hostile::new(rooms.clone(), plan.forges, &mut random))
            .collect();
        let network = Network::new(random.below(150));
        Self {
            relay: Some(Relay::start(limits.clone())),
            relay_back_at: Time::ZERO,
            now: Time::ZERO,
            disk: Disk::default(),
            report: Report::default(),
            plan,
            random,
            network,
            browsers,
            actors,
            outsiders,
            hostiles,
            limits,
        }
    }

    /// Runs the whole plan.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn run(mut self) -> Report {
        for _ in 0..self.plan.steps {
            self.act();
            if self.random.chance(self.plan.fault_percent) {
                self.fault();
            }
            let until = self.now + Duration::from_millis(self.random.below(120));
            self.advance(until, true);
            self.check_ids();
        }
        self.heal();
        self.check();
        self.count_relay();
        for browser in &self.browsers {
            self.report.device.add(&browser.borrow().device.counts);
            self.report.elections += browser.borrow().elections;
        }
        for actor in &self.actors {
            self.report.seeded += actor.seeded;
            self.report.flushed += actor.flushed;
            self.report.deleted_copies += actor.deleted;
            self.report.traps += actor.trapped;
            self.report.carried += actor.carried;
        }
        self.report
    }

    fn act(&mut self) {
        for hostile in &mut self.hostiles {
            let at = usize::try_from(self.random.below(self.actors.len() as u64)).unwrap();
            if let Some(victim) = self.actors[at].client_id() {
                hostile.look_at(victim);
            }
            self.report.hostile_frames += 1;
            hostile.act(&mut self.network, &mut self.random, self.now);
        }
        let at = usize::try_from(self.random.below(self.actors.len() as u64)).unwrap();
        match self.random.below(12) {
            11 => self.actors[at].wander(&mut self.random, self.now),
            10 => self.actors[at].flush(&mut self.random, self.now),
            0 => self.actors[at].show(&mut self.random, self.now),
            1 => self.actors[at].probe(self.now),
            2 => {
                if let Some(outsider) = self.outsiders.first_mut() {
                    outsider.edit(&mut self.random);
                    self.report.edits += 1;
                    if self.random.chance(30) {
                        outsider.show(&mut self.network, &mut self.random, self.now);
                    }
                }
            }
            _ if at < self.plan.viewers => {}
            _ => {
                for _ in 0..=self.random.below(3) {
                    self.actors[at].edit(&mut self.random);
                    self.report.edits += 1;
                }
            }
        }
    }

    fn fault(&mut self) {
        let sockets = self.network.sockets();
        let pick = self.random.below(sockets.len().max(1) as u64);
        let socket = sockets.get(usize::try_from(pick).unwrap()).copied();
        let at = usize::try_from(self.random.below(self.actors.len() as u64)).unwrap();
        match self.random.below(17) {
            15 => self.actors[at].trap(&mut self.network, &mut self.random, self.now),
            0..4 => {
                if let Some(socket) = socket {
                    self.report.cuts += 1;
                    self.network.cut(socket, self.now);
                }
            }
            4..6 => {
                if let Some(socket) = socket {
                    self.report.swallowed += 1;
                    let way = if self.random.chance(50) { Way::ToRelay } else { Way::ToClient };
                    self.network.swallow(socket, way);
                }
            }
            6 if self.random.chance(50) => self.drain_relay(),
            6 | 7 => self.crash_relay(),
            8 | 9 => {
                self.report.client_crashes += 1;
                self.actors[at].crash(&mut self.network, &mut self.random, self.now);
                let away = if self.random.chance(50) { self.random.below(5_000) } else { 0 };
                self.actors[at].back_at = self.now + Duration::from_millis(away);
            }
            10 => {
                self.report.disk_failures += 1;
                let longest = if self.random.chance(20) { 30_000 } else { 1_500 };
                let until = self.now + Duration::from_millis(self.random.below(longest));
                if let Some(relay) = &mut self.relay {
                    relay.fail_disk(until);
                }
            }
            11 | 12 => {
                if let Some((socket, relay)) = socket.zip(self.relay.as_mut()) {
                    self.report.stalls += 1;
                    let longest = if self.random.chance(30) { 60_000 } else { 4_000 };
                    relay.stall(
                        socket,
                        self.now + Duration::from_millis(self.random.below(longest)),
                    );
                }
            }
            13 => {
                let pick = self.random.below(self.disk.rooms.len().max(1) as u64);
                if self.random.chance(40)
                    && let Some(relay) = &mut self.relay
                    && let Some(name) = self.disk.rooms.keys().nth(usize::try_from(pick).unwrap())
                    && relay.delete(name, self.now)
                {
                    self.report.deletions += 1;
                }
            }
            _ => self.fail_device(at),
        }
    }

    /// The store of a browser fails, or loses something.
    fn fail_device(&mut self, at: usize) {
        let browser = at / self.plan.tabs;
        let device = |world: &Self| Rc::clone(&world.browsers[browser]);
        match self.random.below(12) {
            0..2 => {
                self.report.storage_losses += 1;
                self.actors[at].lose_storage(&mut self.random, self.now);
            }
            2..6 => {
                let longest = if self.random.chance(10) { 10_000 } else { 1_500 };
                let until = self.now + Duration::from_millis(self.random.below(longest));
                device(self).borrow_mut().device.fail(until);
            }
            6..8 => self.tell_of_lost_connection(browser),
            8..11 => {
                let name = self.actors[at].any_room(&mut self.random);
                let name = self.random.chance(70).then_some(&name);
                device(self).borrow_mut().device.empty(name);
                if self.random.chance(50) {
                    self.tell_of_lost_connection(browser);
                }
            }
            _ => device(self).borrow_mut().device.damage(&mut self.random),
        }
    }

    /// The browser closes its database.
    fn tell_of_lost_connection(&mut self, browser: usize) {
        let tabs = self.actors.chunks_mut(self.plan.tabs).nth(browser);
        for actor in tabs.into_iter().flatten() {
            actor.check_store(&mut self.random, self.now);
        }
    }

    fn crash_relay(&mut self) {
        self.count_relay();
        let Some(relay) = self.relay.take() else { return };
        self.report.relay_crashes += 1;
        relay.crash(&mut self.disk, &mut self.random);
        for socket in self.network.sockets() {
            self.network.cut(socket, self.now);
        }
        self.relay_back_at = self.now + Duration::from_millis(self.random.below(3_000));
        self.check_disk();
    }

    fn count_relay(&mut self) {
        if let Some(relay) = &mut self.relay {
            self.report.fallen_behind += std::mem::take(&mut relay.fallen_behind);
            self.report.relay_folds += std::mem::take(&mut relay.folds);
        }
    }

    /// The relay is asked to stop: it sends everybody away, and brings everything to disk.
    fn drain_relay(&mut self) {
        self.count_relay();
        let Some(relay) = self.relay.take() else { return };
        self.report.drains += 1;
        let retry_after_ms = 100 + self.random.below(400);
        relay.drain(retry_after_ms, &mut self.disk, &mut self.network, &mut self.random, self.now);
        self.relay_back_at = self.now + Duration::from_millis(self.random.below(1_000));
        self.check_disk();
    }

    /// Lets time pass.
    fn advance(&mut self, until: Time, with_faults: bool) {
        loop {
            self.step(with_faults);
            let relay = self.relay.as_ref().and_then(Relay::next_at);
            let actors = self.actors.iter().filter_map(Actor::next_at);
            let next = actors.chain(relay).chain(self.network.next_at()).min();
            // Links and rooms have timers of their own; a step is never longer than this.
            let next = next.unwrap_or(until).max(self.now + Duration::from_millis(1));
            let next = next.min(self.now + Duration::from_millis(100));
            if next > until {
                self.now = until;
                return;
            }
            self.now = next;
        }
    }

    fn step(&mut self, with_faults: bool) {
        let now = self.now;
        if self.relay.is_none() && now >= self.relay_back_at {
            self.relay = Some(Relay::start(self.limits.clone()));
        }
        while let Some((socket, way, arrival)) = self.network.arrive(now) {
            match way {
                Way::ToRelay => self.arrive_at_relay(socket, arrival),
                Way::ToClient => self.arrive_at_client(socket, arrival),
            }
        }
        let repeats = with_faults && self.plan.fault_percent > 10;
        for actor in &mut self.actors {
            if actor.process.is_none() && now >= actor.back_at {
                actor.start(&mut self.random, now);
            }
            actor.run(&mut self.network, &mut self.random, repeats, now);
        }
        for outsider in &mut self.outsiders {
            outsider.run(&mut self.network, &mut self.random, now);
        }
        if let Some(relay) = &mut self.relay {
            relay.run(&mut self.disk, &mut self.network, &mut self.random, now);
        }
    }

    fn arrive_at_relay(&mut self, socket: Socket, arrival: Arrival) {
        let now = self.now;
        let Some(relay) = &mut self.relay else {
            // Nobody listens.
            if arrival != Arrival::Closed {
                self.network.cut(socket, now);
            }
            return;
        };
        match arrival {
            Arrival::Opened => {
                let outside = self.outsiders.iter().find(|o| o.socket == Some(socket));
                let hostile = self.hostiles.iter().find(|h| h.socket == Some(socket));
                let room = outside.map(|o| o.room.clone());
                let room = room.or_else(|| hostile.and_then(|h| h.outside_room.clone()));
                relay.accept(socket, room, now);
                self.network.send(socket, Way::ToClient, Arrival::Opened, &mut self.random, now);
            }
            Arrival::Frame(frame) => relay.receive(socket, link::Input::Frame(frame), now),
            Arrival::Closed => relay.drop_connection(socket, now),
        }
    }

    fn arrive_at_client(&mut self, socket: Socket, arrival: Arrival) {
        let now = self.now;
        let is_over = arrival == Arrival::Closed;
        if let Some(actor) = self.actors.iter_mut().find(|actor| actor.socket() == Some(socket)) {
            actor.receive(arrival, now);
        } else if let Some(outsider) =
            self.outsiders.iter_mut().find(|outsider| outsider.socket == Some(socket))
        {
            outsider.receive(arrival, &mut self.network, &mut self.random, now);
        } else if let Some(hostile) =
            self.hostiles.iter_mut().find(|hostile| hostile.socket == Some(socket))
        {
            hostile.receive(&arrival);
        }
        if is_over {
            if let Some(relay) = &mut self.relay {
                relay.drop_connection(socket, now);
            }
            self.network.forget(socket);
        }
    }

    /// No more faults; everybody has to find back by itself.
    fn heal(&mut self) {
        if let Some(relay) = &mut self.relay {
            relay.fail_disk(self.now);
        }
        for browser in &self.browsers {
            browser.borrow_mut().device.fail(self.now);
        }
        for hostile in &mut self.hostiles {
            if let Some(socket) = hostile.socket {
                self.network.cut(socket, self.now);
            }
        }
        // An outside client's own watchdog: 30 s of silence.
        for at in 0..self.outsiders.len() {
            if let Some(socket) = self.outsiders[at].socket {
                self.network.cut(socket, self.now);
            }
        }
        // Dead lines have to be noticed: a client asks after 20 s of silence, a relay waits for 60 s.
        self.advance(self.now + Duration::from_secs(90), false);
        let limit = self.now + Duration::from_secs(300);
        loop {
            let until = self.now + Duration::from_millis(500);
            self.advance(until, false);
            let is_settled = self.actors.iter().all(Actor::is_settled)
                && self.outsiders.iter().all(|outsider| outsider.is_synced)
                && self.relay.as_ref().is_some_and(Relay::is_clean)
                && self.network.next_at().is_none()
                && self.is_all_brought();
            if is_settled {
                return;
            }
            assert!(self.now < limit, "not settled after five quiet minutes: {:#?}", self.states());
        }
    }
}
