//! What is kept between undos is what would be read anew: in random histories of two people, and
//! with a twin of the first one who keeps nothing.

#[path = "../../../../tests/undo/histories/places.rs"]
mod places;

use bytes::Bytes;

use self::places::{places, roots};
use super::*;
use crate::doc::kept::Kept;
use crate::doc::replica::Kind;
use crate::ids::ClientId;
use crate::random::Random;

/// A type with a name, or one inside of it.
fn some_type(replica: &Replica, random: &mut Random) -> Node {
    let mut nodes = places(replica);
    nodes.swap_remove(usize::try_from(random.below(nodes.len() as u64)).unwrap())
}

fn edit(replica: &mut Replica, node: &Node, random: &mut Random) {
    let word = ["a", "bc", "def", "ghij"][usize::try_from(random.below(4)).unwrap()];
    let mut within = |len: u32| u32::try_from(random.below(u64::from(len) + 1)).unwrap();
    match node.kind {
        Kind::Text | Kind::XmlText => {
            let len = replica.text_length(node);
            let (at, count) = (within(len), within(4));
            match (within(9), count.min(len - at)) {
                (0..=4, _) => replica.text_insert(node, at, word).unwrap(),
                (5..=7, count) => replica.text_delete(node, at, count).unwrap(),
                (_, 0) => {}
                (_, count) => {
                    let mark = format!(r#"{{"retain":{count},"attributes":{{"b":true}}}}"#);
                    let delta = format!(r#"[{{"retain":{at}}},{mark}]"#);
                    replica.text_apply(node, &delta).unwrap();
                }
            }
        }
        Kind::Map => match (within(3), format!("k{}", within(2))) {
            (0, key) => replica.entry_delete(node, &key).unwrap(),
            (1, key) => {
                let inner = format!(r#"{{"\u0000":[1,{{"k0":"{word}"}}]}}"#);
                replica.entry_set(node, &key, &inner).unwrap();
            }
            (_, key) => replica.entry_set(node, &key, &format!("\"{word}\"")).unwrap(),
        },
        kind => {
            let len = replica.sequence_length(node).unwrap();
            let (at, count) = (within(len), within(3));
            let text = format!(r#"{{"\u0000":[6,[{{"insert":"{word}"}}]]}}"#);
            match (within(4), kind) {
                (0 | 1, _) => {
                    replica.sequence_delete(node, at, count.min(len - at)).unwrap();
                }
                (2, Kind::Array) => {
                    let inner = r#"[{"\u0000":[0,[1,2]]},{"\u0000":[1,{}]}]"#;
                    replica.sequence_insert(node, at, inner).unwrap();
                }
                (_, Kind::Array) => replica.sequence_insert(node, at, "[1,2,3]").unwrap(),
                (2, Kind::XmlElement) => replica.entry_set(node, "k", "\"v\"").unwrap(),
                (2, _) => replica.sequence_insert(node, at, &format!("[{text}]")).unwrap(),
                _ => {
                    let element = format!(r#"[{{"\u0000":[3,"p",{{}},[{text}]]}}]"#);
                    replica.sequence_insert(node, at, &element).unwrap();
                }
            }
        }
    }
}

fn person(client: u32) -> Replica {
    let mut replica = Replica::new(ClientId::from_u32(client));
    let number = replica.open_undo(Duration::ZERO);
    roots().into_iter().for_each(|node| replica.widen_undo(number, node).unwrap());
    replica
}

/// Compares what is kept with what would be read; `is_all` for what nobody has asked for, too.
fn check(replica: &mut Replica, is_all: bool, told: &str) {
    if !replica.undos.is_kept() {
        return;
    }
    let unread = || panic!("nothing is kept: {told}");
    let mut kept = replica.undos.take_kept(unread).unwrap();
    let mut fresh = Kept::read(replica.state()).unwrap();
    if is_all {
        kept.layout.order_as(None);
    }
    fresh.layout.order_as(Some(&kept.layout));
    assert_eq!(kept.layout.shown(), fresh.layout.shown(), "{told}");
    replica.undos.keep(kept);
}

fn history(seed: u64) -> usize {
    let mut random = Random::from_seed(seed);
    let [mut one, mut twin, mut other] = [1, 1, 2].map(person);
    let (mut sent, mut got) = (Vec::<Bytes>::new(), Vec::<Bytes>::new());
    let mut kept = 0;
    for step in 0..60 {
        let told = format!("history {seed}, step {step}");
        match random.below(12) {
            0..=3 => {
                let node = some_type(&one, &mut random);
                let seed = random.below(1 << 30);
                for replica in [&mut one, &mut twin] {
                    replica.begin(0);
                    edit(replica, &node, &mut Random::from_seed(seed));
                    replica.commit();
                }
            }
            4..=8 => {
                let is_redo = random.chance(35);
                twin.undos.let_go();
                assert_eq!(twin.undo(1, is_redo).unwrap(), one.undo(1, is_redo).unwrap());
            }
            9 | 10 => {
                let node = some_type(&other, &mut random);
                edit(&mut other, &node, &mut random);
                if random.chance(30) {
                    other.undo(1, false).unwrap();
                }
                got.extend(other.take_edits());
            }
            _ => {
                for update in got.drain(..) {
                    one.apply(&update, &Limits::default()).unwrap();
                    twin.apply(&update, &Limits::default()).unwrap();
                }
                for update in sent.drain(..) {
                    other.apply(&update, &Limits::default()).unwrap();
                }
            }
        }
        let edits = one.take_edits();
        assert_eq!(edits, twin.take_edits(), "{told}");
        sent.extend(edits);
        kept += usize::from(one.undos.is_kept());
        if random.chance(60) {
            check(&mut one, random.chance(20), &told);
            check(&mut other, random.chance(20), &told);
        }
    }
    kept
}

#[test]
fn who_goes_on_to_edit_or_gets_much_of_others_keeps_nothing() {
    let (mut one, mut other) = (person(1), person(2));
    let bring_back = |one: &mut Replica| {
        one.text_insert("t", 0, "text").unwrap();
        one.text_delete("t", 0, 4).unwrap();
        assert!(!one.undos.is_kept());
        assert!(one.undo(1, false).unwrap());
        assert!(one.undos.is_kept());
    };
    bring_back(&mut one);
    // What the undo did is the first of 256.
    (0..255).for_each(|_| one.text_insert("t", 0, "x").unwrap());
    assert!(one.undos.is_kept());
    one.text_insert("t", 0, "x").unwrap();
    bring_back(&mut one);
    other.text_insert("t", 0, &"much".repeat(100_000)).unwrap();
    one.apply(&other.state(), &Limits::default()).unwrap();
    bring_back(&mut one);
    one.clear_undo(1);
    assert!(!one.undos.is_kept());
}

#[test]
fn what_is_kept_for_the_next_undo_is_what_would_be_read() {
    let setting = |name, default| {
        let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
        value.map_or(default, |value| value.parse().unwrap())
    };
    let first = setting("COWEAVE_FIRST", 1);
    let histories = first..first + setting("COWEAVE_HISTORIES", 300_u64);
    assert!(histories.map(history).sum::<usize>() > 1000);
}
