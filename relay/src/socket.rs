//! A WebSocket that reads and writes at the same time, within bounds: a peer that does not read
//! must neither block reading nor make the relay hold more and more for it.

use std::collections::VecDeque;
use std::error::Error as _;
use std::future::poll_fn;
use std::task::{Context, Poll};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tungstenite::error::{CapacityError, Error as WebSocketError};

use crate::meter::Meter;

/// Bytes that may wait for the peer before nothing more is read from it or taken for it.
const AHEAD_BYTES_MAX: usize = 256 << 10;

/// A WebSocket and what waits to be written to it.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: WebSocket,
    unsent: VecDeque<Message>,
    unsent_bytes: usize,
    needs_flush: bool,
    meter: Meter,
    /// How much was written when the peer had not taken all of it.
    blocked_at: Option<u64>,
    /// How much was read when that was last looked at.
    read_before: u64,
}

/// What happened on a socket.
#[derive(Debug)]
pub(crate) enum Event {
    /// Everything is written.
    Flushed,
    Binary(Bytes),
    Text,
    /// A ping or pong.
    Alive,
    /// A frame above the limit; nothing more can be read.
    Oversized,
    /// The connection is over.
    Ended,
}

impl Socket {
    pub(crate) fn new(inner: WebSocket, meter: Meter) -> Self {
        Self {
            inner,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            needs_flush: false,
            meter,
            blocked_at: None,
            read_before: 0,
        }
    }

    pub(crate) fn send(&mut self, frame: Bytes) {
        self.unsent_bytes = self.unsent_bytes.saturating_add(frame.len());
        self.unsent.push_back(Message::Binary(frame));
    }

    pub(crate) fn ping(&mut self) {
        self.unsent.push_back(Message::Ping(Bytes::new()));
    }

    pub(crate) fn close(&mut self, code: u16, reason: &'static str) {
        self.unsent.push_back(Message::Close(Some(CloseFrame { code, reason: reason.into() })));
    }

    /// Whether everything is written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent.is_empty() && !self.needs_flush
    }

    /// Whether the peer is so far behind that it has to read first.
    pub(crate) const fn is_behind(&self) -> bool {
        self.unsent_bytes > AHEAD_BYTES_MAX
    }

    /// Whether the peer has taken some of what waited for it, or sent some of a frame, since the
    /// last time this was asked.
    pub(crate) fn has_progressed(&mut self) -> bool {
        let (written, read) = (self.meter.written(), self.meter.read());
        let has_taken = self.blocked_at.take().is_some_and(|blocked_at| written > blocked_at);
        has_taken | (read > std::mem::replace(&mut self.read_before, read))
    }

    /// Writes what waits and, if it may, reads. Cancelling this loses nothing.
    pub(crate) async fn next(&mut self, may_read: bool) -> Event {
        poll_fn(|cx| self.poll(may_read, cx)).await
    }

    fn poll(&mut self, may_read: bool, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.is_flushed() {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Event::Flushed),
                Poll::Ready(Err(_)) => return Poll::Ready(Event::Ended),
                Poll::Pending => {
                    self.blocked_at.get_or_insert_with(|| self.meter.written());
                }
            }
        }
        if !may_read {
            return Poll::Pending;
        }
        self.inner.poll_next_unpin(cx).map(|message| match message {
            Some(Ok(Message::Binary(frame))) => Event::Binary(frame),
            Some(Ok(Message::Text(_))) => Event::Text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Event::Alive,
            Some(Err(error)) if is_oversized(&error) => Event::Oversized,
            Some(Ok(Message::Close(_)) | Err(_)) | None => Event::Ended,
        })
    }

    /// Hands over all frames before it flushes, so that many of them cost one system call.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        while !self.unsent.is_empty() {
            std::task::ready!(self.inner.poll_ready_unpin(cx))?;
            if let Some(message) = self.unsent.pop_front() {
                if let Message::Binary(frame) = &message {
                    self.unsent_bytes = self.unsent_bytes.saturating_sub(frame.len());
                }
                self.needs_flush = true;
                self.inner.start_send_unpin(message)?;
            }
        }
        std::task::ready!(self.inner.poll_flush_unpin(cx))?;
        self.needs_flush = false;
        Poll::Ready(Ok(()))
    }
}

fn is_oversized(error: &axum::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(WebSocketError::Capacity(CapacityError::MessageTooLong { .. })))
}
