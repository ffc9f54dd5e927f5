//! Updates in version 2 of the format become what they are in version 1.

use coweave_core::doc::digest::digest;
use coweave_core::doc::version2::to_version_1;
use coweave_core::limits::Limits;
use yrs::Update;
use yrs::updates::decoder::Decode;
use yrs::updates::encoder::Encode;

use crate::documents::Alphabet;
use crate::inputs::Seeds;

#[test]
fn honest_updates_mean_the_same_in_both_versions() {
    for alphabet in [Alphabet::Basic, Alphabet::Astral] {
        for update in Seeds::new(alphabet).updates {
            let version2 = Update::decode_v1(&update).unwrap().encode_v2();
            let again = to_version_1(&version2, &Limits::default()).unwrap();
            assert_eq!(digest(&[&again]), digest(&[&update]), "{update:02x?}");
        }
    }
}
