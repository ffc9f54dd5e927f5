//! Updates in version 2 of the format of Yjs, rewritten in version 1, which is all that is spoken here.
//!
//! Version 2 has the same structs in columns: all lengths together, all client ids together, each column
//! with runs of equal numbers in place of the numbers. A few bytes can so stand for any number of structs;
//! what comes out is therefore bounded. It is not checked here otherwise: it has to pass the guard like
//! every update in version 1.

use yrs::{Any, Number};

use super::content::write_string as write_json_string;
use super::run::{HALF, walk_units};
use super::value;
use super::walk::{CONTENT, DELETED, HAS_ORIGIN, HAS_PARENT_KEY, HAS_RIGHT_ORIGIN};
use crate::error::{Code, Error};
use crate::limits::Limits;
use crate::wire::primitive::{ReadError, Reader, write_bytes, write_string, write_var};

/// An honest update in version 2 is mostly half of what it is in version 1, and a text that was written from
/// back to front a tenth.
const GROWTH_MAX: usize = 32;
/// However few bytes there are, they may become so many.
const BYTES_MIN: usize = 256 << 10;

/// The same update in version 1.
///
/// # Errors
/// `update.malformed` for bytes that are no update in version 2, `update.too_large` for one that stands
/// for much more than it is.
pub fn to_version_1(update: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let bytes_max = update.len().saturating_mul(GROWTH_MAX).max(BYTES_MIN);
    let bytes_max = bytes_max.min(limits.room_bytes_max);
    let mut out = Out { bytes: Vec::new(), bytes_max };
    let written = Columns::read(update, limits.value_depth_max)
        .and_then(|mut columns| columns.write_update(&mut out));
    match written {
        Ok(()) => Ok(out.bytes),
        Err(_) if out.is_full() => {
            let text = format!(
                "the update would have more than {bytes_max} bytes in version 1 of the format"
            );
            Err(Error::new(Code::UpdateTooLarge, text))
        }
        Err(_) => {
            let text = "these bytes are no update in version 2 of the format of Yjs";
            Err(Error::new(Code::UpdateMalformed, text))
        }
    }
}

/// What was written so far.
struct Out {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Out {
    const fn is_full(&self) -> bool {
        self.bytes.len() > self.bytes_max
    }

    /// To be asked wherever a run could go on for ever.
    const fn check(&self) -> Result<(), ReadError> {
        if self.is_full() { Err(ReadError::Range) } else { Ok(()) }
    }

    fn var(&mut self, value: u64) {
        write_var(&mut self.bytes, value);
    }
}

/// Numbers of one meaning.
struct Column<'a> {
    reader: Reader<'a>,
    value: i64,
    /// What is added before each number.
    step: i64,
    /// How often the value or the step is used once more.
    left: u64,
}

impl<'a> Column<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), value: 0, step: 0, left: 0 }
    }

    /// A byte of a column of bytes, whose last run goes on for ever.
    fn byte(&mut self) -> Result<u8, ReadError> {
        if self.left == 0 {
            self.value = i64::from(self.reader.u8()?);
            self.left = match self.reader.is_empty() {
                true => u64::MAX,
                false => self.reader.var()?.saturating_add(1),
            };
        }
        self.left = self.left.saturating_sub(1);
        u8::try_from(self.value).map_err(|_no_byte| ReadError::Range)
    }

    /// A number of a column of numbers; a sign says that a count follows.
    fn number(&mut self) -> Result<u64, ReadError> {
        if self.left == 0 {
            let (is_run, value) = signed(&mut self.reader)?;
            self.value = value;
            self.left = if is_run { self.reader.var()?.saturating_add(2) } else { 1 };
        }
        self.take()
    }

    /// A number of a column of differences; the last bit says that a count follows.
    fn sum(&mut self) -> Result<u64, ReadError> {
        if self.left == 0 {
            let (is_negative, size) = signed(&mut self.reader)?;
            let difference = if is_negative { size.saturating_neg() } else { size };
            self.step = difference >> 1;
            let is_run = difference & 1 == 1;
            self.left = if is_run { self.reader.var()?.saturating_add(2) } else { 1 };
        }
        self.value = self.value.saturating_add(self.step);
        self.take()
    }

    fn take(&mut self) -> Result<u64, ReadError> {
        self.left = self.left.saturating_sub(1);
        u64::try_from(self.value).map_err(|_negative| ReadError::Range)
    }
}

/// An integer with its sign in the first byte, and without it: zero has one, too.
fn signed(reader: &mut Reader<'_>) -> Result<(bool, i64), ReadError> {
    let first = reader.u8()?;
    let rest = if first & 0x80 == 0 { 0 } else { reader.var()? };
    if rest >= 1 << 47 {
        return Err(ReadError::Varint);
    }
    let size = rest << 6 | u64::from(first & 0x3f);
    Ok((first & 0x40 != 0, i64::try_from(size).map_err(|_too_large| ReadError::Range)?))
}

/// All strings behind each other, and their lengths in UTF-16 units.
struct Texts<'a> {
    rest: &'a str,
    /// The second half of a character whose first half went to the string before.
    is_half: bool,
    lengths: Column<'a>,
}

impl<'a> Texts<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let mut lengths = Column::new(bytes);
        let rest = lengths.reader.string()?;
        Ok(Self { rest, is_half: false, lengths })
    }

    /// The next string; halves of characters become U+FFFD, as in Yjs.
    fn next(&mut self) -> Result<String, ReadError> {
        let len = self.lengths.number()?;
        let was_half = self.is_half && len > 0;
        let (units, at) = walk_units(self.rest, self.is_half, len);
        let (taken, rest) = self.rest.split_at_checked(at).ok_or(ReadError::End)?;
        let mut characters = rest.chars();
        let is_cut = units < len;
        if is_cut && characters.next().is_none() {
            return Err(ReadError::End);
        }
        self.is_half = is_cut || self.is_half && !was_half;
        self.rest = characters.as_str();
        let half = |is_there| if is_there { HALF } else { "" };
        Ok([half(was_half), taken, half(is_cut)].concat())
    }
}

/// An update in version 2.
struct Columns<'a> {
    /// Names that were met before.
    keys: Vec<String>,
    key_numbers: Column<'a>,
    clients: Column<'a>,
    left_clocks: Column<'a>,
    right_clocks: Column<'a>,
    infos: Column<'a>,
    texts: Texts<'a>,
    parent_infos: Column<'a>,
    type_numbers: Column<'a>,
    lengths: Column<'a>,
    /// What has no column.
    rest: Reader<'a>,
    depth_max: usize,
}

impl<'a> Columns<'a> {
    fn read(update: &'a [u8], depth_max: usize) -> Result<Self, ReadError> {
        let mut rest = Reader::new(update);
        // Features, of which there are none.
        rest.var()?;
        let mut column = || rest.bytes();
        Ok(Self {
            keys: Vec::new(),
            key_numbers: Column::new(column()?),
            clients: Column::new(column()?),
            left_clocks: Column::new(column()?),
            right_clocks: Column::new(column()?),
            infos: Column::new(column()?),
            texts: Texts::new(column()?)?,
            parent_infos: Column::new(column()?),
            type_numbers: Column::new(column()?),
            lengths: Column::new(column()?),
            rest,
            depth_max,
        })
    }

    fn write_update(&mut self, out: &mut Out) -> Result<(), ReadError> {
        let sections = self.copy_var(out)?;
        for _ in 0..sections {
            let structs = self.copy_var(out)?;
            out.var(self.clients.number()?);
            self.copy_var(out)?;
            for _ in 0..structs {
                self.write_struct(out)?;
                out.check()?;
            }
        }
        let clients = self.copy_var(out)?;
        for _ in 0..clients {
            self.copy_var(out)?;
            let ranges = self.copy_var(out)?;
            let mut clock = 0_u64;
            for _ in 0..ranges {
                clock = clock.saturating_add(self.rest.var()?);
                let len = self.rest.var()?.saturating_add(1);
                out.var(clock);
                out.var(len);
                clock = clock.saturating_add(len);
            }
        }
        self.rest.clone().finish()
    }

    /// A number that is written the same in both versions.
    fn copy_var(&mut self, out: &mut Out) -> Result<u64, ReadError> {
        let value = self.rest.var()?;
        out.var(value);
        Ok(value)
    }

    fn write_struct(&mut self, out: &mut Out) -> Result<(), ReadError> {
        let info = self.infos.byte()?;
        out.bytes.push(info);
        match info & CONTENT {
            0 => {
                out.var(self.lengths.number()?);
                return Ok(());
            }
            10 => return self.copy_var(out).map(drop),
            _ => {}
        }
        if info & HAS_ORIGIN != 0 {
            self.write_left(out)?;
        }
        if info & HAS_RIGHT_ORIGIN != 0 {
            out.var(self.clients.number()?);
            out.var(self.right_clocks.sum()?);
        }
        if info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0 {
            let is_root = self.parent_infos.byte()? == 1;
            out.var(u64::from(is_root));
            match is_root {
                true => write_string(&mut out.bytes, &self.texts.next()?),
                false => self.write_left(out)?,
            }
            if info & HAS_PARENT_KEY != 0 {
                write_string(&mut out.bytes, &self.texts.next()?);
            }
        }
        self.write_content(info & CONTENT, out)
    }

    fn write_left(&mut self, out: &mut Out) -> Result<(), ReadError> {
        out.var(self.clients.number()?);
        out.var(self.left_clocks.sum()?);
        Ok(())
    }

    fn write_content(&mut self, kind: u8, out: &mut Out) -> Result<(), ReadError> {
        match kind {
            DELETED => out.var(self.lengths.number()?),
            3 => write_bytes(&mut out.bytes, self.rest.bytes()?),
            4 => write_string(&mut out.bytes, &self.texts.next()?),
            5 => self.write_json(out)?,
            6 => {
                self.write_key(out)?;
                self.write_json(out)?;
            }
            7 => {
                let number = self.type_numbers.number()?;
                out.var(number);
                if matches!(number, 3 | 5) {
                    self.write_key(out)?;
                }
            }
            8 => {
                let len = self.lengths.number()?;
                out.var(len);
                for _ in 0..len {
                    self.copy_value(out)?;
                }
            }
            9 => {
                write_string(&mut out.bytes, &self.texts.next()?);
                self.copy_value(out)?;
            }
            _ => return Err(ReadError::Range),
        }
        Ok(())
    }

    fn write_key(&mut self, out: &mut Out) -> Result<(), ReadError> {
        let number = usize::try_from(self.key_numbers.sum()?).unwrap_or(usize::MAX);
        let number = number.min(self.keys.len());
        if number == self.keys.len() {
            self.keys.push(self.texts.next()?);
        }
        write_string(&mut out.bytes, self.keys.get(number).map_or("", String::as_str));
        Ok(())
    }

    fn copy_value(&mut self, out: &mut Out) -> Result<(), ReadError> {
        let mut after = self.rest.clone();
        value::skip(&mut after, self.depth_max)?;
        let len = after.position().saturating_sub(self.rest.position());
        out.bytes.extend_from_slice(self.rest.take(u64::try_from(len).unwrap_or(0))?);
        Ok(())
    }

    /// A value that version 1 has as JSON.
    fn write_json(&mut self, out: &mut Out) -> Result<(), ReadError> {
        let mut json = String::new();
        write_json(&mut self.rest, &mut json, self.depth_max)?;
        write_string(&mut out.bytes, &json);
        Ok(())
    }
}

/// Writes the next value as JavaScript would: what JSON has no word for is `null`, and none in an object.
fn write_json(
    reader: &mut Reader<'_>,
    json: &mut String,
    depth_max: usize,
) -> Result<(), ReadError> {
    let depth_max = depth_max.checked_sub(1).ok_or(ReadError::Range)?;
    match reader.u8()? {
        127 | 126 => json.push_str("null"),
        125 => {
            let (is_negative, size) = signed(reader)?;
            json.push_str(if is_negative && size > 0 { "-" } else { "" });
            json.push_str(&size.to_string());
        }
        124 => {
            let bytes = reader.take(4)?.try_into().map_err(|_short| ReadError::End)?;
            write_float(f32::from_be_bytes(bytes).into(), json);
        }
        123 => {
            let bytes = reader.take(8)?.try_into().map_err(|_short| ReadError::End)?;
            write_float(f64::from_be_bytes(bytes), json);
        }
        121 => json.push_str("false"),
        120 => json.push_str("true"),
        119 => write_json_string(reader.string()?, json),
        118 => {
            json.push('{');
            let mut is_first = true;
            for _ in 0..reader.var()? {
                let key = reader.string()?;
                if reader.clone().u8()? == 127 {
                    reader.u8()?;
                    continue;
                }
                json.push_str(if is_first { "" } else { "," });
                is_first = false;
                write_json_string(key, json);
                json.push(':');
                write_json(reader, json, depth_max)?;
            }
            json.push('}');
        }
        117 => {
            json.push('[');
            for at in 0..reader.var()? {
                json.push_str(if at == 0 { "" } else { "," });
                write_json(reader, json, depth_max)?;
            }
            json.push(']');
        }
        // Neither big integers nor bytes have a form in JSON, and no editor puts them there.
        _ => return Err(ReadError::Range),
    }
    Ok(())
}

fn write_float(float: f64, json: &mut String) {
    if !float.is_finite() {
        return json.push_str("null");
    }
    // It writes at the beginning of what it is given.
    let mut text = String::new();
    Any::Number(Number::Float(float)).to_json(&mut text);
    json.push_str(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One section of so many structs of client 1 from clock 0 on, and no deletions.
    fn update(structs: u64, infos: &[u8], lengths: &[u8]) -> Vec<u8> {
        let mut out = vec![0];
        // Names, clients, clocks on the left, clocks on the right, kinds.
        for column in [&[][..], &[1], &[], &[], infos] {
            write_bytes(&mut out, column);
        }
        // Texts, parents, types, lengths.
        for column in [&[0][..], &[], &[], lengths] {
            write_bytes(&mut out, column);
        }
        write_var(&mut out, 1);
        write_var(&mut out, structs);
        out.extend([0, 0]);
        out
    }

    fn code(update: &[u8]) -> Option<Code> {
        to_version_1(update, &Limits::default()).err().map(|error| error.code)
    }

    #[test]
    fn columns_become_structs_again() {
        // Three collected structs: of one, of seven and of seven elements.
        let bytes = update(3, &[0], &[1, 0x47, 0]);
        let written = to_version_1(&bytes, &Limits::default());
        assert_eq!(written.as_deref(), Ok(&[1, 3, 1, 0, 0, 1, 0, 7, 0, 7, 0][..]));
    }

    #[test]
    fn a_run_without_an_end_is_refused() {
        let endless = update(1 << 52, &[0], &[0x41, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf]);
        assert_eq!(code(&endless), Some(Code::UpdateTooLarge));
    }

    #[test]
    fn what_is_cut_off_anywhere_is_malformed() {
        let bytes = update(3, &[0], &[1, 0x47, 0]);
        for end in 0..bytes.len() {
            assert_eq!(code(&bytes[..end]), Some(Code::UpdateMalformed), "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(code(&longer), Some(Code::UpdateMalformed));
    }

    #[test]
    fn strings_that_cut_a_character_hold_what_stands_for_half_of_one() {
        let mut bytes = Vec::new();
        write_string(&mut bytes, "a🙂b");
        // Of two units, none, two and none.
        bytes.extend([2, 0, 2, 0]);
        let mut texts = Texts::new(&bytes).unwrap();
        let read: Vec<_> = (0..4).map(|_| texts.next().unwrap()).collect();
        assert_eq!(read, ["a\u{fffd}", "", "\u{fffd}b", ""]);
    }

    #[test]
    fn json_is_what_javascript_writes() {
        let value = [
            118, 3, 1, b'a', 117, 4, 125, 0x43, 127, 120, 119, 1, b'"', 1, b'u', 127, 1, b'n', 123,
            0x3f, 0xe0, 0, 0, 0, 0, 0, 0,
        ];
        let mut json = String::new();
        write_json(&mut Reader::new(&value), &mut json, 3).unwrap();
        assert_eq!(json, r#"{"a":[-3,null,true,"\""],"n":0.5}"#);
        assert_eq!(write_json(&mut Reader::new(&value), &mut json, 2), Err(ReadError::Range));
    }
}
