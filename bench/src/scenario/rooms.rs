//! Many rooms opened, written and left: what a room holds of the memory, and what of it stays.

use std::time::Duration;

use super::{Bench, Bound, Goal, Measured, Scenario, column};
use crate::Outcome;
use crate::crowd::Shape;
use crate::peers::Peer;

const ROOMS: usize = 3_000;
const SAMPLE: usize = 50;
const CYCLES: [&str; 3] = ["after1", "after2", "after3"];
/// How long our relay keeps a room that nobody is in, and then everybody gets to drop theirs.
const LINGER: &[&str] = &["--room-linger-ms", "1000"];
const FORGET: Duration = Duration::from_millis(3_500);

pub(super) const ROOMS_LEFT: Scenario = Scenario {
    name: "rooms",
    title: "3,000 rooms with one client opened, written and left, three times",
    needs_documents: true,
    columns: &[
        column("each", "KiB a room with its client", 1),
        column("after1", "RSS after, MiB", 0),
        column("after2", "second", 0),
        column("after3", "third", 0),
        column("left", "KiB left a room", 1),
        column("kept", "texts kept %", 0),
        column("cpu", "CPU ms a room", 2),
    ],
    goals: &[
        // 10 for the connection, 8 for the room.
        Goal { key: "each", bound: Bound::AtMost(18.0) },
        // Flat, but for the page cache of a store and what an allocator keeps.
        Goal { key: "left", bound: Bound::AtMost(0.5) },
        Goal { key: "kept", bound: Bound::AtLeast(100.0) },
    ],
    measure,
};

fn measure(bench: &Bench<'_>, peer: Peer) -> Outcome<Measured> {
    let (server, mut crowd) = bench.start(peer, LINGER)?;
    let mut measured = Measured::default();
    let (mut kept, mut after) = (0, Vec::new());
    let cpu = server.cpu_seconds()?;
    for (cycle, key) in CYCLES.into_iter().enumerate() {
        let before = server.resident_kib()?.0;
        let first = crowd.people.rooms.len();
        let shape = Shape { rooms: ROOMS, clients: 1, writers: 1, keepers: 0 };
        crowd.add_rooms(&format!("cycle-{cycle}"), shape, None);
        let rooms = first..first + ROOMS;
        let clients = crowd.people.rooms[first].clients.start..crowd.people.clients.len();
        crowd.connect(clients.clone())?;
        for author in crowd.authors_of(&rooms) {
            crowd.press_key(author);
        }
        crowd.wait(Duration::from_secs(1))?;
        if cycle == 0 {
            let each = (server.resident_kib()?.0 - before) / ROOMS as f64;
            measured.values.insert("each", each);
        }
        clients.for_each(|client| crowd.leave(client));
        crowd.wait(FORGET)?;
        after.push(server.resident_kib()?.0);
        measured.values.insert(key, after[cycle] / 1024.0);
        if cycle == 0 {
            for room in rooms.step_by(ROOMS / SAMPLE) {
                kept += usize::from(crowd.text_is_there(room)?);
            }
        }
    }
    measured.values.insert("kept", kept as f64 / SAMPLE as f64 * 100.0);
    // The first cycle leaves what an allocator keeps for the next one.
    measured.values.insert("left", (after[2] - after[0]) / (2 * ROOMS) as f64);
    measured.values.insert("cpu", (server.cpu_seconds()? - cpu) * 1e3 / (3 * ROOMS) as f64);
    measured.problems = crowd.people.problems();
    Ok(measured)
}
