//! Every input that is known to do harm (panic, hang, corruption, poisoning), by name.

use coweave_core::doc::guard::{Mode, Summary, check};
use coweave_core::error::{Code, Error};
use coweave_core::limits::Limits;

use crate::bytes::{Bytes, hex, known};

/// Client 1 is in the document, client 5 is a victim that is connected, and 9 is the sender.
fn guard(update: &[u8], mode: Mode) -> Result<Summary, Error> {
    let known = known(&[(1, 40), (5, 5), (9, 0)]);
    check(update, &known, mode, &|client| client.get() == 5, &Limits::default())
}

fn expect(name: &str, update: &[u8], live: Result<(), Code>, state: Result<(), Code>) {
    for (mode, expected) in [(Mode::Live, live), (Mode::State, state)] {
        let is = guard(update, mode).map(|_| ()).map_err(|error| {
            assert!(error.message.len() > 20, "{name}: {error}");
            error.code
        });
        assert_eq!(is, expected, "{name} as {mode:?}");
    }
}

const MALFORMED: Result<(), Code> = Err(Code::UpdateMalformed);
const MISSING: Result<(), Code> = Err(Code::UpdateMissingDependencies);
const FOREIGN: Result<(), Code> = Err(Code::UpdateForeignClient);

#[test]
fn what_makes_yrs_fail_is_refused() {
    let table = [
        ("F1 a client without blocks", "0100010900", MALFORMED),
        (
            "F2 a branch thought unreachable",
            "0301021c0a020102bc03c4040f050903786d6c00030700",
            MISSING,
        ),
        ("F3 a skip near 2^32", "010201feffffff0f0a01000300", MISSING),
        ("F4 clock and length wrap", "0101040100000304000801ffffffffffffffff010101013002", MISSING),
        ("F5 a document that waits", "010103ff7f020009200005617272617900", MISSING),
        ("F6 the same in v2", "0101050b00000104013806", MISSING),
        (
            "F7 a first block that can't be found",
            "0102ffffffffffffffffff01ffffffffffffffff7f47021c0400090180020201011d0b",
            MALFORMED,
        ),
        (
            "F9 a cut surrogate pair",
            "010103f3064403050af09f9982c3a9e697a57801fde7bd85b6a1dad8c80103d80680808080088e02061902",
            MISSING,
        ),
        (
            "F10 use after free",
            "010201ffffffffffffff0f0201056172726179000561727261790a0900",
            MISSING,
        ),
        ("F11 a v2 header that runs off", "2894", MALFORMED),
    ];
    for (name, bytes, expected) in table {
        expect(name, &hex(bytes), expected, expected);
    }
}

#[test]
fn a_victims_id_cannot_be_poisoned() {
    for len in [7, 0x7fff_fff0] {
        let gc = Bytes::section(1, 5, 5).raw(&[0]).var(len).end();
        expect("a GC run as the victim", &gc, FOREIGN, FOREIGN);
    }
    let deleted = |len: u64| Bytes::section(1, 5, 5).behind(1, 5, 4).var(len).end();
    expect("what the victim has deleted, relayed", &deleted(3), FOREIGN, Ok(()));
    expect("more deleted than text could be", &deleted(20), FOREIGN, FOREIGN);
    expect("all it will write, deleted", &deleted(0x7fff_fff0), FOREIGN, FOREIGN);
    let beyond = Bytes::section(1, 5, 5).raw(&[0]).var(0xffff_fff0).end();
    expect("a GC run to 2^32", &beyond, MALFORMED, MALFORMED);
    let own = Bytes::section(1, 9, 0).raw(&[0]).var((1 << 31) + 1).end();
    expect("a GC run of one's own beyond 2^31", &own, MALFORMED, MALFORMED);
    let known_again = Bytes::section(1, 5, 0).raw(&[0]).var(5).end();
    expect("what the victim has written, collected", &known_again, Ok(()), Ok(()));
    let text = Bytes::section(1, 5, 5).behind(4, 5, 4).string("!").end();
    expect("text as the victim, live or relayed", &text, FOREIGN, Ok(()));
    let skip = Bytes::section(1, 5, 5).raw(&[10]).var(100).end();
    expect("a hole as the victim", &skip, MALFORMED, MALFORMED);
    let own_text = Bytes::section(1, 9, 0).behind(4, 5, 4).string("!").end();
    expect("text of one's own behind the victim's", &own_text, Ok(()), Ok(()));
}

#[test]
fn nothing_is_deleted_before_it_is_written() {
    let none = || Bytes(vec![0]);
    expect("what the victim has written", &none().deleting(5, 0, 5), Ok(()), Ok(()));
    expect("one more", &none().deleting(5, 0, 6), MISSING, MISSING);
    expect("all it will write", &none().deleting(5, 0, 0x7fff_ffff), MISSING, MISSING);
    expect("up to 2^32", &none().deleting(5, 0, 0xffff_ffff), MALFORMED, MALFORMED);
    expect("of nobody", &none().deleting(77, 0, 1), MISSING, MISSING);
    let own = Bytes::section(1, 9, 0).in_root(4, "text").string("abc");
    expect("of this update", &own.clone().deleting(9, 0, 3), Ok(()), Ok(()));
    expect("beyond this update", &own.deleting(9, 0, 4), MISSING, MISSING);
    expect("an empty range", &none().deleting(5, 0, 0), MALFORMED, MALFORMED);
    let twice = hex("00 02 05 01 00 01 05 01 02 01");
    expect("two lists of one client", &twice, MALFORMED, MALFORMED);
    let disorder = hex("00 01 05 02 03 01 00 01");
    expect("ranges out of order", &disorder, MALFORMED, MALFORMED);
    expect("a client without ranges", &hex("00 01 05 00"), MALFORMED, MALFORMED);
}

#[test]
fn nothing_may_wait_for_what_never_comes() {
    let gap = Bytes::section(1, 9, 1).in_root(4, "text").string("x").end();
    expect("a client's second struct first", &gap, MISSING, MISSING);
    let origin = Bytes::section(1, 9, 0).behind(4, 99, 7).string("x").end();
    expect("an origin of nobody", &origin, MISSING, MISSING);
    let right = Bytes::section(1, 9, 0).raw(&[0x44, 5, 5]).string("x").end();
    expect("a right origin not yet written", &right, MISSING, MISSING);
    let parent = Bytes::section(1, 9, 0).raw(&[4, 0, 1, 40]).string("x").end();
    expect("a parent not yet written", &parent, MISSING, MISSING);
    let itself = Bytes::section(1, 9, 0).behind(4, 9, 0).string("x").end();
    expect("itself", &itself, MISSING, MISSING);
    let later = Bytes::section(2, 9, 0).behind(4, 9, 1).string("x").in_root(4, "text").string("y");
    expect("a later one of its own", &later.end(), MISSING, MISSING);

    let same = Bytes::section(1, 9, 0).raw(&[0xc4, 5, 1, 5, 1]).string("x").end();
    expect("the same neighbor twice", &same, MALFORMED, MALFORMED);

    let pair = |first: (u64, u64), second: (u64, u64)| {
        Bytes(vec![2])
            .var(1)
            .var(9)
            .var(0)
            .behind(4, first.0, first.1)
            .string("x")
            .var(1)
            .var(8)
            .var(0)
            .behind(4, second.0, second.1)
            .string("y")
            .end()
    };
    expect("two that stand in order", &pair((8, 0), (1, 0)), Ok(()), Ok(()));
    expect("two that stand in the other order", &pair((1, 0), (9, 0)), Ok(()), Ok(()));
    expect("two that wait for each other", &pair((8, 0), (9, 0)), MISSING, MISSING);
    expect("one that waits for too much", &pair((8, 1), (1, 0)), MISSING, MISSING);
    // 9 needs 8, whose second struct needs 7, whose first needs 9's second.
    let circle = Bytes(vec![3])
        .var(2)
        .var(9)
        .var(0)
        .behind(4, 8, 0)
        .string("a")
        .behind(4, 8, 1)
        .string("b")
        .var(2)
        .var(8)
        .var(0)
        .in_root(4, "text")
        .string("c")
        .behind(4, 7, 0)
        .string("d")
        .var(1)
        .var(7)
        .var(0)
        .behind(4, 9, 1)
        .string("e")
        .end();
    expect("a circle of three", &circle, MISSING, MISSING);
    let chain = Bytes(vec![3])
        .var(2)
        .var(9)
        .var(0)
        .behind(4, 8, 0)
        .string("a")
        .behind(4, 8, 1)
        .string("b")
        .var(2)
        .var(8)
        .var(0)
        .in_root(4, "text")
        .string("c")
        .behind(4, 7, 0)
        .string("d")
        .var(1)
        .var(7)
        .var(0)
        .behind(4, 9, 0)
        .string("e")
        .end();
    expect("the same with a way through", &chain, Ok(()), Ok(()));
}

#[test]
fn the_format_is_read_strictly() {
    let big_client = hex("01 01 85808080808080 10 05 84 05 04 01 21 00");
    expect("client id 2^53 + 5", &big_client, MALFORMED, MALFORMED);
    let twice = Bytes(vec![2])
        .var(1)
        .var(9)
        .var(0)
        .in_root(4, "text")
        .string("x")
        .var(1)
        .var(9)
        .var(1)
        .in_root(4, "text")
        .string("x")
        .end();
    // The second section begins behind what is known before the update.
    expect("two sections of one client", &twice, MISSING, MISSING);
    let twice_known = Bytes(vec![2])
        .var(1)
        .var(9)
        .var(0)
        .in_root(4, "text")
        .string("x")
        .var(1)
        .var(9)
        .var(0)
        .in_root(4, "text")
        .string("x")
        .end();
    expect("two equal sections", &twice_known, MALFORMED, MALFORMED);
    let json = Bytes::section(1, 9, 0).in_root(2, "array").var(2).string("1").string("\"a\"").end();
    expect("JSON content of old versions", &json, MALFORMED, MALFORMED);
    let good = Bytes::section(1, 9, 0).in_root(4, "text").string("hi");
    expect("a good update", &good.clone().end(), Ok(()), Ok(()));
    expect("rubbish behind it", &good.raw(&[0; 40]).0, MALFORMED, MALFORMED);
    let three = Bytes::section(3, 9, 0).in_root(4, "text").string("hi").end();
    expect("three structs declared, one there", &three, MALFORMED, MALFORMED);
}

#[test]
fn content_is_read_strictly() {
    for (name, tail) in [
        ("empty text", Bytes::default().in_root(4, "text").string("")),
        ("no values", Bytes::default().in_root(8, "array").var(0)),
        ("a deletion of nothing", Bytes::default().in_root(1, "text").var(0)),
        ("a GC run of nothing", Bytes(vec![0, 0])),
        ("text that is not UTF-8", Bytes::default().in_root(4, "text").raw(&[2, 0xc3, 0x28])),
        ("half a surrogate pair", Bytes::default().in_root(4, "text").raw(&[3, 0xed, 0xa0, 0x80])),
        ("JSON that is none", Bytes::default().in_root(5, "text").string("{")),
        ("two JSON values", Bytes::default().in_root(5, "text").string("1 2")),
        ("a JSON number beyond all", Bytes::default().in_root(5, "text").string("1e999")),
        (
            "a JSON integer yrs can't hold",
            Bytes::default().in_root(5, "text").string("9223372036854775808"),
        ),
        ("a type of an unknown kind", Bytes::default().in_root(7, "map").raw(&[8])),
        ("an XML hook", Bytes::default().in_root(7, "xml").raw(&[5]).string("p")),
        ("content of an unknown kind", Bytes::default().in_root(11, "text").raw(&[1])),
        ("content beyond four bits", Bytes::default().in_root(0x14, "text").string("x")),
        ("a GC run with an origin", Bytes(vec![0x80, 1, 0, 1])),
        ("a parent of an unknown kind", Bytes(vec![4, 2]).string("text").string("x")),
        ("a value of an unknown kind", Bytes::default().in_root(8, "array").raw(&[1, 99])),
        (
            "an integer beyond 2^53",
            Bytes::default()
                .in_root(8, "array")
                .raw(&[1, 125, 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x20]),
        ),
        ("an integer in a long form", Bytes::default().in_root(8, "array").raw(&[1, 125, 0x80, 0])),
        ("a length in a long form", Bytes::default().in_root(4, "text").raw(&[0x81, 0, b'x'])),
    ] {
        let update = Bytes::section(1, 9, 0).raw(&tail.0).end();
        expect(name, &update, MALFORMED, MALFORMED);
    }
}

#[test]
fn all_kinds_of_content_pass() {
    for (name, tail) in [
        (
            "a map value",
            Bytes(vec![0x28, 1])
                .string("map")
                .string("k")
                .raw(&[1, 118, 1])
                .string("a")
                .raw(&[126]),
        ),
        (
            "a format",
            Bytes::default().in_root(6, "text").string("bold").string("{\"a\":[1.5,-3,null]}"),
        ),
        ("an XML element", Bytes::default().in_root(7, "xml").raw(&[3]).string("p")),
        ("a subdocument", Bytes::default().in_root(9, "map").string("guid").raw(&[118, 0])),
        ("binary", Bytes::default().in_root(3, "array").raw(&[2, 0xff, 0])),
        (
            "the largest integer",
            Bytes::default()
                .in_root(8, "array")
                .raw(&[1, 125, 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f]),
        ),
    ] {
        let update = Bytes::section(1, 9, 0).raw(&tail.0).end();
        expect(name, &update, Ok(()), Ok(()));
    }
}

#[test]
fn limits_hold_at_the_limit_and_one_above() {
    let known = known(&[]);
    let code = |update: &[u8], limits: &Limits| {
        check(update, &known, Mode::Live, &|_| false, limits).map(drop).map_err(|error| error.code)
    };
    let large = Err(Code::UpdateTooLarge);
    let update = Bytes::section(2, 9, 0).raw(&[0, 1, 0, 1]).deleting(9, 0, 1);
    let limits = Limits { update_bytes_max: update.len(), ..Limits::default() };
    assert_eq!(code(&update, &limits), Ok(()));
    let limits = Limits { update_bytes_max: update.len() - 1, ..Limits::default() };
    assert_eq!(code(&update, &limits), large);
    let limits = Limits { update_blocks_max: 3, ..Limits::default() };
    assert_eq!(code(&update, &limits), Ok(()));
    let limits = Limits { update_blocks_max: 2, ..Limits::default() };
    assert_eq!(code(&update, &limits), large);
    let two = Bytes(vec![2]).raw(&[1, 9, 0, 0, 1]).raw(&[1, 8, 0, 0, 1]).end();
    assert_eq!(code(&two, &Limits { update_clients_max: 2, ..Limits::default() }), Ok(()));
    assert_eq!(code(&two, &Limits { update_clients_max: 1, ..Limits::default() }), large);

    let nested = |depth: usize| {
        let arrays = [117, 1].repeat(depth);
        Bytes::section(1, 9, 0).in_root(8, "array").raw(&[1]).raw(&arrays).raw(&[126]).end()
    };
    let limits = Limits { value_depth_max: 7, ..Limits::default() };
    assert_eq!(code(&nested(7), &limits), Ok(()));
    assert_eq!(code(&nested(8), &limits), MALFORMED);
    let json = |depth: usize| {
        let text = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        Bytes::section(1, 9, 0).in_root(5, "text").string(&text).end()
    };
    assert_eq!(code(&json(7), &limits), Ok(()));
    assert_eq!(code(&json(8), &limits), MALFORMED);
}

#[test]
fn a_summary_tells_what_is_inside() {
    let update = Bytes(vec![2])
        .var(1)
        .var(9)
        .var(0)
        .in_root(4, "text")
        .string("a🙂b")
        .var(1)
        .var(1)
        .var(38)
        .behind(4, 1, 37)
        .string("yz")
        .deleting(1, 3, 2);
    let summary = guard(&update, Mode::State).unwrap();
    let ranges: Vec<_> =
        summary.ranges.iter().map(|range| (range.client.get(), range.start, range.end)).collect();
    assert_eq!(ranges, [(1, 38, 40), (9, 0, 4)]);
    assert!(summary.has_deletes && summary.is_news && summary.has_astral);
    let old = Bytes::section(1, 1, 38).behind(4, 1, 37).string("yz").end();
    let summary = guard(&old, Mode::State).unwrap();
    assert!(!summary.has_deletes && !summary.is_news && !summary.has_astral);
    assert_eq!(guard(&[0, 0], Mode::Live).unwrap(), Summary::default());
}
