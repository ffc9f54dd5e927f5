//! The command line: its table, its help, and how it is read.

use crate::bench::Subject;
use crate::failure::{Failure, Outcome};
use crate::process::say;
use crate::project::{Build, Verbosity};
use crate::test::Part;

/// Every command with its arguments and a sentence for the help.
const COMMANDS: [(&str, &str, &str); 13] = [
    ("demo", "[--dev] [--port N]", "Builds everything, starts a relay and serves the example app."),
    (
        "test",
        "[part …]",
        "Installs what the tests need and runs all of them, or only the named parts.",
    ),
    ("lint", "", "Checks formatting, lints, types and the rules of `tidy`."),
    ("ci", "", "Runs `lint`, then `test`: what has to pass before a change is merged."),
    ("tidy", "", "Checks the rules of this repository that no other tool knows."),
    ("wasm", "[--dev]", "Builds the browser crate into npm/wasm."),
    ("npm", "[--dev]", "Builds the npm package into npm/dist."),
    ("api", "", "Rewrites npm/api.md, the report of the package's public interface."),
    (
        "bench",
        "relay [flags]",
        "Measures the relay beside its peers; all of it, or [--only a,b] [--peers a,b] [--runs N].",
    ),
    ("bench", "client [--runs N]", "Measures the client in Chromium beside Yjs and its providers."),
    (
        "bench",
        "document [flags]",
        "Measures documents beside their peers: [--quick] [--in node] [--only a,b] [--peers a,b] [--runs N].",
    ),
    (
        "probe",
        "[--yrs VERSION]",
        "Asks yrs what matters here, in the version in use or in another, and prints a table.",
    ),
    ("setup", "", "Installs what the other commands need: toolchain, npm packages, browsers."),
];

/// The port that the demo listens on when none is given.
const PORT: u16 = 4700;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) command: Command,
    pub(crate) verbosity: Verbosity,
}

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Setup,
    Wasm { build: Build },
    Npm { build: Build },
    Api,
    Demo { build: Build, port: u16 },
    Test { parts: Vec<Part> },
    Lint,
    Tidy,
    Ci,
    Probe { version: Option<String> },
    Bench { subject: Subject, options: Vec<String> },
}

pub(crate) fn print_help() {
    say("Builds, runs, tests and checks Coweave.\n\nusage: cargo xtask <command>\n");
    for (name, arguments, sentence) in COMMANDS {
        say(&format!("  {:26} {sentence}", format!("{name} {arguments}")));
    }
    let parts = Part::ALL.map(Part::name).join(", ");
    say(&format!("\nparts of test: {parts}"));
    say(
        "--dev builds fast instead of small and fast to run; --verbose shows the output of every step.",
    );
}

/// Reads the command line.
pub(crate) fn parse(arguments: &[String]) -> Outcome<Invocation> {
    let mut words = Words::sort(arguments)?;
    let command = match words.next().as_deref() {
        None | Some("help") => Command::Help,
        _ if words.is_help => Command::Help,
        Some("setup") => Command::Setup,
        Some("wasm") => Command::Wasm { build: words.take_build() },
        Some("npm") => Command::Npm { build: words.take_build() },
        Some("api") => Command::Api,
        Some("demo") => Command::Demo { build: words.take_build(), port: words.take_port() },
        Some("test") => Command::Test { parts: words.take_parts()? },
        Some("lint") => Command::Lint,
        Some("tidy") => Command::Tidy,
        Some("ci") => Command::Ci,
        Some("probe") => Command::Probe { version: words.yrs.take() },
        Some("bench") => match words.next().as_deref() {
            None | Some("relay") => words.take_benchmark(Subject::Relay),
            Some("client") => words.take_benchmark(Subject::Client),
            Some("document") => words.take_benchmark(Subject::Document),
            Some(other) => {
                let text =
                    format!("there is no benchmark {other:?}, only relay, client and document");
                return Err(Failure::new(text));
            }
        },
        Some(other) => {
            let text = format!("there is no command {other:?}: `cargo xtask --help` lists them");
            return Err(Failure::new(text));
        }
    };
    let verbosity = words.verbosity;
    if command != Command::Help {
        words.refuse_rest()?;
    }
    Ok(Invocation { command, verbosity })
}

/// The words of a command line, flags apart from the others.
struct Words {
    plain: std::vec::IntoIter<String>,
    verbosity: Verbosity,
    is_help: bool,
    build: Option<Build>,
    port: Option<u16>,
    yrs: Option<String>,
    /// Flags that the benchmark reads itself, with their values.
    bench_options: Vec<String>,
}

impl Words {
    fn sort(arguments: &[String]) -> Outcome<Self> {
        let (mut plain, mut bench_options) = (Vec::new(), Vec::new());
        let (mut verbosity, mut is_help, mut build, mut port, mut yrs) =
            (Verbosity::Quiet, false, None, None, None);
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "--verbose" | "-v" => verbosity = Verbosity::Verbose,
                "--help" | "-h" => is_help = true,
                "--dev" => build = Some(Build::Dev),
                "--port" => port = Some(parse_port(rest.next())?),
                "--yrs" => yrs = Some(parse_version(rest.next())?),
                "--quick" => bench_options.push(word.clone()),
                "--only" | "--peers" | "--runs" | "--in" => {
                    bench_options.push(word.clone());
                    bench_options.extend(rest.next().cloned());
                }
                flag if flag.starts_with('-') => {
                    let text = format!("there is no flag {flag}: `cargo xtask --help` lists them");
                    return Err(Failure::new(text));
                }
                _ => plain.push(word.clone()),
            }
        }
        Ok(Self { plain: plain.into_iter(), verbosity, is_help, build, port, yrs, bench_options })
    }

    fn next(&mut self) -> Option<String> {
        self.plain.next()
    }

    fn take_build(&mut self) -> Build {
        self.build.take().unwrap_or(Build::Release)
    }

    fn take_port(&mut self) -> u16 {
        self.port.take().unwrap_or(PORT)
    }

    fn take_benchmark(&mut self, subject: Subject) -> Command {
        Command::Bench { subject, options: std::mem::take(&mut self.bench_options) }
    }

    fn take_parts(&mut self) -> Outcome<Vec<Part>> {
        self.plain
            .by_ref()
            .map(|name| {
                Part::parse(&name).ok_or_else(|| {
                    let parts = Part::ALL.map(Part::name).join(", ");
                    Failure::new(format!(
                        "there is no part {name:?} of the tests: choose from {parts}"
                    ))
                })
            })
            .collect()
    }

    fn refuse_rest(&mut self) -> Outcome {
        if let Some(word) = self.plain.next() {
            return Err(Failure::new(format!("this command takes no {word:?}")));
        }
        if self.build.is_some() {
            return Err(Failure::new("this command takes no --dev"));
        }
        if self.port.is_some() {
            return Err(Failure::new("this command takes no --port"));
        }
        if self.yrs.is_some() {
            return Err(Failure::new("this command takes no --yrs"));
        }
        if let Some(flag) = self.bench_options.first() {
            return Err(Failure::new(format!("this command takes no {flag}")));
        }
        Ok(())
    }
}

fn parse_port(word: Option<&String>) -> Outcome<u16> {
    word.and_then(|word| word.parse().ok())
        .filter(|port| *port > 0)
        .ok_or_else(|| Failure::new("--port needs a number from 1 to 65535"))
}

fn parse_version(word: Option<&String>) -> Outcome<String> {
    word.filter(|word| word.split('.').count() == 3 && !word.contains(['/', '"', '=']))
        .cloned()
        .ok_or_else(|| Failure::new("--yrs needs a version such as 0.28.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words).map(|invocation| invocation.command).map_err(|failure| failure.to_string())
    }

    #[test]
    fn commands_are_read_with_their_flags() {
        assert_eq!(read(""), Ok(Command::Help));
        assert_eq!(read("demo --help"), Ok(Command::Help));
        assert_eq!(read("demo"), Ok(Command::Demo { build: Build::Release, port: 4700 }));
        assert_eq!(read("demo --port 81 --dev"), Ok(Command::Demo { build: Build::Dev, port: 81 }));
        assert_eq!(read("test rust npm"), Ok(Command::Test { parts: vec![Part::Rust, Part::Npm] }));
        assert_eq!(read("probe"), Ok(Command::Probe { version: None }));
        let version = Some("0.27.2".to_owned());
        assert_eq!(read("probe --yrs 0.27.2"), Ok(Command::Probe { version }));
        let bench = |subject, options| Ok(Command::Bench { subject, options });
        assert_eq!(read("bench"), bench(Subject::Relay, Vec::new()));
        assert_eq!(read("bench client"), bench(Subject::Client, Vec::new()));
        let options = ["--quick", "--in", "node"].map(str::to_owned).to_vec();
        assert_eq!(read("bench document --quick --in node"), bench(Subject::Document, options));
        let options = ["--only", "idle", "--runs", "1"].map(str::to_owned).to_vec();
        assert_eq!(read("bench relay --only idle --runs 1"), bench(Subject::Relay, options));
    }

    #[test]
    fn every_listed_command_can_be_read() {
        for (name, _, _) in COMMANDS {
            assert!(read(name).is_ok_and(|command| command != Command::Help), "{name}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_in_words() {
        for line in [
            "dmeo",
            "demo --prot 1",
            "demo --port",
            "demo --port 0",
            "lint --dev",
            "tidy all",
            "lint --runs 1",
            "lint --yrs 0.28.0",
            "probe --yrs",
            "probe --yrs ../0.28.0",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        assert!(read("test simulated").is_err_and(|text| text.contains("simulation")));
    }
}
