//! A relay dies and is started again while hundreds are connected: all come back by themselves, and
//! how soon is measured. `COWEAVE_CLIENTS` is their number.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use coweave_core::client::RoomState;
use coweave_tests::member::{Member as _, PATIENCE};
use coweave_tests::native::{NativeClient, TEXT};
use coweave_tests::relay_process::RelayProcess;
use tokio::task::spawn_local;

use super::aside;

const CLIENTS: u32 = 500;
const ROOM_MEMBERS: u32 = 10;
/// How long there is no relay.
const GONE_FOR: Duration = Duration::from_secs(1);
/// How often a client is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What all clients look at.
#[derive(Default)]
struct Stage {
    settled: Cell<u32>,
}

/// One client before, during and after: what it saw of its room in the end, and when it was in step
/// after the return of the relay.
async fn stay(address: SocketAddr, id: u32, stage: Rc<Stage>) -> (String, Instant) {
    let room = format!("room {}", id / ROOM_MEMBERS);
    let mut client = NativeClient::new(address, &room, id + 1);
    client.live_until("it is in", |client| client.is_settled()).await;
    stage.settled.set(stage.settled.get() + 1);
    live_until(&mut client, |client| client.room().state() != &RoomState::Live).await;
    client.replica().text_insert(TEXT, 0, &format!("{id} ")).unwrap();
    live_until(&mut client, |client| client.room().state() == &RoomState::Live).await;
    let in_step_at = Instant::now();
    let all =
        |client: &mut NativeClient| client.text().matches(' ').count() == ROOM_MEMBERS as usize;
    live_until(&mut client, |client| client.is_settled() && all(client)).await;
    (client.text(), in_step_at)
}

async fn live_until(client: &mut NativeClient, is_true: impl Fn(&mut NativeClient) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_true(client) {
        assert!(Instant::now() < end, "not in time: {:?}", client.room().state());
        client.live(LOOK_EVERY).await;
    }
}

#[test]
fn hundreds_come_back_by_themselves_when_the_relay_does() {
    let clients = std::env::var("COWEAVE_CLIENTS").map_or(CLIENTS, |count| count.parse().unwrap());
    super::run(async move {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path(), 0);
        let address = relay.address;
        let stage = Rc::new(Stage::default());
        let stays: Vec<_> =
            (0..clients).map(|id| spawn_local(stay(address, id, Rc::clone(&stage)))).collect();
        let end = Instant::now() + PATIENCE;
        while stage.settled.get() < clients {
            assert!(Instant::now() < end, "only {} of {clients} are in", stage.settled.get());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        aside(move || relay.kill()).await;
        tokio::time::sleep(GONE_FOR).await;
        let folder = data.path().to_owned();
        let relay = aside(move || RelayProcess::start(&folder, address.port())).await;
        // A client may be quicker than whoever reads that the relay listens.
        let back_at = Instant::now();
        let mut took = Vec::new();
        let mut texts = Vec::new();
        for stay in stays {
            let (text, in_step_at) = stay.await.expect("no client panics");
            texts.push(text);
            took.push(in_step_at.saturating_duration_since(back_at));
        }
        for texts in texts.chunks(ROOM_MEMBERS as usize) {
            assert!(texts.iter().all(|text| *text == texts[0]), "a room is not equal");
        }
        took.sort_unstable();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100];
        println!(
            "{clients} clients: half were in step {:?} after the return of the relay, 99 of 100 {:?}, \
             all {:?}",
            at(50),
            at(99),
            at(100)
        );
        drop(relay);
    });
}
