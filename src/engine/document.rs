//! The document in which a process tells its successor what it knows: lines, and words of lines.
//!
//! ```text
//! oneloop-handover 1 whole
//! process connections=12 requests=34
//! front web stot=12 hrsp_2xx=34
//! back app stot=12
//! server app a stot=12 op=2 admin=0 info=Connection%20refused
//! added app n1 id=2 words=127.0.0.1:80%20weight%207
//! list file hosts.lst current=0 next=0
//! list.add b.example  version=1
//! end
//! ```
//!
//! A line is a kind, names, and `key=value` words in any order. Kinds and keys that a reader does
//! not know are passed over, so that either side may be the newer one; the version changes only
//! when what is known comes to mean something else. What is cut off has no `end` and is refused.
//!
//! Rejected: a binary form (nobody could look at one), and JSON (a parser for what a split does).

use std::io::Write as _;

/// The first words of every document.
const TITLE: &str = "oneloop-handover";

/// The version of the document that is written and understood.
const VERSION: u32 = 1;

/// Writes a document line by line.
pub(crate) struct Pen<'o> {
    out: &'o mut Vec<u8>,
    /// A line of which nothing but its names is known yet.
    begun: Vec<u8>,
}

impl<'o> Pen<'o> {
    /// Begins a document: all there is, or what was added since the one before.
    pub(crate) fn new(out: &'o mut Vec<u8>, whole: bool) -> Self {
        let what = if whole { "whole" } else { "rest" };
        drop(write!(out, "{TITLE} {VERSION} {what}"));
        Self {
            out,
            begun: Vec::new(),
        }
    }

    /// Begins a line. One of which nothing more is said is left out.
    pub(crate) fn line(&mut self, kind: &str, names: &[&[u8]]) {
        self.begun.clear();
        drop(write!(self.begun, "\n{kind}"));
        for name in names {
            self.begun.push(b' ');
            encode(name, &mut self.begun);
        }
    }

    /// A whole line of names alone.
    pub(crate) fn names(&mut self, kind: &str, names: &[&[u8]]) {
        self.begun.clear();
        drop(write!(self.out, "\n{kind}"));
        for name in names {
            self.out.push(b' ');
            encode(name, self.out);
        }
    }

    /// A number, unless it is 0.
    pub(crate) fn count(&mut self, key: &str, value: u64) {
        if value > 0 {
            self.number(key, value);
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, key: &str, value: u64) {
        self.out.append(&mut self.begun);
        drop(write!(self.out, " {key}={value}"));
    }

    /// Any bytes.
    pub(crate) fn text(&mut self, key: &str, value: &[u8]) {
        self.out.append(&mut self.begun);
        drop(write!(self.out, " {key}="));
        encode(value, self.out);
    }

    /// Ends the document.
    pub(crate) fn end(self) {
        self.out.extend_from_slice(b"\nend\n");
    }
}

/// What would end a word, or look like another one, is written as `%XX`.
fn encode(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'=') {
            out.push(byte);
        } else {
            drop(write!(out, "%{byte:02X}"));
        }
    }
}

/// One line as read.
#[derive(Debug, Default)]
pub(crate) struct Line<'d> {
    /// What it is about.
    pub(crate) kind: &'d str,
    names: Vec<Vec<u8>>,
    values: Vec<(&'d str, &'d str)>,
}

impl Line<'_> {
    /// The name at this place.
    pub(crate) fn name(&self, place: usize) -> Result<String, String> {
        let name = self.names.get(place).cloned();
        let name = name.and_then(|name| String::from_utf8(name).ok());
        name.ok_or_else(|| format!("a line '{}' without a name", self.kind))
    }

    /// The names, whatever bytes they are.
    pub(crate) fn names(&self) -> &[Vec<u8>] {
        &self.names
    }

    /// The number of a key, if the line has it.
    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, String> {
        let found = self.values.iter().find(|(known, _)| *known == key);
        let Some((_, value)) = found else {
            return Ok(None);
        };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(format!("'{key}={value}' is no number")),
        }
    }

    /// The number of a key, 0 without it.
    pub(crate) fn count(&self, key: &str) -> Result<u64, String> {
        Ok(self.number(key)?.unwrap_or_default())
    }

    /// The number of a key, which may be no more than `most`; 0 without it.
    pub(crate) fn up_to(&self, key: &str, most: u32) -> Result<u32, String> {
        let value = self.count(key)?;
        match u32::try_from(value) {
            Ok(value) if value <= most => Ok(value),
            _ => Err(format!("'{key}={value}' is more than {most}")),
        }
    }

    /// What a key's text stands for, if the line has it.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        let text = self.text(key)?;
        if text.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&text);
        let wrong = || format!("'{key}={text}' is not what it should be");
        text.parse().map(Some).map_err(|_| wrong())
    }

    /// The bytes of a key, none without it.
    pub(crate) fn text(&self, key: &str) -> Result<Vec<u8>, String> {
        match self.values.iter().find(|(known, _)| *known == key) {
            Some((_, value)) => decode(value),
            None => Ok(Vec::new()),
        }
    }
}

/// Reads a document: whether it is a whole one, and its lines.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn read(document: &[u8]) -> Result<(bool, Vec<Line<'_>>), String> {
    let text = std::str::from_utf8(document).map_err(|_| "the document is no text".to_owned())?;
    let body = text.strip_suffix("\nend\n");
    let body = body.ok_or_else(|| "the document is cut off".to_owned())?;
    let mut lines = body.split('\n');
    let title = lines.next().unwrap_or_default();
    let words: Vec<&str> = title.split(' ').collect();
    let whole = match *words.as_slice() {
        [TITLE, version, ..] if version.parse() != Ok(VERSION) => {
            return Err(format!("version '{version}' of the document is not known"));
        }
        [TITLE, _, "whole", ..] => true,
        [TITLE, _, "rest", ..] => false,
        _ => return Err("this is no document of a handover".to_owned()),
    };
    let lines = lines.map(read_line).collect::<Result<_, _>>()?;
    Ok((whole, lines))
}

fn read_line(text: &str) -> Result<Line<'_>, String> {
    let mut words = text.split(' ');
    let mut line = Line {
        kind: words.next().unwrap_or_default(),
        ..Line::default()
    };
    for word in words {
        match word.split_once('=') {
            Some((key, value)) => line.values.push((key, value)),
            None => line.names.push(decode(word)?),
        }
    }
    Ok(line)
}

fn decode(word: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let [high, low, after @ ..] = rest else {
            return Err(format!("'{word}' breaks off"));
        };
        let (Some(high), Some(low)) = (digit(high), digit(low)) else {
            return Err(format!("'{word}' has a bad escape"));
        };
        bytes.push((high * 16 + low) as u8);
        rest = after;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        let mut pen = Pen::new(&mut out, true);
        pen.line("empty", &[b"line"]);
        pen.count("none", 0);
        pen.line("server", &[b"app", b"a b=%"]);
        pen.count("none", 0);
        pen.number("zero", 0);
        pen.count("most", u64::MAX);
        pen.text("info", "nay, it's \"no\"\n\u{fc}".as_bytes());
        pen.end();
        let (whole, lines) = read(&out).unwrap();
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert!(whole);
        assert_eq!(line.kind, "server");
        assert_eq!(line.name(0).unwrap(), "app");
        assert_eq!(line.name(1).unwrap(), "a b=%");
        assert!(line.name(2).is_err());
        assert_eq!(line.number("none"), Ok(None));
        assert_eq!(line.number("zero"), Ok(Some(0)));
        assert_eq!(line.number("most"), Ok(Some(u64::MAX)));
        assert_eq!(
            line.text("info").unwrap(),
            "nay, it's \"no\"\n\u{fc}".as_bytes()
        );
    }

    #[test]
    fn what_is_no_document() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "the document is cut off"),
            (b"\nend\n", "this is no document of a handover"),
            (b"oneloop-handover 1 whole\n", "the document is cut off"),
            (b"oneloop-handover 1 whole\nend", "the document is cut off"),
            (
                b"oneloop-handover 1 half\nend\n",
                "this is no document of a handover",
            ),
            (
                b"oneloop-handover 2 whole\nend\n",
                "version '2' of the document is not known",
            ),
            (
                b"oneloop-handover 1 whole\nfront %4\nend\n",
                "'%4' breaks off",
            ),
            (
                b"oneloop-handover 1 whole\nfront %4x\nend\n",
                "'%4x' has a bad escape",
            ),
            (b"oneloop-handover 1 whole \xff", "the document is no text"),
        ];
        for (document, expected) in cases {
            assert_eq!(read(document).unwrap_err(), expected);
        }
    }

    #[test]
    fn numbers_are_read_whole() {
        let document =
            b"oneloop-handover 1 rest\nx a=1x b=-1 c= d=18446744073709551616 e=+1 f=300\nend\n";
        let (whole, lines) = read(document).unwrap();
        assert!(!whole);
        for key in ["a", "b", "c", "d", "e"] {
            assert!(lines[0].number(key).is_err(), "{key}");
        }
        assert_eq!(lines[0].up_to("f", 300), Ok(300));
        assert!(lines[0].up_to("f", 299).is_err());
    }
}
