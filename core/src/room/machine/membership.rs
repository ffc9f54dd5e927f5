//! Who is in the room: joining, leaving, falling behind and catching up.

use bytes::Bytes;

use super::{Behind, Member, RENEWAL, Room};
use crate::doc::known::Known;
use crate::error::{Code, Error};
use crate::ids::{ClientId, EditNumber, MemberId, Sequence};
use crate::room::answers;
use crate::room::{JoinRequest, Protocol, RoomMessage};
use crate::time::Time;
use crate::wire::v1::{Joined, Role};

impl Room {
    pub(super) fn join(&mut self, to: MemberId, request: &JoinRequest, now: Time) {
        let updates = match self.admit(request, now) {
            Ok(updates) => updates,
            Err(error) => return self.send(to, RoomMessage::End { error }),
        };
        if let Some(client) = request.client {
            self.holders.entry(client).or_default().insert(to);
        }
        self.empty_since = None;
        if request.protocol == Protocol::YWebsocket {
            if self.outside == 0 {
                self.renew_at = now + RENEWAL;
            }
            self.outside += 1;
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
            show_at: None,
            behind: None,
        };
        self.members.insert(to, member);
        let joined = Joined {
            lineage: self.lineage,
            epoch: self.log.epoch(),
            sequence: self.log.head(),
            sync_bytes: 0,
            state_vector: self.known.encode().into(),
            role: Role::Editor,
        };
        self.send(to, RoomMessage::Joined { joined, updates });
        self.show_soon(to, now);
        if self.degraded.is_some() {
            self.send(to, RoomMessage::Durability { degraded: self.degraded.clone() });
        }
    }

    /// Checks a request, and gives the updates that bring the member up to date.
    fn admit(&mut self, request: &JoinRequest, now: Time) -> Result<Vec<Bytes>, Error> {
        if self.is_draining {
            return Err(Error::new(Code::RelayDraining, "the relay is shutting down"));
        }
        if self.is_deleted {
            let text = "the room is being deleted; come back in a moment";
            return Err(Error::new(Code::RoomUnavailable, text));
        }
        if self.members.len() >= self.limits.members_per_room_max {
            let text = format!("the room has its {} connections", self.limits.members_per_room_max);
            return Err(Error::new(Code::RoomFull, text));
        }
        let theirs = self.read_state_vector(&request.state_vector)?;
        if self.is_of_deleted(request, &theirs) {
            let text = "the room that this copy belongs to was deleted; nothing was merged";
            return Err(Error::new(Code::RoomDeleted, text));
        }
        if request.lineage.is_some_and(|lineage| lineage != self.lineage) {
            let text = "the stored room has another history than this copy; nothing was merged";
            return Err(Error::new(Code::RoomLineageMismatch, text));
        }
        if request.client.is_some_and(|client| self.is_held_by_other_session(client, request)) {
            let text = "another session writes under this client id";
            return Err(Error::new(Code::UpdateForeignClient, text));
        }
        if request.lineage.is_some()
            && request.epoch == self.log.epoch()
            && request.sequence > Sequence(0)
            && let Some(missing) = self.log.since(request.sequence)
        {
            return Ok(missing.cloned().collect());
        }
        self.answer(&request.state_vector, &theirs, now)
    }

    /// Whether a copy belongs to a room of this name that was deleted. An outside client cannot
    /// name its history, but it shows who wrote in its copy.
    fn is_of_deleted(&self, request: &JoinRequest, theirs: &Known) -> bool {
        let wrote_there = |dead: &Known| {
            theirs.iter().any(|(client, _)| dead.next(client) > 0 && self.known.next(client) == 0)
        };
        self.graves.iter().any(|(lineage, dead)| match request.lineage {
            Some(theirs) => theirs == *lineage,
            None => wrote_there(dead),
        })
    }

    fn read_state_vector(&self, bytes: &[u8]) -> Result<Known, Error> {
        Known::decode(bytes, self.limits.state_vector_clients_max).map_err(|error| {
            Error::new(Code::FrameMalformed, format!("the state vector cannot be read: {error}"))
        })
    }

    fn is_held_by_other_session(&self, client: ClientId, request: &JoinRequest) -> bool {
        let holders = self.holders.get(&client).into_iter().flatten();
        holders.filter_map(|id| self.members.get(id)).any(|m| m.session != request.session)
            || self.owners.get(&client).is_some_and(|owner| *owner != request.session)
    }

    fn answer(&mut self, key: &Bytes, theirs: &Known, now: Time) -> Result<Vec<Bytes>, Error> {
        self.answers.find(&self.log, key, theirs, self.limits.sync_chunk_bytes, now)
    }

    pub(super) fn leave(&mut self, id: MemberId, now: Time) {
        let Some(member) = self.members.remove(&id) else { return };
        if member.protocol == Protocol::YWebsocket {
            self.outside -= 1;
        }
        self.holders.retain(|_, members| {
            members.remove(&id);
            !members.is_empty()
        });
        self.changed.extend(self.presence.leave(id, now));
        if self.members.is_empty() {
            self.empty_since = Some(now);
        }
    }

    /// Ends a membership. Nobody but the room tells the room of it.
    pub(super) fn end(&mut self, member: MemberId, error: Error, now: Time) {
        self.send(member, RoomMessage::End { error });
        self.leave(member, now);
    }

    pub(super) fn query(&mut self, from: MemberId, state_vector: &Bytes, now: Time) {
        let answer = self
            .read_state_vector(state_vector)
            .and_then(|theirs| self.answer(state_vector, &theirs, now));
        match answer {
            Ok(updates) => self.send(from, RoomMessage::Difference { updates }),
            Err(error) => self.end(from, error, now),
        }
    }

    /// Notes what a member has that gets no broadcasts any more.
    pub(super) fn fall_behind(&mut self, id: MemberId, since: Sequence, now: Time) {
        let known = match self.log.since(since) {
            Some(missed) => self.known.before(missed),
            None => Known::new(),
        };
        if let Some(member) = self.members.get_mut(&id) {
            member.behind.get_or_insert(Behind { since, known, at: now });
        }
    }

    /// Brings a member up to date in one go that has been behind.
    pub(super) fn catch_up(&mut self, id: MemberId, now: Time) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(Behind { since, known, at }) = member.behind.take() else { return };
        let few = answers::few_behind(&self.log, since).map(|few| few.cloned().collect());
        let updates = few.map_or_else(|| self.answer(&known.encode().into(), &known, now), Ok);
        let updates = match updates {
            Ok(updates) => updates,
            Err(error) => return self.end(id, error, now),
        };
        self.send(id, RoomMessage::CaughtUp { since, sequence: self.log.head(), updates });
        self.show_since(id, at);
        self.acknowledge_by(id, now);
        self.send(id, RoomMessage::Durability { degraded: self.degraded.clone() });
    }
}
