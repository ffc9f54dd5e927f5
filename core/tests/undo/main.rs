//! Undo: what becomes one item, what is taken back, and what others wrote stays.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, and its numbers are small"
)]

mod coming_back;
mod histories;
mod others;
mod scale;

use std::time::Duration;

use coweave_core::doc::replica::{Kind, Node, Place, Replica};
use coweave_core::error::Code;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::time::Time;

/// A replica with one stack of undo.
struct Editor {
    replica: Replica,
    undo: u32,
    now: u64,
}

impl Editor {
    fn new(client: u32, scope: &[Node]) -> Self {
        let mut replica = Replica::new(ClientId::from_u32(client));
        let undo = replica.open_undo(Duration::from_millis(500));
        scope.iter().for_each(|node| replica.widen_undo(undo, node.clone()).unwrap());
        Self { replica, undo, now: 1000 }
    }

    fn after(&mut self, ms: u64) -> &mut Replica {
        self.now += ms;
        self.replica.set_time(Time::from_ms(self.now));
        &mut self.replica
    }

    /// A second later, which begins a new item.
    fn later(&mut self) -> &mut Replica {
        self.after(1000)
    }

    fn undo(&mut self) -> bool {
        self.replica.undo(self.undo, false).unwrap()
    }

    fn redo(&mut self) -> bool {
        self.replica.undo(self.undo, true).unwrap()
    }

    fn text(&self) -> String {
        self.replica.text_string("t")
    }

    fn news(&self) -> String {
        self.replica.take_undo_news(self.undo)
    }

    fn tree(&self, node: &Node) -> String {
        self.replica.tree(node).unwrap()
    }
}

/// Brings the edits of one to the other.
fn send(from: &mut Replica, to: &mut Replica) {
    while let Some(update) = from.take_edits() {
        to.apply(&update, &Limits::default()).unwrap();
    }
}

fn meet(a: &mut Replica, b: &mut Replica) {
    send(a, b);
    send(b, a);
    assert_eq!(a.known(), b.known());
}

fn on_text(client: u32) -> Editor {
    Editor::new(client, &[Node::text("t")])
}

/// A nested type of a client, by the clock of its struct.
fn nested(kind: Kind, client: u32, clock: u64) -> Node {
    Node { kind, place: Place::Nested(ClientId::from_u32(client), clock) }
}

fn fragment() -> Node {
    Node::root(Kind::XmlFragment, "x")
}

/// An element `p` with a text in it, as JSON of [`coweave_core::doc::content`].
const PARAGRAPH: &str = r#"[{"\u0000":[3,"p",{},[{"\u0000":[6,[{"insert":"mine"}]]}]]}]"#;

#[test]
fn undo_takes_back_what_was_typed_and_redo_brings_it_again() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "hello").unwrap();
    a.later().text_delete("t", 0, 2).unwrap();
    assert!(a.undo());
    assert_eq!(a.text(), "hello");
    assert!(a.undo());
    assert_eq!(a.text(), "");
    assert!(!a.undo());
    assert!(a.redo());
    assert_eq!(a.text(), "hello");
    assert!(a.redo());
    assert_eq!(a.text(), "llo");
    assert!(!a.redo());
    let mut b = Replica::new(ClientId::from_u32(2));
    send(&mut a.replica, &mut b);
    assert_eq!(b.text_string("t"), "llo");
    assert_eq!(a.replica.known(), b.known());
}

#[test]
fn edits_soon_after_each_other_are_one_item_and_later_ones_another() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "a").unwrap();
    a.after(499).text_insert("t", 1, "b").unwrap();
    a.after(499).text_insert("t", 2, "c").unwrap();
    a.after(500).text_insert("t", 3, "d").unwrap();
    a.undo();
    assert_eq!(a.text(), "abc");
    a.undo();
    assert_eq!(a.text(), "");
}

#[test]
fn a_group_is_one_item_however_long_it_takes() {
    let mut a = on_text(1);
    a.later().begin(0);
    a.later().text_insert("t", 0, "a").unwrap();
    a.later().text_insert("t", 1, "b").unwrap();
    a.replica.commit();
    a.later().text_insert("t", 2, "c").unwrap();
    a.undo();
    assert_eq!(a.text(), "ab");
    a.undo();
    assert_eq!(a.text(), "");
}

#[test]
fn an_item_ends_when_somebody_says_so() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "a").unwrap();
    a.replica.stop_undo(a.undo);
    a.after(1).text_insert("t", 1, "b").unwrap();
    a.undo();
    assert_eq!(a.text(), "a");
}

#[test]
fn an_edit_after_undo_begins_an_item_and_ends_what_can_be_redone() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "a").unwrap();
    a.later().text_insert("t", 1, "b").unwrap();
    a.undo();
    a.after(1).text_insert("t", 1, "c").unwrap();
    assert!(!a.redo());
    a.undo();
    assert_eq!(a.text(), "a");
}

#[test]
fn what_others_write_is_neither_undone_nor_does_it_end_what_can_be_redone() {
    let (mut a, mut b) = (on_text(1), on_text(2));
    a.later().text_insert("t", 0, "mine").unwrap();
    meet(&mut a.replica, &mut b.replica);
    b.later().text_insert("t", 2, "THEIRS").unwrap();
    meet(&mut a.replica, &mut b.replica);
    assert_eq!(a.text(), "miTHEIRSne");
    a.undo();
    assert_eq!(a.text(), "THEIRS");
    b.later().text_insert("t", 0, "+").unwrap();
    meet(&mut a.replica, &mut b.replica);
    assert!(a.redo());
    assert_eq!(a.text(), "+miTHEIRSne");
    meet(&mut a.replica, &mut b.replica);
    assert_eq!(b.text(), a.text());
}

#[test]
fn only_the_scope_is_undone() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "in").unwrap();
    a.later().text_insert("other", 0, "out").unwrap();
    a.undo();
    assert_eq!((a.text().as_str(), a.replica.text_string("other").as_str()), ("", "out"));
    assert!(!a.undo());
}

#[test]
fn what_is_not_tracked_is_not_undone_and_does_not_end_an_item() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "abc").unwrap();
    a.replica.track(a.undo, false);
    a.after(1).text_insert("t", 3, "DE").unwrap();
    a.replica.track(a.undo, true);
    a.after(1).text_insert("t", 5, "fgh").unwrap();
    a.undo();
    assert_eq!(a.text(), "DE");
    a.redo();
    assert_eq!(a.text(), "abcDEfgh");
}

#[test]
fn two_stacks_do_not_know_of_each_other() {
    let mut a = on_text(1);
    let map = Node::root(Kind::Map, "m");
    let other = a.replica.open_undo(Duration::ZERO);
    a.replica.widen_undo(other, map.clone()).unwrap();
    a.later().text_insert("t", 0, "a").unwrap();
    a.later().entry_set(&map, "k", "1").unwrap();
    a.undo();
    assert_eq!(a.tree(&map), r#"{"k":1}"#);
    assert!(a.replica.undo(other, false).unwrap());
    assert_eq!(a.tree(&map), "{}");
    assert_eq!(a.replica.take_undo_news(other), "[[0,1,0],[1,0,1]]");
}

#[test]
fn undo_is_an_own_edit_and_a_local_change() {
    let mut a = on_text(1);
    a.replica.observe("t", false).unwrap();
    a.later().text_insert("t", 0, "abc").unwrap();
    a.replica.take_edits();
    a.replica.take_changes();
    a.replica.begin(7);
    a.undo();
    a.replica.commit();
    let changes = a.replica.take_changes();
    assert_eq!(changes.len(), 1);
    assert!(changes[0].is_local && changes[0].origin == 7);
    let mut json = String::new();
    changes[0].write(&mut json);
    assert!(json.contains(r#""delta":[{"delete":3}]"#), "{json}");
    assert!(a.replica.take_edits().is_some());
}

#[test]
fn keys_are_typed_on_at_the_right_place_after_undo() {
    let mut a = on_text(1);
    for (at, key) in ["a", "b", "c"].iter().enumerate() {
        a.later().text_insert("t", u32::try_from(at).unwrap(), key).unwrap();
    }
    a.undo();
    a.later().text_insert("t", 2, "x").unwrap();
    a.later().text_insert("t", 3, "y").unwrap();
    a.undo();
    a.redo();
    a.later().text_insert("t", 1, "z").unwrap();
    assert_eq!(a.text(), "azbxy");
    let mut b = Replica::new(ClientId::from_u32(2));
    send(&mut a.replica, &mut b);
    assert_eq!(b.text_string("t"), "azbxy");
}

#[test]
fn emoji_formats_and_entries_come_back() {
    let map = Node::root(Kind::Map, "m");
    let text = Node::text("t");
    let mut a = Editor::new(1, &[text.clone(), map.clone()]);
    a.later().text_insert("t", 0, "a😀b").unwrap();
    a.later().text_apply(&text, r#"[{"retain":1},{"retain":2,"attributes":{"b":true}}]"#).unwrap();
    let bold = a.replica.text_delta(&text).unwrap();
    a.later().text_delete("t", 0, 4).unwrap();
    a.undo();
    assert_eq!(a.replica.text_delta(&text).unwrap(), bold);
    a.undo();
    assert_eq!(a.replica.text_delta(&text).unwrap(), r#"[{"insert":"a😀b"}]"#);
    assert_eq!(a.replica.text_insert("t", 2, "x").unwrap_err().code, Code::ApiSplitSurrogate);
    a.redo();
    assert_eq!(a.replica.text_delta(&text).unwrap(), bold);
    a.later().entry_set(&map, "k", "1").unwrap();
    a.later().entry_set(&map, "k", "2").unwrap();
    a.later().entry_delete(&map, "k").unwrap();
    a.undo();
    assert_eq!(a.tree(&map), r#"{"k":2}"#);
    a.undo();
    assert_eq!(a.tree(&map), r#"{"k":1}"#);
    a.undo();
    assert_eq!(a.tree(&map), "{}");
}

#[test]
fn edits_of_an_instance_before_are_not_undone() {
    let mut before = Replica::new(ClientId::from_u32(9));
    before.text_insert("t", 0, "before").unwrap();
    let mut a = on_text(1);
    a.replica.apply_own(&before.state(), &Limits::default()).unwrap();
    assert!(!a.undo());
    assert_eq!((a.text().as_str(), a.news().as_str()), ("before", "[]"));
}

#[test]
fn another_document_clears_what_can_be_undone() {
    let mut a = on_text(1);
    a.later().text_insert("t", 0, "a").unwrap();
    assert_eq!(a.news(), "[[0,1,0]]");
    let mut fresh = Replica::new(ClientId::from_u32(3));
    fresh.take_over(a.replica);
    let mut a = Editor { replica: fresh, undo: a.undo, now: 10_000 };
    assert_eq!(a.news(), "[[3,0,0]]");
    assert!(!a.undo());
    a.later().text_insert("t", 0, "b").unwrap();
    assert!(a.undo());
}

#[test]
fn characters_cut_in_two_by_others_can_be_undone_and_come_back_as_halves() {
    let (mut a, mut b) = (on_text(1), on_text(2));
    a.replica.observe("t", false).unwrap();
    a.later().text_insert("t", 0, "a😀b").unwrap();
    send(&mut a.replica, &mut b.replica);
    for editor in [&mut a, &mut b] {
        // Half of it, as only a client of JavaScript can say it.
        editor.replica.apply(&[0, 1, 1, 1, 2, 1], &Limits::default()).unwrap();
        assert_eq!(editor.text(), "a\u{fffd}b");
    }
    assert!(a.undo());
    assert_eq!(a.text(), "");
    assert!(a.redo());
    send(&mut a.replica, &mut b.replica);
    assert_eq!((a.text().as_str(), b.text().as_str()), ("a\u{fffd}b", "a\u{fffd}b"));
}
