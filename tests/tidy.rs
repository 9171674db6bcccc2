//! Reads the sources and fails on what the design forbids.
//!
//! Each rule is a function from a source to findings, and each has a test with a planted
//! violation, so that a rule which has gone blind is noticed. The rules read the code with
//! comments and the insides of literals blanked out, so that prose and texts trip nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Which folder (or file) of `src` may use which others. `main` and `lib` may use everything.
const EDGES: &[(&str, &[&str])] = &[
    ("process", &["net", "config", "log", "base"]),
    ("admin", &["engine", "config", "log", "base"]),
    (
        "engine",
        &[
            "net", "config", "http", "rules", "balance", "check", "log", "base",
        ],
    ),
    (
        "config",
        &["rules", "balance", "check", "log", "http", "base"],
    ),
    ("log", &["rules", "http", "base"]),
    ("rules", &["http", "base"]),
    ("balance", &["rules", "base"]),
    ("check", &["rules", "http", "base"]),
    ("http", &["base"]),
    ("net", &["base"]),
    ("base", &[]),
    ("cli", &["base"]),
];

/// Edges that end at certain files of a folder only; `mod` is what `mod.rs` itself declares.
const NARROW: &[(&str, &str, &[&str])] = &[
    // The engine knows the door, not what is behind it.
    ("engine", "net", &["mod"]),
    ("engine", "config", &["model"]),
    ("admin", "config", &["dynamic", "model"]),
    ("balance", "rules", &["fetch", "Context"]),
];

/// What stands at the top of the repository.
const TOP_LEVEL: &[&str] = &[
    ".ci/long",
    ".ci/run",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.ja.md",
    "README.md",
    "benches",
    "docs",
    "examples",
    "fuzz",
    "man",
    "packaging",
    "src",
    "tests",
];

/// Of a file, its tests left out.
const LINES_MAX: usize = 900;
const WIDTH_MAX: usize = 100;
/// What the insides of literals are replaced by where the width is measured.
const LITERAL: u8 = 1;

/// A source file, read in several ways.
struct Source {
    /// Path below `src`, such as `net/os.rs`.
    path: String,
    /// As it is.
    text: String,
    /// Comments and the insides of literals replaced by blanks.
    code: String,
    /// For each line, true when it belongs to a `#[cfg(test)]` item.
    in_test: Vec<bool>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = blank_out(text, b' ', true);
        let mut in_test = test_lines(&code);
        if path.ends_with("tests.rs") {
            in_test.fill(true);
        }
        Self {
            path: path.into(),
            text: text.into(),
            code,
            in_test,
        }
    }

    /// The folder, or the name of a file at the top.
    fn area(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn found(&self, line: usize, what: &str) -> String {
        format!("src/{}:{line}: {what}", self.path)
    }

    /// Findings for each shipped line in which `word` stands by itself.
    fn find_word(&self, word: &str, what: &str, findings: &mut Vec<String>) {
        for (number, line) in self.code.lines().enumerate() {
            if !self.in_test[number] && has_word(line, word) {
                findings.push(self.found(number + 1, what));
            }
        }
    }
}

/// True when `word` is in `line` and is not a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open_start = !word.starts_with(part) || !before.is_some_and(part);
        let open_end = !word.ends_with(part) || !after.is_some_and(part);
        open_start && open_end
    })
}

/// Replaces the insides of literals by `literal` and, if asked to, comments by blanks. Line ends
/// and offsets stay.
fn blank_out(text: &str, literal: u8, comments: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (end, fill) = if rest.starts_with(b"//") {
            let length = rest
                .iter()
                .position(|byte| *byte == b'\n')
                .unwrap_or(rest.len());
            (at + length, comments.then_some(b' '))
        } else if rest.starts_with(b"/*") {
            let length = find(rest, b"*/").map_or(rest.len(), |found| found + 2);
            (at + length, comments.then_some(b' '))
        } else if let Some(hashes) = raw_string(bytes, at) {
            let inside = at + 2 + hashes;
            let close = format!("\"{}", "#".repeat(hashes));
            let length = find(&bytes[inside..], close.as_bytes());
            (
                length.map_or(bytes.len(), |n| inside + n + close.len()),
                Some(literal),
            )
        } else if rest[0] == b'"' {
            (at + string_length(rest), Some(literal))
        } else if let Some(length) = char_literal(rest) {
            (at + length, Some(literal))
        } else {
            at += 1;
            continue;
        };
        if let Some(fill) = fill {
            out[at..end]
                .iter_mut()
                .filter(|byte| **byte != b'\n')
                .for_each(|byte| *byte = fill);
        }
        at = end;
    }
    String::from_utf8(out).expect("whole literals and comments are replaced")
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// The hashes of a raw string that begins (with its `r`) at `at`.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let inside_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if bytes[at] != b'r' || inside_name && bytes[at - 1] != b'b' {
        return None;
    }
    let hashes = bytes[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// The length of a string literal with its quotes.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a character literal, `None` for a lifetime.
fn char_literal(text: &[u8]) -> Option<usize> {
    if text[0] != b'\'' {
        return None;
    }
    if text.get(1) == Some(&b'\\') {
        return text
            .get(3..)?
            .iter()
            .position(|byte| *byte == b'\'')
            .map(|found| found + 4);
    }
    // One character of one to four bytes.
    let close = (2..=5).find(|at| text.get(*at) == Some(&b'\''))?;
    let inside = std::str::from_utf8(&text[1..close]).ok()?;
    (inside.chars().count() == 1).then_some(close + 1)
}

/// Marks the lines of items under `#[cfg(test)]`, to the brace or semicolon that ends each.
fn test_lines(code: &str) -> Vec<bool> {
    const MARK: &str = "#[cfg(test)]";
    let mut marks = vec![false; code.lines().count()];
    let line_of = |at: usize| code[..at].matches('\n').count();
    let mut from = 0;
    while let Some(found) = code[from..].find(MARK) {
        let start = from + found;
        let mut depth = 0;
        let mut end = code.len();
        for (at, letter) in code[start + MARK.len()..].char_indices() {
            depth += match letter {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            if depth == 0 && matches!(letter, '}' | ';') {
                end = start + MARK.len() + at + 1;
                break;
            }
        }
        let last = line_of(end - 1);
        marks[line_of(start)..=last].fill(true);
        from = end;
    }
    marks
}

/// Line, area and file (or item) of each path from `crate::` in shipped code.
fn paths_used(source: &Source) -> BTreeSet<(usize, String, String)> {
    const START: &str = "crate::";
    let mut used = BTreeSet::new();
    for (at, _) in source.code.match_indices(START) {
        let line = source.code[..at].matches('\n').count();
        if !source.in_test[line] {
            let paths = tree(&source.code[at + START.len()..]);
            used.extend(paths.into_iter().map(|(area, file)| (line + 1, area, file)));
        }
    }
    used
}

/// The first two names of each path in a use tree that begins here.
fn tree(text: &str) -> Vec<(String, String)> {
    let name = |text: &str| -> String {
        text.chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect()
    };
    if let Some(inside) = text.strip_prefix('{') {
        return branches(inside).into_iter().flat_map(tree).collect();
    }
    let area = name(text);
    let Some(rest) = text[area.len()..].strip_prefix("::") else {
        return vec![(area, String::new())];
    };
    match rest.strip_prefix('{') {
        Some(inside) => branches(inside)
            .into_iter()
            .map(|branch| (area.clone(), name(branch)))
            .collect(),
        None => vec![(area, name(rest))],
    }
}

/// The parts between the commas of a brace that was just opened.
fn branches(inside: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                parts.push(inside[start..at].trim());
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn rule_edges(source: &Source, findings: &mut Vec<String>) {
    let area = source.area();
    if matches!(area, "main" | "lib") {
        return;
    }
    let Some((_, allowed)) = EDGES.iter().find(|(from, _)| *from == area) else {
        findings.push(source.found(1, "this folder is not in the table of dependencies"));
        return;
    };
    for (line, to, file) in paths_used(source) {
        if to == area {
            continue;
        }
        if !allowed.contains(&to.as_str()) {
            findings.push(source.found(line, &format!("{area} may not use {to}")));
            continue;
        }
        let narrow = NARROW
            .iter()
            .find(|(from, target, _)| *from == area && *target == to);
        let Some((_, _, files)) = narrow else {
            continue;
        };
        let is_item = file.is_empty() || file.starts_with(|letter: char| letter.is_uppercase());
        let is_allowed = files.contains(&file.as_str()) || is_item && files.contains(&"mod");
        if !is_allowed {
            findings.push(source.found(line, &format!("{area} may not use {to}::{file}")));
        }
    }
}

fn rule_system(source: &Source, findings: &mut Vec<String>) {
    if !matches!(source.area(), "net" | "process") {
        source.find_word("unsafe", "unsafe outside net/ and process/", findings);
        source.find_word("libc", "libc outside net/ and process/", findings);
    }
    if source.path != "net/poller.rs" {
        source.find_word("mio", "mio outside net/poller.rs", findings);
    }
    if source.area() != "net" {
        for clock in ["Instant::now", "SystemTime::now"] {
            source.find_word(clock, &format!("{clock} outside net/"), findings);
        }
    }
}

fn rule_hidden_state(source: &Source, findings: &mut Vec<String>) {
    for word in ["RefCell", "thread_local", "static mut"] {
        source.find_word(word, &format!("{word} is not used here"), findings);
    }
}

/// Lines may pass the width only by what is inside a literal.
fn rule_width(source: &Source, findings: &mut Vec<String>) {
    let measured = blank_out(&source.text, LITERAL, false);
    for (number, line) in (1..).zip(measured.lines()) {
        let width = line
            .chars()
            .filter(|letter| *letter != char::from(LITERAL))
            .count();
        if width > WIDTH_MAX {
            findings.push(source.found(number, &format!("{width} columns")));
        }
    }
}

fn rule_panics(source: &Source, findings: &mut Vec<String>) {
    if source.area() != "engine" && !PANIC_LINTS_IN.contains(&source.area()) {
        return;
    }
    for call in [".unwrap()", ".expect("] {
        source.find_word(
            call,
            &format!("{call} where bytes from outside come in"),
            findings,
        );
    }
}

/// What the root of a pure folder says to clippy: nothing from outside makes the folder panic.
const PANIC_LINTS: &str = "#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]";
const PANIC_LINTS_IN: &[&str] = &[
    "admin", "balance", "base", "check", "config", "http", "log", "rules",
];

fn rule_panic_lints(source: &Source, findings: &mut Vec<String>) {
    let area = source.area();
    let is_root = source.path == format!("{area}/mod.rs");
    if is_root && PANIC_LINTS_IN.contains(&area) && !source.code.contains(PANIC_LINTS) {
        findings.push(source.found(1, "the lints on what may panic are off"));
    }
}

fn rule_marks(source: &Source, findings: &mut Vec<String>) {
    for (number, line) in (1..).zip(source.text.lines()) {
        for mark in ["TODO", "FIXME"] {
            if has_word(line, mark) {
                findings.push(source.found(number, &format!("a bare {mark}")));
            }
        }
    }
    for (number, line) in (1..).zip(source.code.lines()) {
        for mark in ["todo!", "unimplemented!", "#[ignore", "allow(dead_code)"] {
            if line.contains(mark) {
                findings.push(source.found(number, mark));
            }
        }
    }
}

fn rule_shape(source: &Source, findings: &mut Vec<String>) {
    if !source.text.starts_with("//!") {
        findings.push(source.found(1, "the file does not open with //!"));
    }
    let lines = source.in_test.iter().filter(|in_test| !**in_test).count();
    if lines > LINES_MAX {
        findings.push(source.found(1, &format!("{lines} lines")));
    }
}

type Rule = fn(&Source, &mut Vec<String>);

const RULES: &[(&str, Rule)] = &[
    ("edges", rule_edges),
    ("system", rule_system),
    ("hidden state", rule_hidden_state),
    ("width", rule_width),
    ("panics", rule_panics),
    ("panic lints", rule_panic_lints),
    ("marks", rule_marks),
    ("shape", rule_shape),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn sources_keep_to_the_rules() {
    let src = root().join("src");
    let mut report = String::new();
    for path in rust_files(&src) {
        let text = fs::read_to_string(&path).expect("a readable source file");
        let name = path
            .strip_prefix(&src)
            .expect("a path below src")
            .display()
            .to_string();
        let source = Source::new(&name, &text);
        for (rule, check) in RULES {
            let mut findings = Vec::new();
            check(&source, &mut findings);
            for finding in findings {
                writeln!(report, "{finding} [{rule}]").expect("writing to a string");
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn the_top_level_is_complete() {
    for name in TOP_LEVEL {
        assert!(root().join(name).exists(), "{name} is missing");
    }
}

#[test]
fn every_folder_is_in_the_table() {
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let path = entry.expect("a readable entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let known = EDGES.iter().any(|(area, _)| *area == name);
        assert!(
            known || matches!(name.as_str(), "main" | "lib"),
            "{name} is in no edge"
        );
    }
}

/// What all rules say about a small planted file.
fn findings(path: &str, text: &str) -> Vec<String> {
    let source = Source::new(path, &format!("//! A file.\n{text}"));
    let mut findings = Vec::new();
    RULES
        .iter()
        .for_each(|(_, check)| check(&source, &mut findings));
    findings
}

#[test]
fn planted_violations_are_caught() {
    let wide = format!("const A: u8 = {};", "1 + ".repeat(30));
    let wide_comment = format!("// {}", "word ".repeat(30));
    let wide_behind_literal = format!("f(\"a\", {});", "1 + ".repeat(30));
    let rows: [(&str, &str, &str); 27] = [
        (
            "base/a.rs",
            "use crate::http::head::Head;",
            "base may not use http",
        ),
        (
            "http/a.rs",
            "use crate::{base::arena, rules::fetch};",
            "http may not use rules",
        ),
        (
            "rules/a.rs",
            "fn f() { crate::log::record::Txn::new(); }",
            "rules may not use log",
        ),
        (
            "engine/a.rs",
            "use crate::net::os::Os;",
            "engine may not use net::os",
        ),
        (
            "engine/a.rs",
            "use crate::net::{Net, poller::Poller};",
            "net::poller",
        ),
        ("engine/a.rs", "use crate::config::lexer;", "config::lexer"),
        (
            "admin/a.rs",
            "use crate::config::{model::Config, keywords};",
            "config::keywords",
        ),
        (
            "balance/a.rs",
            "use crate::rules::action::Verdict;",
            "rules::action",
        ),
        ("extra/a.rs", "", "not in the table"),
        ("http/a.rs", "unsafe fn f() {}", "unsafe outside"),
        ("engine/a.rs", "use libc::c_int;", "libc outside"),
        ("process/a.rs", "use mio::Poll;", "mio outside"),
        ("net/os.rs", "let poll = mio::Poll::new();", "mio outside"),
        (
            "process/a.rs",
            "let now = std::time::Instant::now();",
            "Instant::now outside",
        ),
        (
            "base/a.rs",
            "let now = SystemTime::now();",
            "SystemTime::now outside",
        ),
        ("net/a.rs", "use std::cell::RefCell;", "RefCell"),
        ("net/a.rs", "thread_local! {}", "thread_local"),
        ("net/a.rs", "static mut COUNT: u32 = 0;", "static mut"),
        ("net/a.rs", &wide, "columns"),
        ("net/a.rs", &wide_comment, "columns"),
        ("net/a.rs", &wide_behind_literal, "columns"),
        ("http/a.rs", "fn f() { g().unwrap(); }", ".unwrap()"),
        ("engine/a.rs", "fn f() { g().expect(\"why\"); }", ".expect("),
        (
            "rules/mod.rs",
            "// {PANIC_LINTS}",
            "lints on what may panic",
        ),
        ("net/a.rs", "// TODO later", "a bare TODO"),
        ("net/a.rs", "fn f() { todo!() }", "todo!"),
        ("net/a.rs", "#[allow(dead_code)]", "dead_code"),
    ];
    for (path, text, expected) in rows {
        let found = findings(path, text);
        assert_eq!(found.len(), 1, "{path} {text}: {found:?}");
        assert!(found[0].contains(expected), "{path} {text}: {found:?}");
    }
    let long = findings("net/a.rs", &"//\n".repeat(LINES_MAX));
    assert!(
        long.iter().any(|finding| finding.contains("901 lines")),
        "{long:?}"
    );
    let mut bare = Vec::new();
    rule_shape(&Source::new("net/a.rs", "use std::io;"), &mut bare);
    assert!(bare[0].contains("does not open"), "{bare:?}");
}

#[test]
fn what_is_allowed_is_not_caught() {
    let wide_literal = format!("const A: &str = \"{}\";", "word ".repeat(30));
    let wide_raw = format!("const A: &str = r#\"{}\"#;", "a\" ".repeat(50));
    let in_test = "#[cfg(test)]\nmod tests {\n    use crate::engine::X;\n    \
                   fn f() { g().unwrap(); }\n}\nconst A: u8 = 1;";
    for (path, text) in [
        ("http/a.rs", "use crate::base::{arena::Key, buffer};"),
        ("engine/a.rs", "use crate::net::{Net, Socket, Stop};"),
        ("engine/a.rs", "use crate::config::model::Config;"),
        (
            "http/a.rs",
            "// unsafe, libc::read and g().unwrap() in prose",
        ),
        ("http/a.rs", "/// `RefCell` in a doc comment."),
        (
            "http/a.rs",
            "const A: &str = \"RefCell .unwrap() mio // unsafe\";",
        ),
        (
            "http/a.rs",
            "const A: [char; 3] = ['\"', '\\'', 'é']; const B: &'static str = \"\";",
        ),
        ("http/a.rs", "fn f() { g().unwrap_or(0); promiosed(); }"),
        ("http/a.rs", in_test),
        (
            "net/poller.rs",
            "use mio::Poll; unsafe fn f() { Instant::now(); }",
        ),
        ("net/a.rs", &wide_literal),
        ("net/a.rs", &wide_raw),
        (
            "main.rs",
            "use oneloop::engine::Engine; use crate::net::os;",
        ),
    ] {
        let found = findings(path, text);
        assert!(found.is_empty(), "{path} {text}: {found:?}");
    }
    // A test item ends at its own brace: what follows is looked at.
    let after = findings(
        "http/a.rs",
        &format!("{in_test}\nfn f() {{ g().unwrap(); }}"),
    );
    assert_eq!(after.len(), 1, "{after:?}");
}
