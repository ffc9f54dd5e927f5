//! A simulated browser: what its tabs share, which is a device's store, a lock, and a way to talk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use coweave_core::client::tabs;
use coweave_core::ids::{SessionKey, TabId};
use coweave_core::random::Random;
use coweave_core::time::Time;

use super::device::Device;

/// One browser, and what it keeps.
#[derive(Debug)]
pub struct Browser {
    pub session: SessionKey,
    pub device: Device,
    last_tab: u64,
    tabs: BTreeMap<TabId, Mailbox>,
    /// Who waits for the lock; the first one has it.
    lock: VecDeque<TabId>,
    /// How often another tab came to lead.
    pub elections: u64,
}

#[derive(Debug, Default)]
struct Mailbox {
    inputs: VecDeque<(Time, tabs::Input)>,
    watches: BTreeSet<TabId>,
}

impl Browser {
    pub fn new(random: &mut Random) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random.next_u64().to_le_bytes());
        Self {
            session: SessionKey(key),
            device: Device::default(),
            last_tab: 0,
            tabs: BTreeMap::new(),
            lock: VecDeque::new(),
            elections: 0,
        }
    }

    /// A tab is opened.
    pub fn open_tab(&mut self, now: Time) -> TabId {
        self.last_tab += 1;
        let tab = TabId(self.last_tab);
        self.tabs.insert(tab, Mailbox::default());
        self.put(tab, now, tabs::Input::Ready);
        self.lock.push_back(tab);
        self.grant(tab, now);
        tab
    }

    fn grant(&mut self, to: TabId, at: Time) {
        if self.lock.front() == Some(&to) {
            self.elections += 1;
            self.put(to, at, tabs::Input::Leads);
        }
    }

    /// A tab is gone; its locks are free.
    pub fn close_tab(&mut self, tab: TabId, random: &mut Random, now: Time) {
        self.tabs.remove(&tab);
        let at = now + Duration::from_millis(random.below(50));
        let watchers: Vec<_> =
            self.tabs.iter().filter(|(_, it)| it.watches.contains(&tab)).collect();
        let watchers: Vec<_> = watchers.into_iter().map(|(id, _)| *id).collect();
        for id in watchers {
            self.put(id, at, tabs::Input::Gone(tab));
        }
        let was_leader = self.lock.front() == Some(&tab);
        self.lock.retain(|id| *id != tab);
        if let Some(next) = self.lock.front().copied().filter(|_| was_leader) {
            self.grant(next, at);
        }
    }

    /// A tab wants to know when another one is gone.
    pub fn watch(&mut self, own: TabId, other: TabId, now: Time) {
        if !self.tabs.contains_key(&other) {
            return self.put(own, now, tabs::Input::Gone(other));
        }
        if let Some(mailbox) = self.tabs.get_mut(&own) {
            mailbox.watches.insert(other);
        }
    }

    pub fn post(&mut self, from: TabId, to: Option<TabId>, message: &Bytes, at: Time) {
        let others = self.tabs.keys().copied().filter(|id| *id != from);
        let to: Vec<_> = others.filter(|id| to.is_none_or(|to| to == *id)).collect();
        for id in to {
            self.put(id, at, tabs::Input::Heard(message.clone()));
        }
    }

    /// Messages of one tab to another stay in order.
    fn put(&mut self, to: TabId, at: Time, input: tabs::Input) {
        let Some(mailbox) = self.tabs.get_mut(&to) else { return };
        let at = mailbox.inputs.back().map_or(at, |(last, _)| at.max(*last));
        mailbox.inputs.push_back((at, input));
    }

    pub fn take(&mut self, tab: TabId, now: Time) -> Option<tabs::Input> {
        let mailbox = self.tabs.get_mut(&tab)?;
        mailbox.inputs.pop_front_if(|(at, _)| *at <= now).map(|(_, input)| input)
    }

    pub fn next_at(&self, tab: TabId) -> Option<Time> {
        self.tabs.get(&tab)?.inputs.front().map(|(at, _)| *at)
    }
}
