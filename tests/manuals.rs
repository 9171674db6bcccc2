//! The manual pages and the other documents against the code.
//!
//! Every option, keyword, action, fetch, converter, variable and signal of the tables has an entry in
//! `man/`, in the section of its kind and with the sections that take it; no entry is without a row;
//! what is refused is not described as if it were taken. Links between documents lead somewhere, and
//! every example is a valid configuration.
//!
//! An entry is the bold text of the line after `.TP` or `.TQ`; its name ends at the first italic or
//! parenthesis. Where a table is private to its folder, its rows are read from the source, which is
//! checked to give as many as there are known to be at least.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use oneloop::admin::command;
use oneloop::cli;
use oneloop::config::keywords::{Class, Section, Status, rows};
use oneloop::config::model::AccessLevel;
use oneloop::config::{LoadOptions, Source, load};
use oneloop::process::host::System;

/// One entry of a manual page.
#[derive(Debug)]
struct Entry {
    /// The `.SH` heading it stands under.
    heading: String,
    name: String,
    /// The text of the entry, shared by all its names.
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The arguments of a macro line, without font changes and escapes.
fn arguments(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut open) = (false, false);
    for letter in line.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                open = true;
            }
            ' ' if !quoted => {
                if open {
                    out.push(std::mem::take(&mut word));
                }
                open = false;
            }
            _ => {
                word.push(letter);
                open = true;
            }
        }
    }
    if open {
        out.push(word);
    }
    for word in &mut out {
        for (from, to) in [("\\fR", ""), ("\\fP", ""), ("\\fB", ""), ("\\fI", "")] {
            *word = word.replace(from, to);
        }
    }
    out
}

/// The name in the line that follows `.TP`.
fn name(line: &str) -> String {
    let bold_only = line.starts_with(".B ");
    let words = arguments(line.split_once(' ').map_or("", |(_, rest)| rest));
    let text = if bold_only {
        words.join(" ")
    } else {
        words.first().cloned().unwrap_or_default()
    };
    let end = text.find('(').unwrap_or(text.len());
    text[..end].trim().to_owned()
}

fn entries(page: &str) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    let mut heading = String::new();
    let (mut shared, mut expected) = (0, false);
    let lines = page.lines().filter(|line| !line.starts_with(".\\\""));
    for line in lines {
        if let Some(title) = line.strip_prefix(".SH ") {
            heading = title.to_owned();
            shared = out.len();
        } else if line == ".TP" || line == ".TQ" {
            expected = true;
            if line == ".TP" {
                shared = out.len();
            }
        } else if expected {
            expected = false;
            out.push(Entry {
                heading: heading.clone(),
                name: name(line),
                text: String::new(),
            });
        } else {
            for entry in &mut out[shared..] {
                entry.text.push_str(line);
                entry.text.push('\n');
            }
        }
    }
    out
}

/// The names under a heading, without what stands before each of them.
fn under<'a>(page: &'a [Entry], heading: &str, before: &str) -> BTreeSet<&'a str> {
    let here = page.iter().filter(|entry| entry.heading == heading);
    let mut out = BTreeSet::new();
    for entry in here {
        let name = entry.name.strip_prefix(before);
        let name = name.unwrap_or_else(|| panic!("{heading}: '{}' lacks '{before}'", entry.name));
        assert!(out.insert(name), "{heading}: '{name}' stands there twice");
    }
    assert!(!out.is_empty(), "no entries under {heading}");
    out
}

fn supported(class: Class) -> BTreeSet<&'static str> {
    rows(class)
        .filter(|row| row.status == Status::Supported)
        .map(|row| row.name)
        .collect()
}

fn same(what: &str, page: &BTreeSet<&str>, code: &BTreeSet<&str>) {
    let missing: Vec<_> = code.difference(page).collect();
    let invented: Vec<_> = page.difference(code).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "{what}: without an entry: {missing:?}; without a row: {invented:?}"
    );
}

/// The first text of each row of a table in a source file.
fn table<'a>(source: &'a str, start: &str, least: usize) -> BTreeSet<&'a str> {
    let from = source
        .find(start)
        .unwrap_or_else(|| panic!("no '{start}' in the source"));
    let rest = &source[from..];
    let rest = &rest[..rest.find("\n];").unwrap_or(rest.len())];
    let out: BTreeSet<&str> = rest
        .lines()
        .skip(1)
        .filter_map(|line| {
            let line = line.trim_start();
            let line = line.trim_start_matches("row").trim_start_matches("entry");
            line.strip_prefix("(\"")?.split('"').next()
        })
        .collect();
    assert!(out.len() >= least, "'{start}' gave only {out:?}");
    out
}

#[test]
fn the_command_line_is_described() {
    let text = read("man/oneloop.1");
    let page = entries(&text);
    let described = under(&page, "OPTIONS", "");
    let known = cli::OPTIONS.iter().filter(|row| row.supported());
    same("options", &described, &known.map(|row| row.name).collect());
    let lacking = text
        .lines()
        .find(|line| line.starts_with(".BR -de"))
        .expect("the list of options that are not implemented");
    let lacking: BTreeSet<String> = arguments(&lacking[4..])
        .into_iter()
        .filter(|word| word.starts_with('-'))
        .collect();
    let known = cli::OPTIONS.iter().filter(|row| !row.supported());
    let known: BTreeSet<&str> = known.map(|row| row.name).collect();
    same(
        "options that are not implemented",
        &lacking.iter().map(String::as_str).collect(),
        &known,
    );
}

#[test]
fn runtime_commands_are_described() {
    let text = read("man/oneloop.1");
    let page = entries(&text);
    let source = read("src/admin/command.rs");
    let mut known = table(&source, "const ALWAYS", 3);
    known.extend(command::TABLE.iter().map(|entry| entry.name));
    same(
        "runtime commands",
        &under(&page, "RUNTIME SOCKET", ""),
        &known,
    );
    for row in command::TABLE {
        let level = match row.level {
            AccessLevel::User => "[user]",
            AccessLevel::Operator => "[operator]",
            AccessLevel::Admin => "[admin]",
        };
        let entry = page.iter().find(|entry| entry.name == row.name);
        let text = &entry.expect("an entry").text;
        assert!(text.starts_with(level), "{}: {level} in {text}", row.name);
    }
}

#[test]
fn signals_are_described() {
    let page = read("man/oneloop.1");
    let source = read("src/process/signal.rs");
    let tables = &source[..source.find("pub fn install").expect("install")];
    let mut count = 0;
    for part in tables.split("libc::SIG").skip(1) {
        let end = part.find(|letter: char| !letter.is_ascii_alphanumeric());
        let name = format!("SIG{}", &part[..end.unwrap_or(part.len())]);
        assert!(page.contains(&name), "oneloop.1 lacks {name}");
        count += 1;
    }
    assert!(count >= 9);
}

#[test]
fn sections_and_keywords_are_described() {
    let text = read("man/oneloop.cfg.5");
    let page = entries(&text);
    let sections: BTreeSet<&str> = Section::ALL.into_iter().map(Section::name).collect();
    same("sections", &under(&page, "DESCRIPTION", ""), &sections);
    let keywords = |taken: fn(&str) -> bool| -> BTreeSet<&str> {
        rows(Class::Keyword)
            .filter(|row| row.status == Status::Supported && taken(row.sections))
            .map(|row| row.name)
            .collect()
    };
    let proxies = keywords(|sections| sections[1..].contains(['X', 'A']));
    same(
        "global keywords",
        &under(&page, "GLOBAL KEYWORDS", ""),
        &keywords(|sections| sections.starts_with('X')),
    );
    let described: BTreeSet<&str> = under(&page, "PROXY KEYWORDS", "")
        .into_iter()
        .map(|name| if name == "log global" { "log" } else { name })
        .collect();
    same("proxy keywords", &described, &proxies);
    for (heading, before, class) in [
        ("STATS IN GLOBAL", "stats ", Class::GlobalStats),
        ("WORDS OF STATS SOCKET", "", Class::StatsSocket),
        ("STATISTICS PAGE", "stats ", Class::ProxyStats),
        ("OPTIONS", "option ", Class::Option),
        ("TIMEOUTS", "timeout ", Class::Timeout),
        ("WORDS OF BIND", "", Class::Bind),
        ("WORDS OF SERVER", "", Class::Server),
        ("HTTP-REQUEST ACTIONS", "http-request ", Class::HttpRequest),
        (
            "HTTP-RESPONSE ACTIONS",
            "http-response ",
            Class::HttpResponse,
        ),
    ] {
        same(heading, &under(&page, heading, before), &supported(class));
    }
}

#[test]
fn entries_name_the_sections_that_take_them() {
    let text = read("man/oneloop.cfg.5");
    for entry in entries(&text) {
        let (class, name) = match entry.heading.as_str() {
            "PROXY KEYWORDS" => (Class::Keyword, entry.name.as_str()),
            "OPTIONS" => (Class::Option, entry.name.trim_start_matches("option ")),
            "TIMEOUTS" => (Class::Timeout, entry.name.trim_start_matches("timeout ")),
            _ => continue,
        };
        let name = if name == "log global" { "log" } else { name };
        let row = rows(class).find(|row| row.name == name).expect("a row");
        let taken: Vec<String> = Section::ALL
            .into_iter()
            .skip(1)
            .filter_map(|section| match row.taken_in(section) {
                b'X' => Some(section.name().to_owned()),
                b'A' => Some(format!("named {}", section.name())),
                _ => None,
            })
            .collect();
        let prefixes = if row.negatable {
            "; prefixes no, default"
        } else {
            ""
        };
        let expected = format!("Sections: {}{prefixes}.", taken.join(", "));
        assert!(
            entry.text.lines().any(|line| line == expected),
            "{name}: expected '{expected}' in:\n{}",
            entry.text
        );
    }
}

#[test]
fn the_rule_language_is_described() {
    let text = read("man/oneloop.cfg.5");
    let page = entries(&text);
    let rules = |file: &str| read(&format!("src/rules/{file}.rs"));
    let (samples, converters, maps) = (rules("samples"), rules("convert"), rules("map"));
    let of_connection = rules("samples/connection");
    let mut samples = table(&samples, "const TABLE", 90);
    samples.extend(table(&of_connection, "const OF_CONNECTION", 9));
    let of_bytes = rules("samples/bytes");
    samples.extend(table(&of_bytes, "const TABLE", 14));
    let mut converters = table(&converters, "const TABLE", 40);
    converters.extend(table(&maps, "const TABLE", 25));
    let (conditions, formats) = (rules("condition"), rules("format"));
    let blocks = read("src/config/blocks.rs");
    // What may be meant by a word that is no algorithm; one of them is refused, one takes a name.
    let balance = read("src/config/balance.rs");
    let meant = balance.split("const NAMES").nth(1).unwrap_or_default();
    let meant = meant.split("];").next().unwrap_or_default().lines();
    let mut algorithms: BTreeSet<&str> = meant
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .collect();
    assert!(algorithms.remove("rdp-cookie") && algorithms.insert("hdr"));
    for (heading, before, rows) in [
        ("SAMPLE FETCHES", "", samples),
        ("CONVERTERS", "", converters),
        (
            "PREDEFINED ACLS",
            "",
            table(&conditions, "const PREDEFINED", 20),
        ),
        (
            "FORMAT VARIABLES",
            "%",
            table(&formats, "const VARIABLES", 55),
        ),
        (
            "CONDITION PREDICATES",
            "",
            table(&blocks, "const PREDICATES", 6),
        ),
        ("BALANCE ALGORITHMS", "", algorithms),
    ] {
        same(heading, &under(&page, heading, before), &rows);
    }
}

#[test]
fn criteria_are_described() {
    let text = read("man/oneloop.cfg.5");
    let page = entries(&text);
    let source = read("src/rules/pattern.rs");
    let methods = table(&source, "const METHODS", 13);
    same(
        "matching methods",
        &under(&page, "MATCHING METHODS", ""),
        &methods,
    );
    let forms = ["beg", "dir", "dom", "end", "len", "reg", "sub"];
    let mut described = BTreeSet::new();
    for name in under(&page, "CRITERIA", "") {
        described.insert(name.to_owned());
        let lone = [
            "method",
            "payload",
            "payload_lv",
            "req_ssl_sni",
            "req_ver",
            "resp_ver",
        ];
        if !lone.contains(&name) {
            described.extend(forms.map(|form| format!("{name}_{form}")));
        }
    }
    same(
        "criteria",
        &described.iter().map(String::as_str).collect(),
        &table(&source, "const KEYWORDS", 60),
    );
}

#[test]
fn pages_are_sound_roff() {
    for path in ["man/oneloop.1", "man/oneloop.cfg.5"] {
        let page = read(path);
        assert!(page.lines().any(|line| line.starts_with(".TH ")), "{path}");
        for (number, line) in page.lines().enumerate() {
            let at = format!("{path}:{}: {line}", number + 1);
            assert!(line.len() <= 130, "{at}");
            assert!(!line.is_empty(), "an empty line is a blank one: {at}");
            assert!(!line.ends_with(' '), "{at}");
            assert!(!line.starts_with('\''), "{at}");
            let quotes = line.matches('"').count();
            let is_comment = line.starts_with(".\\\"");
            assert!(is_comment || quotes.is_multiple_of(2), "{at}");
            let known = [
                ".B", ".BI", ".BR", ".I", ".IB", ".IR", ".RB", ".RI", ".SH", ".SS", ".TH", ".TP",
                ".TQ", ".PP", ".RS", ".RE", ".nf", ".fi", ".br", ".tr",
            ];
            let word = line.split(' ').next().unwrap_or_default();
            let is_macro = line.starts_with('.') && !is_comment;
            assert!(!is_macro || known.contains(&word), "{at}");
        }
    }
}

/// The files of a folder with one of these endings, folders within it included.
fn files(folder: &Path, endings: &[&str], out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, endings, out);
        } else if endings
            .iter()
            .any(|ending| path.to_string_lossy().ends_with(ending))
        {
            out.push(path);
        }
    }
}

/// The anchor of a heading, as code hosts make it.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            _ => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}

fn anchors(document: &str) -> BTreeSet<String> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect()
}

#[test]
fn differences_that_tests_declare_are_told() {
    let known = anchors(&read("docs/differences.md"));
    let mut sources = Vec::new();
    let endings = [".rs", ".cfg", ".suite", ".txt"];
    files(&root().join("src"), &endings, &mut sources);
    files(&root().join("tests"), &endings, &mut sources);
    let mut count = 0;
    for path in sources {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for part in text.split("differences.md#").skip(1) {
            let name: String = part
                .chars()
                .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
                .collect();
            // Without a name it is a program that looks for such a reference.
            if !name.is_empty() {
                assert!(known.contains(&name), "{}: #{name}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 0);
}

/// The map has every folder of the code and every file of the engine, and no others.
#[test]
fn the_map_is_complete() {
    let text = read("docs/architecture.md");
    let named = |from: &str, to: &str| -> BTreeSet<String> {
        let part = text.split(from).nth(1).expect(from);
        let part = part.split(to).next().expect(to);
        part.lines()
            .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
            .flat_map(|cell| cell.split(", "))
            .map(|name| name.trim_matches('`').to_owned())
            .collect()
    };
    let there = |folder: &str, file: bool| -> BTreeSet<String> {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file() == file)
            .map(|path| path.file_stem().unwrap().to_string_lossy().into())
            .collect()
    };
    let folders = named("## The folders", "### `config`");
    assert_eq!(folders, there("src", false));
    let engine = named("### `engine`", "### `net`");
    assert_eq!(engine, there("src/engine", true));
}

/// What stands behind `*Test:*` in the list of differences is a test, a case, a row or a path.
#[test]
fn tests_that_documents_name_exist() {
    let mut paths = Vec::new();
    let endings = [".rs", ".suite", ".cfg"];
    files(&root().join("src"), &endings, &mut paths);
    files(&root().join("tests"), &endings, &mut paths);
    let mut names: BTreeSet<String> = BTreeSet::new();
    for path in paths {
        if path.extension().is_some_and(|ending| ending == "cfg") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into()));
        }
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            let line = line.trim_start();
            // A test function, a case of a suite, a row of a table.
            let test = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split('(').next());
            let case = line.strip_prefix("== case ");
            let row = line.split_once(": ").map(|(name, _)| name);
            names.extend(test.or(case).or(row).map(str::to_owned));
        }
    }
    for (document, least) in [("docs/differences.md", 30), ("docs/security.md", 15)] {
        let text = read(document);
        let mut count = 0;
        for part in text.split("*Test:*").skip(1) {
            let end = part.find("\n\n").into_iter().chain(part.find("\n* "));
            let part = part.get(..end.min().unwrap_or(part.len()));
            for name in part.unwrap_or_default().split('`').skip(1).step_by(2) {
                let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
                let known = names.contains(name) || root().join(name).exists() || target.exists();
                assert!(known, "{document}: no test '{name}'");
                count += 1;
            }
        }
        assert!(count > least, "{document}: {count} tests");
    }
}

#[test]
fn links_lead_somewhere() {
    let documents = ["README.md", "README.ja.md", "CHANGELOG.md"];
    let mut documents: Vec<PathBuf> = documents.map(|name| root().join(name)).into();
    files(&root().join("docs"), &[".md"], &mut documents);
    for path in documents {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.starts_with("http") {
                continue;
            }
            let (file, name) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: {link}", path.display());
            if !name.is_empty() {
                let known = anchors(&fs::read_to_string(&target).unwrap());
                assert!(known.contains(name), "{}: {link}", path.display());
            }
        }
    }
}

#[test]
fn examples_are_valid() {
    let mut examples = Vec::new();
    files(&root().join("examples"), &[".cfg"], &mut examples);
    assert!(examples.len() >= 3);
    for path in examples {
        // Files that an example names are told from the top of the repository.
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with('#'), "{} says what it is", path.display());
        let source = Source {
            name: path.display().to_string(),
            bytes: text.into_bytes(),
        };
        let loaded = load(&[source], &System, &LoadOptions::default());
        let said: Vec<String> = loaded
            .diagnostics
            .list()
            .iter()
            .map(|one| loaded.diagnostics.render(one))
            .collect();
        assert!(said.is_empty(), "{}: {said:?}", path.display());
        assert!(loaded.config.is_some(), "{}", path.display());
    }
}

#[test]
fn names_are_cut_from_their_lines() {
    for (line, expected) in [
        (".B daemon", "daemon"),
        (".B option abortonclose", "option abortonclose"),
        (".BI maxconn \" NUMBER\"", "maxconn"),
        (".BI \"timeout client \" TIME", "timeout client"),
        (".BI hdr( NAME )", "hdr"),
        (".BI -dM \\fR[\\fPBYTE\\fR]\\fP", "-dM"),
        (".BR \"log global\"", "log global"),
    ] {
        assert_eq!(name(line), expected, "{line}");
    }
    assert_eq!(anchor("HTTP/1.0 and `x`, y"), "http10-and-x-y");
}
