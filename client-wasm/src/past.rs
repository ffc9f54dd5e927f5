//! A document as it was at a snapshot, as a class.

use std::cell::RefCell;
use std::rc::Rc;

use coweave_core::doc::replica::Replica;
use coweave_core::doc::snapshot::Snapshot;
use coweave_core::error::{Code, Error};
use coweave_core::limits::Limits;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::node::{Home, Node};
use crate::random;

/// A document that nobody changes.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Past {
    replica: Rc<RefCell<Replica>>,
}

impl Past {
    /// What the document of a later state was at a snapshot.
    pub(crate) fn read(snapshot: &[u8], state: &[u8]) -> Result<Self, Error> {
        let limits = Limits::default();
        let snapshot = Snapshot::decode(snapshot, &limits)?;
        let replica = Replica::at(&snapshot, state, random::client_id(), &limits)?;
        Ok(Self { replica: Rc::new(RefCell::new(replica)) })
    }
}

#[wasm_bindgen]
impl Past {
    /// A shared type with a name; kinds are those of Yjs.
    #[must_use]
    pub fn node(&self, kind: u8, name: &str) -> Option<Node> {
        Node::root(Home::Past(Rc::clone(&self.replica)), kind, name)
    }

    /// The whole document as one update.
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        self.replica.borrow().state()
    }
}

/// The error for a change to a document of the past.
#[cold]
pub(crate) fn read_only() -> Error {
    Error::new(Code::RoomReadOnly, "a document of the past cannot be changed")
}
