//! What the relay refuses for good: set aside, or kept as a private draft in a room that stops.

use super::Client;
use crate::client::aside::read_only;
use crate::client::device::Storage;
use crate::client::tabs::{About, Talk};
use crate::client::{Event, RoomKey};
use crate::error::{Code, Error};
use crate::ids::{Channel, ClientId, TabId};
use crate::time::Time;
use crate::wire::v1::{Message, Role};

impl Client {
    /// The relay will not have what is in a room. The membership is over.
    pub(super) fn give_way(&mut self, key: RoomKey, error: Error, now: Time) {
        if !self.courier.carries(key) {
            self.talk(key, None, About::SetAside { error: error.clone() });
        }
        self.step_aside(key, error, now);
    }

    /// Another tab had to begin anew. Where the history is over, so had all that is not on the relay;
    /// otherwise only who has edits of that tab, and this copy may be a new one already.
    pub(super) fn follow_aside(
        &mut self,
        key: RoomKey,
        tab: TabId,
        talk: &Talk,
        error: &Error,
        now: Time,
    ) {
        let Some(room) = self.rooms.get(&key) else { return };
        let is_over = matches!(error.code, Code::RoomDeleted | Code::RoomLineageMismatch);
        let is_settled = room.outbox.durable() == room.outbox.last();
        let goes_with_it = is_over && room.lineage() == talk.lineage && !is_settled;
        if !goes_with_it && !room.sharing.entrusted.has_of(tab) {
            return;
        }
        if let Some(channel) = room.channel {
            self.send(channel, &Message::Leave);
        }
        self.step_aside(key, error.clone(), now);
    }

    fn step_aside(&mut self, key: RoomKey, error: Error, now: Time) {
        self.end_membership(key);
        let client = self.draw_client();
        let Some(room) = self.rooms.get_mut(&key) else { return };
        if room.keeps_refused {
            room.stopped = Some(error);
            return;
        }
        room.begin_aside(error.clone(), client);
        if error.code == Code::RoomDeleted {
            room.stopped = Some(error);
            self.finish_aside(key);
        } else {
            self.join(key, now);
        }
    }

    /// 32 bits of chance, as the ids that come from outside.
    pub(super) fn draw_client(&mut self) -> ClientId {
        ClientId::from_u32(u32::try_from(self.random.next_u64() >> 32).unwrap_or_default())
    }

    /// The document that takes the place of one that leaves is complete, or there is none.
    pub(super) fn finish_aside(&mut self, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(&key).filter(|room| room.leaving.is_some()) else {
            return;
        };
        let Some((copy, is_empty)) = room.finish_aside() else { return };
        // Even where nothing was, the device may say of which history it was.
        if room.storage != Storage::Memory {
            room.device.replace(copy.clone(), is_empty);
        }
        if is_empty {
            // Nothing was lost: what was asked for holds for what is here now.
            let flushes = room.flushes.clone();
            return flushes.into_iter().for_each(|number| self.send_flush(key, number));
        }
        self.tell(key, Event::SetAside(copy));
        self.tell(key, Event::DocumentChanged);
    }

    /// The relay says what this session may do. What a viewer has written before is not sent.
    pub(super) fn assign(&mut self, key: RoomKey, channel: Channel, role: Role, now: Time) {
        let Some(room) = self.rooms.get_mut(&key) else { return };
        let is_news = room.set_role(role);
        let is_overdrawn = room.leaving.is_none() && room.is_overdrawn();
        if is_news {
            self.tell(key, Event::RoleChanged);
        }
        if is_overdrawn {
            self.send(channel, &Message::Leave);
            self.give_way(key, read_only(), now);
        }
    }
}
