//! The courier: in the tab that leads, edits that tabs which are gone left on the device go to the
//! relay, although no tab has their room open.
//!
//! It opens one such room at a time, as an app would, and leaves it when all of it is durable. What
//! is stranded in a room that some tab has open is for that tab to bring: it is told to look.

use std::time::Duration;

use super::{Client, Socket};
use crate::client::device::Storage;
use crate::client::room::Room;
use crate::client::tabs::{About, Talk};
use crate::client::{Output, RoomKey};
use crate::error::{Code, Error};
use crate::ids::{RoomName, TabId};
use crate::time::{Time, earliest};

/// While connected, the device is looked through again after this: for what had to wait.
const ROUND_INTERVAL: Duration = Duration::from_secs(60);
/// What is pending longer than this after a tab was gone may be unknown to those who have its room
/// open. Until then their own edits are on the way, and the last ones of that tab to the device.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Courier {
    leads: bool,
    /// When the next round begins, if the relay is there.
    due_at: Option<Time>,
    /// When there is one that tells those who have a room open.
    thorough_at: Option<Time>,
    is_thorough: bool,
    errand: Errand,
    /// Rooms that other tabs have open: they see to them.
    elsewhere: Vec<(TabId, RoomName)>,
    /// Rooms with which another instance came to its end.
    left_alone: Vec<RoomName>,
    /// Rooms that another try would not help, unless somebody has had them open since.
    refused: Vec<RoomName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    None,
    /// The device's store was asked for a room.
    Looking,
    Carrying(RoomKey),
}

impl Courier {
    pub(super) const fn new() -> Self {
        Self {
            leads: false,
            due_at: None,
            thorough_at: None,
            is_thorough: false,
            errand: Errand::None,
            elsewhere: Vec::new(),
            left_alone: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn carries(&self, key: RoomKey) -> bool {
        self.errand == Errand::Carrying(key)
    }

    fn passes_by(&self, room: &RoomName) -> bool {
        self.left_alone.contains(room) || self.refused.contains(room)
    }

    /// Another tab has a room open, or not any more.
    pub(super) fn note(&mut self, tab: TabId, room: &RoomName, is_open: bool) {
        self.refused.retain(|refused| refused != room);
        let at = self.elsewhere.iter().position(|(of, name)| *of == tab && name == room);
        match at {
            None if is_open => self.elsewhere.push((tab, room.clone())),
            Some(at) if !is_open => drop(self.elsewhere.swap_remove(at)),
            _ => {}
        }
    }

    pub(super) fn forget(&mut self, tab: TabId) {
        let had_open =
            |room: &RoomName| self.elsewhere.iter().any(|(of, name)| *of == tab && name == room);
        self.refused.retain(|refused| !had_open(refused));
        self.elsewhere.retain(|(of, _)| *of != tab);
    }
}

impl Client {
    /// Leaves a room to whoever opens it: with its content another instance came to its end.
    pub fn leave_alone(&mut self, room: RoomName) {
        self.courier.left_alone.push(room);
    }

    /// This session is the one among the tabs that has to bring what is stranded.
    pub(super) fn lead(&mut self, now: Time) {
        self.courier.leads = self.settings.has_device_store;
        self.search(now);
    }

    /// A tab has left something, perhaps where others do not see it.
    pub(super) fn search(&mut self, now: Time) {
        self.begin_round(now);
        self.courier.thorough_at = earliest(self.courier.thorough_at, Some(now + DOUBT_AFTER));
    }

    /// Something may be stranded now, or can be brought now.
    pub(super) const fn begin_round(&mut self, now: Time) {
        self.courier.due_at = Some(now);
    }

    /// When the courier has something to do.
    pub(super) fn courier_wakes_at(&self) -> Option<Time> {
        let may_go = self.courier.leads && self.courier.errand == Errand::None;
        let at = earliest(self.courier.due_at, self.courier.thorough_at);
        at.filter(|_| may_go && self.can_carry())
    }

    const fn can_carry(&self) -> bool {
        matches!(self.socket, Socket::Unneeded | Socket::Open)
    }

    /// Goes on where there is something to go on with.
    pub(super) fn carry(&mut self, now: Time) {
        if self.courier_wakes_at().is_some_and(|at| now >= at) {
            self.courier.due_at = None;
            self.courier.is_thorough = self.courier.thorough_at.take_if(|at| now >= *at).is_some();
            return self.look(None);
        }
        let Errand::Carrying(key) = self.courier.errand else { return };
        let Some(room) = self.rooms.get(&key) else { return };
        let is_hopeless = matches!(self.socket, Socket::Stopped { .. });
        if !is_hopeless && !is_over(room) {
            return;
        }
        let name = room.name.clone();
        let is_refused = |error: &Error| error.code != Code::RoomTooMany;
        let is_damaged = matches!(room.storage, Storage::Damaged { .. });
        if is_damaged || room.stopped.as_ref().is_some_and(is_refused) {
            self.courier.refused.push(name.clone());
        }
        let comes_back_at = room.rejoin_at;
        self.put_down(key, now);
        if is_hopeless {
            self.courier.due_at = None;
            return;
        }
        // The relay does not want it now: neither will it in a moment, over a connection of its own.
        if let Some(at) = comes_back_at {
            self.courier.due_at = None;
            self.courier.thorough_at = Some(at.max(now + ROUND_INTERVAL));
        }
        self.look(Some(name));
    }

    fn look(&mut self, after: Option<RoomName>) {
        self.courier.errand = Errand::Looking;
        self.outputs.push_back(Output::FindStranded { after });
    }

    /// The device's store has named a room, or none.
    pub(super) fn found_stranded(&mut self, found: Option<RoomName>, now: Time) {
        if self.courier.errand != Errand::Looking {
            return;
        }
        self.courier.errand = Errand::None;
        let Some(name) = found else {
            let is_open = matches!(self.socket, Socket::Open);
            let next = is_open.then(|| now + ROUND_INTERVAL);
            self.courier.thorough_at = self.courier.thorough_at.or(next);
            return;
        };
        let is_open_here = self.rooms.values().any(|room| room.name == name);
        let is_open_there = self.courier.elsewhere.iter().any(|(_, room)| *room == name);
        let is_open = is_open_here || is_open_there;
        if is_open || self.courier.passes_by(&name) {
            if is_open && self.courier.is_thorough {
                self.load_stranded(&name);
                let talk = Talk { room: name.clone(), lineage: None, about: About::Stranded };
                self.talks.push(Output::Talk { to: None, talk });
            }
            self.look(Some(name));
        } else if self.can_carry() {
            self.pick_up(name, now);
        } else {
            self.begin_round(now);
        }
    }

    fn pick_up(&mut self, name: RoomName, now: Time) {
        let (key, client) = (self.next_key(), self.draw_client());
        self.courier.errand = Errand::Carrying(key);
        self.outputs.push_back(Output::Carry { room: Some(name.clone()) });
        let mut room = Room::new(key, name, client, Storage::Device);
        // Nobody is there who could be told: what the relay refuses stays where it is.
        room.keep_refused(true);
        self.open(room, now);
    }

    fn put_down(&mut self, key: RoomKey, now: Time) {
        self.close(key, now);
        self.courier.errand = Errand::None;
        self.outputs.push_back(Output::Carry { room: None });
    }

    /// The app opens a room: it sees to it from here on.
    pub(super) fn hand_over(&mut self, name: &RoomName, to: RoomKey, now: Time) {
        self.courier.refused.retain(|refused| refused != name);
        let Errand::Carrying(key) = self.courier.errand else { return };
        if key != to && self.rooms.get(&key).is_some_and(|room| room.name == *name) {
            self.put_down(key, now);
            self.begin_round(now);
        }
    }
}

/// Whether all is durable, or nothing more is to be waited for now.
fn is_over(room: &Room) -> bool {
    let is_here = room.is_synced && room.may_send;
    let is_durable = is_here && room.outbox.durable() == room.outbox.last();
    let has_failed = room.stopped.is_some() || room.rejoin_at.is_some();
    is_durable || has_failed || matches!(room.storage, Storage::Lost { .. })
}
