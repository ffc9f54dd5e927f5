//! The replica: one client's copy of a document, over yrs.
//!
//! Nothing reaches yrs that the guard has not seen, and nothing is asked of it that makes it panic:
//! indexes are checked here first. No transaction outlives a call, so reading is always legal.

use bytes::Bytes;
use yrs::updates::decoder::Decode;
use yrs::{
    Any, BranchID, ClientID, Doc, ID, IndexScope, IndexedSequence, Observable, OffsetKind, Options,
    ReadTxn, StateVector, StickyIndex, Text, TextRef, Transact, Update, WriteTxn,
};

use super::guard::{ClientRange, Mode, Summary, inspect};
use super::known::Known;
use super::orphan::collect_orphans;
use super::pair::{Pairs, break_pairs};
use super::splice;
use super::text::{Changes, Content, OBJECT, Observer, difference, replaced};
pub use super::text::{Delta, TextChange};
use super::walk::{CLOCK_MAX, Id};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::limits::Limits;
use crate::ordered::OrderedMap;

/// The origin of transactions that bring what others wrote.
const REMOTE: &str = "remote";
/// A text is inserted in pieces of at most this many bytes.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// Edits are merged up to this many bytes.
pub(super) const EDIT_BYTES_MAX: usize = 384 << 10;
/// The key under which a text is observed.
const OBSERVER: &str = "replica";

/// To which of its two neighbors a position sticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assoc {
    /// To the character on its left: text inserted at the position comes behind it.
    Before,
    /// To the character on its right: text inserted at the position comes before it.
    After,
}

/// Where a position is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The name of the text, or `None` when it has none of its own (it is nested in something).
    pub text: Option<String>,
    /// The index in it, in UTF-16 units.
    pub index: u32,
}

/// One client's copy of a document.
#[derive(Debug)]
pub struct Replica {
    doc: Doc,
    client: ClientId,
    known: Known,
    /// Texts have to be looked at before they are edited: one of them may hold a character of two
    /// UTF-16 units, or content that counts as length but is no text.
    has_uneven: bool,
    pairs: Pairs,
    /// Nested groups of edits that are open.
    depth: u32,
    edits: Vec<Vec<u8>>,
    /// Some of them were written under other client ids.
    has_imports: bool,
    /// How often each text is observed.
    observed: OrderedMap<String, u32>,
    changes: Changes,
}

impl Replica {
    /// An empty document. The client id must not be in use anywhere else.
    #[must_use]
    pub fn new(client: ClientId) -> Self {
        Self {
            doc: new_document(client),
            client,
            known: Known::new(),
            has_uneven: false,
            pairs: Pairs::default(),
            depth: 0,
            edits: Vec::new(),
            has_imports: false,
            observed: OrderedMap::new(),
            changes: Changes::default(),
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

    /// Takes in an update of others, or an own one of an earlier session.
    ///
    /// # Errors
    /// What the guard says, or `update.malformed` when the document can't take it.
    pub fn apply(&mut self, update: &[u8], limits: &Limits) -> Result<Summary, Error> {
        self.apply_from(Some(REMOTE), update, limits).map(|(summary, _)| summary)
    }

    /// Takes in an own edit of an instance that is gone: to the app it is a local change, and it is
    /// none of [`Self::take_edits`].
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn apply_own(&mut self, update: &[u8], limits: &Limits) -> Result<Summary, Error> {
        self.apply_from(None, update, limits).map(|(summary, _)| summary)
    }

    /// As [`Self::apply_own`]; true when the document is another one now.
    pub(super) fn apply_as_own(&mut self, update: &[u8], limits: &Limits) -> Result<bool, Error> {
        self.apply_from(None, update, limits).map(|(_, is_news)| is_news)
    }

    /// Makes an update that was applied one of [`Self::take_edits`].
    pub(super) fn push_import(&mut self, update: Vec<u8>) {
        self.edits.push(update);
        self.has_imports = true;
    }

    /// Whether there is something under another client id among the edits to be taken.
    #[must_use]
    pub const fn has_imports(&self) -> bool {
        self.has_imports
    }

    fn apply_from(
        &mut self,
        origin: Option<&'static str>,
        update: &[u8],
        limits: &Limits,
    ) -> Result<(Summary, bool), Error> {
        let (summary, has_values) = inspect(update, &self.known, Mode::State, &|_| false, limits)?;
        self.has_uneven |= summary.has_astral || has_values;
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
        let whole = self.keep_pairs_whole(update, &summary)?;
        let update = whole.as_deref().unwrap_or(update);
        let mut result = self.integrate(origin, update);
        if result.is_err() {
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
        self.known.advance(&summary);
        Ok((summary, is_news))
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

    /// yrs cannot hold half a character. When an update cuts characters in two, their halves become
    /// U+FFFD on both sides, as in Yjs: in the update, which is given back, and in the document.
    fn keep_pairs_whole(
        &mut self,
        update: &[u8],
        summary: &Summary,
    ) -> Result<Option<Vec<u8>>, Error> {
        if !summary.has_astral && self.pairs.is_empty() {
            return Ok(None);
        }
        let new = Pairs::of(update, &self.known)?;
        let cut = self.pairs.cut_by(&new, update, &self.known, summary)?;
        if !cut.is_empty() && self.pairs.contains_any(&cut) {
            self.rebuild(&cut)?;
        }
        self.pairs.add(new, &cut);
        if cut.is_empty() { Ok(None) } else { break_pairs(update, &cut).map(Some) }
    }

    /// Builds the document anew with halves of these characters.
    fn rebuild(&mut self, cut: &Pairs) -> Result<(), Error> {
        let state = break_pairs(&self.state(), cut)?;
        let names: Vec<String> = self.observed.keys().cloned().collect();
        let before: Vec<String> = names.iter().map(|name| self.text_string(name)).collect();
        self.doc = new_document(self.client);
        self.integrate(Some(REMOTE), &state)?;
        for (name, before) in names.iter().zip(before) {
            self.watch(name);
            let delta = replaced(&before, &self.text_string(name));
            if !delta.is_empty() {
                let change = TextChange { text: name.clone(), delta, is_local: false };
                self.changes.push(change);
            }
        }
        Ok(())
    }

    /// Takes the place of another replica: who observes its texts is told what is different here.
    pub fn take_over(&mut self, before: Self) {
        let contents: Vec<_> =
            before.observed.keys().map(|name| (name.clone(), before.text_string(name))).collect();
        self.depth = before.depth;
        self.observed = before.observed;
        self.changes = before.changes;
        for (name, before) in contents {
            self.watch(&name);
            let delta = difference(&before, &self.text_string(&name));
            if !delta.is_empty() {
                self.changes.push(TextChange { text: name, delta, is_local: false });
            }
        }
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
        let mut edits: Vec<_> = self.edits.drain(..count).collect();
        self.has_imports &= !self.edits.is_empty();
        let merged = match edits.len() {
            1 => edits.pop(),
            _ => splice::merge(&edits).ok(),
        };
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
        self.doc
            .try_transact()
            .map_or_else(|_| vec![0, 0], |txn| txn.encode_diff_v1(&StateVector::default()))
    }

    /// What somebody lacks who has `known`, as one update.
    #[must_use]
    pub fn difference(&self, known: &Known) -> Vec<u8> {
        // yrs is not asked for it: it writes wrong lengths when a clock cuts a surrogate pair.
        let state = self.state();
        splice::difference(&state, known).unwrap_or(state)
    }

    /// Opens a group of edits: they leave as one update, and their changes together.
    pub const fn begin(&mut self) {
        self.depth = self.depth.saturating_add(1);
    }

    /// Closes the group that was opened last.
    pub const fn commit(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Inserts into a text, at an index in UTF-16 units.
    ///
    /// # Errors
    /// `api.out_of_range` or `api.split_surrogate`.
    pub fn text_insert(&mut self, text: &str, index: u32, content: &str) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        let target = txn.get_or_insert_text(text);
        check_range(&target, &txn, index, 0, self.has_uneven)?;
        if content.is_empty() {
            return Ok(());
        }
        drop(txn);
        // A large text goes in piece by piece, so that no update outgrows what a relay takes. The
        // last one first: pieces in their order would grow into one run, whose length yrs counts
        // anew with every piece and, later on, with every key at its end.
        let pieces: Vec<_> = pieces(content).collect();
        pieces.into_iter().rev().try_for_each(|piece| self.insert_piece(text, index, piece))
    }

    /// Inserts where nothing can be wrong any more.
    fn insert_piece(&mut self, text: &str, index: u32, piece: &str) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        txn.get_or_insert_text(text).insert(&mut txn, index, piece);
        self.edits.push(txn.encode_update_v1());
        drop(txn);
        let next = Id { client: self.client, clock: self.known.next(self.client) };
        let units = self.pairs.add_text(next, piece);
        self.has_uneven |= !self.pairs.is_empty();
        self.known.reach(self.client, next.clock.saturating_add(units));
        Ok(())
    }

    /// Deletes from a text; index and length are UTF-16 units.
    ///
    /// # Errors
    /// `api.out_of_range` or `api.split_surrogate`.
    pub fn text_delete(&mut self, text: &str, index: u32, length: u32) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        let target = txn.get_or_insert_text(text);
        check_range(&target, &txn, index, length, self.has_uneven)?;
        if length == 0 {
            return Ok(());
        }
        target.remove_range(&mut txn, index, length);
        self.edits.push(txn.encode_update_v1());
        Ok(())
    }

    /// The length of a text in UTF-16 units; 0 when there is no such text.
    #[must_use]
    pub fn text_length(&self, text: &str) -> u32 {
        self.read_text(text, |target, txn| target.len(txn)).unwrap_or(0)
    }

    /// A text; whatever is no text inside stands as U+FFFC.
    #[must_use]
    pub fn text_string(&self, text: &str) -> String {
        self.read_text(text, |target, txn| Content::of(target, txn).text).unwrap_or_default()
    }

    /// All texts that have a name and content.
    #[must_use]
    pub fn texts(&self) -> Vec<(String, String)> {
        let Ok(txn) = self.doc.try_transact() else { return Vec::new() };
        let names: Vec<String> = txn.root_refs().map(|(name, _)| name.to_owned()).collect();
        drop(txn);
        let mut texts: Vec<(String, String)> = Vec::new();
        for name in names {
            let text = self.text_string(&name);
            // What is no text at all shows as a row of objects.
            if text.contains(|char| char != OBJECT) {
                // They come in no order; there are few, and a sort is much code to load.
                let at = texts.partition_point(|(other, _)| *other < name);
                texts.insert(at, (name, text));
            }
        }
        texts
    }

    fn read_text<T>(
        &self,
        text: &str,
        read: impl FnOnce(&TextRef, &yrs::Transaction<'_>) -> T,
    ) -> Option<T> {
        let txn = self.doc.try_transact().ok()?;
        let target = txn.get_text(text)?;
        Some(read(&target, &txn))
    }

    /// Starts to collect the changes of a text. Counted: it takes as many calls of
    /// [`Self::unobserve_text`] to stop.
    pub fn observe_text(&mut self, text: &str) {
        let count = self.observed.or_default(text.to_owned());
        *count = count.saturating_add(1);
        if *count > 1 {
            return;
        }
        self.watch(text);
    }

    fn watch(&self, text: &str) {
        let Ok(mut txn) = self.doc.try_transact_mut() else { return };
        let target = txn.get_or_insert_text(text);
        let mut observer = Observer::new(text, target.len(&txn), self.changes.clone());
        drop(txn);
        target.observe(OBSERVER, move |txn, event| {
            observer.observe(event, txn, txn.origin().is_none());
        });
    }

    /// Takes back one [`Self::observe_text`].
    pub fn unobserve_text(&mut self, text: &str) {
        let Some(count) = self.observed.get_mut(&text.to_owned()) else { return };
        *count = count.saturating_sub(1);
        if *count > 0 {
            return;
        }
        self.observed.remove(&text.to_owned());
        let Ok(mut txn) = self.doc.try_transact_mut() else { return };
        let target = txn.get_or_insert_text(text);
        drop(txn);
        target.unobserve(OBSERVER);
    }

    /// The changes of observed texts since the last call, in order; none while a group is open.
    #[expect(clippy::needless_pass_by_ref_mut, reason = "it empties the queue")]
    pub fn take_changes(&mut self) -> Vec<TextChange> {
        if self.depth > 0 { Vec::new() } else { self.changes.take() }
    }

    /// A position that stays with the text around it, as JSON in the form that Yjs puts into
    /// awareness states.
    ///
    /// # Errors
    /// `api.out_of_range`.
    pub fn position(&self, text: &str, index: u32, assoc: Assoc) -> Result<String, Error> {
        let txn = self.doc.try_transact().map_err(busy)?;
        let target = txn.get_text(text);
        let len = target.as_ref().map_or(0, |target| target.len(&txn));
        if index > len {
            return Err(out_of_range(index, 0, len));
        }
        let (side, number) = match assoc {
            Assoc::Before => (yrs::Assoc::Before, -1),
            Assoc::After => (yrs::Assoc::After, 0),
        };
        // The end of a text has no character on its right, and the beginning none on its left.
        let has_neighbor = match assoc {
            Assoc::Before => index > 0,
            Assoc::After => index < len,
        };
        let item = target
            .filter(|_| has_neighbor)
            .and_then(|target| target.sticky_index(&txn, index, side)?.id().copied())
            .map_or_else(
                || "null".to_owned(),
                |id| format!(r#"{{"client":{},"clock":{}}}"#, id.client.get(), id.clock),
            );
        let mut name = String::new();
        Any::from(text).to_json(&mut name);
        // By hand, because the keys stand in the order of Yjs.
        Ok(format!(r#"{{"type":null,"tname":{name},"item":{item},"assoc":{number}}}"#))
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
        let scope = if let Some(item) = json.get("item").and_then(id) {
            IndexScope::Relative(item)
        } else if let Some(Any::String(name)) = json.get("tname") {
            if txn.get_text(&**name).is_none() {
                return Some(Position { text: Some((**name).to_owned()), index: 0 });
            }
            IndexScope::Root((**name).into())
        } else {
            IndexScope::Nested(json.get("type").and_then(id)?)
        };
        let offset = StickyIndex::new(scope, assoc).get_offset(&txn)?;
        let text = match offset.branch.id() {
            BranchID::Root(name) => Some(name.to_string()),
            BranchID::Nested(_) => None,
        };
        Some(Position { text, index: offset.index })
    }
}

/// Cuts a text between its characters.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at_checked(text.floor_char_boundary(PIECE_BYTES_MAX))?;
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn new_document(client: ClientId) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client.get()));
    options.offset_kind = OffsetKind::Utf16;
    options.skip_gc = false;
    // On, each replica would remove marks on its own, and replicas would differ.
    options.cleanup_formatting = false;
    Doc::with_options(options)
}

/// Checks that a range lies in a text and cuts no surrogate pair, and that the text is as long as
/// it says: yrs panics when it runs out of text.
fn check_range<T: ReadTxn>(
    text: &TextRef,
    txn: &T,
    index: u32,
    length: u32,
    has_uneven: bool,
) -> Result<(), Error> {
    let is = text.len(txn);
    let end = index.checked_add(length).filter(|end| *end <= is);
    let Some(end) = end else { return Err(out_of_range(index, length, is)) };
    if !has_uneven {
        return Ok(());
    }
    let content = Content::of(text, txn);
    if content.len() != is {
        let text = "the text holds content that is no text, or half a character";
        return Err(Error::new(Code::ClientInternal, text));
    }
    for at in [index, end] {
        if content.cuts_pair(at) {
            let text = format!("index {at} lies between the two halves of a character");
            return Err(Error::new(Code::ApiSplitSurrogate, text));
        }
    }
    Ok(())
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

fn yrs_id(id: Id) -> ID {
    // Clocks of structs are below 2^31.
    let clock = u32::try_from(id.clock).unwrap_or(u32::MAX);
    ID::new(ClientID::new(id.client.get()), clock)
}

#[cold]
fn out_of_range(index: u32, length: u32, is: u32) -> Error {
    let text = format!("index {index} and length {length} do not fit a text of length {is}");
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
