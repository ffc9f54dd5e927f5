//! What is sent again has to be what was sent before: honest resends in every form pass, and lies
//! are found.

use coweave_core::doc::digest::digest;
use coweave_core::doc::equivocation::contradiction;
use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::pieces::pieces;
use coweave_core::doc::splice;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use yrs::Doc;

use crate::bytes::Bytes;
use crate::documents::{below, loaded, state};

fn compare<B: AsRef<[u8]>>(update: &[u8], known: &Known, log: &[B]) -> Option<(u64, u64)> {
    let mut log = log.iter().map(AsRef::as_ref);
    let found = contradiction(update, known, &mut log).unwrap();
    found.map(|(client, clock)| (client.get(), clock))
}

/// Nothing that somebody with a copy of the document sends again is a contradiction.
pub(crate) fn check_resends(seed: u64, random: &mut Random, log: &[Vec<u8>], docs: &[&Doc]) {
    let whole = splice::merge(log).unwrap();
    let old = splice::merge(&log[..below(random, log.len() + 1)]).unwrap();
    let old = splice::state_vector(&old).unwrap();
    let mut forms = vec![whole.clone(), state(&loaded(log).unwrap())];
    forms.push(splice::squeeze(log).unwrap());
    forms.extend(docs.iter().map(|doc| state(doc)));
    let again: Vec<_> = forms.iter().map(|form| state(&loaded(&[form]).unwrap())).collect();
    forms.extend(again);
    forms.extend(forms.clone().iter().map(|form| splice::difference(form, &old).unwrap()));
    forms.extend(pieces(&whole, &Known::new(), 150).unwrap());
    forms.extend_from_slice(log);
    nothing_contradicts(seed, random, log, &forms);
    lies_are_found(seed, random, &whole, log);
}

/// The forms that a log may have.
fn logs(random: &mut Random, log: &[Vec<u8>]) -> [Vec<Vec<u8>>; 4] {
    let half = below(random, log.len() + 1);
    let mut folded = vec![splice::squeeze(&log[..half]).unwrap()];
    folded.extend_from_slice(&log[half..]);
    let whole = splice::merge(log).unwrap();
    [log.to_vec(), vec![whole], vec![splice::squeeze(log).unwrap()], folded]
}

/// Compares updates of those who have some of a log with all forms that the log may have.
pub(crate) fn nothing_contradicts(
    seed: u64,
    random: &mut Random,
    log: &[Vec<u8>],
    forms: &[Vec<u8>],
) {
    let known = splice::state_vector(&splice::merge(log).unwrap()).unwrap();
    let old = splice::merge(&log[..below(random, log.len() + 1)]).unwrap();
    let old = splice::state_vector(&old).unwrap();
    let logs = logs(random, log);
    for form in forms {
        for log in &logs {
            let found = compare(form, &known, log);
            assert_eq!(found, None, "seed {seed}: {form:02x?}");
            // Of a part of the log, the rest is news.
            let found = compare(form, &old, log);
            assert_eq!(found, None, "seed {seed}: partly known: {form:02x?}");
        }
    }
}

/// Where another content stands under an id, it is found in each form of the log, unless that lost
/// its own.
fn lies_are_found(seed: u64, random: &mut Random, whole: &[u8], log: &[Vec<u8>]) {
    let known = &splice::state_vector(whole).unwrap();
    let logs = logs(random, log);
    let meaning = digest(&[whole]).unwrap();
    for _ in 0..8 {
        let mut lie = whole.to_vec();
        let at = below(random, lie.len());
        lie[at] ^= 1 << random.below(8);
        let limits = Limits::default();
        let passes = check(&lie, &Known::new(), Mode::State, &|_| false, &limits);
        if passes.is_err() || splice::state_vector(&lie).unwrap() != *known {
            continue;
        }
        let found: Vec<_> = logs.iter().map(|log| compare(&lie, known, log)).collect();
        if found.iter().any(Option::is_some) {
            assert!(found[0].is_some(), "seed {seed}: the log itself holds the most: {lie:02x?}");
            assert_eq!(found[0], found[1], "seed {seed}: merged: {lie:02x?}");
        } else if splice::squeeze(&[&lie]) == splice::squeeze(&[whole]) {
            assert_eq!(digest(&[&lie]).unwrap(), meaning, "seed {seed}: byte {at}");
        }
    }
}

fn known(clocks: &[(u32, u64)]) -> Known {
    let mut known = Known::new();
    clocks.iter().for_each(|(client, end)| known.reach(ClientId::from_u32(*client), *end));
    known
}

/// Client 5 has written "hello" into a root, in two parts, and then "XY" before the "h".
fn log() -> [Vec<u8>; 3] {
    [
        Bytes::section(1, 5, 0).in_root(4, "t").string("he").end(),
        Bytes::section(1, 5, 2).behind(4, 5, 1).string("llo").end(),
        Bytes::section(1, 5, 5).raw(&[0x44, 5, 0]).string("XY").end(),
    ]
}

#[test]
fn another_content_or_place_under_a_known_id_is_a_contradiction() {
    let known = known(&[(5, 7), (6, 1)]);
    let told = |update: Vec<u8>| compare(&update, &known, &log());
    let root = |text: &str| Bytes::section(1, 5, 0).in_root(4, "t").string(text).end();
    assert_eq!(told(root("hello")), None, "in one");
    assert_eq!(told(root("hel")), None, "a part");
    assert_eq!(told(root("hallo")), Some((5, 1)), "another letter");
    assert_eq!(told(root("helloXY")), Some((5, 5)), "another origin");
    let tail = |text: &str| Bytes::section(1, 5, 3).behind(4, 5, 2).string(text).end();
    assert_eq!(told(tail("lo")), None, "the end of a struct");
    assert_eq!(told(tail("la")), Some((5, 4)));
    let other = Bytes::section(1, 5, 3).behind(4, 5, 1).string("lo").end();
    assert_eq!(told(other), Some((5, 3)), "another origin in the middle");
    let root = Bytes::section(1, 5, 0).in_root(4, "u").string("he").end();
    assert_eq!(told(root), Some((5, 0)), "another root");
    let right = Bytes::section(1, 5, 5).raw(&[0x44, 5, 1]).string("XY").end();
    assert_eq!(told(right), Some((5, 5)), "another right origin");
    let kind = Bytes::section(1, 5, 0).in_root(8, "t").raw(&[2, 126, 126]).end();
    assert_eq!(told(kind), Some((5, 0)), "another kind");
    let embed = Bytes::section(1, 5, 5).raw(&[0x45, 5, 0]).string("1").end();
    assert_eq!(told(embed), Some((5, 5)), "another kind in the same place");
}

#[test]
fn where_content_is_gone_there_is_nothing_to_contradict() {
    let known = known(&[(5, 7)]);
    let gone = Bytes::section(2, 5, 0).raw(&[0, 2]).behind(1, 5, 1).var(3).deleting(5, 0, 5);
    assert_eq!(compare(&gone, &known, &log()), None, "it was deleted since");
    let text = Bytes::section(1, 5, 0).in_root(4, "u").string("never").end();
    let without = [gone.clone(), log()[2].clone()];
    assert_eq!(compare(&text, &known, &without), None, "it cannot be compared any more");
    // What comes later in a log, and is dropped from it as known, does not count.
    let with_rest = [gone, text, log()[2].clone()];
    assert_eq!(compare(&log()[0], &known, &with_rest), None);
}

#[test]
fn what_is_new_does_not_touch_the_log() {
    let mut log = std::iter::from_fn(|| -> Option<&[u8]> { panic!("the log was read") });
    let new = Bytes::section(1, 5, 7).behind(4, 5, 4).string("!").deleting(5, 0, 2);
    assert_eq!(contradiction(&new, &known(&[(5, 7)]), &mut log), Ok(None));
    let new = Bytes::section(1, 6, 0).in_root(4, "t").string("!").end();
    assert_eq!(contradiction(&new, &known(&[(5, 7)]), &mut log), Ok(None));
}

#[test]
fn the_log_is_read_no_further_than_needed() {
    let log = log();
    let mut read = 0;
    let mut entries = log.iter().map(|update| {
        read += 1;
        update.as_slice()
    });
    assert_eq!(contradiction(&log[0], &known(&[(5, 7)]), &mut entries), Ok(None));
    assert_eq!(read, 1);
    // Updates of others, and later ones of the same client, are known by their first bytes.
    let unreadable = [vec![1, 1, 6, 0, 0xff], vec![1, 1, 5, 2, 0xff], vec![0, 0xff]];
    let entries: Vec<&[u8]> = unreadable.iter().chain(&log).map(Vec::as_slice).collect();
    let found = contradiction(&log[0], &known(&[(5, 7)]), &mut entries.into_iter());
    assert_eq!(found, Ok(None));
}

#[test]
fn values_in_another_form_are_the_same_values() {
    let section = |content: &[u8]| Bytes::section(1, 5, 0).raw(content).end();
    let values = |values: &[u8]| section(&[&[8, 1, 1, b'a', 1], values].concat());
    let is_same = |a: &[u8], b: &[u8]| compare(b, &known(&[(5, 1)]), &[a]).is_none();
    let ab = [118, 2, 1, b'a', 125, 1, 1, b'b', 125, 2];
    let ba = [118, 2, 1, b'b', 125, 2, 1, b'a', 125, 1];
    assert!(is_same(&values(&ab), &values(&ba)), "keys in another order");
    let other = [118, 2, 1, b'b', 125, 1, 1, b'a', 125, 2];
    assert!(!is_same(&values(&ab), &values(&other)));
    let float: Vec<u8> = [&[123][..], &(-70.0f64).to_be_bytes()].concat();
    assert!(is_same(&values(&[125, 0xc6, 1]), &values(&float)), "an integer as a float");
    let single: Vec<u8> = [&[124][..], &(-70.0f32).to_be_bytes()].concat();
    assert!(is_same(&values(&single), &values(&float)));
    let big: Vec<u8> = [&[122][..], &(-70i64).to_be_bytes()].concat();
    assert!(is_same(&values(&big), &values(&float)));
    assert!(!is_same(&values(&[125, 0x86, 1]), &values(&float)), "another sign");
    assert!(!is_same(&values(&[126]), &values(&[127])), "null is not undefined");
    let array = |first, second| values(&[117, 2, 125, first, 125, second]);
    assert!(!is_same(&array(1, 2), &array(2, 1)), "arrays have an order");

    let json = |content: u8, strings: &[&str]| {
        let start = Bytes::section(1, 5, 0).in_root(content, "a");
        strings.iter().fold(start, |bytes, text| bytes.string(text)).end()
    };
    let embed = |text: &str| json(5, &[text]);
    assert!(is_same(&embed(r#"{"a":1,"b":[2]}"#), &embed(r#"{"b":[2.0],"a":1}"#)));
    assert!(!is_same(&embed(r#"{"a":1,"b":[2]}"#), &embed(r#"{"b":[2.5],"a":1}"#)));
    assert!(is_same(&json(6, &["bold", "1"]), &json(6, &["bold", "1.0"])));
    assert!(!is_same(&json(6, &["bold", "1"]), &json(6, &["italic", "1"])));
    let halves = |text: &str| json(4, &[text]);
    let pair = |b: &str| compare(&halves(b), &known(&[(5, 2)]), &[halves("🙂")]).is_none();
    assert!(pair("\u{fffd}\u{fffd}") && !pair("ab") && !pair("🙃"), "half a character");
}
