//! Pings and pongs (RFC 6455, sections 5.5, 5.5.2 and 5.5.3).

use coweave_core::limits::Limits;

use super::client::{CLOSE, FINAL, PING, PONG, Protocol, RawClient, frame};
use super::{Case, Expect, run};
use crate::setup::TestRelay;

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    run(Limits::default(), |protocol| {
        let mut cases = Vec::new();
        for payload in [&[][..], b"Hello", &[0, 0xff, 0xfe, 0xfd, 0x80], &[0xfe; 125]] {
            let bytes = frame(FINAL | PING, payload);
            let expect = Expect::Pongs(vec![payload.to_vec()]);
            let what = format!("{} bytes", payload.len());
            cases.push(Case::new("5.5.2 a pong has the ping's data", what, bytes, expect));
        }
        let rule = "5.5.3 an unsolicited pong is not answered";
        for payload in [&[][..], b"unasked"] {
            let bytes = [frame(FINAL | PONG, payload), frame(FINAL | PING, b"asked")].concat();
            let expect = Expect::Pongs(vec![b"asked".to_vec()]);
            cases.push(Case::new(rule, format!("{} bytes", payload.len()), bytes, expect));
        }
        let bytes = [frame(FINAL | PONG, b"1"), frame(FINAL | PONG, b"2"), protocol.question()];
        cases.push(Case::new(rule, "two of them", bytes.concat(), Expect::Answers(1)));
        cases
    })
    .await;
}

#[tokio::test]
async fn ten_pings_are_answered_in_their_order() {
    run(Limits::default(), |_| {
        let payloads: Vec<_> = (0..10).map(|n| format!("payload {n}").into_bytes()).collect();
        let bytes = payloads.iter().flat_map(|payload| frame(FINAL | PING, payload)).collect();
        vec![Case::new("5.5.2", "ten pings at once", bytes, Expect::Pongs(payloads))]
    })
    .await;
}

#[tokio::test]
async fn control_frames_are_short_and_whole() {
    run(Limits::default(), |_| {
        let mut cases = Vec::new();
        for opcode in [PING, PONG, CLOSE] {
            let long = frame(FINAL | opcode, &[0xfe; 126]);
            let rule = "5.5 control frames MUST have at most 125 bytes";
            let what = format!("opcode {opcode}");
            cases.push(Case::new(rule, what.clone(), long, Expect::Close(Some(1002))));
            let fragment = frame(opcode, b"fragment");
            let rule = "5.5 control frames MUST NOT be fragmented";
            cases.push(Case::new(rule, what, fragment, Expect::Close(Some(1002))));
        }
        cases
    })
    .await;
}

#[tokio::test]
async fn pings_of_a_client_that_does_not_read_gather_no_pongs() {
    let relay = TestRelay::start().await;
    for protocol in [Protocol::V1, Protocol::YWebsocket] {
        let mut client = RawClient::open(relay.address(), protocol).await;
        let count = 5_000_u32;
        for n in 1..=count {
            client.send(&frame(FINAL | PING, &n.to_be_bytes().repeat(25))).await;
        }
        client.send(&protocol.question()).await;
        // Some may be left out (5.5.3), but the last one is answered, and none twice.
        let mut last = 0;
        while last < count {
            let (opcode, payload) = client.wait_for_control("many pings").await;
            let n = u32::from_be_bytes(*payload.first_chunk().unwrap());
            assert!(opcode == PONG && n > last, "{opcode} {n} after {last}");
            last = n;
        }
        client.wait_for_answer("after the pings").await;
    }
}
