//! The table of every keyword that HAProxy 2.6 knows, and what oneloop does with it.
//!
//! It is the gate of the parser: a line's keyword is looked up here first, with its section, its
//! `no` or `default` prefix and the number of its words. What passes has a handler in `sections` or
//! `lines`; what does not is reported here, in HAProxy's words where HAProxy has them, and as "not
//! implemented by oneloop" where only oneloop lacks it. Nothing is accepted and ignored in silence.
//!
//! Suggestions, the manual page's test and the parity tests all read this table. The test below
//! holds it against what the 2.6.12 binary lists (`-dKcfg`) and takes.
//!
//! Rejected: function pointers in the rows. A `match` on the name in the handler reads better, and
//! the compiler then knows which helpers are used.

use super::diag::{Diagnostics, Lead, nearest};
use super::lexer::Line;

mod table;
#[cfg(test)]
mod tests;

/// A section whose lines the parser reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// `global`.
    Global,
    /// `defaults`.
    Defaults,
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`.
    Listen,
}

impl Section {
    /// All of them, in the order of the columns of `Keyword::sections`.
    pub const ALL: [Self; 5] = [
        Self::Global,
        Self::Defaults,
        Self::Frontend,
        Self::Backend,
        Self::Listen,
    ];

    /// The section's keyword.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Defaults => "defaults",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Listen => "listen",
        }
    }
}

/// Where a line stands: the section and, for proxies, its name (empty for an anonymous `defaults`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope<'a> {
    /// The kind of section.
    pub section: Section,
    /// The name of the proxy.
    pub proxy: &'a str,
}

impl Scope<'_> {
    /// `frontend 'web'`, as messages name it.
    fn label(&self) -> String {
        format!("{} '{}'", self.section.name(), self.proxy)
    }

    /// `backend` in a frontend and `frontend` in a backend: what it is not.
    fn missing(&self) -> &'static str {
        if self.section == Section::Frontend {
            "backend"
        } else {
            "frontend"
        }
    }
}

/// What a table of keywords is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The word that opens a section.
    Section,
    /// The first word of a line.
    Keyword,
    /// The word after `option`.
    Option,
    /// The word after `timeout`.
    Timeout,
    /// A word after `bind ADDRESS`.
    Bind,
    /// A word after `stats socket ADDRESS`.
    StatsSocket,
    /// A word after `server NAME ADDRESS` or `default-server`.
    Server,
    /// The word after `http-request`.
    HttpRequest,
    /// The word after `http-response`.
    HttpResponse,
    /// The word after `stats` in `global`.
    GlobalStats,
    /// The word after `stats` elsewhere.
    ProxyStats,
}

/// What oneloop does with a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It has a handler.
    Supported,
    /// HAProxy has it, oneloop does not; the text says what to do instead, if there is something.
    Refused(&'static str),
    /// HAProxy refuses it too, with this text.
    Obsolete(&'static str),
    /// HAProxy takes it with this warning and does nothing.
    Ignored(&'static str),
}

/// Any number of words.
pub const ANY: u8 = u8::MAX;

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keyword {
    /// The word.
    pub name: &'static str,
    /// What oneloop does with it.
    pub status: Status,
    /// One letter for each of `Section::ALL`: `X` taken; `-` unknown there; `N` not allowed there;
    /// `A` taken in a named `defaults` only; `C` not allowed for want of capability; `I` ignored
    /// there with a warning; `L` ignored with the warning of log formats.
    pub sections: &'static str,
    /// The most words after it; `ANY` where the handler counts.
    pub words_max: u8,
    /// `no` and `default` may stand before it.
    pub negatable: bool,
}

impl Keyword {
    /// How a section takes the keyword: a letter of `sections`.
    pub fn taken_in(&self, section: Section) -> u8 {
        self.sections
            .as_bytes()
            .get(section as usize)
            .copied()
            .unwrap_or(b'-')
    }
}

/// A prefix of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Prefix {
    /// None.
    #[default]
    None,
    /// `no`.
    No,
    /// `default`.
    Default,
}

/// A line that passed the gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// The row of its first word (after the prefix).
    pub keyword: Keyword,
    /// The prefix it had.
    pub prefix: Prefix,
    /// The line without the prefix: word 0 is the keyword.
    pub line: Line,
}

/// What a line that may open a section is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// It opens a section that oneloop reads.
    Section(Section),
    /// It opens a section that oneloop lacks (already reported); its lines are to be skipped.
    Skipped,
    /// It opens no section.
    None,
}

/// Whether a line opens a section.
pub fn opening(line: &Line, found: &mut Diagnostics) -> Opening {
    let word = line.word(0);
    if let Some(section) = Section::ALL.into_iter().find(|one| one.name() == word) {
        return Opening::Section(section);
    }
    match find(Class::Section, &word) {
        None => Opening::None,
        Some(row) => {
            let note = if let Status::Refused(note) = row.status {
                note
            } else {
                ""
            };
            let text = format!("'{word}' sections are not implemented by oneloop.");
            let one = found.alert(line.at(0), text);
            if !note.is_empty() {
                one.note(note);
            }
            Opening::Skipped
        }
    }
}

/// Reports a keyword before the first section.
pub fn out_of_section(line: &Line, found: &mut Diagnostics) {
    let word = line.word(0);
    let names = rows(Class::Section).map(|row| row.name);
    let near = nearest(&word, names.chain(Section::ALL.map(Section::name)));
    let text = format!("unknown keyword '{word}' out of section.");
    let one = found.alert(line.at(0), text).lead(Lead::ParsingTight);
    if let Some(name) = near {
        one.note(format!("did you mean '{name}' maybe ?"));
    }
}

const NEGATION: &str = "negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping.";

/// Looks a line's keyword up for a section. `None`: it was refused or is to be ignored there, and
/// that has been reported.
pub fn admit(scope: Scope<'_>, line: &Line, found: &mut Diagnostics) -> Option<Admitted> {
    let prefix = match &*line.word(0) {
        "no" => Prefix::No,
        "default" => Prefix::Default,
        _ => Prefix::None,
    };
    let bare = if prefix == Prefix::None {
        line.clone()
    } else {
        line.shifted()
    };
    let word = bare.word(0).into_owned();
    let row = find(Class::Keyword, &word);
    if prefix != Prefix::None && !row.is_some_and(|row| row.negatable) {
        found.alert(line.at(0), NEGATION).lead(Lead::ParsingTight);
    }
    let row = row.filter(|row| row.taken_in(scope.section) != b'-');
    let Some(row) = row else {
        report_unknown(scope, &bare, &word, found);
        return None;
    };
    if !taken(scope, &row, &bare, found) {
        return None;
    }
    match row.status {
        Status::Supported => {}
        Status::Refused(note) => {
            let place = scope.section.name();
            let text = format!("'{word}' in '{place}' section is not implemented by oneloop.");
            refuse(found.alert(bare.at(0), text), note);
            return None;
        }
        Status::Obsolete(text) => {
            if scope.section == Section::Global && word == "grace" {
                // The same word: there it is a delay before a soft stop.
                let text = "'grace' in 'global' section is not implemented by oneloop.";
                found.alert(bare.at(0), text);
                return None;
            }
            let text = text.replace('*', &word).replace("ADDRESS", &bare.word(1));
            let one = found.alert(bare.at(0), text);
            if word == "grace" {
                one.lead(Lead::ParsingTight);
            }
            return None;
        }
        Status::Ignored(text) => {
            found.warning(bare.at(0), text).lead(Lead::ParsingTight);
            return None;
        }
    }
    if too_many(&bare, usize::from(row.words_max), found) {
        return None;
    }
    Some(Admitted {
        keyword: row,
        prefix,
        line: bare,
    })
}

/// Reports the first word too many of a line that has more than `max` words after its keyword.
#[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
pub fn too_many(line: &Line, max: usize, found: &mut Diagnostics) -> bool {
    if max == usize::from(ANY) || line.words.len() <= max + 1 {
        return false;
    }
    let extra = line.word(max + 1);
    let text = format!(
        "'{}' cannot handle unexpected argument '{extra}'.",
        line.word(0)
    );
    found.alert(line.at(max + 1), text);
    true
}

fn refuse(one: &mut super::diag::Diagnostic, note: &str) {
    if !note.is_empty() {
        one.note(note);
    }
}

fn report_unknown(scope: Scope<'_>, line: &Line, word: &str, found: &mut Diagnostics) {
    let place = scope.section.name();
    let known = rows(Class::Keyword)
        .filter(|row| row.taken_in(scope.section) != b'-')
        .map(|row| row.name)
        .chain(rows(Class::Section).map(|row| row.name))
        .chain(Section::ALL.map(Section::name));
    let mut text = format!("unknown keyword '{word}' in '{place}' section");
    let elsewhere = find(Class::Keyword, word);
    if elsewhere.is_none()
        && let Some(name) = nearest(word, known)
    {
        text.push_str(&format!("; did you mean '{name}' maybe ?"));
    }
    let one = found.alert(line.at(0), text);
    // HAProxy leaves this out; it is the commonest reason for a keyword that is spelt right.
    if let Some(row) = elsewhere {
        let homes: Vec<&str> = Section::ALL
            .into_iter()
            .filter(|section| matches!(row.taken_in(*section), b'X' | b'A'))
            .map(Section::name)
            .collect();
        one.note(format!("'{word}' belongs in: {}", homes.join(", ")));
    }
}

/// Whether the section takes the keyword; what speaks against it is reported.
fn taken(scope: Scope<'_>, row: &Keyword, line: &Line, found: &mut Diagnostics) -> bool {
    let (name, place) = (row.name, scope.section.name());
    let (label, missing) = (scope.label(), scope.missing());
    match row.taken_in(scope.section) {
        b'N' => {
            let text = format!("'{name}' not allowed in '{place}' section.");
            let one = found.alert(line.at(0), text);
            if name.starts_with("server") {
                one.lead(Lead::Place);
            } else if matches!(name, "description" | "id") {
                one.lead(Lead::ParsingTight);
            }
            one
        }
        b'A' if scope.proxy.is_empty() => found.alert(
            line.at(0),
            format!("'{name}' not allowed in anonymous '{place}' section."),
        ),
        b'C' => found
            .alert(
                line.at(0),
                format!("'{name}' not allowed because {label} has no {missing} capability."),
            )
            .lead(Lead::PlaceParsing),
        b'I' => {
            let hint = match name {
                "fullconn" => " Maybe you want 'maxconn' instead ?",
                "maxconn" => " Maybe you want 'fullconn' instead ?",
                _ => "",
            };
            found.warning(
                line.at(0),
                format!("'{name}' ignored because {label} has no {missing} capability.{hint}"),
            )
        }
        b'L' => found.warning(
            line.at(0),
            format!("{label} : '{name}' directive is ignored in backends."),
        ),
        _ => return true,
    };
    false
}

/// Looks up the option of an admitted `option` line (word 1).
pub fn admit_option(
    scope: Scope<'_>,
    admitted: &Admitted,
    found: &mut Diagnostics,
) -> Option<Keyword> {
    let line = &admitted.line;
    let name = line.word(1).into_owned();
    if name.is_empty() {
        found
            .alert(line.at(1), "'option' expects an option name.")
            .lead(Lead::ParsingTight);
        return None;
    }
    let row = find(Class::Option, &name);
    if let Some(Keyword {
        status: Status::Obsolete(text),
        ..
    }) = row
    {
        found.alert(line.at(1), text).lead(Lead::ParsingTight);
        return None;
    }
    if admitted.prefix != Prefix::None && !row.is_some_and(|row| row.negatable) {
        let text = format!("negation/default is not supported for option '{name}'.");
        found.alert(line.at(1), text).lead(Lead::ParsingTight);
        return None;
    }
    let Some(row) = row else {
        let text = format!("unknown option '{name}'");
        let near = nearest(&name, rows(Class::Option).map(|row| row.name));
        let tail = near.map_or_else(|| ".".to_owned(), |near| meant(near, ';', 'd'));
        found.alert(line.at(1), text + &tail);
        return None;
    };
    let (label, missing) = (scope.label(), scope.missing());
    match row.taken_in(scope.section) {
        b'I' => {
            let text = format!("'{name}' ignored because {label} has no {missing} capability.");
            found.warning(line.at(1), text);
            return None;
        }
        b'L' => {
            let text = format!("{label} : 'option {name}' directive is ignored in backends.");
            found.warning(line.at(1), text);
            return None;
        }
        _ => {}
    }
    if let Status::Refused(note) = row.status {
        let text = format!("'option {name}' is not implemented by oneloop.");
        refuse(found.alert(line.at(1), text), note);
        return None;
    }
    let max = usize::from(row.words_max);
    if row.words_max != ANY && line.words.len() > max + 2 {
        let extra = line.word(max + 2);
        let text = format!("'option {name}' cannot handle unexpected argument '{extra}'.");
        found.alert(line.at(max + 2), text);
        return None;
    }
    Some(row)
}

/// Looks up the timeout of a `timeout` line (word 1).
pub fn admit_timeout(scope: Scope<'_>, line: &Line, found: &mut Diagnostics) -> Option<Keyword> {
    let name = line.word(1).into_owned();
    let Some(row) = find(Class::Timeout, &name) else {
        let text = format!(
            "'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got '{name}')"
        );
        found
            .alert(line.at(1), text)
            .suggest(&name, rows(Class::Timeout).map(|row| row.name));
        return None;
    };
    match row.status {
        Status::Obsolete(text) => {
            found.alert(line.at(1), text);
            return None;
        }
        Status::Refused(note) => {
            let text = format!("'timeout {name}' is not implemented by oneloop.");
            refuse(found.alert(line.at(1), text), note);
            return None;
        }
        _ => {}
    }
    if row.taken_in(scope.section) == b'I' {
        let (label, missing) = (scope.label(), scope.missing());
        let text =
            format!("'timeout {name}' will be ignored because {label} has no {missing} capability");
        found.warning(line.at(1), text);
        return None;
    }
    Some(row)
}

/// Looks up the word at `index` of a line in `Bind`, `StatsSocket`, `Server`, `HttpRequest`,
/// `HttpResponse` or `GlobalStats`. `context` is what messages put before the word:
/// `'bind :80' in section 'frontend'` or `'server b/s'` (empty for `default-server`); the other
/// classes ignore it. An action is looked up by its name up to `(`. `None`: unknown or refused, and
/// reported.
pub fn admit_word(
    class: Class,
    context: &str,
    line: &Line,
    index: usize,
    found: &mut Diagnostics,
) -> Option<Keyword> {
    let whole = line.word(index).into_owned();
    let action = matches!(class, Class::HttpRequest | Class::HttpResponse);
    let cut = if action { whole.find('(') } else { None };
    let word = cut.and_then(|at| whole.get(..at)).unwrap_or(&whole);
    let Some(row) = find(class, word) else {
        let (text, lead) = unknown_word(class, context, word);
        found.alert(line.at(index), text).lead(lead);
        return None;
    };
    if let Status::Refused(note) = row.status {
        let lead = if class == Class::Server {
            Lead::Place
        } else {
            Lead::Parsing
        };
        let what = match class {
            Class::Bind => format!("{context}: '{word}'"),
            Class::Server if !context.is_empty() => format!("{context} : '{word}'"),
            Class::StatsSocket => format!("'stats socket' : '{word}'"),
            Class::HttpRequest => format!("'http-request {word}'"),
            Class::HttpResponse => format!("'http-response {word}'"),
            Class::GlobalStats | Class::ProxyStats => format!("'stats {word}'"),
            _ => format!("'{word}'"),
        };
        let text = format!("{what} is not implemented by oneloop.");
        refuse(found.alert(line.at(index), text).lead(lead), note);
        return None;
    }
    Some(row)
}

/// `; did you mean 'NAME' maybe ?` with HAProxy's varying punctuation.
fn meant(name: &str, before: char, d: char) -> String {
    format!("{before} {d}id you mean '{name}' maybe ?")
}

fn unknown_word(class: Class, context: &str, word: &str) -> (String, Lead) {
    let near = nearest(word, rows(class).map(|row| row.name));
    let tail = |before, d| near.map_or_else(|| ".".to_owned(), |name| meant(name, before, d));
    match class {
        Class::Server if context.is_empty() => {
            let hint = " Hint: no address was expected for this server.";
            (
                format!("unknown keyword '{word}'{}{hint}", tail(';', 'd')),
                Lead::Place,
            )
        }
        Class::Server => (
            format!("{context} : unknown keyword '{word}'{}", tail(';', 'd')),
            Lead::Place,
        ),
        Class::Bind => (
            format!("{context}: unknown keyword '{word}'{}", tail(';', 'd')),
            Lead::Parsing,
        ),
        Class::StatsSocket => (
            format!(
                "'stats socket' : unknown keyword '{word}'{}",
                tail('.', 'D')
            ),
            Lead::Parsing,
        ),
        Class::ProxyStats => {
            let expects = "expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', 'show-node', 'show-desc' or 'show-legends'.";
            let text = match word {
                "" => format!("missing keyword in 'stats', {expects}"),
                _ => format!("unknown stats parameter '{word}', {expects}"),
            };
            (text, Lead::ParsingTight)
        }
        Class::GlobalStats => (
            format!(
                "'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got '{word}')"
            ),
            Lead::Parsing,
        ),
        _ => {
            let (rule, actions) = if class == Class::HttpRequest {
                ("http-request", table::REQUEST_ACTIONS)
            } else {
                ("http-response", table::RESPONSE_ACTIONS)
            };
            // The whole list, as in HAProxy: what oneloop lacks of it is named when it is used.
            let names: Vec<&str> = actions.split_ascii_whitespace().collect();
            let names = names.join("', '");
            let tail = if word.is_empty() {
                " (missing argument).".to_owned()
            } else {
                tail('.', 'D')
            };
            (
                format!("'{rule}' expects '{names}', but got '{word}'{tail}"),
                Lead::ParsingTight,
            )
        }
    }
}

/// Every keyword that oneloop does, in the form of HAProxy's `-dKcfg`: sections, and below them
/// their keywords, `+1` for a value.
pub fn list() -> String {
    let mut out = "# List of registered configuration keywords:\n".to_owned();
    for section in [Section::Global, Section::Listen] {
        out.push_str(section.name());
        out.push('\n');
        let classes: &[(Class, &str)] = match section {
            Section::Global => &[
                (Class::Keyword, ""),
                (Class::GlobalStats, "stats "),
                (Class::StatsSocket, "stats socket <addr> "),
            ],
            _ => &[
                (Class::Keyword, ""),
                (Class::Option, "option "),
                (Class::Timeout, "timeout "),
                (Class::Bind, "bind <addr> "),
                (Class::Server, "server <name> <addr> "),
                (Class::ProxyStats, "stats "),
                (Class::HttpRequest, "http-request "),
                (Class::HttpResponse, "http-response "),
            ],
        };
        for (class, before) in classes {
            for row in rows(*class) {
                let here = row.taken_in(section) == b'X' && row.status == Status::Supported;
                let value = if row.words_max == 1 { " +1" } else { "" };
                if here {
                    out.push_str(&format!("\t{before}{}{value}\n", row.name));
                }
            }
        }
    }
    out
}

/// The row of a word in a class.
pub fn find(class: Class, word: &str) -> Option<Keyword> {
    if word.is_empty() || word.contains(' ') {
        return None;
    }
    rows(class).find(|row| row.name == word)
}

/// The rows of a class, in the order of the table.
pub fn rows(class: Class) -> impl Iterator<Item = Keyword> {
    let groups = match class {
        Class::Section => table::SECTIONS,
        Class::Keyword => table::KEYWORDS,
        Class::Option => table::OPTIONS,
        Class::Timeout => table::TIMEOUTS,
        Class::Bind => table::BIND,
        Class::StatsSocket => table::STATS_SOCKET,
        Class::Server => table::SERVER,
        Class::HttpRequest => table::HTTP_REQUEST,
        Class::HttpResponse => table::HTTP_RESPONSE,
        Class::GlobalStats => table::GLOBAL_STATS,
        Class::ProxyStats => table::PROXY_STATS,
    };
    groups.iter().flat_map(|group| {
        group
            .names
            .split_ascii_whitespace()
            .map(|name| Keyword { name, ..group.row })
    })
}
