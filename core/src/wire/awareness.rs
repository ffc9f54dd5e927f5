//! Awareness updates of y-protocols: who shows what, with a clock per client.
//!
//! An update is `varUint count`, then for each client `varUint client, varUint clock, varString
//! JSON`. The JSON `null` says that the client shows nothing any more.

#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use serde::de::IgnoredAny;

use super::primitive::{ReadError, Reader, write_string, write_var};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::limits::Limits;

/// Client, clock and text need a byte each; the shortest JSON needs one more.
const ENTRY_BYTES_MIN: u64 = 4;

/// What one client shows, as of its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwarenessEntry {
    /// Whose state it is.
    pub client: ClientId,
    /// Rises with every state of the client; fits 32 bits.
    pub clock: u64,
    /// JSON text, or `None` when the client shows nothing any more.
    pub state: Option<String>,
}

/// Reads a whole awareness update.
///
/// # Errors
/// `presence.too_large` when a state is larger than the limit, `presence.malformed` when anything
/// else is wrong.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<AwarenessEntry>, Error> {
    let mut reader = Reader::new(bytes);
    let count = reader.var().map_err(malformed)?;
    if count > left(&reader) / ENTRY_BYTES_MIN {
        return Err(malformed(ReadError::End));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(read_entry(&mut reader, limits)?);
    }
    reader.finish().map_err(malformed)?;
    Ok(entries)
}

fn read_entry(reader: &mut Reader<'_>, limits: &Limits) -> Result<AwarenessEntry, Error> {
    let client = reader.var().map_err(malformed)?;
    let client = ClientId::new(client).ok_or_else(|| malformed(ReadError::Range))?;
    let clock = reader.var_u32().map_err(malformed)?;
    let state = reader.string().map_err(malformed)?;
    let state = check_state(state, limits)?;
    Ok(AwarenessEntry { client, clock: u64::from(clock), state })
}

/// Checks the JSON text of one presence state; the JSON `null` becomes `None`.
///
/// # Errors
/// `presence.too_large` or `presence.malformed`.
pub fn check_state(json: &str, limits: &Limits) -> Result<Option<String>, Error> {
    if json.len() > limits.presence_bytes_max {
        let (has, most) = (json.len(), limits.presence_bytes_max);
        let text = format!("a presence state has {has} bytes, and {most} are allowed");
        return Err(Error::new(Code::PresenceTooLarge, text));
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(json) {
        let text = format!("a presence state is no JSON: {error}");
        return Err(Error::new(Code::PresenceMalformed, text));
    }
    Ok((json.trim_ascii() != "null").then(|| json.to_owned()))
}

/// The bytes of an awareness update with these entries.
#[must_use]
pub fn write(entries: &[AwarenessEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    write_var(&mut out, u64::try_from(entries.len()).unwrap_or(u64::MAX));
    for entry in entries {
        write_var(&mut out, entry.client.get());
        write_var(&mut out, entry.clock);
        write_string(&mut out, entry.state.as_deref().unwrap_or("null"));
    }
    out
}

fn left(reader: &Reader<'_>) -> u64 {
    u64::try_from(reader.left()).unwrap_or(u64::MAX)
}

fn malformed(error: ReadError) -> Error {
    Error::new(Code::PresenceMalformed, format!("an awareness update cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(client: u32, clock: u64, state: Option<&str>) -> AwarenessEntry {
        AwarenessEntry {
            client: ClientId::from_u32(client),
            clock,
            state: state.map(str::to_owned),
        }
    }

    fn code(bytes: &[u8]) -> Option<Code> {
        read(bytes, &Limits::default()).err().map(|error| error.code)
    }

    #[test]
    fn entries_survive_the_round_trip() {
        let limits = Limits::default();
        let entries = vec![
            entry(1, 1, Some(r#"{"user":{"name":"Ada"},"cursor":null}"#)),
            entry(u32::MAX, u64::from(u32::MAX), None),
            entry(7, 0, Some("1")),
        ];
        assert_eq!(read(&write(&entries), &limits), Ok(entries));
        assert_eq!(read(&[0], &limits), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_gets_its_code() {
        assert_eq!(code(&[]), Some(Code::PresenceMalformed));
        assert_eq!(code(&[0, 0]), Some(Code::PresenceMalformed));
        assert_eq!(code(&[1, 5, 1, 1, b'{']), Some(Code::PresenceMalformed));
        assert_eq!(code(&[1, 5, 1, 0]), Some(Code::PresenceMalformed));
        // A count far beyond the bytes that are left.
        assert_eq!(code(&[0xff, 0xff, 0xff, 0x7f, 5, 1, 1, b'1']), Some(Code::PresenceMalformed));
        // A clock of 2^32.
        let beyond = write(&[entry(5, 1 << 32, None)]);
        assert_eq!(code(&beyond), Some(Code::PresenceMalformed));
    }

    #[test]
    fn a_state_may_be_as_large_as_the_limit_and_no_larger() {
        let limits = Limits { presence_bytes_max: 10, ..Limits::default() };
        let at = write(&[entry(5, 1, Some("\"01234567\""))]);
        assert!(read(&at, &limits).is_ok());
        let above = write(&[entry(5, 1, Some("\"012345678\""))]);
        assert_eq!(read(&above, &limits).unwrap_err().code, Code::PresenceTooLarge);
    }
}
