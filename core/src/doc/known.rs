//! What a document has: for every client the clock of its next struct (a Yjs state vector).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::guard::Summary;
use super::walk::{Block, CLOCK_MAX, Section, Visit, walk};
use crate::error::Error;
use crate::ids::ClientId;
use crate::wire::primitive::{ReadError, Reader, write_var};

/// For every client how far its structs are known, without holes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known(BTreeMap<ClientId, u64>);

impl Known {
    /// Knows nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads a state vector.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Range`] for more clients than allowed, a client named twice, or
    /// a clock that no update can reach.
    pub fn decode(bytes: &[u8], clients_max: u64) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        let count = reader.var()?;
        if count > clients_max {
            return Err(ReadError::Range);
        }
        let mut clocks = BTreeMap::new();
        for _ in 0..count {
            let client = ClientId::new(reader.var()?).ok_or(ReadError::Range)?;
            let clock = reader.var()?;
            if clock > CLOCK_MAX || clocks.insert(client, clock).is_some() {
                return Err(ReadError::Range);
            }
        }
        reader.finish()?;
        clocks.retain(|_, clock| *clock > 0);
        Ok(Self(clocks))
    }

    /// The state vector, with the largest client id first, as Yjs writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write_var(&mut out, u64::try_from(self.0.len()).unwrap_or(u64::MAX));
        for (client, clock) in self.0.iter().rev() {
            write_var(&mut out, client.get());
            write_var(&mut out, *clock);
        }
        out
    }

    /// Takes in what an update brought. The guard has seen that it leaves no hole.
    pub fn advance(&mut self, summary: &Summary) {
        for range in &summary.ranges {
            self.reach(range.client, range.end);
        }
    }

    /// Takes in that a client's structs are known up to a clock.
    pub fn reach(&mut self, client: ClientId, end: u64) {
        let next = self.0.entry(client).or_default();
        *next = (*next).max(end);
    }

    /// What was known at least before these updates came: their structs are taken out again.
    #[must_use]
    pub fn before<'u>(&self, updates: impl Iterator<Item = &'u Bytes>) -> Self {
        let mut before = Before(self.clone());
        for update in updates {
            if walk(update, usize::MAX, &mut before).is_err() {
                return Self::new();
            }
        }
        before.0
    }

    /// How many clients there are, and how many elements they wrote.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        (self.0.len(), self.0.values().sum())
    }

    /// The clock of the next struct of a client; 0 when it is not known.
    #[must_use]
    pub fn next(&self, client: ClientId) -> u64 {
        self.0.get(&client).copied().unwrap_or(0)
    }

    /// Whether everything that `other` has is known.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(client, next)| next <= self.next(client))
    }

    /// All clients with the clocks of their next structs, by client id.
    pub fn iter(&self) -> impl Iterator<Item = (ClientId, u64)> {
        self.0.iter().map(|(client, next)| (*client, *next))
    }

    /// How many clients are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Goes back behind everything that it meets.
struct Before(Known);

impl<'a> Visit<'a> for Before {
    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        if let Some(next) = self.0.0.get_mut(&section.client) {
            *next = section.clock.min(*next);
        }
        Ok(())
    }

    fn block(&mut self, _block: &Block<'a>) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(clocks: &[(u32, u64)]) -> Known {
        let mut known = Known::new();
        clocks.iter().for_each(|(client, end)| known.reach(ClientId::from_u32(*client), *end));
        known
    }

    #[test]
    fn a_state_vector_survives_the_round_trip() {
        let some = known(&[(1, 5), (300, 1), (u32::MAX, CLOCK_MAX)]);
        assert_eq!(Known::decode(&some.encode(), 3), Ok(some.clone()));
        assert_eq!(Known::decode(&some.encode(), 2), Err(ReadError::Range));
        assert_eq!(Known::new().encode(), [0]);
        assert_eq!(known(&[(1, 5), (300, 1)]).encode(), [2, 0xac, 2, 1, 1, 5]);
    }

    #[test]
    fn hostile_state_vectors_are_refused() {
        let decode = |bytes: &[u8]| Known::decode(bytes, 100_000);
        assert_eq!(decode(&[]), Err(ReadError::End));
        assert_eq!(decode(&[0xff, 0xff, 3]), Err(ReadError::End));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0x7f]), Err(ReadError::Range));
        assert_eq!(decode(&[2, 1, 1, 1, 2]), Err(ReadError::Range));
        assert_eq!(decode(&[1, 1, 0xff, 0xff, 0xff, 0xff, 0xf]), Err(ReadError::Range));
        assert_eq!(decode(&[0, 0]), Err(ReadError::Trailing));
        assert_eq!(decode(&[1, 9, 0]), Ok(Known::new()));
    }

    #[test]
    fn covering_compares_client_by_client() {
        let more = known(&[(1, 5), (2, 1)]);
        assert!(more.covers(&known(&[(1, 5)])) && more.covers(&Known::new()));
        assert!(!more.covers(&known(&[(1, 6)])) && !more.covers(&known(&[(3, 1)])));
    }
}
