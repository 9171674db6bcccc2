//! Rules: routing by ACL, changing what passes, answering without a server.

use crate::support::client::lowered_head;
use crate::support::proxy::Setup;
use crate::support::{Flavour, flavour};
use crate::{OK, Rig, answering, common};

/// A frontend whose ACL line decides between the answers 200 (`@s@`) and 404.
fn matching(acl: &str) -> Rig {
    let config = common(&format!(
        "frontend f\n bind @fe@\n {acl}\n use_backend b if hit\n default_backend none\n\
         backend b\n server s @s@\n\
         backend none\n http-request deny deny_status 404\n"
    ));
    Rig::of(answering(OK), &config)
}

/// Which of these request heads reach the server.
fn hits(rig: &Rig, requests: &[&str]) -> Vec<bool> {
    requests
        .iter()
        .map(|request| rig.ask(request).status() == 200)
        .collect()
}

#[test]
fn path_matches_in_all_their_forms() {
    for (acl, yes, no) in [
        ("path /a/b", "/a/b?q", "/a/bc"),
        ("path_beg /a", "/ab", "/ba"),
        ("path_end .png .jpg", "/x.jpg", "/x.jpg/"),
        ("path_sub mid", "/amidb", "/mi/d"),
        ("path_dir static", "/x/static/y", "/xstatic/y"),
        ("path_reg ^/[0-9]+$", "/123", "/12a"),
        ("path_len 3", "/ab", "/abc"),
        ("path -i /ABC", "/abc", "/abd"),
        ("path -m beg /m", "/mx", "/x"),
        ("url_beg /u", "/u?x", "/x"),
        ("query a=1", "/?a=1", "/?a=12"),
        ("url_param(id) 7", "/?x=1&id=7", "/?id=8"),
        ("method POST GET", "/", "/"),
    ] {
        let rig = matching(&format!("acl hit {acl}"));
        let (yes_head, no_head) = match acl {
            "method POST GET" => (
                "GET / HTTP/1.1\r\nHost: h".into(),
                "PUT / HTTP/1.1\r\nHost: h".into(),
            ),
            _ => (
                format!("GET {yes} HTTP/1.1\r\nHost: h"),
                format!("GET {no} HTTP/1.1\r\nHost: h"),
            ),
        };
        let (yes_head, no_head): (String, String) = (yes_head, no_head);
        assert_eq!(hits(&rig, &[&yes_head, &no_head]), [true, false], "{acl}");
    }
}

#[test]
fn header_matches_in_all_their_forms() {
    let request = |field: &str| format!("GET / HTTP/1.1\r\nHost: www.a.example\r\n{field}");
    for (acl, yes, no) in [
        ("hdr(x-a) one", "X-A: one", "X-A: ones"),
        ("hdr(x-a) two", "X-A: one, two", "X-A: onetwo"),
        ("req.hdr(x-a) two", "X-A: one\r\nX-A: two", "X-B: two"),
        ("hdr_beg(x-a) on", "X-A: one", "X-A: none"),
        ("hdr_end(x-a) ne", "X-A: one", "X-A: net"),
        ("hdr_sub(x-a) n", "X-A: one", "X-A: two"),
        ("hdr_dir(x-a) b", "X-A: a/b/c", "X-A: ab/c"),
        ("hdr_reg(x-a) -i ^O", "X-A: one", "X-A: two"),
        ("hdr_len(x-a) 3", "X-A: one", "X-A: three"),
        ("hdr_dom(x-a) b.c", "X-A: a.b.c", "X-A: ab.c"),
        ("hdr_cnt(x-a) 2", "X-A: 1\r\nX-A: 2", "X-A: 1"),
        ("hdr_val(x-a) gt 5", "X-A: 6", "X-A: 5"),
        ("hdr(x-a) -m found", "X-A: ", "X-B: 1"),
    ] {
        let rig = matching(&format!("acl hit {acl}"));
        assert_eq!(
            hits(&rig, &[&request(yes), &request(no)]),
            [true, false],
            "{acl}"
        );
    }
}

#[test]
fn address_and_constant_matches() {
    let request = "GET / HTTP/1.1\r\nHost: h";
    for (acl, hit) in [
        ("src 127.0.0.1", true),
        ("src 10.0.0.0/8 127.0.0.0/8", true),
        ("src 10.0.0.0/8", false),
        ("dst 127.0.0.0/8", true),
        ("dst_port 1", false),
        ("dst_port 1024:65535", true),
        ("always_true", true),
        ("always_false", false),
    ] {
        let rig = matching(&format!("acl hit {acl}"));
        assert_eq!(hits(&rig, &[request]), [hit], "{acl}");
    }
}

#[test]
fn conditions_combine_with_and_or_not_and_unless() {
    let config = common(
        "frontend f\n bind @fe@\n\
         acl a hdr(x) -m sub a\n acl b hdr(x) -m sub b\n acl c hdr(x) -m sub c\n\
         http-request return status 201 if a b\n\
         http-request return status 202 if a !c or b\n\
         http-request return status 404 unless a || { hdr(x) z }\n\
         http-request return status 403 if { method GET } c\n\
         http-request deny deny_status 500\n",
    );
    let rig = Rig::of(answering(OK), &config);
    for (value, status) in [
        ("ab", 201),
        ("a", 202),
        ("b", 202),
        ("abc", 201),
        ("c", 404),
        ("-", 404),
        ("ac", 403),
        ("z", 500),
    ] {
        let answer = rig.ask(&format!("GET / HTTP/1.1\r\nHost: h\r\nX: {value}"));
        assert_eq!(answer.status(), status, "{value}");
    }
}

#[test]
fn patterns_can_stand_in_a_file_and_after_two_dashes() {
    let config = common(
        "frontend f\n bind @fe@\n\
         acl file path_beg -i -f @dir@/paths\n acl dash path -- -f\n\
         http-request return status 201 if file\n\
         http-request return status 404\n",
    );
    let mut setup = Setup::new(&config).file("paths", "# comment\n/one\n\n/TWO\n");
    let _log = setup.log();
    let proxy = setup.start();
    let status = |path: &str| {
        let mut client = crate::Client::connect(proxy.addr("fe"));
        client
            .ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .status()
    };
    let statuses = ["/one/1", "/two", "/three"].map(status);
    assert_eq!(statuses, [201, 201, 404]);
}

#[test]
fn a_map_routes_by_the_longest_prefix_and_the_rest_goes_to_the_default() {
    let config = common(
        "frontend f\n bind @fe@\n\
         use_backend %[path,map_beg(@dir@/paths)]\n default_backend last\n\
         backend first\n http-request return status 201 hdr x-map \
         \"%[path,map_regm(@dir@/names,none)] %[src,map_ip(@dir@/networks)]\"\n\
         backend second\n http-request return status 202\n\
         backend last\n http-request return status 203\n",
    );
    let mut setup = Setup::new(&config)
        .file(
            "paths",
            "# where to\n\n/a first\n  /a/b \tsecond\n/a third\n/c nobody\n/d\n",
        )
        .file(
            "networks",
            "0.0.0.0/0 somewhere\n127.0.0.0/8 here\n127.0.0.77 there\n",
        )
        .file("names", "^/a/(.*)/x it is \\1!\n");
    let _log = setup.log();
    let proxy = setup.start();
    let ask = |path: &str| {
        let mut client = crate::Client::connect(proxy.addr("fe"));
        client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
    };
    for (path, status) in [
        ("/a", 201),
        ("/abc", 201),
        ("/a/bc", 202),
        ("/A", 203),
        // No such backend, and no name at all.
        ("/c", 203),
        ("/d", 203),
    ] {
        assert_eq!(ask(path).status(), status, "{path}");
    }
    for (path, value) in [("/a/n/x", "it is n! here"), ("/a/n", "none here")] {
        let answer = ask(path);
        assert_eq!(answer.headers("x-map"), [value], "{path}");
    }
}

#[test]
fn acls_of_one_name_are_alternatives_and_predefined_ones_exist() {
    let rig = matching("acl hit path /a\n acl hit path /b\n use_backend b if METH_OPTIONS");
    let requests = ["GET /a", "GET /b", "GET /c", "OPTIONS /c"]
        .map(|line| format!("{line} HTTP/1.1\r\nHost: h"));
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    assert_eq!(hits(&rig, &requests), [true, true, false, true]);
}

#[test]
fn the_first_matching_use_backend_decides() {
    let config = common(
        "frontend f\n bind @fe@\n\
         use_backend first if { path_beg /a }\n use_backend second if { path_beg /ab }\n\
         default_backend last\n\
         backend first\n http-request return status 201\n\
         backend second\n http-request return status 202\n\
         backend last\n http-request return status 203\n",
    );
    let rig = Rig::of(answering(OK), &config);
    let statuses: Vec<i32> = ["/abc", "/b"].map(|p| rig.get(p).0.status()).to_vec();
    assert_eq!(statuses, [201, 203]);
    assert_eq!(rig.get("/ab").1.server, "first/<NOSRV>");
}

#[test]
fn deny_answers_403_or_what_it_is_told() {
    let rig = Rig::new(
        answering(OK),
        " http-request deny if { path /403 }\n\
         http-request deny deny_status 429 if { path /429 }",
        "",
    );
    let (answer, line) = rig.get("/403");
    let expected = "HTTP/1.1 403 Forbidden\r\ncontent-length: 93\r\n\
                    cache-control: no-cache\r\ncontent-type: text/html\r\n\r\n";
    assert_eq!(answer.lowered_head(), expected);
    let page = "<html><body><h1>403 Forbidden</h1>\n\
                Request forbidden by administrative rules.\n\
                </body></html>\n";
    assert_eq!(answer.text(), page);
    let bytes = flavour().bytes(197);
    let expected = format!(
        "f f/<NOSRV> T/-1/-1/-1/T 403 {bytes} - - PR-- 1/1/0/0/0 0/0 \"GET /403 HTTP/1.1\""
    );
    assert_eq!(line.masked(), expected);
    let (answer, line) = rig.get("/429");
    assert_eq!(
        (answer.status(), line.status, line.state.as_str()),
        (429, 429, "PR--")
    );
    assert!(rig.origin.requests.rest().is_empty());
}

#[test]
fn a_denied_request_leaves_the_connection_usable() {
    let rig = Rig::new(answering(OK), " http-request deny if { path /no }", "");
    let mut client = rig.client();
    for (path, status) in [("/no", 403), ("/yes", 200), ("/no", 403), ("/yes", 200)] {
        let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), status);
    }
    client.finish();
}

#[test]
fn return_answers_by_itself() {
    let rig = Rig::new(
        answering(OK),
        " http-request return status 200 content-type text/plain string \"hi\" hdr X-Own %[path] if { path /hi }\n\
         http-request return status 418 content-type text/plain lf-string \"path=%[path]\\n\"",
        "",
    );
    let (answer, line) = rig.get("/hi");
    let expected =
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\nx-own: /hi\r\n\r\n";
    let mut fields: Vec<String> = answer
        .lowered_head()
        .trim_end()
        .split("\r\n")
        .map(str::to_string)
        .collect();
    let mut expected: Vec<&str> = expected.trim_end().split("\r\n").collect();
    fields.sort();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(answer.text(), "hi");
    assert!(
        line.masked().starts_with("f f/<NOSRV> T/-1/-1/-1/T 200 "),
        "{}",
        line.masked()
    );
    assert_eq!(line.state, "LR--");
    let (answer, line) = rig.get("/x");
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (418, "path=/x\n")
    );
    assert_eq!((line.status, line.state.as_str()), (418, "LR--"));
}

#[test]
fn redirects_by_location_prefix_and_scheme() {
    let rig = Rig::new(
        answering(OK),
        " http-request redirect location /new if { path /location }\n\
         http-request redirect prefix https://p.example code 301 if { path_beg /prefix }\n\
         http-request redirect scheme https code 308 if { path /scheme }",
        "",
    );
    let (answer, line) = rig.get("/location");
    let expected = "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /new\r\n\
                    cache-control: no-cache\r\n\r\n";
    assert_eq!(answer.lowered_head(), expected);
    let bytes = flavour().bytes(90);
    let expected = format!(
        "f f/<NOSRV> T/-1/-1/-1/T 302 {bytes} - - LR-- 1/1/0/0/0 0/0 \"GET /location HTTP/1.1\""
    );
    assert_eq!(line.masked(), expected);
    for (path, status, location) in [
        ("/prefix/a?b=c", 301, "https://p.example/prefix/a?b=c"),
        ("/scheme", 308, "https://h/scheme"),
    ] {
        let answer = rig.get(path).0;
        assert_eq!(
            (answer.status(), answer.headers("location")),
            (status, vec![location.to_string()])
        );
    }
}

/// Sends one raw request through these backend rules and gives the head the origin got.
fn rewritten(rules: &str, request: &str) -> String {
    let rig = Rig::new(answering(OK), "", rules);
    assert_eq!(rig.ask(request).status(), 200, "{rules}");
    lowered_head(&rig.origin.requests.take("the request", |_| true).head)
}

#[test]
fn paths_are_set_and_replaced_and_the_query_stays() {
    for (rule, target, sent) in [
        ("set-path /new", "/old?q=1", "/new?q=1"),
        ("set-path /p%[path]", "/old?q=1", "/p/old?q=1"),
        (
            "replace-path (.*)/old(.*) \\1/new\\2",
            "/a/old/b?old=1",
            "/a/new/b?old=1",
        ),
        ("replace-path ^/([^/]*)/([^/]*)$ /\\2/\\1", "/a/b", "/b/a"),
        ("replace-path ^/(x)?(y)$ /[\\1\\2\\0]", "/y", "/[y/y]"),
        ("replace-path nomatch /x", "/same", "/same"),
        ("replace-path /app1(/)?(.*) /\\2", "/app1/x%20y", "/x%20y"),
    ] {
        let head = rewritten(
            &format!(" http-request {rule}"),
            &format!("GET {target} HTTP/1.1\r\nHost: h"),
        );
        assert_eq!(
            head,
            format!("GET {sent} HTTP/1.1\r\nhost: h\r\n\r\n"),
            "{rule}"
        );
    }
}

#[test]
fn request_headers_are_set_added_deleted_and_replaced() {
    let request = "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: 2\r\nX-B: one, two\r\nX-C: keep";
    for (rules, fields) in [
        (
            "set-header X-A new",
            &["x-b: one, two", "x-c: keep", "x-a: new"][..],
        ),
        (
            "add-header X-A 3",
            &["x-a: 1", "x-a: 2", "x-b: one, two", "x-c: keep", "x-a: 3"],
        ),
        ("del-header X-A", &["x-b: one, two", "x-c: keep"]),
        ("del-header x- -m beg", &[]),
        (
            "replace-header X-C k(.*)p [\\1]",
            &["x-a: 1", "x-a: 2", "x-b: one, two", "x-c: [ee]"],
        ),
        (
            "replace-header X-A 2 two",
            &["x-a: 1", "x-a: two", "x-b: one, two", "x-c: keep"],
        ),
        (
            "set-header X-D %[src]:%[hdr(x-c)]-%[method]",
            &[
                "x-a: 1",
                "x-a: 2",
                "x-b: one, two",
                "x-c: keep",
                "x-d: 127.0.0.1:keep-GET",
            ],
        ),
        (
            "set-header X-D \"a b\" if { path / }\n http-request del-header X-D unless { path /x }",
            &["x-a: 1", "x-a: 2", "x-b: one, two", "x-c: keep"],
        ),
    ] {
        let head = rewritten(&format!(" http-request {rules}"), request);
        let got: Vec<&str> = head.trim_end().split("\r\n").skip(2).collect();
        assert_eq!(got, fields, "{rules}");
    }
}

#[test]
fn response_headers_are_set_added_deleted_and_replaced() {
    let answer = "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nX-C: keep\r\nContent-Length: 2\r\n\r\nok";
    for (rules, fields) in [
        (
            "set-header X-A new",
            &["x-c: keep", "content-length: 2", "x-a: new"][..],
        ),
        (
            "add-header X-A 3",
            &[
                "x-a: 1",
                "x-a: 2",
                "x-c: keep",
                "content-length: 2",
                "x-a: 3",
            ],
        ),
        ("del-header X-A", &["x-c: keep", "content-length: 2"]),
        (
            "replace-header X-C k(.*)p [\\1]",
            &["x-a: 1", "x-a: 2", "x-c: [ee]", "content-length: 2"],
        ),
        (
            "set-header X-S %[status] if { status 200 }\n http-response del-header X-A",
            &["x-c: keep", "content-length: 2", "x-s: 200"],
        ),
    ] {
        let rig = Rig::new(answering(answer), "", &format!(" http-response {rules}"));
        let head = rig.get("/").0.lowered_head();
        // oneloop adds the date that the origin leaves out.
        let got = head.trim_end().split("\r\n").skip(1);
        let got: Vec<&str> = got.filter(|line| !line.starts_with("date: ")).collect();
        assert_eq!(got, fields, "{rules}");
    }
}

#[test]
fn header_rules_leave_the_spelling_of_the_configuration() {
    let rig = Rig::new(answering(OK), " http-request set-header X-MiXed 1", "");
    rig.get("/");
    let head = rig.origin.requests.take("the request", |_| true).head;
    let expected = match flavour() {
        Flavour::Oneloop => "\r\nX-MiXed: 1\r\n",
        Flavour::Oracle => "\r\nx-mixed: 1\r\n",
    };
    assert!(head.contains(expected), "{head}");
}

#[test]
fn frontend_rules_run_before_backend_rules_and_routing() {
    let config = common(
        "frontend f\n bind @fe@\n http-request set-path /moved if { path /start }\n\
         use_backend b if { path /moved }\n\
         backend b\n http-request set-path /again if { path /moved }\n server s @s@\n",
    );
    let rig = Rig::of(answering(OK), &config);
    assert_eq!(rig.get("/start").0.status(), 200);
    assert_eq!(
        rig.origin.requests.take("the request", |_| true).target(),
        "/again"
    );
}

#[test]
fn monitor_uri_answers_200_by_itself_and_is_not_logged() {
    let rig = Rig::new(
        answering(OK),
        " monitor-uri /alive\n option dontlognull",
        "",
    );
    let answer = rig.ask("GET /alive HTTP/1.1\r\nHost: h");
    let page = "<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n";
    assert_eq!((answer.status(), answer.text().as_str()), (200, page));
    assert!(rig.origin.requests.rest().is_empty());
    rig.get("/later");
    assert!(
        rig.log.records.rest().is_empty(),
        "{:?}",
        rig.log.records.rest()
    );
}

#[test]
fn listen_is_a_frontend_and_a_backend_in_one() {
    let config = common("listen l\n bind @fe@\n server s @s@\n");
    let rig = Rig::of(answering(OK), &config);
    let line = rig.get("/").1;
    assert_eq!((line.frontend.as_str(), line.server.as_str()), ("l", "l/s"));
}

#[test]
fn defaults_are_inherited_by_what_follows_and_by_name() {
    let config = "\
        global\n log @log@ local0\n stats socket @dir@/admin.sock level admin\n\
        defaults one\n mode http\n log global\n option httplog\n\
         timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         option httpclose\n\
        defaults two from one\n no option httpclose\n\
        frontend f from two\n bind @fe@\n default_backend b\n\
        frontend g from one\n bind @g@\n default_backend b\n\
        backend b from two\n server s @s@\n";
    let rig = Rig::of(answering(OK), config);
    let connection = |addr| {
        let answer = crate::Client::connect(addr).ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        answer.headers("connection")
    };
    assert!(connection(rig.addr()).is_empty());
    assert_eq!(connection(rig.proxy.addr("g")), ["close"]);
}
