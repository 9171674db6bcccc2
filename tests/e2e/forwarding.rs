//! Connections: kept alive on both sides, reused, pipelined, upgraded, half-closed, slow.

use std::io::{Read, Write};

use crate::support::client::Client;
use crate::support::origin::{Origin, Request};
use crate::support::{Flavour, flavour};
use crate::{Gate, OK, Rig, answering, closing, losing_the_second};

/// The connection numbers of the requests that the origin saw.
fn connections(rig: &Rig) -> Vec<usize> {
    rig.origin
        .requests
        .rest()
        .iter()
        .map(|request| request.connection)
        .collect()
}

#[test]
fn both_sides_are_kept_alive() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    for n in 0..5 {
        let answer = client.ask(&format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        assert!(answer.headers("connection").is_empty(), "{}", answer.head);
    }
    client.finish();
    assert_eq!(connections(&rig), [0; 5]);
}

#[test]
fn reuse_always_gives_the_next_client_the_idle_server_connection() {
    let rig = Rig::new(answering(OK), "", " http-reuse always");
    rig.get("/1");
    rig.get("/2");
    assert_eq!(connections(&rig), [0, 0]);
}

#[test]
fn reuse_never_opens_a_connection_for_each_client() {
    let rig = Rig::new(answering(OK), "", " http-reuse never");
    rig.get("/1");
    rig.get("/2");
    assert_eq!(connections(&rig), [0, 1]);
}

#[test]
fn reuse_safe_does_not_risk_a_first_request_on_an_untried_connection() {
    let rig = Rig::new(answering(OK), "", " http-reuse safe");
    rig.get("/1");
    rig.get("/2");
    assert_eq!(connections(&rig), [0, 1]);
}

#[test]
fn an_idle_server_connection_that_closed_is_not_used_again() {
    let origin = Origin::scripted(|wire| {
        let Some(head) = wire.head() else { return };
        wire.send(OK);
        wire.stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Filed only now, so that the test knows of the close before it asks again.
        wire.file(&Request {
            head,
            body: Vec::new(),
            connection: wire.connection,
        });
    });
    let rig = Rig::new(origin, "", " http-reuse always");
    let mut client = rig.client();
    for n in 0..4 {
        assert_eq!(
            client
                .ask(&format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"))
                .text(),
            "ok"
        );
        rig.origin
            .requests
            .wait("the close", |filed| (filed.len() == n + 1).then_some(()));
    }
    client.finish();
    assert_eq!(connections(&rig), [0, 1, 2, 3]);
}

#[test]
fn server_close_option_keeps_only_the_client_side() {
    let rig = Rig::new(answering(OK), "", " option http-server-close");
    let mut client = rig.client();
    client.ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    let answer = client.ask("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.headers("connection").is_empty(), "{}", answer.head);
    client.finish();
    assert_eq!(connections(&rig), [0, 1]);
    let request = rig.origin.requests.rest().remove(0);
    assert_eq!(request.headers("connection"), ["close"]);
}

#[test]
fn httpclose_option_closes_both_sides() {
    let rig = Rig::new(answering(OK), " option httpclose", "");
    let mut client = rig.client();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.headers("connection"), ["close"]);
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_client_that_asks_for_close_gets_it_and_the_server_side_stays() {
    let rig = Rig::new(answering(OK), "", " http-reuse always");
    for n in 0..2 {
        let mut client = rig.client();
        let request = format!("GET /{n} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        let answer = client.ask(&request);
        assert_eq!(answer.headers("connection"), ["close"]);
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(connections(&rig), [0, 0]);
    assert!(
        rig.origin.requests.rest()[0]
            .headers("connection")
            .is_empty()
    );
}

#[test]
fn a_server_that_closes_does_not_close_the_client_side() {
    let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let rig = Rig::new(closing(answer), "", "");
    let mut client = rig.client();
    for n in 0..3 {
        let answer = client.ask(&format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.text(), "ok");
        assert!(answer.headers("connection").is_empty(), "{}", answer.head);
    }
    client.finish();
}

#[test]
fn pipelined_requests_are_answered_in_order_and_routed_one_by_one() {
    let other = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
    let config = crate::common(&format!(
        "frontend f\n bind @fe@\n use_backend o if {{ path_beg /o }}\n default_backend b\n\
         backend b\n server s @s@\n\
         backend o\n server s {}\n",
        other.addr
    ));
    let rig = Rig::of(answering(OK), &config);
    let mut client = rig.client();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n\
         POST /o HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody\
         GET /3 HTTP/1.1\r\nHost: h\r\n\r\n\
         POST /4 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
         GET /o5 HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let texts: Vec<String> = (0..5).map(|_| client.answer().text()).collect();
    assert_eq!(texts, ["ok", "other", "ok", "ok", "other"]);
    client.finish();
    let seen: Vec<String> = rig
        .origin
        .requests
        .rest()
        .iter()
        .map(|r| r.target().to_string())
        .collect();
    assert_eq!(seen, ["/1", "/3", "/4"]);
    let servers = ["GET /1", "POST /o", "GET /3", "POST /4", "GET /o5"]
        .map(|request| rig.log.request(&format!("{request} HTTP/1.1")).server);
    assert_eq!(servers, ["b/s", "o/s", "b/s", "b/s", "o/s"]);
}

#[test]
fn an_http_1_0_client_is_closed_after_its_answer() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    let answer = client.ask("GET /q HTTP/1.0\r\nHost: h\r\n\r\n");
    assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 200 OK"));
    assert_eq!(answer.headers("connection"), ["close"]);
    assert_eq!(client.rest(), b"");
    let request = rig.origin.requests.rest().remove(0);
    let head = crate::support::client::lowered_head(&request.head);
    assert_eq!(
        head,
        match flavour() {
            // Each hop speaks its own version.
            Flavour::Oneloop => "GET /q HTTP/1.1\r\nhost: h\r\n\r\n",
            Flavour::Oracle => "GET /q HTTP/1.0\r\nhost: h\r\nconnection: keep-alive\r\n\r\n",
        }
    );
}

#[test]
fn an_http_1_0_client_may_ask_to_be_kept() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    for _ in 0..2 {
        let answer = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(answer.headers("connection"), ["keep-alive"]);
    }
    client.finish();
}

#[test]
fn an_answer_without_length_ends_with_the_connection() {
    let rig = Rig::new(
        closing("HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nuntil the end"),
        "",
        "",
    );
    let mut client = rig.client();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.text(), "until the end");
    assert_eq!(answer.headers("connection"), ["close"]);
    assert_eq!(rig.log.request("GET / HTTP/1.1").state, "----");
}

#[test]
fn an_upgraded_connection_carries_any_bytes_both_ways() {
    let origin = Origin::scripted(|wire| {
        let request = wire.request().unwrap();
        assert_eq!(request.headers("upgrade"), ["echo"]);
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        );
        loop {
            match wire.exactly(4) {
                bytes if bytes.is_empty() => return,
                bytes => wire.send(bytes),
            }
        }
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for piece in [b"\0\x01\x02\xff", b"GET ", b"\r\n\r\n"] {
        client.send(piece);
        assert_eq!(client.exactly(4), piece);
    }
    client.finish();
    let line = rig.log.request("GET /chat HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (101, "----"));
}

#[test]
fn connect_becomes_a_tunnel_once_it_is_accepted() {
    let origin = Origin::scripted(|wire| {
        wire.request().unwrap();
        wire.send("HTTP/1.1 200 Connection established\r\n\r\n");
        let bytes = wire.exactly(5);
        wire.send(bytes);
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200 "));
    client.send(b"\x16\x03\x01\0\0");
    assert_eq!(client.exactly(5), b"\x16\x03\x01\0\0");
    client.finish();
    let line = rig.log.request("CONNECT example.com:443 HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (200, "----"));
}

#[test]
fn a_refused_connect_stays_http() {
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    let rig = Rig::new(answering(refusal), "", "");
    let mut client = rig.client();
    client.send("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
}

#[test]
fn a_client_that_half_closes_is_answered_in_full() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    client.send("GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.answer().text(), "ok");
    assert_eq!(client.rest(), b"");
    assert_eq!(rig.log.request("GET /half HTTP/1.1").state, "----");
}

#[test]
fn a_head_that_comes_byte_by_byte_is_a_request() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    for byte in b"GET /slow HTTP/1.1\r\nHost: h\r\nX-Long: 0123456789\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.answer().text(), "ok");
    client.finish();
    let request = rig.origin.requests.rest().remove(0);
    assert_eq!(request.headers("x-long"), ["0123456789"]);
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_an_answer() {
    let origin = Origin::scripted(|wire| {
        wire.stream.set_nodelay(true).unwrap();
        while wire.request().is_some() {
            for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            {
                wire.send([*byte]);
            }
        }
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    for _ in 0..2 {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text(), "ok");
    }
    client.finish();
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let origin = Origin::scripted(|wire| {
        let head = wire.head().unwrap();
        wire.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        wire.body(&head);
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nfirst bytes");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "big"));
    drop(client);
    assert_eq!(rig.log.request("POST /up HTTP/1.1").status, 413);
}

#[test]
fn a_client_that_reads_slowly_holds_nothing_up_but_itself() {
    let origin = Origin::scripted(|wire| {
        while let Some(request) = wire.request() {
            let len = if request.target() == "/big" {
                4 << 20
            } else {
                2
            };
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n"));
            wire.send(vec![b'x'; len]);
        }
    });
    let rig = Rig::new(origin, "", "");
    let mut slow = rig.client();
    slow.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.origin
        .requests
        .take("the big request", |request| request.target() == "/big");
    // It has not read a byte; the others are served meanwhile.
    for _ in 0..3 {
        assert_eq!(rig.get("/small").0.text(), "xx");
    }
    let answer = slow.answer();
    assert_eq!(answer.body.len(), 4 << 20);
    assert!(answer.body.iter().all(|b| *b == b'x'));
    slow.finish();
}

#[test]
fn many_clients_at_once_each_get_their_own_answer() {
    let origin = Origin::scripted(|wire| {
        while let Some(request) = wire.request() {
            let page = request.target().to_string();
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            ));
        }
    });
    let rig = Rig::new(origin, "", "");
    let addr = rig.addr();
    let threads: Vec<_> = (0..20)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut client = Client::connect(addr);
                for n in 0..50 {
                    let path = format!("/{thread}/{n}");
                    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
                    assert_eq!(client.ask(&request).text(), path);
                }
                client.finish();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_client_cannot_take_out_what_the_proxy_adds() {
    let rules = " option forwardfor\n http-request set-header X-User no";
    let rig = Rig::new(answering(OK), rules, "");
    let answer = rig.client().ask(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Forwarded-For, X-User\r\n\
         X-User: yes\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    );
    assert_eq!(answer.status(), 200);
    let request = rig.origin.requests.take("the request", |_| true);
    assert_eq!(request.headers("x-user"), ["no"]);
    let forwarded = request.headers("x-forwarded-for");
    assert_eq!(forwarded.len(), 1, "{forwarded:?}");
    assert!(forwarded[0].starts_with("127."), "{forwarded:?}");
}

#[test]
fn max_forwards_counts_down_and_ends_here() {
    let rig = Rig::new(answering(OK), "", "");
    for (request, status, seen) in [
        ("OPTIONS * HTTP/1.1\r\nMax-Forwards: 2", 200, Some("1")),
        ("TRACE / HTTP/1.1\r\nMax-Forwards: 1", 200, Some("0")),
        ("GET / HTTP/1.1\r\nMax-Forwards: 0", 200, Some("0")),
        ("OPTIONS * HTTP/1.1\r\nMax-Forwards: 0", 200, None),
        ("TRACE / HTTP/1.1\r\nMax-Forwards: 0", 501, None),
        ("OPTIONS * HTTP/1.1\r\nMax-Forwards: +1", 400, None),
    ] {
        let answer = rig.client().ask(&format!("{request}\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), status, "{request}");
        let forwarded = seen.map(|_| {
            let request = rig.origin.requests.take("the request", |_| true);
            request.headers("max-forwards").concat()
        });
        assert_eq!(forwarded.as_deref(), seen, "{request}");
        if status == 200 && seen.is_none() {
            // RFC 9110 section 9.3.7.
            assert_eq!(answer.headers("content-length"), ["0"]);
        }
        assert!(rig.origin.requests.rest().is_empty(), "{request}");
    }
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let dated =
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nok";
    for (answer, rules, expected) in [
        (OK, "", 1),
        (dated, "", 1),
        (dated, " http-response del-header Date", 0),
    ] {
        let rig = Rig::new(answering(answer), "", rules);
        let dates = rig.get("/").0.headers("date");
        assert_eq!(dates.len(), expected, "{answer}");
        if answer == dated && expected == 1 {
            assert_eq!(dates, ["Sun, 06 Nov 1994 08:49:37 GMT"]);
        } else if let Some(date) = dates.first() {
            assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
        }
    }
}

#[test]
fn what_a_server_says_unasked_reaches_nobody() {
    let closed = Gate::new();
    let seen = closed.clone();
    let origin = Origin::scripted(move |wire| {
        let Some(request) = wire.request() else {
            return;
        };
        wire.send(OK);
        if request.target() == "/1" {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            // The proxy has seen it, and the connection is of no use any more.
            assert_eq!(wire.stream.read(&mut [0; 1]).unwrap_or(0), 0);
            seen.open();
        }
        wire.request();
    });
    let rig = Rig::new(origin, "", " http-reuse always");
    assert_eq!(rig.get("/1").0.text(), "ok");
    // A request that is there before those bytes could not be told from the one they answer.
    closed.pass();
    assert_eq!(rig.get("/2").0.text(), "ok");
    assert_eq!(connections(&rig), [0, 1]);
}

#[test]
fn a_server_connection_whose_client_left_is_not_used_again() {
    let left = Gate::new();
    let passed = left.clone();
    let origin = Origin::scripted(move |wire| {
        while let Some(request) = wire.request() {
            if request.target() == "/half" {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nhalf");
                passed.pass();
                // The rest is for nobody: some of it is said before it cannot be any more.
                while wire.stream.write_all(&[b'e'; 10_000]).is_ok() {}
            } else {
                wire.send(OK);
            }
        }
    });
    let rig = Rig::new(origin, "", " http-reuse always");
    let mut client = rig.client();
    client.send("GET /half HTTP/1.1\r\nHost: h\r\n\r\n");
    // With bytes unread the close is a reset, of which the proxy hears at once.
    client.stream.read_exact(&mut [0; 1]).unwrap();
    drop(client);
    left.open();
    let line = rig.log.request("GET /half HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (200, "CD--"));
    for n in 0..3 {
        assert_eq!(rig.get(&format!("/{n}")).0.text(), "ok");
    }
    assert_eq!(connections(&rig), [0, 1, 1, 1]);
}

#[test]
fn a_request_lost_on_a_kept_server_connection_is_repeated_if_it_may() {
    for (method, repeated) in [
        ("GET", true),
        ("PUT", true),
        ("POST", false),
        ("PATCH", false),
    ] {
        let rig = Rig::new(losing_the_second(), "", "");
        let mut client = rig.client();
        client.ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
        client.send(format!("{method} /2 HTTP/1.1\r\nHost: h\r\n\r\n"));
        let expected: &[usize] = if repeated {
            assert_eq!(client.answer().text(), "ok", "{method}");
            &[0, 0, 1]
        } else {
            assert_eq!(client.rest(), b"", "{method}");
            &[0, 0]
        };
        assert_eq!(connections(&rig), expected, "{method}");
    }
}
