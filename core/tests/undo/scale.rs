//! How long undo takes: as long as there is something to do.

#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "the tests measure how long undo takes, and say it"
)]

use std::time::{Duration, Instant};

use coweave_core::doc::replica::Replica;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;

use crate::{Editor, on_text};

const PIECES: u32 = 8000;

/// A text of so many structs, none of which joins its neighbors.
fn scattered() -> Editor {
    let mut a = on_text(1);
    a.replica.begin(0);
    for _ in 0..PIECES {
        a.replica.text_insert("t", 0, "ab").unwrap();
    }
    a.replica.commit();
    a
}

/// A text of 400,000 letters in 20,000 structs of two people.
fn long() -> Editor {
    let (mut a, mut b) = (on_text(1), Replica::new(ClientId::from_u32(9)));
    let mut random = Random::from_seed(1);
    for writer in [&mut b, &mut a.replica] {
        writer.begin(0);
        for _ in 0..10_000 {
            let at = u32::try_from(random.below(u64::from(writer.text_length("t")) + 1)).unwrap();
            writer.text_insert("t", at, "twenty letters each ").unwrap();
        }
        writer.commit();
    }
    a.replica.apply(&b.state(), &Limits::default()).unwrap();
    a.replica.clear_undo(a.undo);
    a
}

fn mirror(a: &Editor) -> String {
    let mut mirror = Replica::new(ClientId::from_u32(9));
    mirror.apply(&a.replica.state(), &Limits::default()).unwrap();
    mirror.text_string("t")
}

#[test]
fn a_text_of_thousands_of_pieces_comes_back_in_linear_time() {
    let mut a = scattered();
    let text = a.text();
    a.later().text_delete("t", 0, PIECES * 2).unwrap();
    let start = Instant::now();
    assert!(a.undo());
    let (undo, start) = (start.elapsed(), Instant::now());
    assert_eq!(a.text(), text);
    assert!(a.redo());
    let (redo, start) = (start.elapsed(), Instant::now());
    assert!(a.undo());
    let again = start.elapsed();
    println!("{PIECES} pieces: undo {undo:?}, redo {redo:?}, undo {again:?}");
    assert_eq!((a.text(), mirror(&a)), (text.clone(), text));
    // In quadratic time it would be a hundred times as long.
    assert!((undo + redo + again).as_secs() < 5, "{undo:?}, {redo:?}, {again:?}");
}

#[test]
fn many_items_are_undone_one_by_one_in_a_long_text() {
    let mut a = scattered();
    let text = a.text();
    for at in 0..200 {
        a.later().text_delete("t", at * 31, 1).unwrap();
    }
    let start = Instant::now();
    while a.text() != text {
        assert!(a.undo());
    }
    let undo = start.elapsed();
    let start = Instant::now();
    while a.redo() {}
    let redo = start.elapsed();
    println!("200 deletions in {PIECES} pieces: undo {undo:?}, redo {redo:?}");
    assert!((undo + redo).as_secs() < 2, "{undo:?}, {redo:?}");
}

#[test]
fn only_the_first_undo_of_many_in_a_row_reads_a_long_document() {
    let mut a = long();
    let text = a.text();
    let mut random = Random::from_seed(2);
    for _ in 0..100 {
        let at = u32::try_from(random.below(390_000)).unwrap();
        a.later().text_delete("t", at, 5).unwrap();
    }
    let mut times = Vec::new();
    for is_redo in [false, true, false] {
        for _ in 0..100 {
            let start = Instant::now();
            assert!(a.replica.undo(a.undo, is_redo).unwrap());
            times.push(start.elapsed());
        }
    }
    assert_eq!((a.text(), mirror(&a)), (text.clone(), text));
    let (first, rest) = (times[0], &times[1..]);
    let sum = rest.iter().sum::<Duration>();
    println!("400 kB: first {first:?}, 299 more {sum:?}, at most {:?}", rest.iter().max().unwrap());
    assert!(sum < first * 30, "{first:?}, {sum:?}");
}
