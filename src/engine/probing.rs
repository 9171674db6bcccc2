//! A check under way: the conversation of `check::conversation` on a real socket.
//!
//! Every event of a check (its start, an edge, the end of its time) ends in `advance_probe`, which
//! asks the conversation what to do and does it until something has to be waited for. The storage
//! for what is said belongs to checks that run: one that waits for its time holds none.

use std::sync::Arc;

use super::service::Service;
use super::{Engine, Subject};
use crate::base::addr::Endpoint;
use crate::base::arena::GENERATION_MAX;
use crate::check::conversation::{Action, Connect, Conversation, Desk, Ending, Event};
use crate::check::probe::Status;
use crate::config::model::{self, ServerId};
use crate::net::{ConnectOptions, Net, Readiness, Socket, Stop};

/// What is received at once, in bytes.
const RECEIVE: usize = 4096;
/// Desks that are kept for the next checks.
const DESKS_KEPT: usize = 8;

/// A check under way.
#[derive(Debug)]
pub struct Talk {
    conversation: Conversation,
    desk: Desk,
    socket: Option<Socket>,
    stage: Stage,
    /// The connection is to be closed in good order.
    linger: bool,
}

/// What a check waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connect,
    /// So much of the output has left.
    Send(usize),
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
fn words_of(stop: Stop) -> String {
    let Stop::Failed(errno) = stop else {
        return String::new();
    };
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// A check is due.
    pub(super) fn start_probe(&mut self, server: ServerId) {
        let now = self.now.ms;
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        let mut desk = self.desks.pop().unwrap_or_default();
        desk.clear();
        probe.started_ms = now;
        probe.talk = Some(Box::new(Talk {
            conversation: Conversation::default(),
            desk,
            socket: None,
            stage: Stage::Connect,
            linger: false,
        }));
        self.advance_probe(server, Event::Start);
    }

    /// An edge on a probe's socket.
    pub(crate) fn on_probe_ready(&mut self, server: ServerId, attempt: u32, ready: Readiness) {
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        let Some(talk) = &mut probe.talk else { return };
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
    pub(super) fn advance_probe(&mut self, server: ServerId, event: Event<'_>) {
        let step = self.tell_probe(server, event);
        self.go_on(server, step);
    }

    fn go_on(&mut self, server: ServerId, mut step: Option<Step>) {
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
    fn tell_probe(&mut self, server: ServerId, event: Event<'_>) -> Option<Step> {
        let config = self.config;
        let script = &config.proxy(self.roster.server(server).proxy).script;
        let talk = self.talk(server)?;
        match talk.conversation.on(event, script, &mut talk.desk) {
            Action::Connect(how) => Some(self.connect_probe(server, how)),
            Action::Send => {
                talk.stage = Stage::Send(0);
                self.step_probe(server)
            }
            Action::Receive => {
                talk.stage = Stage::Receive;
                self.step_probe(server)
            }
            Action::Done(ending) => {
                self.finish_probe(server, &ending);
                None
            }
        }
    }

    fn talk(&mut self, server: ServerId) -> Option<&mut Talk> {
        self.probes
            .get_mut(server.0 as usize)?
            .as_mut()?
            .talk
            .as_deref_mut()
    }

    /// Sends or receives what the check waits for.
    fn step_probe(&mut self, server: ServerId) -> Option<Step> {
        let most = self.config.global.buffer_size as usize;
        let probe = self.probes.get_mut(server.0 as usize)?.as_mut()?;
        let talk = probe.talk.as_deref_mut()?;
        let socket = talk.socket.as_ref()?;
        let desk = &mut talk.desk;
        if let Stage::Send(sent) = &mut talk.stage {
            while *sent < desk.output.len() {
                match self.net.send(socket, &desk.output[*sent..], b"", false) {
                    Ok(count) => *sent += count,
                    Err(Stop::Blocked) => return Some(Step::Wait),
                    Err(stop) => return Some(Step::Broke(words_of(stop))),
                }
            }
            desk.output.clear();
            return Some(Step::Done);
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
    fn connect_probe(&mut self, server: ServerId, how: Connect) -> Step {
        self.close_talk(server);
        let described = Arc::clone(self.roster.server(server));
        let (Some(check), Some(Some(probe))) = (
            described.check.as_ref(),
            self.probes.get_mut(server.0 as usize),
        ) else {
            return Step::Wait;
        };
        let Some(talk) = &mut probe.talk else {
            return Step::Wait;
        };
        let limit = connect_limit(check, &self.config.proxy(described.proxy).timeouts);
        probe.attempt = (probe.attempt + 1) & GENERATION_MAX;
        probe.due_ms = self.now.ms + u64::from(limit);
        (talk.stage, talk.linger) = (Stage::Connect, how.linger);
        let mut to = check.endpoint.clone();
        if let Endpoint::Inet(address) = &mut to {
            address.set_port(how.port.unwrap_or(address.port()));
            address.set_ip(how.address.unwrap_or(address.ip()));
        }
        let options = ConnectOptions { check: !how.linger };
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

    /// From now on the server has as long as `timeout check` says, where it says something.
    fn hold_to_answer(&mut self, server: ServerId) {
        let proxy = self.config.proxy(self.roster.server(server).proxy);
        let Some(limit) = proxy.timeouts.check else {
            return;
        };
        if let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) {
            probe.due_ms = self.now.ms + u64::from(limit);
            self.wheel.promise(probe.timer, probe.due_ms);
        }
    }

    /// Ends the connection of a check under way.
    fn close_talk(&mut self, server: ServerId) {
        let Some(Some(probe)) = self.probes.get_mut(server.0 as usize) else {
            return;
        };
        let Some(talk) = &mut probe.talk else { return };
        match talk.socket.take() {
            Some(socket) if talk.linger => self.net.close(socket),
            Some(socket) => self.net.abort(socket),
            None => {}
        }
    }

    /// No check of a server is under way any more.
    pub(super) fn drop_talk(&mut self, server: ServerId) {
        self.close_talk(server);
        let most = self.config.global.buffer_size as usize;
        if let Some(Some(probe)) = self.probes.get_mut(server.0 as usize)
            && let Some(talk) = probe.talk.take()
            && self.desks.len() < DESKS_KEPT
            && talk.desk.output.capacity() <= most
        {
            self.desks.push(talk.desk);
        }
    }
}

/// How long a check's connect may take, ms.
fn connect_limit(check: &model::Check, timeouts: &model::Timeouts) -> u32 {
    match (timeouts.check, timeouts.connect) {
        (Some(_), Some(connect)) => connect,
        (Some(limit), None) => limit,
        (None, connect) => check.inter.min(connect.unwrap_or(check.inter)),
    }
}
