//! Presence of one room on the relay: who shows what, owned by connections, stamped by the room.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{ClientId, MemberId};
use crate::time::Time;
use crate::wire::awareness::AwarenessEntry;

/// Clocks of the room start here; clients of y-protocols count their own from 0. So a clock tells
/// a client's own word from a mere echo of ours, which y-websocket clients send back.
const ROOM_CLOCK_MIN: u64 = 1 << 28;
/// The wire has 32 bits.
const CLOCK_MAX: u64 = u32::MAX as u64;
/// So many tenths of a second may lie between a departure and its being told.
const GONE_SLACK: u64 = 20;
/// Clocks of clients that left, kept so that the same id does not start behind its own past.
const DEPARTED_MAX: usize = 10_000;

/// What became of a state that a member sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Old news, an echo, or a word about somebody else.
    Ignored,
    /// To be told to the others; the state is new.
    Changed,
    /// To be told to members whose protocol forgets what is not renewed; the state is the same.
    Renewed,
}

/// The presence states of a room.
#[derive(Debug, Default)]
pub struct Presence {
    present: BTreeMap<ClientId, State>,
    departed: BTreeMap<ClientId, u64>,
}

#[derive(Debug)]
struct State {
    owner: MemberId,
    json: String,
    /// The room's clock, which everybody sees.
    clock: u64,
    /// The owner's own clock, when its protocol has one.
    owner_clock: Option<u64>,
}

impl Presence {
    /// Sets or clears a state for a member whose id is known; true when that is to be told.
    pub fn set(
        &mut self,
        owner: MemberId,
        client: ClientId,
        json: Option<String>,
        now: Time,
    ) -> bool {
        let Some(json) = json else {
            return self.owner(client) == Some(owner) && self.remove(client, now);
        };
        let clock = self.stamp(client, now);
        self.departed.remove(&client);
        self.present.insert(client, State { owner, json, clock, owner_clock: None });
        true
    }

    /// Takes one entry of an awareness update. `may_take_over` says whether the sender may speak
    /// for a client that it does not speak for yet (a reconnected outside client), and
    /// `is_introduction` that it speaks of one client before it was told of any.
    pub fn apply(
        &mut self,
        sender: MemberId,
        entry: &AwarenessEntry,
        may_take_over: bool,
        is_introduction: bool,
        now: Time,
    ) -> Outcome {
        let is_own = self.owner(entry.client) == Some(sender);
        if !is_own && !is_introduction && self.may_be_echo(entry) {
            return Outcome::Ignored;
        }
        if !is_own && !may_take_over {
            return Outcome::Ignored;
        }
        if let Some(held) = self.present.get(&entry.client) {
            let is_news = held.owner_clock.is_none_or(|clock| {
                entry.clock > clock || (entry.clock == clock && (entry.state.is_none() || !is_own))
            });
            if !is_news || (!is_own && entry.state.is_none()) {
                return Outcome::Ignored;
            }
        }
        let Some(json) = entry.state.clone() else {
            return if self.remove(entry.client, now) {
                Outcome::Changed
            } else {
                Outcome::Ignored
            };
        };
        let is_same = self.present.get(&entry.client).is_some_and(|held| held.json == json);
        self.set(sender, entry.client, Some(json), now);
        if let Some(state) = self.present.get_mut(&entry.client) {
            state.owner_clock = Some(entry.clock);
        }
        if is_same { Outcome::Renewed } else { Outcome::Changed }
    }

    /// Removes everything that a member showed, and names it.
    pub fn leave(&mut self, member: MemberId, now: Time) -> Vec<ClientId> {
        let mut owned: Vec<_> = self.clients().collect();
        owned.retain(|client| self.owner(*client) == Some(member) && self.remove(*client, now));
        owned
    }

    /// All clients that show something.
    pub fn clients(&self) -> impl Iterator<Item = ClientId> {
        self.present.keys().copied()
    }

    /// Who speaks for a client.
    #[must_use]
    pub fn owner(&self, client: ClientId) -> Option<MemberId> {
        self.present.get(&client).map(|state| state.owner)
    }

    /// What a client shows, or that it is gone; `None` when it never was here.
    #[must_use]
    pub fn entry(&self, client: ClientId) -> Option<AwarenessEntry> {
        match self.present.get(&client) {
            Some(State { clock, json, .. }) => {
                Some(AwarenessEntry { client, clock: *clock, state: Some(json.clone()) })
            }
            None => {
                let clock = *self.departed.get(&client)?;
                Some(AwarenessEntry { client, clock, state: None })
            }
        }
    }

    /// Clients that went at this time or later, and perhaps some that went shortly before.
    pub fn gone_since(&self, at: Time) -> impl Iterator<Item = ClientId> {
        let least = by_time(at).saturating_sub(GONE_SLACK);
        self.departed.iter().filter(move |(_, clock)| **clock >= least).map(|(client, _)| *client)
    }

    /// Stamps the states whose owners do not renew them by themselves, and names them.
    pub fn renew(&mut self, now: Time) -> BTreeSet<ClientId> {
        let is_still =
            |(client, state): (&ClientId, &State)| state.owner_clock.is_none().then_some(*client);
        let still: BTreeSet<_> = self.present.iter().filter_map(is_still).collect();
        for client in &still {
            let clock = self.stamp(*client, now);
            if let Some(state) = self.present.get_mut(client) {
                state.clock = clock;
            }
        }
        still
    }

    /// A client that showed nothing for a while may have been told of itself, and counts on from
    /// there: an echo is never above what was told.
    fn may_be_echo(&self, entry: &AwarenessEntry) -> bool {
        let is_told = self.told(entry.client).is_none_or(|clock| entry.clock <= clock);
        entry.clock >= ROOM_CLOCK_MIN && is_told
    }

    /// The last clock that was told about a client, as far as it is known.
    fn told(&self, client: ClientId) -> Option<u64> {
        let present = self.present.get(&client).map(|state| state.clock);
        present.or_else(|| self.departed.get(&client).copied())
    }

    fn remove(&mut self, client: ClientId, now: Time) -> bool {
        let clock = self.stamp(client, now);
        if self.present.remove(&client).is_none() {
            return false;
        }
        self.departed.insert(client, clock);
        if self.departed.len() > DEPARTED_MAX {
            self.departed.pop_first();
        }
        true
    }

    /// A clock above all that was ever told about this client, also by an earlier process: tenths
    /// of a second, unless somebody is faster than that.
    fn stamp(&self, client: ClientId, now: Time) -> u64 {
        let told = self.told(client);
        let by_time = by_time(now);
        told.map_or(by_time, |clock| by_time.max(clock + 1)).min(CLOCK_MAX)
    }
}

/// The room's clock at a time, in tenths of a second.
const fn by_time(now: Time) -> u64 {
    ROOM_CLOCK_MIN.saturating_add(now.as_ms() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: ClientId = ClientId::from_u32(1);
    const FIRST: MemberId = MemberId(1);
    const SECOND: MemberId = MemberId(2);
    const NOW: Time = Time::from_ms(1_000);

    fn word(clock: u64, state: Option<&str>) -> AwarenessEntry {
        AwarenessEntry { client: ANA, clock, state: state.map(str::to_owned) }
    }

    fn clock(presence: &Presence) -> u64 {
        presence.entry(ANA).unwrap().clock
    }

    #[test]
    fn clocks_of_the_room_only_rise_whatever_the_client_says() {
        let mut presence = Presence::default();
        presence.apply(FIRST, &word(1, Some("{}")), true, false, NOW);
        let mut clocks = vec![clock(&presence)];
        presence.apply(FIRST, &word(2, Some("1")), true, false, NOW);
        clocks.push(clock(&presence));
        assert_eq!(presence.leave(FIRST, NOW), [ANA]);
        assert_eq!(presence.entry(ANA).unwrap().state, None);
        clocks.push(clock(&presence));
        presence.apply(SECOND, &word(2, Some("1")), true, false, NOW);
        clocks.push(clock(&presence));
        assert!(clocks.is_sorted_by(|a, b| a < b), "{clocks:?}");
    }

    #[test]
    fn an_echo_brings_nobody_back() {
        let mut presence = Presence::default();
        presence.apply(FIRST, &word(1, Some("{}")), true, false, NOW);
        let echo = presence.entry(ANA).unwrap();
        assert_eq!(presence.apply(SECOND, &echo, true, false, NOW), Outcome::Ignored);
        presence.leave(FIRST, NOW);
        assert_eq!(presence.apply(SECOND, &echo, true, false, NOW), Outcome::Ignored);
        assert_eq!(presence.clients().count(), 0);
    }

    #[test]
    fn others_can_neither_remove_nor_freeze_a_state() {
        let mut presence = Presence::default();
        presence.set(FIRST, ANA, Some("{}".to_owned()), NOW);
        for clock in [0, 5, u64::from(u32::MAX)] {
            assert_eq!(
                presence.apply(SECOND, &word(clock, None), true, false, NOW),
                Outcome::Ignored
            );
            let other = word(clock, Some("2"));
            assert_eq!(presence.apply(SECOND, &other, false, false, NOW), Outcome::Ignored);
        }
        assert!(!presence.set(SECOND, ANA, None, NOW));
        assert_eq!(presence.leave(FIRST, NOW).len(), 1);
    }

    #[test]
    fn a_reconnected_outside_client_takes_over_and_survives_its_dead_connection() {
        let mut presence = Presence::default();
        presence.apply(FIRST, &word(7, Some("{}")), true, false, NOW);
        assert_ne!(
            presence.apply(SECOND, &word(7, Some("{}")), true, false, NOW),
            Outcome::Ignored
        );
        assert!(presence.leave(FIRST, NOW).is_empty());
        assert_eq!(presence.clients().count(), 1);
    }

    #[test]
    fn a_client_that_was_told_of_itself_can_still_show_something() {
        let mut presence = Presence::default();
        presence.apply(FIRST, &word(1, Some("{}")), true, false, NOW);
        presence.leave(FIRST, NOW);
        // It came back without a state, was told that it is gone, and counts on from there.
        let told = clock(&presence);
        let back = word(told + 1, Some("{}"));
        assert_eq!(presence.apply(SECOND, &back, true, false, NOW), Outcome::Changed);
        // The next relay knows nothing of that.
        let mut presence = Presence::default();
        assert_eq!(presence.apply(FIRST, &back, true, false, NOW), Outcome::Ignored);
        assert_eq!(presence.apply(FIRST, &back, true, true, NOW), Outcome::Changed);
    }
}
