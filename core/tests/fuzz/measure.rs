//! How long a call takes, and how much memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A debug build on a busy machine is no measure.
const TIME_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 50 });
const MEMORY_FACTOR_MAX: usize = 64;
const MEMORY_BASE_MAX: usize = 1 << 20;
/// From this size on, the memory is mostly that of the input.
const LARGE: usize = 1 << 14;
/// An input that takes longer than this never ends.
const HANG: Duration = Duration::from_secs(20);

/// The worst so far, and what it was.
static LONGEST: Mutex<(Duration, String)> = Mutex::new((Duration::ZERO, String::new()));
static LARGEST: Mutex<(usize, String)> = Mutex::new((0, String::new()));
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Calls a function that was given so many bytes.
pub(crate) fn measured<T>(name: &str, bytes: usize, call: impl Fn() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = timed(name, &call);
    let used = MEMORY.peak_usage().saturating_sub(before);
    if bytes >= LARGE {
        note(&LARGEST, used / bytes, || format!("{name}, {used} bytes for {bytes}"));
    }
    let max = bytes * MEMORY_FACTOR_MAX + MEMORY_BASE_MAX;
    assert!(used <= max, "{name} took {used} bytes for an input of {bytes}");
    result
}

/// Calls a function whose memory is not ours to bound.
pub(crate) fn timed<T>(name: &str, call: impl Fn() -> T) -> T {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let time = || {
        let began = Instant::now();
        let result = call();
        (began.elapsed(), result)
    };
    let (mut took, result) = time();
    // On a busy machine, others may have had the processor.
    for _ in 0..5 {
        if took > TIME_MAX / 5 {
            took = took.min(time().0);
        }
    }
    note(&LONGEST, took, || name.to_owned());
    assert!(took <= TIME_MAX, "{name} took {took:?}");
    result
}

fn note<N: PartialOrd>(worst: &Mutex<(N, String)>, number: N, name: impl Fn() -> String) {
    let mut worst = worst.lock().expect("no call panics while it is noted");
    if number > worst.0 {
        *worst = (number, name());
    }
}

/// The worst of all calls.
pub(crate) fn report() -> String {
    let calls = CALLS.load(Ordering::Relaxed);
    let (longest, largest) = (LONGEST.lock().expect("unused"), LARGEST.lock().expect("unused"));
    format!(
        "{calls} calls; the longest took {:?} ({}), the largest {} times its input ({})",
        longest.0, longest.1, largest.0, largest.1
    )
}

/// Ends the process when an input takes for ever, and says which one it is.
pub(crate) struct Watchdog {
    seed: Arc<AtomicU64>,
    is_done: Arc<AtomicBool>,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let watchdog = Self { seed: Arc::default(), is_done: Arc::default() };
        let (seed, is_done) = (Arc::clone(&watchdog.seed), Arc::clone(&watchdog.is_done));
        thread::spawn(move || {
            let mut last = (0, Instant::now());
            while !is_done.load(Ordering::Relaxed) {
                thread::sleep(HANG / 10);
                let now = seed.load(Ordering::Relaxed);
                if now != last.0 {
                    last = (now, Instant::now());
                }
                if now != 0 && last.1.elapsed() > HANG {
                    // A test cannot end another thread: this ends the process, after the name.
                    std::fs::write("/dev/stderr", format!("seed {now} takes for ever\n")).ok();
                    std::process::abort();
                }
            }
        });
        watchdog
    }

    pub(crate) fn begin(&self, seed: u64) {
        self.seed.store(seed, Ordering::Relaxed);
    }

    pub(crate) fn stop(self) {
        self.is_done.store(true, Ordering::Relaxed);
    }
}
