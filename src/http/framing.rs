//! Decides how long a message body is and whether its sender's connection may go on.
//!
//! Theory (RFC 9112 §6.3). The end of a body is known from exactly one of five things, looked at
//! in this order, the first that applies wins:
//!
//! | # | message | body |
//! |---|---|---|
//! | 1 | answer to HEAD; 1xx, 204, 304 | none, whatever its fields say |
//! | 2 | 101 that was asked for; 2xx to CONNECT | the connection is a tunnel from here on |
//! | 3 | Transfer-Encoding is `chunked` | chunked; a Content-Length beside it is dropped |
//! | 4 | Transfer-Encoding is anything else | refused: two readers may differ |
//! | 5 | Content-Length, once or repeated with one value | so many bytes |
//! | 6 | Content-Length otherwise | refused |
//! | 7 | request without either | none |
//! | 8 | answer without either | all bytes until the server closes |
//!
//! Every shape that two readers could read two ways is refused or made plain: the outgoing head
//! carries exactly one framing field, rendered from `Announce`, never the text that came. What
//! becomes of each shape, from its bytes to what leaves, is one table: `framing_tests.rs`.
//! Beyond HAProxy, which lets them pass: Transfer-Encoding in an HTTP/1.0 request (RFC 9112 §6.1
//! calls it faulty framing), a body on CONNECT, empty elements round `chunked`, and a `Connection`
//! that names what frames or routes the message are refused.
//! It must never look at body bytes (`chunked.rs`) or remember anything (`exchange.rs`).

use super::head::{Head, Method, Name, Refusal};
use crate::base::word::Word;

/// Lengths from 2^63 on are refused, so that sums of lengths cannot overflow.
const LENGTH_MAX: u64 = i64::MAX as u64;

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

/// The one framing field of an outgoing head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Announce {
    /// No framing field.
    #[default]
    Nothing,
    /// One `Content-Length` (in an answer to HEAD it announces what GET would give).
    Length(u64),
    /// One `Transfer-Encoding: chunked`.
    Chunked,
}

/// What the head says about the rest of the message and of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// How the end of the body is found.
    pub body: Body,
    /// The framing field to send on.
    pub announce: Announce,
    /// The sender's version and `Connection` field allow another message after this one.
    pub persistent: bool,
    /// Transfer-Encoding came with Content-Length: the sender's connection must end with this
    /// exchange, since its sender may have meant the length (RFC 9112 §6.1). `announce` has
    /// dropped the length, and `persistent` is false already.
    pub drop_length: bool,
    /// A request that asks to switch protocols, or the 101 answer to it.
    pub upgrade: bool,
    /// The request asks for `websocket`: its 101 must carry Sec-WebSocket-Accept.
    pub websocket: bool,
    /// `Upgrade` must not be sent on: it came with a body, in the middle of which a server could
    /// switch (as HAProxy does), or names nothing that may be switched to.
    pub drop_upgrade: bool,
    /// `Connection` names fields other than the proxy's own: neither they nor their names are sent
    /// on (RFC 9110 §7.6.1).
    pub drop_named: bool,
    /// `Expect: 100-continue` on an HTTP/1.1 request with a body.
    pub expect_continue: bool,
    /// An interim answer (1xx but 101): another head follows.
    pub interim: bool,
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
    /// The upgrade asked for is `websocket`.
    pub websocket: bool,
}

impl Asked {
    /// What a server is asked with this head.
    #[must_use]
    pub fn new(head: &Head, framing: &Framing) -> Self {
        Self {
            method: head.method,
            minor: head.minor,
            upgrade: framing.upgrade,
            websocket: framing.websocket,
        }
    }
}

/// Framing of a request. Refusals carry the status HAProxy answers with (400 or 422).
///
/// # Errors
/// A `Refusal` for every combination that could be read two ways.
pub fn request(head: &Head, bytes: &[u8]) -> Result<Framing, Refusal> {
    let refuse = |name, reason| refusal(400, head, name, reason);
    let connection = Connection::read(head, bytes, 400)?;
    let coding = read_coding(head, bytes, 400, 422)?;
    let length = read_length(head, bytes, 400)?;
    let mut framing = Framing {
        persistent: connection.persists(head.minor),
        drop_named: connection.names,
        ..Framing::default()
    };
    match (coding, length) {
        (Coding::Chunked, _) if head.minor == 0 => {
            return Err(refuse(
                Name::TransferEncoding,
                "Transfer-Encoding in HTTP/1.0",
            ));
        }
        (Coding::Chunked, _) | (Coding::None, Some(1..)) if head.method == Method::Connect => {
            return Err(refuse(Name::Host, "CONNECT with a body"));
        }
        (Coding::None, _) if head.method == Method::Connect => {}
        (Coding::Chunked, length) => {
            framing.body = Body::Chunked;
            framing.announce = Announce::Chunked;
            framing.drop_length = length.is_some();
            framing.persistent &= length.is_none();
        }
        (Coding::None, Some(length)) => {
            framing.body = if length == 0 {
                Body::None
            } else {
                Body::Length(length)
            };
            framing.announce = Announce::Length(length);
        }
        (Coding::None, None) => {}
    }
    let has_body = framing.body != Body::None;
    if head.has(Name::Upgrade) {
        // RFC 9110 §7.8: an HTTP/1.0 request cannot ask for an upgrade.
        let void = head.minor == 0 || !offers_upgrade(head, bytes);
        framing.upgrade = connection.upgrade && !void && !has_body;
        framing.drop_upgrade = void || (connection.upgrade && has_body);
    }
    framing.websocket = framing.upgrade && has_element(head, bytes, Name::Upgrade, b"websocket");
    if framing.websocket && !has_websocket_key(head, bytes) {
        return Err(refuse(Name::Upgrade, "websocket without Sec-WebSocket-Key"));
    }
    framing.expect_continue =
        has_body && head.minor >= 1 && has_element(head, bytes, Name::Expect, b"100-continue");
    Ok(framing)
}

/// Framing of an answer to the request described by `asked`.
///
/// # Errors
/// A 502 `Refusal` for every combination that could be read two ways, and for a 101 that nobody
/// asked for.
pub fn response(head: &Head, bytes: &[u8], asked: Asked) -> Result<Framing, Refusal> {
    let connection = Connection::read(head, bytes, 502)?;
    let coding = read_coding(head, bytes, 502, 502)?;
    let length = read_length(head, bytes, 502)?;
    let mut framing = Framing {
        persistent: connection.persists(head.minor),
        drop_named: connection.names,
        drop_upgrade: head.has(Name::Upgrade) && !offers_upgrade(head, bytes),
        ..Framing::default()
    };
    match head.status {
        101 => {
            let switches = asked.upgrade && connection.upgrade && offers_upgrade(head, bytes);
            let to_http2 = elements_of(head, bytes, Name::Upgrade).any(is_http2);
            let unproved = asked.websocket && !head.has(Name::SecWebSocketAccept);
            if !switches || to_http2 || unproved {
                return Err(refusal(
                    502,
                    head,
                    Name::Upgrade,
                    "101 that nobody asked for",
                ));
            }
            framing.body = Body::Tunnel;
            framing.upgrade = true;
            framing.persistent = false;
            return Ok(framing);
        }
        100..=199 => {
            // Interim answers say nothing about the connection or about a body.
            return Ok(Framing {
                interim: true,
                persistent: true,
                ..framing
            });
        }
        200..=299 if asked.method == Method::Connect => {
            return Ok(Framing {
                body: Body::Tunnel,
                persistent: false,
                ..framing
            });
        }
        204 => return Ok(framing),
        _ => {}
    }
    framing.announce = match (coding, length) {
        (Coding::Chunked, _) => Announce::Chunked,
        (Coding::None, Some(length)) => Announce::Length(length),
        (Coding::None, None) => Announce::Nothing,
    };
    framing.drop_length = coding == Coding::Chunked && length.is_some();
    framing.persistent &= !framing.drop_length;
    if asked.method == Method::Head || head.status == 304 {
        return Ok(framing);
    }
    framing.body = match framing.announce {
        Announce::Chunked => Body::Chunked,
        Announce::Length(0) => Body::None,
        Announce::Length(length) => Body::Length(length),
        Announce::Nothing => Body::UntilClose,
    };
    // RFC 9112 §6.1: chunked from an HTTP/1.0 server is faulty framing; read it, then close.
    framing.persistent &=
        framing.body != Body::UntilClose && !(framing.body == Body::Chunked && head.minor == 0);
    Ok(framing)
}

/// The elements of a comma-separated value without the blanks round them; empty ones included.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// The one transfer coding.
const CHUNKED: Word = Word::new("chunked");
/// The tokens of `Connection` that have a meaning.
pub(super) const CLOSE: Word = Word::new("close");
pub(super) const KEEP_ALIVE: Word = Word::new("keep-alive");
pub(super) const UPGRADE: Word = Word::new("upgrade");

/// What the `Connection` fields say (RFC 9110 §7.6.1).
#[derive(Clone, Copy, Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    upgrade: bool,
    /// Other names.
    names: bool,
}

impl Connection {
    fn read(head: &Head, bytes: &[u8], bad: u16) -> Result<Self, Refusal> {
        let mut found = Self::default();
        for value in values(head, bytes, Name::Connection) {
            // Mostly there is one token.
            if KEEP_ALIVE.is(value) {
                found.keep_alive = true;
                continue;
            }
            for token in elements(value) {
                if KEEP_ALIVE.is(token) {
                    found.keep_alive = true;
                } else if CLOSE.is(token) {
                    found.close = true;
                } else if UPGRADE.is(token) {
                    found.upgrade = true;
                } else if !token.is_empty() {
                    // To leave these out would change what the message says.
                    let known = Name::from_bytes(token);
                    let vital = [Name::Host, Name::ContentLength, Name::TransferEncoding];
                    if vital.contains(&known) {
                        let reason = "Connection names a field that must stay";
                        return Err(refusal(bad, head, Name::Connection, reason));
                    }
                    found.names = true;
                }
            }
        }
        Ok(found)
    }

    /// RFC 9112 §9.3.
    fn persists(self, minor: u8) -> bool {
        !self.close && (minor >= 1 || self.keep_alive)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    None,
    Chunked,
}

/// Transfer-Encoding must be `chunked` and nothing else. HAProxy answers 422 when another coding
/// (or an empty element) stands before a final `chunked`, and 400 to everything else.
fn read_coding(head: &Head, bytes: &[u8], bad: u16, unsupported: u16) -> Result<Coding, Refusal> {
    if !head.has(Name::TransferEncoding) {
        return Ok(Coding::None);
    }
    let refuse = |status, reason| Err(refusal(status, head, Name::TransferEncoding, reason));
    let mut others = false;
    let mut chunked = false;
    for value in values(head, bytes, Name::TransferEncoding) {
        for element in elements(value) {
            if chunked {
                return refuse(bad, "chunked is not the last coding");
            }
            if CHUNKED.is(element) {
                chunked = true;
            } else {
                others = true;
            }
        }
    }
    match (chunked, others) {
        (true, false) => Ok(Coding::Chunked),
        (true, true) => refuse(unsupported, "unsupported transfer coding before chunked"),
        (false, _) => refuse(bad, "chunked is not the last coding"),
    }
}

/// Content-Length: decimal digits, any number of times, always the same value.
fn read_length(head: &Head, bytes: &[u8], bad: u16) -> Result<Option<u64>, Refusal> {
    if !head.has(Name::ContentLength) {
        return Ok(None);
    }
    let mut length = None;
    for value in values(head, bytes, Name::ContentLength) {
        // Mostly there is one number.
        if length.is_none()
            && let Some(found) = read_number(value)
        {
            length = Some(found);
            continue;
        }
        for element in elements(value) {
            let Some(found) = read_number(element) else {
                return Err(refusal(
                    bad,
                    head,
                    Name::ContentLength,
                    "bad Content-Length",
                ));
            };
            if length.is_some_and(|length| length != found) {
                return Err(refusal(
                    bad,
                    head,
                    Name::ContentLength,
                    "different Content-Lengths",
                ));
            }
            length = Some(found);
        }
    }
    Ok(length)
}

fn read_number(text: &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    (!text.is_empty() && number <= LENGTH_MAX).then_some(number)
}

fn values<'a>(head: &'a Head, bytes: &'a [u8], known: Name) -> impl Iterator<Item = &'a [u8]> {
    let fields = if head.has(known) {
        head.fields.as_slice()
    } else {
        &[]
    };
    fields
        .iter()
        .filter(move |field| field.known == known)
        .map(|field| field.value.of(bytes))
}

fn elements_of<'a>(head: &'a Head, bytes: &'a [u8], known: Name) -> impl Iterator<Item = &'a [u8]> {
    values(head, bytes, known).flat_map(elements)
}

fn has_element(head: &Head, bytes: &[u8], known: Name, wanted: &[u8]) -> bool {
    elements_of(head, bytes, known).any(|element| element.eq_ignore_ascii_case(wanted))
}

/// Whether there is a `Sec-WebSocket-Key` as long as one must be: 16 bytes in base64
/// (RFC 6455 §4.1).
fn has_websocket_key(head: &Head, bytes: &[u8]) -> bool {
    let mut keys = values(head, bytes, Name::SecWebSocketKey);
    keys.next().is_some_and(|key| key.len() == 24) && keys.all(|key| key.len() == 24)
}

/// Whether an element of `Upgrade` is HTTP/2 without TLS. It is never sent on: nobody here would
/// understand what follows, and RFC 9113 §3.1 has done away with it.
pub(super) fn is_http2(element: &[u8]) -> bool {
    let name = element.split(|&byte| byte == b'/').next();
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"h2c"))
}

/// Whether `Upgrade` names anything that may be sent on.
fn offers_upgrade(head: &Head, bytes: &[u8]) -> bool {
    elements_of(head, bytes, Name::Upgrade).any(|element| !element.is_empty() && !is_http2(element))
}

fn refusal(status: u16, head: &Head, name: Name, reason: &'static str) -> Refusal {
    let position = head
        .field(name)
        .map_or(head.line.start, |field| field.value.start);
    Refusal {
        status,
        position,
        reason,
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
