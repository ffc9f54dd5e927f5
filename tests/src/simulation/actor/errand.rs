//! What a page asks of its device, which does it in this order and answers later.

use std::time::Duration;

use coweave_core::client::{self, RoomKey, SetAsideCopy, Write};
use coweave_core::ids::{Lineage, RoomName, TabId};
use coweave_core::random::Random;
use coweave_core::time::Time;

use super::Actor;
use crate::simulation::browser::Browser;

/// Something that the device is asked for.
#[derive(Debug)]
pub(super) struct Errand {
    /// When it is done.
    pub at: Time,
    job: Job,
}

#[derive(Debug)]
pub(super) enum Job {
    Write { key: RoomKey, name: RoomName, ticket: u64, writes: Vec<Write> },
    Load { key: RoomKey, name: RoomName, lineage: Option<Lineage> },
    SetAside { key: RoomKey, name: RoomName, copy: SetAsideCopy },
    FindStranded { after: Option<RoomName> },
    LoadStranded { key: RoomKey, name: RoomName },
}

impl Errand {
    /// Whether a store that failed for a room loses it.
    pub fn writes_in(&self, room: &RoomName) -> bool {
        matches!(&self.job, Job::Write { name, .. } if name == room)
    }

    /// Whether a room waits for it.
    pub const fn is_of_a_room(&self) -> bool {
        !matches!(self.job, Job::FindStranded { .. })
    }

    /// It happens on the device, and nobody is there to hear the answer.
    pub fn happen(self, browser: &mut Browser, tab: TabId) {
        match self.job {
            Job::Write { key, name, writes, .. } => {
                drop(browser.write((tab, key), &name, writes));
            }
            Job::SetAside { key, name, copy } => browser.set_aside((tab, key), &name, &copy),
            Job::Load { .. } | Job::FindStranded { .. } | Job::LoadStranded { .. } => {}
        }
    }
}

impl Actor {
    /// The device does one thing after another, each in its time.
    pub(super) fn ask_device(&mut self, job: Job, random: &mut Random, now: Time) {
        let last = self.errands.back().map_or(now, |errand| errand.at);
        let at = last.max(now) + Duration::from_millis(random.below(20));
        self.errands.push_back(Errand { at, job });
    }

    /// Does what is due, and brings the answers.
    pub(super) fn hear_from_device(&mut self, now: Time) {
        while self.errands.front().is_some_and(|errand| errand.at <= now) {
            let Some(errand) = self.errands.pop_front() else { break };
            let Some(process) = &mut self.process else { continue };
            let mut browser = self.browser.borrow_mut();
            let input = match errand.job {
                Job::Write { key, name, ticket, writes } => {
                    match browser.write((process.tab, key), &name, writes) {
                        Ok(()) => client::Input::Written { key, ticket },
                        Err(error) => client::Input::WriteFailed { key, error },
                    }
                }
                Job::Load { key, name, lineage } => {
                    let copy = browser.load((process.tab, key), &name, lineage);
                    client::Input::Loaded { key, copy }
                }
                Job::SetAside { key, name, copy } => {
                    browser.set_aside((process.tab, key), &name, &copy);
                    let copy = browser.load((process.tab, key), &name, None);
                    client::Input::Loaded { key, copy }
                }
                Job::FindStranded { after } => {
                    client::Input::FoundStranded { room: browser.stranded(after.as_ref()) }
                }
                Job::LoadStranded { key, name } => {
                    let updates = browser.load_stranded((process.tab, key), &name);
                    client::Input::LoadedStranded { key, updates }
                }
            };
            drop(browser);
            let loaded = match &input {
                client::Input::Loaded { key, copy: Ok(_) } => Some(*key),
                _ => None,
            };
            process.client.handle(input, now);
            process.wake = Some(Time::ZERO);
            if let Some(key) = loaded {
                self.check_device(key);
            }
        }
    }
}
