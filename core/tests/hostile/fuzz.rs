//! Hostile updates by the thousand: the guard never panics, and what it lets pass is applied without
//! a panic, waits for nothing, and means the same merged or cut.

use std::io::Write;

use coweave_core::doc::digest::digest;
use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::pieces::pieces;
use coweave_core::doc::splice;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use yrs::Doc;

use crate::bytes::hex;
use crate::documents::{Alphabet, apply, is_waiting, known, loaded, state, view};
use crate::inputs::{CLASSES, Class, Seeds};
use crate::replicas::use_replica;
use crate::setting;

/// How many inputs each class gets in an ordinary run.
const CASES: u64 = 10_000;

/// How the inputs of a class fared.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    passed_live: u64,
    passed_state: u64,
    /// Let pass by the guard, refused by yrs: a parent that is no type.
    refused_by_yrs: u64,
    /// Made a document that depends on the order in which structs are integrated: neighbors that
    /// no editor names together. Then the only measure for a merge is another merge.
    contradictory: u64,
    /// Of these, documents that also depend on where structs are split.
    unlike_yrs: u64,
}

/// The document after a merge by yrs of updates that do not overlap (it loses structs when they
/// do); where it panics or loses structs even so, it is no measure.
fn merged_by_yrs(base: &[u8], difference: &[u8], all: &Known) -> Option<Doc> {
    let merge = || yrs::merge_updates_v1([base, difference]);
    let merged = std::panic::catch_unwind(merge).ok()?.ok()?;
    loaded(&[merged]).ok().filter(|doc| !is_waiting(doc) && known(doc) == *all)
}

fn run(seeds: &Seeds, class: Class, alphabet: Alphabet, cases: u64, first: u64) -> Tally {
    let limits = Limits::default();
    let mut tally = Tally { cases, ..Tally::default() };
    for seed in first..first + cases {
        let mut random = Random::from_seed(seed);
        let input = seeds.input(class, &mut random);
        let nobody = |_: ClientId| false;
        let others = |client: ClientId| client.get() < 3;
        let live = check(&input, &seeds.known, Mode::Live, &others, &limits);
        let passed = check(&input, &seeds.known, Mode::State, &nobody, &limits);
        tally.passed_live += u64::from(live.is_ok());
        assert!(live.is_err() || passed.is_ok(), "{class:?} {seed}: only live passes");
        let Ok(summary) = passed else { continue };
        tally.passed_state += 1;
        let at = format!("{class:?} {seed}: {input:02x?}");
        let mut all = seeds.known.clone();
        all.advance(&summary);
        use_replica(seeds, &input, &all, &mut random)
            .unwrap_or_else(|error| panic!("{error}: {at}"));

        let one_by_one = loaded(&[&seeds.base]).unwrap();
        if apply(&one_by_one, &input).is_err() {
            tally.refused_by_yrs += 1;
            continue;
        }
        assert!(!is_waiting(&one_by_one), "something waits: {at}");
        assert_eq!(known(&one_by_one), all, "{at}");
        let with_values = alphabet == Alphabet::Basic;
        let merged = splice::merge(&[&seeds.base, &input]).unwrap();
        check(&merged, &Known::new(), Mode::State, &nobody, &limits).expect(&at);
        assert_eq!(splice::state_vector(&merged).unwrap(), all, "{at}");
        let difference = splice::difference(&input, &seeds.known).unwrap();
        check(&difference, &seeds.known, Mode::State, &nobody, &limits).expect(&at);
        let on_top = loaded(&[&seeds.base, &difference]).unwrap();
        assert!(!is_waiting(&on_top), "a difference waits: {at}");
        if with_values {
            let seen = view(&one_by_one, true);
            let seen_merged = view(&loaded(&[&merged]).expect(&at), true);
            let is_contradictory = seen_merged != seen;
            tally.contradictory += u64::from(is_contradictory);
            assert!(view(&on_top, true) == seen || is_contradictory, "difference: {at}");
            if is_contradictory {
                let by_yrs = merged_by_yrs(&seeds.base, &difference, &all);
                let is_like_yrs = by_yrs.is_none_or(|doc| view(&doc, true) == seen_merged);
                tally.unlike_yrs += u64::from(!is_like_yrs);
            }
            let again = state(&one_by_one);
            check(&again, &Known::new(), Mode::State, &nobody, &limits).expect(&at);
            assert_eq!(splice::state_vector(&again).unwrap(), all, "{at}");
        } else {
            view(&one_by_one, false);
            view(&loaded(&[&merged]).expect(&at), false);
        }
    }
    tally
}

#[test]
fn no_hostile_update_does_harm() {
    let cases = setting("COWEAVE_FUZZ_CASES", CASES);
    let first = setting("COWEAVE_FUZZ_SEED", 1);
    for alphabet in [Alphabet::Basic, Alphabet::Astral] {
        let seeds = Seeds::new(alphabet);
        for class in CLASSES {
            let tally = run(&seeds, class, alphabet, cases, first);
            if cases > CASES {
                writeln!(std::io::stdout(), "{class:?}: {tally:?}").expect("standard output");
            }
            // The inputs must reach what lies behind the guard.
            let is_rich = !matches!(class, Class::Random | Class::Truncated);
            assert!(!is_rich || tally.passed_state * 1_000 > tally.cases, "{class:?}: {tally:?}");
            // Contradictions are rare among what passes: most of it tests the splice.
            assert!(tally.contradictory * 20 <= tally.passed_state, "{class:?}: {tally:?}");
        }
    }
}

/// Found by `COWEAVE_FUZZ`: a struct whose right neighbor stands to the left of its left one. Where
/// it ends up depends on where the structs around it are split, so readers may see two documents;
/// but nothing is lost, and it is the same bytes for everybody who has squeezed ones.
#[test]
fn neighbors_in_the_wrong_order_keep_their_meaning_in_every_form() {
    let input = hex(
        "01 03 10 00 c8 01 0e 01 0d 01 7e c6 03 16 03 13 05 73 6f 6c 6f 72 06 22 23 31 32 33 22 86
         03 04 05 63 6f 6c 6f 72 04 6e 75 6c 6c 03 01 06 00 04 0d 01 0f 05 16 01 18 02 1c 06 02 09
         01 04 06 01 08 02 0b 03 1f 01 21 05 28 01 2c 01 31 01 03 02 01 05 18 01",
    );
    let Seeds { base, known, .. } = Seeds::new(Alphabet::Basic);
    check(&input, &known, Mode::State, &|_| false, &Limits::default()).unwrap();
    let meaning = digest(&[&base, &input]).unwrap();
    let squeezed = splice::squeeze(&[&base, &input]).unwrap();
    assert_eq!(digest(&[&squeezed]), Ok(meaning));
    for whole in [splice::merge(&[&base, &input]).unwrap(), squeezed] {
        assert!(!is_waiting(&loaded(&[&whole]).unwrap()));
        let pieces = pieces(&whole, &Known::new(), 200).unwrap();
        assert_eq!(digest(&pieces), Ok(meaning));
        assert!(!is_waiting(&loaded(&pieces).unwrap()));
    }
}
