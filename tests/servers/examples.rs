//! Five configurations of the kind people run (`examples`), each started in front of real servers
//! and used as its comments say. Only addresses, intervals and the place of the log are changed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::programs::{ask_postgres, nginx, postgres, postgres_copy, program};
use crate::support::client::{Answer, Client};
use crate::support::proxy::{Proxy, Setup};
use crate::support::until;

/// An example with addresses of the test's own; every text that is replaced must be there.
fn example(name: &str, replaced: &[(&str, &str)]) -> Setup {
    let path = format!("{}/examples/{name}.cfg", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [("/dev/log", "@log@")].iter().chain(replaced) {
        assert!(text.contains(from), "{name}: {from}");
        text = text.replace(from, to);
    }
    if !text.contains("stats socket") {
        text.push_str("\nglobal\n    stats socket @dir@/admin.sock mode 600 level admin\n");
    }
    Setup::new(&text)
}

/// A check may take long on a busy machine, however often it runs.
const PATIENT: (&str, &str) = (
    "timeout connect 5s",
    "timeout connect 5s\n    timeout check 20s",
);

/// One request on a connection of its own.
fn get(addr: SocketAddr, headers: &str) -> Answer {
    let mut client = Client::connect(addr);
    let answer = client.ask(&format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n"));
    client.finish();
    answer
}

/// How often each answer came.
fn tally(count: usize, mut ask: impl FnMut() -> String) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for _ in 0..count {
        *times.entry(ask()).or_default() += 1;
    }
    times
}

/// Waits until a server's check has shown this and it is in this state.
fn await_server(proxy: &Proxy, server: &str, state: &str, check: &str) {
    let start = format!("{},", server.replace('/', ","));
    until(&format!("{server} is {state} by {check}"), || {
        let stat = proxy.command("show stat");
        let row = stat.lines().find(|row| row.starts_with(&start))?;
        let cells: Vec<&str> = row.split(',').collect();
        let good = cells[17] == state && cells[36].trim_start_matches("* ") == check;
        good.then_some(())
    });
}

#[test]
fn haproxy_takes_the_examples() {
    let Some(haproxy) = program("haproxy") else {
        return;
    };
    for name in EXAMPLES {
        let path = format!("{}/examples/{name}.cfg", env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(&haproxy)
            .args(["-c", "-f", &path])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {said}");
        assert!(!said.contains("WARNING"), "{name}: {said}");
    }
}

const EXAMPLES: &[&str] = &["blue-green", "postgresql"];

/// Ends a thread that runs beside a test, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn traffic_moves_from_blue_to_green() {
    let (Some(blue), Some(green)) = (nginx("blue"), nginx("green")) else {
        return;
    };
    let mut setup = example(
        "blue-green",
        &[
            ("127.0.0.1:8080", "@web@"),
            ("127.0.0.1:8404", "@statistics@"),
            ("198.51.100.41:8080", &blue.addr.to_string()),
            ("198.51.100.42:8080", &green.addr.to_string()),
            ("/run/oneloop/admin.sock", "@dir@/admin.sock"),
            ("inter 2s", "inter 100ms"),
            PATIENT,
        ],
    );
    let _log = setup.log();
    let proxy = setup.start();
    let web = proxy.addr("web");
    await_server(&proxy, "app/blue", "UP", "L4OK");
    await_server(&proxy, "app/green", "UP", "L4OK");
    let page = |headers: &str| get(web, headers).text().trim().to_owned();
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    // What is asked for through the runtime socket, and an answer to the visitor after it.
    let command = |line: &str, answer: &str| {
        assert_eq!(proxy.command(line).trim(), answer);
        let before = asked.load(Ordering::SeqCst);
        until("the visitor is served", || {
            (asked.load(Ordering::SeqCst) > before + 1).then_some(())
        });
    };
    std::thread::scope(|scope| {
        let stop = Stop(&over);
        // Somebody who keeps asking loses nothing.
        let visitor = scope.spawn(|| {
            let mut client = Client::connect(web);
            while !over.load(Ordering::SeqCst) {
                let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
                assert_eq!(answer.status(), 200);
                asked.fetch_add(1, Ordering::SeqCst);
            }
        });
        let all = |page: &str| BTreeMap::from([(page.to_owned(), 10)]);
        assert_eq!(tally(10, || page("")), all("blue"));
        assert_eq!(page("X-Version: green\r\n"), "green");
        command("set weight app/green 10", "");
        command("get weight app/green", "10 (initial 0)");
        // The visitor takes part in the shares, so they are not exact.
        until("green has a share", || {
            (tally(10, || page("")).len() == 2).then_some(())
        });
        command("set weight app/blue 0", "");
        assert_eq!(tally(10, || page("")), all("green"));
        command("set weight app/blue 90", "");
        command("set weight app/green 0", "");
        assert_eq!(tally(10, || page("")), all("blue"));
        drop(stop);
        visitor.join().unwrap();
    });
    assert_eq!(get(proxy.addr("statistics"), "").status(), 200);
}

#[test]
fn postgresql_is_written_by_its_primary_and_read_from_both() {
    let Some(mut primary) = postgres() else {
        return;
    };
    let ask = |addr: SocketAddr, statement: &str| ask_postgres(addr, statement);
    ask(primary.addr, "CREATE USER haproxy").unwrap();
    ask(primary.addr, "CREATE TABLE rows (name text)").unwrap();
    let Some(standby) = postgres_copy(&primary) else {
        return;
    };
    let mut setup = example(
        "postgresql",
        &[
            ("127.0.0.1:6432", "@writing@"),
            ("127.0.0.1:6433", "@reading@"),
            ("198.51.100.31:5432", &primary.addr.to_string()),
            ("198.51.100.32:5432", &standby.addr.to_string()),
            ("inter 2s", "inter 100ms"),
            PATIENT,
        ],
    );
    let log = setup.log();
    let proxy = setup.start();
    let (writing, reading) = (proxy.addr("writing"), proxy.addr("reading"));
    for server in [
        "writing/primary",
        "writing/standby",
        "reading/primary",
        "reading/standby",
    ] {
        await_server(&proxy, server, "UP", "L7OK");
    }
    ask(writing, "INSERT INTO rows VALUES ('one')").unwrap();
    let port = |server: SocketAddr| server.port().to_string();
    let served = tally(8, || ask(reading, "SELECT inet_server_port()").unwrap());
    let shares = BTreeMap::from([(port(primary.addr), 2), (port(standby.addr), 6)]);
    assert_eq!(served, shares);
    until("the standby has the row", || {
        (ask(standby.addr, "SELECT name FROM rows").ok()? == "one").then_some(())
    });
    for _ in 0..4 {
        assert_eq!(ask(reading, "SELECT name FROM rows").unwrap(), "one");
    }
    primary.stop();
    log.message("Server writing/primary is DOWN, reason: Layer4 connection problem");
    log.message("Server reading/primary is DOWN");
    let refused = ask(writing, "INSERT INTO rows VALUES ('two')").unwrap_err();
    assert!(refused.contains("read-only transaction"), "{refused}");
    assert_eq!(ask(standby.addr, "SELECT pg_promote()").unwrap(), "t");
    ask(writing, "INSERT INTO rows VALUES ('two')").unwrap();
    assert_eq!(ask(reading, "SELECT count(*) FROM rows").unwrap(), "2");
}
