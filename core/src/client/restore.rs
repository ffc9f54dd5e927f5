//! A room that goes on where it was in an instance that is gone.

use bytes::Bytes;

use super::room::Room;
use super::{Kept, Meta};
use crate::error::Error;
use crate::limits::Limits;

impl Room {
    /// Takes one of the updates in that were in the document.
    pub(super) fn restore(
        &mut self,
        update: Bytes,
        is_pending: bool,
        is_news: bool,
        limits: &Limits,
    ) -> Result<(), Error> {
        let limits = limits.for_taken();
        if is_pending && is_news {
            self.replica.apply_own(&update, &limits)?;
        } else {
            self.replica.apply(&update, &limits)?;
        }
        if is_pending {
            // It has no record until the device's store is read.
            self.push_pending(0, update);
        } else {
            self.kept.push(Kept::Other { update });
        }
        Ok(())
    }

    /// The document is as the app knows it.
    pub(super) fn begin_again(&mut self, meta: Option<Meta>) {
        self.is_loaded = true;
        self.meta = meta;
        self.keep_history();
    }
}
