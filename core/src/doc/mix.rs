//! A good mix of numbers in 128 bits, for sums that tell sets from each other.

use super::walk::Id;
use crate::wire::primitive::len_u64;

/// A running mix of numbers in 128 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix(u128);

impl Mix {
    /// A mix that says what it is about.
    pub(super) const fn new(tag: u64) -> Self {
        Self(0x243f_6a88_85a3_08d3_1319_8a2e_0370_7344).with(tag)
    }

    /// Takes in a number: an odd factor and a shift, both of which can be undone, so that nothing is
    /// lost on the way.
    #[inline]
    pub(super) const fn with(self, number: u64) -> Self {
        const FACTOR: u128 = 0xa409_3822_299f_31d0_082e_fa98_ec4e_6c89;
        let wide = (self.0 ^ widened(number)).wrapping_mul(FACTOR);
        Self(wide ^ (wide >> 71))
    }

    pub(super) fn with_id(self, id: Option<Id>) -> Self {
        match id {
            None => self.with(0),
            Some(id) => self.with(1).with(id.client.get()).with(id.clock),
        }
    }

    pub(super) fn with_bytes(self, bytes: &[u8]) -> Self {
        let mut mix = self.with(len_u64(bytes));
        for chunk in bytes.chunks(8) {
            let number = chunk.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            mix = mix.with(number);
        }
        mix
    }

    #[inline]
    pub(super) const fn finish(self) -> u128 {
        self.with(0x4528_21e6_38d0_1377).0
    }
}

/// Bytes in 128 bits: the same ones always in the same.
pub(crate) fn mixed(bytes: &[u8]) -> u128 {
    Mix::new(0).with_bytes(bytes).finish()
}

#[expect(clippy::as_conversions, reason = "From is not const, and nothing is lost")]
const fn widened(number: u64) -> u128 {
    number as u128
}
