//! The ends behind the fake system, and what they hold against what was planned.
//!
//! Every request carries its number in its path and in a field, and every body is a pattern of that
//! number, so that each end knows at every byte whether it is the right one. What each client came to
//! is kept as [`Outcome`]s, which `judge` holds against the plan and the run's unkindnesses.

use std::collections::BTreeMap;

use super::inspection::Inspection;
use super::introduction::{self, Introduced};
use super::probes::Probes;
use super::scenario::{BACKENDS, Framing, Mishap, Plan, Quirk, Scenario, Script};
use super::state::{Core, Event, Far, Faults};
use super::sticks::{Sticks, is_bound};
use super::wire::{Head, Reader, Stage, body};

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
    /// The door was closed before the engine let it in.
    pub(crate) turned_away: bool,
    /// An answer said that the connection would close.
    no_more: bool,
    buffer: Vec<u8>,
    current: Option<(Head, Reader)>,
    tunnel: Option<Reader>,
    /// The body of a request whose 100 is waited for.
    held: Vec<u8>,
    /// The rest of its header; nothing else is sent before.
    header: Vec<u8>,
    /// It will never say more than it has.
    mute: bool,
    /// What it was told to come back with.
    cookie: Option<String>,
}

impl Client {
    fn new(script: Script) -> Self {
        Self {
            outcomes: vec![Outcome::NotSent; script.ids.len()],
            script,
            sock: None,
            sent: 0,
            answered: 0,
            over: false,
            turned_away: false,
            no_more: false,
            buffer: Vec::new(),
            current: None,
            tunnel: None,
            held: Vec::new(),
            header: Vec::new(),
            mute: false,
            cookie: None,
        }
    }

    /// An answer has said that it is the last on its connection.
    pub(crate) fn is_told_to_leave(&self) -> bool {
        self.no_more
    }
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
    /// How many requests it has answered, and whether the last answer was whole.
    served: u32,
    whole: bool,
    /// The client whose own it is.
    owner: Option<usize>,
    /// Whom the header of the connection named.
    told: Option<oneloop::base::addr::Address>,
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
    /// What a server fails is sent once more.
    pub(crate) repeats: bool,
    /// Rules about contents.
    pub(crate) inspection: Inspection,
    /// A connection to a server may break at any moment.
    pub(crate) may_break: bool,
    /// Where each request was answered last, and what cookie it came with.
    answered_at: Vec<usize>,
    sent_with: Vec<Option<String>>,
    sticks: Sticks,
    /// Of each server, whether clients have connections of their own to it (`http-reuse never`).
    pub(crate) own_connections: Vec<bool>,
    probes: Probes,
    signals: Vec<(u64, oneloop::net::Signal)>,
    jumps: Vec<(u64, u64)>,
}

impl Model {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let faults = scenario.faults;
        let mishaps = scenario.plans.iter().any(|p| p.mishap != Mishap::None);
        let clients = scenario.scripts.into_iter().enumerate();
        let clients = clients.map(|(index, script)| Client {
            cookie: scenario.sticks.brought(index),
            ..Client::new(script)
        });
        Self {
            faults,
            seen: vec![0; scenario.plans.len()],
            upped: vec![0; scenario.plans.len()],
            clients: clients.collect(),
            conns: BTreeMap::new(),
            idle_close: scenario.idle_close,
            servers_flip: scenario.servers_flip,
            may_repeat: scenario.idle_close
                || mishaps
                || scenario.repeats
                || faults.server_reset > 0
                || faults.no_memory > 0,
            may_break: faults.server_reset > 0 || faults.no_memory > 0 || scenario.shuts,
            answered_at: vec![usize::MAX; scenario.plans.len()],
            sent_with: vec![None; scenario.plans.len()],
            sticks: scenario.sticks,
            own_connections: Vec::new(),
            probes: Probes::default(),
            repeats: scenario.repeats,
            inspection: scenario.inspection,
            signals: scenario.signals,
            jumps: scenario.jumps,
            plans: scenario.plans,
        }
    }

    pub(crate) fn begin(&self, core: &mut Core) {
        for (index, client) in self.clients.iter().enumerate() {
            core.at(client.script.starts_at, Event::Open(index));
        }
        for (at, signal) in &self.signals {
            core.at(*at, Event::Signal(*signal));
        }
        for (at, longer) in &self.jumps {
            core.at(*at, Event::Jump(*longer));
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

    /// A client that nobody planned comes.
    pub(crate) fn join(&mut self, core: &mut Core, (mut plan, mut script): (Plan, Script)) {
        plan.id = self.plans.len() as u64;
        script.ids = vec![plan.id];
        self.plans.push(plan);
        self.seen.push(0);
        self.upped.push(0);
        self.answered_at.push(usize::MAX);
        self.sent_with.push(None);
        core.at(0, Event::Open(self.clients.len()));
        self.clients.push(Client::new(script));
    }

    /// A client's side has ended: what it had still to send never comes.
    pub(crate) fn says_no_more(&mut self, client: usize) {
        self.clients[client].no_more = true;
        self.clients[client].held.clear();
    }

    /// A client waits for nothing any more.
    pub(crate) fn leaves(&mut self, client: usize) {
        leave(&mut self.clients[client]);
    }

    pub(crate) fn is_between_requests(&self, client: usize) -> bool {
        let client = &self.clients[client];
        client.sent == client.answered && client.tunnel.is_none() && !client.no_more
    }

    pub(crate) fn has_asked_nothing(&self, client: usize) -> bool {
        self.clients[client].sent == 0
    }

    /// A server sends and reads nothing more on this connection.
    pub(crate) fn server_leaves(&mut self, sock: usize) {
        if let Some(conn) = self.conns.get_mut(&sock) {
            conn.id = None;
        }
    }

    /// The last answer on this connection of a server is no part of one.
    pub(crate) fn server_is_whole(&self, sock: usize) -> bool {
        self.conns.get(&sock).is_none_or(|conn| conn.whole)
    }

    /// Nothing is under way on this connection of a server.
    pub(crate) fn server_is_idle(&self, sock: usize) -> bool {
        let conn = self.conns.get(&sock);
        let http = |conn: &&Conn| !BACKENDS[3].contains(&conn.server);
        let conn = conn.filter(http);
        let rests = |conn: &Conn| !conn.busy && conn.body.is_none() && conn.tunnel.is_none();
        conn.is_some_and(|conn| rests(conn) && conn.whole)
    }

    pub(crate) fn all_over(&self) -> bool {
        self.clients.iter().all(|client| client.over)
    }

    pub(crate) fn door_of(&self, client: usize) -> usize {
        self.clients[client].script.door
    }

    /// The clients that are not done.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        let clients = self.clients.iter().enumerate();
        let waiting = clients.filter(|(_, client)| !client.over);
        waiting.map(|(index, _)| index).collect()
    }

    /// Some client waits for something just now.
    pub(crate) fn is_busy(&self) -> bool {
        let waits = |client: &Client| client.sent > client.answered && !client.over;
        self.clients.iter().any(waits)
    }

    pub(crate) fn on_refused(&mut self, core: &mut Core, client: usize) {
        core.reach("refused: at the door");
        core.say(|| format!("client {client} refused"));
        self.clients[client].over = true;
        self.clients[client].turned_away = true;
    }

    pub(crate) fn on_open(&mut self, core: &mut Core, client: usize, sock: usize) {
        self.clients[client].sock = Some(sock);
        self.begins(core, client, sock);
        self.client_acts(core, client);
    }

    /// A client says who it is, if it is at the door for that.
    fn begins(&mut self, core: &mut Core, index: usize, sock: usize) {
        let client = &mut self.clients[index];
        let (first, rest) = introduction::pieces(&client.script, index);
        match client.script.quirk {
            Quirk::Stranger => return core.reach("introduction: a stranger"),
            Quirk::Silent => {
                client.mute = true;
                return core.reach("introduction: none");
            }
            Quirk::CutHeader => {
                client.mute = true;
                core.transmit(sock, &first[..first.len() / 2]);
                core.far_fin(sock, 0, false);
                return core.reach("introduction: cut short");
            }
            _ => {}
        }
        if client.script.introduced != Introduced::No {
            core.transmit(sock, &first);
            core.reach("introduction: a header");
        }
        if !rest.is_empty() {
            client.header = rest;
            core.at(3, Event::Introduce(index));
        }
    }

    /// The rest of a client's header follows.
    pub(crate) fn client_introduces(&mut self, core: &mut Core, index: usize) {
        let client = &mut self.clients[index];
        let rest = std::mem::take(&mut client.header);
        let Some(sock) = client.sock.filter(|_| !client.over) else {
            return;
        };
        core.transmit(sock, &rest);
        core.reach("introduction: in pieces");
        self.client_acts(core, index);
    }

    /// The client whose request this is, as servers are to be told of it.
    fn source_of(&self, id: u64) -> Option<(usize, oneloop::base::addr::Address)> {
        let mut clients = self.clients.iter().enumerate();
        let (index, client) = clients.find(|(_, client)| client.script.ids.contains(&id))?;
        let sock = client.sock?;
        Some((index, introduction::source_of(&client.script, index, sock)))
    }

    /// A server holds the client of a request against what it was told.
    fn hold_source(&self, sock: usize, id: u64) -> Result<(), String> {
        let told = self.conns.get(&sock).and_then(|conn| conn.told);
        match (told, self.source_of(id)) {
            (Some(said), Some((_, is))) => introduction::hold(said, is, &self.plans[id as usize]),
            _ => Ok(()),
        }
    }

    /// A server that knows a client by its connection is asked by nobody else on it.
    fn hold_owner(
        &mut self,
        core: &mut Core,
        sock: usize,
        client: Option<usize>,
    ) -> Result<(), String> {
        let (Some(conn), Some(client)) = (self.conns.get_mut(&sock), client) else {
            return Ok(());
        };
        match conn.owner {
            Some(owner) if owner == client => core.reach("last server: come back to"),
            Some(owner) => return Err(format!("client {client} on a connection of {owner}")),
            None if self.own_connections[conn.server] => conn.owner = Some(client),
            None => {}
        }
        Ok(())
    }

    /// A client sends what it may send.
    pub(crate) fn client_acts(&mut self, core: &mut Core, index: usize) {
        let client = &mut self.clients[index];
        let Some(sock) = client.sock else { return };
        while !client.over
            && !client.mute
            && client.header.is_empty()
            && !client.no_more
            && client.held.is_empty()
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
                start_tcp(core, client, plan, sock);
                return self.note_commands(core, index);
            }
            if client.sent - client.answered > 1 {
                core.reach("pipelining: a request behind another");
            }
            let cookie = client.cookie.clone().filter(|_| is_bound(plan));
            let bytes = plan.request(cookie.as_deref());
            self.sent_with[id as usize] = cookie;
            send_request(core, client, plan, sock, (bytes, last));
        }
    }

    fn note_commands(&self, core: &mut Core, index: usize) {
        let line = &self.clients[index].script.commands;
        let waits = |client: &Client| client.answered < client.sent && !client.script.runtime;
        if !line.is_empty() && self.clients.iter().any(waits) {
            core.reach("command: in the middle of a request");
        }
        for command in line.split(';') {
            core.reach(match command.split(' ').collect::<Vec<_>>()[..] {
                ["enable" | "disable", "server", ..] => "command: server state",
                ["set", "server", _, "state", ..] => "command: server state",
                ["set", "server", _, "health", ..] => "command: server health",
                ["set", "weight", ..] => "command: weight",
                ["disable", "frontend", ..] => "command: frontend off",
                ["enable", "frontend", ..] => "command: frontend on",
                ["clear", ..] => "command: clear counters",
                ["show" | "get", ..] => "command: show",
                _ => continue,
            });
        }
    }

    /// A client has waited long enough to send its body.
    pub(crate) fn client_sends_body(&mut self, core: &mut Core, index: usize) {
        let client = &mut self.clients[index];
        let body = std::mem::take(&mut client.held);
        let Some(sock) = client.sock.filter(|_| !client.over && !body.is_empty()) else {
            return;
        };
        core.transmit(sock, &body);
        let at = client.sent - 1;
        let plan = &self.plans[client.script.ids[at] as usize];
        if client.script.half_close && client.sent == client.script.ids.len() && !plan.upgrade {
            core.far_fin(sock, 0, false);
        }
        self.client_acts(core, index);
    }

    /// Bytes that the engine sent have come.
    pub(crate) fn on_bytes(&mut self, core: &mut Core, sock: usize, bytes: &[u8]) {
        let result = match core.socks[sock].far {
            Far::Client(index) => self.client_reads(core, index, bytes),
            Far::Server(_) => self.server_reads(core, sock, bytes),
            Far::Probe(server) => self.probes.on_bytes(core, sock, server, bytes),
            Far::Agent(_) => Err("an agent is told something".to_owned()),
            Far::Program(_) => Err("a program is told something".to_owned()),
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
                if tunnel.unchecked {
                    tunnel.seen = client.buffer.len() as u64;
                    return Ok(());
                }
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
            core.reach("interim: passed on");
            return Ok(());
        }
        if status == 100 && plan.expect {
            core.reach("continue: asked for and given");
            self.client_sends_body(core, index);
            return Ok(());
        }
        if !client.held.is_empty() {
            core.reach("continue: asked for and not given");
            core.at(0, Event::Body(index));
        }
        let plan = &self.plans[id as usize];
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
        if let Some(value) = self.sticks.judge(
            core,
            &head,
            (plan, &self.sent_with[id as usize]),
            self.answered_at[id as usize],
        )? {
            client.cookie = Some(value);
        }
        if plan.upgrade {
            core.reach("tunnel: upgrade");
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
        match stage {
            Stage::UntilClose => core.reach("framing: until the close"),
            Stage::Size(_) => core.reach("framing: chunks down"),
            _ => {}
        }
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
            if introduction::is_told(conn.server) && conn.told.is_none() {
                conn.told = introduction::take(&mut conn.buffer)?;
                if conn.told.is_none() {
                    return Ok(());
                }
                core.reach("introduction: at a server");
                continue;
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
            if BACKENDS[3].contains(&conn.server) {
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
        let client = self.source_of(id).map(|(index, _)| index);
        self.hold_owner(core, sock, client)?;
        let Some(plan) = self.plans.get(id as usize) else {
            return Err(format!("unknown request: {}", head.line));
        };
        self.hold_source(sock, id)?;
        let seen = self.source_of(id).map(|(_, source)| source.ip());
        let forwarded = head.get("x-forwarded-for").and_then(|ip| ip.parse().ok());
        if seen.flatten() != forwarded {
            return Err(format!("{seen:?} is forwarded as {forwarded:?}"));
        }
        let Some(conn) = self.conns.get_mut(&sock) else {
            return Ok(());
        };
        let kept = if plan.prefix == "/app1" {
            ""
        } else {
            plan.prefix
        };
        // Each hop speaks its own version.
        let line = format!("{} {kept}/r/{id} HTTP/1.1", plan.method);
        let backend = match plan.prefix {
            "/app1" => BACKENDS[1].clone(),
            "/app2" => BACKENDS[2].clone(),
            _ => BACKENDS[0].clone(),
        };
        if head.line != line
            || head.get("x-id") != Some(&id.to_string())
            || head.get("x-seen").is_some() != (plan.prefix == "/app1")
            || head.get("x-forwarded-for").is_none()
            || !backend.contains(&conn.server)
        {
            return Err(format!("not what was asked ({line}): {head:?}"));
        }
        if self.sticks != Sticks::No && head.get("cookie").is_some() {
            return Err(format!("request {id} came with its cookie"));
        }
        self.answered_at[id as usize] = conn.server;
        self.seen[id as usize] += 1;
        let seen = self.seen[id as usize];
        let bodiless = plan.up.unwrap_or(0) == 0 || plan.upgrade;
        // A rule of `/app2` forbids it.
        let repeatable =
            plan.method != "POST" && (bodiless || self.repeats) && plan.prefix != "/app2";
        if seen > 1 && !bodiless {
            core.reach("pooled: a request sent again with its body");
        }
        if seen > 1 {
            core.reach("pooled: a request sent again");
        }
        if seen > 1 && !(self.may_repeat && repeatable) {
            return Err(format!("request {id} came {seen} times"));
        }
        conn.busy = true;
        conn.answered = false;
        conn.id = Some(id);
        let reader = Reader::new(head.framing(Stage::Over)?, id, true);
        let whole = reader.is_over();
        if matches!(reader.stage, Stage::Size(_)) {
            core.reach("framing: chunks up");
        }
        if !whole && plan.expect && !plan.early && core.rng.permille(700) {
            core.transmit(sock, b"HTTP/1.1 100 Continue\r\n\r\n");
        }
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
        self.hold_source(sock, id)?;
        let Some(conn) = self.conns.get_mut(&sock) else {
            return Ok(false);
        };
        conn.id = Some(id);
        core.reach("tunnel: TCP");
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
        let recovered = self.repeats && plan.recovers && self.seen[id as usize] > 1;
        let mishap = match recovered {
            true => Mishap::None,
            false => plan.mishap,
        };
        if mishap != plan.mishap {
            core.reach("pooled: answered at another attempt");
        }
        conn.busy = false;
        conn.served += 1;
        conn.whole = mishap == Mishap::None;
        let answer = plan.answer();
        core.say(|| format!("#{sock} server answers {id}, {mishap:?}"));
        match mishap {
            Mishap::None => {
                core.transmit(sock, &answer);
                if plan.status == 401 {
                    let mut clients = self.clients.iter();
                    conn.owner = clients.position(|client| client.script.ids.contains(&id));
                    core.reach("last server: a challenge");
                }
                if plan.upgrade {
                    return start_server_tunnel(core, conn, plan, sock);
                }
                if plan.server_closes || plan.framing == Framing::UntilClose {
                    let delay = core.rng.pick(&[0, 0, 3]);
                    core.far_fin(sock, delay, true);
                } else if self.idle_close && !plan.early && core.rng.permille(300) {
                    let delay = core.rng.between(0, 40);
                    match core.rng.permille(700) {
                        true => core.far_fin(sock, delay, true),
                        false => core.in_order(sock, delay, Event::IdleReset(sock)),
                    }
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
            Mishap::Stalls(share) => {
                let most = answer.len() as u64 - 1;
                let len = (answer.len() as u64 * share / 1000).min(most);
                core.transmit(sock, &answer[..len as usize]);
            }
            Mishap::Mangled => {
                let mut answer = answer;
                let body = Plan::head_len(&answer);
                // The size of the last chunk.
                let last = answer[body..].iter().rposition(|byte| *byte == b'0');
                let in_chunks =
                    plan.framing == Framing::Chunked && plan.method != "HEAD" && !plan.upgrade;
                match last.filter(|_| in_chunks) {
                    Some(at) => answer[body + at] = b'~',
                    None => answer.truncate(9),
                }
                core.transmit(sock, &answer);
                core.far_fin(sock, 30, true);
            }
            Mishap::Garbage => core.transmit(sock, b"lorem ipsum dolor\r\n\r\n"),
            Mishap::Silence => {}
        }
    }

    pub(crate) fn on_connected(&mut self, core: &mut Core, sock: usize) {
        if matches!(core.socks[sock].far, Far::Probe(_) | Far::Agent(_)) {
            self.probes.on_connected(core, sock);
        }
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
                served: 0,
                whole: true,
                owner: None,
                told: None,
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
                        core.reach("half-close: a client in a tunnel");
                        core.far_fin(sock, 0, false);
                    }
                }
            }
            Far::Probe(_) | Far::Program(_) | Far::Agent(_) => {}
        }
    }

    /// What the reset of a connection by its far end comes in the middle of.
    pub(crate) fn note_reset(&self, core: &mut Core, sock: usize) {
        let received = core.socks[sock].received;
        let what = match core.socks[sock].far {
            Far::Probe(_) | Far::Program(_) | Far::Agent(_) => return,
            Far::Client(index) => {
                let client = &self.clients[index];
                if client.script.runtime || client.script.tcp {
                    return;
                }
                let answering = client.current.is_some() || !core.socks[sock].outbound.is_empty();
                match client.answered {
                    _ if answering => "reset: a client in its answer",
                    0 if received == 0 => "reset: a client before its request",
                    _ if self.asked(client) => "reset: a client that waits for its answer",
                    answered if answered == client.sent => "reset: a client between two requests",
                    _ => "reset: a client in its request",
                }
            }
            Far::Server(_) => match self.conns.get(&sock) {
                None => return,
                Some(conn) if conn.tunnel.is_some() => "reset: a server in a tunnel",
                Some(conn) if conn.id.is_none() => "reset: a server before its request",
                Some(conn) if conn.busy => "reset: a server before its answer",
                Some(_) if received < core.socks[sock].transmitted => {
                    "reset: a server in its answer"
                }
                Some(_) => "reset: a server between two requests",
            },
        };
        core.reach(what);
    }

    /// The request that the client waits for has come to a server.
    fn asked(&self, client: &Client) -> bool {
        let id = client.script.ids.get(client.answered);
        id.is_some_and(|id| self.seen[*id as usize] > 0)
    }

    /// The engine has sent something to a server that has gone already.
    pub(crate) fn note_dead(&self, core: &mut Core, sock: usize) {
        let conn = self.conns.get(&sock);
        if conn.is_some_and(|conn| conn.served > 0 && !conn.busy && conn.tunnel.is_none()) {
            core.reach("pooled: dead as it was taken");
        }
    }

    /// The connection has broken.
    pub(crate) fn on_gone(&mut self, core: &mut Core, sock: usize) {
        match core.socks[sock].far {
            Far::Client(index) => self.client_ended(core, index, false),
            Far::Probe(_) | Far::Agent(_) => self.probes.on_gone(sock),
            Far::Server(_) | Far::Program(_) => {
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
            let mut whole = tunnel.seen == self.plans[tunnel.id as usize].down;
            // Each command's answer ends with an empty line.
            if tunnel.unchecked {
                whole = tunnel.seen > 0 && client.buffer.ends_with(b"\n");
            }
            client.outcomes[client.answered] = match whole {
                true => Outcome::Answered,
                false => Outcome::Cut,
            };
            client.answered += 1;
        } else if let Some((_, reader)) = &client.current {
            let down = self.plans[reader.id as usize].down;
            let until_close = reader.stage == Stage::UntilClose;
            let whole = in_order && until_close && (reader.unchecked || reader.seen == down);
            if in_order && until_close && !whole {
                let (id, seen) = (reader.id, reader.seen);
                let what = format!("answer to {id} ends at {seen} of {down} as if it were whole");
                core.problem(what);
            }
            let client = &mut self.clients[index];
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
    let mut tunnel = Reader::new(Stage::UntilClose, plan.id, false);
    if client.script.runtime {
        let said = format!("say {} {}", plan.id, plan.down);
        tunnel.unchecked = !client.script.commands.is_empty();
        let line = if tunnel.unchecked {
            &client.script.commands
        } else {
            &said
        };
        bytes = format!("{line}\n").into_bytes();
    }
    client.tunnel = Some(tunnel);
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
        core.reach("half-close: a server in a tunnel");
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

fn send_request(
    core: &mut Core,
    client: &mut Client,
    plan: &Plan,
    sock: usize,
    (mut bytes, last): (Vec<u8>, bool),
) {
    let head = Plan::head_len(&bytes) - 4;
    let quirk = if last {
        client.script.quirk
    } else {
        Quirk::None
    };
    match quirk {
        Quirk::None if plan.waits && bytes.len() > head + 4 => {
            client.held = bytes.split_off(head + 4);
            core.transmit(sock, &bytes);
            let Far::Client(index) = core.socks[sock].far else {
                return;
            };
            return core.at(250, Event::Body(index));
        }
        Quirk::None | Quirk::Stranger | Quirk::CutHeader | Quirk::Silent => {
            core.transmit(sock, &bytes);
        }
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
        core.reach("half-close: a client in a request");
        core.far_fin(sock, 0, false);
    }
}
