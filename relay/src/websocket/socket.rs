//! A WebSocket that reads and writes at the same time, within bounds: a peer that does not read
//! must neither block reading nor make the relay hold more and more for it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::TcpStream;

use super::decoder::{Broken, Decoder, Incoming};
use super::outgoing::{BATCH_SLICES, Outgoing};

/// Bytes that may wait for the peer before nothing more is read from it or taken for it.
const AHEAD_BYTES_MAX: usize = 256 << 10;
/// What is read at once, and what of small frames is written at once.
const SCRATCH_BYTES: usize = 64 << 10;

const PROTOCOL_ERROR: u16 = 1002;
const INVALID_DATA: u16 = 1007;

thread_local! {
    /// All connections of a thread read and write through one buffer, and keep what they have to.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

/// A WebSocket and what waits to be written to it.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    decoder: Decoder,
    /// What has arrived behind the last message.
    rest: Bytes,
    outgoing: Outgoing,
    reading: Reading,
    /// Whether a close frame was sent, or waits to be.
    is_closing: bool,
    progress: Progress,
}

/// How the peer's bytes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Messages,
    /// They cannot be understood any more. They are still read: closing a connection with unread
    /// bytes in it would make the peer's system throw the last messages away.
    Nothing,
    /// The peer has closed.
    Closed,
}

/// What has moved: who downloads or uploads for a minute is not dead.
#[derive(Debug, Default)]
struct Progress {
    written: u64,
    read: u64,
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
    /// Some of a message.
    Partial,
    /// A frame above the limit; nothing more can be read.
    Oversized,
    /// The peer has closed, or broken the rules of WebSockets. The answer waits to be written,
    /// and nothing else is to be sent.
    Closing,
    /// The connection is over.
    Ended,
}

impl Socket {
    /// A socket on a stream, of which these bytes were read already.
    pub(crate) fn new(stream: TcpStream, arrived: &[u8], message_bytes_max: usize) -> Self {
        Self {
            stream,
            decoder: Decoder::new(message_bytes_max),
            // A copy, because the original is a part of a larger buffer.
            rest: Bytes::copy_from_slice(arrived),
            outgoing: Outgoing::default(),
            reading: Reading::Messages,
            is_closing: false,
            progress: Progress::default(),
        }
    }

    /// Changes how large the peer's messages may be.
    pub(crate) const fn set_message_bytes_max(&mut self, bytes: usize) {
        self.decoder.set_message_bytes_max(bytes);
    }

    pub(crate) fn send(&mut self, message: Bytes) {
        self.outgoing.message(message);
    }

    pub(crate) fn ping(&mut self) {
        self.outgoing.ping();
    }

    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.queue_close(Some(code), reason);
    }

    /// Whether everything is written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Whether the peer is so far behind that it has to read first.
    pub(crate) const fn is_behind(&self) -> bool {
        self.outgoing.message_bytes() > AHEAD_BYTES_MAX
    }

    /// How many bytes the peer has sent so far.
    pub(crate) const fn bytes_read(&self) -> u64 {
        self.progress.read
    }

    /// Whether the peer has taken some of what waited for it, or sent some of a frame, since the
    /// last time this was asked.
    pub(crate) fn has_progressed(&mut self) -> bool {
        let Progress { written, read, blocked_at, read_before } = &mut self.progress;
        let has_taken = blocked_at.take().is_some_and(|blocked_at| *written > blocked_at);
        has_taken | (*read > std::mem::replace(read_before, *read))
    }

    /// Writes what the system takes at once. An error shows when the rest is written.
    pub(crate) fn write_now(&mut self) {
        while !self.outgoing.is_empty() {
            let written = SCRATCH.with_borrow_mut(|space| {
                let length = self.outgoing.gather(space);
                // Large frames take their time, and other connections their turn.
                if length == 0 {
                    return Err(std::io::ErrorKind::WouldBlock.into());
                }
                self.stream.try_write(space.get(..length).unwrap_or_default())
            });
            let Ok(written @ 1..) = written else { return };
            self.progress.written += written as u64;
            self.outgoing.advance(written);
        }
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
                    self.progress.blocked_at.get_or_insert(self.progress.written);
                }
            }
        }
        if !may_read {
            return Poll::Pending;
        }
        match self.reading {
            Reading::Messages => self.poll_message(cx),
            Reading::Nothing => self.poll_end(cx),
            // The server is the one that ends the connection (RFC 6455, section 7.1.1).
            Reading::Closed if self.is_flushed() => Poll::Ready(Event::Ended),
            Reading::Closed => Poll::Pending,
        }
    }

    /// Writes until nothing waits.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(self.poll_write_once(cx))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.progress.written += written as u64;
            self.outgoing.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_once(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        SCRATCH.with_borrow_mut(|space| {
            let length = self.outgoing.gather(space);
            if length > 0 {
                return stream.poll_write(cx, space.get(..length).unwrap_or_default());
            }
            let mut slices = [IoSlice::new(&[]); BATCH_SLICES];
            let count = self.outgoing.slices(&mut slices);
            stream.poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
        })
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let decoded = if self.rest.is_empty() {
            match ready!(self.poll_read(cx)) {
                Some(decoded) => decoded,
                None => return Poll::Ready(Event::Ended),
            }
        } else {
            let mut input = &self.rest[..];
            let decoded = self.decoder.decode(&mut input);
            let taken = self.rest.len() - input.len();
            self.rest.advance(taken);
            decoded
        };
        if self.rest.is_empty() {
            // It would hold on to memory.
            self.rest = Bytes::new();
        }
        Poll::Ready(self.take(decoded))
    }

    /// Reads once, and looks at what has arrived; `None` when nothing more comes.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Incoming>, Broken>>> {
        SCRATCH.with_borrow_mut(|space| {
            let mut arrived = ReadBuf::new(space);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut arrived));
            let mut input = arrived.filled();
            if read.is_err() || input.is_empty() {
                return Poll::Ready(None);
            }
            self.progress.read += input.len() as u64;
            let decoded = self.decoder.decode(&mut input);
            self.rest = Bytes::copy_from_slice(input);
            Poll::Ready(Some(decoded))
        })
    }

    /// Reads on without looking at anything, until nothing more comes. The peer hears that there
    /// is nothing to wait for.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.is_closing && self.is_flushed() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx)).ok();
        }
        SCRATCH.with_borrow_mut(|space| {
            loop {
                let mut arrived = ReadBuf::new(space);
                let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut arrived));
                if read.is_err() || arrived.filled().is_empty() {
                    return Poll::Ready(Event::Ended);
                }
            }
        })
    }

    /// What the connection has to hear of what was decoded.
    fn take(&mut self, decoded: Result<Option<Incoming>, Broken>) -> Event {
        match decoded {
            Ok(None) => Event::Partial,
            Ok(Some(Incoming::Binary(message))) => Event::Binary(message),
            Ok(Some(Incoming::Text)) => Event::Text,
            Ok(Some(Incoming::Pong)) => Event::Alive,
            Ok(Some(Incoming::Ping(payload))) => {
                if !self.is_closing {
                    self.outgoing.pong(payload);
                }
                Event::Alive
            }
            Ok(Some(Incoming::Close(code))) => {
                self.reading = Reading::Closed;
                if !self.is_closing {
                    // It reads nothing that would still come.
                    self.outgoing.abandon();
                    self.queue_close(code, "");
                }
                Event::Closing
            }
            Err(broken) => {
                self.reading = Reading::Nothing;
                self.rest = Bytes::new();
                match broken {
                    Broken::TooLarge => return Event::Oversized,
                    Broken::Rule(rule) => self.queue_close(Some(PROTOCOL_ERROR), rule),
                    Broken::NotUtf8 => self.queue_close(Some(INVALID_DATA), "not UTF-8"),
                }
                Event::Closing
            }
        }
    }

    fn queue_close(&mut self, code: Option<u16>, reason: &str) {
        if !std::mem::replace(&mut self.is_closing, true) {
            self.outgoing.close(code, reason);
        }
    }
}
