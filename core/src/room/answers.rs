//! What joining members are sent: computed once for all who ask with the same state vector.

use std::time::Duration;

use bytes::Bytes;

use super::log::Log;
use crate::doc::known::Known;
use crate::doc::pieces::pieces;
use crate::doc::splice;
use crate::error::Error;
use crate::ids::Sequence;
use crate::time::{Time, earliest};

/// Answers that are kept at the same time.
const ANSWERS_MAX: usize = 8;
/// An answer nobody asked for this long goes.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// So many updates may follow behind an answer as they are; with more it is computed anew.
const BEHIND_UPDATES_MAX: u64 = 64;

/// The last answers of a room.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<Answer>);

#[derive(Debug)]
struct Answer {
    /// The state vector, as it was sent.
    key: Bytes,
    /// Where the log was.
    at: Sequence,
    pieces: Vec<Bytes>,
    asked_at: Time,
}

impl Answer {
    fn bytes(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }
}

impl Answers {
    /// Updates that bring somebody with this state vector up to date, in this order. They are
    /// shared with everybody who asks for the same.
    pub(super) fn find(
        &mut self,
        log: &Log,
        key: &Bytes,
        theirs: &Known,
        piece_bytes_max: usize,
        now: Time,
    ) -> Result<Vec<Bytes>, Error> {
        // What is stored is an answer already, as long as little follows behind it.
        if theirs.is_empty()
            && let Some(behind) = few_behind(log, log.base())
        {
            return Ok(log.snapshot().iter().chain(behind).cloned().collect());
        }
        if let Some(answer) = self.0.iter_mut().find(|answer| answer.key == *key)
            && let Some(behind) = few_behind(log, answer.at)
        {
            answer.asked_at = now;
            return Ok(answer.pieces.iter().chain(behind).cloned().collect());
        }
        let pieces = compute(log, theirs, piece_bytes_max)?;
        self.0.retain(|answer| answer.key != *key);
        let answer =
            Answer { key: key.clone(), at: log.head(), pieces: pieces.clone(), asked_at: now };
        self.keep(answer, log.bytes());
        Ok(pieces)
    }

    /// Keeps an answer in the place of older ones: together they take no more than the room.
    fn keep(&mut self, answer: Answer, bytes_max: usize) {
        let mut bytes = answer.bytes();
        self.0.insert(0, answer);
        let mut kept = 0;
        self.0.retain(|answer| {
            kept += 1;
            if kept > 1 {
                bytes += answer.bytes();
            }
            kept <= ANSWERS_MAX && (kept == 1 || bytes <= bytes_max)
        });
    }

    /// Forgets what nobody asks for any more.
    pub(super) fn expire(&mut self, now: Time) {
        self.0.retain(|answer| now < answer.asked_at + KEPT_FOR);
    }

    /// When there is something to forget.
    pub(super) fn expire_at(&self) -> Option<Time> {
        self.0.iter().fold(None, |at, answer| earliest(at, Some(answer.asked_at + KEPT_FOR)))
    }
}

/// The updates behind a place in the log, when they are so few that they can follow as they are.
pub(super) fn few_behind(log: &Log, at: Sequence) -> Option<impl Iterator<Item = &Bytes>> {
    let count = log.head().0.checked_sub(at.0)?;
    if count > BEHIND_UPDATES_MAX { None } else { log.since(at) }
}

fn compute(log: &Log, theirs: &Known, piece_bytes_max: usize) -> Result<Vec<Bytes>, Error> {
    let updates: Vec<_> = log.updates().collect();
    let whole = splice::merge(&updates)?;
    Ok(pieces(&whole, theirs, piece_bytes_max)?.into_iter().map(Bytes::from).collect())
}
