//! The browser of the browser tests: one that is there, or Debian's Chromium.

use std::env;
use std::path::PathBuf;

use crate::failure::{Failure, Outcome};
use crate::process::Program;
use crate::project::Project;

/// The variable that names the browser, for those who have it in another place.
pub(crate) const VARIABLE: &str = "COWEAVE_CHROMIUM";

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The path of a Chromium that starts; installs one where apt-get can.
pub(crate) fn find_or_install(project: &Project) -> Outcome<PathBuf> {
    if let Some(chosen) = env::var_os(VARIABLE) {
        let chosen = PathBuf::from(chosen);
        return if starts(project, &chosen) {
            Ok(chosen)
        } else {
            Err(Failure::new(format!(
                "{VARIABLE} names {}, which does not start",
                chosen.display()
            )))
        };
    }
    if let Some(found) = find(project) {
        return Ok(found);
    }
    install(project)?;
    find(project).ok_or_else(|| missing("apt-get installed a package without a browser in it"))
}

fn find(project: &Project) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file() && starts(project, program))
}

/// Ubuntu's `chromium-browser` is a script that only says to install something else.
fn starts(project: &Project, program: &std::path::Path) -> bool {
    Program::new(program, project.root()).arg("--version").output().is_some()
}

fn install(project: &Project) -> Outcome {
    let id = Program::new("id", project.root()).arg("-u").output();
    let is_root = id.is_some_and(|id| id == "0");
    let apt_get = |arguments: &[&str]| {
        let program = if is_root {
            Program::new("apt-get", project.root())
        } else {
            Program::new("sudo", project.root()).args(["-n", "apt-get"])
        };
        // Another apt-get may be at work, for example right after the machine was started.
        program
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
    };
    apt_get(&["update"])
        .run("looking for Chromium in the system's packages", project.verbosity)
        .and_then(|_output| {
            apt_get(&["install", "-y", "--no-install-recommends", "chromium"])
                .run("installing Chromium for the browser tests", project.verbosity)
        })
        .map_err(|failure| {
            missing("apt-get could not install it").with_output(failure.to_string())
        })?;
    Ok(())
}

fn missing(reason: &str) -> Failure {
    Failure::new(format!(
        "the browser tests need Chromium, and {reason}: install Chromium or Google Chrome, or set {VARIABLE} to its path"
    ))
}
