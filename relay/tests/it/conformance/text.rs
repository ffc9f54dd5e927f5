//! Text (RFC 6455, sections 5.6 and 8.1). The protocols of the relay have no text messages, so each
//! is refused when it begins, whether it is UTF-8 or not; a reason of a close frame has to be.

use coweave_core::error::Code;
use coweave_core::limits::Limits;

use super::client::{
    CONTINUATION, FINAL, PING, Protocol, RawClient, TEXT, close_frame, close_payload, frame,
};
use super::{Case, Expect, run};
use crate::setup::TestRelay;

/// Valid UTF-8 of one to four bytes a character, and every kind of invalid one.
const VALID: &[&[u8]] = &["κόσμε".as_bytes(), "\u{0}\u{7f}".as_bytes(), "\u{10ffff}".as_bytes()];
const INVALID: &[&[u8]] = &[
    &[0x80],
    &[0xff],
    &[0xc0, 0xaf],
    &[0xe0, 0x80, 0xaf],
    &[0xed, 0xa0, 0x80],
    &[0xf4, 0x90, 0x80, 0x80],
    &[0xce],
    &[b'a', 0xce, b'b'],
];

#[tokio::test]
async fn every_text_message_is_refused_with_the_same_code() {
    run(Limits::default(), |_| {
        let (rule, mut cases) = ("5.6 text", Vec::new());
        let refused = || Expect::Close(Some(4400));
        cases.push(Case::new(rule, "empty", frame(FINAL | TEXT, &[]), refused()));
        for text in VALID.iter().chain(INVALID) {
            let what = format!("{text:x?}");
            cases.push(Case::new(rule, &what, frame(FINAL | TEXT, text), refused()));
            // Cut anywhere, also inside of a character.
            let mut bytes = frame(TEXT, &text[..1]);
            for byte in &text[1..] {
                bytes.extend(frame(CONTINUATION, &[*byte]));
                bytes.extend(frame(FINAL | PING, b"between"));
            }
            bytes.extend(frame(FINAL | CONTINUATION, &[]));
            cases.push(Case::new(rule, format!("{what} in fragments"), bytes, refused()));
        }
        cases
    })
    .await;
}

#[tokio::test]
async fn a_text_message_is_refused_before_all_of_it_is_there() {
    let relay = TestRelay::start().await;
    for protocol in [Protocol::V1, Protocol::YWebsocket] {
        let mut client = RawClient::open(relay.address(), protocol).await;
        client.send(&frame(TEXT, b"and so on")).await;
        let (_, payload) = client.wait_for_control("text").await;
        let reason = Code::FrameUnexpected.as_str().as_bytes();
        assert_eq!(payload, close_payload(4400, reason));
    }
}

#[tokio::test]
async fn the_reason_of_a_close_frame_is_utf8() {
    run(Limits::default(), |_| {
        let close = |reason: &[u8]| close_frame(&close_payload(1000, reason));
        let valid = VALID.iter().map(|reason| {
            Case::new("5.5.1", format!("{reason:x?}"), close(reason), Expect::Close(Some(1000)))
        });
        let rule = "8.1 invalid UTF-8 MUST fail the connection";
        let invalid = INVALID.iter().map(|reason| {
            Case::new(rule, format!("{reason:x?}"), close(reason), Expect::Close(Some(1007)))
        });
        valid.chain(invalid).collect()
    })
    .await;
}
