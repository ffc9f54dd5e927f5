//! Golden vectors: the bytes of every message, in files that TypeScript reads too.
//!
//! To change a byte is to change a version. After a deliberate change, run the tests once with
//! `UPDATE_VECTORS=1` and look at the difference.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic, and its numbers are small"
)]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use coweave_core::error::{Code, Error};
use coweave_core::ids::{Channel, ClientId, EditNumber, Epoch, Lineage, Sequence, SessionKey};
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::primitive::ReadError;
use coweave_core::wire::v1::{EditKind, Hello, Join, Joined, Message, Role, Welcome, read_frame};
use coweave_core::wire::y_websocket;
use serde_json::{Value, json};

/// Compares with the file, or writes it.
fn compare(file: &str, vectors: Vec<Value>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(file);
    let text = serde_json::to_string_pretty(&Value::Array(vectors)).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let stored = fs::read_to_string(&path).expect("vectors (UPDATE_VECTORS=1 writes them)");
    assert_eq!(stored, text, "{file} differs; see the head of this file");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A stable name for what is wrong with a frame.
fn fault(error: ReadError) -> &'static str {
    match error {
        ReadError::End => "end",
        ReadError::Varint => "varint",
        ReadError::Utf8 => "utf8",
        ReadError::Trailing => "trailing",
        ReadError::Range => "range",
        _ => "other",
    }
}

fn named(name: &str, frame: &[u8], mut fields: Value) -> Value {
    fields["name"] = json!(name);
    fields["hex"] = json!(hex(frame));
    fields
}

fn error_fields(error: &Error) -> Value {
    json!({
        "code": error.code.as_str(),
        "message": error.message,
        "retryAfterMs": error.retry_after_ms,
    })
}

/// "ab" inserted into the text "t" by client 5.
const UPDATE: &[u8] = &[1, 1, 5, 0, 4, 1, 1, b't', 2, b'a', b'b', 0];
const STATE_VECTOR: &[u8] = &[1, 5, 2];

fn presence() -> Vec<u8> {
    let client = ClientId::from_u32(5);
    awareness::write(&[
        AwarenessEntry { client, clock: 3, state: Some(r#"{"user":{"name":"Ada"}}"#.to_owned()) },
        AwarenessEntry { client: ClientId::from_u32(6), clock: 9, state: None },
    ])
}

fn v1_connection() -> Vec<(&'static str, Message, Value)> {
    let session = SessionKey([7; 16]);
    vec![
        (
            "hello",
            Message::Hello(Hello {
                version: 1,
                capabilities: 0,
                session,
                token: "secret".to_owned(),
                agent: "coweave/0.1.0".to_owned(),
            }),
            json!({ "version": 1, "capabilities": 0, "session": hex(&[7; 16]), "token": "secret",
                    "agent": "coweave/0.1.0" }),
        ),
        (
            "welcome",
            Message::Welcome(Welcome {
                version: 1,
                capabilities: 0,
                frame_bytes_max: 8 << 20,
                update_bytes_max: (8 << 20) - 1024,
                idle_timeout_ms: 60_000,
                agent: "coweave-relay/0.1.0".to_owned(),
                token_life_ms: 300_000,
            }),
            json!({ "version": 1, "capabilities": 0, "frameBytesMax": 8 << 20,
                    "updateBytesMax": (8 << 20) - 1024, "idleTimeoutMs": 60_000,
                    "agent": "coweave-relay/0.1.0", "tokenLifeMs": 300_000 }),
        ),
        ("ping", Message::Ping(300), json!({ "number": 300 })),
        ("pong", Message::Pong(300), json!({ "number": 300 })),
        ("token", Message::Token("newer".to_owned()), json!({ "token": "newer" })),
        (
            "token-accepted",
            Message::TokenAccepted { life_ms: 300_000 },
            json!({ "lifeMs": 300_000 }),
        ),
    ]
}

fn v1_joining() -> Vec<(&'static str, Message, Value)> {
    let state_vector = Bytes::from_static(STATE_VECTOR);
    vec![
        (
            "join",
            Message::Join(Join {
                room: "müller/plan".to_owned(),
                client: ClientId::from_u32(u32::MAX),
                lineage: None,
                epoch: Epoch(0),
                sequence: Sequence(0),
                state_vector: Bytes::from_static(&[0]),
            }),
            json!({ "room": "müller/plan", "client": u32::MAX, "lineage": null, "epoch": 0,
                    "sequence": 0, "stateVector": "00" }),
        ),
        (
            "join",
            Message::Join(Join {
                room: "r".to_owned(),
                client: ClientId::from_u32(5),
                lineage: Some(Lineage([0xab; 16])),
                epoch: Epoch(2),
                sequence: Sequence(128),
                state_vector: state_vector.clone(),
            }),
            json!({ "room": "r", "client": 5, "lineage": hex(&[0xab; 16]), "epoch": 2,
                    "sequence": 128, "stateVector": hex(STATE_VECTOR) }),
        ),
        (
            "joined",
            Message::Joined(Joined {
                lineage: Lineage([0xab; 16]),
                epoch: Epoch(2),
                sequence: Sequence(130),
                sync_bytes: 1_000,
                state_vector: state_vector.clone(),
                role: Role::Editor,
            }),
            json!({ "lineage": hex(&[0xab; 16]), "epoch": 2, "sequence": 130, "syncBytes": 1_000,
                    "stateVector": hex(STATE_VECTOR), "role": "editor" }),
        ),
        (
            "joined",
            Message::Joined(Joined {
                lineage: Lineage([0xab; 16]),
                epoch: Epoch(2),
                sequence: Sequence(130),
                sync_bytes: 0,
                state_vector,
                role: Role::Viewer,
            }),
            json!({ "lineage": hex(&[0xab; 16]), "epoch": 2, "sequence": 130, "syncBytes": 0,
                    "stateVector": hex(STATE_VECTOR), "role": "viewer" }),
        ),
        ("role", Message::Role(Role::Viewer), json!({ "role": "viewer" })),
        ("role", Message::Role(Role::Editor), json!({ "role": "editor" })),
        ("sync", Message::Sync(Bytes::from_static(UPDATE)), json!({ "piece": hex(UPDATE) })),
        ("leave", Message::Leave, json!({})),
    ]
}

fn v1_editing() -> Vec<(&'static str, Message, Value)> {
    let update = Bytes::from_static(UPDATE);
    let edit = |kind| Message::Edit { number: EditNumber(7), kind, update: update.clone() };
    let edit_fields = |kind: &str| json!({ "number": 7, "kind": kind, "update": hex(UPDATE) });
    let refused = Error::new(Code::UpdateForeignClient, "not yours");
    let draining = Error::new(Code::RelayDraining, "back soon").with_retry_after_ms(1_500);
    vec![
        ("edit", edit(EditKind::Live), edit_fields("live")),
        ("edit", edit(EditKind::Difference), edit_fields("difference")),
        (
            "update",
            Message::Update { sequence: Sequence(131), update: update.clone() },
            json!({ "sequence": 131, "update": hex(UPDATE) }),
        ),
        (
            "ack",
            Message::Ack {
                accepted: EditNumber(7),
                durable: EditNumber(6),
                sequence: Sequence(131),
            },
            json!({ "accepted": 7, "durable": 6, "sequence": 131 }),
        ),
        (
            "refused",
            Message::Refused { number: EditNumber(7), error: refused.clone() },
            json!({ "number": 7, "error": error_fields(&refused) }),
        ),
        (
            "set-presence",
            Message::SetPresence(Some(r#"{"cursor":null}"#.to_owned())),
            json!({ "state": r#"{"cursor":null}"# }),
        ),
        ("set-presence", Message::SetPresence(None), json!({ "state": null })),
        (
            "presence",
            Message::Presence(Bytes::from(presence())),
            json!({ "awareness": hex(&presence()) }),
        ),
        ("error", Message::Error(draining.clone()), json!({ "error": error_fields(&draining) })),
        ("durability", Message::Durability { degraded: None }, json!({ "degraded": null })),
        (
            "durability",
            Message::Durability { degraded: Some(draining.clone()) },
            json!({ "degraded": error_fields(&draining) }),
        ),
        ("seed", Message::Seed(update.clone()), json!({ "update": hex(&update) })),
        ("seeded", Message::Seeded(Ok(true)), json!({ "isFirst": true })),
        ("seeded", Message::Seeded(Ok(false)), json!({ "isFirst": false })),
        (
            "seeded",
            Message::Seeded(Err(draining.clone())),
            json!({ "error": error_fields(&draining) }),
        ),
        ("flush", Message::Flush(7), json!({ "number": 7 })),
        ("flushed", Message::Flushed(7), json!({ "number": 7 })),
    ]
}

/// As relays wrote them before these messages grew.
const WELCOME_BEFORE_TOKENS: &str =
    "02002101008080800480f8ff03e0d40313636f77656176652d72656c61792f302e312e30";
const JOINED_BEFORE_ROLES: &str = "040319abababababababababababababababab028201e80703010502";

#[test]
fn v1_frames_are_the_golden_ones() {
    let mut vectors = Vec::new();
    let on_connection = v1_connection().into_iter().map(|vector| (Channel::CONNECTION, vector));
    let on_room = v1_joining().into_iter().chain(v1_editing()).map(|vector| (Channel(3), vector));
    for (channel, (kind, message, fields)) in on_connection.chain(on_room) {
        let frame = message.to_frame(channel);
        let read = read_frame(&Bytes::from(frame.clone()));
        assert_eq!(read, Ok(vec![(channel, message)]), "{kind}");
        let message = json!({ "type": kind, "channel": channel.0, "fields": fields });
        vectors.push(named(kind, &frame, json!({ "messages": [message] })));
    }
    let ping = json!({ "type": "ping", "channel": 0, "fields": { "number": 1 } });
    let leave = json!({ "type": "leave", "channel": 3, "fields": {} });
    for (name, frame, messages) in [
        ("two messages", "0e00010105030 0", json!([ping, leave])),
        ("an unknown type is skipped", "630002ffff 0e000101", json!([ping])),
        ("only an unknown type", "630000", json!([])),
        ("a body that grew is read as far as known", "0e0003010909", json!([ping])),
    ] {
        let frame = bytes_of(frame);
        let read = read_frame(&Bytes::from(frame.clone())).unwrap();
        assert_eq!(Some(read.len()), messages.as_array().map(Vec::len), "{name}");
        vectors.push(named(name, &frame, json!({ "messages": messages })));
    }
    let state_vector = Bytes::from_static(STATE_VECTOR);
    for (name, frame, message) in [
        (
            "a welcome of a relay whose tokens never expire",
            WELCOME_BEFORE_TOKENS,
            Message::Welcome(Welcome {
                version: 1,
                capabilities: 0,
                frame_bytes_max: 8 << 20,
                update_bytes_max: (8 << 20) - 1024,
                idle_timeout_ms: 60_000,
                agent: "coweave-relay/0.1.0".to_owned(),
                token_life_ms: 0,
            }),
        ),
        (
            "a joined of a relay without roles",
            JOINED_BEFORE_ROLES,
            Message::Joined(Joined {
                lineage: Lineage([0xab; 16]),
                epoch: Epoch(2),
                sequence: Sequence(130),
                sync_bytes: 1_000,
                state_vector,
                role: Role::Editor,
            }),
        ),
        ("a role of a newer version", "17030107", Message::Role(Role::Viewer)),
    ] {
        let frame = Bytes::from(bytes_of(frame));
        let read = read_frame(&frame).unwrap();
        assert!(matches!(&read[..], [(_, it)] if *it == message), "{name}: {read:?}");
        vectors.push(named(name, &frame, json!({ "readAs": hex(&message.to_frame(read[0].0)) })));
    }
    for (name, frame) in [
        ("an empty frame", ""),
        ("a frame cut inside a body", "0e000201"),
        ("a second message cut off", "0e0001010e"),
        ("a type in a long form", "8e00000101"),
        ("a channel above 32 bits", "0e808080801001 01"),
        ("a body too short for its message", "0e0000"),
        ("an edit of an unknown kind", "070304070202 00"),
        ("a lineage that is neither there nor not", "03030a0172050200000001000000"),
        ("text that is not UTF-8", "0b0303 02c328"),
    ] {
        let frame = bytes_of(frame);
        let error = read_frame(&Bytes::from(frame.clone())).expect_err(name);
        vectors.push(named(name, &frame, json!({ "error": fault(error) })));
    }
    compare("v1.json", vectors);
}

#[test]
fn y_websocket_frames_are_the_golden_ones() {
    use y_websocket::Message;
    let update = || Bytes::from_static(UPDATE);
    let mut vectors = Vec::new();
    for (kind, message, fields) in [
        (
            "sync-step-1",
            Message::SyncStep1(Bytes::from_static(&[0])),
            json!({ "stateVector": "00" }),
        ),
        (
            "sync-step-1",
            Message::SyncStep1(Bytes::from_static(STATE_VECTOR)),
            json!({ "stateVector": hex(STATE_VECTOR) }),
        ),
        (
            "sync-step-2",
            Message::SyncStep2(Bytes::from_static(&[0, 0])),
            json!({ "update": "0000" }),
        ),
        ("sync-step-2", Message::SyncStep2(update()), json!({ "update": hex(UPDATE) })),
        ("update", Message::Update(update()), json!({ "update": hex(UPDATE) })),
        (
            "awareness",
            Message::Awareness(Bytes::from(presence())),
            json!({ "awareness": hex(&presence()) }),
        ),
        ("denied", Message::Denied("read-only".to_owned()), json!({ "reason": "read-only" })),
        ("query-awareness", Message::QueryAwareness, json!({})),
    ] {
        let frame = message.to_frame();
        let read = y_websocket::read_frame(&Bytes::from(frame.clone()));
        assert_eq!(read, Ok(Some(message)), "{kind}");
        vectors.push(named(kind, &frame, json!({ "message": { "type": kind, "fields": fields } })));
    }
    let keepalive = json!({ "type": "awareness", "fields": { "awareness": "00" } });
    vectors.push(named("the keepalive", &y_websocket::KEEPALIVE, json!({ "message": keepalive })));
    for (name, frame) in [("an unknown type", "660105"), ("an unknown sync step", "000900")] {
        let frame = bytes_of(frame);
        assert_eq!(y_websocket::read_frame(&Bytes::from(frame.clone())), Ok(None), "{name}");
        vectors.push(named(name, &frame, json!({ "message": null })));
    }
    for (name, frame) in [
        ("an empty frame", ""),
        ("a length beyond the end", "00020501"),
        ("two messages in one frame", "0000010001 020000"),
        ("rubbish behind a message", "0300"),
        ("a type in a long form", "8000000100"),
        ("a reason that is not UTF-8", "020002c328"),
    ] {
        let frame = bytes_of(frame);
        let error = y_websocket::read_frame(&Bytes::from(frame.clone())).expect_err(name);
        vectors.push(named(name, &frame, json!({ "error": fault(error) })));
    }
    compare("y_websocket.json", vectors);
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
