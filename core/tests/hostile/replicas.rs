//! What a client does with an update that its relay let pass.

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::{Assoc, Replica};
use coweave_core::doc::splice;
use coweave_core::error::Error;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;

use crate::inputs::Seeds;

/// The app brings the input: its edits bring a follower to where everybody is who took it in.
fn import(seeds: &Seeds, input: &[u8], taken: &Replica) -> Result<(), Error> {
    let limits = Limits::default();
    let mut importer = Replica::new(ClientId::from_u32(79));
    let mut follower = Replica::new(ClientId::from_u32(80));
    importer.apply(&seeds.base, &limits)?;
    follower.apply(&seeds.base, &limits)?;
    importer.import(input, &limits)?;
    while let Some(edit) = importer.take_edits() {
        follower.apply(&edit, &limits)?;
    }
    for replica in [importer, follower] {
        assert_eq!(replica.known(), taken.known());
        for text in ["plain", "text", "xml"] {
            assert_eq!(replica.text_string(text), taken.text_string(text));
        }
    }
    Ok(())
}

/// Takes an input into a copy of the document, reads it and edits it.
pub(crate) fn use_replica(
    seeds: &Seeds,
    input: &[u8],
    all: &Known,
    random: &mut Random,
) -> Result<(), Error> {
    let limits = Limits::default();
    let mut replica = Replica::new(ClientId::from_u32(77));
    replica.observe("plain", false).unwrap();
    replica.apply(&seeds.base, &limits)?;
    replica.apply(input, &limits)?;
    assert_eq!(replica.known(), all);
    import(seeds, input, &replica)?;
    let state = replica.state();
    check(&state, &Known::new(), Mode::State, &|_| false, &limits)?;
    assert_eq!(splice::state_vector(&state)?, *all);
    Replica::new(ClientId::from_u32(78)).apply(&state, &limits)?;
    for text in ["plain", "text", "xml"] {
        let len = replica.text_length(text);
        drop(replica.text_string(text));
        let index = random.below(u64::from(len) + 2) as u32;
        let position = replica.position(text, index, Assoc::After);
        position.map(|position| replica.resolve(&position)).ok();
        replica.text_insert(text, index, "🙂").ok();
        replica.text_delete(text, index, random.below(9) as u32).ok();
    }
    drop((replica.take_changes(), replica.take_edits()));
    drop(replica.difference(&seeds.known));
    Ok(())
}
