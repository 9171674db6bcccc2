//! A rule of `tcp-check` or `http-check`: its words to a step.
//!
//! What HAProxy says about a bad word is said here, at that word. Addresses are not resolved:
//! that needs the machine, which the lines' handler asks.

use crate::check::expect::{Compare, Expect, Pattern, Text};
use crate::check::probe::Status;
use crate::check::request::Request;
use crate::check::sequence::{Assigned, Condition, ConnectStep, Payload, SetVariable, Step};
use crate::config::units;
use crate::rules::compile::{Compiler, Problem};
use crate::rules::fetch::{Expression, Scope};
use crate::rules::format::{Format, Purpose};
use crate::rules::regex::Regex;
use crate::rules::unhex;
use crate::rules::variables::check_name;

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    /// `tcp-check`
    Tcp,
    /// `http-check`
    Http,
}

impl Kind {
    /// The keyword.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp-check",
            Self::Http => "http-check",
        }
    }
}

/// The words of a rule behind `tcp-check` or `http-check`.
pub(super) fn compile_step(
    kind: Kind,
    words: &[&[u8]],
    compiler: &Compiler<'_>,
) -> Result<Step, Problem> {
    let name = kind.name();
    let verb = words.first().copied().unwrap_or_default();
    let shown = String::from_utf8_lossy(verb);
    let mut words = Words {
        words,
        at: 1,
        before: format!("'{name} {shown}' : "),
    };
    match verb {
        b"comment" => {
            let text = words.text("expects a string as argument.")?;
            Ok(Step::Comment(text.into()))
        }
        b"connect" => compile_connect(&mut words, compiler),
        b"send" if kind == Kind::Http => compile_request(&mut words, compiler),
        b"send" | b"send-lf" | b"send-binary" | b"send-binary-lf" if kind == Kind::Tcp => {
            compile_payload(verb, &mut words, compiler)
        }
        b"expect" => compile_expect(kind, &mut words, compiler),
        _ if verb.starts_with(b"set-var") || verb.starts_with(b"unset-var") => {
            compile_variable(verb, &mut words, compiler)
        }
        _ => {
            let known = match kind {
                Kind::Tcp => {
                    "'comment', 'connect', 'send', 'send-binary', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'"
                }
                Kind::Http => {
                    "'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'"
                }
            };
            let text = format!("'{name}' only supports {known}. but got '{shown}'");
            Err(Problem::new(0, text))
        }
    }
}

/// A walk over the words of a rule.
struct Words<'w> {
    words: &'w [&'w [u8]],
    at: usize,
    /// What messages begin with.
    before: String,
}

impl<'w> Words<'w> {
    fn peek(&self) -> &'w [u8] {
        self.words.get(self.at).copied().unwrap_or_default()
    }

    fn is_done(&self) -> bool {
        self.at >= self.words.len()
    }

    fn take(&mut self) -> &'w [u8] {
        let word = self.peek();
        self.at = self.at.saturating_add(1);
        word
    }

    /// The next word, which must not be empty.
    fn argument(&mut self, complaint: &str) -> Result<&'w [u8], Problem> {
        match self.peek() {
            b"" => Err(self.wrong(complaint)),
            _ => Ok(self.take()),
        }
    }

    fn text(&mut self, complaint: &str) -> Result<String, Problem> {
        let word = self.argument(complaint)?;
        Ok(String::from_utf8_lossy(word).into_owned())
    }

    /// A problem with the next word.
    fn wrong(&self, text: impl std::fmt::Display) -> Problem {
        let last = self.words.len().saturating_sub(1);
        Problem::new(self.at.min(last), format!("{}{text}", self.before))
    }

    /// A problem with the word before.
    fn blame(&self, text: impl std::fmt::Display) -> Problem {
        Problem::new(self.at.saturating_sub(1), format!("{}{text}", self.before))
    }

    /// The next word as a log-format string, in the form of messages that quote it.
    fn format(&mut self, complaint: &str, compiler: &Compiler<'_>) -> Result<Format, Problem> {
        let word = self.argument(complaint)?;
        Format::compile(word, Purpose::Check, compiler).map_err(|problem| {
            let reason = problem
                .message
                .strip_suffix('.')
                .unwrap_or(&problem.message);
            let shown = String::from_utf8_lossy(word);
            Problem {
                suggestion: problem.suggestion.clone(),
                ..self.blame(format!(
                    "'{shown}' invalid log-format string ({reason}).\n."
                ))
            }
        })
    }

    /// The next word as an expression.
    fn expression(&mut self, what: &str, compiler: &Compiler<'_>) -> Result<Expression, Problem> {
        let word = self.take();
        Expression::compile(word, Scope::Check, compiler).map_err(|problem| Problem {
            suggestion: problem.suggestion.clone(),
            ..self.blame(format!(
                "error detected while parsing {what} expression : {}",
                problem.message
            ))
        })
    }

    /// The next word as a regular expression.
    fn regex(&mut self, complaint: &str, any_case: bool) -> Result<Regex, Problem> {
        let word = self.argument(complaint)?;
        Regex::compile(word, any_case).map_err(|error| {
            let at = error.offset;
            Problem {
                at: Some(at),
                ..self.blame(format!("{error}."))
            }
        })
    }
}

const CONNECT_EXPECTS: &str = "expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', 'linger', 'default' but got";

fn compile_connect(words: &mut Words<'_>, compiler: &Compiler<'_>) -> Result<Step, Problem> {
    let mut step = ConnectStep::default();
    while !words.is_done() {
        match words.take() {
            b"default" => step.how.as_server = true,
            b"send-proxy" => step.how.send_proxy = true,
            b"linger" => step.how.linger = true,
            b"port" => {
                let word = words.peek();
                if word.is_empty() {
                    let text = "'port' expects a port number or a sample expression as argument..";
                    return Err(words.wrong(text));
                }
                let shown = String::from_utf8_lossy(word);
                if word.iter().all(u8::is_ascii_digit) {
                    let port = shown.parse::<u16>().ok().filter(|port| *port > 0);
                    words.take();
                    if port.is_none() {
                        return Err(words.blame(format!(
                            "expects a valid TCP port (from range 1 to 65535) or a sample expression, got {shown}.."
                        )));
                    }
                    step.how.port = port;
                } else {
                    step.port = Some(words.expression("port", compiler)?);
                }
            }
            b"addr" => {
                words.argument("'addr' expects <ipv4|ipv6> as argument..")?;
            }
            b"comment" => {
                let text = words.text("'comment' expects a string as argument..")?;
                step.comment = Some(text.into());
            }
            b"" => {}
            refused @ (b"via-socks4" | b"ssl" | b"sni" | b"alpn" | b"proto") => {
                let shown = String::from_utf8_lossy(refused);
                return Err(words.blame(format!("'{shown}' is not implemented by oneloop.")));
            }
            other => {
                let shown = String::from_utf8_lossy(other);
                return Err(words.blame(format!("{CONNECT_EXPECTS} '{shown}' as argument..")));
            }
        }
    }
    Ok(Step::Connect(Box::new(step)))
}

fn compile_request(words: &mut Words<'_>, compiler: &Compiler<'_>) -> Result<Step, Problem> {
    let mut request = Request::default();
    while !words.is_done() {
        let word = words.take();
        let shown = String::from_utf8_lossy(word);
        let expects = format!("'{shown}' expects a string as argument..");
        match word {
            b"comment" => {
                words.argument(&expects)?;
            }
            b"meth" => request.method = Some(words.argument(&expects)?.into()),
            b"ver" => request.version = Some(words.argument(&expects)?.into()),
            b"uri" => request.uri = Some(Text::Fixed(words.argument(&expects)?.into())),
            b"uri-lf" => request.uri = Some(Text::Format(words.format(&expects, compiler)?)),
            b"body" => request.body = Some(Text::Fixed(words.argument(&expects)?.into())),
            b"body-lf" => request.body = Some(Text::Format(words.format(&expects, compiler)?)),
            b"hdr" => {
                let expects = "'hdr' expects <name> and <value> as arguments.";
                let name = words.argument(expects)?.to_ascii_lowercase();
                let value = words.argument(expects)?;
                let format = Format::compile(value, Purpose::Check, compiler);
                let format = format.map_err(|problem| Problem {
                    suggestion: problem.suggestion.clone(),
                    ..words.blame(&problem.message)
                })?;
                let known = request.headers.iter().find(|(known, _)| **known == *name);
                if name == b"host"
                    && let Some((_, before)) = known
                {
                    let before = String::from_utf8_lossy(before.constant().unwrap_or_default());
                    return Err(words.blame(format!(
                        "'Host' header already defined (previous value is '{before}')."
                    )));
                }
                request.headers.push((name.into(), format));
            }
            b"" => {}
            _ => {
                return Err(words.blame(format!(
                    "expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got '{shown}' as argument.."
                )));
            }
        }
    }
    Ok(Step::Request(Box::new(request)))
}

fn compile_payload(
    verb: &[u8],
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Step, Problem> {
    let shown = String::from_utf8_lossy(verb);
    let what = if verb == b"send-binary" {
        "binary string"
    } else {
        "string"
    };
    let expects = format!("'{what}' expects a {shown} as argument.");
    let text = match verb {
        b"send" => Text::Fixed(words.argument(&expects)?.into()),
        b"send-binary" => {
            let word = words.argument(&expects)?;
            let bytes = unhex(word).map_err(|text| {
                let shown = String::from_utf8_lossy(word);
                words.blame(format!("'{shown}' invalid binary string ({text}).\n."))
            })?;
            Text::Fixed(bytes.into())
        }
        _ => Text::Format(words.format(&expects, compiler)?),
    };
    let mut comment = None;
    if !words.is_done() {
        let word = words.take();
        if word != b"comment" {
            let shown = String::from_utf8_lossy(word);
            return Err(words.blame(format!("expects 'comment' but got '{shown}' as argument..")));
        }
        let text = words.text("'comment' expects a string as argument..")?;
        comment = Some(text.into());
    }
    Ok(Step::Send(Payload {
        text,
        is_hex: verb == b"send-binary-lf",
        comment,
    }))
}

/// The statuses of an option, and its words about others.
const STATUSES: &[(&[u8], &[Status], &str)] = &[
    (
        b"ok-status",
        &[
            Status::L4Ok,
            Status::L6Ok,
            Status::L7Ok,
            Status::L7OkConditional,
        ],
        "'L4OK', 'L6OK', 'L7OK' or 'L7OKC'",
    ),
    (
        b"error-status",
        &[
            Status::L4Failed,
            Status::L6Invalid,
            Status::L7Invalid,
            Status::L7Status,
            Status::L7OkConditional,
        ],
        "'L4CON', 'L6RSP', 'L7RSP' or 'L7STS'",
    ),
    (
        b"tout-status",
        &[Status::L4Timeout, Status::L6Timeout, Status::L7Timeout],
        "'L4TOUT', 'L6TOUT' or 'L7TOUT'",
    ),
];

fn compile_expect(
    kind: Kind,
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Step, Problem> {
    if words.is_done() {
        return Err(words.wrong("expects at least a matching pattern as arguments."));
    }
    let mut expect = Expect::new(Pattern::Codes(Vec::new()));
    let mut has_pattern = false;
    while !words.is_done() {
        let word = words.take();
        let shown = String::from_utf8_lossy(word);
        let expects = format!("'{shown}' expects a string as argument.");
        match word {
            b"min-recv" => {
                let text = words.text("'min-recv' expects a integer as argument.")?;
                let number = units::atol(&text);
                if number < -1 || number > i64::from(i32::MAX) {
                    let text = "'min-recv' expects -1 or an integer from 0 to INT_MAX.";
                    return Err(words.blame(text));
                }
                expect.least = usize::try_from(number).ok();
            }
            b"comment" => expect.comment = Some(words.text(&expects)?.into()),
            b"on-success" => expect.on_success = Some(words.format(&expects, compiler)?),
            b"on-error" => expect.on_error = Some(words.format(&expects, compiler)?),
            b"status-code" => {
                if words.peek().is_empty() {
                    return Err(words.wrong("'status-code' expects an expression as argument."));
                }
                expect.code = Some(words.expression("status-code", compiler)?);
            }
            b"ok-status" | b"error-status" | b"tout-status" => {
                let said = words.text(&expects)?;
                let row = STATUSES.iter().find(|(name, _, _)| *name == word);
                let (known, list) = row.map_or((&[][..], ""), |(_, known, list)| (*known, *list));
                let status = known.iter().find(|status| status.name() == said);
                let Some(status) = status else {
                    return Err(words.blame(format!(
                        "'{shown}' only supports {list} status (got '{said}').."
                    )));
                };
                *match word {
                    b"ok-status" => &mut expect.passed,
                    b"error-status" => &mut expect.failed,
                    _ => &mut expect.late,
                } = Some(*status);
            }
            _ if has_pattern && is_pattern(kind, word) => {
                return Err(words.blame("only on pattern expected."));
            }
            _ => {
                let mut match_name = word;
                while let Some((b'!', rest)) = match_name.split_first() {
                    expect.negated = true;
                    match_name = if rest.is_empty() { words.take() } else { rest };
                }
                if has_pattern && is_pattern(kind, match_name) {
                    return Err(words.blame("only on pattern expected."));
                }
                expect.pattern = compile_pattern(kind, match_name, words, compiler)?;
                has_pattern = true;
            }
        }
    }
    match has_pattern {
        true => Ok(Step::Expect(Box::new(expect))),
        false => Err(words.wrong("pattern not found.")),
    }
}

/// Whether a word says how to look at what came.
fn is_pattern(kind: Kind, word: &[u8]) -> bool {
    match word {
        b"string" | b"rstring" | b"string-lf" => true,
        b"binary" | b"rbinary" | b"binary-lf" => kind == Kind::Tcp,
        b"status" | b"rstatus" | b"hdr" | b"fhdr" => kind == Kind::Http,
        _ => false,
    }
}

fn compile_pattern(
    kind: Kind,
    name: &[u8],
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Pattern, Problem> {
    let shown = String::from_utf8_lossy(name);
    if !is_pattern(kind, name) {
        let known = match kind {
            Kind::Tcp => {
                "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or comment"
            }
            Kind::Http => {
                "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, [!]fhdr or comment"
            }
        };
        return Err(words.blame(format!("{known} but got '{shown}' as argument..")));
    }
    let expects = format!("'{shown}' expects a <pattern> as argument.");
    Ok(match name {
        b"string" => Pattern::Text(words.argument(&expects)?.into()),
        b"string-lf" => Pattern::TextFormat(words.format(&expects, compiler)?),
        b"rstring" => Pattern::Regex(words.regex(&expects, false)?),
        b"binary" => {
            let bytes = unhex(words.argument(&expects)?);
            let bytes =
                bytes.map_err(|text| words.blame(format!("invalid binary string ({text}).")))?;
            Pattern::Binary(bytes.into())
        }
        b"binary-lf" => Pattern::BinaryFormat(words.format(&expects, compiler)?),
        b"rbinary" => Pattern::BinaryRegex(words.regex(&expects, false)?),
        b"rstatus" => Pattern::CodeRegex(words.regex(&expects, false)?),
        b"status" => {
            let list = words.argument(&expects)?;
            Pattern::Codes(codes(list).map_err(|text| words.blame(text))?)
        }
        _ => return compile_header(&shown, words, compiler),
    })
}

/// `200,300-310`.
fn codes(list: &[u8]) -> Result<Vec<(u32, u32)>, String> {
    let text = String::from_utf8_lossy(list);
    if let Some(bad) = text
        .chars()
        .find(|c| !(c.is_ascii_digit() || matches!(c, ',' | '-')))
    {
        return Err(format!(
            "invalid character '{bad}' in the list of status codes."
        ));
    }
    let mut ranges = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let number = |text: &str| text.parse::<u32>().ok();
        let range = match part.split_once('-') {
            Some((from, to)) => number(from).zip(number(to)).filter(|(from, to)| from <= to),
            None => number(part).map(|code| (code, code)),
        };
        match range {
            Some(range) => ranges.push(range),
            None => return Err(format!("invalid range of status codes '{part}'.")),
        }
    }
    Ok(ranges)
}

fn compile_header(
    keyword: &str,
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Pattern, Problem> {
    let expects =
        format!("'{keyword}' expects at the name keyword as first argument followed by a pattern.");
    let as_format = match words.take() {
        b"name" => false,
        b"name-lf" => true,
        _ => return Err(words.blame(&expects)),
    };
    let name = compile_compare(keyword, &expects, (as_format, true), words, compiler)?;
    let as_format = match words.peek() {
        b"value" => Some(false),
        b"value-lf" => Some(true),
        _ => None,
    };
    let value = match as_format {
        Some(as_format) => {
            words.take();
            let expects = format!("'{keyword}' expect a pattern with the value keyword.");
            let how = (as_format, false);
            Some(compile_compare(keyword, &expects, how, words, compiler)?)
        }
        None => None,
    };
    Ok(Pattern::Header {
        name,
        value,
        whole: keyword == "fhdr",
    })
}

/// `[-m METHOD] PATTERN`; of a name, whose case says nothing, or of a value.
fn compile_compare(
    keyword: &str,
    expects: &str,
    (as_format, any_case): (bool, bool),
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Compare, Problem> {
    let mut method: &[u8] = b"str";
    if words.peek() == b"-m" {
        words.take();
        let list = "'str', 'beg', 'end', 'sub' or 'reg'";
        let complaint = format!("'{keyword}' : '-m' expects at a matching pattern ({list}).");
        method = words.argument(&complaint)?;
        if !matches!(method, b"str" | b"beg" | b"end" | b"sub" | b"reg") {
            let got = String::from_utf8_lossy(method);
            return Err(words.blame(format!(
                "'{keyword}' : '-m' only supports {list} (got '{got}')."
            )));
        }
    }
    if method == b"reg" && as_format {
        return Err(words.blame(format!(
            "'{keyword}': log-format string is not supported with a regex matching method."
        )));
    }
    if method == b"reg" {
        return Ok(Compare::Regex(words.regex(expects, any_case)?));
    }
    let text = match as_format {
        true => Text::Format(words.format(expects, compiler)?),
        false => Text::Fixed(words.argument(expects)?.into()),
    };
    Ok(match method {
        b"beg" => Compare::Begin(text),
        b"end" => Compare::End(text),
        b"sub" => Compare::Part(text),
        _ => Compare::Equal(text),
    })
}

/// `set-var(NAME[,CONDITION...])`, `set-var-fmt(...)`, `unset-var(NAME)`.
fn compile_variable(
    verb: &[u8],
    words: &mut Words<'_>,
    compiler: &Compiler<'_>,
) -> Result<Step, Problem> {
    let action: &[u8] = match verb {
        _ if verb.starts_with(b"set-var-fmt") => b"set-var-fmt",
        _ if verb.starts_with(b"set-var") => b"set-var",
        _ => b"unset-var",
    };
    let shown = String::from_utf8_lossy(action).into_owned();
    words.before.push_str(&format!("'{shown}' : "));
    let expects =
        "Expects 'set-var(<var-name>)', 'set-var-fmt(<var-name>)' or 'unset-var(<var-name>)'.";
    let rest = verb.get(action.len()..).unwrap_or_default();
    let Some((b'(', inside)) = rest.split_first() else {
        return Err(words.blame(format!("invalid or incomplete action '{shown}'. {expects}")));
    };
    let Some((b')', inside)) = inside.split_last() else {
        return Err(words.blame(format!(
            "incomplete argument after action '{shown}('. {expects}"
        )));
    };
    let mut parts = inside.split(|byte| *byte == b',');
    let name = parts.next().unwrap_or_default();
    if name.is_empty() {
        return Err(words.blame("Empty variable name cannot be accepted."));
    }
    let mut conditions = Vec::new();
    for part in parts
        .map(<[u8]>::trim_ascii)
        .filter(|part| !part.is_empty())
    {
        conditions.push(match part {
            b"ifexists" => Condition::Exists,
            b"ifnotexists" => Condition::Missing,
            b"ifempty" => Condition::Empty,
            b"ifnotempty" => Condition::NotEmpty,
            b"ifset" => Condition::Set,
            b"ifnotset" => Condition::NotSet,
            b"ifgt" => Condition::Greater,
            b"iflt" => Condition::Less,
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(words.blame(format!("unknown condition \"{other}\".")));
            }
        });
    }
    check_name(name).map_err(|text| {
        // The parenthesis is a part of what HAProxy quotes.
        let text = match text.strip_suffix('\'') {
            Some(start) if text.starts_with("invalid syntax") => format!("{start})'"),
            _ => text,
        };
        words.blame(format!("{text}."))
    })?;
    if action == b"unset-var" {
        return Ok(Step::UnsetVariable(name.into()));
    }
    let value = match action {
        b"set-var" => {
            let word = words.peek();
            let expression = Expression::compile(word, Scope::Check, compiler);
            Assigned::Sample(expression.map_err(|problem| words.wrong(&problem.message))?)
        }
        _ => {
            let format = Format::compile(words.peek(), Purpose::Check, compiler);
            Assigned::Text(format.map_err(|problem| words.wrong(&problem.message))?)
        }
    };
    Ok(Step::SetVariable(Box::new(SetVariable {
        name: name.into(),
        conditions,
        value,
    })))
}
