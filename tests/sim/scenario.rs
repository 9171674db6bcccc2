//! What one seed stands for: a configuration, unkindnesses, and what everybody will say.

use crate::rng::Rng;
use crate::state::Faults;
use crate::wire::{body, chunked};

/// How an answer's body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Length,
    Chunked,
    UntilClose,
    None,
}

/// What goes wrong with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mishap {
    None,
    /// The server closes without a byte.
    CloseUnanswered,
    /// It breaks without a byte.
    ResetUnanswered,
    /// So much of the answer (per mille), then the end, or a reset.
    Cut(u64, bool),
    /// No HTTP.
    Garbage,
    /// Nothing, for ever.
    Silence,
}

/// One request and its answer, as all ends of a run know it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) id: u64,
    pub(crate) method: &'static str,
    pub(crate) minor: u8,
    pub(crate) prefix: &'static str,
    pub(crate) close: bool,
    pub(crate) up: Option<u64>,
    pub(crate) up_chunk: Option<usize>,
    pub(crate) expect: bool,
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    pub(crate) down: u64,
    pub(crate) down_chunk: usize,
    pub(crate) decorated: bool,
    pub(crate) interim: u64,
    /// The answer says that the server will close.
    pub(crate) server_closes: bool,
    /// The server answers when the head has come, not waiting for the body.
    pub(crate) early: bool,
    pub(crate) mishap: Mishap,
    /// The answer turns the connection into a tunnel.
    pub(crate) upgrade: bool,
}

impl Plan {
    /// The status that a rule of the frontend answers with, if one does.
    pub(crate) fn ruled(&self) -> Option<u16> {
        match self.prefix {
            "/deny" => Some(403),
            "/return" => Some(200),
            "/redirect" => Some(302),
            _ => None,
        }
    }

    /// The request as the client sends it: the head, then the body.
    pub(crate) fn request(&self) -> Vec<u8> {
        let mut out = format!(
            "{} {}/r/{} HTTP/1.{}\r\nHost: sim\r\nX-Id: {}\r\n",
            self.method, self.prefix, self.id, self.minor, self.id
        );
        if self.close {
            out += "Connection: close\r\n";
        }
        if self.expect {
            out += "Expect: 100-continue\r\n";
        }
        if self.upgrade {
            out += "Connection: upgrade\r\nUpgrade: sim\r\n";
        }
        let body = body(self.id, true, self.up.unwrap_or_default());
        let body = match (self.up, self.up_chunk) {
            _ if self.upgrade => Vec::new(),
            (Some(_), Some(size)) => {
                out += "Transfer-Encoding: chunked\r\n";
                chunked(&body, size, self.decorated)
            }
            (Some(length), None) => {
                out += &format!("Content-Length: {length}\r\n");
                body
            }
            (None, _) => Vec::new(),
        };
        out += "\r\n";
        let mut out = out.into_bytes();
        out.extend_from_slice(&body);
        out
    }

    /// The answer as the server sends it.
    pub(crate) fn answer(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for _ in 0..self.interim {
            out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n");
        }
        let (id, status) = (self.id, self.status);
        if self.upgrade {
            let head = format!(
                "HTTP/1.1 101 Switching\r\nX-Id: {id}\r\nConnection: upgrade\r\nUpgrade: sim\r\n\r\n"
            );
            out.extend_from_slice(head.as_bytes());
            return out;
        }
        let mut head = format!("HTTP/1.1 {status} Sim\r\nX-Id: {id}\r\n");
        if self.server_closes || self.framing == Framing::UntilClose {
            head += "Connection: close\r\n";
        }
        let mut body = body(id, false, self.down);
        match self.framing {
            Framing::Length => head += &format!("Content-Length: {}\r\n", self.down),
            Framing::Chunked => {
                head += "Transfer-Encoding: chunked\r\n";
                body = chunked(&body, self.down_chunk, self.decorated);
            }
            Framing::UntilClose | Framing::None => {}
        }
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(b"\r\n");
        if self.method != "HEAD" && self.framing != Framing::None {
            out.extend_from_slice(&body);
        }
        out
    }
}

/// What is odd about a client, at its last request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Quirk {
    None,
    /// Half a head and then nothing.
    StallsInHead,
    /// Half a head and then the end of its side.
    EndsInHead,
    /// Not HTTP at all.
    Garbage,
    /// It breaks off in the middle of its request.
    BreaksOff,
    /// It leaves as soon as it has sent everything.
    Leaves,
    /// It stops reading.
    StopsReading,
}

/// What one client will do.
pub(crate) struct Script {
    pub(crate) door: usize,
    pub(crate) starts_at: u64,
    pub(crate) ids: Vec<u64>,
    /// Requests that may be on their way at once.
    pub(crate) depth: usize,
    pub(crate) half_close: bool,
    pub(crate) quirk: Quirk,
    pub(crate) tcp: bool,
    /// It talks to the runtime socket.
    pub(crate) runtime: bool,
    /// What it does when all is answered: 0 closes, 1 breaks, 2 waits for the engine.
    pub(crate) last: u64,
}

/// One seed.
pub(crate) struct Scenario {
    pub(crate) text: String,
    pub(crate) faults: Faults,
    pub(crate) clean: bool,
    pub(crate) tcp: bool,
    pub(crate) abort_on_close: bool,
    pub(crate) idle_close: bool,
    pub(crate) stop_at: Option<u64>,
    pub(crate) servers_flip: bool,
    pub(crate) wishes: bool,
    pub(crate) plans: Vec<Plan>,
    pub(crate) scripts: Vec<Script>,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let clean = rng.permille(350);
        let tcp = rng.permille(180);
        let faults = faults(&mut rng, clean);
        let dirty = |rng: &mut Rng, share| !clean && rng.permille(share);
        let mishaps = dirty(&mut rng, 400);
        let quirks = dirty(&mut rng, 400);
        let servers_flip = dirty(&mut rng, 200);
        let http_close = rng.permille(120);
        let abort_on_close = dirty(&mut rng, 200);
        let mut scenario = Self {
            text: configuration(&mut rng, tcp, http_close, servers_flip, abort_on_close),
            abort_on_close,
            faults,
            clean,
            tcp,
            idle_close: dirty(&mut rng, 400),
            stop_at: dirty(&mut rng, 150).then(|| rng.between(1, 300)),
            servers_flip,
            wishes: dirty(&mut rng, 200),
            plans: Vec::new(),
            scripts: Vec::new(),
        };
        let clients = rng.between(1, 9);
        for _ in 0..clients {
            scenario.add_client(&mut rng, mishaps, quirks, http_close);
        }
        scenario
    }

    fn add_client(&mut self, rng: &mut Rng, mishaps: bool, quirks: bool, http_close: bool) {
        let count = match self.tcp || http_close {
            true => 1,
            false => rng.pick(&[1, 2, 3, 8]),
        };
        let runtime = rng.permille(60);
        let count = if runtime { 1 } else { count };
        let mut ids = Vec::new();
        for at in 0..count {
            let id = self.plans.len() as u64;
            ids.push(id);
            let mut plan = plan(rng, id, at + 1 == count);
            if mishaps && rng.permille(300) {
                plan.mishap = rng.pick(&[
                    Mishap::CloseUnanswered,
                    Mishap::ResetUnanswered,
                    Mishap::Cut(300, false),
                    Mishap::Cut(30, false),
                    Mishap::Cut(700, true),
                    Mishap::Garbage,
                    Mishap::Silence,
                ]);
                // An answer that ends with its connection cannot be seen to be cut.
                if plan.framing == Framing::UntilClose {
                    plan.framing = Framing::Length;
                }
            }
            if self.tcp || runtime {
                plan.mishap = Mishap::None;
                plan.up.get_or_insert(0);
            }
            self.plans.push(plan);
        }
        let quirk = match quirks && rng.permille(400) {
            true => rng.pick(&[
                Quirk::StallsInHead,
                Quirk::EndsInHead,
                Quirk::Garbage,
                Quirk::BreaksOff,
                Quirk::Leaves,
                Quirk::StopsReading,
            ]),
            false => Quirk::None,
        };
        self.scripts.push(Script {
            door: if runtime { 2 } else { rng.below(2) as usize },
            starts_at: rng.below(60),
            ids,
            depth: rng.pick(&[1, 1, 2, 8]),
            half_close: rng.permille(100),
            quirk,
            tcp: self.tcp,
            runtime,
            last: rng.below(3),
        });
    }
}

fn size(rng: &mut Rng) -> u64 {
    let most = rng.pick(&[1, 10, 10, 300, 300, 3_000, 20_000, 60_000]);
    rng.between(0, most)
}

fn plan(rng: &mut Rng, id: u64, last: bool) -> Plan {
    let method = rng.pick(&["GET", "GET", "GET", "HEAD", "POST", "POST", "PUT"]);
    let carries = matches!(method, "POST" | "PUT");
    let upgrade = last && method == "GET" && rng.permille(80);
    let status = rng.pick(&[200, 200, 200, 404, 204, 304]);
    let mut framing = match status {
        204 | 304 => Framing::None,
        _ => rng.pick(&[Framing::Length, Framing::Length, Framing::Chunked]),
    };
    if last && status == 200 && rng.permille(150) {
        framing = Framing::UntilClose;
    }
    Plan {
        id,
        method,
        minor: if last && !upgrade && rng.permille(100) {
            0
        } else {
            1
        },
        prefix: rng.pick(&[
            "",
            "",
            "",
            "/app1",
            "/app1",
            "/app2",
            "/app2",
            "/deny",
            "/return",
            "/redirect",
        ]),
        close: last && rng.permille(200) && !upgrade,
        up: (carries || upgrade).then(|| size(rng)),
        up_chunk: (carries && rng.permille(400)).then(|| rng.between(1, 5_000) as usize),
        expect: carries && rng.permille(150),
        status,
        framing,
        down: if framing == Framing::None {
            0
        } else {
            size(rng)
        },
        down_chunk: rng.between(1, 5_000) as usize,
        decorated: rng.permille(200),
        interim: if rng.permille(100) {
            rng.between(1, 3)
        } else {
            0
        },
        server_closes: rng.permille(100),
        early: last && carries && rng.permille(150),
        mishap: Mishap::None,
        upgrade,
    }
    .fixed(last)
}

impl Plan {
    /// Makes a plan say one thing only.
    fn fixed(mut self, last: bool) -> Self {
        // Its answer ends the connection, and what a client sends behind it resets that.
        if self.prefix == "/redirect" && self.up.is_some() && !last {
            self.prefix = "";
        }
        if self.minor == 0 {
            self.up_chunk = None;
            self.expect = false;
        }
        if self.upgrade {
            self.up_chunk = None;
            self.status = 101;
        }
        if self.early {
            self.server_closes = false;
            if self.framing == Framing::UntilClose {
                self.framing = Framing::Length;
            }
        }
        self
    }
}

fn faults(rng: &mut Rng, clean: bool) -> Faults {
    let some = |rng: &mut Rng, shares: &[u64]| rng.pick(shares);
    let mut faults = Faults {
        short_recv: some(rng, &[0, 100, 500]),
        short_send: some(rng, &[0, 100, 500]),
        false_ready: some(rng, &[0, 0, 100]),
        only_changed: some(rng, &[0, 300]),
        stale: some(rng, &[0, 100]),
        emfile: some(rng, &[0, 0, 100]),
        slow: some(rng, &[0, 0, 0, 30]),
        small_windows: rng.permille(200),
        log_full: some(rng, &[0, 0, 200]),
        log_fails: some(rng, &[0, 0, 100]),
        ..Faults::default()
    };
    if !clean {
        faults.abandoned = some(rng, &[0, 0, 100]);
        faults.watch_fails = some(rng, &[0, 0, 0, 30]);
        faults.refuse_at_once = some(rng, &[0, 0, 100, 600]);
        faults.refuse_late = some(rng, &[0, 0, 100, 600]);
        faults.connect_silent = some(rng, &[0, 0, 100]);
        faults.server_reset = some(rng, &[0, 0, 50]);
        faults.client_reset = some(rng, &[0, 0, 50]);
    }
    faults
}

fn configuration(
    rng: &mut Rng,
    tcp: bool,
    http_close: bool,
    checks: bool,
    abort_on_close: bool,
) -> String {
    let mut text = String::from("global\n  log 127.0.0.1:514 local0\n");
    text += "  stats socket /sim.sock level admin\n";
    text += &format!("  maxconn {}\n", rng.pick(&[2, 20, 100]));
    if rng.permille(400) {
        text += "  tune.bufsize 2048\n  tune.maxrewrite 1024\n";
    }
    text += rng.pick(&["", "  tune.maxaccept 1\n"]);
    text += if tcp {
        "defaults\n  mode tcp\n  option tcplog\n"
    } else {
        "defaults\n  mode http\n  option httplog\n  option forwardfor\n"
    };
    text += "  log global\n  timeout connect 500\n  timeout client 3s\n  timeout server 3s\n";
    text += "  timeout queue 1h\n  timeout http-request 2s\n  timeout http-keep-alive 2s\n";
    if http_close && !tcp {
        text += "  option httpclose\n";
    } else if !tcp {
        text += rng.pick(&["", "", "", "  option http-server-close\n"]);
        text += rng.pick(&[
            "",
            "",
            "  http-reuse never\n",
            "  http-reuse always\n",
            "  http-reuse aggressive\n",
        ]);
    }
    text += rng.pick(&["", "", "  option redispatch\n"]);
    text += rng.pick(&["", "", "  option logasap\n"]);
    if abort_on_close {
        text += "  option abortonclose\n";
    }
    text += rng.pick(&["", "", "  retries 1\n", "  retries 0\n"]);
    for (index, port) in [8001, 8002].into_iter().enumerate() {
        text += &format!("frontend f{index}\n  bind 127.0.0.1:{port}\n");
        text += rng.pick(&["", "", "  maxconn 3\n"]);
        if !tcp {
            text += "  acl app1 path_beg /app1\n  use_backend b1 if app1\n";
            text += "  use_backend b2 if { path_beg /app2 }\n";
            text += "  http-request deny if { path_beg /deny }\n";
            text += "  http-request redirect location /new if { path_beg /redirect }\n";
            text += "  http-request return status 200 content-type text/plain string \"all well\"";
            text += " if { path_beg /return }\n";
        }
        text += "  default_backend b0\n";
    }
    for (backend, servers) in [(0, 2), (1, 1), (2, 3)] {
        text += &format!("backend b{backend}\n");
        text += rng.pick(&["", "  balance roundrobin\n"]);
        if backend == 1 && !tcp {
            text += "  http-request replace-path /app1(/)?(.*) /\\2\n";
            text += "  http-request set-header x-seen yes\n";
            text += "  http-response set-header x-out yes\n";
        }
        let limit = rng.pick(&["", "", " maxconn 1", " maxconn 2"]);
        for server in 0..servers {
            let port = 9000 + backend * 10 + server;
            text += &format!("  server s{server} 127.0.0.1:{port}{limit}");
            text += if checks { " check inter 40\n" } else { "\n" };
        }
    }
    text
}
