//! What a relay still knows after it was stopped and started again.

use coweave_core::ids::Channel;

use crate::setup::TestRelay;
use crate::v1_client::V1Client;
use crate::y_websocket_client::YClient;

#[tokio::test]
async fn text_and_lineage_survive() {
    let relay = TestRelay::start().await;
    let mut ann = V1Client::connect(relay.address(), 1).await;
    let before = ann.enter(Channel(1), "notes").await;
    let untouched = ann.enter(Channel(2), "never edited").await;
    for word in ["one", " two", " three"] {
        ann.write(word).await;
    }
    let mut ben = YClient::join(relay.address(), 2, "notes").await;
    ben.wait_for_text("one two three").await;

    let relay = relay.restart().await;
    let mut ann = V1Client::connect(relay.address(), 1).await;
    let after = ann.enter(Channel(1), "notes").await;
    assert_eq!(ann.text(), "one two three");
    assert_eq!((after.lineage, after.epoch), (before.lineage, before.epoch));
    assert_eq!(after.state_vector, ann.replica.known().encode());
    let untouched_after = ann.enter(Channel(2), "never edited").await;
    assert_eq!(untouched_after.lineage, untouched.lineage);
}

#[tokio::test]
async fn a_visit_by_http_makes_no_room() {
    let relay = TestRelay::start().await;
    assert_eq!(crate::setup::get(relay.address(), "/notes").await.0, 404);
    let relay = relay.restart().await;
    let database = relay.folder.path().join("coweave.sqlite3");
    let bytes = std::fs::read(database).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"notes"));
}
