//! What happened in each room since the npm package last asked.

use std::mem;

use coweave_core::client::{Event, Room, RoomKey, Saved};
use coweave_core::doc::replica::Change;
use serde::Serialize;

use crate::copies::CopyView;
use crate::error::to_json;
use crate::view::{PeerView, RefusedView, RoomView, SeededView, tier};

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

impl Batch {
    /// Writes it as JSON, with the present state of the room.
    fn write(&mut self, room: Option<&Room>, json: &mut String) {
        match room {
            Some(room) if self.is_saved_old && !self.is_view_old => {
                write_saved(self.room, &room.saved(), json);
            }
            _ => {
                self.view = room.filter(|_| self.is_view_old).map(RoomView::new);
                json.push_str(&to_json(self));
            }
        }
    }
}

/// By hand: this is all the news of most keystrokes.
fn write_saved(room: u64, saved: &Saved, json: &mut String) {
    let parts = [
        r#"{"room":"#,
        &room.to_string(),
        r#","saved":{"tier":""#,
        tier(saved.tier),
        r#"","pending":"#,
        &saved.pending.to_string(),
        r#"},"isOnDevice":"#,
        if saved.is_on_device { "true}" } else { "false}" },
    ];
    parts.iter().for_each(|part| json.push_str(part));
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

    /// Takes everything as JSON: a list of batches, and a list of changes for each of them.
    pub(crate) fn take<'r>(&mut self, room: impl Fn(RoomKey) -> Option<&'r Room>) -> String {
        let mut batches = mem::take(&mut self.0);
        let mut json = "[[".to_owned();
        for (at, batch) in batches.iter_mut().enumerate() {
            if at > 0 {
                json.push(',');
            }
            batch.write(room(RoomKey(batch.room)), &mut json);
        }
        json.push_str("],[");
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
        json
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
