//! People come, write, show themselves, and go, in order or not: afterwards the relay takes no more
//! than before. `COWEAVE_SOAK_SECONDS=600` for a long time.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use coweave_core::random::Random;
use coweave_tests::member::type_something;
use coweave_tests::native::NativeClient;
use coweave_tests::relay_process::{RelayProcess, Usage};
use coweave_tests::size;
use coweave_tests::y_member::YMember;
use tokio::task::spawn_local;

const SECONDS_IN_EACH_RUN: u64 = 20;
const WARM_UP: Duration = Duration::from_secs(8);
/// After this time everybody moves on to other rooms, so that documents do not grow for ever.
const ROUND: Duration = Duration::from_secs(20);
const PEOPLE: u64 = 16;
const ROOMS: u64 = 40;
/// What an allocator may keep of what it was given back.
const GROWTH_KIB_MAX: u64 = 16 << 10;
/// Threads for work aside end after ten idle seconds; rooms leave memory before.
const SETTLING: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Count {
    visits: Cell<u32>,
    edits: Cell<u64>,
    breaks: Cell<u64>,
}

impl Count {
    fn add(count: &Cell<u64>) {
        count.set(count.get() + 1);
    }
}

/// One visit to one room.
async fn visit(address: SocketAddr, round: u64, random: &mut Random, count: &Count) {
    // Never the same client id twice.
    count.visits.set(count.visits.get() + 1);
    let id = count.visits.get();
    let room = format!("{round}/{}", random.below(ROOMS));
    let state = format!(r#"{{"name":"visitor {id}"}}"#);
    let edits = random.below(12);
    if random.chance(50) {
        let mut client = NativeClient::new(address, &room, id);
        client.live(Duration::from_millis(random.below(100))).await;
        client.show(&state);
        for _ in 0..edits {
            type_something(client.replica(), random);
            Count::add(&count.edits);
            client.live(Duration::from_millis(5 + random.below(60))).await;
            if random.chance(3) {
                Count::add(&count.breaks);
                client.cut();
            }
        }
        if random.chance(50) {
            return client.leave().await;
        }
    } else {
        let mut client = YMember::new(address, &room, id);
        client.live(Duration::from_millis(random.below(100))).await;
        client.show(&state).await;
        for _ in 0..edits {
            type_something(client.replica(), random);
            Count::add(&count.edits);
            client.live(Duration::from_millis(5 + random.below(60))).await;
            if random.chance(3) {
                Count::add(&count.breaks);
                client.cut();
            }
        }
        if random.chance(50) {
            return client.leave().await;
        }
    }
    // The connection just ends, with bytes on their way in both directions.
    Count::add(&count.breaks);
}

/// Lets people come and go for a while, until the last one is gone.
async fn bustle(address: SocketAddr, round: u64, time: Duration, count: &Rc<Count>) {
    let end = Instant::now() + time;
    let people: Vec<_> = (0..PEOPLE)
        .map(|person| {
            let count = Rc::clone(count);
            spawn_local(async move {
                let mut random = Random::from_seed(round * PEOPLE + person);
                while Instant::now() < end {
                    visit(address, round, &mut random, &count).await;
                }
            })
        })
        .collect();
    for person in people {
        person.await.expect("nobody panics");
    }
}

/// What the relay takes once everybody is gone and it has become quiet.
async fn usage_at_rest(relay: &RelayProcess, is_enough: impl Fn(Usage) -> bool) -> Usage {
    let end = Instant::now() + SETTLING;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let usage = relay.usage();
        if is_enough(usage) || Instant::now() > end {
            return usage;
        }
    }
}

#[test]
fn after_many_visits_the_relay_takes_no_more_than_before() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start_with(data.path(), 0, |command| {
            command.args(["--room-linger-ms", "200", "--tail-bytes-max", "20000"]);
        });
        let count = Rc::new(Count::default());
        let fresh = relay.usage();
        bustle(relay.address, 0, WARM_UP, &count).await;
        let files_at_rest = |usage: Usage| usage.files <= fresh.files + 16;
        usage_at_rest(&relay, files_at_rest).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = relay.usage();

        let seconds = size("COWEAVE_SOAK_SECONDS", SECONDS_IN_EACH_RUN);
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut busy = Vec::new();
        for round in 1.. {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            bustle(relay.address, round, left.min(ROUND), &count).await;
            busy.push(relay.usage().memory_kib);
        }
        let is_as_before = |usage: Usage| {
            usage.files <= before.files
                && usage.threads <= before.threads
                && usage.memory_kib <= before.memory_kib + GROWTH_KIB_MAX
        };
        let after = usage_at_rest(&relay, is_as_before).await;
        println!(
            "{} visits, {} edits, {} broken connections in {seconds} s after the warm-up\n\
             fresh {fresh:?}\nwarm  {before:?}\nafter {after:?}\nKiB after each round: {busy:?}",
            count.visits.get(),
            count.edits.get(),
            count.breaks.get()
        );
        assert!(is_as_before(after), "before {before:?}, after {after:?}");
        assert_eq!(relay.terminate().code(), Some(0));
    });
}
