//! A hundred clients bring the same template into an empty room at once: it is there once.
//! `COWEAVE_SEEDERS=1000` for more of them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use coweave_tests::member::Member as _;
use coweave_tests::native::NativeClient;
use coweave_tests::relay_process::RelayProcess;
use coweave_tests::size;

const SEEDERS_IN_EACH_RUN: u64 = 100;
const ROOM: &str = "minutes";
const TEMPLATE: &str = "Agenda\n\nDecisions\n";

/// Opens so many clients that all seed, and waits until each knows what became of it and has the
/// template. Says how many were told that theirs is the first.
async fn seed(
    clients: u64,
    port: u16,
    meanwhile: impl AsyncFnOnce(&Cell<u64>) -> RelayProcess,
) -> u64 {
    let address = ([127, 0, 0, 1], port).into();
    let (told, firsts) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let seeders: Vec<_> = (1..=u32::try_from(clients).unwrap())
        .map(|id| {
            let (told, firsts) = (Rc::clone(&told), Rc::clone(&firsts));
            tokio::task::spawn_local(async move {
                let mut client = NativeClient::new(address, ROOM, id);
                client.seed(TEMPLATE);
                client.live_until("it is told", |client| client.seeded().is_some()).await;
                told.set(told.get() + 1);
                firsts.set(firsts.get() + u64::from(client.seeded() == Some(true)));
                client.live_until("it is there", |client| client.text() == TEMPLATE).await;
                // Nothing comes behind it.
                client.live(Duration::from_millis(500)).await;
                assert_eq!(client.text(), TEMPLATE);
            })
        })
        .collect();
    let relay = meanwhile(&told).await;
    for seeder in seeders {
        seeder.await.expect("it does not panic");
    }
    drop(relay);
    firsts.get()
}

#[test]
fn exactly_one_of_a_hundred_seeds_is_taken() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = RelayProcess::start(data.path(), 0);
        let port = relay.address.port();
        let clients = size("COWEAVE_SEEDERS", SEEDERS_IN_EACH_RUN);
        assert_eq!(seed(clients, port, async |_told| relay).await, 1);
        let stored = super::on_disk(data.path(), ROOM).await;
        assert_eq!(stored.text_string(coweave_tests::native::TEXT), TEMPLATE);
    });
}

#[test]
fn a_template_is_there_once_although_the_relay_dies_while_all_seed() {
    let clients = size("COWEAVE_SEEDERS", SEEDERS_IN_EACH_RUN);
    for told_before in [0, 1, clients / 10, clients / 2] {
        super::run(async {
            let data = tempfile::tempdir().unwrap();
            let relay = RelayProcess::start(data.path(), 0);
            let port = relay.address.port();
            let dying = async |told: &Cell<u64>| {
                tokio::time::sleep(Duration::from_millis(5)).await;
                while told.get() < told_before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                relay.kill();
                println!("killed when {} of {clients} had been told", told.get());
                RelayProcess::start(data.path(), port)
            };
            // The one whose seed was taken may not have heard of it: it hears that there is one.
            let firsts = seed(clients, port, dying).await;
            assert!(firsts <= 1, "{firsts} were told that theirs is the first");
            let stored = super::on_disk(data.path(), ROOM).await;
            assert_eq!(stored.text_string(coweave_tests::native::TEXT), TEMPLATE);
        });
    }
}
