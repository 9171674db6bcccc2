//! What the runtime socket changes while traffic runs: servers that come, go and move, limits,
//! sessions that are ended. The words of each command are in `commands.rs` and in the parity suites.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, flavour, until};

const CONFIG: &str = "\
global
    stats socket @dir@/admin.sock mode 600 level admin
    stats timeout 30s
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend web
    bind @web@
    default_backend app
backend app
    server first @s@
";

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn site(origin: &Origin) -> Proxy {
    Setup::new(CONFIG).with("s", origin.addr).start()
}

fn body(client: &mut Client) -> String {
    String::from_utf8(client.ask(GET).body).unwrap()
}

/// Asks until this body comes.
fn asks_until(client: &mut Client, wanted: &str) {
    until("the server is used", || {
        (body(client) == wanted).then_some(())
    });
}

#[test]
fn servers_come_and_go_and_no_request_fails() {
    let (one, two) = (Origin::nginx("one"), Origin::nginx("two"));
    let proxy = site(&one);
    let mut client = Client::connect(proxy.addr("web"));
    for round in 0..20 {
        let name = format!("app/n{round}");
        let added = proxy.command(&format!("add server {name} {}", two.addr));
        assert_eq!(added, "New server registered.\n\n");
        assert_eq!(body(&mut client), "one", "in maintenance");
        assert_eq!(proxy.command(&format!("enable server {name}")), "\n");
        asks_until(&mut client, "two");
        asks_until(&mut client, "one");
        assert_eq!(proxy.command(&format!("disable server {name}")), "\n");
        // What lay idle for it is closed with the maintenance; the last request has its answer.
        until("the server has nobody left", || {
            let answer = proxy.command(&format!("del server {name}"));
            (answer == "Server deleted.\n").then_some(())
        });
        assert_eq!(body(&mut client), "one");
    }
    let state = proxy.command("show servers state app");
    assert_eq!(state.matches(" app ").count(), 1, "{state}");
}

#[test]
fn a_server_moves_and_its_idle_connections_are_left_behind() {
    let (one, two) = (Origin::nginx("one"), Origin::nginx("two"));
    let proxy = site(&one);
    let mut client = Client::connect(proxy.addr("web"));
    assert_eq!(body(&mut client), "one");
    let command = format!(
        "set server app/first addr {} port {}",
        two.addr.ip(),
        two.addr.port()
    );
    assert!(proxy.command(&command).contains("port changed from"));
    assert_eq!(body(&mut client), "two");
    assert_eq!(body(&mut client), "two");
}

/// HAProxy 2.6 hangs when the limit of a frontend that is full rises.
#[test]
fn a_limit_that_rises_lets_in_who_waits() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let origin = Origin::nginx("page");
    let proxy = site(&origin);
    for (low, high) in [
        ("set maxconn frontend web 1", "set maxconn frontend web 2"),
        ("set maxconn global 1", "set maxconn global 0"),
    ] {
        assert_eq!(proxy.command(low), "\n");
        let mut first = Client::connect(proxy.addr("web"));
        assert_eq!(body(&mut first), "page");
        let mut second = Client::connect(proxy.addr("web"));
        second.send(GET);
        // The second one is not counted while it waits.
        let stat = proxy.command("show stat web 1 -1");
        let row = stat.lines().nth(1).unwrap();
        assert_eq!(row.split(',').nth(4), Some("1"), "{stat}");
        assert_eq!(proxy.command(high), "\n");
        assert_eq!(second.answer().body, b"page");
        drop((first, second));
        until("both have left", || {
            let stat = proxy.command("show stat web 1 -1");
            let row = stat.lines().nth(1).unwrap();
            (row.split(',').nth(4) == Some("0")).then_some(())
        });
    }
    assert!(proxy.command("show info").contains("\nMaxconn: 100\n"));
}

#[test]
fn a_rate_limit_is_kept() {
    let origin = Origin::nginx("page");
    let proxy = site(&origin);
    let command = "set rate-limit connections global 10";
    assert_eq!(proxy.command(command), "\n");
    let begin = Instant::now();
    for _ in 0..25 {
        let mut client = Client::connect(proxy.addr("web"));
        assert_eq!(body(&mut client), "page");
    }
    // Ten at once, and ten in each second after it.
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(1_200), "{took:?}");
    assert!(proxy.command("show info").contains("\nConnRateLimit: 10\n"));
    assert_eq!(proxy.command("set rate-limit connections global 0"), "\n");
}

#[test]
fn a_session_is_shown_and_ended() {
    let origin = Origin::scripted(|wire| while wire.request().is_some() {});
    let proxy = site(&origin);
    let mut client = Client::connect(proxy.addr("web"));
    client.send(GET);
    let line = until("the session is with its server", || {
        let list = proxy.command("show sess");
        let mut lines = list.lines().map(str::to_owned);
        lines.find(|line| line.contains(" fe=web be=app srv=first "))
    });
    let (id, _) = line.split_once(':').unwrap();
    let whole = proxy.command(&format!("show sess {id}"));
    assert!(whole.starts_with(&format!("{id}: [")), "{whole}");
    assert!(whole.contains("\n  server=first (id=1) addr="), "{whole}");
    assert!(proxy.command("show sess all").contains(&whole[..20]));
    assert_eq!(proxy.command(&format!("shutdown session {id}")), "\n");
    assert_eq!(client.answer().status(), 502);
    if flavour() == Flavour::Oracle {
        // There the next session may get the id, that of the command itself included.
        return;
    }
    let gone = "No such session (use 'show sess').\n\n";
    until("the session is gone", || {
        (proxy.command(&format!("shutdown session {id}")) == gone).then_some(())
    });
}

#[test]
fn a_frontend_that_was_shut_down_refuses_and_serves_whom_it_has() {
    let origin = Origin::nginx("page");
    let proxy = site(&origin);
    let mut client = Client::connect(proxy.addr("web"));
    assert_eq!(body(&mut client), "page");
    assert_eq!(proxy.command("shutdown frontend web"), "\n");
    let refused = std::net::TcpStream::connect(proxy.addr("web"));
    assert!(refused.is_err());
    assert_eq!(body(&mut client), "page");
    proxy.signal("TTOU");
    proxy.signal("TTIN");
    let again = proxy.command("enable frontend web");
    let text = "Frontend was previously shut down, cannot enable.\n\n";
    assert_eq!(again, text);
    assert!(std::net::TcpStream::connect(proxy.addr("web")).is_err());
}

#[test]
fn what_developers_ask_for() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let origin = Origin::nginx("page");
    let proxy = site(&origin);
    let mut client = Client::connect(proxy.addr("web"));
    assert_eq!(body(&mut client), "page");
    let activity = proxy.command("show activity");
    assert!(activity.starts_with("thread_id: 1 (1..1)\ndate_now: "));
    assert!(activity.contains("\naccepted: 1\n"), "{activity}");
    proxy.command("clear counters");
    assert!(proxy.command("show activity").contains("\naccepted: 0\n"));
    let pools = proxy.command("show pools");
    assert!(pools.contains("\n  - Pool client ("), "{pools}");
    assert!(pools.contains("\nTotal: 5 pools, "), "{pools}");
    let sockets = proxy.command("show fd");
    assert!(sockets.contains(" owner=client fe=web src=127.0.0.1:"));
    assert!(sockets.contains(" owner=server sv=app/first idle=1"));
    let (number, _) = sockets.trim_start().split_once(" : ").unwrap();
    let one = proxy.command(&format!("show fd {number}"));
    assert_eq!(one.lines().count(), 2, "{one}");
    assert_eq!(proxy.command("show fd 99999"), "\n");
    assert_eq!(proxy.command("show events buf0"), "No such event sink\n");
    assert_eq!(proxy.command("show events").lines().count(), 2);
    // The configuration has nothing to say.
    assert_eq!(proxy.command("show startup-logs"), "\n\n");
    let schema = proxy.command("show schema json");
    assert!(schema.starts_with("{\"$schema\":\"http://json-schema.org/draft-04/schema#\","));
}

#[test]
fn what_was_said_at_the_start_is_kept() {
    let config = CONFIG.replace("frontend web\n", "frontend web\n    balance roundrobin\n");
    let origin = Origin::nginx("page");
    let proxy = Setup::new(&config).with("s", origin.addr).start();
    let said = proxy.command("show startup-logs");
    assert!(said.contains("[WARNING] "), "{said}");
    assert!(
        said.contains(" 'balance' ignored because frontend 'web' "),
        "{said}"
    );
    assert!(said.ends_with("\n\n"));
}
