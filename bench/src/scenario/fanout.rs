//! Fan-out at the rate at which people type: what a delivery costs, and how long it takes.

use std::time::Duration;

use super::{Bench, Bound, Column, Goal, Measured, Scenario, column};
use crate::Outcome;
use crate::crowd::Shape;
use crate::peers::Peer;

const DURATION: Duration = Duration::from_secs(4);

const COLUMNS: &[Column] = &[
    column("deliveries", "deliveries/s", 0),
    column("p50", "p50 ms", 2),
    column("p99", "p99 ms", 2),
    column("cpu", "CPU µs each", 1),
    column("bytes", "bytes each", 0),
    column("rss", "RSS MiB", 0),
];
const GOALS: &[Goal] = &[
    Goal { key: "p50", bound: Bound::NoWorse },
    Goal { key: "p99", bound: Bound::NoWorse },
    Goal { key: "cpu", bound: Bound::AtMostPeer(0.5, "yws") },
];

pub(super) const ONE_ROOM: Scenario = Scenario {
    name: "fanout-1x50",
    title: "1 room × 50 clients, 5 of them type 10 characters/s",
    needs_documents: false,
    columns: COLUMNS,
    goals: GOALS,
    measure: |bench, peer| measure(bench, peer, shape(1, 50, 5, 50), 50.0, false),
};

pub(super) const MANY_ROOMS: Scenario = Scenario {
    name: "fanout-50x5",
    title: "50 rooms × 5 clients, 2 of them type 5 characters/s",
    needs_documents: false,
    columns: COLUMNS,
    goals: GOALS,
    measure: |bench, peer| measure(bench, peer, shape(50, 5, 2, 5), 500.0, false),
};

pub(super) const LARGE_DOCUMENT: Scenario = Scenario {
    name: "fanout-1mb",
    title: "1 room × 20 clients in a document of 1 MB, 5 of them type 10 characters/s",
    needs_documents: true,
    columns: COLUMNS,
    goals: GOALS,
    measure: |bench, peer| measure(bench, peer, shape(1, 20, 5, 2), 50.0, true),
};

const fn shape(rooms: usize, clients: usize, writers: usize, keepers: usize) -> Shape {
    Shape { rooms, clients, writers, keepers }
}

fn measure(
    bench: &Bench<'_>,
    peer: Peer,
    shape: Shape,
    rate: f64,
    has_book: bool,
) -> Outcome<Measured> {
    let book = if has_book { Some(bench.megabyte()?) } else { None };
    let (server, mut crowd) = bench.start(peer, &[])?;
    let bringer = book.map(|book| crowd.bring("room-0", book)).transpose()?;
    let first = crowd.people.rooms.len();
    let rooms = first..first + shape.rooms;
    crowd.add_rooms("room", shape, book);
    let clients = crowd.people.rooms[first].clients.start..crowd.people.clients.len();
    crowd.connect(clients)?;
    bringer.into_iter().for_each(|bringer| crowd.leave(bringer));
    crowd.wait(Duration::from_millis(300))?;

    let (cpu, bytes) = (server.cpu_seconds()?, crowd.net.bytes_read);
    let typed = crowd.type_keys(rooms.clone(), rate, DURATION)?;
    crowd.wait(Duration::from_millis(100))?;
    let deliveries = crowd.people.delivered as f64;
    let mut measured = Measured::default();
    measured.values.insert("deliveries", deliveries / typed.seconds);
    measured.values.insert("p50", crowd.people.latencies.percentile_ms(0.5));
    measured.values.insert("p99", crowd.people.latencies.percentile_ms(0.99));
    measured.values.insert("cpu", (server.cpu_seconds()? - cpu) * 1e6 / deliveries);
    measured.values.insert("bytes", (crowd.net.bytes_read - bytes) as f64 / deliveries);
    measured.values.insert("rss", server.resident_kib()?.0 / 1024.0);
    measured.problems = crowd.check(rooms, book, peer.has_documents())?;
    Ok(measured)
}
