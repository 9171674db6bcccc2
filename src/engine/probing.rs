//! A check under way: the conversation of `check::conversation` on a real socket.
//!
//! Every event of a check (its start, an edge, the end of its time) ends in `advance_probe`, which
//! asks the conversation what to do and does it until something has to be waited for. The storage
//! for what is said belongs to checks that run: one that waits for its time holds none.

use std::sync::Arc;

use super::checks::{ProbeId, seat};
use super::context::Facts;
use super::service::Service;
use super::{Engine, Subject};
use crate::balance::server::{Op, write_status};
use crate::base::addr::{Address, Endpoint};
use crate::base::arena::GENERATION_MAX;
use crate::base::clock::Now;
use crate::base::proxy_header::{self, Form, Guest};
use crate::check::agent::{self, Answer, Question};
use crate::check::conversation::{Action, Connect, Conversation, Desk, Ending, Event, Script};
use crate::check::probe::Status;
use crate::check::sequence::{Surroundings, Tools};
use crate::config::model::{self, ServerId};
use crate::http::rewrite::Message;
use crate::log::record::{Target, Txn};
use crate::net::{ConnectOptions, Net, Process, Readiness, Socket, Stop};
use crate::rules::Context;
use crate::rules::format::{Field, Value};
use crate::rules::lists::Lists;

/// What is received at once, in bytes.
const RECEIVE: usize = 4096;
/// Desks that are kept for the next checks.
const DESKS_KEPT: usize = 8;

/// A check under way.
#[derive(Debug)]
pub struct Talk {
    conversation: Conversation,
    /// The same with an agent.
    question: Question,
    desk: Desk,
    socket: Option<Socket>,
    /// The program that it runs, instead of a connection.
    pub(super) process: Option<Process>,
    stage: Stage,
    /// The connection is to be closed in good order.
    linger: bool,
    /// How the check introduces itself, before anything else is said.
    header: Form,
}

/// What a check waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connect,
    /// So much of the output has left.
    Send(usize),
    /// So much of the header has left; the server speaks next.
    Introduce(usize),
    Receive,
}

impl Talk {
    /// Whether its connection was made.
    pub(super) fn is_connected(&self) -> bool {
        self.stage != Stage::Connect
    }
}

/// What came of a step on the socket.
enum Step {
    /// It is done.
    Done,
    /// No more will come.
    Ended,
    /// An edge will tell.
    Wait,
    /// The connection broke.
    Broke(String),
}

/// The system's words for the reason of a failure.
pub(super) fn words_of(stop: Stop) -> String {
    let of = |errno: i32| {
        let text = std::io::Error::from_raw_os_error(errno).to_string();
        match text.split_once(" (os error") {
            Some((words, _)) => words.to_owned(),
            None => text,
        }
    };
    match stop {
        Stop::Failed(errno) => of(errno),
        Stop::NoSource(errno) => format!("Can't bind to source address ({})", of(errno)),
        Stop::Blocked | Stop::Closed => String::new(),
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// A check is due.
    pub(super) fn start_probe(&mut self, server: ProbeId) {
        let now = self.now.ms;
        let Some(Some(probe)) = seat!(self, server) else {
            return;
        };
        let mut desk = self.desks.pop().unwrap_or_default();
        desk.clear();
        probe.started_ms = now;
        // What the last one found is told while this one runs, but not at length.
        probe.report.info.clear();
        probe.talk = Some(Box::new(Talk {
            conversation: Conversation::default(),
            question: Question::default(),
            desk,
            socket: None,
            process: None,
            stage: Stage::Connect,
            linger: false,
            header: Form::default(),
        }));
        let proxy = self.config.proxy(self.roster.server(server.server).proxy);
        match &proxy.script {
            Script::Program(_) if !server.agent => self.start_program(server),
            _ => self.advance_probe(server, Event::Start),
        }
    }

    /// An edge on a probe's socket.
    pub(crate) fn on_probe_ready(&mut self, server: ProbeId, attempt: u32, ready: Readiness) {
        self.reap();
        let Some(Some(probe)) = seat!(self, server) else {
            return;
        };
        let Some(talk) = &mut probe.talk else { return };
        if talk.process.is_some() && probe.attempt == attempt {
            return self.on_program_ready(server);
        }
        let (Some(socket), true) = (&talk.socket, probe.attempt == attempt) else {
            return;
        };
        if talk.stage == Stage::Connect {
            let told = Readiness(Readiness::WRITABLE.0 | Readiness::ERROR.0);
            if !ready.has(told) {
                return;
            }
            return match self.net.connect_result(socket) {
                Ok(()) => {
                    talk.stage = Stage::Receive;
                    self.hold_to_answer(server);
                    self.introduce_probe(server);
                    self.advance_probe(server, Event::Connected);
                }
                Err(Stop::Blocked) => {}
                Err(stop) => self.advance_probe(server, Event::Failed(&words_of(stop))),
            };
        }
        let step = self.step_probe(server);
        self.go_on(server, step);
    }

    /// Tells the conversation what happened, and does what it wants until it has to wait.
    pub(super) fn advance_probe(&mut self, server: ProbeId, event: Event<'_>) {
        let step = self.tell_probe(server, event);
        self.go_on(server, step);
    }

    fn go_on(&mut self, server: ProbeId, mut step: Option<Step>) {
        while let Some(done) = step {
            let sends = self
                .talk(server)
                .is_some_and(|talk| matches!(talk.stage, Stage::Send(_)));
            step = match done {
                Step::Wait => return,
                Step::Done if sends => self.tell_probe(server, Event::Sent),
                Step::Done => self.tell_probe(server, Event::Received { ended: false }),
                Step::Ended => self.tell_probe(server, Event::Received { ended: true }),
                Step::Broke(words) => self.tell_probe(server, Event::Failed(&words)),
            };
        }
    }

    /// One event and the first attempt at what follows from it; nothing when the check is over.
    fn tell_probe(&mut self, server: ProbeId, event: Event<'_>) -> Option<Step> {
        let config = self.config;
        let described = Arc::clone(self.roster.server(server.server));
        if let Some(agent) = described.agent.as_ref().filter(|_| server.agent) {
            let talk = self.talk(server)?;
            let action = talk.question.on(event, &agent.send, &mut talk.desk);
            return self.act(server, action);
        }
        let (id, server) = (server, server.server);
        let proxy = described.proxy;
        let script = &config.proxy(proxy).script;
        let probe = self.probes.get_mut(server.0 as usize)?.as_mut()?;
        let talk = probe.talk.as_deref_mut()?;
        let mut txn = Txn::default();
        (txn.frontend, txn.backend) = (proxy.0, proxy.0);
        txn.target = Target::Server(server.0);
        let facts = Facts {
            config,
            roster: &self.roster,
            txn: &txn,
            requests: 0,
            now: self.now,
            limits: &self.limits,
            proxy_stats: &self.proxy_stats,
            servers: &self.servers,
            server_stats: &self.server_stats,
            letters: ([0; 4], 0),
            lists: &self.lists,
            introductions: &self.introductions,
            inspected: None,
        };
        let mut tools = Tools {
            around: &Checked { facts, server },
            buffers: &mut self.bench.scratch.buffers,
            process: &mut self.variables,
        };
        let action = talk
            .conversation
            .on(event, script, &mut talk.desk, &mut tools);
        self.act(id, action)
    }

    /// Does what a conversation wants, as far as that needs no waiting.
    fn act(&mut self, server: ProbeId, action: Action) -> Option<Step> {
        match action {
            Action::Connect(how) => Some(self.connect_probe(server, how)),
            Action::Send => {
                self.talk(server)?.stage = Stage::Send(0);
                self.step_probe(server)
            }
            Action::Receive => {
                // The header goes first, also to a server that speaks first.
                let talk = self.talk(server)?;
                talk.stage = match talk.desk.output.is_empty() {
                    true => Stage::Receive,
                    false => Stage::Introduce(0),
                };
                self.step_probe(server)
            }
            Action::Done(ending) => {
                if let Some(Some(probe)) = seat!(self, server)
                    && let Some(talk) = probe.talk.as_deref()
                    && let (Some(socket), false) = (&talk.socket, talk.desk.output.is_empty())
                {
                    // What does not leave at once is not worth waiting for.
                    let _ = self.net.send(socket, &talk.desk.output, b"", false);
                }
                self.finish_probe(server, &ending);
                None
            }
        }
    }

    /// What the agent said, when one was asked and answered.
    pub(super) fn answer(&mut self, server: ProbeId) -> Option<Answer> {
        let talk = self.talk(server).filter(|_| server.agent)?;
        agent::line_of(&talk.desk.input).map(Answer::of)
    }

    fn talk(&mut self, server: ProbeId) -> Option<&mut Talk> {
        seat!(self, server)?.as_mut()?.talk.as_deref_mut()
    }

    /// Sends or receives what the check waits for.
    fn step_probe(&mut self, server: ProbeId) -> Option<Step> {
        let most = self.config.global.buffer_size as usize;
        let probe = seat!(self, server)?.as_mut()?;
        let talk = probe.talk.as_deref_mut()?;
        let socket = talk.socket.as_ref()?;
        let desk = &mut talk.desk;
        if let Stage::Send(sent) | Stage::Introduce(sent) = &mut talk.stage {
            while *sent < desk.output.len() {
                match self.net.send(socket, &desk.output[*sent..], b"", false) {
                    Ok(count) => *sent += count,
                    Err(Stop::Blocked) => return Some(Step::Wait),
                    Err(stop) => return Some(Step::Broke(words_of(stop))),
                }
            }
            desk.output.clear();
            if matches!(talk.stage, Stage::Send(_)) {
                return Some(Step::Done);
            }
            talk.stage = Stage::Receive;
        }
        let held = desk.input.len();
        let room = most.saturating_sub(held).min(RECEIVE);
        if room == 0 {
            return Some(Step::Ended);
        }
        desk.input.resize(held + room, 0);
        let result = self.net.recv(socket, &mut desk.input[held..]);
        desk.input.truncate(held + result.unwrap_or(0));
        Some(match result {
            Ok(_) if desk.input.len() >= most => Step::Ended,
            Ok(_) => Step::Done,
            Err(Stop::Blocked) => Step::Wait,
            Err(Stop::Closed) => Step::Ended,
            Err(stop) => Step::Broke(words_of(stop)),
        })
    }

    /// Makes a connection as the conversation wants it, in the place of the one before.
    fn connect_probe(&mut self, server: ProbeId, how: Connect) -> Step {
        self.close_talk(server);
        let described = Arc::clone(self.roster.server(server.server));
        let target = match server.agent {
            true => described.agent.as_ref().map(|a| (&a.endpoint, a.inter)),
            false => described.check.as_ref().map(|c| (&c.endpoint, c.inter)),
        };
        let (Some((to, inter)), Some(Some(probe))) = (target, seat!(self, server)) else {
            return Step::Wait;
        };
        let Some(talk) = &mut probe.talk else {
            return Step::Wait;
        };
        let limit = connect_limit(inter, &self.config.proxy(described.proxy).timeouts);
        probe.attempt = (probe.attempt + 1) & GENERATION_MAX;
        probe.due_ms = self.now.ms + u64::from(limit);
        (talk.stage, talk.linger) = (Stage::Connect, how.linger);
        let mut to = to.clone();
        if let Endpoint::Inet(address) = &mut to {
            address.set_port(how.port.unwrap_or_else(|| address.port()));
            address.set_ip(how.address.unwrap_or_else(|| address.ip()));
        }
        let own = described.check.as_ref().filter(|_| !server.agent);
        let own = own.map_or_else(Form::default, |check| check.proxy_header);
        let forms = (own, described.proxy_header);
        talk.header = match forms {
            (form, _) if how.as_server && !form.is_none() => form,
            (_, form) if how.send_proxy && form.has(Form::V2) => form,
            _ if how.send_proxy => Form::V1,
            _ => Form::default(),
        };
        let options = ConnectOptions {
            check: !how.linger,
            server_speaks: how.server_speaks,
            outgoing: described.outgoing.as_deref(),
            ..ConnectOptions::default()
        };
        let socket = match self.net.connect(&to, options) {
            Ok(socket) => socket,
            Err(stop) => return Step::Broke(words_of(stop)),
        };
        let handle = Subject::Probe(server, probe.attempt).handle();
        let watched = self.net.watch(&socket, handle);
        talk.socket = Some(socket);
        self.wheel.promise(probe.timer, probe.due_ms);
        if watched.is_err() {
            self.finish_probe(server, &Ending::new(Status::SocketError, ""));
        }
        Step::Wait
    }

    /// How long a program may take, ms.
    pub(super) fn time_of_check(&self, id: ProbeId) -> u32 {
        let described = self.roster.server(id.server);
        let inter = described.check.as_ref().map_or(0, |check| check.inter);
        connect_limit(inter, &self.config.proxy(described.proxy).timeouts)
    }

    /// Puts the header of a check, if it has one, before what it says.
    fn introduce_probe(&mut self, server: ProbeId) {
        let described = Arc::clone(self.roster.server(server.server));
        let Some(Some(probe)) = seat!(self, server) else {
            return;
        };
        let Some(talk) = &mut probe.talk else {
            return;
        };
        let (Some(socket), false) = (&talk.socket, talk.header.is_none()) else {
            return;
        };
        // The second form says that a connection is our own; the first has no word for it.
        let addresses = match talk.header.has(Form::V2) {
            true => None,
            false => Some((self.net.local_address(socket), described.endpoint.address())),
        };
        let guest = Guest {
            addresses,
            ..Guest::default()
        };
        proxy_header::write(&mut talk.desk.output, talk.header, &guest);
    }

    /// From now on the server has as long as `timeout check` says, where it says something.
    fn hold_to_answer(&mut self, server: ProbeId) {
        let proxy = self.config.proxy(self.roster.server(server.server).proxy);
        let Some(limit) = proxy.timeouts.check else {
            return;
        };
        if let Some(Some(probe)) = seat!(self, server) {
            probe.due_ms = self.now.ms + u64::from(limit);
            self.wheel.promise(probe.timer, probe.due_ms);
        }
    }

    /// Ends the connection of a check under way.
    fn close_talk(&mut self, server: ProbeId) {
        let Some(Some(probe)) = seat!(self, server) else {
            return;
        };
        let Some(talk) = &mut probe.talk else { return };
        if let Some(process) = talk.process.take() {
            return self.send_away(server.server, process, false);
        }
        match talk.socket.take() {
            Some(socket) if talk.linger => self.net.close(socket),
            Some(socket) => self.net.abort(socket),
            None => {}
        }
    }

    /// No check of a server is under way any more.
    pub(super) fn drop_talk(&mut self, server: ProbeId) {
        self.close_talk(server);
        let most = self.config.global.buffer_size as usize;
        if let Some(Some(probe)) = seat!(self, server)
            && let Some(talk) = probe.talk.take()
            && self.desks.len() < DESKS_KEPT
            && talk.desk.output.capacity() <= most
        {
            self.desks.push(talk.desk);
        }
    }
}

/// How long a check's connect may take, ms.
fn connect_limit(inter: u32, timeouts: &model::Timeouts) -> u32 {
    match (timeouts.check, timeouts.connect) {
        (Some(_), Some(connect)) => inter.min(connect),
        _ => inter,
    }
}

/// A server as the expressions of its check see it.
struct Checked<'a> {
    facts: Facts<'a>,
    server: ServerId,
}

impl Context for Checked<'_> {
    fn request(&self) -> Option<Message<'_>> {
        None
    }

    fn response(&self) -> Option<Message<'_>> {
        None
    }

    fn source(&self) -> Address {
        Address::None
    }

    fn destination(&self) -> Address {
        Address::None
    }

    fn field(&self, field: Field) -> Value<'_> {
        match field {
            Field::FrontendName => Value::Bytes(b"CHECKS-FE"),
            Field::Status => Value::Int(0),
            Field::TimeTotal => Value::Partial(0),
            Field::AcceptDate | Field::RequestDate => Value::Date {
                wall_ms: self.facts.now.wall_ms,
                utc_offset_s: self.facts.now.utc_offset_s,
            },
            _ => self.facts.field(field),
        }
    }

    fn now(&self) -> Now {
        self.facts.now
    }

    fn changed(&self) -> Option<&Lists> {
        self.facts.changed()
    }
}

impl Surroundings for Checked<'_> {
    fn is_running(&self) -> bool {
        let record = self.facts.servers.get(self.server.0 as usize);
        record.is_some_and(|record| record.op != Op::Stopped)
    }

    fn write_state(&self, out: &mut Vec<u8>) {
        let facts = &self.facts;
        let index = self.server.0 as usize;
        let described = facts.roster.server(self.server);
        let backend = facts.config.proxy(described.proxy);
        let (Some(record), Some(counters)) =
            (facts.servers.get(index), facts.server_stats.get(index))
        else {
            return;
        };
        write_status(out, record, None);
        let (address, port) = match &described.endpoint {
            Endpoint::Inet(at) => (at.ip().to_string(), at.port().to_string()),
            Endpoint::Unix(_) | Endpoint::Abstract(_) => ("unix".to_owned(), "unix".to_owned()),
        };
        let members = facts.roster.members(described.proxy);
        let usable = |backup: bool| {
            let records = members
                .iter()
                .filter_map(|id| facts.servers.get(id.0 as usize));
            let usable = records.filter(move |server| server.usable() && server.backup == backup);
            usable
                .map(|server| u32::from(server.effective_weight()))
                .sum::<u32>()
        };
        let weights = match usable(false) {
            0 => usable(true),
            weights => weights,
        };
        let of_all = members
            .iter()
            .filter_map(|id| facts.server_stats.get(id.0 as usize));
        let sessions: u32 = of_all.map(|counters| counters.scur).sum();
        let text = format!(
            "; address={address}; port={port}; name={}/{}; node={}; weight={}/{weights}; scur={}/{sessions}; qcur={}",
            backend.name,
            described.name,
            facts.limits.node,
            record.effective_weight(),
            counters.scur,
            record.queued
        );
        out.extend_from_slice(text.as_bytes());
    }
}
