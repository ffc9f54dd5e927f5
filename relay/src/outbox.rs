//! The queue from rooms to one connection: rooms never wait for it, and it is bounded in bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use coweave_core::ids::{Channel, MemberId};
use coweave_core::link::Shared;
use tokio::sync::{Notify, mpsc};

/// Makes the queue of a connection, bounded to so many bytes.
pub(crate) fn outbox(bytes_max: usize) -> (Outbox, Deliveries) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let level = Arc::new(Level {
        bytes_max,
        bytes: AtomicUsize::new(0),
        full: Notify::new(),
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
    /// A broadcast did not fit.
    full: Notify,
    /// Not even what cannot be left out fits any more.
    overflow: Notify,
}

impl Level {
    /// What a message takes of the queue. One that is larger than all of it fills it, and does not
    /// make the little overflow that comes behind it.
    fn share(&self, delivery: &Delivery) -> usize {
        delivery.message.queued_bytes().min(self.bytes_max)
    }
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
    pub(crate) message: Shared,
}

impl Outbox {
    /// Hands over a message that the member can be given later in another form. False when the
    /// queue is full: then the member is behind, and gets no more of them until it has drained.
    pub(crate) fn offer(&self, delivery: Delivery) -> bool {
        let (bytes, most) = (self.level.share(&delivery), self.level.bytes_max);
        // One message always fits, however large.
        let fits = |before: usize| Some(before + bytes).filter(|sum| before == 0 || *sum <= most);
        // What does not fit is not counted for a moment either: another room would see it.
        if self.level.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            self.level.full.notify_one();
            return false;
        }
        self.queue(delivery);
        true
    }

    /// Hands over a message that must not be left out. They are few and small; a peer that makes
    /// many of them and reads none is given up.
    pub(crate) fn push(&self, delivery: Delivery) {
        let bytes = self.level.share(&delivery);
        let before = self.level.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > self.level.bytes_max.saturating_mul(2) {
            self.level.overflow.notify_one();
            return;
        }
        self.queue(delivery);
    }

    fn queue(&self, delivery: Delivery) {
        // Without a receiver the connection is over, and its rooms are about to hear of it.
        let _connection_is_over = self.sender.send(delivery);
    }

    /// Returns when a broadcast did not fit since the last time.
    pub(crate) fn full(&self) -> impl Future<Output = ()> + use<> {
        let level = Arc::clone(&self.level);
        async move { level.full.notified().await }
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

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    fn taken(&self, delivery: Option<Delivery>) -> Option<Delivery> {
        if let Some(delivery) = &delivery {
            self.level.bytes.fetch_sub(self.level.share(delivery), Ordering::Relaxed);
        }
        delivery
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use coweave_core::ids::Sequence;
    use coweave_core::room::RoomMessage;

    use super::*;

    fn update(bytes: usize) -> Delivery {
        let update = Bytes::from(vec![0; bytes]);
        let message = Shared::new(RoomMessage::Update { sequence: Sequence(1), update });
        Delivery { channel: Channel(1), member: MemberId(1), message }
    }

    #[tokio::test]
    async fn a_reader_that_keeps_up_may_get_any_amount() {
        let (outbox, mut deliveries) = outbox(1_000);
        for bytes in [900, 900, 50_000].repeat(30) {
            assert!(outbox.offer(update(bytes)));
            assert!(deliveries.next().await.is_some());
        }
        assert!(deliveries.is_empty());
        assert_eq!(outbox.level.bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_and_takes_no_room() {
        let (outbox, mut deliveries) = outbox(1_000);
        assert!(outbox.offer(update(400)) && outbox.offer(update(400)));
        assert!(!outbox.offer(update(400)) && !outbox.offer(update(400)));
        outbox.full().await;
        assert!(deliveries.try_next().is_some() && outbox.offer(update(400)));
        let rest = std::iter::from_fn(|| deliveries.try_next()).count();
        assert_eq!((rest, outbox.level.bytes.load(Ordering::Relaxed)), (2, 0));
    }

    #[tokio::test]
    async fn a_message_larger_than_the_queue_costs_nobody_the_connection() {
        let (outbox, mut deliveries) = outbox(1_000);
        assert!(outbox.offer(update(50_000)));
        outbox.push(update(10));
        assert!(!outbox.offer(update(10)));
        assert_eq!(tokio::time::timeout(Duration::ZERO, outbox.overflow()).await.ok(), None);
        assert_eq!(std::iter::from_fn(|| deliveries.try_next()).count(), 2);
        assert_eq!(outbox.level.bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_must_not_be_left_out_is_bounded_too() {
        let (outbox, mut deliveries) = outbox(1_000);
        for _ in 0..100 {
            outbox.push(update(400));
        }
        outbox.overflow().await;
        assert!(std::iter::from_fn(|| deliveries.try_next()).count() < 10);
    }
}
