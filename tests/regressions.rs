//! Defects that were found by using the program, each with the shortest way to see it.
//!
//! Every expectation holds for HAProxy 2.6 too: `ONELOOP_TEST_BIN=/usr/sbin/haproxy` runs the same
//! tests against it. What belongs to a larger subject stands in `tests/e2e`.

#[path = "support/mod.rs"]
#[allow(dead_code)] // Each test program uses a part of it.
mod support;

use support::client::Client;
use support::origin::Origin;
use support::proxy::Setup;

const CONFIG: &str = "\
global
    stats socket @dir@/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend f
    bind @fe@
    default_backend b
backend b
    server s @s@
";

fn origin() -> Origin {
    Origin::scripted(|wire| {
        while wire.request().is_some() {
            wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

/// A soft stop closes connections between two requests; one that was taken a moment ago and has
/// not asked yet is no such connection, its request is served.
#[test]
fn usr1_waits_for_the_first_request_of_a_new_connection() {
    let origin = origin();
    let mut proxy = Setup::new(CONFIG).with("s", origin.addr).start();
    let mut kept = Client::connect(proxy.addr("fe"));
    let mut new = Client::connect(proxy.addr("fe"));
    // Connections are taken in order: when the second answers, so were all before it.
    let mut last = Client::connect(proxy.addr("fe"));
    last.ask("GET /last HTTP/1.1\r\nHost: h\r\n\r\n");
    kept.ask("GET /kept HTTP/1.1\r\nHost: h\r\n\r\n");
    proxy.signal("USR1");
    assert_eq!(kept.rest(), b"", "an idle connection is closed");
    let answer = new.ask("GET /new HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    assert_eq!(new.rest(), b"", "closed after its answer");
    assert_eq!(proxy.wait(), 0);
}

/// Who stands in the kernel's queue when the listener closes was let in before the stop.
#[test]
fn usr1_serves_who_waits_to_be_accepted() {
    let origin = origin();
    let mut proxy = Setup::new(CONFIG).with("s", origin.addr).start();
    proxy.signal("STOP");
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(proxy.addr("fe"))).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    proxy.signal("USR1");
    proxy.signal("CONT");
    for mut client in clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(proxy.wait(), 0);
}

/// Idle connections to a server are kept for as many as were ever in use at once, not one for each
/// client that ever came.
#[test]
fn one_client_after_another_does_not_pile_up_server_connections() {
    let origin = origin();
    let proxy = Setup::new(CONFIG).with("s", origin.addr).start();
    for _ in 0..20 {
        let mut client = Client::connect(proxy.addr("fe"));
        client.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        assert_eq!(client.rest(), b"");
    }
    let stat = proxy.command("show stat");
    let mut lines = stat.lines();
    let names = lines.next().unwrap_or_default().split(',');
    let column = names.into_iter().position(|name| name == "srv_icur");
    let server = lines.find(|line| line.starts_with("b,s,")).unwrap();
    let idle = server.split(',').nth(column.unwrap()).unwrap();
    let idle: u32 = idle.parse().unwrap();
    assert!(idle <= 3, "{idle} idle connections");
}
