//! One room on the relay: members, the order of updates, the place in the log, acknowledgements,
//! presence. A pure machine: the relay's room task drives it on tokio, the simulation in a loop.

mod answers;
pub mod compaction;
mod log;
mod machine;

use bytes::Bytes;

pub use machine::Room;

use crate::error::Error;
use crate::ids::{ClientId, EditNumber, Epoch, Lineage, MemberId, Sequence, SessionKey};
use crate::time::Time;
use crate::wire::awareness::AwarenessEntry;
use crate::wire::v1::{EditKind, Joined};

/// What the store knows of a room: given to [`Room::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoom {
    /// The history of the room, drawn when it was created.
    pub lineage: Lineage,
    /// The numbering of its sequences.
    pub epoch: Epoch,
    /// All updates up to a sequence, folded.
    pub snapshot: Option<Snapshot>,
    /// The updates since, in order and without a gap.
    pub tail: Vec<(Sequence, Bytes)>,
    /// Rooms of this name that were deleted.
    pub tombstones: Vec<Tombstone>,
}

impl StoredRoom {
    /// A room that was just created.
    #[must_use]
    pub const fn new(lineage: Lineage, epoch: Epoch) -> Self {
        Self { lineage, epoch, snapshot: None, tail: Vec::new(), tombstones: Vec::new() }
    }

    /// All updates in order: the pieces of the snapshot, then the tail.
    pub fn updates(&self) -> impl Iterator<Item = &Bytes> {
        let pieces = self.snapshot.iter().flat_map(|snapshot| &snapshot.pieces);
        pieces.chain(self.tail.iter().map(|(_, update)| update))
    }
}

/// Everything up to a place in a room's log, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last sequence that is in it.
    pub through: Sequence,
    /// Updates that can be integrated one after the other; none is much larger than a piece of a
    /// first sync.
    pub pieces: Vec<Bytes>,
}

/// What stays of a deleted room, so that old copies of it can be told and are never merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The history that ended.
    pub lineage: Lineage,
    /// State vector of the room at its end, encoded: who wrote in it.
    pub state_vector: Bytes,
}

/// What a connection asks for when it enters a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The session behind the connection.
    pub session: SessionKey,
    /// The client id it will write under, when it said so.
    pub client: Option<ClientId>,
    /// The history of its copy, when it has one and its protocol can say so.
    pub lineage: Option<Lineage>,
    /// Where its copy stands in the log.
    pub epoch: Epoch,
    /// See `epoch`; 0 when unknown.
    pub sequence: Sequence,
    /// Its state vector, encoded.
    pub state_vector: Bytes,
    /// What its protocol can carry.
    pub protocol: Protocol,
}

/// The protocol of a member, as far as the room has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `coweave.v1`.
    V1,
    /// y-websocket: drops presence that is not renewed within 30 s, knows no acknowledgement.
    YWebsocket,
}

/// Members by their protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All.
    Everybody,
    /// Those that speak `coweave.v1`.
    V1,
    /// Those that speak an outside protocol.
    Outside,
}

impl Audience {
    /// Whether a member with this protocol belongs to it.
    #[must_use]
    pub fn has(self, protocol: Protocol) -> bool {
        match self {
            Self::Everybody => true,
            Self::V1 => protocol == Protocol::V1,
            Self::Outside => protocol == Protocol::YWebsocket,
        }
    }
}

/// What happens to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A connection enters.
    Join {
        /// The new member.
        member: MemberId,
        /// What it asks for.
        request: Box<JoinRequest>,
    },
    /// A member is gone, by its own wish or because its connection is.
    Leave {
        /// The member.
        member: MemberId,
    },
    /// A member sends an edit.
    Edit {
        /// The sender.
        member: MemberId,
        /// Its number, for acknowledgements; y-websocket links count by themselves.
        number: EditNumber,
        /// Live edit or difference.
        kind: EditKind,
        /// A Yjs v1 update, not checked yet.
        update: Bytes,
    },
    /// A member shows something, under the client id of its join request.
    SetPresence {
        /// The member.
        member: MemberId,
        /// JSON text, or `None` when it shows nothing any more.
        state: Option<String>,
    },
    /// A member of an outside protocol sends an awareness update.
    Awareness {
        /// The member.
        member: MemberId,
        /// Its entries.
        entries: Vec<AwarenessEntry>,
    },
    /// A member of an outside protocol asks for what its state vector lacks.
    Query {
        /// The member.
        member: MemberId,
        /// Its state vector, encoded.
        state_vector: Bytes,
    },
    /// A member brings the first content of the room, unless there is some already.
    Seed {
        /// The member.
        member: MemberId,
        /// A Yjs v1 update, not checked yet.
        update: Bytes,
    },
    /// A member wants to know when everything is on disk that is in the order now.
    Flush {
        /// The member.
        member: MemberId,
        /// Its number for the answer.
        number: u64,
    },
    /// The queue of a member is full: the shell gives it no broadcasts any more. To be handed in
    /// before anything else, because what is missed has to be in the log's tail still.
    Behind {
        /// The member.
        member: MemberId,
        /// The last update that it was given.
        since: Sequence,
    },
    /// A member that was behind has been given all of its queue.
    Drained {
        /// The member.
        member: MemberId,
    },
    /// The store has flushed everything up to here.
    Durable {
        /// The last flushed sequence.
        through: Sequence,
    },
    /// The store fails; what was appended is tried again by the shell.
    StoreFailed {
        /// Why, in words for the members.
        error: Error,
    },
    /// The store has replaced its snapshot (the answer to [`Output::Compact`]).
    Compacted {
        /// The snapshot.
        snapshot: Snapshot,
    },
    /// The snapshot of [`Output::Compact`] could not be made or stored; the log stays as it is.
    CompactFailed,
    /// Somebody who may do so deletes the room: [`Output::Delete`] follows, and nothing after it.
    Delete,
    /// The relay is shutting down: nobody may enter any more.
    Drain,
}

/// What a room wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send to one member.
    Send {
        /// The receiver.
        to: MemberId,
        /// What.
        message: RoomMessage,
    },
    /// Send to members that were sent [`RoomMessage::Joined`] before this output, have not left and
    /// are not behind. (Not to all that were handed in by now: an update would overtake the
    /// member's first sync.)
    Broadcast {
        /// To which of them.
        to: Audience,
        /// Who is left out, in rising order.
        except: Vec<MemberId>,
        /// What.
        message: RoomMessage,
    },
    /// Append to the log; [`Input::Durable`] follows after the flush.
    Append {
        /// The place in the log, one above the last.
        sequence: Sequence,
        /// The update, checked.
        update: Bytes,
    },
    /// Fold these updates ([`compaction::fold`]), away from everything that people wait for; check
    /// what comes out ([`compaction::check`]), and store it in the place of the log up to there.
    Compact {
        /// The sequence of the last one, durable already.
        through: Sequence,
        /// All updates up to it: the pieces of the present snapshot, then the log since.
        updates: Vec<Bytes>,
    },
    /// Replace the stored room by its tombstone, then drop it. All members have been told.
    Delete {
        /// State vector of the room, encoded.
        state_vector: Bytes,
    },
    /// Nobody is here and all is durable: drop the room. Only given after [`Room::poll`] found
    /// the room empty and clean for the linger time; any input takes it back.
    Unload,
    /// Nothing more to do before this time, or before the next input.
    Idle {
        /// When to call [`Room::poll`] again.
        wake: Option<Time>,
    },
}

/// A message from a room to a member, before its protocol gives it bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomMessage {
    /// The member is in. The updates bring it up to date, in this order; a live update never
    /// overtakes them.
    Joined {
        /// What the wire says of it.
        joined: Joined,
        /// Complete updates, to be applied in order.
        updates: Vec<Bytes>,
    },
    /// An answer to [`Input::Query`]: complete updates, to be applied in order.
    Difference {
        /// The updates; may be empty.
        updates: Vec<Bytes>,
    },
    /// An update of somebody else.
    Update {
        /// Its place in the log.
        sequence: Sequence,
        /// The update.
        update: Bytes,
    },
    /// How far the member's own edits have come.
    Ack {
        /// Everything up to here is in the room's order.
        accepted: EditNumber,
        /// Everything up to here is on disk.
        durable: EditNumber,
        /// The last sequence that the member has been sent or has written itself.
        sequence: Sequence,
    },
    /// The member's copy is ahead of the room: it has to send what this state vector lacks.
    AskDifference {
        /// State vector of the room, encoded.
        state_vector: Bytes,
    },
    /// An edit was not taken; with number 0, a presence state.
    Refused {
        /// Its number.
        number: EditNumber,
        /// Why.
        error: Error,
    },
    /// What a member missed that was behind: updates, to be applied in order.
    CaughtUp {
        /// The last update that it had before.
        since: Sequence,
        /// The place in the log that it reaches with the last one of these.
        sequence: Sequence,
        /// The updates; may be empty.
        updates: Vec<Bytes>,
    },
    /// What became of the content that the member brought: whether it was the first.
    Seeded {
        /// Or why it was not taken.
        result: Result<bool, Error>,
    },
    /// Everything is on disk that was in the order when this was asked for.
    Flushed {
        /// The member's number.
        number: u64,
    },
    /// Presence states that changed, with the room's clocks, as an awareness update of y-protocols.
    Presence {
        /// The update.
        update: Bytes,
    },
    /// Whether edits reach the disk.
    Durability {
        /// `None` when all is well.
        degraded: Option<Error>,
    },
    /// The membership ends.
    End {
        /// Why.
        error: Error,
    },
}
