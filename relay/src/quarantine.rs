//! Rooms whose stored bytes cannot be read: left as they are, and not looked at again at once,
//! however many ask for them. Every other room goes on.

use std::time::Duration;

use coweave_core::error::Error;
use coweave_core::ids::RoomName;
use dashmap::DashMap;
use tokio::time::Instant;

/// How long a room is not looked at again.
const TERM: Duration = Duration::from_secs(60);
/// So many are remembered; when more are damaged, the store as a whole is.
const ROOMS_MAX: usize = 10_000;

/// The rooms that are closed for now.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    rooms: DashMap<RoomName, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// When it may be looked at again.
    until: Instant,
    /// What its members are told.
    error: Error,
}

impl Quarantine {
    /// What to answer instead of loading a room, and when it may be asked for again.
    pub(crate) fn check(&self, name: &RoomName) -> Option<Error> {
        let entry = self.rooms.get(name)?;
        let left = entry.until.checked_duration_since(Instant::now())?;
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Some(entry.error.clone().with_retry_after_ms(left_ms.max(1)))
    }

    /// Closes a room for a while. Says whether it was open before: what is wrong is told once, and
    /// not every time that it is still so.
    pub(crate) fn put(&self, name: &RoomName, error: Error) -> bool {
        if self.rooms.len() >= ROOMS_MAX && !self.rooms.contains_key(name) {
            return true;
        }
        let entry = Entry { until: Instant::now() + TERM, error };
        self.rooms.insert(name.clone(), entry).is_none()
    }

    /// A room could be loaded.
    pub(crate) fn release(&self, name: &RoomName) {
        if !self.rooms.is_empty() {
            self.rooms.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use coweave_core::error::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_room_is_closed_for_a_minute_and_told_once() {
        let quarantine = Quarantine::default();
        let (bad, good) = (RoomName::parse("bad").unwrap(), RoomName::parse("good").unwrap());
        let error = Error::new(Code::RoomDamaged, "a sentence");
        assert_eq!(quarantine.check(&bad), None);
        assert!(quarantine.put(&bad, error.clone()));
        assert_eq!(quarantine.check(&good), None);
        tokio::time::advance(TERM / 2).await;
        let told = quarantine.check(&bad);
        assert_eq!(told, Some(error.clone().with_retry_after_ms(30_000)));
        tokio::time::advance(TERM).await;
        assert_eq!(quarantine.check(&bad), None, "it may be looked at again");
        assert!(!quarantine.put(&bad, error.clone()), "it is still so");
        assert!(quarantine.check(&bad).is_some());
        quarantine.release(&bad);
        assert_eq!(quarantine.check(&bad), None);
        assert!(quarantine.put(&bad, error), "another time");
    }
}
