//! Configuration: one table gives every setting its flag, environment variable, file key, default
//! and help text. What the user wrote is collected first, then checked.

mod table;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use coweave_core::limits::Limits;
use thiserror::Error;
use tracing_subscriber::filter::Targets;

use crate::admin::AdminToken;
use crate::compactor::Compaction;

use table::{SETTINGS, Setting, Shape};

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether connections without a token are taken from other machines.
    pub allow_anonymous: bool,
    /// Origins of web pages that may connect beside those of this machine; `*` lets all in.
    pub allow_origin: Vec<String>,
    /// Who may look at rooms and delete them over HTTP.
    pub admin_token: Option<AdminToken>,
    /// Where the store lives.
    pub data_dir: PathBuf,
    /// How long the lines of a log stay on disk when they are in a snapshot.
    pub keep_log: Duration,
    /// Files to serve in place of the built-in page.
    pub static_dir: Option<PathBuf>,
    /// Which log lines to write.
    pub log: Targets,
    /// How logs are folded.
    pub compaction: Compaction,
    /// How long a shutdown may take.
    pub drain_limit: Duration,
    /// The limits of rooms and connections.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4700)),
            allow_anonymous: false,
            allow_origin: Vec::new(),
            admin_token: None,
            data_dir: PathBuf::from("./coweave-data"),
            keep_log: Duration::from_secs(24 * 3600),
            static_dir: None,
            log: Targets::new().with_default(tracing::Level::INFO),
            compaction: Compaction::default(),
            drain_limit: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run the relay. The warnings belong into its log.
    Serve {
        /// The checked configuration.
        config: Box<Config>,
        /// What looks like a mistake but does no harm.
        warnings: Vec<String>,
    },
    /// Say that the configuration is right.
    Check {
        /// The checked configuration.
        config: Box<Config>,
        /// What looks like a mistake but does no harm.
        warnings: Vec<String>,
    },
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
}

/// What is wrong with the configuration, in sentences.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(
    /// One sentence for each mistake.
    pub Vec<String>,
);

impl ConfigError {
    fn one(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }
}

/// Reads the command line, the environment and the file. A flag wins over the environment, the
/// environment over the file, and the file over the default.
///
/// # Errors
/// [`ConfigError`] with all mistakes that were found.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, ConfigError> {
    let Arguments { verb, config_file, settings } = read_arguments(arguments)?;
    match verb {
        Verb::Help => return Ok(Command::Help),
        Verb::Version => return Ok(Command::Version),
        Verb::Serve | Verb::Check => {}
    }
    let (variables, variable_file, warnings) = read_environment(environment)?;
    let in_file = match config_file.or(variable_file) {
        Some(path) => read_file(&path)?,
        None => Vec::new(),
    };
    let mut config = Config::default();
    let mut problems = Vec::new();
    for raw in in_file.into_iter().chain(variables).chain(settings) {
        if let Err(expected) = (raw.setting.read)(&mut config, &raw.text) {
            problems.push(format!("{} is {:?}, but {expected}", raw.origin, raw.text));
        }
    }
    check(&config, &mut problems);
    if !problems.is_empty() {
        return Err(ConfigError(problems));
    }
    let config = Box::new(config);
    Ok(if verb == Verb::Check {
        Command::Check { config, warnings }
    } else {
        Command::Serve { config, warnings }
    })
}

/// The help text, from the table.
#[must_use]
pub fn help() -> String {
    table::help()
}

/// What holds between settings.
fn check(config: &Config, problems: &mut Vec<String>) {
    if !config.listen.ip().is_loopback() && !config.allow_anonymous {
        problems.push(format!(
            "listening on {} would let everyone who reaches this machine read and edit every room, \
             because this version knows no tokens yet: listen on 127.0.0.1, or say \
             --allow-anonymous if that is what you want",
            config.listen
        ));
    }
    if let Some(folder) = config.static_dir.as_ref().filter(|folder| !folder.is_dir()) {
        problems.push(format!("the static folder {} is not a folder", folder.display()));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Serve,
    Check,
    Help,
    Version,
}

/// A setting as the user wrote it, and where.
struct Raw {
    setting: &'static Setting,
    text: String,
    origin: String,
}

struct Arguments {
    verb: Verb,
    config_file: Option<PathBuf>,
    settings: Vec<Raw>,
}

fn read_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, ConfigError> {
    use lexopt::Arg;

    let broken = |e: lexopt::Error| ConfigError::one(e.to_string());
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut read = Arguments { verb: Verb::Serve, config_file: None, settings: Vec::new() };
    let mut words = 0;
    while let Some(argument) = parser.next().map_err(broken)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => read.verb = Verb::Help,
            Arg::Short('V') | Arg::Long("version") => read.verb = Verb::Version,
            Arg::Long("config") => {
                read.config_file = Some(parser.value().map_err(broken)?.into());
            }
            Arg::Long(name) => {
                let Some(setting) = table::find(name) else {
                    return Err(ConfigError::one(unknown("flag", &format!("--{name}"), FLAGS)));
                };
                let value = match setting.shape {
                    Shape::Switch => parser.optional_value(),
                    Shape::Value(_) => Some(parser.value().map_err(broken)?),
                };
                let text = match value {
                    Some(value) => text_of(value, setting.name)?,
                    None => "true".to_owned(),
                };
                read.settings.push(Raw { setting, text, origin: format!("--{}", setting.name) });
            }
            Arg::Value(word) => {
                words += 1;
                match (words, read.verb, word.to_str()) {
                    (1, _, Some("serve")) => {}
                    (1, Verb::Serve, Some("check")) => read.verb = Verb::Check,
                    (2, Verb::Check, _) => read.config_file = Some(word.into()),
                    _ => {
                        let word = word.to_string_lossy();
                        let words = |_: &Setting| String::new();
                        let known = Known { of: words, beside: &["serve", "check"] };
                        return Err(ConfigError::one(unknown("command", &word, known)));
                    }
                }
            }
            Arg::Short(letter) => {
                let flag = format!("-{letter}");
                return Err(ConfigError::one(unknown("flag", &flag, FLAGS)));
            }
        }
    }
    Ok(read)
}

type Variables = (Vec<Raw>, Option<PathBuf>, Vec<String>);

fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Variables, ConfigError> {
    let (mut variables, mut file, mut warnings) = (Vec::new(), None, Vec::new());
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with("COWEAVE_")) else {
            continue;
        };
        if name == "COWEAVE_CONFIG" {
            file = Some(value.into());
        } else if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
            let text = text_of(value, name)?;
            variables.push(Raw { setting, text, origin: name.to_owned() });
        } else {
            warnings.push(unknown("environment variable", name, VARIABLES));
        }
    }
    Ok((variables, file, warnings))
}

fn read_file(path: &Path) -> Result<Vec<Raw>, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| {
        ConfigError::one(format!("the configuration file {shown} cannot be read: {e}"))
    })?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let what = e.message();
        ConfigError::one(format!("the configuration file {shown} is no TOML (line {line}): {what}"))
    })?;
    let (mut settings, mut problems) = (Vec::new(), Vec::new());
    for (key, value) in table {
        let Some(setting) = table::find(&key) else {
            problems.push(format!("{} in the file {shown}", unknown("key", &key, KEYS)));
            continue;
        };
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(yes) => yes.to_string(),
            other => {
                let kind = other.type_str();
                problems.push(format!("`{key}` in the file {shown} cannot be of type {kind}"));
                continue;
            }
        };
        settings.push(Raw { setting, text, origin: format!("`{key}` in the file {shown}") });
    }
    if problems.is_empty() { Ok(settings) } else { Err(ConfigError(problems)) }
}

fn text_of(value: OsString, name: &str) -> Result<String, ConfigError> {
    value
        .into_string()
        .map_err(|_not_utf8| ConfigError::one(format!("the value of {name} is not UTF-8 text")))
}

/// What could have been meant: each setting in one spelling, and words beside the table.
#[derive(Clone, Copy)]
struct Known {
    of: fn(&Setting) -> String,
    beside: &'static [&'static str],
}

const FLAGS: Known = Known {
    of: |setting| format!("--{}", setting.name),
    beside: &["--config", "--help", "--version"],
};
const VARIABLES: Known = Known { of: Setting::variable, beside: &["COWEAVE_CONFIG"] };
const KEYS: Known = Known { of: |setting| setting.name.to_owned(), beside: &[] };

/// A sentence for a name that is not in the table, with the nearest one that is.
fn unknown(what: &str, name: &str, known: Known) -> String {
    let nearest = SETTINGS
        .iter()
        .map(known.of)
        .chain(known.beside.iter().map(|&word| word.to_owned()))
        .filter(|candidate| !candidate.is_empty())
        .min_by_key(|candidate| strsim::damerau_levenshtein(candidate, name))
        .unwrap_or_default();
    format!("unknown {what} {name}; the nearest known one is {nearest}")
}

#[cfg(test)]
mod tests;
