//! The cases: small honest histories, bytes that no client sends, and times.

use std::time::Instant;

use yrs::types::Delta;
use yrs::types::text::YChange;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, Array, ArrayPrelim, ClientID, Doc, GetString, Map, OffsetKind, Options, ReadTxn,
    StateVector, Text, Transact, Update, WriteTxn,
};

use crate::beside::{
    before_marks, empty_format, list_neighbors, order_of_keys, told_of_half, undo_with_others,
};
use crate::damage::damaged_updates;

/// A question to yrs.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The right answer; empty where any will do.
    pub(crate) wanted: &'static str,
    pub(crate) run: fn() -> String,
}

const fn case(name: &'static str, wanted: &'static str, run: fn() -> String) -> Case {
    Case { name, wanted, run }
}

pub(crate) const CASES: &[Case] = &[
    case("in order: people converge", "200 of 200", || histories(false, false)),
    case("out of order: people converge", "200 of 200", || histories(true, false)),
    case("out of order: one waits", "all there", waiting),
    case("out of order: two wait, one for the other", "all there", waiting_in_turn),
    case("formats, tidied up: people converge", "200 of 200", || formatted(true)),
    case("formats, left alone: people converge", "200 of 200", || formatted(false)),
    case("a delta deletes the end of bold text and types", "plain", delta_after_deletion),
    case("half an emoji is deleted", "4 \"a\u{fffd}b\"", cut_pair),
    case("a list with an emoji among its entries", "read", astral_list),
    case("a format under a key is observed", "told", format_under_key),
    case("a client without structs (F1)", "refused", || hostile("0100010900")),
    case("a skip near 2^32 (F3)", "refused", || hostile("010201feffffff0f0a01000300")),
    case("a document that waits (F5)", "refused", || hostile("010103ff7f020009200005617272617900")),
    case("JSON of two elements, as Yjs once wrote it", "read", legacy_json),
    case("bytes at the top survive version 2", "read", bytes_in_v2),
    case("2,000 damaged updates", "0 of 2000 panic", damaged_updates),
    case("types nested 30,000 deep are deleted", "deleted", deep),
    case("half of the only character goes: told", "+🙂 -2 +\u{fffd}: \u{fffd}", told_of_half),
    case("an entry before what is left of a list", "as Yjs", list_neighbors),
    case("a format for no text", "as Yjs", empty_format),
    case("a format before a mark that ends nothing", "as Yjs", before_marks),
    case("the keys of an object keep their order", "10 of 10", order_of_keys),
    case("undo of a text into which others wrote", "theirs stays", undo_with_others),
    case("20,000 keys at the end of a text", "", || typing(0)),
    case("2,000 keys in the middle of a scattered text", "", || typing(2)),
    case("loading 5,000 scattered keys", "", loading),
];

/// A small generator of random numbers (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) % u64::from(bound.max(1))).unwrap_or(0)
    }
}

pub(crate) fn document(client: u64, tidies_up: bool) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    options.cleanup_formatting = tidies_up;
    let doc = Doc::with_options(options);
    let mut txn = doc.transact_mut();
    txn.get_or_insert_text("text");
    txn.get_or_insert_array("array");
    txn.get_or_insert_map("map");
    drop(txn);
    doc
}

pub(crate) fn apply(doc: &Doc, update: &[u8]) -> Result<(), String> {
    let update = Update::decode_v1(update).map_err(|error| error.to_string())?;
    doc.transact_mut().apply_update(update).map_err(|error| error.to_string())
}

pub(crate) fn state(doc: &Doc) -> Vec<u8> {
    doc.transact().encode_diff_v1(&StateVector::default())
}

pub(crate) fn view(doc: &Doc) -> String {
    let txn = doc.transact();
    let Some((text, array)) = txn.get_text("text").zip(txn.get_array("array")) else {
        return String::new();
    };
    let parts: Vec<String> = text
        .diff(&txn, YChange::identity)
        .into_iter()
        .map(|part| {
            let mut formats: Vec<_> = part.attributes.into_iter().flat_map(|it| *it).collect();
            formats.sort_by(|(a, _), (b, _)| a.cmp(b));
            format!("{:?} {formats:?}", part.insert)
        })
        .collect();
    let items: Vec<_> = array.iter(&txn).collect();
    format!("{parts:?} {items:?}")
}

fn edit(doc: &Doc, random: &mut Random, with_formats: bool) -> Vec<u8> {
    let mut txn = doc.transact_mut();
    let text = txn.get_or_insert_text("text");
    let array = txn.get_or_insert_array("array");
    let len = text.len(&txn);
    match random.below(if with_formats { 8 } else { 5 }) {
        0 | 1 => text.insert(
            &mut txn,
            random.below(len + 1),
            ["a", "hello ", "é"][random.below(3) as usize],
        ),
        2 if len > 0 => {
            let at = random.below(len);
            text.remove_range(&mut txn, at, 1 + random.below((len - at).min(4)));
        }
        3 => {
            let at = random.below(array.len(&txn) + 1);
            array.insert(&mut txn, at, f64::from(random.below(9)));
        }
        4 => {
            let at = random.below(array.len(&txn) + 1);
            array.insert(&mut txn, at, ArrayPrelim::default());
        }
        _ if len > 0 => {
            let at = random.below(len);
            let value = [Any::Bool(true), Any::Null][random.below(2) as usize].clone();
            let formats = [("bold".into(), value)].into_iter().collect();
            text.format(&mut txn, at, 1 + random.below((len - at).min(6)), formats);
        }
        _ => {}
    }
    txn.encode_update_v1()
}

/// Histories of three people who read one log at their own pace.
fn count(is_shuffled: bool, with_formats: bool, tidies_up: bool) -> String {
    let mut same = 0;
    for seed in 0..200 {
        let mut random = Random(seed);
        let docs = [1, 2, 3].map(|client| document(client, tidies_up));
        let mut log = Vec::new();
        let mut read = [0; 3];
        for _ in 0..40 {
            let who = random.below(3) as usize;
            let upto = read[who] + random.below((log.len() - read[who] + 1) as u32) as usize;
            let news: &[Vec<u8>] = &log[read[who]..upto];
            if news.iter().any(|update| apply(&docs[who], update).is_err()) {
                return "an update is refused".to_owned();
            }
            read[who] = upto;
            log.push(edit(&docs[who], &mut random, with_formats));
        }
        for (doc, read) in docs.iter().zip(read) {
            for update in &log[read..] {
                apply(doc, update).ok();
            }
        }
        let late = document(9, tidies_up);
        let mut order: Vec<usize> = (0..log.len()).collect();
        for at in (1..order.len()).rev().filter(|_| is_shuffled) {
            order.swap(at, random.below(at as u32 + 1) as usize);
        }
        for at in order {
            apply(&late, &log[at]).ok();
        }
        let first = view(&docs[0]);
        same += u32::from(docs.iter().chain([&late]).all(|doc| view(doc) == first));
    }
    format!("{same} of 200")
}

fn histories(is_shuffled: bool, with_formats: bool) -> String {
    count(is_shuffled, with_formats, false)
}

fn formatted(tidies_up: bool) -> String {
    count(false, true, tidies_up)
}

/// A writes to a list and to a map; B, who has the first, writes behind it; the second one comes first.
fn waiting() -> String {
    let (a, b, reader) = (document(1, false), document(2, false), document(9, false));
    let write = |doc: &Doc, at: Option<u32>| {
        let mut txn = doc.transact_mut();
        match at {
            Some(at) => drop(txn.get_or_insert_array("array").insert(&mut txn, at, "x")),
            None => drop(txn.get_or_insert_map("map").insert(&mut txn, "k", 1)),
        }
        txn.encode_update_v1()
    };
    let (first, second) = (write(&a, Some(0)), write(&a, None));
    apply(&b, &first).ok();
    let third = write(&b, Some(1));
    for update in [second, third, first] {
        apply(&reader, &update).ok();
    }
    let txn = reader.transact();
    let len = txn.get_array("array").map_or(0, |array| array.len(&txn));
    if len == 2 { "all there".to_owned() } else { format!("{len} of 2 are there") }
}

/// A writes to a list, B before it, and A before that; they come the other way round.
fn waiting_in_turn() -> String {
    let reader = document(9, false);
    let updates = [
        "01010101480200017c4100000000",
        "01010200480100017c40e0000000",
        "010101000801056172726179017c40c0000000",
    ];
    for update in updates {
        apply(&reader, &hex(update)).ok();
    }
    let txn = reader.transact();
    let len = txn.get_array("array").map_or(0, |array| array.len(&txn));
    if len == 3 { "all there".to_owned() } else { format!("{len} of 3 are there") }
}

/// What is left of "a🙂b" when half an emoji is deleted, read from what is encoded anew.
fn cut_pair() -> String {
    let doc = document(9, false);
    apply(&doc, &hex("01010100040104746578740661f09f99826200")).ok();
    apply(&doc, &hex("000101010201")).ok();
    let again = document(10, false);
    apply(&again, &state(&doc)).ok();
    let txn = again.transact();
    let text = txn.get_text("text").map(|text| text.get_string(&txn)).unwrap_or_default();
    format!("{} {text:?}", txn.state_vector().get(&ClientID::new(1)))
}

/// What the second half of "arld" has for formats, whose last three letters were bold, when a delta
/// replaces its last two.
fn delta_after_deletion() -> String {
    let doc = document(1, false);
    let mut txn = doc.transact_mut();
    let text = txn.get_or_insert_text("text");
    text.insert(&mut txn, 0, "arld");
    text.format(&mut txn, 1, 3, [("bold".into(), Any::Bool(true))].into_iter().collect());
    let steps: [Delta<&str>; 3] =
        [Delta::Retain(2, None), Delta::Deleted(2), Delta::Inserted("X", None)];
    text.apply_delta(&mut txn, steps);
    let parts = text.diff(&txn, YChange::identity);
    let is_plain = parts.last().is_some_and(|part| part.attributes.is_none());
    if is_plain { "plain".to_owned() } else { "bold".to_owned() }
}

/// The updates of a short history with formats, in order.
pub(crate) fn honest() -> Vec<Vec<u8>> {
    let docs = [1, 2, 3].map(|client| document(client, false));
    let mut random = Random(7);
    let mut log = Vec::new();
    for _ in 0..30 {
        let update = edit(&docs[random.below(3) as usize], &mut random, true);
        docs.iter().for_each(|doc| drop(apply(doc, &update)));
        log.push(update);
    }
    log
}

fn astral_list() -> String {
    let doc = document(9, false);
    apply(&doc, &hex("01010100040105617272617904f09f998200")).ok();
    drop(view(&doc));
    "read".to_owned()
}

fn format_under_key() -> String {
    let doc = document(9, false);
    let map = doc.transact_mut().get_or_insert_map("map");
    yrs::DeepObservable::observe_deep(&map, "probe", |txn, events| {
        for event in events.iter() {
            if let yrs::types::Event::Map(event) = event {
                event.keys(txn);
            }
        }
    });
    apply(&doc, &hex("0101010026 01 03 6d6170 01 6b 04 626f6c64 04 74727565 00")).ok();
    "told".to_owned()
}

fn hostile(update: &str) -> String {
    let doc = document(9, false);
    let mut txn = doc.transact_mut();
    txn.get_or_insert_text("text").insert(&mut txn, 0, "hello");
    drop(txn);
    apply(&doc, &hex("0101010004010474657874026f6b00")).ok();
    let taken = apply(&doc, &hex(update));
    drop((view(&doc), state(&doc)));
    if taken.is_ok() { "taken".to_owned() } else { "refused".to_owned() }
}

fn legacy_json() -> String {
    let read = Update::decode_v1(&hex("010109000201056172726179020131032261 2200"));
    if read.is_ok() { "read".to_owned() } else { "refused".to_owned() }
}

fn bytes_in_v2() -> String {
    let doc = document(9, false);
    apply(&doc, &hex("010101000301056172726179020102 00")).ok();
    let encoded = doc.transact().encode_state_as_update_v2(&StateVector::default());
    if Update::decode_v2(&encoded).is_ok() { "read".to_owned() } else { "unreadable".to_owned() }
}

fn deep() -> String {
    let doc = document(9, false);
    let mut update = vec![1];
    var(&mut update, 30_000);
    update.extend([1, 0, 7, 1, 5]);
    update.extend(b"array");
    update.push(0);
    for level in 1..30_000 {
        update.extend([7, 0, 1]);
        var(&mut update, level - 1);
        update.push(0);
    }
    update.push(0);
    let taken = apply(&doc, &update);
    let mut txn = doc.transact_mut();
    txn.get_or_insert_array("array").remove_range(&mut txn, 0, 1);
    taken.err().unwrap_or_else(|| "deleted".to_owned())
}

/// Keys one by one, at a part of the text: the last one for zero, the middle for two.
fn typing(part: u32) -> String {
    let doc = document(1, false);
    let keys = if part == 0 { 20_000 } else { 2_000 };
    if part > 0 {
        let mut random = Random(1);
        (0..5_000).for_each(|_| type_at(&doc, |len| random.below(len + 1)));
    }
    let began = Instant::now();
    (0..keys).for_each(|_| type_at(&doc, |len| len.checked_div(part).unwrap_or(len)));
    let micros = began.elapsed().as_micros() / keys;
    format!("{micros} µs each")
}

fn type_at(doc: &Doc, at: impl FnOnce(u32) -> u32) {
    let mut txn = doc.transact_mut();
    let text = txn.get_or_insert_text("text");
    let at = at(text.len(&txn));
    text.insert(&mut txn, at, "x");
    drop(txn.encode_update_v1());
}

fn loading() -> String {
    let doc = document(1, false);
    let mut random = Random(1);
    (0..5_000).for_each(|_| type_at(&doc, |len| random.below(len + 1)));
    let encoded = state(&doc);
    let began = Instant::now();
    apply(&document(2, false), &encoded).ok();
    format!("{} ms for {} bytes", began.elapsed().as_millis(), encoded.len())
}

fn var(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 128 {
        bytes.push((value & 127 | 128) as u8);
        value >>= 7;
    }
    bytes.push(value as u8);
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|char| char.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
