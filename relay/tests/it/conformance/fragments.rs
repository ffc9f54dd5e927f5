//! Messages in fragments (RFC 6455, section 5.4).

use coweave_core::limits::Limits;

use super::client::{
    BINARY, CLOSE, CONTINUATION, FINAL, PING, PONG, Protocol, TEXT, close_payload, frame,
};
use super::{Case, Expect, run};

/// A message in these fragments, with something between each two of them.
fn fragmented<'a>(fragments: impl IntoIterator<Item = &'a [u8]>, between: &[u8]) -> Vec<u8> {
    let mut fragments = fragments.into_iter().peekable();
    let (mut bytes, mut opcode) = (Vec::new(), BINARY);
    while let Some(fragment) = fragments.next() {
        let is_last = fragments.peek().is_none();
        bytes.extend(frame(opcode | if is_last { FINAL } else { 0 }, fragment));
        if !is_last {
            bytes.extend_from_slice(between);
        }
        opcode = CONTINUATION;
    }
    bytes
}

#[tokio::test]
async fn fragments_are_put_together_in_their_order() {
    run(Limits::default(), |protocol| {
        let question = protocol.question_payload();
        let (rule, mut cases) = ("5.4 fragmentation", Vec::new());
        for at in 0..=4 {
            let (head, tail) = question.split_at(at);
            let bytes = fragmented([head, tail], &[]);
            cases.push(Case::new(rule, format!("cut at {at}"), bytes, Expect::Answers(1)));
        }
        let bytes = fragmented(question.chunks(1), &[]);
        cases.push(Case::new(rule, "one byte each", bytes, Expect::Answers(1)));
        let nothing: &[u8] = &[];
        let bytes = fragmented([nothing, nothing, &question[..], nothing, nothing], &[]);
        cases.push(Case::new(rule, "empty ones around it", bytes, Expect::Answers(1)));
        let bytes = fragmented(question.chunks(1), &[]).repeat(20);
        cases.push(Case::new(rule, "twenty messages", bytes, Expect::Answers(20)));
        let long = protocol.skipped_payload(100_000);
        let bytes = [fragmented(long.chunks(1_000), &[]), protocol.question()].concat();
        cases.push(Case::new(rule, "a hundred fragments", bytes, Expect::Answers(1)));
        cases
    })
    .await;
}

#[tokio::test]
async fn control_frames_come_between_fragments() {
    run(Limits::default(), |protocol| {
        let question = protocol.question_payload();
        let rule = "5.4 control frames MAY be injected in the middle of a message";
        let ping = frame(FINAL | PING, b"between");
        let pongs = Expect::Pongs(vec![b"between".to_vec(); 3]);
        let pong = frame(FINAL | PONG, b"between");
        let close = frame(FINAL | CLOSE, &close_payload(1000, b""));
        let bytes = |between| fragmented(question.chunks(1), between);
        vec![
            Case::new(rule, "pings are answered", bytes(&ping), pongs),
            Case::new(rule, "so is the question", bytes(&ping), Expect::Answers(1)),
            Case::new(rule, "pongs", bytes(&pong), Expect::Answers(1)),
            Case::new(rule, "a close frame", bytes(&close), Expect::Close(Some(1000))),
        ]
    })
    .await;
}

#[tokio::test]
async fn fragments_without_a_beginning_or_an_end_fail_the_connection() {
    run(Limits::default(), |protocol: Protocol| {
        let question = protocol.question();
        let begun = frame(BINARY, b"begun");
        let whole = fragmented(protocol.question_payload().chunks(2), &[]);
        let rule = "5.4 a message is its first frame, then continuations, then a final one";
        let last = frame(FINAL | CONTINUATION, b"x");
        let more = frame(CONTINUATION, b"x");
        let begun_text = frame(TEXT, b"x");
        let cases: [(&str, &[&[u8]]); 9] = [
            ("a last fragment alone", &[&last]),
            ("a middle fragment alone", &[&more]),
            ("an empty last fragment alone", &[&frame(FINAL | CONTINUATION, &[])]),
            ("a last fragment after a whole message", &[&question, &last]),
            ("a last fragment after a fragmented message", &[&whole, &last]),
            ("a whole message inside of another", &[&begun, &question]),
            ("the beginning of a message inside of another", &[&begun, &begun]),
            ("the beginning of a text inside of a message", &[&begun, &begun_text]),
            ("a whole message after two fragments", &[&begun, &more, &question]),
        ];
        let case = |(what, parts): &(&str, &[&[u8]])| {
            Case::new(rule, *what, parts.concat(), Expect::Close(Some(1002)))
        };
        cases.iter().map(case).collect()
    })
    .await;
}
