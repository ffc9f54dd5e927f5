//! Latencies in logarithmic buckets: 2 % exact, whatever their number.

use std::time::Duration;

const SUB_BITS: u32 = 6;
const SUBS: u64 = 1 << SUB_BITS;
const BUCKETS: usize = 64 * SUBS as usize;

/// How often which latency was seen.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    pub(crate) count: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0 }
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let nanos = (latency.as_nanos() as u64).max(1);
        let exponent = nanos.ilog2().saturating_sub(SUB_BITS);
        let bucket = u64::from(exponent) * SUBS + (nanos >> exponent);
        self.counts[bucket as usize] += 1;
        self.count += 1;
    }

    /// The latency in milliseconds that this share of all was below.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let mut left = (self.count as f64 * share) as u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            if *count > left {
                let bucket = bucket as u64;
                let exponent = (bucket / SUBS).saturating_sub(1);
                let nanos = (bucket - exponent * SUBS) << exponent;
                return nanos as f64 / 1e6;
            }
            left -= count;
        }
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_two_percent() {
        let mut latencies = Latencies::new();
        for micros in 1..=10_000 {
            latencies.add(Duration::from_micros(micros));
        }
        for share in [0.01, 0.5, 0.99] {
            let ms = latencies.percentile_ms(share);
            assert!((ms / (share * 10.0) - 1.0).abs() < 0.02, "{share}: {ms}");
        }
    }
}
