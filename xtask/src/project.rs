//! Where things are in this repository, and how talkative a run is.

use std::env;
use std::path::{Path, PathBuf};

use crate::process::Program;

/// Crates that only build for the browser, or that are the build itself.
const NOT_ON_HOST: [&str; 2] = ["coweave-client", "xtask"];

/// The repository this command works on.
#[derive(Debug)]
pub(crate) struct Project {
    root: PathBuf,
    target: PathBuf,
    pub(crate) verbosity: Verbosity,
}

/// What a run shows of its child processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Their output only when they fail.
    Quiet,
    /// Everything.
    Verbose,
}

/// How much the compiler optimizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Fast to build.
    Dev,
    /// Fast to run.
    Release,
}

impl Project {
    pub(crate) fn find(verbosity: Verbosity) -> Self {
        // Cargo sets the variable when it runs this program; the path of the build is for direct calls.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().map_or_else(|| manifest.clone(), Path::to_path_buf);
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self { root, target, verbosity }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside the repository, written with slashes.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A path inside cargo's target folder.
    pub(crate) fn target(&self, relative: &str) -> PathBuf {
        self.target.join(relative)
    }

    /// Where cargo puts the relay.
    pub(crate) fn relay(&self, build: Build) -> PathBuf {
        let folder = match build {
            Build::Dev => "debug",
            Build::Release => "release",
        };
        self.target(folder).join(format!("coweave-relay{}", env::consts::EXE_SUFFIX))
    }

    /// Cargo, at the root of the repository.
    pub(crate) fn cargo(&self) -> Program {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Program::new(cargo, &self.root)
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "never")
            .env(
                "CARGO_TERM_QUIET",
                if self.verbosity == Verbosity::Quiet { "true" } else { "false" },
            )
    }

    /// Cargo on all crates of the host. Each build and test run names the same crates, because a
    /// different choice gives their dependencies other features and compiles them once more.
    pub(crate) fn cargo_workspace(&self, command: &str) -> Program {
        let program = self.cargo().args([command, "--workspace"]);
        NOT_ON_HOST.iter().fold(program, |program, name| program.args(["--exclude", name]))
    }

    /// A program of Node.js in one of the repository's folders.
    pub(crate) fn node_program(&self, program: &str, folder: &str) -> Program {
        Program::new(program, &self.path(folder)).env("NO_COLOR", "1").env_remove("FORCE_COLOR")
    }

    /// `npm run <script>` in one of the repository's folders.
    pub(crate) fn npm_run(&self, folder: &str, script: &str) -> Program {
        self.node_program("npm", folder).args(["run", script])
    }
}
