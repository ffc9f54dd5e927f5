//! Presence: what members show, gathered into ticks, and encoded once for all who see it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Member, Room};
use crate::error::{Code, Error};
use crate::ids::{ClientId, EditNumber, MemberId};
use crate::presence::Outcome;
use crate::room::{Audience, Output, Protocol, RoomMessage};
use crate::time::Time;
use crate::wire::awareness::{self, AwarenessEntry};

/// An outside client sends its state with its state vector, when it has one to show.
const SAYS_WHO_IT_IS_WITHIN: Duration = Duration::from_secs(1);

impl Room {
    pub(super) fn set_presence(&mut self, from: MemberId, state: Option<String>, now: Time) {
        let Some(client) = self.members.get(&from).and_then(|member| member.client) else { return };
        if self.presence.set(from, client, state, now) {
            self.changed.insert(client);
        }
    }

    pub(super) fn awareness(&mut self, from: MemberId, entries: &[AwarenessEntry], now: Time) {
        let Some(member) = self.members.get(&from) else { return };
        let is_introduction = member.show_at.is_some() && entries.len() == 1;
        for entry in entries {
            if entry.state.is_some() && !self.may_hold(entry.client, from) {
                let most = self.limits.presence_clients_per_member_max;
                let text = format!("one connection shows at most {most} presence states");
                let error = Error::new(Code::PresenceTooMany, text);
                self.send(from, RoomMessage::Refused { number: EditNumber(0), error });
                break;
            }
            let may_take_over = self.may_take_over(entry.client, from);
            let outcome = self.presence.apply(from, entry, may_take_over, is_introduction, now);
            if entry.state.is_some() && outcome != Outcome::Ignored {
                self.holders.entry(entry.client).or_default().insert(from);
            }
            match outcome {
                Outcome::Ignored => {}
                Outcome::Changed => drop(self.changed.insert(entry.client)),
                Outcome::Renewed => drop(self.renewed.insert(entry.client)),
            }
        }
        if let Some(member) = self.members.get_mut(&from)
            && member.show_at.take().is_some()
        {
            self.show(from, self.presence.clients().collect());
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
    /// session is protected by its session key, and stays its own while it is away.
    fn may_take_over(&self, client: ClientId, sender: MemberId) -> bool {
        if self.owners.contains_key(&client) {
            return false;
        }
        let holders = self.holders.get(&client).into_iter().flatten().filter(|id| **id != sender);
        holders
            .filter_map(|id| self.members.get(id))
            .all(|member| member.protocol == Protocol::YWebsocket)
    }

    /// Tells of everything that changed since the last tick, in one message.
    pub(super) fn tick(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let mut for_outside = std::mem::take(&mut self.renewed);
        if !changed.is_empty() && self.members.len() > self.outside {
            let message = self.presence_of(&changed);
            let (to, except) = (Audience::V1, Vec::new());
            self.outputs.push_back(Output::Broadcast { to, except, message });
        }
        if self.outside == 0 {
            return;
        }
        for_outside.extend(changed);
        let own = self.own_of_outside(&for_outside);
        for (member, own) in &own {
            let others: BTreeSet<_> = for_outside.difference(own).copied().collect();
            if !others.is_empty() {
                let message = self.presence_of(&others);
                self.send(*member, message);
            }
        }
        let is_waiting = |(_, member): &(&MemberId, &Member)| member.show_at.is_some();
        let waiting = self.members.iter().filter(is_waiting).map(|(id, _)| *id);
        let except: BTreeSet<_> = own.into_keys().chain(waiting).collect();
        if self.outside > except.len() {
            let (to, message) = (Audience::Outside, self.presence_of(&for_outside));
            let except = except.into_iter().collect();
            self.outputs.push_back(Output::Broadcast { to, except, message });
        }
    }

    /// Which of these clients outside members speak for. One that is sent its own state takes the
    /// room's clock for its own.
    fn own_of_outside(
        &self,
        clients: &BTreeSet<ClientId>,
    ) -> BTreeMap<MemberId, BTreeSet<ClientId>> {
        let mut own: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for client in clients {
            for holder in self.holders.get(client).into_iter().flatten() {
                let member = self.members.get(holder).filter(|member| member.show_at.is_none());
                if member.is_some_and(|member| member.protocol == Protocol::YWebsocket) {
                    own.entry(*holder).or_default().insert(*client);
                }
            }
        }
        own
    }

    fn presence_of(&self, clients: &BTreeSet<ClientId>) -> RoomMessage {
        let entries: Vec<_> =
            clients.iter().filter_map(|client| self.presence.entry(*client)).collect();
        RoomMessage::Presence { update: awareness::write(&entries).into() }
    }

    /// Shows a new member what the others show. An outside client says first who it is: what an
    /// earlier connection of its own still shows must not come back to it.
    pub(super) fn show_soon(&mut self, to: MemberId, now: Time) {
        match self.members.get_mut(&to) {
            Some(member) if member.protocol == Protocol::YWebsocket => {
                member.show_at = Some(now + SAYS_WHO_IT_IS_WITHIN);
            }
            _ => self.show(to, self.presence.clients().collect()),
        }
    }

    /// Shows everything, and whom a member may still see that is gone.
    pub(super) fn show_since(&mut self, to: MemberId, at: Time) {
        let gone = self.presence.gone_since(at);
        self.show(to, self.presence.clients().chain(gone).collect());
    }

    /// Shows what the others show to members that said who they are, or never do.
    pub(super) fn show_waiting(&mut self, now: Time) {
        let mut due = Vec::new();
        for (id, member) in &mut self.members {
            if member.show_at.take_if(|at| *at <= now).is_some() {
                due.push(*id);
            }
        }
        due.into_iter().for_each(|id| self.show(id, self.presence.clients().collect()));
    }

    fn show(&mut self, to: MemberId, mut clients: BTreeSet<ClientId>) {
        let is_outside =
            self.members.get(&to).is_some_and(|member| member.protocol == Protocol::YWebsocket);
        if is_outside {
            let is_own =
                |client: &ClientId| self.holders.get(client).is_some_and(|held| held.contains(&to));
            clients.retain(|client| !is_own(client));
        }
        if !clients.is_empty() {
            let message = self.presence_of(&clients);
            self.send(to, message);
        }
    }

    /// Outside clients need to hear something at least every 30 s, and each state as often.
    pub(super) fn renew(&mut self, now: Time) {
        if self.outside > 0 {
            let renewed = self.presence.renew(now);
            let message = self.presence_of(&renewed);
            let (to, except) = (Audience::Outside, Vec::new());
            self.outputs.push_back(Output::Broadcast { to, except, message });
        }
    }
}
