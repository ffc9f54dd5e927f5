//! Undo takes nothing away that somebody else wrote.

use std::slice::from_ref;

use coweave_core::doc::replica::{Kind, Node, Replica};
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;

use crate::{Editor, PARAGRAPH, fragment, meet, nested};

#[test]
fn an_entry_that_somebody_else_has_set_since_stays() {
    let map = Node::root(Kind::Map, "m");
    let (mut a, mut b) = (Editor::new(1, from_ref(&map)), Editor::new(2, from_ref(&map)));
    a.later().entry_set(&map, "k", "1").unwrap();
    a.later().entry_set(&map, "k", "2").unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().entry_set(&map, "k", "\"theirs\"").unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.undo();
    assert_eq!(a.tree(&map), r#"{"k":"theirs"}"#);
}

#[test]
fn a_paragraph_in_which_somebody_else_has_written_stays() {
    let x = fragment();
    let (mut a, mut b) = (Editor::new(1, from_ref(&x)), Editor::new(2, from_ref(&x)));
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().text_insert(nested(Kind::XmlText, 1, 1), 4, " THEIRS").unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.undo();
    let stays = r#"[{"name":"p","attributes":{},"children":[{"delta":[{"insert":" THEIRS"}]}]}]"#;
    assert_eq!(a.tree(&x), stays);
    a.redo();
    assert!(a.tree(&x).contains("mine THEIRS"), "{}", a.tree(&x));
    meet(&mut a.replica, &mut b.replica);
    assert_eq!(a.tree(&x), b.tree(&x));
}

#[test]
fn a_paragraph_goes_when_nothing_of_others_is_left_in_it() {
    let x = fragment();
    let (mut a, mut b) = (Editor::new(1, from_ref(&x)), Editor::new(2, from_ref(&x)));
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().text_insert(nested(Kind::XmlText, 1, 1), 4, " THEIRS").unwrap();
    b.undo();
    let format = r#"[{"retain":4,"attributes":{"b":true}}]"#;
    b.later().text_apply(&nested(Kind::XmlText, 1, 1), format).unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.undo();
    assert_eq!(a.tree(&x), "[]");
}

#[test]
fn an_item_of_which_everything_has_to_stay_is_passed_over_without_harm_to_others() {
    let list = Node::root(Kind::Array, "l");
    let (mut a, mut b) = (Editor::new(1, from_ref(&list)), Editor::new(2, from_ref(&list)));
    // Two maps, in two items; somebody else sets something in both.
    a.later().sequence_insert(&list, 0, r#"[{"\u0000":[1,{}]}]"#).unwrap();
    a.later().sequence_insert(&list, 1, r#"[{"\u0000":[1,{}]}]"#).unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().entry_set(&nested(Kind::Map, 1, 0), "k", "0").unwrap();
    b.later().entry_set(&nested(Kind::Map, 1, 1), "k", "1").unwrap();
    meet(&mut a.replica, &mut b.replica);
    assert!(!a.undo());
    assert_eq!(a.tree(&list), r#"[{"k":0},{"k":1}]"#);
    assert!(!a.redo());
}

#[test]
fn what_was_brought_back_of_others_is_still_theirs() {
    let x = fragment();
    let (mut a, mut b) = (Editor::new(1, from_ref(&x)), Editor::new(2, from_ref(&x)));
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().text_insert(nested(Kind::XmlText, 1, 1), 4, " THEIRS").unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.later().sequence_delete(&x, 0, 1).unwrap();
    a.undo();
    assert!(a.tree(&x).contains("mine THEIRS"), "{}", a.tree(&x));
    a.undo();
    assert!(a.tree(&x).contains(r#""insert":" THEIRS"#), "{}", a.tree(&x));
    meet(&mut a.replica, &mut b.replica);
    assert_eq!(a.tree(&x), b.tree(&x));
}

#[test]
fn redo_does_not_delete_what_others_wrote_in_what_came_back() {
    let x = fragment();
    let (mut a, mut b) = (Editor::new(1, from_ref(&x)), Editor::new(2, from_ref(&x)));
    a.later().sequence_insert(&x, 0, PARAGRAPH).unwrap();
    a.later().sequence_delete(&x, 0, 1).unwrap();
    a.undo();
    meet(&mut a.replica, &mut b.replica);
    let items = b.replica.sequence_items(&x).unwrap();
    let clock = items.split(',').nth(2).unwrap().parse().unwrap();
    let element = nested(Kind::XmlElement, 1, clock);
    b.later().sequence_insert(&element, 1, r#"[{"\u0000":[6,[{"insert":"THEIRS"}]]}]"#).unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.redo();
    assert!(a.tree(&x).contains("THEIRS") && !a.tree(&x).contains("mine"), "{}", a.tree(&x));
}

#[test]
fn own_copies_of_what_was_deleted_with_the_text_of_others_are_own() {
    let x = fragment();
    let (mut a, mut b) = (Editor::new(1, from_ref(&x)), Editor::new(2, from_ref(&x)));
    b.later().sequence_insert(&x, 0, r#"[{"\u0000":[6,[{"insert":"THEIRS"}]]}]"#).unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.later().sequence_insert(&x, 1, PARAGRAPH).unwrap();
    a.later().begin(0);
    a.replica.text_delete(nested(Kind::XmlText, 2, 0), 0, 6).unwrap();
    a.replica.text_delete(nested(Kind::XmlText, 1, 1), 0, 4).unwrap();
    a.replica.commit();
    a.undo();
    a.undo();
    assert_eq!(a.tree(&x), r#"[{"delta":[{"insert":"THEIRS"}]}]"#);
}

#[test]
fn what_was_imported_is_undone_whoever_wrote_it() {
    let x = fragment();
    let mut other = Replica::new(ClientId::from_u32(9));
    other.sequence_insert(&x, 0, PARAGRAPH).unwrap();
    let mut a = Editor::new(1, from_ref(&x));
    a.later().import(&other.state(), &Limits::default()).unwrap();
    assert_eq!(a.news(), "[[0,1,0]]");
    a.undo();
    assert_eq!(a.tree(&x), "[]");
    a.redo();
    assert!(a.tree(&x).contains("mine"));
}

#[test]
fn a_value_of_others_that_came_back_does_not_give_way_to_an_older_one() {
    let map = Node::root(Kind::Map, "m");
    let (mut a, mut b) = (Editor::new(1, from_ref(&map)), Editor::new(2, from_ref(&map)));
    a.later().entry_set(&map, "k", "1").unwrap();
    a.later().entry_delete(&map, "k").unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().entry_set(&map, "k", "\"theirs\"").unwrap();
    meet(&mut a.replica, &mut b.replica);
    a.later().entry_delete(&map, "k").unwrap();
    assert!(a.undo());
    assert!(!a.undo());
    assert_eq!(a.tree(&map), r#"{"k":"theirs"}"#);
}

#[test]
fn a_value_in_which_others_have_written_does_not_give_way_to_an_older_one() {
    let map = Node::root(Kind::Map, "m");
    let (mut a, mut b) = (Editor::new(1, from_ref(&map)), Editor::new(2, from_ref(&map)));
    a.later().entry_set(&map, "k", "1").unwrap();
    a.later().entry_set(&map, "k", r#"{"\u0000":[1,{}]}"#).unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().entry_set(&nested(Kind::Map, 1, 1), "inside", "2").unwrap();
    meet(&mut a.replica, &mut b.replica);
    assert!(!a.undo());
    assert_eq!(a.tree(&map), r#"{"k":{"inside":2}}"#);
}
