//! Limits that hold: who waits where, in which order, and that waiting costs nothing.

use std::fs::read_to_string;
use std::io::Read;
use std::time::{Duration, Instant};

use crate::support::origin::Origin;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, flavour, until};
use crate::{Client, Gate, OK, Rig, answering, common, gated};

/// A field of a row of `show stat`.
pub(crate) fn stat(proxy: &Proxy, row: &str, field: &str) -> String {
    let table = proxy.command("show stat");
    let mut lines = table.lines();
    let names = lines.next().unwrap().trim_start_matches("# ").split(',');
    let at = names.clone().position(|name| name == field).unwrap();
    let line = lines.find(|line| line.starts_with(row));
    let cell = line.unwrap().split(',').nth(at).unwrap();
    cell.to_owned()
}

/// Waits until a field of a row of `show stat` has this value.
fn await_stat(proxy: &Proxy, row: &str, field: &str, value: &str) {
    until(&format!("{field} of {row} is {value}"), || {
        (stat(proxy, row, field) == value).then_some(())
    });
}

/// A field of `show info`.
fn info(proxy: &Proxy, name: &str) -> String {
    let facts = proxy.command("show info");
    let line = facts.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(": ").to_owned()
}

/// The processor time that a process has used, in ticks of 10 ms.
fn ticks(proxy: &Proxy) -> u64 {
    let stat = read_to_string(format!("/proc/{}/stat", proxy.pid())).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u64>().unwrap())
        .sum()
}

/// Fails if a process that has nothing to do but wait takes a tenth of a processor.
fn assert_does_not_spin(proxy: &Proxy) {
    let (before, start) = (ticks(proxy), Instant::now());
    until("a second has passed", || {
        (start.elapsed() >= Duration::from_secs(1)).then_some(())
    });
    let used = ticks(proxy) - before;
    assert!(used < 10, "{used} ticks in a second of waiting");
}

/// An origin that answers a request at once or, by the first letter of its path, when its gate is
/// open.
fn gated_by_path(gates: [(&'static str, &Gate); 2]) -> Origin {
    let gates = gates.map(|(path, gate)| (path, gate.clone()));
    Origin::scripted(move |wire| {
        while let Some(request) = wire.request() {
            for (path, gate) in &gates {
                if request.target().starts_with(path) {
                    gate.pass();
                }
            }
            wire.send(OK);
        }
    })
}

fn ask(client: &mut Client, path: &str) {
    client.send(format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    ));
}

/// One client for each path, each of which the backend counts before the next one comes.
fn waiting(rig: &Rig, paths: &[&str]) -> Vec<Client> {
    let already: usize = stat(&rig.proxy, "b,BACKEND,", "scur").parse().unwrap();
    let clients = paths.iter().enumerate().map(|(index, path)| {
        let mut client = rig.client();
        ask(&mut client, path);
        let sessions = (already + index + 1).to_string();
        await_stat(&rig.proxy, "b,BACKEND,", "scur", &sessions);
        client
    });
    clients.collect()
}

#[test]
fn the_queue_is_served_in_the_order_of_arrival() {
    let gate = Gate::new();
    let config =
        common("frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@ maxconn 1\n");
    let rig = Rig::of(gated(&gate), &config);
    let mut clients = waiting(&rig, &["/0", "/1", "/2", "/3"]);
    assert_eq!(stat(&rig.proxy, "b,BACKEND,", "qcur"), "3");
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    for n in 0..4 {
        let line = rig.log.request(&format!("GET /{n} HTTP/1.1"));
        // Nobody waits for one server; so many left the backend's queue while this one waited.
        assert_eq!(
            (line.state.as_str(), line.queues),
            ("----", format!("0/{n}"))
        );
    }
    let seen = rig.origin.requests.rest();
    let order: Vec<&str> = seen.iter().map(|request| request.target()).collect();
    assert_eq!(order, ["/0", "/1", "/2", "/3"]);
    assert_eq!(stat(&rig.proxy, "b,BACKEND,", "qmax"), "3");
}

#[test]
fn minconn_follows_the_load_up_to_fullconn() {
    let (first, others) = (Gate::new(), Gate::new());
    let config = common(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n fullconn 6\n server s @s@ minconn 2 maxconn 4 maxqueue 9\n",
    );
    let rig = Rig::of(
        gated_by_path([("/first", &first), ("/x", &others)]),
        &config,
    );
    let mut clients = waiting(&rig, &["/first", "/x1", "/x2", "/x3", "/x4", "/x5", "/x6"]);
    // Seven sessions would be four at once, but that is looked at when a slot comes free.
    let counts = |fields: [&str; 2]| fields.map(|field| stat(&rig.proxy, "b,s,", field));
    assert_eq!(counts(["scur", "slim"]), ["2", "4"]);
    assert_eq!(counts(["qlimit", "qcur"]), ["9", "0"]);
    assert_eq!(stat(&rig.proxy, "b,BACKEND,", "qcur"), "5");
    assert_eq!(stat(&rig.proxy, "b,BACKEND,", "slim"), "6");
    first.open();
    await_stat(&rig.proxy, "b,s,", "scur", "4");
    await_stat(&rig.proxy, "b,BACKEND,", "qcur", "2");
    others.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(stat(&rig.proxy, "b,s,", "smax"), "4");
}

#[test]
fn who_waits_goes_to_the_backup_that_stands_in() {
    if flavour() == Flavour::Oracle {
        // There they wait in vain (docs/differences.md, "Who waits when a backup stands in").
        return;
    }
    let (first, others) = (Gate::new(), Gate::new());
    let config = common(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server s @s@ maxconn 1\n server t @s@ maxconn 1 backup\n",
    );
    let rig = Rig::of(
        gated_by_path([("/first", &first), ("/x", &others)]),
        &config,
    );
    let mut clients = waiting(&rig, &["/first", "/x1", "/x2"]);
    assert_eq!(rig.proxy.command("disable server b/s"), "\n");
    await_stat(&rig.proxy, "b,t,", "scur", "1");
    assert_eq!(stat(&rig.proxy, "b,BACKEND,", "qcur"), "1");
    others.open();
    for client in &mut clients[1..] {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(stat(&rig.proxy, "b,s,", "scur"), "1");
    first.open();
    assert_eq!(clients[0].answer().status(), 200);
    assert_eq!(rig.log.request("GET /x2 HTTP/1.1").server, "b/t");
}

#[test]
fn fullconn_is_a_tenth_of_what_may_come() {
    let config = common(
        "frontend a\n bind @fe@\n maxconn 15\n default_backend x\n\
         frontend b\n bind @b@\n maxconn 20\n use_backend x if { path /1 }\n\
         use_backend x if { path /2 }\n use_backend y if { path /3 }\n\
         use_backend %[path]\n default_backend z\n\
         frontend c\n bind 127.0.0.1:9\n disabled\n maxconn 700\n default_backend x\n\
         frontend g\n bind @g@\n default_backend w\n\
         backend x\nbackend y\nbackend z\nbackend w\nbackend none\n\
         backend said\n fullconn 7\n",
    )
    .replace("defaults\n", "    maxconn 1234\ndefaults\n");
    let rig = Rig::of(answering(OK), &config);
    for (backend, slim) in [
        ("x", "4"),
        ("y", "2"),
        ("z", "2"),
        ("w", "124"),
        ("none", "1"),
        ("said", "7"),
    ] {
        let row = format!("{backend},BACKEND,");
        assert_eq!(stat(&rig.proxy, &row, "slim"), slim, "{backend}");
    }
}

#[test]
fn a_full_listener_lets_connections_wait_and_the_others_serve() {
    let gate = Gate::new();
    let config = common(
        "frontend f\n bind @fe@ maxconn 1\n bind @other@\n default_backend b\n\
         backend b\n server s @s@\n",
    );
    let rig = Rig::of(
        gated_by_path([("/first", &gate), ("/none", &gate)]),
        &config,
    );
    let mut first = waiting(&rig, &["/first"]);
    let mut second = rig.client();
    ask(&mut second, "/second");
    let mut other = Client::connect(rig.proxy.addr("other"));
    ask(&mut other, "/other");
    assert_eq!(other.answer().status(), 200);
    assert_does_not_spin(&rig.proxy);
    second.stream.set_nonblocking(true).unwrap();
    assert!(second.stream.read(&mut [0]).is_err(), "nobody has read it");
    second.stream.set_nonblocking(false).unwrap();
    gate.open();
    assert_eq!(first[0].answer().status(), 200);
    assert_eq!(second.answer().status(), 200);
}

#[test]
fn a_rate_limit_lets_connections_wait_and_the_others_serve() {
    const RATE: usize = 10;
    let config = common(
        "frontend f\n bind @fe@\n rate-limit sessions 10\n default_backend b\n\
         frontend g\n bind @other@\n default_backend b\n\
         backend b\n server s @s@\n",
    );
    let rig = Rig::of(answering(OK), &config);
    let start = Instant::now();
    let mut clients: Vec<Client> = (0..RATE * 3).map(|_| rig.client()).collect();
    for client in &mut clients {
        ask(client, "/");
    }
    // The others do not wait.
    let mut other = Client::connect(rig.proxy.addr("other"));
    ask(&mut other, "/");
    assert_eq!(other.answer().status(), 200);
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    // The first second's ten, and the next: whatever the machine does, it is never faster.
    assert!(start.elapsed() >= Duration::from_millis(1_000));
    assert_eq!(stat(&rig.proxy, "f,FRONTEND", "rate_lim"), "10");
    let fastest: u32 = stat(&rig.proxy, "f,FRONTEND", "rate_max").parse().unwrap();
    assert!(fastest <= 10, "{fastest} in a second");
    assert_does_not_spin(&rig.proxy);
}

#[test]
fn the_global_limit_holds_without_spinning() {
    let gate = Gate::new();
    let config = common("frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@\n")
        .replace("defaults\n", "    maxconn 2\ndefaults\n");
    let rig = Rig::of(gated(&gate), &config);
    let mut clients = waiting(&rig, &["/0", "/1"]);
    for path in ["/2", "/3"] {
        let mut client = rig.client();
        ask(&mut client, path);
        clients.push(client);
    }
    assert_does_not_spin(&rig.proxy);
    assert_eq!(info(&rig.proxy, "CurrConns"), "2");
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn maxconn_comes_from_the_limit_of_descriptors() {
    // What HAProxy 2.6.12 prints with one thread, one listener and one stats socket.
    for (limit, said, expected) in [
        ("-n 256", "", ["255", "255", "115"]),
        ("-n 1024", "", ["1023", "1023", "499"]),
        ("-n 4096", "", ["4095", "4095", "2035"]),
        ("-n 4096", " maxconn 300\n", ["625", "625", "300"]),
        // It asks for more than it gets.
        (
            "-n 256",
            " maxconn 300\n no strict-limits\n",
            ["256", "625", "300"],
        ),
        (
            "-n 256",
            " maxconn 50\n ulimit-n 200\n",
            ["200", "125", "50"],
        ),
    ] {
        let config = common("frontend f\n bind @fe@\n http-request return status 200\n")
            .replace("defaults\n", &format!("{said}defaults\n"));
        let mut setup = Setup::new(&config);
        let _log = setup.log();
        setup.limit = Some(limit);
        let proxy = setup.start();
        let found = ["Ulimit-n", "Maxsock", "Maxconn"].map(|name| info(&proxy, name));
        assert_eq!(found, expected, "{limit} {said}");
    }
}

#[test]
fn too_few_descriptors_are_waited_for_without_spinning() {
    let config = common("frontend f\n bind @fe@\n http-request return status 200\n").replace(
        "defaults\n",
        "    maxconn 500\n    no strict-limits\n    set-dumpable\ndefaults\n",
    );
    let mut setup = Setup::new(&config);
    let _log = setup.log();
    setup.limit = Some("-n 60");
    let proxy = setup.start();
    let mut clients: Vec<Client> = (0..80).map(|_| Client::connect(proxy.addr("fe"))).collect();
    // Without `set-dumpable` only root could count them. One or two more may be inherited, with numbers above the limit.
    until("all descriptors are in use", || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap();
        (open.count() >= 60).then_some(())
    });
    let mut last = clients.pop().unwrap();
    ask(&mut last, "/last");
    assert_does_not_spin(&proxy);
    last.stream.set_nonblocking(true).unwrap();
    assert!(
        last.stream.read(&mut [0]).is_err(),
        "there is no room for it"
    );
    last.stream.set_nonblocking(false).unwrap();
    clients.truncate(20);
    assert_eq!(last.answer().status(), 200);
    // Service is as ever afterwards.
    drop(clients);
    let mut next = Client::connect(proxy.addr("fe"));
    ask(&mut next, "/next");
    assert_eq!(next.answer().status(), 200);
}

#[test]
fn a_head_that_comes_byte_by_byte_is_408_in_time() {
    let rig = Rig::new(
        answering(OK),
        " timeout http-request 700ms\n option dontlognull",
        "",
    );
    let start = Instant::now();
    let mut client = rig.client();
    let mut head = "GET /slow HTTP/1.1\r\nHost: h\r\nX-Long: "
        .bytes()
        .chain(std::iter::repeat(b'x'));
    client.stream.set_nonblocking(true).unwrap();
    let answer = until("it is told that this takes too long", || {
        // A byte every time that this is asked; each one is activity.
        let _ = std::io::Write::write(&mut client.stream, &[head.next().unwrap()]);
        let mut bytes = [0; 1024];
        let length = client.stream.read(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    });
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(10));
    let line = rig.log.request("<BADREQ>");
    assert_eq!((line.status, line.state.as_str()), (408, "cR--"));
    assert!((690..10_000).contains(&line.timers[4]), "{:?}", line.timers);
}

#[test]
fn a_body_that_stops_coming_is_held_to_the_clients_timeout() {
    if flavour() == Flavour::Oracle {
        // There the server's timeout decides (docs/differences.md, "Slow request bodies").
        return;
    }
    let rig = Rig::new(answering(OK), " timeout client 700ms", "");
    let mut client = rig.client();
    client.send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.answer().status(), 408);
    let line = rig.log.request("POST /slow HTTP/1.1");
    assert_eq!((line.status, line.state.as_str()), (408, "cH--"));
    assert!((690..10_000).contains(&line.timers[4]), "{:?}", line.timers);
}

#[test]
fn many_descriptors_cost_nothing_before_they_are_used() {
    if flavour() == Flavour::Oracle {
        return;
    }
    // What systemd gives.
    const DESCRIPTORS: u64 = 524_288;
    let allowed = std::process::Command::new("sh")
        .args(["-c", &format!("ulimit -n {DESCRIPTORS}")])
        .stderr(std::process::Stdio::null())
        .status();
    let mut setup = Setup::new(&common(
        "frontend f\n bind @fe@\n http-request return status 200\n",
    ));
    let _log = setup.log();
    if allowed.unwrap().success() {
        setup.limit = Some("-n 524288");
    } else {
        eprintln!(
            "SKIPPED in part: the limit of descriptors cannot be raised to {DESCRIPTORS} here; the \
             default maxconn is that of the limit there is"
        );
    }
    let proxy = setup.start();
    let mut client = Client::connect(proxy.addr("fe"));
    ask(&mut client, "/");
    assert_eq!(client.answer().status(), 200);
    if allowed_descriptors(&proxy) >= DESCRIPTORS {
        assert_eq!(info(&proxy, "Maxconn"), "262131");
    }
    let resident = crate::memory::resident(&proxy);
    assert!(resident < 16_384, "{resident} kB for one connection");
}

/// The soft limit of descriptors of a process.
fn allowed_descriptors(proxy: &Proxy) -> u64 {
    let limits = read_to_string(format!("/proc/{}/limits", proxy.pid())).unwrap();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let word = line.unwrap().split_whitespace().next();
    word.unwrap().parse().unwrap_or(u64::MAX)
}

#[test]
fn a_frontend_enabled_at_its_limit_lets_clients_wait() {
    let gate = Gate::new();
    let rig = Rig::new(gated(&gate), "maxconn 1", "");
    let mut first = rig.client();
    ask(&mut first, "/first");
    await_stat(&rig.proxy, "f,FRONTEND", "scur", "1");
    rig.proxy.command("disable frontend f");
    rig.proxy.command("enable frontend f");
    // Refused, the connection would fail here.
    let mut second = rig.client();
    ask(&mut second, "/second");
    gate.open();
    assert_eq!(first.answer().status(), 200);
    assert_eq!(second.answer().status(), 200);
}
