//! What compiling rules needs from the configuration around them, and how it says what is wrong.
//!
//! Compiling takes the words of a line (bytes: a configuration may hold any) and gives a value or
//! a [`Problem`] that names the word. It asks for files, ACL names and ids through
//! [`Surroundings`], so that this folder opens nothing and knows no other part of the
//! configuration. It must never print and never panic, whatever the words are.
//! Rejected: error enums with a variant a mistake. Messages are HAProxy's, so the text is the
//! value.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::condition::{Acl, AclId};
use super::file::Files;
use crate::base::edits::distance;

/// What HAProxy puts before a message about a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lead {
    /// `parsing [F:L] : `
    #[default]
    Spaced,
    /// `parsing [F:L]: `
    Tight,
    /// `Parsing [F:L]: `
    Capital,
    /// Nothing: the message says where it is.
    Bare,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Index of the offending word in the slice that was compiled.
    pub word: usize,
    /// Offset in that word's bytes, where one byte is to blame.
    pub at: Option<usize>,
    /// HAProxy's words, what follows `lead`.
    pub message: String,
    /// A name that was probably meant; already part of `message` where HAProxy has it there.
    pub suggestion: Option<String>,
    /// What HAProxy puts before the message.
    pub lead: Lead,
    /// The message says by itself what was parsed: `within` adds nothing.
    pub complete: bool,
}

impl Problem {
    /// A problem with a word.
    pub fn new(word: usize, message: impl Into<String>) -> Self {
        Self {
            word,
            at: None,
            message: message.into(),
            suggestion: None,
            lead: Lead::Spaced,
            complete: false,
        }
    }

    /// The same with a text before its message.
    #[must_use]
    pub fn within(mut self, before: impl fmt::Display) -> Self {
        if !self.complete {
            self.message = format!("{before}{}", self.message);
        }
        self
    }

    /// The same without a full stop: HAProxy ends messages of TCP rules without one.
    #[must_use]
    pub(super) fn without_stop(mut self) -> Self {
        if self.message.ends_with('.') {
            self.message.pop();
        }
        self
    }

    /// The same for words that are `by` further right.
    #[must_use]
    pub fn shifted(mut self, by: usize) -> Self {
        self.word = self.word.saturating_add(by);
        self
    }
}

/// What compiling asks of the configuration and the machine.
pub trait Surroundings {
    /// The ACLs of that name that the current proxy has declared so far, in order; the same name
    /// on several lines means any of them.
    fn acls(&self, name: &[u8]) -> &[AclId];
    /// Names that `acls` would know, for suggestions.
    fn acl_names(&self) -> Vec<String>;
    /// The contents of a file (`-f`, `errorfile`, `file`, `lf-file`).
    ///
    /// # Errors
    /// The system's words, such as `No such file or directory`.
    fn read(&self, path: &[u8]) -> Result<Vec<u8>, String>;
    /// A variable of the environment, as `setenv` left it.
    fn variable(&self, name: &[u8]) -> Option<Vec<u8>>;
    /// The id of the proxy of that name that accepts connections, wherever it is declared. A
    /// frontend and a backend may have the same name.
    fn frontend(&self, name: &[u8]) -> Option<u32>;
    /// The id of the proxy of that name that has servers, wherever it is declared.
    fn backend(&self, name: &[u8]) -> Option<u32>;
    /// The id of a server, by backend and name; `None` for the backend means the current proxy.
    fn server(&self, backend: Option<&[u8]>, name: &[u8]) -> Option<u32>;
}

/// Where rules come from and where compiling leaves what it makes on the way.
pub struct Compiler<'a> {
    /// What to ask.
    pub around: &'a dyn Surroundings,
    /// The files of patterns and maps that were named so far.
    pub files: &'a Files,
    /// `Config::acls`: anonymous and predefined ACLs are appended.
    pub acls: &'a mut Vec<Acl>,
    /// Warnings, in the order found; `word` counts as in the slice that was compiled.
    pub warnings: &'a mut Vec<Problem>,
    /// `frontend`, `backend`, `proxy` (a `listen`) or `defaults`, as messages have it.
    pub kind: &'a str,
    /// The section's name.
    pub name: &'a str,
    /// The section may accept connections.
    pub is_frontend: bool,
    /// The line number, for the rules to remember.
    pub line: u32,
    /// `tune.bufsize`, which bounds what errorfiles and other files may hold.
    pub buffer_size: u32,
}

impl Compiler<'_> {
    /// Moves the warnings after the first `before` by `by` words to the right: they were found in
    /// words that stand there in the line.
    pub(super) fn shift_warnings(&mut self, before: usize, by: usize) {
        for warning in self.warnings.iter_mut().skip(before) {
            warning.word = warning.word.saturating_add(by);
        }
    }
}

/// An IPv4 address as `inet_aton` reads it (`10.1` is `10.0.0.1`), or an IPv6 address.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "an address has at most four parts"
)]
pub(super) fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let mut parts = [0_u32; 4];
    let mut count = 0;
    for part in text.split('.') {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *parts.get_mut(count)? = part.parse().ok()?;
        count += 1;
    }
    let (last, leading) = parts.get(..count)?.split_last()?;
    if leading.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 32 - 8 * leading.len() as u32;
    if u64::from(*last) >= 1 << room {
        return None;
    }
    let high = leading
        .iter()
        .enumerate()
        .fold(0, |bits, (n, part)| bits | part << (24 - 8 * n));
    Some(Ipv4Addr::from_bits(high | last).into())
}

/// The name that was probably meant: near enough by insertions, deletions, changes and swaps.
pub(super) fn nearest<'n>(
    word: &[u8],
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    names
        .into_iter()
        .filter_map(|name| {
            let limit = name.len().max(word.len()).div_ceil(4).min(3);
            Some((distance(word, name.as_bytes(), limit)?, name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Bytes around a byte.
pub(super) trait SplitOnce {
    /// What stands before and after the first of these bytes.
    fn split_once_byte(&self, byte: u8) -> Option<(&[u8], &[u8])>;
}

impl SplitOnce for [u8] {
    fn split_once_byte(&self, byte: u8) -> Option<(&[u8], &[u8])> {
        let mut parts = self.splitn(2, |other| *other == byte);
        Some((parts.next()?, parts.next()?))
    }
}

#[cfg(test)]
mod tests;
