//! Tokens that expire: a new one in time, and coming back with a new one when it is too late.

use std::time::Duration;

use super::{Client, Socket};
use crate::client::Output;
use crate::client::backoff::Backoff;
use crate::error::Error;
use crate::ids::Channel;
use crate::random::Random;
use crate::time::Time;
use crate::wire::v1::Message;

/// A new token is asked for this long before the old one expires, when its life is long enough.
const AHEAD: Duration = Duration::from_secs(10);
/// However short the life of a token is, the next one is not asked for sooner.
const REST: Duration = Duration::from_secs(1);
/// A token that held for so long was a good one.
const STEADY: Duration = Duration::from_secs(60);

/// What is known of the token of the present connection.
#[derive(Debug)]
pub(super) struct Token {
    /// When the relay began to take it.
    since: Time,
    /// When to ask for the next one.
    refresh_at: Option<Time>,
    is_asked_for: bool,
    /// Of asking the app.
    backoff: Backoff,
    /// Of tokens that expire as soon as they are there.
    expiries: Backoff,
}

impl Token {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            since: now,
            refresh_at: None,
            is_asked_for: false,
            backoff: Backoff::new(),
            expiries: Backoff::new(),
        }
    }

    /// The relay takes the token for so long; 0 for ever.
    pub(super) fn begin(&mut self, life_ms: u64, now: Time) {
        let life = Duration::from_millis(life_ms);
        let ahead = (life / 5).max(AHEAD.min(life / 2));
        self.since = now;
        self.is_asked_for = false;
        self.refresh_at = (life_ms > 0).then(|| now + (life - ahead).max(REST));
    }

    /// The connection is gone, and the next one begins with a new token.
    pub(super) const fn forget(&mut self) {
        self.refresh_at = None;
        self.is_asked_for = false;
    }

    pub(super) const fn refresh_at(&self) -> Option<Time> {
        self.refresh_at
    }

    /// How long to stay away after the token has expired.
    pub(super) fn expired(&mut self, error: &Error, random: &mut Random, now: Time) -> u64 {
        if now.since(self.since) >= STEADY {
            self.expiries.reset();
        }
        let wait = self.expiries.next(error, random);
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Client {
    /// Asks for a new token when it is time to.
    pub(super) fn refresh_token(&mut self, now: Time) {
        let is_due = self.token.refresh_at.is_some_and(|at| now >= at);
        if is_due && matches!(self.socket, Socket::Open) {
            self.token.refresh_at = None;
            self.token.is_asked_for = true;
            self.outputs.push_back(Output::RefreshToken);
        }
    }

    pub(super) fn token_refreshed(&mut self, token: Result<String, Error>, now: Time) {
        // An answer that comes too late is one for another connection.
        if !std::mem::take(&mut self.token.is_asked_for) {
            return;
        }
        match token {
            Ok(token) => {
                self.token.backoff.reset();
                self.send(Channel::CONNECTION, &Message::Token(token));
            }
            Err(error) => {
                let wait = self.token.backoff.next(&error, &mut self.random);
                self.token.refresh_at = Some(now + wait);
            }
        }
    }
}
