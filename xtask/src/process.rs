//! Child processes: run with a line of progress, their output kept for the case that they fail.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::project::Verbosity;

/// How often a long step says that it is still at work.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How often a step looks whether its process has ended.
const TICK: Duration = Duration::from_millis(200);
/// How long output may still come after the end of a process: a grandchild that was left behind
/// can hold the pipe open for ever.
const LINGER: Duration = Duration::from_secs(1);
/// Longer than any step takes; a step that hangs must not hang the whole run.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A program with its arguments, not started yet.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    folder: PathBuf,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) is_success: bool,
    pub(crate) output: String,
    pub(crate) took: Duration,
    sentence: String,
}

impl Program {
    pub(crate) fn new(program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder);
        Self { command, folder: folder.to_path_buf() }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    /// The bare command, for a process that takes this one's place.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// What the program prints when it works, nothing when it fails or does not exist.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Runs a program whose tables appear one by one.
    pub(crate) fn show(self, what: &str) -> Outcome {
        let status = self
            .into_command()
            .status()
            .map_err(|error| Failure::new(format!("cannot start {what}: {error}")))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("{what} ended with {status}")))
    }

    /// Runs the program as one step of a command and gives back what it printed.
    pub(crate) fn run(self, step: &str, verbosity: Verbosity) -> Outcome<String> {
        let finished = self.finish(step, verbosity)?;
        if finished.is_success { Ok(finished.output) } else { Err(finished.into_failure()) }
    }

    /// Runs the program as one step of a command; that it fails is an answer, too.
    pub(crate) fn finish(mut self, step: &str, verbosity: Verbosity) -> Outcome<Finished> {
        say(&format!("  {step} …"));
        let started = Instant::now();
        let mut child = self.start()?;
        let (lines, received) = channel();
        for pipe in pipes(&mut child) {
            let lines = lines.clone();
            thread::spawn(move || forward_lines(pipe, &lines));
        }
        drop(lines);
        let mut watch = Watch { step, verbosity, started, output: String::new() };
        let status = watch
            .until_end(&mut child, &received)
            .map_err(|error| Failure::new(format!("{step} cannot be watched: {error}")))?;
        let took = started.elapsed();
        let is_success = status.is_some_and(|status| status.success());
        say(&format!(
            "  {step}: {} after {} s",
            if is_success { "done" } else { "failed" },
            took.as_secs()
        ));
        Ok(Finished {
            is_success,
            output: watch.output,
            took,
            sentence: self.sentence(step, status),
        })
    }

    fn start(&mut self) -> Outcome<Child> {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| self.not_started(&error))
    }

    fn not_started(&self, error: &io::Error) -> Failure {
        let name = Path::new(self.command.get_program()).display().to_string();
        if error.kind() != io::ErrorKind::NotFound {
            return Failure::new(format!("cannot start {name}: {error}"));
        }
        if !self.folder.is_dir() {
            return Failure::new(format!("the folder {} does not exist", self.folder.display()));
        }
        Failure::new(match name.as_str() {
            "node" | "npm" => format!("{name} was not found: install Node.js 20 or newer with npm"),
            "rustup" => {
                "rustup was not found: install it, or the parts that rust-toolchain.toml lists"
                    .to_owned()
            }
            _ => format!("{name} was not found: install it, or put it on the PATH"),
        })
    }

    fn sentence(&self, step: &str, status: Option<ExitStatus>) -> String {
        let program = Path::new(self.command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str());
        let words: Vec<_> = iter::once(name).chain(self.command.get_args()).collect();
        let line = words.join(OsStr::new(" ")).to_string_lossy().into_owned();
        let end = status.map_or_else(
            || format!("took longer than {} minutes and was stopped", TIME_LIMIT.as_secs() / 60),
            |status| format!("ended with {status}"),
        );
        format!("{step} failed: `{line}` in {} {end}", self.folder.display())
    }
}

impl Finished {
    pub(crate) fn into_failure(self) -> Failure {
        Failure::new(self.sentence).with_output(self.output)
    }
}

/// One running step.
struct Watch<'a> {
    step: &'a str,
    verbosity: Verbosity,
    started: Instant,
    output: String,
}

impl Watch<'_> {
    /// Collects output until the process and its pipes are closed; `None` after the time limit.
    fn until_end(
        &mut self,
        child: &mut Child,
        lines: &Receiver<String>,
    ) -> io::Result<Option<ExitStatus>> {
        let mut beats = 1;
        let mut ended_at = None;
        loop {
            match lines.recv_timeout(TICK) {
                Ok(line) => self.take(&line),
                Err(RecvTimeoutError::Disconnected) => return child.wait().map(Some),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if ended_at.is_none() && child.try_wait()?.is_some() {
                ended_at = Some(Instant::now());
            }
            if ended_at.is_some_and(|at| at.elapsed() > LINGER) {
                return child.wait().map(Some);
            }
            if self.started.elapsed() > TIME_LIMIT {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            if self.started.elapsed() > HEARTBEAT * beats {
                beats += 1;
                say(&format!("  {} … {} s", self.step, self.started.elapsed().as_secs()));
            }
        }
    }

    fn take(&mut self, line: &str) {
        if self.verbosity == Verbosity::Verbose {
            say(&format!("    {line}"));
        }
        self.output.push_str(line);
        self.output.push('\n');
    }
}

fn pipes(child: &mut Child) -> Vec<Box<dyn Read + Send>> {
    let mut pipes: Vec<Box<dyn Read + Send>> = Vec::new();
    pipes.extend(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    pipes.extend(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    pipes
}

fn forward_lines(pipe: Box<dyn Read + Send>, lines: &Sender<String>) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    // An error or a closed receiver both mean that nobody needs more.
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if lines.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}

/// Tells the person at the terminal something.
#[expect(clippy::print_stdout, reason = "a command line tool speaks to a terminal")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
