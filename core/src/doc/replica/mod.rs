//! The replica: one client's copy of a document, over yrs.
//!
//! Nothing reaches yrs that the guard has not seen, and nothing is asked of it that makes it panic:
//! indexes are checked here first. No transaction outlives a call, so reading is always legal.

mod anew;
mod delta;
mod depth;
mod entries;
mod observed;
mod position;
mod read;
mod sequence;
mod text;
mod undo;

use bytes::Bytes;
use yrs::branch::BranchPtr;
use yrs::updates::decoder::Decode;
use yrs::{
    BranchID, ClientID, Doc, ID, OffsetKind, Options, ReadTxn, StateVector, Transact, Transaction,
    TransactionMut, Update,
};

use self::observed::Observed;
pub use self::position::{Assoc, Position};
pub(super) use self::sequence::items;
pub use super::change::{Change, KeyChange, Segment, Step};
use super::content;
use super::guard::{ClientRange, Mode, Oddities, Seen, Summary, inspect};
use super::known::Known;
use super::nesting::Nesting;
pub use super::node::{Kind, Node, Place};
use super::noted::Noted;
use super::observe::Changes;
use super::orphan::collect_orphans;
use super::pair::Pairs;
use super::splice;
use super::typing::Typing;
use super::undo::Undos;
use super::walk::Id;
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::limits::Limits;

/// The origin of transactions that bring what others wrote.
pub(super) const REMOTE: &str = "remote";
/// The origin of transactions that bring own edits of another instance, which made them long ago.
const EARLIER: &str = "earlier";
/// Edits are merged up to this many bytes.
pub(super) const EDIT_BYTES_MAX: usize = 384 << 10;

/// One client's copy of a document.
#[derive(Debug)]
pub struct Replica {
    doc: Doc,
    client: ClientId,
    known: Known,
    /// How deep everything is, once somebody nested a type.
    nesting: Option<Nesting>,
    /// Some update brought values, which count as length: they may be in a text.
    has_values: bool,
    /// Texts that hold nothing but text and what is embedded, as was seen after the last such update.
    plain_texts: Noted,
    /// Lists without text among their entries, as was seen after the last update of others.
    textless: Noted,
    pairs: Pairs,
    /// What is known of the order of texts.
    typing: Typing,
    /// Nested groups of edits that are open.
    depth: u32,
    /// The clock of the first own struct of the group.
    group_start: u64,
    edits: Vec<Vec<u8>>,
    /// Some of them were written under other client ids.
    has_imports: bool,
    /// Some text has a format.
    has_formats: bool,
    /// There is a nested type, perhaps in a text.
    has_types: bool,
    observed: Vec<Observed>,
    changes: Changes,
    undos: Undos,
}

impl Replica {
    /// An empty document. The client id must not be in use anywhere else.
    #[must_use]
    pub fn new(client: ClientId) -> Self {
        let undos = Undos::default();
        Self {
            doc: new_document(client, &undos),
            client,
            known: Known::new(),
            nesting: None,
            has_values: false,
            plain_texts: Noted::default(),
            textless: Noted::default(),
            pairs: Pairs::default(),
            typing: Typing::default(),
            depth: 0,
            group_start: 0,
            edits: Vec::new(),
            has_imports: false,
            has_formats: false,
            has_types: false,
            observed: Vec::new(),
            changes: Changes::default(),
            undos,
        }
    }

    /// The id under which this replica writes.
    #[must_use]
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// What the document has, own edits included.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// Takes in an update of others, or an own one of an earlier session. In the answer, what it
    /// deletes is news, too, unless it is deleted already.
    ///
    /// # Errors
    /// What the guard says, or `update.malformed` when the document can't take it.
    pub fn apply(&mut self, update: &[u8], limits: &Limits) -> Result<Summary, Error> {
        self.apply_from(REMOTE, update, limits)
    }

    /// Takes in an own edit of an instance that is gone: to the app it is a local change, and it is
    /// none of [`Self::take_edits`].
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_own(&mut self, update: &[u8], limits: &Limits) -> Result<Summary, Error> {
        self.apply_from(EARLIER, update, limits)
    }

    /// As [`Self::apply_own`], with what the guard has seen in it; true when the document is another
    /// one now.
    pub(super) fn apply_as_own(&mut self, update: &[u8], seen: &Seen) -> Result<bool, Error> {
        self.take_in(None, update, seen)
    }

    /// Makes an update that was applied one of [`Self::take_edits`].
    pub(super) fn push_import(&mut self, update: Vec<u8>) -> Result<(), Error> {
        self.undos.made_types();
        self.edits.push(update);
        self.has_imports = true;
        Ok(())
    }

    /// Whether there is something under another client id among the edits to be taken.
    #[must_use]
    pub const fn has_imports(&self) -> bool {
        self.has_imports
    }

    /// What the guard says of an update.
    ///
    /// # Errors
    /// What it has against it.
    pub(super) fn inspect(&mut self, update: &[u8], limits: &Limits) -> Result<Seen, Error> {
        let seen = inspect(update, &self.known, Mode::State, &|_| false, limits)?;
        self.check_nesting(update, &seen.0, limits)?;
        Ok(seen)
    }

    fn apply_from(
        &mut self,
        origin: &'static str,
        update: &[u8],
        limits: &Limits,
    ) -> Result<Summary, Error> {
        let seen = self.inspect(update, limits)?;
        let is_news = self.take_in(Some(origin), update, &seen)?;
        Ok(Summary { is_news: is_news || seen.0.is_news, ..seen.0 })
    }

    /// Takes in an update that passed the guard. The answer is whether there was something new.
    fn take_in(
        &mut self,
        origin: Option<&'static str>,
        update: &[u8],
        (summary, oddities): &Seen,
    ) -> Result<bool, Error> {
        self.expect_values(oddities);
        self.has_formats |= oddities.has_formats;
        self.has_types |= oddities.has_types;
        self.changes.expect_formats(oddities.has_formats);
        self.typing.forget();
        self.textless.clear();
        // A struct that is known in part goes on where its first part is. yrs would
        // count it where the struct says, and panic when it misses it there.
        let is_cut = |range: &ClientRange| {
            let next = self.known.next(range.client);
            range.start < next && next < range.end
        };
        let cut = match summary.ranges.iter().any(is_cut) {
            true => Some(splice::difference(update, &self.known)?),
            false => None,
        };
        let update = cut.as_deref().unwrap_or(update);
        self.note_pairs(update, summary)?;
        let mut result = self.integrate(origin, update);
        if result.is_err() {
            self.undos.let_go();
            // Structs before the bad one are in the document already, and are not taken twice.
            let known = &self.known;
            let txn = self.doc.try_transact().map_err(busy)?;
            let is_type = |id: Id| {
                let is_known = id.clock < known.next(id.client);
                is_known.then(|| BranchID::get_nested(&txn, &yrs_id(id)).is_some())
            };
            let update = collect_orphans(update, &is_type)?;
            drop(txn);
            result = self.integrate(origin, &update).map(|_| true);
        }
        let is_news = result?;
        self.advance(update, summary);
        Ok(is_news)
    }

    /// What an update has that did not come through the calls of the app: texts are to be looked at again.
    fn expect_values(&mut self, oddities: &Oddities) {
        if oddities.has_values {
            self.has_values = true;
            self.plain_texts.clear();
        }
    }

    /// The answer is whether there was something new.
    fn integrate(&self, origin: Option<&'static str>, update: &[u8]) -> Result<bool, Error> {
        let update = Update::decode_v1(update)
            .map_err(|error| refused(format!("the document cannot read the update: {error}")))?;
        let txn = match origin {
            Some(origin) => self.doc.try_transact_mut_with(origin),
            None => self.doc.try_transact_mut(),
        };
        let mut txn = txn.map_err(busy)?;
        txn.apply_update(update)
            .map_err(|error| refused(format!("the document cannot take the update: {error}")))?;
        Ok(!txn.insert_set().is_empty() || !txn.delete_set().is_empty())
    }

    /// Notes which characters of two units there are with an update, and cuts those that it cuts.
    fn note_pairs(&mut self, update: &[u8], summary: &Summary) -> Result<(), Error> {
        if !summary.has_astral && self.pairs.is_empty() {
            return Ok(());
        }
        let new = match summary.has_astral {
            true => Pairs::of(update, &self.known)?,
            false => Pairs::default(),
        };
        let cut = self.pairs.cut_by(&new, update, &self.known, summary)?;
        if !cut.is_empty() {
            // What was read of the document for undo has these characters whole.
            self.undos.let_go();
            self.cut(cut.among(&self.pairs))?;
        }
        self.pairs.add(new, &cut);
        Ok(())
    }

    /// Own edits since the last call as one update, or the first of several when they are large;
    /// `None` when there are none left, or while a group is open.
    pub fn take_edits(&mut self) -> Option<Bytes> {
        if self.depth > 0 || self.edits.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = self.edits.iter().take_while(|edit| {
            bytes += edit.len();
            bytes <= EDIT_BYTES_MAX
        });
        let count = fits.count().max(1);
        let merged = match count {
            // As with each key.
            1 => Some(self.edits.remove(0)),
            _ => splice::merge(&self.edits.drain(..count).collect::<Vec<_>>()).ok(),
        };
        self.has_imports &= !self.edits.is_empty();
        Some(Bytes::from(merged.unwrap_or_else(|| self.state())))
    }

    /// Own edits that [`Self::take_edits`] has not given yet, one by one.
    #[must_use]
    pub fn untaken_edits(&self) -> &[Vec<u8>] {
        &self.edits
    }

    /// The whole document as one update.
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        state(&self.doc)
    }

    /// What somebody lacks who has `known`, as one update.
    #[must_use]
    pub fn difference(&self, known: &Known) -> Vec<u8> {
        // yrs is not asked for it: it writes wrong lengths when a clock cuts a surrogate pair.
        let state = self.state();
        splice::difference(&state, known).unwrap_or(state)
    }

    /// Opens a group of edits: they leave as one update, and are one change for each observed type.
    /// `origin` is told with the changes; that of the outermost group counts.
    pub fn begin(&mut self, origin: u32) {
        if self.depth == 0 {
            self.changes.begin(origin);
            self.group_start = self.known.next(self.client);
            self.undos.set_group(true);
        }
        self.depth = self.depth.saturating_add(1);
    }

    /// Closes the group that was opened last.
    pub fn commit(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth > 0 {
            return;
        }
        self.undos.set_group(false);
        let Ok(txn) = self.doc.try_transact() else { return };
        self.changes.commit(|target| match &target.place {
            Place::Root(_) => true,
            // What is new stands in the change of the type around it.
            Place::Nested(client, clock)
                if *client == self.client && *clock >= self.group_start =>
            {
                false
            }
            Place::Nested(..) => target.find(&txn).is_ok(),
        });
    }

    /// Changes a type. `own` is what that does to it, when it is known without asking.
    fn edit(
        &mut self,
        node: &Node,
        own: Option<&[Step]>,
        edit: impl FnOnce(&mut TransactionMut<'_>, BranchPtr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.typing.forget_text(&node.place);
        self.edit_text(node, own, edit)
    }

    /// The same without forgetting what is known of a text's order.
    fn edit_text(
        &mut self,
        node: &Node,
        own: Option<&[Step]>,
        edit: impl FnOnce(&mut TransactionMut<'_>, BranchPtr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(node, own);
        let edited = self.edit_unseen(node, edit);
        self.expect_nothing();
        edited
    }

    /// The same by an update that was written without looking at the document: the guard would see
    /// this in it.
    fn edit_by_id(
        &mut self,
        node: &Node,
        own: Option<&[Step]>,
        (update, summary): (Vec<u8>, Summary),
    ) -> Result<(), Error> {
        self.expect(node, own);
        let taken = self.integrate(None, &update);
        self.expect_nothing();
        taken?;
        self.keep(update, &(summary, Oddities::default()))
    }

    fn expect(&self, node: &Node, own: Option<&[Step]>) {
        if let Some(steps) = own
            && !self.observed.is_empty()
        {
            let steps = steps.iter().filter(|step| !step.is_empty()).cloned().collect();
            self.changes.expect(Some((node.place.clone(), steps)));
        }
    }

    fn expect_nothing(&self) {
        if !self.observed.is_empty() {
            self.changes.expect(None);
        }
    }

    fn edit_unseen(
        &mut self,
        node: &Node,
        edit: impl FnOnce(&mut TransactionMut<'_>, BranchPtr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        let branch = node.open(&mut txn)?;
        edit(&mut txn, branch)?;
        let update = txn.encode_update_v1();
        drop(txn);
        self.note(update)
    }

    /// Keeps an own edit that is in the document.
    fn note(&mut self, mut update: Vec<u8>) -> Result<(), Error> {
        let limits = Limits::default().for_taken();
        let seen = inspect(&update, &self.known, Mode::State, &|_| false, &limits)?;
        if !seen.0.is_news && !seen.0.has_deletes {
            return Ok(());
        }
        // yrs names the clients of whom something was deleted in another order than Yjs.
        if matches!(update.as_slice(), [0, clients, ..] if *clients > 1) {
            update = splice::merge(std::slice::from_ref(&update))?;
        }
        self.keep(update, &seen)
    }

    fn keep(&mut self, mut update: Vec<u8>, (summary, oddities): &Seen) -> Result<(), Error> {
        self.has_formats |= oddities.has_formats;
        self.has_types |= oddities.has_types;
        if summary.has_astral {
            self.pairs.add(Pairs::of(&update, &self.known)?, &Pairs::default());
        }
        self.advance(&update, summary);
        if oddities.has_types {
            self.undos.made_types();
        }
        // yrs writes into a kilobyte, and edits may wait for the relay for long.
        update.shrink_to_fit();
        self.edits.push(update);
        Ok(())
    }

    /// Whether a type can be used.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn require(&self, node: &Node) -> Result<(), Error> {
        self.read(node, |_, _| ())
    }

    /// Looks at a type; the default when it has a name and nobody made it yet.
    fn read<T: Default>(
        &self,
        node: &Node,
        read: impl FnOnce(BranchPtr, &Transaction<'_>) -> T,
    ) -> Result<T, Error> {
        let txn = self.doc.try_transact().map_err(busy)?;
        Ok(node.find(&txn)?.map_or_else(T::default, |branch| read(branch, &txn)))
    }
}

fn state(doc: &Doc) -> Vec<u8> {
    let whole = |txn: Transaction<'_>| txn.encode_diff_v1(&StateVector::default());
    doc.try_transact().map_or_else(|_| vec![0, 0], whole)
}

fn new_document(client: ClientId, undos: &Undos) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client.get()));
    options.offset_kind = OffsetKind::Utf16;
    // What may come back is kept; the rest is collected by who knows.
    options.skip_gc = true;
    // On, each replica would remove marks on its own, and replicas would differ.
    options.cleanup_formatting = false;
    let doc = Doc::with_options(options);
    undos.watch(&doc);
    doc
}

pub(super) fn yrs_id(id: Id) -> ID {
    // Clocks of structs are below 2^31.
    let clock = u32::try_from(id.clock).unwrap_or(u32::MAX);
    ID::new(ClientID::new(id.client.get()), clock)
}

pub(super) fn our_id(id: ID) -> Id {
    // Every client id is one of ours: it was checked when it came.
    let client = ClientId::new(id.client.get()).unwrap_or(ClientId::from_u32(0));
    Id { client, clock: u64::from(id.clock) }
}

#[cold]
fn out_of_range(index: u32, length: u32, is: u32) -> Error {
    let text = format!("index {index} and length {length} do not fit a length of {is}");
    Error::new(Code::ApiOutOfRange, text)
}

#[cold]
fn refused(message: String) -> Error {
    Error::new(Code::UpdateMalformed, message)
}

#[cold]
fn busy(_: impl std::error::Error) -> Error {
    Error::new(Code::ClientInternal, "the document is in use by another call")
}
