//! Many WebSockets on one thread: epoll, and one write for all that one turn has for a socket.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use socket2::{Domain, Protocol, Socket, Type};

use crate::websocket::{self, Kind, Role};

const READ_BYTES: usize = 256 << 10;
const EVENTS: usize = 1024;
const TIMER: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

/// A connection; numbers are not used twice.
pub(crate) type ConnId = usize;

/// What happens on the sockets.
pub(crate) trait Handler {
    /// The WebSocket is open; a server gets the path that was asked for.
    fn opened(&mut self, id: ConnId, path: &str, out: &mut Out<'_>);
    fn message(&mut self, id: ConnId, payload: &Bytes, out: &mut Out<'_>);
    /// The other side has ended the connection.
    fn closed(&mut self, id: ConnId, why: &str);
}

/// The way back on the connection that something came from.
#[derive(Debug)]
pub(crate) struct Out<'a> {
    role: Role,
    bytes: &'a mut Vec<u8>,
}

impl Out<'_> {
    pub(crate) fn message(&mut self, payload: &[u8]) {
        websocket::write(self.role, websocket::BINARY, payload, self.bytes);
    }
}

#[derive(Debug)]
struct Conn {
    stream: TcpStream,
    role: Role,
    is_open: bool,
    /// Bytes that are no whole frame yet.
    inbox: BytesMut,
    /// The parts of a fragmented message.
    parts: Vec<u8>,
    outbox: Vec<u8>,
    written: usize,
    watches_write: bool,
    is_dirty: bool,
}

/// All sockets.
#[derive(Debug)]
pub(crate) struct Net {
    epoll: Epoll,
    timer: TimerFd,
    /// When the timer rings.
    armed: Option<Instant>,
    listener: Option<TcpListener>,
    conns: Vec<Option<Box<Conn>>>,
    dirty: Vec<ConnId>,
    scratch: Vec<u8>,
    pub(crate) bytes_read: u64,
}

impl Net {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        Ok(Self {
            epoll,
            timer,
            armed: None,
            listener: None,
            conns: Vec::new(),
            dirty: Vec::new(),
            scratch: vec![0; READ_BYTES],
            bytes_read: 0,
        })
    }

    pub(crate) fn listen(&mut self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        self.epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Starts to open a WebSocket.
    pub(crate) fn connect(
        &mut self,
        address: SocketAddr,
        path: &str,
        subprotocol: Option<&str>,
    ) -> io::Result<ConnId> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(nix::errno::Errno::EINPROGRESS as i32) => {
                return Err(error);
            }
            _ => {}
        }
        let id = self.add(socket.into(), Role::Client)?;
        if let Some(conn) = &mut self.conns[id] {
            conn.outbox.extend_from_slice(websocket::request(path, subprotocol).as_bytes());
            conn.watches_write = true;
        }
        self.watch(id)?;
        Ok(id)
    }

    fn add(&mut self, stream: TcpStream, role: Role) -> io::Result<ConnId> {
        stream.set_nodelay(true)?;
        let id = self.conns.len();
        self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, id as u64))?;
        self.conns.push(Some(Box::new(Conn {
            stream,
            role,
            is_open: false,
            inbox: BytesMut::new(),
            parts: Vec::new(),
            outbox: Vec::new(),
            written: 0,
            watches_write: false,
            is_dirty: false,
        })));
        Ok(id)
    }

    fn watch(&self, id: ConnId) -> io::Result<()> {
        if let Some(conn) = &self.conns[id] {
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, conn.watches_write);
            self.epoll.modify(&conn.stream, &mut EpollEvent::new(flags, id as u64))?;
        }
        Ok(())
    }

    /// Queues a message; it is written at the start of the next turn.
    pub(crate) fn send(&mut self, id: ConnId, payload: &[u8]) {
        if let Some(Some(conn)) = self.conns.get_mut(id) {
            websocket::write(conn.role, websocket::BINARY, payload, &mut conn.outbox);
            if !conn.is_dirty {
                conn.is_dirty = true;
                self.dirty.push(id);
            }
        }
    }

    /// Closes a connection at once, without a word.
    pub(crate) fn drop_connection(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(id).and_then(Option::take) {
            let _closing_does_it_too = self.epoll.delete(&conn.stream);
        }
    }

    /// Writes what waits, then takes what has come, until the time is up at the latest.
    pub(crate) fn turn(
        &mut self,
        until: Option<Instant>,
        handler: &mut impl Handler,
    ) -> io::Result<()> {
        for id in std::mem::take(&mut self.dirty) {
            self.write(id, handler)?;
        }
        let timeout = match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => EpollTimeout::NONE,
            Some(Duration::ZERO) => EpollTimeout::ZERO,
            Some(wait) => {
                if self.armed != until {
                    let expiration = Expiration::OneShot(TimeSpec::from_duration(wait));
                    self.timer.set(expiration, TimerSetTimeFlags::empty())?;
                    self.armed = until;
                }
                EpollTimeout::NONE
            }
        };
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..count] {
            match event.data() {
                TIMER => {
                    self.timer.wait()?;
                    self.armed = None;
                }
                LISTENER => self.accept()?,
                id => {
                    let id = usize::try_from(id).unwrap_or(usize::MAX);
                    if event.events().contains(EpollFlags::EPOLLOUT) {
                        self.write(id, handler)?;
                    }
                    if event.events() != EpollFlags::EPOLLOUT {
                        self.read(id, handler)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
            stream.set_nonblocking(true)?;
            self.add(stream, Role::Server)?;
        }
        Ok(())
    }

    fn write(&mut self, id: ConnId, handler: &mut impl Handler) -> io::Result<()> {
        let Some(conn) = self.conns[id].as_deref_mut() else { return Ok(()) };
        conn.is_dirty = false;
        let needs_watch = loop {
            if conn.written == conn.outbox.len() {
                conn.outbox.clear();
                // A burst must not stay in memory for ever.
                conn.outbox.shrink_to(16 << 10);
                conn.written = 0;
                break false;
            }
            match conn.stream.write(&conn.outbox[conn.written..]) {
                Ok(written) => conn.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(error) => {
                    self.conns[id] = None;
                    handler.closed(id, &error.to_string());
                    return Ok(());
                }
            }
        };
        if needs_watch != conn.watches_write {
            conn.watches_write = needs_watch;
            self.watch(id)?;
        }
        Ok(())
    }

    fn read(&mut self, id: ConnId, handler: &mut impl Handler) -> io::Result<()> {
        let Some(mut conn) = self.conns[id].take() else { return Ok(()) };
        let mut scratch = std::mem::take(&mut self.scratch);
        let ended = match conn.stream.read(&mut scratch) {
            Ok(0) => Some("the connection was closed".to_owned()),
            Ok(count) => {
                self.bytes_read += count as u64;
                conn.take(id, &scratch[..count], handler).err()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(error.to_string()),
        };
        self.scratch = scratch;
        match ended {
            Some(why) => {
                drop(conn);
                handler.closed(id, &why);
                Ok(())
            }
            None => {
                let has_answer = !conn.outbox.is_empty() && !conn.watches_write;
                self.conns[id] = Some(conn);
                if has_answer { self.write(id, handler) } else { Ok(()) }
            }
        }
    }
}

impl Conn {
    fn take(&mut self, id: ConnId, bytes: &[u8], handler: &mut impl Handler) -> Result<(), String> {
        self.inbox.extend_from_slice(bytes);
        if !self.is_open {
            let Some(end) = websocket::head_end(&self.inbox) else { return Ok(()) };
            let head = self.inbox.split_to(end);
            self.handshake(id, &head, handler)?;
        }
        while let Some(frame) = websocket::read(&self.inbox) {
            let mut payload = self.inbox.split_to(frame.end);
            frame.unmask(&mut payload);
            payload.advance(frame.payload_start);
            self.frame(id, frame.kind, &payload.freeze(), handler)?;
        }
        Ok(())
    }

    fn handshake(
        &mut self,
        id: ConnId,
        head: &[u8],
        handler: &mut impl Handler,
    ) -> Result<(), String> {
        let mut path = String::new();
        match self.role {
            Role::Client if !websocket::is_accepted(head) => {
                return Err(format!("the server answered {}", String::from_utf8_lossy(head)));
            }
            Role::Client => {}
            Role::Server => {
                let (asked, answer) = websocket::accept(head).ok_or("a request without a key")?;
                self.outbox.extend_from_slice(answer.as_bytes());
                path = asked;
            }
        }
        self.is_open = true;
        handler.opened(id, &path, &mut Out { role: self.role, bytes: &mut self.outbox });
        Ok(())
    }

    fn frame(
        &mut self,
        id: ConnId,
        kind: Kind,
        payload: &Bytes,
        handler: &mut impl Handler,
    ) -> Result<(), String> {
        let mut out = Out { role: self.role, bytes: &mut self.outbox };
        match kind {
            Kind::Message if self.parts.is_empty() => handler.message(id, payload, &mut out),
            Kind::Message => {
                self.parts.extend_from_slice(payload);
                handler.message(id, &std::mem::take(&mut self.parts).into(), &mut out);
            }
            Kind::Part => self.parts.extend_from_slice(payload),
            Kind::Ping => websocket::write(self.role, websocket::PONG, payload, out.bytes),
            Kind::Pong => {}
            Kind::Close => {
                let reason = payload.get(2..).unwrap_or_default();
                let code =
                    payload.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                return Err(format!("close code {code} {}", String::from_utf8_lossy(reason)));
            }
            Kind::Other => return Err("a frame that no protocol here has".to_owned()),
        }
        Ok(())
    }
}
