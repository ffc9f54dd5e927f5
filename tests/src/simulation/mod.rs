//! The whole product in one thread and one seed: client machines, links, rooms, disks and a network
//! that delays, repeats, swallows and cuts, with crashes of everything between any two steps.

mod actor;
mod browser;
mod device;
mod hostile;
mod network;
mod outsider;
mod relay;
mod world;

pub use world::{Report, World};

/// How a run is made; all of it is drawn from the seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub clients: usize,
    /// How many of them are tabs of one browser.
    pub tabs: usize,
    /// The first ones never edit.
    pub viewers: usize,
    pub outside_clients: usize,
    pub hostile_clients: usize,
    pub forges: bool,
    pub rooms: usize,
    pub steps: usize,
    /// Percent of steps.
    pub fault_percent: u64,
    pub tail_bytes_max: usize,
    pub undurable_bytes_max: usize,
    pub send_queue_bytes_max: usize,
    pub room_linger_ms: u64,
}

impl Plan {
    /// The plan of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut random = coweave_core::random::Random::from_seed(seed);
        let mut between = |low: u64, high: u64| low + random.below(high - low + 1);
        Self {
            seed,
            clients: usize::try_from(between(2, 4)).unwrap(),
            tabs: usize::try_from(between(1, 3)).unwrap(),
            viewers: usize::try_from(between(0, 1)).unwrap(),
            outside_clients: usize::try_from(between(0, 1)).unwrap(),
            hostile_clients: usize::try_from(between(0, 1)).unwrap(),
            forges: between(0, 1) == 1,
            rooms: usize::try_from(between(1, 2) * between(1, 2)).unwrap(),
            // Some worlds last long enough for devices to fold their logs.
            steps: usize::try_from(between(60, 240) * if seed % 50 == 49 { 12 } else { 1 })
                .unwrap(),
            fault_percent: between(0, 25),
            tail_bytes_max: usize::try_from(between(200, 4_000)).unwrap(),
            undurable_bytes_max: usize::try_from(between(300, 20_000)).unwrap(),
            send_queue_bytes_max: usize::try_from(between(200, 3_000)).unwrap(),
            room_linger_ms: between(0, 2_000),
        }
    }
}
