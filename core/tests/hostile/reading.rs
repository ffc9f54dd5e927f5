//! Everything an app can ask of a document that took hostile updates, and do to it.

use coweave_core::doc::replica::{Assoc, Kind, Node, Place, Replica};
use coweave_core::ids::ClientId;
use coweave_core::random::Random;
use serde_json::Value;

use crate::documents::below;

pub(crate) const ROOTS: [(&str, Kind); 5] = [
    ("plain", Kind::Text),
    ("text", Kind::Text),
    ("array", Kind::Array),
    ("map", Kind::Map),
    ("xml", Kind::XmlFragment),
];
const KINDS: [Kind; 6] =
    [Kind::Array, Kind::Map, Kind::Text, Kind::XmlElement, Kind::XmlFragment, Kind::XmlText];
/// So many parts of a document are used.
const NODES_MAX: usize = 12;
const CONTENTS: [&str; 8] = [
    "1",
    "{\"a\":[null,1.5,\"\u{1f642}\"]}",
    "{\"\\u0000\":[\"bytes\",\"\u{ff}\"]}",
    "{\"\\u0000\":[1,{\"k\":{\"\\u0000\":[0,[1]]}}]}",
    "{\"\\u0000\":[2,[{\"insert\":\"x\",\"attributes\":{\"bold\":true}}]]}",
    "{\"\\u0000\":[3,\"p\",{\"a\":1},[{\"\\u0000\":[6,[]]}]]}",
    "{\"\\u0000\":[3,1]}",
    "{\"\\u0000\":[\"number\",\"zz\"]}",
];
const DELTAS: [&str; 7] = [
    "[{\"retain\":1},{\"insert\":\"a\u{1f642}\",\"attributes\":{\"bold\":true}},{\"delete\":2}]",
    "[{\"retain\":3,\"attributes\":{\"bold\":null,\"color\":\"red\"}}]",
    "[{\"insert\":{\"image\":1}},{\"retain\":2},{\"delete\":1}]",
    "[{\"delete\":4294967295},{\"delete\":2}]",
    "[{\"retain\":4294967295},{\"retain\":4294967295},{\"delete\":1}]",
    "[{\"insert\":{\"\\u0000\":[1,{\"a\":1}]},\"attributes\":{}}]",
    "[{\"retain\":1},{\"delete\":1},{\"retain\":1,\"attributes\":{\"a\":{}}},{\"insert\":\"\"}]",
];

/// What may stand where a position has something.
const POSITION_VALUES: [&str; 14] = [
    "null",
    "true",
    "-1",
    "0.5",
    "18446744073709551616",
    "1e400",
    "\"text\"",
    "\"other\"",
    "[]",
    "{}",
    "{\"client\":1,\"clock\":2}",
    "{\"client\":2,\"clock\":4294967295}",
    "{\"client\":-1,\"clock\":1e99}",
    "{\"client\":9007199254740993,\"clock\":\"1\"}",
];

/// Observes all parts that have names.
pub(crate) fn observe(replica: &mut Replica) {
    for (name, kind) in ROOTS {
        replica.observe(Node::root(kind, name), true).unwrap();
    }
}

/// Reads all parts that have names, as what they are and as something else, and some parts inside.
pub(crate) fn read(replica: &mut Replica, random: &mut Random) -> Vec<Node> {
    let mut nodes: Vec<Node> = ROOTS.iter().map(|(name, kind)| Node::root(*kind, name)).collect();
    let (name, _) = ROOTS[below(random, ROOTS.len())];
    nodes.push(Node::root(KINDS[below(random, KINDS.len())], name));
    let mut at = 0;
    while let Some(node) = nodes.get(at).cloned() {
        at += 1;
        for json in read_one(replica, &node, random) {
            if nodes.len() < NODES_MAX {
                let json = serde_json::from_str(&json).expect("what is read is JSON");
                collect(&json, &mut nodes);
            }
        }
    }
    nodes
}

fn read_one(replica: &mut Replica, node: &Node, random: &mut Random) -> Vec<String> {
    let length = match node.kind.is_text() {
        true => replica.text_length(node),
        false => replica.sequence_length(node).unwrap_or(0),
    };
    let index = random.below(u64::from(length) + 2) as u32;
    drop((
        replica.text_string(node),
        replica.entry_get(node, "k0"),
        replica.sequence_get(node, index),
    ));
    for assoc in [Assoc::After, Assoc::Before] {
        if let Ok(position) = replica.position(node, index, assoc) {
            drop(replica.resolve(&position));
            let cut = below(random, position.len() + 1);
            drop(replica.resolve(position.get(..cut).unwrap_or_default()));
            drop(replica.resolve(&position.replace("\"clock\":", "\"clock\":9")));
        }
    }
    for _ in 0..2 {
        drop(replica.resolve(&any_position(random)));
    }
    let all = [
        replica.tree(node),
        replica.text_delta(node),
        replica.sequence_items(node),
        replica.entries(node),
    ];
    all.into_iter().flatten().collect()
}

/// What somebody may say is a position, as in awareness.
fn any_position(random: &mut Random) -> String {
    let mut entries = Vec::new();
    for key in ["type", "tname", "item", "assoc", "more"] {
        if random.chance(60) {
            let value = POSITION_VALUES[below(random, POSITION_VALUES.len())];
            entries.push(format!("\"{key}\":{value}"));
        }
    }
    let mut json = format!("{{{}}}", entries.join(",")).into_bytes();
    if random.chance(20) {
        let at = below(random, json.len());
        json[at] ^= 1 << random.below(8);
    }
    String::from_utf8_lossy(&json).into_owned()
}

/// The shared types that a JSON names.
fn collect(json: &Value, nodes: &mut Vec<Node>) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| collect(item, nodes)),
        Value::Object(entries) => {
            if let Some([kind, client, clock, ..]) =
                entries.get("\0").and_then(Value::as_array).map(Vec::as_slice)
                && let (Some(kind), Some(client), Some(clock)) =
                    (kind.as_u64(), client.as_u64(), clock.as_u64())
                && let (Some(kind), Some(client)) =
                    (Kind::from_number(kind as u8), ClientId::new(client))
            {
                nodes.push(Node { kind, place: Place::Nested(client, clock) });
            }
            entries.values().for_each(|entry| collect(entry, nodes));
        }
        _ => {}
    }
}

/// Makes an edit somewhere; that it is refused is as good.
pub(crate) fn edit(replica: &mut Replica, nodes: &[Node], random: &mut Random) {
    let node = &nodes[below(random, nodes.len())];
    let index = random.below(8) as u32;
    let content = CONTENTS[below(random, CONTENTS.len())];
    let delta = DELTAS[below(random, DELTAS.len())];
    match random.below(8) {
        0 => replica.text_insert(node, index, "a\u{1f642}").ok(),
        1 => replica.text_delete(node, index, random.below(9) as u32).ok(),
        2 => replica.text_apply(node, delta).ok(),
        3 => replica.sequence_insert(node, index, &format!("[{content},2,{content}]")).ok(),
        4 => replica.sequence_delete(node, index, random.below(4) as u32).ok(),
        5 => replica.entry_set(node, "k0", content).ok(),
        6 => replica.entry_delete(node, "k0").ok(),
        _ => replica.sequence_delete(node, 0, replica.sequence_length(node).unwrap_or(0)).ok(),
    };
}
