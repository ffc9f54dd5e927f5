//! A y-websocket client that is just good enough for tests.

use std::net::SocketAddr;

use bytes::Bytes;
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::ids::ClientId;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::y_websocket::{Message, read_frame};

use crate::setup::{Heard, Socket};
use crate::v1_client::{TEXT, trusting};

pub(crate) struct YClient {
    pub(crate) socket: Socket,
    pub(crate) replica: Replica,
    pub(crate) presence: Vec<AwarenessEntry>,
    is_synced: bool,
}

impl YClient {
    /// Opens a room, and plays the handshake to its end.
    pub(crate) async fn join(address: SocketAddr, client: u32, room: &str) -> Self {
        let socket = Socket::open(address, room, None).await.unwrap();
        let replica = Replica::new(ClientId::from_u32(client));
        let mut this = Self { socket, replica, presence: Vec::new(), is_synced: false };
        let state_vector = Bytes::from(this.replica.known().encode());
        this.send(&Message::SyncStep1(state_vector)).await;
        while !this.is_synced {
            this.next().await;
        }
        this
    }

    pub(crate) async fn send(&mut self, message: &Message) {
        self.socket.send(message.to_frame()).await;
    }

    pub(crate) async fn write(&mut self, content: &str) {
        let end = self.replica.text_length(TEXT);
        self.replica.text_insert(TEXT, end, content).unwrap();
        while let Some(update) = self.replica.take_edits() {
            self.send(&Message::Update(update)).await;
        }
    }

    pub(crate) async fn show(&mut self, clock: u64, state: Option<&str>) {
        let (client, state) = (self.replica.client(), state.map(str::to_owned));
        let update = awareness::write(&[AwarenessEntry { client, clock, state }]);
        self.send(&Message::Awareness(update.into())).await;
    }

    pub(crate) async fn wait_for_text(&mut self, text: &str) {
        while self.replica.text_string(TEXT) != text {
            self.next().await;
        }
    }

    /// Waits for a presence state of a client, and gives it.
    pub(crate) async fn wait_for_presence(&mut self, client: u32) -> Option<String> {
        loop {
            let of_client = |entry: &AwarenessEntry| entry.client == ClientId::from_u32(client);
            if let Some(at) = self.presence.iter().position(of_client) {
                return self.presence.remove(at).state;
            }
            self.next().await;
        }
    }

    async fn next(&mut self) {
        let message = match self.socket.next().await {
            Heard::Binary(frame) => read_frame(&frame).unwrap().unwrap(),
            other => panic!("instead of a message there was {other:?}"),
        };
        let limits = trusting();
        match message {
            Message::SyncStep1(state_vector) => {
                let known = Known::decode(&state_vector, limits.state_vector_clients_max).unwrap();
                let difference = self.replica.difference(&known);
                self.send(&Message::SyncStep2(difference.into())).await;
            }
            Message::SyncStep2(update) => {
                self.replica.apply(&update, &limits).unwrap();
                self.is_synced = true;
            }
            Message::Update(update) => {
                self.replica.apply(&update, &limits).unwrap();
            }
            Message::Awareness(update) => {
                self.presence.extend(awareness::read(&update, &limits).unwrap());
            }
            other => panic!("the relay sent {other:?}"),
        }
    }
}
