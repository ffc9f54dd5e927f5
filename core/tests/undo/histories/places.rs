//! What can be written in, in the random histories of undo: here, and in the unit test of what undo keeps.

use super::{ClientId, Kind, Node, Place, Replica};

pub(super) fn roots() -> [Node; 4] {
    [
        Node::text("t"),
        Node::root(Kind::Map, "m"),
        Node::root(Kind::Array, "l"),
        Node::root(Kind::XmlFragment, "x"),
    ]
}

/// Everything that can be written in, with what is nested.
pub(super) fn places(replica: &Replica) -> Vec<Node> {
    let mut nodes = roots().to_vec();
    let mut at = 0;
    while let Some(node) = nodes.get(at).cloned() {
        let inside = match node.kind {
            Kind::Text | Kind::XmlText => replica.text_delta(&node),
            Kind::Map => replica.entries(&node),
            _ => replica.sequence_items(&node),
        };
        for part in inside.unwrap().split("{\"\\u0000\":[").skip(1) {
            let numbers: Vec<u64> =
                part.split([',', ']']).take(3).filter_map(|number| number.parse().ok()).collect();
            let [kind, client, clock] = numbers[..] else { continue };
            let kind = Kind::from_number(u8::try_from(kind).unwrap()).unwrap();
            let client = ClientId::new(client).unwrap();
            nodes.push(Node { kind, place: Place::Nested(client, clock) });
        }
        at += 1;
    }
    nodes
}
