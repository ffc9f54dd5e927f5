//! The load: rooms full of clients, what they type, and who got which character when.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use coweave_core::random::Random;

use crate::Outcome;
use crate::dialect::{Dialect, News, Session};
use crate::latency::Latencies;
use crate::net::{ConnId, Handler, Net, Out};
use crate::presence::Presence;
use crate::text::{Book, Document};
use crate::update::{self, CharId, Piece, Typist};

/// The ids of all clients here; as long as the random ones of real clients.
const FIRST_CLIENT: u64 = 1_000_000_000;
/// How long anything may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long deliveries may take after the last key.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// Connections that are opened at the same time when nothing is measured.
const WINDOW: usize = 50;
const PROBLEMS_MAX: usize = 5;

/// All clients of one scenario and their sockets.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) net: Net,
    pub(crate) people: People,
    address: SocketAddr,
    random: Random,
}

/// The clients, apart from their sockets.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) dialect: Dialect,
    pub(crate) clients: Vec<Client>,
    pub(crate) rooms: Vec<Room>,
    authors: Vec<Author>,
    /// Whose connection is whose.
    by_connection: Vec<usize>,
    pub(crate) latencies: Latencies,
    pub(crate) presence: Presence,
    /// Deliveries that have come, and that are due.
    pub(crate) delivered: u64,
    pub(crate) due: u64,
    pub(crate) frames: u64,
    pub(crate) last_delivery: Option<Instant>,
    pub(crate) synced: usize,
    problems: BTreeSet<String>,
}

/// A room and who writes in it.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) clients: Range<usize>,
    authors: Range<usize>,
    has_book: bool,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) state: State,
}

/// What a client knows beside its session.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) conn: Option<ConnId>,
    room: usize,
    author: Option<usize>,
    /// What of each author of the room has arrived; none for clients that are not counted.
    seen: Vec<Seen>,
    pub(crate) is_synced: bool,
    pub(crate) synced_at: Option<Instant>,
    /// Everything that arrived, for those who are asked for their text afterwards.
    pub(crate) kept: Option<Vec<Bytes>>,
}

/// Who types, and when which key was sent.
#[derive(Debug)]
struct Author {
    client: usize,
    typist: Typist,
    inserted_at: Vec<Instant>,
    deleted_at: Vec<Option<Instant>>,
    updates: Vec<Vec<u8>>,
}

/// Which characters of an author came and went at one reader.
#[derive(Clone, Debug, Default)]
struct Seen {
    inserted: Bits,
    deleted: Bits,
}

#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Sets a bit, and says whether that is new.
    fn set(&mut self, at: usize) -> bool {
        let (word, bit) = (at / 64, 1 << (at % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}

/// How rooms are filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rooms: usize,
    pub(crate) clients: usize,
    pub(crate) writers: usize,
    /// How many clients of a room keep what they get, to be asked for their text.
    pub(crate) keepers: usize,
}

/// What came of some typing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Typed {
    pub(crate) updates: u64,
    pub(crate) send_seconds: f64,
    /// From the first key to the last delivery.
    pub(crate) seconds: f64,
}

impl Crowd {
    pub(crate) fn new(dialect: Dialect, address: SocketAddr) -> Outcome<Self> {
        let people = People {
            dialect,
            clients: Vec::new(),
            rooms: Vec::new(),
            authors: Vec::new(),
            by_connection: Vec::new(),
            latencies: Latencies::new(),
            presence: Presence::new(FIRST_CLIENT),
            delivered: 0,
            due: 0,
            frames: 0,
            last_delivery: None,
            synced: 0,
            problems: BTreeSet::new(),
        };
        Ok(Self { net: Net::new()?, people, address, random: Random::from_seed(7) })
    }

    /// Adds rooms; their clients are connected by [`Self::connect`]. With a book, the writers type
    /// in the middle of it.
    pub(crate) fn add_rooms(&mut self, prefix: &str, shape: Shape, book: Option<&Book>) {
        for index in 0..shape.rooms {
            let people = &mut self.people;
            let (room, first) = (people.rooms.len(), people.clients.len());
            let authors = people.authors.len()..people.authors.len() + shape.writers;
            let name = format!("{prefix}-{index}");
            for nth in 0..shape.clients {
                let client = people.clients.len();
                let session = Session::new(&name, FIRST_CLIENT + client as u64);
                if nth < shape.writers {
                    let place = book.and_then(|book| book.places.get(nth).copied());
                    people.authors.push(Author {
                        client,
                        typist: Typist::new(session.client, place),
                        inserted_at: Vec::new(),
                        deleted_at: Vec::new(),
                        updates: Vec::new(),
                    });
                }
                let state = State {
                    conn: None,
                    room,
                    author: (nth < shape.writers).then(|| authors.start + nth),
                    seen: vec![Seen::default(); shape.writers],
                    is_synced: false,
                    synced_at: None,
                    kept: (nth + shape.keepers >= shape.clients).then(Vec::new),
                };
                people.clients.push(Client { session, state });
            }
            let clients = first..people.clients.len();
            people.rooms.push(Room { name, clients, authors, has_book: book.is_some() });
        }
    }

    /// Connects these clients, a window of them at a time, until all are synced.
    pub(crate) fn connect(&mut self, clients: Range<usize>) -> Outcome {
        let deadline = Instant::now() + PATIENCE;
        let before = self.people.synced;
        let target = before + clients.len();
        for (opened, client) in clients.enumerate() {
            self.open(client)?;
            self.until(deadline, "clients are let in", |people| {
                before + opened < people.synced + WINDOW
            })?;
        }
        self.until(deadline, "all clients are synced", |people| people.synced >= target)
    }

    /// Starts to connect one client.
    pub(crate) fn open(&mut self, client: usize) -> Outcome {
        let session = &mut self.people.clients[client].session;
        session.reconnect();
        let (path, subprotocol) = self.people.dialect.address(&session.room);
        let id = self.net.connect(self.address, &path, subprotocol)?;
        self.people.clients[client].state.conn = Some(id);
        self.people.by_connection.resize(id + 1, usize::MAX);
        self.people.by_connection[id] = client;
        Ok(())
    }

    /// Ends the connection of a client without a word.
    pub(crate) fn leave(&mut self, client: usize) {
        let state = &mut self.people.clients[client].state;
        if let Some(id) = state.conn.take() {
            self.net.drop_connection(id);
        }
        if std::mem::take(&mut state.is_synced) {
            self.people.synced -= 1;
        }
    }

    pub(crate) fn turn_before(&mut self, deadline: Instant) -> Outcome {
        self.net.turn(Some(deadline), &mut self.people)?;
        Ok(())
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, duration: Duration) -> Outcome {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.turn_before(end)?;
        }
        Ok(())
    }

    /// Goes on until something is true.
    pub(crate) fn until(
        &mut self,
        deadline: Instant,
        what: &str,
        is_true: impl Fn(&People) -> bool,
    ) -> Outcome {
        while !is_true(&self.people) {
            if Instant::now() >= deadline || self.people.problems.len() >= PROBLEMS_MAX {
                let problems: Vec<_> = self.people.problems.iter().map(String::as_str).collect();
                return Err(format!("it is not true that {what} ({})", problems.join("; ")).into());
            }
            self.turn_before(deadline)?;
        }
        Ok(())
    }

    pub(crate) fn until_patience(
        &mut self,
        what: &str,
        is_true: impl Fn(&People) -> bool,
    ) -> Outcome {
        self.until(Instant::now() + PATIENCE, what, is_true)
    }

    /// One author presses a key.
    pub(crate) fn press_key(&mut self, author: usize) {
        let people = &mut self.people;
        let author = &mut people.authors[author];
        let (bytes, piece) = author.typist.key();
        let Client { session, state } = &mut people.clients[author.client];
        let frame = people.dialect.edit(session, &bytes);
        let now = Instant::now();
        let clock = piece.first.clock as usize;
        if piece.is_deletion {
            author.deleted_at[clock] = Some(now);
        } else {
            author.inserted_at.push(now);
            author.deleted_at.push(None);
        }
        author.updates.push(bytes);
        people.due += people.rooms[state.room].clients.len() as u64 - 1;
        if let Some(id) = state.conn {
            self.net.send(id, &frame);
        }
    }

    /// Types in these rooms at random moments, so many keys a second in all, until everybody has
    /// got everything or the time is up.
    pub(crate) fn type_keys(
        &mut self,
        rooms: Range<usize>,
        rate: f64,
        duration: Duration,
    ) -> Outcome<Typed> {
        let authors = self.authors_of(&rooms);
        let start = Instant::now();
        let mut next = Duration::ZERO;
        let mut updates = 0;
        while next < duration {
            let elapsed = start.elapsed();
            while next <= elapsed && next < duration {
                let author = authors.start + self.random.below(authors.len() as u64) as usize;
                self.press_key(author);
                updates += 1;
                let uniform = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
                next += Duration::from_secs_f64(-(1.0 - uniform).ln() / rate);
            }
            self.turn_before(start + next.min(duration))?;
        }
        let send_seconds = start.elapsed().as_secs_f64();
        let deadline = Instant::now() + DRAIN_LIMIT;
        let is_done = |people: &People| people.is_complete() && people.is_durable();
        while !is_done(&self.people) && Instant::now() < deadline {
            self.turn_before(deadline)?;
        }
        let end = self.people.last_delivery.unwrap_or_else(Instant::now);
        let seconds = end.saturating_duration_since(start).as_secs_f64().max(send_seconds);
        Ok(Typed { updates, send_seconds, seconds })
    }

    pub(crate) fn authors_of(&self, rooms: &Range<usize>) -> Range<usize> {
        let rooms = &self.people.rooms[rooms.clone()];
        let (first, last) = (rooms.first(), rooms.last());
        first.map_or(0, |room| room.authors.start)..last.map_or(0, |room| room.authors.end)
    }

    /// Brings a book into a room, through one client. It stays: some peers forget a room without
    /// members.
    pub(crate) fn bring(&mut self, room: &str, book: &Book) -> Outcome<usize> {
        let client = self.visitor(room, 0)?;
        let dialect = self.people.dialect;
        for update in &book.updates {
            let Client { session, state } = &mut self.people.clients[client];
            let frame = dialect.difference(session, update);
            if let Some(id) = state.conn {
                self.net.send(id, &frame);
            }
        }
        self.until_patience("the document was stored", People::is_durable)?;
        let Client { session, state } = &mut self.people.clients[client];
        if let (Some(frame), Some(id)) = (dialect.ask_again(session), state.conn) {
            state.is_synced = false;
            self.people.synced -= 1;
            self.net.send(id, &frame);
            self.until_patience("the document was taken", |people| {
                people.clients[client].state.is_synced
            })?;
        }
        Ok(client)
    }

    /// Connects one more client to a room, one that is not counted.
    fn visitor(&mut self, room: &str, keepers: usize) -> Outcome<usize> {
        let shape = Shape { rooms: 1, clients: 1, writers: 0, keepers };
        self.add_rooms("visitor", shape, None);
        let client = self.people.clients.len() - 1;
        self.rename(client..client + 1, room);
        self.connect(client..client + 1)?;
        Ok(client)
    }

    /// Sends clients that are not connected yet to a room of this name.
    pub(crate) fn rename(&mut self, clients: Range<usize>, room: &str) {
        for Client { session, .. } in &mut self.people.clients[clients] {
            *session = Session::new(room, session.client);
        }
    }

    /// One client shows its next presence state.
    pub(crate) fn show_presence(&mut self, client: usize) {
        let people = &mut self.people;
        let (clock, json) = people.presence.next_state(client, Instant::now());
        let Client { session, state } = &people.clients[client];
        if let Some(id) = state.conn {
            self.net.send(id, &people.dialect.presence(session, clock, &json));
        }
    }

    /// Whether who comes fresh to a room gets what was typed there.
    pub(crate) fn text_is_there(&mut self, room: usize) -> Outcome<bool> {
        let (name, expected) =
            (self.people.rooms[room].name.clone(), self.people.expected_text(room, None)?);
        Ok(self.fresh_text(&name)? == expected)
    }

    /// The text of a room as somebody sees it who comes fresh.
    pub(crate) fn fresh_text(&mut self, room: &str) -> Outcome<String> {
        let client = self.visitor(room, 1)?;
        self.leave(client);
        self.people.text_of(client)
    }

    /// What is wrong after the typing; nothing when all readers have everything, the texts of the
    /// keepers are equal, and so is that of the server.
    pub(crate) fn check(
        &mut self,
        rooms: Range<usize>,
        book: Option<&Book>,
        has_documents: bool,
    ) -> Outcome<Vec<String>> {
        if !self.people.is_complete() {
            let lost = self.people.due - self.people.delivered;
            self.people.problem(format!("{lost} deliveries did not come"));
        }
        for room in rooms {
            let expected = self.people.expected_text(room, book)?;
            for client in self.people.rooms[room].clients.clone() {
                if self.people.clients[client].state.kept.is_some()
                    && self.people.text_of(client)? != expected
                {
                    self.people.problem("a reader has another text".to_owned());
                }
            }
            if has_documents {
                let name = self.people.rooms[room].name.clone();
                if self.fresh_text(&name)? != expected {
                    self.people.problem("who comes fresh gets another text".to_owned());
                }
            }
        }
        Ok(self.people.problems())
    }
}

impl People {
    pub(crate) fn problem(&mut self, text: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.insert(text);
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.iter().cloned().collect()
    }

    pub(crate) const fn is_complete(&self) -> bool {
        self.delivered >= self.due
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.dialect != Dialect::Coweave
            || self.clients.iter().all(|client| client.session.is_durable())
    }

    /// The text that a client makes of what it got.
    pub(crate) fn text_of(&self, client: usize) -> Outcome<String> {
        let mut document = Document::new();
        for update in self.clients[client].state.kept.iter().flatten() {
            document.apply(update)?;
        }
        // An author is not sent what it wrote itself.
        if let Some(author) = self.clients[client].state.author {
            for update in &self.authors[author].updates {
                document.apply(update)?;
            }
        }
        Ok(document.text())
    }

    fn expected_text(&self, room: usize, book: Option<&Book>) -> Outcome<String> {
        let room = &self.rooms[room];
        let mut document = Document::new();
        let book = book.filter(|_| room.has_book).map(|book| &book.updates);
        let typed = self.authors[room.authors.clone()].iter().flat_map(|author| &author.updates);
        for update in book.into_iter().flatten().chain(typed) {
            document.apply(update)?;
        }
        Ok(document.text())
    }
}

impl Handler for People {
    fn opened(&mut self, id: ConnId, _path: &str, out: &mut Out<'_>) {
        let session = &self.clients[self.by_connection[id]].session;
        for frame in self.dialect.enter(session) {
            out.message(&frame);
        }
    }

    fn message(&mut self, id: ConnId, payload: &Bytes, out: &mut Out<'_>) {
        let now = Instant::now();
        let reader = self.by_connection[id];
        let Client { session, state } = &mut self.clients[reader];
        let room = &self.rooms[state.room];
        let mut asks_for_state = false;
        let mut problem = None;
        self.frames += 1;
        let read = self.dialect.read(session, payload, |news| match news {
            News::AsksForState => asks_for_state = true,
            News::Synced => {
                if !std::mem::replace(&mut state.is_synced, true) {
                    self.synced += 1;
                    state.synced_at = Some(now);
                }
            }
            News::Update(update) => {
                if let Some(kept) = &mut state.kept {
                    kept.push(update.clone());
                }
                if state.seen.is_empty() {
                    return;
                }
                let counted = update::read(&update, |piece| {
                    let Some(delivered) =
                        deliver(&self.authors, room, state, &mut self.latencies, piece, now)
                    else {
                        return;
                    };
                    self.delivered += delivered;
                    self.last_delivery = Some(now);
                });
                if let Err(error) = counted {
                    problem = Some(format!("an update cannot be read: {error}"));
                }
            }
            News::Presence(update) => {
                if let Err(error) = self.presence.take(reader, &update, now) {
                    problem = Some(format!("a presence update cannot be read: {error}"));
                }
            }
            News::Refused(why) => problem = Some(format!("the server refuses: {why}")),
        });
        if let Err(error) = read {
            problem = Some(format!("a frame cannot be read: {error}"));
        }
        if asks_for_state && let Some(answer) = self.dialect.nothing_to_add(session) {
            out.message(&answer);
        }
        if let Some(problem) = problem {
            self.problem(problem);
        }
    }

    fn closed(&mut self, id: ConnId, why: &str) {
        let client = &mut self.clients[self.by_connection[id]];
        client.state.conn = None;
        if std::mem::take(&mut client.state.is_synced) {
            self.synced -= 1;
        }
        self.problem(format!("a connection ended: {why}"));
    }
}

/// Counts what is new of a piece; nothing for what was there before the typing began.
fn deliver(
    authors: &[Author],
    room: &Room,
    state: &mut State,
    latencies: &mut Latencies,
    piece: Piece,
    now: Instant,
) -> Option<u64> {
    let CharId { client, clock } = piece.first;
    let client = client.checked_sub(FIRST_CLIENT)? as usize;
    let nth = client.checked_sub(room.clients.start)?;
    let seen = state.seen.get_mut(nth)?;
    let author = room.authors.start + nth;
    if state.author == Some(author) {
        return None;
    }
    let author = &authors[author];
    let mut delivered = 0;
    for clock in clock..clock + piece.len {
        let clock = clock as usize;
        let (bits, sent_at) = if piece.is_deletion {
            (&mut seen.deleted, author.deleted_at.get(clock).copied().flatten())
        } else {
            (&mut seen.inserted, author.inserted_at.get(clock).copied())
        };
        if let Some(sent_at) = sent_at
            && bits.set(clock)
        {
            latencies.add(now.saturating_duration_since(sent_at));
            delivered += 1;
        }
    }
    Some(delivered)
}
