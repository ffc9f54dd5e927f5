//! The real program: signals, exit codes, and sentences about what is wrong.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::setup::Socket;
use crate::v1_client::V1Client;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_coweave-relay");

/// The program while it runs.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    log: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[])
    }

    pub(crate) fn start_with(data_dir: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let (_, address) = line.split_once("listening on http://").expect("the first line");
        let address = address.split(',').next().unwrap().parse().unwrap();
        Self { child, address, log }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until the log says this.
    pub(crate) fn wait_for_line(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "it never said {part}");
        }
    }

    /// Waits for the end, and gives the exit code and the rest of the log.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// Runs with a port of its own; the program has to fail with one sentence that says this.
fn must_fail(data_dir: &Path, expected: &str) {
    let output = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir)
        .output()
        .unwrap();
    must_have_failed(&output, expected);
}

fn must_have_failed(output: &Output, expected: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(expected), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_to_be_durable_survives_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut expected = String::new();
    for round in 1..=5 {
        let relay = Running::start(folder.path());
        let mut client = V1Client::join(relay.address, round, "notes").await;
        assert_eq!(client.text(), expected);
        let number = client.write("x").await;
        client.wait_for_durable(number).await;
        expected.push('x');
        relay.signal("KILL");
        relay.end();
    }
}

#[test]
fn a_folder_that_is_none_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    must_fail(file.path(), "cannot be used: not a directory");
    must_fail(Path::new("/proc/coweave"), "the data folder /proc/coweave cannot be used");
}

#[tokio::test]
async fn a_folder_or_an_address_in_use_is_told() {
    let folder = TempDir::new().unwrap();
    let relay = Running::start(folder.path());
    must_fail(folder.path(), "is in use by another process");
    let other = TempDir::new().unwrap();
    let unused = other.path().join("data");
    let address = relay.address.to_string();
    let output = run(&["--listen", &address, "--data-dir", unused.to_str().unwrap()]);
    must_have_failed(&output, "is in use by another process; stop that one first, or choose");
    assert!(!unused.exists());
    assert!(Socket::open(relay.address, "still-there", None).await.is_ok());
    relay.signal("KILL");
    relay.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_this_relay_cannot_use_is_told_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let database = folder.path().join("coweave.sqlite3");
    std::fs::write(&database, "a shopping list\n".repeat(100)).unwrap();
    must_fail(folder.path(), "is no Coweave store (not an SQLite database)");
    assert!(std::fs::read(&database).unwrap().starts_with(b"a shopping list"));

    std::fs::remove_file(&database).unwrap();
    let url = format!("sqlite://{}?mode=rwc", database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE recipes (name TEXT)").execute(&mut connection).await.unwrap();
    must_fail(folder.path(), "is no Coweave store (a database of another application)");

    sqlx::raw_sql("DROP TABLE recipes").execute(&mut connection).await.unwrap();
    let relay = Running::start(folder.path());
    relay.signal("TERM");
    assert_eq!(relay.end().0, Some(0));
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
    must_fail(folder.path(), "is in use by another process");
    sqlx::raw_sql("ROLLBACK; PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    must_fail(folder.path(), "has schema version 99, but this relay knows only versions up to 2");
}

#[test]
fn a_wrong_configuration_is_told() {
    must_have_failed(&run(&["--lisen", "x"]), "the nearest known one is --listen");
    must_have_failed(&run(&["check", "/none.toml"]), "/none.toml cannot be read");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"lsten = '127.0.0.1:1'").unwrap();
    let file = file.path().to_str().unwrap();
    must_have_failed(&run(&["check", file]), "unknown key lsten; the nearest known one is listen");
    must_have_failed(&run(&["--config", file]), "unknown key lsten");
}

#[test]
fn a_right_configuration_help_and_version_are_told_too() {
    for (arguments, expected) in [
        (&["check"][..], "the configuration is right"),
        (&["--help"], "Usage: coweave-relay"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let output = run(arguments);
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains(expected));
    }
}
