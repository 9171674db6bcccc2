//! Where one message ends and the next begins, and who left first.

use std::io::Write;
use std::net::Shutdown;

use crate::support::client::lowered_head;
use crate::support::origin::{Origin, Request};
use crate::support::{Flavour, flavour, until};
use crate::{Client, Gate, OK, Rig, answering, closing, common, silent};

#[test]
fn bytes_after_an_answer_never_reach_another_client() {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
                HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let rig = Rig::new(answering(evil), "", " http-reuse always");
    for n in 0..4 {
        assert_eq!(rig.get(&format!("/{n}")).0.text(), "ok");
    }
}

#[test]
fn a_denied_body_is_not_taken_for_the_next_request() {
    let rig = Rig::new(answering(OK), " http-request deny if { path /deny }", "");
    let mut client = rig.client();
    let body = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(format!(
        "POST /deny HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}\
         GET /next HTTP/1.1\r\nHost: h\r\n\r\n",
        body.len()
    ));
    assert_eq!(client.answer().status(), 403);
    // The next request is served, or the connection is closed: both read one request only.
    client.stream.shutdown(Shutdown::Write).unwrap();
    client.rest();
    let seen: Vec<String> = rig
        .origin
        .requests
        .rest()
        .iter()
        .map(|request| request.target().to_string())
        .collect();
    assert!(!seen.contains(&"/smuggled".to_string()), "{seen:?}");
}

#[test]
fn an_answer_before_the_end_of_the_body_leaves_no_bytes_behind() {
    let origin = Origin::scripted(|wire| {
        while let Some(head) = wire.head() {
            let body = Vec::new();
            let connection = wire.connection;
            wire.file(&Request {
                head: head.clone(),
                body,
                connection,
            });
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
            wire.body(&head);
        }
    });
    let rig = Rig::new(origin, "", " http-reuse always");
    let mut client = rig.client();
    client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n");
    assert_eq!(client.answer().text(), "early");
    // The proxy may go on with this connection or close it: what it must not do is take the body
    // for a request, here or on a server connection that another client gets.
    let body = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
    let next = "GET /after HTTP/1.1\r\nHost: h\r\n\r\n";
    let _ = client
        .stream
        .write_all(format!("{}{next}", &body[..20_000]).as_bytes());
    let _ = client.stream.shutdown(Shutdown::Write);
    client.rest();
    assert_eq!(rig.get("/other").0.text(), "early");
    for request in rig.origin.requests.rest() {
        assert!(
            ["/p", "/after", "/other"].contains(&request.target()),
            "{}",
            request.head
        );
    }
}

#[test]
fn head_gets_no_body_from_the_proxys_own_answers() {
    let rig = Rig::new(
        answering(OK),
        " http-request deny if { path /deny }\n\
         http-request return status 200 content-type text/plain string hello if { path /return }\n\
         http-request redirect location /x if { path /redirect }",
        "",
    );
    for (path, status, length) in [
        ("/deny", 403, "93"),
        ("/return", 200, "5"),
        ("/redirect", 302, "0"),
    ] {
        let mut client = rig.client();
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let head = lowered_head(&client.head());
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(
            head.contains(&format!("content-length: {length}\r\n")),
            "{head}"
        );
        client.finish();
    }
}

#[test]
fn an_upgrade_that_is_refused_stays_http() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    for _ in 0..2 {
        let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        assert_eq!(client.ask(request).text(), "ok");
    }
    client.finish();
}

#[test]
fn bytes_sent_before_the_upgrade_was_accepted_go_into_the_tunnel() {
    let origin = Origin::scripted(|wire| {
        wire.request();
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        );
        let bytes = wire.exactly(5);
        wire.send(bytes);
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly");
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.exactly(5), b"early");
}

#[test]
fn an_http_1_0_server_does_not_make_the_client_lose_its_connection() {
    let rig = Rig::new(
        closing("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        "",
        "",
    );
    let mut client = rig.client();
    for _ in 0..2 {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "ok");
    }
    client.finish();
}

#[test]
fn an_answer_with_bare_line_feeds_and_folds_is_made_regular() {
    let rig = Rig::new(
        answering("HTTP/1.1 200 OK\nX-A: one\n two\nContent-Length: 2\n\nok"),
        "",
        "",
    );
    let answer = rig.get("/").0;
    assert_eq!(answer.text(), "ok");
    let value = answer.headers("x-a").pop().unwrap();
    assert_eq!(value.split_whitespace().collect::<Vec<_>>(), ["one", "two"]);
}

#[test]
fn an_answer_with_both_framings_is_read_as_chunked() {
    let rig = Rig::new(
        closing(
            "HTTP/1.1 200 OK\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nok\r\n0\r\n\r\n",
        ),
        "",
        "",
    );
    let mut client = rig.client();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.text(), "ok");
    assert!(
        answer.headers("content-length").is_empty(),
        "{}",
        answer.head
    );
}

#[test]
fn a_chunked_answer_to_an_http_1_0_client_ends_with_the_connection() {
    let rig = Rig::new(
        answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        "",
        "",
    );
    let mut client = rig.client();
    // HAProxy leaves the chunks in, which RFC 9112 section 6.1 does not allow; either can be read.
    assert_eq!(client.ask("GET / HTTP/1.0\r\n\r\n").text(), "ok");
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_client_that_ends_inside_the_head_is_cr() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost:");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer().status(), 400);
    let line = rig.log.request("<BADREQ>");
    assert_eq!((line.status, line.state.as_str()), (400, "CR--"));
}

#[test]
fn a_client_that_leaves_inside_its_body_does_not_reach_the_end() {
    let rig = Rig::new(silent(), "", "");
    let mut client = rig.client();
    client.send("POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    drop(client);
    let line = rig.log.request("POST /half HTTP/1.1");
    assert_eq!(line.state.chars().next(), Some('C'), "{}", line.masked());
    let whole = |request: &Request| request.body.len() == 10;
    assert!(!rig.origin.requests.rest().iter().any(whole));
}

#[test]
fn a_server_that_leaves_during_the_upload_is_told_apart() {
    let origin = Origin::scripted(|wire| {
        wire.head();
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.answer().status(), 502);
    let line = rig.log.request("POST /up HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (502, "SH--"));
}

#[test]
fn the_global_limit_lets_connections_wait() {
    let gate = Gate::new();
    let config = common("frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@\n")
        .replace("defaults\n", "    maxconn 2\ndefaults\n");
    let rig = Rig::of(crate::gated(&gate), &config);
    let mut clients: Vec<Client> = (0..4).map(|_| rig.client()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(format!(
            "GET /{n} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        ));
    }
    rig.origin
        .requests
        .wait("two are served", |seen| (seen.len() == 2).then_some(()));
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn a_server_may_listen_on_a_unix_socket() {
    let config = common(
        "frontend f\n bind @fe@\n default_backend b\nbackend b\n server u unix@@dir@/inner.sock\n\
         frontend inner\n bind unix@@dir@/inner.sock\n http-request return status 207\n",
    );
    let rig = Rig::of(answering(OK), &config);
    assert_eq!(rig.ask("GET / HTTP/1.1\r\nHost: h").status(), 207);
}

#[test]
fn an_abstract_socket_and_ipv6_are_listened_on() {
    let name = format!("oneloop-test-{}", std::process::id());
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\nbackend b\n server u abns@{name}\n\
         frontend inner\n bind abns@{name}\n http-request return status 207\n"
    ));
    let rig = Rig::of(answering(OK), &config);
    assert_eq!(rig.ask("GET / HTTP/1.1\r\nHost: h").status(), 207);
    let Ok(probe) = std::net::TcpListener::bind("[::1]:0") else {
        return;
    };
    let six = probe.local_addr().unwrap();
    crate::support::end(&probe);
    let config = common(&format!(
        "frontend f\n bind @fe@\n bind {six}\n http-request return status 200 string %[src] content-type text/plain\n"
    ));
    let rig = Rig::of(answering(OK), &config);
    let mut client = until("the address is listened on", || {
        std::net::TcpStream::connect(six)
            .ok()
            .map(|_| Client::connect(six))
    });
    assert_eq!(
        client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(),
        200
    );
    drop(rig);
}

#[test]
fn one_thread_serves_whatever_is_asked_for() {
    let config = common("frontend f\n bind @fe@\n http-request return status 200\n")
        .replace("defaults\n", "    nbthread 2\ndefaults\n");
    let rig = Rig::of(answering(OK), &config);
    assert_eq!(rig.ask("GET / HTTP/1.1\r\nHost: h").status(), 200);
    if flavour() == Flavour::Oneloop {
        let warnings = rig.proxy.stderr.wait("the warning", |lines| {
            let count = lines
                .iter()
                .filter(|line| line.starts_with("[WARNING]"))
                .count();
            (count > 0).then_some(count)
        });
        assert_eq!(warnings, 1, "{:?}", rig.proxy.stderr.rest());
    }
}

/// The proxy is done with an answer of its own before it has looked at anything behind it: what
/// comes just then belongs to the next request.
#[test]
fn a_request_right_behind_an_own_answer_is_not_lost() {
    let config = common("frontend f\n bind @fe@\n http-request return status 200\n");
    let rig = Rig::of(answering(OK), &config);
    for _ in 0..300 {
        let mut client = rig.client();
        for _ in 0..3 {
            let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(answer.status(), 200);
        }
    }
}

/// A client that is heard of only while its request is under way: it leaves, and its request goes
/// with it.
#[test]
fn a_closing_client_that_leaves_early_is_noticed() {
    let config = common("listen l\n bind @fe@\n option abortonclose\n server s @s@\n");
    let rig = Rig::of(silent(), &config);
    let mut client = rig.client();
    client.send("GET /gone HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    rig.origin.requests.take("the request", |_| true);
    drop(client);
    assert_eq!(rig.log.request("GET /gone HTTP/1.1").state, "CH--");
}

/// What a client sends behind its last request is read before the close, which would be a reset
/// that takes the answer along.
#[test]
fn bytes_behind_the_last_request_do_not_cost_its_answer() {
    let gate = Gate::new();
    let rig = Rig::new(crate::gated(&gate), "", "");
    let mut client = rig.client();
    client.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    rig.origin.requests.take("the request", |_| true);
    client.send(vec![b'x'; 100_000]);
    gate.open();
    assert_eq!(client.answer().text(), "ok");
}
