//! Rules: what is sent on, and what is answered.

use crate::http::exchange::Persistence;
use crate::http::framing::Announce;
use crate::http::render::{Outgoing, render};
use crate::rules::action::{
    Subject, Verdict, compile_request_rule, compile_response_rule, evaluate_request,
    evaluate_response,
};
use crate::rules::answer::Kind;
use crate::rules::plan::{Planner, Rules};
use crate::rules::tests::{Around, Parts, Session, scratch, shown, slices, words};

const GET: &str = "GET /p?x=1 HTTP/1.1\r\nHost: h.example:8080\r\n";

/// What the rules make of a request: its head, or the answer.
fn request(lines: &[&str], text: &str) -> String {
    let mut around = Around::default();
    around.files.insert("page", b"from a file\n");
    around.files.insert(
        "403",
        b"HTTP/1.0 403 Forbidden\r\nCache-Control: no-cache\r\n\r\n<html>\n",
    );
    let rules: Vec<_> = lines
        .iter()
        .map(|line| {
            let words = words(line);
            around
                .compile(|c| compile_request_rule(&slices(&words), c))
                .unwrap_or_else(|problem| panic!("{line}: {}", problem.message))
        })
        .collect();
    let mut parts = Parts::new(format!("{text}\r\n").as_bytes());
    let facts = Session::default();
    let mut scratch = scratch();
    let mut subject = Subject {
        bytes: &parts.bytes,
        head: &parts.head,
        edits: &mut parts.edits,
    };
    let rules = Rules::new(rules, &mut Planner::new(&around.acls));
    let acls = &around.acls;
    let verdict = evaluate_request((&rules, 0), acls, &facts, &mut subject, &mut scratch);
    match verdict.unwrap() {
        Verdict::Final(answer) => {
            let session = Session {
                request: Some(parts),
                ..Session::default()
            };
            if let Some(status) = answer.usual() {
                return format!("usual {status}");
            }
            let (mut head, mut body) = (Vec::new(), Vec::new());
            let made = answer.render(&session, &mut scratch, &mut head, &mut body);
            if let Some(reply) = answer.constant() {
                assert_eq!((&reply.head, &reply.body), (&head, &body));
            }
            head.extend_from_slice(&body);
            let text = String::from_utf8(head).unwrap();
            format!("{} {} {text}", made.status, made.logged_bytes)
        }
        Verdict::Service(applet) => format!("{applet:?}"),
        Verdict::Wait(wait, next) => format!("{wait:?} {next}"),
        Verdict::Continue | Verdict::Allow => {
            let mut out = Vec::new();
            let how = Outgoing {
                minor: 1,
                announce: Announce::default(),
                persistence: Persistence::Unsaid,
                drop_upgrade: false,
                drop_named: false,
            };
            let session = Session {
                request: Some(parts),
                ..Session::default()
            };
            let message = crate::rules::Context::request(&session).unwrap();
            render(&message, &how, 4096, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        }
    }
}

/// The request's head after rules, in short: line and fields but Host.
fn sent(lines: &[&str], text: &str) -> String {
    let out = request(lines, text);
    let lines: Vec<&str> = out
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("Host: h.example"))
        .collect();
    lines.join("|").replace(" HTTP/1.1", "")
}

#[test]
fn edits_of_the_request_line() {
    for (rule, expected) in [
        ("set-path \"%[hdr(nope)]\"", "GET ?x=1"),
        ("set-path /a?b", "GET /a?b?x=1"),
        ("set-path a", "GET a?x=1"),
        ("set-query a=b", "GET /p?a=b"),
        ("set-query %[hdr(nope)]", "GET /p?"),
        ("set-uri /z?y", "GET /z?y"),
        ("set-pathq /z?y", "GET /z?y"),
        ("set-method PUT", "PUT /p?x=1"),
        // HAProxy sends a request without a method.
        ("set-method %[hdr(nope)]", "GET /p?x=1"),
        ("replace-uri ^/p(.*) /q\\\\1", "GET /q?x=1"),
        ("replace-pathq ^/p(.*) /q\\\\1", "GET /q?x=1"),
        ("replace-path nomatch x", "GET /p?x=1"),
        ("replace-path p q%[src]", "GET q127.0.0.1?x=1"),
        (
            "replace-path (p) <%[src]\\\\1\\\\0\\\\2>",
            "GET <127.0.0.1pp>?x=1",
        ),
    ] {
        assert_eq!(sent(&[rule], GET), expected, "{rule}");
    }
}

#[test]
fn the_articles_rewriting() {
    let rule = "replace-path /app1(/)?(.*) /\\\\2";
    for (target, expected) in [
        ("/", "/"),
        ("/app1", "/"),
        ("/app1/", "/"),
        ("/app1/x", "/x"),
        ("/app1x", "/x"),
        ("/app1?y=1", "/?y=1"),
        ("/app1/?y=1", "/?y=1"),
        ("/app1/x?y=1", "/x?y=1"),
        ("/app1/app1/x", "/app1/x"),
        ("//app1/x", "/x"),
        ("/x/app1/y", "/y"),
        ("/app1//x", "//x"),
        ("/APP1/x", "/APP1/x"),
        ("/app1%2Fx", "/%2Fx"),
        ("/app1/../x", "/../x"),
        ("/app2/x?a=/app1/b", "/app2/x?a=/app1/b"),
        ("http://h/app1/x?y", "http://h/x?y"),
        ("*", "*"),
    ] {
        let text = format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n");
        let out = sent(&[rule], &text);
        assert_eq!(out, format!("OPTIONS {expected}|Host: h"), "{target}");
    }
}

#[test]
fn edits_of_fields() {
    let lists = "A: 1\r\na: 2, 3\r\n";
    let names = "X-A: 1\r\nb: 2\r\nx-b: 3\r\n";
    for (rules, fields, expected) in [
        (
            &["replace-header A (.*) x\\\\1"][..],
            lists,
            "A: x1|a: x2, 3",
        ),
        (&["replace-header A 2 y"], lists, "A: 1|a: y"),
        (
            &["replace-header A ^(2) %[str(z\\\\1)]-\\\\1"],
            lists,
            "A: 1|a: z2-2",
        ),
        (&["del-header x- -m beg"], names, "b: 2"),
        (&["del-header X- -m beg"], names, "b: 2"),
        (&["del-header -a -m end"], names, "b: 2|x-b: 3"),
        (&["del-header -a -m sub"], names, "b: 2|x-b: 3"),
        (&["del-header ^x-.$ -m reg"], names, "b: 2"),
        (&["del-header ^X-.$ -m reg"], names, "X-A: 1|b: 2|x-b: 3"),
        (&["del-header X-A -m str"], names, "b: 2|x-b: 3"),
        (&["del-header x-a"], names, "b: 2|x-b: 3"),
        (&["add-header X %[path]%%"], "", "X: /p%"),
        (&["set-header A %[hdr(a)]z"], lists, "A: 3z"),
        (
            &["add-header A 4", "set-header N %[hdr_cnt(a)]"],
            lists,
            "A: 1|a: 2, 3|A: 4|N: 4",
        ),
        // A rule sees what earlier ones did, and so do remembered ACLs.
        (
            &[
                "set-header S 1 if !{ hdr(S) 1 }",
                "set-header T 1 if { hdr(S) 1 }",
            ],
            "",
            "S: 1|T: 1",
        ),
        (
            &[
                "set-path /q if { path /p }",
                "set-header T 1 if { path /q }",
                "set-header U 1 if { path /p }",
            ],
            "",
            "T: 1",
        ),
        (&["allow if TRUE", "set-header A 1"], "", ""),
        (&["allow if FALSE", "set-header A 1"], "", "A: 1"),
        (
            &["deny unless TRUE", "set-header A %[bin(0d0a41)]"],
            "",
            "A: %0D%0AA",
        ),
        (&["redirect location %[hdr(nope)] ignore-empty"], "", ""),
    ] {
        let out = sent(rules, &format!("{GET}{fields}"));
        let (_, fields) = out.split_once('|').unwrap_or((&out, ""));
        assert_eq!(fields, expected, "{rules:?}");
    }
}

#[test]
fn elements_are_replaced_one_by_one() {
    let out = sent(
        &["replace-value A ^(.) x\\\\1"],
        &format!("{GET}A: 1\r\na: 2, 3 , 4\r\n"),
    );
    let values: Vec<String> = out
        .split('|')
        .skip(1)
        .map(|line| line.replace(' ', ""))
        .collect();
    assert_eq!(values, ["A:x1", "a:x2,x3,x4"]);
}

/// Rule, and what is answered: logged status, logged bytes (HAProxy 2.2 counts 5 more than 2.6),
/// head and body.
#[rustfmt::skip]
const ANSWERS: &[(&str, &str)] = &[
    ("deny", "usual 403"),
    ("deny deny_status 404", "usual 404"),
    ("deny default-errorfiles", "usual 403"),
    ("deny status 404 default-errorfiles", "usual 404"),
    ("return status 404 default-errorfiles", "usual 404"),
    ("deny status 404", "404 61 HTTP/1.1 404 Not Found|content-length: 0|"),
    ("deny status 404 hdr a b", "404 63 HTTP/1.1 404 Not Found|a: b|content-length: 0|"),
    ("deny content-type text/plain string x", "403 84 HTTP/1.1 403 Forbidden|content-length: 1|content-type: text/plain|x"),
    ("deny status 429 content-type text/plain string \"no %[path]\" hdr X-A b", "429 106 HTTP/1.1 429 Too Many Requests|x-a: b|content-length: 10|content-type: text/plain|no %[path]"),
    ("deny status 200 content-type text/plain lf-string \"no %[path]\" hdr X-A %[src]", "200 93 HTTP/1.1 200 OK|x-a: 127.0.0.1|content-length: 5|content-type: text/plain|no /p"),
    ("return", "200 54 HTTP/1.1 200 OK|content-length: 0|"),
    ("return status 204", "204 62 HTTP/1.1 204 No Content|"),
    ("return status 304 hdr a b", "304 66 HTTP/1.1 304 Not Modified|a: b|content-length: 0|"),
    ("return content-type text/plain string hi", "200 78 HTTP/1.1 200 OK|content-length: 2|content-type: text/plain|hi"),
    ("return content-type text/plain file page", "200 89 HTTP/1.1 200 OK|content-length: 12|content-type: text/plain|from a file\n"),
    ("return content-type text/plain lf-string %[bin(0a)]", "200 79 HTTP/1.1 200 OK|content-length: 3|content-type: text/plain|%0A"),
    ("return errorfile 403", "200 74 HTTP/1.0 403 Forbidden|cache-control: no-cache|<html>\n"),
    ("deny errorfile 403", "403 74 HTTP/1.0 403 Forbidden|cache-control: no-cache|<html>\n"),
    ("redirect location /new", "302 90 HTTP/1.1 302 Found|content-length: 0|location: /new|cache-control: no-cache|"),
    ("redirect location /n%[path] code 301", "301 81 HTTP/1.1 301 Moved Permanently|content-length: 0|location: /n/p|"),
    ("redirect prefix https://a.b", "302 103 HTTP/1.1 302 Found|content-length: 0|location: https://a.b/p?x=1|cache-control: no-cache|"),
    ("redirect prefix /", "302 92 HTTP/1.1 302 Found|content-length: 0|location: /p?x=1|cache-control: no-cache|"),
    ("redirect prefix https://a.b drop-query append-slash", "302 100 HTTP/1.1 302 Found|content-length: 0|location: https://a.b/p/|cache-control: no-cache|"),
    ("redirect scheme https code 308 drop-query", "308 102 HTTP/1.1 308 Permanent Redirect|content-length: 0|location: https://h.example:8080/p|"),
    ("redirect location /x set-cookie a=b", "302 110 HTTP/1.1 302 Found|content-length: 0|location: /x|cache-control: no-cache|set-cookie: a=b; path=/;|"),
    ("redirect location /x clear-cookie a", "302 119 HTTP/1.1 302 Found|content-length: 0|location: /x|cache-control: no-cache|set-cookie: a; path=/; Max-Age=0;|"),
    ("redirect location %[hdr(nope)]", "302 86 HTTP/1.1 302 Found|content-length: 0|location: |cache-control: no-cache|"),
];

#[test]
fn answers() {
    for (rule, expected) in ANSWERS {
        let made = request(&[rule], GET).replace("\r\n", "|");
        assert_eq!(made, *expected, "{rule}");
    }
}

#[test]
fn rules_of_the_answer() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\n";
    for (lines, expected) in [
        (&["set-status 404"][..], "404 Not Found"),
        (&["set-status 404 reason \"a b\""], "404 a b"),
        (&["set-status 299"], "299 Success"),
        (
            &[
                "set-status 500 if { status 200 }",
                "set-status 404 if { status 500 }",
            ],
            "404 Not Found",
        ),
        (&["set-status 404 if { hdr(x-a) 1 }"], "200 OK"),
        (&["set-status 404 if { res.hdr(x-a) 1 }"], "404 Not Found"),
        (&["set-status 404 if { path /p }"], "200 OK"),
        (
            &[
                "set-header X-A %[hdr(x-a)]%[status]",
                "set-status 404 if { shdr(x-a) 1200 }",
            ],
            "404 Not Found",
        ),
    ] {
        let mut around = Around::default();
        let rules: Vec<_> = lines
            .iter()
            .map(|line| {
                let words = words(line);
                around
                    .compile(|c| compile_response_rule(&slices(&words), c))
                    .unwrap()
            })
            .collect();
        let mut parts = Parts::new(text);
        let mut subject = Subject {
            bytes: &parts.bytes,
            head: &parts.head,
            edits: &mut parts.edits,
        };
        let facts = Session::default();
        let rules = Rules::new(rules, &mut Planner::new(&around.acls));
        let verdict = evaluate_response(&rules, &around.acls, &facts, &mut subject, &mut scratch());
        assert!(matches!(verdict, Ok(Verdict::Continue)));
        let session = Session {
            response: Some(parts),
            ..Session::default()
        };
        let answer = crate::rules::Context::response(&session).unwrap();
        let made = format!("{} {}", answer.status(), shown(answer.reason()));
        assert_eq!(made, expected, "{lines:?}");
    }
}

#[test]
fn refusals_of_answers_are_502() {
    let mut around = Around::default();
    let rule = around
        .compile(|c| compile_response_rule(&[b"deny"], c))
        .unwrap();
    let mut parts = Parts::new(b"HTTP/1.1 200 OK\r\n\r\n");
    let mut subject = Subject {
        bytes: &parts.bytes,
        head: &parts.head,
        edits: &mut parts.edits,
    };
    let facts = Session::default();
    let rules = Rules::new(vec![rule], &mut Planner::new(&[]));
    let verdict = evaluate_response(&rules, &[], &facts, &mut subject, &mut scratch());
    match verdict {
        Ok(Verdict::Final(answer)) => {
            assert_eq!((answer.usual(), answer.kind), (Some(502), Kind::Deny));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_edit_that_does_not_fit_is_an_overflow() {
    let mut around = Around::default();
    let line = "set-header X %[path]%[path]%[path]";
    let words = words(line);
    let rules: Vec<_> = (0..200)
        .map(|_| {
            around
                .compile(|c| compile_request_rule(&slices(&words), c))
                .unwrap()
        })
        .collect();
    let mut parts = Parts::new(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2000)).as_bytes());
    let mut subject = Subject {
        bytes: &parts.bytes,
        head: &parts.head,
        edits: &mut parts.edits,
    };
    let facts = Session::default();
    let rules = Rules::new(rules, &mut Planner::new(&[]));
    let verdict = evaluate_request((&rules, 0), &[], &facts, &mut subject, &mut scratch());
    assert!(verdict.is_err());
}
