//! What clients of all protocols have in common, and somebody who types.

use std::time::{Duration, Instant};

use coweave_core::doc::replica::Replica;
use coweave_core::random::Random;

use crate::native::{NativeClient, TEXT};
use crate::y_member::YMember;

/// Longer than anything takes, on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Beyond this length people mostly delete.
const LENGTH_WANTED: u32 = 4_000;

/// A client of any protocol that comes back by itself when it loses its connection.
#[expect(async_fn_in_trait, reason = "these futures stay on the thread of their test")]
pub trait Member {
    fn replica(&mut self) -> &mut Replica;

    /// Connects, sends, receives and keeps its timers for a while.
    async fn live(&mut self, time: Duration);

    fn text(&mut self) -> String {
        self.replica().text_string(TEXT)
    }

    /// Lives until something is true.
    ///
    /// # Panics
    /// When it does not become true in time.
    async fn live_until(&mut self, what: &str, is_true: impl Fn(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        // An edit that was made just now is sent and counted first.
        self.live(Duration::ZERO).await;
        while !is_true(self) {
            assert!(Instant::now() < end, "after {PATIENCE:?} still not: {what}");
            self.live(Duration::from_millis(5)).await;
        }
    }
}

impl Member for NativeClient {
    fn replica(&mut self) -> &mut Replica {
        NativeClient::replica(self)
    }

    async fn live(&mut self, time: Duration) {
        NativeClient::live(self, time).await;
    }
}

impl Member for YMember {
    fn replica(&mut self) -> &mut Replica {
        YMember::replica(self)
    }

    async fn live(&mut self, time: Duration) {
        YMember::live(self, time).await;
    }
}

/// One edit somewhere in the text, which stays of about the same length in the long run.
///
/// # Panics
/// When the document refuses it.
pub fn type_something(replica: &mut Replica, random: &mut Random) {
    let length = replica.text_length(TEXT);
    let at = u32::try_from(random.below(u64::from(length) + 1)).expect("within the text");
    if length > 50 && random.chance(if length > LENGTH_WANTED { 70 } else { 20 }) {
        replica.text_delete(TEXT, at.min(length - 4), 4).expect("within the text");
    } else {
        replica.text_insert(TEXT, at, "key ").expect("within the text");
    }
}

/// Replaces the whole text.
///
/// # Panics
/// When the document refuses it.
pub fn overwrite(replica: &mut Replica, text: &str) {
    let length = replica.text_length(TEXT);
    if length > 0 {
        replica.text_delete(TEXT, 0, length).expect("within the text");
    }
    replica.text_insert(TEXT, 0, text).expect("an empty text");
}
