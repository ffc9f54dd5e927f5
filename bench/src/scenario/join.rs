//! Joining a large document: how long until all of it is there, and what that costs the server.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Bench, Bound, Column, Goal, Measured, Scenario, column};
use crate::Outcome;
use crate::crowd::{Crowd, Shape};
use crate::peers::Peer;
use crate::process::Server;
use crate::text::Book;

const ALONE: usize = 5;
const AT_ONCE: usize = 20;

const COLUMNS: &[Column] = &[
    column("alone", "alone ms", 1),
    column("alone_cpu", "CPU ms", 1),
    column("all", "20 at once, last ms", 1),
    column("all_cpu", "CPU ms each", 1),
    column("copies", "memory, copies", 1),
    column("rss", "peak RSS MiB", 0),
];
const GOALS: &[Goal] = &[
    Goal { key: "alone", bound: Bound::AtMostBest(0.7) },
    Goal { key: "all", bound: Bound::AtMostBest(0.5) },
    Goal { key: "copies", bound: Bound::AtMost(2.0) },
];

pub(super) const MEGABYTE: Scenario = Scenario {
    name: "join-1mb",
    title: "a document of 1 MB, joined by 1 and by 20 clients",
    needs_documents: true,
    columns: COLUMNS,
    goals: GOALS,
    measure: |bench, peer| measure(bench, peer, bench.megabyte()?),
};

pub(super) const TEN_MEGABYTES: Scenario = Scenario {
    name: "join-10mb",
    title: "a document of 10 MB, joined by 1 and by 20 clients",
    needs_documents: true,
    columns: COLUMNS,
    goals: GOALS,
    measure: |bench, peer| measure(bench, peer, bench.ten_megabytes()?),
};

fn measure(bench: &Bench<'_>, peer: Peer, book: &Book) -> Outcome<Measured> {
    let (server, mut crowd) = bench.start(peer, &[])?;
    crowd.bring("book", book)?;
    crowd.wait(Duration::from_millis(500))?;
    let mut measured = Measured::default();
    let mut alone = Vec::new();
    for _ in 0..ALONE {
        alone.push(join(&mut crowd, &server, book, 1, &mut measured)?);
    }
    alone.sort_by(|a, b| a.ms.total_cmp(&b.ms));
    let median = &alone[ALONE / 2];
    measured.values.insert("alone", median.ms);
    measured.values.insert("alone_cpu", median.cpu_ms);
    let all = join(&mut crowd, &server, book, AT_ONCE, &mut measured)?;
    measured.values.insert("all", all.ms);
    measured.values.insert("all_cpu", all.cpu_ms / AT_ONCE as f64);
    measured.values.insert("copies", all.growth_kib * 1024.0 / book.encoded_bytes as f64);
    measured.values.insert("rss", server.resident_kib()?.1 / 1024.0);
    measured.problems.extend(crowd.people.problems());
    Ok(measured)
}

struct Joined {
    ms: f64,
    cpu_ms: f64,
    growth_kib: f64,
}

/// So many clients come at the same moment, get everything, and leave.
fn join(
    crowd: &mut Crowd,
    server: &Server,
    book: &Book,
    count: usize,
    measured: &mut Measured,
) -> Outcome<Joined> {
    let clients: Range<usize> = {
        let first = crowd.people.clients.len();
        let shape = Shape { rooms: 1, clients: count, writers: 0, keepers: 1 };
        crowd.add_rooms("book", shape, None);
        crowd.rename(first..first + count, "book");
        first..first + count
    };
    server.forget_peak()?;
    let (before, cpu) = (server.resident_kib()?.0, server.cpu_seconds()?);
    let (started, target) = (Instant::now(), crowd.people.synced + count);
    for client in clients.clone() {
        crowd.open(client)?;
    }
    crowd.until_patience("everything has arrived", |people| people.synced >= target)?;
    let ms = started.elapsed().as_secs_f64() * 1e3;
    crowd.wait(Duration::from_millis(50))?;
    let cpu_ms = (server.cpu_seconds()? - cpu) * 1e3;
    let growth_kib = server.resident_kib()?.1 - before;
    if crowd.people.text_of(clients.end - 1)? != book.text {
        measured.problems.push("who joined has another text".to_owned());
    }
    for client in clients {
        crowd.leave(client);
    }
    crowd.wait(Duration::from_millis(100))?;
    Ok(Joined { ms, cpu_ms, growth_kib })
}
