//! A session with one room, over a device's store that does what a test wants.

use std::collections::VecDeque;

use bytes::Bytes;
use coweave_core::client::{
    Client, Event, Input, Meta, Output, Record, RoomKey, Saved, Settings, Storage, StoredCopy,
    Write,
};
use coweave_core::doc::replica::Replica;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{
    Channel, ClientId, EditNumber, Epoch, Lineage, RoomName, Sequence, SessionKey,
};
use coweave_core::limits::Limits;
use coweave_core::time::Time;
use coweave_core::wire::primitive::write_bytes;
use coweave_core::wire::v1::{Joined, Message, Role, Welcome, read_frame};

pub(crate) const TEXT: &str = "text";
pub(crate) const LINEAGE: Lineage = Lineage([1; 16]);

/// What a device keeps of one room, for one session at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) meta: Option<Meta>,
    pub(crate) snapshot: Option<Bytes>,
    pub(crate) records: Vec<Record>,
}

impl Store {
    /// Every load numbers anew.
    pub(crate) fn load(&mut self) -> StoredCopy {
        for (index, record) in (1..).zip(&mut self.records) {
            record.index = index;
        }
        StoredCopy {
            meta: self.meta,
            snapshot: self.snapshot.clone(),
            records: self.records.clone(),
            damage: None,
        }
    }

    pub(crate) fn write(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Append(record) => self.records.push(record.clone()),
                Write::Settle { indexes } => {
                    for record in &mut self.records {
                        record.is_pending &= !indexes.contains(&record.index);
                    }
                }
                Write::SetMeta(meta) => self.meta = Some(*meta),
                Write::Fold { through, except, snapshot } => {
                    if except.contains(&0) {
                        let update = self.snapshot.take().unwrap();
                        self.records.insert(0, Record { index: 0, is_pending: false, update });
                    }
                    self.records.retain(|record| {
                        record.index > *through
                            || record.is_pending
                            || except.contains(&record.index)
                    });
                    self.snapshot = Some(snapshot.clone());
                }
                other => panic!("unknown write {other:?}"),
            }
        }
    }

    /// The document of whoever finds only this.
    pub(crate) fn content(&mut self) -> String {
        let mut page = Page::new(7);
        page.answer_load(Ok(self.load()));
        page.text()
    }
}

/// One session with one room.
pub(crate) struct Page {
    pub(crate) client: Client,
    pub(crate) key: RoomKey,
    pub(crate) now: Time,
    pub(crate) wake: Option<Time>,
    /// Reads that were not answered yet.
    pub(crate) loads: usize,
    pub(crate) writes: VecDeque<(u64, Vec<Write>)>,
    pub(crate) frames: Vec<Bytes>,
    pub(crate) events: Vec<Event>,
    /// Why something was to be set aside, and whether only room was to be made.
    pub(crate) asides: Vec<(Code, bool)>,
}

impl Page {
    pub(crate) fn new(client: u32) -> Self {
        let settings = Settings {
            session: SessionKey([1; 16]),
            agent: "test".to_owned(),
            limits: Limits::default(),
            has_device_store: true,
        };
        let mut machine = Client::new(settings, u64::from(client), Time::ZERO);
        let key = machine.next_key();
        let (writes, frames, events, asides) = (VecDeque::new(), vec![], vec![], vec![]);
        let (now, wake, loads) = (Time::ZERO, None, 0);
        let mut this =
            Self { client: machine, key, now, wake, loads, writes, frames, events, asides };
        let name = RoomName::parse("room").unwrap();
        this.input(Input::Open { key, name, client: ClientId::from_u32(client) });
        this
    }

    pub(crate) fn with(client: u32, store: &mut Store) -> Self {
        let mut this = Self::new(client);
        this.answer_load(Ok(store.load()));
        this
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.client.handle(input, self.now);
        for _ in 0..10_000 {
            match self.client.poll(self.now) {
                Output::Idle { wake } => return self.wake = wake,
                Output::Load { .. } => self.loads += 1,
                Output::SetAside { copy, is_dropped, .. } => {
                    self.loads += 1;
                    self.asides.push((copy.error.code, is_dropped));
                }
                Output::Write { ticket, writes, .. } => self.writes.push_back((ticket, writes)),
                Output::Frame(frame) => self.frames.push(frame),
                Output::Event { event, .. } => self.events.push(event),
                _ => {}
            }
        }
        panic!("the session never rests");
    }

    pub(crate) fn answer_load(&mut self, copy: Result<StoredCopy, Error>) {
        self.loads = self.loads.checked_sub(1).expect("nothing was asked for");
        self.input(Input::Loaded { key: self.key, copy });
    }

    /// The store does what it was asked for.
    pub(crate) fn write_to(&mut self, store: &mut Store) {
        while let Some((ticket, writes)) = self.writes.pop_front() {
            store.write(&writes);
            self.input(Input::Written { key: self.key, ticket });
        }
    }

    pub(crate) fn fail(&mut self, why: &str) {
        let error = Error::new(Code::DeviceUnavailable, why);
        self.input(Input::WriteFailed { key: self.key, error });
    }

    /// Lets the time pass until the store is read again.
    pub(crate) fn wait_for_load(&mut self) {
        for _ in 0..100 {
            if self.loads > 0 {
                return;
            }
            self.now = self.wake.expect("something is planned").max(self.now);
            self.input(Input::Tick);
        }
        panic!("the store is not tried again");
    }

    pub(crate) fn type_in(&mut self, content: &str) {
        let replica = self.client.room_mut(self.key).unwrap().replica_mut();
        let end = replica.text_length(TEXT);
        replica.text_insert(TEXT, end, content).unwrap();
        self.input(Input::Tick);
    }

    pub(crate) fn text(&mut self) -> String {
        self.client.room_mut(self.key).unwrap().replica_mut().text_string(TEXT)
    }

    pub(crate) fn storage(&self) -> &Storage {
        self.client.room(self.key).unwrap().storage()
    }

    pub(crate) fn saved(&self) -> Saved {
        self.client.room(self.key).unwrap().saved()
    }

    pub(crate) fn hear(&mut self, channel: Channel, message: &Message) {
        self.input(Input::SocketFrame(message.to_frame(channel).into()));
    }

    /// The relay lets the session in, and sends what it has.
    pub(crate) fn sync(&mut self, sequence: u64, content: Option<&Bytes>) {
        self.input(Input::SocketOpened { token: String::new() });
        let welcome = Welcome {
            version: 1,
            capabilities: 0,
            frame_bytes_max: 1 << 20,
            update_bytes_max: 1 << 20,
            idle_timeout_ms: 60_000,
            agent: "test".to_owned(),
            token_life_ms: 0,
        };
        self.hear(Channel::CONNECTION, &Message::Welcome(welcome));
        self.enter(Channel(1), sequence, content);
    }

    /// It lets the session in that asks under this channel.
    pub(crate) fn enter(&mut self, channel: Channel, sequence: u64, content: Option<&Bytes>) {
        let mut sync = Vec::new();
        let mut relay = Replica::new(ClientId::from_u32(99));
        if let Some(content) = content {
            relay.apply(content, &Limits::default()).unwrap();
            write_bytes(&mut sync, content);
        }
        let joined = Joined {
            lineage: LINEAGE,
            epoch: Epoch(1),
            sequence: Sequence(sequence),
            sync_bytes: sync.len() as u64,
            state_vector: relay.known().encode().into(),
            role: Role::Editor,
        };
        self.hear(channel, &Message::Joined(joined));
        if !sync.is_empty() {
            self.hear(channel, &Message::Sync(sync.into()));
        }
    }

    pub(crate) fn acknowledge(&mut self, number: u64) {
        let number = EditNumber(number);
        let message =
            Message::Ack { accepted: number, durable: number, sequence: Sequence(number.0) };
        self.hear(Channel(1), &message);
    }

    /// What reached the relay, in a document of its own.
    pub(crate) fn sent(&mut self) -> String {
        let mut relay = Replica::new(ClientId::from_u32(99));
        for frame in std::mem::take(&mut self.frames) {
            for (_, message) in read_frame(&frame).unwrap() {
                if let Message::Edit { update, .. } = message {
                    relay.apply(&update, &Limits::default()).unwrap();
                }
            }
        }
        relay.text_string(TEXT)
    }
}

pub(crate) fn is_lost(storage: &Storage) -> bool {
    matches!(storage, Storage::Lost { .. })
}

/// What somebody else wrote into an empty document.
pub(crate) fn written_by(client: u32, content: &str) -> Bytes {
    let mut replica = Replica::new(ClientId::from_u32(client));
    replica.text_insert(TEXT, 0, content).unwrap();
    replica.state().into()
}
