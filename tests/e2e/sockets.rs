//! Sockets: what the lines ask for is set, and shows. What needs addresses, interfaces and ports that
//! nobody else uses has a network of its own, which takes root.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use crate::support::client::Client;
use crate::support::origin::Origin;
use crate::support::place::is_root;
use crate::support::proxy::Setup;
use crate::support::{Flavour, binary, flavour, free_endpoint, is_listening, until};
use crate::{OK, Rig, answering, common, freeze};

/// Runs a test in a network of its own, with a device `side0` that has 10.9.9.1 beside the
/// loopback.
fn in_a_network_of_its_own(test: impl FnOnce() + Send + 'static) {
    // A namespace belongs to a thread, and what the thread starts is in it. The thread of the test
    // may be the harness' own.
    let own = std::thread::spawn(move || {
        // SAFETY: no pointer is passed.
        #[allow(unsafe_code)]
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
            let why = std::io::Error::last_os_error();
            assert!(
                !(is_root() && std::env::var_os("CI").is_some()),
                "no network of its own: {why}"
            );
            eprintln!("SKIPPED: a network of its own takes root ({why})");
            return;
        }
        for line in [
            "link set lo up",
            "link add side0 type veth peer name side1",
            "address add 10.9.9.1/24 dev side0",
            "link set side0 up",
            "link set side1 up",
        ] {
            let ip = Command::new("ip").args(line.split(' ')).output();
            let ip = ip.expect("ip, of iproute2");
            assert!(ip.status.success(), "ip {line}: {ip:?}");
        }
        test();
    });
    if let Err(why) = own.join() {
        std::panic::resume_unwind(why);
    }
}

/// An origin that answers who asks.
fn mirror() -> Origin {
    Origin::scripted(|wire| {
        let from = wire.stream.peer_addr().unwrap().to_string();
        while wire.request().is_some() {
            let length = from.len();
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{from}"
            ));
        }
    })
}

/// Asks on a connection, which goes on; the answer's body.
fn ask(client: &mut Client) -> String {
    client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").text()
}

/// A program under `strace`.
struct Traced {
    strace: Child,
    setup: Setup,
}

impl Traced {
    /// Starts it and waits until it listens at `fe`; none where nothing may be traced.
    fn start(setup: Setup) -> Option<(Self, SocketAddr)> {
        let (config, endpoints) = setup.write();
        let fe = endpoints["fe"];
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=setsockopt,bind,listen,connect"])
            .arg("-o")
            .arg(setup.dir().join("trace"))
            .arg(binary())
            .args(["-db", "-f"])
            .arg(config)
            .stderr(Stdio::null())
            .spawn();
        let why = match strace {
            Ok(mut strace) => {
                let listens = until("the traced program", || {
                    let ended = strace.try_wait().unwrap().is_some();
                    (ended || is_listening(fe)).then_some(!ended)
                });
                if listens {
                    return Some((Self { strace, setup }, fe));
                }
                "strace may not trace here".to_owned()
            }
            Err(why) => format!("strace: {why}"),
        };
        assert!(std::env::var_os("CI").is_none(), "{why}");
        eprintln!("SKIPPED: {why}; what is set on sockets was not looked at");
        None
    }

    /// Ends it; its calls.
    fn end(mut self) -> String {
        let path = self.setup.dir().join("trace");
        let so_far = std::fs::read_to_string(&path).unwrap();
        // The program's own number stands at the start of each line.
        let pid = so_far.split_whitespace().next().unwrap();
        let ended = Command::new("kill").args(["-TERM", pid]).status().unwrap();
        assert!(ended.success());
        self.strace.wait().unwrap();
        std::fs::read_to_string(&path).unwrap()
    }
}

/// What was set on the socket that was bound to, or connected to, this port: the options of the
/// descriptor before that call and, for a listener, until it listens.
fn options(trace: &str, call: &str, port: u16) -> Vec<String> {
    let port = format!("htons({port})");
    let lines: Vec<&str> = trace.lines().collect();
    let at = lines
        .iter()
        .rposition(|line| line.contains(&format!(" {call}(")) && line.contains(&port));
    let at = at.unwrap_or_else(|| panic!("no {call} of {port} in\n{trace}"));
    let descriptor = |line: &str| -> Option<String> {
        let (_, rest) = line.split_once('(')?;
        Some(rest.split([',', ')']).next()?.to_owned())
    };
    let wanted = descriptor(lines[at]);
    let before = lines[..at]
        .iter()
        .rev()
        .take_while(|line| descriptor(line) != wanted || !line.contains(" connect("))
        .filter(|line| descriptor(line) == wanted);
    let mut own: Vec<&str> = before.copied().collect();
    own.reverse();
    let behind = lines[at..].iter().filter(|line| descriptor(line) == wanted);
    own.extend(
        behind
            .take_while(|line| !line.contains(" listen("))
            .take(if call == "bind" { 20 } else { 0 }),
    );
    let set = own
        .iter()
        .filter_map(|line| line.split_once("setsockopt("))
        .filter_map(|(_, rest)| {
            let mut words = rest.split(", ").skip(2);
            let name = words.next()?;
            let value = rest.split_once('[').or_else(|| rest.split_once('"'));
            let value = value.map_or("", |(_, rest)| rest.split([']', '"', '\\']).next().unwrap());
            let value = if rest.contains("l_onoff=1") {
                "1"
            } else {
                value
            };
            Some(format!("{name} {value}").trim().to_owned())
        });
    set.collect()
}

#[test]
fn what_the_lines_ask_for_is_set() {
    let origin = answering(OK);
    let setup = Setup::new(&common(
        "frontend tuned\n bind @fe@ mss 1000 tcp-ut 3s tfo defer-accept interface lo backlog 77\n \
         option clitcpka\n clitcpka-idle 10s\n clitcpka-intvl 3s\n clitcpka-cnt 4\n \
         option nolinger\n default_backend tuned\n\
         backend tuned\n option srvtcpka\n srvtcpka-idle 11s\n srvtcpka-cnt 5\n \
         option nolinger\n option tcp-smart-connect\n source 127.0.0.5 interface lo\n \
         server s @s@ tcp-ut 5s\n\
         frontend plain\n bind @plain@ mss -20\n backlog 78\n no option tcp-smart-accept\n default_backend plain\n\
         backend plain\n server s @other@\n",
    ))
    .with("s", origin.addr);
    let (other, plain) = (answering(OK), free_endpoint());
    let setup = setup
        .with("other", other.addr)
        .with("plain", plain)
        .with("log", "127.0.0.1:9");
    let Some((traced, fe)) = Traced::start(setup) else {
        return;
    };
    for to in [fe, plain] {
        assert_eq!(ask(&mut Client::connect(to)), "ok");
    }
    let trace = traced.end();
    let listener = options(&trace, "bind", fe.port());
    for wanted in [
        "SO_REUSEADDR 1",
        "SO_REUSEPORT 1",
        "SO_BINDTODEVICE lo",
        "TCP_MAXSEG 1000",
        "TCP_USER_TIMEOUT 3000",
        "TCP_DEFER_ACCEPT 1",
        "SO_LINGER 1",
    ] {
        assert!(
            listener.iter().any(|set| set == wanted),
            "no {wanted} in {listener:?}"
        );
    }
    let has = |name: &str| listener.iter().any(|set| set.starts_with(name));
    assert!(has("TCP_FASTOPEN "), "{listener:?}");
    for backlog in [77, 78] {
        assert!(
            trace.contains(&format!(", {backlog}) ")),
            "{backlog}: {trace}"
        );
    }
    // Of a connection that is there, in the order of the calls.
    let mut sizes = trace.lines().filter(|line| line.contains("TCP_MAXSEG"));
    assert!(
        sizes
            .next_back()
            .is_some_and(|line| !line.contains("[1000]"))
    );
    let server = options(&trace, "connect", origin.addr.port());
    for wanted in [
        "SO_KEEPALIVE 1",
        "TCP_KEEPIDLE 11",
        "TCP_KEEPCNT 5",
        "SO_BINDTODEVICE lo",
        "IP_BIND_ADDRESS_NO_PORT 1",
        "SO_REUSEADDR 1",
        "TCP_USER_TIMEOUT 5000",
    ] {
        assert!(
            server.iter().any(|set| set == wanted),
            "no {wanted} in {server:?}"
        );
    }
    let untuned = options(&trace, "connect", other.addr.port());
    assert_eq!(untuned, ["TCP_NODELAY 1"]);
    if flavour() == Flavour::Oneloop {
        // Accepted sockets inherit what HAProxy sets on each.
        for wanted in [
            "SO_KEEPALIVE 1",
            "TCP_KEEPIDLE 10",
            "TCP_KEEPINTVL 3",
            "TCP_KEEPCNT 4",
        ] {
            assert!(listener.iter().any(|set| set == wanted), "{listener:?}");
        }
        assert!(server.iter().any(|set| set == "TCP_QUICKACK 0"));
        let accepting = options(&trace, "bind", plain.port());
        assert!(accepting.iter().any(|set| set == "TCP_QUICKACK 1"));
    }
}

#[test]
fn nolinger_ends_in_order_and_then_by_a_reset() {
    for (lines, is_reset) in [("option nolinger", true), ("no option nolinger", false)] {
        let rig = Rig::new(answering(OK), &format!(" option httpclose\n {lines}"), "");
        let mut client = rig.client();
        assert_eq!(ask(&mut client), "ok");
        assert_eq!(client.rest(), b"");
        if is_reset {
            until("the reset", || client.stream.take_error().unwrap());
        } else {
            assert!(client.stream.take_error().unwrap().is_none(), "{lines}");
        }
    }
}

#[test]
fn unix_bind_says_what_sockets_have() {
    let place = tempfile::tempdir().unwrap();
    let before = place.path().join("pre-").display().to_string();
    // What stood there is in nobody's way.
    drop(UnixListener::bind(format!("{before}own.sock")).unwrap());
    let config = common(
        "frontend f\n bind @fe@\n bind unix@plain.sock\n bind unix@own.sock mode 666\n \
         http-request return status 200\n",
    );
    let global = format!("global\n unix-bind mode 640 prefix {before}\n");
    let mut setup = Setup::new(&config.replacen("global\n", &global, 1));
    let log = setup.log();
    let _proxy = setup.start();
    for (name, mode) in [("plain", 0o640), ("own", 0o666)] {
        let path = format!("{before}{name}.sock");
        // They come after the others.
        let mut client = until("the socket", || UnixStream::connect(&path).ok());
        let of = std::fs::metadata(&path).unwrap();
        assert_eq!(of.mode() & 0o777, mode, "{path}");
        write!(client, "GET /{name} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    // The number of the listener stands where others have a port.
    for (name, client) in [("plain", "unix:2"), ("own", "unix:3")] {
        let what = format!("GET /{name} ");
        let record = log
            .records
            .take("the request", |record| record.text.contains(&what));
        let from = record.text.split(' ').next().unwrap();
        assert_eq!(from, client, "{}", record.text);
    }
}

#[test]
fn what_is_nicer_is_seen_to_first() {
    if flavour() != Flavour::Oneloop {
        // Its threads take connections off listeners in an order of their own.
        return;
    }
    let config = common(
        "frontend f\n bind @fe@ nice 500\n bind @nicer@ nice -500\n bind @middle@\n \
         http-request return status 200\n",
    );
    let mut setup = Setup::new(&config);
    let log = setup.log();
    let proxy = setup.start();
    let mut clients = ["fe", "middle", "nicer"].map(|name| Client::connect(proxy.addr(name)));
    for client in &mut clients {
        let answer = client.ask("GET /warm HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(answer.status(), 200);
        log.request("GET /warm HTTP/1.1");
    }
    freeze(&proxy);
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(format!("GET /{at} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    proxy.signal("CONT");
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        let record = log.records.take("a request", |record| record.is_request());
        order.push(record.text.rsplit("GET /").next().unwrap()[..1].to_owned());
    }
    assert_eq!(order, ["2", "1", "0"]);
}

#[test]
fn a_range_of_ports_is_used_up_and_given_back() {
    in_a_network_of_its_own(|| {
        let origin = mirror();
        let config = common(
            "frontend f\n bind @fe@\n default_backend b\n\
             backend b\n option httpclose\n option nolinger\n \
             server s @s@ source 127.0.0.6:24000-24001\n",
        );
        let rig = Rig::of(origin, &config.replace("mode http", "mode tcp"));
        let mut clients = [rig.client(), rig.client()];
        let mut ports = clients.each_mut().map(ask);
        ports.sort();
        assert_eq!(ports, ["127.0.0.6:24000", "127.0.0.6:24001"]);
        // None is left: four attempts at once, each told as an emergency.
        assert_eq!(rig.client().rest(), b"");
        let text = "Cannot bind to source address before connect() for backend b.";
        for _ in 0..4 {
            assert_eq!(rig.log.message(text).priority, 128);
        }
        let [first, second] = clients;
        drop(first);
        until("a port that is free again", || {
            let mut client = rig.client();
            client
                .stream
                .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                .ok()?;
            client.stream.read_exact(&mut [0; 1]).ok()
        });
        drop(second);
    });
}

#[test]
fn a_port_that_somebody_has_is_passed_over() {
    in_a_network_of_its_own(|| {
        let _taken = TcpListener::bind("127.0.0.6:24002").unwrap();
        let config = common(
            "frontend f\n bind @fe@\n default_backend b\n\
             backend b\n server s @s@ source 127.0.0.6:24002-24003\n",
        );
        let rig = Rig::of(mirror(), &config);
        assert_eq!(ask(&mut rig.client()), "127.0.0.6:24003");
    });
}

#[test]
fn a_source_and_its_interface_are_used() {
    in_a_network_of_its_own(|| {
        let config = common(
            "frontend f\n bind @fe@\n use_backend nowhere if { path /nowhere }\n \
             default_backend there\n\
             backend there\n source 10.9.9.1\n server s @s@\n\
             backend nowhere\n timeout connect 100ms\n retries 0\n \
             server s @s@ source 10.9.9.1 interface side0\n",
        );
        let rig = Rig::of(mirror(), &config);
        let from = ask(&mut rig.client());
        assert!(from.starts_with("10.9.9.1:"), "{from}");
        // What leaves by the device does not come back.
        let (answer, line) = rig.get("/nowhere");
        assert_eq!((answer.status(), line.state.as_str()), (503, "sC--"));
    });
}

#[test]
fn listeners_keep_to_their_interface_and_family() {
    in_a_network_of_its_own(|| {
        let config = common(
            "frontend f\n bind :7001 interface lo\n bind :7002 interface side0\n \
             bind :::7003 v6only\n bind :::7004 v4v6\n bind :::7005\n \
             bind 127.0.0.1:7006-7008\n bind @fe@\n http-request return status 200\n",
        );
        let mut setup = Setup::new(&config);
        let _log = setup.log();
        // The one that the start waits for is bound last.
        let _proxy = setup.start();
        let cases = [
            ("127.0.0.1:7001", true),
            ("127.0.0.1:7002", false),
            ("127.0.0.1:7003", false),
            ("[::1]:7003", true),
            ("127.0.0.1:7004", true),
            ("[::1]:7004", true),
            ("127.0.0.1:7005", true),
            ("127.0.0.1:7006", true),
            ("127.0.0.1:7007", true),
            ("127.0.0.1:7008", true),
            ("127.0.0.1:7009", false),
        ];
        for (at, listens) in cases {
            let connected = TcpStream::connect(at);
            assert_eq!(connected.is_ok(), listens, "{at}: {connected:?}");
        }
    });
}

#[test]
fn fast_open_carries_the_request() {
    if flavour() != Flavour::Oneloop {
        // It wants `retry-on`, and does without all the same.
        return;
    }
    in_a_network_of_its_own(|| {
        std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3").unwrap();
        let config = common(
            "frontend f\n bind @fe@\n option httpclose\n default_backend b\n\
             backend b\n server s @inner@ tfo\n\
             frontend inner\n bind @inner@ tfo\n http-request return status 200\n",
        );
        let mut setup = Setup::new(&config);
        let _log = setup.log();
        let proxy = setup.start();
        for _ in 0..3 {
            let mut client = Client::connect(proxy.addr("fe"));
            let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(answer.status(), 200);
        }
        // The first fetches the cookie.
        let counters = std::fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
        let mut rows = counters.lines().filter(|row| row.starts_with("TcpExt:"));
        let names = rows.next().unwrap().split(' ');
        let values = rows.next().unwrap().split(' ');
        let mut pairs = names.zip(values);
        let (_, count) = pairs
            .find(|(name, _)| *name == "TCPFastOpenPassive")
            .unwrap();
        assert!(count.parse::<u32>().unwrap() >= 2, "{count} of 3");
    });
}

#[test]
fn a_server_that_refuses_fast_open_is_an_error_of_the_request() {
    if flavour() != Flavour::Oneloop {
        return;
    }
    let config = common(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n retries 0\n server s @dead@ tfo\n",
    );
    let mut setup = Setup::new(&config).with("dead", free_endpoint());
    let _log = setup.log();
    let proxy = setup.start();
    let answer = Client::connect(proxy.addr("fe")).ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!([502, 503].contains(&answer.status()), "{}", answer.status());
}
