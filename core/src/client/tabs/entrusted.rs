//! What other tabs of the browser bring to the relay, kept in case that they cannot.

use bytes::Bytes;

use crate::ids::{EditNumber, TabId};

/// Updates of other tabs in one room that are not known to be durable, in the order they came.
#[derive(Debug, Default)]
pub(in crate::client) struct Entrusted(Vec<Kept>);

#[derive(Debug)]
struct Kept {
    tab: TabId,
    /// The tab's number of the last own edit inside.
    number: EditNumber,
    update: Bytes,
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
    pub(in crate::client) fn keep(&mut self, tab: TabId, number: EditNumber, update: Bytes) {
        if !self.0.iter().any(|kept| kept.tab == tab && kept.number >= number) {
            self.0.push(Kept { tab, number, update });
        }
    }

    /// Keeps what a tab answers for: it has in it whatever the tab told before.
    pub(in crate::client) fn keep_all(&mut self, tab: TabId, number: EditNumber, update: Bytes) {
        self.0.retain(|kept| kept.tab != tab);
        self.0.push(Kept { tab, number, update });
    }

    /// Forgets what is safe on the relay.
    pub(in crate::client) fn settle(&mut self, tab: TabId, through: EditNumber) {
        self.0.retain(|kept| kept.tab != tab || kept.number > through);
    }

    /// Gives up what a tab can bring no more; of all tabs, this session answers for it from here on.
    pub(in crate::client) fn take(&mut self, tab: Option<TabId>) -> Vec<Bytes> {
        let mut taken = Vec::new();
        self.0.retain_mut(|kept| {
            let stays = tab.is_some_and(|tab| tab != kept.tab);
            if !stays {
                taken.push(std::mem::take(&mut kept.update));
            }
            stays
        });
        taken
    }
}
