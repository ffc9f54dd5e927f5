//! Documents of yrs with every kind of content, random edits to them, and what a reader sees.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use coweave_core::doc::known::Known;
use coweave_core::random::Random;
use serde_json::{Value, json};
use yrs::types::text::YChange;
use yrs::types::{Attrs, ToJson};
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;
use yrs::{
    Any, Array, ArrayPrelim, ArrayRef, ClientID, Doc, GetString, Map, MapPrelim, MapRef,
    OffsetKind, Options, Out, ReadTxn, Text, TextPrelim, Transact, TransactionMut, Update,
    WriteTxn, Xml, XmlElementPrelim, XmlFragment, XmlOut, XmlTextPrelim,
};

/// A document with the settings of a replica.
pub(crate) fn document(client: u64) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    options.cleanup_formatting = false;
    let doc = Doc::with_options(options);
    let mut txn = doc.transact_mut();
    txn.get_or_insert_text("plain");
    txn.get_or_insert_text("text");
    txn.get_or_insert_array("array");
    txn.get_or_insert_map("map");
    txn.get_or_insert_xml_fragment("xml");
    drop(txn);
    doc
}

/// A document that took these updates one by one; the error of the first one it cannot take.
pub(crate) fn loaded<B: AsRef<[u8]>>(updates: &[B]) -> Result<Doc, String> {
    let doc = document(1 << 40);
    for update in updates {
        apply(&doc, update.as_ref())?;
    }
    Ok(doc)
}

pub(crate) fn apply(doc: &Doc, update: &[u8]) -> Result<(), String> {
    let update = Update::decode_v1(update).map_err(|error| format!("decoding: {error}"))?;
    doc.transact_mut().apply_update(update).map_err(|error| format!("applying: {error}"))
}

pub(crate) fn state(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_diff_v1(&yrs::StateVector::default())
}

pub(crate) fn known(doc: &Doc) -> Known {
    Known::decode(&doc.transact().state_vector().encode_v1(), u64::MAX).expect("a state vector")
}

/// Whether the document waits for something.
pub(crate) fn is_waiting(doc: &Doc) -> bool {
    doc.transact().has_missing_updates()
}

/// All that a reader sees. Arrays, maps and XML are left out on request: yrs never ends reading a
/// sequence with half a character in it.
pub(crate) fn view(doc: &Doc, with_values: bool) -> Value {
    let txn = doc.transact();
    let text = |name: &str| {
        let text = txn.get_text(name).expect("a root");
        let parts: Vec<Value> = text
            .diff(&txn, YChange::identity)
            .into_iter()
            .map(|part| {
                let marks = serde_json::to_value(&part.attributes).expect("marks");
                json!([plain(&part.insert.to_json(&txn)), marks])
            })
            .collect();
        json!({ "text": text.get_string(&txn), "parts": parts })
    };
    // yrs asserts its way through a root that holds what no array holds.
    let read = |value: &dyn Fn() -> Value| std::panic::catch_unwind(AssertUnwindSafe(value)).ok();
    let values = with_values.then(|| {
        let array = txn.get_array("array").expect("a root");
        let map = txn.get_map("map").expect("a root");
        let fragment = txn.get_xml_fragment("xml").expect("a root");
        json!([
            read(&|| plain(&array.to_json(&txn))),
            read(&|| plain(&map.to_json(&txn))),
            read(&|| json!(xml(&fragment, &txn))),
        ])
    });
    json!({
        "plain": text("plain"),
        "text": text("text"),
        "values": values,
    })
}

/// The children of an XML node.
fn xml<F: XmlFragment, T: ReadTxn>(node: &F, txn: &T) -> Vec<Value> {
    let child = |child| match child {
        XmlOut::Element(element) => {
            let attributes: BTreeMap<String, Value> = element
                .attributes(txn)
                .map(|(name, value)| (name.to_owned(), plain(&value.to_json(txn))))
                .collect();
            json!([element.tag().to_string(), attributes, xml(&element, txn)])
        }
        XmlOut::Text(text) => json!(text.get_string(txn)),
        XmlOut::Fragment(fragment) => json!(xml(&fragment, txn)),
    };
    node.children(txn).map(child).collect()
}

/// JSON with sorted keys.
fn plain(any: &Any) -> Value {
    serde_json::to_value(any).expect("a value")
}

/// Whether edits may use characters of two UTF-16 units.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alphabet {
    Basic,
    Astral,
}

const WORDS: [&str; 11] =
    ["a", "b ", "hello ", "wörld", "é", "日本", "\n", "lorem ipsum ", "0123456789", "🙂", "👩‍👩‍👧"];

pub(crate) fn word(random: &mut Random, alphabet: Alphabet) -> &'static str {
    let count = match alphabet {
        Alphabet::Basic => WORDS.len() - 2,
        Alphabet::Astral => WORDS.len(),
    };
    WORDS[below(random, count)]
}

pub(crate) fn below(random: &mut Random, bound: usize) -> usize {
    random.below(bound as u64) as usize
}

/// An index that lies between two characters.
pub(crate) fn index_between(random: &mut Random, text: &str) -> u32 {
    let chars = text.chars().count();
    let before = below(random, chars + 1);
    text.chars().take(before).map(|c| c.len_utf16() as u32).sum()
}

/// One random edit.
pub(crate) fn edit(random: &mut Random, txn: &mut TransactionMut<'_>, alphabet: Alphabet) {
    match random.below(12) {
        0..=2 => edit_plain(random, txn, alphabet),
        3..=5 => {
            let text = txn.get_or_insert_text("text");
            edit_rich(random, &text, txn);
        }
        6..=7 => {
            let array = txn.get_or_insert_array("array");
            edit_array(random, &array, txn, 2);
        }
        8..=9 => {
            let map = txn.get_or_insert_map("map");
            edit_map(random, &map, txn, 2);
        }
        _ => {
            let fragment = txn.get_or_insert_xml_fragment("xml");
            edit_xml(random, &fragment, txn, 3);
        }
    }
}

/// Text without marks, edited in whole characters.
fn edit_plain(random: &mut Random, txn: &mut TransactionMut<'_>, alphabet: Alphabet) {
    let text = txn.get_or_insert_text("plain");
    let is = text.get_string(txn);
    let index = index_between(random, &is);
    if random.chance(65) || is.is_empty() {
        text.insert(txn, index, word(random, alphabet));
        return;
    }
    let other = index_between(random, &is);
    let (start, end) = (index.min(other), index.max(other));
    if start < end && (end - start < 8 || random.chance(20)) {
        text.remove_range(txn, start, end - start);
    }
}

fn edit_rich<T: Text>(random: &mut Random, text: &T, txn: &mut TransactionMut<'_>) {
    let len = text.len(txn) as usize;
    let at = below(random, len + 1) as u32;
    let word = word(random, Alphabet::Basic);
    match random.below(10) {
        0..=2 => text.insert(txn, at, word),
        3 => text.insert_with_attributes(txn, at, word, marks(random)),
        4 => {
            let embed =
                [Any::from("embedded"), Any::from(7), Any::from_json("{\"a\":[1]}").unwrap()];
            text.insert_embed(txn, at, embed[below(random, embed.len())].clone());
        }
        kind if len > 0 => {
            let start = below(random, len);
            let count = 1 + below(random, 6.min(len - start));
            match kind {
                5..=6 => text.remove_range(txn, start as u32, count as u32),
                _ => text.format(txn, start as u32, count as u32, marks(random)),
            }
        }
        _ => {}
    }
}

fn marks(random: &mut Random) -> Attrs {
    let (key, value) = match random.below(4) {
        0 => ("bold", Any::Bool(true)),
        1 => ("bold", Any::Null),
        2 => ("color", Any::from(["red", "#123"][below(random, 2)])),
        _ => ("link", Any::from_json("{\"href\":\"x\"}").unwrap()),
    };
    Attrs::from([(key.into(), value)])
}

fn value(random: &mut Random, depth: u64) -> Any {
    match random.below(if depth == 0 { 7 } else { 9 }) {
        0 => Any::Null,
        1 => Any::Bool(random.chance(50)),
        2 => Any::from(random.below(100_000) as i64 - 50_000),
        3 => Any::from(random.below(1_000) as f64 / 8.0),
        4 => Any::from(word(random, Alphabet::Basic)),
        5 => Any::from(vec![1, 2, random.below(256) as u8]),
        6 => Any::from((random.below(1 << 53) as i64) - (1 << 52)),
        7 => Any::from_json("{\"k\":[1,{\"l\":null}]}").unwrap(),
        _ => {
            let values: Vec<Any> = (0..random.below(4)).map(|_| value(random, depth - 1)).collect();
            Any::Array(Arc::from(values))
        }
    }
}

fn edit_inside(random: &mut Random, value: Option<Out>, txn: &mut TransactionMut<'_>, depth: u64) {
    match value {
        Some(Out::YMap(map)) => edit_map(random, &map, txn, depth),
        Some(Out::YArray(array)) => edit_array(random, &array, txn, depth),
        Some(Out::YText(text)) => edit_rich(random, &text, txn),
        _ => {}
    }
}

fn edit_map(random: &mut Random, map: &MapRef, txn: &mut TransactionMut<'_>, depth: u64) {
    let key = ["k0", "k1", "k2", "k3"][below(random, 4)];
    match random.below(if depth == 0 { 4 } else { 9 }) {
        0..=2 => drop(map.insert(txn, key, value(random, 2))),
        3 => drop(map.remove(txn, key)),
        4 => drop(map.insert(txn, key, MapPrelim::default())),
        5 => drop(map.insert(txn, key, ArrayPrelim::default())),
        6 => drop(map.insert(txn, key, TextPrelim::new("t"))),
        _ => edit_inside(random, map.get(txn, key), txn, depth - 1),
    }
}

fn edit_array(random: &mut Random, array: &ArrayRef, txn: &mut TransactionMut<'_>, depth: u64) {
    let len = array.len(txn) as usize;
    let at = below(random, len + 1) as u32;
    match random.below(if depth == 0 { 5 } else { 9 }) {
        0..=1 => drop(array.insert(txn, at, value(random, 2))),
        2 => {
            let values: Vec<Any> = (0..1 + random.below(5)).map(|_| value(random, 1)).collect();
            array.insert_range(txn, at, values);
        }
        3..=4 if len > 0 => {
            let start = below(random, len);
            let count = 1 + below(random, 3.min(len - start));
            array.remove_range(txn, start as u32, count as u32);
        }
        5 => drop(array.insert(txn, at, MapPrelim::default())),
        6 => drop(array.insert(txn, at, TextPrelim::new("t"))),
        7..=8 if len > 0 => {
            let inner = array.get(txn, below(random, len) as u32);
            edit_inside(random, inner, txn, depth - 1);
        }
        _ => {}
    }
}

fn edit_xml<F: XmlFragment>(
    random: &mut Random,
    parent: &F,
    txn: &mut TransactionMut<'_>,
    depth: u64,
) {
    let len = parent.len(txn) as usize;
    let at = below(random, len + 1) as u32;
    match random.below(8) {
        0..=1 => {
            let name = ["p", "div", "h1"][below(random, 3)];
            let element = parent.insert(txn, at, XmlElementPrelim::empty(name));
            if random.chance(50) {
                element.insert_attribute(txn, "class", word(random, Alphabet::Basic));
            }
        }
        2 => drop(parent.insert(txn, at, XmlTextPrelim::new(word(random, Alphabet::Basic)))),
        3 if len > 0 => parent.remove_range(txn, below(random, len) as u32, 1),
        _ if len > 0 => match parent.get(txn, below(random, len) as u32) {
            Some(XmlOut::Element(element)) if depth > 0 && random.chance(60) => {
                edit_xml(random, &element, txn, depth - 1);
            }
            Some(XmlOut::Element(element)) if random.chance(30) => {
                element.remove_attribute(txn, &"class");
            }
            Some(XmlOut::Element(element)) => {
                element.insert_attribute(txn, "class", word(random, Alphabet::Basic));
            }
            Some(XmlOut::Text(text)) => edit_rich(random, &text, txn),
            _ => {}
        },
        _ => {}
    }
}
