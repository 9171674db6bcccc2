//! The one loop of a request's life: an attempt at a server that failed is made again.
//!
//! A connection that was not made is tried again on the same server after a pause or, with `option
//! redispatch`, on another (configuration.txt 4.2 "retries", "option redispatch"). With `retry-on`
//! a request that a server has had already is sent once more, at once, after what the line names.
//! For that it is kept as it was sent, body included, up to a buffer; one that is longer, or has
//! not come whole, is not repeated. Neither is one whose method is not idempotent: a proxy must not
//! (RFC 9110 §9.2.2).
//!
//! Beside that, and whatever `retry-on` says: a request on a reused connection that died before any
//! byte of an answer is sent once more when its method allows; else the client's connection is
//! closed without an answer, so that the client may repeat it.

use super::Engine;
use super::accept::Client;
use super::errors::Place;
use super::health::Finding;
use super::relay::Source;
use super::service::Service;
use super::session::{Flow, Phase, open};
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::config::model::{Failure, Proxy, Redispatch, ServerId};
use crate::http::head::{Progress, Refusal};
use crate::log::record::NO_MARK;
use crate::log::termination::Termination;
use crate::net::{Net, Stop};

/// The pause before the next attempt to connect to the same server, ms; `timeout connect`, if
/// shorter.
const RETRY_PAUSE_MS: u32 = 1_000;

/// The pause before a server is tried again, ms.
fn retry_pause_ms(proxy: &Proxy) -> u64 {
    let connect = proxy.timeouts.connect.unwrap_or(RETRY_PAUSE_MS);
    RETRY_PAUSE_MS.min(connect).into()
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// An attempt to connect failed (`None`: it took too long). Again, elsewhere, or 503.
    pub(crate) fn connect_failed(&mut self, key: Key<Client>, errno: Option<i32>) -> Flow {
        let config = self.config;
        self.drop_upstream(key);
        open!(self, key => client, session, else Flow::Gone);
        let (Some(server), Some(backend)) = (session.server, session.backend) else {
            return self.no_server(key);
        };
        let proxy = config.proxy(backend);
        client.phase = Phase::Connect;
        self.observe(server, Finding::NotConnected);
        open!(self, key => _client, session, else Flow::Gone);
        if session.retries_left == 0 || !proxy.retry_on.contains(Failure::Connection) {
            self.server_stats[server.0 as usize].econ += 1;
            self.proxy_stats[backend.0 as usize].back.econ += 1;
            let why = match errno {
                Some(_) => Termination::SERVER_IN_CONNECT,
                None => Termination::SERVER_TIMEOUT_IN_CONNECT,
            };
            if session.txn.http {
                return self.answer_status(key, 503, why);
            }
            return Flow::Close(why);
        }
        self.try_again(key, (server, proxy), errno.is_some())
    }

    /// The next attempt: elsewhere if it may be, else at the same server, which is first left alone
    /// for a while when it `pauses`.
    fn try_again(
        &mut self,
        key: Key<Client>,
        (server, proxy): (ServerId, &Proxy),
        pauses: bool,
    ) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        session.retries_left = session.retries_left.saturating_sub(1);
        session.txn.retries += 1;
        if self.may_redispatch(key, server, proxy) {
            return self.redispatch(key, server, proxy, pauses);
        }
        self.count_retry(server);
        // HAProxy counts each attempt as a session of the server.
        let stats = &mut self.server_stats[server.0 as usize];
        stats.stot += 1;
        stats.rate.add(self.now.ms, 1);
        stats.lastsess = Some(self.now.ms);
        open!(self, key => _client, session, else Flow::Gone);
        if !pauses {
            session.retry_at_ms = 0;
            return Flow::Again;
        }
        session.retry_at_ms = self.now.ms + retry_pause_ms(proxy);
        Flow::Wait
    }

    /// Whether this attempt may go to another server: with several usable ones that take turns at
    /// once, else at the attempts that `option redispatch N` names.
    fn may_redispatch(&mut self, key: Key<Client>, server: ServerId, proxy: &Proxy) -> bool {
        if self.roster.server(server).dispatch {
            return false;
        }
        // A key leads to the same server again.
        let several = !proxy.algorithm.has_keys() && self.usable_of(proxy) > 1;
        open!(self, key => _client, session, else false);
        // There is nothing to go to from the address of `dispatch`.
        let address = |id: ServerId| self.roster.server(id).dispatch;
        if session.bond.forced || session.server.is_some_and(address) {
            return false;
        }
        // A server that was chosen is not left at once.
        let several = several && session.direct.is_none();
        match proxy.redispatch {
            Redispatch::Off => false,
            Redispatch::Every(_) if several => true,
            Redispatch::Every(0) => false,
            Redispatch::Every(n) if n > 0 => i32::from(session.txn.retries) % n == 0,
            // So many before the last one.
            Redispatch::Every(n) => i64::from(session.retries_left) == -i64::from(n) - 1,
        }
    }

    fn usable_of(&self, proxy: &Proxy) -> usize {
        self.records_of(proxy.id)
            .filter(|server| server.usable() && !server.backup)
            .count()
    }

    /// Leaves a server for whichever the session is given next. Who has no choice, or is given the
    /// same server again, `pauses` as before any retry.
    fn redispatch(&mut self, key: Key<Client>, old: ServerId, proxy: &Proxy, pauses: bool) -> Flow {
        let pause = pauses.then(|| self.now.ms + retry_pause_ms(proxy));
        let has_choice = self.usable_of(proxy) > 1;
        self.free_slot(key);
        self.unbind(key);
        open!(self, key => _client, session, else Flow::Gone);
        session.server = None;
        session.left = Some(old);
        // What was lost on the old one was waiting, not connecting.
        session.txn.marks.dequeued = NO_MARK;
        if let Some(until) = pause.filter(|_| !has_choice) {
            session.retry_at_ms = until;
            return Flow::Wait;
        }
        if let Some(flow) = self.find_server(key) {
            return flow;
        }
        open!(self, key => _client, session, else Flow::Gone);
        if let Some(until) = pause.filter(|_| session.server == Some(old)) {
            session.retry_at_ms = until;
            return Flow::Wait;
        }
        Flow::Again
    }

    /// The connection broke before anything of the request had left: it is as good as not made, and
    /// what waits in the pipe goes out on another, whatever the method.
    pub(crate) fn never_sent(&mut self, key: Key<Client>, errno: i32) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        session.txn.marks.connected = NO_MARK;
        session.request.take_back_lead();
        if !session.on_reused {
            return self.connect_failed(key, Some(errno));
        }
        // One that ended while it was idle is no failure of its server.
        session.on_reused = false;
        client.phase = Phase::Connect;
        self.drop_upstream(key);
        self.open_upstream(key)
    }

    /// Whether the request is sent once more after this failure: `retry-on` says so, an attempt is
    /// left, and all of it is at hand.
    pub(crate) fn may_repeat(&self, key: Key<Client>, failure: Failure) -> bool {
        let session = self.clients.get(key).and_then(|client| client.session);
        let Some(session) = session.and_then(|id| self.sessions.get(id)) else {
            return false;
        };
        let Some(backend) = session.backend else {
            return false;
        };
        session.retries_left > 0
            && session.server.is_some()
            && self.config.proxy(backend).retry_on.contains(failure)
            && session.request.source == Source::Done
            && session.request.replay.is_kept()
            // What an interim answer left behind goes first.
            && session.response.is_flushed()
    }

    /// Sends the request once more, as [`may_repeat`](Self::may_repeat) allows.
    pub(crate) fn repeat(&mut self, key: Key<Client>) -> Flow {
        let config = self.config;
        if !self.rewind(key) {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        }
        open!(self, key => _client, session, else Flow::Gone);
        let (Some(server), Some(backend)) = (session.server, session.backend) else {
            return self.no_server(key);
        };
        // HAProxy counts it beside what it counts of any retry.
        self.count_retry(server);
        self.try_again(key, (server, config.proxy(backend)), false)
    }

    /// The whole request waits to be sent again, and nothing is left of the attempt before; false
    /// when there is no room for it.
    fn rewind(&mut self, key: Key<Client>) -> bool {
        self.drop_upstream(key);
        open!(self, key => client, session, else false);
        client.phase = Phase::Connect;
        session.on_reused = false;
        session.txn.marks.connected = NO_MARK;
        session.progress = Progress::default();
        session.unparsed_answer = false;
        if let Some(buffer) = session.response.input.take() {
            self.pool.give_back(buffer);
        }
        session.request.rewind(&mut self.net, &mut self.pool)
    }

    /// The server closed or broke before an answer's head was whole. `any_byte` of one had come.
    pub(crate) fn server_lost(&mut self, key: Key<Client>, stop: Stop, any_byte: bool) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        // That an idle connection ended says nothing of its server.
        let was_idle = session.on_reused && !any_byte;
        let (server, backend) = (session.server, session.backend);
        let again = self.may_repeat(key, Failure::Empty);
        open!(self, key => _client, session, else Flow::Gone);
        let is_whole = session.request.source == Source::Done;
        if was_idle && !again && is_whole && session.request.replay.is_kept() {
            return match self.rewind(key) {
                true => self.open_upstream(key),
                false => Flow::Close(Termination::RESOURCE_IN_CONNECT),
            };
        }
        // A connection that ends in good order, and after which the request is repeated, is not
        // held against the server: HAProxy's way.
        let is_error = !(was_idle || again && stop == Stop::Closed);
        if let Some(server) = server.filter(|_| is_error) {
            self.server_stats[server.0 as usize].eresp += 1;
        }
        if let Some(backend) = backend.filter(|_| is_error) {
            self.proxy_stats[backend.0 as usize].back.eresp += 1;
        }
        let flow = if again {
            self.repeat(key)
        } else if was_idle {
            // Nobody was answered: the client will ask again, and that will be logged.
            open!(self, key => _client, session, else Flow::Gone);
            session.exchange.on_server_lost();
            session.logged = true;
            Flow::Close(Termination::SERVER_IN_HEADERS)
        } else {
            open!(self, key => _client, session, else Flow::Gone);
            session.exchange.on_server_lost();
            self.answer_status(key, 502, Termination::SERVER_IN_HEADERS)
        };
        if let Some(server) = server.filter(|_| is_error) {
            self.observe(server, Finding::of_end(stop));
        }
        flow
    }

    /// What came is no answer: another attempt if `retry-on` says so, else 502.
    pub(crate) fn junk_answer(&mut self, key: Key<Client>, why: Refusal, buffer: Buffer) -> Flow {
        if !self.may_repeat(key, Failure::Junk) {
            return self.bad_answer(key, why, buffer);
        }
        self.keep_error(key, why, buffer);
        self.repeat(key)
    }

    /// An answer that cannot be passed on.
    pub(crate) fn bad_answer(&mut self, key: Key<Client>, why: Refusal, buffer: Buffer) -> Flow {
        self.keep_error(key, why, buffer);
        open!(self, key => _client, session, else Flow::Gone);
        session.exchange.on_server_lost();
        self.answer_status(key, 502, Termination::PROXY_IN_HEADERS)
    }

    /// Keeps an answer that cannot be passed on for `show errors`, and counts it.
    fn keep_error(&mut self, key: Key<Client>, why: Refusal, buffer: Buffer) {
        ::log::debug!("answer refused at byte {}: {}", why.position, why.reason);
        open!(self, key => client, session, else self.pool.give_back(buffer));
        let (server, backend) = (session.server, session.backend);
        if let Some(backend) = backend {
            let place = Place::answer(client.frontend, backend, server);
            let source = session.txn.source;
            self.errors
                .keep(place, source, self.now, why, buffer.readable());
            self.proxy_stats[backend.0 as usize].back.eresp += 1;
        }
        self.pool.give_back(buffer);
        if let Some(server) = server {
            self.server_stats[server.0 as usize].eresp += 1;
            self.observe(server, Finding::Garbled);
        }
    }
}
