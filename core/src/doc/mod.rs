//! The document: the guard before all bytes from a peer, what is done with updates as bytes, and the
//! replica.
//!
//! This is the only module that names yrs.

pub mod change;
pub mod content;
mod copies;
pub mod deletions;
pub mod digest;
mod elements;
pub mod equivocation;
pub mod guard;
mod json;
mod kept;
pub mod known;
mod layout;
mod line;
pub(crate) mod mix;
pub mod nesting;
pub mod node;
mod noted;
mod observe;
mod orphan;
mod pair;
mod piece;
pub mod pieces;
pub mod replica;
mod run;
mod shape;
mod sleepers;
pub mod snapshot;
pub mod splice;
mod state;
mod takeback;
mod text;
mod typing;
mod undo;
mod value;
pub mod version2;
mod walk;
