//! Regular expressions that are a straight line, matched without an engine for them.
//!
//! What people write to rewrite prefixes is a literal, perhaps an optional byte, perhaps the rest:
//! `/app1(/)?(.*)`, `^/api/(.*)$`, `^/old(/.*)`. There is nothing to try twice in them: where the
//! literal stands, the optional byte is taken when it is there, and the rest is the rest. That
//! costs a tenth of the general search, which reads the text forwards, backwards and once more for
//! its groups.
//! It must find exactly what the `regex` crate finds; anything that this file does not understand
//! is left to the crate, and so is a text with a line end, which `.` does not match.
//! Rejected: more shapes (alternatives, classes); each would need a reason of its own.

use super::regex::Groups;

/// `^`, a literal, an optional byte, the rest, `$`; everything but the literal may be missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Straight {
    anchored: bool,
    literal: Box<[u8]>,
    optional: Option<Optional>,
    rest: Option<Rest>,
    /// The match must reach the end of the text.
    to_end: bool,
}

/// `x?` or `(x)?`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Optional {
    byte: u8,
    grouped: bool,
}

/// `.*`, `(.*)` or `(/.*)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rest {
    grouped: bool,
    /// Bytes at the end of the literal that belong to the group.
    before: usize,
}

impl Straight {
    /// Reads a pattern; none when it is of another kind.
    pub(super) fn read(pattern: &[u8]) -> Option<Self> {
        let mut reader = Reader { pattern };
        let anchored = reader.take(b"^");
        let mut literal = reader.literal();
        let optional = reader.optional();
        let rest = if reader.take(b"(") {
            let inside = reader.literal();
            let before = inside.len();
            if (before > 0 && optional.is_some()) || !reader.take(b".*)") {
                return None;
            }
            literal.extend(inside);
            Some(Rest {
                grouped: true,
                before,
            })
        } else {
            reader.take(b".*").then_some(Rest {
                grouped: false,
                before: 0,
            })
        };
        let to_end = reader.take(b"$");
        let whole = reader.pattern.is_empty() && !literal.is_empty();
        whole.then(|| Self {
            anchored,
            literal: literal.into(),
            optional,
            rest,
            to_end,
        })
    }

    /// The groups of the first match from `start` on; `None` when the text is not for this file.
    pub(super) fn captures(&self, text: &[u8], start: usize) -> Option<Option<Groups>> {
        if text.contains(&b'\n') {
            return None;
        }
        if self.anchored {
            return Some((start == 0).then(|| self.at(text, 0)).flatten());
        }
        Some((start..text.len()).find_map(|at| self.at(text, at)))
    }

    /// The groups of a match that begins at `start`.
    fn at(&self, text: &[u8], start: usize) -> Option<Groups> {
        let found = text.get(start..)?.strip_prefix(&*self.literal)?;
        let mut end = text.len().checked_sub(found.len())?;
        let mut groups = Groups::default();
        let mut named = groups.iter_mut().skip(1);
        if let Some(optional) = self.optional {
            let taken = found.first() == Some(&optional.byte);
            if optional.grouped {
                let group = named.next()?;
                *group = taken.then(|| (end, end.saturating_add(1)));
            }
            end = end.saturating_add(usize::from(taken));
        }
        if let Some(rest) = self.rest {
            if rest.grouped {
                let group = named.next()?;
                *group = Some((end.saturating_sub(rest.before), text.len()));
            }
            end = text.len();
        }
        if self.to_end && end != text.len() {
            return None;
        }
        if let Some(all) = groups.first_mut() {
            *all = Some((start, end));
        }
        Some(groups)
    }
}

/// What is left of a pattern.
struct Reader<'a> {
    pattern: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, text: &[u8]) -> bool {
        let rest = self.pattern.strip_prefix(text);
        self.pattern = rest.unwrap_or(self.pattern);
        rest.is_some()
    }

    /// A byte that stands for itself, and what follows it.
    fn byte(&self) -> Option<(u8, &'a [u8])> {
        match self.pattern {
            [b'\\', byte, rest @ ..] if byte.is_ascii_punctuation() && !b"<>".contains(byte) => {
                Some((*byte, rest))
            }
            [byte, rest @ ..] if !b"\\^$.|?*+()[]{}\n".contains(byte) && byte.is_ascii() => {
                Some((*byte, rest))
            }
            _ => None,
        }
    }

    /// Bytes that stand for themselves, none of them repeated.
    fn literal(&mut self) -> Vec<u8> {
        let mut literal = Vec::new();
        while let Some((byte, rest)) = self.byte() {
            if matches!(rest, [b'?' | b'*' | b'+' | b'{', ..]) {
                break;
            }
            literal.push(byte);
            self.pattern = rest;
        }
        literal
    }

    fn optional(&mut self) -> Option<Optional> {
        let (inside, grouped) = match self.pattern {
            [b'(', rest @ ..] => (rest, true),
            rest => (rest, false),
        };
        let (byte, rest) = Reader { pattern: inside }.byte()?;
        let behind = rest.strip_prefix(if grouped { &b")?"[..] } else { b"?" })?;
        // A second mark makes it lazy or possessive.
        if matches!(behind, [b'?' | b'*' | b'+' | b'{', ..]) {
            return None;
        }
        self.pattern = behind;
        Some(Optional { byte, grouped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_patterns_are_left_to_the_crate() {
        for pattern in [
            "",
            "^",
            "$",
            ".*",
            "(.*)",
            "a|b",
            "[ab]",
            "a+",
            "a*",
            "a??",
            "a?+",
            "a{2}",
            "(a)(b)",
            "(?:a)",
            "(?i)a",
            "a(/)?b",
            "a(.*)b",
            "a(/)?(/.*)",
            "a(.*)?",
            "a.*?",
            "a(.+)",
            "\\d(.*)",
            "\\Qa\\E",
            "a\\",
            "a$b",
            "^a^",
            "\\<a",
            "a(b)",
            "(a)*",
            "a?b?",
            "\u{e4}",
        ] {
            assert_eq!(Straight::read(pattern.as_bytes()), None, "{pattern}");
        }
    }

    #[test]
    fn it_finds_what_the_crate_finds() {
        let patterns = [
            "/app1(/)?(.*)",
            "/app1/?(.*)",
            "/app1(/)?",
            "/app1(/)?$",
            "^/app1/?$",
            "^/app1(/)?(.*)$",
            "^/api/(.*)",
            "^/api/.*$",
            "^/old(/.*)",
            "/old(/.*)$",
            "a",
            "^a$",
            "a$",
            "aa?",
            "a(a)?$",
            "a(a)?(.*)$",
            "\\.php(.*)",
            "^\\/x\\-y(.*)",
            "x y(.*)",
        ];
        let pieces = [
            "/app1", "/", "a", "aa", "/api", "/old", ".php", "x", "/x-y", " y", "", "z",
        ];
        let mut texts = vec![String::new()];
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    texts.push(format!("{one}{two}{three}"));
                }
            }
        }
        for pattern in patterns {
            let straight = Straight::read(pattern.as_bytes());
            let straight = straight.unwrap_or_else(|| panic!("{pattern} is straight"));
            let crates = regex::bytes::Regex::new(pattern).unwrap();
            let mut locations = crates.capture_locations();
            for text in &texts {
                for start in [0, 1, 5] {
                    if start > text.len() {
                        continue;
                    }
                    let text = text.as_bytes();
                    let found = crates.captures_read_at(&mut locations, text, start);
                    let expected: Option<Groups> = found
                        .is_some()
                        .then(|| std::array::from_fn(|group| locations.get(group)));
                    let got = straight.captures(text, start);
                    let shown = text.escape_ascii();
                    assert_eq!(got, Some(expected), "{pattern} on {shown} from {start}");
                }
            }
            assert_eq!(straight.captures(b"/app1/\nx", 0), None);
        }
    }
}
