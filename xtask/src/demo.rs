//! The demo: a relay that also serves the example app, on this machine only.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::thread;

use crate::failure::{Failure, Outcome};
use crate::package;
use crate::process::{Program, say};
use crate::project::{Build, Project};

/// Where the demo keeps its rooms, so that they outlive it.
const DATA: &str = "coweave-data/demo";

/// Builds everything, then becomes the relay.
pub(crate) fn run(project: &Project, build: Build, port: u16) -> Outcome {
    // Before the long part; the relay itself says the same when somebody is faster.
    expect_free(port)?;
    thread::scope(|scope| {
        // Linking the module keeps one core busy for long; the relay takes the other one.
        let relay = scope.spawn(|| build_relay(project, build));
        package::build(project, build)?;
        package::build_example(project)?;
        relay.join().unwrap_or_else(|_panic| Err(Failure::new("compiling the relay panicked")))
    })?;

    say(&format!("\nOpen http://127.0.0.1:{port} in two windows and type in both."));
    say(&format!("The rooms are kept in {DATA}; ctrl-c stops the relay.\n"));
    let error = Program::new(project.relay(build), project.root())
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--data-dir", DATA, "--static-dir", "examples/notes/dist"])
        .into_command()
        // The relay takes this process's place, and with it all signals that are meant for it.
        .exec();
    Err(Failure::new(format!("cannot start {}: {error}", project.relay(build).display())))
}

/// Builds the relay alone.
pub(crate) fn build_relay(project: &Project, build: Build) -> Outcome {
    let program = project.cargo().args(["build", "--package", "coweave-relay"]);
    let program = match build {
        Build::Dev => program,
        Build::Release => program.arg("--release"),
    };
    program.run("compiling the relay", project.verbosity)?;
    Ok(())
}

fn expect_free(port: u16) -> Outcome {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(|error| {
        let next = port.checked_add(1).unwrap_or(4700);
        Failure::new(format!(
            "port {port} of this machine cannot be used ({error}): stop what listens there, or choose another one, for example --port {next}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_said_in_one_sentence() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let text = expect_free(port).unwrap_err().to_string();
        assert!(text.contains(&port.to_string()) && text.contains("--port"), "{text}");
        drop(taken);
        assert!(expect_free(port).is_ok());
    }
}
