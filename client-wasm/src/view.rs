//! What the npm package sees of a room, as it is written in JSON.

use coweave_core::client::{Room, RoomState, Saved, Storage, Tier};
use coweave_core::error::Error;
use coweave_core::ids::EditNumber;
use coweave_core::time::Time;
use coweave_core::wire::awareness::AwarenessEntry;
use coweave_core::wire::v1::Role;
use serde::Serialize;

use crate::error::ErrorView;

/// The present state of a room; times are those of the steady clock.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomView {
    status: StatusView,
    saved: SavedView,
    storage: StorageView,
    is_loaded: bool,
    is_synced: bool,
    role: &'static str,
    is_on_device: bool,
}

impl RoomView {
    pub(crate) fn new(room: &Room) -> Self {
        Self {
            status: StatusView::new(room.state(), room.trouble()),
            saved: SavedView::new(&room.saved()),
            storage: StorageView::new(room.storage()),
            is_loaded: room.is_loaded(),
            is_synced: room.is_synced(),
            role: match room.role() {
                Role::Editor => "editor",
                Role::Viewer => "viewer",
            },
            is_on_device: room.saved().is_on_device,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum StatusView {
    Opening,
    Connecting,
    Syncing { received: u64, total: u64 },
    Live,
    Offline { retry_at: Option<u64>, error: Option<ErrorView> },
    Stopped { error: ErrorView },
}

impl StatusView {
    fn new(state: &RoomState, trouble: Option<&Error>) -> Self {
        match state {
            RoomState::Opening => Self::Opening,
            RoomState::Connecting => Self::Connecting,
            RoomState::Syncing { received, total } => {
                Self::Syncing { received: *received, total: *total }
            }
            RoomState::Live => Self::Live,
            RoomState::Offline { retry_at } => {
                let error = trouble.map(ErrorView::from);
                Self::Offline { retry_at: retry_at.map(Time::as_ms), error }
            }
            RoomState::Stopped { error } => Self::Stopped { error: error.into() },
            _ => Self::Connecting,
        }
    }
}

#[derive(Debug, Serialize)]
struct SavedView {
    tier: &'static str,
    pending: u64,
}

impl SavedView {
    fn new(saved: &Saved) -> Self {
        let tier = match saved.tier {
            Tier::Memory => "memory",
            Tier::Device => "device",
            Tier::Accepted => "accepted",
            Tier::Durable => "durable",
        };
        Self { tier, pending: saved.pending }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum StorageView {
    Device,
    Damaged { error: ErrorView },
    Memory,
    Lost { error: ErrorView },
}

impl StorageView {
    fn new(storage: &Storage) -> Self {
        match storage {
            Storage::Device => Self::Device,
            Storage::Memory => Self::Memory,
            Storage::Damaged { error } => Self::Damaged { error: error.into() },
            Storage::Lost { error } => Self::Lost { error: error.into() },
            _ => Self::Memory,
        }
    }
}

/// What one peer shows, as JSON text, or `null` when it is gone.
#[derive(Debug, Serialize)]
pub(crate) struct PeerView {
    id: u64,
    state: Option<String>,
}

impl From<AwarenessEntry> for PeerView {
    fn from(entry: AwarenessEntry) -> Self {
        Self { id: entry.client.get(), state: entry.state }
    }
}

/// What became of the first content that the app brought.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SeededView {
    IsFirst(bool),
    Error(ErrorView),
}

impl From<Result<bool, Error>> for SeededView {
    fn from(result: Result<bool, Error>) -> Self {
        match result {
            Ok(is_first) => Self::IsFirst(is_first),
            Err(error) => Self::Error((&error).into()),
        }
    }
}

/// An own edit that was refused.
#[derive(Debug, Serialize)]
pub(crate) struct RefusedView {
    number: u64,
    error: ErrorView,
}

impl RefusedView {
    pub(crate) fn new(number: EditNumber, error: &Error) -> Self {
        Self { number: number.0, error: error.into() }
    }
}
