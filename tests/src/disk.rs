//! Disks that fail: a file system that is full, and a layer over the system's calls that makes
//! writes fail or flushes slow.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The layer. After each flush of a file of the database, its bytes are copied into the folder
/// `COWEAVE_FLUSHED`: what a disk surely has when the power goes. And `pwrite`, `ftruncate` and the flushes of the database's files do what the file at
/// `COWEAVE_FAULT` says: `errno N` or `sleep MS`; nothing when it is empty.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static int is_store(int fd) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, "coweave.sqlite3") != NULL;
}

static int fault(int fd, int is_flush) {
    const char *file = getenv("COWEAVE_FAULT");
    char text[64] = {0};
    int number = 0;
    if (!file || !is_store(fd)) return 0;
    int control = open(file, O_RDONLY | O_CLOEXEC);
    if (control < 0) return 0;
    ssize_t length = read(control, text, sizeof text - 1);
    close(control);
    if (length <= 0) return 0;
    if (sscanf(text, "errno %d", &number) == 1) return number;
    if (is_flush && sscanf(text, "sleep %d", &number) == 1) {
        struct timespec time = { number / 1000, (number % 1000) * 1000000L };
        nanosleep(&time, NULL);
    }
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define PASS(is_flush, name, ...) \
    int number = fault(fd, is_flush); \
    if (number) { errno = number; return -1; } \
    return REAL(name)(__VA_ARGS__);

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { PASS(0, pwrite, fd, bytes, count, at) }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { PASS(0, pwrite64, fd, bytes, count, at) }
ssize_t write(int fd, const void *bytes, size_t count) { PASS(0, write, fd, bytes, count) }
int ftruncate(int fd, off_t length) { PASS(0, ftruncate, fd, length) }
int ftruncate64(int fd, off64_t length) { PASS(0, ftruncate64, fd, length) }

static void copy_flushed(int fd) {
    char link[64], path[512], copy[1024], part[1040], bytes[65536];
    const char *folder = getenv("COWEAVE_FLUSHED");
    if (!folder || !is_store(fd)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    // The journal of the very first moments is not flushed away when it is deleted.
    if (strstr(path, "-journal")) return;
    snprintf(copy, sizeof copy, "%s%s", folder, strrchr(path, '/'));
    snprintf(part, sizeof part, "%s.part", copy);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    while ((length = read(from, bytes, sizeof bytes)) > 0)
        if (REAL(write)(to, bytes, length) != length) abort();
    close(from);
    close(to);
    if (rename(part, copy)) abort();
}

#define FLUSH(name) int name(int fd) { \
    int number = fault(fd, 1); \
    if (number) { errno = number; return -1; } \
    int answer = REAL(name)(fd); \
    if (!answer) copy_flushed(fd); \
    return answer; \
}
FLUSH(fsync)
FLUSH(fdatasync)
"#;

/// What the disk does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// "No space left on device".
    Full,
    /// "Read-only file system", as after an error below it.
    ReadOnly,
    /// "Input/output error".
    Broken,
    /// Every flush takes this many milliseconds longer.
    SlowFlush(u32),
}

/// A layer that can be put under a relay.
#[derive(Debug)]
pub struct FaultyDisk {
    library: PathBuf,
    control: PathBuf,
    flushed: PathBuf,
}

impl FaultyDisk {
    /// Builds the layer in a folder; says why not when this system cannot.
    ///
    /// # Errors
    /// A sentence.
    pub fn build(folder: &Path) -> Result<Self, String> {
        if cfg!(not(target_os = "linux")) {
            return Err("a layer under a program is made on Linux only".to_owned());
        }
        let (source, library) = (folder.join("faults.c"), folder.join("faults.so"));
        std::fs::write(&source, SHIM).map_err(|error| error.to_string())?;
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .map_err(|error| format!("there is no C compiler: {error}"))?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into_owned());
        }
        let flushed = folder.join("flushed");
        std::fs::create_dir(&flushed).map_err(|error| error.to_string())?;
        let disk = Self { library, control: folder.join("fault"), flushed };
        disk.set(Fault::None);
        Ok(disk)
    }

    /// Puts the layer under a program.
    pub fn amend(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("COWEAVE_FAULT", &self.control)
            .env("COWEAVE_FLUSHED", &self.flushed);
    }

    /// Takes everything from the files of a store that was never flushed. No relay may be running.
    ///
    /// # Panics
    /// When there is no store.
    pub fn lose_power(&self, data: &Path) {
        for name in ["coweave.sqlite3", "coweave.sqlite3-wal"] {
            let (file, flushed) = (data.join(name), self.flushed.join(name));
            if flushed.exists() {
                std::fs::copy(flushed, file).expect("a folder of the test");
            }
        }
        std::fs::remove_file(data.join("coweave.sqlite3-shm")).expect("there is one after a kill");
    }

    /// # Panics
    /// When the test's own folder cannot be written.
    pub fn set(&self, fault: Fault) {
        let text = match fault {
            Fault::None => String::new(),
            Fault::Full => "errno 28".to_owned(),
            Fault::ReadOnly => "errno 30".to_owned(),
            Fault::Broken => "errno 5".to_owned(),
            Fault::SlowFlush(ms) => format!("sleep {ms}"),
        };
        // In one step: the relay reads it at any moment.
        let new = self.control.with_extension("new");
        std::fs::write(&new, text).expect("a folder of the test");
        std::fs::rename(new, &self.control).expect("a folder of the test");
    }
}

/// A small file system in memory, mounted for the time of a test.
#[derive(Debug)]
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts it; says why not when this user may not.
    ///
    /// # Errors
    /// A sentence.
    ///
    /// # Panics
    /// When there is no place for a folder.
    pub fn mount(bytes: u64) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a place for a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"])
            .arg(folder.path())
            .output()
            .map_err(|error| format!("there is no mount: {error}"))?;
        if !mounted.status.success() {
            let why = String::from_utf8_lossy(&mounted.stderr).trim().to_owned();
            return Err(format!("nothing can be mounted here: {why}"));
        }
        Ok(Self { folder })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all space that is left.
    ///
    /// # Panics
    /// When even an empty file cannot be made.
    pub fn fill(&self) {
        use std::io::Write as _;

        let mut ballast = std::fs::File::create(self.path().join("ballast")).expect("a file");
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// Gives the space back.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn clear(&self) {
        std::fs::remove_file(self.path().join("ballast")).expect("it was filled");
    }

    /// Lets nobody write from now on; only possible while no file is open for writing.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn make_read_only(&self) {
        let path = self.path();
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(path).status();
        assert!(done.expect("mount exists").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _the_system_does_it_at_its_end =
            Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
