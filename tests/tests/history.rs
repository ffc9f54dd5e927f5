//! A real editing history goes through the real relay, by as many authors as it had.

use coweave_core::ids::Sequence;
use coweave_tests::history::{History, apply};
use coweave_tests::member::Member as _;
use coweave_tests::native::NativeClient;
use coweave_tests::relay_process::RelayProcess;

const RECORDED: &str = "friendsforever.json.gz";

#[test]
fn a_history_of_two_authors_ends_in_its_text() {
    let history = History::recorded(RECORDED).unwrap_or_else(|| {
        println!("{RECORDED} is not there: the project's own generator makes a history");
        History::generated(7, 10_000)
    });
    println!("{} transactions of {} authors", history.transactions.len(), history.num_agents);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(replay(&history));
}

#[test]
fn a_generated_history_ends_in_its_text() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(replay(&History::generated(1, 500)));
}

/// Every author edits what it had at the time: frames of the others are held back until a
/// transaction was made on top of them.
async fn replay(history: &History) {
    let data = tempfile::tempdir().unwrap();
    // Every transaction that others build on is waited for.
    let relay = RelayProcess::start_with(data.path(), 0, |command| {
        command.args(["--commit-interval-ms", "0"]);
    });
    // Where two authors insert at the same place, the recorded text has the lower author first.
    let id = |agent: usize| u32::try_from(agent).unwrap() + 1;
    let mut authors = Vec::new();
    for agent in 0..history.num_agents {
        let mut author = NativeClient::new(relay.address, "history", id(agent));
        author.live_until("the author is live", |author| author.is_settled()).await;
        author.freeze();
        author.tick();
        assert!(author.outgoing.is_empty());
        authors.push(author);
    }
    // How many transactions of each author the relay has, and where its log stood after them.
    let mut released = vec![0; history.num_agents];
    let mut reached = vec![Sequence(0); history.num_agents];
    for (transaction, needs) in history.transactions.iter().zip(history.versions()) {
        for other in (0..history.num_agents).filter(|other| *other != transaction.agent) {
            if needs[other] > released[other] {
                authors[other].send(needs[other] - released[other]).await;
                released[other] = needs[other];
                let is_accepted =
                    |author: &NativeClient| author.room().accepted().0 >= needs[other] as u64;
                authors[other].receive_until("what was sent is accepted", is_accepted).await;
                reached[other] = authors[other].room().position().1;
            }
            // A deletion of what somebody else deleted before is no news, and not sent on: the
            // place in the log tells that everything is there.
            let is_there = |author: &NativeClient| author.room().position().1 >= reached[other];
            authors[transaction.agent].receive_until("the parents are there", is_there).await;
        }
        let author = &mut authors[transaction.agent];
        apply(author.replica(), &transaction.patches);
        let before = author.outgoing.len();
        author.tick();
        assert_eq!(author.outgoing.len(), before + 1, "one frame for a transaction");
    }
    for author in &mut authors {
        author.send(author.outgoing.len()).await;
    }
    let mut reader = NativeClient::new(relay.address, "history", 1_000);
    for client in authors.iter_mut().chain([&mut reader]) {
        let is_whole = |client: &mut NativeClient| client.text() == history.end_content;
        client.live_until("the text is the history's", is_whole).await;
    }
}
