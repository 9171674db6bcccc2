//! What the Debian package brings beside the program, against the code and against itself.
//!
//! The completions of bash and zsh and the syntax of vim are made from the tables of options and
//! keywords, so that they cannot lag behind. `UPDATE_EXPECT=1 cargo test --test packaging` writes
//! them anew. The way of a new user stands in two languages, and its commands are the same in both;
//! `tests/debian/run` does them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oneloop::base::version::VERSION;
use oneloop::cli::{CliOption, OPTIONS};
use oneloop::config::keywords::{Class, Section, Status, rows};
use oneloop::config::{LoadOptions, Source, load};
use oneloop::process::host::System;

const BASH: &str = "usr/share/bash-completion/completions/oneloop";
const ZSH: &str = "usr/share/zsh/vendor-completions/_oneloop";
const VIM: &str = "usr/share/vim/vimfiles/syntax/oneloop.vim";

/// Words that vim takes for arguments of `syntax keyword`.
const VIM_ARGUMENTS: &[&str] = &[
    "cchar",
    "conceal",
    "concealends",
    "contained",
    "containedin",
    "contains",
    "display",
    "excludenl",
    "extend",
    "fold",
    "keepend",
    "nextgroup",
    "oneline",
    "skipempty",
    "skipnl",
    "skipwhite",
    "transparent",
];
const VIM_WIDTH: usize = 98;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the package by its installed path.
fn packaged(path: &str) -> PathBuf {
    root().join("packaging/tree").join(path)
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Holds a packaged file to what the tables say, or writes it.
fn same(path: &str, expected: &str) {
    let file = packaged(path);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&file, expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} lags behind the tables: UPDATE_EXPECT=1 cargo test --test packaging"
    );
}

/// What may stand behind an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Files,
    Directories,
    Processes,
    Free,
}

impl Value {
    fn of(row: &CliOption) -> Self {
        match row.value {
            "" => Self::None,
            "<dir>" => Self::Directories,
            "<pid>*" => Self::Processes,
            value
                if ["file", "socket", "bind"]
                    .iter()
                    .any(|word| value.contains(word)) =>
            {
                Self::Files
            }
            _ => Self::Free,
        }
    }
}

/// The options that oneloop takes.
fn options() -> impl Iterator<Item = &'static CliOption> {
    OPTIONS.iter().filter(|row| row.supported())
}

fn names_of(kind: Value) -> String {
    let rows = options().filter(|row| Value::of(row) == kind && !is_prefix(row));
    let names: Vec<&str> = rows.map(|row| row.name).collect();
    names.join(" | ")
}

/// Whether the value stands in the same word.
fn is_prefix(row: &CliOption) -> bool {
    matches!(row.name, "-dM" | "-dK")
}

fn bash() -> String {
    let mut words = String::new();
    for row in options() {
        match row.name {
            "-dK" => words.push_str("-dKcfg -dKall "),
            name => {
                let _ = write!(words, "{name} ");
            }
        }
    }
    let mut processes = String::new();
    if options().any(|row| Value::of(row) == Value::Processes) {
        let _ = write!(
            processes,
            "    {})\n        mapfile -t COMPREPLY < <(compgen -W \"$(pidof oneloop)\" -- \"$word\")\n\
             \x20       return\n        ;;\n",
            names_of(Value::Processes)
        );
    }
    format!(
        "# Completion of oneloop(1) for bash, made from the table of options.\n\
         \n\
         _oneloop() {{\n\
         \x20   local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}\n\
         \x20   local options='{}'\n\
         \x20   case $before in\n\
         \x20   {})\n\
         \x20       mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n\
         \x20       return\n\
         \x20       ;;\n\
         {processes}\
         \x20   {})\n\
         \x20       # Numbers and names: nothing to offer.\n\
         \x20       return\n\
         \x20       ;;\n\
         \x20   esac\n\
         \x20   case $word in\n\
         \x20   -*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\") ;;\n\
         \x20   *) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n\
         \x20   esac\n\
         }}\n\
         complete -o filenames -F _oneloop oneloop\n",
        words.trim_end(),
        names_of(Value::Directories),
        names_of(Value::Free),
    )
}

fn zsh() -> String {
    let mut out = "#compdef oneloop\n# Completion of oneloop(1) for zsh, made from the table of \
                   options.\n\n_arguments \\\n"
        .to_owned();
    for row in options().filter(|row| row.name != "--") {
        let help = row.help.replace('\'', "'\\''");
        let help = help.replace('[', "\\[").replace(']', "\\]");
        let value = row.value.trim_matches(['<', '>', '*', '[', ']']);
        let value = value.replace(['<', '>'], "");
        let action = match Value::of(row) {
            Value::Files => ":_files",
            Value::Directories => ":_directories",
            Value::Processes => ":_pids",
            Value::None | Value::Free => ":",
        };
        let spec = match row.name {
            "-dK" => format!("'-dK-[{help}]:class:(cfg all)'"),
            "-dM" => format!("'-dM-[{help}]::byte:'"),
            // These may come again and again.
            "-f" => format!("'*-f[{help}]:{value}{action}'"),
            name if row.value.is_empty() => format!("'{name}[{help}]'"),
            name => format!("'{name}[{help}]:{value}{action}'"),
        };
        let _ = writeln!(out, "    {spec} \\");
    }
    out.push_str("    '*:configuration:_files'\n");
    out
}

/// The names of a class, those that oneloop takes or those that it refuses.
fn names(class: Class, taken: bool) -> BTreeSet<&'static str> {
    rows(class)
        .filter(|row| (row.status == Status::Supported) == taken)
        .map(|row| row.name)
        .collect()
}

/// `syntax` commands for a group of words.
fn vim_words(out: &mut String, group: &str, words: &BTreeSet<&str>) {
    let start = format!("syntax keyword {group} contained");
    let mut line = start.clone();
    let mut matches = String::new();
    for word in words {
        if VIM_ARGUMENTS.contains(word) || word.contains(['[', ']', '|']) {
            let _ = writeln!(matches, "syntax match {group} contained /\\<{word}\\>/");
            continue;
        }
        if line.len() + word.len() >= VIM_WIDTH {
            let _ = writeln!(out, "{line}");
            line.clone_from(&start);
        }
        let _ = write!(line, " {word}");
    }
    if line.len() > start.len() {
        let _ = writeln!(out, "{line}");
    }
    out.push_str(&matches);
}

fn vim() -> String {
    let mut out = "\" Vim syntax file: oneloop's and HAProxy's configurations.\n\
                   \" Made from the table of keywords. What oneloop does not take is shown as an error.\n\
                   \n\
                   if exists('b:current_syntax')\n\
                   \x20 finish\n\
                   endif\n\
                   syntax case match\n\
                   syntax iskeyword @,48-57,_,-,.\n\
                   \n\
                   \" The first word of a line.\n\
                   syntax match oneloopFirst /^\\s*\\S\\+/ \
                   contains=oneloopSection,oneloopKeyword,oneloopRefused,oneloopComment\n\
                   syntax match oneloopFirst /\\(^\\s*\\(no\\|default\\)\\s\\+\\)\\@<=\\S\\+/ \
                   contains=oneloopKeyword,oneloopRefused\n\
                   syntax keyword oneloopKeyword contained no default\n"
        .to_owned();
    let sections: BTreeSet<&str> = Section::ALL.into_iter().map(Section::name).collect();
    vim_words(&mut out, "oneloopSection", &sections);
    let mut refused = names(Class::Section, false);
    refused.extend(names(Class::Keyword, false));
    let keywords = names(Class::Keyword, true);
    refused.retain(|word| !keywords.contains(word) && !sections.contains(word));
    vim_words(&mut out, "oneloopKeyword", &keywords);
    vim_words(&mut out, "oneloopRefused", &refused);

    for (what, group, class) in [
        ("option", "Option", Class::Option),
        ("timeout", "Timeout", Class::Timeout),
        ("http-request", "Request", Class::HttpRequest),
        ("http-response", "Response", Class::HttpResponse),
    ] {
        let _ = writeln!(
            out,
            "\n\" The word after {what}.\n\
             syntax match oneloop{group}Word /\\(^\\s*\\(\\(no\\|default\\)\\s\\+\\)\\?{what}\\s\\+\\)\
             \\@<=\\S\\+/ contains=oneloop{group},oneloop{group}Refused"
        );
        vim_words(&mut out, &format!("oneloop{group}"), &names(class, true));
        vim_words(
            &mut out,
            &format!("oneloop{group}Refused"),
            &names(class, false),
        );
    }
    for (what, group, class) in [
        ("bind\\s\\+\\S\\+", "Bind", Class::Bind),
        (
            "stats\\s\\+socket\\s\\+\\S\\+",
            "Socket",
            Class::StatsSocket,
        ),
        (
            "\\(server\\s\\+\\S\\+\\s\\+\\S\\+\\|default-server\\)",
            "Server",
            Class::Server,
        ),
    ] {
        let _ = writeln!(
            out,
            "\nsyntax match oneloop{group}Words /\\(^\\s*{what}\\s\\)\\@<=.*$/ \
             contains=oneloop{group},oneloop{group}Refused,oneloopString,oneloopVariable,\
             oneloopNumber,oneloopComment"
        );
        vim_words(&mut out, &format!("oneloop{group}"), &names(class, true));
        vim_words(
            &mut out,
            &format!("oneloop{group}Refused"),
            &names(class, false),
        );
    }
    out.push_str(
        "\nsyntax match oneloopCondition /\\s\\@<=\\(if\\|unless\\)\\s\\@=/\n\
         syntax match oneloopNumber /\\<\\d\\+\\(us\\|ms\\|[smhdkKgG]\\)\\?\\>/\n\
         syntax match oneloopVariable /\\${\\?\\h\\w*\\(-[^}]*\\)\\?}\\?/\n\
         syntax match oneloopSample /%\\[[^]]*\\]/\n\
         syntax region oneloopString start=/\"/ skip=/\\\\\"/ end=/\"/ oneline \
         contains=oneloopVariable,oneloopSample\n\
         syntax region oneloopString start=/'/ end=/'/ oneline contains=oneloopSample\n\
         syntax match oneloopComment /\\(^\\|\\s\\)\\@<=#.*$/\n\
         \n\
         highlight default link oneloopSection Structure\n\
         highlight default link oneloopKeyword Statement\n\
         highlight default link oneloopCondition Conditional\n\
         highlight default link oneloopNumber Number\n\
         highlight default link oneloopVariable PreProc\n\
         highlight default link oneloopSample Special\n\
         highlight default link oneloopString String\n\
         highlight default link oneloopComment Comment\n\
         highlight default link oneloopRefused Error\n",
    );
    for group in [
        "Option", "Timeout", "Request", "Response", "Bind", "Socket", "Server",
    ] {
        let _ = write!(
            out,
            "highlight default link oneloop{group} Type\n\
             highlight default link oneloop{group}Refused Error\n"
        );
    }
    out.push_str("\nlet b:current_syntax = 'oneloop'\n");
    out
}

#[test]
fn completions_and_syntax_are_those_of_the_tables() {
    same(BASH, &bash());
    same(ZSH, &zsh());
    same(VIM, &vim());
}

/// What bash offers for a line, the last word being completed.
fn offered(line: &[&str], directory: &Path) -> BTreeSet<String> {
    let script = bash()
        + "COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _oneloop; \
           printf '%s\\n' \"${COMPREPLY[@]}\"";
    let run = Command::new("bash")
        .args(["--norc", "-c", &script, "bash"])
        .args(line)
        .current_dir(directory)
        .output()
        .expect("bash");
    assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
    let text = String::from_utf8(run.stdout).unwrap();
    let words = text.lines().filter(|line| !line.is_empty());
    words.map(str::to_owned).collect()
}

#[test]
fn bash_offers_options_files_and_directories() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a.cfg"), "").unwrap();
    fs::create_dir(place.path().join("a.d")).unwrap();
    let offer = |line: &[&str]| {
        let words: Vec<String> = offered(line, place.path()).into_iter().collect();
        words.join(" ")
    };
    assert_eq!(offer(&["oneloop", "-c"]), "-c -cc");
    assert_eq!(offer(&["oneloop", "-dK"]), "-dKall -dKcfg");
    assert_eq!(offer(&["oneloop", "-f", "a"]), "a.cfg a.d");
    assert_eq!(offer(&["oneloop", "-C", "a"]), "a.d");
    assert_eq!(offer(&["oneloop", "-n", ""]), "");
    assert_eq!(offer(&["oneloop", "--", "a."]), "a.cfg a.d");
    let all = offered(&["oneloop", "-"], place.path());
    assert_eq!(all.len(), options().count() + 1, "{all:?}");
}

#[test]
fn the_packaged_configuration_is_valid() {
    // The user is made by the package, and the files are where it puts them.
    let text = read("packaging/tree/etc/oneloop/oneloop.cfg");
    let errors = root().join("examples/errors").display().to_string();
    let text = text
        .replace("/etc/oneloop/errors", &errors)
        .replace("user oneloop", "user root")
        .replace("group oneloop", "group root");
    let source = Source {
        name: "oneloop.cfg".into(),
        bytes: text.into_bytes(),
    };
    let loaded = load(&[source], &System, &LoadOptions::default());
    let said: Vec<String> = loaded
        .diagnostics
        .list()
        .iter()
        .map(|one| loaded.diagnostics.render(one))
        .collect();
    assert!(said.is_empty(), "{said:?}");
    assert!(loaded.config.is_some());
}

#[test]
fn the_package_has_the_version_of_the_crate() {
    let changelog = read("packaging/changelog");
    let expected = format!("oneloop ({VERSION}-");
    assert!(changelog.starts_with(&expected), "{expected}");
}

/// The lines of all blocks of code below a heading, up to the next of its level.
fn code_below(document: &str, heading: &str) -> Vec<String> {
    let start = document.find(heading).expect(heading);
    let section = &document[start + heading.len()..];
    let section = section.split("\n## ").next().unwrap_or(section);
    let code = section.lines().filter_map(|line| line.strip_prefix("    "));
    code.map(str::to_owned).collect()
}

#[test]
fn the_new_users_path_is_the_same_in_both_languages() {
    let english = code_below(&read("README.md"), "## On a Debian machine\n");
    let japanese = code_below(&read("README.ja.md"), "## Debian で使う\n");
    assert!(english.len() > 20, "{english:?}");
    assert_eq!(english, japanese);
    let sections = |path: &str| read(path).matches("\n## ").count();
    assert_eq!(sections("README.md"), sections("README.ja.md"));
}
