//! What the other commands need beside Rust's own packages: toolchain, Node.js, npm packages.

use std::path::Path;

use crate::browser;
use crate::failure::{Failure, Outcome};
use crate::process::{Program, say};
use crate::project::Project;
use crate::stamp::Stamp;

/// The oldest Node.js that everything here runs on.
const NODE_MIN: u32 = 20;

/// Every folder that has npm packages of its own, the package itself first: others use it.
pub(crate) const NPM_FOLDERS: [&str; 5] =
    ["npm", "examples/notes", "tests/interop", "tests/browser", "bench/peers"];

/// The tiny projects that use the package, where they have a bundler of their own. They are large,
/// and only one part of the tests needs them.
pub(crate) const CONSUMERS: [&str; 5] = [
    "tests/packages/esbuild",
    "tests/packages/next",
    "tests/packages/rollup",
    "tests/packages/vite",
    "tests/packages/webpack",
];

/// Installs everything.
pub(crate) fn everything(project: &Project) -> Outcome {
    toolchain(project)?;
    npm_packages(project, &NPM_FOLDERS)?;
    npm_packages(project, &CONSUMERS)?;
    for browser in [browser::CHROMIUM, browser::FIREFOX, browser::WEBKIT] {
        say(&format!("  browser: {}", browser.find_or_install(project)?.display()));
    }
    Ok(())
}

/// The parts of the toolchain that rust-toolchain.toml lists. Where rustup does not install by
/// itself, it takes a toolchain that lacks some of them for complete.
pub(crate) fn toolchain(project: &Project) -> Outcome {
    let rustc =
        |argument: &str| Program::new("rustc", project.root()).args(["--print", argument]).output();
    let target_libraries = Program::new("rustc", project.root())
        .args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"])
        .output();
    let has_target = target_libraries.is_some_and(|folder| Path::new(&folder).is_dir());
    let has_components = rustc("sysroot").is_some_and(|sysroot| {
        let sysroot = Path::new(&sysroot);
        let has_program = |name: &str| {
            sysroot.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)).exists()
        };
        has_program("cargo-clippy")
            && has_program("rustfmt")
            && sysroot.join("lib/rustlib/src/rust/library/Cargo.lock").exists()
    });
    if has_target && has_components {
        return Ok(());
    }
    Program::new("rustup", project.root())
        .args(["toolchain", "install", "--no-self-update"])
        // Set by the rustup that started this program; it would hide rust-toolchain.toml.
        .env_remove("RUSTUP_TOOLCHAIN")
        .run("installing the parts of the Rust toolchain", project.verbosity)?;
    Ok(())
}

/// Node.js and npm, new enough.
pub(crate) fn node(project: &Project) -> Outcome {
    let needed = format!("install Node.js {NODE_MIN} or newer with npm");
    let version = Program::new("node", project.root())
        .arg("--version")
        .output()
        .ok_or_else(|| Failure::new(format!("node was not found: {needed}")))?;
    if !is_new_enough(&version) {
        return Err(Failure::new(format!("node is {version}, which is too old: {needed}")));
    }
    Program::new("npm", project.root())
        .arg("--version")
        .output()
        .ok_or_else(|| Failure::new(format!("npm was not found: {needed}")))?;
    Ok(())
}

fn is_new_enough(version: &str) -> bool {
    let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    major.parse::<u32>().is_ok_and(|major| major >= NODE_MIN)
}

/// The npm packages of these folders, exactly as their lock files say.
pub(crate) fn npm_packages(project: &Project, folders: &[&str]) -> Outcome {
    node(project)?;
    for folder in folders.iter().filter(|folder| project.path(folder).join("package.json").exists())
    {
        let (manifest, lock) =
            (format!("{folder}/package.json"), format!("{folder}/package-lock.json"));
        if !project.path(&lock).exists() {
            let text =
                format!("{lock} is missing: run `npm install` in {folder} and commit the file");
            return Err(Failure::new(text));
        }
        // Left by npm when it is done, so an interrupted installation is repeated.
        let installed = format!("{folder}/node_modules/.package-lock.json");
        let name = format!("npm-packages-{folder}");
        // Most folders link to the package, so its manifest is part of theirs.
        let inputs = [manifest.as_str(), &lock, "npm/package.json"];
        let stamp = Stamp::of(project, &name, &inputs, &[&installed])?;
        if stamp.is_current() {
            continue;
        }
        // Install scripts of strangers are not run; nothing here needs one.
        project
            .node_program("npm", folder)
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .run(&format!("installing the npm packages of {folder}"), project.verbosity)?;
        stamp.save()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_20_is_new_enough_and_18_is_not() {
        assert!(is_new_enough("v20.0.0") && is_new_enough("v24.1.3"));
        assert!(!is_new_enough("v18.20.4") && !is_new_enough("") && !is_new_enough("vX"));
    }
}
