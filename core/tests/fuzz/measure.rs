//! How long a call takes, and how much memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const TIME_MAX: Duration = Duration::from_millis(50);
const MEMORY_FACTOR_MAX: usize = 64;
const MEMORY_BASE_MAX: usize = 1 << 20;
/// An input that takes longer than this never ends.
const HANG: Duration = Duration::from_secs(20);

static CALLS: AtomicU64 = AtomicU64::new(0);
static LONGEST_MICROS: AtomicU64 = AtomicU64::new(0);
static LARGEST_BYTES: AtomicU64 = AtomicU64::new(0);

/// Calls a function that was given so many bytes.
pub(crate) fn measured<T>(name: &str, bytes: usize, call: impl Fn() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = timed(name, &call);
    let used = MEMORY.peak_usage().saturating_sub(before);
    LARGEST_BYTES.fetch_max(used as u64, Ordering::Relaxed);
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
    LONGEST_MICROS.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
    assert!(took <= TIME_MAX, "{name} took {took:?}");
    result
}

/// The worst of all calls.
pub(crate) fn report() -> String {
    let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let (calls, micros) = (read(&CALLS), read(&LONGEST_MICROS));
    let bytes = read(&LARGEST_BYTES);
    format!("{calls} calls; the longest took {micros} µs, the largest {bytes} bytes")
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
