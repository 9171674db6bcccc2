//! What goes wrong on the way, what the client is told, and the two letters that stay in the log.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::proxy::Setup;
use crate::support::{Flavour, flavour, free_endpoint, until};
use crate::{Gate, OK, Rig, answering, closing, common, freeze, gated, losing_the_second, silent};

/// A configuration where `@dead@` refuses and the origin `@s@` serves.
fn with_dead_server(backend: &str) -> (Rig, String) {
    let dead = free_endpoint();
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server dead {dead}\n{backend}\n"
    ));
    (Rig::of(answering(OK), &config), dead.to_string())
}

#[test]
fn a_refused_connection_is_tried_again_on_the_same_server_once_a_timeout_connect() {
    let (rig, _) = with_dead_server(" timeout connect 100ms");
    let (answer, line) = rig.get("/");
    assert_eq!(answer.status(), 503);
    let bytes = line.bytes;
    let expected =
        format!("f b/dead T/T/-1/-1/T 503 {bytes} - - SC-- 1/1/0/0/3 0/0 \"GET / HTTP/1.1\"");
    assert_eq!(line.masked(), expected);
    // The wait between attempts is the shorter of one second and timeout connect.
    assert!((295..15_000).contains(&line.timers[4]), "{:?}", line.timers);
}

#[test]
fn retries_sets_the_number_of_attempts_after_the_first() {
    for (retries, least_ms) in [(0, 0), (1, 100), (2, 200)] {
        let (rig, _) = with_dead_server(&format!(" timeout connect 100ms\n retries {retries}"));
        let line = rig.get("/").1;
        assert_eq!(line.connections, format!("1/1/0/0/{retries}"));
        assert_eq!((line.status, line.state.as_str()), (503, "SC--"));
        assert!(line.timers[4] + 5 >= least_ms, "{:?}", line.timers);
    }
}

#[test]
fn redispatch_goes_to_another_server_at_once() {
    let (rig, _) = with_dead_server(" option redispatch\n server s @s@");
    let mut redispatched = 0;
    for n in 0..4 {
        let (answer, line) = rig.get(&format!("/{n}"));
        assert_eq!(
            (answer.status(), line.server.as_str(), line.state.as_str()),
            (200, "b/s", "----")
        );
        if line.connections == "1/1/0/0/+1" {
            redispatched += 1;
            assert!(
                line.timers[4] < 1000,
                "no second of waiting: {:?}",
                line.timers
            );
        }
    }
    assert_eq!(
        redispatched, 4,
        "a served request is followed by the dead server's turn"
    );
}

#[test]
fn without_redispatch_the_other_server_does_not_help() {
    let (rig, _) = with_dead_server(" timeout connect 50ms\n server s @s@");
    let statuses: Vec<i32> = (0..4)
        .map(|n| rig.get(&format!("/{n}")).0.status())
        .collect();
    assert_eq!(statuses, [503, 200, 503, 200]);
}

#[test]
fn a_server_that_comes_back_between_attempts_gets_the_request() {
    let mut origin = answering(OK);
    origin.kill();
    let mut rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("GET /patient HTTP/1.1\r\nHost: h\r\n\r\n");
    // The first attempt is made as soon as the request is there.
    until("the request arrived", || {
        rig.proxy
            .command("show stat")
            .contains("b,BACKEND,0,0,1,")
            .then_some(())
    });
    rig.origin.revive();
    assert_eq!(client.answer().status(), 200);
    client.finish();
    let line = rig.log.request("GET /patient HTTP/1.1");
    assert_eq!(line.state, "----");
    assert_ne!(line.connections, "1/1/0/0/0", "it was tried again");
}

#[test]
fn no_server_at_all_is_503_at_once() {
    let config = common("frontend f\n bind @fe@\n default_backend b\nbackend b\n");
    let rig = Rig::of(answering(OK), &config);
    let (answer, line) = rig.get("/");
    assert_eq!(
        answer.head.lines().next(),
        Some("HTTP/1.1 503 Service Unavailable")
    );
    assert!(
        line.masked().starts_with("f b/<NOSRV> T/-1/-1/-1/T 503 "),
        "{}",
        line.masked()
    );
    assert!(
        line.masked().contains(" SC-- 1/1/0/0/0 0/0 "),
        "{}",
        line.masked()
    );
}

#[test]
fn no_backend_at_all_is_503_too() {
    let config = common("frontend f\n bind @fe@\n");
    let rig = Rig::of(answering(OK), &config);
    let line = rig.get("/").1;
    assert!(
        line.masked().starts_with("f f/<NOSRV> -1/-1/-1/-1/T 503 "),
        "{}",
        line.masked()
    );
    assert!(line.masked().contains(" SC-- "), "{}", line.masked());
}

#[test]
fn a_server_that_closes_without_an_answer_is_502_sh() {
    let rig = Rig::new(closing(""), "", "");
    let (answer, line) = rig.get("/");
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 502 Bad Gateway"));
    assert!(
        line.masked().starts_with("f b/s T/T/T/-1/T 502 "),
        "{}",
        line.masked()
    );
    assert!(
        line.masked().contains(" SH-- 1/1/0/0/0 0/0 "),
        "{}",
        line.masked()
    );
}

#[test]
fn a_silent_server_is_504_after_timeout_server() {
    let rig = Rig::new(silent(), "", " timeout server 200ms");
    let (answer, line) = rig.get("/");
    assert_eq!(
        answer.head.lines().next(),
        Some("HTTP/1.1 504 Gateway Time-out")
    );
    assert!(
        line.masked().starts_with("f b/s T/T/T/-1/T 504 "),
        "{}",
        line.masked()
    );
    assert!(
        line.masked().contains(" sH-- 1/1/0/0/0 0/0 "),
        "{}",
        line.masked()
    );
    assert!((195..15_000).contains(&line.timers[4]), "{:?}", line.timers);
}

#[test]
fn the_client_connection_survives_502_503_and_504() {
    let origin = Origin::scripted(|wire| {
        while let Some(request) = wire.request() {
            match request.target() {
                "/silent" => {}
                "/close" => return,
                _ => wire.send(OK),
            }
        }
    });
    let rig = Rig::new(
        origin,
        " http-request deny deny_status 503 if { path /deny }",
        " timeout server 200ms",
    );
    for (path, status) in [("/silent", 504), ("/close", 502), ("/deny", 503)] {
        let mut client = rig.client();
        let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(),
            200
        );
        client.finish();
    }
}

#[test]
fn an_answer_cut_short_is_sd_and_the_client_sees_the_cut() {
    let rig = Rig::new(
        closing("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew"),
        "",
        "",
    );
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.head();
    assert_eq!(client.rest(), b"few");
    let line = rig.log.request("GET / HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (200, "SD--"));
}

#[test]
fn an_answer_that_stops_is_sd_in_small_letters() {
    let origin = Origin::scripted(|wire| {
        wire.request();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfew");
        wire.exactly(1);
    });
    let rig = Rig::new(origin, "", " timeout server 200ms");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.head();
    assert_eq!(client.rest(), b"few");
    let line = rig.log.request("GET / HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (200, "sD--"));
}

#[test]
fn a_client_that_leaves_during_the_answer_is_cd() {
    let gate = Gate::new();
    let passed = gate.clone();
    let origin = Origin::scripted(move |wire| {
        wire.request();
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
        passed.pass();
        wire.send(vec![b'x'; 10_000_000]);
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client.head();
    drop(client);
    gate.open();
    let line = rig.log.request("GET / HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (200, "CD--"));
}

#[test]
fn a_request_that_is_not_completed_in_time_is_408() {
    let rig = Rig::new(answering(OK), " timeout http-request 200ms", "");
    let began = Instant::now();
    let mut client = rig.client();
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n");
    let expected = "HTTP/1.1 408 Request Time-out\r\ncontent-length: 110\r\n\
                    cache-control: no-cache\r\nconnection: close\r\ncontent-type: text/html\r\n\r\n";
    assert_eq!(answer.lowered_head(), expected);
    let page = "<html><body><h1>408 Request Time-out</h1>\n\
                Your browser didn't send a complete request in time.\n\
                </body></html>\n";
    assert_eq!(answer.text(), page);
    assert_eq!(client.rest(), b"");
    let line = rig.log.request("<BADREQ>");
    let expected = "f f/<NOSRV> -1/-1/-1/-1/T 408 0 - - cR-- 1/1/0/0/0 0/0 \"<BADREQ>\"";
    assert_eq!(line.masked(), expected);
    // The timeout runs from the connection, the line's time from the first byte.
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(195) && line.timers[4] < 15_000,
        "{took:?}"
    );
}

#[test]
fn timeout_client_stands_in_for_timeout_http_request() {
    let rig = Rig::new(answering(OK), " timeout client 200ms", "");
    let mut client = rig.client();
    assert_eq!(client.ask("GET / HT").status(), 408);
    assert_eq!(rig.log.request("<BADREQ>").state, "cR--");
}

#[test]
fn a_body_that_stops_ends_the_request_one_way_or_the_other() {
    let rig = Rig::new(
        answering(OK),
        " timeout client 200ms",
        " timeout server 400ms",
    );
    let mut client = rig.client();
    client.send("POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    let answer = client.answer();
    let line = rig.log.request("POST /body HTTP/1.1");
    assert_eq!(answer.status(), line.status);
    // The manual has a client timeout while its body is waited for; HAProxy 2.6 lets the server's
    // go first, which says nothing because it waits for the body too.
    let ends = [(408, "cH--"), (408, "cD--"), (504, "sH--")];
    assert!(
        ends.contains(&(line.status, line.state.as_str())),
        "{}",
        line.masked()
    );
}

#[test]
fn an_idle_kept_connection_is_closed_without_a_word_and_without_a_log_line() {
    let rig = Rig::new(answering(OK), " timeout http-keep-alive 200ms", "");
    let mut client = rig.client();
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.rest(), b"");
    rig.log.request("GET / HTTP/1.1");
    // A later line shows that none came between.
    rig.get("/later");
    assert!(
        rig.log.records.rest().is_empty(),
        "{:?}",
        rig.log.records.rest()
    );
}

#[test]
fn the_tunnel_has_a_timeout_of_its_own() {
    let origin = Origin::scripted(|wire| {
        wire.request();
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        );
        wire.exactly(1);
    });
    let rig = Rig::new(origin, "", " timeout tunnel 200ms");
    let mut client = rig.client();
    client.send("GET /t HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    client.head();
    let began = Instant::now();
    assert_eq!(client.rest(), b"");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "not the 30 s of timeout client"
    );
    let line = rig.log.request("GET /t HTTP/1.1");
    assert!(
        ["cD--", "sD--"].contains(&line.state.as_str()),
        "{}",
        line.state
    );
}

/// Fills the only slot of the server with a request of its own connection.
fn occupy(rig: &Rig) -> Client {
    let mut client = rig.client();
    client.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
    rig.origin
        .requests
        .take("the first request", |request| request.target() == "/first");
    client
}

#[test]
fn a_full_server_queues_and_the_queue_has_a_timeout() {
    let gate = Gate::new();
    let config = common(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n timeout queue 200ms\n server s @s@ maxconn 1\n",
    );
    let rig = Rig::of(gated(&gate), &config);
    let mut first = occupy(&rig);
    let (answer, line) = rig.get("/second");
    assert_eq!(answer.status(), 503);
    let masked = line.masked();
    assert!(
        masked.starts_with("f b/<NOSRV> T/T/-1/-1/T 503 "),
        "{masked}"
    );
    assert!(masked.contains(" sQ-- 2/2/1/0/0 0/1 "), "{masked}");
    assert!((195..15_000).contains(&line.timers[1]), "{:?}", line.timers);
    gate.open();
    assert_eq!(first.answer().status(), 200);
}

#[test]
fn a_queued_request_is_served_when_the_slot_is_free() {
    let gate = Gate::new();
    let config =
        common("frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@ maxconn 1\n");
    let rig = Rig::of(gated(&gate), &config);
    let mut first = occupy(&rig);
    let mut second = rig.client();
    second.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    until("it is queued", || {
        rig.proxy
            .command("show stat")
            .contains("\nb,BACKEND,1,")
            .then_some(())
    });
    assert!(
        rig.origin.requests.rest().is_empty(),
        "one request at a time"
    );
    gate.open();
    assert_eq!(first.answer().status(), 200);
    assert_eq!(second.answer().status(), 200);
    let line = rig.log.request("GET /second HTTP/1.1");
    assert_eq!(line.state, "----");
    assert_eq!(
        line.queues, "0/1",
        "one request was before it in the backend's queue"
    );
}

#[test]
fn abortonclose_takes_the_request_of_a_client_that_left_out_of_the_queue() {
    let gate = Gate::new();
    let config = common(
        " option abortonclose\n\
         frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server s @s@ maxconn 1\n",
    );
    let rig = Rig::of(gated(&gate), &config);
    let mut first = occupy(&rig);
    let mut second = rig.client();
    second.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    until("it is queued", || {
        rig.proxy
            .command("show stat")
            .contains("\nb,BACKEND,1,")
            .then_some(())
    });
    drop(second);
    let line = rig.log.request("GET /second HTTP/1.1");
    assert_eq!(line.state, "CQ--");
    gate.open();
    assert_eq!(first.answer().status(), 200);
    assert!(
        rig.origin.requests.rest().is_empty(),
        "it never reached the server"
    );
}

#[test]
fn a_full_frontend_lets_connections_wait() {
    let gate = Gate::new();
    let rig = Rig::new(gated(&gate), " maxconn 1", "");
    let mut first = occupy(&rig);
    let mut second = rig.client();
    second.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    gate.open();
    assert_eq!(first.answer().status(), 200);
    first.finish();
    assert_eq!(second.answer().status(), 200);
    second.finish();
    let lines = ["/first", "/second"].map(|p| rig.log.request(&format!("GET {p} HTTP/1.1")));
    assert_eq!(lines.map(|l| l.connections), ["1/1/0/0/0", "1/1/0/0/0"]);
}

#[test]
fn an_errorfile_replaces_the_built_in_page() {
    let page = "HTTP/1.0 503 Closed\r\nX-Own: yes\r\nContent-Type: text/plain\r\n\r\nown page\n";
    let config = common(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n errorfile 503 @dir@/503.http\n",
    );
    let mut setup = crate::support::proxy::Setup::new(&config).file("503.http", page);
    let log = setup.log();
    let proxy = setup.start();
    let mut client = Client::connect(proxy.addr("fe"));
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let expected = "HTTP/1.0 503 Closed\r\nx-own: yes\r\ncontent-type: text/plain\r\n\r\n";
    assert_eq!(
        (answer.lowered_head().as_str(), answer.text().as_str()),
        (expected, "own page\n")
    );
    let line = log.request("GET / HTTP/1.1");
    // 26, the words of the status line, the names and values of the headers, the page.
    let article = 26 + 8 + 3 + 6 + (5 + 3) + (12 + 10) + 9;
    assert_eq!(line.bytes, flavour().bytes(article));
}

#[test]
fn built_in_pages_have_haproxys_form() {
    let rig = Rig::new(closing(""), "", "");
    let (answer, line) = rig.get("/");
    let expected = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 107\r\n\
                    cache-control: no-cache\r\ncontent-type: text/html\r\n\r\n";
    assert_eq!(answer.lowered_head(), expected);
    let page = "<html><body><h1>502 Bad Gateway</h1>\n\
                The server returned an invalid or incomplete response.\n\
                </body></html>\n";
    assert_eq!(answer.text(), page);
    assert_eq!(line.bytes, flavour().bytes(214));
}

#[test]
fn a_request_lost_on_a_kept_server_connection_is_not_sent_twice() {
    let rig = Rig::new(losing_the_second(), "", "");
    let mut client = rig.client();
    assert_eq!(
        client.ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n").status(),
        200
    );
    // Whether the server acted on it is unknown. A client whose kept connection closes without an
    // answer repeats what may be repeated, so it is told just that: no 502, no log line.
    client.send("POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.rest(), b"");
    rig.log.request("GET /1 HTTP/1.1");
    rig.get("/3");
    assert!(
        rig.log.records.rest().is_empty(),
        "{:?}",
        rig.log.records.rest()
    );
    let seen: Vec<String> = rig
        .origin
        .requests
        .rest()
        .iter()
        .map(|request| request.target().to_string())
        .collect();
    assert_eq!(seen, ["/1", "/2", "/3"]);
}

#[test]
fn idle_server_connections_give_way_when_descriptors_run_out() {
    if flavour() == Flavour::Oracle {
        // haproxy keeps them and answers 503.
        return;
    }
    const CLIENTS: usize = 20;
    let gate = Gate::new();
    let config = common(
        "    retries 0\nfrontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@\n",
    )
    .replacen(
        "global\n",
        "global\n    maxconn 20\n    no strict-limits\n",
        1,
    );
    let origin = gated(&gate);
    let mut setup = Setup::new(&config).with("s", origin.addr);
    let _log = setup.log();
    // Room for the clients and as many server connections, not for idle ones beside.
    setup.limit = Some("-n 55");
    let proxy = setup.start();
    let addr = proxy.addr("fe");
    for round in 0..3 {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(addr)).collect();
        for client in &mut clients {
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        }
        // At first all wait at once, which leaves as many idle connections.
        if round == 0 {
            origin.requests.wait("all requests", |requests| {
                (requests.len() == CLIENTS).then_some(())
            });
            gate.open();
        }
        for mut client in clients {
            assert_eq!(client.answer().status(), 200, "round {round}");
            client.finish();
        }
    }
}

/// Whether a connection that was accepted on `addr` is open, from the kernel's table.
fn is_connected(addr: SocketAddr) -> bool {
    let IpAddr::V4(ip) = addr.ip() else {
        panic!("only IPv4 endpoints are given out")
    };
    let ip = u32::from_le_bytes(ip.octets());
    let local = format!("{ip:08X}:{:04X}", addr.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|row| {
        let mut words = row.split_whitespace().skip(1);
        words.next() == Some(&local) && words.nth(1) == Some("01")
    })
}

#[test]
fn a_request_of_which_nothing_was_sent_goes_out_on_another_connection() {
    if flavour() == Flavour::Oracle {
        // haproxy closes the client's connection without an answer.
        return;
    }
    let (head, gate) = (Gate::new(), Gate::new());
    let (came, passed) = (head.clone(), gate.clone());
    let origin = Origin::scripted(move |wire| {
        if wire.connection > 0 {
            while wire.request().is_some() {
                wire.send(OK);
            }
            return;
        }
        while wire.line() != "\r\n" {}
        came.open();
        // The body stays unread, so that the close is a reset.
        wire.stream.peek(&mut [0]).unwrap();
        wire.send(OK);
        passed.pass();
    });
    let rig = Rig::new(origin, "", "");
    let mut client = rig.client();
    client.send("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
    head.pass();
    client.send("a");
    assert_eq!(client.answer().status(), 200);
    // A turn later the server connection lies idle.
    rig.proxy.command("show version");
    freeze(&rig.proxy);
    client.send("POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nb");
    gate.open();
    until("the idle connection is reset", || {
        (!is_connected(rig.origin.addr)).then_some(())
    });
    rig.proxy.signal("CONT");
    assert_eq!(client.answer().status(), 200);
    let requests = rig.origin.requests.rest();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!((requests[0].connection, &*requests[0].body), (1, &b"b"[..]));
}
