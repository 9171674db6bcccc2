//! Answers of our own: errors, denials, redirects, returns.
//!
//! They are rendered whole into at most two buffers and then sent like any other bytes. Whether the
//! client connection stays is the exchange's decision; an answer can only ask for the end. A
//! request body that has not come whole is not waited for: the connection ends after the answer
//! instead.

use std::sync::Arc;

use super::Engine;
use super::accept::Client;
use super::context::{Looking, facts};
use super::relay::{Source, understand};
use super::service::Service;
use super::session::{Flow, Phase, open, source_of};
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::config::model::HttpConnection;
use crate::http::exchange::RequestState;
use crate::http::framing::{Body, Framing};
use crate::http::head::Method;
use crate::http::reply::{HeadWriter, LOGGED_MESSAGE_END, Reply, reason};
use crate::http::rewrite::Message;
use crate::log::termination::{Cause, Stage, Termination};
use crate::net::Net;
use crate::rules::answer::{Final, Kind};

/// An answer ready to be sent.
struct Ready<'a> {
    status: u16,
    minor: u8,
    head: &'a [u8],
    body: &'a [u8],
    /// What the log counts, with the body and without it.
    logged: (u64, u64),
    closes: bool,
    /// The head says by itself what becomes of the connection.
    complete: bool,
}

impl<'c, N: Net, S: Service> Engine<'c, N, S> {
    /// Takes the request off the input without passing it on. Its body is dropped when it has come;
    /// when it has not, the connection will end after the answer.
    pub(crate) fn skip_request(&mut self, key: Key<Client>, mut buffer: Buffer, framing: &Framing) {
        open!(self, key => _client, session, else self.pool.give_back(buffer));
        buffer.consume(self.bench.head.len as usize);
        session.request.source = source_of(framing.body);
        session.request.rechunk = false;
        if session.request.source != Source::Done {
            self.bench.prefix.clear();
            let prefix = &mut self.bench.prefix;
            let dropped = understand(&mut session.request, &mut self.pool, &mut buffer, prefix);
            if dropped.is_err() {
                session.exchange.on_request_error();
            }
            buffer.clear();
        }
        if session.request.source == Source::Done
            && session.exchange.request() == RequestState::Body
        {
            session.exchange.on_request_end();
        }
        session.request.source = Source::Done;
        if buffer.is_empty() {
            self.pool.give_back(buffer);
        } else {
            session.request.input = Some(buffer);
        }
    }

    /// The built-in answer below the HTTP layer, for requests that could not be read. The log
    /// counts no byte for it (haproxy-facts 4).
    pub(crate) fn answer_raw(&mut self, key: Key<Client>, status: u16, why: Termination) -> Flow {
        let builtins = Arc::clone(&self.builtins);
        let reply = builtins.raw(status);
        self.send_ready(
            key,
            why,
            &Ready {
                status,
                minor: reply.minor,
                head: &reply.head,
                body: &reply.body,
                logged: (0, 0),
                closes: true,
                complete: true,
            },
        )
    }

    /// The proxy's answer for a status: its `errorfile`, or the built-in one.
    pub(crate) fn answer_status(
        &mut self,
        key: Key<Client>,
        status: u16,
        why: Termination,
    ) -> Flow {
        let config = self.config;
        open!(self, key => client, session, else Flow::Gone);
        let file = session
            .backend
            .and_then(|id| config.proxy(id).error_file(status))
            .or_else(|| config.proxy(client.frontend).error_file(status));
        match file {
            Some(reply) => self.send_reply(key, status, reply, why),
            None => {
                let builtins = Arc::clone(&self.builtins);
                self.send_reply(key, status, builtins.answer(status), why)
            }
        }
    }

    /// 200 without content to a request that ends here.
    pub(crate) fn answer_nothing(&mut self, key: Key<Client>) -> Flow {
        let builtins = Arc::clone(&self.builtins);
        self.send_reply(key, 200, builtins.nothing(), Termination::LOCAL)
    }

    /// 401, or 407 as a proxy: asks for a name and a password.
    pub(crate) fn answer_unauthorized(
        &mut self,
        key: Key<Client>,
        realm: &str,
        as_proxy: bool,
    ) -> Flow {
        let (status, field): (u16, &[u8]) = match as_proxy {
            true => (407, b"proxy-authenticate"),
            false => (401, b"www-authenticate"),
        };
        let builtins = Arc::clone(&self.builtins);
        let body = &builtins.answer(status).body;
        let mut head = Vec::new();
        let mut writer = HeadWriter::new(&mut head, 1, status, reason(401));
        writer.number_field("content-length", body.len() as u64);
        writer.field(b"cache-control", b"no-cache");
        writer.field(b"content-type", b"text/html");
        let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let challenge = format!("Basic realm=\"{quoted}\"");
        writer.field(field, challenge.as_bytes());
        let logged = writer.logged() + LOGGED_MESSAGE_END;
        self.send_ready(
            key,
            Termination::LOCAL,
            &Ready {
                status,
                minor: 1,
                head: &head,
                body,
                logged: (logged + body.len() as u64, logged),
                closes: false,
                complete: false,
            },
        )
    }

    /// An answer that was rendered when the configuration was read.
    pub(crate) fn send_reply(
        &mut self,
        key: Key<Client>,
        status: u16,
        reply: &Reply,
        why: Termination,
    ) -> Flow {
        let body = reply.body.len() as u64;
        if reply.head.is_empty() {
            // An empty errorfile: the connection closes without an answer.
            open!(self, key => _client, session, else Flow::Gone);
            session.txn.status = status;
            session.txn.termination = why;
            return Flow::Close(why);
        }
        self.send_ready(
            key,
            why,
            &Ready {
                status: reply.status,
                minor: reply.minor,
                head: &reply.head,
                body: &reply.body,
                logged: (reply.logged_bytes, reply.logged_bytes.saturating_sub(body)),
                closes: reply.closes,
                complete: false,
            },
        )
    }

    /// The answer that a rule gives. `request` is the request it answers, to be skipped; `None`
    /// when a response rule gave it.
    pub(crate) fn render_final(
        &mut self,
        key: Key<Client>,
        last: &'c Final,
        request: Option<(Buffer, &Framing)>,
    ) -> Flow {
        let why = match (last.kind, &request) {
            (Kind::Deny, Some(_)) => Termination::PROXY_IN_REQUEST,
            (Kind::Deny, None) => Termination::PROXY_IN_HEADERS,
            (Kind::Return | Kind::Redirect, Some(_)) => Termination::LOCAL,
            (Kind::Return | Kind::Redirect, None) => Termination::new(Cause::Local, Stage::Headers),
        };
        if let Some(status) = last.usual() {
            if let Some((buffer, framing)) = request {
                self.skip_request(key, buffer, framing);
            }
            return self.answer_status(key, status, why);
        }
        let (mut head, mut body) = std::mem::take(&mut self.bench.answer);
        let rendered = {
            open!(self, key => client, session, else Flow::Gone);
            let facts = facts!(self, session, client.requests);
            let bench = &mut self.bench;
            let message = request
                .as_ref()
                .map(|(buffer, _)| Message::new(buffer.readable(), &bench.head, &bench.edits));
            let looking = Looking {
                facts: &facts,
                request: message,
                response: None,
            };
            last.render(&looking, &mut bench.scratch, &mut head, &mut body)
        };
        let mut announced = 0;
        if let Some((buffer, framing)) = request {
            // As HAProxy: a redirect of a request with a body ends the connection, and the log
            // counts the field that says so.
            if last.kind == Kind::Redirect && framing.body != Body::None {
                announced = "connectionclose".len() as u64;
                open!(self, key => _client, session, else Flow::Gone);
                session.exchange.close_client();
            }
            self.skip_request(key, buffer, framing);
        }
        let flow = self.send_ready(
            key,
            why,
            &Ready {
                status: rendered.status,
                minor: rendered.minor,
                head: &head,
                body: &body,
                logged: (
                    rendered.logged_bytes + announced,
                    (rendered.logged_bytes + announced).saturating_sub(body.len() as u64),
                ),
                closes: rendered.closes,
                complete: false,
            },
        );
        self.bench.answer = (head, body);
        flow
    }

    /// Whether an answer of our own ends the connection, whatever is in it: the process ends, or
    /// the frontend has `option httpclose`.
    pub(crate) fn closes_own_answers(&self, key: Key<Client>) -> bool {
        let frontend = self.clients.get(key).map(|client| client.frontend);
        let mode = frontend.map(|id| self.config.proxy(id).http_connection);
        self.stopping || mode == Some(HttpConnection::Close)
    }

    /// Queues an answer for sending and notes it in the record.
    fn send_ready(&mut self, key: Key<Client>, why: Termination, answer: &Ready<'_>) -> Flow {
        self.drop_upstream(key);
        self.free_slot(key);
        self.leave_queue(key);
        self.end_serving(key);
        let closing = self.closes_own_answers(key);
        open!(self, key => client, session, else Flow::Gone);
        let frontend = client.frontend;
        session.response.reset(&mut self.net, &mut self.pool);
        session.exchange.on_own_answer(answer.closes || closing);
        session.exchange.on_response_end();
        let without_body = session.exchange.asked().method == Method::Head;
        session.txn.status = answer.status;
        session.txn.termination = why;
        session.txn.bytes_read = if without_body {
            answer.logged.1
        } else {
            answer.logged.0
        } + session.gathered.logged();
        let Some(mut buffer) = self.pool.lend() else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        let tail = match answer.complete {
            true => b"",
            false => session.exchange.persistence(answer.minor).tail(),
        };
        let length = answer.head.len() + tail.len();
        let fits = buffer.extend(answer.head) + buffer.extend(tail) == length;
        session.response.output[0] = Some(buffer);
        let fits = fits && (without_body || session.response.queue(answer.body, &mut self.pool));
        if !fits {
            return Flow::Close(Termination::new(Cause::Internal, Stage::Request));
        }
        client.phase = Phase::Answer;
        // The client's time to take it begins here, whoever's time ran out before.
        client.active_ms = self.now.ms;
        let backend = session.backend;
        self.proxy_stats[frontend.0 as usize]
            .front
            .answer(answer.status);
        if let Some(backend) = backend {
            self.proxy_stats[backend.0 as usize]
                .back
                .answered(answer.status);
        }
        Flow::Again
    }

    /// Runs the facts past a rule's answer and sends it; the request's body is skipped.
    pub(crate) fn answer_final(
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
            Kind::Deny => {
                stats.dreq += 1;
                self.listener_stats
                    .count(client.listener, |own| own.dreq += 1);
                // A backend's own rules count there as well.
                let session = client.session.and_then(|id| self.sessions.get(id));
                if let Some(backend) = session.and_then(|session| session.backend) {
                    self.proxy_stats[backend.0 as usize].back.dreq += 1;
                }
            }
            Kind::Return | Kind::Redirect => stats.intercepted += 1,
        }
        self.render_final(key, last, Some((buffer, framing)))
    }

    /// Sends the plain error for an edit that did not fit.
    pub(crate) fn answer_overflow(
        &mut self,
        key: Key<Client>,
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        self.skip_request(key, buffer, framing);
        if let Some(client) = self.clients.get(key) {
            self.proxy_stats[client.frontend.0 as usize].front.wrew += 1;
            self.listener_stats
                .count(client.listener, |own| own.wrew += 1);
        }
        self.answer_status(key, 500, Termination::PROXY_IN_REQUEST)
    }
}
