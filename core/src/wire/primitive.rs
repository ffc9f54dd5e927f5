//! The primitives of lib0, on which every format here is built: unsigned varints, strings, bytes.

#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use thiserror::Error;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    End,
    /// A varint is longer than needed or above 2^53 - 1.
    #[error("a number is not in its shortest form or above 2^53 - 1")]
    Varint,
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// Bytes are left over.
    #[error("bytes are left over")]
    Trailing,
    /// A count or value is outside its range.
    #[error("a count or a value is outside its range")]
    Range,
}

/// A cursor over bytes that somebody sent.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// One byte.
    ///
    /// # Errors
    /// [`ReadError::End`].
    #[inline]
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        let byte = *self.bytes.get(self.at).ok_or(ReadError::End)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// An unsigned varint: seven bits a byte, least significant first, shortest form, below 2^53.
    ///
    /// # Errors
    /// [`ReadError::End`] or [`ReadError::Varint`].
    #[inline]
    pub fn var(&mut self) -> Result<u64, ReadError> {
        // Most numbers take one byte.
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at = self.at.saturating_add(1);
                Ok(u64::from(*byte))
            }
            _ => self.long_var(),
        }
    }

    fn long_var(&mut self) -> Result<u64, ReadError> {
        let mut value = 0u64;
        let mut shift = 0u32;
        loop {
            let byte = self.u8()?;
            if shift > 49 {
                return Err(ReadError::Varint);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(ReadError::Varint);
                }
                return if value < 1 << 53 { Ok(value) } else { Err(ReadError::Varint) };
            }
            shift = shift.saturating_add(7);
        }
    }

    /// A varint that fits 32 bits.
    ///
    /// # Errors
    /// As [`Self::var`], and [`ReadError::Range`].
    pub fn var_u32(&mut self) -> Result<u32, ReadError> {
        self.var()?.try_into().map_err(|_out_of_range| ReadError::Range)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`ReadError::End`].
    pub fn take(&mut self, len: u64) -> Result<&'a [u8], ReadError> {
        let len = usize::try_from(len).map_err(|_too_large| ReadError::End)?;
        let end = self.at.checked_add(len).ok_or(ReadError::End)?;
        let taken = self.bytes.get(self.at..end).ok_or(ReadError::End)?;
        self.at = end;
        Ok(taken)
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    /// [`ReadError::End`] or [`ReadError::Varint`].
    pub fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let len = self.var()?;
        self.take(len)
    }

    /// UTF-8 text behind its length in bytes.
    ///
    /// # Errors
    /// As [`Self::bytes`], and [`ReadError::Utf8`].
    pub fn string(&mut self) -> Result<&'a str, ReadError> {
        std::str::from_utf8(self.bytes()?).map_err(|_not_utf8| ReadError::Utf8)
    }

    /// How many bytes are not read yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// How many bytes were read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// True when everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left() == 0
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`ReadError::Trailing`] when bytes are left over.
    pub const fn finish(self) -> Result<(), ReadError> {
        if self.is_empty() { Ok(()) } else { Err(ReadError::Trailing) }
    }
}

/// Appends an unsigned varint.
pub fn write_var(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_seven_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_seven_bits(value));
}

#[expect(clippy::as_conversions, reason = "masked to seven bits")]
const fn low_seven_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// How many bytes [`write_var`] appends.
#[must_use]
pub fn var_len(value: u64) -> usize {
    let bits = 64u32.saturating_sub(value.leading_zeros()).max(1);
    bits.div_ceil(7).try_into().unwrap_or(usize::MAX)
}

/// Appends bytes behind their length.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_var(out, len_u64(bytes));
    out.extend_from_slice(bytes);
}

/// Appends text behind its length in bytes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_bytes(out, text.as_bytes());
}

/// The length of a slice as the number that goes on the wire.
#[must_use]
pub fn len_u64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_survive_the_round_trip_in_their_shortest_form() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), (1 << 53) - 1] {
            let mut out = Vec::new();
            write_var(&mut out, value);
            assert_eq!(out.len(), var_len(value));
            let mut reader = Reader::new(&out);
            assert_eq!(reader.var(), Ok(value));
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn long_forms_and_large_values_are_refused() {
        assert_eq!(Reader::new(&[0x80, 0]).var(), Err(ReadError::Varint));
        let mut out = Vec::new();
        write_var(&mut out, 1 << 53);
        assert_eq!(Reader::new(&out).var(), Err(ReadError::Varint));
        assert_eq!(Reader::new(&[0xff; 20]).var(), Err(ReadError::Varint));
        assert_eq!(Reader::new(&[0xff]).var(), Err(ReadError::End));
    }

    #[test]
    fn a_declared_length_beyond_the_end_is_refused() {
        assert_eq!(Reader::new(&[5, 1, 2]).bytes(), Err(ReadError::End));
        assert_eq!(Reader::new(&[1, 0xff]).string(), Err(ReadError::Utf8));
    }
}
