//! What a developer gets to see of a session that does not do what it should: figures that cost
//! nothing until somebody asks.

use super::machine::Client;
use super::room::Room;
use crate::error::Error;
use crate::time::Time;

/// How the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is no room to connect for.
    Unneeded,
    /// The next attempt is still to come.
    Waiting,
    /// A socket was asked for.
    Connecting,
    /// The socket is open, and the relay has not greeted yet.
    Greeting,
    /// The relay has greeted.
    Open,
    /// Trying again would not help.
    Stopped,
}

/// Frames and their bytes, since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// The bytes in them.
    pub bytes: u64,
}

impl Traffic {
    pub(super) const fn add(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.bytes += frame.len() as u64;
    }
}

/// An error, and when it happened.
pub type Failure = (Error, Time);

/// What the connection went through, beside what its machine needs to know.
#[derive(Debug)]
pub(super) struct Diary {
    /// When the relay greeted last.
    pub(super) greeted_at: Time,
    /// Why the connection ended last, or could not be made.
    pub(super) failure: Option<Failure>,
    /// When the last ping was sent.
    pub(super) pinged_at: Time,
    /// How long the answer to the last ping took.
    pub(super) round_trip_ms: Option<u64>,
    pub(super) sent: Traffic,
    pub(super) received: Traffic,
}

impl Diary {
    pub(super) const fn new() -> Self {
        let none = Traffic { frames: 0, bytes: 0 };
        Self {
            greeted_at: Time::ZERO,
            failure: None,
            pinged_at: Time::ZERO,
            round_trip_ms: None,
            sent: none,
            received: none,
        }
    }
}

/// The connection of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionReport<'a> {
    /// How it stands.
    pub phase: Phase,
    /// Since when; `None` when it is not needed.
    pub since: Option<Time>,
    /// When the next attempt is made.
    pub retry_at: Option<Time>,
    /// Attempts that failed since a sync was last completed.
    pub attempts: u32,
    /// Why it ended last, or could not be made.
    pub failure: Option<&'a Failure>,
    /// When something last came from the relay.
    pub heard_at: Time,
    /// When the relay is given up if it says nothing.
    pub answer_by: Option<Time>,
    /// How long the answer to the last ping took.
    pub round_trip_ms: Option<u64>,
    /// What went to the relay.
    pub sent: Traffic,
    /// What came from it.
    pub received: Traffic,
    /// The protocol version and the software of the relay that greeted.
    pub relay: Option<(u64, &'a str)>,
}

/// What the device has of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceReport {
    /// Records of the log.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// The bytes of the snapshot before them.
    pub snapshot_bytes: u64,
    /// Writes that wait for the one under way.
    pub waiting: u64,
    /// Whether one is under way.
    pub is_writing: bool,
}

/// A room of a session, beside what [`Room`] shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomReport {
    /// How often the relay ended the membership since the room was last in step with it.
    pub attempts: u32,
    /// Own edits up to this one are on the device.
    pub device_number: u64,
    /// Own edits that wait to become durable, merged ones counted once.
    pub outbox_updates: u64,
    /// Their bytes.
    pub outbox_bytes: u64,
    /// Requests to flush without an answer.
    pub flushes: u64,
    /// How many client ids wrote into the document.
    pub clients: u64,
    /// What they wrote, in elements (characters, for a text), deleted ones included.
    pub elements: u64,
    /// What the device has.
    pub device: DeviceReport,
}

impl Client {
    /// What a developer gets to see of the connection.
    #[must_use]
    #[inline]
    pub fn report(&self) -> ConnectionReport<'_> {
        let (phase, since, retry_at) = self.phase();
        let diary = &self.diary;
        ConnectionReport {
            phase,
            since,
            retry_at,
            attempts: self.backoff.attempts(),
            failure: diary.failure.as_ref(),
            heard_at: self.heard_at,
            answer_by: self.answer_by,
            round_trip_ms: diary.round_trip_ms,
            sent: diary.sent,
            received: diary.received,
            relay: self.welcome.as_ref().map(|it| (it.version, it.agent.as_str())),
        }
    }
}

impl Room {
    /// What a developer gets to see of the room.
    #[must_use]
    #[inline]
    pub fn report(&self) -> RoomReport {
        let (updates, bytes) = self.outbox.size();
        let (clients, elements) = self.replica.known().size();
        RoomReport {
            attempts: self.backoff.attempts(),
            device_number: self.outbox.device().0,
            outbox_updates: updates as u64,
            outbox_bytes: bytes as u64,
            flushes: self.flushes.len() as u64,
            clients: clients as u64,
            elements,
            device: self.device_report(),
        }
    }
}
