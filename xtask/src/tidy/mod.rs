//! Tidy: the rules of this repository that no other tool knows.

mod rules;
#[cfg(test)]
mod tests;

use std::fs;

use crate::failure::{Failure, Outcome};
use crate::process::{Program, say};
use crate::project::Project;
use rules::Document;

/// Checks every file that is in the repository, or would be after `git add`.
pub(crate) fn run(project: &Project) -> Outcome {
    let listed = Program::new("git", project.root())
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .output()
        .ok_or_else(|| {
            Failure::new("git cannot list the files: tidy needs git and a clone of the repository")
        })?;
    let mut findings = Vec::new();
    let mut count = 0;
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // Absent (deleted, not staged yet) and binary files have nothing to check.
        let Ok(text) = fs::read_to_string(project.path(path)) else { continue };
        count += 1;
        let exists = |relative: &str| project.path(relative).exists();
        findings.extend(rules::check(Document { path, text: &text }, &exists));
    }
    if findings.is_empty() {
        say(&format!("  tidy: {count} files are in order"));
        return Ok(());
    }
    let sentence =
        format!("tidy found {} problems: each line above says what to change", findings.len());
    Err(Failure::new(sentence).with_output(findings.join("\n")))
}
