//! What has to be true of a world, at any time and at its end.

use std::collections::{BTreeMap, BTreeSet};

use coweave_core::doc::digest::digest;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{ClientId, RoomName};
use coweave_core::limits::Limits;
use coweave_core::room::StoredRoom;

use super::World;
use crate::simulation::actor::{TEMPLATE, TEXT};
use crate::simulation::device::is_in;

impl World {
    /// Every durable acknowledgement has to be honoured by the disk alone.
    pub(super) fn check_disk(&self) {
        for (name, stored) in &self.disk.rooms {
            let replica = replay(stored);
            for actor in &self.actors {
                let told = actor.told_durable.get(&(name.clone(), stored.lineage));
                let Some(told) = told else { continue };
                let has = replica.known();
                assert!(has.covers(told), "{}: told {told:?} durable, disk {has:?}", actor.name);
            }
        }
    }

    /// What a person was told is on the device is on the relay, whether anybody has the room open or not.
    pub(super) fn is_all_brought(&self) -> bool {
        let mut relay = BTreeMap::new();
        self.browsers.iter().zip(self.actors.chunks(self.plan.tabs)).all(|(browser, tabs)| {
            let device = &browser.borrow().device;
            device.rooms_told().all(|name| {
                let is_open = tabs.iter().any(|actor| actor.room(name).is_some());
                let told = device.edits_told(name);
                let mut is_there = |stored| {
                    let replica = relay.entry(name.clone()).or_insert_with(|| replay(stored));
                    told.iter().all(|update| is_in(replica, update))
                };
                // What needs something damaged waits for who opens the room.
                let may_wait = !is_open && device.is_damaged(name);
                told.is_empty()
                    || may_wait
                    || device.lineage(name).is_some_and(|it| self.disk.is_deleted(name, it))
                    || self.disk.rooms.get(name).is_some_and(&mut is_there)
            })
        })
    }

    pub(super) fn states(&self) -> Vec<String> {
        let rooms = self.disk.rooms.keys();
        rooms
            .flat_map(|name| {
                self.actors.iter().map(move |actor| {
                    let room = actor.room(name);
                    format!(
                        "{} in {name}: {:?} {:?} {:?}",
                        actor.name,
                        room.map(|room| room.state().clone()),
                        room.map(coweave_core::client::Room::saved),
                        room.map(coweave_core::client::Room::storage)
                    )
                })
            })
            .collect()
    }

    pub(super) fn check(&mut self) {
        self.check_disk();
        for browser in &self.browsers {
            let device = &browser.borrow().device;
            device.rooms_told().for_each(|name| device.check(name));
        }
        for tabs in self.actors.chunks(self.plan.tabs) {
            let sockets = tabs.iter().filter(|actor| actor.socket().is_some()).count();
            assert_eq!(sockets, 1, "the tabs of one browser share one socket");
        }
        for (name, stored) in &self.disk.rooms {
            let replica = replay(stored);
            let text = replica.text_string(TEXT);
            let templates = text.matches(TEMPLATE).count();
            assert!(templates <= 1, "{templates} templates in {text}");
            self.report.letters += text.len();
            for actor in &self.actors {
                // The hostile member may have made up rooms.
                let Some(room) = actor.room(name) else { continue };
                let theirs = room.replica().known();
                assert_eq!(theirs, replica.known(), "person {} has another state", actor.name);
                let theirs = room.replica().text_string(TEXT);
                let is_alike = theirs == text
                    || self.plan.forges && is_but_forged(room.replica(), stored, &theirs, &text);
                assert!(is_alike, "person {}: {theirs} for {text}", actor.name);
            }
            for outsider in self.outsiders.iter().filter(|outsider| outsider.room == *name) {
                let theirs = outsider.text();
                let is_alike = theirs == text
                    || self.plan.forges && is_but_forged(&outsider.replica, stored, &theirs, &text);
                assert!(is_alike, "the outside client: {theirs} for {text}");
            }
            self.check_presence(name);
        }
    }

    /// Nobody writes under an id that somebody else has, the tabs of a browser included.
    pub(super) fn check_ids(&self) {
        let mut ids = BTreeSet::new();
        for actor in &self.actors {
            for (name, client) in actor.client_ids() {
                let is_new = ids.insert((name.clone(), client));
                assert!(is_new, "two write as {client:?} in {name}");
            }
        }
        for outsider in &self.outsiders {
            let client = outsider.replica.client();
            let is_new = ids.insert((outsider.room.clone(), client));
            assert!(is_new, "an outside client is {client:?}, too");
        }
    }

    /// Everybody sees what the others show, and nobody who is gone.
    fn check_presence(&self, name: &RoomName) {
        let outsiders = self.outsiders.iter().filter(|outsider| outsider.room == *name);
        let shown: BTreeMap<_, _> =
            self.actors
                .iter()
                .filter_map(|actor| actor.room(name))
                .filter_map(|room| Some((room.replica().client(), room.shown()?.to_owned())))
                .chain(outsiders.clone().filter_map(|outsider| {
                    Some((outsider.replica.client(), outsider.shown.clone()?))
                }))
                .collect();
        for actor in &self.actors {
            let Some(room) = actor.room(name) else { continue };
            let mut expected = shown.clone();
            expected.remove(&room.replica().client());
            assert!(room.peers().iter().eq(&expected), "person {} sees others wrongly", actor.name);
        }
        for outsider in outsiders {
            let mut expected = shown.clone();
            expected.remove(&outsider.replica.client());
            assert_eq!(outsider.peers(), expected, "the outside client sees others wrongly");
        }
    }
}

/// Whether two texts differ by the work of one who forges alone. He can say two things under one id:
/// something else to the relay that comes back from a crash than to those who heard the first before
/// it was flushed.
fn is_but_forged(replica: &Replica, stored: &StoredRoom, theirs: &str, text: &str) -> bool {
    let is_honest = |letter: &char| letter.is_ascii_digit() || "abcde []tmpl".contains(*letter);
    let honest = |text: &str| text.chars().filter(is_honest).collect::<String>();
    honest(theirs) == honest(text) || has_the_structs_of(replica, stored)
}

/// Whether somebody has the same structs with the same neighbors. Where they stand depends on the
/// order in which they came when somebody forges neighbors that no editor names together.
fn has_the_structs_of(replica: &Replica, stored: &StoredRoom) -> bool {
    let log: Vec<_> = stored.updates().collect();
    digest(&[replica.state()]).expect("a state") == digest(&log).expect("the stored log is whole")
}

/// What somebody has who reads a stored room.
fn replay(stored: &StoredRoom) -> Replica {
    let mut replica = Replica::new(ClientId::from_u32(1));
    for update in stored.updates() {
        replica.apply(update, &Limits::default()).expect("the stored log is whole");
    }
    replica
}
