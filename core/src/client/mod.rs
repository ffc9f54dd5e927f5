//! One browser session: one socket, its rooms, what each of them still has to bring to the relay,
//! and when to try again. A pure machine: `client-wasm` drives it in the browser, the simulation
//! in a loop.

mod aside;
mod backoff;
mod device;
mod machine;
mod outbox;
pub mod report;
mod restore;
mod room;
pub mod tabs;

use bytes::Bytes;

pub use aside::SetAsideCopy;
pub use device::Storage;
pub use machine::{Client, Settings};
pub use room::{Room, RoomState, Saved, Tier};
use tabs::Talk;

use crate::error::Error;
use crate::ids::{ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, TabId};
use crate::time::Time;
use crate::wire::awareness::AwarenessEntry;
use crate::wire::v1::Role;

/// A room of this session; never used twice, so a late answer cannot reach a newer room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomKey(pub u64);

/// A record of the device's store: one update of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How this session calls the record: it numbers the records that [`Input::Loaded`] brought,
    /// then its own, from 1 on. Other sessions (tabs) of the device call it otherwise.
    pub index: u64,
    /// Written here and not known to be durable on the relay: the next session that loads it
    /// brings it there.
    pub is_pending: bool,
    /// A Yjs v1 update.
    pub update: Bytes,
}

/// What the device's store keeps of a room beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The history of the copy.
    pub lineage: Lineage,
    /// Where in the relay's log the copy stands: everything up to `sequence` is in it.
    pub epoch: Epoch,
    /// See `epoch`.
    pub sequence: Sequence,
    /// What the relay last said that a session may do here.
    pub role: Role,
}

/// What a device has of a room: the answer to [`Output::Load`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StoredCopy {
    /// `None` when the room never was in step with a relay.
    pub meta: Option<Meta>,
    /// Many updates in one, when the log was folded: stands before the records.
    pub snapshot: Option<Bytes>,
    /// The records since, of all sessions of the device, in the order they were written; `index`
    /// counts from 1.
    pub records: Vec<Record>,
    /// What is stored and cannot be read, so that it is not in here.
    pub damage: Option<Error>,
}

/// One write to the device's store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// Add a record.
    Append(Record),
    /// These records are durable on the relay: not pending any more.
    Settle {
        /// Their indexes.
        indexes: Vec<u64>,
    },
    /// Replace what is kept beside the records.
    SetMeta(Meta),
    /// Replace the snapshot, and drop the records of this session's numbering up to `through`
    /// that are not pending.
    Fold {
        /// The last record that is in the snapshot.
        through: u64,
        /// Records that are not in it and stay, because they cannot be used; 0 is the snapshot.
        except: Vec<u64>,
        /// The new snapshot.
        snapshot: Bytes,
    },
}

/// What came into a room, or became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kept {
    /// An own edit that is not known to be durable on the relay.
    Own {
        /// Its number.
        number: EditNumber,
        /// A Yjs v1 update.
        update: Bytes,
    },
    /// The same, of an earlier session or another tab.
    Adopted {
        /// Its number.
        number: EditNumber,
        /// A Yjs v1 update.
        update: Bytes,
    },
    /// Anything else that is in the document.
    Other {
        /// A Yjs v1 update.
        update: Bytes,
    },
    /// Own edits are durable on the relay.
    Durable {
        /// All up to this number.
        through: EditNumber,
    },
    /// Which history the copy belongs to.
    History {
        /// The lineage.
        lineage: Lineage,
        /// The epoch that it was last in step with.
        epoch: Epoch,
    },
    /// The document is another one: nothing kept so far is in it.
    Began,
}

/// What happens to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// The app wants a room; its key comes from [`Client::next_key`].
    Open {
        /// The key.
        key: RoomKey,
        /// The room.
        name: RoomName,
        /// The client id to write under: 32 random bits, new for every opened room.
        client: ClientId,
    },
    /// What an instance that is gone knew of the room just opened, update by update, as it said in
    /// [`Output::Keep`]; [`Input::Restored`] follows.
    Restore {
        /// The room.
        key: RoomKey,
        /// A Yjs v1 update.
        update: Bytes,
        /// An own edit that is not known to be durable on the relay.
        is_pending: bool,
        /// The app has not been told of it: its texts change by it.
        is_news: bool,
    },
    /// All that the app knows was restored: the document can be used.
    Restored {
        /// The room.
        key: RoomKey,
        /// The history of the copy.
        history: Option<(Lineage, Epoch)>,
    },
    /// The app is done with a room.
    Close {
        /// The room.
        key: RoomKey,
    },
    /// The device's store has answered [`Output::Load`] or [`Output::SetAside`].
    Loaded {
        /// The room.
        key: RoomKey,
        /// What the device has, or why it cannot say. After an error the session keeps the room
        /// in memory only, and asks again later.
        copy: Result<StoredCopy, Error>,
    },
    /// The device's store has written everything up to this ticket of [`Output::Write`].
    Written {
        /// The room.
        key: RoomKey,
        /// The ticket.
        ticket: u64,
    },
    /// The device's store fails, or what it had of the room is gone. The session keeps the room in
    /// memory only, asks again later what there is, and writes what is missing.
    WriteFailed {
        /// The room.
        key: RoomKey,
        /// Why.
        error: Error,
    },
    /// The app has content for a room that has none: once the room is in step with the relay, it
    /// becomes the first content, or is dropped; [`Event::Seeded`] says which.
    Seed {
        /// The room.
        key: RoomKey,
        /// A Yjs v1 update, written under a client id of its own.
        update: Bytes,
    },
    /// What [`Output::RefreshToken`] asked for.
    TokenRefreshed {
        /// The token, or why there is none.
        token: Result<String, Error>,
    },
    /// The app wants to know when everything that is in the document now is on the relay's disk,
    /// whoever wrote it; [`Event::Flushed`] follows.
    Flush {
        /// The room.
        key: RoomKey,
        /// The number of the request; above 0, and rising within a room.
        number: u64,
    },
    /// The app shows something to the others, as JSON, or nothing any more.
    SetPresence {
        /// The room.
        key: RoomKey,
        /// JSON text.
        state: Option<String>,
    },
    /// The socket asked for by [`Output::Connect`] is open with the subprotocol agreed.
    SocketOpened {
        /// The token for this attempt; empty when there is none.
        token: String,
    },
    /// A binary frame arrived.
    SocketFrame(Bytes),
    /// The socket was closed or never opened, or the token callback failed.
    SocketClosed {
        /// Why, when the shell knows (a failed token callback).
        error: Option<Error>,
    },
    /// Another tab of this browser has said something about a room.
    Talk {
        /// Who.
        tab: TabId,
        /// What.
        talk: Talk,
    },
    /// Of the tabs of the browser, this one leads, or there is no other one: it brings to the relay
    /// what is stranded on the device.
    Leads,
    /// The answer to [`Output::FindStranded`].
    FoundStranded {
        /// `None` when there is no such room, or the device's store cannot say.
        room: Option<RoomName>,
    },
    /// The answer to [`Output::LoadStranded`].
    LoadedStranded {
        /// The room.
        key: RoomKey,
        /// Yjs v1 updates. When one of them is written as pending, it is this record that is meant.
        updates: Vec<Bytes>,
    },
    /// Another tab is there.
    TabCame(TabId),
    /// Another tab is no more: what it had not brought to the relay is for this session to bring.
    TabGone(TabId),
    /// A hint that the network may be back, or that time was lost (the `online` event, the page
    /// became visible, the clock jumped): probe the socket or try to connect now.
    Probe,
    /// Time has passed, or edits were made through [`Client::room_mut`].
    Tick,
}

/// What a session wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Get a token, then open a socket; any earlier socket is gone.
    Connect,
    /// Send a binary frame.
    Frame(Bytes),
    /// Close the socket; [`Input::SocketClosed`] is not needed any more.
    Disconnect,
    /// Read what the device has of a room; [`Input::Loaded`] follows. For a second time after the
    /// store failed: earlier writes are over then, and the numbering of records begins anew.
    Load {
        /// The room.
        key: RoomKey,
        /// Its name.
        name: RoomName,
        /// The history of its document. Records that took the place of those that this session has
        /// loaded may be of another one, and are not for it unless they are of this.
        lineage: Option<Lineage>,
    },
    /// Write to the device's store; [`Input::Written`] with the ticket follows.
    Write {
        /// The room.
        key: RoomKey,
        /// Its name.
        name: RoomName,
        /// Rises with every write of the room.
        ticket: u64,
        /// What to write, in this order, all or nothing. There is one write at a time for a room.
        writes: Vec<Write>,
    },
    /// Remember this outside of the instance, before anything that follows is carried out: another
    /// instance can go on from it with [`Input::Restore`].
    Keep {
        /// The room.
        key: RoomKey,
        /// What is new.
        kept: Kept,
    },
    /// Tell the other tabs of this browser.
    Talk {
        /// `None` for all of them.
        to: Option<TabId>,
        /// What.
        talk: Talk,
    },
    /// Keep a copy in the device's store in the place of all that it has of a room, in one step.
    /// Then read what it has of the room, which may come from another session that was quicker;
    /// [`Input::Loaded`] follows.
    SetAside {
        /// The room.
        key: RoomKey,
        /// Its name.
        name: RoomName,
        /// What is to be kept beside the room.
        copy: SetAsideCopy,
        /// The app has dropped it already, or there is nothing in it: it only makes room.
        is_dropped: bool,
    },
    /// The room is closed: nothing more comes of it.
    Closed {
        /// The room.
        key: RoomKey,
    },
    /// Look in the device's store for the first room behind this one, in an order of the store's
    /// own, with records that are pending. [`Input::FoundStranded`] follows.
    FindStranded {
        /// `None` for the first of all.
        after: Option<RoomName>,
    },
    /// Read those pending records of an open room that this session has neither read nor written.
    /// [`Input::LoadedStranded`] follows.
    LoadStranded {
        /// The room.
        key: RoomKey,
        /// Its name.
        name: RoomName,
    },
    /// Remember outside of the instance which room no app has opened, and is open: should this
    /// instance come to its end now, the next one is to [leave it alone](Client::leave_alone).
    Carry {
        /// `None` when there is none any more.
        room: Option<RoomName>,
    },
    /// Get a new token, if there is a way to get one; [`Input::TokenRefreshed`] follows.
    RefreshToken,
    /// Tell the app.
    Event {
        /// The room.
        key: RoomKey,
        /// What happened.
        event: Event,
    },
    /// Nothing more to do before this time, or before the next input.
    Idle {
        /// When to hand in [`Input::Tick`].
        wake: Option<Time>,
    },
}

/// What an app may want to know of a room. State is read from [`Room`]; events say that it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// What the device had is in the document.
    Loaded,
    /// The document has everything that the relay had when this session (re)joined.
    Synced,
    /// [`Room::state`] changed.
    StateChanged,
    /// [`Room::saved`] changed.
    SavedChanged,
    /// The document changed: texts that are observed have changes to take.
    DocumentChanged,
    /// Others' presence changed; `None` as state means gone.
    PresenceChanged(Vec<AwarenessEntry>),
    /// An own edit was refused for good (or, under number 0, a presence state). The document is
    /// set aside next, or stays as it is in a room that stops: see [`Room::keep_refused`].
    Refused {
        /// Its number.
        number: EditNumber,
        /// Why.
        error: Error,
    },
    /// The relay will not have this copy, or something in it. It is not in the document any more,
    /// which goes on with what the relay has. Requests to flush are forgotten.
    SetAside(SetAsideCopy),
    /// [`Room::role`] changed.
    RoleChanged,
    /// What became of the content of [`Input::Seed`]: whether it was the first.
    Seeded(Result<bool, Error>),
    /// Everything is on the relay's disk that was in the document when this was asked for.
    Flushed {
        /// The number of the request.
        number: u64,
    },
    /// [`Room::storage`] changed: the device's store failed and the room goes on in memory, it has
    /// everything again, or some of what it has cannot be used.
    StorageChanged,
}
