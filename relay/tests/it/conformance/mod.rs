//! The relay's endpoint against RFC 6455, with a client that sends any bytes: the sections of the
//! Autobahn suite that apply here, and what a peer can do to a connection beside them.
//!
//! There is no echo and there are no text messages on this endpoint, so a case sends bytes of which
//! one message asks the relay something, and looks at whether it is answered, or how the connection
//! ends. Every case runs for both protocols, with its bytes sent at once and one by one.

mod client;
mod closing;
mod control;
mod fragments;
mod framing;
mod handshake;
mod silence;
mod size;
mod text;

use coweave_core::limits::Limits;

use crate::setup::TestRelay;
use client::{Protocol, RawClient, close_frame};

/// Longer cases are not sent byte by byte.
const CHOPPED_BYTES_MAX: usize = 2_000;

/// Bytes of a client, and what has to come of them.
struct Case {
    /// The section of the RFC, and its rule in short.
    rule: &'static str,
    /// What makes this case different from others of the same rule.
    what: String,
    bytes: Vec<u8>,
    expect: Expect,
}

/// What a case ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expect {
    /// So many questions are answered, and the connection goes on.
    Answers(usize),
    /// Pongs with these payloads come in this order, and the connection goes on.
    Pongs(Vec<Vec<u8>>),
    /// The relay closes with this code, or without one, and ends the connection.
    Close(Option<u16>),
}

impl Case {
    fn new(rule: &'static str, what: impl Into<String>, bytes: Vec<u8>, expect: Expect) -> Self {
        Self { rule, what: what.into(), bytes, expect }
    }

    async fn run(&self, relay: &TestRelay, protocol: Protocol, is_chopped: bool) {
        let Self { rule, what, bytes, expect } = self;
        let shown = format!("{rule}: {what} ({protocol:?}, chopped: {is_chopped})");
        let mut client = RawClient::open(relay.address(), protocol).await;
        if is_chopped {
            client.send_chopped(bytes).await;
        } else {
            client.send(bytes).await;
        }
        match expect {
            Expect::Answers(count) => {
                for _ in 0..*count {
                    client.wait_for_answer(&shown).await;
                }
            }
            Expect::Pongs(payloads) => {
                for payload in payloads {
                    assert_eq!(client.wait_for_control(&shown).await, (0xa, payload.clone()));
                }
            }
            Expect::Close(code) => {
                let expected = code.map(|code| code.to_be_bytes().to_vec()).unwrap_or_default();
                let (opcode, payload) = client.wait_for_control(&shown).await;
                let said = payload.get(..2).unwrap_or_default();
                assert_eq!((opcode, said), (0x8, expected.as_slice()), "{shown}");
                // Whoever closed first: both have said it now, and the relay hangs up.
                client.send(&close_frame(&payload)).await;
                assert_eq!(client.next().await, None, "{shown}");
                return;
            }
        }
        client.send(&protocol.question()).await;
        client.wait_for_answer(&shown).await;
    }
}

/// Runs cases for both protocols.
async fn run(limits: Limits, cases: fn(Protocol) -> Vec<Case>) {
    let relay = TestRelay::start_with(limits).await;
    for protocol in [Protocol::V1, Protocol::YWebsocket] {
        for case in cases(protocol) {
            case.run(&relay, protocol, false).await;
            if case.bytes.len() <= CHOPPED_BYTES_MAX {
                case.run(&relay, protocol, true).await;
            }
        }
    }
}
