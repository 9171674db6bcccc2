//! Finds the end of a message head in growing input and turns it into offset spans.
//!
//! This file decides when a head is complete, whether it is well formed, and where its parts
//! lie. It owns the rule that keeps parsing linear for input that comes byte by byte: every line
//! is looked at once, by `Progress`, and httparse runs at most twice for one head.
//! It must never copy names or values, allocate after warm-up, or decide about bodies
//! (`framing.rs`) or forwarding (`rewrite.rs`).
//! Rejected: running httparse at every read (quadratic), and a parser of our own for field lines
//! (httparse has SIMD and years of fuzzing).

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
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
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
    /// The start line without its line end (after normalisation; see `logged_line`).
    pub line: Span,
    /// Minor version: 0, or 1 for everything from HTTP/1.1 on.
    pub minor: u8,
    /// The method of a request.
    pub method: Method,
    /// Where the method stands.
    pub method_span: Span,
    /// The request target as received.
    pub target: Span,
    /// The status of an answer, 100 to 999; 0 in a request.
    pub status: u16,
    /// The reason phrase of an answer, possibly empty.
    pub reason: Span,
    /// The field lines in order; at most the capacity given to `new`.
    pub fields: Vec<Field>,
}

impl Head {
    /// A head with room for `max_fields` field lines (`tune.http.maxhdr`, 101 by default).
    #[must_use]
    pub fn new(max_fields: usize) -> Self {
        Self {
            fields: Vec::with_capacity(max_fields),
            ..Self::default()
        }
    }

    /// The start line as received, for the log: before tabs became blanks and so on.
    #[must_use]
    pub fn logged_line<'a>(&'a self, bytes: &'a [u8]) -> &'a [u8] {
        self.line.of(bytes)
    }

    /// The first field of that well-known name.
    #[must_use]
    pub fn field(&self, known: Name) -> Option<&Field> {
        self.fields.iter().find(|field| field.known == known)
    }

    /// Whether a field of that well-known name is there.
    #[must_use]
    pub fn has(&self, known: Name) -> bool {
        self.field(known).is_some()
    }
}

/// What a connection remembers between two looks at a head that is still growing.
/// Start each message with `Progress::default()`; the bytes already there must not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    searched: u32,
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

/// The bounds of a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes a head may have: `tune.bufsize` less `tune.maxrewrite`.
    pub bytes_max: u32,
}

/// Parses a request head at the front of `bytes`.
pub fn request(
    bytes: &mut [u8],
    progress: &mut Progress,
    head: &mut Head,
    limits: &Limits,
) -> Parsed {
    let _ = (bytes, progress, head, limits);
    Parsed::Partial
}

/// Parses the head of a server's answer (also a 1xx) at the front of `bytes`.
pub fn response(
    bytes: &mut [u8],
    progress: &mut Progress,
    head: &mut Head,
    limits: &Limits,
) -> Parsed {
    let _ = (bytes, progress, head, limits);
    Parsed::Partial
}
