//! The queue from rooms to one connection: rooms never wait for it, and it is bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use coweave_core::ids::{Channel, MemberId};
use coweave_core::room::RoomMessage;
use tokio::sync::{Notify, mpsc};

/// What a small message counts for, beside the bytes that it carries.
const MESSAGE_BYTES: usize = 64;

/// Makes the queue of a connection, bounded to so many bytes of live messages.
pub(crate) fn outbox(bytes_max: usize) -> (Outbox, Deliveries) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let level = Arc::new(Level {
        bytes_max,
        bytes: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        overflow: Notify::new(),
    });
    let deliveries = Deliveries { receiver, level: Arc::clone(&level) };
    (Outbox { sender, level }, deliveries)
}

/// How full the queue is.
#[derive(Debug)]
struct Level {
    bytes_max: usize,
    bytes: AtomicUsize,
    is_over: AtomicBool,
    overflow: Notify,
}

/// The end that rooms write to.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    sender: mpsc::UnboundedSender<Delivery>,
    level: Arc<Level>,
}

/// One message on its way from a room to a connection.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) channel: Channel,
    /// The membership it is meant for: a later one may use the same channel.
    pub(crate) member: MemberId,
    /// Shared by all members of a room that get it.
    pub(crate) message: Arc<RoomMessage>,
}

impl Outbox {
    /// Hands a message over. Once the queue was too long, everything is dropped: the connection
    /// ends, and its client catches up when it comes back.
    pub(crate) fn send(&self, delivery: Delivery) {
        if self.level.is_over.load(Ordering::Relaxed) {
            return;
        }
        let bytes = live_bytes(&delivery.message);
        let waiting = self.level.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if waiting > self.level.bytes_max {
            if !self.level.is_over.swap(true, Ordering::Relaxed) {
                self.level.overflow.notify_one();
            }
            return;
        }
        // Without a receiver the connection is over, and its rooms are about to hear of it.
        let _connection_is_over = self.sender.send(delivery);
    }

    /// Returns once, when the queue has become too long.
    pub(crate) fn overflow(&self) -> impl Future<Output = ()> + use<> {
        let level = Arc::clone(&self.level);
        async move { level.overflow.notified().await }
    }
}

/// The end that the connection reads from.
#[derive(Debug)]
pub(crate) struct Deliveries {
    receiver: mpsc::UnboundedReceiver<Delivery>,
    level: Arc<Level>,
}

impl Deliveries {
    /// The next message. Cancelling this loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.receiver.recv().await;
        self.taken(delivery)
    }

    /// The next message, when there is one already.
    pub(crate) fn try_next(&mut self) -> Option<Delivery> {
        let delivery = self.receiver.try_recv().ok();
        self.taken(delivery)
    }

    fn taken(&self, delivery: Option<Delivery>) -> Option<Delivery> {
        if let Some(delivery) = &delivery {
            self.level.bytes.fetch_sub(live_bytes(&delivery.message), Ordering::Relaxed);
        }
        delivery
    }
}

/// What a message adds to the queue. A first sync does not count: its bytes are shared with the
/// room, and it may well be larger than the queue is allowed to be.
fn live_bytes(message: &RoomMessage) -> usize {
    let carried = match message {
        RoomMessage::Update { update, .. } => update.len(),
        RoomMessage::Presence { entries } => entries
            .iter()
            .map(|entry| MESSAGE_BYTES + entry.state.as_ref().map_or(0, String::len))
            .sum(),
        _ => 0,
    };
    carried.saturating_add(MESSAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use coweave_core::ids::Sequence;

    use super::*;

    fn update(bytes: usize) -> Delivery {
        let update = Bytes::from(vec![0; bytes]);
        let message = RoomMessage::Update { sequence: Sequence(1), update };
        Delivery { channel: Channel(1), member: MemberId(1), message: Arc::new(message) }
    }

    #[tokio::test]
    async fn a_reader_that_keeps_up_may_get_any_amount() {
        let (outbox, mut deliveries) = outbox(1_000);
        for _ in 0..100 {
            outbox.send(update(900));
            assert!(deliveries.next().await.is_some());
        }
        assert!(!outbox.level.is_over.load(Ordering::Relaxed));
        assert_eq!(outbox.level.bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn too_long_a_queue_is_told_once_and_takes_nothing_more() {
        let (outbox, mut deliveries) = outbox(1_000);
        for _ in 0..5 {
            outbox.send(update(400));
        }
        outbox.overflow().await;
        assert!(deliveries.try_next().is_some());
        assert!(deliveries.try_next().is_some());
        outbox.send(update(1));
        assert!(deliveries.try_next().is_none());
        tokio::select! {
            biased;
            () = outbox.overflow() => panic!("told twice"),
            () = std::future::ready(()) => {}
        }
    }
}
