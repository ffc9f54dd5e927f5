//! The machine of a room: takes inputs, keeps the order, and says what to send and to store.

mod editing;
mod membership;
mod seeding;
mod showing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use self::seeding::Seeding;
use super::answers::Answers;
use super::log::Log;
use super::{Input, Output, Protocol, RoomMessage, StoredRoom, Tombstone};
use crate::doc::deletions::Deletions;
use crate::doc::known::Known;
use crate::error::{Code, Error};
use crate::ids::{ClientId, EditNumber, Lineage, MemberId, Sequence, SessionKey};
use crate::limits::Limits;
use crate::presence::Presence;
use crate::time::{Time, earliest};

/// Outside clients drop a state after 30 s without news, and their connection after 30 s without
/// a message.
const RENEWAL: Duration = Duration::from_secs(15);
/// A snapshot that could not be made or stored is tried again after this, and later each time.
const COMPACT_AGAIN_AFTER: Duration = Duration::from_secs(10);
const COMPACT_PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// A room that has no space left is folded this often at most.
const COMPACT_FULL_PAUSE: Duration = Duration::from_secs(60);

/// One room on the relay. See [`crate::room`].
#[derive(Debug)]
pub struct Room {
    limits: Limits,
    lineage: Lineage,
    log: Log,
    answers: Answers,
    /// Rooms of this name that were deleted, and who wrote in them.
    graves: Vec<(Lineage, Known)>,
    /// What every member can rely on: the next clock of every client.
    known: Known,
    /// What is deleted: an update that brings neither structs nor deletions is no news.
    deletions: Deletions,
    members: BTreeMap<MemberId, Member>,
    /// How many of them speak an outside protocol.
    outside: usize,
    /// Which members write under a client id; all of one session.
    holders: BTreeMap<ClientId, BTreeSet<MemberId>>,
    /// Which `coweave.v1` session wrote first under a client id, also after it has left.
    owners: BTreeMap<ClientId, SessionKey>,
    presence: Presence,
    /// Clients whose state changed since the last tick.
    changed: BTreeSet<ClientId>,
    /// Clients that said the same again: only outside members need to hear it.
    renewed: BTreeSet<ClientId>,
    /// The next tick is not before this.
    tick_at: Time,
    renew_at: Time,
    /// Accepted edits that wait for the disk, in the order of the log.
    waiting: VecDeque<Waiting>,
    /// Members that wait for everything up to a place in the log to be on disk.
    flushes: VecDeque<Flush>,
    /// Members that are to be told how far their edits have come.
    unacknowledged: BTreeSet<MemberId>,
    /// When the first of them is.
    acknowledge_at: Option<Time>,
    degraded: Option<Error>,
    seeding: Option<Seeding>,
    is_draining: bool,
    is_deleted: bool,
    is_compacting: bool,
    /// An edit did not fit: it may when the log is folded.
    is_full: bool,
    compact_after: Time,
    compact_pause: Duration,
    empty_since: Option<Time>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Member {
    session: SessionKey,
    client: Option<ClientId>,
    protocol: Protocol,
    accepted: EditNumber,
    durable: EditNumber,
    /// After a refusal nothing more is taken until the member joins anew: later numbers would
    /// acknowledge the refused one.
    is_refused: bool,
    /// When an outside client is asked for its difference again, and how often it was.
    ask_at: Option<Time>,
    asked: u32,
    /// When it is shown what the others show, unless it says before who it is.
    show_at: Option<Time>,
    /// Its queue overflowed: it gets no broadcasts until it has read what is in there.
    behind: Option<Behind>,
}

/// What a member has seen before its queue overflowed.
#[derive(Debug)]
struct Behind {
    since: Sequence,
    known: Known,
    at: Time,
}

#[derive(Debug)]
struct Waiting {
    sequence: Sequence,
    member: MemberId,
    number: EditNumber,
}

#[derive(Debug)]
struct Flush {
    sequence: Sequence,
    member: MemberId,
    number: u64,
}

impl Room {
    /// A room as the store has it. The origin of all times is the start of the year 2026, so that
    /// presence clocks rise over restarts of the relay.
    ///
    /// # Errors
    /// `room.damaged` when the stored bytes cannot be read.
    pub fn open(stored: StoredRoom, limits: Limits, now: Time) -> Result<Self, Error> {
        let (log, known, deletions) =
            Log::open(stored.epoch, stored.snapshot, stored.tail, &limits)?;
        let graves = stored.tombstones.iter().map(grave).collect::<Result<_, _>>()?;
        Ok(Self {
            limits,
            lineage: stored.lineage,
            log,
            answers: Answers::default(),
            graves,
            known,
            deletions,
            members: BTreeMap::new(),
            outside: 0,
            holders: BTreeMap::new(),
            owners: BTreeMap::new(),
            presence: Presence::default(),
            changed: BTreeSet::new(),
            renewed: BTreeSet::new(),
            tick_at: now,
            renew_at: now + RENEWAL,
            waiting: VecDeque::new(),
            flushes: VecDeque::new(),
            unacknowledged: BTreeSet::new(),
            acknowledge_at: None,
            degraded: None,
            seeding: None,
            is_draining: false,
            is_deleted: false,
            is_compacting: false,
            is_full: false,
            compact_after: now,
            compact_pause: COMPACT_AGAIN_AFTER,
            empty_since: Some(now),
            outputs: VecDeque::new(),
        })
    }

    /// Takes an input. Several may be handed in before [`Self::poll`]: acknowledgements are then
    /// sent once for all of them.
    pub fn handle(&mut self, input: Input, now: Time) {
        let Some(input) = self.hold(input, now) else { return };
        match input {
            Input::Join { member, request } => self.join(member, &request, now),
            Input::Leave { member } => self.leave(member, now),
            Input::Edit { member, number, kind, update } => {
                if let Err(error) = self.edit(member, number, kind, &update, now) {
                    self.refuse(member, number, kind, error, now);
                }
            }
            Input::Seed { member, update } => self.seed(member, &update),
            Input::Flush { member, number } => self.flush(member, number),
            Input::SetPresence { member, state } => self.set_presence(member, state, now),
            Input::Awareness { member, entries } => self.awareness(member, &entries, now),
            Input::Query { member, state_vector } => self.query(member, &state_vector, now),
            Input::Behind { member, since } => self.fall_behind(member, since, now),
            Input::Drained { member } => self.catch_up(member, now),
            Input::Durable { through } => {
                self.durable(through);
                self.end_seeding(now);
            }
            Input::StoreFailed { error } => {
                self.store_failed(error);
                self.seeding_failed(now);
            }
            Input::Compacted { snapshot } => {
                self.is_compacting = false;
                self.compact_pause = COMPACT_AGAIN_AFTER;
                self.log.compacted(snapshot);
            }
            Input::CompactFailed => {
                self.is_compacting = false;
                self.compact_after = now + self.compact_pause;
                self.compact_pause = (self.compact_pause * 2).min(COMPACT_PAUSE_MAX);
            }
            Input::Drain => self.is_draining = true,
            Input::Delete => {
                self.delete(now);
                self.end_seeding(now);
            }
        }
    }

    /// What to do next; call until it answers [`Output::Idle`] or [`Output::Unload`].
    pub fn poll(&mut self, now: Time) -> Output {
        if self.outputs.is_empty() {
            self.run_timers(now);
        }
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if let Some(output) = self.acknowledge(now).or_else(|| self.compact(now)) {
            return output;
        }
        if self.unload_at().is_some_and(|at| now >= at) {
            return Output::Unload;
        }
        Output::Idle { wake: self.wake() }
    }

    /// True when everything accepted is on disk.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.log.is_clean() && !self.is_compacting
    }

    /// How many members are in the room.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The history of the room.
    #[must_use]
    pub const fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The last place in the log.
    #[must_use]
    pub fn head(&self) -> Sequence {
        self.log.head()
    }

    /// What the updates of the room take, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.log.bytes()
    }

    /// State vector of everything accepted so far.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// Everything accepted so far, in order.
    pub fn updates(&self) -> impl Iterator<Item = &Bytes> {
        self.log.updates()
    }

    fn send(&mut self, to: MemberId, message: RoomMessage) {
        self.outputs.push_back(Output::Send { to, message });
    }

    fn run_timers(&mut self, now: Time) {
        if now >= self.tick_at && !(self.changed.is_empty() && self.renewed.is_empty()) {
            self.tick_at = now + self.limits.presence_tick;
            self.tick();
        }
        if now >= self.renew_at {
            self.renew_at = now + RENEWAL;
            self.renew(now);
        }
        if self.outside_at().is_some_and(|at| now >= at) {
            self.ask_again(now);
            self.show_waiting(now);
        }
        self.answers.expire(now);
    }

    fn wake(&self) -> Option<Time> {
        let tick_at =
            (!(self.changed.is_empty() && self.renewed.is_empty())).then_some(self.tick_at);
        let renew_at = (self.outside > 0).then_some(self.renew_at);
        [tick_at, renew_at, self.acknowledge_at, self.outside_at(), self.answers.expire_at()]
            .into_iter()
            .fold(self.unload_at(), earliest)
    }

    /// When an outside member is to be asked or shown something. Rooms without one are spared the
    /// look at every member, which comes with every poll.
    fn outside_at(&self) -> Option<Time> {
        if self.outside == 0 {
            return None;
        }
        let timers = self.members.values().map(|member| earliest(member.ask_at, member.show_at));
        timers.fold(None, earliest)
    }

    fn unload_at(&self) -> Option<Time> {
        let may_go = self.is_clean() && self.members.is_empty() && !self.is_deleted;
        let since = self.empty_since.filter(|_| may_go)?;
        Some(since + self.limits.room_linger)
    }

    /// Folds the log when it has become long, and before a room leaves the memory.
    fn compact(&mut self, now: Time) -> Option<Output> {
        let is_leaving = self.unload_at().is_some_and(|at| now >= at);
        if self.is_compacting
            || self.is_deleted
            || now < self.compact_after
            || !(self.log.wants_compaction(is_leaving, &self.limits)
                || (self.is_full && self.log.may_be_compacted()))
        {
            return None;
        }
        if std::mem::take(&mut self.is_full) {
            self.compact_after = now + COMPACT_FULL_PAUSE;
        }
        let (through, updates) = self.log.compaction();
        self.is_compacting = true;
        Some(Output::Compact { through, updates })
    }

    /// Ends the room for all, and has it replaced by its tombstone.
    fn delete(&mut self, now: Time) {
        if std::mem::replace(&mut self.is_deleted, true) {
            return;
        }
        let members: Vec<_> = self.members.keys().copied().collect();
        for member in members {
            let text = "the room was deleted";
            self.end(member, Error::new(Code::RoomDeleted, text), now);
        }
        let state_vector = self.known.encode().into();
        self.outputs.push_back(Output::Delete { state_vector });
    }
}

fn grave(tombstone: &Tombstone) -> Result<(Lineage, Known), Error> {
    let known = Known::decode(&tombstone.state_vector, u64::MAX).map_err(|error| {
        Error::new(Code::RoomDamaged, format!("a tombstone of the room cannot be read: {error}"))
    })?;
    Ok((tombstone.lineage, known))
}
