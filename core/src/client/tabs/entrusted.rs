//! What other tabs of the browser bring to the relay, kept in case that they cannot.

use bytes::Bytes;

use crate::client::device::Records;
use crate::ids::{EditNumber, TabId};

/// An update, and where it is pending on the device.
type Taken = (Bytes, Records);

/// Updates of other tabs in one room that are not known to be durable, in the order they came.
#[derive(Debug, Default)]
pub(in crate::client) struct Entrusted(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    tab: TabId,
    /// The tab's number of the last own edit inside.
    number: EditNumber,
    update: Bytes,
    /// Where it is pending on the device.
    records: Records,
}

impl Entrusted {
    /// Whether a tab has edits that are not known to be on the relay.
    pub(in crate::client) fn has_of(&self, tab: TabId) -> bool {
        self.0.iter().any(|kept| kept.tab == tab)
    }

    /// Whether a tab answers for this very update.
    pub(in crate::client) fn has(&self, update: &Bytes) -> bool {
        self.0.iter().any(|kept| kept.update == *update)
    }

    /// Keeps an edit of a tab, which may tell it twice.
    pub(in crate::client) fn keep(
        &mut self,
        tab: TabId,
        number: EditNumber,
        update: Bytes,
        records: Records,
    ) {
        match self.0.iter_mut().find(|kept| kept.tab == tab && kept.number >= number) {
            Some(kept) => kept.records.extend(records),
            None => self.0.push(Kept { tab, number, update, records }),
        }
    }

    /// Keeps what a tab answers for: it has in it whatever the tab told before.
    pub(in crate::client) fn keep_all(
        &mut self,
        tab: TabId,
        number: EditNumber,
        update: Bytes,
        records: Records,
    ) {
        let before = self.give_up(|kept| kept.tab == tab);
        let before = before.into_iter().flat_map(|(_, records)| records);
        let records = before.chain(records).collect();
        self.0.push(Kept { tab, number, update, records });
    }

    /// Forgets what is safe on the relay; the answer is where it is pending on the device.
    pub(in crate::client) fn settle(&mut self, tab: TabId, through: EditNumber) -> Records {
        let settled = self.give_up(|kept| kept.tab == tab && kept.number <= through);
        settled.into_iter().flat_map(|(_, records)| records).collect()
    }

    /// The device was read anew, and what is pending there with it.
    pub(in crate::client) fn forget_records(&mut self) {
        self.0.iter_mut().for_each(|kept| kept.records.clear());
    }

    /// Gives up what a tab can bring no more; of all tabs, this session answers for it from here on.
    pub(in crate::client) fn take(&mut self, tab: Option<TabId>) -> Vec<Taken> {
        self.give_up(|kept| tab.is_none_or(|tab| tab == kept.tab))
    }

    fn give_up(&mut self, is_wanted: impl Fn(&Kept) -> bool) -> Vec<Taken> {
        let mut taken = Vec::new();
        self.0.retain_mut(|kept| {
            let is_wanted = is_wanted(kept);
            if is_wanted {
                taken.push((std::mem::take(&mut kept.update), std::mem::take(&mut kept.records)));
            }
            !is_wanted
        });
        taken
    }
}
