//! Reloads under load: no request fails, nothing is forgotten, nothing grows.
//!
//! Clients that keep their connection and clients that connect for each request count every one
//! that fails. The short form is a part of `cargo test`; the run that counts is
//!
//!     RELOADS=100 cargo test --release --test e2e reload_load:: -- --nocapture
//!
//! which also has 200 clients that keep their connection, and `wrk` where it is installed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::common;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, PATIENCE, flavour, own_address, until};

/// Reloads in the short form.
const RELOADS_SHORT: u64 = 10;
/// From so many on it is the long form.
const RELOADS_LONG: u64 = 100;
/// Requests that are answered between two reloads at least.
const REQUESTS_BETWEEN: u64 = 100;
/// What a process may grow by, kB.
const GROWTH_MAX_KB: u64 = 1024;

/// What the clients count together.
#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
    /// The longest time that a request took, connecting included, us.
    longest_us: AtomicU64,
    over: AtomicBool,
}

impl Tally {
    fn note(&self, what: &str, began: Instant, result: &io::Result<bool>) {
        match result {
            Ok(_) => {
                let took = began.elapsed().as_micros() as u64;
                self.longest_us.fetch_max(took, Ordering::Relaxed);
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => {
                eprintln!("{what}: {why}");
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request and its answer of two bytes; whether the connection is kept.
fn ask(stream: &mut TcpStream, close: bool) -> io::Result<bool> {
    let closing = if close { "Connection: close\r\n" } else { "" };
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: h\r\n{closing}\r\n").as_bytes())?;
    let mut got = Vec::new();
    let mut bytes = [0; 1024];
    while !got.ends_with(b"\r\n\r\nok") {
        match stream.read(&mut bytes)? {
            0 => return Err(io::Error::other(format!("cut after {} bytes", got.len()))),
            length => got.extend_from_slice(&bytes[..length]),
        }
    }
    let text = String::from_utf8_lossy(&got).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200 ") {
        return Err(io::Error::other(text));
    }
    Ok(!text.contains("connection: close"))
}

/// A client that keeps its connection as long as it may.
fn keeping(addr: SocketAddr, tally: &Tally, pause: Duration) {
    let mut kept = None;
    while !tally.is_over() {
        let began = Instant::now();
        let result = kept
            .take()
            .map_or_else(|| connect(addr), Ok)
            .and_then(|mut stream| {
                let keeps = ask(&mut stream, false)?;
                kept = keeps.then_some(stream);
                Ok(keeps)
            });
        tally.note("a kept connection", began, &result);
        // The pace is the load: so many clients without one would leave the reloads no processor.
        std::thread::sleep(pause);
    }
}

/// A client that connects for each request.
fn connecting(addr: SocketAddr, tally: &Tally) {
    while !tally.is_over() {
        let began = Instant::now();
        let result = connect(addr).and_then(|mut stream| ask(&mut stream, true));
        tally.note("a new connection", began, &result);
    }
}

/// A server that counts what it answers.
struct Counting {
    addr: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Counting {
    #[allow(unsafe_code)]
    fn new() -> Self {
        let listener = TcpListener::bind((own_address(), 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        // Each new worker connects for all of its clients at once, and `std` lets few wait.
        // SAFETY: an open socket.
        unsafe { libc::listen(listener.as_raw_fd(), 4096) };
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || answer(stream, &counted));
            }
        });
        Self { addr, requests }
    }
}

fn answer(mut stream: TcpStream, counted: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    let mut pending = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut bytes) {
        pending.extend_from_slice(&bytes[..length]);
        while let Some(at) = pending.windows(4).position(|four| four == b"\r\n\r\n") {
            pending.drain(..at + 4);
            counted.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(crate::OK.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn master(proxy: &Proxy, command: &str) -> String {
    let mut stream = proxy.runtime("master.sock");
    writeln!(stream, "{command}").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Descriptors of a process, and its memory that is in use and its own, kB.
fn size(pid: u32) -> (usize, u64) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let resident = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    (descriptors, resident)
}

/// The size of the master, with one connection: when it answers there, those before are closed.
fn master_size(proxy: &Proxy) -> (usize, u64) {
    let mut stream = proxy.runtime("master.sock");
    stream.write_all(b"show version\n").unwrap();
    let mut got = Vec::new();
    let mut byte = [0];
    while !got.ends_with(b"\n\n") {
        stream.read_exact(&mut byte).unwrap();
        got.push(byte[0]);
    }
    size(proxy.pid())
}

/// The worker that serves, once it is the only one.
fn only_worker(proxy: &Proxy) -> u32 {
    until("one worker is left", || {
        let answer = master(proxy, "show proc");
        let alone = !answer.contains("# old workers");
        let row = answer.split("# workers\n").nth(1)?;
        alone.then(|| row.split_whitespace().next().unwrap().parse().unwrap())
    })
}

/// The size of the worker, once its loop turns: it has closed what its start needed by then.
fn worker_size(proxy: &Proxy) -> (usize, u64) {
    let worker = only_worker(proxy);
    proxy.command("show version");
    size(worker)
}

/// A field of `show stat`, by the names of the proxy and of the row.
fn counted(proxy: &Proxy, row: &str, field: &str) -> u64 {
    let answer = proxy.command("show stat");
    let mut lines = answer.lines();
    let names = lines.next().unwrap().trim_start_matches("# ");
    let at = names.split(',').position(|name| name == field).unwrap();
    let row = lines.find(|line| line.starts_with(row)).unwrap();
    row.split(',').nth(at).unwrap().parse().unwrap()
}

fn spawn(clients: usize, work: impl Fn() + Send + Sync + 'static) -> Vec<JoinHandle<()>> {
    let work = Arc::new(work);
    let client = || {
        let work = Arc::clone(&work);
        std::thread::spawn(move || work())
    };
    (0..clients).map(|_| client()).collect()
}

/// `wrk` in the background, where it is installed.
fn wrk(addr: SocketAddr) -> Option<std::process::Child> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c16", "-d600s", "--latency"]);
    command.arg(format!("http://{addr}/"));
    let started = command.stdout(Stdio::piped()).spawn();
    if started.is_err() {
        eprintln!("wrk is not installed: its load is left out");
    }
    started.ok()
}

#[test]
fn reloads_under_load_lose_nothing() {
    if flavour() == Flavour::Oracle {
        // It cuts clients between two requests, and forgets what it counted.
        return;
    }
    let reloads = std::env::var("RELOADS").map_or(RELOADS_SHORT, |text| text.parse().unwrap());
    let is_long = reloads >= RELOADS_LONG;
    let origin = Counting::new();
    let config = common("frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@\n");
    // Each request has a line, and nobody reads them.
    let config = config.replace("    log global\n    option httplog\n", "");
    let mut setup = Setup::new(&config)
        .with("s", origin.addr)
        .with("log", "127.0.0.1:9");
    let socket = setup.dir().join("master.sock").display().to_string();
    setup
        .args
        .extend(["-W".to_owned(), "-S".to_owned(), socket]);
    let proxy = setup.start();
    proxy.message("Loading success.");
    let addr = proxy.addr("fe");
    // Both have been what they will be again: a master that was reloaded, a worker that has served
    // nobody.
    assert!(master(&proxy, "reload").starts_with("Success=1\n"));
    let worker = worker_size(&proxy);
    let before = (master_size(&proxy), worker);

    let tally = Arc::new(Tally::default());
    let mut clients = Vec::new();
    let (kept, pause) = if is_long { (200, 2) } else { (50, 5) };
    let shared = Arc::clone(&tally);
    clients.extend(spawn(kept, move || {
        keeping(addr, &shared, Duration::from_millis(pause));
    }));
    let shared = Arc::clone(&tally);
    clients.extend(spawn(2, move || connecting(addr, &shared)));
    let mut load = if is_long { wrk(addr) } else { None };
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..reloads {
        let least = tally.answered.load(Ordering::Relaxed) + REQUESTS_BETWEEN;
        until("clients are answered", || {
            (tally.answered.load(Ordering::Relaxed) >= least).then_some(())
        });
        let asked = Instant::now();
        let answer = master(&proxy, "reload");
        slowest = slowest.max(asked.elapsed());
        assert!(answer.starts_with("Success=1\n"), "{answer}");
    }
    let took = began.elapsed();
    tally.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    if let Some(load) = &mut load {
        crate::support::proxy::signal(load.id(), "INT");
        let mut report = String::new();
        load.stdout
            .take()
            .unwrap()
            .read_to_string(&mut report)
            .unwrap();
        load.wait().unwrap();
        println!("{report}");
        assert!(!report.contains("Socket errors"), "wrk saw errors");
        assert!(!report.contains("Non-2xx"), "wrk saw refusals");
    }

    let answered = tally.answered.load(Ordering::Relaxed);
    assert_eq!(
        tally.failed.load(Ordering::Relaxed),
        0,
        "failed of {answered}"
    );
    only_worker(&proxy);
    let served = origin.requests.load(Ordering::Relaxed);
    until("everything is counted", || {
        (counted(&proxy, "b,s,", "stot") >= served).then_some(())
    });
    for (row, field) in [
        ("b,s,", "stot"),
        ("b,BACKEND", "hrsp_2xx"),
        ("f,FRONTEND", "req_tot"),
    ] {
        let sum = counted(&proxy, row, field);
        match load {
            // What wrk had under way at its end is counted by one and not by the other.
            Some(_) => assert!(
                sum >= answered && sum <= served + 16,
                "{row} {field}: {sum}"
            ),
            None => assert_eq!((sum, answered), (answered, served), "{row} {field}"),
        }
    }
    // A worker that has served nobody, as the first one.
    assert!(master(&proxy, "reload").starts_with("Success=1\n"));
    let worker = worker_size(&proxy);
    let after = (master_size(&proxy), worker);
    println!(
        "{reloads} reloads in {:.1} s, the slowest {} ms; {answered} requests, none failed, the \
         slowest {} ms; master {:?} then {:?}, worker {:?} then {:?} (descriptors, kB)",
        took.as_secs_f64(),
        slowest.as_millis(),
        tally.longest_us.load(Ordering::Relaxed) / 1000,
        before.0,
        after.0,
        before.1,
        after.1,
    );
    for (before, after) in [(before.0, after.0), (before.1, after.1)] {
        assert_eq!(before.0, after.0, "descriptors");
        assert!(
            after.1 <= before.1 + GROWTH_MAX_KB,
            "{} kB, then {}",
            before.1,
            after.1
        );
    }
}
