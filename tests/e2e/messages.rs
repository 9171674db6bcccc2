//! Messages: bodies of every framing in both directions, heads as they arrive on the other side.

use crate::support::client::lowered_head;
use crate::support::origin::{Origin, Request};
use crate::support::{Flavour, flavour};
use crate::{OK, Rig, answering};

/// Sends one raw request and gives the head the origin got, names in lower case.
fn forwarded(rig: &Rig, request: &str) -> String {
    let mut client = rig.client();
    assert_eq!(client.ask(request).status(), 200, "{request:?}");
    drop(client);
    lowered_head(&rig.origin.requests.take("the request", |_| true).head)
}

/// Bytes that are not the same at any two near places.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// An origin that answers with the body it was sent, in the same framing.
fn echo() -> Origin {
    Origin::scripted(|wire| {
        while let Some(request) = wire.request() {
            if request.headers("transfer-encoding").is_empty() {
                wire.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                    request.body.len()
                ));
                wire.send(&request.body);
                continue;
            }
            wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for piece in request.body.chunks(10_000) {
                wire.send(format!("{:x}\r\n", piece.len()));
                wire.send(piece);
                wire.send("\r\n");
            }
            wire.send("0\r\n\r\n");
        }
    })
}

#[test]
fn bodies_with_a_length_pass_both_ways_byte_by_byte() {
    let rig = Rig::new(echo(), "", "");
    let mut client = rig.client();
    for len in [0, 1, 1_000, 16_384, 70_000, 1_000_000] {
        let body = noise(len);
        let mut writer = client.stream.try_clone().unwrap();
        let sent = body.clone();
        let thread = std::thread::spawn(move || {
            use std::io::Write;
            let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n");
            writer.write_all(head.as_bytes()).unwrap();
            writer.write_all(&sent).unwrap();
        });
        let answer = client.answer();
        thread.join().unwrap();
        assert!(answer.body == body, "{len} bytes came back different");
    }
    client.finish();
}

#[test]
fn chunked_bodies_pass_both_ways_byte_by_byte() {
    let rig = Rig::new(echo(), "", "");
    let mut client = rig.client();
    for size in [1, 100, 5_000, 40_000] {
        let body = noise(200_000 / 40_000 * size);
        let mut writer = client.stream.try_clone().unwrap();
        let sent = body.clone();
        let thread = std::thread::spawn(move || {
            use std::io::Write;
            let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
            writer.write_all(head.as_bytes()).unwrap();
            for piece in sent.chunks(size) {
                writer
                    .write_all(format!("{:X}\r\n", piece.len()).as_bytes())
                    .unwrap();
                writer.write_all(piece).unwrap();
                writer.write_all(b"\r\n").unwrap();
            }
            writer.write_all(b"0\r\n\r\n").unwrap();
        });
        let answer = client.answer();
        thread.join().unwrap();
        assert!(answer.body == body, "chunks of {size} came back different");
        assert_eq!(answer.headers("transfer-encoding"), ["chunked"]);
    }
    client.finish();
}

/// The end of a body may fall together with the end of what the proxy does in one go.
#[test]
fn a_body_of_any_number_of_whole_blocks_ends() {
    let origin = Origin::scripted(|wire| {
        while let Some(head) = wire.head() {
            let request = Request {
                head,
                body: Vec::new(),
                connection: wire.connection,
            };
            wire.file(&request);
            let body = wire.body(&request.head);
            let len = body.len();
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n"));
            wire.send(body);
        }
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    for blocks in (1..=18).chain([8; 10]) {
        let body = noise(blocks * 16_384);
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        // The head is through: what comes now is nothing but blocks.
        rig.origin.requests.take("the head", |_| true);
        client.send(&body);
        assert!(
            client.answer().body == body,
            "{blocks} blocks came back different"
        );
        assert_eq!(
            rig.log.request("POST / HTTP/1.1").state,
            "----",
            "{blocks} blocks"
        );
    }
    client.finish();
}

#[test]
fn chunk_extensions_end_at_the_proxy_and_trailers_go_on() {
    let rig = Rig::new(
        Origin::scripted(|wire| {
            let head = wire.head().unwrap();
            let mut wire_body = String::new();
            while !wire_body.ends_with("\r\n\r\n") {
                wire_body.push_str(&wire.line());
            }
            let body = wire_body.into_bytes();
            wire.file(&Request {
                head,
                body,
                connection: 0,
            });
            wire.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5;name=\"val\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
            );
        }),
        "",
        "",
    );
    let mut client = rig.client();
    let answer = client.ask(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;ext=1\r\nhello\r\n3\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n",
    );
    let request = rig.origin.requests.take("the request", |_| true);
    let body = String::from_utf8(request.body).unwrap();
    assert!(
        body.to_lowercase().ends_with("0\r\nx-trailer: t\r\n\r\n"),
        "{body:?}"
    );
    assert!(!body.contains("ext"), "{body:?}");
    assert_eq!(answer.text(), "hello");
    let wire = String::from_utf8(answer.wire_body).unwrap().to_lowercase();
    assert!(wire.ends_with("0\r\nx-sum: 1\r\n\r\n"), "{wire:?}");
    assert!(!wire.contains("name"), "{wire:?}");
}

#[test]
fn an_answer_to_head_has_no_body_whatever_its_length_says() {
    let rig = Rig::new(
        answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        "",
        "",
    );
    let mut client = rig.client();
    for _ in 0..2 {
        client.send("HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = client.head();
        assert!(
            head.to_lowercase().contains("content-length: 1000\r\n"),
            "{head}"
        );
        let line = rig.log.request("HEAD /h HTTP/1.1");
        assert_eq!((line.status, line.state.as_str()), (200, "----"));
    }
    client.finish();
}

#[test]
fn answers_204_and_304_have_no_body_whatever_they_say() {
    for status in ["204 No Content", "304 Not Modified"] {
        let origin = Origin::scripted(move |wire| {
            while wire.request().is_some() {
                wire.send(format!("HTTP/1.1 {status}\r\nETag: \"1\"\r\n\r\n"));
            }
        });
        let rig = Rig::new(origin, "", "");
        let mut client = rig.client();
        for _ in 0..2 {
            let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert!(answer.head.starts_with(&format!("HTTP/1.1 {status}\r\n")));
            assert_eq!(answer.headers("etag"), ["\"1\""]);
            assert!(
                answer.headers("transfer-encoding").is_empty(),
                "{}",
                answer.head
            );
        }
        client.finish();
    }
}

#[test]
fn interim_answers_are_passed_on_before_the_final_one() {
    let rig = Rig::new(
        answering(
            "HTTP/1.1 102 Processing\r\n\r\n\
             HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ),
        "",
        "",
    );
    let mut client = rig.client();
    for _ in 0..2 {
        let first = client.ask("GET /i HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(first.status(), 102);
        let second = client.answer();
        assert_eq!(
            (second.status(), second.headers("link")),
            (103, vec!["</a>".to_string()])
        );
        assert_eq!(client.answer().text(), "ok");
        assert_eq!(rig.log.request("GET /i HTTP/1.1").status, 200);
    }
    client.finish();
}

#[test]
fn expect_100_continue_reaches_the_origin_which_decides() {
    let origin = Origin::scripted(|wire| {
        while let Some(head) = wire.head() {
            assert!(
                head.to_lowercase().contains("\r\nexpect: 100-continue\r\n"),
                "{head}"
            );
            wire.send("HTTP/1.1 100 Continue\r\n\r\n");
            let body = wire.body(&head);
            assert_eq!(body, b"body");
            wire.send(OK);
        }
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    for _ in 0..2 {
        client
            .send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        let interim = client.answer();
        assert_eq!(interim.head, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("body");
        assert_eq!(client.answer().text(), "ok");
    }
    client.finish();
}

#[test]
fn a_final_answer_may_come_instead_of_continue() {
    let origin = Origin::scripted(|wire| {
        wire.head();
        wire.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (417, "no"));
}

#[test]
fn a_head_reaches_the_origin_in_order_with_its_duplicates() {
    let rig = Rig::new(answering(OK), "", "");
    let head = forwarded(&rig, "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(head, "GET /a?b HTTP/1.1\r\nhost: h\r\n\r\n");
    let head = forwarded(
        &rig,
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-B:2\r\nX-A:  3  \r\nX-Empty:\r\nX-Fold: a\r\n b\r\n\r\n",
    );
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!(
        lines[..6],
        [
            "GET / HTTP/1.1",
            "host: h",
            "x-a: 1",
            "x-b: 2",
            "x-a: 3",
            "x-empty: "
        ]
    );
    let folded = lines[6]
        .strip_prefix("x-fold: a")
        .unwrap()
        .strip_suffix('b')
        .unwrap();
    assert_eq!(folded.trim(), "", "a fold becomes blanks");
}

#[test]
fn header_names_keep_the_spelling_of_their_sender() {
    let rig = Rig::new(
        answering("HTTP/1.1 200 OK\r\nX-MiXed: 1\r\nContent-Length: 2\r\n\r\nok"),
        "",
        "",
    );
    let answer = rig.ask("GET / HTTP/1.1\r\nHOST: h\r\nX-sPelling: 1");
    let request = rig.origin.requests.take("the request", |_| true);
    let (asked, answered) = match flavour() {
        Flavour::Oneloop => ("\r\nHOST: h\r\nX-sPelling: 1\r\n", "\r\nX-MiXed: 1\r\n"),
        Flavour::Oracle => ("\r\nhost: h\r\nx-spelling: 1\r\n", "\r\nx-mixed: 1\r\n"),
    };
    assert!(request.head.contains(asked), "{}", request.head);
    assert!(answer.head.contains(answered), "{}", answer.head);
}

#[test]
fn line_ends_and_blanks_that_the_rfc_tolerates_are_made_regular() {
    let rig = Rig::new(answering(OK), "", "");
    let regular = "GET /x HTTP/1.1\r\nhost: h\r\n\r\n";
    for request in [
        "GET /x HTTP/1.1\nHost: h\n\r\n",
        "\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET  /x  HTTP/1.1\r\nHost:h\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: \t h \t \r\n\r\n",
    ] {
        assert_eq!(forwarded(&rig, request), regular, "{request:?}");
    }
}

#[test]
fn absolute_and_asterisk_targets_are_forwarded_as_they_are() {
    let rig = Rig::new(answering(OK), "", "");
    let head = forwarded(
        &rig,
        "GET http://abs.example/q?z HTTP/1.1\r\nHost: abs.example\r\n\r\n",
    );
    assert!(
        head.starts_with("GET http://abs.example/q?z HTTP/1.1\r\n"),
        "{head}"
    );
    let head = forwarded(&rig, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(head.starts_with("OPTIONS * HTTP/1.1\r\n"), "{head}");
}

#[test]
fn unknown_methods_are_forwarded() {
    let rig = Rig::new(answering(OK), "", "");
    for method in ["PURGE", "get", "M-SEARCH"] {
        let head = forwarded(&rig, &format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(
            head.starts_with(&format!("{method} / HTTP/1.1\r\n")),
            "{head}"
        );
    }
}

#[test]
fn equal_content_lengths_become_one() {
    let rig = Rig::new(answering(OK), "", "");
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
    ] {
        let head = forwarded(
            &rig,
            &format!("POST / HTTP/1.1\r\nHost: h\r\n{lengths}\r\n\r\nhello"),
        );
        assert_eq!(
            head,
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\n"
        );
    }
}

#[test]
fn chunked_wins_over_a_length_which_is_dropped() {
    let rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    let answer = client.ask(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\n\r\n",
    );
    assert_eq!(
        (answer.status(), answer.headers("connection")),
        (200, vec!["close".to_string()])
    );
    assert_eq!(
        client.rest(),
        b"",
        "RFC 9112 section 6.1: closed after the answer"
    );
    let request = rig.origin.requests.take("the request", |_| true);
    assert!(
        request.headers("content-length").is_empty(),
        "{}",
        request.head
    );
    assert_eq!(request.body, b"hello");
}

#[test]
fn a_head_as_large_as_the_buffer_allows_passes_and_a_larger_one_is_refused() {
    let rig = Rig::new(answering(OK), "", "");
    // tune.bufsize 16384 less tune.maxrewrite 1024.
    for (padding, status) in [(8_000, 200), (14_500, 200), (20_000, 400)] {
        let mut client = rig.client();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nX-P: {}\r\n\r\n",
            "p".repeat(padding)
        );
        assert_eq!(client.ask(&request).status(), status, "{padding} bytes");
    }
}

#[test]
fn forwardfor_adds_the_client_after_its_own_headers() {
    let rig = Rig::new(answering(OK), " option forwardfor", "");
    let head = forwarded(
        &rig,
        "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    );
    let expected = "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 1.2.3.4\r\n\
                    x-forwarded-for: 127.0.0.1\r\n\r\n";
    assert_eq!(head, expected);
}

#[test]
fn forwardfor_if_none_leaves_what_the_client_sent() {
    let rig = Rig::new(answering(OK), " option forwardfor if-none", "");
    let head = forwarded(
        &rig,
        "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    );
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 1.2.3.4\r\n\r\n"
    );
    let head = forwarded(&rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nhost: h\r\nx-forwarded-for: 127.0.0.1\r\n\r\n"
    );
}

#[test]
fn forwardfor_except_and_header_name() {
    let rig = Rig::new(answering(OK), " option forwardfor except 127.0.0.0/8", "");
    let head = forwarded(&rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(head, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    let rig = Rig::new(
        answering(OK),
        " option forwardfor header X-Client except 10.0.0.0/8",
        "",
    );
    let head = forwarded(&rig, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        head,
        "GET / HTTP/1.1\r\nhost: h\r\nx-client: 127.0.0.1\r\n\r\n"
    );
}
