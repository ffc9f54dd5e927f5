//! What the machines of a page want, done: by the browser, the device and the network.

use std::time::Duration;

use coweave_core::client::tabs;
use coweave_core::client::{self, Event, Output, Room, RoomState};
use coweave_core::error::Code;
use coweave_core::random::Random;
use coweave_core::time::{Time, earliest};

use super::errand::Job;
use super::{Actor, with_unknown_message};
use crate::simulation::network::{Arrival, Network, Way};
use crate::simulation::relay::is_repeatable;

impl Actor {
    pub fn receive(&mut self, arrival: Arrival, now: Time) {
        let Some(process) = &mut self.process else { return };
        let input = match arrival {
            Arrival::Opened => tabs::Input::SocketOpened,
            Arrival::Frame(frame) => tabs::Input::SocketFrame(frame),
            Arrival::Closed => {
                process.socket = None;
                tabs::Input::SocketClosed { error: None }
            }
        };
        process.tabs.handle(input, now);
        process.wake = Some(Time::ZERO);
    }

    pub fn run(&mut self, network: &mut Network, random: &mut Random, repeats: bool, now: Time) {
        self.hear_from_device(random, now);
        loop {
            let Some(process) = &mut self.process else { return };
            while let Some(input) = self.browser.borrow_mut().take(process.tab, now) {
                process.tabs.handle(input, now);
                process.wake = Some(Time::ZERO);
            }
            if process.wake.is_none_or(|at| at > now) {
                return;
            }
            process.client.handle(client::Input::Tick, now);
            process.tabs.handle(tabs::Input::Tick, now);
            loop {
                let Some(process) = &mut self.process else { return };
                match process.tabs.poll(now) {
                    tabs::Output::Idle { wake } => process.wake = wake,
                    output => {
                        self.perform_outside(output, network, random, repeats, now);
                        continue;
                    }
                }
                match process.client.poll(now) {
                    Output::Idle { wake } => {
                        process.wake = earliest(process.wake, wake);
                        break;
                    }
                    output => self.perform(output, random, now),
                }
            }
            self.note_what_was_told();
            for name in self.rooms.clone() {
                let room = self.room(&name);
                match room.map(Room::state) {
                    Some(RoomState::Stopped { error }) if error.code == Code::RoomDeleted => {
                        self.begin_anew(&name, random, now);
                    }
                    Some(RoomState::Stopped { error }) => {
                        panic!("person {}: the room stopped: {error}", self.name);
                    }
                    _ => {}
                }
            }
        }
    }

    /// What the tab wants of the browser and the network.
    fn perform_outside(
        &mut self,
        output: tabs::Output,
        network: &mut Network,
        random: &mut Random,
        repeats: bool,
        now: Time,
    ) {
        let Some(process) = &mut self.process else { return };
        match output {
            tabs::Output::OpenSocket => process.socket = Some(network.open(random, now)),
            tabs::Output::Send(mut frame) => {
                if self.is_newer && random.chance(10) {
                    frame = with_unknown_message(&frame);
                }
                let socket = process.socket.expect("a frame without a socket");
                if repeats && is_repeatable(&frame) && random.chance(30) {
                    let again = Arrival::Frame(frame.clone());
                    network.send(socket, Way::ToRelay, again, random, now);
                }
                network.send(socket, Way::ToRelay, Arrival::Frame(frame), random, now);
            }
            tabs::Output::CloseSocket => {
                if let Some(socket) = process.socket.take() {
                    network.send(socket, Way::ToRelay, Arrival::Closed, random, now);
                }
            }
            tabs::Output::Watch(other) => {
                self.browser.borrow_mut().watch(process.tab, other, now);
            }
            tabs::Output::Post { to, message } => {
                let at = now + Duration::from_millis(random.below(20));
                self.browser.borrow_mut().post(process.tab, to, &message, at);
            }
            tabs::Output::Client(input) => process.client.handle(input, now),
            other => panic!("unknown output {other:?}"),
        }
    }

    fn perform(&mut self, output: Output, random: &mut Random, now: Time) {
        let Some(process) = &mut self.process else { return };
        match output {
            Output::Connect => {
                process.tabs.handle(tabs::Input::Dial { token: String::new() }, now);
            }
            Output::Frame(frame) => process.tabs.handle(tabs::Input::Say(frame), now),
            Output::Disconnect => process.tabs.handle(tabs::Input::HangUp, now),
            Output::Talk { to, talk } => {
                process.tabs.handle(tabs::Input::Talk { to, talk }, now);
            }
            Output::Load { key, name, lineage } => {
                self.ask_device(Job::Load { key, name, lineage }, random, now);
            }
            Output::SetAside { key, name, copy, .. } => {
                self.ask_device(Job::SetAside { key, name, copy }, random, now);
            }
            Output::FindStranded { after } => {
                self.ask_device(Job::FindStranded { after }, random, now);
            }
            Output::LoadStranded { key, name } => {
                self.ask_device(Job::LoadStranded { key, name }, random, now);
            }
            Output::Carry { room } => self.carried += u64::from(room.is_some()),
            Output::Closed { key } => {
                process.clocks.remove(&key);
                process.histories.remove(&key);
                process.logs.remove(&key);
                process.flushes.retain(|(of, _), _| *of != key);
            }
            Output::Write { key, name, ticket, writes } => {
                process.check_written(key, &writes);
                self.ask_device(Job::Write { key, name, ticket, writes }, random, now);
            }
            Output::Event { event: Event::Refused { error, .. }, .. } => {
                assert!(error.code.is_retryable(), "an honest edit was refused: {error}");
            }
            Output::Event { event: Event::Seeded(result), .. } => {
                self.seeded += u64::from(result.expect("an honest template was refused"));
            }
            Output::Event { key, event: Event::SetAside(_) } => {
                // What the numbers of edits reached to is in no document any more.
                process.clocks.entry(key).or_default().fill(0);
            }
            Output::Event { key, event: Event::Flushed { number } } => {
                self.flushed += 1;
                let known = process.flushes.remove(&(key, number)).unwrap_or_default();
                if let Some(room) = process.client.room(key)
                    && let Some(lineage) = room.lineage()
                {
                    let told = self.told_durable.entry((room.name().clone(), lineage)).or_default();
                    known.iter().for_each(|(client, next)| told.reach(client, next));
                }
            }
            Output::Keep { key, kept } => {
                process.logs.entry(key).or_default().keep(kept);
            }
            Output::Event { .. } => {}
            other => panic!("unknown output {other:?}"),
        }
    }
}
