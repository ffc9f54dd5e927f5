//! What reads bytes of a peer, with inputs for it.

use std::cell::Cell;

use bytes::Bytes as Frame;
use coweave_core::doc::deletions::Deletions;
use coweave_core::doc::digest::digest;
use coweave_core::doc::equivocation::contradiction;
use coweave_core::doc::guard::{Mode, Summary, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::nesting::Nesting;
use coweave_core::doc::pieces::pieces;
use coweave_core::doc::replica::Replica;
use coweave_core::doc::snapshot::Snapshot;
use coweave_core::doc::splice;
use coweave_core::doc::version2::to_version_1;
use coweave_core::error::Error;
use coweave_core::ids::{Channel, ClientId, EditNumber, Sequence};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::wire::v1::{self, EditKind};
use coweave_core::wire::{awareness, y_websocket};
use yrs::Update;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;

use crate::bytes::{Bytes, hex};
use crate::documents::{Alphabet, below, loaded, view};
use crate::inputs::{Class, Seeds};
use crate::large::large_update;
use crate::measure::{measured, timed};
use crate::reading;
use crate::replicas::use_replica;
use crate::session;

/// What an input is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Update,
    /// An update of up to a hundred kilobytes, which is not given to yrs: it would take too long.
    LargeUpdate,
    YWebsocket,
    V1,
    StateVector,
    Awareness,
    /// An update in version 2, which an app brings.
    Version2,
    /// A snapshot, which an app brings as well.
    Snapshot,
    /// The state that a past one is cut out of.
    Past,
    /// A message of another tab.
    Tab,
    /// A row of what the device has of a room.
    Stored,
}

/// Everything that the inputs are made of and run against.
pub(crate) struct Bench {
    updates: Seeds,
    y_websocket: Seeds,
    v1: Seeds,
    state_vectors: Seeds,
    awareness: Seeds,
    version2: Seeds,
    snapshots: Seeds,
    tabs: Seeds,
    alphabet: Alphabet,
    limits: Limits,
    /// How often a squeezed document was compared with the merged one.
    pub(crate) compared: Cell<u64>,
    /// How often it was another one: the inputs named neighbors that no editor names together, and
    /// such documents depend on where structs are split.
    pub(crate) contradictory: Cell<u64>,
}

impl Bench {
    pub(crate) fn all() -> [Self; 2] {
        [Alphabet::Basic, Alphabet::Astral].map(Self::new)
    }

    fn new(alphabet: Alphabet) -> Self {
        let updates = Seeds::new(alphabet);
        let of = |good: Vec<Vec<u8>>| Seeds {
            base: updates.base.clone(),
            known: updates.known.clone(),
            updates: good.into_iter().filter(|bytes| !bytes.is_empty()).collect(),
        };
        let state_vectors = updates
            .updates
            .iter()
            .chain([&updates.base])
            .map(|update| splice::state_vector(update).expect("an honest update").encode());
        let version2 = updates
            .updates
            .iter()
            .map(|update| Update::decode_v1(update).expect("an honest update").encode_v2());
        let client = ClientId::from_u32(5);
        let snapshots = updates.updates.iter().chain([&updates.base]).filter_map(|update| {
            let mut replica = Replica::new(client);
            replica.apply(update, &Limits::default()).ok()?;
            Some(replica.snapshot().ok()?.encode())
        });
        let states = ["{\"user\":{\"name\":\"Ada 🙂\"},\"n\":[1,-2.5e3]}", "null", "\"x\"", "{}"];
        let entry = |client: u64, clock: u64| {
            let state = states[(client % 4) as usize];
            Bytes::default().var(client).var(clock).string(state).0
        };
        let awareness = (0..8).map(|count| {
            let entries = (0..count).map(|at| entry(at * 77_777, at * 1_000));
            Bytes::default().var(count).raw(&entries.collect::<Vec<_>>().concat()).0
        });
        let vectors = |json| {
            let vectors: serde_json::Value = serde_json::from_str(json).expect("vectors");
            let all = vectors.as_array().expect("a list").iter();
            all.filter_map(|vector| Some(hex(vector["hex"].as_str()?))).collect()
        };
        Self {
            y_websocket: of(vectors(include_str!("../../../tests/vectors/y_websocket.json"))),
            v1: of(vectors(include_str!("../../../tests/vectors/v1.json"))),
            state_vectors: of(state_vectors.collect()),
            awareness: of(awareness.collect()),
            version2: of(version2.collect()),
            snapshots: of(snapshots.collect()),
            tabs: of(session::messages(&updates)),
            updates,
            alphabet,
            limits: Limits::default(),
            compared: Cell::new(0),
            contradictory: Cell::new(0),
        }
    }

    pub(crate) fn input(&self, target: Target, class: Class, random: &mut Random) -> Vec<u8> {
        let seeds = match target {
            Target::Update | Target::LargeUpdate | Target::Past | Target::Stored => &self.updates,
            Target::Tab => &self.tabs,
            Target::YWebsocket => &self.y_websocket,
            Target::V1 => &self.v1,
            Target::StateVector => &self.state_vectors,
            Target::Awareness => &self.awareness,
            Target::Version2 => &self.version2,
            Target::Snapshot => &self.snapshots,
        };
        match (target, class) {
            (Target::LargeUpdate, _) => large_update(class, random),
            (Target::Update, _) | (_, Class::Random | Class::Truncated) => {
                seeds.input(class, random)
            }
            (_, Class::Grammar) => self.written(target, random),
            _ => seeds.input(class, random),
        }
    }

    /// Bytes of the right form with hostile values inside.
    fn written(&self, target: Target, random: &mut Random) -> Vec<u8> {
        let any = [Class::BitFlips, Class::Varints, Class::Spliced, Class::Grammar];
        let class = any[below(random, any.len())];
        match target {
            Target::Update | Target::LargeUpdate | Target::Past | Target::Stored => {
                self.updates.input(Class::Grammar, random)
            }
            // One damage upon the other.
            Target::Version2 | Target::Snapshot | Target::Tab => {
                let class = [Class::BitFlips, Class::Varints, Class::Spliced][below(random, 3)];
                let mut input = self.input(target, class, random);
                for _ in 0..below(random, 4).min(input.len()) {
                    let at = below(random, input.len());
                    input[at] = random.next_u64() as u8;
                }
                input
            }
            Target::YWebsocket => match random.below(4) {
                0 => {
                    let inner = self.input(Target::StateVector, class, random);
                    y_websocket::Message::SyncStep1(inner.into()).to_frame()
                }
                1 => {
                    let inner = self.input(Target::Awareness, class, random);
                    y_websocket::Message::Awareness(inner.into()).to_frame()
                }
                _ => {
                    let inner = self.updates.input(class, random);
                    y_websocket::Message::Update(inner.into()).to_frame()
                }
            },
            Target::V1 => {
                let mut frame = Vec::new();
                for _ in 0..1 + random.below(4) {
                    let update = Frame::from(self.updates.input(class, random));
                    let message = match random.below(4) {
                        0 => v1::Message::Edit {
                            number: EditNumber(random.next_u64() >> 11),
                            kind: EditKind::Live,
                            update,
                        },
                        1 => {
                            let sequence = Sequence(random.next_u64() >> 11);
                            v1::Message::Update { sequence, update }
                        }
                        2 => v1::Message::Sync(update),
                        _ => {
                            let inner = self.input(Target::Awareness, class, random);
                            v1::Message::Presence(inner.into())
                        }
                    };
                    message.write(Channel(random.next_u64() as u32), &mut frame);
                }
                frame
            }
            Target::StateVector => {
                let count = random.below(6);
                (0..count)
                    .fold(Bytes::default().var(count), |bytes, _| {
                        let client = random.next_u64() >> (11 + random.below(50));
                        bytes.var(client).var(random.next_u64() >> (31 + random.below(33)))
                    })
                    .0
            }
            Target::Awareness => {
                let count = random.below(5);
                (0..count)
                    .fold(Bytes::default().var(count), |bytes, _| {
                        let client = random.next_u64() >> (11 + random.below(50));
                        let clock = random.next_u64() >> (30 + random.below(34));
                        let state = ["null", "{\"a\":", "[[[[]]]]", "1e999", "{}", "\"\\ud800\""];
                        bytes.var(client).var(clock).string(state[below(random, state.len())])
                    })
                    .0
            }
        }
    }

    /// Whether an input is read as what it is for.
    pub(crate) fn is_taken(&self, target: Target, input: &[u8]) -> bool {
        let frame = || Frame::copy_from_slice(input);
        match target {
            Target::Update => self.guard(input, &self.updates.known, Mode::State).is_ok(),
            Target::LargeUpdate => self.guard(input, &Known::new(), Mode::State).is_ok(),
            Target::YWebsocket => y_websocket::read_frame(&frame()).is_ok(),
            Target::V1 => v1::read_frame(&frame()).is_ok(),
            Target::StateVector => Known::decode(input, 100_000).is_ok(),
            Target::Awareness => awareness::read(input, &self.limits).is_ok(),
            Target::Version2 => to_version_1(input, &self.limits).is_ok(),
            Target::Snapshot => Snapshot::decode(input, &self.limits).is_ok(),
            Target::Past => self.past(input, &mut Random::from_seed(1)),
            Target::Tab => session::hear(&self.updates, input, &mut Random::from_seed(1)),
            Target::Stored => session::load(&self.updates, input, &mut Random::from_seed(1)),
        }
    }

    /// Panics when something is wrong.
    pub(crate) fn run(&self, target: Target, input: &[u8], random: &mut Random) {
        match target {
            Target::Update => self.update(input, random),
            Target::LargeUpdate => self.large_update(input, random),
            Target::YWebsocket => self.y_websocket(input),
            Target::V1 => self.v1(input),
            Target::StateVector => self.state_vector(input),
            Target::Awareness => self.awareness(input),
            Target::Version2 => self.version2(input),
            Target::Snapshot => self.snapshot(input, random),
            Target::Past => drop(self.past(input, random)),
            Target::Tab => drop(session::hear(&self.updates, input, random)),
            Target::Stored => drop(session::load(&self.updates, input, random)),
        }
    }

    fn guard(&self, update: &[u8], known: &Known, mode: Mode) -> Result<Summary, Error> {
        let is_foreign = |client: ClientId| mode == Mode::Live && client.get() < 3;
        check(update, known, mode, &is_foreign, &self.limits)
    }

    fn update(&self, input: &[u8], random: &mut Random) {
        let Seeds { base, known, .. } = &self.updates;
        let len = input.len();
        let live = measured("the guard, live", len, || self.guard(input, known, Mode::Live));
        let state = measured("the guard", len, || self.guard(input, known, Mode::State));
        let strict = |_: ClientId| true;
        measured("the guard, all foreign", len, || {
            check(input, known, Mode::State, &strict, &self.limits).is_ok()
        });
        assert!(live.is_err() || state.is_ok(), "only live passes");
        self.splices(input, random);
        let Ok(summary) = state else { return };
        let mut all = known.clone();
        all.advance(&summary);
        self.meaning(base, input, &all, random);
        let used = timed("a replica", || {
            use_replica(&self.updates, input, &all, &mut Random::from_seed(len as u64))
        });
        used.expect("a replica takes it");
    }

    fn large_update(&self, input: &[u8], random: &mut Random) {
        let nothing = Known::new();
        let passed =
            measured("the guard", input.len(), || self.guard(input, &nothing, Mode::State));
        self.splices(input, random);
        let Ok(summary) = passed else { return };
        let mut all = Known::new();
        all.advance(&summary);
        let meaning = digest(&[input]);
        let squeezed = splice::squeeze(&[input]).expect("it passed");
        assert_eq!(digest(&[&squeezed]), meaning, "squeezed");
        let cut = pieces(&squeezed, &nothing, 10_000).expect("it passed");
        assert_eq!(digest(&cut), meaning, "in pieces");
        assert_eq!(contradiction(input, &all, &mut [&squeezed[..]].into_iter()), Ok(None));
    }

    /// None of these may fail worse than with an error, whatever they are given.
    fn splices(&self, input: &[u8], random: &mut Random) {
        let Seeds { base, known, updates } = &self.updates;
        let other = &updates[below(random, updates.len())];
        let nothing = Known::new();
        let len = input.len();
        let logs = [vec![input], vec![base, input], vec![base, input, other], vec![input, input]];
        for log in &logs {
            let len = log.iter().map(|update| update.len()).sum();
            measured("merge", len, || splice::merge(log).is_ok());
            measured("squeeze", len, || splice::squeeze(log).is_ok());
            measured("digest", len, || digest(log).is_ok());
            measured("nesting", len, || {
                let mut nesting = Nesting::default();
                log.iter().all(|update| nesting.add(update).is_ok())
            });
            measured("contradiction", len * 2, || {
                contradiction(input, known, &mut log.iter().copied()).is_ok()
            });
        }
        for known in [known, &nothing] {
            measured("difference", len, || splice::difference(input, known).is_ok());
            for bytes_max in [0, len / 2, len] {
                measured("pieces", len, || pieces(input, known, bytes_max).is_ok());
            }
        }
        measured("state vector", len, || splice::state_vector(input).is_ok());
        measured("deletions", len, || Deletions::of(input).is_ok());
    }

    /// What passed the guard means the same in every form.
    fn meaning(&self, base: &[u8], input: &[u8], all: &Known, random: &mut Random) {
        let known = &self.updates.known;
        let nothing = Known::new();
        let passes = |update: &[u8], known: &Known| self.guard(update, known, Mode::State);
        let merged = splice::merge(&[base, input]).expect("it passed");
        let squeezed = splice::squeeze(&[base, input]).expect("it passed");
        let meaning = digest(&[base, input]).expect("it passed");
        for whole in [&merged, &squeezed] {
            passes(whole, &nothing).expect("merged, it passes");
            assert_eq!(digest(&[whole]), Ok(meaning), "merged");
            assert_eq!(splice::state_vector(whole).as_ref(), Ok(all), "merged");
        }
        let difference = splice::difference(input, known).expect("it passed");
        let found = contradiction(&difference, all, &mut [base, &difference].into_iter());
        assert_eq!(found, Ok(None), "it contradicts itself");
        let cuts = [(&merged[..], &nothing, &merged), (input, known, &difference)];
        for (whole, known, difference) in cuts {
            let mut reached = known.clone();
            let cut = pieces(whole, known, below(random, whole.len())).expect("it passed");
            for piece in &cut {
                let summary = passes(piece, &reached).expect("a piece passes");
                reached.advance(&summary);
            }
            assert_eq!(&reached, all, "in pieces");
            assert_eq!(digest(&cut), digest(&[difference]), "in pieces");
        }
        // What is read of the squeezed document is compared where yrs can be trusted to end.
        if self.alphabet == Alphabet::Basic && random.chance(20) {
            let view = |update: &[u8]| loaded(&[update]).map(|doc| view(&doc, true));
            if let (Ok(seen), Ok(seen_squeezed)) = (view(&merged), view(&squeezed)) {
                self.compared.set(self.compared.get() + 1);
                self.contradictory.set(self.contradictory.get() + u64::from(seen != seen_squeezed));
            }
        }
    }

    fn y_websocket(&self, input: &[u8]) {
        let frame = Frame::copy_from_slice(input);
        let read = measured("y-websocket", input.len(), || y_websocket::read_frame(&frame));
        let Ok(Some(message)) = read else { return };
        assert_eq!(message.to_frame(), input);
        match message {
            y_websocket::Message::SyncStep1(inner) => self.state_vector(&inner),
            y_websocket::Message::SyncStep2(inner) | y_websocket::Message::Update(inner) => {
                self.guarded(&inner);
            }
            y_websocket::Message::Awareness(inner) => self.awareness(&inner),
            _ => {}
        }
    }

    fn v1(&self, input: &[u8]) {
        let frame = Frame::copy_from_slice(input);
        let read = measured("coweave.v1", input.len(), || v1::read_frame(&frame));
        let Ok(messages) = read else { return };
        let mut again = Vec::new();
        messages.iter().for_each(|(channel, message)| message.write(*channel, &mut again));
        if !messages.is_empty() {
            assert_eq!(v1::read_frame(&Frame::from(again)).as_ref(), Ok(&messages));
        }
        for (_, message) in messages {
            match message {
                v1::Message::Edit { update, .. }
                | v1::Message::Update { update, .. }
                | v1::Message::Sync(update) => self.guarded(&update),
                v1::Message::Presence(inner) => self.awareness(&inner),
                _ => {}
            }
        }
    }

    fn guarded(&self, update: &[u8]) {
        for mode in [Mode::Live, Mode::State] {
            measured("the guard, in a frame", update.len(), || {
                self.guard(update, &self.updates.known, mode).is_ok()
            });
        }
    }

    fn state_vector(&self, input: &[u8]) {
        let len = input.len();
        let read = measured("a state vector", len, || Known::decode(input, 100_000));
        let Ok(known) = read else { return };
        assert_eq!(Known::decode(&known.encode(), 100_000).as_ref(), Ok(&known));
        let base = &self.updates.base;
        let difference =
            measured("the difference to it", base.len() + len, || splice::difference(base, &known));
        let cut = measured("the pieces to it", base.len() + len, || pieces(base, &known, 400));
        if let (Ok(difference), Ok(cut)) = (difference, cut) {
            assert_eq!(digest(&cut), digest(&[difference]), "in pieces");
        }
    }

    fn awareness(&self, input: &[u8]) {
        let read = measured("awareness", input.len(), || awareness::read(input, &self.limits));
        let Ok(entries) = read else { return };
        let again = awareness::write(&entries);
        assert_eq!(awareness::read(&again, &self.limits), Ok(entries));
    }

    fn version2(&self, input: &[u8]) {
        let read = measured("version 2", input.len(), || to_version_1(input, &self.limits));
        if let Ok(update) = read {
            self.guarded(&update);
        }
    }

    /// It may be of the document, or of one that an update makes.
    fn snapshot(&self, input: &[u8], random: &mut Random) {
        let read = measured("a snapshot", input.len(), || Snapshot::decode(input, &self.limits));
        let Ok(snapshot) = read else { return };
        assert_eq!(Snapshot::decode(&snapshot.encode(), &self.limits).as_ref(), Ok(&snapshot));
        let Seeds { base, updates, .. } = &self.updates;
        for state in [base, &updates[below(random, updates.len())]] {
            let client = ClientId::from_u32(5);
            let past = timed("the past", || Replica::at(&snapshot, state, client, &self.limits));
            if let Ok(past) = past {
                assert_eq!(past.snapshot().as_ref(), Ok(&snapshot));
            }
        }
    }

    /// Whether a snapshot is in a state with the input in it.
    fn past(&self, input: &[u8], random: &mut Random) -> bool {
        let state = splice::merge(&[&self.updates.base, input]).unwrap_or_else(|_| input.to_vec());
        let all = &self.snapshots.updates;
        // The last one is of the document without the input.
        let at = if random.chance(50) { below(random, all.len()) } else { all.len() - 1 };
        let snapshot = Snapshot::decode(&all[at], &self.limits).expect("an honest snapshot");
        let client = ClientId::from_u32(5);
        let past = timed("the past", || Replica::at(&snapshot, &state, client, &self.limits));
        past.is_ok_and(|mut past| {
            assert_eq!(past.snapshot().as_ref(), Ok(&snapshot));
            reading::read(&mut past, random);
            true
        })
    }
}
