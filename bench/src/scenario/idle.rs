//! Connections that do nothing: what each of them holds of the server's memory.

use std::time::{Duration, Instant};

use super::{Bench, Bound, Goal, Measured, Scenario, column};
use crate::Outcome;
use crate::crowd::Shape;
use crate::peers::Peer;

const ROOMS: usize = 1_000;
const CLIENTS_PER_ROOM: usize = 5;

pub(super) const IDLE: Scenario = Scenario {
    name: "idle",
    title: "5,000 idle connections in 1,000 rooms",
    needs_documents: false,
    columns: &[
        column("each", "KiB each", 1),
        column("rss", "RSS MiB", 0),
        column("joins", "joins/s", 0),
        column("cpu", "CPU ms a join", 2),
        column("idle", "idle CPU %", 1),
    ],
    goals: &[Goal { key: "each", bound: Bound::AtMost(10.0) }],
    measure,
};

fn measure(bench: &Bench<'_>, peer: Peer) -> Outcome<Measured> {
    let (server, mut crowd) = bench.start(peer, &[])?;
    let connections = ROOMS * CLIENTS_PER_ROOM;
    crowd.add_rooms(
        "idle",
        Shape { rooms: ROOMS, clients: CLIENTS_PER_ROOM, writers: 0, keepers: 0 },
        None,
    );
    let (before, cpu, started) = (server.resident_kib()?.0, server.cpu_seconds()?, Instant::now());
    crowd.connect(0..connections)?;
    let (took, cpu) = (started.elapsed().as_secs_f64(), server.cpu_seconds()? - cpu);
    crowd.wait(Duration::from_secs(1))?;
    let idle_cpu = server.cpu_seconds()?;
    crowd.wait(Duration::from_secs(2))?;
    let after = server.resident_kib()?.0;
    let mut measured = Measured::default();
    measured.values.insert("each", (after - before) / connections as f64);
    measured.values.insert("rss", after / 1024.0);
    measured.values.insert("joins", connections as f64 / took);
    measured.values.insert("cpu", cpu * 1e3 / connections as f64);
    measured.values.insert("idle", (server.cpu_seconds()? - idle_cpu) / 2.0 * 100.0);
    measured.problems = crowd.people.problems();
    Ok(measured)
}
