//! Hostile inputs: honest updates damaged in several ways, and updates whose grammar is right and
//! whose values are not.

use coweave_core::doc::known::Known;
use coweave_core::doc::splice;
use coweave_core::random::Random;
use yrs::{ReadTxn, Transact};

use crate::bytes::Bytes;
use crate::documents::{Alphabet, apply, below, document, edit, known, state};

/// How an input is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Class {
    Random,
    Truncated,
    BitFlips,
    Varints,
    Spliced,
    Grammar,
}

pub(crate) const CLASSES: [Class; 6] = [
    Class::Random,
    Class::Truncated,
    Class::BitFlips,
    Class::Varints,
    Class::Spliced,
    Class::Grammar,
];

/// A document, and honest updates that it can take.
pub(crate) struct Seeds {
    pub(crate) base: Vec<u8>,
    pub(crate) known: Known,
    pub(crate) updates: Vec<Vec<u8>>,
}

impl Seeds {
    pub(crate) fn new(alphabet: Alphabet) -> Self {
        let mut random = Random::from_seed(7);
        let docs: Vec<_> = (1..=3).map(document).collect();
        let mut updates = Vec::new();
        for round in 0..6 {
            for doc in &docs {
                let before = doc.transact().state_vector();
                let mut txn = doc.transact_mut();
                for _ in 0..4 {
                    edit(&mut random, &mut txn, alphabet);
                }
                drop(txn);
                updates.push(doc.transact().encode_diff_v1(&before));
            }
            if round % 2 == 1 {
                let states: Vec<_> = docs.iter().map(state).collect();
                for doc in &docs {
                    states.iter().for_each(|state| apply(doc, state).unwrap());
                }
            }
        }
        let base = state(&docs[0]);
        for client in [1, 2, 3, 7, 8, 1 << 32, (1 << 53) - 1] {
            let doc = document(client);
            apply(&doc, &base).unwrap();
            for _ in 0..4 {
                let before = doc.transact().state_vector();
                let mut txn = doc.transact_mut();
                for _ in 0..1 + random.below(5) {
                    edit(&mut random, &mut txn, alphabet);
                }
                drop(txn);
                updates.push(doc.transact().encode_diff_v1(&before));
            }
            updates.push(state(&doc));
            updates.push(splice::difference(&state(&doc), &known(&docs[0])).unwrap());
        }
        updates.retain(|update| update.len() > 2);
        Self { known: known(&docs[0]), base, updates }
    }

    pub(crate) fn input(&self, class: Class, random: &mut Random) -> Vec<u8> {
        match class {
            Class::Random => {
                let len_max = if random.chance(10) { 2_000 } else { 64 };
                let len = below(random, len_max);
                let byte = |random: &mut Random| match random.chance(50) {
                    true => random.below(16) as u8,
                    false => random.next_u64() as u8,
                };
                (0..len).map(|_| byte(random)).collect()
            }
            Class::Truncated => {
                let mut bytes = self.some(random).to_vec();
                bytes.truncate(below(random, bytes.len()));
                if random.chance(25) {
                    (0..1 + random.below(6)).for_each(|_| bytes.push(random.next_u64() as u8));
                }
                bytes
            }
            Class::BitFlips => {
                let mut bytes = self.some(random).to_vec();
                for _ in 0..1 + random.below(6) {
                    let at = below(random, bytes.len());
                    bytes[at] ^= 1 << random.below(8);
                }
                bytes
            }
            Class::Varints => {
                let mut bytes = self.some(random).to_vec();
                for _ in 0..1 + random.below(3) {
                    let at = below(random, bytes.len());
                    let gone = below(random, 3).min(bytes.len() - at);
                    let new = match random.chance(10) {
                        true => [vec![0xff; 1 + below(random, 12)], vec![1]].concat(),
                        false => Bytes::default().var(number(random)).0,
                    };
                    bytes.splice(at..at + gone, new);
                }
                bytes
            }
            Class::Spliced => {
                let mut bytes = self.some(random).to_vec();
                for _ in 0..1 + random.below(5) {
                    self.splice(&mut bytes, random);
                }
                bytes
            }
            Class::Grammar => self.grammar(random),
        }
    }

    fn some(&self, random: &mut Random) -> &[u8] {
        &self.updates[below(random, self.updates.len())]
    }

    fn splice(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        let at = below(random, bytes.len() + 1);
        let len = (1 + below(random, 16)).min(bytes.len() - at);
        match random.below(6) {
            0 => bytes.insert(at, random.below(16) as u8),
            1 => drop(bytes.drain(at..at + len)),
            2 => {
                let copy = bytes[at..at + len].to_vec();
                let to = below(random, bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            3 => {
                let other = self.some(random);
                let from = below(random, other.len());
                let end = (from + 1 + below(random, 24)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ if at < bytes.len() => match random.below(3) {
                0 => bytes[at] = bytes[at].wrapping_add(1),
                1 => bytes[at] = bytes[at].wrapping_sub(1),
                _ => bytes[at] = [0, 1, 4, 10, 0x7f, 0x80, 0x84, 0xc4, 0xff][below(random, 9)],
            },
            _ => {}
        }
    }

    /// An id that is often there.
    fn id(&self, random: &mut Random, out: Bytes) -> Bytes {
        let client = client(random);
        let next = coweave_core::ids::ClientId::new(client).map_or(0, |id| self.known.next(id));
        let clock = match random.below(20) {
            0 => number(random),
            1 => next,
            2 => next + random.below(6),
            _ => random.below(next.max(1)),
        };
        out.var(client).var(clock)
    }

    fn grammar(&self, random: &mut Random) -> Vec<u8> {
        let clients = 1 + random.below(3);
        let mut out = Bytes::default().var(clients);
        let first = random.below(5);
        for index in 0..clients {
            let client = match random.chance(95) {
                // Mostly different ones.
                true => [1, 2, 3, 7, 8][((first + index) % 5) as usize],
                false => client(random),
            };
            let next = coweave_core::ids::ClientId::new(client).map_or(0, |id| self.known.next(id));
            let clock = match random.below(20) {
                0 => number(random),
                1..=4 => random.below(next + 1),
                5 => next + 1,
                _ => next,
            };
            let blocks = 1 + random.below(6);
            out = out.var(blocks).var(client).var(clock);
            for _ in 0..blocks {
                out = self.block(random, out);
            }
        }
        let deleting = random.below(3);
        out = out.var(deleting);
        for index in 0..deleting {
            let client = 1 + index;
            let ranges = 1 + random.below(3);
            out = out.var(client).var(ranges);
            let mut clock = 0;
            for _ in 0..ranges {
                clock += random.below(12);
                let len = if random.chance(5) { number(random) } else { 1 + random.below(8) };
                out = out.var(clock).var(len);
                clock += len.min(1 << 20);
            }
        }
        out.0
    }

    fn block(&self, random: &mut Random, mut out: Bytes) -> Bytes {
        if random.chance(8) {
            let kind = if random.chance(90) { 0 } else { 10 };
            let len = if random.chance(10) { number(random) } else { 1 + random.below(9) };
            return out.raw(&[kind]).var(len);
        }
        let content = [1, 3, 4, 4, 4, 4, 5, 6, 7, 7, 8, 8, 8, 9, 2][below(random, 15)];
        let places = [0x80, 0x80, 0xc0, 0x40, 0, 0][below(random, 6)];
        let key = if random.chance(20) { 0x20 } else { 0 };
        out = out.raw(&[content | places | key]);
        if places & 0x80 != 0 {
            out = self.id(random, out);
        }
        if places & 0x40 != 0 {
            out = self.id(random, out);
        }
        if places == 0 {
            out = match random.chance(70) {
                true => {
                    out.raw(&[1]).string(["plain", "text", "array", "map", "xml"][below(random, 5)])
                }
                false => self.id(random, out.raw(&[0])),
            };
            if key != 0 {
                out = out.string(["k0", "k1", "class", ""][below(random, 4)]);
            }
        }
        let text = |random: &mut Random| ["a", "bc", "hello", "é日", "k0", "p"][below(random, 6)];
        match content {
            1 => out.var(if random.chance(10) { number(random) } else { 1 + random.below(9) }),
            2 => out.var(1).string("1"),
            3 => out.raw(&[2, 1, 0xff]),
            4 => out.string(text(random)),
            5 => out.string(["null", "{\"a\":1}", "\"x\"", "[", "1e400"][below(random, 5)]),
            6 => out.string("bold").string(["true", "null", "\"red\""][below(random, 3)]),
            7 => {
                let kind = random.below(8) as u8;
                let out = out.raw(&[kind]);
                if kind == 3 || kind == 5 { out.string(text(random)) } else { out }
            }
            8 => {
                let count = 1 + random.below(3);
                let mut out = out.var(count);
                for _ in 0..count {
                    out = value(random, out, 3);
                }
                out
            }
            _ => value(random, out.string("guid"), 0),
        }
    }
}

fn client(random: &mut Random) -> u64 {
    match random.below(20) {
        0 => number(random),
        1..=2 => 5 + random.below(5),
        _ => 1 + random.below(3),
    }
}

/// A number where things tend to break.
fn number(random: &mut Random) -> u64 {
    let power = 1u64 << random.below(64);
    power.wrapping_add(random.below(3)).wrapping_sub(1)
}

fn value(random: &mut Random, out: Bytes, depth: u64) -> Bytes {
    match random.below(if depth == 0 { 8 } else { 10 }) {
        0 => out.raw(&[[127, 126, 121, 120][below(random, 4)]]),
        1 => out.raw(&[125]).var(random.below(64)),
        2 => out.raw(&[125, 0x80 | random.below(128) as u8]).var(number(random) >> 10),
        3 => out.raw(&[123]).raw(&random.next_u64().to_be_bytes()),
        4 => out.raw(&[122]).raw(&random.next_u64().to_be_bytes()),
        5 => out.raw(&[119]).string("v"),
        6 => out.raw(&[116, 1, 7]),
        7 => out.raw(&[124]).raw(&(random.next_u64() as u32).to_be_bytes()),
        8 => {
            let count = random.below(3);
            let mut out = out.raw(&[117]).var(count);
            for _ in 0..count {
                out = value(random, out, depth - 1);
            }
            out
        }
        _ => value(random, out.raw(&[118, 1]).string("k"), depth - 1),
    }
}
