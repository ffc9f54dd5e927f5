//! The probe of yrs: what a version of it does where it matters here, as one table.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::process::Program;
use crate::project::Project;

/// A crate of its own, so that it can be built with other versions of yrs than the product.
const CRATE: &str = "tests/probe";
/// Where it is built, inside cargo's target folder.
const TARGET: &str = "probe";
const SOURCES: [&str; 4] = ["src/main.rs", "src/cases.rs", "src/beside.rs", "src/damage.rs"];

/// Builds the probe with a version of yrs, or with the one in use, and runs it.
pub(crate) fn run(project: &Project, version: Option<&str>) -> Outcome {
    let folder = match version {
        None => project.path(CRATE),
        Some(version) => copy(project, version)?,
    };
    let step = format!("compiling the probe with yrs {}", version.unwrap_or("as it is in use"));
    // To cargo the copies are one crate: in a folder together, one would pass for the other.
    let target = project.target(TARGET).join(version.unwrap_or("in-use"));
    let mut cargo = project
        .cargo()
        .args(["build", "--release", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    if version.is_none() {
        cargo = cargo.arg("--locked");
    }
    cargo.run(&step, project.verbosity)?;
    let name = format!("release/coweave-probe{}", std::env::consts::EXE_SUFFIX);
    Program::new(target.join(name), project.root()).show("the probe")
}

/// The crate with another version of yrs, where nothing of the repository changes.
fn copy(project: &Project, version: &str) -> Outcome<PathBuf> {
    let (from, to) = (project.path(CRATE), project.target(TARGET).join("source").join(version));
    fs::create_dir_all(to.join("src")).map_err(|error| unwritable(&to, &error))?;
    for name in SOURCES {
        let to = to.join(name);
        fs::copy(from.join(name), &to).map_err(|error| unwritable(&to, &error))?;
    }
    let manifest = from.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", manifest.display())))?;
    let to_manifest = to.join("Cargo.toml");
    fs::write(&to_manifest, with_version(&text, version))
        .map_err(|error| unwritable(&to_manifest, &error))?;
    // Without a lock file cargo takes what that version wants now.
    Ok(to)
}

/// A manifest with another version of yrs.
fn with_version(manifest: &str, version: &str) -> String {
    let line = |line: &str| match line.starts_with("yrs = ") {
        true => format!("yrs = \"={version}\"\n"),
        false => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_use_is_asked_unless_another_one_is_named() {
        let workspace = include_str!("../../Cargo.toml");
        let probe = include_str!("../../tests/probe/Cargo.toml");
        let in_use = workspace.lines().find(|line| line.starts_with("yrs = "));
        assert_eq!(probe.lines().find(|line| line.starts_with("yrs = ")), in_use);
        assert!(with_version(probe, "0.99.1").contains("\nyrs = \"=0.99.1\"\n"));
    }

    #[test]
    fn every_source_of_the_probe_is_copied() {
        let folder = Project::find(crate::project::Verbosity::Quiet).path(CRATE).join("src");
        let found = fs::read_dir(folder).map(Iterator::count);
        assert_eq!(found.ok(), Some(SOURCES.len()));
    }
}
