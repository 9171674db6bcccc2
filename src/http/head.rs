//! Finds the end of a message head in growing input and turns it into offset spans.
//!
//! This file decides when a head is complete, whether it is well formed, and where its parts
//! lie. It owns the rule that keeps parsing linear for input that comes byte by byte: a head that
//! is there at once is parsed at once; otherwise `Progress` walks it line by line, looks at every
//! byte once, refuses a bad line as soon as its line end is there, and lets httparse run a second
//! and last time when the blank line has come.
//! HAProxy reads more than httparse does (folded fields, tabs and several blanks in the start
//! line, any `HTTP/d.d`), and less in targets (no `#`, nothing over 0x7f). So the start line is
//! read by `start_line.rs`, folds become blanks in place at equal length, and httparse splits
//! the field lines.
//! It must never copy names or values, allocate after warm-up, or decide about bodies
//! (`framing.rs`) or forwarding (`render.rs`).
//! Rejected: running httparse at every read (quadratic), a field-line parser of our own (httparse
//! has SIMD and years of fuzzing), and letting NUL and other controls through in values as
//! HAProxy does (RFC 9110 §5.5 calls them dangerous, and nothing honest sends them).

use std::ops::Range;

use super::start_line::{StartLine, check_hosts};
use crate::base::scan::find_line_end;
use crate::base::word::Word;

/// A range of offsets into the buffer that holds a message head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The span from `start` to `end`; both must fit 32 bits, as every buffer does.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= u32::MAX as usize);
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// The bytes of the span, or nothing when `bytes` is shorter than the span says.
    #[must_use]
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.range()).unwrap_or_default()
    }

    /// The span as a range of indices.
    #[must_use]
    #[inline]
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether the span holds no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// The request methods of RFC 9110 §9 and RFC 5789; anything else is `Other` (case-sensitive).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `CONNECT`
    Connect,
    /// `OPTIONS`
    Options,
    /// `TRACE`
    Trace,
    /// `PATCH`
    Patch,
    /// Any other token, forwarded as it is.
    #[default]
    Other,
}

impl Method {
    /// The method written as `text`.
    #[must_use]
    pub fn from_bytes(text: &[u8]) -> Self {
        match text {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }
}

/// Field names that some part of the proxy looks for; all others are `Other`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Name {
    /// A name outside this list.
    #[default]
    Other,
    /// `Host`
    Host,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Keep-Alive`
    KeepAlive,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Expect`
    Expect,
    /// `Upgrade`
    Upgrade,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `Cookie`
    Cookie,
    /// `Set-Cookie`
    SetCookie,
    /// `Date`
    Date,
    /// `Server`
    Server,
    /// `Sec-WebSocket-Key`
    SecWebSocketKey,
    /// `Sec-WebSocket-Accept`
    SecWebSocketAccept,
    /// `Authorization`
    Authorization,
    /// `User-Agent`
    UserAgent,
    /// `Referer`
    Referer,
    /// `Content-Type`
    ContentType,
    /// `Cache-Control`
    CacheControl,
    /// `Location`
    Location,
    /// `Max-Forwards`
    MaxForwards,
    /// `HTTP2-Settings`
    Http2Settings,
}

impl Name {
    /// The well-known name spelt `name` in any case, or `Other`.
    /// Length and first letter leave one candidate at most; no hashing.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Self {
        macro_rules! is {
            ($word:literal, $known:ident) => {{
                const WORD: Word = Word::new($word);
                if WORD.is(name) {
                    Self::$known
                } else {
                    Self::Other
                }
            }};
        }
        let first = name.first().map_or(0, |byte| byte | 0x20);
        match (name.len(), first) {
            (2, b't') => is!("te", Te),
            (4, b'h') => is!("host", Host),
            (4, b'd') => is!("date", Date),
            (6, b'c') => is!("cookie", Cookie),
            (6, b'e') => is!("expect", Expect),
            (6, b's') => is!("server", Server),
            (7, b'u') => is!("upgrade", Upgrade),
            (7, b'r') => is!("referer", Referer),
            (7, b't') => is!("trailer", Trailer),
            (8, b'l') => is!("location", Location),
            (10, b'c') => is!("connection", Connection),
            (10, b'u') => is!("user-agent", UserAgent),
            (10, b'k') => is!("keep-alive", KeepAlive),
            (10, b's') => is!("set-cookie", SetCookie),
            (12, b'c') => is!("content-type", ContentType),
            (12, b'm') => is!("max-forwards", MaxForwards),
            (13, b'c') => is!("cache-control", CacheControl),
            (13, b'a') => is!("authorization", Authorization),
            (14, b'c') => is!("content-length", ContentLength),
            (14, b'h') => is!("http2-settings", Http2Settings),
            (15, b'x') => is!("x-forwarded-for", XForwardedFor),
            (16, b'p') => is!("proxy-connection", ProxyConnection),
            (17, b't') => is!("transfer-encoding", TransferEncoding),
            (17, b's') => is!("sec-websocket-key", SecWebSocketKey),
            (20, b's') => is!("sec-websocket-accept", SecWebSocketAccept),
            _ => Self::Other,
        }
    }
}

/// One field line: name and trimmed value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The name as spelt by the sender.
    pub name: Span,
    /// The value without the blanks round it.
    pub value: Span,
    /// The name, when it is one of the well-known ones.
    pub known: Name,
}

/// A parsed message head: offsets into the buffer it was parsed from. Owned once by the engine.
#[derive(Debug, Default)]
pub struct Head {
    /// Bytes of the whole head: leading empty lines and the closing blank line included.
    pub len: u32,
    /// The start line as it stands in the buffer, without its line end.
    pub line: Span,
    /// Minor version: 0 for HTTP/1.0, 1 for everything from HTTP/1.1 on.
    pub minor: u8,
    /// The method of a request.
    pub method: Method,
    /// Where the method stands.
    pub method_span: Span,
    /// The request target; of an absolute one, a default port was taken away.
    pub target: Span,
    /// The status of an answer, 100 to 999; 0 in a request.
    pub status: u16,
    /// The reason phrase of an answer, possibly empty.
    pub reason: Span,
    /// The version as written, such as `HTTP/1.1`.
    pub version: Span,
    /// The field lines in order. A lenient reading leaves out a repeated `Host` that says the same.
    pub fields: Vec<Field>,
    fields_max: usize,
    present: u64,
    /// The request line with single blanks, when the received one has others.
    pub(super) logged: Vec<u8>,
}

impl Head {
    /// A head with room for `maxhdr` (`tune.http.maxhdr`, 101 by default) entries. As in HAProxy
    /// the last entry closes the list, so one field line less than that is accepted.
    #[must_use]
    pub fn new(maxhdr: usize) -> Self {
        let fields_max = maxhdr.saturating_sub(1);
        Self {
            fields: Vec::with_capacity(fields_max),
            fields_max,
            logged: Vec::with_capacity(256),
            ..Self::default()
        }
    }

    /// The request line for the log: as received, but with one blank between its parts, as
    /// HAProxy logs it.
    #[must_use]
    pub fn logged_line<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        if self.logged.is_empty() {
            self.line.of(bytes)
        } else {
            &self.logged
        }
    }

    /// The first field of that well-known name.
    #[must_use]
    pub fn field(&self, known: Name) -> Option<&Field> {
        if !self.has(known) {
            return None;
        }
        self.fields.iter().find(|field| field.known == known)
    }

    /// Whether a field of that well-known name is there.
    #[must_use]
    #[inline]
    pub fn has(&self, known: Name) -> bool {
        self.present & (1 << known as u8) != 0
    }

    fn clear(&mut self) {
        self.fields.clear();
        self.logged.clear();
        self.present = 0;
        self.len = 0;
        self.status = 0;
        self.method = Method::Other;
        self.method_span = Span::default();
        self.target = Span::default();
        self.reason = Span::default();
    }
}

/// What a connection remembers between two looks at a head that is still growing.
/// Start each message with `Progress::default()`; the bytes already shown must not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes already searched for line ends.
    searched: u32,
    /// Where the line that is still open begins.
    line_start: u32,
    /// Field lines complete so far, folds not counted.
    fields: u16,
    stage: Stage,
    folded: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Only empty lines so far, or part of the start line.
    #[default]
    StartLine,
    /// The start line is complete; no field line is.
    FirstField,
    /// A field line is complete.
    Fields,
}

/// What a look at the input found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head is not complete: call again with more bytes after the same ones.
    Partial,
    /// The `Head` is filled; the body begins at `Head::len`.
    Complete,
    /// The message cannot be read.
    Refused(Refusal),
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status to answer with: 4xx or 5xx for a request, 502 for a server's answer.
    pub status: u16,
    /// Offset of the offending byte, as near as is known.
    pub position: u32,
    /// For people: `show errors` and debug lines.
    pub reason: &'static str,
}

impl Refusal {
    pub(super) fn new(status: u16, position: usize, reason: &'static str) -> Self {
        Self {
            status,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            reason,
        }
    }
}

/// The bounds of a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes a head may have: `tune.bufsize` less `tune.maxrewrite`.
    pub bytes_max: u32,
    /// What does not touch the framing is let through: odd bytes in names and targets, and a Host
    /// that is missing, said twice or not a host (`option accept-invalid-http-request` and
    /// `-response`).
    pub lenient: bool,
}

impl Default for Limits {
    /// HAProxy's defaults: 16384 less 1024.
    fn default() -> Self {
        Self {
            bytes_max: 16384 - 1024,
            lenient: false,
        }
    }
}

/// Parses a request head at the front of `bytes` (RFC 9112 §2, §3, §5). On `Complete` the head
/// may have been changed in place at equal length: folds became blanks.
pub fn request(
    bytes: &mut [u8],
    progress: &mut Progress,
    head: &mut Head,
    limits: &Limits,
) -> Parsed {
    parse(Kind::Request, bytes, progress, head, limits)
}

/// Parses the head of a server's answer (also a 1xx) at the front of `bytes`.
pub fn response(
    bytes: &mut [u8],
    progress: &mut Progress,
    head: &mut Head,
    limits: &Limits,
) -> Parsed {
    parse(Kind::Response, bytes, progress, head, limits)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

impl Kind {
    pub(super) fn refuse(self, position: usize, reason: &'static str) -> Refusal {
        Refusal::new(
            if self == Self::Request { 400 } else { 502 },
            position,
            reason,
        )
    }
}

fn parse(
    kind: Kind,
    bytes: &mut [u8],
    progress: &mut Progress,
    head: &mut Head,
    limits: &Limits,
) -> Parsed {
    let fresh = progress.searched == 0;
    if fresh && let Some(done) = parse_at_once(kind, bytes, head, limits) {
        return done;
    }
    match walk(kind, bytes, progress, head.fields_max, limits) {
        Err(refusal) => Parsed::Refused(refusal),
        Ok(None) => Parsed::Partial,
        Ok(Some(end)) => {
            if progress.folded {
                unfold(bytes.get_mut(..end).unwrap_or_default());
            }
            match parse_complete(kind, bytes, head, limits) {
                Ok(true) => Parsed::Complete,
                Ok(false) => Parsed::Refused(kind.refuse(end, "field lines do not end")),
                Err(refusal) => Parsed::Refused(refusal),
            }
        }
    }
}

/// The usual case: the whole head is there and needs no change. `None` sends the caller on to
/// the walk, which knows better why a line is bad or that it is only folded.
fn parse_at_once(kind: Kind, bytes: &mut [u8], head: &mut Head, limits: &Limits) -> Option<Parsed> {
    match parse_complete(kind, bytes, head, limits) {
        Ok(true) => Some(Parsed::Complete),
        Ok(false) => None,
        Err(refusal) if refusal.reason == BAD_FIELD_LINE => None,
        Err(refusal) => Some(Parsed::Refused(refusal)),
    }
}

const BAD_FIELD_LINE: &str = "bad field line";

/// Looks at the lines that became complete since the last call; says where the head ends.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one buffer, whose length fits 32 bits"
)]
fn walk(
    kind: Kind,
    bytes: &[u8],
    progress: &mut Progress,
    fields_max: usize,
    limits: &Limits,
) -> Result<Option<usize>, Refusal> {
    let limit = limits.bytes_max as usize;
    let mut from = progress.searched as usize;
    loop {
        let window = bytes.get(from..bytes.len().min(limit)).unwrap_or_default();
        let Some(offset) = window.iter().position(|&byte| byte == b'\n') else {
            break;
        };
        let end = from + offset;
        let start = progress.line_start as usize;
        let line = bytes.get(start..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        from = end + 1;
        progress.searched = from as u32;
        progress.line_start = from as u32;
        match progress.stage {
            Stage::StartLine if line.is_empty() => {}
            Stage::StartLine => {
                StartLine::read(kind, line, start, limits.lenient)?;
                progress.stage = Stage::FirstField;
            }
            _ if line.is_empty() => return Ok(Some(from)),
            stage => {
                let first = stage == Stage::FirstField;
                if check_field_line(kind, line, start, first, limits.lenient)? {
                    progress.folded = true;
                } else {
                    progress.fields = progress.fields.saturating_add(1);
                }
                if usize::from(progress.fields) > fields_max {
                    return Err(kind.refuse(start, "too many fields"));
                }
                progress.stage = Stage::Fields;
            }
        }
    }
    if bytes.len() >= limit {
        let mut refusal = kind.refuse(limit, "head too large");
        let line = bytes.get(progress.line_start as usize..limit);
        if progress.stage == Stage::StartLine && kind == Kind::Request && is_in_target(line) {
            // RFC 9112 §3: a target longer than what is read has a status of its own.
            refusal.status = 414;
        }
        return Err(refusal);
    }
    if progress.stage == Stage::StartLine {
        let start = progress.line_start as usize;
        check_open_start_line(kind, bytes, start, from, limits.lenient)?;
    }
    progress.searched = bytes.len() as u32;
    Ok(None)
}

/// Refuses what can never become a start line, so that a TLS hello or line noise is answered at
/// once and not after `timeout http-request`. `from` is the first byte not looked at before.
fn check_open_start_line(
    kind: Kind,
    bytes: &[u8],
    start: usize,
    from: usize,
    lenient: bool,
) -> Result<(), Refusal> {
    let line = bytes.get(start..).unwrap_or_default();
    if kind == Kind::Response {
        let expected = b"HTTP/";
        let there = line.len().min(expected.len());
        // A lone CR may be the first half of an empty line.
        let good = line.get(..there) == expected.get(..there) || line == b"\r";
        return if good {
            Ok(())
        } else {
            Err(kind.refuse(start, "not an HTTP/1 answer"))
        };
    }
    if let Some(&first) = line.first()
        && !is_token(first)
        && line != b"\r"
    {
        return Err(kind.refuse(start, "bad method"));
    }
    let last = bytes.len().saturating_sub(1);
    // The byte before may have been a CR that was still open.
    for (index, &byte) in bytes
        .iter()
        .enumerate()
        .skip(start.max(from.saturating_sub(1)))
    {
        let open_cr = byte == b'\r' && index == last;
        let odd = lenient && byte > 0x7f;
        if !(byte == b'\t' || (0x20..0x7f).contains(&byte) || open_cr || odd) {
            return Err(kind.refuse(index, "bad byte in the request line"));
        }
    }
    Ok(())
}

/// Whether an open request line has got as far as its target, and no further.
fn is_in_target(line: Option<&[u8]>) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut parts = line.unwrap_or_default().split(blank);
    let method = parts.next().unwrap_or_default();
    let mut rest = parts.skip_while(|part| part.is_empty());
    !method.is_empty() && rest.next().is_some() && rest.next().is_none()
}

/// Checks one field line; true says that it continues the line before (obs-fold).
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one buffer, whose length fits 32 bits"
)]
fn check_field_line(
    kind: Kind,
    line: &[u8],
    start: usize,
    first: bool,
    lenient: bool,
) -> Result<bool, Refusal> {
    let folded = matches!(line.first(), Some(b' ' | b'\t'));
    let value_at = if folded {
        if first {
            return Err(kind.refuse(start, "blank before the first field name"));
        }
        0
    } else {
        let in_name = |byte| is_token(byte) || (lenient && is_odd_name(byte));
        let name = line.iter().take_while(|&&byte| in_name(byte)).count();
        if name == 0 || line.get(name) != Some(&b':') {
            return Err(kind.refuse(start + name, "bad field name"));
        }
        name + 1
    };
    let value = line.get(value_at..).unwrap_or_default();
    match value.iter().position(|&byte| !is_value(byte)) {
        Some(at) => Err(kind.refuse(start + value_at + at, "bad byte in a field value")),
        None => Ok(folded),
    }
}

/// Turns the line ends before folded lines into blanks (RFC 9112 §5.2).
fn unfold(head: &mut [u8]) {
    let mut rest = head;
    loop {
        match rest {
            [cr @ b'\r', lf @ b'\n', b' ' | b'\t', ..] => (*cr, *lf) = (b' ', b' '),
            [lf @ b'\n', b' ' | b'\t', ..] => *lf = b' ',
            _ => {}
        }
        let Some((_, behind)) = rest.split_first_mut() else {
            return;
        };
        rest = behind;
    }
}

/// Parses a head that may be complete: true, and `head` is filled; false, more is needed.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one buffer, whose length fits 32 bits"
)]
fn parse_complete(
    kind: Kind,
    bytes: &mut [u8],
    head: &mut Head,
    limits: &Limits,
) -> Result<bool, Refusal> {
    head.clear();
    let limit = bytes.len().min(limits.bytes_max as usize);
    let window = bytes.get(..limit).unwrap_or_default();
    let Some(start) = skip_empty_lines(window) else {
        return Ok(false);
    };
    let Some(offset) = find_line_end(window.get(start..).unwrap_or_default()) else {
        return Ok(false);
    };
    let line_end = start + offset;
    let line = window.get(start..line_end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    head.line = Span::new(start, start + line.len());
    StartLine::read(kind, line, start, limits.lenient)?.store(head, line, start);
    let fields = match read_fields(kind, window, line_end + 1, head) {
        Err(refusal) if limits.lenient && refusal.reason == BAD_FIELD_LINE => {
            read_odd_fields(kind, window, line_end + 1, head)
        }
        fields => fields,
    };
    let Some(end) = fields? else {
        return Ok(false);
    };
    head.len = end as u32;
    if kind == Kind::Request {
        check_hosts(bytes, head, limits.lenient)?;
    }
    Ok(true)
}

/// Where the start line begins (RFC 9112 §2.2 lets a server skip empty lines before it).
fn skip_empty_lines(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    loop {
        match rest {
            [b'\r', b'\n', behind @ ..] | [b'\n', behind @ ..] => rest = behind,
            [] | [b'\r'] => return None,
            _ => return bytes.len().checked_sub(rest.len()),
        }
    }
}

/// Lets httparse split the field lines from `from` on; returns the end of the head.
/// Small arrays first: clearing a large one costs more than parsing a usual head, or a short one.
fn read_fields(
    kind: Kind,
    window: &[u8],
    from: usize,
    head: &mut Head,
) -> Result<Option<usize>, Refusal> {
    let few = match window.len() {
        ..256 => read_fields_into::<8>(kind, window, from, head),
        _ => None,
    };
    if let Some(done) = few.or_else(|| read_fields_into::<24>(kind, window, from, head)) {
        return done;
    }
    let more = match head.fields_max {
        ..=128 => read_many_fields::<128>(kind, window, from, head),
        _ => read_many_fields::<32767>(kind, window, from, head),
    };
    more.unwrap_or_else(|| Err(kind.refuse(from, "too many fields")))
}

/// Apart, so that the usual call does not pay for the stack of the large arrays.
#[cold]
#[inline(never)]
fn read_many_fields<const ROOM: usize>(
    kind: Kind,
    window: &[u8],
    from: usize,
    head: &mut Head,
) -> Option<Result<Option<usize>, Refusal>> {
    read_fields_into::<ROOM>(kind, window, from, head)
}

#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one buffer, whose length fits 32 bits"
)]
#[inline]
fn read_fields_into<const ROOM: usize>(
    kind: Kind,
    window: &[u8],
    from: usize,
    head: &mut Head,
) -> Option<Result<Option<usize>, Refusal>> {
    let mut room = [httparse::EMPTY_HEADER; ROOM];
    let rest = window.get(from..).unwrap_or_default();
    let (len, lines) = match httparse::parse_headers(rest, &mut room) {
        Ok(httparse::Status::Complete(found)) => found,
        Ok(httparse::Status::Partial) => return Some(Ok(None)),
        Err(httparse::Error::TooManyHeaders) => return None,
        Err(_) => return Some(Err(kind.refuse(from, BAD_FIELD_LINE))),
    };
    if lines.len() > head.fields_max {
        return Some(Err(kind.refuse(from, "too many fields")));
    }
    let base = window.as_ptr() as usize;
    for line in lines {
        let name = line.name.as_bytes();
        let name_at = name.as_ptr() as usize - base;
        // httparse hands out an empty value as a slice of its own, not of the input.
        let value_at = if line.value.is_empty() {
            name_at + name.len() + 1
        } else {
            line.value.as_ptr() as usize - base
        };
        let known = Name::from_bytes(name);
        head.present |= 1 << known as u8;
        head.fields.push(Field {
            name: Span::new(name_at, name_at + name.len()),
            value: Span::new(value_at, value_at + line.value.len()),
            known,
        });
    }
    Some(Ok(Some(from + len)))
}

/// Splits field lines whose names may have odd bytes, which httparse does not take. Folds are gone
/// by now, or the walk goes first; what it has not seen is refused as httparse would.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into one buffer, whose length fits 32 bits"
)]
#[cold]
fn read_odd_fields(
    kind: Kind,
    window: &[u8],
    from: usize,
    head: &mut Head,
) -> Result<Option<usize>, Refusal> {
    head.fields.clear();
    head.present = 0;
    let mut start = from;
    loop {
        let rest = window.get(start..).unwrap_or_default();
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Ok(None);
        };
        let line = rest.get(..length).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(Some(start + length + 1));
        }
        if check_field_line(kind, line, start, false, true)? {
            return Err(kind.refuse(start, BAD_FIELD_LINE));
        }
        if head.fields.len() >= head.fields_max {
            return Err(kind.refuse(start, "too many fields"));
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
        let value = line.get(colon + 1..).unwrap_or_default();
        let before = value.len() - value.trim_ascii_start().len();
        let value_at = start + colon + 1 + before;
        let known = Name::from_bytes(line.get(..colon).unwrap_or_default());
        head.present |= 1 << known as u8;
        head.fields.push(Field {
            name: Span::new(start, start + colon),
            value: Span::new(value_at, value_at + value.trim_ascii().len()),
            known,
        });
        start += length + 1;
    }
}

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const VALUE: u8 = 4;
const HOST: u8 = 8;

/// What each byte may be part of: a token (RFC 9110 §5.6.2), a target (visible ASCII but `#`),
/// a field value or reason (everything but controls; tab is allowed), a host (RFC 3986 §3.2.2:
/// unreserved, sub-delims; brackets, colons and what `%` begins are looked at apart).
#[expect(
    clippy::indexing_slicing,
    reason = "the loop ends with the table, while compiling"
)]
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let is_alphanumeric = (byte as u8).is_ascii_alphanumeric();
        let is_mark = matches!(
            byte as u8,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        if is_alphanumeric || is_mark {
            table[byte] |= TOKEN;
        }
        let is_sub_delim = matches!(
            byte as u8,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        );
        if is_alphanumeric || is_sub_delim || matches!(byte as u8, b'-' | b'.' | b'_' | b'~') {
            table[byte] |= HOST;
        }
        if byte > 0x20 && byte < 0x7f && byte as u8 != b'#' {
            table[byte] |= TARGET;
        }
        if byte as u8 == b'\t' || (byte >= 0x20 && byte != 0x7f) {
            table[byte] |= VALUE;
        }
        byte += 1;
    }
    table
};

#[inline]
#[expect(clippy::indexing_slicing, reason = "a byte is below 256")]
fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

/// Whether a byte may stand in a name (RFC 9110 §5.6.2).
#[inline]
pub fn is_token(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

#[inline]
pub(super) fn is_target(byte: u8) -> bool {
    class(byte) & TARGET != 0
}

#[inline]
pub(super) fn is_value(byte: u8) -> bool {
    class(byte) & VALUE != 0
}

#[inline]
pub(super) fn is_host(byte: u8) -> bool {
    class(byte) & HOST != 0
}

/// What a lenient reading takes in a name beside token characters: nothing that ends a name for
/// anybody, and no control.
fn is_odd_name(byte: u8) -> bool {
    byte > b' ' && byte != b':' && byte != 0x7f
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
