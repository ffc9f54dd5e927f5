//! What the relay says, and what the session makes of it.

use bytes::Bytes;

use super::{Client, Socket};
use crate::client::aside::is_about_copy;
use crate::client::room::Room;
use crate::client::{Event, RoomKey};
use crate::doc::known::Known;
use crate::error::{Code, Error};
use crate::ids::{Channel, EditNumber};
use crate::time::Time;
use crate::wire::awareness;
use crate::wire::v1::{Joined, Message, VERSION, read_frame};

/// The flush behind what a copy brings to a relay that crashed; those of the app have higher numbers.
const EPOCH_FLUSH: u64 = 0;
/// A refusal with this number is one of a presence state.
const PRESENCE: EditNumber = EditNumber(0);

impl Client {
    pub(super) fn socket_frame(&mut self, frame: &Bytes, now: Time) {
        if !self.is_connected() {
            return;
        }
        self.heard_at = now;
        self.diary.received.add(frame);
        self.answer_by = None;
        let result = match read_frame(frame) {
            Ok(messages) => messages
                .into_iter()
                .try_for_each(|(channel, message)| self.receive(channel, message, now)),
            Err(error) => {
                let text = format!("the relay's frame cannot be read: {error}");
                Err(Error::new(Code::FrameMalformed, text))
            }
        };
        // Whatever the relay did wrong, its next version or the next connection may do right.
        if let Err(error) = result {
            self.lose_connection(&error, now);
        }
    }

    fn receive(&mut self, channel: Channel, message: Message, now: Time) -> Result<(), Error> {
        match message {
            // A message of this frame may have ended the connection.
            _ if !self.is_connected() => Ok(()),
            Message::Ping(number) => {
                self.send(Channel::CONNECTION, &Message::Pong(number));
                Ok(())
            }
            Message::Pong(number) => {
                if number > 0 && number == self.last_ping {
                    let ms = now.as_ms().saturating_sub(self.diary.pinged_at.as_ms());
                    self.diary.round_trip_ms = Some(ms);
                }
                Ok(())
            }
            Message::Error(error) if channel == Channel::CONNECTION => {
                self.connection_error(error, now);
                Ok(())
            }
            Message::Welcome(welcome) if matches!(self.socket, Socket::Greeting { .. }) => {
                if !(1..=VERSION).contains(&welcome.version) {
                    let text = format!(
                        "the relay wants to speak version {} of the protocol; this client speaks up to {VERSION}",
                        welcome.version
                    );
                    self.stop(Error::new(Code::ProtocolUnsupported, text), now);
                    return Ok(());
                }
                self.socket = Socket::Open;
                self.token.begin(welcome.token_life_ms, now);
                self.welcome = Some(welcome);
                self.diary.greeted_at = now;
                let keys: Vec<_> = self.rooms.keys().copied().collect();
                keys.into_iter().for_each(|key| self.join(key, now));
                self.begin_first_round(now);
                Ok(())
            }
            Message::TokenAccepted { life_ms } => {
                self.token.begin(life_ms, now);
                Ok(())
            }
            message => match self.channels.get(&channel) {
                Some(key) => self.receive_in_room(*key, channel, message, now),
                // For a room that was left while the message was on its way.
                None if channel != Channel::CONNECTION => Ok(()),
                None => Err(Error::new(Code::FrameUnexpected, "the relay spoke out of turn")),
            },
        }
    }

    fn receive_in_room(
        &mut self,
        key: RoomKey,
        channel: Channel,
        message: Message,
        now: Time,
    ) -> Result<(), Error> {
        let limits = &self.settings.limits;
        let Some(room) = self.rooms.get_mut(&key) else { return Ok(()) };
        match message {
            Message::Joined(joined) => self.joined(key, channel, joined, now)?,
            Message::Sync(piece) => match room.sync_piece(&piece, limits) {
                Ok(false) => {}
                Ok(true) => self.synced(key, now),
                Err(error) => self.distrust(key, channel, error, now),
            },
            Message::Update { sequence, update } => {
                match room.receive_live(sequence, update, limits) {
                    Ok(true) => self.tell(key, Event::DocumentChanged),
                    Ok(false) => {}
                    Err(error) => self.distrust(key, channel, error, now),
                }
            }
            Message::Ack { accepted, durable, sequence } => {
                room.acknowledge(accepted, durable);
                if room.sync.is_none() {
                    room.reach(sequence);
                }
                room.reset_backoff();
            }
            Message::Refused { number: PRESENCE, error } => {
                self.tell(key, Event::Refused { number: PRESENCE, error });
            }
            Message::Refused { number, error } => self.refused(key, channel, number, error, now),
            Message::Role(role) => self.assign(key, channel, role, now),
            Message::Presence(bytes) => {
                let entries = awareness::read(&bytes, &limits.for_taken())?;
                if let Some(event) = room.receive_presence(entries) {
                    self.tell(key, event);
                }
            }
            Message::Error(error) if is_about_copy(error.code) => self.give_way(key, error, now),
            Message::Error(error) => self.end_or_stop(key, error, now),
            Message::Durability { degraded } => {
                room.degraded = degraded;
                self.tell(key, Event::SavedChanged);
            }
            Message::Seeded(result) => {
                if room.seed.take().is_some() {
                    self.tell(key, Event::Seeded(result));
                }
            }
            Message::Flushed(EPOCH_FLUSH) => room.epoch_is_settled(),
            Message::Flushed(number) => {
                let at = room.flushes.iter().position(|asked| *asked == number);
                if at.map(|at| room.flushes.remove(at)).is_some() {
                    self.tell(key, Event::Flushed { number });
                }
            }
            _ => return Err(Error::new(Code::FrameUnexpected, "a client's message came back")),
        }
        Ok(())
    }

    /// The relay ends the connection. A token that has expired is no trouble of the network.
    fn connection_error(&mut self, mut error: Error, now: Time) {
        if error.code == Code::TokenExpired {
            let wait = self.token.expired(&error, &mut self.random, now);
            error.retry_after_ms = error.retry_after_ms.max(Some(wait));
        }
        if error.is_retryable() {
            self.lose_connection(&error, now);
        } else {
            self.stop(error, now);
        }
    }

    /// The relay did not take an edit. What it may take later is sent again, as far as it lacks it.
    fn refused(
        &mut self,
        key: RoomKey,
        channel: Channel,
        number: EditNumber,
        error: Error,
        now: Time,
    ) {
        self.send(channel, &Message::Leave);
        if error.is_retryable() {
            self.rejoin_later(key, &error, now);
        } else {
            self.tell(key, Event::Refused { number, error: error.clone() });
            self.give_way(key, error, now);
        }
    }

    fn end_or_stop(&mut self, key: RoomKey, error: Error, now: Time) {
        if error.is_retryable() {
            self.rejoin_later(key, &error, now);
        } else {
            self.stop_room(key, error);
        }
    }

    /// An update from the relay did not pass the guard. One that needs others means that this copy
    /// is not where it believes to be: it takes everything anew.
    fn distrust(&mut self, key: RoomKey, channel: Channel, error: Error, now: Time) {
        self.send(channel, &Message::Leave);
        if let Some(room) = self.rooms.get_mut(&key) {
            room.forget_position();
        }
        self.end_or_stop(key, error, now);
    }

    fn joined(
        &mut self,
        key: RoomKey,
        channel: Channel,
        joined: Joined,
        now: Time,
    ) -> Result<(), Error> {
        let mut limits = self.settings.limits.clone();
        if let Some(most) = self.welcome.as_ref().map(|welcome| welcome.update_bytes_max) {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            limits.update_bytes_max = limits.update_bytes_max.min(most);
        }
        let Some(room) = self.rooms.get_mut(&key) else { return Ok(()) };
        if room.meta.is_some_and(|meta| meta.lineage != joined.lineage) {
            let text = "the stored room has another history than this copy; nothing was merged";
            let error = Error::new(Code::RoomLineageMismatch, text);
            self.send(channel, &Message::Leave);
            self.give_way(key, error, now);
            return Ok(());
        }
        let theirs = Known::decode(&joined.state_vector, limits.state_vector_clients_max).map_err(
            |error| {
                let text = format!("the relay's state vector cannot be read: {error}");
                Error::new(Code::FrameMalformed, text)
            },
        )?;
        self.assign(key, channel, joined.role, now);
        let is_here = |room: &&mut Room| room.channel == Some(channel);
        let Some(room) = self.rooms.get_mut(&key).filter(is_here) else { return Ok(()) };
        room.may_send = true;
        room.is_presence_due = room.presence.is_some();
        let edits = room.edits_for(&theirs, joined.epoch, &limits);
        let is_other_epoch = room.begin_epoch(joined.epoch);
        let is_synced = joined.sync_bytes == 0;
        if is_synced {
            room.set_meta(&joined);
        } else {
            room.begin_sync(joined);
        }
        for (number, kind, update) in edits {
            self.send_edit(key, number, kind, update, now);
        }
        if self.rooms.get(&key).is_none_or(|room| room.channel != Some(channel)) {
            // An edit was larger than the relay takes.
            return Ok(());
        }
        if is_other_epoch {
            self.send_flush(key, EPOCH_FLUSH);
        }
        for number in self.rooms.get(&key).map(|room| room.flushes.clone()).unwrap_or_default() {
            self.send_flush(key, number);
        }
        if is_synced {
            self.synced(key, now);
        }
        Ok(())
    }

    fn synced(&mut self, key: RoomKey, now: Time) {
        self.synced_at.get_or_insert(now);
        self.finish_aside(key);
        if let Some(room) = self.rooms.get_mut(&key) {
            room.is_synced = true;
            room.trouble = None;
            room.reset_backoff();
        }
        self.tell(key, Event::DocumentChanged);
        self.tell(key, Event::Synced);
        self.use_what_was_left(key, now);
        self.send_seed(key, now);
    }
}
