//! Every rule of tidy, shown to find what it must find, and nothing in a file that is in order.

use super::rules::{Document, check};

/// What is wrong with a file, in a repository that has only `core/src/lib.rs` and `docs/a.md`.
fn findings(path: &str, text: &str) -> Vec<String> {
    let exists =
        |relative: &str| ["core", "core/src", "core/src/lib.rs", "docs/a.md"].contains(&relative);
    check(Document { path, text }, &exists)
}

#[track_caller]
fn finds(path: &str, text: &str, expected: &str) {
    let found = findings(path, text);
    assert!(found.len() == 1 && found.iter().all(|one| one.starts_with(expected)), "{found:?}");
}

#[track_caller]
fn accepts(path: &str, text: &str) {
    assert_eq!(findings(path, text), Vec::<String>::new());
}

#[test]
fn a_source_file_opens_with_its_purpose() {
    finds("a.rs", "use std::fs;\n", "a.rs:1: open the file");
    finds("a.rs", "/// Documents an item.\nstruct A;\n", "a.rs:1: open the file");
    finds("a.ts", "// eslint\nexport {}\n", "a.ts:1: open the file");
    finds("a.mjs", "", "a.mjs:1: open the file");
    accepts("a.rs", "//! Says what it is for.\n");
    accepts("a.ts", "/**\n * Says what it is for.\n */\n");
    accepts("a.mjs", "#!/usr/bin/env node\n// Says what it is for.\n");
    accepts("a.json", "{}");
}

#[test]
fn a_source_file_has_at_most_800_lines() {
    let lines = |count: usize| "// Says what it is for.\n".repeat(count);
    finds("a.ts", &lines(801), "a.ts:801: 801 lines");
    accepts("a.ts", &lines(800));
    accepts("a.md", &lines(801));
}

#[test]
fn what_is_left_to_do_names_its_issue() {
    finds("a.md", concat!("Text.\n\nTO", "DO: the rest\n"), "a.md:3: do it now");
    finds("a.toml", concat!("# FIX", "ME soon\n"), "a.toml:1: do it now");
    accepts("a.md", concat!("TO", "DO(#12): the rest\n"));
    accepts("a.md", "mastodons\n");
}

#[test]
fn paths_in_the_architecture_exist() {
    finds(
        "ARCHITECTURE.md",
        "See `core/src/gone.rs`.\n",
        "ARCHITECTURE.md:1: there is no core/src/gone.rs",
    );
    accepts("ARCHITECTURE.md", "See `core/src/`, `Room::open`, `poll(now)` and `/{room}`.\n");
    accepts("ARCHITECTURE.md", "```\ncore/src/gone.rs `core/gone.rs`\n```\n");
    accepts("README.md", "See `core/src/gone.rs`.\n");
}

#[test]
fn links_between_documents_lead_somewhere() {
    finds("README.md", "[gone](docs/b.md)\n", "README.md:1: the link to docs/b.md");
    accepts("README.md", "[a](docs/a.md#part) [web](https://example.org/b.md) [here](#part)\n");
    accepts("docs/b.md", "[a](a.md) [lib](../core/src/lib.rs)\n");
}

#[test]
fn no_folder_of_one_machine_is_named() {
    finds("a.md", concat!("Look in /ho", "me/ana/notes.\n"), "a.md:1: name no folder");
    finds("a.toml", concat!("path = \"/wo", "rk/x\"\n"), "a.toml:1: name no folder");
    accepts("a.md", "https://example.org/home/ and core/work/list\n");
}

#[test]
fn no_registry_host_is_named() {
    finds("a.md", concat!("From registry.npm", "js.org.\n"), "a.md:1: name no registry");
    finds(
        "npm/package-lock.json",
        "  \"resolved\": \"https://example.org/a.tgz\",\n",
        "npm/package-lock.json:1:",
    );
    finds(
        "Cargo.lock",
        "source = \"registry+https://example.org/index\"\n",
        "Cargo.lock:1: name no registry",
    );
    accepts("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n");
}
