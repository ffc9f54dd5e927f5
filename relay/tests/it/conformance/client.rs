//! A WebSocket client that keeps to no rule unless it is told to.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::setup::PATIENCE;

/// The masking key of every frame that does not say otherwise.
const KEY: [u8; 4] = [0x5a, 0x00, 0xff, 0x13];

/// First bytes of frames: the bit of the last fragment, and the opcode.
pub(crate) const FINAL: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// What is spoken inside of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    V1,
    YWebsocket,
}

impl Protocol {
    /// The payload of a message that the relay answers: a ping of `coweave.v1`, or the state
    /// vector of an empty document.
    pub(crate) const fn question_payload(self) -> [u8; 4] {
        match self {
            Self::V1 => [14, 0, 1, 7],
            Self::YWebsocket => [0, 0, 1, 0],
        }
    }

    const fn answer_payload(self) -> &'static [u8] {
        match self {
            Self::V1 => &[15, 0, 1, 7],
            Self::YWebsocket => &[0, 1, 2, 0, 0],
        }
    }

    pub(crate) fn question(self) -> Vec<u8> {
        frame(FINAL | BINARY, &self.question_payload())
    }

    /// The payload of a message of so many bytes that means nothing to the relay.
    pub(crate) fn skipped_payload(self, bytes: usize) -> Vec<u8> {
        let mut payload = vec![99; bytes];
        if self == Self::V1 {
            // A type that it does not know, a channel, and a length that may take several bytes,
            // not only as many as it needs to make up the total.
            let body = |length_bytes| bytes - 2 - length_bytes;
            let length_bytes = (1..=4).find(|n| body(*n) < 1 << (7 * n)).unwrap();
            let is_gap = length_bytes > 1 && body(length_bytes) < 1 << (7 * (length_bytes - 1));
            assert!(!is_gap, "no message has {bytes} bytes");
            payload[1] = 1;
            for at in 0..length_bytes {
                let seven = u8::try_from(body(length_bytes) >> (7 * at) & 0x7f).unwrap();
                payload[2 + at] = seven | if at + 1 < length_bytes { 0x80 } else { 0 };
            }
        }
        payload
    }
}

/// How a length is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Short,
    Two,
    Eight,
}

impl Length {
    pub(crate) const fn shortest(bytes: usize) -> Self {
        match bytes {
            ..126 => Self::Short,
            126..65_536 => Self::Two,
            _ => Self::Eight,
        }
    }
}

/// The head of a frame that announces so many bytes.
pub(crate) fn head(first: u8, form: Length, bytes: u64, key: Option<[u8; 4]>) -> Vec<u8> {
    let mask = if key.is_some() { 0x80 } else { 0 };
    let mut head = vec![first];
    match form {
        Length::Short => head.push(mask | u8::try_from(bytes).unwrap()),
        Length::Two => {
            head.push(mask | 126);
            head.extend(u16::try_from(bytes).unwrap().to_be_bytes());
        }
        Length::Eight => {
            head.push(mask | 127);
            head.extend(bytes.to_be_bytes());
        }
    }
    head.extend(key.unwrap_or_default().iter().filter(|_| key.is_some()));
    head
}

/// A frame as a client has to send it.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_with(first, Length::shortest(payload.len()), KEY, payload)
}

pub(crate) fn frame_with(first: u8, form: Length, key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, form, payload.len() as u64, Some(key));
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

pub(crate) fn close_frame(payload: &[u8]) -> Vec<u8> {
    frame(FINAL | CLOSE, payload)
}

/// The payload of a close frame.
pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// A request for a WebSocket, with further lines in its head.
pub(crate) fn upgrade(path: &str, lines: &str) -> String {
    format!(
        "GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A TCP connection to the relay.
pub(crate) struct RawClient {
    protocol: Protocol,
    pub(crate) stream: TcpStream,
    arrived: Vec<u8>,
}

impl RawClient {
    /// A WebSocket on which the first question was answered.
    pub(crate) async fn open(address: SocketAddr, protocol: Protocol) -> Self {
        let mut client = Self::open_without_hello(address, protocol).await;
        if protocol == Protocol::V1 {
            let hello = [&[1, 0, 21, 1, 0][..], &[7; 16], &[0, 1, b't']].concat();
            client.send(&frame(FINAL | BINARY, &hello)).await;
        }
        client.send(&protocol.question()).await;
        client.wait_for_answer("the first question").await;
        client
    }

    /// A WebSocket on which nothing was said yet.
    pub(crate) async fn open_without_hello(address: SocketAddr, protocol: Protocol) -> Self {
        let mut client = Self::connect(address, protocol).await;
        let request = match protocol {
            Protocol::V1 => upgrade("", "Sec-WebSocket-Protocol: coweave.v1\r\n"),
            Protocol::YWebsocket => upgrade("conformance", ""),
        };
        client.send(request.as_bytes()).await;
        let answer = client.response().await;
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        client
    }

    pub(crate) async fn connect(address: SocketAddr, protocol: Protocol) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { protocol, stream, arrived: Vec::new() }
    }

    /// Sends although the relay may have hung up.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _may_be_over = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn send_chopped(&mut self, bytes: &[u8]) {
        for byte in bytes.chunks(1) {
            self.send(byte).await;
            tokio::task::yield_now().await;
        }
    }

    /// The head of an HTTP response; what follows stays.
    pub(crate) async fn response(&mut self) -> String {
        let end = b"\r\n\r\n";
        loop {
            if let Some(at) = self.arrived.windows(end.len()).position(|part| part == end) {
                let head = self.arrived.drain(..at + end.len()).collect();
                return String::from_utf8(head).unwrap();
            }
            if !self.read().await {
                return String::from_utf8(std::mem::take(&mut self.arrived)).unwrap();
            }
        }
    }

    /// The opcode and payload of the next frame, `None` when the relay has hung up. The frame has
    /// to be as a server must send it.
    pub(crate) async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            if !self.read().await {
                assert!(self.arrived.is_empty(), "cut off in a frame");
                return None;
            }
        }
    }

    /// Waits for a close frame or a pong.
    pub(crate) async fn wait_for_control(&mut self, shown: &str) -> (u8, Vec<u8>) {
        loop {
            match self.next().await {
                Some((opcode @ 8.., payload)) => return (opcode, payload),
                Some(_) => {}
                None => panic!("hung up: {shown}"),
            }
        }
    }

    pub(crate) async fn wait_for_answer(&mut self, shown: &str) {
        loop {
            match self.next().await {
                Some((BINARY, payload)) if payload == self.protocol.answer_payload() => return,
                Some((CLOSE, reason)) => {
                    panic!("closed with {}: {shown}", String::from_utf8_lossy(&reason))
                }
                Some(_) => {}
                None => panic!("hung up: {shown}"),
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second, rest @ ..] = self.arrived.as_slice() else { return None };
        assert_eq!(first & 0xf0, FINAL, "a fragment, or reserved bits");
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (form, length, rest) = match second {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (Length::Two, u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (Length::Eight, u64::from_be_bytes(*length), rest)
            }
            short => (Length::Short, u64::from(*short), rest),
        };
        let bytes = usize::try_from(length).unwrap();
        assert_eq!(form, Length::shortest(bytes));
        let frame = (first & 0x0f, rest.get(..bytes)?.to_vec());
        self.arrived.drain(..self.arrived.len() - rest.len() + bytes);
        Some(frame)
    }

    async fn read(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.arrived);
        let read = tokio::time::timeout(PATIENCE, read).await.expect("the relay says nothing");
        matches!(read, Ok(1..))
    }
}
