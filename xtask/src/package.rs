//! The npm package and the example app.

use crate::failure::{Failure, Outcome};
use crate::project::{Build, Project};
use crate::setup;
use crate::stamp::Stamp;
use crate::wasm;

/// Builds npm/dist: the wasm module, then what `npm run build` makes of it.
pub(crate) fn build(project: &Project, build: Build) -> Outcome {
    wasm::build(project, build)?;
    setup::npm_packages(project, &["npm"])?;
    // Making the module anew removes what this build had put beside it.
    run_build(project, "npm", &["npm"], &["npm/dist", "npm/wasm/coweave_inline.js"])
}

/// Builds the example app on the package; call after [`build`].
pub(crate) fn build_example(project: &Project) -> Outcome {
    setup::npm_packages(project, &["examples/notes"])?;
    let sources = ["examples/notes", "npm/dist", "npm/package.json"];
    run_build(project, "examples/notes", &sources, &["examples/notes/dist"])
}

/// Rewrites npm/api.md; `npm run check` compares it with what is built.
pub(crate) fn write_api_report(project: &Project) -> Outcome {
    build(project, Build::Release)?;
    project.npm_run("npm", "api").run("writing npm/api.md", project.verbosity)?;
    Ok(())
}

fn run_build(project: &Project, folder: &str, sources: &[&str], outputs: &[&str]) -> Outcome {
    if !project.path(folder).join("package.json").exists() {
        return Err(Failure::new(format!(
            "{folder}/package.json is missing: is this clone complete?"
        )));
    }
    // Not all of npm/wasm: the package's own build adds to it.
    let inputs: Vec<&str> = sources.iter().copied().chain(wasm::OUTPUTS).collect();
    let stamp = Stamp::of(project, &format!("dist-{folder}"), &inputs, outputs)?;
    if stamp.is_current() {
        return Ok(());
    }
    project.npm_run(folder, "build").run(&format!("building {folder}"), project.verbosity)?;
    stamp.save()
}
