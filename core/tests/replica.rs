//! The replica: edits, groups, changes and positions.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::{Assoc, Change, Node, Replica, Step};
use coweave_core::doc::splice;
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

fn replica(client: u32) -> Replica {
    Replica::new(ClientId::from_u32(client))
}

fn change(transaction: u32, delta: &[Step], is_local: bool) -> Change {
    Change {
        observed: Node::text("t"),
        target: Node::text("t"),
        name: None,
        path: Vec::new(),
        delta: delta.to_vec(),
        keys: Vec::new(),
        is_local,
        origin: 0,
        transaction,
    }
}

#[test]
fn edits_leave_as_one_update_and_arrive() {
    let (mut a, mut b) = (replica(1), replica(2));
    a.text_insert("t", 0, "hello").unwrap();
    a.text_insert("t", 5, " world").unwrap();
    a.text_delete("t", 0, 1).unwrap();
    a.text_insert("t", 0, "J").unwrap();
    let update = a.take_edits().unwrap();
    assert_eq!(a.take_edits(), None);
    let summary = b.apply(&update, &Limits::default()).unwrap();
    assert!(summary.is_news && summary.has_deletes && !summary.has_astral);
    assert_eq!(b.text_string("t"), "Jello world");
    assert_eq!(b.text_length("t"), 11);
    assert_eq!(a.known(), b.known());
    assert_eq!(a.known().next(ClientId::from_u32(1)), 12);
    assert_eq!(splice::state_vector(&a.state()).unwrap(), *a.known());
    assert_eq!(b.difference(a.known())[0], 0);
}

#[test]
fn a_group_keeps_edits_and_changes_until_it_is_closed() {
    let mut a = replica(1);
    a.observe("t", false).unwrap();
    a.begin(0);
    a.text_insert("t", 0, "ab").unwrap();
    a.begin(0);
    a.text_insert("t", 1, "x").unwrap();
    a.commit();
    assert_eq!(a.text_string("t"), "axb");
    assert_eq!(a.take_edits(), None);
    assert!(a.take_changes().is_empty());
    a.commit();
    assert!(a.take_edits().is_some());
    let expected = [change(1, &[Step::Text("axb".to_owned(), Vec::new())], true)];
    assert_eq!(a.take_changes(), expected);
}

#[test]
fn what_others_change_is_told_while_a_text_is_observed() {
    let (mut a, mut b) = (replica(1), replica(2));
    b.observe("t", false).unwrap();
    b.observe("t", false).unwrap();
    a.text_insert("t", 0, "abc").unwrap();
    b.apply(&a.take_edits().unwrap(), &Limits::default()).unwrap();
    a.text_delete("t", 1, 1).unwrap();
    b.apply(&a.take_edits().unwrap(), &Limits::default()).unwrap();
    let expected = [
        change(1, &[Step::Text("abc".to_owned(), Vec::new())], false),
        change(2, &[Step::Retain(1, Vec::new()), Step::Delete(1)], false),
    ];
    assert_eq!(b.take_changes(), expected);
    b.unobserve("t", false);
    b.text_insert("t", 0, "x").unwrap();
    assert_eq!(b.take_changes().len(), 1);
    b.unobserve("t", false);
    b.text_insert("t", 0, "x").unwrap();
    assert!(b.take_changes().is_empty());
}

#[test]
fn wrong_indexes_are_errors() {
    let mut a = replica(1);
    let code = |result: Result<(), coweave_core::error::Error>| result.unwrap_err().code;
    assert_eq!(code(a.text_insert("t", 1, "x")), Code::ApiOutOfRange);
    a.text_insert("t", 0, "a🙂b").unwrap();
    assert_eq!(a.text_length("t"), 4);
    assert_eq!(code(a.text_insert("t", 2, "x")), Code::ApiSplitSurrogate);
    assert_eq!(code(a.text_delete("t", 0, 2)), Code::ApiSplitSurrogate);
    assert_eq!(code(a.text_delete("t", 2, 1)), Code::ApiSplitSurrogate);
    assert_eq!(code(a.text_delete("t", 1, 4)), Code::ApiOutOfRange);
    assert_eq!(code(a.text_delete("t", 1, u32::MAX)), Code::ApiOutOfRange);
    a.text_delete("t", 1, 2).unwrap();
    assert_eq!(a.text_string("t"), "ab");
}

#[test]
fn a_position_is_written_as_yjs_writes_it_and_stays_with_its_character() {
    let mut a = replica(7);
    let empty = r#"{"type":null,"tname":"t","item":null,"assoc":0}"#;
    assert_eq!(a.position("t", 0, Assoc::After).unwrap(), empty);
    a.text_insert("t", 0, "abc").unwrap();
    let inside = a.position("t", 1, Assoc::After).unwrap();
    assert_eq!(inside, r#"{"type":null,"tname":"t","item":{"client":7,"clock":1},"assoc":0}"#);
    let left = a.position("t", 3, Assoc::Before).unwrap();
    assert_eq!(left, r#"{"type":null,"tname":"t","item":{"client":7,"clock":2},"assoc":-1}"#);
    assert_eq!(a.position("t", 3, Assoc::After).unwrap(), empty);
    let start = a.position("t", 0, Assoc::Before).unwrap();
    assert_eq!(start, r#"{"type":null,"tname":"t","item":null,"assoc":-1}"#);
    assert_eq!(a.position("t", 4, Assoc::After).unwrap_err().code, Code::ApiOutOfRange);

    a.text_insert("t", 0, "xx").unwrap();
    let index = |json: &str| a.resolve(json).map(|position| position.index);
    assert_eq!(index(&inside), Some(3));
    assert_eq!(index(&left), Some(5));
    assert_eq!(index(empty), Some(5));
    assert_eq!(index(&start), Some(0));
    assert_eq!(index(r#"{"item":{"client":7,"clock":1}}"#), Some(3));
    assert_eq!(index(r#"{"item":{"client":7,"clock":99},"assoc":0}"#), None);
    assert_eq!(index(r#"{"assoc":0}"#), None);
    assert_eq!(index("[]"), None);
    assert_eq!(index(r#"{"tname":"other","assoc":5,"more":1}"#), Some(0));
}

#[test]
fn an_update_before_its_dependencies_is_refused_and_changes_nothing() {
    let (mut a, mut b) = (replica(1), replica(2));
    a.text_insert("t", 0, "a").unwrap();
    let first = a.take_edits().unwrap();
    a.text_insert("t", 1, "b").unwrap();
    let second = a.take_edits().unwrap();
    let error = b.apply(&second, &Limits::default()).unwrap_err();
    assert_eq!(error.code, Code::UpdateMissingDependencies);
    b.apply(&first, &Limits::default()).unwrap();
    b.apply(&second, &Limits::default()).unwrap();
    assert_eq!(b.text_string("t"), "ab");
    let live = check(&second, &Known::new(), Mode::Live, &|_| false, &Limits::default());
    assert_eq!(live.unwrap_err().code, Code::UpdateMissingDependencies);
}

/// Client 9 writes "a🙂b" (clocks 0 to 3) into the text "t".
fn with_emoji() -> Replica {
    let mut replica = replica(1);
    replica.observe("t", false).unwrap();
    let mut update = vec![1, 1, 9, 0, 4, 1, 1, b't', 6];
    update.extend_from_slice("a🙂b".as_bytes());
    update.push(0);
    replica.apply(&update, &Limits::default()).unwrap();
    replica.take_changes();
    replica
}

/// Checks that the text reads so, and that state and changes agree with it.
fn assert_reads(replica: &mut Replica, text: &str, delta: &[Vec<Step>]) {
    assert_eq!(replica.text_string("t"), text);
    let deltas: Vec<_> = replica.take_changes().into_iter().map(|change| change.delta).collect();
    assert_eq!(deltas, delta);
    let state = replica.state();
    assert_eq!(splice::state_vector(&state).unwrap(), *replica.known());
    let mut late = self::replica(2);
    late.apply(&state, &Limits::default()).unwrap();
    assert_eq!(late.text_string("t"), text);
}

#[test]
fn half_a_character_that_others_delete_leaves_a_replacement_character() {
    let broken = vec![
        Step::Retain(1, Vec::new()),
        Step::Delete(2),
        Step::Text("\u{fffd}\u{fffd}".into(), Vec::new()),
    ];
    for (clock, rest) in [(1, 1), (2, 2)] {
        let mut replica = with_emoji();
        replica.apply(&[0, 1, 9, 1, clock, 1], &Limits::default()).unwrap();
        let gone = vec![Step::Retain(rest, Vec::new()), Step::Delete(1)];
        assert_reads(&mut replica, "a\u{fffd}b", &[broken.clone(), gone]);
        replica.text_insert("t", 1, "🙂").unwrap();
        assert_eq!(replica.text_string("t"), "a🙂\u{fffd}b");
    }
}

#[test]
fn text_that_others_type_between_the_halves_of_a_character_splits_it() {
    let broken = vec![
        Step::Retain(1, Vec::new()),
        Step::Delete(2),
        Step::Text("\u{fffd}\u{fffd}".into(), Vec::new()),
    ];
    let typed = vec![Step::Retain(2, Vec::new()), Step::Text("x".into(), Vec::new())];
    let mut replica = with_emoji();
    replica.apply(&[1, 1, 8, 0, 0xc4, 9, 1, 9, 2, 1, b'x', 0], &Limits::default()).unwrap();
    assert_reads(&mut replica, "a\u{fffd}x\u{fffd}b", &[broken, typed]);

    // The same in one update, and one's own emoji.
    let mut update = vec![2, 1, 9, 0, 4, 1, 1, b't', 4];
    update.extend_from_slice("🙂".as_bytes());
    update.extend_from_slice(&[1, 8, 0, 0xc4, 9, 0, 9, 1, 1, b'x', 0]);
    let mut replica = self::replica(1);
    replica.apply(&update, &Limits::default()).unwrap();
    assert_reads(&mut replica, "\u{fffd}x\u{fffd}", &[]);
    let mut replica = self::replica(1);
    replica.text_insert("t", 0, "👩‍👧").unwrap();
    replica.apply(&[0, 1, 1, 1, 4, 1], &Limits::default()).unwrap();
    assert_reads(&mut replica, "👩\u{200d}\u{fffd}", &[]);
}

#[test]
fn what_stands_under_something_that_is_no_type_is_dropped() {
    let mut replica = with_emoji();
    // Client 8: "y" under the text struct of client 9, then "z" behind it, then "!" in the text.
    let update = [1, 3, 8, 0, 4, 0, 9, 0, 1, b'y', 0x84, 8, 0, 1, b'z', 0x84, 9, 3, 1, b'!', 0];
    replica.apply(&update, &Limits::default()).unwrap();
    let typed = vec![Step::Retain(4, Vec::new()), Step::Text("!".into(), Vec::new())];
    assert_reads(&mut replica, "a🙂b!", &[typed]);
    assert_eq!(replica.known().next(ClientId::from_u32(8)), 3);
}

#[test]
fn embedded_objects_count_as_one_character() {
    let mut replica = replica(1);
    replica.observe("t", false).unwrap();
    // "a", an object, a string that is embedded, and "b".
    let mut update = vec![1, 4, 9, 0, 4, 1, 1, b't', 1, b'a', 0x85, 9, 0, 2];
    update.extend_from_slice(b"{}");
    update.extend_from_slice(&[0x85, 9, 1, 4]);
    update.extend_from_slice(b"\"cd\"");
    update.extend_from_slice(&[0x84, 9, 2, 1, b'b', 0]);
    replica.apply(&update, &Limits::default()).unwrap();
    let all = "a\u{fffc}\u{fffc}b";
    assert_eq!(replica.text_length("t"), 4);
    assert_reads(&mut replica, all, &[vec![Step::Text(all.to_owned(), Vec::new())]]);
    replica.text_delete("t", 1, 2).unwrap();
    assert_reads(&mut replica, "ab", &[vec![Step::Retain(1, Vec::new()), Step::Delete(2)]]);
}

#[test]
fn a_large_text_leaves_in_updates_that_every_relay_takes() {
    let text = "grün 🌼 ".repeat(200_000);
    let mut a = replica(1);
    a.text_insert("body", 0, "[]").unwrap();
    a.text_insert("body", 1, &text).unwrap();
    let mut b = replica(2);
    let mut count = 0;
    while let Some(update) = a.take_edits() {
        assert!(update.len() < 400 << 10, "an update of {} bytes", update.len());
        b.apply(&update, &Limits::default()).unwrap();
        count += 1;
    }
    assert!(count > 5);
    assert_eq!(a.text_string("body"), format!("[{text}]"));
    assert_eq!(b.text_string("body"), a.text_string("body"));
    assert_eq!(b.known(), a.known());
}

#[test]
fn a_text_is_as_long_as_it_is_when_a_struct_that_is_known_in_part_changes_its_place() {
    // Client 5 writes "abc" into one text, then says that it was "abcdef" in another one.
    let first = [&[1, 1, 5, 0, 4, 1, 5][..], b"other", &[3], b"abc", &[0]].concat();
    let second = [&[1, 1, 5, 0, 4, 1, 4][..], b"text", &[6], b"abcdef", &[0]].concat();
    let mut replica = Replica::new(ClientId::from_u32(6));
    replica.apply(&first, &Limits::default()).unwrap();
    replica.apply(&second, &Limits::default()).unwrap();
    for text in ["text", "other"] {
        let length = replica.text_length(text);
        assert_eq!(length as usize, replica.text_string(text).len(), "{text}");
        replica.text_delete(text, 0, length).unwrap();
    }
}

#[test]
fn who_observes_a_text_goes_on_with_the_document_that_takes_its_place() {
    for (before, after, delta) in [
        ("same", "same", vec![]),
        ("", "new", vec![Step::Text("new".to_owned(), Vec::new())]),
        ("gone 😀", "", vec![Step::Delete(7)]),
        (
            "a😀b",
            "a😁b",
            vec![
                Step::Retain(1, Vec::new()),
                Step::Delete(2),
                Step::Text("😁".to_owned(), Vec::new()),
            ],
        ),
        ("aa", "aaa", vec![Step::Retain(2, Vec::new()), Step::Text("a".to_owned(), Vec::new())]),
        ("one two", "two", vec![Step::Delete(4)]),
    ] {
        let (mut old, mut new) = (replica(1), replica(2));
        old.observe("t", false).unwrap();
        old.text_insert("t", 0, before).unwrap();
        new.text_insert("t", 0, after).unwrap();
        let transactions = u32::from(!before.is_empty());
        assert_eq!(old.take_changes().len(), usize::from(!before.is_empty()));
        new.take_over(old);
        let expected = (!delta.is_empty()).then(|| change(transactions + 1, &delta, false));
        assert_eq!(new.take_changes(), Vec::from_iter(expected), "{before} {after}");
        new.text_insert("t", 0, "x").unwrap();
        assert_eq!(new.take_changes().len(), 1);
    }
}

#[test]
fn all_texts_of_a_document_can_be_read_without_knowing_their_names() {
    let mut a = replica(1);
    a.text_insert("title", 0, "Plan").unwrap();
    a.text_insert("body", 0, "Dear all 😀").unwrap();
    a.text_insert("empty", 0, "").unwrap();
    let mut b = replica(2);
    // A list of a number, as other software may have: it is no text.
    let list = [&[1, 1, 9, 0, 8, 1, 4][..], b"list", &[1, 125, 7, 0]].concat();
    b.apply(&a.state(), &Limits::default()).unwrap();
    b.apply(&list, &Limits::default()).unwrap();
    let texts = [("body", "Dear all 😀"), ("title", "Plan")];
    assert_eq!(b.texts(), texts.map(|(name, text)| (name.to_owned(), text.to_owned())));
}

/// An update of somebody who types a text of his own.
fn written_by(client: u32, content: &str) -> (Replica, Vec<u8>) {
    let mut author = replica(client);
    author.text_insert("t", 0, content).unwrap();
    let state = author.state();
    (author, state)
}

#[test]
fn an_update_that_the_app_brings_is_an_edit_of_whoever_wrote_it() {
    let limits = Limits::default();
    let (mut author, state) = written_by(7, "brought");
    let (mut a, mut b) = (replica(1), replica(2));
    a.observe("t", false).unwrap();
    assert!(!a.has_imports());
    a.import(&state, &limits).unwrap();
    assert!(a.has_imports());
    assert_eq!(
        a.take_changes(),
        [change(1, &[Step::Text("brought".to_owned(), Vec::new())], true)]
    );
    b.apply(&a.take_edits().unwrap(), &limits).unwrap();
    assert!(!a.has_imports());
    assert_eq!(b.text_string("t"), "brought");
    assert_eq!(b.known(), author.known());
    // Of what comes next only the new part is an edit.
    author.text_insert("t", 7, ", and more").unwrap();
    author.text_delete("t", 0, 1).unwrap();
    a.import(&author.state(), &limits).unwrap();
    let edit = a.take_edits().unwrap();
    assert!(!String::from_utf8_lossy(&edit).contains("brought"), "{edit:?}");
    b.apply(&edit, &limits).unwrap();
    assert_eq!(b.text_string("t"), "rought, and more");
}

#[test]
fn what_is_here_already_is_no_edit_though_its_deletions_come_again() {
    let limits = Limits::default();
    let (mut author, _) = written_by(7, "gone soon");
    author.text_delete("t", 2, 3).unwrap();
    let mut a = replica(1);
    a.import(&author.state(), &limits).unwrap();
    assert!(a.take_edits().is_some());
    a.import(&author.state(), &limits).unwrap();
    assert_eq!(a.take_edits(), None);
    // Deletions alone are one.
    author.text_delete("t", 0, 1).unwrap();
    a.import(&author.difference(a.known()), &limits).unwrap();
    assert!(a.take_edits().is_some());
    assert_eq!(a.text_string("t"), author.text_string("t"));
}

#[test]
fn a_large_import_becomes_edits_that_a_relay_takes() {
    let limits = Limits::default();
    let content = "many words ".repeat(300_000);
    let (_, state) = written_by(7, &content);
    assert!(state.len() > 3_000_000);
    let (mut a, mut b) = (replica(1), replica(2));
    a.import(&state, &Limits { update_bytes_max: 1 << 20, ..limits.clone() }).unwrap();
    let mut count = 0;
    while let Some(edit) = a.take_edits() {
        assert!(edit.len() < 1 << 19, "{}", edit.len());
        b.apply(&edit, &limits).unwrap();
        count += 1;
    }
    assert!(count > 6);
    assert!(b.text_string("t") == content);
}

#[test]
fn an_import_that_is_wrong_changes_nothing_and_says_why() {
    let limits = Limits::default();
    let (mut author, first) = written_by(7, "one");
    author.text_insert("t", 3, " two").unwrap();
    let second = author.difference(&splice::state_vector(&first).unwrap());
    let mut a = replica(1);
    a.text_insert("t", 0, "own").unwrap();
    a.take_edits();
    let before = a.state();
    let refused = |a: &mut Replica, update: &[u8]| a.import(update, &limits).unwrap_err();
    assert_eq!(refused(&mut a, &second).code, Code::UpdateMissingDependencies);
    assert_eq!(refused(&mut a, b"no update").code, Code::UpdateMalformed);
    // The empty update in version 2.
    let v2 = refused(&mut a, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(v2.code, Code::UpdateMalformed);
    assert!(v2.message.contains("applyUpdateV2"), "{}", v2.message);
    assert_eq!(a.difference_to(&[9], &limits).unwrap_err().code, Code::UpdateMalformed);
    assert_eq!(a.state(), before);
    assert_eq!(a.take_edits(), None);
}
