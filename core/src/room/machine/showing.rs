//! Presence: what members show, gathered into ticks, and encoded once for all who see it.

use std::collections::{BTreeMap, BTreeSet};

use super::Room;
use crate::error::{Code, Error};
use crate::ids::{ClientId, EditNumber, MemberId};
use crate::presence::Outcome;
use crate::room::{Audience, Output, Protocol, RoomMessage};
use crate::time::Time;
use crate::wire::awareness::{self, AwarenessEntry};

impl Room {
    pub(super) fn set_presence(&mut self, from: MemberId, state: Option<String>, now: Time) {
        let Some(client) = self.members.get(&from).and_then(|member| member.client) else { return };
        if self.presence.set(from, client, state, now) {
            self.changed.insert(client);
        }
    }

    pub(super) fn awareness(&mut self, from: MemberId, entries: &[AwarenessEntry], now: Time) {
        if !self.members.contains_key(&from) {
            return;
        }
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
                Outcome::Changed => drop(self.changed.insert(entry.client)),
                Outcome::Renewed => drop(self.renewed.insert(entry.client)),
            }
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
        // An outside client would take the echo of an own state for a newer one.
        let owners = self.outside_owners(&for_outside);
        for (owner, own) in &owners {
            let others: BTreeSet<_> = for_outside.difference(own).copied().collect();
            if !others.is_empty() {
                let message = self.presence_of(&others);
                self.send(*owner, message);
            }
        }
        if self.outside > owners.len() {
            let message = self.presence_of(&for_outside);
            let (to, except) = (Audience::Outside, owners.into_keys().collect());
            self.outputs.push_back(Output::Broadcast { to, except, message });
        }
    }

    /// Which of these clients outside members speak for.
    fn outside_owners(
        &self,
        clients: &BTreeSet<ClientId>,
    ) -> BTreeMap<MemberId, BTreeSet<ClientId>> {
        let mut owners: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for client in clients {
            let Some(owner) = self.presence.owner(*client) else { continue };
            if self.members.get(&owner).is_some_and(|m| m.protocol == Protocol::YWebsocket) {
                owners.entry(owner).or_default().insert(*client);
            }
        }
        owners
    }

    fn presence_of(&self, clients: &BTreeSet<ClientId>) -> RoomMessage {
        let entries: Vec<_> =
            clients.iter().filter_map(|client| self.presence.entry(*client)).collect();
        RoomMessage::Presence { update: awareness::write(&entries).into() }
    }

    /// Shows everything to a new member.
    pub(super) fn show_all(&mut self, to: MemberId) {
        self.show_since(to, &BTreeSet::new());
    }

    /// Shows everything, and that those are gone which a member may still see.
    pub(super) fn show_since(&mut self, to: MemberId, shown: &BTreeSet<ClientId>) {
        let clients: BTreeSet<_> = self.presence.clients().chain(shown.iter().copied()).collect();
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
