//! The program: reads the configuration, runs the relay until it is told to stop, and says in one
//! sentence what is wrong.

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use coweave_relay::compactor::{self, Place};
use coweave_relay::config::{self, Command};
use coweave_relay::{Config, Drained, Relay, telemetry};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The hidden command under which the relay starts itself to fold a log.
const COMPACT: &str = "compact";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == COMPACT) {
        return match compactor::run_child(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error),
        };
    }
    match config::load(std::env::args_os().skip(1), std::env::vars_os()) {
        Ok(Command::Help) => say(config::help().trim_end()),
        Ok(Command::Version) => say(concat!("coweave-relay ", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Check { config, warnings }) => {
            for warning in warnings {
                complain(&format!("warning: {warning}"));
            }
            say(&format!(
                "the configuration is right: the relay would listen on {} and keep its data in {}",
                config.listen,
                config.data_dir.display()
            ))
        }
        Ok(Command::Serve { config, warnings }) => run(*config, &warnings),
        Err(error) => complain(&error),
    }
}

fn run(mut config: Config, warnings: &[String]) -> ExitCode {
    telemetry::start(config.log.clone());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    raise_file_limit();
    config.compaction.place = place_of_compaction();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("the relay cannot start its threads: {error}")),
    };
    let code = runtime.block_on(serve(config)).unwrap_or_else(|error| complain(&error));
    runtime.shutdown_background();
    code
}

async fn serve(config: Config) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut stop = Stop::listen()?;
    let data_dir = config.data_dir.display().to_string();
    let relay = Relay::start(config).await?;
    tracing::info!("listening on http://{}, data in {data_dir}", relay.local_addr());
    stop.requested().await;
    tracing::info!("stopping: clients are sent away, then everything is brought to disk");
    Ok(tokio::select! {
        drained = relay.shutdown() => report(drained),
        () = stop.requested() => {
            tracing::warn!("stopped at once; everything that was said to be durable is on disk");
            ExitCode::FAILURE
        }
    })
}

fn report(drained: Drained) -> ExitCode {
    match drained {
        Drained::Clean => {
            tracing::info!("stopped; everything is on disk");
            ExitCode::SUCCESS
        }
        Drained::TimedOut => {
            tracing::error!(
                "stopped after the time limit; edits that were never said to be durable may be on \
                 their devices only"
            );
            ExitCode::FAILURE
        }
    }
}

/// This program again. On Linux its own file is meant even after another one took its name.
fn place_of_compaction() -> Place {
    let itself = PathBuf::from("/proc/self/exe");
    let program = if itself.exists() { Ok(itself) } else { std::env::current_exe() };
    match program {
        Ok(program) => Place::Child { program, arguments: vec![COMPACT.into()] },
        Err(error) => {
            tracing::warn!(%error, "this program does not know its file; logs are folded without limits");
            Place::InProcess
        }
    }
}

/// Every connection is an open file, and the usual soft limit of 1024 is for programs that use
/// `select`: take what the administrator allows.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, current = limit.current, "the limit of open files stays as it is");
    }
}

/// The signals that end the relay.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Prints what was asked for.
fn say(text: &str) -> ExitCode {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_nobody_reads) => ExitCode::FAILURE,
    }
}

/// Prints what is wrong.
fn complain(problem: &dyn Display) -> ExitCode {
    // Without anybody reading standard error there is only the exit code left.
    let _nobody_reads = writeln!(std::io::stderr().lock(), "coweave-relay: {problem}");
    ExitCode::FAILURE
}
