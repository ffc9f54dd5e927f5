//! Edits: into the order, out to the others, and acknowledged as far as they have come.

use std::time::Duration;

use bytes::Bytes;

use super::{Flush, Room, Waiting};
use crate::doc::deletions::Deletions;
use crate::doc::equivocation::contradiction;
use crate::doc::guard::{self, Mode, Summary};
use crate::error::{Code, Error};
use crate::ids::{ClientId, EditNumber, MemberId, Sequence};
use crate::room::{Audience, Output, Protocol, RoomMessage};
use crate::time::{Time, earliest};
use crate::wire::v1::EditKind;

/// That an edit was taken is told within this time.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_millis(250);
/// An outside client cannot be told to come back with an edit, so it is asked again after this.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often: longer than a dead connection holds its client id.
const ASK_AGAIN_MAX: u32 = 24;

impl Room {
    pub(super) fn edit(
        &mut self,
        from: MemberId,
        number: EditNumber,
        kind: EditKind,
        update: &Bytes,
        now: Time,
    ) -> Result<(), Error> {
        if self.members.get(&from).is_none_or(|member| member.is_refused) {
            return Ok(());
        }
        let mode = match kind {
            EditKind::Live => Mode::Live,
            EditKind::Difference => Mode::State,
        };
        let sequence = self.accept(from, mode, update, Some(from))?;
        if let Some(member) = self.members.get_mut(&from) {
            member.accepted = member.accepted.max(number);
            member.asked = 0;
        }
        if sequence <= self.log.durable() {
            self.mark_durable(from, number);
        } else {
            self.wait(Waiting { sequence, member: from, number });
            self.acknowledge_by(from, now + ACKNOWLEDGE_WITHIN);
        }
        Ok(())
    }

    fn wait(&mut self, waiting: Waiting) {
        match self.waiting.back_mut() {
            // Edits that bring nothing new wait for the same place.
            Some(last) if last.sequence == waiting.sequence && last.member == waiting.member => {
                last.number = last.number.max(waiting.number);
            }
            _ => self.waiting.push_back(waiting),
        }
    }

    /// Takes an update into the order. The answer is the place in the log that has to be durable
    /// before the update counts as durable.
    pub(super) fn accept(
        &mut self,
        from: MemberId,
        mode: Mode,
        update: &Bytes,
        except: Option<MemberId>,
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
        let summary =
            guard::check(update, &self.known, mode, &|id| self.is_foreign(id, from), &self.limits)?;
        let deletions =
            if summary.has_deletes { Deletions::of(update)? } else { Deletions::default() };
        if !summary.is_news && self.deletions.covers(&deletions) {
            return Ok(self.log.head());
        }
        self.compare(update, &summary)?;
        if summary.has_nested {
            self.log.check_nesting(update, &self.limits)?;
        }
        let most = self.limits.room_bytes_max;
        // Deletions are what makes a room smaller again: they fit when nothing else does.
        let spare = if summary.is_news { 0 } else { most / 8 };
        if self.log.bytes() + update.len() > most.saturating_add(spare) {
            self.is_full = true;
            let text = format!("a room has at most {most} bytes");
            return Err(Error::new(Code::RoomTooLarge, text));
        }
        self.own(from, &summary);
        self.deletions.add(&deletions);
        self.known.advance(&summary);
        let sequence = self.log.append(update.clone());
        self.outputs.push_back(Output::Append { sequence, update: update.clone() });
        let message = RoomMessage::Update { sequence, update: update.clone() };
        let (to, except) = (Audience::Everybody, except.into_iter().collect());
        self.outputs.push_back(Output::Broadcast { to, except, message });
        Ok(sequence)
    }

    /// What is known already has to be what it was: replicas keep what they were told first.
    fn compare(&self, update: &Bytes, summary: &Summary) -> Result<(), Error> {
        if summary.ranges.iter().all(|range| range.start >= self.known.next(range.client)) {
            return Ok(());
        }
        let mut log = self.log.updates().map(AsRef::as_ref);
        let Some((client, clock)) = contradiction(update, &self.known, &mut log)? else {
            return Ok(());
        };
        let text = format!(
            "the update says something else than before as client {} at clock {clock}: two clients \
             write under one id",
            client.get()
        );
        Err(Error::new(Code::UpdateContradiction, text))
    }

    /// Whether another session writes under a client id, or has done so. The tabs of a browser are
    /// one session, and bring each other's edits.
    fn is_foreign(&self, client: ClientId, member: MemberId) -> bool {
        let session = self.members.get(&member).map(|member| member.session);
        let mut holders = self.holders.get(&client).into_iter().flatten();
        let is_other = |id| self.members.get(id).map(|member| member.session) != session;
        holders.any(is_other)
            || self.owners.get(&client).is_some_and(|owner| Some(*owner) != session)
    }

    /// Notes whose client id it is that a session writes under. To be there under an id is not
    /// enough: somebody who does not mean well could keep its owner out of the room.
    fn own(&mut self, id: MemberId, summary: &Summary) {
        if let Some(member) = self.members.get(&id)
            && let Some(client) = member.client
            && let Some(range) = summary.ranges.iter().find(|range| range.client == client)
            && range.end > self.known.next(client)
        {
            self.owners.entry(client).or_insert(member.session);
        }
    }

    pub(super) fn refuse(
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

    pub(super) fn ask_again(&mut self, now: Time) {
        let mut due = Vec::new();
        for (id, member) in &mut self.members {
            if member.ask_at.take_if(|at| *at <= now).is_some() {
                member.asked += 1;
                due.push(*id);
            }
        }
        due.into_iter().for_each(|member| self.ask_difference(member));
    }

    /// Answers when everything is on disk that is in the order now.
    pub(super) fn flush(&mut self, member: MemberId, number: u64) {
        // Edits before it were dropped: it is asked for again behind them.
        if self.members.get(&member).is_none_or(|member| member.is_refused) {
            return;
        }
        let sequence = self.log.head();
        if sequence <= self.log.durable() {
            self.flushed(member, number);
        } else {
            self.flushes.push_back(Flush { sequence, member, number });
        }
    }

    pub(super) fn durable(&mut self, through: Sequence) {
        self.log.set_durable(through);
        while let Some(done) = self.waiting.pop_front_if(|first| first.sequence <= through) {
            self.mark_durable(done.member, done.number);
        }
        while let Some(done) = self.flushes.pop_front_if(|first| first.sequence <= through) {
            self.flushed(done.member, done.number);
        }
        if self.degraded.take().is_some() {
            self.tell_durability();
        }
    }

    /// The member's watermarks go first: when it learns that all is on disk, they say so too.
    fn flushed(&mut self, to: MemberId, number: u64) {
        if self.unacknowledged.remove(&to) {
            let acknowledgement = self.acknowledgement(to);
            self.outputs.extend(acknowledgement);
        }
        self.send(to, RoomMessage::Flushed { number });
    }

    fn mark_durable(&mut self, member: MemberId, number: EditNumber) {
        if let Some(found) = self.members.get_mut(&member) {
            found.durable = found.durable.max(number);
            self.acknowledge_by(member, Time::ZERO);
        }
    }

    /// A member is to be told how far its edits have come. That they are in the order can wait for
    /// the word that they are on disk, which mostly comes before this time.
    pub(super) fn acknowledge_by(&mut self, member: MemberId, at: Time) {
        // Outside protocols have no word for it.
        if self.members.get(&member).is_some_and(|member| member.protocol == Protocol::V1) {
            self.unacknowledged.insert(member);
            self.acknowledge_at = earliest(self.acknowledge_at, Some(at));
        }
    }

    pub(super) fn store_failed(&mut self, error: Error) {
        if self.degraded.replace(error).is_none() {
            self.tell_durability();
        }
    }

    fn tell_durability(&mut self) {
        let message = RoomMessage::Durability { degraded: self.degraded.clone() };
        let (to, except) = (Audience::Everybody, Vec::new());
        self.outputs.push_back(Output::Broadcast { to, except, message });
    }

    /// The next acknowledgement that is due; with the first all others go out.
    pub(super) fn acknowledge(&mut self, now: Time) -> Option<Output> {
        if self.acknowledge_at.is_none_or(|at| now < at) {
            return None;
        }
        while let Some(to) = self.unacknowledged.pop_first() {
            if let Some(output) = self.acknowledgement(to) {
                return Some(output);
            }
        }
        self.acknowledge_at = None;
        None
    }

    fn acknowledgement(&self, to: MemberId) -> Option<Output> {
        let member = self.members.get(&to)?;
        let message = RoomMessage::Ack {
            accepted: member.accepted,
            durable: member.durable,
            sequence: match &member.behind {
                Some(behind) => behind.since,
                None => self.told(),
            },
        };
        Some(Output::Send { to, message })
    }
}
