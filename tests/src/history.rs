//! Editing histories with concurrency: recorded ones where they are found, else made by a generator.
//!
//! The recorded ones are data beside the project (`../shared/traces`), in the format of the
//! "editing traces" collection: transactions name the transactions they were made on top of.

use std::io::Read;
use std::path::Path;

use coweave_core::doc::replica::Replica;
use coweave_core::ids::ClientId;
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use serde::Deserialize;

use crate::native::TEXT;

/// A history of several authors.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// The text that everybody ends with.
    pub end_content: String,
    /// How many authors there are.
    pub num_agents: usize,
    /// In an order in which parents come first.
    #[serde(rename = "txns")]
    pub transactions: Vec<Transaction>,
}

/// What one author did at once.
#[derive(Debug, Deserialize)]
pub struct Transaction {
    /// The transactions it was made on top of, by index.
    pub parents: Vec<usize>,
    /// The author.
    pub agent: usize,
    /// Position, number of characters deleted, text inserted; one after the other.
    pub patches: Vec<(u32, u32, String)>,
}

impl History {
    /// Reads a recorded history. `None` when it is not there.
    ///
    /// # Panics
    /// When it is there but cannot be read.
    pub fn recorded(name: &str) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
        let file = std::fs::File::open(root.join(name)).ok()?;
        let mut json = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut json).expect("a gzip file");
        Some(serde_json::from_str(&json).expect("a history"))
    }

    /// Makes a history of two authors who work side by side and catch up with each other now and
    /// then. The end is what two replicas without any relay between them come to.
    pub fn generated(seed: u64, transactions: usize) -> Self {
        let mut random = Random::from_seed(seed);
        let mut replicas = [1, 2].map(|id| Replica::new(ClientId::from_u32(id)));
        let mut updates: [Vec<bytes::Bytes>; 2] = Default::default();
        let mut seen = [[0; 2]; 2];
        let mut last: [Option<usize>; 2] = [None; 2];
        let mut indexes: [Vec<usize>; 2] = Default::default();
        let mut history =
            Self { end_content: String::new(), num_agents: 2, transactions: Vec::new() };
        for index in 0..transactions {
            let agent = usize::from(random.chance(50));
            let other = 1 - agent;
            let mut parents: Vec<usize> = last[agent].into_iter().collect();
            if random.chance(30) && seen[agent][other] < updates[other].len() {
                let unseen = updates[other].len() - seen[agent][other];
                let count = 1 + usize::try_from(random.below(unseen as u64)).unwrap();
                for _ in 0..count {
                    let update = &updates[other][seen[agent][other]];
                    replicas[agent].apply(update, &Limits::default()).expect("honest");
                    seen[agent][other] += 1;
                }
                parents.push(indexes[other][seen[agent][other] - 1]);
            }
            let patches = vec![patch(&mut random, replicas[agent].text_length(TEXT))];
            apply(&mut replicas[agent], &patches);
            updates[agent].push(replicas[agent].take_edits().expect("something was edited"));
            indexes[agent].push(index);
            last[agent] = Some(index);
            history.transactions.push(Transaction { parents, agent, patches });
        }
        for (agent, other) in [(0, 1), (1, 0)] {
            for update in &updates[other][seen[agent][other]..] {
                replicas[agent].apply(update, &Limits::default()).expect("honest");
            }
        }
        history.end_content = replicas[0].text_string(TEXT);
        assert_eq!(history.end_content, replicas[1].text_string(TEXT), "the generator is broken");
        history
    }

    /// For every transaction how many of each author's transactions it was made on top of.
    pub fn versions(&self) -> Vec<Vec<usize>> {
        let mut after: Vec<Vec<usize>> = Vec::new();
        let mut before = Vec::new();
        for transaction in &self.transactions {
            let mut version = vec![0; self.num_agents];
            for parent in &transaction.parents {
                for (have, new) in version.iter_mut().zip(&after[*parent]) {
                    *have = (*have).max(*new);
                }
            }
            before.push(version.clone());
            version[transaction.agent] += 1;
            after.push(version);
        }
        before
    }
}

fn patch(random: &mut Random, length: u32) -> (u32, u32, String) {
    let at = u32::try_from(random.below(u64::from(length) + 1)).unwrap();
    if length > 20 && random.chance(30) {
        let count = 1 + u32::try_from(random.below(4)).unwrap();
        return (at.min(length - count), count, String::new());
    }
    let words = ["the ", "relay ", "keeps ", "every ", "key ", "é", "漢", "\n"];
    (at, 0, words[usize::try_from(random.below(8)).unwrap()].to_owned())
}

/// Carries out the patches of one transaction.
pub fn apply(replica: &mut Replica, patches: &[(u32, u32, String)]) {
    replica.begin(0);
    for (position, deleted, inserted) in patches {
        if *deleted > 0 {
            replica.text_delete(TEXT, *position, *deleted).expect("inside the text");
        }
        if !inserted.is_empty() {
            replica.text_insert(TEXT, *position, inserted).expect("inside the text");
        }
    }
    replica.commit();
}
