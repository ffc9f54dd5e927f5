//! Messages at the limit and above it: the code is 1009 (RFC 6455, section 7.4.1).

use coweave_core::limits::Limits;

use super::client::{BINARY, CONTINUATION, FINAL, Length, PING, Protocol, RawClient, frame, head};
use super::{Case, Expect, run};
use crate::setup::TestRelay;

const LIMIT: usize = 100_000;

fn limits() -> Limits {
    Limits { frame_bytes_max: LIMIT, update_bytes_max: LIMIT - 1_000, ..Limits::default() }
}

/// A message in fragments of so many bytes.
fn in_fragments(payload: &[u8], of: usize) -> Vec<u8> {
    let mut bytes = frame(BINARY, &[]);
    payload.chunks(of).for_each(|part| bytes.extend(frame(CONTINUATION, part)));
    bytes.extend(frame(FINAL | CONTINUATION, &[]));
    bytes
}

#[tokio::test]
async fn a_message_at_the_limit_passes_and_one_byte_more_does_not() {
    run(limits(), |protocol: Protocol| {
        let (rule, mut cases) = ("7.4.1 a message that is too big to process", Vec::new());
        for (above, expect) in [(0, Expect::Answers(1)), (1, Expect::Close(Some(1009)))] {
            let payload = protocol.skipped_payload(LIMIT + above);
            let whole = frame(FINAL | BINARY, &payload);
            for (what, message) in [
                ("in one frame", whole),
                ("in fragments of 9,000", in_fragments(&payload, 9_000)),
                ("in fragments of 100", in_fragments(&payload, 100)),
            ] {
                let what = format!("{what}, {above} above the limit");
                let bytes = [message, protocol.question()].concat();
                cases.push(Case::new(rule, what, bytes, expect.clone()));
            }
        }
        cases
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_only_announced_is_refused_at_once() {
    run(limits(), |_| {
        let rule = "7.4.1 a message that is too big to process";
        let announced = |bytes| head(FINAL | BINARY, Length::Eight, bytes, Some([1, 2, 3, 4]));
        let begun = frame(BINARY, &[99; LIMIT]);
        let more = head(FINAL | CONTINUATION, Length::Short, 1, Some([0; 4]));
        [LIMIT as u64 + 1, 1 << 32, (1 << 63) - 1]
            .into_iter()
            .map(|bytes| (format!("{bytes} bytes"), announced(bytes)))
            .chain([("one byte after fragments".to_owned(), [begun, more].concat())])
            .map(|(what, bytes)| Case::new(rule, what, bytes, Expect::Close(Some(1009))))
            .collect()
    })
    .await;
}

#[tokio::test]
async fn who_sends_on_above_the_limit_still_gets_the_reason() {
    let relay = TestRelay::start_with(limits()).await;
    for protocol in [Protocol::V1, Protocol::YWebsocket] {
        let mut client = RawClient::open(relay.address(), protocol).await;
        client.send(&frame(FINAL | BINARY, &vec![99; 5_000_000])).await;
        client.send(&frame(FINAL | PING, b"?")).await;
        let (_, payload) = client.wait_for_control("five megabytes").await;
        assert_eq!(payload, [&1009_u16.to_be_bytes()[..], b"frame.too_large"].concat());
    }
}
