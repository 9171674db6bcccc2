//! Turns the text of a configuration file into lines of words, as HAProxy 2.6 does.
//!
//! It decides where words begin and end: blanks, comments, both kinds of quotes, escapes and
//! environment variables (configuration.txt 2.2 and 2.3). It knows nothing of sections or keywords.
//! Every word remembers the columns it came from, so that a diagnostic can point at it.
//!
//! It never reads the process environment: variables are a value passed in, because `setenv` in the
//! configuration itself changes what later lines see. For the same reason lines are handed out one
//! by one and not lexed in advance.
//!
//! Rejected: a lexer over `&str`. A configuration may hold any byte (`\xNN`), so words are bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::diag::{Diagnostics, FileId, Lead, Place, Span};

/// The most words one line may have (HAProxy's `MAX_LINE_ARGS`).
pub const WORDS_MAX: usize = 64;
/// How many bytes a line may get from variables, so that lines that double one another end soon.
const EXPANDED_MAX: usize = 1 << 20;

/// One word, after quotes, escapes and variables were taken out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Word {
    /// Its bytes.
    pub text: Vec<u8>,
    /// The columns it was written in, quotes included.
    pub span: Span,
}

impl Word {
    /// The word as text; bytes that are not UTF-8 become U+FFFD.
    pub fn str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }
}

/// One line that has at least one word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The file it stands in.
    pub file: FileId,
    /// Its number, from 1.
    pub number: u32,
    /// The line as written, without its end.
    pub source: Arc<[u8]>,
    /// Its words, at least one.
    pub words: Vec<Word>,
}

impl Line {
    /// Word `index` as text, empty when the line has fewer (as HAProxy's argument array is).
    pub fn word(&self, index: usize) -> Cow<'_, str> {
        self.words.get(index).map_or(Cow::Borrowed(""), Word::str)
    }

    /// Word `index` as bytes, empty when the line has fewer.
    pub fn bytes(&self, index: usize) -> &[u8] {
        self.words.get(index).map_or(&[], |word| &word.text)
    }

    /// Words from `index` on.
    pub fn from(&self, index: usize) -> &[Word] {
        self.words.get(index..).unwrap_or(&[])
    }

    /// The place of word `index`; when the line has fewer words, the end of the last one.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    pub fn at(&self, index: usize) -> Place {
        let span = match self.words.get(index) {
            Some(word) => word.span,
            None => {
                let end = self.words.last().map_or(0, |word| word.span.end);
                Span {
                    start: end,
                    end: end + 1,
                }
            }
        };
        Place {
            span: Some(span),
            ..self.place()
        }
    }

    /// The place of the line as a whole.
    pub fn place(&self) -> Place {
        Place {
            file: self.file,
            line: self.number,
            source: self.source.clone(),
            span: None,
        }
    }

    /// The line without its first word (`no option x` to `option x`).
    pub fn shifted(&self) -> Self {
        Self {
            words: self.from(1).to_vec(),
            ..self.clone()
        }
    }
}

/// The environment that `$NAME` reads and that `setenv` and its kin change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Variables(BTreeMap<Vec<u8>, Vec<u8>>);

impl Variables {
    /// An environment with these variables.
    pub fn new<N: Into<Vec<u8>>, V: Into<Vec<u8>>>(vars: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(
            vars.into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// The value of a variable.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Sets a variable (`setenv`).
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.0.insert(name.to_vec(), value.to_vec());
    }

    /// Sets a variable unless it is set (`presetenv`).
    pub fn preset(&mut self, name: &[u8], value: &[u8]) {
        self.0
            .entry(name.to_vec())
            .or_insert_with(|| value.to_vec());
    }

    /// Removes a variable (`unsetenv`).
    pub fn unset(&mut self, name: &[u8]) {
        self.0.remove(name);
    }

    /// Keeps only the named variables (`resetenv`).
    pub fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        self.0.retain(|name, _| keep(name));
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

/// Walks a file's lines.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    file: FileId,
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lexer<'a> {
    /// A lexer at the first line of a file's contents.
    pub fn new(file: FileId, text: &'a [u8]) -> Self {
        Self {
            file,
            rest: text,
            number: 0,
        }
    }

    /// The next line with words, or `None` at the end of the file. What is wrong with a line is
    /// reported and the line left out. `variables` may change from call to call; the name of the
    /// current section is its variable `.SECTION`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the lines of a file")]
    pub fn next_line(&mut self, variables: &Variables, found: &mut Diagnostics) -> Option<Line> {
        while !self.rest.is_empty() {
            let (source, ended) = self.cut_line();
            self.number += 1;
            let nul = source.iter().position(|&byte| byte == 0);
            let kept = nul.map_or(source, |at| source.get(..at).unwrap_or(source));
            let line = self.words_of(kept, variables, found);
            if nul.is_some() || !ended {
                // HAProxy reads the line up to the fault, complains and reads no further.
                self.report_bad_end(kept, nul.is_some() && !self.rest.is_empty(), found);
                self.rest = &[];
            }
            if line.is_some() {
                return line;
            }
        }
        None
    }

    /// The number of the last line read.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The file's name in diagnostics.
    pub fn file(&self) -> FileId {
        self.file
    }

    /// Ends the reading: the next call finds nothing more.
    pub fn stop(&mut self) {
        self.rest = &[];
    }

    /// Takes one line off, and says whether it ended in LF.
    fn cut_line(&mut self) -> (&'a [u8], bool) {
        match self.rest.iter().position(|&byte| byte == b'\n') {
            Some(at) => {
                let (line, rest) = self.rest.split_at(at);
                self.rest = rest.get(1..).unwrap_or_default();
                (line, true)
            }
            None => (std::mem::take(&mut self.rest), false),
        }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    fn report_bad_end(&self, kept: &[u8], stray: bool, found: &mut Diagnostics) {
        let at = kept.len() as u32;
        let position = at + 1;
        let text = if stray {
            format!("Stray NUL character at position {position}.")
        } else {
            format!(
                "Missing LF on last line, file might have been truncated at position {position}."
            )
        };
        let place = self.place(
            kept.into(),
            Span {
                start: at,
                end: position,
            },
        );
        found.alert(place, text).lead(Lead::ParsingTight);
    }

    fn place(&self, source: Arc<[u8]>, span: Span) -> Place {
        Place {
            file: self.file,
            line: self.number,
            source,
            span: Some(span),
        }
    }

    /// One line's words; `None` when it has none, begins with an empty one, or is wrong.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    fn words_of(
        &self,
        source: &[u8],
        variables: &Variables,
        found: &mut Diagnostics,
    ) -> Option<Line> {
        let file = found.file_name(self.file).to_owned();
        let inside = Inside {
            variables,
            file: &file,
            line: self.number,
        };
        let source: Arc<[u8]> = source.into();
        match split(&source, Some(&inside), true) {
            Ok(mut words) => {
                if let Some((kept, [more, ..])) = words.split_at_checked(WORDS_MAX)
                    && let Some((last, before)) = kept.split_last()
                {
                    // HAProxy counts the position in the line as it is after unquoting.
                    let before = before.iter().map(|word| word.text.len().saturating_add(1));
                    let position = before.fold(1, usize::saturating_add);
                    let text = format!(
                        "too many words, truncating after word {WORDS_MAX}, position {position}: <{}>.",
                        last.str()
                    );
                    let span = more.span;
                    found
                        .alert(self.place(source, span), text)
                        .lead(Lead::ParsingTight);
                    return None;
                }
                if words.first().is_none_or(|word| word.text.is_empty()) {
                    return None;
                }
                words.shrink_to_fit();
                Some(Line {
                    file: self.file,
                    number: self.number,
                    source,
                    words,
                })
            }
            Err(fault) => {
                let at = fault.at as u32;
                let text = format!("{} at position {}:", fault.kind.text(), at + 1);
                let span = Span {
                    start: at,
                    end: at + 1,
                };
                found
                    .alert(self.place(source, span), text)
                    .lead(Lead::ParsingTight);
                None
            }
        }
    }
}

/// What `$NAME` can see: the environment and where the line stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside<'a> {
    /// The environment.
    pub(super) variables: &'a Variables,
    /// `.FILE`.
    pub(super) file: &'a str,
    /// `.LINE`.
    pub(super) line: u32,
}

impl Inside<'_> {
    fn value(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        match name {
            b".FILE" => Some(Cow::Borrowed(self.file.as_bytes())),
            b".LINE" => Some(Cow::Owned(self.line.to_string().into_bytes())),
            b".SECTION" => Some(Cow::Borrowed(self.variables.get(name).unwrap_or(b""))),
            _ => self.variables.get(name).map(Cow::Borrowed),
        }
    }
}

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FaultKind {
    /// A quote that is not closed.
    Quote,
    /// `${NAME` without its brace, or with something strange before it.
    Brace,
    /// `\x` without two hexadecimal digits.
    Hex,
    /// A variable's name that begins with neither letter nor underscore.
    FirstChar,
    /// `[` that is not `[*]`.
    Expansion,
    /// More text than a line may get from variables.
    Long,
}

impl FaultKind {
    fn text(self) -> &'static str {
        match self {
            Self::Quote => "unmatched quote",
            Self::Brace => "unmatched brace in environment variable name",
            Self::Hex => "truncated or invalid hexadecimal sequence",
            Self::FirstChar => "forbidden first char in environment variable name",
            Self::Expansion => "truncated or invalid word expansion sequence",
            Self::Long => "too long a line after the expansion of variables",
        }
    }
}

/// A fault and the column (from 0) it is counted at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// What it is.
    pub(super) kind: FaultKind,
    /// Where.
    pub(super) at: usize,
}

/// Blanks as C's `isspace` has them: CR, VT and FF part words too.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// The word being built.
#[derive(Default)]
struct Current {
    text: Vec<u8>,
    /// Column of its first byte; `None` between words.
    start: Option<usize>,
}

/// Splits a line into words. `inside` is where variables come from, `comments` whether `#` ends the
/// line (it does not in a condition on the command line).
#[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
pub(super) fn split(
    source: &[u8],
    inside: Option<&Inside<'_>>,
    comments: bool,
) -> Result<Vec<Word>, Fault> {
    let mut words = Vec::new();
    let mut current = Current::default();
    // The open quote, if any: its byte and its column.
    let mut quote: Option<(u8, usize)> = None;
    let mut expanded = 0_usize;
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        let open = quote.map(|(kind, _)| kind);
        if open.is_none() {
            if is_blank(byte) {
                finish(&mut words, &mut current, at);
                at += 1;
                continue;
            }
            if byte == b'#' && comments {
                break;
            }
        }
        current.start.get_or_insert(at);
        match (byte, open) {
            (b'"' | b'\'', None) => quote = Some((byte, at)),
            (b'"' | b'\'', Some(kind)) if kind == byte => quote = None,
            (b'\\', None | Some(b'"')) => {
                at += escape(
                    source.get(at..).unwrap_or_default(),
                    open.is_some(),
                    &mut current.text,
                )
                .ok_or(Fault {
                    kind: FaultKind::Hex,
                    at,
                })?;
                continue;
            }
            (b'$', Some(b'"')) => {
                if let Some(inside) = inside {
                    let name = Reference::read(source, at)?;
                    let length = expand(&name, inside, at, &mut words, &mut current);
                    expanded = expanded.saturating_add(length);
                    if expanded > EXPANDED_MAX {
                        let kind = FaultKind::Long;
                        return Err(Fault { kind, at });
                    }
                    at = name.end;
                    continue;
                }
                current.text.push(byte);
            }
            _ => current.text.push(byte),
        }
        at += 1;
    }
    if let Some((_, at)) = quote {
        return Err(Fault {
            kind: FaultKind::Quote,
            at,
        });
    }
    finish(&mut words, &mut current, at);
    Ok(words)
}

fn finish(words: &mut Vec<Word>, current: &mut Current, at: usize) {
    let Some(start) = current.start.take() else {
        return;
    };
    let mut text = std::mem::take(&mut current.text);
    // A C string ends at its first NUL, and `\x00` can make one.
    if let Some(nul) = text.iter().position(|&byte| byte == 0) {
        text.truncate(nul);
    }
    words.push(Word {
        text,
        span: Span {
            start: start as u32,
            end: at as u32,
        },
    });
}

/// Reads a backslash sequence, appends what it stands for, and says how long it was; `None` for a
/// bad `\x`.
fn escape(source: &[u8], in_quotes: bool, text: &mut Vec<u8>) -> Option<usize> {
    let plain = match source.get(1) {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(&byte @ (b' ' | b'#' | b'\'' | b'"' | b'\\')) => byte,
        Some(b'$') if in_quotes => b'$',
        Some(b'x') => {
            let digit = |at: usize| (*source.get(at)? as char).to_digit(16);
            text.push((digit(2)? << 4 | digit(3)?) as u8);
            return Some(4);
        }
        // Any other backslash stands for itself.
        _ => {
            text.push(b'\\');
            return Some(1);
        }
    };
    text.push(plain);
    Some(2)
}

/// `$NAME`, `${NAME}`, `${NAME-default}` or `${NAME[*]}` as written.
struct Reference<'a> {
    name: &'a [u8],
    default: Option<&'a [u8]>,
    /// `[*]`: each blank-separated part becomes a word of its own.
    list: bool,
    /// Column after it.
    end: usize,
}

impl<'a> Reference<'a> {
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    fn read(source: &'a [u8], dollar: usize) -> Result<Self, Fault> {
        let braced = source.get(dollar + 1) == Some(&b'{');
        let start = dollar + 1 + usize::from(braced);
        let mut end = start;
        if source.get(end) == Some(&b'.') {
            end += 1;
        }
        let name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let first = end;
        while source.get(end).is_some_and(name_byte) {
            end += 1;
        }
        let name = source.get(start..end).unwrap_or_default();
        let pseudo = matches!(name, b".FILE" | b".LINE" | b".SECTION");
        let letter = source
            .get(first)
            .is_some_and(|b| name_byte(b) && !b.is_ascii_digit());
        if !(letter && first == start || pseudo) {
            return Err(Fault {
                kind: FaultKind::FirstChar,
                at: start,
            });
        }
        let mut read = Self {
            name,
            default: None,
            list: false,
            end,
        };
        if !braced {
            return Ok(read);
        }
        if source.get(end) == Some(&b'[') {
            if source.get(end..end + 3) != Some(b"[*]") {
                return Err(Fault {
                    kind: FaultKind::Expansion,
                    at: end,
                });
            }
            read.list = true;
            end += 3;
        }
        let brace = Fault {
            kind: FaultKind::Brace,
            at: dollar + 1,
        };
        if source.get(end) == Some(&b'-') {
            let rest = source.get(end + 1..).unwrap_or_default();
            let close = rest.iter().position(|&byte| byte == b'}').ok_or(brace)?;
            read.default = rest.get(..close);
            end += 1 + close;
        }
        if source.get(end) != Some(&b'}') {
            return Err(brace);
        }
        read.end = end + 1;
        Ok(read)
    }
}

/// Puts a variable's value where the reference stands. The value is taken as it is: quotes,
/// backslashes and `#` in it mean nothing. Says how long it is.
fn expand(
    reference: &Reference<'_>,
    inside: &Inside<'_>,
    at: usize,
    words: &mut Vec<Word>,
    current: &mut Current,
) -> usize {
    let value = inside.value(reference.name);
    let value = value.as_deref().or(reference.default).unwrap_or(b"");
    if !reference.list {
        current.text.extend_from_slice(value);
        return value.len();
    }
    let mut rest = value;
    while let Some(blank) = rest.iter().position(|&byte| is_blank(byte)) {
        let (part, after) = rest.split_at(blank);
        current.text.extend_from_slice(part);
        finish(words, current, reference.end);
        current.start = Some(at);
        let next = after.iter().position(|&byte| !is_blank(byte));
        rest = next.and_then(|skip| after.get(skip..)).unwrap_or_default();
    }
    current.text.extend_from_slice(rest);
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Variables {
        Variables::new([
            ("HOME", "/root"),
            ("L", "x y  z"),
            ("EMPTY", ""),
            ("Q", r#"a "b c" # d $HOME \n"#),
            ("LEAD", "  a b "),
            (".SECTION", "web"),
        ])
    }

    fn read(text: &str) -> (Vec<Vec<String>>, Vec<String>) {
        let mut found = Diagnostics::default();
        let file = found.add_file("t.cfg");
        let mut lexer = Lexer::new(file, text.as_bytes());
        let mut lines = Vec::new();
        while let Some(line) = lexer.next_line(&environment(), &mut found) {
            lines.push(
                line.words
                    .iter()
                    .map(|word| word.str().into_owned())
                    .collect(),
            );
        }
        let messages = found.list().iter().map(|one| found.render(one)).collect();
        (lines, messages)
    }

    #[test]
    fn words_are_split_as_haproxy_splits_them() {
        let table: &[(&str, &[&str])] = &[
            ("a b\tc", &["a", "b", "c"]),
            ("  a  \r", &["a"]),
            ("bad\x0bx", &["bad", "x"]),
            ("a # b", &["a"]),
            ("a#b", &["a"]),
            (r"a\ b\#c\'d\x22e\\f\x41\$i", &[r#"a b#c'd"e\fA\$i"#]),
            (
                r#""a\ b\#c\'d\"e\\f\ng\th\x41\$i""#,
                &["a b#c'd\"e\\f\ng\thA$i"],
            ),
            (r#"'a\ b\#c\"d\\e\n$HOME'"#, &[r#"a\ b\#c\"d\\e\n$HOME"#]),
            (r"bad\q", &[r"bad\q"]),
            (r"b\", &[r"b\"]),
            (r#"bad""x"#, &["badx"]),
            (r#"a"b c"d"#, &["ab cd"]),
            (r#""a#b" c"#, &["a#b", "c"]),
            (r#"a "" b"#, &["a", "", "b"]),
            (r#""a$HOME-b""#, &["a/root-b"]),
            ("a$HOME", &["a$HOME"]),
            (r#""a$NOPE.""#, &["a."]),
            (r#""a${HOME-def}""#, &["a/root"]),
            (r#""a${NOPE-d ef}x""#, &["ad efx"]),
            (r#""a${NOPE-$HOME}""#, &["a$HOME"]),
            (r#""a${NOPE-a\}b}c""#, &[r"aa\b}c"]),
            (r#""a${NOPE-a"b}c""#, &[r#"aa"bc"#]),
            (r#""a${EMPTY-def}x""#, &["ax"]),
            (r#""a${L[*]}b" c"#, &["ax", "y", "zb", "c"]),
            (r#""$L[*]""#, &["x y  z[*]"]),
            (r#""${NOPE[*]-d e}""#, &["d", "e"]),
            (r#"n "q${LEAD[*]}r""#, &["n", "q", "a", "b", "r"]),
            (r#""${Q}""#, &[r#"a "b c" # d $HOME \n"#]),
            (
                r#""${Q[*]}""#,
                &["a", r#""b"#, r#"c""#, "#", "d", "$HOME", r"\n"],
            ),
            (r#""${.FILE}:$.LINE:${.SECTION}""#, &["t.cfg:1:web"]),
            (r#""x"${HOME}"#, &["x${HOME}"]),
            (r"bad\x00x y", &["bad", "y"]),
        ];
        for (line, words) in table {
            let (lines, messages) = read(&format!("{line}\n"));
            assert!(messages.is_empty(), "{line}: {messages:?}");
            assert_eq!(lines, [words.to_vec()], "{line}");
        }
        for line in [
            "",
            "   ",
            "# x",
            r#""""#,
            "''",
            r#""" bad"#,
            r#""${NOPE[*]}""#,
        ] {
            let (lines, messages) = read(&format!("{line}\n"));
            assert!(lines.is_empty() && messages.is_empty(), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_position() {
        let table = [
            (
                "foo \"ab",
                "unmatched quote at position 5:\n  foo \"ab\n      ^",
            ),
            (
                "\t\tfoo\t\"ab\tc'",
                "unmatched quote at position 7:\n  foo \"ab c'\n      ^",
            ),
            ("it's", "unmatched quote at position 3:\n  it's\n    ^"),
            (r#""\""#, "unmatched quote at position 1:\n  \"\\\"\n  ^"),
            (
                r" bad \x4",
                "truncated or invalid hexadecimal sequence at position 6:\n  bad \\x4\n      ^",
            ),
            (
                "\"bad${HOME\"",
                "unmatched brace in environment variable name at position 6:\n  \"bad${HOME\"\n       ^",
            ),
            (
                "\"${a.b-1}\"",
                "unmatched brace in environment variable name at position 3:\n  \"${a.b-1}\"\n    ^",
            ),
            (
                "\"bad$1\"",
                "forbidden first char in environment variable name at position 6:\n  \"bad$1\"\n       ^",
            ),
            (
                "\"${.x}\"",
                "forbidden first char in environment variable name at position 4:\n  \"${.x}\"\n     ^",
            ),
            (
                "\"${L[1]}\"",
                "truncated or invalid word expansion sequence at position 5:\n  \"${L[1]}\"\n      ^",
            ),
        ];
        for (line, message) in table {
            let (lines, messages) = read(&format!("{line}\n"));
            assert!(lines.is_empty(), "{line}");
            assert_eq!(
                messages,
                [format!("parsing [t.cfg:1]: {message}")],
                "{line}"
            );
        }
    }

    /// Lines that double a variable would otherwise take all memory.
    #[test]
    fn variables_make_a_line_only_so_long() {
        let half = "x".repeat(EXPANDED_MAX / 2);
        let variables = Variables::new([("V", half.as_str())]);
        let inside = Inside {
            variables: &variables,
            file: "",
            line: 1,
        };
        let words = split(b"\"$V\" \"${V}\"", Some(&inside), true);
        assert_eq!(words.map(|words| words.len()).ok(), Some(2));
        for line in ["\"$V$V${O-y}\"", "\"$V\" \"$V\" \"${V[*]}\""] {
            let fault = split(line.as_bytes(), Some(&inside), true).err();
            assert!(matches!(fault.map(|one| one.kind), Some(FaultKind::Long)));
        }
    }

    #[test]
    fn the_end_of_the_file_matters() {
        let (lines, messages) = read("global\n bad");
        assert_eq!(lines.len(), 2);
        assert_eq!(
            messages,
            [
                "parsing [t.cfg:2]: Missing LF on last line, file might have been truncated at position 5.\n  bad\n     ^"
            ]
        );
        let (lines, messages) = read("global\n bad\0x y\n bad2\n");
        assert_eq!(lines, [vec!["global"], vec!["bad"]]);
        assert_eq!(
            messages,
            ["parsing [t.cfg:2]: Stray NUL character at position 5.\n  bad\n     ^"]
        );
        let (_, messages) = read(" bad\0x\n");
        assert!(
            messages[0].contains("Missing LF on last line"),
            "{messages:?}"
        );
    }

    #[test]
    fn a_line_has_64_words_at_most() {
        let line = |count| format!(" foo{}\n", " x".repeat(count));
        assert_eq!(read(&line(63)).0[0].len(), 64);
        let (lines, messages) = read(&line(64));
        assert!(lines.is_empty());
        let text = "too many words, truncating after word 64, position 129: <x>.";
        assert!(messages[0].contains(text), "{messages:?}");
    }

    #[test]
    fn spans_point_at_the_source() {
        let mut found = Diagnostics::default();
        let file = found.add_file("t.cfg");
        let mut lexer = Lexer::new(file, b"  bind \"*:$PORT\"  x\n");
        let line = lexer.next_line(&environment(), &mut found).unwrap();
        assert_eq!(line.at(0).span, Some(Span { start: 2, end: 6 }));
        assert_eq!(line.at(1).span, Some(Span { start: 7, end: 16 }));
        assert_eq!(line.at(2).span, Some(Span { start: 18, end: 19 }));
        assert_eq!(line.at(3).span, Some(Span { start: 19, end: 20 }));
        assert_eq!(line.shifted().word(0), "*:");
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let alphabet = b"a\\x4\"'$ {}[*]-.#\0\n\t";
        let mut seed = 1u64;
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..24)
                .map(|_| {
                    seed = seed
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    alphabet[(seed >> 33) as usize % alphabet.len()]
                })
                .collect();
            let mut found = Diagnostics::default();
            let file = found.add_file("t.cfg");
            let mut lexer = Lexer::new(file, &text);
            while lexer.next_line(&environment(), &mut found).is_some() {}
            for one in found.list() {
                let _ = found.render(one);
            }
        }
    }
}
