//! What a page asks of its device, which does it in this order and answers later.

use std::time::Duration;

use coweave_core::client::{self, RoomKey, SetAsideCopy, Write};
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Lineage, RoomName, TabId};
use coweave_core::random::Random;
use coweave_core::time::Time;

use super::Actor;
use crate::simulation::device::{Device, Fate};

/// Something that the device is asked for.
#[derive(Debug)]
pub(super) struct Errand {
    /// When it is done.
    pub at: Time,
    job: Job,
}

#[derive(Debug)]
pub(super) enum Job {
    Write {
        key: RoomKey,
        name: RoomName,
        ticket: u64,
        writes: Vec<Write>,
    },
    Load {
        key: RoomKey,
        name: RoomName,
        lineage: Option<Lineage>,
    },
    SetAside {
        key: RoomKey,
        name: RoomName,
        copy: SetAsideCopy,
    },
    FindStranded {
        after: Option<RoomName>,
    },
    LoadStranded {
        key: RoomKey,
        name: RoomName,
    },
    /// After the connection to the store was lost: whether the rows of a room are still there.
    Check {
        key: RoomKey,
        name: RoomName,
    },
}

impl Errand {
    /// Whether a store that failed for a room loses it.
    pub fn writes_in(&self, room: &RoomName) -> bool {
        matches!(&self.job, Job::Write { name, .. } if name == room)
    }

    /// Whether a room waits for it.
    pub const fn is_of_a_room(&self) -> bool {
        !matches!(self.job, Job::FindStranded { .. } | Job::Check { .. })
    }

    /// It happens on the device, and nobody is there to hear the answer.
    pub fn happen(self, device: &mut Device, tab: TabId) {
        match self.job {
            Job::Write { key, name, writes, .. } => {
                drop(device.write((tab, key), &name, writes));
            }
            Job::SetAside { key, name, copy } => device.set_aside((tab, key), &name, &copy),
            _ => {}
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

    /// The connection to the store was lost, and there is another one.
    pub fn check_store(&mut self, random: &mut Random, now: Time) {
        let Some(process) = &self.process else { return };
        let loaded = self.browser.borrow().device.loaded_by(process.tab);
        for (key, name) in loaded {
            self.ask_device(Job::Check { key, name }, random, now);
        }
    }

    /// Does what is due, and brings the answers.
    pub(super) fn hear_from_device(&mut self, random: &mut Random, now: Time) {
        self.browser.borrow_mut().device.write_late(now);
        while self.errands.front().is_some_and(|errand| errand.at <= now) {
            let Some(errand) = self.errands.pop_front() else { break };
            let Some(process) = &mut self.process else { continue };
            let device = &mut self.browser.borrow_mut().device;
            let Some(input) = errand.job.run(device, process.tab, random, now) else { continue };
            let loaded = match &input {
                client::Input::Loaded { key, copy: Ok(_) } => Some(*key),
                _ => None,
            };
            process.client.handle(input, now);
            process.wake = Some(Time::ZERO);
            if let Some(key) = loaded {
                process.check_loaded(key, device);
            }
        }
    }
}

impl Job {
    /// Does it, as well as the device does it now.
    fn run(
        self,
        device: &mut Device,
        tab: TabId,
        random: &mut Random,
        now: Time,
    ) -> Option<client::Input> {
        let fate = device.fate(random, now);
        let is_well = fate == Fate::Done;
        let input = match self {
            Self::Write { key, name, ticket, writes } => {
                let room = ((tab, key), &name);
                match device.try_to_write(room, writes, fate, random, now) {
                    Ok(()) => client::Input::Written { key, ticket },
                    Err(error) => client::Input::WriteFailed { key, error },
                }
            }
            Self::Load { key, name, lineage } if is_well => {
                client::Input::Loaded { key, copy: device.load((tab, key), &name, lineage) }
            }
            Self::Load { key, .. } => {
                device.counts.failed_loads += 1;
                client::Input::Loaded { key, copy: Err(broken()) }
            }
            Self::SetAside { key, name, copy } => {
                if fate != Fate::Fails {
                    device.set_aside((tab, key), &name, &copy);
                }
                let copy = match is_well {
                    true => device.load((tab, key), &name, None),
                    false => Err(broken()),
                };
                device.counts.failed_asides += u64::from(!is_well);
                client::Input::Loaded { key, copy }
            }
            Self::FindStranded { after } => {
                let room = if is_well { device.stranded(after.as_ref()) } else { None };
                client::Input::FoundStranded { room }
            }
            Self::LoadStranded { key, name } if is_well => {
                let updates = device.load_stranded((tab, key), &name);
                client::Input::LoadedStranded { key, updates }
            }
            Self::LoadStranded { key, .. } => {
                client::Input::LoadedStranded { key, updates: Vec::new() }
            }
            Self::Check { key, name } => {
                if is_well && device.knows((tab, key), &name) {
                    return None;
                }
                client::Input::WriteFailed { key, error: broken() }
            }
        };
        Some(input)
    }
}

fn broken() -> Error {
    Error::new(Code::DeviceUnavailable, "the store cannot be used")
}
