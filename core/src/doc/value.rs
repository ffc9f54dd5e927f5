//! Values inside updates: checked and passed over, or compared by what they mean.

use super::mix::Mix;
use crate::wire::primitive::{ReadError, Reader};

/// Values nested deeper than this are not compared. The guard takes none of them.
const COMPARED_DEPTH_MAX: usize = 128;

/// A container whose entries are still to be read.
struct Open {
    left: u64,
    is_map: bool,
}

/// Passes over one value; the open containers stand on a stack of our own.
pub(super) fn skip(reader: &mut Reader<'_>, depth_max: usize) -> Result<(), ReadError> {
    let Some(outermost) = skip_head(reader)? else { return Ok(()) };
    let mut open = vec![outermost];
    while let Some(top) = open.last_mut() {
        if top.left == 0 {
            open.pop();
            continue;
        }
        top.left -= 1;
        if top.is_map {
            reader.string()?;
        }
        if let Some(inner) = skip_head(reader)? {
            open.push(inner);
        }
        if open.len() > depth_max {
            return Err(ReadError::Range);
        }
    }
    Ok(())
}

/// Passes over a simple value, or over the head of a container.
fn skip_head(reader: &mut Reader<'_>) -> Result<Option<Open>, ReadError> {
    match reader.u8()? {
        // undefined, null, false, true
        127 | 126 | 121 | 120 => {}
        125 => skip_integer(reader)?,
        // a float of 32 bits, one of 64 bits, a big integer
        124 => drop(reader.take(4)?),
        123 | 122 => drop(reader.take(8)?),
        119 => drop(reader.string()?),
        116 => drop(reader.bytes()?),
        118 => return container(reader, true),
        117 => return container(reader, false),
        _ => return Err(ReadError::Range),
    }
    Ok(None)
}

fn container(reader: &mut Reader<'_>, is_map: bool) -> Result<Option<Open>, ReadError> {
    let left = reader.var()?;
    let entry_bytes_min = if is_map { 2 } else { 1 };
    if left > u64::try_from(reader.left()).unwrap_or(u64::MAX) / entry_bytes_min {
        return Err(ReadError::End);
    }
    Ok(Some(Open { left, is_map }))
}

/// An integer with its sign in the first byte. Yjs fails above 2^53, so nothing larger may pass.
fn skip_integer(reader: &mut Reader<'_>) -> Result<(), ReadError> {
    let first = reader.u8()?;
    if first & 0x80 == 0 {
        return Ok(());
    }
    let rest = reader.var()?;
    if rest == 0 || rest >= 1 << 47 { Err(ReadError::Varint) } else { Ok(()) }
}

/// Whether two values mean the same. Whoever reads and writes a value again may change the form of
/// its numbers and the order of its keys.
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mix = |bytes| meaning(&mut Reader::new(bytes), Mix::new(0), COMPARED_DEPTH_MAX);
    a == b || mix(a).map(Mix::finish) == mix(b).map(Mix::finish)
}

/// Mixes in what a value means; `None` when it is nested too deeply.
fn meaning(reader: &mut Reader<'_>, mix: Mix, depth_max: usize) -> Option<Mix> {
    let depth_max = depth_max.checked_sub(1)?;
    let kind = reader.u8().ok()?;
    let number = match kind {
        125 => Some(integer(reader)?),
        124 => Some(f64::from(f32::from_be_bytes(reader.take(4).ok()?.try_into().ok()?))),
        123 => Some(f64::from_be_bytes(reader.take(8).ok()?.try_into().ok()?)),
        122 => Some(rounded(i64::from_be_bytes(reader.take(8).ok()?.try_into().ok()?))),
        _ => None,
    };
    if let Some(number) = number {
        let number = if number.is_nan() { f64::NAN } else { number + 0.0 };
        return Some(mix.with(125).with(number.to_bits()));
    }
    let mut mix = mix.with(u64::from(kind));
    match kind {
        119 | 116 => Some(mix.with_bytes(reader.bytes().ok()?)),
        118 => {
            let count = reader.var().ok()?;
            let mut sum = 0u128;
            for _ in 0..count {
                let key = Mix::new(1).with_bytes(reader.string().ok()?.as_bytes());
                sum = sum.wrapping_add(meaning(reader, key, depth_max)?.finish());
            }
            Some(mix.with(count).with_bytes(&sum.to_be_bytes()))
        }
        117 => {
            let count = reader.var().ok()?;
            mix = mix.with(count);
            for _ in 0..count {
                mix = meaning(reader, mix, depth_max)?;
            }
            Some(mix)
        }
        _ => Some(mix),
    }
}

/// Six bits and the sign stand in the first byte.
fn integer(reader: &mut Reader<'_>) -> Option<f64> {
    let first = reader.u8().ok()?;
    let rest = if first & 0x80 == 0 { 0 } else { reader.var().ok()? };
    let size = i64::try_from(rest << 6 | u64::from(first & 0x3f)).ok()?;
    Some(rounded(if first & 0x40 == 0 { size } else { size.saturating_neg() }))
}

#[expect(clippy::cast_precision_loss, reason = "JavaScript has only these numbers")]
const fn rounded(number: i64) -> f64 {
    number as f64
}
