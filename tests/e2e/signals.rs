//! Signals, and how the process ends.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::until;
use crate::{Gate, OK, Rig, answering, common, freeze, gated, silent};

/// Waits until the frontend refuses connections.
fn refuses(rig: &Rig) {
    until("new connections are refused", || {
        TcpStream::connect(rig.addr()).is_err().then_some(())
    });
}

#[test]
fn usr1_finishes_what_runs_and_refuses_what_is_new() {
    let gate = Gate::new();
    let mut rig = Rig::new(gated(&gate), "", "");
    let mut running = rig.client();
    running.send("GET /running HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.origin.requests.take("the request", |_| true);
    rig.proxy.signal("USR1");
    // Whoever comes before this is still let in, and counted.
    assert_eq!(rig.proxy.message("Proxy f stopped").level, "WARNING");
    refuses(&rig);
    gate.open();
    let answer = running.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    assert_eq!(running.rest(), b"", "closed after its answer");
    assert_eq!(rig.proxy.wait(), 0);
    assert_eq!(rig.log.request("GET /running HTTP/1.1").state, "----");
    let text = rig.log.message("Proxy f stopped").text;
    assert_eq!(text, "Proxy f stopped (cumulated conns: FE: 1, BE: 0).");
    let record = rig.log.message("Proxy b stopped");
    assert_eq!(record.priority, 132, "local0.warning");
    assert_eq!(
        record.text,
        "Proxy b stopped (cumulated conns: FE: 0, BE: 1)."
    );
}

#[test]
fn usr1_closes_idle_kept_connections() {
    let mut rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.proxy.signal("USR1");
    assert_eq!(client.rest(), b"");
    assert_eq!(rig.proxy.wait(), 0);
}

#[test]
fn usr1_does_not_cut_off_a_client_that_was_refused() {
    let mut rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.ask("x\r\n\r\n").status(), 400);
    assert_eq!(client.rest(), b"");
    rig.proxy.signal("USR1");
    assert_eq!(rig.proxy.message("Proxy f stopped").level, "WARNING");
    // What it still sends is read and forgotten: a close now would answer it with a reset.
    for _ in 0..20 {
        client.send("behind it");
        assert!(client.stream.take_error().unwrap().is_none());
    }
    client.finish();
    assert_eq!(rig.proxy.wait(), 0);
}

#[test]
fn hard_stop_after_ends_the_patience_of_usr1() {
    let config = common("frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@\n")
        .replace("defaults\n", "    hard-stop-after 300ms\ndefaults\n");
    let mut rig = Rig::of(silent(), &config);
    let mut client = rig.client();
    client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.origin.requests.take("the request", |_| true);
    let mut body = rig.client();
    body.send("GET /body HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.origin.requests.take("the second request", |_| true);
    let began = Instant::now();
    rig.proxy.signal("USR1");
    for text in [
        "soft-stop running for too long, performing a hard-stop.",
        "Proxy f hard-stopped (2 remaining conns will be closed).",
    ] {
        assert_eq!(rig.proxy.message(text).level, "WARNING");
    }
    assert_eq!(rig.proxy.wait(), 0);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "not the 30 s of timeout server"
    );
    // Who waits is told, and each log line says by whom it was ended.
    for client in [&mut client, &mut body] {
        assert_eq!(client.answer().status(), 502);
        assert_eq!(client.rest(), b"");
    }
    for path in ["/forever", "/body"] {
        let line = rig.log.request(&format!("GET {path} HTTP/1.1"));
        assert_eq!((line.status, &*line.state), (502, "KH--"));
    }
}

#[test]
fn term_and_int_stop_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let mut rig = Rig::new(silent(), "", "");
        let mut client = rig.client();
        client.send("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n");
        rig.origin.requests.take("the request", |_| true);
        rig.proxy.signal(signal);
        assert_eq!(rig.proxy.wait(), code, "{signal}");
        assert_eq!(client.rest(), b"");
        let printed = rig.proxy.stderr.rest();
        assert!(printed.is_empty(), "silent: {printed:#?}");
    }
}

#[test]
fn hup_prints_the_states_and_goes_on() {
    let rig = Rig::new(answering(OK), "", "");
    rig.get("/");
    rig.proxy.signal("HUP");
    let record = rig
        .log
        .message("SIGHUP received, dumping servers states for proxy b.");
    assert_eq!(record.priority, 133);
    let record = rig.log.message("SIGHUP: Server b/s is UP.");
    assert_eq!(
        record.text,
        "SIGHUP: Server b/s is UP. Conn: 0 act, 0 pend, 1 tot."
    );
    let record = rig.log.message("SIGHUP: Proxy b ");
    let expected = "SIGHUP: Proxy b has 1 active servers and 0 backup servers available. \
                    Conn: act(FE+BE): 0+0, 0 pend (0 unass), tot(FE+BE): 0+1.";
    assert_eq!(record.text, expected);
    rig.proxy
        .message("SIGHUP received, dumping servers states.");
    assert_eq!(rig.get("/after").0.status(), 200);
}

#[test]
fn pipe_and_usr2_do_no_harm() {
    let rig = Rig::new(answering(OK), "", "");
    rig.get("/");
    for signal in ["PIPE", "USR2"] {
        rig.proxy.signal(signal);
        assert_eq!(rig.get("/after").0.status(), 200, "{signal}");
    }
}

#[test]
fn a_client_that_resets_does_no_harm() {
    let rig = Rig::new(answering(OK), "", "");
    for _ in 0..10 {
        let mut client = rig.client();
        client.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
        client.head();
        // Closing with bytes unread resets the connection.
        drop(client);
    }
    // Not `get`, whose log line may be lost: a full log socket never holds the proxy up.
    let answer = rig.ask("GET /after HTTP/1.1\r\nHost: h");
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_request_that_came_with_the_soft_stop_is_answered() {
    let mut rig = Rig::new(answering(OK), "", "");
    let mut client = rig.client();
    client.ask("GET /before HTTP/1.1\r\nHost: h\r\n\r\n");
    // The signal is there first and the request behind it, in one turn of the loop.
    freeze(&rig.proxy);
    rig.proxy.signal("USR1");
    client.send("GET /with HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.proxy.signal("CONT");
    let answer = client.answer();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers("connection"), ["close"]);
    assert_eq!(rig.proxy.wait(), 0);
}
