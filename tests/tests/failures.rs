//! The table of failures names tests that exist, and names every test with real processes.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The file and the test of everything that is quoted as `file::test` in the table.
fn named() -> Vec<(String, String)> {
    let table = std::fs::read_to_string(root().join("docs/FAILURES.md")).unwrap();
    let quoted = table.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|quoted| quoted.split_once("::"));
    named.map(|(file, test)| (file.to_owned(), test.to_owned())).collect()
}

/// Whether a file has a test of this name, as Rust or as JavaScript writes it.
fn has_test(text: &str, name: &str) -> bool {
    let attributes = ["#[test]", "#[tokio::test"];
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    let opens = |line: &str, function: &str| {
        ["fn ", "async fn "].iter().any(|start| {
            line.strip_prefix(start).and_then(|line| line.strip_prefix(function)) == Some("() {")
        })
    };
    let is_rust = lines.iter().enumerate().any(|(at, line)| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        opens(line, name)
            && above.clone().any(|line| attributes.iter().any(|start| line.starts_with(start)))
            && !above.clone().any(|line| line.starts_with("#[ignore"))
    });
    let is_javascript = ["it(", "test("].iter().any(|call| {
        ["'", "\"", "`"].iter().any(|mark| text.contains(&format!("{call}{mark}{name}{mark}")))
    });
    is_rust || is_javascript
}

#[test]
fn every_test_that_the_table_of_failures_names_exists() {
    let named = named();
    assert!(named.len() > 50, "only {} tests were found in the table", named.len());
    let missing: Vec<_> = named
        .into_iter()
        .filter(|(file, test)| {
            let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            !has_test(&text, test)
        })
        .collect();
    assert!(missing.is_empty(), "these do not exist: {missing:#?}");
}

#[test]
fn every_line_of_the_table_of_failures_names_a_test() {
    let table = std::fs::read_to_string(root().join("docs/FAILURES.md")).unwrap();
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|---");
    for line in table.lines().filter(is_row).filter(|line| !line.starts_with("| this fails")) {
        assert_eq!(line.matches(" | ").count(), 3, "four columns: {line}");
        assert!(line.rsplit(" | ").next().unwrap().contains("::"), "no test: {line}");
    }
}

#[test]
fn every_test_with_real_processes_is_in_the_table_of_failures() {
    let (named, folder) = (named(), root().join("tests/tests/processes"));
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let tests = text.split("#[test]").skip(1);
        for test in tests.map(|rest| rest.trim_start().trim_start_matches("fn ")) {
            let name = &test[..test.find('(').unwrap()];
            let file = format!("tests/tests/processes/{}", path.file_name().unwrap().display());
            assert!(
                named.contains(&(file.clone(), name.to_owned())),
                "{file}::{name} shows what happens when something fails: name it in the table"
            );
        }
    }
}
