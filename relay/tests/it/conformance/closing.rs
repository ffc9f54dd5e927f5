//! Closing (RFC 6455, sections 5.5.1, 7.1 and 7.4).

use coweave_core::limits::Limits;

use super::client::{CLOSE, FINAL, PING, Protocol, RawClient, close_frame, close_payload, frame};
use super::{Case, Expect, run};
use crate::setup::TestRelay;

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    run(Limits::default(), |_| {
        let rule = "5.5.1 an endpoint MUST send a close frame in response";
        let mut cases = vec![Case::new(rule, "no code", close_frame(&[]), Expect::Close(None))];
        for code in [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ] {
            for reason in [&b""[..], b"bye", &[b'x'; 123]] {
                let bytes = close_frame(&close_payload(code, reason));
                let what = format!("{code} with a reason of {} bytes", reason.len());
                cases.push(Case::new(rule, what, bytes, Expect::Close(Some(code))));
            }
        }
        cases
    })
    .await;
}

#[tokio::test]
async fn codes_that_cannot_be_sent_fail_the_connection() {
    run(Limits::default(), |_| {
        let rule = "7.4 codes that are reserved MUST NOT be sent";
        let codes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, u16::MAX];
        let mut cases: Vec<_> = codes
            .into_iter()
            .map(|code| {
                let bytes = close_frame(&close_payload(code, b"bye"));
                Case::new(rule, code.to_string(), bytes, Expect::Close(Some(1002)))
            })
            .collect();
        let rule = "5.5.1 the first two bytes of the body MUST be the code";
        let bytes = close_frame(&[3]);
        cases.push(Case::new(rule, "one byte", bytes, Expect::Close(Some(1002))));
        let rule = "5.5 control frames MUST have at most 125 bytes";
        let bytes = close_frame(&close_payload(1000, &[b'x'; 124]));
        cases.push(Case::new(rule, "126 bytes", bytes, Expect::Close(Some(1002))));
        cases
    })
    .await;
}

/// What follows a close frame has no effect (5.5.1): there is one close frame, then the end.
#[tokio::test]
async fn nothing_is_heard_after_a_close_frame() {
    let relay = TestRelay::start().await;
    for protocol in [Protocol::V1, Protocol::YWebsocket] {
        let bye = close_frame(&close_payload(1000, b""));
        for after in [
            protocol.question(),
            frame(FINAL | PING, b"?"),
            bye.clone(),
            close_frame(&close_payload(1001, b"")),
            b"\xff\xff\xff".to_vec(),
        ] {
            let mut client = RawClient::open(relay.address(), protocol).await;
            client.send(&[bye.as_slice(), &after].concat()).await;
            assert_eq!(client.next().await, Some((CLOSE, close_payload(1000, b""))));
            assert_eq!(client.next().await, None);
        }
    }
}

#[tokio::test]
async fn what_came_before_a_close_frame_is_done() {
    let relay = TestRelay::start().await;
    for protocol in [Protocol::V1, Protocol::YWebsocket] {
        let mut client = RawClient::open(relay.address(), protocol).await;
        client.send(&frame(FINAL | PING, b"?")).await;
        assert_eq!(client.wait_for_control("ping").await.1, b"?");
        client.send(&protocol.question()).await;
        client.wait_for_answer("before the end").await;
        client.send(&close_frame(&[])).await;
        assert_eq!(client.wait_for_control("the end").await, (CLOSE, Vec::new()));
        assert_eq!(client.next().await, None);
    }
}
