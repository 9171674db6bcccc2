//! The table of every keyword that HAProxy 2.6 knows, and what oneloop does with it.
//!
//! It is the gate of the parser: a line's keyword is looked up here first, with its section, its
//! `no` or `default` prefix and the number of its words. What passes has a handler in `sections` or
//! `lines`; what does not is reported here, in HAProxy's words where HAProxy has them, and as "not
//! implemented by oneloop" where only oneloop lacks it. Nothing is accepted and ignored in silence.
//!
//! Suggestions, the manual page's test and the parity tests all read this table.

use super::diag::Diagnostics;
use super::lexer::Line;

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

/// What a table of keywords is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The first word of a line.
    Keyword,
    /// The word after `option`.
    Option,
    /// The word after `timeout`.
    Timeout,
    /// A word after `bind ADDRESS`.
    Bind,
    /// A word after `server NAME ADDRESS`.
    Server,
    /// The word after `http-request`.
    HttpRequest,
    /// The word after `http-response`.
    HttpResponse,
    /// The word after `tcp-request`.
    TcpRequest,
    /// The word after `stats` in `global`.
    GlobalStats,
}

/// What oneloop does with a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It has a handler.
    Supported,
    /// HAProxy has it, oneloop does not; the text says what to do, and may be empty.
    Refused(&'static str),
    /// HAProxy refuses it too, with this text.
    Obsolete(&'static str),
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

/// One row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keyword {
    /// The word.
    pub name: &'static str,
    /// What oneloop does with it.
    pub status: Status,
    /// Sections where HAProxy takes it, as bits of `1 << Section`.
    pub sections: u8,
}

/// A line that passed the gate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// The row of its first word (after the prefix).
    pub keyword: &'static Keyword,
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
    let _ = (line, found);
    Opening::None
}

/// Looks a line's keyword up for a section. `None`: it was refused or is to be ignored there, and
/// that has been reported.
pub fn admit(section: Section, line: &Line, found: &mut Diagnostics) -> Option<Admitted> {
    let _ = (section, line, found);
    None
}

/// Looks up the word at `index` of a line in one class (an option, a server keyword, an action).
/// `None`: unknown or refused, and reported with a suggestion in HAProxy's words for that class.
pub fn admit_word(
    class: Class,
    line: &Line,
    index: usize,
    found: &mut Diagnostics,
) -> Option<&'static Keyword> {
    let _ = (class, line, index, found);
    None
}

/// The rows of a class.
pub fn rows(class: Class) -> &'static [Keyword] {
    let _ = class;
    &[]
}
