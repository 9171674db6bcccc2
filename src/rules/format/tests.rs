//! Format strings, as log lines.

use crate::base::addr::Address;
use crate::rules::format::{
    CONNECT_HTTP_LOG, Field, Format, HTTP_CLF_LOG, HTTP_LOG, Purpose, TCP_LOG, Value,
};
use crate::rules::tests::{Around, Session, scratch};

/// The session of the article's first log line, with a capture.
fn session() -> Session {
    let date = Value::Date {
        wall_ms: 1_676_779_346_864,
        utc_offset_s: 9 * 3600,
    };
    let client = Address::new("10.2.0.1".parse().unwrap(), 54_786);
    let number = |n| Value::Int(n);
    Session {
        fields: vec![
            (Field::Client, Value::Address(client)),
            (
                Field::Frontend,
                Value::Address(Address::new("10.2.0.9".parse().unwrap(), 80)),
            ),
            (Field::FrontendName, Value::Bytes(b"web_proxy")),
            (Field::BackendName, Value::Bytes(b"web_servers")),
            (Field::ServerName, Value::Bytes(b"debian11-2")),
            (
                Field::RequestLine,
                Value::Bytes(b"GET /p\"\\a?x=1|{ HTTP/1.1"),
            ),
            (Field::Status, number(200)),
            (Field::BytesRead, number(214)),
            (Field::AcceptDate, date),
            (Field::RequestDate, date),
            (Field::TimeRequest, number(0)),
            (Field::TimeQueue, number(0)),
            (Field::TimeConnect, number(0)),
            (Field::TimeResponse, number(1)),
            (Field::TimeActive, Value::Partial(1)),
            (Field::TimeTotal, number(-1)),
            (Field::Termination, Value::Bytes(b"SC--")),
            (Field::ActiveConnections, number(1)),
            (Field::FrontendConnections, number(1)),
            (Field::BackendConnections, number(0)),
            (Field::ServerConnections, number(0)),
            (Field::Retries, Value::Partial(3)),
            (Field::ServerQueue, number(0)),
            (Field::BackendQueue, number(0)),
            (Field::RequestCaptures, number(3)),
            (Field::RequestCapture(0), Value::Bytes(b"<\t\"#{|}\x80>")),
            (Field::RequestCapture(2), Value::Bytes(b"v")),
            (Field::RequestCounter, number(1)),
            (Field::Pid, number(22_331)),
            (Field::RequestCookie, Value::Bytes(b"zz=\"1\"")),
        ],
        ..Session::default()
    }
}

fn rendered(text: &str, purpose: Purpose) -> String {
    let mut around = Around::default();
    let format = around.compile(|c| Format::compile(text.as_bytes(), purpose, c));
    let mut out = Vec::new();
    format
        .unwrap()
        .render(&session(), &mut scratch().buffers, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn log_lines() {
    for (text, expected) in [
        (
            HTTP_LOG,
            "10.2.0.1:54786 [19/Feb/2023:13:02:26.864] web_proxy web_servers/debian11-2 0/0/0/1/+1 200 214 zz=\"1\" - SC-- 1/1/0/0/+3 0/0 {<#09#22#23#7B#7C#7D#80>||v} \"GET /p#22\\a?x=1|{ HTTP/1.1\"",
        ),
        (
            TCP_LOG,
            "10.2.0.1:54786 [19/Feb/2023:13:02:26.864] web_proxy web_servers/debian11-2 0/0/-1 214 SC 1/1/0/0/+3 0/0",
        ),
        (
            HTTP_CLF_LOG,
            "10.2.0.1 - - [19/Feb/2023:04:02:26 +0000] \"GET /p#22\\a?x=1|{ HTTP/1.1\" 200 214 \"\" \"\" 54786 864 \"web_proxy\" \"web_servers\" \"debian11-2\" 0 0 0 1 +1 SC-- 1 1 0 0 +3 0 0 \"zz=\"1\"\" \"\" \"<#09#22#23#7B#7C#7D#80>\" \"\" \"v\" ",
        ),
        (
            CONNECT_HTTP_LOG,
            "Connect from 10.2.0.1:54786 to 10.2.0.9:80 (web_proxy/HTTP)",
        ),
        ("a  b", "a b"),
        (" a %[str( x)] b ", "a  x b "),
        ("%ci   %cp", "10.2.0.1 54786"),
        (
            "%HM|%HP|%HPO|%HQ|%HU|%HV",
            "GET|/p#22\\a|/p#22\\a|?x=1|{|/p#22\\a?x=1|{|HTTP/1.1",
        ),
        (
            "%{+E}HU %{+E}CC %{+Q,+E}CC",
            "/p#22\\\\a?x=1|{ zz=\\\"1\\\" \"zz=\\\"1\\\"\"",
        ),
        (
            "%{+X}ci %{+X}cp %{+X}Ts %{+X}ms %{+X}pid %{+X}rt %{+X}ST",
            "0A020001 D602 63F19F52 360 573B 0001 200",
        ),
        (
            "%T %Tl %trl %Ts",
            "19/Feb/2023:04:02:26 +0000 19/Feb/2023:13:02:26 +0900 19/Feb/2023:13:02:26 +0900 1676779346",
        ),
        (
            "%hrl|%hs|%hsl|%si|%sp|%{+Q}si",
            "<#09#22#23#7B#7C#7D#80> - v||||||-|-|\"\"",
        ),
        (
            "%{}ci %{Q}f %{-Q}f %{+Q,}f %{+Q+X}f %{+Z}f",
            "10.2.0.1 web_proxy web_proxy \"web_proxy\" web_proxy web_proxy",
        ),
        (
            "%{+Q}o %f %{-Q}f %b",
            " \"web_proxy\" web_proxy \"web_servers\"",
        ),
        ("%%%f%%", "%web_proxy%"),
    ] {
        if text.contains("%hrl|") {
            // Nothing is captured of answers here, so both variables are empty.
            assert_eq!(
                rendered(text, Purpose::Log),
                expected.replace("||||||", "|||"),
                "{text}"
            );
            continue;
        }
        let expected = expected.strip_prefix(' ').unwrap_or(expected);
        assert_eq!(rendered(text, Purpose::Log), expected, "{text}");
    }
}

#[test]
fn samples_in_logs_are_not_encoded() {
    let text = "%[str(a\"b)]%{+E}[str(a]b)]|%[env(NOPE)]|%{+Q}[env(NOPE)]|%[int(5)]|%{+Q}[int(5)] %[str()]|%{+Q}[str()] %[str()]";
    let text = text.replace("(a\"b)", "(\\\"b)");
    assert_eq!(
        rendered(&text, Purpose::Log),
        "\"ba\\]b|-|\"\"|5|\"5\" -|\"\" -"
    );
}

#[test]
fn rules_print_nothing_for_what_is_missing() {
    for (text, expected) in [
        ("<%[env(NOPE)]>", "<>"),
        ("<%si>", "<>"),
        ("a  b   %b   c", "a  b   web_servers   c"),
        ("<%{+Q}o %b %[be_name]>", "< \"web_servers\" web_servers>"),
        ("<%[bin(01097f0a)]>", "<%01\t%7F%0A>"),
    ] {
        assert_eq!(rendered(text, Purpose::Request), expected, "{text}");
    }
}

#[test]
fn constants_and_needs() {
    let mut around = Around::default();
    let mut compile = |text: &[u8]| {
        around
            .compile(|c| Format::compile(text, Purpose::Request, c))
            .unwrap()
    };
    assert_eq!(compile(b"a%%b").constant(), Some(&b"a%b"[..]));
    assert_eq!(compile(b"").constant(), Some(&b""[..]));
    assert_eq!(compile(b"%ci").constant(), None);
    assert!(compile(b"%fi").needs_destination());
    assert!(compile(b"%bi").needs_destination());
    assert!(compile(b"%[dst_port]").needs_destination());
    assert!(!compile(b"%ci%[src]").needs_destination());
    assert!(compile(b"%ci").asks_for(Field::Client));
}

#[test]
fn a_unix_client_has_no_address() {
    let mut session = session();
    session
        .fields
        .insert(0, (Field::Client, Value::Address(Address::Unix)));
    let mut around = Around::default();
    let format = around
        .compile(|c| Format::compile(b"%ci:%cp", Purpose::Log, c))
        .unwrap();
    let mut out = Vec::new();
    format.render(&session, &mut scratch().buffers, &mut out);
    assert_eq!(out, b"unix:1");
    session.fields.insert(0, (Field::ListenerId, Value::Int(7)));
    out.clear();
    format.render(&session, &mut scratch().buffers, &mut out);
    assert_eq!(out, b"unix:7");
}
