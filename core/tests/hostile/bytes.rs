//! Updates written by hand, byte by byte, right or wrong.

use coweave_core::doc::known::Known;
use coweave_core::wire::primitive::{write_string, write_var};

/// What is being written.
#[derive(Clone, Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    /// One client's section: it needs so many structs behind it.
    pub(crate) fn section(blocks: u64, client: u64, clock: u64) -> Self {
        Self(vec![1]).var(blocks).var(client).var(clock)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn var(mut self, value: u64) -> Self {
        write_var(&mut self.0, value);
        self
    }

    pub(crate) fn string(mut self, text: &str) -> Self {
        write_string(&mut self.0, text);
        self
    }

    /// The head of a struct without neighbors in a root.
    pub(crate) fn in_root(self, content: u8, root: &str) -> Self {
        self.raw(&[content, 1]).string(root)
    }

    /// The head of a struct behind another one.
    pub(crate) fn behind(self, content: u8, client: u64, clock: u64) -> Self {
        self.raw(&[0x80 | content]).var(client).var(clock)
    }

    /// The end of an update that deletes nothing.
    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0]).0
    }

    /// The end of an update that deletes one range.
    pub(crate) fn deleting(self, client: u64, clock: u64, len: u64) -> Vec<u8> {
        self.raw(&[1]).var(client).raw(&[1]).var(clock).var(len).0
    }
}

pub(crate) fn hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub(crate) fn known(clocks: &[(u64, u64)]) -> Known {
    let mut bytes = Bytes::default().var(clocks.len() as u64);
    for (client, clock) in clocks {
        bytes = bytes.var(*client).var(*clock);
    }
    Known::decode(&bytes.0, u64::MAX).expect("a state vector")
}
