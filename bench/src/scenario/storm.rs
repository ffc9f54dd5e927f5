//! A reconnect storm: all clients leave, miss something, and come back at the same moment.

use std::time::{Duration, Instant};

use super::{Bench, Bound, Goal, Measured, Scenario, column};
use crate::Outcome;
use crate::crowd::Shape;
use crate::peers::Peer;

const ROOMS: usize = 20;
const CLIENTS_PER_ROOM: usize = 50;
const MISSED: usize = 20;

pub(super) const STORM: Scenario = Scenario {
    name: "storm",
    title: "1,000 clients of 20 rooms (100 kB each) come back at once, having missed 20 updates",
    needs_documents: true,
    columns: &[
        column("all", "all synced ms", 0),
        column("p50", "p50 ms", 0),
        column("p99", "p99 ms", 0),
        column("cpu", "CPU ms each", 2),
        column("bytes", "bytes each", 0),
        column("rss", "peak RSS MiB", 0),
    ],
    goals: &[Goal { key: "all", bound: Bound::AtMostBest(1.0) }],
    measure,
};

fn measure(bench: &Bench<'_>, peer: Peer) -> Outcome<Measured> {
    let book = bench.small()?;
    let (server, mut crowd) = bench.start(peer, &[])?;
    for room in 0..ROOMS {
        crowd.bring(&format!("storm-{room}"), book)?;
    }
    let first = crowd.people.rooms.len();
    // The writer stays.
    let shape = Shape { rooms: ROOMS, clients: CLIENTS_PER_ROOM + 1, writers: 1, keepers: 1 };
    crowd.add_rooms("storm", shape, Some(book));
    let rooms = first..first + ROOMS;
    let clients = crowd.people.rooms[first].clients.start..crowd.people.clients.len();
    crowd.connect(clients)?;
    let returning: Vec<usize> = crowd.people.rooms[rooms.clone()]
        .iter()
        .flat_map(|room| room.clients.start + 1..room.clients.end)
        .collect();
    for client in &returning {
        crowd.leave(*client);
        crowd.people.clients[*client].session.state_vector = book.state_vector.clone();
    }
    crowd.wait(Duration::from_millis(300))?;
    for author in crowd.authors_of(&rooms) {
        for _ in 0..MISSED {
            crowd.press_key(author);
        }
    }
    crowd.wait(Duration::from_millis(1_000))?;

    server.forget_peak()?;
    let (cpu, bytes, target) =
        (server.cpu_seconds()?, crowd.net.bytes_read, crowd.people.synced + returning.len());
    let started = Instant::now();
    for client in &returning {
        crowd.open(*client)?;
    }
    crowd
        .until_patience("all are back", |people| people.synced >= target && people.is_complete())?;
    let mut times: Vec<f64> = returning
        .iter()
        .filter_map(|client| crowd.people.clients[*client].state.synced_at)
        .map(|at| at.saturating_duration_since(started).as_secs_f64() * 1e3)
        .collect();
    times.sort_by(f64::total_cmp);
    let count = returning.len() as f64;
    let mut measured = Measured::default();
    measured.values.insert("all", started.elapsed().as_secs_f64() * 1e3);
    measured.values.insert("p50", times[times.len() / 2]);
    measured.values.insert("p99", times[times.len() * 99 / 100]);
    measured.values.insert("cpu", (server.cpu_seconds()? - cpu) * 1e3 / count);
    measured.values.insert("bytes", (crowd.net.bytes_read - bytes) as f64 / count);
    measured.values.insert("rss", server.resident_kib()?.1 / 1024.0);
    measured.problems = crowd.check(rooms, Some(book), true)?;
    Ok(measured)
}
