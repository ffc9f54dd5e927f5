//! A client of the core on a real socket, and the real relay as a child process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coweave_core::client::{Client, Input, Output, Room, RoomKey, RoomState, Settings, Tier};
use coweave_core::doc::replica::Replica;
use coweave_core::ids::{ClientId, RoomName, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::v1::SUBPROTOCOL;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub const TEXT: &str = "body";

/// The relay's program: the one that was built beside the tests, or what `COWEAVE_RELAY` says.
pub fn relay_program() -> PathBuf {
    if let Ok(path) = std::env::var("COWEAVE_RELAY") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test has a path");
    let folder = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let program = folder.join("coweave-relay");
    assert!(
        program.exists(),
        "the relay is not built: run `cargo build -p coweave-relay` or set COWEAVE_RELAY"
    );
    program
}

/// A running relay.
#[derive(Debug)]
pub struct RelayProcess {
    child: Child,
    pub address: SocketAddr,
}

impl RelayProcess {
    /// Starts the relay and waits until it listens. Port 0 takes a free one.
    pub fn start(data: &Path, port: u16) -> Self {
        let mut child = Command::new(relay_program())
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut seen = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else { panic!("the relay did not listen: {seen}") };
            if let Some((_, address)) = line.split_once("listening on http://") {
                let is_other = |c: char| !c.is_ascii_digit() && c != '.' && c != ':';
                let end = address.find(is_other).unwrap_or(address.len());
                break address[..end].parse().expect("an address");
            }
            seen.push_str(&line);
        };
        // Nobody may block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("the relay was running");
        self.child.wait().expect("the relay ends");
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill exists");
        assert!(sent.success());
        self.child.wait().expect("the relay ends")
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _it_may_be_gone = self.child.kill();
        let _as_above = self.child.wait();
    }
}

/// One client with one room, in memory.
#[derive(Debug)]
pub struct NativeClient {
    client: Client,
    key: RoomKey,
    url: String,
    start: Instant,
    /// When the machine's time stands still.
    frozen: bool,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    wants_socket: bool,
    /// Frames that wait to be sent.
    pub outgoing: std::collections::VecDeque<Bytes>,
    wake: Option<Time>,
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
            url: format!("ws://{address}/"),
            start: Instant::now(),
            frozen: false,
            socket: None,
            wants_socket: false,
            outgoing: std::collections::VecDeque::new(),
            wake: None,
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
                Output::Event { .. } => {}
                other => panic!("a client without a device wants {other:?}"),
            }
            if let RoomState::Stopped { error } = self.room().state() {
                panic!("the room stopped: {error}");
            }
        }
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
            Ok(Some(Ok(Message::Binary(frame)))) => self.input(Input::SocketFrame(frame)),
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => self.lose(),
            Ok(Some(Ok(_))) => {}
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

    /// Lives until something is true.
    ///
    /// # Panics
    /// When it does not become true within a minute.
    pub async fn live_until(&mut self, what: &str, is_true: impl Fn(&mut Self) -> bool) {
        let end = Instant::now() + Duration::from_mins(1);
        while !is_true(self) {
            assert!(Instant::now() < end, "after a minute still not: {what}");
            self.live(Duration::from_millis(5)).await;
        }
    }
}
