//! The first content of a room, brought as a seed: nobody hears of it before it is on disk.
//!
//! What a relay that crashes has told and not flushed comes back with whoever heard of it. An edit may
//! do so. A seed may not: another one may have been taken since, and the room would have two templates.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Room;
use crate::doc::guard::Mode;
use crate::error::{Code, Error};
use crate::ids::{MemberId, Sequence};
use crate::room::{Input, Output, RoomMessage};
use crate::time::Time;

/// What an input takes beside its content, about.
const INPUT_BYTES: usize = 100;

/// A seed on its way to the disk.
#[derive(Debug)]
pub(super) struct Seeding {
    sequence: Sequence,
    /// What is told when it is there.
    outputs: VecDeque<Output>,
    /// What came meanwhile: an answer to it might tell of the seed.
    inputs: VecDeque<Input>,
    input_bytes: usize,
}

impl Room {
    /// Takes the first content of a room, unless there is some already. Whoever brought it gets it
    /// like everybody else.
    pub(super) fn seed(&mut self, from: MemberId, update: &Bytes) {
        if !self.members.contains_key(&from) {
            return;
        }
        let before = self.outputs.len();
        let result = match self.known.is_empty() {
            true => self.accept(from, Mode::State, update, None).map(|_| true),
            false => Ok(false),
        };
        self.send(from, RoomMessage::Seeded { result });
        let outputs = self.outputs.split_off(before).into_iter();
        let (stored, told) = outputs.partition(|it| matches!(it, Output::Append { .. }));
        let stored: VecDeque<_> = stored;
        if stored.is_empty() {
            return self.outputs.extend::<VecDeque<_>>(told);
        }
        self.outputs.extend(stored);
        let (sequence, inputs) = (self.log.head(), VecDeque::new());
        self.seeding = Some(Seeding { sequence, outputs: told, inputs, input_bytes: 0 });
    }

    /// Gives back what can be taken now. While a seed is on its way, what members say has to wait, and
    /// when the disk fails, they are sent away: the room is like one that is not there yet.
    pub(super) fn hold(&mut self, input: Input, now: Time) -> Option<Input> {
        let Some((seeding, from)) = self.seeding.as_mut().zip(member_of(&input)) else {
            return Some(input);
        };
        seeding.input_bytes += INPUT_BYTES + content_bytes(&input);
        let is_much = seeding.input_bytes > self.limits.undurable_bytes_max;
        seeding.inputs.push_back(input);
        if is_much || self.degraded.is_some() {
            self.send_away(from, now);
        }
        None
    }

    /// The disk fails before it has the seed.
    pub(super) fn seeding_failed(&mut self, now: Time) {
        let Some(seeding) = &self.seeding else { return };
        let waiting = seeding.inputs.iter().filter_map(member_of);
        let everybody: Vec<_> = waiting.chain(self.members.keys().copied()).collect();
        everybody.into_iter().for_each(|member| self.send_away(member, now));
    }

    fn send_away(&mut self, member: MemberId, now: Time) {
        let Some(seeding) = &mut self.seeding else { return };
        let before = seeding.inputs.len();
        seeding.inputs.retain(|input| member_of(input) != Some(member));
        if seeding.inputs.len() < before || self.members.contains_key(&member) {
            let text = "the first content of the room waits for the relay's disk";
            let error = Error::new(Code::RelayDegraded, text).with_retry_after_ms(1_000);
            self.end(member, error, now);
        }
    }

    /// Goes on when the seed is on disk.
    pub(super) fn end_seeding(&mut self, now: Time) {
        let durable = self.log.durable();
        let seeding =
            self.seeding.take_if(|seeding| seeding.sequence <= durable || self.is_deleted);
        let Some(Seeding { outputs, inputs, .. }) = seeding else { return };
        self.outputs.extend(outputs);
        inputs.into_iter().for_each(|input| self.handle(input, now));
    }

    /// The last place in the log that members may know of.
    pub(super) fn told(&self) -> Sequence {
        let head = self.log.head();
        self.seeding.as_ref().map_or(head, |seeding| Sequence(seeding.sequence.0 - 1))
    }
}

/// Who says something that has to wait for a seed. That somebody is behind can be noted at any time.
const fn member_of(input: &Input) -> Option<MemberId> {
    match input {
        Input::Join { member, .. }
        | Input::Leave { member }
        | Input::Edit { member, .. }
        | Input::SetPresence { member, .. }
        | Input::Awareness { member, .. }
        | Input::Query { member, .. }
        | Input::Seed { member, .. }
        | Input::Flush { member, .. }
        | Input::Drained { member } => Some(*member),
        Input::Behind { .. }
        | Input::Durable { .. }
        | Input::StoreFailed { .. }
        | Input::Compacted { .. }
        | Input::CompactFailed
        | Input::Delete
        | Input::Drain => None,
    }
}

fn content_bytes(input: &Input) -> usize {
    match input {
        Input::Join { request, .. } => request.state_vector.len(),
        Input::Edit { update, .. } | Input::Seed { update, .. } => update.len(),
        Input::SetPresence { state, .. } => state.as_ref().map_or(0, String::len),
        Input::Awareness { entries, .. } => {
            let states = entries.iter().filter_map(|entry| entry.state.as_ref());
            states.map(|state| INPUT_BYTES + state.len()).sum()
        }
        Input::Query { state_vector, .. } => state_vector.len(),
        _ => 0,
    }
}
