//! Honest updates with some bytes changed, for a document that is thrown away afterwards.

use std::panic::{self, AssertUnwindSafe};

use crate::cases::{Random, apply, document, honest, state, view};

const INPUTS: u64 = 2_000;

/// How many of them make yrs panic. Some end the process, or never end: then that is the answer.
pub(crate) fn damaged_updates() -> String {
    panic::set_hook(Box::new(|_| {}));
    let updates = honest();
    let mut panics = 0;
    for seed in 0..INPUTS {
        let mut random = Random(seed);
        let picked = random.below(updates.len() as u32) as usize;
        let mut damaged = updates[picked].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(damaged.len() as u32) as usize;
            damaged[at] ^= 1 << random.below(8);
        }
        let whole = panic::catch_unwind(AssertUnwindSafe(|| {
            let doc = document(9, false);
            updates[..picked].iter().for_each(|update| drop(apply(&doc, update)));
            drop(apply(&doc, &damaged));
            drop((view(&doc), state(&doc)));
        }));
        panics += u32::from(whole.is_err());
    }
    format!("{panics} of {INPUTS} panic")
}
