//! Five configurations of the kind people run (`examples`), each started in front of real servers
//! and used as its comments say. Only addresses, intervals and the place of the log are changed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::programs::{Redis, ask_postgres, nginx, postgres, postgres_copy, program, redis};
use crate::support::client::{Answer, Client, headers};
use crate::support::log::LogSocket;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{binary, free_endpoint, own_address, until};

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

const EXAMPLES: &[&str] = &[
    "blue-green",
    "one-port",
    "postgresql",
    "proxy-protocol",
    "redis",
    "web-pair",
];

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
    log.message("Server writing/primary is DOWN");
    log.message("Server reading/primary is DOWN");
    let refused = ask(writing, "INSERT INTO rows VALUES ('two')").unwrap_err();
    assert!(refused.contains("read-only transaction"), "{refused}");
    assert_eq!(ask(standby.addr, "SELECT pg_promote()").unwrap(), "t");
    ask(writing, "INSERT INTO rows VALUES ('two')").unwrap();
    assert_eq!(ask(reading, "SELECT count(*) FROM rows").unwrap(), "2");
}

#[test]
fn visitors_stay_with_their_web_server() {
    let (Some(mut first), Some(second)) = (nginx("web1"), nginx("web2")) else {
        return;
    };
    let mut setup = example(
        "web-pair",
        &[
            ("127.0.0.1:8080", "@web@"),
            ("198.51.100.11:80", &first.addr.to_string()),
            ("198.51.100.12:80", &second.addr.to_string()),
            ("/run/oneloop/admin.sock", "@dir@/admin.sock"),
            ("inter 2s", "inter 100ms"),
            PATIENT,
        ],
    );
    let log = setup.log();
    let proxy = setup.start();
    let web = proxy.addr("web");
    let visit = |cookie: &str| {
        let answer = get(web, &format!("Cookie: {cookie}\r\n"));
        let state = log.request("GET / HTTP/1.1").state;
        assert_eq!(answer.status(), 200);
        (answer.text().trim().to_owned(), state, answer)
    };
    await_server(&proxy, "app/web1", "UP", "L7OK");
    await_server(&proxy, "app/web2", "UP", "L7OK");
    // Newcomers take turns, and are told whose they are.
    let newcomers = tally(4, || {
        let (page, state, answer) = visit("theme=dark");
        let cookie = format!("SERVER={page}; path=/; HttpOnly");
        assert_eq!(answer.headers("set-cookie"), [cookie]);
        assert_eq!(answer.headers("cache-control"), ["private"]);
        assert_eq!(answer.headers("x-seen-from"), ["127.0.0.1"]);
        assert_eq!(state, "--NI");
        page
    });
    assert_eq!(
        newcomers,
        BTreeMap::from([("web1".into(), 2), ("web2".into(), 2)])
    );
    let stays = |server: &str| {
        for _ in 0..3 {
            let (page, state, answer) = visit(&format!("theme=dark; SERVER={server}"));
            assert_eq!((page.as_str(), state.as_str()), (server, "--VN"));
            assert_eq!(answer.headers("set-cookie"), [""; 0]);
            // The server sees the application's cookies and not this one.
            assert_eq!(answer.headers("x-seen-cookie"), ["theme=dark"]);
        }
    };
    stays("web1");
    stays("web2");
    // Out of service in three ways: by the server itself, from here, by force.
    let only_the_second_for_newcomers = || {
        stays("web1");
        let newcomers = tally(4, || visit("theme=dark").0);
        assert_eq!(newcomers, BTreeMap::from([("web2".into(), 4)]));
    };
    std::fs::rename(first.path("health"), first.path("not")).unwrap();
    await_server(&proxy, "app/web1", "NOLB", "L7OKC");
    only_the_second_for_newcomers();
    std::fs::rename(first.path("not"), first.path("health")).unwrap();
    await_server(&proxy, "app/web1", "UP", "L7OK");
    assert_eq!(proxy.command("set server app/web1 state drain").trim(), "");
    await_server(&proxy, "app/web1", "DRAIN", "L7OK");
    only_the_second_for_newcomers();
    assert_eq!(proxy.command("set server app/web1 state ready").trim(), "");
    await_server(&proxy, "app/web1", "UP", "L7OK");
    first.stop();
    await_server(&proxy, "app/web1", "DOWN", "L4CON");
    let (page, state, answer) = visit("SERVER=web1");
    assert_eq!((page.as_str(), state.as_str()), ("web2", "--DI"));
    let cookie = "SERVER=web2; path=/; HttpOnly";
    assert_eq!(answer.headers("set-cookie"), [cookie]);
}

#[test]
fn the_primary_of_redis_gets_everybody() {
    let Some(first) = redis("") else { return };
    let of = |server: SocketAddr| format!("replicaof {} {}", server.ip(), server.port());
    let second = redis(&of(first.addr)).unwrap();
    let mut setup = example(
        "redis",
        &[
            ("127.0.0.1:6380", "@redis@"),
            ("198.51.100.21:6379", &first.addr.to_string()),
            ("198.51.100.22:6379", &second.addr.to_string()),
            ("inter 1s", "inter 100ms"),
            (
                "timeout connect 3s",
                "timeout connect 3s\n    timeout check 20s",
            ),
        ],
    );
    let log = setup.log();
    let proxy = setup.start();
    let ask = |addr: SocketAddr, command: &str| Redis::connect(addr).ask(command).unwrap();
    let through = proxy.addr("redis");
    let port = |server: SocketAddr| format!("tcp_port:{}", server.port());
    let is_primary = |server: SocketAddr| {
        let told = ask(through, "INFO server");
        assert!(told.contains(&port(server)), "{told}");
    };
    await_server(&proxy, "redis/redis1", "UP", "L7OK");
    await_server(&proxy, "redis/redis2", "DOWN", "L7RSP");
    is_primary(first.addr);
    assert_eq!(ask(through, "SET greeting hello"), "+OK");
    until("the replica has it", || {
        (ask(second.addr, "GET greeting") == "hello").then_some(())
    });
    let mut connected = Redis::connect(through);
    assert_eq!(connected.ask("GET greeting").unwrap(), "hello");
    // Two primaries: nobody is moved.
    assert_eq!(ask(second.addr, "replicaof no one"), "+OK");
    await_server(&proxy, "redis/redis2", "UP", "L7OK");
    is_primary(first.addr);
    assert_eq!(ask(first.addr, &of(second.addr)), "+OK");
    log.message("Server redis/redis1 is DOWN, reason: Layer7 invalid response, info: \"TCPCHK did not match content 'role:master' at step 5\"");
    assert_eq!(connected.line(), None);
    log.records.take("the end of who was connected", |record| {
        record.is_request()
            && record.text.contains(" redis redis/redis1 ")
            && record.text.contains(" D")
    });
    is_primary(second.addr);
    assert_eq!(ask(through, "SET greeting again"), "+OK");
    until("the old primary has it", || {
        (ask(first.addr, "GET greeting") == "again").then_some(())
    });
}

#[test]
fn redis_may_want_a_password() {
    let Some(server) = redis("requirepass secret") else {
        return;
    };
    let path = format!("{}/examples/redis.cfg", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    // What the comment says, where it says it belongs.
    let words = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   tcp-check "));
    let lines: Vec<String> = words.map(|words| format!("tcp-check {words}\n")).collect();
    assert_eq!(lines.len(), 2);
    let ping = "    tcp-check send PING";
    let mut setup = example(
        "redis",
        &[
            ("127.0.0.1:6380", "@redis@"),
            ("198.51.100.21:6379", &server.addr.to_string()),
            ("198.51.100.22:6379", &free_endpoint().to_string()),
            (ping, &format!("{}{ping}", lines.concat())),
            ("inter 1s", "inter 100ms"),
            (
                "timeout connect 3s",
                "timeout connect 3s\n    timeout check 20s",
            ),
        ],
    );
    let _log = setup.log();
    let proxy = setup.start();
    await_server(&proxy, "redis/redis1", "UP", "L7OK");
    let mut client = Redis::connect(proxy.addr("redis"));
    assert!(client.ask("PING").unwrap().starts_with("-NOAUTH"));
    assert_eq!(client.ask("AUTH secret").unwrap(), "+OK");
    assert_eq!(client.ask("PING").unwrap(), "+PONG");
}

/// Where a client connected from, and what it was answered.
fn curl(url: &str, more: &[&str]) -> (String, Option<i32>, String) {
    let output = Command::new("/usr/bin/curl")
        .args([
            "--silent",
            "--include",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ])
        .args(["--write-out", "%{stderr}%{local_ip}:%{local_port}"])
        .args(more)
        .arg(url)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        text(&output.stderr),
        output.status.code(),
        text(&output.stdout),
    )
}

#[test]
fn two_hops_know_the_client() {
    let (Some(_), Some(haproxy)) = (program("curl"), program("haproxy")) else {
        return;
    };
    let Some(app) = nginx("app") else { return };
    // A proxy for each hop, or one for both; nobody but us is an edge.
    let hop = |next: &str, by: &Path| {
        let mut setup = example(
            "proxy-protocol",
            &[
                ("127.0.0.1:8080", "@edge@"),
                ("bind 127.0.0.1:8081", "bind @web@"),
                ("server web 127.0.0.1:8081", &format!("server web {next}")),
                ("src 127.0.0.0/8", "src 127.0.0.1"),
                ("198.51.100.51:8080", &app.addr.to_string()),
                PATIENT,
            ],
        );
        setup.program = Some(by.to_path_buf());
        let log = setup.log();
        (setup.start(), log)
    };
    let client = own_address().to_string();
    let visit = |(edge, edge_log): &(Proxy, LogSocket), (web, web_log): &(Proxy, LogSocket)| {
        await_server(edge, "hop/web", "UP", "L4OK");
        await_server(web, "app/app", "UP", "L4OK");
        let url = format!("http://{}/", edge.addr("edge"));
        let (from, code, answer) = curl(&url, &["--interface", &client]);
        assert_eq!(code, Some(0), "{answer}");
        let line = |log: &LogSocket, next: &str| {
            let start = format!("{from} ");
            let next = format!(" {next} ");
            let record = log.records.take(&from, |record| {
                record.text.starts_with(&start) && record.text.contains(&next)
            });
            record.text
        };
        let (first, second) = (line(edge_log, "hop/web"), line(web_log, "app/app"));
        let id = |line: &str| line.rsplit_once(" id=").unwrap().1.to_owned();
        assert_eq!(id(&first), id(&second));
        assert!(second.contains(" web app/app 200 "), "{second}");
        let (answer, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "app\n");
        let seen = |name: &str| headers(answer, name);
        assert_eq!(seen("x-seen-from"), [client.as_str()]);
        assert_eq!(seen("x-seen-id"), [id(&first)]);
    };
    let ours = binary();
    let both = hop("@web@", &ours);
    visit(&both, &both);
    let theirs = hop(&both.0.addr("web").to_string(), &haproxy);
    visit(&theirs, &both);
    let before = hop(&theirs.0.addr("web").to_string(), &ours);
    visit(&before, &theirs);
    // Who is no edge is believed nothing, and who says nothing is no client.
    let web = format!("http://{}/", both.0.addr("web"));
    let lies = ["--haproxy-protocol", "--interface", &client];
    for more in [&lies[..], &[]] {
        let (_, code, answer) = curl(&web, more);
        // When it is reset, curl may be connecting (7), sending (55) or receiving (52, 56).
        assert!(matches!(code, Some(7 | 52 | 55 | 56)), "{code:?} {answer}");
    }
}
