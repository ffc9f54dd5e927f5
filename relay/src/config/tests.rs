//! Precedence, spelling and sentences of the configuration.

use std::ffi::OsString;
use std::io::Write as _;

use super::table::SETTINGS;
use super::*;

fn load_from(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Command, ConfigError> {
    let arguments = arguments.iter().map(OsString::from);
    load(arguments, environment.iter().map(|(name, value)| (name.into(), value.into())))
}

fn config_from(arguments: &[&str], environment: &[(&str, &str)]) -> Config {
    match load_from(arguments, environment) {
        Ok(Command::Serve { config, .. }) => *config,
        other => panic!("{other:?}"),
    }
}

fn problem_of(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    load_from(arguments, environment).expect_err("must be refused").to_string()
}

fn file_with(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn a_flag_wins_over_the_environment_the_environment_over_the_file_the_file_over_the_default() {
    let file = file_with("listen = '127.0.0.1:1'\nmembers-per-room-max = 7\n");
    let file = file.path().to_str().unwrap();
    let variable = [("COWEAVE_LISTEN", "127.0.0.1:2")];
    let port = |arguments: &[&str], environment: &[(&str, &str)]| {
        config_from(arguments, environment).listen.port()
    };
    assert_eq!(port(&[], &[]), 4700);
    assert_eq!(port(&["--config", file], &[]), 1);
    assert_eq!(port(&["--config", file], &variable), 2);
    assert_eq!(port(&["--listen", "127.0.0.1:3", "--config", file], &variable), 3);
    let from_variable = config_from(&["serve"], &[("COWEAVE_CONFIG", file)]);
    assert_eq!(from_variable.limits.members_per_room_max, 7);
}

#[test]
fn every_setting_takes_its_own_default_back_in_each_spelling() {
    let defaults = Config::default();
    for setting in SETTINGS {
        let default = (setting.show)(&defaults);
        if default.is_empty() {
            continue;
        }
        let flag = format!("--{}={default}", setting.name);
        let by_flag = config_from(&[&flag], &[]);
        let by_variable = config_from(&[], &[(&setting.variable(), &default)]);
        assert_eq!((setting.show)(&by_flag), default);
        assert_eq!((setting.show)(&by_variable), default);
        assert!(help().contains(&setting.variable()));
    }
}

#[test]
fn mistakes_are_told_in_words() {
    let unknown_key = file_with("lisen = '127.0.0.1:1'\n");
    let wrong_type = file_with("listen = [1]\n");
    let no_toml = file_with("log = 'info'\nlisten 4700\n");
    let path = |file: &tempfile::NamedTempFile| file.path().to_str().unwrap().to_owned();
    let (unknown_key, wrong_type, no_toml) =
        (path(&unknown_key), path(&wrong_type), path(&no_toml));
    let cases: &[(&[&str], &str)] = &[
        (&["--lissten", "x"], "unknown flag --lissten; the nearest known one is --listen"),
        (&["-x"], "unknown flag -x"),
        (&["chekc"], "unknown command chekc; the nearest known one is check"),
        (&["--listen"], "missing argument for option '--listen'"),
        (&["--listen", "here"], "--listen is \"here\", but an IP address and a port were expected"),
        (&["--room-linger-ms", "-1"], "a whole number from 0 to 86400000 was expected"),
        (&["--frame-bytes-max", "5"], "a whole number from 65536 to 1073741824 was expected"),
        (&["--log", "loud=very"], "error, warn, info"),
        (&["--listen", "0.0.0.0:4700"], "this version knows no tokens yet"),
        (&["--static-dir", "/does/not/exist"], "is not a folder"),
        (&["--config", "/does/not/exist"], "cannot be read"),
        (&["--config", &unknown_key], "unknown key lisen; the nearest known one is listen"),
        (&["--config", &wrong_type], "cannot be of type array"),
        (&["--config", &no_toml], "is no TOML (line 2)"),
    ];
    for (arguments, expected) in cases {
        let problem = problem_of(arguments, &[]);
        assert!(problem.contains(expected), "{arguments:?} said: {problem}");
    }
    let problem = problem_of(&[], &[("COWEAVE_LISTEN", "x")]);
    assert!(problem.starts_with("COWEAVE_LISTEN is \"x\""), "{problem}");
}

#[test]
fn all_wrong_values_are_told_at_once() {
    let problems = load_from(&["--listen", "x", "--idle-timeout-ms", "y"], &[]).unwrap_err();
    assert_eq!(problems.0.len(), 2);
}

#[test]
fn anonymous_access_from_outside_has_to_be_asked_for() {
    let config = config_from(&["--listen", "0.0.0.0:0", "--allow-anonymous"], &[]);
    assert!(config.allow_anonymous);
}

#[test]
fn origins_are_a_list_of_origins() {
    let config = config_from(&["--allow-origin", "https://a.example, http://b:8080"], &[]);
    assert_eq!(config.allow_origin, ["https://a.example", "http://b:8080"]);
    for wrong in ["a.example", "https://", "https://a.example/", "ftp://a"] {
        assert_eq!(load_from(&["--allow-origin", wrong], &[]).unwrap_err().0.len(), 1, "{wrong}");
    }
}

#[test]
fn an_unknown_variable_is_a_warning_only() {
    match load_from(&[], &[("COWEAVE_LISTN", "x"), ("HOME", "/")]) {
        Ok(Command::Serve { warnings, .. }) => {
            assert_eq!(warnings.len(), 1);
            assert!(warnings[0].contains("COWEAVE_LISTEN"), "{warnings:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn help_and_version_need_no_right_configuration() {
    assert!(matches!(load_from(&["--help"], &[("COWEAVE_LISTEN", "x")]), Ok(Command::Help)));
    assert!(matches!(load_from(&["-V"], &[]), Ok(Command::Version)));
}

#[test]
fn the_documentation_has_every_setting_as_it_is() {
    let documentation = include_str!("../../../docs/configuration.md");
    let tables = table::markdown();
    assert!(documentation.ends_with(&tables), "docs/configuration.md has to end with:\n{tables}");
}

#[test]
fn every_limit_can_be_set() {
    let shown = format!("{:?}", Limits::default());
    let fields = shown.split([',', '{']).filter_map(|part| part.trim().split_once(": "));
    let mut count = 0;
    for (field, _value) in fields {
        count += 1;
        // The largest update is what fits into the largest frame.
        let name = field.replace("update_bytes_max", "frame_bytes_max").replace('_', "-");
        let is_set = |setting: &Setting| setting.name.trim_end_matches("-ms") == name;
        assert!(SETTINGS.iter().any(is_set), "nothing sets {field}");
    }
    assert!(count > 20, "{shown}");
}
