//! The real relay as a child process: its signals, its end, and what the system says of it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The last lines of a log that are kept.
const LOG_LINES_MAX: usize = 500;

/// The relay's program: the one that was built beside the tests, or what `COWEAVE_RELAY` says.
fn relay_program() -> PathBuf {
    if let Ok(path) = std::env::var("COWEAVE_RELAY") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test has a path");
    let folder = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let program = folder.join("coweave-relay");
    assert!(
        program.exists(),
        "the relay is not built: run `cargo build -p coweave-relay` or set COWEAVE_RELAY"
    );
    program
}

/// The relay's program with these arguments, and none of the settings of whoever runs the tests.
#[must_use]
pub fn relay_command(data: &Path, port: u16) -> Command {
    let mut command = Command::new(relay_program());
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data-dir"]).arg(data);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("COWEAVE_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Where ports are that systems hand out to nobody: they stay free while their relay is away.
const PORT_FIRST: u16 = 12_000;
const PORTS: u16 = 8_000;

fn lasting_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % u32::from(PORTS)).expect("less than that");
    loop {
        let port = PORT_FIRST + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A running relay.
#[derive(Debug)]
pub struct RelayProcess {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<VecDeque<String>>>,
}

/// What a relay takes from its system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory.
    pub memory_kib: u64,
    pub files: u64,
    pub threads: u64,
}

impl RelayProcess {
    /// Starts the relay and waits until it listens. Port 0 takes a free one, and one that is still
    /// free when the next relay wants it.
    pub fn start(data: &Path, port: u16) -> Self {
        Self::start_with(data, port, |_command| {})
    }

    /// The same with flags or variables.
    ///
    /// # Panics
    /// When it does not listen.
    pub fn start_with(data: &Path, port: u16, amend: impl FnOnce(&mut Command)) -> Self {
        let mut command = relay_command(data, if port == 0 { lasting_port() } else { port });
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        amend(&mut command);
        let mut child = command.spawn().expect("the relay starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut seen = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else { panic!("the relay did not listen: {seen}") };
            if let Some((_, address)) = line.split_once("listening on http://") {
                let is_other = |c: char| !c.is_ascii_digit() && c != '.' && c != ':';
                let end = address.find(is_other).unwrap_or(address.len());
                break address[..end].parse().expect("an address");
            }
            seen.push_str(&line);
        };
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&log);
        // Nobody may block on a full pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut kept = kept.lock().expect("nobody panics with it");
                if kept.len() == LOG_LINES_MAX {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        Self { child, address, log }
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its log.
    ///
    /// # Panics
    /// When the thread that reads them did.
    #[must_use]
    pub fn log(&self) -> String {
        let lines = self.log.lock().expect("nobody panics with it");
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("the relay was running");
        self.child.wait().expect("the relay ends");
    }

    /// Sends a signal by its name.
    ///
    /// # Panics
    /// When there is no relay to take it.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([format!("-{name}"), id]).status();
        assert!(sent.expect("kill exists").success());
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.end().0
    }

    /// Waits for the end: how it was, and the log.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("the relay ends");
        (status, self.log())
    }

    /// What it takes at the moment.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let folder = PathBuf::from(format!("/proc/{}", self.id()));
        let status = std::fs::read_to_string(folder.join("status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            let digits = line.trim().trim_end_matches(" kB");
            digits.parse().expect("a number")
        };
        let files = std::fs::read_dir(folder.join("fd")).expect("it runs").count() as u64;
        Usage { memory_kib: number("VmRSS:"), files, threads: number("Threads:") }
    }

    /// Whether it is folding a log at the moment: that is a child of its own.
    #[must_use]
    pub fn is_folding(&self) -> bool {
        let parent = self.id().to_string();
        let Ok(processes) = std::fs::read_dir("/proc") else { return false };
        processes.flatten().any(|process| {
            let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // The name stands in brackets and may hold anything; state and parent follow.
            let mut rest = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            rest.next().is_some_and(|state| state != "Z") && rest.next() == Some(&parent)
        })
    }

    /// Waits, at most this long, until it is folding a log.
    #[must_use]
    pub fn wait_for_folding(&self, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        while Instant::now() < end {
            if self.is_folding() {
                return true;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        false
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _it_may_be_gone = self.child.kill();
        let _as_above = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the relay's log:\n{}", self.log());
        }
    }
}

/// Asks a relay something over HTTP: status and body.
///
/// # Errors
/// When the relay is gone, or goes in the middle of it.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let cut_short = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut_short)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(cut_short)?, body.to_owned()))
}
