//! Entries of a replica by key: those of maps, and the attributes of elements.

use std::iter;

use yrs::{Map, MapRef, Out, ReadTxn};

use super::content::{self, Value, write_list, write_object, write_string};
use super::sequence::{json, set};
use super::text::check_size;
use super::{Node, Replica};
use crate::error::Error;

impl Replica {
    /// Sets an entry to a content, written as JSON.
    ///
    /// # Errors
    /// `api.wrong_type`, `api.too_deep`, `api.deleted` or `update.too_large`.
    pub fn entry_set(&mut self, node: &Node, key: &str, content: &str) -> Result<(), Error> {
        check_size(key)?;
        check_size(content)?;
        let new = content::read(content)?;
        self.check_depth(node, iter::once(&new))?;
        self.edit(node, None, |txn, branch| {
            set(branch, txn, key.to_owned(), new);
            Ok(())
        })
    }

    /// Deletes an entry, when there is one.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn entry_delete(&mut self, node: &Node, key: &str) -> Result<(), Error> {
        self.edit(node, None, |txn, branch| {
            MapRef::from(branch).remove(txn, key);
            Ok(())
        })
    }

    /// One entry as JSON; `None` when there is none.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn entry_get(&self, node: &Node, key: &str) -> Result<Option<String>, Error> {
        self.read(node, |branch, txn| {
            MapRef::from(branch).get(txn, key).map(|out| json(&Value::new(out)))
        })
    }

    /// Whether there is an entry, however large it is.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn entry_has(&self, node: &Node, key: &str) -> Result<bool, Error> {
        self.read(node, |branch, txn| MapRef::from(branch).get(txn, key).is_some())
    }

    /// All entries as a JSON object, by key.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn entries(&self, node: &Node) -> Result<String, Error> {
        let mut json = String::new();
        self.read(node, |branch, txn| {
            let map = MapRef::from(branch);
            write_object(&mut json, in_order(&map, txn).iter(), |out, json| {
                Value::new(out.clone()).write(json);
            });
        })?;
        Ok(if json.is_empty() { "{}".to_owned() } else { json })
    }

    /// The keys of all entries as a JSON list, in their order.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn entry_names(&self, node: &Node) -> Result<String, Error> {
        let mut json = String::new();
        self.read(node, |branch, txn| {
            let map = MapRef::from(branch);
            write_list(&mut json, in_order(&map, txn).iter(), |(key, _), json| {
                write_string(key, json);
            });
        })?;
        Ok(if json.is_empty() { "[]".to_owned() } else { json })
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn entry_count(&self, node: &Node) -> Result<u32, Error> {
        self.read(node, |branch, txn| MapRef::from(branch).len(txn))
    }
}

/// The entries by key: yrs has them in no order.
pub(super) fn in_order<'t, T: ReadTxn>(map: &'t MapRef, txn: &'t T) -> Vec<(&'t str, Out)> {
    let mut entries: Vec<(&str, Out)> = Vec::new();
    for entry in map.iter(txn) {
        let at = entries.partition_point(|(key, _)| *key < entry.0);
        entries.insert(at, entry);
    }
    entries
}
