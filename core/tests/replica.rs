//! The replica: edits, groups, changes and positions.

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::{Assoc, Delta, Replica, TextChange};
use coweave_core::doc::splice;
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

fn replica(client: u32) -> Replica {
    Replica::new(ClientId::from_u32(client))
}

fn change(delta: &[Delta], is_local: bool) -> TextChange {
    TextChange { text: "t".to_owned(), delta: delta.to_vec(), is_local }
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
    a.observe_text("t");
    a.begin();
    a.text_insert("t", 0, "ab").unwrap();
    a.begin();
    a.text_insert("t", 1, "x").unwrap();
    a.commit();
    assert_eq!(a.text_string("t"), "axb");
    assert_eq!(a.take_edits(), None);
    assert!(a.take_changes().is_empty());
    a.commit();
    assert!(a.take_edits().is_some());
    let expected = [
        change(&[Delta::Insert("ab".to_owned())], true),
        change(&[Delta::Retain(1), Delta::Insert("x".to_owned())], true),
    ];
    assert_eq!(a.take_changes(), expected);
}

#[test]
fn what_others_change_is_told_while_a_text_is_observed() {
    let (mut a, mut b) = (replica(1), replica(2));
    b.observe_text("t");
    b.observe_text("t");
    a.text_insert("t", 0, "abc").unwrap();
    b.apply(&a.take_edits().unwrap(), &Limits::default()).unwrap();
    a.text_delete("t", 1, 1).unwrap();
    b.apply(&a.take_edits().unwrap(), &Limits::default()).unwrap();
    let expected = [
        change(&[Delta::Insert("abc".to_owned())], false),
        change(&[Delta::Retain(1), Delta::Delete(1)], false),
    ];
    assert_eq!(b.take_changes(), expected);
    b.unobserve_text("t");
    b.text_insert("t", 0, "x").unwrap();
    assert_eq!(b.take_changes().len(), 1);
    b.unobserve_text("t");
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
    assert_eq!(
        inside,
        r#"{"type":null,"tname":"t","item":{"client":7,"clock":1},"assoc":0}"#
    );
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
