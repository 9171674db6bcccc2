//! Format strings: compiled once, rendered into log lines, header values, answers and names.
//!
//! A format string is text with variables (`%ci`, configuration.txt 8.2.6) and sample expressions
//! (`%[...]`). This file holds the table of variables and does all printing: the engine gives plain
//! facts (`Field` in, `Value` out) and knows nothing of quotes, escapes and dates.
//!
//! Rendering must not allocate beyond the growth of its buffers, and cannot fail: what is not known
//! prints as `-` in a log and as nothing elsewhere.
//! Rejected: one field a variable. Half of them are the same fact printed differently.

use std::net::IpAddr;

use super::Context;
use super::codec::{CAPTURE, LINE, encode, push_hex};
use super::compile::{Compiler, Problem, nearest};
use super::fetch::{Buffers, Expression, Sample, Scope};
pub use super::field::{Field, Value};
use crate::base::addr::{Address, write_decimal, write_signed};
use crate::base::clock::{self, DateCache};

/// What a format string is for, which decides escaping and blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `log-format` and its kin: blanks are merged, what is missing is `-`.
    Log,
    /// Texts of `http-request` rules: control characters become `%XX`, what is missing is empty.
    Request,
    /// Texts of `http-response` rules, likewise.
    Response,
    /// The backend's name in `use_backend`.
    Switch,
    /// The server's name in `use-server`.
    Server,
    /// `unique-id-format`: as texts of `http-request` rules, and blanks are merged.
    UniqueId,
    /// What a health check sends, expects or says.
    Check,
}

impl Purpose {
    /// The place whose fetches may be used.
    fn scope(self) -> Scope {
        match self {
            Self::Log => Scope::Log,
            Self::Request | Self::UniqueId => Scope::Request,
            Self::Response => Scope::Response,
            Self::Switch => Scope::Switch,
            Self::Server => Scope::Server,
            Self::Check => Scope::Check,
        }
    }
}

/// `option httplog`.
pub const HTTP_LOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// `option httplog clf`.
pub const HTTP_CLF_LOG: &str = "%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \"\" \"\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl";
/// `option tcplog`.
pub const TCP_LOG: &str = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
/// Without any log option, in HTTP mode: written when the request has come.
pub const CONNECT_HTTP_LOG: &str = "Connect from %ci:%cp to %fi:%fp (%f/HTTP)";
/// Without any log option, in TCP mode: written when the connection is accepted.
pub const CONNECT_TCP_LOG: &str = "Connect from %ci:%cp to %fi:%fp (%f/TCP)";

/// How a variable prints its field.
#[derive(Clone, Copy, Debug)]
enum Print {
    /// Text as it is.
    Text,
    /// Text, then the field that follows it (`%ft`).
    TextAnd(Field),
    /// The IP address of an address.
    Ip,
    /// The port of an address.
    Port,
    /// A number; in hexadecimal with `+X` and at least that many digits, unless 0.
    Number(usize),
    /// The request line or a part of it.
    Line(Part),
    /// `dd/Mon/yyyy:hh:mm:ss.mmm`, local.
    Date,
    /// `dd/Mon/yyyy:hh:mm:ss +0000`.
    Gmt,
    /// `dd/Mon/yyyy:hh:mm:ss +hhmm`.
    Local,
    /// Seconds since 1970.
    Seconds,
    /// The milliseconds of the date.
    Millis,
    /// The first characters of the termination state.
    State(usize),
    /// Captured headers, `{a|b}`; the field of one capture follows.
    Captures(fn(u16) -> Field),
    /// Captured headers, each a word of its own.
    CaptureList(fn(u16) -> Field),
}

/// A part of the request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Method,
    Uri,
    Version,
    /// The target without its query.
    UriPath,
    /// The path alone.
    Path,
    /// The query with its `?`.
    Query,
}

/// The variables of configuration.txt 8.2.6.
#[rustfmt::skip]
const VARIABLES: &[(&str, Field, Print)] = &[
    ("B", Field::BytesRead, Print::Number(0)),
    ("CC", Field::RequestCookie, Print::Text),
    ("CS", Field::ResponseCookie, Print::Text),
    ("H", Field::Hostname, Print::Text),
    ("HM", Field::RequestLine, Print::Line(Part::Method)),
    ("HP", Field::RequestLine, Print::Line(Part::UriPath)),
    ("HPO", Field::RequestLine, Print::Line(Part::Path)),
    ("HQ", Field::RequestLine, Print::Line(Part::Query)),
    ("HU", Field::RequestLine, Print::Line(Part::Uri)),
    ("HV", Field::RequestLine, Print::Line(Part::Version)),
    ("ID", Field::UniqueId, Print::Text),
    ("ST", Field::Status, Print::Number(0)),
    ("T", Field::AcceptDate, Print::Gmt),
    ("Ta", Field::TimeActive, Print::Number(0)),
    ("Tc", Field::TimeConnect, Print::Number(0)),
    ("Td", Field::TimeData, Print::Number(0)),
    ("Th", Field::TimeHandshake, Print::Number(0)),
    ("Ti", Field::TimeIdle, Print::Number(0)),
    ("Tl", Field::AcceptDate, Print::Local),
    ("Tq", Field::TimeQuery, Print::Number(0)),
    ("TR", Field::TimeRequest, Print::Number(0)),
    ("Tr", Field::TimeResponse, Print::Number(0)),
    ("Ts", Field::AcceptDate, Print::Seconds),
    ("Tt", Field::TimeTotal, Print::Number(0)),
    ("Tu", Field::TimeUser, Print::Number(0)),
    ("Tw", Field::TimeQueue, Print::Number(0)),
    ("U", Field::BytesUploaded, Print::Number(0)),
    ("ac", Field::ActiveConnections, Print::Number(0)),
    ("b", Field::BackendName, Print::Text),
    ("bc", Field::BackendConnections, Print::Number(0)),
    ("bi", Field::BackendSource, Print::Ip),
    ("bp", Field::BackendSource, Print::Port),
    ("bq", Field::BackendQueue, Print::Number(0)),
    ("ci", Field::Client, Print::Ip),
    ("cp", Field::Client, Print::Port),
    ("f", Field::FrontendName, Print::Text),
    ("fc", Field::FrontendConnections, Print::Number(0)),
    ("fi", Field::Frontend, Print::Ip),
    ("fp", Field::Frontend, Print::Port),
    ("ft", Field::FrontendName, Print::TextAnd(Field::FrontendTransport)),
    ("hr", Field::RequestCaptures, Print::Captures(Field::RequestCapture)),
    ("hrl", Field::RequestCaptures, Print::CaptureList(Field::RequestCapture)),
    ("hs", Field::ResponseCaptures, Print::Captures(Field::ResponseCapture)),
    ("hsl", Field::ResponseCaptures, Print::CaptureList(Field::ResponseCapture)),
    ("lc", Field::LogCounter, Print::Number(4)),
    ("ms", Field::AcceptDate, Print::Millis),
    ("pid", Field::Pid, Print::Number(4)),
    ("r", Field::RequestLine, Print::Line(Part::All)),
    ("rc", Field::Retries, Print::Number(0)),
    ("rt", Field::RequestCounter, Print::Number(4)),
    ("s", Field::ServerName, Print::Text),
    ("sc", Field::ServerConnections, Print::Number(0)),
    ("si", Field::Server, Print::Ip),
    ("sp", Field::Server, Print::Port),
    ("sq", Field::ServerQueue, Print::Number(0)),
    ("t", Field::AcceptDate, Print::Date),
    ("tr", Field::RequestDate, Print::Date),
    ("trg", Field::RequestDate, Print::Gmt),
    ("trl", Field::RequestDate, Print::Local),
    ("ts", Field::Termination, Print::State(2)),
    ("tsc", Field::Termination, Print::State(4)),
];

/// Variables of HAProxy that oneloop lacks: they speak of TLS.
const VARIABLES_MISSING: &[&str] = &["sslc", "sslv"];

/// `%{+Q,+X,+E}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flags {
    quote: bool,
    hex: bool,
    escape: bool,
    /// What is missing is `-`: it is a log, and there are no quotes to show it.
    dash: bool,
}

/// A compiled format string.
#[derive(Debug)]
pub struct Format {
    nodes: Vec<Node>,
    purpose: Purpose,
}

#[derive(Debug)]
enum Node {
    Text(Box<[u8]>),
    /// A blank of a log line; several in a row are one.
    Blank,
    Variable {
        field: Field,
        print: Print,
        flags: Flags,
    },
    Expression {
        expression: Box<Expression>,
        flags: Flags,
    },
}

impl Format {
    /// Compiles a format string.
    ///
    /// # Errors
    /// A [`Problem`] about word 0 such as `no such format variable 'x'. ...`: the caller says what
    /// it was parsing.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a text")]
    pub fn compile(
        text: &[u8],
        purpose: Purpose,
        compiler: &Compiler<'_>,
    ) -> Result<Self, Problem> {
        let mut parser = Parser {
            text,
            at: 0,
            nodes: Vec::new(),
            literal: Vec::new(),
            defaults: Flags {
                dash: purpose == Purpose::Log,
                ..Flags::default()
            },
            purpose,
        };
        while let Some(&byte) = text.get(parser.at) {
            parser.at += 1;
            match byte {
                b'%' => parser.percent(compiler).map_err(|problem| Problem {
                    at: problem.at.or(Some(parser.at)),
                    ..problem
                })?,
                b' ' if matches!(purpose, Purpose::Log | Purpose::UniqueId) => {
                    parser.flush();
                    if !matches!(parser.nodes.last(), Some(Node::Blank)) {
                        parser.nodes.push(Node::Blank);
                    }
                }
                _ => parser.literal.push(byte),
            }
        }
        parser.flush();
        Ok(Self {
            nodes: joined(parser.nodes),
            purpose,
        })
    }

    /// A format that is one text.
    #[must_use]
    pub fn text(text: &[u8], purpose: Purpose) -> Self {
        Self {
            nodes: vec![Node::Text(text.into())],
            purpose,
        }
    }

    /// The text, when it does not depend on anything.
    #[must_use]
    pub fn constant(&self) -> Option<&[u8]> {
        match self.nodes.as_slice() {
            [] => Some(b""),
            [Node::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether something in it reads an address on this side: of the client's connection, or of the
    /// server's.
    #[must_use]
    pub fn needs_destination(&self) -> bool {
        self.nodes.iter().any(|node| match node {
            Node::Variable { field, .. } => {
                matches!(field, Field::Frontend | Field::BackendSource)
            }
            Node::Expression { expression, .. } => expression.needs_destination(),
            Node::Text(_) | Node::Blank => false,
        })
    }

    /// Whether something in it asks for that field: what is not asked for need not be kept.
    #[must_use]
    pub fn asks_for(&self, wanted: Field) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(node, Node::Variable { field, .. } if *field == wanted))
    }

    /// Appends the text to `out`.
    pub fn render<C: Context>(&self, context: &C, buffers: &mut Buffers, out: &mut Vec<u8>) {
        // Where the last blank ended; nothing is written between it and the next one if all that
        // stands between them is empty. A line does not begin with a blank.
        let mut blank_end = out.len();
        for node in &self.nodes {
            match node {
                Node::Text(text) => out.extend_from_slice(text),
                Node::Blank => {
                    if out.len() != blank_end {
                        out.push(b' ');
                        blank_end = out.len();
                    }
                }
                Node::Variable {
                    field,
                    print,
                    flags,
                } => {
                    let dates = &mut buffers.dates;
                    variable(context, *field, *print, *flags, dates, out);
                }
                Node::Expression { expression, flags } => {
                    let sample = expression.value(context, buffers);
                    self.expression(sample, *flags, out);
                }
            }
        }
    }

    /// Prints a sample.
    fn expression(&self, sample: Option<Sample<'_>>, flags: Flags, out: &mut Vec<u8>) {
        match self.purpose {
            Purpose::Log => {
                let start = begin(flags, out);
                if let Some(sample) = sample {
                    sample.write(out);
                }
                if out.len() == start && flags.dashes() {
                    out.push(b'-');
                }
                if flags.escape {
                    escape(start, out);
                }
                end(flags, out);
            }
            Purpose::Request | Purpose::Response | Purpose::UniqueId => match sample {
                Some(Sample::Str(text) | Sample::Bin(text) | Sample::Method(_, text)) => {
                    header_text(text, out);
                }
                Some(sample) => sample.write(out),
                None => {}
            },
            Purpose::Switch | Purpose::Server | Purpose::Check => {
                if let Some(sample) = sample {
                    sample.write(out);
                }
            }
        }
    }
}

/// Makes text of the blanks that are written in any case, and one text of those that meet.
fn joined(nodes: Vec<Node>) -> Vec<Node> {
    let mut joined: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut nodes = nodes.into_iter().peekable();
    while let Some(node) = nodes.next() {
        let between = (joined.last(), nodes.peek());
        let node = match (node, between) {
            (Node::Blank, (Some(before), Some(after))) if before.shows() && after.shows() => {
                Node::Text(b" "[..].into())
            }
            (node, _) => node,
        };
        match (joined.last_mut(), node) {
            (Some(Node::Text(text)), Node::Text(more)) => {
                *text = [&**text, &*more].concat().into_boxed_slice();
            }
            (_, node) => joined.push(node),
        }
    }
    joined
}

impl Node {
    /// Whether it writes something whatever the session is like.
    fn shows(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Blank => false,
            Self::Expression { flags, .. } => flags.quote || flags.dash,
            Self::Variable { print, flags, .. } => match print {
                Print::Text | Print::Ip | Print::Port => flags.quote || flags.dash,
                Print::Number(_) | Print::State(_) => true,
                Print::Date | Print::Gmt | Print::Local | Print::Seconds | Print::Millis => true,
                Print::Line(_) => flags.quote,
                Print::TextAnd(_) | Print::Captures(_) | Print::CaptureList(_) => false,
            },
        }
    }
}

/// A walk over a format string.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    literal: Vec<u8>,
    /// What `%o` set.
    defaults: Flags,
    purpose: Purpose,
}

impl Parser<'_> {
    /// Ends a run of text.
    fn flush(&mut self) {
        if !self.literal.is_empty() {
            let text = std::mem::take(&mut self.literal);
            self.nodes.push(Node::Text(text.into()));
        }
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What follows a percent sign.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a text")]
    fn percent(&mut self, compiler: &Compiler<'_>) -> Result<(), Problem> {
        let mut flags = self.defaults;
        if self.rest().first() == Some(&b'{') {
            let inside = self.rest().get(1..).unwrap_or_default();
            let Some(close) = inside.iter().position(|byte| *byte == b'}') else {
                let shown = String::from_utf8_lossy(inside);
                return Err(Problem::new(0, format!("truncated line after '{shown}'.")));
            };
            let modifier = inside.get(..close).unwrap_or_default();
            if matches!(inside.get(close + 1), None | Some(b' ')) {
                let shown = String::from_utf8_lossy(modifier);
                let text =
                    format!("parse argument modifier without variable name near '%{{{shown}}}'.");
                return Err(Problem::new(0, text));
            }
            flags = flags.changed(modifier);
            self.at += close + 2;
        }
        match self.rest().first() {
            None => Err(Problem::new(0, "truncated line after '%'.")),
            Some(b'%') => {
                self.literal.push(b'%');
                self.at += 1;
                Ok(())
            }
            Some(b'[') => {
                self.at += 1;
                self.flush();
                self.bracket(flags, compiler)
            }
            Some(_) => self.name(flags),
        }
    }

    /// A sample expression, up to its closing bracket.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "counts the bytes of a text; what is left of it is no longer than it"
    )]
    fn bracket(&mut self, flags: Flags, compiler: &Compiler<'_>) -> Result<(), Problem> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let shown = String::from_utf8_lossy(rest);
        let scope = self.purpose.scope();
        let (expression, after) = Expression::parse(rest, scope, compiler).map_err(|error| {
            let text = error.text();
            let text = format!("failed to parse sample expression <{shown}> : {text}.");
            error.problem(text, scope, compiler)
        })?;
        let length = rest.len() - after.len();
        let used = String::from_utf8_lossy(rest.get(..length).unwrap_or_default());
        match after.first() {
            Some(b']') => {}
            None => return Err(Problem::new(0, format!("missing ']' after '{used}'."))),
            Some(byte) => {
                let found = char::from(*byte);
                let text = format!("expected ']' after '{used}', but found '{found}'.");
                return Err(Problem::new(0, text));
            }
        }
        if let Some(lacking) = expression.needs().lacking(scope) {
            let text = format!(
                "sample fetch <{shown}> may not be reliably used here because it needs '{lacking}' which is not available here."
            );
            return Err(Problem::new(0, text));
        }
        self.at += length + 1;
        self.nodes.push(Node::Expression {
            expression: Box::new(expression),
            flags,
        });
        Ok(())
    }

    /// A variable's name.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a text")]
    fn name(&mut self, flags: Flags) -> Result<(), Problem> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric());
        // Something that is no name is named by its first character.
        let end = end.unwrap_or(rest.len()).max(1);
        let name = rest.get(..end).unwrap_or_default();
        if name == b"o" {
            self.defaults = flags;
            self.at += 1;
            return Ok(());
        }
        let found = VARIABLES
            .iter()
            .find(|(known, _, _)| known.as_bytes() == name);
        let Some((_, field, print)) = found else {
            let shown = String::from_utf8_lossy(name);
            if VARIABLES_MISSING.contains(&&*shown) {
                let text = format!("format variable '{shown}' is not implemented by oneloop.");
                return Err(Problem::new(0, text));
            }
            let names = VARIABLES.iter().map(|(name, _, _)| *name);
            return Err(Problem {
                suggestion: nearest(name, names).map(str::to_owned),
                ..Problem::new(
                    0,
                    format!(
                        "no such format variable '{shown}'. If you wanted to emit the '%' character verbatim, you need to use '%%'."
                    ),
                )
            });
        };
        self.flush();
        self.nodes.push(Node::Variable {
            field: *field,
            print: *print,
            flags,
        });
        self.at += end;
        Ok(())
    }
}

impl Flags {
    /// These flags after `+Q,-X,...`; HAProxy skips what it does not know.
    fn changed(mut self, list: &[u8]) -> Self {
        for part in list.split(|byte| *byte == b',') {
            let (on, flag) = match part {
                [b'+', flag] => (true, flag),
                [b'-', flag] => (false, flag),
                _ => continue,
            };
            match flag {
                b'Q' => self.quote = on,
                b'X' => self.hex = on,
                b'E' => self.escape = on,
                _ => {}
            }
        }
        self
    }
}

impl Flags {
    fn dashes(self) -> bool {
        self.dash && !self.quote
    }
}

/// Opens quotes; gives where the text begins.
fn begin(flags: Flags, out: &mut Vec<u8>) -> usize {
    if flags.quote {
        out.push(b'"');
    }
    out.len()
}

/// Closes quotes.
fn end(flags: Flags, out: &mut Vec<u8>) {
    if flags.quote {
        out.push(b'"');
    }
}

/// Puts a backslash before each `"`, `\` and `]` from `start` on (RFC 5424 §6.3.3).
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "`to - from` is how many special bytes are left between `start` and `from`"
)]
fn escape(start: usize, out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b']');
    let count = out
        .get(start..)
        .unwrap_or_default()
        .iter()
        .filter(|byte| special(byte))
        .count();
    let mut from = out.len();
    out.resize(from + count, 0);
    let mut to = out.len();
    // From the back, so that every byte moves once.
    while to > from && from > start {
        from -= 1;
        to -= 1;
        out[to] = out[from];
        if special(&out[to]) {
            to -= 1;
            out[to] = b'\\';
        }
    }
}

/// Prints text, or `-`.
fn text(text: Option<&[u8]>, flags: Flags, out: &mut Vec<u8>) {
    let start = begin(flags, out);
    match text {
        Some(text) if !text.is_empty() => out.extend_from_slice(text),
        _ if flags.dashes() => out.push(b'-'),
        _ => {}
    }
    if flags.escape {
        escape(start, out);
    }
    end(flags, out);
}

/// The text of a value, if it is text.
fn bytes(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Bytes(text) => Some(text),
        _ => None,
    }
}

/// Prints a variable.
fn variable<C: Context>(
    context: &C,
    field: Field,
    print: Print,
    flags: Flags,
    dates: &mut DateCache,
    out: &mut Vec<u8>,
) {
    let value = context.field(field);
    match print {
        Print::Text => text(bytes(value), flags, out),
        Print::TextAnd(next) => {
            let start = begin(flags, out);
            out.extend_from_slice(bytes(value).unwrap_or_default());
            out.extend_from_slice(bytes(context.field(next)).unwrap_or_default());
            if flags.escape {
                escape(start, out);
            }
            end(flags, out);
        }
        Print::Ip => ip(value, flags, out),
        // Where a unix socket has no port HAProxy prints the number of the listener.
        Print::Port if matches!(value, Value::Address(Address::Unix)) => {
            match context.field(Field::ListenerId) {
                Value::Int(n) => number(n, 0, flags, out),
                _ => out.push(b'1'),
            }
        }
        Print::Port => port(value, flags, out),
        Print::Number(digits) => match value {
            Value::Int(n) => number(n, digits, flags, out),
            Value::Partial(n) => {
                out.push(b'+');
                number(n, digits, flags, out);
            }
            _ => out.push(b'-'),
        },
        Print::Line(part) => {
            let start = begin(flags, out);
            match bytes(value) {
                Some(line) => encode(part.of(line), &LINE, out),
                None => out.extend_from_slice(b"<BADREQ>"),
            }
            if flags.escape {
                escape(start, out);
            }
            end(flags, out);
        }
        Print::State(length) => {
            let state = bytes(value).unwrap_or(b"----");
            out.extend_from_slice(state.get(..length).unwrap_or(state));
        }
        Print::Captures(capture) => captures(context, value, capture, flags, out),
        Print::CaptureList(capture) => capture_list(context, value, capture, flags, out),
        Print::Date | Print::Gmt | Print::Local | Print::Seconds | Print::Millis => {
            date(value, print, flags, dates, out);
        }
    }
}

fn ip(value: Value<'_>, flags: Flags, out: &mut Vec<u8>) {
    match value {
        Value::Address(address) if flags.hex => match address.ip() {
            Some(IpAddr::V4(ip)) => ip.octets().iter().for_each(|byte| push_hex(*byte, out)),
            Some(IpAddr::V6(ip)) => ip.octets().iter().for_each(|byte| push_hex(*byte, out)),
            None => out.push(b'-'),
        },
        Value::Address(address) if !address.is_none() => {
            begin(flags, out);
            address.write_ip(out);
            end(flags, out);
        }
        _ => text(None, flags, out),
    }
}

fn port(value: Value<'_>, flags: Flags, out: &mut Vec<u8>) {
    match value {
        Value::Address(address @ (Address::V4(..) | Address::V6(..))) => {
            number(i64::from(address.port()), 4, flags, out);
        }
        _ => text(None, flags, out),
    }
}

/// Prints a number; only those that have hexadecimal digits heed `+X`.
#[inline]
fn number(n: i64, digits: usize, flags: Flags, out: &mut Vec<u8>) {
    match n {
        _ if flags.hex && digits > 0 => hex(n, digits, out),
        // As most of a line are.
        0..=9 => out.push(b'0' | n as u8),
        _ => write_signed(out, n),
    }
}

/// Prints in hexadecimal with at least that many digits.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "an i64 has at most 16 digits, and no number asks for more"
)]
fn hex(n: i64, digits: usize, out: &mut Vec<u8>) {
    let needed = (64 - n.leading_zeros() as usize).div_ceil(4).max(digits);
    for place in (0..needed as u32).rev() {
        let digit = ((n as u64) >> (4 * place)) & 15;
        out.push(
            char::from_digit(digit as u32, 16)
                .unwrap_or('0')
                .to_ascii_uppercase() as u8,
        );
    }
}

fn date(value: Value<'_>, print: Print, flags: Flags, dates: &mut DateCache, out: &mut Vec<u8>) {
    let Value::Date {
        wall_ms,
        utc_offset_s,
    } = value
    else {
        out.push(b'-');
        return;
    };
    match print {
        Print::Date => dates.write_log_date(out, wall_ms, utc_offset_s),
        Print::Gmt => clock::write_zone_date(out, wall_ms, 0),
        Print::Local => clock::write_zone_date(out, wall_ms, utc_offset_s),
        Print::Seconds => number((wall_ms / 1000) as i64, 4, flags, out),
        _ => {
            let ms = wall_ms % 1000;
            if flags.hex {
                hex(ms as i64, 2, out);
            } else {
                // Padded to three digits.
                let digits = [ms / 100, ms / 10 % 10, ms % 10];
                digits.iter().for_each(|digit| write_decimal(out, *digit));
            }
        }
    }
}

/// `{a|b}`; nothing when no header is captured.
fn captures<C: Context>(
    context: &C,
    count: Value<'_>,
    capture: fn(u16) -> Field,
    flags: Flags,
    out: &mut Vec<u8>,
) {
    let Value::Int(count @ 1..) = count else {
        return;
    };
    let start = begin(flags, out);
    for index in 0..u16::try_from(count).unwrap_or(u16::MAX) {
        out.push(if index == 0 { b'{' } else { b'|' });
        encode(
            bytes(context.field(capture(index))).unwrap_or_default(),
            &CAPTURE,
            out,
        );
    }
    out.push(b'}');
    if flags.escape {
        escape(start, out);
    }
    end(flags, out);
}

/// Each captured header as a word, `-` for one that was not there.
fn capture_list<C: Context>(
    context: &C,
    count: Value<'_>,
    capture: fn(u16) -> Field,
    flags: Flags,
    out: &mut Vec<u8>,
) {
    let Value::Int(count @ 1..) = count else {
        return;
    };
    for index in 0..u16::try_from(count).unwrap_or(u16::MAX) {
        if index > 0 {
            out.push(b' ');
        }
        match context.field(capture(index)) {
            Value::Bytes(value) if !value.is_empty() => {
                let start = begin(flags, out);
                encode(value, &CAPTURE, out);
                if flags.escape {
                    escape(start, out);
                }
                end(flags, out);
            }
            _ => text(None, flags, out),
        }
    }
}

/// Appends text with `%XX` for control characters, which no header and no target may have.
fn header_text(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if (byte >= 0x20 && byte != 0x7f) || byte == b'\t' {
            out.push(byte);
        } else {
            out.push(b'%');
            push_hex(byte, out);
        }
    }
}

/// Method, target and version of a request line; what is not there is empty.
pub(super) fn line_parts(line: &[u8]) -> [&[u8]; 3] {
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    let mut next = || words.next().unwrap_or_default();
    [next(), next(), next()]
}

impl Part {
    /// The part of a request line.
    fn of(self, line: &[u8]) -> &[u8] {
        if self == Self::All {
            return line;
        }
        let [method, uri, version] = line_parts(line);
        let query = uri
            .iter()
            .position(|byte| *byte == b'?')
            .unwrap_or(uri.len());
        let (before, after) = uri.split_at(query);
        match self {
            Self::All => line,
            Self::Method => method,
            Self::Uri => uri,
            Self::Version => version,
            Self::UriPath => before,
            Self::Query => after,
            Self::Path => {
                // The path of an absolute target begins after its authority.
                let authority = before
                    .windows(3)
                    .position(|three| three == b"://")
                    .map_or(0, |at| at.saturating_add(3));
                let tail = before.get(authority..).unwrap_or_default();
                let slash = tail.iter().position(|byte| *byte == b'/');
                slash.map_or(&b""[..], |at| tail.get(at..).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests;
