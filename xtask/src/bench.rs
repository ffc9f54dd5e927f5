//! Benchmarks: a release build of the relay beside its peers, the client in a browser beside Yjs, and
//! documents beside those of other libraries.

use crate::browser;
use crate::demo;
use crate::failure::Outcome;
use crate::package;
use crate::process::Program;
use crate::project::{Build, Project};
use crate::setup;

const CRATE: &str = "bench";
/// The peers that run on Node.js.
const NPM_PEERS: &str = "bench/peers";
/// What it builds and what it finds, inside cargo's target folder.
const TARGET: &str = "bench";

/// The pages that are compared, and what opens them.
const CLIENT: &str = "bench/client";

/// The documents that are compared, in Node and in a browser.
const DOCUMENT: &str = "bench/document";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Relay,
    Client,
    Document,
}

/// Builds what is compared, and runs it; the options are read by the benchmark.
pub(crate) fn run(project: &Project, subject: Subject, options: &[String]) -> Outcome {
    match subject {
        Subject::Relay => relay(project, options),
        Subject::Client => client(project, options),
        Subject::Document => document(project, options),
    }
}

fn client(project: &Project, options: &[String]) -> Outcome {
    package::build(project, Build::Release)?;
    setup::npm_packages(project, &[CLIENT, NPM_PEERS])?;
    let browser = browser::CHROMIUM.find_or_install(project)?;
    demo::build_relay(project, Build::Release)?;
    let program = project
        .node_program("node", CLIENT)
        .arg("main.mjs")
        .args(options)
        .env("COWEAVE_RELAY", project.relay(Build::Release))
        .env(browser::CHROMIUM.variable, browser);
    program.show("the benchmark")
}

fn document(project: &Project, options: &[String]) -> Outcome {
    package::build(project, Build::Release)?;
    setup::npm_packages(project, &[DOCUMENT])?;
    let browser = browser::CHROMIUM.find_or_install(project)?;
    let program = project
        .node_program("node", DOCUMENT)
        .arg("main.mjs")
        .args(options)
        .env(browser::CHROMIUM.variable, browser);
    program.show("the benchmark")
}

fn relay(project: &Project, options: &[String]) -> Outcome {
    setup::npm_packages(project, &[NPM_PEERS])?;
    demo::build_relay(project, Build::Release)?;
    let target = project.target(TARGET);
    project
        .cargo()
        .args(["build", "--release", "--manifest-path"])
        .arg(project.path(CRATE).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .run("compiling the benchmark", project.verbosity)?;
    let program = target.join(format!("release/coweave-bench{}", std::env::consts::EXE_SUFFIX));
    Program::new(&program, project.root())
        .arg("--relay")
        .arg(project.relay(Build::Release))
        .arg("--npm")
        .arg(project.path(NPM_PEERS))
        .arg("--out")
        .arg(&target)
        .args(options)
        .show("the benchmark")
}
