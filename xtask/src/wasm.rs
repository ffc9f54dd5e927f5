//! The browser crate: compiled, bound to JavaScript, made small, measured.

use std::ffi::{OsStr, OsString};
use std::{env, fs, thread};

use crate::failure::{Failure, Outcome};
use crate::process::{Program, say};
use crate::project::{Build, Project};
use crate::setup;
use crate::stamp::Stamp;

/// All that the module is made from.
const INPUTS: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "core",
    "client-wasm",
    "xtask/Cargo.toml",
    "xtask/src/bindgen.rs",
    "xtask/src/wasm.rs",
    "npm/package-lock.json",
];

const MODULE: &str = "npm/wasm/coweave_bg.wasm";

/// The standard library compiled with the rest, in its small variant. All of this is unstable, and
/// safe to use because the toolchain is pinned: ARCHITECTURE.md says what it is worth.
const SMALL_STD: [&str; 2] =
    ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"];

/// A panic is a trap without a text, which no user could read and which formatting code of a tenth
/// of the module makes. Little is inlined: what is written once compresses better.
const SMALL_CODE: [&str; 6] = [
    "-Zunstable-options",
    "-Cpanic=immediate-abort",
    // What is exported is named after it.
    "-Csymbol-mangling-version=legacy",
    "-Zlocation-detail=none",
    "-Zfmt-debug=none",
    "-Cllvm-args=-inline-threshold=25",
];

/// What everything else is made of, made to be fast: small functions that are called all the time, which
/// are inlined here and take no more space than the calls of them did. A key takes a tenth less time.
const FAST_CRATES: [&str; 6] = ["alloc", "bytes", "core", "dlmalloc", "hashbrown", "smallvec"];

/// Names of the module's functions by their numbers in a stack trace; those in it are stripped.
const NAMES: &str = "xtask/coweave.names";

/// What others build on.
pub(crate) const OUTPUTS: [&str; 3] = [MODULE, "npm/wasm/coweave.js", "npm/wasm/coweave.d.ts"];

/// Builds npm/wasm when its inputs changed.
pub(crate) fn build(project: &Project, build: Build) -> Outcome {
    let stamp = stamp(project)?;
    // A development build is never taken for the real one.
    if build == Build::Release && stamp.is_current() {
        say("  npm/wasm is up to date");
        return Ok(());
    }
    setup::toolchain(project)?;
    setup::npm_packages(project, &["npm"])?;
    compile(project, build)?;
    remove_old(project)?;
    let folder = match build {
        Build::Dev => "debug",
        Build::Release => "wasm-release",
    };
    let module = format!("wasm32-unknown-unknown/{folder}/coweave_client.wasm");
    Program::new(project.target("debug/bindgen"), project.root())
        .arg(project.target(&module))
        .arg(project.path("npm/wasm"))
        .run("making its JavaScript", project.verbosity)?;
    if build == Build::Dev {
        return Ok(());
    }
    shrink(project)?;
    stamp.save()?;
    for line in measure(project).run("measuring it", project.verbosity)?.lines() {
        say(&format!("  {line}"));
    }
    Ok(())
}

/// Compiles the crate, and beside it the tool that makes its JavaScript.
fn compile(project: &Project, build: Build) -> Outcome {
    let profile = match build {
        Build::Dev => "dev",
        Build::Release => "wasm-release",
    };
    let mut flags = path_flags(project);
    let mut browser_crate = project
        .cargo()
        .args(["build", "--package", "coweave-client", "--target", "wasm32-unknown-unknown"])
        .args(["--profile", profile]);
    if build == Build::Release {
        let fast = |name| format!("--config=profile.wasm-release.package.{name}.opt-level=3");
        browser_crate =
            browser_crate.args(SMALL_STD).args(FAST_CRATES.map(fast)).env("RUSTC_BOOTSTRAP", "1");
        flags.extend(SMALL_CODE.map(OsString::from));
    }
    let browser_crate =
        browser_crate.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));
    let bindgen = project.cargo().args([
        "build",
        "--package",
        "xtask",
        "--features",
        "bindgen",
        "--bin",
        "bindgen",
    ]);
    thread::scope(|scope| {
        let bindgen =
            scope.spawn(|| bindgen.run("compiling its JavaScript tool", project.verbosity));
        browser_crate.run("compiling the browser crate", project.verbosity)?;
        bindgen.join().unwrap_or_else(|_panic| Err(Failure::new("compiling bindgen panicked")))?;
        Ok(())
    })
}

/// Keeps the places of this machine out of the module's panic messages.
fn path_flags(project: &Project) -> Vec<OsString> {
    let cargo_home = env::var_os("CARGO_HOME")
        .or_else(|| env::home_dir().map(|home| home.join(".cargo").into()))
        .unwrap_or_default();
    [(cargo_home.as_os_str(), "cargo"), (project.root().as_os_str(), ".")]
        .map(|(from, to)| {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            flag
        })
        .into()
}

/// What the module is made from, and what it consists of.
fn stamp(project: &Project) -> Outcome<Stamp> {
    Stamp::of(project, "wasm", &INPUTS, &OUTPUTS)
}

/// The checks of a built module: it asks nothing of a C environment, and it is within its budget.
pub(crate) fn check(project: &Project) -> Program {
    measure(project).arg("npm/size.json")
}

/// The same without the budget: a module that became too large can still be tried out.
fn measure(project: &Project) -> Program {
    project.node_program("node", ".").args(["xtask/measure.mjs", MODULE])
}

fn remove_old(project: &Project) -> Outcome {
    let folder = project.path("npm/wasm");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::file("remove", &folder, &error))
        }
        _ => Ok(()),
    }
}

fn shrink(project: &Project) -> Outcome {
    let optimizer = project.path("npm/node_modules/.bin/wasm-opt");
    if !optimizer.exists() {
        let text = "npm/node_modules has no wasm-opt: npm/package.json must have binaryen in its devDependencies";
        return Err(Failure::new(text));
    }
    let module = project.path(MODULE);
    let mut names = OsString::from("--symbolmap=");
    names.push(project.target(NAMES));
    project
        .node_program("node", ".")
        .arg(optimizer)
        .arg("-Oz")
        // The stack ends there: addresses of objects are above it.
        .arg("--low-memory-unused")
        // Large functions made of many compress worse than the many: 6 % of the whole.
        .args(["--one-caller-inline-max-function-size", "20"])
        // What is computed twice compresses better than one more local: 0.7 %.
        .args(["--skip-pass", "local-cse"])
        // Functions of one type stand side by side: 1 %.
        .arg("--reorder-functions-by-name")
        .args(["--strip-producers", "--strip-target-features"])
        .arg(names)
        .arg(&module)
        .arg("--output")
        .arg(&module)
        .run("making the module small", project.verbosity)?;
    Ok(())
}
