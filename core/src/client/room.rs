//! One room of a session: the replica, the outbox, what the device has, and where the relay is.

use bytes::{Bytes, BytesMut};

use super::aside::Leaving;
use super::backoff::Backoff;
use super::device::{Device, Records, Storage};
use super::outbox::{Outbox, Sending};
use super::tabs::Sharing;
use super::{Event, Kept, Meta, RoomKey};
use crate::doc::guard::{self, Mode};
use crate::doc::known::Known;
use crate::doc::pieces::pieces;
use crate::doc::replica::Replica;
use crate::error::{Code, Error};
use crate::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence};
use crate::limits::Limits;
use crate::ordered::OrderedMap;
use crate::time::Time;
use crate::wire::awareness::AwarenessEntry;
use crate::wire::primitive::{ReadError, Reader};
use crate::wire::v1::{EditKind, Joined, Role};

/// How a room stands to the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomState {
    /// What the device has is being read.
    Opening,
    /// On the way to the relay, or catching up.
    Connecting,
    /// The first sync is under way.
    Syncing {
        /// How many bytes of it are here.
        received: u64,
        /// How many there are.
        total: u64,
    },
    /// In step with the relay.
    Live,
    /// The relay cannot be reached; work goes on.
    Offline {
        /// When the next attempt is made.
        retry_at: Option<Time>,
    },
    /// Trying again would not help.
    Stopped {
        /// Why.
        error: Error,
    },
}

/// How far all own edits have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// At least one edit is only in memory.
    Memory,
    /// All are written to this device.
    Device,
    /// All are accepted by the relay.
    Accepted,
    /// All are flushed to the relay's disk.
    Durable,
}

/// What is saved where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The best that is true of every own edit.
    pub tier: Tier,
    /// How many own edits are not known to be durable.
    pub pending: u64,
    /// Whether every own edit is in the device's store, whatever the tier.
    pub is_on_device: bool,
}

/// One room of a session. Edits go through [`Self::replica_mut`], followed by an
/// [`Input::Tick`](super::Input::Tick).
#[derive(Debug)]
pub struct Room {
    pub(super) key: RoomKey,
    pub(super) name: RoomName,
    pub(super) replica: Replica,
    pub(super) state: RoomState,
    pub(super) is_loaded: bool,
    pub(super) is_synced: bool,
    pub(super) storage: Storage,
    pub(super) outbox: Outbox,
    pub(super) meta: Option<Meta>,
    /// After a change of epoch: where the document stands in the new one, to be noted when what the
    /// relay may have lost is on its disk again. Until then every join counts as the first one.
    pub(super) next_meta: Option<Meta>,
    /// Under which channel of the present connection the room was asked for.
    pub(super) channel: Option<Channel>,
    /// When to join again after the relay ended the membership.
    pub(super) rejoin_at: Option<Time>,
    /// The first sync under way.
    pub(super) sync: Option<Sync>,
    /// True between the relay's `Joined` and the end of the membership: edits may be sent.
    pub(super) may_send: bool,
    /// Why trying again would not help.
    pub(super) stopped: Option<Error>,
    pub(super) backoff: Backoff,
    pub(super) degraded: Option<Error>,
    /// Why the relay was given up last, until all is well again.
    pub(super) trouble: Option<Error>,
    pub(super) presence: Option<String>,
    pub(super) is_presence_due: bool,
    pub(super) presence_sent_at: Option<Time>,
    pub(super) peers: OrderedMap<ClientId, String>,
    /// Content for a room without any.
    pub(super) seed: Option<Bytes>,
    /// Requests to flush that are not answered yet.
    pub(super) flushes: Vec<u64>,
    /// What is new for [`Output::Keep`].
    pub(super) kept: Vec<Kept>,
    /// What there is to share with the other tabs of the browser.
    pub(super) sharing: Sharing,
    /// What the relay said, or what the device knows of it.
    pub(super) role: Option<Role>,
    pub(super) keeps_refused: bool,
    /// What the relay will not have, while `replica` still lacks what the relay has.
    pub(super) leaving: Option<Box<Leaving>>,
    pub(super) device: Device,
    saved: Saved,
}

/// The first sync as far as it has come.
#[derive(Debug)]
pub(super) struct Sync {
    pub(super) joined: Joined,
    received: u64,
    /// What is not yet a complete update.
    rest: BytesMut,
    /// Updates that came in between and build on what is still to come.
    held: Vec<(Sequence, Bytes)>,
}

impl Room {
    pub(super) fn new(key: RoomKey, name: RoomName, client: ClientId, storage: Storage) -> Self {
        let is_on_device = storage == Storage::Device;
        Self {
            key,
            name,
            replica: Replica::new(client),
            state: RoomState::Opening,
            is_loaded: false,
            is_synced: false,
            device: Device::new(&storage),
            storage,
            outbox: Outbox::default(),
            meta: None,
            next_meta: None,
            channel: None,
            rejoin_at: None,
            sync: None,
            may_send: false,
            stopped: None,
            backoff: Backoff::new(),
            degraded: None,
            trouble: None,
            presence: None,
            is_presence_due: false,
            presence_sent_at: None,
            peers: OrderedMap::new(),
            seed: None,
            flushes: Vec::new(),
            kept: Vec::new(),
            sharing: Sharing::default(),
            role: None,
            keeps_refused: false,
            leaving: None,
            saved: Saved { tier: Tier::Durable, pending: 0, is_on_device },
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &RoomName {
        &self.name
    }

    /// The document.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        self.leaving.as_ref().map_or(&self.replica, |leaving| &leaving.replica)
    }

    /// The document, for edits and for reads that create a text.
    pub fn replica_mut(&mut self) -> &mut Replica {
        self.leaving.as_mut().map_or(&mut self.replica, |leaving| &mut leaving.replica)
    }

    /// How the room stands to the relay.
    #[must_use]
    pub const fn state(&self) -> &RoomState {
        &self.state
    }

    /// What is saved where.
    #[must_use]
    pub const fn saved(&self) -> Saved {
        self.saved
    }

    /// Where this device keeps the room.
    #[must_use]
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// True when what the device had is in the document.
    #[must_use]
    pub const fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// True when the document once had everything that the relay had.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Why the relay's acknowledgements of durability wait at the moment.
    #[must_use]
    pub const fn degraded(&self) -> Option<&Error> {
        self.degraded.as_ref()
    }

    /// Why the relay was given up last, until the room is in step with it again.
    #[must_use]
    pub const fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    /// The number of the last own edit; it counts edits taken by the last `Tick`.
    #[must_use]
    pub const fn last_number(&self) -> EditNumber {
        self.outbox.last()
    }

    /// Own edits up to here are in the relay's order.
    #[must_use]
    pub const fn accepted(&self) -> EditNumber {
        self.outbox.accepted()
    }

    /// Own edits up to here are on the relay's disk.
    #[must_use]
    pub const fn durable(&self) -> EditNumber {
        self.outbox.durable()
    }

    /// What this session shows, as JSON.
    #[must_use]
    pub fn shown(&self) -> Option<&str> {
        self.presence.as_deref()
    }

    /// What the others show, as JSON by client id.
    #[must_use]
    pub const fn peers(&self) -> &OrderedMap<ClientId, String> {
        &self.peers
    }

    /// An edit of an earlier session, for the relay.
    pub(super) fn push_pending(&mut self, index: u64, update: Bytes) -> EditNumber {
        let number = self.outbox.push(index, EditKind::Difference, update.clone());
        self.kept.push(Kept::Adopted { number, update });
        number
    }

    /// What another tab gave is of this history: it may go into no other one.
    pub(super) fn begin_history(&mut self, lineage: Option<Lineage>) {
        if let (None, Some(lineage)) = (self.meta, lineage) {
            let (epoch, sequence, role) = (Epoch(0), Sequence(0), self.role());
            self.meta = Some(Meta { lineage, epoch, sequence, role });
            self.device.is_meta_due = true;
            self.keep_history();
        }
    }

    /// Notes the history of what is in sight.
    pub(super) fn keep_history(&mut self) {
        if self.leaving.is_none()
            && let Some(Meta { lineage, epoch, .. }) = self.meta
        {
            self.kept.push(Kept::History { lineage, epoch });
        }
    }

    /// Numbers the edits made since the last call; the answer is the new one to be sent.
    pub(super) fn take_edits(&mut self) -> Option<Sending> {
        // What came from another document may stand under ids that are in use elsewhere.
        let kind = match self.replica().has_imports() {
            true => EditKind::Difference,
            false => EditKind::Live,
        };
        let update = self.replica_mut().take_edits()?;
        let index = self.record(update.clone(), true);
        let number = self.outbox.push(index, kind, update.clone());
        self.kept.push(Kept::Own { number, update: update.clone() });
        self.note_waiting(number);
        if self.leaving.is_none() && self.stopped.is_none() {
            self.sharing.edits.push((number, update.clone()));
        }
        Some((number, kind, update))
    }

    /// Makes an edit of another tab one of this session's; the answer is to be sent.
    pub(super) fn adopt(&mut self, update: Bytes) -> (EditNumber, Bytes) {
        let index = self.record(update.clone(), true);
        let number = self.push_pending(index, update.clone());
        self.note_waiting(number);
        self.sharing.edits.push((number, update.clone()));
        (number, update)
    }

    /// Applies an update of others and keeps it on the device.
    pub(super) fn receive(&mut self, update: Bytes, limits: &Limits) -> Result<bool, Error> {
        self.take_in(update, false, limits).map(|(is_news, _)| is_news)
    }

    /// The same for what another tab still has to bring to the relay. Deletions are pending here, too: a
    /// state vector does not show that somebody lacks them. The answer has their record.
    pub(super) fn receive_from_tab(
        &mut self,
        update: Bytes,
        limits: &Limits,
    ) -> Result<(bool, Records), Error> {
        self.take_in(update, true, limits)
    }

    fn take_in(
        &mut self,
        update: Bytes,
        is_of_tab: bool,
        limits: &Limits,
    ) -> Result<(bool, Records), Error> {
        let summary = self.replica.apply(&update, &limits.for_taken())?;
        let is_news = summary.is_news;
        // What is not in sight yet is not on the device either: it would lie beside another history.
        if !is_news || self.leaving.is_some() {
            return Ok((is_news, Vec::new()));
        }
        self.kept.push(Kept::Other { update: update.clone() });
        let is_pending = is_of_tab && summary.has_deletes && self.device.takes_records();
        let (bytes, index) = (update.len(), self.record(update, is_pending));
        Ok((is_news, if is_pending { vec![(index, bytes)] } else { Vec::new() }))
    }

    /// Notes where in the relay's log the document stands.
    pub(super) fn reach(&mut self, sequence: Sequence) {
        if let Some(next) = &mut self.next_meta {
            next.sequence = next.sequence.max(sequence);
        } else if let Some(meta) = &mut self.meta
            && sequence > meta.sequence
        {
            meta.sequence = sequence;
            self.device.is_meta_due = true;
        }
    }

    pub(super) fn set_meta(&mut self, joined: &Joined) {
        let Joined { lineage, epoch, sequence, .. } = *joined;
        let meta = Meta { lineage, epoch, sequence, role: self.role() };
        if let Some(next) = &mut self.next_meta {
            *next = meta;
        } else if self.meta != Some(meta) {
            self.meta = Some(meta);
            self.device.is_meta_due = true;
            self.keep_history();
        }
    }

    /// Whether what is sent now may restore what the relay lost with the last epoch, and so has to
    /// be flushed before this copy counts as one of the new epoch.
    pub(super) fn begin_epoch(&mut self, epoch: Epoch) -> bool {
        let meta = self.meta.filter(|meta| meta.epoch != epoch);
        self.next_meta = meta.map(|meta| Meta { epoch, sequence: Sequence(0), ..meta });
        self.next_meta.is_some()
    }

    /// What the last epoch may have lost is on the relay's disk.
    pub(super) fn epoch_is_settled(&mut self) {
        if let Some(meta) = self.next_meta.take() {
            self.meta = Some(meta);
            self.device.is_meta_due = true;
            self.keep_history();
        }
    }

    /// Where in the relay's log the document stands: everything up to there is in it.
    #[must_use]
    pub fn position(&self) -> (Epoch, Sequence) {
        self.meta.map_or((Epoch(0), Sequence(0)), |meta| (meta.epoch, meta.sequence))
    }

    /// Which history this copy belongs to, once it was in step with a relay.
    #[must_use]
    pub fn lineage(&self) -> Option<Lineage> {
        self.meta.map(|meta| meta.lineage)
    }

    /// Starts taking the first sync. From here on there is content of the relay's history in this
    /// copy, even if the rest never comes.
    pub(super) fn begin_sync(&mut self, joined: Joined) {
        if self.meta.is_none() {
            self.set_meta(&Joined { sequence: Sequence(0), ..joined.clone() });
        }
        let (rest, held) = (BytesMut::new(), Vec::new());
        self.sync = Some(Sync { joined, received: 0, rest, held });
    }

    /// How much of the first sync is here, and how much there is, while it is under way.
    pub(super) fn progress(&self) -> Option<(u64, u64)> {
        self.sync.as_ref().map(|sync| (sync.received, sync.joined.sync_bytes))
    }

    /// Takes a piece of the first sync; true when it was the last.
    pub(super) fn sync_piece(&mut self, piece: &[u8], limits: &Limits) -> Result<bool, Error> {
        let Some(mut sync) = self.sync.take() else {
            return Err(Error::new(Code::FrameUnexpected, "a piece of a sync that was not begun"));
        };
        sync.received += piece.len() as u64;
        sync.rest.extend_from_slice(piece);
        while let Some(update) = next_update(&mut sync.rest)? {
            self.receive(update, limits)?;
        }
        let is_over = sync.received >= sync.joined.sync_bytes;
        if !is_over {
            self.sync = Some(sync);
            return Ok(false);
        }
        if sync.received > sync.joined.sync_bytes || !sync.rest.is_empty() {
            return Err(Error::new(Code::FrameMalformed, "the sync ends inside an update"));
        }
        self.set_meta(&sync.joined);
        for (sequence, update) in sync.held {
            self.receive_live(sequence, update, limits)?;
        }
        Ok(true)
    }

    /// Takes an update that follows the last one in the log; true when it brings news.
    pub(super) fn receive_live(
        &mut self,
        sequence: Sequence,
        update: Bytes,
        limits: &Limits,
    ) -> Result<bool, Error> {
        if let Some(sync) = &mut self.sync {
            sync.held.push((sequence, update));
            return Ok(false);
        }
        let is_news = self.receive(update, limits)?;
        self.reach(sequence);
        Ok(is_news)
    }

    /// The relay's word on how far own edits have come.
    pub(super) fn acknowledge(&mut self, accepted: EditNumber, durable: EditNumber) {
        let settled = self.outbox.acknowledge(accepted, durable);
        if !settled.is_empty() {
            self.kept.push(Kept::Durable { through: self.outbox.durable() });
        }
        self.settle_records(&settled);
    }

    /// Notes a success: a sync alone is none while the relay may still refuse what is pending.
    pub(super) fn reset_backoff(&mut self) {
        if self.sync.is_none() && self.outbox.accepted() == self.outbox.last() {
            self.backoff.reset();
        }
    }

    /// Forgets that the copy belongs to any history.
    pub(super) fn forget_place(&mut self) {
        self.meta = None;
        self.next_meta = None;
        self.device.is_meta_due = false;
    }

    /// Forgets where in the relay's log the document stands: the next sync brings everything.
    pub(super) fn forget_position(&mut self) {
        if let Some(meta) = &mut self.meta {
            meta.sequence = Sequence(0);
            self.device.is_meta_due = true;
        }
    }

    /// What a relay with this state vector lacks of this copy. In another epoch it may have lost
    /// what others deleted and only this copy still knows, which no state vector shows; and what
    /// cannot be read of the device may have been what was deleted and is to be brought.
    pub(super) fn edits_for(
        &mut self,
        theirs: &Known,
        epoch: Epoch,
        limits: &Limits,
    ) -> Vec<Sending> {
        while self.take_edits().is_some() {}
        if self.leaving.is_some() || self.role() == Role::Viewer {
            return Vec::new();
        }
        let is_other_epoch = self.meta.is_some_and(|meta| meta.epoch != epoch);
        let may_lack_deletions = is_other_epoch || self.device.is_damaged();
        let batches = self.outbox.batches(theirs, limits);
        // What is pending is in the difference then, and arrives with its last piece.
        let before = if batches.is_none() { self.outbox.durable() } else { self.outbox.last() };
        let (mut edits, reached) = batches.unwrap_or_else(|| (Vec::new(), theirs.clone()));
        if may_lack_deletions || !reached.covers(self.replica.known()) {
            let mut pieces = self.difference(&reached, limits.update_bytes_max / 2);
            let last = pieces.pop();
            edits.extend(pieces.into_iter().map(|piece| (before, EditKind::Difference, piece)));
            let last = last.map(|piece| (self.outbox.last(), EditKind::Difference, piece));
            edits.extend(last);
        }
        edits
    }

    /// Whether all structs of an update are in the document.
    pub(super) fn has_all_of(&self, update: &[u8], limits: &Limits) -> bool {
        let mut known = Known::new();
        guard::check(update, &known, Mode::State, &|_| false, &limits.for_taken()).is_ok_and(
            |summary| {
                known.advance(&summary);
                self.replica.known().covers(&known)
            },
        )
    }

    /// What somebody who has `theirs` lacks, in updates that build on each other.
    fn difference(&self, theirs: &Known, bytes_max: usize) -> Vec<Bytes> {
        let whole = self.replica.difference(theirs);
        match pieces(&whole, theirs, bytes_max) {
            Ok(pieces) => pieces.into_iter().map(Bytes::from).collect(),
            // What cannot be cut goes as it is; the relay says what is wrong with it.
            Err(_) => vec![whole.into()],
        }
    }

    /// Leaves the membership behind; the event says that the others are gone from sight.
    pub(super) fn end_membership(&mut self) -> Option<Event> {
        self.may_send = false;
        self.sync = None;
        self.next_meta = None;
        self.degraded = None;
        self.outbox.lose_acceptance();
        self.forget_presence()
    }

    /// Computes the tiers anew; true when they changed.
    pub(super) fn update_saved(&mut self) -> bool {
        let last = self.outbox.last();
        let is_on_device = self.device.is_open() && self.outbox.device() == last;
        let tier = if self.outbox.durable() == last {
            Tier::Durable
        } else if self.outbox.accepted() == last {
            Tier::Accepted
        } else if is_on_device {
            Tier::Device
        } else {
            Tier::Memory
        };
        let saved = Saved { tier, pending: last.0 - self.outbox.durable().0, is_on_device };
        std::mem::replace(&mut self.saved, saved) != saved
    }

    /// Takes what others show; the answer is what changed.
    pub(super) fn receive_presence(&mut self, entries: Vec<AwarenessEntry>) -> Option<Event> {
        let own = self.replica.client();
        let mut changed = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.client != own) {
            let before = match &entry.state {
                Some(json) => self.peers.insert(entry.client, json.clone()),
                None => self.peers.remove(&entry.client),
            };
            if before != entry.state {
                changed.push(entry);
            }
        }
        (!changed.is_empty()).then_some(Event::PresenceChanged(changed))
    }

    /// Forgets the others: without a connection nobody knows what they show.
    pub(super) fn forget_presence(&mut self) -> Option<Event> {
        let gone = std::mem::take(&mut self.peers);
        let entries: Vec<_> = gone
            .into_keys()
            .map(|client| AwarenessEntry { client, clock: 0, state: None })
            .collect();
        (!entries.is_empty()).then_some(Event::PresenceChanged(entries))
    }
}

/// Cuts the next complete `varBytes` off a stream.
fn next_update(stream: &mut BytesMut) -> Result<Option<Bytes>, Error> {
    let mut reader = Reader::new(stream);
    let length = match reader.var() {
        Ok(length) => length,
        Err(ReadError::End) => return Ok(None),
        Err(error) => {
            let text = format!("the sync cannot be read: {error}");
            return Err(Error::new(Code::FrameMalformed, text));
        }
    };
    let start = reader.position();
    let Some(end) = usize::try_from(length).ok().and_then(|length| start.checked_add(length))
    else {
        return Err(Error::new(Code::FrameMalformed, "an update of the sync is too long"));
    };
    if stream.len() < end {
        return Ok(None);
    }
    let mut update = stream.split_to(end);
    Ok(Some(update.split_off(start).freeze()))
}
