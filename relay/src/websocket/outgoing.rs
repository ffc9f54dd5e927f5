//! What waits to be written to a client: frames with shared payloads, many of them in one system
//! call. Large payloads are never copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};

/// Two bytes and a length of eight.
const HEAD_BYTES_MAX: usize = 10;
/// Parts of large frames in one system call; each frame has two.
pub(super) const BATCH_SLICES: usize = 128;
/// Payloads up to here are copied together: for the system one buffer is cheaper than many small ones.
const SMALL_BYTES: usize = 4 << 10;
/// What an empty queue keeps its memory for.
const KEPT_FRAMES: usize = 16;

const FINAL: u8 = 0x80;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One frame, as far as it is not written yet.
#[derive(Debug)]
struct Frame {
    opcode: u8,
    head: [u8; HEAD_BYTES_MAX],
    /// The part of the head that is to be written.
    head_from: u8,
    head_to: u8,
    payload: Bytes,
}

impl Frame {
    fn new(opcode: u8, payload: Bytes) -> Self {
        let mut head = [0; HEAD_BYTES_MAX];
        let length = payload.len();
        head[0] = FINAL | opcode;
        let head_to = if let Ok(short @ ..126) = u8::try_from(length) {
            head[1] = short;
            2
        } else if let Ok(length) = u16::try_from(length) {
            head[1] = 126;
            head[2..4].copy_from_slice(&length.to_be_bytes());
            4
        } else {
            head[1] = 127;
            head[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        };
        Self { opcode, head, head_from: 0, head_to, payload }
    }

    fn head(&self) -> &[u8] {
        self.head.get(usize::from(self.head_from)..usize::from(self.head_to)).unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.head().len() + self.payload.len()
    }
}

/// Frames in their order.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Frame>,
    /// The payloads of messages among them; control frames do not count.
    message_bytes: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) const fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    pub(super) fn message(&mut self, payload: Bytes) {
        self.message_bytes = self.message_bytes.saturating_add(payload.len());
        self.frames.push_back(Frame::new(BINARY, payload));
    }

    pub(super) fn ping(&mut self) {
        self.frames.push_back(Frame::new(PING, Bytes::new()));
    }

    /// Answers a ping, before all that waits. Only the last of several pings needs an answer (RFC
    /// 6455, section 5.5.3), so a client that pings and does not read gathers no pongs.
    pub(super) fn pong(&mut self, payload: Bytes) {
        let at = usize::from(self.frames.front().is_some_and(|first| first.head_from > 0));
        let pong = Frame::new(PONG, payload);
        match self.frames.get_mut(at) {
            Some(waiting) if waiting.opcode == PONG => *waiting = pong,
            _ => self.frames.insert(at, pong),
        }
    }

    pub(super) fn close(&mut self, code: Option<u16>, reason: &str) {
        let code = code.map(|code| [&code.to_be_bytes(), reason.as_bytes()].concat());
        self.frames.push_back(Frame::new(CLOSE, code.unwrap_or_default().into()));
    }

    /// Drops everything that is not half written.
    pub(super) fn abandon(&mut self) {
        self.frames.truncate(usize::from(self.frames.front().is_some_and(|f| f.head_from > 0)));
        self.message_bytes = self.frames.iter().map(|frame| frame.payload.len()).sum();
    }

    /// Copies small frames to a buffer for one system call, and says how many bytes they are; none
    /// when the next frame is a large one.
    pub(super) fn gather(&self, space: &mut [u8]) -> usize {
        let mut length = 0;
        for frame in &self.frames {
            let (head, payload) = (frame.head(), &frame.payload);
            if payload.len() > SMALL_BYTES {
                break;
            }
            let rest = space.get_mut(length..).unwrap_or_default();
            let Some((place, _)) = rest.split_at_mut_checked(frame.len()) else { break };
            let (place_of_head, place_of_payload) = place.split_at_mut(head.len());
            place_of_head.copy_from_slice(head);
            place_of_payload.copy_from_slice(payload);
            length += frame.len();
        }
        length
    }

    /// The next bytes, for one system call; says how many of the slices it has set.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; BATCH_SLICES]) -> usize {
        let parts = self.frames.iter().flat_map(|frame| [frame.head(), &frame.payload]);
        let parts = parts.filter(|part| !part.is_empty());
        let places = slices.iter_mut();
        places.zip(parts).map(|(place, part)| *place = IoSlice::new(part)).count()
    }

    /// Forgets what was written.
    pub(super) fn advance(&mut self, mut bytes: usize) {
        while let Some(frame) = self.frames.front_mut() {
            let of_head = bytes.min(frame.head().len());
            frame.head_from += u8::try_from(of_head).unwrap_or(frame.head_to);
            let of_payload = (bytes - of_head).min(frame.payload.len());
            frame.payload.advance(of_payload);
            if frame.opcode == BINARY {
                self.message_bytes = self.message_bytes.saturating_sub(of_payload);
            }
            bytes -= of_head + of_payload;
            if frame.len() > 0 {
                return;
            }
            self.frames.pop_front();
        }
        if self.frames.capacity() > KEPT_FRAMES {
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is to be written, taken in steps of so many bytes.
    fn drain(outgoing: &mut Outgoing, step: usize) -> Vec<u8> {
        let (mut written, mut space) = (Vec::new(), vec![0; 10_000]);
        while !outgoing.is_empty() {
            let length = outgoing.gather(&mut space);
            let mut bytes = space[..length.min(step)].to_vec();
            if length == 0 {
                let mut slices = [IoSlice::new(&[]); BATCH_SLICES];
                let count = outgoing.slices(&mut slices);
                let parts = slices[..count].iter().flat_map(|part| part.iter().copied());
                bytes.extend(parts.take(step));
            }
            outgoing.advance(bytes.len());
            written.extend(bytes);
        }
        assert_eq!(outgoing.message_bytes(), 0);
        written
    }

    #[test]
    fn frames_are_the_same_however_little_the_system_takes_at_once() {
        let mut expected = Vec::new();
        let lengths: &[(usize, &[u8])] = &[
            (0, &[0x82, 0]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ];
        let payload = |length| vec![7; length];
        for (length, head) in lengths {
            expected.extend_from_slice(head);
            expected.extend(payload(*length));
        }
        expected.extend([0x89, 0, 0x88, 5, 0x03, 0xe8, b'b', b'y', b'e']);
        for step in [1, 2, 3, 1_000, 70_000, 1_000_000] {
            let mut outgoing = Outgoing::default();
            lengths.iter().for_each(|(length, _)| outgoing.message(payload(*length).into()));
            outgoing.ping();
            outgoing.close(Some(1000), "bye");
            assert_eq!(drain(&mut outgoing, step), expected, "in steps of {step}");
        }
    }

    #[test]
    fn a_pong_goes_before_all_that_waits_but_not_into_a_frame_and_only_the_last_one_goes() {
        let mut outgoing = Outgoing::default();
        outgoing.message(Bytes::from_static(b"abc"));
        outgoing.message(Bytes::from_static(b"d"));
        outgoing.advance(3);
        outgoing.pong(Bytes::from_static(b"1"));
        outgoing.pong(Bytes::from_static(b"2"));
        assert_eq!(drain(&mut outgoing, 100), *b"bc\x8a\x012\x82\x01d");
        outgoing.pong(Bytes::from_static(b"3"));
        outgoing.pong(Bytes::from_static(b"4"));
        assert_eq!(drain(&mut outgoing, 100), *b"\x8a\x014");
    }

    #[test]
    fn what_is_half_written_is_finished_when_the_rest_is_dropped() {
        let mut outgoing = Outgoing::default();
        outgoing.message(Bytes::from_static(b"abc"));
        outgoing.message(Bytes::from_static(b"d"));
        outgoing.advance(4);
        outgoing.abandon();
        outgoing.close(None, "");
        assert_eq!(drain(&mut outgoing, 100), *b"c\x88\0");
    }

    #[test]
    fn an_empty_queue_holds_no_memory_of_a_burst() {
        let mut outgoing = Outgoing::default();
        (0..1_000).for_each(|_| outgoing.message(Bytes::from_static(b"x")));
        drain(&mut outgoing, 1_000_000);
        assert!(outgoing.frames.capacity() <= KEPT_FRAMES);
    }
}
