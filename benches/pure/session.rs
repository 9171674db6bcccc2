//! A whole request through the engine, with everything but the system calls.
//!
//! The engine is the program's; [`Wire`] is the smallest `Net` that keeps it busy: one client that
//! asks the same thing again and again over one connection, and servers that answer whole requests
//! at once. An operation is one exchange in two turns of the loop: the client's edge, then the
//! server's. In production a turn serves many sessions, so the turn's own cost weighs more here.
//!
//! Rejected: the simulator's fake (`tests/sim`), which schedules, traces and checks every byte and
//! would cost more than the engine that is measured. It is the judge of what is right; here each
//! workload compares bytes once, counts the data calls, and counts the bytes of every run.

use oneloop::base::addr::{Address, Endpoint};
use oneloop::base::arena::Handle;
use oneloop::base::clock::Now;
use oneloop::engine::service::{Caller, Inquiry, Limits, Opened, Outcome, Service, View};
use oneloop::engine::{Engine, Subject};
use oneloop::net::{
    ConnectOptions, ListenerState, LogBatch, Net, Peer, Readiness, Signal, Socket, Stop,
};

use crate::parts::{ANSWER, REQUEST_4, configuration, paths, workload};
use crate::{Body, Workload};

const POST: &[u8] = b"POST /form HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7.88.1\r\n\
    Accept: */*\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 48\r\n\r\n\
    a=0123456789&b=0123456789&c=0123456789&d=0123456";

/// Turns between two milliseconds: some 64 requests, as a busy core serves.
const TURNS_PER_MS: u64 = 128;

/// The configuration of the performance page's scenarios.
const CONFIGURATION: &str = "\
global
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend web_proxy
    bind 127.0.0.1:80
    option forwardfor
    acl is-app1 path_beg /app1
    acl is-app2 path_beg /app2
    use_backend app if is-app1 || is-app2
    default_backend b1
backend b1
    balance roundrobin
    server s1 127.0.0.1:8001
    server s2 127.0.0.1:8002
backend app
    http-request replace-path /app1(/)?(.*) /\\2
    server s1 127.0.0.1:8001
    server s2 127.0.0.1:8002
";

pub(crate) const WORKLOADS: &[Workload] = &[
    workload("session/get", 1_000, || {
        exchange("", "", GET, "GET / HTTP/1.1", 0)
    }),
    workload("session/rewrite", 1_000, || {
        exchange("", "", REQUEST_4, "GET /index.html HTTP/1.1", 0)
    }),
    workload("session/post", 1_000, || {
        exchange("", "", POST, "POST /form HTTP/1.1", 0)
    }),
    workload("session/get-log", 1_000, || {
        let log = "    log 127.0.0.1:514 local0\n    option httplog\n";
        exchange(log, "", GET, "GET / HTTP/1.1", 1)
    }),
    workload("session/get-500-paths", 200, || {
        exchange("", &paths(500), GET, "GET / HTTP/1.1", 0)
    }),
];

/// What `wrk` sends.
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// One end of the wire: socket 0 is the client, the others are servers.
#[derive(Default)]
struct Far {
    handle: Option<Handle>,
    /// It has something to be received.
    speaks: bool,
    /// What was sent to it since the last exchange began.
    heard: Vec<u8>,
}

/// The smallest `Net`.
#[derive(Default)]
struct Wire {
    request: &'static [u8],
    ends: Vec<Far>,
    waiting: bool,
    edges: Vec<(Handle, Readiness)>,
    turns: u64,
    answered: u64,
    logged: u64,
    /// Calls that would move data or ask for it.
    calls: u64,
}

impl Wire {
    /// An edge for an end that is watched.
    fn tell(&mut self, end: usize, what: Readiness) {
        if let Some(handle) = self.ends[end].handle {
            self.edges.push((handle, what));
        }
    }

    /// The client speaks, and everybody forgets what was heard.
    fn ask(&mut self) {
        self.ends.iter_mut().for_each(|end| end.heard.clear());
        self.ends[0].speaks = true;
        self.tell(0, Readiness::READABLE);
    }
}

impl Net for Wire {
    fn idle_percent(&self) -> u8 {
        100
    }

    fn wait(&mut self, _: Option<u64>, ready: &mut Vec<(Handle, Readiness)>) -> Now {
        self.turns += 1;
        ready.append(&mut self.edges);
        now(self.turns)
    }

    fn accept(&mut self, _: u32) -> Result<(Socket, Peer), Stop> {
        if !std::mem::take(&mut self.waiting) {
            return Err(Stop::Blocked);
        }
        let source = Address::new([192, 0, 2, 7].into(), 51_234);
        Ok((Socket::from_raw(0), Peer { source }))
    }

    fn connect(&mut self, _: &Endpoint, _: ConnectOptions<'_>) -> Result<Socket, Stop> {
        self.ends.push(Far::default());
        Ok(Socket::from_raw(self.ends.len() as i32 - 1))
    }

    fn connect_result(&mut self, _: &Socket) -> Result<(), Stop> {
        Ok(())
    }

    fn watch(&mut self, socket: &Socket, handle: Handle) -> Result<(), Stop> {
        let end = socket.raw() as usize;
        self.ends[end].handle = Some(handle);
        self.tell(end, Readiness::WRITABLE);
        Ok(())
    }

    fn local_address(&mut self, _: &Socket) -> Address {
        Address::new([127, 0, 0, 1].into(), 80)
    }

    fn recv(&mut self, socket: &Socket, into: &mut [u8]) -> Result<usize, Stop> {
        self.calls += 1;
        let end = socket.raw() as usize;
        if !std::mem::take(&mut self.ends[end].speaks) {
            return Err(Stop::Blocked);
        }
        let text = if end == 0 { self.request } else { ANSWER };
        into[..text.len()].copy_from_slice(text);
        Ok(text.len())
    }

    fn send(&mut self, socket: &Socket, head: &[u8], body: &[u8], _: bool) -> Result<usize, Stop> {
        self.calls += 1;
        let end = socket.raw() as usize;
        let total = head.len() + body.len();
        let far = &mut self.ends[end];
        far.heard.extend_from_slice(head);
        far.heard.extend_from_slice(body);
        if end == 0 {
            self.answered += total as u64;
        } else {
            // One request at a time, so the last bytes tell that it is whole.
            let tail = &self.request[self.request.len() - 4..];
            far.speaks = far.heard.ends_with(tail);
            if far.speaks {
                self.tell(end, Readiness::READABLE);
            }
        }
        Ok(total)
    }

    fn shutdown_write(&mut self, _: &Socket) {}

    fn close(&mut self, socket: Socket) {
        let _ = socket.into_raw();
    }

    fn abort(&mut self, socket: Socket) {
        self.close(socket);
    }

    fn listener(&mut self, _: u32, _: ListenerState) {}

    fn send_log(&mut self, _: u32, batch: &LogBatch, from: usize) -> Result<usize, Stop> {
        let sent = batch.ends.len() - from;
        self.logged += sent as u64;
        Ok(sent)
    }

    fn signal(&mut self) -> Option<Signal> {
        None
    }
}

fn now(turns: u64) -> Now {
    let ms = turns / TURNS_PER_MS;
    Now {
        ms: 1_000_000 + ms,
        wall_ms: 1_700_000_000_000 + ms,
        utc_offset_s: 0,
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

/// Keep-alive exchanges. A server must see a request whose first line is `seen`, with the client's
/// address, and the client the answer's body; each exchange must leave `lines` log lines.
fn exchange(log: &str, rules: &str, request: &'static [u8], seen: &str, lines: u64) -> Body {
    let text = CONFIGURATION
        .replace("    bind", &format!("{log}    bind"))
        .replace("    default", &format!("{rules}    default"));
    let wire = Wire {
        request,
        ends: vec![Far::default()],
        waiting: true,
        edges: vec![(Subject::Listener(0).handle(), Readiness::READABLE)],
        ..Wire::default()
    };
    let limits = Limits {
        maxconn: 100,
        ..Limits::default()
    };
    // Leaked: to drop an engine with its connections open is a fault in debug builds.
    let engine = Engine::new(configuration(&text), wire, NoService, limits, now(0));
    let engine = Box::leak(Box::new(engine));
    engine.turn();
    // The first exchanges connect; from then on every one must be the same.
    for _ in 0..8 {
        one(engine);
        engine.turn();
    }
    let wire = engine.net_mut();
    let (calls, answered, logged) = (wire.calls, wire.answered, wire.logged);
    one(engine);
    let wire = engine.net_mut();
    let asked = wire.ends[1..].iter().find(|end| !end.heard.is_empty());
    let asked = String::from_utf8_lossy(&asked.expect("a server that was asked").heard);
    let forwarded = asked.contains("\r\nX-Forwarded-For: 192.0.2.7\r\n");
    assert!(forwarded && asked.lines().next() == Some(seen), "{asked}");
    assert!(wire.ends[0].heard.ends_with(&ANSWER[ANSWER.len() - 48..]));
    assert_eq!((wire.calls - calls, wire.logged - logged), (4, lines));
    let length = wire.answered - answered;
    Box::new(move |times| {
        let before = engine.net_mut().answered;
        for _ in 0..times {
            one(engine);
        }
        assert_eq!(engine.net_mut().answered - before, times * length);
    })
}

/// The client asks, then the server answers.
fn one(engine: &mut Engine<'static, Wire, NoService>) {
    engine.net_mut().ask();
    engine.turn();
    engine.turn();
}
