//! Hides what differs from run to run (times, ports, pids), and translates between the two proxies
//! what is known to be written differently everywhere: the byte count of HTTP log lines and the
//! prefix of messages.
//!
//! A mask hides the value and keeps the shape: `-1` stays `-1`, a long time stays a long time, a
//! port stays the port of somebody. Nothing here may hide a whole line of the oracle's.

use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Times from here on are written `L`, shorter ones `s`, in milliseconds: half of the shortest
/// timeout that a suite waits for, and far above what a busy machine adds.
const LONG_MS: i64 = 700;

/// The crate's regular expressions are built without Unicode tables: classes are spelled out.
pub(crate) fn regex(text: &str) -> Regex {
    let text = text
        .replace(r"\d", "[0-9]")
        .replace(r"\S", "[^ ]")
        .replace(r"\b", r"(?-u:\b)");
    Regex::new(&text).unwrap()
}

/// What a log line is masked with.
pub(crate) struct LogMask<'a> {
    /// Port numbers by the names they get.
    pub(crate) ports: &'a BTreeMap<u16, String>,
    /// Taken off the byte count of HTTP lines unless that is 0 (`docs/differences.md`, bytes).
    pub(crate) bytes_less: u64,
    /// Leave the byte count out.
    pub(crate) bytes_any: bool,
}

impl LogMask<'_> {
    /// One log line.
    pub(crate) fn apply(&self, line: &str) -> String {
        static HEADER: LazyLock<Regex> =
            LazyLock::new(|| regex(r"^(<\d+>)[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (\S+?)\[\d+\]:"));
        static DATE: LazyLock<Regex> =
            LazyLock::new(|| regex(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\]"));
        static HTTP: LazyLock<Regex> = LazyLock::new(|| {
            regex(r"( \+?-?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+) (-?\d+) (\+?)(\d+)( |$)")
        });
        static TCP: LazyLock<Regex> =
            LazyLock::new(|| regex(r"( -?\d+/-?\d+/\+?-?\d+) (\+?\d+) ([A-Za-z-]{2}) "));
        static MS: LazyLock<Regex> = LazyLock::new(|| regex(r"\bms=(-?\d+)"));
        static BYTES: LazyLock<Regex> = LazyLock::new(|| regex(r"\bbytes=(\d+)"));
        static HIDDEN: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(port|pid|hidden)=[^ ]*"));
        static CHECK_MS: LazyLock<Regex> = LazyLock::new(|| regex(r"check duration: \d+ms"));

        let line = HEADER.replace(line, "${1}DATE ${2}[PID]:");
        let line = DATE.replace_all(&line, "[TIME]");
        let line = HTTP.replace(&line, |found: &regex::Captures<'_>| {
            let bytes = self.bytes(&found[4]);
            format!(
                "{} {} {}{bytes}{}",
                times(&found[1]),
                &found[2],
                &found[3],
                &found[5]
            )
        });
        let line = TCP.replace(&line, |found: &regex::Captures<'_>| {
            format!("{} {} {} ", times(&found[1]), &found[2], &found[3])
        });
        let line = MS.replace_all(&line, |found: &regex::Captures<'_>| {
            format!("ms={}", time(&found[1]))
        });
        let line = BYTES.replace_all(&line, |found: &regex::Captures<'_>| {
            format!("bytes={}", self.bytes(&found[1]))
        });
        let line = HIDDEN.replace_all(&line, "${1}=...");
        let line = CHECK_MS.replace_all(&line, "check duration: Nms");
        self.name_ports(&line)
    }

    fn bytes(&self, digits: &str) -> String {
        if self.bytes_any {
            return "ANY".to_owned();
        }
        match digits.parse::<u64>() {
            Ok(0) | Err(_) => digits.to_owned(),
            Ok(count) => count.wrapping_sub(self.bytes_less).to_string(),
        }
    }

    /// Writes the names of known ports for their numbers, and hides the dates of cookies.
    pub(crate) fn name_ports(&self, text: &str) -> String {
        static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d{4,5}\b"));
        NUMBER
            .replace_all(&hide_cookie_dates(text), |found: &regex::Captures<'_>| {
                let name = found[0]
                    .parse()
                    .ok()
                    .and_then(|port: u16| self.ports.get(&port));
                name.map_or_else(|| found[0].to_owned(), |name| format!("@{name}@"))
            })
            .into_owned()
    }
}

/// The digits of dates in persistence cookies, of base 64.
const DATE_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Dates in cookies that are not further from now than this are hidden, seconds.
const NOW_S: i64 = 600;

/// Seconds since 1970.
pub(crate) fn now_s() -> i64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A date as persistence cookies have it: five digits, one for four seconds.
pub(crate) fn cookie_date(seconds: i64) -> String {
    let digit = |place: u32| {
        let value = usize::try_from((seconds / 4) >> (place * 6) & 63).unwrap();
        &DATE_DIGITS[value..=value]
    };
    (0..5).rev().map(digit).collect()
}

/// Hides the dates in a cookie's value that are about now; others stay.
fn hide_cookie_dates(line: &str) -> String {
    static DATE: LazyLock<Regex> = LazyLock::new(|| regex(r"\|([A-Za-z0-9+/]{5})([|; ]|$)"));
    // Two dates share the mark between them, so one is looked at after the other.
    let hide = |found: &regex::Captures<'_>| {
        let value = |sum: i64, digit: char| {
            sum * 64 + i64::try_from(DATE_DIGITS.find(digit).unwrap()).unwrap()
        };
        let away = found[1].chars().fold(0, value) * 4 - now_s();
        match away.abs() <= NOW_S {
            true => format!("|NOW{}", &found[2]),
            false => found[0].to_owned(),
        }
    };
    let first = DATE.replace_all(line, hide).into_owned();
    DATE.replace_all(&first, hide).into_owned()
}

/// The answer of a runtime socket, line by line: pointers, dates, times and what counts bytes or
/// the harness's own commands is hidden.
pub(crate) fn answer_lines(answer: &str) -> Vec<String> {
    static POINTER: LazyLock<Regex> = LazyLock::new(|| regex(r"0x[0-9a-f]+"));
    static DATE: LazyLock<Regex> =
        LazyLock::new(|| regex(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3,6}\]"));
    static COUNT: LazyLock<Regex> = LazyLock::new(|| regex(r"entry_cnt=\d+"));
    static VERSION: LazyLock<Regex> = LazyLock::new(|| regex(r"2\.6\.12-[a-z0-9.+-]+"));
    static AGE: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^(\d+ \S+ \d+ \S+ \S+ \d+ \d+ \d+ \d+) \d+ (\d+ \d+ \d+ )"));
    let mut columns: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for line in answer.lines() {
        if let Some(header) = line.strip_prefix("# pxname,") {
            columns = std::iter::once("pxname").chain(header.split(',')).collect();
        } else if line.is_empty() {
            columns.clear();
        } else if !columns.is_empty() {
            // The harness's own connections are counted here.
            if !line.starts_with("parity-marker,") {
                lines.push(mask_row(&columns, line));
            }
            continue;
        }
        // Lists of a client of HAProxy's own, which no line of a configuration asks for.
        if line.contains(" file 'httpclient' line 0.") {
            continue;
        }
        let line = POINTER.replace_all(line, "0xID");
        let line = DATE.replace_all(&line, "[TIME]");
        // HAProxy 2.6 loses count of what commands add and take away.
        let line = COUNT.replace_all(&line, "entry_cnt=N");
        let line = VERSION.replace_all(&line, "VERSION");
        lines.push(AGE.replace(&line, "$1 AGE $2").into_owned());
    }
    if !answer.ends_with('\n') && !answer.is_empty() {
        lines.push("(no end of line)".to_owned());
    }
    lines
}

/// Columns of `show stat` that hold times, rates and bytes.
const RESTLESS: &[&str] = &[
    "bin",
    "bout",
    "lastchg",
    "downtime",
    "rate",
    "rate_max",
    "check_duration",
    "req_rate",
    "req_rate_max",
    "lastsess",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "conn_rate",
    "conn_rate_max",
    "qtime_max",
    "ctime_max",
    "rtime_max",
    "ttime_max",
    "h1_bytes_in",
    "h1_bytes_out",
];

/// A row of `show stat`: only what is set of the restless columns is kept. A text in quotes may
/// have commas.
fn mask_row(columns: &[&str], row: &str) -> String {
    let mut quoted = false;
    let cells = row.split(|char| {
        quoted ^= char == '"';
        char == ',' && !quoted
    });
    let cells = cells.enumerate().map(|(at, cell)| {
        let restless = columns.get(at).is_some_and(|name| RESTLESS.contains(name));
        if restless && !cell.is_empty() {
            "#"
        } else {
            cell
        }
    });
    cells.collect::<Vec<_>>().join(",")
}

fn times(text: &str) -> String {
    let shown: Vec<String> = text.trim().split('/').map(time).collect();
    format!(" {}", shown.join("/"))
}

fn time(text: &str) -> String {
    let (plus, digits) = text
        .strip_prefix('+')
        .map_or(("", text), |rest| ("+", rest));
    match digits.parse::<i64>() {
        Ok(-1) => format!("{plus}-1"),
        Ok(ms) if ms >= LONG_MS => format!("{plus}L"),
        Ok(_) => format!("{plus}s"),
        Err(_) => text.to_owned(),
    }
}

/// One message of a proxy: its first line without the prefix, and the lines that belong to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Note {
    /// `ALERT: text`.
    pub(crate) text: String,
    /// Following lines without a prefix of their own.
    pub(crate) more: Vec<String>,
}

/// Reads messages (stderr): prefixes masked, the two version lines left out.
pub(crate) fn notes(text: &str) -> Vec<Note> {
    static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"^\[(ALERT|WARNING|NOTICE|DIAG)\] *(?:\d{3}/\d{6})? *\(\d+\) : (?:config : |CLI : )?",
        )
    });
    static CHECK_MS: LazyLock<Regex> = LazyLock::new(|| regex(r"check duration: \d+ms"));
    let mut notes: Vec<Note> = Vec::new();
    static KILLED: LazyLock<Regex> = LazyLock::new(|| regex(r" kill \d+$"));
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let line = CHECK_MS.replace_all(line, "check duration: Nms");
        let line = KILLED.replace(&line, " kill PID");
        if let Some(found) = PREFIX.captures(&line) {
            let rest = &line[found[0].len()..];
            notes.push(Note {
                text: format!("{}: {rest}", &found[1]),
                more: Vec::new(),
            });
        } else if let Some(note) = notes.last_mut() {
            note.more.push(line.into_owned());
        } else {
            notes.push(Note {
                text: line.into_owned(),
                more: Vec::new(),
            });
        }
    }
    notes.retain(|note| {
        !note.text.starts_with("NOTICE: haproxy version is ")
            && !note.text.starts_with("NOTICE: oneloop version is ")
            && !note.text.starts_with("NOTICE: path to executable is ")
    });
    notes
}

/// Takes off the subject's notes what only oneloop prints: indented lines (the source line with its
/// caret, an explanation), and a suggestion where HAProxy has none. What HAProxy prints has to be
/// there.
pub(crate) fn drop_extras(haproxy: &[Note], oneloop: &mut [Note]) {
    static SUGGESTION: LazyLock<Regex> =
        LazyLock::new(|| regex(r"[;,]? *[dD]id you mean '[^']*'(?: maybe)? ?\?\.?$"));
    let end = ['.', ';', ' '];
    for (index, note) in oneloop.iter_mut().enumerate() {
        let model = haproxy.get(index);
        if let Some(model) = model
            && !SUGGESTION.is_match(&model.text)
        {
            let bare = SUGGESTION.replace(&note.text, "").into_owned();
            if bare.trim_end_matches(end) == model.text.trim_end_matches(end) {
                note.text.clone_from(&model.text);
            }
        }
        let wanted = model.map_or(&[][..], |model| &model.more[..]);
        let extra = |line: &String| line.starts_with("  ") && !wanted.contains(line);
        note.more.retain(|line| !extra(line));
    }
}

/// Notes as lines for comparison.
pub(crate) fn note_lines(notes: &[Note]) -> Vec<String> {
    notes
        .iter()
        .flat_map(|note| std::iter::once(note.text.clone()).chain(note.more.iter().cloned()))
        .collect()
}

#[test]
fn log_lines_keep_their_shape() {
    let ports = BTreeMap::from([(41234, "CLIENT1".to_owned())]);
    let mask = LogMask {
        ports: &ports,
        bytes_less: 5,
        bytes_any: false,
    };
    let line = "<134>Nov 22 10:00:00 haproxy[12]: 127.0.0.1:41234 [22/Nov/2026:10:49:07.543] \
                f b/s 0/0/-1/-1/3003 503 221 - - SC-- 1/1/0/0/3 0/0 \"GET / HTTP/1.1\"";
    assert_eq!(
        mask.apply(line),
        "<134>DATE haproxy[PID]: 127.0.0.1:@CLIENT1@ [TIME] \
         f b/s s/s/-1/-1/L 503 216 - - SC-- 1/1/0/0/3 0/0 \"GET / HTTP/1.1\""
    );
    let line = "127.0.0.1:5 [22/Nov/2026:10:49:07.543] t t/s1 1/0/3 170 -- 1/1/0/0/0 0/0";
    assert_eq!(
        mask.apply(line),
        "127.0.0.1:5 [TIME] t t/s1 s/s/s 170 -- 1/1/0/0/0 0/0"
    );
    assert_eq!(
        mask.apply("ms=701 ms=-1 bytes=70 port=99"),
        "ms=L ms=-1 bytes=65 port=..."
    );
}

#[test]
fn only_oneloops_own_lines_are_dropped() {
    let haproxy = notes(
        "[NOTICE]   (7) : haproxy version is 2.6\n\
         [ALERT]    (7) : config : parsing [F:2]: unmatched quote at position 3:\n  bind \"x\n   ^\n\
         [ALERT]    (7) : config : no such ACL : 'is-ap1'.\n",
    );
    let mut oneloop = notes(
        "[ALERT] 325/101112 (8) : parsing [F:2]: unmatched quote at position 3:\n  bind \"x\n   ^\n\
         [ALERT] 325/101112 (8) : no such ACL : 'is-ap1'. did you mean 'is-app1' ?\n    use x\n    ^\n  an explanation\n",
    );
    drop_extras(&haproxy, &mut oneloop);
    assert_eq!(oneloop, haproxy);
}

#[test]
fn a_comma_in_quotes_does_not_part_cells() {
    let answer = "# pxname,last_chk,rate,smax,\nb,\"a, b\",7,8,\nparity-marker,,1,2,\n\n";
    let lines = answer_lines(answer);
    assert_eq!(lines[1..], ["b,\"a, b\",#,8,", ""]);
}
