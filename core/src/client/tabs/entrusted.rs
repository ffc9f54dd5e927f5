//! What other tabs of the browser bring to the relay, kept in case that they cannot.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::ids::{EditNumber, TabId};

/// Updates of other tabs in one room that are not known to be durable, in the order they came.
#[derive(Debug, Default)]
pub(in crate::client) struct Entrusted {
    updates: BTreeMap<TabId, VecDeque<(EditNumber, Bytes)>>,
}

impl Entrusted {
    /// Keeps an edit of a tab, which may tell it twice.
    pub(in crate::client) fn keep(&mut self, tab: TabId, number: EditNumber, update: Bytes) {
        let updates = self.updates.entry(tab).or_default();
        if updates.back().is_none_or(|(last, _)| *last < number) {
            updates.push_back((number, update));
        }
    }

    /// Keeps what a tab answers for: it has in it whatever the tab told before.
    pub(in crate::client) fn keep_all(&mut self, tab: TabId, number: EditNumber, update: Bytes) {
        self.updates.insert(tab, [(number, update)].into());
    }

    /// Forgets what is safe on the relay.
    pub(in crate::client) fn settle(&mut self, tab: TabId, through: EditNumber) {
        if let Some(updates) = self.updates.get_mut(&tab) {
            while updates.pop_front_if(|(number, _)| *number <= through).is_some() {}
        }
    }

    /// Whether a tab has told anything that is not known to be durable.
    pub(in crate::client) fn has_any_of(&self, tab: TabId) -> bool {
        self.updates.get(&tab).is_some_and(|updates| !updates.is_empty())
    }

    /// Gives up what a tab can bring no more.
    pub(in crate::client) fn take(&mut self, tab: TabId) -> Vec<Bytes> {
        self.updates.remove(&tab).into_iter().flatten().map(|(_, update)| update).collect()
    }

    /// Gives up everything: this session answers for it from here on.
    pub(in crate::client) fn take_all(&mut self) -> Vec<Bytes> {
        let all = std::mem::take(&mut self.updates).into_values().flatten();
        all.map(|(_, update)| update).collect()
    }
}
