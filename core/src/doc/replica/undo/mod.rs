//! Undo and redo of a replica's own edits.

use std::time::Duration;

use yrs::updates::decoder::Decode;
use yrs::{Transact, Update};

use super::{EDIT_BYTES_MAX, Node, Replica, busy, refused, state, yrs_id};
use crate::doc::guard::{Mode, inspect};
use crate::doc::node::Place;
use crate::doc::pieces::pieces;
use crate::doc::takeback::{TakeBack, Taker, delete};
use crate::doc::undo::{Item, News};
use crate::error::Error;
use crate::limits::Limits;
use crate::time::Time;

impl Replica {
    /// Begins to gather own edits that can be undone. Those that come within `timeout` after each
    /// other are undone together, and so are those of a group. The answer is the number of the new
    /// stack.
    pub fn open_undo(&mut self, timeout: Duration) -> u32 {
        self.undos.open(timeout)
    }

    /// Edits of a type, and of those inside it, are gathered from here on.
    ///
    /// # Errors
    /// `api.deleted`.
    pub fn widen_undo(&self, number: u32, node: Node) -> Result<(), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        node.open(&mut txn)?;
        drop(txn);
        self.undos.widen(number, node);
        Ok(())
    }

    /// Ends what [`Self::open_undo`] began.
    pub fn close_undo(&mut self, number: u32) {
        self.undos.close(&self.doc, number);
    }

    /// Whether the time of an edit matters.
    #[must_use]
    pub fn needs_time(&self) -> bool {
        self.undos.is_open()
    }

    /// The time of the edits that follow.
    pub fn set_time(&self, now: Time) {
        self.undos.set_time(now);
    }

    /// Whether the edits that follow can be undone by this stack; those of anything else cannot.
    pub fn track(&self, number: u32, is_tracking: bool) {
        self.undos.track(number, is_tracking);
    }

    /// Undoes, or redoes, what was edited last; tells whether that changed anything. Types that others
    /// have written in, and those around them, stay.
    ///
    /// # Errors
    /// `update.too_large` when more would come back than one update holds: everything is as it was
    /// then, and so it is with any other error.
    pub fn undo(&mut self, number: u32, is_redo: bool) -> Result<bool, Error> {
        let mut is_changed = false;
        let mut is_over = true;
        while !is_changed && let Some((item, scope)) = self.undos.pop(number, is_redo) {
            is_over = false;
            match self.take_back(number, &item, &scope) {
                Ok(None) => {}
                Ok(Some(done)) => {
                    self.undos.push(number, !is_redo, done);
                    is_changed = true;
                }
                Err(error) => {
                    self.undos.push(number, is_redo, item);
                    return Err(error);
                }
            }
        }
        if !is_over {
            self.undos.tell(number, if is_redo { News::Redone } else { News::Undone });
        }
        Ok(is_changed)
    }

    /// Takes one item back; gives what that did, if it did anything.
    fn take_back(
        &mut self,
        number: u32,
        item: &Item,
        scope: &[Place],
    ) -> Result<Option<Item>, Error> {
        let TakeBack { update, copies } = self.plan(number, item, scope)?;
        let limits = Limits::default().for_taken();
        let (_, oddities) = inspect(&update, &self.known, Mode::State, &|_| false, &limits)?;
        let update = Update::decode_v1(&update).map_err(|error| refused(error.to_string()))?;
        self.undos.set_taking_back(true);
        let taken = self.take_in_again(update);
        self.undos.set_taking_back(false);
        let (done, update) = taken?;
        if done.insertions.is_empty() && done.deletions.is_empty() {
            return Ok(None);
        }
        self.undos.copies.add(copies, self.client);
        self.typing.forget();
        self.expect_values(&oddities);
        // In pieces that every relay takes.
        if update.len() > EDIT_BYTES_MAX {
            let pieces = pieces(&update, &self.known, EDIT_BYTES_MAX)?;
            pieces.into_iter().try_for_each(|piece| self.note(piece))?;
        } else {
            self.note(update)?;
        }
        Ok(Some(Item { is_mixed: oddities.has_types, ..done }))
    }

    /// The update that takes an item back.
    fn plan(&mut self, number: u32, item: &Item, scope: &[Place]) -> Result<TakeBack, Error> {
        if let Some(simple) = delete(item, &self.undos.copies) {
            return Ok(simple);
        }
        let mut kept = self.undos.take_kept(|| state(&self.doc))?;
        let taker = Taker {
            client: self.client,
            next: self.known.next(self.client),
            scope,
            copies: &self.undos.copies,
            is_deleted_by_others: &|id| self.undos.has_deleted(number, yrs_id(id)),
        };
        let plan = taker.take_back(item, &mut kept.layout)?;
        self.undos.keep(kept);
        Ok(plan)
    }

    /// Integrates an update; gives what it did, and the update of that.
    fn take_in_again(&self, update: Update) -> Result<(Item, Vec<u8>), Error> {
        let mut txn = self.doc.try_transact_mut().map_err(busy)?;
        txn.apply_update(update).map_err(|error| refused(error.to_string()))?;
        let (insertions, deletions) = (txn.insert_set().clone(), txn.delete_set().clone());
        let done = Item { insertions, deletions, is_mixed: false };
        Ok((done, txn.encode_update_v1()))
    }

    /// From here on edits are undone apart from those before.
    pub fn stop_undo(&self, number: u32) {
        self.undos.stop(number);
    }

    /// Forgets what could be undone and redone.
    pub fn clear_undo(&mut self, number: u32) {
        self.undos.clear(&self.doc, number);
    }

    /// What happened since the last call, as JSON: what, and how much can be undone and redone then.
    #[must_use]
    pub fn take_undo_news(&self, number: u32) -> String {
        self.undos.take_news(number)
    }
}

#[cfg(test)]
mod tests {
    //! What is kept between undos is what would be read anew: in random histories of two people, and
    //! with a twin of the first one who keeps nothing.

    use bytes::Bytes;

    use super::*;
    use crate::doc::kept::Kept;
    use crate::doc::replica::Kind;
    use crate::ids::ClientId;
    use crate::random::Random;

    fn roots() -> [Node; 4] {
        [
            Node::text("t"),
            Node::root(Kind::Map, "m"),
            Node::root(Kind::Array, "l"),
            Node::root(Kind::XmlFragment, "x"),
        ]
    }

    /// A type with a name, or one inside of it.
    fn some_type(replica: &Replica, random: &mut Random) -> Node {
        let mut nodes = roots().to_vec();
        let mut at = 0;
        while let Some(node) = nodes.get(at).cloned() {
            let inside = match node.kind {
                Kind::Text | Kind::XmlText => replica.text_delta(&node),
                Kind::Map => replica.entries(&node),
                _ => replica.sequence_items(&node),
            };
            for part in inside.unwrap().split("{\"\\u0000\":[").skip(1) {
                let mut numbers = part.split([',', ']']).map(|it| it.parse::<u64>().unwrap());
                let mut next = || numbers.next().unwrap();
                let kind = Kind::from_number(u8::try_from(next()).unwrap()).unwrap();
                let place = Place::Nested(ClientId::new(next()).unwrap(), next());
                nodes.push(Node { kind, place });
            }
            at += 1;
        }
        nodes.swap_remove(usize::try_from(random.below(nodes.len() as u64)).unwrap())
    }

    fn edit(replica: &mut Replica, node: &Node, random: &mut Random) {
        let word = ["a", "bc", "def", "ghij"][usize::try_from(random.below(4)).unwrap()];
        let mut within = |len: u32| u32::try_from(random.below(u64::from(len) + 1)).unwrap();
        match node.kind {
            Kind::Text | Kind::XmlText => {
                let len = replica.text_length(node);
                let (at, count) = (within(len), within(4));
                match (within(9), count.min(len - at)) {
                    (0..=4, _) => replica.text_insert(node, at, word).unwrap(),
                    (5..=7, count) => replica.text_delete(node, at, count).unwrap(),
                    (_, 0) => {}
                    (_, count) => {
                        let mark = format!(r#"{{"retain":{count},"attributes":{{"b":true}}}}"#);
                        let delta = format!(r#"[{{"retain":{at}}},{mark}]"#);
                        replica.text_apply(node, &delta).unwrap();
                    }
                }
            }
            Kind::Map => match (within(3), format!("k{}", within(2))) {
                (0, key) => replica.entry_delete(node, &key).unwrap(),
                (1, key) => {
                    let inner = format!(r#"{{"\u0000":[1,{{"k0":"{word}"}}]}}"#);
                    replica.entry_set(node, &key, &inner).unwrap();
                }
                (_, key) => replica.entry_set(node, &key, &format!("\"{word}\"")).unwrap(),
            },
            kind => {
                let len = replica.sequence_length(node).unwrap();
                let (at, count) = (within(len), within(3));
                let text = format!(r#"{{"\u0000":[6,[{{"insert":"{word}"}}]]}}"#);
                match (within(4), kind) {
                    (0 | 1, _) => {
                        replica.sequence_delete(node, at, count.min(len - at)).unwrap();
                    }
                    (2, Kind::Array) => {
                        let inner = r#"[{"\u0000":[0,[1,2]]},{"\u0000":[1,{}]}]"#;
                        replica.sequence_insert(node, at, inner).unwrap();
                    }
                    (_, Kind::Array) => replica.sequence_insert(node, at, "[1,2,3]").unwrap(),
                    (2, Kind::XmlElement) => replica.entry_set(node, "k", "\"v\"").unwrap(),
                    (2, _) => replica.sequence_insert(node, at, &format!("[{text}]")).unwrap(),
                    _ => {
                        let element = format!(r#"[{{"\u0000":[3,"p",{{}},[{text}]]}}]"#);
                        replica.sequence_insert(node, at, &element).unwrap();
                    }
                }
            }
        }
    }

    fn person(client: u32) -> Replica {
        let mut replica = Replica::new(ClientId::from_u32(client));
        let number = replica.open_undo(Duration::ZERO);
        roots().into_iter().for_each(|node| replica.widen_undo(number, node).unwrap());
        replica
    }

    /// Compares what is kept with what would be read; `is_all` for what nobody has asked for, too.
    fn check(replica: &mut Replica, is_all: bool, told: &str) {
        if !replica.undos.is_kept() {
            return;
        }
        let unread = || panic!("nothing is kept: {told}");
        let mut kept = replica.undos.take_kept(unread).unwrap();
        let mut fresh = Kept::read(replica.state()).unwrap();
        if is_all {
            kept.layout.order_as(None);
        }
        fresh.layout.order_as(Some(&kept.layout));
        assert_eq!(kept.layout.shown(), fresh.layout.shown(), "{told}");
        replica.undos.keep(kept);
    }

    fn history(seed: u64) -> usize {
        let mut random = Random::from_seed(seed);
        let [mut one, mut twin, mut other] = [1, 1, 2].map(person);
        let (mut sent, mut got) = (Vec::<Bytes>::new(), Vec::<Bytes>::new());
        let mut kept = 0;
        for step in 0..60 {
            let told = format!("history {seed}, step {step}");
            match random.below(12) {
                0..=3 => {
                    let node = some_type(&one, &mut random);
                    let seed = random.below(1 << 30);
                    for replica in [&mut one, &mut twin] {
                        replica.begin(0);
                        edit(replica, &node, &mut Random::from_seed(seed));
                        replica.commit();
                    }
                }
                4..=8 => {
                    let is_redo = random.chance(35);
                    twin.undos.let_go();
                    assert_eq!(twin.undo(1, is_redo).unwrap(), one.undo(1, is_redo).unwrap());
                }
                9 | 10 => {
                    let node = some_type(&other, &mut random);
                    edit(&mut other, &node, &mut random);
                    if random.chance(30) {
                        other.undo(1, false).unwrap();
                    }
                    got.extend(other.take_edits());
                }
                _ => {
                    for update in got.drain(..) {
                        one.apply(&update, &Limits::default()).unwrap();
                        twin.apply(&update, &Limits::default()).unwrap();
                    }
                    for update in sent.drain(..) {
                        other.apply(&update, &Limits::default()).unwrap();
                    }
                }
            }
            let edits = one.take_edits();
            assert_eq!(edits, twin.take_edits(), "{told}");
            sent.extend(edits);
            kept += usize::from(one.undos.is_kept());
            if random.chance(60) {
                check(&mut one, random.chance(20), &told);
                check(&mut other, random.chance(20), &told);
            }
        }
        kept
    }

    #[test]
    fn who_goes_on_to_edit_or_gets_much_of_others_keeps_nothing() {
        let (mut one, mut other) = (person(1), person(2));
        let bring_back = |one: &mut Replica| {
            one.text_insert("t", 0, "text").unwrap();
            one.text_delete("t", 0, 4).unwrap();
            assert!(!one.undos.is_kept());
            assert!(one.undo(1, false).unwrap());
            assert!(one.undos.is_kept());
        };
        bring_back(&mut one);
        // What the undo did is the first of 256.
        (0..255).for_each(|_| one.text_insert("t", 0, "x").unwrap());
        assert!(one.undos.is_kept());
        one.text_insert("t", 0, "x").unwrap();
        bring_back(&mut one);
        other.text_insert("t", 0, &"much".repeat(100_000)).unwrap();
        one.apply(&other.state(), &Limits::default()).unwrap();
        bring_back(&mut one);
        one.clear_undo(1);
        assert!(!one.undos.is_kept());
    }

    #[test]
    fn what_is_kept_for_the_next_undo_is_what_would_be_read() {
        let setting = |name, default| {
            let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
            value.map_or(default, |value| value.parse().unwrap())
        };
        let first = setting("COWEAVE_FIRST", 1);
        let histories = first..first + setting("COWEAVE_HISTORIES", 300_u64);
        assert!(histories.map(history).sum::<usize>() > 1000);
    }
}
