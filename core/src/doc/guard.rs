//! The guard: what every update from a peer has to pass before anything else looks at it.
//!
//! yrs panics, hangs or corrupts its document on updates that are wrong in ways which cost a few
//! bytes to make, so nothing may reach it, or a log that is replayed into it, unchecked. The guard
//! takes one pass over the bytes, and compares them with what the receiver has ([`Known`]). After
//! it, an update can be integrated completely and at once: nothing in it waits for anything else.

use super::known::Known;
use super::sleepers::Sleepers;
use super::walk::{Block, Id, Kind, Section, Visit, walk_fast};
use crate::error::{Code, Error};
use crate::ids::ClientId;
use crate::limits::Limits;
use crate::ordered::sort_by_key;

/// How the sender means an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Live edits of one client.
    Live,
    /// A full state or a difference: whatever the sender has, whoever wrote it.
    State,
}

/// The structs of one client in an update, without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientRange {
    /// Who wrote them.
    pub client: ClientId,
    /// The clock of the first one.
    pub start: u64,
    /// The clock behind the last one.
    pub end: u64,
}

/// What the guard has seen in an update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The structs, one range for each client, by client id.
    pub ranges: Vec<ClientRange>,
    /// Something is deleted.
    pub has_deletes: bool,
    /// Some struct is not known yet.
    pub is_news: bool,
    /// Some text holds a character outside the basic plane (an emoji): two UTF-16 units.
    pub has_astral: bool,
    /// A shared type is made that stands in another one, or beside something.
    pub has_nested: bool,
}

/// Checks an update for a receiver that has `known`; how deep its types are nested is a question of
/// its own (see `nesting`). `is_foreign` says whether a client id is held
/// by another live connection.
///
/// # Errors
/// * `update.too_large`: above a limit.
/// * `update.malformed`: no Yjs v1 update, or one that no client writes.
/// * `update.missing_dependencies`: it needs structs that are neither known nor inside.
/// * `update.foreign_client`: it writes under an id that is held by somebody else.
pub fn check(
    update: &[u8],
    known: &Known,
    mode: Mode,
    is_foreign: &dyn Fn(ClientId) -> bool,
    limits: &Limits,
) -> Result<Summary, Error> {
    inspect(update, known, mode, is_foreign, limits).map(|(summary, _)| summary)
}

/// What texts have to be careful with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Oddities {
    /// Values stand inside which count as length but are no text.
    pub(super) has_values: bool,
    /// Some text is formatted.
    pub(super) has_formats: bool,
    /// Some shared type is made.
    pub(super) has_types: bool,
}

/// What [`inspect`] has seen in an update.
pub(super) type Seen = (Summary, Oddities);

/// As [`check`], and says what texts have to be careful with.
pub(super) fn inspect(
    update: &[u8],
    known: &Known,
    mode: Mode,
    is_foreign: &dyn Fn(ClientId) -> bool,
    limits: &Limits,
) -> Result<Seen, Error> {
    if update.len() > limits.update_bytes_max {
        let (is, max) = (update.len(), limits.update_bytes_max);
        return Err(too_large(format!("the update has {is} bytes, and {max} are allowed")));
    }
    let mut guard = Guard {
        known,
        mode,
        is_foreign,
        limits,
        // Most updates are those of one client.
        summary: Summary { ranges: Vec::with_capacity(1), ..Summary::default() },
        oddities: Oddities::default(),
        known_next: 0,
        claimable: u64::try_from(update.len()).unwrap_or(u64::MAX),
        blocks: 0,
        waits: Vec::new(),
        deleted_clients: Vec::new(),
        deleted_range: None,
    };
    walk_fast(update, limits.value_depth_max, &mut guard)?;
    guard.check_deleted_clients()?;
    Ok((guard.summary, guard.oddities))
}

/// A struct that needs another one of this update, which is not known yet.
#[derive(Clone, Copy, Debug)]
struct Wait {
    block: Id,
    needs: Id,
}

struct Guard<'g> {
    known: &'g Known,
    mode: Mode,
    is_foreign: &'g dyn Fn(ClientId) -> bool,
    limits: &'g Limits,
    /// Its ranges stand in the order of the bytes until all structs were met.
    summary: Summary,
    oddities: Oddities,
    /// What is known of the client whose section is being walked.
    known_next: u64,
    /// How many clocks deleted items of others may still take.
    claimable: u64,
    /// Structs and deleted ranges so far.
    blocks: u64,
    /// In the order of the bytes: by section, and by clock inside.
    waits: Vec<Wait>,
    deleted_clients: Vec<ClientId>,
    /// Up to where the client whose deletions are being walked is known or in this update.
    deleted_range: Option<u64>,
}

impl<'a> Visit<'a> for Guard<'_> {
    fn section(&mut self, section: &Section<'a>) -> Result<(), Error> {
        let Section { client, clock, blocks, .. } = *section;
        self.count_blocks(blocks)?;
        self.count_client(self.summary.ranges.len())?;
        self.known_next = self.known.next(client);
        if clock > self.known_next {
            return Err(missing(Id { client, clock: self.known_next }));
        }
        self.summary.ranges.push(ClientRange { client, start: clock, end: clock });
        Ok(())
    }

    fn block(&mut self, block: &Block<'a>) -> Result<(), Error> {
        let end = block.end();
        if let Some(range) = self.summary.ranges.last_mut() {
            range.end = end;
        }
        if end > self.known_next {
            self.summary.is_news = true;
            let is_guarded = match self.mode {
                Mode::Live => true,
                Mode::State => matches!(block.kind, Kind::Gc | Kind::Deleted),
            };
            if is_guarded && (self.is_foreign)(block.id.client) && !self.may_claim(block) {
                return Err(foreign(block.id));
            }
        }
        self.summary.has_astral |= block.has_astral;
        self.oddities.has_values |=
            matches!(block.kind, Kind::Values | Kind::Binary | Kind::Document);
        self.oddities.has_formats |= block.kind == Kind::Format;
        if block.kind == Kind::Type {
            self.oddities.has_types = true;
            // Beside nothing and in nothing, it is in a type with a name.
            let has_place = block.parent.or(block.origin).or(block.right_origin).is_some();
            self.summary.has_nested |= has_place && end > self.known_next;
        }
        if let Some(origin) = block.origin {
            self.require(block.id, origin)?;
        }
        if let Some(right_origin) = block.right_origin {
            self.require(block.id, right_origin)?;
        }
        if let Some(parent) = block.parent {
            self.require(block.id, parent)?;
        }
        Ok(())
    }

    fn structs_end(&mut self) -> Result<(), Error> {
        let ranges = &mut self.summary.ranges;
        if ranges.len() > 1 {
            sort_by_key(ranges, |range| (range.client.get(), 0));
            if let Some(twice) = first_twice(ranges.iter().map(|range| range.client)) {
                return Err(malformed(twice, "has two sections"));
            }
        }
        if self.waits.is_empty() { Ok(()) } else { self.check_order() }
    }

    fn deletions(&mut self, client: ClientId, ranges: u64, _bytes: &'a [u8]) -> Result<(), Error> {
        self.count_blocks(ranges)?;
        self.count_client(self.deleted_clients.len())?;
        self.summary.has_deletes = true;
        self.deleted_clients.push(client);
        let here = self.range_of(client).map_or(0, |(_, range)| range.end);
        self.deleted_range = Some(here.max(self.known.next(client)));
        Ok(())
    }

    fn deleted(&mut self, client: ClientId, _start: u64, end: u64) -> Result<(), Error> {
        match self.deleted_range {
            Some(reached) if end > reached => Err(missing(Id { client, clock: reached })),
            _ => Ok(()),
        }
    }
}

impl Guard<'_> {
    /// Whether a struct may stand under the id of somebody else. Deleted items in a difference are
    /// honest when the log has lost its tail, but they must not claim more clocks than text of the
    /// update's size would: a few bytes could take all that the owner has left.
    fn may_claim(&mut self, block: &Block<'_>) -> bool {
        if self.mode == Mode::Live || block.kind != Kind::Deleted {
            return false;
        }
        self.claimable = self.claimable.saturating_sub(block.len);
        self.claimable > 0
    }

    fn count_blocks(&mut self, more: u64) -> Result<(), Error> {
        self.blocks = self.blocks.saturating_add(more);
        let max = self.limits.update_blocks_max;
        if self.blocks <= max {
            return Ok(());
        }
        Err(too_large(format!("the update has more than {max} structs and deleted ranges")))
    }

    fn count_client(&self, so_far: usize) -> Result<(), Error> {
        let max = self.limits.update_clients_max;
        if u64::try_from(so_far).is_ok_and(|so_far| so_far < max) {
            return Ok(());
        }
        Err(too_large(format!("the update tells of more than {max} clients")))
    }

    fn require(&mut self, block: Id, needs: Id) -> Result<(), Error> {
        if needs.client == block.client {
            // Who writes a struct has only earlier ones of its own. One that is known in part could
            // name others that are there, and become its own neighbor when it is cut.
            return if needs.clock < block.clock { Ok(()) } else { Err(missing(needs)) };
        }
        if needs.clock >= self.known.next(needs.client) {
            self.waits.push(Wait { block, needs });
        }
        Ok(())
    }

    fn range_of(&self, client: ClientId) -> Option<(usize, ClientRange)> {
        let ranges = &self.summary.ranges;
        let at = ranges.binary_search_by_key(&client, |range| range.client).ok()?;
        Some((at, *ranges.get(at)?))
    }

    /// Checks that the structs can be integrated in some order: that what one client's structs need
    /// of others' is inside, and that no circle of needs keeps them all waiting. Goes through the
    /// waits of each client in order, and sleeps on the first one that is not met yet.
    fn check_order(&self) -> Result<(), Error> {
        let mut reached: Vec<u64> = self.summary.ranges.iter().map(|range| range.end).collect();
        let mut runs = Vec::new();
        for run in self.waits.chunk_by(|a, b| a.block.client == b.block.client) {
            let Some(first) = run.first() else { continue };
            let Some((at, _)) = self.range_of(first.block.client) else { continue };
            if let Some(reached) = reached.get_mut(at) {
                *reached = first.block.clock.max(self.known.next(first.block.client));
            }
            runs.push((at, run));
        }
        let mut sleeping = Sleepers::default();
        let mut rest: Vec<&[Wait]> = runs.iter().map(|(_, run)| *run).collect();
        let mut awake: Vec<usize> = (0..runs.len()).collect();
        while let Some(index) = awake.pop() {
            let (Some((at, _)), Some(run)) = (runs.get(index), rest.get_mut(index)) else {
                continue;
            };
            let mut done = None;
            while let Some((wait, behind)) = run.split_first() {
                let Some((needed, range)) = self.range_of(wait.needs.client) else {
                    return Err(missing(wait.needs));
                };
                if wait.needs.clock >= range.end {
                    return Err(missing(wait.needs));
                }
                if reached.get(needed).is_some_and(|reached| *reached <= wait.needs.clock) {
                    sleeping.add(index, needed, wait.needs.clock);
                    done = Some(wait.block.clock);
                    break;
                }
                *run = behind;
            }
            let end = self.summary.ranges.get(*at).map_or(0, |range| range.end);
            let Some(reached) = reached.get_mut(*at) else { continue };
            *reached = (*reached).max(done.unwrap_or(end));
            sleeping.wake(*at, *reached, &mut awake);
        }
        match sleeping.first().and_then(|(index, ..)| rest.get(index)?.first()) {
            None => Ok(()),
            Some(wait) => Err(missing(wait.needs)),
        }
    }

    fn check_deleted_clients(&mut self) -> Result<(), Error> {
        let clients = &mut self.deleted_clients;
        if clients.len() < 2 {
            return Ok(());
        }
        sort_by_key(clients, |client| (client.get(), 0));
        match first_twice(clients.iter().copied()) {
            None => Ok(()),
            Some(twice) => Err(malformed(twice, "has two lists of deletions")),
        }
    }
}

/// The first client that stands twice in a sorted list.
fn first_twice(clients: impl Iterator<Item = ClientId>) -> Option<ClientId> {
    let mut last = None;
    for client in clients {
        if last == Some(client) {
            return last;
        }
        last = Some(client);
    }
    None
}

#[cold]
fn too_large(message: String) -> Error {
    Error::new(Code::UpdateTooLarge, message)
}

#[cold]
pub(super) fn malformed(client: ClientId, what: &str) -> Error {
    Error::new(Code::UpdateMalformed, format!("in the update, client {} {what}", client.get()))
}

#[cold]
pub(super) fn missing(id: Id) -> Error {
    let text = format!(
        "the update needs what client {} wrote at clock {}, which is not there",
        id.client.get(),
        id.clock
    );
    Error::new(Code::UpdateMissingDependencies, text)
}

#[cold]
fn foreign(id: Id) -> Error {
    let text = format!(
        "the update writes as client {} at clock {}, and another connection holds that id",
        id.client.get(),
        id.clock
    );
    Error::new(Code::UpdateForeignClient, text)
}
