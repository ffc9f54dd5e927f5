//! The command line of a run.

use std::path::PathBuf;

use crate::Outcome;
use crate::peers::{PEERS, Peer, Programs};
use crate::process;
use crate::scenario::{SCENARIOS, Scenario};

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) programs: Programs,
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) runs: usize,
    /// Where the figures go, beside the screen.
    pub(crate) json: PathBuf,
}

impl Options {
    /// Reads `--relay FILE --npm FOLDER --out FOLDER [--only a,b] [--peers a,b] [--runs N]`.
    pub(crate) fn read(arguments: &[String]) -> Outcome<Self> {
        let (mut relay, mut npm, mut out) = (None, None, None);
        let (mut scenarios, mut peers) = (SCENARIOS.iter().collect(), PEERS.to_vec());
        let mut runs = 3;
        let mut words = arguments.iter();
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--relay" => relay = Some(PathBuf::from(value)),
                "--npm" => npm = Some(PathBuf::from(value)),
                "--out" => out = Some(PathBuf::from(value)),
                "--only" => scenarios = chosen_scenarios(value)?,
                "--peers" => peers = chosen_peers(value)?,
                "--runs" => {
                    runs = value
                        .parse()
                        .ok()
                        .filter(|runs| *runs > 0)
                        .ok_or("--runs needs a number")?;
                }
                _ => return Err(format!("there is no flag {flag}").into()),
            }
        }
        let out = out.ok_or("--out needs a folder")?;
        let data = out.join("data");
        std::fs::create_dir_all(&data)?;
        let programs = Programs {
            relay: relay.ok_or("--relay needs the program")?,
            npm: npm.ok_or("--npm needs the folder of the npm packages")?,
            data,
            is_pinned: process::prepare()?,
        };
        Ok(Self { programs, scenarios, peers, runs, json: out.join("relay.json") })
    }
}

fn chosen_scenarios(names: &str) -> Outcome<Vec<&'static Scenario>> {
    for name in names.split(',') {
        if !SCENARIOS.iter().any(|scenario| scenario.name.starts_with(name)) {
            let all: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            return Err(
                format!("there is no scenario {name}: choose from {}", all.join(", ")).into()
            );
        }
    }
    let is_chosen =
        |scenario: &&Scenario| names.split(',').any(|name| scenario.name.starts_with(name));
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

fn chosen_peers(names: &str) -> Outcome<Vec<Peer>> {
    names
        .split(',')
        .map(|name| {
            PEERS.iter().find(|peer| peer.name == name).copied().ok_or_else(|| {
                let all = PEERS.map(|peer| peer.name).join(", ");
                format!("there is no server {name}: choose from {all}").into()
            })
        })
        .collect()
}
