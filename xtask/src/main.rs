//! `cargo xtask`: everything that builds, runs, tests and checks this project.

mod bench;
mod browser;
mod cli;
mod demo;
mod failure;
mod lint;
mod package;
mod probe;
mod process;
mod project;
mod setup;
mod stamp;
mod test;
mod tidy;
mod wasm;

use std::process::ExitCode;

use cli::{Command, Invocation};
use failure::Outcome;
use project::Project;

#[expect(clippy::print_stderr, reason = "a command line tool speaks to a terminal")]
fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match cli::parse(&arguments).and_then(|invocation| run(&invocation)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(invocation: &Invocation) -> Outcome {
    let project = Project::find(invocation.verbosity);
    match &invocation.command {
        Command::Help => cli::print_help(),
        Command::Setup => setup::everything(&project)?,
        Command::Wasm { build } => wasm::build(&project, *build)?,
        Command::Npm { build } => package::build(&project, *build)?,
        Command::Api => package::write_api_report(&project)?,
        Command::Demo { build, port } => demo::run(&project, *build, *port)?,
        Command::Test { parts } => test::run(&project, parts)?,
        Command::Lint => lint::run(&project)?,
        Command::Tidy => tidy::run(&project)?,
        Command::Ci => {
            lint::run(&project)?;
            test::run(&project, &[])?;
        }
        Command::Probe { version } => probe::run(&project, version.as_deref())?,
        Command::Bench { subject, options } => bench::run(&project, *subject, options)?,
    }
    Ok(())
}
