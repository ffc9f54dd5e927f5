//! How long undo takes: as long as there is something to do.

#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "the tests measure how long undo takes, and say it"
)]

use std::time::Instant;

use coweave_core::doc::replica::Replica;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

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
    assert!((undo + redo).as_secs() < 20, "{undo:?}, {redo:?}");
}
