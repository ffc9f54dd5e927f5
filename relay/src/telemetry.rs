//! The log: one line per event on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging; does nothing when the program logs already.
pub fn start(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer()
        .compact()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let _logs_already = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
