//! A field of `show info` and `show stat`: its value, what kind of number it is, and the forms in
//! which it is printed.
//!
//! Both commands print the same fields as text for people, as typed lines and as JSON
//! (management.txt 9.2). What a field is stands in one table; what its value is, in one row; the
//! form decides only the punctuation, so that the forms cannot disagree. A field without a value is
//! left out (text, typed, JSON) or left empty (CSV).

use std::borrow::Cow;
use std::io::Write as _;

/// What a field is.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Origin, nature and scope, one letter each: `MGP` is a metric, a gauge, of the process.
    pub tags: &'static str,
    /// What it says, for `desc`.
    pub about: &'static str,
}

/// A value of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value<'a> {
    /// None: the field does not apply.
    #[default]
    Empty,
    /// A number below 2^32.
    U32(u32),
    /// A number below 2^64.
    U64(u64),
    /// A number that may be negative.
    S32(i32),
    /// A number with a fraction, in millionths.
    Micros(u64),
    /// A text.
    Text(Cow<'a, str>),
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::U32(number)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::U64(number)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `Name: value` lines, or CSV.
    #[default]
    Plain,
    /// One typed line a field.
    Typed,
    /// An array of objects.
    Json,
}

impl Form {
    /// The form and whether descriptions are wanted, from a command's words.
    #[must_use]
    pub fn of(words: &[&str]) -> (Self, bool) {
        let mut form = Self::Plain;
        let mut described = false;
        for word in words {
            match *word {
                "typed" => form = Self::Typed,
                "json" => form = Self::Json,
                "desc" => described = true,
                _ => {}
            }
        }
        (form, described)
    }
}

impl Value<'_> {
    /// True when the field does not apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Appends the value alone.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Writing to a vector does not fail.
        drop(match self {
            Self::Empty => Ok(()),
            Self::U32(number) => write!(out, "{number}"),
            Self::U64(number) => write!(out, "{number}"),
            Self::S32(number) => write!(out, "{number}"),
            Self::Micros(number) => {
                let text = format!("{}.{:06}", number / 1_000_000, number % 1_000_000);
                let text = text.trim_end_matches('0').trim_end_matches('.');
                write!(out, "{text}")
            }
            Self::Text(text) => write!(out, "{text}"),
        });
    }

    /// Appends the value as a CSV cell: quoted when a comma, a quote or a line end is in it.
    pub fn write_cell(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) if text.contains([',', '"', '\r', '\n']) => {
                drop(write!(out, "\"{}\"", text.replace('"', "\"\"")));
            }
            _ => self.write(out),
        }
    }

    /// Appends `type:value`.
    pub fn write_typed(&self, out: &mut Vec<u8>) {
        drop(write!(out, "{}:", self.kind()));
        self.write(out);
    }

    /// Appends `{"type":...,"value":...}`. A number that JavaScript cannot hold is capped.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        const EXACT_MAX: u64 = (1 << 53) - 1;
        drop(write!(out, "{{\"type\":\"{}\",\"value\":", self.kind()));
        match self {
            Self::Text(text) => write_json_string(out, text),
            Self::U64(number) => drop(write!(out, "{}", number.min(&EXACT_MAX))),
            _ => self.write(out),
        }
        out.push(b'}');
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "unk",
            Self::U32(_) => "u32",
            Self::U64(_) => "u64",
            Self::S32(_) => "s32",
            Self::Micros(_) => "flt",
            Self::Text(_) => "str",
        }
    }
}

/// Appends `"processNum":1,"tags":{...},"value":{...}`, the end of a field's JSON object.
pub fn write_json_tail(out: &mut Vec<u8>, tags: &str, value: &Value<'_>) {
    let mut letters = tags.chars();
    let mut next = |word: fn(char) -> &'static str| letters.next().map_or("Unknown", word);
    let (origin, nature, scope) = (next(origin), next(nature), next(scope));
    drop(write!(
        out,
        "\"processNum\":1,\"tags\":{{\"origin\":\"{origin}\",\"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\"value\":"
    ));
    value.write_json(out);
    out.push(b'}');
}

fn origin(letter: char) -> &'static str {
    match letter {
        'M' => "Metric",
        'S' => "Status",
        'K' => "Key",
        'C' => "Config",
        'P' => "Product",
        _ => "Unknown",
    }
}

fn nature(letter: char) -> &'static str {
    match letter {
        'A' => "Age",
        'a' => "Avg",
        'C' => "Counter",
        'D' => "Duration",
        'G' => "Gauge",
        'L' => "Limit",
        'M' => "Max",
        'm' => "Min",
        'N' => "Name",
        'O' => "Output",
        'R' => "Rate",
        'T' => "Time",
        _ => "Unknown",
    }
}

fn scope(letter: char) -> &'static str {
    match letter {
        'C' => "Cluster",
        'P' => "Process",
        'S' => "Service",
        'Y' => "System",
        _ => "Unknown",
    }
}

fn write_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => drop(write!(out, "\\{c}")),
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => drop(write!(out, "{c}")),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_in_every_form() {
        let cases = [
            (Value::U32(7), "7", "u32:7", r#"{"type":"u32","value":7}"#),
            (
                Value::S32(-1),
                "-1",
                "s32:-1",
                r#"{"type":"s32","value":-1}"#,
            ),
            (
                Value::U64(u64::MAX),
                "18446744073709551615",
                "u64:18446744073709551615",
                r#"{"type":"u64","value":9007199254740991}"#,
            ),
            (
                Value::Micros(10_278_482),
                "10.278482",
                "flt:10.278482",
                r#"{"type":"flt","value":10.278482}"#,
            ),
            (
                Value::Micros(20_500_000),
                "20.5",
                "flt:20.5",
                r#"{"type":"flt","value":20.5}"#,
            ),
            (
                Value::Micros(20_000_000),
                "20",
                "flt:20",
                r#"{"type":"flt","value":20}"#,
            ),
            (
                Value::from("a,\"b\""),
                "\"a,\"\"b\"\"\"",
                "str:a,\"b\"",
                r#"{"type":"str","value":"a,\"b\""}"#,
            ),
        ];
        for (value, cell, typed, json) in cases {
            assert_eq!(text(|out| value.write_cell(out)), cell);
            assert_eq!(text(|out| value.write_typed(out)), typed);
            assert_eq!(text(|out| value.write_json(out)), json);
        }
    }

    #[test]
    fn tags_have_names() {
        let tail = text(|out| write_json_tail(out, "MaP", &Value::U32(1)));
        assert_eq!(
            tail,
            "\"processNum\":1,\"tags\":{\"origin\":\"Metric\",\"nature\":\"Avg\",\
             \"scope\":\"Process\"},\"value\":{\"type\":\"u32\",\"value\":1}}"
        );
    }
}
