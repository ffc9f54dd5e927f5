//! What real Yjs clients sent (`tests/interop/make-histories.mjs` made it): the guard takes it, it means the same
//! merged, squeezed and in pieces, and what they send again contradicts nothing.

use coweave_core::doc::digest::digest;
use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::pieces::pieces;
use coweave_core::doc::replica::Replica;
use coweave_core::doc::splice;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use serde::Deserialize;

use crate::bytes::hex;
use crate::documents::{loaded, view};
use crate::meaning::check_meaning;
use crate::resends::nothing_contradicts;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct History {
    seed: u64,
    /// Characters were cut in two, which plain yrs does not survive.
    with_halves: bool,
    log: Vec<String>,
    resends: Vec<String>,
}

fn text<B: AsRef<[u8]>>(updates: &[B]) -> String {
    let mut replica = Replica::new(ClientId::from_u32(5));
    for update in updates {
        replica.apply(update.as_ref(), &Limits::default()).unwrap();
    }
    replica.text_string("plain")
}

#[test]
fn histories_of_yjs_mean_the_same_in_every_form() {
    let histories: Vec<History> =
        serde_json::from_str(include_str!("../../../tests/vectors/yjs-histories.json"))
            .expect("histories");
    for History { seed, with_halves, log, resends } in histories {
        let random = &mut Random::from_seed(seed);
        let log: Vec<_> = log.iter().map(|update| hex(update)).collect();
        let resends: Vec<_> = resends.iter().map(|update| hex(update)).collect();
        let mut known = Known::new();
        for update in &log {
            let summary = check(update, &known, Mode::Live, &|_| false, &Limits::default());
            known.advance(&summary.unwrap_or_else(|error| panic!("seed {seed}: {error}")));
        }
        nothing_contradicts(seed, random, &log, &resends);
        if with_halves {
            let (meaning, seen) = (digest(&log).unwrap(), text(&log));
            let squeezed = splice::squeeze(&log).unwrap();
            let cut = pieces(&squeezed, &Known::new(), 200).unwrap();
            assert_eq!(digest(&cut), Ok(meaning), "seed {seed}");
            assert_eq!(text(&cut), seen, "seed {seed}");
            assert_eq!(text(&[squeezed]), seen, "seed {seed}");
        } else {
            let seen = view(&loaded(&log).unwrap(), true);
            check_meaning(seed, random, &log, &seen);
        }
    }
}
