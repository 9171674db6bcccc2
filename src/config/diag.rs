//! Collects what the reading of a configuration has to say and renders it in HAProxy's line form.
//!
//! A `Diagnostic` is a severity, a message in HAProxy 2.6's words, the place it speaks of, and what
//! oneloop adds below it: the source line, a caret under the word, a suggestion. The list keeps the
//! order in which things were found, because that order is part of what people compare.
//!
//! This file never prints and never decides to stop: `process::message` prints, the parser stops.
//! File names appear exactly as the command line gave them.
//!
//! Rejected: a `Result` with the first error (HAProxy reports all errors of a file in one pass),
//! and an error enum per cause (the text is what users and tools know; a type per text buys
//! nothing).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::base::edits::distance;

/// Names a configuration file; an index into `Diagnostics::files`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileId(pub u16);

/// Byte columns `start..end` in a source line, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Where something stands: a file, a line and perhaps a word of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// Line number, from 1.
    pub line: u32,
    /// The line as written, without its end.
    pub source: Arc<[u8]>,
    /// The word meant; `None` speaks of the whole line, which is then shown without a caret.
    pub span: Option<Span>,
}

impl Place {
    /// Narrows the span of a word to its byte `at`, if the word stands in the source as it was
    /// read: plain, or in one pair of quotes without escapes.
    #[must_use]
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    pub fn pointing_at(mut self, word: &[u8], at: Option<usize>) -> Self {
        let (Some(at), Some(span)) = (at, self.span) else {
            return self;
        };
        let written = self.source.get(span.start as usize..span.end as usize);
        let inner = written.and_then(|written| match written {
            [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => Some(inner),
            _ => None,
        });
        let before = if written == Some(word) {
            0
        } else if inner == Some(word) {
            1
        } else {
            return self;
        };
        let at = u32::try_from(at.min(word.len())).unwrap_or(0);
        let start = span.start + before + at;
        self.span = Some(Span {
            start,
            end: start + 1,
        });
        self
    }
}

/// How much a message matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The configuration cannot be used.
    Alert,
    /// It can be used, but something is wrong.
    Warning,
    /// Information (`.notice`).
    Notice,
    /// Only said with `-dD`.
    Diag,
}

/// The words before a message. HAProxy 2.6 is not of one mind about them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lead {
    /// `parsing [FILE:LINE] : `, by far the most common.
    #[default]
    Parsing,
    /// `parsing [FILE:LINE]: `.
    ParsingTight,
    /// `Parsing [FILE:LINE]: ` (duplicate proxies).
    ParsingCapital,
    /// `[FILE:LINE] : ` (servers).
    Place,
    /// `[FILE:LINE] : parsing [FILE:LINE] : ` (servers where none may stand).
    PlaceParsing,
    /// Nothing: the message says by itself where it belongs, or has no place.
    Bare,
}

/// One thing found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// The words put before the message.
    pub lead: Lead,
    /// Where it was found.
    pub place: Option<Place>,
    /// HAProxy's text without the lead; may span lines.
    pub message: String,
    /// Further lines printed after the source line, for example what to write instead.
    pub notes: Vec<String>,
    /// HAProxy reads no further after this error, and its closing line stays away.
    pub aborts: bool,
}

impl Diagnostic {
    /// Adds a line of our own below the source line.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(text.into());
        self
    }

    /// Marks an error after which HAProxy reads no further.
    pub fn abort(&mut self) -> &mut Self {
        self.aborts = true;
        self
    }

    /// Sets the words before the message.
    pub fn lead(&mut self, lead: Lead) -> &mut Self {
        self.lead = lead;
        self
    }

    /// Adds `did you mean 'NAME' maybe ?` when one of `names` is near `word`.
    pub fn suggest<'a>(
        &mut self,
        word: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        if let Some(name) = nearest(word, names) {
            let text = format!("did you mean '{name}' maybe ?");
            self.notes.push(text);
        }
        self
    }
}

/// Everything found so far, in order.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    files: Vec<String>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// What was said so far, taken away; the files stay known.
    pub(super) fn set_aside(&mut self) -> Self {
        let files = self.files.clone();
        let list = Vec::new();
        std::mem::replace(self, Self { files, list })
    }

    /// Registers a file under the name given on the command line.
    pub fn add_file(&mut self, name: &str) -> FileId {
        let id = FileId(u16::try_from(self.files.len()).unwrap_or(u16::MAX));
        self.files.push(name.to_owned());
        id
    }

    /// The name of a file.
    pub fn file_name(&self, file: FileId) -> &str {
        self.files
            .get(usize::from(file.0))
            .map_or("", String::as_str)
    }

    /// An error at a place, led by `parsing [FILE:LINE] : `.
    pub fn alert(&mut self, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Alert, Lead::Parsing, Some(place), message.into())
    }

    /// A warning at a place, led by `parsing [FILE:LINE] : `.
    pub fn warning(&mut self, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.push(
            Severity::Warning,
            Lead::Parsing,
            Some(place),
            message.into(),
        )
    }

    /// An error without a place (or whose text says it by itself).
    pub fn alert_bare(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Alert, Lead::Bare, None, message.into())
    }

    /// A warning without a place.
    pub fn warning_bare(&mut self, message: impl Into<String>) -> &mut Diagnostic {
        self.push(Severity::Warning, Lead::Bare, None, message.into())
    }

    /// Adds a diagnostic of any kind.
    #[expect(clippy::indexing_slicing, reason = "the place was filled just before")]
    pub fn push(
        &mut self,
        severity: Severity,
        lead: Lead,
        place: Option<Place>,
        message: String,
    ) -> &mut Diagnostic {
        let at = self.list.len();
        self.list.push(Diagnostic {
            severity,
            lead,
            place,
            message,
            notes: Vec::new(),
            aborts: false,
        });
        &mut self.list[at]
    }

    /// All that was found, in order.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Marks the errors from the one at `from` on as those that HAProxy reads no further after.
    pub fn abort_from(&mut self, from: usize) {
        for one in self.list.iter_mut().skip(from) {
            one.aborts |= one.severity == Severity::Alert;
        }
    }

    /// How many errors were found.
    pub fn alerts(&self) -> usize {
        self.count(Severity::Alert)
    }

    /// How many warnings were found.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.list
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    }

    /// The text of one diagnostic: message, source line, caret and notes, lines parted by `\n`,
    /// without the severity prefix (that is `process::message`'s).
    pub fn render(&self, one: &Diagnostic) -> String {
        let mut out = String::new();
        if let Some(place) = &one.place {
            let file = self.file_name(place.file);
            let line = place.line;
            let _ = match one.lead {
                Lead::Parsing => write!(out, "parsing [{file}:{line}] : "),
                Lead::ParsingTight => write!(out, "parsing [{file}:{line}]: "),
                Lead::ParsingCapital => write!(out, "Parsing [{file}:{line}]: "),
                Lead::Place => write!(out, "[{file}:{line}] : "),
                Lead::PlaceParsing => write!(out, "[{file}:{line}] : parsing [{file}:{line}] : "),
                Lead::Bare => Ok(()),
            };
        }
        out.push_str(&one.message);
        if let Some(place) = &one.place {
            show_source(place, &mut out);
        }
        for note in &one.notes {
            out.push_str("\n  ");
            out.push_str(note);
        }
        out
    }

    /// Ends a file: says so if it had errors.
    pub fn close_file(&mut self, file: FileId, alerts_before: usize) {
        if self.alerts() > alerts_before {
            let text = format!(
                "Error(s) found in configuration file : {}",
                self.file_name(file)
            );
            self.alert_bare(text);
        }
    }

    /// Ends the whole reading: says so if there were errors, and tells whether there were. Where
    /// HAProxy would have stopped at one of them it says nothing, so nothing is said here.
    pub fn close(&mut self) -> bool {
        let fatal = self.alerts() > 0;
        if fatal && !self.list.iter().any(|one| one.aborts) {
            self.alert_bare("Fatal errors found in configuration.");
        }
        fatal
    }
}

/// How many columns of a source line are shown.
const COLUMNS_MAX: usize = 78;

/// Appends the source line, its leading blanks cut and its control bytes as blanks, and a line of
/// carets under the span. Of a long line the part round the span is shown.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "counts the bytes of a line; the window begins no later than the span"
)]
fn show_source(place: &Place, out: &mut String) {
    let source = &place.source;
    let lead = source
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let tail = source
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let line = source.get(lead..source.len() - tail).unwrap_or(&[]);
    if line.is_empty() {
        return;
    }
    let text: Vec<char> = String::from_utf8_lossy(line)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let column = |byte: u32| {
        let upto = (byte as usize).saturating_sub(lead);
        String::from_utf8_lossy(line.get(..upto).unwrap_or(line))
            .chars()
            .count()
            + upto.saturating_sub(line.len())
    };
    let (start, end) = place
        .span
        .map_or((0, 0), |span| (column(span.start), column(span.end)));
    // The window: from the start if the span fits there, otherwise with some room before it.
    let from = if end <= COLUMNS_MAX {
        0
    } else {
        start.saturating_sub(COLUMNS_MAX / 2)
    };
    let upto = text.len().min(from + COLUMNS_MAX);
    let before = if from > 0 { "..." } else { "" };
    let after = if upto < text.len() { "..." } else { "" };
    out.push_str("\n  ");
    out.push_str(before);
    out.extend(text.get(from..upto).unwrap_or(&[]));
    out.push_str(after);
    if place.span.is_some() {
        let carets = end.min(upto.max(start + 1)).saturating_sub(start).max(1);
        out.push_str("\n  ");
        out.push_str(&" ".repeat(before.len() + start - from));
        out.push_str(&"^".repeat(carets));
    }
}

/// The fewest letters that a word and a suggestion begin with when they share nothing else.
const PREFIX_MIN: usize = 4;

/// The name nearest to `word`, if one is near enough to be what was meant: at most one edit in
/// three letters, where an edit is an insertion, a deletion, a change or a swap of neighbours. Of
/// equally near ones the first with the same first letter wins, then the first. If none is that
/// near, the shortest that `word` begins or that begins `word`, dashes left out.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = bare(word);
    let letters: Vec<char> = word.chars().collect();
    let mut begun: Option<(usize, &'a str)> = None;
    let limit = (letters.len() / 3).max(1);
    let mut best: Option<((usize, bool), &'a str)> = None;
    for name in names {
        let spelled: Vec<char> = name.chars().collect();
        if let Some(distance) = distance(&letters, &spelled, limit) {
            let rank = (distance, letters.first() != spelled.first());
            if distance < spelled.len() && best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, name));
            }
        }
        let other = bare(name);
        let shared = wanted.len().min(other.len());
        let more = wanted.len().abs_diff(other.len());
        if shared >= PREFIX_MIN
            && (wanted.starts_with(&*other) || other.starts_with(&*wanted))
            && begun.is_none_or(|(least, _)| more < least)
        {
            begun = Some((more, name));
        }
    }
    let best = best.map(|(_, name)| name);
    best.or_else(|| begun.map(|(_, name)| name))
}

/// A word without its dashes.
fn bare(text: &str) -> Cow<'_, str> {
    if text.contains(['-', '_']) {
        text.replace(['-', '_'], "").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, span: Option<(u32, u32)>) -> String {
        let mut found = Diagnostics::default();
        let file = found.add_file("/etc/x.cfg");
        let place = Place {
            file,
            line: 9,
            source: source.as_bytes().into(),
            span: span.map(|(start, end)| Span { start, end }),
        };
        found
            .alert(place, "unknown keyword 'bindd'")
            .note("did you mean 'bind' maybe ?");
        found.render(&found.list()[0])
    }

    #[test]
    fn source_caret_and_note_follow_the_message() {
        assert_eq!(
            render("\tbindd\t:80", Some((1, 6))),
            "parsing [/etc/x.cfg:9] : unknown keyword 'bindd'\n  bindd :80\n  ^^^^^\n  did you mean 'bind' maybe ?"
        );
        assert_eq!(
            render("  ä bindd :80 ", Some((5, 10))),
            "parsing [/etc/x.cfg:9] : unknown keyword 'bindd'\n  ä bindd :80\n    ^^^^^\n  did you mean 'bind' maybe ?"
        );
        assert_eq!(
            render("bind", None),
            "parsing [/etc/x.cfg:9] : unknown keyword 'bindd'\n  bind\n  did you mean 'bind' maybe ?"
        );
    }

    #[test]
    fn a_byte_of_a_word_can_be_shown() {
        let table = [
            ("a bcd", &b"bcd"[..], Some(1), (3, 4)),
            ("a bcd", b"bcd", None, (2, 5)),
            ("a bcd", b"bcd", Some(9), (5, 6)),
            ("a \"b c\"", b"b c", Some(1), (4, 5)),
            ("a 'b c'", b"b c", Some(1), (4, 5)),
            ("a \"b\\\"\"", b"b\"", Some(1), (2, 7)),
        ];
        for (source, word, at, (start, end)) in table {
            let place = Place {
                file: FileId(0),
                line: 1,
                source: source.as_bytes().into(),
                span: Some(Span {
                    start: 2,
                    end: u32::try_from(source.len()).unwrap(),
                }),
            };
            let span = place.pointing_at(word, at).span;
            assert_eq!(span, Some(Span { start, end }), "{source}");
        }
    }

    #[test]
    fn long_lines_are_cut_round_the_span() {
        let text = render(
            &format!("{} bad {}", "x".repeat(300), "y".repeat(300)),
            Some((301, 304)),
        );
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1].len(), 2 + COLUMNS_MAX + 6);
        let at = lines[2].find('^').unwrap();
        assert_eq!(&lines[1][at..at + 3], "bad");
        assert!(lines[1].starts_with("  ...x") && lines[1].ends_with("y..."));
    }

    #[test]
    fn near_words_are_found() {
        let names = [
            "bind",
            "balance",
            "backlog",
            "default_backend",
            "check",
            "log",
            "forwardfor",
        ];
        let table = [
            ("bindd", Some("bind")),
            ("chekc", Some("check")),
            ("forwardfr", Some("forwardfor")),
            ("defalt_backend", Some("default_backend")),
            ("default-backend", Some("default_backend")),
            ("zzz", None),
            ("", None),
            ("b", None),
            ("balanec", Some("balance")),
            ("defaultbackend-x", Some("default_backend")),
            ("forward", Some("forwardfor")),
            ("logs", Some("log")),
        ];
        for (word, name) in table {
            assert_eq!(nearest(word, names), name, "{word}");
        }
    }

    #[test]
    fn the_closing_lines_come_only_after_errors() {
        let mut found = Diagnostics::default();
        let file = found.add_file("a.cfg");
        found.warning_bare("w");
        found.close_file(file, 0);
        assert!(!found.close());
        assert_eq!((found.alerts(), found.warnings()), (0, 1));
        found.alert_bare("x");
        found.close_file(file, 0);
        assert!(found.close());
        let texts: Vec<_> = found.list().iter().map(|one| found.render(one)).collect();
        assert_eq!(
            texts[2..],
            [
                "Error(s) found in configuration file : a.cfg",
                "Fatal errors found in configuration."
            ]
        );
    }
}
