//! Answers that oneloop gives itself: errors, redirects, returns.
//!
//! Constant ones are rendered at load (`Reply`); those that depend on the request are written
//! into a scratch buffer of the engine by `HeadWriter`. All heads are written without their last
//! lines: `Persistence::tail` appends the `connection` field and the blank line, so that one
//! rendered answer serves clients that stay and clients that go.
//! The texts are what HAProxy 2.6 was seen to send, down to the dot that begins the 501's text
//! and the `Unauthorized` of the 407.
//! It must never decide whether a client stays (`exchange.rs`), nor touch sockets.
//!
//! The log's BYTES (`LOGGED_START` and what follows) is not a size on the wire: HAProxy counts
//! its internal form of the answer. This is the form of 2.2, five more than 2.6.

use super::framing::{self, Announce, Asked, Body, CLOSE, KEEP_ALIVE};
use super::head::{self, Head, Limits, Name, Parsed, Progress};
use super::render::{Persistence, decimal};
use super::rewrite::{Edits, Message};

/// What the log counts for a start line, beside its three texts.
pub const LOGGED_START: u64 = 24;
/// What the log counts for the blank line after the fields.
pub const LOGGED_HEAD_END: u64 = 1;
/// What the log counts for the end of an answer that was delivered whole.
pub const LOGGED_MESSAGE_END: u64 = 1;
/// What the log counts for the last chunk and the trailers of a chunked answer.
pub const LOGGED_CHUNKED_END: u64 = 1;

/// A constant answer, rendered at load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Status of the answer, as its status line says.
    pub status: u16,
    /// Minor version of the status line, for `Exchange::persistence`.
    pub minor: u8,
    /// Status line and fields; `Persistence::tail` is to follow.
    pub head: Vec<u8>,
    /// The body; left out in answers to HEAD.
    pub body: Vec<u8>,
    /// What the log's BYTES field says; 2.2 counts the body in answers to HEAD too.
    pub logged_bytes: u64,
    /// The connection ends with it: it says so itself, or its body has no other end.
    pub closes: bool,
}

/// What is wrong with an errorfile; texts as HAProxy's diagnostics have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `unable to parse headers (error offset: N)`; -2 when the head is cut short.
    Head(i64),
    /// `payload size does not match the announced content-length (N != M)`
    Length {
        /// Bytes of the body in the file.
        found: u64,
        /// What its Content-Length says.
        announced: u64,
    },
    /// `chunk-encoded payload not supported`
    Chunked,
    /// `invalid http status code for an error message (N)`
    Status(u16),
    /// `unable to add payload into the HTX message`: larger than a buffer.
    TooLarge,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head(offset) => write!(f, "unable to parse headers (error offset: {offset})"),
            Self::Length { found, announced } => write!(
                f,
                "payload size does not match the announced content-length ({found} != {announced})"
            ),
            Self::Chunked => f.write_str("chunk-encoded payload not supported"),
            Self::Status(status) => {
                write!(
                    f,
                    "invalid http status code for an error message ({status})"
                )
            }
            Self::TooLarge => f.write_str("unable to add payload into the HTX message"),
        }
    }
}

impl Reply {
    /// The built-in answer of that status; of 500 for a status that has none.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of texts that lie in memory"
    )]
    #[must_use]
    pub fn builtin(status: u16) -> Self {
        let (status, reason, text) = builtin_text(status);
        let body = builtin_body(status, reason, text);
        let mut head = Vec::new();
        let mut writer = HeadWriter::new(&mut head, 1, status, reason);
        writer.number_field("content-length", body.len() as u64);
        writer.field(b"cache-control", b"no-cache");
        writer.field(b"content-type", b"text/html");
        let closes = matches!(status, 400 | 408);
        // HAProxy's own text of these two has `Connection: close`, and the log counts it.
        let said = if closes {
            "connectionclose".len() as u64
        } else {
            0
        };
        let logged_bytes = writer.logged() + said + body.len() as u64 + LOGGED_MESSAGE_END;
        Self {
            status,
            minor: 1,
            head,
            body,
            logged_bytes,
            closes,
        }
    }

    /// The raw answer to a request that cannot be read (400, 422) or did not come in time (408):
    /// given below the HTTP layer, whatever an errorfile says, and logged with 0 bytes. Its
    /// `head` is complete, blank line included, and the connection ends with it.
    #[must_use]
    pub fn raw(status: u16) -> Self {
        let (status, reason, text) = builtin_text(status);
        let body = builtin_body(status, reason, text);
        let close = if matches!(status, 400 | 408 | 414) {
            "Connection: close\r\n"
        } else {
            ""
        };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-length: {}\r\nCache-Control: no-cache\r\n\
             {close}Content-Type: text/html\r\n\r\n",
            body.len()
        );
        Self {
            status,
            minor: 1,
            head: head.into_bytes(),
            body,
            logged_bytes: 0,
            closes: true,
        }
    }

    /// The answer to an OPTIONS request that was not to go further: RFC 9110 §9.3.7 wants its
    /// length said even when there is nothing in it.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of texts that lie in memory"
    )]
    fn nothing() -> Self {
        let mut head = Vec::new();
        let mut writer = HeadWriter::new(&mut head, 1, 200, reason(200));
        writer.number_field("content-length", 0);
        let logged_bytes = writer.logged() + LOGGED_MESSAGE_END;
        Self {
            status: 200,
            minor: 1,
            head,
            logged_bytes,
            ..Self::default()
        }
    }

    /// An `errorfile` as HAProxy re-emits it: names in lower case, Connection dropped, version
    /// and status line kept. An empty file is an empty `head`: the connection is
    /// closed without an answer.
    ///
    /// # Errors
    /// What keeps the file from being an answer.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of texts that lie in memory"
    )]
    pub fn from_errorfile(file: &[u8], limits: &Limits) -> Result<Self, Problem> {
        if file.is_empty() {
            return Ok(Self {
                closes: true,
                minor: 1,
                ..Self::default()
            });
        }
        let mut bytes = file.to_vec();
        let mut parsed = Head::new(102);
        match head::response(&mut bytes, &mut Progress::default(), &mut parsed, limits) {
            Parsed::Complete => {}
            Parsed::Partial => return Err(Problem::Head(-2)),
            Parsed::Refused(refusal) => return Err(Problem::Head(refusal.position.into())),
        }
        if parsed.status < 200 {
            return Err(Problem::Status(parsed.status));
        }
        let framing = framing::response(&parsed, &bytes, Asked::default())
            .map_err(|refusal| Problem::Head(refusal.position.into()))?;
        let body = bytes
            .get(parsed.len as usize..)
            .unwrap_or_default()
            .to_vec();
        match framing.announce {
            Announce::Chunked => return Err(Problem::Chunked),
            Announce::Length(announced) if announced != body.len() as u64 => {
                return Err(Problem::Length {
                    found: body.len() as u64,
                    announced,
                });
            }
            _ => {}
        }
        if bytes.len() > limits.bytes_max as usize {
            return Err(Problem::TooLarge);
        }
        let edits = Edits::new(0, 0);
        let message = Message::new(&bytes, &parsed, &edits);
        let mut head = Vec::new();
        let reason = String::from_utf8_lossy(message.reason());
        let mut writer = HeadWriter::new(&mut head, parsed.minor, parsed.status, &reason);
        let mut says_close = false;
        for (name, value, known) in message.fields() {
            if known == Name::Connection {
                says_close |= CLOSE.is(value);
            } else {
                writer.field(&name.to_ascii_lowercase(), value);
            }
        }
        // Of a file the Connection field is counted although it does not leave.
        let connection: usize = message
            .fields()
            .filter(|(_, value, known)| *known == Name::Connection && !says_more(value))
            .map(|(name, value, _)| name.len() + value.len())
            .sum();
        let logged_bytes = logged_head_bytes(&parsed, &bytes)
            + connection as u64
            + body.len() as u64
            + LOGGED_MESSAGE_END;
        let closes = says_close || framing.body == Body::UntilClose;
        Ok(Self {
            status: parsed.status,
            minor: parsed.minor,
            head,
            body,
            logged_bytes,
            closes,
        })
    }
}

/// All constant answers, rendered once: so that answering allocates nothing.
#[derive(Clone, Debug)]
pub struct Builtins {
    answers: Vec<Reply>,
    raw: Vec<Reply>,
    nothing: Reply,
}

impl Builtins {
    /// Renders them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            answers: BUILTIN_STATUSES.map(Reply::builtin).into(),
            raw: BUILTIN_STATUSES
                .into_iter()
                .chain([URI_TOO_LONG.0])
                .map(Reply::raw)
                .collect(),
            nothing: Reply::nothing(),
        }
    }

    /// What `Reply::builtin` gives.
    #[must_use]
    pub fn answer(&self, status: u16) -> &Reply {
        Self::pick(&self.answers, status)
    }

    /// What `Reply::raw` gives.
    #[must_use]
    pub fn raw(&self, status: u16) -> &Reply {
        Self::pick(&self.raw, status)
    }

    /// 200 without content, which is what OPTIONS is answered with.
    #[must_use]
    pub fn nothing(&self) -> &Reply {
        &self.nothing
    }

    fn pick(replies: &[Reply], status: u16) -> &Reply {
        static NONE: Reply = Reply {
            status: 500,
            minor: 1,
            head: Vec::new(),
            body: Vec::new(),
            logged_bytes: 0,
            closes: true,
        };
        let find = |status| replies.iter().find(|reply| reply.status == status);
        find(status).or_else(|| find(500)).unwrap_or(&NONE)
    }
}

impl Default for Builtins {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes the head of an own answer, field by field, and counts what the log will say. The
/// buffer belongs to the engine and keeps its room.
#[derive(Debug)]
pub struct HeadWriter<'a> {
    out: &'a mut Vec<u8>,
    logged: u64,
}

impl<'a> HeadWriter<'a> {
    /// Starts a head in `out`, which is cleared, with its status line.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of texts that lie in memory"
    )]
    pub fn new(out: &'a mut Vec<u8>, minor: u8, status: u16, reason: &str) -> Self {
        out.clear();
        out.extend_from_slice(if minor == 0 {
            b"HTTP/1.0 "
        } else {
            b"HTTP/1.1 "
        });
        let mut digits = [0; 20];
        let status = decimal(status.into(), &mut digits);
        out.extend_from_slice(status);
        out.push(b' ');
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        let logged = LOGGED_START + LOGGED_HEAD_END + 8 + (status.len() + reason.len()) as u64;
        Self { out, logged }
    }

    /// Appends a field; line ends and NUL in the value become blanks.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of texts that lie in memory"
    )]
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.logged += (name.len() + value.len()) as u64;
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        let disarm = |&byte: &u8| {
            if matches!(byte, b'\r' | b'\n' | 0) {
                b' '
            } else {
                byte
            }
        };
        self.out.extend(value.iter().map(disarm));
        self.out.extend_from_slice(b"\r\n");
    }

    /// Appends a field whose value is a number.
    pub fn number_field(&mut self, name: &str, value: u64) {
        let mut digits = [0; 20];
        self.field(name.as_bytes(), decimal(value, &mut digits));
    }

    /// What the log counts for the head so far; `connection` is never counted.
    #[must_use]
    pub fn logged(&self) -> u64 {
        self.logged
    }

    /// Appends the last lines of the head.
    pub fn finish(self, persistence: Persistence) {
        self.out.extend_from_slice(persistence.tail());
    }
}

/// Writes the head of an `http-request return` answer: the `hdr` fields, then length and type;
/// the body is the caller's to send. Returns what the log counts for the delivered answer.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "lengths of texts that lie in memory"
)]
pub fn write_return<'f>(
    out: &mut Vec<u8>,
    status: u16,
    fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    content_type: Option<&[u8]>,
    body_len: u64,
    persistence: Persistence,
) -> u64 {
    let mut writer = HeadWriter::new(out, 1, status, reason(status));
    for (name, value) in fields {
        writer.field(name, value);
    }
    // RFC 9110 §8.6: no Content-Length in a 204.
    if status != 204 {
        writer.number_field("content-length", body_len);
    }
    if let Some(content_type) = content_type {
        writer.field(b"content-type", content_type);
    }
    let logged = writer.logged() + body_len + LOGGED_MESSAGE_END;
    writer.finish(persistence);
    logged
}

/// Where a `redirect` rule points; the text is already evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectTo<'a> {
    /// `location <loc>`: exactly there.
    Location(&'a [u8]),
    /// `prefix <pfx>`: before the request's path and query; `/` alone adds nothing.
    Prefix(&'a [u8]),
    /// `scheme <sch>`: the same host, path and query under another scheme.
    Scheme(&'a [u8]),
}

/// What a `redirect` rule does to the path (configuration.txt 4.2, "redirect").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedirectOptions {
    /// `drop-query`
    pub drop_query: bool,
    /// `append-slash`
    pub append_slash: bool,
}

/// Writes the value of `location:` into `out`, which is cleared.
pub fn redirect_location(
    to: RedirectTo,
    options: RedirectOptions,
    message: &Message,
    out: &mut Vec<u8>,
) {
    out.clear();
    match to {
        RedirectTo::Location(location) => return out.extend_from_slice(location),
        RedirectTo::Prefix(b"/") => {}
        RedirectTo::Prefix(prefix) => out.extend_from_slice(prefix),
        RedirectTo::Scheme(scheme) => {
            out.extend_from_slice(scheme);
            out.extend_from_slice(b"://");
            out.extend_from_slice(message.known(Name::Host).unwrap_or_default());
        }
    }
    let path = if options.drop_query {
        message.path()
    } else {
        message.pathq()
    };
    out.extend_from_slice(path.unwrap_or(b"/"));
    if options.append_slash && out.last() != Some(&b'/') {
        out.push(b'/');
    }
}

/// The cookie a `redirect` rule sets or clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectCookie<'a> {
    /// `set-cookie NAME[=value]`
    Set(&'a [u8]),
    /// `clear-cookie NAME[=]`
    Clear(&'a [u8]),
}

/// Writes the head of a redirect; there is no body. Returns what the log counts.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "lengths of texts that lie in memory"
)]
pub fn write_redirect(
    out: &mut Vec<u8>,
    code: u16,
    location: &[u8],
    cookie: Option<RedirectCookie>,
    persistence: Persistence,
) -> u64 {
    // HAProxy says Found here, and Moved Temporarily in a `return` of the same status.
    let reason = if code == 302 { "Found" } else { reason(code) };
    let mut writer = HeadWriter::new(out, 1, code, reason);
    writer.number_field("content-length", 0);
    writer.field(b"location", location);
    if matches!(code, 302 | 303 | 307) {
        writer.field(b"cache-control", b"no-cache");
    }
    let (cookie, attributes): (&[u8], &[u8]) = match cookie {
        Some(RedirectCookie::Set(cookie)) => (cookie, b"; path=/;"),
        Some(RedirectCookie::Clear(cookie)) => (cookie, b"; path=/; Max-Age=0;"),
        None => (b"", b""),
    };
    if !attributes.is_empty() {
        writer.logged += ("set-cookie".len() + cookie.len() + attributes.len()) as u64;
        for part in [b"set-cookie: ", cookie, attributes, b"\r\n"] {
            writer.out.extend_from_slice(part);
        }
    }
    let logged = writer.logged() + LOGGED_MESSAGE_END;
    writer.finish(persistence);
    logged
}

/// What the log counts for an answer's head as it came. Body bytes, `LOGGED_MESSAGE_END` and, for a
/// chunked one, `LOGGED_CHUNKED_END` are added as they are delivered.
#[must_use]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "lengths of texts that lie in memory"
)]
pub fn logged_head_bytes(head: &Head, bytes: &[u8]) -> u64 {
    const STATUS: usize = 3;
    let mut more_lengths = head.has(Name::TransferEncoding);
    let mut texts = head.version.len() + STATUS + head.reason.len();
    for field in &head.fields {
        let counts = match field.known {
            Name::Connection => says_more(field.value.of(bytes)),
            // Only the one length that leaves is counted.
            Name::ContentLength => !std::mem::replace(&mut more_lengths, true),
            _ => true,
        };
        if counts {
            texts += field.name.len() + field.value.len();
        }
    }
    LOGGED_START + LOGGED_HEAD_END + texts as u64
}

/// Whether a Connection field holds more than what speaks of the sender's own connection; without,
/// it is taken off an answer before anything counts it.
fn says_more(value: &[u8]) -> bool {
    let is_own = |token| CLOSE.is(token) || KEEP_ALIVE.is(token);
    // Mostly there is one token.
    if is_own(value) {
        return false;
    }
    !value.split(|byte| *byte == b',').all(|token| {
        let token = token.trim_ascii();
        token.is_empty() || is_own(token)
    })
}

/// The standard reason phrase as HAProxy 2.6 writes it; unknown statuses have their class's.
#[must_use]
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        210 => "Content Different",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        310 => "Too many Redirects",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested range unsatisfiable",
        417 => "Expectation failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Method failure",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        449 => "Retry With",
        450 => "Blocked by Windows Parental Controls",
        451 => "Unavailable For Legal Reasons",
        456 => "Unrecoverable Error",
        499 => "client has closed connection",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway or Proxy Error",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version not supported",
        506 => "Variant also negotiate",
        507 => "Insufficient storage",
        508 => "Loop detected",
        509 => "Bandwidth Limit Exceeded",
        510 => "Not extended",
        511 => "Network authentication required",
        520 => "Web server is returning an unknown error",
        _ => reason_of_class(status),
    }
}

fn reason_of_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "Informational",
        2 => "Success",
        3 => "Redirection",
        4 => "Client Error",
        5 => "Server Error",
        _ => "Other",
    }
}

/// Status, reason and sentence of a built-in answer; of the 500 if there is none.
fn builtin_text(status: u16) -> (u16, &'static str, &'static str) {
    let mut known = BUILTIN.iter().chain([&URI_TOO_LONG]);
    let found = known.find(|(code, _, _)| *code == status);
    *found.unwrap_or(&(
        500,
        "Internal Server Error",
        "An internal server error occurred.",
    ))
}

fn builtin_body(status: u16, reason: &str, text: &str) -> Vec<u8> {
    format!("<html><body><h1>{status} {reason}</h1>\n{text}\n</body></html>\n").into_bytes()
}

/// The statuses that have a built-in answer and may have an `errorfile`.
#[expect(
    clippy::indexing_slicing,
    reason = "the two are as long as each other, or it does not compile"
)]
pub const BUILTIN_STATUSES: [u16; 19] = {
    let mut statuses = [0; 19];
    let mut at = 0;
    while at < BUILTIN.len() {
        statuses[at] = BUILTIN[at].0;
        at += 1;
    }
    statuses
};

/// HAProxy has no such answer, and so no `errorfile` for it.
const URI_TOO_LONG: (u16, &str, &str) = (
    414,
    "URI Too Long",
    "The target of the request is too long.",
);

const BUILTIN: [(u16, &str, &str); 19] = [
    (200, "OK", "Service ready."),
    (400, "Bad request", "Your browser sent an invalid request."),
    (
        401,
        "Unauthorized",
        "You need a valid user and password to access this content.",
    ),
    (
        403,
        "Forbidden",
        "Request forbidden by administrative rules.",
    ),
    (404, "Not Found", "The resource could not be found."),
    (
        405,
        "Method Not Allowed",
        "A request was made of a resource using a request method not supported by that resource",
    ),
    (
        407,
        "Unauthorized",
        "You need a valid user and password to access this content.",
    ),
    (
        408,
        "Request Time-out",
        "Your browser didn't send a complete request in time.",
    ),
    (
        410,
        "Gone",
        "The resource is no longer available and will not be available again.",
    ),
    (
        413,
        "Payload Too Large",
        "The request entity exceeds the maximum allowed.",
    ),
    (
        421,
        "Misdirected Request",
        "Request sent to a non-authoritative server.",
    ),
    (
        422,
        "Unprocessable Content",
        "The server cannot process the contained instructions.",
    ),
    (425, "Too Early", "Your browser sent early data."),
    (
        429,
        "Too Many Requests",
        "You have sent too many requests in a given amount of time.",
    ),
    (
        500,
        "Internal Server Error",
        "An internal server error occurred.",
    ),
    (
        501,
        "Not Implemented",
        ".The server does not support the functionality required to fulfill the request.",
    ),
    (
        502,
        "Bad Gateway",
        "The server returned an invalid or incomplete response.",
    ),
    (
        503,
        "Service Unavailable",
        "No server is available to handle this request.",
    ),
    (
        504,
        "Gateway Time-out",
        "The server didn't respond in time.",
    ),
];

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
