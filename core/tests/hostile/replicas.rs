//! What a client does with an update that its relay let pass.

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::known::Known;
use coweave_core::doc::replica::Replica;
use coweave_core::doc::splice;
use coweave_core::error::Error;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;

use crate::inputs::Seeds;
use crate::reading;

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
    reading::observe(&mut replica);
    replica.apply(&seeds.base, &limits)?;
    replica.apply(input, &limits)?;
    assert_eq!(replica.known(), all);
    import(seeds, input, &replica)?;
    let state = replica.state();
    check(&state, &Known::new(), Mode::State, &|_| false, &limits)?;
    assert_eq!(splice::state_vector(&state)?, *all);
    Replica::new(ClientId::from_u32(78)).apply(&state, &limits)?;
    for _ in 0..3 {
        let nodes = reading::read(&mut replica, random);
        replica.begin(1);
        for _ in 0..1 + random.below(3) {
            reading::edit(&mut replica, &nodes, random);
        }
        replica.commit();
    }
    let changes = replica.take_changes();
    let mut json = String::new();
    changes.iter().for_each(|change| change.write(&mut json));
    drop(replica.take_edits());
    drop(replica.difference(&seeds.known));
    Ok(())
}
