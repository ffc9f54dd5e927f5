//! A client of `coweave.v1` that is just good enough for tests.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use coweave_core::doc::replica::Replica;
use coweave_core::error::Error;
use coweave_core::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, Sequence, SessionKey};
use coweave_core::limits::Limits;
use coweave_core::wire::primitive::Reader;
use coweave_core::wire::v1::{
    EditKind, Hello, Join, Joined, Message, SUBPROTOCOL, VERSION, read_frame,
};

use crate::setup::{Heard, Socket};

/// The name of the text that tests write into.
pub(crate) const TEXT: &str = "text";

/// A first sync may be larger than any update that the relay takes.
pub(crate) fn trusting() -> Limits {
    Limits { update_bytes_max: usize::MAX, ..Limits::default() }
}

pub(crate) struct V1Client {
    pub(crate) socket: Socket,
    pub(crate) replica: Replica,
    inbox: VecDeque<(Channel, Message)>,
    edits: u64,
    durable: EditNumber,
    /// Updates that came while the first sync was under way.
    held: Option<Vec<Bytes>>,
}

impl V1Client {
    /// A socket with the subprotocol, on which nothing was said yet.
    pub(crate) async fn open(address: SocketAddr, client: u32) -> Self {
        Self {
            socket: Socket::open(address, "", Some(SUBPROTOCOL)).await.unwrap(),
            replica: Replica::new(ClientId::from_u32(client)),
            inbox: VecDeque::new(),
            edits: 0,
            durable: EditNumber(0),
            held: None,
        }
    }

    /// A client after the hello.
    pub(crate) async fn connect(address: SocketAddr, client: u32) -> Self {
        let mut this = Self::open(address, client).await;
        let mut session = [0; 16];
        session[..4].copy_from_slice(&client.to_be_bytes());
        let hello = Hello {
            version: VERSION,
            capabilities: 0,
            session: SessionKey(session),
            token: String::new(),
            agent: "test".to_owned(),
        };
        this.send(Channel::CONNECTION, &Message::Hello(hello)).await;
        assert!(matches!(this.next().await, (Channel::CONNECTION, Message::Welcome(_))));
        this
    }

    /// A client that has joined a room under channel 1.
    pub(crate) async fn join(address: SocketAddr, client: u32, room: &str) -> Self {
        let mut this = Self::connect(address, client).await;
        this.enter(Channel(1), room).await;
        this
    }

    /// Joins, and takes the first sync into the replica.
    pub(crate) async fn enter(&mut self, channel: Channel, room: &str) -> Joined {
        self.ask_to_enter(channel, room, None).await;
        let joined = self.wait(|at, message| match message {
            Message::Joined(joined) if at == channel => Some(joined),
            _ => None,
        });
        let joined = joined.await;
        let mut sync = Vec::new();
        self.held = Some(Vec::new());
        while (sync.len() as u64) < joined.sync_bytes {
            let piece = self.wait(|at, message| match message {
                Message::Sync(piece) if at == channel => Some(piece),
                _ => None,
            });
            sync.extend_from_slice(&piece.await);
        }
        let mut reader = Reader::new(&sync);
        while !reader.is_empty() {
            let update = reader.bytes().unwrap();
            self.replica.apply(update, &trusting()).unwrap();
        }
        for update in self.held.take().unwrap() {
            self.replica.apply(&update, &trusting()).unwrap();
        }
        joined
    }

    pub(crate) async fn ask_to_enter(
        &mut self,
        channel: Channel,
        room: &str,
        lineage: Option<Lineage>,
    ) {
        let join = Join {
            room: room.to_owned(),
            client: self.replica.client(),
            lineage,
            epoch: Epoch(0),
            sequence: Sequence(0),
            state_vector: Bytes::from(self.replica.known().encode()),
        };
        self.send(channel, &Message::Join(join)).await;
    }

    pub(crate) async fn send(&mut self, channel: Channel, message: &Message) {
        self.socket.send(message.to_frame(channel)).await;
    }

    /// Writes at the end of the text, and sends it to the room of channel 1.
    pub(crate) async fn write(&mut self, content: &str) -> EditNumber {
        let end = self.replica.text_length(TEXT);
        self.replica.text_insert(TEXT, end, content).unwrap();
        let mut number = None;
        while let Some(update) = self.replica.take_edits() {
            number = Some(self.send_edit(update).await);
        }
        number.unwrap()
    }

    pub(crate) async fn send_edit(&mut self, update: Bytes) -> EditNumber {
        self.edits += 1;
        let number = EditNumber(self.edits);
        let edit = Message::Edit { number, kind: EditKind::Live, update };
        self.send(Channel(1), &edit).await;
        number
    }

    pub(crate) fn text(&self) -> String {
        self.replica.text_string(TEXT)
    }

    /// Waits until the room's updates make this the text.
    pub(crate) async fn wait_for_text(&mut self, text: &str) {
        while self.text() != text {
            self.next().await;
        }
    }

    /// How far its edits are said to be on disk.
    pub(crate) const fn durable(&self) -> EditNumber {
        self.durable
    }

    pub(crate) async fn wait_for_durable(&mut self, number: EditNumber) {
        while self.durable < number {
            self.next().await;
        }
    }

    /// Waits for the end of channel 1 or of the connection, and says why it came.
    pub(crate) async fn wait_for_error(&mut self) -> Error {
        self.wait(|_, message| match message {
            Message::Error(error) | Message::Refused { error, .. } => Some(error),
            _ => None,
        })
        .await
    }

    /// Waits for a message; what comes before it takes its effect.
    pub(crate) async fn wait<T>(
        &mut self,
        mut wanted: impl FnMut(Channel, Message) -> Option<T>,
    ) -> T {
        loop {
            let (channel, message) = self.next().await;
            if let Some(found) = wanted(channel, message) {
                return found;
            }
        }
    }

    /// The next message; updates go into the replica.
    pub(crate) async fn next(&mut self) -> (Channel, Message) {
        match self.try_next().await {
            Ok(message) => message,
            Err(end) => panic!("instead of a message there was {end:?}"),
        }
    }

    /// The next message, or how the connection ended.
    pub(crate) async fn try_next(&mut self) -> Result<(Channel, Message), Heard> {
        while self.inbox.is_empty() {
            match self.socket.next().await {
                Heard::Binary(frame) => self.inbox.extend(read_frame(&frame).unwrap()),
                end => return Err(end),
            }
        }
        let (channel, message) = self.inbox.pop_front().unwrap();
        match &message {
            Message::Update { update, .. } => match &mut self.held {
                Some(held) => held.push(update.clone()),
                None => drop(self.replica.apply(update, &trusting()).unwrap()),
            },
            Message::Ack { durable, .. } => self.durable = self.durable.max(*durable),
            _ => {}
        }
        Ok((channel, message))
    }
}
