//! What undo brings back: where, in how many parts, and for how long it is kept.

use std::slice::from_ref;
use std::time::Duration;

use coweave_core::doc::replica::{Assoc, Kind, Node, Replica};
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

use crate::{Editor, PARAGRAPH, fragment, meet, nested, on_text};

#[test]
fn a_type_in_the_scope_may_be_deleted() {
    let list = Node::root(Kind::Array, "l");
    let mut a = on_text(1);
    a.later().sequence_insert(&list, 0, r#"[{"\u0000":[1,{}]}]"#).unwrap();
    let map = nested(Kind::Map, 1, 0);
    let undo = a.replica.open_undo(Duration::ZERO);
    a.replica.widen_undo(undo, map.clone()).unwrap();
    a.later().entry_set(&map, "k", "1").unwrap();
    a.later().sequence_delete(&list, 0, 1).unwrap();
    assert!(!a.replica.undo(undo, false).unwrap());
    a.later().sequence_insert(&list, 0, r#"[{"\u0000":[1,{}]}]"#).unwrap();
    assert!(!a.replica.undo(undo, false).unwrap());
    assert_eq!(a.replica.widen_undo(undo, map).unwrap_err().code, Code::ApiDeleted);
}

#[test]
fn what_was_deleted_is_kept_only_while_it_can_come_back() {
    let mut a = on_text(1);
    let text = "0123456789".repeat(100);
    a.later().text_insert("t", 0, &text).unwrap();
    a.later().text_delete("t", 0, 1000).unwrap();
    a.undo();
    a.redo();
    assert!(a.replica.state().len() > 1000);
    a.replica.close_undo(a.undo);
    assert!(a.replica.state().len() < 100, "{}", a.replica.state().len());
    let mut b = Replica::new(ClientId::from_u32(2));
    b.apply(&a.replica.state(), &Limits::default()).unwrap();
    assert_eq!(a.replica.known(), b.known());
    assert!(!a.replica.undo(a.undo, false).unwrap());
}

#[test]
fn one_stack_keeps_what_another_one_let_go_of() {
    let mut a = on_text(1);
    let other = a.replica.open_undo(Duration::ZERO);
    a.replica.widen_undo(other, Node::text("t")).unwrap();
    a.later().text_insert("t", 0, "abc").unwrap();
    a.later().text_delete("t", 0, 3).unwrap();
    a.replica.close_undo(other);
    a.later().text_insert("t", 0, "x").unwrap();
    a.undo();
    a.undo();
    assert_eq!(a.text(), "abc");
}

#[test]
fn what_comes_back_in_a_paragraph_is_undone_in_its_parts() {
    let x = fragment();
    let mut a = Editor::new(1, from_ref(&x));
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    a.later().text_insert(nested(Kind::XmlText, 1, 1), 0, "A").unwrap();
    a.later().text_insert(nested(Kind::XmlText, 1, 1), 5, "Z").unwrap();
    a.later().sequence_delete(&x, 0, 1).unwrap();
    for expected in ["AmineZ", "Amine", "mine"] {
        a.undo();
        assert!(a.tree(&x).contains(&format!("\"{expected}\"")), "{expected}: {}", a.tree(&x));
    }
    a.undo();
    assert_eq!(a.tree(&x), "[]");
    for expected in ["mine", "Amine", "AmineZ"] {
        a.redo();
        assert!(a.tree(&x).contains(&format!("\"{expected}\"")), "{expected}: {}", a.tree(&x));
    }
    a.redo();
    assert_eq!(a.tree(&x), "[]");
}

#[test]
fn what_came_back_and_was_cut_is_undone_in_all_its_parts() {
    let (mut a, mut b) = (on_text(1), on_text(2));
    a.later().text_insert("t", 0, "bc").unwrap();
    a.later().text_delete("t", 0, 2).unwrap();
    a.undo();
    a.later().text_delete("t", 1, 1).unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().text_delete("t", 0, 1).unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.undo();
    assert_eq!(a.text(), "c");
    // Yjs follows the first part only, and leaves the other one.
    a.undo();
    assert_eq!(a.text(), "");
}

#[test]
fn what_is_kept_inside_a_type_that_goes_stays_readable_for_others() {
    let x = fragment();
    let (mut a, mut b) = (Editor::new(1, from_ref(&x)), Editor::new(2, from_ref(&x)));
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    let element = nested(Kind::XmlElement, 1, 0);
    a.later().entry_set(&element, "k", "1").unwrap();
    a.later().entry_set(&element, "k", "2").unwrap();
    a.undo();
    a.later().text_insert(nested(Kind::XmlText, 1, 1), 0, "new").unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().sequence_delete(&x, 0, 1).unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    let mut c = Replica::new(ClientId::from_u32(3));
    c.apply(&a.replica.state(), &Limits::default()).unwrap();
    assert_eq!(c.tree(&x).unwrap(), a.tree(&x));
    assert_eq!(c.known(), a.replica.known());
}

#[test]
fn an_entry_that_was_replaced_comes_back_in_the_element_that_was_deleted_with_it() {
    let x = fragment();
    let (mut a, mut b) = (Editor::new(1, from_ref(&x)), Editor::new(2, from_ref(&x)));
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    a.later().entry_set(&nested(Kind::XmlElement, 1, 0), "k", "1").unwrap();
    // In one item.
    a.later().entry_set(&nested(Kind::XmlElement, 1, 0), "k", "2").unwrap();
    a.after(1).sequence_delete(&x, 0, 1).unwrap();
    assert!(a.undo());
    meet(&mut a.replica, &mut b.replica);
    assert!(a.tree(&x).contains(r#""attributes":{"k":1}"#), "{}", a.tree(&x));
    assert_eq!(a.tree(&x), b.tree(&x));
}

#[test]
fn what_stood_between_a_copy_and_its_original_comes_back_behind_the_copy() {
    let list = Node::root(Kind::Array, "l");
    let (mut a, mut b) = (Editor::new(1, from_ref(&list)), Editor::new(2, from_ref(&list)));
    a.later().sequence_insert(&list, 0, r#"[{"\u0000":[0,["a"]]}]"#).unwrap();
    let inside = nested(Kind::Array, 1, 0);
    a.later().sequence_delete(&inside, 0, 1).unwrap();
    a.undo();
    // Where Yjs inserts, between the copy (2) and the original (1).
    let between = [1, 1, 7, 0, 0xc8, 1, 2, 1, 1, 1, 119, 1, b'W', 0];
    a.replica.apply(&between, &Limits::default()).unwrap();
    b.replica.apply(&a.replica.state(), &Limits::default()).unwrap();
    a.later().sequence_delete(&inside, 1, 1).unwrap();
    a.later().sequence_delete(&list, 0, 1).unwrap();
    a.undo();
    // Yjs gives it the copy of the copy for both of its neighbors.
    a.undo();
    meet(&mut a.replica, &mut b.replica);
    assert_eq!(a.tree(&list), b.tree(&list));
    assert_eq!(a.tree(&list), r#"[["a","W"]]"#);
}

#[test]
fn what_comes_back_beside_what_was_made_and_deleted_at_once_is_at_its_place() {
    let x = fragment();
    let mut a = Editor::new(1, from_ref(&x));
    a.later().sequence_insert(&x, 0, r#"[{"\u0000":[6,[{"insert":"(-)"}]]}]"#).unwrap();
    a.after(1).text_delete(nested(Kind::XmlText, 1, 0), 1, 1).unwrap();
    a.later().text_insert(nested(Kind::XmlText, 1, 0), 1, "...").unwrap();
    a.undo();
    a.undo();
    a.redo();
    a.redo();
    assert_eq!(a.tree(&x), r#"[{"delta":[{"insert":"(...)"}]}]"#);
}

#[test]
fn a_position_is_where_what_it_stuck_to_has_come_back() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "The garden").unwrap();
    let before = a.replica.position("t", 7, Assoc::After).unwrap();
    let behind = a.replica.position("t", 10, Assoc::Before).unwrap();
    for _ in 0..2 {
        a.later().text_delete("t", 4, 6).unwrap();
        a.undo();
        a.redo();
        a.undo();
    }
    a.later().text_insert("t", 0, "> ").unwrap();
    let resolved = [before, behind].map(|json| a.replica.resolve(&json).unwrap().index);
    assert_eq!(resolved, [9, 12]);
}
