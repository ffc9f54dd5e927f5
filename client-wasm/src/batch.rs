//! What happened in each room since the npm package last asked.

use std::mem;

use coweave_core::client::{Event, Room, RoomKey, Saved};
use coweave_core::doc::replica::Change;
use serde::Serialize;

use crate::copies::CopyView;
use crate::error::to_json;
use crate::view::{PeerView, RefusedView, RoomView, SeededView};

/// The news of one room, without the changes of its document.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Batch {
    room: u64,
    /// The state of the room at the time of asking, when it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<RoomView>,
    peers: Vec<PeerView>,
    refused: Vec<RefusedView>,
    set_aside: Vec<CopyView>,
    /// The numbers of requests to flush that are answered.
    flushed: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeded: Option<SeededView>,
    #[serde(skip)]
    is_view_old: bool,
    /// What is saved changed, as after each keystroke.
    #[serde(skip)]
    is_saved_old: bool,
    /// Written by themselves: they come often, and a serializer of its own would be large.
    #[serde(skip)]
    changes: Vec<Change>,
}

/// The news of all rooms: few at a time, and a list is less code to load than a map.
#[derive(Debug, Default)]
pub(crate) struct Batches(Vec<Batch>);

impl Batches {
    /// Adds an event; the changes of documents are added with [`Batches::add_changes`].
    pub(crate) fn add(&mut self, key: RoomKey, event: Event) {
        self.change(key, |batch| {
            batch.is_saved_old = true;
            if matches!(event, Event::SavedChanged) {
                return;
            }
            batch.is_view_old = true;
            match event {
                Event::PresenceChanged(entries) => {
                    batch.peers.extend(entries.into_iter().map(PeerView::from));
                }
                Event::Refused { number, error } => {
                    batch.refused.push(RefusedView::new(number, &error));
                }
                Event::SetAside(copy) => batch.set_aside.push(CopyView::new(&copy)),
                Event::Flushed { number } => batch.flushed.push(number),
                Event::Seeded(result) => batch.seeded = Some(result.into()),
                // These say that the view is old, and no more.
                _ => {}
            }
        });
    }

    /// Adds changes of a document.
    pub(crate) fn add_changes(&mut self, key: RoomKey, mut changes: Vec<Change>) {
        if !changes.is_empty() {
            self.change(key, |batch| batch.changes.append(&mut changes));
        }
    }

    /// Forgets a room.
    pub(crate) fn remove(&mut self, key: RoomKey) {
        self.0.retain(|batch| batch.room != key.0);
    }

    /// Takes everything as JSON: a list of batches, and a list of changes for each of them. `None`
    /// when there is nothing but what is `saved` now, which is told at once.
    pub(crate) fn take<'r>(
        &mut self,
        room: impl Fn(RoomKey) -> Option<&'r Room>,
        saved: impl Fn(RoomKey, &Saved),
    ) -> Option<String> {
        let mut batches = mem::take(&mut self.0);
        batches.retain_mut(|batch| {
            let key = RoomKey(batch.room);
            let room = room(key);
            if batch.is_view_old {
                batch.view = room.map(RoomView::new);
            } else if let Some(room) = room.filter(|_| batch.is_saved_old) {
                saved(key, &room.saved());
            }
            batch.is_view_old || !batch.changes.is_empty()
        });
        if batches.is_empty() {
            // What was saved comes with each key: the space for it stays.
            self.0 = batches;
            return None;
        }
        let mut json = format!("[{},[", to_json(&batches));
        for (at, batch) in batches.iter().enumerate() {
            json.push_str(if at == 0 { "[" } else { ",[" });
            for (at, change) in batch.changes.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                change.write(&mut json);
            }
            json.push(']');
        }
        json.push_str("]]");
        Some(json)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn change(&mut self, key: RoomKey, change: impl FnOnce(&mut Batch)) {
        if let Some(batch) = self.0.iter_mut().find(|batch| batch.room == key.0) {
            return change(batch);
        }
        let mut batch = Batch { room: key.0, ..Batch::default() };
        change(&mut batch);
        self.0.push(batch);
    }
}
