//! The table of settings: parser, file, environment, help and defaults all come from these rows.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use coweave_core::error::Code;

use super::Config;
use crate::admin::AdminToken;

/// One setting. `--name`, `COWEAVE_NAME` and the key `name` of the file are its spellings.
pub(super) struct Setting {
    /// The name, in the spelling of the flag and of the file.
    pub(super) name: &'static str,
    /// Under which heading the help shows it.
    pub(super) group: Group,
    /// What it takes.
    pub(super) shape: Shape,
    /// What it does, in one sentence.
    pub(super) help: &'static str,
    /// What a peer is told that passes the limit.
    pub(super) code: Option<Code>,
    /// Puts a value into a configuration, or says what was expected.
    pub(super) read: fn(&mut Config, &str) -> Result<(), String>,
    /// The value in a configuration as text: the default is that of `Config::default()`.
    pub(super) show: fn(&Config) -> String,
}

impl Setting {
    /// The environment variable.
    pub(super) fn variable(&self) -> String {
        format!("COWEAVE_{}", self.name.replace('-', "_").to_ascii_uppercase())
    }
}

/// Whether a setting takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// On or off; the flag alone means on.
    Switch,
    /// A value, under this name in the help.
    Value(&'static str),
}

/// The headings of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Network,
    Files,
    Running,
    Limits,
}

impl Group {
    const ALL: [Self; 4] = [Self::Network, Self::Files, Self::Running, Self::Limits];

    const fn heading(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Files => "Files",
            Self::Running => "Running",
            Self::Limits => "Limits (bytes, milliseconds or counts)",
        }
    }
}

/// A row for a number that lies inside a range.
macro_rules! number {
    ($name:literal, $group:ident, $unit:literal, $range:expr, $field:ident $(. $rest:ident)*, $code:expr, $help:literal) => {
        Setting {
            name: $name,
            group: Group::$group,
            shape: Shape::Value($unit),
            help: $help,
            code: $code,
            read: |config, text| {
                let range = $range;
                config.$field$(.$rest)* = text
                    .parse()
                    .ok()
                    .filter(|number| range.contains(number))
                    .ok_or_else(|| expected_number(range.start(), range.end()))?;
                Ok(())
            },
            show: |config| config.$field$(.$rest)*.to_string(),
        }
    };
}

/// A row for a duration in milliseconds that lies inside a range.
macro_rules! milliseconds {
    ($name:literal, $group:ident, $range:expr, $field:ident $(. $rest:ident)*, $code:expr, $help:literal) => {
        Setting {
            name: $name,
            group: Group::$group,
            shape: Shape::Value("MS"),
            help: $help,
            code: $code,
            read: |config, text| {
                let range = $range;
                config.$field$(.$rest)* = text
                    .parse()
                    .ok()
                    .filter(|ms: &u64| range.contains(ms))
                    .map(Duration::from_millis)
                    .ok_or_else(|| expected_number(range.start(), range.end()))?;
                Ok(())
            },
            show: |config| config.$field$(.$rest)*.as_millis().to_string(),
        }
    };
}

/// Every setting, in the order of the help.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        group: Group::Network,
        shape: Shape::Value("ADDRESS:PORT"),
        help: "Where to listen; port 0 takes any free port.",
        code: None,
        read: |config, text| {
            config.listen = text.parse().map_err(|_not_an_address| {
                "an IP address and a port were expected, such as 127.0.0.1:4700 or [::1]:4700"
            })?;
            Ok(())
        },
        show: |config| config.listen.to_string(),
    },
    Setting {
        name: "allow-anonymous",
        group: Group::Network,
        shape: Shape::Switch,
        help: "Let everyone in who reaches the address, also from other machines.",
        code: None,
        read: |config, text| {
            config.allow_anonymous = match text {
                "true" | "1" | "yes" | "on" => true,
                "false" | "0" | "no" | "off" => false,
                _ => return Err("true or false was expected".to_owned()),
            };
            Ok(())
        },
        show: |config| config.allow_anonymous.to_string(),
    },
    Setting {
        name: "allow-origin",
        group: Group::Network,
        shape: Shape::Value("ORIGIN,…"),
        help: "Web pages that may connect, beside those of this machine: https://app.example, or * for all.",
        code: None,
        read: |config, text| {
            let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
            config.allow_origin = origins.map(read_origin).collect::<Result<_, _>>()?;
            Ok(())
        },
        show: |config| config.allow_origin.join(","),
    },
    Setting {
        name: "admin-token-file",
        group: Group::Network,
        shape: Shape::Value("FILE"),
        help: "Whoever sends the token in this file may GET and DELETE /rooms/NAME over HTTP.",
        code: None,
        read: |config, text| {
            config.admin_token = Some(AdminToken::read(Path::new(not_empty(text)?))?);
            Ok(())
        },
        show: |_config| String::new(),
    },
    Setting {
        name: "data-dir",
        group: Group::Files,
        shape: Shape::Value("FOLDER"),
        help: "Where the rooms are kept; made when it does not exist.",
        code: None,
        read: |config, text| {
            config.data_dir = not_empty(text)?.into();
            Ok(())
        },
        show: |config| config.data_dir.display().to_string(),
    },
    milliseconds!(
        "keep-log-ms",
        Files,
        0..=10 * 365 * 86_400_000,
        keep_log,
        None,
        "How long the single edits of a room stay on disk after they were folded into its snapshot."
    ),
    Setting {
        name: "static-dir",
        group: Group::Files,
        shape: Shape::Value("FOLDER"),
        help: "Serve the files of this folder over HTTP in place of the built-in page.",
        code: None,
        read: |config, text| {
            config.static_dir = Some(not_empty(text)?.into());
            Ok(())
        },
        show: |config| {
            config.static_dir.as_ref().map_or_else(String::new, |dir| dir.display().to_string())
        },
    },
    Setting {
        name: "log",
        group: Group::Running,
        shape: Shape::Value("LEVEL"),
        help: "Which log lines to write: error, warn, info, debug, trace, or module=level pairs.",
        code: None,
        read: |config, text| {
            config.log = text.parse().map_err(|_not_a_filter| {
                "error, warn, info, debug, trace or module=level pairs were expected"
            })?;
            Ok(())
        },
        show: |config| config.log.to_string(),
    },
    number!(
        "compaction-memory-bytes",
        Running,
        "BYTES",
        64 << 20..=1 << 40,
        compaction.memory_bytes_max,
        None,
        "The memory of the process that folds the log of a room; one that needs more is ended."
    ),
    milliseconds!(
        "compaction-time-ms",
        Running,
        1_000..=3_600_000,
        compaction.time_max,
        None,
        "The processor time of the process that folds the log of a room."
    ),
    milliseconds!(
        "drain-limit-ms",
        Running,
        0..=600_000,
        drain_limit,
        None,
        "How long a shutdown waits for connections to end and for the disk."
    ),
    Setting {
        name: "frame-bytes-max",
        group: Group::Limits,
        shape: Shape::Value("BYTES"),
        help: "The largest WebSocket frame that is taken; the package sends up to 400 kB at once.",
        code: Some(Code::FrameTooLarge),
        read: |config, text| {
            let bytes: usize = text
                .parse()
                .ok()
                .filter(|bytes| (65_536..=1 << 30).contains(bytes))
                .ok_or_else(|| expected_number(&65_536, &(1 << 30)))?;
            config.limits.frame_bytes_max = bytes;
            // The rest of the frame is for the envelope of the update.
            config.limits.update_bytes_max = bytes - 1024;
            Ok(())
        },
        show: |config| config.limits.frame_bytes_max.to_string(),
    },
    number!(
        "update-blocks-max",
        Limits,
        "COUNT",
        1_000..=1 << 32,
        limits.update_blocks_max,
        Some(Code::UpdateTooLarge),
        "How many insertions and formats one update may have."
    ),
    number!(
        "update-clients-max",
        Limits,
        "COUNT",
        10..=1 << 32,
        limits.update_clients_max,
        Some(Code::UpdateTooLarge),
        "How many writers one update may have."
    ),
    number!(
        "value-depth-max",
        Limits,
        "COUNT",
        1..=256,
        limits.value_depth_max,
        Some(Code::UpdateMalformed),
        "How deep a value in a document may be nested."
    ),
    number!(
        "type-depth-max",
        Limits,
        "COUNT",
        1..=200,
        limits.type_depth_max,
        Some(Code::UpdateTooDeep),
        "How deep shared types may be nested; clients take no more than 200 levels."
    ),
    number!(
        "state-vector-clients-max",
        Limits,
        "COUNT",
        100..=1 << 32,
        limits.state_vector_clients_max,
        Some(Code::FrameMalformed),
        "How many writers a client may say that it knows of."
    ),
    number!(
        "members-per-room-max",
        Limits,
        "COUNT",
        1..=1_000_000,
        limits.members_per_room_max,
        Some(Code::RoomFull),
        "How many connections may be in one room."
    ),
    number!(
        "rooms-per-connection-max",
        Limits,
        "COUNT",
        1..=100_000,
        limits.rooms_per_connection_max,
        Some(Code::RoomTooMany),
        "How many rooms one connection may be in."
    ),
    number!(
        "joins-per-minute-max",
        Limits,
        "COUNT",
        0..=1_000_000,
        limits.joins_per_minute_max,
        Some(Code::RoomTooOften),
        "How many rooms one connection may join in a minute; 0 for any number."
    ),
    number!(
        "presence-bytes-max",
        Limits,
        "BYTES",
        64..=1 << 20,
        limits.presence_bytes_max,
        Some(Code::PresenceTooLarge),
        "The largest presence state, as JSON."
    ),
    number!(
        "presence-clients-per-member-max",
        Limits,
        "COUNT",
        1..=100_000,
        limits.presence_clients_per_member_max,
        Some(Code::PresenceTooMany),
        "How many presence states one y-websocket connection may speak for."
    ),
    number!(
        "connections-max",
        Limits,
        "COUNT",
        0..=10_000_000,
        limits.connections_max,
        Some(Code::RelayFull),
        "How many connections there may be; 0 for as many as files may be open."
    ),
    number!(
        "silent-connections-max",
        Limits,
        "COUNT",
        1..=10_000_000,
        limits.silent_connections_max,
        Some(Code::ConnectionHelloTimeout),
        "How many connections may have said nothing yet; above that the oldest of them goes."
    ),
    number!(
        "hello-bytes-max",
        Limits,
        "BYTES",
        256..=1 << 20,
        limits.hello_bytes_max,
        Some(Code::ConnectionHelloTooLarge),
        "How much a client may send before its hello was taken."
    ),
    number!(
        "messages-per-second-max",
        Limits,
        "COUNT",
        0..=1_000_000_000,
        limits.messages_per_second_max,
        None,
        "How many messages of one connection are read a second, after the burst; 0 for any number."
    ),
    number!(
        "messages-burst-max",
        Limits,
        "COUNT",
        1..=1_000_000_000,
        limits.messages_burst_max,
        None,
        "How many messages of one connection are read at once."
    ),
    number!(
        "bytes-per-second-max",
        Limits,
        "BYTES",
        0..=1 << 40,
        limits.bytes_per_second_max,
        None,
        "How much of one connection is read a second, after the burst; 0 for any amount."
    ),
    number!(
        "bytes-burst-max",
        Limits,
        "BYTES",
        1_024..=1 << 40,
        limits.bytes_burst_max,
        None,
        "How much of one connection is read at once."
    ),
    number!(
        "sync-chunk-bytes",
        Limits,
        "BYTES",
        1_024..=1 << 20,
        limits.sync_chunk_bytes,
        None,
        "The pieces that a document is sent in."
    ),
    number!(
        "send-queue-bytes-max",
        Limits,
        "BYTES",
        16_384..=1 << 30,
        limits.send_queue_bytes_max,
        Some(Code::ConnectionTooSlow),
        "How much may wait for a slow reader before it is dropped, to catch up when it is back."
    ),
    number!(
        "undurable-bytes-max",
        Limits,
        "BYTES",
        65_536..=1 << 34,
        limits.undurable_bytes_max,
        Some(Code::RelayDegraded),
        "How much one room may hold in memory while the disk does not take it."
    ),
    number!(
        "room-bytes-max",
        Limits,
        "BYTES",
        65_536..=1 << 40,
        limits.room_bytes_max,
        Some(Code::RoomTooLarge),
        "How much one room may hold: its snapshot and the edits since."
    ),
    number!(
        "tail-bytes-max",
        Limits,
        "BYTES",
        1_024..=1 << 30,
        limits.tail_bytes_max,
        None,
        "How much log a room gathers before it is folded into its snapshot."
    ),
    milliseconds!(
        "commit-interval-ms",
        Limits,
        0..=10_000,
        limits.commit_interval,
        None,
        "The least time between two commits: edits within it share one flush of the disk."
    ),
    milliseconds!(
        "presence-tick-ms",
        Limits,
        0..=10_000,
        limits.presence_tick,
        None,
        "How long changes of presence are gathered before they are told, together."
    ),
    milliseconds!(
        "room-linger-ms",
        Limits,
        0..=86_400_000,
        limits.room_linger,
        None,
        "How long an empty room stays in memory."
    ),
    milliseconds!(
        "hello-timeout-ms",
        Limits,
        100..=600_000,
        limits.hello_timeout,
        Some(Code::ConnectionHelloTimeout),
        "How long a client may take to send the head of a request, and then to say hello."
    ),
    milliseconds!(
        "idle-timeout-ms",
        Limits,
        1_000..=3_600_000,
        limits.idle_timeout,
        Some(Code::ConnectionIdle),
        "How long a connection may be silent before it counts as dead."
    ),
];

/// The row of a flag or of a key of the file.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

fn expected_number(least: &impl ToString, most: &impl ToString) -> String {
    format!("a whole number from {} to {} was expected", least.to_string(), most.to_string())
}

fn read_origin(text: &str) -> Result<String, String> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
        matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
    });
    if is_origin || text == "*" {
        return Ok(text.to_owned());
    }
    Err("origins such as https://app.example, or *, were expected".to_owned())
}

fn not_empty(text: &str) -> Result<&str, String> {
    if text.is_empty() { Err("a path was expected".to_owned()) } else { Ok(text) }
}

/// The help text.
pub(super) fn help() -> String {
    let defaults = Config::default();
    let mut text = String::from(HEAD);
    for group in Group::ALL {
        let _infallible = write!(text, "\n{}:\n", group.heading());
        for setting in SETTINGS.iter().filter(|setting| setting.group == group) {
            let value = match setting.shape {
                Shape::Switch => String::new(),
                Shape::Value(name) => format!(" {name}"),
            };
            let default = (setting.show)(&defaults);
            let default = if default.is_empty() { "none" } else { &default };
            let code =
                setting.code.map_or_else(String::new, |code| format!(" [{}]", code.as_str()));
            let _infallible = write!(
                text,
                "  --{}{value}\n      {}\n      [default: {default}] [{}]{code}\n",
                setting.name,
                setting.help,
                setting.variable(),
            );
        }
    }
    text.push_str(TAIL);
    text
}

/// The settings as tables in Markdown, for the documentation.
#[cfg(test)]
pub(super) fn markdown() -> String {
    let defaults = Config::default();
    let mut text = String::new();
    for group in Group::ALL {
        let heading = group.heading();
        let _infallible = write!(
            text,
            "\n## {heading}\n\n| setting | default | meaning | error |\n|---|--:|---|---|\n"
        );
        for setting in SETTINGS.iter().filter(|setting| setting.group == group) {
            let quoted = |text: &str| match text {
                "" => "–".to_owned(),
                text => format!("`{text}`"),
            };
            let (name, default) = (setting.name, quoted(&(setting.show)(&defaults)));
            let code = quoted(setting.code.map_or("", Code::as_str));
            let help = setting.help;
            let _infallible = writeln!(text, "| `{name}` | {default} | {help} | {code} |");
        }
    }
    text
}

const HEAD: &str = "\
The Coweave relay: fans edits out between the peers of a room and keeps them safe on disk.

Usage: coweave-relay [serve] [FLAGS]
       coweave-relay check [FILE] [FLAGS]   say what is wrong with the configuration

General:
  --config FILE
      Read settings from this TOML file; its keys are the flags without dashes in front.
      [default: none] [COWEAVE_CONFIG]
  -h, --help
  -V, --version
";

const TAIL: &str = "
A flag wins over the environment, the environment over the file, the file over the default.

Examples:
  coweave-relay
      Rooms in ./coweave-data, clients connect to ws://127.0.0.1:4700.
  coweave-relay --listen 127.0.0.1:8080 --data-dir /var/lib/coweave
  COWEAVE_LOG=warn,coweave_relay=debug coweave-relay --static-dir dist
  coweave-relay check coweave.toml
";
