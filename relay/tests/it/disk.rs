//! Real disks that fail: full, read-only, and gone. Mounting needs root; without it these tests say
//! that they were skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use coweave_core::limits::Limits;
use coweave_core::wire::v1::Message;
use coweave_relay::{Config, Drained, Relay, StartError};
use tempfile::TempDir;

use crate::process::Running;
use crate::setup::{PATIENCE, TestRelay, config, eventually, get};
use crate::v1_client::V1Client;

/// A small file system of its own.
struct Mounted(TempDir);

impl Mounted {
    /// `None` when this user may not mount.
    #[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
    fn tmpfs(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: this user may not mount a file system");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    fn remount(&self, option: &str) -> bool {
        let option = format!("remount,{option}");
        let mount = Command::new("mount").args(["-o", &option]).arg(self.path()).output();
        mount.is_ok_and(|mount| mount.status.success())
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let filler = self.path().join("filler");
        let mut size = 1 << 20;
        let mut content = Vec::new();
        while size > 0 {
            let mut larger = content.clone();
            larger.resize(content.len() + size, 7);
            if fs::write(&filler, &larger).is_ok() {
                content = larger;
            } else {
                size /= 2;
            }
        }
        fs::write(&filler, &content).unwrap();
        filler
    }

    async fn start(&self) -> Relay {
        let config = Config { data_dir: self.data(), ..config(Limits::default()) };
        Relay::start(config).await.unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: the last files may just be closing.
        let _left_mounted = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Waits until the client is told how the disk is.
async fn wait_for_durability(client: &mut V1Client, is_well: bool) {
    let told = client.wait(|_, message| match message {
        Message::Durability { degraded } if degraded.is_none() == is_well => Some(()),
        _ => None,
    });
    tokio::time::timeout(PATIENCE, told).await.expect("nobody tells");
}

#[tokio::test]
async fn a_full_disk_is_told_and_everything_follows_when_there_is_space() {
    let Some(disk) = Mounted::tmpfs("2m") else { return };
    let relay = disk.start().await;
    let address = relay.local_addr();
    let mut ann = V1Client::join(address, 1, "notes").await;
    let mut ben = V1Client::join(address, 2, "notes").await;
    let number = ann.write("before ").await;
    ann.wait_for_durable(number).await;
    let filler = disk.fill();

    let text = "much ".repeat(20_000);
    let number = ann.write(&text).await;
    wait_for_durability(&mut ann, false).await;
    // Work goes on in memory.
    ben.wait_for_text(&format!("before {text}")).await;
    assert_eq!(get(address, "/readyz").await, (503, "the store fails".to_owned()));
    assert!(ann.durable() < number, "nothing is said to be durable");

    fs::remove_file(filler).unwrap();
    ann.wait_for_durable(number).await;
    eventually(async || get(address, "/readyz").await.0 == 200).await;
    let number = ben.write("after").await;
    ben.wait_for_durable(number).await;
    assert_eq!(relay.shutdown().await, Drained::Clean);
    let relay = disk.start().await;
    let reader = V1Client::join(relay.local_addr(), 3, "notes").await;
    assert_eq!(reader.text(), format!("before {text}after"));
    assert_eq!(relay.shutdown().await, Drained::Clean);
}

#[tokio::test]
async fn a_read_only_disk_is_told_at_the_start() {
    let Some(disk) = Mounted::tmpfs("2m") else { return };
    let relay = disk.start().await;
    V1Client::join(relay.local_addr(), 1, "notes").await;
    assert_eq!(relay.shutdown().await, Drained::Clean);
    eventually(async || disk.remount("ro")).await;
    let config = Config { data_dir: disk.data(), ..config(Limits::default()) };
    let refused = Relay::start(config).await.unwrap_err();
    assert!(matches!(refused, StartError::Store(_)), "{refused}");
    assert!(refused.to_string().contains("cannot be used"), "{refused}");
    assert!(disk.remount("rw"));
    let relay = disk.start().await;
    V1Client::join(relay.local_addr(), 2, "notes").await;
    assert_eq!(relay.shutdown().await, Drained::Clean);
}

#[tokio::test]
async fn a_store_that_is_moved_away_is_told_and_goes_on_when_it_is_back() {
    let TestRelay { relay, folder } = TestRelay::start().await;
    let mut ann = V1Client::join(relay.local_addr(), 1, "notes").await;
    let number = ann.write("before ").await;
    ann.wait_for_durable(number).await;
    let (path, aside) = (folder.path().join("coweave.sqlite3"), folder.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    let number = ann.write("meanwhile ").await;
    wait_for_durability(&mut ann, false).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(ann.durable() < number && !path.exists());
    fs::rename(&aside, &path).unwrap();
    ann.wait_for_durable(number).await;
    assert_eq!(relay.shutdown().await, Drained::Clean);
}

/// Makes every flush of a program that is started with it take a second; `None` without a compiler.
#[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
fn slow_flushes(folder: &Path) -> Option<PathBuf> {
    const SOURCE: &str = "#define _GNU_SOURCE\n#include <unistd.h>\n#include <sys/syscall.h>\n\
        int fsync(int fd) { sleep(1); return syscall(SYS_fsync, fd); }\n\
        int fdatasync(int fd) { sleep(1); return syscall(SYS_fdatasync, fd); }\n";

    let (source, library) = (folder.join("slow.c"), folder.join("slow.so"));
    fs::write(&source, SOURCE).unwrap();
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).output();
    if compiled.is_ok_and(|compiled| compiled.status.success()) {
        return Some(library);
    }
    println!("skipped: there is no C compiler");
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushes_that_take_a_second_delay_acknowledgements_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let Some(library) = slow_flushes(folder.path()) else { return };
    let data = folder.path().join("data");
    let relay = Running::start_in(&data, &[], &[("LD_PRELOAD", library.as_os_str())]);
    let mut ann = V1Client::join(relay.address, 1, "notes").await;
    let mut ben = V1Client::join(relay.address, 2, "notes").await;
    let mut text = String::new();
    for _ in 0..20 {
        let start = Instant::now();
        let number = ann.write("x").await;
        text.push('x');
        ben.wait_for_text(&text).await;
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert!(ann.durable() < number);
    }
    let start = Instant::now();
    let number = ann.write("y").await;
    ann.wait_for_durable(number).await;
    // All that came meanwhile shares one or two flushes.
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    relay.signal("TERM");
    let (code, log) = relay.end();
    assert_eq!(code, Some(0), "{log}");
    let relay = Running::start_in(&data, &[], &[]);
    assert_eq!(V1Client::join(relay.address, 3, "notes").await.text(), text + "y");
    relay.signal("TERM");
    assert_eq!(relay.end().0, Some(0));
}
