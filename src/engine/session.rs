//! The life of a request, in the order it happens.
//!
//! A step does one thing and says what comes next ([`Flow`]). Whatever event woke a session, and
//! from whichever side, it comes through here. Steps call the pure parts for decisions and the door
//! for effects, directly.
//!
//! ```text
//! Request ─ parsed, rules, server chosen ─┬─ Exchange ── Finish ── Request (kept alive)
//!    │                                    ├─ Connect ─┘     └───── Linger / gone
//!    │                                    └─ Queued ── Connect
//!    ├─ Gather (its body is waited for) ── on as before
//!    ├─ refused, denied, redirected ───────── Answer ── Finish
//!    └─ a service's: Body (of a POST) ─┘
//! Tunnel: TCP mode, CONNECT and Upgrade: bytes both ways until both sides have closed.
//! Inspect: before Connect of a TCP session whose first bytes rules look at.
//! Introduction: before all of these, where a header of the PROXY protocol comes first.
//! ```
//!
//! A session may look left at the configuration and at the parsed head; it never calls back. The
//! one loop is in [`retry`](super::retry).

use super::accept::Client;
use super::deadline::earliest;
use super::gather::Gathered;
use super::inspect;
use super::introduction::Introductions;
use super::persist::Bond;
use super::relay::{Pipe, Sent, Source, flush, receive};
use super::service::Service;
use super::stats::Counters;
use super::upstream::Upstream;
use super::{Engine, STEPS_PER_TURN_MAX, Subject};
use crate::balance::queue::Ticket;
use crate::base::arena::{Handle, Key};
use crate::base::buffer::Pool;
use crate::base::clock::Now;
use crate::config::model::{Global, ProxyId, ServerId};
use crate::http::exchange::{Ending, Exchange, RequestState, ResponseState};
use crate::http::framing::Body;
use crate::http::head::{Head, Progress};
use crate::http::rewrite::Edits;
use crate::log::record::{NO_ID, Txn};
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Stop};

/// Where a session is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Waiting for the header of the PROXY protocol that says who the client is.
    Introduction,
    /// Waiting for a request head, or reading one.
    Request,
    /// Waiting for the first bytes of a TCP session that rules ask for.
    Inspect,
    /// Waiting for the body of a request before it goes on.
    Gather,
    /// Reading the body of a request that a service answers.
    Body,
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
    /// The server that a cookie or a rule has chosen.
    pub(crate) direct: Option<ServerId>,
    /// The server that it could not reach and has left for another, until it is given one.
    pub(crate) left: Option<ServerId>,
    pub(crate) bond: Bond,
    /// The number that its server is chosen by, where the backend's algorithm knows one.
    pub(crate) hash: Option<u32>,
    /// It is counted among the server's sessions.
    pub(crate) holds_slot: bool,
    pub(crate) ticket: Option<Ticket>,
    /// The server in whose queue it waits; none in its backend's.
    pub(crate) waits_at: Option<ServerId>,
    pub(crate) retries_left: u32,
    /// `http-request disable-l7-retry`: no server gets it twice.
    pub(crate) once: bool,
    /// When the next attempt to connect may be made; 0 means at once.
    pub(crate) retry_at_ms: u64,
    /// When the phase it waits in began.
    pub(crate) waiting_since_ms: u64,
    pub(crate) progress: Progress,
    /// `request.input` (or `response.input`) holds bytes that no parser has seen.
    pub(crate) unparsed_request: bool,
    pub(crate) unparsed_answer: bool,
    /// The connection in use has served others before.
    pub(crate) on_reused: bool,
    pub(crate) logged: bool,
    /// Bytes up and down that the counters have already.
    counted: (u64, u64),
    /// When bytes came last from the client and from the server, monotonic ms.
    pub(crate) heard_ms: (u64, u64),
    /// How far the rules about its first bytes have come.
    pub(crate) inspection: inspect::Progress,
    /// What became of its body while it was waited for.
    pub(crate) gathered: Gathered,
    /// What rules have changed in its head so far, while it waits for its body.
    pub(crate) edits: Option<Box<Edits>>,
    /// The key of the answer that a service is giving.
    pub(crate) serving: Option<Handle>,
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
            direct: None,
            left: None,
            bond: Bond::default(),
            hash: None,
            holds_slot: false,
            ticket: None,
            waits_at: None,
            retries_left: 0,
            once: false,
            retry_at_ms: 0,
            waiting_since_ms: 0,
            progress: Progress::default(),
            unparsed_request: false,
            unparsed_answer: false,
            on_reused: false,
            logged: false,
            counted: (0, 0),
            heard_ms: (0, 0),
            inspection: inspect::Progress::default(),
            gathered: Gathered::default(),
            edits: None,
            serving: None,
        }
    }

    /// Forgets the exchange that is over; the log record and the pipes are the caller's to reset.
    pub(crate) fn renew(&mut self) {
        self.exchange = Exchange::new();
        self.upstream = None;
        self.backend = None;
        self.server = None;
        self.direct = None;
        self.left = None;
        self.bond = Bond::default();
        self.hash = None;
        self.ticket = None;
        self.waits_at = None;
        self.once = false;
        self.retry_at_ms = 0;
        self.progress = Progress::default();
        self.unparsed_request = false;
        self.unparsed_answer = false;
        self.on_reused = false;
        self.logged = false;
        self.counted = (0, 0);
        self.inspection = inspect::Progress::default();
        self.gathered = Gathered::default();
        debug_assert!(self.serving.is_none(), "an answer outlived its session");
    }

    /// Bytes up and down that the counters do not have yet; they are taken to have them now.
    fn uncounted(&mut self) -> (u64, u64) {
        let bytes = (self.txn.bytes_uploaded, self.txn.bytes_read);
        let before = std::mem::replace(&mut self.counted, bytes);
        (
            bytes.0.saturating_sub(before.0),
            bytes.1.saturating_sub(before.1),
        )
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

    /// How many records there are.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.slots.len()
    }

    /// None is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Opens a client and its session for a step, borrowing only their two arenas.
macro_rules! open {
    ($engine:ident, $key:expr => $client:ident, $session:ident) => {
        let Some($client) = $engine.clients.get_mut($key) else {
            return;
        };
        let Some($session) = $client.session.and_then(|id| $engine.sessions.get_mut(id)) else {
            return;
        };
    };
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
            let given_up = self.given_up(client);
            let flow = match client.phase {
                _ if given_up.is_some() => self.abandon(key, given_up),
                Phase::Introduction => self.read_introduction(key),
                Phase::Request => self.read_request(key),
                Phase::Inspect => self.inspect(key),
                Phase::Gather => self.gather_more(key),
                Phase::Body => self.read_body(key),
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
                Flow::Wait => {
                    // A client that had ended its side before this wait began tells it no more.
                    let client = self.clients.get(key);
                    if client.is_none_or(|client| self.given_up(client).is_none()) {
                        return self.rest(key);
                    }
                }
                Flow::Close(why) => return self.close(key, why),
                Flow::Gone => return,
            }
        }
        // Budget spent: others first, then us, before the next sleep.
        self.run_again(key);
    }

    /// A session waits: for edges, which are asked for if they were not yet, and for its deadline.
    pub(crate) fn rest(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let session = client.session.and_then(|id| self.sessions.get(id));
        let passes = matches!(client.phase, Phase::Exchange | Phase::Tunnel);
        let counts = passes && self.config.proxy(client.frontend).continuous_stats;
        if client.watched && !counts {
            if let Some((at, _)) = earliest(self.config, client, session) {
                self.wheel.promise(client.timer, at);
            }
            return;
        }
        if !client.watched
            && !session.is_some_and(|session| is_soon_over(client, session))
            && !self.watch_client(key)
        {
            return self.close(key, Termination::RESOURCE_IN_CONNECT);
        }
        if counts {
            self.count_bytes(key);
        }
        self.promise_wake(key);
    }

    /// Asks for a client's edges; what there is to tell already is told by the next wait.
    pub(crate) fn watch_client(&mut self, key: Key<Client>) -> bool {
        let Some(client) = self.clients.get_mut(key) else {
            return false;
        };
        let watched = self
            .net
            .watch(&client.socket, Subject::Client(key).handle());
        client.watched = watched.is_ok();
        client.watched
    }

    /// `option abortonclose`: how the log tells of a client that left while its request waited.
    #[inline]
    fn given_up(&self, client: &Client) -> Option<Termination> {
        let gone = Readiness(Readiness::READ_CLOSED.0 | Readiness::ERROR.0);
        if !client.ready.has(gone) {
            return None;
        }
        self.gave_up(client)
    }

    /// The same of a client that has ended its side.
    #[cold]
    fn gave_up(&self, client: &Client) -> Option<Termination> {
        let session = self.sessions.get(client.session?)?;
        let why = match client.phase {
            Phase::Queued => Termination::CLIENT_IN_QUEUE,
            Phase::Connect => Termination::CLIENT_IN_CONNECT,
            Phase::Exchange
                if session.exchange.response() == ResponseState::Idle
                    && session.request.source == Source::Done
                    && session.response.is_flushed() =>
            {
                Termination::CLIENT_IN_HEADERS
            }
            _ => return None,
        };
        let asked = |proxy: ProxyId| self.config.proxy(proxy).abort_on_close;
        // Both sides must have it, as in HAProxy 2.6.
        (asked(client.frontend) && session.backend.is_some_and(asked)).then_some(why)
    }

    #[cold]
    fn abandon(&mut self, key: Key<Client>, why: Option<Termination>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let why = why.unwrap_or_default();
        let (frontend, backend) = (client.frontend, session.backend);
        // Only a request that a server has is answered at all.
        let answered = session.txn.http && why == Termination::CLIENT_IN_HEADERS;
        self.proxy_stats[frontend.0 as usize].front.cli_abrt += 1;
        if let Some(backend) = backend {
            self.proxy_stats[backend.0 as usize].back.cli_abrt += 1;
        }
        if answered {
            if let Some(server) = session.server {
                self.server_stats[server.0 as usize].cli_abrt += 1;
            }
            session.exchange.close_client();
            return self.answer_status(key, 400, why);
        }
        Flow::Close(why)
    }

    /// Sends what is left of an answer of our own.
    pub(crate) fn send_answer(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        match flush_answer(&mut self.net, &mut self.pool, self.now, client, session) {
            Sent::All if session.serving.is_some() => self.fill_answer(key),
            Sent::All => {
                client.phase = Phase::Finish;
                Flow::Again
            }
            Sent::Part => Flow::Wait,
            Sent::Failed(_) => Flow::Close(session.txn.termination),
            Sent::NoBuffer => Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
    }

    /// All is sent: the log line, the server's slot and connection, and then the next request or
    /// the end.
    pub(crate) fn finish(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        let ending = if session.txn.http && session.exchange.is_over() {
            session.exchange.ending()
        } else {
            Ending::CloseBoth
        };
        let reusable = matches!(ending, Ending::KeepBoth | Ending::CloseClient);
        // The rest of a body, or requests behind this one: closing on them would be a reset.
        let unread = session.txn.http
            && (session.exchange.request() != RequestState::Done
                || session.request.input.is_some()
                || client.ready.has(Readiness::READABLE));
        let frontend = client.frontend;
        self.end_session(key, reusable);
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        // A client that was not told of the end yet is told with its next answer.
        let told_later = self.config.proxy(frontend).http.close_on_answer;
        let stays = !self.stopping || self.draining || told_later;
        let keep = matches!(ending, Ending::KeepBoth | Ending::CloseServer) && stays;
        if keep {
            return self.next_request(key);
        }
        debug_assert_eq!(client.frontend, frontend);
        self.release_session(key);
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        // Of one that is not watched nobody has told.
        if unread || !client.watched && receives(&mut self.net, &mut self.pool, client) {
            self.net.shutdown_write(&client.socket);
            client.phase = Phase::Linger;
            client.active_ms = self.now.ms;
            return Flow::Again;
        }
        self.remove_client(key);
        Flow::Gone
    }

    /// The client connection waits for its next request, which may have come already.
    pub(crate) fn next_request(&mut self, key: Key<Client>) -> Flow {
        let now = self.now;
        open!(self, key => client, session, else Flow::Gone);
        client.phase = Phase::Request;
        client.since_ms = now.ms;
        client.since_wall_ms = now.wall_ms;
        client.active_ms = now.ms;
        if let Some(next) = session.request.input.take() {
            session.request.reset(&mut self.net, &mut self.pool);
            session.response.reset(&mut self.net, &mut self.pool);
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
    pub(crate) fn linger(&mut self, key: Key<Client>) -> Flow {
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
        let mut unread = client.ready.has(Readiness::READABLE) || !client.watched;
        if let Some(session) = client.session.and_then(|id| self.sessions.get_mut(id)) {
            if session.txn.termination.is_normal() {
                session.txn.termination = why;
            }
            // What is still to come of a body may be here before the close is.
            let request = session.exchange.request();
            let midway = matches!(request, RequestState::Body | RequestState::Error);
            unread |= session.request.input.is_some() || midway;
            // Whatever ended it: an answer that breaks off must not seem to end.
            client.broken |= session.response.is_open_ended();
            self.end_session(key, false);
            self.release_session(key);
        }
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let gone = Readiness(Readiness::READ_CLOSED.0 | Readiness::ERROR.0);
        let lingers = unread && !client.broken && client.phase != Phase::Linger;
        let ends = self.stopping && !self.draining;
        if !lingers || client.ready.has(gone) || ends {
            return self.remove_client(key);
        }
        // Requests wait unread: closing on them would be a reset that takes an earlier answer
        // along.
        self.net.shutdown_write(&client.socket);
        client.phase = Phase::Linger;
        client.active_ms = self.now.ms;
        self.run_again(key);
    }

    /// Adds to the counters what of the session's bytes they do not have yet.
    fn count_bytes(&mut self, key: Key<Client>) {
        open!(self, key => client, session);
        let fresh = session.uncounted();
        let front = (client.frontend, client.listener);
        let back = (session.backend, session.server);
        self.add_bytes(fresh, front, back);
    }

    #[inline]
    fn add_bytes(
        &mut self,
        (up, down): (u64, u64),
        (frontend, listener): (ProxyId, u32),
        (backend, server): (Option<ProxyId>, Option<ServerId>),
    ) {
        let add = |own: &mut Counters| {
            own.bin += up;
            own.bout += down;
        };
        if let Some(backend) = backend {
            add(&mut self.proxy_stats[backend.0 as usize].back);
        }
        if let Some(server) = server {
            add(&mut self.server_stats[server.0 as usize]);
        }
        add(&mut self.proxy_stats[frontend.0 as usize].front);
        self.listener_stats.count(listener, add);
        self.process.bytes_out += down;
        let rate = u32::try_from(down).unwrap_or(u32::MAX);
        self.process.bytes_out_rate.add(self.now.ms, rate);
    }

    /// The session's accounts: log line, counters, slot, server connection.
    pub(crate) fn end_session(&mut self, key: Key<Client>, reusable: bool) {
        open!(self, key => client, session);
        session.txn.marks.finished = self.now.ms as i64;
        let logs = !session.logged && self.config.proxy(client.frontend).log_format.is_some();
        if logs || session.ticket.is_some() || session.serving.is_some() {
            self.end_rare_parts(key, logs);
        }
        open!(self, key => client, session);
        let fresh = session.uncounted();
        let times = times_of(&session.txn);
        // A server that answered before the request had left must not be reused: what is unsent
        // belongs to this request.
        let reusable = reusable
            && session.txn.http
            && session.response.input.is_none()
            && session.request.is_flushed();
        let front = (client.frontend, client.listener);
        let (backend, server) = (session.backend.take(), session.server);
        let upstream = session.upstream.take();
        let slot = server.filter(|_| std::mem::take(&mut session.holds_slot));
        self.add_bytes(fresh, front, (backend, server));
        if let Some(times) = times {
            if let Some(backend) = backend {
                self.proxy_stats[backend.0 as usize].back.add_times(times);
            }
            if let Some(server) = server {
                self.server_stats[server.0 as usize].add_times(times);
            }
        }
        match upstream {
            Some(upstream) if reusable => self.park(key, upstream, backend.unwrap_or(front.0)),
            Some(upstream) => self.close_upstream(upstream),
            None => {}
        }
        if let Some(server) = slot {
            self.take_slot_back(server);
        }
        if let Some(backend) = backend {
            self.proxy_stats[backend.0 as usize].back.leave();
        }
    }

    /// What few sessions end with: a log line, a place in a queue, an answer of a service.
    fn end_rare_parts(&mut self, key: Key<Client>, logs: bool) {
        if logs {
            self.log_session(key);
        }
        self.leave_queue(key);
        self.end_serving(key);
    }

    /// Gives the session's record and buffers back.
    pub(crate) fn release_session(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let Some(id) = client.session.take() else {
            return;
        };
        if let Some(session) = self.sessions.get_mut(id) {
            session.request.reset(&mut self.net, &mut self.pool);
            session.response.reset(&mut self.net, &mut self.pool);
            debug_assert!(session.upstream.is_none() && !session.holds_slot);
        }
        self.sessions.release(id);
    }
}

/// Whether a session waits for its server alone and is the last of its client, so that most likely
/// all is over before an edge of the client would be of use.
fn is_soon_over(client: &Client, session: &Session) -> bool {
    let asked = session.request.source == Source::Done
        && session.request.input.is_none()
        && session.response.is_flushed();
    let waits = match client.phase {
        Phase::Connect => session.upstream.is_some(),
        Phase::Exchange => session.request.is_flushed(),
        _ => false,
    };
    waits && asked && session.txn.http && session.exchange.closes_client()
}

/// Whether there is anything to receive from a client that is not watched; it is thrown away.
fn receives<N: Net>(net: &mut N, pool: &mut Pool, client: &mut Client) -> bool {
    let Some(mut buffer) = pool.lend() else {
        return true;
    };
    let received = receive(net, &mut client.end(), &mut buffer);
    pool.give_back(buffer);
    received.is_ok()
}

/// Sends what waits for the client; bytes that leave are activity.
pub(crate) fn flush_answer<N: Net>(
    net: &mut N,
    pool: &mut Pool,
    now: Now,
    client: &mut Client,
    session: &mut Session,
) -> Sent {
    let sent = session.response.sent;
    let flushed = flush(net, pool, &mut client.end(), &mut session.response);
    if session.response.sent > sent {
        client.active_ms = now.ms;
    }
    flushed
}

/// Keeps the line of a request whose head lies at the beginning of `bytes`, as far as logs show it.
pub(crate) fn note_line(txn: &mut Txn, global: &Global, head: &Head, bytes: &[u8]) {
    let most = (global.log_line_max as usize).saturating_sub(1);
    txn.set_request_line(head.logged_line(bytes), most);
}

/// What of the log record belongs to the connection.
pub(crate) fn begin_record(txn: &mut Txn, client: &Client, known: &Introductions) {
    txn.accept_date_ms = client.since_wall_ms;
    txn.marks.accepted = client.since_ms as i64;
    txn.marks.handshaken = client.since_ms as i64;
    txn.source = client.source;
    txn.frontend = client.frontend.0;
    txn.listener = client.listener;
    txn.backend = NO_ID;
    if let Some(introduction) = known.of(client) {
        introduction.begin_record(txn, client);
    }
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

/// The times that the means are of. They are of what a server answered: a request that none did
/// says nothing of them.
fn times_of(txn: &Txn) -> Option<[i64; 4]> {
    let (connect, response) = (txn.timer_connect(), txn.timer_response());
    if connect < 0 || (txn.http && response < 0) {
        return None;
    }
    Some([txn.timer_queue(), connect, response, txn.timer_total()])
}
