//! Documents of all types: what observers are told, and what becomes of them when a document is
//! replaced. How apps read and write them is tested through the npm package.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;

use coweave_core::doc::content::Value;
use coweave_core::doc::replica::{Change, Kind, Node, Place, Replica, Segment, Step};
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;

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

/// A character with its formats.
type Shown = (char, BTreeMap<String, String>);

/// What everyone has to be told to have the text.
fn follow(text: &mut Vec<Shown>, delta: &[Step]) {
    let mut at = 0;
    for step in delta {
        match step {
            Step::Retain(len, formats) => {
                for (_, has) in &mut text[at..at + *len as usize] {
                    has.extend(
                        formats.iter().map(|(name, value)| (name.to_string(), value.to_string())),
                    );
                }
                at += *len as usize;
            }
            Step::Delete(len) => drop(text.drain(at..at + *len as usize)),
            Step::Text(new, formats) => {
                let formats =
                    formats.iter().map(|(name, value)| (name.to_string(), value.to_string()));
                let formats: BTreeMap<_, _> = formats.collect();
                let new: Vec<Shown> = new.chars().map(|char| (char, formats.clone())).collect();
                let len = new.len();
                text.splice(at..at, new);
                at += len;
            }
            Step::Values(..) => panic!("nothing is embedded here"),
        }
    }
}

#[test]
fn the_one_change_of_a_group_does_what_its_edits_do_one_after_the_other() {
    for seed in 0..2_000 {
        let mut random = Random::from_seed(seed);
        let (mut grouped, mut single) = (replica(1), replica(1));
        let mut shown: [Vec<Shown>; 2] = Default::default();
        for replica in [&mut grouped, &mut single] {
            replica.observe("t", false).unwrap();
            replica.text_insert("t", 0, "some text to begin with").unwrap();
        }
        for round in 0..3 {
            if round > 0 {
                grouped.begin(7);
            }
            for _ in 0..=random.below(6) {
                let len = u64::from(grouped.text_length("t"));
                let at = u32::try_from(random.below(len + 1)).unwrap();
                let count = u32::try_from(random.below(len - u64::from(at) + 1)).unwrap();
                let kind = random.below(3);
                let letters =
                    "abcdefgh"[..1 + usize::try_from(random.below(7)).unwrap()].to_owned();
                for replica in [&mut grouped, &mut single] {
                    match kind {
                        0 => replica.text_insert("t", at, &letters).unwrap(),
                        1 => replica.text_delete("t", at, count.min(4)).unwrap(),
                        _ => {
                            let delta = format!(
                                r#"[{{"retain":{at}}},{{"retain":{count},"attributes":{{"b":{round}}}}}]"#
                            );
                            replica.text_apply(&Node::text("t"), &delta).unwrap();
                        }
                    }
                }
            }
            if round > 0 {
                grouped.commit();
            }
            let told = grouped.take_changes();
            assert!(round == 0 || told.len() <= 1, "seed {seed}: {told:?}");
            for (shown, changes) in shown.iter_mut().zip([told, single.take_changes()]) {
                changes.iter().for_each(|change| follow(shown, &change.delta));
            }
            let letters: String = shown[0].iter().map(|(char, _)| char).collect();
            assert_eq!(letters, grouped.text_string("t"), "seed {seed}");
            assert_eq!(shown[0], shown[1], "seed {seed}");
        }
    }
}

#[test]
fn the_one_change_of_a_group_in_a_list_does_what_its_edits_do() {
    for seed in 0..500 {
        let mut random = Random::from_seed(seed);
        let mut replica = replica(1);
        replica.observe(array(), false).unwrap();
        let mut shown: Vec<String> = Vec::new();
        for _ in 0..3 {
            replica.begin(0);
            for edit in 0..=random.below(8) {
                let len = u64::from(replica.sequence_length(&array()).unwrap());
                let at = random.below(len + 1);
                let count = random.below(len - at + 1).min(3);
                let at = u32::try_from(at).unwrap();
                if random.below(2) == 0 {
                    let items: Vec<_> = (0..=random.below(5)).map(|it| edit * 10 + it).collect();
                    replica.sequence_insert(&array(), at, &format!("{items:?}")).unwrap();
                } else {
                    replica.sequence_delete(&array(), at, u32::try_from(count).unwrap()).unwrap();
                }
            }
            replica.commit();
            let told = replica.take_changes();
            assert!(told.len() <= 1, "seed {seed}: {told:?}");
            let mut at = 0;
            for step in told.iter().flat_map(|change| &change.delta) {
                let len = step.len() as usize;
                match step {
                    Step::Retain(..) => at += len,
                    Step::Delete(_) => drop(shown.drain(at..at + len)),
                    Step::Values(values, _) => {
                        let values = values.iter().map(|value| {
                            let mut json = String::new();
                            value.write(&mut json);
                            json
                        });
                        shown.splice(at..at, values);
                        at += len;
                    }
                    Step::Text(..) => panic!("no text is in a list"),
                }
            }
            let items = replica.sequence_items(&array()).unwrap();
            assert_eq!(format!("[{}]", shown.join(",")), items, "seed {seed}");
        }
    }
}

#[test]
fn a_group_tells_each_type_once_with_the_path_at_its_end() {
    let mut replica = replica(1);
    replica
        .sequence_insert(&tree(), 0, r#"[{"\u0000":[3,"p",{},[]]},{"\u0000":[3,"q",{},[]]}]"#)
        .unwrap();
    let (p, q) = (child(&mut replica, &tree(), 0), child(&mut replica, &tree(), 1));
    replica.observe(tree(), true).unwrap();
    replica.begin(3);
    replica.entry_set(&p, "id", "1").unwrap();
    replica.entry_set(&q, "id", "1").unwrap();
    replica.entry_set(&q, "id", "2").unwrap();
    replica.sequence_insert(&tree(), 1, r#"[{"\u0000":[3,"new",{},[]]}]"#).unwrap();
    let new = child(&mut replica, &tree(), 1);
    replica.entry_set(&new, "id", "3").unwrap();
    replica.sequence_delete(&tree(), 0, 1).unwrap();
    assert_eq!(replica.take_changes(), []);
    replica.commit();
    let changes = replica.take_changes();
    let told: Vec<_> = changes
        .iter()
        .map(|change| (&change.target, change.path.as_slice(), change.origin))
        .collect();
    assert_eq!(told, [(&q, [Segment::Index(1)].as_slice(), 3), (&tree(), [].as_slice(), 3)]);
    let [keys] = changes[0].keys.as_slice() else { panic!("one key") };
    assert_eq!(keys.before, None);
    assert!(matches!(&keys.after, Some(Value::Plain(value)) if value.to_string() == "2"));
    let [Step::Delete(1), Step::Values(values, _)] = changes[1].delta.as_slice() else {
        panic!("{:?}", changes[1].delta)
    };
    assert!(
        matches!(values.as_slice(), [Value::Shared(node, Some(name))] if *node == new && &**name == "new")
    );
}

#[test]
fn the_paths_of_one_transaction_are_those_at_its_end_in_a_group_too() {
    let mut author = replica(2);
    author.sequence_insert(&tree(), 0, r#"[{"\u0000":[3,"p",{},[]]}]"#).unwrap();
    let mut replica = replica(1);
    let limits = Limits::default();
    replica.apply(&author.take_edits().unwrap(), &limits).unwrap();
    replica.observe(tree(), true).unwrap();
    let p = child(&mut author, &tree(), 0);
    author.begin(0);
    author.entry_set(&p, "id", "1").unwrap();
    author.sequence_insert(&tree(), 0, r#"[{"\u0000":[3,"q",{},[]]}]"#).unwrap();
    author.commit();
    replica.begin(0);
    replica.import(&author.take_edits().unwrap(), &limits).unwrap();
    replica.commit();
    let paths: Vec<_> = replica.take_changes().into_iter().map(|change| change.path).collect();
    assert!(paths.contains(&vec![Segment::Index(1)]), "{paths:?}");
}

#[test]
fn what_is_set_and_deleted_again_in_one_group_is_not_told() {
    let mut replica = replica(1);
    replica.observe(map(), false).unwrap();
    replica.begin(0);
    replica.entry_set(&map(), "a", "1").unwrap();
    replica.entry_delete(&map(), "a").unwrap();
    replica.commit();
    assert_eq!(replica.take_changes(), []);
}

#[test]
fn a_group_of_many_edits_in_one_text_is_told_as_one_change() {
    const WORDS: u32 = 6_000;
    let mut replica = replica(1);
    replica.text_insert("t", 0, &"old ".repeat(WORDS as usize)).unwrap();
    replica.observe("t", false).unwrap();
    replica.begin(0);
    for word in (0..WORDS).rev() {
        replica.text_delete("t", word * 4, 3).unwrap();
        replica.text_insert("t", word * 4, "newer").unwrap();
    }
    replica.commit();
    let [change] = replica.take_changes().try_into().unwrap();
    // Each word goes and comes, and the blanks between them stay.
    let mut steps = change.delta.into_iter();
    for word in 0..WORDS {
        if word > 0 {
            assert_eq!(steps.next(), Some(Step::Retain(1, Vec::new())));
        }
        let both = [steps.next().unwrap(), steps.next().unwrap()];
        assert!(both.contains(&Step::Delete(3)), "{word}: {both:?}");
        assert!(both.contains(&Step::Text("newer".into(), Vec::new())), "{word}: {both:?}");
    }
    assert_eq!(steps.next(), None);
}

#[test]
fn a_group_that_edits_what_it_inserted_itself_tells_only_what_is_there_at_its_end() {
    const WORDS: u32 = 6_000;
    let mut replica = replica(1);
    replica.observe("t", false).unwrap();
    replica.begin(0);
    replica.text_insert("t", 0, &"old ".repeat(WORDS as usize)).unwrap();
    for word in (0..WORDS).rev() {
        replica.text_delete("t", word * 4, 3).unwrap();
        replica.text_insert("t", word * 4, "newer").unwrap();
    }
    replica.commit();
    let [change] = replica.take_changes().try_into().unwrap();
    assert_eq!(change.delta, [Step::Text(replica.text_string("t"), Vec::new())]);
}

#[test]
fn a_group_of_many_edits_in_one_map_is_told_as_one_change() {
    const KEYS: usize = 20_000;
    let mut replica = replica(1);
    replica.observe(map(), false).unwrap();
    replica.begin(0);
    for key in (0..KEYS).rev() {
        replica.entry_set(&map(), &key.to_string(), "1").unwrap();
    }
    replica.entry_delete(&map(), "7").unwrap();
    replica.commit();
    let [change] = replica.take_changes().try_into().unwrap();
    assert_eq!(change.keys.len(), KEYS - 1);
    assert!(change.keys.iter().all(|change| change.before.is_none() && change.after.is_some()));
}

#[test]
fn a_group_of_edits_in_many_elements_tells_each_of_them_once() {
    const ELEMENTS: u32 = 10_000;
    let mut replica = replica(1);
    for _ in 0..ELEMENTS {
        replica.sequence_insert(&tree(), 0, r#"[{"\u0000":[3,"p",{},[]]}]"#).unwrap();
    }
    let elements = children(&replica, &tree());
    replica.observe(tree(), true).unwrap();
    replica.begin(0);
    for element in &elements {
        replica.entry_set(element, "id", "1").unwrap();
    }
    replica.sequence_delete(&tree(), 0, 1).unwrap();
    replica.commit();
    let changes = replica.take_changes();
    assert_eq!(changes.len(), elements.len());
    for (change, (element, index)) in changes.iter().zip(elements.iter().skip(1).zip(0..)) {
        assert_eq!((&change.target, &change.path), (element, &vec![Segment::Index(index)]));
    }
}

#[test]
fn observers_go_on_with_the_document_that_takes_the_place_of_theirs() {
    let mut old = replica(1);
    old.entry_set(&map(), "same", "1").unwrap();
    old.entry_set(&map(), "other", "1").unwrap();
    old.entry_set(&map(), "gone", "1").unwrap();
    old.sequence_insert(&array(), 0, r#"[1,{"\u0000":[1,{}]}]"#).unwrap();
    let nested = child(&mut old, &array(), 1);
    for node in [&map(), &array(), &nested] {
        old.observe(node, false).unwrap();
    }
    let mut new = replica(2);
    new.entry_set(&map(), "same", "1").unwrap();
    new.entry_set(&map(), "other", "2").unwrap();
    new.sequence_insert(&array(), 0, "[2]").unwrap();
    new.take_over(old);
    let changes = new.take_changes();
    let keys: Vec<_> = changes[0].keys.iter().map(|change| &*change.key).collect();
    assert_eq!((&changes[0].target, keys), (&map(), vec!["gone", "other"]));
    let Change { target, delta, .. } = &changes[1];
    assert_eq!(*target, array());
    assert!(
        matches!(delta.as_slice(), [Step::Delete(2), Step::Values(values, _)] if values.len() == 1)
    );
    assert_eq!(changes.len(), 2);
    new.entry_set(&map(), "later", "3").unwrap();
    assert_eq!(new.take_changes().len(), 1);
    assert_eq!(new.require(&nested).unwrap_err().code, Code::ApiDeleted);
    new.unobserve(&nested, false);
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
fn an_update_that_cuts_a_character_is_told_as_one_transaction() {
    let (mut author, mut reader) = (replica(1), replica(2));
    author.sequence_insert(&array(), 0, r#"[{"\u0000":[2,[{"insert":"🙂"}]]}]"#).unwrap();
    let limits = Limits::default();
    reader.apply(&author.take_edits().unwrap(), &limits).unwrap();
    reader.observe(array(), true).unwrap();
    // Half of the character is deleted, and something inserted before the text.
    let update = [1, 1, 3, 0, 0x48, 1, 0, 1, 126, 1, 1, 1, 2, 1];
    reader.begin(0);
    reader.apply(&update, &limits).unwrap();
    reader.commit();
    let changes = reader.take_changes();
    let told: Vec<_> = changes.iter().map(|change| change.transaction).collect();
    assert_eq!(told, [1, 1], "{changes:?}");
    let inner = changes.iter().filter(|change| !change.path.is_empty());
    assert!(inner.map(|change| &change.path).all(|path| *path == [Segment::Index(1)]));
}

#[test]
fn characters_that_are_cut_in_a_text_and_in_one_inside_are_told_one_by_one() {
    let (mut author, mut reader) = (replica(1), replica(2));
    let text = Node::text("text");
    author
        .text_apply(&text, r#"[{"insert":"a🙂"},{"insert":{"\u0000":[2,[{"insert":"b🙂"}]]}}]"#)
        .unwrap();
    let limits = Limits::default();
    let state = author.take_edits().unwrap();
    reader.apply(&state, &limits).unwrap();
    reader.observe("text", true).unwrap();
    // "a🙂" takes the clocks 0 to 2, the text inside 3, and "b🙂" 4 to 6.
    reader.apply(&[0, 1, 1, 2, 2, 1, 6, 1], &limits).unwrap();
    let mut told = reader.take_changes();
    told.sort_by_key(|change| (change.transaction, change.path.len()));
    let half = |at: u32| {
        let half = Step::Text("\u{fffd}\u{fffd}".to_owned(), Vec::new());
        vec![Step::Retain(at, Vec::new()), Step::Delete(2), half]
    };
    let deltas: Vec<_> = told.iter().map(|it| (it.path.clone(), it.delta.clone())).collect();
    assert_eq!(&deltas[..2], &[(vec![], half(1)), (vec![Segment::Index(3)], half(1))]);
    assert_eq!(reader.text_string("text"), "a\u{fffd}\u{fffc}");
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
