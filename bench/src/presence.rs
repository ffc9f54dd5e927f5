//! Presence states on their way: which reader has seen which state of whom, and when.

use std::time::Instant;

use coweave_core::wire::primitive::{ReadError, Reader};

use crate::latency::Latencies;

/// What was shown and what has arrived.
#[derive(Debug)]
pub(crate) struct Presence {
    first_client: u64,
    /// When each client showed its nth state; the first one is number 1.
    shown_at: Vec<Vec<Instant>>,
    /// The newest state of each client that each reader has, reader by reader.
    newest: Vec<Vec<u64>>,
    pub(crate) latencies: Latencies,
    pub(crate) delivered: u64,
}

impl Presence {
    pub(crate) fn new(first_client: u64) -> Self {
        Self {
            first_client,
            shown_at: Vec::new(),
            newest: Vec::new(),
            latencies: Latencies::new(),
            delivered: 0,
        }
    }

    /// Forgets everything, and gets ready for so many clients.
    pub(crate) fn begin(&mut self, clients: usize) {
        self.shown_at = vec![Vec::new(); clients];
        self.newest = vec![vec![0; clients]; clients];
        self.latencies = Latencies::new();
        self.delivered = 0;
    }

    /// The next state of a client: its number and its JSON, a cursor as editors show it.
    pub(crate) fn next_state(&mut self, client: usize, now: Instant) -> (u64, String) {
        self.shown_at[client].push(now);
        let number = self.shown_at[client].len() as u64;
        let at = 1000 + number % 7;
        let json = format!(
            r##"{{"user":{{"name":"Client {client}","color":"#7a3b9c"}},"cursor":{{"anchor":{at},"head":{at}}},"n":{number}}}"##
        );
        (number, json)
    }

    /// Whether every reader has the newest state of everybody else.
    pub(crate) fn all_have_the_newest(&self) -> bool {
        self.newest.iter().enumerate().all(|(reader, newest)| {
            let others = newest.iter().zip(&self.shown_at).enumerate();
            others
                .filter(|(client, _)| *client != reader)
                .all(|(_, (newest, shown_at))| *newest == shown_at.len() as u64)
        })
    }

    /// Counts what is new to a reader in an awareness update.
    pub(crate) fn take(
        &mut self,
        reader: usize,
        update: &[u8],
        now: Instant,
    ) -> Result<(), ReadError> {
        let mut bytes = Reader::new(update);
        for _ in 0..bytes.var()? {
            let client = bytes.var()?;
            let _clock = bytes.var()?;
            let json = bytes.string()?;
            let Some(client) = client.checked_sub(self.first_client).map(|client| client as usize)
            else {
                continue;
            };
            let number = json
                .rsplit_once("\"n\":")
                .and_then(|(_, rest)| rest.trim_end_matches('}').parse().ok());
            let newest = self.newest.get_mut(reader).and_then(|newest| newest.get_mut(client));
            let (Some(number), Some(newest)) = (number, newest) else { continue };
            if client == reader || number <= *newest {
                continue;
            }
            *newest = number;
            self.delivered += 1;
            if let Some(shown_at) = self.shown_at[client].get(number as usize - 1) {
                self.latencies.add(now.saturating_duration_since(*shown_at));
            }
        }
        Ok(())
    }
}
