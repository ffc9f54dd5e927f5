//! Presence: cursors that move all the time, in a room where everybody sees everybody.

use std::time::{Duration, Instant};

use super::{Bench, Bound, Goal, Measured, Scenario, column};
use crate::Outcome;
use crate::crowd::Shape;
use crate::peers::Peer;

const CLIENTS: usize = 50;
const STATES_PER_SECOND: f64 = 10.0;
const DURATION: Duration = Duration::from_secs(4);

pub(super) const PRESENCE: Scenario = Scenario {
    name: "presence",
    title: "1 room × 50 clients, each shows a state every 100 ms",
    needs_documents: false,
    columns: &[
        column("delivered", "states/s", 0),
        column("ratio", "of all", 2),
        column("p50", "p50 ms", 1),
        column("p99", "p99 ms", 1),
        column("cpu", "CPU µs each", 1),
        column("bytes", "bytes each", 0),
        column("frames", "states a frame", 1),
    ],
    goals: &[
        Goal { key: "cpu", bound: Bound::AtMostBest(0.6) },
        Goal { key: "p99", bound: Bound::AtMost(60.0) },
        Goal { key: "bytes", bound: Bound::AtMostBest(1.0) },
    ],
    measure,
};

fn measure(bench: &Bench<'_>, peer: Peer) -> Outcome<Measured> {
    let (server, mut crowd) = bench.start(peer, &[])?;
    crowd.add_rooms("presence", Shape { rooms: 1, clients: CLIENTS, writers: 0, keepers: 0 }, None);
    crowd.connect(0..CLIENTS)?;
    crowd.people.presence.begin(CLIENTS);
    crowd.wait(Duration::from_millis(300))?;

    let (cpu, bytes, frames) = (server.cpu_seconds()?, crowd.net.bytes_read, crowd.people.frames);
    let period = DURATION.div_f64(DURATION.as_secs_f64() * STATES_PER_SECOND * CLIENTS as f64);
    let (start, mut shown) = (Instant::now(), 0_u32);
    while period * shown < DURATION {
        while period * shown <= start.elapsed() && period * shown < DURATION {
            crowd.show_presence(shown as usize % CLIENTS);
            shown += 1;
        }
        crowd.turn_before(start + period * shown)?;
    }
    crowd.wait(Duration::from_millis(300))?;
    let presence = &crowd.people.presence;
    let delivered = presence.delivered as f64;
    let due = f64::from(shown) * (CLIENTS as f64 - 1.0);
    let mut measured = Measured::default();
    measured.values.insert("delivered", delivered / DURATION.as_secs_f64());
    measured.values.insert("ratio", delivered / due);
    measured.values.insert("p50", presence.latencies.percentile_ms(0.5));
    measured.values.insert("p99", presence.latencies.percentile_ms(0.99));
    measured.values.insert("cpu", (server.cpu_seconds()? - cpu) * 1e6 / delivered);
    measured.values.insert("bytes", (crowd.net.bytes_read - bytes) as f64 / delivered);
    measured.values.insert("frames", delivered / (crowd.people.frames - frames) as f64);
    if !presence.all_have_the_newest() {
        measured.problems.push("a reader does not have the newest state of somebody".to_owned());
    }
    measured.problems.extend(crowd.people.problems());
    Ok(measured)
}
