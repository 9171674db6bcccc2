//! Options about streams: who is waited for, what is counted while it passes, and when idle
//! clients leave.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::limits::stat;
use crate::support::origin::Origin;
use crate::support::until;
use crate::{Gate, OK, Rig, answering, common};

/// Sends a byte every now and then until the other side ends, or takes no more.
fn drip(mut stream: TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    while stream.write_all(b"x").is_ok() {
        match stream.read(&mut [0]) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
    }
}

/// A proxy whose line `{lines}` make one side impatient.
fn rig(origin: Origin, lines: &str) -> Rig {
    Rig::of(
        origin,
        &common(&format!(
            "defaults raw\n mode tcp\n log global\n option tcplog\n option independent-streams\n\
             timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             listen t from raw\n bind @fe@\n{lines}\n server s @s@\n"
        )),
    )
}

/// The log line has this state.
fn ended(rig: &Rig, state: &str) {
    let is_of_session = |record: &crate::support::log::Record| record.is_request();
    let text = rig.log.records.take("the line", is_of_session).text;
    assert!(text.contains(&format!(" {state} ")), "{text}");
}

#[test]
fn a_client_that_is_only_sent_to_is_not_there() {
    let origin = Origin::scripted(|wire| drip(wire.stream.try_clone().unwrap()));
    let rig = rig(origin, " timeout client 300ms");
    let mut client = rig.client();
    client.rest();
    ended(&rig, "cD");
}

#[test]
fn a_server_that_is_only_sent_to_is_not_there() {
    let origin = Origin::scripted(|wire| drop(wire.stream.read_to_end(&mut Vec::new())));
    let rig = rig(origin, " timeout server 300ms");
    let client = rig.client();
    drip(client.stream.try_clone().unwrap());
    ended(&rig, "sD");
}

#[test]
fn with_a_tunnels_timeout_either_side_must_be_heard_of() {
    let origin = Origin::scripted(|wire| drop(wire.stream.read_to_end(&mut Vec::new())));
    let rig = rig(origin, " timeout tunnel 300ms");
    let client = rig.client();
    drip(client.stream.try_clone().unwrap());
    ended(&rig, "sD");
}

#[test]
fn a_request_that_goes_on_does_not_keep_its_server() {
    let origin = Origin::scripted(|wire| drop(wire.stream.read_to_end(&mut Vec::new())));
    let lines = "option independent-streams\n timeout server 300ms";
    let rig = Rig::new(origin, "", lines);
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    drip(client.stream.try_clone().unwrap());
    let line = rig.log.request("POST / HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (504, "sH--"));
}

#[test]
fn bytes_are_counted_while_they_pass() {
    let gate = Gate::new();
    let opened = gate.clone();
    let origin = Origin::scripted(move |wire| {
        while wire.request().is_some() {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
            wire.send([b'x'; 1000]);
            opened.pass();
            wire.send([b'x'; 2000]);
        }
    });
    let rig = Rig::of(
        origin,
        &common(
            "frontend f\n bind @fe@\n option contstats\n default_backend b\n\
             frontend g\n bind @other@\n default_backend c\n\
             backend b\n server s @s@\nbackend c\n server s @s@\n",
        ),
    );
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut other = crate::Client::connect(rig.proxy.addr("other"));
    other.send(request);
    other.head();
    other.exactly(1000);
    let mut client = rig.client();
    client.send(request);
    client.head();
    client.exactly(1000);
    let number = |row: &str| stat(&rig.proxy, row, "bout").parse::<u64>().unwrap();
    for row in ["f,FRONTEND", "b,s,", "b,BACKEND"] {
        until("a part is counted", || (number(row) >= 1000).then_some(()));
        assert!(number(row) < 3000, "{row}");
    }
    for row in ["g,FRONTEND", "c,s,", "c,BACKEND"] {
        assert_eq!(number(row), 0, "{row}");
    }
    gate.open();
    for mut client in [client, other] {
        client.exactly(2000);
        client.finish();
    }
    // In the end both count the same.
    for (row, like) in [("f,F", "g,F"), ("b,s,", "c,s,"), ("b,B", "c,B")] {
        until("all is counted alike", || {
            (number(row) > 3000 && number(row) == number(like)).then_some(())
        });
    }
}

#[test]
fn idle_clients_stay_until_their_next_answer() {
    let config = common(
        "frontend f\n bind @fe@\n option idle-close-on-response\n default_backend b\n\
         frontend g\n bind @other@\n default_backend b\nbackend b\n server s @s@\n",
    );
    let mut rig = Rig::of(answering(OK), &config);
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut other = crate::Client::connect(rig.proxy.addr("other"));
    other.ask(request);
    let mut client = rig.client();
    assert!(client.ask(request).headers("connection").is_empty());
    rig.proxy.signal("USR1");
    assert_eq!(other.rest(), b"", "without the option it is let go");
    let answer = client.ask(request);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers("connection"), ["close"]);
    assert_eq!(client.rest(), b"");
    assert_eq!(rig.proxy.wait(), 0);
}
