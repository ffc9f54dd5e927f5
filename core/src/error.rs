//! Errors with stable codes: what happened, who is at fault, and whether trying again helps.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $fault:ident, $retry:literal;)*) => {
        /// What went wrong. The text form is stable for ever and shared with TypeScript.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable text form, for example `room.full`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Who has to act.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault,)* }
            }

            /// Whether the same thing may succeed when tried again later.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retry,)* }
            }

            /// Reads the text form; a code this version does not know becomes [`Code::Unknown`].
            #[must_use]
            pub fn parse(text: &str) -> Self {
                match text { $($text => Self::$variant,)* _ => Self::Unknown }
            }
        }
    };
}

/// Who is at fault, and so who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The other side of the connection sent something it must not send.
    Peer,
    /// The two sides do not understand each other (versions, histories).
    Incompatible,
    /// The app called the API wrongly.
    App,
    /// The relay or its store is overloaded or failing.
    Relay,
    /// The network or the device.
    Environment,
}

impl Fault {
    /// The stable text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Incompatible => "incompatible",
            Self::App => "app",
            Self::Relay => "relay",
            Self::Environment => "environment",
        }
    }
}

codes! {
    /// A frame could not be read.
    FrameMalformed = "frame.malformed", Peer, false;
    /// A frame is larger than the limit.
    FrameTooLarge = "frame.too_large", Peer, false;
    /// A text frame, or a message that is not allowed at this point.
    FrameUnexpected = "frame.unexpected", Peer, false;
    /// No common protocol version.
    ProtocolUnsupported = "protocol.unsupported", Incompatible, false;
    /// The first message did not arrive in time.
    ConnectionHelloTimeout = "connection.hello_timeout", Peer, true;
    /// More was sent than a hello needs before it was taken.
    ConnectionHelloTooLarge = "connection.hello_too_large", Peer, false;
    /// Nothing was heard for too long.
    ConnectionIdle = "connection.idle", Environment, true;
    /// The reader did not keep up; it catches up when it comes back.
    ConnectionTooSlow = "connection.too_slow", Environment, true;
    /// The connection was lost or could not be made.
    ConnectionLost = "connection.lost", Environment, true;
    /// The token callback of the app failed.
    TokenFailed = "token.failed", App, true;
    /// The token is not valid any more; a new one helps.
    TokenExpired = "token.expired", App, true;
    /// The relay does not take the token.
    TokenDenied = "token.denied", App, false;
    /// The token was taken back while it was in use.
    TokenRevoked = "token.revoked", App, false;
    /// The room name is not allowed.
    RoomInvalidName = "room.invalid_name", App, false;
    /// Too many rooms over one connection.
    RoomTooMany = "room.too_many", App, false;
    /// Rooms are joined too often over one connection.
    RoomTooOften = "room.too_often", App, true;
    /// Too many connections in the room.
    RoomFull = "room.full", Relay, true;
    /// A message for a room that was not joined, or a channel used twice.
    RoomNotJoined = "room.not_joined", Peer, false;
    /// The client's copy has another history than the stored room; nothing was merged.
    RoomLineageMismatch = "room.lineage_mismatch", Incompatible, false;
    /// The stored room could not be loaded; other rooms are not affected.
    RoomUnavailable = "room.unavailable", Relay, true;
    /// What is stored of the room cannot be read: it is left as it is, and closed, until whoever runs
    /// the relay has looked at it.
    RoomDamaged = "room.damaged", Relay, true;
    /// The room was deleted; this copy belongs to it, and nothing was merged.
    RoomDeleted = "room.deleted", Incompatible, false;
    /// This session may read the room, and not write into it.
    RoomReadOnly = "room.read_only", App, false;
    /// The room takes more space than the relay allows.
    RoomTooLarge = "room.too_large", App, false;
    /// An update could not be read, or breaks a rule of the format.
    UpdateMalformed = "update.malformed", Peer, false;
    /// An update is larger than a limit.
    UpdateTooLarge = "update.too_large", App, false;
    /// An update nests shared types too deeply.
    UpdateTooDeep = "update.too_deep", App, false;
    /// An update needs others that the receiver does not have: send the difference.
    UpdateMissingDependencies = "update.missing_dependencies", Peer, true;
    /// An update writes under a client id that another connection holds; a dead connection lets go
    /// of its own after a while.
    UpdateForeignClient = "update.foreign_client", Peer, true;
    /// An update repeats ids that are taken, with other content: two clients write under one id.
    UpdateContradiction = "update.contradiction", Peer, false;
    /// The content of something that a past document had was deleted since, and is not kept.
    SnapshotCollected = "snapshot.collected", App, false;
    /// A presence state could not be read.
    PresenceMalformed = "presence.malformed", Peer, false;
    /// A presence state is larger than the limit.
    PresenceTooLarge = "presence.too_large", App, false;
    /// One connection speaks for too many presence states.
    PresenceTooMany = "presence.too_many", Peer, false;
    /// The relay has as many connections as it may.
    RelayFull = "relay.full", Relay, true;
    /// The relay is shutting down; come back soon.
    RelayDraining = "relay.draining", Relay, true;
    /// The store of the relay fails; edits are not durable at the moment.
    RelayDegraded = "relay.degraded", Relay, true;
    /// A bug in the relay.
    RelayInternal = "relay.internal", Relay, true;
    /// The device's store is missing, full, blocked or broken; work goes on in memory.
    DeviceUnavailable = "device.unavailable", Environment, true;
    /// A value of the wrong type.
    ApiWrongType = "api.wrong_type", App, false;
    /// A document was used before what the device has is in it: wait for `room.loaded`.
    ApiNotReady = "api.not_ready", App, false;
    /// A handle was used after `dispose`.
    ApiDisposed = "api.disposed", App, false;
    /// An index or length outside the text.
    ApiOutOfRange = "api.out_of_range", App, false;
    /// An index or a string that cuts a surrogate pair.
    ApiSplitSurrogate = "api.split_surrogate", App, false;
    /// The part of the document was deleted.
    ApiDeleted = "api.deleted", App, false;
    /// A value or the document is nested too deeply.
    ApiTooDeep = "api.too_deep", App, false;
    /// An address that is no ws:, wss:, http: or https: URL.
    ApiInvalidUrl = "api.invalid_url", App, false;
    /// The WebAssembly module could not be loaded.
    ClientLoadFailed = "client.load_failed", Environment, true;
    /// A bug in the client.
    ClientInternal = "client.internal", App, false;
    /// A code of a newer version.
    Unknown = "unknown", Incompatible, false;
}

/// An error as users, logs and the wire see it.
#[expect(clippy::error_impl_error, reason = "the one error of the core, named like std's")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What happened.
    pub code: Code,
    /// A sentence for the person who has to act.
    pub message: String,
    /// How long to wait before trying again, in milliseconds, when the other side said so.
    pub retry_after_ms: Option<u64>,
}

impl Error {
    /// An error without a waiting time.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    /// Whether trying again may help. An error of a newer version, whose code is not known here,
    /// says so by naming a waiting time.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable() || self.code == Code::Unknown && self.retry_after_ms.is_some()
    }

    /// The same error with a waiting time.
    #[must_use]
    pub fn with_retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_its_text_form() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), *code);
            let (area, reason) = code.as_str().split_once('.').unwrap_or(("", "unknown"));
            assert!(!reason.is_empty() && area.chars().all(|c| c.is_ascii_lowercase()));
        }
        assert_eq!(Code::parse("room.on_fire"), Code::Unknown);
    }

    #[test]
    fn the_guide_says_of_every_code_who_has_to_act_and_what_to_do() {
        let guide = include_str!("../../docs/guide/errors.md");
        let rows: Vec<Vec<&str>> = guide
            .lines()
            .filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 4)
            .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect();
        let wanted = Code::ALL.iter().map(|code| {
            let again = if code.is_retryable() { "yes" } else { "no" };
            [format!("`{}`", code.as_str()), code.fault().as_str().to_owned(), again.to_owned()]
        });
        assert_eq!(
            rows.iter().map(|row| &row[..3]).collect::<Vec<_>>(),
            wanted.collect::<Vec<_>>()
        );
        assert!(rows.iter().flatten().all(|cell| !cell.is_empty()));
    }
}
