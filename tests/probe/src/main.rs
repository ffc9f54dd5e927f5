//! Asks a version of yrs what matters here, and prints a table: does it converge in and out of order,
//! also with formats, does it survive cut characters and hostile bytes, and how fast is it.
//!
//! Each case runs in a process of its own, because some end it and some never end.

mod beside;
mod cases;
mod damage;

use std::io::{Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cases::CASES;

/// A case that takes longer hangs.
const CASE_MAX: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    if let Some(name) = arguments.first() {
        let Some(case) = CASES.iter().find(|case| case.name == name) else {
            return ExitCode::FAILURE;
        };
        let written = writeln!(out, "{}", (case.run)());
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    for case in CASES {
        let answer = ask(case.name);
        let mark = if case.wanted.is_empty() || answer == case.wanted { " " } else { "!" };
        let wanted = if mark == " " { "" } else { case.wanted };
        if writeln!(out, "{mark} {:50} {answer:40} {wanted}", case.name).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What a case says in a process of its own.
fn ask(name: &str) -> String {
    let Ok(program) = std::env::current_exe() else { return "no program".to_owned() };
    let child =
        Command::new(program).arg(name).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return "cannot be started".to_owned() };
    let end = Instant::now() + CASE_MAX;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
            _ => {
                child.kill().ok();
                child.wait().ok();
                return "never ends".to_owned();
            }
        }
    };
    let mut answer = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut answer).ok();
    }
    match status.code() {
        Some(0) => answer.trim().to_owned(),
        Some(101) => "panics".to_owned(),
        _ => format!("ends the process ({status})"),
    }
}
