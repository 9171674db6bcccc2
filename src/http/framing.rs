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
//! carries exactly one framing field, rendered from `Announce`, never the text that came.
//! Beyond HAProxy, which lets them pass: Transfer-Encoding in an HTTP/1.0 request (RFC 9112 §6.1
//! calls it faulty framing), a body on CONNECT, empty elements round `chunked`, and a `Connection`
//! that names what frames or routes the message are refused.
//! It must never look at body bytes (`chunked.rs`) or remember anything (`exchange.rs`).

use super::head::{Head, Method, Name, Refusal};

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
    /// `Upgrade` came with a body: the field must not be sent on, as HAProxy does, because a
    /// server could switch in the middle of it.
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
        // RFC 9110 §7.8: an HTTP/1.0 request cannot ask for an upgrade. One to HTTP/2 would leave
        // nobody who understands what passes (RFC 9113 §3.1 has done away with it).
        let void = head.minor == 0 || has_element(head, bytes, Name::Upgrade, b"h2c");
        framing.upgrade = connection.upgrade && !void && !has_body;
        framing.drop_upgrade = void || (connection.upgrade && has_body);
    }
    framing.websocket = framing.upgrade && has_element(head, bytes, Name::Upgrade, b"websocket");
    if framing.websocket && !head.has(Name::SecWebSocketKey) {
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
        ..Framing::default()
    };
    match head.status {
        101 => {
            let switches = asked.upgrade && connection.upgrade && head.has(Name::Upgrade);
            if !switches || (asked.websocket && !head.has(Name::SecWebSocketAccept)) {
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
                drop_named: connection.names,
                ..Framing::default()
            });
        }
        200..=299 if asked.method == Method::Connect => {
            return Ok(Framing {
                body: Body::Tunnel,
                drop_named: connection.names,
                ..Framing::default()
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
            for token in elements(value) {
                if token.eq_ignore_ascii_case(b"keep-alive") {
                    found.keep_alive = true;
                } else if token.eq_ignore_ascii_case(b"close") {
                    found.close = true;
                } else if token.eq_ignore_ascii_case(b"upgrade") {
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
            if element.eq_ignore_ascii_case(b"chunked") {
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
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(byte - b'0'))?;
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

fn has_element(head: &Head, bytes: &[u8], known: Name, wanted: &[u8]) -> bool {
    values(head, bytes, known)
        .any(|value| elements(value).any(|element| element.eq_ignore_ascii_case(wanted)))
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
mod tests {
    use super::*;
    use crate::http::head::{Limits, Parsed, Progress};

    fn parse(text: &str) -> (Head, Vec<u8>) {
        let mut bytes = text.as_bytes().to_vec();
        let mut head = Head::new(101);
        let (mut progress, limits) = (Progress::default(), Limits::default());
        let parsed = if text.starts_with("HTTP/") {
            super::super::head::response(&mut bytes, &mut progress, &mut head, &limits)
        } else {
            super::super::head::request(&mut bytes, &mut progress, &mut head, &limits)
        };
        assert_eq!(parsed, Parsed::Complete, "{text}");
        (head, bytes)
    }

    fn describe(framing: Result<Framing, Refusal>) -> String {
        let framing = match framing {
            Ok(framing) => framing,
            Err(refusal) => return refusal.status.to_string(),
        };
        let mut words = vec![format!("{:?}", framing.body)];
        for (flag, word) in [
            (!framing.persistent, "closes"),
            (framing.drop_length, "drops"),
            (framing.upgrade, "upgrade"),
            (framing.drop_upgrade, "no-upgrade"),
            (framing.expect_continue, "expects"),
            (framing.interim, "interim"),
            (framing.drop_named, "names"),
        ] {
            if flag {
                words.push(word.into());
            }
        }
        if framing.body == Body::None && framing.announce != Announce::Nothing {
            words.push(format!("{:?}", framing.announce));
        }
        words.join(" ")
    }

    /// A POST with these field lines; `1.0 ` before them changes the version.
    fn post(lines: &str) -> String {
        let (minor, lines) = lines
            .strip_prefix("1.0 ")
            .map_or((1, lines), |rest| (0, rest));
        let (head, bytes) = parse(&format!("POST / HTTP/1.{minor}\r\nHost: a\r\n{lines}\r\n"));
        describe(request(&head, &bytes))
    }

    table! { post:
        nothing: "" => "None";
        length: "Content-Length: 5\r\n" => "Length(5)";
        length_zero: "Content-Length: 0\r\n" => "None Length(0)";
        length_twice: "Content-Length: 5\r\nContent-Length: 5\r\n" => "Length(5)";
        length_leading_zero: "Content-Length: 5\r\nContent-Length: 05\r\n" => "Length(5)";
        length_list: "Content-Length: 5, 5\r\n" => "Length(5)";
        length_list_differs: "Content-Length: 5, 6\r\n" => "400";
        lengths_differ: "Content-Length: 5\r\nContent-Length: 6\r\n" => "400";
        length_comma_behind: "Content-Length: 5,\r\n" => "400";
        length_comma_before: "Content-Length: ,5\r\n" => "400";
        length_plus: "Content-Length: +5\r\n" => "400";
        length_minus: "Content-Length: -5\r\n" => "400";
        length_hex: "Content-Length: 0x5\r\n" => "400";
        length_empty: "Content-Length:\r\n" => "400";
        length_blank_inside: "Content-Length: 5 5\r\n" => "400";
        length_letter: "Content-Length: 5a\r\n" => "400";
        length_folded: "Content-Length: \r\n 5\r\n" => "Length(5)";
        length_largest: "Content-Length: 9223372036854775807\r\n" => "Length(9223372036854775807)";
        length_too_large: "Content-Length: 9223372036854775808\r\n" => "400";
        length_overflow: "Content-Length: 99999999999999999999\r\n" => "400";
        chunked: "Transfer-Encoding: chunked\r\n" => "Chunked";
        chunked_other_case: "transfer-encoding: ChunkeD\r\n" => "Chunked";
        chunked_folded: "Transfer-Encoding: \r\n chunked\r\n" => "Chunked";
        chunked_comma_behind: "Transfer-Encoding: chunked,\r\n" => "400";
        chunked_and_length: "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n" => "Chunked closes drops";
        length_and_chunked: "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" => "Chunked closes drops";
        chunked_and_bad_length: "Content-Length: x\r\nTransfer-Encoding: chunked\r\n" => "400";
        chunked_twice: "Transfer-Encoding: chunked, chunked\r\n" => "400";
        chunked_in_two_lines: "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" => "400";
        gzip_chunked: "Transfer-Encoding: gzip, chunked\r\n" => "422";
        gzip_chunked_two_lines: "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" => "422";
        identity_chunked: "Transfer-Encoding: identity, chunked\r\n" => "422";
        empty_chunked: "Transfer-Encoding: , chunked\r\n" => "422";
        chunked_gzip: "Transfer-Encoding: chunked, gzip\r\n" => "400";
        gzip: "Transfer-Encoding: gzip\r\n" => "400";
        identity: "Transfer-Encoding: identity\r\n" => "400";
        empty_coding: "Transfer-Encoding:\r\n" => "400";
        xchunked: "Transfer-Encoding: xchunked\r\n" => "400";
        chunked_parameter: "Transfer-Encoding: chunked;x=1\r\n" => "400";
        chunked_quoted: "Transfer-Encoding: \"chunked\"\r\n" => "400";
        chunked_vertical_tab: "Transfer-Encoding: xchunked \r\n" => "400";
        old: "1.0 " => "None closes";
        old_length: "1.0 Content-Length: 5\r\n" => "Length(5) closes";
        old_keep_alive: "1.0 Connection: keep-alive\r\n" => "None";
        old_keep_alive_close: "1.0 Connection: keep-alive, close\r\n" => "None closes";
        old_chunked: "1.0 Transfer-Encoding: chunked\r\n" => "400";
        old_chunked_and_length: "1.0 Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" => "400";
        close: "Connection: close\r\n" => "None closes";
        close_in_a_list: "Connection: x, ClosE\r\n" => "None closes names";
        close_in_second_line: "Connection: x\r\nConnection: close\r\n" => "None closes names";
        close_quoted: "Connection: \"close\"\r\n" => "None names";
        upgrade: "Connection: upgrade\r\nUpgrade: foo\r\n" => "None upgrade";
        upgrade_without_connection: "Upgrade: foo\r\n" => "None";
        upgrade_without_protocol: "Connection: upgrade\r\n" => "None";
        upgrade_in_old: "1.0 Connection: upgrade\r\nUpgrade: foo\r\n" => "None closes no-upgrade";
        upgrade_h2c: "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" => "None no-upgrade names";
        upgrade_h2c_in_a_list: "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n" => "None no-upgrade";
        upgrade_h2c_unasked: "Upgrade: h2c\r\n" => "None no-upgrade";
        names: "Connection: x, close\r\n" => "None closes names";
        names_host: "Connection: close, host\r\n" => "400";
        names_length: "Connection: Content-Length\r\nContent-Length: 5\r\n" => "400";
        names_encoding: "Connection: transfer-encoding\r\n" => "400";
        upgrade_with_body: "Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n"
            => "Length(5) no-upgrade";
        websocket: "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n" => "None upgrade";
        websocket_without_key: "Connection: Upgrade\r\nUpgrade: websocket\r\n" => "400";
        expects: "Expect: 100-Continue\r\nContent-Length: 5\r\n" => "Length(5) expects";
        expects_without_body: "Expect: 100-continue\r\n" => "None";
        expects_in_old: "1.0 Expect: 100-continue\r\nContent-Length: 5\r\n" => "Length(5) closes";
        expects_other: "Expect: foo\r\nContent-Length: 5\r\n" => "Length(5)";
    }

    fn connect(lines: &str) -> String {
        let (head, bytes) = parse(&format!("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        describe(request(&head, &bytes))
    }

    table! { connect:
        connect_plain: "" => "None";
        connect_length_zero: "Content-Length: 0\r\n" => "None";
        connect_length: "Content-Length: 5\r\n" => "400";
        connect_chunked: "Transfer-Encoding: chunked\r\n" => "400";
    }

    /// `METHOD status-line-and-fields`; the method may be `UPGRADE` or `WS` for such a GET.
    fn answer(text: &str) -> String {
        let (method, rest) = text.split_once(' ').unwrap();
        let (head, bytes) = parse(&format!("HTTP/1.{rest}\r\n"));
        let asked = Asked {
            method: Method::from_bytes(method.as_bytes()),
            minor: 1,
            upgrade: matches!(method, "UPGRADE" | "WS"),
            websocket: method == "WS",
        };
        describe(response(&head, &bytes, asked))
    }

    table! { answer:
        until_close: "GET 1 200 OK\r\n" => "UntilClose closes";
        with_length: "GET 1 200 OK\r\nContent-Length: 3\r\n" => "Length(3)";
        with_length_zero: "GET 1 200 OK\r\nContent-Length: 0\r\n" => "None Length(0)";
        with_close: "GET 1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n" => "Length(3) closes";
        with_chunks: "GET 1 200 OK\r\nTransfer-Encoding: chunked\r\n" => "Chunked";
        chunks_and_length: "GET 1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n"
            => "Chunked closes drops";
        other_coding: "GET 1 200 OK\r\nTransfer-Encoding: gzip\r\n" => "502";
        gzip_then_chunked: "GET 1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n" => "502";
        no_coding: "GET 1 200 OK\r\nTransfer-Encoding:\r\n" => "502";
        bad_length: "GET 1 200 OK\r\nContent-Length: x\r\n" => "502";
        two_lengths: "GET 1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n" => "502";
        same_length_twice: "GET 1 200 OK\r\nContent-Length: 3,3\r\n" => "Length(3)";
        old_until_close: "GET 0 200 OK\r\n" => "UntilClose closes";
        old_with_length: "GET 0 200 OK\r\nContent-Length: 3\r\n" => "Length(3) closes";
        old_kept: "GET 0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n" => "Length(3)";
        old_with_chunks: "GET 0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n"
            => "Chunked closes";
        to_head: "HEAD 1 200 OK\r\nContent-Length: 3\r\n" => "None Length(3)";
        to_head_chunked: "HEAD 1 200 OK\r\nTransfer-Encoding: chunked\r\n" => "None Chunked";
        to_head_without: "HEAD 1 200 OK\r\n" => "None";
        status_204: "GET 1 204 No Content\r\nContent-Length: 3\r\n" => "None";
        status_204_chunked: "GET 1 204 No Content\r\nTransfer-Encoding: chunked\r\n" => "None";
        status_205: "GET 1 205 Reset\r\n" => "UntilClose closes";
        status_304: "GET 1 304 Not Modified\r\nContent-Length: 3\r\n" => "None Length(3)";
        status_304_without: "GET 1 304 Not Modified\r\n" => "None";
        status_100: "GET 1 100 Continue\r\n" => "None interim";
        status_103_close: "GET 1 103 Early\r\nConnection: close\r\nContent-Length: 3\r\n" => "None interim";
        status_101_unasked: "GET 1 101 S\r\nUpgrade: foo\r\nConnection: upgrade\r\n" => "502";
        status_101: "UPGRADE 1 101 S\r\nUpgrade: foo\r\nConnection: upgrade\r\n" => "Tunnel closes upgrade";
        status_101_other_protocol: "UPGRADE 1 101 S\r\nUpgrade: bar\r\nConnection: upgrade\r\n"
            => "Tunnel closes upgrade";
        status_101_bare: "UPGRADE 1 101 S\r\n" => "502";
        status_101_close: "UPGRADE 1 101 S\r\nUpgrade: foo\r\nConnection: close\r\n" => "502";
        status_101_with_length: "UPGRADE 1 101 S\r\nUpgrade: foo\r\nConnection: upgrade\r\nContent-Length: 3\r\n"
            => "Tunnel closes upgrade";
        websocket_unproved: "WS 1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" => "502";
        websocket_proved: "WS 1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n"
            => "Tunnel closes upgrade";
        upgrade_declined: "UPGRADE 1 200 OK\r\nContent-Length: 3\r\n" => "Length(3)";
        connected: "CONNECT 1 200 OK\r\n" => "Tunnel closes";
        connected_with_length: "CONNECT 1 200 OK\r\nContent-Length: 3\r\n" => "Tunnel closes";
        not_connected: "CONNECT 1 407 No\r\nContent-Length: 3\r\n" => "Length(3)";
    }
}
