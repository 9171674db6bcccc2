//! Tables for `rewrite.rs`. Expected heads are what HAProxy sent for the same rules, but for the
//! spelling of names.

use super::super::render::*;
use super::*;
use crate::http::head::{self, Limits, Parsed, Progress};

const X_LINES: &str = "X: ab\r\nY: 1\r\nX: b, cb\r\nX: \"b,b\" ,  b\r\n";

/// A parsed message that can be edited.
struct Fixture {
    bytes: Vec<u8>,
    head: Head,
    edits: Edits,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        let mut head = Head::new(101);
        let (mut progress, limits) = (
            Progress::default(),
            Limits {
                lenient: true,
                ..Limits::default()
            },
        );
        let parsed = if text.starts_with("HTTP/") {
            head::response(&mut bytes, &mut progress, &mut head, &limits)
        } else {
            head::request(&mut bytes, &mut progress, &mut head, &limits)
        };
        assert_eq!(parsed, Parsed::Complete, "{text}");
        Self {
            bytes,
            head,
            edits: Edits::new(100, 512),
        }
    }

    fn editor(&mut self) -> Editor<'_> {
        Editor {
            bytes: &self.bytes,
            head: &self.head,
            edits: &mut self.edits,
        }
    }

    fn message(&self) -> Message<'_> {
        Message::new(&self.bytes, &self.head, &self.edits)
    }

    fn render(&self, how: Outgoing) -> String {
        let mut out = Vec::new();
        render(&self.message(), &how, 2048, &mut out).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    /// All values of a field, joined with `|`.
    fn x(&self) -> String {
        let values: Vec<_> = self
            .message()
            .header(b"x")
            .map(String::from_utf8_lossy)
            .collect();
        values.join("|")
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(
        || "-".into(),
        |bytes| String::from_utf8_lossy(bytes).into_owned(),
    )
}

/// `path query pathq`, a dash for none.
fn parts_of(request: &str) -> String {
    let fixture = Fixture::new(&format!("{request} HTTP/1.1\r\n\r\n"));
    let message = fixture.message();
    format!(
        "{} {} {}",
        text(message.path()),
        text(message.query()),
        text(message.pathq())
    )
}

table! { parts_of:
    parts_plain: "GET /a/b" => "/a/b - /a/b";
    parts_query: "GET /a/b?c=d" => "/a/b c=d /a/b?c=d";
    parts_empty_query: "GET /a?" => "/a  /a?";
    parts_two_marks: "GET /a?b?c" => "/a b?c /a?b?c";
    parts_two_slashes: "GET //x/y?z" => "//x/y z //x/y?z";
    parts_absolute: "GET http://h/a?b" => "/a b /a?b";
    parts_absolute_root: "GET http://h/" => "/ - /";
    parts_absolute_bare: "GET http://h" => "- - -";
    parts_asterisk: "OPTIONS *" => "- - -";
    parts_connect: "CONNECT h:80" => "- - -";
}

/// The elements of these X lines, joined with `|`.
fn values_of(value: &str) -> String {
    let fixture = Fixture::new(&format!("GET / HTTP/1.1\r\nX: {value}\r\nY: no\r\n\r\n"));
    let message = fixture.message();
    let values: Vec<_> = message.values(b"x").map(String::from_utf8_lossy).collect();
    values.join("|")
}

table! { values_of:
    values_list: "a, b,c" => "a|b|c";
    values_empty_inside: "a,,b" => "a||b";
    values_empty_around: " ,a , " => "|a|";
    values_quoted: "\"a,b\", c" => "\"a,b\"|c";
    values_escaped: "\"a\\\",b\", c" => "\"a\\\",b\"|c";
    values_quote_inside: "a \"b,c\" d, e" => "a \"b,c\" d|e";
    values_open_quote: "\"abc, d" => "\"abc, d";
    values_one_empty: "" => "";
    values_two_empty: "," => "|";
    values_two_lines: "a\r\nX: b, c" => "a|b|c";
}

type Edit = fn(&mut Editor) -> Result<(), Overflow>;

/// The target after edits.
fn retargeted((request, edit): (&str, Edit)) -> String {
    let mut fixture = Fixture::new(&format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(edit(&mut fixture.editor()), Ok(()));
    let message = fixture.message();
    let host = text(message.known(Name::Host));
    format!(
        "{} {} {host}",
        text(Some(message.method_text())),
        text(Some(message.target()))
    )
}

table! { retargeted:
    path: ("GET /a?q", |e| e.set_path(b"/new")) => "GET /new?q a";
    path_without_query: ("GET /a", |e| e.set_path(b"/new")) => "GET /new a";
    path_with_query_in_it: ("GET /a?q", |e| e.set_path(b"/new?x")) => "GET /new?x?q a";
    path_without_slash: ("GET /a?q", |e| e.set_path(b"new")) => "GET new?q a";
    path_twice: ("GET /a?q", |e| { e.set_path(b"/1")?; e.set_path(b"/22") }) => "GET /22?q a";
    path_of_absolute: ("GET http://a/x?q", |e| e.set_path(b"/n")) => "GET http://a/n?q a";
    path_of_bare_absolute: ("GET http://a", |e| e.set_path(b"/n")) => "GET http://a/n a";
    path_of_asterisk: ("OPTIONS *", |e| e.set_path(b"/n")) => "OPTIONS * a";
    path_of_connect: ("CONNECT a:80", |e| e.set_path(b"/n")) => "CONNECT a:80 a";
    path_with_line_end: ("GET /a", |e| e.set_path(b"/b\r\nX: y")) => "GET /b  X: y a";
    query: ("GET /a?q", |e| e.set_query(b"z=1")) => "GET /a?z=1 a";
    query_where_none_was: ("GET /a", |e| e.set_query(b"z=1")) => "GET /a?z=1 a";
    query_emptied: ("GET /a?q", |e| e.set_query(b"")) => "GET /a? a";
    pathq: ("GET /a?q", |e| e.set_pathq(b"/p?z")) => "GET /p?z a";
    pathq_then_path: ("GET /a?q", |e| { e.set_pathq(b"/p?z")?; e.set_path(b"/r") }) => "GET /r?z a";
    uri: ("GET /a", |e| e.set_uri(b"/u?v")) => "GET /u?v a";
    uri_absolute_sets_host: ("GET /a", |e| e.set_uri(b"http://u/v")) => "GET http://u/v u";
    host_of_absolute: ("GET http://u:p@a/x", |e| e.set_header(b"host", b"other"))
        => "GET http://u:p@other/x other";
    host_of_path: ("GET /x", |e| e.set_header(b"Host", b"other")) => "GET /x other";
    method: ("GET /x", |e| e.set_method(b"FOO")) => "FOO /x a";
}

/// The X values after edits.
fn edited(edit: Edit) -> String {
    let mut fixture = Fixture::new(&format!("GET / HTTP/1.1\r\n{X_LINES}\r\n"));
    assert_eq!(edit(&mut fixture.editor()), Ok(()));
    fixture.x()
}

fn brackets(value: &[u8], out: &mut Vec<u8>) -> bool {
    if !value.contains(&b'b') {
        return false;
    }
    out.push(b'<');
    out.extend_from_slice(value);
    out.push(b'>');
    true
}

table! { edited:
    unedited: |_| Ok(()) => "ab|b, cb|\"b,b\" ,  b";
    add: |e| e.add_header(b"x", b"new") => "ab|b, cb|\"b,b\" ,  b|new";
    set: |e| e.set_header(b"x", b"new") => "new";
    set_twice: |e| { e.set_header(b"x", b"1")?; e.set_header(b"X", b"2") } => "2";
    del: |e| { e.del_header(|name| name == b"X"); Ok(()) } => "";
    add_then_del: |e| { e.add_header(b"x", b"1")?; e.del_header(|n| n == b"x"); Ok(()) }
        => "ab|b, cb|\"b,b\" ,  b";
    replace_header: |e| e.replace_header(b"x", brackets) => "<ab>|<b, cb>|<\"b,b\" ,  b>";
    replace_header_twice: |e| { e.replace_header(b"x", brackets)?; e.replace_header(b"x", brackets) }
        => "<<ab>>|<<b, cb>>|<<\"b,b\" ,  b>>";
    replace_added: |e| { e.set_header(b"x", b"b")?; e.replace_header(b"x", brackets) } => "<b>";
    replace_header_line_end: |e| e.replace_header(b"x", |_, out| { out.push(b'\n'); true }) => " | | ";
    replace_value: |e| e.replace_value(b"x", brackets) => "<ab>|<b>,<cb>|<\"b,b\">,<b>";
    replace_value_some: |e| {
        e.set_header(b"x", b"b, xx ,  b , y")?;
        e.replace_value(b"x", brackets)
    } => "<b>, xx ,<b>, y";
    replace_value_none: |e| e.replace_value(b"x", |_, _| false) => "ab|b, cb|\"b,b\" ,  b";
    add_line_end: |e| e.set_header(b"x", b"a\r\nY: z") => "a  Y: z";
}

const REQUEST: Outgoing = Outgoing {
    minor: 1,
    announce: Announce::Nothing,
    persistence: Persistence::Unsaid,
    drop_upgrade: false,
    drop_named: false,
};

/// A request with these fields as it leaves, without its start line and blank line.
fn sent((lines, how): (&str, Outgoing)) -> String {
    let fixture = Fixture::new(&format!("GET  /x HTTP/1.1\r\n{lines}\r\n"));
    let all = fixture.render(how);
    let line = if how.minor == 1 {
        "GET /x HTTP/1.1\r\n"
    } else {
        "GET /x HTTP/1.0\r\n"
    };
    all.strip_prefix(line)
        .and_then(|all| all.strip_suffix("\r\n"))
        .unwrap_or(&all)
        .to_owned()
}

const LENGTH_5: Outgoing = Outgoing {
    announce: Announce::Length(5),
    ..REQUEST
};
const CHUNKED: Outgoing = Outgoing {
    announce: Announce::Chunked,
    ..REQUEST
};

table! { sent:
    as_spelt: ("hOst:a\r\nX:  y \r\nEmpty:\r\n", REQUEST) => "hOst: a\r\nX: y\r\nEmpty: \r\n";
    other_tokens_stay: ("Connection: close, x-foo ,Upgrade\r\n", REQUEST) => "Connection: Upgrade\r\n";
    hop_by_hop_go: ("Keep-Alive: 5\r\nTE: trailers\r\nProxy-Connection: x\r\nhttp2-settings: AAA\r\n", REQUEST)
        => "TE: trailers\r\n";
    h2c_is_cut_out: ("Upgrade: h2c,foo/1 , H2C/14, ,bar\r\nUpgrade: H2c\r\nUpgrade: a ,b\r\n", REQUEST)
        => "Upgrade: foo/1, bar\r\nUpgrade: a ,b\r\n";
    lengths_become_one: ("Content-Length: 5, 5\r\nX: y\r\nContent-Length: 05\r\n", LENGTH_5)
        => "Content-Length: 5\r\nX: y\r\n";
    length_beside_chunks_goes: ("Content-Length: 3\r\nX: y\r\nTransfer-Encoding: chunked,\r\n", CHUNKED)
        => "Transfer-Encoding: chunked\r\nX: y\r\n";
    framing_goes: ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", REQUEST) => "";
    framing_is_added: ("X: y\r\n", LENGTH_5) => "X: y\r\nContent-Length: 5\r\n";
    connection_is_last: ("X: y\r\n", Outgoing { persistence: Persistence::Close, ..REQUEST })
        => "X: y\r\nconnection: close\r\n";
    old_keep_alive: ("Connection: x\r\n", Outgoing { minor: 0, persistence: Persistence::KeepAlive, ..REQUEST })
        => "connection: keep-alive\r\n";
    named_fields_go: ("Connection: X-Foo, close,x-bar\r\nx-foo: 1\r\nX: 2\r\nX-Bar: 3\r\n", Outgoing { drop_named: true, ..REQUEST })
        => "X: 2\r\n";
    named_in_two_lines: ("X-A: 1\r\nConnection: x-a\r\nX-B: 2\r\nConnection: upgrade, x-b\r\n", Outgoing { drop_named: true, ..REQUEST })
        => "Connection: upgrade\r\n";
    upgrade_goes: ("Upgrade: foo\r\nConnection: upgrade\r\n", Outgoing { drop_upgrade: true, ..REQUEST })
        => "";
}

/// An answer's head after edits.
fn answered((status, edit): (&str, Edit)) -> String {
    let mut fixture = Fixture::new(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(edit(&mut fixture.editor()), Ok(()));
    fixture.render(Outgoing {
        announce: Announce::Length(0),
        ..REQUEST
    })
}

table! { answered:
    answer_as_it_is: ("200 OK", |_| Ok(())) => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    answer_without_reason: ("200", |_| Ok(())) => "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n";
    answer_status: ("201 x", |e| e.set_status(503, None))
        => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    answer_status_and_reason: ("201 x", |e| e.set_status(418, Some(b"foo")))
        => "HTTP/1.1 418 foo\r\nContent-Length: 0\r\n\r\n";
    answer_field: ("200 OK", |e| e.set_header(b"x", b"y"))
        => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx: y\r\n\r\n";
}

#[test]
fn edits_are_forgotten() {
    let mut fixture = Fixture::new(&format!("GET /a HTTP/1.1\r\n{X_LINES}\r\n"));
    let before = fixture.render(REQUEST);
    let mut editor = fixture.editor();
    editor.del_header(|_| true);
    assert_eq!(editor.set_path(b"/b"), Ok(()));
    assert_eq!(editor.set_method(b"PUT"), Ok(()));
    assert_eq!(fixture.render(REQUEST), "PUT /b HTTP/1.1\r\n\r\n");
    assert!(!fixture.edits.is_empty());
    fixture.edits.clear();
    assert!(fixture.edits.is_empty());
    assert_eq!(fixture.render(REQUEST), before);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut fixture = Fixture::new("GET /a HTTP/1.1\r\nX: y\r\n\r\n");
    let long = [b'a'; 513];
    let mut editor = fixture.editor();
    assert_eq!(editor.add_header(b"Y", &long), Err(Overflow));
    assert_eq!(editor.set_header(b"X", &long), Err(Overflow));
    assert_eq!(editor.set_path(&long), Err(Overflow));
    assert_eq!(editor.set_uri(&long), Err(Overflow));
    let grow = |_: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(&long);
        true
    };
    assert_eq!(editor.replace_header(b"X", grow), Err(Overflow));
    assert!(fixture.edits.is_empty());
    assert_eq!(fixture.render(REQUEST), "GET /a HTTP/1.1\r\nX: y\r\n\r\n");
}

#[test]
fn a_head_that_does_not_fit_says_so() {
    let fixture = Fixture::new("GET /a HTTP/1.1\r\nX: y\r\n\r\n");
    let whole = fixture.render(REQUEST).len();
    for room in 0..whole {
        let rendered = render(&fixture.message(), &REQUEST, room, &mut Vec::new());
        assert_eq!(rendered, Err(Overflow));
    }
    let mut out = b"before".to_vec();
    let rendered = render(&fixture.message(), &REQUEST, whole, &mut out);
    assert_eq!((rendered, out.len()), (Ok(()), b"before".len() + whole));
}
