//! The y-websocket protocol: one message per frame, the room in the URL.
//!
//! A message is `varUint type` and a body; sync messages have a second `varUint` behind the type.
//! Released clients read the first message of a frame and ignore what follows, so more than one
//! message in a frame means that the two sides would see different things: such a frame is refused.

#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use bytes::Bytes;

use super::primitive::{ReadError, Reader, write_bytes, write_string};

/// An awareness update about nobody: keeps a client from closing a quiet connection (it does so
/// after 30 s without a message, and pings of the transport do not count).
pub const KEEPALIVE: [u8; 3] = [1, 1, 0];

const SYNC: u8 = 0;
const AWARENESS: u8 = 1;
const AUTH: u8 = 2;
const QUERY_AWARENESS: u8 = 3;

const STEP_1: u8 = 0;
const STEP_2: u8 = 1;
const UPDATE: u8 = 2;

const PERMISSION_DENIED: u64 = 0;

/// One message, in either direction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// "This is my state vector": answered with what it lacks.
    SyncStep1(Bytes),
    /// The answer to [`Self::SyncStep1`], an update; also when nothing is missing (`00 00`).
    SyncStep2(Bytes),
    /// An update.
    Update(Bytes),
    /// An awareness update.
    Awareness(Bytes),
    /// The relay refuses, for this reason; the client only logs it.
    Denied(String),
    /// Asks for the presence of everybody.
    QueryAwareness,
}

impl Message {
    /// The frame with this message.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let (head, body): (&[u8], &[u8]) = match self {
            Self::SyncStep1(state_vector) => (&[SYNC, STEP_1], state_vector),
            Self::SyncStep2(update) => (&[SYNC, STEP_2], update),
            Self::Update(update) => (&[SYNC, UPDATE], update),
            Self::Awareness(update) => (&[AWARENESS], update),
            Self::Denied(reason) => {
                let mut frame = vec![AUTH, 0];
                write_string(&mut frame, reason);
                return frame;
            }
            Self::QueryAwareness => return vec![QUERY_AWARENESS],
        };
        let mut frame = Vec::with_capacity(body.len().saturating_add(8));
        frame.extend_from_slice(head);
        write_bytes(&mut frame, body);
        frame
    }
}

/// Reads a frame; `None` for a message of a type that this version does not know.
///
/// # Errors
/// Any [`ReadError`]; [`ReadError::Trailing`] when something follows the first message.
pub fn read_frame(frame: &Bytes) -> Result<Option<Message>, ReadError> {
    let mut reader = Reader::new(frame);
    let kind = reader.var()?;
    let message = if kind == u64::from(SYNC) {
        let step = reader.var()?;
        let body = frame.slice_ref(reader.bytes()?);
        if step == u64::from(STEP_1) {
            Message::SyncStep1(body)
        } else if step == u64::from(STEP_2) {
            Message::SyncStep2(body)
        } else if step == u64::from(UPDATE) {
            Message::Update(body)
        } else {
            return Ok(None);
        }
    } else if kind == u64::from(AWARENESS) {
        Message::Awareness(frame.slice_ref(reader.bytes()?))
    } else if kind == u64::from(AUTH) {
        if reader.var()? != PERMISSION_DENIED {
            return Ok(None);
        }
        Message::Denied(reader.string()?.to_owned())
    } else if kind == u64::from(QUERY_AWARENESS) {
        Message::QueryAwareness
    } else {
        return Ok(None);
    };
    reader.finish()?;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(frame: &[u8]) -> Result<Option<Message>, ReadError> {
        read_frame(&Bytes::copy_from_slice(frame))
    }

    #[test]
    fn every_message_survives_its_frame() {
        for message in [
            Message::SyncStep1(Bytes::from_static(&[0])),
            Message::SyncStep2(Bytes::from_static(&[0, 0])),
            Message::Update(Bytes::from(vec![7; 300])),
            Message::Awareness(Bytes::from_static(&[0])),
            Message::Denied("not yours".to_owned()),
            Message::QueryAwareness,
        ] {
            assert_eq!(read(&message.to_frame()), Ok(Some(message)));
        }
        assert_eq!(read(&KEEPALIVE), Ok(Some(Message::Awareness(Bytes::from_static(&[0])))));
    }

    #[test]
    fn unknown_types_are_skipped_and_broken_frames_are_refused() {
        assert_eq!(read(&[102, 1, 5]), Ok(None));
        assert_eq!(read(&[SYNC, 9, 0]), Ok(None));
        assert_eq!(read(&[]), Err(ReadError::End));
        assert_eq!(read(&[SYNC, STEP_1, 5, 1]), Err(ReadError::End));
        assert_eq!(read(&[QUERY_AWARENESS, QUERY_AWARENESS]), Err(ReadError::Trailing));
        assert_eq!(read(&[SYNC, STEP_1, 1, 0, SYNC, STEP_1, 1, 0]), Err(ReadError::Trailing));
    }
}
