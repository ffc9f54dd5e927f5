//! Where Yjs does something else: what is written, told or taken back.

use std::sync::{Arc, Mutex};

use yrs::types::{Attrs, Delta};
use yrs::undo::UndoManager;
use yrs::{
    Any, Array, Doc, GetString, Observable, Out, ReadTxn, Text, TextPrelim, TextRef, Transact,
    Transaction, TransactionMut,
};

use crate::cases::{apply, document, hex, state};

/// What an edit of a document that begins with `update` is encoded as, beside what Yjs writes.
fn written(update: &str, yjs: &str, edit: fn(&mut TransactionMut<'_>)) -> String {
    let doc = document(2, false);
    apply(&doc, &hex(update)).ok();
    let mut txn = doc.transact_mut();
    edit(&mut txn);
    let bytes = txn.encode_update_v1();
    if bytes == hex(yjs) { "as Yjs".to_owned() } else { format!("{} bytes", bytes.len()) }
}

fn format(name: &str, value: impl Into<Any>) -> Attrs {
    [(name.into(), value.into())].into_iter().collect()
}

/// Of `[1, 2]` the first is deleted, and 3 is inserted at 0.
pub(crate) fn list_neighbors() -> String {
    written(
        "010201000801056172726179017d01880100017d020101010001",
        "01010200480100017d0300",
        |txn| {
            let array = txn.get_array("array");
            if let Some(array) = array {
                array.insert(txn, 0, 3);
            }
        },
    )
}

/// Behind "a", no text at all gets a format.
pub(crate) fn empty_format() -> String {
    written("0101010004010474657874016100", "0000", |txn| {
        let text = txn.get_text("text");
        text.into_iter().for_each(|text| text.format(txn, 1, 0, format("b", true)));
    })
}

/// Behind "a" there is a mark that ends bold, and nothing that begins it; "x" is inserted with a color.
pub(crate) fn before_marks() -> String {
    written(
        "010401000401047465787401618401000162c601000101016204747275658601010162046e756c6c0101010102",
        "010302008601030163013184020001788602010163046e756c6c00",
        |txn| {
            let text = txn.get_text("text");
            let formats = format("c", 1);
            text.into_iter()
                .for_each(|text| text.insert_with_attributes(txn, 1, "x", formats.clone()));
        },
    )
}

/// In how many of ten documents the keys of `{ z, b, a }` are written as they came.
pub(crate) fn order_of_keys() -> String {
    let update = hex("010105002801036d6170016b017603017a7d0101627d0201617d0300");
    let is_same = |_: &usize| {
        let doc = document(9, false);
        apply(&doc, &update).ok();
        state(&doc) == update
    };
    format!("{} of 10", (0..10).filter(is_same).count())
}

/// What is told of a text when another update deletes half of its only character.
pub(crate) fn told_of_half() -> String {
    let doc = document(9, false);
    let told = Arc::new(Mutex::new(Vec::new()));
    let Some(text) = doc.transact().get_text("text") else { return String::new() };
    let telling = Arc::clone(&told);
    text.observe("probe", move |txn, event| {
        let steps = event.delta(txn).iter().map(|step| match step {
            Delta::Inserted(Out::Any(Any::String(text)), _) => format!("+{text}"),
            Delta::Deleted(len) => format!("-{len}"),
            _ => String::new(),
        });
        telling.lock().into_iter().for_each(|mut told| told.extend(steps.clone()));
    });
    apply(&doc, &hex("010101000401047465787404f09f998200")).ok();
    apply(&doc, &hex("000101010001")).ok();
    let left = text.get_string(&doc.transact());
    told.lock().map(|told| format!("{}: {left}", told.join(" "))).unwrap_or_default()
}

/// A makes a text in a list, B writes into it, and A undoes.
pub(crate) fn undo_with_others() -> String {
    let (one, other) = (document(1, false), document(2, false));
    let Some(array) = one.transact().get_array("array") else { return String::new() };
    let mut undo = UndoManager::<()>::new();
    undo.expand_scope(&one, &array);
    array.insert(&mut one.transact_mut(), 0, TextPrelim::new(""));
    apply(&other, &state(&one)).ok();
    write_into(&other);
    apply(&one, &state(&other)).ok();
    undo.undo_blocking();
    let is_left = array.len(&one.transact()) > 0;
    if is_left { "theirs stays".to_owned() } else { "theirs goes".to_owned() }
}

fn write_into(doc: &Doc) {
    let first = |txn: Transaction<'_>| txn.get_array("array")?.get(&txn, 0);
    let text = first(doc.transact()).and_then(|text| text.cast::<TextRef>().ok());
    text.into_iter().for_each(|text| text.push(&mut doc.transact_mut(), "b"));
}
