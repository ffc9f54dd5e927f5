//! Heads of frames (RFC 6455, section 5.2).

use coweave_core::limits::Limits;

use super::client::{BINARY, CLOSE, FINAL, Length, PING, Protocol, frame, frame_with, head};
use super::{Case, Expect, run};

#[tokio::test]
async fn lengths_are_read_in_their_shortest_form_only() {
    run(Limits::default(), |protocol| {
        let mut cases = Vec::new();
        for bytes in [3, 4, 8, 124, 125, 126, 127, 128, 1_000, 65_535, 65_536, 65_537, 200_000] {
            let skipped = frame(FINAL | BINARY, &protocol.skipped_payload(bytes));
            let bytes_sent = [skipped, protocol.question()].concat();
            let what = format!("{bytes} bytes");
            cases.push(Case::new("5.2 length", what, bytes_sent, Expect::Answers(1)));
        }
        for (bytes, form) in [
            (3, Length::Two),
            (125, Length::Two),
            (3, Length::Eight),
            (126, Length::Eight),
            (65_535, Length::Eight),
        ] {
            let payload = protocol.skipped_payload(bytes);
            let bytes_sent = frame_with(FINAL | BINARY, form, [1, 2, 3, 4], &payload);
            let rule = "5.2 the minimal number of bytes MUST be used";
            let what = format!("{bytes} bytes as {form:?}");
            cases.push(Case::new(rule, what, bytes_sent, Expect::Close(Some(1002))));
        }
        cases.push(Case::new(
            "5.2 the most significant bit of a 64-bit length MUST be 0",
            "all bits set",
            head(FINAL | BINARY, Length::Eight, u64::MAX, Some([0; 4])),
            Expect::Close(Some(1002)),
        ));
        cases
    })
    .await;
}

#[tokio::test]
async fn many_frames_in_one_packet_are_read_one_by_one() {
    run(Limits::default(), |protocol| {
        let bytes = protocol.question().repeat(50);
        vec![Case::new("5.2", "fifty questions", bytes, Expect::Answers(50))]
    })
    .await;
}

#[tokio::test]
async fn an_empty_message_is_a_frame_to_the_rfc_and_malformed_to_the_protocols() {
    run(Limits::default(), |_| {
        let bytes = frame(FINAL | BINARY, &[]);
        vec![Case::new("5.2 payload length 0", "binary", bytes, Expect::Close(Some(4400)))]
    })
    .await;
}

#[tokio::test]
async fn any_masking_key_is_undone_and_none_is_refused() {
    run(Limits::default(), |protocol| {
        let question = protocol.question_payload();
        let mut cases: Vec<_> = [[0; 4], [0xff; 4], [1, 2, 3, 4], [0, 0, 0, 1]]
            .into_iter()
            .map(|key| {
                let bytes = frame_with(FINAL | BINARY, Length::Short, key, &question);
                Case::new("5.3 masking", format!("key {key:?}"), bytes, Expect::Answers(1))
            })
            .collect();
        for opcode in [BINARY, PING, CLOSE] {
            let bytes = [&head(FINAL | opcode, Length::Short, 4, None)[..], &question].concat();
            let rule = "5.1 a server MUST close upon a frame that is not masked";
            let what = format!("opcode {opcode}");
            cases.push(Case::new(rule, what, bytes, Expect::Close(Some(1002))));
        }
        cases
    })
    .await;
}

#[tokio::test]
async fn reserved_bits_and_opcodes_fail_the_connection() {
    run(Limits::default(), |protocol: Protocol| {
        let mut cases = Vec::new();
        for reserved in 1..8 {
            for opcode in [BINARY, PING, CLOSE] {
                let bytes = frame(FINAL | reserved << 4 | opcode, &[]);
                let rule = "5.2 reserved bits MUST be 0 without an extension";
                let what = format!("bits {reserved} with opcode {opcode}");
                cases.push(Case::new(rule, what, bytes, Expect::Close(Some(1002))));
            }
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            for payload in [&[][..], &[1, 2, 3]] {
                // What came before it is still answered.
                let bytes = [protocol.question(), frame(FINAL | opcode, payload)].concat();
                let rule = "5.2 an unknown opcode MUST fail the connection";
                let what = format!("opcode {opcode} with {} bytes", payload.len());
                cases.push(Case::new(rule, what, bytes, Expect::Close(Some(1002))));
            }
        }
        cases
    })
    .await;
}
