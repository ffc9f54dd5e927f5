//! The highest rate at which nothing is lost and 99 % of all deliveries take less than 100 ms.

use std::time::Duration;

use super::{Bench, Bound, Column, Goal, Measured, Scenario, column};
use crate::Outcome;
use crate::crowd::{Crowd, Shape};
use crate::peers::Peer;
use crate::process::{Server, own_cpu_seconds};

const P99_MS_MAX: f64 = 100.0;
/// While the rate is far from the limit a short step says enough.
const CLIMB: Duration = Duration::from_millis(1_000);
const CLOSING: Duration = Duration::from_millis(2_000);
const CLOSINGS: usize = 3;
/// A step that fails although the server has time left was disturbed by a neighbor, and is repeated.
const SHARE_OF_LIMIT: f64 = 85.0;
/// Above it the generator may be what is slow, and the figure is a lower bound.
const GENERATOR_SHARE_MAX: f64 = 0.95;
const FIRST_RATE: f64 = 500.0;
const RATE_MIN: f64 = 20.0;

const COLUMNS: &[Column] = &[
    column("deliveries", "deliveries/s", 0),
    column("updates", "updates/s in", 0),
    column("p99", "p99 ms", 1),
    column("share", "server CPU %", 0),
    column("cpu", "CPU µs each", 2),
    column("frames", "updates a frame", 1),
    column("bytes", "bytes each", 0),
    column("rss", "RSS MiB", 0),
    column("generator", "generator CPU %", 0),
];

pub(super) const ONE_ROOM: Scenario = Scenario {
    name: "saturation-1x100",
    title: "highest rate with p99 below 100 ms: 1 room × 100 clients, 10 type",
    needs_documents: false,
    columns: COLUMNS,
    goals: &[
        Goal { key: "deliveries", bound: Bound::AtLeast(2e6) },
        Goal { key: "deliveries", bound: Bound::AtLeastBest(1.0) },
    ],
    measure: |bench, peer| {
        measure(bench, peer, Shape { rooms: 1, clients: 100, writers: 10, keepers: 1 })
    },
};

pub(super) const MANY_ROOMS: Scenario = Scenario {
    name: "saturation-50x5",
    title: "highest rate with p99 below 100 ms: 50 rooms × 5 clients, 2 type",
    needs_documents: false,
    columns: COLUMNS,
    goals: &[Goal { key: "deliveries", bound: Bound::AtLeastBest(1.2) }],
    measure: |bench, peer| {
        measure(bench, peer, Shape { rooms: 50, clients: 5, writers: 2, keepers: 1 })
    },
};

/// Doubles the rate until a step does not pass, then closes in; each step has rooms of its own.
fn measure(bench: &Bench<'_>, peer: Peer, shape: Shape) -> Outcome<Measured> {
    let (server, _) = bench.start(peer, &[])?;
    let mut best: Option<Measured> = None;
    let (mut passed, mut failed, mut rate) = (0.0, f64::INFINITY, FIRST_RATE);
    let mut closings = 0;
    let mut last_problems = Vec::new();
    for number in 0.. {
        let duration = if failed.is_finite() { CLOSING } else { CLIMB };
        let mut step = try_step(&server, peer, shape, 2 * number, rate, duration)?;
        if !step.passes() && step.values.get("share").is_none_or(|share| *share < SHARE_OF_LIMIT) {
            step = try_step(&server, peer, shape, 2 * number + 1, rate, duration)?;
        }
        let value = |key| step.values.get(key).copied().unwrap_or(f64::NAN);
        let is_limit_of_generator = value("generator") > GENERATOR_SHARE_MAX * 100.0;
        if step.passes() {
            passed = rate;
            best = Some(step);
            if is_limit_of_generator {
                break;
            }
        } else {
            failed = rate;
            last_problems = step.problems;
        }
        if failed.is_finite() && passed > 0.0 {
            closings += 1;
            if closings > CLOSINGS {
                break;
            }
        }
        rate = if failed.is_finite() { (passed + failed) / 2.0 } else { rate * 2.0 };
        if rate < RATE_MIN {
            break;
        }
    }
    best.ok_or_else(|| {
        format!("not even {RATE_MIN} updates/s passed: {}", last_problems.join("; ")).into()
    })
}

impl Measured {
    fn passes(&self) -> bool {
        let is_below = |key, limit| self.values.get(key).is_some_and(|value| *value < limit);
        is_below("p99", P99_MS_MAX) && is_below("late", 1.05) && self.problems.is_empty()
    }
}

fn try_step(
    server: &Server,
    peer: Peer,
    shape: Shape,
    number: usize,
    rate: f64,
    duration: Duration,
) -> Outcome<Measured> {
    let mut crowd = Crowd::new(peer.dialect, server.address)?;
    crowd.add_rooms(&format!("step-{number}"), shape, None);
    crowd.connect(0..shape.rooms * shape.clients)?;
    let (cpu, own, bytes, frames) =
        (server.cpu_seconds()?, own_cpu_seconds()?, crowd.net.bytes_read, crowd.people.frames);
    let typed = crowd.type_keys(0..shape.rooms, rate, duration)?;
    let (cpu, own) = (server.cpu_seconds()? - cpu, own_cpu_seconds()? - own);
    let people = &crowd.people;
    let deliveries = people.delivered as f64;
    let mut measured = Measured::default();
    measured.values.insert("deliveries", deliveries / typed.seconds);
    measured.values.insert("updates", typed.updates as f64 / typed.send_seconds);
    measured.values.insert("p99", people.latencies.percentile_ms(0.99));
    measured.values.insert("late", typed.send_seconds / duration.as_secs_f64());
    measured.values.insert("share", cpu / typed.seconds * 100.0);
    measured.values.insert("cpu", cpu * 1e6 / deliveries);
    measured.values.insert("frames", deliveries / (people.frames - frames) as f64);
    measured.values.insert("bytes", (crowd.net.bytes_read - bytes) as f64 / deliveries);
    measured.values.insert("rss", server.resident_kib()?.0 / 1024.0);
    measured.values.insert("generator", own / typed.seconds * 100.0);
    measured.problems = crowd.check(0..shape.rooms, None, peer.has_documents())?;
    Ok(measured)
}
