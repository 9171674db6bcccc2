//! What is refused: malformed requests, bodies whose end could be read two ways, bad answers.

use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::{Flavour, flavour};
use crate::{Gate, OK, Rig, answering, closing};

/// HAProxy's answer below the HTTP layer; the errorfile is not asked.
const BAD_REQUEST: &str = "HTTP/1.1 400 Bad request\r\n\
                           content-length: 90\r\n\
                           cache-control: no-cache\r\n\
                           connection: close\r\n\
                           content-type: text/html\r\n\r\n";
const BAD_REQUEST_PAGE: &str = "<html><body><h1>400 Bad request</h1>\n\
                                Your browser sent an invalid request.\n\
                                </body></html>\n";

/// Sends raw bytes and expects 400, a closed connection, and nothing at the origin.
fn refused(rig: &Rig, request: &str) {
    let mut client = rig.client();
    let answer = client.ask(request);
    assert_eq!(answer.lowered_head(), BAD_REQUEST, "{request:?}");
    assert_eq!(answer.text(), BAD_REQUEST_PAGE);
    assert_eq!(client.rest(), b"");
    let seen = rig.origin.requests.rest();
    assert!(seen.is_empty(), "{request:?} reached the origin: {seen:?}");
    let line = rig.log.request("<BADREQ>");
    assert_eq!(line.server, "f/<NOSRV>");
    assert_eq!(line.timers[..4], [-1; 4], "{request:?}");
    assert_eq!(
        (line.status, line.bytes, line.state.as_str()),
        (400, 0, "PR--"),
        "{request:?}"
    );
}

#[test]
fn malformed_request_lines() {
    let rig = Rig::new(answering(OK), "", "");
    for line in [
        "GET",
        "GET /",
        "/ HTTP/1.1",
        "GET / HTTP/1.10",
        "GET / HTTP/x",
        "GET / http/1.1",
        "GET / FTP/1.1",
        "GET x HTTP/1.1",
        "GET /a\x01b HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "G@T / HTTP/1.1",
        " GET / HTTP/1.1",
    ] {
        refused(&rig, &format!("{line}\r\nHost: h\r\n\r\n"));
    }
}

#[test]
fn malformed_header_lines() {
    let rig = Rig::new(answering(OK), "", "");
    for field in [
        "no colon here",
        "Name : value",
        "Na me: value",
        ": value",
        "X-A: a\rb",
        "Host: other",
        "X-\u{e9}: 1",
    ] {
        refused(
            &rig,
            &format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"),
        );
    }
    refused(
        &rig,
        "GET / HTTP/1.1\r\n X: leading fold\r\nHost: h\r\n\r\n",
    );
    refused(&rig, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n");
    if flavour() == Flavour::Oneloop {
        // RFC 9110 section 5.5 calls NUL in a value invalid and dangerous; HAProxy lets it pass.
        refused(&rig, "GET / HTTP/1.1\r\nHost: h\r\nX-A: a\0b\r\n\r\n");
    }
}

#[test]
fn lengths_that_can_be_read_two_ways() {
    let rig = Rig::new(answering(OK), "", "");
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: -1",
        "Content-Length: +5",
        "Content-Length: 5 5",
        "Content-Length: 0x5",
        "Content-Length: ",
        "Content-Length: 5a",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
    ] {
        refused(
            &rig,
            &format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\nhello"),
        );
    }
}

#[test]
fn a_coding_that_is_not_understood_is_422() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    let request = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(client.ask(request).status(), 422);
    assert_eq!(client.rest(), b"");
    assert!(rig.origin.requests.rest().is_empty());
}

#[test]
fn chunk_sizes_that_can_be_read_two_ways() {
    for chunk in ["0x5", "+5", "-5", "5g", "", "10000000000000005", "5\rx"] {
        let origin = Origin::scripted(|wire| {
            // Whatever the proxy sent of it must not become a whole request here.
            if let Some(head) = wire.head() {
                let body = wire.body(&head);
                assert!(body.is_empty(), "{body:?}");
            }
        });
        let rig = Rig::new(origin, "", "");
        let mut client = rig.client();
        let head = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = client.ask(&format!("{head}{chunk}\r\nhello\r\n0\r\n\r\n"));
        assert_eq!(answer.status(), 400, "{chunk:?}");
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn a_pipelined_request_after_a_bad_one_is_not_served() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    let bad = "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    client.send(format!("{bad}GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(client.answer().status(), 400);
    assert_eq!(client.rest(), b"");
    assert!(rig.origin.requests.rest().is_empty());
}

#[test]
fn an_upgrade_to_websocket_needs_its_key() {
    let rig = Rig::new(answering(OK), "", "");
    let fields = "Connection: Upgrade\r\nUpgrade: websocket";
    refused(
        &rig,
        &format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n"),
    );
}

#[test]
fn too_many_headers() {
    let rig = Rig::new(answering(OK), "", "");
    // tune.http.maxhdr is 101.
    let fields = |count: usize| "X-A: 1\r\n".repeat(count);
    let mut client = rig.client();
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields(90));
    assert_eq!(client.ask(&request).status(), 200);
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", fields(150));
    assert_eq!(client.ask(&request).status(), 400);
}

/// What a client gets and what the log says of an origin that answers with these bytes and closes.
fn bad_answer(answer: &'static str) -> (i32, String) {
    let rig = Rig::new(closing(answer), "", "");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let status = client.answer().status();
    (status, rig.log.request("GET / HTTP/1.1").masked())
}

#[test]
fn answers_that_are_not_http_or_have_two_lengths_are_502() {
    for answer in [
        "garbage\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad line\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let (status, line) = bad_answer(answer);
        assert_eq!(status, 502, "{answer:?}");
        assert!(
            line.starts_with("f b/s T/T/T/-1/T 502 "),
            "{answer:?}: {line}"
        );
        assert!(line.contains(" PH-- "), "{answer:?}: {line}");
    }
}

#[test]
fn a_target_that_does_not_fit_is_414() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let rig = Rig::new(Origin::nginx("x"), "", "");
    let mut client = rig.client();
    let answer = client.ask(&format!(
        "GET /{} HTTP/1.1\r\nHost: h\r\n\r\n",
        "a".repeat(17_000)
    ));
    assert_eq!(answer.status(), 414);
    assert_eq!(answer.headers("connection"), ["close"]);
}

#[test]
fn an_answer_with_too_large_a_head_is_502() {
    let origin = Origin::scripted(|wire| {
        wire.request();
        wire.send(format!(
            "HTTP/1.1 200 OK\r\nX-P: {}\r\n\r\n",
            "p".repeat(30_000)
        ));
    });
    let rig = Rig::new(origin, "", "");
    let (answer, line) = rig.get("/");
    assert_eq!((answer.status(), line.state.as_str()), (502, "PH--"));
}

#[test]
fn the_client_connection_survives_a_bad_answer() {
    let origin = Origin::scripted(|wire| {
        let request = wire.request().unwrap();
        wire.send(if request.target() == "/bad" {
            "garbage\r\n\r\n"
        } else {
            OK
        });
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    assert_eq!(
        client.ask("GET /bad HTTP/1.1\r\nHost: h\r\n\r\n").status(),
        502
    );
    assert_eq!(
        client.ask("GET /good HTTP/1.1\r\nHost: h\r\n\r\n").status(),
        200
    );
    client.finish();
}

#[test]
fn a_broken_chunk_in_an_answer_cuts_it_short() {
    let gate = Gate::new();
    let passed = gate.clone();
    let origin = Origin::scripted(move |wire| {
        wire.request();
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        passed.pass();
        wire.send("zz\r\n");
        wire.exactly(1);
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        (
            client.head().starts_with("HTTP/1.1 200 "),
            client.exactly(3)
        ),
        (true, b"2\r\n".to_vec())
    );
    gate.open();
    let wire = String::from_utf8(client.rest()).unwrap();
    assert!(
        !wire.contains("0\r\n\r\n"),
        "the client must see that it is cut: {wire:?}"
    );
    let line = rig.log.request("GET / HTTP/1.1");
    // The manual has PD for just this; HAProxy 2.6 blames the server.
    let state = match flavour() {
        Flavour::Oneloop => "PD--",
        Flavour::Oracle => "SD--",
    };
    assert_eq!((line.status, line.state.as_str()), (200, state));
}

#[test]
fn the_http2_preface_is_no_http1_request() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = Client::connect(rig.addr());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    client.rest();
    assert!(
        rig.origin.requests.rest().is_empty(),
        "nothing reaches the origin"
    );
}
