//! How a command fails: one sentence that says what is missing and what to do.

use std::fmt;

/// The result of everything here that can fail.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    sentence: String,
    output: String,
}

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), output: String::new() }
    }

    /// Adds what a child process printed; shown before the sentence.
    pub(crate) fn with_output(mut self, output: impl Into<String>) -> Self {
        self.output = output.into();
        self
    }

    /// A file that could not be read or written.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {action} {}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.output.is_empty() {
            writeln!(f, "{}\n", self.output.trim_end())?;
        }
        write!(f, "error: {}", self.sentence)
    }
}
