//! What one seed stands for: a configuration, unkindnesses, and what everybody will say.

use oneloop::net::Signal;

use super::inspection::Inspection;
use super::introduction::Introduced;
use super::probes::Lines;
use super::rng::Rng;
use super::state::Faults;
use super::sticks::Sticks;
use super::wire::{body, chunked};

/// A short body at most, bytes: still more than a small buffer holds.
const SHORT_BODY: u64 = 4_000;

/// Where a service answers.
pub(crate) const STATS: &str = "/stats";

/// What a service reads of a body whatever the buffers' size, bytes.
const POSTED: u64 = 500;

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
    /// So much of the answer (per mille), and then nothing.
    Stalls(u64),
    /// A body in chunks, one of which is none.
    Mangled,
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
    /// The body is sent when a 100 has come, or nothing for a while.
    pub(crate) waits: bool,
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
    /// The mishap does not come a second time.
    pub(crate) recovers: bool,
}

impl Plan {
    /// Where the body begins in what the client sends.
    pub(crate) fn head_len(request: &[u8]) -> usize {
        let end = request.windows(4).position(|four| four == b"\r\n\r\n");
        end.map_or(request.len(), |end| end + 4)
    }

    /// The status that a rule of the frontend answers with, if one does.
    pub(crate) fn ruled(&self) -> Option<u16> {
        match self.prefix {
            "/deny" => Some(403),
            "/return" => Some(200),
            "/redirect" => Some(302),
            _ => None,
        }
    }

    /// A service of the engine answers it.
    pub(crate) fn served(&self) -> bool {
        self.prefix == STATS
    }

    /// The request as the client sends it: the head, then the body.
    pub(crate) fn request(&self, cookie: Option<&str>) -> Vec<u8> {
        // A service is told here what it answers.
        let length = match self.served() {
            true => format!("/{}", self.down),
            false => String::new(),
        };
        let mut out = format!(
            "{} {}/r/{}{length} HTTP/1.{}\r\nHost: sim\r\nX-Id: {}\r\n",
            self.method, self.prefix, self.id, self.minor, self.id
        );
        if let Some(cookie) = cookie {
            out += &format!("Cookie: {cookie}\r\n");
        }
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
        if status == 401 {
            head += "WWW-Authenticate: Basic realm=\"sim\", NTLM\r\n";
        }
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
    /// It comes without the header that it should begin with.
    Stranger,
    /// Its header breaks off with its side of the connection.
    CutHeader,
    /// It never says a word, where it should introduce itself.
    Silent,
}

impl Quirk {
    /// It is never let in.
    pub(crate) fn is_unintroduced(self) -> bool {
        matches!(self, Self::Stranger | Self::CutHeader | Self::Silent)
    }
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
    pub(crate) introduced: Introduced,
    pub(crate) tcp: bool,
    /// It talks to the runtime socket.
    pub(crate) runtime: bool,
    /// What it says there; `say` when it is empty.
    pub(crate) commands: String,
    /// What it does when all is answered: 0 closes, 1 breaks, 2 waits for the engine.
    pub(crate) last: u64,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            door: 0,
            starts_at: 0,
            ids: Vec::new(),
            depth: 1,
            half_close: false,
            quirk: Quirk::None,
            introduced: Introduced::No,
            tcp: false,
            runtime: false,
            commands: String::new(),
            last: 0,
        }
    }
}

/// One seed.
pub(crate) struct Scenario {
    pub(crate) text: String,
    pub(crate) faults: Faults,
    pub(crate) clean: bool,
    pub(crate) abort_on_close: bool,
    pub(crate) idle_close: bool,
    /// What the process is told, and when.
    pub(crate) signals: Vec<(u64, Signal)>,
    /// When the machine is suspended, and for how long, ms.
    pub(crate) jumps: Vec<(u64, u64)>,
    /// `timeout queue` is short.
    pub(crate) short_queue: bool,
    /// `hard-stop-after`, ms.
    pub(crate) hard_stop_after: Option<u64>,
    pub(crate) servers_flip: bool,
    pub(crate) wishes: bool,
    /// What clients are bound by.
    pub(crate) sticks: Sticks,
    /// Sessions end with their servers.
    pub(crate) shuts: bool,
    /// A server may be left without source ports.
    pub(crate) few_ports: bool,
    /// Requests are sent once more when a server fails them.
    pub(crate) repeats: bool,
    /// Rules about contents.
    pub(crate) inspection: Inspection,
    pub(crate) plans: Vec<Plan>,
    pub(crate) scripts: Vec<Script>,
}

/// What a configuration is made of.
struct Sort {
    http_close: bool,
    checks: bool,
    abort_on_close: bool,
    short_queue: bool,
    /// Many wait for one server.
    crowd: bool,
    hard_stop_after: Option<u64>,
    lines: Lines,
    sticks: Sticks,
    /// A server has a few source ports only.
    few_ports: bool,
    inspection: Inspection,
}

impl Scenario {
    pub(crate) fn new(mut rng: Rng) -> Self {
        let rng = &mut rng;
        let clean = rng.permille(300);
        // HTTP, TCP, or both side by side; of a thousand clients so many speak TCP.
        let tcp = rng.pick(&[0, 0, 0, 150, 500, 500, 1000]);
        let faults = faults(rng, clean);
        let dirty = |rng: &mut Rng, share| !clean && rng.permille(share);
        let mishaps = dirty(rng, 400);
        let quirks = dirty(rng, 400);
        let stops = dirty(rng, 150);
        // What is drawn besides leaves the rest of the scenario as it was.
        let mut fork = Rng::new(rng.clone().next());
        let talks = !clean && fork.permille(300);
        let sticks = fork.permille(300);
        let mut sort = Sort {
            http_close: rng.permille(120),
            checks: dirty(rng, 200),
            abort_on_close: dirty(rng, 200),
            short_queue: dirty(rng, 150),
            crowd: rng.permille(60),
            hard_stop_after: (stops && rng.permille(400)).then(|| rng.pick(&[5, 40, 300])),
            lines: Lines::new(&mut fork, talks),
            sticks: Sticks::No,
            few_ports: !clean && fork.permille(200),
            inspection: Inspection::drawn(&mut fork),
        };
        sort.checks |= talks;
        sort.sticks = match sticks {
            false => Sticks::No,
            // Servers that move are elsewhere than their cookies say.
            true => Sticks::Loosely,
        };
        let mut scenario = Self {
            text: configuration(rng, &sort),
            abort_on_close: sort.abort_on_close,
            faults,
            clean,
            idle_close: dirty(rng, 400),
            signals: Vec::new(),
            jumps: Vec::new(),
            short_queue: sort.short_queue,
            hard_stop_after: sort.hard_stop_after,
            servers_flip: sort.checks,
            wishes: dirty(rng, 200),
            sticks: sort.sticks,
            shuts: talks,
            few_ports: sort.few_ports,
            repeats: false,
            inspection: sort.inspection,
            plans: Vec::new(),
            scripts: Vec::new(),
        };
        if scenario.sticks == Sticks::Loosely && !scenario.wishes {
            scenario.sticks = Sticks::Strictly;
        }
        scenario.repeats = scenario.text.contains("  retry-on ");
        scenario.add_signals(rng, stops);
        let clients = rng.between(1, 9);
        for _ in 0..clients {
            let speaks_tcp = rng.permille(tcp);
            scenario.add_client(rng, mishaps, quirks, sort.http_close, speaks_tcp);
        }
        if sort.short_queue || sort.crowd {
            scenario.crowd(rng);
        }
        scenario
    }

    fn add_signals(&mut self, rng: &mut Rng, stops: bool) {
        if stops {
            self.signals.push((rng.between(1, 300), Signal::SoftStop));
        }
        if rng.permille(60) {
            let signal = rng.pick(&[Signal::DumpStates, Signal::DumpPools]);
            self.signals.push((rng.between(1, 200), signal));
        }
        if self.clean {
            return;
        }
        if rng.permille(60) {
            self.signals.push((rng.between(1, 300), Signal::Stop(15)));
        }
        if rng.permille(100) {
            let pause = rng.between(1, 60);
            self.signals.push((pause, Signal::Pause));
            let resume = pause + rng.between(1, 60);
            self.signals.push((resume, Signal::Resume));
        }
        if rng.permille(60) {
            for _ in 0..rng.between(1, 3) {
                let longer = rng.pick(&[90, 700, 4_000, 600_000, 86_400_000]);
                self.jumps.push((rng.between(1, 300), longer));
            }
        }
    }

    fn add_client(
        &mut self,
        rng: &mut Rng,
        mishaps: bool,
        quirks: bool,
        http_close: bool,
        tcp: bool,
    ) {
        let runtime = rng.permille(if self.wishes { 300 } else { 80 });
        let tcp = tcp && !runtime;
        let count = match tcp || http_close || runtime {
            true => 1,
            false => rng.pick(&[1, 2, 3, 8]),
        };
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
                    Mishap::Stalls(600),
                    Mishap::Mangled,
                ]);
                let stalls = matches!(plan.mishap, Mishap::Stalls(_));
                // An answer that ends with its connection cannot be seen to be cut by its end.
                if plan.framing == Framing::UntilClose && !stalls {
                    plan.framing = Framing::Length;
                }
                let may_end = plan.framing == Framing::Length && !plan.upgrade && at + 1 == count;
                if stalls && may_end && !plan.early && rng.permille(700) {
                    plan.framing = Framing::UntilClose;
                }
                if plan.mishap == Mishap::Mangled && plan.framing == Framing::Length {
                    plan.framing = Framing::Chunked;
                }
            }
            if tcp || runtime || plan.served() {
                plan.mishap = Mishap::None;
            }
            if tcp || runtime {
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
        let commands = match runtime && rng.permille(650) {
            true => commands(rng, self.wishes),
            false => String::new(),
        };
        let door = match (runtime, tcp) {
            (true, _) => RUNTIME_DOOR,
            (_, true) => TCP_DOOR,
            _ => rng.below(2) as usize,
        };
        // The seed has no say, so that those who found something still do.
        let first = ids[0] as usize;
        let (door, introduced, quirk) = match first % 5 {
            3 if !runtime && !tcp => {
                let introduced = match first / 5 % 3 {
                    0 => Introduced::AtOnce,
                    _ => Introduced::InPieces(first * 7 % 35),
                };
                let unkind = [Quirk::Stranger, Quirk::CutHeader, Quirk::Silent];
                let quirk = match quirks && first.is_multiple_of(2) {
                    true => unkind[first / 10 % 3],
                    false => quirk,
                };
                (INTRODUCED_DOOR, introduced, quirk)
            }
            _ => (door, Introduced::No, quirk),
        };
        self.scripts.push(Script {
            door,
            introduced,
            starts_at: rng.below(if runtime { 200 } else { 60 }),
            ids,
            depth: rng.pick(&[1, 1, 2, 8]),
            half_close: rng.permille(100),
            quirk,
            tcp,
            runtime,
            commands,
            last: rng.below(3),
        });
    }

    /// Many at one backend whose servers take one session each: they wait in its queue.
    fn crowd(&mut self, rng: &mut Rng) {
        for _ in 0..rng.between(6, 14) {
            let id = self.plans.len() as u64;
            let mut plan = plan(rng, id, true);
            plan.prefix = "/app1";
            self.plans.push(plan);
            self.scripts.push(Script {
                door: rng.below(2) as usize,
                starts_at: rng.below(10),
                ids: vec![id],
                last: 2,
                ..Script::default()
            });
        }
    }
}

/// A client that nobody planned: one request at an HTTP frontend, or a TCP session.
pub(crate) fn newcomer(rng: &mut Rng) -> (Plan, Script) {
    let mut plan = plan(rng, 0, true);
    plan.shorten();
    let tcp = rng.permille(300);
    if tcp {
        plan.up.get_or_insert(0);
    }
    let script = Script {
        door: if tcp { TCP_DOOR } else { rng.below(2) as usize },
        tcp,
        half_close: rng.permille(100),
        last: rng.below(3),
        ..Script::default()
    };
    (plan, script)
}

/// Somebody who says this on the runtime socket.
pub(crate) fn operator(commands: String) -> (Plan, Script) {
    let mut plan = plan(&mut Rng::new(0), 0, true);
    plan.up = Some(0);
    let script = Script {
        door: RUNTIME_DOOR,
        runtime: true,
        commands,
        ..Script::default()
    };
    (plan, script)
}

/// The doors behind those of the two HTTP frontends.
pub(crate) const TCP_DOOR: usize = 2;
pub(crate) const INTRODUCED_DOOR: usize = 3;
pub(crate) const RUNTIME_DOOR: usize = 4;

/// The servers of each backend, as the configuration numbers them.
pub(crate) const BACKENDS: [std::ops::Range<usize>; 4] = [0..2, 2..3, 3..6, 6..8];

/// One of the servers, as commands name it.
fn named_server(rng: &mut Rng) -> String {
    let backend = rng.below(4) as usize;
    let server = rng.below(BACKENDS[backend].len() as u64);
    format!("b{backend}/s{server}")
}

/// One line for the runtime socket; only in runs that know `wishes` does it change anything.
pub(crate) fn commands(rng: &mut Rng, wishes: bool) -> String {
    let mut line = Vec::new();
    for _ in 0..rng.between(1, 3) {
        let server = named_server(rng);
        let front = rng.below(3);
        let kind = if wishes { rng.below(14) } else { rng.below(5) };
        line.push(match kind {
            0 => rng
                .pick(&[
                    "show stat",
                    "show stat json",
                    "show stat typed",
                    "show info",
                ])
                .to_owned(),
            1 => rng
                .pick(&[
                    "show servers state",
                    "show servers conn",
                    "show errors",
                    "show backend",
                ])
                .to_owned(),
            2 => format!("get weight {server}"),
            3 => "clear counters".to_owned(),
            4 => "clear counters all".to_owned(),
            5 => format!("disable server {server}"),
            6 => format!("enable server {server}"),
            7 | 8 => {
                let state = rng.pick(&["ready", "drain", "maint"]);
                format!("set server {server} state {state}")
            }
            9 => {
                let health = rng.pick(&["up", "down", "stopping"]);
                format!("set server {server} health {health}")
            }
            10 | 11 => {
                let weight = rng.pick(&["0", "1", "7", "256", "50%", "100%"]);
                format!("set weight {server} {weight}")
            }
            12 => format!("disable frontend f{front}"),
            _ => format!("enable frontend f{front}"),
        });
    }
    line.join(";")
}

fn size(rng: &mut Rng) -> u64 {
    let most = rng.pick(&[1, 10, 10, 300, 300, 3_000, 20_000, 60_000, 60_000]);
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
        waits: rng.permille(700),
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
        recovers: id.is_multiple_of(2),
    }
    .fixed(last)
}

impl Plan {
    /// Makes its bodies short, where time is.
    pub(crate) fn shorten(&mut self) {
        self.down = self.down.min(SHORT_BODY);
        self.up = self.up.map(|up| up.min(SHORT_BODY));
    }

    /// Makes a plan say one thing only.
    fn fixed(mut self, last: bool) -> Self {
        // Its answer ends the connection, and what a client sends behind it resets that.
        if self.prefix == "/redirect" && self.up.is_some() && !last {
            self.prefix = "";
        }
        // The seed has no say, so that those who found something still do.
        if self.prefix == "/return" && self.id.is_multiple_of(2) && self.method != "PUT" {
            self.prefix = STATS;
            self.upgrade = false;
            self.up = self.up.filter(|_| self.method == "POST");
            if !last {
                self.up = self.up.map(|up| up.min(POSTED));
            }
            self.status = 200;
            self.framing = Framing::Chunked;
            self.interim = 0;
            self.early = false;
            self.server_closes = false;
        }
        if self.status == 404 && self.id % 3 == 1 {
            // With a challenge that is of its connection.
            self.status = 401;
        }
        if self.minor == 0 {
            self.up_chunk = None;
            self.expect = false;
        }
        self.waits &= self.expect;
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
        no_tube: some(rng, &[0, 0, 300]),
        tubes_max: some(rng, &[0, 1, 2, 64, 64]),
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
        faults.no_memory = some(rng, &[0, 0, 0, 0, 10]);
    }
    faults
}

/// What a server keeps of the connections that nobody uses, and whether it is told of clients. The seed has no say, so that those who
/// found something still do.
fn pool_of(backend: usize, server: usize) -> &'static str {
    match (backend, server) {
        (0, 1) => " pool-max-conn 1 pool-purge-delay 30ms",
        (2, 0) => " send-proxy-v2 proxy-v2-options crc32c",
        (3, 1) => " send-proxy",
        (2, 1) => " pool-max-conn 0",
        (2, 2) => " pool-low-conn 2 pool-purge-delay 300ms",
        _ => "",
    }
}

/// How the servers of a backend are chosen.
fn balance_of(rng: &mut Rng, backend: usize) -> &'static str {
    let of_tcp = [
        "  balance roundrobin\n",
        "  balance static-rr\n",
        "  balance leastconn\n",
        "  balance first\n",
        "  balance random\n",
        "  balance source\n",
        "  balance source\n  hash-type consistent\n  hash-balance-factor 150\n",
    ];
    let of_http = [
        "  balance uri\n",
        "  balance uri depth 1\n  hash-type consistent\n",
        "  balance hdr(user-agent)\n  hash-type consistent\n  hash-balance-factor 110\n",
        "  balance hash path,length\n  hash-type map-based wt6 avalanche\n",
    ];
    match rng.permille(300) && backend != 3 {
        true => rng.pick(&of_http),
        false => rng.pick(&of_tcp),
    }
}

/// What each HTTP frontend does with requests.
fn rules(rng: &Rng) -> String {
    let mut text = format!("  stats uri {STATS}\n  acl app1 path_beg /app1\n");
    text += rng.clone().pick(&[
        "",
        "",
        "",
        "",
        "",
        "  http-request wait-for-body time 2s at-least 20 unless { path_beg /return }\n",
    ]);
    text += "  http-request disable-l7-retry if { path_beg /app2 }\n";
    text += "  http-request set-priority-class req.hdr(x-id),mod(3),sub(1)\n";
    text += "  http-request set-priority-offset req.hdr(x-id),mod(5),mul(7) if { prio_class 0 }\n";
    text += "  http-request deny if { path_beg /deny }\n";
    text += "  http-request redirect location /new if { path_beg /redirect }\n";
    text += "  http-request return status 200 content-type text/plain string \"all well\"";
    text += " if { path_beg /return }\n  use_backend b1 if app1\n";
    text += "  use_backend b2 if { path_beg /app2 }\n  default_backend b0\n";
    text
}

/// Rules that choose a server, one of them by a name that there may not be.
const CHOICES: &str = "  use-server s0 if { path_end 1 3 }
  use-server s%[path,bytes(3,1)] unless { path_end 2 }
";

/// A backend that says nothing of balancing may have one address instead.
fn unbalanced(rng: &mut Rng, backend: usize) -> &'static str {
    let dispatch = match backend {
        2 => "  dispatch 127.0.0.1:9021\n",
        3 => "  dispatch 127.0.0.1:9030\n",
        _ => "",
    };
    rng.pick(&["", dispatch])
}

fn configuration(rng: &mut Rng, sort: &Sort) -> String {
    let mut text = String::from("global\n  log 127.0.0.1:514 local0\n");
    text += "  stats socket /sim.sock level admin\n";
    text += "  external-check\n  insecure-fork-wanted\n";
    text += &format!("  maxconn {}\n", rng.pick(&[2, 20, 100]));
    if let Some(after) = sort.hard_stop_after {
        text += &format!("  hard-stop-after {after}ms\n");
    }
    if rng.permille(400) {
        text += "  tune.bufsize 2048\n  tune.maxrewrite 1024\n";
    }
    text += rng.pick(&["", "  tune.maxaccept 1\n"]);
    text += "defaults base\n  log global\n  timeout connect 500\n  timeout client 3s\n";
    text += "  timeout server 3s\n";
    text += &match sort.short_queue {
        true => format!("  timeout queue {}\n", rng.pick(&[2, 15, 60, 300])),
        // A server may be down for good, and checks go on while a request waits for it.
        false if sort.checks => "  timeout queue 1m\n".to_owned(),
        false => "  timeout queue 1h\n".to_owned(),
    };
    text += rng.pick(&[
        "",
        "  option splice-auto\n",
        "  option splice-request\n",
        "  option splice-response\n",
        "  option splice-request\n  option splice-response\n",
        "  no option splice-auto\n",
    ]);
    text += rng.pick(&["", "", "  option redispatch\n"]);
    text += rng.pick(&["", "", "  option logasap\n"]);
    if sort.abort_on_close {
        text += "  option abortonclose\n";
    }
    text += rng.pick(&["", "", "  retries 1\n", "  retries 0\n"]);
    text += "defaults raw from base\n  mode tcp\n  option tcplog\n";
    text += "defaults web from base\n  mode http\n  option httplog\n  option forwardfor\n";
    text += "  timeout http-request 2s\n  timeout http-keep-alive 2s\n";
    // What is drawn besides leaves the rest of the scenario as it was.
    let mut fork = rng.clone();
    text += fork.pick(&[
        "",
        "",
        "  retry-on all-retryable-errors\n",
        "  retry-on conn-failure empty-response 404\n",
        "  retry-on junk-response response-timeout\n",
    ]);
    if sort.http_close {
        text += "  option httpclose\n";
    } else {
        text += rng.pick(&["", "", "", "  option http-server-close\n"]);
        text += rng.pick(&[
            "",
            "",
            "  http-reuse never\n",
            "  http-reuse always\n",
            "  http-reuse aggressive\n",
        ]);
    }
    for (index, port) in [8001, 8002].into_iter().enumerate() {
        text += &format!("frontend f{index} from web\n  bind 127.0.0.1:{port}\n");
        text += rng.pick(&["", "", "  maxconn 3\n"]);
        text += rng
            .clone()
            .pick(&["", "", "  option contstats\n", "  rate-limit sessions 4\n"]);
        text += rng
            .clone()
            .pick(&["", "  option http-buffer-request\n", ""]);
        text += sort.inspection.of_web;
        text += &rules(rng);
    }
    text += "frontend f2 from raw\n  bind 127.0.0.1:8003\n";
    text += sort.inspection.of_tcp;
    text += rng.pick(&["", "", "  maxconn 3\n"]);
    text += "  default_backend b3\n";
    text += "frontend f3 from web\n  bind 127.0.0.1:8004 accept-proxy\n";
    text += sort.inspection.of_web;
    text += &rules(rng);
    for (backend, servers) in BACKENDS.into_iter().enumerate() {
        let defaults = if backend == 3 { "raw" } else { "web" };
        text += &format!("backend b{backend} from {defaults}\n");
        // What is drawn besides leaves the rest of the scenario as it was.
        let mut fork = rng.clone();
        let balancing = match rng.pick(&["", "  balance roundrobin\n"]) {
            "" => unbalanced(&mut fork, backend),
            _ => balance_of(&mut fork, backend),
        };
        text += balancing;
        if sort.checks && fork.permille(350) {
            text += "  option external-check\n  external-check command /bin/check\n";
        }
        text += match backend {
            0 => sort.inspection.behind_web,
            3 => sort.inspection.behind_tcp,
            _ => "",
        };
        let mut more = Rng::new(fork.clone().next());
        if backend != 3 {
            text += more.pick(&["", "", "", "  option http-buffer-request\n"]);
        }
        let own = more.permille(250) && backend != 3;
        if own {
            text += "  http-reuse never\n";
        }
        text += match more.permille(400) && backend != 3 {
            true => "  option prefer-last-server\n",
            false => "",
        };
        if more.permille(100) && backend != 3 {
            let least = more.pick(&[1, 100, 3_000]);
            text += &format!("  http-request wait-for-body time 2s at-least {least}\n");
        }
        // What `dispatch` gives its sessions to is no server, wherever it is.
        let held_back = more.permille(300) && !balancing.contains("dispatch");
        if backend == 1 {
            text += "  http-request replace-path /app1(/)?(.*) /\\2\n";
            text += "  http-request set-header x-seen yes\n";
            text += "  http-response set-header x-out yes\n";
        }
        text += sort.lines.of_backend(backend);
        if backend == 0 {
            text += sort.sticks.line();
        }
        let mut limit = rng.pick(&["", "", " maxconn 1", " maxconn 2"]);
        if backend == 1 && (sort.short_queue || sort.crowd) {
            limit = " maxconn 1";
        }
        if backend == 0 && sort.sticks == Sticks::No {
            text += fork.pick(&["", CHOICES]);
        }
        for server in 0..servers.len() {
            let port = 9000 + backend * 10 + server;
            text += &format!("  server s{server} 127.0.0.1:{port}{limit}");
            text += pool_of(backend, server);
            text += if (backend, server) == (2, 1) {
                " slowstart 3s"
            } else {
                ""
            };
            if sort.sticks != Sticks::No && backend == 0 {
                text += &format!(" cookie c{server}");
            }
            if sort.few_ports && backend == 1 {
                text += " source 127.0.0.9:20000-20003";
            }
            if sort.checks {
                text += &sort
                    .lines
                    .of_server(backend, server, servers.start + server);
                let tracks = sort.lines.are_on() && backend == 1;
                if held_back && !tracks {
                    text += " first-check-before-traffic";
                }
            }
            text += "\n";
        }
    }
    text
}
