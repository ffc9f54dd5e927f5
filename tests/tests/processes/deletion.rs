//! A room is deleted while people are in it and others are away: all are told, nothing of it comes
//! back, and a death in the middle leaves it wholly there or wholly gone.
//! `COWEAVE_DELETIONS=100` for more deaths.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use coweave_core::client::RoomState;
use coweave_core::error::Code;
use coweave_core::random::Random;
use coweave_tests::member::{Member as _, overwrite};
use coweave_tests::native::{NativeClient, TEXT};
use coweave_tests::relay_process::{RelayProcess, ask};
use coweave_tests::size;
use coweave_tests::y_member::YMember;
use tokio::task::spawn_local;

use super::aside;

const ROOM: &str = "plans";
const TOKEN: &str = "the-token-of-whoever-runs-this-relay";
const DEATHS_IN_EACH_RUN: u64 = 8;
const DELETIONS_WHILE_PEOPLE_WRITE: u64 = 20;

fn start(data: &Path, port: u16) -> RelayProcess {
    std::fs::create_dir_all(data).unwrap();
    let token = data.join("token");
    std::fs::write(&token, TOKEN).unwrap();
    RelayProcess::start_with(data, port, |command| {
        command.arg("--admin-token-file").arg(token);
    })
}

async fn delete(address: SocketAddr) -> std::io::Result<u16> {
    Ok(ask(address, "DELETE", &format!("/rooms/{ROOM}"), TOKEN).await?.0)
}

/// A client that has the room, with this text in it, durable.
async fn owner(address: SocketAddr, id: u32, text: &str) -> NativeClient {
    let mut owner = NativeClient::new(address, ROOM, id);
    owner.may_stop_with = vec![Code::RoomDeleted];
    overwrite(owner.replica(), text);
    owner.live_until("it is durable", |owner| owner.is_settled()).await;
    owner
}

fn is_told(client: &mut NativeClient) -> bool {
    client.stopped().is_some_and(|error| error.code == Code::RoomDeleted)
}

#[test]
fn a_deleted_room_is_told_to_all_and_nothing_of_it_comes_back() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start(data.path(), 0);
        let address = relay.address;
        let mut ann = owner(address, 1, "the old plan").await;
        let mut cat = NativeClient::new(address, ROOM, 3);
        cat.may_stop_with = vec![Code::RoomDeleted];
        cat.live_until("she has it", |cat| cat.text() == "the old plan").await;
        let lineage = cat.room().lineage();
        // Cat goes away, and writes something there.
        cat.cut();
        cat.replica().text_insert(TEXT, 0, "no longer: ").unwrap();
        let mut ben = YMember::new(address, ROOM, 2);
        ben.live_until("he has it", |ben| ben.text() == "the old plan").await;
        // He wrote in it: that is how a y-websocket client can be known again.
        ben.replica().text_insert(TEXT, 0, "ben on ").unwrap();
        super::meet(&mut ann, &mut ben).await;
        assert_eq!(ann.text(), "ben on the old plan");

        assert_eq!(delete(address).await.unwrap(), 204);
        ann.live_until("she is told", is_told).await;
        let is_denied =
            |ben: &mut YMember| ben.denials.iter().any(|why| why.contains("room.deleted"));
        ben.live_until("he is told", is_denied).await;
        assert!(ben.close_codes.iter().all(|code| (4400..4500).contains(code)), "not final");
        let kept = ann.set_aside();
        assert_eq!(kept.as_deref(), Some("ben on the old plan"), "her copy is hers");

        let mut dan = NativeClient::new(address, ROOM, 4);
        dan.live_until("he is in", |dan| dan.is_settled()).await;
        assert_ne!(dan.room().lineage(), lineage, "another history");
        cat.live_until("she is told when she is back", is_told).await;
        assert_eq!(cat.set_aside().as_deref(), Some("no longer: the old plan"));
        // Ben's client does not know that it is final, and comes back with its old copy.
        for _ in 0..20 {
            let time = Duration::from_millis(50);
            tokio::join!(dan.live(time), ben.live(time));
        }
        assert_eq!(dan.text(), "", "something of the old room came back");
        overwrite(dan.replica(), "the new plan");
        dan.live_until("it is durable", |dan| dan.is_settled()).await;

        let folder = data.path().to_owned();
        let relay = aside(move || {
            relay.kill();
            start(&folder, address.port())
        });
        let _relay = relay.await;
        dan.live_until("he is back", |dan| dan.heard.connections == 2 && dan.is_settled()).await;
        assert_eq!(dan.text(), "the new plan");
        let mut eve = NativeClient::new(address, ROOM, 5);
        eve.live_until("she has it", |eve| eve.text() == "the new plan").await;
        assert_eq!(eve.room().lineage(), dan.room().lineage());
    });
}

#[test]
fn a_death_while_a_room_is_deleted_leaves_it_wholly_there_or_wholly_gone() {
    super::run(async {
        let mut random = Random::from_seed(6);
        let text = "0123456789abcdef".repeat(30_000);
        let deaths = size("COWEAVE_DELETIONS", DEATHS_IN_EACH_RUN);
        let (mut there, mut gone) = (0, 0);
        for _ in 0..deaths {
            let data = tempfile::tempdir().unwrap();
            let relay = start(data.path(), 0);
            let address = relay.address;
            let mut ann = owner(address, 1, &text).await;
            let lineage = ann.room().lineage();
            // Many lines beside what is large.
            for _ in 0..200 {
                ann.replica().text_insert(TEXT, 0, "x").unwrap();
                ann.live(Duration::from_millis(1)).await;
            }
            ann.live_until("it is durable", |ann| ann.is_settled()).await;
            let text = ann.text();
            ann.cut();
            let deletion = spawn_local(delete(address));
            tokio::time::sleep(Duration::from_micros(random.below(8_000))).await;
            let folder = data.path().to_owned();
            let relay = aside(move || {
                relay.kill();
                start(&folder, address.port())
            });
            let relay = relay.await;
            let was_confirmed = matches!(deletion.await.unwrap(), Ok(204));
            let decided = |ann: &mut NativeClient| is_told(ann) || ann.is_settled();
            ann.live_until("she hears of it", decided).await;
            let mut ben = NativeClient::new(address, ROOM, 2);
            ben.live_until("he is in", |ben| ben.is_settled()).await;
            if is_told(&mut ann) {
                gone += 1;
                assert_eq!(ben.text(), "");
                assert_ne!(ben.room().lineage(), lineage);
            } else {
                there += 1;
                assert!(!was_confirmed, "it was said to be deleted");
                assert_eq!(ann.room().state(), &RoomState::Live);
                assert!(ben.text() == text && ann.text() == text, "some of it is gone");
                assert_eq!(ben.room().lineage(), lineage);
            }
            drop(relay);
        }
        println!("{deaths} deaths: {there} times wholly there, {gone} times wholly gone");
    });
}

/// Comes into the room again and again, writes which history it sees, and fails when there is
/// anything of another one.
async fn write_history(address: SocketAddr, ids: Rc<Cell<u32>>, is_over: Rc<Cell<bool>>) -> u64 {
    let mut words = 0;
    while !is_over.get() {
        ids.set(ids.get() + 1);
        let mut client = NativeClient::new(address, ROOM, ids.get());
        client.may_stop_with = vec![Code::RoomDeleted];
        let is_in = |client: &mut NativeClient| client.room().is_synced() || is_told(client);
        client.live_until("it is in", is_in).await;
        while !is_told(&mut client) && !is_over.get() {
            let word = format!("{:?} ", client.room().lineage().expect("it was in step"));
            let text = client.text();
            assert!(text.split_inclusive(' ').all(|other| other == word), "{word}in: {text}");
            client.replica().text_insert(TEXT, 0, &word).unwrap();
            words += 1;
            client.live(Duration::from_millis(3)).await;
        }
    }
    words
}

#[test]
fn histories_never_mix_although_a_room_is_deleted_again_and_again_while_people_write() {
    super::run(async {
        let data = tempfile::tempdir().unwrap();
        let relay = start(data.path(), 0);
        let address = relay.address;
        let (ids, is_over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let writers: Vec<_> = (0..6)
            .map(|_| spawn_local(write_history(address, Rc::clone(&ids), Rc::clone(&is_over))))
            .collect();
        let mut random = Random::from_seed(9);
        let deletions = size("COWEAVE_DELETIONS", DELETIONS_WHILE_PEOPLE_WRITE);
        let mut done = 0;
        while done < deletions {
            tokio::time::sleep(Duration::from_millis(random.below(200))).await;
            // Nobody may have come in since the last time.
            done += u64::from(delete(address).await.unwrap() == 204);
        }
        is_over.set(true);
        let mut words = 0;
        for writer in writers {
            words += writer.await.expect("no histories mix");
        }
        println!("{deletions} deletions, {} visits, {words} words", ids.get());
        assert!(words > deletions);
    });
}
