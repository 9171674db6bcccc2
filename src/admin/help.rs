//! `help`, and the answer to what is no command.
//!
//! The layout is HAProxy's (a column of 40 for the usage, longer ones push the text on); the texts
//! are ours. Which commands are "a better match" is ours too: the words that agree first, then the
//! distance in typing errors.

use std::io::Write as _;

use super::command::{ALWAYS, Entry};
use crate::base::edits::distance;

/// Suggestions at most.
const NEAR_MAX: usize = 5;

/// Appends the answer to `help [words]` but for its empty line: the commands that begin with the
/// words, else those near them, else all.
pub(super) fn write_help(commands: &[Entry], words: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(b"The following commands are valid at this level:\n");
    let near = near(commands, words);
    write_lines(
        if near.is_empty() {
            commands.iter().collect()
        } else {
            near
        },
        out,
    );
}

/// Appends the answer to an unknown command but for its empty line.
pub(super) fn write_unknown(commands: &[Entry], words: &[&str], out: &mut Vec<u8>) {
    let near = near(commands, words);
    if near.is_empty() {
        let text = b"Unknown command. Please enter one of the following commands only:\n";
        out.extend_from_slice(text);
        return write_lines(commands.iter().collect(), out);
    }
    let text = b"Unknown command, but maybe one of the following ones is a better match:\n";
    out.extend_from_slice(text);
    write_lines(near, out);
}

fn write_lines(commands: Vec<&Entry>, out: &mut Vec<u8>) {
    for entry in commands.into_iter().chain(ALWAYS) {
        let usage = format!("{} {}", entry.name, entry.arguments);
        // Writing to a vector does not fail.
        drop(writeln!(out, "  {:<40}: {}", usage.trim_end(), entry.about));
    }
}

/// The commands that the words may have meant, in the table's order.
fn near<'a>(commands: &'a [Entry], words: &[&str]) -> Vec<&'a Entry> {
    if words.is_empty() {
        return Vec::new();
    }
    let begun: Vec<&Entry> = commands
        .iter()
        .filter(|entry| {
            let mut names = entry.name.split(' ');
            words
                .iter()
                .all(|word| names.next().is_none_or(|n| n == *word))
        })
        .collect();
    if !begun.is_empty() {
        return begun;
    }
    let mut scored: Vec<(usize, usize)> = commands
        .iter()
        .enumerate()
        .filter_map(|(index, entry)| Some((score(entry.name, words)?, index)))
        .collect();
    scored.sort_unstable();
    let best = scored.first().map_or(0, |(score, _)| *score);
    let mut kept: Vec<usize> = scored
        .into_iter()
        .filter(|(score, _)| *score <= best.saturating_add(1))
        .take(NEAR_MAX)
        .map(|(_, index)| index)
        .collect();
    kept.sort_unstable();
    kept.into_iter()
        .filter_map(|index| commands.get(index))
        .collect()
}

/// How many typing errors lie between the words and a name; `None` when it cannot be meant.
fn score(name: &str, words: &[&str]) -> Option<usize> {
    let count = name.split(' ').count();
    let given = words
        .iter()
        .take(count)
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    distance(name.as_bytes(), given.as_bytes(), name.len().max(3) / 3)
}

#[cfg(test)]
mod tests {
    use super::super::command::TABLE;
    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        near(TABLE, words).iter().map(|entry| entry.name).collect()
    }

    #[test]
    fn near_commands() {
        let cases: &[(&[&str], &[&str])] = &[
            (
                &["show", "servers"],
                &["show servers conn", "show servers state"],
            ),
            (&["get", "weight"], &["get weight"]),
            (&["show", "infos"], &["show info"]),
            (&["shwo", "info"], &["show info"]),
            (&["show", "stats"], &["show stat"]),
            (&["set", "servers", "b1/s2"], &["set server"]),
            (&["xyzzy"], &[]),
            (&[], &[]),
        ];
        for (words, expected) in cases {
            assert_eq!(names(words), *expected, "{words:?}");
        }
    }

    #[test]
    fn lines_have_haproxys_layout() {
        let mut out = Vec::new();
        write_help(TABLE, &["get", "weight"], &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "The following commands are valid at this level:");
        let usage = "  get weight <bk>/<srv>                   : ";
        assert!(lines[1].starts_with(usage), "{}", lines[1]);
        let ends = ["help [<command>]", "prompt", "quit"];
        for (line, end) in lines[2..].iter().zip(ends) {
            assert!(line.starts_with(&format!("  {end:<40}: ")));
        }
    }
}
