//! Content as JSON, in both directions, with a form of its own for what JSON cannot say.
//!
//! JSON is what JavaScript reads and writes fastest. A value that it has no word for stands as an
//! object with the one key U+0000, which no other object may have:
//!
//! | JSON | meaning |
//! |---|---|
//! | `{"\u0000":["undefined"]}`, `["number","NaN"]`, `["bigint","1"]` | a value of JavaScript |
//! | in: `{"\u0000":["number","43f0…"]}` | a number by the 64 bits of its form in memory |
//! | `{"\u0000":["bytes","…"]}` | a `Uint8Array`, one character from U+0100 to U+01FF for each byte |
//! | `{"\u0000":["object",[["key",value],…]]}` | an object that has the key U+0000 itself |
//! | `{"\u0000":[1,12,34]}` | out: a shared type: kind, client, clock (an element: its name, too) |
//! | `{"\u0000":[1,{…}]}` | in: a new shared type: kind, content |

use std::sync::Arc;

use yrs::types::{Attrs, TypeRef};
use yrs::{Any, Number, Out};

use super::node::{Kind, Node, Place};
use crate::error::{Code, Error};

/// The key of what JSON has no word for.
const SPECIAL: &str = "\0";
/// The character for a byte 0: from here on none is escaped, and each takes two bytes.
const BYTES_START: u32 = 0x100;

/// A value in a document, as a change tells it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A plain value.
    Plain(Any),
    /// A shared type, and its name when it is an element.
    Shared(Node, Option<Arc<str>>),
}

impl Value {
    pub(super) fn new(out: Out) -> Self {
        let out = match out {
            Out::Any(any) => return Self::Plain(any),
            out => out,
        };
        let branch = out.try_branch();
        let shared = branch.and_then(|branch| Some(Self::Shared(Node::of(branch)?, tag(branch))));
        // A document inside, or a type that this version does not know.
        shared.unwrap_or(Self::Plain(Any::Undefined))
    }

    /// Writes it as JSON.
    pub fn write(&self, json: &mut String) {
        match self {
            Self::Plain(any) => write_any(any, json),
            Self::Shared(node, name) => write_node(node, name.as_deref(), json),
        }
    }
}

/// The name of an element.
pub(super) fn tag(branch: &yrs::branch::Branch) -> Option<Arc<str>> {
    match branch.type_ref() {
        TypeRef::XmlElement(name) => Some(Arc::clone(name)),
        _ => None,
    }
}

/// Writes which shared type is meant.
pub(super) fn write_node(node: &Node, name: Option<&str>, json: &mut String) {
    json.push_str(r#"{"\u0000":["#);
    write_number(u64::from(node.kind as u8), json);
    json.push(',');
    match &node.place {
        Place::Root(name) => write_string(name, json),
        Place::Nested(client, clock) => {
            write_number(client.get(), json);
            json.push(',');
            write_number(*clock, json);
        }
    }
    if let Some(name) = name {
        json.push(',');
        write_string(name, json);
    }
    json.push_str("]}");
}

pub(super) fn write_any(any: &Any, json: &mut String) {
    match any {
        Any::Null => json.push_str("null"),
        Any::Undefined => json.push_str(r#"{"\u0000":["undefined"]}"#),
        Any::Bool(true) => json.push_str("true"),
        Any::Bool(false) => json.push_str("false"),
        Any::Number(number) => write_any_number(*number, json),
        Any::String(text) => write_string(text, json),
        Any::Buffer(bytes) => {
            json.push_str(r#"{"\u0000":["bytes","#);
            let char = |byte: &u8| char::from_u32(BYTES_START + u32::from(*byte));
            write_string(&bytes.iter().filter_map(char).collect::<String>(), json);
            json.push_str("]}");
        }
        Any::Array(items) => write_list(json, items.iter(), write_any),
        Any::Map(entries) => {
            // Without an order of their own the entries would come in another one each time.
            let mut ordered: Vec<(&str, &Any)> = Vec::with_capacity(entries.len());
            for (key, value) in entries.iter() {
                let at = ordered.partition_point(|(other, _)| *other < key.as_str());
                ordered.insert(at, (key, value));
            }
            write_object(json, ordered.iter(), |value, json| write_any(value, json));
        }
    }
}

/// Writes an array.
pub(super) fn write_list<T>(
    json: &mut String,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut String),
) {
    json.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            json.push(',');
        }
        write(item, json);
    }
    json.push(']');
}

/// Writes an object; as a list of entries when it has the key that is taken.
pub(super) fn write_object<'e, K: AsRef<str> + 'e, T: 'e>(
    json: &mut String,
    entries: impl Iterator<Item = &'e (K, T)> + Clone,
    mut write: impl FnMut(&T, &mut String),
) {
    if entries.clone().any(|(key, _)| key.as_ref() == SPECIAL) {
        json.push_str(r#"{"\u0000":["object","#);
        write_list(json, entries, |(key, value), json| {
            json.push('[');
            write_string(key.as_ref(), json);
            json.push(',');
            write(value, json);
            json.push(']');
        });
        return json.push_str("]}");
    }
    json.push('{');
    for (at, (key, value)) in entries.enumerate() {
        if at > 0 {
            json.push(',');
        }
        write_string(key.as_ref(), json);
        json.push(':');
        write(value, json);
    }
    json.push('}');
}

/// Writes the formats of a step of a delta, when it has any.
pub(super) fn write_formats(formats: &[(Arc<str>, Any)], json: &mut String) {
    if !formats.is_empty() {
        json.push_str(r#","attributes":"#);
        write_object(json, formats.iter(), write_any);
    }
}

/// Writes a string, escaped.
pub(super) fn write_string(text: &str, json: &mut String) {
    json.push('"');
    let mut plain = 0;
    let (words, _) = text.as_bytes().as_chunks();
    // In most texts there is nothing to escape, which is seen in eight bytes at a time.
    let start = 8 * words.iter().take_while(|word| is_plain(**word)).count();
    for (at, byte) in text.bytes().enumerate().skip(start) {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            8 => "\\b",
            12 => "\\f",
            0..0x20 => "\\u00",
            _ => continue,
        };
        json.push_str(text.get(plain..at).unwrap_or_default());
        json.push_str(escape);
        if escape.len() > 2 {
            for digit in [byte >> 4, byte & 15] {
                json.push(char::from_digit(digit.into(), 16).unwrap_or_default());
            }
        }
        plain = at + 1;
    }
    json.push_str(text.get(plain..).unwrap_or_default());
    json.push('"');
}

/// Whether none of these bytes is to be escaped.
const fn is_plain(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_ne_bytes(bytes);
    let (quote, backslash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
    // The highest bit of a byte is set when the byte is below, or of one behind such a byte.
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & (ONES * 0x80) == 0
}

/// Writes a whole number.
pub(super) fn write_number(number: u64, json: &mut String) {
    json.push_str(&number.to_string());
}

fn write_any_number(number: Number, json: &mut String) {
    let name = match number {
        Number::Int(int) if number.as_f64().is_some() => return json.push_str(&int.to_string()),
        Number::Int(int) => {
            json.push_str(r#"{"\u0000":["bigint",""#);
            json.push_str(&int.to_string());
            return json.push_str(r#""]}"#);
        }
        // yrs writes it without its sign.
        Number::Float(float) if float.to_bits() == (-0.0f64).to_bits() => {
            return json.push_str("-0");
        }
        Number::Float(float) if float.is_finite() => {
            // It writes at the beginning of what it is given.
            let mut text = String::new();
            Any::Number(number).to_json(&mut text);
            return json.push_str(&text);
        }
        Number::Float(float) if float.is_nan() => "NaN",
        Number::Float(float) if float > 0.0 => "Infinity",
        Number::Float(_) => "-Infinity",
    };
    json.push_str(r#"{"\u0000":["number",""#);
    json.push_str(name);
    json.push_str(r#""]}"#);
}

/// Content that is to come into a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum New {
    Plain(Any),
    Array(Vec<Self>),
    Map(Vec<(String, Self)>),
    Text(Vec<NewStep>),
    XmlText(Vec<NewStep>),
    XmlFragment(Vec<Self>),
    XmlElement { name: Arc<str>, attributes: Vec<(String, Self)>, children: Vec<Self> },
}

/// A step of a change that is to be made to a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NewStep {
    Insert(New, Attrs),
    Delete(u32),
    Retain(u32, Attrs),
}

/// Reads one content.
///
/// # Errors
/// `api.wrong_type`.
pub(super) fn read(json: &str) -> Result<New, Error> {
    content(&parse(json)?)
}

/// Reads a list of contents.
///
/// # Errors
/// `api.wrong_type`.
pub(super) fn read_list(json: &str) -> Result<Vec<New>, Error> {
    list(&parse(json)?)
}

/// Reads a change of a text: steps as in a delta of Quill.
///
/// # Errors
/// `api.wrong_type`.
pub(super) fn read_delta(json: &str) -> Result<Vec<NewStep>, Error> {
    delta(&parse(json)?)
}

fn parse(json: &str) -> Result<Any, Error> {
    Any::from_json(json).map_err(|error| wrong(format!("the content is no JSON: {error}")))
}

fn content(any: &Any) -> Result<New, Error> {
    let special = special(any).unwrap_or_default();
    let Some(Any::Number(kind)) = special.first() else { return Ok(New::Plain(plain(any)?)) };
    let kind = kind.as_i64().and_then(|kind| u8::try_from(kind).ok()).and_then(Kind::from_number);
    let part = |at: usize| special.get(at).ok_or_else(unknown);
    Ok(match kind.ok_or_else(unknown)? {
        Kind::Array => New::Array(list(part(1)?)?),
        Kind::Map => New::Map(object(part(1)?)?),
        Kind::Text => New::Text(text(part(1)?)?),
        Kind::XmlText => New::XmlText(text(part(1)?)?),
        Kind::XmlFragment => New::XmlFragment(children(part(1)?)?),
        Kind::XmlElement => {
            let Any::String(name) = part(1)? else { return Err(unknown()) };
            let (attributes, children) = (object(part(2)?)?, children(part(3)?)?);
            New::XmlElement { name: Arc::clone(name), attributes, children }
        }
    })
}

fn list(any: &Any) -> Result<Vec<New>, Error> {
    let Any::Array(items) = any else { return Err(unknown()) };
    items.iter().map(content).collect()
}

fn object(any: &Any) -> Result<Vec<(String, New)>, Error> {
    let Any::Map(entries) = any else { return Err(unknown()) };
    entries.iter().map(|(key, value)| Ok((key.clone(), content(value)?))).collect()
}

/// The children of elements.
fn children(any: &Any) -> Result<Vec<New>, Error> {
    let children = list(any)?;
    check_children(&children)?;
    Ok(children)
}

/// Whether contents can stand in an element.
pub(super) fn check_children(children: &[New]) -> Result<(), Error> {
    let is_child = |child: &New| {
        matches!(child, New::XmlElement { .. } | New::XmlText(_) | New::XmlFragment(_))
    };
    if children.iter().all(is_child) {
        return Ok(());
    }
    Err(wrong("the children of elements and fragments are elements and texts".to_owned()))
}

/// The steps of a new text: there is nothing yet to delete, or to pass over.
fn text(any: &Any) -> Result<Vec<NewStep>, Error> {
    let steps = delta(any)?;
    if steps.iter().all(|step| matches!(step, NewStep::Insert(..))) {
        return Ok(steps);
    }
    Err(wrong("a new text is made of steps that insert".to_owned()))
}

fn delta(any: &Any) -> Result<Vec<NewStep>, Error> {
    let Any::Array(steps) = any else { return Err(unknown()) };
    steps.iter().map(step).collect()
}

fn step(any: &Any) -> Result<NewStep, Error> {
    let Any::Map(step) = any else { return Err(unknown()) };
    let formats = step.get("attributes").map_or_else(|| Ok(Attrs::new()), formats)?;
    if let Some(inserted) = step.get("insert") {
        return Ok(NewStep::Insert(content(inserted)?, formats));
    }
    let length = |name| match step.get(name) {
        Some(Any::Number(length)) => u32::try_from(length.as_i64()?).ok(),
        _ => None,
    };
    match (length("delete"), length("retain")) {
        (Some(length), None) => Ok(NewStep::Delete(length)),
        (None, Some(length)) => Ok(NewStep::Retain(length, formats)),
        _ => Err(unknown()),
    }
}

fn formats(any: &Any) -> Result<Attrs, Error> {
    let Any::Map(formats) = any else { return Err(unknown()) };
    formats.iter().map(|(name, value)| Ok((name.as_str().into(), plain(value)?))).collect()
}

/// What stands in the place of a word that JSON does not have.
fn special(any: &Any) -> Option<Arc<[Any]>> {
    let Any::Map(entries) = any else { return None };
    match entries.get(SPECIAL) {
        Some(Any::Array(special)) => Some(Arc::clone(special)),
        _ => None,
    }
}

/// A value without shared types.
fn plain(any: &Any) -> Result<Any, Error> {
    if !has_special(any) {
        return Ok(any.clone());
    }
    if let Some(special) = special(any) {
        return match &*special {
            [Any::String(kind), Any::String(text)] if &**kind == "bytes" => bytes(text),
            [Any::String(kind), Any::String(text)] if &**kind == "number" => {
                let bits = u64::from_str_radix(text, 16).map_err(|_no_hex_digits| unknown())?;
                Ok(Any::Number(Number::Float(f64::from_bits(bits))))
            }
            _ => Err(wrong("a shared type cannot stand inside a plain value".to_owned())),
        };
    }
    Ok(match any {
        Any::Array(items) => Any::Array(items.iter().map(plain).collect::<Result<_, _>>()?),
        Any::Map(entries) if entries.contains_key(SPECIAL) => return Err(unknown()),
        Any::Map(entries) => {
            let entry = |(key, value): (&String, &Any)| Ok((key.clone(), plain(value)?));
            Any::Map(Arc::new(entries.iter().map(entry).collect::<Result<_, Error>>()?))
        }
        any => any.clone(),
    })
}

fn has_special(any: &Any) -> bool {
    match any {
        Any::Array(items) => items.iter().any(has_special),
        Any::Map(entries) => entries.contains_key(SPECIAL) || entries.values().any(has_special),
        _ => false,
    }
}

fn bytes(text: &str) -> Result<Any, Error> {
    let byte = |char| {
        let number = u32::from(char).checked_sub(BYTES_START).and_then(|it| u8::try_from(it).ok());
        number.ok_or_else(unknown)
    };
    text.chars().map(byte).collect::<Result<Vec<u8>, _>>().map(Any::from)
}

#[cold]
fn unknown() -> Error {
    wrong("the content is none that a document can hold".to_owned())
}

#[cold]
pub(super) fn wrong(message: String) -> Error {
    Error::new(Code::ApiWrongType, message)
}
