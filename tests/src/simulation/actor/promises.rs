//! What a person was told is safe, and whether it is.

use coweave_core::client::{RoomKey, Storage, Write};
use coweave_core::doc::replica::Replica;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

use super::{Actor, Process};
use crate::simulation::device::{Device, is_in};

impl Process {
    /// Everything that was shown as saved on this device has to be there again: at once, or in what the
    /// device gets before the room is said to be kept again.
    pub(super) fn check_loaded(&mut self, key: RoomKey, device: &Device) {
        // It may have been closed before that, or stand in another history than what is stored.
        let Some(room) = self.client.room(key) else { return };
        let (name, told) = (room.name(), device.told(room.name()));
        let log = self.logs.entry(key).or_default();
        log.is_damaged = device.is_damaged(name);
        log.snapshot = None;
        if matches!(room.storage(), Storage::Lost { .. }) {
            return log.read = told;
        }
        let mut has = Replica::new(ClientId::from_u32(1));
        has.apply(&room.replica().state(), &Limits::default()).expect("a document is whole");
        let is_there = told.iter().all(|update| is_in(&mut has, update));
        assert!(is_there, "what was told to be on the device in {name} is not in the document");
    }

    /// What was read while the store was lost is in what takes its place.
    pub(super) fn check_written(&mut self, key: RoomKey, writes: &[Write]) {
        let log = self.logs.entry(key).or_default();
        for write in writes {
            if let Write::Fold { snapshot, .. } = write {
                log.snapshot = Some(snapshot.clone());
                let mut has = Replica::new(ClientId::from_u32(1));
                has.apply(snapshot, &Limits::default()).expect("a snapshot is whole");
                let is_there = log.read.drain(..).all(|update| is_in(&mut has, &update));
                assert!(is_there, "what was told to be on the device is not in the snapshot");
            }
        }
    }

    /// What the device is said to keep counts from here on. What is said to be kept again is all that
    /// was in the document when the device got it.
    fn note_device(&mut self, device: &mut Device) {
        for (name, key) in &self.keys {
            let Some(room) = self.client.room(*key) else { continue };
            let log = self.logs.entry(*key).or_default();
            if matches!(room.storage(), Storage::Lost { .. }) {
                log.is_lost = true;
                continue;
            }
            let reader = (self.tab, *key);
            let is_back = room.is_loaded() && std::mem::take(&mut log.is_lost);
            if let Some(snapshot) = log.snapshot.take_if(|_| is_back) {
                device.tell_restored(reader, name, snapshot);
            }
            if room.is_loaded() && room.saved().is_on_device {
                let is_told = matches!(room.storage(), Storage::Damaged { .. });
                assert!(is_told || !log.is_damaged, "nobody is told of the damage in {name}");
                device.tell(reader, name, &mut log.untold);
            }
        }
    }
}

impl Actor {
    pub(super) fn note_what_was_told(&mut self) {
        let Some(process) = &mut self.process else { return };
        for (name, key) in &process.keys {
            let Some(room) = process.client.room(*key) else { continue };
            let clocks = process.clocks.entry(*key).or_default();
            let before = match room.lineage() {
                Some(lineage) => process.histories.insert(*key, lineage),
                None => process.histories.remove(key),
            };
            if before.is_some() && before != room.lineage() {
                // A copy on its way aside: what it has brought to the relay is over.
                clocks.fill(0);
            }
            let own = room.replica().known().next(room.replica().client());
            while (clocks.len() as u64) < room.last_number().0 {
                clocks.push(own);
            }
            let durable = usize::try_from(room.durable().0).unwrap();
            if let Some(clock) = durable.checked_sub(1).and_then(|at| clocks.get(at))
                && let Some(lineage) = room.lineage()
            {
                let told = self.told_durable.entry((name.clone(), lineage)).or_default();
                told.reach(room.replica().client(), *clock);
            }
        }
        process.note_device(&mut self.browser.borrow_mut().device);
    }
}
