//! The statistics as requests get them: the forms, who may see and change, what a service of the
//! engine does with bodies, slow clients and old ones.

use std::io::{Read, Write};

use crate::support::until;
use crate::support::{Flavour, flavour};
use crate::{OK, Rig, answering, common};

/// A frontend `f` with further lines and a backend `b` of two servers.
fn site(lines: &str) -> Rig {
    let config = common(&format!(
        "frontend f\n bind @fe@\n stats uri /stats\n{lines}\n default_backend b\n\
         backend b\n server s1 @s@\n server s2 @s@\n"
    ));
    Rig::of(answering(OK), &config)
}

/// The head of a POST of a form.
fn post(body: &str, more: &str) -> String {
    format!(
        "POST /stats HTTP/1.1\r\nHost: h\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The names in the first two columns of a CSV.
fn names(csv: &str) -> Vec<String> {
    let rows = csv.lines().skip(1).filter(|row| !row.is_empty());
    rows.map(|row| row.splitn(3, ',').take(2).collect::<Vec<_>>().join("/"))
        .collect()
}

/// The administrative state of a server of `b`, as the runtime socket tells it.
fn admin_state(rig: &Rig, server: &str) -> String {
    let state = rig.proxy.command("show servers state b");
    let row = state
        .lines()
        .find(|row| row.split(' ').nth(3) == Some(server));
    row.unwrap().split(' ').nth(6).unwrap().to_owned()
}

#[test]
fn every_form_is_answered_in_chunks_and_the_connection_stays() {
    let rig = site(" stats refresh 7");
    let mut client = rig.client();
    for (form, kind, refresh) in [
        (";csv", "text/plain", true),
        (";json", "application/json", true),
        (";typed", "text/plain", true),
        (";csv;norefresh", "text/plain", false),
        ("", "text/html", flavour() == Flavour::Oracle),
    ] {
        let request = format!("GET /stats{form} HTTP/1.1");
        let answer = client.ask(&format!("{request}\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{form}");
        assert_eq!(answer.headers("content-type"), [kind], "{form}");
        assert_eq!(answer.headers("cache-control"), ["no-cache"]);
        assert_eq!(answer.headers("transfer-encoding"), ["chunked"]);
        let wanted: &[&str] = if refresh { &["7"] } else { &[] };
        assert_eq!(answer.headers("refresh"), wanted, "{form}");
        let line = rig.log.request(&request);
        assert_eq!(
            (line.server.as_str(), line.state.as_str()),
            ("f/<STATS>", "LR--")
        );
        assert_eq!(
            (line.status, line.timers[1..4].to_vec()),
            (200, vec![0, 0, 0])
        );
        assert!(line.bytes > answer.body.len() as u64, "{line:?}");
    }
    client.finish();
}

#[test]
fn csv_and_json_are_those_of_the_runtime_socket() {
    let rig = site("");
    let csv = rig.ask("GET /stats;csv HTTP/1.1\r\nHost: h").text();
    let told = rig.proxy.command("show stat");
    assert_eq!(csv.lines().next(), told.lines().next());
    assert_eq!(names(&csv), names(told.trim_end()));
    assert_eq!(names(&csv), ["f/FRONTEND", "b/s1", "b/s2", "b/BACKEND"]);
    let mask = |json: &str| {
        let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
        let mut text: String = json.trim_end().chars().map(digits).collect();
        while text.contains("00") {
            text = text.replace("00", "0");
        }
        text
    };
    // Addresses and algorithms are for `show-legends`; the socket's caller is an administrator.
    let json = rig.ask("GET /stats;json HTTP/1.1\r\nHost: h").text();
    if flavour() == Flavour::Oneloop {
        let told = rig.proxy.command("user; show stat json");
        let same = mask(&json) == mask(told.trim_start());
        assert!(same, "{json}\n{told}");
    }
    assert!(!json.contains("\"addr\""));
}

#[test]
fn rows_are_chosen_by_scope_name_and_state() {
    let rig = site(" stats scope b\n stats scope .");
    rig.proxy.command("disable server b/s2");
    for (form, expected) in [
        (";csv", vec!["f/FRONTEND", "b/s1", "b/s2", "b/BACKEND"]),
        (";csv;up", vec!["f/FRONTEND", "b/s1", "b/BACKEND"]),
        (";no-maint;csv", vec!["f/FRONTEND", "b/s1", "b/BACKEND"]),
        (";csv;scope=nobody", vec![]),
    ] {
        let answer = rig.ask(&format!("GET /stats{form} HTTP/1.1\r\nHost: h"));
        assert_eq!(names(&answer.text()), expected, "{form}");
    }
    let rig = site(" stats scope b");
    let answer = rig.ask("GET /stats;csv HTTP/1.1\r\nHost: h");
    assert_eq!(names(&answer.text()), ["b/s1", "b/s2", "b/BACKEND"]);
}

#[test]
fn head_has_no_body_and_http_1_0_ends_with_the_connection() {
    let rig = site("");
    let mut client = rig.client();
    client
        .send("HEAD /stats HTTP/1.1\r\nHost: h\r\n\r\nGET /stats;csv HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
    let answer = client.answer();
    assert_eq!(names(&answer.text()).len(), 4);
    client.finish();
    if flavour() == Flavour::Oneloop {
        let mut client = rig.client();
        client.send("GET /stats;csv HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let head = client.head();
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        let body = String::from_utf8(client.rest()).unwrap();
        assert_eq!(names(&body).len(), 4);
    }
}

#[test]
fn other_methods_and_other_paths_go_to_the_servers() {
    let rig = site("");
    for request in ["PUT /stats", "DELETE /stats", "GET /other"] {
        let length = if request.starts_with("PUT") {
            "\r\nContent-Length: 0"
        } else {
            ""
        };
        let answer = rig.ask(&format!("{request} HTTP/1.1\r\nHost: h{length}"));
        assert_eq!(answer.text(), "ok", "{request}");
    }
    assert_eq!(
        rig.ask("GET /statsx HTTP/1.1\r\nHost: h")
            .headers("cache-control")
            .len(),
        1
    );
}

#[test]
fn rules_come_first_and_redirects_after() {
    let rig = site(
        " http-request deny if { path /stats/no }\n http-request set-path /stats if { path /new }\n\
         \x20redirect location /else",
    );
    for (path, status) in [
        ("/stats/no", 403),
        ("/new", 200),
        ("/stats", 200),
        ("/x", 302),
    ] {
        let answer = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: h"));
        assert_eq!(answer.status(), status, "{path}");
    }
}

/// `option httpclose` holds for answers of our own, too; and a target may have its authority.
#[test]
fn own_answers_close_where_all_do() {
    let rig = site(" option httpclose\n http-request return status 200 if { path /r }");
    for target in ["/stats;csv", "http://h/stats;csv", "/r"] {
        let mut client = rig.client();
        let answer = client.ask(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), 200, "{target}");
        assert_eq!(answer.headers("connection"), ["close"], "{target}");
        assert_eq!(client.rest(), b"", "{target}");
    }
}

/// `http-request allow` ends its own kind of rules only.
#[test]
fn allow_does_not_skip_the_redirects() {
    let rig = site(" http-request allow if { path /a }\n redirect location /else");
    assert_eq!(rig.ask("GET /a HTTP/1.1\r\nHost: h").status(), 302);
}

#[test]
fn a_name_and_a_password_are_asked_for() {
    let rig = site(" stats auth ann:secret\n stats auth bob:other\n stats realm Back\\ office");
    // ann:secret, bob:other, ann:other, and no base64.
    for (field, status) in [
        ("", 401),
        ("Authorization: Basic YW5uOnNlY3JldA==\r\n", 200),
        ("Authorization: basic Ym9iOm90aGVy\r\n", 200),
        ("Authorization: Basic YW5uOm90aGVy\r\n", 401),
        ("Authorization: Basic !!!\r\n", 401),
        ("Authorization: Bearer YW5uOnNlY3JldA==\r\n", 401),
    ] {
        let mut client = rig.client();
        let answer = client.ask(&format!(
            "GET /stats;csv HTTP/1.1\r\nHost: h\r\n{field}\r\n"
        ));
        assert_eq!(answer.status(), status, "{field}");
        if status == 401 {
            let asked = answer.headers("www-authenticate");
            assert_eq!(asked, ["Basic realm=\"Back office\""]);
            let line = rig.log.request("GET /stats;csv HTTP/1.1");
            assert_eq!(line.server, "f/<STATS>");
            if flavour() == Flavour::Oneloop {
                assert_eq!((line.status, line.state.as_str()), (401, "LR--"));
            }
        } else {
            rig.log.request("GET /stats;csv HTTP/1.1");
        }
    }
}

#[test]
fn lines_of_the_page_allow_deny_and_ask() {
    let rig = site(
        " stats http-request deny if { path_end .no }\n\
         \x20stats http-request auth realm R if { path_end .ask }\n stats http-request allow",
    );
    for (path, status) in [("/stats.no", 403), ("/stats.ask", 401), ("/stats", 200)] {
        let answer = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: h"));
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[test]
fn forms_change_servers_and_say_what_became_of_it() {
    let rig = site(" stats admin if { src 127.0.0.0/8 }");
    for (form, code, s1, s2) in [
        ("s=s1&action=drain&b=b", "DONE", "8", "0"),
        ("s=s1&action=maint&b=%23", "ERRP", "8", "0"),
        ("b=b&action=maint&s=s1&s=s2", "DONE", "1", "1"),
        ("s=s1&action=disable&b=b", "NONE", "1", "1"),
        ("s=s1&s=s9&action=ready&b=b", "PART", "0", "1"),
        ("s=s9&action=ready&b=b", "ERRP", "0", "1"),
        ("s=s2&action=ready&b=nobody", "ERRP", "0", "1"),
        ("s=s2&action=nothing&b=b", "ERRP", "0", "1"),
        ("s=s2&b=b", "NONE", "0", "1"),
        ("s=%732&action=ready&b=b", "DONE", "0", "0"),
        // Neither has checks, nor an agent; sessions may always be ended.
        ("s=s2&action=dhlth&b=b", "NONE", "0", "0"),
        ("s=s2&action=eagent&b=b", "NONE", "0", "0"),
        ("s=s2&action=shutdown&b=b", "DONE", "0", "0"),
        ("", "NONE", "0", "0"),
    ] {
        let mut client = rig.client();
        let answer = client.ask(&post(form, ""));
        assert_eq!(answer.status(), 303, "{form}");
        assert_eq!(
            answer.headers("location"),
            [format!("/stats;st={code}")],
            "{form}"
        );
        assert_eq!(answer.headers("content-length"), ["0"]);
        let states = (admin_state(&rig, "s1"), admin_state(&rig, "s2"));
        assert_eq!((states.0.as_str(), states.1.as_str()), (s1, s2), "{form}");
        let page = client.ask(&format!("GET /stats;st={code} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(page.status(), 200);
    }
    let answer = rig
        .client()
        .ask("POST /stats;up;norefresh HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(answer.headers("location"), ["/stats;st=NONE;up"]);
}

#[test]
fn nobody_changes_what_he_may_not() {
    let rig = site(" stats admin if { hdr(x-admin) yes }");
    let form = "s=s1&action=maint&b=b";
    let answer = rig.client().ask(&post(form, ""));
    assert_eq!(answer.headers("location"), ["/stats;st=DENY"]);
    assert_eq!(admin_state(&rig, "s1"), "0");
    let answer = rig.client().ask(&post(form, "x-admin: yes\r\n"));
    assert_eq!(answer.headers("location"), ["/stats;st=DONE"]);
    assert_eq!(admin_state(&rig, "s1"), "1");
}

/// A page of another site may make a browser send a form, with the password it knows.
#[test]
fn a_form_that_another_site_sends_is_denied() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let rig = site(" stats admin if TRUE");
    for (fields, denied) in [
        ("Origin: http://evil.example\r\n", true),
        ("Origin: null\r\n", true),
        ("Origin: http://h.evil.example\r\n", true),
        ("Sec-Fetch-Site: cross-site\r\n", true),
        ("Sec-Fetch-Site: same-site\r\nOrigin: http://h\r\n", true),
        ("Origin: http://h\r\n", false),
        ("Origin: https://H\r\n", false),
        (
            "Sec-Fetch-Site: same-origin\r\nOrigin: http://outside\r\n",
            false,
        ),
        ("", false),
    ] {
        let answer = rig.client().ask(&post("s=s1&action=drain&b=b", fields));
        let code = if denied { "DENY" } else { "DONE" };
        assert_eq!(
            answer.headers("location"),
            [format!("/stats;st={code}")],
            "{fields}"
        );
    }
}

/// `stats scope` says what a page is for: HAProxy's forms reach beyond it.
#[test]
fn what_is_not_shown_cannot_be_changed() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let rig = site(" stats admin if TRUE\n stats scope .");
    let answer = rig.client().ask(&post("s=s1&action=maint&b=b", ""));
    assert_eq!(answer.headers("location"), ["/stats;st=ERRP"]);
    assert_eq!(admin_state(&rig, "s1"), "0");
}

#[test]
fn a_form_may_come_in_pieces_in_chunks_or_when_asked_for() {
    let rig = site(" stats admin if TRUE");
    let mut client = rig.client();
    let whole = post("s=s1&action=maint&b=b", "");
    let (first, last) = whole.split_at(whole.len() - 9);
    client.send(first);
    assert_eq!(admin_state(&rig, "s1"), "0");
    assert_eq!(client.ask(last).headers("location"), ["/stats;st=DONE"]);
    assert_eq!(admin_state(&rig, "s1"), "1");
    let answer = client.ask(
        "POST /stats HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\ns=s1&\r\n10\r\naction=ready&b=b\r\n0\r\n\r\n",
    );
    assert_eq!(answer.headers("location"), ["/stats;st=DONE"]);
    client.send(
        "POST /stats HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 21\r\n\r\n",
    );
    assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    let answer = client.ask("s=s1&action=maint&b=bGET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.headers("location"), ["/stats;st=DONE"]);
    assert_eq!(client.answer().text(), "ok");
    client.finish();
}

#[test]
fn a_form_that_is_too_long_or_too_late_changes_nothing() {
    let rig = site(" stats admin if TRUE\n timeout http-request 300ms");
    let long = format!("s=s1&action=maint&b=b&x={}", "y".repeat(20_000));
    let mut client = rig.client();
    let answer = client.ask(&post(&long, ""));
    assert_eq!(answer.headers("location"), ["/stats;st=EXCD"]);
    let mut client = rig.client();
    client
        .send("POST /stats HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\ns=s1&action=maint&b=b");
    assert_eq!(client.answer().status(), 408);
    client.finish();
    let mut client = rig.client();
    client
        .send("POST /stats HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\ns=s1&action=maint&b=b");
    drop(client);
    rig.log.request("POST /stats HTTP/1.1");
    assert_eq!(admin_state(&rig, "s1"), "0");
}

/// Ten thousand rows come whole to one who reads slowly, and nobody waits for him.
#[test]
fn a_long_answer_comes_in_pieces_and_holds_nobody_up() {
    let mut config = common("frontend f\n bind @fe@\n stats uri /stats\n default_backend b0\n");
    for backend in 0..10 {
        config += &format!("backend b{backend}\n server s @s@\n");
        for server in 1..1_000 {
            config += &format!(" server s{server} @s@ disabled\n");
        }
    }
    let rig = Rig::of(answering(OK), &config);
    let mut slow = rig.client();
    slow.send("GET /stats;csv HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = slow.head();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    // It does not read on, and others are served all the same.
    for _ in 0..20 {
        assert_eq!(rig.ask("GET /x HTTP/1.1\r\nHost: h").text(), "ok");
    }
    let mut wire = Vec::new();
    let mut read = slow.exactly(10);
    while !wire.ends_with(b"\r\n0\r\n\r\n") {
        wire.append(&mut read);
        let mut more = [0; 65_536];
        let n = slow.stream.read(&mut more).unwrap();
        assert!(n > 0, "cut after {} bytes", wire.len());
        read.extend_from_slice(&more[..n]);
        if wire.is_empty() || !read.ends_with(b"\r\n0\r\n\r\n") {
            continue;
        }
        wire.append(&mut read);
    }
    let rows = wire.windows(7).filter(|seven| *seven == b",MAINT,").count();
    // A piece may be cut inside the word.
    assert!((9_700..=9_990).contains(&rows), "{rows} rows");
    // Who goes away in the middle takes nothing along.
    let mut gone = rig.client();
    gone.stream
        .write_all(b"GET /stats;json HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    gone.exactly(100);
    drop(gone);
    let line = rig.log.request("GET /stats;json HTTP/1.1");
    assert_eq!(line.state, "LR--");
    until("the connection is gone", || {
        let info = rig.proxy.command("show info");
        info.contains("\nCurrConns: 1\n").then_some(())
    });
    assert_eq!(rig.ask("GET /x HTTP/1.1\r\nHost: h").text(), "ok");
}

#[test]
fn nothing_of_a_configuration_is_html() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let rig = site(
        " stats show-desc <script>alert(1)</script> &amp; \\\"quoted\\\"\n stats show-node node-1\n\
         \x20stats hide-version\n stats admin if TRUE\n stats show-legends\n stats show-modules",
    );
    let answer = rig.ask("GET /stats;st=%3Cscript%3E;scope=<b> HTTP/1.1\r\nHost: h");
    let page = answer.text();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp;amp; &quot;quoted&quot;"));
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
    assert!(!page.contains("version 0."), "hidden");
    assert!(page.contains("<h1>Statistics of node-1</h1>"));
    let policy = answer.headers("content-security-policy").concat();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    // One document: nothing else is asked for.
    for outside in ["src=", "http://", "https://", "<link rel=\"stylesheet"] {
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(outside), "{outside}");
    }
    for name in ["s1", "s2"] {
        assert!(page.contains(&format!(
            "<input type=\"checkbox\" name=\"s\" value=\"{name}\">"
        )));
    }
}

#[test]
fn who_may_change_nothing_sees_no_forms_and_no_refresh_without_a_script_is_lost() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let rig = site(" stats refresh 5s");
    let page = rig.ask("GET /stats HTTP/1.1\r\nHost: h").text();
    assert!(!page.contains("<form") && !page.contains("type=\"checkbox\" name"));
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>"));
    let page = rig.ask("GET /stats;norefresh HTTP/1.1\r\nHost: h").text();
    assert!(!page.contains("http-equiv"));
}
