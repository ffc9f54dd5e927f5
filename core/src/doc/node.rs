//! Which shared type of a document is meant.

use std::sync::Arc;

use yrs::branch::BranchPtr;
use yrs::types::TypeRef;
use yrs::{BranchID, Out, ReadTxn, WriteTxn};

use super::replica::yrs_id;
use super::walk::Id;
use crate::error::{Code, Error};
use crate::ids::ClientId;

/// What a shared type is. The numbers are those of Yjs in updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A sequence of values and shared types.
    Array = 0,
    /// Values and shared types by key.
    Map = 1,
    /// Text with formats and embedded objects.
    Text = 2,
    /// A named element with attributes and children.
    XmlElement = 3,
    /// A sequence of elements and texts.
    XmlFragment = 4,
    /// A text between elements.
    XmlText = 6,
}

impl Kind {
    /// Reads a number of Yjs.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Array,
            1 => Self::Map,
            2 => Self::Text,
            3 => Self::XmlElement,
            4 => Self::XmlFragment,
            6 => Self::XmlText,
            _ => return None,
        })
    }

    /// The kind of a branch; `None` for one that is not spoken of here.
    pub(super) fn of(branch: &yrs::branch::Branch) -> Option<Self> {
        Some(match branch.type_ref() {
            TypeRef::Array => Self::Array,
            TypeRef::Map => Self::Map,
            TypeRef::Text => Self::Text,
            TypeRef::XmlElement(_) => Self::XmlElement,
            TypeRef::XmlFragment => Self::XmlFragment,
            TypeRef::XmlText => Self::XmlText,
            _ => return None,
        })
    }

    /// Whether it is a text, with or without elements around it.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::XmlText)
    }
}

/// Where a shared type is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At the top, under a name.
    Root(Arc<str>),
    /// Inside another one, made by the struct with this client and clock.
    Nested(ClientId, u64),
}

/// A shared type of a document, which need not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub place: Place,
}

impl Node {
    /// A shared type with a name.
    #[must_use]
    pub fn root(kind: Kind, name: &str) -> Self {
        Self { kind, place: Place::Root(name.into()) }
    }

    /// A text with a name.
    #[must_use]
    pub fn text(name: &str) -> Self {
        Self::root(Kind::Text, name)
    }

    /// The node of a branch; `None` for one of a kind that is not spoken of here.
    pub(super) fn of(branch: &yrs::branch::Branch) -> Option<Self> {
        Some(Self { kind: Kind::of(branch)?, place: Place::of(branch)? })
    }

    /// The branch, made when it has a name and nobody did yet.
    ///
    /// # Errors
    /// `api.deleted`.
    pub(super) fn open(&self, txn: &mut yrs::TransactionMut<'_>) -> Result<BranchPtr, Error> {
        let Place::Root(name) = &self.place else { return self.find(txn)?.ok_or_else(deleted) };
        let name = Arc::clone(name);
        let made: Out = match self.kind {
            Kind::Array => Out::YArray(txn.get_or_insert_array(name)),
            Kind::Map => Out::YMap(txn.get_or_insert_map(name)),
            Kind::Text | Kind::XmlText => Out::YText(txn.get_or_insert_text(name)),
            Kind::XmlElement | Kind::XmlFragment => {
                Out::YXmlFragment(txn.get_or_insert_xml_fragment(name))
            }
        };
        made.try_branch().map(BranchPtr::from).ok_or_else(deleted)
    }

    /// The branch, for reading; `None` when it has a name and nobody made it yet.
    ///
    /// # Errors
    /// `api.deleted`.
    pub(super) fn find<T: ReadTxn>(&self, txn: &T) -> Result<Option<BranchPtr>, Error> {
        match &self.place {
            Place::Root(name) => Ok(BranchID::get_root(txn, &**name)),
            Place::Nested(client, clock) => {
                let id = yrs_id(Id { client: *client, clock: *clock });
                let branch = BranchID::get_nested(txn, &id);
                branch.filter(|it| !it.is_deleted()).map(Some).ok_or_else(deleted)
            }
        }
    }
}

impl From<&Self> for Node {
    fn from(node: &Self) -> Self {
        node.clone()
    }
}

/// A name alone means the text with that name: nothing else is in most documents.
impl From<&str> for Node {
    fn from(name: &str) -> Self {
        Self::text(name)
    }
}

impl From<&String> for Node {
    fn from(name: &String) -> Self {
        Self::text(name)
    }
}

impl Place {
    pub(super) fn of(branch: &yrs::branch::Branch) -> Option<Self> {
        Some(match branch.id() {
            BranchID::Root(name) => Self::Root(name),
            BranchID::Nested(id) => {
                Self::Nested(ClientId::new(id.client.get())?, u64::from(id.clock))
            }
        })
    }

    /// Whether a branch is there.
    pub(super) fn is_of(&self, branch: &yrs::branch::Branch) -> bool {
        match (self, branch.id()) {
            (Self::Root(name), BranchID::Root(other)) => *name == other,
            (Self::Nested(client, clock), BranchID::Nested(id)) => {
                client.get() == id.client.get() && *clock == u64::from(id.clock)
            }
            _ => false,
        }
    }
}

#[cold]
pub(super) fn deleted() -> Error {
    Error::new(Code::ApiDeleted, "this part of the document was deleted")
}
