//! The side of the child: takes the limits upon itself before it reads a byte, folds, answers.

use std::ffi::OsString;
use std::io::{ErrorKind, Read as _, Write as _};

use bytes::Bytes;
use coweave_core::room::compaction;
use rustix::process::{Resource, Rlimit, nice, setrlimit};

use super::{OUT_OF_MEMORY, frames};

/// Behind everything that people wait for.
const NICENESS: i32 = 10;

/// Folds what comes on standard input, and writes the pieces to standard output. The arguments are
/// the limits: bytes of memory, seconds of processor time, bytes of a piece.
///
/// # Errors
/// What went wrong, in words for the log of the parent.
pub fn run(arguments: impl Iterator<Item = OsString>) -> Result<(), String> {
    let numbers: Option<Vec<u64>> = arguments.map(|text| text.to_str()?.parse().ok()).collect();
    let Some(&[memory_bytes_max, seconds_max, piece_bytes_max]) = numbers.as_deref() else {
        return Err("this is for the relay itself: three numbers were expected".to_owned());
    };
    limit(memory_bytes_max, seconds_max).map_err(|error| format!("no limits: {error}"))?;
    let piece_bytes_max = usize::try_from(piece_bytes_max).unwrap_or(usize::MAX);
    let mut input = Vec::new();
    std::io::stdin().lock().read_to_end(&mut input).map_err(|error| match error.kind() {
        ErrorKind::OutOfMemory => format!("{OUT_OF_MEMORY} for the log failed"),
        _ => error.to_string(),
    })?;
    let updates = frames::read(&input.into()).map_err(|error| format!("the log: {error}"))?;
    let pieces = compaction::fold(&updates, piece_bytes_max).map_err(|error| error.to_string())?;
    write(&pieces).map_err(|error| error.to_string())
}

fn limit(memory_bytes_max: u64, seconds_max: u64) -> rustix::io::Result<()> {
    let exactly = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, exactly(memory_bytes_max))?;
    // At the first number it is told to end, which can be reported, at the second it is killed.
    let seconds = Rlimit { current: Some(seconds_max), maximum: Some(seconds_max + 1) };
    setrlimit(Resource::Cpu, seconds)?;
    // What people wrote is in this memory: it goes into no file.
    setrlimit(Resource::Core, exactly(0))?;
    setrlimit(Resource::Fsize, exactly(0))?;
    nice(NICENESS).map(|_| ())
}

fn write(pieces: &[Bytes]) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(&frames::head(pieces))?;
    for piece in pieces {
        output.write_all(&frames::prefix(piece))?;
        output.write_all(piece)?;
    }
    output.flush()
}
