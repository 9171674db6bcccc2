//! The ends behind the fake system, and what they hold against what was planned.
//!
//! Every request carries its number in its path and in a field, and every body is a pattern of that
//! number, so that each end knows at every byte whether it is the right one. What each client came to
//! is kept as [`Outcome`]s, which `judge` holds against the plan and the run's unkindnesses.

use std::collections::BTreeMap;

use crate::scenario::{Mishap, Plan, Quirk, Scenario, Script};
use crate::state::{Core, Event, Far, Faults};
use crate::wire::{Head, Reader, Stage, body};

/// What became of a request, as its client saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    NotSent,
    /// Sent, and not answered yet.
    Open,
    /// The server's answer, to the last byte.
    Answered,
    /// The engine's own, with this status.
    Own(u16),
    /// The head of an answer, and then not all of its body.
    Cut,
    /// The connection ended without an answer.
    Unanswered,
    /// The client did not wait for it.
    Left,
}

pub(crate) struct Client {
    pub(crate) script: Script,
    pub(crate) sock: Option<usize>,
    pub(crate) sent: usize,
    pub(crate) answered: usize,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) over: bool,
    /// An answer said that the connection would close.
    no_more: bool,
    buffer: Vec<u8>,
    current: Option<(Head, Reader)>,
    tunnel: Option<Reader>,
}

/// One connection at a server.
pub(crate) struct Conn {
    server: usize,
    buffer: Vec<u8>,
    body: Option<Reader>,
    id: Option<u64>,
    answered: bool,
    busy: bool,
    tunnel: Option<Reader>,
    ended: bool,
}

pub(crate) struct Model {
    pub(crate) faults: Faults,
    pub(crate) plans: Vec<Plan>,
    pub(crate) clients: Vec<Client>,
    pub(crate) conns: BTreeMap<usize, Conn>,
    /// How often each request reached a server.
    pub(crate) seen: Vec<u32>,
    /// How much of what went up a tunnel has come out of it.
    pub(crate) upped: Vec<u64>,
    pub(crate) idle_close: bool,
    pub(crate) servers_flip: bool,
    pub(crate) may_repeat: bool,
    pub(crate) stop_at: Option<u64>,
    pub(crate) tcp: bool,
}

impl Model {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let faults = scenario.faults;
        let mishaps = scenario.plans.iter().any(|p| p.mishap != Mishap::None);
        let clients = scenario.scripts.into_iter().map(|script| Client {
            outcomes: vec![Outcome::NotSent; script.ids.len()],
            script,
            sock: None,
            sent: 0,
            answered: 0,
            over: false,
            no_more: false,
            buffer: Vec::new(),
            current: None,
            tunnel: None,
        });
        Self {
            faults,
            seen: vec![0; scenario.plans.len()],
            upped: vec![0; scenario.plans.len()],
            plans: scenario.plans,
            clients: clients.collect(),
            conns: BTreeMap::new(),
            idle_close: scenario.idle_close,
            servers_flip: scenario.servers_flip,
            may_repeat: scenario.idle_close || mishaps || faults.server_reset > 0,
            stop_at: scenario.stop_at,
            tcp: scenario.tcp,
        }
    }

    pub(crate) fn begin(&self, core: &mut Core) {
        for (index, client) in self.clients.iter().enumerate() {
            core.at(client.script.starts_at, Event::Open(index));
        }
        if let Some(at) = self.stop_at {
            core.at(at, Event::Signal(oneloop::net::Signal::SoftStop));
        }
        if self.servers_flip {
            for server in 0..core.server_up.len() {
                let down = core.rng.between(1, 200);
                core.at(down, Event::ServerUp(server, false));
                let up = down + core.rng.between(1, 400);
                core.at(up, Event::ServerUp(server, true));
            }
        }
    }

    pub(crate) fn all_over(&self) -> bool {
        self.clients.iter().all(|client| client.over)
    }

    pub(crate) fn door_of(&self, client: usize) -> usize {
        self.clients[client].script.door
    }

    pub(crate) fn on_refused(&mut self, core: &Core, client: usize) {
        core.say(|| format!("client {client} refused"));
        self.clients[client].over = true;
    }

    pub(crate) fn on_open(&mut self, core: &mut Core, client: usize, sock: usize) {
        self.clients[client].sock = Some(sock);
        self.client_acts(core, client);
    }

    /// A client sends what it may send.
    pub(crate) fn client_acts(&mut self, core: &mut Core, index: usize) {
        let client = &mut self.clients[index];
        let Some(sock) = client.sock else { return };
        while !client.over
            && !client.no_more
            && client.sent < client.script.ids.len()
            && client.sent - client.answered < client.script.depth
        {
            let at = client.sent;
            let id = client.script.ids[at];
            let last = at + 1 == client.script.ids.len();
            client.sent += 1;
            client.outcomes[at] = Outcome::Open;
            let plan = &self.plans[id as usize];
            core.say(|| format!("client {index} sends {} {id}", plan.method));
            if client.script.tcp || client.script.runtime {
                return start_tcp(core, client, plan, sock);
            }
            send_request(core, client, plan, sock, last);
        }
    }

    /// Bytes that the engine sent have come.
    pub(crate) fn on_bytes(&mut self, core: &mut Core, sock: usize, bytes: &[u8]) {
        let result = match core.socks[sock].far {
            Far::Client(index) => self.client_reads(core, index, bytes),
            Far::Server(_) => self.server_reads(core, sock, bytes),
            Far::Probe(_) => Err("a check sent bytes".to_owned()),
        };
        if let Err(what) = result {
            core.problem(format!("#{sock} {:?}: {what}", core.socks[sock].far));
        }
    }

    fn client_reads(&mut self, core: &mut Core, index: usize, bytes: &[u8]) -> Result<(), String> {
        let client = &mut self.clients[index];
        if client.over {
            return Ok(());
        }
        client.buffer.extend_from_slice(bytes);
        loop {
            let client = &mut self.clients[index];
            if let Some(tunnel) = &mut client.tunnel {
                let bytes = std::mem::take(&mut client.buffer);
                tunnel.feed(&bytes)?;
                let plan = &self.plans[tunnel.id as usize];
                if tunnel.seen > plan.down {
                    return Err(format!("{} bytes down for {}", tunnel.seen, plan.down));
                }
                if tunnel.seen == plan.down && !bytes.is_empty() && !client.script.half_close {
                    let sock = client.sock.unwrap_or_default();
                    core.far_fin(sock, 1, false);
                }
                return Ok(());
            }
            if let Some((_, reader)) = &mut client.current {
                let taken = reader.feed(&client.buffer)?;
                client.buffer.drain(..taken);
                if !reader.is_over() {
                    return Ok(());
                }
                self.complete(core, index);
                continue;
            }
            let Some(head) = Head::take(&client.buffer) else {
                return Ok(());
            };
            let head = head?;
            client.buffer.drain(..head.len);
            self.on_answer(core, index, head)?;
        }
    }

    fn on_answer(&mut self, core: &mut Core, index: usize, head: Head) -> Result<(), String> {
        let client = &mut self.clients[index];
        if client.answered >= client.sent {
            return Err(format!("an answer that nobody asked for: {}", head.line));
        }
        let id = client.script.ids[client.answered];
        let plan = &self.plans[id as usize];
        let status: u16 = head
            .line
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| format!("no status: {}", head.line))?;
        if status == 103 && plan.interim > 0 && plan.minor == 1 {
            return Ok(());
        }
        let Some(named) = head.get("x-id") else {
            if !matches!(status, 400 | 408 | 502 | 503 | 504) && plan.ruled() != Some(status) {
                return Err(format!("answer without a number: {head:?}"));
            }
            let mut stage = head.framing(Stage::UntilClose)?;
            if plan.method == "HEAD" && !matches!(status, 400 | 408) {
                stage = Stage::Over;
            }
            let mut reader = Reader::new(stage, id, false);
            reader.unchecked = true;
            client.current = Some((head, reader));
            return Ok(());
        };
        if named != id.to_string() || status != plan.status {
            return Err(format!("{} of {named} to request {id}", head.line));
        }
        if (head.get("x-out").is_some()) != (plan.prefix == "/app1") {
            return Err(format!("rules of another backend in the answer to {id}"));
        }
        if plan.upgrade {
            let sock = client.sock.unwrap_or_default();
            client.tunnel = Some(Reader::new(Stage::UntilClose, id, false));
            core.transmit(sock, &body(id, true, plan.up.unwrap_or_default()));
            if client.script.half_close || plan.down == 0 {
                core.far_fin(sock, 0, false);
            }
            return Ok(());
        }
        let stage = match (plan.method, plan.status) {
            ("HEAD", _) | (_, 204 | 304) => Stage::Over,
            _ => head.framing(Stage::UntilClose)?,
        };
        client.current = Some((head, Reader::new(stage, id, false)));
        Ok(())
    }

    /// The answer under way has come whole.
    fn complete(&mut self, core: &mut Core, index: usize) {
        let client = &mut self.clients[index];
        let Some((head, reader)) = client.current.take() else {
            return;
        };
        let plan = &self.plans[reader.id as usize];
        let status = head
            .line
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok());
        let bodiless = plan.method == "HEAD" || plan.down == 0;
        client.outcomes[client.answered] = match reader.unchecked {
            true => Outcome::Own(status.unwrap_or_default()),
            false => Outcome::Answered,
        };
        if !reader.unchecked && !bodiless && reader.seen != plan.down {
            let (id, seen) = (plan.id, reader.seen);
            core.problem(format!("answer to {id} has {seen} bytes for {}", plan.down));
        }
        client.answered += 1;
        client.no_more |= head.closes() || plan.minor == 0;
        core.say(|| format!("client {index} has its answer to {}", reader.id));
        let Some(sock) = client.sock else { return };
        if client.answered < client.script.ids.len() {
            let think = core.rng.pick(&[0, 0, 1, 20]);
            return core.at(think, Event::ClientAct(index));
        }
        match client.script.last {
            _ if client.no_more || client.script.half_close => {}
            0 => {
                let delay = core.rng.between(0, 5);
                core.far_fin(sock, delay, true);
                client.over = true;
            }
            1 => {
                core.far_reset(sock, 1);
                client.over = true;
            }
            _ => {}
        }
    }

    /// A request, or bytes of a tunnel, at a server.
    fn server_reads(&mut self, core: &mut Core, sock: usize, bytes: &[u8]) -> Result<(), String> {
        let Some(conn) = self.conns.get_mut(&sock) else {
            return Err("bytes before the connection".to_owned());
        };
        conn.buffer.extend_from_slice(bytes);
        loop {
            let Some(conn) = self.conns.get_mut(&sock) else {
                return Ok(());
            };
            if conn.buffer.is_empty() {
                return Ok(());
            }
            if let Some(tunnel) = &mut conn.tunnel {
                let bytes = std::mem::take(&mut conn.buffer);
                tunnel.feed(&bytes)?;
                self.upped[tunnel.id as usize] = tunnel.seen;
                return Ok(());
            }
            if let Some(reader) = &mut conn.body {
                let taken = reader.feed(&conn.buffer)?;
                conn.buffer.drain(..taken);
                if reader.is_over() {
                    conn.body = None;
                    if !conn.answered {
                        self.answer(core, sock);
                    }
                }
                continue;
            }
            if self.tcp {
                if !self.on_hello(core, sock)? {
                    return Ok(());
                }
                continue;
            }
            let Some(head) = Head::take(&conn.buffer) else {
                return Ok(());
            };
            let head = head?;
            conn.buffer.drain(..head.len);
            self.on_request(core, sock, &head)?;
        }
    }

    fn on_request(&mut self, core: &mut Core, sock: usize, head: &Head) -> Result<(), String> {
        let Some(conn) = self.conns.get_mut(&sock) else {
            return Ok(());
        };
        if conn.busy || core.now < core.socks[sock].data_at {
            return Err(format!("a second request on its way: {}", head.line));
        }
        let id = head
            .id()
            .ok_or_else(|| format!("no number: {}", head.line))?;
        let Some(plan) = self.plans.get(id as usize) else {
            return Err(format!("unknown request: {}", head.line));
        };
        let kept = if plan.prefix == "/app1" {
            ""
        } else {
            plan.prefix
        };
        // Each hop speaks its own version.
        let line = format!("{} {kept}/r/{id} HTTP/1.1", plan.method);
        let backend = match plan.prefix {
            "/app1" => 2..3,
            "/app2" => 3..6,
            _ => 0..2,
        };
        if head.line != line
            || head.get("x-id") != Some(&id.to_string())
            || head.get("x-seen").is_some() != (plan.prefix == "/app1")
            || head.get("x-forwarded-for").is_none()
            || !backend.contains(&conn.server)
        {
            return Err(format!("not what was asked ({line}): {head:?}"));
        }
        self.seen[id as usize] += 1;
        let seen = self.seen[id as usize];
        let repeatable = plan.method != "POST" && (plan.up.unwrap_or(0) == 0 || plan.upgrade);
        if seen > 1 && !(self.may_repeat && repeatable) {
            return Err(format!("request {id} came {seen} times"));
        }
        conn.busy = true;
        conn.answered = false;
        conn.id = Some(id);
        let reader = Reader::new(head.framing(Stage::Over)?, id, true);
        let whole = reader.is_over();
        conn.body = (!whole).then_some(reader);
        if whole || plan.early {
            conn.answered = true;
            let delay = core.rng.pick(&[0, 0, 1, 5, 30]);
            core.at(delay, Event::ServerAct(sock));
        }
        Ok(())
    }

    fn answer(&mut self, core: &mut Core, sock: usize) {
        if let Some(conn) = self.conns.get_mut(&sock) {
            conn.answered = true;
            let delay = core.rng.pick(&[0, 0, 1, 5, 30]);
            core.at(delay, Event::ServerAct(sock));
        }
    }

    /// The first line of a TCP session; false while it has not come.
    fn on_hello(&mut self, core: &mut Core, sock: usize) -> Result<bool, String> {
        let Some(conn) = self.conns.get_mut(&sock) else {
            return Ok(false);
        };
        let Some(end) = conn.buffer.iter().position(|byte| *byte == b'\n') else {
            return Ok(false);
        };
        let line: Vec<u8> = conn.buffer.drain(..=end).collect();
        let text = String::from_utf8_lossy(&line);
        let id = text
            .trim()
            .strip_prefix("T ")
            .and_then(|word| word.parse::<u64>().ok());
        let id = id.filter(|id| (*id as usize) < self.plans.len());
        let id = id.ok_or_else(|| format!("hello {text:?}"))?;
        conn.id = Some(id);
        self.seen[id as usize] += 1;
        start_server_tunnel(core, conn, &self.plans[id as usize], sock);
        Ok(true)
    }

    /// The time has come for a server's answer.
    pub(crate) fn server_acts(&mut self, core: &mut Core, sock: usize) {
        let Some(conn) = self.conns.get_mut(&sock) else {
            return;
        };
        let Some(id) = conn.id else { return };
        let plan = &self.plans[id as usize];
        conn.busy = false;
        let answer = plan.answer();
        core.say(|| format!("#{sock} server answers {id}, {:?}", plan.mishap));
        match plan.mishap {
            Mishap::None => {
                core.transmit(sock, &answer);
                if plan.upgrade {
                    return start_server_tunnel(core, conn, plan, sock);
                }
                if plan.server_closes || plan.framing == crate::scenario::Framing::UntilClose {
                    let delay = core.rng.pick(&[0, 0, 3]);
                    core.far_fin(sock, delay, true);
                } else if self.idle_close && !plan.early && core.rng.permille(300) {
                    let delay = core.rng.between(0, 40);
                    core.far_fin(sock, delay, true);
                }
            }
            Mishap::CloseUnanswered => core.far_fin(sock, 0, true),
            Mishap::ResetUnanswered => core.far_reset(sock, 0),
            Mishap::Cut(share, by_reset) => {
                let most = answer.len() as u64 - 1;
                let len = (answer.len() as u64 * share / 1000).min(most);
                core.transmit(sock, &answer[..len as usize]);
                if by_reset {
                    core.far_reset(sock, 1);
                } else {
                    core.far_fin(sock, 1, true);
                }
            }
            Mishap::Garbage => core.transmit(sock, b"lorem ipsum dolor\r\n\r\n"),
            Mishap::Silence => {}
        }
    }

    pub(crate) fn on_connected(&mut self, core: &Core, sock: usize) {
        if let Far::Server(server) = core.socks[sock].far {
            let conn = Conn {
                server,
                buffer: Vec::new(),
                body: None,
                id: None,
                answered: false,
                busy: false,
                tunnel: None,
                ended: false,
            };
            self.conns.insert(sock, conn);
        }
    }

    /// The engine has ended its side, or (`whole`) closed.
    pub(crate) fn on_end(&mut self, core: &mut Core, sock: usize, whole: bool) {
        match core.socks[sock].far {
            Far::Client(index) => {
                self.client_ended(core, index, true);
                if !whole {
                    let delay = core.rng.between(0, 3);
                    core.far_fin(sock, delay, true);
                }
            }
            Far::Server(_) => {
                if let Some(conn) = self.conns.get_mut(&sock) {
                    conn.ended = true;
                    if conn.tunnel.is_some() && !whole {
                        core.far_fin(sock, 0, false);
                    }
                }
            }
            Far::Probe(_) => {}
        }
    }

    /// The connection has broken.
    pub(crate) fn on_gone(&mut self, core: &mut Core, sock: usize) {
        match core.socks[sock].far {
            Far::Client(index) => self.client_ended(core, index, false),
            Far::Server(_) | Far::Probe(_) => {
                self.conns.remove(&sock);
            }
        }
    }

    fn client_ended(&mut self, core: &mut Core, index: usize, in_order: bool) {
        let client = &mut self.clients[index];
        if client.over {
            return;
        }
        core.say(|| format!("client {index} sees the end, in order: {in_order}"));
        if let Some(tunnel) = &client.tunnel {
            let whole = tunnel.seen == self.plans[tunnel.id as usize].down;
            client.outcomes[client.answered] = match whole {
                true => Outcome::Answered,
                false => Outcome::Cut,
            };
            client.answered += 1;
        } else if let Some((_, reader)) = &client.current {
            let down = self.plans[reader.id as usize].down;
            let until_close = reader.stage == Stage::UntilClose;
            let whole = in_order && until_close && (reader.unchecked || reader.seen == down);
            if whole {
                self.complete(core, index);
            } else {
                client.outcomes[client.answered] = Outcome::Cut;
                client.answered += 1;
            }
        }
        let client = &mut self.clients[index];
        client.over = true;
        for outcome in &mut client.outcomes {
            if *outcome == Outcome::Open {
                *outcome = Outcome::Unanswered;
            }
        }
    }
}

fn start_tcp(core: &mut Core, client: &mut Client, plan: &Plan, sock: usize) {
    let mut bytes = format!("T {}\n", plan.id).into_bytes();
    bytes.extend(body(plan.id, true, plan.up.unwrap_or_default()));
    if client.script.runtime {
        bytes = format!("say {} {}\n", plan.id, plan.down).into_bytes();
    }
    client.tunnel = Some(Reader::new(Stage::UntilClose, plan.id, false));
    core.transmit(sock, &bytes);
    match client.script.quirk {
        Quirk::BreaksOff | Quirk::Leaves => {
            core.far_reset(sock, 2);
            leave(client);
        }
        Quirk::StopsReading => {
            core.socks[sock].stalled = true;
            leave(client);
        }
        // A runtime connection that has ended its side may be closed unanswered.
        _ if client.script.runtime => {}
        _ if client.script.half_close || plan.down == 0 => core.far_fin(sock, 0, false),
        _ => {}
    }
}

fn start_server_tunnel(core: &mut Core, conn: &mut Conn, plan: &Plan, sock: usize) {
    conn.tunnel = Some(Reader::new(Stage::UntilClose, plan.id, true));
    core.transmit(sock, &body(plan.id, false, plan.down));
    // A server that ends an upgraded connection ends it whole; in TCP mode it ends its half.
    if !plan.upgrade && core.rng.permille(300) {
        core.far_fin(sock, 1, false);
    }
}

fn leave(client: &mut Client) {
    client.over = true;
    for outcome in &mut client.outcomes {
        if *outcome == Outcome::Open {
            *outcome = Outcome::Left;
        }
    }
}

fn send_request(core: &mut Core, client: &mut Client, plan: &Plan, sock: usize, last: bool) {
    let bytes = plan.request();
    let head = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or(0);
    let quirk = if last {
        client.script.quirk
    } else {
        Quirk::None
    };
    match quirk {
        Quirk::None => core.transmit(sock, &bytes),
        Quirk::StallsInHead | Quirk::EndsInHead => {
            let cut = core.rng.between(1, head as u64) as usize;
            core.transmit(sock, &bytes[..cut]);
            if quirk == Quirk::EndsInHead {
                core.far_fin(sock, 1, false);
            }
            return;
        }
        Quirk::Garbage => return core.transmit(sock, b"\x01 \x02\r\nno: head\r\n\r\n"),
        Quirk::BreaksOff => {
            let cut = core.rng.between(1, bytes.len() as u64) as usize;
            core.transmit(sock, &bytes[..cut]);
            core.far_reset(sock, 1);
            return leave(client);
        }
        Quirk::Leaves => {
            core.transmit(sock, &bytes);
            core.far_fin(sock, 0, true);
            return leave(client);
        }
        Quirk::StopsReading => {
            core.transmit(sock, &bytes);
            core.socks[sock].stalled = true;
            return leave(client);
        }
    }
    if last && client.script.half_close && !plan.upgrade {
        core.far_fin(sock, 0, false);
    }
}
