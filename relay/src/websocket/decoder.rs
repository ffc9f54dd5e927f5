//! The bytes of a client to messages, by the rules of RFC 6455, section 5. Between messages a
//! decoder holds nothing, and a message is never larger in memory than what has arrived of it, twice.

use bytes::Bytes;

/// Two bytes, a length of eight and a masking key of four.
const HEAD_BYTES_MAX: usize = 14;
const CONTROL_BYTES_MAX: usize = 125;
/// What is set aside for a message before more of it has arrived.
const FIRST_BYTES: usize = 64 << 10;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Binary(Bytes),
    /// A text message begins. No protocol of the relay has any, so its bytes are skipped, and
    /// whether they are UTF-8 does not matter.
    Text,
    Ping(Bytes),
    Pong,
    /// The client closes, with this code if it names one. Nothing may follow.
    Close(Option<u16>),
}

/// Why a client's bytes cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A message is larger than the limit.
    TooLarge,
    /// A rule of the RFC is broken; the text goes into the close frame.
    Rule(&'static str),
    /// The reason of a close frame is no UTF-8.
    NotUtf8,
}

/// Cuts the stream of one client into messages.
#[derive(Debug)]
pub(super) struct Decoder {
    message_bytes_max: usize,
    /// What has arrived of the next head.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// The frame whose payload is arriving.
    frame: Option<Frame>,
    /// The message that further fragments belong to.
    message: Option<Kind>,
    payload: Vec<u8>,
    control: Vec<u8>,
}

/// The kinds of messages that may come in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: u8,
    is_final: bool,
    key: [u8; 4],
    bytes_left: usize,
}

impl Decoder {
    pub(super) const fn new(message_bytes_max: usize) -> Self {
        Self {
            message_bytes_max,
            head: [0; HEAD_BYTES_MAX],
            head_bytes: 0,
            frame: None,
            message: None,
            payload: Vec::new(),
            control: Vec::new(),
        }
    }

    /// Changes how large the messages may be whose frames begin from here on.
    pub(super) const fn set_message_bytes_max(&mut self, bytes: usize) {
        self.message_bytes_max = bytes;
    }

    /// Takes bytes off the input until a message is complete, or none are left. After an error
    /// the stream cannot be understood any more.
    pub(super) fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, Broken> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let Some(frame) = self.head(input)? else { return Ok(None) };
                    if frame.opcode == TEXT {
                        self.frame = Some(frame);
                        return Ok(Some(Incoming::Text));
                    }
                    frame
                }
            };
            self.payload(&mut frame, input);
            if frame.bytes_left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(incoming) = self.finish(frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    /// Reads the head of a frame. What is wrong is told as early as the bytes show it.
    fn head(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Broken> {
        if !self.fill_head(2, input) {
            return Ok(None);
        }
        let [first, second, ..] = self.head;
        let (opcode, is_final) = (first & 0x0f, first & 0x80 != 0);
        self.check(first, second)?;
        let (length_bytes, least) = match second & 0x7f {
            126 => (2, 126),
            127 => (8, 1 << 16),
            _ => (0, 0),
        };
        if !self.fill_head(2 + length_bytes + 4, input) {
            return Ok(None);
        }
        let (length, rest) = self.head.split_at(2 + length_bytes);
        let length = match length {
            [_, _, long @ ..] if !long.is_empty() => {
                long.iter().fold(0, |length: u64, byte| length << 8 | u64::from(*byte))
            }
            _ => u64::from(second & 0x7f),
        };
        let key = rest.first_chunk().copied().unwrap_or_default();
        if length >> 63 != 0 {
            return Err(Broken::Rule("a length has 63 bits"));
        }
        if length < least {
            return Err(Broken::Rule("a length has to be in its shortest form"));
        }
        self.head_bytes = 0;
        let bytes_left = self.room_for(opcode, length)?;
        if !is_final && opcode == TEXT {
            self.message = Some(Kind::Text);
        } else if !is_final && opcode == BINARY {
            self.message = Some(Kind::Binary);
        }
        Ok(Some(Frame { opcode, is_final, key, bytes_left }))
    }

    /// Gathers the head up to so many bytes, and says whether they are there.
    fn fill_head(&mut self, until: usize, input: &mut &[u8]) -> bool {
        let missing = self.head.get_mut(self.head_bytes..until).unwrap_or_default();
        let count = missing.len().min(input.len());
        let (taken, rest) = input.split_at(count);
        if let Some(place) = missing.get_mut(..count) {
            place.copy_from_slice(taken);
        }
        *input = rest;
        self.head_bytes += count;
        self.head_bytes >= until
    }

    /// What the first two bytes have to keep to.
    fn check(&self, first: u8, second: u8) -> Result<(), Broken> {
        let (opcode, is_final) = (first & 0x0f, first & 0x80 != 0);
        let rule = if first & 0x70 != 0 {
            "reserved bits have to be 0"
        } else if !matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG) {
            "the opcode is reserved"
        } else if second & 0x80 == 0 {
            "a client has to mask its frames"
        } else if opcode >= CLOSE && !is_final {
            "a control frame cannot be fragmented"
        } else if opcode >= CLOSE && usize::from(second & 0x7f) > CONTROL_BYTES_MAX {
            "a control frame has at most 125 bytes"
        } else if opcode == CONTINUATION && self.message.is_none() {
            "there is no message to continue"
        } else if matches!(opcode, TEXT | BINARY) && self.message.is_some() {
            "the last message is not complete"
        } else {
            return Ok(());
        };
        Err(Broken::Rule(rule))
    }

    /// Checks the length of a frame against the limit, with what the message has so far.
    fn room_for(&self, opcode: u8, length: u64) -> Result<usize, Broken> {
        let length = usize::try_from(length).map_err(|_beyond_memory| Broken::TooLarge)?;
        let is_skipped =
            opcode == TEXT || (opcode == CONTINUATION && self.message == Some(Kind::Text));
        let is_over = self.payload.len().saturating_add(length) > self.message_bytes_max;
        if opcode < CLOSE && !is_skipped && is_over { Err(Broken::TooLarge) } else { Ok(length) }
    }

    /// Takes what there is of a frame's payload.
    fn payload(&mut self, frame: &mut Frame, input: &mut &[u8]) {
        let (arrived, rest) = input.split_at(frame.bytes_left.min(input.len()));
        *input = rest;
        let bytes_left = frame.bytes_left - arrived.len();
        let into = match (frame.opcode, self.message) {
            (CLOSE | PING | PONG, _) => Some(&mut self.control),
            (BINARY, _) | (CONTINUATION, Some(Kind::Binary)) => Some(&mut self.payload),
            _ => None,
        };
        if let Some(into) = into {
            let spare = into.capacity() - into.len();
            if spare < arrived.len() && self.message.is_none() {
                // Room for as much again as is there, so that who only announces bytes gets none.
                let more = frame.bytes_left.min(into.len().max(FIRST_BYTES));
                into.reserve_exact(more.max(arrived.len()));
            }
            let start = into.len();
            into.extend_from_slice(arrived);
            unmask(into.get_mut(start..).unwrap_or_default(), frame.key);
        }
        frame.key.rotate_left(arrived.len() % 4);
        frame.bytes_left = bytes_left;
    }

    /// What the end of a frame completes.
    fn finish(&mut self, frame: Frame) -> Result<Option<Incoming>, Broken> {
        let control = std::mem::take(&mut self.control);
        Ok(match frame.opcode {
            PING => Some(Incoming::Ping(control.into())),
            PONG => Some(Incoming::Pong),
            CLOSE => Some(Incoming::Close(read_close(&control)?)),
            _ if !frame.is_final => None,
            TEXT => None,
            _ => {
                let is_text = self.message.take() == Some(Kind::Text);
                let mut payload = std::mem::take(&mut self.payload);
                payload.shrink_to_fit();
                (!is_text).then(|| Incoming::Binary(payload.into()))
            }
        })
    }
}

/// Undoes the masking: byte n was combined with byte n mod 4 of the key.
fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    let mut long_key = [0; 32];
    long_key.chunks_exact_mut(4).for_each(|part| part.copy_from_slice(&key));
    for chunk in bytes.chunks_mut(long_key.len()) {
        chunk.iter_mut().zip(long_key).for_each(|(byte, key)| *byte ^= key);
    }
}

/// The code of a close frame (sections 5.5.1 and 7.4).
fn read_close(payload: &[u8]) -> Result<Option<u16>, Broken> {
    let (code, reason) = match payload.split_first_chunk() {
        Some((code, reason)) => (u16::from_be_bytes(*code), reason),
        None if payload.is_empty() => return Ok(None),
        None => return Err(Broken::Rule("a close code has two bytes")),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Broken::Rule("this close code cannot be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err(Broken::NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use coweave_core::random::Random;

    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ ..126 => bytes.push(0x80 | u8::try_from(short).unwrap()),
            long @ ..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(long).unwrap().to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    /// Everything that a stream says when it arrives in these pieces.
    fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<Incoming, Broken>> {
        let (mut decoder, mut heard) = (Decoder::new(100_000), Vec::new());
        for mut piece in pieces {
            loop {
                match decoder.decode(&mut piece) {
                    Ok(None) => break,
                    Ok(Some(incoming)) => heard.push(Ok(incoming)),
                    Err(broken) => {
                        heard.push(Err(broken));
                        return heard;
                    }
                }
            }
            assert!(piece.is_empty());
        }
        assert_eq!(decoder.payload.capacity() + decoder.control.capacity(), 0);
        heard
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        let bytes = [0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(decode([&bytes[..]]), [Ok(Incoming::Ping(Bytes::from_static(b"Hello")))]);
    }

    #[test]
    fn a_stream_says_the_same_however_it_is_cut() {
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            let payload: Vec<u8> = (0..=255).cycle().take(length).collect();
            stream.extend(frame(0x82, &payload));
            expected.push(Ok(Incoming::Binary(payload.clone().into())));
            // The same in three fragments, with a ping and a pong in between.
            let (head, tail) = payload.split_at(length / 3);
            let (middle, tail) = tail.split_at(tail.len() / 2);
            stream.extend(frame(0x02, head));
            stream.extend(frame(0x89, b"?"));
            stream.extend(frame(0x00, middle));
            stream.extend(frame(0x8a, b"!"));
            stream.extend(frame(0x80, tail));
            expected.push(Ok(Incoming::Ping(Bytes::from_static(b"?"))));
            expected.push(Ok(Incoming::Pong));
            expected.push(Ok(Incoming::Binary(payload.into())));
        }
        stream.extend(frame(0x01, b"\xff"));
        stream.extend(frame(0x80, b"\xff"));
        stream.extend(frame(0x88, b"\x03\xe8bye"));
        expected.extend([Ok(Incoming::Text), Ok(Incoming::Close(Some(1000)))]);
        assert_eq!(decode([&stream[..]]), expected);
        assert_eq!(decode(stream.chunks(1)), expected);
        let mut random = Random::from_seed(1);
        for _ in 0..20 {
            let step = 1 + usize::try_from(random.below(5_000)).unwrap();
            assert_eq!(decode(stream.chunks(step)), expected, "in pieces of {step}");
        }
    }

    #[test]
    fn announced_bytes_get_no_memory_before_they_are_there() {
        let mut decoder = Decoder::new(1 << 40);
        let announced = [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(decoder.decode(&mut [&announced[..], &[0; 10]].concat().as_slice()), Ok(None));
        assert_eq!(decoder.payload.capacity(), FIRST_BYTES);
        for _ in 0..100 {
            assert_eq!(decoder.decode(&mut &[0; 10_000][..]), Ok(None));
            assert!(decoder.payload.capacity() <= (2 * decoder.payload.len()).max(FIRST_BYTES));
        }
    }

    #[test]
    fn a_message_in_a_million_fragments_is_not_copied_a_million_times() {
        let mut decoder = Decoder::new(1 << 20);
        assert_eq!(decoder.decode(&mut frame(0x02, b"").as_slice()), Ok(None));
        let (fragment, mut moves, mut capacity) = (frame(0x00, b"x"), 0, 0);
        for _ in 0..1 << 20 {
            assert_eq!(decoder.decode(&mut fragment.as_slice()), Ok(None));
            moves += u32::from(decoder.payload.capacity() != capacity);
            capacity = decoder.payload.capacity();
        }
        assert!(moves < 30, "{moves}");
    }

    #[test]
    fn nothing_makes_it_panic() {
        let mut random = Random::from_seed(2);
        for _ in 0..20_000 {
            let mut stream = Vec::new();
            for _ in 0..4 {
                let first = u8::try_from(random.below(256)).unwrap();
                let first = if random.chance(80) { first & 0x8f } else { first };
                let length = usize::try_from(random.below(140)).unwrap();
                stream.extend(frame(first, &vec![first; length]));
            }
            for _ in 0..random.below(3) {
                let at = usize::try_from(random.below(stream.len() as u64)).unwrap();
                stream[at] = u8::try_from(random.below(256)).unwrap();
            }
            let mut decoder = Decoder::new(1_000);
            let mut input = stream.as_slice();
            while let Ok(Some(_)) = decoder.decode(&mut input) {}
        }
    }
}
