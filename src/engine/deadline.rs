//! When a waiting session has waited enough, and what happens then.
//!
//! Deadlines are worked out from the phase and from when bytes last moved, never stored: activity
//! is a number in the record. The wheel holds the earliest promise; when it fires, the true
//! deadline is worked out, and the promise is renewed or the session expires. A single moment of
//! activity serves both sides, because HAProxy refreshes both sides' timeouts on any transfer; with
//! `option independent-streams` (configuration.txt 4.2) a side that is waited for is only there as
//! long as it is heard of.

use super::Engine;
use super::accept::Client;
use super::health::Finding;
use super::relay::Source;
use super::service::Service;
use super::session::{Flow, Phase, Session, open};
use crate::base::arena::Key;
use crate::base::proxy_header::Refusal;
use crate::config::model::{Config, Failure, Proxy, Timeouts};
use crate::http::exchange::ResponseState;
use crate::log::termination::Termination;
use crate::net::Net;

/// How long an answered connection is read on, ms.
const LINGER_MS: u64 = 1_000;

/// How long a client may be left unwatched, ms: a request that a near server answers is over by
/// then, and of one that takes longer the client's leaving is heard of soon enough.
const UNWATCHED_MS: u64 = 10;

/// Which limit is the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The header that introduces the client.
    Introduction,
    /// The request head, or the next request.
    Request,
    /// `tcp-request inspect-delay`.
    Inspect,
    /// The body of a request that waits for it.
    Gather,
    /// The body of a request that a service answers.
    Body,
    /// The queue.
    Queue,
    /// The attempt to connect.
    Connect,
    /// The pause before the next attempt.
    Retry,
    /// Activity on the client's side.
    Client,
    /// Activity on the server's side.
    Server,
    /// The throwing away of what comes after an answer.
    Linger,
}

/// The earliest limit that a client waits under, if it waits under any.
pub(crate) fn earliest(
    config: &Config,
    client: &Client,
    session: Option<&Session>,
) -> Option<(u64, Limit)> {
    let frontend = config.proxy(client.frontend);
    let backend = session.and_then(|session| session.backend);
    let backend = backend.map_or(frontend, |backend| config.proxy(backend));
    let (front, back) = (&frontend.timeouts, &backend.timeouts);
    let after = |from: u64, timeout: Option<u32>, limit| {
        timeout.map(|ms| (from.saturating_add(u64::from(ms)), limit))
    };
    match (client.phase, session) {
        (Phase::Introduction, _) => after(client.since_ms, front.client, Limit::Introduction),
        (Phase::Request, None) if client.requests > 0 => after(
            client.since_ms,
            front
                .http_keep_alive
                .or(front.http_request)
                .or(front.client),
            Limit::Request,
        ),
        (Phase::Request, None) => after(
            client.since_ms,
            front.http_request.or(front.client),
            Limit::Request,
        ),
        (Phase::Request, Some(session)) => {
            let from = if client.requests > 0 {
                u64::try_from(session.txn.marks.request_started).unwrap_or(client.since_ms)
            } else {
                client.since_ms
            };
            first(
                after(from, front.http_request, Limit::Request),
                after(client.active_ms, front.client, Limit::Request),
            )
        }
        (Phase::Inspect, Some(session)) => {
            let asked = if session.inspection.of_backend {
                backend
            } else {
                frontend
            };
            first(
                after(
                    session.waiting_since_ms,
                    asked.content.delay_ms,
                    Limit::Inspect,
                ),
                after(client.active_ms, front.client, Limit::Client),
            )
        }
        (Phase::Gather, Some(session)) if session.gathered.inspects() => first(
            after(
                session.waiting_since_ms,
                backend.content.delay_ms,
                Limit::Inspect,
            ),
            after(client.active_ms, front.client, Limit::Client),
        ),
        // Before its rules a frontend waits as long as it says, and its backend as that one says.
        (Phase::Gather, Some(session)) => first(
            session
                .gathered
                .until_ms(
                    back.http_request
                        .map(|ms| session.waiting_since_ms + u64::from(ms)),
                )
                .map(|at| (at, Limit::Gather)),
            after(client.active_ms, front.client, Limit::Gather),
        ),
        (Phase::Body, Some(session)) => after(
            session.waiting_since_ms,
            front.http_request.or(front.client),
            Limit::Body,
        ),
        (Phase::Queued, Some(session)) => after(
            session.waiting_since_ms,
            back.queue.or(back.connect),
            Limit::Queue,
        ),
        (Phase::Connect, Some(session)) if session.upstream.is_none() => {
            Some((session.retry_at_ms, Limit::Retry))
        }
        (Phase::Connect, Some(session)) => {
            after(session.waiting_since_ms, back.connect, Limit::Connect)
        }
        (Phase::Exchange, Some(session)) => {
            let (up, down) = (session.request.is_flushed(), session.response.is_flushed());
            let asked = session.request.source == Source::Done;
            let answered = session.exchange.response() == ResponseState::Done;
            // Whom it waits for. A side that something waits for takes it, or does not: that is
            // activity.
            let mut of_client = None;
            if !down || (up && !asked) {
                let heard = frontend.independent_streams && down;
                let from = if heard {
                    session.heard_ms.0
                } else {
                    client.active_ms
                };
                of_client = after(from, front.client, Limit::Client);
            }
            if !up || (down && !answered) {
                let heard = backend.independent_streams && up;
                let from = if heard {
                    session.heard_ms.1
                } else {
                    client.active_ms
                };
                return first(of_client, after(from, back.server, Limit::Server));
            }
            of_client
        }
        (Phase::Tunnel, Some(session)) => {
            let heard = heard(client, session, frontend, backend);
            tunnel(heard, session, front, back)
        }
        (Phase::Answer, Some(_)) => after(client.active_ms, front.client, Limit::Client),
        (Phase::Linger, _) => Some((client.active_ms + LINGER_MS, Limit::Linger)),
        _ => None,
    }
}

/// The earlier one.
fn first(a: Option<(u64, Limit)>, b: Option<(u64, Limit)>) -> Option<(u64, Limit)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// When each side was heard of: the client, the server.
fn heard(client: &Client, session: &Session, front: &Proxy, back: &Proxy) -> (u64, u64) {
    let of = |independent: bool, ms: u64| if independent { ms } else { client.active_ms };
    (
        of(front.independent_streams, session.heard_ms.0),
        of(back.independent_streams, session.heard_ms.1),
    )
}

fn tunnel(
    heard: (u64, u64),
    session: &Session,
    front: &Timeouts,
    back: &Timeouts,
) -> Option<(u64, Limit)> {
    let at = |ms: u32, limit| {
        let from = match limit {
            Limit::Server => heard.1,
            _ => heard.0,
        };
        Some((from.saturating_add(u64::from(ms)), limit))
    };
    if session.request.shut
        && let Some(ms) = back.server_fin
    {
        return at(ms, Limit::Server);
    }
    if session.response.shut
        && let Some(ms) = front.client_fin
    {
        return at(ms, Limit::Client);
    }
    let (of_client, of_server) = match back.tunnel.or(front.tunnel) {
        Some(ms) => (Some(ms), Some(ms)),
        None => (front.client, back.server),
    };
    first(
        of_client.and_then(|ms| at(ms, Limit::Client)),
        of_server.and_then(|ms| at(ms, Limit::Server)),
    )
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Promises the wheel that a waiting client is looked at in time.
    pub(crate) fn promise_wake(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let session = client.session.and_then(|id| self.sessions.get(id));
        let deadline = earliest(self.config, client, session).map(|(at, _)| at);
        let watch_at = (!client.watched).then_some(client.since_ms + UNWATCHED_MS);
        if let Some(at) = deadline.into_iter().chain(watch_at).min() {
            self.wheel.promise(client.timer, at);
        }
    }

    /// The wheel's promise has come: renew it, or end the wait.
    pub(crate) fn on_client_timer(&mut self, key: Key<Client>) {
        if self.clients.get(key).is_some_and(|client| !client.watched) && !self.watch_client(key) {
            return self.close(key, Termination::RESOURCE_IN_CONNECT);
        }
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let session = client.session.and_then(|id| self.sessions.get(id));
        let Some((at, limit)) = earliest(self.config, client, session) else {
            return;
        };
        if at > self.now.ms {
            self.wheel.promise(client.timer, at);
            return;
        }
        let flow = self.expire(key, limit);
        match flow {
            Flow::Again => self.drive(key),
            Flow::Wait => self.promise_wake(key),
            Flow::Close(why) => self.close(key, why),
            Flow::Gone => {}
        }
    }

    fn expire(&mut self, key: Key<Client>, limit: Limit) -> Flow {
        match limit {
            Limit::Retry => Flow::Again,
            Limit::Inspect => self.inspection_over(key),
            Limit::Linger => {
                self.remove_client(key);
                Flow::Gone
            }
            Limit::Introduction => self.refuse_introduction(key, Refusal::Late),
            Limit::Request => self.request_too_late(key),
            Limit::Gather => self.gathered_too_long(key),
            Limit::Body => self.body_too_late(key),
            Limit::Queue => self.queued_too_long(key),
            Limit::Connect => self.connect_failed(key, None),
            Limit::Client => self.client_too_slow(key),
            Limit::Server => self.server_too_slow(key),
        }
    }

    /// The delay is over: what there is now decides.
    fn inspection_over(&mut self, key: Key<Client>) -> Flow {
        let phase = self.clients.get(key).map(|client| client.phase);
        match phase {
            Some(Phase::Gather) => self.end_gathering(key),
            _ => Flow::Again,
        }
    }

    fn client_too_slow(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        match client.phase {
            Phase::Inspect => return self.inspected_too_long(key),
            Phase::Gather => return self.inspected_body_too_long(key),
            _ => {}
        }
        let unanswered = client.phase == Phase::Exchange
            && session.exchange.response() == ResponseState::Idle
            && session.response.is_flushed();
        if unanswered {
            session.exchange.on_request_error();
            self.drop_upstream(key);
            return self.answer_status(key, 408, Termination::CLIENT_TIMEOUT_IN_HEADERS);
        }
        Flow::Close(Termination::CLIENT_TIMEOUT_IN_DATA)
    }

    fn server_too_slow(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let unanswered =
            client.phase == Phase::Exchange && session.exchange.response() == ResponseState::Idle;
        if unanswered && self.may_repeat(key, Failure::Late) {
            return self.repeat(key);
        }
        open!(self, key => _client, session, else Flow::Gone);
        if let Some(backend) = session.backend {
            self.proxy_stats[backend.0 as usize].back.eresp += u64::from(unanswered);
        }
        if let Some(server) = session.server {
            self.server_stats[server.0 as usize].eresp += u64::from(unanswered);
        }
        session.exchange.on_server_lost();
        let server = session.server.filter(|_| unanswered);
        if unanswered && session.response.is_flushed() {
            let flow = self.answer_status(key, 504, Termination::SERVER_TIMEOUT_IN_HEADERS);
            if let Some(server) = server {
                self.observe(server, Finding::Late);
            }
            return flow;
        }
        Flow::Close(Termination::SERVER_TIMEOUT_IN_DATA)
    }

    /// No whole request in time: 408, but nothing after an answered request (the client just had
    /// nothing more to ask).
    fn request_too_late(&mut self, key: Key<Client>) -> Flow {
        let Some(client) = self.clients.get(key) else {
            return Flow::Gone;
        };
        let silent = client.session.is_none();
        let proxy = self.config.proxy(client.frontend);
        if silent && (client.requests > 0 || proxy.http.ignore_probes) {
            self.remove_client(key);
            return Flow::Gone;
        }
        self.proxy_stats[proxy.id.0 as usize].front.ereq += 1;
        self.listener_stats
            .count(client.listener, |own| own.ereq += 1);
        if silent {
            self.begin_null(key);
        }
        open!(self, key => _client, session, else Flow::Gone);
        session.logged |= silent && proxy.log_options.dont_log_null;
        session.txn.request_line.clear();
        session.exchange.on_request_error();
        self.answer_raw(key, 408, Termination::CLIENT_TIMEOUT_IN_REQUEST)
    }
}
