//! What a person was told is safe, and whether it is.

use coweave_core::client::{RoomKey, Storage, Tier};

use super::Actor;

impl Actor {
    /// Everything that was shown as saved on this device has to be there again.
    pub(super) fn check_device(&self, key: RoomKey) {
        // It may have been closed before that, or stand in another history than what is stored.
        let Some(room) = self.process.as_ref().and_then(|p| p.client.room(key)) else { return };
        let (name, mut browser) = (room.name(), self.browser.borrow_mut());
        if browser.lost.contains(name) || room.storage() != &Storage::Device {
            return;
        }
        let told = browser.told.entry(name.clone()).or_default();
        let has = room.replica().known();
        assert!(has.covers(told), "person {}: {told:?} was on the device, {has:?} is", self.name);
    }

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
            let mut browser = self.browser.borrow_mut();
            if room.saved().tier == Tier::Device && browser.knows((process.tab, *key), name) {
                let told = browser.told.entry(name.clone()).or_default();
                told.reach(room.replica().client(), own);
            }
        }
    }
}
