//! Identifiers that cannot be wrong once they exist: parsed at the edge, passed by value inside.

use std::fmt;
use std::sync::Arc;

use crate::error::{Code, Error};

/// Longest room name in bytes of UTF-8.
pub const ROOM_NAME_BYTES_MAX: usize = 256;

/// The name of a room: 1 to 256 bytes of UTF-8 without control characters; compared byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Checks a name.
    ///
    /// # Errors
    /// `room.invalid_name` when it is empty, longer than 256 bytes or holds a control character.
    pub fn parse(name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Err(Error::new(Code::RoomInvalidName, "a room name must not be empty"));
        }
        if name.len() > ROOM_NAME_BYTES_MAX {
            let text = format!("a room name has at most {ROOM_NAME_BYTES_MAX} bytes of UTF-8");
            return Err(Error::new(Code::RoomInvalidName, text));
        }
        if name.chars().any(char::is_control) {
            let text = "a room name must not hold control characters";
            return Err(Error::new(Code::RoomInvalidName, text));
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client id of the CRDT: who wrote a struct. Below 2^53, as in Yjs; ours are drawn below 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

impl ClientId {
    /// The largest client id (2^53 - 1, the largest exact integer of JavaScript).
    pub const MAX: u64 = (1 << 53) - 1;

    /// Checks a client id.
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        if id <= Self::MAX { Some(Self(id)) } else { None }
    }

    /// The id for 32 random bits: small ids cost six bytes less in every update.
    #[must_use]
    pub const fn from_u32(id: u32) -> Self {
        Self(id as u64)
    }

    /// The id as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Which history a stored room has: drawn once when it is created. Two histories are never merged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(pub [u8; 16]);

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// A secret that a browser (all its tabs; a process is one) draws at random and shows at every
/// connection: it lets whoever reconnects take over what a dead connection still holds, and one tab
/// bring the edits of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub [u8; 16]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// Which numbering the sequences of a room belong to: drawn at random when a store is created and
/// whenever it is opened after a crash, because sequences that were told but not flushed are given
/// again. An (epoch, sequence) pair names a place in a log for ever. Below 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The place of an update in a room's log; the first one is 1, and 0 means "nothing yet".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The number that a client gives to an edit of its own in one room; the first one is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EditNumber(pub u64);

/// A room within one connection, chosen by the client when it joins; 0 is the connection itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u32);

impl Channel {
    /// The connection itself.
    pub const CONNECTION: Self = Self(0);
}

/// One session among those of its browser, drawn at random; below 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId(pub u64);

/// One connection's membership of one room, drawn by the relay; never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);
