//! Pieces, squeezed updates and fingerprints, byte by byte.

use coweave_core::doc::digest::digest;
use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::pieces::pieces;
use coweave_core::doc::splice::{self, squeeze};
use coweave_core::error::Code;
use coweave_core::limits::Limits;

use crate::bytes::{Bytes, hex, known};

/// Checks that each piece can be taken right after those before it.
fn taken(pieces: &[Vec<u8>], mut known: Known) -> Known {
    for piece in pieces {
        let summary = check(piece, &known, Mode::State, &|_| false, &Limits::default());
        known.advance(&summary.unwrap());
    }
    known
}

fn cut(update: &[u8], bytes_max: usize) -> Vec<Vec<u8>> {
    pieces(update, &Known::new(), bytes_max).unwrap()
}

#[test]
fn what_fits_is_one_piece_and_nothing_is_none() {
    let update = Bytes::section(1, 5, 0).in_root(4, "t").string("hello").deleting(5, 0, 2);
    assert_eq!(cut(&update, update.len()), std::slice::from_ref(&update));
    assert_eq!(cut(&[0, 0], 100), Vec::<Vec<u8>>::new());
    let all = known(&[(5, 5)]);
    let deleting = Bytes(vec![0]).deleting(5, 0, 2);
    assert_eq!(pieces(&update, &all, 100).unwrap(), [deleting], "deletions are always kept");
}

#[test]
fn a_large_text_is_cut_between_its_characters() {
    for text in ["x".repeat(10_000), "é🙂".repeat(3_000)] {
        let update = Bytes::section(1, 5, 0).raw(&[0x44, 6, 0]).string(&text).end();
        let update = [&[2, 1, 6, 0, 4, 1, 1, b't', 1, b'r'][..], &update[1..]].concat();
        let cut = cut(&update, 1_000);
        assert!(cut.len() >= text.len() / 1_000 && cut.len() <= text.len() / 800, "{}", cut.len());
        assert!(cut.iter().all(|piece| piece.len() <= 1_000));
        assert!(!cut.iter().any(|piece| String::from_utf8_lossy(piece).contains("\u{fffd}r")));
        taken(&cut, Known::new());
        assert_eq!(splice::merge(&cut).unwrap(), update);
    }
}

#[test]
fn deletions_come_with_what_they_delete() {
    let text = "x".repeat(3_000);
    let bytes = Bytes::section(1, 5, 0).in_root(4, "t").string(&text).raw(&[1]).var(5).var(1_000);
    let update = (0..1_000).fold(bytes, |bytes, at| bytes.var(at * 3).var(2)).0;
    let pieces = cut(&update, 500);
    assert!(pieces.iter().all(|piece| piece.len() <= 500));
    let text_bytes = |piece: &[u8]| piece.iter().filter(|byte| **byte == b'x').count();
    for (index, piece) in pieces.iter().enumerate() {
        assert_eq!(piece[0], 1, "no piece is full of deletions of the others");
        // Squeezed, a third of it is left: all of its own deletions are in it.
        let begun = squeeze(&pieces[..=index]).unwrap();
        let left = text_bytes(&begun) * 3;
        let all: usize = pieces[..=index].iter().map(|piece| text_bytes(piece)).sum();
        assert!(left.abs_diff(all) < 10, "{left} of {all}");
    }
    taken(&pieces, Known::new());
    assert_eq!(digest(&pieces), digest(&[&update]));
}

#[test]
fn deletions_of_what_is_there_come_first_in_pieces_of_their_own() {
    let bytes = Bytes::section(1, 6, 0).in_root(4, "t").string("new").raw(&[2]);
    let bytes = bytes.var(6).raw(&[1, 0, 1]).var(5).var(1_000);
    let update = (0..1_000).fold(bytes, |bytes, at| bytes.var(at * 3).var(2)).0;
    let reached = known(&[(5, 3_000)]);
    let pieces = pieces(&update, &reached, 300).unwrap();
    assert!(pieces.len() > 10 && pieces.iter().all(|piece| piece.len() <= 300));
    let (last, first) = pieces.split_last().unwrap();
    assert!(first.iter().all(|piece| piece[0] == 0), "only the last one brings structs");
    assert_eq!(last[0], 1);
    taken(&pieces, reached);
}

#[test]
fn clients_that_write_in_turn_are_cut_in_their_order() {
    let n = 2_000;
    let mut update = Bytes(vec![2]);
    for (client, other) in [(6, 5), (5, 6)] {
        update = update.var(n).var(client).var(0);
        for clock in 0..n {
            update = match (client, clock) {
                (5, 0) => update.in_root(4, "t"),
                (5, _) => update.behind(4, other, clock - 1),
                _ => update.behind(4, other, clock),
            };
            update = update.string("x");
        }
    }
    let update = update.end();
    let pieces = cut(&update, 1_000);
    assert!(pieces.len() <= update.len() / 800, "{}", pieces.len());
    assert_eq!(taken(&pieces, Known::new()), known(&[(5, n), (6, n)]));
    assert_eq!(splice::merge(&pieces).unwrap(), update);
}

#[test]
fn what_the_guard_would_refuse_is_an_error() {
    let code = |update: Vec<u8>| pieces(&update, &Known::new(), 0).unwrap_err().code;
    let hole = Bytes::section(1, 5, 1).in_root(4, "t").string("x").end();
    assert_eq!(code(hole), Code::UpdateMissingDependencies);
    let circle = hex("02 01 06 00 84 05 00 01 78 01 05 00 84 06 00 01 78 00");
    assert_eq!(code(circle), Code::UpdateMissingDependencies);
    let nobody = Bytes::section(1, 5, 0).behind(4, 7, 0).string("x").end();
    assert_eq!(code(nobody), Code::UpdateMissingDependencies);
    let twice = hex("02 01 05 00 00 01 01 05 00 00 01 00");
    assert_eq!(code(twice), Code::UpdateMalformed);
}

#[test]
fn deleted_content_is_dropped_and_joined() {
    let typed = |text: &str| Bytes::section(1, 5, 0).in_root(4, "t").string(text);
    let squeezed = |update: Vec<u8>| squeeze(&[update]).unwrap();
    let gone = Bytes::section(1, 5, 0).in_root(1, "t").var(5).deleting(5, 0, 5);
    assert_eq!(squeezed(typed("hello").deleting(5, 0, 5)), gone);
    let middle = Bytes::section(3, 5, 0).in_root(4, "t").string("h").behind(1, 5, 0).var(3);
    let middle = middle.behind(4, 5, 3).string("o").deleting(5, 1, 3);
    assert_eq!(squeezed(typed("hello").deleting(5, 1, 3)), middle);
    // Keystrokes that were taken back one by one.
    let log: Vec<Vec<u8>> = (0..4u64)
        .map(|clock| match clock {
            0 => typed("a").deleting(5, 0, 1),
            _ => Bytes::section(1, 5, clock)
                .behind(4, 5, clock - 1)
                .string("b")
                .deleting(5, clock, 1),
        })
        .collect();
    let gone = Bytes::section(1, 5, 0).in_root(1, "t").var(4).deleting(5, 0, 4);
    assert_eq!(squeeze(&log).unwrap(), gone);
    // It takes both halves of a character to say what it was.
    let half = typed("a🙂b").deleting(5, 2, 1);
    assert_eq!(squeezed(half.clone()), half);
    // Somebody may still write into a type.
    let inner = Bytes::section(1, 5, 0).in_root(7, "t").raw(&[1]).deleting(5, 0, 1);
    assert_eq!(squeezed(inner.clone()), inner);
}

#[test]
fn overwritten_entries_of_a_map_become_one_struct() {
    let entry = |clock: u64| match clock {
        0 => Bytes::section(1, 5, 0).raw(&[0x28, 1]).string("m").string("k").raw(&[1, 125, 1]),
        _ => Bytes::section(1, 5, clock).raw(&[0xa8, 5]).var(clock - 1).raw(&[1, 125, 1]),
    };
    let mut log = vec![entry(0).end()];
    log.extend((1..100).map(|clock| entry(clock).deleting(5, clock - 1, 1)));
    let first = Bytes::section(2, 5, 0).raw(&[0x21, 1]).string("m").string("k").var(99);
    let last = first.raw(&[0xa8, 5, 98, 1, 125, 1]).deleting(5, 0, 99);
    assert_eq!(squeeze(&log).unwrap(), last);
}

#[test]
fn a_fingerprint_stays_the_same_and_tells_meanings_apart() {
    let of = |update: Vec<u8>| digest(&[update]).unwrap();
    let typed = |text: &str| Bytes::section(1, 5, 0).in_root(4, "t").string(text);
    let is = format!("{:?}", of(typed("a🙂").deleting(5, 0, 1)));
    assert_eq!(
        is, "2efa2660e152b48ce0df96bbc25b0d85",
        "stored fingerprints are compared with new ones"
    );
    assert_ne!(of(typed("ab").end()), of(typed("ac").end()));
    assert_ne!(of(typed("ab").end()), of(typed("ab").deleting(5, 0, 1)));
    assert_eq!(of(typed("ab").deleting(5, 0, 2)), of(typed("cd").deleting(5, 0, 2)));
    let gone = Bytes::section(1, 5, 0).in_root(1, "t").var(2).deleting(5, 0, 2);
    assert_eq!(of(typed("ab").deleting(5, 0, 2)), of(gone.clone()));
    let collected = Bytes::section(1, 5, 0).raw(&[0, 2]).deleting(5, 0, 2);
    assert_ne!(of(gone), of(collected), "a collected struct has no place");
    let elsewhere = Bytes::section(1, 5, 0).in_root(4, "u").string("ab").deleting(5, 0, 2);
    assert_ne!(of(typed("ab").deleting(5, 0, 2)), of(elsewhere));
    let huge = |len: u64| Bytes::section(1, 5, 0).raw(&[0]).var(len).end();
    assert_ne!(of(huge(1 << 31)), of(huge((1 << 31) - 1)));
    assert_ne!(digest(&[typed("ab").end()]), digest::<Vec<u8>>(&[]));
}
