//! A client of the core on a real socket.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coweave_core::client::{
    Client, Event, Input, Output, Room, RoomKey, RoomState, Settings, Tier,
};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{ClientId, RoomName, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::v1::{Message as Said, SUBPROTOCOL, read_frame};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub const TEXT: &str = "body";

/// One client with one room, in memory.
#[derive(Debug)]
pub struct NativeClient {
    client: Client,
    key: RoomKey,
    id: u32,
    url: String,
    start: Instant,
    /// When the machine's time stands still.
    frozen: bool,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    wants_socket: bool,
    /// Frames that wait to be sent.
    pub outgoing: std::collections::VecDeque<Bytes>,
    /// Errors that the test means to bring about.
    pub may_stop_with: Vec<Code>,
    wake: Option<Time>,
    /// What an app would have been told, but for changes that it reads from the room.
    pub events: Vec<Event>,
    pub heard: Heard,
    /// What the relay had to say against this client or its room.
    pub errors: Vec<Error>,
}

/// What came over all sockets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Sockets that were opened.
    pub connections: u64,
    /// Bytes inside of WebSocket messages.
    pub bytes: u64,
    /// Bytes of first syncs.
    pub sync_bytes: u64,
    /// Live updates.
    pub updates: u64,
    /// Live updates that came between the pieces of a first sync.
    pub updates_in_sync: u64,
}

impl NativeClient {
    pub fn new(address: SocketAddr, room: &str, client_id: u32) -> Self {
        let mut session = [0; 16];
        session[..4].copy_from_slice(&client_id.to_le_bytes());
        let settings = Settings {
            session: SessionKey(session),
            agent: "native test client".to_owned(),
            limits: Limits::default(),
            has_device_store: false,
        };
        let mut client = Client::new(settings, u64::from(client_id), Time::ZERO);
        let key = client.next_key();
        let name = RoomName::parse(room).expect("a valid name");
        let open = Input::Open { key, name, client: ClientId::from_u32(client_id) };
        client.handle(open, Time::ZERO);
        Self {
            client,
            key,
            id: client_id,
            url: format!("ws://{address}/"),
            start: Instant::now(),
            frozen: false,
            socket: None,
            wants_socket: false,
            outgoing: std::collections::VecDeque::new(),
            may_stop_with: Vec::new(),
            wake: None,
            events: Vec::new(),
            heard: Heard::default(),
            errors: Vec::new(),
        }
    }

    fn now(&self) -> Time {
        if self.frozen {
            return Time::from_ms(1);
        }
        Time::from_ms(u64::try_from(self.start.elapsed().as_millis()).expect("a short test"))
    }

    /// Lets the machine's time stand still, so that none of its timers runs.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    pub fn room(&self) -> &Room {
        self.client.room(self.key).expect("open for the client's life")
    }

    pub fn replica(&mut self) -> &mut Replica {
        self.client.room_mut(self.key).expect("open for the client's life").replica_mut()
    }

    pub fn text(&mut self) -> String {
        self.replica().text_string(TEXT)
    }

    pub fn is_settled(&self) -> bool {
        let room = self.room();
        room.state() == &RoomState::Live && room.saved().tier == Tier::Durable
    }

    /// Runs the machine; frames end in `outgoing`.
    pub fn tick(&mut self) {
        let now = self.now();
        self.client.handle(Input::Tick, now);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.client.poll(self.now()) {
                Output::Idle { wake } => {
                    self.wake = wake;
                    return;
                }
                Output::Connect => {
                    self.socket = None;
                    self.outgoing.clear();
                    self.wants_socket = true;
                }
                Output::Disconnect => {
                    self.socket = None;
                    self.outgoing.clear();
                }
                Output::Frame(frame) => self.outgoing.push_back(frame),
                Output::Event { event, .. } => self.note(event),
                // There are no other tabs.
                Output::Talk { .. } | Output::Keep { .. } | Output::Closed { .. } => {}
                other => panic!("a client without a device wants {other:?}"),
            }
            if let RoomState::Stopped { error } = self.room().state() {
                let is_expected = self.may_stop_with.contains(&error.code);
                assert!(is_expected, "the room stopped: {error}");
            }
        }
    }

    fn note(&mut self, event: Event) {
        let is_frequent = matches!(
            event,
            Event::StateChanged
                | Event::SavedChanged
                | Event::DocumentChanged
                | Event::PresenceChanged(_)
        );
        if !is_frequent {
            self.events.push(event);
        }
    }

    /// Brings this text into the room, unless something is in it already.
    pub fn seed(&mut self, text: &str) {
        // Seeds are written under a client id of their own.
        let mut template = Replica::new(ClientId::from_u32(self.id | 1 << 31));
        template.text_insert(TEXT, 0, text).expect("an empty text");
        let update = template.take_edits().expect("an edit");
        self.input(Input::Seed { key: self.key, update });
    }

    /// What became of the seed, once the relay has said so.
    /// What was set aside last, as text.
    pub fn set_aside(&self) -> Option<String> {
        let last = self.events.iter().rev().find_map(|event| match event {
            Event::SetAside(copy) => Some(&copy.update),
            _ => None,
        })?;
        let mut replica = Replica::new(ClientId::from_u32(0));
        replica.apply(last, &Limits::default()).expect("a whole document");
        Some(replica.text_string(TEXT))
    }

    pub fn seeded(&self) -> Option<bool> {
        self.events.iter().find_map(|event| match event {
            Event::Seeded(result) => Some(result.clone().expect("a seed within all limits")),
            _ => None,
        })
    }

    pub fn show(&mut self, json: &str) {
        let state = Some(json.to_owned());
        self.input(Input::SetPresence { key: self.key, state });
    }

    /// Why the room stopped for good.
    pub fn stopped(&self) -> Option<&Error> {
        match self.room().state() {
            RoomState::Stopped { error } => Some(error),
            _ => None,
        }
    }

    /// Leaves the room and the relay in an orderly way.
    pub async fn leave(mut self) {
        let now = self.now();
        self.client.handle(Input::Close { key: self.key }, now);
        let Some(mut socket) = self.socket else { return };
        loop {
            match self.client.poll(now) {
                Output::Idle { .. } => break,
                Output::Frame(frame) => {
                    let _it_may_be_gone = socket.feed(Message::Binary(frame)).await;
                }
                _ => {}
            }
        }
        let _it_may_be_gone = socket.close(None).await;
    }

    /// In which time it will try to connect again, when it is waiting to.
    pub fn retry_in(&self) -> Option<Duration> {
        match self.room().state() {
            RoomState::Offline { retry_at } => retry_at.map(|at| at.since(self.now())),
            _ => None,
        }
    }

    /// Loses the connection, as when a cable is cut; it comes back by itself.
    pub fn cut(&mut self) {
        self.lose();
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        self.client.handle(input, now);
        self.drain();
    }

    async fn open_socket(&mut self) {
        self.wants_socket = false;
        let mut request = self.url.as_str().into_client_request().expect("a valid URL");
        let subprotocol = SUBPROTOCOL.parse().expect("a header value");
        request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
        match connect_async(request).await {
            Ok((socket, _)) => {
                self.socket = Some(socket);
                self.heard.connections += 1;
                self.input(Input::SocketOpened { token: String::new() });
            }
            Err(_) => self.input(Input::SocketClosed { error: None }),
        }
    }

    /// Sends the first `count` waiting frames.
    pub async fn send(&mut self, count: usize) {
        for _ in 0..count {
            let Some(frame) = self.outgoing.pop_front() else { return };
            let Some(socket) = &mut self.socket else { return };
            if socket.feed(Message::Binary(frame)).await.is_err() {
                return self.lose();
            }
        }
        if let Some(socket) = &mut self.socket
            && socket.flush().await.is_err()
        {
            self.lose();
        }
    }

    fn lose(&mut self) {
        self.socket = None;
        self.outgoing.clear();
        self.input(Input::SocketClosed { error: None });
    }

    /// Waits for one thing to happen, at most this long, and handles it.
    pub async fn receive(&mut self, at_most: Duration) {
        let Some(socket) = &mut self.socket else { return tokio::time::sleep(at_most).await };
        match tokio::time::timeout(at_most, socket.next()).await {
            Err(_elapsed) => {}
            Ok(Some(Ok(Message::Binary(frame)))) => {
                self.count(&frame);
                self.input(Input::SocketFrame(frame));
            }
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => self.lose(),
            Ok(Some(Ok(_))) => {}
        }
    }

    fn count(&mut self, frame: &Bytes) {
        self.heard.bytes += frame.len() as u64;
        let is_in_sync = matches!(self.room().state(), RoomState::Syncing { .. });
        for (_, said) in read_frame(frame).expect("the relay says what can be read") {
            match said {
                Said::Sync(piece) => self.heard.sync_bytes += piece.len() as u64,
                Said::Update { .. } => {
                    self.heard.updates += 1;
                    self.heard.updates_in_sync += u64::from(is_in_sync);
                }
                Said::Error(error) => self.errors.push(error),
                _ => {}
            }
        }
    }

    /// Receives, and does nothing else, until something is true.
    ///
    /// # Panics
    /// When it does not become true within a minute.
    pub async fn receive_until(&mut self, what: &str, is_true: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_mins(1);
        while !is_true(self) {
            assert!(Instant::now() < end, "after a minute still not: {what}");
            self.receive(Duration::from_secs(1)).await;
        }
    }

    /// Lives for a while: connects, sends, receives, and keeps the machine's timers.
    pub async fn live(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.tick();
            if self.wants_socket {
                self.open_socket().await;
            }
            self.send(self.outgoing.len()).await;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let now = self.now();
            let wake = self.wake.map_or(left, |at| at.since(now).max(Duration::from_millis(1)));
            self.receive(left.min(wake)).await;
        }
    }
}
