//! The one table of what becomes of a message: refused, and with which status, or sent on in one
//! form.
//!
//! A row is the bytes of a message. It goes through parsing (`head`), framing and rendering
//! (`render`), and its body through `chunked`, put together as the engine does it. What stands
//! behind `=>` is everything that leaves, to the byte, and after a `~` what is said nowhere else:
//! `closes` (the sender's connection ends with this message), `more` (the message is not whole
//! yet), `then` and the bytes that are not part of it, `tunnel` and `to the end` for what has no
//! other end, `expects`, `interim`. Every row is read whole and byte by byte, and must come to the
//! same.
//! What HAProxy does with the same bytes is held against it by the parity suites `parse`, `bodies`
//! and `framing`; where a row differs, `docs/differences.md` says so.

use super::super::chunked::{Chunked, size_line};
use super::super::exchange::Exchange;
use super::super::head::{self, Limits, Parsed, Progress};
use super::super::render::{Outgoing, Persistence, render};
use super::super::rewrite::{Edits, Message};
use super::*;

/// What a reader of heads found, and the head with the bytes it lies in.
type Found = (Parsed, Head, Vec<u8>);

/// Shows a head to its reader, so many bytes more each time.
fn read_in_steps(raw: &str, step: usize, lenient: bool, answer: bool) -> Found {
    let limits = Limits {
        lenient,
        ..Limits::default()
    };
    let (mut bytes, mut progress, mut found) = (Vec::new(), Progress::default(), Head::new(101));
    for part in raw.as_bytes().chunks(step) {
        bytes.extend_from_slice(part);
        let parsed = match answer {
            true => head::response(&mut bytes, &mut progress, &mut found, &limits),
            false => head::request(&mut bytes, &mut progress, &mut found, &limits),
        };
        if parsed != Parsed::Partial {
            return (parsed, found, bytes);
        }
    }
    (Parsed::Partial, found, bytes)
}

/// Reads a head in one piece, and byte by byte: both must come to the same.
fn read(raw: &str, lenient: bool, answer: bool) -> Found {
    let whole = read_in_steps(raw, raw.len(), lenient, answer);
    let (parsed, found, _) = read_in_steps(raw, 1, lenient, answer);
    let status = |parsed: Parsed| match parsed {
        Parsed::Refused(refusal) => Err(refusal.status),
        parsed => Ok(parsed),
    };
    assert_eq!(status(parsed), status(whole.0), "byte by byte: {raw:?}");
    if parsed == Parsed::Complete {
        assert_eq!((found.len, &found.fields), (whole.1.len, &whole.1.fields));
    }
    whole
}

fn refused(refusal: Refusal) -> String {
    format!("{} {}", refusal.status, refusal.reason)
}

/// Appends a body as it leaves, cut anew where it leaves in chunks, and then what is behind it.
/// What is refused in the first block is refused before anything has left.
fn send_body(
    out: &mut Vec<u8>,
    notes: &mut Vec<String>,
    (body, leaves): (Body, Body),
    rest: &[u8],
) -> Result<(), Refusal> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let behind = match body {
        Body::None => rest,
        Body::Tunnel => {
            notes.push("tunnel".into());
            rest
        }
        Body::UntilClose => {
            out.extend_from_slice(rest);
            notes.push("to the end".into());
            b""
        }
        Body::Length(length) => {
            let there = rest.len().min(usize::try_from(length).unwrap());
            out.extend_from_slice(&rest[..there]);
            if (there as u64) < length {
                notes.push("more".into());
            }
            &rest[there..]
        }
        Body::Chunked => {
            let mut bytes = rest.to_vec();
            let found = Chunked::default().decode(&mut bytes)?;
            let data = found.data.of(&bytes);
            if leaves == Body::Chunked {
                if !data.is_empty() {
                    out.extend_from_slice(size_line(data.len(), &mut [0; 20]));
                    out.extend_from_slice(data);
                    out.extend_from_slice(b"\r\n");
                }
                if found.last {
                    out.extend_from_slice(b"0\r\n");
                }
                out.extend_from_slice(found.trailer.of(&bytes));
                if found.done {
                    out.extend_from_slice(b"\r\n");
                }
            } else {
                out.extend_from_slice(data);
                notes.push("to the end".into());
            }
            if !found.done {
                notes.push("more".into());
            }
            &rest[found.consumed..]
        }
    };
    if !behind.is_empty() {
        notes.push(format!("then {}", text(behind)));
    }
    Ok(())
}

fn told(out: &[u8], notes: &[String]) -> String {
    let mut all = String::from_utf8_lossy(out).into_owned();
    if !notes.is_empty() {
        all = format!("{all}~{}", notes.join(", "));
    }
    all
}

fn rendered(bytes: &[u8], head: &Head, how: &Outgoing) -> Vec<u8> {
    let (edits, mut out) = (Edits::new(100, 100), Vec::new());
    render(&Message::new(bytes, head, &edits), how, 32_768, &mut out).unwrap();
    out
}

fn request_read(raw: &str, lenient: bool) -> String {
    let (parsed, head, bytes) = read(raw, lenient, false);
    match parsed {
        Parsed::Partial => return "~more".into(),
        Parsed::Refused(refusal) => return refused(refusal),
        Parsed::Complete => {}
    }
    let framing = match super::request(&head, &bytes) {
        Ok(framing) => framing,
        Err(refusal) => return refused(refusal),
    };
    let how = Outgoing {
        minor: 1,
        announce: framing.announce,
        persistence: Persistence::Unsaid,
        drop_upgrade: framing.drop_upgrade,
        drop_named: framing.drop_named,
    };
    let mut out = rendered(&bytes, &head, &how);
    let mut notes = Vec::new();
    for (flag, word) in [
        (!framing.persistent, "closes"),
        (framing.expect_continue, "expects"),
    ] {
        if flag {
            notes.push(word.to_owned());
        }
    }
    let rest = bytes[head.len as usize..].to_vec();
    match send_body(&mut out, &mut notes, (framing.body, framing.body), &rest) {
        Ok(()) => told(&out, &notes),
        Err(refusal) => refused(refusal),
    }
}

/// A whole request.
fn request(raw: &str) -> String {
    request_read(raw, false)
}

/// A whole request under `option accept-invalid-http-request`.
fn lenient(raw: &str) -> String {
    request_read(raw, true)
}

/// A POST from behind its Host on. Of what leaves, that much is left out.
fn post(rest: &str) -> String {
    let before = "POST / HTTP/1.1\r\nHost: h\r\n";
    let all = request(&format!("{before}{rest}"));
    all.strip_prefix(before)
        .map_or_else(|| all.clone(), str::to_owned)
}

/// The same in HTTP/1.0, from a client that would stay.
fn old_post(rest: &str) -> String {
    let all = request(&format!(
        "POST / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n{rest}"
    ));
    all.strip_prefix("POST / HTTP/1.1\r\nHost: h\r\n")
        .map_or_else(|| all.clone(), str::to_owned)
}

/// The chunks of a POST as they leave.
fn chunks(body: &str) -> String {
    let before = "Transfer-Encoding: chunked\r\n\r\n";
    let all = post(&format!("{before}{body}"));
    all.strip_prefix(before)
        .map_or_else(|| all.clone(), str::to_owned)
}

/// A request's field lines, and the blank line is added.
fn fields(lines: &str) -> String {
    let before = "GET / HTTP/1.1\r\nHost: h\r\n";
    let all = request(&format!("{before}{lines}\r\n"));
    all.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix("\r\n"))
        .map_or_else(|| all.clone(), str::to_owned)
}

/// An answer to a request, as `pass_answer` of the engine puts it together.
fn answer_read(asked: &str, raw: &str, lenient: bool) -> String {
    let (parsed, asking, asking_bytes) = read(&format!("{asked}\r\nHost: h\r\n\r\n"), false, false);
    assert_eq!(parsed, Parsed::Complete, "{asked}");
    let asking_framing = super::request(&asking, &asking_bytes).unwrap();
    let mut exchange = Exchange::new();
    exchange.on_request_bytes();
    exchange.on_request_head(&asking, &asking_framing);
    let (parsed, head, bytes) = read(raw, lenient, true);
    match parsed {
        Parsed::Partial => return "~more".into(),
        Parsed::Refused(refusal) => return refused(refusal),
        Parsed::Complete => {}
    }
    let framing = match response(&head, &bytes, exchange.asked()) {
        Ok(framing) => framing,
        Err(refusal) => return refused(refusal),
    };
    exchange.on_response_head(&framing);
    let body = exchange.delivers(framing.body);
    let announce = match (framing.body, body) {
        (Body::Chunked, Body::UntilClose) => Announce::Nothing,
        _ => framing.announce,
    };
    let how = Outgoing {
        minor: 1,
        announce,
        persistence: match framing.interim {
            true => Persistence::Unsaid,
            false => exchange.persistence(1),
        },
        drop_upgrade: framing.drop_upgrade,
        drop_named: framing.drop_named,
    };
    let mut out = rendered(&bytes, &head, &how);
    let mut notes = Vec::new();
    if framing.interim && !exchange.takes_interim() {
        out.clear();
    }
    for (flag, word) in [
        (!framing.persistent, "closes"),
        (framing.interim, "interim"),
    ] {
        if flag {
            notes.push(word.to_owned());
        }
    }
    let rest = bytes[head.len as usize..].to_vec();
    match send_body(&mut out, &mut notes, (framing.body, body), &rest) {
        Ok(()) => told(&out, &notes),
        // Of a request; an answer is the server's fault.
        Err(refusal) => refused(Refusal {
            status: 502,
            ..refusal
        }),
    }
}

/// An answer to GET of HTTP/1.1.
fn answer(raw: &str) -> String {
    answer_read("GET / HTTP/1.1", raw, false)
}

/// An answer under `option accept-invalid-http-response`.
fn lenient_answer(raw: &str) -> String {
    answer_read("GET / HTTP/1.1", raw, true)
}

/// From behind the status line of a 200 on.
fn ok(rest: &str) -> String {
    let all = answer(&format!("HTTP/1.1 200 OK\r\n{rest}"));
    all.strip_prefix("HTTP/1.1 200 OK\r\n")
        .map_or_else(|| all.clone(), str::to_owned)
}

/// The same for a client of HTTP/1.0 that would stay.
fn to_old(raw: &str) -> String {
    answer_read("GET / HTTP/1.0\r\nConnection: keep-alive", raw, false)
}

fn to_head(raw: &str) -> String {
    answer_read("HEAD / HTTP/1.1", raw, false)
}

fn to_connect(raw: &str) -> String {
    answer_read("CONNECT h:443 HTTP/1.1", raw, false)
}

fn to_upgrade(raw: &str) -> String {
    answer_read(
        "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: foo",
        raw,
        false,
    )
}

fn to_websocket(raw: &str) -> String {
    let fields =
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    answer_read(&format!("GET / HTTP/1.1\r\n{fields}"), raw, false)
}

// Request lines, targets and hosts.
table! { request:
    plain: "GET /x?y HTTP/1.1\r\nHost: h\r\n\r\n" => "GET /x?y HTTP/1.1\r\nHost: h\r\n\r\n";
    old: "GET / HTTP/1.0\r\n\r\n" => "GET / HTTP/1.1\r\n\r\n~closes";
    old_with_host: "GET / HTTP/1.0\r\nHost: h\r\n\r\n" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n~closes";
    bare_lf: "GET / HTTP/1.1\nHost: h\nX: y\n\n" => "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
    bare_lf_mixed: "GET / HTTP/1.1\nHost: h\r\n\nrest" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n~then rest";
    bare_cr_in_the_line: "GET / HTTP/1.1\rHost: h\r\n\r\n" => "400 bad version";
    bare_cr_in_the_target: "GET /\rx HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    bare_cr_at_the_end: "GET / HTTP/1.1\r\nHost: h\r\n\rGET /2 HTTP/1.1\r\n\r\n" => "400 bad field name";
    two_crs_at_the_end: "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n" => "400 bad version";
    empty_lines_before: "\r\n\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    crs_before: "\r\rGET / HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad method";
    blanks_between: "GET \t /x\t HTTP/1.1\r\nHost: h\r\n\r\n" => "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    blank_before: " GET / HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad method";
    blank_behind: "GET / HTTP/1.1 \r\nHost: h\r\n\r\n" => "400 bad version";
    vertical_tab_between: "GET\u{b}/ HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad method";
    nul_in_the_method: "GE\0T / HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad method";
    method_in_lower_case: "get / HTTP/1.1\r\nHost: h\r\n\r\n" => "get / HTTP/1.1\r\nHost: h\r\n\r\n";
    method_unknown: "BREW / HTTP/1.1\r\nHost: h\r\n\r\n" => "BREW / HTTP/1.1\r\nHost: h\r\n\r\n";
    method_no_token: "G(T / HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad method";
    version_in_lower_case: "GET / http/1.1\r\nHost: h\r\n\r\n" => "400 bad version";
    version_0_9_written: "GET / HTTP/0.9\r\nHost: h\r\n\r\n" => "400 bad version";
    version_0_9_bare: "GET /\r\nHost: h\r\n\r\n" => "400 no version";
    version_1_2: "GET / HTTP/1.2\r\nHost: h\r\n\r\n" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    version_2_0: "GET / HTTP/2.0\r\nHost: h\r\n\r\n" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    version_1_10: "GET / HTTP/1.10\r\nHost: h\r\n\r\n" => "400 bad version";
    version_one_digit: "GET / HTTP/1\r\nHost: h\r\n\r\n" => "400 bad version";
    version_with_plus: "GET / HTTP/+1.1\r\nHost: h\r\n\r\n" => "400 bad version";
    version_with_zeros: "GET / HTTP/01.1\r\nHost: h\r\n\r\n" => "400 bad version";
    version_of_another_protocol: "GET / RTSP/1.0\r\nHost: h\r\n\r\n" => "400 bad version";
    http2_preface: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" => "400 HTTP/2 is not spoken here";
    tls_hello: "\u{16}\u{3}\u{1}\u{2}\u{0}" => "400 bad method";
    target_fragment: "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    target_control: "GET /a\u{1}b HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    target_delete: "GET /a\u{7f} HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    target_nul: "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    target_over_0x7f: "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    target_escapes: "GET /%0d%0a%00/../%2F HTTP/1.1\r\nHost: h\r\n\r\n" => "GET /%0d%0a%00/../%2F HTTP/1.1\r\nHost: h\r\n\r\n";
    target_with_blank: "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad version";
    target_without_slash: "GET x HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    target_missing: "GET  HTTP/1.1\r\nHost: h\r\n\r\n" => "400 no version";
    asterisk: "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n" => "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n";
    asterisk_of_get: "GET * HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    asterisk_and_more: "OPTIONS *x HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    absolute: "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n" => "GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n";
    absolute_other_host: "GET http://a/ HTTP/1.1\r\nHost: h\r\n\r\n" => "400 Host differs from the target";
    absolute_other_port: "GET http://h:81/ HTTP/1.1\r\nHost: h\r\n\r\n" => "400 Host differs from the target";
    absolute_default_port: "GET http://h:80/ HTTP/1.1\r\nHost: h\r\n\r\n" => "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n";
    absolute_without_host: "GET http://h/ HTTP/1.1\r\n\r\n" => "400 no Host";
    absolute_empty_host: "GET http://h/ HTTP/1.1\r\nHost:\r\n\r\n" => "400 Host differs from the target";
    absolute_userinfo: "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad authority";
    absolute_userinfo_of_the_host: "GET http://h@a/ HTTP/1.1\r\nHost: a\r\n\r\n" => "400 bad authority";
    absolute_control: "GET http://a\u{1}b/ HTTP/1.1\r\nHost: ab\r\n\r\n" => "400 bad target";
    absolute_backslash: "GET http://h\\@a/ HTTP/1.1\r\nHost: a\r\n\r\n" => "400 bad authority";
    absolute_no_authority: "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    absolute_query_first: "GET http://h?x HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    absolute_bad_escape: "GET http://a%2/ HTTP/1.1\r\nHost: a%2\r\n\r\n" => "400 bad Host";
    other_scheme: "GET foo://h/ HTTP/1.1\r\nHost: h\r\n\r\n" => "GET foo://h/ HTTP/1.1\r\nHost: h\r\n\r\n";
    scheme_without_slashes: "GET mailto:x HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    connect: "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\nhello" => "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n~then hello";
    connect_other_host: "CONNECT a:443 HTTP/1.1\r\nHost: h\r\n\r\n" => "400 Host differs from the target";
    connect_path: "CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    connect_port_and_path: "CONNECT h:443/x HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    connect_userinfo: "CONNECT u@h:443 HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad authority";
    connect_without_port: "CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    connect_length_0: "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n\r\n"
        => "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n";
    connect_length: "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nhello" => "400 CONNECT with a body";
    connect_chunked: "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "400 CONNECT with a body";
    no_host: "GET / HTTP/1.1\r\n\r\n" => "400 no Host";
    no_host_but_empty: "GET / HTTP/1.1\r\nHost:\r\n\r\n" => "GET / HTTP/1.1\r\nHost: \r\n\r\n";
    two_hosts: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" => "400 a second Host";
    two_hosts_alike: "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" => "400 a second Host";
    two_hosts_in_old: "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n" => "400 a second Host";
    two_hosts_in_one: "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" => "400 bad Host";
    host_with_blank: "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" => "400 bad Host";
    host_with_tab: "GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n" => "400 bad Host";
    host_folded: "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n" => "400 bad Host";
    host_folded_behind: "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n" => "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    host_with_control: "GET / HTTP/1.1\r\nHost: a\u{1}\r\n\r\n" => "400 bad byte in a field value";
    host_with_nul: "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n" => "400 bad byte in a field value";
    host_with_userinfo: "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n" => "400 bad Host";
    host_with_path: "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n" => "400 bad Host";
    host_with_escape: "GET / HTTP/1.1\r\nHost: a%2Db%41\r\n\r\n" => "GET / HTTP/1.1\r\nHost: a%2Db%41\r\n\r\n";
    host_with_bad_escape: "GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n" => "400 bad Host";
    host_with_half_escape: "GET / HTTP/1.1\r\nHost: a%4\r\n\r\n" => "400 bad Host";
    host_with_percent: "GET / HTTP/1.1\r\nHost: a%\r\n\r\n" => "400 bad Host";
    host_with_escape_and_port: "GET / HTTP/1.1\r\nHost: %61:80\r\n\r\n" => "GET / HTTP/1.1\r\nHost: %61:80\r\n\r\n";
    host_with_port: "GET / HTTP/1.1\r\nHost: h:8080\r\n\r\n" => "GET / HTTP/1.1\r\nHost: h:8080\r\n\r\n";
    host_with_empty_port: "GET / HTTP/1.1\r\nHost: h:\r\n\r\n" => "GET / HTTP/1.1\r\nHost: h:\r\n\r\n";
    host_with_bad_port: "GET / HTTP/1.1\r\nHost: h:8x\r\n\r\n" => "400 bad Host";
    host_ipv6: "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n" => "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n";
    host_ipv6_and_ipv4: "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n"
        => "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n";
    host_ipv6_zone: "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n" => "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n";
    host_ipv6_bare_zone: "GET / HTTP/1.1\r\nHost: [fe80::1%eth0]\r\n\r\n" => "400 bad Host";
    host_ipv6_none: "GET / HTTP/1.1\r\nHost: [zz]\r\n\r\n" => "400 bad Host";
    host_ipv6_empty: "GET / HTTP/1.1\r\nHost: []\r\n\r\n" => "400 bad Host";
    host_ipv6_open: "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n" => "400 bad Host";
    host_ipv6_and_text: "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n" => "400 bad Host";
    host_ipv_future: "GET / HTTP/1.1\r\nHost: [v1f.a:b]\r\n\r\n" => "GET / HTTP/1.1\r\nHost: [v1f.a:b]\r\n\r\n";
    host_ipv_future_none: "GET / HTTP/1.1\r\nHost: [v.a]\r\n\r\n" => "400 bad Host";
    host_named_by_connection: "GET / HTTP/1.1\r\nHost: h\r\nConnection: host\r\n\r\n"
        => "400 Connection names a field that must stay";
    folded_behind_the_request_line: "GET / HTTP/1.1\r\n Host: h\r\n\r\n" => "400 blank before the first field name";
    nothing_but_empty_lines: "\r\n\r\n\r\n" => "~more";
}

// Field lines, and what is of one connection only.
table! { fields:
    usual: "A: b\r\nc:d\r\nE:\r\n" => "A: b\r\nc: d\r\nE: \r\n";
    spelling_stays: "x-MiXed: y\r\n" => "x-MiXed: y\r\n";
    blanks_round_a_value: "A: \t b c\t \r\n" => "A: b c\r\n";
    duplicates_stay: "A: 1\r\nB: 2\r\nA: 3\r\n" => "A: 1\r\nB: 2\r\nA: 3\r\n";
    blank_before_colon: "A : b\r\n" => "400 bad field name";
    tab_before_colon: "A\t: b\r\n" => "400 bad field name";
    blank_in_a_name: "A b: c\r\n" => "400 bad field name";
    no_name: ": b\r\n" => "400 bad field name";
    no_colon: "Ab\r\n" => "400 bad field name";
    name_no_token: "A@b: c\r\n" => "400 bad field name";
    name_with_nul: "A\0: b\r\n" => "400 bad field name";
    name_with_control: "A\u{1f}: b\r\n" => "400 bad field name";
    name_over_0x7f: "\u{e9}: b\r\n" => "400 bad field name";
    name_behind_vertical_tab: "\u{b}A: b\r\n" => "400 bad field name";
    value_with_nul: "A: b\0c\r\n" => "400 bad byte in a field value";
    value_with_control: "A: b\u{1}c\r\n" => "400 bad byte in a field value";
    value_with_delete: "A: b\u{7f}\r\n" => "400 bad byte in a field value";
    value_with_vertical_tab: "A: b\u{b}c\r\n" => "400 bad byte in a field value";
    value_with_bare_cr: "A: b\rc: d\r\n" => "400 bad byte in a field value";
    value_that_ends_in_cr: "A: b\r\r\n" => "400 bad byte in a field value";
    value_over_0x7f: "A: \u{e9}\r\n" => "A: é\r\n";
    folded: "A: b\r\n c\r\n\td\r\nE: f\r\n" => "A: b   c  \td\r\nE: f\r\n";
    folded_first: " A: b\r\n" => "400 bad Host";
    folded_name: "A\r\n : b\r\n" => "400 bad field name";
    folded_by_bare_lf: "A: b\n c\r\n" => "A: b  c\r\n";
    fold_that_looks_like_a_field: "A: b\r\n Content-Length: 5\r\n" => "A: b   Content-Length: 5\r\n";
    fold_of_blanks: "A: b\r\n \t\r\nC: d\r\n" => "A: b\r\nC: d\r\n";
    connection_close: "Connection: close\r\n" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n~closes";
    connection_keep_alive: "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n" => "";
    keep_alive_unnamed: "Keep-Alive: timeout=5\r\n" => "";
    proxy_connection: "Proxy-Connection: keep-alive\r\n" => "";
    te: "TE: trailers\r\n" => "TE: trailers\r\n";
    te_named: "Connection: TE\r\nTE: trailers\r\n" => "";
    named: "Connection: x-a, close\r\nX-A: 1\r\nX-B: 2\r\n" => "GET / HTTP/1.1\r\nHost: h\r\nX-B: 2\r\n\r\n~closes";
    named_in_two_lines: "Connection: x-a\r\nX-A: 1\r\nConnection: X-B\r\nX-B: 2\r\n" => "";
    named_length: "Connection: Content-Length\r\nContent-Length: 0\r\n" => "400 Connection names a field that must stay";
    named_encoding: "Connection: transfer-encoding\r\n" => "400 Connection names a field that must stay";
    upgrade: "Connection: upgrade\r\nUpgrade: foo\r\n" => "Connection: upgrade\r\nUpgrade: foo\r\n";
    upgrade_beside_a_name: "Connection: upgrade, x-a\r\nUpgrade: foo\r\nX-A: 1\r\n" => "Connection: upgrade\r\nUpgrade: foo\r\n";
    upgrade_without_connection: "Upgrade: foo\r\n" => "Upgrade: foo\r\n";
    upgrade_without_protocol: "Connection: upgrade\r\n" => "Connection: upgrade\r\n";
    upgrade_to_nothing: "Connection: upgrade\r\nUpgrade:\r\n" => "";
    upgrade_h2c: "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" => "";
    upgrade_h2c_unasked: "Upgrade: H2C\r\n" => "";
    upgrade_h2c_first: "Connection: upgrade\r\nUpgrade: h2c, foo\r\n" => "Connection: upgrade\r\nUpgrade: foo\r\n";
    upgrade_h2c_version: "Connection: upgrade\r\nUpgrade: foo, h2c/2, bar/1\r\n"
        => "Connection: upgrade\r\nUpgrade: foo, bar/1\r\n";
    upgrade_h2c_in_a_second_line: "Connection: upgrade\r\nUpgrade: foo\r\nUpgrade: h2c\r\n"
        => "Connection: upgrade\r\nUpgrade: foo\r\n";
    upgrade_websocket_or_h2c: "Connection: upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        => "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    upgrade_websocket: "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        => "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    upgrade_websocket_short_key: "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhl\r\n"
        => "400 websocket without Sec-WebSocket-Key";
    upgrade_websocket_among_others: "Connection: upgrade\r\nUpgrade: foo, WebSocket\r\n"
        => "400 websocket without Sec-WebSocket-Key";
    upgrade_websocket_without_key: "Connection: upgrade\r\nUpgrade: websocket\r\n" => "400 websocket without Sec-WebSocket-Key";
    settings_of_http2_alone: "HTTP2-Settings: AAMAAABkAAQAAP__\r\n" => "";
    close_in_a_list: "Connection: foo, ClosE\r\n" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n~closes";
    close_in_a_second_line: "Connection: foo\r\nConnection: close\r\n" => "GET / HTTP/1.1\r\nHost: h\r\n\r\n~closes";
    close_quoted: "Connection: \"close\"\r\n" => "";
    empty_connection: "Connection: ,\r\nConnection:\r\n" => "";
}

// Requests with a body: its length.
table! { post:
    no_length: "\r\nGET" => "\r\n~then GET";
    length: "Content-Length: 5\r\n\r\nhelloGET" => "Content-Length: 5\r\n\r\nhello~then GET";
    length_0: "Content-Length: 0\r\n\r\nGET" => "Content-Length: 0\r\n\r\n~then GET";
    length_not_there: "Content-Length: 5\r\n\r\nhe" => "Content-Length: 5\r\n\r\nhe~more";
    length_with_zeros: "content-length: 0005\r\n\r\nhello" => "content-length: 5\r\n\r\nhello";
    length_twice: "Content-Length: 5\r\nA: b\r\nContent-Length: 5\r\n\r\nhello" => "Content-Length: 5\r\nA: b\r\n\r\nhello";
    length_twice_and_zeros: "Content-Length: 5\r\nContent-Length: 05\r\n\r\nhello" => "Content-Length: 5\r\n\r\nhello";
    lengths_differ: "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!" => "400 different Content-Lengths";
    length_list: "Content-Length: 5, 5\r\n\r\nhello" => "Content-Length: 5\r\n\r\nhello";
    length_list_differs: "Content-Length: 5, 6\r\n\r\nhello!" => "400 different Content-Lengths";
    length_list_open: "Content-Length: 5,\r\n\r\nhello" => "400 bad Content-Length";
    length_list_open_before: "Content-Length: ,5\r\n\r\nhello" => "400 bad Content-Length";
    length_plus: "Content-Length: +5\r\n\r\nhello" => "400 bad Content-Length";
    length_minus: "Content-Length: -5\r\n\r\nhello" => "400 bad Content-Length";
    length_minus_0: "Content-Length: -0\r\n\r\n" => "400 bad Content-Length";
    length_hexadecimal: "Content-Length: 0x5\r\n\r\nhello" => "400 bad Content-Length";
    length_letter: "Content-Length: 5a\r\n\r\nhello" => "400 bad Content-Length";
    length_fraction: "Content-Length: 5.0\r\n\r\nhello" => "400 bad Content-Length";
    length_exponent: "Content-Length: 1e1\r\n\r\nhello" => "400 bad Content-Length";
    length_empty: "Content-Length:\r\n\r\nhello" => "400 bad Content-Length";
    length_blank_inside: "Content-Length: 5 5\r\n\r\nhello" => "400 bad Content-Length";
    length_semicolon: "Content-Length: 5;\r\n\r\nhello" => "400 bad Content-Length";
    length_quoted: "Content-Length: \"5\"\r\n\r\nhello" => "400 bad Content-Length";
    length_other_digits: "Content-Length: \u{665}\r\n\r\nhello" => "400 bad Content-Length";
    length_folded: "Content-Length: \r\n 5\r\n\r\nhello" => "Content-Length: 5\r\n\r\nhello";
    length_folded_inside: "Content-Length: 1\r\n 5\r\n\r\nhello" => "400 bad Content-Length";
    length_blank_before_colon: "Content-Length : 5\r\n\r\nhello" => "400 bad field name";
    length_under_a_near_name: "Content_Length: 5\r\n\r\nhello" => "Content_Length: 5\r\n\r\n~then hello";
    length_2_63_less_1: "Content-Length: 9223372036854775807\r\n\r\n" => "Content-Length: 9223372036854775807\r\n\r\n~more";
    length_2_63: "Content-Length: 9223372036854775808\r\n\r\n" => "400 bad Content-Length";
    length_2_64: "Content-Length: 18446744073709551616\r\n\r\n" => "400 bad Content-Length";
    length_2_64_and_5: "Content-Length: 18446744073709551621\r\n\r\nhello" => "400 bad Content-Length";
    upgrade_with_body: "Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n\r\nhello"
        => "Content-Length: 5\r\n\r\nhello";
    expects: "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
        => "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n~expects, more";
    expects_without_body: "Expect: 100-continue\r\n\r\n" => "Expect: 100-continue\r\n\r\n";
    expects_other: "Expect: foo\r\nContent-Length: 5\r\n\r\nhello" => "Expect: foo\r\nContent-Length: 5\r\n\r\nhello";
    chunked: "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET"
        => "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n~then GET";
    chunked_in_capitals: "TRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n" => "TRANSFER-ENCODING: chunked\r\n\r\n0\r\n\r\n";
    chunked_behind_tab: "Transfer-Encoding:\tchunked\t\r\n\r\n0\r\n\r\n" => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    chunked_folded: "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    chunked_folded_behind: "Transfer-Encoding: chunked\r\n \r\n\r\n0\r\n\r\n" => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    chunked_folded_inside: "Transfer-Encoding: chun\r\n ked\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_vertical_tab: "Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n" => "400 bad byte in a field value";
    chunked_nul: "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n" => "400 bad byte in a field value";
    chunked_over_0x7f: "Transfer-Encoding: chunked\u{a0}\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_and_length: "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nGET /evil"
        => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n~closes, then GET /evil";
    length_and_chunked: "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil"
        => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n~closes, then GET /evil";
    chunked_and_bad_length: "Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\n" => "400 bad Content-Length";
    chunked_and_lengths: "Transfer-Encoding: chunked\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"
        => "400 different Content-Lengths";
    chunked_twice: "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_in_two_lines: "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "400 chunked is not the last coding";
    chunked_not_last: "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_not_last_in_two_lines: "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
        => "400 chunked is not the last coding";
    chunked_behind_gzip: "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
        => "422 unsupported transfer coding before chunked";
    chunked_behind_identity: "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"
        => "422 unsupported transfer coding before chunked";
    chunked_behind_gzip_line: "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "422 unsupported transfer coding before chunked";
    chunked_behind_nothing: "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n" => "422 unsupported transfer coding before chunked";
    chunked_comma_behind: "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_misspelt: "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_cut: "Transfer-Encoding: chunk\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_quoted: "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    chunked_parameter: "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" => "400 chunked is not the last coding";
    coding_identity: "Transfer-Encoding: identity\r\n\r\nhello" => "400 chunked is not the last coding";
    coding_gzip: "Transfer-Encoding: gzip\r\n\r\nhello" => "400 chunked is not the last coding";
    coding_empty: "Transfer-Encoding:\r\n\r\nhello" => "400 chunked is not the last coding";
    coding_blank_before_colon: "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" => "400 bad field name";
    coding_under_a_near_name: "Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "Transfer_Encoding: chunked\r\n\r\n~then 0\r\n\r\n";
    coding_in_a_fold: "A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "A: b   Transfer-Encoding: chunked\r\n\r\n~then 0\r\n\r\n";
}

// The same from HTTP/1.0.
table! { old_post:
    old_length: "Content-Length: 5\r\n\r\nhello" => "Content-Length: 5\r\n\r\nhello";
    old_chunked: "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" => "400 Transfer-Encoding in HTTP/1.0";
    old_chunked_and_length: "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello"
        => "400 Transfer-Encoding in HTTP/1.0";
    old_close_as_well: "Connection: close\r\n\r\n" => "\r\n~closes";
    old_upgrade: "Connection: upgrade\r\nUpgrade: foo\r\n\r\n" => "\r\n";
    old_expects: "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"
        => "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
}

// Chunk lines, extensions and trailers.
table! { chunks:
    chunk: "5\r\nhello\r\n0\r\n\r\n" => "5\r\nhello\r\n0\r\n\r\n";
    chunks_are_joined: "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n" => "8\r\nhelloabc\r\n0\r\n\r\n";
    chunk_not_whole: "5\r\nhel" => "3\r\nhel\r\n~more";
    chunk_and_the_next_request: "1\r\na\r\n0\r\n\r\nGET /2" => "1\r\na\r\n0\r\n\r\n~then GET /2";
    chunk_size_bare_lf: "5\nhello\r\n0\r\n\r\n" => "400 LF without CR";
    chunk_data_bare_lf: "5\r\nhello\n0\r\n\r\n" => "400 chunk longer than its size";
    chunk_last_bare_lf: "5\r\nhello\r\n0\n\r\n" => "400 LF without CR";
    chunk_end_bare_lf: "5\r\nhello\r\n0\r\n\n" => "400 LF without CR";
    chunk_bare_cr: "5\rhello\r\n0\r\n\r\n" => "400 CR without LF";
    chunk_bare_cr_behind: "5\r\nhello\r0\r\n\r\n" => "400 CR without LF";
    chunk_size_negative: "-5\r\nhello\r\n0\r\n\r\n" => "400 chunk size missing";
    chunk_size_plus: "+5\r\nhello\r\n0\r\n\r\n" => "400 chunk size missing";
    chunk_size_prefixed: "0x5\r\nhello\r\n0\r\n\r\n" => "400 bad byte in a chunk size";
    chunk_size_suffixed: "5h\r\nhello\r\n0\r\n\r\n" => "400 bad byte in a chunk size";
    chunk_size_underscore: "1_0\r\nhello\r\n0\r\n\r\n" => "400 bad byte in a chunk size";
    chunk_size_empty: "\r\nhello\r\n0\r\n\r\n" => "400 chunk size missing";
    chunk_size_2_52: "10000000000000\r\n" => "400 chunk size too large";
    chunk_size_2_64: "10000000000000005\r\nhello\r\n0\r\n\r\n" => "400 chunk size too large";
    chunk_size_with_zeros: "0005\r\nhello\r\n000\r\n\r\n" => "5\r\nhello\r\n0\r\n\r\n";
    chunk_size_padded_before: " 5\r\nhello\r\n0\r\n\r\n" => "400 chunk size missing";
    chunk_size_padded_behind: "5 \t\r\nhello\r\n0\r\n\r\n" => "5\r\nhello\r\n0\r\n\r\n";
    chunk_size_and_text: "5 x\r\nhello\r\n0\r\n\r\n" => "400 bad byte in a chunk size";
    chunk_size_and_nul: "5\0\r\nhello\r\n0\r\n\r\n" => "400 bad byte in a chunk size";
    chunk_longer: "5\r\nhello!\r\n0\r\n\r\n" => "400 chunk longer than its size";
    chunk_shorter: "5\r\nhell\r\n0\r\n\r\n" => "400 chunk longer than its size";
    chunk_without_end: "5\r\nhello0\r\n\r\n" => "400 chunk longer than its size";
    extension_goes: "5;a=b\r\nhello\r\n0;c\r\n\r\n" => "5\r\nhello\r\n0\r\n\r\n";
    extension_blanks: "5 ; a = \"b\"\r\nhello\r\n0\r\n\r\n" => "5\r\nhello\r\n0\r\n\r\n";
    extension_bare_lf: "1;\nx\r\n0\r\n\r\n" => "400 LF without CR";
    extension_hides_a_request: "1;a\nGET /evil HTTP/1.1\r\n0\r\n\r\n" => "400 LF without CR";
    extension_quoted_line_end: "5;a=\"\r\nhello\r\n0\r\n\r\n" => "5\r\nhello\r\n0\r\n\r\n";
    extension_with_cr: "5;a\rb\r\nhello\r\n0\r\n\r\n" => "400 CR without LF";
    extension_with_control: "5;a\u{1}\r\nhello\r\n0\r\n\r\n" => "400 bad byte in a chunk extension";
    trailer: "0\r\nA: b\r\nc:d\r\n\r\n" => "0\r\nA: b\r\nc:d\r\n\r\n";
    trailer_not_whole: "0\r\nA: b" => "0\r\nA: b~more";
    trailer_hides_a_request: "0\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad trailer name";
    trailer_blanks_round_a_value: "0\r\nA: \t b \r\n\r\n" => "0\r\nA: \t b \r\n\r\n";
    trailer_blank_before_colon: "0\r\nA : b\r\n\r\n" => "400 bad trailer name";
    trailer_folded: "0\r\nA: b\r\n c\r\n\r\n" => "400 bad trailer name";
    trailer_folded_first: "0\r\n A: b\r\n\r\n" => "400 bad trailer name";
    trailer_bare_lf: "0\r\nA: b\n\r\n" => "400 bad byte in a trailer";
    trailer_bare_cr: "0\r\nA: b\rc\r\n\r\n" => "400 CR without LF";
    trailer_nul: "0\r\nA: b\0\r\n\r\n" => "400 bad byte in a trailer";
    trailer_control: "0\r\nA: b\u{1}\r\n\r\n" => "400 bad byte in a trailer";
    trailer_no_name: "0\r\n: b\r\n\r\n" => "400 bad trailer name";
    trailer_no_colon: "0\r\nAb\r\n\r\n" => "400 bad trailer name";
    trailer_no_token: "0\r\nA@b: c\r\n\r\n" => "400 bad trailer name";
    trailer_length: "0\r\nContent-Length: 5\r\n\r\nhello" => "400 forbidden trailer";
    trailer_encoding: "0\r\ntransfer-encoding: chunked\r\n\r\n" => "400 forbidden trailer";
    trailer_host: "0\r\nHost: a\r\n\r\n" => "400 forbidden trailer";
    trailer_connection: "0\r\nConnection: close\r\n\r\n" => "400 forbidden trailer";
    trailer_upgrade: "0\r\nUpgrade: foo\r\n\r\n" => "400 forbidden trailer";
}

// What `option accept-invalid-http-request` lets through, which is never the framing.
table! { lenient:
    lenient_fragment: "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n" => "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n";
    lenient_over_0x7f: "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n" => "GET /é HTTP/1.1\r\nHost: h\r\n\r\n";
    lenient_name: "GET / HTTP/1.1\r\nHost: h\r\nA@b: c\r\n\r\n" => "GET / HTTP/1.1\r\nHost: h\r\nA@b: c\r\n\r\n";
    lenient_no_host: "GET / HTTP/1.1\r\n\r\n" => "GET / HTTP/1.1\r\n\r\n";
    lenient_same_host: "GET / HTTP/1.1\r\nHost: a\r\nHost: A\r\n\r\n" => "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    lenient_two_hosts: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" => "400 two different Host fields";
    lenient_any_host: "GET / HTTP/1.1\r\nHost: a/b%z c\r\n\r\n" => "GET / HTTP/1.1\r\nHost: a/b%z c\r\n\r\n";
    lenient_absolute_other_host: "GET http://u@a/ HTTP/1.1\r\nHost: b\r\n\r\n" => "GET http://u@a/ HTTP/1.1\r\nHost: b\r\n\r\n";
    lenient_asterisk: "GET * HTTP/1.1\r\nHost: h\r\n\r\n" => "400 bad target";
    lenient_blank_before_colon: "GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n" => "400 bad field name";
    lenient_control: "GET / HTTP/1.1\r\nHost: h\r\nA: \u{1}\r\n\r\n" => "400 bad byte in a field value";
    lenient_bare_cr: "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc: d\r\n\r\n" => "400 bad byte in a field value";
    lenient_lengths: "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
        => "400 different Content-Lengths";
    lenient_length_overflow: "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n"
        => "400 bad Content-Length";
    lenient_chunked_twice: "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"
        => "400 chunked is not the last coding";
    lenient_chunked_in_old: "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "400 Transfer-Encoding in HTTP/1.0";
    lenient_chunked_and_length: "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n~closes";
    lenient_chunk_size: "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"
        => "400 bad byte in a chunk size";
    lenient_version: "GET / HTTP/0.9\r\nHost: h\r\n\r\n" => "400 bad version";
}

// Answers: status lines.
table! { answer:
    answer_plain: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    answer_old: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok~closes";
    answer_newer: "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    answer_2_0: "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    answer_0_9: "hello" => "502 not an HTTP/1 answer";
    answer_version_0_9: "HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok" => "502 not an HTTP/1 answer";
    answer_lower_case: "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" => "502 not an HTTP/1 answer";
    answer_other_protocol: "ICY 200 OK\r\nContent-Length: 2\r\n\r\nok" => "502 not an HTTP/1 answer";
    answer_empty_line_before: "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    answer_blank_before: " HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" => "502 not an HTTP/1 answer";
    answer_blanks: "HTTP/1.1 \t200  OK\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    answer_without_reason: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok";
    answer_without_status: "HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok" => "502 bad status";
    answer_two_digits: "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok" => "502 bad status";
    answer_four_digits: "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok" => "502 bad status";
    answer_099: "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok" => "502 bad status";
    answer_signed: "HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\nok" => "502 bad status";
    answer_letter: "HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok" => "502 bad status";
    answer_600: "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok";
    answer_control_in_reason: "HTTP/1.1 200 O\u{1}K\r\nContent-Length: 2\r\n\r\nok" => "502 bad byte in the reason";
    answer_bare_cr_in_reason: "HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok" => "502 bad byte in the reason";
    answer_reason_over_0x7f: "HTTP/1.1 200 \u{e9}\r\nContent-Length: 2\r\n\r\nok"
        => "HTTP/1.1 200 é\r\nContent-Length: 2\r\n\r\nok";
    answer_bare_lf: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    answer_204: "HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 204 No\r\n\r\n~then ok";
    answer_204_chunked: "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "HTTP/1.1 204 No\r\n\r\n~then 0\r\n\r\n";
    answer_205: "HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 205 Reset\r\nContent-Length: 2\r\n\r\nok";
    answer_205_without_length: "HTTP/1.1 205 Reset\r\n\r\n"
        => "HTTP/1.1 205 Reset\r\nconnection: close\r\n\r\n~closes, to the end";
    answer_304_without_length: "HTTP/1.1 304 No\r\n\r\n" => "HTTP/1.1 304 No\r\n\r\n";
    answer_304: "HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n~then ok";
    answer_304_chunked: "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n"
        => "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n";
    answer_100: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK" => "HTTP/1.1 100 Continue\r\n\r\n~interim, then HTTP/1.1 200 OK";
    answer_103: "HTTP/1.1 103 Early\r\nLink: a\r\nConnection: close, x-a\r\nX-A: b\r\nContent-Length: 2\r\n\r\n"
        => "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n~interim";
    answer_103_chunked: "HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "HTTP/1.1 103 Early\r\n\r\n~interim, then 0\r\n\r\n";
    answer_103_bad_length: "HTTP/1.1 103 Early\r\nContent-Length: x\r\n\r\n" => "502 bad Content-Length";
    answer_101_unasked: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n" => "502 101 that nobody asked for";
}

// Answers: fields, and how the end of the body is found.
table! { ok:
    ok_length: "Content-Length: 2\r\n\r\nok" => "Content-Length: 2\r\n\r\nok";
    ok_length_0: "Content-Length: 0\r\n\r\n" => "Content-Length: 0\r\n\r\n";
    ok_surplus: "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK" => "Content-Length: 2\r\n\r\nok~then HTTP/1.1 200 OK";
    ok_not_whole: "Content-Length: 2\r\n\r\no" => "Content-Length: 2\r\n\r\no~more";
    ok_until_close: "\r\nok" => "connection: close\r\n\r\nok~closes, to the end";
    ok_length_twice: "Content-Length: 2\r\nContent-Length: 02\r\n\r\nok" => "Content-Length: 2\r\n\r\nok";
    ok_length_list: "Content-Length: 2, 2\r\n\r\nok" => "Content-Length: 2\r\n\r\nok";
    ok_lengths: "Content-Length: 1\r\nContent-Length: 2\r\n\r\nok" => "502 different Content-Lengths";
    ok_length_list_differs: "Content-Length: 1, 2\r\n\r\nok" => "502 different Content-Lengths";
    ok_length_signed: "Content-Length: +2\r\n\r\nok" => "502 bad Content-Length";
    ok_length_negative: "Content-Length: -2\r\n\r\nok" => "502 bad Content-Length";
    ok_length_hexadecimal: "Content-Length: 0x2\r\n\r\nok" => "502 bad Content-Length";
    ok_length_empty: "Content-Length:\r\n\r\nok" => "502 bad Content-Length";
    ok_length_2_64: "Content-Length: 18446744073709551618\r\n\r\nok" => "502 bad Content-Length";
    ok_length_folded: "Content-Length:\r\n 2\r\n\r\nok" => "Content-Length: 2\r\n\r\nok";
    ok_chunked: "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP"
        => "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n~then HTTP";
    ok_chunked_in_capitals: "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n" => "transfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    ok_chunked_trailer: "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"
        => "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n";
    ok_chunked_bad_trailer: "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n" => "502 forbidden trailer";
    ok_chunked_bad_size: "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0x1\r\n" => "502 bad byte in a chunk size";
    ok_chunked_and_length: "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n~closes";
    ok_chunked_twice: "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" => "502 chunked is not the last coding";
    ok_chunked_comma: "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" => "502 chunked is not the last coding";
    ok_chunked_not_last: "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" => "502 chunked is not the last coding";
    ok_chunked_behind_gzip: "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
        => "502 unsupported transfer coding before chunked";
    ok_chunked_quoted: "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" => "502 chunked is not the last coding";
    ok_chunked_vertical_tab: "Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n" => "502 bad byte in a field value";
    ok_coding_empty: "Transfer-Encoding:\r\n\r\nok" => "502 chunked is not the last coding";
    ok_coding_identity: "Transfer-Encoding: identity\r\n\r\nok" => "502 chunked is not the last coding";
    ok_coding_gzip: "Transfer-Encoding: gzip\r\n\r\nok" => "502 chunked is not the last coding";
    ok_blank_before_colon: "A : b\r\nContent-Length: 2\r\n\r\nok" => "502 bad field name";
    ok_no_colon: "Ab\r\nContent-Length: 2\r\n\r\nok" => "502 bad field name";
    ok_no_name: ": b\r\nContent-Length: 2\r\n\r\nok" => "502 bad field name";
    ok_no_token: "A@b: c\r\nContent-Length: 2\r\n\r\nok" => "502 bad field name";
    ok_nul: "A: b\0\r\nContent-Length: 2\r\n\r\nok" => "502 bad byte in a field value";
    ok_control: "A: b\u{1}\r\nContent-Length: 2\r\n\r\nok" => "502 bad byte in a field value";
    ok_bare_cr: "A: b\rc\r\nContent-Length: 2\r\n\r\nok" => "502 bad byte in a field value";
    ok_folded: "A: b\r\n c\r\nContent-Length: 2\r\n\r\nok" => "A: b   c\r\nContent-Length: 2\r\n\r\nok";
    ok_folded_first: " A: b\r\nContent-Length: 2\r\n\r\nok" => "502 blank before the first field name";
    ok_fold_hides_the_length: "A: b\r\n Content-Length: 2\r\n\r\nok"
        => "A: b   Content-Length: 2\r\nconnection: close\r\n\r\nok~closes, to the end";
    ok_close: "Connection: close\r\nContent-Length: 2\r\n\r\nok" => "Content-Length: 2\r\n\r\nok~closes";
    ok_keep_alive: "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok"
        => "Content-Length: 2\r\n\r\nok";
    ok_named: "Connection: x-a\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok" => "Content-Length: 2\r\n\r\nok";
    ok_names_length: "Connection: content-length\r\nContent-Length: 2\r\n\r\nok"
        => "502 Connection names a field that must stay";
    ok_offers_h2c: "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok" => "Content-Length: 2\r\n\r\nok";
    ok_offers_h2c_and_more: "Connection: upgrade\r\nUpgrade: h2c, foo\r\nContent-Length: 2\r\n\r\nok"
        => "Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 2\r\n\r\nok";
    ok_chunked_bare_lf: "Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n" => "502 LF without CR";
}

// Answers to HTTP/1.0: no chunks, nothing interim.
table! { to_old:
    old_gets_a_length: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: keep-alive\r\n\r\nok";
    old_gets_no_chunks: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n"
        => "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok~to the end";
    old_gets_no_100: "HTTP/1.1 100 Continue\r\n\r\n" => "~interim";
    old_gets_no_103: "HTTP/1.1 103 Early\r\nLink: a\r\n\r\n" => "~interim";
    old_gets_no_101: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n" => "502 101 that nobody asked for";
    old_until_close: "HTTP/1.1 200 OK\r\n\r\nok" => "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok~closes, to the end";
    old_of_old: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
        => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: keep-alive\r\n\r\nok";
}

// Answers of HTTP/1.0.
table! { answer:
    from_old_until_close: "HTTP/1.0 200 OK\r\n\r\nok" => "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok~closes, to the end";
    from_old_chunked: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n~closes";
    from_old_kept: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
        => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
}

// Answers to HEAD, which never have a body.
table! { to_head:
    head_length: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n~then HTTP";
    head_chunked: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n~then 2\r\nok\r\n0\r\n\r\n";
    head_without: "HTTP/1.1 200 OK\r\n\r\n" => "HTTP/1.1 200 OK\r\n\r\n";
    head_lengths: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" => "502 different Content-Lengths";
}

// Answers to CONNECT.
table! { to_connect:
    connected: "HTTP/1.1 200 OK\r\n\r\nhello" => "HTTP/1.1 200 OK\r\n\r\n~closes, tunnel, then hello";
    connected_with_length: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello"
        => "HTTP/1.1 200 OK\r\n\r\n~closes, tunnel, then hello";
    connected_with_chunks: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello"
        => "HTTP/1.1 200 OK\r\n\r\n~closes, tunnel, then hello";
    not_connected: "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno" => "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno";
}

// Answers to an upgrade.
table! { to_upgrade:
    switches: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\nhello"
        => "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n~closes, tunnel, then hello";
    switches_to_another: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: bar\r\n\r\n"
        => "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: bar\r\n\r\n~closes, tunnel";
    switches_with_length: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\nContent-Length: 3\r\n\r\n"
        => "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n~closes, tunnel";
    switches_to_h2c: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" => "502 101 that nobody asked for";
    switches_to_h2c_as_well: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: foo, h2c\r\n\r\n"
        => "502 101 that nobody asked for";
    switches_to_nothing: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: \r\n\r\n" => "502 101 that nobody asked for";
    switches_without_upgrade: "HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n" => "502 101 that nobody asked for";
    switches_without_connection: "HTTP/1.1 101 S\r\nUpgrade: foo\r\n\r\n" => "502 101 that nobody asked for";
    switches_and_closes: "HTTP/1.1 101 S\r\nConnection: close\r\nUpgrade: foo\r\n\r\n" => "502 101 that nobody asked for";
    declined: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
}

// Answers to an upgrade to websocket.
table! { to_websocket:
    websocket: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n"
        => "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n~closes, tunnel";
    websocket_unproved: "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        => "502 101 that nobody asked for";
}

// What `option accept-invalid-http-response` lets through.
table! { lenient_answer:
    lenient_answer_name: "HTTP/1.1 200 OK\r\nA@b: c\r\nContent-Length: 2\r\n\r\nok"
        => "HTTP/1.1 200 OK\r\nA@b: c\r\nContent-Length: 2\r\n\r\nok";
    lenient_answer_blank_before_colon: "HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok" => "502 bad field name";
    lenient_answer_control: "HTTP/1.1 200 OK\r\nA: \u{1}\r\nContent-Length: 2\r\n\r\nok" => "502 bad byte in a field value";
    lenient_answer_lengths: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"
        => "502 different Content-Lengths";
    lenient_answer_coding: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"
        => "502 chunked is not the last coding";
    lenient_answer_status: "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok" => "502 bad status";
}

/// A request with so many bytes of filler between two parts; what leaves is long and left out.
fn long((before, filler, times, after): (&str, &str, usize, &str)) -> String {
    let all = request(&format!("{before}{}{after}", filler.repeat(times)));
    if all.starts_with(|first: char| first.is_ascii_digit() || first == '~') {
        all
    } else {
        "sent".into()
    }
}

// What is too much: 100 fields and 15,360 bytes are the most, as in HAProxy by default.
table! { long:
    fields_100: ("GET / HTTP/1.1\r\nHost: h\r\n", "A: b\r\n", 99, "\r\n") => "sent";
    fields_101: ("GET / HTTP/1.1\r\nHost: h\r\n", "A: b\r\n", 100, "\r\n") => "400 too many fields";
    folds_count_once: ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n", " c\r\n", 1000, "\r\n") => "sent";
    head_15360: ("GET / HTTP/1.1\r\nHost: h\r\nA: ", "a", 15_328, "\r\n\r\n") => "sent";
    head_15361: ("GET / HTTP/1.1\r\nHost: h\r\nA: ", "a", 15_329, "\r\n\r\n") => "400 head too large";
    head_without_end: ("GET / HTTP/1.1\r\nHost: h\r\n", "A: b\r\n", 99, "A: b") => "~more";
    target_15333: ("GET /", "a", 15_332, " HTTP/1.1\r\nHost: h\r\n\r\n") => "sent";
    target_20000: ("GET /", "a", 20_000, " HTTP/1.1\r\nHost: h\r\n\r\n") => "414 head too large";
    target_behind_empty_lines: ("\r\n\r\nGET /", "a", 20_000, " HTTP/1.1\r\n") => "414 head too large";
    method_20000: ("", "A", 20_000, " / HTTP/1.1\r\nHost: h\r\n\r\n") => "400 head too large";
    blanks_20000: ("GET /", " ", 20_000, "HTTP/1.1\r\nHost: h\r\n\r\n") => "400 head too large";
    blanks_before_20000: ("GET", " ", 20_000, "/ HTTP/1.1\r\nHost: h\r\n\r\n") => "400 head too large";
    version_20000: ("GET / HTTP/1.", "1", 20_000, "\r\nHost: h\r\n\r\n") => "400 head too large";
    empty_lines_20000: ("", "\r\n", 10_000, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") => "400 head too large";
}
