//! Benchmarks: programs under tests/bench that measure a release build of the relay.

use std::fs;

use crate::demo;
use crate::failure::{Failure, Outcome};
use crate::process::say;
use crate::project::{Build, Project};
use crate::setup;

const FOLDER: &str = "tests/bench";

/// Runs one benchmark and shows its table.
pub(crate) fn run(project: &Project, name: &str) -> Outcome {
    let script = format!("{FOLDER}/{name}.mjs");
    if !project.path(&script).is_file() {
        let text =
            format!("there is no benchmark {name:?}: choose from {}", names(project).join(", "));
        return Err(Failure::new(text));
    }
    setup::npm_packages(project, &[FOLDER])?;
    demo::build_relay(project, Build::Release)?;
    let output = project
        .node_program("node", ".")
        .arg(script)
        .env("COWEAVE_RELAY", project.relay(Build::Release))
        .run(&format!("measuring {name}"), project.verbosity)?;
    say(&format!("\n{output}"));
    Ok(())
}

fn names(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.path(FOLDER)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".mjs").map(str::to_owned))
        .collect();
    names.sort();
    names
}
