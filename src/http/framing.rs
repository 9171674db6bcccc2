//! Decides how long a message body is and whether its sender's connection may go on.
//!
//! RFC 9112 §6.3 as a table. No length may ever be read two ways.

use super::head::{Head, Method, Refusal};

/// How the end of a body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    #[default]
    None,
    /// So many bytes, at least one.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// All bytes until the server closes (answers only).
    UntilClose,
    /// The connection stops being HTTP after this head: 101, or 2xx to CONNECT.
    Tunnel,
}

/// What the head says about the rest of the message and of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// How the end of the body is found.
    pub body: Body,
    /// The sender's version and `Connection` field allow another message after this one.
    pub persistent: bool,
    /// The sender of an HTTP/1.0 message asked for `keep-alive` in so many words.
    pub keep_alive: bool,
    /// Transfer-Encoding came with Content-Length: the length must not be forwarded and the
    /// client's connection ends with this exchange.
    pub drop_length: bool,
    /// A request that asks to switch protocols (`Connection: upgrade` and `Upgrade`), or the
    /// 101 answer to it.
    pub upgrade: bool,
    /// `Expect: 100-continue` on an HTTP/1.1 request.
    pub expect_continue: bool,
    /// An interim answer (1xx but 101): another head follows.
    pub interim: bool,
    /// The message carried a Content-Length field (an answer to HEAD may).
    pub has_length: bool,
}

/// What an answer's framing depends on; kept per client while the answer is awaited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method as sent to the server.
    pub method: Method,
    /// The minor version of the request.
    pub minor: u8,
    /// The request asked for an upgrade (`Framing::upgrade`).
    pub upgrade: bool,
}

/// Framing of a request. Refusals carry the status HAProxy answers with.
///
/// # Errors
/// A `Refusal` for every combination that could be read two ways.
pub fn request(head: &Head, bytes: &[u8]) -> Result<Framing, Refusal> {
    let _ = (head, bytes);
    Ok(Framing::default())
}

/// Framing of an answer to the request described by `asked`.
///
/// # Errors
/// A 502 `Refusal` for every combination that could be read two ways.
pub fn response(head: &Head, bytes: &[u8], asked: Asked) -> Result<Framing, Refusal> {
    let _ = (head, bytes, asked);
    Ok(Framing::default())
}
