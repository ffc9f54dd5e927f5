//! Small inputs that ask for much: counts, nesting, and shapes that take quadratic time elsewhere.
#![expect(clippy::disallowed_types, reason = "the tests measure how long the guard takes")]

use std::time::{Duration, Instant};

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::splice;
use coweave_core::error::Code;
use coweave_core::limits::Limits;
use coweave_core::wire::awareness;

use crate::bytes::Bytes;

/// For debug builds on a busy machine; a release build takes a hundredth of it.
const TIME_MAX: Duration = Duration::from_secs(2);

fn limits() -> Limits {
    Limits { update_clients_max: u64::MAX, update_blocks_max: u64::MAX, ..Limits::default() }
}

fn guard(update: &[u8]) -> Result<(), Code> {
    let began = Instant::now();
    let result = check(update, &Known::new(), Mode::State, &|_| false, &limits());
    assert!(began.elapsed() < TIME_MAX, "took {:?}", began.elapsed());
    result.map(|_| ()).map_err(|error| error.code)
}

const MALFORMED: Result<(), Code> = Err(Code::UpdateMalformed);

#[test]
fn every_count_is_checked_against_the_bytes_that_are_left() {
    let counts = (20..=53).map(|bits| 1u64 << bits).flat_map(|count| [count - 1, count, count + 1]);
    for count in counts {
        let var = || Bytes::default().var(count);
        assert_eq!(guard(&var().0), MALFORMED, "clients");
        assert_eq!(guard(&Bytes(vec![1]).var(count).raw(&[5, 0, 0, 1, 0]).0), MALFORMED, "blocks");
        assert_eq!(guard(&Bytes(vec![0]).var(count).0), MALFORMED, "deleting clients");
        assert_eq!(guard(&Bytes(vec![0, 1, 5]).var(count).0), MALFORMED, "deleted ranges");
        let values = Bytes::section(1, 5, 0).in_root(8, "a").var(count).raw(&[126]);
        assert_eq!(guard(&values.end()), MALFORMED, "values");
        for container in [117, 118] {
            let mut nested = Bytes::section(1, 5, 0).in_root(8, "a").raw(&[1]);
            for _ in 0..8 {
                nested = nested.raw(&[container]).var(count).string("k");
            }
            assert_eq!(guard(&nested.end()), MALFORMED, "nested containers");
        }
        let text = Bytes::section(1, 5, 0).in_root(4, "a").var(count).raw(b"abc");
        assert_eq!(guard(&text.end()), MALFORMED, "a length");
        assert!(Known::decode(&var().0, u64::MAX).is_err(), "a state vector");
        assert!(awareness::read(&var().0, &limits()).is_err(), "awareness");
    }
}

#[test]
fn deep_nesting_neither_recurses_nor_passes() {
    for depth in [65, 1_000, 100_000, 1_000_000] {
        for head in [vec![117, 1], vec![118, 1, 0]] {
            let heads = head.repeat(depth);
            let update = Bytes::section(1, 5, 0).in_root(8, "a").raw(&[1]).raw(&heads).raw(&[126]);
            assert_eq!(guard(&update.end()), MALFORMED);
        }
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let json = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let update = Bytes::section(1, 5, 0).in_root(5, "a").string(&json).end();
            assert_eq!(guard(&update[..update.len().min(8 << 20)]), MALFORMED);
        }
        let json = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let presence = Bytes(vec![1, 5, 1]).string(&json).0;
        let read = awareness::read(&presence, &limits());
        assert_eq!(read.is_ok(), json.len() <= limits().presence_bytes_max);
    }
}

#[test]
fn clients_without_structs_are_refused() {
    let mut update = Bytes::default().var(200_000);
    for client in 0..200_000 {
        update = update.raw(&[0]).var(client + 10).raw(&[0]);
    }
    assert_eq!(guard(&update.end()), MALFORMED);
}

#[test]
fn no_shape_takes_more_than_linear_time() {
    let n = 64_000u64;
    let mut shapes = Vec::new();
    let mut chain = Bytes::default().var(n);
    let mut reversed = Bytes::default().var(n);
    for index in 0..n {
        chain = chain.var(1).var(10 + index).var(0);
        chain = match index {
            0 => chain.in_root(4, "text"),
            _ => chain.behind(4, 9 + index, 0),
        };
        chain = chain.string("x");
        reversed = reversed.var(1).var(10 + index).var(0);
        reversed = match index + 1 {
            last if last == n => reversed.in_root(4, "text"),
            _ => reversed.behind(4, 11 + index, 0),
        };
        reversed = reversed.string("x");
    }
    shapes.push(("a chain of clients", chain.end()));
    shapes.push(("a chain of clients from its end", reversed.end()));
    let mut zigzag = Bytes(vec![2]);
    for (client, other) in [(6, 5), (5, 6)] {
        zigzag = zigzag.var(n).var(client).var(0);
        for index in 0..n {
            zigzag = match (client, index) {
                (5, 0) => zigzag.in_root(4, "text"),
                (5, _) => zigzag.behind(4, other, index - 1),
                _ => zigzag.behind(4, other, index),
            };
            zigzag = zigzag.string("x");
        }
    }
    shapes.push(("two clients in turn", zigzag.end()));
    let mut stairs = Bytes(vec![0]).var(1).var(5).var(n);
    for index in 0..n {
        stairs = stairs.var(index * 2).var(1);
    }
    let text = Bytes::section(1, 5, 0).in_root(4, "text").string(&"x".repeat(2 * n as usize));
    shapes.push(("many deleted ranges", text.raw(&stairs.0[1..]).0));
    shapes.push(("GC runs of one", Bytes::section(n, 5, 0).raw(&[0, 1].repeat(n as usize)).end()));
    for (name, update) in &shapes {
        assert_eq!(guard(update), Ok(()), "{name}");
        let began = Instant::now();
        let merged = splice::merge(&[update, update]).unwrap();
        assert!(began.elapsed() < TIME_MAX, "{name}: merging took {:?}", began.elapsed());
        assert_eq!(guard(&merged), Ok(()), "{name}, merged");
        assert_eq!(splice::state_vector(&merged), splice::state_vector(update), "{name}");
    }
}

#[test]
fn a_log_of_keystrokes_merges_in_linear_time_into_one_struct() {
    let keystrokes: Vec<Vec<u8>> = (0..20_000u64)
        .map(|clock| match clock {
            0 => Bytes::section(1, 5, 0).in_root(4, "text").string("x").end(),
            _ => Bytes::section(1, 5, clock).behind(4, 5, clock - 1).string("x").end(),
        })
        .collect();
    let began = Instant::now();
    let merged = splice::merge(&keystrokes).unwrap();
    assert!(began.elapsed() < TIME_MAX, "took {:?}", began.elapsed());
    let whole = Bytes::section(1, 5, 0).in_root(4, "text").string(&"x".repeat(20_000)).end();
    assert!(merged == whole);
}
