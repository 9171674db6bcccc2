//! The life of a request, in the order it happens.
//!
//! `drive` is one `match` on the phase; each arm calls one named step, and each step says what comes
//! next ([`Flow`]). Whatever event woke a session, and from whichever side, it comes through here.
//! Steps call the pure parts for decisions and the door for effects, directly.
//!
//! ```text
//! Request ─ parsed, rules, server chosen ─┬─ Exchange ── Finish ── Request (kept alive)
//!    │                                    ├─ Connect ─┘     └───── Linger / gone
//!    │                                    └─ Queued ── Connect
//!    └─ refused, denied, redirected ───────── Answer ── Finish
//! Tunnel: TCP mode, CONNECT and Upgrade: bytes both ways until both sides have closed.
//! ```
//!
//! A session may look left at the configuration and at the parsed head; it never calls back. The one
//! loop is retry, in [`upstream`](super::upstream).

use super::accept::Client;
use super::context::{Looking, facts};
use super::relay::{End, Pipe, Pumped, Sent, Source, deliver, flush, pump, receive, understand};
use super::service::Service;
use super::upstream::Upstream;
use super::{Engine, STEPS_PER_TURN_MAX};
use crate::balance::queue::Ticket;
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::config::model::{HttpConnection, Proxy, ProxyId, ServerId, SwitchTarget};
use crate::http::exchange::{Ending, Exchange, Persistence, RequestState, ResponseState};
use crate::http::framing::{self, Announce, Body, Framing};
use crate::http::head::{self, Parsed, Progress, Refusal};
use crate::http::reply::logged_head_bytes;
use crate::http::rewrite::{Editor, Message, Outgoing, Overflow, render};
use crate::log::record::{NO_ID, Txn};
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Stop};
use crate::rules::action::{Subject as Edited, Verdict, evaluate_request, evaluate_response};
use crate::rules::answer::{Final, Kind};

/// Where a session is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Waiting for a request head, or reading one.
    Request,
    /// Waiting for a slot on a server.
    Queued,
    /// Connecting to a server, or waiting to try again.
    Connect,
    /// Request and answer are on their way.
    Exchange,
    /// Bytes only, both ways.
    Tunnel,
    /// Sending an answer of our own.
    Answer,
    /// Over: log, then keep-alive or close.
    Finish,
    /// Answered and half-closed: what the client still sends is thrown away, so that our close does
    /// not become a reset that destroys the answer on its way.
    Linger,
}

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next step, at once.
    Again,
    /// Nothing before the next event.
    Wait,
    /// The session ends here, and this is why.
    Close(Termination),
    /// The records are gone already.
    Gone,
}

/// Index of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId(u32);

/// One request under way, or one TCP session.
#[derive(Debug)]
pub struct Session {
    pub(crate) txn: Txn,
    pub(crate) exchange: Exchange,
    /// Client to server.
    pub(crate) request: Pipe,
    /// Server to client.
    pub(crate) response: Pipe,
    pub(crate) upstream: Option<Key<Upstream>>,
    pub(crate) backend: Option<ProxyId>,
    pub(crate) server: Option<ServerId>,
    /// It is counted among the server's sessions.
    pub(crate) holds_slot: bool,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) retries_left: u32,
    /// When the next attempt to connect may be made; 0 means at once.
    pub(crate) retry_at_ms: u64,
    /// When the phase it waits in began.
    pub(crate) waiting_since_ms: u64,
    pub(crate) progress: Progress,
    /// `request.input` (or `response.input`) holds bytes that no parser has seen.
    pub(crate) unparsed_request: bool,
    pub(crate) unparsed_answer: bool,
    /// The head as sent, for one more try when a reused connection turns out to be dead.
    pub(crate) replay: Vec<u8>,
    /// The connection in use has served others before.
    pub(crate) on_reused: bool,
    pub(crate) logged: bool,
}

impl Session {
    fn new() -> Self {
        Self {
            txn: Txn::new(),
            exchange: Exchange::new(),
            request: Pipe::default(),
            response: Pipe::default(),
            upstream: None,
            backend: None,
            server: None,
            holds_slot: false,
            ticket: None,
            retries_left: 0,
            retry_at_ms: 0,
            waiting_since_ms: 0,
            progress: Progress::default(),
            unparsed_request: false,
            unparsed_answer: false,
            replay: Vec::new(),
            on_reused: false,
            logged: false,
        }
    }

    /// Forgets the exchange that is over; the log record and the pipes are the caller's to reset.
    fn renew(&mut self) {
        self.exchange = Exchange::new();
        self.upstream = None;
        self.backend = None;
        self.server = None;
        self.ticket = None;
        self.retry_at_ms = 0;
        self.progress = Progress::default();
        self.unparsed_request = false;
        self.unparsed_answer = false;
        self.replay.clear();
        self.on_reused = false;
        self.logged = false;
    }
}

/// The sessions under way. Records are reused with their storage, so that a request allocates
/// nothing once as many sessions as now have been there at once.
#[derive(Debug, Default)]
pub struct Sessions {
    slots: Vec<Session>,
    free: Vec<u32>,
}

impl Sessions {
    /// Takes a fresh record.
    pub(crate) fn take(&mut self) -> SessionId {
        if let Some(index) = self.free.pop() {
            return SessionId(index);
        }
        self.slots.push(Session::new());
        self.free.reserve(self.slots.len());
        SessionId((self.slots.len() - 1) as u32)
    }

    /// Gives a record back.
    pub(crate) fn release(&mut self, id: SessionId) {
        debug_assert!(
            !self.free.contains(&id.0) || self.free.len() > 64,
            "released twice"
        );
        self.free.push(id.0);
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.slots.get(id.0 as usize)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(id.0 as usize)
    }

    /// How many are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// None is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Opens a client and its session for a step, borrowing only their two arenas.
macro_rules! open {
    ($engine:ident, $key:expr => $client:ident, $session:ident, else $otherwise:expr) => {
        let Some($client) = $engine.clients.get_mut($key) else {
            return $otherwise;
        };
        let Some($session) = $client.session.and_then(|id| $engine.sessions.get_mut(id)) else {
            return $otherwise;
        };
    };
}
pub(crate) use open;

impl<'c, N: Net, S: Service> Engine<'c, N, S> {
    /// The life of a request, in the order it happens.
    pub(crate) fn drive(&mut self, key: Key<Client>) {
        for _ in 0..STEPS_PER_TURN_MAX {
            let Some(client) = self.clients.get(key) else {
                return;
            };
            let flow = match client.phase {
                Phase::Request => self.read_request(key),
                Phase::Queued => Flow::Wait,
                Phase::Connect => self.reach_server(key),
                Phase::Exchange => self.relay(key),
                Phase::Tunnel => self.tunnel(key),
                Phase::Answer => self.send_answer(key),
                Phase::Finish => self.finish(key),
                Phase::Linger => self.linger(key),
            };
            match flow {
                Flow::Again => {}
                Flow::Wait => return self.promise_wake(key),
                Flow::Close(why) => return self.close(key, why),
                Flow::Gone => return,
            }
        }
        // Budget spent: others first, then us, before the next sleep.
        self.run_again(key);
    }

    /// Reads until a request head is whole.
    fn read_request(&mut self, key: Key<Client>) -> Flow {
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        let session = client.session.and_then(|id| self.sessions.get_mut(id));
        let (waiting, unparsed) = match session {
            Some(session) => (
                session.request.input.take(),
                std::mem::take(&mut session.unparsed_request),
            ),
            None => (None, false),
        };
        let Some(mut buffer) = waiting.or_else(|| self.pool.lend()) else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        if !unparsed {
            if !client.ready.has(Readiness::READABLE) {
                self.keep_input(key, buffer);
                return Flow::Wait;
            }
            let mut from = End {
                socket: &client.socket,
                ready: &mut client.ready,
            };
            match receive(&mut self.net, &mut from, &mut buffer) {
                Ok(_) => client.active_ms = self.now.ms,
                Err(Stop::Blocked) => {
                    self.keep_input(key, buffer);
                    return Flow::Wait;
                }
                Err(stop) => {
                    self.pool.give_back(buffer);
                    return self.request_cut_short(key, stop == Stop::Closed);
                }
            }
        }
        let id = self.begin_http(key);
        let Some(session) = id.and_then(|id| self.sessions.get_mut(id)) else {
            self.pool.give_back(buffer);
            return Flow::Gone;
        };
        let bench = &mut self.bench;
        let bytes = buffer.readable_mut();
        match head::request(bytes, &mut session.progress, &mut bench.head, &bench.limits) {
            Parsed::Partial => {
                session.exchange.on_request_bytes();
                self.keep_input(key, buffer);
                Flow::Again
            }
            Parsed::Refused(refusal) => self.refuse(key, refusal, buffer),
            Parsed::Complete => self.on_request(key, buffer),
        }
    }

    /// Keeps bytes that do not make a whole head yet; an empty buffer goes back to the pool.
    fn keep_input(&mut self, key: Key<Client>, buffer: Buffer) {
        let session = self.clients.get(key).and_then(|client| client.session);
        match session.and_then(|id| self.sessions.get_mut(id)) {
            Some(session) if !buffer.is_empty() => session.request.input = Some(buffer),
            _ => self.pool.give_back(buffer),
        }
    }

    /// Makes sure that there is a session, its record begun at the request's first byte.
    fn begin_http(&mut self, key: Key<Client>) -> Option<SessionId> {
        let now = self.now;
        let client = self.clients.get_mut(key)?;
        let id = match client.session {
            Some(id) => id,
            None => {
                let id = self.sessions.take();
                client.session = Some(id);
                let session = self.sessions.get_mut(id)?;
                session.renew();
                session.txn.reset();
                session.txn.http = true;
                begin_record(&mut session.txn, client);
                id
            }
        };
        let session = self.sessions.get_mut(id)?;
        if session.txn.marks.request_started < 0 {
            session.txn.marks.request_started = now.ms as i64;
            session.txn.request_date_ms = now.wall_ms;
            let proxy = self.config.proxy(client.frontend);
            if proxy.needs_destination {
                session.txn.destination = self.net.local_address(&client.socket);
            }
        }
        Some(id)
    }

    /// The client ended its side, or broke, before its request was whole.
    fn request_cut_short(&mut self, key: Key<Client>, in_order: bool) -> Flow {
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        client.ready.clear(Readiness::READABLE);
        let proxy = self.config.proxy(client.frontend);
        if client.session.is_none() {
            if client.requests > 0 || proxy.log_options.dont_log_null {
                self.remove_client(key);
                return Flow::Gone;
            }
            self.begin_null(key);
        }
        self.proxy_stats[proxy.id.0 as usize].front.ereq += 1;
        open!(self, key => client, session, else Flow::Gone);
        session.txn.request_line.clear();
        session.txn.termination = Termination::CLIENT_IN_REQUEST;
        session.exchange.on_request_error();
        session.txn.status = 400;
        if in_order && client.ready.has(Readiness::WRITABLE) && session.request.moved == 0 {
            return self.answer_raw(key, 400, Termination::CLIENT_IN_REQUEST);
        }
        Flow::Close(Termination::CLIENT_IN_REQUEST)
    }

    /// A session for a connection that never carried a byte, for its log line's sake.
    pub(crate) fn begin_null(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let id = self.sessions.take();
        client.session = Some(id);
        if let Some(session) = self.sessions.get_mut(id) {
            session.renew();
            session.txn.reset();
            session.txn.http = true;
            begin_record(&mut session.txn, client);
            session.txn.request_date_ms = client.since_wall_ms;
        }
    }

    /// A request that cannot be read: the built-in answer, below the HTTP layer.
    fn refuse(&mut self, key: Key<Client>, refusal: Refusal, buffer: Buffer) -> Flow {
        self.pool.give_back(buffer);
        ::log::debug!(
            "request refused at byte {}: {}",
            refusal.position,
            refusal.reason
        );
        open!(self, key => client, session, else Flow::Gone);
        self.proxy_stats[client.frontend.0 as usize].front.ereq += 1;
        session.txn.request_line.clear();
        session.exchange.on_request_error();
        self.answer_raw(key, refusal.status, Termination::PROXY_IN_REQUEST)
    }

    /// A whole head has come: rules, routing, and off to a server.
    fn on_request(&mut self, key: Key<Client>, buffer: Buffer) -> Flow {
        let config = self.config;
        let now = self.now;
        open!(self, key => client, session, else Flow::Gone);
        let framing = match framing::request(&self.bench.head, buffer.readable()) {
            Ok(framing) => framing,
            Err(refusal) => return self.refuse(key, refusal, buffer),
        };
        let head = &self.bench.head;
        session.exchange.on_request_head(head, &framing);
        session
            .txn
            .set_request_line(head.logged_line(buffer.readable()));
        session.txn.marks.request_ended = now.ms as i64;
        session.txn.bytes_uploaded = u64::from(head.len);
        client.requests += 1;
        self.process.requests_total += 1;
        session.txn.request_count = self.process.requests_total;
        let proxy = config.proxy(client.frontend);
        let stats = &mut self.proxy_stats[proxy.id.0 as usize].front;
        stats.req_tot += 1;
        stats.req_rate.add(now.ms, 1);
        self.bench.edits.clear();
        self.bench.scratch.start_message();

        if let Some(uri) = &proxy.monitor_uri
            && self.bench.head.target.of(buffer.readable()) == uri.as_bytes()
        {
            session.logged = true;
            self.skip_request(key, buffer, &framing);
            return self.answer_status(key, 200, Termination::LOCAL);
        }
        match self.run_request_rules(key, proxy, &buffer) {
            Ok(None) => {}
            Ok(Some(last)) => return self.answer_final(key, last, buffer, &framing),
            Err(Overflow) => return self.answer_overflow(key, buffer, &framing),
        }
        let Some(backend) = self.choose_backend(key, proxy, Some(&buffer)) else {
            self.skip_request(key, buffer, &framing);
            return self.answer_status(key, 503, Termination::SERVER_IN_CONNECT);
        };
        self.enter_backend(key, backend);
        if backend.id != proxy.id {
            match self.run_request_rules(key, backend, &buffer) {
                Ok(None) => {}
                Ok(Some(last)) => return self.answer_final(key, last, buffer, &framing),
                Err(Overflow) => return self.answer_overflow(key, buffer, &framing),
            }
        }
        match self.render_request(key, proxy, backend, &buffer, &framing) {
            Ok(length) => self.send_request(key, buffer, &framing, length),
            Err(Overflow) => self.answer_overflow(key, buffer, &framing),
        }
    }

    /// Runs one proxy's `http-request` rules.
    fn run_request_rules(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        buffer: &Buffer,
    ) -> Result<Option<&'c Final>, Overflow> {
        if proxy.http_request.is_empty() {
            return Ok(None);
        }
        open!(self, key => client, session, else Ok(None));
        let facts = facts!(self, session, client.requests);
        let bench = &mut self.bench;
        let mut subject = Edited {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        let acls = &self.config.acls;
        let rules = &proxy.http_request;
        match evaluate_request(rules, acls, &facts, &mut subject, &mut bench.scratch)? {
            Verdict::Final(last) => Ok(Some(last)),
            Verdict::Continue | Verdict::Allow => Ok(None),
        }
    }

    /// `use_backend`, then `default_backend`, then the proxy itself when it has a backend side.
    fn choose_backend(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        buffer: Option<&Buffer>,
    ) -> Option<&'c Proxy> {
        let config = self.config;
        let client = self.clients.get(key)?;
        let session = self.sessions.get(client.session?)?;
        let facts = facts!(self, session, client.requests);
        let bench = &mut self.bench;
        let message =
            buffer.map(|buffer| Message::new(buffer.readable(), &bench.head, &bench.edits));
        let looking = Looking {
            facts: &facts,
            request: message,
            response: None,
        };
        for switch in &proxy.switches {
            let holds = switch
                .condition
                .as_ref()
                .is_none_or(|c| c.holds(&config.acls, &looking, &mut bench.scratch));
            if !holds {
                continue;
            }
            match &switch.target {
                SwitchTarget::Backend(id) => return Some(config.proxy(*id)),
                SwitchTarget::Dynamic(format) => {
                    bench.text.clear();
                    format.render(&looking, &mut bench.scratch.buffers, &mut bench.text);
                    let named = config
                        .proxies
                        .iter()
                        .find(|p| p.is_backend && p.name.as_bytes() == bench.text);
                    // An unknown name ends the rules and leaves the default (the manual, 4.2).
                    if named.is_some() {
                        return named;
                    }
                    break;
                }
            }
        }
        match proxy.default_backend {
            Some(id) => Some(config.proxy(id)),
            None => proxy.is_backend.then_some(proxy),
        }
    }

    /// The session is now the backend's too.
    fn enter_backend(&mut self, key: Key<Client>, backend: &Proxy) {
        let now = self.now.ms;
        open!(self, key => _client, session, else ());
        session.backend = Some(backend.id);
        session.txn.backend = backend.id.0;
        session.retries_left = backend.retries;
        let stats = &mut self.proxy_stats[backend.id.0 as usize].back;
        stats.enter(now);
        stats.req_tot += u64::from(session.txn.http);
    }

    /// Renders the outgoing head into `bench.raw` and returns its length.
    fn render_request(
        &mut self,
        key: Key<Client>,
        frontend: &Proxy,
        backend: &Proxy,
        buffer: &Buffer,
        framing: &Framing,
    ) -> Result<usize, Overflow> {
        open!(self, key => _client, session, else Err(Overflow));
        let bench = &mut self.bench;
        let mut editor = Editor {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        if let Some(forward) = backend
            .forward_for
            .as_ref()
            .or(frontend.forward_for.as_ref())
        {
            let if_none = frontend.forward_for.as_ref().is_some_and(|f| f.if_none)
                || backend.forward_for.as_ref().is_some_and(|f| f.if_none);
            let source = session.txn.source;
            let excepted = [&frontend.forward_for, &backend.forward_for]
                .into_iter()
                .flatten()
                .filter_map(|f| f.except)
                .any(|net| source.ip().is_some_and(|ip| net.contains(ip)));
            let name = forward.header.as_bytes();
            let there = if_none && editor.message().header(name).next().is_some();
            if !excepted && !there && source.ip().is_some() {
                bench.text.clear();
                source.write_ip(&mut bench.text);
                editor.add_header(name, &bench.text)?;
            }
        }
        let message = editor.message();
        session.exchange.set_method(message.method());
        let closing = frontend.http_connection != HttpConnection::KeepAlive
            || backend.http_connection != HttpConnection::KeepAlive;
        if closing {
            session.exchange.close_server();
        }
        if frontend.http_connection == HttpConnection::Close
            || backend.http_connection == HttpConnection::Close
            || self.stopping
        {
            session.exchange.close_client();
        }
        let how = Outgoing {
            minor: message.minor(),
            announce: framing.announce,
            persistence: match (closing, message.minor()) {
                (true, _) if !framing.upgrade => Persistence::Close,
                (false, 0) => Persistence::KeepAlive,
                _ => Persistence::Unsaid,
            },
            drop_upgrade: framing.drop_upgrade,
        };
        render(&message, &how, &mut bench.raw)
    }

    /// Takes the head off the input, notes how the body ends, and finds a server for both.
    fn send_request(
        &mut self,
        key: Key<Client>,
        mut buffer: Buffer,
        framing: &Framing,
        length: usize,
    ) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        buffer.consume(self.bench.head.len as usize);
        session.request.source = source_of(framing.body);
        session.request.rechunk = framing.body == Body::Chunked;
        if buffer.is_empty() {
            self.pool.give_back(buffer);
        } else {
            session.request.input = Some(buffer);
        }
        self.dispatch(key, length)
    }

    /// Both pipes; parses the answer's head.
    fn relay(&mut self, key: Key<Client>) -> Flow {
        if let Some(flow) = self.relay_request(key) {
            return flow;
        }
        open!(self, key => client, session, else Flow::Gone);
        match session.exchange.response() {
            ResponseState::Idle => return self.read_answer(key),
            ResponseState::Body => {
                let Some(upstream) = session.upstream.and_then(|key| self.upstreams.get_mut(key))
                else {
                    return Flow::Close(Termination::SERVER_IN_DATA);
                };
                let before = session.response.moved;
                let pumped = pump(
                    &mut self.net,
                    &mut self.pool,
                    &mut self.bench.prefix,
                    upstream.end(),
                    End {
                        socket: &client.socket,
                        ready: &mut client.ready,
                    },
                    &mut session.response,
                );
                let moved = session.response.moved - before;
                if moved > 0 {
                    client.active_ms = self.now.ms;
                    session.txn.bytes_read += moved;
                }
                match pumped {
                    Pumped::Done => session.exchange.on_response_end(),
                    Pumped::Starved => return Flow::Wait,
                    Pumped::Blocked => return self.note_flush(key),
                    Pumped::Spent => return Flow::Again,
                    Pumped::ReceiverFailed(_) => return self.client_lost_in_data(key),
                    Pumped::CutShort | Pumped::SenderFailed(_) => {
                        return self.server_lost_in_data(key);
                    }
                    Pumped::Refused(_) => return Flow::Close(Termination::PROXY_IN_DATA),
                    Pumped::NoBuffer => return Flow::Close(Termination::RESOURCE_IN_CONNECT),
                }
            }
            ResponseState::Done | ResponseState::Error | ResponseState::Tunnel => {}
        }
        // The answer has come whole; what is left of it goes out, whatever the request still does.
        open!(self, key => client, session, else Flow::Gone);
        let mut to = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        match flush(
            &mut self.net,
            &mut self.pool,
            &mut to,
            &mut session.response,
        ) {
            Sent::All => {
                client.phase = if session.exchange.response() == ResponseState::Tunnel {
                    Phase::Tunnel
                } else {
                    Phase::Finish
                };
                Flow::Again
            }
            Sent::Part => self.note_flush(key),
            Sent::Failed(_) => self.client_lost_in_data(key),
            Sent::NoBuffer => Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
    }

    /// Bytes left for a peer: that is activity too.
    fn note_flush(&mut self, _key: Key<Client>) -> Flow {
        Flow::Wait
    }

    /// The request's body on its way to the server. `None` when the answer may be looked at.
    fn relay_request(&mut self, key: Key<Client>) -> Option<Flow> {
        open!(self, key => client, session, else Some(Flow::Gone));
        if session.request.is_finished() {
            return None;
        }
        let Some(upstream) = session.upstream.and_then(|key| self.upstreams.get_mut(key)) else {
            return Some(Flow::Close(Termination::SERVER_IN_HEADERS));
        };
        let before = session.request.moved;
        let pumped = pump(
            &mut self.net,
            &mut self.pool,
            &mut self.bench.prefix,
            End {
                socket: &client.socket,
                ready: &mut client.ready,
            },
            upstream.end(),
            &mut session.request,
        );
        let moved = session.request.moved - before;
        if moved > 0 {
            client.active_ms = self.now.ms;
            session.txn.bytes_uploaded += moved;
            session.replay.clear();
        }
        match pumped {
            Pumped::Done if session.exchange.request() == RequestState::Body => {
                session.exchange.on_request_end();
            }
            Pumped::Done | Pumped::Starved | Pumped::Blocked => {}
            Pumped::Spent => self.run_again(key),
            Pumped::CutShort | Pumped::SenderFailed(_) => {
                return Some(self.client_lost_in_body(key));
            }
            Pumped::ReceiverFailed(_) => {
                // The server takes no more: it may have answered all the same.
                session.request.reset(&mut self.pool);
                session.exchange.on_request_error();
                session.exchange.close_server();
                session.exchange.close_client();
            }
            Pumped::Refused(_) => return Some(self.body_refused(key)),
            Pumped::NoBuffer => return Some(Flow::Close(Termination::RESOURCE_IN_CONNECT)),
        }
        None
    }

    /// The client left in the middle of its request's body.
    fn client_lost_in_body(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let frontend = client.frontend;
        let backend = session.backend;
        session.exchange.on_request_error();
        let started = session.exchange.response() != ResponseState::Idle;
        if !started {
            session.txn.status = 400;
        }
        self.proxy_stats[frontend.0 as usize].front.cli_abrt += 1;
        if let Some(backend) = backend {
            self.proxy_stats[backend.0 as usize].back.cli_abrt += 1;
        }
        Flow::Close(if started {
            Termination::CLIENT_IN_DATA
        } else {
            Termination::CLIENT_IN_HEADERS
        })
    }

    /// The client takes no more of the answer.
    fn client_lost_in_data(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let (frontend, backend) = (client.frontend, session.backend);
        let server = session.server;
        self.proxy_stats[frontend.0 as usize].front.cli_abrt += 1;
        if let Some(backend) = backend {
            self.proxy_stats[backend.0 as usize].back.cli_abrt += 1;
        }
        if let Some(server) = server {
            self.server_stats[server.0 as usize].cli_abrt += 1;
        }
        Flow::Close(Termination::CLIENT_IN_DATA)
    }

    /// The server broke off in the middle of its answer: the client must see that it is cut.
    fn server_lost_in_data(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        session.exchange.on_server_lost();
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize].back.srv_abrt += 1;
        }
        if let Some(server) = session.server {
            self.server_stats[server.0 as usize].srv_abrt += 1;
        }
        Flow::Close(Termination::SERVER_IN_DATA)
    }

    /// The request's body cannot be understood.
    fn body_refused(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        self.proxy_stats[client.frontend.0 as usize].front.ereq += 1;
        session.exchange.on_request_error();
        if session.exchange.response() != ResponseState::Idle || !session.response.is_flushed() {
            return Flow::Close(Termination::PROXY_IN_DATA);
        }
        self.drop_upstream(key);
        self.answer_status(key, 400, Termination::PROXY_IN_REQUEST)
    }

    /// Reads until the answer's head is whole; passes interim answers on.
    fn read_answer(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        // An interim answer that the client has not taken yet goes first.
        let mut to = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        match flush(
            &mut self.net,
            &mut self.pool,
            &mut to,
            &mut session.response,
        ) {
            Sent::All => {}
            Sent::Part => return Flow::Wait,
            Sent::Failed(_) => return self.client_lost_in_data(key),
            Sent::NoBuffer => return Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
        let Some(upstream) = session.upstream.and_then(|key| self.upstreams.get_mut(key)) else {
            return Flow::Close(Termination::SERVER_IN_HEADERS);
        };
        let unparsed = std::mem::take(&mut session.unparsed_answer);
        if !unparsed && !upstream.ready.has(Readiness::READABLE) {
            return Flow::Wait;
        }
        let Some(mut buffer) = session.response.input.take().or_else(|| self.pool.lend()) else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        if !unparsed {
            match receive(&mut self.net, &mut upstream.end(), &mut buffer) {
                Ok(_) => client.active_ms = self.now.ms,
                Err(Stop::Blocked) => {
                    if buffer.is_empty() {
                        self.pool.give_back(buffer);
                    } else {
                        session.response.input = Some(buffer);
                    }
                    return Flow::Wait;
                }
                Err(_) => {
                    let any = !buffer.is_empty();
                    self.pool.give_back(buffer);
                    return self.server_lost(key, any);
                }
            }
        }
        session.replay.clear();
        let bench = &mut self.bench;
        let bytes = buffer.readable_mut();
        match head::response(bytes, &mut session.progress, &mut bench.head, &bench.limits) {
            Parsed::Partial => {
                session.response.input = Some(buffer);
                Flow::Again
            }
            Parsed::Refused(refusal) => self.bad_answer(key, refusal, buffer),
            Parsed::Complete => {
                session.progress = Progress::default();
                match framing::response(&bench.head, buffer.readable(), session.exchange.asked()) {
                    Ok(framing) if framing.interim => self.pass_interim(key, buffer, &framing),
                    Ok(framing) => self.on_answer(key, buffer, &framing),
                    Err(refusal) => self.bad_answer(key, refusal, buffer),
                }
            }
        }
    }

    /// A 1xx answer: passed on to clients that know them; another head follows.
    fn pass_interim(&mut self, key: Key<Client>, mut buffer: Buffer, framing: &Framing) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let bench = &mut self.bench;
        session.exchange.on_response_head(framing);
        self.proxy_stats[client.frontend.0 as usize]
            .front
            .answer(bench.head.status);
        let mut length = 0;
        if session.exchange.takes_interim() {
            bench.edits.clear();
            let message = Message::new(buffer.readable(), &bench.head, &bench.edits);
            let how = Outgoing {
                minor: 1,
                ..Outgoing::default()
            };
            let Ok(rendered) = render(&message, &how, &mut bench.raw) else {
                let refusal = Refusal {
                    status: 502,
                    position: 0,
                    reason: "interim head too long",
                };
                return self.bad_answer(key, refusal, buffer);
            };
            length = rendered;
        }
        buffer.consume(bench.head.len as usize);
        if buffer.is_empty() {
            self.pool.give_back(buffer);
        } else {
            session.response.input = Some(buffer);
            session.unparsed_answer = true;
        }
        if length > 0 {
            let head = bench.raw.get(..length).unwrap_or_default();
            if !session.response.queue(head, &mut self.pool) {
                return Flow::Close(Termination::RESOURCE_IN_CONNECT);
            }
        }
        Flow::Again
    }

    /// The final head of the answer: rules, rendering, and out with what came of the body.
    fn on_answer(&mut self, key: Key<Client>, buffer: Buffer, framing: &Framing) -> Flow {
        let config = self.config;
        open!(self, key => client, session, else Flow::Gone);
        let status = self.bench.head.status;
        let (frontend, backend, server) = (client.frontend, session.backend, session.server);
        session.txn.marks.answered = self.now.ms as i64;
        self.bench.edits.clear();
        self.bench.scratch.start_message();
        if let Some(server) = server {
            self.server_stats[server.0 as usize].answer(status);
        }
        for proxy in [backend, Some(frontend).filter(|f| backend != Some(*f))]
            .into_iter()
            .flatten()
            .map(|id| config.proxy(id))
        {
            match self.run_response_rules(key, proxy, &buffer) {
                Ok(None) => {}
                Ok(Some(last)) => {
                    self.pool.give_back(buffer);
                    self.proxy_stats[proxy.id.0 as usize].back.dresp += 1;
                    self.drop_upstream(key);
                    return self.render_final(key, last, None);
                }
                Err(Overflow) => {
                    let refusal = Refusal {
                        status: 502,
                        position: 0,
                        reason: "answer too long",
                    };
                    return self.bad_answer(key, refusal, buffer);
                }
            }
        }
        self.pass_answer(key, buffer, framing)
    }

    fn run_response_rules(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        buffer: &Buffer,
    ) -> Result<Option<&'c Final>, Overflow> {
        if proxy.http_response.is_empty() {
            return Ok(None);
        }
        open!(self, key => client, session, else Ok(None));
        let facts = facts!(self, session, client.requests);
        let bench = &mut self.bench;
        let mut subject = Edited {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        let acls = &self.config.acls;
        let rules = &proxy.http_response;
        match evaluate_response(rules, acls, &facts, &mut subject, &mut bench.scratch)? {
            Verdict::Final(last) => Ok(Some(last)),
            Verdict::Continue | Verdict::Allow => Ok(None),
        }
    }

    /// Sends the head of the answer with the part of the body that came with it.
    fn pass_answer(&mut self, key: Key<Client>, mut buffer: Buffer, framing: &Framing) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let bench = &mut self.bench;
        let message = Message::new(buffer.readable(), &bench.head, &bench.edits);
        let status = message.status();
        let before = session.exchange;
        session.exchange.on_response_head(framing);
        if self.stopping {
            session.exchange.close_client();
        }
        let body = session.exchange.delivers(framing.body);
        let how = Outgoing {
            minor: 1,
            announce: match (framing.body, body) {
                (Body::Chunked, Body::UntilClose) => Announce::Nothing,
                _ => framing.announce,
            },
            persistence: session.exchange.persistence(1),
            drop_upgrade: framing.drop_upgrade,
        };
        session.txn.status = status;
        session.txn.bytes_read = logged_head_bytes(&message);
        let length = match render(&message, &how, &mut bench.raw) {
            Ok(length) => length,
            Err(Overflow) => {
                session.exchange = before;
                let refusal = Refusal {
                    status: 502,
                    position: 0,
                    reason: "answer too long",
                };
                return self.bad_answer(key, refusal, buffer);
            }
        };
        bench.prefix.clear();
        bench
            .prefix
            .extend_from_slice(bench.raw.get(..length).unwrap_or_default());
        buffer.consume(bench.head.len as usize);
        session.response.source = source_of(framing.body);
        session.response.rechunk = body == Body::Chunked;
        session.response.moved = 0;
        if session.exchange.response() == ResponseState::Tunnel {
            return self.open_tunnel(key, buffer);
        }
        let pool = &mut self.pool;
        if session.response.source == Source::Done {
            if !buffer.is_empty() {
                // Bytes that no request asked for: the connection cannot be trusted again.
                session.exchange.close_server();
                buffer.clear();
            }
        } else if let Err(why) =
            understand(&mut session.response, pool, &mut buffer, &mut bench.prefix)
        {
            let refusal = match why {
                Pumped::Refused(refusal) => refusal,
                _ => Refusal {
                    status: 502,
                    position: 0,
                    reason: "no buffer",
                },
            };
            session.exchange = before;
            return self.bad_answer(key, refusal, buffer);
        }
        session.txn.bytes_read += session.response.moved;
        if session.exchange.response() == ResponseState::Body
            && session.response.source == Source::Done
        {
            session.exchange.on_response_end();
            session.txn.bytes_read += u64::from(session.response.rechunk);
        }
        self.proxy_stats[client.frontend.0 as usize]
            .front
            .answer(status);
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize].back.answer(status);
        }
        let mut to = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        let sent = deliver(
            &mut self.net,
            pool,
            &mut to,
            &mut session.response,
            &bench.prefix,
            buffer,
        );
        match sent {
            Sent::All | Sent::Part => {
                if self.config.proxy(client.frontend).log_options.log_asap {
                    self.log_early(key);
                }
                Flow::Again
            }
            Sent::Failed(_) => self.client_lost_in_data(key),
            Sent::NoBuffer => Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
    }

    /// 101, or 2xx to CONNECT: from here on bytes only.
    fn open_tunnel(&mut self, key: Key<Client>, buffer: Buffer) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        session.request.source = Source::UntilClose;
        session.request.rechunk = false;
        session.response.source = Source::UntilClose;
        session.txn.bytes_read += buffer.len() as u64;
        self.proxy_stats[client.frontend.0 as usize]
            .front
            .answer(session.txn.status);
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize]
                .back
                .answer(session.txn.status);
        }
        let mut to = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        let prefix = &self.bench.prefix;
        match deliver(
            &mut self.net,
            &mut self.pool,
            &mut to,
            &mut session.response,
            prefix,
            buffer,
        ) {
            Sent::All | Sent::Part => {
                client.phase = Phase::Tunnel;
                Flow::Again
            }
            Sent::Failed(_) => self.client_lost_in_data(key),
            Sent::NoBuffer => Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
    }

    /// Bytes both ways; each side's end is passed on to the other.
    fn tunnel(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let Some(upstream) = session.upstream.and_then(|key| self.upstreams.get_mut(key)) else {
            return Flow::Close(Termination::SERVER_IN_DATA);
        };
        let net = &mut self.net;
        let (up_before, down_before) = (session.request.moved, session.response.moved);
        let up = pump(
            net,
            &mut self.pool,
            &mut self.bench.prefix,
            End {
                socket: &client.socket,
                ready: &mut client.ready,
            },
            upstream.end(),
            &mut session.request,
        );
        let down = pump(
            net,
            &mut self.pool,
            &mut self.bench.prefix,
            upstream.end(),
            End {
                socket: &client.socket,
                ready: &mut client.ready,
            },
            &mut session.response,
        );
        let (sent, received) = (
            session.request.moved - up_before,
            session.response.moved - down_before,
        );
        if sent + received > 0 {
            client.active_ms = self.now.ms;
            session.txn.bytes_uploaded += sent;
            session.txn.bytes_read += received;
        }
        if up == Pumped::Done && !session.request.shut {
            session.request.shut = true;
            net.shutdown_write(&upstream.socket);
        }
        if down == Pumped::Done && !session.response.shut {
            session.response.shut = true;
            net.shutdown_write(&client.socket);
        }
        if session.request.shut && session.response.shut {
            client.phase = Phase::Finish;
            return Flow::Again;
        }
        match (up, down) {
            (Pumped::SenderFailed(_), _) | (_, Pumped::ReceiverFailed(_)) => {
                self.client_lost_in_data(key)
            }
            (Pumped::ReceiverFailed(_), _) | (_, Pumped::SenderFailed(_)) => {
                self.server_lost_in_data(key)
            }
            (Pumped::NoBuffer, _) | (_, Pumped::NoBuffer) => {
                Flow::Close(Termination::RESOURCE_IN_CONNECT)
            }
            (Pumped::Spent, _) | (_, Pumped::Spent) => Flow::Again,
            _ => Flow::Wait,
        }
    }

    /// A TCP session begins with its connection.
    pub(crate) fn begin_tcp(&mut self, key: Key<Client>) -> bool {
        let config = self.config;
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let proxy = config.proxy(client.frontend);
        let id = self.sessions.take();
        client.session = Some(id);
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        session.renew();
        session.txn.reset();
        begin_record(&mut session.txn, client);
        session.request.source = Source::UntilClose;
        session.response.source = Source::UntilClose;
        client.phase = Phase::Connect;
        client.requests = 1;
        if proxy.needs_destination {
            session.txn.destination = self.net.local_address(&client.socket);
        }
        self.bench.scratch.start_message();
        match self.choose_backend(key, proxy, None) {
            Some(backend) => {
                self.enter_backend(key, backend);
                true
            }
            None => false,
        }
    }

    /// Sends what is left of an answer of our own.
    fn send_answer(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let mut to = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        match flush(
            &mut self.net,
            &mut self.pool,
            &mut to,
            &mut session.response,
        ) {
            Sent::All => {
                client.phase = Phase::Finish;
                Flow::Again
            }
            Sent::Part => Flow::Wait,
            Sent::Failed(_) => Flow::Close(session.txn.termination),
            Sent::NoBuffer => Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
    }

    /// All is sent: the log line, the server's slot and connection, and then the next request or the
    /// end.
    fn finish(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let ending = if session.txn.http && session.exchange.is_over() {
            session.exchange.ending()
        } else {
            Ending::CloseBoth
        };
        let reusable = matches!(ending, Ending::KeepBoth | Ending::CloseClient);
        let unread = session.txn.http && session.exchange.request() != RequestState::Done;
        let frontend = client.frontend;
        self.end_session(key, reusable);
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        let keep = matches!(ending, Ending::KeepBoth | Ending::CloseServer) && !self.stopping;
        if keep {
            return self.next_request(key);
        }
        debug_assert_eq!(client.frontend, frontend);
        self.release_session(key);
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        if unread {
            self.net.shutdown_write(&client.socket);
            client.phase = Phase::Linger;
            client.active_ms = self.now.ms;
            return Flow::Again;
        }
        self.remove_client(key);
        Flow::Gone
    }

    /// The client connection waits for its next request, which may have come already.
    fn next_request(&mut self, key: Key<Client>) -> Flow {
        let now = self.now;
        open!(self, key => client, session, else Flow::Gone);
        client.phase = Phase::Request;
        client.since_ms = now.ms;
        client.since_wall_ms = now.wall_ms;
        client.active_ms = now.ms;
        if let Some(next) = session.request.input.take() {
            session.request.reset(&mut self.pool);
            session.response.reset(&mut self.pool);
            session.renew();
            session.txn.next_request(now.ms, now.wall_ms);
            session.request.input = Some(next);
            session.unparsed_request = true;
            return Flow::Again;
        }
        self.release_session(key);
        let Some(client) = self.clients.get(key) else {
            return Flow::Gone;
        };
        if client.ready.has(Readiness::READABLE) {
            Flow::Again
        } else {
            Flow::Wait
        }
    }

    /// Reads and forgets until the client has closed, or has had time enough.
    fn linger(&mut self, key: Key<Client>) -> Flow {
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        if !client.ready.has(Readiness::READABLE) {
            return Flow::Wait;
        }
        let Some(mut buffer) = self.pool.lend() else {
            self.remove_client(key);
            return Flow::Gone;
        };
        let mut from = client.end();
        let result = receive(&mut self.net, &mut from, &mut buffer);
        self.pool.give_back(buffer);
        match result {
            Ok(_) => Flow::Again,
            Err(Stop::Blocked) => Flow::Wait,
            Err(_) => {
                self.remove_client(key);
                Flow::Gone
            }
        }
    }

    /// Ends a session out of order: log line, server connection, client connection.
    pub(crate) fn close(&mut self, key: Key<Client>, why: Termination) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        if let Some(session) = client.session.and_then(|id| self.sessions.get_mut(id)) {
            if session.txn.termination.is_normal() {
                session.txn.termination = why;
            }
            self.end_session(key, false);
            self.release_session(key);
        }
        self.remove_client(key);
    }

    /// Lets an idle client go (soft stop).
    pub(crate) fn close_idle_client(&mut self, key: Key<Client>) {
        self.remove_client(key);
    }

    /// The session's accounts: log line, counters, slot, server connection.
    fn end_session(&mut self, key: Key<Client>, reusable: bool) {
        let now = self.now.ms;
        self.settle_counters(key);
        self.log_session(key);
        open!(self, key => client, session, else ());
        let http = session.txn.http;
        let reusable = reusable && session.response.input.is_none();
        let server = session.server;
        if let Some(backend) = session.backend {
            let stats = &mut self.proxy_stats[backend.0 as usize].back;
            stats.leave();
            stats.bin += session.txn.bytes_uploaded;
            stats.bout += session.txn.bytes_read;
            add_times(stats, &session.txn);
        }
        if let Some(server) = server {
            let stats = &mut self.server_stats[server.0 as usize];
            stats.bin += session.txn.bytes_uploaded;
            stats.bout += session.txn.bytes_read;
            add_times(stats, &session.txn);
        }
        let front = &mut self.proxy_stats[client.frontend.0 as usize].front;
        front.bin += session.txn.bytes_uploaded;
        front.bout += session.txn.bytes_read;
        self.process.bytes_out += session.txn.bytes_read;
        let bytes = u32::try_from(session.txn.bytes_read).unwrap_or(u32::MAX);
        self.process.bytes_out_rate.add(now, bytes);
        self.leave_queue(key);
        if reusable && http {
            self.park_upstream(key);
        } else {
            self.drop_upstream(key);
        }
        self.free_slot(key);
        open!(self, key => _client, session, else ());
        session.backend = None;
    }

    /// Gives the session's record and buffers back.
    fn release_session(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Some(id) = client.session.take() else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(id) {
            session.request.reset(&mut self.pool);
            session.response.reset(&mut self.pool);
            debug_assert!(session.upstream.is_none() && !session.holds_slot);
        }
        self.sessions.release(id);
    }

    /// Runs the facts past a rule's answer and sends it; the request's body is skipped.
    fn answer_final(
        &mut self,
        key: Key<Client>,
        last: &'c Final,
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        let Some(client) = self.clients.get(key) else {
            return Flow::Gone;
        };
        let stats = &mut self.proxy_stats[client.frontend.0 as usize].front;
        match last.kind {
            Kind::Deny => stats.dreq += 1,
            Kind::Return | Kind::Redirect => stats.intercepted += 1,
        }
        self.render_final(key, last, Some((buffer, framing)))
    }

    /// Sends the plain error for an edit that did not fit.
    fn answer_overflow(&mut self, key: Key<Client>, buffer: Buffer, framing: &Framing) -> Flow {
        self.skip_request(key, buffer, framing);
        if let Some(client) = self.clients.get(key) {
            self.proxy_stats[client.frontend.0 as usize].front.wrew += 1;
        }
        self.answer_status(key, 500, Termination::PROXY_IN_REQUEST)
    }
}

/// What of the log record belongs to the connection.
fn begin_record(txn: &mut Txn, client: &Client) {
    txn.accept_date_ms = client.since_wall_ms;
    txn.marks.accepted = client.since_ms as i64;
    txn.marks.handshaken = client.since_ms as i64;
    txn.source = client.source;
    txn.frontend = client.frontend.0;
    txn.listener = client.listener;
    txn.backend = NO_ID;
}

/// How a body that comes in ends.
pub(crate) fn source_of(body: Body) -> Source {
    match body {
        Body::None => Source::Done,
        Body::Length(length) => Source::Length(length),
        Body::Chunked => Source::Chunked(crate::http::chunked::Chunked::default()),
        Body::UntilClose | Body::Tunnel => Source::UntilClose,
    }
}

fn add_times(stats: &mut super::stats::Counters, txn: &Txn) {
    stats.qtime.add(txn.timer_queue());
    stats.ctime.add(txn.timer_connect());
    stats.rtime.add(txn.timer_response());
    stats.ttime.add(txn.timer_total());
}
