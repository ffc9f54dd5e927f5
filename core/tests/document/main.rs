//! Documents of all types, and what is told of them. How apps read and write them is tested through the
//! npm package.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod told;

use coweave_core::doc::replica::{Kind, Node, Place, Replica};
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

fn replica(client: u32) -> Replica {
    Replica::new(ClientId::from_u32(client))
}

fn map() -> Node {
    Node::root(Kind::Map, "map")
}

fn array() -> Node {
    Node::root(Kind::Array, "array")
}

fn tree() -> Node {
    Node::root(Kind::XmlFragment, "tree")
}

/// The type at an index, as it is told to apps: kind, client and clock.
fn child(replica: &mut Replica, node: &Node, index: u32) -> Node {
    told(&serde_json::from_str(&replica.sequence_get(node, index).unwrap().unwrap()).unwrap())
}

/// All types in a sequence of nothing else.
fn children(replica: &Replica, node: &Node) -> Vec<Node> {
    let json = replica.sequence_items(node).unwrap();
    let items: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    items.iter().map(told).collect()
}

fn told(json: &serde_json::Value) -> Node {
    let number = |at: usize| json["\0"][at].as_u64().unwrap();
    let kind = Kind::from_number(u8::try_from(number(0)).unwrap()).unwrap();
    Node { kind, place: Place::Nested(ClientId::new(number(1)).unwrap(), number(2)) }
}

#[test]
fn a_type_inside_a_deleted_one_is_deleted() {
    let mut replica = replica(1);
    replica.sequence_insert(&array(), 0, r#"[{"\u0000":[0,[{"\u0000":[1,{"a":1}]}]]}]"#).unwrap();
    let outer = child(&mut replica, &array(), 0);
    let inner = child(&mut replica, &outer, 0);
    replica.observe(&inner, true).unwrap();
    replica.sequence_delete(&array(), 0, 1).unwrap();
    for node in [&outer, &inner] {
        assert_eq!(replica.entries(node).unwrap_err().code, Code::ApiDeleted);
        assert_eq!(replica.entry_set(node, "a", "1").unwrap_err().code, Code::ApiDeleted);
        assert_eq!(replica.tree(node).unwrap_err().code, Code::ApiDeleted);
    }
    replica.unobserve(&inner, true);
}

#[test]
fn what_follows_a_deletion_in_a_delta_has_the_formats_that_it_is_given() {
    for (step, end) in [
        (r#"{"insert":"X"}"#, r#"{"insert":"r","attributes":{"bold":true}},{"insert":"X!"}"#),
        (
            r#"{"insert":"X","attributes":{"color":1}}"#,
            r#"{"insert":"r","attributes":{"bold":true}},{"insert":"X","attributes":{"color":1}},{"insert":"!"}"#,
        ),
        (
            r#"{"retain":1,"attributes":{"bold":true}}"#,
            r#"{"insert":"r!","attributes":{"bold":true}}"#,
        ),
    ] {
        let mut replica = replica(1);
        let text = Node::text("text");
        let start =
            r#"[{"insert":"a"},{"insert":"rld","attributes":{"bold":true}},{"insert":"!"}]"#;
        replica.text_apply(&text, start).unwrap();
        let steps = format!(r#"[{{"retain":2}},{{"delete":1}},{{"delete":1}},{step}]"#);
        replica.text_apply(&text, &steps).unwrap();
        let expected = format!(r#"[{{"insert":"a"}},{end}]"#);
        assert_eq!(replica.text_delta(&text).unwrap(), expected, "{step}");
    }
}

#[test]
fn deletions_in_a_row_are_one() {
    for step in ["", r#",{"insert":"X"}"#] {
        let mut replica = replica(1);
        let text = Node::text("text");
        let start = r#"[{"insert":"ab"},{"insert":"AB","attributes":{"bold":true}}]"#;
        replica.text_apply(&text, start).unwrap();
        let steps = format!(r#"[{{"retain":1}},{{"delete":1}},{{"delete":1}}{step}]"#);
        replica.text_apply(&text, &steps).unwrap();
        let plain = if step.is_empty() { "a" } else { "aX" };
        let expected =
            format!(r#"[{{"insert":"{plain}"}},{{"insert":"B","attributes":{{"bold":true}}}}]"#);
        assert_eq!(replica.text_delta(&text).unwrap(), expected);
    }
}

#[test]
fn a_delta_of_many_steps_cuts_no_character() {
    let mut replica = replica(1);
    replica.text_insert("text", 0, &"a🙂b".repeat(50)).unwrap();
    let text = Node::text("text");
    let replace = r#"{"retain":1},{"delete":2},{"insert":"é"},{"retain":1},"#.repeat(49);
    let (inside, behind) = (r#"{"retain":2},{"delete":1}"#, r#"{"retain":3},{"delete":1}"#);
    let error = replica.text_apply(&text, &format!("[{replace}{inside}]")).unwrap_err();
    assert_eq!(error.code, Code::ApiSplitSurrogate);
    assert_eq!(replica.text_string("text"), "a🙂b".repeat(50));
    replica.text_apply(&text, &format!("[{replace}{behind}]")).unwrap();
    assert_eq!(replica.text_string("text"), format!("{}a🙂", "aéb".repeat(49)));
}

#[test]
fn formats_of_no_text_are_none() {
    let mut replica = replica(1);
    let text = Node::text("text");
    replica.text_apply(&text, r#"[{"insert":"ab"}]"#).unwrap();
    replica.take_edits();
    let steps = r#"[{"retain":1},{"delete":0},{"retain":0,"attributes":{"bold":true}}]"#;
    replica.text_apply(&text, steps).unwrap();
    assert_eq!(replica.take_edits(), None);
}

#[test]
fn a_delta_does_to_a_plain_text_what_its_steps_do_one_after_the_other() {
    let bold = r#","attributes":{"bold":true}"#;
    let steps = [
        (0, r#"{"delete":1}"#.to_owned()),
        (0, format!(r#"{{"insert":"B"{bold}}}"#)),
        (1, r#"{"delete":1}"#.to_owned()),
        (1, format!(r#"{{"retain":2{bold}}}"#)),
        (3, r#"{"delete":1}"#.to_owned()),
        (3, r#"{"insert":"plain"}"#.to_owned()),
        (8, r#"{"delete":1}"#.to_owned()),
        (8, r#"{"retain":1,"attributes":{"color":1}}"#.to_owned()),
        (9, r#"{"delete":1}"#.to_owned()),
        (9, format!(r#"{{"insert":"C"{bold}}}"#)),
        (10, r#"{"retain":1}"#.to_owned()),
    ];
    let text = Node::text("text");
    let (mut whole, mut single) = (replica(1), replica(2));
    for replica in [&mut whole, &mut single] {
        replica.text_insert(&text, 0, "0123456789").unwrap();
    }
    let delta: Vec<_> = steps.iter().map(|(_, step)| step.as_str()).collect();
    whole.text_apply(&text, &format!("[{}]", delta.join(","))).unwrap();
    for (index, step) in &steps {
        single.text_apply(&text, &format!(r#"[{{"retain":{index}}},{step}]"#)).unwrap();
    }
    let delta = single.text_delta(&text).unwrap();
    assert_eq!(whole.text_delta(&text).unwrap(), delta);
    assert!(
        delta.starts_with(r#"[{"insert":"B23","attributes":{"bold":true}},{"insert":"plain"}"#)
    );
}

#[test]
fn a_shared_type_in_a_text_keeps_its_formats_when_what_stands_before_it_goes() {
    let text = Node::text("text");
    let bold = r#","attributes":{"bold":true}"#;
    let before = format!(r#"[{{"insert":"ab"}},{{"insert":{{"\u0000":[1,{{}}]}}{bold}}}]"#);
    for delta in ["", r#"[{"retain":1},{"delete":1}]"#, r#"[{"delete":2},{"insert":"x"}]"#] {
        let mut replica = replica(1);
        replica.text_apply(&text, &before).unwrap();
        match delta {
            "" => replica.text_delete(&text, 1, 1).unwrap(),
            delta => replica.text_apply(&text, delta).unwrap(),
        }
        let now = replica.text_delta(&text).unwrap();
        assert!(now.ends_with(&format!("{bold}}}]")), "{now}");
    }
}

#[test]
fn a_list_that_deletes_at_once_what_comes_in_can_still_be_edited() {
    // An entry between one of the list and one under a key, both deleted: no editor writes it.
    let update = [
        &[1, 3, 1, 0][..],
        &[0x21, 1, 5, b'a', b'r', b'r', b'a', b'y', 1, b'k', 1],
        &[1, 1, 5, b'a', b'r', b'r', b'a', b'y', 1],
        &[0xc7, 1, 1, 1, 0, 0, 0],
    ];
    let mut replica = replica(2);
    replica.apply(&update.concat(), &Limits::default()).unwrap();
    for content in [r#"[{"\u0000":[0,[1,2]]},{"\u0000":[0,[]]}]"#, r#"[1,{"\u0000":[0,[]]},2]"#] {
        replica.sequence_insert(&array(), 0, content).unwrap();
        replica.tree(&array()).unwrap();
    }
}

#[test]
fn text_that_comes_into_a_list_is_seen_although_the_list_was_read_before() {
    let list_of_three = || {
        let mut replica = replica(1);
        replica.sequence_insert(&array(), 0, "[1,2,3]").unwrap();
        assert_eq!(replica.sequence_get(&array(), 2).unwrap().as_deref(), Some("3"));
        replica
    };
    let text = Node::text("array");
    let mut theirs = replica(2);
    theirs.text_insert(&text, 0, "\u{1f642}").unwrap();
    let mut replica = list_of_three();
    replica.apply(&theirs.state(), &Limits::default()).unwrap();
    assert_eq!(replica.sequence_get(&array(), 2).unwrap(), None);
    let mut replica = list_of_three();
    replica.text_insert(&text, 0, "\u{1f642}").unwrap();
    assert_eq!(replica.sequence_get(&array(), 2).unwrap(), None);
    let mut replica = list_of_three();
    replica.text_apply(&text, r#"[{"insert":"x"}]"#).unwrap();
    assert_eq!(replica.sequence_get(&array(), 2).unwrap(), None);
}

#[test]
fn wrong_content_is_an_error_and_changes_nothing() {
    let mut replica = replica(1);
    for json in [
        "",
        "{",
        "[",
        "nul",
        r#"{"\u0000":1}"#,
        r#"{"\u0000":[]}"#,
        r#"{"\u0000":[9,{}]}"#,
        r#"{"\u0000":[1]}"#,
        r#"{"\u0000":[3,5,{},[]]}"#,
        r#"{"\u0000":[0,{}]}"#,
        r#"{"\u0000":["bytes","\u00ff"]}"#,
        r#"{"\u0000":["bytes","\u0200"]}"#,
        r#"{"\u0000":[2,[{"delete":1}]]}"#,
        r#"{"\u0000":["number","x"]}"#,
        r#"[{"\u0000":[1,{}]}]"#,
        r#"{"\u0000":[3,"p",{},["text"]]}"#,
    ] {
        let wrong = replica.entry_set(&map(), "key", json);
        assert_eq!(wrong.unwrap_err().code, Code::ApiWrongType, "{json}");
    }
    for json in ["[1]", "[null]", r#"[{"\u0000":[1,{}]}]"#, "{}"] {
        let wrong = replica.sequence_insert(&tree(), 0, json);
        assert_eq!(wrong.unwrap_err().code, Code::ApiWrongType, "{json}");
    }
    for json in [r#"[{"retain":-1}]"#, "[{}]", "[1]", r#"[{"retain":1,"delete":1}]"#, "{}"] {
        let wrong = replica.text_apply(&Node::text("text"), json);
        assert_eq!(wrong.unwrap_err().code, Code::ApiWrongType, "{json}");
    }
    assert_eq!(replica.take_edits(), None);
    assert_eq!(replica.tree(&map()).unwrap(), "{}");
}

#[test]
fn every_value_of_yjs_is_read() {
    // By a client 1: a map with an entry for each kind of value, as Yjs writes them.
    let mut update = vec![1, 7, 1, 0];
    let values: [&[u8]; 7] = [
        &[127],
        &[124, 0x7f, 0xc0, 0, 0],
        &[124, 0xff, 0x80, 0, 0],
        &[122, 0x10, 0, 0, 0, 0, 0, 0, 1],
        &[116, 2, 0, 255],
        &[118, 1, 1, 0, 126],
        &[125, 65],
    ];
    for (at, value) in values.iter().enumerate() {
        update.extend([0x28, 1, 3]);
        update.extend(b"map");
        update.extend([1, b'a' + u8::try_from(at).unwrap(), 1]);
        update.extend(*value);
    }
    update.push(0);
    let mut replica = replica(2);
    replica.apply(&update, &Limits::default()).unwrap();
    let expected = concat!(
        r#"{"a":{"\u0000":["undefined"]},"b":{"\u0000":["number","NaN"]},"#,
        r#""c":{"\u0000":["number","-Infinity"]},"d":{"\u0000":["bigint","1152921504606846977"]},"#,
        r#""e":{"\u0000":["bytes",""#,
        "\u{100}\u{1ff}",
        r#""]},"#,
        r#""f":{"\u0000":["object",[["\u0000",null]]]},"g":-1}"#,
    );
    assert_eq!(replica.tree(&map()).unwrap(), expected);
    assert_eq!(replica.entries(&map()).unwrap(), expected);
}
