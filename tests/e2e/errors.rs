//! What was refused is kept (`show errors`), and what broke off looks broken.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use crate::support::origin::{Origin, Wire};
use crate::support::{Flavour, flavour};
use crate::{COMMON, Rig};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// An origin that says `answer` to every request.
fn says(answer: &'static str) -> Origin {
    Origin::scripted(move |wire: &mut Wire| {
        while wire.request().is_some() {
            wire.send(answer);
        }
    })
}

/// One line a kept message: who, the number of its event, the offset of the error and the dump.
fn kept(rig: &Rig, command: &str) -> Vec<String> {
    let all = rig.proxy.command(command);
    let mut found = Vec::new();
    for one in all.split("\n \n[").skip(1) {
        let lines: Vec<&str> = one.lines().collect();
        let (_, who) = lines[0].split_once("] ").unwrap();
        let number = lines[1].split("event #").nth(1).unwrap();
        let (number, _) = number.split_once(',').unwrap();
        let (_, position) = lines[3].split_once("position ").unwrap();
        let reasons = match flavour() {
            Flavour::Oneloop => 1,
            Flavour::Oracle => 3,
        };
        let dump: Vec<&str> = lines[5 + reasons..]
            .iter()
            .map(|line| line.get(9..).unwrap_or_default())
            .collect();
        found.push(format!("{who}; {number}; {position}; {}", dump.concat()));
    }
    found
}

#[test]
fn a_refused_request_is_kept_with_the_place_of_the_error() {
    let rig = Rig::new(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "", "");
    for (number, (request, position)) in [
        ("G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 1),
        ("GET /x#y HTTP/1.1\r\nHost: h\r\n\r\n", 6),
        ("GET / HTTP/1.1\r\nHost: h\r\nB@d: a\r\n\r\n", 26),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 6\r\n\r\n",
            41,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 31),
        ("GET / RTSP/1.0\r\nHost: h\r\n\r\n", 6),
        ("\x16\x03\x01", 0),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(rig.client().ask(request).status(), 400);
        let shown = request
            .replace('\r', "\\r")
            .replace('\n', "\\n")
            .replace('\x16', "\\x16")
            .replace('\x03', "\\x03")
            .replace('\x01', "\\x01");
        let expected = format!("frontend f (#2): invalid request; {number}; {position}; {shown}");
        let position_is_ours = request.contains("RTSP") && flavour() == Flavour::Oracle;
        if !position_is_ours {
            assert_eq!(kept(&rig, "show errors"), [expected]);
        }
    }
    let info = rig.proxy.command("show errors");
    assert!(info.contains("] : 7\n"), "{info}");
}

#[test]
fn a_refused_answer_is_kept_beside_a_refused_request() {
    let rig = Rig::new(says("HTTP/1.1 2xx OK\r\nA: b\r\n\r\n"), "", "");
    assert_eq!(rig.client().ask(GET).status(), 502);
    assert_eq!(rig.client().ask("x y\r\n\r\n").status(), 400);
    let answer = r"backend b (#3): invalid response; 0; 10; HTTP/1.1 2xx OK\r\nA: b\r\n\r\n";
    let request = "frontend f (#2): invalid request";
    assert_eq!(kept(&rig, "show errors -1 response"), [answer]);
    assert_eq!(kept(&rig, "show errors b response"), [answer]);
    assert_eq!(kept(&rig, "show errors 3 response"), [answer]);
    let requests = kept(&rig, "show errors f request");
    assert!(
        requests.len() == 1 && requests[0].starts_with(request),
        "{requests:?}"
    );
    assert_eq!(kept(&rig, "show errors").len(), 2);
    let all = rig.proxy.command("show errors");
    assert!(
        all.contains("\n  frontend f (#2), server s (#1), event #0, src 127."),
        "{all}"
    );
    assert!(
        all.contains("\n  backend <NONE> (#-1), server <NONE> (#-1), event #1, src"),
        "{all}"
    );
}

#[test]
fn bad_chunks_are_kept_from_both_sides() {
    let rig = Rig::new(
        says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"),
        "",
        "",
    );
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n");
    assert_eq!(client.answer().status(), 400);
    assert_eq!(rig.client().ask(GET).status(), 502);
    let all = kept(&rig, "show errors");
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(
        all[0].contains("xx\\r\\n") && all[1].contains("zz\\r\\n"),
        "{all:?}"
    );
}

/// How a stream ends after its bytes: in good order, or by a reset.
fn end(client: &crate::Client) -> Result<Vec<u8>, ErrorKind> {
    let mut all = Vec::new();
    let mut stream = &client.stream;
    stream.read_to_end(&mut all).map_err(|error| error.kind())?;
    Ok(all)
}

/// An answer that only its end ends; then the end, or a reset: what a close with bytes unread is.
fn until_close(resets: bool) -> Origin {
    Origin::scripted(move |wire: &mut Wire| {
        if !resets {
            wire.head();
        }
        wire.send("HTTP/1.1 200 OK\r\n\r\nhalf of it");
    })
}

#[test]
fn a_reset_does_not_look_like_the_end_of_an_answer() {
    for version in ["1.0", "1.1"] {
        let rig = Rig::new(until_close(false), "", "");
        let mut client = rig.client();
        client.send(format!("GET / HTTP/{version}\r\nHost: h\r\n\r\n"));
        let all = end(&client).unwrap();
        assert!(all.ends_with(b"half of it"), "{version}");

        if flavour() == Flavour::Oracle {
            continue;
        }
        let rig = Rig::new(until_close(true), "", "");
        let mut client = rig.client();
        client.send(format!("GET / HTTP/{version}\r\nHost: h\r\n\r\n"));
        assert_eq!(end(&client), Err(ErrorKind::ConnectionReset), "{version}");
    }
}

/// Found by the simulation: the server falls silent in the middle, and its time runs out.
#[test]
fn a_timeout_does_not_look_like_the_end_of_an_answer() {
    if flavour() == Flavour::Oracle {
        return;
    }
    for version in ["1.0", "1.1"] {
        let origin = Origin::scripted(|wire: &mut Wire| {
            wire.head();
            wire.send("HTTP/1.1 200 OK\r\n\r\nhalf of it");
            // Until the proxy has closed.
            wire.request();
        });
        let rig = Rig::new(origin, "", " timeout server 300ms");
        let mut client = rig.client();
        client.send(format!("GET / HTTP/{version}\r\nHost: h\r\n\r\n"));
        assert_eq!(end(&client), Err(ErrorKind::ConnectionReset), "{version}");
    }
}

#[test]
fn a_reset_passes_through_a_tunnel() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let origin = Origin::scripted(|wire: &mut Wire| {
        wire.send("hello");
    });
    let config = format!(
        "{}listen t\n mode tcp\n bind @fe@\n server s @s@\n",
        COMMON.replace("option httplog", "option tcplog")
    );
    let rig = Rig::of(origin, &config);
    let mut client = rig.client();
    client.send("unread");
    assert_eq!(end(&client), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_body_that_ends_early_never_ends_cleanly() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew";
    let data = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfew";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfew\r\n";
    let trailers = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfew\r\n0\r\nA: b\r\n";
    for answer in [length, data, chunks, trailers] {
        for version in ["1.0", "1.1"] {
            let rig = Rig::new(crate::closing(answer), "", "");
            let client = rig.client();
            let mut stream = &client.stream;
            let request = format!("GET / HTTP/{version}\r\nHost: h\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            let got = end(&client);
            let whole = got.as_ref().is_ok_and(|all| {
                let text = String::from_utf8_lossy(all);
                let chunked = text
                    .to_lowercase()
                    .contains("\r\ntransfer-encoding: chunked\r\n");
                let announced = text.to_lowercase().contains("\r\ncontent-length: 100\r\n");
                assert!(!chunked || version == "1.1" || flavour() == Flavour::Oracle);
                // What neither a length nor chunks end is ended by the close alone.
                (chunked && text.ends_with("\r\n\r\n")) || !(chunked || announced)
            });
            assert!(!whole, "{answer:?} to {version}: {got:?}");
            assert_eq!(
                rig.log.request(request.lines().next().unwrap()).state,
                "SD--"
            );
        }
    }
}

/// The answer to a head that is refused reaches a client that goes on sending, before and after it:
/// what comes is read and forgotten, so that the end of the connection is no reset.
#[test]
fn a_refusal_is_not_lost_to_what_is_sent_behind_it() {
    if flavour() == Flavour::Oracle {
        // HAProxy closes at once: most of these see a reset.
        return;
    }
    let rig = Rig::new(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "", "");
    for round in 0..200 {
        let mut client = rig.client();
        let behind = "y".repeat([0, 1, 100, 100_000][round % 4]);
        client.send(format!("x\r\n\r\n{behind}"));
        if round % 3 > 0 {
            client.send(&behind);
        }
        let shut = |client: &crate::Client| client.stream.shutdown(Shutdown::Write).unwrap();
        if round % 3 == 1 {
            shut(&client);
        }
        let all = String::from_utf8(end(&client).unwrap()).unwrap();
        assert!(all.starts_with("HTTP/1.1 400 "), "{round}: {all}");
        assert!(all.ends_with("</html>\n"), "{round}: {all}");
        if round % 3 != 1 {
            client.send("still there\r\n");
            shut(&client);
        }
        assert_eq!(end(&client), Ok(Vec::new()), "{round}");
    }
}
