//! Shared types that are nested deeper than a document can be deleted.

use std::time::Duration;

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::nesting::Nesting;
use coweave_core::doc::replica::{Kind, Node, Place, Replica};
use coweave_core::doc::splice;
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;

use crate::bytes::Bytes;
use crate::documents::below;

/// A struct of a random document, and how many types are around it.
#[derive(Clone)]
struct Item {
    client: u64,
    clock: u64,
    is_type: bool,
    around: u32,
    head: Bytes,
}

/// One that is put at a random place of a document.
fn item(random: &mut Random, document: &[Item]) -> Item {
    let client = 1 + below(random, 3) as u64;
    let clock = document.iter().filter(|it| it.client == client).count() as u64;
    let is_type = below(random, 3) > 0;
    let kind = if is_type { 7 } else { 4 };
    // Behind the last ones mostly: that is how documents become deep.
    let near = document.len().saturating_sub(1 + below(random, 4));
    let any = if below(random, 4) > 0 { near } else { below(random, document.len().max(1)) };
    let (head, around) = match (below(random, 6), document.get(any)) {
        (0, _) | (_, None) => (Bytes::default().in_root(kind, "array"), 1),
        (1, Some(left)) => (Bytes::default().behind(kind, left.client, left.clock), left.around),
        (2, Some(right)) => {
            let head = Bytes::default().raw(&[0x40 | kind]).var(right.client).var(right.clock);
            (head, right.around)
        }
        (_, Some(outer)) if outer.is_type => {
            let head = Bytes::default().raw(&[kind, 0]).var(outer.client).var(outer.clock);
            (head, outer.around + 1)
        }
        (_, Some(left)) => (Bytes::default().behind(kind, left.client, left.clock), left.around),
    };
    let head = if is_type { head.raw(&[0]) } else { head.string("x") };
    Item { client, clock, is_type, around, head }
}

/// The structs as one update, client by client.
fn update(items: &[Item]) -> Vec<u8> {
    let of = |client: u64| items.iter().filter(move |it| it.client == client);
    let clients: Vec<_> = [2, 1, 3].into_iter().filter(|client| of(*client).count() > 0).collect();
    let mut bytes = Bytes::default().var(clients.len() as u64);
    for client in clients {
        let start = of(client).next().map_or(0, |first| first.clock);
        bytes = bytes.var(of(client).count() as u64).var(client).var(start);
        bytes = of(client).fold(bytes, |bytes, it| bytes.raw(&it.head.0));
    }
    bytes.end()
}

#[test]
fn an_update_is_refused_exactly_when_a_type_in_it_is_too_deep() {
    let mut refused = 0;
    for seed in 0..2_000 {
        let mut random = Random::from_seed(seed);
        let limits =
            Limits { type_depth_max: 2 + below(&mut random, 8) as u32, ..Limits::default() };
        let mut document: Vec<Item> = Vec::new();
        let (mut known, mut nesting) = (Known::new(), Nesting::default());
        let mut replica = Replica::new(ClientId::from_u32(9));
        let mut log = Vec::new();
        for _ in 0..12 {
            let before = document.len();
            for _ in 0..1 + below(&mut random, 6) {
                let next = item(&mut random, &document);
                document.push(next);
            }
            // What is known may come again.
            let from = if below(&mut random, 3) == 0 { 0 } else { before };
            let update = update(&document[from..]);
            let fits = document.iter().all(|it| !it.is_type || it.around < limits.type_depth_max);
            let summary = check(&update, &known, Mode::State, &|_| false, &limits).unwrap();
            let judged = match summary.has_nested {
                true => nesting.check(&update, &limits),
                false => Ok(()),
            };
            assert_eq!(
                judged.clone().err().map(|it| it.code),
                (!fits).then_some(Code::UpdateTooDeep),
                "seed {seed}"
            );
            let applied = replica.apply(&update, &limits).map(|_| ());
            assert_eq!(applied, judged, "seed {seed}: a replica");
            if !fits {
                refused += 1;
                document.truncate(before);
                continue;
            }
            known.advance(&summary);
            log.push(update);
            if below(&mut random, 4) == 0 {
                // What was folded is looked through anew.
                log = vec![splice::merge(&log).unwrap()];
                log.iter().for_each(|update| nesting.add(update).unwrap());
            } else {
                nesting.add(log.last().unwrap()).unwrap();
            }
        }
    }
    assert!(refused > 500, "{refused} updates are too deep");
}

/// Types that are nested in one another, from one clock to another.
fn chain(start: u64, end: u64) -> Vec<u8> {
    let mut bytes = Bytes::section(end - start, 5, start);
    for clock in start..end {
        bytes = match clock {
            0 => bytes.in_root(7, "array"),
            _ => bytes.raw(&[7, 0]).var(5).var(clock - 1),
        };
        bytes = bytes.raw(&[0]);
    }
    bytes.end()
}

#[test]
fn a_million_levels_are_looked_at_without_recursion() {
    let levels = 1_000_000;
    let update = chain(0, levels);
    let small_stack = std::thread::Builder::new().stack_size(128 << 10);
    let judged = small_stack.spawn(move || {
        let limits = Limits::default();
        let mut nesting = Nesting::default();
        let judged = nesting.check(&update, &limits);
        nesting.add(&update).unwrap();
        (judged, nesting.check(&chain(levels, levels + 1), &limits))
    });
    let (whole, next) = judged.unwrap().join().unwrap();
    assert_eq!(whole.unwrap_err().code, Code::UpdateTooDeep);
    assert_eq!(next.unwrap_err().code, Code::UpdateTooDeep);
}

#[test]
fn the_deepest_document_that_is_taken_is_read_and_deleted_on_a_small_stack() {
    let work = || {
        let limits = Limits::default();
        let array = Node::root(Kind::Array, "array");
        let mut replica = Replica::new(ClientId::from_u32(1));
        // The type with the name is the first level.
        replica.apply(&chain(0, 199), &limits).unwrap();
        assert_eq!(replica.apply(&chain(199, 200), &limits).unwrap_err().code, Code::UpdateTooDeep);
        let mut other = Replica::new(ClientId::from_u32(1));
        assert_eq!(other.import(&chain(0, 10_000), &limits).unwrap_err().code, Code::UpdateTooDeep);
        assert_eq!(other.known(), &Known::new());
        let place = |clock| Place::Nested(ClientId::from_u32(5), clock);
        let node = |clock| Node { kind: Kind::Array, place: place(clock) };
        let list = r#"[{"\u0000":[0,[1]]}]"#;
        replica.sequence_insert(&node(197), 0, list).unwrap();
        replica.sequence_insert(&node(198), 0, "[1]").unwrap();
        for refused in [
            replica.sequence_insert(&node(198), 0, list),
            replica.sequence_insert(&node(197), 0, r#"[{"\u0000":[0,[{"\u0000":[1,{}]}]]}]"#),
        ] {
            assert_eq!(refused.unwrap_err().code, Code::ApiTooDeep);
        }
        assert_eq!(replica.tree(&array).unwrap().matches('[').count(), 201);
        let state = replica.state();
        replica.sequence_delete(&array, 0, 1).unwrap();
        assert_eq!(replica.tree(&array).unwrap(), "[]");
        let mut reader = Replica::new(ClientId::from_u32(2));
        reader.apply(&state, &limits).unwrap();
        reader.apply(&replica.take_edits().unwrap(), &limits).unwrap();
        assert_eq!(reader.tree(&array).unwrap(), "[]");
    };
    let small_stack = std::thread::Builder::new().stack_size(512 << 10);
    small_stack.spawn(work).unwrap().join().unwrap();
}

/// As many lists of a client one behind the other, the first one in a type with a name.
fn row(client: u64, lists: u64) -> Vec<u8> {
    let first = Bytes::section(lists, client, 0).in_root(7, "array").raw(&[0]);
    (1..lists).fold(first, |bytes, clock| bytes.behind(7, client, clock - 1).raw(&[0])).end()
}

/// As many lists of a client, each between two of another client.
fn between(client: u64, lists: u64, other: u64) -> Vec<u8> {
    let section = Bytes::section(lists, client, 0);
    let list = |bytes: Bytes, left: u64| {
        let bytes = bytes.raw(&[0xc0 | 7]).var(other).var(left).var(other).var(left + 1);
        bytes.raw(&[0])
    };
    (0..lists).fold(section, list).end()
}

/// When each of them is looked for in the list, this takes a hundred times as long.
#[test]
fn thousands_of_types_come_into_a_list_of_thousands() {
    const LISTS: u64 = 30_000;
    let limits = Limits::default();
    let array = Node::root(Kind::Array, "array");
    let mut replica = Replica::new(ClientId::from_u32(1));
    replica.apply(&row(5, LISTS + 1), &limits).unwrap();
    replica.apply(&between(6, LISTS, 5), &limits).unwrap();
    for clock in (0..LISTS).step_by(10) {
        let place = Place::Nested(ClientId::from_u32(6), clock);
        let list = Node { kind: Kind::Array, place };
        replica.sequence_insert(&list, 0, r#"[{"\u0000":[0,[]]}]"#).unwrap();
    }
    let tree = replica.tree(&array).unwrap();
    assert_eq!(tree.matches('[').count() as u64, 2 + 2 * LISTS + LISTS / 10);
}

#[test]
fn own_edits_and_undo_count_for_how_deep_a_document_is() {
    let limits = Limits { type_depth_max: 6, ..Limits::default() };
    let array = Node::root(Kind::Array, "array");
    let mut replica = Replica::new(ClientId::from_u32(1));
    let undo = replica.open_undo(Duration::ZERO);
    replica.widen_undo(undo, array).unwrap();
    // Three levels of another client, so that nesting is looked at from here on.
    replica.apply(&chain(0, 2), &limits).unwrap();
    replica.apply(&chain(0, 3), &limits).unwrap();
    let node = |client, clock| Node {
        kind: Kind::Array,
        place: Place::Nested(ClientId::from_u32(client), clock),
    };
    let list = r#"[{"\u0000":[0,[]]}]"#;
    // The first own struct is the fifth level; after undo and redo another one is.
    replica.sequence_insert(&node(5, 2), 0, list).unwrap();
    assert!(replica.undo(undo, false).unwrap());
    assert!(replica.undo(undo, true).unwrap());
    let own = replica.known().next(ClientId::from_u32(1)) - 1;
    assert_eq!(own, 1, "what was redone is a struct of its own");
    let inside = |client: u64, clock: u64, parent: (u64, u64)| {
        let bytes = Bytes::section(1, client, clock);
        bytes.raw(&[7, 0]).var(parent.0).var(parent.1).raw(&[0]).end()
    };
    replica.apply(&inside(7, 0, (1, own)), &limits).unwrap();
    let refused = replica.apply(&inside(8, 0, (7, 0)), &limits).unwrap_err();
    assert_eq!(refused.code, Code::UpdateTooDeep);
}
