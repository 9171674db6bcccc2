//! Reads the request suites (`tests/cfg/parity/requests/*.suite`): one configuration and the cases
//! that are run over it.
//!
//! A suite is text, so that a case reads as what goes over the wire. It is parsed completely before
//! anything runs: a misspelt step is a panic with file and line, never a case that tests less than
//! it says. The format is described in `tests/parity/README.md`.
//!
//! Rust tables were tried first: half of every case was punctuation, and a configuration of thirty
//! lines inside a string literal does not read as one.

use crate::mask;
use std::path::Path;

/// One suite: a configuration, and cases that run in order over one start of each proxy.
pub(crate) struct Suite {
    /// The file's stem.
    pub(crate) name: String,
    /// The configuration, with `@name@` where the harness puts ports and paths.
    pub(crate) config: String,
    /// Whether what the proxy prints on stdout belongs to what is compared.
    pub(crate) compare_stdout: bool,
    /// The cases, in file order.
    pub(crate) cases: Vec<Case>,
}

/// One case: steps, and how what they show is compared.
pub(crate) struct Case {
    /// Unique in its suite.
    pub(crate) name: String,
    /// What is done, in order.
    pub(crate) steps: Vec<Step>,
    /// How many log lines to wait for; by default one for each final answer.
    pub(crate) logs: Option<usize>,
    /// Differences on purpose.
    pub(crate) differs: Vec<Differs>,
    /// Compare chunk boundaries instead of the decoded body.
    pub(crate) chunks_exact: bool,
    /// Leave the byte count of the log line out.
    pub(crate) bytes_any: bool,
    /// Origins that are driven by steps instead of answering by themselves.
    pub(crate) manual: Vec<char>,
    /// Origins of which it does not matter how often they are asked the same.
    pub(crate) repeats: Vec<char>,
}

/// The four things that are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What clients received.
    Answer,
    /// What origins received.
    Origin,
    /// Log lines, stdout and stderr.
    Log,
    /// Answers of the runtime sockets.
    Command,
}

impl Part {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "answer" => Some(Self::Answer),
            "origin" => Some(Self::Origin),
            "log" => Some(Self::Log),
            "command" => Some(Self::Command),
            _ => None,
        }
    }
}

/// A difference that is meant: it must be there, and only in this part.
#[derive(Clone)]
pub(crate) struct Differs {
    /// Where it shows.
    pub(crate) part: Part,
    /// Why, with a reference to `docs/differences.md`.
    pub(crate) reason: String,
}

/// One step of a case. `conn` numbers the case's client connections.
#[derive(Debug)]
pub(crate) enum Step {
    /// Chooses the listener that a connection goes to (before its first use).
    To { conn: u8, listener: String },
    /// Opens the connection without sending.
    Connect { conn: u8 },
    /// One write.
    Send { conn: u8, bytes: Vec<u8> },
    /// Waits until `count` more final answers are complete.
    Answer { conn: u8, count: usize },
    /// Waits until this text arrives after the last one waited for.
    Await { conn: u8, text: Vec<u8> },
    /// Waits until the proxy closes its side.
    Eof { conn: u8 },
    /// Closes the sending half.
    Shut { conn: u8 },
    /// Closes the connection.
    Close { conn: u8 },
    /// Something an origin does.
    Origin { origin: char, act: Act },
    /// Waits until a log line contains this text.
    LogAwait { text: String },
    /// Waits until the proxy has acted on everything that was sent before.
    Settled,
    /// Sends a line to a runtime socket, by its file's name, and takes down the whole answer.
    Command { socket: String, line: Vec<u8> },
    /// The same again and again, untold, until the answer contains a text.
    CommandAwait { line: Vec<u8>, text: String },
}

/// What an origin does: queued for the next request, or at once if the case drives it by hand.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// One write.
    Send(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Closes the sending half.
    Shut,
    /// Waits for a connection.
    Accept,
    /// Waits for a complete request head.
    Head,
    /// Waits for a complete request.
    Request,
    /// Waits for a text after the last one waited for.
    Await(Vec<u8>),
    /// Waits until the proxy closes its side.
    Eof,
    /// Stops listening: connections are refused.
    Stop,
    /// Listens again.
    Start,
}

/// Reads every suite of a folder, in name order.
pub(crate) fn load_all(folder: &Path) -> Vec<Suite> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "suite"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            parse(&name, &std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Parses one suite.
pub(crate) fn parse(name: &str, text: &str) -> Suite {
    let mut suite = Suite {
        name: name.to_owned(),
        config: String::new(),
        compare_stdout: false,
        cases: Vec::new(),
    };
    let mut in_config = false;
    let mut block = Block::None;
    for (index, raw) in text.lines().enumerate() {
        let at = format!("{name}.suite:{}", index + 1);
        if let Some(heading) = raw.strip_prefix("== ") {
            block = Block::None;
            in_config = false;
            match heading.trim().split_once(' ') {
                None if heading.trim() == "config" => in_config = true,
                Some(("case", case)) => {
                    let case = case.trim().to_owned();
                    assert!(
                        suite.cases.iter().all(|c| c.name != case),
                        "{at}: name used twice"
                    );
                    suite.cases.push(Case::new(case));
                }
                _ => panic!("{at}: a heading is `== config` or `== case NAME`"),
            }
            continue;
        }
        if in_config {
            suite.config.push_str(raw);
            suite.config.push('\n');
            continue;
        }
        let line = raw.trim_start();
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            block = Block::None;
            continue;
        }
        match suite.cases.last_mut() {
            Some(case) => block = case.line(line, block, &at),
            None if line.trim() == "stdout" => suite.compare_stdout = true,
            None => panic!("{at}: unknown suite option `{line}`"),
        }
    }
    assert!(!suite.config.is_empty(), "{name}: no `== config`");
    for case in &mut suite.cases {
        case.finish();
    }
    suite
}

/// Whether the line before belongs to a write that the next one may go on with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    Client(u8),
    Origin(char),
}

impl Case {
    fn new(name: String) -> Self {
        Self {
            name,
            steps: Vec::new(),
            logs: None,
            differs: Vec::new(),
            chunks_exact: false,
            bytes_any: false,
            manual: Vec::new(),
            repeats: Vec::new(),
        }
    }

    /// Reads one line; returns the write it may be continued with.
    fn line(&mut self, line: &str, block: Block, at: &str) -> Block {
        if let Some(command) = line.strip_prefix('$') {
            self.steps.push(command_step(command, at));
            return Block::None;
        }
        let first = line.chars().next().unwrap();
        let (conn, rest) = match first.to_digit(10) {
            Some(digit) => (digit as u8, line[1..].trim_start()),
            None => (1, line),
        };
        if let Some(bytes) = sent(rest, '>', at) {
            match self.steps.last_mut() {
                Some(Step::Send { bytes: before, .. }) if block == Block::Client(conn) => {
                    before.extend(bytes);
                }
                _ => self.steps.push(Step::Send { conn, bytes }),
            }
            return Block::Client(conn);
        }
        let second = line[first.len_utf8()..].chars().next();
        if first.is_ascii_lowercase() && second == Some('<') {
            let bytes = sent(&line[1..], '<', at).unwrap();
            match self.steps.last_mut() {
                Some(Step::Origin {
                    act: Act::Send(before),
                    ..
                }) if block == Block::Origin(first) => {
                    before.extend(bytes);
                }
                _ => self.steps.push(Step::Origin {
                    origin: first,
                    act: Act::Send(bytes),
                }),
            }
            return Block::Origin(first);
        }
        if first.is_ascii_lowercase() && second == Some(' ') {
            self.origin_step(first, line[2..].trim(), at);
            return Block::None;
        }
        self.word_step(conn, rest, at);
        Block::None
    }

    fn origin_step(&mut self, origin: char, words: &str, at: &str) {
        let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
        let act = match word {
            "manual" => return self.manual.push(origin),
            "repeats" => return self.repeats.push(origin),
            "close" => Act::Close,
            "shut" => Act::Shut,
            "accept" => Act::Accept,
            "head" => Act::Head,
            "request" => Act::Request,
            "await" => Act::Await(unescape(rest, at)),
            "eof" => Act::Eof,
            "stop" => Act::Stop,
            "start" => Act::Start,
            _ => panic!("{at}: unknown origin step `{word}`"),
        };
        self.steps.push(Step::Origin { origin, act });
    }

    fn word_step(&mut self, conn: u8, words: &str, at: &str) {
        let (word, rest) = words.split_once(' ').unwrap_or_else(|| (words.trim(), ""));
        let rest = rest.trim();
        let step = match word {
            "to" => Step::To {
                conn,
                listener: rest.to_owned(),
            },
            "connect" => Step::Connect { conn },
            "answer" => {
                let count = if rest.is_empty() { 1 } else { number(rest, at) };
                Step::Answer { conn, count }
            }
            "await" => Step::Await {
                conn,
                text: unescape(rest, at),
            },
            "eof" => Step::Eof { conn },
            "shut" => Step::Shut { conn },
            "close" => Step::Close { conn },
            "settled" => Step::Settled,
            "log" => match rest.strip_prefix("await ") {
                Some(text) => Step::LogAwait {
                    text: text.to_owned(),
                },
                None => panic!("{at}: `log await TEXT`"),
            },
            "logs" => return self.logs = Some(number(rest, at)),
            "chunks" => return self.chunks_exact = true,
            "bytes" => return self.bytes_any = true,
            "differs" => {
                let (part, reason) = rest.split_once(": ").unwrap_or((rest, ""));
                let Some(part) = Part::from_word(part) else {
                    panic!("{at}: `differs answer|origin|log|command: REASON`")
                };
                assert!(
                    reason.contains("docs/differences.md#"),
                    "{at}: a difference names its place in docs/differences.md"
                );
                return self.differs.push(Differs {
                    part,
                    reason: reason.to_owned(),
                });
            }
            _ => panic!("{at}: unknown step `{words}`"),
        };
        self.steps.push(step);
    }

    /// A connection whose last step is a write waits for one answer.
    fn finish(&mut self) {
        let mut open: Vec<u8> = Vec::new();
        for step in &self.steps {
            match step {
                Step::Send { conn, .. } if !open.contains(conn) => open.push(*conn),
                Step::Answer { conn, .. }
                | Step::Await { conn, .. }
                | Step::Eof { conn }
                | Step::Close { conn } => open.retain(|c| c != conn),
                _ => {}
            }
        }
        self.steps
            .extend(open.into_iter().map(|conn| Step::Answer { conn, count: 1 }));
    }
}

/// `$ COMMAND` on the socket `admin.sock`, `$NAME COMMAND` on `NAME.sock`, `$await TEXT: COMMAND`.
fn command_step(words: &str, at: &str) -> Step {
    let (name, rest) = words
        .split_once(' ')
        .unwrap_or_else(|| panic!("{at}: `$ COMMAND` or `$NAME COMMAND`"));
    if name == "await" {
        let Some((text, command)) = rest.split_once(": ") else {
            panic!("{at}: `$await TEXT: COMMAND`")
        };
        return Step::CommandAwait {
            line: unescape(command, at),
            text: text.to_owned(),
        };
    }
    let name = if name.is_empty() { "admin" } else { name };
    Step::Command {
        socket: format!("{name}.sock"),
        line: unescape(rest, at),
    }
}

fn number(text: &str, at: &str) -> usize {
    text.parse()
        .unwrap_or_else(|_| panic!("{at}: `{text}` is not a number"))
}

/// `> text` is a line with its CRLF, `>> text` is text alone.
fn sent(line: &str, mark: char, at: &str) -> Option<Vec<u8>> {
    let rest = line.strip_prefix(mark)?;
    if let Some(raw) = rest.strip_prefix(mark) {
        return Some(unescape(raw.strip_prefix(' ').unwrap_or(raw), at));
    }
    let mut bytes = unescape(rest.strip_prefix(' ').unwrap_or(rest), at);
    bytes.extend(b"\r\n");
    Some(bytes)
}

/// Resolves `\r \n \t \s \\ \xHH`, `\{TEXT*COUNT}` (TEXT repeated, without nesting) and
/// `\{date+SECONDS}`, `\{date-SECONDS}` (that far from now, as persistence cookies have it).
pub(crate) fn unescape(text: &str, at: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'\\' {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        let next = *bytes
            .get(i + 1)
            .unwrap_or_else(|| panic!("{at}: a lone backslash"));
        i += 2;
        match next {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b's' => out.push(b' '),
            b'\\' => out.push(b'\\'),
            b'x' => {
                let hex = text.get(i..i + 2).unwrap_or_else(|| panic!("{at}: \\xHH"));
                out.push(u8::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("{at}: \\xHH")));
                i += 2;
            }
            b'{' => {
                let end = i + text[i..]
                    .find('}')
                    .unwrap_or_else(|| panic!("{at}: no brace"));
                match text[i..end].strip_prefix("date") {
                    Some(away) => {
                        let away: i64 = away.parse().unwrap_or_else(|_| panic!("{at}: date+N"));
                        out.extend(mask::cookie_date(mask::now_s() + away).into_bytes());
                    }
                    None => {
                        let (what, count) = text[i..end].rsplit_once('*').expect("TEXT*COUNT");
                        out.extend(unescape(what, at).repeat(number(count, at)));
                    }
                }
                i = end + 1;
            }
            other => panic!("{at}: unknown escape \\{}", other as char),
        }
    }
    out
}

#[test]
fn unescape_resolves_every_form() {
    assert_eq!(unescape(r"a\r\n\t\s\\\x00\x7f", "t"), b"a\r\n\t \\\x00\x7f");
    assert_eq!(unescape(r"\{ab*3}c", "t"), b"abababc");
    assert_eq!(unescape(r"\{date+3600}", "t").len(), 5);
}

#[test]
fn lines_of_one_write_are_joined_and_an_answer_is_implied() {
    let text =
        "== config\nglobal\n== case x\n> GET / HTTP/1.1\n>\n\n> more\na< HTTP/1.1 200 OK\na<\n";
    let suite = parse("t", text);
    let steps = &suite.cases[0].steps;
    assert_eq!(steps.len(), 4);
    assert!(matches!(&steps[0], Step::Send { bytes, .. } if bytes == b"GET / HTTP/1.1\r\n\r\n"));
    assert!(matches!(steps[3], Step::Answer { conn: 1, count: 1 }));
}
