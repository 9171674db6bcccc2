//! Tables for `head.rs` and `start_line.rs`: what is found where. What becomes of a message, field
//! lines above all, is in the table of `framing.rs`. What HAProxy does with the same bytes was
//! observed.

use super::*;

/// `method target 1.minor line|name=value|...`, or the status and reason of the refusal.
fn request_of(input: &str) -> String {
    let mut bytes = input.as_bytes().to_vec();
    let mut head = Head::new(101);
    match request(
        &mut bytes,
        &mut Progress::default(),
        &mut head,
        &Limits::default(),
    ) {
        Parsed::Partial => "partial".into(),
        Parsed::Refused(refusal) => format!("{} {}", refusal.status, refusal.reason),
        Parsed::Complete => {
            let text = |span: Span| String::from_utf8_lossy(span.of(&bytes)).into_owned();
            let method = text(head.method_span);
            let line = String::from_utf8_lossy(head.logged_line(&bytes)).into_owned();
            let mut all = format!("{method} {} 1.{} {line}", text(head.target), head.minor);
            for field in &head.fields {
                all += &format!("|{}={}", text(field.name), text(field.value));
            }
            all
        }
    }
}

/// The same for `GET TARGET HTTP/1.1` with one Host: only the target.
fn target_of(target: &str) -> String {
    let (target, host) = target.split_once(' ').unwrap_or((target, "a"));
    let method = match target.as_bytes() {
        [b'a' | b'[', ..] => "CONNECT",
        b"*" => "OPTIONS",
        _ => "GET",
    };
    let all = request_of(&format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    ));
    all.split(' ').nth(1).map_or_else(
        || all.clone(),
        |second| match &all[..3] {
            "400" => all.clone(),
            _ => second.to_owned(),
        },
    )
}

fn response_of(input: &str) -> String {
    let mut bytes = input.as_bytes().to_vec();
    let mut head = Head::new(101);
    match response(
        &mut bytes,
        &mut Progress::default(),
        &mut head,
        &Limits::default(),
    ) {
        Parsed::Partial => "partial".into(),
        Parsed::Refused(refusal) => format!("{} {}", refusal.status, refusal.reason),
        Parsed::Complete => format!(
            "1.{} {} [{}] {}",
            head.minor,
            head.status,
            String::from_utf8_lossy(head.reason.of(&bytes)),
            head.fields.len()
        ),
    }
}

table! { request_of:
    plain: "GET /x HTTP/1.1\r\nHost: a\r\n\r\n" => "GET /x 1.1 GET /x HTTP/1.1|Host=a";
    no_fields: "GET /x HTTP/1.0\r\n\r\n" => "GET /x 1.0 GET /x HTTP/1.0";
    bytes_behind_it: "GET /x HTTP/1.0\r\n\r\nPOST" => "GET /x 1.0 GET /x HTTP/1.0";
    bare_lf: "\nGET /x HTTP/1.1\nHost: a\n\n" => "GET /x 1.1 GET /x HTTP/1.1|Host=a";
    empty_lines_before: "\r\n\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n" => "GET /x 1.1 GET /x HTTP/1.1|Host=a";
    only_empty_lines: "\r\n\r\n" => "partial";
    several_blanks: "GET  /x\t \tHTTP/1.1\r\nHost: a\r\n\r\n" => "GET /x 1.1 GET /x HTTP/1.1|Host=a";
    tab_for_blank: "GET\t/x HTTP/1.1\r\nHost: a\r\n\r\n" => "GET /x 1.1 GET /x HTTP/1.1|Host=a";
    version_1_2: "GET /x HTTP/1.2\r\nHost: a\r\n\r\n" => "GET /x 1.1 GET /x HTTP/1.2|Host=a";
    version_2_0_in_text: "GET /x HTTP/2.0\r\nHost: a\r\n\r\n" => "GET /x 1.1 GET /x HTTP/2.0|Host=a";
    version_3_1: "GET /x HTTP/3.1\r\nHost: a\r\n\r\n" => "GET /x 1.1 GET /x HTTP/3.1|Host=a";
    version_0_9: "GET /x HTTP/0.9\r\n\r\n" => "400 bad version";
    version_1_10: "GET /x HTTP/1.10\r\n\r\n" => "400 bad version";
    version_in_lower_case: "GET /x http/1.1\r\n\r\n" => "400 bad version";
    version_with_blank: "GET /x HTTP/1.1 \r\n\r\n" => "400 bad version";
    version_of_other_protocol: "GET /x RTSP/1.0\r\n\r\n" => "400 bad version";
    no_version: "GET /x\r\nHost: a\r\n\r\n" => "400 no version";
    two_targets: "GET /x y HTTP/1.1\r\n\r\n" => "400 bad version";
    http2_preface: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" => "400 HTTP/2 is not spoken here";
    blank_before_method: " GET /x HTTP/1.1\r\n\r\n" => "400 bad method";
    at_in_method: "G@T /x HTTP/1.1\r\n\r\n" => "400 bad method";
    lower_case_method: "get /x HTTP/1.1\r\nHost: a\r\n\r\n" => "get /x 1.1 get /x HTTP/1.1|Host=a";
    unknown_method: "BREW /x HTTP/1.1\r\nHost: a\r\n\r\n" => "BREW /x 1.1 BREW /x HTTP/1.1|Host=a";
    cr_without_lf: "GET /x HTTP/1.1\rHost: a\r\n\r\n" => "400 bad version";
    cr_before_blank_line: "GET /x HTTP/1.1\r\nHost: a\r\n\rX\r\n" => "400 bad field name";
    crs_before_it: "\r\rGET /x HTTP/1.1\r\n\r\n" => "400 bad method";
    tls_hello: "\u{16}\u{3}\u{1}\u{2}" => "400 bad method";
    control_in_open_line: "GET /\u{1}" => "400 bad byte in the request line";
    cr_in_open_line: "GET /\rx" => "400 bad byte in the request line";
    half_a_line: "GET / FOO" => "partial";
    half_a_head: "GET /x HTTP/1.1\r\nHost: a\r\n\r" => "partial";
    nothing: "" => "partial";
    default_port_with_blanks: "GET  http://a:80/x  HTTP/1.1\r\nHost: a\r\n\r\n"
        => "GET http://a/x 1.1 GET http://a/x HTTP/1.1|Host=a";
}

table! { target_of:
    path: "/a/../b//c" => "/a/../b//c";
    escapes: "/%00%2Fx" => "/%00%2Fx";
    odd_but_visible: "/<>\"{}|\\^`[]" => "/<>\"{}|\\^`[]";
    fragment: "/#x" => "400 bad target";
    over_0x7f: "/é" => "400 bad target";
    delete_byte: "/\u{7f}" => "400 bad target";
    asterisk: "*" => "*";
    asterisk_and_more: "*x" => "400 bad target";
    no_slash: "x" => "400 bad target";
    host_and_port_without_connect: "b:80" => "400 bad target";
    absolute: "http://a/x" => "http://a/x";
    absolute_other_case: "http://A/x" => "http://A/x";
    absolute_other_host: "http://b/x" => "400 Host differs from the target";
    absolute_default_port: "http://a:80/x" => "http://a/x";
    absolute_default_port_in_host: "http://a/x a:80" => "http://a/x";
    absolute_https_port: "https://a:443/x" => "https://a/x";
    absolute_port_of_other_scheme: "http://a:443/x" => "400 Host differs from the target";
    absolute_other_port: "http://a:8080/x" => "400 Host differs from the target";
    absolute_other_port_agreed: "http://a:8080/x a:8080" => "http://a:8080/x";
    absolute_userinfo: "http://u:p@a/x" => "400 bad authority";
    absolute_bad_port: "http://a:x/ a:x" => "400 bad Host";
    absolute_host_missing: "http://a/x " => "400 Host differs from the target";
    connect_userinfo: "a@b:443 b" => "400 bad authority";
    absolute_without_path: "http://a" => "http://a";
    absolute_query_without_path: "http://a?x" => "400 bad target";
    absolute_other_scheme: "foo+b.1://a/x" => "foo+b.1://a/x";
    absolute_bad_scheme: "1foo://a/x" => "400 bad target";
    absolute_one_slash: "http:/a/x" => "400 bad target";
    absolute_no_authority: "http:///x" => "400 bad target";
    connect: "a:443" => "a:443";
    connect_port_in_host: "a:443 a:443" => "a:443";
    connect_other_port: "a:8443 a:443" => "400 Host differs from the target";
    connect_without_port: "a" => "400 bad target";
    connect_bad_port: "a:x" => "400 bad target";
    connect_ipv6: "[::1]:443 [::1]" => "[::1]:443";
}

/// The values of Host in an HTTP/1.1 request, read strictly, and after ` / ` leniently.
fn hosts_of(lines: &str) -> String {
    let text = format!("GET / HTTP/1.1\r\n{lines}\r\n");
    [false, true]
        .map(|lenient| {
            let mut bytes = text.clone().into_bytes();
            let mut head = Head::new(101);
            let limits = Limits {
                lenient,
                ..Limits::default()
            };
            match request(&mut bytes, &mut Progress::default(), &mut head, &limits) {
                Parsed::Refused(refusal) => format!("{} {}", refusal.status, refusal.reason),
                _ => head
                    .fields
                    .iter()
                    .map(|field| String::from_utf8_lossy(field.value.of(&bytes)).into_owned())
                    .collect::<Vec<_>>()
                    .join("|"),
            }
        })
        .join(" / ")
}

table! { hosts_of:
    one_host: "Host: a.b-c_d~1:80\r\n" => "a.b-c_d~1:80 / a.b-c_d~1:80";
    missing_host: "" => "400 no Host / ";
    empty_host: "Host:\r\n" => " / ";
    same_host_twice: "Host: a\r\nHost: A\r\n" => "400 a second Host / a";
    two_hosts: "Host: a\r\nHost: b\r\n" => "400 a second Host / 400 two different Host fields";
    host_with_blank: "Host: a b\r\n" => "400 bad Host / a b";
    host_with_slash: "Host: a/b\r\n" => "400 bad Host / a/b";
    host_with_userinfo: "Host: u@a\r\n" => "400 bad Host / u@a";
    host_list: "Host: a, b\r\n" => "400 bad Host / a, b";
    host_over_0x7f: "Host: é\r\n" => "400 bad Host / é";
    host_bad_port: "Host: a:8x\r\n" => "400 bad Host / a:8x";
    host_two_colons: "Host: a:1:2\r\n" => "400 bad Host / a:1:2";
    host_empty_port: "Host: a:\r\n" => "a: / a:";
    host_port_only: "Host: :80\r\n" => ":80 / :80";
    host_ipv6: "Host: [::1]:80\r\n" => "[::1]:80 / [::1]:80";
    host_ipv6_open: "Host: [::1\r\n" => "400 bad Host / [::1";
    host_ipv6_empty: "Host: []\r\n" => "400 bad Host / []";
    host_quoted: "Host: \"a\"\r\n" => "400 bad Host / \"a\"";
    host_fragment: "Host: a#b\r\n" => "400 bad Host / a#b";
    host_query: "Host: a?b\r\n" => "400 bad Host / a?b";
    host_backslash: "Host: a\\b\r\n" => "400 bad Host / a\\b";
}

/// What a lenient reading makes of a request's head: target and fields.
fn leniently(text: &str) -> String {
    let mut whole = text.as_bytes().to_vec();
    let limits = Limits {
        lenient: true,
        ..Limits::default()
    };
    let show = |parsed: Parsed, head: &Head, bytes: &[u8]| match parsed {
        Parsed::Partial => "partial".into(),
        Parsed::Refused(refusal) => format!("{} {}", refusal.status, refusal.reason),
        Parsed::Complete => {
            let text = |span: Span| String::from_utf8_lossy(span.of(bytes)).into_owned();
            let fields = head.fields.iter();
            let fields = fields.map(|f| format!("|{}={}", text(f.name), text(f.value)));
            text(head.target) + &fields.collect::<String>()
        }
    };
    let mut head = Head::new(101);
    let parsed = request(&mut whole, &mut Progress::default(), &mut head, &limits);
    let at_once = show(parsed, &head, &whole);
    let (mut grown, mut progress, mut parsed) = (Vec::new(), Progress::default(), Parsed::Partial);
    for &byte in text.as_bytes() {
        grown.push(byte);
        parsed = request(&mut grown, &mut progress, &mut head, &limits);
        if parsed != Parsed::Partial {
            break;
        }
    }
    assert_eq!(show(parsed, &head, &grown), at_once, "byte by byte");
    at_once
}

table! { leniently:
    lenient_fragment: "GET /a#b HTTP/1.1\r\n\r\n" => "/a#b";
    lenient_target: "GET /\u{e9} HTTP/1.1\r\n\r\n" => "/\u{e9}";
    lenient_control: "GET /\u{1}" => "400 bad byte in the request line";
    lenient_name: "GET / HTTP/1.1\r\nX[y: 1\r\nA:  b \r\n\r\n" => "/|X[y=1|A=b";
    lenient_name_over_0x7f: "GET / HTTP/1.1\r\n\u{e9}: 1\r\n\r\n" => "/|\u{e9}=1";
    lenient_name_folded: "GET / HTTP/1.1\r\nX[y: 1\r\n 2\r\n\r\n" => "/|X[y=1   2";
    lenient_blank_in_name: "GET / HTTP/1.1\r\nX y: 1\r\n\r\n" => "400 bad field name";
    lenient_blank_before_colon: "GET / HTTP/1.1\r\nX : 1\r\n\r\n" => "400 bad field name";
    lenient_no_name: "GET / HTTP/1.1\r\n: 1\r\n\r\n" => "400 bad field name";
    lenient_nul: "GET / HTTP/1.1\r\nX: \0\r\n\r\n" => "400 bad byte in a field value";
    lenient_other_host: "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n" => "http://a/|Host=b";
    lenient_version: "GET / RTSP/1.0\r\n\r\n" => "400 bad version";
}

table! { response_of:
    usual_answer: "HTTP/1.1 200 OK\r\nX: y\r\n\r\n" => "1.1 200 [OK] 1";
    no_reason: "HTTP/1.1 200\r\n\r\n" => "1.1 200 [] 0";
    empty_reason: "HTTP/1.1 200 \r\n\r\n" => "1.1 200 [] 0";
    blanks_and_tabs: "HTTP/1.1\t 200  O  K\r\n\r\n" => "1.1 200 [O  K] 0";
    reason_over_0x7f: "HTTP/1.1 200 é\r\n\r\n" => "1.1 200 [é] 0";
    control_in_reason: "HTTP/1.1 200 O\u{1}K\r\n\r\n" => "502 bad byte in the reason";
    old_version: "HTTP/1.0 200 OK\r\n\r\n" => "1.0 200 [OK] 0";
    newer_version: "HTTP/1.2 200 OK\r\n\r\n" => "1.1 200 [OK] 0";
    version_0: "HTTP/0.9 200 OK\r\n\r\n" => "502 not an HTTP/1 answer";
    two_digits: "HTTP/1.1 20 OK\r\n\r\n" => "502 bad status";
    four_digits: "HTTP/1.1 2000 OK\r\n\r\n" => "502 bad status";
    below_100: "HTTP/1.1 099 OK\r\n\r\n" => "502 bad status";
    status_999: "HTTP/1.1 999 OK\r\n\r\n" => "1.1 999 [OK] 0";
    empty_line_before: "\r\nHTTP/1.1 200 OK\r\n\r\n" => "1.1 200 [OK] 0";
    folded_answer: "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n" => "1.1 200 [OK] 1";
    blank_before_colon_in_answer: "HTTP/1.1 200 OK\r\nX : a\r\n\r\n" => "502 bad field name";
    garbage_without_line_end: "hello" => "502 not an HTTP/1 answer";
    icy: "ICY 200 OK\r\n\r\n" => "502 not an HTTP/1 answer";
    half_a_version: "HTT" => "partial";
}

fn with_fields(count: usize) -> String {
    let lines: String = (0..count).map(|index| format!("X{index}: y\r\n")).collect();
    let all = request_of(&format!("GET / HTTP/1.0\r\n{lines}\r\n"));
    if all.starts_with("400") {
        all
    } else {
        all.matches('|').count().to_string()
    }
}

table! { with_fields:
    fields_24: 24 => "24";
    fields_25: 25 => "25";
    fields_100: 100 => "100";
    fields_101: 101 => "400 too many fields";
    fields_1000: 1000 => "400 too many fields";
}

fn of_size(size: usize) -> String {
    let all = request_of(&format!(
        "GET / HTTP/1.0\r\nX: {}\r\n\r\n",
        "y".repeat(size - 23)
    ));
    if all.starts_with("GET") {
        "good".into()
    } else {
        all
    }
}

table! { of_size:
    size_15359: 15359 => "good";
    size_15360: 15360 => "good";
    size_15361: 15361 => "400 head too large";
    size_100000: 100_000 => "400 head too large";
}

#[test]
fn a_request_line_that_does_not_fit_has_a_status_of_its_own() {
    let all = request_of(&format!("GET /{} HTTP/1.1\r\n", "y".repeat(15_360)));
    assert_eq!(all, "414 head too large");
}

fn name_of(text: &str) -> Name {
    Name::from_bytes(text.as_bytes())
}

table! { name_of:
    host: "hOsT" => Name::Host;
    te: "TE" => Name::Te;
    content_length: "Content-Length" => Name::ContentLength;
    transfer_encoding: "transfer-encoding" => Name::TransferEncoding;
    near_miss: "content_length" => Name::Other;
    unknown: "X-Y" => Name::Other;
}

#[test]
fn a_larger_maxhdr_takes_more_fields() {
    let lines: String = (0..500).map(|index| format!("X{index}: y\r\n")).collect();
    let mut bytes = format!("GET / HTTP/1.0\r\n{lines}\r\n").into_bytes();
    let mut head = Head::new(1000);
    let limits = Limits::default();
    let parsed = request(&mut bytes, &mut Progress::default(), &mut head, &limits);
    assert_eq!((parsed, head.fields.len()), (Parsed::Complete, 500));
}

#[test]
fn connect_loses_the_default_port_of_host() {
    let all = request_of("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n");
    assert_eq!(all, "CONNECT a:80 1.1 CONNECT a:80 HTTP/1.1|Host=a");
}

#[test]
fn nothing_is_left_of_the_head_before() {
    let mut head = Head::new(101);
    for input in [
        "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nX: y\r\n\r\n",
    ] {
        let mut bytes = input.as_bytes().to_vec();
        let limits = Limits::default();
        let parsed = request(&mut bytes, &mut Progress::default(), &mut head, &limits);
        assert_eq!(parsed, Parsed::Complete);
        assert_eq!(head.has(Name::Host), input.contains("Host"));
        assert_eq!(head.fields.len(), 1);
        assert_eq!(head.logged_line(&bytes).len(), 15);
    }
}
