//! A room that goes on where it was in an instance that is gone.

use bytes::Bytes;

use super::room::{Room, Storage};
use super::{Kept, Meta, Record, StoredCopy, Write};
use crate::error::{Code, Error};
use crate::limits::Limits;
use crate::ordered::sort_by_key;

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
            // The device may call it otherwise: see `reopen`.
            self.push_pending(0, update);
        } else {
            self.kept.push(Kept::Other { update });
        }
        Ok(())
    }

    /// The document is as the app knows it.
    pub(super) fn begin_again(&mut self, meta: Option<Meta>) {
        self.is_loaded = true;
        self.is_restored = self.storage == Storage::Device;
        self.meta = meta;
        self.keep_history();
    }

    /// Goes on with the device: takes in what is only there, and writes what is only here. What the
    /// gone instance had handed to the device is there, as far as it got.
    pub(super) fn reopen(&mut self, copy: StoredCopy, limits: &Limits) -> Result<(), Error> {
        self.is_restored = false;
        match (self.meta, copy.meta) {
            (Some(ours), Some(theirs)) if ours.lineage != theirs.lineage => {
                let text = "this device holds another history of the room than this page";
                return Err(Error::new(Code::DeviceUnavailable, text));
            }
            (None, theirs) => self.meta = theirs,
            _ => {}
        }
        self.device.waiting.clear();
        self.take_in(&copy, &limits.for_taken())?;
        let mut on_device: Vec<Record> =
            copy.records.into_iter().filter(|record| record.is_pending).collect();
        let next_index = &mut self.device.next_index;
        let mut missing = Vec::new();
        self.outbox.name_records(|update| {
            if let Some(at) = on_device.iter().position(|record| record.update == *update) {
                return on_device.swap_remove(at).index;
            }
            let index = *next_index;
            *next_index += 1;
            missing.push(Record { index, is_pending: true, update: update.clone() });
            index
        });
        sort_by_key(&mut on_device, |record| (record.index, 0));
        for Record { index, update, .. } in on_device {
            self.push_pending(index, update);
        }
        self.device.waiting.extend(missing.into_iter().map(Write::Append));
        // Whatever others wrote may be only here, too, while the place in the log counts it.
        let fold = self.fold();
        self.device.waiting.push(fold);
        self.device.waiting_number = self.outbox.last();
        self.device.is_meta_due = true;
        Ok(())
    }
}
