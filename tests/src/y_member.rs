//! A y-websocket client on a real socket that comes back by itself, as the one of npm does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::y_websocket::{Message, read_frame};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long it waits before it tries again.
const PAUSE: Duration = Duration::from_millis(100);

/// One client with one room, in memory.
#[derive(Debug)]
pub struct YMember {
    url: String,
    replica: Replica,
    socket: Option<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    retry_at: Instant,
    is_synced: bool,
    clock: u64,
    shown: Option<String>,
    /// Connections so far.
    pub connections: u64,
    /// What the relay would not take, in its words.
    pub denials: Vec<String>,
    /// The codes with which it closed connections.
    pub close_codes: Vec<u16>,
}

impl YMember {
    #[must_use]
    pub fn new(address: SocketAddr, room: &str, client_id: u32) -> Self {
        Self {
            url: format!("ws://{address}/{room}"),
            replica: Replica::new(ClientId::from_u32(client_id)),
            socket: None,
            retry_at: Instant::now(),
            is_synced: false,
            clock: 0,
            shown: None,
            connections: 0,
            denials: Vec::new(),
            close_codes: Vec::new(),
        }
    }

    pub fn replica(&mut self) -> &mut Replica {
        &mut self.replica
    }

    /// Whether it has everything that the relay had when it connected.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// Shows something to the others.
    pub async fn show(&mut self, json: &str) {
        self.shown = Some(json.to_owned());
        self.send_presence().await;
    }

    /// Leaves the relay in an orderly way.
    pub async fn leave(mut self) {
        if let Some(mut socket) = self.socket.take() {
            let _it_may_be_gone = socket.close(None).await;
        }
    }

    /// Loses the connection, as when a cable is cut.
    pub fn cut(&mut self) {
        self.socket = None;
        self.is_synced = false;
        self.retry_at = Instant::now() + PAUSE;
    }

    /// Connects, sends, receives for a while.
    pub async fn live(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            if self.socket.is_none() && Instant::now() >= self.retry_at {
                self.connect().await;
            }
            while let Some(update) = self.replica.take_edits() {
                // Without a connection it goes out with the answer to the relay's first question.
                self.send(&Message::Update(update)).await;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.receive(left).await;
        }
    }

    async fn connect(&mut self) {
        let Ok((socket, _)) = connect_async(self.url.as_str()).await else { return self.cut() };
        self.socket = Some(socket);
        self.connections += 1;
        let state_vector = Bytes::from(self.replica.known().encode());
        self.send(&Message::SyncStep1(state_vector)).await;
        self.send_presence().await;
    }

    async fn send_presence(&mut self) {
        if let Some(state) = self.shown.clone() {
            self.clock += 1;
            let (client, clock) = (self.replica.client(), self.clock);
            let entry = AwarenessEntry { client, clock, state: Some(state) };
            self.send(&Message::Awareness(awareness::write(&[entry]).into())).await;
        }
    }

    async fn send(&mut self, message: &Message) {
        if let Some(socket) = &mut self.socket
            && socket.send(Frame::Binary(message.to_frame().into())).await.is_err()
        {
            self.cut();
        }
    }

    async fn receive(&mut self, at_most: Duration) {
        let Some(socket) = &mut self.socket else {
            let pause = self.retry_at.saturating_duration_since(Instant::now());
            return tokio::time::sleep(pause.min(at_most)).await;
        };
        match tokio::time::timeout(at_most, socket.next()).await {
            Err(_elapsed) => {}
            Ok(Some(Ok(Frame::Binary(frame)))) => self.frame(&frame).await,
            Ok(Some(Ok(Frame::Close(close)))) => {
                self.close_codes.extend(close.map(|close| u16::from(close.code)));
                self.cut();
            }
            Ok(Some(Err(_)) | None) => self.cut(),
            Ok(Some(Ok(_))) => {}
        }
    }

    async fn frame(&mut self, frame: &Bytes) {
        let message = read_frame(frame).expect("the relay says what can be read");
        let limits = Limits::default().for_taken();
        match message {
            Some(Message::SyncStep1(state_vector)) => {
                let known = Known::decode(&state_vector, limits.state_vector_clients_max);
                let difference = self.replica.difference(&known.expect("a state vector"));
                self.send(&Message::SyncStep2(difference.into())).await;
            }
            Some(Message::SyncStep2(update)) => {
                self.replica.apply(&update, &limits).expect("nothing is missing");
                self.is_synced = true;
            }
            Some(Message::Update(update)) => {
                self.replica.apply(&update, &limits).expect("nothing is missing");
            }
            Some(Message::Denied(why)) => self.denials.push(why),
            // What the others show is of no interest here.
            _ => {}
        }
    }
}
