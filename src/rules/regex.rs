//! Regular expressions as configurations write them, run by the `regex` crate in linear time.
//!
//! HAProxy is usually built with PCRE. This file reads that syntax, says what is wrong with it in
//! PCRE's words and positions, refuses by name what a linear-time engine cannot do
//! (back-references, look-around, atomic groups, possessive quantifiers), and rewrites the few
//! things that the two read differently: brackets inside classes, braces that repeat nothing,
//! `\h`, `\Q..\E`, escaped angle brackets, octal numbers. Bytes are bytes: Unicode is off.
//! It must never change what an accepted expression matches.
//! Rejected: handing patterns on unread, because `[[]` or `&&` would silently mean something else.

use std::cell::Cell;
use std::fmt;

use regex::bytes::{CaptureLocations, RegexBuilder};

use super::codec::hex_byte;
use super::compile::SplitOnce as _;
use super::straight::Straight;

/// Groups that a replacement can name: `\0` to `\9`.
pub(super) const GROUPS: usize = 10;

/// Where the groups of a match are; `None` for a group that took no part.
pub(super) type Groups = [Option<(usize, usize)>; GROUPS];

/// A compiled regular expression.
pub struct Regex {
    regex: regex::bytes::Regex,
    /// The same, when it is simple.
    straight: Option<Straight>,
    /// Made at load and lent to one search at a time, so that searches allocate nothing.
    locations: Cell<Option<CaptureLocations>>,
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Regex").field(&self.regex.as_str()).finish()
    }
}

/// What is wrong with a pattern.
#[derive(Debug, PartialEq, Eq)]
pub struct RegexError {
    /// The pattern, for the message.
    pattern: String,
    /// PCRE's words, or ours for what is not supported.
    error: String,
    /// Offset of the offending byte.
    pub offset: usize,
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pattern,
            error,
            offset,
        } = self;
        write!(
            f,
            "regex '{pattern}' is invalid (error={error}, erroffset={offset})"
        )
    }
}

impl Regex {
    /// Compiles a pattern; without regard to case if asked.
    ///
    /// # Errors
    /// What is wrong with it, in PCRE's words.
    pub fn compile(pattern: &[u8], any_case: bool) -> Result<Self, RegexError> {
        let wrong = |(error, offset): (String, usize)| RegexError {
            pattern: String::from_utf8_lossy(pattern).into_owned(),
            error,
            offset,
        };
        let translated = translate(pattern).map_err(wrong)?;
        let regex = RegexBuilder::new(&translated)
            .unicode(false)
            .case_insensitive(any_case)
            .build()
            .map_err(|error| wrong((describe(&error), pattern.len())))?;
        let locations = Cell::new(Some(regex.capture_locations()));
        let straight = Straight::read(pattern).filter(|_| !any_case);
        Ok(Self {
            regex,
            straight,
            locations,
        })
    }

    /// Whether the text has a match anywhere.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The groups of the first match from `start` on; anchors see the whole text.
    pub(super) fn captures(&self, text: &[u8], start: usize) -> Option<Groups> {
        let straight = self.straight.as_ref();
        if let Some(found) = straight.and_then(|straight| straight.captures(text, start)) {
            return found;
        }
        let mut locations = self
            .locations
            .take()
            .unwrap_or_else(|| self.regex.capture_locations());
        let found = self
            .regex
            .captures_read_at(&mut locations, text, start)
            .is_some();
        let groups = found.then(|| std::array::from_fn(|index| locations.get(index)));
        self.locations.set(Some(locations));
        groups
    }
}

/// Appends a replacement: `\0` to `\9` stand for groups, `\xNN` for a byte, a backslash before
/// anything else for that character.
pub(super) fn expand(replacement: &[u8], text: &[u8], groups: &Groups, out: &mut Vec<u8>) {
    let mut rest = replacement;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&next, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        match next {
            b'0'..=b'9' => {
                let group = groups.get(usize::from(next & 15)).copied().flatten();
                if let Some((start, end)) = group {
                    out.extend_from_slice(text.get(start..end).unwrap_or_default());
                }
            }
            b'x' => {
                let number = rest.split_at_checked(2);
                match number.and_then(|(digits, after)| Some((hex_byte(digits)?, after))) {
                    Some((value, after)) => {
                        out.push(value);
                        rest = after;
                    }
                    None => out.push(b'x'),
                }
            }
            _ => out.push(next),
        }
    }
}

/// Whether a replacement is well formed: nothing is missing behind a backslash or `\x`.
pub(super) fn is_replacement(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after.split_first()) {
            (b'\\', None) => return false,
            (b'\\', Some((b'x', after))) => match after.split_at_checked(2) {
                Some((digits, after)) if hex_byte(digits).is_some() => after,
                _ => return false,
            },
            (b'\\', Some((_, after))) => after,
            _ => after,
        };
    }
    true
}

/// The last line of the crate's message, without its picture of the pattern.
fn describe(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "regular expression is too large".to_owned(),
        _ => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

/// Rewrites a PCRE pattern for the crate, or says what is wrong with it and where.
fn translate(pattern: &[u8]) -> Result<String, (String, usize)> {
    let mut reader = Reader {
        pattern,
        at: 0,
        out: String::with_capacity(pattern.len()),
        open: 0,
        repeatable: false,
    };
    while let Some(&byte) = pattern.get(reader.at) {
        reader.item(byte)?;
    }
    if reader.open > 0 {
        return Err(("missing closing parenthesis".to_owned(), pattern.len()));
    }
    Ok(reader.out)
}

/// A walk over a pattern.
struct Reader<'a> {
    pattern: &'a [u8],
    at: usize,
    out: String,
    /// Groups that are open.
    open: usize,
    /// Something stands before the current place that a quantifier can repeat.
    repeatable: bool,
}

impl<'a> Reader<'a> {
    fn ahead(&self, text: &[u8]) -> bool {
        self.pattern
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(text))
    }

    /// The place `count` bytes further right.
    fn past(&self, count: usize) -> usize {
        self.at.saturating_add(count)
    }

    /// What stands there.
    fn from(&self, count: usize) -> &'a [u8] {
        self.pattern.get(self.past(count)..).unwrap_or_default()
    }

    /// The byte there.
    fn peek(&self, count: usize) -> Option<u8> {
        self.from(count).first().copied()
    }

    /// Copies `count` bytes that mean the same in both syntaxes.
    fn copy(&mut self, count: usize) {
        for byte in self.pattern.iter().skip(self.at).take(count) {
            self.out.push(char::from(*byte));
        }
        self.at = self.past(count);
    }

    /// Writes one byte that stands for itself.
    fn literal(&mut self, byte: u8) {
        use fmt::Write as _;
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            self.out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(self.out, "\\x{byte:02X}");
        }
    }

    fn item(&mut self, byte: u8) -> Result<(), (String, usize)> {
        match byte {
            b'\\' => return self.escape(),
            b'[' => return self.class(),
            b'(' => return self.group(),
            b')' => {
                if self.open == 0 {
                    return Err(("unmatched closing parenthesis".to_owned(), self.at));
                }
                self.open = self.open.saturating_sub(1);
                self.copy(1);
                self.repeatable = true;
            }
            b'*' | b'+' | b'?' => return self.quantifier(1),
            b'{' => match self.braces()? {
                Some(length) => return self.quantifier(length),
                None => {
                    self.out.push_str("\\{");
                    self.at = self.past(1);
                    self.repeatable = true;
                }
            },
            b'^' | b'|' | b'$' => {
                self.copy(1);
                self.repeatable = false;
            }
            b'.' => {
                self.copy(1);
                self.repeatable = true;
            }
            _ => {
                self.literal(byte);
                self.at = self.past(1);
                self.repeatable = true;
            }
        }
        Ok(())
    }

    /// Length of `{n}`, `{n,}` or `{n,m}` here; other braces stand for themselves.
    fn braces(&self) -> Result<Option<usize>, (String, usize)> {
        // Looking no further than digits go keeps many open braces linear.
        let rest = self.from(1);
        let end = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b',')
            .count();
        let (inside, after) = rest.split_at_checked(end).unwrap_or_default();
        if after.first() != Some(&b'}') {
            return Ok(None);
        }
        let (low, high) = match inside.split_once_byte(b',') {
            Some((low, high)) => (low, Some(high)),
            None => (inside, None),
        };
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        if low.is_empty() || !digits(low) || !high.is_none_or(digits) {
            return Ok(None);
        }
        let number = |text: &[u8]| {
            let number = super::fetch::leading_int(text).unwrap_or_default();
            let too_big = || "number too big in {} quantifier".to_owned();
            u16::try_from(number).map_err(|_| (too_big(), self.past(end).saturating_add(1)))
        };
        let (low, high) = match high {
            None | Some(b"") => (number(low)?, u16::MAX),
            Some(high) => (number(low)?, number(high)?),
        };
        if low > high {
            let text = "numbers out of order in {} quantifier";
            return Err((text.to_owned(), self.past(end).saturating_add(1)));
        }
        Ok(Some(end.saturating_add(2)))
    }

    /// A quantifier of that length; it makes what it repeats unrepeatable.
    fn quantifier(&mut self, length: usize) -> Result<(), (String, usize)> {
        if !std::mem::take(&mut self.repeatable) {
            let text = "quantifier does not follow a repeatable item";
            return Err((text.to_owned(), self.at));
        }
        self.copy(length);
        if self.ahead(b"+") {
            let plus = self.at;
            self.at = self.past(1);
            return match self.pattern.get(self.at) {
                Some(b'*' | b'+' | b'?') => self.quantifier(1),
                _ => Err(unsupported("possessive quantifiers", plus)),
            };
        }
        if self.ahead(b"?") {
            self.copy(1);
        }
        Ok(())
    }

    fn group(&mut self) -> Result<(), (String, usize)> {
        let at = self.at;
        self.open = self.open.saturating_add(1);
        self.repeatable = false;
        for (start, what) in [
            (&b"(?="[..], "look-ahead assertions"),
            (b"(?!", "look-ahead assertions"),
            (b"(?<=", "look-behind assertions"),
            (b"(?<!", "look-behind assertions"),
            (b"(?>", "atomic groups"),
            (b"(?|", "branch reset groups"),
            (b"(?(", "conditional groups"),
            (b"(?R", "recursion"),
            (b"(?&", "recursion"),
            (b"(?P>", "recursion"),
            (b"(?P=", "back-references"),
        ] {
            if self.ahead(start) {
                return Err(unsupported(what, at));
            }
        }
        if self.ahead(b"(?#") {
            let rest = self.pattern.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b')') else {
                let text = "missing ) after (?# comment";
                return Err((text.to_owned(), self.pattern.len()));
            };
            self.at = self.past(end).saturating_add(1);
            self.open = self.open.saturating_sub(1);
            return Ok(());
        }
        let verb = self.peek(2).is_some_and(|byte| byte.is_ascii_uppercase());
        if self.ahead(b"(*") && verb {
            return Err(unsupported("backtracking verbs", at));
        }
        if self.ahead(b"(?") {
            return self.special_group();
        }
        self.copy(1);
        Ok(())
    }

    /// Flags, or a group that has flags or a name: copied up to the end of the opening.
    fn special_group(&mut self) -> Result<(), (String, usize)> {
        let rest = self.from(2);
        let named = rest.starts_with(b"<") || rest.starts_with(b"P<");
        let stops: &[u8] = if named { b">" } else { b":)" };
        let end = rest.iter().position(|byte| stops.contains(byte));
        let before = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if named {
            let Some(end) = end else {
                let text = "syntax error in subpattern name (missing terminator?)";
                return Err((text.to_owned(), self.pattern.len()));
            };
            self.copy(end.saturating_add(3));
            return Ok(());
        }
        if let Some(bad) = before.iter().position(|byte| !b"imsxU-".contains(byte)) {
            let text = "unrecognized character after (? or (?-";
            return Err((text.to_owned(), self.past(bad).saturating_add(2)));
        }
        let Some(end) = end else {
            let text = "missing closing parenthesis";
            return Err((text.to_owned(), self.pattern.len()));
        };
        if rest.get(end) == Some(&b')') {
            self.open = self.open.saturating_sub(1);
        }
        self.copy(end.saturating_add(3));
        Ok(())
    }

    /// An escape outside of a class.
    fn escape(&mut self) -> Result<(), (String, usize)> {
        let Some(next) = self.peek(1) else {
            return Err(("\\ at end of pattern".to_owned(), self.pattern.len()));
        };
        self.repeatable = true;
        match next {
            b'1'..=b'9' | b'k' | b'g' => return Err(unsupported("back-references", self.at)),
            b'K' => return Err(unsupported("\\K escapes", self.at)),
            b'R' | b'X' | b'C' | b'G' | b'p' | b'P' | b'c' => {
                let name = format!("\\{} escapes", char::from(next));
                return Err(unsupported(&name, self.at));
            }
            b'Q' => {
                let rest = self.from(2);
                let end = rest.windows(2).position(|pair| pair == b"\\E");
                let quoted = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                let from = self.past(2).saturating_add(quoted.len());
                for byte in quoted {
                    self.literal(*byte);
                }
                self.at = from.saturating_add(if end.is_some() { 2 } else { 0 });
            }
            b'E' => self.at = self.past(2),
            b'Z' => {
                self.out.push_str("(?:\\n?\\z)");
                self.at = self.past(2);
            }
            b'h' => self.replace("[ \\t]"),
            b'H' => self.replace("[^ \\t]"),
            b'N' => self.replace("[^\\n]"),
            b'b' | b'B' | b'A' | b'z' => {
                self.copy(2);
                self.repeatable = false;
            }
            _ => return self.escaped(next),
        }
        Ok(())
    }

    fn replace(&mut self, by: &str) {
        self.out.push_str(by);
        self.at = self.past(2);
    }

    /// An escape that stands for a byte or a class of bytes, inside a class or not.
    fn escaped(&mut self, next: u8) -> Result<(), (String, usize)> {
        match next {
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'n' | b'r' | b't' | b'f' | b'a' => {
                self.copy(2);
            }
            b'v' => self.replace("\\x0B\\x0C\\x0A\\x0D"),
            b'e' => self.replace("\\x1B"),
            b'x' => {
                let digits = self.from(2);
                let (digits, length) = match digits.split_first() {
                    Some((b'{', rest)) => {
                        let end = rest.iter().position(|byte| *byte == b'}');
                        let end = end.unwrap_or(rest.len());
                        (rest.get(..end).unwrap_or_default(), end.saturating_add(2))
                    }
                    _ => {
                        let count = digits
                            .iter()
                            .take(2)
                            .take_while(|byte| byte.is_ascii_hexdigit())
                            .count();
                        (digits.get(..count).unwrap_or_default(), count)
                    }
                };
                let value = std::str::from_utf8(digits)
                    .ok()
                    .map(|text| if text.is_empty() { "0" } else { text })
                    .and_then(|text| u8::from_str_radix(text, 16).ok());
                let Some(value) = value else {
                    let text = "character code point value in \\x{} or \\o{} is too large";
                    return Err((text.to_owned(), self.past(length).saturating_add(1)));
                };
                self.literal(value);
                self.at = self.past(length).saturating_add(2);
            }
            b'0' => {
                let count = self
                    .from(1)
                    .iter()
                    .take(3)
                    .take_while(|byte| (b'0'..=b'7').contains(byte))
                    .count();
                // Three digits of which the first is 0 are less than 64.
                let value = self
                    .from(1)
                    .iter()
                    .take(count)
                    .fold(0_u8, |value, byte| value << 3 | (byte & 7));
                self.literal(value);
                self.at = self.past(count).saturating_add(1);
            }
            _ if next.is_ascii_alphanumeric() => {
                let text = "unrecognized character follows \\";
                return Err((text.to_owned(), self.past(1)));
            }
            _ => {
                self.literal(next);
                self.at = self.past(2);
            }
        }
        Ok(())
    }

    /// A bracket expression.
    fn class(&mut self) -> Result<(), (String, usize)> {
        self.copy(1);
        if self.ahead(b"^") {
            self.copy(1);
        }
        let first = self.at;
        loop {
            let Some(&byte) = self.pattern.get(self.at) else {
                let text = "missing terminating ] for character class";
                return Err((text.to_owned(), self.pattern.len()));
            };
            match byte {
                b']' if self.at > first => break,
                b'[' if self.ahead(b"[:") => match self.posix_class()? {
                    Some(length) => self.copy(length),
                    None => {
                        self.literal(byte);
                        self.at = self.past(1);
                    }
                },
                b'\\' => match self.peek(1) {
                    None => {
                        return Err(("\\ at end of pattern".to_owned(), self.pattern.len()));
                    }
                    Some(b'b') => self.replace("\\x08"),
                    Some(b'h') => self.replace(" \\t"),
                    Some(b'v') => self.replace("\\n\\x0B\\f\\r"),
                    Some(next) => self.escaped(next)?,
                },
                // A range keeps its hyphen; at either end it stands for itself.
                b'-' => {
                    let next = self.peek(1);
                    if self.at == first || next == Some(b']') {
                        self.literal(byte);
                        self.at = self.past(1);
                    } else {
                        self.range(first, next)?;
                        self.copy(1);
                    }
                }
                _ => {
                    self.literal(byte);
                    self.at = self.past(1);
                }
            }
        }
        self.copy(1);
        self.repeatable = true;
        Ok(())
    }

    /// Checks a range between two plain characters; the crate checks those with escapes.
    fn range(&self, first: usize, to: Option<u8>) -> Result<(), (String, usize)> {
        let plain = |byte: u8| byte != b'\\' && byte != b'[' && byte != b']';
        let before = self.pattern.get(first..self.at).unwrap_or_default();
        let escaped = matches!(before, [.., b'\\', _]);
        let from = before.last().copied().filter(|_| !escaped);
        match (
            from.filter(|byte| plain(*byte)),
            to.filter(|byte| plain(*byte)),
        ) {
            (Some(from), Some(to)) if from > to => {
                let text = "range out of order in character class";
                Err((text.to_owned(), self.past(1)))
            }
            _ => Ok(()),
        }
    }

    /// Length of `[:name:]` here.
    fn posix_class(&self) -> Result<Option<usize>, (String, usize)> {
        const NAMES: &[&[u8]] = &[
            b"alnum", b"alpha", b"ascii", b"blank", b"cntrl", b"digit", b"graph", b"lower",
            b"print", b"punct", b"space", b"upper", b"word", b"xdigit",
        ];
        let rest = self.from(2);
        // Looking no further than letters go keeps many open brackets linear.
        let negated = usize::from(rest.first() == Some(&b'^'));
        let letters = rest.iter().skip(negated);
        let count = letters
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let end = negated.saturating_add(count);
        let (inside, after) = rest.split_at_checked(end).unwrap_or_default();
        if !after.starts_with(b":]") {
            return Ok(None);
        }
        let name = inside.strip_prefix(b"^").unwrap_or(inside);
        if NAMES.contains(&name) {
            return Ok(Some(end.saturating_add(4)));
        }
        Err(("unknown POSIX class name".to_owned(), self.past(2)))
    }
}

fn unsupported(what: &str, at: usize) -> (String, usize) {
    (
        format!("{what} are not supported: oneloop's regular expressions are linear-time"),
        at,
    )
}

#[cfg(test)]
mod tests;
