//! Requests answered by a service of our own: the statistics page, the metrics.
//!
//! The service decides the head at once and renders the body piece by piece, each when the client
//! has taken the one before, so that an answer of many megabytes costs a piece of memory and never
//! holds the loop up. HTTP/1.1 clients get it in chunks, others until the connection closes; HEAD
//! gets the head alone. The body of a POST is read first, up to a buffer.
//!
//! In the log a service is the server (`<STATS>`), and the timers say that it answered at once, as
//! HAProxy's do.
//!
//! Rejected: rendering into one buffer at once, as the runtime socket does. Anybody may ask for
//! the page, many times at once, and read slowly.

use std::fmt;
use std::sync::Arc;

use super::Engine;
use super::accept::Client;
use super::context::{Looking, facts};
use super::relay::{End, Sent, Source, receive, understand};
use super::service::{Applet, Inquiry, Opened, Posted, Service};
use super::session::{Flow, Phase, flush_answer, open, source_of};
use crate::base::arena::{Handle, Key};
use crate::base::buffer::Buffer;
use crate::config::model::{Access, ProxyId, Statistics};
use crate::http::chunked::size_line;
use crate::http::exchange::RequestState;
use crate::http::framing::Framing;
use crate::http::head::{Method, Name};
use crate::http::reply::{HeadWriter, LOGGED_MESSAGE_END, reason};
use crate::http::rewrite::Message;
use crate::log::record::Target;
use crate::log::termination::{Cause, Stage, Termination};
use crate::net::{Net, Readiness, Stop};
use crate::rules::condition::Condition;

/// What a chunk needs beside its bytes: the size line, two line ends, the last chunk.
const CHUNK_REST: usize = 32;

/// The interim answer to `Expect: 100-continue`.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// `stats realm` when it is not said.
const REALM: &str = "HAProxy Statistics";

/// An answer that a service is giving.
pub struct Serving<P> {
    applet: Applet,
    proxy: ProxyId,
    admin: bool,
    target: Vec<u8>,
    /// The body of the request; `None` when it is longer than what is kept.
    body: Option<Vec<u8>>,
    page: Option<P>,
    /// Rendered, and from `sent` on not yet on its way.
    out: Vec<u8>,
    sent: usize,
}

impl<P: fmt::Debug> fmt::Debug for Serving<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.out.len().saturating_sub(self.sent);
        write!(f, "{:?} of {:?}: ", self.applet, self.proxy)?;
        write!(f, "{:?}, {waits} bytes wait", self.page)
    }
}

/// Whether another site made the browser send a request. Browsers say so; who says nothing is no
/// browser, and nobody can make it send anything.
fn is_from_elsewhere(request: &Message<'_>) -> bool {
    if request.method() != Method::Post {
        return false;
    }
    if let Some(site) = request.header(b"sec-fetch-site").next() {
        return !matches!(site, b"same-origin" | b"none");
    }
    let Some(origin) = request.header(b"origin").next() else {
        return false;
    };
    let authority = origin
        .strip_prefix(b"http://")
        .or_else(|| origin.strip_prefix(b"https://"));
    let host = request.known(Name::Host).unwrap_or_default();
    // `null` is the origin of what has none, such as a file or a sandbox.
    !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// As a session keeps the key of an answer.
fn handle<P>(key: Key<Serving<P>>) -> Handle {
    key.handle(0)
}

impl<'c, N: Net, S: Service> Engine<'c, N, S> {
    /// Lets a service answer a request. `whose` is the proxy that says so, and whether the client
    /// may change things there.
    pub(crate) fn answer_by_service(
        &mut self,
        key: Key<Client>,
        applet: Applet,
        whose: (ProxyId, bool),
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        let now = self.now.ms;
        open!(self, key => client, session, else Flow::Gone);
        let message = Message::new(buffer.readable(), &self.bench.head, &self.bench.edits);
        let method = message.method();
        let target = message.pathq().unwrap_or_else(|| message.target()).to_vec();
        session.exchange.set_method(method);
        session.txn.target = match applet {
            Applet::Stats => Target::Stats,
            Applet::Prometheus => Target::Prometheus,
        };
        self.proxy_stats[client.frontend.0 as usize]
            .front
            .intercepted += 1;
        session.txn.marks.dequeued = now as i64;
        session.txn.marks.connected = now as i64;
        let serving = Serving {
            applet,
            proxy: whose.0,
            admin: whose.1,
            target,
            body: (method == Method::Post).then(Vec::new),
            page: None,
            out: Vec::new(),
            sent: 0,
        };
        let Ok(place) = self.servings.insert(serving) else {
            self.pool.give_back(buffer);
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        session.serving = Some(handle(place));
        if method != Method::Post || !applet.reads_body() {
            self.skip_request(key, buffer, framing);
            return self.open_answer(key, Posted::Not);
        }
        session.request.source = source_of(framing.body);
        session.request.rechunk = false;
        session.waiting_since_ms = now;
        client.phase = Phase::Body;
        let mut buffer = buffer;
        buffer.consume(self.bench.head.len as usize);
        if session.request.source == Source::Done {
            // No body, and perhaps the next request behind it.
            if buffer.is_empty() {
                self.pool.give_back(buffer);
            } else {
                session.request.input = Some(buffer);
            }
            return self.open_posted(key);
        }
        match self.take_body(key, buffer) {
            Flow::Wait => {}
            flow => return flow,
        }
        open!(self, key => _client, session, else Flow::Gone);
        let fits =
            !session.exchange.awaits_continue() || session.response.queue(CONTINUE, &mut self.pool);
        match fits {
            true => Flow::Again,
            false => Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
    }

    /// Lets the statistics answer, if the lines of their proxy let the client see them.
    pub(crate) fn answer_stats(
        &mut self,
        key: Key<Client>,
        stats: &'c Statistics,
        proxy: ProxyId,
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let facts = facts!(self, session, client.requests);
        let bench = &mut self.bench;
        let request = Message::new(buffer.readable(), &bench.head, &bench.edits);
        let looking = Looking {
            facts: &facts,
            request: Some(request),
            response: None,
        };
        let is_asked_as_proxy = !matches!(request.target().first(), Some(b'/' | b'*'));
        let as_proxy = is_asked_as_proxy && self.config.proxy(client.frontend).http.proxy_header;
        let credentials: &[u8] = match as_proxy {
            true => b"proxy-authorization",
            false => b"authorization",
        };
        let acls = &self.config.acls;
        let mut holds = |condition: &Condition| condition.holds(acls, &looking, &mut bench.scratch);
        let mut rules = stats.rules.iter();
        let rule = rules.find(|rule| rule.condition.as_ref().is_none_or(&mut holds));
        let realm = match rule.map(|rule| &rule.action) {
            Some(Access::Deny) => {
                session.txn.target = Target::Stats;
                self.proxy_stats[client.frontend.0 as usize].front.dreq += 1;
                self.listener_stats
                    .count(client.listener, |own| own.dreq += 1);
                self.skip_request(key, buffer, framing);
                return self.answer_status(key, 403, Termination::PROXY_IN_REQUEST);
            }
            // There is no list of users that such a rule could ask.
            Some(Access::Authenticate(realm)) => Some(realm),
            Some(Access::Allow) => None,
            None => (!stats.knows(request.header(credentials))).then_some(&stats.realm),
        };
        if let Some(realm) = realm {
            session.txn.target = Target::Stats;
            self.proxy_stats[client.frontend.0 as usize]
                .front
                .intercepted += 1;
            self.skip_request(key, buffer, framing);
            return self.answer_unauthorized(key, realm.as_deref().unwrap_or(REALM), as_proxy);
        }
        let admin = stats.admins.iter().any(holds) && !is_from_elsewhere(&request);
        self.answer_by_service(key, Applet::Stats, (proxy, admin), buffer, framing)
    }

    /// Reads on in the body of a request that a service answers.
    pub(crate) fn read_body(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        match flush_answer(&mut self.net, &mut self.pool, self.now, client, session) {
            Sent::All => {}
            Sent::Part => return Flow::Wait,
            Sent::Failed(_) => return self.poster_lost(key),
            Sent::NoBuffer => return Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
        if !client.ready.has(Readiness::READABLE) {
            return Flow::Wait;
        }
        let Some(mut buffer) = self.pool.lend() else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        let mut from = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        match receive(&mut self.net, &mut from, &mut buffer) {
            Ok(_) => {
                client.active_ms = self.now.ms;
                match self.take_body(key, buffer) {
                    Flow::Wait => Flow::Again,
                    flow => flow,
                }
            }
            Err(stop) => {
                self.pool.give_back(buffer);
                match stop {
                    Stop::Blocked => Flow::Wait,
                    _ => self.poster_lost(key),
                }
            }
        }
    }

    /// Keeps what came of the body; `Wait` when more is to come.
    fn take_body(&mut self, key: Key<Client>, mut buffer: Buffer) -> Flow {
        let most = self.bench.limits.bytes_max as usize;
        open!(self, key => client, session, else { self.pool.give_back(buffer); Flow::Gone });
        self.bench.prefix.clear();
        let prefix = &mut self.bench.prefix;
        let block = understand(&mut session.request, &mut self.pool, &mut buffer, prefix);
        let Ok(block) = block else {
            self.pool.give_back(buffer);
            self.proxy_stats[client.frontend.0 as usize].front.ereq += 1;
            self.listener_stats
                .count(client.listener, |own| own.ereq += 1);
            session.exchange.on_request_error();
            return self.answer_status(key, 400, Termination::PROXY_IN_REQUEST);
        };
        let serving = session.serving.map(Key::from_handle);
        if let Some(serving) = serving.and_then(|key| self.servings.get_mut(key)) {
            serving.body = serving.body.take().filter(|body| {
                let length = body.len() + buffer.len();
                length <= most
            });
            if let Some(body) = &mut serving.body {
                body.extend_from_slice(buffer.readable());
            }
            if serving.body.is_none() {
                // What is still to come is nobody's: the connection ends after the answer.
                session.request.source = Source::Done;
                self.pool.give_back(buffer);
                return self.open_posted(key);
            }
        }
        session.txn.bytes_uploaded += buffer.len() as u64;
        self.pool.give_back(buffer);
        if !block.done {
            return Flow::Wait;
        }
        if session.exchange.request() == RequestState::Body {
            session.exchange.on_request_end();
        }
        self.open_posted(key)
    }

    /// The client broke off in the middle of its request.
    fn poster_lost(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        session.exchange.on_request_error();
        let front = &mut self.proxy_stats[client.frontend.0 as usize].front;
        front.ereq += 1;
        front.cli_abrt += 1;
        self.listener_stats
            .count(client.listener, |own| own.ereq += 1);
        Flow::Close(Termination::CLIENT_IN_REQUEST)
    }

    /// The body of a request did not come in its time.
    pub(crate) fn body_too_late(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        session.exchange.on_request_error();
        self.proxy_stats[client.frontend.0 as usize].front.ereq += 1;
        self.listener_stats
            .count(client.listener, |own| own.ereq += 1);
        self.answer_status(key, 408, Termination::CLIENT_TIMEOUT_IN_REQUEST)
    }

    /// The request has come whole.
    fn open_posted(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        let serving = session.serving.map(Key::from_handle);
        let Some(serving) = serving.and_then(|key| self.servings.get_mut(key)) else {
            return Flow::Gone;
        };
        match serving.body.take() {
            Some(body) => self.open_answer(key, Posted::Whole(&body)),
            None => self.open_answer(key, Posted::TooLong),
        }
    }

    /// Asks the service for its answer and queues the head.
    fn open_answer(&mut self, key: Key<Client>, body: Posted<'_>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        let serving = session.serving.map(Key::from_handle);
        let Some(serving) = serving.and_then(|key| self.servings.get(key)) else {
            return Flow::Gone;
        };
        let asked = Inquiry {
            applet: serving.applet,
            proxy: serving.proxy,
            target: &serving.target,
            body,
            admin: serving.admin,
        };
        let view = super::view!(self);
        let opened = self.service.open(&asked, &view);
        self.begin_answer(key, opened)
    }

    fn begin_answer(&mut self, key: Key<Client>, opened: Opened<S::Page>) -> Flow {
        if opened.is_refused() {
            self.end_serving(key);
            open!(self, key => _client, session, else Flow::Gone);
            session.txn.marks.answered = self.now.ms as i64;
            let builtins = Arc::clone(&self.builtins);
            let reply = builtins.answer(opened.status);
            return self.send_reply(key, opened.status, reply, Termination::LOCAL);
        }
        for command in opened.commands {
            self.apply(command);
        }
        let closing = self.closes_own_answers(key);
        open!(self, key => client, session, else Flow::Gone);
        let asked = session.exchange.asked();
        let page = opened.page.filter(|_| asked.method != Method::Head);
        let open_ended = page.is_some() && asked.minor == 0;
        session.response.reset(&mut self.net, &mut self.pool);
        session.exchange.on_own_answer(open_ended || closing);
        let head = &mut self.bench.answer.0;
        let mut writer = HeadWriter::new(head, 1, opened.status, reason(opened.status));
        for (name, value) in &opened.fields {
            writer.field(name.as_bytes(), value.as_bytes());
        }
        if page.is_some() && !open_ended {
            writer.field(b"transfer-encoding", b"chunked");
        }
        session.txn.bytes_read = session.gathered.logged() + writer.logged() + LOGGED_MESSAGE_END;
        writer.finish(session.exchange.persistence(1));
        session.txn.marks.answered = self.now.ms as i64;
        session.txn.status = opened.status;
        session.txn.termination = Termination::LOCAL;
        let Some(mut buffer) = self.pool.lend() else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        let fits = buffer.extend(head) == head.len();
        session.response.output[0] = Some(buffer);
        if !fits {
            return Flow::Close(Termination::new(Cause::Internal, Stage::Request));
        }
        client.phase = Phase::Answer;
        client.active_ms = self.now.ms;
        let (frontend, backend) = (client.frontend, session.backend);
        let serving = session.serving.map(Key::from_handle);
        match (serving.and_then(|key| self.servings.get_mut(key)), page) {
            (Some(serving), Some(page)) => {
                serving.page = Some(page);
                session.response.rechunk = !open_ended;
                session.response.ends_by_close = open_ended;
                session.response.source = Source::UntilClose;
            }
            _ => {
                session.exchange.on_response_end();
                self.end_serving(key);
            }
        }
        self.proxy_stats[frontend.0 as usize]
            .front
            .answer(opened.status);
        if let Some(backend) = backend {
            self.proxy_stats[backend.0 as usize]
                .back
                .answered(opened.status);
        }
        Flow::Again
    }

    /// All that was rendered is on its way: the next piece, or the end.
    pub(crate) fn fill_answer(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        let place = session.serving.map(Key::from_handle);
        let Some(serving) = place.and_then(|key| self.servings.get_mut(key)) else {
            return Flow::Gone;
        };
        if serving.sent == serving.out.len() {
            serving.out.clear();
            serving.sent = 0;
            if let Some(page) = &mut serving.page {
                let view = super::view!(self);
                if !self.service.fill(page, &view, &mut serving.out) {
                    serving.page = None;
                }
            }
        }
        open!(self, key => _client, session, else Flow::Gone);
        let Some(mut buffer) = self.pool.lend() else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        let room = buffer.room().saturating_sub(CHUNK_REST);
        let waits = serving.out.get(serving.sent..).unwrap_or_default();
        let piece = waits.get(..room.min(waits.len())).unwrap_or_default();
        let chunked = session.response.rechunk;
        if chunked && !piece.is_empty() {
            buffer.extend(size_line(piece.len(), &mut [0; 20]));
        }
        buffer.extend(piece);
        if chunked && !piece.is_empty() {
            buffer.extend(b"\r\n");
        }
        session.txn.bytes_read += piece.len() as u64;
        serving.sent += piece.len();
        let over = serving.page.is_none() && serving.sent == serving.out.len();
        if over && chunked {
            buffer.extend(b"0\r\n\r\n");
        }
        session.response.push(buffer, &mut self.pool);
        if over {
            session.response.source = Source::Done;
            session.exchange.on_response_end();
            self.end_serving(key);
        }
        Flow::Again
    }

    /// Forgets the answer that a service was giving.
    pub(crate) fn end_serving(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        if let Some(serving) = session.serving.take() {
            self.servings.remove(Key::from_handle(serving));
        }
    }
}
