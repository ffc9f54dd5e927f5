//! The browsers of the browser tests: those that are there, or Debian's.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::process::Program;
use crate::project::Project;

/// A browser that tests run in.
#[derive(Debug)]
pub(crate) struct Browser {
    name: &'static str,
    /// The variable that names it, for those who have it in another place.
    pub(crate) variable: &'static str,
    programs: &'static [&'static str],
    /// What it answers when it works.
    question: &'static str,
    /// Debian's packages.
    packages: &'static [&'static str],
    /// What does as well.
    advice: &'static str,
}

pub(crate) const CHROMIUM: Browser = Browser {
    name: "Chromium",
    variable: "COWEAVE_CHROMIUM",
    programs: &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    question: "--version",
    packages: &["chromium"],
    advice: "install Chromium or Google Chrome",
};

pub(crate) const FIREFOX: Browser = Browser {
    name: "Firefox",
    variable: "COWEAVE_FIREFOX",
    programs: &["firefox-esr", "firefox"],
    question: "--version",
    packages: &["firefox-esr"],
    advice: "install Firefox",
};

/// It has no mode without a display, so a virtual one comes with it.
pub(crate) const WEBKIT: Browser = Browser {
    name: "WebKit",
    variable: "COWEAVE_WEBKIT_DRIVER",
    programs: &["WebKitWebDriver"],
    question: "--help",
    packages: &["webkit2gtk-driver", "xvfb"],
    advice: "install the driver of WebKitGTK, and Xvfb",
};

impl Browser {
    /// The path of one that starts; installs one where apt-get can.
    pub(crate) fn find_or_install(&self, project: &Project) -> Outcome<PathBuf> {
        if let Some(chosen) = env::var_os(self.variable) {
            let chosen = PathBuf::from(chosen);
            return if self.starts(project, &chosen) {
                Ok(chosen)
            } else {
                let (variable, chosen) = (self.variable, chosen.display());
                Err(Failure::new(format!("{variable} names {chosen}, which does not start")))
            };
        }
        if let Some(found) = self.find(project) {
            return Ok(found);
        }
        self.install(project)?;
        self.find(project)
            .ok_or_else(|| self.missing("apt-get installed a package without a browser in it"))
    }

    fn find(&self, project: &Project) -> Option<PathBuf> {
        let path = env::var_os("PATH")?;
        let folders: Vec<PathBuf> = env::split_paths(&path).collect();
        self.programs
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
            .find(|program| program.is_file() && self.starts(project, program))
    }

    fn install(&self, project: &Project) -> Outcome {
        let Self { name, packages, .. } = self;
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
            .run(&format!("looking for {name} in the system's packages"), project.verbosity)
            .and_then(|_output| {
                apt_get(&["install", "-y", "--no-install-recommends"])
                    .args(*packages)
                    .run(&format!("installing {name} for the browser tests"), project.verbosity)
            })
            .map_err(|failure| {
                self.missing("apt-get could not install it").with_output(failure.to_string())
            })?;
        Ok(())
    }

    fn missing(&self, reason: &str) -> Failure {
        let Self { name, variable, advice, .. } = self;
        Failure::new(format!(
            "the browser tests need {name}, and {reason}: {advice}, or set {variable} to its path"
        ))
    }

    /// Ubuntu's `chromium-browser` is a script that only says to install something else.
    fn starts(&self, project: &Project, program: &Path) -> bool {
        Program::new(program, project.root()).arg(self.question).output().is_some()
    }
}
