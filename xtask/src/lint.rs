//! `cargo xtask lint`: formatting, lints and types of both languages, and the rules of tidy.

use std::thread;

use crate::failure::{Failure, Outcome};
use crate::package;
use crate::process::say;
use crate::project::{Build, Project};
use crate::setup;
use crate::tidy;

/// Runs every check, and fails after the last one when any of them found something.
pub(crate) fn run(project: &Project) -> Outcome {
    setup::toolchain(project)?;
    let outcomes = thread::scope(|scope| {
        // Types need the built package, and building it leaves a core free for clippy.
        let types = scope.spawn(|| types(project));
        let mut outcomes = vec![tidy::run(project), formatting(project)];
        outcomes.extend(clippy(project));
        outcomes.push(
            types.join().unwrap_or_else(|_panic| Err(Failure::new("checking types panicked"))),
        );
        outcomes
    });
    let failures: Vec<Failure> = outcomes.into_iter().filter_map(Result::err).collect();
    for failure in &failures {
        say(&format!("\n{failure}"));
    }
    match failures.len() {
        0 => Ok(()),
        1 => Err(Failure::new("one check failed: see above")),
        count => Err(Failure::new(format!("{count} checks failed: see above"))),
    }
}

fn formatting(project: &Project) -> Outcome {
    let program = project.cargo().args(["fmt", "--all", "--check"]);
    program.run("checking the formatting", project.verbosity).map_err(|failure| {
        Failure::new("some files are not formatted: run `cargo fmt --all`")
            .with_output(failure.to_string())
    })?;
    Ok(())
}

fn clippy(project: &Project) -> [Outcome; 3] {
    let host = project.cargo_workspace("clippy").arg("--all-targets");
    let xtask =
        project.cargo().args(["clippy", "--package", "xtask", "--all-targets", "--all-features"]);
    let browser = project.cargo().args([
        "clippy",
        "--package",
        "coweave-client",
        "--target",
        "wasm32-unknown-unknown",
    ]);
    [
        (host, "linting the Rust code"),
        (xtask, "linting xtask"),
        (browser, "linting the browser crate"),
    ]
    .map(|(program, step)| {
        program.args(["--", "--deny", "warnings"]).run(step, project.verbosity).map(drop)
    })
}

/// `npm run check` wherever there is TypeScript.
fn types(project: &Project) -> Outcome {
    setup::npm_packages(project, &setup::NPM_FOLDERS)?;
    package::build(project, Build::Release)?;
    for folder in setup::NPM_FOLDERS {
        if project.path(&format!("{folder}/tsconfig.json")).exists() {
            project
                .npm_run(folder, "check")
                .run(&format!("checking the types of {folder}"), project.verbosity)?;
        }
    }
    Ok(())
}
