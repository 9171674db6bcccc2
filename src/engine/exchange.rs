//! Request and answer on their way: the right half of a session's life.
//!
//! The request's body goes up while the answer comes down; neither waits for the other. An answer's
//! head is parsed, framed for the request it answers, edited by the rules and sent together with
//! what came of its body. Interim answers are passed on; a 101, or a 2xx to CONNECT, turns the
//! session into a tunnel. Whatever breaks off is told to the other side as a break, never as an
//! end.

use super::Engine;
use super::accept::Client;
use super::context::facts;
use super::errors::Place;
use super::health::Finding;
use super::relay::{End, Pumped, Sent, Source, deliver, flush, pump, receive, understand};
use super::service::Service;
use super::session::{Flow, Phase, Session, flush_answer, open, source_of};
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::config::model::{Failure, Proxy};
use crate::http::challenge::is_by_connection;
use crate::http::cookie::{is_cacheable, keeps_cookies_back, sets_any};
use crate::http::exchange::{RequestState, ResponseState};
use crate::http::framing::{self, Announce, Body, Framing};
use crate::http::head::{self, Limits, Name, Parsed, Progress, Refusal};
use crate::http::render::{Outgoing, render};
use crate::http::reply::{LOGGED_CHUNKED_END, LOGGED_MESSAGE_END, logged_head_bytes};
use crate::http::rewrite::{Editor, Message, Overflow};
use crate::log::record::NO_MARK;
use crate::log::syslog::Level;
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Stop};
use crate::rules::action::{Subject as Edited, Verdict, evaluate_response};
use crate::rules::answer::Final;

impl<'c, N: Net, S: Service> Engine<'c, N, S> {
    /// Both pipes; parses the answer's head.
    pub(crate) fn relay(&mut self, key: Key<Client>) -> Flow {
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
                let (before, sent) = (session.response.moved, session.response.sent);
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
                session.txn.bytes_read += moved;
                if moved > 0 {
                    session.heard_ms.1 = self.now.ms;
                }
                if moved > 0 || session.response.sent > sent {
                    client.active_ms = self.now.ms;
                }
                match pumped {
                    Pumped::Done => answer_ended(session),
                    Pumped::Starved => return Flow::Wait,
                    Pumped::Blocked => return Flow::Wait,
                    Pumped::Spent => return Flow::Again,
                    Pumped::ReceiverFailed(_) => return self.client_lost_in_data(key),
                    Pumped::CutShort | Pumped::SenderFailed(_) => {
                        return self.server_lost_in_data(key);
                    }
                    Pumped::Refused(refusal) => {
                        self.keep_bad_answer(key, refusal);
                        self.break_answer(key);
                        self.count_server_abort(key);
                        return Flow::Close(Termination::PROXY_IN_DATA);
                    }
                    Pumped::NoBuffer => return Flow::Close(Termination::RESOURCE_IN_CONNECT),
                }
            }
            ResponseState::Done | ResponseState::Error | ResponseState::Tunnel => {}
        }
        // The answer has come whole; what is left of it goes out, whatever the request still does.
        open!(self, key => client, session, else Flow::Gone);
        match flush_answer(&mut self.net, &mut self.pool, self.now, client, session) {
            Sent::All => {
                // A request that is still on its way goes on, as long as the server takes it.
                let open = session.exchange.request() == RequestState::Body;
                let gone = Readiness(Readiness::READ_CLOSED.0 | Readiness::ERROR.0);
                let server = session.upstream.and_then(|key| self.upstreams.get(key));
                if open && server.is_some_and(|server| !server.ready.has(gone)) {
                    return Flow::Wait;
                }
                client.phase = Phase::Finish;
                Flow::Again
            }
            Sent::Part => Flow::Wait,
            Sent::Failed(_) => self.client_lost_in_data(key),
            Sent::NoBuffer => Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
    }

    /// The request's body on its way to the server. `None` when the answer may be looked at.
    fn relay_request(&mut self, key: Key<Client>) -> Option<Flow> {
        open!(self, key => client, session, else Some(Flow::Gone));
        if session.request.is_finished() {
            // Its last byte may have left as the last of a turn.
            if session.exchange.request() == RequestState::Body {
                session.exchange.on_request_end();
            }
            return None;
        }
        let Some(upstream) = session.upstream.and_then(|key| self.upstreams.get_mut(key)) else {
            return Some(Flow::Close(Termination::SERVER_IN_HEADERS));
        };
        let (before, sent) = (session.request.moved, session.request.sent);
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
        if session.request.sent > sent {
            client.active_ms = self.now.ms;
        }
        if moved > 0 {
            client.active_ms = self.now.ms;
            session.heard_ms.0 = self.now.ms;
            session.txn.bytes_uploaded += moved;
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
            Pumped::ReceiverFailed(errno) if session.request.sent == 0 => {
                return Some(self.never_sent(key, errno));
            }
            Pumped::ReceiverFailed(_)
                if session.request.source == Source::Done && session.request.replay.is_kept() =>
            {
                // The same, of a request that may be sent once more.
                session.request.reset_output(&mut self.net, &mut self.pool);
                session.exchange.close_server();
                if session.exchange.request() == RequestState::Body {
                    session.exchange.on_request_end();
                }
            }
            Pumped::ReceiverFailed(_) => {
                // The server takes no more: it may have answered all the same.
                session.request.reset(&mut self.net, &mut self.pool);
                session.exchange.on_request_error();
                session.exchange.close_server();
                session.exchange.close_client();
            }
            Pumped::Refused(refusal) => return Some(self.body_refused(key, refusal)),
            Pumped::NoBuffer => return Some(Flow::Close(Termination::RESOURCE_IN_CONNECT)),
        }
        None
    }

    /// The client left in the middle of its request's body.
    fn client_lost_in_body(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let frontend = client.frontend;
        let (backend, server) = (session.backend, session.server);
        session.exchange.on_request_error();
        self.proxy_stats[frontend.0 as usize].front.cli_abrt += 1;
        if let Some(backend) = backend {
            self.proxy_stats[backend.0 as usize].back.cli_abrt += 1;
        }
        if let Some(server) = server {
            self.server_stats[server.0 as usize].cli_abrt += 1;
        }
        Flow::Close(Termination::CLIENT_IN_DATA)
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
        self.break_answer(key);
        self.count_server_abort(key);
        Flow::Close(Termination::SERVER_IN_DATA)
    }

    /// An answer that only the close of the connection would end must not seem to end when it
    /// broke off: its client is reset. Lengths and chunks tell by themselves.
    fn break_answer(&mut self, key: Key<Client>) {
        open!(self, key => client, session);
        let measured = matches!(session.response.source, Source::Length(_));
        client.broken = !measured && !session.response.rechunk;
    }

    fn count_server_abort(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        session.exchange.on_server_lost();
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize].back.srv_abrt += 1;
        }
        if let Some(server) = session.server {
            self.server_stats[server.0 as usize].srv_abrt += 1;
        }
    }

    /// The request's body cannot be understood.
    fn body_refused(&mut self, key: Key<Client>, refusal: Refusal) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let source = session.txn.source;
        if let Some(buffer) = session.request.input.take() {
            let place = Place::request(client.frontend, session.backend, session.server);
            self.errors
                .keep(place, source, self.now, refusal, buffer.readable());
            self.pool.give_back(buffer);
        }
        self.proxy_stats[client.frontend.0 as usize].front.ereq += 1;
        self.listener_stats
            .count(client.listener, |own| own.ereq += 1);
        session.exchange.on_request_error();
        if session.exchange.response() != ResponseState::Idle || !session.response.is_flushed() {
            return Flow::Close(Termination::PROXY_IN_DATA);
        }
        self.drop_upstream(key);
        self.answer_status(key, 400, Termination::PROXY_IN_HEADERS)
    }

    /// Keeps what of an answer's body could not be understood.
    fn keep_bad_answer(&mut self, key: Key<Client>, refusal: Refusal) {
        open!(self, key => client, session);
        let (Some(backend), Some(buffer)) = (session.backend, &session.response.input) else {
            return;
        };
        let place = Place::answer(client.frontend, backend, session.server);
        let source = session.txn.source;
        self.errors
            .keep(place, source, self.now, refusal, buffer.readable());
        if let Some(buffer) = session.response.input.take() {
            self.pool.give_back(buffer);
        }
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
                Ok(_) => {
                    client.active_ms = self.now.ms;
                    session.heard_ms.1 = self.now.ms;
                }
                Err(Stop::Blocked) => {
                    if buffer.is_empty() {
                        self.pool.give_back(buffer);
                    } else {
                        session.response.input = Some(buffer);
                    }
                    return Flow::Wait;
                }
                Err(stop) => {
                    let any = !buffer.is_empty();
                    self.pool.give_back(buffer);
                    return self.server_lost(key, stop, any);
                }
            }
        }
        let bench = &mut self.bench;
        let bytes = buffer.readable_mut();
        let lenient = session
            .backend
            .is_some_and(|backend| self.config.proxy(backend).accept_invalid.response);
        let limits = Limits {
            lenient,
            ..bench.limits
        };
        match head::response(bytes, &mut session.progress, &mut bench.head, &limits) {
            Parsed::Partial => {
                session.response.input = Some(buffer);
                Flow::Again
            }
            Parsed::Refused(refusal) => self.junk_answer(key, refusal, buffer),
            Parsed::Complete => {
                session.progress = Progress::default();
                match framing::response(&bench.head, buffer.readable(), session.exchange.asked()) {
                    Ok(framing) if framing.interim => self.pass_interim(key, buffer, &framing),
                    Ok(framing) => self.on_answer(key, buffer, &framing),
                    Err(refusal) => self.junk_answer(key, refusal, buffer),
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
        if let Some(server) = session.server {
            self.server_stats[server.0 as usize].answered(bench.head.status);
        }
        bench.prefix.clear();
        if session.exchange.takes_interim() {
            bench.edits.clear();
            let message = Message::new(buffer.readable(), &bench.head, &bench.edits);
            let how = Outgoing {
                minor: 1,
                drop_upgrade: framing.drop_upgrade,
                drop_named: framing.drop_named,
                ..Outgoing::default()
            };
            if render(&message, &how, bench.head_max, &mut bench.prefix).is_err() {
                let refusal = Refusal {
                    status: 502,
                    position: 0,
                    reason: "interim head too long",
                };
                return self.bad_answer(key, refusal, buffer);
            }
        }
        buffer.consume(bench.head.len as usize);
        if buffer.is_empty() {
            self.pool.give_back(buffer);
        } else {
            session.response.input = Some(buffer);
            session.unparsed_answer = true;
        }
        if !session.response.queue(&bench.prefix, &mut self.pool) {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        }
        Flow::Again
    }

    /// The final head of the answer: rules, rendering, and out with what came of the body.
    fn on_answer(&mut self, key: Key<Client>, buffer: Buffer, framing: &Framing) -> Flow {
        let config = self.config;
        let status = self.bench.head.status;
        // Those that `retry-on` may name are errors.
        if status >= 400 && self.may_repeat(key, Failure::Status(status)) {
            self.pool.give_back(buffer);
            return self.repeat(key);
        }
        open!(self, key => client, session, else Flow::Gone);
        let (frontend, backend, server) = (client.frontend, session.backend, session.server);
        session.txn.marks.answered = self.now.ms as i64;
        self.bench.edits.clear();
        self.bench.scratch.start_message();
        // The log counts the answer as it came, before any rule.
        session.txn.bytes_read = session.gathered.logged()
            + logged_head_bytes(&self.bench.head, buffer.readable())
            + LOGGED_MESSAGE_END;
        session.txn.response_minor = Some(self.bench.head.minor);
        if matches!(status, 401 | 407) {
            self.note_challenge(key, &buffer);
        }
        if let Some(server) = server {
            self.server_stats[server.0 as usize].answered(status);
            self.observe(server, Finding::Answered(status));
        }
        let frontend = config.proxy(frontend);
        let backend = backend.map_or(frontend, |id| config.proxy(id));
        let ruled = |proxy: &Proxy| !proxy.http_response.is_empty();
        let cookies = backend.persistence.cookie.is_some() || frontend.capture.is_some();
        if ruled(backend) || ruled(frontend) || cookies || backend.http.check_cache {
            return self.edit_answer(key, (frontend, backend), buffer, framing);
        }
        self.pass_answer(key, buffer, framing)
    }

    /// What rules and cookies make of an answer, before it is passed on.
    fn edit_answer(
        &mut self,
        key: Key<Client>,
        (frontend, backend): (&'c Proxy, &'c Proxy),
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        let both = [Some(backend), Some(frontend).filter(|f| f.id != backend.id)];
        for proxy in both.into_iter().flatten() {
            match self.run_response_rules(key, proxy, &buffer) {
                Ok(None) => {}
                Ok(Some(last)) => {
                    self.pool.give_back(buffer);
                    self.proxy_stats[proxy.id.0 as usize].back.dresp += 1;
                    self.drop_upstream(key);
                    open!(self, key => client, session, else Flow::Gone);
                    self.listener_stats
                        .count(client.listener, |own| own.dresp += 1);
                    session.txn.marks.answered = NO_MARK;
                    return self.render_final(key, last, None);
                }
                Err(Overflow) => return self.answer_too_long(key, buffer),
            }
        }
        // What is set here counts not, and what is taken out here does.
        let sets = backend.http.check_cache && sets_any(&self.answer_head(&buffer));
        if self
            .follow_answer(key, (frontend, backend), &buffer)
            .is_err()
        {
            return self.answer_too_long(key, buffer);
        }
        if sets && self.may_leak(key, &buffer) {
            return self.hold_back(key, backend, buffer);
        }
        self.pass_answer(key, buffer, framing)
    }

    /// A server that identifies its clients by their connection has asked who this one is: it keeps
    /// the connection for itself, and comes back to it.
    #[cold]
    fn note_challenge(&mut self, key: Key<Client>, buffer: &Buffer) {
        let asks = is_by_connection(&self.answer_head(buffer));
        open!(self, key => client, session);
        let upstream = session.upstream.filter(|_| asks);
        if let Some(record) = upstream.and_then(|key| self.upstreams.get_mut(key)) {
            record.private = true;
            client.returns = true;
        }
    }

    #[cold]
    fn answer_too_long(&mut self, key: Key<Client>, buffer: Buffer) -> Flow {
        let refusal = Refusal {
            status: 502,
            position: 0,
            reason: "answer too long",
        };
        self.bad_answer(key, refusal, buffer)
    }

    /// The head of the answer in `buffer` with its edits.
    fn answer_head<'a>(&'a self, buffer: &'a Buffer) -> Message<'a> {
        Message::new(buffer.readable(), &self.bench.head, &self.bench.edits)
    }

    /// Whether caches may keep this answer with its cookies.
    fn may_leak(&self, key: Key<Client>, buffer: &Buffer) -> bool {
        let session = self.clients.get(key).and_then(|client| client.session);
        let session = session.and_then(|id| self.sessions.get(id));
        let message = self.answer_head(buffer);
        session.is_some_and(|session| {
            let method = session.exchange.asked().method;
            is_cacheable(&message, method, self.bench.head.status) && !keeps_cookies_back(&message)
        })
    }

    /// `option checkcache`: an answer whose cookies caches could hand to others is not passed on.
    #[cold]
    fn hold_back(&mut self, key: Key<Client>, backend: &Proxy, buffer: Buffer) -> Flow {
        self.pool.give_back(buffer);
        open!(self, key => client, session, else Flow::Gone);
        session.txn.marks.answered = NO_MARK;
        let (frontend, server) = (client.frontend, session.server);
        self.proxy_stats[frontend.0 as usize].front.dresp += 1;
        self.proxy_stats[backend.id.0 as usize].back.dresp += 1;
        self.listener_stats
            .count(client.listener, |own| own.dresp += 1);
        let mut name = "";
        if let Some(server) = server {
            self.server_stats[server.0 as usize].dresp += 1;
            name = &self.roster.server(server).name;
        }
        let text = format!(
            "Blocking cacheable cookie in response from instance {}, server {name}.",
            backend.name
        );
        ::log::error!("{text}");
        self.journal
            .message(self.config, backend, Level::Alert, &text, self.now);
        self.drop_upstream(key);
        self.answer_status(key, 502, Termination::PROXY_IN_HEADERS)
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
            // `use-service` and `wait-for-body` are no actions of answers.
            Verdict::Continue | Verdict::Allow | Verdict::Service(_) | Verdict::Wait(..) => {
                Ok(None)
            }
        }
    }

    /// Sends the head of the answer with the part of the body that came with it.
    fn pass_answer(&mut self, key: Key<Client>, mut buffer: Buffer, framing: &Framing) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let bench = &mut self.bench;
        if !bench.head.has(Name::Date) && bench.head.status >= 200 {
            // RFC 9110 §6.6.1: who passes an answer on adds the date that its server left out. An
            // answer without room for it is without it.
            let date = bench.scratch.buffers.dates.http_date(self.now.wall_ms);
            let mut editor = Editor {
                bytes: buffer.readable(),
                head: &bench.head,
                edits: &mut bench.edits,
            };
            let _ = editor.add_header(b"Date", date);
        }
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
            drop_named: framing.drop_named,
        };
        session.txn.status = status;
        bench.prefix.clear();
        if render(&message, &how, bench.head_max, &mut bench.prefix).is_err() {
            session.exchange = before;
            session.txn.marks.answered = NO_MARK;
            return self.answer_too_long(key, buffer);
        }
        buffer.consume(bench.head.len as usize);
        session.response.source = source_of(framing.body);
        session.response.rechunk = body == Body::Chunked;
        session.response.ends_by_close = body == Body::UntilClose;
        session.response.chunked = framing.body == Body::Chunked;
        session.response.moved = 0;
        session.response.trailers = 0;
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
            session.txn.marks.answered = NO_MARK;
            return self.bad_answer(key, refusal, buffer);
        }
        session.txn.bytes_read += session.response.moved;
        if session.exchange.response() == ResponseState::Body
            && session.response.source == Source::Done
        {
            answer_ended(session);
        }
        self.proxy_stats[client.frontend.0 as usize]
            .front
            .answer(status);
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize].back.answered(status);
        }
        let over = session.exchange.is_whole() && session.request.is_finished();
        // Unread bytes make the close a reset, which takes with it what was held back: so only for
        // who has nothing more to say.
        session.response.closes = over && session.exchange.client_leaves();
        let mut to = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        let sent = deliver(
            &mut self.net,
            pool,
            &mut to,
            &mut session.response,
            &mut bench.prefix,
            buffer,
        );
        match sent {
            Sent::All | Sent::Part => {
                if over && sent == Sent::All {
                    client.phase = Phase::Finish;
                }
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
    pub(crate) fn open_tunnel(&mut self, key: Key<Client>, buffer: Buffer) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        session.request.source = Source::UntilClose;
        session.request.rechunk = false;
        // What is in a tunnel is no request.
        session.request.replay.begin(0);
        session.response.source = Source::UntilClose;
        session.txn.bytes_read += buffer.len() as u64;
        self.proxy_stats[client.frontend.0 as usize]
            .front
            .answer(session.txn.status);
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize]
                .back
                .answered(session.txn.status);
        }
        let mut to = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        let prefix = &mut self.bench.prefix;
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
    pub(crate) fn tunnel(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let Some(upstream) = session.upstream.and_then(|key| self.upstreams.get_mut(key)) else {
            return Flow::Close(Termination::SERVER_IN_DATA);
        };
        let net = &mut self.net;
        let (up_before, down_before) = (session.request.moved, session.response.moved);
        let left_before = session.request.sent + session.response.sent;
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
        if sent > 0 {
            session.heard_ms.0 = self.now.ms;
        }
        if received > 0 {
            session.heard_ms.1 = self.now.ms;
        }
        if sent + received > 0 || session.request.sent + session.response.sent > left_before {
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
        // In TCP mode each side's end is passed on; a server that ends an upgraded connection ends
        // it whole, as HAProxy does, once what the client had sent by then is through.
        let through = up == Pumped::Starved && session.request.is_flushed();
        let ended = session.response.shut && session.txn.http && through;
        if ended || (session.response.shut && session.request.shut) {
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
}

/// The answer has come to its end: the state, and what the log counts for that.
fn answer_ended(session: &mut Session) {
    session.exchange.on_response_end();
    if session.response.chunked {
        session.txn.bytes_read += LOGGED_CHUNKED_END + session.response.trailers;
    }
}
