//! Who is let in: so many connections at the same time, and of those that have not said anything
//! yet so many that the one that has waited longest makes room for the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coweave_core::limits::Limits;
use rustix::process::{Resource, getrlimit};
use tokio::task::AbortHandle;

/// Open files that are kept for the store and for standard streams.
const FILES_RESERVED: u64 = 100;

/// Counts the connections of a relay.
#[derive(Debug)]
pub(crate) struct Door {
    connections_max: usize,
    silent_max: usize,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    connections: usize,
    next: u64,
    /// The tasks of those that have said nothing yet, the longest wait first.
    silent: BTreeMap<u64, Option<AbortHandle>>,
}

impl Door {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let connections_max = match limits.connections_max {
            0 => usize::try_from(files_max().saturating_sub(FILES_RESERVED)).unwrap_or(usize::MAX),
            most => most,
        };
        let silent_max = limits.silent_connections_max;
        Arc::new(Self { connections_max, silent_max, inside: Mutex::default() })
    }

    /// Lets a connection in, unless there are too many that have said what they are here for.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Guest> {
        let mut inside = self.inside();
        let is_full = inside.connections >= self.connections_max;
        if is_full || inside.silent.len() >= self.silent_max {
            match inside.silent.pop_first() {
                // Its place is free as soon as its task is gone.
                Some((_, Some(task))) => task.abort(),
                None if is_full => return None,
                _ => {}
            }
        }
        inside.connections += 1;
        let number = inside.next;
        inside.next += 1;
        inside.silent.insert(number, None);
        Some(Guest { door: Arc::clone(self), number })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing in here panics half-way.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many files the system lets this process open.
fn files_max() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// A connection that was let in, until this is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    door: Arc<Door>,
    number: u64,
}

impl Guest {
    /// Names the task that serves the connection as long as it is silent.
    pub(crate) fn is_served_by(&self, task: AbortHandle) {
        if let Some(place) = self.door.inside().silent.get_mut(&self.number) {
            *place = Some(task);
        }
    }

    /// The connection has said what it is here for: it will not have to make room any more.
    pub(crate) fn is_greeted(&self) {
        self.door.inside().silent.remove(&self.number);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        inside.silent.remove(&self.number);
        inside.connections -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(connections_max: usize, silent_connections_max: usize) -> Arc<Door> {
        Door::new(&Limits { connections_max, silent_connections_max, ..Limits::default() })
    }

    #[test]
    fn as_many_are_let_in_as_the_limit_says_and_another_when_one_is_gone() {
        let door = door(2, 10);
        let enter = || {
            let guest = door.enter()?;
            guest.is_greeted();
            Some(guest)
        };
        let first = enter().unwrap();
        let _second = enter().unwrap();
        assert!(enter().is_none());
        drop(first);
        assert!(enter().is_some());
    }

    #[test]
    fn without_a_number_the_open_files_are_the_limit() {
        assert_eq!(door(0, 1).connections_max as u64, files_max() - FILES_RESERVED);
    }

    #[tokio::test]
    async fn the_one_that_was_silent_longest_makes_room() {
        let door = door(10, 2);
        let mut tasks = Vec::new();
        let enter = || {
            let guest = Arc::new(door.enter().unwrap());
            let inside = Arc::clone(&guest);
            let task = tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(inside);
            });
            guest.is_served_by(task.abort_handle());
            (guest, task)
        };
        let (talking, _first) = enter();
        talking.is_greeted();
        tasks.push(enter().1);
        tasks.push(enter().1);
        tokio::task::yield_now().await;
        assert!(tasks.iter().all(|task| !task.is_finished()), "at the limit");
        tasks.push(enter().1);
        assert!(tasks.remove(0).await.unwrap_err().is_cancelled(), "one above it");
        assert!(tasks.iter().all(|task| !task.is_finished()));
    }

    #[tokio::test]
    async fn silent_ones_never_keep_others_out() {
        let door = door(3, 10);
        let talking = door.enter().unwrap();
        talking.is_greeted();
        for _ in 0..100 {
            let guest = door.enter().unwrap();
            let served = Arc::new(guest);
            let inside = Arc::clone(&served);
            let task = tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(inside);
            });
            served.is_served_by(task.abort_handle());
            drop(served);
            tokio::task::yield_now().await;
            assert!(door.inside().connections <= 3);
        }
    }
}
