//! The table of settings: parser, file, environment, help and defaults all come from these rows.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

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
    ($name:literal, $group:ident, $unit:literal, $range:expr, $field:ident $(. $rest:ident)*, $help:literal) => {
        Setting {
            name: $name,
            group: Group::$group,
            shape: Shape::Value($unit),
            help: $help,
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
    ($name:literal, $group:ident, $range:expr, $field:ident $(. $rest:ident)*, $help:literal) => {
        Setting {
            name: $name,
            group: Group::$group,
            shape: Shape::Value("MS"),
            help: $help,
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
        "How long the single edits of a room stay on disk after they were folded into its snapshot."
    ),
    Setting {
        name: "static-dir",
        group: Group::Files,
        shape: Shape::Value("FOLDER"),
        help: "Serve the files of this folder over HTTP in place of the built-in page.",
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
        "The memory of the process that folds the log of a room; one that needs more is ended."
    ),
    milliseconds!(
        "compaction-time-ms",
        Running,
        1_000..=3_600_000,
        compaction.time_max,
        "The processor time of the process that folds the log of a room."
    ),
    milliseconds!(
        "drain-limit-ms",
        Running,
        0..=600_000,
        drain_limit,
        "How long a shutdown waits for connections to end and for the disk."
    ),
    Setting {
        name: "frame-bytes-max",
        group: Group::Limits,
        shape: Shape::Value("BYTES"),
        help: "The largest WebSocket frame that is taken; the package sends up to 400 kB at once.",
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
        "members-per-room-max",
        Limits,
        "COUNT",
        1..=1_000_000,
        limits.members_per_room_max,
        "How many connections may be in one room."
    ),
    number!(
        "rooms-per-connection-max",
        Limits,
        "COUNT",
        1..=100_000,
        limits.rooms_per_connection_max,
        "How many rooms one connection may be in."
    ),
    number!(
        "presence-bytes-max",
        Limits,
        "BYTES",
        64..=1 << 20,
        limits.presence_bytes_max,
        "The largest presence state, as JSON."
    ),
    number!(
        "send-queue-bytes-max",
        Limits,
        "BYTES",
        16_384..=1 << 30,
        limits.send_queue_bytes_max,
        "How much may wait for a slow reader before it is dropped, to catch up when it is back."
    ),
    number!(
        "undurable-bytes-max",
        Limits,
        "BYTES",
        65_536..=1 << 34,
        limits.undurable_bytes_max,
        "How much one room may hold in memory while the disk does not take it."
    ),
    number!(
        "tail-bytes-max",
        Limits,
        "BYTES",
        1_024..=1 << 30,
        limits.tail_bytes_max,
        "How much log a room gathers before it is folded into its snapshot."
    ),
    milliseconds!(
        "room-linger-ms",
        Limits,
        0..=86_400_000,
        limits.room_linger,
        "How long an empty room stays in memory."
    ),
    milliseconds!(
        "hello-timeout-ms",
        Limits,
        100..=600_000,
        limits.hello_timeout,
        "How long a client may take to send the head of a request, and then to say hello."
    ),
    milliseconds!(
        "idle-timeout-ms",
        Limits,
        1_000..=3_600_000,
        limits.idle_timeout,
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
            let _infallible = write!(
                text,
                "  --{}{value}\n      {}\n      [default: {default}] [{}]\n",
                setting.name,
                setting.help,
                setting.variable(),
            );
        }
    }
    text.push_str(TAIL);
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
