//! The three protocols that clients of the compared servers speak, as far as the load needs them.

use bytes::Bytes;
use coweave_core::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, Sequence, SessionKey};
use coweave_core::wire::primitive::{ReadError, Reader, write_bytes, write_string, write_var};
use coweave_core::wire::{v1, y_websocket};

/// The room of a connection to our relay.
const CHANNEL: Channel = Channel(1);
/// What every dialect of the Yjs family calls an update without content.
pub(crate) const EMPTY_UPDATE: &[u8] = &[0, 0];
const EMPTY_STATE_VECTOR: &[u8] = &[0];

mod hocuspocus {
    pub(super) const SYNC: u64 = 0;
    pub(super) const AWARENESS: u64 = 1;
    pub(super) const AUTH: u64 = 2;
    pub(super) const CLOSE: u64 = 7;
    pub(super) const TOKEN: u64 = 0;
    pub(super) const DENIED: u64 = 1;
    pub(super) const STEP_1: u64 = 0;
    pub(super) const STEP_2: u64 = 1;
    pub(super) const UPDATE: u64 = 2;
}

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    YWebsocket,
    Hocuspocus,
    Coweave,
}

/// What a client of a room remembers, also from one connection to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) room: String,
    pub(crate) client: u64,
    edits: u64,
    durable: u64,
    lineage: Option<Lineage>,
    epoch: u64,
    sequence: u64,
    /// What the copy of this client has, encoded; empty for nothing.
    pub(crate) state_vector: Vec<u8>,
    /// The first sync of `coweave.v1`, as far as it has come.
    sync: Vec<u8>,
    sync_bytes: Option<u64>,
}

/// What a frame from the server says.
#[derive(Debug)]
pub(crate) enum News {
    /// The server wants to know what this client has.
    AsksForState,
    Update(Bytes),
    /// The first sync is complete; updates that belong to it came before.
    Synced,
    /// An awareness update.
    Presence(Bytes),
    Refused(String),
}

impl Session {
    pub(crate) fn new(room: &str, client: u64) -> Self {
        Self { room: room.to_owned(), client, ..Self::default() }
    }

    /// Whether everything that was sent is on the server's disk, where a server says so.
    pub(crate) const fn is_durable(&self) -> bool {
        self.durable >= self.edits
    }

    /// Forgets what belongs to one connection.
    pub(crate) fn reconnect(&mut self) {
        (self.edits, self.durable) = (0, 0);
        self.sync.clear();
        self.sync_bytes = None;
    }
}

impl Dialect {
    /// The path and the subprotocol of a connection to a room.
    pub(crate) fn address(self, room: &str) -> (String, Option<&'static str>) {
        match self {
            Self::YWebsocket => (format!("/{room}"), None),
            Self::Hocuspocus => ("/".to_owned(), None),
            Self::Coweave => ("/".to_owned(), Some(v1::SUBPROTOCOL)),
        }
    }

    /// The frames that enter the room.
    pub(crate) fn enter(self, session: &Session) -> Vec<Vec<u8>> {
        let state_vector = if session.state_vector.is_empty() {
            Bytes::from_static(EMPTY_STATE_VECTOR)
        } else {
            Bytes::copy_from_slice(&session.state_vector)
        };
        match self {
            Self::YWebsocket => vec![y_websocket::Message::SyncStep1(state_vector).to_frame()],
            Self::Hocuspocus => {
                let mut token = hocuspocus_frame(session, hocuspocus::AUTH);
                write_var(&mut token, hocuspocus::TOKEN);
                write_string(&mut token, "");
                write_string(&mut token, "4.8.0");
                vec![token, hocuspocus_sync(session, hocuspocus::STEP_1, &state_vector)]
            }
            Self::Coweave => {
                let mut key = [0; 16];
                key[..8].copy_from_slice(&session.client.to_le_bytes());
                let hello = v1::Message::Hello(v1::Hello {
                    version: v1::VERSION,
                    capabilities: 0,
                    session: SessionKey(key),
                    token: String::new(),
                    agent: "coweave-bench".to_owned(),
                });
                let join = v1::Message::Join(v1::Join {
                    room: session.room.clone(),
                    client: ClientId::new(session.client).unwrap_or(ClientId::from_u32(0)),
                    lineage: session.lineage,
                    epoch: Epoch(session.epoch),
                    sequence: Sequence(session.sequence),
                    state_vector,
                });
                let mut frame = hello.to_frame(Channel::CONNECTION);
                join.write(CHANNEL, &mut frame);
                vec![frame]
            }
        }
    }

    /// The frame with an own edit.
    pub(crate) fn edit(self, session: &mut Session, update: &[u8]) -> Vec<u8> {
        self.update(session, update, v1::EditKind::Live)
    }

    /// The frame with an update of others that the server lacks.
    pub(crate) fn difference(self, session: &mut Session, update: &[u8]) -> Vec<u8> {
        self.update(session, update, v1::EditKind::Difference)
    }

    fn update(self, session: &mut Session, update: &[u8], kind: v1::EditKind) -> Vec<u8> {
        session.edits += 1;
        match self {
            Self::YWebsocket => {
                // The peers make no difference; our relay lets others' edits pass as an answer only.
                let update = Bytes::copy_from_slice(update);
                match kind {
                    v1::EditKind::Live => y_websocket::Message::Update(update).to_frame(),
                    v1::EditKind::Difference => y_websocket::Message::SyncStep2(update).to_frame(),
                }
            }
            Self::Hocuspocus => hocuspocus_sync(session, hocuspocus::UPDATE, update),
            Self::Coweave => {
                let number = EditNumber(session.edits);
                let update = Bytes::copy_from_slice(update);
                v1::Message::Edit { number, kind, update }.to_frame(CHANNEL)
            }
        }
    }

    /// The frame that asks for everything once more; the answer is [`News::Synced`].
    pub(crate) fn ask_again(self, session: &Session) -> Option<Vec<u8>> {
        match self {
            Self::Coweave => None,
            Self::YWebsocket | Self::Hocuspocus => self.enter(session).pop(),
        }
    }

    /// The answer to [`News::AsksForState`] of a client that has nothing to add.
    pub(crate) fn nothing_to_add(self, session: &Session) -> Option<Vec<u8>> {
        let empty = Bytes::from_static(EMPTY_UPDATE);
        match self {
            Self::YWebsocket => Some(y_websocket::Message::SyncStep2(empty).to_frame()),
            Self::Hocuspocus => Some(hocuspocus_sync(session, hocuspocus::STEP_2, &empty)),
            Self::Coweave => None,
        }
    }

    /// The frame with a presence state.
    pub(crate) fn presence(self, session: &Session, clock: u64, json: &str) -> Vec<u8> {
        if self == Self::Coweave {
            return v1::Message::SetPresence(Some(json.to_owned())).to_frame(CHANNEL);
        }
        let mut update = vec![1];
        write_var(&mut update, session.client);
        write_var(&mut update, clock);
        write_string(&mut update, json);
        if self == Self::YWebsocket {
            return y_websocket::Message::Awareness(update.into()).to_frame();
        }
        let mut frame = hocuspocus_frame(session, hocuspocus::AWARENESS);
        write_bytes(&mut frame, &update);
        frame
    }

    /// Calls back for everything that a frame from the server says.
    pub(crate) fn read(
        self,
        session: &mut Session,
        frame: &Bytes,
        mut news: impl FnMut(News),
    ) -> Result<(), ReadError> {
        match self {
            Self::YWebsocket => {
                let message = y_websocket::read_frame(frame)?;
                match message {
                    Some(y_websocket::Message::SyncStep1(_)) => news(News::AsksForState),
                    Some(y_websocket::Message::SyncStep2(update)) => {
                        news(News::Update(update));
                        news(News::Synced);
                    }
                    Some(y_websocket::Message::Update(update)) => news(News::Update(update)),
                    Some(y_websocket::Message::Awareness(update)) => news(News::Presence(update)),
                    Some(y_websocket::Message::Denied(why)) => news(News::Refused(why)),
                    Some(_) | None => {}
                }
                Ok(())
            }
            Self::Hocuspocus => read_hocuspocus(frame, news),
            Self::Coweave => {
                for (_, message) in v1::read_frame(frame)? {
                    read_coweave(session, message, &mut news)?;
                }
                Ok(())
            }
        }
    }
}

fn hocuspocus_frame(session: &Session, kind: u64) -> Vec<u8> {
    let mut frame = Vec::new();
    write_string(&mut frame, &session.room);
    write_var(&mut frame, kind);
    frame
}

fn hocuspocus_sync(session: &Session, step: u64, body: &[u8]) -> Vec<u8> {
    let mut frame = hocuspocus_frame(session, hocuspocus::SYNC);
    write_var(&mut frame, step);
    write_bytes(&mut frame, body);
    frame
}

fn read_hocuspocus(frame: &Bytes, mut news: impl FnMut(News)) -> Result<(), ReadError> {
    let mut reader = Reader::new(frame);
    reader.bytes()?;
    match reader.var()? {
        hocuspocus::SYNC => match reader.var()? {
            hocuspocus::STEP_1 => news(News::AsksForState),
            hocuspocus::STEP_2 => {
                news(News::Update(frame.slice_ref(reader.bytes()?)));
                news(News::Synced);
            }
            hocuspocus::UPDATE => news(News::Update(frame.slice_ref(reader.bytes()?))),
            _ => {}
        },
        hocuspocus::AWARENESS => news(News::Presence(frame.slice_ref(reader.bytes()?))),
        hocuspocus::AUTH if reader.var()? == hocuspocus::DENIED => {
            news(News::Refused("permission denied".to_owned()));
        }
        hocuspocus::CLOSE => news(News::Refused("the server detached the document".to_owned())),
        _ => {}
    }
    Ok(())
}

fn read_coweave(
    session: &mut Session,
    message: v1::Message,
    news: &mut impl FnMut(News),
) -> Result<(), ReadError> {
    match message {
        v1::Message::Joined(joined) => {
            session.lineage = Some(joined.lineage);
            session.epoch = joined.epoch.0;
            session.sequence = joined.sequence.0;
            session.sync_bytes = Some(joined.sync_bytes);
        }
        v1::Message::Sync(piece) => session.sync.extend_from_slice(&piece),
        v1::Message::Update { sequence, update } => {
            session.sequence = sequence.0;
            news(News::Update(update));
        }
        v1::Message::Ack { durable, sequence, .. } => {
            session.durable = durable.0;
            session.sequence = session.sequence.max(sequence.0);
        }
        v1::Message::Presence(update) => news(News::Presence(update)),
        v1::Message::Refused { error, .. } | v1::Message::Error(error) => {
            news(News::Refused(error.to_string()));
        }
        v1::Message::Durability { degraded: Some(error) } => news(News::Refused(error.to_string())),
        _ => {}
    }
    if session.sync_bytes.is_some_and(|bytes| session.sync.len() as u64 >= bytes) {
        session.sync_bytes = None;
        let stream = Bytes::from(std::mem::take(&mut session.sync));
        let mut reader = Reader::new(&stream);
        while !reader.is_empty() {
            news(News::Update(stream.slice_ref(reader.bytes()?)));
        }
        news(News::Synced);
    }
    Ok(())
}
