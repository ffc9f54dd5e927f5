//! Random histories of two people who undo and redo, and write in what the other one has made.
//!
//! Each of them has a mirror, which is sent what the room would be: what comes back is there for
//! everybody, and nothing of somebody else goes.

mod places;

use std::collections::BTreeSet;

use coweave_core::doc::guard::{Mode, check};
use coweave_core::doc::replica::{Kind, Node, Place, Replica};
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;

use self::places::{places, roots};
use crate::Editor;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .map_or(default, |value| value.parse().unwrap())
}

fn view(replica: &Replica) -> String {
    let [text, map, list, xml] = roots();
    let trees = [map, list, xml].map(|node| replica.tree(&node).unwrap());
    format!("{} {}", replica.text_delta(&text).unwrap(), trees.join(" "))
}

/// What of the second person can be seen: each of its letters is another one.
fn theirs(replica: &Replica) -> BTreeSet<char> {
    view(replica).chars().filter(|letter| ('\u{4e00}'..'\u{9fff}').contains(letter)).collect()
}

/// One of the two, what it has not sent, and who is told of everything that it has.
struct Person {
    editor: Editor,
    mirror: Replica,
    sent: Vec<Vec<u8>>,
    letters: u32,
}

impl Person {
    fn new(client: u32, scope: &[Node]) -> Self {
        let mirror = Replica::new(ClientId::from_u32(client + 100));
        Self { editor: Editor::new(client, scope), mirror, sent: Vec::new(), letters: 0 }
    }

    fn word(&mut self, random: &mut Random) -> String {
        let mut letter = |random: &mut Random| match self.editor.replica.client().get() {
            1 => char::from(b'a' + u8::try_from(random.below(26)).unwrap()),
            _ => {
                self.letters += 1;
                char::from_u32(0x4e00 + self.letters).unwrap()
            }
        };
        let mut word: String = (0..=random.below(4)).map(|_| letter(random)).collect();
        if random.chance(10) {
            word.push('😀');
        }
        word
    }

    /// Some content of any kind.
    fn content(&mut self, random: &mut Random) -> String {
        let word = self.word(random);
        match random.below(6) {
            0..=2 => format!("\"{word}\""),
            3 => format!(r#"{{"\u0000":[1,{{"k0":"{word}"}}]}}"#),
            4 => format!(r#"{{"\u0000":[0,["{word}",{{"\u0000":[1,{{}}]}}]]}}"#),
            _ => format!(r#"{{"\u0000":[2,[{{"insert":"{word}","attributes":{{"b":true}}}}]]}}"#),
        }
    }

    fn edit(&mut self, random: &mut Random) {
        let places = places(&self.editor.replica);
        let node = &places[usize::try_from(random.below(places.len() as u64)).unwrap()];
        match node.kind {
            Kind::Text | Kind::XmlText => self.edit_text(random, node),
            Kind::Map => self.edit_entry(random, node),
            Kind::XmlElement if random.chance(40) => self.edit_entry(random, node),
            kind => {
                let len = self.editor.replica.sequence_length(node).unwrap();
                let at = u32::try_from(random.below(u64::from(len) + 1)).unwrap();
                let count = u32::try_from(1 + random.below(2)).unwrap().min(len - at);
                if random.chance(45) && count > 0 {
                    self.editor.replica.sequence_delete(node, at, count).unwrap();
                } else if kind == Kind::Array {
                    let items = format!("[{},{}]", self.content(random), self.content(random));
                    self.editor.replica.sequence_insert(node, at, &items).unwrap();
                } else {
                    let text =
                        format!(r#"{{"\u0000":[6,[{{"insert":"{}"}}]]}}"#, self.word(random));
                    let item = match random.below(2) {
                        0 => format!("[{text}]"),
                        _ => format!(r#"[{{"\u0000":[3,"p",{{}},[{text}]]}}]"#),
                    };
                    self.editor.replica.sequence_insert(node, at, &item).unwrap();
                }
            }
        }
    }

    fn edit_entry(&mut self, random: &mut Random, node: &Node) {
        let key = format!("k{}", random.below(3));
        if random.chance(30) {
            self.editor.replica.entry_delete(node, &key).unwrap();
        } else {
            let content = match node.kind {
                Kind::XmlElement => format!("\"{}\"", self.word(random)),
                _ => self.content(random),
            };
            self.editor.replica.entry_set(node, &key, &content).unwrap();
        }
    }

    fn edit_text(&mut self, random: &mut Random, node: &Node) {
        let units: Vec<u16> = self.editor.replica.text_string(node).encode_utf16().collect();
        let len = self.editor.replica.text_length(node);
        // Between characters; behind embedded objects, who knows.
        let is_cut = |at: u32| units.get(at as usize).is_some_and(|unit| *unit & 0xfc00 == 0xdc00);
        let place = |random: &mut Random| {
            let at = u32::try_from(random.below(u64::from(len) + 1)).unwrap();
            if is_cut(at) { at - 1 } else { at }
        };
        let (at, other) = (place(random), place(random));
        let (at, end) = (at.min(other), at.max(other).min(at.min(other) + 6));
        let end = if is_cut(end) { end - 1 } else { end };
        let marks = ["{\"b\":true}", "{\"b\":null}", "{\"i\":\"x\",\"b\":null}"];
        let mark = marks[usize::try_from(random.below(3)).unwrap()];
        let delta = match random.below(10) {
            0..=3 => format!(r#"[{{"retain":{at}}},{{"insert":"{}"}}]"#, self.word(random)),
            4 => {
                let word = self.word(random);
                format!(r#"[{{"retain":{at}}},{{"insert":"{word}","attributes":{mark}}}]"#)
            }
            5 if end > at => {
                format!(r#"[{{"retain":{at}}},{{"retain":{},"attributes":{mark}}}]"#, end - at)
            }
            6 => format!(r#"[{{"retain":{at}}},{{"insert":{{"image":"{at}"}}}}]"#),
            _ if end > at => format!(r#"[{{"retain":{at}}},{{"delete":{}}}]"#, end - at),
            _ => return,
        };
        // Half a character behind an embedded object is refused.
        self.editor.replica.text_apply(node, &delta).ok();
    }

    /// Gives its edits to its mirror as they are sent.
    fn send(&mut self, told: &dyn Fn() -> String) {
        while let Some(update) = self.editor.replica.take_edits() {
            let limits = Limits::default();
            check(&update, self.mirror.known(), Mode::Live, &|_| false, &limits)
                .unwrap_or_else(|error| panic!("{error}\n{}", told()));
            self.mirror.apply(&update, &limits).unwrap();
            self.sent.push(update.to_vec());
        }
        assert_eq!(view(&self.editor.replica), view(&self.mirror), "{}", told());
    }

    fn receive(&mut self, updates: &[Vec<u8>]) {
        for update in updates {
            self.editor.replica.apply(update, &Limits::default()).unwrap();
            self.mirror.apply(update, &Limits::default()).unwrap();
        }
    }

    /// Undoes everything, and redoes it.
    fn back_and_forth(&mut self, told: &dyn Fn() -> String) {
        while self.editor.redo() {}
        self.send(told);
        let before = view(&self.editor.replica);
        while self.editor.undo() {
            self.send(told);
        }
        let undone = view(&self.editor.replica);
        while self.editor.redo() {
            self.send(told);
        }
        assert_eq!(view(&self.editor.replica), before, "redo after {undone}\n{}", told());
        while self.editor.undo() {}
        self.send(told);
        assert_eq!(view(&self.editor.replica), undone, "undo\n{}", told());
    }
}

fn history(seed: u64, is_alone: bool) {
    let mut random = Random::from_seed(seed);
    let scope = match random.below(4) {
        0 => roots()[..2].to_vec(),
        _ => roots().to_vec(),
    };
    let is_whole = scope.len() == 4;
    let mut people = [Person::new(1, &scope), Person::new(2, &scope)];
    let mut log = Vec::new();
    for _ in 0..20 + random.below(40) {
        let at = usize::from(!is_alone && random.chance(40));
        let person = &mut people[at];
        let step = random.below(20);
        log.push(format!("{at} {step}"));
        let told = || format!("seed {seed}, alone {is_alone}: {log:?}");
        match step {
            0..=8 => {
                let count = 1 + random.below(3);
                person.editor.after([1, 700][usize::from(random.chance(60))]).begin(0);
                (0..count).for_each(|_| person.edit(&mut random));
                person.editor.replica.commit();
            }
            9..=12 => {
                let before = theirs(&person.editor.replica);
                person.editor.undo();
                if at == 0 {
                    let after = theirs(&person.editor.replica);
                    assert!(before.is_subset(&after), "undo took of others\n{}", told());
                }
            }
            13..=15 => drop(person.editor.redo()),
            16 => person.editor.replica.stop_undo(person.editor.undo),
            _ if is_alone => {}
            _ => {
                people.iter_mut().for_each(|person| person.send(&told));
                let sent = people.each_mut().map(|person| std::mem::take(&mut person.sent));
                people[1].receive(&sent[0]);
                people[0].receive(&sent[1]);
                let views = people.each_ref().map(|person| view(&person.editor.replica));
                assert_eq!(views[0], views[1], "{}", told());
            }
        }
        if random.chance(70) {
            people.iter_mut().for_each(|person| person.send(&told));
        }
    }
    let told = || format!("seed {seed}, alone {is_alone}: {log:?}");
    let [person, _] = &mut people;
    person.send(&told);
    person.back_and_forth(&told);
    if is_alone && is_whole {
        let empty = view(&Replica::new(ClientId::from_u32(1)));
        assert_eq!(view(&person.editor.replica), empty, "{}", told());
    }
}

#[test]
fn whatever_one_undoes_is_the_same_for_all() {
    let first = setting("COWEAVE_FIRST", 1);
    (first..first + setting("COWEAVE_HISTORIES", 150)).for_each(|seed| history(seed, true));
}

#[test]
fn whatever_two_undo_is_the_same_for_all_and_takes_nothing_from_the_other() {
    let first = setting("COWEAVE_FIRST", 1);
    (first..first + setting("COWEAVE_HISTORIES", 150)).for_each(|seed| history(seed, false));
}
