//! The side of the relay: starts the child, feeds it, and says why there is no answer.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use coweave_core::room::compaction;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufWriter};
use tokio::process::{ChildStdin, Command};

use super::{CompactError, Compaction, OUT_OF_MEMORY, frames};

/// As much of a complaint is passed on.
const COMPLAINT_BYTES_MAX: usize = 1024;
/// What goes to the child in one write.
const FEED_BYTES: usize = 64 << 10;
/// What may pass on the clock for each second of processor time that the child may take.
const CLOCK_FACTOR: u32 = 4;

pub(super) fn command(
    program: &Path,
    arguments: &[OsString],
    settings: &Compaction,
    piece_bytes_max: usize,
) -> Command {
    let seconds_max = settings.time_max.as_millis().div_ceil(1000);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(settings.memory_bytes_max.to_string())
        .arg(seconds_max.to_string())
        .arg(piece_bytes_max.to_string())
        // It needs nothing, and the environment may hold secrets.
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Has a child fold a log, and ends it when it takes too long.
pub(super) async fn fold(
    mut command: Command,
    settings: &Compaction,
    updates: &[Bytes],
) -> Result<Vec<Bytes>, CompactError> {
    let mut child = command.spawn().map_err(CompactError::Start)?;
    let (Some(input), Some(output), Some(complaint)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(CompactError::BrokeOff);
    };
    // The heads of the frames come on top; the check is exact.
    let answer_bytes_max = compaction::folded_bytes_max(updates).saturating_mul(2);
    let talk = async {
        // A child that stops reading says why when it ends.
        let (_fed, answer, complaint) = tokio::join!(
            feed(input, updates),
            read(output, answer_bytes_max),
            read(complaint, COMPLAINT_BYTES_MAX)
        );
        (child.wait().await, answer, complaint)
    };
    match tokio::time::timeout(settings.time_max * CLOCK_FACTOR, talk).await {
        Ok((Ok(status), answer, complaint)) => {
            judge(status, &String::from_utf8_lossy(&complaint), settings)?;
            let wrong = |error| CompactError::WrongAnswer(format!("{error}"));
            frames::read(&answer.into()).map_err(wrong)
        }
        Ok((Err(error), ..)) => Err(CompactError::GaveUp(error.to_string())),
        // It is killed when it is dropped.
        Err(_elapsed) => Err(CompactError::OverTime(settings.time_max * CLOCK_FACTOR)),
    }
}

async fn feed(input: ChildStdin, updates: &[Bytes]) -> std::io::Result<()> {
    // A log is of many small updates; large ones go past the buffer.
    let mut input = BufWriter::with_capacity(FEED_BYTES, input);
    input.write_all(&frames::head(updates)).await?;
    for update in updates {
        input.write_all(&frames::prefix(update)).await?;
        input.write_all(update).await?;
    }
    input.shutdown().await
}

/// What can be read, up to a limit. A pipe that is not read to its end is closed.
async fn read(pipe: impl AsyncRead + Unpin, bytes_max: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pipe = pipe.take(u64::try_from(bytes_max).unwrap_or(u64::MAX));
    // What came before an error is judged like everything else.
    let _broken = pipe.read_to_end(&mut bytes).await;
    bytes
}

fn judge(status: ExitStatus, complaint: &str, settings: &Compaction) -> Result<(), CompactError> {
    if status.success() {
        return Ok(());
    }
    // A Rust program that gets no memory says so, and mostly aborts.
    if complaint.contains(OUT_OF_MEMORY) {
        return Err(CompactError::OverMemory(settings.memory_bytes_max));
    }
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => {
            Err(CompactError::OverTime(settings.time_max))
        }
        Some(signal) => Err(CompactError::Signal(signal)),
        None => Err(CompactError::GaveUp(complaint.trim().to_owned())),
    }
}
