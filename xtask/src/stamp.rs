//! Remembers from which inputs something was built, so that nothing is built twice.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::project::Project;

/// Folders that are never an input, like those whose name starts with a dot.
const SKIPPED: [&str; 4] = ["node_modules", "target", "dist", "wasm"];

/// What the last build was made from, kept in cargo's target folder.
#[derive(Debug)]
pub(crate) struct Stamp {
    file: PathBuf,
    fingerprint: String,
    outputs: Vec<PathBuf>,
}

impl Stamp {
    /// The state of `inputs` (files, or folders with all that is in them; paths that do not exist
    /// count as empty), for a build that ends with `outputs`.
    pub(crate) fn of(
        project: &Project,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
    ) -> Outcome<Self> {
        let mut files = Vec::new();
        for input in inputs {
            collect(&project.path(input), &mut files)?;
        }
        files.sort();
        let mut hasher = DefaultHasher::new();
        for file in &files {
            file.strip_prefix(project.root()).unwrap_or(file).hash(&mut hasher);
            fs::read(file).map_err(|error| Failure::file("read", file, &error))?.hash(&mut hasher);
        }
        Ok(Self {
            file: project.target("xtask").join(format!("{}.stamp", name.replace('/', "-"))),
            fingerprint: format!("{:016x}", hasher.finish()),
            outputs: outputs.iter().map(|output| project.path(output)).collect(),
        })
    }

    /// Whether the outputs exist and were built from these inputs.
    pub(crate) fn is_current(&self) -> bool {
        self.outputs.iter().all(|output| output.exists())
            && fs::read_to_string(&self.file).is_ok_and(|last| last == self.fingerprint)
    }

    /// Call when the build is done.
    pub(crate) fn save(&self) -> Outcome {
        let folder = self.file.parent().unwrap_or(&self.file);
        fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
        fs::write(&self.file, &self.fingerprint)
            .map_err(|error| Failure::file("write", &self.file, &error))
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    if path.is_file() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    if !path.is_dir() {
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| Failure::file("read", path, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::file("read", path, &error))?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let is_skipped = entry.is_dir() && (name.starts_with('.') || SKIPPED.contains(&&*name));
        if !is_skipped {
            collect(&entry, files)?;
        }
    }
    Ok(())
}
