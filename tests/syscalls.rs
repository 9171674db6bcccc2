//! A keep-alive request costs four data system calls and no registration; a connection that is
//! closed after its answer costs none either.
//!
//! The program runs under `strace`, a client asks over one connection, others over one each, and what
//! stands in the trace between two marked requests is counted: receive and send on each side for every
//! request, waits, and what a connection needs; nothing else. Where `strace` is missing or may not trace, the test says so and passes; in CI that
//! is a failure.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use place::free_endpoint;

#[path = "support/place.rs"]
#[allow(dead_code, reason = "the rest is for other programs")]
mod place;

const REQUESTS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\n\r\nhello";

/// Reads up to the empty line; false at the end.
fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    let mut bytes = [0; 2048];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut bytes) {
            Ok(n) if n > 0 => head.extend_from_slice(&bytes[..n]),
            _ => return false,
        }
    }
    true
}

/// An origin that answers every request alike, for as long as the test lives.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                while read_head(&mut stream) && stream.write_all(ANSWER).is_ok() {}
            });
        }
    });
    address
}

fn ask(stream: &mut TcpStream, path: &str, fields: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut bytes = [0; 2048];
    while !answer.ends_with(b"\r\n\r\nhello") {
        let n = stream.read(&mut bytes).unwrap();
        assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..n]);
    }
}

/// Connects as soon as somebody listens; `None` when the traced program has ended first.
fn connect(to: SocketAddr, traced: &mut Child) -> Option<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(stream) = TcpStream::connect(to) {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            return Some(stream);
        }
        if traced.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(Instant::now() < deadline, "nobody listens on {to}");
        std::thread::yield_now();
    }
}

/// Runs the requests under `strace`; the trace, or why there is none.
fn trace(dir: &Path) -> Result<String, String> {
    let front = free_endpoint();
    let config = dir.join("proxy.cfg");
    let text = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 50s\n  timeout server 50s\n\
         frontend f\n  bind {front}\n  acl app path_beg /app\n  use_backend b if app\n\
         \u{20} default_backend b\n\
         backend b\n  http-request replace-path /app(/)?(.*) /\\2\n  server s {}\n",
        origin()
    );
    std::fs::write(&config, text).unwrap();
    let output = dir.join("trace");
    let mut traced = Command::new("strace")
        .args(["-f", "-qq", "-s", "64", "-o"])
        .arg(&output)
        .arg(env!("CARGO_BIN_EXE_oneloop"))
        .args(["-db", "-f"])
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("strace: {error}"))?;
    let Some(mut client) = connect(front, &mut traced) else {
        return Err("strace may not trace here".to_owned());
    };
    for _ in 0..10 {
        ask(&mut client, "/app/warm", "");
    }
    ask(&mut client, "/app/first", "");
    for _ in 0..REQUESTS - 1 {
        ask(&mut client, "/app/x", "");
    }
    ask(&mut client, "/app/last", "");
    let mut ask_and_close = |path: &str| {
        let mut client = connect(front, &mut traced).expect("it lives");
        ask(&mut client, path, "Connection: close\r\n");
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "it is closed");
    };
    ask_and_close("/app/close-first");
    for _ in 0..REQUESTS - 1 {
        ask_and_close("/app/x");
    }
    ask_and_close("/app/close-last");
    // The program's own number stands at the start of each line; it is ended by that number.
    let so_far = std::fs::read_to_string(&output).unwrap();
    let pid = so_far.split_whitespace().next().unwrap();
    let ended = Command::new("kill").args(["-TERM", pid]).status().unwrap();
    assert!(ended.success());
    traced.wait().unwrap();
    Ok(std::fs::read_to_string(&output).unwrap())
}

/// How often each call stands between the receives of two requests.
struct Calls<'a>(BTreeMap<&'a str, usize>);

impl<'a> Calls<'a> {
    fn between(trace: &'a str, first: &str, last: &str) -> Self {
        let is = |line: &str, path: &str| line.contains("recv") && line.contains(path);
        let between = trace
            .lines()
            .skip_while(|line| !is(line, first))
            .take_while(|line| !is(line, last));
        let mut calls = BTreeMap::new();
        for line in between {
            let call = line.split_whitespace().nth(1).unwrap_or_default();
            let name = call.split('(').next().unwrap_or_default();
            *calls.entry(name).or_default() += 1;
        }
        println!("{calls:?} in {REQUESTS} requests");
        Self(calls)
    }

    fn take(&mut self, name: &str) -> usize {
        self.0.remove(name).unwrap_or_default()
    }
}

#[test]
fn a_request_costs_four_data_calls_and_no_registration() {
    let dir = tempfile::tempdir().unwrap();
    // Somebody else may take the port between our look and the program's.
    let mut tries = (0..3).map(|_| trace(dir.path()));
    let found = tries.find(Result::is_ok);
    let found = found.unwrap_or_else(|| Err("no strace, or it may not trace here".to_owned()));
    let trace = match found {
        Ok(trace) => trace,
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("SKIPPED: {why}; the count of system calls was not checked");
            return;
        }
    };
    let mut kept = Calls::between(&trace, "GET /app/first ", "GET /app/last ");
    // Each in one piece: a head and a short body leave together.
    assert_eq!(kept.take("recvfrom"), 2 * REQUESTS);
    assert_eq!(kept.take("sendto"), 2 * REQUESTS);
    assert!(kept.take("epoll_wait") <= 2 * REQUESTS + 2);
    assert!(kept.0.is_empty(), "{:?}", kept.0);

    let mut closed = Calls::between(&trace, "GET /app/close-first ", "GET /app/close-last ");
    // Only a client that had to wait for its answer for 10 ms is watched, or one that was taken
    // before its request was there: a busy machine lets that happen.
    let watched = closed.take("epoll_ctl");
    assert!(watched <= REQUESTS / 2, "{watched} clients were watched");
    // One receive more than is sent: whether anything came behind the request, before the close.
    let received = closed.take("recvfrom");
    assert!(
        received.abs_diff(3 * REQUESTS) <= watched,
        "{received} receives, {watched} watched"
    );
    assert_eq!(closed.take("sendto"), 2 * REQUESTS);
    assert_eq!(closed.take("close"), REQUESTS);
    // The second one of each edge finds nobody; a connection may be taken before its mark.
    assert!(closed.take("accept4") <= 2 * REQUESTS + 2);
    assert!(closed.take("epoll_wait") <= 3 * REQUESTS + 3);
    assert!(closed.0.is_empty(), "{:?}", closed.0);
}
