//! The sample fetches: their table and what each reads.
//!
//! A row says a name, its arguments, what it needs and yields, and how it is compiled; `Fetch` is
//! the compiled form. A new fetch is a row and an arm of `single`.
//!
//! Several names may share a form: `hdr` is `req.hdr` on requests and `res.hdr` on answers. Facts
//! that only the engine knows (names, counters) come through `Context::field`.
//! Rejected: registering functions, which hides from a reader what a fetch may look at.

use std::net::IpAddr;

use super::args::{self, Args, Kind};
use super::codec::unhex;
use super::compile::{Compiler, SplitOnce as _};
use super::fetch::{ExpressionError, Sample, Scope, Type, leading_int};
use super::format::{Field, Value, line_parts};
use super::missing;
use super::{Context, Inspected};
use crate::http::head::Method;
use crate::http::rewrite::Message;

mod bytes;
mod checks;
mod connection;
mod needs;

use connection::{Known, port, rows};
pub(super) use needs::Needs;

/// Which message a header or cookie is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// What is made of a header's or cookie's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Text,
    Int,
    Ip,
}

/// A compiled fetch.
#[derive(Debug)]
pub(super) enum Fetch {
    Bool(bool),
    Int(i64),
    Ip(IpAddr),
    Text(Box<[u8]>),
    Bytes(Box<[u8]>),
    Verb(Method, Box<[u8]>),
    /// An environment variable that is not set.
    Nothing,
    Method,
    Url,
    Path,
    Query,
    PathQuery,
    /// Host and path; with the query or without.
    Base(bool),
    UrlIp,
    UrlPort,
    Version(Side),
    Status,
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    Header {
        side: Side,
        name: Box<[u8]>,
        /// The occurrence asked for; 0 for all of them.
        occurrence: i64,
        /// Lines are not split at commas.
        whole: bool,
        reading: Reading,
    },
    HeaderCount {
        side: Side,
        name: Box<[u8]>,
        whole: bool,
    },
    HeaderNames {
        side: Side,
        delimiter: Box<[u8]>,
    },
    Cookie {
        side: Side,
        name: Box<[u8]>,
        reading: Reading,
    },
    CookieCount {
        side: Side,
        name: Box<[u8]>,
    },
    UrlParam {
        name: Box<[u8]>,
        delimiter: u8,
        reading: Reading,
    },
    Date {
        offset: i64,
        per_second: i64,
    },
    Microseconds,
    /// Something of the client's connection.
    Connection(Known),
    /// A text that the engine knows.
    Name(Field),
    /// A number that the engine knows.
    Number(Field),
    /// A number that is 0 or 1.
    Flag(Field),
    /// The captured method, target or version (`HTTP/1.1`) of the request line.
    Captured(usize),
    /// Something of the first bytes that came.
    OfBytes(bytes::Fetch),
    /// What only health checks have.
    OfCheck(checks::Fetch),
}

/// One fetch of the table.
struct Row {
    name: &'static str,
    kinds: &'static [Kind],
    required: usize,
    needs: Needs,
    output: Type,
    build: fn(&Args, Scope, &Compiler<'_>) -> Result<Fetch, String>,
}

const NONE: &[Kind] = &[];
const HEADER: &[Kind] = &[Kind::Str, Kind::Int];
const TEXT: &[Kind] = &[Kind::Str];
const NUMBER: &[Kind] = &[Kind::Int];
const BACKEND: &[Kind] = &[Kind::Backend];
const FRONTEND: &[Kind] = &[Kind::Frontend];
const SERVER: &[Kind] = &[Kind::Server];
const DATE: &[Kind] = &[Kind::Int, Kind::Str];
const PARAM: &[Kind] = &[Kind::Str, Kind::Str];

const ANY: Needs = Needs::Nothing;
const REQUEST: Needs = Needs::Request;
const RESPONSE: Needs = Needs::Response;
const MESSAGE: Needs = Needs::Message;
const BOOL: Type = Type::Bool;
const INT: Type = Type::Int;
const IP: Type = Type::Ip;
const STR: Type = Type::Str;
const BIN: Type = Type::Bin;
const METHOD: Type = Type::Method;

/// Writes a row.
const fn row(
    name: &'static str,
    kinds: &'static [Kind],
    required: usize,
    needs: Needs,
    output: Type,
    build: fn(&Args, Scope, &Compiler<'_>) -> Result<Fetch, String>,
) -> Row {
    Row {
        name,
        kinds,
        required,
        needs,
        output,
        build,
    }
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("always_false", NONE, 0, ANY, BOOL, |_, _, _| Ok(Fetch::Bool(false))),
    row("always_true", NONE, 0, ANY, BOOL, |_, _, _| Ok(Fetch::Bool(true))),
    row("base", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::Base(false))),
    row("baseq", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::Base(true))),
    row("be_conn", BACKEND, 1, ANY, INT, |a, _, _| number(Field::ConnectionsOfBackend(a.id(0)))),
    row("be_id", NONE, 0, ANY, INT, |_, _, _| number(Field::BackendId)),
    row("be_name", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Name(Field::BackendName))),
    row("be_sess_rate", BACKEND, 1, ANY, INT, |a, _, _| number(Field::BackendRate(a.id(0)))),
    row("bin", TEXT, 0, ANY, BIN, |a, _, _| bin(a)),
    row("bool", TEXT, 1, ANY, BOOL, |a, _, _| boolean(a)),
    row("capture.req.hdr", NUMBER, 1, ANY, STR, |a, _, _| capture(a, Field::RequestCapture)),
    row("capture.req.method", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Captured(0))),
    row("capture.req.uri", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Captured(1))),
    row("capture.req.ver", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Captured(2))),
    row("capture.res.hdr", NUMBER, 1, ANY, STR, |a, _, _| capture(a, Field::ResponseCapture)),
    row("capture.res.ver", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Name(Field::ResponseVersion))),
    row("connslots", BACKEND, 1, ANY, INT, |a, _, _| number(Field::ConnectionSlots(a.id(0)))),
    row("cook", TEXT, 0, REQUEST, STR, |a, _, _| cookie(a, Side::Request, Reading::Text)),
    row("cook_cnt", TEXT, 0, REQUEST, INT, |a, _, _| cookies(a, Side::Request)),
    row("cook_val", TEXT, 0, REQUEST, INT, |a, _, _| cookie(a, Side::Request, Reading::Int)),
    row("cookie", TEXT, 0, MESSAGE, STR, |a, s, _| cookie(a, side(s), Reading::Text)),
    row("date", DATE, 0, ANY, INT, |a, _, _| date(a)),
    row("date_us", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Microseconds)),
    row("dst", NONE, 0, ANY, IP, |_, _, _| Ok(Fetch::Destination)),
    row("dst_port", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::DestinationPort)),
    row("env", TEXT, 1, ANY, STR, |a, _, c| Ok(variable(a, c))),
    row("fc_http_major", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Int(1))),
    row("fe_conn", FRONTEND, 1, ANY, INT, |a, _, _| number(Field::ConnectionsOfFrontend(a.id(0)))),
    row("fe_defbe", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Name(Field::DefaultBackend))),
    row("fe_id", NONE, 0, ANY, INT, |_, _, _| number(Field::FrontendId)),
    row("fe_name", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Name(Field::FrontendName))),
    row("fe_req_rate", FRONTEND, 1, ANY, INT, |a, _, _| number(Field::RequestRate(a.id(0)))),
    row("fe_sess_rate", FRONTEND, 1, ANY, INT, |a, _, _| number(Field::FrontendRate(a.id(0)))),
    row("hdr", HEADER, 0, MESSAGE, STR, |a, s, _| header(a, side(s), false, Reading::Text)),
    row("hdr_cnt", TEXT, 0, REQUEST, INT, |a, _, _| headers(a, Side::Request, false)),
    row("hdr_ip", HEADER, 0, REQUEST, IP, |a, _, _| header(a, Side::Request, false, Reading::Ip)),
    row("hdr_val", HEADER, 0, REQUEST, INT, |a, _, _| header(a, Side::Request, false, Reading::Int)),
    row("hostname", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Name(Field::Hostname))),
    row("http_first_req", NONE, 0, ANY, BOOL, |_, _, _| Ok(Fetch::Flag(Field::FirstRequest))),
    row("int", NUMBER, 1, ANY, INT, |a, _, _| Ok(Fetch::Int(a.int(0).unwrap_or_default()))),
    row("ipv4", &[Kind::Ip4], 1, ANY, IP, |a, _, _| Ok(a.ip(0).map_or(Fetch::Nothing, Fetch::Ip))),
    row("ipv6", &[Kind::Ip6], 1, ANY, IP, |a, _, _| Ok(a.ip(0).map_or(Fetch::Nothing, Fetch::Ip))),
    row("meth", TEXT, 1, ANY, METHOD, |a, _, _| Ok(Fetch::Verb(method_of(a.text(0)), a.text(0).into()))),
    row("method", NONE, 0, ANY, METHOD, |_, _, _| Ok(Fetch::Method)),
    row("nbproc", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Int(1))),
    row("nbsrv", BACKEND, 1, ANY, INT, |a, _, _| number(Field::UsableServers(a.id(0)))),
    row("path", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::Path)),
    row("pathq", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::PathQuery)),
    row("prio_class", NONE, 0, ANY, INT, |_, _, _| number(Field::PriorityClass)),
    row("prio_offset", NONE, 0, ANY, INT, |_, _, _| number(Field::PriorityOffset)),
    row("proc", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Int(1))),
    row("query", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::Query)),
    row("queue", BACKEND, 1, ANY, INT, |a, _, _| number(Field::Queue(a.id(0)))),
    row("req.cook", TEXT, 0, REQUEST, STR, |a, _, _| cookie(a, Side::Request, Reading::Text)),
    row("req.cook_cnt", TEXT, 0, REQUEST, INT, |a, _, _| cookies(a, Side::Request)),
    row("req.cook_val", TEXT, 0, REQUEST, INT, |a, _, _| cookie(a, Side::Request, Reading::Int)),
    row("req.fhdr", HEADER, 0, REQUEST, STR, |a, _, _| header(a, Side::Request, true, Reading::Text)),
    row("req.fhdr_cnt", TEXT, 0, REQUEST, INT, |a, _, _| headers(a, Side::Request, true)),
    row("req.hdr", HEADER, 0, REQUEST, STR, |a, _, _| header(a, Side::Request, false, Reading::Text)),
    row("req.hdr_cnt", TEXT, 0, REQUEST, INT, |a, _, _| headers(a, Side::Request, false)),
    row("req.hdr_ip", HEADER, 0, REQUEST, IP, |a, _, _| header(a, Side::Request, false, Reading::Ip)),
    row("req.hdr_names", TEXT, 0, REQUEST, STR, |a, _, _| header_names(a, Side::Request)),
    row("req.hdr_val", HEADER, 0, REQUEST, INT, |a, _, _| header(a, Side::Request, false, Reading::Int)),
    row("req.ver", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::Version(Side::Request))),
    row("req_ver", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::Version(Side::Request))),
    row("res.cook", TEXT, 0, RESPONSE, STR, |a, _, _| cookie(a, Side::Response, Reading::Text)),
    row("res.cook_cnt", TEXT, 0, RESPONSE, INT, |a, _, _| cookies(a, Side::Response)),
    row("res.cook_val", TEXT, 0, RESPONSE, INT, |a, _, _| cookie(a, Side::Response, Reading::Int)),
    row("res.fhdr", HEADER, 0, RESPONSE, STR, |a, _, _| header(a, Side::Response, true, Reading::Text)),
    row("res.fhdr_cnt", TEXT, 0, RESPONSE, INT, |a, _, _| headers(a, Side::Response, true)),
    row("res.hdr", HEADER, 0, RESPONSE, STR, |a, _, _| header(a, Side::Response, false, Reading::Text)),
    row("res.hdr_cnt", TEXT, 0, RESPONSE, INT, |a, _, _| headers(a, Side::Response, false)),
    row("res.hdr_ip", HEADER, 0, RESPONSE, IP, |a, _, _| header(a, Side::Response, false, Reading::Ip)),
    row("res.hdr_names", TEXT, 0, RESPONSE, STR, |a, _, _| header_names(a, Side::Response)),
    row("res.hdr_val", HEADER, 0, RESPONSE, INT, |a, _, _| header(a, Side::Response, false, Reading::Int)),
    row("res.ver", NONE, 0, RESPONSE, STR, |_, _, _| Ok(Fetch::Version(Side::Response))),
    row("resp_ver", NONE, 0, RESPONSE, STR, |_, _, _| Ok(Fetch::Version(Side::Response))),
    row("scook", TEXT, 0, RESPONSE, STR, |a, _, _| cookie(a, Side::Response, Reading::Text)),
    row("scook_cnt", TEXT, 0, RESPONSE, INT, |a, _, _| cookies(a, Side::Response)),
    row("scook_val", TEXT, 0, RESPONSE, INT, |a, _, _| cookie(a, Side::Response, Reading::Int)),
    row("shdr", HEADER, 0, RESPONSE, STR, |a, _, _| header(a, Side::Response, false, Reading::Text)),
    row("shdr_cnt", TEXT, 0, RESPONSE, INT, |a, _, _| headers(a, Side::Response, false)),
    row("shdr_ip", HEADER, 0, RESPONSE, IP, |a, _, _| header(a, Side::Response, false, Reading::Ip)),
    row("shdr_val", HEADER, 0, RESPONSE, INT, |a, _, _| header(a, Side::Response, false, Reading::Int)),
    row("so_id", NONE, 0, ANY, INT, |_, _, _| number(Field::ListenerId)),
    row("so_name", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Name(Field::ListenerName))),
    row("src", NONE, 0, ANY, IP, |_, _, _| Ok(Fetch::Source)),
    row("src_port", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::SourcePort)),
    row("srv_conn", SERVER, 1, ANY, INT, |a, _, _| number(Field::ConnectionsOfServer(a.id(0)))),
    row("srv_id", NONE, 0, Needs::Server, INT, |_, _, _| number(Field::ServerId)),
    row("srv_is_up", SERVER, 1, ANY, BOOL, |a, _, _| Ok(Fetch::Flag(Field::ServerIsUp(a.id(0))))),
    row("srv_name", NONE, 0, Needs::Server, STR, |_, _, _| Ok(Fetch::Name(Field::ServerName))),
    row("srv_queue", SERVER, 1, ANY, INT, |a, _, _| number(Field::QueueOfServer(a.id(0)))),
    row("srv_weight", SERVER, 1, ANY, INT, |a, _, _| number(Field::WeightOfServer(a.id(0)))),
    // No listener speaks TLS, so this is what HAProxy would say of each connection.
    row("ssl_fc", NONE, 0, ANY, BOOL, |_, _, _| Ok(Fetch::Bool(false))),
    row("status", NONE, 0, Needs::Status, INT, |_, _, _| Ok(Fetch::Status)),
    row("str", TEXT, 0, ANY, STR, |a, _, _| Ok(Fetch::Text(a.text(0).into()))),
    row("thread", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Int(1))),
    row("unique-id", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Name(Field::UniqueId))),
    row("url", NONE, 0, REQUEST, STR, |_, _, _| Ok(Fetch::Url)),
    row("url_ip", NONE, 0, REQUEST, IP, |_, _, _| Ok(Fetch::UrlIp)),
    row("url_param", PARAM, 0, REQUEST, STR, |a, _, _| param(a, Reading::Text)),
    row("url_port", NONE, 0, REQUEST, INT, |_, _, _| Ok(Fetch::UrlPort)),
    row("urlp", PARAM, 0, REQUEST, STR, |a, _, _| param(a, Reading::Text)),
    row("urlp_val", PARAM, 0, REQUEST, INT, |a, _, _| param(a, Reading::Int)),
];

/// The names of the table.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    rows().map(|row| row.name)
}

/// Compiles the fetch of that name with the arguments at the front of `rest`.
pub(super) fn compile<'t>(
    name: &[u8],
    rest: &'t [u8],
    scope: Scope,
    compiler: &Compiler<'_>,
) -> Result<(Fetch, Type, Needs, &'t [u8]), ExpressionError> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    if name.is_empty() {
        return Err(ExpressionError::Missing);
    }
    let mut rows = rows().chain(checks::table(scope));
    let Some(row) = rows.find(|row| row.name.as_bytes() == name) else {
        let lacking = missing::FETCHES
            .iter()
            .any(|known| known.as_bytes() == name);
        return Err(ExpressionError::Unknown(shown(), lacking));
    };
    let (mut values, rest) = args::parse(rest, row.kinds, row.required, compiler)
        .map_err(|error| ExpressionError::Arguments(shown(), error.text))?;
    if let Some(reference) = values.missing.take() {
        return Err(ExpressionError::Reference(shown(), reference));
    }
    let fetch = (row.build)(&values, scope, compiler)
        .map_err(|text| ExpressionError::Values(shown(), text))?;
    Ok((fetch, row.output, row.needs, rest))
}

/// The environment is read once, at load.
fn variable(args: &Args, compiler: &Compiler<'_>) -> Fetch {
    let value = compiler.around.variable(args.text(0));
    value.map_or(Fetch::Nothing, |text| Fetch::Text(text.into()))
}

fn number(field: Field) -> Result<Fetch, String> {
    Ok(Fetch::Number(field))
}

fn side(scope: Scope) -> Side {
    if scope == Scope::Response {
        Side::Response
    } else {
        Side::Request
    }
}

fn bin(args: &Args) -> Result<Fetch, String> {
    unhex(args.text(0)).map(|bytes| Fetch::Bytes(bytes.into()))
}

fn boolean(args: &Args) -> Result<Fetch, String> {
    match args.text(0) {
        b"true" | b"1" => Ok(Fetch::Bool(true)),
        b"false" | b"0" => Ok(Fetch::Bool(false)),
        _ => Err("Expects 'true', 'false', '0' or '1'".to_owned()),
    }
}

fn capture(args: &Args, field: fn(u16) -> Field) -> Result<Fetch, String> {
    let index = args.int(0).unwrap_or_default();
    match u16::try_from(index) {
        Ok(index) => Ok(Fetch::Name(field(index))),
        Err(_) => Err(format!("Unexpected index {index}")),
    }
}

fn header(args: &Args, side: Side, whole: bool, reading: Reading) -> Result<Fetch, String> {
    let occurrence = args.int(1).unwrap_or_default();
    if occurrence < -10 {
        return Err("header occurrence must be >= -10".to_owned());
    }
    Ok(Fetch::Header {
        side,
        name: args.text(0).into(),
        occurrence,
        whole,
        reading,
    })
}

fn headers(args: &Args, side: Side, whole: bool) -> Result<Fetch, String> {
    Ok(Fetch::HeaderCount {
        side,
        name: args.text(0).into(),
        whole,
    })
}

fn header_names(args: &Args, side: Side) -> Result<Fetch, String> {
    let delimiter: &[u8] = if args.len() == 0 { b"," } else { args.text(0) };
    Ok(Fetch::HeaderNames {
        side,
        delimiter: delimiter.into(),
    })
}

fn cookie(args: &Args, side: Side, reading: Reading) -> Result<Fetch, String> {
    Ok(Fetch::Cookie {
        side,
        name: args.text(0).into(),
        reading,
    })
}

fn cookies(args: &Args, side: Side) -> Result<Fetch, String> {
    Ok(Fetch::CookieCount {
        side,
        name: args.text(0).into(),
    })
}

fn param(args: &Args, reading: Reading) -> Result<Fetch, String> {
    Ok(Fetch::UrlParam {
        name: args.text(0).into(),
        delimiter: args.text(1).first().copied().unwrap_or(b'?'),
        reading,
    })
}

fn date(args: &Args) -> Result<Fetch, String> {
    let per_second = match args.text(1) {
        b"" | b"s" => 1,
        b"ms" => 1_000,
        b"us" => 1_000_000,
        other => {
            return Err(format!(
                "expects 's', 'ms' or 'us', got '{}'",
                String::from_utf8_lossy(other)
            ));
        }
    };
    Ok(Fetch::Date {
        offset: args.int(0).unwrap_or_default(),
        per_second,
    })
}

/// The method of that name; case counts.
pub(super) fn method_of(text: &[u8]) -> Method {
    match text {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        b"PUT" => Method::Put,
        b"DELETE" => Method::Delete,
        b"CONNECT" => Method::Connect,
        b"OPTIONS" => Method::Options,
        b"TRACE" => Method::Trace,
        b"PATCH" => Method::Patch,
        _ => Method::Other,
    }
}

impl Fetch {
    /// Whether the value may change while the message stays the same.
    pub(super) fn is_volatile(&self) -> bool {
        matches!(
            self,
            Self::Date { .. }
                | Self::Microseconds
                | Self::Number(_)
                | Self::Name(_)
                | Self::Flag(_)
                | Self::Status
        )
    }

    /// Whether it may be something else once more bytes have come.
    pub(super) fn may_change(&self, needs: Needs, seen: &Inspected<'_>) -> bool {
        match self {
            Self::OfBytes(fetch) => fetch.may_change(seen),
            _ => seen.may_be_http && self.reads_request(needs),
        }
    }

    /// Whether it reads an HTTP request.
    pub(super) fn reads_request(&self, needs: Needs) -> bool {
        matches!(needs, Needs::Request | Needs::Message)
            || matches!(self, Self::Method | Self::OfBytes(bytes::Fetch::Http))
    }

    /// Whether it reads the client connection's destination address.
    pub(super) fn needs_destination(&self) -> bool {
        matches!(self, Self::Destination | Self::DestinationPort)
            || matches!(self, Self::Connection(known) if known.is_destination())
    }

    /// Calls `test` with each occurrence until it says true.
    pub(super) fn any<C: Context>(
        &self,
        context: &C,
        source: &mut Vec<u8>,
        mut test: impl FnMut(Sample<'_>) -> bool,
    ) -> bool {
        match self {
            Self::Header {
                side,
                name,
                occurrence: 0,
                whole,
                reading,
            } => message(context, *side).is_some_and(|message| {
                occurrences(message, name, *whole)
                    .filter_map(|value| reading.read(value))
                    .any(test)
            }),
            Self::Cookie {
                side,
                name,
                reading,
            } => message(context, *side).is_some_and(|message| {
                let mut found = false;
                cookies_of(message, *side, name, |value| {
                    found = found || reading.read(value).is_some_and(&mut test);
                });
                found
            }),
            Self::UrlParam {
                name,
                delimiter,
                reading,
            } => context.request().is_some_and(|request| {
                url_params(request.target(), name, *delimiter)
                    .filter_map(|value| reading.read(value))
                    .any(test)
            }),
            _ => self.value(context, source).is_some_and(test),
        }
    }

    /// The one value that text uses.
    pub(super) fn value<'s, C: Context>(
        &'s self,
        context: &'s C,
        source: &'s mut Vec<u8>,
    ) -> Option<Sample<'s>> {
        Some(match self {
            Self::Bool(yes) => Sample::Bool(*yes),
            Self::Int(n) => Sample::Int(*n),
            Self::Ip(ip) => Sample::Ip(*ip),
            Self::Text(text) => Sample::Str(text),
            Self::Bytes(bytes) => Sample::Bin(bytes),
            Self::Verb(method, text) => Sample::Method(*method, text),
            Self::Nothing => return None,
            Self::Source => Sample::Ip(context.source().ip()?),
            Self::Destination => Sample::Ip(context.destination().ip()?),
            Self::SourcePort => port(context.source())?,
            Self::Connection(known) => known.value(context)?,
            Self::DestinationPort => port(context.destination())?,
            Self::Date { offset, per_second } => date_sample(context, *offset, *per_second),
            Self::Microseconds => {
                let ms = context.now().wall_ms % 1000;
                Sample::Int(ms.saturating_mul(1000) as i64)
            }
            // What a log says where no server was is the name of none.
            Self::Name(Field::ServerName) if fact(context, Field::ServerId).is_none() => {
                return None;
            }
            Self::Name(field) => match context.field(*field) {
                Value::Bytes(text) => Sample::Str(text),
                _ => return None,
            },
            Self::Number(field) => Sample::Int(fact(context, *field)?),
            Self::Flag(field) => Sample::Bool(fact(context, *field)? != 0),
            Self::Status => match context.response() {
                Some(answer) => Sample::Int(i64::from(answer.status())),
                None => Sample::Int(fact(context, Field::Status)?),
            },
            Self::Method => match context.request() {
                Some(request) => Sample::Method(request.method(), request.method_text()),
                None => {
                    let text = captured(context, 0)?;
                    Sample::Method(method_of(text), text)
                }
            },
            Self::Captured(part) => Sample::Str(captured(context, *part)?),
            Self::OfBytes(fetch) => return fetch.value(context),
            Self::OfCheck(fetch) => return fetch.value(context),
            _ => return self.of_message(context, source),
        })
    }

    /// What is read from a message's head.
    fn of_message<'s, C: Context>(
        &'s self,
        context: &'s C,
        source: &'s mut Vec<u8>,
    ) -> Option<Sample<'s>> {
        match self {
            Self::Header {
                side,
                name,
                occurrence,
                whole,
                reading,
            } => {
                let message = message(context, *side)?;
                reading.read(occurrence_of(message, name, *whole, *occurrence)?)
            }
            Self::HeaderCount { side, name, whole } => {
                let count = occurrences(message(context, *side)?, name, *whole).count();
                Some(Sample::Int(count as i64))
            }
            Self::HeaderNames { side, delimiter } => {
                source.clear();
                for (n, (name, _, _)) in message(context, *side)?.fields().enumerate() {
                    if n > 0 {
                        source.extend_from_slice(delimiter);
                    }
                    source.extend(name.iter().map(u8::to_ascii_lowercase));
                }
                Some(Sample::Str(source))
            }
            Self::Cookie {
                side,
                name,
                reading,
            } => {
                let mut value = None;
                let first = name.is_empty();
                cookies_of(message(context, *side)?, *side, name, |found| {
                    if value.is_none() || !first {
                        value = Some(found);
                    }
                });
                reading.read(value?)
            }
            Self::CookieCount { side, name } => {
                let mut count = 0;
                cookies_of(message(context, *side)?, *side, name, |_| {
                    count = i64::saturating_add(count, 1);
                });
                Some(Sample::Int(count))
            }
            Self::Version(side) => {
                let message = message(context, *side)?;
                let version = message.head.version.of(message.bytes);
                Some(Sample::Str(
                    version.strip_prefix(b"HTTP/").unwrap_or(version),
                ))
            }
            _ => self.of_target(context.request()?, source),
        }
    }

    /// What is read from the request's target.
    fn of_target<'s>(
        &'s self,
        request: Message<'s>,
        source: &'s mut Vec<u8>,
    ) -> Option<Sample<'s>> {
        match self {
            Self::Url => Some(Sample::Str(request.target())),
            Self::Path => request.path().map(Sample::Str),
            Self::PathQuery => request.pathq().map(Sample::Str),
            Self::Query => request.query().map(Sample::Str),
            Self::Base(with_query) => {
                source.clear();
                source.extend_from_slice(request.header(b"host").next().unwrap_or_default());
                let path = if *with_query {
                    request.pathq()
                } else {
                    request.path()
                };
                source.extend_from_slice(path.unwrap_or_default());
                Some(Sample::Str(source))
            }
            Self::UrlIp => Some(Sample::Ip(authority(request.target())?.0)),
            Self::UrlPort => Some(Sample::Int(authority(request.target())?.1)),
            Self::UrlParam {
                name,
                delimiter,
                reading,
            } => reading.read(url_params(request.target(), name, *delimiter).next()?),
            _ => None,
        }
    }
}

impl Reading {
    /// The sample of a value.
    fn read(self, value: &[u8]) -> Option<Sample<'_>> {
        match self {
            Self::Text => Some(Sample::Str(value)),
            Self::Int => Some(Sample::Int(leading_int(value).unwrap_or_default())),
            Self::Ip => header_ip(value).map(Sample::Ip),
        }
    }
}

/// An address as forwarding headers have it: IPv4 with a port or without, IPv6 in brackets or
/// without, quotes round it (RFC 7239 §6).
fn header_ip(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, port) = rest.split_once(']')?;
        let valid = port.is_empty() || port.strip_prefix(':')?.parse::<u16>().is_ok();
        return valid.then(|| ip.parse().ok().map(IpAddr::V6)).flatten();
    }
    match text.split_once(':') {
        Some((ip, port)) if !port.contains(':') => {
            port.parse::<u16>().ok()?;
            ip.parse().ok().map(IpAddr::V4)
        }
        _ => text.parse().ok(),
    }
}

fn message<C: Context>(context: &C, side: Side) -> Option<Message<'_>> {
    match side {
        Side::Request => context.request(),
        Side::Response => context.response(),
    }
}

/// Every occurrence of a header; of all headers without a name.
fn occurrences<'a, 'n>(
    message: Message<'a>,
    name: &'n [u8],
    whole: bool,
) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
    let all = name.is_empty();
    let lines = message
        .fields()
        .filter(move |(field, _, _)| all || field.eq_ignore_ascii_case(name))
        .map(|(_, value, _)| value);
    lines.flat_map(move |line| Elements {
        rest: Some(line),
        whole,
    })
}

/// The elements of a field line, split at commas outside quotes (RFC 9110 §5.6.1), or the line.
/// An empty line is one empty element.
struct Elements<'a> {
    rest: Option<&'a [u8]>,
    whole: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.rest.take()?;
        if self.whole {
            return Some(line);
        }
        let mut quoted = false;
        let mut escaped = false;
        let comma = line.iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' => return !quoted,
                _ => {}
            }
            false
        });
        let element = match comma {
            Some(comma) => {
                let (element, rest) = line.split_at_checked(comma)?;
                self.rest = rest.get(1..);
                element
            }
            None => line,
        };
        Some(element.trim_ascii())
    }
}

/// The occurrence asked for: 1 is the first, -1 and 0 the last.
fn occurrence_of<'a>(
    message: Message<'a>,
    name: &[u8],
    whole: bool,
    occurrence: i64,
) -> Option<&'a [u8]> {
    let all = occurrences(message, name, whole);
    let mut all = all;
    match occurrence {
        0 | -1 => all.last(),
        1.. => all.nth(usize::try_from(occurrence).ok()?.checked_sub(1)?),
        _ => {
            let from_end = usize::try_from(occurrence.checked_neg()?).ok()?;
            let count = occurrences(message, name, whole).count();
            all.nth(count.checked_sub(from_end)?)
        }
    }
}

/// Calls `found` with the value of each cookie of that name, or of all without a name.
fn cookies_of<'a>(message: Message<'a>, side: Side, name: &[u8], mut found: impl FnMut(&'a [u8])) {
    let header: &[u8] = match side {
        Side::Request => b"cookie",
        Side::Response => b"set-cookie",
    };
    for line in message.header(header) {
        // A Set-Cookie line has one cookie, what follows are its attributes (RFC 6265 §4.1).
        let most = if side == Side::Response {
            1
        } else {
            usize::MAX
        };
        for cookie in line.split(|byte| *byte == b';').take(most) {
            let Some(equals) = cookie.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let (key, value) = cookie.split_at(equals);
            if name.is_empty() || key.trim_ascii() == name {
                found(value.get(1..).unwrap_or_default().trim_ascii());
            }
        }
    }
}

/// The parameters of that name, or all without a name. They begin after the first `delimiter` of
/// the target and are parted by `&` or `;`.
fn url_params<'a, 'n>(
    target: &'a [u8],
    name: &'n [u8],
    delimiter: u8,
) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
    let list = target
        .split_once_byte(delimiter)
        .map_or(&b""[..], |(_, list)| list);
    list.split(move |byte| matches!(byte, b'&' | b';') || *byte == delimiter)
        .filter_map(move |pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (key, value) = pair.split_at(equals);
            let wanted = name.is_empty() || key == name;
            wanted.then(|| value.get(1..).unwrap_or_default())
        })
}

/// Address and port of an absolute target whose host is an address; 80 without a port.
fn authority(target: &[u8]) -> Option<(IpAddr, i64)> {
    let text = std::str::from_utf8(target).ok()?;
    let (_, rest) = text.split_once("://")?;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some((ip, 80));
    }
    let (ip, port) = host.rsplit_once(':')?;
    Some((
        ip.trim_matches(['[', ']']).parse().ok()?,
        port.parse().ok()?,
    ))
}

fn date_sample<C: Context>(context: &C, offset: i64, per_second: i64) -> Sample<'static> {
    let ms = context.now().wall_ms as i64;
    let value = match per_second {
        1 => ms / 1000,
        1_000 => ms,
        _ => ms.saturating_mul(1000),
    };
    Sample::Int(value.saturating_add(offset))
}

/// A number that the engine knows.
fn fact<C: Context>(context: &C, field: Field) -> Option<i64> {
    match context.field(field) {
        Value::Int(n) | Value::Partial(n) => Some(n),
        _ => None,
    }
}

/// A part of the request line as logged: method, target or version.
fn captured<C: Context>(context: &C, part: usize) -> Option<&[u8]> {
    let Value::Bytes(line) = context.field(Field::RequestLine) else {
        return None;
    };
    let parts = line_parts(line);
    parts.get(part).copied()
}
