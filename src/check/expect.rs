//! What a check expects, and whether what came is that.
//!
//! An expectation on bytes is undecided while more may come and would change the result; one on
//! the head of an HTTP answer is decided with the head. The words about what did not match are
//! HAProxy's.

use std::borrow::Cow;

use super::answer::Answer;
use super::probe::Status;
use crate::rules::fetch::{Buffers, Expression};
use crate::rules::format::Format;
use crate::rules::regex::Regex;
use crate::rules::{Context, unhex};

/// A text of the configuration, or one that is put together each time.
#[derive(Debug)]
pub enum Text {
    /// Always the same.
    Fixed(Box<[u8]>),
    /// A log-format string.
    Format(Format),
}

impl Text {
    /// The text as it is now.
    pub fn render<C: Context>(&self, context: &C, buffers: &mut Buffers) -> Cow<'_, [u8]> {
        match self {
            Self::Fixed(text) => Cow::Borrowed(text),
            Self::Format(format) => {
                let mut text = Vec::new();
                format.render(context, buffers, &mut text);
                Cow::Owned(text)
            }
        }
    }
}

/// How a header's name or value is compared (`-m`).
#[derive(Debug)]
pub enum Compare {
    /// `str`
    Equal(Text),
    /// `beg`
    Begin(Text),
    /// `end`
    End(Text),
    /// `sub`
    Part(Text),
    /// `reg`
    Regex(Regex),
}

impl Compare {
    fn matches<C: Context>(
        &self,
        text: &[u8],
        any_case: bool,
        context: &C,
        buffers: &mut Buffers,
    ) -> bool {
        let lower = |text: &[u8]| match any_case {
            true => text.to_ascii_lowercase(),
            false => text.to_vec(),
        };
        let (Self::Equal(pattern)
        | Self::Begin(pattern)
        | Self::End(pattern)
        | Self::Part(pattern)) = self
        else {
            let Self::Regex(regex) = self else {
                return false;
            };
            // Compiled so that case says nothing, where it says nothing.
            return regex.is_match(text);
        };
        let pattern = lower(&pattern.render(context, buffers));
        let text = lower(text);
        match self {
            Self::Equal(_) => text == pattern,
            Self::Begin(_) => text.starts_with(&pattern),
            Self::End(_) => text.ends_with(&pattern),
            _ => contains(&text, &pattern),
        }
    }
}

/// What is looked for.
#[derive(Debug)]
pub enum Pattern {
    /// `string`
    Text(Box<[u8]>),
    /// `string-lf`
    TextFormat(Format),
    /// `rstring`
    Regex(Regex),
    /// `binary`
    Binary(Box<[u8]>),
    /// `binary-lf`
    BinaryFormat(Format),
    /// `rbinary`: on the hexadecimal form of the bytes.
    BinaryRegex(Regex),
    /// `status`: ranges of codes.
    Codes(Vec<(u32, u32)>),
    /// `rstatus`
    CodeRegex(Regex),
    /// `hdr`, `fhdr`
    Header {
        /// The name.
        name: Compare,
        /// The value, if it is asked for.
        value: Option<Compare>,
        /// Values are not split at commas.
        whole: bool,
    },
}

/// One `expect` rule.
#[derive(Debug)]
pub struct Expect {
    /// It must not match.
    pub negated: bool,
    /// What is looked for.
    pub pattern: Pattern,
    /// `min-recv`; nothing for -1.
    pub least: Option<usize>,
    /// `comment`, its own or that of the rule before.
    pub comment: Option<Box<str>>,
    /// `ok-status`
    pub passed: Option<Status>,
    /// `error-status`
    pub failed: Option<Status>,
    /// `tout-status`
    pub late: Option<Status>,
    /// `on-success`
    pub on_success: Option<Format>,
    /// `on-error`
    pub on_error: Option<Format>,
    /// `status-code`
    pub code: Option<Expression>,
}

impl Expect {
    /// Nothing but a pattern.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            negated: false,
            pattern,
            least: None,
            comment: None,
            passed: None,
            failed: None,
            late: None,
            on_success: None,
            on_error: None,
            code: None,
        }
    }
}

/// What an expectation makes of what has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More is needed.
    Open,
    /// It is as expected.
    Good,
    /// It is not.
    Bad,
    /// The pattern could not be put together; HAProxy's words for it.
    Broken(&'static str),
}

impl Expect {
    /// Judges bytes; `whole` when no more will come.
    pub fn judge<C: Context>(
        &self,
        bytes: &[u8],
        whole: bool,
        context: &C,
        buffers: &mut Buffers,
    ) -> Verdict {
        let mut made = Vec::new();
        let needle: Option<&[u8]> = match &self.pattern {
            Pattern::Text(text) | Pattern::Binary(text) => Some(text),
            Pattern::TextFormat(format) => {
                format.render(context, buffers, &mut made);
                if made.is_empty() {
                    return Verdict::Broken("log-format string evaluated to an empty string");
                }
                Some(&made)
            }
            Pattern::BinaryFormat(format) => {
                let mut digits = Vec::new();
                format.render(context, buffers, &mut digits);
                if digits.is_empty() {
                    return Verdict::Broken("log-format string evaluated to an empty string");
                }
                let Ok(bytes) = unhex(&digits) else {
                    return Verdict::Broken(
                        "Failed to parse hexastring resulting of eval of a log-format string",
                    );
                };
                made = bytes;
                Some(&made)
            }
            _ => None,
        };
        let short = bytes.is_empty()
            || needle.is_some_and(|needle| bytes.len() < needle.len())
            || self.least.is_some_and(|least| bytes.len() < least);
        if short && !whole {
            return Verdict::Open;
        }
        let found = match (&self.pattern, needle) {
            (_, Some(needle)) => contains(bytes, needle),
            (Pattern::Regex(regex), _) => regex.is_match(bytes),
            (Pattern::BinaryRegex(regex), _) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                regex.is_match(digits.as_bytes())
            }
            _ => false,
        };
        match (found, self.negated) {
            (true, negated) if negated => Verdict::Bad,
            (true, _) => Verdict::Good,
            // Where `min-recv` says how much is needed, that much decides.
            (false, _) if !whole && self.least.is_none() => Verdict::Open,
            (false, true) => Verdict::Good,
            (false, false) => Verdict::Bad,
        }
    }

    /// Judges an answer of HTTP.
    pub fn judge_answer<C: Context>(
        &self,
        answer: &Answer<'_>,
        context: &C,
        buffers: &mut Buffers,
    ) -> Verdict {
        let found = match &self.pattern {
            Pattern::Codes(ranges) => ranges
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&answer.code)),
            Pattern::CodeRegex(regex) => regex.is_match(answer.code.to_string().as_bytes()),
            Pattern::Header { name, value, whole } => answer.fields().any(|(field, text)| {
                name.matches(field, true, context, buffers)
                    && value.as_ref().is_none_or(|value| {
                        if *whole {
                            return value.matches(text, false, context, buffers);
                        }
                        text.split(|byte| *byte == b',')
                            .any(|part| value.matches(part.trim_ascii(), false, context, buffers))
                    })
            }),
            _ => {
                if answer.body.is_empty() && answer.complete {
                    return Verdict::Broken("HTTP content check could not find a response body");
                }
                return self.judge(&answer.body, answer.complete, context, buffers);
            }
        };
        if found == self.negated {
            Verdict::Bad
        } else {
            Verdict::Good
        }
    }

    /// Whether it is about the status or a header: what it says of a failure is the reason phrase.
    pub fn is_of_head(&self) -> bool {
        matches!(
            self.pattern,
            Pattern::Codes(_) | Pattern::CodeRegex(_) | Pattern::Header { .. }
        )
    }

    /// The pattern as messages about mismatches name it.
    pub fn write_pattern(&self, out: &mut Vec<u8>) {
        match &self.pattern {
            Pattern::Text(text) => {
                out.push(b'\'');
                out.extend_from_slice(text);
                out.push(b'\'');
            }
            _ => {
                out.push(b'(');
                out.extend_from_slice(self.kind());
                out.push(b')');
            }
        }
    }

    /// The pattern as messages about steps name it.
    pub fn write_step(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"expect ");
        out.extend_from_slice(self.kind());
        if let Pattern::Text(text) | Pattern::Binary(text) = &self.pattern {
            // A NUL ends the text, as in HAProxy.
            let end = text.iter().position(|byte| *byte == 0);
            out.extend_from_slice(b" '");
            out.extend_from_slice(text.get(..end.unwrap_or(text.len())).unwrap_or(text));
            out.push(b'\'');
        }
    }

    fn kind(&self) -> &'static [u8] {
        match &self.pattern {
            Pattern::Text(_) => b"string",
            Pattern::TextFormat(_) => b"log-format string",
            Pattern::Regex(_) => b"regex",
            Pattern::Binary(_) => b"binary",
            Pattern::BinaryFormat(_) => b"log-format binary",
            Pattern::BinaryRegex(_) => b"binary regex",
            Pattern::Codes(_) => b"HTTP status codes",
            Pattern::CodeRegex(_) => b"HTTP status regex",
            Pattern::Header { .. } => b"HTTP header pattern",
        }
    }
}

/// Whether `needle` is somewhere in `bytes`.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || bytes.windows(needle.len()).any(|part| part == needle)
}
