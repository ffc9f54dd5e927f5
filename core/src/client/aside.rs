//! Documents that are set aside: what the relay will not have, kept apart and offered to the app.
//!
//! A copy that the relay refuses for good stays in sight until a fresh one, under another client
//! id, has all that the relay has. Then the fresh one takes its place, and the old one is set aside.

use bytes::Bytes;

use super::Kept;
use super::room::Room;
use crate::doc::mix::mixed;
use crate::doc::replica::Replica;
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::wire::v1::Role;

/// A document that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAsideCopy {
    /// Its name within the room, from what is in it: who sets the same aside twice has it once.
    pub id: String,
    /// Why.
    pub error: Error,
    /// All of it, as one Yjs v1 update.
    pub update: Bytes,
}

impl SetAsideCopy {
    /// A copy, and why it is one.
    #[must_use]
    pub fn new(error: Error, update: Bytes) -> Self {
        Self { id: id_of(&update), error, update }
    }
}

/// A copy on its way aside.
#[derive(Debug)]
pub(super) struct Leaving {
    error: Error,
    /// Still what the app sees and edits.
    pub(super) replica: Replica,
}

impl Room {
    /// What becomes of a copy that the relay refuses for good: it is set aside, or it stays as a
    /// private draft in a room that stops.
    pub const fn keep_refused(&mut self, keeps: bool) {
        self.keeps_refused = keeps;
    }

    /// What this session may do in the room: until the relay says so, what it said last on this
    /// device, or else edit.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.unwrap_or_default()
    }

    /// To be asked before each edit.
    ///
    /// # Errors
    /// `room.read_only`, or `room.deleted` when there is nothing left to edit.
    pub fn check_edit(&self) -> Result<(), Error> {
        match &self.stopped {
            Some(error) if error.code == Code::RoomDeleted && !self.keeps_refused => {
                Err(error.clone())
            }
            _ if self.role() == Role::Viewer => Err(read_only()),
            _ => Ok(()),
        }
    }

    /// Notes what the relay allows; true when it is news.
    pub(super) fn set_role(&mut self, role: Role) -> bool {
        let before = self.role();
        self.role = Some(role);
        if let Some(next) = &mut self.next_meta {
            next.role = role;
        }
        if let Some(meta) = self.meta.as_mut().filter(|meta| meta.role != role) {
            meta.role = role;
            self.device.is_meta_due = true;
        }
        before != role
    }

    /// Whether there are edits that a viewer may not send.
    pub(super) fn is_overdrawn(&mut self) -> bool {
        while self.take_edits().is_some() {}
        self.role() == Role::Viewer && self.outbox.durable() < self.outbox.last()
    }

    /// Begins anew under another client id. What is here stays in sight until
    /// [`Self::finish_aside`].
    pub(super) fn begin_aside(&mut self, error: Error, client: ClientId) {
        let before = std::mem::replace(&mut self.replica, Replica::new(client));
        self.forget_place();
        self.sharing.begin_anew();
        // What came of the relay's content before this is of no use.
        self.leaving.get_or_insert_with(|| Box::new(Leaving { error, replica: before }));
    }

    /// Shows what the relay has; the answer is what was here, and whether that was nothing.
    pub(super) fn finish_aside(&mut self) -> Option<(SetAsideCopy, bool)> {
        self.leaving.as_ref()?;
        while self.take_edits().is_some() {}
        let Leaving { error, replica: before } = *self.leaving.take()?;
        let update = Bytes::from(before.state());
        let is_empty = before.known().is_empty();
        self.replica.take_over(before);
        self.kept.push(Kept::Began);
        self.kept.push(Kept::Other { update: self.replica.state().into() });
        self.keep_history();
        self.outbox.abandon();
        if !is_empty {
            // What was to be flushed is not in the document any more.
            self.flushes.clear();
        }
        Some((SetAsideCopy::new(error, update), is_empty))
    }
}

/// The error for edits of somebody who may only read.
pub(super) fn read_only() -> Error {
    Error::new(Code::RoomReadOnly, "this session may read the room, and not write into it")
}

/// Codes that say that this copy, or an edit in it, will never be the relay's.
pub(super) const fn is_about_copy(code: Code) -> bool {
    matches!(
        code,
        Code::RoomLineageMismatch
            | Code::RoomDeleted
            | Code::RoomReadOnly
            | Code::RoomTooLarge
            | Code::UpdateMalformed
            | Code::UpdateTooLarge
            | Code::UpdateTooDeep
            | Code::UpdateContradiction
    )
}

fn id_of(update: &[u8]) -> String {
    let mixed = mixed(update).to_be_bytes();
    let digits = mixed.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
