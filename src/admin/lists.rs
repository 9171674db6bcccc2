//! Lists of patterns and maps: shown, looked up and changed through the runtime socket.
//!
//! A change is visible to every ACL and lookup that reads the list from the next turn of the loop
//! on. No file is written. The words are HAProxy's; an entry that somebody could not read is
//! refused, by `set map` too. `acl` and `map` name lists of one numbering, each showing its own.

use std::io::Write as _;

use super::command::{Call, Severity};
use crate::config::model::AccessLevel;
use crate::engine::service::{Command, Found, List, ListChange, NewEntry, Outcome, Source, Which};

/// What a command is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Acl,
    Map,
}

impl Kind {
    /// Its name in sentences.
    const fn name(self) -> &'static str {
        match self {
            Self::Acl => "ACL",
            Self::Map => "map",
        }
    }

    /// Whether a command of that kind shows and changes this list.
    fn has(self, list: &List) -> bool {
        match self {
            Self::Acl => list.is_acl(),
            Self::Map => list.is_map,
        }
    }

    /// What is said of a word that names none.
    fn unknown(self) -> String {
        let name = self.name();
        format!("Unknown {name} identifier. Please use #<id> or <file>.")
    }
}

/// Defines the commands of both kinds.
macro_rules! commands {
    ($($command:ident, $acl:ident, $map:ident;)*) => {
        $(
            pub(super) fn $acl(call: &mut Call<'_, '_>) -> Outcome {
                $command(Kind::Acl, call)
            }

            pub(super) fn $map(call: &mut Call<'_, '_>) -> Outcome {
                $command(Kind::Map, call)
            }
        )*
    };
}

commands! {
    show, show_acl, show_map;
    get, get_acl, get_map;
    delete, delete_acl, delete_map;
    clear, clear_acl, clear_map;
    prepare, prepare_acl, prepare_map;
    commit, commit_acl, commit_map;
}

/// The words behind a command's two: a version, if there is one, and the others.
fn arguments<'c>(call: &Call<'c, '_>) -> (Option<&'c str>, &'c [&'c str]) {
    let words = call.words_from(2);
    match words.split_first() {
        Some((first, rest)) if first.starts_with('@') => (first.get(1..), rest),
        _ => (None, words),
    }
}

/// The list that a word names, of any kind: its place and itself.
fn find_any<'a>(call: &Call<'_, 'a>, word: &str) -> Option<(usize, &'a List)> {
    let lists = call.view.lists.all();
    let place = match word.strip_prefix('#') {
        Some(number) => {
            let number = number.parse::<u32>().ok()?;
            lists.iter().position(|list| list.id == number)?
        }
        None => lists.iter().position(|list| list.path() == Some(word))?,
    };
    lists.get(place).map(|list| (place, list))
}

/// The list of a kind that a word names.
fn find<'a>(kind: Kind, call: &Call<'_, 'a>, word: &str) -> Option<(usize, &'a List)> {
    find_any(call, word).filter(|(_, list)| kind.has(list))
}

/// The version that a word means; the one in use without a word, 0 for what is no number.
fn version_of(word: Option<&str>, list: &List) -> u32 {
    word.map_or(list.current, |word| word.parse().unwrap_or(0))
}

/// A key, or a number behind `#0x`.
fn which(word: &str) -> Which<'_> {
    let number = word.strip_prefix("#0x").or_else(|| word.strip_prefix('#'));
    match number.map(|number| u64::from_str_radix(number, 16)) {
        Some(Ok(id)) => Which::Id(id),
        _ => Which::Key(word.as_bytes()),
    }
}

/// `show acl [[@<ver>] <acl>]`, `show map [[@<ver>] <map>]`.
fn show(kind: Kind, call: &mut Call<'_, '_>) -> Outcome {
    let (version, words) = arguments(call);
    let Some(word) = words.first() else {
        if version.is_some() {
            return call.refuse(&kind.unknown());
        }
        return show_all(kind, call);
    };
    let Some((_, list)) = find(kind, call, word) else {
        return call.refuse(&kind.unknown());
    };
    for entry in list.entries(version_of(version, list)) {
        drop(write!(call.out, "{:#x} ", entry.id));
        call.out.extend_from_slice(entry.key);
        if !entry.value.is_empty() {
            call.out.push(b' ');
            call.out.extend_from_slice(entry.value);
        }
        call.out.push(b'\n');
    }
    Outcome::Done
}

fn show_all(kind: Kind, call: &mut Call<'_, '_>) -> Outcome {
    call.out.extend_from_slice(b"# id (file) description\n");
    let lists = call.view.lists.all().iter();
    let mut lists: Vec<&List> = lists.filter(|list| kind.has(list)).collect();
    lists.sort_by_key(|list| list.id);
    for list in lists {
        drop(write!(
            call.out,
            "{} ({}) ",
            list.id,
            list.path().unwrap_or("")
        ));
        match &list.source {
            Source::Words(words) => {
                drop(write!(call.out, "acl '{}'", words.keyword));
                for (file, line) in list.uses.iter().take(1) {
                    drop(write!(call.out, " file '{file}' line {line}"));
                }
            }
            Source::File(path) => {
                drop(write!(call.out, "pattern loaded from file '{path}' used"));
                let by = if list.is_map { "map" } else { "acl" };
                let mut separator = " ";
                for (file, line) in &list.uses {
                    drop(write!(
                        call.out,
                        "{separator}by {by} at file '{file}' line {line}"
                    ));
                    separator = ", ";
                }
            }
        }
        drop(writeln!(
            call.out,
            ". curr_ver={} next_ver={} entry_cnt={}",
            list.current,
            list.next,
            list.all().count()
        ));
    }
    Outcome::Done
}

/// `get acl <acl> <value>`, `get map <map> <key>`; they look into lists of both kinds.
fn get(kind: Kind, call: &mut Call<'_, '_>) -> Outcome {
    let (word, key) = (call.word(2), call.word(3));
    if key.is_empty() {
        let name = kind.name();
        return call.refuse(&format!("Missing {name} identifier and/or key."));
    }
    let Some((_, list)) = find_any(call, word) else {
        return call.refuse(&kind.unknown());
    };
    for found in list.find(key.as_bytes()) {
        write_found(kind, &found, call.out);
    }
    Outcome::Done
}

fn write_found(kind: Kind, found: &Found, out: &mut Vec<u8>) {
    let case = if found.any_case { "in" } else { "" };
    let verb = match kind {
        Kind::Acl => "match",
        Kind::Map => "found",
    };
    let matching = found.matching;
    drop(write!(
        out,
        "type={matching}, case={case}sensitive, {verb}="
    ));
    let Some(hit) = &found.hit else {
        out.extend_from_slice(b"no\n");
        return;
    };
    let index = if hit.is_tree { "tree" } else { "list" };
    drop(write!(out, "yes, idx={index}, "));
    let name = match kind {
        Kind::Acl => "pattern",
        Kind::Map => "key",
    };
    match &hit.entry {
        None => drop(write!(out, "{name}=unknown")),
        Some((key, _)) => {
            drop(write!(out, "{name}=\"{}\"", String::from_utf8_lossy(key)));
        }
    }
    if kind == Kind::Map {
        match (&hit.entry, found.output) {
            (Some((_, value)), Some(output)) => drop(write!(
                out,
                ", value=\"{}\", type=\"{output}\"",
                String::from_utf8_lossy(value)
            )),
            _ => out.extend_from_slice(b", value=none"),
        }
    }
    out.push(b'\n');
}

/// `add acl [@<ver>] <acl> <pattern>`.
pub(super) fn add_acl(call: &mut Call<'_, '_>) -> Outcome {
    let (version, words) = arguments(call);
    let payload = std::mem::take(&mut call.caller.payload);
    let ([_, pattern, ..], true) = (words, payload.is_empty()) else {
        return call.refuse("'add acl' expects two parameters: ACL identifier and pattern.");
    };
    let entries = vec![(pattern.as_bytes().to_vec(), Vec::new())];
    add(Kind::Acl, call, (version, words), entries)
}

/// `add map [@<ver>] <map> <key> <value>`, or pairs as a payload.
pub(super) fn add_map(call: &mut Call<'_, '_>) -> Outcome {
    let (version, words) = arguments(call);
    let payload = std::mem::take(&mut call.caller.payload);
    let pairs = match (words, payload.is_empty()) {
        ([_, key, value, ..], true) => vec![(key.as_bytes().to_vec(), value.as_bytes().to_vec())],
        ([_, ..], false) => match read_payload(&payload) {
            Ok(pairs) => pairs,
            Err(text) => return call.refuse(&text),
        },
        _ => {
            return call.refuse(
                "'add map' expects three parameters (map identifier, key and value) or one \
                 parameter (map identifier) and a payload",
            );
        }
    };
    add(Kind::Map, call, (version, words), pairs)
}

fn add(
    kind: Kind,
    call: &mut Call<'_, '_>,
    (version, words): (Option<&str>, &[&str]),
    entries: Vec<NewEntry>,
) -> Outcome {
    let Some((place, list)) = words.first().and_then(|word| find_any(call, word)) else {
        return call.refuse(&kind.unknown());
    };
    if kind == Kind::Acl && list.is_map {
        return call.refuse(
            "This ACL is shared with a map containing samples. You must use the command \
             'add map' to add values.",
        );
    }
    let version = version_of(version, list);
    if version > list.next {
        let verb = match kind {
            Kind::Acl => "acl",
            Kind::Map => "map",
        };
        return call.refuse(&format!(
            "Version number in the future, please use 'prepare {verb}' before."
        ));
    }
    for (key, value) in &entries {
        if let Err(text) = list.check(key, value) {
            return call.refuse(&text);
        }
    }
    Outcome::Apply(Command::List(place, ListChange::Add(version, entries)))
}

/// The pairs of a payload, one a line.
fn read_payload(payload: &[u8]) -> Result<Vec<NewEntry>, String> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut pairs = Vec::new();
    for line in payload.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_start();
        if line.is_empty() {
            continue;
        }
        let end = line.iter().position(blank).unwrap_or(line.len());
        let (key, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
        let value = rest.trim_ascii_start();
        if value.is_empty() {
            let key = String::from_utf8_lossy(key);
            return Err(format!("Missing value for key '{key}'."));
        }
        pairs.push((key.to_vec(), value.to_vec()));
    }
    Ok(pairs)
}

/// `set map <map> <key>|#<ref> <value>`.
pub(super) fn set_map(call: &mut Call<'_, '_>) -> Outcome {
    let (map, key, value) = (call.word(2), call.word(3), call.word(4));
    if value.is_empty() {
        return call.refuse("'set map' expects three parameters: map identifier, key and value.");
    }
    let Some((place, list)) = find(Kind::Map, call, map) else {
        return call.refuse(&Kind::Map.unknown());
    };
    let which = which(key);
    if !list.has(which) {
        return call.refuse(match which {
            Which::Key(_) => "entry not found.",
            Which::Id(_) => "key or pattern not found.",
        });
    }
    // The key is one that is there: only the value may be wrong.
    let known = list.all().next().map_or(&[][..], |entry| entry.key);
    if let Err(text) = list.check(known, value.as_bytes()) {
        return call.refuse(&text);
    }
    let value = value.as_bytes().to_vec();
    let change = match which {
        Which::Key(key) => ListChange::Set(key.to_vec(), value),
        Which::Id(id) => ListChange::SetOne(id, value),
    };
    Outcome::Apply(Command::List(place, change))
}

/// `del acl <acl> <key>|#<ref>`, `del map <map> <key>|#<ref>`.
fn delete(kind: Kind, call: &mut Call<'_, '_>) -> Outcome {
    let (word, key) = (call.word(2), call.word(3));
    if key.is_empty() {
        let name = kind.name();
        return call.refuse(&format!(
            "This command expects two parameters: {name} identifier and key."
        ));
    }
    let Some((place, list)) = find(kind, call, word) else {
        // HAProxy calls it a map here, whatever was asked for.
        return call.refuse(&Kind::Map.unknown());
    };
    let which = which(key);
    if !list.has(which) {
        return call.refuse("Key not found.");
    }
    let change = match which {
        Which::Key(key) => ListChange::Delete(key.to_vec()),
        Which::Id(id) => ListChange::DeleteOne(id),
    };
    Outcome::Apply(Command::List(place, change))
}

/// `clear acl [@<ver>] <acl>`, `clear map [@<ver>] <map>`.
fn clear(kind: Kind, call: &mut Call<'_, '_>) -> Outcome {
    let (version, words) = arguments(call);
    let Some(word) = words.first() else {
        return call.refuse(&format!("Missing {} identifier.", kind.name()));
    };
    let Some((place, list)) = find(kind, call, word) else {
        return call.refuse(&kind.unknown());
    };
    let version = version_of(version, list);
    Outcome::Apply(Command::List(place, ListChange::Clear(version)))
}

/// `prepare acl <acl>`, `prepare map <map>`.
fn prepare(kind: Kind, call: &mut Call<'_, '_>) -> Outcome {
    let Some((place, list)) = find(kind, call, call.word(2)) else {
        return call.refuse(&kind.unknown());
    };
    let version = list.next.wrapping_add(1);
    call.message(Severity::Info, &format!("New version created: {version}"));
    Outcome::Apply(Command::List(place, ListChange::Prepare))
}

/// `commit acl @<ver> <acl>`, `commit map @<ver> <map>`.
fn commit(kind: Kind, call: &mut Call<'_, '_>) -> Outcome {
    let (Some(version), words) = arguments(call) else {
        return call.refuse("Missing version number.");
    };
    let Some(word) = words.first() else {
        return call.refuse(&format!("Missing {} identifier.", kind.name()));
    };
    let Some((place, list)) = find(kind, call, word) else {
        return call.refuse(&kind.unknown());
    };
    let version = version.parse().unwrap_or(0);
    if version <= list.current || version > list.next {
        return call.refuse("Version number out of range.");
    }
    Outcome::Apply(Command::List(place, ListChange::Commit(version)))
}

/// The level that changing a list takes.
pub(super) const LEVEL: AccessLevel = AccessLevel::Operator;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_pairs_of_lines() {
        let read = |text: &str| read_payload(text.as_bytes());
        let pair = |key: &str, value: &str| (key.into(), value.into());
        assert_eq!(
            read("a b\n c\t d e \n\n"),
            Ok(vec![pair("a", "b"), pair("c", "d e ")])
        );
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(
            read("a b\nc\n"),
            Err("Missing value for key 'c'.".to_owned())
        );
    }

    #[test]
    fn keys_and_numbers() {
        assert_eq!(which("/a"), Which::Key(b"/a"));
        assert_eq!(which("#0x1f"), Which::Id(0x1f));
        assert_eq!(which("#zz"), Which::Key(b"#zz"));
    }
}
