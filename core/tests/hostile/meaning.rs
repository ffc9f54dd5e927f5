//! What updates mean stays the same when they are merged, squeezed and cut into pieces.

use coweave_core::doc::digest::digest;
use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::pieces::pieces as cut;
use coweave_core::doc::splice;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use serde_json::Value;
use yrs::Doc;

use crate::documents::{apply, below, is_waiting, known as reached, loaded, view};

/// Checks everything that is done with the bytes of a log, which makes a document look like `seen`.
pub(crate) fn check_meaning(seed: u64, random: &mut Random, log: &[Vec<u8>], seen: &Value) {
    let merged = splice::merge(log).unwrap();
    let squeezed = splice::squeeze(log).unwrap();
    let meaning = digest(log).unwrap();
    assert_eq!(digest(&[&merged]).unwrap(), meaning, "seed {seed}: merged");
    assert_eq!(digest(&[&squeezed]).unwrap(), meaning, "seed {seed}: squeezed");
    assert_eq!(splice::squeeze(&[&squeezed]).unwrap(), squeezed, "seed {seed}: squeezed twice");
    assert_eq!(splice::squeeze(&[&merged]).unwrap(), squeezed, "seed {seed}: merged, squeezed");

    // A log that was squeezed now and then, with what was sent again in between.
    let mut folded: Vec<Vec<u8>> = Vec::new();
    for (index, update) in log.iter().enumerate() {
        folded.push(update.clone());
        match random.below(12) {
            0 => folded = vec![splice::squeeze(&folded).unwrap()],
            1 => folded.push(log[below(random, index + 1)].clone()),
            _ => {}
        }
    }
    let folded_seen = view(&loaded(&[splice::squeeze(&folded).unwrap()]).unwrap(), true);
    assert_eq!(folded_seen, *seen, "seed {seed}: squeezed now and then");

    for source in [&merged, &squeezed] {
        same_for_everybody(seed, random, log, source, seen);
        in_pieces(seed, random, log, source, seen);
    }
    if merged.len() > 40 {
        other_updates_mean_other_things(seed, random, &merged, seen);
    }
}

fn expect(seed: u64, doc: &Doc, seen: &Value, what: &str) {
    assert!(!is_waiting(doc), "seed {seed}: {what}: something waits");
    assert_eq!(view(doc, true), *seen, "seed {seed}: {what}");
}

/// Old copies, resends of everything and updates that come late end the same.
fn same_for_everybody(
    seed: u64,
    random: &mut Random,
    log: &[Vec<u8>],
    source: &[u8],
    seen: &Value,
) {
    let fresh = loaded(&[source]).unwrap();
    expect(seed, &fresh, seen, "fresh");
    log.iter().for_each(|update| apply(&fresh, update).unwrap());
    expect(seed, &fresh, seen, "fresh, then the log again");
    let old = loaded(&log[..below(random, log.len() + 1)]).unwrap();
    apply(&old, source).unwrap();
    expect(seed, &old, seen, "an old copy");
    let full = loaded(log).unwrap();
    apply(&full, source).unwrap();
    expect(seed, &full, seen, "a full copy");
    assert_eq!(reached(&full), reached(&fresh), "seed {seed}: a full copy");
}

fn in_pieces(seed: u64, random: &mut Random, log: &[Vec<u8>], source: &[u8], seen: &Value) {
    let limits = Limits::default();
    let old = match random.chance(50) {
        true => loaded(&log[..below(random, log.len() + 1)]).unwrap(),
        false => loaded::<Vec<u8>>(&[]).unwrap(),
    };
    let mut known = reached(&old);
    let whole = splice::difference(source, &known).unwrap();
    let bytes_max = [0, 150, 300, 1_000, 1 << 20][below(random, 5)];
    let pieces = cut(source, &known, bytes_max).unwrap();
    assert!(bytes_max < source.len() || pieces.len() <= 1, "seed {seed}: it fits");
    assert!(!pieces.iter().any(|piece| *piece == [0, 0]), "seed {seed}: an empty piece");
    let meaning = digest(&pieces).unwrap();
    assert_eq!(meaning, digest(&[&whole]).unwrap(), "seed {seed}: in pieces");
    for piece in &pieces {
        assert!(piece.len() <= bytes_max.max(500), "seed {seed}: {} bytes", piece.len());
        let summary = check(piece, &known, Mode::State, &|_| false, &limits);
        let summary = summary.unwrap_or_else(|error| panic!("seed {seed}: {error}: {piece:02x?}"));
        known.advance(&summary);
        apply(&old, piece).unwrap();
        assert!(!is_waiting(&old), "seed {seed}: a piece waits");
    }
    expect(seed, &old, seen, "pieces");
    // Cut off in the middle, and resumed with what the receiver has by then.
    let half = loaded(&pieces[..below(random, pieces.len() + 1)]).unwrap();
    if !is_waiting(&half) {
        let rest = cut(source, &reached(&half), 400);
        rest.unwrap().iter().for_each(|piece| apply(&half, piece).unwrap());
        expect(seed, &half, seen, "resumed");
    }
}

/// One changed byte of which a reader sees something is noticed.
fn other_updates_mean_other_things(seed: u64, random: &mut Random, merged: &[u8], seen: &Value) {
    let meaning = digest(&[merged]).unwrap();
    for _ in 0..8 {
        let mut other = merged.to_vec();
        let at = below(random, other.len());
        other[at] ^= 1 << random.below(8);
        if check(&other, &Known::new(), Mode::State, &|_| false, &Limits::default()).is_err() {
            continue;
        }
        let Ok(doc) = loaded(&[&other]) else { continue };
        if ["plain", "text"].iter().any(|name| view(&doc, false)[name] != seen[name]) {
            assert_ne!(digest(&[&other]).unwrap(), meaning, "seed {seed}: byte {at}");
        }
    }
}
