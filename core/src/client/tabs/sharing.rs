//! What a room shares with the other tabs of the browser.

use bytes::Bytes;

use super::Entrusted;
use crate::ids::EditNumber;
use crate::time::Time;

/// See the [module](self).
#[derive(Debug, Default)]
pub(in crate::client) struct Sharing {
    /// Own edits that the others were not told yet.
    pub(in crate::client) edits: Vec<(EditNumber, Bytes)>,
    /// Up to where the others know that own edits are durable.
    pub(in crate::client) durable: EditNumber,
    /// An edit of another tab builds on something that is not here.
    pub(in crate::client) is_lacking: bool,
    /// When the others were asked last.
    pub(in crate::client) asked_at: Option<Time>,
    /// Edits of the others.
    pub(in crate::client) entrusted: Entrusted,
}

impl Sharing {
    /// Forgets what was about a document that is set aside.
    pub(in crate::client) fn begin_anew(&mut self) {
        self.edits.clear();
        self.is_lacking = false;
        self.entrusted = Entrusted::default();
    }
}
