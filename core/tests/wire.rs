//! The readers of all wire formats on hostile bytes: they never panic, and what they read they can
//! write again.
//!
//! `COWEAVE_FUZZ_CASES` sets how many cases each format gets, `COWEAVE_FUZZ_SEED` where they begin.

#![expect(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and its numbers are small"
)]

use bytes::Bytes;
use coweave_core::doc::known::Known;
use coweave_core::ids::{Channel, ClientId, EditNumber, Sequence};
use coweave_core::limits::Limits;
use coweave_core::random::Random;
use coweave_core::wire::awareness::{self, AwarenessEntry};
use coweave_core::wire::primitive::ReadError;
use coweave_core::wire::v1::{self, EditKind, Role};
use coweave_core::wire::y_websocket;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var_os(name)
        .and_then(|value| value.into_string().ok())
        .map_or(default, |value| value.parse().expect("a number"))
}

/// Runs a check on damaged copies of good bytes, and on rubbish.
fn damage(good: &[Vec<u8>], check: impl Fn(&[u8])) {
    good.iter().for_each(|bytes| check(bytes));
    let first = setting("COWEAVE_FUZZ_SEED", 1);
    for seed in first..first + setting("COWEAVE_FUZZ_CASES", 30_000) {
        let random = &mut Random::from_seed(seed);
        let mut bytes = good[random.below(good.len() as u64) as usize].clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len() as u64 + 1) as usize;
            match random.below(7) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, random.next_u64() as u8),
                2 => bytes.extend_from_slice(&good[random.below(good.len() as u64) as usize]),
                3 => bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f]).for_each(drop),
                4 => bytes = (0..random.below(40)).map(|_| random.next_u64() as u8).collect(),
                _ if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
                _ => {}
            }
        }
        check(&bytes);
    }
}

#[test]
fn awareness_is_read_without_harm_and_written_as_it_was() {
    let entry = |client, clock, state: Option<&str>| AwarenessEntry {
        client: ClientId::new(client).unwrap(),
        clock,
        state: state.map(str::to_owned),
    };
    let good = [
        vec![entry(5, 1, Some(r#"{"user":{"name":"Ada 🙂","color":"blue"},"n":[1,-2.5e3]}"#))],
        vec![entry(1, 7, None), entry(ClientId::MAX, 300, Some("\"x\"")), entry(3, 0, Some("{}"))],
        vec![],
    ];
    let good: Vec<_> = good.iter().map(|entries| awareness::write(entries)).collect();
    damage(&good, |bytes| {
        if let Ok(entries) = awareness::read(bytes, &Limits::default()) {
            let again = awareness::write(&entries);
            assert_eq!(awareness::read(&again, &Limits::default()), Ok(entries));
        }
    });
}

#[test]
fn y_websocket_is_read_without_harm_and_written_as_it_was() {
    use y_websocket::Message;
    let update = || Bytes::from_static(&[1, 1, 5, 0, 4, 1, 1, b't', 1, b'a', 0]);
    let good: Vec<_> = [
        Message::SyncStep1(Bytes::from_static(&[1, 5, 200])),
        Message::SyncStep2(update()),
        Message::Update(update()),
        Message::Awareness(Bytes::from_static(&[0])),
        Message::Denied("no".to_owned()),
        Message::QueryAwareness,
    ]
    .iter()
    .map(Message::to_frame)
    .collect();
    damage(&good, |bytes| {
        if let Ok(Some(message)) = y_websocket::read_frame(&Bytes::copy_from_slice(bytes)) {
            assert_eq!(message.to_frame(), bytes);
        }
    });
}

#[test]
fn v1_is_read_without_harm_and_written_as_it_was() {
    use v1::Message;
    let update = || Bytes::from_static(&[1, 1, 5, 0, 4, 1, 1, b't', 1, b'a', 0]);
    let mut good: Vec<Vec<u8>> = [
        Message::Edit { number: EditNumber(300), kind: EditKind::Live, update: update() },
        Message::Update { sequence: Sequence(9), update: update() },
        Message::Ack { accepted: EditNumber(2), durable: EditNumber(1), sequence: Sequence(9) },
        Message::SetPresence(Some("{}".to_owned())),
        Message::Ping(1),
        Message::Sync(update()),
        Message::Leave,
        Message::Token("secret".to_owned()),
        Message::TokenAccepted { life_ms: 300_000 },
        Message::Role(Role::Viewer),
    ]
    .iter()
    .map(|message| message.to_frame(Channel(3)))
    .collect();
    good.push(good.concat());
    damage(&good, |bytes| {
        if let Ok(messages) = v1::read_frame(&Bytes::copy_from_slice(bytes)) {
            let mut again = Vec::new();
            messages.iter().for_each(|(channel, message)| message.write(*channel, &mut again));
            if !messages.is_empty() {
                assert_eq!(v1::read_frame(&Bytes::from(again)), Ok(messages));
            }
        }
    });
}

#[test]
fn state_vectors_are_read_without_harm_and_written_as_they_were() {
    let good = vec![vec![0], vec![2, 200, 1, 5, 7, 1], vec![1, 5, 0x80, 0x80, 0x80, 0x80, 8]];
    damage(&good, |bytes| {
        if let Ok(known) = Known::decode(bytes, 1_000) {
            assert_eq!(Known::decode(&known.encode(), 1_000), Ok(known));
        }
    });
}

#[test]
fn a_frame_of_countless_messages_is_refused_before_it_fills_the_memory() {
    let leave = v1::Message::Leave.to_frame(Channel(1));
    let read = |count: usize| v1::read_frame(&Bytes::from(leave.repeat(count)));
    assert_eq!(read(1 << 16).map(|messages| messages.len()), Ok(1 << 16));
    assert_eq!(read((1 << 16) + 1), Err(ReadError::Range));
}
