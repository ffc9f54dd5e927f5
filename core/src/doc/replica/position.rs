//! Positions that stay with the content around them, in the JSON of Yjs.

use yrs::{Any, BranchID, ID, IndexScope, IndexedSequence, StickyIndex, Text, TextRef, Transact};

use super::{Node, Replica, busy, our_id, out_of_range, yrs_id};
use crate::doc::content::{write_number, write_string};
use crate::doc::node::Place;
use crate::doc::walk::{CLOCK_MAX, Id};
use crate::error::Error;
use crate::ids::ClientId;

/// To which of its two neighbors a position sticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assoc {
    /// To what is on its left: what is inserted at the position comes behind it.
    Before,
    /// To what is on its right: what is inserted at the position comes before it.
    After,
}

/// Where a position is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The type.
    pub place: Place,
    /// The index in it.
    pub index: u32,
}

impl Replica {
    /// A position that stays with the content around it, as JSON in the form that Yjs puts into
    /// awareness states.
    ///
    /// # Errors
    /// `api.out_of_range` or `api.deleted`.
    pub fn position(
        &self,
        node: impl Into<Node>,
        index: u32,
        assoc: Assoc,
    ) -> Result<String, Error> {
        let node = node.into();
        let txn = self.doc.try_transact().map_err(busy)?;
        let target = node.find(&txn)?.map(TextRef::from);
        let len = target.as_ref().map_or(0, |target| target.len(&txn));
        if index > len {
            return Err(out_of_range(index, 0, len));
        }
        let (side, number) = match assoc {
            Assoc::Before => (yrs::Assoc::Before, "-1"),
            Assoc::After => (yrs::Assoc::After, "0"),
        };
        // The end of a type has nothing on its right, and the beginning nothing on its left.
        let has_neighbor = match assoc {
            Assoc::Before => index > 0,
            Assoc::After => index < len,
        };
        let item = target
            .filter(|_| has_neighbor)
            .and_then(|target| target.sticky_index(&txn, index, side)?.id().copied());
        // By hand, because the keys stand in the order of Yjs.
        let mut json = r#"{"type":"#.to_owned();
        let id = |client: u64, clock: u64, json: &mut String| {
            json.push_str(r#"{"client":"#);
            write_number(client, json);
            json.push_str(r#","clock":"#);
            write_number(clock, json);
            json.push('}');
        };
        match &node.place {
            Place::Root(name) => {
                json.push_str(r#"null,"tname":"#);
                write_string(name, &mut json);
            }
            Place::Nested(client, clock) => {
                id(client.get(), *clock, &mut json);
                json.push_str(r#","tname":null"#);
            }
        }
        json.push_str(r#","item":"#);
        match item {
            Some(item) => id(item.client.get(), u64::from(item.clock), &mut json),
            None => json.push_str("null"),
        }
        json.push_str(r#","assoc":"#);
        json.push_str(number);
        json.push('}');
        Ok(json)
    }

    /// Where a position is now; `None` when it is no position, or one that is not known here.
    #[must_use]
    pub fn resolve(&self, json: &str) -> Option<Position> {
        let Any::Map(json) = Any::from_json(json).ok()? else { return None };
        let assoc = match json.get("assoc") {
            Some(Any::Number(assoc)) if assoc.as_f64().is_some_and(|it| it < 0.0) => {
                yrs::Assoc::Before
            }
            _ => yrs::Assoc::After,
        };
        let txn = self.doc.try_transact().ok()?;
        // What was deleted is where undo has brought it back.
        let id =
            |json: &Any| id(json).map(|id| self.undos.copies.last(our_id(id)).map_or(id, yrs_id));
        let scope = if let Some(item) = json.get("item").and_then(id) {
            IndexScope::Relative(item)
        } else if let Some(Any::String(name)) = json.get("tname") {
            if BranchID::get_root(&txn, &**name).is_none() {
                return Some(Position { place: Place::Root(name.clone()), index: 0 });
            }
            IndexScope::Root(name.clone())
        } else {
            IndexScope::Nested(json.get("type").and_then(id)?)
        };
        let offset = StickyIndex::new(scope, assoc).get_offset(&txn)?;
        Some(Position { place: Place::of(&offset.branch)?, index: offset.index })
    }
}

fn id(json: &Any) -> Option<ID> {
    let Any::Map(json) = json else { return None };
    let client = ClientId::new(whole(json.get("client")?)?)?;
    let clock = whole(json.get("clock")?).filter(|clock| *clock < CLOCK_MAX)?;
    Some(yrs_id(Id { client, clock }))
}

fn whole(json: &Any) -> Option<u64> {
    let Any::Number(number) = json else { return None };
    u64::try_from(number.as_i64()?).ok()
}
