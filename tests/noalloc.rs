//! The request path allocates nothing once it is warm.
//!
//! A counting allocator stands under the real engine, whose door is a loopback in memory: one client
//! that asks, one origin that answers, both without an allocation of their own. After a warm-up, ten
//! thousand keep-alive requests of each kind must leave the count where it was: plain, routed by ACLs
//! and rewritten, logged, answered in chunks, and with a body. So must a flood of connections whose
//! requests are refused.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use oneloop::base::addr::{Address, Endpoint};
use oneloop::base::arena::Handle;
use oneloop::base::clock::Now;
use oneloop::config::host::Fake;
use oneloop::config::model::Config;
use oneloop::config::{LoadOptions, Source, load};
use oneloop::engine::service::{Caller, Inquiry, Limits, Opened, Outcome, Service, View};
use oneloop::engine::{Engine, Subject};
use oneloop::net::{
    ConnectOptions, ListenerState, LogBatch, Net, Peer, Readiness, Signal, Socket, Stop,
};

/// Counts what is asked of the system's allocator.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CLIENT: i32 = 0;
const ORIGIN: i32 = 1;
const WARM_UP: u64 = 2_000;
const REQUESTS: u64 = 10_000;

/// A client that asks again whenever it has its answer, and an origin that answers at once.
struct Loopback {
    now_ms: u64,
    request: &'static [u8],
    answer: &'static [u8],
    accepted: bool,
    connected: bool,
    handles: [Option<Handle>; 2],
    /// Bytes that the engine can still receive, by socket.
    waiting: [&'static [u8]; 2],
    /// Bytes that the engine has sent to the origin since its last answer.
    asked: usize,
    /// How long the request is as the origin gets it; learnt from the first.
    forwarded: usize,
    answers: u64,
    answered: usize,
    answer_len: usize,
    logged: u64,
    told: [bool; 2],
    /// Each request has a connection of its own, which its client ends once it is answered.
    flood: bool,
    /// The client has ended its side.
    ended: bool,
}

impl Loopback {
    fn new(request: &'static [u8], answer: &'static [u8]) -> Self {
        Self {
            now_ms: 1_000,
            request,
            answer,
            accepted: false,
            connected: false,
            handles: [None; 2],
            waiting: [b"", b""],
            asked: 0,
            forwarded: 0,
            answers: 0,
            answered: 0,
            answer_len: 0,
            logged: 0,
            told: [true; 2],
            flood: false,
            ended: false,
        }
    }

    /// When all that will come has come, the other end speaks.
    fn step(&mut self) {
        if self.flood && self.answered > 0 {
            self.answered = 0;
            self.answers += 1;
            self.ended = true;
            self.told[0] = false;
        } else if self.asked > 0 && self.waiting[1].is_empty() && self.answered == 0 {
            self.forwarded = self.forwarded.max(self.asked);
            if self.asked == self.forwarded {
                self.asked = 0;
                self.say(1, self.answer);
            }
        } else if self.answered > 0 {
            self.answer_len = self.answer_len.max(self.answered);
            if self.answered == self.answer_len {
                self.answered = 0;
                self.answers += 1;
                self.say(0, self.request);
            }
        }
    }

    fn say(&mut self, socket: usize, bytes: &'static [u8]) {
        self.waiting[socket] = bytes;
        self.told[socket] = false;
    }
}

impl Net for Loopback {
    fn idle_percent(&self) -> u8 {
        100
    }

    fn wait(&mut self, _until: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now {
        if !self.accepted {
            ready.push((Subject::Listener(0).handle(), Readiness::READABLE));
        }
        self.step();
        for socket in 0..2 {
            if let (Some(handle), false) = (self.handles[socket], self.told[socket]) {
                self.told[socket] = true;
                let closed = if self.ended {
                    Readiness::READ_CLOSED.0
                } else {
                    0
                };
                ready.push((handle, Readiness(3 | closed)));
            }
        }
        self.now_ms += u64::from(self.answers.is_multiple_of(7));
        Now {
            ms: self.now_ms,
            wall_ms: 1_700_000_000_000 + self.now_ms,
            utc_offset_s: 0,
        }
    }

    fn accept(&mut self, _listener: u32) -> Result<(Socket, Peer), Stop> {
        if std::mem::replace(&mut self.accepted, true) {
            return Err(Stop::Blocked);
        }
        self.waiting[0] = self.request;
        let source = Address::V4([127, 0, 0, 1].into(), 4000);
        Ok((Socket::from_raw(CLIENT), Peer { source }))
    }

    fn connect(&mut self, _to: &Endpoint, _how: ConnectOptions<'_>) -> Result<Socket, Stop> {
        assert!(
            !std::mem::replace(&mut self.connected, true),
            "one connection serves all"
        );
        Ok(Socket::from_raw(ORIGIN))
    }

    fn connect_result(&mut self, _socket: &Socket) -> Result<(), Stop> {
        Ok(())
    }

    fn watch(&mut self, socket: &Socket, handle: Handle) -> Result<(), Stop> {
        self.handles[socket.raw() as usize] = Some(handle);
        self.told[socket.raw() as usize] = false;
        Ok(())
    }

    fn local_address(&mut self, _socket: &Socket) -> Address {
        Address::V4([127, 0, 0, 1].into(), 80)
    }

    fn recv(&mut self, socket: &Socket, into: &mut [u8]) -> Result<usize, Stop> {
        let waiting = &mut self.waiting[socket.raw() as usize];
        if waiting.is_empty() {
            return Err(if self.ended {
                Stop::Closed
            } else {
                Stop::Blocked
            });
        }
        let n = waiting.len().min(into.len());
        into[..n].copy_from_slice(&waiting[..n]);
        *waiting = &waiting[n..];
        Ok(n)
    }

    fn send(
        &mut self,
        socket: &Socket,
        head: &[u8],
        body: &[u8],
        _more: bool,
    ) -> Result<usize, Stop> {
        let n = head.len() + body.len();
        match socket.raw() {
            CLIENT => self.answered += n,
            _ => self.asked += n,
        }
        Ok(n)
    }

    fn shutdown_write(&mut self, _socket: &Socket) {}

    fn close(&mut self, socket: Socket) {
        if socket.into_raw() == CLIENT {
            self.accepted = false;
            self.ended = false;
            self.handles[0] = None;
        }
    }

    fn abort(&mut self, socket: Socket) {
        let _ = socket.into_raw();
    }

    fn listener(&mut self, _listener: u32, _to: ListenerState) {}

    fn send_log(&mut self, _target: u32, batch: &LogBatch, from: usize) -> Result<usize, Stop> {
        let count = batch.ends.len() - from;
        self.logged += count as u64;
        Ok(count)
    }

    fn signal(&mut self) -> Option<Signal> {
        None
    }
}

struct NoService;

impl Service for NoService {
    type Page = ();

    fn run(&mut self, _: &[u8], _: &mut Caller, _: &View<'_>, _: &mut Vec<u8>) -> Outcome {
        Outcome::Done
    }

    fn open(&mut self, _: &Inquiry<'_>, _: &View<'_>) -> Opened<()> {
        Opened::empty(404)
    }

    fn fill(&mut self, (): &mut (), _: &View<'_>, _: &mut Vec<u8>) -> bool {
        false
    }
}

const CONFIGURATION: &str = "
global
  log 127.0.0.1:514 local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend web
  bind 127.0.0.1:8080
  acl is-app1 path_beg /app1
  acl is-app2 path_beg /app2
  acl has-host hdr(host) -i web.example
  use_backend rewritten if is-app1 has-host
  use_backend rewritten if is-app2 !has-host
  default_backend plain
backend plain
  server s1 127.0.0.1:9001
backend rewritten
  option forwardfor
  http-request replace-path /app1(/)?(.*) /\\2
  http-request set-header x-from %[src]
  http-request set-header x-map %[path,map_beg(paths.map,none)]
  http-request set-header x-regm %[path,map_regm(paths.map)]
  http-request set-header x-net %[src,map_ip_int(networks.map,0)]
  http-response set-header x-by web
  server s2 127.0.0.1:9002
";

fn configuration() -> Config {
    let source = Source {
        name: "noalloc.cfg".to_owned(),
        bytes: CONFIGURATION.as_bytes().to_vec(),
    };
    let host = Fake::new()
        .with_file("paths.map", "/ root\n/x(.*) a long value \\1\n")
        .with_file("networks.map", "127.0.0.0/8 1\n10.0.0.0/8 2\n");
    let loaded = load(&[source], &host, &LoadOptions::default());
    match loaded.config {
        Some(config) => config,
        None => panic!("{:?}", loaded.diagnostics),
    }
}

/// Allocations of ten thousand requests after a warm-up.
fn allocations(door: Loopback) -> u64 {
    let config = configuration();
    let limits = Limits {
        maxconn: 100,
        ..Limits::default()
    };
    let now = Now {
        ms: 1_000,
        wall_ms: 1_700_000_001_000,
        utc_offset_s: 0,
    };
    let mut engine = Engine::new(&config, door, NoService, limits, now);
    let mut run = |answers: u64| {
        let mut turns = 0;
        while engine.net_mut().answers < answers {
            assert!(engine.turn().is_none());
            turns += 1;
            assert!(turns < 10 * answers, "no progress: {}", engine.describe());
        }
    };
    run(WARM_UP);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run(WARM_UP + REQUESTS);
    let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(
        engine.net_mut().logged >= WARM_UP + REQUESTS,
        "each is logged"
    );
    let door = engine.net_mut();
    assert_eq!(
        door.connected, !door.flood,
        "what is refused reaches nobody"
    );
    // The door's sockets are numbers: nobody needs to close them.
    std::mem::forget(engine);
    count
}

/// One test, so that no other thread of the harness allocates meanwhile.
#[test]
fn requests_allocate_nothing_after_warm_up() {
    let length: &[u8] = b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\n\r\nhello";
    let chunked: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n";
    let plain: &[u8] = b"GET /x?y=1 HTTP/1.1\r\nHost: web.example\r\nAccept: */*\r\n\r\n";
    let rewritten: &[u8] =
        b"GET /app1/x/y?z=1 HTTP/1.1\r\nHost: web.example\r\nUser-Agent: t\r\nAccept: */*\r\n\r\n";
    let post: &[u8] =
        b"POST /form HTTP/1.1\r\nHost: web.example\r\nContent-Length: 12\r\n\r\nname=oneloop";
    let upload: &[u8] =
        b"PUT /file HTTP/1.1\r\nHost: web.example\r\nTransfer-Encoding: chunked\r\n\r\n\
        7\r\noneloop\r\n0\r\n\r\n";
    let pipelined: &[u8] = b"HEAD /x HTTP/1.1\r\nHost: web.example\r\n\r\n";
    let bare: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
    for (name, request, answer) in [
        ("plain", plain, length),
        ("answered in chunks", plain, chunked),
        ("rewritten", rewritten, length),
        ("with a body", post, length),
        ("with a chunked body", upload, bare),
        ("HEAD", pipelined, length.split_at(length.len() - 5).0),
    ] {
        let count = allocations(Loopback::new(request, answer));
        assert_eq!(count, 0, "{name}: allocations in {REQUESTS} requests");
    }
    let long = [b"GET /", &[b'a'; 20_000][..]].concat().leak();
    let chunks = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n";
    for (name, request) in [
        ("no method", &b"\x16\x03\x01 and more of a handshake"[..]),
        (
            "bad field",
            b"GET / HTTP/1.1\r\nHost: web.example\r\nA : b\r\n\r\n",
        ),
        (
            "two lengths",
            b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 2\r\n\r\n",
        ),
        ("bad chunks", chunks),
        ("long target", long),
    ] {
        let count = allocations(Loopback {
            flood: true,
            ..Loopback::new(request, b"")
        });
        assert_eq!(count, 0, "{name}: allocations in {REQUESTS} refusals");
    }
}
