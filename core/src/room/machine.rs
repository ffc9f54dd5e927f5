//! The machine of a room: takes inputs, keeps the order, and says what to send and to store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::log::Log;
use super::answers::Answers;
use super::{Input, JoinRequest, Output, Protocol, RoomMessage, StoredRoom, Tombstone};
use crate::doc::deletions::Deletions;
use crate::doc::guard::{self, Mode};
use crate::doc::known::Known;
use crate::error::{Code, Error};
use crate::ids::{ClientId, EditNumber, Lineage, MemberId, Sequence, SessionKey};
use crate::limits::Limits;
use crate::presence::{Outcome, Presence};
use crate::time::{Time, earliest};
use crate::wire::awareness::AwarenessEntry;
use crate::wire::v1::{EditKind, Joined};

/// Outside clients drop a state after 30 s without news, and their connection after 30 s without
/// a message.
const RENEWAL: Duration = Duration::from_secs(15);
/// An outside client cannot be told to come back with an edit, so it is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A snapshot that could not be made or stored is tried again after this, and later each time.
const COMPACT_AGAIN_AFTER: Duration = Duration::from_secs(10);
const COMPACT_PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// How often: longer than a dead connection holds its client id.
const ASK_AGAIN_MAX: u32 = 24;

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
    /// Which members write under a client id; all of one session.
    holders: BTreeMap<ClientId, BTreeSet<MemberId>>,
    presence: Presence,
    /// Accepted edits that wait for the disk, in the order of the log.
    waiting: VecDeque<Waiting>,
    /// Members that are to be told how far their edits have come.
    unacknowledged: BTreeSet<MemberId>,
    degraded: Option<Error>,
    is_draining: bool,
    is_deleted: bool,
    is_compacting: bool,
    compact_after: Time,
    compact_pause: Duration,
    empty_since: Option<Time>,
    renew_at: Time,
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
}

#[derive(Debug)]
struct Waiting {
    sequence: Sequence,
    member: MemberId,
    number: EditNumber,
}

impl Room {
    /// A room as the store has it. The origin of all times is the start of the year 2026, so that
    /// presence clocks rise over restarts of the relay.
    ///
    /// # Errors
    /// `room.unavailable` when the stored bytes are damaged.
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
            holders: BTreeMap::new(),
            presence: Presence::default(),
            waiting: VecDeque::new(),
            unacknowledged: BTreeSet::new(),
            degraded: None,
            is_draining: false,
            is_deleted: false,
            is_compacting: false,
            compact_after: now,
            compact_pause: COMPACT_AGAIN_AFTER,
            empty_since: Some(now),
            renew_at: now + RENEWAL,
            outputs: VecDeque::new(),
        })
    }

    /// Takes an input. Several may be handed in before [`Self::poll`]: acknowledgements are then
    /// sent once for all of them.
    pub fn handle(&mut self, input: Input, now: Time) {
        match input {
            Input::Join { member, request } => self.join(member, &request, now),
            Input::Leave { member } => self.leave(member, now),
            Input::Edit { member, number, kind, update } => {
                if let Err(error) = self.edit(member, number, kind, &update) {
                    self.refuse(member, number, kind, error, now);
                }
            }
            Input::SetPresence { member, state } => self.set_presence(member, state, now),
            Input::Awareness { member, entries } => self.awareness(member, &entries, now),
            Input::Query { member, state_vector } => self.query(member, &state_vector, now),
            Input::Durable { through } => self.durable(through),
            Input::StoreFailed { error } => self.store_failed(error),
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
            Input::Delete => self.delete(now),
            Input::Drain => self.is_draining = true,
        }
    }

    /// What to do next; call until it answers [`Output::Idle`] or [`Output::Unload`].
    pub fn poll(&mut self, now: Time) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        while let Some(to) = self.unacknowledged.pop_first() {
            if let Some(member) = self.members.get(&to) {
                let message = RoomMessage::Ack {
                    accepted: member.accepted,
                    durable: member.durable,
                    sequence: self.log.head(),
                };
                return Output::Send { to, message };
            }
        }
        if let Some(output) = self.compact(now) {
            return output;
        }
        if now >= self.renew_at {
            self.renew_at = now + RENEWAL;
            self.renew(now);
            return self.poll(now);
        }
        let ask_at = self.members.values().filter_map(|member| member.ask_at).min();
        if ask_at.is_some_and(|at| now >= at) {
            self.ask_again(now);
            return self.poll(now);
        }
        let unload_at = self.unload_at();
        if unload_at.is_some_and(|at| now >= at) {
            return Output::Unload;
        }
        let renew_at = (!self.members.is_empty()).then_some(self.renew_at);
        Output::Idle { wake: earliest(ask_at, earliest(renew_at, unload_at)) }
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

    /// State vector of everything accepted so far.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// Everything accepted so far, in order.
    pub fn updates(&self) -> impl Iterator<Item = &Bytes> {
        self.log.updates()
    }

    fn unload_at(&self) -> Option<Time> {
        let since = self.empty_since.filter(|_| self.is_clean() && self.members.is_empty())?;
        Some(since + self.limits.room_linger)
    }

    fn send(&mut self, to: MemberId, message: RoomMessage) {
        self.outputs.push_back(Output::Send { to, message });
    }

    fn join(&mut self, to: MemberId, request: &JoinRequest, now: Time) {
        let updates = match self.admit(request, now) {
            Ok(updates) => updates,
            Err(error) => return self.send(to, RoomMessage::End { error }),
        };
        if let Some(client) = request.client {
            self.holders.entry(client).or_default().insert(to);
        }
        self.empty_since = None;
        if self.members.is_empty() {
            self.renew_at = now + RENEWAL;
        }
        let member = Member {
            session: request.session,
            client: request.client,
            protocol: request.protocol,
            accepted: EditNumber(0),
            durable: EditNumber(0),
            is_refused: false,
            ask_at: None,
            asked: 0,
        };
        self.members.insert(to, member);
        let joined = Joined {
            lineage: self.lineage,
            epoch: self.log.epoch(),
            sequence: self.log.head(),
            sync_bytes: 0,
            state_vector: self.known.encode().into(),
        };
        self.send(to, RoomMessage::Joined { joined, updates });
        let entries: Vec<_> =
            self.presence.all().filter(|entry| Some(entry.client) != request.client).collect();
        if !entries.is_empty() {
            self.send(to, RoomMessage::Presence { entries });
        }
        if self.degraded.is_some() {
            self.send(to, RoomMessage::Durability { degraded: self.degraded.clone() });
        }
    }

    /// Checks a request, and gives the updates that bring the member up to date.
    fn admit(&mut self, request: &JoinRequest, now: Time) -> Result<Vec<Bytes>, Error> {
        if self.is_draining {
            return Err(Error::new(Code::RelayDraining, "the relay is shutting down"));
        }
        if self.members.len() >= self.limits.members_per_room_max {
            let text = format!("the room has its {} connections", self.limits.members_per_room_max);
            return Err(Error::new(Code::RoomFull, text));
        }
        if request.lineage.is_some_and(|lineage| lineage != self.lineage) {
            let text = "the stored room has another history than this copy; nothing was merged";
            return Err(Error::new(Code::RoomLineageMismatch, text));
        }
        if request.client.is_some_and(|client| self.is_held_by_other_session(client, request)) {
            let text = "another session writes under this client id";
            return Err(Error::new(Code::UpdateForeignClient, text));
        }
        let theirs = self.read_state_vector(&request.state_vector)?;
        if request.lineage.is_some()
            && request.epoch == self.log.epoch()
            && request.sequence > Sequence(0)
            && let Some(missing) = self.log.since(request.sequence)
        {
            return Ok(missing.cloned().collect());
        }
        self.answer(&request.state_vector, &theirs, now)
    }

    fn read_state_vector(&self, bytes: &[u8]) -> Result<Known, Error> {
        Known::decode(bytes, self.limits.state_vector_clients_max).map_err(|error| {
            Error::new(Code::FrameMalformed, format!("the state vector cannot be read: {error}"))
        })
    }

    fn is_held_by_other_session(&self, client: ClientId, request: &JoinRequest) -> bool {
        let holders = self.holders.get(&client).into_iter().flatten();
        holders.filter_map(|id| self.members.get(id)).any(|m| m.session != request.session)
    }

    fn leave(&mut self, member: MemberId, now: Time) {
        if self.members.remove(&member).is_none() {
            return;
        }
        self.holders.retain(|_, members| {
            members.remove(&member);
            !members.is_empty()
        });
        let entries = self.presence.leave(member, now);
        if !entries.is_empty() {
            self.broadcast(None, RoomMessage::Presence { entries });
        }
        if self.members.is_empty() {
            self.empty_since = Some(now);
        }
    }

    /// Ends a membership. Nobody but the room tells the room of it.
    fn end(&mut self, member: MemberId, error: Error, now: Time) {
        self.send(member, RoomMessage::End { error });
        self.leave(member, now);
    }

    fn broadcast(&mut self, except: Option<MemberId>, message: RoomMessage) {
        self.outputs.push_back(Output::Broadcast { except, message });
    }

    fn edit(
        &mut self,
        from: MemberId,
        number: EditNumber,
        kind: EditKind,
        update: &Bytes,
    ) -> Result<(), Error> {
        if self.members.get(&from).is_none_or(|member| member.is_refused) {
            return Ok(());
        }
        let sequence = self.accept(from, kind, update)?;
        if let Some(member) = self.members.get_mut(&from) {
            member.accepted = member.accepted.max(number);
            member.asked = 0;
        }
        if sequence <= self.log.durable() {
            self.mark_durable(from, number);
        } else {
            self.waiting.push_back(Waiting { sequence, member: from, number });
        }
        self.unacknowledged.insert(from);
        Ok(())
    }

    /// Takes an update into the order. The answer is the place in the log that has to be durable
    /// before the update counts as durable.
    fn accept(
        &mut self,
        from: MemberId,
        kind: EditKind,
        update: &Bytes,
    ) -> Result<Sequence, Error> {
        if update.len() > self.limits.update_bytes_max {
            let text = format!("an update has at most {} bytes", self.limits.update_bytes_max);
            return Err(Error::new(Code::UpdateTooLarge, text));
        }
        // One update is always taken, however large: it would be refused for ever otherwise.
        let waiting = self.log.undurable_bytes();
        if waiting > 0 && waiting + update.len() > self.limits.undurable_bytes_max {
            let text = "too many edits wait for the relay's disk";
            return Err(Error::new(Code::RelayDegraded, text).with_retry_after_ms(1_000));
        }
        let mode = match kind {
            EditKind::Live => Mode::Live,
            EditKind::Difference => Mode::State,
        };
        let holders = &self.holders;
        let is_foreign =
            |client: ClientId| holders.get(&client).is_some_and(|held| !held.contains(&from));
        let summary = guard::check(update, &self.known, mode, &is_foreign, &self.limits)?;
        let deletions =
            if summary.has_deletes { Deletions::of(update)? } else { Deletions::default() };
        if !summary.is_news && self.deletions.covers(&deletions) {
            return Ok(self.log.head());
        }
        self.deletions.add(&deletions);
        self.known.advance(&summary);
        let sequence = self.log.append(update.clone());
        self.outputs.push_back(Output::Append { sequence, update: update.clone() });
        let message = RoomMessage::Update { sequence, update: update.clone() };
        self.broadcast(Some(from), message);
        Ok(sequence)
    }

    fn refuse(
        &mut self,
        from: MemberId,
        number: EditNumber,
        kind: EditKind,
        error: Error,
        now: Time,
    ) {
        let Some(member) = self.members.get_mut(&from) else { return };
        match (member.protocol, error.code) {
            // A refusal of number 0 is one of a presence state: the member would go on unheard.
            (Protocol::V1, _) if number == EditNumber(0) => return self.end(from, error, now),
            (Protocol::V1, _) => member.is_refused = true,
            (Protocol::YWebsocket, Code::UpdateMissingDependencies) if kind == EditKind::Live => {
                return self.ask_difference(from);
            }
            (
                Protocol::YWebsocket,
                Code::UpdateForeignClient
                | Code::RelayDegraded
                // Its copy waits for something that somebody else has to bring first.
                | Code::UpdateMissingDependencies,
            ) if member.asked < ASK_AGAIN_MAX => {
                member.ask_at = Some(now + ASK_AGAIN_AFTER);
                return;
            }
            // It comes back by itself, and both sides compare what they have.
            (Protocol::YWebsocket, Code::RelayDegraded) => return self.end(from, error, now),
            (Protocol::YWebsocket, _) => {}
        }
        self.send(from, RoomMessage::Refused { number, error });
    }

    fn ask_difference(&mut self, of: MemberId) {
        let state_vector = self.known.encode().into();
        self.send(of, RoomMessage::AskDifference { state_vector });
    }

    fn ask_again(&mut self, now: Time) {
        let mut due = Vec::new();
        for (id, member) in &mut self.members {
            if member.ask_at.take_if(|at| *at <= now).is_some() {
                member.asked += 1;
                due.push(*id);
            }
        }
        due.into_iter().for_each(|member| self.ask_difference(member));
    }

    fn set_presence(&mut self, from: MemberId, state: Option<String>, now: Time) {
        let Some(client) = self.members.get(&from).and_then(|member| member.client) else { return };
        if let Some(entry) = self.presence.set(from, client, state, now) {
            self.broadcast(Some(from), RoomMessage::Presence { entries: vec![entry] });
        }
    }

    fn awareness(&mut self, from: MemberId, entries: &[AwarenessEntry], now: Time) {
        if !self.members.contains_key(&from) {
            return;
        }
        let (mut changed, mut renewed) = (Vec::new(), Vec::new());
        for entry in entries {
            if entry.state.is_some() && !self.may_hold(entry.client, from) {
                let most = self.limits.presence_clients_per_member_max;
                let text = format!("one connection shows at most {most} presence states");
                let error = Error::new(Code::PresenceTooMany, text);
                self.send(from, RoomMessage::Refused { number: EditNumber(0), error });
                break;
            }
            let may_take_over = self.may_take_over(entry.client, from);
            let outcome = self.presence.apply(from, entry, may_take_over, now);
            if entry.state.is_some() && outcome != Outcome::Ignored {
                self.holders.entry(entry.client).or_default().insert(from);
            }
            match outcome {
                Outcome::Ignored => {}
                Outcome::Changed(told) => changed.push(told),
                Outcome::Renewed(told) => renewed.push(told),
            }
        }
        if !changed.is_empty() {
            self.broadcast(Some(from), RoomMessage::Presence { entries: changed });
        }
        if !renewed.is_empty() {
            self.send_to_outside(Some(from), &renewed);
        }
    }

    /// Whether a member may speak for a client. It holds every id that it ever showed something
    /// under, so those are what is counted.
    fn may_hold(&self, client: ClientId, member: MemberId) -> bool {
        let held_by = |members: &BTreeSet<MemberId>| members.contains(&member);
        self.holders.get(&client).is_some_and(held_by)
            || self.holders.values().filter(|members| held_by(members)).count()
                < self.limits.presence_clients_per_member_max
    }

    /// A client id of an outside client may move to a newer connection; one of a `coweave.v1`
    /// session is protected by its session key.
    fn may_take_over(&self, client: ClientId, sender: MemberId) -> bool {
        let holders = self.holders.get(&client).into_iter().flatten().filter(|id| **id != sender);
        holders
            .filter_map(|id| self.members.get(id))
            .all(|member| member.protocol == Protocol::YWebsocket)
    }

    fn send_to_outside(&mut self, except: Option<MemberId>, entries: &[AwarenessEntry]) {
        let outside = self
            .members
            .iter()
            .filter(|(id, member)| member.protocol == Protocol::YWebsocket && Some(**id) != except);
        self.outputs.extend(outside.map(|(to, _)| Output::Send {
            to: *to,
            message: RoomMessage::Presence { entries: entries.to_vec() },
        }));
    }

    /// Outside clients need to hear something at least every 30 s, and each state as often.
    fn renew(&mut self, now: Time) {
        if self.members.values().any(|member| member.protocol == Protocol::YWebsocket) {
            let entries = self.presence.renew(now);
            self.send_to_outside(None, &entries);
        }
    }

    fn answer(&mut self, key: &Bytes, theirs: &Known, now: Time) -> Result<Vec<Bytes>, Error> {
        self.answers.find(&self.log, key, theirs, self.limits.sync_chunk_bytes, now)
    }

    /// Ends the room for all, and has it replaced by its tombstone.
    fn delete(&mut self, now: Time) {
        self.is_deleted = true;
        let members: Vec<_> = self.members.keys().copied().collect();
        for member in members {
            let text = "the room was deleted";
            self.end(member, Error::new(Code::RoomDeleted, text), now);
        }
        let state_vector = self.known.encode().into();
        self.outputs.push_back(Output::Delete { state_vector });
    }

    fn query(&mut self, from: MemberId, state_vector: &Bytes, now: Time) {
        match self.read_state_vector(state_vector) {
            Ok(theirs) => {
                match self.answer(state_vector, &theirs, now) {
                    Ok(updates) => self.send(from, RoomMessage::Difference { updates }),
                    Err(error) => self.end(from, error, now),
                }
            }
            Err(error) => self.end(from, error, now),
        }
    }

    fn durable(&mut self, through: Sequence) {
        self.log.set_durable(through);
        while self.waiting.front().is_some_and(|first| first.sequence <= through) {
            if let Some(done) = self.waiting.pop_front() {
                self.mark_durable(done.member, done.number);
            }
        }
        if self.degraded.take().is_some() {
            self.broadcast(None, RoomMessage::Durability { degraded: None });
        }
    }

    fn mark_durable(&mut self, member: MemberId, number: EditNumber) {
        if let Some(found) = self.members.get_mut(&member) {
            found.durable = found.durable.max(number);
            self.unacknowledged.insert(member);
        }
    }

    fn store_failed(&mut self, error: Error) {
        if self.degraded.is_none() {
            let degraded = Some(error.clone());
            self.broadcast(None, RoomMessage::Durability { degraded });
        }
        self.degraded = Some(error);
    }

    fn compact(&mut self, now: Time) -> Option<Output> {
        if self.is_compacting
            || now < self.compact_after
            || !self.log.wants_compaction(&self.limits)
        {
            return None;
        }
        let (through, updates) = self.log.compaction();
        self.is_compacting = true;
        Some(Output::Compact { through, updates })
    }
}

fn grave(tombstone: &Tombstone) -> Result<(Lineage, Known), Error> {
    let known = Known::decode(&tombstone.state_vector, u64::MAX).map_err(|error| {
        Error::new(Code::RoomDamaged, format!("a tombstone of the room cannot be read: {error}"))
    })?;
    Ok((tombstone.lineage, known))
}
