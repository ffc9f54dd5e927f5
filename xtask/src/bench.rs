//! Benchmarks: a crate of its own that measures a release build of the relay beside its peers.

use crate::demo;
use crate::failure::{Failure, Outcome};
use crate::process::Program;
use crate::project::{Build, Project};
use crate::setup;

const CRATE: &str = "bench";
/// The peers that run on Node.js.
const NPM_PEERS: &str = "bench/peers";
/// What it builds and what it finds, inside cargo's target folder.
const TARGET: &str = "bench";

/// Builds what is compared, and runs it; the options are read by the benchmark.
pub(crate) fn run(project: &Project, options: &[String]) -> Outcome {
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
    let status = Program::new(&program, project.root())
        .arg("--relay")
        .arg(project.relay(Build::Release))
        .arg("--npm")
        .arg(project.path(NPM_PEERS))
        .arg("--out")
        .arg(&target)
        .args(options)
        .into_command()
        // Its tables appear one by one.
        .status()
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", program.display())))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("the benchmark ended with {status}")))
}
