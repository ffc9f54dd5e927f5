//! Honest histories of several clients: the guard takes all of them, and bytes merged or cut mean
//! the same as updates applied one by one.

use std::sync::mpsc::{Receiver, channel};

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::{Replica, Step};
use coweave_core::doc::splice;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use yrs::{Doc, Text, Transact, WriteTxn};

use crate::documents::{
    Alphabet, apply, below, document, edit, index_between, is_waiting, known, loaded, state, view,
    word,
};
use crate::meaning::check_meaning;
use crate::resends::check_resends;
use crate::setting;

/// The room: a log that only takes what the guard lets pass.
#[derive(Default)]
struct Log {
    known: Known,
    updates: Vec<Vec<u8>>,
}

impl Log {
    fn add(&mut self, update: Vec<u8>, mode: Mode, sender: u64) {
        let is_foreign = |client: ClientId| client.get() != sender;
        let summary = check(&update, &self.known, mode, &is_foreign, &Limits::default())
            .unwrap_or_else(|error| panic!("refused {mode:?} of {sender}: {error}: {update:02x?}"));
        self.known.advance(&summary);
        self.updates.push(update);
    }
}

/// A client over plain yrs, with the updates that yrs emits.
struct Peer {
    id: u64,
    doc: Doc,
    emitted: Receiver<Vec<u8>>,
    read: usize,
}

impl Peer {
    fn new(id: u64) -> Self {
        let doc = document(id);
        let (emit, emitted) = channel();
        doc.observe_update_v1("test", move |txn, event| {
            if txn.origin().is_none() {
                emit.send(event.update.clone()).unwrap();
            }
        })
        .unwrap();
        Self { id, doc, emitted, read: 0 }
    }

    fn edit(&self, random: &mut Random, alphabet: Alphabet) {
        let mut txn = self.doc.transact_mut();
        for _ in 0..1 + random.below(4) {
            edit(random, &mut txn, alphabet);
        }
    }

    fn send(&self, log: &mut Log) {
        // yrs emits an update for a transaction that only looked.
        self.emitted.try_iter().filter(|update| *update != [0, 0]).for_each(|update| {
            log.add(update, Mode::Live, self.id);
        });
    }

    fn receive(&mut self, log: &Log, count: usize) {
        let end = log.updates.len().min(self.read.saturating_add(count));
        for update in &log.updates[self.read..end] {
            let update = yrs::updates::decoder::Decode::decode_v1(update).unwrap();
            self.doc.transact_mut_with("remote").apply_update(update).unwrap();
        }
        self.read = end;
    }
}

fn history(seed: u64, alphabet: Alphabet) {
    let mut random = Random::from_seed(seed);
    let mut peers: Vec<Peer> = (0..2 + random.below(4))
        .map(|index| Peer::new([1, 2, 300, 70_000, (1 << 53) - 1][index as usize]))
        .collect();
    let mut log = Log::default();
    for _ in 0..10 + random.below(40) {
        let at = below(&mut random, peers.len());
        let peer = &mut peers[at];
        match random.below(10) {
            0..=5 => {
                peer.edit(&mut random, alphabet);
                if random.chance(80) {
                    peer.send(&mut log);
                }
            }
            6..=8 => peer.receive(&log, 1 + below(&mut random, 8)),
            // A reconnect: what the room lacks, or simply everything, then live again.
            _ => {
                let mut update = state(&peer.doc);
                if random.chance(70) {
                    update = splice::difference(&update, &log.known).unwrap();
                }
                let unsent: Vec<_> = peer.emitted.try_iter().collect();
                log.add(update, Mode::State, peer.id);
                if random.chance(30) {
                    unsent.into_iter().for_each(|update| log.add(update, Mode::Live, peer.id));
                }
            }
        }
    }
    for peer in &mut peers {
        peer.send(&mut log);
    }
    let expected = loaded(&log.updates).unwrap();
    assert!(!is_waiting(&expected), "seed {seed}: something waits");
    assert_eq!(known(&expected), log.known, "seed {seed}");
    let seen = view(&expected, true);
    for peer in &mut peers {
        peer.receive(&log, usize::MAX);
        assert_eq!(view(&peer.doc, true), seen, "seed {seed}: client {}", peer.id);
    }
    check_splices(seed, &mut random, &log, &seen);
    check_meaning(seed, &mut random, &log.updates, &seen);
    let docs: Vec<&Doc> = peers.iter().map(|peer| &peer.doc).collect();
    check_resends(seed, &mut random, &log.updates, &docs);
}

/// However the log is merged and cut, the document is the same.
fn check_splices(seed: u64, random: &mut Random, log: &Log, seen: &serde_json::Value) {
    let limits = Limits::default();
    let updates = &log.updates;
    let same = |name: &str, bytes: &[u8]| {
        let passed = check(bytes, &Known::new(), Mode::State, &|_| false, &limits);
        assert!(passed.is_ok(), "seed {seed}: {name}: {passed:?}");
        let doc = loaded(&[bytes]).unwrap();
        assert!(!is_waiting(&doc), "seed {seed}: {name}: something waits");
        assert_eq!(view(&doc, true), *seen, "seed {seed}: {name}");
        assert_eq!(known(&doc), log.known, "seed {seed}: {name}");
        assert_eq!(splice::state_vector(bytes).unwrap(), log.known, "seed {seed}: {name}");
    };
    let merged = splice::merge(updates).unwrap();
    same("merged", &merged);
    assert_eq!(splice::merge(&[&merged]).unwrap(), merged, "seed {seed}: merging twice");
    assert_eq!(splice::merge(&[&merged, &merged]).unwrap(), merged, "seed {seed}: with itself");

    // Without what was there already, any part of the log can be merged by itself.
    let news: Vec<_> = updates
        .iter()
        .scan(Known::new(), |known, update| {
            let news = splice::difference(update, known).unwrap();
            known.advance(&check(update, known, Mode::State, &|_| false, &limits).unwrap());
            Some(news)
        })
        .collect();
    let chunk = 1 + below(random, updates.len());
    let chunks: Vec<_> = news.chunks(chunk).map(|part| splice::merge(part).unwrap()).collect();
    assert_eq!(splice::merge(&chunks).unwrap(), merged, "seed {seed}: chunks of {chunk}");
    let mut repeated = Vec::new();
    for update in updates {
        repeated.push(update);
        if random.chance(30) {
            repeated.push(repeated[below(random, repeated.len())]);
        }
    }
    same("with repetitions", &splice::merge(&repeated).unwrap());
    let mut states = vec![state(&loaded(&updates[..updates.len() / 2]).unwrap())];
    states.extend(updates[updates.len() / 3..].iter().cloned());
    same("on a state, overlapping", &splice::merge(&states).unwrap());
    states.push(state(&loaded(updates).unwrap()));
    same("under a state, overlapping", &splice::merge(&states).unwrap());

    for source in [&merged, &state(&loaded(updates).unwrap())] {
        let old = &updates[..below(random, updates.len() + 1)];
        let doc = loaded(old).unwrap();
        let old_known = known(&doc);
        let difference = splice::difference(source, &old_known).unwrap();
        check(&difference, &old_known, Mode::State, &|_| false, &limits).unwrap();
        apply(&doc, &difference).unwrap();
        assert!(!is_waiting(&doc), "seed {seed}: a difference waits");
        assert_eq!(view(&doc, true), *seen, "seed {seed}: a difference");
        let nothing = splice::difference(source, &log.known).unwrap();
        assert_eq!(nothing[0], 0, "seed {seed}: structs in a difference to all");
    }
}

#[test]
fn every_honest_history_passes_and_splices_to_the_same_document() {
    let first = setting("COWEAVE_FUZZ_SEED", 1);
    for seed in first..first + setting("COWEAVE_FUZZ_HISTORIES", 300) {
        history(seed, Alphabet::Basic);
        history(seed, Alphabet::Astral);
    }
}

/// The text as an observer of changes has it.
fn follow(mirror: &mut String, delta: &[Step]) {
    let mut units: Vec<u16> = mirror.encode_utf16().collect();
    let mut at = 0;
    for part in delta {
        match part {
            Step::Retain(len, _) => at += *len as usize,
            Step::Delete(len) => drop(units.drain(at..at + *len as usize)),
            Step::Text(text, _) => {
                let new: Vec<u16> = text.encode_utf16().collect();
                let len = new.len();
                units.splice(at..at, new);
                at += len;
            }
            Step::Values(values, _) => {
                units.splice(at..at, values.iter().map(|_| 0xfffc));
                at += values.len();
            }
        }
    }
    *mirror = String::from_utf16(&units).unwrap();
}

fn replica_history(seed: u64) {
    let mut random = Random::from_seed(seed);
    let limits = Limits::default();
    let mut replicas: Vec<(Replica, usize, String)> = (0..2 + random.below(3))
        .map(|index| {
            let mut replica = Replica::new(ClientId::from_u32(10 + index as u32));
            replica.observe("text", false).unwrap();
            (replica, 0, String::new())
        })
        .collect();
    let mut log = Log::default();
    for _ in 0..20 + random.below(60) {
        let at = below(&mut random, replicas.len());
        let (replica, read, mirror) = &mut replicas[at];
        if random.chance(60) {
            replica.begin(0);
            for _ in 0..1 + random.below(5) {
                let text = replica.text_string("text");
                let (a, b) = (index_between(&mut random, &text), index_between(&mut random, &text));
                if random.chance(70) {
                    replica.text_insert("text", a, word(&mut random, Alphabet::Astral)).unwrap();
                } else {
                    replica.text_delete("text", a.min(b), a.max(b) - a.min(b)).unwrap();
                }
            }
            replica.commit();
            if random.chance(70)
                && let Some(update) = replica.take_edits()
            {
                log.add(update.to_vec(), Mode::Live, replica.client().get());
            }
        } else {
            let end = log.updates.len().min(*read + 1 + below(&mut random, 8));
            for update in &log.updates[*read..end] {
                replica.apply(update, &limits).unwrap();
            }
            *read = end;
        }
        for change in replica.take_changes() {
            follow(mirror, &change.delta);
        }
        assert_eq!(*mirror, replica.text_string("text"), "seed {seed}");
        assert_eq!(mirror.encode_utf16().count(), replica.text_length("text") as usize);
    }
    for (replica, ..) in &mut replicas {
        if let Some(update) = replica.take_edits() {
            log.add(update.to_vec(), Mode::Live, replica.client().get());
        }
    }
    let merged = splice::merge(&log.updates).unwrap();
    let mut fresh = Replica::new(ClientId::from_u32(1));
    fresh.apply(&merged, &limits).unwrap();
    for (replica, read, mirror) in &mut replicas {
        let before = replica.known().clone();
        if random.chance(50) {
            for update in &log.updates[*read..] {
                replica.apply(update, &limits).unwrap();
            }
        } else {
            replica.apply(&splice::difference(&merged, &before).unwrap(), &limits).unwrap();
        }
        assert_eq!(replica.text_string("text"), fresh.text_string("text"), "seed {seed}");
        assert_eq!(*replica.known(), log.known, "seed {seed}");
        for change in replica.take_changes() {
            follow(mirror, &change.delta);
        }
        assert_eq!(*mirror, fresh.text_string("text"), "seed {seed}");
        let mut late = Replica::new(ClientId::from_u32(2));
        late.apply(&replica.state(), &limits).unwrap();
        assert_eq!(late.text_string("text"), fresh.text_string("text"), "seed {seed}");
        assert_eq!(late.known(), replica.known(), "seed {seed}");
        let difference = replica.difference(&before);
        check(&difference, &before, Mode::State, &|_| false, &limits).unwrap();
    }
}

#[test]
fn replicas_agree_and_tell_their_changes() {
    let first = setting("COWEAVE_FUZZ_SEED", 1);
    for seed in first..first + setting("COWEAVE_FUZZ_HISTORIES", 300) {
        replica_history(seed);
    }
}

/// The same edits, in groups by a replica and one by one by yrs under the same client id.
fn grouped_history(seed: u64) {
    let mut random = Random::from_seed(seed);
    let mut replica = Replica::new(ClientId::from_u32(9));
    let peer = Peer::new(9);
    let mut updates = Vec::new();
    for _ in 0..1 + random.below(12) {
        replica.begin(0);
        for _ in 0..1 + random.below(9) {
            let is = replica.text_string("plain");
            let (a, b) = (index_between(&mut random, &is), index_between(&mut random, &is));
            let (start, len) = (a.min(b), a.max(b) - a.min(b));
            let mut txn = peer.doc.transact_mut();
            let text = txn.get_or_insert_text("plain");
            if random.chance(60) || len == 0 {
                let word = word(&mut random, Alphabet::Astral);
                replica.text_insert("plain", start, word).unwrap();
                text.insert(&mut txn, start, word);
            } else {
                replica.text_delete("plain", start, len).unwrap();
                text.remove_range(&mut txn, start, len);
            }
        }
        assert_eq!(replica.take_edits(), None);
        replica.commit();
        updates.push(replica.take_edits().unwrap());
    }
    let emitted: Vec<_> = peer.emitted.try_iter().collect();
    let (grouped, single) = (loaded(&updates).unwrap(), loaded(&emitted).unwrap());
    assert_eq!(view(&grouped, true), view(&single, true), "seed {seed}");
    assert_eq!(state(&grouped), state(&single), "seed {seed}");
    assert_eq!(splice::merge(&updates), splice::merge(&emitted), "seed {seed}");
}

#[test]
fn a_group_of_edits_means_what_yrs_emits_for_them() {
    let first = setting("COWEAVE_FUZZ_SEED", 1);
    let count = setting("COWEAVE_FUZZ_HISTORIES", 300);
    (first..first + count).for_each(grouped_history);
}
