//! A room goes on in this instance where it was in another one, which is gone.

use bytes::Bytes;

use super::Client;
use crate::client::{Event, Meta, RoomKey};
use crate::ids::{Epoch, Lineage, Sequence};
use crate::time::Time;

impl Client {
    pub(super) fn restore(&mut self, key: RoomKey, update: Bytes, is_pending: bool, is_news: bool) {
        let limits = &self.settings.limits;
        let Some(room) = self.rooms.get_mut(&key) else { return };
        match room.restore(update, is_pending, is_news, limits) {
            Ok(()) if is_news => self.tell(key, Event::DocumentChanged),
            Ok(()) => {}
            Err(error) => self.stop_room(key, error),
        }
    }

    pub(super) fn restored(&mut self, key: RoomKey, history: Option<(Lineage, Epoch)>, now: Time) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let (sequence, role) = (Sequence(0), room.role());
        let place = |(lineage, epoch)| Meta { lineage, epoch, sequence, role };
        room.begin_again(history.map(place));
        self.tell(key, Event::Loaded);
        self.join(key, now);
    }
}
