//! The rules of tidy, each a pure function from one file to what is wrong with it.

/// Longer files hide what they are about.
const LINES_MAX: usize = 800;
/// Fewer words are no sentence of purpose.
const PURPOSE_WORDS_MIN: usize = 3;
/// What opens a comment, longest first.
const COMMENT_MARKS: [&str; 5] = ["//!", "/**", "//", "/*", "*"];

/// One text file of the repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'a> {
    /// Its path from the root, with slashes.
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

/// A rule: the line number and the sentence of everything it finds.
type Rule = fn(Document<'_>, &dyn Fn(&str) -> bool) -> Vec<(usize, String)>;

const RULES: [Rule; 7] = [
    opens_with_purpose,
    is_short,
    has_no_loose_ends,
    names_real_paths,
    links_real_files,
    names_no_machine,
    names_no_registry,
];

/// Everything that is wrong with a file, as `path:line: sentence`.
pub(super) fn check(document: Document<'_>, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let findings = RULES.iter().flat_map(|rule| rule(document, exists));
    findings.map(|(line, sentence)| format!("{}:{line}: {sentence}", document.path)).collect()
}

impl<'a> Document<'a> {
    fn is_one_of(self, extensions: &[&str]) -> bool {
        self.extension().is_some_and(|extension| extensions.contains(&extension))
    }

    fn extension(self) -> Option<&'a str> {
        self.path.rsplit('/').next()?.rsplit_once('.').map(|(_name, extension)| extension)
    }

    fn is_lock_file(self) -> bool {
        self.path.ends_with("package-lock.json") || self.path.ends_with("Cargo.lock")
    }

    /// The lines with their numbers.
    fn lines(self) -> impl Iterator<Item = (usize, &'a str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The path of something that this file names relative to its own folder.
    fn beside(self, relative: &str) -> String {
        let mut parts: Vec<&str> = self.path.split('/').collect();
        parts.pop();
        for part in relative.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        parts.join("/")
    }
}

/// Every source file opens with a sentence that says what it is for.
fn opens_with_purpose(
    document: Document<'_>,
    _exists: &dyn Fn(&str) -> bool,
) -> Vec<(usize, String)> {
    if !document.is_one_of(&["rs", "ts", "mts", "js", "mjs"]) {
        return Vec::new();
    }
    let mut lines = document
        .lines()
        .filter(|(_number, line)| !line.starts_with("#!/"))
        .map(|(_number, line)| line.trim());
    let first = lines.next().unwrap_or_default();
    let marks = |line: &str| {
        COMMENT_MARKS.iter().find_map(|mark| line.strip_prefix(mark).map(str::to_owned))
    };
    let sentence = marks(first).map(|rest| {
        if rest.trim().is_empty() { lines.next().and_then(marks).unwrap_or_default() } else { rest }
    });
    let is_item_doc = first.starts_with("///");
    let is_purpose =
        sentence.is_some_and(|text| text.split_whitespace().count() >= PURPOSE_WORDS_MIN);
    if is_purpose && !is_item_doc {
        return Vec::new();
    }
    vec![(1, "open the file with a comment that says in one sentence what it is for".to_owned())]
}

/// No file is longer than a person wants to read.
fn is_short(document: Document<'_>, _exists: &dyn Fn(&str) -> bool) -> Vec<(usize, String)> {
    let count = document.text.lines().count();
    if !document.is_one_of(&["rs", "ts", "mts", "js", "mjs", "css", "html"]) || count <= LINES_MAX {
        return Vec::new();
    }
    vec![(
        LINES_MAX + 1,
        format!("{count} lines are more than {LINES_MAX}: split the file by concept"),
    )]
}

/// Work that is left over carries the number of its issue.
fn has_no_loose_ends(
    document: Document<'_>,
    _exists: &dyn Fn(&str) -> bool,
) -> Vec<(usize, String)> {
    // Put together here, or this file would break its own rule.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    if document.is_lock_file() {
        return Vec::new();
    }
    let is_loose =
        |line: &str| words.iter().any(|word| has_word(line, word)) && !has_issue_number(line);
    let findings = document.lines().filter(|(_number, line)| is_loose(line));
    findings
        .map(|(number, _line)| (number, "do it now, or name its issue as #number".to_owned()))
        .collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

fn has_issue_number(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// What ARCHITECTURE.md calls a path exists.
fn names_real_paths(document: Document<'_>, exists: &dyn Fn(&str) -> bool) -> Vec<(usize, String)> {
    if document.path != "ARCHITECTURE.md" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in prose_lines(document.text) {
        for named in line.split('`').skip(1).step_by(2).filter(|quoted| looks_like_path(quoted)) {
            if !exists(named.trim_end_matches('/')) {
                findings.push((number, format!("there is no {named} in the repository")));
            }
        }
    }
    findings
}

fn looks_like_path(quoted: &str) -> bool {
    const EXTENSIONS: [&str; 10] =
        [".rs", ".ts", ".mjs", ".md", ".toml", ".json", ".css", ".html", ".wasm", ".yml"];
    let is_plain = quoted.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    let is_path = quoted.contains('/') || EXTENSIONS.iter().any(|end| quoted.ends_with(end));
    is_plain && is_path && !quoted.starts_with('/')
}

/// Markdown links to files in the repository lead somewhere.
fn links_real_files(document: Document<'_>, exists: &dyn Fn(&str) -> bool) -> Vec<(usize, String)> {
    if !document.is_one_of(&["md"]) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in prose_lines(document.text) {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next()) {
            let is_relative = !link.is_empty() && !link.contains(':');
            if is_relative && !exists(&document.beside(link)) {
                findings.push((number, format!("the link to {link} leads nowhere")));
            }
        }
    }
    findings
}

/// The lines of a Markdown text outside of code blocks.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

/// Nothing depends on the folders of one machine.
fn names_no_machine(
    document: Document<'_>,
    _exists: &dyn Fn(&str) -> bool,
) -> Vec<(usize, String)> {
    let folders = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let is_named = |line: &str| {
        folders.iter().any(|folder| {
            line.match_indices(folder).any(|(at, _)| {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || "._-}".contains(c))
            })
        })
    };
    let findings = document.lines().filter(|(_number, line)| is_named(line));
    let sentence = "name no folder of one machine: use a path inside the repository";
    findings.map(|(number, _line)| (number, sentence.to_owned())).collect()
}

/// Packages come from whatever registry the person who builds has set.
fn names_no_registry(
    document: Document<'_>,
    _exists: &dyn Fn(&str) -> bool,
) -> Vec<(usize, String)> {
    let hosts = [
        concat!("registry.npm", "js.org"),
        concat!("static.crates", ".io"),
        concat!("index.crates", ".io"),
        concat!("deb.debian", ".org"),
        concat!("registry.yarn", "pkg.com"),
    ];
    let index = "registry+https://github.com/rust-lang/crates.io-index";
    let is_named = |line: &str| {
        hosts.iter().any(|host| line.contains(host))
            || (document.path.ends_with("package-lock.json")
                && line.contains("\"resolved\": \"http"))
            || (document.path.ends_with("Cargo.lock")
                && (line.contains("registry+") || line.contains("sparse+"))
                && !line.contains(index))
    };
    let findings = document.lines().filter(|(_number, line)| is_named(line));
    let sentence = "name no registry host (for npm: set omit-lockfile-registry-resolved in .npmrc)";
    findings.map(|(number, _line)| (number, sentence.to_owned())).collect()
}
