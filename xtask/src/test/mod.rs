//! `cargo xtask test`: installs and builds what the tests need, runs them, and counts.
//!
//! Two lanes run side by side, one for each core: Rust, and everything on Node.js. The second one
//! waits for the relay that the first one builds.

mod part;
mod summary;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use part::Part;
use summary::Count;

use crate::browser;
use crate::failure::{Failure, Outcome};
use crate::package;
use crate::process::{Program, say};
use crate::project::{Build, Project};
use crate::setup;
use crate::wasm;

/// How one part of the tests ended.
#[derive(Debug)]
struct Report {
    part: Part,
    count: Count,
    took: Duration,
    failure: Option<Failure>,
}

/// Runs the named parts, or all of them.
pub(crate) fn run(project: &Project, named: &[Part]) -> Outcome {
    let parts = if named.is_empty() { Part::EVERY_RUN.to_vec() } else { named.to_vec() };
    let (rust, node): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(|part| part.is_rust());
    setup::toolchain(project)?;
    let (relay_built, relay_awaited) = channel();
    let reports = thread::scope(|scope| {
        let rust_lane = scope.spawn(|| rust_lane(project, &rust, relay_built));
        let mut reports = node_lane(project, &node, &relay_awaited);
        reports.extend(rust_lane.join().unwrap_or_default());
        reports
    });
    conclude(reports)
}

/// Says that the relay is there; dropped without a word when it could not be built.
struct RelayBuilt;

fn rust_lane(project: &Project, parts: &[Part], relay_built: Sender<RelayBuilt>) -> Vec<Report> {
    let started = Instant::now();
    let program = project.cargo_workspace("build").args(["--bin", "coweave-relay"]);
    let (program, step) = if parts.is_empty() {
        (program, "compiling the relay")
    } else {
        (program.arg("--tests"), "compiling the relay and the Rust tests")
    };
    if let Err(failure) = program.run(step, project.verbosity) {
        drop(relay_built);
        let part = parts.first().copied().unwrap_or(Part::Rust);
        return vec![Report::broken(part, started.elapsed(), failure)];
    }
    // When nobody listens any more, the other lane has failed and says so itself.
    let _ = relay_built.send(RelayBuilt);
    parts.iter().map(|part| rust_part(project, *part)).collect()
}

fn rust_part(project: &Project, part: Part) -> Report {
    let programs = match part {
        Part::Simulation => vec![project.cargo().args(["test", "--package", "coweave-tests"])],
        _ => vec![
            project.cargo_workspace("test"),
            project.cargo().args(["test", "--package", "xtask"]),
        ],
    };
    run_part(project, part, programs.into_iter().map(|program| program.arg("--no-fail-fast")))
}

fn node_lane(
    project: &Project,
    parts: &[Part],
    relay_awaited: &Receiver<RelayBuilt>,
) -> Vec<Report> {
    let started = Instant::now();
    let Some(first) = parts.first().copied() else { return Vec::new() };
    let browser = match prepare_node(project, parts) {
        Ok(browser) => browser,
        Err(failure) => return vec![Report::broken(first, started.elapsed(), failure)],
    };
    if relay_awaited.recv().is_err() {
        // The other lane reports why.
        return Vec::new();
    }
    parts.iter().map(|part| node_part(project, *part, browser.as_deref())).collect()
}

/// Builds and installs what the parts on Node.js need; answers with the browser's path.
fn prepare_node(project: &Project, parts: &[Part]) -> Outcome<Option<std::path::PathBuf>> {
    if parts.contains(&Part::Wasm) && parts.len() == 1 {
        return wasm::build(project, Build::Release).map(|()| None);
    }
    setup::npm_packages(project, &setup::NPM_FOLDERS)?;
    package::build(project, Build::Release)?;
    package::build_example(project)?;
    if parts.contains(&Part::Packages) {
        setup::npm_packages(project, &setup::CONSUMERS)?;
    }
    let needs_browser =
        parts.iter().any(|part| matches!(part, Part::Npm | Part::Browser | Part::Packages));
    if needs_browser { browser::CHROMIUM.find_or_install(project).map(Some) } else { Ok(None) }
}

fn node_part(project: &Project, part: Part, browser: Option<&std::path::Path>) -> Report {
    let Some(folder) = part.npm_folder() else { return wasm_part(project, part) };
    let mut program = project
        .node_program("npm", folder)
        .args(["run", part.npm_script()])
        .env("COWEAVE_RELAY", project.relay(Build::Dev));
    if let Some(browser) = browser {
        program = program.env(browser::CHROMIUM.variable, browser);
    }
    let own = match part {
        Part::Firefox => Some(browser::FIREFOX),
        Part::Webkit => Some(browser::WEBKIT),
        _ => None,
    };
    if let Some(own) = own {
        program = match own.find_or_install(project) {
            Ok(path) => program.env(own.variable, path),
            Err(failure) => return Report::broken(part, Duration::ZERO, failure),
        };
    }
    run_part(project, part, [program])
}

/// The module's own checks have no test runner: together they count as one test.
fn wasm_part(project: &Project, part: Part) -> Report {
    let finished = match wasm::check(project).finish("testing wasm", project.verbosity) {
        Ok(finished) => finished,
        Err(failure) => return Report::broken(part, Duration::ZERO, failure),
    };
    let took = finished.took;
    if !finished.is_success {
        return Report::broken(part, took, finished.into_failure());
    }
    Report { part, count: Count { passed: 1, failed: 0 }, took, failure: None }
}

fn run_part(project: &Project, part: Part, programs: impl IntoIterator<Item = Program>) -> Report {
    let mut report = Report { part, count: Count::default(), took: Duration::ZERO, failure: None };
    for program in programs {
        let finished = match program.finish(&format!("testing {}", part.name()), project.verbosity)
        {
            Ok(finished) => finished,
            Err(failure) => return Report::broken(part, report.took, failure),
        };
        report.took += finished.took;
        let mut count = Count::of(&finished.output);
        if !finished.is_success {
            // A run that could not even be compiled has failed as a whole.
            count.failed = count.failed.max(1);
            report.failure = Some(finished.into_failure());
        } else if count.is_empty() {
            count.failed = 1;
            let text =
                format!("the part {} ran no test at all: its runner found none", part.name());
            report.failure = Some(Failure::new(text).with_output(finished.output));
        }
        report.count += count;
    }
    report
}

impl Report {
    fn broken(part: Part, took: Duration, failure: Failure) -> Self {
        Self { part, count: Count { passed: 0, failed: 1 }, took, failure: Some(failure) }
    }
}

/// Shows what failed, the table, and the closing line.
fn conclude(mut reports: Vec<Report>) -> Outcome {
    reports.sort_by_key(|report| report.part);
    for report in &reports {
        if let Some(failure) = &report.failure {
            say(&format!("\n{} failed:\n{failure}", report.part.name()));
        }
    }
    say(&format!("\n{:12}{:>8}{:>8}{:>8}", "part", "passed", "failed", "time"));
    let mut total = Count::default();
    for Report { part, count, took, .. } in &reports {
        let Count { passed, failed } = count;
        say(&format!("{:12}{passed:>8}{failed:>8}{:>6} s", part.name(), took.as_secs()));
        total += *count;
    }
    let failed =
        reports.iter().filter(|report| report.failure.is_some() || report.count.failed > 0);
    let failed: Vec<&str> = failed.map(|report| report.part.name()).collect();
    say(&format!("\n{} passed, {} failed", total.passed, total.failed));
    if failed.is_empty() && !total.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "tests failed: `cargo xtask test {}` runs them again",
        failed.join(" ")
    )))
}
