//! WebSocket frames (RFC 6455), as little of them as a load generator and a bare server need.

use tungstenite::handshake::derive_accept_key;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Clients have to mask. One key will do here: it costs servers what any other would.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x8e];

const CONTINUATION: u8 = 0;
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Which end of a connection this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message, or its last part.
    Message,
    /// A part of a message that goes on.
    Part,
    Ping,
    Pong,
    Close,
    /// Text or something unknown: nothing that these protocols use.
    Other,
}

/// A frame at the start of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) payload_start: usize,
    pub(crate) end: usize,
    mask: Option<[u8; 4]>,
}

/// Appends a frame.
pub(crate) fn write(role: Role, opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    let mask_bit = if role == Role::Client { MASKED } else { 0 };
    out.push(FINAL | opcode);
    match payload.len() {
        len @ 0..126 => out.push(mask_bit | len as u8),
        len @ 126..0x1_0000 => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if role == Role::Client {
        out.extend_from_slice(&MASK);
        out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        out.extend_from_slice(payload);
    }
}

/// The frame at the start of these bytes, when all of it is there.
pub(crate) fn read(bytes: &[u8]) -> Option<Frame> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (len, mut at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        len => (u64::from(len), 2),
    };
    let mut mask = None;
    if second & MASKED != 0 {
        mask = Some(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4;
    }
    let end = at + usize::try_from(len).ok()?;
    let kind = match (first & 0x0f, first & FINAL != 0) {
        (BINARY | CONTINUATION, true) => Kind::Message,
        (BINARY | CONTINUATION, false) => Kind::Part,
        (CLOSE, _) => Kind::Close,
        (PING, _) => Kind::Ping,
        (PONG, _) => Kind::Pong,
        _ => Kind::Other,
    };
    (bytes.len() >= end).then_some(Frame { kind, payload_start: at, end, mask })
}

impl Frame {
    /// Takes the mask from the payload, in place.
    pub(crate) fn unmask(self, bytes: &mut [u8]) {
        if let Some(mask) = self.mask {
            for (byte, mask) in
                bytes[self.payload_start..self.end].iter_mut().zip(mask.iter().cycle())
            {
                *byte ^= mask;
            }
        }
    }
}

/// The request that opens a WebSocket.
pub(crate) fn request(path: &str, subprotocol: Option<&str>) -> String {
    let subprotocol =
        subprotocol.map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{subprotocol}\r\n"
    )
}

/// Where the head of a request or an answer ends.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Whether a server has let the client in.
pub(crate) fn is_accepted(head: &[u8]) -> bool {
    head.starts_with(b"HTTP/1.1 101")
}

/// The path of a request and the answer to it.
pub(crate) fn accept(head: &[u8]) -> Option<(String, String)> {
    let head = std::str::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    })?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    Some((path, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_survive_the_round_trip() {
        for role in [Role::Client, Role::Server] {
            for len in [0, 1, 125, 126, 65_535, 65_536] {
                let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
                let mut bytes = Vec::new();
                write(role, BINARY, &payload, &mut bytes);
                assert!(read(&bytes[..bytes.len() - 1]).is_none());
                let frame = read(&bytes).expect("it is whole");
                frame.unmask(&mut bytes);
                assert_eq!((frame.kind, frame.end), (Kind::Message, bytes.len()));
                assert_eq!(bytes[frame.payload_start..], payload);
            }
        }
    }
}
