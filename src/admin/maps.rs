//! Maps: shown, looked up and changed through the runtime socket.
//!
//! A change is visible to every lookup of the file from the next turn of the loop on. It lasts as
//! long as the process: no file is written. The words are HAProxy's; a value that a lookup could
//! not read is refused, by `set map` too. Pattern files of ACLs cannot be changed: conditions over
//! them are compiled into one index with all others.

use std::io::Write as _;

use super::command::{Call, Severity};
use crate::config::model::AccessLevel;
use crate::engine::service::{Command, Found, MapChange, MapFile, NewPair, Outcome, Which};

const UNKNOWN: &str = "Unknown map identifier. Please use #<id> or <file>.";

/// The words behind a command's two: a version, if there is one, and the others.
fn arguments<'c>(call: &Call<'c, '_>) -> (Option<&'c str>, &'c [&'c str]) {
    let words = call.words_from(2);
    match words.split_first() {
        Some((first, rest)) if first.starts_with('@') => (first.get(1..), rest),
        _ => (None, words),
    }
}

/// The map that a word names: its place and itself.
fn find<'a>(call: &Call<'_, 'a>, word: &str) -> Option<(usize, &'a MapFile)> {
    let files = call.view.maps.files();
    let place = match word.strip_prefix('#') {
        Some(number) => number.parse().ok()?,
        None => files.iter().position(|file| file.path == word)?,
    };
    files.get(place).map(|file| (place, file))
}

/// The version that a word means; the one in use without a word, 0 for what is no number.
fn version_of(word: Option<&str>, file: &MapFile) -> u32 {
    word.map_or(file.current, |word| word.parse().unwrap_or(0))
}

/// A key, or a number behind `#0x`.
fn which(word: &str) -> Which<'_> {
    let number = word.strip_prefix("#0x").or_else(|| word.strip_prefix('#'));
    match number.map(|number| u64::from_str_radix(number, 16)) {
        Some(Ok(id)) => Which::Id(id),
        _ => Which::Key(word.as_bytes()),
    }
}

/// `show map [[@<ver>] <map>]`.
pub(super) fn show(call: &mut Call<'_, '_>) -> Outcome {
    let (version, words) = arguments(call);
    let Some(word) = words.first() else {
        if version.is_some() {
            return call.refuse(UNKNOWN);
        }
        return list(call);
    };
    let Some((_, file)) = find(call, word) else {
        return call.refuse(UNKNOWN);
    };
    for pair in file.pairs(version_of(version, file)) {
        drop(write!(call.out, "{:#x} ", pair.id));
        call.out.extend_from_slice(pair.key);
        call.out.push(b' ');
        call.out.extend_from_slice(pair.value);
        call.out.push(b'\n');
    }
    Outcome::Done
}

fn list(call: &mut Call<'_, '_>) -> Outcome {
    call.out.extend_from_slice(b"# id (file) description\n");
    for (number, file) in call.view.maps.files().iter().enumerate() {
        let path = &file.path;
        drop(write!(
            call.out,
            "{number} ({path}) pattern loaded from file '{path}' used"
        ));
        let mut separator = " ";
        for (name, line) in &file.uses {
            drop(write!(
                call.out,
                "{separator}by map at file '{name}' line {line}"
            ));
            separator = ", ";
        }
        drop(writeln!(
            call.out,
            ". curr_ver={} next_ver={} entry_cnt={}",
            file.current,
            file.next,
            file.all().count()
        ));
    }
    Outcome::Done
}

/// `get map <map> <key>`.
pub(super) fn get(call: &mut Call<'_, '_>) -> Outcome {
    let (word, key) = (call.word(2), call.word(3));
    if key.is_empty() {
        return call.refuse("Missing map identifier and/or key.");
    }
    let Some((_, file)) = find(call, word) else {
        return call.refuse(UNKNOWN);
    };
    for found in file.find(key.as_bytes()) {
        let Found {
            matching: (matching, is_tree),
            output,
            pair,
        } = found;
        drop(write!(call.out, "type={matching}, case=sensitive, found="));
        match pair {
            None => call.out.extend_from_slice(b"no\n"),
            Some((key, value)) => {
                let index = if is_tree { "tree" } else { "list" };
                drop(writeln!(
                    call.out,
                    "yes, idx={index}, key=\"{}\", value=\"{}\", type=\"{output}\"",
                    String::from_utf8_lossy(&key),
                    String::from_utf8_lossy(&value),
                ));
            }
        }
    }
    Outcome::Done
}

/// `add map [@<ver>] <map> <key> <value>`, or pairs as a payload.
pub(super) fn add(call: &mut Call<'_, '_>) -> Outcome {
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
    let Some((place, file)) = words.first().and_then(|word| find(call, word)) else {
        return call.refuse(UNKNOWN);
    };
    let version = version_of(version, file);
    if version > file.next {
        return call.refuse("Version number in the future, please use 'prepare map' before.");
    }
    for (key, value) in &pairs {
        if let Err(text) = file.check(key, value) {
            return call.refuse(&format!("{text}."));
        }
    }
    Outcome::Apply(Command::Map(place, MapChange::Add(version, pairs)))
}

/// The pairs of a payload, one a line.
fn read_payload(payload: &[u8]) -> Result<Vec<NewPair>, String> {
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
pub(super) fn set(call: &mut Call<'_, '_>) -> Outcome {
    let (map, key, value) = (call.word(2), call.word(3), call.word(4));
    if value.is_empty() {
        return call.refuse("'set map' expects three parameters: map identifier, key and value.");
    }
    let Some((place, file)) = find(call, map) else {
        return call.refuse(UNKNOWN);
    };
    let which = which(key);
    if !file.has(which) {
        return call.refuse(match which {
            Which::Key(_) => "entry not found.",
            Which::Id(_) => "key or pattern not found.",
        });
    }
    // The key is one that is there: only the value may be wrong.
    let known = file.all().next().map_or(&[][..], |pair| pair.key);
    if let Err(text) = file.check(known, value.as_bytes()) {
        return call.refuse(&format!("{text}."));
    }
    let value = value.as_bytes().to_vec();
    let change = match which {
        Which::Key(key) => MapChange::Set(key.to_vec(), value),
        Which::Id(id) => MapChange::SetOne(id, value),
    };
    Outcome::Apply(Command::Map(place, change))
}

/// `del map <map> <key>|#<ref>`.
pub(super) fn delete(call: &mut Call<'_, '_>) -> Outcome {
    let (map, key) = (call.word(2), call.word(3));
    let Some((place, file)) = find(call, map) else {
        return call.refuse(UNKNOWN);
    };
    if key.is_empty() {
        return call.refuse("This command expects two parameters: map identifier and key.");
    }
    let which = which(key);
    if !file.has(which) {
        return call.refuse("Key not found.");
    }
    let change = match which {
        Which::Key(key) => MapChange::Delete(key.to_vec()),
        Which::Id(id) => MapChange::DeleteOne(id),
    };
    Outcome::Apply(Command::Map(place, change))
}

/// `clear map [@<ver>] <map>`.
pub(super) fn clear(call: &mut Call<'_, '_>) -> Outcome {
    let (version, words) = arguments(call);
    let Some(word) = words.first() else {
        return call.refuse("Missing map identifier.");
    };
    let Some((place, file)) = find(call, word) else {
        return call.refuse(UNKNOWN);
    };
    let version = version_of(version, file);
    Outcome::Apply(Command::Map(place, MapChange::Clear(version)))
}

/// `prepare map <map>`.
pub(super) fn prepare(call: &mut Call<'_, '_>) -> Outcome {
    let Some((place, file)) = find(call, call.word(2)) else {
        return call.refuse(UNKNOWN);
    };
    let version = file.next.wrapping_add(1);
    call.message(Severity::Info, &format!("New version created: {version}"));
    Outcome::Apply(Command::Map(place, MapChange::Prepare))
}

/// `commit map @<ver> <map>`.
pub(super) fn commit(call: &mut Call<'_, '_>) -> Outcome {
    let (Some(version), words) = arguments(call) else {
        return call.refuse("Missing version number.");
    };
    let Some(word) = words.first() else {
        return call.refuse("Missing map identifier.");
    };
    let Some((place, file)) = find(call, word) else {
        return call.refuse(UNKNOWN);
    };
    let version = version.parse().unwrap_or(0);
    if version <= file.current || version > file.next {
        return call.refuse("Version number out of range.");
    }
    Outcome::Apply(Command::Map(place, MapChange::Commit(version)))
}

/// The level that changing a map takes.
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
