//! The state of a replica as updates: what it has, what others lack, and updates that the app brings.

use super::guard::{ClientRange, Seen};
use super::known::Known;
use super::pieces::pieces;
use super::replica::{EDIT_BYTES_MAX, Replica};
use crate::error::{Code, Error};
use crate::limits::Limits;

impl Replica {
    /// What somebody lacks who has this state vector, as one update.
    ///
    /// # Errors
    /// `update.malformed` for bytes that are no state vector.
    pub fn difference_to(&self, state_vector: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
        let known = Known::decode(state_vector, limits.state_vector_clients_max).map_err(
            |_unreadable| {
                Error::new(
                    Code::UpdateMalformed,
                    "these bytes are no state vector of a Yjs document",
                )
            },
        )?;
        Ok(self.difference(&known))
    }

    /// Makes an update of another document, whoever wrote it, an edit of this session. What is here
    /// already is left out, and a large one becomes several edits.
    ///
    /// # Errors
    /// What the guard says.
    pub fn import(&mut self, update: &[u8], limits: &Limits) -> Result<(), Error> {
        // It may be larger than the relay takes: it goes there in pieces.
        let limits = limits.for_taken();
        let seen = self.inspect(update, &limits).map_err(|error| mention_v2(error, update))?;
        let is_new = |range: &ClientRange| range.start == self.known().next(range.client);
        if update.len() <= EDIT_BYTES_MAX && seen.0.ranges.iter().all(is_new) {
            // There is nothing to cut, as with each key of somebody else.
            return self.import_piece(update.to_vec(), &seen);
        }
        for piece in pieces(update, self.known(), EDIT_BYTES_MAX)? {
            let seen = self.inspect(&piece, &limits)?;
            self.import_piece(piece, &seen)?;
        }
        Ok(())
    }

    fn import_piece(&mut self, piece: Vec<u8>, seen: &Seen) -> Result<(), Error> {
        // Yjs writes all deletions into each difference, and mostly they are known.
        if self.apply_as_own(&piece, seen)? {
            self.push_import(piece)?;
        }
        Ok(())
    }
}

/// An update in version 2 of the format begins with a zero, as hardly any other does.
fn mention_v2(mut error: Error, update: &[u8]) -> Error {
    if error.code == Code::UpdateMalformed && update.first() == Some(&0) {
        error.message.push_str("; is it in version 2 of the format? applyUpdateV2 takes those");
    }
    error
}
