//! A session and the other tabs of its browser: they show the same, with a relay or without, and
//! what one of them cannot bring to the relay any more another one brings.

use std::time::Duration;

use bytes::Bytes;

use super::Client;
use crate::client::device::Records;
use crate::client::tabs::{About, Talk};
use crate::client::{Event, Output, Room, RoomKey};
use crate::doc::known::Known;
use crate::error::Code;
use crate::ids::{Lineage, RoomName, TabId};
use crate::time::Time;
use crate::wire::v1::EditKind;

/// The other tabs are asked at most this often.
const ASK_INTERVAL: Duration = Duration::from_millis(500);

impl Client {
    /// Another tab has said something about a room.
    pub(super) fn hear(&mut self, tab: TabId, talk: &Talk, now: Time) {
        match talk.about {
            About::Stranded => return self.load_stranded(&talk.room),
            About::Left => self.search(now),
            _ => {}
        }
        self.courier.note(tab, &talk.room, talk.about != About::Left);
        for key in self.shared(&talk.room) {
            let Some(room) = self.rooms.get(&key) else { continue };
            let lineages = (room.lineage(), talk.lineage);
            if matches!(lineages, (Some(ours), Some(theirs)) if ours != theirs) {
                // What it told before it knew of its history is in this one, too.
                if matches!(talk.about, About::SetAside { .. }) {
                    self.take_over(key, Some(tab), now);
                }
                continue;
            }
            match &talk.about {
                About::Ask { state_vector } => self.answer_tab(key, tab, state_vector, now),
                About::Known { number, update } => {
                    if let Some(records) = self.take_from_tab(key, update, talk.lineage)
                        && let Some(room) = self.rooms.get_mut(&key)
                    {
                        room.sharing.entrusted.keep_all(tab, *number, update.clone(), records);
                    }
                }
                About::Edit { number, update } => {
                    if let Some(records) = self.take_from_tab(key, update, talk.lineage)
                        && let Some(room) = self.rooms.get_mut(&key)
                    {
                        room.sharing.entrusted.keep(tab, *number, update.clone(), records);
                    }
                }
                About::Durable { through } => {
                    if let Some(room) = self.rooms.get_mut(&key) {
                        let settled = room.sharing.entrusted.settle(tab, *through);
                        room.settle_records(&settled);
                    }
                }
                About::SetAside { error } => self.follow_aside(key, tab, talk, error, now),
                About::Left => self.take_over(key, Some(tab), now),
                About::Stranded => {}
            }
        }
    }

    /// Another tab is there: what it has and what it still has to bring is to be known here.
    pub(super) fn tab_came(&mut self, tab: TabId) {
        self.company += 1;
        let shared = self.rooms.values().filter(|room| room.is_shared());
        let asks: Vec<_> =
            shared.map(|room| (room.key, room.replica.known().encode().into())).collect();
        for (key, state_vector) in asks {
            self.talk(key, Some(tab), About::Ask { state_vector });
        }
    }

    /// Another tab is no more.
    pub(super) fn tab_gone(&mut self, tab: TabId, now: Time) {
        self.company = self.company.saturating_sub(1);
        self.courier.forget(tab);
        self.search(now);
        let keys: Vec<_> = self.rooms.keys().copied().collect();
        keys.into_iter().for_each(|key| self.take_over(key, Some(tab), now));
    }

    /// The rooms of this name whose documents are there.
    fn shared(&self, name: &RoomName) -> Vec<RoomKey> {
        let shared = self.rooms.values().filter(|room| room.is_shared() && room.name == *name);
        shared.map(|room| room.key).collect()
    }

    /// Takes an update of another tab; `None` when something that it needs is not here. The answer is
    /// where it is pending on the device, if it is.
    fn take_from_tab(
        &mut self,
        key: RoomKey,
        update: &Bytes,
        of: Option<Lineage>,
    ) -> Option<Records> {
        let room = self.rooms.get_mut(&key)?;
        match room.receive_from_tab(update.clone(), &self.settings.limits) {
            Ok((is_news, records)) => {
                room.begin_history(of);
                if is_news {
                    self.tell(key, Event::DocumentChanged);
                }
                Some(records)
            }
            Err(error) => {
                room.sharing.is_lacking |= error.code == Code::UpdateMissingDependencies;
                None
            }
        }
    }

    /// Gives another tab what it lacks: own edits, or everything, and then answers for all of it.
    fn answer_tab(&mut self, key: RoomKey, tab: TabId, state_vector: &[u8], now: Time) {
        let most = self.settings.limits.state_vector_clients_max;
        let Ok(theirs) = Known::decode(state_vector, most) else { return };
        let Some(room) = self.rooms.get(&key) else { return };
        let answers: Vec<About> = if theirs.covers(room.replica.known()) {
            let edits = room.outbox.pending();
            edits.map(|(number, update)| About::Edit { number, update: update.clone() }).collect()
        } else {
            self.take_over(key, None, now);
            let Some(room) = self.rooms.get(&key) else { return };
            let (number, update) = (room.outbox.last(), room.replica.difference(&theirs).into());
            let through = room.outbox.durable();
            vec![About::Known { number, update }, About::Durable { through }]
        };
        for about in answers {
            self.talk(key, Some(tab), about);
        }
    }

    /// Brings to the relay what another tab can bring no more; of all tabs, what is in the document,
    /// whichever of them wrote it.
    pub(super) fn take_over(&mut self, key: RoomKey, tab: Option<TabId>, now: Time) {
        if let Some(room) = self.rooms.get_mut(&key) {
            let taken = room.sharing.entrusted.take(tab);
            self.adopt(key, taken, now);
        }
    }

    fn adopt(&mut self, key: RoomKey, taken: Vec<(Bytes, Records)>, now: Time) {
        for (update, records) in taken {
            // One of them may be more than the relay takes.
            let is_open = |room: &&mut Room| room.leaving.is_none() && room.stopped.is_none();
            let Some(room) = self.rooms.get_mut(&key).filter(is_open) else { return };
            // Two tabs that answer for each other would pass it to and fro.
            if room.outbox.pending().any(|(_, pending)| *pending == update) {
                room.settle_records(&records);
                continue;
            }
            let (number, update) = room.adopt(update);
            room.settle_records(&records);
            self.send_edit(key, number, EditKind::Difference, update, now);
        }
    }

    /// Some of what is pending on the device may be of a tab that is gone, which this one never heard of.
    pub(super) fn load_stranded(&mut self, name: &RoomName) {
        for key in self.shared(name) {
            if self.takes_stranded(key) {
                self.outputs.push_back(Output::LoadStranded { key, name: name.clone() });
            }
        }
    }

    fn takes_stranded(&self, key: RoomKey) -> bool {
        let takes =
            |room: &Room| room.is_shared() && room.device.is_open() && !room.device.is_outdated();
        self.rooms.get(&key).is_some_and(takes)
    }

    /// Makes edits of tabs that are gone edits of this one.
    pub(super) fn take_stranded(&mut self, key: RoomKey, mut updates: Vec<Bytes>, now: Time) {
        // Meanwhile it may have begun anew, in another history.
        let Some(room) = self.rooms.get(&key).filter(|_| self.takes_stranded(key)) else { return };
        updates.retain(|update| !room.sharing.entrusted.has(update));
        // They lie as they were written: one may need what stands behind it.
        let mut at = 0;
        while let Some(update) = updates.get(at) {
            if let Some(records) = self.take_from_tab(key, &update.clone(), None) {
                let update = updates.remove(at);
                self.adopt(key, vec![(update, records)], now);
                at = 0;
            } else {
                at += 1;
            }
        }
    }

    /// Tells the other tabs what there is to tell.
    pub(super) fn share(&mut self, key: RoomKey, now: Time) {
        let Some(room) = self.rooms.get_mut(&key).filter(|room| room.is_loaded) else { return };
        if self.company == 0 {
            // Who comes asks for it.
            room.sharing.edits.clear();
        }
        let edits = std::mem::take(&mut room.sharing.edits);
        let durable = room.outbox.durable();
        let is_more_durable = std::mem::replace(&mut room.sharing.durable, durable) != durable;
        let asks = room.asks_at().is_some_and(|at| now >= at);
        for (number, update) in edits {
            self.talk(key, None, About::Edit { number, update });
        }
        if is_more_durable && self.company > 0 {
            self.talk(key, None, About::Durable { through: durable });
        }
        if asks {
            self.ask_tabs(key, now);
        }
    }

    /// Asks the other tabs for what is not here.
    pub(super) fn ask_tabs(&mut self, key: RoomKey, now: Time) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        room.sharing.is_lacking = false;
        room.sharing.asked_at = Some(now);
        let state_vector = room.replica.known().encode().into();
        self.talk(key, None, About::Ask { state_vector });
    }

    pub(super) fn talk(&mut self, key: RoomKey, to: Option<TabId>, about: About) {
        let Some(room) = self.rooms.get(&key) else { return };
        let talk = Talk { room: room.name.clone(), lineage: room.lineage(), about };
        self.talks.push(Output::Talk { to, talk });
    }
}

impl Room {
    /// Whether the other tabs have a part in it: its document is there, and wanted by the relay.
    fn is_shared(&self) -> bool {
        self.is_loaded && self.stopped.is_none() && self.leaving.is_none()
    }

    /// When to ask the other tabs: a first sync that is under way brings most of what is missing.
    pub(super) fn asks_at(&self) -> Option<Time> {
        let may_ask = self.sharing.is_lacking && self.sync.is_none();
        may_ask.then(|| self.sharing.asked_at.map_or(Time::ZERO, |at| at + ASK_INTERVAL))
    }
}
