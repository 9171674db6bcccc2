//! Tests of `reply.rs`.

use super::*;
use crate::http::head::Span;

const DEBIAN_503: &str = "HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\n\
    Connection: close\r\nContent-Type: text/html\r\n\r\n\
    <html><body><h1>503 Service Unavailable</h1>\n\
    No server is available to handle this request.\n</body></html>\n\n";

/// An errorfile as sent to a client that would stay, then its log bytes; or the problem.
fn errorfile(file: &str) -> String {
    match Reply::from_errorfile(file.as_bytes(), &Limits::default()) {
        Err(problem) => problem.to_string(),
        Ok(reply) if reply.head.is_empty() => format!("{reply:?}"),
        Ok(reply) => {
            let persistence = match (reply.closes, reply.minor) {
                (true, 1) => Persistence::Close,
                _ => Persistence::Unsaid,
            };
            let all = [&reply.head, persistence.tail(), &reply.body].concat();
            let closes = if reply.closes { "closes" } else { "stays" };
            format!(
                "{}{} {closes}",
                String::from_utf8_lossy(&all),
                reply.logged_bytes
            )
        }
    }
}

table! { errorfile:
    debian: DEBIAN_503 => "HTTP/1.0 503 Service Unavailable\r\ncache-control: no-cache\r\n\
        content-type: text/html\r\n\r\n<html><body><h1>503 Service Unavailable</h1>\n\
        No server is available to handle this request.\n</body></html>\n\n221 closes";
    without_length: "HTTP/1.1 503 Nope\r\nContent-Type: text/plain\r\n\r\nbody\n"
        => "HTTP/1.1 503 Nope\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nbody\n68 closes";
    with_length: "HTTP/1.1 503 Nope\r\nContent-Length: 5\r\nX-Y:  z \r\n\r\nbody\n"
        => "HTTP/1.1 503 Nope\r\ncontent-length: 5\r\nx-y: z\r\n\r\nbody\n65 stays";
    with_length_and_close: "HTTP/1.1 503 Nope\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbody\n"
        => "HTTP/1.1 503 Nope\r\ncontent-length: 5\r\nconnection: close\r\n\r\nbody\n76 closes";
    bare_lf: "HTTP/1.0 503 Nope\nX: y\n\nbody\n" => "HTTP/1.0 503 Nope\r\nx: y\r\n\r\nbody\n48 closes";
    no_body: "HTTP/1.0 503 Nope\r\nX: y\r\n\r\n" => "HTTP/1.0 503 Nope\r\nx: y\r\n\r\n43 closes";
    other_status: "HTTP/1.0 200 OK\r\nX: y\r\n\r\nbody" => "HTTP/1.0 200 OK\r\nx: y\r\n\r\nbody45 closes";
    empty: "" => "Reply { status: 0, minor: 1, head: [], body: [], logged_bytes: 0, closes: true }";
    length_too_long: "HTTP/1.1 503 Nope\r\nContent-Length: 9\r\n\r\nbody\n"
        => "payload size does not match the announced content-length (5 != 9)";
    length_too_short: "HTTP/1.1 503 Nope\r\nContent-Length: 2\r\n\r\nbody\n"
        => "payload size does not match the announced content-length (5 != 2)";
    chunked: "HTTP/1.1 503 Nope\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => "chunk-encoded payload not supported";
    no_blank_line: "HTTP/1.0 503 Nope\r\nX: y\r\n" => "unable to parse headers (error offset: -2)";
    junk: "hello\r\n\r\n" => "unable to parse headers (error offset: 0)";
    interim: "HTTP/1.1 100 Nope\r\n\r\n" => "invalid http status code for an error message (100)";
}

/// A built-in answer's lines, length of the body and log bytes.
fn builtin(status: u16) -> String {
    let reply = Reply::builtin(status);
    let head = String::from_utf8_lossy(&reply.head).replace("\r\n", "|");
    let text = String::from_utf8_lossy(&reply.body).replace('\n', "|");
    format!("{head}{text}{} {}", reply.logged_bytes, reply.closes)
}

table! { builtin:
    builtin_403: 403 => "HTTP/1.1 403 Forbidden|content-length: 93|cache-control: no-cache|\
        content-type: text/html|<html><body><h1>403 Forbidden</h1>|\
        Request forbidden by administrative rules.|</body></html>|197 false";
    builtin_400: 400 => "HTTP/1.1 400 Bad request|content-length: 90|cache-control: no-cache|\
        content-type: text/html|<html><body><h1>400 Bad request</h1>|\
        Your browser sent an invalid request.|</body></html>|211 true";
    builtin_501: 501 => "HTTP/1.1 501 Not Implemented|content-length: 136|cache-control: no-cache|\
        content-type: text/html|<html><body><h1>501 Not Implemented</h1>|\
        .The server does not support the functionality required to fulfill the request.|\
        </body></html>|247 false";
    builtin_unknown: 418 => "HTTP/1.1 500 Internal Server Error|content-length: 97|\
        cache-control: no-cache|content-type: text/html|\
        <html><body><h1>500 Internal Server Error</h1>|An internal server error occurred.|\
        </body></html>|213 false";
}

/// Body lengths and log bytes (2.6 + 5) of all built-in answers, as HAProxy has them.
#[test]
fn builtins_have_their_sizes() {
    let sizes: Vec<_> = BUILTIN_STATUSES
        .iter()
        .map(|&status| (status, Reply::builtin(status)))
        .map(|(status, reply)| (status, reply.body.len(), reply.logged_bytes - 5))
        .collect();
    assert_eq!(
        sizes,
        [
            (200, 58, 150),
            (400, 90, 206),
            (401, 112, 215),
            (403, 93, 192),
            (404, 83, 182),
            (405, 146, 255),
            (407, 112, 215),
            (408, 110, 232),
            (410, 114, 209),
            (413, 106, 214),
            (421, 104, 214),
            (422, 116, 228),
            (425, 80, 179),
            (429, 117, 225),
            (500, 97, 208),
            (501, 136, 242),
            (502, 107, 209),
            (503, 107, 217),
            (504, 92, 198),
        ]
    );
}

#[test]
fn rendered_once_they_are_the_same() {
    let all = Builtins::new();
    for status in BUILTIN_STATUSES {
        assert_eq!(all.answer(status), &Reply::builtin(status));
        assert_eq!(all.raw(status), &Reply::raw(status));
    }
    assert_eq!(all.answer(418), &Reply::builtin(500));
}

#[test]
fn raw_answers_are_complete() {
    let reply = Reply::raw(400);
    let all = [reply.head, reply.body].concat();
    assert_eq!(
        String::from_utf8_lossy(&all),
        "HTTP/1.1 400 Bad request\r\nContent-length: 90\r\nCache-Control: no-cache\r\n\
         Connection: close\r\nContent-Type: text/html\r\n\r\n\
         <html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n"
    );
    let head = String::from_utf8_lossy(&Reply::raw(422).head).into_owned();
    assert!(head.ends_with("Cache-Control: no-cache\r\nContent-Type: text/html\r\n\r\n"));
}

fn message_of<'a>(bytes: &'a mut [u8], head: &'a mut Head, edits: &'a Edits) -> Message<'a> {
    let parsed = head::request(bytes, &mut Progress::default(), head, &Limits::default());
    assert_eq!(parsed, Parsed::Complete);
    Message::new(bytes, head, edits)
}

fn location((request, to, options): (&str, RedirectTo, &str)) -> String {
    let mut bytes = format!("{request} HTTP/1.1\r\nHost: h:81\r\n\r\n").into_bytes();
    let (mut head, edits) = (Head::new(101), Edits::new(0, 0));
    let message = message_of(&mut bytes, &mut head, &edits);
    let options = RedirectOptions {
        drop_query: options.contains("drop-query"),
        append_slash: options.contains("append-slash"),
    };
    let mut out = Vec::new();
    redirect_location(to, options, &message, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

use RedirectTo::{Location, Prefix, Scheme};

table! { location:
    location_as_it_is: ("GET /a", Location(b"/new"), "append-slash") => "/new";
    prefix: ("GET /p?a=b", Prefix(b"http://x/y"), "") => "http://x/y/p?a=b";
    prefix_drop_query: ("GET /p?a=b", Prefix(b"http://x/y"), "drop-query") => "http://x/y/p";
    prefix_slash: ("GET /p", Prefix(b"/"), "append-slash") => "/p/";
    prefix_slash_with_query: ("GET /p/?a", Prefix(b"/"), "append-slash") => "/p/?a/";
    prefix_slash_drop_query: ("GET /p?a", Prefix(b"/"), "append-slash drop-query") => "/p/";
    prefix_has_slash: ("GET /p/?a", Prefix(b"/"), "append-slash drop-query") => "/p/";
    prefix_asterisk: ("OPTIONS *", Prefix(b"http://x"), "") => "http://x/";
    scheme: ("GET /s?a", Scheme(b"https"), "") => "https://h:81/s?a";
    scheme_drop_query: ("GET /s?a", Scheme(b"https"), "drop-query append-slash") => "https://h:81/s/";
    scheme_absolute: ("GET http://h:81/s", Scheme(b"https"), "") => "https://h:81/s";
}

fn redirect((code, cookie): (u16, Option<RedirectCookie>)) -> String {
    let mut out = Vec::new();
    let logged = write_redirect(&mut out, code, b"/new", cookie, Persistence::Unsaid);
    format!(
        "{}{}",
        String::from_utf8_lossy(&out).replace("\r\n", "|"),
        logged - 5
    )
}

table! { redirect:
    code_301: (301, None) => "HTTP/1.1 301 Moved Permanently|content-length: 0|location: /new||76";
    code_302: (302, None)
        => "HTTP/1.1 302 Found|content-length: 0|location: /new|cache-control: no-cache||85";
    code_303: (303, None)
        => "HTTP/1.1 303 See Other|content-length: 0|location: /new|cache-control: no-cache||89";
    code_307: (307, None) => "HTTP/1.1 307 Temporary Redirect|content-length: 0|location: /new|\
        cache-control: no-cache||98";
    code_308: (308, None) => "HTTP/1.1 308 Permanent Redirect|content-length: 0|location: /new||77";
    set_cookie: (302, Some(RedirectCookie::Set(b"A=b"))) => "HTTP/1.1 302 Found|content-length: 0|\
        location: /new|cache-control: no-cache|set-cookie: A=b; path=/;||107";
    clear_cookie: (302, Some(RedirectCookie::Clear(b"A="))) => "HTTP/1.1 302 Found|content-length: 0|\
        location: /new|cache-control: no-cache|set-cookie: A=; path=/; Max-Age=0;||117";
}

type Fields<'a> = &'a [(&'a [u8], &'a [u8])];

fn returned((status, fields, kind, len): (u16, Fields, Option<&[u8]>, u64)) -> String {
    let mut out = Vec::new();
    let fields = fields.iter().copied();
    let logged = write_return(&mut out, status, fields, kind, len, Persistence::Unsaid);
    format!(
        "{}{}",
        String::from_utf8_lossy(&out).replace("\r\n", "|"),
        logged - 5
    )
}

table! { returned:
    return_text: (200, &[], Some(b"text/plain"), 2)
        => "HTTP/1.1 200 OK|content-length: 2|content-type: text/plain||73";
    return_fields: (200, &[(b"x-a", b"b/rl")], Some(b"text/plain"), 3)
        => "HTTP/1.1 200 OK|x-a: b/rl|content-length: 3|content-type: text/plain||81";
    return_empty: (404, &[], None, 0) => "HTTP/1.1 404 Not Found|content-length: 0||56";
    return_302: (302, &[], None, 0) => "HTTP/1.1 302 Moved Temporarily|content-length: 0||64";
    return_204: (204, &[], None, 0) => "HTTP/1.1 204 No Content||42";
    return_line_end: (200, &[(b"x", b"a\r\ny: z")], None, 0)
        => "HTTP/1.1 200 OK|x: a  y: z|content-length: 0||57";
}

#[test]
fn the_log_counts_an_answer() {
    let mut bytes = b"HTTP/1.1 200 OK\r\nserver: nginx\r\ncontent-length: 5\r\n\r\nhello".to_vec();
    let mut head = Head::new(101);
    let limits = Limits::default();
    let parsed = head::response(&mut bytes, &mut Progress::default(), &mut head, &limits);
    assert_eq!((parsed, head.version), (Parsed::Complete, Span::new(0, 8)));
    let logged = logged_head_bytes(&head, &bytes);
    // HAProxy 2.6 says 65, 2.2 five more.
    assert_eq!(logged + 5 + LOGGED_MESSAGE_END, 70);
}

fn phrase(status: u16) -> &'static str {
    reason(status)
}

table! { phrase:
    phrase_209: 209 => "Success";
    phrase_302: 302 => "Moved Temporarily";
    phrase_399: 399 => "Redirection";
    phrase_499: 499 => "client has closed connection";
    phrase_502: 502 => "Bad Gateway or Proxy Error";
    phrase_599: 599 => "Server Error";
    phrase_777: 777 => "Other";
}
