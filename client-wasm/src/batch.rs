//! What happened in each room since the npm package last asked.

use std::collections::BTreeMap;
use std::mem;

use coweave_core::client::{Event, RoomKey};
use coweave_core::doc::replica::TextChange;
use serde::Serialize;

use crate::error::ErrorView;
use crate::view::{ChangeView, PeerView, RefusedView, RoomView};

/// The news of one room.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Batch {
    room: u64,
    /// The state of the room at the time of asking, when it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<RoomView>,
    changes: Vec<ChangeView>,
    peers: Vec<PeerView>,
    refused: Vec<RefusedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_lost: Option<ErrorView>,
    #[serde(skip)]
    is_view_old: bool,
}

/// The news of all rooms.
#[derive(Debug, Default)]
pub(crate) struct Batches(BTreeMap<RoomKey, Batch>);

impl Batches {
    /// Adds an event; the changes of texts are added with [`Batches::add_changes`].
    pub(crate) fn add(&mut self, key: RoomKey, event: Event) {
        let batch = self.of(key);
        batch.is_view_old = true;
        match event {
            Event::PresenceChanged(entries) => {
                batch.peers.extend(entries.into_iter().map(PeerView::from));
            }
            Event::Refused { number, error } => {
                batch.refused.push(RefusedView::new(number, &error));
            }
            Event::StorageLost(error) => batch.storage_lost = Some((&error).into()),
            // These say that the view is old, and no more.
            _ => {}
        }
    }

    /// Adds changes of texts.
    pub(crate) fn add_changes(&mut self, key: RoomKey, changes: Vec<TextChange>) {
        if !changes.is_empty() {
            self.of(key).changes.extend(changes.into_iter().map(ChangeView::from));
        }
    }

    /// Forgets a room.
    pub(crate) fn remove(&mut self, key: RoomKey) {
        self.0.remove(&key);
    }

    /// Takes everything; `view` gives the present state of a room.
    pub(crate) fn take(&mut self, view: impl Fn(RoomKey) -> Option<RoomView>) -> Vec<Batch> {
        let filled = mem::take(&mut self.0).into_iter().map(|(key, mut batch)| {
            if batch.is_view_old {
                batch.view = view(key);
            }
            batch
        });
        filled.collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&mut self, key: RoomKey) -> &mut Batch {
        self.0.entry(key).or_insert_with(|| Batch { room: key.0, ..Batch::default() })
    }
}
