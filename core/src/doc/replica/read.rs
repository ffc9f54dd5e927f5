//! Whole trees of a replica as JSON.

use yrs::branch::BranchPtr;
use yrs::{ArrayRef, Out, ReadTxn, TextRef};

use super::content::{Value, tag, write_list, write_object, write_string};
use super::entries::in_order;
use super::sequence::items;
use super::text::write_delta;
use super::{Node, Replica};
use crate::doc::node::Kind;
use crate::doc::text::Content;
use crate::error::{Code, Error};

/// Types that are nested deeper are not read: every level takes some of the stack, and a browser
/// gives little.
const DEPTH_MAX: usize = 200;

impl Replica {
    /// A type with everything inside as JSON: maps as objects, arrays and fragments as arrays, texts
    /// as strings, elements as `{name, attributes, children}`, and texts among elements as
    /// `{delta}`.
    ///
    /// # Errors
    /// `api.deleted` or `api.too_deep`.
    pub fn tree(&self, node: &Node) -> Result<String, Error> {
        let mut json = String::new();
        let written = self.read(node, |branch, txn| {
            Some(write_tree(branch, node.kind, txn, &mut json, DEPTH_MAX))
        })?;
        match written {
            Some(written) => written.map(|()| json),
            None => Ok(match node.kind {
                Kind::Text => "\"\"",
                Kind::Map => "{}",
                _ => "[]",
            }
            .to_owned()),
        }
    }
}

fn write_tree<T: ReadTxn>(
    branch: BranchPtr,
    kind: Kind,
    txn: &T,
    json: &mut String,
    depth_max: usize,
) -> Result<(), Error> {
    let depth_max = depth_max.checked_sub(1).ok_or_else(too_deep)?;
    match kind {
        Kind::Text => {
            write_string(&Content::of(&TextRef::from(branch), txn).text, json);
            Ok(())
        }
        Kind::Map => write_entries(branch, txn, json, depth_max),
        Kind::Array | Kind::XmlFragment => write_items(branch, txn, json, depth_max),
        Kind::XmlText => {
            json.push_str(r#"{"delta":"#);
            write_delta(branch, txn, json);
            json.push('}');
            Ok(())
        }
        Kind::XmlElement => {
            json.push_str(r#"{"name":"#);
            write_string(&tag(&branch).unwrap_or_default(), json);
            json.push_str(r#","attributes":"#);
            write_entries(branch, txn, json, depth_max)?;
            json.push_str(r#","children":"#);
            write_items(branch, txn, json, depth_max)?;
            json.push('}');
            Ok(())
        }
    }
}

fn write_items<T: ReadTxn>(
    branch: BranchPtr,
    txn: &T,
    json: &mut String,
    depth_max: usize,
) -> Result<(), Error> {
    let sequence = ArrayRef::from(branch);
    let mut write = Written::new(txn, depth_max);
    write_list(json, items(&sequence, txn), |out, json| write.out(out, json));
    write.result
}

fn write_entries<T: ReadTxn>(
    branch: BranchPtr,
    txn: &T,
    json: &mut String,
    depth_max: usize,
) -> Result<(), Error> {
    let entries = in_order(branch, txn);
    let entries = entries.iter().map(|(key, out)| (key, out.clone()));
    let mut write = Written::new(txn, depth_max);
    write_object(json, entries, |out, json| write.out(out, json));
    write.result
}

/// What became of the parts of a list or an object, whose writers cannot fail.
struct Written<'t, T> {
    txn: &'t T,
    depth_max: usize,
    result: Result<(), Error>,
}

impl<'t, T: ReadTxn> Written<'t, T> {
    const fn new(txn: &'t T, depth_max: usize) -> Self {
        Self { txn, depth_max, result: Ok(()) }
    }

    fn out(&mut self, out: Out, json: &mut String) {
        if self.result.is_ok() {
            self.result = write_out(out, self.txn, json, self.depth_max);
        }
    }
}

fn write_out<T: ReadTxn>(
    out: Out,
    txn: &T,
    json: &mut String,
    depth_max: usize,
) -> Result<(), Error> {
    let branch = out.try_branch().map(BranchPtr::from);
    match branch.and_then(|branch| Some((branch, Node::of(&branch)?.kind))) {
        Some((branch, kind)) => write_tree(branch, kind, txn, json, depth_max),
        None => {
            Value::new(out).write(json);
            Ok(())
        }
    }
}

#[cold]
fn too_deep() -> Error {
    let text = format!("the document is nested deeper than {DEPTH_MAX} levels here");
    Error::new(Code::ApiTooDeep, text)
}
