//! Whole trees of a replica as JSON.

use yrs::branch::BranchPtr;
use yrs::{Any, ArrayRef, MapRef, Out, ReadTxn, TextRef};

use super::content::{tag, write_any, write_list, write_object, write_string};
use super::entries::in_order;
use super::sequence::items;
use super::text::write_delta;
use super::{Node, Replica};
use crate::doc::node::Kind;
use crate::doc::text::Content;
use crate::error::Error;

impl Replica {
    /// A type with everything inside as JSON: maps as objects, arrays and fragments as arrays, texts
    /// as strings, elements as `{name, attributes, children}`, and texts among elements as
    /// `{delta}`.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn tree(&self, node: &Node) -> Result<String, Error> {
        let mut json = String::new();
        self.read(node, |branch, txn| write_tree(branch, node.kind, txn, &mut json))?;
        if json.is_empty() {
            // Nobody made it yet.
            json.push_str(match node.kind {
                Kind::Text => "\"\"",
                Kind::Map => "{}",
                _ => "[]",
            });
        }
        Ok(json)
    }
}

/// By recursion: types are not nested deeper than the guard allows.
fn write_tree<T: ReadTxn>(branch: BranchPtr, kind: Kind, txn: &T, json: &mut String) {
    match kind {
        Kind::Text => write_string(&Content::of(&TextRef::from(branch), txn).text, json),
        Kind::Map => write_entries(branch, txn, json),
        Kind::Array | Kind::XmlFragment => write_items(branch, txn, json),
        Kind::XmlText => {
            json.push_str(r#"{"delta":"#);
            write_delta(branch, txn, json);
            json.push('}');
        }
        Kind::XmlElement => {
            json.push_str(r#"{"name":"#);
            write_string(&tag(&branch).unwrap_or_default(), json);
            json.push_str(r#","attributes":"#);
            write_entries(branch, txn, json);
            json.push_str(r#","children":"#);
            write_items(branch, txn, json);
            json.push('}');
        }
    }
}

fn write_items<T: ReadTxn>(branch: BranchPtr, txn: &T, json: &mut String) {
    let sequence = ArrayRef::from(branch);
    write_list(json, items(&sequence, txn), |out, json| write_out(&out, txn, json));
}

fn write_entries<T: ReadTxn>(branch: BranchPtr, txn: &T, json: &mut String) {
    let map = MapRef::from(branch);
    write_object(json, in_order(&map, txn).iter(), |out, json| write_out(out, txn, json));
}

fn write_out<T: ReadTxn>(out: &Out, txn: &T, json: &mut String) {
    let branch = out.try_branch().map(BranchPtr::from);
    match (out, branch.and_then(|branch| Some((branch, Kind::of(&branch)?)))) {
        (Out::Any(any), _) => write_any(any, json),
        (_, Some((branch, kind))) => write_tree(branch, kind, txn, json),
        _ => write_any(&Any::Undefined, json),
    }
}
