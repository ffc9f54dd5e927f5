//! What observers are told: of one edit, of a group, and when a document is replaced.

use std::collections::BTreeMap;

use coweave_core::doc::content::Value;
use coweave_core::doc::replica::{Change, Node, Segment, Step};
use coweave_core::error::Code;
use coweave_core::limits::Limits;
use coweave_core::random::Random;

use crate::{array, child, children, map, replica, tree};

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
