//! The processes that are measured: where they run, what they have used so far.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;

use crate::Outcome;

const SERVER_CORE: usize = 0;
const GENERATOR_CORE: usize = 1;
const START_LIMIT: Duration = Duration::from_secs(20);
const TICKS_PER_SECOND: f64 = 100.0;

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Its data, gone with it.
    _folder: tempfile::TempDir,
}

/// Gives this process its core, and as many files as it may have. False on a machine with one core.
pub(crate) fn prepare() -> Outcome<bool> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    if std::thread::available_parallelism()?.get() < 2 {
        return Ok(false);
    }
    run_on(GENERATOR_CORE)?;
    Ok(true)
}

fn run_on(core: usize) -> Outcome {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)?;
    Ok(())
}

impl Server {
    /// Starts a server on a core of its own and waits until it listens. The command gets the
    /// address and a folder for its data, which lies where temporary builds lie: on a real disk.
    pub(crate) fn start(
        is_pinned: bool,
        data_root: &std::path::Path,
        command: impl FnOnce(SocketAddr, &std::path::Path) -> Command,
    ) -> Outcome<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let folder = tempfile::tempdir_in(data_root)?;
        let mut command = command(address, folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        // A child inherits the core of its parent.
        if is_pinned {
            run_on(SERVER_CORE)?;
        }
        let child = command.spawn();
        if is_pinned {
            run_on(GENERATOR_CORE)?;
        }
        let mut server = Self { child: child?, address, _folder: folder };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{command:?} ended at once with {status}").into());
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("{command:?} does not listen").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU seconds of the process since its start, and of the children that it had.
    pub(crate) fn cpu_seconds(&self) -> Outcome<f64> {
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(self.pid() as i32))?;
        let own = Duration::from(clock.now()?).as_secs_f64();
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // The name is in parentheses and may hold spaces; the fields count from behind it.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let children = fields.split_whitespace().skip(13).take(2);
        let ticks: f64 = children.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(own + ticks / TICKS_PER_SECOND)
    }

    /// Resident memory in KiB: now, and the most since [`Self::forget_peak`].
    pub(crate) fn resident_kib(&self) -> Outcome<(f64, f64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.ok_or("the system does not say how much memory a process has")
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    pub(crate) fn forget_peak(&self) -> Outcome {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _is_gone = self.child.kill();
        let _is_gone = self.child.wait();
    }
}

/// CPU seconds of this process since its start.
pub(crate) fn own_cpu_seconds() -> Outcome<f64> {
    Ok(Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?).as_secs_f64())
}
