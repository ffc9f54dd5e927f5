//! What one connection may send: so many messages and bytes a second, after a burst. Nothing is cut
//! or lost when it sends more; the relay reads from it when it has tokens again.

use coweave_core::limits::Limits;
use coweave_core::rate::Bucket;
use coweave_core::time::{Time, earliest};

/// The buckets of one connection.
#[derive(Debug)]
pub(crate) struct Allowance {
    messages: Bucket,
    bytes: Bucket,
    /// How much was read when that was last counted.
    read_before: u64,
    /// Whether the next request to a room is the one that its frame was counted for.
    is_counted: bool,
}

impl Allowance {
    pub(crate) fn new(limits: &Limits, now: Time) -> Self {
        let Limits { messages_per_second_max, messages_burst_max, .. } = *limits;
        let Limits { bytes_per_second_max, bytes_burst_max, .. } = *limits;
        Self {
            messages: Bucket::new(messages_per_second_max, messages_burst_max, now),
            bytes: Bucket::new(bytes_per_second_max, bytes_burst_max, now),
            read_before: 0,
            is_counted: false,
        }
    }

    /// Counts what has arrived: so many bytes since the connection began.
    pub(crate) fn take_bytes(&mut self, read: u64, now: Time) {
        let bytes = read.saturating_sub(std::mem::replace(&mut self.read_before, read));
        if bytes > 0 {
            self.bytes.take(bytes, now);
        }
    }

    /// Counts a frame, whatever is in it.
    pub(crate) fn take_frame(&mut self, now: Time) {
        self.messages.take(1, now);
        self.is_counted = true;
    }

    /// Counts what a frame wants of a room; the first of it came with the frame.
    pub(crate) fn take_request(&mut self, now: Time) {
        if !std::mem::take(&mut self.is_counted) {
            self.messages.take(1, now);
        }
    }

    /// Until when nothing is to be read; `None` when there are tokens.
    pub(crate) fn wait(&mut self, now: Time) -> Option<Time> {
        match (self.messages.wait(now), self.bytes.wait(now)) {
            (Some(messages), Some(bytes)) => Some(messages.max(bytes)),
            (messages, bytes) => earliest(messages, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn a_frame_counts_as_often_as_it_wants_something_but_once_at_least() {
        let limits = Limits {
            messages_per_second_max: 1,
            messages_burst_max: 4,
            bytes_per_second_max: 0,
            ..Limits::default()
        };
        let mut allowance = Allowance::new(&limits, at(0));
        allowance.take_frame(at(0));
        allowance.take_frame(at(0));
        allowance.take_request(at(0));
        allowance.take_request(at(0));
        assert_eq!(allowance.wait(at(0)), None);
        allowance.take_frame(at(0));
        assert_eq!(allowance.wait(at(0)), Some(at(1_000)));
    }

    #[test]
    fn the_bucket_that_takes_longer_counts() {
        let limits = Limits {
            messages_per_second_max: 1,
            messages_burst_max: 1,
            bytes_per_second_max: 10,
            bytes_burst_max: 100,
            ..Limits::default()
        };
        let mut allowance = Allowance::new(&limits, at(0));
        allowance.take_bytes(99, at(0));
        assert_eq!(allowance.wait(at(0)), None);
        allowance.take_bytes(119, at(0));
        assert_eq!(allowance.wait(at(0)), Some(at(2_000)));
        allowance.take_frame(at(0));
        assert_eq!(allowance.wait(at(0)), Some(at(2_000)));
        allowance.take_frame(at(0));
        allowance.take_frame(at(0));
        assert_eq!(allowance.wait(at(0)), Some(at(3_000)));
    }
}
