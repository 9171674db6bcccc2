//! From a client's bytes to a request on its way: the left half of a session's life.
//!
//! Reads a head, frames it, runs the rules of the frontend and of the backend, chooses the backend,
//! and renders the head that goes out. Everything here happens in one go, so the parsed head and
//! its edits live on the engine's bench and not in the session; what must outlive the step is
//! rendered.

use super::Engine;
use super::accept::Client;
use super::context::{Looking, Sight, facts};
use super::errors::Place;
use super::gather::may_gather;
use super::introduction::destination;
use super::relay::{End, Pumped, Source, Splice, receive, understand};
use super::service::{Applet, Service};
use super::session::{Flow, Phase, SessionId, begin_record, note_line, open, source_of};
use crate::base::addr::{Address, write_decimal};
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::config::model::{HttpConnection, Proxy, RetryOn, Statistics, SwitchTarget};
use crate::http::exchange::Persistence;
use crate::http::framing::{self, Body, Framing};
use crate::http::head::{self, Limits, Method, Name, Parsed, Progress, Refusal};
use crate::http::render::{Outgoing, render};
use crate::http::rewrite::{Editor, Message, Overflow, counted_head};
use crate::log::record::{NO_ID, NO_MARK};
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Stop};
use crate::rules::action::{RequestRule, Subject as Edited, Verdict, evaluate_request};
use crate::rules::answer::{Final, Kind};
use crate::rules::plan::{Rules, Walk};
use crate::rules::wait::WaitForBody;

/// Who answers a request that goes to no server.
#[derive(Clone, Copy, Debug)]
enum Own<'c> {
    /// A rule.
    Rule(&'c Final),
    /// A service.
    Service(Applet),
    /// The statistics, as far as their lines let the client see them.
    Stats(&'c Statistics),
    /// Nobody yet: the body is waited for, and the rules go on from this one.
    Later(WaitForBody, u32),
}

impl<'c, N: Net, S: Service> Engine<'c, N, S> {
    /// Reads until a request head is whole.
    pub(crate) fn read_request(&mut self, key: Key<Client>) -> Flow {
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
        let lenient = self.config.proxy(client.frontend).accept_invalid.request;
        let id = self.begin_http(key);
        let Some(session) = id.and_then(|id| self.sessions.get_mut(id)) else {
            self.pool.give_back(buffer);
            return Flow::Gone;
        };
        let bench = &mut self.bench;
        let bytes = buffer.readable_mut();
        let limits = Limits {
            lenient,
            ..bench.limits
        };
        match head::request(bytes, &mut session.progress, &mut bench.head, &limits) {
            Parsed::Partial => {
                session.exchange.on_request_bytes();
                self.keep_input(key, buffer);
                Flow::Again
            }
            Parsed::Refused(refusal) => {
                self.count_request(key);
                self.refuse(key, refusal, buffer)
            }
            Parsed::Complete => {
                // The answer's head is looked for from its own beginning.
                session.progress = Progress::default();
                self.on_request(key, buffer)
            }
        }
    }

    /// Keeps bytes that do not make a whole head yet; an empty buffer goes back to the pool.
    pub(crate) fn keep_input(&mut self, key: Key<Client>, buffer: Buffer) {
        let session = self.clients.get(key).and_then(|client| client.session);
        match session.and_then(|id| self.sessions.get_mut(id)) {
            Some(session) if !buffer.is_empty() => session.request.input = Some(buffer),
            _ => self.pool.give_back(buffer),
        }
    }

    /// Makes sure that there is a session, its record begun at the request's first byte.
    pub(crate) fn begin_http(&mut self, key: Key<Client>) -> Option<SessionId> {
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
                begin_record(&mut session.txn, client, &self.introductions);
                id
            }
        };
        let session = self.sessions.get_mut(id)?;
        if session.txn.marks.request_started < 0 {
            session.txn.marks.request_started = now.ms as i64;
            session.txn.request_date_ms = now.wall_ms;
            let proxy = self.config.proxy(client.frontend);
            if proxy.needs_destination {
                session.txn.rare_mut().destination =
                    destination(&mut self.net, &self.introductions, client);
            }
        }
        Some(id)
    }

    /// The client ended its side, or broke, before its request was whole.
    fn request_cut_short(&mut self, key: Key<Client>, in_order: bool) -> Flow {
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        let proxy = self.config.proxy(client.frontend);
        if client.session.is_none() {
            let unseen = proxy.log_options.dont_log_null || proxy.http.ignore_probes;
            if client.requests > 0 || unseen {
                self.remove_client(key);
                return Flow::Gone;
            }
            self.begin_null(key);
        }
        self.proxy_stats[proxy.id.0 as usize].front.ereq += 1;
        open!(self, key => client, session, else Flow::Gone);
        self.listener_stats
            .count(client.listener, |own| own.ereq += 1);
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
            begin_record(&mut session.txn, client, &self.introductions);
            session.txn.request_date_ms = client.since_wall_ms;
            if self.config.proxy(client.frontend).needs_destination {
                session.txn.rare_mut().destination =
                    destination(&mut self.net, &self.introductions, client);
            }
        }
    }

    /// A request that cannot be read: the built-in answer, below the HTTP layer.
    pub(crate) fn refuse(&mut self, key: Key<Client>, refusal: Refusal, buffer: Buffer) -> Flow {
        if let Some(client) = self.clients.get(key) {
            let place = Place::request(client.frontend, None, None);
            let source = client.source;
            self.errors
                .keep(place, source, self.now, refusal, buffer.readable());
        }
        self.pool.give_back(buffer);
        ::log::debug!(
            "request refused at byte {}: {}",
            refusal.position,
            refusal.reason
        );
        open!(self, key => client, session, else Flow::Gone);
        self.proxy_stats[client.frontend.0 as usize].front.ereq += 1;
        self.listener_stats
            .count(client.listener, |own| own.ereq += 1);
        session.txn.request_line.clear();
        session.exchange.on_request_error();
        self.answer_raw(key, refusal.status, Termination::PROXY_IN_REQUEST)
    }

    /// A frontend counts every request, readable or not.
    pub(crate) fn count_request(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let stats = &mut self.proxy_stats[client.frontend.0 as usize].front;
        stats.req_tot += 1;
        stats.req_rate.add(self.now.ms, 1);
    }

    /// A whole head has come: rules, routing, and off to a server.
    pub(crate) fn on_request(&mut self, key: Key<Client>, buffer: Buffer) -> Flow {
        let config = self.config;
        let now = self.now;
        open!(self, key => client, session, else Flow::Gone);
        let framing = match framing::request(&self.bench.head, buffer.readable()) {
            Ok(framing) => framing,
            Err(refusal) => {
                self.count_request(key);
                return self.refuse(key, refusal, buffer);
            }
        };
        let head = &self.bench.head;
        session.exchange.on_request_head(head, &framing);
        note_line(&mut session.txn, &config.global, head, buffer.readable());
        session.txn.marks.request_ended = now.ms as i64;
        session.txn.bytes_uploaded = counted_head(head, buffer.readable()) as u64;
        client.requests += 1;
        let proxy = config.proxy(client.frontend);
        self.bench.edits.clear();
        if !proxy.content.is_empty() {
            session.waiting_since_ms = now.ms;
            return self.inspect_request(key, proxy, buffer, &framing);
        }
        self.admit_request(key, proxy, buffer, &framing)
    }

    /// A request is let in: it is counted, and passes its frontend.
    pub(crate) fn admit_request(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        self.process.requests_total += 1;
        open!(self, key => _client, session, else { self.pool.give_back(buffer); Flow::Gone });
        session.txn.request_count = self.process.requests_total;
        self.count_request(key);
        self.bench.scratch.start_message();
        if let Some(unique_id) = &proxy.unique_id {
            self.name_session(key, unique_id, Some(&buffer));
        }

        if let Some(uri) = &proxy.monitor_uri
            && self.bench.head.target.of(buffer.readable()) == uri.as_bytes()
        {
            open!(self, key => _client, session, else Flow::Gone);
            session.logged = true;
            self.skip_request(key, buffer, framing);
            return self.answer_status(key, 200, Termination::LOCAL);
        }
        if proxy.http.buffer_request && may_gather(framing) {
            return self.gather(key, buffer, framing);
        }
        self.pass_frontend(key, proxy, buffer, framing)
    }

    /// The frontend's rules, and which backend the request is for.
    pub(crate) fn pass_frontend(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        if proxy.persistence.cookie.is_some() && !self.resumes(key) {
            self.expect_cookie(key, proxy);
        }
        if proxy.may_answer_itself() {
            match self.run_own_rules(key, proxy, &buffer, framing) {
                Ok(None) => {}
                Ok(Some(own)) => return self.answer_own(key, own, proxy, buffer, framing),
                Err(Overflow) => return self.answer_overflow(key, buffer, framing),
            }
        }
        let Some(backend) = self.choose_backend(key, proxy, Sight::Request(&buffer)) else {
            open!(self, key => _client, session, else Flow::Gone);
            session.txn.marks.request_ended = NO_MARK;
            self.skip_request(key, buffer, framing);
            return self.answer_status(key, 503, Termination::SERVER_IN_CONNECT);
        };
        self.enter_backend(key, backend);
        if backend.id != proxy.id && !backend.content.is_empty() {
            open!(self, key => _client, session, else { self.pool.give_back(buffer); Flow::Gone });
            session.waiting_since_ms = self.now.ms;
            return self.inspect_request(key, backend, buffer, framing);
        }
        self.enter_with_body(key, (proxy, backend), buffer, framing)
    }

    /// The request is its backend's, once that has the body where it waits for one.
    pub(crate) fn enter_with_body(
        &mut self,
        key: Key<Client>,
        (proxy, backend): (&'c Proxy, &'c Proxy),
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        let waits = backend.http.buffer_request && !proxy.http.buffer_request;
        if waits && may_gather(framing) {
            return self.gather(key, buffer, framing);
        }
        self.pass_backend(key, (proxy, backend), buffer, framing)
    }

    /// The backend's rules, a server, and off to it.
    pub(crate) fn pass_backend(
        &mut self,
        key: Key<Client>,
        (proxy, backend): (&'c Proxy, &'c Proxy),
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        let persists = !proxy.persistence.is_empty() || !backend.persistence.is_empty();
        if persists && !self.resumes(key) {
            self.begin_persistence(key, backend, Sight::Request(&buffer));
        }
        if backend.id != proxy.id && backend.may_answer_itself() {
            match self.run_own_rules(key, backend, &buffer, framing) {
                Ok(None) => {}
                Ok(Some(own)) => return self.answer_own(key, own, backend, buffer, framing),
                Err(Overflow) => return self.answer_overflow(key, buffer, framing),
            }
        }
        if self.bench.head.has(Name::MaxForwards) {
            match self.forward_once_less(key, &buffer) {
                Ok(None) => {}
                Ok(Some(status)) => {
                    self.skip_request(key, buffer, framing);
                    return match status {
                        200 => self.answer_nothing(key),
                        _ => self.answer_status(key, status, Termination::LOCAL),
                    };
                }
                Err(Overflow) => return self.answer_overflow(key, buffer, framing),
            }
        }
        if !backend.persistence.choices.is_empty() {
            self.choose_server(key, backend, Sight::Request(&buffer));
        }
        let cookies = backend.persistence.cookie.is_some() || proxy.capture.is_some();
        if cookies && self.follow_request(key, (proxy, backend), &buffer).is_err() {
            return self.answer_overflow(key, buffer, framing);
        }
        if let Some(hashing) = &backend.hashing {
            self.find_hash(key, hashing, Sight::Request(&buffer));
        }
        match self.render_request(key, proxy, backend, &buffer, framing) {
            Ok(()) => self.send_request(key, buffer, framing),
            Err(Overflow) => self.answer_overflow(key, buffer, framing),
        }
    }

    /// Answers a request that goes to no server; `proxy` is the one whose lines say so.
    fn answer_own(
        &mut self,
        key: Key<Client>,
        own: Own<'c>,
        proxy: &Proxy,
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        match own {
            Own::Rule(last) => {
                if last.kind == Kind::Deny {
                    self.follow_denied(key, proxy, &buffer);
                }
                self.answer_final(key, last, buffer, framing)
            }
            Own::Service(applet) => {
                self.answer_by_service(key, applet, (proxy.id, false), buffer, framing)
            }
            Own::Stats(stats) => self.answer_stats(key, stats, proxy.id, buffer, framing),
            Own::Later(wait, next) => self.gather_for_rule(key, (wait, next), buffer, framing),
        }
    }

    /// Whether the rules go on from where they had stopped for the body.
    fn resumes(&self, key: Key<Client>) -> bool {
        let session = self.clients.get(key).and_then(|client| client.session);
        let session = session.and_then(|id| self.sessions.get(id));
        session.is_some_and(|session| session.gathered.resume() > 0)
    }

    /// `Max-Forwards` of OPTIONS and TRACE (RFC 9110 §7.6.2): counts down, or gives the status with
    /// which the request ends here.
    #[cold]
    fn forward_once_less(
        &mut self,
        key: Key<Client>,
        buffer: &Buffer,
    ) -> Result<Option<u16>, Overflow> {
        open!(self, key => client, session, else Ok(None));
        let bench = &mut self.bench;
        let mut editor = Editor {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        let method = editor.message().method();
        let ends_here = match method {
            Method::Options => 200,
            // We reflect nothing.
            Method::Trace => 501,
            _ => return Ok(None),
        };
        let Some(value) = editor.message().known(Name::MaxForwards) else {
            return Ok(None);
        };
        let number = |value| {
            let digits = std::str::from_utf8(value).ok()?;
            // Not a sign, which `parse` would take.
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|_| plain)
        };
        match number(value) {
            Some(0) => {
                session.exchange.set_method(method);
                self.proxy_stats[client.frontend.0 as usize]
                    .front
                    .intercepted += 1;
                Ok(Some(ends_here))
            }
            Some(more) => {
                bench.text.clear();
                write_decimal(&mut bench.text, u64::from(more.saturating_sub(1)));
                editor.set_header(b"Max-Forwards", &bench.text)?;
                Ok(None)
            }
            None => Ok(Some(400)),
        }
    }

    /// Whether one proxy answers the request itself: its `http-request` rules, its statistics, its
    /// `redirect` rules, in this order.
    fn run_own_rules(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        buffer: &Buffer,
        framing: &Framing,
    ) -> Result<Option<Own<'c>>, Overflow> {
        let mut from = 0;
        loop {
            match self.run_request_rules(key, (&proxy.http_request, from), buffer)? {
                Some(Own::Later(_, next)) if !may_gather(framing) => from = next,
                Some(own) => return Ok(Some(own)),
                None => break,
            }
        }
        if let Some(stats) = &proxy.stats {
            let message = Message::new(buffer.readable(), &self.bench.head, &self.bench.edits);
            let shown = matches!(message.method(), Method::Get | Method::Head | Method::Post);
            let target = message.pathq().unwrap_or_else(|| message.target());
            if shown && target.starts_with(stats.uri.as_bytes()) {
                return Ok(Some(Own::Stats(stats)));
            }
        }
        self.run_request_rules(key, (&proxy.redirects, 0), buffer)
    }

    fn run_request_rules(
        &mut self,
        key: Key<Client>,
        (rules, from): (&'c Rules<RequestRule>, u32),
        buffer: &Buffer,
    ) -> Result<Option<Own<'c>>, Overflow> {
        if rules.is_empty() {
            return Ok(None);
        }
        open!(self, key => client, session, else Ok(None));
        let from = session.gathered.take_resume().max(from);
        let facts = facts!(self, session, client.requests);
        let bench = &mut self.bench;
        let mut subject = Edited {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        let acls = &self.config.acls;
        let rules = (rules, from);
        let verdict = evaluate_request(rules, acls, &facts, &mut subject, &mut bench.scratch);
        let said = bench.scratch.said;
        let priority = &mut session.txn.priority;
        priority.class = said.class.unwrap_or(priority.class);
        priority.offset_ms = said.offset.unwrap_or(priority.offset_ms);
        session.once |= said.once;
        match verdict? {
            Verdict::Final(last) => Ok(Some(Own::Rule(last))),
            Verdict::Service(applet) => Ok(Some(Own::Service(applet))),
            Verdict::Wait(wait, next) => Ok(Some(Own::Later(wait, next))),
            Verdict::Continue | Verdict::Allow => Ok(None),
        }
    }

    /// `use_backend`, then `default_backend`, then the proxy itself when it has a backend side.
    pub(crate) fn choose_backend(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        sight: Sight<'_>,
    ) -> Option<&'c Proxy> {
        let config = self.config;
        let client = self.clients.get(key)?;
        let session = self.sessions.get(client.session?)?;
        let mut facts = facts!(self, session, client.requests);
        facts.inspected = sight.inspected();
        let bench = &mut self.bench;
        let looking = Looking {
            facts: &facts,
            request: sight.request(&bench.head, &bench.edits, &bench.seen),
            response: None,
        };
        let (acls, mut walk) = (&config.acls, Walk::default());
        while let Some(switch) = proxy
            .switches
            .next(&mut walk, acls, &looking, &mut bench.scratch)
        {
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
    pub(crate) fn enter_backend(&mut self, key: Key<Client>, backend: &Proxy) {
        let now = self.now.ms;
        open!(self, key => client, session);
        session.backend = Some(backend.id);
        session.txn.backend = backend.id.0;
        session.retries_left = backend.retries;
        if !self.config.global.no_splice {
            let front = self.config.proxy(client.frontend).splicing;
            let splicing = front.with(backend.splicing);
            let auto = splicing.auto || !splicing.refused;
            session.request.splice = Splice::of(auto, splicing.request);
            session.response.splice = Splice::of(auto, splicing.response);
        }
        let stats = &mut self.proxy_stats[backend.id.0 as usize].back;
        stats.enter(now);
    }

    /// Renders the outgoing head into `bench.prefix`.
    fn render_request(
        &mut self,
        key: Key<Client>,
        frontend: &Proxy,
        backend: &Proxy,
        buffer: &Buffer,
        framing: &Framing,
    ) -> Result<(), Overflow> {
        open!(self, key => client, session, else Err(Overflow));
        let bench = &mut self.bench;
        let mut editor = Editor {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        if let Some(unique_id) = &frontend.unique_id
            && let Some(name) = &unique_id.header
        {
            editor.add_header(name, &session.txn.rare().unique_id)?;
        }
        if let Some(forward) = backend
            .forward_for
            .as_ref()
            .or(frontend.forward_for.as_ref())
        {
            // One of the two that adds always is enough.
            let if_none = [&frontend.forward_for, &backend.forward_for]
                .into_iter()
                .flatten()
                .all(|f| f.if_none);
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
        if editor.message().minor() == 0 && editor.message().known(Name::Host).is_none() {
            // HTTP/1.1 needs one: where the client came to (RFC 9112 §3.3).
            let local = destination(&mut self.net, &self.introductions, client);
            bench.text.clear();
            write_authority(&mut bench.text, local);
            editor.add_header(b"Host", &bench.text)?;
        }
        let message = editor.message();
        session.exchange.set_method(message.method());
        let closing = frontend.http_connection != HttpConnection::KeepAlive
            || backend.http_connection != HttpConnection::KeepAlive;
        if closing {
            session.exchange.close_server();
        }
        if frontend.http_connection == HttpConnection::Close || self.stopping {
            session.exchange.close_client();
        }
        let how = Outgoing {
            // Each hop speaks its own version (RFC 9110 §6.2).
            minor: 1,
            announce: framing.announce,
            persistence: match closing && !framing.upgrade && !backend.http.pretend_keep_alive {
                true => Persistence::Close,
                false => Persistence::Unsaid,
            },
            drop_upgrade: framing.drop_upgrade,
            drop_named: framing.drop_named,
        };
        bench.prefix.clear();
        render(&message, &how, bench.head_max, &mut bench.prefix)
    }

    /// Takes the head off the input, notes how the body ends, and finds a server for both.
    fn send_request(&mut self, key: Key<Client>, mut buffer: Buffer, framing: &Framing) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        let bench = &mut self.bench;
        buffer.consume(bench.head.len as usize);
        session.request.source = source_of(framing.body);
        session.request.rechunk = framing.body == Body::Chunked;
        let kept = match session.backend.map(|id| self.config.proxy(id)) {
            Some(backend) if !session.once && is_repeatable(session.exchange.asked().method) => {
                let most = self.config.global.buffer_size;
                kept_of(framing.body, backend.retry_on, most)
            }
            _ => 0,
        };
        session.request.replay.begin(kept);
        if session.request.source == Source::Done {
            if !buffer.is_empty() {
                // The next request: it waits for its turn.
                session.request.input = Some(buffer);
                return self.dispatch(key, None);
            }
            return self.dispatch(key, Some(buffer));
        }
        // What came of the body is understood before any of it goes out: a body that begins wrong
        // is refused before a server hears of it.
        let block = understand(
            &mut session.request,
            &mut self.pool,
            &mut buffer,
            &mut bench.prefix,
        );
        match block {
            Ok(block) => {
                session.txn.bytes_uploaded += session.request.moved;
                if block.done {
                    session.exchange.on_request_end();
                } else if session.gathered.is_cut() {
                    self.pool.give_back(buffer);
                    return self.gatherer_lost(key);
                }
                self.dispatch(key, Some(buffer))
            }
            Err(Pumped::Refused(refusal)) => {
                self.leave_backend(key);
                self.refuse(key, refusal, buffer)
            }
            Err(_) => {
                self.pool.give_back(buffer);
                Flow::Close(Termination::RESOURCE_IN_CONNECT)
            }
        }
    }

    /// The request never was the backend's after all.
    pub(crate) fn leave_backend(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        if let Some(backend) = session.backend.take() {
            self.proxy_stats[backend.0 as usize].back.leave();
        }
        session.txn.backend = NO_ID;
        session.txn.marks.request_ended = NO_MARK;
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
        begin_record(&mut session.txn, client, &self.introductions);
        session.request.source = Source::UntilClose;
        session.response.source = Source::UntilClose;
        client.phase = Phase::Connect;
        client.requests = 1;
        if proxy.needs_destination {
            session.txn.rare_mut().destination =
                destination(&mut self.net, &self.introductions, client);
        }
        self.bench.scratch.start_message();
        if let Some(unique_id) = &proxy.unique_id {
            self.name_session(key, unique_id, None);
        }
        if !proxy.content.is_empty() {
            self.begin_inspection(key, false);
            return true;
        }
        // Nobody looks for a request in bytes that have not come.
        self.bench.look_for_request(&[], false, false);
        self.route_tcp(key, proxy, &[]) == Flow::Again
    }
}

/// How many bytes of a request are kept at most, so that it can be sent once more; 0 for none.
fn kept_of(body: Body, retry_on: RetryOn, buffer_size: u32) -> usize {
    match body == Body::None || retry_on.keeps_requests() {
        true => buffer_size as usize,
        false => 0,
    }
}

/// Methods that may be sent more than once (RFC 9110 §9.2.2).
fn is_repeatable(method: Method) -> bool {
    matches!(
        method,
        Method::Get | Method::Head | Method::Options | Method::Trace | Method::Put | Method::Delete
    )
}

/// Appends an address as a Host field has it; nothing when it has no port.
fn write_authority(out: &mut Vec<u8>, address: Address) {
    use std::io::Write as _;
    if let Some(address) = address.socket_addr() {
        // Writing to a vector does not fail.
        drop(write!(out, "{address}"));
    }
}
