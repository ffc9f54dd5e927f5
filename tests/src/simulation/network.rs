//! Connections of the simulated network: in order like TCP, but slow, cut, or silently dead.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::random::Random;
use coweave_core::time::Time;

/// A connection between a client and the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket(pub u64);

/// What arrives at an end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    Opened,
    Frame(Bytes),
    Closed,
}

/// Which way something travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToRelay,
    ToClient,
}

#[derive(Debug, Default)]
struct Pipe {
    queue: VecDeque<(Time, Arrival)>,
    last: Time,
    /// Everything sent from now on is lost without a sign.
    is_dead: bool,
    is_closed: bool,
}

/// All connections.
#[derive(Debug, Default)]
pub struct Network {
    pipes: BTreeMap<Socket, [Pipe; 2]>,
    last: u64,
    delay_ms_max: u64,
}

impl Network {
    pub fn new(delay_ms_max: u64) -> Self {
        Self { delay_ms_max, ..Self::default() }
    }

    /// Opens a connection: the relay sees it first, the client after a round trip.
    pub fn open(&mut self, random: &mut Random, now: Time) -> Socket {
        self.last += 1;
        let socket = Socket(self.last);
        self.pipes.insert(socket, Default::default());
        self.send(socket, Way::ToRelay, Arrival::Opened, random, now);
        socket
    }

    pub fn send(
        &mut self,
        socket: Socket,
        way: Way,
        arrival: Arrival,
        random: &mut Random,
        now: Time,
    ) {
        let delay = Duration::from_millis(random.below(self.delay_ms_max + 1));
        let Some(pipes) = self.pipes.get_mut(&socket) else { return };
        let pipe = &mut pipes[way as usize];
        if pipe.is_dead || pipe.is_closed {
            return;
        }
        pipe.is_closed = arrival == Arrival::Closed;
        pipe.last = pipe.last.max(now + delay);
        pipe.queue.push_back((pipe.last, arrival));
    }

    /// The next arrival that is due.
    pub fn arrive(&mut self, now: Time) -> Option<(Socket, Way, Arrival)> {
        for (socket, pipes) in &mut self.pipes {
            for way in [Way::ToRelay, Way::ToClient] {
                let pipe = &mut pipes[way as usize];
                if pipe.queue.front().is_some_and(|(at, _)| *at <= now) {
                    let (_, arrival) = pipe.queue.pop_front()?;
                    return Some((*socket, way, arrival));
                }
            }
        }
        None
    }

    /// Both ends are told, after what is still under way is lost.
    pub fn cut(&mut self, socket: Socket, now: Time) {
        if let Some(pipes) = self.pipes.get_mut(&socket) {
            for pipe in pipes {
                pipe.queue.clear();
                pipe.is_closed = true;
                pipe.queue.push_back((now, Arrival::Closed));
            }
        }
    }

    /// Nobody is told anything.
    pub fn swallow(&mut self, socket: Socket, way: Way) {
        if let Some(pipes) = self.pipes.get_mut(&socket) {
            pipes[way as usize].is_dead = true;
        }
    }

    pub fn forget(&mut self, socket: Socket) {
        self.pipes.remove(&socket);
    }

    pub fn sockets(&self) -> Vec<Socket> {
        self.pipes.keys().copied().collect()
    }

    pub fn next_at(&self) -> Option<Time> {
        self.pipes.values().flatten().filter_map(|pipe| pipe.queue.front().map(|(at, _)| *at)).min()
    }
}
